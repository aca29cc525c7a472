//! The shipped models: import, sites, and the reference against the scores of the framework that trained them.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use runtime::arrays::Arrays;
use runtime::graph::operator::Operator;
use runtime::graph::{Axes, Error, Function, Graph, SiteKind, Tensor, inspect, reference};

fn shipped(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples/models").join(name)
}

fn bytes(model: &str) -> Vec<u8> {
    std::fs::read(shipped(&format!("{model}.onnx"))).unwrap()
}

fn reals(file: &str, name: &str) -> Tensor {
    Arrays::read(&shipped(file)).unwrap().reals(name).unwrap()
}

const MODELS: [&str; 2] = ["digits_vit", "digits_cnn"];

#[test]
fn wrong_inputs_are_refused_by_name_and_shape() {
    for model in MODELS {
        let graph = Graph::import(&bytes(model), 2).unwrap();
        let attempt = |inputs: &[Tensor]| reference::run(&graph, inputs, &mut |_, _| {}).unwrap_err().to_string();
        let message = attempt(&[Tensor::filled(&[2, 8, 8], 0.0)]);
        assert!(message.contains("'image'") && message.contains("[2, 1, 8, 8]") && message.contains("[2, 8, 8]"));
        assert!(attempt(&[]).contains("1 input(s) (image), 0 are given"));
        assert!(attempt(&[Tensor::filled(&[2, 1, 8, 8], f64::NAN)]).contains("'image' contains NaN"));
        let structure = graph.without_weights();
        let withheld = reference::run(&structure, &[Tensor::filled(&[2, 1, 8, 8], 0.0)], &mut |_, _| {});
        assert!(matches!(withheld, Err(Error::Withheld(_))));
    }
}

#[test]
fn truncated_and_altered_models_never_panic() {
    // A fixed generator: failures repeat.
    let mut state = 1_u64;
    let mut next = move || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize
    };
    for model in MODELS {
        let whole = bytes(model);
        for length in (0..whole.len()).step_by(whole.len() / 150).chain(0..100) {
            let _ = inspect(&whole[..length], &Axes::batch(1));
            assert!(Graph::import(&whole[..length], 1).is_err(), "{length} bytes of {model} were accepted");
        }
        for _ in 0..300 {
            let mut altered = whole.clone();
            for _ in 0..=next() % 8 {
                // Half of the changes hit the nodes, which precede the weights.
                let range = if next() % 2 == 0 { 30_000.min(whole.len()) } else { whole.len() };
                altered[next() % range] = next() as u8;
            }
            let _ = Graph::import(&altered, 1);
            let _ = inspect(&altered, &Axes::batch(1));
        }
        for length in [1, 10, 1000] {
            let noise: Vec<u8> = (0..length).map(|_| next() as u8).collect();
            assert!(Graph::import(&noise, 1).is_err());
        }
    }
}

#[test]
fn a_batch_of_zero_is_refused() {
    assert!(Graph::import(&bytes("digits_vit"), 0).unwrap_err().to_string().contains("'image'"));
}

#[test]
fn sites_are_those_of_the_architectures() {
    let count = |graph: &Graph, kind: SiteKind| graph.sites().iter().filter(|site| site.kind == kind).count();
    let vit = Graph::import(&bytes("digits_vit"), 1).unwrap();
    assert_eq!(vit.sites().len(), 9);
    assert_eq!(count(&vit, SiteKind::Activation(Function::Gelu)), 2);
    assert_eq!(count(&vit, SiteKind::Softmax), 2);
    assert_eq!(count(&vit, SiteKind::Normalisation), 5);
    for site in vit.sites() {
        let expected = match site.kind {
            SiteKind::Softmax => (4 * 16 * 16, 16),
            SiteKind::Normalisation => (16 * 48, 48),
            _ => (16 * 192, 1),
        };
        assert_eq!((site.elements, site.row_length), expected, "{}", site.name);
    }
    let cnn = Graph::import(&bytes("digits_cnn"), 1).unwrap();
    assert_eq!(cnn.sites().len(), 5);
    for kind in [
        SiteKind::Rectifier,
        SiteKind::Maximum,
        SiteKind::Activation(Function::Silu),
        SiteKind::Activation(Function::Tanh),
        SiteKind::Softmax,
    ] {
        assert_eq!(count(&cnn, kind), 1, "{kind:?}");
    }
}

