//! Small circuits against naive evaluation, rejections, and schedules against counting by hand.

use super::ideal::{RoundingMode, run};
use super::*;
use catalogs::protocol::rss3::Rss3;
use catalogs::{Failure, Lemma, Ring, Rounding, Scale};

fn shape(extents: &[usize]) -> Shape {
    Shape::new(extents).unwrap()
}

fn format(bits: u8, scale: u8) -> Format {
    Format { ring: Ring::new(bits).unwrap(), scale: Scale::new(scale).unwrap() }
}

fn truncation(ring: Ring, target: Ring, shift: u8) -> Lemma {
    let window = (target == ring).then(|| ring.bits() - 2);
    Lemma::Truncation { ring, target, shift, window, rounding: Rounding::FLOOR_OR_NEXT, failure: Failure::Never }
}

/// Deterministic residues of at most `bits` bits.
fn numbers(count: usize, bits: u32, seed: u64) -> Vec<i64> {
    let mut word = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = |_| {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        (word as i64) >> (64 - bits)
    };
    (0..count).map(next).collect()
}

fn product(kind: ProductKind, left: NodeId, right: NodeId) -> Product {
    Product { coefficient: Coefficient::ONE, kind, left, right }
}

/// One product of an input and a weight, with a bias and a truncation; returns the simulated output and a lookup of
/// the operands.
fn simulate(
    kind: ProductKind,
    left: &[usize],
    right: &[usize],
    bias: &[usize],
    ring: Ring,
    mode: RoundingMode,
) -> (Shape, Vec<i64>, [Vec<i64>; 3]) {
    let bits = ring.bits();
    let mut builder = Builder::new();
    let x = builder.input("x", Party(0), shape(left), format(bits, 4)).unwrap();
    let w = builder.weight("w", shape(right), format(bits, 3)).unwrap();
    let b = builder.weight("b", shape(bias), format(bits, 7)).unwrap();
    let sum = Sum {
        ring,
        products: vec![product(kind, x, w)],
        linear: vec![Term { coefficient: Coefficient::ONE, value: b }],
        constant: Constant::Scalar(-5),
        truncation: Some(truncation(ring, ring, 3)),
    };
    let y = builder.push("y", NodeKind::Sum(sum)).unwrap();
    builder.output("out", Party(1), y).unwrap();
    let circuit = builder.finish().unwrap();
    let operands = [left, right, bias].map(|extents| numbers(extents.iter().product(), 11, extents.len() as u64 + 3));
    let [x, w, b] = operands.clone();
    let weights = Weights::new(&circuit, vec![tensor(right, w), tensor(bias, b)]).unwrap();
    let outcome = run(&circuit, &weights, &[tensor(left, x)], mode).unwrap();
    assert!(outcome.report.outside.is_empty());
    assert_eq!(circuit.node(y).format, format(bits, 4));
    (outcome.outputs[0].shape().clone(), outcome.outputs[0].values().to_vec(), operands)
}

fn tensor(extents: &[usize], values: Vec<i64>) -> Integers {
    Integers::new(shape(extents), values).unwrap()
}

/// floor(exact / 8) + δ, with the δ of the mode or either.
fn check(found: i64, exact: i128, mode: RoundingMode) {
    let floor = exact.div_euclid(8);
    let delta = i128::from(found) - floor;
    match mode {
        RoundingMode::AllLow => assert_eq!(delta, 0),
        RoundingMode::AllHigh => assert_eq!(delta, 1),
        RoundingMode::Seed(_) => assert!(delta == 0 || (delta == 1 && exact.rem_euclid(8) > 0)),
    }
}

const MODES: [RoundingMode; 3] = [RoundingMode::AllLow, RoundingMode::AllHigh, RoundingMode::Seed(9)];

