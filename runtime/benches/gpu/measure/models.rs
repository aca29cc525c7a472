//! Models with their plans, run by three parties in this process, compared with the plain model.

use super::report::{Report, aim, scaled};
use super::session::{Job, Ran, run};
use super::{Open, Sizes, explain};
use catalogs::Catalog;
use runtime::arrays::Arrays;
use runtime::graph::{Graph, Tensor, reference};
use runtime::plan::Plan;
use runtime::tuner::{agreements, difference, leading, least_cosine};
use std::path::{Path, PathBuf};

/// What its table is called.
pub const TITLE: &str = "Models";

/// What is said of a private run.
pub const COLUMNS: [&str; 10] = [
    "what",
    "rounds",
    "bytes, all parties",
    "seconds",
    "device busy",
    "kernels",
    "kernels of a party",
    "made ready in",
    "beside the plain model",
    "aim",
];

/// A model that is measured.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Model {
    /// Of its files: NAME.onnx, NAME.npz, NAME.plan.toml and NAME.plan.structure.json.
    pub name: &'static str,
    /// Seconds that are asked for.
    pub aim: Option<f64>,
    /// Whether the repository has it.
    pub shipped: bool,
}

/// All of them.
pub const ALL: [Model; 6] = [
    Model { name: "digits_cnn", aim: None, shipped: true },
    Model { name: "digits_vit", aim: None, shipped: true },
    Model { name: "minilm", aim: None, shipped: false },
    Model { name: "resnet50", aim: Some(0.5), shipped: false },
    Model { name: "vgg16", aim: Some(0.5), shipped: false },
    Model { name: "bert-base", aim: Some(1.0), shipped: false },
];

/// Where a model's files are.
pub struct Files {
    pub model: PathBuf,
    pub input: PathBuf,
    pub plan: PathBuf,
}

impl Files {
    /// In the repository's folder `root`, or in `folder`.
    pub fn of(model: &Model, root: &Path, folder: Option<&Path>) -> Result<Files, String> {
        let name = model.name;
        let files = if model.shipped {
            let (models, plans) = (root.join("examples/models"), root.join("examples/plans"));
            Files {
                model: models.join(format!("{name}.onnx")),
                input: models.join("digits_test.npz"),
                plan: plans.join(format!("{name}.plan.toml")),
            }
        } else {
            let folder = folder.ok_or("no folder of models was named; use --models FOLDER")?;
            Files::in_folder(folder, name)
        };
        Ok(files)
    }

    /// All in one folder.
    pub fn in_folder(folder: &Path, name: &str) -> Files {
        let file = |end: &str| folder.join(format!("{name}.{end}"));
        Files { model: file("onnx"), input: file("npz"), plan: file("plan.toml") }
    }

    /// The plan.
    pub fn plan(&self) -> Result<Plan, String> {
        Plan::parse(&String::from_utf8_lossy(&read(&self.plan)?)).map_err(explain)
    }

