//! Comparisons of secrets and what is made of them, at ties and at the resolution, against their definitions: in the
//! plain reference, and bit for bit in simulation with shipped entries.

#![allow(clippy::unwrap_used)]

#[path = "operators/entries.rs"]
mod entries;
mod onnx_model;

use entries::Entries;
use onnx_model::Model;
use runtime::circuit::ideal::{self, RoundingMode};
use runtime::circuit::{NodeKind, Party};
use runtime::graph::onnx::AttributeMessage;
use runtime::graph::{Graph, Tensor, reference};
use runtime::random::Key;
use runtime::session::Runner;
use runtime::transport::{Limits, Transport, in_process};

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

/// What three parties open to the owner of the output, over connections in this process.
fn by_three_parties(graph: &Graph, inputs: &[Vec<f64>], entries: &Entries) -> Vec<f64> {
    let bounds: Vec<(f64, f64)> = inputs.iter().map(|_| (-16.0, 16.0)).collect();
    let (lowered, weights, _) = entries.choose(graph, &bounds).unwrap();
    let shapes = graph.inputs().iter().map(|(_, id)| graph.node(*id).shape.clone());
    let tensors: Vec<Tensor> =
        shapes.zip(inputs).map(|(shape, data)| Tensor::new(shape, data.clone()).unwrap()).collect();
    let encoded = lowered.encode_inputs(&tensors).unwrap();
    let owner = |node| match &lowered.circuit.node(node).kind {
        NodeKind::Input { owner, .. } => owner.0,
        NodeKind::Output { receiver, .. } => receiver.0,
        _ => panic!("no input and no output"),
    };
    let (source, target) = (owner(lowered.circuit.inputs()[0]), owner(lowered.circuit.outputs()[0]));
    let ends = in_process::network(3, Some(&Key::from_bytes([8; 32])), Limits::default(), None).unwrap();
    let opened = std::thread::scope(|scope| {
        let (lowered, weights, encoded) = (&lowered, &weights, &encoded);
        let parties = ends.into_iter().enumerate().map(|(me, mut transport)| {
            scope.spawn(move || {
                let me = me as u8;
                let mut runner = Runner::new(lowered.circuit.clone(), Party(me)).unwrap();
                runner.share_weights(Party(0), (me == 0).then_some(weights), &mut transport).unwrap();
                let own = encoded.iter().map(|tensor| (me == source).then(|| tensor.clone())).collect::<Vec<_>>();
                let outcome = runner.run(&own, &mut transport).unwrap();
                transport.finish().unwrap();
                (me == target).then(|| outcome.outputs.into_iter().map(Option::unwrap).collect::<Vec<_>>())
            })
        });
        let parties: Vec<_> = parties.collect();
        parties.into_iter().filter_map(|party| party.join().unwrap()).next().unwrap()
    });
    lowered.decode_outputs(&opened).unwrap().remove(0).data
}

/// And, Or, Xor and Not of secret truth values, and formulas of them: every row of the truth table, in the plain
/// reference, in simulation under several choices of roundings, and by three parties.
#[test]
fn formulas_of_secret_truth_values_have_their_truth_tables() {
    type Formula = (&'static str, fn(Model) -> Model, fn(bool, bool, bool) -> bool);
    let entries = Entries::shipped();
    let formulas: [Formula; 7] = [
        ("and", |m| m.op("And", &["p", "q"], "y"), |p, q, _| p && q),
        ("or", |m| m.op("Or", &["p", "q"], "y"), |p, q, _| p || q),
        ("xor", |m| m.op("Xor", &["p", "q"], "y"), |p, q, _| p != q),
        ("not", |m| m.op("Not", &["r"], "y"), |_, _, r| !r),
        ("nor", |m| m.op("Or", &["p", "q"], "o").op("Not", &["o"], "y"), |p, q, _| !(p || q)),
        ("parity", |m| m.op("Xor", &["p", "q"], "o").op("Xor", &["o", "r"], "y"), |p, q, r| p ^ q ^ r),
        (
            "choice",
            |m| {
                let m = m.op("And", &["p", "q"], "a").op("Not", &["p"], "n").op("And", &["n", "r"], "b");
                m.op("Or", &["a", "b"], "y")
            },
            |p, q, r| if p { q } else { r },
        ),
    ];
    // Each row of the table is a lane; a truth value is the sign of a secret number.
    let column = |bit: usize| (0..8).map(|row| if row >> bit & 1 == 1 { 2.5 } else { -3.0 }).collect::<Vec<f64>>();
    let inputs: Vec<Vec<f64>> = vec![column(0), column(1), column(2), vec![0.0; 8]];
    let mut tables = Vec::new();
    for (name, formula, definition) in formulas {
        let model = ["a", "b", "c", "zero"].iter().fold(Model::default(), |m, input| m.input(input, &["1", "8"]));
        let pairs = [("a", "p"), ("b", "q"), ("c", "r")];
        let model = pairs.iter().fold(model, |m, &(input, truth)| m.op("Greater", &[input, "zero"], truth));
        let graph = formula(model).graph("y");
        let truth = |row: usize| f64::from(u8::from(definition(row & 1 == 1, row >> 1 & 1 == 1, row >> 2 & 1 == 1)));
        let expected: Vec<f64> = (0..8).map(truth).collect();
        assert_eq!(value(&graph, &inputs, &entries), expected, "{name}");
        let private = by_three_parties(&graph, &inputs, &entries);
        let close = private.iter().zip(&expected).all(|(private, expected)| (private - expected).abs() < 2e-4);
        assert!(close, "{name}: three parties give {private:?}, not {expected:?}");
        tables.push(expected);
    }
    let differ = |index: usize| !tables[..index].contains(&tables[index]);
    assert!((0..tables.len()).all(differ), "two formulas have one table");
}
