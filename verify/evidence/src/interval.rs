//! Closed intervals with MPFR end points, every operation rounded outwards.
//!
//! Establishes: if x ∈ X and y ∈ Y then x∘y ∈ X∘Y for each operation ∘ below. Assumes that MPFR rounds its elementary
//! functions correctly in the direction asked for (its documented contract). End points may be infinite, never NaN:
//! the product 0·∞ that arises from an overflowed bound is 0, for a bound is a limit of finite numbers.

use rug::float::Round;
use rug::{Assign, Float, Rational};
use std::cmp::Ordering;

/// A closed interval [`lower`, `upper`].
#[derive(Clone, Debug)]
pub struct Interval {
    lower: Float,
    upper: Float,
}

/// The working precision in bits of everything that is not said otherwise.
pub const PRECISION: u32 = 192;

impl Interval {
    /// The interval between two floats; `None` if they are not ordered numbers.
    pub fn new(lower: Float, upper: Float) -> Option<Interval> {
        (lower <= upper).then_some(Interval { lower, upper })
    }

    /// The tightest interval of `precision` bits around `value`.
    pub fn rational(value: &Rational, precision: u32) -> Interval {
        Interval {
            lower: Float::with_val_round(precision, value, Round::Down).0,
            upper: Float::with_val_round(precision, value, Round::Up).0,
        }
    }

    /// The tightest interval of `precision` bits around the integer `value`.
    pub fn integer(value: i128, precision: u32) -> Interval {
        Interval {
            lower: Float::with_val_round(precision, value, Round::Down).0,
            upper: Float::with_val_round(precision, value, Round::Up).0,
        }
    }

    /// `value` / 2^`scale`, exactly if `precision` ≥ 127.
    pub fn dyadic(value: i128, scale: u8, precision: u32) -> Interval {
        let Interval { lower, upper } = Interval::integer(value, precision);
        Interval { lower: lower >> u32::from(scale), upper: upper >> u32::from(scale) }
    }

    /// π.
    pub fn pi(precision: u32) -> Interval {
        use rug::float::Constant::Pi;
        Interval {
            lower: Float::with_val_round(precision, Pi, Round::Down).0,
            upper: Float::with_val_round(precision, Pi, Round::Up).0,
        }
    }

    /// The lower end.
    pub fn lower(&self) -> &Float {
        &self.lower
    }

    /// The upper end.
    pub fn upper(&self) -> &Float {
        &self.upper
    }

    /// Precision of the end points in bits.
    pub fn precision(&self) -> u32 {
        self.lower.prec().max(self.upper.prec())
    }

    /// Whether both ends are finite.
    pub fn is_finite(&self) -> bool {
        self.lower.is_finite() && self.upper.is_finite()
    }

    /// Whether `value` lies in the interval.
    pub fn contains(&self, value: &Rational) -> bool {
        self.lower.partial_cmp(value).is_some_and(Ordering::is_le)
            && self.upper.partial_cmp(value).is_some_and(Ordering::is_ge)
    }

    /// Whether all of `other` lies in this interval.
    pub fn covers(&self, other: &Interval) -> bool {
        self.lower <= other.lower && other.upper <= self.upper
    }

    /// Whether the two have a point in common.
    pub fn meets(&self, other: &Interval) -> bool {
        self.lower <= other.upper && other.lower <= self.upper
    }

    /// The least interval around both.
    pub fn hull(&self, other: &Interval) -> Interval {
        Interval {
            lower: if self.lower <= other.lower { self.lower.clone() } else { other.lower.clone() },
            upper: if self.upper >= other.upper { self.upper.clone() } else { other.upper.clone() },
        }
    }

    /// An upper bound of the width.
    pub fn width(&self) -> Float {
        Float::with_val_round(self.precision(), &self.upper - &self.lower, Round::Up).0
    }

    /// An upper bound of the absolute value.
    pub fn magnitude(&self) -> Float {
        let (low, high) = (self.lower.clone().abs(), self.upper.clone().abs());
        if low >= high { low } else { high }
    }

    /// A point of the interval near its middle.
    pub fn middle(&self) -> Float {
        let mut middle = Float::with_val(self.precision() + 1, &self.lower + &self.upper);
        middle >>= 1;
        if middle < self.lower {
            self.lower.clone()
        } else if middle > self.upper {
            self.upper.clone()
        } else {
            middle
        }
    }

    /// Whether every point is positive.
    pub fn is_positive(&self) -> bool {
        self.lower > 0
    }

    /// −X.
    pub fn negate(&self) -> Interval {
        Interval { lower: -self.upper.clone(), upper: -self.lower.clone() }
    }

