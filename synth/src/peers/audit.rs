//! One row of the audit: what is certified of a peer's program, what it does, what it costs, and what we have instead.

use super::measure::{Meter, Rounds};
use super::prove::{PeerError, claim, name};
use super::recipe::{Audited, Failing, Recipe};
use super::{elaborate, window};
use crate::peers::recipe::Right;
use catalogs::protocol::{Cost, cost, rss3::Rss3};
use catalogs::{Catalog, Decimal, Entry, Failure, Function, Lemma, Op};
use rug::Rational;
use verify::Certified;

/// Inputs of a window that are run, and again of its part near zero.
pub const INPUTS: u64 = 501;
/// How much more than its window's error counts as a failure beyond the window.
const FAILING_FACTOR: f64 = 4.0;
/// How far beyond its window a program is followed, in real numbers.
const REACH: i64 = 1 << 14;

/// A certified program of ours beside a peer's.
#[derive(Clone, PartialEq, Debug)]
pub struct Ours {
    /// Its name, with the catalog it is in.
    pub name: String,
    /// The certified bound in the peer's norm, as it is written.
    pub bound: String,
    /// Cost under the same model.
    pub cost: Cost,
    /// Whether it is at least as accurate, with fewer bytes and no more rounds.
    pub beats: bool,
}

/// What is known of a recipe on one of its windows.
#[derive(Clone, PartialEq, Debug)]
pub struct Row {
    /// FUNCTION/STEM-WINDOW.
    pub name: String,
    /// The certified bound, if there is one.
    pub certified: Option<String>,
    /// log₂ of the certified bound on the failure probability of one element; `None` if it cannot fail.
    pub failure: Option<f64>,
    /// The largest error seen, its argument, and the largest with roundings as drawn.
    pub measured: (f64, f64, f64),
    /// Inputs that were run.
    pub inputs: u64,
    /// Cost of the peer's program in our runtime.
    pub cost: Cost,
    /// Our answer.
    pub ours: Option<Ours>,
}

/// The catalogs that rows are made of.
pub struct Catalogs {
    /// Peers' entries.
    pub theirs: Catalog,
    /// Our answers to them.
    pub answers: Catalog,
    /// The shipped catalog.
    pub shipped: Catalog,
}

/// What our search is asked to do better: the published entry, or what was seen of the program if there is none.
pub fn asked(theirs: &Catalog, recipe: &Recipe, audited: &Audited) -> Result<Entry, PeerError> {
    let wrong = |reason: String| PeerError::Claim { stem: recipe.stem.clone(), reason };
    match theirs.find(&name(recipe, audited)) {
        Ok((_, published)) => Entry::parse(&published.entry).map_err(|reason| wrong(reason.to_string())),
        Err(_) => {
            let mut draft = claim(recipe, audited)?;
            let seen = Meter::new(&draft).measure(INPUTS).worst;
            let seen = Decimal::parse(&format!("{seen:.5e}")).ok_or_else(|| wrong(format!("an error of {seen}")))?;
            draft.claim.bound = seen;
            Ok(draft)
        }
    }
}

impl Catalogs {
    fn certified(catalog: &Catalog, name: &str) -> Option<Result<Certified, String>> {
        let (_, published) = catalog.iter().find(|(known, _)| *known == name)?;
        Some(verify::check_texts(&published.entry, &published.certificate).map_err(|reason| reason.to_string()))
    }

    /// The row of a recipe's window. An entry that is not the recipe's program, or that the checker rejects, is an error.
    pub fn row(&self, recipe: &Recipe, audited: &Audited) -> Result<Row, PeerError> {
        let wrong = |reason: String| PeerError::Claim { stem: recipe.stem.clone(), reason };
        let draft = claim(recipe, audited)?;
        let name = name(recipe, audited);
        let certified = Self::certified(&self.theirs, &name).transpose().map_err(wrong)?;
        if let Some(certified) = &certified {
            same_program(certified.entry(), &draft).map_err(wrong)?;
        }
        let entry = certified.as_ref().map_or(&draft, |certified| certified.entry());
        let found = Meter::new(entry).measure(INPUTS);
        let cost = cost(&entry.program, &Rss3);
        let bound = certified.as_ref().map_or(found.worst, |certified| certified.entry().claim.bound.to_f64_lossy());
        Ok(Row {
            certified: certified.as_ref().map(|certified| certified.entry().claim.bound.to_string()),
            failure: certified.as_ref().and_then(|certified| failure(certified.entry())),
            measured: (found.worst, found.input as f64 / unit(recipe), found.drawn),
            inputs: found.inputs,
            ours: self.ours(&name, entry, bound, cost).map_err(wrong)?,
            name,
            cost,
        })
    }

