//! Quantised coefficients: integers times powers of two, close to the best there are.
//!
//! Four candidates are measured by their true weighted error and the best is kept, so that the
//! result is never worse than plain rounding: plain rounding; a descent from it; the best leaf of a
//! branch and bound; a descent from that. The branch and bound fixes one coefficient at a time,
//! largest effect first, and solves the minimax problem of the free ones again by the dual simplex
//! of the exchange; the level is a lower bound for all completions and rises convexly with the
//! distance from the free optimum, so that both directions end (Schnorr and Euchner's order).
//!
//! The search runs on `f64` in units of the fit's error: errors are summed in high precision and
//! then rounded, so that they keep their relative accuracy however small they are.

use super::failure::MinimaxError;
use super::frame::Frame;
use super::polynomial::{Fit, Options, Problem, reduce};
use super::quantise_tree::Tree;
use super::sampling::{Sample, Sampler, largest_error};
use rug::{Float, Integer};

/// How long a quantisation searches.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantiseOptions {
    /// Linear programs that the branch and bound may solve.
    pub nodes: usize,
    /// Passes of each descent.
    pub passes: usize,
}

impl Default for QuantiseOptions {
    fn default() -> Self {
        Self {
            nodes: 400,
            passes: 60,
        }
    }
}

/// Integer coefficients and what they cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantised {
    /// Coefficient `j` is `integers[j] * 2^steps[j]`, in the order of the fit's coefficients.
    pub integers: Vec<Integer>,
    /// Their largest weighted error, sampled and refined at the peaks.
    pub error: Float,
    /// The same for coefficients rounded to nearest.
    pub rounded_error: Float,
    /// Whether the branch and bound ended before its limit: then no integers do better on the
    /// fit's grid by more than a relative `1e-3`, in floating point.
    pub exhausted: bool,
    /// Linear programs solved.
    pub nodes: usize,
}

/// Rounds the coefficients of `fit` to multiples of `2^steps[j]`, then improves them.
pub fn quantise(
    problem: &Problem,
    fit: &Fit,
    steps: &[i32],
    options: &Options,
    search: &QuantiseOptions,
) -> Result<Quantised, MinimaxError> {
    if steps.len() != fit.coefficients.len() {
        return Err(MinimaxError::Steps {
            steps: steps.len(),
            coefficients: fit.coefficients.len(),
        });
    }
    let reduced = reduce(problem)?;
    let kept: Vec<usize> = problem
        .basis
        .exponents()
        .iter()
        .enumerate()
        .filter(|(_, exponent)| reduced.basis.exponents().contains(exponent))
        .map(|(index, _)| index)
        .collect();
    let sampler = Sampler {
        target: problem.target,
        norm: &problem.norm,
        basis: &reduced.basis,
        precision: fit.precision,
    };
    let scan = sampler.scan(&reduced.domain, options.density.max(2) * (kept.len() + 2))?;
    let lattice = Lattice {
        optimum: kept
            .iter()
            .map(|&index| fit.coefficients[index].clone())
            .collect(),
        steps: kept.iter().map(|&index| steps[index]).collect(),
        precision: fit.precision,
    };
    let coarse = Grid::new(&scan, &lattice);
    let rows = scan.iter().flatten().map(|sample| sample.row.as_slice());
    let frame = Frame::new(rows, kept.len(), fit.precision);
    let mut tree = Tree::new(&scan, &coarse, &lattice, &frame, search.nodes);
    let mut finer = scan.clone();
    sampler.refine(&mut finer)?;
    let fine = Grid::new(&finer, &lattice);

    let rounded = lattice.round();
    let descended = descend(&fine, &lattice, rounded.clone(), search.passes);
    tree.search(coarse.largest(&lattice, &descended))?;
    let mut candidates = vec![rounded, descended];
    if let Some(leaf) = tree.take_best() {
        let descended = descend(&fine, &lattice, leaf.clone(), search.passes);
        candidates.extend([leaf, descended]);
    }
    let mut measured = Vec::with_capacity(candidates.len());
    for integers in candidates {
        let error = largest_error(&sampler, &finer, &lattice.coefficients(&integers), 24)?;
        measured.push((integers, error));
    }
    let rounded_error = measured[0].1.clone();
    let (best, error) = measured
        .into_iter()
        .reduce(|best, next| if next.1 < best.1 { next } else { best })
        .expect("plain rounding is always a candidate");
    let mut integers = vec![Integer::new(); steps.len()];
    for (index, integer) in kept.into_iter().zip(best) {
        integers[index] = integer;
    }
    let (exhausted, nodes) = (tree.nodes_left() > 0, search.nodes - tree.nodes_left());
    Ok(Quantised {
        integers,
        error,
        rounded_error,
        exhausted,
        nodes,
    })
}

/// The coefficients a program can hold, around the fit's.
pub(super) struct Lattice {
    pub optimum: Vec<Float>,
    pub steps: Vec<i32>,
    pub precision: u32,
}

impl Lattice {
    fn round(&self) -> Vec<Integer> {
        self.optimum
            .iter()
            .zip(&self.steps)
            .map(|(c, &step)| nearest(&(c.clone() >> step)))
            .collect()
    }

