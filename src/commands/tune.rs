//! `chebyshare tune`: a plan for a model.

mod clamps;
mod demands;
mod whole;

use crate::catalog_folder;
use crate::commands::plan::Standing;
use crate::commands::run::PARTIES;
use crate::commands::{inspect, plan};
use crate::failure::Failure;
use crate::output;
use crate::report::{Context, tuning};
use catalogs::Catalog;
use clap::Args;
use runtime::arrays::{self, Arrays};
use runtime::circuit::lower::Formats;
use runtime::cost::Machine;
#[cfg(feature = "generate")]
use runtime::graph::Axes;
use runtime::graph::clamps::Needed;
use runtime::graph::{Graph, Tensor};
use runtime::plan::{InputPromise, PartiesRecord, Plan};
use runtime::transport::{Shaping, SideBySide};
use runtime::tuner::{self, Front, Memory, Progress, Request, Tiles, Tuned};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use whole::{BatchOptions, FormatOptions};

/// Chooses certified entries for every nonlinear site of a model: the fastest that meet the constraint.
///
/// Example: chebyshare tune examples/models/digits_vit.onnx --calibration examples/models/digits_calibration.npz
/// --network lan --max-error 0.01 --out digits.plan.toml
#[derive(Args)]
pub struct Tune {
    #[command(flatten)]
    options: RequestOptions,
    /// A picture of the front: seconds and errors of the plans that nothing beats.
    #[arg(long, value_name = "FRONT.svg")]
    front: Option<PathBuf>,
    /// Leave out of the file what was measured, sensitivities, calibrated errors, and how well the plan did, and the digest
    /// of the weights. It is printed all the same.
    #[arg(long)]
    discreet: bool,
    /// The plan's file. The model's public structure is written beside it.
    #[arg(long, value_name = "PLAN.toml")]
    out: PathBuf,
}

/// What is to be tuned.
#[derive(Args)]
pub struct RequestOptions {
    /// The ONNX file.
    pub model: PathBuf,
    /// Inputs to calibrate on: an .npz with an array for each input of the model.
    #[arg(long, value_name = "X.npz")]
    calibration: PathBuf,
    /// The network to tune for: lan (1 Gbit/s, 0.2 ms there and back), wan (100 Mbit/s, 40 ms) or a TOML file.
    #[arg(long, default_value = "lan")]
    pub network: String,
    /// The machine on which the parties run, as `chebyshare profile` measured it; by default the project's own.
    #[arg(long, value_name = "MACHINE.toml")]
    machine: Option<PathBuf>,
    #[command(flatten)]
    demands: demands::Demands,
    #[command(flatten)]
    batch: BatchOptions,
    #[command(flatten)]
    pub formats: FormatOptions,
    #[command(flatten)]
    open: inspect::Open,
    /// The parties that own the model, own the inputs and learn the outputs, each 0, 1 or 2.
    #[arg(long, default_value = "0,1,1", value_name = "MODEL,INPUT,OUTPUT", value_parser = parties)]
    parties: PartiesRecord,
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
    /// Leave every value in the ring of the run, and do not look for narrower ones: such a plan is a few per cent slower
    /// and tells less of the ranges of values.
    #[arg(long)]
    one_ring: bool,
    /// Let pools take the largest of their values: without this they may leave out low bits where they compare, which is
    /// counted in what is certified, predicted and measured, and takes room in `plan bound`.
    #[arg(long)]
    exact_maxima: bool,
    /// In which parts the messages of a round leave, each as soon as it is computed: about so many bytes of a party, `none`
    /// for all at once, or `auto` for what is predicted to be fastest.
    #[arg(long, value_name = "BYTES", default_value = "auto", value_parser = tiles)]
    tile_bytes: Tiles,
    /// The most runs of a session that are executed side by side, 1 to 64: what one sends is on its way while the others
    /// compute, and each holds values of its own. The plan takes so many, or as many as equal parts of them have, whatever
    /// is predicted to be fastest; seconds are then those of all at once divided by their number, and a run's outputs are
    /// there when all are done.
    #[arg(long, default_value_t, value_name = "RUNS")]
    side_by_side: SideBySide,
    /// Where no entry's window reaches as far as what is proved of an argument, limit the argument and keep the function
    /// beyond, as far as it follows its argument or is flat there.
    #[arg(long)]
    clamp: bool,
    /// The same for functions that cannot be kept: limit the argument to so many times what the calibration set shows.
    /// That changes the model beyond, and the plan says where.
    #[arg(long, value_name = "FACTOR", conflicts_with = "clamp")]
    cut: Option<f64>,
    /// Simulations that are spent on trying faster choices, site by site, after a plan is found; more accurate ones where
    /// only a budget is given.
    #[arg(long, default_value_t = 24, value_name = "COUNT")]
    climb: usize,
    /// Simulate every choice of the front, to see how well errors are predicted.
    #[arg(long)]
    whole_front: bool,
    /// A plan of the same model to start from: only faster ones are looked for, if it meets the constraint; where only a
    /// budget is given, only more accurate ones.
    #[arg(long, value_name = "PLAN.toml")]
    start: Option<PathBuf>,
    /// A folder that keeps what simulations showed: a tuner that was cut goes on from there.
    #[arg(long, value_name = "DIR")]
    resume: Option<PathBuf>,
    /// Whose signatures the catalog must carry; entries that are revoked are not chosen.
    #[arg(long, value_name = "POLICY.toml")]
    policy: Option<PathBuf>,
}

