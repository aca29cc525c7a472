//! What one run asks of a party, node by node: counted from the circuit and the kernels that a [`super::Runner`] runs.

use super::Error;
use super::local::right_weight;
use super::unit::{Kernels, Unit};
use crate::circuit::{self, Act, Circuit, NodeId, NodeKind, Party, ProductKind, Schedule, Sum, Tile};
use crate::cost::{Event, Resource, Timeline, Work};
use crate::kernel::Instruction;
use crate::transport::SideBySide;
use catalogs::protocol::rss3::Rss3;
use std::collections::{BTreeMap, HashMap};

/// Parties whose roles rotate.
const PARTIES: f64 = 3.0;

/// Counts the work of circuits; what a program or an operation asks of one lane is compiled once and kept.
#[derive(Debug, Default)]
pub struct Counter {
    kernels: Kernels,
}

impl Counter {
    /// The work of every node, without the rounds, which the nodes share.
    ///
    /// # Errors
    /// A kernel that cannot be compiled.
    pub fn of_nodes(&mut self, circuit: &Circuit, schedule: &Schedule) -> Result<Vec<Work>, Error> {
        let units = self.kernels.compile(circuit, Party(0))?;
        let mut all: Vec<Work> =
            circuit.iter().map(|(id, _)| of_node(circuit, schedule, id, &units[id.index()])).collect();
        for field in schedule.fields() {
            let own = &mut all[field.node.index()];
            *own = own.plus(Resource::Byte, field.bytes() as f64 / PARTIES);
        }
        Ok(all)
    }

    /// The work of every site of the model, by the number of its node, without rounds.
    ///
    /// # Errors
    /// As [`Counter::of_nodes`].
    pub fn of_sites(&mut self, circuit: &Circuit, schedule: &Schedule) -> Result<BTreeMap<u32, Work>, Error> {
        let mut sites: BTreeMap<u32, Work> = BTreeMap::new();
        for (own, (_, node)) in self.of_nodes(circuit, schedule)?.into_iter().zip(circuit.iter()) {
            if let Some(site) = circuit.groups()[node.group.index()].site {
                *sites.entry(site).or_default() += own;
            }
        }
        Ok(sites)
    }

    /// The work of a run, in its order.
    ///
    /// # Errors
    /// As [`Counter::of_nodes`].
    pub fn timeline(&mut self, circuit: &Circuit, schedule: &Schedule) -> Result<Timeline, Error> {
        let units = self.kernels.compile(circuit, Party(0))?;
        let lanes: Vec<Vec<Work>> = units.iter().map(of_stages).collect();
        let mut bytes: HashMap<(u32, NodeId), f64> = HashMap::new();
        for field in schedule.fields() {
            let own = bytes.entry((field.round, field.node)).or_default();
            *own += field.bytes() as f64 / PARTIES / circuit.node(field.node).shape.lanes() as f64;
        }
        let events = |round: u32| {
            let event = |act: &Act| match act {
                Act::Receive(part) => Event::Receive(*part),
                Act::Send(part) => {
                    let tiles = schedule.itinerary.parts(round)[*part].tiles.iter();
                    let of = |tile: &Tile| bytes.get(&(round, tile.node)).unwrap_or(&0.0) * tile.lanes.len() as f64;
                    Event::Send { bytes: tiles.map(of).sum() }
                }
                Act::Step(tile, _) => {
                    let stage = (round - schedule.start[tile.node.index()]) as usize;
                    let own = lanes[tile.node.index()].get(stage).copied().unwrap_or_default();
                    Event::Compute(own.side_by_side(tile.lanes.len()))
                }
                Act::Local(id) | Act::Start(id) => {
                    Event::Compute(of_operands(circuit, *id, units[id.index()].is_local()))
                }
                Act::Finish(_) => Event::Compute(Work::NONE),
            };
            schedule.itinerary.acts(round).iter().map(event).collect()
        };
        Ok(Timeline::new((0..=schedule.rounds).map(events).collect()))
    }

