//! Embeds the standard catalog: every file that the index of `catalogs/` names, and the signatures and revocation lists
//! beside it.

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
    source.push_str(&attachments(&root)?);
    fs::write(Path::new(&env::var("OUT_DIR")?).join("standard.rs"), source)?;
    Ok(())
}

/// Names below the catalog's folder and texts of the files that its root does not cover.
fn attachments(root: &str) -> Result<String, Box<dyn std::error::Error>> {
    let mut source = String::from(
        "/// Name below the catalog's folder and text of every embedded signature and revocation list.\n\
         pub const ATTACHMENTS: &[(&str, &str)] = &[\n",
    );
    for folder in ["SIGNATURES", "REVOCATIONS"] {
        let path = Path::new(root).join("catalogs").join(folder);
        let Ok(files) = fs::read_dir(&path) else {
            // Until there is one; to watch what is not there would be to build every time.
            println!("cargo::rerun-if-changed={root}/catalogs");
            continue;
        };
        println!("cargo::rerun-if-changed={}", path.display());
        let mut names = Vec::new();
        for file in files {
            names.push(file?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        for name in names {
            let file = format!("{}/{name}", path.display());
            println!("cargo::rerun-if-changed={file}");
            writeln!(source, "    ({:?}, include_str!({file:?})),", format!("{folder}/{name}"))?;
        }
    }
    source.push_str("];\n");
    Ok(source)
}
