//! The campaign file: tables of functions, each with domains, formats and goals.
//!
//! ```toml
//! [[function]]
//! function = "gelu"                 # a name, or an expression in x
//! folder = "gelu"                   # for expressions: where its entries go
//! domain = ["-512", "512"]          # decimals or fractions, both ends included
//! open = true                       # leaves out both ends
//! formats = ["64,16", "64,16,24"]   # ring bits, input fraction bits, output fraction bits
//! errors = ["1e-3", "1e-4"]         # the accuracies that are wanted
//! norm = ["1", "0"]                 # |error| / (ABSOLUTE + RELATIVE·|f|)
//! label = "w9"                      # part of the names
//! family = "middle"                 # only this family
//! design = "edge 197379 degree 4 …" # only this program of it, as a result names it: nothing is searched
//! entry = '''…'''                   # or an entry's text, whose program is taken as it is and proved anew
//! keep = "front"                    # or "cheapest": the cheapest tight program of every error
//! ```

use super::{Campaign, Job, Keep, Refused};
use crate::expression::{Expression, near, parse_rational};
use crate::families::{self, Goal};
use catalogs::{Decimal, Entry, Format, Function, Norm, Ring, Scale, Window};
use rug::{Integer, Rational};
use serde::Deserialize;

/// Why a text is no campaign.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unreadable {
    /// Not the syntax above.
    #[error("{0}")]
    Syntax(String),
    /// A line that means nothing.
    #[error("function number {number} ({function}): {reason}")]
    Line {
        /// From 1.
        number: usize,
        /// As written.
        function: String,
        /// What is wrong.
        reason: String,
    },
    /// Two jobs would publish under the same names.
    #[error("two jobs are called {0}; give one of them another label")]
    Twice(String),
    /// No jobs at all.
    #[error("no function is asked for; a campaign has tables [[function]]")]
    Empty,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    function: Vec<Line>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    function: String,
    folder: Option<String>,
    domain: [String; 2],
    #[serde(default)]
    open: bool,
    formats: Vec<String>,
    errors: Vec<String>,
    norm: Option<[String; 2]>,
    label: Option<String>,
    family: Option<String>,
    design: Option<String>,
    entry: Option<String>,
    #[serde(default)]
    keep: Kept,
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Kept {
    #[default]
    Front,
    Cheapest,
}

pub(super) fn parse(text: &str) -> Result<Campaign, Unreadable> {
    let file: File = toml::from_str(text).map_err(|error| Unreadable::Syntax(error.to_string()))?;
    let mut campaign = Campaign::default();
    for (index, line) in file.function.iter().enumerate() {
        let wrong = |reason| Unreadable::Line { number: index + 1, function: line.function.clone(), reason };
        line.jobs(&mut campaign).map_err(wrong)?;
    }
    if campaign.jobs.is_empty() && campaign.refused.is_empty() {
        return Err(Unreadable::Empty);
    }
    let mut names: Vec<String> = campaign.jobs.iter().flat_map(Job::names).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Unreadable::Twice(pair[0].clone())),
        None => Ok(campaign),
    }
}

impl Line {
    fn jobs(&self, campaign: &mut Campaign) -> Result<(), String> {
        let function = match Function::parse(self.function.trim()) {
            Some(function) => function,
            None => Expression::parse(&self.function).map_err(|error| error.to_string())?.function()?,
        };
        let folder = match (&self.folder, &function) {
            (Some(folder), _) => folder.clone(),
            (None, Function::Expression(_)) => return Err("an expression needs a folder for its entries".into()),
            (None, named) => named.name().to_owned(),
        };
        let number = |text: &String| Decimal::parse(text).ok_or_else(|| format!("'{text}' is not a decimal"));
        let [absolute, relative] = match &self.norm {
            Some(norm) => norm.each_ref().map(number),
            None => [Ok(Decimal::ONE), Ok(Decimal::ZERO)],
        };
        let norm = Norm { absolute: absolute?, relative: relative? };
        let accuracies: Vec<Decimal> = self.errors.iter().map(number).collect::<Result<_, _>>()?;
        if accuracies.is_empty() || self.formats.is_empty() {
            return Err("errors and formats name at least one each".into());
        }
        if let Some(family) = self.family.as_deref().filter(|family| !families::NAMES.contains(family)) {
            return Err(match near(family, families::NAMES) {
                Some(known) => format!("no family is called '{family}'; did you mean {known}?"),
                None => format!("no family is called '{family}'; there are {}", families::NAMES.join(", ")),
            });
        }
        if self.design.is_some() && (self.family.is_none() || accuracies.len() != 1 || self.formats.len() != 1) {
            return Err("a design needs a family, one format and one error".into());
        }
        let given = self.given(accuracies.len())?;
        let keep = match self.keep {
            Kept::Front => Keep::Front,
            Kept::Cheapest => Keep::Cheapest,
        };
        for text in &self.formats {
            let what = format!("{} on [{}, {}], format {text}", self.function, self.domain[0], self.domain[1]);
            let (ring, input, output) = numbers(text)?;
            let Some(ring) = Ring::new(ring) else {
                let reason = format!("no protocol here has rings of {ring} bits; the widest has {}", Ring::MAX_BITS);
                campaign.refused.push(Refused { what, reason });
                continue;
            };
            let scale = |bits: u8| Scale::new(bits).ok_or_else(|| format!("no scale has {bits} bits"));
            let (input, output_scale) = (Format { ring, scale: scale(input)? }, scale(output)?);
            let window = match self.window(input)? {
                Some(window) => window,
                None => {
                    campaign.refused.push(Refused { what, reason: format!("the domain does not fit {input}") });
                    continue;
                }
            };
            let accuracy = accuracies[0];
            let function = function.clone();
            let goal = Goal { function, window, fitted: None, input, output_scale, norm, accuracy, density: None };
            let stem = self.stem(&goal);
            if let Some(entry) = &given {
                fits(entry, &goal)?;
            }
            let given = given.clone();
            let (folder, family, design) = (folder.clone(), self.family.clone(), self.design.clone());
            campaign.jobs.push(Job { folder, stem, goal, accuracies: accuracies.clone(), family, design, given, keep });
        }
        Ok(())
    }

