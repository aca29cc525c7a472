//! Local extrema of a weighted error: a scan over samples, then Brent's method in high precision.
//!
//! Assumes that the scan separates neighbouring extrema; the fit doubles the scan before it accepts
//! a result. Source: R. Brent, *Algorithms for Minimization without Derivatives* (1973), chapter 5.

use super::failure::MinimaxError;
use rug::Float;

/// A local extremum of the weighted error.
#[derive(Clone, Debug, PartialEq)]
pub struct Extremum {
    /// Where.
    pub x: Float,
    /// The signed error there, in units of the norm.
    pub error: Float,
}

/// The weighted error as a function of `x`.
pub(super) type ErrorAt<'a> = dyn Fn(&Float) -> Result<Float, MinimaxError> + 'a;

/// All local maxima of `|error|` on one interval whose sampled magnitude is above `floor`.
///
/// `samples` are `(x, error)` in ascending order with both ends of the interval. Positions are
/// located to `2^-bits` of the distance between neighbouring samples.
pub(super) fn local_extrema(
    samples: &[(&Float, Float)],
    error_at: &ErrorAt,
    floor: &Float,
    bits: u32,
) -> Result<Vec<Extremum>, MinimaxError> {
    let last = samples.len().wrapping_sub(1);
    let mut extrema = Vec::new();
    for (index, (x, error)) in samples.iter().enumerate() {
        if *error.as_abs() <= *floor {
            continue;
        }
        let negative = error.is_sign_negative();
        let beats = |other: &Float| {
            if negative {
                error <= other
            } else {
                error >= other
            }
        };
        let over_left = index == 0 || beats(&samples[index - 1].1);
        let over_right = index == last || beats(&samples[index + 1].1);
        if !(over_left && over_right) {
            continue;
        }
        let peak = Extremum {
            x: (*x).clone(),
            error: error.clone(),
        };
        let left = if index == 0 { *x } else { samples[index - 1].0 };
        let right = if index == last {
            *x
        } else {
            samples[index + 1].0
        };
        let search = Search {
            error_at,
            negative,
            bits,
        };
        extrema.push(search.from(left, peak, right)?);
    }
    Ok(extrema)
}

struct Search<'a> {
    error_at: &'a ErrorAt<'a>,
    negative: bool,
    bits: u32,
}

impl Search<'_> {
    /// The signed error turned so that the extremum is a maximum.
    fn height(&self, x: &Float) -> Result<Float, MinimaxError> {
        let error = (self.error_at)(x)?;
        Ok(if self.negative { -error } else { error })
    }

    fn from(&self, left: &Float, peak: Extremum, right: &Float) -> Result<Extremum, MinimaxError> {
        if left == right {
            return Ok(peak);
        }
        let precision = peak.x.prec();
        let width = Float::with_val(precision, right - left);
        if peak.x == *left || peak.x == *right {
            // At an end of the interval: search inward only if the error rises inward.
            let inward = Float::with_val(precision, &width >> self.bits.min(20));
            let near = if peak.x == *left {
                left + inward
            } else {
                right - inward
            };
            if self.height(&near)? <= *peak.error.as_abs() {
                return Ok(peak);
            }
        }
        let (x, height) = self.brent(left, &peak, right, &width)?;
        if height <= *peak.error.as_abs() {
            return Ok(peak);
        }
        Ok(Extremum {
            x,
            error: if self.negative { -height } else { height },
        })
    }

    /// Brent's maximiser on `[left, right]`, started at the sampled peak.
    fn brent(
        &self,
        left: &Float,
        peak: &Extremum,
        right: &Float,
        width: &Float,
    ) -> Result<(Float, Float), MinimaxError> {
        let precision = peak.x.prec();
        let tolerance = Float::with_val(precision, width >> self.bits);
        let golden = (3.0 - 5f64.sqrt()) / 2.0;
        let (mut low, mut high) = (left.clone(), right.clone());
        let mut best = Probe {
            x: peak.x.clone(),
            height: peak.error.clone().abs(),
        };
        let mut second = best.clone();
        let mut third = best.clone();
        let mut step = Float::new(precision);
        let mut before = Float::new(precision);
        for _ in 0..200 {
            let middle = Float::with_val(precision, &low + &high) / 2u32;
            let off = Float::with_val(precision, &best.x - &middle).abs();
            let reach = Float::with_val(precision, &high - &low) / 2u32;
            if off + reach <= Float::with_val(precision, &tolerance * 2u32) {
                break;
            }
            let parabolic = vertex(&best, &second, &third).filter(|jump| {
                let target = Float::with_val(precision, &best.x + jump);
                let small = Float::with_val(precision, &before / 2u32).abs();
                *jump.as_abs() < small && target > low && target < high
            });
            (before, step) = match parabolic {
                Some(jump) => (step, jump),
                None => {
                    let far = if best.x >= middle {
                        &low - &best.x
                    } else {
                        &high - &best.x
                    };
                    let far = Float::with_val(precision, far);
                    (far.clone(), far * golden)
                }
            };
            if *step.as_abs() < tolerance {
                step = if step.is_sign_negative() {
                    -tolerance.clone()
                } else {
                    tolerance.clone()
                };
            }
            let x = Float::with_val(precision, &best.x + &step);
            let probe = Probe {
                height: self.height(&x)?,
                x,
            };
            // The bracket closes on the side where the lower of the two points lies.
            let inner = if probe.height >= best.height {
                &best
            } else {
                &probe
            };
            let is_low = (probe.x >= best.x) == (probe.height >= best.height);
            *(if is_low { &mut low } else { &mut high }) = inner.x.clone();
            if probe.height >= best.height {
                third = std::mem::replace(&mut second, std::mem::replace(&mut best, probe));
            } else if probe.height >= second.height || second.x == best.x {
                third = std::mem::replace(&mut second, probe);
            } else if probe.height >= third.height || third.x == best.x || third.x == second.x {
                third = probe;
            }
        }
        Ok((best.x, best.height))
    }
}

#[derive(Clone)]
struct Probe {
    x: Float,
    height: Float,
}

/// The distance from `best` to the vertex of the parabola through three points, if it has one.
fn vertex(best: &Probe, second: &Probe, third: &Probe) -> Option<Float> {
    let precision = best.x.prec();
    let to_second = Float::with_val(precision, &best.x - &second.x);
    let to_third = Float::with_val(precision, &best.x - &third.x);
    let drop_third = Float::with_val(precision, &best.height - &third.height) * &to_second;
    let drop_second = Float::with_val(precision, &best.height - &second.height) * &to_third;
    let numerator = Float::with_val(precision, &to_second * &drop_third) - to_third * &drop_second;
    let denominator = (drop_third - drop_second) * 2u32;
    (!denominator.is_zero()).then(|| -(numerator / denominator))
}
