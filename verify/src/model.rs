//! Integer Taylor models: what one value of a program can be, over a piece of inputs and all roundings.
//!
//! On a piece, with t ∈ [−1, 1], a value is p(t) + Σ eᵢ·Sᵢ(t) + R·e: each eᵢ ∈ [−1, 1] is one rounding, e ∈ [−1, 1]
//! is everything else. The unit is the value's integer, at scale 2^−[`FRACTION`]; a rounding has a radius near one
//! unit, so none can vanish, whatever the scale of the value.

use crate::integer::{IBig, absolute, shift_ceil, shift_floor};
use crate::polynomial::Polynomial;
use catalogs::Rounding;
use std::collections::BTreeMap;

/// Fraction bits of the checker below one integer unit.
pub const FRACTION: usize = 64;
/// The degree to which a rounding's influence is followed; the rest goes into the remainder.
const SYMBOL_DEGREE: usize = 3;
/// Levels of subdivision when a range decides a window or a bit.
const RANGE_HALVINGS: usize = 2;

/// p + Σ eᵢ·Sᵢ + R·e, all at scale 2^−[`FRACTION`].
#[derive(Clone, Debug)]
pub struct Model {
    /// The part that does not depend on any rounding.
    pub polynomial: Polynomial,
    /// The first-order influence of each rounding, by the index of its operation.
    pub symbols: BTreeMap<usize, Polynomial>,
    /// A bound of everything else, not negative.
    pub remainder: IBig,
}

impl Model {
    /// An exact integer.
    pub fn constant(value: i128) -> Model {
        Model {
            polynomial: Polynomial::constant(IBig::from(value) << FRACTION),
            symbols: BTreeMap::new(),
            remainder: IBig::ZERO,
        }
    }

    /// Every real number from `low` to `high`, as (low+high)/2 + t·(high−low)/2.
    pub fn interval(low: i128, high: i128) -> Model {
        let (low, high) = (IBig::from(low), IBig::from(high));
        let polynomial = Polynomial::affine((&low + &high) << (FRACTION - 1), (high - low) << (FRACTION - 1));
        Model { polynomial, symbols: BTreeMap::new(), remainder: IBig::ZERO }
    }

    /// Whether this is exactly zero for every input and rounding.
    pub fn is_zero(&self) -> bool {
        self.polynomial.is_zero() && self.symbols.values().all(Polynomial::is_zero) && self.remainder == IBig::ZERO
    }

    /// self + factor·other, exact.
    pub fn add(&mut self, other: &Model, factor: i128) {
        let factor = IBig::from(factor);
        self.polynomial = self.polynomial.plus(&other.polynomial, &factor);
        for (index, symbol) in &other.symbols {
            let sum = self.symbols.entry(*index).or_default();
            *sum = sum.plus(symbol, &factor);
        }
        self.remainder += &other.remainder * absolute(&factor);
    }

    /// A model of the product, polynomials cut at `degree`.
    ///
    /// (p₁+s₁+r₁)(p₂+s₂+r₂): p₁p₂ and pᵢsⱼ are kept to first order; s₁s₂, every term with an r, and what the cuts drop
    /// go into the remainder.
    pub fn product(&self, other: &Model, degree: usize) -> Model {
        let (polynomial, mut remainder) = self.polynomial.product(&other.polynomial, FRACTION, degree);
        let mut symbols: BTreeMap<usize, Polynomial> = BTreeMap::new();
        for (carrier, bearer) in [(self, other), (other, self)] {
            for (index, symbol) in &bearer.symbols {
                let (influence, dropped) = carrier.polynomial.product(symbol, FRACTION, SYMBOL_DEGREE);
                remainder += dropped;
                let sum = symbols.entry(*index).or_default();
                *sum = sum.plus(&influence, &IBig::ONE);
            }
        }
        let (p, q) = (self.polynomial.magnitude(), other.polynomial.magnitude());
        let (s, u) = (self.rounding_magnitude(), other.rounding_magnitude());
        let (r, v) = (&self.remainder, &other.remainder);
        let second_order = &s * &u + (&p + &s) * v + (&q + &u) * r + r * v;
        remainder += shift_ceil(&second_order, FRACTION);
        Model { polynomial, symbols, remainder }
    }

    /// The value after ⌊·/2^shift⌋ + δ, with the rounding of operation `index` as a new symbol.
    ///
    /// δ minus the fraction that the floor drops lies in [low − 1 + 2^−shift, high]: centre
    /// (low + high − 1 + 2^−shift)/2, radius (high − low + 1 − 2^−shift)/2, both exact at this scale if shift < 64. For
    /// wider shifts [low − 1, high] is taken: the centre and the radius without 2^−shift.
    pub fn truncated(&self, shift: usize, rounding: Rounding, index: usize) -> Model {
        let (mut polynomial, mut dropped) = self.polynomial.shifted(shift);
        let mut symbols = BTreeMap::new();
        for (symbol_index, symbol) in &self.symbols {
            let (shifted, error) = symbol.shifted(shift);
            dropped += error;
            symbols.insert(*symbol_index, shifted);
        }
        let (low, high) = (IBig::from(rounding.low), IBig::from(rounding.high));
        let half_ulp = if shift < FRACTION { IBig::ONE << (FRACTION - 1 - shift) } else { IBig::ZERO };
        let centre = ((&low + &high - IBig::ONE) << (FRACTION - 1)) + &half_ulp;
        let radius = ((high - low + IBig::ONE) << (FRACTION - 1)) - half_ulp;
        polynomial = polynomial.plus(&Polynomial::constant(centre), &IBig::ONE);
        symbols.insert(index, Polynomial::constant(radius));
        Model { polynomial, symbols, remainder: shift_ceil(&self.remainder, shift) + dropped }
    }

    /// The number of coefficients.
    pub fn size(&self) -> usize {
        self.polynomial.0.len() + self.symbols.values().map(|symbol| symbol.0.len()).sum::<usize>()
    }

    /// A bound of |value| in integer units, rounded up.
    pub fn magnitude(&self) -> IBig {
        shift_ceil(&(self.polynomial.magnitude() + self.rounding_magnitude() + &self.remainder), FRACTION)
    }

    /// A bound of |Σ eᵢ·Sᵢ|.
    pub fn rounding_magnitude(&self) -> IBig {
        self.symbols.values().map(Polynomial::magnitude).sum()
    }

    /// The least and the greatest integer the value can be.
    pub fn integer_range(&self) -> (IBig, IBig) {
        let (low, high) = self.polynomial.range(RANGE_HALVINGS);
        let spread = self.rounding_magnitude() + &self.remainder;
        (shift_ceil(&(low - &spread), FRACTION), shift_floor(&(high + spread), FRACTION))
    }
}
