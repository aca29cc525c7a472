//! The bound against what simulations show: nothing is ever further off, every term is needed, and better choices have
//! smaller bounds.

use super::*;
use crate::circuit::ideal::{self, RoundingMode};
use crate::circuit::lower::tests::{OWNERSHIP, choices, graph, integers, node, weight};
use crate::circuit::lower::{Centre, Choice, Formats, lower};
use crate::circuit::sample_entries::{exp_within, relu};
use crate::graph::onnx::{AttributeMessage, TensorMessage};
use crate::graph::{Tensor, reference};
use catalogs::{Decimal, Scale};
use verify::Certified;

const UNIT: f64 = 1.0 / 65536.0;
/// As close to half a unit as single precision comes for small numbers.
const NEARLY_HALF: f64 = 0.498_046_875;

type Choices = BTreeMap<graph::NodeId, Choice>;

fn filled(name: &str, dims: &[usize], value: impl Fn(usize) -> f64) -> TensorMessage {
    let count = dims.iter().product();
    let data = (0..count).map(|index| value(index) as f32).collect();
    TensorMessage { float_data: data, ..weight(name, dims, 0.0) }
}

/// A model with its choices, inputs in a box.
struct Case {
    graph: Graph,
    choices: Choices,
    formats: Formats,
    ends: [f64; 2],
}

impl Case {
    fn new(graph: Graph, ends: [f64; 2]) -> Case {
        let choices = choices(&graph, Centre::Exact, false);
        Case { graph, choices, formats: Formats::default(), ends }
    }

    fn lowered(&self) -> Lowered {
        lower(&self.graph, &self.choices, self.formats, OWNERSHIP).unwrap()
    }

    fn bound(&self, terms: Terms) -> ErrorBound {
        let lowered = self.lowered();
        let weights = lowered.weights(&self.graph).unwrap();
        let boxes = [InputBound { low: self.ends[0], high: self.ends[1], row_norm: None }];
        let clamped = &BTreeMap::new();
        let question = Question { lowered: &lowered, graph: &self.graph, weights: &weights, boxes: &boxes, clamped };
        with(&question, terms).unwrap()
    }

    fn certified(&self, terms: Terms) -> f64 {
        self.bound(terms).outputs.remove(0).error.unwrap().total()
    }

    /// The largest error of simulations on inputs that `value` makes, with all kinds of roundings.
    fn measured(&self, value: impl Fn(usize) -> f64) -> f64 {
        let lowered = self.lowered();
        let weights = lowered.weights(&self.graph).unwrap();
        let shape = self.graph.node(self.graph.inputs()[0].1).shape.clone();
        let data = (0..shape.iter().product()).map(value).collect();
        let input = Tensor::new(shape, data).unwrap();
        let expected = reference::run(&self.graph, std::slice::from_ref(&input), &mut |_, _| {}).unwrap();
        let inputs = lowered.encode_inputs(&[input]).unwrap();
        let modes = [RoundingMode::Seed(1), RoundingMode::Seed(2), RoundingMode::AllLow, RoundingMode::AllHigh];
        let errors = modes.into_iter().map(|mode| {
            let outcome = ideal::run(&lowered.circuit, &weights, &inputs, mode).unwrap();
            assert!(outcome.report.violations(&lowered.circuit).is_empty());
            let found = lowered.decode_outputs(&outcome.outputs).unwrap();
            let off = found[0].data.iter().zip(&expected[0].data).map(|(found, expected)| (found - expected).abs());
            off.fold(0.0, f64::max)
        });
        errors.fold(0.0, f64::max)
    }
}

fn matmul(input: &str, weight: &str, output: &str) -> crate::graph::onnx::NodeMessage {
    node("MatMul", &[input, weight], output, vec![])
}

const INPUTS: usize = 256;

