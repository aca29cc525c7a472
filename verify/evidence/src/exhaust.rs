//! Exhaustion: the worst error of a program over every input of a window and every choice its lemmas leave open.
//!
//! Establishes, for [`Exhaustion`] with neither capped nor escaped inputs: the greatest error
//! |v − f| / (absolute + relative·|f|) over the window lies in [`Exhaustion::worst_error`], and [`Worst`] attains its
//! lower end. Assumes the definition of `catalogs::evaluate` (the worst case is replayed there) and MPFR's rounding.
//!
//! Inputs are taken in blocks of chunks; with [`Options::resume`] what was found so far is kept after each block.
//!
//! Per input, [`crate::states`] gives the extreme outputs (the error is convex in the output, so the extremes are
//! enough) and [`crate::fixed`] bounds f in integers. Inputs whose upper bound reaches the best lower bound remain
//! candidates, and those are enclosed again at [`REFINED_PRECISION`] bits.

use crate::EvidenceError;
use crate::choices::{Choices, Forget, Remember, Replay};
use crate::enclosure::enclose_dyadic;
use crate::fixed::Bounds;
use crate::interval::Interval;
use crate::prepare::{Prepared, Word};
use crate::resume::Checkpoint;
use crate::states::Propagation;
pub use crate::survey::Inputs;
use crate::survey::{Candidate, Measure, Survey};
use catalogs::{Claim, Decimal, Entry, Window, evaluate};
use rayon::prelude::*;
use rug::float::Round;
use rug::{Float, Rational};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// The most inputs that are exhausted; beyond them there are only [samples](mod@crate::sample).
pub const MAX_INPUTS: u128 = 1 << 24;
/// Precision of the final enclosures.
pub const REFINED_PRECISION: u32 = 256;
/// Inputs that one thread takes at a time.
pub(crate) const CHUNK: usize = 1024;
/// Chunks between two checkpoints. What the chunks of a block find does not depend on each other, so that the result is
/// the same with any number of threads, and whether a run was cut or not.
pub(crate) const BLOCK: usize = 256;

/// How to exhaust.
pub struct Options<'a> {
    /// More states than this at one input are not followed: the input is reported as capped, and the choices of a
    /// few adversaries are tried there instead.
    pub state_cap: usize,
    /// Called with (inputs done, inputs in all) from several threads.
    pub progress: &'a (dyn Fn(u64, u64) + Sync),
    /// A folder for what is found on the way: a run that was cut goes on from there, and finds the same.
    pub resume: Option<&'a Path>,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Options { state_cap: 4096, progress: &|_, _| {}, resume: None }
    }
}

/// A run of the program with a large error.
#[derive(Clone, Debug)]
pub struct Worst {
    /// The input integer.
    pub argument: i64,
    /// What the adversary did.
    pub choices: Choices,
    /// The output integer; `catalogs::evaluate` gives the same with these choices.
    pub output: i128,
    /// Its error in the claim's norm.
    pub error: Interval,
}

/// The result of an exhaustion.
#[derive(Clone, Debug)]
pub struct Exhaustion {
    /// The inputs that were exhausted, run by run.
    pub parts: Vec<Window>,
    /// How many they are.
    pub inputs: u64,
    /// The worst run found.
    pub worst: Worst,
    /// An enclosure of the worst error over all inputs and choices; `None` if inputs were capped (then only a lower
    /// bound is known: `worst.error`) or escaped (then there is no bound).
    pub worst_error: Option<Interval>,
    /// Inputs at which there were more states than the cap: only a few adversaries were tried there.
    pub capped: Inputs,
    /// Inputs at which the output can be anything, because a value outside a truncation's window reaches it.
    pub escaped: Inputs,
}

impl Exhaustion {
    /// Whether every error is proved to be at most `bound` (which may be a claimed bound).
    pub fn is_within(&self, bound: Decimal) -> bool {
        self.worst_error.as_ref().is_some_and(|error| *error.upper() <= to_rational(bound))
    }

    /// Whether some run is proved to have a larger error than `bound`.
    pub fn exceeds(&self, bound: Decimal) -> bool {
        *self.worst.error.lower() > to_rational(bound)
    }

    /// Whether some run is proved to have at least the error `bound` (which may be that of a witness).
    pub fn reaches(&self, bound: Decimal) -> bool {
        *self.worst.error.lower() >= to_rational(bound)
    }
}

/// Exhausts `entry` over `window`, a part of its claim's window with at most [`MAX_INPUTS`] inputs.
pub fn exhaust(entry: &Entry, window: Window, options: &Options) -> Result<Exhaustion, EvidenceError> {
    exhaust_parts(entry, &[window], options)
}

