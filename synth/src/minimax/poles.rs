//! Poles between grid points, where every sample is finite.
//!
//! From each local maximum of the sampled magnitude the search halves its bracket around the
//! largest value seen. A simple pole stays in the bracket and the value doubles with every halving;
//! a smooth maximum stops growing at once. Logarithmic singularities grow too slowly to be told
//! from steep functions and are not found.

use super::failure::{MinimaxError, decimal};
use super::sampling::{Sample, Sampler};
use rug::Float;

/// Halvings before a value that kept growing counts as a pole.
const HALVINGS: u32 = 40;
/// Halvings that a maximum is given before it must have grown.
const PATIENCE: u32 = 6;

/// An error that names the point if the target, in units of the norm, has a pole in the scan.
pub(super) fn refuse_poles(sampler: &Sampler, scan: &[Vec<Sample>]) -> Result<(), MinimaxError> {
    for piece in scan {
        for (index, sample) in piece.iter().enumerate() {
            let left = piece.get(index.wrapping_sub(1));
            let right = piece.get(index + 1);
            let over = |other: Option<&Sample>| {
                other.is_none_or(|other| *sample.value.as_abs() >= *other.value.as_abs())
            };
            if !sample.value.is_zero() && over(left) && over(right) {
                let low = left.map_or(&sample.x, |left| &left.x);
                let high = right.map_or(&sample.x, |right| &right.x);
                climb(sampler, low, sample, high)?;
            }
        }
    }
    Ok(())
}

fn climb(sampler: &Sampler, low: &Float, start: &Sample, high: &Float) -> Result<(), MinimaxError> {
    let precision = sampler.precision;
    let mut reach = Float::with_val(precision, high - &start.x);
    reach.max_mut(&Float::with_val(precision, &start.x - low));
    let mut peak = start.clone();
    for halving in 1..=HALVINGS {
        reach /= 2u32;
        for x in [
            Float::with_val(precision, &peak.x - &reach),
            Float::with_val(precision, &peak.x + &reach),
        ] {
            if x > *low && x < *high {
                peak = match sampler.sample(&x)? {
                    Some(next) if *next.value.as_abs() > *peak.value.as_abs() => next,
                    _ => peak,
                };
            }
        }
        let growth = Float::with_val(precision, &peak.value / &start.value).abs();
        if halving >= PATIENCE && growth < Float::with_val(precision, 1) << (halving / 3) {
            return Ok(());
        }
    }
    Err(MinimaxError::TargetNotFinite {
        x: decimal(&Float::with_val(40, &peak.x)),
    })
}
