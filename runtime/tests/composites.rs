//! Softmax and layer norm with the shipped entries, through the whole runtime: rows that other systems get wrong stay
//! within the certified bound, in simulation under several choices of roundings and in runs of three parties.

#![allow(clippy::unwrap_used)]

mod onnx_model;

use catalogs::Catalog;
use onnx_model::Model;
use runtime::circuit::accuracy::certified_errors;
use runtime::circuit::bound::{Question, error_bound};
use runtime::circuit::ideal::{self, RoundingMode};
use runtime::circuit::lower::{Centre, Choice, Comparisons, Formats, Logits, Lowered, Ownership, lower};
use runtime::circuit::{Error, Party, Weights, headroom};
use runtime::graph::onnx::AttributeMessage;
use runtime::graph::{Graph, SiteKind, Tensor, reference};
use runtime::random::Key;
use runtime::session::Runner;
use runtime::transport::{Limits, Transport, in_process};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use verify::Certified;

const OWNERSHIP: Ownership = Ownership { input: Party(1), output: Party(2) };

fn entry(name: &str) -> Arc<Certified> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let catalog = Catalog::open(&root.join("catalogs"), &root.join("proofs")).unwrap();
    let (_, published) = catalog.find(name).unwrap();
    Arc::new(verify::check_texts(&published.entry, &published.certificate).unwrap())
}

fn softmax_choice(exp: &str, reciprocal: &str) -> Choice {
    let (exp, reciprocal) = (entry(exp), entry(reciprocal));
    let maximum = Comparisons { width: 38, groups: vec![8, 4], joined: 1, coarse: 0 };
    Choice::Softmax { maximum, exp, reciprocal, normalise_last: false }
}

/// A model with one site of this kind, lowered with `choice` and proved for inputs in a box.
struct Site {
    graph: Graph,
    lowered: Lowered,
    weights: Weights,
    bound: f64,
}

impl Site {
    fn new(graph: Graph, kind: SiteKind, choice: Choice, amplitude: f64) -> Result<Site, Error> {
        let sites = graph.sites();
        assert!(sites.len() == 1 && sites[0].kind == kind);
        let choices = BTreeMap::from([(sites[0].node, choice)]);
        let lowered = lower(&graph, &choices, Formats::default(), OWNERSHIP)?;
        let weights = lowered.weights(&graph)?;
        let headroom = headroom::prove(&lowered, &weights, &[(-amplitude, amplitude)])?;
        let bound = certified_errors(&lowered, Some(&headroom), &BTreeMap::new())?[&(sites[0].node.index() as u32)];
        Ok(Site { graph, lowered, weights, bound })
    }

