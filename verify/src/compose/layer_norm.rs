//! Layer norm (and RMS norm) of a row of n values.
//!
//! Lowering: m̂ = ĉ·Σx, truncated once; d_i = x_i − m̂, exact; V = ĉ'·Σd_i² + ε̂, truncated once; R̂ the rsqrt entry at V;
//! ẑ_i = d_i·R̂, truncated once; y_i = γ̂_i·ẑ_i + β̂_i, truncated once. ĉ and ĉ' are public fixed-point numbers near 1/n.
//!
//! Derivation. μ = Σx/n, v = Σ(x − μ)²/n, W = v + ε > 0, z_i = (x_i − μ)/√W.
//! 1. e = m̂ − μ: |e| ≤ η = (rounding of the mean) + |ĉ − 1/n|·max|Σx|.
//! 2. d_i = (x_i − μ) − e, and Σ(x_i − μ) = 0, so Σd_i² = n(v + e²). With θ = |nĉ' − 1| and ω the rounding of V:
//!    |V − W| ≤ Δ(v) = θ(v + η²) + η² + ω + |ε̂ − ε|. Δ(v)/(v + ε) = (K + θv)/(v + ε) is monotone in v, so its largest
//!    value τ is at an end of the range of v; τ < 1 is required. V lies in [(1−τ)·min W, (1+τ)·max W].
//! 3. |R̂ − V^−½| ≤ α + β·V^−½, so R̂ = V^−½·(1 + ξ) with |ξ| ≤ ρ = β + α·√max V; ρ < 1 is required.
//! 4. With V = W(1 + t), |t| ≤ τ: R̂ = k/√W, k = (1 + ξ)(1 + t)^−½ between (1−ρ)/√(1+τ) and k⁺ = (1+ρ)/√(1−τ).
//!    |k − 1| ≤ B = k⁺ − 1: above by definition; below because 1 − (1−ρ)/√(1+τ) ≤ 1 − (1−ρ)(1 − τ/2) ≤ ρ + τ/2 and
//!    k⁺ − 1 ≥ (1+ρ)(1 + τ/2) − 1 ≥ ρ + τ/2.
//! 5. d_i·R̂ − z_i = z_i(k − 1) − e·k/√W, so |d_i·R̂ − z_i| ≤ B|z_i| + η·k⁺/√min W, and |z_i| ≤ √(n−1): from
//!    Σ_{j≠i}(x_j − μ) = −(x_i − μ) and Cauchy–Schwarz, (x_i − μ)²(1 + 1/(n−1)) ≤ nv.
//! 6. y_i: |γ̂ẑ + β̂ − (γz + β)| ≤ |γ̂||ẑ − z| + |γ̂ − γ||z| + |β̂ − β|, and the last rounding.
//!
//! RMS norm is the same without a mean: η = 0, and |z_i| ≤ √n, as Σ x_j = 0 is not given.

use super::{SideCondition, Truncated, absolute, covers, larger, power_of_two, root_above, root_below};
use crate::Certified;
use catalogs::{Format, Function, Lemma, Ring, Scale};
use dashu::rational::RBig;

/// The errors that enter a normalisation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LayerNormErrors {
    /// The length of the row.
    pub n: u32,
    /// Whether the mean is taken off (layer norm) or not (RMS norm).
    pub centred: bool,
    /// η: the error of the mean; zero if not centred.
    pub mean: RBig,
    /// θ = |n·ĉ' − 1|.
    pub weight: RBig,
    /// ω + |ε̂ − ε|.
    pub variance: RBig,
    /// ε.
    pub epsilon: RBig,
    /// The least and the greatest true variance (mean square, if not centred) of a row.
    pub variances: (RBig, RBig),
    /// α: the constant part of the inverse root's error.
    pub root_absolute: RBig,
    /// β: the part proportional to the inverse root.
    pub root_relative: RBig,
    /// The rounding of ẑ, in real units.
    pub rounding: RBig,
}

