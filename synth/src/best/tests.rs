//! Golden errors, proofs that are tight, and what is refused.

use super::*;
use crate::expression::parse_rational;

fn of(function: &str, low: &str, high: &str, shape: Shape) -> Result<Best, BestError> {
    let function = Expression::parse(function).unwrap();
    best(&function, &parse_rational(low).unwrap(), &parse_rational(high).unwrap(), shape)
}

fn refusal(function: &str, low: &str, high: &str, shape: Shape) -> String {
    of(function, low, high, shape).unwrap_err().to_string()
}

#[test]
fn poles_ends_and_degrees_are_refused() {
    let cubic = Shape::Polynomial(3);
    for (function, low, high, reason) in [
        ("1/x", "-1", "1", "x = 0"),
        ("1/(x-1/3)", "0", "1", "x = 3.33"),
        ("log(x)", "0", "1", "x = 0"),
        ("log(x)", "-1", "1", "not defined at x = "),
        ("1/x", "-1", "1", "what can be served is -1,-1/32 or 1/32,1"),
        ("log(x)", "-2", "-1", "no part of this domain"),
        ("exp(x)", "1", "1", "1,1 is not an interval"),
        ("exp(x)", "2", "1", "2,1 is not an interval"),
    ] {
        let message = refusal(function, low, high, cubic);
        assert!(message.contains(reason), "{function}: {message}");
    }
    assert!(refusal("exp", "0", "1", Shape::Polynomial(61)).contains("degree 61 is too large: at most 60"));
    assert!(refusal("exp", "0", "1", Shape::Rational(u32::MAX, 4)).contains("is too large"));
}

/// Golden errors of other tools (polynomials and fractions), with both proved bounds within a relative 1e-6.
#[test]
fn golden_errors_are_proved_from_both_sides() {
    use Shape::{Polynomial, Rational};
    for (function, low, high, shape, golden) in [
        ("exp", "-1", "1", Polynomial(5), 4.52055e-5),
        ("exp", "-1", "1", Polynomial(10), 2.50229e-11),
        ("sigmoid", "-8", "8", Polynomial(8), 1.88923e-2),
        ("gelu", "-4", "4", Polynomial(10), 2.80807e-3),
        ("reciprocal", "1", "64", Polynomial(12), 2.41211e-2),
        // By hand: (e^100 − 1)/2. Errors far above one.
        ("exp", "0", "100", Polynomial(0), 1.344058570908068e43),
        ("exp", "-1", "1", Rational(3, 3), 1.55066905e-7),
        ("1/(1+exp(-x))-1/2", "-8", "8", Rational(5, 4), 5.39723606e-6),
        // √x and |x| have no derivative at an extremum: Bernstein's 0.28…/n, and degree 1 by hand: 1/8 and 1/2.
        ("sqrt(x)", "0", "1", Polynomial(1), 0.125),
        ("abs(x)", "-1", "1", Polynomial(1), 0.5),
    ] {
        let best = of(function, low, high, shape).unwrap_or_else(|error| panic!("{function}: {error}"));
        let found = best.minimax_error.to_f64();
        assert!((found / golden - 1.0).abs() < 5e-6, "{function}: {found:e}");
        let proof = &best.proof;
        assert!(proof.upper >= proof.attained && proof.attained >= proof.best_possible);
        for bound in [&proof.upper, &proof.attained, &proof.best_possible] {
            assert!((bound.to_f64() / found - 1.0).abs() < 1e-6, "{function}: {bound} and {found:e}");
        }
    }
}

#[test]
fn an_exact_polynomial_is_found_exactly() {
    let best = of("x^3 - x/4", "-1", "2", Shape::Polynomial(4)).unwrap();
    assert!(best.proof.upper < 1e-15 && best.proof.best_possible <= best.proof.upper);
}

#[test]
fn decimals_are_what_they_say() {
    let value = Rational::from((-1, 3));
    let rounded = round(&value, &Rational::from(1), &Float::with_val(64, 1));
    assert_eq!(rounded.text, "-3.3333333333333333333e-1");
    assert_eq!(Some(&rounded.value), parse_rational(&rounded.text).as_ref());
    let precise = round(&value, &Rational::from(1000), &Float::with_val(64, 1e-30));
    let off = Rational::from(&precise.value - &value).abs() * Rational::from(1000);
    assert!(Float::with_val(64, off) < 1e-40 && precise.text.len() > 45, "{}", precise.text);
    assert_eq!(round(&value, &Rational::from(1), &Float::with_val(64, 1e30)).text, "0");
    assert_eq!(round(&Rational::from(1024), &Rational::from(1), &Float::with_val(64, 1)).value, 1024);
}
