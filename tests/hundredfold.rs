//! Inputs a hundred times as large as those that a plan was calibrated on: refused before anything runs, or, where the
//! plan was made for such a range, computed as certified. Its windows and widths are proved for the whole range, so no
//! argument leaves a window and no truncation is outside its lemma, at any site and for any choice of roundings.

#![allow(clippy::unwrap_used)]

mod support;

use runtime::arrays::{Arrays, Elements, Output, write_npz};
use runtime::circuit::ideal::{self, RoundingMode};
use runtime::circuit::{Integers, NodeId, NodeKind};
use runtime::graph::{Function, Graph, Operator, Tensor, reference};
use runtime::plan::Plan;
use runtime::tuner::{difference, leading};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const BATCH: usize = 6;
const FACTOR: f64 = 100.0;

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A few test images, as bright as given.
fn images(factor: f64) -> Tensor {
    let all = Arrays::read(&example("models/digits_test.npz")).unwrap().reals("image").unwrap();
    leading(&all, 20, BATCH).map(|value| value * factor)
}

fn write(path: &Path, tensor: &Tensor) {
    let elements = Elements::Double(&tensor.data);
    write_npz(path, &[Output { name: "image", shape: &tensor.shape, elements }]).unwrap();
}

#[test]
fn what_a_plan_was_not_made_for_is_refused_before_anything_runs() {
    let shop = support::Workshop::new();
    let (input, output) = (shop.path("bright.npz"), shop.path("scores.npz"));
    write(&input, &images(FACTOR));
    for model in ["digits_cnn", "digits_vit"] {
        let (file, plan) = (example(&format!("models/{model}.onnx")), example(&format!("plans/{model}.plan.toml")));
        let catalog = example("../catalogs");
        let [file, plan, catalog] = [&file, &plan, &catalog].map(|path| text(path));
        let request = ["run", file, "--plan", plan, "--input", text(&input), "--output", text(&output), "--local"];
        let outcome = shop.run(&[&request[..], &["--catalog", catalog]].concat());
        outcome.failed(2, &["lies outside the input range [0, 1]", "tune with a wider --input-range"]);
        assert!(!output.exists());
    }
}

/// Every scalar site's output against its function at the argument that the circuit computed.
fn sites_hold(plan: &runtime::plan::CheckedPlan, graph: &Graph, values: &BTreeMap<NodeId, Integers>) -> usize {
    let circuit = &plan.lowered().circuit;
    let mut checked = 0;
    for (id, node) in circuit.iter() {
        let NodeKind::Program { certified, argument } = &node.kind else { continue };
        let group = &circuit.groups()[node.group.index()];
        let Some(site) = group.site else { continue };
        let Operator::Activation { function } = &graph.nodes()[site as usize].operator else { continue };
        let bound = plan.plan().site.iter().find(|record| record.node == site).unwrap().certified_error;
        let scale = |bits: u8| f64::from(bits).exp2();
        let (input, output) = (certified.program().input().1.bits(), certified.program().output().1.bits());
        for (&x, &y) in values[argument].values().iter().zip(values[&id].values()) {
            let (x, y) = (x as f64 / scale(input), y as f64 / scale(output));
            let error = (reference::apply(*function, x) - y).abs();
            assert!(error <= bound + 1e-9 * (1.0 + y.abs()), "{}: {error:e} at {x}, certified {bound:e}", group.name);
            checked += 1;
            if *function == Function::Relu {
                assert_eq!(y, x.max(0.0));
            }
        }
    }
    checked
}

/// A plan for inputs up to `factor`, in batches of [`BATCH`].
fn tune(shop: &support::Workshop, model: &str, factor: f64, options: &[&str]) -> support::Outcome {
    let (file, calibration) = (example(&format!("models/{model}.onnx")), example("models/digits_calibration.npz"));
    let (out, catalog) = (shop.path("bright.plan.toml"), example("../catalogs"));
    let range = format!("0,{factor}");
    let request = ["tune", text(&file), "--calibration", text(&calibration), "--input-range", &range, "--batch", "6"];
    let rest = ["--simulate", "12", "--out", text(&out), "--catalog", text(&catalog)];
    shop.run(&[&request[..], &rest, options].concat())
}