/// Exhausts `entry` over `parts`, one or more disjoint runs of its claim's window with at most [`MAX_INPUTS`] inputs
/// in all. What is found holds for these inputs: an exhaustion of the claim only if they tile its window.
pub fn exhaust_parts(entry: &Entry, parts: &[Window], options: &Options) -> Result<Exhaustion, EvidenceError> {
    let inputs = parts.iter().map(Window::size).fold(0u128, u128::saturating_add);
    if inputs > MAX_INPUTS {
        return Err(EvidenceError::TooManyInputs { inputs, limit: MAX_INPUTS });
    }
    if parts.is_empty() {
        return Err(EvidenceError::NoInputs);
    }
    parts.iter().try_for_each(|part| check_window(entry, *part))?;
    match entry.program.widest_ring().bits() {
        0..=64 => exhaust_words::<i64>(entry, parts, options),
        _ => exhaust_words::<i128>(entry, parts, options),
    }
}

fn exhaust_words<W: Word>(entry: &Entry, parts: &[Window], options: &Options) -> Result<Exhaustion, EvidenceError> {
    let prepared = Prepared::<W>::new(&entry.program)?;
    let chunks = chunks(parts);
    let checkpoint =
        options.resume.map(|folder| Checkpoint::open(folder, entry, parts, options.state_cap)).transpose()?;
    let run = match prepared.lanes() {
        0..=2 => survey::<W, 2>,
        3..=4 => survey::<W, 4>,
        5..=6 => survey::<W, 6>,
        7..=8 => survey::<W, 8>,
        9..=16 => survey::<W, 16>,
        17..=32 => survey::<W, 32>,
        _ => survey::<W, { crate::prepare::MAX_LANES }>,
    };
    let survey = run(entry, &chunks, &prepared, options, checkpoint.as_ref())?;
    let (worst, worst_error) = conclude(entry, &prepared, options.state_cap, &survey)?;
    let inputs = parts.iter().map(|part| part.size() as u64).sum();
    let parts = parts.to_vec();
    Ok(Exhaustion { parts, inputs, worst, worst_error, capped: survey.capped, escaped: survey.escaped })
}

/// First input and length of runs of at most `CHUNK` inputs, which tile `parts`.
fn chunks(parts: &[Window]) -> Vec<(i64, usize)> {
    let starts = parts.iter().flat_map(|part| {
        (0..part.size() as u64).step_by(CHUNK).map(move |start| {
            let first = (i128::from(part.low) + i128::from(start)) as i64;
            (first, (part.size() as u64 - start).min(CHUNK as u64) as usize)
        })
    });
    starts.collect()
}

/// Refuses a window that is empty or not covered by the claim.
pub(crate) fn check_window(entry: &Entry, window: Window) -> Result<(), EvidenceError> {
    let claimed = entry.claim.window;
    if window.low > window.high || !claimed.covers(&window) {
        return Err(EvidenceError::OutsideWindow {
            low: window.low,
            high: window.high,
            window_low: claimed.low,
            window_high: claimed.high,
        });
    }
    Ok(())
}

fn survey<W: Word, const LANES: usize>(
    entry: &Entry,
    chunks: &[(i64, usize)],
    prepared: &Prepared<W>,
    options: &Options,
    checkpoint: Option<&Checkpoint>,
) -> Result<Survey, EvidenceError> {
    let length = |chunks: &[(i64, usize)]| chunks.iter().map(|&(_, length)| length as u64).sum::<u64>();
    let inputs = length(chunks);
    let measure = Measure::new(entry);
    let blocks: Vec<&[(i64, usize)]> = chunks.chunks(BLOCK).collect();
    let (first, mut found) = match checkpoint.map(Checkpoint::read).transpose()?.flatten() {
        Some((blocks_done, found)) => {
            let visited = &chunks[..chunks.len().min(blocks_done.saturating_mul(BLOCK))];
            let of_visited = |argument: i64| {
                let offset = |first: i64| i128::from(argument) - i128::from(first);
                visited.iter().any(|&(first, length)| (0..length as i128).contains(&offset(first)))
            };
            let possible = (1..=blocks.len()).contains(&blocks_done)
                && !found.candidates.is_empty()
                && found.candidates.iter().all(|candidate| of_visited(candidate.argument));
            if let (false, Some(checkpoint)) = (possible, checkpoint) {
                return Err(checkpoint.refused());
            }
            (blocks_done, found)
        }
        None => (0, Survey::default()),
    };
    let done = AtomicU64::new(length(&chunks[..chunks.len().min(first * BLOCK)]));
    for (index, block) in blocks.iter().enumerate().skip(first) {
        let best = found.best;
        let surveys = block.par_iter().map_init(
            || {
                (
                    Propagation::<W, LANES, Forget>::new(prepared, options.state_cap, Forget),
                    vec![Bounds::default(); CHUNK],
                )
            },
            |(propagation, buffer), &(first, length)| {
                measure.target.fill(first, &mut buffer[..length])?;
                let mut survey = Survey { best, ..Survey::default() };
                for (argument, bounds) in (first..=i64::MAX).zip(&buffer[..length]) {
                    survey.visit(entry, &measure, propagation, argument, *bounds);
                }
                let total = done.fetch_add(length as u64, Ordering::Relaxed) + length as u64;
                (options.progress)(total, inputs);
                Ok(survey)
            },
        );
        // Joined in order, whoever was first.
        found = surveys.collect::<Result<Vec<_>, EvidenceError>>()?.into_iter().fold(found, Survey::join);
        if let Some(checkpoint) = checkpoint {
            checkpoint.write(index + 1, &found)?;
        }
    }
    (options.progress)(inputs, inputs);
    Ok(found)
}

