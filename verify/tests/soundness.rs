//! The checker against the evaluator: random programs over rings of 8 to 24 bits, random pieces, inputs and
//! adversaries. Every run must lie inside the models that `walk` proves for it, with the roundings that occurred put
//! in for the symbols, and every claim that `Examination::fits` accepts must hold at every input.
//!
//! The same comparison is made with deliberately weakened checkers, and must catch each of them.
//!
//! `CHEBYSHARE_FUZZ=n` multiplies the number of programs by n.

#![allow(clippy::unwrap_used)]

mod support;

use catalogs::evaluate::evaluate_into;
use catalogs::{Adversary, Failure, Lemma, Op, Program, Ring, Rounding, ValueId};
use dashu::integer::IBig;
use std::collections::{BTreeMap, HashMap};
use support::Random;
use support::build::{OpDraft, SumDraft, program};
use support::random_program::{Case, generate};
use verify::model::{FRACTION, Model};
use verify::walk::{Walk, walk};

/// Extra bits with which a model is evaluated at a point.
const GUARD: usize = 80;

fn effort() -> u64 {
    std::env::var("CHEBYSHARE_FUZZ").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// An adversary that chooses at random, with a bias, and remembers.
struct Recorder<'a> {
    random: &'a mut Random,
    /// 0: all low, 1: all high, otherwise at random.
    mode: i64,
    choices: Vec<i64>,
    /// How often something was outside its window, and inside a band.
    outside: u64,
    inside_band: u64,
}

impl Adversary for Recorder<'_> {
    fn rounding(&mut self, op: ValueId, _: i128, rounding: Rounding) -> i8 {
        let choice = match self.mode {
            0 => rounding.low,
            1 => rounding.high,
            2 => self.random.pick(&[rounding.low, rounding.high]),
            _ => self.random.between(i64::from(rounding.low), i64::from(rounding.high)) as i8,
        };
        self.choices[op.index()] = i64::from(choice);
        choice
    }
    fn outside(&mut self, _: ValueId, operand: i128, target: Ring) -> i128 {
        self.outside += 1;
        if self.random.chance(1, 3) { operand } else { target.residue(i128::from(self.random.next())) }
    }
    fn band(&mut self, _: ValueId, _: i128, exact: bool) -> bool {
        self.inside_band += 1;
        if self.mode == 0 { exact } else { self.random.chance(1, 2) ^ exact }
    }
}

/// What happened at one operation, in unbounded integers.
#[derive(Clone)]
struct Happened {
    /// The integer that the value stands for, congruent to the evaluator's value.
    value: IBig,
    /// Whether it depends on a result outside a window.
    unknown: bool,
    /// eᵢ of a truncation: (numerator, denominator).
    symbol: Option<(IBig, IBig)>,
}

fn fits(value: &IBig, bits: u8) -> bool {
    let limit = IBig::ONE << usize::from(bits);
    *value >= -&limit && *value < limit
}

/// One run of the evaluator, and its meaning in unbounded integers.
fn happened(program: &Program, values: &[i128], choices: &[i64]) -> Vec<Happened> {
    let mut all: Vec<Happened> = Vec::new();
    for (index, op) in program.ops().iter().enumerate() {
        let observed = IBig::from(values[index]);
        let plain = |value: IBig| Happened { value, unknown: false, symbol: None };
        let mut now = match op {
            Op::Input | Op::Sign { .. } | Op::Inject { .. } => plain(observed.clone()),
            Op::Sum(sum) => {
                let mut total = plain(IBig::from(sum.constant));
                for product in &sum.products {
                    let (a, b) = (&all[product.left.index()], &all[product.right.index()]);
                    total.value += &a.value * &b.value * IBig::from(product.coefficient);
                    let zero = |h: &Happened| !h.unknown && h.value == IBig::ZERO;
                    total.unknown |= (a.unknown && !zero(b)) || (b.unknown && !zero(a));
                }
                for term in &sum.linear {
                    total.value += &all[term.value.index()].value * IBig::from(term.coefficient);
                    total.unknown |= all[term.value.index()].unknown;
                }
                let lemma = sum.truncation.map(|id| *program.lemma(id));
                if let (Some(lemma), false) = (lemma, total.unknown) {
                    rounded(&lemma, total, choices[index])
                } else {
                    total
                }
            }
        };
        if now.unknown {
            now.value = observed;
        } else if let catalogs::program::Kind::Arithmetic(ring, _) = program.kind(ValueId(index as u16)) {
            assert_eq!((&now.value - &observed) % (IBig::ONE << usize::from(ring.bits())), IBig::ZERO, "not congruent");
        }
        all.push(now);
    }
    all
}

