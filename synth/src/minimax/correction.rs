//! The differential correction algorithm (Cheney and Loeb 1961; Barrodale, Powell and Roberts 1972)
//! on a growing set of points.
//!
//! For a level `D` and a denominator `Q'` the linear program
//!
//! ```text
//! minimise e  subject to  |f Q - P| / unit - D Q <= e Q',   low <= Q <= high
//! ```
//!
//! yields a better fraction where `e < 0`, and where `e >= 0` it proves that no fraction has an
//! error below `D` on the points. It converges quadratically from any start and needs no
//! alternation, so degenerate fractions and active range constraints are no special cases. The
//! program is solved in high precision from scratch; after each step the extrema of the true error
//! and of the denominator join the points.

use super::basis::{Basis, dot};
use super::domain::Domain;
use super::exchange::Exchange;
use super::extrema::{Extremum, local_extrema};
use super::failure::{MinimaxError, decimal};
use super::frame::Frame;
use super::poles::refuse_poles;
use super::polynomial::Options;
use super::rational::{RationalFit, RationalProblem};
use super::sampling::{Sample, Sampler, scale};
use super::simplex::{Row, Simplex, Variable};
use rug::Float;

/// A fraction, in monomial coefficients.
#[derive(Clone)]
struct Fraction {
    numerator: Vec<Float>,
    denominator: Vec<Float>,
}

impl Fraction {
    /// The same fraction with numerator and denominator times `factor`.
    fn scaled(&self, factor: &Float) -> Self {
        let times =
            |coefficients: &[Float]| coefficients.iter().map(|it| Float::with_val(it.prec(), it * factor)).collect();
        Self { numerator: times(&self.numerator), denominator: times(&self.denominator) }
    }
}

/// Relative distance by which a denominator may leave its range between points.
const RANGE_SLACK: f64 = 1e-12;

fn infinity(precision: u32) -> Float {
    Float::with_val(precision, rug::float::Special::Infinity)
}

/// A fraction with its true error and denominator range.
struct Measured {
    fraction: Fraction,
    error: Float,
    range: (Float, Float),
    extrema: Vec<Extremum>,
}

pub(super) struct Correction<'a> {
    sampler: Sampler<'a>,
    denominator: &'a Basis,
    frames: (Frame, Frame),
    scan: Vec<Vec<Sample>>,
    /// Points whose constraints the linear program holds.
    points: Vec<Sample>,
    low: Float,
    high: Float,
    scale: Float,
    options: &'a Options,
}

impl<'a> Correction<'a> {
    pub fn new(
        problem: &RationalProblem,
        sampler: Sampler<'a>,
        denominator: &'a Basis,
        domain: &Domain,
        options: &'a Options,
    ) -> Result<Self, MinimaxError> {
        let precision = sampler.precision;
        let functions = sampler.basis.exponents().len() + denominator.exponents().len();
        let density = options.density.max(2);
        let scan = sampler.scan(domain, density * (functions + 2))?;
        refuse_poles(&sampler, &scan)?;
        let points: Vec<Sample> = sampler.scan(domain, 3 * (functions + 2))?.into_iter().flatten().collect();
        let scaling = denominator.scaling();
        let below: Vec<Vec<Float>> = scan
            .iter()
            .flatten()
            .map(|sample| denominator.monomials(&scaling.variable(&sample.x, precision)))
            .collect();
        let above = scan.iter().flatten().map(|sample| sample.row.as_slice());
        let frames = (
            Frame::new(above, sampler.basis.exponents().len(), precision),
            Frame::new(below.iter().map(Vec::as_slice), denominator.exponents().len(), precision),
        );
        if frames.0.lost_bits().max(frames.1.lost_bits()) + 128 > precision {
            return Err(MinimaxError::DependentBasis { functions });
        }
        let low = Float::with_val(precision, &problem.low);
        let high = Float::with_val(precision, &problem.high);
        let scale = scale(&scan, precision);
        Ok(Self { sampler, denominator, frames, scan, points, low, high, scale, options })
    }

    /// The largest magnitude of the target in units of the norm.
    pub fn scale(&self) -> &Float {
        &self.scale
    }

