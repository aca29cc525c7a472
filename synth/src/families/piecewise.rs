//! Piecewise polynomials with shared powers: thresholds, and coefficients that are local sums over comparison bits.
//!
//! Every piece has its own polynomial in t = x/2^h, the outermost pieces are the function's affine tails. The powers
//! of t are computed beside the comparisons, and one truncated sum Σ A_k·t^k ends the program. Where a coefficient is
//! exactly zero its power may overflow.

use super::builder::{BuildError, Builder, Terms, band_width};
use super::fitting;
use super::goal::{Goal, input_integer};
use super::polynomial::powers_into;
use super::{Design, Shape, target};
use crate::minimax::{self, Basis, Scaling};
use catalogs::{Function, Program, Ring, Window};
use rug::{Float, Rational};

/// Thresholds and a degree.
#[derive(Clone, PartialEq, Debug)]
pub struct Piecewise {
    /// Ends of the fitted pieces as input integers: n pieces have n + 1 of them.
    pub thresholds: Vec<i64>,
    /// Degree of every piece.
    pub degree: usize,
    /// Low bits that the comparisons ignore.
    pub dropped: u8,
}

/// Nodes at which a function is interpolated to see how fast its Chebyshev coefficients fall.
const NODES: usize = 12;
/// The most fitted pieces.
const PIECES_MAX: usize = 10;

/// The shapes that may reach `accuracy`.
pub fn shapes(goal: &Goal, accuracy: f64) -> Vec<Piecewise> {
    if matches!(goal.function, Function::Relu | Function::Reciprocal | Function::Rsqrt) {
        return Vec::new();
    }
    let one_ulp = 2f64.powi(-i32::from(goal.output_scale.bits())) / goal.unit(0.0);
    // Tails pass the last truncation.
    let tail_accuracy = accuracy - 1.1 * one_ulp;
    if tail_accuracy <= 0.0 {
        return Vec::new();
    }
    let left = match goal.tail(false) {
        Some(_) => goal.tail_edge(false, tail_accuracy),
        None => Some(goal.window.low),
    };
    let Some(left) = left else { return Vec::new() };
    let right = match goal.tail(true) {
        Some(_) => goal.tail_edge(true, tail_accuracy),
        None => Some(goal.window.high),
    };
    let Some(right) = right else { return Vec::new() };
    let scale = goal.input.scale.bits();
    let margin = input_integer(0.5, goal.input.scale);
    let table = Table::new(goal, goal.real_f64(left), goal.real_f64(right.saturating_add(margin)));
    let mut shapes = Vec::new();
    for degree in 1..=5 {
        for share in [0.9, 0.5] {
            for drop in [6, 8] {
                let Some(dropped) = scale.checked_sub(drop) else { continue };
                if let Some(thresholds) = place(goal, &table, left, right, degree, accuracy * share, dropped) {
                    shapes.push(Piecewise { thresholds, degree, dropped });
                }
            }
        }
    }
    shapes
}

/// f between two inputs, tabulated: thresholds are searched with a hundred thousand evaluations.
struct Table {
    low: f64,
    step: f64,
    values: Vec<f64>,
}

impl Table {
    const INTERVALS: usize = 2048;

    fn new(goal: &Goal, low: f64, high: f64) -> Table {
        let step = (high - low) / Self::INTERVALS as f64;
        let values = (0..=Self::INTERVALS).map(|i| goal.value(low + step * i as f64)).collect();
        Table { low, step, values }
    }

    /// Cubic interpolation, good to some ten digits.
    fn at(&self, x: f64) -> f64 {
        let position = (x - self.low) / self.step;
        let first = (position.floor() as usize).clamp(1, Self::INTERVALS - 2) - 1;
        let t = position - first as f64;
        let weights = [
            -(t - 1.0) * (t - 2.0) * (t - 3.0) / 6.0,
            t * (t - 2.0) * (t - 3.0) / 2.0,
            -t * (t - 1.0) * (t - 3.0) / 2.0,
            t * (t - 1.0) * (t - 2.0) / 6.0,
        ];
        weights.iter().zip(&self.values[first..]).map(|(weight, value)| weight * value).sum()
    }
}

