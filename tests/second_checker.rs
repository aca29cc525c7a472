//! The second checker, written from `proofs/FORMAT.md` alone in Python, over the shipped catalog and the corpus. Where
//! no `python3` is on the path it is not run, and says so.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

fn second_checker(arguments: &[&str]) -> Option<(bool, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    match Command::new("python3").arg("verify/second_checker").args(arguments).current_dir(root).output() {
        Ok(output) => Some((output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())),
        Err(error) => {
            eprintln!("NOT RUN: the second checker needs python3 ({error})");
            None
        }
    }
}

#[test]
fn both_checkers_accept_every_shipped_entry() {
    let Some((success, table)) = second_checker(&[]) else { return };
    let last = table.lines().last().unwrap_or_default();
    println!("{last}");
    assert!(success, "{table}");
    let shipped = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("catalogs/INDEX")).unwrap();
    let count = shipped.lines().count();
    assert!(last.starts_with(&format!("{count} of {count} hold")), "{last}");
}

#[test]
fn both_checkers_agree_on_the_corpus() {
    let Some((success, table)) = second_checker(&["--corpus", "verify/tests/corpus"]) else { return };
    println!("{}", table.lines().last().unwrap_or_default());
    assert!(success, "{table}");
}
