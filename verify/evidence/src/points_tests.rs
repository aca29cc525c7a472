//! Seams against a scan of every input, and what the sets contain.

use super::*;
use catalogs::{Claim, Decimal, Function, LemmaId, Norm, Ring, Scale, Term};

fn entry(low: i64, high: i64, lemma: Lemma, slope: i128, offset: i128) -> Entry {
    let scale = Scale::new(4).unwrap();
    let injection = Lemma::Injection { ring: Ring::Z64 };
    let sum = |linear: Vec<Term>, constant| {
        Op::Sum(Sum { ring: Ring::Z64, products: vec![], linear, constant, truncation: None, scale })
    };
    let ops = vec![
        Op::Input,
        sum(vec![Term { coefficient: 1, value: ValueId(0) }], 5),
        sum(vec![Term { coefficient: slope, value: ValueId(1) }], offset - 5 * slope),
        Op::Sign { operand: ValueId(2), lemma: LemmaId(0) },
        Op::Inject { bit: ValueId(3), lemma: LemmaId(1) },
    ];
    let program = Program::new(Ring::Z64, scale, vec![lemma, injection], ops).unwrap();
    let fitted = Window { low: low / 4, high: high / 4 };
    let window = Window { low, high };
    let claim = Claim { function: Function::Relu, fitted, window, norm: Norm::ABSOLUTE, bound: Decimal::ONE };
    Entry { claim, program }
}

/// Every place where the bit or the band changes is a seam, for slopes of either sign, by looking at every input.
#[test]
fn seams_are_where_bits_and_bands_change() {
    for (slope, offset) in [(1, 0), (1, -77), (-1, 3), (7, 1), (-5, 200), (300, -11)] {
        for dropped in [0, 3] {
            let lemma = Lemma::Sign { width: 9, dropped, operands: 2 };
            let entry = entry(-700, 900, lemma, slope, offset);
            let found = seams(&entry.program, entry.claim.window);
            let state = |x: i64| {
                let value = slope * i128::from(x) + offset;
                (value >> 8, (value & 255).unsigned_abs() < lemma.band())
            };
            for x in -700..900i64 {
                let changes = state(x) != state(x + 1);
                // The first input on the far side, seen from where the value grows.
                let near = found.contains(&x) || found.contains(&(x + 1));
                assert!(!changes || near, "{slope}x + {offset}, dropped {dropped}: {x} to {}", x + 1);
            }
            assert!(found.len() < 4 * (1600 * slope.unsigned_abs() as usize / 256 + 3), "seams are few");
        }
    }
}

#[test]
fn small_intervals_are_complete_and_everything_is_inside() {
    let lemma = Lemma::Sign { width: 9, dropped: 0, operands: 1 };
    let entry = entry(-700, 900, lemma, 1, -100);
    let extent = Extent { fitted: 1000, strata: 64, seed: 3 };
    let found = arguments(&entry, &[333, 5000], extent);
    assert!(found.fitted_complete && found.values.is_sorted_by(|a, b| a < b));
    let contains = |x: i64| found.values.binary_search(&x).is_ok();
    assert!((-175..=225).all(contains));
    for seam in [-700, 900, 100, -156, 356, 333, 512, -512] {
        for x in (seam - REACH)..=(seam + REACH) {
            assert_eq!(contains(x), (-700..=900).contains(&x), "{x} beside {seam}");
        }
    }
    let outside = found.values.iter().filter(|x| !(-175..=225).contains(*x)).count();
    assert!(outside > 40 && outside < 200, "{outside} outside the fitted interval");
}

/// One point per stratum, not on a lattice, and the ends.
#[test]
fn large_intervals_are_stratified() {
    let lemma = Lemma::Sign { width: 9, dropped: 0, operands: 1 };
    let mut entry = entry(-(1 << 40), 1 << 40, lemma, 1, 0);
    entry.claim.fitted = Window { low: 1 << 20, high: 1 << 36 };
    let extent = Extent { fitted: 1024, strata: 400, seed: 1 };
    let found = arguments(&entry, &[], extent);
    assert!(!found.fitted_complete);
    let size = entry.claim.fitted.size();
    for stratum in 0..1024u128 {
        let from = (1 << 20) + (size * stratum / 1024) as i64;
        let to = (1 << 20) + (size * (stratum + 1) / 1024) as i64;
        assert!(found.values.iter().any(|x| (from..to).contains(x)), "stratum {stratum}");
    }
    let odd = found.values.iter().filter(|x| **x & 1 == 1).count();
    assert!(odd * 3 > found.values.len(), "{odd} odd points of {}", found.values.len());
    for octave in 6..40 {
        for sign in [1, -1] {
            let inside = |x: &i64| (1i64 << octave..1 << (octave + 1)).contains(&(x * sign));
            let count = found.values.iter().filter(|x| inside(x)).count();
            assert!(count >= 5, "octave {octave} of sign {sign} has {count}");
        }
    }
}
