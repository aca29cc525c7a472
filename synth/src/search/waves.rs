//! From candidates to certified programs, in waves: cheap and likely ones first, until none can improve the front.

use super::measure::{Candidate, Nearest};
use super::{Found, Progress};
use crate::certify::{self, Effort, Proved, Request};
use crate::families::{Design, Goal};
use catalogs::{Lemma, Op, Window};
use rayon::prelude::*;

/// Programs that are certified at once, and how often.
const WAVE: usize = 6;
pub(super) const WAVES: usize = 4;
/// How often programs are certified at most while none is proved.
const WAVES_MAX: usize = 12;
/// A design that is expected to reach this part of the accuracy usually reaches it.
pub(super) const SAFE: f64 = 0.98;

pub(super) fn certify_waves(
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
pub(super) fn request(goal: &Goal, design: &Design) -> Request {
    let fitted = goal.fitted.unwrap_or(Window {
        low: design.fitted.low.max(goal.window.low),
        high: design.fitted.high.min(goal.window.high),
    });
    let Goal { norm, window, .. } = *goal;
    Request { function: goal.function.clone(), norm, fitted, window, program: design.program.clone() }
}

/// Certifies a candidate; else says what is known of its error.
pub(super) fn prove(goal: &Goal, candidate: &Candidate) -> Result<Found, (f64, String)> {
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
