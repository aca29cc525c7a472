//! Search for an input and roundings that come close to the proved bound.
//!
//! The checker's own models say which rounding pushes the output which way: at every sampled input all roundings are
//! chosen to push up, then all to push down, and the evaluator says what really comes out. The function's value at
//! the input is MPFR's: a model's own reference may be far off on a piece that is still too wide.

use super::section::{Section, at, coefficients};
use crate::families::target;
use catalogs::{Adversary, Decimal, Entry, Ring, Rounding, ValueId, evaluate};
use dashu::rational::RBig;
use rug::{Float, Integer};
use std::collections::{BTreeMap, BTreeSet};
use verify::Witness;
use verify::model::Model;

/// The best error that was attained.
#[derive(Clone, Debug)]
pub struct Attempt {
    input: i64,
    choices: Vec<i8>,
    /// In the claim's norm, in double precision.
    pub error: f64,
}

impl Attempt {
    /// The same with its error measured against MPFR's value of the function.
    fn measured(self, entry: &Entry) -> Attempt {
        let mut replay = Chosen(&self.choices);
        let error = Point::new(entry, self.input).error(entry, &mut replay);
        Attempt { error, ..self }
    }

    /// A witness whose stated error is a little below what was seen, so that double precision cannot overstate it.
    pub fn into_witness(self) -> Witness {
        let stated = (self.error * (1.0 - 1e-6) - 1e-24).max(0.0);
        let digits = format!("{stated:.5e}");
        // Rounded to six digits to nearest: take one unit off.
        let error = Decimal::parse(&digits).and_then(below).unwrap_or(Decimal::ZERO);
        Witness { input: self.input, error, choices: self.choices }
    }
}

/// A decimal slightly below `value`.
fn below(value: Decimal) -> Option<Decimal> {
    let reduced = value.to_rational() * (RBig::from(999_990) / RBig::from(1_000_000));
    Decimal::round_up(&reduced, 6)
}

/// Between two seams so many inputs are looked at in a survey.
const SURVEY_INPUTS: i128 = 24;
/// At most so many inputs of a section are evaluated at a time.
const EVALUATIONS_MAX: usize = 3000;
/// At most so many seams are looked at in a survey.
const SURVEY_SEAMS: usize = 64;

/// The worst of a few inputs around and between the seams, with all roundings low or all high, and bits inside
/// their bands exact or not.
pub fn survey(entry: &Entry, seams: &[i64]) -> Attempt {
    let window = entry.claim.window;
    let skipped = seams.len() / SURVEY_SEAMS + 1;
    let mut marks = vec![window.low];
    marks.extend(seams.iter().step_by(skipped));
    marks.push(window.high);
    let mut inputs = BTreeSet::new();
    for pair in marks.windows(2) {
        let (low, width) = (i128::from(pair[0]), i128::from(pair[1]) - i128::from(pair[0]));
        inputs.extend((0..=SURVEY_INPUTS).map(|i| (low + width * i / SURVEY_INPUTS) as i64));
        inputs.extend([pair[0] + 1, pair[1] - 1].into_iter().filter(|x| window.contains(i128::from(*x))));
    }
    let operations = entry.program.ops().len();
    let mut best = Attempt { input: window.low, choices: vec![0; operations], error: 0.0 };
    for x in inputs {
        let point = Point::new(entry, x);
        for (delta, flip) in [(i8::MIN, false), (i8::MAX, false), (i8::MIN, true), (i8::MAX, true)] {
            let mut adversary = Uniform { delta, flip, choices: vec![0; operations] };
            let error = point.error(entry, &mut adversary);
            if error > best.error {
                best = Attempt { input: x, choices: adversary.choices, error };
            }
        }
    }
    best
}

/// An input with the exact value of the function there.
struct Point {
    input: i64,
    /// In units of the output.
    exact: Float,
    /// One unit of the claim's norm, in units of the output.
    weight: f64,
}

