//! The CPU: kernels over blocks of lanes, and products of matrices.

mod kernel;
mod lanes;
mod local;
pub mod matrix;
pub(crate) mod packing;
mod slots;
pub(crate) mod widest;

pub use super::Frames;
pub use kernel::Prepared;
pub use local::{Cpu, PackedWeight};
pub use slots::Slots;
