//! `chebyshare inspect`: what a model asks of a private run.

use crate::failure::Failure;
use crate::report::{Context, table};
use clap::Args;
use runtime::graph::{Axes, Graph};
use serde::Serialize;
use std::fmt::Write;
use std::path::PathBuf;

/// Shows a model's graph: shapes, the sites of nonlinear functions, and what is unsupported.
///
/// Example: chebyshare inspect examples/models/digits_vit.onnx
#[derive(Args)]
pub struct Inspect {
    /// The ONNX file.
    model: PathBuf,
    /// The batch for which shapes are given.
    #[arg(long, default_value_t = 1)]
    batch: usize,
}

#[derive(Serialize)]
struct Report {
    producer: String,
    nodes: usize,
    weights: usize,
    inputs: Vec<(String, Vec<usize>)>,
    outputs: Vec<(String, Vec<usize>)>,
    sites: Vec<SiteRow>,
    unsupported: Vec<String>,
}

#[derive(Serialize)]
struct SiteRow {
    node: usize,
    name: String,
    kind: String,
    elements: usize,
    row_length: usize,
}

impl Inspect {
    /// Reads and prints; fails with exit code 2 if something is unsupported.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let bytes = read(&self.model)?;
        let inspection = runtime::graph::inspect(&bytes, &Axes::batch(self.batch));
        let problem = inspection.problem.as_ref().map(ToString::to_string);
        let report = Report {
            producer: inspection.producer,
            nodes: inspection.graph_nodes,
            weights: inspection.weight_elements,
            inputs: inspection.inputs,
            outputs: inspection.outputs,
            sites: inspection
                .sites
                .iter()
                .map(|site| SiteRow {
                    node: site.node.index(),
                    name: site.name.clone(),
                    kind: site.kind.name().to_owned(),
                    elements: site.elements,
                    row_length: site.row_length,
                })
                .collect(),
            unsupported: inspection.unsupported.iter().map(ToString::to_string).collect(),
        };
        if let (Some(problem), 0) = (&problem, report.nodes) {
            return Err(Failure::Input(format!("{}: {problem}", self.model.display())));
        }
        context.print(&report, text)?;
        match (problem, report.unsupported.len()) {
            (Some(problem), _) => Err(Failure::Input(format!("{}: {problem}", self.model.display()))),
            (None, 0) => Ok(()),
            (None, count) => Err(Failure::Input(format!("{}: {count} nodes are unsupported", self.model.display()))),
        }
    }
}

/// Reads a file, naming it in the error.
pub fn read(path: &std::path::Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| Failure::Input(format!("{}: {error}", path.display())))
}

/// Imports a model, naming its file in the error.
pub fn import(path: &std::path::Path, bytes: &[u8], batch: usize) -> Result<Graph, Failure> {
    Graph::import(bytes, batch).map_err(|error| Failure::Input(format!("{}: {error}", path.display())))
}

fn text(report: &Report) -> String {
    let origin = if report.producer.is_empty() { String::new() } else { format!(" (from {})", report.producer) };
    let mut out = format!("{} nodes, {} secret weights{origin}\n", report.nodes, report.weights);
    for (what, list) in [("input", &report.inputs), ("output", &report.outputs)] {
        for (name, shape) in list {
            let _ = writeln!(out, "{what} {name} {shape:?}");
        }
    }
    let rows: Vec<Vec<String>> = report
        .sites
        .iter()
        .map(|site| {
            vec![
                format!("n{}", site.node),
                site.kind.clone(),
                site.elements.to_string(),
                site.row_length.to_string(),
                site.name.clone(),
            ]
        })
        .collect();
    out.push_str(&table(&["site", "kind", ">elements", ">row", "name"], &rows));
    for line in &report.unsupported {
        let _ = writeln!(out, "unsupported: {line}");
    }
    out
}
