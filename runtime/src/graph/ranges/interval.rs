//! Closed intervals of real numbers, and what scalar functions do to them.
//!
//! Soundness: arithmetic is `f64` rounded to nearest, so every computed end is widened by `rounding` of the terms
//! that went into it. An end that is not a number (from ∞ − ∞ or 0·∞) becomes infinite.

use crate::graph::operator::Function;
use crate::graph::reference::apply;

/// A closed interval; its ends may be infinite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Least value.
    pub lower: f64,
    /// Greatest value.
    pub upper: f64,
}

/// An upper bound of the error of summing `terms` products whose absolute values sum to `magnitude`, twice over: once
/// for the bound, once for an `f64` evaluation that is compared with it (Higham, Accuracy and Stability, §3.1).
pub(super) fn rounding(terms: usize, magnitude: f64) -> f64 {
    (terms as f64 + 16.0) * f64::EPSILON * magnitude
}

/// Where the least value of GELU, its tanh form, SiLU and Mish lies, and a number just below that value.
const GELU_LEAST: (f64, f64) = (-0.751_791_524, -0.169_971_21);
const GELU_TANH_LEAST: (f64, f64) = (-0.752_461_4, -0.170_040_8);
const SILU_LEAST: (f64, f64) = (-1.278_464_542, -0.278_464_55);
const MISH_LEAST: (f64, f64) = (-1.192_431_2, -0.308_843_45);
/// How far the positions above may be from the true ones.
const LEAST_AT_TOLERANCE: f64 = 1e-3;

impl Interval {
    /// The interval between two numbers, whole if they are not numbers.
    pub fn new(lower: f64, upper: f64) -> Interval {
        let lower = if lower.is_nan() { f64::NEG_INFINITY } else { lower };
        let upper = if upper.is_nan() { f64::INFINITY } else { upper };
        Interval { lower, upper }
    }

    /// Greatest absolute value.
    pub fn magnitude(self) -> f64 {
        self.lower.abs().max(self.upper.abs())
    }

    /// Whether a number lies inside.
    pub fn contains(self, value: f64) -> bool {
        self.lower <= value && value <= self.upper
    }

    /// The least interval that contains both.
    pub fn hull(self, other: Interval) -> Interval {
        Interval { lower: self.lower.min(other.lower), upper: self.upper.max(other.upper) }
    }

    /// The hull of several numbers or intervals' ends; empty input gives an inverted interval.
    pub(super) fn hull_of(values: impl IntoIterator<Item = f64>) -> Interval {
        let start = Interval { lower: f64::INFINITY, upper: f64::NEG_INFINITY };
        values.into_iter().fold(start, |hull, value| hull.hull(Interval::new(value, value)))
    }

    /// Both ends moved outwards.
    pub fn widen(self, amount: f64) -> Interval {
        Interval::new(self.lower - amount, self.upper + amount)
    }

    /// What lies in both, where both are known to contain the same value.
    pub(super) fn meet(self, other: Interval) -> Interval {
        let met = Interval { lower: self.lower.max(other.lower), upper: self.upper.min(other.upper) };
        if met.lower <= met.upper { met } else { self }
    }

    /// Products of a member of each.
    pub(super) fn product(self, other: Interval) -> Interval {
        let times = |a: f64, b: f64| if a == 0.0 || b == 0.0 { 0.0 } else { a * b };
        let ends = [
            times(self.lower, other.lower),
            times(self.lower, other.upper),
            times(self.upper, other.lower),
            times(self.upper, other.upper),
        ];
        Interval::hull_of(ends)
    }

    /// Squares of the members.
    pub(super) fn square(self) -> Interval {
        let least = if self.contains(0.0) { 0.0 } else { self.lower.abs().min(self.upper.abs()) };
        Interval::new(least * least, self.magnitude() * self.magnitude())
    }