    fn coefficients(&self, integers: &[Integer]) -> Vec<Float> {
        let scaled = integers.iter().zip(&self.steps);
        scaled
            .map(|(integer, &step)| Float::with_val(self.precision, integer) << step)
            .collect()
    }

    /// Distance of a quantised coefficient from the fit's.
    pub fn offset(&self, coefficient: usize, integer: &Integer) -> Float {
        (Float::with_val(self.precision, integer) << self.steps[coefficient])
            - &self.optimum[coefficient]
    }
}

pub(super) fn nearest(value: &Float) -> Integer {
    value.to_integer().unwrap_or_default()
}

/// The samples of a scan, and the effects of one step of each coefficient there in `f64`, in units
/// of the fit's largest error (or of the smallest effect where the fit is exact).
pub(super) struct Grid<'a> {
    samples: Vec<&'a Sample>,
    /// `effects[coefficient][sample]`.
    effects: Vec<Vec<f64>>,
    pub unit: Float,
}

impl<'a> Grid<'a> {
    fn new(scan: &'a [Vec<Sample>], lattice: &Lattice) -> Self {
        let samples: Vec<&Sample> = scan.iter().flatten().collect();
        let precision = lattice.precision;
        let mut unit = Float::new(precision);
        for sample in &samples {
            unit.max_mut(&sample.error(&lattice.optimum).as_abs());
        }
        let mut effects: Vec<Vec<Float>> = Vec::new();
        let mut smallest: Option<Float> = None;
        for (coefficient, &step) in lattice.steps.iter().enumerate() {
            let column: Vec<Float> = samples
                .iter()
                .map(|sample| sample.row[coefficient].clone() << step)
                .collect();
            let mut largest = Float::new(precision);
            column
                .iter()
                .for_each(|effect| largest.max_mut(&effect.as_abs()));
            smallest = Some(match smallest {
                Some(smallest) => smallest.min(&largest),
                None => largest,
            });
            effects.push(column);
        }
        let least = smallest.unwrap_or_else(|| Float::with_val(precision, 1)) >> 40u32;
        unit.max_mut(&least);
        let scaled = |column: Vec<Float>| {
            column
                .iter()
                .map(|effect| Float::with_val(64, effect / &unit).to_f64())
                .collect()
        };
        let effects = effects.into_iter().map(scaled).collect();
        Self {
            samples,
            effects,
            unit,
        }
    }

    /// The largest effect of one step of a coefficient.
    pub fn effect(&self, coefficient: usize) -> f64 {
        self.effects[coefficient]
            .iter()
            .fold(0.0, |peak, effect| effect.abs().max(peak))
    }

    /// Errors of quantised coefficients at the samples, summed in high precision.
    fn errors_of(&self, lattice: &Lattice, integers: &[Integer]) -> Vec<f64> {
        let coefficients = lattice.coefficients(integers);
        let errors = self
            .samples
            .iter()
            .map(|sample| sample.error(&coefficients));
        errors.map(|error| (error / &self.unit).to_f64()).collect()
    }

    /// The largest magnitude of [`Grid::errors_of`].
    pub fn largest(&self, lattice: &Lattice, integers: &[Integer]) -> f64 {
        self.errors_of(lattice, integers)
            .into_iter()
            .fold(0.0, |peak, error| error.abs().max(peak))
    }
}

/// Moves of one coefficient, or of two at once, by one step, as long as the largest error falls.
fn descend(
    grid: &Grid,
    lattice: &Lattice,
    mut integers: Vec<Integer>,
    passes: usize,
) -> Vec<Integer> {
    let mut errors = grid.errors_of(lattice, &integers);
    let mut peak = errors
        .iter()
        .fold(0.0, |peak: f64, error| error.abs().max(peak));
    let count = integers.len();
    for _ in 0..passes {
        let mut best: Option<(Vec<(usize, i32)>, f64)> = None;
        let mut consider = |step: Vec<(usize, i32)>| {
            let bound = best.as_ref().map_or(peak * (1.0 - 1e-9), |(_, peak)| *peak);
            if let Some(reached) = peak_after(grid, &errors, &step, bound) {
                best = Some((step, reached));
            }
        };
        for first in 0..count {
            for sign in [1, -1] {
                consider(vec![(first, sign)]);
                for second in first + 1..count {
                    consider(vec![(first, sign), (second, 1)]);
                    consider(vec![(first, sign), (second, -1)]);
                }
            }
        }
        let Some((step, reached)) = best else {
            break;
        };
        for (coefficient, sign) in step {
            integers[coefficient] += sign;
        }
        errors = grid.errors_of(lattice, &integers);
        peak = reached;
    }
    integers
}

/// The largest error after a move, or `None` as soon as it reaches `bound`.
fn peak_after(grid: &Grid, errors: &[f64], step: &[(usize, i32)], bound: f64) -> Option<f64> {
    let mut peak = 0f64;
    for (index, error) in errors.iter().enumerate() {
        let mut moved = *error;
        for &(coefficient, sign) in step {
            moved -= f64::from(sign) * grid.effects[coefficient][index];
        }
        peak = peak.max(moved.abs());
        if peak >= bound {
            return None;
        }
    }
    Some(peak)
}