fn rounded(lemma: &Lemma, total: Happened, choice: i64) -> Happened {
    let Lemma::Truncation { ring, target, shift, window, rounding, .. } = *lemma else { panic!("not a truncation") };
    // A result modulo 2^(ring − shift) is right for every integer; one that keeps more bits needs the residue itself.
    let needs =
        if window.is_none() && target.bits() + shift <= ring.bits() { None } else { window.or(Some(ring.bits() - 1)) };
    if needs.is_some_and(|bits| !fits(&total.value, bits)) {
        return Happened { unknown: true, ..total };
    }
    let power = IBig::ONE << usize::from(shift);
    let floor = &total.value >> usize::from(shift);
    let rest = &total.value - &floor * &power;
    let (low, high) = (IBig::from(rounding.low), IBig::from(rounding.high));
    let numerator =
        IBig::from(2) * &power * IBig::from(choice) - IBig::from(2) * rest - ((&low + &high - 1) * &power + IBig::ONE);
    let denominator = (high - low + IBig::ONE) * power - IBig::ONE;
    Happened { value: floor + IBig::from(choice), unknown: false, symbol: Some((numerator, denominator)) }
}

/// Whether `value` is p(t) + Σ eᵢSᵢ(t) ± R with the eᵢ that occurred; exact but for 2^−80 units a term.
fn contains(model: &Model, case: &Case, x: i64, value: &IBig, all: &[Happened]) -> bool {
    let numerator = IBig::from(2 * i128::from(x) - i128::from(case.low) - i128::from(case.high));
    let denominator = IBig::from((i128::from(case.high) - i128::from(case.low)).max(1));
    // p(t)·denominator^(n−1)
    let at = |coefficients: &[IBig]| -> (IBig, IBig) {
        let mut power = IBig::ONE;
        let mut sum = IBig::ZERO;
        for c in coefficients.iter().rev() {
            sum = sum * &numerator + c * &power;
            power *= &denominator;
        }
        (sum, power)
    };
    // Horner with n coefficients multiplies the leading one by denominator^0 and the last by denominator^(n−1).
    let divided = |(sum, power): (IBig, IBig), by: &IBig| (sum << GUARD) * &denominator / (power * by);
    let mut rest = (value << (FRACTION + GUARD)) - divided(at(&model.polynomial.0), &IBig::ONE);
    for (index, symbol) in &model.symbols {
        let Some((e, scale)) = &all[*index].symbol else { return false };
        let (sum, power) = at(&symbol.0);
        rest -= divided((sum * e, power), scale);
    }
    let slack = IBig::from(2 * model.symbols.len() + 2);
    let limit = (&model.remainder << GUARD) + slack;
    rest <= limit && rest >= -limit
}

/// A checker, possibly weakened: by what it believes of the program, and by what it does with a model.
struct Checker {
    name: &'static str,
    believe: fn(&Case) -> Case,
    weaken: fn(&mut Model),
}

fn honest() -> Checker {
    Checker { name: "the checker", believe: Case::clone, weaken: |_| {} }
}

fn with_lemmas(case: &Case, change: fn(Lemma) -> Lemma) -> Case {
    let mut case = case.clone();
    for draft in &mut case.drafts {
        match draft {
            OpDraft::Sum(sum) => sum.truncation = sum.truncation.map(change),
            OpDraft::Sign(_, lemma) => *lemma = change(*lemma),
            OpDraft::Input | OpDraft::Inject(..) => {}
        }
    }
    case
}

