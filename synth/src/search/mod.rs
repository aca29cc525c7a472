//! From a goal to the Pareto front of certified programs.
//!
//! Every family's shapes are fitted, their designs measured at a few hundred inputs, and the promising ones
//! certified, cheapest first, until nothing is left that could improve the front. The same goal gives the same
//! front: work is spread over threads, but nothing depends on their order.

mod density;
mod estimate;
mod lanes;
mod pinned;

pub use density::{Density, front_for};
pub use pinned::{design_of, given, pinned};

use crate::certify::{self, Effort, Proved, Request};
use crate::families::{Design, Goal, Shape, shapes};
use catalogs::protocol::{Cost, Model, cost};
use catalogs::{Entry, Lemma, Op, Published, Window};
use estimate::Samples;
use rayon::prelude::*;
use std::collections::{BTreeSet, HashSet};
use verify::{Certificate, Certified};

/// The most programs of a front.
pub const FRONT_MAX: usize = 8;
/// Batches of programs that a search certifies, unless it is told otherwise.
pub const BATCHES: usize = WAVES;
/// Fractions of the accuracy for which tails are cut: more accurate programs need wider middles.
const LEVELS: [f64; 3] = [1.0, 0.3, 0.1];
/// Shapes that are fitted between two reports of progress.
const CHUNK: usize = 24;
/// The same while somebody waits for a first program.
const FIRST_CHUNK: usize = 4;
/// Programs that are certified at once, and how often.
const WAVE: usize = 6;
const WAVES: usize = 4;
/// How often programs are certified at most while none is proved.
const WAVES_MAX: usize = 12;
/// A design that is expected to reach this part of the accuracy usually reaches it.
const SAFE: f64 = 0.98;
/// Designs are still tried if they are expected to miss the accuracy by this factor: expectations may be too high.
const OPTIMISM: f64 = 1.12;
/// A program within this factor of its fit's error leaves nothing to dearer ones of its shape.
const SETTLED: f64 = 1.03;
/// A design whose error is seen to exceed the accuracy by this factor is not measured further.
const HOPELESS: f64 = 4.0;
/// A candidate is not certified if another one costs no more and errs at most this much more.
const INDIFFERENCE: f64 = 1.1;

/// Inputs of at most so many fraction bits leave room for guard bits in rings of 64 bits,
const GUARDED_SCALE_MAX: u8 = 20;
/// where bounds are at most this multiple of their witness.
const GUARDED_TIGHTNESS: f64 = 1.05;

/// Which programs count.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// The shapes that are fitted.
    pub shape: &'a dyn Fn(&dyn Shape) -> bool,
    /// Whether a program has to be [tight](Found::is_tight).
    pub tight: bool,
    /// Whether somebody waits, for whom a [first](Progress::First) program is certified at once.
    pub first: bool,
}

impl Wanted<'_> {
    /// Everything.
    pub const ALL: Wanted<'static> = Wanted { shape: &|_| true, tight: false, first: false };
    /// Everything, for somebody who waits.
    pub const WATCHED: Wanted<'static> = Wanted { first: true, ..Wanted::ALL };
}

/// A certified program.
#[derive(Clone, Debug)]
pub struct Found {
    /// The entry.
    pub entry: Entry,
    /// Its proof.
    pub certificate: Certificate,
    /// The checker's word.
    pub certified: Certified,
    /// The family it comes from.
    pub family: &'static str,
    /// The family's parameters, for people.
    pub parameters: String,
    /// Rounds under the model.
    pub rounds: u16,
    /// Payload bits of all parties per element under the model.
    pub bits: u64,
    /// Bits between the largest proved value before any truncation and its lemma's window.
    pub headroom_bits: u8,
    /// The influence of the roundings in the claim's norm, where they decide the bound.
    pub rounding: f64,
    /// The mean error over the goal's density, measured and not proved; `None` without a density.
    pub mean_error: Option<f64>,
}

