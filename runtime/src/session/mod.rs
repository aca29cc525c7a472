//! One party's execution of a circuit under `rss3`.
//!
//! A [`Runner`] is made once per session from the circuit that all parties agreed on: every node with messages is
//! compiled to checked kernels for all roles. [`Runner::share_weights`] shares the model, then [`Runner::run`] executes
//! one batch, and [`Runner::run_side_by_side`] some in turns, as the circuit's [`circuit::Itinerary`] says: the kernels
//! of all active nodes run, tile by tile, their messages for one peer become a frame for each part of a round, and the
//! frames of the peers are split among the tiles again.
//!
//! The schedule is the one that predicted the cost, and the counters are the transport's: nothing here computes a
//! byte count that is reported.

mod batch;
mod local;
mod mail;
mod profile;
mod unit;
mod weights;
pub mod work;

use crate::backend::{self, Backend, Cpu, Shares};
use crate::circuit::{self, Circuit, Integers, Party, Schedule, Weights};
use crate::protocol;
use crate::random;
use crate::transport::{self, Expected, Frame, Kind, Length, Position, RUNS_MAX, SideBySide, Transport};
use batch::Batch;
use catalogs::protocol::rss3::Rss3;
use mail::{Arrived, Generators, Leaving, Post, Step, Trail, peers};
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use unit::{Active, Ready};
use weights::{Held, PART_ELEMENTS, WeightUses};

pub use profile::{GroupShare, Profile, by_group};

/// The nodes' labels leave the upper half of the numbers to weights.
const FIRST_WEIGHT_NODE: u32 = 1 << 31;
/// The parameters travel in the run before the first batch.
const PARAMETER_RUN: u64 = 0;

