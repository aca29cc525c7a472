//! Evaluation schemes: powers of a variable in logarithmic depth, then one fused sum.

use super::builder::{BuildError, Builder, Terms, Wire};
use catalogs::Ring;
use rug::Rational;

/// 1st to `count`-th power of `base`, each truncated to `scale` (the first is `base` itself).
///
/// Powers are products of the two nearest halves, so that power k is ready after ⌈log₂ k⌉ truncations.
pub fn powers(builder: &mut Builder, base: Wire, count: usize, scale: i32) -> Result<Vec<Wire>, BuildError> {
    powers_into(builder, base, count, scale, base.ring())
}

/// As [`powers`], the second and all higher powers in `ring`: the first itself may stay in a wider one.
pub fn powers_into(
    builder: &mut Builder,
    base: Wire,
    count: usize,
    scale: i32,
    ring: Ring,
) -> Result<Vec<Wire>, BuildError> {
    let mut powers: Vec<Wire> = vec![base];
    for exponent in 2..=count {
        let (low, high) = (powers[exponent / 2 - 1], powers[exponent - exponent / 2 - 1]);
        let shift = low.scale() + high.scale() - scale;
        powers.push(builder.truncated_into(&Terms::new().product(1, low, high), scale, shift, ring)?);
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

/// Adds x·(a₀ + a₁u + …) to `terms`, from the powers of `u` at `internal`: above three, x·uʳ is one more power and
/// carries the upper half.
pub fn odd_dot_with_powers(
    b: &mut Builder,
    x: Wire,
    u: Wire,
    coefficients: &[Rational],
    terms: Terms,
    (internal, computed): (i32, i32),
) -> Result<Terms, BuildError> {
    let degree = coefficients.len().saturating_sub(1);
    let count = if degree <= 3 { degree.max(1) } else { powers_needed(degree) };
    let w = powers(b, u, count, internal)?;
    let lower = coefficients.iter().take(1).fold(Terms::new(), |terms, c| terms.constant(c.clone()));
    let lower = coefficients.iter().skip(1).zip(&w).fold(lower, |terms, (c, w)| terms.linear(c.clone(), *w));
    let lower = b.exact(&lower, computed - x.scale())?;
    let terms = terms.product(1, x, lower);
    if degree <= count {
        return Ok(terms);
    }
    let carrier = b.truncated_product(x, w[count - 1], internal)?;
    let upper = coefficients.iter().skip(1 + count).zip(&w);
    let upper = upper.fold(Terms::new(), |terms, (c, w)| terms.linear(c.clone(), *w));
    let upper = b.exact(&upper, computed - internal)?;
    Ok(terms.product(1, carrier, upper))
}
