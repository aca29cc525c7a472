//! Where entries come from: the catalog's folder, or the copy embedded in the program.

use crate::failure::Failure;
use catalogs::{Catalog, Published};
use std::path::{Path, PathBuf};

include!(concat!(env!("OUT_DIR"), "/standard.rs"));

/// The folder of the certificates of the catalog in `folder`.
pub fn proofs_beside(folder: &Path) -> PathBuf {
    match folder.parent() {
        Some(parent) => parent.join("proofs"),
        None => PathBuf::from("proofs"),
    }
}

/// The catalog in `folder` if there is one there, otherwise the embedded standard catalog.
pub fn open(folder: &Path) -> Result<Catalog, Failure> {
    if folder.join(catalogs::catalog::INDEX).exists() {
        return Ok(Catalog::open(folder, &proofs_beside(folder))?);
    }
    if folder != Path::new("catalogs") {
        return Err(Failure::input(format!("{}: no catalog there (a file INDEX is missing)", folder.display())));
    }
    let mut catalog = Catalog::new();
    for (name, entry, certificate) in STANDARD {
        catalog.insert(name, Published { entry: (*entry).to_owned(), certificate: (*certificate).to_owned() })?;
    }
    Ok(catalog)
}
