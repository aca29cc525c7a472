//! Hand-written programs in the shapes that entries have, and executions that must be refused.

use super::*;
use catalogs::{Failure, LemmaId, Product, Scale, Sum, Term};

fn ring(bits: u8) -> Ring {
    Ring::new(bits).unwrap()
}

fn scale(bits: u8) -> Scale {
    Scale::new(bits).unwrap()
}

/// Collects operations; lemmas are sorted and numbered at the end.
struct Draft {
    lemmas: Vec<Lemma>,
    ops: Vec<Op>,
}

impl Draft {
    fn new(mut lemmas: Vec<Lemma>) -> Draft {
        lemmas.sort();
        Draft { lemmas, ops: vec![Op::Input] }
    }

    fn id(&self, lemma: &Lemma) -> LemmaId {
        LemmaId(self.lemmas.iter().position(|other| other == lemma).unwrap() as u8)
    }

    fn push(&mut self, op: Op) -> ValueId {
        self.ops.push(op);
        ValueId(self.ops.len() as u16 - 1)
    }

    fn sum(
        &mut self,
        ring: Ring,
        products: &[(i128, ValueId, ValueId)],
        linear: &[(i128, ValueId)],
        constant: i128,
        truncation: Option<&Lemma>,
    ) -> ValueId {
        let products = products.iter().map(|&(coefficient, left, right)| Product { coefficient, left, right });
        let linear = linear.iter().map(|&(coefficient, value)| Term { coefficient, value });
        let sum = Sum {
            ring,
            products: products.collect(),
            linear: linear.collect(),
            constant,
            truncation: truncation.map(|lemma| self.id(lemma)),
            scale: scale(16),
        };
        self.push(Op::Sum(sum))
    }

    fn sign(&mut self, operand: ValueId, lemma: &Lemma) -> ValueId {
        let lemma = self.id(lemma);
        self.push(Op::Sign { operand, lemma })
    }

    fn inject(&mut self, bit: ValueId, lemma: &Lemma) -> ValueId {
        let lemma = self.id(lemma);
        self.push(Op::Inject { bit, lemma })
    }

    fn finish(self, input: Ring) -> Program {
        Program::new(input, scale(16), self.lemmas, self.ops).unwrap()
    }
}

fn truncation(ring: Ring, target: Ring, shift: u8) -> Lemma {
    let window = (target.bits() > ring.bits() - shift).then(|| ring.bits() - 2);
    let rounding = Rounding::FLOOR_OR_NEXT;
    Lemma::Truncation { ring, target, shift, window, rounding, failure: Failure::Never }
}

/// x/2 + P(x²) for |x| < 3.45, P of degree 6 in x² (12 in x), 0 or x outside: two signs, two injections, five
/// truncations. The polynomial leaves its window far outside: dead lanes.
pub(crate) fn gelu_like(dropped: u8) -> Program {
    let ring = ring(64);
    let product = truncation(ring, ring, 16);
    let sign = Lemma::Sign { width: 27, dropped, operands: if dropped == 0 { 1 } else { 2 } };
    let injection = Lemma::Injection { ring };
    let mut p = Draft::new(vec![product, sign, injection]);
    let x = ValueId(0);
    let border = 226_099;
    let below = p.sum(ring, &[], &[(1, x)], border, None);
    let above = p.sum(ring, &[], &[(1, x)], -border, None);
    let (low, below_border) = (p.sign(below, &sign), p.sign(above, &sign));
    let (low, below_border) = (p.inject(low, &injection), p.inject(below_border, &injection));
    let squared = p.sum(ring, &[(1, x, x)], &[], 0, Some(&product));
    let fourth = p.sum(ring, &[(1, squared, squared)], &[], 0, Some(&product));
    let inner = p.sum(ring, &[(-18, squared, fourth)], &[(700 << 16, fourth), (-12 << 16, x)], 99, Some(&product));
    let poly = p.sum(ring, &[(1, inner, fourth), (24_000, squared, x)], &[(1 << 15, x)], 5 << 16, Some(&product));
    let middle = p.sum(ring, &[], &[(1, below_border), (-1, low)], 0, None);
    // Outside, x where it is above the border.
    let outside = p.sum(ring, &[], &[(-1, below_border)], 1, None);
    let result = p.sum(ring, &[(1 << 16, middle, poly), (1 << 16, outside, x)], &[], 0, Some(&product));
    assert_eq!(result.index(), 14 - 1);
    p.finish(ring)
}