impl Point {
    fn new(entry: &Entry, input: i64) -> Point {
        let output_bits = u32::from(entry.program.output().1.bits());
        let argument = Float::with_val(PRECISION, input) >> u32::from(entry.program.input().1.bits());
        let exact = target::value(&entry.claim.function, &argument, PRECISION) << output_bits;
        let norm = &entry.claim.norm;
        let weight = norm.absolute.to_f64_lossy() * 2f64.powi(output_bits as i32)
            + norm.relative.to_f64_lossy() * exact.to_f64().abs();
        Point { input, exact, weight }
    }

    /// As [`Point::new`], from a section's reference polynomial: much faster, and as good where the section's enclosure
    /// is narrow.
    fn from_reference(promise: &Promise, input: i64) -> Point {
        let exact = at(&promise.reference, promise.position(input));
        let weight = promise.norm.0 * promise.unit + promise.norm.1 * exact.abs();
        Point { input, exact: Float::with_val(PRECISION, exact), weight }
    }

    /// The error of the program with these roundings, in the claim's norm.
    fn error(&self, entry: &Entry, adversary: &mut dyn Adversary) -> f64 {
        let value = evaluate(&entry.program, i128::from(self.input), adversary);
        Float::with_val(PRECISION, Integer::from(value) - &self.exact).to_f64().abs() / self.weight
    }
}

/// A model in double precision.
struct Case {
    value: Vec<f64>,
    symbols: BTreeMap<usize, Vec<f64>>,
}

impl Case {
    fn new(model: &Model) -> Case {
        let symbols = model.symbols.iter().map(|(index, p)| (*index, coefficients(&p.0))).collect();
        Case { value: coefficients(&model.polynomial.0), symbols }
    }
}

/// What the models of a section promise at an input.
struct Promise<'a> {
    section: &'a Section,
    reference: Vec<f64>,
    cases: Vec<Case>,
    unit: f64,
    norm: (f64, f64),
    /// Whether the reference polynomial is as good as the function.
    narrow: bool,
}

impl Promise<'_> {
    fn position(&self, x: i64) -> f64 {
        let width = self.section.high as f64 - self.section.low as f64;
        if width == 0.0 { 0.0 } else { 2.0 * (x as f64 - self.section.low as f64) / width - 1.0 }
    }

    /// The largest first-order error of any case at `x`, in the claim's norm.
    fn at(&self, x: i64) -> f64 {
        let t = self.position(x);
        let f = at(&self.reference, t);
        let weight = self.norm.0 * self.unit + self.norm.1 * f.abs();
        let error =
            |case: &Case| (at(&case.value, t) - f).abs() + case.symbols.values().map(|s| at(s, t).abs()).sum::<f64>();
        self.cases.iter().map(error).fold(0.0, f64::max) / weight
    }
}

/// An attempt of the section that is better than `known`: first on an even grid, then densely where the models
/// promise most.
pub fn search(entry: &Entry, section: &Section, samples: usize, known: f64) -> Option<Attempt> {
    let examination = section.examination.as_ref()?;
    let norm = &entry.claim.norm;
    // In output units; double precision adds no more as long as outputs have fewer than 40 bits.
    let reference_error = coefficients(std::slice::from_ref(&examination.reference().error))[0];
    let promise = Promise {
        section,
        reference: coefficients(&examination.reference().polynomial.0),
        cases: examination.outputs().iter().map(Case::new).collect(),
        unit: 2f64.powi(i32::from(entry.program.output().1.bits())),
        norm: (norm.absolute.to_f64_lossy(), norm.relative.to_f64_lossy()),
        narrow: reference_error < 1e-4,
    };
    let mut best = None;
    let mut reached = known;
    let grid = evenly(section.low, section.high, samples);
    let spacing = ((section.high as f64 - section.low as f64) / samples as f64) as i64;
    let peak = try_inputs(entry, &promise, grid, &mut reached, &mut best);
    if let (Some(peak), true) = (peak, spacing > 0 && section.bound > reached * 1.001) {
        // The roundings that really occur depend on the input's last bits: look at many neighbours of the peak.
        for reach in [samples as i64 / 2, spacing.saturating_mul(samples as i64 / 50)] {
            let (low, high) =
                (peak.saturating_sub(reach).max(section.low), peak.saturating_add(reach).min(section.high));
            try_inputs(entry, &promise, evenly(low, high, samples), &mut reached, &mut best);
        }
    }
    best.map(|attempt: Attempt| attempt.measured(entry))
}

