//! What a party does with its shares alone: movements, linear sums, and the local part of a product.
//!
//! Public constants belong to component x₀: party 0 adds them to its own component, party 2 to its next one.

use super::{Error, Shares};
use crate::backend::cpu::matrix::Packed;
use crate::circuit::{
    self, Circuit, Constant, Movement, NodeId, NodeKind, Party, Product, ProductKind, Shape, Sum, layout, products,
};
use catalogs::Ring;

/// A shared weight w as the right factor of a product, packed once for all runs.
#[derive(Debug)]
pub(super) struct PackedWeight {
    own: Packed,
    /// wᵢ + wᵢ₊₁.
    both: Packed,
}

/// The weight that is the one right matrix of a product.
pub(super) fn right_weight(circuit: &Circuit, product: &Product) -> Option<usize> {
    let right = circuit.node(product.right);
    match (&right.kind, &product.kind) {
        (NodeKind::Weight(weight), ProductKind::MatMul) if right.shape.rank() == 2 => Some(weight.index()),
        _ => None,
    }
}

/// Packs the weights that are right factors of matrix products; `None` for the others.
pub(super) fn pack_weights(circuit: &Circuit, weights: &[Shares]) -> Result<Vec<Option<PackedWeight>>, Error> {
    let mut packed: Vec<Option<PackedWeight>> = weights.iter().map(|_| None).collect();
    for (_, node) in circuit.iter() {
        let NodeKind::Sum(sum) = &node.kind else { continue };
        for product in &sum.products {
            let Some(index) = right_weight(circuit, product).filter(|&index| packed[index].is_none()) else { continue };
            let extents = circuit.node(product.right).shape.extents();
            let (rows, columns) = (extents[0], extents[1]);
            let own = Packed::new(&weights[index].own, rows, columns)?;
            let both = Packed::new(&both_components(&weights[index]), rows, columns)?;
            packed[index] = Some(PackedWeight { own, both });
        }
    }
    Ok(packed)
}

/// xᵢ + xᵢ₊₁.
fn both_components(shares: &Shares) -> Vec<u64> {
    shares.own.iter().zip(&shares.next).map(|(a, b)| a.wrapping_add(*b)).collect()
}

/// The shares of an earlier node.
pub(super) fn operand(values: &[Option<Shares>], id: NodeId) -> Result<&Shares, Error> {
    let value = values.get(id.index()).and_then(Option::as_ref);
    value.ok_or_else(|| circuit::Error::Circuit(format!("{id} has no value yet")).into())
}

/// The value of a node without messages.
pub(super) fn value(
    circuit: &Circuit,
    id: NodeId,
    values: &[Option<Shares>],
    weights: &[Shares],
    me: Party,
) -> Result<Shares, Error> {
    let node = circuit.node(id);
    match &node.kind {
        NodeKind::Weight(weight) => Ok(weights[weight.index()].clone()),
        NodeKind::Movement { movement, operands } => moved(circuit, movement, operands, &node.shape, values, me),
        NodeKind::Sum(sum) => {
            let own = linear(circuit, sum, &node.shape, values, |shares| &shares.own, me.0 == 0)?;
            let next = linear(circuit, sum, &node.shape, values, |shares| &shares.next, me.0 == 2)?;
            Ok(Shares { own, next })
        }
        NodeKind::Input { .. } | NodeKind::Program { .. } | NodeKind::Maximum(_) | NodeKind::Output { .. } => {
            Err(circuit::Error::Circuit(format!("{id} needs messages")).into())
        }
    }
}

/// Words modulo the ring.
fn reduce(words: &mut [u64], ring: Ring) {
    let mask = ring.mask();
    if mask != u64::MAX {
        words.iter_mut().for_each(|word| *word &= mask);
    }
}

