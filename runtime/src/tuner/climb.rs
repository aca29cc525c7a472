//! The climb: from a choice that passes to faster ones.
//!
//! A move gives one site another candidate, or all sites of a kind the same one; or it makes one site faster and another
//! more accurate. Every step takes the moves that save most seconds for what they are expected to add to the error, as
//! many at once as seem to fit, half as many when that did not pass; a move that did not pass alone is not tried again.
//! What is accepted has passed the same simulation as every other plan, and is predicted to be faster.

use super::Error;
use super::assignment::Quantity;
use super::problem::{Attempt, Problem};
use std::collections::BTreeSet;

/// A move is not tried if it is expected to need so many times what is allowed.
const HOPELESS: f64 = 2.0;
/// Additions that the pairs of one step may take.
const PAIRS_WORK_MAX: f64 = 5e8;

/// Changes of some sites' candidates: site and new candidate.
pub(super) type Move = Vec<(usize, usize)>;

/// A move with what it promises.
#[derive(Clone)]
struct Promise {
    changes: Move,
    /// Seconds saved.
    saved: f64,
    /// What it is expected to add to the strain ([`super::Constraint::strain`]).
    added: f64,
}

impl Promise {
    /// What adds nothing comes first, by what it saves; then by what is saved for what is added.
    fn rate(&self) -> (f64, f64) {
        if self.added > 0.0 { (0.0, self.saved / self.added) } else { (1.0, self.saved) }
    }
}

/// What becomes of a choice.
pub(super) enum Simulated {
    /// What was shown, now or before.
    Shown(Box<Attempt>),
    /// It cannot be proved.
    Excluded,
    /// No more are to be simulated.
    Enough,
}

/// Simulates a choice, or recalls it.
pub(super) type Simulate<'a> = dyn FnMut(Vec<usize>) -> Result<Simulated, Error> + 'a;

/// Climbs from `best`.
pub(super) fn climb(problem: &Problem<'_>, mut best: Attempt, simulate: &mut Simulate<'_>) -> Result<Attempt, Error> {
    let mut refused: BTreeSet<Move> = BTreeSet::new();
    let mut most = usize::MAX;
    loop {
        let limit = limit(problem, &best);
        let promises = promises(problem, &best.chosen, HOPELESS * limit, &refused);
        let together = fitting(problem, &best.chosen, &promises, limit).min(most);
        let (chosen, taken) = combined(&best.chosen, &promises, together);
        if taken.is_empty() {
            return Ok(best);
        }
        // Before rings are narrowed: of some plans they are already, to keep a budget.
        let seconds = |attempt: &Attempt| attempt.seconds;
        match simulate(chosen)? {
            Simulated::Enough => return Ok(best),
            Simulated::Shown(faster) if faster.unmet.is_empty() && seconds(&faster) < seconds(&best) => {
                best = *faster;
                most = taken.len().saturating_mul(2);
            }
            Simulated::Shown(_) | Simulated::Excluded => {
                most = (taken.len() / 2).max(1);
                if let [alone] = &taken[..] {
                    refused.insert((*alone).clone());
                }
            }
        }
    }
}

/// The expected strain of what is just allowed, if other choices are as much off their outlook as the one that was
/// measured; where the constraint asks for neither error nor cosine there is none.
fn limit(problem: &Problem<'_>, best: &Attempt) -> f64 {
    let shown = problem.request().constraint.strain(best.verdict.error, best.verdict.cosine);
    shown.map_or(f64::INFINITY, |shown| problem.strain(&best.chosen) / shown.max(f64::MIN_POSITIVE))
}

/// Whether a choice is expected to need so much more than what is allowed that it is not simulated, going by one that was.
pub(super) fn is_hopeless(problem: &Problem<'_>, shown: &Attempt, chosen: &[usize]) -> bool {
    problem.strain(chosen) > HOPELESS * limit(problem, shown)
}

