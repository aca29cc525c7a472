//! `chebyshare run`: all parties as processes on this machine, over real connections.

use crate::catalog_folder;
use crate::commands::back_end::BackEnd;
use crate::commands::plan::counted;
use crate::commands::{inspect, party, plan, tune};
use crate::failure::Failure;
use crate::interrupt::TemporaryFolder;
use crate::report::{Context, run_profile};
use crate::{output, processes};
use clap::Args;
use runtime::arrays::Arrays;
use runtime::deployment::{Loopback, Owners, loopback};
use runtime::graph::{Axes, Tensor, reference};
use runtime::plan::Plan;
use runtime::transport::{Limits, Party, Shaping, SideBySide};
use runtime::tuner::{agreements, difference, least_cosine};
use serde::Serialize;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Runs a plan privately: three processes, mutual TLS 1.3 over loopback, fresh keys.
///
/// Example: chebyshare run examples/models/digits_vit.onnx --plan digits.plan.toml
/// --input examples/models/digits_test.npz --output scores.npz --local
#[derive(Args)]
pub struct Run {
    /// The ONNX file; only the party that owns the model reads its weights.
    pub model: PathBuf,
    /// The plan.
    #[arg(long, value_name = "PLAN.toml")]
    pub plan: PathBuf,
    /// The inputs: an .npz with an array for each input of the model.
    #[arg(long, value_name = "X.npz")]
    pub input: PathBuf,
    /// Where the outputs are written.
    #[arg(long, value_name = "Y.npz")]
    pub output: PathBuf,
    /// All parties on this machine (the only way of this command; use `party` for a deployment).
    #[arg(long)]
    pub local: bool,
    /// A network to imitate: lan (1 Gbit/s, 0.2 ms there and back), wan (100 Mbit/s, 40 ms) or a TOML file.
    #[arg(long)]
    pub network: Option<String>,
    /// Whose signatures the catalog must carry, and what is revoked; without one, no signature is asked for.
    #[arg(long, value_name = "POLICY.toml")]
    pub policy: Option<PathBuf>,
    /// Show where rounds, bytes and seconds went, site by site: a table, and a picture in this file.
    #[arg(long, value_name = "FILE.svg")]
    pub profile: Option<PathBuf>,
    /// Runs that are executed side by side, 1 to 64: what one sends is on its way while the others compute. Each holds
    /// values of its own; the weights are held once. As many as the plan says where nothing is given.
    #[arg(long, value_name = "RUNS")]
    pub side_by_side: Option<SideBySide>,
    /// Do not compare with the plain model.
    #[arg(long)]
    pub no_reference: bool,
    /// Where the parties compute: cpu, cuda, cuda:NUMBER or auto, which takes the first GPU if there is one. All
    /// parties of a local run share it.
    #[arg(long, value_name = "BACK END", default_value = "cpu")]
    pub backend: BackEnd,
}

/// How long parties on one machine wait for each other: the model's owner proves a large model's headroom before it
/// listens. A process that ends ends the others, so that this is no time that a failure takes to be seen.
const PATIENCE: Duration = Duration::from_secs(1800);

/// Parties of a session.
pub const PARTIES: u8 = 3;

/// What the parties are called, after what they own.
fn roles(owners: &Owners) -> [&'static str; PARTIES as usize] {
    // Somebody owns the model, so that two at most own nothing.
    let mut others = ["helper", "second-helper"].into_iter();
    [Party(0), Party(1), Party(2)].map(|party| {
        match [owners.model, owners.input, owners.output].map(|owner| owner == party) {
            [true, true, _] => "model-and-data",
            [true, false, _] => "model",
            [false, true, _] => "data",
            [false, false, true] => "output",
            [false, false, false] => others.next().expect("somebody owns the model"),
        }
    })
}

/// What a run showed.
#[derive(Serialize)]
pub struct Report {
    /// Inputs.
    pub inputs: u64,
    /// Seconds of all runs, the slowest party's, sessions and weights included.
    pub seconds: f64,
    /// Seconds of the runs alone.
    pub run_seconds: f64,
    /// CPU seconds of all parties.
    pub cpu_seconds_total: f64,
    /// CPU seconds of all parties in the runs alone: what proving, encoding and sharing the weights took is left out.
    pub run_cpu_seconds_total: f64,
    /// The most memory that a party held.
    pub peak_memory_bytes: u64,
    /// Runs.
    pub runs: u64,
    /// Rounds that were counted, all runs together: rounds in which any party sent or received a frame.
    pub rounds: u64,
    /// Rounds that the plan predicts.
    pub rounds_predicted: u64,
    /// Bytes that were counted, of all parties: payload and frame headers of the runs.
    pub bytes_total: u64,
    /// Bytes that the plan predicts.
    pub bytes_predicted: u64,
    /// Bytes that each party sent.
    pub bytes_per_party: Vec<u64>,
    /// What is done once a session.
    pub preprocessing: Preprocessing,
    /// Largest difference of an output from the plain model.
    pub max_abs_error: Option<f64>,
    /// Share of inputs with the plain model's arg-max.
    pub agreement: Option<f64>,
    /// The least cosine of an input's first output and the plain model's.
    pub cosine: Option<f64>,
    /// With --profile: where rounds, bytes and seconds went; seconds are those of a party on average.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<Vec<party::GroupRow>>,
}

