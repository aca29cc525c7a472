//! Choices that can be proved site by site and not together: a coarse function widens the range behind it beyond a narrow
//! window there. The tuner finds the best choice that can be proved as a whole, or says what stands in the way.

#![allow(clippy::unwrap_used)]

mod onnx_model;

use catalogs::Catalog;
use onnx_model::Model;
use runtime::circuit::lower::Formats;
use runtime::cost::{Machine, Resource};
use runtime::graph::{Axes, Site, Tensor};
use runtime::plan::{ChoiceRecord, InputPromise, PartiesRecord, Plan};
use runtime::transport::{Shaping, SideBySide};
use runtime::tuner::assignment::{self, Price, Quantity};
use runtime::tuner::{
    Budget, Constraint, Error, Exclusion, Groundwork, Memory, Problem, Request, Tiles, Tuned, Wish, search, tune,
};
use std::path::Path;

const WIDTH: usize = 8;
/// Size of the weights before the softmax: with the accurate tanh, logits are proved to be less than 1,024 apart, with the
/// coarse one they are not.
const SIZE: f32 = 511.9;
const COARSE: &str = "tanh/k64-f16-w9-1e-2";
const ACCURATE: &str = "tanh/k64-f16-w9-1e-3";
const NARROW: &str = "exp/k64-f16-o24-w10-mixed-1e-3";

/// What the model's functions can be made of.
fn catalog() -> Catalog {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let all = Catalog::open(&root.join("catalogs"), &root.join("proofs")).unwrap();
    let names = [
        COARSE,
        ACCURATE,
        NARROW,
        // The widest, beside which the coarse tanh is admissible; where the narrow one is too, that stands for it.
        "exp/k64-f16-o24-w15-mixed-1e-3",
        "reciprocal/k64-f24-o26-n16-1e-4",
        "sigmoid/k64-f16-w9-2e-2",
        "sigmoid/k64-f16-w9-5e-3",
    ];
    let mut few = Catalog::new();
    for name in names {
        few.insert(name, all.find(name).unwrap().1.clone()).unwrap();
    }
    few
}

/// tanh, a linear map, a softmax, a sigmoid.
fn model() -> Vec<u8> {
    let mut diagonal = [0.0; WIDTH * WIDTH];
    diagonal.iter_mut().step_by(WIDTH + 1).for_each(|weight| *weight = SIZE);
    Model::default()
        .input("x", &["N", &WIDTH.to_string()])
        .weight("w", &[WIDTH as i64, WIDTH as i64], &diagonal)
        .op("Tanh", &["x"], "t")
        .op("MatMul", &["t", "w"], "logits")
        .op("Softmax", &["logits"], "shares")
        .op("Sigmoid", &["shares"], "y")
        .bytes("y")
}

fn request<'a>(model: &'a [u8], catalog: &'a Catalog) -> Request<'a> {
    let numbers = (0..4 * WIDTH).map(|index| ((index * 37 % 29) as f64 - 14.0) / 5.0).collect();
    Request {
        model,
        model_name: "together.onnx".into(),
        catalog,
        calibration: vec![Tensor::new(vec![4, WIDTH], numbers).unwrap()],
        labels: None,
        simulated_max: 4,
        batch: 2,
        axes: Axes::batch(2),
        promise: InputPromise { range: [-3.0, 3.0], row_norm: None, named: Default::default() },
        network: Shaping::LAN,
        network_name: "lan".into(),
        machine: Machine::reference(),
        constraint: Constraint { error_max: 2.0, ..Constraint::default() },
        budget: Budget::default(),
        start: None,
        memory: Memory::default(),
        formats: Formats::default(),
        climb: 6,
        whole_front: false,
        quick: false,
        one_ring: true,
        side_by_side: SideBySide::ONE,
        exact_maxima: false,
        tiles: Tiles::Fastest,
        parties: PartiesRecord { model: 0, input: 1, output: 2 },
    }
}

fn names(plan: &Plan) -> Vec<String> {
    plan.site.iter().flat_map(|site| site.choice.entries().into_iter().map(|entry| entry.name.clone())).collect()
}

fn has(record: &ChoiceRecord, name: &str) -> bool {
    record.entries().iter().any(|entry| entry.name == name)
}

