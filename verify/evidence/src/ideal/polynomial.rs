//! Polynomials in t with dyadic coefficients, exact: nothing is rounded until [`Polynomial::scaled`].

use rug::ops::NegAssign;
use rug::{Assign, Integer, Rational};

/// Σ cₖ·tᵏ / 2^exponent; the empty list is zero.
#[derive(Clone, Debug, Default)]
pub struct Polynomial {
    exponent: u32,
    coefficients: Vec<Integer>,
}

impl Polynomial {
    /// A constant.
    pub fn constant(value: impl Into<Integer>) -> Polynomial {
        Polynomial { exponent: 0, coefficients: vec![value.into()] }
    }

    /// value / 2^exponent.
    pub fn dyadic(value: impl Into<Integer>, exponent: u32) -> Polynomial {
        Polynomial { exponent, coefficients: vec![value.into()] }
    }

    /// Integer coefficients, the constant first.
    pub fn integers(coefficients: Vec<Integer>) -> Polynomial {
        Polynomial { exponent: 0, coefficients }
    }

    /// (low + high)/2 + t·(high − low)/2.
    pub fn interval(low: i64, high: i64) -> Polynomial {
        let (low, high) = (Integer::from(low), Integer::from(high));
        Polynomial { exponent: 1, coefficients: vec![Integer::from(&low + &high), high - low] }
    }

    /// Whether every coefficient is zero.
    pub fn is_zero(&self) -> bool {
        self.coefficients.iter().all(Integer::is_zero)
    }

    /// The highest power with a coefficient that is not zero; 0 of zero.
    pub fn degree(&self) -> usize {
        self.coefficients.iter().rposition(|c| !c.is_zero()).unwrap_or(0)
    }

    /// self + factor·other.
    pub fn add(&mut self, other: &Polynomial, factor: &Integer) {
        let exponent = self.exponent.max(other.exponent);
        for c in &mut self.coefficients {
            *c <<= exponent - self.exponent;
        }
        self.exponent = exponent;
        if self.coefficients.len() < other.coefficients.len() {
            self.coefficients.resize(other.coefficients.len(), Integer::new());
        }
        let mut term = Integer::new();
        for (mine, theirs) in self.coefficients.iter_mut().zip(&other.coefficients) {
            term.assign(theirs * factor);
            term <<= exponent - other.exponent;
            *mine += &term;
        }
    }

    /// The product.
    pub fn times(&self, other: &Polynomial) -> Polynomial {
        if self.coefficients.is_empty() || other.coefficients.is_empty() {
            return Polynomial::default();
        }
        let mut coefficients = vec![Integer::new(); self.coefficients.len() + other.coefficients.len() - 1];
        for (i, a) in self.coefficients.iter().enumerate() {
            for (j, b) in other.coefficients.iter().enumerate() {
                coefficients[i + j] += a * b;
            }
        }
        Polynomial { exponent: self.exponent + other.exponent, coefficients }
    }

    /// Divided by 2^bits.
    pub fn divided(mut self, bits: u32) -> Polynomial {
        self.exponent += bits;
        self
    }

    /// A bound of |p| on [−1, 1], a constant: the sum of the absolute values of the coefficients.
    pub fn magnitude(&self) -> Polynomial {
        let sum: Integer = self.coefficients.iter().map(|c| Integer::from(c.abs_ref())).sum();
        Polynomial::dyadic(sum, self.exponent)
    }

    /// The value at t = 0.
    pub fn at_zero(&self) -> Rational {
        let constant = self.coefficients.first().cloned().unwrap_or_default();
        Rational::from(constant) >> self.exponent
    }

    /// Bounds of p on [−1, 1]: the least and the greatest Bernstein coefficient over 2^`halvings` parts.
    pub fn bounds(&self, halvings: u32) -> (Rational, Rational) {
        let degree = self.degree();
        if degree == 0 {
            return (self.at_zero(), self.at_zero());
        }
        // p(2u − 1) by Horner, then Bernstein coefficients with the common denominator that all C(degree, k) divide.
        let mut powers = vec![Integer::new(); degree + 1];
        for c in self.coefficients[..=degree].iter().rev() {
            for k in (0..=degree).rev() {
                let below = if k > 0 { Integer::from(&powers[k - 1] << 1) } else { Integer::new() };
                powers[k].neg_assign();
                powers[k] += below;
            }
            powers[0] += c;
        }
        let row = |n: usize| (0..=n).map(move |k| Integer::from(n).binomial(k as u32));
        let denominator = row(degree).fold(Integer::from(1), |common, binomial| common.lcm(&binomial));
        let bernstein = (0..=degree).map(|i| {
            let terms = row(i).zip(row(degree)).zip(&powers);
            terms.map(|((chosen, all), power)| chosen * (&denominator / all) * power).sum::<Integer>()
        });
        let (low, high) = extremes(bernstein.collect(), halvings);
        let real =
            |value: Integer, halved: u32| Rational::from((value, denominator.clone())) >> (self.exponent + halved);
        let halved = degree as u32 * halvings;
        (real(low, halved), real(high, halved))
    }

