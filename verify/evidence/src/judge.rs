//! Whether outputs keep a claim: |output − f(x)| ≤ bound · (absolute + relative·|f(x)|), for outputs that came from
//! anywhere, above all from a real execution.
//!
//! Establishes: a [`Judgement`] without violation means that every output is *proved* to keep the claim at its
//! argument; one that cannot be decided counts as a violation. Most are decided by [`crate::fixed`]'s integers, the
//! rest at [`crate::exhaust::REFINED_PRECISION`] bits against the exact bound.

use crate::EvidenceError;
use crate::exhaust::{error_at, to_rational};
use crate::fixed::Bounds;
use crate::interval::Interval;
use crate::survey::Measure;
use catalogs::Entry;
use rug::Rational;

/// Runs of arguments at least this dense are enclosed together, gaps included.
const DENSITY: usize = 4;
/// Arguments looked at together.
const GROUP: usize = 512;

/// One argument, what came out, and its error in the claim's norm.
#[derive(Clone, Debug)]
pub struct Attained {
    /// The argument.
    pub argument: i64,
    /// The output, a signed residue.
    pub output: i128,
    /// Its error; the upper end is infinite where the norm has no weight.
    pub error: Interval,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Judgement {
    /// How many outputs were judged.
    pub outputs: u64,
    /// An upper bound of the largest error among them, and where.
    pub largest: Option<(f64, i64)>,
    /// How many violate the claim.
    pub violations: u64,
    /// The violation at the least argument.
    pub violation: Option<Attained>,
}

impl Judgement {
    /// Both together.
    pub fn join(self, other: Judgement) -> Judgement {
        let violation = match (self.violation, other.violation) {
            (Some(a), Some(b)) => Some(if a.argument <= b.argument { a } else { b }),
            (a, b) => a.or(b),
        };
        let largest = match (self.largest, other.largest) {
            (Some(a), Some(b)) => Some(if a.0 >= b.0 { a } else { b }),
            (a, b) => a.or(b),
        };
        Judgement {
            outputs: self.outputs + other.outputs,
            largest,
            violations: self.violations + other.violations,
            violation,
        }
    }
}

/// A claim made ready for judging.
pub struct Judge<'a> {
    entry: &'a Entry,
    measure: Measure,
    bound: Rational,
    /// Surely below the bound.
    below: f64,
}

impl<'a> Judge<'a> {
    /// Of the claim of `entry`.
    pub fn new(entry: &'a Entry) -> Judge<'a> {
        let bound = to_rational(entry.claim.bound);
        // The nearest double is within 2^-53 of the bound, relatively.
        let below = bound.to_f64() * (1.0 - 1.0 / (1u64 << 50) as f64);
        Judge { entry, measure: Measure::new(entry), bound, below }
    }

    /// Judges `outputs[i]` at `arguments[i]`; ascending arguments are fastest.
    ///
    /// # Errors
    /// An argument at which the function has no value, or too large a one. Outputs without an argument are left out.
    pub fn judge(&self, arguments: &[i64], outputs: &[i128]) -> Result<Judgement, EvidenceError> {
        let mut judgement = Judgement::default();
        let mut bounds = Vec::new();
        for (arguments, outputs) in arguments.chunks(GROUP).zip(outputs.chunks(GROUP)) {
            self.enclose(arguments, &mut bounds)?;
            for ((&argument, &output), &bounds) in arguments.iter().zip(outputs).zip(&bounds) {
                self.one(argument, output, bounds, &mut judgement)?;
            }
        }
        Ok(judgement)
    }

    fn one(&self, argument: i64, output: i128, bounds: Bounds, judgement: &mut Judgement) -> Result<(), EvidenceError> {
        judgement.outputs += 1;
        let (_, mut upper) = self.measure.error(output, bounds);
        if upper > self.below {
            let error = self.error(argument, output)?;
            if *error.upper() > self.bound {
                judgement.violations += 1;
                if judgement.violation.as_ref().is_none_or(|known| argument < known.argument) {
                    judgement.violation = Some(Attained { argument, output, error: error.clone() });
                }
            }
            upper = error.upper().to_f64_round(rug::float::Round::Up);
        }
        if judgement.largest.is_none_or(|(known, _)| upper > known) {
            judgement.largest = Some((upper, argument));
        }
        Ok(())
    }

    /// The error of `output` at `argument`, as precisely as this crate computes it.
    fn error(&self, argument: i64, output: i128) -> Result<Interval, EvidenceError> {
        let (claim, program) = (&self.entry.claim, &self.entry.program);
        let scale = program.input().1.bits();
        error_at(claim, scale, program.output().1.bits(), argument, output).ok_or(EvidenceError::Undefined {
            function: claim.function.clone(),
            argument,
            scale,
        })
    }

    /// f at each of `arguments`.
    fn enclose(&self, arguments: &[i64], bounds: &mut Vec<Bounds>) -> Result<(), EvidenceError> {
        bounds.clear();
        let (Some(&first), Some(&last)) = (arguments.first(), arguments.last()) else { return Ok(()) };
        let place = |argument: i64| usize::try_from(i128::from(argument) - i128::from(first)).ok();
        if let Some(span) = place(last).filter(|span| *span < arguments.len() * DENSITY)
            && arguments.is_sorted()
        {
            let mut run = vec![Bounds::default(); span + 1];
            self.measure.target.fill(first, &mut run)?;
            bounds.extend(arguments.iter().filter_map(|&argument| Some(run[place(argument)?])));
            return Ok(());
        }
        for &argument in arguments {
            bounds.push(self.measure.target.point(argument)?);
        }
        Ok(())
    }
}
