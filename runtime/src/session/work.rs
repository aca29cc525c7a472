//! What one run asks of a party, node by node: counted from the circuit and the kernels that a [`super::Runner`] runs.

use super::Error;
use super::local::right_weight;
use super::unit::{Kernels, Unit};
use crate::circuit::{self, Circuit, NodeId, NodeKind, Party, ProductKind, Schedule, Sum};
use crate::cost::{Resource, Work};
use crate::kernel::Instruction;
use catalogs::protocol::rss3::Rss3;
use std::collections::BTreeMap;

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
        let mut all: Vec<Work> = circuit.iter().map(|(id, _)| of_node(circuit, id, &units[id.index()])).collect();
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

    /// The work of a run.
    ///
    /// # Errors
    /// As [`Counter::of_nodes`].
    pub fn of_run(&mut self, circuit: &Circuit, schedule: &Schedule) -> Result<Work, Error> {
        let rounds = Work::NONE.plus(Resource::Round, f64::from(schedule.rounds));
        Ok(self.of_nodes(circuit, schedule)?.into_iter().fold(rounds, |all, own| all + own))
    }

    /// Bytes of one party's memory in a run: shares of weights, and of values as long as they are used, and the state of
    /// the nodes that are under way, at the round in which they are most.
    ///
    /// # Errors
    /// As [`Counter::of_nodes`].
    pub fn peak_bytes(&mut self, circuit: &Circuit, schedule: &Schedule) -> Result<u64, Error> {
        let units = self.kernels.compile(circuit, Party(0))?;
        let lanes = |id: NodeId| circuit.node(id).shape.lanes() as i64;
        // A value lives from the round in which it is ready to the last one in which a user starts.
        let mut last: Vec<u32> = schedule.ready.clone();
        for (id, node) in circuit.iter() {
            for operand in node.kind.operands() {
                let used = &mut last[operand.index()];
                *used = schedule.start[id.index()].max(*used);
            }
        }
        let mut changes = vec![0i64; schedule.rounds as usize + 2];
        let mut alive = |from: u32, to: u32, words: i64| {
            changes[from.min(schedule.rounds) as usize] += words;
            changes[to.min(schedule.rounds) as usize + 1] -= words;
        };
        for (id, _) in circuit.iter() {
            let index = id.index();
            alive(schedule.ready[index], last[index], 2 * lanes(id));
            alive(schedule.start[index], schedule.ready[index], units[index].slots() as i64 * lanes(id));
        }
        let (mut now, mut most) = (0i64, 0i64);
        for change in changes {
            now += change;
            most = most.max(now);
        }
        // Both components, and both once more where they are packed for products.
        let weights: u64 = circuit.weights().iter().map(|slot| 4 * slot.shape.lanes() as u64).sum();
        Ok(8 * (most.max(0) as u64 + weights))
    }
}

/// The work of a run.
///
/// # Errors
/// A lemma that the protocol does not offer, or a kernel that cannot be compiled.
pub fn of_circuit(circuit: &Circuit) -> Result<Work, Error> {
    Counter::default().of_run(circuit, &circuit::schedule(circuit, &Rss3)?)
}

fn of_node(circuit: &Circuit, id: NodeId, unit: &Unit) -> Work {
    let node = circuit.node(id);
    let lanes = node.shape.lanes() as f64;
    let (mut steps, mut draws) = (0u32, 0u32);
    for instruction in unit.instructions() {
        match instruction {
            Instruction::Draw(_) => draws += 1,
            _ => steps += 1,
        }
    }
    let work = Work::NONE
        .plus(Resource::Stage, unit.stages() as f64)
        .plus(Resource::Step, f64::from(steps) * lanes / PARTIES)
        .plus(Resource::Draw, f64::from(draws) * lanes / PARTIES);
    match &node.kind {
        NodeKind::Sum(sum) => work + of_sum(circuit, id, sum, unit.is_local()),
        // Both components are written.
        NodeKind::Movement { .. } | NodeKind::Weight(_) => work.plus(Resource::Word, 2.0 * lanes),
        _ => work,
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
