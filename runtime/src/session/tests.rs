//! Three parties over the in-process transport against the definition, and counters against the prediction.

#[path = "../../tests/remembered/mod.rs"]
mod remembered;

use super::weights::{self, WeightUses};
use super::{Announcement, Runner};
use crate::circuit::{
    Builder, Circuit, Coefficient, Constant, Integers, Movement, NodeKind, Party, Product, ProductKind, Shape, Sum,
    Term, Weights, sample_entries,
};
use crate::random::{self, Key};
use crate::transport::{self, HEADER_BYTES, Kind, Limits, Transport, in_process};
use catalogs::{Failure, Format, Lemma, Ring, Rounding};
use remembered::Remembered;
use std::num::NonZeroU32;

const SHIFT: u8 = 16;

fn tensor(extents: &[usize], seed: i64) -> Integers {
    let shape = Shape::new(extents).unwrap();
    let values = (0..shape.lanes() as i64).map(|i| ((i * 7919 + seed * 104729) % 200_003) - 100_000).collect();
    Integers::new(shape, values).unwrap()
}

/// trunc(x·W + b·2^16 + 3) − x summed over the last axis; party 1 owns the input, party 2 learns the output.
fn circuit(rows: usize, tile_bytes: u32) -> Circuit {
    let format = Format::z64(16).unwrap();
    let ring = Ring::Z64;
    let truncation = Lemma::Truncation {
        ring,
        target: ring,
        shift: SHIFT,
        window: Some(62),
        rounding: Rounding::FLOOR_OR_NEXT,
        failure: Failure::Never,
    };
    let mut builder = Builder::new();
    let x = builder.input("x", Party(1), Shape::new([rows, 3]).unwrap(), format).unwrap();
    let weight = builder.weight("w", Shape::new([3, 3]).unwrap(), format).unwrap();
    let bias = builder.weight("b", Shape::new([3]).unwrap(), format).unwrap();
    let sum = Sum {
        ring,
        products: vec![Product { coefficient: Coefficient::ONE, kind: ProductKind::MatMul, left: x, right: weight }],
        linear: vec![Term { coefficient: Coefficient::raise(16).unwrap(), value: bias }],
        constant: Constant::Scalar(3),
        truncation: Some(truncation),
    };
    let y = builder.push("y", NodeKind::Sum(sum)).unwrap();
    let d = builder.linear("d", ring, &[(Coefficient::ONE, y), (Coefficient::MINUS_ONE, x)]).unwrap();
    let total = builder.movement("total", Movement::SumAxis { axis: 1 }, d).unwrap();
    builder.output("total", Party(2), total).unwrap();
    builder.output("y", Party(0), y).unwrap();
    builder.finish().unwrap().in_tiles(NonZeroU32::new(tile_bytes))
}

#[test]
fn three_parties_compute_the_circuit_and_send_what_was_predicted() {
    // 2,133 lanes are eight tiles of 256 lanes and one of 85, 711 three. Of parts of 4,000 bytes only the truncation's first
    // round has more than one: four.
    for (rows, tile_bytes, frames) in [(5, 0, 8), (711, 0, 8), (711, 4_000, 17), (711, 1, 66)] {
        computed_and_sent(rows, tile_bytes, frames);
    }
}