fn moved(
    circuit: &Circuit,
    movement: &Movement,
    operands: &[NodeId],
    shape: &Shape,
    values: &[Option<Shares>],
    me: Party,
) -> Result<Shares, Error> {
    let mut ring = circuit.node(operands[0]).format.ring;
    if let Movement::Narrow { ring: target } = movement {
        ring = *target;
    }
    let component = |pick: fn(&Shares) -> &Vec<u64>, holds_constants: bool| -> Result<Vec<u64>, Error> {
        let lanes = operands
            .iter()
            .map(|&id| operand(values, id).map(|shares| (pick(shares).as_slice(), &circuit.node(id).shape)))
            .collect::<Result<Vec<_>, _>>()?;
        let mut words = layout::apply(movement, &lanes, shape);
        if let Movement::Replace { replaced, value } = movement
            && holds_constants
        {
            for (word, _) in words.iter_mut().zip(replaced.iter()).filter(|(_, replaced)| **replaced) {
                *word = *value as u64;
            }
        }
        reduce(&mut words, ring);
        Ok(words)
    };
    Ok(Shares { own: component(|s| &s.own, me.0 == 0)?, next: component(|s| &s.next, me.0 == 2)? })
}

/// Σ c·v (+ the constant) of one component, modulo the sum's ring.
fn linear(
    circuit: &Circuit,
    sum: &Sum,
    shape: &Shape,
    values: &[Option<Shares>],
    pick: fn(&Shares) -> &Vec<u64>,
    with_constant: bool,
) -> Result<Vec<u64>, Error> {
    let mut total = match &sum.constant {
        Constant::Scalar(value) if with_constant => vec![*value as u64; shape.lanes()],
        Constant::Tensor(tensor) if with_constant => {
            let words: Vec<u64> = tensor.values().iter().map(|&value| value as u64).collect();
            layout::broadcast(&words, tensor.shape(), shape)
        }
        _ => vec![0; shape.lanes()],
    };
    for term in &sum.linear {
        let own = &circuit.node(term.value).shape;
        let words = pick(operand(values, term.value)?);
        let coefficient = term.coefficient.value as u64;
        let mut add = |words: &[u64]| {
            for (total, &word) in total.iter_mut().zip(words) {
                *total = total.wrapping_add(word.wrapping_mul(coefficient));
            }
        };
        if own == shape { add(words) } else { add(&layout::broadcast(words, own, shape)) }
    }
    reduce(&mut total, sum.ring);
    Ok(total)
}

/// zᵢ with z₀ + z₁ + z₂ the sum: xᵢ·(yᵢ + yᵢ₊₁) + xᵢ₊₁·yᵢ per product, own components of linear terms, and the
/// constant at the party that plays role 0.
pub(super) fn part(
    circuit: &Circuit,
    sum: &Sum,
    shape: &Shape,
    values: &[Option<Shares>],
    packed: &[Option<PackedWeight>],
    first: bool,
) -> Result<Vec<u64>, Error> {
    let mut total = linear(circuit, sum, shape, values, |shares| &shares.own, first)?;
    for product in &sum.products {
        let (left, right) = (operand(values, product.left)?, operand(values, product.right)?);
        let coefficient = product.coefficient.value as u64;
        let weight = right_weight(circuit, product).and_then(|index| packed.get(index)).and_then(Option::as_ref);
        if let Some(weight) = weight {
            products::add_product(coefficient, &left.own, &weight.both, &mut total);
            products::add_product(coefficient, &left.next, &weight.own, &mut total);
            continue;
        }
        let (left_shape, right_shape) = (&circuit.node(product.left).shape, &circuit.node(product.right).shape);
        let both = both_components(right);
        let mut add = |a: &[u64], b: &[u64]| {
            products::accumulate(&product.kind, coefficient, (a, left_shape), (b, right_shape), &mut total, shape);
        };
        add(&left.own, &both);
        add(&left.next, &right.own);
    }
    reduce(&mut total, sum.ring);
    Ok(total)
}
