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
//! A coarse maximum: d_i = x_i − m with max x ≤ m ≤ max x + Δ, as where m is the maximum of rounded logits. Then
//! T ≥ t = e^{−Δ}, and with a/t for a in D, K and steps 2 to 5, all bounds hold: a/S ≤ (a/t)/D. Only S ≥ t·D and
//! |ŝ| ≤ K/t are different.
//!
//! Nothing here needs ê_i ≥ 0. A reciprocal entry with |ŝ − 1/S| ≤ α + β/S has ρ = β + α·n(1 + a + r).

use super::{SideCondition, Truncated, covers};
use crate::Certified;
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
    bound_from(errors, &RBig::ONE)
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

/// The same where the exponentials of a row sum up to at least `total`.
fn bound_from(errors: &SoftmaxErrors, total: &RBig) -> Result<SoftmaxBound, SideCondition> {
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
    let greatest = &length * (&one + exp_absolute + r);
    let rho = &errors.reciprocal_relative + &errors.reciprocal_absolute * &greatest;
    let factor = (&one + &rho) / &least;
    // g(p) = constant + linear·p − square·p².
    let constant = &factor * a;
    let linear = &factor * (a * (&length - &two) + &two * r) + &rho;
    let square = &two * r * &factor;
    let most = if linear <= RBig::ZERO {
        constant.clone()
    } else if linear >= &two * &square {
        &constant + &linear - &square
    } else {
        &constant + &linear * &linear / (RBig::from(4) * &square)
    };
    let sum_unrounded = &factor * (&two * a * (&length - &one) + r) + rho;
    Ok(SoftmaxBound {
        element: &most + &errors.rounding,
        sum: &sum_unrounded + &length * &errors.rounding,
        sum_unrounded,
        denominator: (least * total, greatest),
        largest: one + most,
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

/// The bound of a softmax that uses these entries.
pub fn softmax(
    lowering: &SoftmaxLowering,
    exp: &Certified,
    reciprocal: &Certified,
) -> Result<SoftmaxBound, SideCondition> {
    coarse_softmax(lowering, 0, exp, reciprocal)
}

/// The same where what is subtracted exceeds a row's maximum by up to `above`, in integers at the exp entry's input
/// scale; the spread is that from what is subtracted.
pub fn coarse_softmax(
    lowering: &SoftmaxLowering,
    above: i64,
    exp: &Certified,
    reciprocal: &Certified,
) -> Result<SoftmaxBound, SideCondition> {
    if lowering.spread < 0 || above < 0 {
        return Err(SideCondition::Parameter("a spread of logits is not negative"));
    }
    let input = exp.program().input().1.bits();
    let lowest = RBig::from(-i128::from(lowering.spread)) * super::power_of_two(-i32::from(input));
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
    let delta = RBig::from(above) * super::power_of_two(-i32::from(input));
    let errors = SoftmaxErrors {
        n: lowering.n,
        exp_absolute: exp.claim().absolute_part(),
        exp_relative: exp.claim().relative_part(),
        reciprocal_absolute: reciprocal.claim().absolute_part(),
        reciprocal_relative: reciprocal.claim().relative_part(),
        rounding,
    };
    let bound = bound_from(&errors, &exponential_below(&delta))?;
    // A window lies in its ring, so a sum inside it did not wrap.
    covers(reciprocal, Function::Reciprocal, exp_scale.bits(), &bound.denominator.0, &bound.denominator.1)?;
    last.map_or(Ok(()), |last| last.holds(&bound.largest))?;
    Ok(bound)
}
