//! Private inference: graphs, sharing, protocols, transport, tuner.

pub mod backend;
pub mod kernel;
pub mod protocol;
pub mod random;
