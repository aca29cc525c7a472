//! Obligations of the shipped entries: recorded byte for byte, a fixed subset proved here, and false ones refuted.

#![allow(clippy::unwrap_used)]

use catalogs::{Catalog, Decimal, Entry};
use evidence::Verdict;
use evidence::smt::{RECORDS_FOLDER, Record, linked_solver, obligations, prove};
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use verify::certificate::Certificate;

/// For one obligation.
const TIMEOUT: Duration = Duration::from_secs(120);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn shipped() -> Vec<(String, Entry, Certificate)> {
    let catalog = Catalog::open(&root().join("catalogs"), &root().join("proofs")).unwrap();
    let parsed = catalog.iter().map(|(name, published)| {
        let entry = Entry::parse(&published.entry).unwrap();
        (name.to_owned(), entry, Certificate::parse(&published.certificate).unwrap())
    });
    parsed.collect()
}

fn record_path(name: &str) -> PathBuf {
    root().join(RECORDS_FOLDER).join(format!("{name}.record"))
}

/// `EVIDENCE_WRITE_RECORDS=1` asks the linked solver about every obligation of every shipped entry and writes the
/// records instead of comparing them: some minutes. `EVIDENCE_WRITE_RECORDS=missing` writes those that do not exist.
#[test]
fn every_shipped_entry_has_a_record_of_its_obligations() {
    let write = std::env::var("EVIDENCE_WRITE_RECORDS");
    for (name, entry, certificate) in shipped() {
        let queries = obligations(&entry, &certificate).unwrap();
        let path = record_path(&name);
        if write.as_ref().is_ok_and(|which| which != "missing" || !path.exists()) {
            let started = Instant::now();
            let answer = |query: &evidence::Query| (query.clone(), prove(query, TIMEOUT).unwrap());
            let answers: Vec<_> = queries.par_iter().map(answer).collect();
            let others = answers.iter().filter(|(_, verdict)| *verdict != Verdict::Unsat).count();
            println!("{name}: {} obligations, {others} not unsat, {:.1?}", answers.len(), started.elapsed());
            let solver = format!("{}, {} seconds each", linked_solver(), TIMEOUT.as_secs());
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, Record::new(&entry, &certificate, &solver, &answers).to_text()).unwrap();
        }
        let record = Record::parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
        record.matches(&entry, &certificate, &queries).unwrap_or_else(|reason| panic!("{name}: {reason}"));
        assert!(record.lines.iter().all(|line| line.verdict != "sat"), "{name} has a refuted obligation");
    }
}

/// Entries whose obligations are all asked here; every other one is asked by `verify --all --with smt`.
const PROVED: [&str; 5] = [
    "exp/k64-f16-w10-1e-4",
    "gelu/k64-f16-w9-2e-4",
    "relu/k40-f13-w9",
    "reciprocal/k64-f24-o26-n16-1e-4",
    "sigmoid/k64-f16-w9-1e-3",
];

fn find(name: &str) -> (Entry, Certificate) {
    let (_, entry, certificate) = shipped().into_iter().find(|(known, ..)| known == name).unwrap();
    (entry, certificate)
}

/// Names of the obligations that are satisfiable; none may be unknown.
fn refuted(queries: &[evidence::Query]) -> Vec<String> {
    let verdicts: Vec<Verdict> = queries.par_iter().map(|query| prove(query, TIMEOUT).unwrap()).collect();
    assert!(verdicts.iter().all(|verdict| !matches!(verdict, Verdict::Unknown(_))), "{verdicts:?}");
    let refuted = queries.iter().zip(verdicts).filter(|(_, verdict)| *verdict == Verdict::Sat);
    refuted.map(|(query, _)| query.name.clone()).collect()
}

#[test]
fn a_fixed_set_of_entries_is_proved_here() {
    for name in PROVED {
        let (entry, certificate) = find(name);
        assert_eq!(refuted(&obligations(&entry, &certificate).unwrap()), [""; 0], "{name}");
    }
}

/// One unit of the last digit less.
fn one_unit_less(value: Decimal) -> Decimal {
    let text = value.to_string();
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let decimals = digits.split_once('.').map_or(0, |(_, decimals)| decimals.len() as i16);
    let mantissa: i128 = digits.replace('.', "").parse().unwrap();
    Decimal::new(mantissa - 1, exponent.parse::<i16>().unwrap() - decimals).unwrap()
}

