//! Private inference: model graphs in, arrays in and out, sharing, protocols, transport, trust in catalogs,
//! what a run costs, and the tuner.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod arrays;
pub mod backend;
pub mod circuit;
pub mod cost;
pub mod deployment;
pub mod graph;
pub mod kernel;
pub mod plan;
pub mod protocol;
pub mod random;
pub mod session;
pub mod transport;
pub mod trust;
pub mod tuner;