fn computed_and_sent(rows: usize, tile_bytes: u32, frames: u64) {
    let (x, w, b) = (tensor(&[rows, 3], 1), tensor(&[3, 3], 2), tensor(&[3], 3));
    let ends = in_process::network(3, Some(&Key::from_bytes([7; 32])), Limits::default(), None).unwrap();
    let threads: Vec<_> = ends
        .into_iter()
        .enumerate()
        .map(|(me, mut transport)| {
            let (x, weights) = (x.clone(), vec![w.clone(), b.clone()]);
            std::thread::spawn(move || {
                let me = Party(me as u8);
                let mut runner = Runner::new(circuit(rows, tile_bytes), me).unwrap();
                let weights = (me.0 == 0).then(|| Weights::new(runner.circuit(), weights).unwrap());
                runner.share_weights(Party(0), weights.as_ref(), &mut transport).unwrap();
                let first = runner.run(&[(me.0 == 1).then(|| x.clone())], &mut transport).unwrap();
                let second = runner.run(&[(me.0 == 1).then(|| x.clone())], &mut transport).unwrap();
                let traffic = transport.finish().unwrap();
                let schedule = runner.schedule().clone();
                (first, second, traffic, schedule)
            })
        })
        .collect();
    let outcomes: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    let exact = |row: usize, column: usize| -> i64 {
        let products: i64 = (0..3).map(|k| x.values()[3 * row + k] * w.values()[3 * k + column]).sum();
        (products + (b.values()[column] << 16) + 3) >> SHIFT
    };
    for outcome in outcomes.iter().map(|o| &o.0).chain(outcomes.iter().map(|o| &o.1)) {
        assert!(outcome.outputs.iter().filter(|output| output.is_some()).count() <= 1);
    }
    for run in 0..2 {
        let of = |party: usize| if run == 0 { &outcomes[party].0 } else { &outcomes[party].1 };
        let y = of(0).outputs[1].as_ref().unwrap();
        let total = of(2).outputs[0].as_ref().unwrap();
        for row in 0..rows {
            let mut sum = 0;
            for column in 0..3 {
                let delta = y.values()[3 * row + column] - exact(row, column);
                assert!((0..=1).contains(&delta), "rounding {delta}");
                sum += y.values()[3 * row + column] - x.values()[3 * row + column];
            }
            assert_eq!(total.values()[row], sum);
        }
    }
    let counted: u64 = outcomes.iter().map(|o| o.2.online_sent().bytes).sum();
    let schedule = &outcomes[0].3;
    assert_eq!(schedule.frames(), frames);
    assert_eq!(counted, 2 * schedule.bytes(HEADER_BYTES as u64));
    let rounds: std::collections::BTreeSet<u32> = outcomes.iter().flat_map(|o| o.0.rounds.clone()).collect();
    assert_eq!(rounds.len() as u32, schedule.rounds);
}

/// Runs side by side give what they give one after the other, bit for bit, and send the same frames in another order: all
/// of a round before any of the next.
#[test]
fn runs_do_not_notice_which_ones_are_beside_them() {
    let rows = 711;
    let session = |groups: &[usize]| {
        let ends = in_process::network(3, Some(&Key::from_bytes([7; 32])), Limits::default(), None).unwrap();
        let party = |(me, inner): (usize, transport::Mesh)| {
            let (me, mut transport) = (Party(me as u8), Remembered { inner, sent: Vec::new() });
            let mut runner = Runner::new(circuit(rows, 4_000), me).unwrap();
            let weights = vec![tensor(&[3, 3], 2), tensor(&[3], 3)];
            let weights = (me.0 == 0).then(|| Weights::new(runner.circuit(), weights).unwrap());
            runner.share_weights(Party(0), weights.as_ref(), &mut transport).unwrap();
            let (mut next, mut outcomes) = (0, Vec::new());
            for &group in groups {
                let own = |run: i64| vec![(me.0 == 1).then(|| tensor(&[rows, 3], run))];
                let batches: Vec<_> = (next..next + group as i64).map(own).collect();
                next += group as i64;
                let batches: Vec<_> = batches.iter().map(Vec::as_slice).collect();
                outcomes.extend(runner.run_side_by_side(&batches, &mut transport).unwrap());
            }
            let traffic = transport.finish().unwrap();
            let outcomes = outcomes.into_iter().map(|outcome| (outcome.outputs, outcome.rounds));
            let online = transport.sent.into_iter().filter(|(_, frame)| frame.kind != Kind::Parameters);
            let frame = |(to, frame): (transport::Party, transport::Frame)| (frame.position, to, frame.payload);
            let sent: Vec<_> = online.map(frame).collect();
            (outcomes.collect::<Vec<_>>(), traffic.online_sent(), traffic.rounds, sent)
        };
        std::thread::scope(|scope| {
            let party = &party;
            let parties: Vec<_> = ends.into_iter().enumerate().map(|end| scope.spawn(move || party(end))).collect();
            parties.into_iter().map(|party| party.join().unwrap()).collect::<Vec<_>>()
        })
    };
    let alone = session(&[1, 1, 1, 1, 1]);
    assert_eq!(alone[1].0.len(), 5);
    for groups in [&[2, 2, 1][..], &[5]] {
        // Who sends in one round of a run only does so in the same order.
        let mut in_other_order = 0;
        for (party, alone) in session(groups).into_iter().zip(&alone) {
            assert_eq!((&party.0, party.1, party.2), (&alone.0, alone.1, alone.2));
            let (mut own, mut others) = (party.3, alone.3.clone());
            let first = groups[0] as u64;
            let of_group = own.iter().map(|(position, ..)| position).filter(|position| position.run <= first);
            assert!(of_group.is_sorted_by_key(|position| position.round), "one run after the other");
            in_other_order += usize::from(own != others);
            own.sort();
            others.sort();
            assert!(own == others, "other frames");
        }
        assert!(in_other_order > 0);
    }
    // Others' inputs give something else: the comparison can fail.
    assert_ne!(alone[0].0[0].0, alone[0].0[1].0);
}

