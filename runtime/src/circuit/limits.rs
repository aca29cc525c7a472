//! How far the proved ranges of a circuit are from what they may not leave, site by site.
//!
//! Only the model's owner can know: ranges follow from the weights. A share of 1 is a limit that is just met; what would
//! exceed one has no proof, and no plan.

use super::headroom::{Fact, Headroom};
use super::lower::Lowered;
use super::{NodeId, NodeKind, Sum};
use catalogs::{Claim, Lemma};
use std::collections::BTreeMap;

/// A limit and the proved range that comes closest to it.
#[derive(Clone, PartialEq, Debug)]
pub struct Limit {
    /// The site, by the number of its node; none for what lies between sites.
    pub site: Option<u32>,
    /// The model's node.
    pub name: String,
    /// What is limited.
    pub what: String,
    /// The proved range, in real units.
    pub range: [f64; 2],
    /// What it may not leave, in real units.
    pub limit: [f64; 2],
    /// The share of the limit that is used, at the end where it is largest.
    pub used: f64,
}

impl Limit {
    /// Bits that are left.
    pub fn spare_bits(&self) -> f64 {
        -self.used.max(f64::MIN_POSITIVE).log2()
    }
}

/// Per group of nodes and kind of limit the tightest one, in the circuit's order.
pub fn limits(lowered: &Lowered, headroom: &Headroom) -> Vec<Limit> {
    let circuit = &lowered.circuit;
    let mut tightest: BTreeMap<(usize, String), (NodeId, Limit)> = BTreeMap::new();
    for (id, node) in circuit.iter() {
        let own = match &node.kind {
            NodeKind::Program { certified, argument } => {
                Some(of_window(lowered, headroom, id, *argument, certified.claim()))
            }
            NodeKind::Sum(sum) => of_sum(lowered, headroom, id, sum),
            _ => None,
        };
        for found in own.into_iter().chain(of_logits(lowered, headroom, id)) {
            let key = (node.group.index(), found.what.clone());
            let known = tightest.entry(key).or_insert_with(|| (id, found.clone()));
            if known.1.used < found.used {
                *known = (id, found);
            }
        }
    }
    let mut all: Vec<(NodeId, Limit)> = tightest.into_values().collect();
    all.sort_by_key(|(id, _)| *id);
    all.into_iter().map(|(_, limit)| limit).collect()
}

fn limit(lowered: &Lowered, id: NodeId, what: String, range: [f64; 2], limit: [f64; 2], used: f64) -> Limit {
    let group = &lowered.circuit.groups()[lowered.circuit.node(id).group.index()];
    Limit { site: group.site, name: group.name.clone(), what, range, limit, used }
}

/// The window of an entry.
fn of_window(lowered: &Lowered, headroom: &Headroom, id: NodeId, argument: NodeId, claim: &Claim) -> Limit {
    let range = headroom.range(argument);
    let window = [i128::from(claim.window.low), i128::from(claim.window.high)];
    let share = |value: i128, end: i128| if end == 0 { 0.0 } else { value as f64 / end as f64 };
    // Of a positive window's lower end the share is the inverse: how far above it everything stays.
    let low = match window[0] > 0 {
        true => share(window[0], range.low.max(1)),
        false => share(range.low.min(0), window[0]),
    };
    let unit = (-f64::from(lowered.circuit.node(argument).format.scale.bits())).exp2();
    let [ends, allowed] = [[range.low, range.high], window].map(|pair| pair.map(|value| value as f64 * unit));
    let what = format!("argument of {}", claim.function);
    limit(lowered, id, what, ends, allowed, low.max(share(range.high.max(0), window[1])))
}

/// The public bounds of a softmax that subtracts no maximum. What is used is the share of half their distance, from
/// their middle.
fn of_logits(lowered: &Lowered, headroom: &Headroom, id: NodeId) -> Option<Limit> {
    let Fact::Logits { low, high } = *lowered.facts.get(&id)? else { return None };
    let (range, unit) = (headroom.range(id), (-f64::from(lowered.circuit.node(id).format.scale.bits())).exp2());
    let ends = [range.low, range.high].map(|end| (end as f64 + high as f64) * unit);
    let bounds = [low, high].map(|bound| bound as f64 * unit);
    let (middle, half) = ((bounds[0] + bounds[1]) / 2.0, (bounds[1] - bounds[0]) / 2.0);
    let furthest = ends.map(|end| (end - middle).abs()).into_iter().fold(0.0, f64::max);
    let used = if half > 0.0 { furthest / half } else { 1.0 };
    Some(limit(lowered, id, "logits without maximum".to_owned(), ends, bounds, used))
}

/// The window of the truncation that ends a sum, or the ring of a sum without one.
fn of_sum(lowered: &Lowered, headroom: &Headroom, id: NodeId, sum: &Sum) -> Option<Limit> {
    let scale = f64::from(lowered.circuit.node(id).format.scale.bits());
    let range = headroom.range(id);
    let ends = [range.low, range.high].map(|value| value as f64 * (-scale).exp2());
    let (what, bits, dropped, used) = match sum.truncation {
        Some(Lemma::Truncation { window, shift, .. }) => {
            let used = (-f64::from(headroom.spare_bits(id)?)).exp2();
            ("operand of a truncation".to_owned(), window?, shift, used)
        }
        _ => {
            let bits = sum.ring.bits() - 1;
            (format!("ring of {} bits", sum.ring), bits, 0, range.magnitude() as f64 * (-f64::from(bits)).exp2())
        }
    };
    let largest = (f64::from(bits) - f64::from(dropped) - scale).exp2();
    Some(limit(lowered, id, what, ends, [-largest, largest], used))
}