/// How many promises are expected to stay within the limit together; one at least.
fn fitting(problem: &Problem<'_>, chosen: &[usize], promises: &[Promise], limit: f64) -> usize {
    let (mut low, mut high) = (1, promises.len());
    while low < high {
        let middle = (low + high).div_ceil(2);
        match problem.strain(&combined(chosen, promises, middle).0) <= limit {
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

/// Every move that saves seconds and is not hopeless, the best first.
fn promises(problem: &Problem<'_>, chosen: &[usize], hopeless: f64, refused: &BTreeSet<Move>) -> Vec<Promise> {
    let before = problem.strain(chosen);
    let promise = |changes: Move| {
        let seconds = |site: usize, candidate: usize| problem.prices()[site][candidate].of(Quantity::Seconds);
        let saved = |&(site, candidate): &(usize, usize)| seconds(site, chosen[site]) - seconds(site, candidate);
        let mut after = chosen.to_vec();
        changes.iter().for_each(|&(site, candidate)| after[site] = candidate);
        Promise { saved: changes.iter().map(saved).sum(), added: problem.strain(&after) - before, changes }
    };
    let moves = moves(problem, chosen);
    let singles: Vec<Promise> = moves.into_iter().map(&promise).collect();
    let pairs: Vec<Promise> = pairs(problem, chosen.len(), &singles).into_iter().map(&promise).collect();
    let mut promises: Vec<Promise> = singles.into_iter().chain(pairs).collect();
    let keep = |promise: &Promise| promise.saved > 0.0 && before + promise.added <= hopeless;
    promises.retain(|promise| keep(promise) && !refused.contains(&promise.changes));
    sort(&mut promises);
    promises
}

/// The best rate first; of equals the one that was found first.
fn sort(promises: &mut [Promise]) {
    promises.sort_by(|a, b| {
        let (a, b) = (a.rate(), b.rate());
        b.0.total_cmp(&a.0).then(b.1.total_cmp(&a.1))
    });
}

/// A move that is faster and one that is more accurate, together faster; as many as there is work for.
fn pairs(problem: &Problem<'_>, sites: usize, singles: &[Promise]) -> Vec<Move> {
    let (mut faster, accurate): (Vec<Promise>, Vec<Promise>) =
        singles.iter().cloned().partition(|promise| promise.saved > 0.0);
    let mut accurate: Vec<Promise> = accurate.into_iter().filter(|promise| promise.added < 0.0).collect();
    sort(&mut faster);
    accurate.sort_by(|a, b| (b.added / b.saved).total_cmp(&(a.added / a.saved)));
    let work = problem.outlook_work() * sites as f64;
    let most = (PAIRS_WORK_MAX / work.max(1.0)).sqrt() as usize;
    let mut pairs = Vec::new();
    for one in faster.iter().take(most) {
        for other in accurate.iter().take(most) {
            let apart = one.changes.iter().all(|(site, _)| other.changes.iter().all(|(second, _)| site != second));
            if apart && one.saved + other.saved > 0.0 {
                pairs.push([&one.changes[..], &other.changes[..]].concat());
            }
        }
    }
    pairs
}

/// The undominated candidates of every site, and the same record at all sites of a kind that have it.
pub(super) fn moves(problem: &Problem<'_>, chosen: &[usize]) -> Vec<Move> {
    let mut moves: Vec<Move> = Vec::new();
    for site in 0..problem.sites().len() {
        let asked = [Quantity::Seconds, Quantity::Bytes, Quantity::Error, Quantity::Failure];
        for candidate in problem.undominated(site, &asked) {
            if candidate != chosen[site] {
                moves.push(vec![(site, candidate)]);
            }
            let record = &problem.candidates()[site][candidate].record;
            let kind = problem.sites()[site].kind;
            let all = problem.sites().iter().enumerate().filter(|(_, other)| other.kind == kind);
            let all = all.map(|(other, _)| {
                let place = problem.candidates()[other].iter().position(|own| own.record == *record);
                place.map(|place| (other, place))
            });
            let all: Option<Move> = all.collect();
            if let Some(all) = all.filter(|all| all[0].0 == site) {
                let changed: Move = all.into_iter().filter(|&(other, place)| chosen[other] != place).collect();
                if changed.len() > 1 {
                    moves.push(changed);
                }
            }
        }
    }
    moves
}
