//! A softmax without maximum, from the tuner to three parties: a model whose proved logits are narrow may have it, and a
//! plan that announces narrower logits than are proved of the model at hand is refused.

#![allow(clippy::unwrap_used)]

mod onnx_model;

use catalogs::{Catalog, Scale};
use onnx_model::{Model, integers};
use runtime::circuit::lower::{Formats, Logits};
use runtime::circuit::{Error, Integers, Party};
use runtime::cost::Machine;
use runtime::graph::{Axes, Graph, SiteKind, Tensor, reference};
use runtime::plan::{ChoiceRecord, InputPromise, PartiesRecord, Plan, Refusal};
use runtime::random::Key;
use runtime::session::Runner;
use runtime::transport::{Limits, Mesh, Shaping, SideBySide, Transport, in_process};
use runtime::tuner::assignment::Quantity;
use runtime::tuner::{Budget, Constraint, Memory, Problem, Request, Tiles, Tuned, search};
use std::path::Path;

const TOKENS: usize = 32;
const WIDTH: usize = 8;

fn catalog() -> Catalog {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    Catalog::open(&root.join("catalogs"), &root.join("proofs")).unwrap()
}

/// Numbers in [−1, 1] without a pattern.
fn numbers(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut draw = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    };
    (0..count).map(|_| draw()).collect()
}

/// A head of attention over layer-normed rows; queries and keys have weights of this size.
fn model(size: f64) -> Vec<u8> {
    let square = [WIDTH as i64, WIDTH as i64];
    let weights = |seed: u64, size: f64| -> Vec<f32> {
        numbers(WIDTH * WIDTH, seed).into_iter().map(|w| (w * size) as f32).collect()
    };
    let extents = [TOKENS.to_string(), WIDTH.to_string()];
    Model::default()
        .input("x", &["N", &extents[0], &extents[1]])
        .weight("gamma", &[WIDTH as i64], &[1.0; WIDTH])
        .weight("beta", &[WIDTH as i64], &[0.0; WIDTH])
        .weight("wq", &square, &weights(1, size))
        .weight("wk", &square, &weights(2, size))
        .weight("wv", &square, &weights(3, 0.5))
        .op("LayerNormalization", &["x", "gamma", "beta"], "rows")
        .op("MatMul", &["rows", "wq"], "queries")
        .op("MatMul", &["rows", "wk"], "keys")
        .op("MatMul", &["rows", "wv"], "values")
        .node("Transpose", &["keys"], "turned", vec![integers("perm", &[0, 2, 1])])
        .op("MatMul", &["queries", "turned"], "products")
        .scalar("share", (1.0 / (WIDTH as f64).sqrt()) as f32)
        .op("Mul", &["products", "share"], "scores")
        .op("Softmax", &["scores"], "probabilities")
        .op("MatMul", &["probabilities", "values"], "y")
        .bytes("y")
}

fn rows(examples: usize) -> Tensor {
    Tensor::new(vec![examples, TOKENS, WIDTH], numbers(examples * TOKENS * WIDTH, 7)).unwrap()
}

fn request<'a>(model: &'a [u8], catalog: &'a Catalog) -> Request<'a> {
    Request {
        model,
        model_name: "head.onnx".into(),
        catalog,
        calibration: vec![rows(2)],
        labels: None,
        simulated_max: 2,
        batch: 1,
        axes: Axes::batch(1),
        promise: InputPromise { range: [-1.0, 1.0], row_norm: None, named: Default::default() },
        network: Shaping::LAN,
        network_name: "lan".into(),
        machine: Machine::reference(),
        constraint: Constraint { error_max: 1e-2, ..Constraint::default() },
        budget: Budget::default(),
        start: None,
        memory: Memory::default(),
        formats: Formats::default(),
        climb: 4,
        whole_front: false,
        quick: false,
        one_ring: true,
        side_by_side: SideBySide::ONE,
        exact_maxima: false,
        tiles: Tiles::Fastest,
        parties: PartiesRecord { model: 0, input: 1, output: 2 },
    }
}

/// What the baseline evaluates at other scales says nothing of how far an argument reaches: a reciprocal for rows of 64 is
/// not left out for a better one that rows of 32 exceed.
#[test]
fn entries_at_scales_that_nothing_is_known_of_are_tried() {
    let (model, catalog) = (model(0.5), catalog());
    let scale = Scale::new(12).unwrap();
    let formats = Formats { activations: scale, weights: scale, ..Formats::default() };
    let request = Request { formats, ..request(&model, &catalog) };
    Problem::explore(&request, &mut |_| {}, |problem, _| {
        let site = problem.sites().iter().position(|site| site.kind == SiteKind::Softmax).unwrap();
        let entries = problem.candidates()[site].iter().filter_map(|candidate| match &candidate.record {
            ChoiceRecord::Softmax { exp, reciprocal, .. } => Some((&exp.name[..], &reciprocal.name[..])),
            _ => None,
        });
        let entries: Vec<(&str, &str)> = entries.collect();
        let coarse = "exp/k64-f12-o16-w10-mixed-2e-2";
        assert!(entries.contains(&(coarse, "reciprocal/k64-f16-o18-n64-fast-2e-2")), "{entries:?}");
        assert!(!entries.iter().any(|(_, reciprocal)| reciprocal.contains("-n16-")), "{entries:?}");
        Ok(())
    })
    .unwrap();
}