#[test]
fn matrix_products_with_every_kind_of_batch() {
    let cases: [(&[usize], &[usize], &[usize]); 5] = [
        (&[3, 4], &[4, 5], &[5]),
        (&[2, 3, 4], &[4, 5], &[1]),
        (&[2, 1, 3, 4], &[5, 4, 2], &[3, 2]),
        (&[2, 3, 1, 7], &[2, 3, 7, 1], &[2, 1, 1, 1]),
        (&[1, 6], &[3, 6, 2], &[2]),
    ];
    for (left, right, bias) in cases {
        for mode in MODES {
            let (result, found, [x, w, b]) = simulate(ProductKind::MatMul, left, right, bias, Ring::Z64, mode);
            let (inner, columns) = (left[left.len() - 1], right[right.len() - 1]);
            let matrices = |extents: &[usize]| shape(&[&extents[..extents.len() - 2], &[1, 1]].concat());
            let index = |extents: &[usize]| {
                let own = matrices(extents);
                let numbers: Vec<i64> = (0..own.lanes() as i64).collect();
                layout::broadcast(&numbers, &own, &result)
            };
            let (left_matrix, right_matrix) = (index(left), index(right));
            let bias = layout::broadcast(&b, &shape(bias), &result);
            for (lane, &value) in found.iter().enumerate() {
                let (row, column) = (lane / columns % left[left.len() - 2], lane % columns);
                let a = left_matrix[lane] as usize * left[left.len() - 2] * inner + row * inner;
                let c = right_matrix[lane] as usize * inner * columns + column;
                let dot: i128 = (0..inner).map(|k| i128::from(x[a + k]) * i128::from(w[c + k * columns])).sum();
                check(value, dot + i128::from(bias[lane]) - 5, mode);
            }
        }
    }
}

#[test]
fn convolutions_with_groups_strides_dilations_and_pads() {
    let cases = [
        (
            [2, 4, 7, 6],
            [6, 2, 3, 2],
            Convolution { strides: [2, 1], dilations: [1, 2], pads_before: [1, 0], pads_after: [2, 1], groups: 2 },
        ),
        (
            [1, 1, 8, 8],
            [3, 1, 3, 3],
            Convolution { strides: [1, 1], dilations: [1, 1], pads_before: [1, 1], pads_after: [1, 1], groups: 1 },
        ),
        (
            [2, 3, 5, 5],
            [3, 1, 2, 2],
            Convolution { strides: [1, 2], dilations: [2, 1], pads_before: [0, 0], pads_after: [0, 0], groups: 3 },
        ),
    ];
    for (left, right, window) in cases {
        for mode in MODES {
            let kind = ProductKind::Conv(window.clone());
            let (result, found, [x, w, b]) = simulate(kind, &left, &right, &[right[0], 1, 1], Ring::Z64, mode);
            let &[_, outputs, height, width] = result.extents() else { panic!() };
            let (group_outputs, channels) = (outputs / window.groups, right[1]);
            for (lane, &value) in found.iter().enumerate() {
                let (image, output, row, column) = (
                    lane / (outputs * height * width),
                    lane / (height * width) % outputs,
                    lane / width % height,
                    lane % width,
                );
                let mut exact = i128::from(b[output]) - 5;
                for channel in 0..channels {
                    for (tap_row, tap_column) in (0..right[2]).flat_map(|r| (0..right[3]).map(move |c| (r, c))) {
                        let y = (row * window.strides[0] + tap_row * window.dilations[0]) as i64
                            - window.pads_before[0] as i64;
                        let z = (column * window.strides[1] + tap_column * window.dilations[1]) as i64
                            - window.pads_before[1] as i64;
                        if (0..left[2] as i64).contains(&y) && (0..left[3] as i64).contains(&z) {
                            let source = output / group_outputs * channels + channel;
                            let pixel = ((image * left[1] + source) * left[2] + y as usize) * left[3] + z as usize;
                            let tap = ((output * channels + channel) * right[2] + tap_row) * right[3] + tap_column;
                            exact += i128::from(x[pixel]) * i128::from(w[tap]);
                        }
                    }
                }
                check(value, exact, mode);
            }
        }
    }
}

