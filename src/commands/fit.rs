//! `chebyshare fit`: minimax approximation with real coefficients.

use crate::failure::Failure;
use crate::report::Context;
use ::synth::best::{Best, Coefficient, Shape, best};
use ::synth::expression::{Expression, parse_rational};
use clap::{ArgGroup, Args};
use rug::Float;
use rug::float::Round;
use serde::Serialize;
use std::fmt::Write;
use std::time::Instant;

/// Significant digits of errors and places.
const DIGITS: usize = 21;

/// Fits the best polynomial or fraction of given degrees, in the sense of the largest error, and proves how good it is.
///
/// Example: chebyshare fit exp --domain -1,1 --degree 5
#[derive(Args)]
#[command(group(ArgGroup::new("shape").required(true)))]
pub struct Fit {
    /// A name (exp, gelu, …) or an expression in x, such as "x/(1+exp(-x))".
    function: String,
    /// The interval, as decimals or fractions: LOW,HIGH.
    #[arg(long, value_name = "LOW,HIGH", allow_hyphen_values = true)]
    domain: String,
    /// The polynomial's degree.
    #[arg(long, value_name = "N", group = "shape", allow_negative_numbers = true)]
    degree: Option<u32>,
    /// Degrees of a fraction's numerator and denominator: P,Q.
    #[arg(long, value_name = "P,Q", group = "shape")]
    rational: Option<String>,
}

#[derive(Serialize)]
struct Report {
    function: String,
    /// What the fit found.
    minimax_error: String,
    /// Proved: the error of exactly these decimals is nowhere larger.
    certified_upper_bound: String,
    /// Proved: no competitor of these degrees has a smaller error.
    certified_lower_bound: String,
    coefficients: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    denominator: Vec<String>,
    extrema: Vec<[String; 2]>,
    seconds: f64,
}

impl Fit {
    /// Fits, proves and prints.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let started = Instant::now();
        let target = Expression::parse(&self.function).map_err(Failure::input)?;
        let (low, high) = parse_domain(&self.domain)?;
        let found = best(&target, &low, &high, self.shape()?).map_err(Failure::input)?;
        context.print(&report(&target, &found, started.elapsed().as_secs_f64()), text)
    }

    fn shape(&self) -> Result<Shape, Failure> {
        let degrees = self.rational.as_deref().map(|text| {
            let parsed = text.split_once(',').and_then(|(above, below)| {
                Some(Shape::Rational(above.trim().parse().ok()?, below.trim().parse().ok()?))
            });
            parsed.ok_or_else(|| Failure::input(format!("'{text}' is not a pair of degrees; write P,Q, such as 3,3")))
        });
        match (degrees, self.degree) {
            (Some(shape), _) => shape,
            (None, Some(degree)) => Ok(Shape::Polynomial(degree)),
            (None, None) => Err(Failure::input("give --degree N or --rational P,Q")),
        }
    }
}

fn report(target: &Expression, found: &Best, seconds: f64) -> Report {
    let rounded = |value: &Float, round| value.to_string_radix_round(10, Some(DIGITS), round);
    let nearest = |value: &Float| rounded(value, Round::Nearest);
    let texts = |coefficients: &[Coefficient]| coefficients.iter().map(|c| c.text.clone()).collect::<Vec<_>>();
    let is_fraction = found.denominator.len() > 1;
    Report {
        function: target.to_string(),
        minimax_error: nearest(&found.minimax_error),
        certified_upper_bound: rounded(&found.proof.upper, Round::Up),
        certified_lower_bound: rounded(&found.proof.best_possible, Round::Down),
        coefficients: texts(&found.numerator),
        denominator: if is_fraction { texts(&found.denominator) } else { Vec::new() },
        extrema: found.extrema.iter().map(|e| [nearest(&e.x), nearest(&e.error)]).collect(),
        seconds,
    }
}

/// `LOW,HIGH` as exact rationals.
pub fn parse_domain(text: &str) -> Result<(rug::Rational, rug::Rational), Failure> {
    let parsed = text.split_once(',').and_then(|(low, high)| Some((parse_rational(low)?, parse_rational(high)?)));
    parsed.ok_or_else(|| Failure::input(format!("'{text}' is not a domain; write LOW,HIGH, such as -1,1 or 1/2,64")))
}

fn text(report: &Report) -> String {
    let mut out = format!(
        "{}: minimax error {} ({:.2} s)\n  proved: at most  {} everywhere on the domain, with the decimals below\n",
        report.function, report.minimax_error, report.seconds, report.certified_upper_bound,
    );
    if report.certified_lower_bound == "0" {
        out += "  not proved: that nothing of these degrees is better, for the error alternates too rarely\n";
    } else {
        let (bound, extrema) = (&report.certified_lower_bound, report.extrema.len());
        let _ =
            writeln!(out, "  proved: at least {bound} for any other, as the error alternates over {extrema} extrema");
    }
    let mut list = |title: &str, coefficients: &[String]| {
        let _ = writeln!(out, "{title}");
        for (power, coefficient) in coefficients.iter().enumerate() {
            let _ = writeln!(out, "  x^{power:<3} {coefficient}");
        }
    };
    if report.denominator.is_empty() {
        list("polynomial", &report.coefficients);
    } else {
        list("numerator", &report.coefficients);
        list("denominator (proved free of zeros on the domain)", &report.denominator);
    }
    out
}
