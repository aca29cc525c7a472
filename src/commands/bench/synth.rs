//! `chebyshare bench synth`: seconds to the first certified program and to the whole front of each function, and of a fit
//! with its proof beside Sollya's where it is installed.

use crate::failure::Failure;
use crate::report::{Context, table};
use ::synth::best::{Shape, best};
use ::synth::expression::{Expression, near};
use ::synth::families::Goal;
use ::synth::golden::{Answer, Golden, ask_sollya, ask_sollya_for_proofs, polynomials};
use ::synth::search::{self, Progress};
use catalogs::protocol::rss3::Rss3;
use catalogs::{Decimal, Format, Function, Norm, Scale, Window};
use clap::Args;
use serde::Serialize;
use std::io::{IsTerminal, Write};
use std::time::Instant;

/// The degree whose fit is compared with Sollya's.
const DEGREE: u32 = 8;

/// Seconds to the first certified program and to the whole front, per function.
///
/// Example: chebyshare bench synth --functions sigmoid,gelu --without-sollya
#[derive(Args)]
pub struct Synth {
    /// Only these: exp, reciprocal, rsqrt, log, sigmoid, tanh, erf, gelu, silu, sin; all by default.
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    functions: Vec<String>,
    /// Fraction bits of input and output, in a ring of 64 bits.
    #[arg(long, default_value_t = 16)]
    fraction_bits: u8,
    /// The largest certified error.
    #[arg(long, default_value = "1e-3")]
    max_error: String,
    /// Leaves Sollya out.
    #[arg(long)]
    without_sollya: bool,
    /// Also times Sollya's certified norms, which take up to a minute each.
    #[arg(long, conflicts_with = "without_sollya")]
    sollya_proofs: bool,
}

#[derive(Serialize)]
struct Report {
    /// Whether Sollya was asked and answered.
    sollya: bool,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    function: String,
    /// Of the fit.
    domain: String,
    /// Of the programs.
    front_domain: String,
    /// `null` where there is no program; `reason` says why.
    first_certified_seconds: Option<f64>,
    front_seconds: f64,
    entries: usize,
    reason: Option<String>,
    /// A fit of the bench's degree with its proof.
    fit_seconds: f64,
    sollya_remez_seconds: Option<f64>,
    sollya_supnorm_seconds: Option<f64>,
}

