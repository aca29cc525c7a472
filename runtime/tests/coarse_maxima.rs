//! Maxima that leave out low bits, from the tuner to three parties: what is taken is what the simulation allows, the
//! certified error holds and is met, and a plan that states less is refused.

#![allow(clippy::unwrap_used)]

mod onnx_model;

use catalogs::Catalog;
use onnx_model::{Model, integers};
use runtime::circuit::accuracy::certified_errors;
use runtime::circuit::coarse::below_largest;
use runtime::circuit::ideal::{self, RoundingMode};
use runtime::circuit::lower::{Choice, Comparisons, Formats, Lowered, Ownership, lower};
use runtime::circuit::{Error, Integers, Party, Weights, headroom};
use runtime::cost::Machine;
use runtime::graph::{self, Axes, Graph, Tensor, reference};
use runtime::plan::{ChoiceRecord, InputPromise, PartiesRecord, Plan, Refusal};
use runtime::random::Key;
use runtime::session::Runner;
use runtime::transport::{Limits, Mesh, Shaping, SideBySide, Transport, in_process};
use runtime::tuner::assignment::Quantity;
use runtime::tuner::{Budget, Constraint, Memory, Problem, Request, Tiles, search};
use std::collections::BTreeMap;

const OWNERSHIP: Ownership = Ownership { input: Party(1), output: Party(2) };
const UNIT: f64 = 1.0 / 65536.0;
const SIDE: usize = 8;

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

/// A pool over windows of four.
fn pool() -> Graph {
    let attributes = vec![integers("kernel_shape", &[2, 2]), integers("strides", &[2, 2])];
    let side = SIDE.to_string();
    Model::default().input("x", &["N", "2", &side, &side]).node("MaxPool", &["x"], "y", attributes).graph("y")
}

fn comparisons(groups: &[u8], coarse: u8) -> Comparisons {
    Comparisons { width: 20, groups: groups.to_vec(), joined: 1, coarse }
}

/// One choice for all sites, which are maxima.
fn lowered(graph: &Graph, maximum: &Comparisons) -> Result<Lowered, Error> {
    let choice = |site: &graph::Site| (site.node, Choice::Maximum { maximum: maximum.clone() });
    let choices: BTreeMap<_, _> = graph.sites().iter().map(choice).collect();
    lower(graph, &choices, Formats::default(), OWNERSHIP)
}

fn simulated(lowered: &Lowered, weights: &Weights, input: &Integers, mode: RoundingMode) -> Vec<i64> {
    let outcome = ideal::run(&lowered.circuit, weights, std::slice::from_ref(input), mode).unwrap();
    assert!(outcome.report.violations(&lowered.circuit).is_empty());
    outcome.outputs[0].values().to_vec()
}

