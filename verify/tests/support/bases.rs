//! Good entries made by hand: a sigmoid with bands, dead lanes and tails; a reciprocal by Newton's iteration; a
//! rectifier over all of Z_2^64.

use super::build::{OpDraft, SumDraft, program, sum64};
use super::prove::{Cut, least_bound, prove};
use catalogs::{Adversary, Claim, Decimal, Entry, Failure, Function, Lemma, Norm, Ring, Rounding, ValueId, Window};
use verify::{Certificate, Witness};

pub fn claim(function: Function, norm: Norm, fitted: (i64, i64), window: (i64, i64)) -> Claim {
    let window = Window { low: window.0, high: window.1 };
    Claim { function, fitted: Window { low: fitted.0, high: fitted.1 }, window, norm, bound: Decimal::ONE }
}

fn narrow_window(draft: OpDraft, bits: u8) -> OpDraft {
    let OpDraft::Sum(sum) = draft else { return draft };
    let lemma = match sum.truncation {
        Some(Lemma::Truncation { ring, target, shift, rounding, .. }) => {
            Lemma::Truncation { ring, target, shift, window: Some(bits), rounding, failure: Failure::Never }
        }
        _ => return OpDraft::Sum(sum),
    };
    OpDraft::Sum(SumDraft { truncation: Some(lemma), ..sum })
}

const EDGE: i64 = 4 << 16;
const FAR: i64 = 1 << 22;

/// 1/2 + a·x + b·x³ on [−4, 4), 0 and 1 outside. The square leaves its window beyond |x| = 16: a dead lane.
pub fn sigmoid() -> (Entry, Certificate) {
    let sign = Lemma::Sign { width: 24, dropped: 2, operands: 2 };
    let inject = Lemma::Injection { ring: Ring::Z64 };
    let (a, b) = (12_800i128, -180i128);
    let drafts = [
        OpDraft::Input,
        sum64(&[], &[(1, 0)], i128::from(EDGE), 0, 16),
        OpDraft::Sign(1, sign),
        sum64(&[], &[(1, 0)], -i128::from(EDGE), 0, 16),
        OpDraft::Sign(3, sign),
        OpDraft::Inject(2, inject),
        OpDraft::Inject(4, inject),
        sum64(&[], &[(1, 6), (-1, 5)], 0, 0, 0),
        narrow_window(sum64(&[(1, 0, 0)], &[], 0, 16, 16), 40),
        sum64(&[(b, 8, 0)], &[(a << 16, 0)], 1 << 47, 32, 16),
        sum64(&[(1, 7, 9)], &[(-65536, 6)], 65536, 0, 16),
    ];
    let norm = Norm::ABSOLUTE;
    let claim = claim(Function::Sigmoid, norm, (-EDGE, EDGE - 1), (-FAR, FAR - 1));
    let draft = Entry { claim, program: program(Ring::Z64, 16, &drafts) };
    let mut cuts = vec![Cut(-FAR, 0, true), Cut(-EDGE, 4, false), Cut(-EDGE + 3, 12, false)];
    cuts.extend([-2, -1, 0, 1, 2].map(|x| Cut(x << 16, 12, false)));
    cuts.extend([Cut(EDGE, 4, false), Cut(EDGE + 3, 0, true)]);
    with_witness(prove(&draft, &cuts).unwrap(), |x| 1.0 / (1.0 + (-x).exp()))
}

/// y(2 − x·y) from the chord 1.457 − x/2 on [1, 2), scales 20, relative norm.
pub fn reciprocal() -> (Entry, Certificate) {
    let one = 1i128 << 20;
    let drafts = [
        OpDraft::Input,
        sum64(&[], &[(-1, 0)], 3_055_000, 1, 20),
        sum64(&[(-1, 0, 1)], &[], 2 * one * one, 20, 20),
        sum64(&[(1, 1, 2)], &[], 0, 20, 20),
    ];
    let (low, high) = (1 << 20, (2 << 20) - 1);
    let claim = claim(Function::Reciprocal, Norm::RELATIVE, (low, high), (low, high));
    let draft = Entry { claim, program: program(Ring::Z64, 20, &drafts) };
    let cuts: Vec<Cut> = (0..4).map(|i| Cut(low + i * (1 << 18), 14, false)).collect();
    with_witness(prove(&draft, &cuts).unwrap(), |x| 1.0 / x)
}

/// (1 + x/256)^256 on [−256, 0], scales 16 and 24: an error of about 1.1e-3.
pub fn exponential() -> (Entry, Certificate) {
    let mut drafts = vec![OpDraft::Input, sum64(&[], &[(1, 0)], 1 << 24, 0, 24)];
    drafts.extend((1..9u16).map(|i| sum64(&[(1, i, i)], &[], 0, 24, 24)));
    let low = -(256 << 16);
    let claim = claim(Function::Exp, Norm::ABSOLUTE, (low, 0), (low, 0));
    let draft = Entry { claim, program: program(Ring::Z64, 16, &drafts) };
    let mut cuts = vec![Cut(low, 10, true), Cut(-(128 << 16), 12, true), Cut(-(64 << 16), 12, true)];
    cuts.extend((-32..0i64).map(|i| Cut(i << 16, 12, false)));
    prove(&draft, &cuts).unwrap()
}

