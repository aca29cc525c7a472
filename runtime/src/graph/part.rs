//! A few nodes of a graph as a graph of their own: what they read from elsewhere becomes its inputs.

use super::operator::Operator;
use super::{Graph, Node, NodeId};
use std::collections::BTreeMap;

/// Some nodes of a graph, alone.
#[derive(Clone, Debug)]
pub struct Part {
    /// The nodes, after one input for every value that they read from elsewhere. Its output is the last of them.
    pub graph: Graph,
    /// The nodes of the whole graph whose values are the inputs, in order.
    pub arguments: Vec<NodeId>,
    places: BTreeMap<NodeId, NodeId>,
}

impl Part {
    /// The place of a node of the whole graph, if it is in the part or an argument of it.
    pub fn place(&self, node: NodeId) -> Option<NodeId> {
        self.places.get(&node).copied()
    }
}

impl Graph {
    /// The part of these `nodes`, which must be in topological order and the graph's own; `None` of no node.
    pub fn part(&self, nodes: &[NodeId]) -> Option<Part> {
        let &last = nodes.last()?;
        let mut arguments: Vec<NodeId> = Vec::new();
        for input in nodes.iter().flat_map(|&id| &self.node(id).inputs) {
            if !nodes.contains(input) && !arguments.contains(input) {
                arguments.push(*input);
            }
        }
        let all = arguments.iter().chain(nodes).enumerate();
        let places: BTreeMap<NodeId, NodeId> = all.map(|(place, &id)| (id, NodeId::from_index(place))).collect();
        let node = |&id: &NodeId| {
            let own = self.node(id);
            let (operator, inputs) = match arguments.contains(&id) {
                true => (Operator::Input, Vec::new()),
                false => (own.operator.clone(), own.inputs.iter().map(|input| places[input]).collect()),
            };
            Node { id: places[&id], name: own.name.clone(), operator, inputs, shape: own.shape.clone() }
        };
        let nodes = arguments.iter().chain(nodes).map(node).collect();
        let inputs =
            arguments.iter().enumerate().map(|(place, id)| (format!("argument {place}"), places[id])).collect();
        let graph = Graph { nodes, inputs, outputs: vec![("result".into(), places[&last])] };
        Some(Part { graph, arguments, places })
    }
}
