//! `chebyshare export`, and `proofs/recheck` over what it writes; what Z3 refutes through `verify --with smt`.

#![allow(clippy::unwrap_used)]
#![cfg(feature = "generate")]

mod command;

use command::{chebyshare, json, root};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

const ENTRY: &str = "relu/k40-f13-w9";

/// Runs `proofs/recheck` on a folder; `None`, loudly, where it cannot be run.
fn recheck(folder: &Path, arguments: &[&str]) -> Option<(i32, String)> {
    let present = |program: &str| Command::new(program).arg("--version").output().is_ok();
    if !present("python3") || !["z3", "cvc5"].iter().any(|solver| present(solver)) {
        let _ = writeln!(std::io::stderr(), "NOT RUN: proofs/recheck needs python3 and a solver command, z3 or cvc5");
        return None;
    }
    let mut command = Command::new("python3");
    command.arg(root().join("proofs/recheck")).arg(folder).args(arguments);
    let Output { status, stdout, stderr } = command.output().unwrap();
    Some((status.code().unwrap(), String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr)))
}

#[test]
fn bad_requests_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let out = out.to_str().unwrap();
    for (arguments, says) in [
        (&["export", "gelu/k64-f16-w9-2e-4", "--to", "coq", "--out", out][..], "Coq-Interval"),
        (&["export", "nothing/of-this-name", "--to", "gappa", "--out", out], "nothing/of-this-name"),
        (&["export", ENTRY, "--to", "prose", "--out", out], "prose"),
        (&["export", ENTRY, "--to", "sollya", "--out", "/proc/nowhere/file.sollya"], "/proc/nowhere"),
    ] {
        let output = chebyshare(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.contains(says), "{message}");
        assert!(!Path::new(out).exists(), "{arguments:?} left something behind");
    }
}

#[test]
fn every_format_is_written_where_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    for (format, out, count) in
        [("smtlib", "obligations", 8), ("sollya", "relu.sollya", 1), ("coq", "coq", 1), ("gappa", "gappa", 0)]
    {
        let place = folder.path().join(out);
        let report = json(&["--json", "export", ENTRY, "--to", format, "--out", place.to_str().unwrap()]);
        let files = report["files"].as_array().unwrap();
        assert!(files.len() >= count, "{format}: {report}");
        assert!(files.iter().all(|file| Path::new(file.as_str().unwrap()).is_file()), "{format}: {report}");
        assert_eq!(report["entry"], ENTRY);
    }
    assert!(folder.path().join("relu.sollya").is_file());
}

/// The exported bytes are the recorded ones, solvers confirm them, and a contradiction is not overlooked.
#[test]
fn recheck_confirms_an_export_against_its_record_and_notices_a_contradiction() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    json(&["--json", "export", ENTRY, "--to", "smtlib", "--out", out.to_str().unwrap()]);
    let record = root().join(format!("proofs/obligations/{ENTRY}.record"));
    let record = record.to_str().unwrap();
    let Some((code, said)) = recheck(&out, &["--record", record]) else { return };
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("7 of 7 obligations have the recorded bytes") && said.contains("all confirmed"), "{said}");
    let path = out.join("piece-001-case-0-claim.smt2");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("answer: unsat", "answer: sat")).unwrap();
    let (code, said) = recheck(&out, &["--quiet", "--record", record]).unwrap();
    assert_eq!(code, 1, "{said}");
    for word in ["CONTRADICTS", "FAILED", "DIFFERS from the record, or is missing: piece-001-case-0-claim"] {
        assert!(said.contains(word), "{said}");
    }
    std::fs::write(&path, text).unwrap();
    // Something else is taken for the record; a query that the record does not know; a lemma without its twin.
    let (code, said) = recheck(&out, &["--record", path.to_str().unwrap()]).unwrap();
    assert!(code == 2 && said.contains("no record of obligations"), "{said}");
    std::fs::rename(out.join("sign-and.twin.smt2"), folder.path().join("elsewhere")).unwrap();
    std::fs::copy(&path, out.join("piece-009-case-0-claim.smt2")).unwrap();
    let (code, said) = recheck(&out, &["--quiet", "--record", record]).unwrap();
    assert_eq!(code, 1, "{said}");
    for word in ["NO TWIN", "sign-and.smt2", "NOT IN THE RECORD: piece-009-case-0-claim", "FAILED"] {
        assert!(said.contains(word), "{said}");
    }
    std::fs::write(&path, "(check-sat)\n").unwrap();
    let (code, said) = recheck(&out, &[]).unwrap();
    assert!(code == 2 && said.contains("Expected answer"), "{said}");
}

/// A false claim, published with a true index: the lane refutes it by itself, naming the obligation.
#[test]
fn a_false_claim_is_refuted_by_an_obligation() {
    let folder = tempfile::tempdir().unwrap();
    let name = "sigmoid/k64-f16-w9-1e-3";
    let catalog = command::tampered(folder.path(), name, |text| text.replace("bound 9.98467e-4", "bound 9.98466e-4"));
    let output = chebyshare(&["--catalog", catalog.to_str().unwrap(), "verify", "--all", "--with", "smt"]);
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    for word in [name, "smt: query piece-009-case-0-claim", "Z3 answers Sat"] {
        assert!(message.contains(word), "{message}");
    }
}
