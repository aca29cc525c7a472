//! What a program does: inputs that are run, with roundings as the peer's protocol draws them, and at both extremes.
//!
//! Nothing here is a proof, and pages call it *measured*. The function is enclosed by MPFR at every input. A truncation
//! adds its greatest δ with the probability that the protocol gives it, the dropped fraction, from a fixed seed.
//! Outside a truncation's window the wrapped residue is shifted, which is what the peer's code does if its masks are
//! kind to it.

use catalogs::{Adversary, Entry, Lemma, Op, Program, Ring, Rounding, ValueId, evaluate};
use evidence::enclosure::enclose_dyadic;

/// Bits of the function's enclosure.
const PRECISION: u32 = 96;

/// How a run rounds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rounds {
    /// Always the least δ.
    Down,
    /// Always the greatest.
    Up,
    /// As the protocol, by a seed.
    Drawn(u64),
}

/// The largest error of some runs.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Measured {
    /// In the claim's norm, over all runs.
    pub worst: f64,
    /// Its input.
    pub input: i64,
    /// The largest with roundings as drawn, over the same inputs.
    pub drawn: f64,
    /// Inputs that were run.
    pub inputs: u64,
}

struct Runs<'a> {
    program: &'a Program,
    rounds: Rounds,
}

impl Runs<'_> {
    fn shift(&self, op: ValueId) -> u8 {
        let Some(Op::Sum(sum)) = self.program.ops().get(op.index()) else { return 0 };
        match sum.truncation.map(|lemma| *self.program.lemma(lemma)) {
            Some(Lemma::Truncation { shift, .. }) => shift,
            _ => 0,
        }
    }
}

impl Adversary for Runs<'_> {
    fn rounding(&mut self, op: ValueId, operand: i128, rounding: Rounding) -> i8 {
        match &mut self.rounds {
            Rounds::Down => rounding.low,
            Rounds::Up => rounding.high,
            Rounds::Drawn(word) => {
                *word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let coin = *word >> 16;
                let shift = self.shift(op).min(40);
                let fraction = (operand as u64) & ((1u64 << shift) - 1);
                if (coin & ((1u64 << shift) - 1)) < fraction { rounding.high } else { rounding.low }
            }
        }
    }
    fn outside(&mut self, op: ValueId, operand: i128, _: Ring) -> i128 {
        operand >> self.shift(op)
    }
    fn band(&mut self, _: ValueId, _: i128, exact: bool) -> bool {
        exact
    }
}

/// Runs one entry's program.
pub struct Meter<'a> {
    entry: &'a Entry,
    absolute: f64,
    relative: f64,
}

impl<'a> Meter<'a> {
    /// Of a claim's function, norm and program.
    pub fn new(entry: &'a Entry) -> Meter<'a> {
        let norm = &entry.claim.norm;
        Meter { entry, absolute: norm.absolute.to_f64_lossy(), relative: norm.relative.to_f64_lossy() }
    }

    /// The result at `input` as a real number.
    pub fn value(&self, input: i64, rounds: Rounds) -> f64 {
        let program = &self.entry.program;
        let output = evaluate(program, input.into(), &mut Runs { program, rounds });
        output as f64 * 2f64.powi(-i32::from(program.output().1.bits()))
    }

    /// f at `input`; `None` where it has no value.
    pub fn function(&self, input: i64) -> Option<f64> {
        let scale = self.entry.program.input().1.bits();
        let enclosed = enclose_dyadic(&self.entry.claim.function, input.into(), scale, PRECISION)?;
        Some(enclosed.middle().to_f64()).filter(|value| value.is_finite())
    }

    /// The signed error in the claim's norm.
    pub fn error(&self, input: i64, rounds: Rounds) -> Option<f64> {
        let function = self.function(input)?;
        Some((self.value(input, rounds) - function) / (self.absolute + self.relative * function.abs()))
    }

    /// The largest of the errors with every rounding down, every rounding up, and as drawn.
    pub fn worst(&self, input: i64) -> Option<(f64, f64)> {
        let error = |rounds| self.error(input, rounds).map(f64::abs);
        let drawn = error(Rounds::Drawn(input as u64 ^ 0x9e37_79b9_7f4a_7c15))?;
        Some((error(Rounds::Down)?.max(error(Rounds::Up)?).max(drawn), drawn))
    }

    /// `count` inputs of the claim's window, even and with both ends, and as many of its part within [−8, 8].
    pub fn measure(&self, count: u64) -> Measured {
        let window = self.entry.claim.window;
        let mut found = Measured { worst: 0.0, input: window.low, drawn: 0.0, inputs: 0 };
        let near = 8i64 << self.entry.program.input().1.bits().min(56);
        let near = (window.low.max(-near), window.high.min(near));
        let near = (near.0 <= near.1).then(|| even(near.0, near.1, count)).into_iter().flatten();
        for input in even(window.low, window.high, count).chain(near) {
            let Some((worst, drawn)) = self.worst(input) else { continue };
            found.inputs += 1;
            found.drawn = found.drawn.max(drawn);
            if worst > found.worst {
                (found.worst, found.input) = (worst, input);
            }
        }
        found
    }

    /// The first input beyond the window's end in the direction `sign` at which the error exceeds `limit`, looked for at
    /// steps of one sixteenth of the distance up to `reach` and then between two of them by halving.
    pub fn fails_beyond(&self, sign: i64, limit: f64, reach: i64) -> Option<i64> {
        let window = self.entry.claim.window;
        let fails = |input: i64| self.worst(input).is_none_or(|(worst, _)| worst > limit);
        let unit = 1i64 << self.entry.program.input().1.bits();
        let mut good = if sign < 0 { window.low } else { window.high };
        let mut step = unit / 16;
        loop {
            let next = good.checked_add(sign * step)?;
            if next.abs() > reach || self.function(next).is_none() {
                return None;
            }
            if fails(next) {
                let mut bad = next;
                while (bad - good).abs() > 1 {
                    let middle = good + (bad - good) / 2;
                    if fails(middle) { bad = middle } else { good = middle }
                }
                return Some(bad);
            }
            good = next;
            step = (good.abs() / 16).max(unit / 16);
        }
    }
}

/// `count` integers from `low` to `high`, both included; all of them if there are no more.
pub fn even(low: i64, high: i64, count: u64) -> impl Iterator<Item = i64> {
    let span = i128::from(high) - i128::from(low);
    let steps = i128::from(count.max(2) - 1).min(span).max(1);
    (0..=steps).map(move |index| (i128::from(low) + span * index / steps) as i64)
}