/// Tries inputs in the order of promise until none can beat what was reached; returns the most promising one.
fn try_inputs(
    entry: &Entry,
    promise: &Promise,
    inputs: Vec<i64>,
    reached: &mut f64,
    best: &mut Option<Attempt>,
) -> Option<i64> {
    let mut ranked: Vec<(f64, i64)> = inputs.into_iter().map(|x| (promise.at(x), x)).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    let peak = ranked.first().map(|(_, x)| *x);
    let mut evaluations = 0;
    for (limit, x) in ranked {
        if limit * 1.001 <= *reached {
            break;
        }
        evaluations += 1;
        if evaluations > EVALUATIONS_MAX {
            break;
        }
        let point = if promise.narrow { Point::from_reference(promise, x) } else { Point::new(entry, x) };
        let t = promise.position(x);
        for (index, case) in promise.cases.iter().enumerate() {
            for upwards in [true, false] {
                let mut pusher = Pusher { case, t, upwards, flip: index, choices: vec![0; entry.program.ops().len()] };
                let error = point.error(entry, &mut pusher);
                if error > *reached {
                    *reached = error;
                    *best = Some(Attempt { input: x, choices: pusher.choices, error });
                }
            }
        }
    }
    peak
}

/// Bits to which the function is evaluated.
const PRECISION: u32 = 128;

/// Every input of a small range; otherwise its ends and an even grid.
fn evenly(low: i64, high: i64, samples: usize) -> Vec<i64> {
    let width = i128::from(high) - i128::from(low);
    let count = samples as i128;
    if width < count {
        return (low..=high).collect();
    }
    (0..=count).map(|i| (i128::from(low) + width * i / count) as i64).collect()
}

/// Repeats recorded choices.
struct Chosen<'a>(&'a [i8]);

impl Adversary for Chosen<'_> {
    fn rounding(&mut self, op: ValueId, _: i128, _: Rounding) -> i8 {
        self.0[op.index()]
    }
    fn outside(&mut self, _: ValueId, operand: i128, _: Ring) -> i128 {
        operand
    }
    fn band(&mut self, op: ValueId, _: i128, _: bool) -> bool {
        self.0[op.index()] == 1
    }
}

/// Rounds every truncation the same way.
struct Uniform {
    delta: i8,
    flip: bool,
    choices: Vec<i8>,
}

impl Adversary for Uniform {
    fn rounding(&mut self, op: ValueId, _: i128, rounding: Rounding) -> i8 {
        let choice = self.delta.clamp(rounding.low, rounding.high);
        self.choices[op.index()] = choice;
        choice
    }
    fn outside(&mut self, _: ValueId, operand: i128, _: Ring) -> i128 {
        operand
    }
    fn band(&mut self, op: ValueId, _: i128, exact: bool) -> bool {
        let bit = exact != self.flip;
        self.choices[op.index()] = i8::from(bit);
        bit
    }
}

/// Chooses every rounding by the sign of its influence on the output, according to the model of one case.
struct Pusher<'a> {
    case: &'a Case,
    t: f64,
    upwards: bool,
    flip: usize,
    choices: Vec<i8>,
}

impl Adversary for Pusher<'_> {
    fn rounding(&mut self, op: ValueId, _: i128, rounding: Rounding) -> i8 {
        let influence = self.case.symbols.get(&op.index()).map_or(0.0, |symbol| at(symbol, self.t));
        let choice = if (influence > 0.0) == self.upwards { rounding.high } else { rounding.low };
        self.choices[op.index()] = choice;
        choice
    }
    fn outside(&mut self, _: ValueId, operand: i128, _: Ring) -> i128 {
        operand
    }
    fn band(&mut self, op: ValueId, _: i128, exact: bool) -> bool {
        let bit = if self.flip == 0 { exact } else { !exact };
        self.choices[op.index()] = i8::from(bit);
        bit
    }
}
