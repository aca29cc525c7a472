//! The part of `chebyshare fit` about coefficients that are multiples of steps.

use super::decimal;
use crate::failure::Failure;
use ::synth::best::quantised::{Progress, QuantisedBest, Wish, quantised};
use ::synth::expression::{Expression, parse_rational};
use ::synth::minimax::{Domain, Scaling};
use rug::float::Round;
use rug::{Float, Rational};
use serde::Serialize;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};

/// What is printed of a quantised polynomial Σ iⱼ·2^sⱼ·t^j, with iⱼ from `integers` and sⱼ from `steps`.
#[derive(Serialize)]
pub struct Report {
    /// t = (x − centre) / scale.
    variable: Variable,
    /// Powers of two.
    steps: Vec<i32>,
    integers: Vec<String>,
    /// Proved: the error of exactly these integers is nowhere larger.
    certified_upper_bound: String,
    /// What rounding to nearest would give; sampled.
    rounded_error: String,
    /// Proved bounds of all competitors: with real coefficients; because of single points; with these steps.
    minimax_lower_bound: String,
    point_lower_bound: Option<String>,
    points: Option<&'static str>,
    lattice_lower_bound: Option<String>,
    /// The largest of them: minimax, points or lattice.
    binding_bound: &'static str,
    /// Certified error over that bound.
    ratio: String,
    /// Whether the search ended before its limit of programs.
    complete: bool,
    nodes: usize,
    /// Every variable tried and the error in it; sampled.
    tried: Vec<Tried>,
}

#[derive(Serialize)]
struct Variable {
    centre: String,
    scale: String,
}

#[derive(Serialize)]
struct Tried {
    #[serde(flatten)]
    variable: Variable,
    error: String,
}

/// `search` (none), `raw`, `unit`, or `CENTRE,SCALE`.
pub fn variable(text: &str, low: &Rational, high: &Rational) -> Result<Option<Scaling>, Failure> {
    let unit = || Domain::interval(low.clone(), high.clone()).and_then(|domain| Scaling::onto_unit(&domain));
    match text {
        "search" => Ok(None),
        "raw" => Ok(Some(Scaling::identity())),
        "unit" => unit().map(Some).map_err(Failure::input),
        other => {
            let parsed = other.split_once(',').and_then(|(c, s)| Some((parse_rational(c)?, parse_rational(s)?)));
            let (centre, scale) = parsed.ok_or_else(|| {
                Failure::input(format!(
                    "'{other}' is no variable; write search, raw, unit, or CENTRE,SCALE such as 5,5"
                ))
            })?;
            Scaling::new(centre, scale).map(Some).map_err(Failure::input)
        }
    }
}

impl Variable {
    fn new(variable: &Scaling) -> Variable {
        Variable { centre: variable.centre().to_string(), scale: variable.scale().to_string() }
    }
}

/// `t = (x + 5) / 5`, as short as it can be.
impl std::fmt::Display for Variable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shifted = match self.centre.strip_prefix('-') {
            Some(positive) => format!("(x + {positive})"),
            None if self.centre == "0" => "x".into(),
            None => format!("(x - {})", self.centre),
        };
        match self.scale.as_str() {
            "1" => write!(f, "t = {shifted}"),
            scale if scale.contains('/') => write!(f, "t = {shifted} / ({scale})"),
            scale => write!(f, "t = {shifted} / {scale}"),
        }
    }
}

/// Searches, with a line of progress on a terminal.
pub fn search(function: &Expression, low: &Rational, high: &Rational, wish: &Wish) -> Result<Report, Failure> {
    let mut errors = std::io::stderr();
    let seen = errors.is_terminal();
    let mut show = |progress: &Progress| {
        if seen {
            let (degree, error) = (progress.degree, progress.error.to_f64());
            let variable = Variable::new(&progress.variable);
            let _ = write!(errors, "\r\x1b[Kdegree {degree}, {variable}: error {error:.3e}");
            let _ = errors.flush();
        }
    };
    let found = quantised(function, low, high, wish, &mut show);
    if seen {
        let _ = write!(std::io::stderr(), "\r\x1b[K");
    }
    Ok(report(&found.map_err(Failure::input)?))
}

fn report(found: &QuantisedBest) -> Report {
    let down = |value: &Float| decimal(value, Round::Down);
    let tried = found
        .tried
        .iter()
        .map(|(variable, error)| Tried { variable: Variable::new(variable), error: decimal(error, Round::Nearest) });
    Report {
        variable: Variable::new(&found.variable),
        steps: found.steps.clone(),
        integers: found.integers.iter().map(|k| k.to_string()).collect(),
        certified_upper_bound: decimal(&found.upper, Round::Up),
        rounded_error: decimal(&found.rounded_error, Round::Nearest),
        minimax_lower_bound: down(&found.minimax),
        point_lower_bound: found.points.as_ref().map(|points| down(&points.error)),
        points: found.points.as_ref().map(|points| points.points),
        lattice_lower_bound: found.lattice.as_ref().map(down),
        binding_bound: found.binding().0,
        ratio: format!("{:.6}", found.ratio()),
        complete: found.exhausted,
        nodes: found.nodes,
        tried: tried.collect(),
    }
}

/// The report for people.
pub fn text(report: &Report) -> String {
    let mut out = format!(
        "quantised: coefficients of powers of {} as integers times a power of two\n  proved: at most  {} everywhere on \
         the domain; {} times the binding bound, {}\n",
        report.variable, report.certified_upper_bound, report.ratio, report.binding_bound
    );
    let mut bound = |value: &str, why: &str| {
        let _ = writeln!(out, "  proved: at least {value} {why}");
    };
    bound(&report.minimax_lower_bound, "with any real coefficients (minimax)");
    if let (Some(value), Some(points)) = (&report.point_lower_bound, report.points) {
        bound(value, &format!("with these steps, because of {points} (points)"));
    }
    if let Some(value) = &report.lattice_lower_bound {
        bound(value, "with these steps and any integers (lattice)");
    }
    if !report.complete {
        let _ = writeln!(
            out,
            "  the search stopped at its limit, after {} programs: this is the best so far; --nodes raises the limit",
            report.nodes
        );
    }
    let _ = writeln!(out, "  rounding to nearest would give {}", report.rounded_error);
    for (power, (integer, step)) in report.integers.iter().zip(&report.steps).enumerate() {
        let _ = writeln!(out, "  t^{power:<3} {integer} * 2^{step}");
    }
    for tried in &report.tried {
        let _ = writeln!(out, "  tried {}: {}", tried.variable, tried.error);
    }
    out
}
