//! The same program between other rings.
//!
//! A value is known modulo every smaller power of two, and a truncation may share its result modulo any power of two. So
//! a program can take its argument from a narrower ring than it was written for, and leave its result in any ring: bits
//! that nothing needs are not sent. Nothing rests on this module: what comes out is proved like every other program.

use crate::entry::Entry;
use crate::lemma::Lemma;
use crate::program::{LemmaId, Op, Program, Sum, ValueId};
use crate::protocol::rss3::truncation_rounds;
use crate::ring::Ring;

impl Program {
    /// This program with an argument in `input` and the result in `output`, every value in the narrowest ring that its
    /// users need; sums before truncations keep their rings where their operands still reach that far. `None` where there
    /// is no such program: a sum would need bits that its operands do not have any more.
    ///
    /// The integers are the same: only the rings in which they are known differ, and windows of truncations, which are as
    /// wide as rings allow. Whether they still suffice is what a check of the new program says.
    pub fn in_rings(&self, input: Ring, output: Ring) -> Option<Program> {
        let needed = self.needed(output);
        let mut rings: Vec<Ring> = Vec::with_capacity(self.ops().len());
        let mut lemmas: Vec<Option<Lemma>> = Vec::with_capacity(self.ops().len());
        let mut ops = self.ops().to_vec();
        let last = ops.len() - 1;
        for (index, op) in ops.iter_mut().enumerate() {
            let (ring, lemma) = match op {
                Op::Input => (input, None),
                Op::Sum(sum) => {
                    let target = if index == last { output } else { needed[index].min(self.ring_of(index)) };
                    let own = operands(sum).map(|id| rings[id.index()]).fold(sum.ring, Ring::min);
                    match sum.truncation.map(|id| *self.lemma(id)) {
                        Some(lemma) => {
                            sum.ring = own;
                            (target, Some(between(lemma, own, target)?))
                        }
                        None => {
                            sum.ring = own.min(target);
                            (sum.ring, None)
                        }
                    }
                }
                // A bit has no ring; the operand's has to hold what is looked at.
                Op::Sign { operand, lemma } => {
                    let lemma = *self.lemma(*lemma);
                    match lemma {
                        Lemma::Sign { width, .. } if width <= rings[operand.index()].bits() => (input, Some(lemma)),
                        _ => return None,
                    }
                }
                Op::Inject { .. } => {
                    let ring = needed[index].min(self.ring_of(index));
                    (ring, Some(Lemma::Injection { ring }))
                }
            };
            rings.push(ring);
            lemmas.push(lemma);
        }
        if rings[last] != output {
            return None;
        }
        let mut table: Vec<Lemma> = lemmas.iter().copied().flatten().collect();
        table.sort();
        table.dedup();
        for (op, lemma) in ops.iter_mut().zip(lemmas) {
            let place = lemma.and_then(|lemma| table.iter().position(|known| *known == lemma));
            let place = place.map(|place| LemmaId(place as u8));
            match (op, place) {
                (Op::Sum(sum), place) => sum.truncation = place,
                (Op::Sign { lemma, .. } | Op::Inject { lemma, .. }, Some(place)) => *lemma = place,
                _ => {}
            }
        }
        Program::new(input, self.input().1, table, ops).ok()
    }

    /// Per operation, the narrowest ring that its users need, where the last result is needed in `output`.
    fn needed(&self, output: Ring) -> Vec<Ring> {
        let least = Ring::new(2).unwrap_or(output);
        let mut needed = vec![least; self.ops().len()];
        if let Some(last) = needed.last_mut() {
            *last = output;
        }
        for (index, op) in self.ops().iter().enumerate().rev() {
            let mut ask = |id: ValueId, ring: Ring| needed[id.index()] = needed[id.index()].max(ring);
            match op {
                Op::Sum(sum) => {
                    let ring = match sum.truncation {
                        Some(_) => sum.ring,
                        None => sum.ring.min(needed[index]),
                    };
                    operands(sum).for_each(|id| needed[id.index()] = needed[id.index()].max(ring));
                }
                Op::Sign { operand, lemma } => {
                    if let Lemma::Sign { width, .. } = *self.lemma(*lemma) {
                        ask(*operand, Ring::new(width).unwrap_or(output));
                    }
                }
                Op::Input | Op::Inject { .. } => {}
            }
        }
        needed
    }

    fn ring_of(&self, index: usize) -> Ring {
        match self.kind(ValueId(index as u16)) {
            crate::program::Kind::Arithmetic(ring, _) => ring,
            crate::program::Kind::Bit => self.input().0,
        }
    }
}

fn operands(sum: &Sum) -> impl Iterator<Item = ValueId> {
    let products = sum.products.iter().flat_map(|product| [product.left, product.right]);
    products.chain(sum.linear.iter().map(|term| term.value)).collect::<Vec<_>>().into_iter()
}

/// A truncation's lemma from one ring into another, with the widest window that is served.
fn between(lemma: Lemma, ring: Ring, target: Ring) -> Option<Lemma> {
    let Lemma::Truncation { shift, window: own, rounding, failure, .. } = lemma else { return None };
    let widest = match truncation_rounds(ring, target, shift)? {
        1 => None,
        _ => Some(ring.bits() - 2),
    };
    // A narrower window than the widest one is a weaker demand, and stays.
    let window = match (own, widest) {
        (Some(own), Some(widest)) => Some(own.min(widest)),
        (_, widest) => widest,
    };
    Some(Lemma::Truncation { ring, target, shift, window, rounding, failure })
}

impl Entry {
    /// The same claim about [`Program::in_rings`].
    pub fn in_rings(&self, input: Ring, output: Ring) -> Option<Entry> {
        let program = self.program.in_rings(input, output)?;
        Some(Entry { claim: self.claim.clone(), program })
    }
}