/// The site that can have an entry.
fn site(problem: &Problem<'_>, name: &str) -> usize {
    problem.candidates().iter().position(|own| own.iter().any(|own| has(&own.record, name))).unwrap()
}

/// The fastest choice with this tanh and this exp.
fn fastest_with(problem: &Problem<'_>, tanh: &str, exp: &str) -> Vec<usize> {
    let mut chosen = assignment::least(problem.prices(), Quantity::Seconds);
    for name in [tanh, exp] {
        let site = site(problem, name);
        let own = problem.candidates()[site].iter().enumerate().filter(|(_, own)| has(&own.record, name));
        let seconds = |index: usize| problem.prices()[site][index].of(Quantity::Seconds);
        chosen[site] = own.map(|(index, _)| index).min_by(|a, b| seconds(*a).total_cmp(&seconds(*b))).unwrap();
    }
    chosen
}

#[test]
fn the_best_choice_that_can_be_proved_is_found() {
    let (model, catalog) = (model(), catalog());
    let request = request(&model, &catalog);
    // The attack: what the integer program chooses cannot be proved, although each of its parts can.
    let (tuned, exclusions, places) = Problem::explore(&request, &mut |_| {}, |problem, progress| {
        let fastest = assignment::solve(problem.prices(), Quantity::Seconds, &Price::UNLIMITED).unwrap();
        assert_eq!(fastest, fastest_with(problem, COARSE, NARROW));
        let tuned = search(problem, progress)?;
        Ok((tuned, problem.exclusions(), [site(problem, COARSE), site(problem, NARROW)]))
    })
    .unwrap();
    // What nobody searched for, so that no exclusion answers: a choice at a time, each in its own exploration.
    let mut best: Option<(f64, Vec<String>)> = None;
    for tanh in [COARSE, ACCURATE] {
        let own = Problem::explore(&request, &mut |_| {}, |problem, _| {
            let chosen = fastest_with(problem, tanh, NARROW);
            Ok((problem.draft(&chosen)?, chosen))
        });
        let (own, chosen) = own.unwrap();
        assert_eq!(own.is_err(), tanh == COARSE, "the coarse one with the narrow one cannot be proved");
        match own {
            Ok((plan, _)) => best = Some((plan.predicted.seconds_per_run, names(&plan))),
            Err(exclusion) => assert!(exclusion.combination.is_in(&chosen)),
        }
    }
    let (seconds, entries) = best.unwrap();
    assert_eq!((tuned.plan.predicted.seconds_per_run, names(&tuned.plan)), (seconds, entries));
    // Of the two sites that cause it: the sigmoid has no part in it.
    assert!(!exclusions.is_empty());
    for Exclusion { combination, sites, .. } in &exclusions {
        assert_eq!((combination.members.len(), sites.len()), (2, 2), "{combination:?}");
        assert!(combination.members.iter().all(|(site, _)| places.contains(site)), "{combination:?}");
    }
    let [line] = &tuned.front.excluded[..] else { panic!("{:?}", tuned.front.excluded) };
    let named = [exclusions[0].place(), "exceeds the window", "exp", "beside the choice at"];
    assert!(named.iter().all(|part| line.contains(part)), "{line}");
    // What cannot be proved is no point of the front.
    assert!(tuned.front.points.iter().all(|point| point.seconds >= seconds), "{:?}", tuned.front.points);
}

