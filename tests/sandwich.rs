//! Shipped entries through the command: witness ≤ exhaustive ≤ certified; and exhaustions that are killed and resumed.

#![allow(clippy::unwrap_used)]
#![cfg(feature = "generate")]

mod command;

use command::{chebyshare, entries, json, root, shipped};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

fn error(value: &Value) -> f64 {
    value.as_str().unwrap().parse().unwrap()
}

/// The entries whose exhaustion and lemmas are tried whenever anything changes: all others say that they were not.
const SET: &str = "tests/evidence-set";

#[test]
fn the_fixed_set_has_at_most_forty_entries_that_are_shipped() {
    let text = std::fs::read_to_string(root().join(SET)).unwrap();
    let names: Vec<&str> = text.lines().collect();
    assert!((1..=40).contains(&names.len()) && names.is_sorted_by(|a, b| a < b), "{names:?}");
    let shipped = shipped();
    for name in names {
        assert_eq!(shipped.find(name).unwrap().0, name);
    }
}

/// No shipped window has so few inputs that it would be exhausted whole at this size: these are samples, said to be.
#[test]
fn witness_exhaustive_certified_for_the_fixed_set() {
    let arguments = ["--json", "verify", "--all", "--with", "exhaustive", "--points", "4096", "--evidence-for", SET];
    let report = json(&arguments);
    assert_eq!(entries(&report).len(), shipped().len());
    let set = std::fs::read_to_string(root().join(SET)).unwrap();
    for entry in entries(&report) {
        let (name, found) = (&entry["entry"], &entry["exhaustive"]);
        if !set.lines().any(|line| line == name) {
            assert_eq!(found, &Value::Null, "{name}");
            continue;
        }
        assert_eq!(found["ok"], true, "{name}: {found}");
        assert_eq!((&found["extent"], &found["capped"]), (&Value::from("samples"), &Value::from(0)), "{name}");
        let numbers =
            [&entry["witness_error"], &found["worst_error"], &found["upper_bound"], &entry["certified_error"]];
        // Twelve digits are printed: the exact comparison is the lane's, this one that it reports what it compared.
        let numbers = numbers.map(error);
        assert!(numbers.windows(2).all(|pair| pair[0] <= pair[1] * (1.0 + 1e-11)), "{name}: {numbers:?}");
    }
}

/// The narrowest window there is, whole.
#[test]
fn a_small_window_is_exhausted_whole() {
    let name = "gelu/k40-f13-w7-2e-3";
    let report = json(&["--json", "verify", name, "--with", "exhaustive", "--points", "2097151"]);
    let found = &entries(&report)[0]["exhaustive"];
    assert_eq!((&found["extent"], &found["inputs"]), (&Value::from("all"), &Value::from((1u64 << 21) - 1)), "{found}");
    assert_eq!(found["ok"], true, "{found}");
}

fn checkpoint(folder: &Path) -> Option<PathBuf> {
    let files = std::fs::read_dir(folder).ok()?.map(|file| file.unwrap().path());
    files.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "exhaustion"))
}

/// Killed after its first checkpoint, started again: the same numbers as in one go. A finished one is not run again, and
/// a damaged checkpoint is refused.
#[test]
fn a_killed_exhaustion_continues_and_finds_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().to_str().unwrap();
    let whole = ["--json", "verify", "gelu/k40-f13-w7-2e-3", "--with", "exhaustive", "--points", "2^20"];
    let resumed = [&whole[..], &["--resume", place]].concat();
    let found = |arguments: &[&str]| {
        let mut found = entries(&json(arguments))[0]["exhaustive"].clone();
        found.as_object_mut().unwrap().remove("seconds");
        found
    };
    let mut child = Command::new(env!("CARGO_BIN_EXE_chebyshare"))
        .args(&resumed)
        .current_dir(root())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let path = loop {
        if let Some(path) = checkpoint(folder.path()) {
            break path;
        }
        assert!(child.try_wait().unwrap().is_none(), "it ended before it could be killed");
        std::thread::sleep(Duration::from_millis(1));
    };
    child.kill().unwrap();
    child.wait().unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let blocks = |text: &str| text.lines().find_map(|line| line.strip_prefix("blocks ")?.parse::<u32>().ok()).unwrap();
    let first = blocks(&text);
    let expected = found(&whole);
    assert_eq!(found(&resumed), expected);
    let last = blocks(&std::fs::read_to_string(&path).unwrap());
    assert!(first < last, "it was killed after {first} of {last} blocks");
    assert_eq!(found(&resumed), expected);
    std::fs::write(&path, text.replace("blocks 1", "blocks 2")).unwrap();
    let refused = chebyshare(&resumed);
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("not a checkpoint of this exhaustion"), "{refused:?}");
}
