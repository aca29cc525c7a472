//! A program run at many inputs at once, operation by operation.
//!
//! Gives what [`catalogs::evaluate`] gives where the same roundings and bits are chosen, many times faster: a search runs
//! millions of programs at hundreds of inputs each. Sums are taken modulo a power of two that every ring of the program
//! divides, 2^64 if that is enough.

use catalogs::{Lemma, Op, Program, Ring, Sum};

/// The roundings of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Roundings {
    /// All at their least.
    Low,
    /// All at their greatest.
    High,
    /// The greatest at the operation with this index, the least elsewhere.
    HighAt(usize),
}

/// Residues, as signed words.
trait Word: Copy {
    const ZERO: Self;
    const WIDTH: u8;
    fn of(value: i128) -> Self;
    fn times(self, other: Self) -> Self;
    fn plus(self, other: Self) -> Self;
    /// The signed residue modulo 2^`bits`, 1 ≤ `bits` ≤ WIDTH.
    fn residue(self, bits: u8) -> Self;
    /// The floor of self / 2^`bits`, `bits` < WIDTH.
    fn floor(self, bits: u8) -> Self;
    fn is_sign(self) -> bool;
    fn bit(self, position: u8) -> bool;
    /// Whether the lowest `bits` bits, as a number, are below `limit`; `bits` < WIDTH.
    fn low_below(self, bits: u8, limit: u128) -> bool;
    fn real(self) -> f64;
}