/// Weights that are each nearly half a unit off, at the corner of the box that sees all of it.
fn weights_off() -> (Case, f64) {
    let model = graph(
        &[1, INPUTS],
        vec![matmul("x", "w", "y")],
        vec![filled("w", &[INPUTS, 1], |i| (3.0 + NEARLY_HALF) * UNIT * if i % 2 == 0 { 1.0 } else { -1.0 })],
    );
    let case = Case::new(model, [-64.0, 64.0]);
    let found = case.measured(|i| if i % 2 == 0 { 64.0 } else { -64.0 });
    (case, found)
}

/// Inputs that are each nearly half a unit off.
fn inputs_off() -> (Case, f64) {
    let model = graph(&[1, INPUTS], vec![matmul("x", "w", "y")], vec![filled("w", &[INPUTS, 1], |_| 8.0)]);
    let case = Case::new(model, [-1.0, 1.0]);
    let found = case.measured(|_| 0.5 + NEARLY_HALF * UNIT);
    (case, found)
}

/// A public factor of 1/9 that no power of two divides.
fn factor_off() -> (Case, f64) {
    let pool = vec![integers("kernel_shape", &[3, 3]), integers("strides", &[1, 1])];
    let nodes = vec![node("AveragePool", &["x"], "a", pool), node("Relu", &["a"], "y", vec![])];
    let mut case = Case::new(graph(&[1, 1, 3, 3], nodes, vec![]), [0.0, 32768.0]);
    case.choices.values_mut().for_each(|choice| *choice = Choice::Unary { entry: relu(48, 16) });
    let found = case.measured(|_| 32768.0);
    (case, found)
}

/// Both factors of a square are off.
fn factors_off() -> (Case, f64) {
    let case = Case::new(graph(&[1, 4], vec![node("Mul", &["x", "x"], "y", vec![])], vec![]), [-64.0, 64.0]);
    let found = case.measured(|_| 64.0 - (1.0 - NEARLY_HALF) * UNIT);
    (case, found)
}

/// Every element of a layer is rounded up by one unit.
fn layers_rounded() -> (Case, f64) {
    let nodes = vec![matmul("x", "v", "h"), matmul("h", "w", "y")];
    let weights = vec![filled("v", &[1, INPUTS], |_| 0.5), filled("w", &[INPUTS, 1], |_| 8.0)];
    let case = Case::new(graph(&[1, 1], nodes, weights), [-1.0, 1.0]);
    let found = case.measured(|_| 0.0);
    (case, found)
}

/// The argument of an exponential is off by much more than the entry.
fn arguments_off() -> (Case, f64) {
    let nodes = vec![matmul("x", "w", "h"), node("Add", &["h", "b"], "z", vec![]), node("Exp", &["z"], "y", vec![])];
    let weights = vec![filled("w", &[INPUTS, 1], |_| 8.0), filled("b", &[1], |_| -1.0 / 1024.0)];
    let case = Case::new(graph(&[1, INPUTS], nodes, weights), [-0.01, 0.0]);
    let found = case.measured(|_| -NEARLY_HALF * UNIT);
    (case, found)
}

/// The two arguments of a softmax move apart.
fn probabilities_off() -> (Case, f64) {
    let nodes = vec![matmul("x", "w", "z"), node("Softmax", &["z"], "y", vec![])];
    let weights = vec![filled("w", &[4 * INPUTS, 2], |i| if i % 2 == 0 { 8.0 } else { -8.0 })];
    let case = Case::new(graph(&[1, 4 * INPUTS], nodes, weights), [-0.001, 0.001]);
    let found = case.measured(|_| NEARLY_HALF * UNIT);
    (case, found)
}

/// e^x by a program that is off by about its claim at −2.
fn entry_off() -> (Case, f64) {
    let case = Case::new(graph(&[1, 1], vec![node("Exp", &["x"], "y", vec![])], vec![]), [-8.0, 0.0]);
    let found = case.measured(|_| -2.0);
    (case, found)
}

