//! Where a function can be fitted, for whoever asked for a domain on which it cannot.

use crate::expression::Expression;
use evidence::Interval;
use rug::float::Round;
use rug::{Float, Rational};

/// Cells of a domain that are looked at.
const CELLS: u32 = 64;
const PRECISION: u32 = 128;
/// Parts that are named.
const PARTS: usize = 2;

/// The longest parts of [`low`, `high`] over which the function is proved to be bounded, ascending; as `LOW,HIGH`.
pub fn served(function: &Expression, low: &Rational, high: &Rational) -> Vec<String> {
    let end = |cell: u32| Rational::from(high - low) * Rational::from((cell, CELLS)) + low;
    let bounded = |cell: u32| {
        let ends = (
            Float::with_val_round(PRECISION, end(cell), Round::Down).0,
            Float::with_val_round(PRECISION, end(cell + 1), Round::Up).0,
        );
        let series = Interval::new(ends.0, ends.1).and_then(|cell| function.taylor(&cell, 0));
        series.is_some_and(|series| series[0].is_finite())
    };
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for cell in (0..CELLS).filter(|&cell| bounded(cell)) {
        match runs.last_mut() {
            Some((_, last)) if *last == cell => *last = cell + 1,
            _ => runs.push((cell, cell + 1)),
        }
    }
    runs.sort_by_key(|(first, last)| (*first + CELLS - *last, *first));
    runs.truncate(PARTS);
    runs.sort_unstable();
    runs.into_iter().map(|(first, last)| format!("{},{}", end(first), end(last))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_beside_a_pole() {
        let of = |text: &str, low: i32, high: i32| {
            served(&Expression::parse(text).unwrap(), &Rational::from(low), &Rational::from(high))
        };
        assert_eq!(of("1/x", -1, 1), ["-1,-1/32", "1/32,1"]);
        assert_eq!(of("log(x)", 0, 1), ["1/64,1"]);
        assert_eq!(of("exp(x)", -1, 1), ["-1,1"]);
        assert!(of("log(x)", -2, -1).is_empty());
    }
}
