//! Obligations of the shipped entries: recorded byte for byte, a fixed subset proved here, and false ones refuted.

#![allow(clippy::unwrap_used)]

use catalogs::{Catalog, Entry};
use evidence::smt::{RECORDS_FOLDER, Record, linked_solver, obligations, prove};
use evidence::Verdict;
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use verify::certificate::Certificate;

/// For one obligation.
const TIMEOUT: Duration = Duration::from_secs(20);

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
/// records instead of comparing them: some minutes.
#[test]
fn every_shipped_entry_has_a_record_of_its_obligations() {
    let write = std::env::var_os("EVIDENCE_WRITE_RECORDS").is_some();
    for (name, entry, certificate) in shipped() {
        let queries = obligations(&entry, &certificate).unwrap();
        let path = record_path(&name);
        if write {
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
