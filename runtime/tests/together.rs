//! Choices that can be proved site by site and not together: a coarse function widens the range behind it beyond a narrow
//! window there. The tuner finds the best choice that can be proved as a whole, or says what stands in the way.

#![allow(clippy::unwrap_used)]

mod onnx_model;

use catalogs::Catalog;
use onnx_model::Model;
use runtime::circuit::lower::Formats;
use runtime::cost::Machine;
use runtime::graph::{Axes, Site, Tensor};
use runtime::plan::{ChoiceRecord, InputPromise, PartiesRecord, Plan};
use runtime::transport::Shaping;
use runtime::tuner::assignment::{self, Price, Quantity};
use runtime::tuner::{
    Budget, Constraint, Error, Exclusion, Groundwork, Memory, Problem, Request, Tuned, Wish, search, tune,
};
use std::path::Path;

const WIDTH: usize = 8;
/// Size of the weights before the norm: with the accurate tanh the variance is proved to stay below 16, with the coarse
/// one it is not.
const SIZE: f32 = 3.985;
const COARSE: &str = "tanh/k64-f16-w9-3e-2";
const NARROW: &str = "rsqrt/k64-f24-o22-e-17-4-2e-4";

/// Two entries of every function of the model.
fn catalog() -> Catalog {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let all = Catalog::open(&root.join("catalogs"), &root.join("proofs")).unwrap();
    let names = [
        COARSE,
        "tanh/k64-f16-w9-4e-3",
        NARROW,
        "rsqrt/k64-f24-o22-e-17-10-2e-4",
        "sigmoid/k64-f16-w9-2e-2",
        "sigmoid/k64-f16-w9-5e-3",
    ];
    let mut few = Catalog::new();
    for name in names {
        few.insert(name, all.find(name).unwrap().1.clone()).unwrap();
    }
    few
}

/// tanh, a linear map, a layer norm, a sigmoid.
fn model() -> Vec<u8> {
    let mut diagonal = [0.0; WIDTH * WIDTH];
    diagonal.iter_mut().step_by(WIDTH + 1).for_each(|weight| *weight = SIZE);
    Model::default()
        .input("x", &["N", &WIDTH.to_string()])
        .weight("w", &[WIDTH as i64, WIDTH as i64], &diagonal)
        .weight("gamma", &[WIDTH as i64], &[1.0; WIDTH])
        .weight("beta", &[WIDTH as i64], &[0.0; WIDTH])
        .op("Tanh", &["x"], "t")
        .op("MatMul", &["t", "w"], "rows")
        .op("LayerNormalization", &["rows", "gamma", "beta"], "normed")
        .op("Sigmoid", &["normed"], "y")
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
        parties: PartiesRecord { model: 0, input: 1, output: 2 },
    }
}

fn names(plan: &Plan) -> Vec<String> {
    plan.site.iter().flat_map(|site| site.choice.entries().into_iter().map(|entry| entry.name.clone())).collect()
}

fn has(record: &ChoiceRecord, name: &str) -> bool {
    record.entries().iter().any(|entry| entry.name == name)
}

/// Every choice that there is.
fn every(problem: &Problem<'_>) -> Vec<Vec<usize>> {
    problem.candidates().iter().fold(vec![vec![]], |all, options| {
        let longer = |chosen: &Vec<usize>| {
            (0..options.len()).map(|index| [chosen.as_slice(), &[index]].concat()).collect::<Vec<_>>()
        };
        all.iter().flat_map(longer).collect()
    })
}

