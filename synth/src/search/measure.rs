//! From shapes to candidates: every shape's designs, at a few hundred inputs and at their seams.

use super::estimate::Samples;
use super::waves::{self, SAFE};
use super::{Found, Progress};
use crate::certify;
use crate::families::{Design, Goal, Shape, shapes};
use catalogs::protocol::{Cost, Model, cost};
use rayon::prelude::*;
use std::collections::{BTreeSet, HashSet};

/// Fractions of the accuracy for which tails are cut: more accurate programs need wider middles.
const LEVELS: [f64; 3] = [1.0, 0.3, 0.1];
/// Shapes that are fitted between two reports of progress.
const CHUNK: usize = 24;
/// The same while somebody waits for a first program.
const FIRST_CHUNK: usize = 4;
/// Designs are still tried if they are expected to miss the accuracy by this factor: expectations may be too high.
const OPTIMISM: f64 = 1.12;
/// A program within this factor of its fit's error leaves nothing to dearer ones of its shape.
const SETTLED: f64 = 1.03;
/// A design whose error is seen to exceed the accuracy by this factor is not measured further.
const HOPELESS: f64 = 4.0;
/// A candidate is not certified if another one costs no more and errs at most this much more.
const INDIFFERENCE: f64 = 1.1;

/// A design that was measured.
pub(super) struct Candidate {
    pub(super) design: Design,
    pub(super) estimate: f64,
    pub(super) cost: Cost,
}

impl Candidate {
    /// Whether a program with this error and cost leaves nothing to be gained by this one.
    pub(super) fn is_beaten(&self, bound: f64, cost: Cost) -> bool {
        bound <= self.estimate * INDIFFERENCE && cost.rounds <= self.cost.rounds && cost.bits <= self.cost.bits
    }
}

/// Accuracies for which shapes are made: the usual ones, and those that only serve where they give nothing.
pub(super) fn all_levels(goal: &Goal) -> [Vec<f64>; 2] {
    [LEVELS.map(|level| level * goal.accuracy()).to_vec(), coarse_levels(goal)]
}

/// Every shape that a search may look at.
pub(super) fn all_shapes(goal: &Goal) -> Vec<Box<dyn Shape>> {
    let mut known = BTreeSet::new();
    all_levels(goal).iter().flat_map(|levels| distinct_shapes(goal, levels, &mut known)).collect()
}

