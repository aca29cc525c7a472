//! What can be certified of a recipe on a window, with the failure probability of the peer's truncation.
//!
//! Two additive shares that are divided one by one give the floor or the floor plus one, except if both have the
//! value's sign or the sum of the shares wraps. The first share is uniform over 2^k values. For 0 ≤ v < 2^W the shares a
//! and v − a are both positive for v + 1 values of a, and their sum wraps for v + 1 more; likewise below zero: together at
//! most 2^(W+1) of 2^k. So the lemma holds with failure 2^(W+1−k), which a test enumerates at k = 8. W is what the
//! certificate proves of the operand, so that the failure is known only after a first proof; the second has the same pieces.

use super::audit::INPUTS;
use super::elaborate::{ElaborationError, elaborate, operand_bits, window, with_lemmas};
use super::measure::Meter;
use super::recipe::{Audited, Failing, Recipe, RecipeError};
use crate::certify::{self, Effort, Proved, Request};
use catalogs::{Claim, Decimal, Entry, Failure, Function, Lemma, Norm, Op, Program};
use std::path::PathBuf;
use verify::{Certificate, Certified};

/// A bound of more than this many times the largest error seen says more about the proof than about the program.
const USEFUL: f64 = 4.0;

/// Why a recipe has no entry.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// A file cannot be read.
    #[error("{path}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A text that is no recipe.
    #[error("{path}, {reason}")]
    Recipe {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: RecipeError,
    },
    /// A recipe that is no program.
    #[error("{stem}: {reason}")]
    Elaboration {
        /// Which recipe.
        stem: String,
        /// Why.
        reason: ElaborationError,
    },
    /// A function, norm or window that does not exist.
    #[error("{stem}: {reason}")]
    Claim {
        /// Which recipe.
        stem: String,
        /// What is wrong.
        reason: String,
    },
    /// The checker accepts only a bound that says nothing.
    #[error("{stem}: the least bound that the checker accepts is {bound}, with errors of {seen:.3e} seen")]
    Useless {
        /// Which recipe.
        stem: String,
        /// The bound.
        bound: Decimal,
        /// What was seen.
        seen: f64,
    },
    /// The checker accepts no bound.
    #[error("{stem}: {reason}")]
    Uncertified {
        /// Which recipe.
        stem: String,
        /// Why.
        reason: certify::Failure,
    },
}

/// The claim of a recipe on a window, with bound one, and its program.
pub fn claim(recipe: &Recipe, audited: &Audited) -> Result<Entry, PeerError> {
    let wrong = |reason: String| PeerError::Claim { stem: recipe.stem.clone(), reason };
    let function =
        Function::parse(&recipe.function).ok_or_else(|| wrong(format!("no function '{}'", recipe.function)))?;
    let window = window(&audited.low, &audited.high, recipe.scale)
        .ok_or_else(|| wrong(format!("the window '{}' holds no input", audited.name)))?;
    let weight = |text: &str| Decimal::parse(text).ok_or_else(|| wrong(format!("'{text}' is no decimal")));
    let norm = Norm { absolute: weight(&recipe.norm.0)?, relative: weight(&recipe.norm.1)? };
    let program =
        elaborate(recipe, window).map_err(|reason| PeerError::Elaboration { stem: recipe.stem.clone(), reason })?;
    Ok(Entry { claim: Claim { function, fitted: window, window, norm, bound: Decimal::ONE }, program })
}

/// The name of a recipe's entry on a window: FUNCTION/STEM-WINDOW.
pub fn name(recipe: &Recipe, audited: &Audited) -> String {
    format!("{}/{}-{}", recipe.function, recipe.stem, audited.name)
}

/// The least bound that is found for a recipe on a window, certified.
pub fn prove(recipe: &Recipe, audited: &Audited) -> Result<(Entry, Certificate, Certified), PeerError> {
    let draft = claim(recipe, audited)?;
    let Claim { function, fitted, window, norm, .. } = draft.claim;
    let request = Request { function, norm, fitted, window, program: draft.program };
    let effort = Effort { pieces_max: 3000, tightness: 1.02, samples: 500, ..Effort::default() };
    let uncertified = |reason: certify::Failure| PeerError::Uncertified { stem: recipe.stem.clone(), reason };
    let Proved { entry, certificate, certified, .. } = certify::certify(&request, &effort).map_err(uncertified)?;
    let seen = Meter::new(&entry).measure(INPUTS).worst.max(certificate.witness.error.to_f64_lossy());
    if entry.claim.bound.to_f64_lossy() > USEFUL * seen {
        return Err(PeerError::Useless { stem: recipe.stem.clone(), bound: entry.claim.bound, seen });
    }
    let loss = match recipe.failing {
        Failing::Never => return Ok((entry, certificate, certified)),
        Failing::TwoShares => 1,
        Failing::MaskedOpening => 0,
    };
    let program = with_failures(&entry.program, &certificate, loss)
        .map_err(|reason| PeerError::Elaboration { stem: recipe.stem.clone(), reason: reason.into() })?;
    let entry = Entry { claim: entry.claim, program };
    let certificate = Certificate { entry: entry.digest(), ..certificate };
    let certified = verify::check(entry.clone(), &certificate).map_err(|reason| uncertified(reason.into()))?;
    Ok((entry, certificate, certified))
}

/// Windows as narrow as the certificate's ranges allow, each with failure 2^(W + `loss` − k).
fn with_failures(program: &Program, certificate: &Certificate, loss: u8) -> Result<Program, catalogs::Invalid> {
    with_lemmas(program, &|index| {
        let Op::Sum(sum) = &program.ops()[index] else { return None };
        let Lemma::Truncation { ring, target, shift, rounding, .. } = *program.lemma(sum.truncation?) else {
            return None;
        };
        let range = certificate.ranges.get(index).copied().flatten()?;
        let bits = operand_bits(range, rounding, shift).min(ring.bits() - 2);
        let failure = Failure::AtMost(ring.bits().saturating_sub(bits + loss));
        Some(Lemma::Truncation { ring, target, shift, window: Some(bits), rounding, failure })
    })
}

#[cfg(test)]
mod tests {
    /// Every first share of every value of a ring of eight bits.
    #[test]
    fn two_shares_divided_one_by_one_fail_as_seldom_as_stated() {
        for window in 0..=6u8 {
            for shift in 1..=6u8 {
                for value in -(1i32 << window)..1 << window {
                    let wrong = (-128..128i32).filter(|first| {
                        let second = i32::from((value - first) as i8);
                        let divided = first / (1 << shift) + second / (1 << shift);
                        let floor = value >> shift;
                        ![floor, floor + 1].contains(&i32::from(divided as i8))
                    });
                    let allowed = 1usize << (window + 1);
                    let wrong = wrong.count();
                    assert!(wrong <= allowed, "window {window} shift {shift} value {value}: {wrong} > {allowed}");
                }
            }
        }
    }
}