    /// Corrects until the gap is closed and a scan twice as fine finds nothing new.
    /// `report` hears of the error so far before every linear program.
    pub fn run(mut self, report: &mut dyn FnMut(u32, &Float)) -> Result<RationalFit, MinimaxError> {
        let precision = self.sampler.precision;
        let anchor = self.anchor()?;
        let mut best = self.measure(anchor.scaled(&self.low))?;
        self.learn(&best)?;
        let mut confirmed = false;
        let negligible = Float::with_val(precision, &self.scale >> (precision - 64));
        for iteration in 1..=self.options.exchanges {
            report(iteration, &best.error);
            if best.error <= negligible {
                return Ok(self.finish(best, Float::new(precision), iteration));
            }
            let target = Float::with_val(precision, 1) - self.options.gap / 2.0;
            let aim = target * &best.error;
            let (fraction, gain) = self.correct(&best.fraction, &aim)?;
            if gain >= 0 {
                if confirmed {
                    return Ok(self.finish(best, aim, iteration));
                }
                confirmed = true;
                self.sampler.refine(&mut self.scan)?;
                best = self.measure(best.fraction)?;
                self.learn(&best)?;
                continue;
            }
            let next = self.measure(fraction)?;
            self.learn(&next)?;
            let next = self.brought_back(next, &anchor)?;
            if next.error < best.error {
                best = next;
            }
        }
        Err(MinimaxError::Stalled { exchanges: self.options.exchanges, excess: decimal(&(best.error / &self.scale)) })
    }

    /// The best polynomial, over the denominator one.
    fn anchor(&self) -> Result<Fraction, MinimaxError> {
        let precision = self.sampler.precision;
        let rough = Options { gap: 1e-6, ..self.options.clone() };
        let exchange = Exchange::new(self.sampler.clone(), self.frames.0.clone(), self.scan.clone(), &rough);
        let mut denominator = vec![Float::new(precision); self.denominator.exponents().len()];
        denominator[0] = Float::with_val(precision, 1);
        Ok(Fraction { numerator: exchange.run()?.coefficients, denominator })
    }

    /// A fraction whose denominator leaves its range between the points, brought back: scaled, and
    /// mixed with the polynomial as far as that is not enough. Mixing costs little: the set of
    /// fractions with an error below a level is convex.
    fn brought_back(&self, next: Measured, anchor: &Fraction) -> Result<Measured, MinimaxError> {
        let precision = self.sampler.precision;
        let (least, most) = &next.range;
        let below = Float::with_val(precision, &self.low * (1.0 - RANGE_SLACK));
        let above = Float::with_val(precision, &self.high * (1.0 + RANGE_SLACK));
        if *least >= below && *most <= above {
            return Ok(next);
        }
        let middle = Float::with_val(precision, &self.low + &self.high) / 2u32;
        if *least <= 0 || self.low == self.high {
            return Ok(Measured { error: infinity(precision), ..next });
        }
        // The centre of the denominator's range goes to the centre of the range allowed; if it is
        // still too wide, it shrinks towards the centre.
        let factor = Float::with_val(precision, &middle * 2u32) / Float::with_val(precision, least + most);
        let half = Float::with_val(precision, most - least) / 2u32 * &factor;
        let room = Float::with_val(precision, &self.high - &self.low) / 2u32;
        let share = if half > room { room / half } else { Float::with_val(precision, 1) };
        let rest = Float::with_val(precision, 1) - &share;
        let share = share * factor;
        let other = anchor.scaled(&middle);
        let mixed = |ours: &[Float], theirs: &[Float]| -> Vec<Float> {
            let pairs = ours.iter().zip(theirs);
            pairs.map(|(a, b)| Float::with_val(precision, a * &share + b * &rest)).collect()
        };
        self.measure(Fraction {
            numerator: mixed(&next.fraction.numerator, &other.numerator),
            denominator: mixed(&next.fraction.denominator, &other.denominator),
        })
    }

    /// One linear program: the better fraction and `e`, which is not negative at the optimum.
    fn correct(&self, current: &Fraction, aim: &Float) -> Result<(Fraction, Float), MinimaxError> {
        let precision = self.sampler.precision;
        let above = self.sampler.basis.exponents().len();
        let below = self.denominator.exponents().len();
        let far = (Float::with_val(precision, &self.scale + 1u32) * &self.high) << 40u32;
        let variable = |cost: u32| Variable {
            low: Float::with_val(precision, -&far),
            high: far.clone(),
            cost: Float::with_val(precision, cost),
        };
        let mut variables = vec![variable(0); above + below];
        variables.push(variable(1));
        let mut simplex = Simplex::new(&variables, precision);
        for sample in &self.points {
            let monomials = self.monomials(&sample.x);
            let previous = dot(&monomials, &current.denominator, precision);
            let upper = self.frames.0.row(&sample.row);
            let lower = self.frames.1.row(&monomials);
            for negative in [false, true] {
                let sign = if negative { -1 } else { 1 };
                let signed = |value: &Float| Float::with_val(precision, value * sign);
                let factor = signed(&sample.value) - aim;
                let mut form: Vec<Float> = upper.iter().map(|entry| -signed(entry)).collect();
                form.extend(lower.iter().map(|entry| Float::with_val(precision, entry * &factor)));
                form.push(Float::with_val(precision, -&previous));
                simplex.add(Row { form, bound: Float::new(precision) });
            }
            let mut form = vec![Float::new(precision); above];
            form.extend(lower.iter().cloned());
            form.push(Float::new(precision));
            let opposite = form.iter().map(|entry| Float::with_val(precision, -entry)).collect();
            simplex.add(Row { form, bound: self.high.clone() });
            simplex.add(Row { form: opposite, bound: Float::with_val(precision, -&self.low) });
        }
        let tolerance = Float::with_val(precision, aim * &self.low) * (self.options.gap / 64.0);
        simplex.optimise(&tolerance)?;
        let point = simplex.point();
        let fraction = Fraction {
            numerator: self.frames.0.coefficients(&point[..above]),
            denominator: self.frames.1.coefficients(&point[above..above + below]),
        };
        Ok((fraction, point[above + below].clone()))
    }