/// Thresholds from left to right, each piece as long as the error allows, then evened out.
fn place(
    goal: &Goal,
    table: &Table,
    left: i64,
    right: i64,
    degree: usize,
    accuracy: f64,
    dropped: u8,
) -> Option<Vec<i64>> {
    let greedy = |accuracy: f64| {
        let mut thresholds = vec![left];
        let mut start = left;
        while start < right {
            if thresholds.len() > PIECES_MAX {
                return None;
            }
            let reaches = |end: i64| {
                let end = (end + band_width(dropped) as i64).min(goal.window.high);
                estimated_error(goal, table, start, end, degree) <= accuracy
            };
            let (mut good, mut bad) = (start, right + 1);
            while bad - good > 1.max((right - left) >> 11) {
                let middle = good + (bad - good) / 2;
                if reaches(middle) { good = middle } else { bad = middle }
            }
            if good == start {
                return None;
            }
            // The last piece ends at the edge.
            start = if bad > right { right } else { good };
            thresholds.push(start);
        }
        Some(thresholds)
    };
    let mut best = greedy(accuracy)?;
    // The same number of pieces with the least error, so that the last one is not much shorter than the others.
    let (mut low, mut high) = (accuracy / 64.0, accuracy);
    for _ in 0..5 {
        let middle = (low * high).sqrt();
        match greedy(middle) {
            Some(thresholds) if thresholds.len() <= best.len() => {
                high = middle;
                best = thresholds;
            }
            _ => low = middle,
        }
    }
    Some(best)
}

/// About the minimax error of degree `degree` on [low, high] in the goal's norm, from Chebyshev coefficients.
fn estimated_error(goal: &Goal, table: &Table, low: i64, high: i64, degree: usize) -> f64 {
    let (low, high) = (goal.real_f64(low), goal.real_f64(high));
    let angle = |i: usize| std::f64::consts::PI * (i as f64 + 0.5) / NODES as f64;
    let values: Vec<f64> =
        (0..NODES).map(|i| table.at((low + high) / 2.0 + (high - low) / 2.0 * angle(i).cos())).collect();
    let unit = values.iter().map(|value| goal.unit(*value)).fold(f64::INFINITY, f64::min);
    let coefficient = |k: usize| {
        values.iter().enumerate().map(|(i, value)| value * (k as f64 * angle(i)).cos()).sum::<f64>() * 2.0
            / NODES as f64
    };
    (degree + 1..(degree + 4).min(NODES)).map(|k| coefficient(k).abs()).sum::<f64>() / unit
}

/// The scales of one program.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Scales {
    internal: i32,
    computed: i32,
    /// The ring of the powers, the bits and the sum.
    ring: Ring,
}

impl Piecewise {
    fn reach_bits(&self, goal: &Goal) -> i32 {
        let ends = [self.thresholds.first(), self.thresholds.last()];
        let reach = ends.into_iter().flatten().map(|end| goal.real_f64(*end).abs()).fold(0.5, f64::max);
        (reach + goal.real_f64(band_width(self.dropped) as i64)).log2().ceil() as i32
    }

    /// Coefficients of t⁰ … for every fitted piece, and the largest error.
    fn fit(&self, goal: &Goal) -> Option<(Vec<Vec<Rational>>, f64)> {
        let function = &goal.function;
        let f = |x: &Float, precision: u32| target::value(function, x, precision);
        let (absolute, relative) = goal.weights();
        let norm = || minimax::Norm::Mixed {
            absolute: Rational::from_f64(absolute).unwrap_or_default(),
            relative: Rational::from_f64(relative).unwrap_or_default(),
        };
        let (mut all, mut worst) = (Vec::new(), 0.0f64);
        for ends in self.thresholds.windows(2) {
            let high = (ends[1] + band_width(self.dropped) as i64).min(goal.window.high);
            let scaling = Scaling::new(Rational::new(), Rational::from(1) << self.reach_bits(goal)).ok()?;
            let basis = Basis::full(self.degree as u32).with_scaling(scaling);
            let fitted = fitting::best(&f, norm(), (goal.real(ends[0]), goal.real(high)), basis)?;
            worst = worst.max(fitted.error);
            all.push(fitted.coefficients);
        }
        Some((all, worst))
    }