#[test]
fn hadamard_products_in_a_narrow_ring_wrap_and_are_reported() {
    let (_, found, [x, w, b]) =
        simulate(ProductKind::Hadamard, &[2, 3, 4], &[3, 1], &[4], Ring::new(40).unwrap(), RoundingMode::AllLow);
    for (lane, &value) in found.iter().enumerate() {
        let exact = i128::from(x[lane]) * i128::from(w[lane / 4 % 3]) + i128::from(b[lane % 4]) - 5;
        check(value, exact, RoundingMode::AllLow);
    }
    // In an 8-bit ring the operand 64 lies outside of [−64, 64) and is counted.
    let ring = Ring::new(8).unwrap();
    let mut builder = Builder::new();
    let x = builder.input("x", Party(0), shape(&[3]), format(8, 2)).unwrap();
    let linear = vec![Term { coefficient: Coefficient { value: 1, scale: 1 }, value: x }];
    let sum = Sum {
        ring,
        products: vec![],
        linear,
        constant: Constant::Scalar(0),
        truncation: Some(truncation(ring, ring, 1)),
    };
    let y = builder.push("half", NodeKind::Sum(sum)).unwrap();
    builder.output("out", Party(0), y).unwrap();
    let circuit = builder.finish().unwrap();
    let weights = Weights::new(&circuit, vec![]).unwrap();
    let outcome = run(&circuit, &weights, &[tensor(&[3], vec![63, 64, -64])], RoundingMode::AllLow).unwrap();
    assert_eq!(outcome.report.outside[&y].truncated, 1);
    assert_eq!(outcome.report.violations(&circuit), [y]);
    assert_eq!((outcome.outputs[0].values()[0], outcome.outputs[0].values()[2]), (31, -32));
}

#[test]
fn movements_and_local_sums() {
    let mut builder = Builder::new();
    let ring = Ring::Z64;
    let x = builder.input("x", Party(2), shape(&[2, 3]), format(64, 8)).unwrap();
    let t = builder.movement("t", Movement::Transpose { permutation: vec![1, 0] }, x).unwrap();
    let replaced = std::sync::Arc::new(vec![true, false, false, false, false, false]);
    let r = builder.movement("r", Movement::Replace { replaced, value: -9 }, t).unwrap();
    let s = builder.movement("s", Movement::SumAxis { axis: 0 }, r).unwrap();
    let d = builder.linear("d", ring, &[(Coefficient { value: 3, scale: 0 }, r), (Coefficient::MINUS_ONE, s)]).unwrap();
    let n = builder.movement("n", Movement::Narrow { ring: Ring::new(4).unwrap() }, d).unwrap();
    builder.output("out", Party(2), n).unwrap();
    let circuit = builder.finish().unwrap();
    let weights = Weights::new(&circuit, vec![]).unwrap();
    let input = tensor(&[2, 3], vec![1, 2, 3, 4, 5, 6]);
    let mut seen = Vec::new();
    let outcome = ideal::observe(&circuit, &weights, &[input], RoundingMode::AllLow, &mut |id, value| {
        if id == d {
            seen = value.values().to_vec();
        }
    });
    // r = [[−9, 4], [2, 5], [3, 6]], s = [−4, 15].
    assert_eq!(seen, [-23, -3, 10, 0, 13, 3]);
    assert_eq!(outcome.unwrap().outputs[0].values(), [-7, -3, -6, 0, -3, 3]);
    assert_eq!(circuit.last_uses()[r.index()], d);
}