    /// X + Y.
    pub fn add(&self, other: &Interval) -> Interval {
        let precision = self.precision();
        Interval {
            lower: Float::with_val_round(precision, &self.lower + &other.lower, Round::Down).0,
            upper: Float::with_val_round(precision, &self.upper + &other.upper, Round::Up).0,
        }
    }

    /// X − Y.
    pub fn subtract(&self, other: &Interval) -> Interval {
        self.add(&other.negate())
    }

    /// X · Y.
    pub fn multiply(&self, other: &Interval) -> Interval {
        let precision = self.precision();
        let product = |a: &Float, b: &Float, round: Round| {
            if a.is_zero() || b.is_zero() {
                return Float::new(precision);
            }
            Float::with_val_round(precision, a * b, round).0
        };
        let (a, b, c, d) = (&self.lower, &self.upper, &other.lower, &other.upper);
        // The four sign cases that need only two products, then the general one.
        let ends = |p: &Float, q: &Float, r: &Float, s: &Float| Interval {
            lower: product(p, q, Round::Down),
            upper: product(r, s, Round::Up),
        };
        match (*a >= 0, *b <= 0, *c >= 0, *d <= 0) {
            (true, _, true, _) => ends(a, c, b, d),
            (_, true, _, true) => ends(b, d, a, c),
            (true, _, _, true) => ends(b, c, a, d),
            (_, true, true, _) => ends(a, d, b, c),
            _ => {
                let pairs = [(a, c), (a, d), (b, c), (b, d)];
                let mut result = ends(a, c, a, c);
                for (left, right) in &pairs[1..] {
                    let (low, high) = (product(left, right, Round::Down), product(left, right, Round::Up));
                    if low < result.lower {
                        result.lower.assign(&low);
                    }
                    if high > result.upper {
                        result.upper.assign(&high);
                    }
                }
                result
            }
        }
    }

    /// X · numerator / denominator for integers.
    pub fn scale(&self, numerator: i64, denominator: i64) -> Interval {
        self.multiply(&Interval::rational(&Rational::from((numerator, denominator)), self.precision()))
    }

    /// X², never negative.
    pub fn square(&self) -> Interval {
        if self.lower <= 0 && self.upper >= 0 {
            let magnitude = self.magnitude();
            let upper = Float::with_val_round(self.precision(), magnitude.square_ref(), Round::Up).0;
            return Interval { lower: Float::new(self.precision()), upper };
        }
        self.multiply(self)
    }

    /// 1 / X, or `None` if X contains zero.
    pub fn reciprocal(&self) -> Option<Interval> {
        if self.lower <= 0 && self.upper >= 0 {
            return None;
        }
        let precision = self.precision();
        let end = |value: &Float, round| {
            let mut result = value.clone();
            result.set_prec_round(precision, if round == Round::Down { Round::Up } else { Round::Down });
            result.recip_round(round);
            result
        };
        Some(Interval { lower: end(&self.upper, Round::Down), upper: end(&self.lower, Round::Up) })
    }

    /// √X, or `None` if X has a negative point.
    pub fn sqrt(&self) -> Option<Interval> {
        (self.lower >= 0).then(|| self.increasing(|value, round| value.sqrt_round(round)))
    }

    /// 1 / √X, or `None` unless X is positive.
    pub fn rsqrt(&self) -> Option<Interval> {
        self.is_positive().then(|| self.decreasing(|value, round| value.recip_sqrt_round(round)))
    }

    /// e^X.
    pub fn exp(&self) -> Interval {
        self.increasing(|value, round| value.exp_round(round))
    }

    /// e^X − 1 without cancellation.
    pub fn exp_m1(&self) -> Interval {
        self.increasing(|value, round| value.exp_m1_round(round))
    }

    /// ln(1 + X) without cancellation, or `None` unless 1 + X is positive.
    pub fn ln_1p(&self) -> Option<Interval> {
        (self.lower > -1).then(|| self.increasing(|value, round| value.ln_1p_round(round)))
    }

    /// ln X, or `None` unless X is positive.
    pub fn ln(&self) -> Option<Interval> {
        self.is_positive().then(|| self.increasing(|value, round| value.ln_round(round)))
    }

    /// sin X; as wide as X at most, so tight for narrow X only.
    pub fn sin(&self) -> Interval {
        self.within_unit(|value, round| value.sin_round(round))
    }

    /// cos X; see [`Interval::sin`].
    pub fn cos(&self) -> Interval {
        self.within_unit(|value, round| value.cos_round(round))
    }