/// The checker would reject these; the obligations are built without asking it. A statement that is one unit of its
/// last digit too small is false in most pieces, as the checker's bounds are nearly attained, and a bound below the
/// witness is false for certain.
#[test]
fn a_bound_that_is_one_unit_too_small_is_satisfiable() {
    for (name, attained, bound) in [
        ("sigmoid/k64-f16-w9-1e-3", Some("piece-009-case-0-approximation"), Some("piece-009-case-0-claim")),
        ("exp/k64-f16-w10-1e-4", Some("piece-002-case-0-approximation"), None),
        ("relu/k40-f13-w9", None, Some("piece-001-case-0-claim")),
    ] {
        let (entry, original) = find(name);
        if let Some(attained) = attained {
            let mut certificate = original.clone();
            let stated =
                certificate.pieces.iter_mut().filter(|piece| piece.approximation != Decimal::ZERO && !piece.tail);
            stated.for_each(|piece| piece.approximation = one_unit_less(piece.approximation));
            let found = refuted(&obligations(&entry, &certificate).unwrap());
            assert!(found.contains(&attained.to_owned()), "{name}: {found:?}");
            assert!(found.iter().all(|name| name.ends_with("-approximation")), "{name}: {found:?}");
        }
        let mut claims = vec![(one_unit_less(original.witness.error), None)];
        claims.extend(bound.map(|piece| (one_unit_less(entry.claim.bound), Some(piece))));
        for (bound, piece) in claims {
            let mut entry = entry.clone();
            entry.claim.bound = bound;
            let found = refuted(&obligations(&entry, &original).unwrap());
            assert!(!found.is_empty() && found.iter().all(|name| name.ends_with("-claim")), "{name}: {found:?}");
            assert!(piece.is_none_or(|piece| found.contains(&piece.to_owned())), "{name}: {found:?}");
        }
    }
}

/// A coefficient that is off by one part in a hundred, a gap, an overlap.
#[test]
fn mutants_are_refuted_where_they_are_wrong() {
    let name = "sigmoid/k64-f16-w9-1e-3";
    let (entry, certificate) = find(name);
    // The middle piece only: elsewhere the two changes cancel.
    let text = entry.to_text().replace("+28377*v6 -28347*v9", "+28577*v6 -28547*v9");
    let mutant = Entry::parse(&text).unwrap();
    let found = refuted(&obligations(&mutant, &certificate).unwrap());
    assert!(found.contains(&"piece-006-case-0-claim".to_owned()), "{found:?}");
    assert!(found.contains(&"piece-006-case-0-approximation".to_owned()), "{found:?}");
    for change in [1, -1] {
        let mut moved = certificate.clone();
        moved.pieces[3].high += change;
        assert!(refuted(&obligations(&entry, &moved).unwrap()).contains(&"tiling".to_owned()));
    }
    let mut short = certificate;
    short.pieces.pop();
    assert_eq!(refuted(&obligations(&entry, &short).unwrap()), ["tiling"]);
}

#[test]
fn records_that_are_not_canonical_or_of_something_else_are_refused() {
    let name = "relu/k40-f13-w9";
    let (entry, certificate) = find(name);
    let queries = obligations(&entry, &certificate).unwrap();
    let text = std::fs::read_to_string(record_path(name)).unwrap();
    let record = Record::parse(&text).unwrap();
    for (from, to) in [
        ("end\n", "end"),
        ("unsat\nend", "maybe\nend"),
        ("solver", "oracle"),
        ("tiling ", "tiling  "),
        ("obligations 1", "obligations 2"),
    ] {
        let broken = text.replacen(from, to, 1);
        assert_ne!(broken, text);
        assert!(Record::parse(&broken).is_err(), "{to:?}");
    }
    let (other, other_certificate) = find("relu/k64-f16-w9");
    assert!(record.matches(&other, &other_certificate, &queries).unwrap_err().contains("of entry"));
    assert!(record.matches(&entry, &other_certificate, &queries).unwrap_err().contains("certificate"));
    assert!(record.matches(&entry, &certificate, &queries[1..]).unwrap_err().contains("lines"));
    let mut swapped = queries;
    swapped.swap(1, 2);
    assert!(record.matches(&entry, &certificate, &swapped).unwrap_err().contains("recorded"));
}

/// No record of an entry that is not published, and all of them small.
#[test]
fn records_are_of_published_entries_only() {
    let names: Vec<PathBuf> = shipped().iter().map(|(name, ..)| record_path(name)).collect();
    let mut bytes = 0;
    for function in std::fs::read_dir(root().join(RECORDS_FOLDER)).unwrap() {
        for file in std::fs::read_dir(function.unwrap().path()).unwrap() {
            let file = file.unwrap();
            bytes += file.metadata().unwrap().len();
            assert!(names.contains(&file.path()), "{}: of no published entry", file.path().display());
        }
    }
    assert!(bytes < 4 << 20, "{bytes} bytes of records");
}