    /// Of ours that are as accurate the cheapest one with no more rounds than the peer's; else the one with the fewest.
    fn ours(&self, name: &str, entry: &Entry, bound: f64, peer: Cost) -> Result<Option<Ours>, String> {
        let mut found: Vec<Ours> = Vec::new();
        let answer = Self::certified(&self.answers, name).transpose()?;
        if let Some(certified) = &answer {
            found.extend(offered(&format!("ours/{name}"), certified.entry(), entry, (bound, peer)));
        }
        let folder = format!("{}/", entry.claim.function.name());
        for (known, published) in self.shipped.iter().filter(|(known, _)| known.starts_with(&folder)) {
            let shipped = Entry::parse(&published.entry).map_err(|reason| reason.to_string())?;
            if is_as_fine(&shipped, entry)
                && covers(&shipped, entry)
                && in_norm_of(&shipped, entry).is_some_and(|own| own <= bound)
            {
                let certified = verify::check_texts(&published.entry, &published.certificate);
                let certified = certified.map_err(|reason| reason.to_string())?;
                found.extend(offered(known, certified.entry(), entry, (bound, peer)));
            }
        }
        let more_rounds = |ours: &Ours| Some(ours.cost.rounds).filter(|rounds| *rounds > peer.rounds);
        found.sort_by_key(|ours| (more_rounds(ours), ours.cost.bits));
        Ok(found.into_iter().next())
    }
}

/// The fraction bits that are asked of ours where a peer has more: those that models have where nothing is said.
const USUAL_BITS: u8 = 16;

/// Whether `ours` has as many fraction bits as `theirs`, or the usual number: one of fewer is another format's program, and
/// cheaper for that.
fn is_as_fine(ours: &Entry, theirs: &Entry) -> bool {
    let scales = |entry: &Entry| [entry.program.input().1, entry.program.output().1].map(|scale| scale.bits());
    scales(ours).into_iter().zip(scales(theirs)).all(|(own, peer)| own >= peer.min(USUAL_BITS))
}

/// An entry of ours beside `theirs`, whose error and cost are given; none if it is less accurate.
fn offered(name: &str, entry: &Entry, theirs: &Entry, (bound, peer): (f64, Cost)) -> Option<Ours> {
    let own = in_norm_of(entry, theirs).filter(|own| *own <= bound)?;
    let cost = cost(&entry.program, &Rss3);
    let beats = cost.bits < peer.bits && cost.rounds <= peer.rounds;
    let text = match entry.claim.norm == theirs.claim.norm {
        true => entry.claim.bound.to_string(),
        false => format!("{own:.5e}"),
    };
    Some(Ours { name: name.to_owned(), bound: text, cost, beats })
}

/// The certified bound of `ours` in the norm of `theirs`: its own, or for an exponential of arguments up to zero, whose value
/// is at most one, the sum of its norm's weights times it.
fn in_norm_of(ours: &Entry, theirs: &Entry) -> Option<f64> {
    let (norm, bound) = (&ours.claim.norm, ours.claim.bound.to_f64_lossy());
    if *norm == theirs.claim.norm {
        return Some(bound);
    }
    let wanted = &theirs.claim.norm;
    let is_absolute = wanted.absolute == Decimal::ONE && wanted.relative == Decimal::ZERO;
    let is_bounded = ours.claim.function == Function::Exp && theirs.claim.window.high <= 0;
    // A little more than double precision can lose.
    let weight = norm.absolute.to_f64_lossy() + norm.relative.to_f64_lossy();
    (is_absolute && is_bounded).then_some(bound * weight * (1.0 + 1e-12))
}

/// Whether `ours` serves wherever `theirs` does.
fn covers(ours: &Entry, theirs: &Entry) -> bool {
    let real = |entry: &Entry| {
        let scale = u32::from(entry.program.input().1.bits());
        [entry.claim.window.low, entry.claim.window.high].map(|end| Rational::from(end) >> scale)
    };
    let ([a, b], [c, d]) = (real(ours), real(theirs));
    // A window ends between two inputs of a coarser format: what lies there has no input.
    let step = Rational::from((1, 1)) >> u32::from(ours.program.input().1.bits());
    a <= Rational::from(&c + &step) && Rational::from(&d - &step) <= b
}