/// What follows from weights alone is kept from the first simulation on; what rounds is not.
#[test]
fn later_simulations_are_like_the_first() {
    let mut builder = Builder::new();
    let ring = Ring::Z64;
    let x = builder.input("x", Party(2), shape(&[2, 3]), format(64, 8)).unwrap();
    let w = builder.weight("w", shape(&[3, 3]), format(64, 8)).unwrap();
    let turned = builder.movement("t", Movement::Transpose { permutation: vec![1, 0] }, w).unwrap();
    let total = builder.movement("s", Movement::SumAxis { axis: 1 }, turned).unwrap();
    let sum = |left, right, shift| Sum {
        ring,
        products: vec![product(ProductKind::MatMul, left, right)],
        linear: vec![],
        constant: Constant::Scalar(0),
        truncation: Some(truncation(ring, ring, shift)),
    };
    let rounded = builder.push("r", NodeKind::Sum(sum(turned, total, 3))).unwrap();
    let y = builder.push("y", NodeKind::Sum(sum(x, turned, 2))).unwrap();
    let z = builder.push("z", NodeKind::Sum(sum(x, rounded, 1))).unwrap();
    for value in [y, z, total] {
        builder.output("out", Party(2), value).unwrap();
    }
    let circuit = builder.finish().unwrap();
    let weights = Weights::new(&circuit, vec![tensor(&[3, 3], numbers(9, 12, 4))]).unwrap();
    let simulation = ideal::Simulation::new(&circuit, &weights);
    let mut different = std::collections::BTreeSet::new();
    for round in 0..2u64 {
        for seed in 0..8 {
            let (input, mode) = (tensor(&[2, 3], numbers(6, 12, seed + 9 * round)), RoundingMode::Seed(seed));
            let outcome = simulation.run(std::slice::from_ref(&input), mode).unwrap();
            assert_eq!(outcome, run(&circuit, &weights, &[input], mode).unwrap());
            different.insert(outcome.outputs[1].values().to_vec());
        }
    }
    assert!(different.len() > 8, "roundings and inputs have to count");
}

#[test]
fn wrong_nodes_are_refused_with_a_reason() {
    let mut builder = Builder::new();
    let x = builder.input("x", Party(0), shape(&[2, 3]), format(64, 16)).unwrap();
    let w = builder.weight("w", shape(&[3, 2]), format(64, 14)).unwrap();
    let narrow = builder.weight("narrow", shape(&[2, 3]), format(32, 16)).unwrap();
    let ring = Ring::Z64;
    let base = Sum {
        ring,
        products: vec![product(ProductKind::MatMul, x, w)],
        linear: vec![],
        constant: Constant::Scalar(0),
        truncation: None,
    };
    let term = |value, scale| Term { coefficient: Coefficient { value: 1, scale }, value };
    let cases: Vec<(&str, Sum)> = vec![
        ("at least one term", Sum { products: vec![], ..base.clone() }),
        ("cannot be multiplied", Sum { products: vec![product(ProductKind::MatMul, x, x)], ..base.clone() }),
        ("do not broadcast", Sum { products: vec![product(ProductKind::Hadamard, x, w)], ..base.clone() }),
        ("scales 30 and 16", Sum { linear: vec![term(x, 0)], ..base.clone() }),
        ("does not broadcast", Sum { linear: vec![term(x, 14)], ..base.clone() }),
        ("narrower than", Sum { products: vec![], linear: vec![term(narrow, 0)], ..base.clone() }),
        ("not an earlier value", Sum { products: vec![], linear: vec![term(NodeId(99), 0)], ..base.clone() }),
        ("cannot use", Sum { truncation: Some(truncation(Ring::Z32, Ring::Z32, 3)), ..base.clone() }),
        ("cannot use", Sum { truncation: Some(Lemma::Injection { ring }), ..base.clone() }),
        ("shifted that far", Sum { truncation: Some(truncation(ring, ring, 31)), ..base.clone() }),
        (
            "coefficient is zero",
            Sum {
                products: vec![],
                linear: vec![Term { coefficient: Coefficient { value: 0, scale: 0 }, value: x }],
                ..base.clone()
            },
        ),
        (
            "does not fit ring",
            Sum {
                ring: Ring::new(8).unwrap(),
                products: vec![],
                linear: vec![term(x, 0)],
                constant: Constant::Scalar(128),
                truncation: None,
            },
        ),
    ];
    for (phrase, sum) in cases {
        let message = builder.push("bad", NodeKind::Sum(sum)).unwrap_err().to_string();
        assert!(message.contains(phrase), "'{phrase}' is not in '{message}'");
    }
    let movements = [
        ("cannot be reshaped", Movement::Reshape { shape: shape(&[5]) }),
        ("no permutation", Movement::Transpose { permutation: vec![0, 0] }),
        ("outside of axis", Movement::Slice { axis: 1, start: 2, length: 2, step: 1 }),
        ("has no axis", Movement::SumAxis { axis: 2 }),
        ("lies outside", Movement::Gather { axis: 0, indices: std::sync::Arc::new(vec![2]) }),
        ("does not broadcast", Movement::Broadcast { shape: shape(&[3]) }),
        ("every axis", Movement::Pad { before: vec![1], after: vec![0, 0] }),
        ("do not fit", Movement::Replace { replaced: std::sync::Arc::new(vec![]), value: 0 }),
    ];
    for (phrase, movement) in movements {
        let message = builder.movement("bad", movement, x).unwrap_err().to_string();
        assert!(message.contains(phrase), "'{phrase}' is not in '{message}'");
    }
    assert!(builder.concat("bad", 0, vec![x, w]).is_err());
    let out = builder.output("out", Party(0), x).unwrap();
    assert!(builder.output("again", Party(0), out).is_err());
    let circuit = builder.finish().unwrap();
    assert!(Weights::new(&circuit, vec![]).is_err());
    assert!(Builder::new().finish().is_err());
}

