//! Proves peers' recipes and searches for our answers: FOLDER (prove|answer|measure|page) [PART OF A NAME].
//!
//! FOLDER holds `recipes`, and gets `entries` with `proofs` (theirs) and `ours/entries` with `ours/proofs`.

use catalogs::protocol::{cost, rss3::Rss3};
use catalogs::{Catalog, Published};
use std::path::Path;
use std::time::Instant;
use synth::peers::{Meter, answer, claim, name, prove, read_folder};

fn open(entries: &Path, proofs: &Path) -> Result<Catalog, Box<dyn std::error::Error>> {
    Ok(if entries.join("INDEX").exists() { Catalog::open(entries, proofs)? } else { Catalog::new() })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, what, part @ ..] = &arguments[..] else { return Err("FOLDER (prove|answer|measure) [PART]".into()) };
    let folder = Path::new(folder);
    if what == "page" {
        let theirs = open(&folder.join("entries"), &folder.join("proofs"))?;
        let answers = open(&folder.join("ours/entries"), &folder.join("ours/proofs"))?;
        let shipped = open(&folder.join(".."), &folder.join("../../proofs"))?;
        let catalogs = synth::peers::Catalogs { theirs, answers, shipped };
        print!("{}", synth::peers::page(&read_folder(&folder.join("recipes"))?, &catalogs)?);
        return Ok(());
    }
    let wanted = |name: &str| part.is_empty() || part.iter().any(|part| name.contains(part.as_str()));
    for recipe in read_folder(&folder.join("recipes"))? {
        for audited in &recipe.windows {
            let name = name(&recipe, audited);
            if !wanted(&name) {
                continue;
            }
            let start = Instant::now();
            let draft = claim(&recipe, audited)?;
            let price = cost(&draft.program, &Rss3);
            let measured = Meter::new(&draft).measure(1001);
            let argument = measured.input as f64 / 2f64.powi(i32::from(recipe.scale));
            println!(
                "{name}: {} rounds {} B, measured {:.4e} at {argument:.5}, drawn {:.4e} ({:.1} s)",
                price.rounds, price.bytes(), measured.worst, measured.drawn, start.elapsed().as_secs_f64()
            );
            for probe in &recipe.probes {
                let input = (probe.to_f64() * 2f64.powi(i32::from(recipe.scale))) as i64;
                let value = Meter::new(&draft).value(input, synth::peers::measure::Rounds::Down);
                println!("    at {} it gives {value}", probe.to_f64());
            }
            let (entries, proofs) = (folder.join("entries"), folder.join("proofs"));
            match what.as_str() {
                "prove" => match prove(&recipe, audited) {
                    Ok((entry, certificate, _)) => {
                        println!(
                            "    certified {} witness {} pieces {} ({:.1} s)",
                            entry.claim.bound, certificate.witness.error, certificate.pieces.len(), start.elapsed().as_secs_f64()
                        );
                        let mut catalog = open(&entries, &proofs)?;
                        catalog.insert(&name, Published { entry: entry.to_text(), certificate: certificate.to_text() })?;
                        catalog.write(&entries, &proofs)?;
                    }
                    Err(reason) => println!("    not certified: {reason} ({:.1} s)", start.elapsed().as_secs_f64()),
                },
                "answer" => {
                    let catalog = open(&entries, &proofs)?;
                    let entry = synth::peers::asked(&catalog, &recipe, audited)?;
                    match answer(&entry, &Rss3) {
                        Ok(found) => {
                            println!(
                                "    ours {} {} rounds {} B {} {} ({:.1} s)",
                                found.entry.claim.bound, found.rounds, found.bits.div_ceil(8), found.family,
                                found.parameters, start.elapsed().as_secs_f64()
                            );
                            let (entries, proofs) = (folder.join("ours/entries"), folder.join("ours/proofs"));
                            let mut catalog = open(&entries, &proofs)?;
                            catalog.insert(&name, synth::search::publish(&found))?;
                            catalog.write(&entries, &proofs)?;
                        }
                        Err(reason) => println!("    ours: {reason} ({:.1} s)", start.elapsed().as_secs_f64()),
                    }
                }
                _ => {}
            }
        }
    }
    Ok(())
}