#[test]
fn what_is_announced_is_one_to_sixty_four_runs() {
    let bytes = |runs: u64| [[3, 0, 0, 0, 0, 0, 0, 0], runs.to_le_bytes()].concat();
    for runs in [1, 64] {
        let announced = Announcement::from_bytes(&bytes(runs)).unwrap();
        assert_eq!((announced.inputs, announced.side_by_side.get()), (3, runs));
        assert_eq!(announced.to_bytes()[..], bytes(runs));
    }
    for runs in [0, 65, u64::MAX] {
        assert_eq!(Announcement::from_bytes(&bytes(runs)), None);
    }
    assert_eq!(Announcement::from_bytes(&bytes(1)[..15]), None);
}

/// Two outputs of one party, of which the second is known first, and behind the first a program without messages.
#[test]
fn outputs_come_back_in_the_circuits_order_and_programs_may_have_no_messages() {
    let format = Format::z64(16).unwrap();
    let circuit = |tile_bytes: u32| {
        let mut builder = Builder::new();
        let x = builder.input("x", Party(1), Shape::new([600]).unwrap(), format).unwrap();
        let same = builder.program("same", &sample_entries::nonnegative_relu(20, 16), x).unwrap();
        let product = Product { coefficient: Coefficient::ONE, kind: ProductKind::Hadamard, left: same, right: same };
        let (linear, constant) = (Vec::new(), Constant::Scalar(0));
        let sum = Sum { ring: Ring::Z64, products: vec![product], linear, constant, truncation: None };
        let square = builder.push("square", NodeKind::Sum(sum)).unwrap();
        builder.output("square", Party(2), square).unwrap();
        builder.output("x", Party(2), same).unwrap();
        builder.finish().unwrap().in_tiles(NonZeroU32::new(tile_bytes))
    };
    let values: Vec<i64> = (0..600).map(|lane| lane * 1000).collect();
    let x = Integers::new(Shape::new([600]).unwrap(), values.clone()).unwrap();
    for tile_bytes in [0, 1] {
        let ends = in_process::network(3, Some(&Key::from_bytes([5; 32])), Limits::default(), None).unwrap();
        let party = |(me, mut transport): (usize, transport::Mesh)| {
            let (x, circuit) = (x.clone(), circuit(tile_bytes));
            std::thread::spawn(move || {
                let me = Party(me as u8);
                let mut runner = Runner::new(circuit, me).unwrap();
                let weights = (me.0 == 0).then(|| Weights::new(runner.circuit(), Vec::new()).unwrap());
                runner.share_weights(Party(0), weights.as_ref(), &mut transport).unwrap();
                let outputs = runner.run(&[(me.0 == 1).then_some(x)], &mut transport).unwrap().outputs;
                transport.finish().unwrap();
                outputs
            })
        };
        let parties: Vec<_> = ends.into_iter().enumerate().map(party).collect();
        let outputs: Vec<_> = parties.into_iter().map(|party| party.join().unwrap()).collect();
        assert_eq!([&outputs[0], &outputs[1]], [&vec![None, None]; 2]);
        let squares: Vec<i64> = values.iter().map(|value| value * value).collect();
        assert_eq!(outputs[2][0].as_ref().unwrap().values(), squares);
        assert_eq!(outputs[2][1].as_ref().unwrap().values(), values);
    }
}

