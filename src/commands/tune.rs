//! `chebyshare tune`: a plan for a model.

use crate::catalog_folder;
use crate::commands::{inspect, plan};
use crate::failure::Failure;
use crate::output;
use crate::report::Context;
use catalogs::protocol::rss3::EXECUTED_BITS;
use catalogs::{Catalog, Entry, Ring, Scale};
use clap::Args;
use runtime::arrays::{self, Arrays};
use runtime::circuit::lower::{Formats, catalog_function};
use runtime::graph::clamps::{self, Needed};
use runtime::graph::observed::Observed;
use runtime::graph::ranges::InputRange;
use runtime::graph::{Function, Graph, Tensor};
use runtime::plan::{InputPromise, PartiesRecord};
use runtime::transport::Shaping;
use runtime::tuner::{self, Progress, Request, Tuned, leading};
use std::collections::BTreeMap;
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
    formats: FormatOptions,
    #[command(flatten)]
    open: inspect::Open,
    /// The range that every input element lies in, LOW,HIGH; by default that of the calibration set. NAME=LOW,HIGH is
    /// the range of one input, of which no norm is promised; may be repeated.
    #[arg(long, value_name = "[NAME=]LOW,HIGH", allow_hyphen_values = true)]
    input_range: Vec<String>,
    /// The largest Euclidean norm of a row (last axis) of an input without a range of its own, where its owner
    /// promises one.
    #[arg(long, value_name = "NORM")]
    row_norm: Option<f64>,
    /// Calibration inputs that are simulated bit for bit.
    #[arg(long, default_value_t = 240, allow_negative_numbers = true)]
    simulate: usize,
    /// Take the entries with the widest windows everywhere: one proof and one simulation, a first plan of a large model.
    #[arg(long)]
    quick: bool,
    /// Where no entry's window reaches as far as what is proved of an argument, limit the argument and keep the function
    /// beyond, as far as it follows its argument or is flat there.
    #[arg(long)]
    clamp: bool,
    /// The same for functions that cannot be kept: limit the argument to so many times what the calibration set shows.
    /// That changes the model beyond, and the plan says where.
    #[arg(long, value_name = "FACTOR", conflicts_with = "clamp")]
    cut: Option<f64>,
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
        let promise = self.promise(&graph, &calibration)?;
        let axes = self.open.axes(self.batch)?;
        let clamps = self.clamps(&model, &graph, &calibration, &promise, catalog)?;
        for Needed { clamp, proved, observed } in &clamps {
            let _ = writeln!(
                std::io::stderr(),
                "{}: its argument is proved to lie in {:.3e}…{:.3e}, the calibration set shows {:.2}…{:.2}: limited",
                clamp.name,
                proved.lower,
                proved.upper,
                observed.lower,
                observed.upper
            );
        }
        drop(graph);
        let request = Request {
            model: &model,
            model_name: self.model.file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned()),
            catalog,
            calibration,
            simulated_max: self.simulate,
            batch: self.batch,
            axes: axes.with_clamps(clamps.into_iter().map(|needed| needed.clamp).collect()),
            promise,
            network: Shaping::named(&self.network).map_err(Failure::input)?,
            network_name: self.network.clone(),
            formats: self.formats.formats()?,
            quick: self.quick,
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

    /// The arguments that must be limited, where that was asked for.
    fn clamps(
        &self,
        model: &[u8],
        graph: &Graph,
        calibration: &[Tensor],
        promise: &InputPromise,
        catalog: &Catalog,
    ) -> Result<Vec<Needed>, Failure> {
        if let Some(factor) = self.cut.filter(|factor| !(factor.is_finite() && *factor >= 1.0)) {
            return Err(Failure::Input(format!("--cut {factor}: give a factor of at least 1")));
        }
        if !self.clamp && self.cut.is_none() {
            return Ok(Vec::new());
        }
        let formats = self.formats.formats()?;
        let count = calibration.iter().map(|tensor| tensor.shape[0]).min().unwrap_or(1).min(self.simulate.max(1));
        let inputs: Vec<Tensor> = calibration.iter().map(|tensor| leading(tensor, 0, count)).collect();
        let many = inspect::import(&self.model, model, &self.open.axes(count)?)?;
        let mut observed = Observed::new(&many);
        observed.run(&many, &inputs).map_err(Failure::input)?;
        let boxes: Vec<InputRange> = graph
            .inputs()
            .iter()
            .map(|(name, _)| promise.of(name))
            .map(|bound| InputRange::uniform(bound.low, bound.high))
            .collect();
        let windows = widest_windows(catalog, formats);
        let request = clamps::Request {
            boxes: &boxes,
            observed: &observed.of_another_batch(graph),
            reach: &|function| windows.iter().find(|(own, _)| *own == function).map(|(_, window)| *window),
            cut: self.cut,
            scale: formats.activations.bits(),
            width_max: formats.ring.bits() - 2,
        };
        clamps::needed(graph, &request).map_err(|error| Failure::Input(format!("{}: {error}", self.model.display())))
    }

    /// What is promised of the inputs: as the options say, and otherwise as the calibration set shows.
    fn promise(&self, graph: &Graph, calibration: &[Tensor]) -> Result<InputPromise, Failure> {
        let (mut range, mut named) = (None, BTreeMap::new());
        for text in &self.input_range {
            let (name, bounds) = match text.split_once('=') {
                Some((name, bounds)) => (Some(name), bounds),
                None => (None, text.as_str()),
            };
            let (low, high) = parse_range(bounds)?;
            let twice = match name {
                Some(name) => named.insert(name.to_owned(), [low, high]).is_some(),
                None => range.replace([low, high]).is_some(),
            };
            if twice {
                return Err(Failure::Input(format!("--input-range {text}: that range was given before")));
            }
        }
        let others = graph.inputs().iter().zip(calibration).filter(|((name, _), _)| !named.contains_key(name));
        let range = range.unwrap_or_else(|| hull(others.map(|(_, tensor)| tensor)));
        Ok(InputPromise { range, row_norm: self.row_norm, named })
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
            formats: FormatOptions::default(),
            open: inspect::Open::default(),
            input_range: Vec::new(),
            row_norm: None,
            simulate: 240,
            quick: false,
            clamp: false,
            cut: None,
            policy: None,
            out: out.to_owned(),
        }
    }
}

