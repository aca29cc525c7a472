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
    #[command(flatten)]
    open: Open,
}

/// What a model file leaves open besides its batch.
#[derive(Args, Clone, Default)]
pub struct Open {
    /// The extent of a dynamic axis, NAME=EXTENT (tokens=32, for example); may be repeated.
    #[arg(long = "axis", value_name = "NAME=EXTENT")]
    axes: Vec<String>,
    /// An input that is public, NAME=V or NAME=V,V,… over its trailing axes (mask=0, for example); may be repeated.
    #[arg(long = "public", value_name = "NAME=VALUES")]
    public: Vec<String>,
}

impl Open {
    /// The same for import.
    pub fn axes(&self, batch: usize) -> Result<Axes, Failure> {
        let malformed = |text: &str, like: &str| Failure::Input(format!("'{text}' is not {like}"));
        let mut axes = Axes::batch(batch);
        for text in &self.axes {
            let parsed = text.split_once('=').and_then(|(name, extent)| Some((name, extent.parse().ok()?)));
            let (name, extent) = parsed.ok_or_else(|| malformed(text, "NAME=EXTENT, such as tokens=32"))?;
            axes = axes.with(name, extent);
        }
        for text in &self.public {
            let values = |list: &str| list.split(',').map(|value| value.trim().parse().ok()).collect::<Option<_>>();
            let parsed = text.split_once('=').and_then(|(name, list)| Some((name, values(list)?)));
            let (name, values) = parsed.ok_or_else(|| malformed(text, "NAME=VALUES, such as mask=0,0,-10000"))?;
            axes = axes.with_public(name, values);
        }
        Ok(axes)
    }
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
        let inspection = runtime::graph::inspect(&bytes, &self.open.axes(self.batch)?);
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
pub fn import(path: &std::path::Path, bytes: &[u8], axes: &Axes) -> Result<Graph, Failure> {
    Graph::import_with(bytes, axes).map_err(|error| Failure::Input(format!("{}: {error}", path.display())))
}

fn text(report: &Report) -> String {
    let mut out = format!("{} nodes, {} secret weights (from {})\n", report.nodes, report.weights, report.producer);
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
