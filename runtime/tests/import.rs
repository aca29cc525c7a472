//! Import of small models made here: patterns, folds, masks, refusals. Each rewrite is compared with a value that was
//! computed without it.

#![allow(clippy::unwrap_used)]

mod onnx_model;

use onnx_model::{Model, integers};
use runtime::graph::onnx::AttributeMessage;
use runtime::graph::{Axes, Error, Graph, SiteKind, Tensor, Visibility, inspect, reference};

fn operators(graph: &Graph) -> Vec<&'static str> {
    graph.nodes().iter().map(|node| node.operator.name()).collect()
}

fn value(graph: &Graph, data: &[f64]) -> Vec<f64> {
    let shape = graph.node(graph.inputs()[0].1).shape.clone();
    let input = Tensor::new(shape, data.to_vec()).unwrap();
    reference::run(graph, &[input], &mut |_, _| {}).unwrap().remove(0).data
}

fn assert_close(given: &[f64], expected: &[f64]) {
    assert_eq!(given.len(), expected.len());
    for (given, expected) in given.iter().zip(expected) {
        assert!((given - expected).abs() < 1e-5, "{given} is not {expected}");
    }
}

const XS: [f64; 4] = [-3.0, -0.5, 0.25, 2.0];

fn x() -> Model {
    Model::default().input("x", &["batch", "4"])
}