#[test]
fn starting_resuming_and_asking_for_more_end_in_the_same_plan() {
    let (model, catalog) = (model(), catalog());
    let folder = tempfile::tempdir().unwrap();
    let request = || Request { memory: Memory::in_folder(folder.path()).unwrap(), ..request(&model, &catalog) };
    let text = |tuned: &Tuned| tuned.plan.to_text();
    let first = tune(&request(), &mut |_| {}).unwrap();
    assert_eq!(text(&first), text(&tune(&request(), &mut |_| {}).unwrap()), "recalled");
    let whole = tune(&Request { whole_front: true, ..request() }, &mut |_| {}).unwrap();
    assert_eq!(names(&whole.plan), names(&first.plan));
    // A plan that cannot be proved: another catalog's choices, as an older tuner might have left them.
    let mut start = first.plan.clone();
    let records = Problem::explore(&request(), &mut |_| {}, |problem, _| {
        let chosen = fastest_with(problem, COARSE, NARROW);
        let records = chosen.iter().zip(problem.candidates()).map(|(index, own)| own[*index].record.clone());
        Ok(records.collect::<Vec<_>>())
    });
    for (site, record) in start.site.iter_mut().zip(records.unwrap()) {
        site.choice = record;
    }
    let started = tune(&Request { start: Some(start), ..request() }, &mut |_| {}).unwrap();
    assert_eq!(names(&started.plan), names(&first.plan));
    assert_eq!(started.front.excluded, first.front.excluded);
    // A budget alone: the most accurate choice that can be proved, and a budget that only what cannot be proved keeps.
    let seconds = first.plan.predicted.seconds_per_run;
    let none = Constraint::default();
    let within = |seconds: f64| Request {
        constraint: none.clone(),
        budget: Budget { seconds, ..Budget::default() },
        ..request()
    };
    let generous = tune(&within(10.0 * seconds), &mut |_| {}).unwrap();
    assert!(generous.plan.predicted.error <= first.plan.predicted.error);
    let refused = tune(&within(0.999 * seconds), &mut |_| {}).unwrap_err();
    assert!(matches!(refused, Error::Budget { .. }), "{refused}");
}

/// What a folder of verdicts is asked for: what a verdict depends on, and what a verdict can be.
#[test]
fn verdicts_are_recalled_for_the_same_circuit_and_believed_if_they_can_be() {
    let (model, catalog) = (model(), catalog());
    let folder = tempfile::tempdir().unwrap();
    let memory = || Memory::in_folder(folder.path()).unwrap();
    let request = || Request { one_ring: true, climb: 0, ..request(&model, &catalog) };
    let first = tune(&Request { memory: memory(), ..request() }, &mut |_| {}).unwrap();
    let shown = first.plan.measured.error;
    let edit = |from: &str, to: &str| {
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let path = file.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let lines = text.lines().map(|line| if line.starts_with(from) { to } else { line });
            std::fs::write(&path, lines.collect::<Vec<_>>().join("\n")).unwrap();
        }
    };
    // Another name and other rates of the machine are nothing that a simulation sees.
    let mut rates = Resource::ALL.map(|resource| Machine::reference().rate(resource));
    rates.iter_mut().for_each(|rate| *rate *= 1.001);
    let other = Machine::new("another".into(), rates, 0.0);
    let told = 0.000123;
    assert!(shown != told);
    edit("error = ", "error = 0.000123");
    let recalled = Request { memory: memory(), machine: other, model_name: "renamed.onnx".into(), ..request() };
    let recalled = tune(&recalled, &mut |_| {}).unwrap().plan;
    assert_eq!(recalled.measured.error, told);
    // Nor are the parts in which messages leave.
    let bytes = std::num::NonZeroU32::new(256);
    assert_ne!(recalled.formats.tile_bytes, bytes);
    let in_parts = Request { memory: memory(), tiles: Tiles::Bytes(bytes.unwrap()), ..request() };
    let in_parts = tune(&in_parts, &mut |_| {}).unwrap().plan;
    assert_eq!((in_parts.measured.error, in_parts.formats.tile_bytes), (told, bytes));
    for (from, to) in [
        ("error = ", "error = -0.5"),
        ("agreement = ", "agreement = 1.5"),
        ("inputs = ", "inputs = 5"),
        ("roundings = ", "roundings = [\"seed 1\"]"),
        ("cosine = ", "cosine = 7.0"),
    ] {
        edit("error = ", "error = 0.000123");
        edit(from, to);
        let anew = tune(&Request { memory: memory(), ..request() }, &mut |_| {}).unwrap();
        assert_eq!(anew.plan.measured, first.plan.measured, "{to} was believed");
    }
}

#[test]
fn where_nothing_can_be_proved_the_limiting_site_is_named() {
    let (model, catalog) = (model(), catalog());
    let request = request(&model, &catalog);
    // Each of the two is admissible beside the widest entries, and there is nothing else.
    let wishes = |_: &Site, record: &ChoiceRecord| {
        if has(record, ACCURATE) { Wish::Never } else { Wish::First }
    };
    let groundwork = Groundwork::default();
    let outcome = Problem::explore_on(&groundwork, &request, &wishes, &mut |_| {}, |problem, progress| {
        for name in [COARSE, NARROW] {
            let all = problem.candidates()[site(problem, name)].iter().all(|own| has(&own.record, name));
            assert!(all, "{name} is not alone");
        }
        search(problem, progress).map(|tuned| names(&tuned.plan))
    });
    let error = outcome.unwrap_err();
    let Error::Together { error: reason, .. } = &error else { panic!("{error}") };
    let runtime::circuit::Error::Window { site, .. } = &**reason else { panic!("{reason}") };
    let text = error.to_string();
    assert!(text.contains("can be proved for the whole model") && text.contains(site.as_str()), "{text}");
    assert!(text.contains("exceeds the window") && text.contains("exp"), "{text}");
}

