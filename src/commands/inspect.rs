//! `chebyshare inspect`: what a model asks of a private run.

use crate::commands::tune;
use crate::failure::Failure;
use crate::report::{Context, table};
use clap::Args;
use runtime::arrays::Arrays;
use runtime::graph::observed::Observed;
use runtime::graph::ranges::{self, InputRange, Margin, SiteRange};
use runtime::graph::{Axes, Graph};
use runtime::tuner::difference;
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
    /// Proves what every site sees if each input element lies in LOW,HIGH.
    #[arg(long, value_name = "LOW,HIGH", allow_hyphen_values = true)]
    input_range: Option<String>,
    /// Runs the plain model on these inputs and shows what every site sees; arrays named like outputs are compared.
    #[arg(long, value_name = "X.npz")]
    input: Option<PathBuf>,
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
    differences: Vec<(String, f64)>,
}

/// Name, least and greatest value.
type Ranges = Vec<(&'static str, f64, f64)>;

#[derive(Serialize)]
struct SiteRow {
    node: usize,
    name: String,
    kind: String,
    elements: usize,
    row_length: usize,
    proved: Ranges,
    observed: Ranges,
}

impl Inspect {
    /// Reads and prints; fails with exit code 2 if something is unsupported.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let bytes = read(&self.model)?;
        let inspection = runtime::graph::inspect(&bytes, &self.open.axes(self.batch)?);
        let problem = inspection.problem.as_ref().map(ToString::to_string);
        let mut report = Report {
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
                    proved: Vec::new(),
                    observed: Vec::new(),
                })
                .collect(),
            unsupported: inspection.unsupported.iter().map(ToString::to_string).collect(),
            differences: Vec::new(),
        };
        if let (Some(problem), 0) = (&problem, report.nodes) {
            return Err(Failure::Input(format!("{}: {problem}", self.model.display())));
        }
        if problem.is_none() && report.unsupported.is_empty() {
            self.add_ranges(&bytes, &mut report)?;
        }
        context.print(&report, text)?;
        match (problem, report.unsupported.len()) {
            (Some(problem), _) => Err(Failure::Input(format!("{}: {problem}", self.model.display()))),
            (None, 0) => Ok(()),
            (None, count) => Err(Failure::Input(format!("{}: {count} nodes are unsupported", self.model.display()))),
        }
    }
}

impl Inspect {
    /// What the sites see, proved and observed, where it is asked for.
    fn add_ranges(&self, bytes: &[u8], report: &mut Report) -> Result<(), Failure> {
        if let Some(text) = &self.input_range {
            let (low, high) = tune::parse_range(text)?;
            let graph = import(&self.model, bytes, &self.open.axes(self.batch)?)?;
            let boxes = vec![InputRange::uniform(low, high); graph.inputs().len()];
            let ranges = ranges::Ranges::analyse(&graph, &boxes, Margin::NONE).map_err(Failure::input)?;
            for row in &mut report.sites {
                let site = ranges.sites().iter().find(|(node, _)| node.index() == row.node);
                row.proved = site.map(|(_, range)| parts(range)).unwrap_or_default();
            }
        }
        if let Some(path) = &self.input {
            let single = import(&self.model, bytes, &self.open.axes(1)?)?;
            let inputs = tune::model_inputs(&single, path)?;
            let count = inputs.first().and_then(|tensor| tensor.shape.first()).copied().unwrap_or(1);
            let graph = import(&self.model, bytes, &self.open.axes(count)?)?;
            let mut observed = Observed::new(&graph);
            let outputs = observed.run(&graph, &inputs).map_err(Failure::input)?;
            for row in &mut report.sites {
                let site = observed.sites().find(|(node, _)| node.index() == row.node);
                row.observed = site.map(|(_, range)| parts(&range)).unwrap_or_default();
            }
            let arrays = Arrays::read(path).map_err(Failure::input)?;
            for ((name, _), output) in graph.outputs().iter().zip(&outputs) {
                if arrays.names().contains(&name.as_str()) {
                    let expected = arrays.reals(name).map_err(Failure::input)?;
                    if expected.shape != output.shape {
                        let shapes = format!("{:?}, the model gives {:?}", expected.shape, output.shape);
                        return Err(Failure::Input(format!("{}: '{name}' has shape {shapes}", path.display())));
                    }
                    let difference = difference(&[expected], std::slice::from_ref(output));
                    report.differences.push((name.clone(), difference));
                }
            }
        }
        Ok(())
    }
}

fn parts(range: &SiteRange) -> Ranges {
    range.parts().into_iter().map(|(name, interval)| (name, interval.lower, interval.upper)).collect()
}

fn ranges_text(ranges: &Ranges) -> String {
    let shown = ranges.iter().filter(|(name, ..)| ranges.len() == 1 || *name != "input");
    let part = |(name, low, high): &(&str, f64, f64)| format!("{name} {low:.3}…{high:.3}");
    shown.map(part).collect::<Vec<_>>().join(", ")
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
                ranges_text(&site.proved),
                ranges_text(&site.observed),
            ]
        })
        .collect();
    let mut header = vec!["site", "kind", ">elements", ">row", "name", "proved", "observed"];
    let mut rows = rows;
    for column in [6, 5] {
        if rows.iter().all(|row| row[column].is_empty()) {
            header.remove(column);
            rows.iter_mut().for_each(|row| drop(row.remove(column)));
        }
    }
    out.push_str(&table(&header, &rows));
    for (name, difference) in &report.differences {
        let _ = writeln!(out, "output {name}: differs from the given one by at most {difference:.2e}");
    }
    for line in &report.unsupported {
        let _ = writeln!(out, "unsupported: {line}");
    }
    out
}
