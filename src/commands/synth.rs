//! `chebyshare synth`: search, certify and publish a front of programs for one function.

use crate::catalog_folder::{proofs_beside, publish};
use crate::commands::demo::entry_name;
use crate::commands::fit::parse_domain;
use crate::failure::Failure;
use crate::output::check_folder_place;
use crate::report::{Context, table};
use ::synth::families::Goal;
use ::synth::search::{self, Density, Found, Progress, SearchError};
use catalogs::protocol::rss3::Rss3;
use catalogs::{Decimal, Format, Function, Norm, Ring, Scale, Window};
use clap::Args;
use serde::Serialize;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;

/// Searches for programs, proves them, and publishes the Pareto front over error, rounds and bytes.
///
/// Example: chebyshare synth gelu --domain=-512,511 --fraction-bits 16 --max-error 1e-3 --out my/catalogs
#[derive(Args)]
pub struct Synth {
    /// A function's name (exp, gelu, softplus, …) or an expression in x, such as "x/(1+exp(-x))".
    function: String,
    /// Where the claim is to hold, tails included: LOW,HIGH.
    #[arg(long, value_name = "LOW,HIGH", allow_hyphen_values = true)]
    domain: String,
    /// Fraction bits of the input.
    #[arg(long)]
    fraction_bits: u8,
    /// Fraction bits of the output; by default those of the input.
    #[arg(long)]
    output_bits: Option<u8>,
    /// Width of the ring.
    #[arg(long, default_value_t = 64)]
    ring_bits: u8,
    /// The protocol whose costs count.
    #[arg(long, default_value = "rss3")]
    protocol: String,
    /// The largest certified error that is wanted.
    #[arg(long, default_value = "1e-3")]
    max_error: String,
    /// Weights of the norm |error| / (ABSOLUTE + RELATIVE·|f|).
    #[arg(long, value_name = "ABSOLUTE,RELATIVE", default_value = "1,0")]
    norm: String,
    /// A density of inputs, normal:MEAN,DEVIATION or uniform:LOW,HIGH: polynomials lean towards likely inputs as far as
    /// --max-error allows, the mean error joins the front, and the front is listed by it. The certified error remains the
    /// largest on the whole domain.
    #[arg(long, value_name = "NAME:A,B", allow_hyphen_values = true)]
    density: Option<String>,
    /// Batches of six programs that are certified, the cheapest first; then the best front so far is given.
    #[arg(long, value_name = "N", default_value_t = search::BATCHES, value_parser = batches)]
    batches: usize,
    /// The catalog folder to publish into; its proofs go into the folder `proofs` beside it, so give it a parent of its
    /// own, such as my/catalogs.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// A search without a batch finds nothing.
fn batches(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|batches| *batches > 0).ok_or_else(|| "write a number of at least 1".into())
}

#[derive(Serialize)]
struct Report {
    entries: Vec<Row>,
    /// Promising programs that the search had no batch left for.
    untried: usize,
}

#[derive(Serialize)]
struct Row {
    entry: String,
    family: String,
    certified_error: String,
    witness_error: String,
    rounds: u16,
    bytes_per_element: u64,
    headroom_bits: u8,
    failure_probability: u8,
    /// The mean error over the density, measured and not proved.
    #[serde(skip_serializing_if = "Option::is_none")]
    mean_error: Option<String>,
}

