//! In which ring every value of a circuit lives: the narrowest that its users need.
//!
//! A circuit is lowered with one ring for everything. Most of its bits are not needed: a linear layer whose result only
//! goes into an entry that computes modulo 2^42 may be truncated into that ring in one round, and an entry whose result only
//! goes into a sum modulo 2^46 need not leave it modulo 2^64. [`Rings`] says for every *anchor* how many bits it works
//! with: for a sum with a truncation the ring of the sum, for an entry the ring of its argument. Everything else follows
//! from the circuit, which is public: a value has as many bits as its widest user works with.
//!
//! Sums that may leave a narrower window, and entries whose windows do not fit, are found as everywhere: the headroom is
//! proved of the circuit as it is run, and entries are proved again between the rings in which they are used.

use super::builder::Circuit;
use super::lower::Lowered;
use super::node::{Maximum, Movement, NodeId, NodeKind, Sum};
use super::{Error, WeightSlot};
use catalogs::protocol::rss3::truncation_rounds;
use catalogs::{Digest, Lemma, Ring, Rounding};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use verify::Certified;

/// The ring of every anchor, in the order of nodes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rings(Vec<Ring>);

/// The most entries between other rings that a plan may have: each is checked, which takes a third of a second at most for
/// those of the shipped catalog.
const MOST_NARROWED: usize = 128;

/// The narrowest ring that a value is given.
const LEAST: Ring = match Ring::new(8) {
    Some(ring) => ring,
    None => Ring::Z32,
};

/// Entries between the rings in which they are used, proved once each.
#[derive(Clone, Debug, Default)]
pub struct Narrowed(BTreeMap<(Digest, Ring, Ring), Result<Arc<Certified>, String>>);

impl Narrowed {
    /// `entry` with its argument in `input` and its result in `output`, or why there is none.
    pub fn of(&mut self, entry: &Arc<Certified>, input: Ring, output: Ring) -> Result<Arc<Certified>, String> {
        if entry.program().input().0 == input && entry.program().output().0 == output {
            return Ok(Arc::clone(entry));
        }
        let made = || match entry.in_rings(input, output) {
            Some(Ok(certified)) => Ok(Arc::new(certified)),
            Some(Err(rejection)) => Err(rejection.to_string()),
            None => Err("it would need bits that it does not have".to_owned()),
        };
        let place = |reason| format!("the entry does not work from ring {input} into ring {output}: {reason}");
        self.0.entry((entry.digest(), input, output)).or_insert_with(made).clone().map_err(place)
    }
}

/// Whether a node has a ring of its own to choose.
pub fn is_anchor(kind: &NodeKind) -> bool {
    match kind {
        NodeKind::Sum(sum) => sum.truncation.is_some(),
        NodeKind::Program { .. } => true,
        _ => false,
    }
}

/// The anchors of a circuit.
pub fn anchors(circuit: &Circuit) -> impl Iterator<Item = NodeId> {
    circuit.iter().filter(|(_, node)| is_anchor(&node.kind)).map(|(id, _)| id)
}

impl Rings {
    /// As a circuit has them.
    pub fn of(circuit: &Circuit) -> Rings {
        let own = anchors(circuit).map(|id| match &circuit.node(id).kind {
            NodeKind::Sum(sum) => sum.ring,
            NodeKind::Program { certified, .. } => certified.program().input().0,
            _ => circuit.node(id).format.ring,
        });
        Rings(own.collect())
    }

    /// From the numbers of bits, as plans have them; `None` if one is no ring.
    pub fn from_bits(bits: &[u8]) -> Option<Rings> {
        bits.iter().map(|&bits| Ring::new(bits)).collect::<Option<_>>().map(Rings)
    }

    /// The numbers of bits.
    pub fn bits(&self) -> Vec<u8> {
        self.0.iter().map(|ring| ring.bits()).collect()
    }

    /// With another ring for the anchor at this place in the order of anchors.
    #[must_use]
    pub fn with(&self, anchor: usize, ring: Ring) -> Rings {
        let mut rings = self.clone();
        if let Some(own) = rings.0.get_mut(anchor) {
            *own = ring;
        }
        rings
    }