/// Where not even the widest entries reach, the site whose window is left is named, and not the first one of the model.
#[test]
fn the_site_that_no_entry_reaches_is_named() {
    let (model, mut catalog) = (model(), Catalog::new());
    let all = self::catalog();
    for (name, published) in all.iter().filter(|(name, _)| !name.contains("w15")) {
        catalog.insert(name, published.clone()).unwrap();
    }
    // With the coarse tanh alone.
    let mut few = Catalog::new();
    for (name, published) in catalog.iter().filter(|(name, _)| *name != ACCURATE) {
        few.insert(name, published.clone()).unwrap();
    }
    let Error::Site { kind, site, reason } = tune(&request(&model, &few), &mut |_| {}).unwrap_err() else {
        panic!("another error")
    };
    assert_eq!(kind, "softmax", "{site}: {reason}");
    assert!(reason.contains(&format!("{site}: ")) && reason.contains("window"), "{reason}");
}

/// The price of a choice is what its plan is predicted to cost, also where a run has work that does not grow with its
/// inputs: of the choice that the price is derived from to rounding.
#[test]
fn prices_are_what_plans_are_predicted_to_cost() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/models");
    let model = std::fs::read(models.join("digits_cnn.onnx")).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let catalog = Catalog::open(&root.join("catalogs"), &root.join("proofs")).unwrap();
    let images = runtime::arrays::Arrays::read(&models.join("digits_calibration.npz")).unwrap();
    let name = images.names().into_iter().find(|name| !name.contains("label")).unwrap().to_owned();
    let images = runtime::tuner::leading(&images.reals(&name).unwrap(), 0, 2);
    let request = Request {
        calibration: vec![images],
        simulated_max: 2,
        batch: 60,
        axes: Axes::batch(60),
        promise: InputPromise { range: [0.0, 1.0], row_norm: None, named: Default::default() },
        // Prices are those of whole rounds; parts of rounds make every plan faster than its price.
        tiles: Tiles::Whole,
        ..request(&model, &catalog)
    };
    let in_parts = Request { tiles: Tiles::Fastest, ..request.clone() };
    let seconds = |request: &Request<'_>| {
        let (mut proposed, mut priced) = (None, None);
        Problem::explore(request, &mut |_| {}, |problem, _| {
            let own = assignment::least(problem.prices(), Quantity::Error);
            priced = Some(problem.price(&own).of(Quantity::Seconds));
            let plan = problem.draft(&own)?.unwrap().0;
            proposed = Some((plan.predicted.seconds_per_run, plan.formats.tile_bytes));
            Ok(())
        })
        .unwrap();
        (priced.unwrap(), proposed.unwrap())
    };
    let ((priced, (whole, none)), (same, (cut, some))) = (seconds(&request), seconds(&in_parts));
    assert!(none.is_none() && some.is_some(), "{none:?} {some:?}");
    assert!(priced == same && cut < 0.9 * whole, "{priced} {same} {whole} {cut}");
    Problem::explore(&request, &mut |_| {}, |problem, _| {
        let own = assignment::least(problem.prices(), Quantity::Error);
        let fastest = assignment::least(problem.prices(), Quantity::Seconds);
        assert_ne!(own, fastest);
        for (chosen, off) in [(own, 1e-9), (fastest, 2e-3)] {
            let predicted = problem.draft(&chosen)?.unwrap().0.predicted;
            let price = problem.price(&chosen);
            let seconds = price.of(Quantity::Seconds) / predicted.seconds_per_run - 1.0;
            let bytes = price.of(Quantity::Bytes) / predicted.bytes_per_run as f64 - 1.0;
            assert!(seconds.abs() <= off && bytes.abs() <= off, "{seconds} {bytes}");
        }
        Ok(())
    })
    .unwrap();
}