    /// The largest error of a simulation under each choice of roundings, and of a run of three parties.
    fn errors(&self, rows: &Tensor) -> Vec<f64> {
        let plain = reference::run(&self.graph, std::slice::from_ref(rows), &mut |_, _| {}).unwrap();
        let inputs = self.lowered.encode_inputs(std::slice::from_ref(rows)).unwrap();
        let error = |outputs: &[runtime::circuit::Integers]| {
            let found = self.lowered.decode_outputs(outputs).unwrap();
            let pairs = found[0].data.iter().zip(&plain[0].data);
            pairs.map(|(found, plain)| (found - plain).abs()).fold(0.0, f64::max)
        };
        let modes = [RoundingMode::Seed(1), RoundingMode::Seed(2), RoundingMode::AllLow, RoundingMode::AllHigh];
        let mut errors: Vec<f64> = modes
            .map(|mode| error(&ideal::run(&self.lowered.circuit, &self.weights, &inputs, mode).unwrap().outputs))
            .to_vec();
        let ends = in_process::network(3, Some(&Key::from_bytes([5; 32])), Limits::default(), None).unwrap();
        let outputs = std::thread::scope(|scope| {
            let parties: Vec<_> = ends
                .into_iter()
                .enumerate()
                .map(|(me, mut transport)| {
                    let input = (me == 1).then(|| inputs[0].clone());
                    scope.spawn(move || {
                        let mut runner = Runner::new(self.lowered.circuit.clone(), Party(me as u8)).unwrap();
                        let weights = (me == 0).then_some(&self.weights);
                        runner.share_weights(Party(0), weights, &mut transport).unwrap();
                        let outcome = runner.run(&[input], &mut transport).unwrap();
                        transport.finish().unwrap();
                        outcome.outputs
                    })
                })
                .collect();
            parties.into_iter().map(|party| party.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(outputs[0][0].is_none() && outputs[1][0].is_none());
        errors.push(error(&[outputs[2][0].clone().unwrap()]));
        errors
    }

    fn assert_within(&self, name: &str, rows: &Tensor) {
        let errors = self.errors(rows);
        let worst = errors.iter().copied().fold(0.0, f64::max);
        println!("{name}: simulated and private errors at most {worst:.3e}, certified {:.3e}", self.bound);
        assert!(errors.iter().all(|&error| error <= self.bound), "{name}: {errors:?} exceed {:e}", self.bound);
    }
}

fn softmax_model(rows: usize, row: usize) -> Graph {
    let extents = [rows.to_string(), row.to_string()];
    Model::default().input("x", &[&extents[0], &extents[1]]).op("Softmax", &["x"], "y").graph("y")
}

/// Rows of 256 equal logits, of one large logit, of two that share, under a secret mask of −1e4, and of everything.
#[test]
fn softmax_rows_that_others_get_wrong() {
    let n = 256;
    let graph = softmax_model(8, n);
    let mut data = vec![0.0; 8 * n];
    let either = |first: bool, a: f64, b: f64| if first { a } else { b };
    let value = |row: usize, i: usize| match row {
        0 => 0.0,
        1 => 7.25,
        2 => either(i == 17, 0.0, -1e4),
        3 => either(i < 2, 3.0, -1e4),
        4 => either(i < n / 2, 1.5, -1e4),
        5 => either(i == 0, (n as f64).ln(), 0.0),
        6 => ((i * 37 + 11) % 101) as f64 / 10.0 - 5.0,
        _ => -1e4,
    };
    (0..8 * n).for_each(|at| data[at] = value(at / n, at % n));
    // What is encoded exactly is compared with the function of the same numbers.
    data.iter_mut().for_each(|x| *x = (*x * 65536.0).round() / 65536.0);
    let rows = Tensor::new(vec![8, n], data).unwrap();
    let choice = softmax_choice("exp/k64-f16-o24-w15-mixed-2e-6", "reciprocal/k64-f24-o26-n256-1e-4");
    let site = Site::new(graph, SiteKind::Softmax, choice, 1e4).unwrap();
    assert!(site.bound < 3e-4, "{}", site.bound);
    site.assert_within("softmax of 256", &rows);
}

/// A public bound instead of the maximum: rows all at one end, spread over both, and in between; exponentials as they
/// are and raised.
#[test]
fn softmax_rows_without_a_maximum() {
    let n = 16;
    let value = |row: usize, i: usize| match row {
        0 => -1.75,
        1 => 1.75,
        2 => [1.75, -1.75][usize::from(i != 3)],
        3 => [-1.75, 1.75][usize::from(i != 3)],
        4 => [-1.75, 1.75][i % 2],
        _ => ((i * 37 + row * 11) % 101) as f64 / 32.0 - 1.5,
    };
    let data: Vec<f64> = (0..8 * n).map(|at| (value(at / n, at % n) * 65536.0).round() / 65536.0).collect();
    let rows = Tensor::new(vec![8, n], data).unwrap();
    let choice = |reciprocal: &str, raised: u8, low: f64| Choice::SoftmaxWithoutMaximum {
        logits: Logits { low, high: 1.75, raised },
        exp: entry("exp/k64-f16-o24-w10-mixed-2e-6"),
        reciprocal: entry(reciprocal),
        normalise_last: false,
    };
    let site = |choice: Choice| Site::new(softmax_model(8, n), SiteKind::Softmax, choice, 1.75);
    let (small, wide) = ("reciprocal/k64-f24-o28-n64-1e-5", "reciprocal/k64-f24-o26-n64-fast-2e-4");
    for (reciprocal, raised) in [(small, 1), (small, 2), (wide, 0), ("reciprocal/k64-f24-o30-n1024-1e-5", 6)] {
        let site = site(choice(reciprocal, raised, -1.75)).unwrap();
        assert!(site.bound < 2e-3, "{}", site.bound);
        site.assert_within(&format!("softmax of 16 without maximum, raised by {raised}"), &rows);
        // What is proved node by node holds in simulations, and so does the bound of the whole model.
        let boxes = [headroom::InputBound { low: -1.75, high: 1.75, row_norm: None }];
        let clamped = &BTreeMap::new();
        let (lowered, graph, weights) = (&site.lowered, &site.graph, &site.weights);
        let question = Question { lowered, graph, weights, boxes: &boxes, clamped };
        let bound = error_bound(&question).unwrap().outputs.remove(0).error.unwrap().total();
        assert!(site.errors(&rows).iter().all(|&error| error <= bound) && bound < 4e-3, "{bound}");
        let proof = headroom::prove_with(lowered, weights, &boxes, &Default::default()).unwrap();
        let inputs = lowered.encode_inputs(std::slice::from_ref(&rows)).unwrap();
        for mode in [RoundingMode::Seed(3), RoundingMode::AllLow, RoundingMode::AllHigh] {
            let mut inside = |id, tensor: &runtime::circuit::Integers| {
                let range = proof.range(id);
                let leaves = |&v: &i64| i128::from(v) < range.low || i128::from(v) > range.high;
                assert!(!tensor.values().iter().any(leaves), "{id} leaves {range:?}");
            };
            let outcome = ideal::observe(&lowered.circuit, weights, &inputs, mode, &mut inside).unwrap();
            assert!(outcome.report.violations(&lowered.circuit).is_empty());
        }
    }
    // Too little raised, too much, or logits that are announced narrower than they are.
    for (raised, low, proved) in [(0, -1.75, false), (3, -1.75, false), (1, -1.5, true)] {
        let refused = site(choice(small, raised, low)).map(|_| ()).unwrap_err();
        let fits = match proved {
            true => matches!(refused, Error::Logits { .. }),
            false => matches!(refused, Error::Window { .. } | Error::Bound { .. }),
        };
        assert!(fits, "{raised} {low}: {refused}");
    }
}

/// Masked lanes take no part in a row's least sum, nor in what is announced of logits; divided first and last.
#[test]
fn masked_rows_without_a_maximum() {
    let mask: Vec<f32> = (0..9).map(|at| if at % 3 > at / 3 { -1e4 } else { 0.0 }).collect();
    let graph = || {
        Model::default()
            .input("x", &["3", "2"])
            .weight("mask", &[3, 3], &mask)
            .op("Transpose", &["x"], "t")
            .op("MatMul", &["x", "t"], "scores")
            .op("Add", &["scores", "mask"], "masked")
            .op("Softmax", &["masked"], "weights")
            .op("MatMul", &["weights", "x"], "y")
            .graph("y")
    };
    let x = Tensor { shape: vec![3, 2], data: vec![0.5, -0.5, 0.5, 0.25, -0.5, -0.125] };
    let site = |raised: u8, normalise_last: bool| {
        let choice = Choice::SoftmaxWithoutMaximum {
            logits: Logits { low: -0.625, high: 0.625, raised },
            exp: entry("exp/k64-f16-o24-w10-mixed-2e-6"),
            reciprocal: entry("reciprocal/k64-f24-o26-n16-1e-5"),
            normalise_last,
        };
        Site::new(graph(), SiteKind::Softmax, choice, 0.5)
    };
    for normalise_last in [false, true] {
        let errors = site(2, normalise_last).unwrap().errors(&x);
        assert!(errors.iter().all(|&error| error < 3e-4), "{errors:?}");
        // The first row has one element that counts: e^−1.25 is below the window, and so is twice that.
        for raised in [0, 1] {
            let refused = site(raised, normalise_last).map(|_| ()).unwrap_err();
            assert!(matches!(refused, Error::Bound { .. } | Error::Window { .. }), "{refused}");
        }
    }
}

/// A window that does not contain what the mask makes is refused, not run.
#[test]
fn a_mask_beyond_the_window_is_refused() {
    let choice = || softmax_choice("exp/k64-f16-o24-w10-mixed-2e-6", "reciprocal/k64-f24-o26-n256-1e-4");
    let refused = Site::new(softmax_model(1, 256), SiteKind::Softmax, choice(), 1e4).map(|_| ()).unwrap_err();
    assert!(matches!(refused, Error::Window { function: catalogs::Function::Exp, .. }), "{refused}");
    // So is a row that is longer than the reciprocal serves.
    let refused = Site::new(softmax_model(1, 300), SiteKind::Softmax, choice(), 100.0).map(|_| ()).unwrap_err();
    assert!(matches!(refused, Error::Window { .. } | Error::Bound { .. }), "{refused}");
}

/// Rows of small and of large variance, with an exact centre and a rounded one, lengths that are powers of two or not.
#[test]
fn layer_norm_rows_of_any_variance() {
    for (n, centre) in [(32, Centre::Exact), (32, Centre::Rounded), (48, Centre::Exact), (48, Centre::Rounded)] {
        let ones = vec![1.0f32; n];
        let extents = n.to_string();
        // What an exact centre of 48 leaves of ε must lie in the entry's window.
        let epsilon = AttributeMessage { name: "epsilon".into(), float: 3e-5, kind: 1, ..AttributeMessage::default() };
        let graph = Model::default()
            .input("x", &["8", &extents])
            .weight("one", &[n as i64], &ones)
            .node("LayerNormalization", &["x", "one"], "y", vec![epsilon])
            .graph("y");
        let value = |row: usize, i: usize| {
            let shape = ((i * 29 + 7) % 31) as f64 / 15.0 - 1.0;
            match row {
                0 => 3.0,
                1 => {
                    if i == 5 {
                        1.0
                    } else {
                        0.0
                    }
                }
                2 => 2.0 + 0.003 * shape,
                3 => 0.03 * shape - 1.0,
                4 => {
                    if i.is_multiple_of(2) {
                        20.0
                    } else {
                        -20.0
                    }
                }
                5 => {
                    if i == 0 {
                        20.0
                    } else {
                        -20.0
                    }
                }
                6 => 0.01 * (i % 2) as f64,
                _ => 20.0 * shape,
            }
        };
        let data = (0..8 * n).map(|at| (value(at / n, at % n) * 65536.0).round() / 65536.0).collect();
        let rows = Tensor::new(vec![8, n], data).unwrap();
        let choice = Choice::Normalisation { rsqrt: entry("rsqrt/k64-f24-o22-e-17-10-2e-4"), centre };
        let site = Site::new(graph, SiteKind::Normalisation, choice, 20.0).unwrap();
        assert!(site.bound < 3e-2, "{}", site.bound);
        site.assert_within(&format!("layer norm of {n}, {centre:?}"), &rows);
    }
}

/// softmax(x·xᵀ + mask)·x of three tokens: what a mask leaves out is exactly absent, whatever number stands for it.
#[test]
fn padding_and_causal_masks_of_every_spelling_are_one_circuit() {
    let causal = [false, true, true, false, false, true, false, false, false];
    let padding = [false, false, true];
    let x = Tensor { shape: vec![3, 2], data: vec![0.5, -1.5, 2.0, 0.25, -1.0, 1.75] };
    for (masked, dims) in [(&causal[..], &[3i64, 3][..]), (&padding[..], &[1, 3][..])] {
        let site = |least: f32| {
            let mask: Vec<f32> = masked.iter().map(|&masked| if masked { least } else { 0.0 }).collect();
            let graph = Model::default()
                .input("x", &["3", "2"])
                .weight("mask", dims, &mask)
                .op("Transpose", &["x"], "t")
                .op("MatMul", &["x", "t"], "scores")
                .op("Add", &["scores", "mask"], "masked")
                .op("Softmax", &["masked"], "weights")
                .op("MatMul", &["weights", "x"], "y")
                .graph("y");
            let choice = softmax_choice("exp/k64-f16-o24-w10-mixed-2e-5", "reciprocal/k64-f24-o26-n16-1e-5");
            Site::new(graph, SiteKind::Softmax, choice, 2.0).unwrap()
        };
        let dot = |i: usize, j: usize| (0..2).map(|k| x.data[2 * i + k] * x.data[2 * j + k]).sum::<f64>();
        let allowed = |i: usize, j: usize| !masked[if masked.len() == 9 { 3 * i + j } else { j }];
        let expected: Vec<f64> = (0..6)
            .map(|lane| {
                let weights: Vec<f64> =
                    (0..3).map(|j| if allowed(lane / 2, j) { dot(lane / 2, j).exp() } else { 0.0 }).collect();
                let sum: f64 = weights.iter().sum();
                weights.iter().enumerate().map(|(j, weight)| weight / sum * x.data[2 * j + lane % 2]).sum()
            })
            .collect();
        let first = site(-1e4);
        for least in [-1e4, -1e9, f32::MIN, f32::NEG_INFINITY] {
            let site = site(least);
            assert_eq!(site.graph.to_json(), first.graph.to_json(), "{least}");
            let plain = reference::run(&site.graph, std::slice::from_ref(&x), &mut |_, _| {}).unwrap();
            let pairs = plain[0].data.iter().zip(&expected);
            assert!(pairs.clone().all(|(plain, expected)| (plain - expected).abs() < 1e-12), "{least}");
            let errors = site.errors(&x);
            assert!(errors.iter().all(|&error| error < 1e-3), "{least}: {errors:?}");
        }
    }
}
