//! The climb: from a choice that passes to faster ones, a site or all sites of a kind at a time.
//!
//! Every step takes the moves that save most seconds for what they are expected to add to the error, as many at once as
//! seem to fit, half as many when that did not pass, and a move that did not pass alone is not tried again. What is
//! accepted has passed the same simulation as every other plan, and is predicted to be faster.

use super::Error;
use super::assignment::{Quantity, undominated};
use super::problem::{Attempt, Problem};
use std::collections::BTreeSet;

/// Changes of some sites' candidates: site and new candidate.
type Move = Vec<(usize, usize)>;

/// A move with what it promises.
struct Promise {
    changes: Move,
    /// Seconds saved.
    saved: f64,
    /// What it is expected to add to the strain ([`super::Constraint::strain`]).
    added: f64,
}

/// Climbs from `best`, trying at most `most` choices.
pub(super) fn climb(
    problem: &Problem<'_>,
    mut best: Attempt,
    most: usize,
    attempt: &mut dyn FnMut(Vec<usize>) -> Result<Attempt, Error>,
) -> Result<Attempt, Error> {
    let mut refused: BTreeSet<Move> = BTreeSet::new();
    let mut most_together = usize::MAX;
    for _ in 0..most {
        let promises = promises(problem, &best.chosen, &refused);
        let together = fitting(problem, &best, &promises).min(most_together);
        let (chosen, taken) = combined(&best.chosen, &promises, together);
        if taken.is_empty() {
            break;
        }
        let faster = attempt(chosen)?;
        let seconds = |attempt: &Attempt| attempt.plan.predicted.seconds_per_run;
        if faster.unmet.is_empty() && seconds(&faster) < seconds(&best) {
            best = faster;
            most_together = taken.len().saturating_mul(2);
        } else {
            most_together = (taken.len() / 2).max(1);
            if let [alone] = &taken[..] {
                refused.insert((*alone).clone());
            }
        }
    }
    Ok(best)
}

/// How many promises keep what is allowed if the plan that was measured is as much off its outlook as faster ones are;
/// one at least.
fn fitting(problem: &Problem<'_>, best: &Attempt, promises: &[Promise]) -> usize {
    let constraint = &problem.request().constraint;
    let expected = problem.strain(&best.chosen);
    let Some(shown) = constraint.strain(best.verdict.error, best.verdict.cosine) else { return usize::MAX };
    let limit = expected / shown.max(f64::MIN_POSITIVE);
    let (mut low, mut high) = (1, promises.len());
    while low < high {
        let middle = (low + high).div_ceil(2);
        match problem.strain(&combined(&best.chosen, promises, middle).0) <= limit {
            true => low = middle,
            false => high = middle - 1,
        }
    }
    low
}

/// The first `most` promises that change different sites, made together.
fn combined<'a>(chosen: &[usize], promises: &'a [Promise], most: usize) -> (Vec<usize>, Vec<&'a Move>) {
    let (mut chosen, mut taken) = (chosen.to_vec(), Vec::new());
    let mut touched = BTreeSet::new();
    for Promise { changes, .. } in promises {
        if taken.len() == most {
            break;
        }
        if changes.iter().all(|(site, _)| !touched.contains(site)) {
            for &(site, candidate) in changes {
                touched.insert(site);
                chosen[site] = candidate;
            }
            taken.push(changes);
        }
    }
    (chosen, taken)
}

/// Every move that saves seconds, the best first.
fn promises(problem: &Problem<'_>, chosen: &[usize], refused: &BTreeSet<Move>) -> Vec<Promise> {
    let before = problem.strain(chosen);
    let seconds = |changes: &Move| -> f64 {
        let of = |site: usize, candidate: usize| problem.prices()[site][candidate].of(Quantity::Seconds);
        changes.iter().map(|&(site, candidate)| of(site, chosen[site]) - of(site, candidate)).sum()
    };
    let mut promises: Vec<Promise> = Vec::new();
    for changes in moves(problem, chosen) {
        let saved = seconds(&changes);
        if saved <= 0.0 || refused.contains(&changes) {
            continue;
        }
        let mut after = chosen.to_vec();
        changes.iter().for_each(|&(site, candidate)| after[site] = candidate);
        promises.push(Promise { added: problem.strain(&after) - before, saved, changes });
    }
    // What adds nothing comes first, by what it saves; of equals the one that was found first.
    let rate = |promise: &Promise| -> (f64, f64) {
        match promise.added > 0.0 {
            true => (0.0, promise.saved / promise.added),
            false => (1.0, promise.saved),
        }
    };
    let order = |a: &Promise, b: &Promise| {
        let (a, b) = (rate(a), rate(b));
        b.0.total_cmp(&a.0).then(b.1.total_cmp(&a.1))
    };
    promises.sort_by(order);
    promises
}

/// The undominated candidates of every site, and the same record at all sites of a kind that have it.
fn moves(problem: &Problem<'_>, chosen: &[usize]) -> Vec<Move> {
    let mut moves: Vec<Move> = Vec::new();
    for (site, prices) in problem.prices().iter().enumerate() {
        let asked = [Quantity::Seconds, Quantity::Bytes, Quantity::Error, Quantity::Failure];
        for candidate in undominated(prices, &asked) {
            if candidate == chosen[site] {
                continue;
            }
            moves.push(vec![(site, candidate)]);
            let record = &problem.candidates()[site][candidate].record;
            let others = problem.sites().iter().enumerate().filter(|(_, other)| other.kind == problem.sites()[site].kind);
            let all: Option<Move> = others
                .map(|(other, _)| {
                    let place = problem.candidates()[other].iter().position(|own| own.record == *record);
                    place.map(|place| (other, place))
                })
                .collect();
            if let Some(all) = all.filter(|all| all.len() > 1 && all[0].0 == site) {
                moves.push(all.into_iter().filter(|&(other, place)| chosen[other] != place).collect());
            }
        }
    }
    moves
}