/// Weakened checkers; each is caught below, or the comparison is worth nothing.
fn weakened() -> Vec<Checker> {
    let keep = |_: &mut Model| {};
    vec![
        Checker {
            name: "radii of roundings an eighth too small",
            believe: Case::clone,
            weaken: |model| {
                for symbol in model.symbols.values_mut() {
                    *symbol = symbol.times(&IBig::from(7)).shifted(3).0;
                }
            },
        },
        Checker { name: "no remainder", believe: Case::clone, weaken: |model| model.remainder = IBig::ZERO },
        Checker {
            name: "half the remainder",
            believe: Case::clone,
            weaken: |model| model.remainder = &model.remainder >> 1usize,
        },
        Checker {
            name: "one rounding forgotten",
            believe: Case::clone,
            weaken: |model| {
                model.symbols.pop_first();
            },
        },
        Checker {
            name: "no band of dropped bits",
            believe: |case| {
                with_lemmas(case, |lemma| match lemma {
                    Lemma::Sign { width, dropped, .. } => Lemma::Sign { width, dropped, operands: 1 },
                    other => other,
                })
            },
            weaken: keep,
        },
        Checker {
            name: "windows ignored",
            believe: |case| {
                with_lemmas(case, |lemma| match lemma {
                    Lemma::Truncation { ring, target, shift, rounding, failure, .. } => {
                        let window = Some(ring.bits() - 1);
                        Lemma::Truncation { ring, target, shift, window, rounding, failure }
                    }
                    other => other,
                })
            },
            weaken: keep,
        },
        Checker {
            name: "a narrow target believed to need no window",
            believe: |case| {
                with_lemmas(case, |lemma| match lemma {
                    Lemma::Truncation { ring, target, shift, window: None, rounding, failure } => {
                        let target = target.min(Ring::new((ring.bits() - shift).max(2)).unwrap());
                        Lemma::Truncation { ring, target, shift, window: None, rounding, failure }
                    }
                    other => other,
                })
            },
            weaken: keep,
        },
        Checker {
            name: "floor or floor − 1 instead of floor or floor + 1",
            believe: |case| {
                with_lemmas(case, |lemma| match lemma {
                    Lemma::Truncation { ring, target, shift, window, rounding, failure } if rounding.low > -3 => {
                        let rounding = Rounding { low: rounding.low - 1, high: rounding.high - 1 };
                        Lemma::Truncation { ring, target, shift, window, rounding, failure }
                    }
                    other => other,
                })
            },
            weaken: |model| {
                // Without the symbols the value is only known up to their sizes: the centre alone must be wrong.
                model.remainder += model.rounding_magnitude();
                model.symbols.clear();
            },
        },
        Checker {
            name: "signs looked at one bit higher",
            believe: |case| {
                with_lemmas(case, |lemma| match lemma {
                    Lemma::Sign { width, dropped, operands } => Lemma::Sign { width: width + 1, dropped, operands },
                    other => other,
                })
            },
            weaken: keep,
        },
        Checker {
            name: "rings that never wrap",
            believe: |case| {
                let mut case = case.clone();
                case.ring = Ring::Z64;
                for draft in &mut case.drafts {
                    match draft {
                        OpDraft::Sum(sum) => {
                            sum.ring = Ring::Z64;
                            if let Some(Lemma::Truncation { ring, target, window, .. }) = &mut sum.truncation {
                                *window = window.map(|_| 63);
                                *ring = Ring::Z64;
                                *target = Ring::Z64;
                            }
                        }
                        OpDraft::Inject(_, lemma) => *lemma = Lemma::Injection { ring: Ring::Z64 },
                        OpDraft::Input | OpDraft::Sign(..) => {}
                    }
                }
                case
            },
            weaken: keep,
        },
    ]
}

/// The case with its bits fixed: every sign and every injection becomes a constant.
fn fixed(case: &Case, bits: &HashMap<usize, i128>) -> Case {
    let constant = |ring: Ring, constant: i128| {
        OpDraft::Sum(SumDraft { ring, products: vec![], linear: vec![], constant, truncation: None, scale: 0 })
    };
    let mut fixed = case.clone();
    for index in 0..case.drafts.len() {
        fixed.drafts[index] = match &case.drafts[index] {
            OpDraft::Sign(..) => constant(Ring::Z64, bits[&index]),
            OpDraft::Inject(bit, Lemma::Injection { ring }) => constant(*ring, bits[&usize::from(*bit)]),
            other => other.clone(),
        };
    }
    fixed
}

/// What a checker proves of a case, and of it with bits fixed as they occurred.
struct Proved {
    case: Case,
    whole: Walk,
    by_bits: HashMap<Vec<i128>, Option<Walk>>,
}

impl Proved {
    fn new(checker: &Checker, case: &Case) -> Option<Proved> {
        let case = (checker.believe)(case);
        let mut whole = case_walk(&case).ok()?;
        whole.outputs.iter_mut().for_each(checker.weaken);
        Some(Proved { case, whole, by_bits: HashMap::new() })
    }