/// An input that is longer than the circuit's would be cut, a shorter one would not reach.
#[test]
fn an_input_of_another_shape_is_refused() {
    for lanes in [3, 5] {
        let ends = in_process::network(3, Some(&Key::from_bytes([6; 32])), Limits::default(), None).unwrap();
        let mut transport = ends.into_iter().nth(1).unwrap();
        let mut builder = Builder::new();
        let x = builder.input("x", Party(1), Shape::new([4]).unwrap(), Format::z64(16).unwrap()).unwrap();
        builder.output("x", Party(2), x).unwrap();
        let mut runner = Runner::new(builder.finish().unwrap(), Party(1)).unwrap();
        let said = runner.run(&[Some(tensor(&[lanes], 1))], &mut transport).unwrap_err().to_string();
        assert!(said.contains(&format!("'x' needs 4 elements for the shape [4], {lanes} are given")), "{said}");
    }
}

/// a·u + b·v for inputs and weights that will be equal, so that equal masks would show as equal words.
fn twins(lanes: usize, tile_bytes: u32) -> Circuit {
    let format = Format::z64(16).unwrap();
    let shape = || Shape::new([lanes]).unwrap();
    let mut builder = Builder::new();
    let (a, b) = (builder.input("a", Party(1), shape(), format), builder.input("b", Party(1), shape(), format));
    let (u, v) = (builder.weight("u", shape(), format), builder.weight("v", shape(), format));
    let product = |left, right| Product { coefficient: Coefficient::ONE, kind: ProductKind::Hadamard, left, right };
    let products = vec![product(a.unwrap(), u.unwrap()), product(b.unwrap(), v.unwrap())];
    let (linear, constant) = (Vec::new(), Constant::Scalar(0));
    let sum = Sum { ring: Ring::Z64, products, linear, constant, truncation: None };
    let y = builder.push("y", NodeKind::Sum(sum)).unwrap();
    builder.output("y", Party(2), y).unwrap();
    builder.finish().unwrap().in_tiles(NonZeroU32::new(tile_bytes))
}

/// Equal values are masked anew in every run, at every node, in every tile and for every weight: with one label for two
/// of them the words on the wire would be equal, and their difference would be known to who receives both.
#[test]
fn equal_values_of_runs_nodes_tiles_and_weights_travel_under_different_masks() {
    different_masks(4, 0, 1);
    // Three tiles with the same values.
    different_masks(768, 1, 3);
}

