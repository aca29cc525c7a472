//! The evaluator: the one definition of what a program computes.
//!
//! Values are signed residues. All nondeterminism is asked of an [`Adversary`]: the rounding of a truncation inside
//! its window, the result of one outside, and a bit inside its band. The checker proves its bound for every
//! adversary; a protocol run is *one* adversary, and fed with its roundings the evaluator must agree bit for bit.
//!
//! Precondition: the argument is a signed residue of the input ring. Postcondition: every value is a signed residue
//! of its ring (a bit is 0 or 1). Nothing here can overflow: sums are computed modulo 2^128, which all rings divide.

use crate::lemma::{Lemma, Rounding};
use crate::program::{Op, Program, Sum, ValueId};
use crate::ring::Ring;

/// Whoever decides what the lemmas leave open.
pub trait Adversary {
    /// δ of the truncation at `op`, whose exact sum is `operand`. Must lie in `rounding`.
    fn rounding(&mut self, op: ValueId, operand: i128, rounding: Rounding) -> i8;
    /// The result of the truncation at `op` of an `operand` outside its window: any integer (reduced by the caller).
    fn outside(&mut self, op: ValueId, operand: i128, target: Ring) -> i128;
    /// The bit at `op`, of an `operand` inside the band; `exact` is the bit of the exact value.
    fn band(&mut self, op: ValueId, operand: i128, exact: bool) -> bool;
}

/// The adversary that always rounds by the same δ (clamped to the lemma), returns the floor outside windows, and
/// gives exact bits.
#[derive(Clone, Copy, Debug)]
pub struct Constant(pub i8);

impl Adversary for Constant {
    fn rounding(&mut self, _: ValueId, _: i128, rounding: Rounding) -> i8 {
        self.0.clamp(rounding.low, rounding.high)
    }
    fn outside(&mut self, _: ValueId, operand: i128, _: Ring) -> i128 {
        operand
    }
    fn band(&mut self, _: ValueId, _: i128, exact: bool) -> bool {
        exact
    }
}

/// Runs `program` on the signed residue `argument`; returns the output.
pub fn evaluate(program: &Program, argument: i128, adversary: &mut dyn Adversary) -> i128 {
    let mut values = Vec::with_capacity(program.ops().len());
    evaluate_into(program, argument, adversary, &mut values);
    values[values.len() - 1]
}

/// As [`evaluate`], leaving every intermediate value in `values` (cleared first), one per operation.
pub fn evaluate_into(program: &Program, argument: i128, adversary: &mut dyn Adversary, values: &mut Vec<i128>) {
    values.clear();
    for (index, op) in program.ops().iter().enumerate() {
        let id = ValueId(index as u16);
        let value = match op {
            Op::Input => program.input().0.residue(argument),
            Op::Sum(sum) => {
                let exact = sum_exact(sum, values);
                match sum.truncation.map(|lemma| program.lemma(lemma)) {
                    Some(lemma) => truncate(lemma, id, exact, adversary),
                    None => exact,
                }
            }
            Op::Sign { operand, lemma } => {
                i128::from(sign(program.lemma(*lemma), id, values[operand.index()], adversary))
            }
            Op::Inject { bit, lemma } => match program.lemma(*lemma) {
                Lemma::Injection { ring } => ring.residue(values[bit.index()]),
                _ => values[bit.index()],
            },
        };
        values.push(value);
    }
}

/// The sum's signed residue, before its truncation.
pub fn sum_exact(sum: &Sum, values: &[i128]) -> i128 {
    let mut total = sum.constant;
    for product in &sum.products {
        let (left, right) = (values[product.left.index()], values[product.right.index()]);
        total = total.wrapping_add(left.wrapping_mul(right).wrapping_mul(product.coefficient));
    }
    for term in &sum.linear {
        total = total.wrapping_add(values[term.value.index()].wrapping_mul(term.coefficient));
    }
    sum.ring.residue(total)
}

