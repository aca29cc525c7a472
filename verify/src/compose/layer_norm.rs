//! Layer norm (and RMS norm) of a row of n values.
//!
//! Lowering: c_i = x_i − m̂ with m̂ = ĉ·Σx truncated once, or c_i = (n·x_i − Σx)/2^log, exact; V = ĉ'·Σc_i² + ε̂,
//! truncated once, which stands for κ·(variance + ε); R̂ the rsqrt entry at V; ẑ'_i = c_i·R̂, truncated once, or not
//! at all where y_i = (γ̂_i·c_i)·R̂ + β̂_i is one sum: step 7 then holds with an exact ẑ'_i. With γ_c the gain of c (1, or n/2^log), ẑ_i = ẑ'_i·√κ/γ_c; that public factor is taken up by the next weights.
//!
//! Derivation, with c/γ_c, V/κ and √κ·R̂ in place of c, V and R̂: so let γ_c = κ = 1.
//! μ = Σx/n, v = Σ(x − μ)²/n, W = v + ε > 0, z_i = (x_i − μ)/√W.
//! 1. e = m̂ − μ: |e| ≤ η = (rounding of the mean) + |ĉ − 1/n|·max|Σx|; zero for an exact centre. Where m̂ = ĉ·Σx̃ is
//!    made of x̃ with |x̃_i − x_i| ≤ δ, before they were rounded to x: δ more, and Σx̃ in place of Σx, as Σx̃/n − μ is at most δ.
//! 2. d_i = (x_i − μ) − e, and Σ(x_i − μ) = 0, so Σd_i² = n(v + e²). With θ = |nĉ' − 1| and ω the rounding of V:
//!    |V − W| ≤ Δ(v) = θ(v + η²) + η² + ω + |ε̂ − ε|. Δ(v)/(v + ε) = (K + θv)/(v + ε) is monotone in v, so its largest
//!    value τ is at an end of the range of v; τ < 1 is required. V lies in [(1−τ)·min W, (1+τ)·max W].
//! 3. |R̂ − V^−½| ≤ α + β·V^−½, so R̂ = V^−½·(1 + ξ) with |ξ| ≤ ρ = β + α·√max V; ρ < 1 is required.
//! 4. With V = W(1 + t), |t| ≤ τ: R̂ = k/√W, k = (1 + ξ)(1 + t)^−½ between (1−ρ)/√(1+τ) and k⁺ = (1+ρ)/√(1−τ).
//!    |k − 1| ≤ B = k⁺ − 1: above by definition; below because 1 − (1−ρ)/√(1+τ) ≤ 1 − (1−ρ)(1 − τ/2) ≤ ρ + τ/2 and
//!    k⁺ − 1 ≥ (1+ρ)(1 + τ/2) − 1 ≥ ρ + τ/2.
//! 5. d_i·R̂ − z_i = z_i(k − 1) − e·k/√W, so |d_i·R̂ − z_i| ≤ B|z_i| + η·k⁺/√min W, and |z_i| ≤ √((n−1)·v/W): from
//!    Σ_{j≠i}(x_j − μ) = −(x_i − μ) and Cauchy–Schwarz, (x_i − μ)²(1 + 1/(n−1)) ≤ nv.
//! 6. Small variances make B large but z small. 2–5 hold on every part of the range of v, and z is largest at a part's
//!    upper end, so the bound of an element is the largest over parts that cover the range.
//! 7. y_i: |γ̂ẑ + β̂ − (γz + β)| ≤ |γ̂||ẑ − z| + |γ̂ − γ||z| + |β̂ − β|, and the last rounding.
//!
//! RMS norm: z_i = x_i/√(v + ε) with v = Σx²/n the mean square. c_i = x_i is exact: steps 2 to 7 hold with μ = e = 0,
//! γ_c = 1 and η = 0, and d_i = x_i. Only |z_i| ≤ √(n·v/W): from x_i² ≤ nv, as Σ x_j = 0 is not given.

use super::{SideCondition, Truncated, absolute, covers, divisor_below, larger, power_of_two, root_above, target};
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

/// Each part of the range of v + ε reaches from w to at most this many quarters of w; the last one takes what is left.
const PART_QUARTERS: u8 = 5;
const PARTS_MAX: usize = 256;

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
    if least + epsilon <= RBig::ZERO {
        return Err(SideCondition::Variance);
    }
    let whole = errors.part(least, greatest)?;
    let mut element = RBig::ZERO;
    let mut from = least.clone();
    for part in 1..=PARTS_MAX {
        let next = (&from + epsilon) * RBig::from(PART_QUARTERS) / RBig::from(4) - epsilon;
        let to = if part == PARTS_MAX || next > *greatest { greatest.clone() } else { next };
        element = larger(element, errors.part(&from, &to)?.element());
        if to == *greatest {
            break;
        }
        from = to;
    }
    let Part { relative, absolute, largest, radicand } = whole;
    Ok(LayerNormBound { element, relative, absolute, largest, radicand })
}

