//! Small ONNX models through lowering, proof, schedule and simulation, against the plain reference.

use super::*;
use crate::circuit::bound::{Question, error_bound};
use crate::circuit::ideal::{self, RoundingMode};
use crate::circuit::node::Party;
use crate::circuit::sample_entries::{exp, reciprocal, relu, rsqrt};
use crate::circuit::{headroom, schedule};
use crate::graph::onnx::{
    AttributeMessage, DimensionMessage, GraphMessage, ModelMessage, NodeMessage, OperatorSetMessage, ShapeMessage,
    TensorMessage, TensorTypeMessage, TypeMessage, ValueMessage,
};
use crate::graph::{SiteKind, reference};
use catalogs::protocol::rss3::Rss3;
use catalogs::protocol::{Model, Operation, Width};
use prost::Message;

pub(in crate::circuit) const OWNERSHIP: Ownership = Ownership { input: Party(0), output: Party(2) };

/// Weights that repeat: small, of both signs, different.
pub(in crate::circuit) fn numbers(count: usize, amplitude: f64) -> Vec<f64> {
    (0..count).map(|index| ((index * 37 + 11) % 101) as f64 / 50.0 - 1.0).map(|x| x * amplitude).collect()
}

fn value(name: &str, dims: &[usize]) -> ValueMessage {
    let dims = dims.iter().map(|&extent| DimensionMessage { value: Some(extent as i64), parameter: None });
    let shape = Some(ShapeMessage { dims: dims.collect() });
    let tensor = Some(TensorTypeMessage { element: 1, shape });
    ValueMessage { name: name.into(), kind: Some(TypeMessage { tensor }) }
}

pub(in crate::circuit) fn weight(name: &str, dims: &[usize], amplitude: f64) -> TensorMessage {
    let data = numbers(dims.iter().product(), amplitude).into_iter().map(|value| value as f32).collect();
    TensorMessage {
        dims: dims.iter().map(|&extent| extent as i64).collect(),
        data_type: 1,
        float_data: data,
        name: name.into(),
        ..TensorMessage::default()
    }
}

pub(in crate::circuit) fn integers(name: &str, values: &[i64]) -> AttributeMessage {
    AttributeMessage { name: name.into(), integers: values.to_vec(), kind: 7, ..AttributeMessage::default() }
}

pub(in crate::circuit) fn node(
    operator: &str,
    inputs: &[&str],
    output: &str,
    attributes: Vec<AttributeMessage>,
) -> NodeMessage {
    NodeMessage {
        inputs: inputs.iter().map(|name| (*name).into()).collect(),
        outputs: vec![output.into()],
        name: output.into(),
        operator: operator.into(),
        attributes,
        domain: String::new(),
    }
}

/// A model from `x` to `y`.
pub(in crate::circuit) fn graph(input: &[usize], nodes: Vec<NodeMessage>, initializers: Vec<TensorMessage>) -> Graph {
    let graph = GraphMessage {
        nodes,
        name: "test".into(),
        initializers,
        inputs: vec![value("x", input)],
        outputs: vec![ValueMessage { name: "y".into(), kind: None }],
    };
    let operator_sets = vec![OperatorSetMessage { domain: String::new(), version: 17 }];
    let model = ModelMessage { ir_version: 8, producer: "test".into(), graph: Some(graph), operator_sets };
    Graph::import(&model.encode_to_vec(), input[0]).unwrap()
}

pub(in crate::circuit) fn comparisons(groups: &[u8]) -> Comparisons {
    Comparisons { width: 24, groups: groups.to_vec(), joined: 1, coarse: 0 }
}

pub(in crate::circuit) fn choices(
    graph: &Graph,
    centre: Centre,
    normalise_last: bool,
) -> BTreeMap<graph::NodeId, Choice> {
    let relu = relu(24, 16);
    let choice = |kind| match kind {
        SiteKind::Rectifier => Choice::Unary { entry: relu.clone() },
        SiteKind::Maximum => Choice::Maximum { maximum: comparisons(&[3, 2]) },
        SiteKind::Softmax => {
            let maximum = comparisons(&[2]);
            Choice::Softmax { maximum, exp: exp(), reciprocal: reciprocal(), normalise_last }
        }
        SiteKind::Normalisation => Choice::Normalisation { rsqrt: rsqrt(), centre },
        SiteKind::Activation(_) => Choice::Unary { entry: exp() },
    };
    graph.sites().iter().map(|site| (site.node, choice(site.kind))).collect()
}

