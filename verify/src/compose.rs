//! Certified bounds of composite operations, recomputed in exact rationals from certified entries.
//!
//! [`softmax`], [`log_softmax`], [`attention`] and [`layer_norm`] (which is RMS norm too) each have a core on plain
//! rational parameters, which holds the derivation, and a wrapper on [`Certified`] entries that checks every side
//! condition of the lowering: windows, scales, rings, and the lemma of each truncation. Square roots are bounded by
//! integer square roots, logarithms by [`crate::constants`].

mod attention;
mod layer_norm;
mod log_softmax;
mod softmax;

pub use attention::{AttentionBound, AttentionErrors, AttentionLowering, Division, attention, attention_bound};
pub use layer_norm::{
    Affine, Average, Centre, LayerNormBound, LayerNormErrors, LayerNormLowering, layer_norm, layer_norm_bound,
};
pub use log_softmax::{LogSoftmaxBound, LogSoftmaxErrors, LogSoftmaxLowering, log_softmax, log_softmax_bound};
pub use softmax::{SoftmaxBound, SoftmaxErrors, SoftmaxLowering, Subtracted, shifted_softmax, softmax, softmax_bound};

use crate::Certified;
use crate::integer::{IBig, square_root_floor};
use catalogs::{Failure, Function, Lemma, Ring};
use dashu::rational::RBig;

/// Why a composite has no bound: the condition that fails, and what it is about.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SideCondition {
    /// A parameter that makes no sense.
    #[error("{0}")]
    Parameter(&'static str),
    /// An entry of another function.
    #[error("the {wanted} entry approximates {found}")]
    Function {
        /// What is needed.
        wanted: Function,
        /// What the entry is about.
        found: Function,
    },
    /// The entry's window does not contain every input that can occur.
    #[error("the {function} entry is certified from {low} to {high}, its input may be {least} to {greatest}")]
    Window {
        /// Which entry.
        function: Function,
        /// The window's least input.
        low: i64,
        /// The window's greatest input.
        high: i64,
        /// The least input that can occur.
        least: String,
        /// The greatest input that can occur.
        greatest: String,
    },
    /// The entry's input has another scale than what is fed to it.
    #[error("the {function} entry's input has {found} fraction bits, it is fed {wanted}")]
    Scale {
        /// Which entry.
        function: Function,
        /// Fraction bits of the entry's input.
        found: u8,
        /// Fraction bits of the value.
        wanted: u8,
    },
    /// A value lives in a narrower ring than the operation that uses it.
    #[error("{value} lives in ring {found}, ring {wanted} is needed")]
    Ring {
        /// Which value.
        value: &'static str,
        /// Where it lives.
        found: Ring,
        /// Where it is used.
        wanted: Ring,
    },
    /// 1 − n·a − r is not positive.
    #[error("the exp entry's error is too large for rows of {0}: the sum of exponentials may vanish")]
    Denominator(u32),
    /// The variance's relative error may reach one.
    #[error("the computed variance may vanish or double: its least value is too small for its scale")]
    Variance,
    /// A lemma that is not the truncation that the lowering needs.
    #[error("{value} needs a truncation by {shift}, not '{lemma}'")]
    Truncation {
        /// What is truncated.
        value: &'static str,
        /// The bits to drop.
        shift: i32,
        /// The lemma.
        lemma: String,
    },
    /// An entry or a truncation that may fail: these bounds have no room for a probability.
    #[error("{0} may fail with a positive probability")]
    MayFail(String),
    /// A value may leave its lemma's window or its ring.
    #[error("{value} may exceed 2^{bits} units")]
    Overflow {
        /// Which value.
        value: &'static str,
        /// The limit's logarithm.
        bits: u8,
    },
}

/// 2^exponent.
fn power_of_two(exponent: i32) -> RBig {
    let power = RBig::from(IBig::ONE << exponent.unsigned_abs() as usize);
    if exponent >= 0 { power } else { RBig::ONE / power }
}

fn absolute(value: &RBig) -> RBig {
    if *value < RBig::ZERO { -value.clone() } else { value.clone() }
}

fn larger(a: RBig, b: RBig) -> RBig {
    if a >= b { a } else { b }
}

/// Fraction bits of the square roots below.
const ROOT_BITS: usize = 128;

/// A rational that is at most √value and less than 2^−128 below it; the value is not negative.
fn root_below(value: &RBig) -> RBig {
    let scaled = (value * RBig::from(IBig::ONE << (2 * ROOT_BITS))).floor();
    RBig::from(square_root_floor(&scaled)) / RBig::from(IBig::ONE << ROOT_BITS)
}

