//! What a proof must refuse, and mutants that it must notice.

use super::*;

fn parse(text: &str) -> Expression {
    Expression::parse(text).unwrap()
}

fn rationals(values: &[(i64, i64)]) -> Vec<Rational> {
    values.iter().map(|value| Rational::from(*value)).collect()
}

fn prove(function: &str, fraction: &Fraction, low: i32, high: i32) -> Result<Supremum, SupremumError> {
    let degrees = (fraction.numerator.len() - 1, fraction.denominator.len() - 1);
    let (low, high) = (Rational::from(low), Rational::from(high));
    let points: Vec<Rational> =
        (0..=16).map(|i| low.clone() + Rational::from(&high - &low) * Rational::from((i, 16))).collect();
    supremum(&parse(function), fraction, degrees, (&low, &high), &points)
}

#[test]
fn a_denominator_with_a_zero_is_refused() {
    // 1/(3x − 1), and (x² − 2)⁻¹ whose zero is no rational and whose samples all are finite.
    for (denominator, x) in [(vec![(-1, 1), (3, 1)], "3.3333"), (vec![(-2, 1), (0, 1), (1, 1)], "1.4142")] {
        let fraction = Fraction { numerator: rationals(&[(1, 1)]), denominator: rationals(&denominator) };
        let refused = prove("exp", &fraction, 0, 2).unwrap_err();
        assert!(matches!(&refused, SupremumError::Denominator { x: at } if at.starts_with(x)), "{refused}");
    }
    // A double zero does not change the sign, and no finite precision tells it from a near miss.
    let double = Fraction { numerator: rationals(&[(1, 1)]), denominator: rationals(&[(1, 9), (-2, 3), (1, 1)]) };
    let refused = prove("exp", &double, 0, 2).unwrap_err();
    assert!(matches!(refused, SupremumError::Denominator { .. } | SupremumError::Cells { .. }), "{refused}");
}

#[test]
fn a_function_without_a_value_is_refused() {
    let line = Fraction::polynomial(rationals(&[(1, 1), (1, 1)]));
    for function in ["1/(x-1/3)", "log(x-1/3)", "1/(3*x-1)^2"] {
        let refused = prove(function, &line, 0, 2).unwrap_err();
        assert!(matches!(&refused, SupremumError::Undefined { .. }), "{function}: {refused}");
    }
    let (one, two) = (Rational::from(1), Rational::from(2));
    let refused = supremum(&parse("exp"), &line, (1, 0), (&two, &one), &[]);
    assert!(matches!(refused, Err(SupremumError::Domain { .. })));
}

/// e^x − 1 − x on [−1, 1] is largest at 1: e − 2, by hand.
#[test]
fn the_bound_is_the_largest_error_and_follows_a_mutant() {
    let truth = 1f64.exp() - 2.0;
    let line = |slope| Fraction::polynomial(vec![Rational::from(1), slope]);
    let proof = prove("exp", &line(Rational::from(1)), -1, 1).unwrap();
    assert!(proof.upper.to_f64() >= truth - 1e-15 && proof.upper.to_f64() < truth * (1.0 + 2e-7));
    let moved = prove("exp", &line(Rational::from((99, 100))), -1, 1).unwrap();
    assert!((moved.upper.to_f64() - truth - 0.01).abs() < 1e-6, "{}", moved.upper);
    assert!(moved.attained > proof.upper, "the mutant really is worse");
}

/// Without any hint of where the error peaks, and on a peak between all dyadic points.
#[test]
fn hints_are_not_needed() {
    let zero = Fraction::polynomial(vec![Rational::new()]);
    let (low, high) = (Rational::new(), Rational::from(1));
    // The largest value is 1 at x = 1/3; the sharp peak is one part in a million wide.
    let function = parse("1/(1+1000000000000*(x-1/3)^2)");
    let proof = supremum(&function, &zero, (0, 0), (&low, &high), &[]).unwrap();
    assert!(proof.upper >= 1 && proof.upper.to_f64() < 1.0 + 2e-7, "{}", proof.upper);
    assert!(proof.best_possible.is_zero());
}

#[test]
fn alternation_counts_signs() {
    let error = |value: f64| Interval::new(Float::with_val(64, value), Float::with_val(64, value)).unwrap();
    let level = |values: &[f64], needed| {
        let errors: Vec<Interval> = values.iter().map(|value| error(*value)).collect();
        alternation(&errors, needed).map(|level| level.to_f64())
    };
    assert_eq!(level(&[1.0, -2.0, 3.0], 4), None);
    assert_eq!(level(&[1.0, -2.0, 3.0], 3), Some(1.0));
    assert_eq!(level(&[1.0, -2.0, 3.0], 2), Some(2.0));
    assert_eq!(level(&[1.0, 5.0, 0.0, -2.0, -1.0], 2), Some(2.0), "one sign counts once");
    // A claimed lower bound above the truth cannot come out: the constant 0 is best for sin on a period.
    let proof = prove("sin(x)", &Fraction::polynomial(vec![Rational::new()]), -8, 8).unwrap();
    assert!(proof.best_possible <= proof.attained && proof.attained <= 1 && proof.best_possible > 0.9);
}
