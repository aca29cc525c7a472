//! Plans from other systems' approximations, as far as they are certified and our runtime can execute them.
//!
//! A system's catalog is its own entries, from the audited catalog of peers, for the activations that it publishes, and
//! ours for the others; the tuner chooses among its variants. Inside softmax and layer norm the entries are ours: the
//! bounds of those ask for truncations that never fail and for scales that no peer has. The comparison is of
//! approximations, not of protocols.

use super::Row;
use crate::catalog_folder;
use crate::failure::Failure;
use catalogs::Catalog;
use runtime::tuner::assignment::{self, Quantity};
use runtime::tuner::{self, Budget, Constraint, Problem, Request};
use std::collections::BTreeSet;
use std::path::Path;

/// Systems by the prefix of their entries' stems.
const SYSTEMS: [(&str, &[&str]); 5] = [
    ("CrypTen", &["crypten-"]),
    ("SPU", &["spu-", "puma-"]),
    ("CrypTorch", &["cryptorch-"]),
    ("BOLT", &["bolt-"]),
    ("MP-SPDZ", &["mp-spdz-"]),
];

/// What only softmax and layer norm evaluate.
const INSIDE: [&str; 3] = ["exp", "reciprocal", "rsqrt"];

/// A row per system: its fastest plan that meets the constraint, otherwise its most accurate one.
pub fn rows(folder: &Path, ours: &Catalog, request: &Request<'_>, place: &Path) -> Result<Vec<Row>, Failure> {
    let peers = catalog_folder::open(folder)?;
    let mut rows = Vec::new();
    for (system, prefixes) in SYSTEMS {
        let activation = |name: &str| is_of(name, prefixes) && !INSIDE.contains(&function(name));
        let own: Vec<_> = peers.iter().filter(|(name, _)| activation(name)).collect();
        let functions: BTreeSet<&str> = own.iter().map(|(name, _)| function(name)).collect();
        let mut catalog = Catalog::new();
        for (name, published) in
            own.iter().copied().chain(ours.iter().filter(|(name, _)| !functions.contains(function(name))))
        {
            catalog.insert(name, published.clone())?;
        }
        let names: Vec<&str> = functions.iter().copied().collect();
        let name = format!("(c) {system}: {}", names.join(", "));
        let request = Request { catalog: &catalog, start: None, ..request.clone() };
        // The folder that a run of the plan reads.
        let folder = place.join(system);
        catalog.write(&folder.join("catalogs"), &folder.join("proofs"))?;
        let folder = folder.join("catalogs");
        rows.push(match best(&request) {
            Ok(attempt) => {
                let mut row = Row::new(&name, 1, attempt);
                if let Ok(outcome) = &mut row.outcome {
                    outcome.catalog = Some(folder);
                }
                row
            }
            Err(error) => Row { name, simulated: 0, outcome: Err(error.to_string()) },
        });
    }
    Ok(rows)
}

/// The tuned plan of a catalog, or its most accurate one where none passes.
fn best(request: &Request<'_>) -> Result<tuner::Attempt, tuner::Error> {
    let free = Request { constraint: Constraint::default(), budget: Budget::default(), ..request.clone() };
    let tuned = tuner::tune(request, &mut |_| ());
    Problem::explore(&free, &mut |_| (), |problem, _| {
        let chosen = tuned.as_ref().ok().and_then(|tuned| problem.choice_of(&tuned.plan));
        let chosen = chosen.unwrap_or_else(|| assignment::least(problem.prices(), Quantity::Error));
        let mut attempt = problem.attempt(chosen)?;
        attempt.unmet = request.constraint.unmet(&attempt.verdict);
        Ok(attempt)
    })
}

fn is_of(name: &str, prefixes: &[&str]) -> bool {
    let stem = name.split_once('/').map_or(name, |(_, stem)| stem);
    prefixes.iter().any(|prefix| stem.starts_with(prefix))
}

fn function(name: &str) -> &str {
    name.split_once('/').map_or(name, |(function, _)| function)
}
