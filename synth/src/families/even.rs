//! x/2 + P(x²) inside |x| < B, 0 on its left, x on its right: GELU and SiLU.
//!
//! f(x) − x/2 is even, so a polynomial of degree n in u = x²/2^e serves both signs. Two comparisons find the middle,
//! and one exact sum of products selects: outside the middle the powers may overflow, multiplied by an exact zero.

use super::builder::{BuildError, Builder, Terms, band_width};
use super::polynomial::{dot_with_powers, powers, powers_needed};
use catalogs::{Program, Ring, Scale, Window};
use rug::Rational;

/// The parameters of the family.
#[derive(Clone, PartialEq, Debug)]
pub struct Even {
    /// B, as an input integer.
    pub edge: i64,
    /// e: u = x²/2^e.
    pub squeeze: i32,
    /// Fraction bits of the powers of u.
    pub internal_scale: i32,
    /// Fraction bits of the last sum before its truncation.
    pub computed_scale: i32,
    /// Low bits that the comparisons ignore.
    pub dropped: u8,
}

impl Even {
    /// The program with the given coefficients of u⁰, u¹, …
    pub fn program(
        &self,
        ring: Ring,
        scale: Scale,
        window: Window,
        coefficients: &[Rational],
    ) -> Result<Program, BuildError> {
        let mut b = Builder::new(ring, scale);
        let x = b.input();
        let range = (i128::from(window.low), i128::from(window.high));
        // Both bands lie outside |x| < B: there the polynomial may serve, but never a tail inside.
        let left = -i128::from(self.edge) - band_width(self.dropped);
        let below_left = b.less_than(x, left, range, self.dropped)?;
        let below_right = b.less_than(x, i128::from(self.edge), range, self.dropped)?;
        let (below_left, below_right) = (b.inject(below_left), b.inject(below_right));
        let middle = b.exact(&Terms::new().linear(1, below_right).linear(-1, below_left), 0)?;
        let right = b.exact(&Terms::new().constant(1).linear(-1, below_right), 0)?;

        let halved = x.divided_by_power(self.squeeze);
        let u = b.truncated_product(x, halved, self.internal_scale)?;
        let degree = coefficients.len().saturating_sub(1);
        let w = powers(&mut b, u, powers_needed(degree), self.internal_scale)?;
        let terms = Terms::new().linear((1, 2), x);
        let terms = dot_with_powers(&mut b, &w, coefficients, terms, self.computed_scale)?;
        let output_scale = i32::from(scale.bits());
        let inside = b.truncated(&terms, output_scale, self.computed_scale - output_scale)?;
        b.exact(&Terms::new().product(1, middle, inside).product(1, right, x), output_scale)?;
        b.finish()
    }
}