fn different_masks(lanes: usize, tile_bytes: u32, tiles: usize) {
    let ends = in_process::network(3, Some(&Key::from_bytes([9; 32])), Limits::default(), None).unwrap();
    let parties: Vec<_> = ends
        .into_iter()
        .enumerate()
        .map(|(me, inner)| {
            std::thread::spawn(move || {
                let tile: Vec<i64> = tensor(&[lanes / tiles], 5).values().to_vec();
                let value = Integers::new(Shape::new([lanes]).unwrap(), tile.repeat(tiles)).unwrap();
                let me = Party(me as u8);
                let mut transport = Remembered { inner, sent: Vec::new() };
                let mut runner = Runner::new(twins(lanes, tile_bytes), me).unwrap();
                let weights = vec![value.clone(), value.clone()];
                let weights = (me.0 == 0).then(|| Weights::new(runner.circuit(), weights).unwrap());
                runner.share_weights(Party(0), weights.as_ref(), &mut transport).unwrap();
                let inputs = vec![(me.0 == 1).then_some(value); 2];
                for _ in 0..2 {
                    runner.run(&inputs, &mut transport).unwrap();
                }
                transport.finish().unwrap();
                transport.sent
            })
        })
        .collect();
    let sent: Vec<_> = parties.into_iter().flat_map(|party| party.join().unwrap()).collect();
    let payloads = |kind: Kind| -> Vec<&[u8]> {
        sent.iter()
            .filter(|(_, frame)| frame.kind == kind && !frame.payload.is_empty())
            .map(|(_, frame)| frame.payload.as_slice())
            .collect()
    };
    // One frame for both weights, one for both inputs in each run, or for every tile of each of them, three of the
    // reshared sum. What is opened was sent before by who held it, so it is left out.
    let inputs = if tiles == 1 { 2 } else { 4 * tiles };
    let kinds = [(Kind::Parameters, 1), (Kind::Share, inputs), (Kind::Masked, 6 * tiles)];
    for (kind, count) in kinds {
        assert_eq!(payloads(kind).len(), count, "{kind}");
    }
    let mut words: Vec<&[u8]> = kinds.iter().flat_map(|(kind, _)| payloads(*kind)).flat_map(|p| p.chunks(8)).collect();
    let all = words.len();
    assert_eq!(all, (2 + 2 * (2 + 3)) * lanes);
    words.sort();
    words.dedup();
    assert_eq!(words.len(), all, "a word travelled twice");
}

/// Parts are whole weights in order, as many as fit; a weight that no part can hold is one of its own.
#[test]
fn weights_are_shared_in_parts_and_kept_where_they_are_read() {
    let format = Format::z64(16).unwrap();
    let chain = |lanes: &[usize]| {
        let mut builder = Builder::new();
        let mut last = builder.input("x", Party(1), Shape::new([1]).unwrap(), format).unwrap();
        for &lanes in lanes {
            last = builder.weight("w", Shape::new([lanes]).unwrap(), format).unwrap();
        }
        builder.output("y", Party(2), last).unwrap();
        builder.finish().unwrap()
    };
    assert_eq!(weights::parts(&chain(&[3, 3, 5, 1, 9, 2]), 6), [0..2, 2..4, 4..5, 5..6]);
    let only = |lanes: &[usize]| {
        let parts = weights::parts(&chain(lanes), 6);
        (parts.len(), parts[0].clone())
    };
    assert_eq!((only(&[7]), only(&[])), ((1, 0..1), (1, 0..0)));

    // A matrix that only products read is kept packed; one that is also added is kept as it is too.
    let uses = WeightUses::of(&circuit(5, 0));
    assert_eq!([0, 1].map(|weight| uses.is_read_elsewhere(weight)), [false, true]);
    let both = {
        let mut builder = Builder::new();
        let square = || Shape::new([2, 2]).unwrap();
        let x = builder.input("x", Party(1), square(), format).unwrap();
        let w = builder.weight("w", square(), format).unwrap();
        let product = Product { coefficient: Coefficient::ONE, kind: ProductKind::MatMul, left: x, right: w };
        let linear = vec![Term { coefficient: Coefficient::raise(16).unwrap(), value: w }];
        let constant = Constant::Scalar(0);
        let sum = Sum { ring: Ring::Z64, products: vec![product], linear, constant, truncation: None };
        let y = builder.push("y", NodeKind::Sum(sum)).unwrap();
        builder.output("y", Party(2), y).unwrap();
        builder.finish().unwrap()
    };
    assert!(WeightUses::of(&both).is_read_elsewhere(0));
}
