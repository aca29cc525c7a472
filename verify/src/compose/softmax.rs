//! Softmax of a row of n logits.
//!
//! Lowering: m = max x exactly; d_i = x_i − m, exact integers; ê_i the exp entry at d_i; S = Σ ê_i, exact; ŝ the
//! reciprocal entry at S; y_i = ê_i·ŝ, truncated once.
//!
//! Derivation. E_i = e^{d_i} ≤ 1, T = ΣE_i ≥ 1 (one d is 0), p_i = E_i/T, ê_i = E_i + δ_i with |δ_i| ≤ a + r·E_i.
//! 1. |S − T| ≤ na + rT, so S ≥ T(1 − r) − na ≥ T·D with D = 1 − na − r, as T ≥ 1; and S ≤ n(1 + a + r), as T ≤ n.
//! 2. q_i = ê_i/S: q_i − p_i = (ê_i·T − E_i·S)/(S·T) = (δ_i − p_i·Σδ_j)/S = ((1 − p_i)δ_i − p_i·Σ_{j≠i}δ_j)/S, hence
//!    |q_i − p_i| ≤ [(1 − p_i)(a + rE_i) + p_i((n−1)a + r(T − E_i))]/S = [a(1 + (n−2)p_i) + 2rT·p_i(1 − p_i)]/S
//!    ≤ [a(1 + (n−2)p_i) + 2r·p_i(1 − p_i)]/D, by T/S ≤ 1/D and 1/S ≤ 1/D.
//! 3. |S·ŝ − 1| ≤ ρ: ê_i·ŝ = q_i·(S·ŝ), so |ê_i·ŝ − q_i| ≤ ρ|q_i| ≤ ρp_i + ρ|q_i − p_i|.
//! 4. With the last rounding u: |y_i − p_i| ≤ g(p_i) + u, g(p) = K[a(1 + (n−2)p) + 2rp(1 − p)] + ρp, K = (1+ρ)/D.
//!    g is concave on [0, 1]: its maximum is at a end or where g' = 0, all rational.
//! 5. Summed over i, with δ_i = α_i + ε_i·E_i, |α_i| ≤ a, |ε_i| ≤ r. The constant parts give at most
//!    Σ[(1 − p_i)a + p_i(n−1)a]/S = 2(n−1)a/S. The others give (T/S)·Σp_i|ε_i − ε̄|, ε̄ = Σp_j·ε_j: a mean absolute
//!    deviation is at most the standard deviation, which is at most r. So Σ|q_i − p_i| ≤ [2(n−1)a + r]/D, and
//!    Σ|ê_i·ŝ − p_i| ≤ K[2(n−1)a + r] + ρ.
//! 6. |ŝ| ≤ (1 + ρ)/S ≤ K.
//!
//! Another number than the maximum. Let d_i = x_i − c ≤ 0, all exponentials be multiplied by a public h = 2^k, exactly,
//! and T ≥ t: E_i = h·e^{d_i} ≤ h, |δ_i| ≤ ha + r·E_i, p_i as before. With ha/t for a in D, K and steps 2 to 5, all bounds
//! hold: n·ha ≤ T·n(ha/t) in step 1, hence S ≥ T·D, T/S ≤ 1/D and ha/S ≤ (ha/t)/D. Only S ≥ t·D, S ≤ n(h + ha + rh), by
//! T ≤ nh, and |ŝ| ≤ K/t are different.
//! - A coarse maximum, h = 1: max x ≤ c ≤ max x + Δ, as where c is the maximum of rounded logits. Then t = e^{−Δ}.
//! - No maximum: c is public, and every logit lies in [c − w, c]. Where m of a row's elements are not masked at least,
//!   t = m·h·e^{−w}. A masked element is an exact zero, of ê too, so that n ≥ m may be the row's whole length.
//!
//! Nothing here needs ê_i ≥ 0. A reciprocal entry with |ŝ − 1/S| ≤ α + β/S has ρ = β + α·max S.

use super::{SideCondition, Truncated, covers};
use crate::{Certified, constants, integer::IBig};
use catalogs::{Function, Lemma, Scale};
use dashu::rational::RBig;

