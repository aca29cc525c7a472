//! Polynomials in t ∈ [−1, 1] with integer coefficients at a common scale 2^−W that the caller keeps.
//!
//! Sums and products with integers are exact. A product of two polynomials drops its bits below 2^−W and, beyond a
//! degree, its high terms; what is dropped is returned as a bound of the absolute error over [−1, 1].

use crate::integer::{IBig, absolute, divide_floor, larger, shift_ceil, shift_floor};

/// Σ cₖ·tᵏ; the empty list is zero.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Polynomial(pub Vec<IBig>);

impl Polynomial {
    /// A constant.
    pub fn constant(value: IBig) -> Polynomial {
        Polynomial(vec![value])
    }

    /// c0 + c1·t.
    pub fn affine(constant: IBig, slope: IBig) -> Polynomial {
        Polynomial(vec![constant, slope])
    }

    /// The coefficient of tᵏ.
    pub fn coefficient(&self, k: usize) -> IBig {
        self.0.get(k).cloned().unwrap_or(IBig::ZERO)
    }

    /// Whether every coefficient is zero.
    pub fn is_zero(&self) -> bool {
        self.0.iter().all(|c| *c == IBig::ZERO)
    }

    /// A bound of |p| on [−1, 1]: the sum of the absolute values of the coefficients.
    pub fn magnitude(&self) -> IBig {
        self.0.iter().map(absolute).sum()
    }

    /// p + factor·q.
    pub fn plus(&self, other: &Polynomial, factor: &IBig) -> Polynomial {
        let length = self.0.len().max(other.0.len());
        let sum = |k: usize| match (self.0.get(k), other.0.get(k)) {
            (Some(a), Some(b)) => a + b * factor,
            (Some(a), None) => a.clone(),
            (None, Some(b)) => b * factor,
            (None, None) => IBig::ZERO,
        };
        Polynomial((0..length).map(sum).collect())
    }

    /// factor·p.
    pub fn times(&self, factor: &IBig) -> Polynomial {
        Polynomial(self.0.iter().map(|c| c * factor).collect())
    }

    /// p', exact.
    pub fn derivative(&self) -> Polynomial {
        Polynomial(self.0.iter().enumerate().skip(1).map(|(k, c)| c * IBig::from(k)).collect())
    }

    /// p / 2^bits with floored coefficients, and the bound of the error: one unit for each that is not exact, so that
    /// what is exact stays so.
    pub fn shifted(&self, bits: usize) -> (Polynomial, IBig) {
        let inexact = self.0.iter().filter(|c| c.trailing_zeros().is_some_and(|zeros| zeros < bits)).count();
        (Polynomial(self.0.iter().map(|c| shift_floor(c, bits)).collect()), IBig::from(inexact))
    }

    /// p·q at scale 2^−`scale` up to `degree`, and a bound of what was dropped.
    pub fn product(&self, other: &Polynomial, scale: usize, degree: usize) -> (Polynomial, IBig) {
        if self.0.is_empty() || other.0.is_empty() {
            return (Polynomial::default(), IBig::ZERO);
        }
        let mut full = vec![IBig::ZERO; self.0.len() + other.0.len() - 1];
        for (i, a) in self.0.iter().enumerate() {
            for (j, b) in other.0.iter().enumerate() {
                full[i + j] += a * b;
            }
        }
        let mut dropped = IBig::ZERO;
        if full.len() > degree + 1 {
            dropped = full[degree + 1..].iter().map(absolute).sum::<IBig>();
            dropped = shift_ceil(&dropped, scale);
            full.truncate(degree + 1);
        }
        let (product, rounding) = Polynomial(full).shifted(scale);
        (product, dropped + rounding)
    }

    /// Bounds of p on [−1, 1]: a lower and an upper one, each at most a few units beyond the true extremum plus what
    /// `halvings` levels of subdivision leave of the gap between Bernstein coefficients and values.
    pub fn range(&self, halvings: usize) -> (IBig, IBig) {
        let upper = self.upper_bound(halvings);
        let lower = -self.times(&IBig::NEG_ONE).upper_bound(halvings);
        (lower, upper)
    }

    /// A bound of |p| on [−1, 1].
    pub fn supremum(&self, halvings: usize) -> IBig {
        let (low, high) = self.range(halvings);
        larger(-low, high)
    }

    /// The largest Bernstein coefficient over 2^`halvings` subintervals, rounded up; intervals that cannot contain
    /// the maximum are not divided further.
    fn upper_bound(&self, halvings: usize) -> IBig {
        let degree = self.0.iter().rposition(|c| *c != IBig::ZERO).unwrap_or(0);
        if degree == 0 {
            return self.coefficient(0);
        }
        let bernstein = bernstein(&self.0[..=degree]);
        // Every halving multiplies by 2^degree instead of dividing, so that it is exact.
        let spare = degree * halvings;
        let scaled: Vec<IBig> = bernstein.into_iter().map(|b| b << spare).collect();
        let mut attained = larger(scaled[0].clone(), scaled[degree].clone());
        let bound = bound_above(scaled, halvings, degree, &mut attained);
        shift_ceil(&bound, spare) + IBig::from(degree + 1)
    }
}