#[test]
fn all_unsupported_nodes_are_listed_and_inspect_still_answers() {
    let model = || {
        x().op("Relu", &["x"], "r").op("Sin", &["r"], "s").op("Tanh", &["s"], "t").op("LSTM", &["t"], "l").op(
            "Add",
            &["l", "r"],
            "y",
        )
    };
    let message = model().error("y");
    for part in ["2 unsupported", "'s' (Sin): the catalog has no periodic", "'l' (LSTM): loops and recurrent"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    let inspection = inspect(&model().bytes("y"), &Axes::batch(1));
    assert_eq!(inspection.unsupported.len(), 2);
    assert_eq!(inspection.file_nodes.values().sum::<usize>(), 5);
    assert!(inspection.sites.iter().any(|site| site.kind == SiteKind::Rectifier));
    assert!(inspection.problem.is_none());
    assert!(inspect(b"garbage", &Axes::batch(1)).problem.is_some());
}

#[test]
fn contradictory_models_are_refused_with_the_node() {
    let named = |message: String, parts: &[&str]| {
        parts.iter().for_each(|part| assert!(message.contains(part), "{part}: {message}"));
    };
    named(x().op("Relu", &["nowhere"], "y").error("y"), &["'y' (Relu)", "'nowhere'"]);
    named(x().op("Relu", &["x"], "y").error("z"), &["output 'z'"]);
    named(x().weight("w", &[3, 2], &[0.0; 6]).op("MatMul", &["x", "w"], "y").error("y"), &["'y' (MatMul)", "[3, 2]"]);
    named(x().integers("s", &[5, 5]).op("Reshape", &["x", "s"], "y").error("y"), &["'y' (Reshape)"]);
    named(x().scalar("z", 0.0).op("Div", &["x", "z"], "y").error("y"), &["divides by zero"]);
    let infinite = x().weight("w", &[4, 1], &[f32::INFINITY; 4]).op("MatMul", &["x", "w"], "y");
    named(infinite.error("y"), &["'w'", "NaN or infinity"]);
    let tokens = Model::default().input("x", &["batch", "tokens", "4"]).op("Relu", &["x"], "y").bytes("y");
    assert!(matches!(Graph::import(&tokens, 1), Err(Error::Axis { axis, .. }) if axis == "tokens"));
    let graph = Graph::import_with(&tokens, &Axes::batch(2).with("tokens", 5)).unwrap();
    assert_eq!(graph.nodes()[0].shape, [2, 5, 4]);
    let huge = x().integers("s", &[1 << 30, 1 << 30]).op("Expand", &["x", "s"], "y").error("y");
    named(huge, &["'y' (Expand)"]);
}

fn gelu_constants() -> Model {
    x().scalar("half", 0.5).scalar("one", 1.0).scalar("root", std::f32::consts::SQRT_2)
}

fn phi(model: Model) -> Model {
    model.op("Div", &["x", "root"], "u").op("Erf", &["u"], "e").op("Add", &["one", "e"], "p")
}

#[test]
fn every_order_of_an_erf_gelu_is_recognised() {
    let orders: [&[[&str; 2]]; 5] = [
        &[["x", "p"], ["half", "m0"]],
        &[["x", "half"], ["m0", "p"]],
        &[["p", "half"], ["m0", "x"]],
        &[["half", "x"], ["p", "m0"]],
        &[["p", "x"], ["m0", "half"]],
    ];
    let expected: Vec<f64> = XS.iter().map(|x| 0.5 * x * (1.0 + libm::erf(x / 2_f64.sqrt()))).collect();
    for order in orders {
        let mut model = phi(gelu_constants());
        for (index, inputs) in order.iter().enumerate() {
            model = model.op("Mul", inputs, &format!("m{index}"));
        }
        let graph = model.graph("m1");
        assert_eq!(operators(&graph), ["input", "gelu"], "{order:?}");
        assert_close(&value(&graph, &XS), &expected);
    }
}

#[test]
fn what_is_almost_a_gelu_is_left_alone() {
    let other_root = x().scalar("half", 0.5).scalar("one", 1.0).scalar("root", 1.5);
    let near = phi(other_root).op("Mul", &["x", "p"], "m").op("Mul", &["m", "half"], "y").graph("y");
    assert!(operators(&near).contains(&"erf"));
    let expected: Vec<f64> = XS.iter().map(|x| 0.5 * x * (1.0 + libm::erf(x / 1.5))).collect();
    assert_close(&value(&near, &XS), &expected);
    let twice = phi(gelu_constants()).op("Mul", &["x", "p"], "y").graph("y");
    assert!(!operators(&twice).contains(&"gelu"));
    let minus = gelu_constants()
        .op("Div", &["x", "root"], "u")
        .op("Erf", &["u"], "e")
        .op("Sub", &["one", "e"], "p")
        .op("Mul", &["x", "p"], "m")
        .op("Mul", &["m", "half"], "y")
        .graph("y");
    assert!(!operators(&minus).contains(&"gelu"));
    let silu_of_twice =
        x().scalar("two", 2.0).op("Mul", &["x", "two"], "u").op("Sigmoid", &["u"], "s").op("Mul", &["x", "s"], "y");
    assert!(!operators(&silu_of_twice.graph("y")).contains(&"silu"));
}

#[test]
fn tanh_gelu_and_silu_are_recognised() {
    let constants = || {
        x().scalar("half", 0.5).scalar("one", 1.0).scalar("three", 3.0).scalar("a", 0.044715).scalar("b", 0.797_884_6)
    };
    let close = |model: Model| model.op("Tanh", &["u"], "t").op("Add", &["t", "one"], "p").op("Mul", &["h", "p"], "y");
    let with_power = constants()
        .op("Pow", &["x", "three"], "c")
        .op("Mul", &["c", "a"], "d")
        .op("Add", &["x", "d"], "s")
        .op("Mul", &["s", "b"], "u")
        .op("Mul", &["x", "half"], "h");
    let factored = constants()
        .op("Mul", &["x", "x"], "q")
        .op("Mul", &["q", "a"], "d")
        .op("Add", &["one", "d"], "s")
        .op("Mul", &["b", "x"], "g")
        .op("Mul", &["g", "s"], "u")
        .op("Mul", &["half", "x"], "h");
    let exact = |x: &f64| 0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh());
    for model in [with_power, factored] {
        let graph = close(model).graph("y");
        assert_eq!(operators(&graph), ["input", "gelu-tanh"]);
        assert_close(&value(&graph, &XS), &XS.iter().map(exact).collect::<Vec<_>>());
    }
    let silu = x().op("Sigmoid", &["x"], "s").op("Mul", &["s", "x"], "y").graph("y");
    assert_eq!(operators(&silu), ["input", "silu"]);
}

#[test]
fn a_layer_norm_in_pieces_becomes_one() {
    let graph = x()
        .scalar("two", 2.0)
        .scalar("epsilon", 1e-5)
        .weight("gamma", &[4], &[1.0, 2.0, 3.0, 4.0])
        .weight("beta", &[4], &[0.5, 0.0, -0.5, 1.0])
        .node("ReduceMean", &["x"], "mean", vec![integers("axes", &[-1])])
        .op("Sub", &["x", "mean"], "d")
        .op("Pow", &["d", "two"], "d2")
        .node("ReduceMean", &["d2"], "variance", vec![integers("axes", &[-1])])
        .op("Add", &["variance", "epsilon"], "v")
        .op("Sqrt", &["v"], "s")
        .op("Div", &["d", "s"], "z")
        .op("Mul", &["z", "gamma"], "g")
        .op("Add", &["g", "beta"], "y")
        .graph("y");
    assert_eq!(operators(&graph), ["input", "layer norm"]);
    let mean = XS.iter().sum::<f64>() / 4.0;
    let scale = (XS.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 4.0 + 1e-5).sqrt();
    let (gamma, beta) = ([1.0, 2.0, 3.0, 4.0], [0.5, 0.0, -0.5, 1.0]);
    let expected: Vec<f64> = (0..4).map(|i| (XS[i] - mean) / scale * gamma[i] + beta[i]).collect();
    assert_close(&value(&graph, &XS), &expected);
}