fn truncate(lemma: &Lemma, id: ValueId, operand: i128, adversary: &mut dyn Adversary) -> i128 {
    let Lemma::Truncation { target, shift, window, rounding, .. } = *lemma else { return operand };
    // In [−2^bits, 2^bits) exactly if what is above these bits is the sign alone.
    let inside = window.is_none_or(|bits| matches!(operand >> bits, 0 | -1));
    if inside {
        let delta = adversary.rounding(id, operand, rounding).clamp(rounding.low, rounding.high);
        target.residue((operand >> shift) + i128::from(delta))
    } else {
        target.residue(adversary.outside(id, operand, target))
    }
}

/// Bit `width`−1 of `operand`, either value inside the band above each multiple of 2^(width−1).
fn sign(lemma: &Lemma, id: ValueId, operand: i128, adversary: &mut dyn Adversary) -> bool {
    let Lemma::Sign { width, .. } = *lemma else { return false };
    let position = width - 1;
    let exact = (operand >> position) & 1 == 1;
    let above = operand as u128 & ((1u128 << position) - 1);
    if above < lemma.band() { adversary.band(id, operand, exact) } else { exact }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lemma::Failure;
    use crate::program::{LemmaId, Product, Term};
    use crate::ring::Scale;

    fn square(ring: Ring, shift: u8) -> Program {
        let lemma = Lemma::Truncation {
            ring,
            target: ring,
            shift,
            window: Some(ring.bits() - 2),
            rounding: Rounding::FLOOR_OR_NEXT,
            failure: Failure::Never,
        };
        let scale = Scale::new(2).unwrap();
        let sum = Sum {
            ring,
            products: vec![Product { coefficient: 1, left: ValueId(0), right: ValueId(0) }],
            linear: vec![Term { coefficient: -1, value: ValueId(0) }],
            constant: 3,
            truncation: Some(LemmaId(0)),
            scale,
        };
        Program::new(ring, scale, vec![lemma], vec![Op::Input, Op::Sum(sum)]).unwrap()
    }

    #[test]
    fn small_ring_against_the_definition() {
        let ring = Ring::new(8).unwrap();
        let program = square(ring, 2);
        for x in -128..128i128 {
            let v = ring.residue(x * x - x + 3);
            for delta in 0..=1 {
                let expected = if (-64..64).contains(&v) {
                    ring.residue(v.div_euclid(4) + i128::from(delta))
                } else {
                    ring.residue(v)
                };
                assert_eq!(evaluate(&program, x, &mut Constant(delta)), expected, "x = {x}");
            }
        }
    }

    /// δ at its upper end everywhere; a bit inside its band is 1; what leaves its window becomes its operand + 1.
    struct Upper;

    impl Adversary for Upper {
        fn rounding(&mut self, _: ValueId, _: i128, rounding: Rounding) -> i8 {
            rounding.high
        }
        fn outside(&mut self, _: ValueId, operand: i128, _: Ring) -> i128 {
            operand.wrapping_add(1)
        }
        fn band(&mut self, _: ValueId, _: i128, _: bool) -> bool {
            true
        }
    }

    /// The meaning of `proofs/FORMAT.md` in big integers, for one product, one truncation and one sign at every width
    /// up to 128, every shift, and windows up to the ring's own edge.
    #[test]
    fn every_width_against_big_integers() {
        use dashu::integer::IBig;
        let shift_floor = |value: &IBig, bits: usize| {
            let (power, rest) = (IBig::ONE << bits, value % (IBig::ONE << bits));
            (value - if rest < IBig::ZERO { &rest + &power } else { rest }) / power
        };
        let residue = |value: &IBig, bits: u8| {
            let half = IBig::ONE << usize::from(bits - 1);
            value - (shift_floor(&(value + half), usize::from(bits)) << usize::from(bits))
        };
        let mut word = 0x9e37_79b9_7f4a_7c15u64;
        let mut next = || {
            word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            word >> 7
        };
        for bits in [2u8, 3, 31, 32, 63, 64, 65, 96, 126, 127, 128] {
            let ring = Ring::new(bits).unwrap();
            for shift in 1..bits {
                for window in [None, Some(0), Some(bits - 2), Some(bits - 1)] {
                    let target = Ring::new(2 + (next() % u64::from(Ring::MAX_BITS - 1)) as u8).unwrap();
                    let (rounding, failure) = (Rounding { low: -1, high: 2 }, Failure::Never);
                    let truncation = Lemma::Truncation { ring, target, shift, window, rounding, failure };
                    let dropped = if bits > 2 { (next() % u64::from(bits - 2)) as u8 } else { 0 };
                    let sign = Lemma::Sign { width: bits, dropped, operands: 3 };
                    let scale = Scale::new(0).unwrap();
                    let coefficient = i128::from(next()) - (1 << 55);
                    let coefficient = if coefficient == 0 { 1 } else { coefficient };
                    let sum = Sum {
                        ring,
                        products: vec![Product { coefficient, left: ValueId(0), right: ValueId(0) }],
                        linear: vec![Term { coefficient: -3, value: ValueId(0) }],
                        constant: coefficient << 30,
                        truncation: Some(LemmaId(0)),
                        scale,
                    };
                    let ops = vec![
                        Op::Input,
                        Op::Sum(sum),
                        Op::Sign { operand: ValueId(0), lemma: LemmaId(1) },
                        Op::Inject { bit: ValueId(2), lemma: LemmaId(2) },
                    ];
                    let lemmas = vec![truncation, sign, Lemma::Injection { ring }];
                    let program = Program::new(ring, scale, lemmas, ops).unwrap();
                    let edge = 1i128.wrapping_shl(u32::from(bits) - 1);
                    let random = i128::from(next()) << (next() % 64) | i128::from(next());
                    for x in [0, 1, -1, edge.wrapping_sub(1), edge.wrapping_neg(), random, !random] {
                        let x = ring.residue(x);
                        let mut values = Vec::new();
                        evaluate_into(&program, x, &mut Upper, &mut values);
                        let (big, c) = (IBig::from(x), IBig::from(coefficient));
                        let exact = &c * &big * &big - IBig::from(3) * &big + (c << 30);
                        let v = residue(&exact, bits);
                        let inside = window.is_none_or(|bits| {
                            let limit = IBig::ONE << usize::from(bits);
                            -&limit <= v && v < limit
                        });
                        // The one integer that is not below 2^127 after adding one wraps, as the evaluator's does.
                        let result =
                            if inside { shift_floor(&v, usize::from(shift)) + IBig::from(2) } else { &v + IBig::ONE };
                        let expected = residue(&result, target.bits());
                        assert_eq!(IBig::from(values[1]), expected, "ring {bits}, shift {shift}, {window:?}, x = {x}");
                        let quotient = shift_floor(&big, usize::from(bits - 1));
                        let above = &big - (&quotient << usize::from(bits - 1));
                        let bit = above < IBig::from(sign.band()) || quotient % IBig::from(2) != IBig::ZERO;
                        assert_eq!(values[2], i128::from(bit), "ring {bits}, dropped {dropped}, x = {x}");
                        assert_eq!(values[3], ring.residue(i128::from(bit)));
                    }
                }
            }
        }
    }

    #[test]
    fn malformed_programs_are_refused() {
        let ring = Ring::Z64;
        let scale = Scale::new(16).unwrap();
        let sum =
            |linear: Vec<Term>| Op::Sum(Sum { ring, products: vec![], linear, constant: 0, truncation: None, scale });
        let forward = sum(vec![Term { coefficient: 1, value: ValueId(2) }]);
        assert!(Program::new(ring, scale, vec![], vec![Op::Input, forward]).is_err());
        let zero = sum(vec![Term { coefficient: 0, value: ValueId(0) }]);
        assert!(Program::new(ring, scale, vec![], vec![Op::Input, zero]).is_err());
        assert!(Program::new(ring, scale, vec![], vec![]).is_err());
        assert!(Program::new(ring, scale, vec![], vec![Op::Input, Op::Input]).is_err());
        let unused = vec![Lemma::Injection { ring }];
        assert!(Program::new(ring, scale, unused, vec![Op::Input]).is_err());
        let narrow = Sum {
            ring: Ring::Z64,
            products: vec![],
            linear: vec![Term { coefficient: 1, value: ValueId(0) }],
            constant: 0,
            truncation: None,
            scale,
        };
        assert!(Program::new(Ring::Z32, scale, vec![], vec![Op::Input, Op::Sum(narrow)]).is_err());
    }
}