/// What party 2 learns of a run of three.
fn private(lowered: &Lowered, weights: &Weights, input: &Integers, key: u8) -> Vec<i64> {
    let ends = in_process::network(3, Some(&Key::from_bytes([key; 32])), Limits::default(), None).unwrap();
    let outputs: Vec<Vec<Option<Integers>>> = std::thread::scope(|scope| {
        let party = |(me, mut transport): (usize, Mesh)| {
            let (input, weights) = ((me == 1).then(|| input.clone()), (me == 0).then_some(weights));
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
    outputs[2][0].as_ref().unwrap().values().to_vec()
}

fn tensor(graph: &Graph, values: Vec<f64>) -> Tensor {
    Tensor::new(graph.node(graph.inputs()[0].1).shape.clone(), values).unwrap()
}

/// Where every window has a candidate that wins with all carries, three parties compute what the simulation does, bit for
/// bit, in all its modes; elsewhere what they take lies between the least and the greatest that it allows at one level. At
/// two, a lesser winner of one group can be what lets a greater one of another win, so that only the bound is left.
#[test]
fn three_parties_take_what_the_simulation_allows() {
    let graph = pool();
    let count = 2 * SIDE * SIDE;
    // Around one number of a window: a candidate is ahead of others by half of one, or by nothing that is compared.
    let value = |seed: u64, apart: f64, near: f64| {
        let (bases, own) = (numbers(count, seed), numbers(count, seed + 100));
        let of = |lane: usize| {
            let (row, column) = (lane / SIDE % SIDE, lane % SIDE);
            let window = lane / (SIDE * SIDE) * 64 + row / 2 * SIDE + column / 2;
            let ahead = if (row % 2) * 2 + column % 2 == window % 4 { apart } else { 0.0 };
            bases[window % count] * 0.25 + ahead + own[lane] * near
        };
        tensor(&graph, (0..count).map(of).collect())
    };
    for (coarse, groups) in [(3u8, &[4u8][..]), (9, &[2]), (13, &[4]), (12, &[3, 2])] {
        let lowered = lowered(&graph, &comparisons(groups, coarse)).unwrap();
        let weights = lowered.weights(&graph).unwrap();
        headroom::prove(&lowered, &weights, &[(-2.0, 2.0)]).unwrap();
        let encode = |input: Tensor| lowered.encode_inputs(&[input]).unwrap().remove(0);

        let decided = encode(value(1, 0.75, 1e-3));
        let plain = simulated(&lowered, &weights, &decided, RoundingMode::AllHigh);
        for mode in [RoundingMode::AllLow, RoundingMode::Seed(1), RoundingMode::Seed(2)] {
            assert_eq!(simulated(&lowered, &weights, &decided, mode), plain, "{mode:?}, without {coarse} bits");
        }
        assert_eq!(private(&lowered, &weights, &decided, 3), plain, "without {coarse} bits");

        // Two thirds of the bits that are left out.
        let open = encode(value(2, 0.0, f64::from(coarse).exp2() * UNIT * 0.7));
        let [low, high] =
            [RoundingMode::AllLow, RoundingMode::AllHigh].map(|mode| simulated(&lowered, &weights, &open, mode));
        let levels = if groups == [4] { 1 } else { 2 };
        let least: Vec<i64> = match levels {
            1 => low.clone(),
            _ => high.iter().map(|largest| largest - below_largest(coarse, levels) as i64).collect(),
        };
        let mut seen = vec![simulated(&lowered, &weights, &open, RoundingMode::Seed(4))];
        seen.extend((5..9).map(|key| private(&lowered, &weights, &open, key)));
        let undecided = low.iter().zip(&high).filter(|(low, high)| low < high).count();
        assert!(undecided > 16, "{undecided} windows are undecided");
        for found in seen {
            for ((found, least), largest) in found.iter().zip(&least).zip(&high) {
                assert!(least <= found && found <= largest, "{found} is not from {least} to {largest}");
            }
            let below = found.iter().zip(&high).filter(|(found, largest)| found < largest).count();
            assert!(below > undecided / 10, "{below} of {undecided} are not the largest");
        }
    }
}

/// The certified error holds, and is met at one level and at two: no smaller number would do.
#[test]
fn the_certified_error_is_met() {
    let graph = pool();
    let site = graph.sites()[0].node.index() as u32;
    for coarse in [1u8, 5, 13] {
        for (groups, levels) in [(&[4u8][..], 1u32), (&[2], 2), (&[3, 2], 2)] {
            let lowered = lowered(&graph, &comparisons(groups, coarse)).unwrap();
            let certified = certified_errors(&lowered, None, &BTreeMap::new()).unwrap()[&site];
            assert_eq!(certified, below_largest(coarse, levels) as f64 * UNIT, "{coarse} {groups:?}");
            let weights = lowered.weights(&graph).unwrap();
            // The largest has all low bits but the last; each that beats it has none, and one unit of the others less.
            let unit = 1i64 << coarse;
            let largest = 2 * unit + unit - 2;
            let orders: [[i64; 4]; 3] = [[unit, unit, unit, largest], [0, unit, 0, largest], [unit, 0, largest, 0]];
            let mut worst = 0.0f64;
            for order in orders {
                let at = |lane: usize| order[(lane / SIDE % 2) * 2 + lane % 2] as f64 * UNIT;
                let input = tensor(&graph, (0..2 * SIDE * SIDE).map(at).collect());
                let plain = reference::run(&graph, std::slice::from_ref(&input), &mut |_, _| {}).unwrap();
                let encoded = lowered.encode_inputs(&[input]).unwrap().remove(0);
                for mode in [RoundingMode::AllLow, RoundingMode::Seed(1), RoundingMode::AllHigh] {
                    let found = simulated(&lowered, &weights, &encoded, mode);
                    for (found, plain) in found.iter().zip(&plain[0].data) {
                        let off = plain - *found as f64 * UNIT;
                        assert!(off >= 0.0 && off <= certified, "{coarse} {groups:?}: off by {off} of {certified}");
                        worst = worst.max(off);
                    }
                }
            }
            assert_eq!(worst, certified, "{coarse} {groups:?}");
        }
    }
}

/// What is left out counts where candidates have to be close enough, and bits that are not there are refused.
#[test]
fn what_is_left_out_needs_room() {
    let graph = pool();
    let prove = |coarse: u8| {
        let lowered = lowered(&graph, &Comparisons { width: 19, ..comparisons(&[4], coarse) })?;
        let weights = lowered.weights(&graph)?;
        // Differences are 32 units below what 19 bits compare.
        let end = 2.0 - 16.0 * UNIT;
        headroom::prove(&lowered, &weights, &[(-end, end)]).map(|_| ())
    };
    assert!(prove(0).is_ok() && prove(4).is_ok());
    let refused = prove(5).unwrap_err();
    assert!(matches!(refused, Error::Differences { width: 19, .. }), "{refused}");
    let refused = prove(18).unwrap_err().to_string();
    assert!(refused.contains("19 bits without 18 cannot be compared"), "{refused}");
    // The circuit, hence its digest, says what is left out.
    let described = |coarse| lowered(&graph, &comparisons(&[4], coarse)).unwrap().circuit.describe();
    assert!(described(4).contains("maximum 20 without 4 by 1") && described(0).contains("maximum 20 by 1"));
}

/// A pool with padding, the largest channel, the smallest number, a dense layer behind them.
fn model() -> Vec<u8> {
    let attributes =
        vec![integers("kernel_shape", &[3, 3]), integers("strides", &[2, 2]), integers("pads", &[1, 1, 1, 1])];
    let side = SIDE.to_string();
    let weights: Vec<f32> = numbers(4 * 4 * 3, 9).into_iter().map(|weight| weight as f32 * 0.2).collect();
    Model::default()
        .input("x", &["N", "6", &side, &side])
        .node("MaxPool", &["x"], "pooled", attributes)
        .node("ReduceMax", &["pooled"], "largest", vec![integers("axes", &[1])])
        .node("Flatten", &["largest"], "row", vec![])
        .weight("w", &[16, 3], &weights)
        .op("MatMul", &["row", "w"], "y")
        .bytes("y")
}

fn request<'a>(model: &'a [u8], catalog: &'a Catalog, error_max: f64) -> Request<'a> {
    Request {
        model,
        model_name: "pools.onnx".into(),
        catalog,
        calibration: vec![Tensor::new(vec![6, 6, SIDE, SIDE], numbers(36 * SIDE * SIDE, 7)).unwrap()],
        labels: None,
        simulated_max: 6,
        batch: 2,
        axes: Axes::batch(2),
        promise: InputPromise { range: [-1.0, 1.0], row_norm: None, named: Default::default() },
        network: Shaping::LAN,
        network_name: "lan".into(),
        machine: Machine::reference(),
        constraint: Constraint { error_max, ..Constraint::default() },
        budget: Budget::default(),
        start: None,
        memory: Memory::default(),
        formats: Formats::default(),
        climb: 8,
        whole_front: false,
        quick: false,
        one_ring: false,
        side_by_side: SideBySide::ONE,
        exact_maxima: false,
        tiles: Tiles::Fastest,
        parties: PartiesRecord { model: 0, input: 1, output: 2 },
    }
}

fn left_out(plan: &Plan) -> Vec<u8> {
    let bits = |choice: &ChoiceRecord| match choice {
        ChoiceRecord::Maximum { maximum } => maximum.coarse,
        other => panic!("{other:?} is no maximum"),
    };
    plan.site.iter().map(|site| bits(&site.choice)).collect()
}

/// The tuner leaves out bits where the demand allows it; everybody checks what that certifies.
#[test]
fn tuned_maxima_leave_out_what_the_demand_allows() {
    let (catalog, model) = (Catalog::new(), model());
    let tuned = |error_max: f64| {
        let request = request(&model, &catalog, error_max);
        Problem::explore(&request, &mut |_| {}, |problem, progress| {
            // More bits left out err more and, by and large, cost less; what is certified follows how they are grouped.
            for (site, candidates) in problem.candidates().iter().enumerate() {
                let mut certified: BTreeMap<u8, (f64, f64)> = BTreeMap::new();
                for (index, candidate) in candidates.iter().enumerate() {
                    let ChoiceRecord::Maximum { maximum } = &candidate.record else { panic!() };
                    let mut levels = 0;
                    let mut extent = problem.sites()[site].row_length;
                    while extent > 1 {
                        (extent, levels) = (maximum.sizes(levels, extent).len(), levels + 1);
                    }
                    let expected = below_largest(maximum.coarse, levels as u32) as f64 * UNIT;
                    assert_eq!(candidate.error, expected, "{maximum:?}");
                    let bytes = problem.prices()[site][index].of(Quantity::Bytes);
                    let own = certified.entry(maximum.coarse).or_insert((bytes, expected));
                    *own = (own.0.min(bytes), own.1.min(expected));
                }
                let front: Vec<(f64, f64)> = certified.into_values().collect();
                assert!(front.len() > 5, "{front:?}");
                assert!(front.windows(2).all(|pair| pair[1].1 > pair[0].1), "{front:?}");
                assert!(front.last().unwrap().0 < 0.8 * front[0].0, "{front:?}");
                assert!(front.last().unwrap().1 < 0.5, "{front:?}");
            }
            search(problem, progress)
        })
        .unwrap()
        .plan
    };
    let (strict, loose) = (tuned(1e-3), tuned(0.2));
    println!("{:?} bits left out for 1e-3, {:?} for 0.2", left_out(&strict), left_out(&loose));
    assert!(left_out(&loose).iter().sum::<u8>() > left_out(&strict).iter().sum::<u8>() + 4);
    assert!(loose.predicted.bytes_per_run < strict.predicted.bytes_per_run);
    assert!(loose.measured.error > strict.measured.error && loose.measured.error <= 0.1, "{}", loose.measured.error);

    // What the file says is read again, by everybody.
    let graph = Graph::import(&model, 2).unwrap();
    let structure = graph.without_weights();
    assert!(loose.to_text().contains("coarse = "));
    assert_eq!(Plan::parse(&loose.to_text()).unwrap(), loose);
    let checked = loose.clone().check(&structure, &catalog).unwrap();
    let weights = checked.prove_headroom(&graph).unwrap();

    // Half of what is certified, nothing, and other bits than those that it is certified for.
    let changed = |change: &dyn Fn(&mut runtime::plan::SiteRecord)| {
        let mut plan = loose.clone();
        let site = plan.site.iter_mut().find(|site| site.certified_error > 0.0).unwrap();
        change(site);
        plan.check(&structure, &catalog).unwrap_err()
    };
    for factor in [0.0, 0.5, 2.0] {
        let refused = changed(&|site| site.certified_error *= factor);
        assert!(matches!(refused, Refusal::Bound { .. }), "{refused}");
    }
    let refused = changed(&|site| match &mut site.choice {
        ChoiceRecord::Maximum { maximum } => maximum.coarse -= 1,
        _ => panic!(),
    });
    assert!(matches!(refused, Refusal::Bound { .. } | Refusal::Prediction { .. }), "{refused}");

    // What is certified of outputs holds for the worst that simulations find, and has the sites' errors in it.
    let bound = checked.error_bound(&graph).unwrap();
    let pooled = bound.steps.iter().find(|step| step.name == "pooled").unwrap().error.clone().unwrap();
    let certified = loose.site.iter().find(|site| site.name == "pooled").unwrap().certified_error;
    assert!(pooled.approximations >= certified && pooled.approximations < certified * 1.001, "{pooled:?} {certified}");
    let lowered = checked.lowered();
    let input = Tensor::new(vec![2, 6, SIDE, SIDE], numbers(12 * SIDE * SIDE, 70)).unwrap();
    let plain = reference::run(&graph, std::slice::from_ref(&input), &mut |_, _| {}).unwrap();
    let encoded = lowered.encode_inputs(&[input]).unwrap().remove(0);
    let total = bound.outputs[0].error.as_ref().unwrap().total();
    let scale = f64::from(lowered.circuit.node(lowered.circuit.outputs()[0]).format.scale.bits());
    let off = |found: Vec<i64>| {
        let found = found.iter().map(|&value| value as f64 * (-scale).exp2());
        found.zip(&plain[0].data).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    };
    let worst = off(simulated(lowered, &weights, &encoded, RoundingMode::AllLow));
    let best = off(simulated(lowered, &weights, &encoded, RoundingMode::AllHigh));
    let run = off(private(lowered, &weights, &encoded, 11));
    println!("off by {best:.2e} to {worst:.2e}, three parties by {run:.2e}, certified {total:.2e}");
    assert!(best < 1e-3 && worst > 10.0 * best && worst <= total && run <= total);
}
