//! Bounds of an entry's output on an interval of arguments: bounds of its function, and the claimed error around them.
//!
//! Floating point is used with a relative margin of 2^-40 on every bound, far above what a few operations can lose.

use super::interval::Interval;
use crate::circuit::lower::is_exact_relu;
use catalogs::Function;
use dashu::rational::RBig;
use verify::Certified;

/// Margin of every floating-point bound.
pub(in crate::circuit) const MARGIN: f64 = 1.0 / (1u64 << 40) as f64;

/// A rational rounded up: never below, at most a little above.
pub(in crate::circuit) fn upper(value: &RBig) -> f64 {
    let nearest = value.to_f64().value();
    nearest + nearest.abs() * MARGIN
}

/// The integers at `bits` fraction bits between two reals, widened by the margin.
pub(super) fn integers(low: f64, high: f64, bits: u8) -> Interval {
    let unit = (1u128 << bits) as f64;
    let (low, high) = (low * unit, high * unit);
    let widen = |value: f64| value.abs() * MARGIN + 1.0;
    // A conversion saturates, which is wider than any ring.
    Interval { low: (low - widen(low)).floor() as i128, high: (high + widen(high)).ceil() as i128 }
}

/// What an entry's output is bounded by, unpacked once for all lanes.
pub(super) struct Bounds<'a> {
    certified: &'a Certified,
    exact_relu: bool,
    function: Function,
    absolute: f64,
    relative: f64,
}

impl<'a> Bounds<'a> {
    /// Of an entry.
    pub(super) fn new(certified: &'a Certified) -> Bounds<'a> {
        let claim = certified.claim();
        let (absolute, relative) = (upper(&claim.absolute_part()), upper(&claim.relative_part()));
        let function = claim.function.clone();
        Bounds { certified, exact_relu: is_exact_relu(certified), function, absolute, relative }
    }

    /// Bounds of the output for arguments in `argument`, which lies in the claim's window.
    pub(super) fn of(&self, argument: Interval) -> Interval {
        if self.exact_relu {
            return Interval { low: argument.low.max(0), high: argument.high.max(0) };
        }
        let (input, output) = (self.certified.program().input().1.bits(), self.certified.program().output().1.bits());
        let unit = (1u128 << input) as f64;
        let (low, high) = (argument.low as f64 / unit, argument.high as f64 / unit);
        let Some((low, high)) = range(&self.function, low, high) else {
            let (low, high) = self.certified.output_range();
            return Interval { low, high };
        };
        let error = self.absolute + self.relative * low.abs().max(high.abs());
        integers(low - error, high + error, output)
    }
}

/// Bounds of a function on [low, high], or `None` outside of its domain.
pub(in crate::circuit) fn range(function: &Function, low: f64, high: f64) -> Option<(f64, f64)> {
    let wide = |low: f64, high: f64| (low - low.abs() * MARGIN, high + high.abs() * MARGIN);
    let bounds = match function {
        Function::Exp if high < 100.0 => wide(low.exp(), high.exp()),
        Function::Reciprocal if low > 0.0 => wide(1.0 / high, 1.0 / low),
        Function::Rsqrt if low > 0.0 => wide(1.0 / high.sqrt(), 1.0 / low.sqrt()),
        Function::Sigmoid | Function::NormalCdf => (0.0, 1.0),
        Function::Tanh | Function::Erf => (-1.0, 1.0),
        // x·Φ(x) ≥ −0.1701 in both forms and x/(1+e^−x) ≥ −0.27847, at most max(x, 0) and not negative for x ≥ 0.
        Function::Gelu | Function::GeluTanh => wide(if low < 0.0 { -0.1701 } else { 0.0 }, high.max(0.0)),
        Function::Silu => wide(if low < 0.0 { -0.2785 } else { 0.0 }, high.max(0.0)),
        Function::Mish => wide(if low < 0.0 { -0.3089 } else { 0.0 }, high.max(0.0)),
        // log(1 + e^x) lies between max(x, 0) and max(x, 0) + log 2.
        Function::Softplus => wide(low.max(0.0), high.max(0.0) + 0.6932),
        Function::Log if low > 0.0 => wide(low.ln(), high.ln()),
        Function::Sqrt if low >= 0.0 => wide(low.sqrt(), high.sqrt()),
        Function::Relu => wide(low.max(0.0), high.max(0.0)),
        _ => return None,
    };
    Some(bounds)
}