    /// The ring of an anchor.
    pub fn get(&self, anchor: usize) -> Option<Ring> {
        self.0.get(anchor).copied()
    }

    /// `lowered` with these rings: the same nodes, the same integers, fewer bits.
    ///
    /// # Errors
    /// A wrong number of rings, a ring wider than the circuit's, a truncation that the protocol does not offer, an entry
    /// that is not provable between its rings.
    pub fn apply(&self, lowered: &Lowered, narrowed: &mut Narrowed) -> Result<Lowered, Error> {
        let circuit = &lowered.circuit;
        let wide = Rings::of(circuit);
        if self.0.len() != wide.0.len() {
            let (needed, given) = (wide.0.len(), self.0.len());
            return Err(Error::Circuit(format!("{given} rings for the {needed} sums and entries that have one")));
        }
        if let Some((own, wide)) = self.0.iter().zip(&wide.0).find(|(own, wide)| own > wide || **own < LEAST) {
            return Err(Error::Circuit(format!("a ring of {own} bits is not between {LEAST} and {wide}")));
        }
        let needs = self.needs(circuit);
        let weights = circuit.weights().to_vec();
        let mut weights: Vec<WeightSlot> = weights;
        for (id, node) in circuit.iter() {
            if let NodeKind::Weight(weight) = node.kind {
                weights[weight.index()].format.ring = needs[id.index()].min(node.format.ring);
            }
        }
        let anchors: BTreeMap<NodeId, Ring> = anchors(circuit).zip(self.0.iter().copied()).collect();
        self.check_number(circuit, &needs)?;
        let made = circuit.rewritten(weights, |id, made| {
            let ring = anchors.get(&id).copied();
            kind(circuit, id, (needs[id.index()], ring), made, narrowed)
        })?;
        let mut result = lowered.clone();
        result.circuit = made;
        Ok(result)
    }

    /// Refuses what would take whoever checks a plan too long.
    fn check_number(&self, circuit: &Circuit, needs: &[Ring]) -> Result<(), Error> {
        let rings = actual(circuit, needs);
        let used = circuit.iter().filter_map(|(id, node)| match &node.kind {
            NodeKind::Program { certified, argument } => {
                let (input, output) = (rings[argument.index()], needs[id.index()]);
                let own = (certified.program().input().0, certified.program().output().0);
                ((input, output) != own).then(|| (certified.digest(), input, output))
            }
            _ => None,
        });
        match used.collect::<BTreeSet<_>>().len() {
            number if number > MOST_NARROWED => Err(Error::Circuit(format!(
                "{number} entries between other rings than theirs are more than the {MOST_NARROWED} that a plan may have"
            ))),
            _ => Ok(()),
        }
    }

    /// Per node the ring that its users need, never wider than it was; what has to live in one ring together does.
    pub fn needs(&self, circuit: &Circuit) -> Vec<Ring> {
        let mut least = vec![LEAST; circuit.nodes().len()];
        loop {
            let needs = self.needs_from(circuit, &least);
            let actual = actual(circuit, &needs);
            let mut changed = false;
            for (_, node) in circuit.iter() {
                let tied: &[NodeId] = match &node.kind {
                    NodeKind::Maximum(maximum) => &maximum.candidates,
                    NodeKind::Movement { movement: Movement::Concat { .. }, operands } => operands,
                    _ => continue,
                };
                let widest = tied.iter().map(|id| actual[id.index()]).max().unwrap_or(LEAST);
                for id in tied.iter().filter(|id| actual[id.index()] < widest) {
                    least[id.index()] = widest;
                    changed = true;
                }
            }
            if !changed {
                return needs;
            }
        }
    }

