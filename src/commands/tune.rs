//! `chebyshare tune`: a plan for a model.

use crate::catalog_folder;
use crate::commands::{inspect, plan};
use crate::failure::Failure;
use crate::output;
use crate::report::Context;
use catalogs::Catalog;
use clap::Args;
use runtime::arrays::{self, Arrays};
use runtime::graph::{Graph, Tensor};
use runtime::plan::PartiesRecord;
use runtime::transport::Shaping;
use runtime::tuner::{self, Progress, Request, Tuned};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Chooses certified entries for every nonlinear site of a model: the fastest that meet the constraint.
///
/// Example: chebyshare tune examples/models/digits_vit.onnx --calibration examples/models/digits_calibration.npz
/// --network lan --max-error 0.01 --out digits.plan.toml
#[derive(Args)]
pub struct Tune {
    /// The ONNX file.
    model: PathBuf,
    /// Inputs to calibrate on: an .npz with an array for each input of the model.
    #[arg(long, value_name = "X.npz")]
    calibration: PathBuf,
    /// The network to tune for: lan, wan or a TOML file.
    #[arg(long, default_value = "lan")]
    network: String,
    /// The largest allowed difference of an output from the plain model.
    #[arg(long, default_value_t = 0.01, allow_negative_numbers = true)]
    max_error: f64,
    /// The least allowed share of inputs whose arg-max is the plain model's.
    #[arg(long, default_value_t = 0.995, allow_negative_numbers = true)]
    min_agreement: f64,
    /// Inputs of one run.
    #[arg(long, default_value_t = 60, allow_negative_numbers = true)]
    batch: usize,
    #[command(flatten)]
    open: inspect::Open,
    /// The range that every input element lies in, LOW,HIGH; by default that of the calibration set.
    #[arg(long, value_name = "LOW,HIGH", allow_hyphen_values = true)]
    input_range: Option<String>,
    /// The largest Euclidean norm of a row (last axis) of an input, where the input's owner promises one.
    #[arg(long, value_name = "NORM")]
    row_norm: Option<f64>,
    /// Calibration inputs that are simulated bit for bit.
    #[arg(long, default_value_t = 240, allow_negative_numbers = true)]
    simulate: usize,
    /// Whose signatures the catalog must carry; entries that are revoked are not chosen.
    #[arg(long, value_name = "POLICY.toml")]
    policy: Option<PathBuf>,
    /// The plan's file. The model's public structure is written beside it.
    #[arg(long, value_name = "PLAN.toml")]
    out: PathBuf,
}

impl Tune {
    /// Tunes, writes the plan, prints it.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let mut catalog = catalog_folder::open(&context.catalog)?;
        if let Some(policy) = &self.policy {
            let admission = catalog_folder::admit(&context.catalog, &catalog, policy)?;
            catalog = catalog_folder::without_revoked(&catalog, &admission)?;
        }
        let tuned = self.tune(&catalog, &mut |progress| {
            let line = match progress {
                Progress::Site { name, admissible } => format!("{name}: {admissible} admissible choices"),
                Progress::Simulation { candidate } => format!("simulating plan {candidate}"),
            };
            let _ = writeln!(std::io::stderr(), "{line}");
        })?;
        context.print(&tuned.plan, plan::text)
    }

    /// Tunes and writes the plan and the structure.
    pub fn tune(&self, catalog: &Catalog, progress: &mut dyn FnMut(Progress)) -> Result<Tuned, Failure> {
        output::check_file_place(&self.out)?;
        let model = inspect::read(&self.model)?;
        let graph = inspect::import(&self.model, &model, &self.open.axes(1)?)?;
        let calibration = model_inputs(&graph, &self.calibration)?;
        let input_box = match &self.input_range {
            Some(text) => parse_range(text)?,
            None => hull(&calibration),
        };
        let request = Request {
            model: &model,
            model_name: self.model.file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned()),
            catalog,
            calibration,
            simulated_max: self.simulate,
            batch: self.batch,
            axes: self.open.axes(self.batch)?,
            input_box,
            row_norm: self.row_norm,
            network: Shaping::named(&self.network).map_err(Failure::input)?,
            network_name: self.network.clone(),
            error_max: self.max_error,
            agreement_min: self.min_agreement,
            parties: PartiesRecord { model: 0, input: 1, output: 1 },
        };
        let tuned = tuner::tune(&request, progress).map_err(|error| match error {
            tuner::Error::Rejected { .. } => Failure::claim(error),
            other => Failure::input(other),
        })?;
        let structure_file = plan::structure_file(&self.out);
        output::write_texts(&[(&structure_file, &tuned.structure.to_json()), (&self.out, &tuned.plan.to_text())])?;
        Ok(tuned)
    }

    /// A request with defaults, for the demo.
    #[cfg(feature = "generate")]
    pub fn with_defaults(model: &Path, calibration: &Path, out: &Path) -> Tune {
        Tune {
            model: model.to_owned(),
            calibration: calibration.to_owned(),
            network: "lan".into(),
            max_error: 0.01,
            min_agreement: 0.995,
            batch: 60,
            open: inspect::Open::default(),
            input_range: None,
            row_norm: None,
            simulate: 240,
            policy: None,
            out: out.to_owned(),
        }
    }
}

/// The arrays of an .npz that the model's inputs name; a file with one array serves a model with one input.
pub fn model_inputs(graph: &Graph, path: &Path) -> Result<Vec<Tensor>, Failure> {
    let arrays = Arrays::read(path).map_err(Failure::input)?;
    let names = arrays.names();
    let mut tensors = Vec::new();
    for (name, id) in graph.inputs() {
        let found = if names.contains(&name.as_str()) || names.len() != 1 { name.as_str() } else { names[0] };
        let tensor = arrays.reals(found).map_err(|error| match error {
            arrays::Error::Array { .. } => Failure::Input(format!("{}: {error}", path.display())),
            other => Failure::input(other),
        })?;
        let expected = &graph.node(*id).shape;
        if tensor.shape.len() != expected.len() || tensor.shape[1..] != expected[1..] {
            return Err(Failure::Input(format!(
                "{}: array '{found}' has shape {:?}, the model's input {name} needs [examples, {}]",
                path.display(),
                tensor.shape,
                expected[1..].iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
            )));
        }
        tensors.push(tensor);
    }
    let counts: Vec<usize> = tensors.iter().map(|tensor| tensor.shape[0]).collect();
    if let Some(count) = counts.iter().find(|&&count| count == 0 || count != counts[0]) {
        return Err(Failure::Input(format!(
            "{}: an array has {count} examples; every input of the model needs the same number, at least one",
            path.display()
        )));
    }
    Ok(tensors)
}

fn hull(tensors: &[Tensor]) -> (f64, f64) {
    let elements = tensors.iter().flat_map(|tensor| tensor.data.iter().copied());
    elements.fold((0.0, 0.0), |(low, high): (f64, f64), x| (low.min(x), high.max(x)))
}

/// A range LOW,HIGH.
pub fn parse_range(text: &str) -> Result<(f64, f64), Failure> {
    let parsed =
        text.split_once(',').and_then(|(low, high)| Some((low.trim().parse().ok()?, high.trim().parse().ok()?)));
    parsed.ok_or_else(|| Failure::Input(format!("'{text}' is not a range; write LOW,HIGH, such as 0,1")))
}
