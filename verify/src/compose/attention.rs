//! Attention: a softmax of a row of n logits times a column of n values.
//!
//! Lowering: ê_i and ŝ as in [`super::softmax()`], o = Σ p_i·V_i for integers V_i with |V_i| ≤ M.
//! Divided first: y_i = ê_i·ŝ truncated, ô = Σ y_i·V_i truncated. Divided last: N = Σ ê_i·V_i, truncated or exact, and
//! ô = N·ŝ truncated, so that no p_i is rounded.
//!
//! Derivation, with the softmax's bounds Σ|y_i − p_i| ≤ σ, Σ|ê_i·ŝ − p_i| ≤ σ₀ and |ŝ| ≤ K:
//! 1. First: Σ y_i·V_i − o = Σ(y_i − p_i)V_i, at most M·σ; and the last rounding u.
//! 2. Last: N = Σ ê_i·V_i + ω, so N·ŝ − o = Σ(ê_i·ŝ − p_i)V_i + ω·ŝ, at most M·σ₀ + |ω|·K; and the last rounding u.
//! 3. What is truncated: |Σ y_i·V_i| ≤ M(1 + σ), as Σp_i = 1; |Σ ê_i·V_i| ≤ M·n(1 + a + r), as |ê_i| ≤ E_i + a + rE_i
//!    and E_i ≤ 1; |N·ŝ| ≤ M(1 + σ₀) + |ω|·K.
//!
//! Equality needs V_i = ±M by the signs of the errors: nothing better holds for all values below M.

use super::{SideCondition, SoftmaxBound, SoftmaxLowering, Truncated, softmax, target};
use crate::Certified;
use catalogs::{Format, Lemma, Scale};
use dashu::rational::RBig;

/// Where the division by the sum of exponentials happens, and what belongs to that place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Division<First, Last> {
    /// Of every exponential, before the product with the values.
    First(First),
    /// Of the product with the values.
    Last(Last),
}

/// The errors that enter an attention beside those of its softmax.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AttentionErrors {
    /// M: the largest |V_i|, in real units.
    pub values: RBig,
    /// Where the division happens; if last, ω: the rounding of Σ ê_i·V_i in real units (zero where it is exact).
    pub division: Division<(), RBig>,
    /// u: the last rounding, in real units.
    pub rounding: RBig,
}

/// Proved bounds of an attention.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AttentionBound {
    /// |ô − Σ p_i·V_i|.
    pub element: RBig,
    /// The largest value that is truncated last, in real units.
    pub largest: RBig,
}

/// The bound from that of the softmax and plain errors; see the derivation above.
pub fn attention_bound(softmax: &SoftmaxBound, errors: &AttentionErrors) -> Result<AttentionBound, SideCondition> {
    let zero = RBig::ZERO;
    let negative = matches!(&errors.division, Division::Last(weighted) if *weighted < zero);
    if negative || errors.values < zero || errors.rounding < zero {
        return Err(SideCondition::Parameter("an attention needs values and errors that are not negative"));
    }
    let before = match &errors.division {
        Division::First(()) => &errors.values * &softmax.sum,
        Division::Last(weighted) => &errors.values * &softmax.sum_unrounded + weighted * &softmax.inverse,
    };
    Ok(AttentionBound { largest: &errors.values + &before, element: before + &errors.rounding })
}

/// How an attention is lowered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AttentionLowering {
    /// The length of the row.
    pub n: u32,
    /// The largest difference of two logits of a row, in integers at the exp entry's input scale.
    pub spread: i64,
    /// How V is held.
    pub value: Format,
    /// M: the largest |V_i|, in real units.
    pub values: RBig,
    /// Divided first: the truncation of ê_i·ŝ, and the scale of the result. Divided last: those of Σ ê_i·V_i, or none
    /// where that sum stays as it is.
    pub division: Division<(Lemma, Scale), Option<(Lemma, Scale)>>,
    /// The truncation of the last product, and the scale of the result.
    pub last: (Lemma, Scale),
}

/// The bound of an attention that uses these entries.
pub fn attention(
    lowering: &AttentionLowering,
    exp: &Certified,
    reciprocal: &Certified,
) -> Result<AttentionBound, SideCondition> {
    let AttentionLowering { n, spread, value, values, .. } = lowering;
    let rounded = if let Division::First(rounded) = lowering.division { Some(rounded) } else { None };
    let row = softmax(&SoftmaxLowering { n: *n, spread: *spread, last: rounded }, exp, reciprocal)?;
    let ((exp_ring, exp_scale), (inverse_ring, inverse_scale)) =
        (exp.program().output(), reciprocal.program().output());
    let own = i32::from(value.scale.bits());
    let (lemma, to) = (&lowering.last.0, i32::from(lowering.last.1.bits()));
    let last = |from: i32| Truncated { value: "the product of weights and values", lemma, from, to };
    let (last, weighted) = match &lowering.division {
        Division::First((lemma, scale)) => {
            let last = last(i32::from(scale.bits()) + own);
            last.accepts("a probability", target(lemma).unwrap_or(value.ring))?;
            last.accepts("a value", value.ring)?;
            (last, Division::First(()))
        }
        Division::Last(truncation) => {
            let exact = i32::from(exp_scale.bits()) + own;
            let (ring, scale, error) = match truncation {
                None => (exp_ring.min(value.ring), exact, RBig::ZERO),
                Some((lemma, scale)) => {
                    let to = i32::from(scale.bits());
                    let first = Truncated { value: "the weighted values", lemma, from: exact, to };
                    first.accepts("an exponential", exp_ring)?;
                    first.accepts("a value", value.ring)?;
                    let error = first.error()?;
                    first.holds(&(values * &row.denominator.1))?;
                    (target(lemma).unwrap_or(exp_ring), to, error)
                }
            };
            let last = last(scale + i32::from(inverse_scale.bits()));
            last.accepts("the weighted values", ring)?;
            last.accepts("a reciprocal", inverse_ring)?;
            (last, Division::Last(error))
        }
    };
    let errors = AttentionErrors { values: values.clone(), division: weighted, rounding: last.error()? };
    let bound = attention_bound(&row, &errors)?;
    last.holds(&bound.largest)?;
    Ok(bound)
}