/// The errors that enter a softmax.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SoftmaxErrors {
    /// The length of the row.
    pub n: u32,
    /// a: the constant part of the exponential's error.
    pub exp_absolute: RBig,
    /// r: the part proportional to the exponential.
    pub exp_relative: RBig,
    /// α: the constant part of the reciprocal's error.
    pub reciprocal_absolute: RBig,
    /// β: the part proportional to the reciprocal.
    pub reciprocal_relative: RBig,
    /// u: the last rounding, in real units.
    pub rounding: RBig,
}

/// Proved bounds of a softmax.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SoftmaxBound {
    /// |y_i − p_i| of every element.
    pub element: RBig,
    /// Σ|y_i − p_i| over the row.
    pub sum: RBig,
    /// Σ|ê_i·ŝ − p_i| over the row, before the last rounding: attention that computes ŝ·Σ ê_i·V_i is off by at most
    /// max|V| times this, and its own rounding.
    pub sum_unrounded: RBig,
    /// The least and the greatest sum of exponentials: where the reciprocal must be certified.
    pub denominator: (RBig, RBig),
    /// The largest |ê_i·ŝ|, before the last rounding.
    pub largest: RBig,
    /// The largest |ŝ|.
    pub inverse: RBig,
    /// g of step 4 without the last rounding, from its constant to its square.
    terms: [RBig; 3],
    rounding: RBig,
}

impl SoftmaxBound {
    /// |y_i − p_i| where p_i is `probability`, in [0, 1]: what rows of many equal logits have.
    pub fn at(&self, probability: &RBig) -> RBig {
        let [constant, linear, square] = &self.terms;
        constant + (linear - square * probability) * probability + &self.rounding
    }
}

/// The bound from plain errors; see the derivation above.
pub fn softmax_bound(errors: &SoftmaxErrors) -> Result<SoftmaxBound, SideCondition> {
    bound_from(errors, &RBig::ONE, &RBig::ONE)
}

/// A number that is not above e^{−Δ}: six terms of the series, whose signs alternate.
fn exponential_below(delta: &RBig) -> RBig {
    let (mut term, mut sum) = (RBig::ONE, RBig::ONE);
    for k in 1..=5 {
        term = -term * delta / RBig::from(k);
        sum += &term;
    }
    sum
}

/// The same where the exponentials of a row are at most `most`, their errors are multiplied already, and they sum up to
/// at least `total`.
fn bound_from(errors: &SoftmaxErrors, most: &RBig, total: &RBig) -> Result<SoftmaxBound, SideCondition> {
    let SoftmaxErrors { n, exp_absolute, exp_relative: r, .. } = errors;
    if *total <= RBig::ZERO {
        return Err(SideCondition::Denominator(*n));
    }
    let a = &(exp_absolute / total);
    let negative = |value: &RBig| *value < RBig::ZERO;
    let all = [a, r, &errors.reciprocal_absolute, &errors.reciprocal_relative, &errors.rounding];
    if *n == 0 || all.into_iter().any(negative) {
        return Err(SideCondition::Parameter(
            "a softmax needs a row that is not empty, and errors that are not negative",
        ));
    }
    let (one, two, length) = (RBig::ONE, RBig::from(2), RBig::from(*n));
    let least = &one - &length * a - r;
    if least <= RBig::ZERO {
        return Err(SideCondition::Denominator(*n));
    }
    let greatest = &length * (most * (&one + r) + exp_absolute);
    let rho = &errors.reciprocal_relative + &errors.reciprocal_absolute * &greatest;
    let factor = (&one + &rho) / &least;
    // g(p) = constant + linear·p − square·p².
    let constant = &factor * a;
    let linear = &factor * (a * (&length - &two) + &two * r) + &rho;
    let square = &two * r * &factor;
    let worst = if linear <= RBig::ZERO {
        constant.clone()
    } else if linear >= &two * &square {
        &constant + &linear - &square
    } else {
        &constant + &linear * &linear / (RBig::from(4) * &square)
    };
    let sum_unrounded = &factor * (&two * a * (&length - &one) + r) + rho;
    Ok(SoftmaxBound {
        element: &worst + &errors.rounding,
        sum: &sum_unrounded + &length * &errors.rounding,
        sum_unrounded,
        denominator: (least * total, greatest),
        largest: one + worst,
        inverse: factor / total,
        terms: [constant, linear, square],
        rounding: errors.rounding.clone(),
    })
}