    /// A function into [−1, 1] that moves no faster than its argument: its value in the middle ± the radius.
    fn within_unit(&self, apply: impl Fn(&mut Float, Round) -> Ordering) -> Interval {
        let middle = self.middle();
        let below = Float::with_val_round(self.precision(), &middle - &self.lower, Round::Up).0;
        let above = Float::with_val_round(self.precision(), &self.upper - &middle, Round::Up).0;
        let radius = if below >= above { below } else { above };
        let (mut lower, mut upper) = (middle.clone(), middle);
        apply(&mut lower, Round::Down);
        apply(&mut upper, Round::Up);
        let spread = Interval { lower: -radius.clone(), upper: radius };
        let one = Float::with_val(self.precision(), 1);
        let Interval { lower, upper } = Interval { lower, upper }.add(&spread);
        Interval { lower: lower.max(&-one.clone()), upper: upper.min(&one) }
    }

    /// tanh X.
    pub fn tanh(&self) -> Interval {
        self.increasing(|value, round| value.tanh_round(round))
    }

    /// erf X.
    pub fn erf(&self) -> Interval {
        self.increasing(|value, round| value.erf_round(round))
    }

    /// 1 − erf X without cancellation.
    pub fn erfc(&self) -> Interval {
        self.decreasing(|value, round| value.erfc_round(round))
    }

    /// max(X, 0).
    pub fn positive_part(&self) -> Interval {
        let clamp = |value: &Float| if *value > 0 { value.clone() } else { Float::new(self.precision()) };
        Interval { lower: clamp(&self.lower), upper: clamp(&self.upper) }
    }

    /// |X|.
    pub fn absolute(&self) -> Interval {
        if self.lower >= 0 {
            self.clone()
        } else if self.upper <= 0 {
            self.negate()
        } else {
            Interval { lower: Float::new(self.precision()), upper: self.magnitude() }
        }
    }

    /// X · 2^`power`, exactly.
    pub fn shift(&self, power: i32) -> Interval {
        Interval { lower: self.lower.clone() << power, upper: self.upper.clone() << power }
    }

    fn increasing(&self, apply: impl Fn(&mut Float, Round) -> Ordering) -> Interval {
        let (mut lower, mut upper) = (self.lower.clone(), self.upper.clone());
        apply(&mut lower, Round::Down);
        apply(&mut upper, Round::Up);
        Interval { lower, upper }
    }

    fn decreasing(&self, apply: impl Fn(&mut Float, Round) -> Ordering) -> Interval {
        let (mut lower, mut upper) = (self.upper.clone(), self.lower.clone());
        apply(&mut lower, Round::Down);
        apply(&mut upper, Round::Up);
        Interval { lower, upper }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(lower: i32, upper: i32) -> Interval {
        Interval::new(Float::with_val(64, lower), Float::with_val(64, upper)).unwrap()
    }

    #[test]
    fn what_has_no_value_is_refused() {
        assert!(Interval::new(Float::with_val(64, 2), Float::with_val(64, 1)).is_none());
        assert!(Interval::new(Float::with_val(64, rug::float::Special::Nan), Float::with_val(64, 1)).is_none());
        assert!(interval(-1, 1).reciprocal().is_none() && interval(0, 1).reciprocal().is_none());
        assert!(interval(0, 1).rsqrt().is_none() && interval(-1, 1).sqrt().is_none());
    }

    /// Every sign case of the product, against all pairs of integer points.
    #[test]
    fn products_contain_all_products_of_points_and_no_more() {
        let ends = [-3, -1, 0, 2, 5];
        for (a, b) in ends.iter().flat_map(|a| ends.iter().map(move |b| (*a, *b))).filter(|(a, b)| a <= b) {
            for (c, d) in ends.iter().flat_map(|c| ends.iter().map(move |d| (*c, *d))).filter(|(c, d)| c <= d) {
                let product = interval(a, b).multiply(&interval(c, d));
                let corners = [a * c, a * d, b * c, b * d];
                assert_eq!(product.lower, *corners.iter().min().unwrap(), "[{a},{b}]·[{c},{d}]");
                assert_eq!(product.upper, *corners.iter().max().unwrap(), "[{a},{b}]·[{c},{d}]");
            }
        }
        assert_eq!(interval(-3, 2).square().lower, 0);
        assert_eq!(interval(-3, 2).square().upper, 9);
    }

    #[test]
    fn rounding_is_outwards() {
        let third = Rational::from((1, 3));
        let enclosure = Interval::rational(&third, 53);
        assert!(enclosure.contains(&third) && enclosure.lower < enclosure.upper);
        let back = enclosure.reciprocal().unwrap();
        assert!(back.contains(&Rational::from(3)) && back.lower < 3 && back.upper > 3);
        assert!(!back.contains(&Rational::from((30_000_001, 10_000_000))));
    }
}
