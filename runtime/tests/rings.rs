//! Values in narrower rings: the same integers wherever they are used, fewer bits, and no ring that is too narrow passes.

#![allow(clippy::unwrap_used)]

mod onnx_model;

use catalogs::{Catalog, Ring};
use runtime::arrays::Arrays;
use runtime::circuit::ideal::{self, LaneProgram, RoundingMode};
use runtime::circuit::lower::{Choice, Formats, Lowered, Ownership, lower};
use runtime::circuit::rings::{Narrowed, Rings, anchors};
use runtime::circuit::{NodeId, NodeKind, Party, headroom};
use runtime::cost::Machine;
use runtime::graph::{Axes, Graph, Tensor};
use runtime::plan::{CheckedPlan, InputPromise, PartiesRecord, Plan};
use runtime::transport::{Shaping, SideBySide};
use runtime::tuner::{Budget, Constraint, Memory, Request, Tiles, Tuned, leading, tune};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

const MODES: [RoundingMode; 4] =
    [RoundingMode::Seed(1), RoundingMode::Seed(2), RoundingMode::AllLow, RoundingMode::AllHigh];
const BATCH: usize = 2;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn catalog() -> &'static Catalog {
    static CATALOG: OnceLock<Catalog> = OnceLock::new();
    CATALOG.get_or_init(|| Catalog::open(&root().join("catalogs"), &root().join("proofs")).unwrap())
}

fn model() -> Vec<u8> {
    std::fs::read(root().join("examples/models/digits_vit.onnx")).unwrap()
}

fn images(count: usize) -> Tensor {
    let all = Arrays::read(&root().join("examples/models/digits_calibration.npz")).unwrap();
    leading(&all.reals("image").unwrap(), 0, count)
}

fn tuned(one_ring: bool) -> Tuned {
    let model = model();
    let request = Request {
        model: &model,
        model_name: "digits_vit.onnx".into(),
        catalog: catalog(),
        calibration: vec![images(8)],
        labels: None,
        simulated_max: 8,
        batch: BATCH,
        axes: Axes::batch(BATCH),
        promise: InputPromise { range: [0.0, 1.0], row_norm: None, named: Default::default() },
        network: Shaping::WAN,
        network_name: "wan".into(),
        machine: Machine::reference(),
        constraint: Constraint { error_max: 0.05, ..Constraint::default() },
        budget: Budget::default(),
        start: None,
        memory: Memory::default(),
        formats: Formats::default(),
        climb: 0,
        whole_front: false,
        quick: false,
        one_ring,
        side_by_side: SideBySide::ONE,
        exact_maxima: false,
        tiles: Tiles::Fastest,
        parties: PartiesRecord { model: 0, input: 1, output: 1 },
    };
    tune(&request, &mut |_| {}).unwrap()
}

/// The same choice in one ring and in many.
fn both() -> &'static [(Plan, Graph, CheckedPlan); 2] {
    static BOTH: OnceLock<[(Plan, Graph, CheckedPlan); 2]> = OnceLock::new();
    BOTH.get_or_init(|| {
        [true, false].map(|one_ring| {
            let Tuned { plan, structure, .. } = tuned(one_ring);
            let checked = plan.clone().check(&structure, catalog()).unwrap();
            (plan, structure, checked)
        })
    })
}

fn outputs(lowered: &Lowered, graph: &Graph, mode: RoundingMode) -> Vec<Tensor> {
    let weights = lowered.weights(graph).unwrap();
    let inputs = lowered.encode_inputs(&[images(BATCH)]).unwrap();
    let outcome = ideal::run(&lowered.circuit, &weights, &inputs, mode).unwrap();
    assert_eq!(outcome.report.violations(&lowered.circuit), Vec::<NodeId>::new());
    lowered.decode_outputs(&outcome.outputs).unwrap()
}

