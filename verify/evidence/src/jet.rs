//! Taylor coefficients of a function's definition, in intervals.
//!
//! Establishes: the i-th interval returned for an argument interval X contains f⁽ⁱ⁾(x)/i! for *every* x ∈ X. Over a
//! point it gives Taylor coefficients, over a neighbourhood the Lagrange remainder. It reads the
//! [`Expression`] of the catalog and nothing else, so it is independent of the closed forms in [`crate::enclosure`].
//! The arithmetic is that of [`crate::series`].

use crate::interval::Interval;
use crate::series::{constant, exponential, identity, logarithm, power, product, reciprocal, sine_cosine, sum};
use catalogs::Expression;
use rug::Rational;

/// The coefficients of order 0 to `order` of `expression` over `argument`; `None` where it is not smooth or not
/// defined on all of `argument`.
pub fn taylor(expression: &Expression, argument: &Interval, order: usize) -> Option<Vec<Interval>> {
    let precision = argument.precision();
    Some(match expression {
        Expression::X => identity(argument, order),
        Expression::Rational(numerator, denominator) => {
            constant(Interval::rational(&Rational::from((*numerator, *denominator)), precision), order)
        }
        Expression::Pi => constant(Interval::pi(precision), order),
        Expression::Add(left, right) => sum(&taylor(left, argument, order)?, &taylor(right, argument, order)?),
        Expression::Multiply(left, right) => product(&taylor(left, argument, order)?, &taylor(right, argument, order)?),
        Expression::Exp(inner) => exponential(&taylor(inner, argument, order)?),
        Expression::Reciprocal(inner) => reciprocal(&taylor(inner, argument, order)?)?,
        Expression::Rsqrt(inner) => {
            let inner = taylor(inner, argument, order)?;
            power(&inner, &Rational::from((-1, 2)), inner[0].rsqrt()?)?
        }
        Expression::GaussianIntegral(numerator, denominator) => gaussian(argument, *numerator, *denominator, order)?,
        Expression::Log(inner) => logarithm(&taylor(inner, argument, order)?)?,
        Expression::Sine(inner) => sine_cosine(&taylor(inner, argument, order)?).0,
        Expression::PositivePart(inner) => {
            let inner = taylor(inner, argument, order)?;
            if *inner[0].lower() >= 0 {
                inner
            } else if *inner[0].upper() <= 0 || order == 0 {
                constant(inner[0].positive_part(), order)
            } else {
                return None;
            }
        }
    })
}

/// y' = exp(−x²·n/d), and y = ½·√(π·d/n)·erf(x·√(n/d)).
fn gaussian(argument: &Interval, numerator: i64, denominator: i64, order: usize) -> Option<Vec<Interval>> {
    let precision = argument.precision();
    let rate = Interval::rational(&Rational::from((numerator, denominator)), precision).sqrt()?;
    let factor = Interval::pi(precision).sqrt()?.multiply(&rate.reciprocal()?).shift(-1);
    let mut y = vec![argument.multiply(&rate).erf().multiply(&factor)];
    if order > 0 {
        let x = identity(argument, order - 1);
        let mut exponent = product(&x, &x);
        exponent[0] = argument.square();
        let exponent: Vec<Interval> = exponent.iter().map(|c| c.scale(-numerator, denominator)).collect();
        let derivative = exponential(&exponent);
        y.extend(derivative.iter().enumerate().map(|(i, c)| c.scale(1, i as i64 + 1)));
    }
    Some(y)
}
