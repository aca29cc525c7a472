//! What a program's error seems to be, from a few hundred inputs: a lower bound of the true one, in well under a
//! millisecond.

use crate::families::Goal;
use catalogs::evaluate::evaluate_into;
use catalogs::{Adversary, Function, Op, Program, Ring, Rounding, ValueId};
use rug::Float;

/// Inputs where the function bends.
const DENSE: i64 = 400;
/// Neighbouring inputs over which the influence of a rounding is averaged.
const GROUP: usize = 16;
/// Inputs over the whole window.
const COARSE: i64 = 48;

struct Sample {
    input: i64,
    /// f in units of the output.
    exact: f64,
    /// One unit of the norm, in units of the output.
    weight: f64,
}

/// Rounds always low or always high, and gives exact bits or their opposites inside bands.
pub(super) struct Uniform {
    high: bool,
    flip: bool,
    /// Whether any bit was in its band.
    in_band: bool,
}

impl Uniform {
    /// Without looking at bands yet.
    pub(super) fn new(high: bool, flip: bool) -> Uniform {
        Uniform { high, flip, in_band: false }
    }
}

impl Adversary for Uniform {
    fn rounding(&mut self, _: ValueId, _: i128, rounding: Rounding) -> i8 {
        if self.high { rounding.high } else { rounding.low }
    }
    fn outside(&mut self, _: ValueId, operand: i128, _: Ring) -> i128 {
        operand
    }
    fn band(&mut self, _: ValueId, _: i128, exact: bool) -> bool {
        self.in_band = true;
        exact != self.flip
    }
}

/// The inputs at which designs of one goal are measured.
pub struct Samples(Vec<Sample>);

impl Samples {
    /// Inputs of the goal's window: evenly where the function is far from its tails, geometrically for functions of
    /// positive arguments.
    pub fn new(goal: &Goal) -> Samples {
        let window = goal.window;
        let between = |low: i64, high: i64, count: i64| {
            let width = i128::from(high) - i128::from(low);
            (0..=count).map(move |i| (i128::from(low) + width * i128::from(i) / i128::from(count)) as i64)
        };
        let mut inputs: Vec<i64> = between(window.low, window.high, COARSE).collect();
        let is_wide = window.low > 0 && window.high / 64 > window.low;
        if matches!(goal.function, Function::Reciprocal | Function::Rsqrt) && window.low > 0 || is_wide {
            let ratio = (window.high as f64 / window.low as f64).ln() / DENSE as f64;
            inputs.extend((0..=DENSE).map(|i| (window.low as f64 * (ratio * i as f64).exp()) as i64));
        }
        if !matches!(goal.function, Function::Reciprocal | Function::Rsqrt) {
            let accuracy = goal.accuracy() / 20.0;
            let low = goal.tail_edge(false, accuracy).unwrap_or(window.low);
            let high = goal.tail_edge(true, accuracy).unwrap_or(window.high);
            inputs.extend(between(low, high, DENSE));
        }
        inputs.retain(|input| window.low <= *input && *input <= window.high);
        inputs.sort_unstable();
        inputs.dedup();
        let unit = 2f64.powi(i32::from(goal.output_scale.bits()));
        let sample = |input: i64| {
            let x = Float::with_val(96, goal.real(input));
            let exact = crate::families::target::value(&goal.function, &x, 96).to_f64();
            Sample { input, exact: exact * unit, weight: goal.unit(exact) * unit }
        };
        Samples(inputs.into_iter().map(sample).filter(|sample| sample.weight > 0.0).collect())
    }

    /// The largest error of the program at these inputs, in the norm, with all roundings low or high. Inputs are
    /// taken from everywhere in turn, and an error of more than `hopeless` is returned at once.
    pub fn error(&self, program: &Program, hopeless: f64) -> f64 {
        const STRIDE: usize = 29;
        let mut values = Vec::new();
        let mut worst = 0.0f64;
        for sample in (0..STRIDE).flat_map(|first| self.0.iter().skip(first).step_by(STRIDE)) {
            if worst > hopeless {
                return worst;
            }
            let mut in_band = false;
            for (high, flip) in [(false, false), (true, false), (false, true)] {
                if flip && !in_band {
                    continue;
                }
                let mut adversary = Uniform::new(high, flip);
                evaluate_into(program, i128::from(sample.input), &mut adversary, &mut values);
                in_band |= adversary.in_band;
                let value = values.last().copied().unwrap_or(0) as f64;
                worst = worst.max((value - sample.exact).abs() / sample.weight);
            }
        }
        worst
    }

    /// About the error that certification will find: around every group of neighbouring inputs the error of the
    /// program between its two extreme roundings, plus what each rounding does by itself. Not a bound in any
    /// direction, but near enough to sort by.
    pub fn expected_error(&self, program: &Program) -> f64 {
        let is_truncated = |op: &Op| matches!(op, Op::Sum(sum) if sum.truncation.is_some());
        let truncations: Vec<usize> =
            program.ops().iter().enumerate().filter(|(_, op)| is_truncated(op)).map(|(index, _)| index).collect();
        let mut values = Vec::new();
        let mut output = |input: i64, adversary: &mut dyn Adversary| {
            evaluate_into(program, i128::from(input), adversary, &mut values);
            values.last().copied().unwrap_or(0) as f64
        };
        let mut worst = 0.0f64;
        for group in self.0.chunks(GROUP) {
            let (mut middle, mut rounding) = (0.0f64, 0.0);
            // A rounding's influence changes slowly: half of the inputs show it.
            for (index, sample) in group.iter().enumerate() {
                let low = output(sample.input, &mut Uniform::new(false, false));
                let high = output(sample.input, &mut Uniform::new(true, false));
                middle = middle.max(((low + high) / 2.0 - sample.exact).abs() / sample.weight);
                if index % 2 == 0 {
                    let half = group.len().div_ceil(2) as f64;
                    for truncation in &truncations {
                        let pushed = output(sample.input, &mut One(*truncation));
                        rounding += (pushed - low).abs() / sample.weight / half;
                    }
                }
            }
            worst = worst.max(middle + rounding);
        }
        worst
    }
}

/// Rounds up at one operation only.
struct One(usize);

impl Adversary for One {
    fn rounding(&mut self, op: ValueId, _: i128, rounding: Rounding) -> i8 {
        if op.index() == self.0 { rounding.high } else { rounding.low }
    }
    fn outside(&mut self, _: ValueId, operand: i128, _: Ring) -> i128 {
        operand
    }
    fn band(&mut self, _: ValueId, _: i128, exact: bool) -> bool {
        exact
    }
}
