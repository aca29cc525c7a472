//! Samples of windows that are too large to exhaust: *not* a proof, and never called an exhaustion.
//!
//! At each sampled input the outputs are still exact over all choices (see [`crate::states`]); what is sampled is
//! the inputs: both ends of the window and of the fitted interval with their neighbours, and for every power of two
//! a number of points between it and the next, on either side of zero.

use crate::EvidenceError;
use crate::choices::{Choice, Choices, Forget};
use crate::exhaust::{Inputs, Options, Worst, check_window, conclude};
use crate::prepare::{Prepared, Word};
use crate::states::Propagation;
use crate::survey::{Measure, Survey};
use catalogs::{Adversary, Entry, Ring, Rounding, ValueId, Window, evaluate};
use std::collections::BTreeSet;

/// Which inputs to sample.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Strata {
    /// Points in each [2^i, 2^(i+1)) of either sign.
    pub points_per_octave: u32,
    /// Neighbours of every end point and of zero.
    pub neighbours: u32,
    /// Of the pseudo-random choice of points.
    pub seed: u64,
}

/// The worst of a sample: a lower bound of the worst error, nothing more.
#[derive(Clone, Debug)]
pub struct Sampling {
    /// The window that was sampled.
    pub window: Window,
    /// How many inputs were visited.
    pub samples: u64,
    /// The worst run among them.
    pub worst: Worst,
    /// Sampled inputs with too many states.
    pub capped: Inputs,
    /// Sampled inputs at which the output can be anything.
    pub escaped: Inputs,
}

/// Visits the strata of `window`, a part of the claim's window of any size.
pub fn sample(entry: &Entry, window: Window, strata: Strata, options: &Options) -> Result<Sampling, EvidenceError> {
    check_window(entry, window)?;
    match entry.program.widest_ring().bits() {
        0..=64 => sample_words::<i64>(entry, window, strata, options),
        _ => sample_words::<i128>(entry, window, strata, options),
    }
}

fn sample_words<W: Word>(
    entry: &Entry,
    window: Window,
    strata: Strata,
    options: &Options,
) -> Result<Sampling, EvidenceError> {
    let prepared = Prepared::<W>::new(&entry.program)?;
    match prepared.lanes() {
        0..=32 => sample_lanes::<W, 32>(entry, &prepared, window, strata, options),
        _ => sample_lanes::<W, { crate::prepare::MAX_LANES }>(entry, &prepared, window, strata, options),
    }
}

fn sample_lanes<W: Word, const LANES: usize>(
    entry: &Entry,
    prepared: &Prepared<W>,
    window: Window,
    strata: Strata,
    options: &Options,
) -> Result<Sampling, EvidenceError> {
    let measure = Measure::new(entry);
    let arguments = arguments(entry, window, strata);
    let mut survey = Survey::default();
    let mut propagation = Propagation::<W, LANES, Forget>::new(prepared, options.state_cap, Forget);
    for (index, argument) in arguments.iter().enumerate() {
        let bounds = measure.target.point(*argument)?;
        survey.visit(entry, &measure, &mut propagation, *argument, bounds);
        (options.progress)(index as u64 + 1, arguments.len() as u64);
    }
    let (worst, _) = conclude(entry, prepared, options.state_cap, &survey)?;
    Ok(Sampling { window, samples: arguments.len() as u64, worst, capped: survey.capped, escaped: survey.escaped })
}

fn arguments(entry: &Entry, window: Window, strata: Strata) -> BTreeSet<i64> {
    let mut chosen = BTreeSet::new();
    let reach = i64::from(strata.neighbours);
    let fitted = entry.claim.fitted;
    for end in [window.low, window.high, fitted.low, fitted.high, 0] {
        chosen.extend((-reach..=reach).filter_map(|offset| end.checked_add(offset)));
    }
    let mut words = Words(strata.seed);
    for octave in 0..63 {
        for _ in 0..strata.points_per_octave {
            let magnitude = (1i64 << octave) + (words.next() & ((1u64 << octave) - 1)) as i64;
            chosen.extend([magnitude, -magnitude]);
        }
    }
    chosen.into_iter().filter(|argument| window.contains((*argument).into())).collect()
}

/// splitmix64: pseudo-random words for choosing tests, not for secrets.
#[derive(Clone, Debug)]
pub(crate) struct Words(pub(crate) u64);

impl Words {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }
}

/// One of a few adversaries: number 0 always rounds down, number 1 always up, the others by a seed.
#[derive(Clone, Debug)]
pub(crate) struct Seeded {
    words: Words,
    number: u64,
    choices: Choices,
}

impl Seeded {
    pub(crate) fn new(seed: u64, number: u64) -> Seeded {
        Seeded { words: Words(seed), number, choices: Vec::new() }
    }
    fn coin(&mut self) -> u64 {
        match self.number {
            0 => 0,
            1 => u64::MAX,
            _ => self.words.next(),
        }
    }
}

impl Adversary for Seeded {
    fn rounding(&mut self, op: ValueId, _: i128, rounding: Rounding) -> i8 {
        let span = (rounding.high - rounding.low) as u64 + 1;
        let delta = match self.coin() {
            u64::MAX => rounding.high,
            word => rounding.low + (word % span) as i8,
        };
        self.choices.push((op, Choice::Rounding(delta)));
        delta
    }
    fn outside(&mut self, op: ValueId, operand: i128, _: Ring) -> i128 {
        operand ^ 0x5a5a_5a5a ^ i128::from(op.0)
    }
    fn band(&mut self, op: ValueId, _: i128, _: bool) -> bool {
        let bit = self.coin() & 1 == 1;
        self.choices.push((op, Choice::Bit(bit)));
        bit
    }
}

/// Extreme outputs under [`Seeded`] adversaries: an inner approximation for capped inputs.
pub(crate) fn tried_outputs(entry: &Entry, argument: i64) -> (i128, i128) {
    let outputs = (0..ADVERSARIES).map(|number| tried(entry, argument, number).0);
    outputs.fold((i128::MAX, i128::MIN), |(least, greatest), output| (least.min(output), greatest.max(output)))
}

/// The choices of the [`Seeded`] adversary that gives `output`.
pub(crate) fn recorded(entry: &Entry, argument: i64, output: i128) -> Choices {
    let mut tried = (0..ADVERSARIES).map(|number| tried(entry, argument, number));
    tried.find(|(found, _)| *found == output).map(|(_, choices)| choices).unwrap_or_default()
}

const ADVERSARIES: u64 = 18;

fn tried(entry: &Entry, argument: i64, number: u64) -> (i128, Choices) {
    let mut adversary = Seeded::new(argument as u64 ^ (number << 58), number);
    let output = evaluate(&entry.program, argument.into(), &mut adversary);
    (output, adversary.choices)
}
