//! Static ranges of the shipped models: nothing that a run shows lies outside, and the table of how far they are off.

#![allow(clippy::unwrap_used)]

mod onnx_model;

use std::path::PathBuf;

use onnx_model::{Model, integers};
use runtime::arrays::Arrays;
use runtime::graph::observed::Observed;
use runtime::graph::ranges::{InputRange, Margin, Ranges, SiteRange};
use runtime::graph::{Graph, NodeId, Tensor, reference};

fn shipped(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples/models").join(name)
}

fn import(model: &str, batch: usize) -> Graph {
    Graph::import(&std::fs::read(shipped(&format!("{model}.onnx"))).unwrap(), batch).unwrap()
}

const MODELS: [&str; 2] = ["digits_vit", "digits_cnn"];

struct Random(u64);

impl Random {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Corners of the box reach further than its inside, so most elements are put there.
    fn images(&mut self, batch: usize, lower: f64, upper: f64) -> Tensor {
        let mut value = || match self.unit() {
            x if x < 0.4 => lower,
            x if x < 0.8 => upper,
            _ => lower + (upper - lower) * self.unit(),
        };
        let data = (0..batch * 64).map(|_| value()).collect();
        Tensor::new(vec![batch, 1, 8, 8], data).unwrap()
    }
}

fn assert_inside(ranges: &Ranges, graph: &Graph, id: NodeId, value: &Tensor) {
    let (lower, upper) = ranges.elements(id);
    // The ranges are those of a batch of one.
    for (offset, &x) in value.data.iter().enumerate() {
        let at = offset % lower.data.len();
        let (low, high) = (lower.data[at], upper.data[at]);
        let node = graph.node(id);
        assert!(low <= x && x <= high, "{} {}: {x} outside of [{low}, {high}]", node.operator.name(), node.name);
    }
}

fn assert_contains(outer: SiteRange, inner: SiteRange, what: &str) {
    for ((name, outer), (_, inner)) in outer.parts().into_iter().zip(inner.parts()) {
        let inside = outer.lower <= inner.lower && inner.upper <= outer.upper;
        assert!(inside, "{what}: {name} {inner:?} not in {outer:?}");
    }
}

#[test]
fn boxes_that_are_empty_or_do_not_fit_are_refused() {
    let graph = import("digits_cnn", 1);
    let refusal = |range: InputRange| Ranges::analyse(&graph, &[range], Margin::NONE).unwrap_err().to_string();
    assert!(refusal(InputRange::uniform(1.0, 0.0)).contains("'image' is empty"));
    assert!(refusal(InputRange::uniform(0.0, f64::INFINITY)).contains("not finite"));
    assert!(refusal(InputRange::elements(Tensor::filled(&[3], 0.0), Tensor::scalar(1.0))).contains("[1, 1, 8, 8]"));
    assert!(Ranges::analyse(&graph, &[], Margin::NONE).is_err());
    assert!(Ranges::analyse(&graph.without_weights(), &[InputRange::uniform(0.0, 1.0)], Margin::NONE).is_err());
}

#[test]
fn nothing_observed_lies_outside() {
    for model in MODELS {
        for (lower, upper) in [(0.0, 1.0), (-3.0, 3.0), (0.4, 0.6), (-50.0, 20.0)] {
            let ranges =
                Ranges::analyse(&import(model, 1), &[InputRange::uniform(lower, upper)], Margin::NONE).unwrap();
            let graph = import(model, 60);
            let images = Random(7).images(60, lower, upper);
            let mut observed = Observed::new(&graph);
            reference::run(&graph, &[images], &mut |id, value| {
                assert_inside(&ranges, &graph, id, value);
                observed.record(&graph, id, value);
            })
            .unwrap();
            for (site, seen) in observed.sites() {
                assert_contains(ranges.site(site).unwrap(), seen, &format!("{model} {site}"));
            }
        }
    }
}

#[test]
fn a_single_point_gives_narrow_ranges_around_the_reference() {
    // A box without width up to the first layer norm or softmax, behind which the rules forget the input.
    let graph = import("digits_cnn", 1);
    let image = Random(3).images(1, 0.0, 1.0);
    let point = InputRange::elements(image.clone(), image.clone());
    let ranges = Ranges::analyse(&graph, &[point], Margin::NONE).unwrap();
    reference::run(&graph, &[image], &mut |id, value| {
        assert_inside(&ranges, &graph, id, value);
        let (lower, upper) = ranges.elements(id);
        let widest = upper.zip(lower, |a, b| a - b).data.into_iter().fold(0.0, f64::max);
        assert!(widest < 1e-9, "{id}: {widest}");
    })
    .unwrap();
}

