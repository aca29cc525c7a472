//! The verdict of every kind of evidence, with the tools that gave it; what was not run is said to be so.

use super::dossier::Dossier;
use super::markup::Element;
use super::numbers::{grouped, scientific, significant};
use super::tables::{Cell, table};
use crate::lanes::{Finding, tools};

/// Name, option of `--with`, and what the lane does.
type Kind = (&'static str, &'static str, &'static str);
const EXHAUSTION: Kind = (
    "exhaustion",
    "exhaustive",
    "every output for every rounding, against MPFR enclosures; of all inputs, or of samples",
);
const SMT: Kind =
    ("smt", "smt", "the protocol’s lemmas at full width, each with a satisfiable twin, and what every piece claims");
const CONFORMANCE: Kind =
    ("conformance", "conformance", "real executions by three parties, against the evaluator, the lemmas and the claim");
const SECOND: Kind = ("second checker", "second", "another program, written from proofs/FORMAT.md alone");

/// A row per kind of evidence.
pub fn section(dossier: &Dossier) -> Element {
    let found = &dossier.findings;
    let rows = [
        checker(dossier),
        witness(dossier),
        lane(&found.exhaustive, EXHAUSTION, exhaustive, &tools::mpfr()),
        lane(&found.smt, SMT, smt, &tools::z3()),
        lane(&found.conformance, CONFORMANCE, conformance, &tools::runtime()),
        lane(&found.second, SECOND, second, &tools::python()),
    ];
    table(&["evidence", "verdict", "what was found", "with", ">seconds"], rows)
}

fn checker(dossier: &Dossier) -> Vec<Cell> {
    let found = match &dossier.verdict {
        Ok(certified) => format!("error at most {}", scientific(&certified.claim().bound.to_string())),
        Err(rejection) => rejection.to_string(),
    };
    vec![
        Cell::explained("checker", "recomputes every bound in integers; the only evidence that is trusted"),
        Cell::badge(if dossier.verdict.is_ok() { "holds" } else { "REJECTED" }, dossier.verdict.is_ok()),
        Cell::text(found),
        Cell::text(tools::checker()),
        Cell::number(format!("{:.3}", dossier.seconds)),
    ]
}

fn witness(dossier: &Dossier) -> Vec<Cell> {
    let name = Cell::explained("witness", "an input and roundings that really err this much, replayed by the checker");
    // The checker accepts nothing whose witness it has not replayed.
    let (verdict, found) = match (&dossier.verdict, &dossier.certificate, &dossier.entry) {
        (Ok(_), Some(certificate), Some(entry)) => {
            let (input, error) = (certificate.witness.input, certificate.witness.error);
            let argument = input as f64 / 2f64.powi(i32::from(entry.program.input().1.bits()));
            let place = format!("x = {} (integer {})", significant(argument, 8), grouped(input.into()));
            (verdict(true), format!("error at least {} at {place}", scientific(&error.to_string())))
        }
        _ => (Cell::soft("not established"), "the certificate is rejected".to_owned()),
    };
    vec![name, verdict, Cell::text(found), Cell::text(tools::checker()), Cell::number(String::new())]
}

fn lane(
    finding: &Option<Finding>,
    (name, option, what): Kind,
    describe: impl Fn(&Finding) -> String,
    tool: &str,
) -> Vec<Cell> {
    let name = Cell::explained(name, what);
    match finding {
        None => {
            let how = format!("asked for by --with {option}");
            vec![name, Cell::soft("not run"), Cell::soft(&how), Cell::text(String::new()), Cell::number(String::new())]
        }
        Some(finding) => {
            let found = finding.reason.clone().unwrap_or_else(|| describe(finding));
            let (tool, seconds) = (Cell::text(tool.to_owned()), Cell::number(format!("{:.2}", finding.seconds)));
            let verdict = if finding.could_run() { verdict(finding.ok) } else { Cell::badge("COULD NOT RUN", false) };
            vec![name, verdict, Cell::text(found), tool, seconds]
        }
    }
}

fn verdict(holds: bool) -> Cell {
    Cell::badge(if holds { "holds" } else { "REFUTED" }, holds)
}

fn figure(finding: &Finding, name: &str) -> String {
    match finding.figures.get(name) {
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(serde_json::Value::Number(number)) => number.as_i64().map_or(number.to_string(), |n| grouped(n.into())),
        _ => "?".to_owned(),
    }
}

/// A number that a lane wrote with twelve digits, with six.
fn rounded(finding: &Finding, name: &str) -> String {
    figure(finding, name).parse().map_or("?".to_owned(), |value: f64| significant(value, 6))
}

fn exhaustive(finding: &Finding) -> String {
    let extent = if figure(finding, "extent") == "all" { "all of the window" } else { "samples of the window" };
    let inputs = figure(finding, "inputs");
    format!("worst error {} over {inputs} inputs, {extent}", rounded(finding, "worst_error"))
}

fn smt(finding: &Finding) -> String {
    let unknown = finding.figures.get("unknown").and_then(|list| list.as_array()).map_or(0, Vec::len);
    let open = if unknown == 0 { String::new() } else { format!(", {unknown} unknown within the time limit") };
    format!("{} of {} queries confirmed{open}", figure(finding, "confirmed"), figure(finding, "queries"))
}

fn conformance(finding: &Finding) -> String {
    format!(
        "largest error {} over {} executed inputs ({} of the fitted interval, {} seams); {} rounds, {} bytes, as predicted",
        rounded(finding, "largest_error"),
        figure(finding, "points"),
        figure(finding, "fitted"),
        figure(finding, "seams"),
        figure(finding, "rounds"),
        figure(finding, "bytes"),
    )
}

fn second(finding: &Finding) -> String {
    figure(finding, "said")
}
