//! Where entries come from: the catalog's folder, or the copy embedded in the program.

use crate::failure::Failure;
#[cfg(feature = "generate")]
use crate::interrupt::undivided;
use catalogs::digest::Tag;
use catalogs::{Catalog, Digest, Published};
use runtime::trust::{Admission, Beside, Policy};
#[cfg(feature = "generate")]
use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

include!(concat!(env!("OUT_DIR"), "/standard.rs"));

/// The folder of the certificates of the catalog in `folder`.
pub fn proofs_beside(folder: &Path) -> PathBuf {
    match (folder.file_name(), folder.parent()) {
        (Some(_), Some(parent)) => parent.join("proofs"),
        // The folder is `.` or ends in `..`.
        _ => folder.join("..").join("proofs"),
    }
}

/// Whether the embedded standard catalog serves for `folder`: nothing was named, and nothing lies at the default place. A
/// folder there without an index is a damaged catalog: the embedded one in its stead would hide the damage.
fn is_embedded(folder: &Path) -> bool {
    folder == Path::new("catalogs") && folder.symlink_metadata().is_err()
}

/// What was opened, for people: a verdict is about that.
pub fn place(folder: &Path) -> String {
    if is_embedded(folder) { "embedded in this program".to_owned() } else { folder.display().to_string() }
}

/// The catalog in `folder`, or the embedded standard catalog.
pub fn open(folder: &Path) -> Result<Catalog, Failure> {
    if !is_embedded(folder) {
        if !folder.join(catalogs::catalog::INDEX).exists() {
            return Err(Failure::input(format!("{}: no catalog there (a file INDEX is missing)", folder.display())));
        }
        return Ok(Catalog::open(folder, &proofs_beside(folder))?);
    }
    let mut catalog = Catalog::new();
    for (name, entry, certificate) in STANDARD {
        catalog.insert(name, Published { entry: (*entry).to_owned(), certificate: (*certificate).to_owned() })?;
    }
    Ok(catalog)
}

/// Adds entries to the catalog in `folder`, which is made if there is none; all of them or, after Ctrl-C, none. An
/// entry that replaces another one of its name is named on standard error.
#[cfg(feature = "generate")]
pub fn publish(folder: &Path, published: Vec<(String, Published)>) -> Result<(), Failure> {
    let proofs = proofs_beside(folder);
    let mut catalog = match folder.join(catalogs::catalog::INDEX).exists() {
        true => Catalog::open(folder, &proofs)?,
        false => Catalog::new(),
    };
    let is_another = |(name, new): &(String, Published)| {
        catalog.iter().any(|(before, known)| before == name && known.entry != new.entry)
    };
    let replaced: BTreeSet<String> =
        published.iter().filter(|pair| is_another(pair)).map(|(name, _)| name.clone()).collect();
    for (name, published) in published {
        catalog.insert(&name, published)?;
    }
    undivided(|| catalog.write(folder, &proofs))?;
    for name in replaced {
        let _ = writeln!(std::io::stderr(), "{name}: another entry of this name was there, and is replaced");
    }
    Ok(())
}

/// The signatures and revocation lists that belong to the catalog which [`open`] gives for `folder`.
pub fn beside(folder: &Path) -> Beside {
    if is_embedded(folder) { Beside::Embedded(ATTACHMENTS) } else { Beside::Folder(folder.to_owned()) }
}

/// Decides by the policy in the file `policy` whether `catalog`, opened from `folder`, is accepted.
pub fn admit(folder: &Path, catalog: &Catalog, policy: &Path) -> Result<Admission, Failure> {
    Ok(Policy::read(policy)?.admit(catalog.root(), &beside(folder))?)
}

/// The catalog without the entries that `admission` knows to be revoked; each is named on standard error.
pub fn without_revoked(catalog: &Catalog, admission: &Admission) -> Result<Catalog, Failure> {
    let mut kept = Catalog::new();
    for (name, published) in catalog.iter() {
        match admission.check_entry(name, Digest::of(Tag::Entry, published.entry.as_bytes())) {
            Ok(()) => kept.insert(name, published.clone())?,
            Err(revoked) => {
                let _ = writeln!(std::io::stderr(), "left out: {revoked}");
            }
        }
    }
    Ok(kept)
}