/// Newton's iteration from `start` for 1/x, scales 24, on [1/2, 20].
pub fn reciprocal_wide() -> (Entry, Certificate) {
    let mut drafts = vec![OpDraft::Input, sum64(&[], &[], 1_509_949, 0, 24)];
    for k in 0..8u16 {
        drafts.push(sum64(&[(-1, 0, 1 + 2 * k)], &[], 2 << 48, 24, 24));
        drafts.push(sum64(&[(1, 1 + 2 * k, 2 + 2 * k)], &[], 0, 24, 24));
    }
    geometric(Function::Reciprocal, 1 << 23, 20 << 24, drafts)
}

/// Newton's iteration from 0.6 for 1/√x, scales 24, on [1/4, 4.5].
pub fn rsqrt() -> (Entry, Certificate) {
    let mut drafts = vec![OpDraft::Input, sum64(&[], &[], 10_066_330, 0, 24)];
    for k in 0..6u16 {
        let y = 1 + 3 * k;
        drafts.push(sum64(&[(1, y, y)], &[], 0, 24, 24));
        drafts.push(sum64(&[(-1, 0, y + 1)], &[], 3 << 48, 24, 24));
        drafts.push(sum64(&[(1, y, y + 2)], &[], 0, 25, 24));
    }
    geometric(Function::Rsqrt, 1 << 22, 9 << 23, drafts)
}

fn geometric(function: Function, low: i64, high: i64, drafts: Vec<OpDraft>) -> (Entry, Certificate) {
    let claim = claim(function, Norm::RELATIVE, (low, high), (low, high));
    let draft = Entry { claim, program: program(Ring::Z64, 24, &drafts) };
    let starts = std::iter::successors(Some(low), |x| Some(x + x / 10).filter(|next| next < &high));
    let cuts: Vec<Cut> = starts.map(|x| Cut(x, 12, false)).collect();
    prove(&draft, &cuts).unwrap()
}

/// x − x·\[x < 0\] over every element of the ring: exact.
pub fn rectifier() -> (Entry, Certificate) {
    let drafts = [
        OpDraft::Input,
        OpDraft::Sign(0, Lemma::Sign { width: 64, dropped: 0, operands: 1 }),
        OpDraft::Inject(1, Lemma::Injection { ring: Ring::Z64 }),
        sum64(&[(-1, 0, 2)], &[(1, 0)], 0, 0, 16),
    ];
    let whole = (i64::MIN, i64::MAX);
    let draft =
        Entry { claim: claim(Function::Relu, Norm::RELATIVE, whole, whole), program: program(Ring::Z64, 16, &drafts) };
    prove(&draft, &[Cut(i64::MIN, 1, false), Cut(0, 1, false)]).unwrap()
}

struct Extreme {
    high: bool,
    choices: Vec<i8>,
}

impl Adversary for Extreme {
    fn rounding(&mut self, op: ValueId, _: i128, rounding: Rounding) -> i8 {
        self.choices[op.index()] = if self.high { rounding.high } else { rounding.low };
        self.choices[op.index()]
    }
    fn outside(&mut self, _: ValueId, operand: i128, _: Ring) -> i128 {
        operand
    }
    fn band(&mut self, op: ValueId, _: i128, exact: bool) -> bool {
        self.choices[op.index()] = i8::from(exact);
        exact
    }
}

/// The worst of a few thousand inputs, all roundings low or all high.
fn with_witness((entry, mut certificate): (Entry, Certificate), f: fn(f64) -> f64) -> (Entry, Certificate) {
    let Claim { window, fitted, norm, .. } = entry.claim;
    let (input, output) = (entry.program.input().1.bits(), entry.program.output().1.bits());
    let mut best = (0.0, certificate.witness.clone());
    let step = (fitted.high - fitted.low) / 4096;
    let inputs = (0..=4096).map(|i| fitted.low + i * step).chain([fitted.high, window.low, window.high]);
    for x in inputs.filter(|x| window.contains(i128::from(*x))) {
        for high in [false, true] {
            let mut extreme = Extreme { high, choices: vec![0; entry.program.ops().len()] };
            let v = catalogs::evaluate(&entry.program, i128::from(x), &mut extreme) as f64;
            let exact = f(x as f64 / f64::from(input).exp2());
            let weight = norm.absolute.to_f64_lossy() + norm.relative.to_f64_lossy() * exact.abs();
            let error = (v / f64::from(output).exp2() - exact).abs() / weight;
            if error > best.0 {
                let stated = Decimal::parse(&format!("{:.6e}", error * (1.0 - 1e-6))).unwrap();
                best = (error, Witness { input: x, error: stated, choices: extreme.choices });
            }
        }
    }
    certificate.witness = best.1;
    (entry, certificate)
}

/// The least bound of one piece, for tests that need no certificate.
pub fn bound_of(entry: &Entry, low: i64, high: i64, degree: u8) -> Option<Decimal> {
    least_bound(&verify::examine::Examination::new(entry, low, high, degree, false).ok()?, &entry.claim)
}
