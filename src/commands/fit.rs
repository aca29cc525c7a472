//! `chebyshare fit`: minimax approximation with real coefficients.

use crate::failure::Failure;
use crate::report::Context;
use ::synth::expression::{Expression, parse_rational};
use ::synth::minimax::{self, Basis, Domain, Norm, Options, Problem};
use clap::Args;
use serde::Serialize;
use std::fmt::Write;
use std::time::Instant;

/// Fits the best polynomial of a degree, in the sense of the largest error.
///
/// Example: chebyshare fit exp --domain -1,1 --degree 5
#[derive(Args)]
pub struct Fit {
    /// A name (exp, gelu, …) or an expression in x, such as "x/(1+exp(-x))".
    function: String,
    /// The interval, as decimals or fractions: LOW,HIGH.
    #[arg(long, value_name = "LOW,HIGH", allow_hyphen_values = true)]
    domain: String,
    /// The polynomial's degree.
    #[arg(long, value_name = "N")]
    degree: u32,
}

#[derive(Serialize)]
struct Report {
    function: String,
    minimax_error: String,
    certified_lower_bound: String,
    coefficients: Vec<String>,
    extrema: Vec<[String; 2]>,
    seconds: f64,
}

impl Fit {
    /// Fits and prints.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let started = Instant::now();
        let target = Expression::parse(&self.function).map_err(Failure::input)?;
        let (low, high) = parse_domain(&self.domain)?;
        let domain = Domain::interval(low, high).map_err(Failure::input)?;
        let problem = Problem { target: &target, norm: Norm::Absolute, domain, basis: Basis::full(self.degree) };
        let fit = minimax::fit(&problem, &Options::default()).map_err(Failure::input)?;
        let digits = |value: &rug::Float| format!("{:.20e}", value);
        let report = Report {
            function: target.to_string(),
            minimax_error: digits(&fit.minimax_error),
            certified_lower_bound: digits(&fit.lower_bound),
            coefficients: fit.coefficients_in_x().iter().map(|c| digits(&rug::Float::with_val(128, c))).collect(),
            extrema: fit.extrema.iter().map(|e| [digits(&e.x), digits(&e.error)]).collect(),
            seconds: started.elapsed().as_secs_f64(),
        };
        context.print(&report, text)
    }
}

/// `LOW,HIGH` as exact rationals.
pub fn parse_domain(text: &str) -> Result<(rug::Rational, rug::Rational), Failure> {
    let parsed = text.split_once(',').and_then(|(low, high)| Some((parse_rational(low)?, parse_rational(high)?)));
    parsed.ok_or_else(|| Failure::input(format!("'{text}' is not a domain; write LOW,HIGH, such as -1,1 or 1/2,64")))
}

fn text(report: &Report) -> String {
    let mut out = format!(
        "{}: minimax error {} ({:.2} s)\nat least {} by the alternation of {} extrema\n",
        report.function,
        report.minimax_error,
        report.seconds,
        report.certified_lower_bound,
        report.extrema.len()
    );
    for (power, coefficient) in report.coefficients.iter().enumerate() {
        let _ = writeln!(out, "  x^{power:<3} {coefficient}");
    }
    out
}