/// Lowers, proves, schedules and simulates under every mode; returns the worst error against the reference.
fn worst_error(graph: &Graph, choices: &BTreeMap<graph::NodeId, Choice>, amplitude: f64) -> (f64, Lowered) {
    let lowered = lower(graph, choices, Formats::default(), OWNERSHIP).unwrap();
    let public = lower(&graph.without_weights(), choices, Formats::default(), OWNERSHIP).unwrap();
    assert_eq!(lowered.circuit.describe(), public.circuit.describe(), "weights may not matter");
    assert!(public.weights(&graph.without_weights()).is_err() || graph.weights().next().is_none());
    let weights = lowered.weights(graph).unwrap();
    let proof = headroom::prove(&lowered, &weights, &[(-amplitude, amplitude)]).unwrap();
    // What is kept of the weights changes no proof.
    let (encoder, norms) = (Encoder::new(Arc::new(graph.clone())), headroom::Norms::default());
    let bounds = [headroom::InputBound { low: -amplitude, high: amplitude, row_norm: None }];
    for _ in 0..2 {
        let kept = encoder.weights(&lowered).unwrap();
        let slots = (0..lowered.circuit.weights().len() as u32).map(WeightId);
        assert!(slots.clone().all(|slot| kept.get(slot) == weights.get(slot)));
        assert_eq!(headroom::prove_with(&lowered, &kept, &bounds, &norms).unwrap(), proof);
    }
    schedule(&lowered.circuit, &Rss3).unwrap();
    let shape = &graph.node(graph.inputs()[0].1).shape;
    let input = Tensor::new(shape.clone(), numbers(shape.iter().product(), amplitude)).unwrap();
    let expected = reference::run(graph, std::slice::from_ref(&input), &mut |_, _| {}).unwrap();
    let inputs = lowered.encode_inputs(&[input]).unwrap();
    let mut worst = 0.0f64;
    for mode in [RoundingMode::Seed(3), RoundingMode::AllLow, RoundingMode::AllHigh] {
        let mut inside = |id: NodeId, tensor: &Integers| {
            let range = proof.range(id);
            let outside = tensor.values().iter().find(|&&v| i128::from(v) < range.low || i128::from(v) > range.high);
            let node = lowered.circuit.node(id);
            assert!(outside.is_none(), "{id} '{}' leaves {range:?}: {outside:?}", node.name);
        };
        let outcome = ideal::observe(&lowered.circuit, &weights, &inputs, mode, &mut inside).unwrap();
        assert!(outcome.report.violations(&lowered.circuit).is_empty());
        let found = lowered.decode_outputs(&outcome.outputs).unwrap();
        assert_eq!(found[0].shape, expected[0].shape);
        for (found, expected) in found[0].data.iter().zip(&expected[0].data) {
            worst = worst.max((found - expected).abs());
        }
    }
    let boxes = [headroom::InputBound { low: -amplitude, high: amplitude, row_norm: None }];
    let clamped = &BTreeMap::new();
    let question = Question { lowered: &lowered, graph, weights: &weights, boxes: &boxes, clamped };
    let bound = error_bound(&question).unwrap().outputs.remove(0).error.unwrap().total();
    assert!(worst <= bound, "off by {worst}, certified {bound}");
    (worst, lowered)
}

#[test]
fn softmax_rows_of_every_small_length() {
    for row in 1..=5usize {
        let graph = graph(&[3, row], vec![node("Softmax", &["x"], "y", vec![])], vec![]);
        let (error, lowered) = worst_error(&graph, &choices(&graph, Centre::Exact, false), 3.0);
        // exp errs by 1.2e-3 and the reciprocal by 1e-3·(1 + 1/S).
        assert!(error < 4e-3, "row {row}: {error}");
        let schedule = schedule(&lowered.circuit, &Rss3).unwrap();
        let tree = row.next_power_of_two().trailing_zeros();
        let pair = Operation::Maximum { ring: Formats::default().ring, width: Width::of(24), candidates: 2, joined: 1 };
        let [exp, reciprocal] = [exp(), reciprocal()].map(|e| catalogs::protocol::cost(e.program(), &Rss3).rounds);
        let expected = 2 + tree * u32::from(Rss3.rounds(pair)) + u32::from(exp) + u32::from(reciprocal) + 2;
        assert_eq!(schedule.rounds, expected, "row {row}");
        assert_eq!(schedule.groups().iter().map(|group| group.rounds).sum::<u32>(), schedule.rounds);
    }
}

