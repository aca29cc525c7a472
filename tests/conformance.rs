//! Every shipped entry through the command: three parties on its seams, strata and fitted interval; and what the
//! command says of lanes that were not asked for, and of entries that a lane refutes.

#![allow(clippy::unwrap_used)]
#![cfg(feature = "generate")]

mod command;

use command::{chebyshare, entries, json, shipped};
use serde_json::Value;

/// Enough of the fitted interval for the shipped seams and a few thousand strata in every entry.
const POINTS: &str = "4096";

#[test]
fn bad_requests_are_refused() {
    for (arguments, says) in [
        (&["verify", "--with", "conformance"][..], "--all"),
        (&["verify", "--all", "--with", "prayer"], "prayer"),
        (&["verify", "--all", "--with", "smt", "--points", "0"], "0"),
        (&["verify", "--all", "--with", "smt", "--points", "2^25"], "2^24"),
        (&["verify", "--all", "--with", "smt", "--resume", "/tmp"], "--with exhaustive"),
        (&["verify", "--all", "--evidence-for", "tests/evidence-set"], "--with"),
        (&["verify", "relu/k40-f13-w9", "--with", "smt", "--evidence-for", "tests/evidence-set"], "not among"),
        (&["verify", "--all", "--with", "smt", "--evidence-for", "no/such-file"], "no/such-file"),
        (&["verify", "nothing/of-this-name", "--with", "smt"], "nothing/of-this-name"),
    ] {
        let output = chebyshare(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.contains(says), "{message}");
    }
}

#[test]
fn lanes_that_were_not_asked_for_are_null_and_not_run() {
    let report = json(&["--json", "verify", "relu/k40-f13-w9", "--with", "smt"]);
    let entry = &entries(&report)[0];
    assert_eq!((&entry["exhaustive"], &entry["conformance"]), (&Value::Null, &Value::Null));
    assert_eq!(entry["smt"]["ok"], true);
    let plain = String::from_utf8(chebyshare(&["verify", "relu/k40-f13-w9"]).stdout).unwrap();
    // In its row, and below the table.
    assert_eq!(plain.matches("not run").count(), 8, "{plain}");
    let columns = ["certified", "witness", "exhaustive", "tightness", "pieces", "ms", "smt", "conformance", "second"];
    assert!(columns.iter().all(|column| plain.lines().next().unwrap().contains(column)), "{plain}");
}

#[test]
fn every_shipped_entry_conforms() {
    let report = json(&["--json", "verify", "--all", "--with", "conformance", "--points", POINTS]);
    assert_eq!(entries(&report).len(), shipped().len());
    for entry in entries(&report) {
        let (name, found) = (&entry["entry"], &entry["conformance"]);
        assert_eq!(found["ok"], true, "{name}: {found}");
        assert!(found["points"].as_u64().unwrap() > 4096 && found["seams"].as_u64().unwrap() > 10, "{name}");
        let error = |value: &Value| value.as_str().unwrap().parse::<f64>().unwrap();
        let (largest, certified) = (error(&found["largest_error"]), error(&entry["certified_error"]));
        assert!(largest <= certified, "{name}: {largest} and {certified}");
        // A run that stayed far below what is certified did not visit the places that matter.
        assert!(largest >= 0.4 * certified, "{name}: {largest} and {certified}");
        // Bytes are counted at the frames, and both roundings occur wherever there are any.
        assert!(found["bytes"].as_u64().unwrap() > 0, "{name}");
        assert_eq!(found["rounds"], entry["rounds"], "{name}");
        let roundings = [&found["rounded_down"], &found["rounded_up"]].map(|count| count.as_u64().unwrap());
        assert_eq!(roundings[0] > 0, roundings[1] > 0, "{name}");
    }
}

/// An entry with a coefficient that is off, published under its original claim: the checker rejects it, and the lane
/// says at which input it is false.
#[test]
fn a_false_claim_is_refuted_with_its_input_and_both_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let name = "exp/k64-f16-w10-1e-4";
    let catalog = command::tampered(folder.path(), name, |text| {
        let line = text.lines().rfind(|line| line.contains("by ") && line.contains("# >>")).unwrap();
        let (before, after) = line.split_once(" = ").unwrap();
        let (constant, rest) = after.split_once(' ').unwrap();
        let changed: i128 = constant.parse::<i128>().unwrap() + (1 << 42);
        text.replace(line, &format!("{before} = {changed} {rest}"))
    });
    let catalog = catalog.to_str().unwrap();
    let output = chebyshare(&["--catalog", catalog, "verify", "--all", "--with", "conformance", "--points", POINTS]);
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    for word in [name, "conformance: input ", "has error", "certified is "] {
        assert!(message.contains(word), "{message}");
    }
}
