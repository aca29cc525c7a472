//! Conformance: real executions against the definition of a program's meaning.
//!
//! Role 1 shares the arguments (and all reshare them, so that every component is random), three roles execute the
//! program with real masks and messages, and every operation's shares are kept. Then, per argument: the roles must
//! agree on every component they both hold; the shares are added up to the value of every operation; around each
//! truncation δ = result − ⌊sum/2^d⌋ must obey the lemma; and `catalogs::evaluate`, fed with the roundings,
//! out-of-window results and band bits that occurred, must return the same integers at *every* operation. Payload is counted at the frames and must equal the timeline.

use super::local::{LocalKeys, LocalParties, Outcome};
use super::{Error, rss3};
use catalogs::evaluate::evaluate_into;
use catalogs::program::Kind;
use catalogs::protocol::rss3::Rss3;
use catalogs::protocol::{Timeline, timeline};
use catalogs::{Adversary, Lemma, Op, Program, Ring, Rounding, ValueId};
use rayon::prelude::*;

/// What was seen in the executions of one program.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Report {
    /// Arguments executed.
    pub arguments: u64,
    /// Truncations inside their window that rounded down.
    pub rounded_down: u64,
    /// Truncations inside their window that rounded up by δ > 0.
    pub rounded_up: u64,
    /// The largest |δ| of these.
    pub rounding_max: u8,
    /// Truncations of a sum outside its window: dead lanes.
    pub outside: u64,
    /// Signs of a value inside its band.
    pub in_band: u64,
    /// Of these, those that differ from the bit of the exact value.
    pub in_band_other: u64,
    /// Rounds of one execution.
    pub rounds: u16,
    /// Payload of all executions, in bytes.
    pub bytes: u64,
}

/// Outputs and what happened on the way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Conformance {
    /// The output of each argument, a signed residue.
    pub outputs: Vec<i128>,
    /// What was seen.
    pub report: Report,
}

impl Report {
    /// What was seen in these executions and in `other` ones of the same program.
    pub fn join(self, other: Report) -> Report {
        Report {
            arguments: self.arguments + other.arguments,
            rounded_down: self.rounded_down + other.rounded_down,
            rounded_up: self.rounded_up + other.rounded_up,
            rounding_max: self.rounding_max.max(other.rounding_max),
            outside: self.outside + other.outside,
            in_band: self.in_band + other.in_band,
            in_band_other: self.in_band_other + other.in_band_other,
            rounds: self.rounds.max(other.rounds),
            bytes: self.bytes + other.bytes,
        }
    }
}

/// Arguments executed together: all shares of a traced tile fit a second-level cache or nearly so.
pub const TILE_LANES: usize = 1024;

/// Executes `program` under rss3 on `arguments`, signed residues of its input ring, with masks from `seed`; tiles of
/// [`TILE_LANES`] run in parallel.
///
/// # Errors
/// Those of [`Conformer::new`] and, for the first tile that has one, [`Conformer::tile`].
pub fn conform(program: &Program, arguments: &[i128], seed: u64) -> Result<Conformance, Error> {
    let conformer = Conformer::new(program, seed)?;
    let tiles = arguments.par_chunks(TILE_LANES).enumerate();
    let tiles: Vec<_> = tiles.map(|(tile, arguments)| conformer.tile(tile as u32, arguments)).collect();
    let mut outputs = Vec::with_capacity(arguments.len());
    let mut report = Report { rounds: conformer.timeline.rounds, ..Report::default() };
    for tile in tiles {
        let tile = tile?;
        outputs.extend(tile.outputs);
        report = report.join(tile.report);
    }
    Ok(Conformance { outputs, report })
}

/// A program compiled for all roles, to be executed tile by tile.
#[derive(Debug)]
pub struct Conformer<'a> {
    program: &'a Program,
    sharing: LocalParties,
    resharing: LocalParties,
    parties: LocalParties,
    timeline: Timeline,
    keys: LocalKeys,
}

