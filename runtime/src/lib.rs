//! Private inference: model graphs in, arrays in and out, sharing, protocols, transport, and the tuner.

pub mod arrays;
pub mod circuit;
pub mod deployment;
pub mod graph;
pub mod random;
pub mod transport;
