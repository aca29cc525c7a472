//! Minimax fitting: linear programming and exchange in arbitrary precision.

mod basis;
mod dense;
mod domain;
mod exchange;
mod extrema;
mod failure;
mod frame;
mod linear_program;
mod parity;
mod polynomial;
mod sampling;
mod simplex;
mod target;

pub use basis::{Basis, Scaling};
pub use domain::{Domain, Interval};
pub use extrema::Extremum;
pub use failure::MinimaxError;
pub use parity::{Parity, detect_parity};
pub use polynomial::{Fit, Options, Problem, fit};
pub use target::{Norm, Target};