#[test]
fn larger_groups_take_fewer_rounds_and_give_the_same() {
    let graph = graph(&[3, 5], vec![node("Softmax", &["x"], "y", vec![])], vec![]);
    let site = graph.sites()[0].node;
    let rounds = |groups: &[u8]| {
        let maximum = comparisons(groups);
        let choice = Choice::Softmax { maximum, exp: exp(), reciprocal: reciprocal(), normalise_last: false };
        let (error, lowered) = worst_error(&graph, &BTreeMap::from([(site, choice)]), 3.0);
        assert!(error < 4e-3, "{groups:?}: {error}");
        schedule(&lowered.circuit, &Rss3).unwrap().rounds
    };
    let found = [rounds(&[2]), rounds(&[3, 2]), rounds(&[3]), rounds(&[12])];
    assert!(found[0] > found[1] && found[1] == found[2] && found[2] > found[3], "{found:?}");
}

#[test]
fn layer_norm_with_and_without_weights_behind_it() {
    let epsilon = AttributeMessage { name: "epsilon".into(), float: 0.4, kind: 1, ..AttributeMessage::default() };
    for row in [3usize, 4, 6] {
        for centre in [Centre::Exact, Centre::Rounded] {
            let norm = node("LayerNormalization", &["x", "gamma", "beta"], "z", vec![epsilon.clone()]);
            let gamma = || vec![weight("gamma", &[row], 1.5), weight("beta", &[row], 0.7)];
            // Followed by a dense layer, which takes up γ, β and the gain; by a softmax-free use of z itself.
            let dense = [vec![weight("w", &[row, 5], 1.0)], gamma()].concat();
            let dense = graph(&[2, row], vec![norm.clone(), node("MatMul", &["z", "w"], "y", vec![])], dense);
            let own = graph(&[2, row], vec![norm, node("Neg", &["z"], "y", vec![])], gamma());
            for graph in [dense, own] {
                let (error, lowered) = worst_error(&graph, &choices(&graph, centre, false), 1.5);
                assert!(error < 8e-3, "row {row} {centre:?}: {error}");
                let found = lowered.circuit.groups().iter().find_map(|group| match group.construction {
                    Construction::Normalisation(normalisation) => Some(normalisation),
                    _ => None,
                });
                let found = found.unwrap();
                let exact = f64::from(row as u32).log2().fract() == 0.0;
                assert_eq!(found.gamma_gain == 1.0, exact);
                assert_eq!((found.row, found.mean.is_some()), (row, centre == Centre::Rounded));
            }
        }
    }
}

/// The mean of a residual row is ready when the layer's output is, and γ is multiplied while the root is taken.
#[test]
fn layer_norm_beside_a_linear_layer() {
    let epsilon = AttributeMessage { name: "epsilon".into(), float: 0.4, kind: 1, ..AttributeMessage::default() };
    for row in [3usize, 4] {
        let nodes = vec![
            node("MatMul", &["x", "w"], "h", vec![]),
            node("Add", &["h", "b"], "biased", vec![]),
            node("Add", &["x", "biased"], "s", vec![]),
            node("LayerNormalization", &["s", "gamma", "beta"], "z", vec![epsilon.clone()]),
            node("Neg", &["z"], "y", vec![]),
        ];
        let weights = vec![
            weight("w", &[row, row], 0.5),
            weight("b", &[row], 0.3),
            weight("gamma", &[row], 1.5),
            weight("beta", &[row], 0.7),
        ];
        let graph = graph(&[2, row], nodes, weights);
        let (error, lowered) = worst_error(&graph, &choices(&graph, Centre::Rounded, false), 1.0);
        assert!(error < 8e-3, "row {row}: {error}");
        let schedule = schedule(&lowered.circuit, &Rss3).unwrap();
        let found = |name: &str| {
            let (id, _) = lowered.circuit.iter().find(|(_, node)| node.name == name).unwrap();
            (schedule.start[id.index()], schedule.ready[id.index()])
        };
        assert_eq!(found("mean"), found("linear"), "row {row}");
        assert_eq!(found("stretched").0, found("variance").0);
        let rsqrt = catalogs::protocol::cost(rsqrt().program(), &Rss3).rounds;
        assert_eq!(schedule.rounds, 1 + 2 + 2 + u32::from(rsqrt) + 2 + 1);
    }
}

