//! Programs of entries on many lanes at once: operation by operation on blocks that stay in the cache.
//!
//! `catalogs::evaluate` defines the meaning; the tests hold this against it, value by value, under the same choices.
//! Arithmetic is modulo 2^64, which every ring divides, then reduced to a signed residue.

use super::super::node::NodeId;
use super::super::tensor::residue;
use super::choices::{Choices, RoundingMode, Truncation};
use crate::backend::cpu::widest::{Loop, widest};
use catalogs::{Lemma, Op, Program, Ring, Window};
use rayon::prelude::*;

/// Lanes of a block: its values of a program of a dozen operations stay in the first-level cache.
const BLOCK: usize = 256;
/// Blocks that are worth a task of their own: with fewer, waking a thread takes longer.
const BLOCKS_AT_ONCE: usize = 8;

/// One operation with its numbers unpacked.
enum Step {
    Input(Ring),
    Sum {
        ring: Ring,
        products: Vec<(i64, usize, usize)>,
        linear: Vec<(i64, usize)>,
        constant: i64,
        truncation: Option<Truncation>,
    },
    Sign {
        operand: usize,
        position: u32,
        band: u64,
    },
    Inject {
        bit: usize,
        ring: Ring,
    },
}

/// A program prepared for evaluation on many lanes.
pub struct LaneProgram {
    steps: Vec<Step>,
}

impl LaneProgram {
    /// Prepares `program`. Coefficients are taken modulo 2^64.
    pub fn new(program: &Program) -> LaneProgram {
        let steps = program.ops().iter().map(|op| match op {
            Op::Input => Step::Input(program.input().0),
            Op::Sum(sum) => Step::Sum {
                ring: sum.ring,
                products: sum
                    .products
                    .iter()
                    .map(|p| (p.coefficient as i64, p.left.index(), p.right.index()))
                    .collect(),
                linear: sum.linear.iter().map(|term| (term.coefficient as i64, term.value.index())).collect(),
                constant: sum.constant as i64,
                truncation: sum.truncation.and_then(|id| Truncation::new(program.lemma(id))),
            },
            Op::Sign { operand, lemma } => {
                let lemma = program.lemma(*lemma);
                let position = match *lemma {
                    Lemma::Sign { width, .. } => u32::from(width) - 1,
                    _ => 0,
                };
                // Below 2^64: at most 3·(2^62 − 1).
                Step::Sign { operand: operand.index(), position, band: lemma.band() as u64 }
            }
            Op::Inject { bit, lemma } => match *program.lemma(*lemma) {
                Lemma::Injection { ring } => Step::Inject { bit: bit.index(), ring },
                _ => Step::Inject { bit: bit.index(), ring: Ring::Z64 },
            },
        });
        LaneProgram { steps: steps.collect() }
    }

    /// The output at every lane, and how many operands of truncations lay outside their windows (they may, at lanes
    /// whose selecting bit is 0).
    pub fn evaluate(&self, mode: RoundingMode, node: NodeId, argument: &[i64]) -> (Vec<i64>, u64) {
        let choices: Vec<Choices> =
            (0..self.steps.len()).map(|operation| Choices::new(mode, node, operation as u16)).collect();
        let mut output = vec![0i64; argument.len()];
        let blocks = output.par_chunks_mut(BLOCK).zip(argument.par_chunks(BLOCK)).enumerate();
        let outside = blocks.with_min_len(BLOCKS_AT_ONCE).map_init(
            || vec![0i64; self.steps.len() * BLOCK],
            |values, (block, (output, argument))| {
                let first = (block * BLOCK) as u64;
                let outside = widest(Block { steps: &self.steps, choices: &choices, first, argument, values });
                let last = (self.steps.len() - 1) * BLOCK;
                output.copy_from_slice(&values[last..last + argument.len()]);
                outside
            },
        );
        let outside = outside.sum();
        (output, outside)
    }
}

/// How many of `values` lie outside of `window`.
pub(super) fn outside(window: Window, values: &[i64]) -> u64 {
    widest(Outside(window, values))
}

struct Outside<'a>(Window, &'a [i64]);

impl Loop for Outside<'_> {
    type Output = u64;

    #[inline(always)]
    fn run(self) -> u64 {
        let Outside(Window { low, high }, values) = self;
        let mut outside = 0u64;
        for &value in values {
            outside = outside.wrapping_add(u64::from(value < low || value > high));
        }
        outside
    }
}

/// At most [`BLOCK`] lanes; operation i leaves its values at `values[i·BLOCK..]`.
struct Block<'a> {
    steps: &'a [Step],
    choices: &'a [Choices],
    first: u64,
    argument: &'a [i64],
    values: &'a mut [i64],
}

