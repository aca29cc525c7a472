//! What is chosen for a whole run before its sites: the inputs that it computes at once, and its ring and scales.
//!
//! Inputs of a run share its rounds and stages, so seconds per input fall with their number, ever more slowly, while
//! memory and the seconds of a run grow. Ring and scales decide what every message has to carry and how much every
//! product rounds; entries exist for a few of them.

use super::admissible::certified_entries;
use super::search::{Tuned, tune};
use super::{Error, Problem, Progress, Request, check_formats};
use crate::circuit::lower::{Formats, has_own_scales};
use crate::plan::{Plan, Predicted};
use catalogs::{Ring, Scale};
use std::collections::BTreeSet;

/// How much slower per input a run may be than the fastest one inside the budget, to be preferred for its size.
const SLACK: f64 = 0.02;

/// A number of inputs, and what their run is predicted to cost with the entries that reach farthest.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Inputs of the run.
    pub inputs: usize,
    /// The run.
    pub predicted: Predicted,
}

impl Batch {
    /// Predicted seconds of one input.
    pub fn seconds_per_input(&self) -> f64 {
        self.predicted.seconds_per_run / self.inputs as f64
    }
}

/// The runs of 1, 2, 4, … and of `most` inputs that stay inside the request's budget, smallest first.
///
/// # Errors
/// Those of [`tune`]; that not even one input stays inside the budget is left to it.
pub fn batches(request: &Request<'_>, most: usize) -> Result<Vec<Batch>, Error> {
    let first = Request { quick: true, simulated_max: 1, batch: 1, start: None, ..request.clone() };
    Problem::explore(&first, &mut |_| {}, |problem, _| {
        let chosen = vec![0; problem.sites().len()];
        let sizes =
            std::iter::successors(Some(1), |&inputs| Some((2 * inputs).min(most)).filter(|&next| next > inputs));
        let mut batches = Vec::new();
        for inputs in sizes {
            let predicted = problem.predict(&chosen, inputs)?;
            if inputs > 1 && !request.budget.exceeded(&predicted).is_empty() {
                break;
            }
            batches.push(Batch { inputs, predicted });
        }
        Ok(batches)
    })
}

/// Of some batches, smallest first, the smallest that is nearly as fast per input as the fastest.
pub fn preferred(batches: &[Batch]) -> usize {
    let least = batches.iter().map(Batch::seconds_per_input).fold(f64::INFINITY, f64::min);
    let near = |batch: &&Batch| batch.seconds_per_input() <= (1.0 + SLACK) * least;
    batches.iter().find(near).map_or(1, |batch| batch.inputs)
}

/// The rings and activation scales that entries of the request's catalog take and a run can have, narrowest first.
/// Weights have `weights` fraction bits, or those of activations.
///
/// # Errors
/// Entries that are rejected.
pub fn formats(request: &Request<'_>, weights: Option<Scale>) -> Result<Vec<Formats>, Error> {
    let (entries, _) = certified_entries(request)?;
    let inputs = |all: bool| -> BTreeSet<(Ring, Scale)> {
        let own = entries.iter().filter(|named| all || !has_own_scales(&named.certified.claim().function));
        own.map(|named| named.certified.program().input()).collect()
    };
    let inputs = Some(inputs(false)).filter(|inputs| !inputs.is_empty()).unwrap_or_else(|| inputs(true));
    let formats = inputs.into_iter().map(|(ring, activations)| Formats {
        ring,
        activations,
        weights: weights.unwrap_or(activations),
    });
    Ok(formats.filter(|formats| check_formats(*formats).is_ok()).collect())
}

/// What becomes of the fraction bits that formats give to weights.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Weights {
    /// They stay.
    #[default]
    AsGiven,
    /// From there, two fewer as long as the plan gets better.
    Fewer,
}

/// How many fraction bits weights lose at once.
const STEP: u8 = 2;

/// Tunes in each of the formats and returns the fastest plan that meets the constraint, or the most accurate one where
/// only a budget is given; weights may have fewer bits there.
///
/// The plan says how many were simulated in all of them.
///
/// # Errors
/// What the widest of the formats failed with, if all fail; of budgets the narrowest.
pub fn tune_over(
    request: &Request<'_>,
    all: &[Formats],
    weights: Weights,
    progress: &mut dyn FnMut(Progress),
) -> Result<Tuned, Error> {
    let mut best: Option<Tuned> = None;
    let mut simulated = 0;
    let none = "the catalog has no entry for activations in such a ring; give --ring-bits and --fraction-bits";
    let mut failed = Error::Request(none.into());
    let said = all.len() > 1 || weights == Weights::Fewer;
    let aim = |tuned: &Tuned| match request.asks_for_accuracy() {
        true => tuned.plan.measured.error,
        false => tuned.plan.predicted.seconds_per_run,
    };
    // Whether that is the best plan so far, which is kept.
    let mut attempt = |formats: Formats| {
        // A plan to start from chooses among the entries of its own formats.
        let in_formats = |plan: &Plan| {
            (plan.formats.ring, plan.formats.activations) == (formats.ring.bits(), formats.activations.bits())
        };
        let start = request.start.clone().filter(|plan| all.len() == 1 || in_formats(plan));
        let outcome = tune(&Request { formats, start, ..request.clone() }, progress);
        simulated += match &outcome {
            Ok(tuned) => tuned.plan.measured.candidates_tried,
            Err(Error::Constraint { simulated, .. }) => *simulated,
            Err(_) => 0,
        };
        if said {
            let found = |tuned: &Tuned| (tuned.plan.predicted.seconds_per_run, tuned.plan.measured.error);
            let outcome = outcome.as_ref().map(found).map_err(ToString::to_string);
            progress(Progress::Formats { formats, outcome });
        }
        match outcome {
            Ok(tuned) if best.as_ref().is_none_or(|best| aim(&tuned) < aim(best)) => {
                best = Some(tuned);
                true
            }
            Ok(_) => false,
            // Of budgets that are exceeded the narrowest format exceeds least.
            Err(error) => {
                if !matches!((&failed, &error), (Error::Budget { .. }, Error::Budget { .. })) {
                    failed = error;
                }
                false
            }
        }
    };
    let mut chosen = None;
    for &formats in all {
        if attempt(formats) {
            chosen = Some(formats);
        }
    }
    let fewer = |formats: Formats| {
        let weights = formats.weights.bits().checked_sub(STEP).and_then(Scale::new)?;
        Some(Formats { weights, ..formats })
    };
    let mut next = chosen.filter(|_| weights == Weights::Fewer).and_then(fewer);
    while let Some(formats) = next {
        next = if attempt(formats) { fewer(formats) } else { None };
    }
    let mut best = best.ok_or(failed)?;
    best.plan.measured.candidates_tried = simulated;
    Ok(best)
}
