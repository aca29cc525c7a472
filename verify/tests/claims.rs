//! Claims that `Examination::fits` accepts, against every input and many adversaries: random programs over rings of
//! 8 to 10 bits, all functions, all norms. A claim weakened by forgetting a part of the error must be refuted.
//!
//! The function's values come from double precision and from series of this file, not from the checker.
//! `CHEBYSHARE_FUZZ=n` multiplies the number of programs by n.

#![allow(clippy::unwrap_used)]

mod support;

use catalogs::evaluate::evaluate;
use catalogs::{Adversary, Claim, Decimal, Entry, Function, Norm, Program, Ring, Rounding, ValueId, Window};
use dashu::integer::IBig;
use support::Random;
use support::build::program;
use support::prove::least_bound;
use support::random_program::generate;
use verify::examine::Examination;
use verify::model::{FRACTION, Model};

fn value(function: &Function, x: f64) -> f64 {
    let integral = |rate: f64| {
        let (mut term, mut sum, mut k) = (x, x, 0.0);
        while term.abs() > 1e-18 * sum.abs() {
            term *= 2.0 * rate * x * x / (2.0 * k + 3.0);
            sum += term;
            k += 1.0;
        }
        if x == 0.0 { 0.0 } else { (-rate * x * x).exp() * sum }
    };
    let phi = || 0.5 + integral(0.5) / (2.0 * std::f64::consts::PI).sqrt();
    let softplus = |x: f64| x.max(0.0) + (-x.abs()).exp().ln_1p();
    match function {
        Function::Exp => x.exp(),
        Function::Reciprocal => 1.0 / x,
        Function::Rsqrt => 1.0 / x.sqrt(),
        Function::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        Function::Tanh => x.tanh(),
        Function::Erf => 2.0 / std::f64::consts::PI.sqrt() * integral(1.0),
        Function::NormalCdf => phi(),
        Function::Gelu => x * phi(),
        Function::Silu => x / (1.0 + (-x).exp()),
        Function::Exp2 => x.exp2(),
        Function::Log => x.ln(),
        Function::Sqrt => x.sqrt(),
        Function::Sin => x.sin(),
        Function::Cos => x.cos(),
        Function::NormalPdf => (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt(),
        Function::GeluTanh => {
            let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
            x / (1.0 + (-2.0 * u).exp())
        }
        Function::Softplus => softplus(x),
        Function::Mish => x * softplus(x).tanh(),
        Function::Elu => x.max(0.0) + x.min(0.0).exp_m1(),
        Function::Selu => 1.0507009873554805 * (x.max(0.0) + 1.6732632423543772 * x.min(0.0).exp_m1()),
        Function::Softsign => x / (1.0 + x.abs()),
        Function::Isru => x / (1.0 + x * x).sqrt(),
        Function::HardSigmoid => ((x + 3.0) / 6.0).clamp(0.0, 1.0),
        Function::HardSwish => x * ((x + 3.0) / 6.0).clamp(0.0, 1.0),
        Function::Relu => x.max(0.0),
        Function::Expression(_) => unreachable!("only named functions are picked"),
    }
}

/// Chooses by the sign of each rounding's influence in one model of the output, or at random.
struct Pusher<'a> {
    model: Option<&'a Model>,
    t: f64,
    upwards: bool,
    random: &'a mut Random,
}

impl Adversary for Pusher<'_> {
    fn rounding(&mut self, op: ValueId, _: i128, rounding: Rounding) -> i8 {
        let Some(model) = self.model else {
            return self.random.between(i64::from(rounding.low), i64::from(rounding.high)) as i8;
        };
        let symbol = model.symbols.get(&op.index());
        let at = |coefficients: &[IBig]| coefficients.iter().rev().fold(0.0, |s, c| s * self.t + c.to_f64().value());
        let influence = symbol.map_or(0.0, |symbol| at(&symbol.0));
        if (influence > 0.0) == self.upwards { rounding.high } else { rounding.low }
    }
    fn outside(&mut self, _: ValueId, operand: i128, target: Ring) -> i128 {
        if self.upwards { operand } else { target.residue(i128::from(self.random.next())) }
    }
    fn band(&mut self, _: ValueId, _: i128, exact: bool) -> bool {
        self.random.chance(1, 2) ^ exact
    }
}