/// The shapes for these accuracies that are not `known` yet.
pub(super) fn distinct_shapes(
    goal: &Goal,
    levels: &[f64],
    known: &mut BTreeSet<(&'static str, String)>,
) -> Vec<Box<dyn Shape>> {
    let levels: Vec<Vec<Box<dyn Shape>>> = levels.par_iter().map(|level| shapes(goal, *level)).collect();
    let all = levels.into_iter().flatten();
    all.filter(|shape| known.insert((shape.family(), shape.describe()))).collect()
}

/// The least error that was seen, and of what.
pub(super) type Nearest = Option<(f64, String)>;

/// What one shape gave.
pub(super) struct Measured {
    promising: Vec<Candidate>,
    /// The least error of a program, and which.
    best: Nearest,
    /// The error of the fit, where no program could be built with it.
    unbuilt: Nearest,
}

fn measure(goal: &Goal, model: &dyn Model, shape: &dyn Shape, samples: &Samples) -> Measured {
    let accuracy = goal.accuracy();
    let name = |parameters: &str| format!("{} with {parameters}", shape.family());
    let mut best = None;
    let mut promising: Vec<Candidate> = Vec::new();
    let mut known = HashSet::new();
    let mut designs: Vec<(Cost, Design)> = Vec::new();
    for design in shape.designs(goal, accuracy) {
        let is_served = design.program.lemmas().iter().all(|lemma| model.offers(lemma).is_some());
        // Scales that make no difference give the same program.
        if is_served && known.insert(design.program.clone()) {
            designs.push((cost(&design.program, model), design));
        }
    }
    designs.sort_by_key(|(cost, _)| (cost.bits, cost.rounds));
    for (cost, design) in designs {
        // No scales bring the error below the fit's: a cheaper program that is as good as that ends the matter.
        let least = design.fit_error.max(accuracy / 50.0);
        let is_settled = |other: &Candidate| {
            other.cost.bits <= cost.bits && other.cost.rounds <= cost.rounds && other.estimate <= SETTLED * least
        };
        if promising.iter().any(is_settled) {
            continue;
        }
        let hopeless = if promising.is_empty() { HOPELESS } else { OPTIMISM };
        let estimate = samples.error(&design.program, hopeless * accuracy).max(0.99 * design.fit_error);
        if best.as_ref().is_none_or(|(known, _)| estimate < *known) {
            best = Some((estimate, name(&design.parameters)));
        }
        if estimate <= accuracy {
            let estimate = estimate.max(samples.expected_error(&design.program));
            if estimate <= accuracy * OPTIMISM {
                promising.push(Candidate { design, estimate, cost });
            }
        }
    }
    let unbuilt = match best {
        Some(_) => None,
        None => shape.fit_error(goal).map(|error| (error, name(&shape.describe()))),
    };
    // Within a shape only scales differ: keep what is not dominated.
    let dominated = |a: &Candidate| {
        promising.iter().any(|b| {
            let no_worse = b.cost.bits <= a.cost.bits && b.cost.rounds <= a.cost.rounds && b.estimate <= a.estimate;
            no_worse && (b.cost.bits < a.cost.bits || b.estimate < a.estimate)
        })
    };
    let keep: Vec<bool> = promising.iter().map(|candidate| !dominated(candidate)).collect();
    let mut keep = keep.into_iter();
    promising.retain(|_| keep.next().unwrap_or(false));
    // Seams are where a few hundred inputs miss the worst.
    for candidate in &mut promising {
        candidate.estimate = candidate.estimate.max(certify::survey(&waves::request(goal, &candidate.design)));
    }
    promising.retain(|candidate| candidate.estimate <= accuracy * OPTIMISM);
    Measured { promising, best, unbuilt }
}

/// Accuracies of tails and fits of a goal that is a few units of the output's last place, tried where the usual ones give
/// nothing: parts of what the last truncation's unit leaves.
fn coarse_levels(goal: &Goal) -> Vec<f64> {
    let unit = 1.2 * 2f64.powi(-i32::from(goal.output_scale.bits())) / goal.unit(0.0).max(f64::MIN_POSITIVE);
    let left = goal.accuracy() - unit;
    if left > 0.0 && left < 16.0 * unit { LEVELS.map(|level| unit + level * left).to_vec() } else { Vec::new() }
}

/// The candidates of all shapes, cheapest first.
pub(super) fn measure_all(
    goal: &Goal,
    model: &dyn Model,
    (shapes, first): (&[Box<dyn Shape>], bool),
    progress: &mut dyn FnMut(Progress),
    (nearest, fitted): (&mut Nearest, &mut Nearest),
) -> Vec<Candidate> {
    let nearer = |known: &mut Nearest, found: Nearest| {
        if found.as_ref().is_some_and(|found| known.as_ref().is_none_or(|known| found.0 < known.0)) {
            *known = found;
        }
    };
    let samples = Samples::new(goal);
    let mut candidates: Vec<Candidate> = Vec::new();
    let (mut done, mut is_waited_for) = (0, first);
    let mut left = shapes;
    while !left.is_empty() {
        let (chunk, after) = left.split_at(left.len().min(if is_waited_for { FIRST_CHUNK } else { CHUNK }));
        left = after;
        let measured: Vec<Measured> =
            chunk.par_iter().map(|shape| measure(goal, model, shape.as_ref(), &samples)).collect();
        let known = candidates.len();
        for Measured { promising, best, unbuilt } in measured {
            candidates.extend(promising);
            nearer(nearest, best);
            nearer(fitted, unbuilt);
        }
        done += chunk.len();
        progress(Progress::Fitting { done, total: shapes.len(), promising: candidates.len() });
        if is_waited_for && let Some(found) = first_of(goal, &candidates[known..]) {
            is_waited_for = false;
            progress(Progress::First { bound: found.bound(), rounds: found.rounds, bytes: found.bytes() });
        }
    }
    candidates.sort_by(|a, b| {
        (a.cost.bits, a.cost.rounds).cmp(&(b.cost.bits, b.cost.rounds)).then(a.estimate.total_cmp(&b.estimate))
    });
    candidates
}

/// A certified program for whoever waits, if the cheapest candidate that needs no luck becomes one; the front does not depend
/// on it.
fn first_of(goal: &Goal, candidates: &[Candidate]) -> Option<Found> {
    let safe = candidates.iter().filter(|candidate| candidate.estimate <= SAFE * goal.accuracy());
    waves::prove(goal, safe.min_by_key(|candidate| (candidate.cost.bits, candidate.cost.rounds))?).ok()
}