/// Why an execution stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The circuit cannot be executed.
    #[error(transparent)]
    Circuit(#[from] circuit::Error),
    /// A kernel cannot be compiled or run.
    #[error(transparent)]
    Protocol(#[from] protocol::Error),
    /// The back end failed.
    #[error(transparent)]
    Backend(#[from] backend::Error),
    /// The transport failed.
    #[error(transparent)]
    Transport(#[from] transport::Error),
    /// The generator failed.
    #[error(transparent)]
    Random(#[from] random::Error),
    /// A party was not given what it owns.
    #[error("{0}")]
    Missing(&'static str),
}

/// What one batch gave this party.
#[derive(Clone, Debug)]
pub struct BatchOutcome {
    /// The outputs that this party learns, in the circuit's order; `None` for the others' outputs.
    pub outputs: Vec<Option<Integers>>,
    /// The rounds in which this party really sent or received a frame.
    pub rounds: BTreeSet<u32>,
    /// Where the time went.
    pub profile: Profile,
}

/// A circuit ready to be executed by one party, on one back end.
pub struct Runner<B: Backend = Cpu> {
    backend: B,
    circuit: Circuit,
    schedule: Schedule,
    units: Vec<Ready<B>>,
    me: Party,
    held: Held<B>,
    next_run: u64,
    rounds_done: Arc<AtomicU64>,
}

impl Runner {
    /// Compiles every node of `circuit`, for the party `me` on this processor.
    pub fn new(circuit: Circuit, me: Party) -> Result<Runner, Error> {
        Runner::on(Cpu, circuit, me)
    }
}

impl<B: Backend> Runner<B> {
    /// Compiles every node of `circuit`, for the party `me` on `backend`.
    pub fn on(backend: B, circuit: Circuit, me: Party) -> Result<Runner<B>, Error> {
        let schedule = circuit::schedule(&circuit, &Rss3)?;
        let units = unit::ready(&backend, unit::Kernels::default().compile(&circuit, me)?)?;
        Ok(Runner {
            backend,
            circuit,
            schedule,
            units,
            me,
            held: Held::nothing(),
            next_run: PARAMETER_RUN + 1,
            rounds_done: Arc::default(),
        })
    }

    /// The number of rounds that are done, of all batches, for whoever shows progress.
    pub fn rounds_done(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.rounds_done)
    }

    /// The schedule: what is predicted of a batch.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// The circuit.
    pub fn circuit(&self) -> &Circuit {
        &self.circuit
    }

    /// Shares the model's weights, once per session. The owner gives them, the others give `None`.
    pub fn share_weights(
        &mut self,
        owner: Party,
        weights: Option<&Weights>,
        transport: &mut dyn Transport,
    ) -> Result<(), Error> {
        if owner == self.me && weights.is_none() {
            return Err(Error::Missing("the model's owner has no weights"));
        }
        let generators = Generators::new(transport, self.me, PARAMETER_RUN)?;
        let uses = WeightUses::of(&self.circuit);
        let mut held = Held::nothing();
        let mut post = Post { transport, me: self.me, trail: &mut Trail::new(PARAMETER_RUN) };
        for (round, part) in weights::parts(&self.circuit, PART_ELEMENTS).into_iter().enumerate() {
            let shared = self.share_part(owner, weights, &mut post, &generators, (round as u32, part.clone()))?;
            for (index, shares) in part.zip(shared) {
                held.keep(&self.backend, &uses, index, shares)?;
            }
        }
        self.held = held;
        Ok(())
    }

    /// Shares some weights that follow each other: one frame to each peer.
    fn share_part(
        &self,
        owner: Party,
        weights: Option<&Weights>,
        post: &mut Post<'_>,
        generators: &Generators,
        (round, part): (u32, Range<usize>),
    ) -> Result<Vec<Shares<B::Words>>, Error> {
        let slots = &self.circuit.weights()[part.clone()];
        let rings: Vec<_> = slots.iter().map(|slot| slot.format.ring).collect();
        let units = unit::ready(&self.backend, unit::share(&rings, owner, self.me)?)?;
        let mut active = Vec::with_capacity(slots.len());
        for ((index, slot), ready) in part.clone().zip(slots).zip(units) {
            let mut own = Vec::new();
            if let Some(weights) = weights.filter(|_| owner == self.me) {
                let weight = weights.get(circuit::WeightId(index as u32));
                own.push(self.backend.upload(words(weight.values(), slot.format.ring.mask()))?);
            }
            let lanes = std::iter::once(0..slot.shape.lanes());
            let state = Active::new(&self.backend, &ready.unit, lanes, &own.iter().collect::<Vec<_>>())?;
            active.push((ready, state));
        }
        let mut arrived = Arrived::default();
        for stage in 0..2 {
            let mut leaving = Leaving::default();
            for ((index, slot), (ready, state)) in part.clone().zip(slots).zip(&mut active) {
                let streams = generators.streams(FIRST_WEIGHT_NODE + index as u32, 0, ready.unit.first);
                let step = Step { ready, tile: 0, lanes: slot.shape.lanes(), stage, streams };
                step.run(&self.backend, state, &mut arrived, &mut leaving)?;
            }
            let payloads = leaving.collect(&self.backend)?;
            if stage == 0 {
                let expected = |peer| {
                    let units = active.iter().map(|(ready, _)| &ready.unit).zip(slots);
                    units.map(|(unit, slot)| unit.arriving(0, Party(peer), slot.shape.lanes())).sum::<usize>()
                };
                post.send((round, 0), Kind::Parameters, payloads)?;
                arrived = post.receive((round, 0), Kind::Parameters, [0, 1, 2].map(expected))?;
            }
        }
        active.into_iter().map(|(ready, state)| state.into_shares(&self.backend, &ready.unit)).collect()
    }

    /// Tells all parties what the input's owner gives, and waits until all parties have their weights: who is earlier would
    /// count the others' work as its runs'.
    ///
    /// # Errors
    /// [`Error::Missing`] if the owner gives nothing; a transport's.
    pub fn announce(
        &mut self,
        owner: Party,
        own: Option<Announcement>,
        transport: &mut dyn Transport,
    ) -> Result<Announcement, Error> {
        let position = Position::new(PARAMETER_RUN, weights::parts(&self.circuit, PART_ELEMENTS).len() as u32);
        let kind = Kind::Parameters;
        let nothing = Announcement { inputs: 0, side_by_side: SideBySide::ONE };
        let own = match owner == self.me {
            true => own.ok_or(Error::Missing("the input's owner has no input"))?,
            false => nothing,
        };
        for peer in peers(self.me) {
            let payload = own.to_bytes().to_vec();
            transport.send(transport::Party(peer.0), Frame { kind, position, payload })?;
        }
        let mut announced = own;
        for peer in peers(self.me) {
            let length = Length::Exactly(Announcement::BYTES as u64);
            let payload = transport.receive(transport::Party(peer.0), Expected { kind, position, length })?;
            if peer == owner {
                announced = Announcement::from_bytes(&payload).ok_or_else(|| transport::Error::Malformed {
                    peer: transport::Party(peer.0),
                    reason: format!("it announces other than 1 to {RUNS_MAX} runs side by side"),
                })?;
            }
        }
        Ok(announced)
    }

    /// Executes one batch. `inputs` holds the tensors of the inputs that this party owns, in the circuit's order.
    pub fn run(&mut self, inputs: &[Option<Integers>], transport: &mut dyn Transport) -> Result<BatchOutcome, Error> {
        let mut outcomes = self.run_side_by_side(&[inputs], transport)?;
        outcomes.pop().ok_or(Error::Missing("there is no batch"))
    }

    /// Executes some batches at once, as many at every party: round by round one after the other, so that what one sends is
    /// on its way while the others compute. Each has a run number of its own, and with it streams: nothing that is sent
    /// depends on which run is beside it.
    ///
    /// # Errors
    /// More than [`RUNS_MAX`] batches; those of [`Runner::run`].
    pub fn run_side_by_side(
        &mut self,
        batches: &[&[Option<Integers>]],
        transport: &mut dyn Transport,
    ) -> Result<Vec<BatchOutcome>, Error> {
        if self.held.shares.len() != self.circuit.weights().len() {
            return Err(Error::Missing("the weights have not been shared"));
        }
        if batches.len() > RUNS_MAX {
            return Err(Error::Missing("more runs side by side than a transport keeps apart"));
        }
        let first = self.next_run;
        self.next_run += batches.len() as u64;
        let mut runs = Vec::with_capacity(batches.len());
        for (run, inputs) in (first..).zip(batches) {
            let batch = Batch::new(self, Generators::new(transport, self.me, run)?);
            runs.push((batch, Trail::new(run), inputs));
        }
        for round in 0..=self.schedule.rounds {
            for (batch, trail, inputs) in &mut runs {
                batch.advance(round, inputs, &mut Post { transport: &mut *transport, me: self.me, trail })?;
                self.rounds_done.fetch_add(u64::from(round > 0), Ordering::Relaxed);
            }
        }
        let outcomes = runs.into_iter().map(|(batch, trail, _)| {
            let (outputs, computing) = batch.into_results();
            let Trail { rounds, waiting, .. } = trail;
            BatchOutcome { outputs, rounds, profile: Profile { computing, waiting } }
        });
        Ok(outcomes.collect())
    }
}

/// What the input's owner tells all parties before the runs: public numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Announcement {
    /// How many inputs there are.
    pub inputs: u64,
    /// How many runs are executed side by side, as far as there are so many.
    pub side_by_side: SideBySide,
}

impl Announcement {
    const BYTES: usize = 16;

    fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&self.inputs.to_le_bytes());
        bytes[8..].copy_from_slice(&self.side_by_side.get().to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Announcement> {
        let (inputs, side_by_side) = bytes.split_first_chunk::<8>()?;
        let side_by_side = u64::from_le_bytes(side_by_side.try_into().ok()?);
        let side_by_side = SideBySide::new(side_by_side)?;
        Some(Announcement { inputs: u64::from_le_bytes(*inputs), side_by_side })
    }
}

/// Signed residues as words modulo the ring.
fn words(values: &[i64], mask: u64) -> Vec<u64> {
    values.iter().map(|&value| value as u64 & mask).collect()
}

#[cfg(test)]
mod tests;