    /// The entry whose program is to be proved anew.
    fn given(&self, accuracies: usize) -> Result<Option<Entry>, String> {
        let Some(text) = &self.entry else { return Ok(None) };
        if accuracies != 1 || self.formats.len() != 1 || self.family.is_some() || self.design.is_some() {
            return Err("an entry goes with one format and one error, and without family and design".into());
        }
        Entry::parse(text).map(Some).map_err(|error| format!("the entry is none: {error}"))
    }

    /// The domain as input integers; `None` if the ring is too small.
    fn window(&self, input: Format) -> Result<Option<Window>, String> {
        let end = |text: &String| -> Result<Rational, String> {
            let value = parse_rational(text).ok_or_else(|| format!("'{text}' is not a number"))?;
            Ok(value << u32::from(input.scale.bits()))
        };
        let (low, high) = (end(&self.domain[0])?, end(&self.domain[1])?);
        let integer = |value: Rational| Integer::from(value.numer());
        let (mut least, mut most) = (integer(low.clone().ceil()), integer(high.clone().floor()));
        if self.open {
            least += Integer::from(low.is_integer());
            most -= Integer::from(high.is_integer());
        }
        if least > most {
            return Err(format!("the domain [{}, {}] is empty", self.domain[0], self.domain[1]));
        }
        let (Some(low), Some(high)) = (least.to_i64(), most.to_i64()) else { return Ok(None) };
        let fits = input.ring.contains(i128::from(low)) && input.ring.contains(i128::from(high));
        Ok(fits.then_some(Window { low, high }))
    }

    fn stem(&self, goal: &Goal) -> String {
        let (ring, scale) = (goal.input.ring, goal.input.scale);
        let output = if goal.output_scale == scale { String::new() } else { format!("-o{}", goal.output_scale) };
        let label = self.label.as_ref().map(|label| format!("-{label}")).unwrap_or_default();
        format!("k{ring}-f{scale}{output}{label}")
    }
}

/// That the entry claims what the job is about; its bound does not matter.
fn fits(entry: &Entry, goal: &Goal) -> Result<(), String> {
    let (claim, program) = (&entry.claim, &entry.program);
    let input = (goal.input.ring, goal.input.scale);
    for (part, is_same) in [
        ("function", claim.function == goal.function),
        ("window", claim.window == goal.window),
        ("norm", claim.norm == goal.norm),
        ("input", program.input() == input),
        ("output", program.output() == (input.0, goal.output_scale)),
    ] {
        if !is_same {
            return Err(format!("the entry has another {part} than its job"));
        }
    }
    Ok(())
}

/// `RING,INPUT` or `RING,INPUT,OUTPUT`.
fn numbers(text: &str) -> Result<(u8, u8, u8), String> {
    let wrong = || format!("'{text}' is no format; write RING,SCALE or RING,SCALE,OUTPUT_SCALE, such as 64,16");
    let numbers: Vec<u8> =
        text.split(',').map(|part| part.trim().parse().map_err(|_| wrong())).collect::<Result<_, _>>()?;
    match numbers[..] {
        [ring, input] => Ok((ring, input, input)),
        [ring, input, output] => Ok((ring, input, output)),
        _ => Err(wrong()),
    }
}
