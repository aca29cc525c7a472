//! The exact models against the one evaluator, with roundings drawn at random.

#![allow(clippy::unwrap_used)]

use crate::pieces::{CaseSheet, Piece, pieces};
use catalogs::{Adversary, Catalog, Entry, Op, Ring, Rounding, ValueId, evaluate};
use rug::{Integer, Rational};
use std::path::Path;
use verify::certificate::Certificate;

/// Draws every choice from a simple generator.
struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

impl Adversary for Random {
    fn rounding(&mut self, _: ValueId, _: i128, rounding: Rounding) -> i8 {
        let choices = u64::from(rounding.high.abs_diff(rounding.low)) + 1;
        rounding.low + self.next(choices) as i8
    }
    fn outside(&mut self, _: ValueId, _: i128, ring: Ring) -> i128 {
        let drawn = (ring.bits() - 1).min(20);
        i128::from(self.next(1 << drawn)) << (ring.bits() - 1 - drawn)
    }
    fn band(&mut self, _: ValueId, _: i128, _: bool) -> bool {
        self.next(2) == 1
    }
}

/// |output − p(t)| over Σ|Sᵢ| + slack.
fn ratio(sheet: &CaseSheet, t: &Rational, output: i128) -> Rational {
    let p = sheet.polynomial.iter().rev().fold(Rational::new(), |sum, c| sum * t + c);
    let spread = Rational::from(Integer::from(&sheet.rounding + &sheet.slack));
    let distance = (Rational::from(Integer::from(output) << 64) - p).abs();
    if spread == 0 { distance } else { distance / spread }
}

fn worst_ratio(entry: &Entry, piece: &Piece, random: &mut Random) -> Rational {
    let width = piece.high.abs_diff(piece.low);
    let mut worst = Rational::new();
    for _ in 0..200 {
        let offset = random.next(width.saturating_add(1).min(1 << 30)) * (width >> 30).max(1);
        let input = piece.low + offset as i64;
        let (l, h) = (i128::from(piece.low), i128::from(piece.high));
        let t = if l == h { Rational::new() } else { Rational::from((2 * i128::from(input) - l - h, h - l)) };
        let output = evaluate(&entry.program, input.into(), random);
        let nearest = piece.cases.iter().map(|sheet| ratio(sheet, &t, output)).min().unwrap();
        worst = worst.max(nearest);
    }
    worst
}

#[test]
fn executions_stay_inside_the_models_and_come_near_their_ends() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let catalog = Catalog::open(&root.join("catalogs"), &root.join("proofs")).unwrap();
    let mut random = Random(7);
    for (name, published) in catalog.iter() {
        let entry = Entry::parse(&published.entry).unwrap();
        let certificate = Certificate::parse(&published.certificate).unwrap();
        let mut worst = Rational::new();
        for piece in pieces(&entry, &certificate).unwrap() {
            let found = worst_ratio(&entry, &piece, &mut random);
            assert!(found <= 1, "{name}, piece {}: {}", piece.number, found.to_f64());
            worst = worst.max(found);
        }
        // A model that is far too wide would contain everything; a rectifier rounds nothing.
        let rounds = |op: &Op| matches!(op, Op::Sum(sum) if sum.truncation.is_some());
        let rounded = entry.program.ops().iter().any(rounds);
        assert!(if rounded { worst > 0.5 } else { worst == 0 }, "{name}: {}", worst.to_f64());
    }
}