    fn program(&self, goal: &Goal, pieces: &[Vec<Rational>], scales: Scales) -> Result<Program, BuildError> {
        let mut b = Builder::new(goal.input.ring, goal.input.scale);
        let x = b.input();
        let range = (i128::from(goal.window.low), i128::from(goal.window.high));
        let h = self.reach_bits(goal);
        // From left to right: tail, fitted pieces, tail; the polynomial to the left of each threshold.
        let affine = |(constant, slope): (i32, i32)| vec![Rational::from(constant), Rational::from(slope) << h];
        let mut polynomials = vec![];
        let mut below = vec![];
        let first = *self.thresholds.first().unwrap_or(&goal.window.low);
        let last = *self.thresholds.last().unwrap_or(&goal.window.high);
        if let (Some(tail), true) = (goal.tail(false), first > goal.window.low) {
            polynomials.push(affine(tail));
            // This band must not reach into the fitted interval with the tail; it lies to its left.
            let bit = b.less_than(x, i128::from(first) - band_width(self.dropped), range, self.dropped)?;
            below.push(b.inject_into(bit, scales.ring));
        }
        for (piece, end) in pieces.iter().zip(&self.thresholds[1..]) {
            polynomials.push(piece.clone());
            if *end < last || last < goal.window.high && goal.tail(true).is_some() {
                let bit = b.less_than(x, i128::from(*end), range, self.dropped)?;
                below.push(b.inject_into(bit, scales.ring));
            }
        }
        if let (Some(tail), true) = (goal.tail(true), last < goal.window.high) {
            polynomials.push(affine(tail));
        }
        let t = x.divided_by_power(h);
        let w = powers_into(&mut b, t, self.degree, scales.internal, scales.ring)?;
        let mut terms = Terms::new();
        for exponent in 0..=self.degree {
            let scale = scales.computed - exponent.checked_sub(1).map_or(0, |index| w[index].scale());
            // Rounded first, so that differences are exact and a zero coefficient stays exactly zero.
            let at = |index: usize| rounded(polynomials[index].get(exponent), scale);
            let mut selected = Terms::new().constant(at(polynomials.len() - 1));
            for (index, bit) in below.iter().enumerate() {
                selected = selected.linear(at(index) - at(index + 1), *bit);
            }
            if exponent == 0 {
                let constant = b.exact(&selected, scales.computed)?;
                terms = terms.linear(1, constant);
            } else {
                let coefficient = b.exact(&selected, scale)?;
                terms = terms.product(1, coefficient, w[exponent - 1]);
            }
        }
        let output = i32::from(goal.output_scale.bits());
        b.truncated_into(&terms, output, scales.computed - output, goal.input.ring)?;
        b.finish()
    }
}

/// The scales that are tried, in the format's ring and in narrower ones.
fn scales(goal: &Goal) -> Vec<Scales> {
    let full = goal.input.ring;
    let mut scales = Vec::new();
    for internal in (12..=30).step_by(2) {
        for guard in [6, 12, 18, 24] {
            scales.push(Scales { internal, computed: internal + guard, ring: full });
        }
    }
    for ring in (32..full.bits().min(58)).step_by(2).filter_map(Ring::new) {
        let bits = i32::from(ring.bits());
        for internal in [bits / 2 - 1, bits / 2 - 3, bits / 2 - 5] {
            for computed in [bits - 4, bits - 8, bits - 12] {
                scales.push(Scales { internal, computed, ring });
            }
        }
    }
    scales
}

fn rounded(coefficient: Option<&Rational>, scale: i32) -> Rational {
    coefficient.map_or_else(Rational::new, |c| Rational::from(c << scale).round() >> scale)
}

impl Shape for Piecewise {
    fn family(&self) -> &'static str {
        "piecewise"
    }

    fn describe(&self) -> String {
        format!("degree {} dropped {} thresholds {:?}", self.degree, self.dropped, self.thresholds)
    }

    fn fit_error(&self, goal: &Goal) -> Option<f64> {
        self.fit(goal).map(|(_, error)| error)
    }

    fn designs(&self, goal: &Goal, accuracy: f64) -> Vec<Design> {
        let Some((pieces, fit_error)) = self.fit(goal).filter(|(_, error)| *error < accuracy) else {
            return Vec::new();
        };
        let last = self.thresholds.last().map_or(goal.window.high, |end| end + band_width(self.dropped) as i64);
        let first = self.thresholds.first().map_or(goal.window.low, |end| end - band_width(self.dropped) as i64);
        let fitted = Window { low: first, high: last };
        let mut designs = Vec::new();
        for scales in scales(goal) {
            let Ok(program) = self.program(goal, &pieces, scales) else { continue };
            let Scales { internal, computed, ring } = scales;
            let parameters = format!("{} internal {internal} computed {computed} ring {ring}", self.describe());
            designs.push(Design { family: self.family(), parameters, program, fit_error, fitted });
        }
        designs
    }
}
