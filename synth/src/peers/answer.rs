//! Our answer to a peer's entry: the search, asked for its claim in its own format.

use crate::families::Goal;
use crate::search::{Found, SearchError, front_within};
use catalogs::protocol::{Model, cost};
use catalogs::{Entry, Format, Scale};

/// Batches of programs that the search may certify.
const WAVES: usize = 2;
/// More fraction bits of the output, where there is no program without them.
const GUARD: u8 = 6;

/// The claim of `entry` as a goal: its function, window, input format and norm, to its bound or better.
pub fn goal(entry: &Entry, output_scale: Scale) -> Goal {
    let (ring, scale) = entry.program.input();
    Goal {
        function: entry.claim.function.clone(),
        window: entry.claim.window,
        fitted: None,
        input: Format { ring, scale },
        output_scale,
        norm: entry.claim.norm,
        accuracy: entry.claim.bound,
        density: None,
    }
}

/// The program with the fewest bytes of those with no more rounds than `entry`; if all have more, the one with the
/// fewest rounds. Found programs are at least as accurate.
pub fn answer(entry: &Entry, model: &dyn Model) -> Result<Found, SearchError> {
    let rounds = cost(&entry.program, model).rounds;
    let scale = entry.program.output().1;
    let found = match front_within(&goal(entry, scale), model, WAVES, &mut |_| {}) {
        // A peer may have come close to what its output's last bit allows.
        Err(reason) => match Scale::new(scale.bits() + GUARD) {
            Some(finer) => front_within(&goal(entry, finer), model, WAVES, &mut |_| {})?,
            None => return Err(reason),
        },
        Ok(found) => found,
    };
    let within = found.iter().filter(|found| found.rounds <= rounds).min_by_key(|found| found.bits).cloned();
    let fastest = || found.iter().min_by_key(|found| (found.rounds, found.bits)).cloned();
    Ok(within.or_else(fastest).expect("a search that succeeds found a program"))
}
