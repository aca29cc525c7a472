//! What is known of a set of inputs on the way to the worst error: a lower bound of it, and every input that may exceed it.
//!
//! Establishes: a [`Survey`] of inputs depends on those inputs and on the order in which they were visited and joined,
//! on nothing else; [`mod@crate::exhaust`] fixes that order, so that a run that was cut and resumed finds the same.

use crate::choices::Forget;
use crate::exhaust::to_rational;
use crate::fixed::{Bounds, GUARD, Target};
use crate::prepare::Word;
use crate::states::Propagation;
use catalogs::{Decimal, Entry};

const MAX_CANDIDATES: usize = 1024;
const LISTED: usize = 16;

/// How many inputs, and the first few of them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Inputs {
    /// How many.
    pub count: u64,
    /// The least of them, at most 16.
    pub first: Vec<i64>,
}

impl Inputs {
    pub(crate) fn push(&mut self, argument: i64) {
        self.count += 1;
        self.first.push(argument);
        self.trim();
    }
    fn join(&mut self, other: Inputs) {
        self.count += other.count;
        self.first.extend(other.first);
        self.trim();
    }
    fn trim(&mut self) {
        self.first.sort_unstable();
        self.first.truncate(LISTED);
    }
}

/// One input and output whose error may be the worst.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    pub(crate) upper: f64,
    pub(crate) argument: i64,
    pub(crate) output: i128,
}

/// What is known of a set of inputs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Survey {
    /// A lower bound of the worst error.
    pub(crate) best: f64,
    /// Everything that may exceed it, up to `MAX_CANDIDATES`.
    pub(crate) candidates: Vec<Candidate>,
    /// An upper bound of the error of candidates that were dropped because they were too many.
    pub(crate) dropped: f64,
    pub(crate) capped: Inputs,
    pub(crate) escaped: Inputs,
}

impl Survey {
    pub(crate) fn visit<W: Word, const LANES: usize>(
        &mut self,
        entry: &Entry,
        measure: &Measure,
        propagation: &mut Propagation<W, LANES, Forget>,
        argument: i64,
        bounds: Bounds,
    ) {
        let (least, greatest) = match propagation.run(argument) {
            Ok(outputs) => {
                if outputs.escaped {
                    self.escaped.push(argument);
                    crate::sample::tried_outputs(entry, argument)
                } else {
                    (outputs.least.0, outputs.greatest.0)
                }
            }
            Err(_) => {
                self.capped.push(argument);
                crate::sample::tried_outputs(entry, argument)
            }
        };
        self.consider(measure, argument, least, bounds);
        if greatest != least {
            self.consider(measure, argument, greatest, bounds);
        }
    }

    fn consider(&mut self, measure: &Measure, argument: i64, output: i128, bounds: Bounds) {
        let (lower, upper) = measure.error(output, bounds);
        if upper < self.best {
            return;
        }
        self.best = self.best.max(lower);
        self.candidates.push(Candidate { upper, argument, output });
        if self.candidates.len() > MAX_CANDIDATES {
            self.prune();
        }
    }

    fn prune(&mut self) {
        let best = self.best;
        self.candidates.retain(|candidate| candidate.upper >= best);
        if self.candidates.len() > MAX_CANDIDATES / 2 {
            self.candidates.sort_by(|a, b| b.upper.total_cmp(&a.upper).then(a.argument.cmp(&b.argument)));
            self.dropped = self.dropped.max(self.candidates[MAX_CANDIDATES / 2].upper);
            self.candidates.truncate(MAX_CANDIDATES / 2);
        }
    }

    pub(crate) fn join(mut self, other: Survey) -> Survey {
        self.best = self.best.max(other.best);
        self.dropped = self.dropped.max(other.dropped);
        self.candidates.extend(other.candidates);
        self.capped.join(other.capped);
        self.escaped.join(other.escaped);
        self.prune();
        self
    }
}

/// The claim's norm, for integers.
pub(crate) struct Measure {
    pub(crate) target: Target,
    /// absolute · 2^(output_scale + GUARD), rounded down and up.
    absolute: (f64, f64),
    relative: (f64, f64),
}

/// Outputs below 2^this are compared with all guard bits: bounds of f are below 2^126.
const WIDEST: u32 = 100;

/// Each bound below is at most eight roundings of relative size 2^-53 away from its exact value.
const SLACK: f64 = 1.0 / (1u64 << 49) as f64;

impl Measure {
    pub(crate) fn new(entry: &Entry) -> Measure {
        let (input_scale, output_scale) = (entry.program.input().1.bits(), entry.program.output().1.bits());
        let unit = 2f64.powi(i32::from(output_scale) + GUARD as i32);
        let ends = |value: Decimal, factor: f64| {
            let value = to_rational(value);
            (value.to_f64() * factor * (1.0 - SLACK), value.to_f64() * factor * (1.0 + SLACK))
        };
        Measure {
            target: Target::new(entry.claim.function.clone(), input_scale, output_scale),
            absolute: ends(entry.claim.norm.absolute, unit),
            relative: ends(entry.claim.norm.relative, 1.0),
        }
    }

    /// Bounds of |output − f| / (absolute + relative·|f|), from bounds of f in guarded units.
    pub(crate) fn error(&self, output: i128, bounds: Bounds) -> (f64, f64) {
        if output.unsigned_abs() >> WIDEST != 0 {
            return self.error_of_giant(output, bounds);
        }
        let output = output << GUARD;
        let (below, above) = (output - bounds.lower, bounds.upper - output);
        let farthest = below.abs().max(above.abs());
        let nearest = if below >= 0 && above >= 0 { 0 } else { below.abs().min(above.abs()) };
        let (least, greatest) = if bounds.lower >= 0 {
            (bounds.lower, bounds.upper)
        } else if bounds.upper <= 0 {
            (-bounds.upper, -bounds.lower)
        } else {
            (0, bounds.upper.max(-bounds.lower))
        };
        let weight_low = self.absolute.0 + self.relative.0 * least as f64;
        let weight_high = self.absolute.1 + self.relative.1 * greatest as f64;
        let lower = if nearest == 0 { 0.0 } else { nearest as f64 / weight_high * (1.0 - SLACK) };
        let upper = if farthest == 0 { 0.0 } else { farthest as f64 / weight_low * (1.0 + SLACK) };
        (lower, upper)
    }

    /// The same for an output that exceeds 2^[`WIDEST`], of which the guard bits would be lost: |output| ± |f|.
    fn error_of_giant(&self, output: i128, bounds: Bounds) -> (f64, f64) {
        let size = output.unsigned_abs() as f64 * f64::from(1u32 << GUARD);
        let value = bounds.lower.unsigned_abs().max(bounds.upper.unsigned_abs()) as f64;
        let weight_high = self.absolute.1 + self.relative.1 * value;
        let lower = (size * (1.0 - SLACK) - value * (1.0 + SLACK)).max(0.0) / weight_high * (1.0 - SLACK);
        // Where f is not far from zero, its part of the norm counts as nothing.
        (lower, (size + value) * (1.0 + SLACK) / self.absolute.0 * (1.0 + SLACK))
    }
}
