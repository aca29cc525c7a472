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
    let options = Options { precision: 192, gap: 1e-3, density: 5, ..Options::default() };
    let domain = Domain::interval(low, high).ok()?;
    let fit = minimax::fit(&Problem { target, norm, domain, basis }, &options).ok()?;
    let coefficients = fit.coefficients.iter().map(|c| c.to_rational()).collect::<Option<Vec<_>>>()?;
    Some(Fitted { coefficients, error: fit.minimax_error.to_f64() })
}

/// About the minimax errors of degrees 0, 1, … on [low, high], from the Chebyshev coefficients of a double precision
/// function: within a factor of a few, and cheap.
pub fn estimated_errors(function: impl Fn(f64) -> f64, low: f64, high: f64) -> Vec<f64> {
    const NODES: usize = 40;
    let angle = |i: usize| std::f64::consts::PI * (i as f64 + 0.5) / NODES as f64;
    let values: Vec<f64> =
        (0..NODES).map(|i| function((low + high) / 2.0 + (high - low) / 2.0 * angle(i).cos())).collect();
    let coefficient = |k: usize| {
        let sum: f64 = values.iter().enumerate().map(|(i, value)| value * (k as f64 * angle(i)).cos()).sum();
        (sum * 2.0 / NODES as f64).abs()
    };
    let coefficients: Vec<f64> = (0..NODES).map(coefficient).collect();
    (0..NODES - 3).map(|degree| coefficients[degree + 1..degree + 4].iter().sum()).collect()
}