impl<'a> Conformer<'a> {
    /// Compiles `program` for rss3; the masks of all tiles follow from `seed`.
    ///
    /// # Errors
    /// A program that the protocol cannot compile.
    pub fn new(program: &'a Program, seed: u64) -> Result<Conformer<'a>, Error> {
        let ring = program.input().0;
        Ok(Conformer {
            program,
            sharing: LocalParties::new(rss3::share(ring)?),
            resharing: LocalParties::new(rss3::compile_reshare(ring)?),
            parties: LocalParties::new(rss3::compile_traced(program)?),
            timeline: timeline(program, &Rss3),
            keys: LocalKeys::from_seed(seed),
        })
    }

    /// Executes the program on `arguments`, signed residues of its input ring, with the masks of tile number `tile`.
    ///
    /// # Errors
    /// An argument outside the input ring, and every difference between the execution and the evaluator, lemma or
    /// timeline, naming the argument and the operation.
    pub fn tile(&self, tile: u32, arguments: &[i128]) -> Result<Conformance, Error> {
        let (program, ring) = (self.program, self.program.input().0);
        let fail = |argument, operation, reason: String| Error::Conformance { argument, operation, reason };
        if let Some(&argument) = arguments.iter().find(|argument| !ring.contains(**argument)) {
            return Err(fail(argument, 0, format!("the argument is not a signed residue of ring {ring}")));
        }
        let Some(&first) = arguments.first() else {
            return Ok(Conformance { outputs: vec![], report: Report::default() });
        };
        let outcome = self.execute(tile, arguments)?;
        check_counts(&self.timeline, arguments.len(), &outcome)
            .map_err(|reason| fail(first, program.ops().len() - 1, reason))?;
        let mut report = Report {
            arguments: arguments.len() as u64,
            bytes: outcome.bytes(),
            rounds: self.timeline.rounds,
            ..Report::default()
        };
        let mut outputs = Vec::with_capacity(arguments.len());
        let (mut values, mut evaluated) = (Vec::new(), Vec::new());
        for (lane, &argument) in arguments.iter().enumerate() {
            collect(program, &outcome, lane, &mut values).map_err(|operation| {
                fail(argument, operation, "two roles hold different words for the same component".into())
            })?;
            let mut replay = Replay { program, values: &values, report: &mut report, fault: None };
            evaluate_into(program, argument, &mut replay, &mut evaluated);
            if let Some((operation, reason)) = replay.fault {
                return Err(fail(argument, operation, reason));
            }
            if let Some(operation) = (0..values.len()).find(|&index| values[index] != evaluated[index]) {
                let (executed, defined) = (values[operation], evaluated[operation]);
                return Err(fail(argument, operation, format!("executed {executed}, defined {defined}")));
            }
            outputs.push(values[values.len() - 1]);
        }
        Ok(Conformance { outputs, report })
    }

    /// Shares by role 1, a reshare by all, then the program.
    fn execute(&self, tile: u32, arguments: &[i128]) -> Result<Outcome, Error> {
        let (lanes, mask) = (arguments.len(), self.program.input().0.mask());
        let words: Vec<u64> = arguments.iter().map(|&argument| argument as u64 & mask).collect();
        let own = vec![vec![words], vec![], vec![]];
        let shared = self.sharing.run(lanes, &own, &self.keys.streams(0, tile))?;
        let parts: Vec<Vec<Vec<u64>>> =
            shared.outputs.into_iter().map(|mut words| vec![words.swap_remove(0)]).collect();
        let shared = self.resharing.run(lanes, &parts, &self.keys.streams(1, tile))?;
        self.parties.run(lanes, &shared.outputs, &self.keys.streams(2, tile))
    }
}

fn check_counts(timeline: &Timeline, lanes: usize, outcome: &Outcome) -> Result<(), String> {
    let field = |bits: u32| (lanes as u64 * u64::from(bits)).div_ceil(8);
    let expected: u64 = timeline.messages.iter().map(|(_, message)| field(message.bits)).sum();
    if outcome.bytes() != expected {
        return Err(format!("{} bytes travelled, {expected} are in the timeline", outcome.bytes()));
    }
    let last = timeline.messages.iter().map(|(round, _)| round + 1).max().unwrap_or(0);
    if outcome.rounds != last {
        return Err(format!("{} rounds were used, {last} are in the timeline", outcome.rounds));
    }
    Ok(())
}

/// The value of every operation, added up from the shares; the operation where two roles differ otherwise.
fn collect(program: &Program, outcome: &Outcome, lane: usize, values: &mut Vec<i128>) -> Result<(), usize> {
    values.clear();
    for index in 0..program.ops().len() {
        let component = |role: usize, which: usize| outcome.outputs[role][2 * index + which][lane];
        if (0..3).any(|role| component(role, 1) != component((role + 1) % 3, 0)) {
            return Err(index);
        }
        let [first, second, third] = [component(0, 0), component(1, 0), component(2, 0)];
        values.push(match program.kind(ValueId(index as u16)) {
            Kind::Arithmetic(ring, _) => ring.residue(i128::from(first.wrapping_add(second).wrapping_add(third))),
            Kind::Bit => i128::from(first ^ second ^ third),
        });
    }
    Ok(())
}

/// The adversary that did what the execution did.
struct Replay<'a> {
    program: &'a Program,
    values: &'a [i128],
    report: &'a mut Report,
    fault: Option<(usize, String)>,
}

impl Adversary for Replay<'_> {
    fn rounding(&mut self, op: ValueId, operand: i128, rounding: Rounding) -> i8 {
        let Op::Sum(sum) = &self.program.ops()[op.index()] else { return 0 };
        let Some(Lemma::Truncation { target, shift, .. }) = sum.truncation.map(|id| *self.program.lemma(id)) else {
            return 0;
        };
        let delta = target.residue(self.values[op.index()] - (operand >> shift));
        if delta < i128::from(rounding.low) || delta > i128::from(rounding.high) {
            let (low, high) = (rounding.low, rounding.high);
            let reason = format!("the sum {operand} was rounded by {delta}, the lemma allows {low} to {high}");
            self.fault.get_or_insert((op.index(), reason));
            return 0;
        }
        if delta > 0 {
            self.report.rounded_up += 1;
        } else {
            self.report.rounded_down += 1;
        }
        self.report.rounding_max = self.report.rounding_max.max(delta.unsigned_abs() as u8);
        delta as i8
    }

    fn outside(&mut self, op: ValueId, _: i128, _: Ring) -> i128 {
        self.report.outside += 1;
        self.values[op.index()]
    }

    fn band(&mut self, op: ValueId, _: i128, exact: bool) -> bool {
        let bit = self.values[op.index()] == 1;
        self.report.in_band += 1;
        self.report.in_band_other += u64::from(bit != exact);
        bit
    }
}

#[cfg(test)]
#[path = "conformance_tests.rs"]
mod tests;
