//! The shipped catalog: every entry is proved again from its files, is as tight as the project promises, and the
//! entries that a user relies on reach their figures.

#![allow(clippy::unwrap_used)]

use catalogs::protocol::{Model, Operation, cost, rss3::Rss3};
use catalogs::{Catalog, Entry, Function, Window};
use rayon::prelude::*;
use rug::Float;
use std::collections::BTreeSet;
use std::path::Path;
use synth::campaign::Outcome;
use synth::families::target;
use verify::{Certificate, Certified, check_texts};

fn shipped() -> Catalog {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    Catalog::open(&root.join("catalogs"), &root.join("proofs")).unwrap()
}

fn certified(catalog: &Catalog, name: &str) -> Certified {
    let (_, published) = catalog.find(name).unwrap();
    check_texts(&published.entry, &published.certificate).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The largest influence of the roundings on any piece, in the claim's norm.
fn rounding_part(entry: &Entry, certificate: &Certificate) -> f64 {
    let claim = &entry.claim;
    let value = |input: i64| {
        let x = Float::with_val(96, input) >> u32::from(entry.program.input().1.bits());
        target::value(&claim.function, &x, 96).to_f64().abs()
    };
    let (absolute, relative) = (claim.norm.absolute.to_f64_lossy(), claim.norm.relative.to_f64_lossy());
    let in_norm = |piece: &verify::PieceProof| {
        // The functions with relative claims are monotone, so |f| is least at an end.
        let unit = absolute + relative * value(piece.low).min(value(piece.high));
        piece.rounding.to_f64_lossy() / unit
    };
    certificate.pieces.iter().map(in_norm).fold(0.0, f64::max)
}

#[test]
fn every_shipped_entry_is_proved_and_tight() {
    let catalog = shipped();
    let campaign = synth::standard::campaign().unwrap();
    assert!(campaign.refused.is_empty(), "{:?}", campaign.refused);
    let names = campaign.jobs.iter().flat_map(|job| job.accuracies.iter().map(|accuracy| job.name_for(accuracy)));
    let names: BTreeSet<String> = names.collect();
    let shipped: BTreeSet<String> = catalog.iter().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(shipped, names, "the campaign and the catalog differ; rebuild it");
    for (name, published) in catalog.iter() {
        let certified = certified(&catalog, name);
        let certificate = Certificate::parse(&published.certificate).unwrap();
        let bound = certified.claim().bound.to_f64_lossy();
        let witness = certificate.witness.error.to_f64_lossy();
        let rounding = rounding_part(certified.entry(), &certificate);
        assert!(bound <= 1.02 * witness + 0.25 * rounding, "{name}: {bound:e} against {witness:e} and {rounding:e}");
        assert!(witness <= bound, "{name}: the witness exceeds the bound");
        let (ring, scale) = certified.program().input();
        if ring.bits() >= 64 && scale.bits() <= 20 {
            // Guard bits leave one rounding that matters.
            assert!(bound <= 1.05 * witness, "{name}: {bound:e} against {witness:e}");
        }
        assert!(certified.needs().iter().all(|lemma| Rss3.offers(lemma).is_some()), "{name} needs another protocol");
        assert_eq!(certified.program().output().0, certified.program().input().0, "{name} changes its ring");
    }
}

/// The shipped catalog is what its campaign makes, byte for byte: every job is done again.
#[test]
fn the_catalog_is_what_its_campaign_makes() {
    let (catalog, campaign) = (shipped(), synth::standard::campaign().unwrap());
    let differences: Vec<String> = campaign
        .jobs
        .par_iter()
        .flat_map_iter(|job| match job.run(&mut |_| {}).outcome {
            Outcome::Unreached(reason) => vec![format!("{}: {reason}", job.name())],
            Outcome::Published(entries) => entries
                .iter()
                .filter_map(|made| {
                    let (_, published) = catalog.find(&made.name).ok()?;
                    let parts = [
                        ("entry", published.entry == made.published.entry),
                        ("certificate", published.certificate == made.published.certificate),
                    ];
                    parts.into_iter().find(|(_, same)| !same).map(|(part, _)| format!("{}: another {part}", made.name))
                })
                .collect(),
        })
        .collect();
    assert!(differences.is_empty(), "rebuild the catalog, as docs/campaign.md says: {differences:#?}");
}

/// A changed digit in a claim, a coefficient or a certificate must not survive.
#[test]
fn tampered_entries_are_rejected() {
    let catalog = shipped();
    let (_, published) = catalog.find("gelu/k64-f16-w9-1e-3").unwrap();
    let tampered_bound = published.entry.replacen("bound ", "bound 1", 1);
    assert!(check_texts(&tampered_bound, &published.certificate).is_err());
    let line = published.certificate.lines().find(|line| line.starts_with("piece")).unwrap();
    let without_piece = published.certificate.replacen(&format!("{line}\n"), "", 1);
    assert!(check_texts(&published.entry, &without_piece).is_err());
    // A true digest of a false claim: half the bound, with the certificate's digest corrected.
    let mut entry = Entry::parse(&published.entry).unwrap();
    entry.claim.bound = catalogs::Decimal::parse("1e-4").unwrap();
    let mut certificate = Certificate::parse(&published.certificate).unwrap();
    certificate.entry = entry.digest();
    let error = verify::check(entry, &certificate).unwrap_err();
    assert!(error.to_string().contains("the error may reach"), "{error}");
}

#[test]
fn figures_are_reached() {
    let catalog = shipped();
    let reaches = |name: &str, bound: f64, bytes: u64, rounds: u16| {
        let certified = certified(&catalog, name);
        let price = cost(certified.program(), &Rss3);
        assert!(certified.claim().bound.to_f64_lossy() <= bound, "{name}: {}", certified.claim().bound);
        assert!(price.bytes() <= bytes && price.rounds <= rounds, "{name}: {price:?}");
        certified
    };
    let half_open = |bits: u32| Window { low: -(1i64 << bits) + 1, high: (1i64 << bits) - 1 };
    let gelu = reaches("gelu/k64-f16-w9-1e-3", 1e-3, 155, 9);
    assert_eq!(gelu.claim().window, half_open(25));
    let exp = reaches("exp/k64-f16-w10-1e-4", 1e-4, 170, 10);
    assert_eq!(exp.claim().window, Window { low: -(1 << 26) + 1, high: 0 });
    for name in ["exp/k64-f16-o24-w10-mixed-2e-6", "exp/k64-f16-o24-w12-mixed-2e-6", "exp/k64-f16-o24-w15-mixed-2e-6"] {
        let exp = reaches(name, 2e-6, 400, 20);
        assert!(exp.program().output().1.bits() >= 24);
    }
    let reciprocal = reaches("reciprocal/k64-f24-o26-n1024-2e-4", 2e-4, 530, 13);
    assert!(reciprocal.program().output().1.bits() >= 22);
    assert!(reciprocal.claim().window.covers(&Window { low: 1 << 24, high: 1024 << 24 }));
    reaches("reciprocal/k64-f24-o26-n64-1e-4", 1e-4, 350, 12);
    reaches("rsqrt/k64-f24-o22-e-17-4-2e-4", 2e-4, 500, 15);
    reaches("rsqrt/k64-f24-o22-e-20-10-2e-4", 2e-4, 750, 16);
    // Entries of few rounds.
    reaches("exp/k64-f16-o24-w10-fast-3.13e-5", 3.13e-5, 310, 8);
    reaches("exp/k64-f16-o24-w15-fast-4e-5", 4e-5, 320, 9);
    let reciprocal = reaches("reciprocal/k64-f24-o26-n64-fast-2e-4", 2e-4, 910, 8);
    // Down to e^-1, where coarse maxima leave a softmax's sum.
    assert!(reciprocal.claim().window.low <= (36 << 24) / 100);
    reaches("rsqrt/k64-f24-o22-e-10-14-fast-5e-4", 5e-4, 6800, 9);
    for name in ["relu/k64-f16-w9", "relu/k64-f16-w14", "relu/k64-f16-w20", "relu/k40-f13-w9"] {
        let relu = reaches(name, 0.0, 100, 12);
        assert_eq!(relu.claim().function, Function::Relu);
    }
    let sign: u32 = Rss3.messages(Operation::Sign { bits: 20 }).iter().map(|message| message.bits).sum();
    assert!(sign.div_ceil(8) <= 16 && Rss3.rounds(Operation::Sign { bits: 20 }) <= 5);
}