    /// The memory of one party over the rounds of a run: shares of weights, and of values as long as they are used, and the
    /// state of the nodes that are under way.
    ///
    /// # Errors
    /// As [`Counter::of_nodes`].
    pub fn footprint(&mut self, circuit: &Circuit, schedule: &Schedule) -> Result<Footprint, Error> {
        let units = self.kernels.compile(circuit, Party(0))?;
        // A value lives from the round in which it is ready to the last one in which a user starts.
        let mut last: Vec<u32> = schedule.ready.clone();
        for (id, node) in circuit.iter() {
            for operand in node.kind.operands() {
                let used = &mut last[operand.index()];
                *used = schedule.start[id.index()].max(*used);
            }
        }
        let rounds = |from: u32, to: u32| [from, to].map(|round| round.min(schedule.rounds) as usize);
        let mut held = Vec::new();
        for (id, node) in circuit.iter() {
            let (index, lanes) = (id.index(), node.shape.lanes() as u64);
            held.push(Held { node: id, rounds: rounds(schedule.ready[index], last[index]), words: 2 * lanes });
            let words = units[index].slots() as u64 * lanes;
            held.push(Held { node: id, rounds: rounds(schedule.start[index], schedule.ready[index]), words });
        }
        // Both components, and both once more where they are packed for products.
        let weights: u64 = circuit.weights().iter().map(|slot| 4 * slot.shape.lanes() as u64).sum();
        let sum = |once: bool| {
            let mut changes = vec![0i64; schedule.rounds as usize + 2];
            let is_weight = |held: &&Held| matches!(circuit.node(held.node).kind, NodeKind::Weight(_));
            for Held { rounds: [from, to], words, .. } in held.iter().filter(|held| is_weight(held) == once) {
                changes[*from] += *words as i64;
                changes[to + 1] -= *words as i64;
            }
            let sums = changes.into_iter().scan(0i64, |now, change| {
                *now += change;
                Some((*now).max(0) as u64)
            });
            sums.collect::<Vec<u64>>()
        };
        let once = sum(true).into_iter().map(|words| words + weights).collect();
        Ok(Footprint { once, words: sum(false), held })
    }
}

/// What a party keeps in memory, round by round.
#[derive(Clone, Debug)]
pub struct Footprint {
    /// Words of weights in every round: runs side by side hold them once.
    once: Vec<u64>,
    /// All other words of a run, in every round.
    words: Vec<u64>,
    held: Vec<Held>,
}

/// Words that a node needs, for its value or while it is under way, from a round to another, both included.
#[derive(Clone, Copy, Debug)]
struct Held {
    node: NodeId,
    rounds: [usize; 2],
    words: u64,
}

impl Footprint {
    /// Bytes of so many runs side by side, in the round in which they are most.
    pub fn peak_bytes(&self, runs: SideBySide) -> u64 {
        let all = self.once.iter().zip(&self.words).map(|(once, words)| once + runs.get() * words);
        8 * all.max().unwrap_or(0)
    }

    /// Words of one run in a round.
    fn in_round(&self, round: usize) -> u64 {
        self.once[round] + self.words[round]
    }

    /// The part of the model that has most of the memory in that round, by name.
    pub fn heaviest<'a>(&self, circuit: &'a Circuit) -> Option<&'a str> {
        let rounds = 0..self.words.len();
        let most = rounds.clone().map(|round| self.in_round(round)).max()?;
        let round = rounds.clone().find(|&round| self.in_round(round) == most)?;
        let mut groups: BTreeMap<&str, u64> = BTreeMap::new();
        for Held { node, rounds: [from, to], words } in &self.held {
            if (*from..=*to).contains(&round) {
                *groups.entry(circuit.group_name(*node)).or_default() += words;
            }
        }
        groups.into_iter().max_by_key(|(_, words)| *words).map(|(name, _)| name)
    }

    /// The most bytes in any round in which something of a site is kept, by the number of its node.
    pub fn at_site(&self, circuit: &Circuit, number: u32) -> u64 {
        let own = self
            .held
            .iter()
            .filter(|held| circuit.groups()[circuit.node(held.node).group.index()].site == Some(number));
        let rounds = own.flat_map(|held| held.rounds[0]..=held.rounds[1]);
        8 * rounds.map(|round| self.in_round(round)).max().unwrap_or(0)
    }
}

