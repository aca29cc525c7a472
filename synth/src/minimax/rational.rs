//! Rational fits: `f ≈ fixed + P / Q` with `low <= Q <= high` on the domain.
//!
//! The range of the denominator is part of the problem, because it prices the division: a
//! denominator in `[1, 8]` or `[1, 64]` needs no normalisation. The method is in
//! [`super::correction`].

use super::basis::Basis;
use super::correction::Correction;
use super::domain::Domain;
use super::extrema::Extremum;
use super::failure::MinimaxError;
use super::parity::Parity;
use super::polynomial::{Options, Problem, reduce, starved};
use super::sampling::Sampler;
use super::target::{Norm, Target};
use rug::{Float, Rational};

/// What is to be approximated by a fraction.
#[derive(Clone)]
pub struct RationalProblem<'a> {
    /// The function.
    pub target: &'a dyn Target,
    /// The unit of the error.
    pub norm: Norm<'a>,
    /// Where the error counts.
    pub domain: Domain,
    /// The numerator; its fixed terms are *added to the fraction*, not to the numerator.
    pub numerator: Basis,
    /// The denominator, in the numerator's variable; free terms only, with the constant among them.
    pub denominator: Basis,
    /// Least value of the denominator on the domain; positive.
    pub low: Rational,
    /// Largest value of the denominator on the domain.
    pub high: Rational,
}

/// A minimax fraction.
#[derive(Clone, Debug, PartialEq)]
pub struct RationalFit {
    /// Coefficients of the numerator in `t`, per free exponent.
    pub numerator: Vec<Float>,
    /// Coefficients of the denominator in `t`, per free exponent, scaled so that its least value
    /// found is `low`.
    pub denominator: Vec<Float>,
    /// The largest weighted error found on the domain.
    pub minimax_error: Float,
    /// No fraction of this kind has a smaller error, up to the rounding of the working precision.
    pub lower_bound: Float,
    /// Least and largest value of the denominator found on the domain.
    pub denominator_range: (Float, Float),
    /// The extrema whose magnitude is within a relative `2^-20` of the largest, ascending in `x`.
    /// On a folded domain only points with `x >= 0`.
    pub extrema: Vec<Extremum>,
    /// The parity that was used to fold a symmetric domain, if any.
    pub folded: Option<Parity>,
    /// Linear programs solved.
    pub iterations: u32,
    /// The working precision in bits.
    pub precision: u32,
}

impl RationalFit {
    /// Coefficients of `x^0, x^1, …` of numerator and denominator, exact for the coefficients as they are.
    pub fn coefficients_in_x(&self, problem: &RationalProblem) -> (Vec<Rational>, Vec<Rational>) {
        // The numerator's fixed terms are added to the fraction.
        let numerator = problem.numerator.without_fixed();
        (numerator.in_x(&self.numerator), problem.denominator.in_x(&self.denominator))
    }
}

/// Bits beyond which more of them do not help a linear program that does not end.
const PRECISION_ENOUGH: u32 = 384;

/// The minimax fraction of the problem.
///
/// The denominator found may leave its range between points by a relative `1e-12`;
/// [`RationalFit::denominator_range`] says by how much.
pub fn fit_rational(problem: &RationalProblem, options: &Options) -> Result<RationalFit, MinimaxError> {
    fit_rational_reporting(problem, options, &mut |_, _| {})
}

/// As [`fit_rational`], for whoever waits: `report` hears, before every linear program, how many there were and the error
/// of the best fraction so far.
pub fn fit_rational_reporting(
    problem: &RationalProblem,
    options: &Options,
    report: &mut dyn FnMut(u32, &Float),
) -> Result<RationalFit, MinimaxError> {
    check(problem)?;
    let reduced = reduce(&Problem {
        target: problem.target,
        norm: problem.norm.clone(),
        domain: problem.domain.clone(),
        basis: problem.numerator.clone(),
    })?;
    let denominator = match reduced.folded {
        Some(_) => problem.denominator.of_parity(0),
        None => problem.denominator.clone(),
    };
    let mut precision = options.precision.max(192);
    let mut fit = loop {
        let sampler = Sampler { target: problem.target, norm: &problem.norm, basis: &reduced.basis, precision };
        let correction = Correction::new(problem, sampler, &denominator, &reduced.domain, options)?;
        let largest = correction.scale().clone();
        let fit = match correction.run(report) {
            // Degenerate programs cycle by rounding.
            Err(MinimaxError::PivotLimit { .. }) if precision < PRECISION_ENOUGH => {
                precision *= 2;
                continue;
            }
            other => other?,
        };
        if !starved(&fit.minimax_error, &largest, precision) {
            break fit;
        }
        precision *= 2;
    };
    fit.numerator = spread(&problem.numerator, &reduced.basis, fit.numerator, fit.precision);
    fit.denominator = spread(&problem.denominator, &denominator, fit.denominator, fit.precision);
    fit.folded = reduced.folded;
    Ok(fit)
}

fn check(problem: &RationalProblem) -> Result<(), MinimaxError> {
    if problem.low <= 0 || problem.low > problem.high {
        return Err(MinimaxError::DenominatorRange { low: problem.low.to_string(), high: problem.high.to_string() });
    }
    let denominator = &problem.denominator;
    if denominator.exponents().first() != Some(&0) || !denominator.fixed().is_empty() {
        return Err(MinimaxError::DenominatorBasis);
    }
    if denominator.scaling() != problem.numerator.scaling() {
        return Err(MinimaxError::ScalingMismatch);
    }
    Ok(())
}

/// Coefficients of a restricted basis as coefficients of the whole one.
fn spread(whole: &Basis, part: &Basis, coefficients: Vec<Float>, precision: u32) -> Vec<Float> {
    let mut found = part.exponents().iter().zip(coefficients).peekable();
    let next = |exponent: &u32| {
        let coefficient = found.next_if(|(free, _)| *free == exponent);
        coefficient.map_or_else(|| Float::new(precision), |(_, coefficient)| coefficient)
    };
    whole.exponents().iter().map(next).collect()
}