/// The same where it divides: positive, or a side condition that fails.
fn divisor_below(value: &RBig) -> Result<RBig, SideCondition> {
    let root = root_below(value);
    let small = SideCondition::Parameter("a variance, a gain, or what is left of one is below 2^-256");
    if root > RBig::ZERO { Ok(root) } else { Err(small) }
}

/// A rational that is at least √value and at most 2^−127 above it.
fn root_above(value: &RBig) -> RBig {
    if *value == RBig::ZERO { RBig::ZERO } else { root_below(value) + power_of_two(1 - ROOT_BITS as i32) }
}

/// One truncation of a lowering: what is truncated, by which lemma, from which scale to which.
struct Truncated<'a> {
    value: &'static str,
    lemma: &'a Lemma,
    from: i32,
    to: i32,
}

impl Truncated<'_> {
    /// The largest error of the rounding, in real units: δ minus what the floor drops is in [low − 1 + 2^−shift, high].
    fn error(&self) -> Result<RBig, SideCondition> {
        match *self.lemma {
            Lemma::Truncation { failure: Failure::AtMost(_), .. } => {
                Err(SideCondition::MayFail(format!("{} by '{}'", self.value, self.lemma)))
            }
            Lemma::Truncation { shift, rounding, .. } if i32::from(shift) == self.from - self.to => {
                let lowest = RBig::from(i32::from(rounding.low) - 1) + power_of_two(-i32::from(shift));
                let highest = RBig::from(i32::from(rounding.high));
                Ok(larger(absolute(&lowest), absolute(&highest)) * power_of_two(-self.to))
            }
            _ => Err(SideCondition::Truncation {
                value: self.value,
                shift: self.from - self.to,
                lemma: self.lemma.to_string(),
            }),
        }
    }

    /// Checks that a value of at most `magnitude` (real units) stays inside the lemma's window, and its result inside
    /// the target ring.
    fn holds(&self, magnitude: &RBig) -> Result<(), SideCondition> {
        let Lemma::Truncation { ring, target, window, rounding, .. } = *self.lemma else {
            return self.error().map(|_| ());
        };
        let reach = i32::from(rounding.low.unsigned_abs().max(rounding.high.unsigned_abs())) + 1;
        let before = (window.unwrap_or(ring.bits() - 1), magnitude * power_of_two(self.from) + RBig::ONE);
        let after = (target.bits() - 1, magnitude * power_of_two(self.to) + RBig::from(reach));
        for (bits, largest) in [before, after] {
            if largest > power_of_two(i32::from(bits)) {
                return Err(SideCondition::Overflow { value: self.value, bits });
            }
        }
        Ok(())
    }

    /// Checks that an operand's ring is not narrower than the truncation's.
    fn accepts(&self, value: &'static str, found: Ring) -> Result<(), SideCondition> {
        match *self.lemma {
            Lemma::Truncation { ring, .. } if found < ring => Err(SideCondition::Ring { value, found, wanted: ring }),
            _ => Ok(()),
        }
    }
}

/// The ring of what a truncation returns.
fn target(lemma: &Lemma) -> Option<Ring> {
    if let Lemma::Truncation { target, .. } = lemma { Some(*target) } else { None }
}

/// Checks that `entry` is about `function`, never fails, takes integers at `scale`, and is certified for all real inputs
/// from `least` to `greatest` that are such integers.
fn covers(entry: &Certified, wanted: Function, scale: u8, least: &RBig, greatest: &RBig) -> Result<(), SideCondition> {
    let (claim, input) = (entry.claim(), entry.program().input().1.bits());
    if claim.function != wanted {
        return Err(SideCondition::Function { wanted, found: claim.function.clone() });
    }
    if input != scale {
        return Err(SideCondition::Scale { function: wanted, found: input, wanted: scale });
    }
    if entry.failure() > RBig::ZERO {
        return Err(SideCondition::MayFail(format!("the {wanted} entry")));
    }
    let unit = power_of_two(i32::from(scale));
    let (least, greatest) = ((least * &unit).ceil(), (greatest * &unit).floor());
    if least < IBig::from(claim.window.low) || greatest > IBig::from(claim.window.high) {
        let (least, greatest) = (least.to_string(), greatest.to_string());
        let (low, high) = (claim.window.low, claim.window.high);
        return Err(SideCondition::Window { function: wanted, low, high, least, greatest });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_enclose() {
        for (numerator, denominator) in [(2, 1), (1, 3), (1, 1_000_000_007), (49, 4), (0, 1)] {
            let value = RBig::from(numerator) / RBig::from(denominator);
            let (below, above) = (root_below(&value), root_above(&value));
            assert!(&below * &below <= value && &above * &above >= value);
            assert!(above - below <= power_of_two(-127));
        }
    }
}