/// Proved bounds of a normalisation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LayerNormBound {
    /// |ẑ_i − z_i| of every element.
    pub element: RBig,
    /// B of |ẑ_i − z_i| ≤ B·|z_i| + A.
    pub relative: RBig,
    /// A of the same.
    pub absolute: RBig,
    /// The largest |z_i|.
    pub largest: RBig,
    /// The least and the greatest V: where the inverse root must be certified.
    pub radicand: (RBig, RBig),
}

/// The bound from plain errors; see the derivation above.
pub fn layer_norm_bound(errors: &LayerNormErrors) -> Result<LayerNormBound, SideCondition> {
    let LayerNormErrors { n, mean, weight, variance, epsilon, root_absolute, root_relative, rounding, .. } = errors;
    let (least, greatest) = &errors.variances;
    let all = [mean, weight, variance, epsilon, least, root_absolute, root_relative, rounding];
    if *n == 0 || least > greatest || all.into_iter().any(|value| *value < RBig::ZERO) {
        return Err(SideCondition::Parameter(
            "a normalisation needs a row that is not empty, an ordered range of variances, and no negative errors",
        ));
    }
    let (low, high) = (least + epsilon, greatest + epsilon);
    if low <= RBig::ZERO {
        return Err(SideCondition::Variance);
    }
    let one = RBig::ONE;
    let square = mean * mean;
    let delta = |v: &RBig| weight * (v + &square) + &square + variance;
    let tau = larger(delta(least) / &low, delta(greatest) / &high);
    if tau >= one {
        return Err(SideCondition::Variance);
    }
    let radicand = ((&one - &tau) * &low, (&one + &tau) * high);
    let rho = root_relative + root_absolute * root_above(&radicand.1);
    if rho >= one {
        return Err(SideCondition::Parameter("the rsqrt entry's relative error reaches one"));
    }
    let stretch = (&one + rho) / root_below(&(&one - tau));
    let relative = &stretch - &one;
    let absolute = mean * stretch / root_below(&low) + rounding;
    let count = if errors.centred { *n - 1 } else { *n };
    let largest = root_above(&RBig::from(count));
    Ok(LayerNormBound { element: &relative * &largest + &absolute, relative, absolute, largest, radicand })
}

/// A sum times a public number near 1/n, with its truncation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Average {
    /// The number, an integer.
    pub factor: i64,
    /// An integer that is added before the truncation (the encoded ε; zero for the mean).
    pub constant: i128,
    /// The truncation.
    pub lemma: Lemma,
}

/// The last step, γ̂·ẑ + β̂, over all elements.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Affine {
    /// The largest |γ̂|.
    pub gamma: RBig,
    /// The largest |γ̂ − γ|.
    pub gamma_error: RBig,
    /// Fraction bits of γ̂.
    pub gamma_scale: Scale,
    /// The largest |β̂|.
    pub beta: RBig,
    /// The largest |β̂ − β|.
    pub beta_error: RBig,
    /// The truncation.
    pub lemma: Lemma,
    /// The scale of the result.
    pub scale: Scale,
}

/// How a layer norm is lowered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LayerNormLowering {
    /// The length of the row.
    pub n: u32,
    /// The ring and the scale f of the values.
    pub ring: Ring,
    /// f.
    pub scale: Scale,
    /// The largest |Σx| of a row, in real units.
    pub sum: RBig,
    /// The least and the greatest variance of a row.
    pub variances: (RBig, RBig),
    /// ε.
    pub epsilon: RBig,
    /// The mean, at scale f: its factor stands for ĉ·2^shift.
    pub mean: Average,
    /// The variance, at scale g: its factor stands for ĉ'·2^(shift + g − 2f).
    pub variance: Average,
    /// g.
    pub variance_scale: Scale,
    /// The truncation of d_i·R̂.
    pub normalised: Lemma,
    /// The scale of ẑ.
    pub normalised_scale: Scale,
}