#[test]
fn the_best_choice_that_can_be_proved_is_found() {
    let (model, catalog) = (model(), catalog());
    let request = request(&model, &catalog);
    // The attack: what the integer program chooses cannot be proved, although each of its parts can.
    let (tuned, exclusions, choices) = Problem::explore(&request, &mut |_| {}, |problem, progress| {
        assert!(problem.candidates().iter().all(|own| own.len() > 1), "nothing to choose");
        let fastest = assignment::solve(problem.prices(), Quantity::Seconds, &Price::UNLIMITED).unwrap();
        let record = |site: usize| &problem.candidates()[site][fastest[site]].record;
        assert!(has(record(0), COARSE) && has(record(1), NARROW), "{:?} {:?}", record(0), record(1));
        let tuned = search(problem, progress)?;
        let exclusions = problem.exclusions();
        // What nobody searched for, so that exclusions do not answer: a choice at a time, each in its own exploration.
        let record = |chosen: &[usize], site: usize| problem.candidates()[site][chosen[site]].record.clone();
        let both = |chosen: &[usize]| has(&record(chosen, 0), COARSE) && has(&record(chosen, 1), NARROW);
        Ok((tuned, exclusions, every(problem).into_iter().map(|chosen| (both(&chosen), chosen)).collect::<Vec<_>>()))
    })
    .unwrap();
    let mut best: Option<(f64, Vec<String>)> = None;
    for (both, chosen) in choices {
        let own = Problem::explore(&request, &mut |_| {}, |problem, _| problem.draft(&chosen)).unwrap();
        assert_eq!(own.is_err(), both, "the coarse with the narrow one, and nothing else, cannot be proved");
        match own {
            Ok((plan, _)) => {
                let seconds = plan.predicted.seconds_per_run;
                if best.as_ref().is_none_or(|(least, _)| seconds < *least) {
                    best = Some((seconds, names(&plan)));
                }
            }
            Err(exclusion) => assert!(exclusion.combination.is_in(&chosen)),
        }
    }
    let (seconds, entries) = best.unwrap();
    assert_eq!((tuned.plan.predicted.seconds_per_run, names(&tuned.plan)), (seconds, entries));
    // One combination, of the two sites that cause it: the sigmoid has no part in it.
    let [Exclusion { combination, sites, .. }] = &exclusions[..] else { panic!("{exclusions:?}") };
    assert_eq!((combination.members.len(), sites.len()), (2, 2));
    assert!(combination.members.iter().all(|(site, _)| *site < 2), "{combination:?}");
    let [line] = &tuned.front.excluded[..] else { panic!("{:?}", tuned.front.excluded) };
    let named = [exclusions[0].place(), "exceeds the window", "rsqrt", "beside the choice at", sites[1].as_str()];
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
        let of = |site: usize, name: &str| {
            problem.candidates()[site].iter().find(|own| has(&own.record, name)).unwrap().record.clone()
        };
        Ok([of(0, COARSE), of(1, NARROW)])
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

#[test]
fn where_nothing_can_be_proved_the_limiting_site_is_named() {
    let (model, catalog) = (model(), catalog());
    let request = request(&model, &catalog);
    // Each of the two is admissible beside the widest entries, and there is nothing else.
    let wishes = |_: &Site, record: &ChoiceRecord| {
        let others = ["tanh/k64-f16-w9-4e-3", "rsqrt/k64-f24-o22-e-17-10-2e-4"];
        if others.iter().any(|name| has(record, name)) { Wish::Never } else { Wish::First }
    };
    let groundwork = Groundwork::default();
    let outcome = Problem::explore_on(&groundwork, &request, &wishes, &mut |_| {}, |problem, progress| {
        for (site, name) in [COARSE, NARROW].into_iter().enumerate() {
            assert!(problem.candidates()[site].iter().all(|own| has(&own.record, name)), "{name} is not alone");
        }
        let outcome = search(problem, progress).map(|tuned| names(&tuned.plan));
        assert_eq!(problem.exclusions().len(), 1);
        outcome
    });
    let error = outcome.unwrap_err();
    let Error::Together { excluded: 1, error: reason } = &error else { panic!("{error}") };
    let runtime::circuit::Error::Window { site, .. } = &**reason else { panic!("{reason}") };
    let text = error.to_string();
    assert!(text.contains("can be proved for the whole model") && text.contains(site.as_str()), "{text}");
    assert!(text.contains("exceeds the window") && text.contains("rsqrt"), "{text}");
}
