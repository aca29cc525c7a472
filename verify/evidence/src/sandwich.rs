//! *witness ≤ exhaustive ≤ certified* for a published entry: three numbers by three independent paths.
//!
//! A window of at most `limit` inputs is exhausted whole. A larger one is *sampled in runs*: the runs are exhausted, and
//! one of them contains the witness, so the left inequality must still hold; the right one is then shown for the runs
//! only, and [`Sandwich::exhaustive`] says so. Runs are all of the fitted interval if three quarters of the limit hold
//! it, and otherwise short runs (of at most [`LONGEST_RUN`] inputs) at many places, half of them spread evenly, half over
//! the octaves of |x|.

use crate::EvidenceError;
use crate::exhaust::{Exhaustion, Options, exhaust_parts};
use crate::points::octaves;
use crate::sample::Words;
use catalogs::{Decimal, Entry, Window};

/// Inputs of one run, at most.
pub const LONGEST_RUN: u64 = 1024;
/// So that there are about as many runs, or more, whatever the limit is.
const RUNS: u64 = 1024;

/// What an exhaustion says about a claim and its witness.
#[derive(Clone, Debug)]
pub struct Sandwich {
    /// The exhaustion, of the whole window or of runs of it.
    pub found: Exhaustion,
    /// Whether every input of the window was visited.
    pub exhaustive: bool,
    /// Whether some visited run is proved to be at least as wrong as the witness states.
    pub reaches_witness: bool,
    /// Whether every visited run is proved to keep the bound, or one to exceed it; `None` if inputs were
    /// [capped](Exhaustion::capped), or if so many runs come within 2^−48 of the bound that not all were refined.
    pub within_bound: Option<bool>,
}

impl Sandwich {
    /// Whether an inequality is wrong: a witness that is not reached, a bound that is not kept, an output that can be
    /// anything, or, where inputs were capped, a run found to exceed the bound.
    pub fn is_violated(&self) -> bool {
        !self.reaches_witness || self.within_bound == Some(false)
    }
}

/// Compares the exhaustive error of `entry` with its bound and with `witness`, the input and error of its witness.
///
/// # Errors
/// A witness outside the window, a function without value, a program with too many values alive.
pub fn sandwich(
    entry: &Entry,
    witness: (i64, Decimal),
    limit: u64,
    options: &Options,
) -> Result<Sandwich, EvidenceError> {
    let parts = parts(entry, witness.0, limit);
    let found = exhaust_parts(entry, &parts, options)?;
    let bound = entry.claim.bound;
    let within_bound = if found.escaped.count > 0 || found.exceeds(bound) {
        Some(false)
    } else if found.is_within(bound) {
        Some(true)
    } else {
        None
    };
    Ok(Sandwich {
        exhaustive: u128::from(found.inputs) == entry.claim.window.size(),
        reaches_witness: found.reaches(witness.1),
        within_bound,
        found,
    })
}

/// Disjoint runs of the window of `entry`, ascending, at most about `limit` inputs, one of which contains `witness`.
fn parts(entry: &Entry, witness: i64, limit: u64) -> Vec<Window> {
    let (window, fitted) = (entry.claim.window, entry.claim.fitted);
    if window.size() <= u128::from(limit) {
        return vec![window];
    }
    let length = (limit / RUNS).clamp(4, LONGEST_RUN);
    let run = |centre: i64| Window {
        low: centre.saturating_sub(length as i64 / 2).max(window.low),
        high: centre.saturating_add(length as i64 / 2 - 1).min(window.high),
    };
    let mut parts = vec![Window { low: run(witness).low.min(witness), high: run(witness).high.max(witness) }];
    let mut left = limit.saturating_sub(length);
    if fitted.size() <= u128::from(limit) * 3 / 4 {
        left = left.saturating_sub(fitted.size() as u64);
        parts.push(fitted);
    }
    let (runs, mut words) = (left / length, Words(limit));
    parts.extend([window.low, window.high].map(run));
    parts.extend(octaves(window, runs / 2, &mut words).into_iter().map(run));
    for _ in 0..runs.saturating_sub(runs / 2 + 2) {
        let offset = u128::from(words.next()) % window.size();
        parts.push(run((i128::from(window.low) + offset as i128) as i64));
    }
    disjoint(parts)
}

/// The same inputs, ascending, joined where they meet.
fn disjoint(mut parts: Vec<Window>) -> Vec<Window> {
    parts.sort_unstable();
    let mut joined: Vec<Window> = Vec::with_capacity(parts.len());
    for part in parts {
        match joined.last_mut() {
            Some(last) if i128::from(part.low) <= i128::from(last.high) + 1 => last.high = last.high.max(part.high),
            _ => joined.push(part),
        }
    }
    joined
}
