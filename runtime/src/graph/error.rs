//! What can go wrong between a model file and a typed graph. Messages name the node and what to do, never a weight.

use std::fmt;

/// A node that the graph cannot express.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// Name of the node in the file (its first output where it has no name).
    pub node: String,
    /// Operator as the file spells it.
    pub operator: String,
    /// What is not supported, and what would be.
    pub reason: String,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "node '{}' ({}): {}", self.node, self.operator, self.reason)
    }
}

/// Why a model could not become a graph, or a graph could not be evaluated or bounded.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// The bytes are not an ONNX model.
    #[error("not a readable ONNX model: {0}; export it again, or check that the file is complete")]
    Malformed(String),
    /// An extent was given of an axis that the model does not have.
    #[error("the model's inputs have no dynamic axis '{axis}'; they have {known}")]
    NoAxis {
        /// The name that was given.
        axis: String,
        /// The names that there are.
        known: String,
    },
    /// A value was given of a public input that the model does not have.
    #[error("the model has no input '{name}' that could be public; it has {known}")]
    NoInput {
        /// The name that was given.
        name: String,
        /// The inputs that there are.
        known: String,
    },
    /// Some nodes have no counterpart; all of them are listed.
    #[error("{} unsupported node(s):{}", .0.len(), list(.0))]
    Unsupported(Vec<Unsupported>),
    /// A node contradicts itself or its inputs.
    #[error("node '{node}' ({operator}): {reason}")]
    Invalid {
        /// Name of the node.
        node: String,
        /// Operator.
        operator: String,
        /// What is contradictory.
        reason: String,
    },
    /// A dynamic axis that is not the batch and was not given an extent.
    #[error("input '{input}' has a dynamic axis '{axis}' that is not the batch: give its extent")]
    Axis {
        /// Model input.
        input: String,
        /// Name of the axis in the file.
        axis: String,
    },
    /// The number of input tensors is wrong.
    #[error("the model has {expected} input(s) ({names}), {given} are given")]
    InputCount {
        /// Inputs of the model.
        expected: usize,
        /// Their names, comma-separated.
        names: String,
        /// Inputs given.
        given: usize,
    },
    /// An input tensor has the wrong shape.
    #[error("input '{input}' must have shape {expected:?}, the given one has {given:?}")]
    InputShape {
        /// Model input.
        input: String,
        /// Shape of the graph.
        expected: Vec<usize>,
        /// Shape of the array.
        given: Vec<usize>,
    },
    /// A value that must be finite is not.
    #[error("{0} contains NaN or infinity")]
    NotFinite(String),
    /// A weight is needed where only the public structure is known.
    #[error("the value of weight '{0}' belongs to the model's owner and is not known here")]
    Withheld(String),
    /// An input box is empty or not finite.
    #[error("the range given for input '{0}' is empty or not finite: give finite bounds, lower before upper")]
    InputRange(String),
}

fn list(nodes: &[Unsupported]) -> String {
    nodes.iter().map(|node| format!("\n  {node}")).collect()
}
