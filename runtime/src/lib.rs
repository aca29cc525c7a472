//! Private inference: graphs, sharing, protocols, transport, tuner.

pub mod deployment;
pub mod random;
pub mod transport;
