//! What a party does with its shares alone: movements, linear sums, and the local part of a product.
//!
//! Public constants belong to component x₀: party 0 adds them to its own component, party 2 to its next one.

use super::{Error, Shares};
use crate::circuit::{self, Circuit, Constant, Movement, NodeId, NodeKind, Party, Shape, Sum, layout, products};

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
        NodeKind::Input { .. } | NodeKind::Program { .. } | NodeKind::Output { .. } => {
            Err(circuit::Error::Circuit(format!("{id} needs messages")).into())
        }
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
        words.iter_mut().for_each(|word| *word &= ring.mask());
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
    total.iter_mut().for_each(|word| *word &= sum.ring.mask());
    Ok(total)
}

/// zᵢ with z₀ + z₁ + z₂ the sum: xᵢ·(yᵢ + yᵢ₊₁) + xᵢ₊₁·yᵢ per product, own components of linear terms, and the
/// constant at the party that plays role 0.
pub(super) fn part(
    circuit: &Circuit,
    sum: &Sum,
    shape: &Shape,
    values: &[Option<Shares>],
    first: bool,
) -> Result<Vec<u64>, Error> {
    let mut total = linear(circuit, sum, shape, values, |shares| &shares.own, first)?;
    for product in &sum.products {
        let (left, right) = (operand(values, product.left)?, operand(values, product.right)?);
        let (left_shape, right_shape) = (&circuit.node(product.left).shape, &circuit.node(product.right).shape);
        let both: Vec<u64> = right.own.iter().zip(&right.next).map(|(a, b)| a.wrapping_add(*b)).collect();
        let coefficient = product.coefficient.value as u64;
        let mut add = |a: &[u64], b: &[u64]| {
            products::accumulate(&product.kind, coefficient, (a, left_shape), (b, right_shape), &mut total, shape);
        };
        add(&left.own, &both);
        add(&left.next, &right.own);
    }
    total.iter_mut().for_each(|word| *word &= sum.ring.mask());
    Ok(total)
}
