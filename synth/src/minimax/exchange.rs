//! The exchange: reference, level, extrema, again.
//!
//! Unknowns are the coordinates `d` in the frame and the level `h`; the point `x` with sign `s`
//! gives the row `s (value(x) - frame(x) · d) <= h`. The rows only grow, so the level only rises.

use super::basis::dot;
use super::dense::solve;
use super::extrema::Extremum;
use super::failure::{MinimaxError, decimal};
use super::frame::Frame;
use super::linear_program::reference;
use super::polynomial::{Fit, Options};
use super::sampling::{Sample, Sampler, error_extrema, scale};
use super::simplex::{Active, Row, Simplex, Variable};
use rug::Float;
use rug::ops::NegAssign;

pub(super) struct Exchange<'a> {
    sampler: Sampler<'a>,
    frame: Frame,
    scan: Vec<Vec<Sample>>,
    simplex: Simplex,
    /// The point of each row of the simplex, and whether the row bounds a negative error.
    points: Vec<(Float, bool)>,
    options: &'a Options,
    /// Errors below this are rounding.
    negligible: Float,
}

/// A level and the polynomial that attains it.
struct Levelled {
    coordinates: Vec<Float>,
    coefficients: Vec<Float>,
    level: Float,
}

impl<'a> Exchange<'a> {
    pub fn new(
        sampler: Sampler<'a>,
        frame: Frame,
        scan: Vec<Vec<Sample>>,
        options: &'a Options,
    ) -> Self {
        let precision = sampler.precision;
        let functions = sampler.basis.exponents().len();
        let scale = scale(&scan, precision);
        let negligible = Float::with_val(precision, &scale >> (precision - 64));
        // Far outside every coordinate of a sensible approximation, far inside the precision.
        let far = Float::with_val(precision, &scale << 40u32) + 1u32;
        let mut variables = vec![
            Variable {
                low: Float::with_val(precision, -&far),
                high: far.clone(),
                cost: Float::new(precision),
            };
            functions
        ];
        variables.push(Variable {
            low: Float::new(precision),
            high: far,
            cost: Float::with_val(precision, 1),
        });
        let simplex = Simplex::new(&variables, precision);
        Self {
            sampler,
            frame,
            scan,
            simplex,
            points: Vec::new(),
            options,
            negligible,
        }
    }

    /// Exchanges until the gap is closed and a scan twice as fine finds nothing new.
    pub fn run(mut self) -> Result<Fit, MinimaxError> {
        self.seed()?;
        let finest = 12 + (-self.options.gap.log2() / 2.0).clamp(4.0, 500.0) as u32;
        let (mut bits, mut confirmed) = (10u32, false);
        let mut excess = Float::new(self.sampler.precision);
        for exchanges in 1..=self.options.exchanges {
            let levelled = self.level()?;
            let floor = Float::with_val(self.sampler.precision, &levelled.level / 2u32);
            let extrema = error_extrema(
                &self.sampler,
                &self.scan,
                &levelled.coefficients,
                &floor,
                bits,
            )?;
            let largest = largest(&extrema, self.sampler.precision);
            if largest <= self.negligible {
                return Ok(self.finish(levelled, largest, exchanges, true));
            }
            excess = Float::with_val(self.sampler.precision, &largest / &levelled.level) - 1u32;
            if excess <= self.options.gap {
                if confirmed && bits >= finest {
                    return Ok(self.finish(levelled, largest, exchanges, false));
                }
                confirmed = true;
                self.sampler.refine(&mut self.scan)?;
            }
            // The next exchange squares the excess; its extrema must be located that well.
            let closeness = excess
                .get_exp()
                .map_or(finest, |exponent| (-exponent).max(0) as u32);
            bits = if excess > 0 {
                (closeness + 10).clamp(10, finest)
            } else {
                finest
            };
            if excess <= self.options.gap {
                bits = finest;
            }
            for extremum in extrema {
                if *extremum.error.as_abs() >= levelled.level {
                    self.constrain(&extremum.x, extremum.error.is_sign_negative())?;
                }
            }
        }
        Err(MinimaxError::Stalled {
            exchanges: self.options.exchanges,
            excess: decimal(&excess),
        })
    }

