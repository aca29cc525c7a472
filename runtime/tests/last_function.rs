//! Models that end with a function that hides movements: a masked softmax, of which masked elements say nothing, and a
//! sigmoid, which has no cross-entropy of rows.

#![allow(clippy::unwrap_used)]

mod onnx_model;

use catalogs::Catalog;
use onnx_model::Model;
use runtime::cost::Machine;
use runtime::graph::{Axes, Tensor};
use runtime::plan::{InputPromise, PartiesRecord};
use runtime::transport::{Shaping, SideBySide};
use runtime::tuner::{Budget, Constraint, Error, Memory, Metric, Request, Tiles, Tuned, tune};
use std::path::Path;

const EXAMPLES: usize = 3;
const CLASSES: usize = 4;

fn tuned(model: Model, constraint: Constraint, labels: Option<Vec<usize>>) -> Result<Tuned, Error> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let catalog = Catalog::open(&root.join("catalogs"), &root.join("proofs")).unwrap();
    let scores = (0..EXAMPLES * CLASSES).map(|place| (place * place % 7) as f64 - 3.0).collect();
    let model = model.bytes("y");
    let request = Request {
        model: &model,
        model_name: "ends.onnx".into(),
        catalog: &catalog,
        calibration: vec![Tensor::new(vec![EXAMPLES, CLASSES], scores).unwrap()],
        labels,
        simulated_max: EXAMPLES,
        // The last run has one input and another that only fills it.
        batch: 2,
        axes: Axes::batch(2),
        promise: InputPromise { range: [-4.0, 4.0], row_norm: None, named: Default::default() },
        network: Shaping::LAN,
        network_name: "lan".into(),
        machine: Machine::reference(),
        constraint,
        budget: Budget::default(),
        start: None,
        memory: Memory::default(),
        formats: Default::default(),
        climb: 2,
        whole_front: false,
        quick: false,
        one_ring: false,
        exact_maxima: false,
        tiles: Tiles::Whole,
        side_by_side: SideBySide::ONE,
        parties: PartiesRecord { model: 0, input: 1, output: 2 },
    };
    tune(&request, &mut |_| {})
}

fn masked_softmax() -> Model {
    let scores = Model::default().input("x", &["N", "4"]).weight("mask", &[CLASSES as i64], &[0.0, -1e4, 0.0, -1e4]);
    scores.op("Add", &["x", "mask"], "masked").op("Softmax", &["masked"], "y")
}

#[test]
fn what_is_masked_before_a_last_softmax_is_no_error() {
    let asked = Constraint { error_max: 0.02, agreement_min: 1.0, ..Constraint::default() };
    let measured = tuned(masked_softmax(), asked, None).unwrap().plan.measured;
    assert!(measured.error > 0.0 && measured.error <= 0.01, "{}", measured.error);
    assert_eq!(measured.agreement, 1.0);
}

#[test]
fn the_cross_entropy_of_a_last_softmax_is_that_of_its_probabilities() {
    let metric = Metric::CrossEntropy { increase_max: 0.05 };
    let asked = Constraint { metric: Some(metric), ..Constraint::default() };
    let (plain, private) = tuned(masked_softmax(), asked, Some(vec![0, 2, 0])).unwrap().plan.measured.metric.unwrap();
    // Of x₀ and x₂, for the labels 0, 2 and 0.
    let rows = [(-3.0, 1.0), (-2.0, -1.0), (-2.0, -1.0)];
    let probabilities = rows.map(|(right, wrong): (f64, f64)| 1.0 / (1.0 + (wrong - right).exp()));
    let expected = -probabilities.iter().map(|p| p.ln()).sum::<f64>() / 3.0;
    assert!((plain - expected).abs() < 1e-9 && (private - plain).abs() < 0.05, "{plain} {private} {expected}");
}

#[test]
fn a_last_sigmoid_has_no_cross_entropy_of_rows() {
    let metric = Metric::CrossEntropy { increase_max: 0.05 };
    let asked = Constraint { metric: Some(metric), ..Constraint::default() };
    let model = Model::default().input("x", &["N", "4"]).op("Sigmoid", &["x"], "y");
    let refused = tuned(model, asked, Some(vec![0, 2, 0])).unwrap_err().to_string();
    assert!(refused.contains("sigmoid") && refused.contains("--max-accuracy-loss"), "{refused}");
}

/// Such a model is one for that number of inputs alone, and the tuner looks at others.
#[test]
fn a_mask_with_a_row_for_every_input_of_a_batch_is_refused() {
    let scores = Model::default().input("x", &["N", "4"]).weight("mask", &[2, CLASSES as i64], &[0.0, -1e4].repeat(4));
    let model = scores.op("Add", &["x", "mask"], "masked").op("Softmax", &["masked"], "y");
    let asked = Constraint { error_max: 0.02, ..Constraint::default() };
    let refused = tuned(model, asked, None).unwrap_err().to_string();
    assert!(refused.contains("output y has shape [2, 4]") && refused.contains("count the inputs"), "{refused}");
}
