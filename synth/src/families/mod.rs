//! Families of programs: each turns a handful of parameters and fitted coefficients into a program.

pub mod builder;
pub mod even;
pub mod polynomial;
pub mod target;

pub use builder::{BuildError, Builder, Terms, Wire};