/// How a softmax is lowered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SoftmaxLowering {
    /// The length of the row.
    pub n: u32,
    /// The largest difference of two logits of a row, in integers at the exp entry's input scale.
    pub spread: i64,
    /// The truncation of ê_i·ŝ, and the scale of the result; none where ŝ is only multiplied with Σ ê_i·V_i.
    pub last: Option<(Lemma, Scale)>,
}

/// What is subtracted from the logits of a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subtracted {
    /// At least the row's maximum and at most this more, in integers at the exp entry's input scale.
    Maximum(i64),
    /// A public number that no logit exceeds; then the spread is how far below it one can be.
    Public {
        /// Of every row at least so many elements are not masked.
        terms: u32,
        /// Exponentials are multiplied by two to this power.
        raised: u8,
    },
}

/// The bound of a softmax that uses these entries and subtracts the row's maximum.
pub fn softmax(
    lowering: &SoftmaxLowering,
    exp: &Certified,
    reciprocal: &Certified,
) -> Result<SoftmaxBound, SideCondition> {
    shifted_softmax(lowering, Subtracted::Maximum(0), exp, reciprocal)
}

/// The same for what is `subtracted`; the spread is that from what is subtracted.
pub fn shifted_softmax(
    lowering: &SoftmaxLowering,
    subtracted: Subtracted,
    exp: &Certified,
    reciprocal: &Certified,
) -> Result<SoftmaxBound, SideCondition> {
    let senseless = match subtracted {
        Subtracted::Maximum(above) => above < 0,
        Subtracted::Public { terms, .. } => terms > lowering.n,
    };
    if lowering.spread < 0 || senseless {
        return Err(SideCondition::Parameter("a spread of logits is not negative, and a row has its length"));
    }
    let input = exp.program().input().1.bits();
    let unit = super::power_of_two(-i32::from(input));
    let lowest = RBig::from(-i128::from(lowering.spread)) * &unit;
    covers(exp, Function::Exp, input, &lowest, &RBig::ZERO)?;
    let (exp_ring, exp_scale) = exp.program().output();
    let (reciprocal_ring, reciprocal_scale) = reciprocal.program().output();
    let wanted = reciprocal.program().input().0;
    if exp_ring < wanted {
        return Err(SideCondition::Ring { value: "the sum of exponentials", found: exp_ring, wanted });
    }
    let last = lowering.last.as_ref().map(|(lemma, scale)| Truncated {
        value: "the product of exponential and reciprocal",
        lemma,
        from: i32::from(exp_scale.bits()) + i32::from(reciprocal_scale.bits()),
        to: i32::from(scale.bits()),
    });
    let rounding = match &last {
        Some(last) => {
            last.accepts("an exponential", exp_ring)?;
            last.accepts("a reciprocal", reciprocal_ring)?;
            last.error()?
        }
        None => RBig::ZERO,
    };
    let (most, total) = match subtracted {
        Subtracted::Maximum(above) => (RBig::ONE, exponential_below(&(RBig::from(above) * unit))),
        Subtracted::Public { terms, raised } => {
            let (most, argument) = (super::power_of_two(i32::from(raised)), IBig::from(lowering.spread) << 64);
            let least = constants::exponential(&-argument, 64 + usize::from(input));
            let least = RBig::from(least.map_or(IBig::ZERO, |ball| ball.centre - ball.radius));
            (most.clone(), RBig::from(terms) * most * least * super::power_of_two(-64) * unit)
        }
    };
    let errors = SoftmaxErrors {
        n: lowering.n,
        exp_absolute: exp.claim().absolute_part() * &most,
        exp_relative: exp.claim().relative_part(),
        reciprocal_absolute: reciprocal.claim().absolute_part(),
        reciprocal_relative: reciprocal.claim().relative_part(),
        rounding,
    };
    let bound = bound_from(&errors, &most, &total)?;
    // A window lies in its ring, so a sum inside it did not wrap.
    covers(reciprocal, Function::Reciprocal, exp_scale.bits(), &bound.denominator.0, &bound.denominator.1)?;
    last.map_or(Ok(()), |last| last.holds(&bound.largest))?;
    Ok(bound)
}
