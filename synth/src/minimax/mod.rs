//! Minimax fitting: linear programming and exchange in arbitrary precision.
//!
//! Given a function, a union of closed intervals, a norm `|f - p| / unit` and a set of monomials in
//! a scaled variable, [`fit`] finds the best polynomial to twenty digits of its error,
//! [`fit_rational`] the best fraction with a denominator of prescribed range, [`certify`] a proved
//! lower bound of the best error, [`lean`] a polynomial that serves likely inputs better at a largest error that is allowed, and
//! [`quantise`] integer coefficients close to the best there are.
//!
//! How the pages hang together: `target`, `domain` and `basis` are the vocabulary; `sampling`
//! evaluates a problem at points; `frame` gives well-conditioned coordinates; `linear_program` is
//! the floating-point start; `simplex` is the exchange, in high precision; `extrema` finds where
//! the true error peaks; `exchange` (polynomials) and `correction` (fractions) are two uses of that
//! simplex. For integers, `lattice` chooses coordinates, `descent` improves candidates, and
//! `quantise_tree` searches with the programs of `fast_simplex`.
//!
//! This is search. What it returns is certified elsewhere, over whole intervals and with integers.
//! The same input gives the same output, bit for bit: there is no clock, no chance, no thread.
//!
//! ```
//! use rug::{Float, Rational};
//! use synth::minimax::{Basis, Domain, Norm, Options, Problem, fit};
//!
//! let exponential = |x: &Float, precision: u32| Float::with_val(precision, x.exp_ref());
//! let problem = Problem {
//!     target: &exponential,
//!     norm: Norm::Absolute,
//!     domain: Domain::interval(Rational::from(-1), Rational::from(1))?,
//!     basis: Basis::full(5),
//! };
//! let best = fit(&problem, &Options::default())?;
//! assert!((best.minimax_error.to_f64() - 4.52055e-5).abs() < 1e-10);
//! # Ok::<(), synth::minimax::MinimaxError>(())
//! ```

mod basis;
mod certify;
mod correction;
mod dense;
mod descent;
mod domain;
mod exchange;
mod extrema;
mod failure;
mod fast_simplex;
mod frame;
mod lattice;
mod lean;
mod linear_program;
mod parity;
mod poles;
mod polynomial;
mod quantise;
mod quantise_tree;
mod rational;
mod sampling;
mod simplex;
mod target;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

pub use basis::{Basis, Scaling};
pub use certify::{Certification, certify};
pub use domain::{Domain, Interval};
pub use extrema::Extremum;
pub use failure::MinimaxError;
pub use lean::lean;
pub use parity::{Parity, detect_parity};
pub use polynomial::{Fit, Options, Problem, fit};
pub use quantise::{QuantiseOptions, Quantised, Search, quantise};
pub use quantise_tree::Branch;
pub use rational::{RationalFit, RationalProblem, fit_rational, fit_rational_reporting};
pub use target::{Norm, Target};
