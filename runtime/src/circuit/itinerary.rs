//! What a party does in a run, in order: which messages leave together, and what is computed before they can.
//!
//! What a node computes between two messages, it computes lane by lane. So its lanes are cut into tiles, and a round's
//! messages into parts of some tiles each: a part leaves as soon as it is computed, and tiles whose last messages have
//! arrived go on while those of others are still on their way. Without tiles a round is one part for each kind of its
//! messages, computed as a whole before it leaves.
//!
//! All of this follows from the circuit and the bytes that a part should have, which the parties agree on; nothing is
//! announced. A session acts as an itinerary says, and what a run takes is predicted from the same acts.

use super::builder::Circuit;
use super::node::{Node, NodeId, NodeKind};
use super::schedule::{Field, operation};
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::ops::Range;

/// Lanes of a tile are a multiple of this: fields of every width start at a byte, and the back ends' blocks are whole.
pub const TILE_LANES: usize = 256;
/// Most parts of a round's messages of one kind: parts are numbered with 16 bits in the frames' headers.
const PARTS_MAX: u64 = u16::MAX as u64 / Class::ALL.len() as u64;

/// The kinds of messages of a run, in the order in which they leave within a round.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Class {
    /// An input is shared.
    Share,
    /// Masked values.
    Masked,
    /// An output is opened.
    Opening,
}

impl Class {
    const ALL: [Class; 3] = [Class::Share, Class::Masked, Class::Opening];

    fn of(kind: &NodeKind) -> Class {
        match kind {
            NodeKind::Input { .. } => Class::Share,
            NodeKind::Output { .. } => Class::Opening,
            _ => Class::Masked,
        }
    }
}

/// Some lanes of a node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tile {
    /// The node.
    pub node: NodeId,
    /// Which of its tiles, from 0.
    pub number: usize,
    /// The lanes.
    pub lanes: Range<usize>,
}

/// What leaves together in a round: one frame to each peer that gets any of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// The kind of its messages.
    pub class: Class,
    /// Its tiles, in the order of their fields in a frame.
    pub tiles: Vec<Tile>,
}

/// What a party does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Act {
    /// Waits for a part of the round before.
    Receive(usize),
    /// Computes what a tile does between the messages of the round before and those of this one, which belong to a part;
    /// to none where the tile's last messages have arrived.
    Step(Tile, Option<usize>),
    /// Sends a part: all of its tiles are computed.
    Send(usize),
    /// Computes the value of a node that has no kernels.
    Local(NodeId),
    /// Takes the operands of a node whose kernels run from here on.
    Start(NodeId),
    /// Keeps the value of a node that is computed: its last messages, if it has any, have arrived.
    Finish(NodeId),
}

/// The acts of all rounds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Itinerary {
    /// Per node, the lanes of a tile; the last tile may have fewer.
    tile_lanes: Vec<usize>,
    parts: Vec<Vec<Part>>,
    acts: Vec<Vec<Act>>,
    frames: u64,
}

impl Itinerary {
    /// For a circuit whose nodes start and are `ready` in these rounds, and send these `fields`, in parts of about so many
    /// bytes of a party, or round by round.
    pub(super) fn new(
        circuit: &Circuit,
        tile_bytes: Option<NonZeroU32>,
        (start, ready, rounds): (&[u32], &[u32], u32),
        fields: &[Field],
    ) -> Itinerary {
        let sent = Sent::of(circuit, tile_bytes, fields);
        let tile_lanes = circuit.iter().map(|(id, _)| sent.tile_lanes(circuit, id)).collect();
        let mut own = Itinerary { tile_lanes, parts: Vec::new(), acts: Vec::new(), frames: 0 };
        // In node order, so that operands are there before their users.
        let mut active: Vec<Vec<NodeId>> = vec![Vec::new(); rounds as usize + 1];
        for (id, _) in circuit.iter() {
            active[start[id.index()] as usize].push(id);
            if start[id.index()] < ready[id.index()] {
                active[ready[id.index()] as usize].push(id);
            }
        }
        for (round, nodes) in (0..).zip(&mut active) {
            nodes.sort_unstable();
            let starts = |id: &NodeId| start[id.index()] == round && ready[id.index()] > round;
            let going_on = own.parts.last().map_or(&[][..], Vec::as_slice).iter().flat_map(|part| &part.tiles);
            let going_on = going_on.filter(|tile| ready[tile.node.index()] > round).cloned();
            let starting = nodes.iter().copied().filter(starts).flat_map(|id| own.tiles(circuit, id));
            let parts = sent.parts(circuit, round, going_on.chain(starting).collect());
            own.frames += parts.iter().map(|part| sent.frames(part, round)).sum::<u64>();
            let mut acts = Acts::new(&parts);
            for (number, part) in own.parts.last().into_iter().flatten().enumerate() {
                acts.all.push(Act::Receive(number));
                part.tiles.iter().cloned().for_each(|tile| acts.step(tile));
            }
            for &id in &*nodes {
                if has_no_kernel(circuit.node(id)) {
                    acts.all.push(Act::Local(id));
                    continue;
                }
                if start[id.index()] == round {
                    acts.all.push(Act::Start(id));
                    own.tiles(circuit, id).for_each(|tile| acts.step(tile));
                }
                // A program of sums alone has no messages: it is done where it starts.
                if ready[id.index()] == round {
                    acts.all.push(Act::Finish(id));
                }
            }
            own.acts.push(acts.all);
            own.parts.push(parts);
        }
        own
    }

