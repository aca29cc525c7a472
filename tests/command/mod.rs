//! The program, as tests run it.

#![allow(dead_code, clippy::unwrap_used)]

use catalogs::{Catalog, Published};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The repository.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Runs the command in the repository.
pub fn chebyshare(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_chebyshare")).args(arguments).current_dir(root()).output().unwrap()
}

/// What a successful command prints.
pub fn json(arguments: &[&str]) -> Value {
    let output = chebyshare(arguments);
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments:?}: {errors}{text}");
    // Nothing but the report, on a pipe.
    assert_eq!(errors, "");
    serde_json::from_str(&text).unwrap()
}

/// The rows of a report.
pub fn entries(report: &Value) -> &[Value] {
    report["entries"].as_array().unwrap()
}

/// The shipped catalog.
pub fn shipped() -> Catalog {
    Catalog::open(&root().join("catalogs"), &root().join("proofs")).unwrap()
}

/// A catalog in `folder` that holds only the entry `name`, its text changed, with a true index.
pub fn tampered(folder: &Path, name: &str, change: impl Fn(&str) -> String) -> PathBuf {
    let shipped = shipped();
    let (_, published) = shipped.find(name).unwrap();
    let mut catalog = Catalog::new();
    let entry = change(&published.entry);
    catalog.insert(name, Published { entry, certificate: published.certificate.clone() }).unwrap();
    let entries = folder.join("catalogs");
    catalog.write(&entries, &folder.join("proofs")).unwrap();
    entries
}