/// No integer of the outputs depends on the rings: not even a rounding, which only sees the bits that are dropped.
#[test]
fn a_run_has_the_same_outputs_in_fewer_bits() {
    let [(one, _, wide), (many, _, narrow)] = both();
    assert!(one.formats.rings.is_empty() && !many.formats.rings.is_empty());
    let choices = |plan: &Plan| plan.site.iter().map(|site| site.choice.clone()).collect::<Vec<_>>();
    assert_eq!(choices(one), choices(many));
    let (before, after) = (&one.predicted, &many.predicted);
    assert!(after.rounds_per_run < before.rounds_per_run && after.seconds_per_run < before.seconds_per_run);
    let share = after.bytes_per_run as f64 / before.bytes_per_run as f64;
    println!("{} → {} rounds, {share:.3} of the bytes", before.rounds_per_run, after.rounds_per_run);
    assert!(share < 0.97, "{share}");
    assert!(after.weight_bytes < before.weight_bytes);
    let graph = Graph::import(&model(), BATCH).unwrap();
    for mode in MODES {
        assert_eq!(
            outputs(wide.lowered(), &graph, mode),
            outputs(narrow.lowered(), &graph, mode),
            "{mode:?}: rings changed what is computed"
        );
    }
}

/// Fewer bits anywhere: either the proof of headroom fails, or nothing needed them, and the outputs are the same.
#[test]
fn no_ring_that_is_too_narrow_is_proved() {
    let [(_, _, wide), (many, ..)] = both();
    let graph = Graph::import(&model(), BATCH).unwrap();
    let lowered = wide.lowered();
    let rings = Rings::from_bits(&many.formats.rings).unwrap();
    let expected = outputs(lowered, &graph, RoundingMode::AllHigh);
    let mut narrowed = Narrowed::default();
    let (mut refused, mut same) = (0, 0);
    for (anchor, id) in anchors(&lowered.circuit).enumerate() {
        for fewer in [1, 3, 7, 14, 25] {
            let Some(less) = Ring::new(rings.get(anchor).unwrap().bits().saturating_sub(fewer)) else { continue };
            let Ok(own) = rings.with(anchor, less).apply(lowered, &mut narrowed) else {
                refused += 1;
                continue;
            };
            let proof = own.weights(&graph).and_then(|weights| headroom::prove(&own, &weights, &[(0.0, 1.0)]));
            match proof {
                Err(_) => refused += 1,
                Ok(_) => {
                    let found = outputs(&own, &graph, RoundingMode::AllHigh);
                    assert_eq!(
                        expected,
                        found,
                        "{} of {}",
                        lowered.circuit.node(id).name,
                        lowered.circuit.group_name(id)
                    );
                    same += 1;
                }
            }
        }
    }
    println!("of {} rings, {refused} cannot have so much fewer bits, {same} can", many.formats.rings.len());
    assert!(refused > 100 && same > 0, "{refused} {same}");
}

/// What a plan says of rings is checked by everybody who reads it.
#[test]
fn a_plan_with_other_rings_is_refused() {
    let [_, (many, structure, _)] = both();
    let refusal = |rings: Vec<u8>| {
        let mut plan = many.clone();
        plan.formats.rings = rings;
        plan.check(structure, catalog()).unwrap_err().to_string()
    };
    let own = &many.formats.rings;
    assert!(refusal(Vec::new()).contains("the plan predicts"));
    let message = refusal(own[1..].to_vec());
    assert!(message.contains(&format!("{} rings for the {} sums and entries", own.len() - 1, own.len())), "{message}");
    for (anchor, &bits) in own.iter().enumerate().step_by(11) {
        for other in [bits - 1, bits + 1] {
            let mut rings = own.clone();
            rings[anchor] = other;
            refusal(rings);
        }
    }
    for (bits, word) in [(1, "no ring has 1"), (7, "is not between"), (65, "is not between"), (200, "no ring has 200")]
    {
        let mut rings = own.clone();
        rings[0] = bits;
        assert!(refusal(rings).contains(word), "{bits}");
    }
}

