//! What a party does with its shares alone: movements, linear sums, and the local part of a product.
//!
//! Public constants belong to component x₀: party 0 adds them to its own component, party 2 to its next one.

use super::{Error, Shares};
use crate::backend::cpu::matrix::Packed;
use crate::circuit::{
    self, Circuit, Constant, Movement, NodeId, NodeKind, Party, Product, ProductKind, Shape, Sum, layout, products,
};
use catalogs::Ring;
use std::sync::Arc;

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

/// What a circuit does with each weight.
#[derive(Debug)]
pub(super) struct WeightUses {
    /// Rows and columns of the right matrix that a weight is, if it is one.
    right: Vec<Option<[usize; 2]>>,
    elsewhere: Vec<bool>,
}

impl WeightUses {
    /// Of every weight of a circuit.
    pub(super) fn of(circuit: &Circuit) -> WeightUses {
        let count = circuit.weights().len();
        let mut uses = WeightUses { right: vec![None; count], elsewhere: vec![false; count] };
        for (_, node) in circuit.iter() {
            let mut others = node.kind.operands();
            if let NodeKind::Sum(sum) = &node.kind {
                for product in &sum.products {
                    let Some(index) = right_weight(circuit, product) else { continue };
                    let extents = circuit.node(product.right).shape.extents();
                    uses.right[index] = Some([extents[0], extents[1]]);
                    if let Some(place) = others.iter().position(|&operand| operand == product.right) {
                        others.remove(place);
                    }
                }
            }
            for operand in others {
                if let NodeKind::Weight(weight) = circuit.node(operand).kind {
                    uses.elsewhere[weight.index()] = true;
                }
            }
        }
        uses
    }

    /// The packed form of a weight that is a right factor.
    pub(super) fn pack(&self, index: usize, shares: &Shares) -> Result<Option<PackedWeight>, Error> {
        let Some([rows, columns]) = self.right[index] else { return Ok(None) };
        let own = Packed::new(&shares.own, rows, columns)?;
        let both = Packed::new(&both_components(shares), rows, columns)?;
        Ok(Some(PackedWeight { own, both }))
    }

    /// Whether anything but a product with the packed form reads the weight.
    pub(super) fn is_read_elsewhere(&self, index: usize) -> bool {
        self.elsewhere[index]
    }
}

/// xᵢ + xᵢ₊₁.
fn both_components(shares: &Shares) -> Vec<u64> {
    shares.own.iter().zip(&shares.next).map(|(a, b)| a.wrapping_add(*b)).collect()
}

/// The shares of an earlier node.
pub(super) fn operand(values: &[Option<Arc<Shares>>], id: NodeId) -> Result<&Shares, Error> {
    let value = values.get(id.index()).and_then(Option::as_deref);
    value.ok_or_else(|| circuit::Error::Circuit(format!("{id} has no value yet")).into())
}

/// The value of a node without messages.
pub(super) fn value(
    circuit: &Circuit,
    id: NodeId,
    values: &[Option<Arc<Shares>>],
    weights: &[Arc<Shares>],
    me: Party,
) -> Result<Arc<Shares>, Error> {
    let node = circuit.node(id);
    match &node.kind {
        NodeKind::Weight(weight) => Ok(Arc::clone(&weights[weight.index()])),
        NodeKind::Movement { movement, operands } => {
            moved(circuit, movement, operands, &node.shape, values, me).map(Arc::new)
        }
        NodeKind::Sum(sum) => {
            let own = linear(circuit, sum, &node.shape, values, |shares| &shares.own, me.0 == 0)?;
            let next = linear(circuit, sum, &node.shape, values, |shares| &shares.next, me.0 == 2)?;
            Ok(Arc::new(Shares { own, next }))
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
    values: &[Option<Arc<Shares>>],
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
    values: &[Option<Arc<Shares>>],
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
    values: &[Option<Arc<Shares>>],
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
