//! One party's execution of a circuit under `rss3`.
//!
//! A [`Runner`] is made once per session from the circuit that all parties agreed on: every node with messages is
//! compiled to checked kernels for all roles. [`Runner::share_weights`] shares the model, then [`Runner::run`]
//! executes one batch: in every round the kernels of all active nodes run, their messages for one peer become one
//! frame, and the frames of the peers are split among the nodes again.
//!
//! The schedule is the one that predicted the cost, and the counters are the transport's: nothing here computes a
//! byte count that is reported. Local steps happen between rounds, in node order.

mod batch;
mod local;
mod mail;
mod profile;
mod unit;
mod weights;
pub mod work;

use crate::backend::{self, Backend, Cpu, Shares};
use crate::circuit::{self, Circuit, Integers, NodeId, Party, Schedule, Weights};
use crate::protocol;
use crate::random;
use crate::transport::{self, Expected, Frame, Kind, Length, Position, Transport};
use batch::Batch;
use catalogs::protocol::rss3::Rss3;
use mail::{CLASSES, Generators, Mail, by_role, peers};
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
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
    /// Per round, the nodes with a step in it, in node order.
    active: Vec<Vec<NodeId>>,
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
        let active = active(&circuit, &schedule, &units);
        Ok(Runner {
            backend,
            circuit,
            schedule,
            units,
            active,
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
        for (round, part) in weights::parts(&self.circuit, PART_ELEMENTS).into_iter().enumerate() {
            let shared = self.share_part(owner, weights, transport, &generators, (round as u32, part.clone()))?;
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
        transport: &mut dyn Transport,
        generators: &Generators,
        (round, part): (u32, Range<usize>),
    ) -> Result<Vec<Shares<B::Words>>, Error> {
        let slots = &self.circuit.weights()[part.clone()];
        let rings: Vec<_> = slots.iter().map(|slot| slot.format.ring).collect();
        let units = unit::ready(&self.backend, unit::share(&rings, owner, self.me)?)?;
        let mut active = Vec::with_capacity(slots.len());
        for ((index, slot), ready) in part.clone().zip(slots).zip(units) {
            let mut state = Active::new(&self.backend, &ready.unit, slot.shape.lanes())?;
            if let Some(weights) = weights.filter(|_| owner == self.me) {
                let weight = weights.get(circuit::WeightId(index as u32));
                let words = self.backend.upload(words(weight.values(), slot.format.ring.mask()))?;
                state.load(&self.backend, &ready.unit, &[&words])?;
            }
            active.push((ready, state));
        }
        let peers = peers(self.me);
        let mut arrived: Vec<Vec<u8>> = vec![Vec::new(); 3];
        for stage in 0..2u32 {
            let mut leaving: Vec<Vec<u8>> = vec![Vec::new(); 3];
            let (mut consumed, mut pending) = ([0usize; 3], Vec::with_capacity(active.len()));
            for (index, (ready, state)) in part.clone().zip(active.iter_mut()) {
                let node = FIRST_WEIGHT_NODE + index as u32;
                let streams = generators.streams(node, ready.unit.first);
                let mut mail = Mail { arrived: &arrived, consumed: &mut consumed, leaving: &mut leaving };
                pending.push(mail.step(&self.backend, ready, state, stage as usize, &streams)?);
            }
            for ((ready, _), pending) in active.iter().zip(pending) {
                let Some(pending) = pending else { continue };
                by_role(&ready.unit, &mut leaving, |sent| Ok(self.backend.collect(pending, sent)?))?;
            }
            if stage == 0 {
                let position = Position { run: PARAMETER_RUN, round };
                let expected =
                    |peer: Party| active.iter().map(|(r, s)| r.unit.arriving(0, peer, s.lanes())).sum::<usize>();
                let lengths: Vec<usize> = (0..3).map(|peer| expected(Party(peer))).collect();
                for &peer in &peers {
                    let payload = std::mem::take(&mut leaving[usize::from(peer.0)]);
                    transport.send(transport::Party(peer.0), Frame { kind: Kind::Parameters, position, payload })?;
                }
                for &peer in &peers {
                    let length = Length::Exactly(lengths[usize::from(peer.0)] as u64);
                    let expected = Expected { kind: Kind::Parameters, position, length };
                    arrived[usize::from(peer.0)] = transport.receive(transport::Party(peer.0), expected)?;
                }
            }
        }
        active.into_iter().map(|(ready, state)| state.into_shares(&self.backend, &ready.unit)).collect()
    }

    /// Tells all parties how many inputs there will be: a public number that the input's owner gives.
    pub fn announce(&mut self, owner: Party, count: Option<u64>, transport: &mut dyn Transport) -> Result<u64, Error> {
        let position =
            Position { run: PARAMETER_RUN, round: weights::parts(&self.circuit, PART_ELEMENTS).len() as u32 };
        let kind = Kind::Parameters;
        if owner == self.me {
            let count = count.ok_or(Error::Missing("the input's owner has no input"))?;
            for peer in peers(self.me) {
                let payload = count.to_le_bytes().to_vec();
                transport.send(transport::Party(peer.0), Frame { kind, position, payload })?;
            }
            return Ok(count);
        }
        let expected = Expected { kind, position, length: Length::Exactly(8) };
        let payload = transport.receive(transport::Party(owner.0), expected)?;
        let bytes = <[u8; 8]>::try_from(payload.as_slice()).unwrap_or_default();
        Ok(u64::from_le_bytes(bytes))
    }

    /// Executes one batch. `inputs` holds the tensors of the inputs that this party owns, in the circuit's order.
    pub fn run(&mut self, inputs: &[Option<Integers>], transport: &mut dyn Transport) -> Result<BatchOutcome, Error> {
        if self.held.shares.len() != self.circuit.weights().len() {
            return Err(Error::Missing("the weights have not been shared"));
        }
        let run = self.next_run;
        self.next_run += 1;
        let generators = Generators::new(transport, self.me, run)?;
        let mut batch = Batch::new(self, generators);
        let mut waiting = Vec::with_capacity(self.schedule.rounds as usize);
        let mut arrived: [Vec<Vec<u8>>; 3] = Default::default();
        let mut rounds = BTreeSet::new();
        for round in 0..=self.schedule.rounds {
            let leaving = batch.advance(round, &arrived, inputs)?;
            if round == self.schedule.rounds {
                break;
            }
            let began = Instant::now();
            arrived = Default::default();
            let position = Position { run, round };
            for (class, payloads) in leaving.into_iter().enumerate() {
                for (peer, payload) in payloads.into_iter().enumerate().filter(|(_, payload)| !payload.is_empty()) {
                    rounds.insert(round);
                    let kind = CLASSES[class];
                    transport.send(transport::Party(peer as u8), Frame { kind, position, payload })?;
                }
            }
            for (class, arrived) in arrived.iter_mut().enumerate() {
                *arrived = vec![Vec::new(); 3];
                for peer in peers(self.me) {
                    let length = batch.expected(round, class, peer);
                    if length == 0 {
                        continue;
                    }
                    rounds.insert(round);
                    let length = Length::Exactly(length as u64);
                    let expected = Expected { kind: CLASSES[class], position, length };
                    arrived[usize::from(peer.0)] = transport.receive(transport::Party(peer.0), expected)?;
                }
            }
            waiting.push(began.elapsed().as_secs_f64());
            self.rounds_done.fetch_add(1, Ordering::Relaxed);
        }
        let (outputs, computing) = batch.into_results();
        Ok(BatchOutcome { outputs, rounds, profile: Profile { computing, waiting } })
    }
}

/// Signed residues as words modulo the ring.
fn words(values: &[i64], mask: u64) -> Vec<u64> {
    values.iter().map(|&value| value as u64 & mask).collect()
}

/// Per round, the nodes with a step in it: a local one in its first round, the others from their first to the round
/// before which their last message arrives.
fn active<B: Backend>(circuit: &Circuit, schedule: &Schedule, units: &[Ready<B>]) -> Vec<Vec<NodeId>> {
    let mut active = vec![Vec::new(); schedule.rounds as usize + 1];
    for (id, _) in circuit.iter() {
        let start = schedule.start[id.index()];
        let last = if units[id.index()].unit.is_local() { start } else { schedule.ready[id.index()] };
        let rounds = active.iter_mut().take(last as usize + 1).skip(start as usize);
        rounds.for_each(|nodes| nodes.push(id));
    }
    active
}

#[cfg(test)]
mod tests;
