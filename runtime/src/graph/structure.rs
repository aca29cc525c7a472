//! The public structure of a model as a file: what parties without the weights hold.

use super::{Graph, NodeId};

/// Why a file is no structure.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not the public structure of a model: {0}")]
pub struct Malformed(pub String);

/// The largest structure file that is read, in bytes.
pub const STRUCTURE_BYTES_MAX: usize = 64 << 20;

impl Graph {
    /// The graph as JSON. Of [`Graph::without_weights`] this is public.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads what [`Graph::to_json`] wrote, and checks everything that [`Graph`] promises.
    pub fn from_json(text: &str) -> Result<Graph, Malformed> {
        if text.len() > STRUCTURE_BYTES_MAX {
            return Err(Malformed(format!("it exceeds {STRUCTURE_BYTES_MAX} bytes")));
        }
        let graph: Graph = serde_json::from_str(text).map_err(|error| Malformed(error.to_string()))?;
        graph.validate().map_err(Malformed)?;
        Ok(graph)
    }

    fn validate(&self) -> Result<(), String> {
        let count = self.nodes.len();
        let known = |id: NodeId| id.index() < count;
        for (index, node) in self.nodes.iter().enumerate() {
            if node.id.index() != index || node.inputs.iter().any(|input| input.index() >= index) {
                return Err(format!("node {index} is out of order"));
            }
            super::tensor::element_count(&node.shape)?;
            if let Some(constant) = node.operator.constants().into_iter().find(|constant| !constant.is_consistent()) {
                return Err(format!("the constant '{}' has another shape than its value", constant.name));
            }
            if !self.inputs.iter().any(|&(_, id)| id == node.id) {
                let inputs: Vec<&[usize]> = node.inputs.iter().map(|&id| self.node(id).shape.as_slice()).collect();
                let shape = node.operator.output_shape(&inputs).map_err(|reason| format!("node {index}: {reason}"))?;
                if shape != node.shape {
                    return Err(format!("node {index} has shape {:?}, its operands give {shape:?}", node.shape));
                }
            }
        }
        let named = self.inputs.iter().chain(&self.outputs);
        match named.into_iter().find(|(_, id)| !known(*id)) {
            Some((name, _)) => Err(format!("'{name}' names no node")),
            None => Ok(()),
        }
    }
}