/// Every shipped entry between other rings: where it is proved again, its results are those that were published, modulo the
/// ring in which they are left, whatever the roundings.
#[test]
fn entries_between_other_rings_have_the_same_integers() {
    let (mut proved, mut refused) = (0, 0);
    for (name, published) in catalog().iter() {
        let entry = Arc::new(verify::check_texts(&published.entry, &published.certificate).unwrap());
        let program = entry.program();
        let (input, output) = (program.input().0, program.output().0);
        let window = entry.claim().window;
        let middle = window.low / 2 + window.high / 2;
        let mut arguments: Vec<i64> = vec![window.low, window.low + 1, middle, window.high - 1, window.high];
        let span = (window.high as i128 - window.low as i128) as u128;
        arguments.extend((0..200u128).map(|step| (window.low as i128 + (span * step * step / 40_000) as i128) as i64));
        for (from, to) in [(input.bits(), 40), (48, 48), (44, 64), (40, 64), (36, 36)] {
            let rings = [from, to].map(|bits| Ring::new(bits).unwrap());
            if rings[0] > input || rings[1] > output {
                continue;
            }
            let Ok(other) = Narrowed::default().of(&entry, rings[0], rings[1]) else {
                refused += 1;
                continue;
            };
            proved += 1;
            assert_eq!(other.claim(), entry.claim());
            assert_eq!((other.program().input().0, other.program().output().0), (rings[0], rings[1]));
            for mode in MODES {
                let of = |program| LaneProgram::new(program).evaluate(mode, NodeId(3), &arguments).0;
                let expected: Vec<i64> =
                    of(program).into_iter().map(|value| rings[1].residue(i128::from(value)) as i64).collect();
                assert_eq!(of(other.program()), expected, "{name} from {from} into {to} bits, {mode:?}");
            }
        }
    }
    println!("{proved} pairs of rings proved, {refused} refused");
    assert!(proved > 60 && refused > 20, "{proved} {refused}");
}

/// Entries keep the ring of an argument that others need wider; what is concatenated or compared has one ring.
#[test]
fn every_value_has_what_its_users_work_with() {
    let [(_, _, wide), (_, _, narrow)] = both();
    let (wide, narrow) = (&wide.lowered().circuit, &narrow.lowered().circuit);
    assert_eq!(wide.nodes().len(), narrow.nodes().len());
    let mut narrower = 0;
    for ((id, before), after) in wide.iter().zip(narrow.nodes()) {
        assert_eq!((&before.shape, before.format.scale), (&after.shape, after.format.scale), "{id}");
        assert!(after.format.ring <= before.format.ring);
        narrower += usize::from(after.format.ring < before.format.ring);
        if let NodeKind::Program { certified, argument } = &after.kind {
            assert_eq!(certified.program().input().0, narrow.node(*argument).format.ring);
        }
    }
    assert!(narrower * 2 > wide.nodes().len(), "{narrower} of {}", wide.nodes().len());
}

/// A public summand is a number, not a residue: in a ring that does not hold it, what the proof says would be about another.
#[test]
fn constants_are_never_reduced() {
    for (function, name) in [("Sigmoid", "sigmoid/k64-f16-w9-1e-3"), ("Relu", "relu/k64-f16-w9")] {
        let published = catalog().find(name).unwrap().1;
        let entry = Arc::new(verify::check_texts(&published.entry, &published.certificate).unwrap());
        for constant in [2f32.powi(24), 2f32.powi(26), 65536.0, 3.0] {
            let graph = onnx_model::Model::default()
                .input("x", &["N", "4"])
                .scalar("c", constant)
                .op("Add", &["x", "c"], "s")
                .op(function, &["s"], "y")
                .graph("y");
            let sites = graph.sites();
            let choices = sites.iter().map(|site| (site.node, Choice::Unary { entry: Arc::clone(&entry) })).collect();
            let ownership = Ownership { input: Party(1), output: Party(1) };
            let lowered = lower(&graph, &choices, Formats::default(), ownership).unwrap();
            let proved = |own: &Lowered| {
                let weights = own.weights(&graph)?;
                headroom::prove(own, &weights, &[(-4.0, 4.0)])
            };
            let serves = proved(&lowered).is_ok();
            assert_eq!(serves, constant < 500.0);
            let wide = Rings::of(&lowered.circuit);
            let mut narrowed = Narrowed::default();
            let mut narrow = 0;
            for bits in 20..64 {
                let ring = Ring::new(bits).unwrap();
                let all = (0..wide.bits().len()).fold(wide.clone(), |rings, anchor| rings.with(anchor, ring));
                let own = all.apply(&lowered, &mut narrowed).and_then(|own| proved(&own).map(drop));
                assert!(serves || own.is_err(), "{function}(x + {constant}) in rings of {bits} bits");
                narrow += usize::from(own.is_ok());
            }
            // The rectifier ends with a product, and its result is opened in 64 bits.
            assert!(!serves || function == "Relu" || narrow > 10, "{function}(x + {constant})");
        }
    }
}