/// An enclosure of the error of `output` at `argument` in the norm of `claim`; its upper end is infinite where the
/// norm's weight may vanish and the output may differ from f. `None` where f is not defined.
pub fn error_at(claim: &Claim, input_scale: u8, output_scale: u8, argument: i64, output: i128) -> Option<Interval> {
    let value = enclose_dyadic(&claim.function, argument.into(), input_scale, REFINED_PRECISION)?;
    let output = Interval::dyadic(output, output_scale, REFINED_PRECISION);
    let distance = output.subtract(&value).absolute();
    let weight = |weight: Decimal| Interval::rational(&to_rational(weight), REFINED_PRECISION);
    let total = weight(claim.norm.absolute).add(&weight(claim.norm.relative).multiply(&value.absolute()));
    if distance.magnitude().is_zero() {
        return Some(Interval::integer(0, REFINED_PRECISION));
    }
    match total.reciprocal() {
        Some(inverse) => Some(distance.multiply(&inverse)),
        None => {
            let infinite = Float::with_val(REFINED_PRECISION, rug::float::Special::Infinity);
            let lower = if total.upper().is_zero() {
                infinite.clone()
            } else {
                Float::with_val_round(REFINED_PRECISION, distance.lower() / total.upper(), Round::Down).0
            };
            Interval::new(lower, infinite)
        }
    }
}

/// Refines the candidates, and finds the choices that attain the worst of them.
pub(crate) fn conclude<W: Word>(
    entry: &Entry,
    prepared: &Prepared<W>,
    state_cap: usize,
    survey: &Survey,
) -> Result<(Worst, Option<Interval>), EvidenceError> {
    let (claim, program) = (&entry.claim, &entry.program);
    let (input_scale, output_scale) = (program.input().1.bits(), program.output().1.bits());
    let mut worst: Option<(Interval, Candidate)> = None;
    let mut upper = Float::with_val_round(REFINED_PRECISION, survey.dropped, Round::Up).0;
    for candidate in &survey.candidates {
        let error = error_at(claim, input_scale, output_scale, candidate.argument, candidate.output).ok_or(
            EvidenceError::Undefined {
                function: claim.function.clone(),
                argument: candidate.argument,
                scale: input_scale,
            },
        )?;
        if *error.upper() > upper {
            upper = error.upper().clone();
        }
        // Of equal errors the one at the least input: the order of candidates does not matter.
        let place = |candidate: &Candidate| (candidate.argument, candidate.output);
        let better = |(best, known): &(Interval, Candidate)| {
            error.lower() > best.lower() || (error.lower() == best.lower() && place(candidate) < place(known))
        };
        if worst.as_ref().is_none_or(better) {
            worst = Some((error, *candidate));
        }
    }
    let (error, candidate) = worst.expect("a window is not empty, and the first input is always a candidate");
    let choices = find_choices(entry, prepared, state_cap, candidate.argument, candidate.output)?;
    let complete = survey.capped.count == 0 && survey.escaped.count == 0;
    let worst_error = if complete { Interval::new(error.lower().clone(), upper) } else { None };
    Ok((Worst { argument: candidate.argument, choices, output: candidate.output, error }, worst_error))
}

/// The choices that make the program give `output` at `argument`, replayed by the evaluator.
fn find_choices<W: Word>(
    entry: &Entry,
    prepared: &Prepared<W>,
    state_cap: usize,
    argument: i64,
    output: i128,
) -> Result<Choices, EvidenceError> {
    let mut propagation =
        Propagation::<W, { crate::prepare::MAX_LANES }, Remember>::new(prepared, state_cap, Remember::default());
    let choices = match propagation.run(argument) {
        Ok(outputs) if !outputs.escaped => {
            let end = if outputs.least.0 == output { outputs.least } else { outputs.greatest };
            propagation.history.choices(end.1)
        }
        _ => crate::sample::recorded(entry, argument, output),
    };
    let replayed = evaluate(&entry.program, argument.into(), &mut Replay(&choices));
    if replayed != output {
        return Err(EvidenceError::Replay { argument, found: output, replayed });
    }
    Ok(choices)
}

pub(crate) fn to_rational(value: Decimal) -> Rational {
    Rational::from_str_radix(&value.to_rational().to_string(), 10)
        .expect("an exact rational prints as numerator/denominator")
}
