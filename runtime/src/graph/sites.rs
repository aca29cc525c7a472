//! Where a model evaluates nonlinear functions: the places that the tuner chooses catalog entries for.

use super::operator::{Function, Operator};
use super::{Graph, NodeId};

/// What a site evaluates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SiteKind {
    /// A scalar function other than the rectifier.
    Activation(Function),
    /// max(x, 0).
    Rectifier,
    /// Softmax of rows.
    Softmax,
    /// Layer norm of rows.
    Normalisation,
    /// Maximum over windows.
    Maximum,
}

impl SiteKind {
    /// Lower-case name for tables.
    pub fn name(self) -> &'static str {
        match self {
            SiteKind::Activation(function) => function.name(),
            SiteKind::Rectifier => "relu",
            SiteKind::Softmax => "softmax",
            SiteKind::Normalisation => "layer norm",
            SiteKind::Maximum => "maximum",
        }
    }
}

/// One place of a model where a nonlinear function is evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// The node.
    pub node: NodeId,
    /// Its name in the file.
    pub name: String,
    /// What it evaluates.
    pub kind: SiteKind,
    /// Elements of the result, for the whole batch.
    pub elements: usize,
    /// Elements that one evaluation looks at: a row, a window, or 1.
    pub row_length: usize,
}

pub(super) fn sites(graph: &Graph) -> Vec<Site> {
    let site = |node: &super::Node| {
        let row = node.shape.last().copied().unwrap_or(1);
        let (kind, row_length) = match &node.operator {
            Operator::Activation { function: Function::Relu } => (SiteKind::Rectifier, 1),
            Operator::Activation { function } => (SiteKind::Activation(*function), 1),
            Operator::Softmax => (SiteKind::Softmax, row),
            Operator::LayerNorm { .. } => (SiteKind::Normalisation, row),
            Operator::MaxPool { window } => (SiteKind::Maximum, window.kernel[0] * window.kernel[1]),
            _ => return None,
        };
        Some(Site { node: node.id, name: node.name.clone(), kind, elements: node.elements(), row_length })
    };
    graph.nodes().iter().filter_map(site).collect()
}