/// Each case is near its bound by one term: a bound with half of the term, or without it, is refuted.
#[test]
fn no_term_may_be_halved_or_dropped() {
    type Make = fn() -> (Case, f64);
    type Mutant = fn(f64) -> Terms;
    let quantisation: Mutant = |factor| Terms { quantisation: factor, ..Terms::ALL };
    let roundings: Mutant = |factor| Terms { roundings: factor, ..Terms::ALL };
    let slopes: Mutant = |factor| Terms { slopes: factor, ..Terms::ALL };
    let entries: Mutant = |factor| Terms { entries: factor, ..Terms::ALL };
    let cases: [(&str, Make, Mutant); 8] = [
        ("weights", weights_off, quantisation),
        ("inputs", inputs_off, quantisation),
        ("public factor", factor_off, quantisation),
        ("products", factors_off, quantisation),
        ("roundings", layers_rounded, roundings),
        ("slope", arguments_off, slopes),
        ("slope of a softmax", probabilities_off, slopes),
        ("entry", entry_off, entries),
    ];
    for (name, make, mutant) in cases {
        let (case, measured) = make();
        let bound = case.certified(Terms::ALL);
        assert!(measured <= bound, "{name}: off by {measured:e}, certified {bound:e}");
        assert!(measured > 0.0, "{name}: nothing was off");
        for factor in [0.5, 0.0] {
            let mutated = case.certified(mutant(factor));
            assert!(measured > mutated, "{name} times {factor}: {measured:e} does not refute {mutated:e} ({bound:e})");
        }
    }
}

/// Models of many operators, on corners of the box, its middle and random inputs.
#[test]
fn nothing_is_further_off_than_certified() {
    let epsilon = AttributeMessage { name: "epsilon".into(), float: 0.4, kind: 1, ..AttributeMessage::default() };
    let conv = vec![integers("kernel_shape", &[3, 3]), integers("pads", &[1, 1, 1, 1])];
    let pool = vec![integers("kernel_shape", &[3, 2]), integers("strides", &[2, 2]), integers("pads", &[1, 0, 1, 1])];
    let network = vec![
        node("Conv", &["x", "w", "b"], "c", conv),
        node("MaxPool", &["c"], "m", pool),
        node("Relu", &["m"], "r", vec![]),
        node("AveragePool", &["r"], "a", vec![integers("kernel_shape", &[2, 2])]),
        node("Softmax", &["a"], "y", vec![]),
    ];
    let attention = vec![
        matmul("x", "q", "queries"),
        node("Transpose", &["x"], "keys", vec![integers("perm", &[0, 2, 1])]),
        matmul("queries", "keys", "scores"),
        node("Softmax", &["scores"], "p", vec![]),
        matmul("p", "x", "y"),
    ];
    let norm = vec![
        matmul("x", "w", "h"),
        node("Add", &["x", "h"], "s", vec![]),
        node("LayerNormalization", &["s", "gamma", "beta"], "z", vec![epsilon]),
        node("Neg", &["z"], "y", vec![]),
    ];
    let sizes = vec![weight("w", &[6, 6], 0.5), weight("gamma", &[6], 1.5), weight("beta", &[6], 0.7)];
    let graphs = [
        graph(&[2, 1, 6, 6], network, vec![weight("w", &[3, 1, 3, 3], 0.8), weight("b", &[3], 0.3)]),
        graph(&[2, 4, 3], attention, vec![weight("q", &[3, 3], 0.5)]),
        graph(&[2, 6], norm, sizes),
    ];
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    for model in graphs {
        for (centre, last) in [(Centre::Exact, false), (Centre::Rounded, model.nodes().len() == 6)] {
            let mut case = Case::new(model.clone(), [-1.0, 1.0]);
            let divides = case.graph.sites().iter().any(|site| case.graph.node(site.node).name == "p");
            case.choices = choices(&case.graph, centre, last && divides);
            let bound = case.certified(Terms::ALL);
            for round in 0..24u64 {
                let mut draw = |_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    let word = (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0;
                    match round % 3 {
                        0 => word.signum(),
                        1 => word,
                        // Nearly half a unit from an integer, on the side of a coin.
                        _ => (word * 65535.0).round() * UNIT + NEARLY_HALF * UNIT * word.signum(),
                    }
                };
                let inputs: Vec<f64> =
                    (0..case.graph.node(case.graph.inputs()[0].1).elements()).map(&mut draw).collect();
                let measured = case.measured(|index| inputs[index].clamp(-1.0, 1.0));
                assert!(measured <= bound, "{centre:?}, round {round}: off by {measured:e}, certified {bound:e}");
            }
        }
    }
}

