//! Private inference: model graphs in, arrays in and out, and the machinery that runs them between parties.

pub mod arrays;
pub mod circuit;
pub mod graph;