/// What is done once a session.
#[derive(Serialize)]
pub struct Preprocessing {
    /// Bytes of sharing the weights, all parties, headers included.
    pub weight_bytes: u64,
}

impl Run {
    /// Runs and prints.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        if !self.local {
            return Err(Failure::input("use --local; a deployment starts `chebyshare party` at each party"));
        }
        let report = self.execute(&context.catalog)?;
        context.print(&report, text)
    }

    /// Starts the parties, waits for them, compares with the plain model.
    pub fn execute(&self, catalog: &Path) -> Result<Report, Failure> {
        let file = plan::read(&self.plan)?;
        if let Some(policy) = &self.policy {
            // Each party decides again for itself; this only says so before keys are made.
            let admission = catalog_folder::admit(catalog, &catalog_folder::open(catalog)?, policy)?;
            file.check_revocations(&admission)?;
        }
        inspect::read(&self.model)?;
        inspect::read(&self.input)?;
        let owners = [file.parties.model, file.parties.input, file.parties.output];
        if let Some(owner) = owners.iter().find(|&&owner| owner >= PARTIES) {
            return Err(Failure::Input(format!(
                "{}: the plan names party {owner}, but there are parties 0 to 2: tune again",
                self.plan.display()
            )));
        }
        let structure = plan::structure_file(&self.plan);
        let reads = [&self.model, &self.plan, &structure, &self.input].into_iter().chain(&self.policy);
        // What no party could imitate is refused before any is started.
        self.network.as_deref().map(Shaping::named).transpose().map_err(Failure::input)?;
        let reads = reads.map(PathBuf::as_path).chain(output::network_file(self.network.as_deref()));
        output::check_file_places(reads, [&self.output].into_iter().chain(&self.profile).map(PathBuf::as_path))?;
        let backend = self.backend.decided()?;
        let folder = TemporaryFolder::new()?;
        let owners = Owners {
            model: Party(file.parties.model),
            input: Party(file.parties.input),
            output: Party(file.parties.output),
        };
        let configs = loopback(
            folder.path(),
            &Loopback {
                session: "local",
                roles: &roles(&owners),
                owners,
                plan: &self.plan,
                model: &self.model,
                input: &self.input,
                output: &self.output,
                policy: self.policy.as_deref(),
                network: self.network.as_deref(),
                side_by_side: self.side_by_side,
                limits: Limits { connect: PATIENCE, receive: PATIENCE, ..Limits::default() },
            },
        )
        .map_err(Failure::input)?;
        let reports = run_parties(&configs, catalog, backend)?;
        let profile = self.profile.as_ref().map(|picture| -> Result<_, Failure> {
            let rows =
                run_profile::together(&reports.iter().map(|report| report.profile.as_slice()).collect::<Vec<_>>());
            let runs = reports.first().map_or(0, |report| report.runs) as usize;
            let title =
                format!("{}: where {} of {} inputs went", file.model.name, counted(runs, "run"), file.model.batch);
            output::write_texts(&[(picture, &run_profile::picture(&title, &rows, runs as u64))])?;
            Ok(rows)
        });
        let profile = profile.transpose()?;
        Ok(Report { profile, ..self.compare(&file, reports)? })
    }

    fn compare(&self, file: &Plan, reports: Vec<party::Report>) -> Result<Report, Failure> {
        let runs = reports.iter().map(|report| report.runs).max().unwrap_or(0);
        let mut rounds = 0;
        for run in 0..runs as usize {
            let active = reports.iter().filter_map(|report| report.active_rounds.get(run)).flatten();
            rounds += active.collect::<BTreeSet<_>>().len() as u64;
        }
        let (mut max_abs_error, mut agreement, mut cosine) = (None, None, None);
        if !self.no_reference {
            // The model itself, also where the plan limits arguments.
            let (plain, private) = self.outputs(&file.model.axes().with_clamps(Vec::new()))?;
            max_abs_error = Some(difference(&plain, &private));
            let count = plain.first().and_then(|tensor| tensor.shape.first()).copied().unwrap_or(0);
            agreement = Some(agreements(&plain, &private) as f64 / count.max(1) as f64);
            cosine = least_cosine(&plain, &private);
        }
        let largest = |value: fn(&party::Report) -> f64| reports.iter().map(value).fold(0.0, f64::max);
        Ok(Report {
            inputs: reports.first().map_or(0, |report| report.inputs),
            seconds: largest(|report| report.seconds),
            run_seconds: largest(|report| report.run_seconds),
            cpu_seconds_total: reports.iter().filter_map(|report| report.cpu_seconds).sum(),
            run_cpu_seconds_total: reports.iter().filter_map(|report| report.run_cpu_seconds).sum(),
            peak_memory_bytes: reports.iter().filter_map(|report| report.peak_memory_bytes).max().unwrap_or(0),
            runs,
            rounds,
            rounds_predicted: runs * file.predicted.rounds_per_run,
            bytes_total: reports.iter().map(|report| report.bytes_sent).sum(),
            bytes_predicted: runs * file.predicted.bytes_per_run,
            bytes_per_party: reports.iter().map(|report| report.bytes_sent).collect(),
            preprocessing: Preprocessing { weight_bytes: reports.iter().map(|report| report.weight_bytes_sent).sum() },
            max_abs_error,
            agreement,
            cosine,
            profile: None,
        })
    }

    /// The plain model's outputs, and the private ones as written.
    fn outputs(&self, axes: &Axes) -> Result<(Vec<Tensor>, Vec<Tensor>), Failure> {
        let model = inspect::read(&self.model)?;
        let single = inspect::import(&self.model, &model, &axes.for_batch(1))?;
        let inputs = tune::model_inputs(&single, &self.input)?;
        let count = inputs.first().and_then(|tensor| tensor.shape.first()).copied().unwrap_or(0);
        let graph = inspect::import(&self.model, &model, &axes.for_batch(count))?;
        let plain = reference::run(&graph, &inputs, &mut |_, _| {}).map_err(Failure::input)?;
        let arrays = Arrays::read(&self.output).map_err(Failure::input)?;
        let private = graph.outputs().iter().map(|(name, _)| arrays.reals(name).map_err(Failure::input));
        Ok((plain, private.collect::<Result<_, _>>()?))
    }
}