    /// Coefficients as integers at scale 2^−`bits` up to `degree`, floored, and a bound of what that changes on
    /// [−1, 1], in the same unit, rounded up.
    pub fn scaled(&self, bits: u32, degree: usize) -> (Vec<Integer>, Integer) {
        let mut lost = Integer::new();
        let mut kept = Vec::new();
        let mut cut = Integer::new();
        for (k, c) in self.coefficients.iter().enumerate() {
            if k > degree {
                cut += Integer::from(c.abs_ref());
                continue;
            }
            let shifted = Integer::from(c << bits);
            let floor = Integer::from(&shifted >> self.exponent);
            if Integer::from(&floor << self.exponent) != shifted {
                lost += 1;
            }
            kept.push(floor);
        }
        (kept, lost + ceiling(&Rational::from(cut << bits), self.exponent))
    }
}

/// ⌈value / 2^bits⌉.
pub(crate) fn ceiling(value: &Rational, bits: u32) -> Integer {
    (Rational::from(value >> bits)).ceil().into_numer_denom().0
}

/// The least and the greatest coefficient after `halvings` exact halvings, all multiplied by 2^(degree·halvings).
fn extremes(coefficients: Vec<Integer>, halvings: u32) -> (Integer, Integer) {
    let degree = coefficients.len() - 1;
    if halvings == 0 {
        let least = coefficients.iter().min().cloned().unwrap_or_default();
        return (least, coefficients.into_iter().max().unwrap_or_default());
    }
    // de Casteljau: after r steps `row` holds 2^r times the averages; the last one is multiplied by 2^degree.
    let (mut left, mut right) = (Vec::with_capacity(degree + 1), vec![Integer::new(); degree + 1]);
    let mut row = coefficients;
    for r in 0..=degree {
        left.push(Integer::from(&row[0] << (degree - r) as u32));
        right[degree - r] = Integer::from(&row[degree - r] << (degree - r) as u32);
        row = row.windows(2).map(|pair| Integer::from(&pair[0] + &pair[1])).collect();
    }
    let (a, b) = extremes(left, halvings - 1);
    let (c, d) = extremes(right, halvings - 1);
    (a.min(c), b.max(d))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(p: &Polynomial, t: &Rational) -> Rational {
        let sum = p.coefficients.iter().rev().fold(Rational::new(), |sum, c| sum * t + c);
        sum >> p.exponent
    }

    #[test]
    fn bounds_enclose_and_scaling_says_what_it_loses() {
        let cases = [vec![5i64, -300, 2000, 40000, -90000, 12345], vec![0, 1000, 0, -1000], vec![-7], vec![]];
        for case in cases {
            let p = Polynomial { exponent: 7, coefficients: case.iter().map(|c| Integer::from(*c)).collect() };
            let q = Polynomial { exponent: 3, coefficients: vec![Integer::from(11), Integer::from(-5)] };
            let (mut sum, product) = (p.clone(), p.times(&q));
            sum.add(&q, &Integer::from(-3));
            let (low, high) = p.bounds(3);
            let (kept, lost) = p.scaled(4, 2);
            for i in -50..=50 {
                let t = Rational::from((i, 50));
                let (at, other) = (value(&p, &t), value(&q, &t));
                assert!(low <= at && at <= high);
                assert_eq!(value(&product, &t), Rational::from(&at * &other));
                assert_eq!(value(&sum, &t), &at - &other * Rational::from(3));
                let near = value(&Polynomial { exponent: 4, coefficients: kept.clone() }, &t);
                assert!((at - near).abs() <= Rational::from(lost.clone()) >> 4);
            }
            assert!(Rational::from(&high - &low) <= value(&p.magnitude(), &Rational::new()) * Rational::from(2));
        }
    }
}
