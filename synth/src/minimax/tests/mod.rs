//! Tests of the engine as a whole: refusals, golden figures, quantisation against enumeration.

mod golden;
mod lean;
mod quantised;
mod refusals;

use super::*;
use rug::{Float, Rational};

fn exponential(x: &Float, precision: u32) -> Float {
    Float::with_val(precision, x.exp_ref())
}

fn sine(x: &Float, precision: u32) -> Float {
    Float::with_val(precision, x.sin_ref())
}

fn reciprocal(x: &Float, precision: u32) -> Float {
    Float::with_val(precision, x.recip_ref())
}

fn sigmoid(x: &Float, precision: u32) -> Float {
    (Float::with_val(precision, -x).exp() + 1u32).recip()
}

fn centred_sigmoid(x: &Float, precision: u32) -> Float {
    sigmoid(x, precision) - 0.5f64
}

fn gelu(x: &Float, precision: u32) -> Float {
    let scaled = Float::with_val(precision, x) / Float::with_val(precision, 2).sqrt();
    (scaled.erf() + 1u32) * x / 2u32
}

fn interval(low: i32, high: i32) -> Domain {
    Domain::interval(Rational::from(low), Rational::from(high)).unwrap()
}

fn absolute<'a>(target: &'a dyn Target, domain: Domain, basis: Basis) -> Problem<'a> {
    Problem { target, norm: Norm::Absolute, domain, basis }
}

/// `a / b - 1`.
fn excess(a: &Float, b: &Float) -> f64 {
    (Float::with_val(a.prec(), a / b) - 1u32).to_f64()
}
