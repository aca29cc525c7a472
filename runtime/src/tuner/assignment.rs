//! One candidate per site: an integer program over certified errors and exact costs.

use super::Request;
use super::admissible::Candidate;
use crate::transport::Shaping;
use good_lp::{Expression, ProblemVariables, Solution, SolverModel, Variable, constraint, variable};

/// CPU seconds per payload byte and party, on the machine the project was measured on; it ranks choices by work where
/// the network does not decide.
const SECONDS_PER_BYTE: f64 = 6e-9;

/// Predicted seconds: max(compute, bytes over the line) + rounds · round trip.
pub fn seconds(rounds: f64, bytes: f64, network: Shaping) -> f64 {
    let sent_by_one = bytes / 3.0;
    let line = sent_by_one * 8.0 / network.bits_per_second;
    line.max(bytes * SECONDS_PER_BYTE) + rounds * network.round_trip_seconds
}

/// The assignment of least predicted seconds with Σ sensitivity · error ≤ `budget`; `None` if there is none.
pub fn solve(
    candidates: &[Vec<Candidate>],
    sensitivities: &[f64],
    request: &Request<'_>,
    budget: f64,
) -> Option<Vec<usize>> {
    let mut variables = ProblemVariables::new();
    let picks: Vec<Vec<Variable>> =
        candidates.iter().map(|options| options.iter().map(|_| variables.add(variable().binary())).collect()).collect();
    let mut cost = Expression::from(0.0);
    let mut error = Expression::from(0.0);
    for (site, options) in candidates.iter().enumerate() {
        for (index, candidate) in options.iter().enumerate() {
            let bytes = candidate.bytes * request.batch as f64;
            // In microseconds and in shares of the budget, so that the solver's tolerances mean something.
            cost.add_mul(1e6 * seconds(candidate.rounds, bytes, request.network), picks[site][index]);
            error.add_mul(sensitivities[site] * candidate.error / budget, picks[site][index]);
        }
    }
    let mut problem = variables.minimise(cost).using(good_lp::solvers::microlp::microlp);
    problem.add_constraint(constraint!(error <= 1.0));
    for picks in &picks {
        let sum: Expression = picks.iter().sum();
        problem.add_constraint(constraint!(sum == 1.0));
    }
    let solution = problem.solve().ok()?;
    let chosen = picks.iter().map(|picks| {
        let values = picks.iter().map(|&pick| solution.value(pick));
        values.enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(index, _)| index)
    });
    Some(chosen.collect())
}

/// The candidate of least certified error at every site.
pub fn most_accurate(candidates: &[Vec<Candidate>]) -> Vec<usize> {
    let best = |options: &Vec<Candidate>| {
        let order = options.iter().enumerate().min_by(|a, b| {
            a.1.error
                .total_cmp(&b.1.error)
                .then(a.1.bytes.total_cmp(&b.1.bytes))
                .then(a.1.rounds.total_cmp(&b.1.rounds))
        });
        order.map_or(0, |(index, _)| index)
    };
    candidates.iter().map(best).collect()
}
