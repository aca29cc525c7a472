//! Polynomial fits: the problem, what a fit is, and the way from one to the other.
//!
//! A fit starts from the floating-point linear program on Chebyshev nodes (solved twice, the second
//! time on the scaled residual), then exchanges: the simplex of [`super::simplex`] solves the rows
//! found so far, elimination levels the reference again, and the local extrema of the true error
//! join the rows, until the largest error exceeds the levelled one by at most `Options::gap`.
//!
//! The levelled error of the last reference is a lower bound of every polynomial's error (de la
//! Vallée Poussin in its dual form); the largest error is sampled, not proved.

use super::basis::Basis;
use super::domain::Domain;
use super::exchange::Exchange;
use super::extrema::Extremum;
use super::failure::MinimaxError;
use super::frame::Frame;
use super::parity::{Parity, detect_parity};
use super::poles::refuse_poles;
use super::sampling::{Sampler, scale};
use super::target::{Norm, Target};
use rug::{Float, Rational};

/// What is to be approximated, where, by what, and in which norm.
#[derive(Clone)]
pub struct Problem<'a> {
    /// The function.
    pub target: &'a dyn Target,
    /// The unit of the error.
    pub norm: Norm<'a>,
    /// Where the error counts.
    pub domain: Domain,
    /// The approximating functions.
    pub basis: Basis,
}

/// How hard a fit tries. The default reaches twenty digits of the minimax error.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Working precision in bits; raised by the fit where the basis or a tiny error needs more.
    pub precision: u32,
    /// Largest relative excess of the largest error over the levelled error.
    pub gap: f64,
    /// Grid nodes per expected extremum.
    pub density: usize,
    /// Exchanges after which the fit gives up.
    pub exchanges: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { precision: 256, gap: 1e-20, density: 8, exchanges: 60 }
    }
}

/// A minimax polynomial.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// The basis as given. Coefficients refer to its variable `t`.
    pub basis: Basis,
    /// One per free exponent of the basis, in its order; exactly zero where parity rules it out.
    pub coefficients: Vec<Float>,
    /// The largest weighted error found on the domain.
    pub minimax_error: Float,
    /// The levelled error of the reference: no polynomial of the basis has a smaller error.
    pub lower_bound: Float,
    /// The reference set, ascending in `x`, with the signed errors there. On a folded domain only
    /// points with `x >= 0`.
    pub extrema: Vec<Extremum>,
    /// The parity that was used to fold a symmetric domain, if any.
    pub folded: Option<Parity>,
    /// Exchanges done.
    pub exchanges: u32,
    /// The working precision in bits that the fit ended with.
    pub precision: u32,
}

impl Fit {
    /// The polynomial at `x`, fixed terms included.
    pub fn value(&self, x: &Float, precision: u32) -> Float {
        let t = self.basis.scaling().variable(x, precision.max(self.precision));
        let row = self.basis.monomials(&t);
        let free = super::basis::dot(&row, &self.coefficients, t.prec());
        Float::with_val(precision, free + self.basis.fixed_part(&t))
    }

    /// Coefficients of `x^0, x^1, …` (not of `t`), fixed terms included, exact for the
    /// coefficients as they are.
    pub fn coefficients_in_x(&self) -> Vec<Rational> {
        self.basis.in_x(&self.coefficients)
    }
}

/// The problem as it is solved: parity used, domain folded.
pub(super) struct Reduced {
    pub basis: Basis,
    pub domain: Domain,
    pub folded: Option<Parity>,
}

/// Folds a symmetric problem: the best approximation of an even (odd) target is even (odd).
pub(super) fn reduce(problem: &Problem) -> Result<Reduced, MinimaxError> {
    let whole = || Reduced { basis: problem.basis.clone(), domain: problem.domain.clone(), folded: None };
    if *problem.basis.scaling().centre() != 0 || !problem.domain.is_symmetric() {
        return Ok(whole());
    }
    let remainder = |x: &Float, precision: u32| {
        let t = problem.basis.scaling().variable(x, precision);
        problem.target.value(x, precision) - problem.basis.fixed_part(&t)
    };
    let unit = |x: &Float, precision: u32| {
        let value = problem.target.value(x, precision);
        problem.norm.unit(x, &value, precision)
    };
    if detect_parity(&unit, &problem.domain)? != Some(Parity::Even) {
        return Ok(whole());
    }
    let parity = detect_parity(&remainder, &problem.domain)?;
    Ok(match (parity, problem.domain.nonnegative_half()) {
        (Some(parity), Some(half)) => {
            Reduced { basis: problem.basis.of_parity(parity.remainder()), domain: half, folded: Some(parity) }
        }
        _ => whole(),
    })
}

/// Bits that must remain after the basis' ill-conditioning has taken its share.
const BITS_LEFT: u32 = 160;
/// The working precision beyond which a basis counts as dependent.
const PRECISION_MAX: u32 = 4096;

/// The minimax polynomial of the problem.
pub fn fit(problem: &Problem, options: &Options) -> Result<Fit, MinimaxError> {
    let reduced = reduce(problem)?;
    let functions = reduced.basis.exponents().len();
    let mut precision = options.precision.max(BITS_LEFT);
    loop {
        let sampler = Sampler { target: problem.target, norm: &problem.norm, basis: &reduced.basis, precision };
        let scan = sampler.scan(&reduced.domain, options.density.max(2) * (functions + 2))?;
        refuse_poles(&sampler, &scan)?;
        let rows = scan.iter().flatten().map(|sample| sample.row.as_slice());
        let frame = Frame::new(rows, functions, precision);
        if frame.lost_bits() + BITS_LEFT > precision {
            if precision >= PRECISION_MAX {
                return Err(MinimaxError::DependentBasis { functions });
            }
            precision = (frame.lost_bits() + BITS_LEFT + 96).clamp(precision + 128, PRECISION_MAX);
            continue;
        }
        let largest = scale(&scan, precision);
        let solved = Exchange::new(sampler, frame, scan, options).run()?;
        if starved(&solved.minimax_error, &largest, precision) {
            precision *= 2;
            continue;
        }
        return Ok(unfold(problem, &reduced, solved, precision));
    }
}

/// Whether an error is so small beside the target that the precision leaves too few bits of it. A
/// target that the basis represents exactly looks so at every precision, hence the end.
pub(super) fn starved(error: &Float, scale: &Float, precision: u32) -> bool {
    let bits = precision.saturating_sub(BITS_LEFT);
    precision < 1024 && *error < Float::with_val(precision, scale >> bits)
}

fn unfold(problem: &Problem, reduced: &Reduced, mut solved: Fit, precision: u32) -> Fit {
    let mut found = reduced.basis.exponents().iter().zip(solved.coefficients).peekable();
    let mut coefficients = Vec::with_capacity(problem.basis.exponents().len());
    for exponent in problem.basis.exponents() {
        coefficients.push(match found.next_if(|(free, _)| *free == exponent) {
            Some((_, coefficient)) => coefficient,
            None => Float::new(precision),
        });
    }
    solved.coefficients = coefficients;
    solved.basis = problem.basis.clone();
    solved.folded = reduced.folded;
    solved
}
