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

/// A weight or an input that a text tells: one whose first five decimals stand in it, and whose other decimals are those
/// that follow, as far as they go. Measured seconds, which have as many digits, now and then begin like one.
pub fn told(text: &str) -> Option<f64> {
    let weights = (0..(INPUTS + OUTPUTS) * HIDDEN + OUTPUTS).map(weight);
    let inputs = (0..10 * INPUTS).map(input);
    let mut secrets = weights.chain(inputs).filter(|value| value.abs() > 0.01);
    secrets.find(|value| {
        let start = &format!("{:.8}", value.abs())[1..7];
        text.match_indices(start).any(|(at, _)| {
            let digits: String = text[at + 1..].chars().take_while(char::is_ascii_digit).collect();
            // As precise as it is written, and no more precise than a model's weights are.
            let unit = 10f64.powi(-i32::try_from(digits.len()).unwrap_or(i32::MAX)).max(1e-7);
            let written: f64 = format!("0.{digits}").parse().unwrap();
            (written - value.abs().fract()).abs() <= unit
        })
    })
}
