//! Prints the family and the design of published entries, for a campaign that is to make just them: CATALOG ACCURACY
//! NAME …. For an entry that no family of today makes, the programs of today that are worse in nothing are printed.
//!
//! The goal is the entry's claim, with ACCURACY or, if that is `-`, what follows the last `-` of its name that begins with a
//! digit (`1e-3` of `gelu/k64-f16-w9-1e-3`).

use catalogs::protocol::{cost, rss3::Rss3};
use catalogs::{Catalog, Decimal, Entry, Format};
use std::path::Path;
use synth::families::Goal;
use synth::search::{Wanted, design_of, front_of};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, accuracy, names @ ..] = &arguments[..] else {
        return Err("CATALOG ACCURACY NAME … expected".into());
    };
    let folder = Path::new(folder);
    let catalog = Catalog::open(folder, &folder.with_file_name("proofs"))?;
    for name in names {
        let (_, published) = catalog.find(name)?;
        let entry = Entry::parse(&published.entry)?;
        let pieces: Vec<&str> = name.split('-').collect();
        let named = pieces[pieces.len().saturating_sub(2)..].join("-");
        let accuracy = if accuracy == "-" { named.as_str() } else { accuracy };
        let (ring, scale) = entry.program.input();
        let goal = Goal {
            function: entry.claim.function.clone(),
            window: entry.claim.window,
            fitted: None,
            input: Format { ring, scale },
            output_scale: entry.program.output().1,
            norm: entry.claim.norm,
            accuracy: Decimal::parse(accuracy).ok_or_else(|| format!("{name}: '{accuracy}' is no accuracy"))?,
            density: None,
        };
        match design_of(&goal, &entry.program) {
            Some(design) => println!("{name}: family = \"{}\", design = \"{}\"", design.family, design.parameters),
            None => println!("{name}: no family makes this program{}", instead(&goal, &entry)),
        }
    }
    Ok(())
}

/// What a search finds that is worse in nothing, or else all that it finds.
fn instead(goal: &Goal, entry: &Entry) -> String {
    let (price, bound) = (cost(&entry.program, &Rss3), entry.claim.bound.to_f64_lossy());
    let mut out = format!(" ({bound:e}, {} rounds, {} bytes)", price.rounds, price.bytes());
    let found = match front_of(goal, &Rss3, Wanted { tight: true, ..Wanted::ALL }, &mut |_| {}) {
        Ok(found) => found,
        Err(error) => return out + &format!("; {error}"),
    };
    let is_worse = |other: &synth::search::Found| {
        other.bound() > bound || other.rounds > price.rounds || other.bytes() > price.bytes()
    };
    for other in &found {
        let word = if is_worse(other) { "but" } else { "instead" };
        let (bytes, error) = (other.bytes(), other.bound());
        let how = format!("family = \"{}\", design = \"{}\"", other.family, other.parameters);
        out += &format!("\n  {word} {error:e}, {} rounds, {bytes} bytes: {how}", other.rounds);
    }
    out
}