    /// What a party does between the messages of the round before and those of this one.
    pub fn acts(&self, round: u32) -> &[Act] {
        self.acts.get(round as usize).map_or(&[], Vec::as_slice)
    }

    /// The parts of a round.
    pub fn parts(&self, round: u32) -> &[Part] {
        self.parts.get(round as usize).map_or(&[], Vec::as_slice)
    }

    /// Frames of all parts.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// The tiles of a node.
    pub fn tiles<'a>(&'a self, circuit: &Circuit, node: NodeId) -> impl Iterator<Item = Tile> + use<'a> {
        let (all, lanes) = (circuit.node(node).shape.lanes(), self.tile_lanes[node.index()]);
        let tile = move |number: usize| Tile { node, number, lanes: number * lanes..((number + 1) * lanes).min(all) };
        (0..all.div_ceil(lanes)).map(tile)
    }
}

/// Whether a node is computed from the shares of its operands as they are.
fn has_no_kernel(node: &Node) -> bool {
    !matches!(node.kind, NodeKind::Program { .. }) && operation(&node.kind, node.format.ring).is_none()
}

/// The acts of a round so far. Parts leave in their order, each once its tiles are computed.
struct Acts {
    all: Vec<Act>,
    part_of: HashMap<(NodeId, usize), usize>,
    /// Per part, tiles that are not computed.
    missing: Vec<usize>,
    sent: usize,
}

impl Acts {
    fn new(parts: &[Part]) -> Acts {
        let numbered = parts.iter().enumerate();
        let tiles =
            numbered.flat_map(|(number, part)| part.tiles.iter().map(move |tile| ((tile.node, tile.number), number)));
        let missing = parts.iter().map(|part| part.tiles.len()).collect();
        Acts { all: Vec::new(), part_of: tiles.collect(), missing, sent: 0 }
    }

    fn step(&mut self, tile: Tile) {
        let part = self.part_of.get(&(tile.node, tile.number)).copied();
        self.all.push(Act::Step(tile, part));
        if let Some(part) = part {
            self.missing[part] -= 1;
        }
        while self.missing.get(self.sent) == Some(&0) {
            self.all.push(Act::Send(self.sent));
            self.sent += 1;
        }
    }
}

/// What a node sends in a round.
#[derive(Clone, Copy, Default)]
struct Message {
    /// Bits of a lane, of all parties.
    bits: u64,
    /// The pairs of sender and receiver, a bit each.
    pairs: u64,
}

/// What every node sends, round by round.
struct Sent {
    /// Bits of all parties' messages that a part should have, if rounds are cut.
    part: Option<u64>,
    /// By node: its first round, and its messages from there on.
    nodes: Vec<(u32, Vec<Message>)>,
}

impl Sent {
    /// `fields` are in the order of their rounds.
    fn of(circuit: &Circuit, tile_bytes: Option<NonZeroU32>, fields: &[Field]) -> Sent {
        let mut nodes = vec![(0, Vec::<Message>::new()); circuit.nodes().len()];
        for field in fields {
            let (first, messages) = &mut nodes[field.node.index()];
            if messages.is_empty() {
                *first = field.round;
            }
            let stage = (field.round - *first) as usize;
            messages.resize(messages.len().max(stage + 1), Message::default());
            messages[stage].bits += u64::from(field.bits);
            messages[stage].pairs |= 1 << (8 * field.from.0 + field.to.0);
        }
        // Each of three parties sends that many bytes.
        let part = tile_bytes.map(|bytes| 3 * 8 * u64::from(bytes.get()));
        Sent { part, nodes }
    }