/// Steps 2 to 5 on a part of the range of v.
struct Part {
    relative: RBig,
    absolute: RBig,
    largest: RBig,
    radicand: (RBig, RBig),
}

impl Part {
    fn element(&self) -> RBig {
        &self.relative * &self.largest + &self.absolute
    }
}

impl LayerNormErrors {
    fn part(&self, least: &RBig, greatest: &RBig) -> Result<Part, SideCondition> {
        let (one, square) = (RBig::ONE, &self.mean * &self.mean);
        let (low, high) = (least + &self.epsilon, greatest + &self.epsilon);
        let delta = |v: &RBig| &self.weight * (v + &square) + &square + &self.variance;
        let tau = larger(delta(least) / &low, delta(greatest) / &high);
        if tau >= one {
            return Err(SideCondition::Variance);
        }
        let radicand = ((&one - &tau) * &low, (&one + &tau) * &high);
        let rho = &self.root_relative + &self.root_absolute * root_above(&radicand.1);
        if rho >= one {
            return Err(SideCondition::Parameter("the rsqrt entry's relative error reaches one"));
        }
        let stretch = (&one + rho) / divisor_below(&(&one - tau))?;
        let relative = &stretch - &one;
        let absolute = &self.mean * stretch / divisor_below(&low)? + &self.rounding;
        let count = RBig::from(if self.centred { self.n - 1 } else { self.n });
        let largest = root_above(&(count * greatest / high));
        Ok(Part { relative, absolute, largest, radicand })
    }
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

/// How a layer norm, or an RMS norm, is lowered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LayerNormLowering {
    /// The length of the row.
    pub n: u32,
    /// The ring and the scale f of the values.
    pub ring: Ring,
    /// f.
    pub scale: Scale,
    /// The largest |Σx| of a row, in real units; counts only where 1/n is not exact.
    pub sum: RBig,
    /// δ: how far an element may be from what the mean is taken of; zero where that is the element itself.
    pub unrounded: RBig,
    /// The least and the greatest variance (mean square, if no mean is taken off) of a row.
    pub variances: (RBig, RBig),
    /// ε.
    pub epsilon: RBig,
    /// How the mean is taken off.
    pub centre: Centre,
    /// V, at scale g: its factor stands for ĉ'·2^(shift + g − 2·(scale of c)).
    pub variance: Average,
    /// g.
    pub variance_scale: Scale,
    /// κ: V stands for κ·(variance + ε).
    pub gain: RBig,
    /// The truncation of c_i·R̂ and the scale of ẑ', or none where γ̂ was multiplied before: the caller then answers
    /// for the ring and the window of (γ̂·c)·R̂ + β̂, as [`LayerNormBound::affine`] does.
    pub normalised: Option<(Lemma, Scale)>,
}

/// How a lowering takes the mean off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Centre {
    /// Not at all: RMS norm. Then a row's variance is its mean square.
    Absent,
    /// x − m̂ at scale f; the factor of the mean, at scale f, stands for ĉ·2^shift.
    Rounded(Average),
    /// n·x − Σx, at scale f + log: exact.
    Exact {
        /// The logarithm of what the centred value is divided by.
        log: u8,
    },
}

/// A centred value: x − μ times a gain, off by at most `error` before that gain.
struct Centred {
    gain: RBig,
    error: RBig,
    scale: i32,
    ring: Ring,
}