/// Ring and scales of a run.
#[derive(Args)]
struct FormatOptions {
    /// Width of the ring: fewer bits are sent in a narrow one, and the headroom is proved in it.
    #[arg(long, default_value_t = 64)]
    ring_bits: u8,
    /// Fraction bits of activations; entries have to take them.
    #[arg(long, default_value_t = 16)]
    fraction_bits: u8,
    /// Fraction bits of weights; by default those of activations.
    #[arg(long)]
    weight_bits: Option<u8>,
}

impl Default for FormatOptions {
    fn default() -> FormatOptions {
        FormatOptions { ring_bits: 64, fraction_bits: 16, weight_bits: None }
    }
}

impl FormatOptions {
    fn formats(&self) -> Result<Formats, Failure> {
        let ring = Ring::new(self.ring_bits);
        let ring = ring.ok_or_else(|| Failure::Input(format!("no ring has {} bits", self.ring_bits)))?;
        let scale =
            |bits: u8| Scale::new(bits).ok_or_else(|| Failure::Input(format!("no scale has {bits} fraction bits")));
        let weights = scale(self.weight_bits.unwrap_or(self.fraction_bits))?;
        Ok(Formats { ring, activations: scale(self.fraction_bits)?, weights })
    }
}

/// The widest windows of the functions' entries whose formats fit, in real numbers.
fn widest_windows(catalog: &Catalog, formats: Formats) -> Vec<(Function, [f64; 2])> {
    let mut widest: Vec<(Function, [f64; 2])> = Vec::new();
    // What is wrong with an entry the tuner says, which proves each before it is taken.
    let entries = catalog.iter().filter_map(|(_, published)| Entry::parse(&published.entry).ok());
    for entry in entries {
        let (ring, scale) = entry.program.input();
        let output = entry.program.output();
        let executed = entry.program.widest_ring().bits() <= EXECUTED_BITS && ring <= formats.ring;
        let fits = executed && scale == formats.activations && output == (formats.ring, formats.activations);
        let function =
            Function::ALL.into_iter().find(|&own| catalog_function(own).as_ref() == Some(&entry.claim.function));
        let Some(function) = function.filter(|_| fits) else { continue };
        let real = |bound: i64| bound as f64 / f64::from(scale.bits()).exp2();
        let window = [real(entry.claim.window.low), real(entry.claim.window.high)];
        match widest.iter_mut().find(|(own, _)| *own == function) {
            Some((_, known)) if window[1] - window[0] > known[1] - known[0] => *known = window,
            Some(_) => {}
            None => widest.push((function, window)),
        }
    }
    widest
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

fn hull<'a>(tensors: impl Iterator<Item = &'a Tensor>) -> [f64; 2] {
    let elements = tensors.flat_map(|tensor| tensor.data.iter().copied());
    elements.fold([0.0, 0.0], |[low, high]: [f64; 2], x| [low.min(x), high.max(x)])
}

/// A range LOW,HIGH.
pub fn parse_range(text: &str) -> Result<(f64, f64), Failure> {
    let parsed =
        text.split_once(',').and_then(|(low, high)| Some((low.trim().parse().ok()?, high.trim().parse().ok()?)));
    parsed.ok_or_else(|| Failure::Input(format!("'{text}' is not a range; write LOW,HIGH, such as 0,1")))
}