/// The plan's simulations and its run by three parties, for images as bright as its range allows.
fn computes_as_certified(shop: &support::Workshop, model: &str, factor: f64) {
    let (out, input, output) = (shop.path("bright.plan.toml"), shop.path("bright.npz"), shop.path("scores.npz"));
    let file = example(&format!("models/{model}.onnx"));
    let plan = Plan::parse(&std::fs::read_to_string(&out).unwrap()).unwrap();
    let structure = std::fs::read_to_string(out.with_extension("structure.json")).unwrap();
    let checked = plan.check(&Graph::from_json(&structure).unwrap(), &support::shipped()).unwrap();
    let bytes = std::fs::read(&file).unwrap();
    // The answer is that of the model itself; the circuit is that of the model with the plan's clamps.
    let graph = Graph::import(&bytes, BATCH).unwrap();
    let clamped = Graph::import_with(&bytes, &checked.plan().model.axes()).unwrap();
    let weights = checked.prove_headroom(&clamped).unwrap();
    let bright = images(factor);
    let encoded = checked.lowered().encode_inputs(std::slice::from_ref(&bright)).unwrap();
    let plain = reference::run(&graph, std::slice::from_ref(&bright), &mut |_, _| {}).unwrap();
    let size = plain[0].data.iter().fold(1.0f64, |size, value| size.max(value.abs()));
    let close = |what: &str, outputs: &[Tensor]| {
        let error = difference(&plain, outputs) / size;
        println!("{model} at {factor}, {what}: {error:.1e} of the largest score");
        assert!(error > 0.0 && error <= 0.01, "{model}, {what}: {error:e}");
    };
    for mode in [RoundingMode::Seed(3), RoundingMode::AllLow, RoundingMode::AllHigh] {
        let mut values = BTreeMap::new();
        let circuit = &checked.lowered().circuit;
        let mut keep = |id, value: &Integers| {
            values.insert(id, value.clone());
        };
        let outcome = ideal::observe(circuit, &weights, &encoded, mode, &mut keep).unwrap();
        assert_eq!(outcome.report.violations(circuit), [], "{model}, {mode:?}");
        assert!(sites_hold(&checked, &clamped, &values) > 0, "{model} has no scalar site");
        close(&format!("{mode:?}"), &checked.lowered().decode_outputs(&outcome.outputs).unwrap());
    }
    write(&input, &bright);
    let catalog = example("../catalogs");
    let request = ["run", text(&file), "--plan", text(&out), "--input", text(&input), "--output", text(&output)];
    shop.run(&[&request[..], &["--local", "--catalog", text(&catalog)]].concat()).succeeded();
    let arrays = Arrays::read(&output).unwrap();
    let private: Vec<Tensor> = graph.outputs().iter().map(|(name, _)| arrays.reals(name).unwrap()).collect();
    close("three parties", &private);
}

/// Its layer norms bring every scale back, so the transformer's plan reaches a hundred times as far.
#[test]
fn a_transformer_with_a_hundredfold_range_computes_as_certified() {
    let shop = support::Workshop::new();
    tune(&shop, "digits_vit", FACTOR, &[]).succeeded();
    computes_as_certified(&shop, "digits_vit", FACTOR);
}

/// The convolutional network has no norms: its SiLU would see arguments that no entry is proved for, and the plan is
/// refused with the site, the range and the window. Up to that window it is computed.
#[test]
fn a_network_without_norms_is_refused_a_hundredfold_range_by_name_and_computes_up_to_its_window() {
    let shop = support::Workshop::new();
    let refused = ["/f/f.6/Mul: its proved range", "exceeds the window -33554431..=33554431 of the silu entry"];
    tune(&shop, "digits_cnn", FACTOR, &[]).failed(2, &refused);
    assert!(!shop.path("bright.plan.toml").exists());
    tune(&shop, "digits_cnn", 2.0, &[]).succeeded();
    computes_as_certified(&shop, "digits_cnn", 2.0);
}

