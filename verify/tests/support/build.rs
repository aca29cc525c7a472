//! Programs written as lists of operations that carry their lemmas, without the sorted table.

use catalogs::{Failure, Lemma, LemmaId, Op, Product, Program, Ring, Rounding, Scale, Sum, Term, ValueId};

#[derive(Clone, Debug)]
pub struct SumDraft {
    pub ring: Ring,
    pub products: Vec<(i128, u16, u16)>,
    pub linear: Vec<(i128, u16)>,
    pub constant: i128,
    pub truncation: Option<Lemma>,
    pub scale: u8,
}

#[derive(Clone, Debug)]
pub enum OpDraft {
    Input,
    Sum(SumDraft),
    Sign(u16, Lemma),
    Inject(u16, Lemma),
}

pub fn truncation(ring: Ring, shift: u8) -> Lemma {
    let window = Some(ring.bits() - 2);
    Lemma::Truncation { ring, target: ring, shift, window, rounding: Rounding::FLOOR_OR_NEXT, failure: Failure::Never }
}

/// Σ c·a·b + Σ c·v + constant in Z_2^64, truncated by `shift` if that is positive.
pub fn sum64(products: &[(i128, u16, u16)], linear: &[(i128, u16)], constant: i128, shift: u8, scale: u8) -> OpDraft {
    let (products, linear) = (products.to_vec(), linear.to_vec());
    let truncation = (shift > 0).then(|| truncation(Ring::Z64, shift));
    OpDraft::Sum(SumDraft { ring: Ring::Z64, products, linear, constant, truncation, scale })
}

/// The program with its lemma table sorted and without unused lemmas.
pub fn program(ring: Ring, scale: u8, drafts: &[OpDraft]) -> Program {
    let lemma_of = |draft: &OpDraft| match draft {
        OpDraft::Input => None,
        OpDraft::Sum(sum) => sum.truncation,
        OpDraft::Sign(_, lemma) | OpDraft::Inject(_, lemma) => Some(*lemma),
    };
    let mut lemmas: Vec<Lemma> = drafts.iter().filter_map(lemma_of).collect();
    lemmas.sort();
    lemmas.dedup();
    let id = |lemma: &Lemma| LemmaId(lemmas.iter().position(|known| known == lemma).unwrap() as u8);
    let ops = drafts.iter().map(|draft| match draft {
        OpDraft::Input => Op::Input,
        OpDraft::Sign(operand, lemma) => Op::Sign { operand: ValueId(*operand), lemma: id(lemma) },
        OpDraft::Inject(bit, lemma) => Op::Inject { bit: ValueId(*bit), lemma: id(lemma) },
        OpDraft::Sum(sum) => Op::Sum(Sum {
            ring: sum.ring,
            products: sum
                .products
                .iter()
                .map(|&(coefficient, a, b)| Product { coefficient, left: ValueId(a), right: ValueId(b) })
                .collect(),
            linear: sum.linear.iter().map(|&(coefficient, v)| Term { coefficient, value: ValueId(v) }).collect(),
            constant: sum.constant,
            truncation: sum.truncation.as_ref().map(id),
            scale: Scale::new(sum.scale).unwrap(),
        }),
    });
    let ops = ops.collect();
    Program::new(ring, Scale::new(scale).unwrap(), lemmas, ops).unwrap()
}