/// Bernstein coefficients on [−1, 1] of Σ cₖ·tᵏ, each too small by less than degree + 1.
fn bernstein(coefficients: &[IBig]) -> Vec<IBig> {
    let degree = coefficients.len() - 1;
    // p(2u − 1) by Horner, exact.
    let mut shifted = vec![IBig::ZERO; degree + 1];
    for c in coefficients.iter().rev() {
        for k in (0..=degree).rev() {
            let below = if k > 0 { &shifted[k - 1] << 1usize } else { IBig::ZERO };
            shifted[k] = below - &shifted[k];
        }
        shifted[0] += c;
    }
    let choose = binomials(degree);
    (0..=degree)
        .map(|i| (0..=i).map(|k| divide_floor(&(&choose[i][k] * &shifted[k]), &choose[degree][k])).sum())
        .collect()
}

/// Pascal's triangle up to row n.
fn binomials(n: usize) -> Vec<Vec<IBig>> {
    let mut rows = vec![vec![IBig::ONE]];
    for i in 1..=n {
        let previous = &rows[i - 1];
        let row = (0..=i)
            .map(|k| {
                let left = if k > 0 { previous[k - 1].clone() } else { IBig::ZERO };
                left + previous.get(k).cloned().unwrap_or(IBig::ZERO)
            })
            .collect();
        rows.push(row);
    }
    rows
}

/// An upper bound of a polynomial given by Bernstein coefficients scaled so that `halvings` exact halvings remain.
/// `attained` is a lower bound of the maximum over the whole interval (end points are attained values).
fn bound_above(coefficients: Vec<IBig>, halvings: usize, degree: usize, attained: &mut IBig) -> IBig {
    let highest = coefficients.iter().max().cloned().unwrap_or(IBig::ZERO);
    if halvings == 0 || highest <= *attained {
        return highest;
    }
    // de Casteljau at the middle: `row` after r steps holds sums 2^r times the averages.
    let mut left = Vec::with_capacity(degree + 1);
    let mut right = vec![IBig::ZERO; degree + 1];
    let mut row = coefficients;
    for r in 0..=degree {
        left.push(shift_floor(&row[0], r));
        right[degree - r] = shift_floor(&row[degree - r], r);
        if r < degree {
            row = row.windows(2).map(|pair| &pair[0] + &pair[1]).collect();
        }
    }
    for end in [&left[0], &left[degree], &right[degree]] {
        if *end > *attained {
            *attained = end.clone();
        }
    }
    let low = bound_above(left, halvings - 1, degree, attained);
    let high = bound_above(right, halvings - 1, degree, attained);
    larger(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn polynomial(coefficients: &[i64]) -> Polynomial {
        Polynomial(coefficients.iter().map(|c| IBig::from(*c)).collect())
    }

    fn value(p: &Polynomial, t: f64) -> f64 {
        p.0.iter().rev().fold(0.0, |sum, c| sum * t + c.to_f64().value())
    }

    #[test]
    fn ranges_contain_every_value_and_are_tight() {
        let cases: [&[i64]; 4] = [
            &[5, -300, 2000, 40000, -90000, 12345],
            &[0, 1_000_000, 0, -1_000_000],
            &[-7],
            &[1 << 40, -(1 << 41), 1 << 41, 3, -(1 << 39), 1 << 38],
        ];
        for case in cases {
            let p = polynomial(case);
            let (low, high) = p.range(4);
            let values: Vec<f64> = (0..=2000).map(|i| value(&p, f64::from(i) / 1000.0 - 1.0)).collect();
            let (least, most) = values.iter().fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(*v), b.max(*v)));
            let (low, high) = (low.to_f64().value(), high.to_f64().value());
            assert!(low <= least && high >= most, "{case:?}: [{low}, {high}] against [{least}, {most}]");
            let spread = (most - least).abs() + 1.0;
            assert!(least - low <= 0.01 * spread + 20.0 && high - most <= 0.01 * spread + 20.0, "{case:?} is loose");
        }
    }

    #[test]
    fn what_is_exact_stays_exact() {
        let whole = polynomial(&[-5 << 16, 0, 7 << 16]);
        assert_eq!(whole.shifted(16), (polynomial(&[-5, 0, 7]), IBig::ZERO));
        assert_eq!(polynomial(&[-1, 1 << 16, 3]).shifted(16).1, IBig::from(2));
        let (product, error) = whole.product(&polynomial(&[3, -2]), 16, 8);
        assert_eq!((product, error), (polynomial(&[-15, 10, 21, -14]), IBig::ZERO));
        assert_eq!(polynomial(&[9, 0, 0]).range(3), (IBig::from(9), IBig::from(9)));
        assert_eq!(Polynomial::default().range(3), (IBig::ZERO, IBig::ZERO));
    }

    #[test]
    fn truncated_products_are_within_their_error() {
        let (a, b) = (polynomial(&[70000, -12345, 999, 12]), polynomial(&[-65536, 4321, 777]));
        let (product, error) = a.product(&b, 16, 2);
        for i in -10..=10 {
            let t = f64::from(i) / 10.0;
            let exact = value(&a, t) * value(&b, t) / 65536.0;
            assert!((value(&product, t) - exact).abs() <= error.to_f64().value());
        }
    }
}