#[test]
fn nothing_of_the_shape_arithmetic_or_foldable_scales_remains() {
    let vit = Graph::import(&bytes("digits_vit"), 3).unwrap();
    let named = |graph: &Graph, name: &str| graph.nodes().iter().filter(|node| node.operator.name() == name).count();
    for gone in ["scale", "constant", "multiply", "erf", "pad", "broadcast", "slice", "concat"] {
        assert_eq!(named(&vit, gone), 0, "{gone}");
    }
    // Per block: query, key, value, output, two layers of the perceptron; and the classifier.
    assert_eq!(named(&vit, "dense"), 13);
    assert_eq!(named(&vit, "matrix product"), 4);
    assert_eq!(named(&vit, "add constant"), 1);
    let cnn = Graph::import(&bytes("digits_cnn"), 3).unwrap();
    let operators: Vec<&str> = cnn.nodes().iter().map(|node| node.operator.name()).collect();
    let expected = [
        "input",
        "convolution",
        "max pool",
        "relu",
        "convolution",
        "silu",
        "sum pool",
        "reshape",
        "dense",
        "tanh",
        "dense",
        "softmax",
    ];
    assert_eq!(operators, expected);
    let unfolded =
        vit.nodes().iter().filter(|node| matches!(&node.operator, Operator::LayerNorm { gamma: Some(_), .. }));
    assert_eq!(unfolded.count(), 0, "gamma and beta belong into the dense layers behind");
}

#[test]
fn reference_scores_are_the_expected_ones_on_every_test_image() {
    let images = reals("digits_test.npz", "image");
    let labels = Arrays::read(&shipped("digits_test.npz")).unwrap().integers("label").unwrap();
    for (model, accuracy_min) in [("digits_vit", 0.95), ("digits_cnn", 0.99)] {
        let expected = reals(&format!("{model}_expected.npz"), "scores");
        assert_eq!(expected.shape, [540, 10]);
        let graph = Graph::import(&bytes(model), 540).unwrap();
        let scores = reference::run(&graph, std::slice::from_ref(&images), &mut |_, _| {}).unwrap().remove(0);
        let worst = scores.zip(&expected, |a, b| (a - b).abs()).data.into_iter().fold(0.0, f64::max);
        assert!(worst < 1e-4, "{model}: worst score error {worst:e}");
        let best = |row: &[f64]| (0..10).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
        assert!(scores.rows().map(best).eq(expected.rows().map(best)), "{model}: arg-max differs");
        let right = scores.rows().zip(&labels.data).filter(|(row, label)| best(row) as i64 == **label).count();
        assert!(right as f64 / 540.0 > accuracy_min);
        println!("{model}: worst score error against the framework {worst:.2e}, {right} of 540 right");
    }
}

#[test]
fn node_identifiers_do_not_depend_on_the_batch() {
    for model in MODELS {
        let (one, many) = (Graph::import(&bytes(model), 1).unwrap(), Graph::import(&bytes(model), 7).unwrap());
        assert_eq!(one.nodes().len(), many.nodes().len());
        for (a, b) in one.nodes().iter().zip(many.nodes()) {
            assert_eq!((a.operator.name(), &a.inputs, &a.name), (b.operator.name(), &b.inputs, &b.name));
        }
    }
}

/// A part computes what the whole graph computes at its last node.
#[test]
fn parts_compute_what_their_graph_does() {
    for model in MODELS {
        let graph = Graph::import(&bytes(model), 2).unwrap();
        let images = reals("digits_calibration.npz", "image");
        let inputs = [Tensor { shape: vec![2, 1, 8, 8], data: images.data[..128].to_vec() }];
        let mut values = Vec::new();
        reference::run(&graph, &inputs, &mut |_, value| values.push(value.clone())).unwrap();
        assert!(graph.part(&[]).is_none());
        for site in graph.sites() {
            let user = graph.nodes().iter().find(|node| node.inputs.contains(&site.node));
            for nodes in [vec![site.node], [site.node].into_iter().chain(user.map(|user| user.id)).collect()] {
                let part = graph.part(&nodes).unwrap();
                let arguments: Vec<Tensor> = part.arguments.iter().map(|id| values[id.index()].clone()).collect();
                let last = *nodes.last().unwrap();
                assert_eq!(
                    reference::run(&part.graph, &arguments, &mut |_, _| {}).unwrap(),
                    [values[last.index()].clone()]
                );
                assert_eq!(part.graph.sites()[0].name, site.name);
                assert!(part.place(site.node).is_some());
            }
        }
    }
}
