//! Entries that lie must be noticed by the lanes themselves, without the checker.

#![allow(clippy::unwrap_used)]

use super::{Effort, Finding, Lane, Lanes, conformance};
use catalogs::{Entry, Op, Program, Published};
use verify::certificate::Certificate;

const EFFORT: Effort = Effort { points: 1 << 12, resume: None };

fn published(name: &str) -> (Entry, Certificate) {
    let (_, entry, certificate) = crate::catalog_folder::STANDARD.iter().find(|(known, ..)| *known == name).unwrap();
    (Entry::parse(entry).unwrap(), Certificate::parse(certificate).unwrap())
}

/// The original claim about a program whose largest polynomial coefficient is off by one part in `part`.
fn perturbed(entry: &Entry, part: i128) -> Entry {
    let mut ops = entry.program.ops().to_vec();
    let terms = ops.iter_mut().filter_map(|op| match op {
        Op::Sum(sum) if sum.truncation.is_some() => Some(&mut sum.linear),
        _ => None,
    });
    let largest = terms.flatten().max_by_key(|term| term.coefficient.abs()).unwrap();
    largest.coefficient += largest.coefficient / part;
    let (ring, scale) = entry.program.input();
    let program = Program::new(ring, scale, entry.program.lemmas().to_vec(), ops).unwrap();
    Entry { claim: entry.claim.clone(), program }
}

fn run(lane: Lane, entry: &Entry, certificate: &Certificate) -> Finding {
    let published = Published { entry: entry.to_text(), certificate: certificate.to_text() };
    let findings = Lanes::new(&[lane], EFFORT).examine("tried", &published);
    let [exhaustive, smt, conformance] = [findings.exhaustive, findings.smt, findings.conformance];
    exhaustive.or(smt).or(conformance).unwrap()
}

const TRIED: [&str; 3] = ["gelu/k64-f16-w9-2e-4", "exp/k64-f16-w10-1e-4", "reciprocal/k64-f24-o26-n16-1e-4"];

#[test]
fn a_perturbed_coefficient_is_noticed_by_both_lanes() {
    for name in TRIED {
        let (entry, certificate) = published(name);
        let mutant = perturbed(&entry, 100);
        for lane in [Lane::Conformance, Lane::Exhaustive] {
            assert!(run(lane, &entry, &certificate).ok, "{name}: {lane:?}");
            let finding = run(lane, &mutant, &certificate);
            let reason = finding.reason.unwrap();
            assert!(!finding.ok, "{name}: {lane:?}");
            // The input and both numbers.
            assert!(reason.contains("input ") && reason.contains(&entry.claim.bound.to_string()), "{reason}");
        }
    }
}

/// A bound just below what the parties reach, a witness just above what can be reached.
#[test]
fn a_bound_that_is_too_good_and_a_witness_that_is_too_bad_are_noticed() {
    for name in TRIED {
        let (mut entry, mut certificate) = published(name);
        certificate.witness.error = grown(entry.claim.bound, 1);
        let reason = run(Lane::Exhaustive, &entry, &certificate).reason.unwrap();
        assert!(reason.contains("witness"), "{reason}");
        let (_, original) = published(name);
        entry.claim.bound = grown(original.witness.error, -5);
        let reason = run(Lane::Exhaustive, &entry, &original).reason.unwrap();
        assert!(reason.contains("certified is"), "{reason}");
        let reason = run(Lane::Smt, &entry, &original).reason.unwrap();
        assert!(reason.contains("-claim: Z3 answers Sat"), "{reason}");
        // The parties draw their roundings and seldom meet the worst ones.
        entry.claim.bound = grown(original.witness.error, -60);
        let reason = run(Lane::Conformance, &entry, &original).reason.unwrap();
        assert!(reason.contains("certified is"), "{reason}");
    }
}

/// `percent` more of it.
fn grown(error: catalogs::Decimal, percent: i128) -> catalogs::Decimal {
    let factor = catalogs::Decimal::new(100 + percent, -2).unwrap();
    catalogs::Decimal::round_up(&(error.to_rational() * factor.to_rational()), 9).unwrap()
}

#[test]
fn lemmas_of_an_entry_are_proved_and_an_unserved_one_stops_every_lane() {
    let (entry, certificate) = published("relu/k40-f13-w9");
    let finding = run(Lane::Smt, &entry, &certificate);
    assert!(finding.ok, "{:?}", finding.reason);
    assert_eq!(finding.figures["confirmed"], finding.figures["queries"]);
    assert_eq!(finding.figures["obligations"], 7);
    // One operand although bits are dropped: rss3 does not offer it.
    let text = entry.to_text().replace("dropped 0 operands 1", "dropped 4 operands 1");
    let unserved = Entry::parse(&text).unwrap();
    let finding = run(Lane::Smt, &unserved, &certificate);
    assert!(!finding.ok && finding.reason.unwrap().contains("could not run"));
    let finding = conformance::examine(&unserved, &certificate, EFFORT.points, &|_, _| {});
    assert!(!finding.ok && finding.reason.unwrap().contains("may fail, or not at all"));
}

#[test]
fn files_that_do_not_parse_are_findings() {
    let published = Published { entry: "no entry".into(), certificate: "no certificate".into() };
    let findings = Lanes::new(&[Lane::Smt, Lane::Conformance], EFFORT).examine("tried", &published);
    assert!(findings.exhaustive.is_none() && !findings.smt.unwrap().ok && !findings.conformance.unwrap().ok);
}
