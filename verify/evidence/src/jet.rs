//! Taylor coefficients of a function's definition, in intervals.
//!
//! Establishes: the i-th interval returned for an argument interval X contains f⁽ⁱ⁾(x)/i! for *every* x ∈ X. Over a
//! point it gives Taylor coefficients, over a neighbourhood the Lagrange remainder. It reads the
//! [`Expression`] of the catalog and nothing else, so it is independent of the closed forms in [`crate::enclosure`].
//! Source: Moore, Kearfott and Cloud, *Introduction to Interval Analysis*, chapter 9 (recurrences for y' = F(y)).

use crate::interval::Interval;
use catalogs::Expression;
use rug::Rational;

/// The coefficients of order 0 to `order` of `expression` over `argument`; `None` where it is not smooth or not
/// defined on all of `argument`.
pub fn taylor(expression: &Expression, argument: &Interval, order: usize) -> Option<Vec<Interval>> {
    let precision = argument.precision();
    let constant = |value: Interval| {
        let mut jet = vec![zero(precision); order + 1];
        jet[0] = value;
        jet
    };
    Some(match expression {
        Expression::X => identity(argument, order),
        Expression::Rational(numerator, denominator) => {
            constant(Interval::rational(&Rational::from((*numerator, *denominator)), precision))
        }
        Expression::Pi => constant(Interval::pi(precision)),
        Expression::Add(left, right) => {
            let (left, right) = (taylor(left, argument, order)?, taylor(right, argument, order)?);
            left.iter().zip(&right).map(|(l, r)| l.add(r)).collect()
        }
        Expression::Multiply(left, right) => product(&taylor(left, argument, order)?, &taylor(right, argument, order)?),
        Expression::Exp(inner) => exponential(&taylor(inner, argument, order)?),
        Expression::Reciprocal(inner) => reciprocal(&taylor(inner, argument, order)?)?,
        Expression::Rsqrt(inner) => rsqrt(&taylor(inner, argument, order)?)?,
        Expression::GaussianIntegral(numerator, denominator) => gaussian(argument, *numerator, *denominator, order)?,
        Expression::PositivePart => {
            if *argument.lower() >= 0 {
                identity(argument, order)
            } else if *argument.upper() <= 0 || order == 0 {
                constant(argument.positive_part())
            } else {
                return None;
            }
        }
    })
}

fn zero(precision: u32) -> Interval {
    Interval::integer(0, precision)
}

fn identity(argument: &Interval, order: usize) -> Vec<Interval> {
    let mut jet = vec![zero(argument.precision()); order + 1];
    jet[0] = argument.clone();
    if order > 0 {
        jet[1] = Interval::integer(1, argument.precision());
    }
    jet
}

fn product(left: &[Interval], right: &[Interval]) -> Vec<Interval> {
    (0..left.len())
        .map(|i| (0..=i).map(|j| left[j].multiply(&right[i - j])).reduce(|a, b| a.add(&b)))
        .map(|sum| sum.expect("the range 0..=i is not empty"))
        .collect()
}

/// y' = g'·y.
fn exponential(g: &[Interval]) -> Vec<Interval> {
    let mut y = vec![g[0].exp()];
    for i in 1..g.len() {
        let mut sum = zero(g[0].precision());
        for j in 1..=i {
            sum = sum.add(&g[j].multiply(&y[i - j]).scale(j as i64, i as i64));
        }
        y.push(sum);
    }
    y
}

/// g·y = 1.
fn reciprocal(g: &[Interval]) -> Option<Vec<Interval>> {
    let mut y = vec![g[0].reciprocal()?];
    for i in 1..g.len() {
        let mut sum = zero(g[0].precision());
        for j in 1..=i {
            sum = sum.add(&g[j].multiply(&y[i - j]));
        }
        y.push(sum.multiply(&y[0]).negate());
    }
    Some(y)
}

/// g·y' = −½·g'·y, hence i·g₀·yᵢ = Σ_{j=1..i} (j/2 − i)·gⱼ·yᵢ₋ⱼ.
fn rsqrt(g: &[Interval]) -> Option<Vec<Interval>> {
    let mut y = vec![g[0].rsqrt()?];
    let inverse = g[0].reciprocal()?;
    for i in 1..g.len() {
        let mut sum = zero(g[0].precision());
        for j in 1..=i {
            sum = sum.add(&g[j].multiply(&y[i - j]).scale(j as i64 - 2 * i as i64, 2 * i as i64));
        }
        y.push(sum.multiply(&inverse));
    }
    Some(y)
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