    /// The reference of the floating-point program, solved twice; the whole grid if it gives up.
    fn seed(&mut self) -> Result<(), MinimaxError> {
        let precision = self.sampler.precision;
        let functions = self.sampler.basis.exponents().len();
        let samples: Vec<Sample> = self.scan.iter().flatten().cloned().collect();
        let order_one = (samples.len() as f64).sqrt();
        let framed: Vec<Vec<f64>> = samples
            .iter()
            .map(|sample| {
                self.frame
                    .row(&sample.row)
                    .iter()
                    .map(|entry| entry.to_f64() * order_one)
                    .collect()
            })
            .collect();
        let mut coefficients = vec![Float::new(precision); functions];
        for _ in 0..2 {
            let errors: Vec<Float> = samples
                .iter()
                .map(|sample| sample.error(&coefficients))
                .collect();
            let mut largest = Float::new(precision);
            errors
                .iter()
                .for_each(|error| largest.max_mut(&error.as_abs()));
            if largest <= self.negligible {
                break;
            }
            let scaled: Vec<f64> = errors
                .iter()
                .map(|error| Float::with_val(53, error / &largest).to_f64())
                .collect();
            let support =
                reference(&framed, &scaled).unwrap_or_else(|| (0..samples.len()).collect());
            for index in support {
                self.constrain(&samples[index].x, false)?;
                self.constrain(&samples[index].x, true)?;
            }
            coefficients = self.level()?.coefficients;
        }
        Ok(())
    }

    /// Adds the row of a point and a sign of the error.
    fn constrain(&mut self, x: &Float, negative: bool) -> Result<(), MinimaxError> {
        if self
            .points
            .iter()
            .any(|(known, sign)| known == x && *sign == negative)
        {
            return Ok(());
        }
        let Some(sample) = self.sampler.sample(x)? else {
            return Ok(());
        };
        let mut form = self.frame.row(&sample.row);
        let mut bound = sample.value;
        if !negative {
            form.iter_mut().for_each(|entry| entry.neg_assign());
            bound = -bound;
        }
        form.push(Float::with_val(self.sampler.precision, -1));
        self.simplex.add(Row { form, bound });
        self.points.push((sample.x, negative));
        Ok(())
    }

    /// Solves the rows and levels the reference again by elimination.
    fn level(&mut self) -> Result<Levelled, MinimaxError> {
        let precision = self.sampler.precision;
        let functions = self.sampler.basis.exponents().len();
        let level = self.simplex.point()[functions].clone().abs();
        let mut tolerance = level * (self.options.gap / 16.0);
        tolerance.max_mut(&self.negligible);
        self.simplex.optimise(&tolerance)?;
        let mut active = Vec::new();
        for constraint in self.simplex.active() {
            if let Active::Row(index) = constraint {
                active.push(&self.simplex.rows()[*index]);
            }
        }
        let mut solution = self.simplex.point().to_vec();
        if active.len() == solution.len() {
            let matrix = active.iter().map(|row| row.form.clone()).collect();
            let right = active.iter().map(|row| row.bound.clone()).collect();
            if let Some(levelled) = solve(matrix, right, precision) {
                solution = levelled;
            }
        }
        let level = solution
            .pop()
            .map_or_else(|| Float::new(precision), Float::abs);
        let coefficients = self.frame.coefficients(&solution);
        Ok(Levelled {
            coordinates: solution,
            coefficients,
            level,
        })
    }

    fn finish(self, levelled: Levelled, largest: Float, exchanges: u32, exact: bool) -> Fit {
        let precision = self.sampler.precision;
        let mut extrema: Vec<Extremum> = Vec::new();
        for constraint in self.simplex.active() {
            if let Active::Row(index) = constraint {
                let row = &self.simplex.rows()[*index];
                let (x, negative) = &self.points[*index];
                let coordinates = &levelled.coordinates;
                let above =
                    dot(&row.form[..coordinates.len()], coordinates, precision) - &row.bound;
                let error = if *negative { -above } else { above };
                extrema.push(Extremum {
                    x: x.clone(),
                    error,
                });
            }
        }
        extrema.sort_by(|a, b| a.x.total_cmp(&b.x));
        let lower_bound = if exact {
            Float::new(precision)
        } else {
            levelled.level
        };
        Fit {
            basis: self.sampler.basis.clone(),
            coefficients: levelled.coefficients,
            minimax_error: largest,
            lower_bound,
            extrema,
            folded: None,
            exchanges,
            precision,
        }
    }
}

fn largest(extrema: &[Extremum], precision: u32) -> Float {
    let mut largest = Float::new(precision);
    extrema
        .iter()
        .for_each(|extremum| largest.max_mut(&extremum.error.as_abs()));
    largest
}
