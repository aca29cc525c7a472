//! The best polynomial or fraction of given degrees, with coefficients as decimals and a proof for those decimals.
//!
//! The fit is search; [`crate::supremum`] then bounds the error of exactly the printed coefficients from above and
//! the error of all competitors from below. So many digits are printed that rounding them costs less than a relative
//! 2^-40 of the error.

mod advice;
pub mod lattice_proof;
pub mod quantised;

use crate::expression::Expression;
use crate::minimax::{
    self, Basis, Domain, Extremum, MinimaxError, Norm, Options, Parity, Problem, RationalProblem, Scaling,
};
use crate::supremum::{Fraction, Supremum, SupremumError, supremum};
use rug::ops::Pow;
use rug::{Float, Integer, Rational};

/// The largest degree of a polynomial, and of numerator and denominator together.
pub const DEGREE_MAX: u32 = 60;
/// Digits that a coefficient has at least.
const DIGITS: u32 = 20;
/// Bounds of the denominator's range that are tried until one does not bind.
const RANGES: [u32; 2] = [1 << 12, 1 << 20];

/// What is fitted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// A polynomial of this degree.
    Polynomial(u32),
    /// Degrees of numerator and denominator.
    Rational(u32, u32),
}

/// A decimal text and the number that it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coefficient {
    /// Such as `-1.2500000000000000000e-3`.
    pub text: String,
    /// Its exact value.
    pub value: Rational,
}

/// A best approximation.
#[derive(Clone, Debug)]
pub struct Best {
    /// The largest error found by the fit; not proved.
    pub minimax_error: Float,
    /// What is proved of the decimals.
    pub proof: Supremum,
    /// Of 1, x, x², ….
    pub numerator: Vec<Coefficient>,
    /// Of 1, x, x², …; the constant 1 for a polynomial.
    pub denominator: Vec<Coefficient>,
    /// Where the error of the fit peaks, ascending, on the whole domain.
    pub extrema: Vec<Extremum>,
}

