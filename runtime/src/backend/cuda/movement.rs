//! Movements and linear sums on a device. CPU twins: `circuit::layout`, `backend::cpu::local`.

use super::device::{Error, Purpose};
use super::launch::arguments;
use super::room::Try;
use super::view::{View, strides};
use super::{Cuda, Factor, Words};
use crate::backend::LocalSum;
use crate::circuit::{Constant, Movement, Shape};

/// coefficient · words, seen through a view.
pub struct Summand<'a> {
    pub coefficient: u64,
    pub words: &'a Words,
    pub view: View,
}

impl Cuda {
    /// scalar + Σ of summands, modulo 2^k by `mask`.
    pub(super) fn linear(
        &self,
        lanes: usize,
        summands: &[Summand<'_>],
        scalar: u64,
        mask: u64,
    ) -> Result<Words, Error> {
        let mut table = Vec::new();
        for Summand { coefficient, words, view } in summands {
            let view = view.table();
            table.extend([words.address().0, *coefficient, 3 + view.len() as u64]);
            table.extend(view);
        }
        let out = self.fresh(lanes)?;
        let (table, terms) = (self.table(&table)?, summands.len());
        let arguments = arguments![out.address(), lanes, table.address(), terms, scalar, mask];
        self.per_lane(self.fixed.linear, lanes, arguments)?;
        Ok(out)
    }

    fn seen(&self, words: &Words, view: View, lanes: usize, mask: u64) -> Result<Words, Error> {
        self.linear(lanes, &[Summand { coefficient: 1, words, view }], 0, mask)
    }

    pub(super) fn summed(&self, sum: &LocalSum<'_, Words, Factor>, how: Try) -> Result<Words, Error> {
        let (mut scalar, mut tensor) = (0, None);
        match sum.constant {
            Some(Constant::Scalar(value)) => scalar = *value as u64,
            Some(Constant::Tensor(values)) => {
                let words: Vec<u64> = values.values().iter().map(|&value| value as u64).collect();
                tensor = Some((self.words(&words, Purpose::Constants)?, View::broadcast(values.shape(), sum.shape)));
            }
            None => {}
        }
        let mut summands = Vec::with_capacity(sum.linear.len() + 1);
        if let Some((words, view)) = &tensor {
            summands.push(Summand { coefficient: 1, words, view: view.clone() });
        }
        for term in &sum.linear {
            let view = View::broadcast(term.shape, sum.shape);
            summands.push(Summand { coefficient: term.coefficient, words: term.words, view });
        }
        let lanes = sum.shape.lanes();
        if sum.products.is_empty() {
            return self.linear(lanes, &summands, scalar, sum.ring.mask());
        }
        let total = self.linear(lanes, &summands, scalar, u64::MAX)?;
        for product in &sum.products {
            self.add_product(product, &total, sum.shape, sum.ring.bits(), how)?;
        }
        if sum.ring.mask() != u64::MAX {
            // In place: nobody else holds it yet, and every lane is read before it is written.
            self.per_lane(self.fixed.reduce, lanes, arguments![total.address(), lanes, sum.ring.mask()])?;
        }
        Ok(total)
    }

    pub(super) fn rearranged(
        &self,
        movement: &Movement,
        operands: &[(&Words, &Shape)],
        shape: &Shape,
        mask: u64,
        with_constants: bool,
    ) -> Result<Words, Error> {
        let (words, from) = operands[0];
        let lanes = shape.lanes();
        let own = strides(from);
        match movement {
            Movement::Reshape { .. } => Ok(words.clone()),
            Movement::Narrow { .. } => self.seen(words, View::whole(lanes), lanes, mask),
            Movement::Transpose { permutation } => {
                let turned: Vec<u64> = permutation.iter().map(|&axis| own[axis]).collect();
                self.seen(words, View::new(0, shape.extents(), &turned), lanes, mask)
            }
            Movement::Slice { axis, start, step, .. } => {
                let first = *start as u64 * own[*axis];
                let mut steps = own;
                steps[*axis] = steps[*axis].wrapping_mul(*step as i64 as u64);
                self.seen(words, View::new(first, shape.extents(), &steps), lanes, mask)
            }
            Movement::Broadcast { .. } => self.seen(words, View::broadcast(from, shape), lanes, mask),
            Movement::Gather { axis, indices } => {
                let (_, extent, inner) = from.around(*axis);
                let positions: Vec<u64> = indices.iter().map(|&index| index as u64).collect();
                let (out, positions) = (self.fresh(lanes)?, self.table(&positions)?);
                let count = indices.len();
                let arguments =
                    arguments![out.address(), lanes, words.address(), positions.address(), count, extent, inner, mask];
                self.per_lane(self.fixed.gather, lanes, arguments)?;
                Ok(out)
            }
            Movement::Concat { axis } => {
                let out = self.fresh(lanes)?;
                let steps = strides(shape);
                let mut first = 0;
                for &(words, from) in operands {
                    self.place(&out, words, &View::new(first * steps[*axis], from.extents(), &steps), mask)?;
                    first += from.extents()[*axis] as u64;
                }
                Ok(out)
            }
            Movement::Pad { before, .. } => {
                let out = self.zeros(lanes)?;
                let steps = strides(shape);
                let start = before.iter().zip(&steps).map(|(&zeros, &stride)| zeros as u64 * stride).sum();
                self.place(&out, words, &View::new(start, from.extents(), &steps), mask)?;
                Ok(out)
            }
            Movement::SumAxis { axis } => {
                let (_, extent, inner) = from.around(*axis);
                let out = self.fresh(lanes)?;
                let arguments = arguments![out.address(), lanes, words.address(), extent, inner, mask];
                self.per_lane(self.fixed.sum_axis, lanes, arguments)?;
                Ok(out)
            }
            Movement::Replace { replaced, value } => {
                let mut flags = vec![0u64; lanes.div_ceil(64)];
                for (lane, _) in replaced.iter().enumerate().filter(|(_, replaced)| **replaced) {
                    flags[lane / 64] |= 1 << (lane % 64);
                }
                let (out, flags) = (self.fresh(lanes)?, self.table(&flags)?);
                let value = if with_constants { *value as u64 } else { 0 };
                let arguments = arguments![out.address(), lanes, words.address(), flags.address(), value, mask];
                self.per_lane(self.fixed.replace, lanes, arguments)?;
                Ok(out)
            }
        }
    }

    /// A copy of some words, from `first` on.
    pub(super) fn some(&self, words: &Words, first: usize, lanes: usize) -> Result<Words, Error> {
        self.seen(words, View::new(first as u64, &[lanes], &[1]), lanes, u64::MAX)
    }

    /// All words of the parts.
    pub(super) fn one_after_the_other(&self, parts: &[Words]) -> Result<Words, Error> {
        let (out, mut first) = (self.fresh(parts.iter().map(|part| part.lanes).sum())?, 0);
        for part in parts {
            self.place(&out, part, &View::new(first, &[part.lanes], &[1]), u64::MAX)?;
            first += part.lanes as u64;
        }
        Ok(out)
    }

    /// Writes words to the places of a view of `out`, which nobody else holds yet.
    fn place(&self, out: &Words, words: &Words, view: &View, mask: u64) -> Result<(), Error> {
        let view = self.table(&view.table())?;
        let arguments = arguments![out.address(), words.lanes, words.address(), view.address(), mask];
        self.per_lane(self.fixed.place, words.lanes, arguments)
    }
}
