//! Shipped files are what the code writes, every query is answered as expected, and mutants are noticed.

use super::*;
use crate::EvidenceError;
use catalogs::{Failure, Ring, Rounding};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(20);

fn shipped_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(SHIPPED_FOLDER)
}

#[test]
fn lemmas_that_nobody_offers_have_no_formula() {
    let ring = Ring::Z64;
    let rounding = Rounding { low: 0, high: 0 };
    let exact =
        Lemma::Truncation { ring, target: ring, shift: 16, window: Some(62), rounding, failure: Failure::Never };
    assert!(matches!(lemma_queries(&exact), Err(EvidenceError::NoFormula { .. })));
    let absurd = Lemma::Sign { width: 20, dropped: 19, operands: 2 };
    assert!(matches!(lemma_queries(&absurd), Err(EvidenceError::NoFormula { .. })));
}

#[test]
fn a_text_that_is_not_smtlib_is_an_error_and_not_sat() {
    let query = Query {
        name: "broken".into(),
        header: vec![],
        smtlib: "(set-logic QF_BV)\n(assert (bvult x x))\n(check-sat)\n".into(),
        expected: Expected::Sat,
    };
    assert!(matches!(prove(&query, TIMEOUT), Err(EvidenceError::Solver { .. })));
    let empty = Query { smtlib: "(check-sat)\n".into(), ..query };
    assert!(prove(&empty, TIMEOUT).is_err());
}

/// `EVIDENCE_WRITE_LEMMAS=1` writes the files instead of comparing them.
#[test]
fn shipped_files_are_regenerated_byte_for_byte() {
    let queries = shipped_queries().unwrap();
    if std::env::var_os("EVIDENCE_WRITE_LEMMAS").is_some() {
        write_files(&shipped_folder(), &queries).unwrap();
    }
    let mut shipped = BTreeMap::new();
    for file in std::fs::read_dir(shipped_folder()).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        shipped.insert(name, std::fs::read_to_string(&path).unwrap());
    }
    let regenerated = regenerate(&queries);
    let names = |files: &BTreeMap<String, String>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&shipped), names(&regenerated));
    for (name, text) in &regenerated {
        assert_eq!(shipped[name], *text, "{name} differs from what the code writes");
    }
    // The same name never stands for two texts, and every proof has a twin.
    for query in &queries {
        assert_eq!(regenerated[&file_name(query)], query.file_text());
        let stem = query.name.trim_end_matches(".twin");
        assert!(regenerated.contains_key(&format!("{stem}.smt2")));
        assert!(regenerated.contains_key(&format!("{stem}.twin.smt2")));
    }
}

fn confirm_all(queries: Vec<Query>) {
    let distinct: BTreeMap<String, Query> = queries.into_iter().map(|query| (query.name.clone(), query)).collect();
    for (name, query) in &distinct {
        let verdict = prove(query, TIMEOUT).unwrap();
        assert!(verdict.confirms(query.expected), "{name}: {verdict:?}, expected {:?}", query.expected);
    }
}

/// All but the bands of four operands beyond 32 bits and some shifts of the widest truncation, which together take many
/// seconds: `proofs/recheck` asks those too.
#[test]
fn every_shipped_lemma_is_proved_and_every_twin_refuted() {
    let mut slow = vec!["band-40-26-8-4".to_owned(), "band-64-32-8-4".to_owned()];
    slow.extend([10, 12, 14, 18, 20, 22, 26, 28, 30].map(|shift| format!("truncation-64-64-{shift}")));
    let (asked, left): (Vec<Query>, Vec<Query>) = shipped_queries()
        .unwrap()
        .into_iter()
        .partition(|query| !slow.iter().any(|name| name == query.name.trim_end_matches(".twin")));
    assert_eq!(left.len(), 2 * slow.len());
    let _ = writeln!(std::io::stderr(), "NOT RUN here, by proofs/recheck only: {}", slow.join(", "));
    confirm_all(asked);
}

#[test]
fn lemmas_out_of_their_limits_have_no_queries() {
    let ring = |bits| Ring::new(bits).unwrap();
    // Nothing dropped, wider than the ring, five operands.
    for (width, dropped, operands) in [(20, 0, 2), (33, 6, 2), (20, 6, 5), (20, 19, 2)] {
        assert!(band_queries(ring(32), width, dropped, operands).is_none());
    }
    // A target that forgets the wrap, a window below the shift, one without room for the offset.
    for (target, shift, window) in [(20, 12, 24), (32, 12, 11), (32, 12, 31), (32, 0, 24), (64, 31, 31)] {
        assert!(may_fail_queries(ring(32), ring(target), shift, window).is_none());
    }
}

