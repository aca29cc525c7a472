//! Prints the family and the design of published entries, for a campaign that is to make just them: CATALOG ACCURACY
//! NAME …; an entry that no family of today makes is named as such.
//!
//! The goal is the entry's claim, with ACCURACY or, if that is `-`, what follows the last `-` of its name that begins with a
//! digit (`1e-3` of `gelu/k64-f16-w9-1e-3`).

use catalogs::{Catalog, Decimal, Entry, Format};
use std::path::Path;
use synth::families::Goal;
use synth::search::design_of;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, accuracy, names @ ..] = &arguments[..] else { return Err("CATALOG ACCURACY NAME … expected".into()) };
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
            None => println!("{name}: no family makes this program"),
        }
    }
    Ok(())
}