/// A plan with what else there was.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    plan: &'a Plan,
    front: &'a Front,
}

impl Tune {
    /// Tunes, writes the plan, prints it.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let catalog = self.options.catalog(&context.catalog)?;
        let tuned = self.tune(&catalog, &mut say)?;
        let report = Report { plan: &tuned.plan, front: &tuned.front };
        context.print(&report, |report| plan::text(report.plan, Standing::Proved) + &plan::front::text(report.front))
    }

    /// Tunes and writes the plan and the structure.
    pub fn tune(&self, catalog: &Catalog, progress: &mut dyn FnMut(Progress)) -> Result<Tuned, Failure> {
        let structure_file = plan::structure_file(&self.out);
        let writes = [&self.out, &structure_file].into_iter().chain(&self.front).map(PathBuf::as_path);
        output::check_file_places(self.options.files(), writes)?;
        let model = inspect::read(&self.options.model)?;
        let mut request = self.options.request_of_any_batch(&model, catalog)?;
        let formats = self.options.formats.each(&request)?;
        self.options.batch.choose(&mut request, &formats)?;
        let tuned = tuner::tune_over(&request, &formats, self.options.formats.weights(), progress).map_err(failure)?;
        let told = if self.discreet { tuned.plan.clone().discreet() } else { tuned.plan.clone() };
        let (structure, text) = (tuned.structure.to_json(), told.to_text());
        let mut files: Vec<(&Path, &str)> = vec![(&structure_file, &structure), (&self.out, &text)];
        let picture = tuning::picture(&tuned.plan, &tuned.front);
        files.extend(self.front.as_deref().map(|file| (file, picture.as_str())));
        output::write_texts(&files)?;
        Ok(tuned)
    }

    /// A request with defaults, for the demo.
    #[cfg(feature = "generate")]
    pub fn with_defaults(model: &Path, calibration: &Path, out: &Path) -> Tune {
        let options = RequestOptions {
            model: model.to_owned(),
            calibration: calibration.to_owned(),
            network: "lan".into(),
            machine: None,
            demands: demands::Demands::default(),
            batch: BatchOptions::default(),
            formats: FormatOptions::default(),
            open: inspect::Open::default(),
            parties: PartiesRecord { model: 0, input: 1, output: 1 },
            input_range: Vec::new(),
            row_norm: None,
            simulate: 240,
            quick: false,
            one_ring: false,
            exact_maxima: false,
            tile_bytes: Tiles::Fastest,
            side_by_side: SideBySide::ONE,
            climb: 24,
            whole_front: false,
            clamp: false,
            cut: None,
            start: None,
            resume: None,
            policy: None,
        };
        Tune { options, front: None, discreet: false, out: out.to_owned() }
    }
}