/// The work of a run, in its order.
///
/// # Errors
/// A lemma that the protocol does not offer, or a kernel that cannot be compiled.
pub fn of_circuit(circuit: &Circuit) -> Result<Timeline, Error> {
    Counter::default().timeline(circuit, &circuit::schedule(circuit, &Rss3)?)
}

/// What a node asks, but for its bytes.
fn of_node(circuit: &Circuit, schedule: &Schedule, id: NodeId, unit: &Unit) -> Work {
    let tiles = schedule.itinerary.tiles(circuit, id).map(|tile| tile.lanes.len());
    let of_tile = |lanes: usize| of_stages(unit).into_iter().fold(Work::NONE, |all, own| all + own.side_by_side(lanes));
    tiles.fold(of_operands(circuit, id, unit.is_local()), |all, lanes| all + of_tile(lanes))
}

/// What the stages of a node ask for one lane.
fn of_stages(unit: &Unit) -> Vec<Work> {
    let stage = |stage: usize| {
        let (mut steps, mut draws) = (0u32, 0u32);
        for instruction in unit.instructions(stage) {
            match instruction {
                Instruction::Draw(_) => draws += 1,
                _ => steps += 1,
            }
        }
        Work::NONE
            .plus(Resource::Stage, 1.0)
            .plus(Resource::Step, f64::from(steps) / PARTIES)
            .plus(Resource::Draw, f64::from(draws) / PARTIES)
    };
    (0..unit.stages()).map(stage).collect()
}

/// What a node asks before its first messages, or instead of any.
fn of_operands(circuit: &Circuit, id: NodeId, local: bool) -> Work {
    let node = circuit.node(id);
    match &node.kind {
        NodeKind::Sum(sum) => of_sum(circuit, id, sum, local),
        // Both components are written.
        NodeKind::Movement { .. } | NodeKind::Weight(_) => {
            Work::NONE.plus(Resource::Word, 2.0 * node.shape.lanes() as f64)
        }
        _ => Work::NONE,
    }
}

fn of_sum(circuit: &Circuit, id: NodeId, sum: &Sum, local: bool) -> Work {
    let shape = &circuit.node(id).shape;
    let lanes = shape.lanes() as f64;
    let components = if local { 2.0 } else { 1.0 };
    let mut work = Work::NONE.plus(Resource::Word, components * lanes * (1.0 + sum.linear.len() as f64));
    for product in &sum.products {
        let (left, right) = (&circuit.node(product.left).shape, &circuit.node(product.right).shape);
        // xᵢ·(yᵢ + yᵢ₊₁) + xᵢ₊₁·yᵢ: two products of the words.
        let adds = |inner: usize| 2.0 * lanes * inner as f64;
        if right_weight(circuit, product).is_some() {
            work = work.plus(Resource::PackedMultiplyAdd, adds(left.row_length()));
            continue;
        }
        work = work.plus(Resource::Word, right.lanes() as f64);
        work = match &product.kind {
            ProductKind::MatMul => work.plus(Resource::MultiplyAdd, adds(left.row_length())),
            ProductKind::Conv(_) => {
                let taps = right.lanes() / right.extents().first().copied().unwrap_or(1).max(1);
                work.plus(Resource::ConvolutionMultiplyAdd, adds(taps))
            }
            ProductKind::Hadamard => work.plus(Resource::Word, 2.0 * lanes),
        };
    }
    work
}