/// One truncation into 32 bits, a product there, then a truncation to 20.
fn narrowing() -> Program {
    let (wide, middle, small) = (ring(64), ring(32), ring(20));
    let (first, second) = (truncation(wide, middle, 13), truncation(middle, small, 12));
    let sign = Lemma::Sign { width: 16, dropped: 6, operands: 2 };
    let injection = Lemma::Injection { ring: small };
    let mut p = Draft::new(vec![first, second, sign, injection]);
    let x = ValueId(0);
    let a = p.sum(wide, &[(3, x, x)], &[(-5, x)], 7, Some(&first));
    let b = p.sum(middle, &[(1, a, x)], &[], -1, None);
    let c = p.sum(middle, &[(1, b, a), (2, b, b)], &[(9, x)], 1 << 20, Some(&second));
    let bit = p.sign(b, &sign);
    let bit = p.inject(bit, &injection);
    p.sum(small, &[(5, bit, c)], &[(1, c)], 3, None);
    p.finish(wide)
}

/// A square in 44 bits, a product there, a selection in 40 bits, and back into 64 bits with the last rounding.
fn widening() -> Program {
    let (wide, middle, small) = (ring(64), ring(44), ring(40));
    let (first, second, last) =
        (truncation(wide, middle, 18), truncation(middle, small, 14), truncation(small, wide, 9));
    let sign = Lemma::Sign { width: 24, dropped: 6, operands: 2 };
    let injection = Lemma::Injection { ring: small };
    let mut p = Draft::new(vec![first, second, last, sign, injection]);
    let x = ValueId(0);
    let bit = p.sign(x, &sign);
    let bit = p.inject(bit, &injection);
    let a = p.sum(wide, &[(1, x, x)], &[(-5, x)], 7, Some(&first));
    let b = p.sum(middle, &[(3, a, x)], &[(1 << 9, x)], -1, Some(&second));
    p.sum(small, &[(1, bit, b), (-7, bit, x)], &[(4, x)], 1 << 12, Some(&last));
    p.finish(wide)
}

/// ((x² mod-wide)^…): degree 12 in x² by six products, everything inside 40 bits.
fn polynomial() -> Program {
    let ring = ring(40);
    let product = truncation(ring, ring, 12);
    let mut p = Draft::new(vec![product]);
    let x = ValueId(0);
    let y = p.sum(ring, &[(1, x, x)], &[], 0, Some(&product));
    let mut value = p.sum(ring, &[], &[(3, y)], -4096, None);
    for degree in 2..=12i128 {
        value = p.sum(ring, &[(1, value, y)], &[(degree * 100, y)], -degree << 12, Some(&product));
    }
    p.finish(ring)
}

fn arguments(count: i128, step: i128) -> Vec<i128> {
    (-count / 2..count / 2).map(|index| index * step).collect()
}

#[test]
fn gelu_like_with_dead_lanes_conforms() {
    for dropped in [0, 7] {
        let program = gelu_like(dropped);
        let mut points = arguments(4500, 97);
        points.extend(arguments(2000, 16_384 + 1));
        points.extend((-300..300).map(|offset| 226_099 + offset));
        let Conformance { outputs, report } = conform(&program, &points, 11).unwrap();
        assert_eq!(outputs.len(), points.len());
        assert_eq!(report.rounding_max, 1);
        assert!(report.outside > 0, "dead lanes were meant to leave the window");
        assert_eq!(report.in_band > 0, dropped > 0);
        assert_eq!(report.in_band_other > 0, dropped > 0);
        assert!(report.rounded_up > report.arguments && report.rounded_down > report.arguments);
        // Far left 0 and far right x, but for the last rounding.
        for (point, output) in points.iter().zip(&outputs).filter(|(point, _)| point.abs() > 230_000) {
            let expected = (*point).max(0);
            assert!((0..=1).contains(&(output - expected)), "{point}: {output}");
        }
    }
}