    fn message(&self, node: NodeId, round: u32) -> Message {
        let (first, messages) = &self.nodes[node.index()];
        let stage = round.checked_sub(*first);
        stage.and_then(|stage| messages.get(stage as usize)).copied().unwrap_or_default()
    }

    /// Lanes of a tile of a node: in the round in which the node sends most, a tile has the bytes of a part at least.
    fn tile_lanes(&self, circuit: &Circuit, node: NodeId) -> usize {
        let all = circuit.node(node).shape.lanes().max(1);
        let most = self.nodes[node.index()].1.iter().map(|message| message.bits).max().unwrap_or(0);
        match self.part {
            Some(part) if most > 0 => (part.div_ceil(most) as usize).next_multiple_of(TILE_LANES).min(all),
            _ => all,
        }
    }

    /// The parts of a round, whose tiles are computed in this order: about as many bits in each.
    fn parts(&self, circuit: &Circuit, round: u32, tiles: Vec<Tile>) -> Vec<Part> {
        let mut parts = Vec::new();
        for class in Class::ALL {
            let own = tiles.iter().filter(|tile| Class::of(&circuit.node(tile.node).kind) == class);
            let bits = |tile: &Tile| self.message(tile.node, round).bits * tile.lanes.len() as u64;
            let all: u64 = own.clone().map(bits).sum();
            let number = self.part.map_or(1, |part| (all / part).clamp(1, PARTS_MAX));
            let (mut sent, mut left) = (0, own.cloned().peekable());
            for part in 1..=number {
                let mut some = Vec::new();
                while let Some(tile) = left.next_if(|_| part == number || sent < part * (all / number)) {
                    sent += bits(&tile);
                    some.push(tile);
                }
                if !some.is_empty() {
                    parts.push(Part { class, tiles: some });
                }
            }
        }
        parts
    }