impl Loop for Block<'_> {
    /// Operands of truncations outside their windows.
    type Output = u64;

    #[inline(always)]
    fn run(self) -> u64 {
        let Block { steps, choices, first, argument, values } = self;
        let lanes = argument.len();
        let mut outside = 0;
        for (step_index, step) in steps.iter().enumerate() {
            let (before, rest) = values.split_at_mut(step_index * BLOCK);
            let result = &mut rest[..lanes];
            let value = |index: usize| &before[index * BLOCK..index * BLOCK + lanes];
            match *step {
                Step::Input(ring) => {
                    for (result, &x) in result.iter_mut().zip(argument) {
                        *result = residue(ring, x);
                    }
                }
                Step::Sum { ring, ref products, ref linear, constant, truncation } => {
                    result.fill(constant);
                    for &(coefficient, left, right) in products {
                        for ((total, &a), &b) in result.iter_mut().zip(value(left)).zip(value(right)) {
                            *total = total.wrapping_add(a.wrapping_mul(b).wrapping_mul(coefficient));
                        }
                    }
                    for &(coefficient, term) in linear {
                        for (total, &v) in result.iter_mut().zip(value(term)) {
                            *total = total.wrapping_add(v.wrapping_mul(coefficient));
                        }
                    }
                    for total in result.iter_mut() {
                        *total = residue(ring, *total);
                    }
                    if let Some(truncation) = truncation {
                        outside += truncation.apply(choices[step_index], first, result);
                    }
                }
                Step::Sign { operand, position, band } => {
                    let (operand, choices) = (value(operand), choices[step_index]);
                    let below = (1u64 << position) - 1;
                    let mut undecided = 0u64;
                    for (bit, &v) in result.iter_mut().zip(operand) {
                        *bit = v.wrapping_shr(position) & 1;
                        undecided = undecided.wrapping_add(u64::from((v as u64 & below) < band));
                    }
                    // A band is narrow: many blocks have no operand inside.
                    if undecided > 0 {
                        let mut lane = first;
                        for (bit, &v) in result.iter_mut().zip(operand) {
                            let chosen = i64::from(choices.band(lane));
                            *bit = if (v as u64 & below) < band { chosen } else { *bit };
                            lane = lane.wrapping_add(1);
                        }
                    }
                }
                Step::Inject { bit, ring } => {
                    for (result, &bit) in result.iter_mut().zip(value(bit)) {
                        *result = residue(ring, bit);
                    }
                }
            }
        }
        outside
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalogs::evaluate::evaluate_into;
    use catalogs::program::{Product, Sum, Term};
    use catalogs::{Adversary, Failure, LemmaId, Rounding, Scale, ValueId};

    /// The same choices, asked one lane at a time by the evaluator that defines the meaning.
    struct OneLane<'a> {
        program: &'a Program,
        mode: RoundingMode,
        lane: u64,
    }

    impl OneLane<'_> {
        fn choices(&self, op: ValueId) -> Choices {
            Choices::new(self.mode, NodeId(7), op.0)
        }
    }

    impl Adversary for OneLane<'_> {
        fn rounding(&mut self, op: ValueId, operand: i128, rounding: Rounding) -> i8 {
            let Op::Sum(sum) = &self.program.ops()[op.index()] else { panic!("only sums round") };
            let Lemma::Truncation { shift, .. } = *self.program.lemma(sum.truncation.unwrap()) else { panic!() };
            self.choices(op).rounding(self.lane, operand as i64, shift, rounding)
        }
        fn outside(&mut self, op: ValueId, _: i128, target: Ring) -> i128 {
            i128::from(self.choices(op).outside(self.lane, target))
        }
        fn band(&mut self, op: ValueId, _: i128, _: bool) -> bool {
            self.choices(op).band(self.lane)
        }
    }

    /// A program that uses every operation: a cubic with wrapping coefficients, two truncations (one into a narrower
    /// ring), a sign with a band, an injection, a selecting product.
    fn program(ring: Ring, target: Ring, rounding: Rounding) -> Program {
        let scale = |bits| Scale::new(bits).unwrap();
        let failure = Failure::Never;
        let mut lemmas = vec![
            Lemma::Truncation { ring, target: ring, shift: 5, window: Some(ring.bits() - 2), rounding, failure },
            Lemma::Truncation { ring, target, shift: 3, window: None, rounding: Rounding::FLOOR_OR_NEXT, failure },
            Lemma::Sign { width: target.bits().min(20), dropped: 2, operands: 3 },
            Lemma::Injection { ring: target },
        ];
        lemmas.sort();
        let id = |wanted: &dyn Fn(&Lemma) -> bool| LemmaId(lemmas.iter().position(wanted).unwrap() as u8);
        let same = id(&|l| matches!(l, Lemma::Truncation { shift: 5, .. }));
        let narrow = id(&|l| matches!(l, Lemma::Truncation { shift: 3, .. }));
        let sign = id(&|l| matches!(l, Lemma::Sign { .. }));
        let inject = id(&|l| matches!(l, Lemma::Injection { .. }));
        let product = |coefficient, left, right| Product { coefficient, left: ValueId(left), right: ValueId(right) };
        let sum = |ring, products, linear: &[(i128, u16)], constant, truncation| {
            let linear = linear.iter().map(|&(coefficient, v)| Term { coefficient, value: ValueId(v) }).collect();
            Op::Sum(Sum { ring, products, linear, constant, truncation, scale: scale(4) })
        };
        let ops = vec![
            Op::Input,
            sum(ring, vec![product(3, 0, 0)], &[(-(1 << 70) - 5, 0)], 77, Some(same)),
            sum(ring, vec![product(-1, 1, 0), product(1 << 20, 1, 1)], &[(9, 1)], -1, Some(narrow)),
            sum(target, vec![], &[(1, 2), (-1, 0)], 3, None),
            Op::Sign { operand: ValueId(3), lemma: sign },
            Op::Inject { bit: ValueId(4), lemma: inject },
            sum(target, vec![product(1, 5, 2)], &[(1, 3)], 0, None),
        ];
        Program::new(ring, scale(4), lemmas, ops).unwrap()
    }

    fn compare(program: &Program, arguments: &[i64]) -> u64 {
        let prepared = LaneProgram::new(program);
        let mut garbage = 0;
        for mode in [RoundingMode::Seed(1), RoundingMode::Seed(2), RoundingMode::AllLow, RoundingMode::AllHigh] {
            let (output, outside) = prepared.evaluate(mode, NodeId(7), arguments);
            garbage += outside;
            let mut values = Vec::new();
            for (lane, &argument) in arguments.iter().enumerate() {
                let mut adversary = OneLane { program, mode, lane: lane as u64 };
                evaluate_into(program, i128::from(argument), &mut adversary, &mut values);
                assert_eq!(i128::from(output[lane]), *values.last().unwrap(), "{mode:?} lane {lane}");
            }
        }
        garbage
    }

    #[test]
    fn lanes_agree_with_the_definition() {
        let ring = |bits| Ring::new(bits).unwrap();
        let mut word = 0x1234_5678_9abc_def0u64;
        let mut arguments: Vec<i64> = (0..1500)
            .map(|index| {
                word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (word as i64) >> (index % 64)
            })
            .collect();
        arguments.extend([0, 1, -1, i64::MIN, i64::MAX]);
        let wide = Rounding { low: -1, high: 2 };
        let mut garbage = 0;
        for (bits, target) in [(64, 64), (64, 32), (40, 37), (12, 9), (8, 5)] {
            garbage += compare(&program(ring(bits), ring(target), Rounding::FLOOR_OR_NEXT), &arguments);
            garbage += compare(&program(ring(bits), ring(target), wide), &arguments);
        }
        assert!(garbage > 0, "some operand must have been outside its window");
        let small: Vec<i64> = (-128..128).collect();
        compare(&program(ring(8), ring(8), Rounding::FLOOR_OR_NEXT), &small);
    }

    #[test]
    fn the_extreme_modes_choose_the_extremes() {
        for (mode, delta, bit) in [(RoundingMode::AllLow, -1, false), (RoundingMode::AllHigh, 2, true)] {
            let choices = Choices::new(mode, NodeId(1), 0);
            for lane in 0..100 {
                assert_eq!(choices.rounding(lane, 5, 4, Rounding { low: -1, high: 2 }), delta);
                assert_eq!(choices.band(lane), bit);
            }
        }
        let choices = Choices::new(RoundingMode::Seed(5), NodeId(1), 0);
        let set = (0..1000).filter(|&lane| choices.band(lane)).count();
        assert!((400..600).contains(&set), "{set} of 1000 bits");
    }

    #[test]
    fn roundings_have_the_protocol_s_probability() {
        let choices = Choices::new(RoundingMode::Seed(5), NodeId(1), 0);
        for (operand, expected) in [(0i64, 0u64), (4, 25), (8, 50), (15, 94), (-16, 0), (-1, 94)] {
            let up = (0..100_000).filter(|&lane| choices.rounding(lane, operand, 4, Rounding::FLOOR_OR_NEXT) == 1);
            let percent = (up.count() as u64 + 500) / 1000;
            assert!(percent.abs_diff(expected) <= 1, "{operand}: {percent} %");
        }
    }
}