#[test]
fn narrow_rings_and_polynomials_conform() {
    let report = conform(&narrowing(), &arguments(6000, 1_234_567), 3).unwrap().report;
    assert!(report.in_band > 0 && report.outside == 0 && report.rounding_max == 1);
    let Conformance { outputs, report } = conform(&widening(), &arguments(6000, 173), 5).unwrap();
    assert!(report.outside == 0 && report.rounding_max == 1 && outputs.iter().any(|output| *output < -1000));
    let report = conform(&polynomial(), &arguments(5000, 1), 3).unwrap().report;
    assert_eq!(report.outside, 0);
    assert_eq!(report.rounds, 24);
}

#[test]
fn every_argument_of_a_small_ring_conforms() {
    for bits in [5u8, 6, 8] {
        let ring = ring(bits);
        let (product, sign) = (truncation(ring, ring, 2), Lemma::Sign { width: bits, dropped: 1, operands: 2 });
        let injection = Lemma::Injection { ring };
        let mut p = Draft::new(vec![product, sign, injection]);
        let x = ValueId(0);
        let square = p.sum(ring, &[(1, x, x)], &[(3, x)], -1, Some(&product));
        let bit = p.sign(square, &sign);
        let bit = p.inject(bit, &injection);
        p.sum(ring, &[(1, bit, square), (-2, x, bit)], &[(1, x)], 2, None);
        let program = p.finish(ring);
        let half = 1i128 << (bits - 1);
        for seed in 0..40 {
            conform(&program, &(-half..half).collect::<Vec<_>>(), seed).unwrap();
        }
    }
}

#[test]
fn arguments_outside_the_ring_are_refused() {
    let error = conform(&polynomial(), &[0, 1 << 39], 0).unwrap_err();
    assert!(matches!(error, Error::Conformance { operation: 0, .. }), "{error}");
}

/// The replay is a check that can fail: a result two off, a bit outside its band, a wrong sum.
#[test]
fn wrong_executions_are_noticed() {
    let program = gelu_like(0);
    let outputs = {
        let sharing = LocalParties::new(rss3::share(ring(64)).unwrap());
        let keys = LocalKeys::from_seed(0);
        let shared = sharing.run(1, &[vec![vec![70_000]], vec![], vec![]], &keys.streams(0, 0)).unwrap();
        let parties = LocalParties::new(rss3::compile_traced(&program).unwrap());
        parties.run(1, &shared.outputs, &keys.streams(1, 0)).unwrap()
    };
    let mut values = Vec::new();
    collect(&program, &outputs, 0, &mut values).unwrap();
    let differs = |values: &[i128]| {
        let (mut report, mut evaluated) = (Report::default(), Vec::new());
        let mut replay = Replay { program: &program, values, report: &mut report, fault: None };
        evaluate_into(&program, 70_000, &mut replay, &mut evaluated);
        replay.fault.is_some() || evaluated != values
    };
    assert!(!differs(&values));
    for operation in 0..values.len() {
        for by in [-2i128, 2] {
            let mut wrong = values.clone();
            wrong[operation] += by;
            assert!(differs(&wrong), "operation {operation} off by {by}");
        }
    }
    for bit in [3, 4] {
        let mut wrong = values.clone();
        wrong[bit] ^= 1;
        assert!(differs(&wrong), "bit {bit}");
    }
    let mut torn = outputs.clone();
    torn.outputs[1][2 * 7][0] ^= 1;
    assert_eq!(collect(&program, &torn, 0, &mut values), Err(7));
}