/// Says what the tuner does on standard error.
pub fn say(progress: Progress) {
    let line = match progress {
        Progress::Site { name, admissible } => format!("{name}: {admissible} admissible choices"),
        Progress::Simulation { candidate, seconds, error } => {
            let error = error.map_or(String::new(), |error| format!(", predicted error {error:.2e}"));
            format!("simulating plan {candidate}: {seconds:.4} s in whole rounds and one ring{error}")
        }
        Progress::Formats { formats: Formats { ring, activations, weights }, outcome } => {
            let found = |(seconds, error): (f64, f64)| format!("{seconds:.4} s, measured error {error:.2e}");
            let outcome = outcome.map_or_else(|reason| reason, found);
            format!("a ring of {ring} bits, {activations} fraction bits, {weights} of weights: {outcome}")
        }
    };
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn parties(text: &str) -> Result<PartiesRecord, String> {
    let party = |text: &str| text.trim().parse().ok().filter(|party| *party < PARTIES);
    let parties: Option<Vec<u8>> = text.split(',').map(party).collect();
    match parties.as_deref() {
        Some(&[model, input, output]) => Ok(PartiesRecord { model, input, output }),
        _ => Err("name three parties of 0 to 2: MODEL,INPUT,OUTPUT".into()),
    }
}

/// Whose fault an error is.
pub fn failure(error: tuner::Error) -> Failure {
    match error {
        tuner::Error::Rejected { .. } => Failure::claim(error),
        other => Failure::input(other),
    }
}

impl RequestOptions {
    /// The catalog in `folder`, as far as the policy allows.
    pub fn catalog(&self, folder: &Path) -> Result<Catalog, Failure> {
        let catalog = catalog_folder::open(folder)?;
        let Some(policy) = &self.policy else { return Ok(catalog) };
        let admission = catalog_folder::admit(folder, &catalog, policy)?;
        catalog_folder::without_revoked(&catalog, &admission)
    }

    /// The files that are read.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let named = [&self.model, &self.calibration].into_iter();
        let named = named.chain(&self.machine).chain(&self.start).chain(&self.policy).map(PathBuf::as_path);
        named.chain(self.demands.labels_file()).chain(output::network_file(Some(&self.network)))
    }

    /// What all parties read of the network: its name, or that of its file, not where the file lies.
    fn network_name(&self) -> String {
        let stem = output::network_file(Some(&self.network)).and_then(Path::file_stem);
        stem.map_or_else(|| self.network.clone(), |stem| stem.to_string_lossy().into_owned())
    }

    /// The request for the bytes of the model's file.
    #[cfg(feature = "generate")]
    pub fn request<'a>(&self, model: &'a [u8], catalog: &'a Catalog) -> Result<Request<'a>, Failure> {
        self.formats.decided()?;
        let mut request = self.request_of_any_batch(model, catalog)?;
        let formats = [request.formats];
        self.batch.choose(&mut request, &formats)?;
        Ok(request)
    }

    /// The model for one input.
    #[cfg(feature = "generate")]
    pub fn single(&self, model: &[u8]) -> Result<Graph, Failure> {
        inspect::import(&self.model, model, &self.open.axes(1)?)
    }

    /// The request, whose batch is one where it is left open.
    fn request_of_any_batch<'a>(&self, model: &'a [u8], catalog: &'a Catalog) -> Result<Request<'a>, Failure> {
        let batch = self.batch.given().unwrap_or(1);
        let graph = inspect::import(&self.model, model, &self.open.axes(1)?)?;
        let calibration = model_inputs(&graph, &self.calibration)?;
        let promise = self.promise(&graph, &calibration)?;
        let machine = self.machine.as_deref().map_or_else(|| Ok(Machine::reference()), Machine::read);
        let mut request = Request {
            model,
            model_name: self.model.file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned()),
            catalog,
            calibration,
            labels: self.demands.labels()?,
            simulated_max: self.simulate,
            batch,
            side_by_side: self.side_by_side,
            axes: self.open.axes(batch)?,
            promise,
            network: Shaping::named(&self.network).map_err(Failure::input)?,
            network_name: self.network_name(),
            machine: machine.map_err(Failure::input)?,
            constraint: self.demands.constraint()?,
            budget: self.demands.budget()?,
            start: self.start.as_deref().map(plan::read).transpose()?,
            memory: self.memory()?,
            formats: self.formats.formats()?,
            climb: self.climb,
            whole_front: self.whole_front,
            quick: self.quick,
            one_ring: self.one_ring,
            exact_maxima: self.exact_maxima,
            tiles: self.tile_bytes,
            parties: self.parties.clone(),
        };
        let clamps = match self.clamp || self.cut.is_some() {
            true => self.clamps_for_most(&graph, &request, catalog)?,
            false => Vec::new(),
        };
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
        request.axes = request.axes.with_clamps(clamps.into_iter().map(|needed| needed.clamp).collect());
        Ok(request)
    }

    /// The axes of a request with the clamps that its model needs if its entries are those of `catalog`.
    #[cfg(feature = "generate")]
    pub fn limited(&self, request: &Request<'_>, catalog: &Catalog) -> Result<Axes, Failure> {
        let graph = inspect::import(&self.model, request.model, &self.open.axes(1)?)?;
        let clamps = self.clamps(&graph, request, catalog)?;
        Ok(self.open.axes(request.batch)?.with_clamps(clamps.into_iter().map(|needed| needed.clamp).collect()))
    }

    fn memory(&self) -> Result<Memory, Failure> {
        let Some(folder) = &self.resume else { return Ok(Memory::default()) };
        Memory::in_folder(folder).map_err(|error| Failure::Input(format!("{}: {error}", folder.display())))
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

/// Parts of rounds, as the command line names them.
fn tiles(text: &str) -> Result<Tiles, String> {
    match text {
        "auto" => Ok(Tiles::Fastest),
        "none" => Ok(Tiles::Whole),
        bytes => bytes
            .parse()
            .map(Tiles::Bytes)
            .map_err(|_| "use `auto`, `none` or a whole number of bytes from 1 to 4294967295".into()),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::circuit;

    /// Nothing can be proved with the catalog at hand: that is bad input, exit code 2, and the site is named.
    #[test]
    fn what_cannot_be_proved_together_is_bad_input() {
        let reason = circuit::Error::Choice { site: "norm".into(), reason: "its window is left".into() };
        let error = tuner::Error::Together { excluded: 3, error: reason.into() };
        let Failure::Input(message) = failure(error) else { panic!("another exit code") };
        assert!(message.contains("3 were excluded") && message.contains("norm: its window is left"), "{message}");
    }
}
