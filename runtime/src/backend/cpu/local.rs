//! The CPU as a [`Backend`]: words are vectors of this process.

use super::kernel::Prepared;
use super::matrix::Packed;
use super::slots::Slots;
use crate::backend::{Backend, Error, Frames, LocalSum, ProductTerm, RightFactor, Shares, Streams};
use crate::circuit::{Constant, Movement, Shape, layout, products};
use crate::kernel::{CheckedKernel, Slot};
use catalogs::Ring;

/// This processor.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cpu;

/// A shared weight w as the right factor of a product, packed once for all runs.
#[derive(Debug)]
pub struct PackedWeight {
    own: Packed,
    /// wᵢ + wᵢ₊₁.
    both: Packed,
}

impl Backend for Cpu {
    type Words = Vec<u64>;
    type State = Slots;
    type Code = Prepared;
    type Factor = PackedWeight;
    type Pending = ();

    fn name(&self) -> String {
        "cpu".into()
    }

    fn prepare(&self, kernels: &[&CheckedKernel]) -> Result<Vec<Prepared>, Error> {
        Ok(kernels.iter().map(|kernel| Prepared::new(kernel)).collect())
    }

    fn upload(&self, words: Vec<u64>) -> Result<Vec<u64>, Error> {
        Ok(words)
    }

    fn download(&self, words: &Vec<u64>) -> Result<Vec<u64>, Error> {
        Ok(words.clone())
    }

    fn state(&self, slots: u16, lanes: usize) -> Result<Slots, Error> {
        Ok(Slots::new(slots, lanes))
    }

    fn load(&self, state: &mut Slots, slot: Slot, words: &Vec<u64>, first: usize) -> Result<(), Error> {
        let lanes = first..first + state.lanes();
        state.put(slot, &words[lanes]);
        Ok(())
    }

    fn take(&self, state: &mut Slots, slot: Slot) -> Result<Vec<u64>, Error> {
        Ok(state.take(slot))
    }

    fn joined(&self, mut parts: Vec<Vec<u64>>) -> Result<Vec<u64>, Error> {
        Ok(if parts.len() == 1 { parts.swap_remove(0) } else { parts.concat() })
    }

    fn stage(
        &self,
        code: &Prepared,
        state: &mut Slots,
        received: &[&[u8]],
        sent: &mut Frames,
        streams: &Streams<'_>,
    ) -> Result<(), Error> {
        Ok(code.run(0, state, received, sent, streams)?)
    }

    fn collect(&self, (): (), _: &mut Frames) -> Result<(), Error> {
        Ok(())
    }

    fn moved(
        &self,
        movement: &Movement,
        operands: &[(&Vec<u64>, &Shape)],
        shape: &Shape,
        ring: Ring,
        with_constants: bool,
    ) -> Result<Vec<u64>, Error> {
        let operands: Vec<(&[u64], &Shape)> =
            operands.iter().map(|&(words, shape)| (words.as_slice(), shape)).collect();
        let mut words = layout::apply(movement, &operands, shape);
        if let Movement::Replace { replaced, value } = movement
            && with_constants
        {
            for (word, _) in words.iter_mut().zip(replaced.iter()).filter(|(_, replaced)| **replaced) {
                *word = *value as u64;
            }
        }
        reduce(&mut words, ring);
        Ok(words)
    }

    fn factor(&self, weight: &Shares<Vec<u64>>, rows: usize, columns: usize) -> Result<PackedWeight, Error> {
        let own = Packed::new(&weight.own, rows, columns)?;
        let both = Packed::new(&both_components(weight), rows, columns)?;
        Ok(PackedWeight { own, both })
    }

    fn sum(&self, sum: &LocalSum<'_, Vec<u64>, PackedWeight>) -> Result<Vec<u64>, Error> {
        let mut total = match sum.constant {
            Some(Constant::Scalar(value)) => vec![*value as u64; sum.shape.lanes()],
            Some(Constant::Tensor(tensor)) => {
                let words: Vec<u64> = tensor.values().iter().map(|&value| value as u64).collect();
                layout::broadcast(&words, tensor.shape(), sum.shape)
            }
            None => vec![0; sum.shape.lanes()],
        };
        for term in &sum.linear {
            let mut add = |words: &[u64]| {
                for (total, &word) in total.iter_mut().zip(words) {
                    *total = total.wrapping_add(word.wrapping_mul(term.coefficient));
                }
            };
            if term.shape == sum.shape {
                add(term.words);
            } else {
                add(&layout::broadcast(term.words, term.shape, sum.shape));
            }
        }
        sum.products.iter().for_each(|product| add_product(product, &mut total, sum.shape));
        reduce(&mut total, sum.ring);
        Ok(total)
    }
}

fn add_product(product: &ProductTerm<'_, Vec<u64>, PackedWeight>, total: &mut [u64], shape: &Shape) {
    let (coefficient, left) = (product.coefficient, product.left);
    match product.right {
        RightFactor::Prepared(weight) => {
            products::add_product(coefficient, &left.own, &weight.both, total);
            products::add_product(coefficient, &left.next, &weight.own, total);
        }
        RightFactor::Shared(right, right_shape) => {
            let both = both_components(right);
            let mut add = |a: &[u64], b: &[u64]| {
                let (a, b) = ((a, product.left_shape), (b, right_shape));
                products::accumulate(product.kind, coefficient, a, b, total, shape);
            };
            add(&left.own, &both);
            add(&left.next, &right.own);
        }
    }
}

/// xᵢ + xᵢ₊₁.
fn both_components(shares: &Shares<Vec<u64>>) -> Vec<u64> {
    shares.own.iter().zip(&shares.next).map(|(a, b)| a.wrapping_add(*b)).collect()
}

/// Words modulo the ring.
fn reduce(words: &mut [u64], ring: Ring) {
    let mask = ring.mask();
    if mask != u64::MAX {
        words.iter_mut().for_each(|word| *word &= mask);
    }
}
