//! Untrusted search: fitting, quantisation, families of programs, Pareto fronts, publishing.
//!
//! Nothing here is part of the trusted base: whatever this crate finds is worth something only once
//! `verify::check` has accepted it.

pub mod best;
pub mod campaign;
pub mod certify;
pub mod expression;
pub mod families;
pub mod golden;
pub mod minimax;
pub mod nfgen;
pub mod peers;
pub mod search;
pub mod standard;
pub mod supremum;
