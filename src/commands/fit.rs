//! `chebyshare fit`: minimax approximation with real coefficients, or with integers at given steps.

mod quantised;

use crate::failure::Failure;
use crate::report::Context;
use ::synth::best::quantised::Steps;
use ::synth::best::{Best, Coefficient, Progress, Shape, best_reporting};
use ::synth::expression::{Expression, parse_rational};
use clap::{ArgGroup, Args};
use rug::Float;
use rug::float::Round;
use serde::Serialize;
use std::fmt::Write;
use std::io::IsTerminal;
use std::time::Instant;

/// Significant digits of errors and places.
const DIGITS: usize = 21;

/// Fits the best polynomial or fraction of given degrees, in the sense of the largest error, and proves how good it is.
/// With a step, also the best polynomial whose coefficients are multiples of it, with the proved bound of all such.
///
/// Example: chebyshare fit exp --domain -1,1 --degree 5
///
/// Example: chebyshare fit exp --domain -10,0 --degree 8 --step 2^-16
#[derive(Args)]
#[command(group(ArgGroup::new("shape").required(true)), group(ArgGroup::new("quantum")))]
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
    /// Coefficients are multiples of this power of two, such as 2^-16; or a list for those of t^0, t^1, …, whose last
    /// counts for all that follow.
    #[arg(long, value_name = "2^-N[,…]", group = "quantum", conflicts_with = "rational")]
    step: Option<String>,
    /// The same as --step 2^-N: fraction bits of the coefficients; a list likewise.
    #[arg(long, value_name = "N[,…]", group = "quantum", conflicts_with = "rational", allow_hyphen_values = true)]
    coefficient_bits: Option<String>,
    /// Every coefficient has a step of its own, at which its integer has N bits, sign included.
    #[arg(long, value_name = "N", group = "quantum", conflicts_with = "rational")]
    coefficient_width: Option<u32>,
    /// Doubles the steps of single coefficients while the error grows by at most PERCENT in all: fewer bits to carry.
    #[arg(long, value_name = "PERCENT", requires = "quantum")]
    narrow: Option<f64>,
    /// The variable t = (x − CENTRE) / SCALE of the quantised polynomial: search, raw (t = x), unit (t from −1 to 1), or
    /// CENTRE,SCALE.
    #[arg(long, value_name = "VARIABLE", default_value = "search", allow_hyphen_values = true)]
    variable: String,
    /// Linear programs that the search for integers may solve in one variable; then it returns the best so far.
    #[arg(long, value_name = "N", default_value_t = 4000)]
    nodes: usize,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    quantised: Option<quantised::Report>,
    seconds: f64,
}

impl Fit {
    /// Fits, proves and prints.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let started = Instant::now();
        let target = Expression::parse(&self.function).map_err(Failure::input)?;
        let (low, high) = parse_domain(&self.domain)?;
        let shape = self.shape()?;
        let steps = self.steps()?;
        let variable = quantised::variable(&self.variable, &low, &high)?;
        let found = watched(&target, (&low, &high), shape).map_err(Failure::input)?;
        let quantised = match (steps, shape) {
            (Some(steps), Shape::Polynomial(degree)) => {
                let wish = ::synth::best::quantised::Wish {
                    degree,
                    steps,
                    variable,
                    nodes: self.nodes,
                    narrow: self.narrow()?,
                };
                Some(quantised::search(&target, &low, &high, &wish)?)
            }
            _ => None,
        };
        context.print(&report(&target, &found, quantised, started.elapsed().as_secs_f64()), text)
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

    fn narrow(&self) -> Result<Option<f64>, Failure> {
        match self.narrow {
            Some(percent) if !(0.0..=1000.0).contains(&percent) => {
                Err(Failure::input(format!("--narrow {percent} is no percentage from 0 to 1000")))
            }
            percent => Ok(percent.map(|percent| percent / 100.0)),
        }
    }