/// The tuned plan, and the same with the fastest softmax that has a maximum.
fn tuned(model: &[u8], catalog: &Catalog) -> (Tuned, Plan) {
    let request = request(model, catalog);
    Problem::explore(&request, &mut |_| {}, |problem, progress| {
        let tuned = search(problem, progress)?;
        let mut chosen = problem.choice_of(&tuned.plan).unwrap();
        let site = problem.sites().iter().position(|site| site.kind == SiteKind::Softmax).unwrap();
        let has_maximum =
            |&index: &usize| matches!(problem.candidates()[site][index].record, ChoiceRecord::Softmax { .. });
        let seconds = |&index: &usize| problem.prices()[site][index].of(Quantity::Seconds);
        let fastest = (0..problem.candidates()[site].len()).filter(has_maximum);
        chosen[site] = fastest.min_by(|a, b| seconds(a).total_cmp(&seconds(b))).unwrap();
        Ok((tuned, problem.draft(&chosen)?.unwrap().0))
    })
    .unwrap()
}

fn logits(plan: &mut Plan) -> &mut Logits {
    let choices = plan.site.iter_mut().map(|site| &mut site.choice);
    let found = choices.filter_map(|choice| match choice {
        ChoiceRecord::SoftmaxWithoutMaximum { logits, .. } => Some(logits),
        _ => None,
    });
    found.last().unwrap()
}

/// The plan with other bounds, and with the certified errors that follow from them: what a liar would write.
fn with_logits(plan: &Plan, structure: &Graph, catalog: &Catalog, own: Logits) -> Result<Plan, Refusal> {
    let mut plan = plan.clone();
    *logits(&mut plan) = own;
    for _ in 0..2 {
        match plan.clone().check(structure, catalog) {
            Ok(_) => break,
            Err(Refusal::Bound { site, found, .. }) => {
                let record = plan.site.iter_mut().find(|record| record.name == site).unwrap();
                (record.certified_error, record.calibrated_error) = (found, found);
            }
            Err(other) => return Err(other),
        }
    }
    Ok(plan)
}

/// Three parties run the plan on one input.
fn private(plan: &Plan, model: &[u8], catalog: &Catalog, input: &Tensor) -> (Tensor, u64) {
    let graph = Graph::import(model, 1).unwrap();
    let checked = plan.clone().check(&graph.without_weights(), catalog).unwrap();
    let weights = checked.prove_headroom(&graph).unwrap();
    let lowered = checked.lowered();
    let inputs = lowered.encode_inputs(std::slice::from_ref(input)).unwrap();
    let ends = in_process::network(3, Some(&Key::from_bytes([5; 32])), Limits::default(), None).unwrap();
    let outputs: Vec<Vec<Option<Integers>>> = std::thread::scope(|scope| {
        let party = |(me, mut transport): (usize, Mesh)| {
            let (input, weights) = ((me == 1).then(|| inputs[0].clone()), (me == 0).then_some(&weights));
            scope.spawn(move || {
                let mut runner = Runner::new(lowered.circuit.clone(), Party(me as u8)).unwrap();
                runner.share_weights(Party(0), weights, &mut transport).unwrap();
                let outcome = runner.run(&[input], &mut transport).unwrap();
                transport.finish().unwrap();
                outcome.outputs
            })
        };
        let parties: Vec<_> = ends.into_iter().enumerate().map(party).collect();
        parties.into_iter().map(|party| party.join().unwrap()).collect()
    });
    assert!(outputs[0][0].is_none() && outputs[1][0].is_none());
    let found = lowered.decode_outputs(&[outputs[2][0].clone().unwrap()]).unwrap();
    (found.into_iter().next().unwrap(), u64::from(checked.schedule().rounds))
}

