//! Private inference: model graphs in, arrays in and out, and the machinery that runs them between parties.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod arrays;
pub mod graph;
