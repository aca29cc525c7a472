//! When every message of a circuit travels, and how many bytes that is: the prediction that a run's counters equal.
//!
//! Every operation starts as soon as its operands exist. The messages of one round from one party to another are one
//! frame for each part of the round ([`super::itinerary`]), in which the fields follow each other by tile, operation of the
//! node's program, and message of the operation; a field packs `bits` of every lane and is rounded up to whole bytes.
//! Weights are shared before the first round and are reported apart.

use super::Error;
use super::builder::Circuit;
use super::itinerary::Itinerary;
use super::node::{GroupId, Maximum, NodeId, NodeKind, Party};
use catalogs::Lemma;
use catalogs::protocol::{self, Message, Model, Operation, Role};
use std::num::NonZeroU32;

/// One field of a frame: a message of one operation, for all lanes of its node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Field {
    /// Counted from 0.
    pub round: u32,
    /// The sender.
    pub from: Party,
    /// The receiver.
    pub to: Party,
    /// The node.
    pub node: NodeId,
    /// The operation of the node's program; 0 for a node without one.
    pub operation: u16,
    /// The message in the protocol's list for that operation.
    pub message: u16,
    /// Payload bits per lane.
    pub bits: u32,
    /// Lanes.
    pub lanes: u64,
}

impl Field {
    /// Payload bytes: the bits of all lanes, rounded up once.
    pub fn bytes(&self) -> u64 {
        (u64::from(self.bits) * self.lanes).div_ceil(8)
    }
}

/// What one group of nodes costs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct GroupCost {
    /// Payload bytes of all parties.
    pub bytes: u64,
    /// Rounds of the critical path that belong to the group's nodes; they add up to the circuit's rounds.
    pub rounds: u32,
    /// Rounds from the group's first message to its last.
    pub span: u32,
}

/// The earliest schedule of a circuit under a protocol.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Schedule {
    /// Per node, the round of its first message.
    pub start: Vec<u32>,
    /// Per node, the number of rounds after which its value exists.
    pub ready: Vec<u32>,
    /// Rounds until every output is known.
    pub rounds: u32,
    /// The number of computing parties.
    pub parties: u8,
    /// Payload bytes of sharing all weights, before the first round.
    pub weight_bytes: u64,
    /// What a party does, in order.
    pub itinerary: Itinerary,
    fields: Vec<Field>,
    groups: Vec<GroupCost>,
}

impl Schedule {
    /// Every field, ordered by round, sender, receiver and node, with the lanes of all tiles.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The fields from one party to another in a round.
    pub fn frame(&self, round: u32, from: Party, to: Party) -> &[Field] {
        let key = (round, from, to);
        let first = self.fields.partition_point(|field| (field.round, field.from, field.to) < key);
        let length = self.fields[first..].partition_point(|field| (field.round, field.from, field.to) == key);
        &self.fields[first..first + length]
    }

    /// The number of frames.
    pub fn frames(&self) -> u64 {
        self.itinerary.frames()
    }

    /// Payload bytes of all parties, without frame headers.
    pub fn payload_bytes(&self) -> u64 {
        self.fields.iter().map(Field::bytes).sum()
    }

    /// Payload bytes that one party sends.
    pub fn sent_bytes(&self, party: Party) -> u64 {
        self.fields.iter().filter(|field| field.from == party).map(Field::bytes).sum()
    }

    /// Bytes of all parties with a header of `header_bytes` per frame.
    pub fn bytes(&self, header_bytes: u64) -> u64 {
        self.payload_bytes() + self.frames() * header_bytes
    }

    /// The same messages of `circuit` in parts of about so many bytes of a party, or round by round.
    pub fn in_tiles(&self, circuit: &Circuit, tile_bytes: Option<NonZeroU32>) -> Schedule {
        let (start, ready) = (&self.start[..], &self.ready[..]);
        let itinerary = Itinerary::new(circuit, tile_bytes, (start, ready, self.rounds), &self.fields);
        Schedule { itinerary, ..self.clone() }
    }

    /// What a group costs.
    pub fn group(&self, id: GroupId) -> GroupCost {
        self.groups[id.index()]
    }

    /// Per group, what it costs.
    pub fn groups(&self) -> &[GroupCost] {
        &self.groups
    }
}