    /// Frames of a part: one for every pair between which any of its tiles sends.
    fn frames(&self, part: &Part, round: u32) -> u64 {
        let pairs = part.tiles.iter().map(|tile| self.message(tile.node, round).pairs);
        pairs.fold(0, |all, own| all | own).count_ones().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::circuit::{
        Builder, Coefficient, Constant, Maximum, Movement, Party, Product, ProductKind, Schedule, Shape, Sum, schedule,
    };
    use catalogs::protocol::rss3::Rss3;
    use catalogs::{Failure, Format, Lemma, Ring, Rounding};
    use std::collections::BTreeSet;

    /// Two truncations side by side, a maximum over several rounds, a movement, and outputs of different rounds.
    fn circuit() -> Circuit {
        let (ring, format) = (Ring::Z64, Format::z64(16).unwrap());
        let mut builder = Builder::new();
        let lemma = |shift| Lemma::Truncation {
            ring,
            target: ring,
            shift,
            window: Some(62),
            rounding: Rounding::FLOOR_OR_NEXT,
            failure: Failure::Never,
        };
        let [x, y] = [("x", [3, 700]), ("y", [1, 700])]
            .map(|(name, extents)| builder.input(name, Party(1), Shape::new(extents).unwrap(), format).unwrap());
        let mut squared = |value| {
            let product =
                Product { coefficient: Coefficient::ONE, kind: ProductKind::Hadamard, left: value, right: value };
            let (linear, constant) = (Vec::new(), Constant::Scalar(0));
            let sum = Sum { ring, products: vec![product], linear, constant, truncation: Some(lemma(16)) };
            builder.push("squared", NodeKind::Sum(sum)).unwrap()
        };
        let [large, small] = [squared(x), squared(y)];
        let candidates = (0..3).map(|start| {
            builder.movement("row", Movement::Slice { axis: 0, start, length: 1, step: 1 }, large).unwrap()
        });
        let candidates = candidates.collect::<Vec<_>>().into_iter().chain([small]).collect();
        let largest =
            builder.push("largest", NodeKind::Maximum(Maximum { candidates, width: 40.into(), joined: 1 })).unwrap();
        builder.output("small", Party(0), small).unwrap();
        builder.output("largest", Party(2), largest).unwrap();
        builder.finish().unwrap()
    }

    /// Replays the acts: nothing is used before it is there, nothing is left out or done twice.
    fn replayed(circuit: &Circuit, own: &Schedule) {
        let itinerary = &own.itinerary;
        let (mut values, mut stages) = (BTreeSet::new(), HashMap::<(NodeId, usize), u32>::new());
        let mut bytes = 0;
        for round in 0..=own.rounds {
            let before = round.checked_sub(1).map_or(&[][..], |before| itinerary.parts(before));
            let parts = itinerary.parts(round);
            let (mut arrived, mut computed): (Vec<&Tile>, BTreeSet<(NodeId, usize)>) = (Vec::new(), BTreeSet::new());
            let (mut received, mut sent) = (0, 0);
            for act in itinerary.acts(round) {
                match act {
                    Act::Receive(part) => {
                        assert!(*part == received && arrived.is_empty(), "a part before the tiles of another one");
                        arrived.extend(&before[*part].tiles);
                        received += 1;
                    }
                    Act::Step(tile, part) => {
                        let stage = stages.entry((tile.node, tile.number)).or_default();
                        assert_eq!(round, own.start[tile.node.index()] + *stage);
                        if *stage > 0 {
                            assert_eq!(arrived.remove(0), tile);
                        }
                        *stage += 1;
                        assert_eq!(part.is_some(), round < own.ready[tile.node.index()]);
                        assert!(part.is_none_or(|part| parts[part].tiles.contains(tile)));
                        assert!(computed.insert((tile.node, tile.number)), "computed twice");
                    }
                    Act::Send(part) => {
                        assert_eq!(*part, sent);
                        assert!(parts[sent].tiles.iter().all(|tile| computed.contains(&(tile.node, tile.number))));
                        sent += 1;
                    }
                    Act::Local(id) | Act::Start(id) => {
                        assert!(circuit.node(*id).kind.operands().iter().all(|operand| values.contains(operand)));
                        if matches!(act, Act::Local(_)) {
                            assert!(values.insert(*id));
                        }
                    }
                    Act::Finish(id) => {
                        let done = |tile: Tile| stages[&(*id, tile.number)] == round - own.start[id.index()] + 1;
                        assert!(itinerary.tiles(circuit, *id).all(done));
                        assert!(values.insert(*id));
                    }
                }
            }
            assert_eq!((received, sent, arrived.len()), (before.len(), parts.len(), 0));
            for tile in parts.iter().flat_map(|part| &part.tiles) {
                let fields = own.fields().iter().filter(|field| field.round == round && field.node == tile.node);
                bytes += fields.map(|field| (u64::from(field.bits) * tile.lanes.len() as u64).div_ceil(8)).sum::<u64>();
            }
        }
        assert_eq!(values.len(), circuit.nodes().len());
        assert_eq!(bytes, own.payload_bytes(), "tiles send as much as the round");
        for (id, node) in circuit.iter() {
            let mut next = 0;
            for tile in itinerary.tiles(circuit, id) {
                assert!(tile.lanes.start == next && next % TILE_LANES == 0);
                next = tile.lanes.end;
            }
            assert_eq!(next, node.shape.lanes());
        }
    }

    #[test]
    fn every_tile_is_computed_and_sent_once_in_every_round() {
        let circuit = circuit();
        let whole = schedule(&circuit, &Rss3).unwrap();
        replayed(&circuit, &whole);
        assert!((0..whole.rounds).all(|round| whole.itinerary.parts(round).len() <= 2));
        let mut frames = whole.frames();
        for bytes in [1 << 30, 4096, 2000, 1] {
            let own = whole.in_tiles(&circuit, NonZeroU32::new(bytes));
            replayed(&circuit, &own);
            assert!(own.frames() >= frames, "{bytes}");
            frames = own.frames();
            // A part has less than twice what was asked for, and a tile of 256 lanes of the node that sends most.
            let parts =
                (0..own.rounds).flat_map(|round| own.itinerary.parts(round).iter().map(move |part| (round, part)));
            let sent = Sent::of(&circuit, None, own.fields());
            let bits = |(round, part): (u32, &Part)| -> u64 {
                part.tiles.iter().map(|tile| sent.message(tile.node, round).bits * tile.lanes.len() as u64).sum()
            };
            let most = sent.nodes.iter().flat_map(|(_, messages)| messages).map(|message| message.bits).max().unwrap();
            let limit = 2 * 24 * u64::from(bytes) + most * TILE_LANES as u64;
            assert!(parts.map(bits).all(|bits| bits <= limit), "{bytes}");
        }
        assert!(frames > 3 * whole.frames());
    }
}
