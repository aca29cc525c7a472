//! Minimax fits as families need them: exact coefficients and the error in double precision.

use super::goal::Goal;
use crate::minimax::{self, Basis, Domain, Options, Problem, Target};
use crate::search::Density;
use rug::{Float, Rational};

/// Part of the accuracy that a fit may use up for likely inputs; roundings need the rest.
const LEAN_SHARE: f64 = 0.93;
/// Equally likely places at which the mean error of a piece is taken.
const PLACES: usize = 192;

/// Coefficients and what they miss.
#[derive(Clone, PartialEq, Debug)]
pub struct Fitted {
    /// By ascending exponent of the basis.
    pub coefficients: Vec<Rational>,
    /// The largest weighted error.
    pub error: f64,
}

/// The best approximation in `basis` on [low, high]; `None` where the fit fails.
pub fn best(target: &dyn Target, norm: minimax::Norm, ends: (Rational, Rational), basis: Basis) -> Option<Fitted> {
    leaning(target, norm, ends, basis, None)
}

/// Which inputs are likely, and how large an error may become for them, in the units of the fit.
pub struct Lean<'a> {
    density: Density,
    most: f64,
    /// From an input to the variable of the fit.
    place: &'a dyn Fn(f64) -> f64,
    /// The inputs that the fit serves.
    served: (f64, f64),
}

impl<'a> Lean<'a> {
    /// What a goal asks for, with errors in units of `unit` times its norm; `None` without a density.
    pub fn of(goal: &Goal, unit: f64, place: &'a dyn Fn(f64) -> f64, served: (f64, f64)) -> Option<Lean<'a>> {
        let most = LEAN_SHARE * goal.accuracy() * unit;
        goal.density.map(|density| Lean { density, most, place, served })
    }
}

/// As [`best`], leaning towards likely inputs as far as the largest error allows.
pub fn leaning(
    target: &dyn Target,
    norm: minimax::Norm,
    (low, high): (Rational, Rational),
    basis: Basis,
    lean: Option<Lean>,
) -> Option<Fitted> {
    let options = Options { precision: 192, gap: 1e-3, density: 5, ..Options::default() };
    let (least, most) = (low.to_f64(), high.to_f64());
    let domain = Domain::interval(low, high).ok()?;
    let problem = Problem { target, norm, domain, basis };
    let fit = minimax::fit(&problem, &options).ok()?;
    let leant = lean.and_then(|lean| {
        let places = lean.density.places(PLACES, lean.served.0, lean.served.1).into_iter().map(lean.place);
        let inside = places.filter(|place| (least..=most).contains(place));
        let places: Vec<Float> = inside.map(|place| Float::with_val(fit.precision, place)).collect();
        minimax::lean(&problem, &fit, &options, &places, &Float::with_val(64, lean.most))
    });
    let (coefficients, error) = leant.unwrap_or((fit.coefficients, fit.minimax_error));
    let coefficients = coefficients.iter().map(|c| c.to_rational()).collect::<Option<Vec<_>>>()?;
    Some(Fitted { coefficients, error: error.to_f64() })
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