/// What is subtracted is a little above the maximum, whether the logits are inputs or products.
#[test]
fn a_coarse_maximum_serves_a_softmax() {
    let plain = graph(&[3, 5], vec![node("Softmax", &["x"], "y", vec![])], vec![]);
    let nodes = vec![node("MatMul", &["x", "w"], "scores", vec![]), node("Softmax", &["scores"], "y", vec![])];
    let product = graph(&[3, 5], nodes, vec![weight("w", &[5, 5], 0.5)]);
    for (graph, ahead) in [(&plain, 2), (&product, 0)] {
        let rounds = |coarse: u8| {
            let maximum = Comparisons { coarse, ..comparisons(&[3, 2]) };
            let choice = Choice::Softmax { maximum, exp: exp(), reciprocal: reciprocal(), normalise_last: false };
            let (error, lowered) = worst_error(graph, &BTreeMap::from([(graph.sites()[0].node, choice)]), 1.0);
            assert!(error < 4e-3, "{coarse}: {error}");
            schedule(&lowered.circuit, &Rss3).unwrap().rounds
        };
        // Two levels of sign tests, each of four rounds instead of five.
        assert_eq!(rounds(12) + 2, rounds(0) + ahead);
    }
    let site = plain.sites()[0].node;
    let maximum = Comparisons { coarse: 17, ..comparisons(&[2]) };
    let choice = Choice::Softmax { maximum, exp: exp(), reciprocal: reciprocal(), normalise_last: false };
    let message = lower(&plain, &BTreeMap::from([(site, choice)]), Formats::default(), OWNERSHIP).unwrap_err();
    assert!(message.to_string().contains("leaves out more bits"), "{message}");
}

#[test]
fn attention_may_divide_last() {
    let nodes = vec![
        node("MatMul", &["x", "q"], "queries", vec![]),
        node("Transpose", &["x"], "keys", vec![integers("perm", &[0, 2, 1])]),
        node("MatMul", &["queries", "keys"], "scores", vec![]),
        node("Softmax", &["scores"], "p", vec![]),
        node("MatMul", &["p", "x"], "y", vec![]),
    ];
    let graph = graph(&[2, 4, 3], nodes, vec![weight("q", &[3, 3], 0.5)]);
    let (first, before) = worst_error(&graph, &choices(&graph, Centre::Exact, false), 1.0);
    let (last, after) = worst_error(&graph, &choices(&graph, Centre::Exact, true), 1.0);
    assert!(first < 8e-3 && last < 8e-3, "{first} {last}");
    let rounds = [&before, &after].map(|lowered| schedule(&lowered.circuit, &Rss3).unwrap().rounds);
    assert_eq!(rounds[0] - rounds[1], 2);
    assert_ne!(before.circuit.digest(), after.circuit.digest());
}

#[test]
fn convolution_pooling_and_rectifiers() {
    let conv = vec![integers("kernel_shape", &[3, 3]), integers("pads", &[1, 1, 1, 1])];
    let pool =
        |pads: &[i64]| vec![integers("kernel_shape", &[3, 2]), integers("strides", &[2, 2]), integers("pads", pads)];
    for pads in [[0, 0, 0, 0], [1, 0, 1, 1]] {
        let nodes = vec![
            node("Conv", &["x", "w", "b"], "c", conv.clone()),
            node("MaxPool", &["c"], "m", pool(&pads)),
            node("Relu", &["m"], "r", vec![]),
            node("AveragePool", &["r"], "y", vec![integers("kernel_shape", &[2, 2])]),
        ];
        let graph = graph(&[2, 1, 6, 6], nodes, vec![weight("w", &[3, 1, 3, 3], 0.8), weight("b", &[3], 0.3)]);
        let (error, lowered) = worst_error(&graph, &choices(&graph, Centre::Exact, false), 1.0);
        assert!(error < 1e-3, "{error}");
        assert!(lowered.circuit.groups().iter().any(|group| group.construction == Construction::Maximum));
    }
}

