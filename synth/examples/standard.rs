//! Rebuilds the standard catalog: ENTRIES_FOLDER PROOFS_FOLDER [PART_OF_NAME]. With a part of a name only those
//! entries are searched for, and added to the catalog that is there.

use catalogs::{Catalog, protocol::cost, protocol::rss3::Rss3};
use std::path::Path;
use std::time::Instant;
use synth::{search, standard};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (entries, proofs, part) = match &arguments[..] {
        [entries, proofs] => (entries, proofs, ""),
        [entries, proofs, part] => (entries, proofs, part.as_str()),
        _ => return Err("ENTRIES_FOLDER PROOFS_FOLDER [PART_OF_NAME] expected".into()),
    };
    let (entries, proofs) = (Path::new(entries), Path::new(proofs));
    let partial = !part.is_empty() && entries.join(catalogs::catalog::INDEX).exists();
    let mut catalog = if partial { Catalog::open(entries, proofs)? } else { Catalog::new() };
    for item in standard::campaign().iter().filter(|item| item.name().contains(part)) {
        let start = Instant::now();
        let found = match standard::find(item, &mut |_| {}) {
            Ok(found) => found,
            Err(error) => {
                println!("FAILED {error} after {:.1} s", start.elapsed().as_secs_f64());
                continue;
            }
        };
        let published = search::publish(&found);
        let begin = Instant::now();
        verify::check_texts(&published.entry, &published.certificate)?;
        let price = cost(&found.entry.program, &Rss3);
        println!(
            "| {} | {} | {} | {:.4} | {} | {} | {} | {:.0} | {} {} | {:.1} s |",
            item.name(),
            found.entry.claim.bound,
            found.certificate.witness.error,
            found.bound() / found.certificate.witness.error.to_f64_lossy(),
            price.rounds,
            price.bytes(),
            found.certificate.pieces.len(),
            begin.elapsed().as_secs_f64() * 1e3,
            found.family,
            found.parameters,
            start.elapsed().as_secs_f64()
        );
        catalog.insert(&item.name(), published)?;
        catalog.write(entries, proofs)?;
    }
    println!("root {}", catalog.root());
    Ok(())
}
