//! The plain model's values at every node, and what becomes of its outputs when one of them is another: only what
//! follows that node is computed again.

use super::Error;
use super::hidden::hidden;
use crate::graph::operator::Operator;
use crate::graph::{Graph, Node, NodeId, Tensor, reference};

/// All values of one evaluation.
pub struct Trace {
    graph: Graph,
    inputs: Vec<Tensor>,
    values: Vec<Tensor>,
}

impl Trace {
    /// Evaluates `graph`, keeping every value.
    pub fn new(graph: Graph, inputs: Vec<Tensor>) -> Result<Trace, Error> {
        let mut values = Vec::with_capacity(graph.nodes().len());
        reference::run(&graph, &inputs, &mut |_, value| values.push(value.clone()))?;
        Ok(Trace { graph, inputs, values })
    }

    /// On what.
    pub fn inputs(&self) -> &[Tensor] {
        &self.inputs
    }

    /// What was evaluated.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The value of a node.
    pub fn value(&self, id: NodeId) -> &Tensor {
        &self.values[id.index()]
    }

    /// The outputs, in order, and then what stands for those that hide something.
    pub fn outputs(&self) -> Vec<Tensor> {
        let outputs = self.graph.outputs().iter().map(|&(_, id)| self.value(id).clone());
        outputs.chain(hidden(&self.graph).iter().map(|hidden| hidden.shown(self.value(hidden.node)))).collect()
    }

    /// The same of a model in which the value of `node` is another one.
    pub fn with(&self, node: NodeId, value: Tensor) -> Result<Vec<Tensor>, Error> {
        let mut changed: Vec<Option<Tensor>> = vec![None; self.values.len()];
        let mut open: Vec<usize> = self.readers();
        changed[node.index()] = Some(value);
        for later in &self.graph.nodes()[node.index() + 1..] {
            if !later.inputs.iter().any(|input| changed[input.index()].is_some()) {
                continue;
            }
            let of = |input: &NodeId| changed[input.index()].as_ref().unwrap_or_else(|| self.value(*input));
            let inputs: Vec<&Tensor> = later.inputs.iter().map(of).collect();
            let value = reference::evaluate(&later.operator, &inputs, &later.shape)?;
            changed[later.id.index()] = Some(value);
            for input in &later.inputs {
                open[input.index()] = open[input.index()].saturating_sub(1);
                if open[input.index()] == 0 {
                    changed[input.index()] = None;
                }
            }
        }
        let value = |id: NodeId| changed[id.index()].as_ref().unwrap_or_else(|| self.value(id));
        let outputs = self.graph.outputs().iter().map(|&(_, id)| value(id).clone());
        Ok(outputs.chain(hidden(&self.graph).iter().map(|hidden| hidden.shown(value(hidden.node)))).collect())
    }

    /// How often every value is read, an output of the model, and what it hides, once more.
    fn readers(&self) -> Vec<usize> {
        let mut readers = vec![0; self.values.len()];
        let inputs = self.graph.nodes().iter().flat_map(|node| &node.inputs);
        inputs.chain(self.graph.outputs().iter().map(|(_, id)| id)).for_each(|id| readers[id.index()] += 1);
        hidden(&self.graph).iter().for_each(|hidden| readers[hidden.node.index()] += 1);
        readers
    }
}

/// Multiply-adds, or what takes as long, of everything that follows `node`.
pub fn work_after(graph: &Graph, node: NodeId) -> f64 {
    let mut changed = vec![false; graph.nodes().len()];
    changed[node.index()] = true;
    let mut work = 0.0;
    for later in &graph.nodes()[node.index() + 1..] {
        if later.inputs.iter().any(|input| changed[input.index()]) {
            changed[later.id.index()] = true;
            work += work_of(graph, later);
        }
    }
    work
}

fn work_of(graph: &Graph, node: &Node) -> f64 {
    let elements = node.elements() as f64;
    let of_weight = |shape: &[usize]| shape.iter().skip(1).product::<usize>() as f64;
    match &node.operator {
        Operator::Conv { weight, .. } => elements * of_weight(weight.shape()),
        Operator::Dense { weight, .. } => elements * weight.shape().first().copied().unwrap_or(1) as f64,
        Operator::MatMul => elements * graph.node(node.inputs[0]).shape.last().copied().unwrap_or(1) as f64,
        Operator::Activation { .. } | Operator::Softmax => 30.0 * elements,
        Operator::MaxPool { window } | Operator::SumPool { window } => {
            elements * (window.kernel[0] * window.kernel[1]) as f64
        }
        _ => 4.0 * elements,
    }
}