#[test]
fn gamma_beta_and_scales_fold_into_dense_layers() {
    let weights: Vec<f32> = (0..12).map(|index| index as f32 * 0.1 - 0.5).collect();
    let graph = x()
        .weight("gamma", &[4], &[1.0, 2.0, 3.0, 4.0])
        .weight("beta", &[4], &[0.5, 0.0, -0.5, 1.0])
        .weight("w", &[4, 3], &weights)
        .weight("b", &[3], &[1.0, 2.0, 3.0])
        .scalar("k", 0.25)
        .op("LayerNormalization", &["x", "gamma", "beta"], "n")
        .op("MatMul", &["n", "w"], "m")
        .op("Add", &["b", "m"], "a")
        .op("Mul", &["a", "k"], "y")
        .graph("y");
    assert_eq!(operators(&graph), ["input", "layer norm", "dense"]);
    assert!(graph.weights().all(|(_, weight)| weight.visibility == Visibility::Weight));
    let mean = XS.iter().sum::<f64>() / 4.0;
    let scale = (XS.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 4.0 + 1e-5).sqrt();
    let (gamma, beta) = ([1.0, 2.0, 3.0, 4.0], [0.5, 0.0, -0.5, 1.0]);
    let n: Vec<f64> = (0..4).map(|i| (XS[i] - mean) / scale * gamma[i] + beta[i]).collect();
    let out = |j: usize| 0.25 * ((0..4).map(|i| n[i] * f64::from(weights[i * 3 + j])).sum::<f64>() + j as f64 + 1.0);
    assert_close(&value(&graph, &XS), &[out(0), out(1), out(2)]);
}

#[test]
fn batch_norm_folds_into_the_convolution_before_it() {
    let model = |kernel: &str| {
        Model::default()
            .input("x", &["batch", "1", "2", "2"])
            .weight("w", &[2, 1, 1, 1], &[2.0, -1.0])
            .weight("gain", &[2], &[1.0, 3.0])
            .weight("bias", &[2], &[0.5, -0.5])
            .weight("mean", &[2], &[0.1, 0.2])
            .weight("variance", &[2], &[4.0, 0.25])
            .op("Conv", &["x", "w"], "c")
            .op("BatchNormalization", &[kernel, "gain", "bias", "mean", "variance"], "y")
    };
    let graph = model("c").graph("y");
    assert_eq!(operators(&graph), ["input", "convolution"]);
    let norm = |x: f64, gain: f64, bias: f64, mean: f64, variance: f64| {
        (x - mean) / (variance + 1e-5_f64).sqrt() * gain + bias
    };
    let first = XS.iter().map(|x| norm(2.0 * x, 1.0, 0.5, 0.1, 4.0));
    let second = XS.iter().map(|x| norm(-x, 3.0, -0.5, 0.2, 0.25));
    assert_close(&value(&graph, &XS), &first.chain(second).collect::<Vec<_>>());
    assert!(model("x").error("y").contains("'y' (BatchNormalization)"));
}

#[test]
fn masks_are_recognised_and_fully_masked_rows_are_not() {
    let masked = |values: &[f32]| x().weight("m", &[4], values).op("Add", &["x", "m"], "a").op("Softmax", &["a"], "y");
    for least in [-1e4, -1e9, f32::MIN, f32::NEG_INFINITY] {
        let graph = masked(&[0.0, least, 0.0, least]).graph("y");
        assert_eq!(operators(&graph), ["input", "mask", "softmax"]);
        let (a, b) = (XS[0].exp(), XS[2].exp());
        assert_close(&value(&graph, &XS), &[a / (a + b), 0.0, b / (a + b), 0.0]);
        assert_eq!(graph.weights().count(), 0);
    }
    let biased = masked(&[1.0, -1e4, 0.0, 0.0]).graph("y");
    assert_eq!(operators(&biased), ["input", "add constant", "mask", "softmax"]);
    let all = [(XS[0] + 1.0).exp(), 0.0, XS[2].exp(), XS[3].exp()];
    assert_close(&value(&biased, &XS), &all.map(|e| e / all.iter().sum::<f64>()));
    assert!(!operators(&masked(&[-1e4; 4]).graph("y")).contains(&"mask"));
}