impl Found {
    /// The certified bound in double precision.
    pub fn bound(&self) -> f64 {
        self.entry.claim.bound.to_f64_lossy()
    }

    /// Whether the bound is at most 1.02 times the witness plus a quarter of the rounding part, and at most 1.05 times
    /// the witness in formats that leave room for guard bits.
    pub fn is_tight(&self) -> bool {
        let (bound, witness) = (self.bound(), self.certificate.witness.error.to_f64_lossy());
        let (ring, scale) = self.entry.program.input();
        let is_guarded = ring.bits() >= 64 && scale.bits() <= GUARDED_SCALE_MAX;
        bound <= 1.02 * witness + 0.25 * self.rounding && (!is_guarded || bound <= GUARDED_TIGHTNESS * witness)
    }

    fn cost(&self) -> Cost {
        Cost { rounds: self.rounds, bits: self.bits }
    }

    /// Payload bytes of all parties per element, as people count.
    pub fn bytes(&self) -> u64 {
        self.bits.div_ceil(8)
    }

    /// Whether nothing about it is worse: bits that make no byte do not put a program on a front.
    fn covers(&self, other: &Found) -> bool {
        self.bound() <= other.bound()
            && self.rounds <= other.rounds
            && self.bytes() <= other.bytes()
            && self.headroom_bits >= other.headroom_bits
            && self.mean_error.unwrap_or(0.0) <= other.mean_error.unwrap_or(0.0)
    }
}

/// What a search is doing.
#[derive(Clone, PartialEq, Debug)]
pub enum Progress {
    /// Shapes are fitted and their designs measured.
    Fitting {
        /// Shapes done.
        done: usize,
        /// Shapes in all.
        total: usize,
        /// Designs that seem accurate enough so far.
        promising: usize,
    },
    /// The first program is certified, while others are still being fitted: most likely a better one follows.
    First {
        /// Its certified bound.
        bound: f64,
        /// Its rounds.
        rounds: u16,
        /// Its bytes of all parties per element.
        bytes: u64,
    },
    /// Designs are being certified.
    Certifying {
        /// Programs certified so far.
        certified: usize,
        /// Programs that are tried now.
        trying: usize,
    },
    /// The search ended at its limit of batches.
    Stopped {
        /// Programs certified.
        certified: usize,
        /// Promising programs that were not tried.
        untried: usize,
    },
}

impl std::fmt::Display for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Progress::Fitting { done, total, promising } => {
                write!(f, "{done} of {total} shapes fitted, {promising} promising programs")
            }
            Progress::First { bound, rounds, bytes } => {
                write!(f, "a first program is certified: {bound:e}, {rounds} rounds, {bytes} bytes")
            }
            Progress::Certifying { certified, trying } => write!(f, "{certified} certified, {trying} being tried"),
            Progress::Stopped { certified, untried } => {
                write!(f, "stopped: {certified} certified, {untried} promising programs untried")
            }
        }
    }
}

/// Why there is no front.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum SearchError {
    /// No family covers the goal.
    #[error(
        "no family of programs serves {function} with input scale {input_scale}, output scale {output_scale} on this window; change the window, the accuracy, the norm or the scales"
    )]
    NoFamily {
        /// The function.
        function: &'static str,
        /// Fraction bits of the input.
        input_scale: u8,
        /// Fraction bits of the output.
        output_scale: u8,
    },
    /// A design that is asked for by name.
    #[error(
        "no family makes the program '{family}' with '{parameters}' for this goal; leave the design out to search for one"
    )]
    NoDesign {
        /// The family.
        family: String,
        /// The parameters.
        parameters: String,
    },
    /// Some program seemed to reach the accuracy, and none was proved to.
    #[error(
        "no program is proved to reach {wanted:e}; the best one found errs by {reached:.3e} at the inputs that were tried, but not by so little at all inputs and roundings ({how})"
    )]
    Unproved {
        /// The accuracy asked for.
        wanted: f64,
        /// The error that was seen.
        reached: f64,
        /// Family and parameters of that program.
        how: String,
    },
    /// Fits reach the accuracy, and no program with such a fit can be built.
    #[error(
        "no program reaches {wanted:e}: {how} would fit with an error of {fitted:.3e}, but no scales keep its values and their products inside a ring of {ring} bits; take a wider ring, fewer fraction bits or a narrower domain"
    )]
    Unbuilt {
        /// The accuracy asked for.
        wanted: f64,
        /// The error of the best fit.
        fitted: f64,
        /// Family and parameters of that fit.
        how: String,
        /// Bits of the ring.
        ring: u8,
    },
    /// Nothing reached the accuracy.
    #[error("no program reaches {wanted:e}; the best one found has an error of {reached:.3e} ({how})")]
    OutOfReach {
        /// The accuracy asked for.
        wanted: f64,
        /// The least error that was seen.
        reached: f64,
        /// Family and parameters of that program.
        how: String,
    },
}