    /// What is wrong with the proof, seen from one run.
    fn objection(&mut self, checker: &Checker, x: i64, values: &[i128], all: &[Happened]) -> Option<String> {
        let output = all.last()?;
        if output.unknown {
            return Some("the output depends on a result outside a window".into());
        }
        if output.value != IBig::from(*values.last()?) {
            return Some("the output wrapped".into());
        }
        if !self.whole.outputs.iter().any(|model| contains(model, &self.case, x, &output.value, all)) {
            return Some("the output is in no model".into());
        }
        let signs = self.case.drafts.iter().enumerate().filter(|(_, draft)| matches!(draft, OpDraft::Sign(..)));
        let bits: HashMap<usize, i128> = signs.map(|(index, _)| (index, values[index])).collect();
        let mut key: Vec<(usize, i128)> = bits.iter().map(|(index, bit)| (*index, *bit)).collect();
        key.sort();
        let case = &self.case;
        let known = self.by_bits.entry(key.into_iter().map(|(_, bit)| bit).collect()).or_insert_with(|| {
            let mut walk = case_walk(&fixed(case, &bits)).ok()?;
            walk.outputs.iter_mut().for_each(checker.weaken);
            Some(walk)
        });
        let Some(known) = known else { return Some("bits that occur were not followed".into()) };
        if !contains(&known.outputs[0], &self.case, x, &output.value, all) {
            return Some("the output is not in the model of its bits".into());
        }
        for (index, range) in known.ranges.iter().enumerate() {
            let (Some((least, greatest)), Some((low, high))) = (range, &self.whole.ranges[index]) else { continue };
            let value = &all[index].value;
            if all[index].unknown {
                return Some(format!("v{index} is unknown but taken as live"));
            }
            if value < least || value > greatest || value < low || value > high {
                return Some(format!("v{index} is {value}, proved {least} to {greatest} of {low} to {high}"));
            }
        }
        None
    }
}

fn case_walk(case: &Case) -> Result<Walk, String> {
    let program = program(case.ring, case.scale, &case.drafts);
    walk(&program, case.low, case.high, case.degree).map_err(|obstacle| format!("{obstacle:?}"))
}

#[derive(Default, Debug)]
struct Tally {
    programs: u64,
    proved: u64,
    runs: u64,
    forks: u64,
    caught: u64,
    /// How often each kind of lemma was in a proved program, and each kind of run happened.
    seen: BTreeMap<String, u64>,
}

impl Tally {
    fn met(&mut self, what: &str, did: bool) {
        if did {
            *self.seen.entry(what.to_owned()).or_default() += 1;
        }
    }

    fn kinds(&mut self, case: &Case) {
        for draft in &case.drafts {
            match draft {
                OpDraft::Sum(SumDraft { truncation: Some(lemma), .. }) => self.truncation(lemma),
                OpDraft::Sum(_) => self.met("sum without truncation", true),
                OpDraft::Sign(_, Lemma::Sign { width, dropped, operands }) => {
                    self.met("sign of exact bits", *dropped == 0);
                    self.met("sign with dropped bits", *dropped > 0);
                    self.met("sign with a band", *dropped > 0 && *operands > 1);
                    self.met("sign of 2 bits", *width == 2);
                }
                OpDraft::Inject(_, Lemma::Injection { ring }) => {
                    self.met("injection into the input's ring", *ring == case.ring);
                    self.met("injection into another ring", *ring != case.ring);
                }
                _ => {}
            }
        }
    }

    fn truncation(&mut self, lemma: &Lemma) {
        let Lemma::Truncation { ring, target, shift, window, rounding, failure } = *lemma else { return };
        self.met(&format!("truncation with δ from {} to {}", rounding.low, rounding.high), true);
        self.met("truncation to the same ring", target == ring);
        self.met("truncation to a narrower ring", target < ring);
        self.met("truncation to a wider ring", target > ring);
        self.met("truncation of any value", window.is_none());
        self.met("truncation of any value modulo 2^(K − J)", window.is_none() && target.bits() + shift <= ring.bits());
        self.met("truncation of any residue", window.is_none() && target.bits() + shift > ring.bits());
        self.met("truncation inside a window", window.is_some_and(|bits| bits < ring.bits() - 1));
        self.met("truncation inside the ring", window == Some(ring.bits() - 1));
        self.met("truncation that may fail", matches!(failure, Failure::AtMost(_)));
        self.met("truncation that never fails", failure == Failure::Never);
    }
}