/// The largest error, over every input and many adversaries, in units of what the claim allows at that input, with
/// the tolerance of double precision; and the number of runs.
fn worst(program: &Program, claim: &Claim, examination: &Examination, random: &mut Random) -> (f64, u64) {
    let (input, output) = (program.input().1.bits(), program.output().1.bits());
    let (absolute, relative) = (claim.absolute_part().to_f64().value(), claim.relative_part().to_f64().value());
    let (low, high) = (claim.window.low, claim.window.high);
    let (mut worst, mut runs) = (0.0f64, 0);
    for x in low..=high {
        let f = value(&claim.function, x as f64 / f64::from(input).exp2());
        let t = if low == high { 0.0 } else { (2 * x - low - high) as f64 / (high - low) as f64 };
        let models: Vec<Option<&Model>> = examination.outputs().iter().take(3).map(Some).chain([None]).collect();
        for model in models {
            for upwards in [false, true] {
                let mut pusher = Pusher { model, t, upwards, random };
                let v = evaluate(program, i128::from(x), &mut pusher) as f64 / f64::from(output).exp2();
                // The reference values above are good to 1e−14 or so, absolutely.
                let tolerance = 1e-12 * (1.0 + f.abs() + v.abs()) + 1e-14 * relative;
                let allowed = absolute + relative * f.abs() + tolerance;
                worst = worst.max((v - f).abs() / allowed);
                runs += 1;
            }
        }
    }
    (worst, runs)
}

/// A random claim: the entry with the least bound that is accepted, on one piece that is its window.
fn claim(random: &mut Random) -> Option<(Entry, Examination)> {
    let mut case = generate(random, 10);
    let function = Function::ALL[random.between(0, Function::ALL.len() as i64 - 1) as usize].clone();
    case.scale = random.between(i64::from(case.ring.bits()) - 4, i64::from(case.ring.bits())) as u8;
    if matches!(function, Function::Reciprocal | Function::Rsqrt | Function::Log | Function::Sqrt) && case.low <= 0 {
        let shift = 1 - case.low + random.between(0, 20);
        (case.low, case.high) = (case.low + shift, (case.high + shift).min((1 << (case.ring.bits() - 1)) - 1));
    }
    if function == Function::Relu && case.low < 0 {
        case.high = case.high.min(0);
    }
    if case.low > case.high {
        return None;
    }
    let norm = match random.between(0, 3) {
        0 => Norm::RELATIVE,
        1 => Norm { absolute: Decimal::new(3, -3).unwrap(), relative: Decimal::new(7, -1).unwrap() },
        _ => Norm::ABSOLUTE,
    };
    let window = Window { low: case.low, high: case.high };
    let draft = Claim { function, fitted: window, window, norm, bound: Decimal::ONE };
    let mut entry = Entry { claim: draft, program: program(case.ring, case.scale, &case.drafts) };
    let degree = random.between(0, 16) as u8;
    let tail = random.chance(1, 3);
    let examination = Examination::new(&entry, case.low, case.high, degree, tail).ok()?;
    entry.claim.bound = least_bound(&examination, &entry.claim)?;
    Some((entry, examination))
}

#[test]
fn accepted_claims_hold_at_every_input() {
    let effort: u64 = std::env::var("CHEBYSHARE_FUZZ").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let seed = 31;
    let mut random = Random(seed);
    let (mut claims, mut runs, mut sharp) = (0u64, 0u64, 0u64);
    let mut by_function = std::collections::BTreeMap::new();
    while claims < 600 * effort {
        let Some((entry, examination)) = claim(&mut random) else { continue };
        claims += 1;
        *by_function.entry(entry.claim.function.clone()).or_insert(0u64) += 1;
        let (worst, evaluated) = worst(&entry.program, &entry.claim, &examination, &mut random);
        runs += evaluated;
        assert!(worst <= 1.0, "{worst} of the bound is attained:\n{}", entry.to_text());
        sharp += u64::from(worst > 0.97);
    }
    println!("seed {seed}: {claims} claims, {runs} runs, {sharp} attained to 97 %, {by_function:?}");
    assert!(sharp * 2 > claims, "the comparison is too weak: {sharp} of {claims}");
    assert!(by_function.len() == Function::ALL.len());
}

/// What a weakened `fits` would accept: a bound that forgets something.
#[test]
fn claims_that_forget_a_part_are_refuted() {
    type Weak = fn(&Examination, &Entry) -> f64;
    fn units(value: &IBig, entry: &Entry) -> f64 {
        value.to_f64().value() / f64::from(entry.program.output().1.bits()).exp2() / (FRACTION as f64).exp2()
    }
    let weak: [(&str, Weak); 5] = [
        ("roundings forgotten", |e, entry| units(&(e.parts().approximation + e.parts().remainder), entry)),
        ("remainders forgotten", |e, entry| units(&(e.parts().approximation + e.parts().rounding), entry)),
        ("approximation forgotten", |e, entry| units(&(e.parts().rounding + e.parts().remainder), entry)),
        ("error seen in the middle only", |e, entry| {
            let middle = &e.outputs()[0].polynomial.coefficient(0) - e.reference().polynomial.coefficient(0);
            units(&middle, entry).abs() + units(&(e.parts().rounding + e.parts().remainder), entry)
        }),
        ("one case of undecided bits only", |e, entry| {
            let model = &e.outputs()[0];
            let difference = model.polynomial.plus(&e.reference().polynomial, &IBig::NEG_ONE);
            let spread = model.rounding_magnitude() + &model.remainder + &e.reference().error;
            units(&(difference.supremum(5) + spread), entry)
        }),
    ];
    for (name, bound) in weak {
        let mut random = Random(5);
        let (mut claims, mut refuted) = (0, 0);
        while refuted == 0 && claims < 600 {
            let Some((mut entry, examination)) = claim(&mut random) else { continue };
            if entry.claim.norm != Norm::ABSOLUTE {
                continue;
            }
            claims += 1;
            let weakened = bound(&examination, &entry);
            entry.claim.bound = Decimal::parse(&format!("{weakened:.9e}")).unwrap();
            refuted += u64::from(worst(&entry.program, &entry.claim, &examination, &mut random).0 > 1.0);
        }
        println!("{name}: refuted after {claims} claims");
        assert!(refuted > 0, "'{name}' was not refuted");
    }
}