macro_rules! word {
    ($word:ty, $unsigned:ty) => {
        impl Word for $word {
            const ZERO: Self = 0;
            const WIDTH: u8 = <$word>::BITS as u8;
            fn of(value: i128) -> Self {
                value as $word
            }
            fn times(self, other: Self) -> Self {
                self.wrapping_mul(other)
            }
            fn plus(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            fn residue(self, bits: u8) -> Self {
                let above = Self::WIDTH - bits;
                (self << above) >> above
            }
            fn floor(self, bits: u8) -> Self {
                self >> bits
            }
            fn is_sign(self) -> bool {
                matches!(self, 0 | -1)
            }
            fn bit(self, position: u8) -> bool {
                (self >> position) & 1 == 1
            }
            fn low_below(self, bits: u8, limit: u128) -> bool {
                u128::from(self as $unsigned & ((1 << bits) - 1)) < limit
            }
            fn real(self) -> f64 {
                self as f64
            }
        }
    };
}
word!(i64, u64);
word!(i128, u128);

/// What ends a sum that is truncated.
struct Cut {
    shift: u8,
    /// Bits of the window; all values lie inside if `None`.
    window: Option<u8>,
    target: u8,
    low: i128,
    high: i128,
}

enum Step<W> {
    Input { ring: u8 },
    Sum { products: Vec<(W, usize, usize)>, linear: Vec<(W, usize)>, constant: W, ring: u8, cut: Option<Cut> },
    Sign { operand: usize, position: u8, band: u128 },
    Inject { bit: usize, ring: u8 },
}

struct Run<W> {
    steps: Vec<Step<W>>,
    /// `values[operation · inputs + input]`.
    values: Vec<W>,
}

enum Width {
    Narrow(Run<i64>),
    Wide(Run<i128>),
}

/// A program, ready to be run.
pub(super) struct Lanes {
    width: Width,
    /// What the last run gave.
    pub outputs: Vec<f64>,
    /// Whether any bit was inside its band, by input, since this was cleared.
    pub in_band: Vec<bool>,
}

impl Lanes {
    pub fn new(program: &Program) -> Lanes {
        let rings = program.ops().iter().filter_map(|op| match op {
            Op::Sum(sum) => Some(sum.ring),
            Op::Input | Op::Sign { .. } | Op::Inject { .. } => None,
        });
        let stated = program.lemmas().iter().map(|lemma| match *lemma {
            Lemma::Truncation { ring, target, .. } => ring.max(target),
            Lemma::Injection { ring } => ring,
            Lemma::Sign { width, .. } => Ring::new(width).unwrap_or(program.input().0),
        });
        let widest = rings.chain(stated).fold(program.input().0, Ring::max);
        let width = match widest <= Ring::Z64 {
            true => Width::Narrow(Run::new(program)),
            false => Width::Wide(Run::new(program)),
        };
        Lanes { width, outputs: Vec::new(), in_band: Vec::new() }
    }

    /// Runs at `inputs`, with bits inside their bands exact or, if `flip`, their opposites.
    pub fn run(&mut self, inputs: &[i64], roundings: Roundings, flip: bool) {
        self.in_band.resize(inputs.len(), false);
        let Lanes { width, outputs, in_band } = self;
        match width {
            Width::Narrow(run) => run.all(inputs, roundings, flip, outputs, in_band),
            Width::Wide(run) => run.all(inputs, roundings, flip, outputs, in_band),
        }
    }
}

impl<W: Word> Run<W> {
    fn new(program: &Program) -> Run<W> {
        let step = |op: &Op| match op {
            Op::Input => Step::Input { ring: program.input().0.bits() },
            Op::Sum(sum) => of_sum(program, sum),
            Op::Sign { operand, lemma } => {
                let lemma = program.lemma(*lemma);
                let position = if let Lemma::Sign { width, .. } = *lemma { width - 1 } else { W::WIDTH - 1 };
                Step::Sign { operand: operand.index(), position, band: lemma.band() }
            }
            Op::Inject { bit, lemma } => {
                let ring = if let Lemma::Injection { ring } = *program.lemma(*lemma) { ring.bits() } else { W::WIDTH };
                Step::Inject { bit: bit.index(), ring }
            }
        };
        Run { steps: program.ops().iter().map(step).collect(), values: Vec::new() }
    }

    fn all(&mut self, inputs: &[i64], roundings: Roundings, flip: bool, outputs: &mut Vec<f64>, in_band: &mut [bool]) {
        let count = inputs.len();
        self.values.resize(self.steps.len() * count, W::ZERO);
        for (index, step) in self.steps.iter().enumerate() {
            let (known, rest) = self.values.split_at_mut(index * count);
            let out = &mut rest[..count];
            let of = |value: usize| &known[value * count..(value + 1) * count];
            match step {
                Step::Input { ring } => {
                    out.iter_mut().zip(inputs).for_each(|(out, input)| *out = W::of(i128::from(*input)).residue(*ring));
                }
                Step::Sum { products, linear, constant, ring, cut } => {
                    out.fill(*constant);
                    for (coefficient, left, right) in products {
                        for ((out, left), right) in out.iter_mut().zip(of(*left)).zip(of(*right)) {
                            *out = out.plus(left.times(*right).times(*coefficient));
                        }
                    }
                    for (coefficient, value) in linear {
                        out.iter_mut()
                            .zip(of(*value))
                            .for_each(|(out, value)| *out = out.plus(value.times(*coefficient)));
                    }
                    out.iter_mut().for_each(|out| *out = out.residue(*ring));
                    if let Some(cut) = cut {
                        let is_high = roundings == Roundings::High || roundings == Roundings::HighAt(index);
                        cut.apply(out, W::of(if is_high { cut.high } else { cut.low }));
                    }
                }
                Step::Sign { operand, position, band } => {
                    for ((out, operand), in_band) in out.iter_mut().zip(of(*operand)).zip(in_band.iter_mut()) {
                        let is_in_band = operand.low_below(*position, *band);
                        *in_band |= is_in_band;
                        *out = W::of(i128::from(operand.bit(*position) != (flip && is_in_band)));
                    }
                }
                Step::Inject { bit, ring } => {
                    out.iter_mut().zip(of(*bit)).for_each(|(out, bit)| *out = bit.residue(*ring));
                }
            }
        }
        outputs.clear();
        outputs.extend(self.values[self.values.len() - count..].iter().map(|value| value.real()));
    }
}

fn of_sum<W: Word>(program: &Program, sum: &Sum) -> Step<W> {
    let cut = sum.truncation.and_then(|lemma| match *program.lemma(lemma) {
        Lemma::Truncation { target, shift, window, rounding, .. } => {
            let [low, high] = [rounding.low, rounding.high].map(i128::from);
            Some(Cut { shift, window: window.filter(|bits| *bits < W::WIDTH), target: target.bits(), low, high })
        }
        _ => None,
    });
    let products = sum.products.iter();
    let linear = sum.linear.iter();
    Step::Sum {
        products: products.map(|it| (W::of(it.coefficient), it.left.index(), it.right.index())).collect(),
        linear: linear.map(|it| (W::of(it.coefficient), it.value.index())).collect(),
        constant: W::of(sum.constant),
        ring: sum.ring.bits(),
        cut,
    }
}

impl Cut {
    /// Outside of the window the operand comes back as it is.
    fn apply<W: Word>(&self, values: &mut [W], delta: W) {
        for value in values {
            let is_inside = self.window.is_none_or(|bits| value.floor(bits).is_sign());
            let result = if is_inside { value.floor(self.shift).plus(delta) } else { *value };
            *value = result.residue(self.target);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::{Goal, shapes};
    use catalogs::evaluate::evaluate_into;
    use catalogs::{Adversary, Decimal, Format, Function, Norm, Rounding, Scale, ValueId, Window};

    /// The same choices, one input at a time.
    struct Chosen {
        roundings: Roundings,
        flip: bool,
        in_band: bool,
    }

    impl Adversary for Chosen {
        fn rounding(&mut self, op: ValueId, _: i128, rounding: Rounding) -> i8 {
            match self.roundings {
                Roundings::Low => rounding.low,
                Roundings::High => rounding.high,
                Roundings::HighAt(index) => {
                    if index == op.index() {
                        rounding.high
                    } else {
                        rounding.low
                    }
                }
            }
        }
        fn outside(&mut self, _: ValueId, operand: i128, _: Ring) -> i128 {
            operand
        }
        fn band(&mut self, _: ValueId, _: i128, exact: bool) -> bool {
            self.in_band = true;
            exact != self.flip
        }
    }

    /// Programs of every family that serves, at inputs inside and far outside of the window, where truncations leave theirs.
    #[test]
    fn lanes_give_what_the_evaluator_gives() {
        let (mut compared, mut bands, mut wide, mut outside) = (0, 0, 0, 0);
        for (function, low, high, ring, scale, accuracy) in [
            (Function::Exp, -16.0, 0.0, 64, 16, "1e-3"),
            (Function::Gelu, -64.0, 64.0, 40, 13, "4e-3"),
            (Function::Reciprocal, 1.0, 16.0, 64, 16, "1e-2"),
            (Function::Sigmoid, -64.0, 64.0, 128, 40, "1e-3"),
        ] {
            let unit = 2f64.powi(scale);
            let scale = Scale::new(scale as u8).unwrap();
            let goal = Goal {
                function,
                window: Window { low: (low * unit) as i64, high: (high * unit) as i64 },
                fitted: None,
                input: Format { ring: Ring::new(ring).unwrap(), scale },
                output_scale: scale,
                norm: Norm::ABSOLUTE,
                accuracy: Decimal::parse(accuracy).unwrap(),
                density: None,
            };
            let span = 3 * (goal.window.high - goal.window.low).min(i64::MAX / 8);
            let spread: Vec<i64> = (-20..=20i64).map(|i| goal.window.low / 2 + span / 20 * i + i * i).collect();
            for shape in shapes(&goal, goal.accuracy()).iter().step_by(5) {
                for design in shape.designs(&goal, goal.accuracy()).iter().step_by(61) {
                    let program = &design.program;
                    // Bands lie at the ends of what is fitted.
                    let seams = [design.fitted.low, design.fitted.high].into_iter();
                    let seams = seams.flat_map(|end| (-6..=6i64).map(move |i| end + 80 * i));
                    let inputs: Vec<i64> = spread.iter().copied().chain(seams).collect();
                    let mut lanes = Lanes::new(program);
                    wide += usize::from(matches!(lanes.width, Width::Wide(_)));
                    let operations = program.ops().len();
                    for (roundings, flip) in [
                        (Roundings::Low, false),
                        (Roundings::High, false),
                        (Roundings::Low, true),
                        (Roundings::HighAt(operations - 1), true),
                        (Roundings::HighAt(operations / 2), false),
                    ] {
                        lanes.in_band.clear();
                        lanes.run(&inputs, roundings, flip);
                        let mut values = Vec::new();
                        for (lane, input) in inputs.iter().enumerate() {
                            let mut chosen = Chosen { roundings, flip, in_band: false };
                            evaluate_into(program, i128::from(*input), &mut chosen, &mut values);
                            let expected = values[values.len() - 1] as f64;
                            assert_eq!(lanes.outputs[lane], expected, "{}: {input}", design.parameters);
                            assert_eq!(lanes.in_band[lane], chosen.in_band);
                            compared += 1;
                            bands += usize::from(chosen.in_band);
                            outside += usize::from(!goal.window.contains(i128::from(*input)));
                        }
                    }
                }
            }
        }
        assert!(compared > 10_000 && bands > 100 && wide > 2 && outside > 1000, "{compared} {bands} {wide} {outside}");
    }
}