#[test]
fn wrong_inputs_and_weights_are_refused_by_name() {
    let mut builder = Builder::new();
    let x = builder.input("image", Party(0), shape(&[2]), format(8, 4)).unwrap();
    builder.output("out", Party(0), x).unwrap();
    let circuit = builder.finish().unwrap();
    let weights = Weights::new(&circuit, vec![]).unwrap();
    for (inputs, phrase) in [
        (vec![], "1 needed, 0 given"),
        (vec![tensor(&[3], vec![0; 3])], "'image'"),
        (vec![tensor(&[2], vec![0, 128])], "'image'"),
    ] {
        let message = run(&circuit, &weights, &inputs, RoundingMode::AllLow).unwrap_err().to_string();
        assert!(message.contains(phrase) && !message.contains("128"), "{message}");
    }
}

/// x·w with truncation, its square reshared, opened to party 2: 4 rounds, every byte by hand.
#[test]
fn a_schedule_by_hand() {
    let mut builder = Builder::new();
    let ring = Ring::Z64;
    let x = builder.input("x", Party(1), shape(&[3]), format(64, 16)).unwrap();
    let w = builder.weight("w", shape(&[3]), format(64, 16)).unwrap();
    builder.group(Group { name: "scaled".into(), site: None, construction: Construction::Plain });
    let sum = |left, right, truncation| {
        let products = vec![product(ProductKind::Hadamard, left, right)];
        NodeKind::Sum(Sum { ring, products, linear: vec![], constant: Constant::Scalar(0), truncation })
    };
    let y = builder.push("y", sum(x, w, Some(truncation(ring, ring, 16)))).unwrap();
    builder.group(Group { name: "squared".into(), site: Some(4), construction: Construction::Plain });
    let z = builder.push("z", sum(y, y, None)).unwrap();
    builder.output("out", Party(2), z).unwrap();
    let circuit = builder.finish().unwrap();
    let schedule = schedule(&circuit, &Rss3).unwrap();
    assert_eq!(schedule.start, [0, 0, 1, 3, 4]);
    assert_eq!((schedule.rounds, schedule.weight_bytes), (5, 24));
    // Sharing 24; truncation 3·24 + 3·⌈3·17/8⌉ = 72 + 21; reshare 72; opening 24.
    let costs: Vec<(u64, u32, u32)> =
        schedule.groups().iter().map(|cost| (cost.bytes, cost.rounds, cost.span)).collect();
    assert_eq!(costs, [(24, 1, 1), (93, 2, 2), (96, 2, 2)]);
    assert_eq!(schedule.payload_bytes(), 213);
    // Node 2: role 0 is party 2. Its first round sends from roles 0, 1 to each other and from 2 to 0.
    assert_eq!(schedule.frames(), 1 + 3 + 2 + 3 + 1);
    assert_eq!(schedule.bytes(10), 213 + 100);
    let frame = schedule.frame(1, Party(1), Party(2));
    assert_eq!(frame.iter().map(|field| (field.message, field.bits)).collect::<Vec<_>>(), [(2, 64), (3, 17)]);
    assert_eq!(frame.iter().map(Field::bytes).sum::<u64>(), 24 + 7);
    assert_eq!((schedule.fields()[0].from, schedule.fields()[0].to), (Party(1), Party(2)));
    assert_eq!((0..3).map(|party| schedule.sent_bytes(Party(party))).sum::<u64>(), 213);
    assert!(schedule.frame(9, Party(0), Party(1)).is_empty());
}

