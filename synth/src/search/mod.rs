//! From a goal to the Pareto front of certified programs.
//!
//! Every family's shapes are fitted, their designs measured at a few hundred inputs, and the promising ones
//! certified, cheapest first, until nothing is left that could improve the front. The same goal gives the same
//! front: work is spread over threads, but nothing depends on their order.

mod density;
mod estimate;
mod lanes;
mod measure;
mod pinned;
mod progress;
mod waves;

pub use density::{Density, front_for};
pub use pinned::{design_of, given, pinned};
pub use progress::{Progress, SearchError};

use crate::families::{Goal, Shape};
use catalogs::protocol::{Cost, Model};
use catalogs::{Entry, Published};
use measure::{Nearest, all_levels, distinct_shapes, measure_all};
use std::collections::BTreeSet;
use verify::{Certificate, Certified};
use waves::{WAVES, certify_waves};

/// The most programs of a front.
pub const FRONT_MAX: usize = 8;
/// Batches of programs that a search certifies, unless it is told otherwise.
pub const BATCHES: usize = WAVES;

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
        progress(Progress::Shaping);
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

/// The texts of an entry and its certificate, ready for a catalog.
pub fn publish(found: &Found) -> Published {
    Published { entry: found.entry.to_text(), certificate: found.certificate.to_text() }
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
