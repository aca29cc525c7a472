//! One party's execution of a circuit under `rss3`.
//!
//! A [`Runner`] is made once per session from the circuit that all parties agreed on: every node with messages is
//! compiled to checked kernels for all roles. [`Runner::share_weights`] shares the model, then [`Runner::run`]
//! executes one batch: in every round the kernels of all active nodes run, their messages for one peer become one
//! frame, and the frames of the peers are split among the nodes again.
//!
//! The schedule is the one that predicted the cost, and the counters are the transport's: nothing here computes a
//! byte count that is reported. Local steps happen between rounds, in node order.

mod local;
mod profile;
mod unit;
pub mod work;

use crate::backend::Streams;
use crate::backend::cpu::Frames;
use crate::circuit::{self, Circuit, Integers, NodeId, NodeKind, Party, Schedule, Weights};
use crate::kernel::Pair;
use crate::protocol;
use crate::random::{self, Generator};
use crate::transport::{self, Expected, Frame, Kind, Length, Position, Transport};
use catalogs::protocol::Role;
use catalogs::protocol::rss3::Rss3;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use unit::{Active, Unit};

pub use profile::{GroupShare, Profile, by_group};

/// The nodes' labels leave the upper half of the numbers to weights.
const FIRST_WEIGHT_NODE: u32 = 1 << 31;
/// The parameters travel in the run before the first batch.
const PARAMETER_RUN: u64 = 0;

/// Weights that are shared together: 32 MiB of a component.
const PART_ELEMENTS: usize = 1 << 22;

