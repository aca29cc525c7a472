//! One batch on its way through the circuit: which values are held, and what every node does between two rounds.

use super::local::{self, Local};
use super::mail::{Arrived, Generators, Leaving, Post, Step, kind};
use super::unit::Active;
use super::{Error, Runner, words};
use crate::backend::{Backend, Shares};
use crate::circuit::{self, Act, Integers, NodeId, NodeKind, Part, Party, Tile};
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
            outputs: vec![None; runner.circuit.outputs().len()],
            pending_uses,
            computing: vec![0.0; nodes],
        }
    }

    /// The outputs that this party learned, and the seconds of every node's local steps.
    pub(super) fn into_results(self) -> (Vec<Option<Integers>>, Vec<f64>) {
        (self.outputs, self.computing)
    }

    /// Everything between the messages of the round before and those of `round`, with these.
    pub(super) fn advance(
        &mut self,
        round: u32,
        inputs: &[Option<Integers>],
        post: &mut Post<'_>,
    ) -> Result<(), Error> {
        let (runner, itinerary) = (self.runner, &self.runner.schedule.itinerary);
        let parts = itinerary.parts(round);
        let mut leaving: Vec<Leaving<B::Pending>> = parts.iter().map(|_| Leaving::default()).collect();
        let mut arrived = Arrived::default();
        for act in itinerary.acts(round) {
            let began = Instant::now();
            let node = match act {
                Act::Receive(number) => {
                    let (before, number) = (round - 1, *number);
                    let part = &itinerary.parts(before)[number];
                    let lengths = [0, 1, 2].map(|peer| self.expected(part, before, Party(peer)));
                    arrived = post.receive((before, number), kind(part.class), lengths)?;
                    continue;
                }
                Act::Send(number) => {
                    let part = &parts[*number];
                    let payloads = std::mem::take(&mut leaving[*number]).collect(&runner.backend)?;
                    // What a device takes longer than its launches.
                    let lanes: usize = part.tiles.iter().map(|tile| tile.lanes.len()).sum();
                    let seconds = began.elapsed().as_secs_f64() / lanes as f64;
                    for tile in &part.tiles {
                        self.computing[tile.node.index()] += seconds * tile.lanes.len() as f64;
                    }
                    post.send((round, *number), kind(part.class), payloads)?;
                    continue;
                }
                Act::Step(tile, part) => {
                    // Nothing leaves a tile whose last messages have arrived.
                    let mut nothing = Leaving::default();
                    let leaving = part.map_or(&mut nothing, |part| &mut leaving[part]);
                    self.step(tile, round, &mut arrived, leaving)?;
                    tile.node
                }
                Act::Local(id) => {
                    self.values[id.index()] = self.local().value(*id)?;
                    self.consume(*id);
                    *id
                }
                Act::Start(id) => {
                    self.active[id.index()] = Some(self.start(*id, inputs)?);
                    self.consume(*id);
                    *id
                }
                Act::Finish(id) => {
                    self.finish(*id)?;
                    *id
                }
            };
            self.computing[node.index()] += began.elapsed().as_secs_f64();
        }
        Ok(())
    }

    /// A tile between the messages of the round before and those of `round`.
    fn step(
        &mut self,
        tile: &Tile,
        round: u32,
        arrived: &mut Arrived,
        leaving: &mut Leaving<B::Pending>,
    ) -> Result<(), Error> {
        let (runner, index) = (self.runner, tile.node.index());
        let Some(state) = &mut self.active[index] else { return Ok(()) };
        let ready = &runner.units[index];
        let streams = self.generators.streams(tile.node.0, tile.number, ready.unit.first);
        let stage = (round - runner.schedule.start[index]) as usize;
        Step { ready, tile: tile.number, lanes: tile.lanes.len(), stage, streams }.run(
            &runner.backend,
            state,
            arrived,
            leaving,
        )
    }

    fn local(&self) -> Local<'_, B> {
        let Runner { backend, circuit, held, me, .. } = self.runner;
        Local { backend, circuit, values: &self.values, held, me: *me }
    }

    /// The state of a node at its first round: arguments loaded, local parts of sums computed.
    fn start(&self, id: NodeId, inputs: &[Option<Integers>]) -> Result<Active<B>, Error> {
        let (runner, backend) = (self.runner, &self.runner.backend);
        let (node, unit) = (runner.circuit.node(id), &runner.units[id.index()].unit);
        let tiles = || runner.schedule.itinerary.tiles(&runner.circuit, id).map(|tile| tile.lanes);
        let active = |arguments: &[&B::Words]| Active::new(backend, unit, tiles(), arguments);
        match &node.kind {
            NodeKind::Input { owner, .. } => {
                if *owner == runner.me {
                    let position = runner.circuit.inputs().iter().position(|&input| input == id);
                    let tensor = position.and_then(|position| inputs.get(position)).and_then(Option::as_ref);
                    let tensor = tensor.ok_or(Error::Missing("the input's owner has no input"))?;
                    if tensor.shape() != &node.shape {
                        let (tensor, given) = (node.name.clone(), tensor.values().len());
                        return Err(circuit::Error::Elements { tensor, shape: node.shape.clone(), given }.into());
                    }
                    return active(&[&backend.upload(words(tensor.values(), node.format.ring.mask()))?]);
                }
                active(&[])
            }
            NodeKind::Program { argument, .. } | NodeKind::Output { value: argument, .. } => {
                let shares = local::operand(&self.values, *argument)?;
                active(&[&shares.own, &shares.next])
            }
            NodeKind::Maximum(maximum) => {
                let candidates = maximum.candidates.iter().map(|&id| local::operand(&self.values, id));
                let candidates = candidates.collect::<Result<Vec<_>, _>>()?;
                let words: Vec<_> = candidates.iter().flat_map(|shares| [&shares.own, &shares.next]).collect();
                active(&words)
            }
            NodeKind::Sum(sum) => {
                let part = self.local().part(sum, &node.shape, unit.first == runner.me)?;
                active(&[&part])
            }
            NodeKind::Weight(_) | NodeKind::Movement { .. } => active(&[]),
        }
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
            let outputs = runner.circuit.outputs();
            if let Some(place) = outputs.iter().position(|output| *output == id) {
                self.outputs[place] = opened;
            }
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

    /// Bytes that arrive from `peer` with a part of `round`.
    fn expected(&self, part: &Part, round: u32, peer: Party) -> usize {
        let bytes = |tile: &Tile| {
            let stage = (round - self.runner.schedule.start[tile.node.index()]) as usize;
            self.runner.units[tile.node.index()].unit.arriving(stage, peer, tile.lanes.len())
        };
        part.tiles.iter().map(bytes).sum()
    }
}
