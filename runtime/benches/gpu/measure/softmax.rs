//! Softmax over rows: one site of a circuit, with exp, maximum, reciprocal and division, run by three parties.

use super::models::{COLUMNS, cells};
use super::report::Report;
use super::session::{Job, run};
use super::{Open, Sizes, explain};
use catalogs::{Catalog, Published};
use runtime::circuit::headroom;
use runtime::circuit::lower::{Choice, Comparisons, Formats, Lowered, Ownership, lower};
use runtime::circuit::{Party, Weights};
use runtime::graph::{Graph, Tensor, reference};
use std::collections::BTreeMap;
use std::sync::Arc;
use verify::Certified;

/// What its table is called.
pub const TITLE: &str = "Softmax";
/// Elements of a row.
pub const ROW: usize = 128;
/// Arguments lie between its negative and itself.
const AMPLITUDE: f64 = 8.0;
/// Bits that hold a difference of arguments, and a spare one.
const WIDTH: u8 = 22;

/// What a row's softmax is computed with.
pub struct Entries {
    choice: Choice,
    name: String,
}

fn structure(rows: usize) -> Result<Graph, String> {
    let node = |id: usize, name: &str, operator: &str, inputs: &str| {
        format!(r#"{{"id":{id},"name":"{name}","operator":"{operator}","inputs":[{inputs}],"shape":[{rows},{ROW}]}}"#)
    };
    let (x, y) = (node(0, "x", "Input", ""), node(1, "y", "Softmax", "0"));
    Graph::from_json(&format!(r#"{{"nodes":[{x},{y}],"inputs":[["x",0]],"outputs":[["y",1]]}}"#)).map_err(explain)
}

fn lowered(rows: usize, choice: &Choice) -> Result<(Graph, Lowered, Weights), String> {
    let graph = structure(rows)?;
    let site = graph.sites().first().map(|site| site.node).ok_or("softmax is no site")?;
    let choices = BTreeMap::from([(site, choice.clone())]);
    let ownership = Ownership { input: Party(1), output: Party(2) };
    let lowered = lower(&graph, &choices, Formats::default(), ownership).map_err(explain)?;
    let weights = lowered.weights(&graph).map_err(explain)?;
    Ok((graph, lowered, weights))
}

/// The first entries of the catalog with which a row can be proved.
pub fn entries(catalog: &Catalog) -> Result<Entries, String> {
    let named = |prefix: &'static str| {
        catalog.iter().filter(move |(name, _)| name.starts_with(prefix)).filter_map(|(name, published)| {
            let Published { entry, certificate, .. } = published;
            Some((name.to_owned(), Arc::new(verify::check_texts(entry, certificate).ok()?)))
        })
    };
    let reciprocals: Vec<(String, Arc<Certified>)> = named("reciprocal/k64").collect();
    let maximum = Comparisons { width: WIDTH, groups: vec![8, 4], joined: 1, coarse: 0 };
    for (exp_name, exp) in named("exp/k64-f16-o24") {
        for (name, reciprocal) in &reciprocals {
            let (exp, reciprocal) = (Arc::clone(&exp), Arc::clone(reciprocal));
            let choice = Choice::Softmax { maximum: maximum.clone(), exp, reciprocal, normalise_last: false };
            let Ok((_, lowered, weights)) = lowered(1, &choice) else { continue };
            if headroom::prove(&lowered, &weights, &[(-AMPLITUDE, AMPLITUDE)]).is_ok() {
                return Ok(Entries { choice, name: format!("{exp_name}, {name}") });
            }
        }
    }
    Err("no exp and reciprocal of the catalog serve a row".into())
}

/// The circuit of so many rows.
pub fn circuit(entries: &Entries, rows: usize) -> Result<runtime::circuit::Circuit, String> {
    Ok(lowered(rows, &entries.choice)?.1.circuit)
}

/// Rows of softmax at every number of elements.
pub fn softmax(report: &mut Report, open: &Open<'_>, sizes: &Sizes, catalog: &Catalog) -> Result<(), String> {
    let entries = entries(catalog)?;
    let note = format!(
        "Three parties in one process on the one device, messages in memory; rows of {ROW} arguments within ±{AMPLITUDE}, \
         with {}. The columns are those of the models below.",
        entries.name
    );
    report.table(TITLE, &note, &COLUMNS);
    for &elements in &sizes.lanes {
        let rows = elements.div_ceil(ROW);
        let what = format!("softmax of {} elements", rows * ROW);
        match one(open, &entries, rows, sizes.sessions) {
            Ok(cells) => report.row([vec![what], cells].concat())?,
            Err(reason) => report.not_run(&what, &reason)?,
        }
    }
    Ok(())
}

fn one(open: &Open<'_>, entries: &Entries, rows: usize, runs: usize) -> Result<Vec<String>, String> {
    let (graph, lowered, weights) = lowered(rows, &entries.choice)?;
    let value = |index: usize| ((index * 7919 + index / ROW * 104_729) % 1_048_576) as f64 / 65_536.0 - AMPLITUDE;
    let given = Tensor::new(vec![rows, ROW], (0..rows * ROW).map(value).collect()).map_err(explain)?;
    let given = [given];
    let inputs = lowered.encode_inputs(&given).map_err(explain)?;
    let job = Job { circuit: &lowered.circuit, weights: &weights, inputs: &inputs, owners: [0, 1, 2] };
    // Before the runs, so that their row waits for nothing.
    let plain = reference::run(&graph, &given, &mut |_, _| {}).map_err(explain)?;
    let ran = run(open, &job, runs)?;
    let found = lowered.decode_outputs(&ran.outputs).map_err(explain)?;
    Ok(cells(&ran, &plain, &found, None))
}
