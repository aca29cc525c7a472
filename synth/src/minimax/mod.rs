//! Minimax fitting: linear programming and exchange in arbitrary precision.

mod basis;
mod certify;
mod dense;
mod domain;
mod exchange;
mod extrema;
mod failure;
mod frame;
mod linear_program;
mod parity;
mod polynomial;
mod quantise;
mod quantise_tree;
mod rational;
mod sampling;
mod simplex;
mod target;

pub use basis::{Basis, Scaling};
pub use certify::{Certification, certify};
pub use domain::{Domain, Interval};
pub use extrema::Extremum;
pub use failure::MinimaxError;
pub use parity::{Parity, detect_parity};
pub use polynomial::{Fit, Options, Problem, fit};
pub use quantise::{QuantiseOptions, Quantised, quantise};
pub use rational::{RationalFit, RationalProblem, fit_rational};
pub use target::{Norm, Target};
