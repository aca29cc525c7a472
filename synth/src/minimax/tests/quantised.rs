//! Integer coefficients against rounding and against enumeration.

use super::*;
use rug::Integer;

#[test]
fn never_worse_than_rounding() {
    let options = Options::default();
    let search = QuantiseOptions { nodes: 60, passes: 30, ..Default::default() };
    let half = Rational::from((1, 2));
    let cases = [
        absolute(&exponential, interval(-10, 0), Basis::full(8)),
        absolute(&exponential, interval(-1, 1), Basis::full(6)),
        absolute(&gelu, interval(-4, 4), Basis::even(10).with_fixed(1, half).unwrap()),
        absolute(&sine, interval(-3, 3), Basis::full(7)),
    ];
    for problem in &cases {
        let best = fit(problem, &options).unwrap();
        for bits in [6, 16, 30] {
            let steps = vec![-bits; best.coefficients.len()];
            let found = quantise(problem, &best, &steps, &options, &search).unwrap();
            assert!(found.error <= found.rounded_error);
            assert!(found.error >= best.lower_bound);
            assert_eq!(quantise(problem, &best, &steps, &options, &search).unwrap(), found);
            let measured = dense_error(problem, &found.integers, bits);
            assert!(excess(&measured, &found.error) < 1e-6, "{measured} {}", found.error);
        }
    }
}

#[test]
fn wide_raw_variables_are_rescued() {
    // Rounding raw monomials on a wide domain loses everything; the search does not.
    let problem = absolute(&exponential, interval(-10, 0), Basis::full(12));
    let options = Options::default();
    let best = fit(&problem, &options).unwrap();
    let search = QuantiseOptions::default();
    let found = quantise(&problem, &best, &[-24; 13], &options, &search).unwrap();
    assert!(found.rounded_error > 100, "{}", found.rounded_error);
    assert!(found.error < 5e-4, "{}", found.error);
    assert!(found.exhausted);
}

#[test]
fn enumeration_finds_nothing_better() {
    let problem = absolute(&exponential, interval(-1, 1), Basis::full(3));
    let options = Options::default();
    let best = fit(&problem, &options).unwrap();
    for bits in [3, 5, 8] {
        let steps = [-bits; 4];
        let search = QuantiseOptions { nodes: 100_000, passes: 10, ..Default::default() };
        let found = quantise(&problem, &best, &steps, &options, &search).unwrap();
        assert!(found.exhausted);
        let around: Vec<Integer> =
            best.coefficients.iter().map(|value| (value.clone() << bits).to_integer().unwrap()).collect();
        let mut least = f64::INFINITY;
        for code in 0..7u32.pow(4) {
            let integers: Vec<Integer> = around
                .iter()
                .enumerate()
                .map(|(index, centre)| Integer::from(centre + (code / 7u32.pow(index as u32)) % 7) - 3)
                .collect();
            least = least.min(fast_error(&integers, bits));
        }
        let ratio = found.error.to_f64() / least;
        assert!(ratio < 1.002, "{bits} bits: {ratio}");
    }
}

/// The largest error over a uniform grid, in high precision.
fn dense_error(problem: &Problem, integers: &[Integer], bits: i32) -> Float {
    let hull = problem.domain.hull();
    let (low, high) = (Float::with_val(128, hull.low()), Float::with_val(128, hull.high()));
    let mut largest = Float::new(128);
    for index in 0..=1000u32 {
        let x = Float::with_val(128, &high - &low) * index / 1000u32 + &low;
        let mut error = problem.target.value(&x, 128);
        let fixed = problem.basis.fixed().iter().map(|(e, c)| (*e, Float::with_val(128, c)));
        let free = problem.basis.exponents().iter().copied();
        let free = free.zip(integers.iter().map(|k| Float::with_val(128, k) >> bits));
        for (exponent, coefficient) in fixed.chain(free) {
            error -= coefficient * Float::with_val(128, rug::ops::Pow::pow(&x, exponent));
        }
        largest.max_mut(&error.as_abs());
    }
    largest
}

/// The largest error of a cubic for exp on [-1, 1].
fn fast_error(integers: &[Integer], bits: i32) -> f64 {
    let coefficients: Vec<f64> = integers.iter().map(|integer| integer.to_f64() / f64::from(1 << bits)).collect();
    (0..=600).fold(0.0, |largest: f64, index| {
        let x = f64::from(index) / 300.0 - 1.0;
        let value = coefficients.iter().rev().fold(0.0, |sum, coefficient| sum * x + coefficient);
        largest.max((value - x.exp()).abs())
    })
}
