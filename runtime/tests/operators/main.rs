//! The ONNX project's backend node tests through import, reference, lowering and bit-exact simulation.
//!
//! A few cases are beside this file and always run. All of them run, and make the table of operators, with
//!
//! ```text
//! python runtime/tests/operators/export.py CASES
//! CHEBYSHARE_ONNX_CASES=CASES CHEBYSHARE_OPERATORS_PAGE=docs/operators.md \
//!     cargo test --release -p runtime --test operators -- --nocapture
//! ```

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod case;
mod entries;

use case::{Case, Price, Verdict};
use entries::Entries;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Cases beside this file that must be refused, with a part of the reason; all others must pass.
const REFUSED: &[(&str, &str)] = &[("sin", "periodic"), ("floor", "jumps"), ("log", "exceeds the window")];

fn folders(root: &Path) -> Vec<(String, PathBuf)> {
    let entries = std::fs::read_dir(root).unwrap_or_else(|error| panic!("{}: {error}", root.display()));
    let folders = entries.map(|entry| entry.unwrap().path()).filter(|path| path.join("model.onnx").exists());
    let mut named: Vec<_> =
        folders.map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), path)).collect();
    named.sort();
    named
}

fn judge(path: &Path, entries: &Entries) -> (String, Verdict) {
    match Case::read(path) {
        Ok(case) => (case.operator.clone(), case.judge(entries)),
        Err((operator, reason)) => (operator, Verdict::Refused(reason)),
    }
}

fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/operators/cases")
}