    fn steps(&self) -> Result<Option<Steps>, Failure> {
        let list = |text: &str, read: &dyn Fn(&str) -> Option<i32>, hint: &str| {
            let steps: Option<Vec<i32>> = text.split(',').map(|item| read(item.trim())).collect();
            match steps.as_deref() {
                Some([step]) => Ok(Some(Steps::Fixed(*step))),
                Some(steps) => Ok(Some(Steps::Each(steps.to_vec()))),
                None => Err(Failure::input(format!("'{text}' {hint}"))),
            }
        };
        if let Some(text) = &self.step {
            return list(text, &power_of_two, "is no power of two; write 2^-16, or a list such as 2^-20,2^-16");
        }
        if let Some(text) = &self.coefficient_bits {
            let read = |item: &str| item.parse::<i32>().ok().and_then(i32::checked_neg);
            return list(text, &read, "is no number of bits; write 16, or a list such as 20,16");
        }
        Ok(self.coefficient_width.map(Steps::Width))
    }
}

/// The fit, with a line of progress on a terminal.
fn watched(
    target: &Expression,
    (low, high): (&rug::Rational, &rug::Rational),
    shape: Shape,
) -> Result<Best, ::synth::best::BestError> {
    let mut errors = std::io::stderr();
    let seen = errors.is_terminal();
    let found = best_reporting(target, low, high, shape, &mut |progress| {
        if seen {
            let _ = match progress {
                Progress::Correcting { programs, error } => std::io::Write::write_fmt(
                    &mut errors,
                    format_args!("\r\x1b[Kprogram {programs}: error {error:.6e}"),
                ),
                Progress::Proving { error } => {
                    std::io::Write::write_fmt(&mut errors, format_args!("\r\x1b[Kproving error {error:.6e}"))
                }
            };
        }
    });
    if seen {
        let _ = std::io::Write::write_all(&mut std::io::stderr(), b"\r\x1b[K");
    }
    found
}

/// The exponent of `2^-16`, `1/65536`, `0.5`.
fn power_of_two(text: &str) -> Option<i32> {
    if let Some(exponent) = text.strip_prefix("2^") {
        return exponent.trim_matches(['(', ')']).parse().ok();
    }
    let value = parse_rational(text).filter(|value| *value > 0)?;
    let (above, below) = (value.numer(), value.denom());
    let exponent = |power: &rug::Integer| i32::try_from(power.significant_bits() - 1).ok();
    let is_power = above.is_power_of_two() && below.is_power_of_two();
    is_power.then(|| Some(exponent(above)? - exponent(below)?))?
}

fn decimal(value: &Float, round: Round) -> String {
    value.to_string_radix_round(10, Some(DIGITS), round)
}

fn report(target: &Expression, found: &Best, quantised: Option<quantised::Report>, seconds: f64) -> Report {
    let nearest = |value: &Float| decimal(value, Round::Nearest);
    let texts = |coefficients: &[Coefficient]| coefficients.iter().map(|c| c.text.clone()).collect::<Vec<_>>();
    let is_fraction = found.denominator.len() > 1;
    Report {
        function: target.to_string(),
        minimax_error: nearest(&found.minimax_error),
        certified_upper_bound: decimal(&found.proof.upper, Round::Up),
        certified_lower_bound: decimal(&found.proof.best_possible, Round::Down),
        coefficients: texts(&found.numerator),
        denominator: if is_fraction { texts(&found.denominator) } else { Vec::new() },
        extrema: found.extrema.iter().map(|e| [nearest(&e.x), nearest(&e.error)]).collect(),
        quantised,
        seconds,
    }
}

/// `LOW,HIGH` as exact rationals.
pub fn parse_domain(text: &str) -> Result<(rug::Rational, rug::Rational), Failure> {
    let parsed = text.split_once(',').and_then(|(low, high)| Some((parse_rational(low)?, parse_rational(high)?)));
    parsed.ok_or_else(|| Failure::input(format!("'{text}' is not a domain; write LOW,HIGH, such as -1,1 or 1/2,64")))
}

fn text(report: &Report) -> String {
    let function = match report.function.char_indices().nth(60) {
        Some((end, _)) => format!("{} …", &report.function[..end]),
        None => report.function.clone(),
    };
    let mut out = format!(
        "{}: minimax error {} ({:.2} s)\n  proved: at most  {} everywhere on the domain, with the decimals below\n",
        function, report.minimax_error, report.seconds, report.certified_upper_bound,
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
    if let Some(quantised) = &report.quantised {
        out += &quantised::text(quantised);
    }
    out
}