    fn monomials(&self, x: &Float) -> Vec<Float> {
        let t = self.denominator.scaling().variable(x, self.sampler.precision);
        self.denominator.monomials(&t)
    }

    fn error(&self, sample: &Sample, fraction: &Fraction) -> Float {
        let precision = self.sampler.precision;
        let above = dot(&sample.row, &fraction.numerator, precision);
        &sample.value - above / self.below(&sample.x, fraction)
    }

    fn below(&self, x: &Float, fraction: &Fraction) -> Float {
        dot(&self.monomials(x), &fraction.denominator, self.sampler.precision)
    }

    /// The true error and denominator range of a fraction, with its extrema.
    fn measure(&self, fraction: Fraction) -> Result<Measured, MinimaxError> {
        let precision = self.sampler.precision;
        let bits = 12 + (-self.options.gap.log2() / 2.0).clamp(4.0, 500.0) as u32;
        let middle = Float::with_val(precision, &self.low + &self.high) / 2u32;
        let error_at = |x: &Float| -> Result<Float, MinimaxError> {
            let sample = self.sampler.sample(x)?;
            Ok(sample.map_or_else(|| Float::new(precision), |it| self.error(&it, &fraction)))
        };
        let below_at = |x: &Float| -> Result<Float, MinimaxError> { Ok(self.below(x, &fraction) - &middle) };
        let mut error = Float::new(precision);
        let mut range: Option<(Float, Float)> = None;
        let mut extrema = Vec::new();
        let mut turning = Vec::new();
        for piece in &self.scan {
            let errors: Vec<(&Float, Float)> =
                piece.iter().map(|sample| (&sample.x, self.error(sample, &fraction))).collect();
            errors.iter().for_each(|(_, value)| error.max_mut(&value.as_abs()));
            let floor = Float::with_val(precision, &error / 2u32);
            extrema.extend(local_extrema(&errors, &error_at, &floor, bits)?);
            let below: Vec<(&Float, Float)> =
                piece.iter().map(|sample| (&sample.x, self.below(&sample.x, &fraction) - &middle)).collect();
            turning.extend(local_extrema(&below, &below_at, &Float::new(precision), bits)?);
            for (_, value) in below {
                widen(&mut range, value + &middle);
            }
        }
        extrema.iter().for_each(|extremum| error.max_mut(&extremum.error.as_abs()));
        for extremum in &turning {
            widen(&mut range, Float::with_val(precision, &extremum.error + &middle));
        }
        extrema.extend(turning.into_iter().map(|it| Extremum { error: Float::new(precision), ..it }));
        let range = range.unwrap_or_else(|| (self.low.clone(), self.high.clone()));
        if range.0 <= 0 {
            // A pole between the points: the fraction is unusable, its extrema are not.
            error = infinity(precision);
        }
        Ok(Measured { fraction, error, range, extrema })
    }

    /// The extrema of a fraction join the points.
    fn learn(&mut self, measured: &Measured) -> Result<(), MinimaxError> {
        for extremum in &measured.extrema {
            if !self.points.iter().any(|point| point.x == extremum.x) {
                self.points.extend(self.sampler.sample(&extremum.x)?);
            }
        }
        Ok(())
    }

    fn finish(&self, best: Measured, lower_bound: Float, iterations: u32) -> RationalFit {
        let precision = self.sampler.precision;
        let factor = Float::with_val(precision, &self.low / &best.range.0);
        let scaled = |value: &Float| Float::with_val(precision, value * &factor);
        let near = Float::with_val(precision, 1) - (Float::with_val(precision, 1) >> 20u32);
        let near = near * &best.error;
        let extrema = best.extrema.into_iter().filter(|it| *it.error.as_abs() >= near).collect();
        RationalFit {
            numerator: best.fraction.numerator.iter().map(scaled).collect(),
            denominator: best.fraction.denominator.iter().map(scaled).collect(),
            minimax_error: best.error,
            lower_bound,
            denominator_range: (scaled(&best.range.0), scaled(&best.range.1)),
            extrema,
            folded: None,
            iterations,
            precision,
        }
    }
}

fn widen(range: &mut Option<(Float, Float)>, value: Float) {
    match range {
        Some((low, high)) => {
            low.min_mut(&value);
            high.max_mut(&value);
        }
        None => *range = Some((value.clone(), value)),
    }
}
