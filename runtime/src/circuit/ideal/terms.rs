//! What a sum adds lane by lane, its reduction and its truncation: in one pass over blocks that stay in the cache.

use super::super::node::{Constant, NodeId, Sum};
use super::super::shape::Shape;
use super::super::tensor::residue;
use super::super::{Error, layout};
use super::choices::{Choices, RoundingMode, Truncation};
use crate::backend::cpu::widest::{Loop, widest};
use catalogs::Ring;
use rayon::prelude::*;
use std::borrow::Cow;

/// Lanes of a block: with the operands of a product, it fits a core's own cache.
const BLOCK: usize = 4096;
/// Blocks that are worth a task of their own: with fewer, waking a thread takes longer.
const BLOCKS_AT_ONCE: usize = 2;

/// The lanes of a tensor in the shape of the sum.
type Lanes<'a> = Cow<'a, [i64]>;

/// Everything of a sum but its matrix products and convolutions.
pub(super) struct Terms<'a> {
    ring: Ring,
    constant: i64,
    products: Vec<(i64, Lanes<'a>, Lanes<'a>)>,
    linear: Vec<(i64, Lanes<'a>)>,
    truncation: Option<(Truncation, Choices)>,
}

/// The lanes of `values` as a tensor of shape `shape`.
fn spread<'a>((values, own): (&'a [i64], &Shape), shape: &Shape) -> Lanes<'a> {
    match own.lanes() == shape.lanes() {
        true => Cow::Borrowed(values),
        false => Cow::Owned(layout::broadcast(values, own, shape)),
    }
}

impl<'a> Terms<'a> {
    /// The terms of `sum`, of shape `shape`, at node `node`. `operand` has the values of nodes.
    pub(super) fn new(
        sum: &'a Sum,
        shape: &Shape,
        (mode, node): (RoundingMode, NodeId),
        operand: impl Fn(NodeId) -> Result<(&'a [i64], &'a Shape), Error>,
    ) -> Result<Terms<'a>, Error> {
        let truncation = sum.truncation.as_ref().and_then(Truncation::new);
        let mut terms = Terms {
            ring: sum.ring,
            constant: 0,
            products: Vec::new(),
            linear: Vec::new(),
            truncation: truncation.map(|truncation| (truncation, Choices::new(mode, node, 0))),
        };
        match &sum.constant {
            Constant::Scalar(value) => terms.constant = *value,
            Constant::Tensor(tensor) => terms.linear.push((1, spread((tensor.values(), tensor.shape()), shape))),
        }
        for product in sum.products.iter().filter(|product| product.kind.is_element_wise()) {
            let (left, right) = (spread(operand(product.left)?, shape), spread(operand(product.right)?, shape));
            terms.products.push((product.coefficient.value, left, right));
        }
        for term in &sum.linear {
            terms.linear.push((term.coefficient.value, spread(operand(term.value)?, shape)));
        }
        Ok(terms)
    }

    /// Adds all terms to `total`, reduces and truncates it. Returns how many operands lay outside the truncation's
    /// window.
    pub(super) fn finish(&self, total: &mut [i64]) -> u64 {
        let block = |(index, total): (usize, &mut [i64])| widest(Block { terms: self, first: index * BLOCK, total });
        total.par_chunks_mut(BLOCK).enumerate().with_min_len(BLOCKS_AT_ONCE).map(block).sum()
    }
}

struct Block<'a> {
    terms: &'a Terms<'a>,
    first: usize,
    total: &'a mut [i64],
}

impl Loop for Block<'_> {
    /// Operands outside the truncation's window.
    type Output = u64;

    #[inline(always)]
    fn run(self) -> u64 {
        let Block { terms: &Terms { ring, constant, ref products, ref linear, truncation }, first, total } = self;
        let lanes = first..first + total.len();
        for &(coefficient, ref left, ref right) in products {
            for ((total, &a), &b) in total.iter_mut().zip(&left[lanes.clone()]).zip(&right[lanes.clone()]) {
                *total = total.wrapping_add(a.wrapping_mul(b).wrapping_mul(coefficient));
            }
        }
        for &(coefficient, ref values) in linear {
            for (total, &value) in total.iter_mut().zip(&values[lanes.clone()]) {
                *total = total.wrapping_add(value.wrapping_mul(coefficient));
            }
        }
        for total in total.iter_mut() {
            *total = residue(ring, total.wrapping_add(constant));
        }
        // Not a closure: that would be compiled for every processor.
        match truncation {
            Some((truncation, choices)) => truncation.apply(choices, first as u64, total),
            None => 0,
        }
    }
}