/// The count of failing masks and the band, by enumeration of a small ring: the formulas' own numbers.
#[test]
fn failures_and_bands_are_what_enumeration_finds() {
    let (k, shift, window) = (8u32, 3u32, 5u32);
    for z in -(1i64 << window)..1 << window {
        let raised = z + (1 << window);
        let wrong = |mask: &i64| {
            let opened = (raised + mask) & ((1 << k) - 1);
            let y = (opened >> shift) - (mask >> shift) - (1 << (window - shift));
            ![z >> shift, (z >> shift) + 1].contains(&y)
        };
        assert_eq!((0i64..1 << k).filter(wrong).count() as i64, raised, "z = {z}");
    }
    let small = may_fail_queries(Ring::new(8).unwrap(), Ring::new(8).unwrap(), 3, 5).unwrap();
    let band = band_queries(Ring::new(8).unwrap(), 6, 2, 3).unwrap();
    confirm_all(small.into_iter().chain(band).collect());
}

/// The limits of what rss3 offers: least and greatest shifts, the widest narrow target, whole-ring signs.
#[test]
fn lemmas_at_the_limits_of_the_offer() {
    let ring = |bits| Ring::new(bits).unwrap();
    let truncation = |k: u8, target: u8, shift, window| Lemma::Truncation {
        ring: ring(k),
        target: ring(target),
        shift,
        window,
        rounding: Rounding::FLOOR_OR_NEXT,
        failure: Failure::Never,
    };
    let lemmas = [
        truncation(64, 64, 1, Some(62)),
        truncation(64, 64, 61, Some(62)),
        truncation(40, 40, 16, Some(38)),
        truncation(4, 4, 1, Some(2)),
        truncation(64, 48, 16, None),
        truncation(64, 2, 62, None),
        truncation(5, 4, 1, None),
        Lemma::Sign { width: 64, dropped: 0, operands: 1 },
        Lemma::Sign { width: 64, dropped: 8, operands: 2 },
        Lemma::Sign { width: 64, dropped: 62, operands: 2 },
        // Wider than the rings that are executed.
        Lemma::Sign { width: 65, dropped: 34, operands: 2 },
        Lemma::Sign { width: 128, dropped: 100, operands: 2 },
        truncation(128, 128, 100, Some(126)),
        Lemma::Injection { ring: ring(128) },
        Lemma::Sign { width: 2, dropped: 0, operands: 1 },
        Lemma::Sign { width: 3, dropped: 1, operands: 2 },
        Lemma::Sign { width: 4, dropped: 2, operands: 2 },
        Lemma::Injection { ring: ring(3) },
    ];
    let every_shift = (1..=5).map(|shift| truncation(8, 8, shift, Some(6)));
    let lemmas: Vec<Lemma> = lemmas.into_iter().chain(every_shift).collect();
    confirm_all(lemmas.iter().flat_map(|lemma| lemma_queries(lemma).unwrap()).collect());
}

/// Mutants of the executed formula: each breaks one step, and each must be noticed.
#[test]
fn mutated_protocols_are_refuted() {
    let lemma = &shipped_lemmas()[4];
    let query = &lemma_queries(lemma).unwrap()[0];
    assert_eq!(query.name, "truncation-64-64-16");
    let mutants = [
        ("(define-fun a1 () (_ BitVec 64) (bvsub ", "(define-fun a1 () (_ BitVec 64) (bvadd "),
        ("(bvadd again12 again21 ", "(bvadd again12 u1 "),
        ("(bvneg ((_ zero_extend 17)", "(bvnot ((_ zero_extend 17)"),
        ("(_ bv4611686018427387904 64)) r13)", "(_ bv0 64)) r13)"),
        ("((_ extract 62 16) c)", "((_ extract 62 16) z)"),
        ("(bvmul (_ bv140737488355328 64) u3)", "(bvmul (_ bv70368744177664 64) u3)"),
    ];
    for (from, to) in mutants {
        let smtlib = query.smtlib.replacen(from, to, 1);
        assert_ne!(smtlib, query.smtlib, "the mutation '{from}' does not apply");
        let mutant = Query { smtlib, ..query.clone() };
        assert_eq!(prove(&mutant, TIMEOUT).unwrap(), Verdict::Sat, "mutant '{to}'");
    }
}

/// Any other solver that is on the path answers a query of every kind in the same way.
#[test]
fn external_solvers_agree() {
    let queries = shipped_queries().unwrap();
    let kinds = [
        "truncation-64-64-16",
        "truncation-64-32-16",
        "sign-20-2",
        "sign-chunk-3-of-3",
        "sign-and",
        "injection-64",
        "truncation-may-fail-32-32-12-24",
    ];
    for solver in externals() {
        if solver.path.is_none() {
            let _ = writeln!(
                std::io::stderr(),
                "NOT RUN: the solver command '{}' is not on the path; only the linked Z3 was asked",
                solver.name
            );
            continue;
        }
        for query in queries.iter().filter(|query| kinds.contains(&query.name.trim_end_matches(".twin"))) {
            let verdict = prove_externally(&solver, query, TIMEOUT).unwrap();
            assert!(verdict.confirms(query.expected), "{}: {} says {verdict:?}", query.name, solver.name);
        }
    }
}
