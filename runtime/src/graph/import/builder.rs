//! Collects graph nodes; operators on constants are evaluated at once and leave no node.

use std::sync::Arc;

use super::call::Refusal;
use crate::graph::onnx::ElementKind;
use crate::graph::operator::{Constant, Operator, Visibility};
use crate::graph::reference;
use crate::graph::tensor::Tensor;
use crate::graph::{Node, NodeId};

/// A value known at import.
#[derive(Clone, Debug)]
pub(super) struct Literal {
    pub name: String,
    pub tensor: Arc<Tensor>,
    pub kind: ElementKind,
    pub visibility: Visibility,
}

impl Literal {
    pub fn new(name: &str, tensor: Tensor, kind: ElementKind, visibility: Visibility) -> Literal {
        Literal { name: name.into(), tensor: Arc::new(tensor), kind, visibility }
    }

    /// A public real tensor.
    pub fn structural(name: &str, tensor: Tensor) -> Literal {
        Literal::new(name, tensor, ElementKind::Real, Visibility::Structural)
    }

    pub fn constant(&self) -> Constant {
        Constant::shared(self.name.clone(), self.visibility, Arc::clone(&self.tensor))
    }

    /// The only element, if there is only one.
    pub fn scalar(&self) -> Option<f64> {
        (self.tensor.data.len() == 1).then(|| self.tensor.data[0])
    }

    /// The same constant with its elements through `function`.
    pub fn map(&self, function: impl FnMut(f64) -> f64) -> Literal {
        Literal { tensor: Arc::new(self.tensor.map(function)), ..self.clone() }
    }

    /// The same constant with another shape of as many elements.
    pub fn reshaped(&self, shape: Vec<usize>) -> Literal {
        let tensor = Tensor { shape, data: self.tensor.data.clone() };
        Literal { tensor: Arc::new(tensor), ..self.clone() }
    }
}

/// What a name of the file stands for.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Literal(Literal),
    Node(NodeId),
}

#[derive(Default)]
pub(super) struct Builder {
    nodes: Vec<Node>,
    name: String,
}

impl Builder {
    /// Nodes emitted from here on carry this name.
    pub fn begin(&mut self, name: &str) {
        self.name = name.into();
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn into_nodes(self) -> Vec<Node> {
        self.nodes
    }

    pub fn input(&mut self, name: &str, shape: Vec<usize>) -> NodeId {
        self.begin(name);
        self.push(Operator::Input, Vec::new(), shape)
    }

    pub fn shape<'a>(&'a self, value: &'a Value) -> &'a [usize] {
        match value {
            Value::Literal(literal) => &literal.tensor.shape,
            Value::Node(id) => &self.nodes[id.index()].shape,
        }
    }

    fn push(&mut self, operator: Operator, inputs: Vec<NodeId>, shape: Vec<usize>) -> NodeId {
        let id = NodeId::from_index(self.nodes.len());
        self.nodes.push(Node { id, name: self.name.clone(), operator, inputs, shape });
        id
    }

    /// The node that computes `value`; a literal becomes a constant node.
    pub fn materialise(&mut self, value: &Value) -> NodeId {
        match value {
            Value::Node(id) => *id,
            Value::Literal(literal) => {
                let value = literal.constant();
                self.push(Operator::Constant { value }, Vec::new(), literal.tensor.shape.clone())
            }
        }
    }

    /// Applies an operator: checks shapes, skips it where it changes nothing, folds it where all inputs are known.
    pub fn emit(&mut self, operator: Operator, inputs: &[Value]) -> Result<Value, Refusal> {
        let shapes: Vec<&[usize]> = inputs.iter().map(|input| self.shape(input)).collect();
        let shape = operator.output_shape(&shapes)?;
        if let [input] = inputs
            && changes_nothing(&operator, shapes[0], &shape)
        {
            return Ok(input.clone());
        }
        let literals: Option<Vec<&Literal>> = inputs
            .iter()
            .map(|input| match input {
                Value::Literal(literal) => Some(literal),
                Value::Node(_) => None,
            })
            .collect();
        if let Some(literals) = literals.filter(|literals| !literals.is_empty()) {
            let tensors: Vec<&Tensor> = literals.iter().map(|literal| literal.tensor.as_ref()).collect();
            let tensor =
                reference::evaluate(&operator, &tensors, &shape).map_err(|e| Refusal::Invalid(e.to_string()))?;
            let held = operator.constants();
            let visibilities = held.iter().map(|c| c.visibility).chain(literals.iter().map(|l| l.visibility));
            let visibility = visibilities.max().unwrap_or(Visibility::Structural);
            return Ok(Value::Literal(Literal::new(&self.name, tensor, literals[0].kind, visibility)));
        }
        if shape.contains(&0) {
            return Err(Refusal::Unsupported(format!("its result is empty (shape {shape:?})")));
        }
        let ids = inputs.iter().map(|input| self.materialise(input)).collect();
        Ok(Value::Node(self.push(operator, ids, shape)))
    }
}

fn changes_nothing(operator: &Operator, before: &[usize], after: &[usize]) -> bool {
    match operator {
        Operator::Reshape { .. } | Operator::Broadcast { .. } | Operator::Pad { .. } => before == after,
        Operator::Concat { .. } => true,
        Operator::Transpose { permutation } => permutation.iter().copied().eq(0..permutation.len()),
        Operator::Slice { axes } => {
            axes.iter().zip(before).all(|(slice, &extent)| slice.length == extent && slice.step == 1)
        }
        Operator::ReduceSum { axes } => axes.iter().all(|&axis| before[axis] == 1),
        Operator::Scale { factor } => factor.public_scalar() == Some(1.0),
        Operator::AddConstant { constant } => constant.public_scalar() == Some(0.0),
        _ => false,
    }
}
