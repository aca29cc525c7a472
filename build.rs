//! Embeds the standard catalog: every file that the index of `catalogs/` names.

use std::fmt::Write;
use std::{env, fs, path::Path};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = env::var("CARGO_MANIFEST_DIR")?;
    let index = Path::new(&root).join("catalogs/INDEX");
    println!("cargo::rerun-if-changed={}", index.display());
    let mut source = String::from(
        "/// Name, entry and certificate of every embedded entry.\npub const STANDARD: &[(&str, &str, &str)] = &[\n",
    );
    for line in fs::read_to_string(&index).unwrap_or_default().lines() {
        let name = line.split(' ').next_back().unwrap_or_default();
        let entry = format!("{root}/catalogs/{name}.entry");
        let certificate = format!("{root}/proofs/{name}.certificate");
        println!("cargo::rerun-if-changed={entry}");
        println!("cargo::rerun-if-changed={certificate}");
        writeln!(source, "    ({name:?}, include_str!({entry:?}), include_str!({certificate:?})),")?;
    }
    source.push_str("];\n");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("standard.rs"), source)?;
    Ok(())
}