/// The programs are equal but for windows and failures of truncations.
fn same_program(published: &Entry, draft: &Entry) -> Result<(), String> {
    let plain = |entry: &Entry| -> Vec<(Op, Option<Lemma>)> {
        let lemma = |op: &Op| match op {
            Op::Sum(sum) => sum.truncation,
            Op::Sign { lemma, .. } | Op::Inject { lemma, .. } => Some(*lemma),
            Op::Input => None,
        };
        let strip = |op: &Op| match op {
            Op::Sum(sum) => Op::Sum(catalogs::Sum { truncation: None, ..sum.clone() }),
            Op::Sign { operand, .. } => Op::Sign { operand: *operand, lemma: catalogs::LemmaId(0) },
            Op::Inject { bit, .. } => Op::Inject { bit: *bit, lemma: catalogs::LemmaId(0) },
            Op::Input => Op::Input,
        };
        let stated = |op: &Op| {
            lemma(op).map(|id| match *entry.program.lemma(id) {
                Lemma::Truncation { ring, target, shift, rounding, .. } => {
                    Lemma::Truncation { ring, target, shift, window: None, rounding, failure: Failure::Never }
                }
                other => other,
            })
        };
        entry.program.ops().iter().map(|op| (strip(op), stated(op))).collect()
    };
    if published.claim.window != draft.claim.window || plain(published) != plain(draft) {
        return Err("the published entry is another program than the recipe's; publish it again".to_owned());
    }
    Ok(())
}

/// log₂ of the sum of the failure probabilities.
fn failure(entry: &Entry) -> Option<f64> {
    let program = &entry.program;
    let each = program.ops().iter().filter_map(|op| match op {
        Op::Sum(sum) => match sum.truncation.map(|lemma| *program.lemma(lemma)) {
            Some(Lemma::Truncation { failure: Failure::AtMost(bits), .. }) => Some(2f64.powi(-i32::from(bits))),
            _ => None,
        },
        _ => None,
    });
    let sum: f64 = each.sum();
    (sum > 0.0).then(|| sum.log2())
}

fn unit(recipe: &Recipe) -> f64 {
    2f64.powi(i32::from(recipe.scale))
}

/// What a recipe's program gives beyond its windows: nothing of it is an error message.
#[derive(Clone, PartialEq, Debug)]
pub struct Beyond {
    /// Arguments, what the program gives with every rounding down, and what the function is.
    pub probes: Vec<(f64, f64, Option<f64>)>,
    /// The first arguments below and above the widest window whose error is more than four times the window's.
    pub fails: [Option<f64>; 2],
    /// The error that counts as a failure.
    pub limit: f64,
}

/// Follows a recipe beyond its widest window. Programs with thresholds made for a window are not followed.
pub fn beyond(recipe: &Recipe) -> Result<Beyond, PeerError> {
    let width = |audited: &&Audited| Rational::from(&audited.high - &audited.low);
    let widest = recipe.windows.iter().max_by(|a, b| width(a).cmp(&width(b)));
    let widest = widest.ok_or_else(|| PeerError::Claim { stem: recipe.stem.clone(), reason: "no window".into() })?;
    let inner = claim(recipe, widest)?;
    let reach = Rational::from(REACH);
    let wide = window(&Rational::from(-&reach), &reach, recipe.scale);
    let program = wide.map(|wide| elaborate(recipe, wide));
    let program = match program {
        Some(program) => program.map_err(|reason| PeerError::Elaboration { stem: recipe.stem.clone(), reason })?,
        None => inner.program.clone(),
    };
    let followed = Entry { claim: inner.claim.clone(), program };
    let meter = Meter::new(&followed);
    let limit = FAILING_FACTOR * Meter::new(&inner).measure(INPUTS).worst;
    let is_fixed = recipe.statements.iter().any(|statement| match &statement.right {
        Right::Steps { .. } => true,
        Right::Less { range, .. } => range.is_some(),
        _ => false,
    });
    let far = REACH.saturating_mul(unit(recipe) as i64);
    let fails = |sign: i64| {
        let found = if is_fixed { None } else { meter.fails_beyond(sign, limit, far) };
        found.map(|input| input as f64 / unit(recipe))
    };
    let probes = recipe.probes.iter().map(|probe| {
        let input = (probe.to_f64() * unit(recipe)).round() as i64;
        (probe.to_f64(), meter.value(input, Rounds::Down), meter.function(input))
    });
    Ok(Beyond { probes: probes.collect(), fails: [fails(-1), fails(1)], limit })
}

/// What a truncation may do besides rounding, in words.
pub fn failing(recipe: &Recipe) -> &'static str {
    match recipe.failing {
        Failing::Never => "does not fail inside a quarter of the ring",
        Failing::TwoShares => "fails where the two shares wrap",
        Failing::MaskedOpening => "fails where the mask wraps",
    }
}
