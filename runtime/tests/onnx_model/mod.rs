//! Builds small ONNX files, so that a test can say what it imports.

#![allow(dead_code, missing_docs, clippy::unwrap_used)] // Every test file uses a part of it.

use prost::Message;
use runtime::graph::Graph;
use runtime::graph::onnx::{
    AttributeMessage, DimensionMessage, GraphMessage, ModelMessage, NodeMessage, OperatorSetMessage, ShapeMessage,
    TensorMessage, TensorTypeMessage, TypeMessage, ValueMessage,
};

#[derive(Default)]
pub struct Model(GraphMessage);

impl Model {
    pub fn input(mut self, name: &str, dims: &[&str]) -> Self {
        let dim = |text: &&str| match text.parse() {
            Ok(value) => DimensionMessage { value: Some(value), parameter: None },
            Err(_) => DimensionMessage { value: None, parameter: Some(text.to_string()) },
        };
        let shape = Some(ShapeMessage { dims: dims.iter().map(dim).collect() });
        let kind = Some(TypeMessage { tensor: Some(TensorTypeMessage { element: 1, shape }) });
        self.0.inputs.push(ValueMessage { name: name.into(), kind });
        self
    }

    pub fn weight(mut self, name: &str, dims: &[i64], data: &[f32]) -> Self {
        self.0.initializers.push(TensorMessage {
            name: name.into(),
            dims: dims.to_vec(),
            data_type: 1,
            float_data: data.to_vec(),
            ..TensorMessage::default()
        });
        self
    }

    pub fn integers(mut self, name: &str, data: &[i64]) -> Self {
        self.0.initializers.push(TensorMessage {
            name: name.into(),
            dims: vec![data.len() as i64],
            data_type: 7,
            int64_data: data.to_vec(),
            ..TensorMessage::default()
        });
        self
    }

    pub fn scalar(self, name: &str, value: f32) -> Self {
        let tensor = TensorMessage { data_type: 1, float_data: vec![value], ..TensorMessage::default() };
        let attribute = AttributeMessage { name: "value".into(), tensor: Some(tensor), ..AttributeMessage::default() };
        self.node("Constant", &[], name, vec![attribute])
    }

    pub fn op(self, operator: &str, inputs: &[&str], output: &str) -> Self {
        self.node(operator, inputs, output, Vec::new())
    }

    pub fn node(mut self, operator: &str, inputs: &[&str], output: &str, attributes: Vec<AttributeMessage>) -> Self {
        self.0.nodes.push(NodeMessage {
            inputs: inputs.iter().map(|name| name.to_string()).collect(),
            outputs: vec![output.into()],
            name: output.into(),
            operator: operator.into(),
            attributes,
            domain: String::new(),
        });
        self
    }

    pub fn bytes(mut self, output: &str) -> Vec<u8> {
        self.0.outputs.push(ValueMessage { name: output.into(), kind: None });
        let operator_sets = vec![OperatorSetMessage { domain: String::new(), version: 17 }];
        ModelMessage { ir_version: 8, producer: "test".into(), graph: Some(self.0), operator_sets }.encode_to_vec()
    }

    pub fn graph(self, output: &str) -> Graph {
        Graph::import(&self.bytes(output), 1).unwrap()
    }

    pub fn error(self, output: &str) -> String {
        Graph::import(&self.bytes(output), 1).unwrap_err().to_string()
    }
}

pub fn integers(name: &str, integers: &[i64]) -> AttributeMessage {
    AttributeMessage { name: name.into(), integers: integers.to_vec(), ..AttributeMessage::default() }
}
