//! From a choice to more accurate ones, by what simulations show.
//!
//! The integer program adds up the sites' effects as if none had a sign, so the choice of least sum is not the one that shows
//! least. Here one site at a time gets another candidate, or all sites of a kind the same one: of all such choices that keep
//! the budget and were not simulated yet the one that is expected to strain the demands least, signs included.

use super::Error;
use super::assignment::Price;
use super::climb::{Simulate, Simulated, moves};
use super::problem::{Attempt, Problem};
use std::collections::BTreeSet;

/// A choice is not simulated if it is expected to strain the demands so many times as much as the best so far.
const WORSE: f64 = 1.25;

/// What is looked for.
pub(super) struct Aims<'a> {
    /// What has to become less.
    pub aim: &'a dyn Fn(&Attempt) -> f64,
    /// Whether nothing better is looked for.
    pub enough: &'a dyn Fn(&Attempt) -> bool,
    /// Whether a choice cannot be `enough`, so far as can be told from one that was simulated.
    pub is_hopeless: &'a dyn Fn(&Attempt, &[usize]) -> bool,
}

/// Goes on from `best` until it is enough, nothing is left to try, or no more is simulated: within limits of what the sites
/// have in all, beside the choices that were simulated already.
pub(super) fn more_accurate(
    problem: &Problem<'_>,
    mut best: Attempt,
    aims: &Aims<'_>,
    (limits, known): (&Price, &[Vec<usize>]),
    simulate: &mut Simulate<'_>,
) -> Result<Attempt, Error> {
    let Aims { aim, enough, is_hopeless } = aims;
    // What is expected of two choices alike, to the last bit, differs in nothing that a simulation sees.
    let mut expected: BTreeSet<u64> = known.iter().map(|known| problem.strain(known).to_bits()).collect();
    while !enough(&best) {
        let Some((strain, chosen)) = promising(problem, &best.chosen, limits, &expected) else { break };
        if is_hopeless(&best, &chosen) {
            break;
        }
        expected.insert(strain.to_bits());
        match simulate(chosen)? {
            Simulated::Enough => break,
            Simulated::Shown(other) if aim(&other) < aim(&best) => best = *other,
            Simulated::Shown(_) | Simulated::Excluded => {}
        }
    }
    Ok(best)
}

/// The neighbour that is expected to strain the demands least, and how much.
fn promising(
    problem: &Problem<'_>,
    chosen: &[usize],
    limits: &Price,
    expected: &BTreeSet<u64>,
) -> Option<(f64, Vec<usize>)> {
    let most = WORSE * problem.strain(chosen);
    let others = moves(problem, chosen).into_iter().map(|changes| {
        let mut other = chosen.to_vec();
        changes.into_iter().for_each(|(site, candidate)| other[site] = candidate);
        other
    });
    let allowed = others.filter(|other| {
        let sites = problem.price(other).minus(problem.base_price());
        sites.within(limits, 0.0) && problem.exclusion(other).is_none()
    });
    let strained = allowed.map(|other| (problem.strain(&other), other));
    let new = strained.filter(|(strain, _)| *strain <= most && !expected.contains(&strain.to_bits()));
    new.min_by(|a, b| a.0.total_cmp(&b.0))
}