    fn needs_from(&self, circuit: &Circuit, least: &[Ring]) -> Vec<Ring> {
        let mut needs = least.to_vec();
        let mut anchors = self.0.iter().rev();
        for (id, node) in circuit.iter().collect::<Vec<_>>().into_iter().rev() {
            let own = needs[id.index()];
            let asked = match &node.kind {
                kind if is_anchor(kind) => anchors.next().copied().unwrap_or(node.format.ring),
                NodeKind::Sum(sum) => sum.ring.min(own),
                NodeKind::Maximum(maximum) => Ring::new(maximum.width.bits).map_or(own, |width| own.max(width)),
                // What is opened is read with its sign.
                NodeKind::Output { .. } => node.format.ring,
                _ => own,
            };
            for operand in node.kind.operands() {
                needs[operand.index()] = needs[operand.index()].max(asked);
            }
        }
        needs
    }
}

/// The ring that every node gets where each has at least what is needed of it.
fn actual(circuit: &Circuit, needs: &[Ring]) -> Vec<Ring> {
    let mut rings: Vec<Ring> = Vec::with_capacity(needs.len());
    for (id, node) in circuit.iter() {
        let own = match &node.kind {
            NodeKind::Input { .. } => node.format.ring,
            NodeKind::Movement { movement: Movement::Narrow { ring }, operands } => {
                needs[id.index()].min(*ring).min(rings[operands[0].index()])
            }
            NodeKind::Movement { operands, .. } => rings[operands[0].index()],
            NodeKind::Maximum(Maximum { candidates, .. }) => rings[candidates[0].index()],
            NodeKind::Output { value, .. } => rings[value.index()],
            _ => needs[id.index()].min(node.format.ring),
        };
        rings.push(own);
    }
    rings
}

/// What a node computes where its result is needed in `need` and it works with `anchor`.
fn kind(
    circuit: &Circuit,
    id: NodeId,
    (need, anchor): (Ring, Option<Ring>),
    made: &Circuit,
    narrowed: &mut Narrowed,
) -> Result<NodeKind, Error> {
    let node = circuit.node(id);
    let fail = |reason: String| {
        let (name, group) = (node.name.clone(), circuit.group_name(id).to_owned());
        Error::Node { node: id, name, group, reason }
    };
    Ok(match (&node.kind, anchor) {
        (NodeKind::Sum(sum), Some(ring)) => {
            let truncation = match sum.truncation {
                Some(lemma) => Some(truncated(lemma, ring, need).map_err(fail)?),
                None => None,
            };
            NodeKind::Sum(Sum { ring, truncation, ..sum.clone() })
        }
        (NodeKind::Sum(sum), None) => {
            let ring = sum.ring.min(need);
            NodeKind::Sum(Sum { ring, ..sum.clone() })
        }
        (NodeKind::Program { certified, argument }, _) => {
            let input = made.node(*argument).format.ring;
            let certified = narrowed.of(certified, input, need).map_err(fail)?;
            NodeKind::Program { certified, argument: *argument }
        }
        (NodeKind::Movement { movement, operands }, _) => {
            let operand = made.node(operands[0]).format.ring;
            // A public summand or what replaces elements stays what it is: its residue in a ring that does not hold it would be
            // another number, of which the proof of headroom would be sure. Such a ring is refused with the node.
            let movement = match movement {
                Movement::Narrow { ring } => Movement::Narrow { ring: need.min(*ring).min(operand) },
                other => other.clone(),
            };
            NodeKind::Movement { movement, operands: operands.clone() }
        }
        (kind, _) => kind.clone(),
    })
}

/// The protocol's truncation from `ring` into `target` by as many bits as `lemma`.
fn truncated(lemma: Lemma, ring: Ring, target: Ring) -> Result<Lemma, String> {
    let Lemma::Truncation { shift, failure, .. } = lemma else { return Err(format!("'{lemma}' is no truncation")) };
    let window = match truncation_rounds(ring, target, shift) {
        Some(1) => None,
        Some(_) if shift + 3 <= ring.bits() => Some(ring.bits() - 2),
        _ => return Err(format!("{shift} bits cannot be dropped in ring {ring}")),
    };
    Ok(Lemma::Truncation { ring, target, shift, window, rounding: Rounding::FLOOR_OR_NEXT, failure })
}