#[test]
fn margins_cover_a_run_that_errs_at_every_node() {
    // The statement's premise played out: after every node that computes, an error up to the margin is added.
    let margin = Margin { relative: 0.01, absolute: 0.02 };
    for model in MODELS {
        let graph = import(model, 1);
        let ranges = Ranges::analyse(&graph, &[InputRange::uniform(0.0, 1.0)], margin).unwrap();
        let exact = Ranges::analyse(&graph, &[InputRange::uniform(0.0, 1.0)], Margin::NONE).unwrap();
        for ((id, wide), (_, narrow)) in ranges.sites().iter().zip(exact.sites()) {
            assert_contains(*wide, *narrow, &id.to_string());
        }
        let mut random = Random(11);
        for _ in 0..30 {
            let image = random.images(1, 0.0, 1.0);
            let mut err = |id: NodeId, value: &mut Tensor| {
                let node = graph.node(id);
                let moves = ["reshape", "transpose", "slice", "concat", "gather", "pad", "broadcast"];
                if !moves.contains(&node.operator.name()) {
                    for x in &mut value.data {
                        let size = margin.absolute + margin.relative * x.abs();
                        *x += if random.unit() < 0.5 { -size } else { size };
                    }
                }
                assert_inside(&ranges, &graph, id, value);
            };
            reference::run_altered(&graph, &[image], &mut err).unwrap();
        }
    }
}

#[test]
fn static_ranges_are_close_enough_to_choose_windows() {
    for model in MODELS {
        let ranges = Ranges::analyse(&import(model, 1), &[InputRange::uniform(0.0, 1.0)], Margin::NONE).unwrap();
        let graph = import(model, 256);
        let images = Arrays::read(&shipped("digits_calibration.npz")).unwrap().reals("image").unwrap();
        let mut calibration = Observed::new(&graph);
        calibration.run(&graph, &[images]).unwrap();
        let graph = import(model, 540);
        let images = Arrays::read(&shipped("digits_test.npz")).unwrap().reals("image").unwrap();
        let mut test = Observed::new(&graph);
        test.run(&graph, &[images]).unwrap();
        println!("{model}");
        for ((site, seen), (_, tested)) in calibration.sites().zip(test.sites()) {
            let bound = ranges.site(site).unwrap();
            assert_contains(bound, seen, model);
            let kind = graph.sites().into_iter().find(|other| other.node == site).unwrap();
            for (((name, outer), (_, inner)), (_, tested)) in
                bound.parts().into_iter().zip(seen.parts()).zip(tested.parts())
            {
                println!(
                    "| {site} {} | {name} | [{:.4}, {:.4}] | [{:.4}, {:.4}] | [{:.4}, {:.4}] |",
                    kind.kind.name(),
                    outer.lower,
                    outer.upper,
                    inner.lower,
                    inner.upper,
                    tested.lower,
                    tested.upper
                );
                assert!(outer.magnitude() < 512.0 || name == "variance", "{model} {site} {name} {outer:?}");
            }
        }
    }
}

fn single(graph: &Graph, data: &[f64]) -> Vec<f64> {
    let shape = graph.node(graph.inputs()[0].1).shape.clone();
    let input = Tensor::new(shape, data.to_vec()).unwrap();
    reference::run(graph, &[input], &mut |_, _| {}).unwrap().remove(0).data
}

fn random_weights(random: &mut Random, count: usize) -> Vec<f32> {
    (0..count).map(|_| (random.unit() - 0.5) as f32).collect()
}

/// An upper bound that nothing comes near could as well be wrong by a factor: here the worst inputs are known.
#[test]
fn a_dense_layer_behind_a_layer_norm_attains_its_bound() {
    let mut random = Random(5);
    let weights = random_weights(&mut random, 6);
    let graph = Model::default()
        .input("x", &["batch", "6"])
        .weight("one", &[6], &[1.0; 6])
        .weight("w", &[6, 1], &weights)
        .op("LayerNormalization", &["x", "one"], "n")
        .op("MatMul", &["n", "w"], "y")
        .graph("y");
    let ranges = Ranges::analyse(&graph, &[InputRange::uniform(-1e4, 1e4)], Margin::NONE).unwrap();
    let bound = ranges.node(graph.outputs()[0].1);
    let mean = weights.iter().sum::<f32>() / 6.0;
    let worst: Vec<f64> = weights.iter().map(|weight| f64::from(weight - mean) * 1e4).collect();
    let attained = single(&graph, &worst)[0];
    assert!(attained <= bound.upper && attained > 0.9999 * bound.upper, "{attained} {bound:?}");
    assert!((bound.lower + bound.upper).abs() < 1e-6);
}

