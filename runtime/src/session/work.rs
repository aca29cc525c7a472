//! What one run asks of a party, node by node: counted from the circuit and the kernels that a [`super::Runner`] runs.

use super::Error;
use super::local::right_weight;
use super::unit::{self, Unit};
use crate::circuit::{self, Circuit, NodeId, NodeKind, Party, ProductKind, Sum};
use crate::cost::{Resource, Work};
use crate::kernel::Instruction;
use catalogs::protocol::rss3::Rss3;

/// Parties whose roles rotate.
const PARTIES: f64 = 3.0;

/// The work of every node, without the rounds, which the nodes share.
///
/// # Errors
/// A lemma that the protocol does not offer, or a kernel that cannot be compiled.
pub fn of_nodes(circuit: &Circuit) -> Result<Vec<Work>, Error> {
    let schedule = circuit::schedule(circuit, &Rss3)?;
    let units = unit::compile(circuit, Party(0))?;
    let mut all: Vec<Work> = circuit.iter().map(|(id, _)| of_node(circuit, id, &units[id.index()])).collect();
    for field in schedule.fields() {
        let own = &mut all[field.node.index()];
        *own = own.plus(Resource::Byte, field.bytes() as f64 / PARTIES);
    }
    Ok(all)
}

/// The work of a run.
///
/// # Errors
/// As [`of_nodes`].
pub fn of_circuit(circuit: &Circuit) -> Result<Work, Error> {
    let rounds = circuit::schedule(circuit, &Rss3)?.rounds;
    let nodes = of_nodes(circuit)?;
    Ok(nodes.into_iter().fold(Work::NONE.plus(Resource::Round, f64::from(rounds)), |all, own| all + own))
}

fn of_node(circuit: &Circuit, id: NodeId, unit: &Unit) -> Work {
    let node = circuit.node(id);
    let lanes = node.shape.lanes() as f64;
    let mut work = Work::NONE.plus(Resource::Stage, unit.stages() as f64);
    for instruction in unit.instructions() {
        let resource = match instruction {
            Instruction::Draw(_) => Resource::Draw,
            _ => Resource::Step,
        };
        work = work.plus(resource, lanes / PARTIES);
    }
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
                work.plus(Resource::MultiplyAdd, adds(taps))
            }
            ProductKind::Hadamard => work.plus(Resource::Word, 2.0 * lanes),
        };
    }
    work
}
