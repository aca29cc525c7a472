//! A small model as an ONNX file, with weights and inputs whose digits can be searched for.

use prost::Message;
use runtime::graph::onnx::{
    DimensionMessage, GraphMessage, ModelMessage, NodeMessage, OperatorSetMessage, ShapeMessage, TensorMessage,
    TensorTypeMessage, TypeMessage, ValueMessage,
};

/// Elements of an input, of the hidden layer and of an output.
pub const INPUTS: usize = 4;
const HIDDEN: usize = 3;
const OUTPUTS: usize = 2;

/// y = activation(x·W)·V + b, where the activation is an operator of ONNX.
pub fn small(activation: &str) -> Vec<u8> {
    let mut graph = GraphMessage::default();
    let dimensions = vec![
        DimensionMessage { value: None, parameter: Some("batch".into()) },
        DimensionMessage { value: Some(INPUTS as i64), parameter: None },
    ];
    let shape = Some(ShapeMessage { dims: dimensions });
    let kind = Some(TypeMessage { tensor: Some(TensorTypeMessage { element: 1, shape }) });
    graph.inputs.push(ValueMessage { name: "x".into(), kind });
    graph.outputs.push(ValueMessage { name: "y".into(), kind: None });
    for (name, dims, first) in [
        ("w", vec![INPUTS, HIDDEN], 0),
        ("v", vec![HIDDEN, OUTPUTS], INPUTS * HIDDEN),
        ("b", vec![OUTPUTS], (INPUTS + OUTPUTS) * HIDDEN),
    ] {
        let count = dims.iter().product::<usize>();
        graph.initializers.push(TensorMessage {
            name: name.into(),
            dims: dims.iter().map(|&extent| extent as i64).collect(),
            data_type: 1,
            float_data: (first..first + count).map(|index| weight(index) as f32).collect(),
            ..TensorMessage::default()
        });
    }
    for (operator, inputs, output) in [
        ("MatMul", vec!["x", "w"], "hidden"),
        (activation, vec!["hidden"], "active"),
        ("MatMul", vec!["active", "v"], "product"),
        ("Add", vec!["product", "b"], "y"),
    ] {
        graph.nodes.push(NodeMessage {
            inputs: inputs.into_iter().map(str::to_owned).collect(),
            outputs: vec![output.into()],
            name: format!("node_{output}"),
            operator: operator.into(),
            ..NodeMessage::default()
        });
    }
    let operator_sets = vec![OperatorSetMessage { domain: String::new(), version: 17 }];
    ModelMessage { ir_version: 8, producer: "test".into(), graph: Some(graph), operator_sets }.encode_to_vec()
}

/// Some number in [−1, 1) with many digits.
fn scattered(index: usize, seed: usize) -> f64 {
    let turns = (index * 7 + seed) as f64 * 0.618_033_988_749_894_9;
    2.0 * (turns - turns.floor()) - 1.0
}

/// Element `index` of all weights, in the order of the file.
pub fn weight(index: usize) -> f64 {
    scattered(index, 3)
}

/// Element `index` of the inputs.
pub fn input(index: usize) -> f64 {
    scattered(index, 500)
}

/// What must never be printed: five digits of every weight and of every input, and how they are encoded.
pub fn secrets() -> Vec<String> {
    let weights = (0..(INPUTS + OUTPUTS) * HIDDEN + OUTPUTS).map(weight);
    let inputs = (0..10 * INPUTS).map(input);
    let decimals = weights.chain(inputs).map(f64::abs).filter(|value| *value > 0.01);
    decimals.map(|value| format!("{value:.8}")[1..7].to_owned()).collect()
}