#[test]
fn sums_scales_and_rearrangements() {
    let nodes = vec![
        node("Add", &["x", "w"], "a", vec![]),
        node("ReduceMean", &["a"], "m", vec![integers("axes", &[1])]),
        node("Sub", &["a", "m"], "d", vec![]),
        node(
            "Concat",
            &["d", "m"],
            "c",
            vec![AttributeMessage { name: "axis".into(), integer: 1, kind: 2, ..AttributeMessage::default() }],
        ),
        node("Mul", &["c", "c"], "s", vec![]),
        node("Transpose", &["s"], "y", vec![integers("perm", &[1, 0, 2])]),
    ];
    let graph = graph(&[2, 3, 4], nodes, vec![weight("w", &[3, 4], 0.5)]);
    let (error, _) = worst_error(&graph, &choices(&graph, Centre::Exact, false), 2.0);
    assert!(error < 3e-4, "{error}");
}

#[test]
fn plans_that_do_not_fit_are_refused_by_site() {
    let softmax = graph(&[2, 4], vec![node("Softmax", &["x"], "y", vec![])], vec![]);
    let good = choices(&softmax, Centre::Exact, false);
    let site = *good.keys().next().unwrap();
    let refuse = |choice: Option<Choice>| {
        let choices = choice.map(|choice| (site, choice)).into_iter().collect();
        lower(&softmax, &choices, Formats::default(), OWNERSHIP).unwrap_err().to_string()
    };
    let compared = |width: u8, groups: &[u8], exp: Arc<Certified>, reciprocal: Arc<Certified>, normalise_last| {
        let maximum = Comparisons { width, groups: groups.to_vec(), joined: 1, coarse: 0 };
        Some(Choice::Softmax { maximum, exp, reciprocal, normalise_last })
    };
    let choice = |exp, reciprocal, last| compared(24, &[2], exp, reciprocal, last);
    let exact = relu(24, 16);
    for (choice, phrase) in [
        (None, "no choice"),
        (Some(Choice::Unary { entry: exact.clone() }), "a scalar function"),
        (choice(exact.clone(), reciprocal(), false), "needs an entry for exp"),
        (choice(exp(), rsqrt(), false), "needs an entry for reciprocal"),
        (compared(65, &[2], exp(), reciprocal(), false), "65 bits cannot be compared"),
        (compared(1, &[2], exp(), reciprocal(), false), "1 bits cannot be compared"),
        (choice(exp(), reciprocal(), true), "one user"),
    ] {
        let message = refuse(choice);
        assert!(message.contains('y') && message.contains(phrase), "{message}");
    }
    // 20 bits compare differences below 8; e^x is certified down to −30.
    let narrow = BTreeMap::from([(site, compared(20, &[2], exp(), reciprocal(), false).unwrap())]);
    for (choices, amplitude, phrase) in [(&narrow, 4.5, "compares 20 bits"), (&good, 20.0, "window")] {
        let lowered = lower(&softmax, choices, Formats::default(), OWNERSHIP).unwrap();
        let weights = lowered.weights(&softmax).unwrap();
        assert!(headroom::prove(&lowered, &weights, &[(-3.0, 3.0)]).is_ok());
        let message = headroom::prove(&lowered, &weights, &[(-amplitude, amplitude)]).unwrap_err().to_string();
        assert!(message.contains('y') && message.contains(phrase), "{message}");
        assert!(headroom::prove(&lowered, &weights, &[]).is_err());
        assert!(headroom::prove(&lowered, &weights, &[(1.0, -1.0)]).is_err());
    }
}

#[test]
fn products_without_headroom_are_refused() {
    let square = graph(&[2, 2], vec![node("Mul", &["x", "x"], "y", vec![])], vec![]);
    let lowered = lower(&square, &BTreeMap::new(), Formats::default(), OWNERSHIP).unwrap();
    let weights = lowered.weights(&square).unwrap();
    let prove = |amplitude: f64| headroom::prove(&lowered, &weights, &[(-amplitude, amplitude)]);
    let proof = prove(32767.0).unwrap();
    let product = lowered.circuit.iter().find(|(_, node)| node.name == "product").unwrap().0;
    assert_eq!(proof.spare_bits(product), Some(0));
    let message = prove(32769.0).unwrap_err().to_string();
    assert!(message.contains("'product' of y") && message.contains("62 bits"), "{message}");
}
