//! The rings of a plan: which of them make a run fastest, once the entries are chosen.
//!
//! Coordinate descent over the anchors of the circuit ([`Rings`]), from the outputs to the inputs, those of repeated layers
//! together: for a sum the circuit's ring, the least ring that its proved range needs, and the ring from which its
//! truncation takes one round; for an entry the ring that it was written for and the least one with which it is provable.
//! What is compared is the predicted seconds of the whole run. What is found is proved like every plan; a part of the
//! model where that fails keeps its rings.

use super::prover::Proved;
use crate::circuit::headroom::Headroom;
use crate::circuit::lower::Lowered;
use crate::circuit::rings::{Narrowed, Rings, anchors};
use crate::circuit::{Circuit, NodeId, NodeKind};
use catalogs::protocol::rss3::Rss3;
use catalogs::protocol::{Model, cost};
use catalogs::{Lemma, Op, Ring};
use std::collections::BTreeMap;
use std::sync::Arc;
use verify::Certified;

/// How often all anchors are looked at.
const SWEEPS: usize = 3;

/// What an anchor may work with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    /// The ring that the circuit was lowered with.
    Wide,
    /// The least ring that suffices.
    Least,
    /// Of a sum, the ring from which its truncation takes one round into the ring in which its result is needed.
    OneRound,
    /// Of an entry, the ring in which its result is needed: one that ends with a product has no more bits there than its
    /// argument.
    Through,
}

/// An anchor.
#[derive(Clone, Copy)]
struct Member {
    /// Its place in the order of anchors.
    anchor: usize,
    id: NodeId,
    /// The least ring with which it can work.
    least: Ring,
    /// The least ring that holds its operands.
    operands: Ring,
}

/// Anchors that decide alike.
struct Kin {
    members: Vec<Member>,
    ways: Vec<Way>,
}

/// The rings with which `seconds` of a run are least, if any are better than those of the circuit; `seconds` gives `None` for
/// what cannot be built. `proved` is the circuit with the same nodes for one input.
pub(super) fn fastest(
    proved: &Proved,
    narrowed: &mut Narrowed,
    seconds: &mut dyn FnMut(&Rings, &mut Narrowed) -> Option<f64>,
) -> Option<Rings> {
    let circuit = &proved.lowered.circuit;
    let wide = Rings::of(circuit);
    let mut best = wide.clone();
    let mut least = seconds(&best, narrowed)?;
    let kin = kin(circuit, &proved.headroom, narrowed);
    for _ in 0..SWEEPS {
        let before = least;
        for kin in kin.iter().rev() {
            for way in &kin.ways {
                let tried = with(circuit, &best, &wide, kin, *way);
                if tried == best {
                    continue;
                }
                if let Some(own) = seconds(&tried, narrowed).filter(|own| *own < least) {
                    (best, least) = (tried, own);
                }
            }
        }
        if least >= before {
            break;
        }
    }
    (best != wide).then_some(best)
}

/// Rings in which the anchors of a part of the model work as the circuit was lowered.
pub(super) fn without(lowered: &Lowered, rings: &Rings, group: &str) -> Rings {
    let circuit = &lowered.circuit;
    let wide = Rings::of(circuit);
    let own = anchors(circuit).enumerate().filter(|(_, id)| circuit.group_name(*id) == group);
    own.fold(rings.clone(), |rings, (anchor, _)| match wide.get(anchor) {
        Some(ring) => rings.with(anchor, ring),
        None => rings,
    })
}

fn with(circuit: &Circuit, rings: &Rings, wide: &Rings, kin: &Kin, way: Way) -> Rings {
    let mut rings = rings.clone();
    // What the results are needed in depends on later anchors only.
    let needs = rings.needs(circuit);
    for &Member { anchor, id, least, operands } in &kin.members {
        let Some(own) = wide.get(anchor) else { continue };
        let ring = match way {
            Way::Wide => own,
            Way::Least => least,
            Way::OneRound => {
                let ring = one_round(circuit, id, needs[id.index()]).map(|ring| ring.max(operands));
                ring.filter(|ring| *ring <= own).unwrap_or(own)
            }
            Way::Through => needs[id.index()].max(least).min(own),
        };
        rings = rings.with(anchor, ring);
    }
    rings
}

/// The ring from which the truncation of a node takes one round into `target`.
fn one_round(circuit: &Circuit, id: NodeId, target: Ring) -> Option<Ring> {
    let NodeKind::Sum(sum) = &circuit.node(id).kind else { return None };
    let Some(Lemma::Truncation { shift, .. }) = sum.truncation else { return None };
    Ring::new(target.bits().checked_add(shift)?)
}

fn kin(circuit: &Circuit, headroom: &Headroom, narrowed: &mut Narrowed) -> Vec<Kin> {
    let mut all: BTreeMap<(String, String), Kin> = BTreeMap::new();
    for (anchor, id) in anchors(circuit).enumerate() {
        let node = circuit.node(id);
        let (least, operands, ways) = match &node.kind {
            NodeKind::Sum(sum) => {
                let spare = headroom.spare_bits(id).unwrap_or(0);
                let own = sum.ring.bits().saturating_sub(spare);
                let operands =
                    node.kind.operands().into_iter().map(|operand| bits(headroom, operand)).max().unwrap_or(0);
                let ring = |bits: u8| Ring::new(bits).unwrap_or(sum.ring).min(sum.ring);
                (ring(own.max(operands)), ring(operands), vec![Way::OneRound, Way::Least, Way::Wide])
            }
            NodeKind::Program { certified, .. } => {
                let least = least_input(certified, narrowed);
                (least, least, vec![Way::Least, Way::Through, Way::Wide])
            }
            _ => continue,
        };
        let place: String = circuit.group_name(id).chars().filter(|letter| !letter.is_ascii_digit()).collect();
        let own = all.entry((place, node.name.clone()));
        own.or_insert_with(|| Kin { members: Vec::new(), ways }).members.push(Member { anchor, id, least, operands });
    }
    let mut all: Vec<Kin> = all.into_values().collect();
    all.sort_by_key(|kin| kin.members.last().map(|member| member.anchor));
    all
}

/// Bits that hold everything a node is proved to be, with the sign.
fn bits(headroom: &Headroom, id: NodeId) -> u8 {
    (129 - headroom.range(id).magnitude().unsigned_abs().leading_zeros()) as u8
}

/// The narrowest ring for the argument of an entry that leaves it provable and adds no round.
fn least_input(entry: &Arc<Certified>, narrowed: &mut Narrowed) -> Ring {
    let program = entry.program();
    let (own, output) = (program.input().0, program.output().0);
    let window = entry.claim().window;
    let magnitude = window.low.unsigned_abs().max(window.high.unsigned_abs());
    let held = 65 - magnitude.leading_zeros() as u8;
    let looked_at = program.ops().iter().filter_map(|op| match op {
        Op::Sign { lemma, .. } => match *program.lemma(*lemma) {
            Lemma::Sign { width, .. } => Some(width),
            _ => None,
        },
        _ => None,
    });
    let least = looked_at.fold(held, u8::max);
    let rounds = cost(program, &Rss3).rounds;
    let serves = |ring: Ring, narrowed: &mut Narrowed| {
        [output, ring].into_iter().any(|output| {
            let made = narrowed.of(entry, ring, output);
            made.is_ok_and(|made| {
                let offered = made.needs().iter().all(|lemma| Rss3.offers(lemma).is_some());
                offered && cost(made.program(), &Rss3).rounds <= rounds
            })
        })
    };
    (least..own.bits()).filter_map(Ring::new).find(|ring| serves(*ring, narrowed)).unwrap_or(own)
}
