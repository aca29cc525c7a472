//! Evaluation schemes: powers of a variable in logarithmic depth, then one fused sum.

use super::builder::{BuildError, Builder, Terms, Wire};
use rug::Rational;

/// 1st to `count`-th power of `base`, each truncated to `scale` (the first is `base` itself).
///
/// Powers are products of the two nearest halves, so that power k is ready after ⌈log₂ k⌉ truncations.
pub fn powers(builder: &mut Builder, base: Wire, count: usize, scale: i32) -> Result<Vec<Wire>, BuildError> {
    let mut powers = vec![base];
    for exponent in 2..=count {
        let (low, high) = (exponent / 2, exponent - exponent / 2);
        powers.push(builder.truncated_product(powers[low - 1], powers[high - 1], scale)?);
    }
    Ok(powers)
}

/// The number of powers that [`dot_with_powers`] needs for a degree.
pub fn powers_needed(degree: usize) -> usize {
    degree.div_ceil(2).max(1)
}

/// Adds Σ cₖ·wᵏ to `terms`, from the powers w¹ … wʳ and, above r, wʳ·(c_{r+1}·w + …): degree 2r with r powers.
///
/// The inner sum is local and has the scale that makes its product with wʳ arrive at `computed_scale`.
pub fn dot_with_powers(
    builder: &mut Builder,
    powers: &[Wire],
    coefficients: &[Rational],
    mut terms: Terms,
    computed_scale: i32,
) -> Result<Terms, BuildError> {
    if let Some(constant) = coefficients.first() {
        terms = terms.constant(constant.clone());
    }
    for (coefficient, power) in coefficients.iter().skip(1).zip(powers) {
        terms = terms.linear(coefficient.clone(), *power);
    }
    let above: Vec<&Rational> = coefficients.iter().skip(powers.len() + 1).collect();
    if let (Some(top), false) = (powers.last(), above.is_empty()) {
        let inner = above.iter().zip(powers).fold(Terms::new(), |inner, (c, power)| inner.linear((*c).clone(), *power));
        let inner = builder.exact(&inner, computed_scale - top.scale())?;
        terms = terms.product(1, *top, inner);
    }
    Ok(terms)
}