#[test]
fn better_choices_have_smaller_bounds() {
    let nodes = vec![matmul("x", "w", "z"), node("Softmax", &["z"], "y", vec![])];
    let model = graph(&[1, 8], nodes, vec![weight("w", &[8, 5], 0.5)]);
    let case = |weights: u8, exp: Arc<Certified>| {
        let mut case = Case::new(model.clone(), [-1.0, 1.0]);
        case.formats.weights = Scale::new(weights).unwrap();
        for choice in case.choices.values_mut() {
            if let Choice::Softmax { exp: own, .. } = choice {
                *own = Arc::clone(&exp);
            }
        }
        case.certified(Terms::ALL)
    };
    let claims = |digits: i128| exp_within(Decimal::new(digits, -4).unwrap());
    let (good, loose) = (claims(12), claims(40));
    assert!(case(16, good.clone()) < case(16, loose));
    assert!(case(20, good.clone()) < case(16, good.clone()));
    assert!(case(16, good.clone()) < case(10, good));
}

#[test]
fn causes_add_up_and_every_computing_node_is_listed() {
    let (case, _) = arguments_off();
    let bound = case.bound(Terms::ALL);
    let names: Vec<&str> = bound.steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(names, ["h", "y"], "the bias is part of the layer");
    let last = bound.steps[1].error.clone().unwrap();
    assert_eq!((bound.steps[1].is_site, bound.steps[0].is_site), (true, false));
    assert!([last.roundings, last.approximations, last.quantisation].iter().all(|&part| part > 0.0), "{last:?}");
    let output = &bound.outputs[0];
    assert!((output.error.clone().unwrap().total() / last.total() - 1.0).abs() < 1e-9);
    assert!(!output.is_vacuous());
}

/// What may have any residue, and what has a pole, has no bound.
#[test]
fn where_there_is_no_bound_it_is_said_why() {
    let nodes = vec![node("Add", &["x", "x"], "a", vec![]), node("Add", &["a", "a"], "y", vec![])];
    let ends = 2f64.powi(46);
    let case = Case::new(graph(&[1, 2], nodes, vec![]), [-ends * 0.5, ends * 0.5]);
    let output = case.bound(Terms::ALL).outputs.remove(0);
    assert!(output.error.as_ref().unwrap_err().contains("ring") && output.is_vacuous(), "{output:?}");

    // ε of 2^-20 and rows of equal elements: the argument of the root may be anything above 0.
    let epsilon = AttributeMessage { name: "epsilon".into(), float: 0.11, kind: 1, ..AttributeMessage::default() };
    let nodes = vec![matmul("x", "w", "h"), node("LayerNormalization", &["h", "g"], "y", vec![epsilon])];
    let weights = vec![filled("w", &[1024, 4], |i| if i % 2 == 0 { 64.0 } else { -64.0 }), weight("g", &[4], 1.0)];
    let case = Case::new(graph(&[1, 1024], nodes, weights), [-2e-5, 2e-5]);
    let output = case.bound(Terms::ALL).outputs.remove(0);
    assert!(output.error.as_ref().unwrap_err().contains("slope of rsqrt"), "{output:?}");
}
