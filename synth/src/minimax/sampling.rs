//! Samples of an approximation problem: everything divided by the unit of the error, so that the
//! error of the polynomial with coefficients `c` at a sample is `value - row · c`.

use super::basis::{Basis, dot};
use super::domain::Domain;
use super::extrema::{Extremum, local_extrema};
use super::failure::{MinimaxError, decimal};
use super::target::{Norm, Target, finite_value};
use rug::Float;

/// One point of the domain.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub x: Float,
    /// The free monomials over the unit of the error.
    pub row: Vec<Float>,
    /// The target without the fixed terms, over the unit of the error.
    pub value: Float,
}

impl Sample {
    /// The signed weighted error of the polynomial with these coefficients.
    pub fn error(&self, coefficients: &[Float]) -> Float {
        let precision = self.x.prec();
        &self.value - dot(&self.row, coefficients, precision)
    }
}

/// Evaluates target, basis and unit at points.
#[derive(Clone)]
pub(super) struct Sampler<'a> {
    pub target: &'a dyn Target,
    pub norm: &'a Norm<'a>,
    pub basis: &'a Basis,
    pub precision: u32,
}

impl Sampler<'_> {
    /// The sample at `x`; `None` where unit, basis and target vanish together, so that every
    /// polynomial of the basis is exact.
    pub fn sample(&self, x: &Float) -> Result<Option<Sample>, MinimaxError> {
        let precision = self.precision;
        let value = finite_value(self.target, x, precision)?;
        let unit = self.norm.unit(x, &value, precision);
        let t = self.basis.scaling().variable(x, precision);
        let mut row = self.basis.monomials(&t);
        let rest = value - self.basis.fixed_part(&t);
        if !unit.is_finite() || unit <= 0 {
            let vanishes = rest.is_zero() && row.iter().all(Float::is_zero);
            if unit.is_zero() && vanishes {
                return Ok(None);
            }
            return Err(MinimaxError::Weight {
                x: decimal(x),
                weight: decimal(&unit),
            });
        }
        let weight = unit.recip();
        row.iter_mut().for_each(|entry| *entry *= &weight);
        let value = rest * &weight;
        Ok(Some(Sample {
            x: Float::with_val(precision, x),
            row,
            value,
        }))
    }

    /// The weighted error at `x`; zero where every polynomial of the basis is exact.
    pub fn error(&self, x: &Float, coefficients: &[Float]) -> Result<Float, MinimaxError> {
        Ok(match self.sample(x)? {
            Some(sample) => sample.error(coefficients),
            None => Float::new(self.precision),
        })
    }

    /// Samples at `count` Chebyshev nodes of every interval, by interval, ascending.
    pub fn scan(&self, domain: &Domain, count: usize) -> Result<Vec<Vec<Sample>>, MinimaxError> {
        let mut scan = Vec::with_capacity(domain.intervals().len());
        for interval in domain.intervals() {
            let (low, high) = interval.ends(self.precision);
            let nudge = Float::with_val(self.precision, &high - &low) >> (self.precision / 4);
            let mut piece = Vec::with_capacity(count);
            for x in interval.nodes(count, self.precision) {
                if let Some(sample) = self.sample(&x)? {
                    piece.push(sample);
                    continue;
                }
                // The error has a limit here, which may be an extremum: look close by.
                for near in [
                    Float::with_val(self.precision, &x - &nudge),
                    Float::with_val(self.precision, &x + &nudge),
                ] {
                    if near >= low && near <= high {
                        piece.extend(self.sample(&near)?);
                    }
                }
            }
            scan.push(piece);
        }
        Ok(scan)
    }

    /// Puts a sample between every two neighbours.
    pub fn refine(&self, scan: &mut [Vec<Sample>]) -> Result<(), MinimaxError> {
        for piece in scan {
            let mut refined = Vec::with_capacity(2 * piece.len());
            for sample in piece.drain(..) {
                if let Some(before) = refined.last() {
                    let before: &Sample = before;
                    let middle = Float::with_val(self.precision, &before.x + &sample.x) / 2u32;
                    refined.extend(self.sample(&middle)?);
                }
                refined.push(sample);
            }
            *piece = refined;
        }
        Ok(())
    }
}

/// The local extrema of the weighted error of a polynomial that exceed `floor`, over a whole scan.
pub(super) fn error_extrema(
    sampler: &Sampler,
    scan: &[Vec<Sample>],
    coefficients: &[Float],
    floor: &Float,
    bits: u32,
) -> Result<Vec<Extremum>, MinimaxError> {
    let error_at = |x: &Float| sampler.error(x, coefficients);
    let mut extrema = Vec::new();
    for piece in scan {
        let errors: Vec<(&Float, Float)> = piece
            .iter()
            .map(|sample| (&sample.x, sample.error(coefficients)))
            .collect();
        extrema.extend(local_extrema(&errors, &error_at, floor, bits)?);
    }
    Ok(extrema)
}

/// The largest weighted error of a polynomial: over the scan, then at the extrema near its peaks.
pub(super) fn largest_error(
    sampler: &Sampler,
    scan: &[Vec<Sample>],
    coefficients: &[Float],
    bits: u32,
) -> Result<Float, MinimaxError> {
    let mut peak = Float::new(sampler.precision);
    for sample in scan.iter().flatten() {
        peak.max_mut(&sample.error(coefficients).as_abs());
    }
    // A peak between samples rises by far less than a third above the samples beside it.
    let floor = Float::with_val(sampler.precision, &peak * 0.75f64);
    for extremum in error_extrema(sampler, scan, coefficients, &floor, bits)? {
        peak.max_mut(&extremum.error.as_abs());
    }
    Ok(peak)
}

/// The largest magnitude of the target over its unit: the scale of the problem.
pub(super) fn scale(scan: &[Vec<Sample>], precision: u32) -> Float {
    let mut largest = Float::new(precision);
    for sample in scan.iter().flatten() {
        if *sample.value.as_abs() > largest {
            largest = sample.value.clone().abs();
        }
    }
    largest
}
