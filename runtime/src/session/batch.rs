//! One batch on its way through the circuit: which values are held, and what every node does between two rounds.

use super::local::{self, Local};
use super::mail::{Generators, Mail, by_role, class};
use super::unit::Active;
use super::{Error, Runner, words};
use crate::backend::{Backend, Shares};
use crate::circuit::{self, Integers, NodeId, NodeKind, Party};
use std::sync::Arc;
use std::time::Instant;

/// The state of a batch.
pub(super) struct Batch<'a, B: Backend> {
    runner: &'a Runner<B>,
    generators: Generators,
    values: Vec<Option<Arc<Shares<B::Words>>>>,
    active: Vec<Option<Active<B>>>,
    outputs: Vec<Option<Integers>>,
    /// Per node, how many uses of its value have not started.
    pending_uses: Vec<usize>,
    /// Per node, seconds of its local steps.
    computing: Vec<f64>,
}

impl<'a, B: Backend> Batch<'a, B> {
    /// A batch that has not begun.
    pub(super) fn new(runner: &'a Runner<B>, generators: Generators) -> Batch<'a, B> {
        let nodes = runner.circuit.nodes().len();
        let mut pending_uses = vec![0usize; nodes];
        for (_, node) in runner.circuit.iter() {
            node.kind.operands().iter().for_each(|operand| pending_uses[operand.index()] += 1);
        }
        Batch {
            runner,
            generators,
            values: (0..nodes).map(|_| None).collect(),
            active: (0..nodes).map(|_| None).collect(),
            outputs: Vec::new(),
            pending_uses,
            computing: vec![0.0; nodes],
        }
    }

    /// The outputs that this party learned, and the seconds of every node's local steps.
    pub(super) fn into_results(self) -> (Vec<Option<Integers>>, Vec<f64>) {
        (self.outputs, self.computing)
    }

    /// Everything between the messages of round − 1 and those of `round`, in node order.
    pub(super) fn advance(
        &mut self,
        round: u32,
        arrived: &[Vec<Vec<u8>>; 3],
        inputs: &[Option<Integers>],
    ) -> Result<[Vec<Vec<u8>>; 3], Error> {
        let runner = self.runner;
        let mut leaving: [Vec<Vec<u8>>; 3] = std::array::from_fn(|_| vec![Vec::new(); 3]);
        let (mut consumed, mut pending) = ([[0usize; 3]; 3], Vec::new());
        for &id in &runner.active[round as usize] {
            let (index, node) = (id.index(), runner.circuit.node(id));
            let (start, ready) = (runner.schedule.start[index], runner.schedule.ready[index]);
            let began = Instant::now();
            let ready_unit = &runner.units[index];
            if ready_unit.unit.is_local() {
                self.values[index] = self.local().value(id)?;
            } else {
                if round == start {
                    self.active[index] = Some(self.start(id, inputs)?);
                }
                let class = class(&node.kind);
                let streams = self.generators.streams(id.0, ready_unit.unit.first);
                let stage = (round - start) as usize;
                if let Some(state) = &mut self.active[index] {
                    let (arrived, leaving): (&[Vec<u8>], &mut [Vec<u8>]) = (&arrived[class], &mut leaving[class]);
                    let mut mail = Mail { arrived, consumed: &mut consumed[class], leaving };
                    let sent = mail.step(&runner.backend, ready_unit, state, stage, &streams)?;
                    pending.extend(sent.map(|sent| (index, &ready_unit.unit, class, sent)));
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
        // A device computes for all nodes of a round before this waits for the first message.
        for (index, unit, class, sent) in pending {
            let began = Instant::now();
            by_role(unit, &mut leaving[class], |frames| Ok(runner.backend.collect(sent, frames)?))?;
            self.computing[index] += began.elapsed().as_secs_f64();
        }
        Ok(leaving)
    }

    fn local(&self) -> Local<'_, B> {
        let Runner { backend, circuit, held, me, .. } = self.runner;
        Local { backend, circuit, values: &self.values, held, me: *me }
    }

    /// The state of a node at its first round: arguments loaded, local parts of sums computed.
    fn start(&self, id: NodeId, inputs: &[Option<Integers>]) -> Result<Active<B>, Error> {
        let (runner, backend) = (self.runner, &self.runner.backend);
        let (node, unit) = (runner.circuit.node(id), &runner.units[id.index()].unit);
        let mut state = Active::new(backend, unit, node.shape.lanes())?;
        match &node.kind {
            NodeKind::Input { owner, .. } => {
                if *owner == runner.me {
                    let position = runner.circuit.inputs().iter().position(|&input| input == id);
                    let tensor = position.and_then(|position| inputs.get(position)).and_then(Option::as_ref);
                    let tensor = tensor.ok_or(Error::Missing("the input's owner has no input"))?;
                    let words = backend.upload(words(tensor.values(), node.format.ring.mask()))?;
                    state.load(backend, unit, &[&words])?;
                }
            }
            NodeKind::Program { argument, .. } | NodeKind::Output { value: argument, .. } => {
                let shares = local::operand(&self.values, *argument)?;
                state.load(backend, unit, &[&shares.own, &shares.next])?;
            }
            NodeKind::Maximum(maximum) => {
                let candidates = maximum.candidates.iter().map(|&id| local::operand(&self.values, id));
                let candidates = candidates.collect::<Result<Vec<_>, _>>()?;
                let words: Vec<_> = candidates.iter().flat_map(|shares| [&shares.own, &shares.next]).collect();
                state.load(backend, unit, &words)?;
            }
            NodeKind::Sum(sum) => {
                let part = self.local().part(sum, &node.shape, unit.first == runner.me)?;
                state.load(backend, unit, &[&part])?;
            }
            NodeKind::Weight(_) | NodeKind::Movement { .. } => {}
        }
        Ok(state)
    }

    fn finish(&mut self, id: NodeId) -> Result<(), Error> {
        let (runner, backend) = (self.runner, &self.runner.backend);
        let (node, unit) = (runner.circuit.node(id), &runner.units[id.index()].unit);
        let Some(state) = self.active[id.index()].take() else { return Ok(()) };
        if let NodeKind::Output { receiver, .. } = &node.kind {
            let mut opened = None;
            if *receiver == runner.me {
                let unused = 64 - u32::from(node.format.ring.bits());
                let words = state.opened(backend, unit)?;
                let values = words.iter().map(|&word| ((word << unused) as i64) >> unused).collect();
                opened = Some(Integers::new(node.shape.clone(), values).map_err(circuit::Error::Circuit)?);
            }
            self.outputs.push(opened);
        } else {
            self.values[id.index()] = Some(Arc::new(state.into_shares(backend, unit)?));
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
    pub(super) fn expected(&self, round: u32, class_wanted: usize, peer: Party) -> usize {
        let runner = self.runner;
        let schedule = &runner.schedule;
        let bytes = |&id: &NodeId| {
            let (index, node) = (id.index(), runner.circuit.node(id));
            if round >= schedule.ready[index] || class(&node.kind) != class_wanted {
                return 0;
            }
            let stage = (round - schedule.start[index]) as usize;
            runner.units[index].unit.arriving(stage, peer, node.shape.lanes())
        };
        runner.active[round as usize].iter().map(bytes).sum()
    }
}