    /// Values of a scalar function on the interval.
    ///
    /// The monotone ones map end to end. GELU, its tanh form and SiLU fall to their only minimum and rise after it,
    /// so their greatest value is at an end, and so is the least unless the minimum's place may lie inside. 1/x and
    /// functions outside of their domain are unbounded. `f64` evaluation is off by less than 2⁻⁴⁶ of 1 + |x|.
    pub fn image(self, function: Function) -> Interval {
        let (a, b) = (apply(function, self.lower), apply(function, self.upper));
        let ends = Interval::new(a.min(b), a.max(b));
        let valley = |(at, least): (f64, f64)| {
            let near = self.widen(LEAST_AT_TOLERANCE).contains(at);
            Interval::new(if near { least.min(ends.lower) } else { ends.lower }, ends.upper)
        };
        let image = match function {
            Function::Gelu => valley(GELU_LEAST),
            Function::GeluTanh => valley(GELU_TANH_LEAST),
            Function::Silu => valley(SILU_LEAST),
            Function::Mish => valley(MISH_LEAST),
            Function::Sigmoid | Function::Tanh | Function::Erf | Function::Exp | Function::Softplus => ends,
            Function::Relu => return ends,
            Function::Logarithm if self.lower <= 0.0 => Interval::new(f64::NEG_INFINITY, f64::INFINITY),
            Function::SquareRoot if self.lower < 0.0 => Interval::new(f64::NEG_INFINITY, f64::INFINITY),
            Function::Reciprocal if self.contains(0.0) => Interval::new(f64::NEG_INFINITY, f64::INFINITY),
            Function::Logarithm | Function::SquareRoot | Function::Reciprocal => ends,
        };
        image.widen((-46_f64).exp2() * (1.0 + image.magnitude()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_contain_every_value_and_are_tight_for_the_valleys() {
        for function in Function::ALL {
            let positive = matches!(function, Function::Logarithm | Function::SquareRoot | Function::Reciprocal);
            for start in -60..60 {
                for width in [0.0, 0.01, 0.3, 2.0, 9.0] {
                    let lower = if positive { f64::from(start + 61) * 0.15 } else { f64::from(start) * 0.15 };
                    let interval = Interval::new(lower, lower + width);
                    let image = interval.image(function);
                    let values = (0..=50).map(|step| apply(function, lower + width * f64::from(step) / 50.0));
                    let seen = Interval::hull_of(values);
                    assert!(image.lower <= seen.lower && seen.upper <= image.upper, "{function:?} {interval:?}");
                    if positive || matches!(function, Function::Exp) {
                        continue;
                    }
                    let excess = (image.upper - seen.upper).max(seen.lower - image.lower);
                    assert!(excess < 0.003 + 0.02 * width, "{function:?} {interval:?} {image:?} {seen:?}");
                }
            }
        }
    }

    #[test]
    fn the_least_values_are_just_below_the_true_ones() {
        let all = [
            (Function::Gelu, GELU_LEAST),
            (Function::GeluTanh, GELU_TANH_LEAST),
            (Function::Silu, SILU_LEAST),
            (Function::Mish, MISH_LEAST),
        ];
        for (function, (at, least)) in all {
            let near = (-2000..=2000).map(|step| at + f64::from(step) * 1e-6);
            let seen = near.clone().map(|x| apply(function, x)).fold(f64::INFINITY, f64::min);
            assert!(least < seen && seen - least < 1e-7, "{function:?} {seen}");
            let place = near.min_by(|&a, &b| apply(function, a).total_cmp(&apply(function, b))).unwrap();
            assert!((place - at).abs() < LEAST_AT_TOLERANCE / 2.0, "{function:?} {place}");
        }
    }

    #[test]
    fn outside_of_a_domain_nothing_is_promised() {
        let around_zero = Interval::new(-1.0, 1.0);
        for function in [Function::Logarithm, Function::SquareRoot, Function::Reciprocal] {
            assert_eq!(around_zero.image(function), Interval::new(f64::NEG_INFINITY, f64::INFINITY));
        }
        assert_eq!(Interval::new(0.0, 0.0).product(Interval::new(f64::NEG_INFINITY, 1.0)).magnitude(), 0.0);
        assert_eq!(Interval::new(-3.0, 2.0).square(), Interval::new(0.0, 9.0));
    }
}
