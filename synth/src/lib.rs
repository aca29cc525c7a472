//! Untrusted search for cheap certified programs.
//!
//! Nothing here is part of the trusted base: whatever this crate finds is worth something only once
//! `verify::check` has accepted it.

pub mod minimax;