/// A design that was measured.
struct Candidate {
    design: Design,
    estimate: f64,
    cost: Cost,
}

impl Candidate {
    /// Whether a program with this error and cost leaves nothing to be gained by this one.
    fn is_beaten(&self, bound: f64, cost: Cost) -> bool {
        bound <= self.estimate * INDIFFERENCE && cost.rounds <= self.cost.rounds && cost.bits <= self.cost.bits
    }
}

/// The Pareto front over (certified error, rounds, bits), at most [`FRONT_MAX`] programs, cheapest in bits first.
pub fn front(goal: &Goal, model: &dyn Model, progress: &mut dyn FnMut(Progress)) -> Result<Vec<Found>, SearchError> {
    search(goal, model, Wanted::ALL, WAVES, progress)
}

/// As [`front`], certifying at most `waves` batches of programs: the first wave holds the cheapest ones.
pub fn front_within(
    goal: &Goal,
    model: &dyn Model,
    waves: usize,
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<Found>, SearchError> {
    search(goal, model, Wanted::ALL, waves, progress)
}

/// The front of the programs that `wanted` lets through.
pub fn front_of(
    goal: &Goal,
    model: &dyn Model,
    wanted: Wanted,
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<Found>, SearchError> {
    search(goal, model, wanted, WAVES, progress)
}

fn search(
    goal: &Goal,
    model: &dyn Model,
    wanted: Wanted,
    waves: usize,
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<Found>, SearchError> {
    let (mut nearest, mut fitted): (Nearest, Nearest) = (None, None);
    let mut known = BTreeSet::new();
    let mut found = Vec::new();
    for levels in all_levels(goal) {
        let mut shapes = distinct_shapes(goal, &levels, &mut known);
        shapes.retain(|shape| (wanted.shape)(shape.as_ref()));
        let candidates = measure_all(goal, model, (&shapes, wanted.first), progress, (&mut nearest, &mut fitted));
        found = certify_waves(goal, candidates, (waves, wanted.tight), progress, &mut nearest);
        if !found.is_empty() {
            break;
        }
    }
    if found.is_empty() {
        let wanted = goal.accuracy();
        return Err(match (nearest, fitted) {
            (Some((reached, how)), _) if reached <= wanted => SearchError::Unproved { wanted, reached, how },
            (Some((reached, how)), _) => SearchError::OutOfReach { wanted, reached, how },
            (None, Some((fitted, how))) if fitted <= wanted => {
                SearchError::Unbuilt { wanted, fitted, how, ring: goal.input.ring.bits() }
            }
            (None, Some((reached, how))) => SearchError::OutOfReach { wanted, reached, how },
            (None, None) => SearchError::NoFamily {
                function: goal.function.name(),
                input_scale: goal.input.scale.bits(),
                output_scale: goal.output_scale.bits(),
            },
        });
    }
    Ok(undominated(found))
}

/// Accuracies of tails and fits of a goal that is a few units of the output's last place, tried where the usual ones give
/// nothing: parts of what the last truncation's unit leaves.
fn coarse_levels(goal: &Goal) -> Vec<f64> {
    let unit = 1.2 * 2f64.powi(-i32::from(goal.output_scale.bits())) / goal.unit(0.0).max(f64::MIN_POSITIVE);
    let left = goal.accuracy() - unit;
    if left > 0.0 && left < 16.0 * unit { LEVELS.map(|level| unit + level * left).to_vec() } else { Vec::new() }
}

/// The candidates of all shapes, cheapest first.
fn measure_all(
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
    prove(goal, safe.min_by_key(|candidate| (candidate.cost.bits, candidate.cost.rounds))?).ok()
}

/// The texts of an entry and its certificate, ready for a catalog.
pub fn publish(found: &Found) -> Published {
    Published { entry: found.entry.to_text(), certificate: found.certificate.to_text() }
}

/// Accuracies for which shapes are made: the usual ones, and those that only serve where they give nothing.
fn all_levels(goal: &Goal) -> [Vec<f64>; 2] {
    [LEVELS.map(|level| level * goal.accuracy()).to_vec(), coarse_levels(goal)]
}

/// Every shape that a search may look at.
fn all_shapes(goal: &Goal) -> Vec<Box<dyn Shape>> {
    let mut known = BTreeSet::new();
    all_levels(goal).iter().flat_map(|levels| distinct_shapes(goal, levels, &mut known)).collect()
}

/// The shapes for these accuracies that are not `known` yet.
fn distinct_shapes(goal: &Goal, levels: &[f64], known: &mut BTreeSet<(&'static str, String)>) -> Vec<Box<dyn Shape>> {
    let levels: Vec<Vec<Box<dyn Shape>>> = levels.par_iter().map(|level| shapes(goal, *level)).collect();
    let all = levels.into_iter().flatten();
    all.filter(|shape| known.insert((shape.family(), shape.describe()))).collect()
}

/// The least error that was seen, and of what.
type Nearest = Option<(f64, String)>;

/// What one shape gave.
struct Measured {
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
        candidate.estimate = candidate.estimate.max(certify::survey(&request(goal, &candidate.design)));
    }
    promising.retain(|candidate| candidate.estimate <= accuracy * OPTIMISM);
    Measured { promising, best, unbuilt }
}

fn certify_waves(
    goal: &Goal,
    mut candidates: Vec<Candidate>,
    (waves, tight): (usize, bool),
    progress: &mut dyn FnMut(Progress),
    nearest: &mut Nearest,
) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for wave_number in 0..WAVES_MAX.max(waves) {
        // Cheap programs are often a little less accurate than expected: go on until one is proved.
        if wave_number >= waves && !found.is_empty() {
            break;
        }
        let mut wave: Vec<Candidate> = Vec::new();
        let mut later = Vec::new();
        for candidate in candidates {
            if found.iter().any(|found| candidate.is_beaten(found.bound(), found.cost())) {
                continue;
            }
            // Half of a wave are programs that need no luck.
            let lucky = candidate.estimate > SAFE * goal.accuracy();
            let hopes = wave.iter().filter(|other| other.estimate > SAFE * goal.accuracy()).count();
            let full = wave.len() == WAVE || lucky && hopes == WAVE / 2;
            let waits = full || wave.iter().any(|other| candidate.is_beaten(other.estimate, other.cost));
            if waits { later.push(candidate) } else { wave.push(candidate) }
        }
        candidates = later;
        if wave.is_empty() {
            break;
        }
        progress(Progress::Certifying { certified: found.len(), trying: wave.len() });
        let results: Vec<Result<Found, (f64, String)>> =
            wave.par_iter().map(|candidate| prove(goal, candidate)).collect();
        for result in results {
            match result {
                Ok(proved) if tight && !proved.is_tight() => {}
                Ok(proved) => found.push(proved),
                Err(failed) if nearest.as_ref().is_none_or(|known| known.0 <= goal.accuracy()) => {
                    *nearest = Some(failed);
                }
                Err(_) => {}
            }
        }
    }
    candidates.retain(|candidate| !found.iter().any(|found| candidate.is_beaten(found.bound(), found.cost())));
    if !candidates.is_empty() {
        progress(Progress::Stopped { certified: found.len(), untried: candidates.len() });
    }
    found
}

/// What is to be proved of a design.
fn request(goal: &Goal, design: &Design) -> Request {
    let fitted = goal.fitted.unwrap_or(Window {
        low: design.fitted.low.max(goal.window.low),
        high: design.fitted.high.min(goal.window.high),
    });
    let Goal { norm, window, .. } = *goal;
    Request { function: goal.function.clone(), norm, fitted, window, program: design.program.clone() }
}

/// Certifies a candidate; else says what is known of its error.
fn prove(goal: &Goal, candidate: &Candidate) -> Result<Found, (f64, String)> {
    let design = &candidate.design;
    let how = |what: &dyn std::fmt::Display| format!("{} with {}: {what}", design.family, design.parameters);
    let effort = Effort { bound_max: Some(goal.accuracy()), ..Effort::default() };
    let certified = certify::certify(&request(goal, design), &effort);
    let proved = certified.map_err(|failure| (candidate.estimate, how(&failure)))?;
    let bound = proved.entry.claim.bound;
    if bound.to_rational() > goal.accuracy.to_rational() {
        return Err((bound.to_f64_lossy(), how(&"certified")));
    }
    let headroom_bits = headroom(&proved);
    let mean_error = goal.density.and_then(|density| density.mean_error(&proved.entry.program, goal));
    let Proved { entry, certificate, certified, rounding } = proved;
    Ok(Found {
        entry,
        certificate,
        certified,
        family: design.family,
        parameters: design.parameters.clone(),
        rounds: candidate.cost.rounds,
        bits: candidate.cost.bits,
        headroom_bits,
        rounding,
        mean_error,
    })
}

/// Bits left between the proved ranges and the windows of the truncations.
fn headroom(proved: &Proved) -> u8 {
    let program = &proved.entry.program;
    let mut least = program.output().0.bits();
    for (op, range) in program.ops().iter().zip(&proved.certificate.ranges) {
        let (Op::Sum(sum), Some((low, high))) = (op, range) else { continue };
        let Some(lemma) = sum.truncation else { continue };
        if let Lemma::Truncation { shift, window: Some(window), .. } = program.lemma(lemma) {
            let magnitude = low.unsigned_abs().max(high.unsigned_abs());
            let used = (128 - magnitude.leading_zeros()) as u8 + shift;
            least = least.min(window.saturating_sub(used));
        }
    }
    least
}

/// At most [`FRONT_MAX`] programs that none beats in error, rounds, bytes and headroom, cheapest in bytes first; where
/// there are more, the ones with the least gain are left out. (The protocol prepares nothing but keys, so that
/// preprocessing is the same for all.)
pub fn undominated(mut found: Vec<Found>) -> Vec<Found> {
    let mut keep = Vec::new();
    for (index, a) in found.iter().enumerate() {
        let earlier = |other: usize, b: &Found| (b.bits, other) < (a.bits, index);
        let beats = |(other, b): (usize, &Found)| other != index && b.covers(a) && (!a.covers(b) || earlier(other, b));
        keep.push(!found.iter().enumerate().any(beats));
    }
    let mut keep = keep.into_iter();
    found.retain(|_| keep.next().unwrap_or(false));
    found.sort_by(|a, b| (a.bits, a.rounds).cmp(&(b.bits, b.rounds)).then(a.bound().total_cmp(&b.bound())));
    while found.len() > FRONT_MAX {
        let gain = |index: usize| {
            let (this, before) = (&found[index], &found[index - 1]);
            let means = this.mean_error.zip(before.mean_error).map_or(1.0, |(this, before)| this / before);
            (this.bound() / before.bound()).min(means)
        };
        let Some(weakest) = (1..found.len()).max_by(|a, b| gain(*a).total_cmp(&gain(*b))) else { break };
        found.remove(weakest);
    }
    found
}
