//! Rewrites of the imported node list: patterns become operators, constants fold into linear operators, dead nodes go.
//!
//! Establishes: the result computes the same function as the input in exact arithmetic (each rewrite states its
//! identity), in topological order, with finite constants. Never looks at whether a *weight* has a special value, so
//! the structure reveals the architecture and nothing else; scalars that belong to a recognised pattern (the √2 of a
//! GELU, masks) are architecture, wherever the file keeps them.

mod activations;
mod affine;
mod normalisation;
mod structure;

use super::error::Error;
use super::operator::{Constant, Operator};
use super::{Graph, Node, NodeId};

/// Rewriting stops when nothing changes; this bounds the rounds if a mistake made two rewrites undo each other.
const ROUNDS_MAX: usize = 64;

/// A node list in which nodes may be dead, with the outputs that keep the others alive.
pub(super) struct Rewriter {
    nodes: Vec<Node>,
    outputs: Vec<(String, NodeId)>,
}

/// Runs all rewrites. With `keep_unused`, nodes without users stay (the graph of a file that is only inspected).
pub(super) fn simplify(
    nodes: Vec<Node>,
    inputs: Vec<(String, NodeId)>,
    outputs: Vec<(String, NodeId)>,
    keep_unused: bool,
) -> Result<Graph, Error> {
    let mut rewriter = Rewriter { nodes, outputs };
    if keep_unused {
        let uses = rewriter.use_counts();
        let unused = rewriter.nodes.iter().filter(|node| uses[node.id.index()] == 0).map(|node| node.id);
        let kept: Vec<_> = unused.map(|id| (String::new(), id)).collect();
        rewriter.outputs.extend(kept);
    }
    // Patterns first: folding a scale into a dense layer would break a pattern that the scale belongs to.
    let patterns: &[fn(&mut Rewriter) -> bool] =
        &[structure::simplify, activations::recognise, normalisation::recognise, normalisation::masks];
    let folds: &[fn(&mut Rewriter) -> bool] =
        &[affine::merge, affine::into_producer, affine::scalars, affine::norm_into_dense, structure::simplify];
    for passes in [patterns, folds] {
        for _ in 0..ROUNDS_MAX {
            rewriter.remove_dead();
            let mut changed = false;
            for pass in passes {
                changed |= pass(&mut rewriter);
            }
            if !changed {
                break;
            }
        }
    }
    rewriter.finish(inputs)
}

impl Rewriter {
    fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    fn operator(&self, id: NodeId) -> &Operator {
        &self.nodes[id.index()].operator
    }

    /// The only input of a node that has one.
    fn source(&self, id: NodeId) -> Option<NodeId> {
        match self.nodes[id.index()].inputs.as_slice() {
            [source] => Some(*source),
            _ => None,
        }
    }

    fn ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.nodes.len()).map(NodeId::from_index)
    }

    /// How often each value is used, the outputs of the model included. Dead nodes count as users until
    /// [`Rewriter::remove_dead`].
    fn use_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.nodes.len()];
        let inputs = self.nodes.iter().flat_map(|node| &node.inputs);
        for id in inputs.chain(self.outputs.iter().map(|(_, id)| id)) {
            counts[id.index()] += 1;
        }
        counts
    }

    /// The nodes that use a value, one entry per use; `None` where the model's outputs use it too.
    fn users(&self, id: NodeId) -> Option<Vec<NodeId>> {
        if self.outputs.iter().any(|(_, output)| *output == id) {
            return None;
        }
        let uses = |node: &Node| std::iter::repeat_n(node.id, node.inputs.iter().filter(|input| **input == id).count());
        Some(self.nodes.iter().flat_map(uses).collect())
    }

    /// Makes every user of `from` use `to`, which must be computed before all of them.
    fn redirect(&mut self, from: NodeId, to: NodeId) {
        let inputs = self.nodes.iter_mut().flat_map(|node| &mut node.inputs);
        for id in inputs.chain(self.outputs.iter_mut().map(|(_, id)| id)).filter(|id| **id == from) {
            *id = to;
        }
    }

    /// Puts a new node between `id` and its only input; returns the identifier that `id`'s node has afterwards.
    fn insert_before(&mut self, id: NodeId, operator: Operator) -> NodeId {
        let later = |other: NodeId| {
            if other >= id { NodeId::from_index(other.index() + 1) } else { other }
        };
        for node in &mut self.nodes {
            node.id = later(node.id);
            node.inputs.iter_mut().for_each(|input| *input = later(*input));
        }
        self.outputs.iter_mut().for_each(|(_, output)| *output = later(*output));
        let moved = &mut self.nodes[id.index()];
        let inserted = Node {
            id,
            name: moved.name.clone(),
            operator,
            inputs: std::mem::replace(&mut moved.inputs, vec![id]),
            shape: moved.shape.clone(),
        };
        self.nodes.insert(id.index(), inserted);
        later(id)
    }

    /// Removes nodes that no output needs (inputs of the model stay).
    fn remove_dead(&mut self) {
        let mut live = vec![false; self.nodes.len()];
        self.outputs.iter().for_each(|(_, id)| live[id.index()] = true);
        for node in self.nodes.iter().rev() {
            if live[node.id.index()] || node.operator == Operator::Input {
                live[node.id.index()] = true;
                node.inputs.iter().for_each(|input| live[input.index()] = true);
            }
        }
        let mut renamed = Vec::with_capacity(self.nodes.len());
        let mut next = 0;
        for &live in &live {
            renamed.push(NodeId::from_index(next));
            next += usize::from(live);
        }
        self.nodes.retain(|node| live[node.id.index()]);
        for node in &mut self.nodes {
            node.id = renamed[node.id.index()];
            node.inputs.iter_mut().for_each(|input| *input = renamed[input.index()]);
        }
        self.outputs.iter_mut().for_each(|(_, id)| *id = renamed[id.index()]);
    }

    fn finish(mut self, inputs: Vec<(String, NodeId)>) -> Result<Graph, Error> {
        // Input nodes are never removed and keep their order, so their rank identifies them.
        self.remove_dead();
        let remaining = self.nodes.iter().filter(|node| node.operator == Operator::Input).map(|node| node.id);
        let inputs = inputs.into_iter().map(|(name, _)| name).zip(remaining).collect();
        for node in &self.nodes {
            for constant in node.operator.constants() {
                if !constant.tensor()?.is_finite() {
                    return Err(Error::NotFinite(format!("tensor '{}' of node '{}'", constant.name, node.name)));
                }
            }
        }
        self.outputs.retain(|(name, _)| !name.is_empty());
        Ok(Graph { nodes: self.nodes, inputs, outputs: self.outputs })
    }
}

/// The factor of a scale by a single number.
fn scalar_factor(operator: &Operator) -> Option<f64> {
    if let Operator::Scale { factor } = operator { factor.scalar() } else { None }
}

/// The summand of a sum with a single number.
fn scalar_summand(operator: &Operator) -> Option<f64> {
    if let Operator::AddConstant { constant } = operator { constant.scalar() } else { None }
}

/// Whether two numbers agree as far as single-precision constants of an exporter do.
fn close(left: f64, right: f64) -> bool {
    (left - right).abs() <= 2e-6 * right.abs()
}

/// The elements of a constant; import never withholds them.
fn elements(constant: &Constant) -> &[f64] {
    &constant.tensor().expect("constants are known while a file is imported").data
}
