//! Every shipped entry through the command: witness ≤ exhaustive ≤ certified.

#![allow(clippy::unwrap_used)]
#![cfg(feature = "generate")]

mod command;

use command::{entries, json, shipped};
use serde_json::Value;

fn error(value: &Value) -> f64 {
    value.as_str().unwrap().parse().unwrap()
}

/// No shipped window has so few inputs that it would be exhausted whole at this size: these are samples, said to be.
#[test]
fn witness_exhaustive_certified_for_every_shipped_entry() {
    let report = json(&["--json", "verify", "--all", "--with", "exhaustive", "--points", "4096"]);
    assert_eq!(entries(&report).len(), shipped().len());
    for entry in entries(&report) {
        let (name, found) = (&entry["entry"], &entry["exhaustive"]);
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