/// Clamps take such a range to a window: SiLU follows its argument beyond, tanh is flat there, so that the model is the
/// same one. What they cost is part of the plan and of the run, which counts what the plan predicts.
#[test]
fn with_clamps_a_network_without_norms_computes_a_hundredfold_range_as_certified() {
    let shop = support::Workshop::new();
    let tuned = tune(&shop, "digits_cnn", FACTOR, &["--clamp"]);
    tuned.succeeded();
    assert!(tuned.stdout.contains("clamp of /f/f.6/Mul: -511 to 511, kept beyond"), "{}", tuned.stdout);
    computes_as_certified(&shop, "digits_cnn", FACTOR);
    let path = shop.path("bright.plan.toml");
    let plan = std::fs::read_to_string(&path).unwrap();
    let parsed = Plan::parse(&plan).unwrap();
    let structure = Graph::from_json(&std::fs::read_to_string(path.with_extension("structure.json")).unwrap()).unwrap();
    let clamps = &parsed.model.clamps;
    assert_eq!(clamps.iter().map(|clamp| clamp.name.as_str()).collect::<Vec<_>>(), ["/f/f.6/Mul", "/f/f.10/Tanh"]);
    assert!(clamps.iter().all(|clamp| clamp.kept && clamp.rounds > 0 && clamp.bytes > 0));
    // A plan whose clamps are not those of its structure, or not at that price, is refused.
    let altered = |alter: &dyn Fn(&mut Plan)| {
        let mut plan = parsed.clone();
        alter(&mut plan);
        plan.check(&structure, &support::shipped()).unwrap_err().to_string()
    };
    let message = altered(&|plan| plan.model.clamps[0].high = Some(510.0));
    assert!(message.contains("structure does not have the clamp of /f/f.6/Mul"), "{message}");
    assert!(altered(&|plan| plan.model.clamps[0].bytes -= 1).contains("bytes of a clamp"));
    assert!(altered(&|plan| plan.model.clamps[1].rounds += 1).contains("rounds of a clamp"));
    assert!(altered(&|plan| drop(plan.model.clamps.pop())).contains("clamps that the plan does not state"));
    // The width that the structure states is held against what is proved of the argument.
    let graph = |bits: u8| {
        let mut clamps = clamps.clone();
        clamps[0].width = bits;
        Graph::import_with(
            &std::fs::read(example("models/digits_cnn.onnx")).unwrap(),
            &parsed.model.axes().with_clamps(clamps),
        )
    };
    assert!(graph(clamps[0].width).is_ok() && graph(1).is_err() && graph(65).is_err());
}

/// Where a function is cut, the plan says that it is another model beyond, and inside it is the same one.
#[test]
fn what_is_cut_is_said_and_narrower() {
    let shop = support::Workshop::new();
    tune(&shop, "digits_cnn", FACTOR, &["--cut", "0.5"]).failed(2, &["--cut 0.5: give a factor of at least 1"]);
    let tuned = tune(&shop, "digits_cnn", FACTOR, &["--cut", "20"]);
    tuned.succeeded();
    let line = tuned.stdout.lines().find(|line| line.starts_with("clamp of /f/f.6/Mul")).unwrap();
    assert!(line.contains("CUT: beyond, this is another model"), "{line}");
    let plan = Plan::parse(&std::fs::read_to_string(shop.path("bright.plan.toml")).unwrap()).unwrap();
    let [low, high] = [plan.model.clamps[0].low.unwrap(), plan.model.clamps[0].high.unwrap()];
    let seen = tuned.stderr.lines().find(|line| line.starts_with("/f/f.6/Mul: its argument is proved")).unwrap();
    assert!(seen.contains("the calibration set shows -3.82…5.18"), "{seen}");
    // Twenty times that, as integers.
    assert_eq!([low, high], [-77.0, 104.0]);
    assert!(plan.measured.error < 0.01 && plan.measured.agreement == 1.0);
}