impl Synth {
    /// Measures and prints.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let cases: Vec<Golden> =
            polynomials().into_iter().filter(|golden| golden.shape == Shape::Polynomial(DEGREE)).collect();
        let known: Vec<&str> = cases.iter().map(|golden| golden.function.as_str()).collect();
        if let Some(name) = self.functions.iter().find(|name| !known.contains(&name.as_str())) {
            let hint = match near(name, known.iter().copied()) {
                Some(known) => format!("did you mean {known}?"),
                None => format!("there are {}", known.join(", ")),
            };
            return Err(Failure::Input(format!("no function '{name}' in this bench; {hint}")));
        }
        let chosen = |golden: &Golden| {
            golden.shape == Shape::Polynomial(DEGREE)
                && (self.functions.is_empty() || self.functions.contains(&golden.function))
        };
        let asked = !self.without_sollya;
        let fits = asked.then(|| ask_sollya(chosen)).flatten();
        let proofs = self.sollya_proofs.then(|| ask_sollya_for_proofs(chosen)).flatten();
        let mut rows = Vec::new();
        for golden in cases.iter().filter(|golden| chosen(golden)) {
            rows.push(self.measure(golden, fits.as_deref(), proofs.as_deref())?);
        }
        context.print(&Report { sollya: fits.is_some(), rows }, |report| text(report, asked))
    }

    fn goal(&self, golden: &Golden) -> Result<Goal, Failure> {
        let function = Function::parse(&golden.function)
            .ok_or_else(|| Failure::Input(format!("no entries can be made for '{}'", golden.function)))?;
        let scale = Scale::new(self.fraction_bits);
        let scale = scale.ok_or_else(|| Failure::Input(format!("no scale has {} bits", self.fraction_bits)))?;
        let input = Format::z64(self.fraction_bits)
            .ok_or_else(|| Failure::Input(format!("no format has {} fraction bits", self.fraction_bits)))?;
        let end = |value: &rug::Rational| {
            let scaled = rug::Rational::from(value << u32::from(self.fraction_bits));
            rug::Integer::from(scaled.round_ref()).to_i64()
        };
        let (low, high) = front_domain(golden);
        let window = end(&low).zip(end(&high)).map(|(low, high)| Window { low, high });
        let window = window.ok_or_else(|| Failure::Input("the domain does not fit the format".into()))?;
        let decimal =
            |text: &str| Decimal::parse(text).ok_or_else(|| Failure::Input(format!("'{text}' is not a decimal")));
        let norm = Norm { absolute: decimal("1")?, relative: decimal("0")? };
        let accuracy = decimal(&self.max_error)?;
        Ok(Goal { function, window, fitted: None, input, output_scale: scale, norm, accuracy, density: None })
    }

    fn measure(&self, golden: &Golden, fits: Option<&[Answer]>, proofs: Option<&[Answer]>) -> Result<Row, Failure> {
        let expression = Expression::parse(&golden.function).map_err(Failure::input)?;
        let started = Instant::now();
        best(&expression, &golden.low, &golden.high, golden.shape).map_err(Failure::input)?;
        let fit_seconds = started.elapsed().as_secs_f64();
        let goal = self.goal(golden)?;
        let started = Instant::now();
        let mut first = None;
        let mut errors = std::io::stderr();
        let seen = errors.is_terminal();
        let mut report = |progress: Progress| {
            if matches!(progress, Progress::First { .. } | Progress::Certifying { certified: 1.., .. }) {
                first.get_or_insert_with(|| started.elapsed().as_secs_f64());
            }
            if seen {
                let _ = write!(errors, "\r\x1b[K{}: {progress}", golden.function);
            }
        };
        let front = search::front_for(&goal, &Rss3, search::BATCHES, &mut report);
        let front_seconds = started.elapsed().as_secs_f64();
        if seen {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
        let seconds = |answers: Option<&[Answer]>| {
            let answers = answers?.iter();
            answers.filter(|answer| answer.golden.function == golden.function).map(|answer| answer.seconds).next()
        };
        let (entries, reason) = match &front {
            Ok(found) => (found.len(), None),
            Err(error) => (0, Some(error.to_string())),
        };
        Ok(Row {
            function: golden.function.clone(),
            domain: format!("{},{}", golden.low, golden.high),
            front_domain: front_domain(golden).0.to_string() + "," + &front_domain(golden).1.to_string(),
            // A front whose programs were all certified in the last batch has its first one at its end.
            first_certified_seconds: front.is_ok().then(|| first.unwrap_or(front_seconds)),
            front_seconds,
            entries,
            reason,
            fit_seconds,
            sollya_remez_seconds: seconds(fits),
            sollya_supnorm_seconds: seconds(proofs),
        })
    }
}

/// Where programs are searched for: softmax needs exp below zero, everything else is wanted where it is fitted.
fn front_domain(golden: &Golden) -> (rug::Rational, rug::Rational) {
    match golden.function.as_str() {
        "exp" => (rug::Rational::from(-16), rug::Rational::new()),
        _ => (golden.low.clone(), golden.high.clone()),
    }
}

fn text(report: &Report, asked: bool) -> String {
    let seconds = |value: Option<f64>| value.map_or_else(|| "-".into(), |value| format!("{value:.3}"));
    let rows: Vec<Vec<String>> = report
        .rows
        .iter()
        .map(|row| {
            vec![
                row.function.clone(),
                row.front_domain.clone(),
                seconds(row.first_certified_seconds),
                seconds(Some(row.front_seconds)),
                row.entries.to_string(),
                row.domain.clone(),
                seconds(Some(row.fit_seconds)),
                seconds(row.sollya_remez_seconds),
                seconds(row.sollya_supnorm_seconds),
            ]
        })
        .collect();
    let header = [
        "function",
        "programs on",
        ">first s",
        ">front s",
        ">entries",
        "fit on",
        ">fit+proof s",
        ">Sollya remez s",
        ">Sollya supnorm s",
    ];
    let mut out = table(&header, &rows);
    for row in &report.rows {
        if let Some(reason) = &row.reason {
            out += &format!("{}: no program: {reason}\n", row.function);
        }
    }
    out += &format!("fit+proof and Sollya: the polynomial of degree {DEGREE}\n");
    if asked && report.rows.iter().all(|row| row.sollya_supnorm_seconds.is_none()) {
        out += "NOT RUN: Sollya's certified norms; --sollya-proofs asks for them\n";
    }
    if !report.sollya {
        out += if asked { "NOT RUN: Sollya is not installed\n" } else { "NOT RUN: Sollya was left out\n" };
    }
    out
}