#[test]
fn narrow_logits_need_no_maximum_and_what_is_announced_is_proved() {
    let (catalog, narrow) = (catalog(), model(0.3));
    let (tuned, before) = tuned(&narrow, &catalog);
    let (plan, graph) = (tuned.plan, Graph::import(&narrow, 1).unwrap());
    let structure = graph.without_weights();

    // Another model of the same structure has wider logits: everybody may accept the plan, its owner must not.
    let wide = Graph::import(&model(0.45), 1).unwrap();
    let refused = |plan: Plan| {
        let checked = plan.check(&wide.without_weights(), &catalog).unwrap();
        checked.prove_headroom(&wide).unwrap_err()
    };
    let other = refused(plan.clone());
    assert!(matches!(other, Refusal::Weights { .. }), "{other}");
    assert!(other.to_string().contains("other weights of this model"), "{other}");
    // A discreet plan does not name the weights; what is proved of them is refused all the same.
    let refused = refused(plan.clone().discreet());
    assert!(matches!(refused, Refusal::Circuit(Error::Logits { .. })), "{refused}");
    assert!(refused.to_string().contains("tune this model again"), "{refused}");

    // What is announced may be exactly what is proved, and no unit less at either end.
    let checked = plan.clone().check(&structure, &catalog).unwrap();
    checked.prove_headroom(&graph).unwrap();
    let limits = checked.limits(&graph).unwrap();
    let limit = limits.iter().find(|limit| limit.what == "logits without maximum").unwrap();
    let (own, unit) = (*logits(&mut plan.clone()), 1.0 / 65536.0);
    assert_eq!(limit.limit, [own.low, own.high]);
    assert!(limit.used < 1.0 && limit.range[0] > own.low && limit.range[1] < own.high, "{limit:?}");
    let [low, high] = limit.range;
    for (low, high, proved) in [(low, high, true), (low + unit, high, false), (low, high - unit, false)] {
        let other = with_logits(&plan, &structure, &catalog, Logits { low, high, ..own }).unwrap();
        let answer = other.check(&structure, &catalog).unwrap().prove_headroom(&graph);
        match answer {
            Ok(_) => assert!(proved, "{low} {high}"),
            Err(refused) => {
                assert!(!proved && matches!(refused, Refusal::Circuit(Error::Logits { .. })), "{refused}");
            }
        }
    }
    // Bounds for which a row's sum may leave the reciprocal's window are refused by everybody.
    for far in
        [Logits { low: own.high - 12.0, ..own }, Logits { high: own.low + 300.0, ..own }, Logits { raised: 12, ..own }]
    {
        let refused = with_logits(&plan, &structure, &catalog, far).unwrap_err();
        assert!(matches!(refused, Refusal::Circuit(Error::Bound { .. })), "{far:?}: {refused}");
    }
    let senseless = [
        Logits { low: own.high, high: own.low, ..own },
        Logits { low: f64::NAN, ..own },
        Logits { high: f64::INFINITY, ..own },
        Logits { high: own.high + unit / 2.0, ..own },
        Logits { raised: Logits::MAX_RAISED + 1, ..own },
    ];
    for other in senseless {
        let refused = with_logits(&plan, &structure, &catalog, other).unwrap_err();
        assert!(matches!(refused, Refusal::Circuit(Error::Choice { .. })), "{other:?}: {refused}");
    }
    // Whoever changes the bounds alone is caught by the certified error.
    let mut changed = plan.clone();
    logits(&mut changed).low -= 0.25;
    let refused = changed.check(&structure, &catalog).unwrap_err();
    assert!(matches!(refused, Refusal::Bound { .. } | Refusal::Circuit(_)), "{refused}");
    // The file tells the bounds, and is read again.
    let text = plan.to_text();
    assert!(text.contains("kind = \"softmax without maximum\"") && text.contains("[site.choice.logits]"), "{text}");
    assert_eq!(Plan::parse(&text).unwrap(), plan);

    // It is faster by the rounds of the maximum, and the three parties agree with the plain model.
    let input = rows(1);
    let plain = reference::run(&graph, std::slice::from_ref(&input), &mut |_, _| {}).unwrap();
    for (name, plan) in [("without maximum", &plan), ("with maximum", &before)] {
        let (found, rounds) = private(plan, &narrow, &catalog, &input);
        let off = found.data.iter().zip(&plain[0].data).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        let site = plan.site.iter().find(|site| site.kind == "softmax").unwrap();
        println!(
            "{name}: {rounds} rounds, {} bytes, {:.4} s predicted, softmax {} rounds, certified {:.2e}, off by {off:.2e}",
            plan.predicted.bytes_per_run, plan.predicted.seconds_per_run, site.rounds, site.certified_error
        );
        println!(
            "    {}",
            site.choice.entries().iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>().join(" + ")
        );
        assert_eq!(rounds, plan.predicted.rounds_per_run);
        assert!(off > 0.0 && off < 1e-2, "{name}: {off}");
    }
    println!("proved logits {low} to {high}, announced {} to {}, raised by 2^{}", own.low, own.high, own.raised);
    assert!(plan.predicted.rounds_per_run + 10 < before.predicted.rounds_per_run);
    assert!(plan.predicted.bytes_per_run < before.predicted.bytes_per_run);
}

/// Where logits are wide the tuner does not offer it.
#[test]
fn wide_logits_keep_their_maximum() {
    let (catalog, wide) = (catalog(), model(2.0));
    let request = request(&wide, &catalog);
    let offered = Problem::explore(&request, &mut |_| {}, |problem, _| {
        let all = problem.candidates().iter().flatten();
        Ok(all.filter(|candidate| matches!(candidate.record, ChoiceRecord::SoftmaxWithoutMaximum { .. })).count())
    });
    assert_eq!(offered.unwrap(), 0);
}
