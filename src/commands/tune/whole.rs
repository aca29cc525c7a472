//! What a whole run has in common, on the command line: its inputs, its ring and scales.

use super::failure;
use crate::failure::Failure;
use crate::report::table;
use catalogs::{Ring, Scale};
use clap::Args;
use runtime::circuit::lower::Formats;
use runtime::tuner::{self, Batch, Request, Weights};
use std::fmt;
use std::io::Write;
use std::str::FromStr;

/// A number, or the word that leaves it to the tuner.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum OrAuto<T> {
    Given(T),
    Auto,
}

impl<T: Copy> OrAuto<T> {
    fn given(self) -> Option<T> {
        match self {
            OrAuto::Given(number) => Some(number),
            OrAuto::Auto => None,
        }
    }
}

impl<T: FromStr<Err: fmt::Display>> FromStr for OrAuto<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<OrAuto<T>, String> {
        match text {
            "auto" => Ok(OrAuto::Auto),
            number => number.parse().map(OrAuto::Given).map_err(|error| format!("{error}, nor is it `auto`")),
        }
    }
}

/// How many inputs a run has.
#[derive(Args)]
pub struct BatchOptions {
    /// Inputs of one run; auto for as many as bring the predicted seconds of an input within 2 % of the least, inside
    /// what a run may cost (--max-seconds, --max-megabytes, --max-memory): for who has many inputs.
    #[arg(long, default_value = "60", value_name = "COUNT|auto", allow_negative_numbers = true)]
    batch: OrAuto<usize>,
    /// The most inputs that --batch auto takes.
    #[arg(long, default_value_t = 256, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    max_batch: u16,
}

impl Default for BatchOptions {
    fn default() -> BatchOptions {
        BatchOptions { batch: OrAuto::Given(60), max_batch: 256 }
    }
}

impl BatchOptions {
    /// What is asked for, if it is not left open.
    pub fn given(&self) -> Option<usize> {
        self.batch.given()
    }

    /// Decides how many inputs a run has, where that is left open: of the formats that serve the model in the one that
    /// takes fewest, so that a budget is kept in all of them.
    pub fn choose(&self, request: &mut Request<'_>, formats: &[Formats]) -> Result<(), Failure> {
        if self.batch != OrAuto::Auto {
            return Ok(());
        }
        let in_one = |&formats: &Formats| {
            let request = Request { formats, ..request.clone() };
            tuner::batches(&request, usize::from(self.max_batch))
        };
        let fewer = |a: Vec<Batch>, b: Vec<Batch>| if tuner::preferred(&b) < tuner::preferred(&a) { b } else { a };
        let either = |a: Result<Vec<Batch>, _>, b: Result<Vec<Batch>, _>| match (a, b) {
            (Ok(a), Ok(b)) => Ok(fewer(a, b)),
            (a, b) => a.or(b),
        };
        let batches = formats.iter().map(in_one).reduce(either).unwrap_or(Ok(Vec::new())).map_err(failure)?;
        request.batch = tuner::preferred(&batches);
        request.axes = request.axes.for_batch(request.batch);
        let rows = batches.iter().map(|batch| {
            let predicted = &batch.predicted;
            vec![
                if batch.inputs == request.batch { "chosen" } else { "" }.into(),
                batch.inputs.to_string(),
                format!("{:.4}", predicted.seconds_per_run),
                format!("{:.5}", batch.seconds_per_input()),
                format!("{:.2}", predicted.bytes_per_run as f64 / 1e6),
                format!("{:.0}", predicted.memory_bytes.unwrap_or(0) as f64 / 1e6),
            ]
        });
        let heads = ["", ">inputs a run", ">predicted s", ">s an input", ">MB", ">MB of memory"];
        let _ = write!(std::io::stderr(), "{}", table(&heads, &rows.collect::<Vec<_>>()));
        Ok(())
    }
}

/// Ring and scales of a run.
#[derive(Args)]
pub struct FormatOptions {
    /// Width of the ring: fewer bits are sent in a narrow one, and the headroom is proved in it. auto tunes in every
    /// ring, with every number of fraction bits, that entries of the catalog take, and keeps the best plan.
    #[arg(long, default_value = "64", value_name = "BITS|auto")]
    ring_bits: OrAuto<u8>,
    /// Fraction bits of activations; entries have to take them. auto tunes with every number that entries of the catalog
    /// take, and keeps the best plan. 16 where nothing is said.
    #[arg(long, value_name = "BITS|auto")]
    fraction_bits: Option<OrAuto<u8>>,
    /// Fraction bits of weights; by default those of activations. auto takes two fewer as long as the plan gets better.
    #[arg(long, value_name = "BITS|auto")]
    weight_bits: Option<OrAuto<u8>>,
}

impl Default for FormatOptions {
    fn default() -> FormatOptions {
        FormatOptions { ring_bits: OrAuto::Given(64), fraction_bits: None, weight_bits: None }
    }
}

/// Fraction bits of activations where nothing is said.
const FRACTION_BITS: u8 = 16;

impl FormatOptions {
    /// What is asked for, or the default ones where that is left to the tuner.
    pub fn formats(&self) -> Result<Formats, Failure> {
        let bits = self.ring_bits.given().unwrap_or(64);
        let ring = Ring::new(bits).ok_or_else(|| Failure::Input(format!("no ring has {bits} bits")))?;
        let activations = scale(self.fraction_bits.and_then(OrAuto::given).unwrap_or(FRACTION_BITS))?;
        Ok(Formats { ring, activations, weights: self.given_weights()?.unwrap_or(activations) })
    }

    /// Refuses to leave the ring open, where one command is about one ring.
    #[cfg(feature = "generate")]
    pub fn decided(&self) -> Result<(), Failure> {
        match self.ring_bits {
            OrAuto::Given(_) => Ok(()),
            OrAuto::Auto => {
                Err(Failure::Input("--ring-bits auto: only `chebyshare tune` chooses a ring; give one".into()))
            }
        }
    }

    fn given_weights(&self) -> Result<Option<Scale>, Failure> {
        self.weight_bits.and_then(OrAuto::given).map(scale).transpose()
    }

    /// What becomes of the fraction bits of weights.
    pub fn weights(&self) -> Weights {
        match self.weight_bits {
            Some(OrAuto::Auto) => Weights::Fewer,
            Some(OrAuto::Given(_)) | None => Weights::AsGiven,
        }
    }

    /// The formats that are to be tuned in.
    pub fn each(&self, request: &Request<'_>) -> Result<Vec<Formats>, Failure> {
        let of_entries = || tuner::formats(request, self.given_weights()?).map_err(failure);
        match (self.ring_bits, self.fraction_bits) {
            (OrAuto::Given(_), None | Some(OrAuto::Given(_))) => Ok(vec![request.formats]),
            (OrAuto::Given(_), Some(OrAuto::Auto)) => {
                let in_ring = of_entries()?.into_iter().filter(|formats| formats.ring == request.formats.ring);
                Ok(in_ring.collect())
            }
            (OrAuto::Auto, None | Some(OrAuto::Auto)) => of_entries(),
            (OrAuto::Auto, Some(OrAuto::Given(bits))) => Err(Failure::Input(format!(
                "--fraction-bits {bits} with --ring-bits auto: entries decide about both; give one ring, or no fraction bits"
            ))),
        }
    }
}

fn scale(bits: u8) -> Result<Scale, Failure> {
    Scale::new(bits).ok_or_else(|| Failure::Input(format!("no scale has {bits} fraction bits")))
}
