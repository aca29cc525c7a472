//! What a program's error seems to be, from a few hundred inputs: a lower bound of the true one, in well under a
//! millisecond.

use super::lanes::{Lanes, Roundings};
use crate::families::Goal;
use catalogs::{Function, Op, Program};
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
        const FEW: usize = 2;
        let mut lanes = Lanes::new(program);
        let (mut inputs, mut values) = (Vec::new(), Vec::new());
        let mut worst = 0.0f64;
        // Most designs are hopeless, which a few inputs show.
        let parts = (0..STRIDE).flat_map(|first| [(first, FEW), (first + FEW * STRIDE, usize::MAX)]);
        for (first, count) in parts {
            let block = || self.0.iter().skip(first).step_by(STRIDE).take(count);
            inputs.clear();
            inputs.extend(block().map(|sample| sample.input));
            values.clear();
            lanes.in_band.clear();
            for roundings in [Roundings::Low, Roundings::High] {
                lanes.run(&inputs, roundings, false);
                values.extend_from_slice(&lanes.outputs);
            }
            let in_band = std::mem::take(&mut lanes.in_band);
            if in_band.contains(&true) {
                lanes.run(&inputs, Roundings::Low, true);
            }
            for (index, sample) in block().enumerate() {
                if worst > hopeless {
                    return worst;
                }
                let flipped = in_band[index].then(|| lanes.outputs[index]);
                for value in [values[index], values[inputs.len() + index]].into_iter().chain(flipped) {
                    worst = worst.max((value - sample.exact).abs() / sample.weight);
                }
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
        let mut lanes = Lanes::new(program);
        let mut output = |inputs: &[i64], roundings: Roundings| {
            lanes.run(inputs, roundings, false);
            lanes.outputs.clone()
        };
        let mut worst = 0.0f64;
        for group in self.0.chunks(GROUP) {
            let inputs: Vec<i64> = group.iter().map(|sample| sample.input).collect();
            let (low, high) = (output(&inputs, Roundings::Low), output(&inputs, Roundings::High));
            // A rounding's influence changes slowly: half of the inputs show it.
            let halved: Vec<i64> = inputs.iter().step_by(2).copied().collect();
            let pushed: Vec<Vec<f64>> =
                truncations.iter().map(|truncation| output(&halved, Roundings::HighAt(*truncation))).collect();
            let (mut middle, mut rounding) = (0.0f64, 0.0);
            for (index, sample) in group.iter().enumerate() {
                middle = middle.max(((low[index] + high[index]) / 2.0 - sample.exact).abs() / sample.weight);
                if index % 2 == 0 {
                    for pushed in &pushed {
                        rounding += (pushed[index / 2] - low[index]).abs() / sample.weight / halved.len() as f64;
                    }
                }
            }
            worst = worst.max(middle + rounding);
        }
        worst
    }
}
