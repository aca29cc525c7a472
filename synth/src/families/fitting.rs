//! Minimax fits as families need them: exact coefficients and the error in double precision.

use crate::minimax::{self, Basis, Domain, Options, Problem, Target};
use rug::Rational;

/// Coefficients and what they miss.
#[derive(Clone, PartialEq, Debug)]
pub struct Fitted {
    /// By ascending exponent of the basis.
    pub coefficients: Vec<Rational>,
    /// The largest weighted error.
    pub error: f64,
}

/// The best approximation in `basis` on [low, high]; `None` where the fit fails.
pub fn best(
    target: &dyn Target,
    norm: minimax::Norm,
    (low, high): (Rational, Rational),
    basis: Basis,
) -> Option<Fitted> {
    let options = Options { precision: 192, gap: 1e-4, ..Options::default() };
    let domain = Domain::interval(low, high).ok()?;
    let fit = minimax::fit(&Problem { target, norm, domain, basis }, &options).ok()?;
    let coefficients = fit.coefficients.iter().map(|c| c.to_rational()).collect::<Option<Vec<_>>>()?;
    Some(Fitted { coefficients, error: fit.minimax_error.to_f64() })
}