/// A checker that examines every piece but one: the claim must be refuted there.
#[test]
fn a_skipped_piece_is_refuted() {
    let mut random = Random(17);
    let (mut claims, mut refuted) = (0, 0);
    while refuted < 10 && claims < 600 {
        let Some((entry, _)) = claim(&mut random) else { continue };
        let Window { low, high } = entry.claim.window;
        if high - low < 4 {
            continue;
        }
        let cut = random.between(low, high - 1);
        let pieces = [(low, cut), (cut + 1, high)].map(|(low, high)| {
            let claim = Claim { window: Window { low, high }, ..entry.claim.clone() };
            let examination = Examination::new(&entry, low, high, 12, false).ok()?;
            let bound = least_bound(&examination, &claim)?;
            Some((Claim { bound, ..claim }, examination))
        });
        let [Some((first, examined)), Some((second, skipped))] = pieces else { continue };
        claims += 1;
        for (claim, examination) in [(&first, &examined), (&second, &skipped)] {
            let (worst, _) = worst(&entry.program, claim, examination, &mut random);
            assert!(worst <= 1.0, "{worst} of the bound is attained:\n{}", entry.to_text());
        }
        let believed = Claim { bound: first.bound, ..second };
        refuted += u32::from(worst(&entry.program, &believed, &skipped, &mut random).0 > 1.0);
    }
    println!("a skipped piece: refuted {refuted} times in {claims} claims");
    assert!(refuted == 10);
}

/// The bound that `verify/README.md` derives by hand.
#[test]
fn the_bound_redone_by_hand() {
    use support::build::{OpDraft, sum64};
    let drafts = [OpDraft::Input, sum64(&[(1, 0, 0)], &[], 0, 17, 16), sum64(&[], &[(1, 0), (1, 1)], 65536, 0, 16)];
    let claim = support::bases::claim(Function::Exp, Norm::ABSOLUTE, (-256, 0), (-256, 0));
    let draft = Entry { claim, program: program(Ring::Z64, 16, &drafts) };
    let (entry, certificate) = support::prove::prove(&draft, &[support::prove::Cut(-256, 8, false)]).unwrap();
    let bound = entry.claim.bound.to_f64_lossy();
    assert!((1.526_87e-5..1.526_88e-5).contains(&bound), "{bound}");
    verify::check(entry, &certificate).unwrap();
}

/// What a certified entry reports beside its claim is proved, not stated.
#[test]
fn failures_and_ranges_are_recomputed() {
    use catalogs::{Failure, Lemma};
    use dashu::rational::RBig;
    use support::build::{OpDraft, SumDraft};
    let ring = Ring::Z64;
    let rounding = Rounding::FLOOR_OR_NEXT;
    let failure = Failure::AtMost(40);
    let truncation = Lemma::Truncation { ring, target: ring, shift: 16, window: Some(60), rounding, failure };
    let times = |value: u16| {
        let linear = vec![(65536, value)];
        let truncation = Some(truncation);
        OpDraft::Sum(SumDraft { ring, products: vec![], linear, constant: 0, truncation, scale: 16 })
    };
    let program = program(ring, 16, &[OpDraft::Input, times(0), times(1)]);
    let draft = Entry { claim: support::bases::claim(Function::Relu, Norm::ABSOLUTE, (5, 90), (5, 90)), program };
    let (entry, mut certificate) = support::prove::prove(&draft, &[support::prove::Cut(5, 2, false)]).unwrap();
    certificate.ranges[2] = Some((-1_000_000, i128::MAX));
    let unit = certificate.pieces[0].rounding.to_rational();
    certificate.pieces[0].rounding = Decimal::ONE;
    let certified = verify::check(entry, &certificate).unwrap();
    assert_eq!(certified.failure(), RBig::ONE / RBig::from(1u64 << 39));
    assert_eq!(certified.output_range(), (4, 92));
    assert!(*certified.rounding_part() <= unit);
}