/// The bound of the layer norm ẑ that uses this entry.
pub fn layer_norm(lowering: &LayerNormLowering, rsqrt: &Certified) -> Result<LayerNormBound, SideCondition> {
    let (f, g) = (i32::from(lowering.scale.bits()), i32::from(lowering.variance_scale.bits()));
    if lowering.n == 0 || lowering.sum < RBig::ZERO {
        return Err(SideCondition::Parameter("a layer norm needs a row that is not empty, and a bound of its sum"));
    }
    let n = RBig::from(lowering.n);
    let shift = |lemma: &Lemma| if let Lemma::Truncation { shift, .. } = lemma { i32::from(*shift) } else { 0 };
    let (mean, variance) = (&lowering.mean, &lowering.variance);
    // Scales before each truncation follow from what the lemma drops; the factor takes the rest.
    let (mean_from, variance_from) = (f + shift(&mean.lemma), g + shift(&variance.lemma));
    let weight = RBig::from(mean.factor) * power_of_two(f - mean_from);
    let square_weight = RBig::from(variance.factor) * power_of_two(2 * f - variance_from);
    let encoded = RBig::from(variance.constant) * power_of_two(-variance_from);
    let offset = absolute(&(RBig::from(mean.constant) * power_of_two(-mean_from)));
    let first = Truncated { value: "the mean", lemma: &mean.lemma, from: mean_from, to: f };
    let second = Truncated { value: "the variance", lemma: &variance.lemma, from: variance_from, to: g };
    let eta = first.error()? + &offset + absolute(&(&weight - RBig::ONE / &n)) * &lowering.sum;
    first.accepts("a value", lowering.ring)?;
    first.holds(&(absolute(&weight) * &lowering.sum + offset))?;
    let centred_ring = target(&mean.lemma).map_or(lowering.ring, |ring| ring.min(lowering.ring));
    second.accepts("a centred value", centred_ring)?;
    let most = &n * (&lowering.variances.1 + &eta * &eta);
    second.holds(&(absolute(&square_weight) * most + absolute(&encoded)))?;
    let (root_ring, root_scale) = rsqrt.program().output();
    let third = Truncated {
        value: "the normalised value",
        lemma: &lowering.normalised,
        from: f + i32::from(root_scale.bits()),
        to: i32::from(lowering.normalised_scale.bits()),
    };
    third.accepts("a centred value", centred_ring)?;
    third.accepts("an inverse root", root_ring)?;
    let bound = layer_norm_bound(&LayerNormErrors {
        n: lowering.n,
        centred: true,
        mean: eta,
        weight: absolute(&(&n * square_weight - RBig::ONE)),
        variance: second.error()? + absolute(&(encoded - &lowering.epsilon)),
        epsilon: lowering.epsilon.clone(),
        variances: lowering.variances.clone(),
        root_absolute: rsqrt.claim().absolute_part(),
        root_relative: rsqrt.claim().relative_part(),
        rounding: third.error()?,
    })?;
    let scale = lowering.variance_scale.bits();
    covers(rsqrt, Function::Rsqrt, scale, &bound.radicand.0, &bound.radicand.1)?;
    third.holds(&(&bound.largest + &bound.element))?;
    let wanted = rsqrt.program().input().0;
    match target(&variance.lemma) {
        Some(found) if found < wanted => Err(SideCondition::Ring { value: "the variance", found, wanted }),
        _ => Ok(bound),
    }
}

fn target(lemma: &Lemma) -> Option<Ring> {
    if let Lemma::Truncation { target, .. } = lemma { Some(*target) } else { None }
}

impl LayerNormBound {
    /// The bound of |y_i − (γ_i·z_i + β_i)|, for ẑ in `normalised`.
    pub fn affine(&self, affine: &Affine, normalised: Format) -> Result<RBig, SideCondition> {
        let last = Truncated {
            value: "the scaled and shifted value",
            lemma: &affine.lemma,
            from: i32::from(normalised.scale.bits()) + i32::from(affine.gamma_scale.bits()),
            to: i32::from(affine.scale.bits()),
        };
        let rounding = last.error()?;
        last.accepts("a normalised value", normalised.ring)?;
        last.holds(&(&affine.gamma * (&self.largest + &self.element) + &affine.beta))?;
        Ok(&affine.gamma * &self.element + &affine.gamma_error * &self.largest + &affine.beta_error + rounding)
    }
}
