//! Models as typed graphs: import from ONNX, the plain reference, static ranges.
//!
//! Establishes: nodes are in topological order, every shape is concrete, no shape arithmetic of the file remains,
//! every constant is finite, and the operators are those of [`Operator`]. Assumes nothing about the file: what cannot
//! be expressed is refused with an error that lists all of it.
//!
//! ```text
//! bytes ── onnx ──► messages ── import ──► nodes ── rewrite ──► Graph ──► reference, ranges, observed, sites
//! ```

pub mod clamps;
pub mod error;
pub mod import;
pub mod observed;
pub mod onnx;
pub mod operator;
pub mod part;
pub mod ranges;
pub mod reference;
mod rewrite;
mod shapes;
pub mod sites;
pub mod structure;
pub mod tensor;

use serde::{Deserialize, Serialize};
use std::fmt;

pub use clamps::Clamp;
pub use error::{Error, Unsupported};
pub use import::{Axes, Inspection, inspect};
pub use operator::{Constant, Function, Operator, Visibility, Window};
pub use sites::{Site, SiteKind};
pub use tensor::Tensor;

/// A node's position in topological order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(u32);

impl NodeId {
    /// Position in [`Graph::nodes`].
    pub fn index(self) -> usize {
        self.0 as usize
    }

    pub(crate) fn from_index(index: usize) -> NodeId {
        NodeId(u32::try_from(index).expect("a file below 4 GiB has fewer than 2^32 nodes"))
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "n{}", self.0)
    }
}

/// One operation with its result's shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Its position.
    pub id: NodeId,
    /// Name in the file; a node that replaces several carries the last one's.
    pub name: String,
    /// What it computes.
    pub operator: Operator,
    /// Its operands, all earlier.
    pub inputs: Vec<NodeId>,
    /// Shape of the result.
    pub shape: Vec<usize>,
}

impl Node {
    /// Number of elements of the result.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}

/// A model for one concrete batch size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Graph {
    nodes: Vec<Node>,
    inputs: Vec<(String, NodeId)>,
    outputs: Vec<(String, NodeId)>,
}

impl Graph {
    /// Imports an ONNX file for a batch of `batch`. The batch is every dynamic axis that leads an input; other
    /// dynamic axes need [`Graph::import_with`].
    pub fn import(bytes: &[u8], batch: usize) -> Result<Graph, Error> {
        Graph::import_with(bytes, &Axes::batch(batch))
    }

    /// Imports an ONNX file with the given extents of its dynamic axes.
    pub fn import_with(bytes: &[u8], axes: &Axes) -> Result<Graph, Error> {
        import::import(bytes, axes)
    }

    /// All nodes in topological order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// One node.
    ///
    /// # Panics
    /// If the identifier is another graph's and beyond this one's nodes.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// Names of the model's inputs with their nodes, in the order of the file.
    pub fn inputs(&self) -> &[(String, NodeId)] {
        &self.inputs
    }

    /// Names of the model's outputs with the nodes that compute them, in the order of the file.
    pub fn outputs(&self) -> &[(String, NodeId)] {
        &self.outputs
    }

    /// The places where a nonlinear function is evaluated, in topological order.
    pub fn sites(&self) -> Vec<Site> {
        sites::sites(self)
    }

    /// The constants that are secret to the model's owner, with the nodes that hold them.
    pub fn weights(&self) -> impl Iterator<Item = (NodeId, &Constant)> {
        let all = self.nodes.iter().flat_map(|node| {
            node.operator.constants().into_iter().map(|constant| (node.id, constant)).collect::<Vec<_>>()
        });
        all.filter(|(_, constant)| constant.visibility == Visibility::Weight)
    }

    /// The public structure: the same graph, the values of its weights removed. What parties other than the model's
    /// owner hold.
    pub fn without_weights(&self) -> Graph {
        let mut graph = self.clone();
        for node in &mut graph.nodes {
            node.operator.constants_mut().into_iter().for_each(Constant::withhold_weight);
        }
        graph
    }
}