impl Synth {
    /// Searches, publishes, prints.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let goal = self.goal()?;
        if let Some(folder) = &self.out {
            check_folder_place(folder)?;
            check_folder_place(&proofs_beside(folder))?;
        }
        let density = self.density()?;
        let goal = Goal { density, ..goal };
        let (mut errors, mut untried) = (std::io::stderr(), 0);
        let seen = errors.is_terminal();
        let mut report = |progress: Progress| {
            if let Progress::Stopped { untried: left, .. } = progress {
                untried += left;
            }
            if seen {
                let _ = writeln!(errors, "{progress}");
            }
        };
        let found =
            search::front_for(&goal, &Rss3, self.batches, &mut report).map_err(|error| refused(error, &goal))?;
        let mut found: Vec<(Option<f64>, Found)> = found.into_iter().map(|found| (found.mean_error, found)).collect();
        // Without a density all are equal, and the order stays.
        found.sort_by(|a, b| a.0.unwrap_or(0.0).total_cmp(&b.0.unwrap_or(0.0)));
        let mut rows = Vec::new();
        let mut published = Vec::new();
        for (mean_error, found) in &found {
            let name = entry_name(&found.entry);
            rows.push(Row {
                entry: name.clone(),
                family: format!("{} {}", found.family, found.parameters),
                certified_error: found.entry.claim.bound.to_string(),
                witness_error: found.certificate.witness.error.to_string(),
                rounds: found.rounds,
                bytes_per_element: found.bytes(),
                headroom_bits: found.headroom_bits,
                failure_probability: 0,
                mean_error: mean_error.map(|mean_error| format!("{mean_error:.11e}")),
            });
            published.push((name, search::publish(found)));
        }
        if let Some(folder) = &self.out {
            publish(folder, published)?;
        }
        context.print(&Report { entries: rows, untried }, text)
    }

    fn density(&self) -> Result<Option<Density>, Failure> {
        let read = |text: &String| {
            Density::parse(text).ok_or_else(|| {
                Failure::Input(format!("'{text}' is no density; write normal:MEAN,DEVIATION or uniform:LOW,HIGH"))
            })
        };
        self.density.as_ref().map(read).transpose()
    }

    fn goal(&self) -> Result<Goal, Failure> {
        let function = match Function::parse(self.function.trim()) {
            Some(function) => function,
            None => {
                let known: Vec<&str> = Function::ALL.iter().map(|function| function.name()).collect();
                let hint =
                    |reason: String| Failure::Input(format!("{reason}; named functions are {}", known.join(", ")));
                let expression =
                    ::synth::expression::Expression::parse(&self.function).map_err(|error| hint(error.to_string()))?;
                expression.function().map_err(hint)?
            }
        };
        if self.protocol != "rss3" {
            return Err(Failure::Input(format!("unknown protocol '{}'; known is rss3", self.protocol)));
        }
        let scale = |bits: u8| Scale::new(bits).ok_or_else(|| Failure::Input(format!("no scale has {bits} bits")));
        let ring = Ring::new(self.ring_bits)
            .ok_or_else(|| Failure::Input(format!("no ring has {} bits; use 2 to 128", self.ring_bits)))?;
        let input = Format { ring, scale: scale(self.fraction_bits)? };
        let (low, high) = parse_domain(&self.domain)?;
        let end = |value: rug::Rational, what: &str| {
            let scaled = value << u32::from(self.fraction_bits);
            let integer = rug::Integer::from(scaled.round_ref()).to_i64();
            integer
                .filter(|&integer| ring.contains(i128::from(integer)))
                .ok_or_else(|| Failure::Input(format!("the {what} end of the domain does not fit {input}")))
        };
        let window = Window { low: end(low, "lower")?, high: end(high, "upper")? };
        if window.low > window.high {
            return Err(Failure::Input(format!("the domain {} is empty", self.domain)));
        }
        let number = |text: &str| {
            Decimal::parse(text.trim()).ok_or_else(|| Failure::Input(format!("'{text}' is not a decimal")))
        };
        let (absolute, relative) = self.norm.split_once(',').ok_or_else(|| {
            Failure::Input(format!("'{}' is not a norm; write ABSOLUTE,RELATIVE, such as 1,0", self.norm))
        })?;
        let norm = Norm { absolute: number(absolute)?, relative: number(relative)? };
        let output_scale = scale(self.output_bits.unwrap_or(self.fraction_bits))?;
        let accuracy = number(&self.max_error)?;
        Ok(Goal { function, window, fitted: None, input, output_scale, norm, accuracy, density: None })
    }
}

/// What to change, where the search cannot know.
fn refused(error: SearchError, goal: &Goal) -> Failure {
    let (function, window) = (&goal.function, goal.window);
    let half_bit = 0.5 / 2f64.powi(i32::from(goal.output_scale.bits()));
    let allowed = goal.accuracy() * goal.norm.absolute.to_f64_lossy();
    match error {
        SearchError::NoFamily { .. }
            if matches!(function, Function::Reciprocal | Function::Rsqrt) && window.low <= 0 && window.high >= 0 =>
        {
            Failure::Input(format!("{function} has a pole at 0: exclude it from the domain"))
        }
        SearchError::NoFamily { .. } if goal.norm.relative.to_f64_lossy() == 0.0 && allowed < half_bit => {
            Failure::Input(format!(
                "an error of {allowed:e} is less than half of the last of {} output bits, {half_bit:.1e}; \
                 use more --output-bits or a larger --max-error",
                goal.output_scale,
            ))
        }
        other => Failure::input(other),
    }
}

fn text(report: &Report) -> String {
    let rows: Vec<Vec<String>> = report
        .entries
        .iter()
        .map(|row| {
            vec![
                row.entry.clone(),
                row.certified_error.clone(),
                row.witness_error.clone(),
                row.rounds.to_string(),
                row.bytes_per_element.to_string(),
                row.headroom_bits.to_string(),
                row.mean_error.as_ref().map_or("-".to_owned(), |mean| mean.clone()),
                row.family.clone(),
            ]
        })
        .collect();
    let mut out =
        table(&["entry", ">certified", ">witness", ">rounds", ">bytes", ">headroom", ">mean error", "family"], &rows);
    if report.untried > 0 {
        out += &format!(
            "the search stopped at its limit with {} promising programs untried: this is the best front so far; --batches \
             raises the limit\n",
            report.untried
        );
    }
    out
}
