//! Targets and norms: what is approximated, and in which unit the error at `x` is measured.
//!
//! Assumes that a target returns, at every precision asked for, a value within
//! `2^(16 - precision) * max(1, |f(x)|)` of the true one; every MPFR function, and every short
//! expression of them whose intermediate values stay moderate, does.

use super::failure::{MinimaxError, decimal};
use rug::{Float, Rational};

/// A real function that can be evaluated to any precision.
pub trait Target: Sync {
    /// The function at `x`, within `2^(16 - precision) * max(1, |f(x)|)` of the true value.
    ///
    /// A pole or an undefined point is reported by a value that is not finite.
    fn value(&self, x: &Float, precision: u32) -> Float;
}

impl<F: Fn(&Float, u32) -> Float + Sync> Target for F {
    fn value(&self, x: &Float, precision: u32) -> Float {
        self(x, precision)
    }
}

/// The unit of the error: a fit minimises `max |f(x) - p(x)| / unit(x)`.
#[derive(Clone)]
pub enum Norm<'a> {
    /// `unit(x) = 1`.
    Absolute,
    /// `unit(x) = |f(x)|`.
    ///
    /// A zero of `f` is admitted only where every basis function vanishes as well.
    Relative,
    /// `unit(x) = absolute + relative * |f(x)|`.
    Mixed {
        /// Share of the absolute error; not negative.
        absolute: Rational,
        /// Share of the relative error; not negative.
        relative: Rational,
    },
    /// `unit(x)` is any positive function.
    Weighted(&'a dyn Target),
}

impl Norm<'_> {
    /// The unit of the error at `x`, where the target has the value `value`; not checked for sign.
    pub(super) fn unit(&self, x: &Float, value: &Float, precision: u32) -> Float {
        match self {
            Norm::Absolute => Float::with_val(precision, 1),
            Norm::Relative => Float::with_val(precision, value.abs_ref()),
            Norm::Mixed { absolute, relative } => Float::with_val(precision, value.abs_ref()) * relative + absolute,
            Norm::Weighted(weight) => weight.value(x, precision),
        }
    }
}

/// The target's value at `x`, or the error that names the point.
pub(super) fn finite_value(target: &dyn Target, x: &Float, precision: u32) -> Result<Float, MinimaxError> {
    let value = target.value(x, precision);
    if value.is_finite() { Ok(value) } else { Err(MinimaxError::TargetNotFinite { x: decimal(x) }) }
}
