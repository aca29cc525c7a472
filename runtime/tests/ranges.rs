//! Static ranges of the shipped models: nothing that a run shows lies outside, and the table of how far they are off.

use std::path::PathBuf;

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