#[test]
fn committed_cases_pass_or_are_refused_by_name() {
    let entries = Entries::shipped();
    let found = folders(&committed());
    let mut wrong = Vec::new();
    for (name, path) in &found {
        let (operator, verdict) = judge(path, &entries);
        let refusal = REFUSED.iter().find(|(refused, _)| refused == name).map(|(_, part)| *part);
        match (verdict, refusal) {
            (Verdict::Pass { .. }, None) => {}
            (Verdict::Refused(reason), Some(part)) if reason.contains(part) => {}
            (Verdict::Pass { .. } | Verdict::Public, _) => wrong.push(format!("{name} ({operator}): not refused")),
            (Verdict::Refused(reason) | Verdict::Failed(reason), _) => {
                wrong.push(format!("{name} ({operator}): {reason}"))
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(found.len() > 60 && REFUSED.iter().all(|(name, _)| found.iter().any(|(own, _)| own == name)));
}

#[test]
fn a_wrong_expectation_is_seen() {
    let entries = Entries::shipped();
    for name in ["relu", "conv_with_strides_padding", "matmul_2d"] {
        let mut case = Case::read(&committed().join(name)).unwrap();
        let last = case.outputs[0].data.len() - 1;
        case.outputs[0].data[last] += 0.05;
        assert!(matches!(case.judge(&entries), Verdict::Failed(_)), "{name}");
        case.outputs[0].data[last] -= 0.05;
        case.outputs[0].shape.push(1);
        assert!(matches!(case.judge(&entries), Verdict::Failed(_)), "{name}");
    }
}

#[derive(Default)]
struct Row {
    passed: usize,
    worst: f64,
    prices: Vec<Price>,
    all_secret: usize,
    public: usize,
    refused: Vec<String>,
}

#[test]
fn all_cases_where_they_are_given() {
    let Some(root) = std::env::var_os("CHEBYSHARE_ONNX_CASES") else {
        let _ = writeln!(
            std::io::stderr(),
            "NOT RUN: the ONNX project's node tests; export them and set CHEBYSHARE_ONNX_CASES (see this file)"
        );
        return;
    };
    let entries = Entries::shipped();
    let mut table: BTreeMap<String, Row> = BTreeMap::new();
    let (mut failed, mut total) = (Vec::new(), 0);
    for (name, path) in folders(Path::new(&root)) {
        let (operator, verdict) = judge(&path, &entries);
        total += 1;
        let row = table.entry(operator.clone()).or_default();
        match verdict {
            Verdict::Pass { private, secrets, price } => {
                eprintln!("pass {name} {operator}");
                row.passed += 1;
                row.all_secret += usize::from(secrets == "all");
                row.worst = row.worst.max(private);
                row.prices.push(price);
            }
            Verdict::Public => row.public += 1,
            Verdict::Refused(reason) => row.refused.push(reason),
            Verdict::Failed(reason) => failed.push(format!("{name} ({operator}): {reason}")),
        }
    }
    let page = page(&table, total);
    if let Some(path) = std::env::var_os("CHEBYSHARE_OPERATORS_PAGE") {
        std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path), &page).unwrap();
    }
    let count = |wanted: fn(&Row) -> bool| table.values().filter(|row| wanted(row)).count();
    eprintln!(
        "{total} cases, {} operators pass, {} are refused",
        count(|row| row.passed > 0),
        count(|row| row.passed == 0)
    );
    assert!(failed.is_empty(), "{} cases are wrong:\n{}", failed.len(), failed.join("\n"));
}

/// The least and the largest, as whole numbers.
fn span(row: &Row, value: fn(&Price) -> f64) -> String {
    let values: Vec<u64> = row.prices.iter().map(|price| value(price).round() as u64).collect();
    match (values.iter().min(), values.iter().max()) {
        (Some(least), Some(most)) if least == most => least.to_string(),
        (Some(least), Some(most)) => format!("{least}–{most}"),
        _ => String::new(),
    }
}

/// The page is generated where the cases are; here, that what it says of the committed ones is still so.
#[test]
fn the_page_tells_which_operators_pass_and_names_each_that_import_knows() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operators.md")).unwrap();
    let rows: BTreeMap<&str, Vec<&str>> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| "))
        .map(|line| line.split(" | ").collect::<Vec<_>>())
        .filter(|cells| cells.len() == 9 && cells[1].parse::<usize>().is_ok())
        .map(|cells| (cells[0], cells))
        .collect();
    let passes = |operator: &str| rows.get(operator).is_some_and(|cells| cells[1] != "0");
    let entries = Entries::shipped();
    for (name, path) in folders(&committed()) {
        if let (operator, Verdict::Pass { .. }) = judge(&path, &entries) {
            assert!(
                passes(&operator),
                "{name}: docs/operators.md does not say that {operator} passes; generate it again"
            );
        }
    }
    let passing = rows.keys().filter(|operator| passes(operator)).count();
    assert!(page.contains(&format!("{passing} operators pass.")), "{passing} rows pass");
    // What passes is an operator that import names; what it names and does not pass is refused with a reason there.
    let known = |operator: &str| runtime::graph::import::SUPPORTED.contains(&operator);
    let unknown: Vec<&&str> = rows.keys().filter(|operator| passes(operator) && !known(operator)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    for cells in rows.values().filter(|cells| cells[1] == "0") {
        assert!(cells[8].trim_end_matches('|').trim().len() > 3, "{} is refused without a reason", cells[0]);
    }
}

fn page(table: &BTreeMap<String, Row>, total: usize) -> String {
    let passing = table.values().filter(|row| row.passed > 0).count();
    let mut page = format!(
        "# Operators\n\
         Generated from the {total} backend node tests of the ONNX project that are about tensors, by the command in\n\
         `runtime/tests/operators/main.rs`; not to be edited. A case *passes* if the plain reference gives the expected\n\
         output and the circuit, with shipped entries, its headroom proved for the inputs' range, gives it in bit-exact\n\
         simulation under three choices of roundings. Every real input is secret where that is possible, else the first\n\
         one. Integer and boolean inputs are public. {passing} operators pass.\n\n\
         *Certified* is the largest proved error of a nonlinear site of the passing cases, *exact* where their sites have\n\
         none, and empty where there is no site and nothing is lost but roundings. Rounds and bytes (of all three parties,\n\
         an element of the outputs) are those of the cheapest and the dearest passing case, inputs shared and outputs\n\
         opened. Truth values and positions are secret numbers; comparisons hold where their operands are equal or at\n\
         least 2^-10 apart, closer ones give a number between.\n\n\
         | operator | pass | all secret | worst error | certified | rounds | bytes | refused | why (most frequent) |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
    );
    for (operator, row) in table.iter().filter(|(_, row)| row.passed > 0 || !row.refused.is_empty()) {
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        row.refused.iter().for_each(|reason| *reasons.entry(reason).or_default() += 1);
        let why = reasons.iter().max_by_key(|(_, count)| **count).map_or("", |(reason, _)| *reason);
        let why = if why.starts_with("operator is not supported") { "not supported" } else { why };
        let worst = if row.passed > 0 { format!("{:.0e}", row.worst) } else { String::new() };
        let certified = match row.prices.iter().filter_map(|price| price.certified).reduce(f64::max) {
            Some(0.0) => "exact".to_owned(),
            Some(error) => format!("{error:.0e}"),
            None => String::new(),
        };
        let rounds = span(row, |price| f64::from(price.rounds));
        let bytes = span(row, |price| price.bytes_per_element);
        let _ = writeln!(
            page,
            "| {operator} | {} | {} | {worst} | {certified} | {rounds} | {bytes} | {} | {} |",
            row.passed,
            row.all_secret,
            row.refused.len(),
            why.replace('|', "\\|").replace('\n', " ")
        );
    }
    page
}