/// Why an execution stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The circuit cannot be executed.
    #[error(transparent)]
    Circuit(#[from] circuit::Error),
    /// A kernel cannot be compiled or run.
    #[error(transparent)]
    Protocol(#[from] protocol::Error),
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

/// A party's two components of a shared tensor: party p holds x_p and x_{p+1}, words modulo the value's ring.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shares {
    own: Vec<u64>,
    next: Vec<u64>,
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

/// A circuit ready to be executed by one party.
pub struct Runner {
    circuit: Circuit,
    schedule: Schedule,
    units: Vec<Unit>,
    me: Party,
    /// Empty for a weight that nothing reads but products of its packed form.
    weights: Vec<Arc<Shares>>,
    /// Weights as right factors of products, for the weights that are.
    packed: Vec<Option<local::PackedWeight>>,
    next_run: u64,
    rounds_done: Arc<AtomicU64>,
}

impl Runner {
    /// Compiles every node of `circuit`, for the party `me`.
    pub fn new(circuit: Circuit, me: Party) -> Result<Runner, Error> {
        let schedule = circuit::schedule(&circuit, &Rss3)?;
        let units = unit::compile(&circuit, me)?;
        Ok(Runner {
            circuit,
            schedule,
            units,
            me,
            weights: Vec::new(),
            packed: Vec::new(),
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
        let plan = local::WeightUses::of(&self.circuit);
        self.weights = Vec::with_capacity(self.circuit.weights().len());
        self.packed = Vec::with_capacity(self.circuit.weights().len());
        for (round, part) in weight_parts(&self.circuit, PART_ELEMENTS).into_iter().enumerate() {
            let shared = self.share_part(owner, weights, transport, &generators, (round as u32, part.clone()))?;
            for (index, shares) in part.zip(shared) {
                // What a product reads is the packed copy; where nothing else reads the weight, only that is kept.
                let packed = plan.pack(index, &shares)?;
                let kept = if plan.is_read_elsewhere(index) { shares } else { Shares::default() };
                self.weights.push(Arc::new(kept));
                self.packed.push(packed);
            }
        }
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
    ) -> Result<Vec<Shares>, Error> {
        let mut active = Vec::new();
        for index in part.clone() {
            let slot = &self.circuit.weights()[index];
            let unit = unit::share(slot.format.ring, owner, self.me)?;
            let mut state = Active::new(&unit, slot.shape.lanes());
            if let Some(weights) = weights.filter(|_| owner == self.me) {
                let weight = weights.get(circuit::WeightId(index as u32));
                state.load(&unit, &[&words(weight.values(), slot.format.ring.mask())]);
            }
            active.push((unit, state));
        }
        let peers = peers(self.me);
        let mut arrived: Vec<Vec<u8>> = vec![Vec::new(); 3];
        for stage in 0..2u32 {
            let mut leaving: Vec<Vec<u8>> = vec![Vec::new(); 3];
            let mut consumed = [0usize; 3];
            for (index, (unit, state)) in part.clone().zip(active.iter_mut()) {
                let node = FIRST_WEIGHT_NODE + index as u32;
                let streams = generators.streams(node, unit.first);
                step(unit, state, stage as usize, &arrived, &mut consumed, &mut leaving, &streams)?;
            }
            if stage == 0 {
                let position = Position { run: PARAMETER_RUN, round };
                let expected = |peer: Party| active.iter().map(|(u, s)| u.arriving(0, peer, s.lanes())).sum::<usize>();
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
        Ok(active.into_iter().map(|(unit, state)| state.into_shares(&unit)).collect())
    }

    /// Tells all parties how many inputs there will be: a public number that the input's owner gives.
    pub fn announce(&mut self, owner: Party, count: Option<u64>, transport: &mut dyn Transport) -> Result<u64, Error> {
        let position = Position { run: PARAMETER_RUN, round: weight_parts(&self.circuit, PART_ELEMENTS).len() as u32 };
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
        if self.weights.len() != self.circuit.weights().len() {
            return Err(Error::Missing("the weights have not been shared"));
        }
        let run = self.next_run;
        self.next_run += 1;
        let generators = Generators::new(transport, self.me, run)?;
        let mut pending_uses = vec![0usize; self.circuit.nodes().len()];
        for (_, node) in self.circuit.iter() {
            node.kind.operands().iter().for_each(|operand| pending_uses[operand.index()] += 1);
        }
        let mut batch = Batch {
            runner: self,
            generators,
            values: vec![None; self.circuit.nodes().len()],
            active: (0..self.circuit.nodes().len()).map(|_| None).collect(),
            outputs: Vec::new(),
            pending_uses,
            computing: vec![0.0; self.circuit.nodes().len()],
        };
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
        let profile = Profile { computing: batch.computing, waiting };
        Ok(BatchOutcome { outputs: batch.outputs, rounds, profile })
    }
}

/// The kinds of frames of a batch, in the order in which they travel within a round.
const CLASSES: [Kind; 3] = [Kind::Share, Kind::Masked, Kind::Opening];

/// Which of [`CLASSES`] a node's messages are.
fn class(kind: &NodeKind) -> usize {
    match kind {
        NodeKind::Input { .. } => 0,
        NodeKind::Output { .. } => 2,
        _ => 1,
    }
}

fn peers(me: Party) -> Vec<Party> {
    (0..3).filter(|&party| party != me.0).map(Party).collect()
}

/// The weights in parts that are shared one after the other, so that a party holds the frames and the working memory
/// of a part only: each has at most `most` elements, or one weight. There is at least one part.
fn weight_parts(circuit: &Circuit, most: usize) -> Vec<Range<usize>> {
    let slots = circuit.weights();
    let mut parts: Vec<Range<usize>> = Vec::from([Range::default()]);
    let mut elements = 0;
    for (index, slot) in slots.iter().enumerate() {
        elements += slot.shape.lanes();
        match parts.last_mut() {
            Some(part) if part.start == part.end || elements <= most => part.end = index + 1,
            _ => {
                parts.push(index..index + 1);
                elements = slot.shape.lanes();
            }
        }
    }
    parts
}

/// Signed residues as words modulo the ring.
fn words(values: &[i64], mask: u64) -> Vec<u64> {
    values.iter().map(|&value| value as u64 & mask).collect()
}

/// This party's generators of one run, by peer.
struct Generators {
    me: Party,
    generators: Vec<Option<Generator>>,
}

impl Generators {
    fn new(transport: &dyn Transport, me: Party, run: u64) -> Result<Generators, Error> {
        let mut generators = Vec::new();
        for party in 0..3 {
            generators.push(if party == me.0 {
                None
            } else {
                let key = transport.pair_key(transport::Party(party))?;
                Some(Generator::new(key, transport.session(), run))
            });
        }
        Ok(Generators { me, generators })
    }

    /// The streams of a node in which the party `first` plays role 0.
    fn streams(&self, node: u32, first: Party) -> Streams<'_> {
        let role = |party: u8| Role((party + 3 - first.0) % 3);
        let mut streams = Streams::new(node, 0);
        for (party, generator) in self.generators.iter().enumerate() {
            let pair = Pair::new(role(self.me.0), role(party as u8));
            if let (Some(pair), Some(generator)) = (pair, generator) {
                streams = streams.with(pair, generator);
            }
        }
        streams
    }
}

/// Runs one stage of a unit: takes its part of the arrived payloads, appends its messages to the leaving ones.
fn step(
    unit: &Unit,
    state: &mut Active,
    stage: usize,
    arrived: &[Vec<u8>],
    consumed: &mut [usize; 3],
    leaving: &mut [Vec<u8>],
    streams: &Streams<'_>,
) -> Result<(), Error> {
    let mut received: [&[u8]; 3] = [&[]; 3];
    if stage > 0 {
        for peer in peers(unit.me) {
            let index = usize::from(peer.0);
            let length = unit.arriving(stage - 1, peer, state.lanes());
            if length > 0 {
                let end = consumed[index] + length;
                received[unit.role_of(peer)] = &arrived[index][consumed[index]..end];
                consumed[index] = end;
            }
        }
    }
    // By role for the kernel, and back: the buffers move, their bytes do not.
    let party = |role: usize| usize::from(unit.party_of(role).0);
    let mut sent: Frames = (0..3).map(|role| std::mem::take(&mut leaving[party(role)])).collect();
    state.run(unit, stage, &received, &mut sent, streams)?;
    sent.into_iter().enumerate().for_each(|(role, payload)| leaving[party(role)] = payload);
    Ok(())
}

struct Batch<'a> {
    runner: &'a Runner,
    generators: Generators,
    values: Vec<Option<Arc<Shares>>>,
    active: Vec<Option<Active>>,
    outputs: Vec<Option<Integers>>,
    /// Per node, how many uses of its value have not started.
    pending_uses: Vec<usize>,
    /// Per node, seconds of its local steps.
    computing: Vec<f64>,
}

impl Batch<'_> {
    /// Everything between the messages of round − 1 and those of `round`, in node order.
    fn advance(
        &mut self,
        round: u32,
        arrived: &[Vec<Vec<u8>>; 3],
        inputs: &[Option<Integers>],
    ) -> Result<[Vec<Vec<u8>>; 3], Error> {
        let runner = self.runner;
        let mut leaving: [Vec<Vec<u8>>; 3] = std::array::from_fn(|_| vec![Vec::new(); 3]);
        let mut consumed = [[0usize; 3]; 3];
        for (id, node) in runner.circuit.iter() {
            let index = id.index();
            let (start, ready) = (runner.schedule.start[index], runner.schedule.ready[index]);
            if round < start || round > ready || self.is_done(id, round) {
                continue;
            }
            let began = Instant::now();
            let unit = &runner.units[index];
            if unit.is_local() {
                let value = local::value(&runner.circuit, id, &self.values, &runner.weights, runner.me)?;
                self.values[index] = Some(value);
            } else {
                if round == start {
                    self.active[index] = Some(self.start(id, inputs)?);
                }
                let class = class(&node.kind);
                let streams = self.generators.streams(id.0, unit.first);
                let stage = (round - start) as usize;
                if let Some(state) = &mut self.active[index] {
                    let arrived: &[Vec<u8>] = &arrived[class];
                    step(unit, state, stage, arrived, &mut consumed[class], &mut leaving[class], &streams)?;
                }
                if round == ready {
                    self.finish(id)?;
                }
            }
            if round == start {
                self.consume(id);
            }
            self.computing[index] += began.elapsed().as_secs_f64();
        }
        Ok(leaving)
    }

    fn is_done(&self, id: NodeId, round: u32) -> bool {
        round > self.runner.schedule.start[id.index()] && self.runner.units[id.index()].is_local()
    }

    /// The state of a node at its first round: arguments loaded, local parts of sums computed.
    fn start(&self, id: NodeId, inputs: &[Option<Integers>]) -> Result<Active, Error> {
        let runner = self.runner;
        let (node, unit) = (runner.circuit.node(id), &runner.units[id.index()]);
        let mut state = Active::new(unit, node.shape.lanes());
        match &node.kind {
            NodeKind::Input { owner, .. } => {
                if *owner == runner.me {
                    let position = runner.circuit.inputs().iter().position(|&input| input == id);
                    let tensor = position.and_then(|position| inputs.get(position)).and_then(Option::as_ref);
                    let tensor = tensor.ok_or(Error::Missing("the input's owner has no input"))?;
                    state.load(unit, &[&words(tensor.values(), node.format.ring.mask())]);
                }
            }
            NodeKind::Program { argument, .. } | NodeKind::Output { value: argument, .. } => {
                let shares = local::operand(&self.values, *argument)?;
                state.load(unit, &[&shares.own, &shares.next]);
            }
            NodeKind::Maximum(maximum) => {
                let candidates = maximum.candidates.iter().map(|&id| local::operand(&self.values, id));
                let candidates = candidates.collect::<Result<Vec<_>, _>>()?;
                let words: Vec<&[u64]> =
                    candidates.iter().flat_map(|shares| [shares.own.as_slice(), shares.next.as_slice()]).collect();
                state.load(unit, &words);
            }
            NodeKind::Sum(sum) => {
                let first = unit.first == runner.me;
                let part = local::part(&runner.circuit, sum, &node.shape, &self.values, &runner.packed, first)?;
                state.load(unit, &[&part]);
            }
            NodeKind::Weight(_) | NodeKind::Movement { .. } => {}
        }
        Ok(state)
    }

    fn finish(&mut self, id: NodeId) -> Result<(), Error> {
        let runner = self.runner;
        let (node, unit) = (runner.circuit.node(id), &runner.units[id.index()]);
        let Some(state) = self.active[id.index()].take() else { return Ok(()) };
        if let NodeKind::Output { receiver, .. } = &node.kind {
            let opened = (*receiver == runner.me).then(|| state.opened(unit));
            let opened = opened.map(|words| {
                let unused = 64 - u32::from(node.format.ring.bits());
                let values = words.iter().map(|&word| ((word << unused) as i64) >> unused).collect();
                Integers::new(node.shape.clone(), values).map_err(circuit::Error::Circuit)
            });
            self.outputs.push(opened.transpose()?);
            self.values[id.index()] = Some(Arc::default());
        } else {
            self.values[id.index()] = Some(Arc::new(state.into_shares(unit)));
        }
        Ok(())
    }

    /// Frees the operands of a node that has started and holds copies of them, once all their users have.
    fn consume(&mut self, id: NodeId) {
        for operand in self.runner.circuit.node(id).kind.operands() {
            let uses = &mut self.pending_uses[operand.index()];
            *uses = uses.saturating_sub(1);
            if *uses == 0 {
                self.values[operand.index()] = None;
            }
        }
    }

    /// Bytes that arrive from `peer` in `round`, of one class.
    fn expected(&self, round: u32, class_wanted: usize, peer: Party) -> usize {
        let runner = self.runner;
        let active = runner.circuit.iter().filter(|(id, node)| {
            let (start, ready) = (runner.schedule.start[id.index()], runner.schedule.ready[id.index()]);
            start <= round && round < ready && class(&node.kind) == class_wanted
        });
        active
            .map(|(id, node)| {
                let stage = (round - runner.schedule.start[id.index()]) as usize;
                runner.units[id.index()].arriving(stage, peer, node.shape.lanes())
            })
            .sum()
    }
}

#[cfg(test)]
mod tests;
