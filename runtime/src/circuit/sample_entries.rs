//! Crude entries for tests, certified while the test runs: textbook iterations whose constants need no fit.
//!
//! exp by (1 + x/256)^256, reciprocal and reciprocal square root by Newton's iteration from a constant, an exact
//! rectifier. The producer cuts the window in halves until the checker accepts each piece.

use catalogs::program::{Product, Sum, Term};
use catalogs::{
    Claim, Decimal, Entry, Failure, Function, Lemma, LemmaId, Norm, Op, Program, Ring, Rounding, Scale, ValueId, Window,
};
use dashu::integer::IBig;
use dashu::rational::RBig;
use std::sync::{Arc, OnceLock};
use verify::examine::Examination;
use verify::model::FRACTION;
use verify::{Certificate, Certified, PieceProof, Witness, check};

const SCALE: u8 = 24;

fn truncation(shift: u8) -> Lemma {
    let (ring, rounding) = (Ring::Z64, Rounding::FLOOR_OR_NEXT);
    Lemma::Truncation { ring, target: ring, shift, window: Some(62), rounding, failure: Failure::Never }
}

fn sum(products: &[(i128, u16, u16)], linear: &[(i128, u16)], constant: i128, lemma: Option<u8>, scale: u8) -> Op {
    let product = |&(coefficient, left, right): &(i128, u16, u16)| Product {
        coefficient,
        left: ValueId(left),
        right: ValueId(right),
    };
    Op::Sum(Sum {
        ring: Ring::Z64,
        products: products.iter().map(product).collect(),
        linear: linear.iter().map(|&(coefficient, value)| Term { coefficient, value: ValueId(value) }).collect(),
        constant,
        truncation: lemma.map(LemmaId),
        scale: Scale::new(scale).unwrap(),
    })
}

/// max(x, 0) exactly, for |x| < 2^(width − 1) integers.
pub fn relu(width: u8, scale: u8) -> Arc<Certified> {
    let lemmas = vec![Lemma::Sign { width, dropped: 0, operands: 1 }, Lemma::Injection { ring: Ring::Z64 }];
    let ops = vec![
        Op::Input,
        Op::Sign { operand: ValueId(0), lemma: LemmaId(0) },
        Op::Inject { bit: ValueId(1), lemma: LemmaId(1) },
        sum(&[(-1, 2, 0)], &[(1, 0)], 0, None, scale),
    ];
    let program = Program::new(Ring::Z64, Scale::new(scale).unwrap(), lemmas, ops).unwrap();
    let limit = 1i64 << (width - 1);
    certify(Function::Relu, program, -limit, limit - 1, Norm::ABSOLUTE, Decimal::new(1, -9).unwrap(), &[0])
}

/// max(x, 0) for integers from 0 to 2^width − 1: x itself, a program without messages.
pub fn nonnegative_relu(width: u8, scale: u8) -> Arc<Certified> {
    let ops = vec![Op::Input, sum(&[], &[(1, 0)], 0, None, scale)];
    let program = Program::new(Ring::Z64, Scale::new(scale).unwrap(), Vec::new(), ops).unwrap();
    let error = Decimal::new(1, -9).unwrap();
    certify(Function::Relu, program, 0, (1i64 << width) - 1, Norm::ABSOLUTE, error, &[])
}

/// e^x for −30 ≤ x ≤ 0 at scale 16, output at scale 24.
pub fn exp() -> Arc<Certified> {
    static ENTRY: OnceLock<Arc<Certified>> = OnceLock::new();
    Arc::clone(ENTRY.get_or_init(|| exp_within(Decimal::new(12, -4).unwrap())))
}

/// The same program with another claim.
pub fn exp_within(bound: Decimal) -> Arc<Certified> {
    let mut ops = vec![Op::Input, sum(&[], &[(1, 0)], 1 << SCALE, None, SCALE)];
    ops.extend((1..=8).map(|v| sum(&[(1, v, v)], &[], 0, Some(0), SCALE)));
    let program = Program::new(Ring::Z64, Scale::new(16).unwrap(), vec![truncation(SCALE)], ops).unwrap();
    certify(Function::Exp, program, -30 << 16, 0, Norm::ABSOLUTE, bound, &[])
}

/// 1/x for 1/2 ≤ x ≤ 6 at scale 24.
pub fn reciprocal() -> Arc<Certified> {
    static ENTRY: OnceLock<Arc<Certified>> = OnceLock::new();
    let make = || {
        let start = (3i128 << SCALE) / 10;
        // y₁ = 2c − c²x, then y·(2 − x·y).
        let mut ops =
            vec![Op::Input, sum(&[], &[((-start * start) >> SCALE, 0)], (2 * start) << SCALE, Some(0), SCALE)];
        for _ in 0..6 {
            let y = ops.len() as u16 - 1;
            ops.push(sum(&[(1, 0, y)], &[], 0, Some(0), SCALE));
            ops.push(sum(&[(-1, y, y + 1)], &[(2 << SCALE, y)], 0, Some(0), SCALE));
        }
        let program = Program::new(Ring::Z64, Scale::new(SCALE).unwrap(), vec![truncation(SCALE)], ops).unwrap();
        let norm = Norm { absolute: Decimal::ONE, relative: Decimal::ONE };
        certify(Function::Reciprocal, program, 1 << 23, 6 << 24, norm, Decimal::new(1, -3).unwrap(), &[])
    };
    Arc::clone(ENTRY.get_or_init(make))
}