/// A process per configuration, all to their end.
fn run_parties(configs: &[PathBuf], catalog: &Path, backend: BackEnd) -> Result<Vec<party::Report>, Failure> {
    let arguments = |config: &PathBuf| {
        let (backend, config) = (backend.argument().into(), config.clone().into_os_string());
        ["party".into(), "--attached".into(), "--backend".into(), backend, "--config".into(), config]
    };
    let bar = std::cell::OnceCell::new();
    let show = |done, total| bar.get_or_init(|| party::rounds_bar(total)).set_position(done);
    let outputs = processes_of(configs, catalog, arguments, show)?;
    if let Some(bar) = bar.get() {
        bar.finish_and_clear();
    }
    let report = |output: &String| {
        serde_json::from_str(output).map_err(|error| Failure::Peer(format!("a party's report: {error}")))
    };
    outputs.iter().map(report).collect()
}

/// What this program printed, started once per configuration with `arguments` of it; `show` as in
/// [`processes::run_all`].
pub fn processes_of<const N: usize>(
    configs: &[PathBuf],
    catalog: &Path,
    arguments: impl Fn(&PathBuf) -> [OsString; N],
    show: impl Fn(u64, u64),
) -> Result<Vec<String>, Failure> {
    let program = std::env::current_exe().map_err(|error| Failure::Input(format!("this program: {error}")))?;
    let command = |config: &PathBuf| {
        let mut command = Command::new(&program);
        command.arg("--json").arg("--catalog").arg(catalog).args(arguments(config));
        command
    };
    processes::run_all(configs.iter().map(command).collect(), "party", show)
}

/// The run as a page.
pub fn text(report: &Report) -> String {
    let counted = |counted: u64, predicted: u64| if counted == predicted { "as predicted" } else { "NOT as predicted" };
    let mut out = format!(
        "{} inputs in {} runs: {:.2} s ({:.2} s of runs); CPU of all parties {:.2} s ({:.2} s of runs), \
         {:.0} MB of memory at most a party\n\
         rounds {} ({}), bytes of all parties {} ({}), weights once {} bytes\n",
        report.inputs,
        report.runs,
        report.seconds,
        report.run_seconds,
        report.cpu_seconds_total,
        report.run_cpu_seconds_total,
        report.peak_memory_bytes as f64 / 1e6,
        report.rounds,
        counted(report.rounds, report.rounds_predicted),
        report.bytes_total,
        counted(report.bytes_total, report.bytes_predicted),
        report.preprocessing.weight_bytes,
    );
    if let (Some(error), Some(agreement)) = (report.max_abs_error, report.agreement) {
        out.push_str(&format!(
            "agreement with the plain model {:.2} %, worst score error {error:.2e}, least cosine {:.8}\n",
            100.0 * agreement,
            report.cosine.unwrap_or(f64::NAN)
        ));
    }
    if let Some(rows) = &report.profile {
        out.push_str(&run_profile::text(rows, report.runs));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parties_are_called_after_what_they_own() {
        for ([model, input, output], expected) in [
            ([0, 1, 1], ["model", "data", "helper"]),
            ([2, 0, 1], ["data", "output", "model"]),
            ([1, 1, 1], ["helper", "model-and-data", "second-helper"]),
            ([2, 2, 0], ["output", "helper", "model-and-data"]),
        ] {
            let owners = Owners { model: Party(model), input: Party(input), output: Party(output) };
            assert_eq!(roles(&owners), expected);
        }
        for number in 0..27u8 {
            let [model, input, output] = [number / 9, number / 3 % 3, number % 3].map(Party);
            assert_eq!(BTreeSet::from(roles(&Owners { model, input, output })).len(), 3);
        }
    }
}
