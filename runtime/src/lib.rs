//! Private inference: graphs, sharing, protocols, transport, tuner.

pub mod random;