/// 1/√x for 1/10 ≤ x ≤ 6 at scale 24.
pub fn rsqrt() -> Arc<Certified> {
    static ENTRY: OnceLock<Arc<Certified>> = OnceLock::new();
    let make = || {
        // y₁ = 3c/2 − c³x/2 with c = 1/2, then y·(3 − x·y²)/2.
        let mut ops = vec![Op::Input, sum(&[], &[(-1, 0)], 12 << SCALE, Some(0), SCALE)];
        for _ in 0..7 {
            let y = ops.len() as u16 - 1;
            ops.push(sum(&[(1, y, y)], &[], 0, Some(1), SCALE));
            ops.push(sum(&[(1, 0, y + 1)], &[], 0, Some(1), SCALE));
            ops.push(sum(&[(-1, y, y + 2)], &[(3 << SCALE, y)], 0, Some(2), SCALE));
        }
        let lemmas = vec![truncation(4), truncation(SCALE), truncation(SCALE + 1)];
        let program = Program::new(Ring::Z64, Scale::new(SCALE).unwrap(), lemmas, ops).unwrap();
        let norm = Norm { absolute: Decimal::ONE, relative: Decimal::ONE };
        certify(Function::Rsqrt, program, (1 << 24) / 10, 6 << 24, norm, Decimal::new(1, -3).unwrap(), &[])
    };
    Arc::clone(ENTRY.get_or_init(make))
}

fn certify(
    function: Function,
    program: Program,
    low: i64,
    high: i64,
    norm: Norm,
    bound: Decimal,
    cuts: &[i64],
) -> Arc<Certified> {
    let window = Window { low, high };
    let entry = Entry { claim: Claim { function, fitted: window, window, norm, bound }, program };
    let mut ranges = vec![None; entry.program.ops().len()];
    let mut pieces = Vec::new();
    let mut first = low;
    for &cut in cuts.iter().chain([&(high + 1)]) {
        prove(&entry, first, cut - 1, &mut ranges, &mut pieces);
        first = cut;
    }
    let witness = Witness { input: high, error: Decimal::ZERO, choices: vec![0; entry.program.ops().len()] };
    let certificate = Certificate { entry: entry.digest(), ranges, witness, pieces };
    Arc::new(check(entry, &certificate).unwrap())
}

fn prove(entry: &Entry, low: i64, high: i64, ranges: &mut [Option<(i128, i128)>], pieces: &mut Vec<PieceProof>) {
    assert!(pieces.len() < 2000, "the {} entry needs too many pieces", entry.claim.function);
    let degree = 12;
    let examined = Examination::new(entry, low, high, degree, false);
    let fits = examined.as_ref().is_ok_and(|examination| examination.fits(&entry.claim).is_ok());
    let Some(examination) = examined.ok().filter(|_| fits) else {
        assert!(
            low < high,
            "the {} entry cannot be proved at {low}: {:?}",
            entry.claim.function,
            Examination::new(entry, low, high, degree, false).map(|examination| examination.fits(&entry.claim))
        );
        let middle = low + (high - low) / 2;
        prove(entry, low, middle, ranges, pieces);
        prove(entry, middle + 1, high, ranges, pieces);
        return;
    };
    for (range, found) in ranges.iter_mut().zip(examination.ranges()) {
        if let Some((a, b)) = found {
            let (a, b) = (i128::try_from(a.clone()).unwrap(), i128::try_from(b.clone()).unwrap());
            *range = Some(range.map_or((a, b), |(low, high): (i128, i128)| (low.min(a), high.max(b))));
        }
    }
    let parts = examination.parts();
    let unit = RBig::from(IBig::ONE << (usize::from(entry.program.output().1.bits()) + FRACTION));
    let stated = |value: &IBig| Decimal::round_up(&(RBig::from(value.clone()) / &unit), 6).unwrap();
    let [approximation, rounding, remainder] =
        [parts.approximation, parts.rounding, parts.remainder].map(|v| stated(&v));
    pieces.push(PieceProof { low, high, degree, tail: false, approximation, rounding, remainder });
}

#[test]
fn sample_entries_are_certified() {
    for (entry, pieces_name) in
        [(relu(24, 16), "relu"), (exp(), "exp"), (reciprocal(), "reciprocal"), (rsqrt(), "rsqrt")]
    {
        assert_eq!(entry.claim().function.name(), pieces_name);
    }
}
