//! The checker.
#![forbid(unsafe_code)]
mod certified;
pub use certified::Certified;
