//! Search for an input and roundings that come close to the proved bound.
//!
//! The checker's own models say which rounding pushes the output which way: at every sampled input all roundings are
//! chosen to push up, then all to push down, and the evaluator says what really comes out.

use super::Section;
use catalogs::{Adversary, Decimal, Entry, Ring, Rounding, ValueId, evaluate};
use dashu::integer::IBig;
use dashu::rational::RBig;
use std::collections::BTreeMap;
use verify::Witness;
use verify::examine::Examination;
use verify::model::{FRACTION, Model};

/// The best error that was attained.
#[derive(Clone, Debug)]
pub struct Attempt {
    input: i64,
    choices: Vec<i8>,
    /// In the claim's norm, in double precision.
    pub error: f64,
}

impl Attempt {
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

/// A polynomial in double precision, in output units.
struct Sampled(Vec<f64>);

impl Sampled {
    fn new(coefficients: &[IBig]) -> Sampled {
        Sampled(coefficients.iter().map(|c| c.to_f64().value() / 2f64.powi(FRACTION as i32)).collect())
    }
    fn at(&self, t: f64) -> f64 {
        self.0.iter().rev().fold(0.0, |sum, c| sum * t + c)
    }
}

struct Case {
    value: Sampled,
    symbols: BTreeMap<usize, Sampled>,
}

impl Case {
    fn new(model: &Model) -> Case {
        let symbols = model.symbols.iter().map(|(index, p)| (*index, Sampled::new(&p.0))).collect();
        Case { value: Sampled::new(&model.polynomial.0), symbols }
    }
}

/// The best of up to `samples` inputs of the section; `None` if the section's program is exact.
pub fn search(entry: &Entry, section: &Section, samples: usize) -> Option<Attempt> {
    let examination: &Examination = &section.examination;
    let reference = Sampled::new(&examination.reference().polynomial.0);
    let cases: Vec<Case> = examination.outputs().iter().map(Case::new).collect();
    let unit = 2f64.powi(i32::from(entry.program.output().1.bits()));
    let (absolute, relative) = (entry.claim.norm.absolute.to_f64_lossy(), entry.claim.norm.relative.to_f64_lossy());
    let width = section.high as f64 - section.low as f64;
    let position = |x: i64| if width == 0.0 { 0.0 } else { 2.0 * (x as f64 - section.low as f64) / width - 1.0 };
    let mut candidates = inputs(section, samples);
    let promise = |x: i64| {
        let t = position(x);
        let f = reference.at(t);
        let weight = absolute + relative * (f / unit).abs();
        let error =
            |case: &Case| (case.value.at(t) - f).abs() + case.symbols.values().map(|s| s.at(t).abs()).sum::<f64>();
        cases.iter().map(error).fold(0.0, f64::max) / weight
    };
    let mut ranked: Vec<(f64, i64)> = candidates.drain(..).map(|x| (promise(x), x)).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut best: Option<Attempt> = None;
    for (limit, x) in ranked {
        if best.as_ref().is_some_and(|attempt| limit <= attempt.error) {
            break;
        }
        let t = position(x);
        let f = reference.at(t);
        let weight = (absolute + relative * (f / unit).abs()) * unit;
        for (index, case) in cases.iter().enumerate() {
            for upwards in [true, false] {
                let mut pusher = Pusher { case, t, upwards, flip: index, choices: vec![0; entry.program.ops().len()] };
                let value = evaluate(&entry.program, i128::from(x), &mut pusher);
                let error = (value as f64 - f).abs() / weight;
                if error > 0.0 && best.as_ref().is_none_or(|attempt| attempt.error < error) {
                    best = Some(Attempt { input: x, choices: pusher.choices, error });
                }
            }
        }
    }
    best
}

/// Every input of a small section; otherwise its ends, an even grid, and a run of neighbours.
fn inputs(section: &Section, samples: usize) -> Vec<i64> {
    let (low, high) = (section.low, section.high);
    let width = i128::from(high) - i128::from(low);
    if width < samples as i128 {
        return (low..=high).collect();
    }
    let count = samples as i128;
    (0..=count).map(|i| (i128::from(low) + width * i / count) as i64).collect()
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
        let influence = self.case.symbols.get(&op.index()).map_or(0.0, |symbol| symbol.at(self.t));
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
