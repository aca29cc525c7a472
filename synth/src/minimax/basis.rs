//! Bases: monomials in a scaled variable, some free, some with a prescribed coefficient.

use super::domain::Domain;
use super::failure::MinimaxError;
use rug::ops::Pow;
use rug::{Float, Integer, Rational};

/// The affine change of variable `t = (x - centre) / scale`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scaling {
    centre: Rational,
    scale: Rational,
}

impl Scaling {
    /// `t = x`.
    pub fn identity() -> Self {
        Self { centre: Rational::new(), scale: Rational::from(1) }
    }

    /// `t = (x - centre) / scale`, with a positive scale.
    pub fn new(centre: Rational, scale: Rational) -> Result<Self, MinimaxError> {
        if scale <= 0 {
            return Err(MinimaxError::Scale { scale: scale.to_string() });
        }
        Ok(Self { centre, scale })
    }

    /// The scaling that takes the hull of the domain onto `[-1, 1]`.
    pub fn onto_unit(domain: &Domain) -> Result<Self, MinimaxError> {
        let hull = domain.hull();
        let centre = Rational::from(hull.low() + hull.high()) / 2;
        let scale = Rational::from(hull.high() - hull.low()) / 2;
        Self::new(centre, scale)
    }

    /// The centre, where `t = 0`.
    pub fn centre(&self) -> &Rational {
        &self.centre
    }

    /// The scale: `t = 1` at `centre + scale`.
    pub fn scale(&self) -> &Rational {
        &self.scale
    }

    /// `t` at `x`, rounded to the precision of the result twice.
    pub(super) fn variable(&self, x: &Float, precision: u32) -> Float {
        Float::with_val(precision, x - &self.centre) / &self.scale
    }

    /// `t` at a rational `x`, exactly.
    pub(super) fn exact(&self, x: &Rational) -> Rational {
        Rational::from(x - &self.centre) / &self.scale
    }
}

/// Monomials `t^e`: the free ones, whose coefficients a fit finds, and fixed terms.
///
/// Coefficients of a fit are listed in the order of [`Basis::exponents`], which is ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basis {
    exponents: Vec<u32>,
    fixed: Vec<(u32, Rational)>,
    scaling: Scaling,
}

impl Basis {
    /// All exponents `0..=degree`, in `t = x`.
    pub fn full(degree: u32) -> Self {
        Self::ascending((0..=degree).collect())
    }

    /// The even exponents up to `degree`, in `t = x`.
    pub fn even(degree: u32) -> Self {
        Self::ascending((0..=degree).step_by(2).collect())
    }

    /// The odd exponents up to `degree`, in `t = x`.
    pub fn odd(degree: u32) -> Self {
        Self::ascending((1..=degree).step_by(2).collect())
    }

    /// Any set of exponents, in `t = x`; the order does not matter.
    pub fn of_exponents(exponents: &[u32]) -> Result<Self, MinimaxError> {
        let mut sorted = exponents.to_vec();
        sorted.sort_unstable();
        match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(MinimaxError::RepeatedExponent { exponent: pair[0] }),
            None => Ok(Self::ascending(sorted)),
        }
    }

    fn ascending(exponents: Vec<u32>) -> Self {
        Self { exponents, fixed: Vec::new(), scaling: Scaling::identity() }
    }

    /// The same basis in another variable. Fixed terms are read in that variable, too.
    pub fn with_scaling(mut self, scaling: Scaling) -> Self {
        self.scaling = scaling;
        self
    }

    /// The same basis with a term `coefficient * t^exponent` that the fit must keep.
    ///
    /// An exponent that was free becomes fixed.
    pub fn with_fixed(mut self, exponent: u32, coefficient: Rational) -> Result<Self, MinimaxError> {
        if self.fixed.iter().any(|(fixed, _)| *fixed == exponent) {
            return Err(MinimaxError::RepeatedExponent { exponent });
        }
        self.exponents.retain(|free| *free != exponent);
        self.fixed.push((exponent, coefficient));
        self.fixed.sort_by_key(|(exponent, _)| *exponent);
        Ok(self)
    }

    /// The free exponents, ascending.
    pub fn exponents(&self) -> &[u32] {
        &self.exponents
    }

    /// The fixed terms `(exponent, coefficient)`, ascending by exponent.
    pub fn fixed(&self) -> &[(u32, Rational)] {
        &self.fixed
    }

    /// The variable `t`.
    pub fn scaling(&self) -> &Scaling {
        &self.scaling
    }

    /// Coefficients of `x^0, x^1, …` (not of `t`) of the polynomial with these free coefficients, fixed terms
    /// included, exactly.
    pub(super) fn in_x(&self, coefficients: &[Float]) -> Vec<Rational> {
        let free = self.exponents.iter().zip(coefficients);
        let free = free.filter_map(|(&exponent, value)| Some((exponent, value.to_rational()?)));
        let terms: Vec<(u32, Rational)> = free.chain(self.fixed.iter().cloned()).collect();
        let degree = terms.iter().map(|(exponent, _)| *exponent).max().unwrap_or(0);
        let mut result = vec![Rational::new(); degree as usize + 1];
        let scaling = &self.scaling;
        let shift = Rational::from(-scaling.centre());
        for (exponent, coefficient) in terms {
            let factor = coefficient / Rational::from(scaling.scale().pow(exponent));
            for power in 0..=exponent {
                let binomial = Integer::from(exponent).binomial(power);
                let shifted = Rational::from((&shift).pow(exponent - power));
                result[power as usize] += Rational::from(&factor * binomial) * shifted;
            }
        }
        result
    }

    /// The basis without its fixed terms.
    pub(super) fn without_fixed(&self) -> Self {
        Self { fixed: Vec::new(), ..self.clone() }
    }

    /// The basis restricted to the free exponents of one parity; the rest are dropped.
    pub(super) fn of_parity(&self, parity: u32) -> Self {
        let mut basis = self.clone();
        basis.exponents.retain(|exponent| exponent % 2 == parity);
        basis
    }

    /// The free monomials at `t`, in the order of the exponents.
    pub(super) fn monomials(&self, t: &Float) -> Vec<Float> {
        let precision = t.prec();
        let mut row: Vec<Float> = Vec::with_capacity(self.exponents.len());
        let mut previous = 0u32;
        for &exponent in &self.exponents {
            let step = Float::with_val(precision, t.pow(exponent - previous));
            row.push(match row.last() {
                Some(last) => Float::with_val(precision, last * &step),
                None => step,
            });
            previous = exponent;
        }
        row
    }

    /// The sum of the fixed terms at `t`.
    pub(super) fn fixed_part(&self, t: &Float) -> Float {
        let precision = t.prec();
        let mut sum = Float::new(precision);
        for (exponent, coefficient) in &self.fixed {
            sum += Float::with_val(precision, t.pow(*exponent)) * coefficient;
        }
        sum
    }
}

/// The product `row · coefficients`.
pub(super) fn dot(row: &[Float], coefficients: &[Float], precision: u32) -> Float {
    let mut sum = Float::new(precision);
    for (entry, coefficient) in row.iter().zip(coefficients) {
        sum += entry * coefficient;
    }
    sum
}