/// The earliest schedule of `circuit` under `model`; an error if a lemma is not offered.
pub fn schedule(circuit: &Circuit, model: &dyn Model) -> Result<Schedule, Error> {
    check_lemmas(circuit, model)?;
    check_parties(circuit, model)?;
    let parties = model.parties();
    let (mut start, mut ready, mut fields) = (Vec::new(), Vec::new(), Vec::new());
    for (id, node) in circuit.iter() {
        let begin = node.kind.operands().iter().map(|operand| ready[operand.index()]).max().unwrap_or(0u32);
        let lanes = node.shape.lanes() as u64;
        let mut add = |begin: u32, operation: u16, messages: Vec<Message>| {
            for (index, message) in messages.into_iter().enumerate() {
                let party = |role: Role| circuit.party(id, role, parties);
                fields.push(Field {
                    round: begin + u32::from(message.step),
                    from: party(message.from),
                    to: party(message.to),
                    node: id,
                    operation,
                    message: index as u16,
                    bits: message.bits,
                    lanes,
                });
            }
        };
        let rounds = if let NodeKind::Program { certified, .. } = &node.kind {
            let program = certified.program();
            let timeline = protocol::timeline(program, model);
            for (index, op) in program.ops().iter().enumerate() {
                if let Some(operation) = Operation::of(program, op) {
                    add(begin + u32::from(timeline.start[index]), index as u16, model.messages(operation));
                }
            }
            u32::from(timeline.rounds)
        } else if let Some(operation) = operation(&node.kind, node.format.ring) {
            add(begin, 0, model.messages(operation));
            u32::from(model.rounds(operation))
        } else {
            0
        };
        start.push(begin);
        ready.push(begin + rounds);
    }
    fields.sort_unstable();
    let rounds = ready.iter().copied().max().unwrap_or(0);
    let groups = group_costs(circuit, &fields, &start, &ready);
    let weight_bytes = weight_bytes(circuit, model);
    let itinerary = Itinerary::new(circuit, circuit.tile_bytes(), (&start, &ready, rounds), &fields);
    Ok(Schedule { start, ready, rounds, parties, weight_bytes, itinerary, fields, groups })
}

/// The operation of a node that is no program, or `None` if it is local.
pub fn operation(kind: &NodeKind, ring: catalogs::Ring) -> Option<Operation> {
    match kind {
        NodeKind::Input { .. } => Some(Operation::Share(ring)),
        NodeKind::Output { .. } => Some(Operation::Open(ring)),
        NodeKind::Sum(sum) => match sum.truncation {
            Some(Lemma::Truncation { ring, target, shift, .. }) => Some(Operation::Truncate { ring, target, shift }),
            _ if sum.products.is_empty() => None,
            _ => Some(Operation::Reshare(sum.ring)),
        },
        NodeKind::Maximum(Maximum { candidates, width, joined }) => {
            let candidates = candidates.len() as u8;
            Some(Operation::Maximum { ring, width: *width, candidates, joined: *joined })
        }
        NodeKind::Weight(_) | NodeKind::Program { .. } | NodeKind::Movement { .. } => None,
    }
}

fn check_lemmas(circuit: &Circuit, model: &dyn Model) -> Result<(), Error> {
    for (id, node) in circuit.iter() {
        let compared;
        let needs: &[Lemma] = match &node.kind {
            NodeKind::Sum(sum) => sum.truncation.as_slice(),
            NodeKind::Program { certified, .. } => certified.needs(),
            NodeKind::Maximum(maximum) => {
                compared = maximum.lemmas(node.format.ring);
                &compared
            }
            _ => &[],
        };
        if let Some(lemma) = needs.iter().find(|lemma| model.offers(lemma).is_none()) {
            let group = circuit.group_name(id).to_owned();
            return Err(Error::Lemma { node: id, group, lemma: *lemma, protocol: model.name().into() });
        }
    }
    Ok(())
}

fn check_parties(circuit: &Circuit, model: &dyn Model) -> Result<(), Error> {
    for (id, node) in circuit.iter() {
        if let NodeKind::Input { owner: party, .. } | NodeKind::Output { receiver: party, .. } = node.kind
            && party.0 >= model.parties()
        {
            return Err(Error::Circuit(format!(
                "node {id} ('{}') belongs to party {}, the protocol {} has {}",
                node.name,
                party.0,
                model.name(),
                model.parties()
            )));
        }
    }
    Ok(())
}

fn weight_bytes(circuit: &Circuit, model: &dyn Model) -> u64 {
    let bytes = circuit.weights().iter().map(|slot| {
        let bits = model.messages(Operation::Share(slot.format.ring)).iter().map(|m| u64::from(m.bits)).sum::<u64>();
        (bits * slot.shape.lanes() as u64).div_ceil(8)
    });
    bytes.sum()
}

fn group_costs(circuit: &Circuit, fields: &[Field], start: &[u32], ready: &[u32]) -> Vec<GroupCost> {
    let mut costs = vec![GroupCost::default(); circuit.groups().len()];
    let mut spans: Vec<Option<(u32, u32)>> = vec![None; costs.len()];
    for field in fields {
        let group = circuit.node(field.node).group.index();
        costs[group].bytes += field.bytes();
        let (first, last) = spans[group].unwrap_or((field.round, field.round));
        spans[group] = Some((first.min(field.round), last.max(field.round)));
    }
    for (cost, span) in costs.iter_mut().zip(spans) {
        cost.span = span.map_or(0, |(first, last)| last - first + 1);
    }
    // The critical path, from the node that is ready last back to the start.
    let mut at = (0..ready.len()).rev().max_by_key(|&index| ready[index]);
    while let Some(index) = at {
        let node = &circuit.nodes()[index];
        costs[node.group.index()].rounds += ready[index] - start[index];
        let operands = node.kind.operands();
        at = operands.iter().map(|operand| operand.index()).find(|&operand| ready[operand] == start[index]);
        if start[index] == 0 {
            break;
        }
    }
    costs
}
