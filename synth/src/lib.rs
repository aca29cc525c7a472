//! Untrusted search: fitting, quantisation, families of programs, Pareto fronts, publishing.
//!
//! Nothing here is believed: what is published is what `verify::check` accepts.

pub mod certify;
