//! Errors of integer coefficients on a grid, in double precision, and the descent that lowers them.

use super::quantise::Coefficients;
use super::sampling::Sample;
use rug::{Float, Integer};

/// The effects of moves of the coefficients at the samples, in units of the error that the grid was made for.
pub(super) struct Grid {
    /// Integer coefficients that a move adds.
    moves: Vec<Vec<Integer>>,
    /// `effects[move][sample]`.
    effects: Vec<Vec<f64>>,
    origin: Vec<Integer>,
    /// Errors of `origin`, in high precision.
    errors: Vec<Float>,
    /// `columns[coefficient][sample]`: the effect of one step, in high precision.
    columns: Vec<Vec<Float>>,
    /// Errors are counted in this.
    pub unit: Float,
}

impl Grid {
    /// A grid around `origin`, whose largest error is the unit (or 2^-60 of the smallest effect, if it is exact).
    pub fn new(samples: &[Sample], coefficients: &Coefficients, moves: Vec<Vec<Integer>>, origin: &[Integer]) -> Self {
        let precision = coefficients.precision;
        let values = coefficients.values(origin);
        let errors: Vec<Float> = samples.iter().map(|sample| sample.error(&values)).collect();
        let columns: Vec<Vec<Float>> = (0..coefficients.steps.len())
            .map(|index| samples.iter().map(|sample| sample.row[index].clone() << coefficients.steps[index]).collect())
            .collect();
        let peak = |column: &[Float]| {
            column
                .iter()
                .fold(Float::new(precision), |most, value| most.max(&Float::with_val(precision, value.abs_ref())))
        };
        let least = columns.iter().map(|column| peak(column)).reduce(|a, b| a.min(&b));
        let least = least.unwrap_or_else(|| Float::with_val(precision, 1)) >> 60u32;
        // The rounded fit can be as far off as its steps are coarse; the real optimum is no worse a unit then.
        let optimum = samples.iter().map(|sample| sample.error(&coefficients.optimum)).collect::<Vec<_>>();
        let typical =
            columns.iter().map(|column| peak(column)).reduce(|a, b| a.min(&b)).unwrap_or_else(|| least.clone());
        let unit = peak(&errors).min(&(peak(&optimum) + typical)).max(&least);
        let effects = moves.iter().map(|delta| {
            let mut sums = vec![Float::new(precision); samples.len()];
            for (column, factor) in columns.iter().zip(delta).filter(|(_, factor)| **factor != 0) {
                sums.iter_mut().zip(column).for_each(|(sum, value)| *sum += Float::with_val(precision, value * factor));
            }
            sums.iter().map(|sum| Float::with_val(64, sum / &unit).to_f64()).collect()
        });
        let effects = effects.collect();
        Self { moves, effects, origin: origin.to_vec(), errors, columns, unit }
    }

    /// Errors of integer coefficients at the samples, summed in high precision.
    pub fn errors(&self, integers: &[Integer]) -> Vec<f64> {
        let mut sums = self.errors.clone();
        for ((column, integer), origin) in self.columns.iter().zip(integers).zip(&self.origin) {
            let apart = Integer::from(integer - origin);
            if apart != 0 {
                for (sum, value) in sums.iter_mut().zip(column) {
                    *sum -= Float::with_val(value.prec(), value * &apart);
                }
            }
        }
        sums.into_iter().map(|sum| Float::with_val(64, sum / &self.unit).to_f64()).collect()
    }

    /// The largest magnitude of [`Grid::errors`].
    pub fn largest(&self, integers: &[Integer]) -> f64 {
        self.errors(integers).into_iter().fold(0.0, |peak, error| error.abs().max(peak))
    }
}

/// Single moves and pairs of moves, forth or back, as long as the largest error falls.
pub(super) fn descend(grid: &Grid, start: &[Integer], passes: usize) -> Vec<Integer> {
    let mut integers = start.to_vec();
    let mut errors = grid.errors(&integers);
    let mut peak = errors.iter().fold(0.0, |peak: f64, error| error.abs().max(peak));
    let count = grid.moves.len();
    for _ in 0..passes {
        let mut best: Option<(Vec<(usize, i32)>, f64)> = None;
        // Only a move that lowers the highest peak can lower the largest error.
        let highest = (0..errors.len()).max_by(|&a, &b| errors[a].abs().total_cmp(&errors[b].abs())).unwrap_or(0);
        let mut consider = |step: Vec<(usize, i32)>| {
            let bound = best.as_ref().map_or(peak * (1.0 - 1e-9), |(_, peak)| *peak);
            let moved = |index: usize| {
                step.iter()
                    .fold(errors[index], |error, &(which, sign)| error - f64::from(sign) * grid.effects[which][index])
            };
            if moved(highest).abs() >= bound {
                return;
            }
            let mut reached = 0f64;
            for index in 0..errors.len() {
                reached = reached.max(moved(index).abs());
                if reached >= bound {
                    return;
                }
            }
            best = Some((step, reached));
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
        let Some((step, _)) = best else { break };
        for (which, sign) in step {
            for (entry, delta) in integers.iter_mut().zip(&grid.moves[which]) {
                *entry += Integer::from(delta * sign);
            }
        }
        errors = grid.errors(&integers);
        peak = errors.iter().fold(0.0, |peak, error| error.abs().max(peak));
    }
    integers
}
