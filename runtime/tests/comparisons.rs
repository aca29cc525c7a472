//! Comparisons of secrets and what is made of them, at ties and at the resolution, against their definitions: in the
//! plain reference, and bit for bit in simulation with shipped entries.

#![allow(clippy::unwrap_used)]

#[path = "operators/entries.rs"]
mod entries;
mod onnx_model;

use entries::Entries;
use onnx_model::Model;
use runtime::circuit::ideal::{self, RoundingMode};
use runtime::graph::onnx::AttributeMessage;
use runtime::graph::{Graph, Tensor, reference};

/// Whether a comparison holds.
type Definition = fn(f64, f64) -> bool;

const RESOLUTION: f64 = 1.0 / 1024.0;

/// Differences whose comparisons are certain: none, the resolution, more.
const DIFFERENCES: [f64; 9] = [0.0, RESOLUTION, -RESOLUTION, 0.0, 0.25, -0.25, 7.5, -7.5, 0.0];

fn integer(name: &str, integer: i64) -> AttributeMessage {
    AttributeMessage { name: name.into(), integer, ..AttributeMessage::default() }
}

/// The plain value, and that every simulation gives it to a few units of 2^-16.
fn value(graph: &Graph, inputs: &[Vec<f64>], entries: &Entries) -> Vec<f64> {
    let tensors: Vec<Tensor> = graph
        .inputs()
        .iter()
        .zip(inputs)
        .map(|((_, id), data)| Tensor::new(graph.node(*id).shape.clone(), data.clone()).unwrap())
        .collect();
    let plain = reference::run(graph, &tensors, &mut |_, _| {}).unwrap().remove(0).data;
    let bounds: Vec<(f64, f64)> = inputs.iter().map(|_| (-16.0, 16.0)).collect();
    let (lowered, weights, _) = entries.choose(graph, &bounds).unwrap();
    let encoded = lowered.encode_inputs(&tensors).unwrap();
    for mode in [RoundingMode::Seed(1), RoundingMode::AllLow, RoundingMode::AllHigh] {
        let outcome = ideal::run(&lowered.circuit, &weights, &encoded, mode).unwrap();
        assert_eq!(outcome.report.violations(&lowered.circuit), []);
        let private = lowered.decode_outputs(&outcome.outputs).unwrap().remove(0).data;
        for (private, plain) in private.iter().zip(&plain) {
            assert!((private - plain).abs() < 2e-4, "{mode:?}: {private} is not {plain}");
        }
    }
    plain
}

#[test]
fn comparisons_are_exact_at_ties_and_from_the_resolution_on() {
    let entries = Entries::shipped();
    let definitions: [(&str, Definition); 5] = [
        ("Greater", |a, b| a > b),
        ("GreaterOrEqual", |a, b| a >= b),
        ("Less", |a, b| a < b),
        ("LessOrEqual", |a, b| a <= b),
        ("Equal", |a, b| a == b),
    ];
    let a: Vec<f64> = (0..9).map(|index| f64::from(index) - 4.5).collect();
    let b: Vec<f64> = a.iter().zip(DIFFERENCES).map(|(a, difference)| a - difference).collect();
    for (operator, definition) in definitions {
        let model = Model::default().input("a", &["1", "9"]).input("b", &["1", "9"]);
        let graph = model.op(operator, &["a", "b"], "y").graph("y");
        let expected: Vec<f64> = a.iter().zip(&b).map(|(a, b)| f64::from(u8::from(definition(*a, *b)))).collect();
        assert_eq!(value(&graph, &[a.clone(), b.clone()], &entries), expected, "{operator}");
        // A swapped operand is seen.
        let swapped = value(&graph, &[b.clone(), a.clone()], &entries);
        assert_eq!(swapped == expected, operator == "Equal", "{operator}");
    }
    let graph =
        Model::default().input("a", &["1", "1"]).input("b", &["1", "1"]).op("Greater", &["a", "b"], "y").graph("y");
    let between = value(&graph, &[vec![RESOLUTION / 2.0], vec![0.0]], &entries);
    assert!(between[0] > 0.4 && between[0] < 0.6, "{between:?}");
}

#[test]
fn positions_of_ties_are_the_first_or_the_last_as_asked() {
    let entries = Entries::shipped();
    let row = vec![1.0, 3.0, -2.0, 3.0, 2.5, -2.0];
    let of = |operator: &str, attributes: Vec<AttributeMessage>| {
        let model = Model::default().input("x", &["1", "6"]);
        let attributes = [vec![integer("axis", 1)], attributes].concat();
        value(&model.node(operator, &["x"], "y", attributes).graph("y"), std::slice::from_ref(&row), &entries)
    };
    assert_eq!(of("ArgMax", vec![]), [1.0]);
    assert_eq!(of("ArgMax", vec![integer("select_last_index", 1)]), [3.0]);
    assert_eq!(of("ArgMin", vec![]), [2.0]);
    assert_eq!(of("ArgMin", vec![integer("select_last_index", 1)]), [5.0]);
    assert_eq!(of("Hardmax", vec![]), [0.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
    let top = |largest: i64| {
        let model = Model::default().input("x", &["1", "6"]).integers("k", &[4]);
        let graph = model.node("TopK", &["x", "k"], "y", vec![integer("largest", largest)]).graph("y");
        value(&graph, std::slice::from_ref(&row), &entries)
    };
    assert_eq!((top(1), top(0)), (vec![3.0, 3.0, 2.5, 1.0], vec![-2.0, -2.0, 1.0, 2.5]));
    let model = || Model::default().input("x", &["1", "6"]);
    let refused = model().integers("k", &[7]).node("TopK", &["x", "k"], "y", vec![]).error("y");
    assert!(refused.contains("its k is not between 1 and 6"), "{refused}");
}

#[test]
fn a_secret_condition_chooses_and_does_not_mask() {
    let entries = Entries::shipped();
    let model = || Model::default().input("a", &["1", "4"]).input("b", &["1", "4"]).op("Less", &["a", "b"], "c");
    let graph = model().op("Where", &["c", "a", "b"], "y").graph("y");
    let (a, b) = (vec![1.0, 2.0, -3.0, 0.5], vec![2.0, 1.0, -3.0, 9.0]);
    assert_eq!(value(&graph, &[a, b], &entries), [1.0, 1.0, -3.0, 0.5]);
    let masked = model().scalar("low", -1e9).op("Where", &["c", "a", "low"], "y").error("y");
    assert!(masked.contains("its condition is secret and it masks"), "{masked}");
}