/// The kinds of lemmas and of runs that there are.
const KINDS: usize = 25;

/// Runs `programs` random cases under `checker`; stops at the first objection if `stop` says so.
fn fuzz(checker: &Checker, seed: u64, programs: u64, runs: i64, stop: bool) -> (Tally, Option<String>) {
    let mut random = Random(seed);
    let mut tally = Tally::default();
    for _ in 0..programs {
        let case = generate(&mut random, 24);
        tally.programs += 1;
        if !widths_fit(&(checker.believe)(&case)) {
            continue;
        }
        let Some(mut proved) = Proved::new(checker, &case) else { continue };
        tally.proved += 1;
        tally.forks += u64::from(proved.whole.outputs.len() > 1);
        tally.kinds(&case);
        let real = program(case.ring, case.scale, &case.drafts);
        let mut values = Vec::new();
        for run in 0..runs {
            let x = match run {
                0 => case.low,
                1 => case.high,
                _ => random.between(case.low, case.high),
            };
            let mode = random.between(0, 4);
            let choices = vec![0; real.ops().len()];
            let mut recorder = Recorder { random: &mut random, mode, choices, outside: 0, inside_band: 0 };
            evaluate_into(&real, i128::from(x), &mut recorder, &mut values);
            let Recorder { choices, outside, inside_band, .. } = recorder;
            let all = happened(&real, &values, &choices);
            tally.runs += 1;
            tally.met("run with a value outside a window", outside > 0);
            tally.met("run inside a band", inside_band > 0);
            let dead = all.iter().any(|one| one.unknown) && all.last().is_some_and(|one| !one.unknown);
            tally.met("run with a dead lane", dead);
            if let Some(objection) = proved.objection(checker, x, &values, &all) {
                tally.caught += 1;
                let text = format!("{objection}; x = {x}, choices {choices:?}, values {values:?}\n{case:#?}");
                if stop {
                    return (tally, Some(text));
                }
            }
        }
    }
    (tally, None)
}

/// Whether a changed belief still is a program: widths of signs inside rings.
fn widths_fit(case: &Case) -> bool {
    let ring = |index: u16| match &case.drafts[usize::from(index)] {
        OpDraft::Sum(SumDraft { truncation: Some(Lemma::Truncation { target, .. }), .. }) => *target,
        OpDraft::Sum(sum) => sum.ring,
        OpDraft::Inject(_, Lemma::Injection { ring }) => *ring,
        _ => case.ring,
    };
    case.drafts.iter().all(|draft| match draft {
        OpDraft::Sign(operand, Lemma::Sign { width, .. }) => *width <= ring(*operand).bits(),
        OpDraft::Sum(sum) => {
            let operands = sum.products.iter().flat_map(|p| [p.1, p.2]).chain(sum.linear.iter().map(|t| t.1));
            let lemma_fits = match sum.truncation {
                Some(Lemma::Truncation { ring, .. }) => ring == sum.ring,
                _ => true,
            };
            lemma_fits && operands.into_iter().all(|operand| ring(operand) >= sum.ring)
        }
        _ => true,
    })
}

#[test]
fn every_run_is_inside_its_proof() {
    let seed = 20_260_101;
    let (tally, objection) = fuzz(&honest(), seed, 30_000 * effort(), 24, true);
    println!(
        "seed {seed}: {} programs, {} proved, {} runs, {} forks",
        tally.programs, tally.proved, tally.runs, tally.forks
    );
    for (kind, count) in &tally.seen {
        println!("{count:9} {kind}");
    }
    assert!(objection.is_none(), "{}", objection.unwrap());
    assert_eq!(tally.seen.len(), KINDS, "a kind of lemma never occurred");
    assert!(tally.seen.values().all(|count| *count >= 100), "a kind of lemma hardly occurred: {:?}", tally.seen);
    assert!(tally.proved * 8 > tally.programs && tally.forks * 20 > tally.programs, "too few proofs: {tally:?}");
}

#[test]
fn weakened_checkers_are_caught() {
    for checker in weakened() {
        let (tally, objection) = fuzz(&checker, 7, 6000, 12, true);
        println!("{}: caught after {} programs, {} runs", checker.name, tally.programs, tally.runs);
        assert!(objection.is_some(), "'{}' was not caught: {tally:?}", checker.name);
    }
}