/// The bound of the layer norm ẑ (of the RMS norm, for [`Centre::Absent`]) that uses this entry.
pub fn layer_norm(lowering: &LayerNormLowering, rsqrt: &Certified) -> Result<LayerNormBound, SideCondition> {
    let negative = lowering.sum < RBig::ZERO || lowering.unrounded < RBig::ZERO;
    if lowering.n == 0 || negative || lowering.gain <= RBig::ZERO {
        return Err(SideCondition::Parameter(
            "a layer norm needs a row that is not empty, a bound of its sum, and a positive gain",
        ));
    }
    let (n, kappa) = (RBig::from(lowering.n), &lowering.gain);
    let centred = lowering.centred()?;
    let (g, variance) = (i32::from(lowering.variance_scale.bits()), &lowering.variance);
    let variance_from = g + shift(&variance.lemma);
    let squared_gain = &centred.gain * &centred.gain;
    let square_weight = RBig::from(variance.factor) * power_of_two(2 * centred.scale - variance_from);
    let encoded = RBig::from(variance.constant) * power_of_two(-variance_from);
    let second = Truncated { value: "the variance", lemma: &variance.lemma, from: variance_from, to: g };
    second.accepts("a centred value", centred.ring)?;
    let most = &n * &squared_gain * (&lowering.variances.1 + &centred.error * &centred.error);
    second.holds(&(absolute(&square_weight) * most + absolute(&encoded)))?;
    let (root_ring, root_scale) = rsqrt.program().output();
    let third = lowering.normalised.as_ref().map(|(lemma, scale)| Truncated {
        value: "the normalised value",
        lemma,
        from: centred.scale + i32::from(root_scale.bits()),
        to: i32::from(scale.bits()),
    });
    let mut rounding = RBig::ZERO;
    if let Some(third) = &third {
        third.accepts("a centred value", centred.ring)?;
        third.accepts("an inverse root", root_ring)?;
        rounding = third.error()?;
    }
    let bound = layer_norm_bound(&LayerNormErrors {
        n: lowering.n,
        centred: lowering.centre != Centre::Absent,
        mean: centred.error,
        weight: absolute(&(&n * squared_gain * square_weight / kappa - RBig::ONE)),
        variance: (second.error()? + absolute(&(encoded - kappa * &lowering.epsilon))) / kappa,
        epsilon: lowering.epsilon.clone(),
        variances: lowering.variances.clone(),
        root_absolute: rsqrt.claim().absolute_part() * root_above(kappa),
        root_relative: rsqrt.claim().relative_part(),
        rounding: rounding * root_above(kappa) / &centred.gain,
    })?;
    let scale = lowering.variance_scale.bits();
    covers(rsqrt, Function::Rsqrt, scale, &(&bound.radicand.0 * kappa), &(&bound.radicand.1 * kappa))?;
    if let Some(third) = &third {
        third.holds(&((&bound.largest + &bound.element) * centred.gain / divisor_below(kappa)?))?;
    }
    let wanted = rsqrt.program().input().0;
    match target(&variance.lemma) {
        Some(found) if found < wanted => Err(SideCondition::Ring { value: "the variance", found, wanted }),
        _ => Ok(bound),
    }
}

impl LayerNormLowering {
    /// Step 1, with the conditions of the mean's truncation or of the exact centre.
    fn centred(&self) -> Result<Centred, SideCondition> {
        let (f, n) = (i32::from(self.scale.bits()), RBig::from(self.n));
        match &self.centre {
            Centre::Absent => Ok(Centred { gain: RBig::ONE, error: RBig::ZERO, scale: f, ring: self.ring }),
            Centre::Exact { log } => {
                // |n·x − Σx| = n·|x − μ| ≤ n·√(n·v), as an integer at scale f.
                let largest = &n * root_above(&(&n * &self.variances.1)) * power_of_two(f);
                let bits = self.ring.bits() - 1;
                if largest >= power_of_two(i32::from(bits)) {
                    return Err(SideCondition::Overflow { value: "the centred value", bits });
                }
                let (gain, scale) = (n * power_of_two(-i32::from(*log)), f + i32::from(*log));
                Ok(Centred { gain, error: RBig::ZERO, scale, ring: self.ring })
            }
            Centre::Rounded(mean) => {
                let from = f + shift(&mean.lemma);
                let weight = RBig::from(mean.factor) * power_of_two(f - from);
                let offset = absolute(&(RBig::from(mean.constant) * power_of_two(-from)));
                let first = Truncated { value: "the mean", lemma: &mean.lemma, from, to: f };
                let error =
                    first.error()? + &offset + absolute(&(&weight - RBig::ONE / &n)) * &self.sum + &self.unrounded;
                first.accepts("a value", self.ring)?;
                first.holds(&(absolute(&weight) * &self.sum + offset))?;
                let ring = target(&mean.lemma).map_or(self.ring, |ring| ring.min(self.ring));
                Ok(Centred { gain: RBig::ONE, error, scale: f, ring })
            }
        }
    }
}

/// What a truncation drops: scales before it follow from that; the factor takes the rest.
fn shift(lemma: &Lemma) -> i32 {
    if let Lemma::Truncation { shift, .. } = lemma { i32::from(*shift) } else { 0 }
}

impl LayerNormBound {
    /// The bound of |y_i − (γ_i·z_i + β_i)|, for ẑ in `normalised`.
    pub fn affine(&self, affine: &Affine, normalised: Format) -> Result<RBig, SideCondition> {
        let parts = [&affine.gamma, &affine.gamma_error, &affine.beta, &affine.beta_error];
        if parts.into_iter().any(|part| *part < RBig::ZERO) {
            return Err(SideCondition::Parameter("the largest |gain|, |shift| and their errors are not negative"));
        }
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