fn product(matrix: &[f64], vector: &[f64]) -> Vec<f64> {
    matrix.chunks_exact(vector.len()).map(|row| row.iter().zip(vector).map(|(a, b)| a * b).sum()).collect()
}

/// Attention of three tokens of width 6 with two-dimensional queries and keys and values that are all 5, and the input
/// whose logits are the greatest: q·k = z₁ᵀ·M·z₂ with M = W_q·W_kᵀ projected, at M's singular vectors.
fn attention() -> (Graph, Tensor) {
    let mut random = Random(9);
    let (query, key) = (random_weights(&mut random, 12), random_weights(&mut random, 12));
    let graph = Model::default()
        .input("x", &["batch", "3", "6"])
        .weight("one", &[6], &[1.0; 6])
        .weight("wq", &[6, 2], &query)
        .weight("wk", &[6, 2], &key)
        .weight("wv", &[6, 2], &[0.0; 12])
        .weight("bv", &[2], &[5.0; 2])
        .op("LayerNormalization", &["x", "one"], "n")
        .op("MatMul", &["n", "wq"], "q")
        .op("MatMul", &["n", "wk"], "k")
        .op("MatMul", &["n", "wv"], "u")
        .op("Add", &["u", "bv"], "v")
        .node("Transpose", &["k"], "t", vec![integers("perm", &[0, 2, 1])])
        .op("MatMul", &["q", "t"], "logits")
        .op("Softmax", &["logits"], "p")
        .op("MatMul", &["p", "v"], "y")
        .graph("y");
    let entry = |weights: &[f32], row: usize, column: usize| {
        let mean = (0..6).map(|row| f64::from(weights[row * 2 + column])).sum::<f64>() / 6.0;
        f64::from(weights[row * 2 + column]) - mean
    };
    let term = |i: usize| (0..2).map(|c| entry(&query, i / 6, c) * entry(&key, i % 6, c)).sum();
    let forward: Vec<f64> = (0..36).map(term).collect();
    let backward: Vec<f64> = (0..36).map(|i| forward[i % 6 * 6 + i / 6]).collect();
    let mut z = vec![1.0, -2.0, 0.5, 0.3, 0.1, 0.1];
    for _ in 0..200 {
        z = product(&backward, &product(&forward, &z));
        let size = z.iter().map(|x| x * x).sum::<f64>().sqrt();
        z.iter_mut().for_each(|x| *x /= size);
    }
    let first: Vec<f64> = product(&forward, &z).iter().map(|x| x * 1e4).collect();
    let (second, third): (Vec<f64>, Vec<f64>) = z.iter().map(|x| (x * 1e4, x * -1e4)).unzip();
    (graph, Tensor::new(vec![1, 3, 6], [first, second, third].concat()).unwrap())
}

#[test]
fn attention_logits_attain_their_bound_and_their_difference() {
    let (graph, worst) = attention();
    let ranges = Ranges::analyse(&graph, &[InputRange::uniform(-1e5, 1e5)], Margin::NONE).unwrap();
    let site = graph.sites().pop().unwrap().node;
    let Some(SiteRange::Softmax { input, difference, .. }) = ranges.site(site) else { panic!("no softmax") };
    let mut logits = Vec::new();
    reference::run(&graph, &[worst], &mut |id, value| {
        assert_inside(&ranges, &graph, id, value);
        if graph.node(site).inputs[0] == id {
            logits.clone_from(&value.data);
        }
    })
    .unwrap();
    assert!(logits[1] > 0.97 * input.upper, "{} {input:?}", logits[1]);
    assert!(logits[1] - logits[2] > 0.97 * difference.upper, "{logits:?} {difference:?}");
}

