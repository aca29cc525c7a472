//! What a party does with its shares alone: movements, linear sums, and the local part of a product.
//!
//! Public constants belong to component x₀: party 0 adds them to its own component, party 2 to its next one.

use super::Error;
use super::weights::Held;
use crate::backend::{Backend, LinearTerm, LocalSum, ProductTerm, RightFactor, Shares};
use crate::circuit::{self, Circuit, Movement, NodeId, NodeKind, Party, Product, ProductKind, Shape, Sum};
use std::sync::Arc;

/// The weight that is the one right matrix of a product.
pub(super) fn right_weight(circuit: &Circuit, product: &Product) -> Option<usize> {
    let right = circuit.node(product.right);
    match (&right.kind, &product.kind) {
        (NodeKind::Weight(weight), ProductKind::MatMul) if right.shape.rank() == 2 => Some(weight.index()),
        _ => None,
    }
}

/// The shares of an earlier node.
pub(super) fn operand<W>(values: &[Option<Arc<Shares<W>>>], id: NodeId) -> Result<&Shares<W>, Error> {
    let value = values.get(id.index()).and_then(Option::as_deref);
    value.ok_or_else(|| circuit::Error::Circuit(format!("{id} has no value yet")).into())
}

/// A party's view of the values of a run.
pub(super) struct Local<'a, B: Backend> {
    pub backend: &'a B,
    pub circuit: &'a Circuit,
    pub values: &'a [Option<Arc<Shares<B::Words>>>],
    pub held: &'a Held<B>,
    pub me: Party,
}

impl<B: Backend> Local<'_, B> {
    /// The value of a node without messages; none for a weight that is kept in another form.
    pub fn value(&self, id: NodeId) -> Result<Option<Arc<Shares<B::Words>>>, Error> {
        let node = self.circuit.node(id);
        match &node.kind {
            NodeKind::Weight(weight) => Ok(self.held.shares[weight.index()].clone()),
            NodeKind::Movement { movement, operands } => {
                self.moved(movement, operands, &node.shape).map(|shares| Some(Arc::new(shares)))
            }
            NodeKind::Sum(sum) => {
                let own = self.backend.sum(&self.linear(sum, &node.shape, |shares| &shares.own, self.me.0 == 0)?)?;
                let next =
                    self.backend.sum(&self.linear(sum, &node.shape, |shares| &shares.next, self.me.0 == 2)?)?;
                Ok(Some(Arc::new(Shares { own, next })))
            }
            NodeKind::Input { .. } | NodeKind::Program { .. } | NodeKind::Maximum(_) | NodeKind::Output { .. } => {
                Err(circuit::Error::Circuit(format!("{id} needs messages")).into())
            }
        }
    }

    fn moved(&self, movement: &Movement, operands: &[NodeId], shape: &Shape) -> Result<Shares<B::Words>, Error> {
        let mut ring = self.circuit.node(operands[0]).format.ring;
        if let Movement::Narrow { ring: target } = movement {
            ring = *target;
        }
        type Pick<W> = fn(&Shares<W>) -> &W;
        let component = |pick: Pick<B::Words>, with_constants: bool| -> Result<B::Words, Error> {
            let values = operands
                .iter()
                .map(|&id| operand(self.values, id).map(|shares| (pick(shares), &self.circuit.node(id).shape)))
                .collect::<Result<Vec<_>, _>>()?;
            Ok(self.backend.moved(movement, &values, shape, ring, with_constants)?)
        };
        Ok(Shares { own: component(|s| &s.own, self.me.0 == 0)?, next: component(|s| &s.next, self.me.0 == 2)? })
    }

    /// Σ c·v (+ the constant) of one component, modulo the sum's ring.
    fn linear<'b>(
        &'b self,
        sum: &'b Sum,
        shape: &'b Shape,
        pick: fn(&Shares<B::Words>) -> &B::Words,
        with_constant: bool,
    ) -> Result<LocalSum<'b, B::Words, B::Factor>, Error> {
        let term = |term: &circuit::Term| -> Result<_, Error> {
            let (coefficient, shape) = (term.coefficient.value as u64, &self.circuit.node(term.value).shape);
            Ok(LinearTerm { coefficient, words: pick(operand(self.values, term.value)?), shape })
        };
        let linear = sum.linear.iter().map(term).collect::<Result<_, _>>()?;
        let constant = with_constant.then_some(&sum.constant);
        Ok(LocalSum { shape, ring: sum.ring, constant, linear, products: Vec::new() })
    }

    /// zᵢ with z₀ + z₁ + z₂ the sum: the local parts of products, own components of linear terms, and the constant at
    /// the party that plays role 0.
    pub fn part(&self, sum: &Sum, shape: &Shape, first: bool) -> Result<B::Words, Error> {
        let mut local = self.linear(sum, shape, |shares| &shares.own, first)?;
        for product in &sum.products {
            let weight = right_weight(self.circuit, product).and_then(|index| self.held.factors.get(index));
            let right = match weight.and_then(Option::as_ref) {
                Some(weight) => RightFactor::Prepared(weight),
                None => {
                    let shape = &self.circuit.node(product.right).shape;
                    RightFactor::Shared(operand(self.values, product.right)?, shape)
                }
            };
            local.products.push(ProductTerm {
                coefficient: product.coefficient.value as u64,
                kind: &product.kind,
                left: operand(self.values, product.left)?,
                left_shape: &self.circuit.node(product.left).shape,
                right,
            });
        }
        Ok(self.backend.sum(&local)?)
    }
}