/// Why there is no best approximation.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BestError {
    /// Too many coefficients.
    #[error("degree {degree} is too large: at most {DEGREE_MAX}; cut the domain instead")]
    Degree {
        /// As asked for; of numerator and denominator together.
        degree: u64,
    },
    /// A domain without interior.
    #[error("the domain {low},{high} is not an interval: its low end must be below its high end")]
    Domain {
        /// Lower end.
        low: String,
        /// Upper end.
        high: String,
    },
    /// Steps that are no powers of two in range, or none at all.
    #[error("steps must be powers of two from 2^-{max} to 2^{max}, and widths 2 to {max} bits", max = quantised::STEP_MAX)]
    Steps,
    /// The function has a pole in the domain or is not defined on all of it.
    #[error("{reason}{}", instead(served))]
    Unserved {
        /// What is wrong, and where.
        reason: String,
        /// Parts of the domain that can be served, as `LOW,HIGH`.
        served: Vec<String>,
    },
    /// The fit failed.
    #[error(transparent)]
    Fit(#[from] MinimaxError),
    /// The proof failed.
    #[error(transparent)]
    Proof(#[from] SupremumError),
}

fn instead(served: &[String]) -> String {
    match served {
        [] => "; no part of this domain could be shown to be served: try a smaller one".into(),
        parts => format!("; what can be served is {}", parts.join(" or ")),
    }
}

/// What a fit is doing, for whoever waits.
#[derive(Clone, PartialEq, Debug)]
pub enum Progress {
    /// A fraction is being corrected.
    Correcting {
        /// Linear programs solved.
        programs: u32,
        /// The error of the best fraction so far.
        error: f64,
    },
    /// The decimals are being proved.
    Proving {
        /// The error that was found.
        error: f64,
    },
}

/// Fits `function` on [`low`, `high`] for the least absolute error, and proves what came out.
pub fn best(function: &Expression, low: &Rational, high: &Rational, shape: Shape) -> Result<Best, BestError> {
    best_reporting(function, low, high, shape, &mut |_| {})
}

/// As [`best`], with reports of what takes long.
pub fn best_reporting(
    function: &Expression,
    low: &Rational,
    high: &Rational,
    shape: Shape,
    report: &mut dyn FnMut(Progress),
) -> Result<Best, BestError> {
    fitted(function, low, high, shape, report).map_err(|error| match error {
        BestError::Fit(MinimaxError::TargetNotFinite { .. }) | BestError::Proof(SupremumError::Undefined { .. }) => {
            BestError::Unserved { reason: error.to_string(), served: advice::served(function, low, high) }
        }
        other => other,
    })
}

fn fitted(
    function: &Expression,
    low: &Rational,
    high: &Rational,
    shape: Shape,
    report: &mut dyn FnMut(Progress),
) -> Result<Best, BestError> {
    if low >= high {
        return Err(BestError::Domain { low: low.to_string(), high: high.to_string() });
    }
    let (above, below) = match shape {
        Shape::Polynomial(degree) => (degree, 0),
        Shape::Rational(above, below) => (above, below),
    };
    let degree = u64::from(above) + u64::from(below);
    if degree > u64::from(DEGREE_MAX) {
        return Err(BestError::Degree { degree });
    }
    let found = if below == 0 {
        polynomial(function, low, high, above)?
    } else {
        fraction(function, low, high, (above, below), report)?
    };
    report(Progress::Proving { error: found.error.to_f64() });
    let radius = low.clone().abs().max(high.clone().abs());
    let terms = found.numerator.len() + found.denominator.len();
    // A change of the denominator by ε changes the fraction by |P/Q|·ε/|Q|: the error's share, that much smaller.
    let allowed = found.error.clone() / found.sensitivity / terms as u64;
    let rounded = |coefficients: &[Rational], allowed: &Float| -> Vec<Coefficient> {
        let terms = coefficients.iter().enumerate();
        terms.map(|(power, value)| round(value, &Rational::from((&radius).pow(power as u32)), allowed)).collect()
    };
    let numerator = rounded(&found.numerator, &allowed);
    // A polynomial's denominator stays 1, however large its error.
    let denominator = rounded(&found.denominator, &if below == 0 { Float::new(64) } else { allowed });
    let values = |coefficients: &[Coefficient]| coefficients.iter().map(|c| c.value.clone()).collect();
    let exact = Fraction { numerator: values(&numerator), denominator: values(&denominator) };
    let points: Vec<Rational> = found.extrema.iter().filter_map(|extremum| extremum.x.to_rational()).collect();
    let proof = supremum(function, &exact, (above as usize, below as usize), (low, high), &points)?;
    Ok(Best { minimax_error: found.error, proof, numerator, denominator, extrema: found.extrema })
}

struct Found {
    error: Float,
    numerator: Vec<Rational>,
    denominator: Vec<Rational>,
    extrema: Vec<Extremum>,
    /// How much a change of a value of numerator or denominator moves the fraction, at most.
    sensitivity: Float,
}

fn domain_of(low: &Rational, high: &Rational) -> Result<(Domain, Scaling), MinimaxError> {
    let domain = Domain::interval(low.clone(), high.clone())?;
    let scaling = Scaling::onto_unit(&domain)?;
    Ok((domain, scaling))
}

fn polynomial(function: &Expression, low: &Rational, high: &Rational, degree: u32) -> Result<Found, BestError> {
    let (domain, scaling) = domain_of(low, high)?;
    let basis = Basis::full(degree).with_scaling(scaling);
    let problem = Problem { target: function, norm: Norm::Absolute, domain, basis };
    let fit = minimax::fit(&problem, &Options::default())?;
    Ok(Found {
        numerator: fit.coefficients_in_x(),
        denominator: vec![Rational::from(1)],
        extrema: unfolded(fit.extrema, fit.folded),
        sensitivity: Float::with_val(fit.precision, 1),
        error: fit.minimax_error,
    })
}

/// Tries denominators of growing range until the range does not bind.
fn fraction(
    function: &Expression,
    low: &Rational,
    high: &Rational,
    (above, below): (u32, u32),
    report: &mut dyn FnMut(Progress),
) -> Result<Found, BestError> {
    let mut corrected = |programs: u32, error: &Float| report(Progress::Correcting { programs, error: error.to_f64() });
    let (domain, scaling) = domain_of(low, high)?;
    let mut problem = RationalProblem {
        target: function,
        norm: Norm::Absolute,
        domain,
        numerator: Basis::full(above).with_scaling(scaling.clone()),
        denominator: Basis::full(below).with_scaling(scaling),
        low: Rational::from(1),
        high: Rational::from(RANGES[0]),
    };
    let mut fit = minimax::fit_rational_reporting(&problem, &Options::default(), &mut corrected)?;
    for range in &RANGES[1..] {
        if fit.denominator_range.1 < &problem.high * Rational::from((99, 100)) {
            break;
        }
        problem.high = Rational::from(*range);
        fit = minimax::fit_rational_reporting(&problem, &Options::default(), &mut corrected)?;
    }
    let (numerator, denominator) = fit.coefficients_in_x(&problem);
    let extrema = unfolded(fit.extrema, fit.folded);
    // Q ≥ 1 on the domain, and |P/Q| is at most |f| + error, whose largest value over the peaks is close enough.
    let mut sensitivity = Float::with_val(fit.precision, &fit.minimax_error + 1u32);
    for extremum in &extrema {
        let value = minimax::Target::value(function, &extremum.x, fit.precision);
        sensitivity.max_mut(&(value.abs() + 1u32));
    }
    Ok(Found { error: fit.minimax_error, numerator, denominator, extrema, sensitivity })
}

/// The extrema of a folded domain and their mirror images, ascending.
fn unfolded(mut extrema: Vec<Extremum>, folded: Option<Parity>) -> Vec<Extremum> {
    if let Some(parity) = folded {
        let error = |extremum: &Extremum| match parity {
            Parity::Even => extremum.error.clone(),
            Parity::Odd => -extremum.error.clone(),
        };
        let mirror = |extremum: &Extremum| Extremum { x: -extremum.x.clone(), error: error(extremum) };
        let mirrored: Vec<Extremum> = extrema.iter().filter(|e| !e.x.is_zero()).map(mirror).collect();
        extrema.extend(mirrored);
    }
    extrema.sort_by(|a, b| a.x.total_cmp(&b.x));
    extrema
}

/// `value` as a decimal whose rounding, times `weight`, is at most 2^-40 of `allowed`, with [`DIGITS`] digits or more; zero
/// where all of it is less than that by far.
fn round(value: &Rational, weight: &Rational, allowed: &Float) -> Coefficient {
    // What is left of a coefficient that a symmetry forbids is rounding of the fit.
    if Float::with_val(64, Rational::from(value * weight)).abs() <= Float::with_val(64, allowed >> 64u32) {
        return Coefficient { text: "0".into(), value: Rational::new() };
    }
    let magnitude = |x: &Rational| Float::with_val(64, x).abs().log10().to_f64();
    let leading = magnitude(value).floor() as i64;
    let step = Float::with_val(64, allowed >> 40u32).log10().to_f64();
    // Zero error or zero weight leave the least number of digits.
    let wanted = leading as f64 + magnitude(weight) - step;
    let wanted = if wanted.is_finite() { wanted.ceil().clamp(0.0, 1000.0) as u32 + 1 } else { 0 };
    let places = i64::from(wanted.max(DIGITS)) - 1 - leading;
    let power = Rational::from(Integer::from(10).pow(places.unsigned_abs() as u32));
    let unit = if places >= 0 { power.recip() } else { power };
    let (_, digits) = Rational::from(value / &unit).fract_round(Integer::new());
    let exact = Rational::from(&digits * &unit);
    let plain = digits.clone().abs().to_string();
    let exponent = plain.len() as i64 - 1 - places;
    let sign = if digits < 0 { "-" } else { "" };
    Coefficient { text: format!("{sign}{}.{}e{exponent}", &plain[..1], &plain[1..]), value: exact }
}

#[cfg(test)]
mod tests;