#[test]
fn constants_on_the_left_vectors_and_batches_multiply_as_in_the_standard() {
    let left = Model::default()
        .input("x", &["batch", "2", "2"])
        .weight("w", &[3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
        .op("MatMul", &["w", "x"], "y")
        .graph("y");
    let [a, b, c, d] = XS;
    let row = |p: f64, q: f64| [p * a + q * c, p * b + q * d];
    assert_close(&value(&left, &XS), &[row(1.0, 2.0), row(3.0, 4.0), row(5.0, 6.0)].concat());
    let vector = x().weight("w", &[4], &[1.0, 2.0, 3.0, 4.0]).op("MatMul", &["x", "w"], "y").graph("y");
    assert_close(&value(&vector, &XS), &[XS[0] + 2.0 * XS[1] + 3.0 * XS[2] + 4.0 * XS[3]]);
    let square = Model::default().input("x", &["batch", "2", "2"]).op("MatMul", &["x", "x"], "y").graph("y");
    assert_eq!(operators(&square), ["input", "matrix product"]);
    assert_close(&value(&square, &XS), &[a * a + b * c, a * b + b * d, c * a + d * c, c * b + d * d]);
}

#[test]
fn slices_gathers_and_pads_follow_the_standard() {
    let slice = |starts: i64, ends: i64, steps: i64| {
        let model = x().integers("s", &[starts]).integers("e", &[ends]).integers("a", &[1]).integers("t", &[steps]);
        value(&model.op("Slice", &["x", "s", "e", "a", "t"], "y").graph("y"), &XS)
    };
    assert_close(&slice(1, i64::MAX, 2), &[XS[1], XS[3]]);
    assert_close(&slice(-1, i64::MIN, -1), &[XS[3], XS[2], XS[1], XS[0]]);
    assert_close(&slice(0, -1, 1), &XS[..3]);
    let gather = x().integers("i", &[3, -4]).node(
        "Gather",
        &["x", "i"],
        "y",
        vec![AttributeMessage { name: "axis".into(), integer: 1, ..AttributeMessage::default() }],
    );
    assert_close(&value(&gather.graph("y"), &XS), &[XS[3], XS[0]]);
    let pad = x().integers("p", &[0, 1, 0, 2]).op("Pad", &["x", "p"], "y").graph("y");
    assert_close(&value(&pad, &XS), &[0.0, XS[0], XS[1], XS[2], XS[3], 0.0, 0.0]);
}

#[test]
fn average_pooling_with_padding_counts_real_elements() {
    let geometry =
        || vec![integers("kernel_shape", &[2, 2]), integers("pads", &[1, 1, 1, 1]), integers("strides", &[2, 2])];
    let model = || Model::default().input("x", &["batch", "1", "2", "2"]);
    let graph = model().node("AveragePool", &["x"], "y", geometry()).graph("y");
    assert_close(&value(&graph, &XS), &XS);
    let counted = AttributeMessage { name: "count_include_pad".into(), integer: 1, ..AttributeMessage::default() };
    let graph = model().node("AveragePool", &["x"], "y", [geometry(), vec![counted]].concat()).graph("y");
    assert_close(&value(&graph, &XS), &XS.map(|x| x / 4.0));
    let graph = model().node("MaxPool", &["x"], "y", geometry()).graph("y");
    assert_close(&value(&graph, &XS), &XS);
}

#[test]
fn a_public_structure_differs_in_weights_only() {
    let graph =
        x().weight("w", &[4, 1], &[1.0; 4]).scalar("k", 3.0).op("Relu", &["x"], "r").op("Mul", &["r", "k"], "m");
    let graph = graph.op("Add", &["m", "x"], "s").op("MatMul", &["s", "w"], "y").graph("y");
    let public = graph.without_weights();
    assert_eq!(operators(&graph), operators(&public));
    assert!(graph.weights().all(|(_, weight)| weight.tensor().is_ok()));
    assert!(public.weights().count() == 1 && public.weights().all(|(_, weight)| weight.tensor().is_err()));
    let scales = public.nodes().iter().flat_map(|node| node.operator.constants());
    assert!(
        scales
            .filter(|constant| constant.visibility == Visibility::Structural)
            .all(|constant| constant.tensor().is_ok())
    );
}