#[test]
fn errors_of_logits_and_of_softmax_weights_reach_what_follows() {
    let (graph, worst) = attention();
    let (logits, weights) = (graph.sites().pop().unwrap().node, graph.sites().pop().unwrap().node);
    let logits = graph.node(logits).inputs[0];
    // A logit may be off by 50, a softmax weight by 0.1; the rest is exact.
    let margin = |id: NodeId| {
        let absolute = if id == logits { 50.0 } else { f64::from(u8::from(id == weights)) * 0.1 };
        Margin { relative: 0.0, absolute }
    };
    let boxes = [InputRange::uniform(-1e5, 1e5)];
    let ranges = Ranges::analyse_with(&graph, &boxes, &|node| margin(node.id)).unwrap();
    let mut observed = Observed::new(&graph);
    reference::run_altered(&graph, &[worst], &mut |id, value| {
        let size = margin(id).absolute;
        for (index, x) in value.data.iter_mut().enumerate() {
            *x += if id == logits && index % 3 == 2 { -size } else { size };
        }
        assert_inside(&ranges, &graph, id, value);
        observed.record(&graph, id, value);
    })
    .unwrap();
    for (site, seen) in observed.sites() {
        assert_contains(ranges.site(site).unwrap(), seen, "attention");
    }
    // The values are all 5: a mean of them moves only because the weights do not add up to one.
    let bound = ranges.node(graph.outputs()[0].1);
    assert!((bound.upper - 6.5).abs() < 1e-6 && (bound.lower - 3.5).abs() < 1e-6, "{bound:?}");
}

#[test]
fn a_variance_behind_a_convolution_is_attained_at_a_corner() {
    let mut random = Random(21);
    let graph = Model::default()
        .input("x", &["batch", "1", "2", "2"])
        .weight("w", &[6, 1, 2, 2], &random_weights(&mut random, 24))
        .weight("one", &[6], &[1.0; 6])
        .op("Conv", &["x", "w"], "c")
        .integers("shape", &[0, 6])
        .op("Reshape", &["c", "shape"], "r")
        .op("LayerNormalization", &["r", "one"], "y")
        .graph("y");
    let ranges = Ranges::analyse(&graph, &[InputRange::uniform(-1.0, 3.0)], Margin::NONE).unwrap();
    let site = graph.sites()[0].node;
    let Some(SiteRange::Normalisation { variance, .. }) = ranges.site(site) else { panic!("no layer norm") };
    let mut greatest = 0.0_f64;
    for corner in 0..16 {
        let data: Vec<f64> = (0..4).map(|pixel| if corner >> pixel & 1 == 1 { 3.0 } else { -1.0 }).collect();
        let mut observed = Observed::new(&graph);
        observed.run(&graph, &[Tensor::new(vec![1, 1, 2, 2], data).unwrap()]).unwrap();
        let Some((_, SiteRange::Normalisation { variance, .. })) = observed.sites().next() else { panic!("not seen") };
        greatest = greatest.max(variance.upper);
    }
    // Centre and reach are bounded apart, so equality is not expected, but no more than a factor of two is lost.
    assert!(greatest <= variance.upper && greatest > 0.5 * variance.upper, "{greatest} {variance:?}");
}

#[test]
fn masked_positions_neither_widen_a_softmax_nor_escape_it() {
    let graph = Model::default()
        .input("x", &["batch", "4"])
        .weight("m", &[4], &[0.0, -1e4, 0.0, -1e9])
        .op("Add", &["x", "m"], "a")
        .op("Softmax", &["a"], "y")
        .graph("y");
    let ranges = Ranges::analyse(&graph, &[InputRange::uniform(-4.0, 4.0)], Margin::NONE).unwrap();
    let site = graph.sites()[0].node;
    let Some(SiteRange::Softmax { input, below_maximum, denominator, .. }) = ranges.site(site) else {
        panic!("no softmax")
    };
    assert!(input.lower >= -4.001 && below_maximum.lower >= -8.001 && denominator.upper < 2.001);
    let mut random = Random(2);
    for _ in 0..100 {
        let data = (0..4).map(|_| 8.0 * random.unit() - 4.0).collect();
        let mut observed = Observed::new(&graph);
        let image = Tensor::new(vec![1, 4], data).unwrap();
        reference::run(&graph, &[image], &mut |id, value| {
            assert_inside(&ranges, &graph, id, value);
            observed.record(&graph, id, value);
        })
        .unwrap();
        for (site, seen) in observed.sites() {
            assert_contains(ranges.site(site).unwrap(), seen, "masked softmax");
        }
    }
}