    /// The public structure, from the file beside the plan.
    pub fn structure(&self) -> Result<Graph, String> {
        let file = self.plan.with_extension("structure.json");
        Graph::from_json(&String::from_utf8_lossy(&read(&file)?)).map_err(explain)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// All models; one whose files are missing is said not to have run.
pub fn models(
    report: &mut Report,
    open: &Open<'_>,
    sizes: &Sizes,
    catalog: &Catalog,
    files: &dyn Fn(&Model) -> Result<Files, String>,
) -> Result<(), String> {
    let note = format!(
        "Three parties in one process on the one device, messages in memory, weights, inputs and outputs secret. Seconds: \
         of a run, median of {}, after one that warms up. Device busy: in which the device computed, cleared or copied for \
         any party, by its own clock in one more run; kernels: in which one ran, of all parties and of the one whose took \
         longest, in which it may have waited for those of the others, and the gaps between launches count, so that both \
         are upper bounds. Aims are compared with the kernels of all three parties.",
        sizes.sessions
    );
    report.table(TITLE, &note, &COLUMNS);
    for model in &sizes.models {
        match files(model).and_then(|files| one(open, model, &files, catalog, sizes.sessions)) {
            Ok((what, cells)) => report.row([vec![what], cells].concat())?,
            Err(reason) => report.not_run(model.name, &reason)?,
        }
    }
    Ok(())
}

fn one(
    open: &Open<'_>,
    model: &Model,
    files: &Files,
    catalog: &Catalog,
    runs: usize,
) -> Result<(String, Vec<String>), String> {
    let plan = files.plan()?;
    let (batch, axes) = (plan.model.batch, plan.model.axes());
    let owners = [plan.parties.model, plan.parties.input, plan.parties.output];
    let bytes = read(&files.model)?;
    let graph = Graph::import_with(&bytes, &axes).map_err(explain)?;
    let checked = plan.check(&graph.without_weights(), catalog).map_err(explain)?;
    let weights = checked.prove_headroom(&graph).map_err(explain)?;
    let given = inputs(&graph, &files.input, batch)?;
    let promise = checked.plan().model.promise();
    for ((name, _), tensor) in graph.inputs().iter().zip(&given) {
        promise.kept(name, tensor)?;
    }
    let encoded = checked.lowered().encode_inputs(&given).map_err(explain)?;
    let job = Job { circuit: &checked.lowered().circuit, weights: &weights, inputs: &encoded, owners };
    // The model itself, also where the plan limits arguments; before the runs, so that their row waits for nothing.
    let plain = Graph::import_with(&bytes, &axes.with_clamps(Vec::new())).map_err(explain)?;
    let plain = reference::run(&plain, &given, &mut |_, _| {}).map_err(explain)?;
    let ran = run(open, &job, runs)?;
    let found = checked.lowered().decode_outputs(&ran.outputs).map_err(explain)?;
    if u64::from(checked.schedule().rounds) != ran.rounds as u64 || checked.bytes_per_run() != ran.bytes {
        let (rounds, bytes) = (checked.schedule().rounds, checked.bytes_per_run());
        return Err(format!("{} rounds and {} bytes, predicted {rounds} and {bytes}", ran.rounds, ran.bytes));
    }
    let what = format!("{}, batch of {batch}", model.name);
    Ok((what, cells(&ran, &plain, &found, model.aim)))
}

/// The first `batch` examples of every input.
fn inputs(graph: &Graph, file: &Path, batch: usize) -> Result<Vec<Tensor>, String> {
    let arrays = Arrays::read(file).map_err(explain)?;
    let names = arrays.names();
    let of = |name: &str| {
        let found = if names.contains(&name) || names.len() != 1 { name } else { names[0] };
        let tensor = arrays.reals(found).map_err(explain)?;
        match tensor.shape.first() {
            Some(&examples) if examples >= batch => Ok(leading(&tensor, 0, batch)),
            _ => Err(format!("{}: '{found}' has fewer than {batch} examples", file.display())),
        }
    };
    graph.inputs().iter().map(|(name, _)| of(name)).collect()
}

/// The cells of a private run but the first.
pub fn cells(ran: &Ran, plain: &[Tensor], found: &[Tensor], asked: Option<f64>) -> Vec<String> {
    let examples = plain.first().and_then(|tensor| tensor.shape.first()).copied().unwrap_or(0).max(1);
    let same = 100.0 * agreements(plain, found) as f64 / examples as f64;
    let cosine = least_cosine(plain, found).map_or_else(|| "none".into(), |cosine| format!("{cosine:.8}"));
    let asked = asked.map(|asked| aim(&format!("< {asked} s"), ran.kernels < asked));
    vec![
        ran.rounds.to_string(),
        ran.bytes.to_string(),
        scaled(ran.wall, "s"),
        scaled(ran.busy, "s"),
        scaled(ran.kernels, "s"),
        scaled(ran.kernels_of_a_party, "s"),
        scaled(ran.ready, "s"),
        format!("off by at most {:.2e}, {same:.2} % of classes, cosine {cosine}", difference(plain, found)),
        asked.unwrap_or_default(),
    ]
}
