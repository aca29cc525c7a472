//! The CPU: kernels over blocks of lanes, and products of matrices.

mod kernel;
mod lanes;
pub mod matrix;
mod packing;

pub use kernel::{Frames, Prepared, Slots};
