//! Log-softmax of a row of n logits.
//!
//! Lowering: m, d_i = x_i − m, ê_i and S = Σ ê_i as in [`super::softmax()`]; ℓ̂ the log entry at S;
//! y_i = d_i − ℓ̂, truncated once or, where the scales allow, not at all.
//!
//! Derivation, with T = Σ e^{d_i} ≥ 1, so that the true value is d_i − log T; κ = na + r, D = 1 − κ > 0.
//! 1. |S − T| ≤ na + rT ≤ κT, as T ≥ 1: S/T lies in [1 − κ, 1 + κ], and S in [D, n(1 + a + r)], as T ≤ n.
//! 2. |log S − log T| ≤ max(−log(1 − κ), log(1 + κ)) = −log D, as (1 − κ)(1 + κ) ≤ 1.
//! 3. |ℓ̂ − log S| ≤ α + β·Λ with Λ = max(−log D, log(n(1 + a + r))) ≥ |log S|; d_i is exact; the last rounding is u.
//!
//! One row attains step 2: one logit, n − 1 masked ones, all exponentials too low. Λ belongs to rows of equal logits.

use super::{SideCondition, Truncated, covers, larger, power_of_two};
use crate::Certified;
use crate::constants::logarithm;
use catalogs::{Function, Lemma, Scale};
use dashu::rational::RBig;

/// The errors that enter a log-softmax.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogSoftmaxErrors {
    /// The length of the row.
    pub n: u32,
    /// a: the constant part of the exponential's error.
    pub exp_absolute: RBig,
    /// r: the part proportional to the exponential.
    pub exp_relative: RBig,
    /// α: the constant part of the logarithm's error.
    pub log_absolute: RBig,
    /// β: the part proportional to the logarithm.
    pub log_relative: RBig,
    /// u: the last rounding, in real units.
    pub rounding: RBig,
}

/// Proved bounds of a log-softmax.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogSoftmaxBound {
    /// |y_i − (d_i − log T)| of every element.
    pub element: RBig,
    /// The least and the greatest sum of exponentials: where the logarithm must be certified.
    pub sum: (RBig, RBig),
    /// Λ: the largest |log S|.
    pub logarithm: RBig,
}

/// Fraction bits of the logarithms below.
const LOGARITHM_BITS: usize = 128;

/// Rationals around log `value`, less than 2^−100 apart; `None` unless `value` ≥ 2^−128.
fn logarithm_of(value: &RBig) -> Option<(RBig, RBig)> {
    let unit = power_of_two(LOGARITHM_BITS as i32);
    let scaled = value * &unit;
    let (low, high) = (logarithm(&scaled.floor(), LOGARITHM_BITS)?, logarithm(&scaled.ceil(), LOGARITHM_BITS)?);
    Some((RBig::from(low.centre - low.radius) / &unit, RBig::from(high.centre + high.radius) / unit))
}

/// The bound from plain errors; see the derivation above.
pub fn log_softmax_bound(errors: &LogSoftmaxErrors) -> Result<LogSoftmaxBound, SideCondition> {
    let LogSoftmaxErrors { n, exp_absolute: a, exp_relative: r, log_absolute, log_relative, rounding } = errors;
    if *n == 0 || [a, r, log_absolute, log_relative, rounding].into_iter().any(|value| *value < RBig::ZERO) {
        return Err(SideCondition::Parameter(
            "a log-softmax needs a row that is not empty, and errors that are not negative",
        ));
    }
    let (one, length) = (RBig::ONE, RBig::from(*n));
    let (least, greatest) = (&one - &length * a - r, &length * (&one + a + r));
    let (Some(below), Some(above)) = (logarithm_of(&least), logarithm_of(&greatest)) else {
        return Err(SideCondition::Denominator(*n));
    };
    let shrunk = larger(-below.0, RBig::ZERO);
    let logarithm = larger(shrunk.clone(), above.1);
    let element = shrunk + log_absolute + log_relative * &logarithm + rounding;
    Ok(LogSoftmaxBound { element, sum: (least, greatest), logarithm })
}

/// How a log-softmax is lowered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogSoftmaxLowering {
    /// The length of the row.
    pub n: u32,
    /// The largest difference of two logits of a row, in integers at the exp entry's input scale.
    pub spread: i64,
    /// The truncation of d_i − ℓ̂ from the finer of their scales, and the scale of the result; or none.
    pub last: Option<(Lemma, Scale)>,
}

/// The bound of a log-softmax that uses these entries.
pub fn log_softmax(
    lowering: &LogSoftmaxLowering,
    exp: &Certified,
    log: &Certified,
) -> Result<LogSoftmaxBound, SideCondition> {
    if lowering.spread < 0 {
        return Err(SideCondition::Parameter("a spread of logits is not negative"));
    }
    let ((logit_ring, logit_scale), (log_ring, log_scale)) = (exp.program().input(), log.program().output());
    let spread = RBig::from(lowering.spread) * power_of_two(-i32::from(logit_scale.bits()));
    covers(exp, Function::Exp, logit_scale.bits(), &-spread.clone(), &RBig::ZERO)?;
    let ((exp_ring, exp_scale), wanted) = (exp.program().output(), log.program().input().0);
    if exp_ring < wanted {
        return Err(SideCondition::Ring { value: "the sum of exponentials", found: exp_ring, wanted });
    }
    let from = i32::from(logit_scale.bits().max(log_scale.bits()));
    let last = lowering.last.as_ref().map(|(lemma, scale)| Truncated {
        value: "the difference of logit and logarithm",
        lemma,
        from,
        to: i32::from(scale.bits()),
    });
    let rounding = match &last {
        Some(last) => {
            last.accepts("a logit", logit_ring)?;
            last.accepts("a logarithm", log_ring)?;
            last.error()?
        }
        None => RBig::ZERO,
    };
    let bound = log_softmax_bound(&LogSoftmaxErrors {
        n: lowering.n,
        exp_absolute: exp.claim().absolute_part(),
        exp_relative: exp.claim().relative_part(),
        log_absolute: log.claim().absolute_part(),
        log_relative: log.claim().relative_part(),
        rounding,
    })?;
    // A window lies in its ring, so a sum inside it did not wrap.
    covers(log, Function::Log, exp_scale.bits(), &bound.sum.0, &bound.sum.1)?;
    let largest = spread + &bound.logarithm + &bound.element;
    match last {
        Some(last) => last.holds(&largest)?,
        None => {
            let bits = logit_ring.min(log_ring).bits() - 1;
            if largest * power_of_two(from) >= power_of_two(i32::from(bits)) {
                return Err(SideCondition::Overflow { value: "the difference of logit and logarithm", bits });
            }
        }
    }
    Ok(bound)
}