#[test]
fn lemmas_and_parties_that_the_protocol_lacks_are_refused() {
    let build = |lemma, receiver| {
        let mut builder = Builder::new();
        let x = builder.input("x", Party(0), shape(&[3]), format(64, 16)).unwrap();
        let linear = vec![Term { coefficient: Coefficient::ONE, value: x }];
        let sum =
            Sum { ring: Ring::Z64, products: vec![], linear, constant: Constant::Scalar(0), truncation: Some(lemma) };
        let y = builder.push("y", NodeKind::Sum(sum)).unwrap();
        builder.output("out", receiver, y).unwrap();
        schedule(&builder.finish().unwrap(), &Rss3)
    };
    assert!(build(truncation(Ring::Z64, Ring::Z64, 16), Party(2)).is_ok());
    assert!(build(truncation(Ring::Z64, Ring::Z64, 16), Party(3)).unwrap_err().to_string().contains("party 3"));
    let rounding = Rounding { low: 0, high: 0 };
    let exact = Lemma::Truncation {
        ring: Ring::Z64,
        target: Ring::Z64,
        shift: 16,
        window: Some(62),
        rounding,
        failure: Failure::Never,
    };
    assert!(build(exact, Party(0)).unwrap_err().to_string().contains("does not offer"));
}

/// Every public number is in the description: changing any changes the digest.
#[test]
fn digests_tell_circuits_apart() {
    let build = |owner: u8, start: usize, constant: i64, shift: u8, flag: bool, factor: i64| {
        let mut builder = Builder::new();
        let ring = Ring::Z64;
        let x = builder.input("x", Party(owner), shape(&[4]), format(64, 16)).unwrap();
        let s = builder.movement("s", Movement::Slice { axis: 0, start, length: 2, step: 1 }, x).unwrap();
        let replaced = std::sync::Arc::new(vec![flag, true]);
        let r = builder.movement("r", Movement::Replace { replaced, value: 1 }, s).unwrap();
        let linear = vec![Term { coefficient: Coefficient { value: factor, scale: 8 }, value: r }];
        let truncation = Some(truncation(ring, ring, shift));
        let sum = Sum { ring, products: vec![], linear, constant: Constant::Scalar(constant), truncation };
        let y = builder.push("y", NodeKind::Sum(sum)).unwrap();
        builder.output("out", Party(1), y).unwrap();
        builder.finish().unwrap().digest()
    };
    let variants = [
        build(0, 0, 0, 8, false, 3),
        build(1, 0, 0, 8, false, 3),
        build(0, 1, 0, 8, false, 3),
        build(0, 0, 1, 8, false, 3),
        build(0, 0, 0, 9, false, 3),
        build(0, 0, 0, 8, true, 3),
        build(0, 0, 0, 8, false, 4),
    ];
    let distinct: std::collections::BTreeSet<_> = variants.iter().collect();
    assert_eq!(distinct.len(), variants.len());
    assert_eq!(variants[0], build(0, 0, 0, 8, false, 3));
}
