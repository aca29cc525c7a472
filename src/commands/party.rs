//! `chebyshare party`: one party of a private run.

use crate::catalog_folder;
use crate::commands::back_end::{BackEnd, Chosen};
use crate::commands::{inspect, plan, tune};
use crate::failure::Failure;
use crate::report::Context;
use crate::{interrupt, output, processes};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use runtime::arrays::{Elements, Output, write_npz};
use runtime::backend::{Backend, Cpu};
use runtime::circuit;
use runtime::deployment::PartyConfig;
use runtime::graph::{Graph, Tensor};
use runtime::plan::CheckedPlan;
use runtime::session::{self, Announcement, GroupShare, Runner};
use runtime::transport::{self, AbortReason, Kind, Transport, tls};
use runtime::tuner::leading;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Runs one party from its configuration file.
///
/// The folder examples/deployment has such a file for each party, with its fields explained.
///
/// Example: chebyshare party --config examples/deployment/data.toml
#[derive(Args)]
pub struct Party {
    /// The configuration file.
    #[arg(long, value_name = "PARTY.toml")]
    config: PathBuf,
    /// Where this party computes: cpu, cuda, cuda:NUMBER or auto, which takes the first GPU if there is one. What the
    /// others choose does not matter.
    #[arg(long, value_name = "BACK END", default_value = "cpu")]
    backend: BackEnd,
    /// Stop when standard input ends: the program that started this party is gone then.
    #[arg(long, hide = true)]
    attached: bool,
}

/// What this party may know of a run.
#[derive(Serialize, Deserialize)]
pub struct Report {
    /// Its index.
    pub party: u8,
    /// Inputs that were processed.
    pub inputs: u64,
    /// Runs (batches).
    pub runs: u64,
    /// Per run, the rounds in which this party sent or received a frame.
    pub active_rounds: Vec<Vec<u32>>,
    /// Bytes that this party sent in runs: payload and frame headers.
    pub bytes_sent: u64,
    /// Bytes that it sent to share the model's weights.
    pub weight_bytes_sent: u64,
    /// Bytes that it handed to TCP in all, TLS included.
    pub wire_bytes_sent: u64,
    /// Seconds from the agreed session to the last run.
    pub seconds: f64,
    /// Seconds of the runs alone.
    pub run_seconds: f64,
    /// CPU seconds of this process, where the system tells.
    pub cpu_seconds: Option<f64>,
    /// CPU seconds of the runs alone.
    pub run_cpu_seconds: Option<f64>,
    /// The most memory that this process held, where the system tells.
    pub peak_memory_bytes: Option<u64>,
    /// Where rounds, bytes and seconds went, in the order of the circuit.
    pub profile: Vec<GroupRow>,
}

/// What one node of the model took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupRow {
    /// The model's node, or a word for what has none.
    pub name: String,
    /// What it computes.
    pub kind: String,
    /// Whether it is a site of a nonlinear function.
    pub is_site: bool,
    /// Rounds of a batch's longest chain of messages that are its own.
    pub rounds: u32,
    /// Payload bytes of all parties in a batch.
    pub bytes: u64,
    /// Seconds of local computing, all batches.
    pub computing_seconds: f64,
    /// Seconds of waiting for messages, all batches.
    pub waiting_seconds: f64,
}

/// Shows the rounds that are done, on a terminal or to the program that started this one.
struct Progress {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Progress {
    fn start(done: Arc<AtomicU64>, total: u64, attached: bool) -> Progress {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let bar = (!attached).then(|| rounds_bar(total));
            let mut told = 0;
            while !seen.load(Ordering::Relaxed) {
                let done = done.load(Ordering::Relaxed);
                match &bar {
                    Some(bar) => bar.set_position(done),
                    None if done != told => eprintln!("{}{done} {total}", processes::PROGRESS),
                    None => {}
                }
                told = done;
                std::thread::park_timeout(Duration::from_millis(100));
            }
            if let Some(bar) = bar {
                bar.finish_and_clear();
            }
        });
        Progress { stop, thread: Some(thread) }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

/// A bar over rounds; nothing is shown on a pipe.
pub fn rounds_bar(total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:32} {pos} of {len} rounds, {elapsed}, {eta} to go");
    ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// What this party owns.
struct Owned {
    weights: Option<circuit::Weights>,
    inputs: Option<Vec<Tensor>>,
}

impl Party {
    /// Runs to the end of the session.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        if self.attached {
            interrupt::stop_with_input(3)?;
        }
        let config = PartyConfig::read(&self.config).map_err(Failure::input)?;
        let backend = self.backend.open()?;
        let catalog = catalog_folder::open(&context.catalog)?;
        let file = plan::read(&config.plan)?;
        if let Some(policy) = &config.policy {
            // Of the catalog in memory, from which the plan's entries are taken below.
            let admission = catalog_folder::admit(&context.catalog, &catalog, policy)?;
            file.check_revocations(&admission)?;
        }
        let owners = (config.owners.model.0, config.owners.input.0, config.owners.output.0);
        if owners != (file.parties.model, file.parties.input, file.parties.output) {
            return Err(Failure::Input(format!("{}: the owners differ from the plan's", self.config.display())));
        }
        let structure = plan::read_structure(&config.plan)?;
        let checked = file.check(&structure, &catalog).map_err(plan::refused)?;
        let owned = load(&config, &checked, &structure)?;
        let endpoint = config.endpoint().map_err(Failure::input)?;
        let digest = transport::Digest(*checked.digest().bytes());
        let shaping = config.shaping().map_err(Failure::input)?;
        let mut mesh = tls::connect(&endpoint, &config.terms(digest), config.limits(), shaping).map_err(peer)?;
        let session = Session { config: &config, checked: &checked, owned, structure: &structure };
        let report = match backend {
            Chosen::Cpu => session.execute(Cpu, &mut mesh, self.attached),
            Chosen::Cuda(cuda) => session.execute(*cuda, &mut mesh, self.attached),
        };
        if report.is_err() {
            mesh.abort(AbortReason::LocalFailure);
        }
        let report = report?;
        context.print(&report, text_of)
    }
}

fn peer(error: transport::Error) -> Failure {
    match error {
        transport::Error::Configuration(_) | transport::Error::Shaping { .. } => Failure::input(error),
        other => Failure::Peer(other.to_string()),
    }
}

fn failed(error: session::Error) -> Failure {
    match error {
        session::Error::Transport(error) => peer(error),
        other => Failure::input(other),
    }
}

fn load(config: &PartyConfig, checked: &CheckedPlan, structure: &Graph) -> Result<Owned, Failure> {
    let mut owned = Owned { weights: None, inputs: None };
    if config.owners.model == config.party {
        let path = config.model.as_ref().ok_or_else(|| Failure::input("the model's owner has no model file"))?;
        let graph = inspect::import(path, &inspect::read(path)?, &checked.plan().model.axes())?;
        if runtime::plan::structure_digest(&graph).to_string() != checked.plan().model.structure {
            return Err(Failure::Input(format!("{}: not the model that the plan was tuned for", path.display())));
        }
        owned.weights = Some(checked.prove_headroom(&graph).map_err(plan::refused)?);
    }
    if let Some(path) = &config.output {
        let structure = plan::structure_file(&config.plan);
        output::check_file_places(config.files().chain([structure.as_path()]), [path.as_path()])?;
    }
    if config.owners.input == config.party {
        let path = config.input.as_ref().ok_or_else(|| Failure::input("the input's owner has no input file"))?;
        let tensors = tune::model_inputs(structure, path)?;
        let promise = checked.plan().model.promise();
        for ((name, _), tensor) in structure.inputs().iter().zip(&tensors) {
            promise.kept(name, tensor).map_err(|reason| {
                Failure::Input(format!(
                    "{}: {reason}, which the plan was proved for; tune with a wider --input-range or --row-norm",
                    path.display()
                ))
            })?;
        }
        owned.inputs = Some(tensors);
    }
    Ok(owned)
}

/// What a session is made of, beside its connection and what computes.
struct Session<'a> {
    config: &'a PartyConfig,
    checked: &'a CheckedPlan,
    owned: Owned,
    structure: &'a Graph,
}

impl Session<'_> {
    fn execute<B: Backend>(self, backend: B, transport: &mut dyn Transport, attached: bool) -> Result<Report, Failure> {
        let Session { config, checked, mut owned, structure } = self;
        let started = Instant::now();
        let circuit = &checked.lowered().circuit;
        let mut runner = Runner::on(backend, circuit.clone(), circuit::Party(config.party.0)).map_err(failed)?;
        let party = |party: transport::Party| circuit::Party(party.0);
        // Once they are shared, the owner holds no more of them than the others.
        let weights = owned.weights.take();
        runner.share_weights(party(config.owners.model), weights.as_ref(), transport).map_err(failed)?;
        drop(weights);
        let given = owned.inputs.as_ref().and_then(|tensors| tensors.first()).and_then(|t| t.shape.first().copied());
        let most = config.side_by_side.unwrap_or(checked.plan().model.side_by_side);
        let given = given.map(|count| Announcement { inputs: count as u64, side_by_side: most });
        let announced = runner.announce(party(config.owners.input), given, transport).map_err(failed)?;
        let (count, batch) = (announced.inputs, checked.plan().model.batch as u64);
        let runs = count.div_ceil(batch);
        // A session with fewer runs than were announced never has more at once than these.
        if announced.side_by_side.groups(runs).next().is_some_and(|together| together > most) {
            return Err(Failure::Peer(format!(
                "the owner of the input asks for {} runs side by side, this party executes {most} at most: give all \
                 parties the same `side_by_side`",
                announced.side_by_side
            )));
        }
        let (runs_started, cpu_before) = (Instant::now(), cpu_seconds());
        let mut outputs: Vec<Tensor> = Vec::new();
        let (mut active_rounds, mut profiles) = (Vec::new(), Vec::new());
        let rounds = runs.saturating_mul(u64::from(runner.schedule().rounds));
        let progress = Progress::start(runner.rounds_done(), rounds, attached);
        let mut next_run = 0;
        for together in announced.side_by_side.groups(runs) {
            let group = next_run..next_run + together.get();
            next_run = group.end;
            let sizes = group.map(|run| ((run * batch) as usize, batch.min(count - run * batch) as usize));
            let mut batches = Vec::new();
            for (first, size) in sizes.clone() {
                batches.push(match &owned.inputs {
                    Some(tensors) => {
                        let slice: Vec<Tensor> = tensors.iter().map(|tensor| leading(tensor, first, size)).collect();
                        let encoded =
                            checked.lowered().encode_inputs(&checked.pad_batch(&slice)).map_err(Failure::input)?;
                        encoded.into_iter().map(Some).collect()
                    }
                    None => vec![None; circuit.inputs().len()],
                });
            }
            let batches: Vec<&[Option<_>]> = batches.iter().map(Vec::as_slice).collect();
            let outcomes = runner.run_side_by_side(&batches, transport).map_err(failed)?;
            for (outcome, (_, size)) in outcomes.into_iter().zip(sizes) {
                active_rounds.push(outcome.rounds.into_iter().collect());
                profiles.push(outcome.profile);
                let known: Option<Vec<_>> = outcome.outputs.into_iter().collect();
                if let Some(known) = known {
                    let decoded = checked.lowered().decode_outputs(&known).map_err(Failure::input)?;
                    append(&mut outputs, decoded, size);
                }
            }
        }
        drop(progress);
        let run_seconds = runs_started.elapsed().as_secs_f64();
        let run_cpu_seconds = cpu_seconds().zip(cpu_before).map(|(after, before)| after - before);
        let traffic = transport.finish().map_err(peer)?;
        if let Some(path) = &config.output {
            let names: Vec<&str> = checked.lowered().output_names().collect();
            let arrays: Vec<Output<'_>> = names
                .iter()
                .zip(&outputs)
                .map(|(name, tensor)| Output { name, shape: &tensor.shape, elements: Elements::Double(&tensor.data) })
                .collect();
            interrupt::undivided(|| write_npz(path, &arrays)).map_err(Failure::input)?;
        }
        Ok(Report {
            party: config.party.0,
            inputs: count,
            runs,
            active_rounds,
            bytes_sent: traffic.online_sent().bytes,
            weight_bytes_sent: traffic.sent(Kind::Parameters).bytes,
            wire_bytes_sent: traffic.wire_bytes_sent,
            seconds: started.elapsed().as_secs_f64(),
            run_seconds,
            cpu_seconds: cpu_seconds(),
            run_cpu_seconds,
            peak_memory_bytes: peak_memory_bytes(),
            profile: rows(session::by_group(runner.circuit(), runner.schedule(), &profiles), structure),
        })
    }
}

/// The groups with the kinds of the model's nodes.
fn rows(shares: Vec<GroupShare>, structure: &Graph) -> Vec<GroupRow> {
    let kinds: BTreeMap<&str, &str> =
        structure.nodes().iter().map(|node| (node.name.as_str(), node.operator.name())).collect();
    let row = |share: GroupShare| GroupRow {
        kind: kinds.get(share.name.as_str()).copied().unwrap_or_default().to_owned(),
        name: share.name,
        is_site: share.is_site,
        rounds: share.rounds,
        bytes: share.bytes,
        computing_seconds: share.computing,
        waiting_seconds: share.waiting,
    };
    shares.into_iter().map(row).collect()
}

/// Appends the first `size` examples of each tensor.
fn append(outputs: &mut Vec<Tensor>, decoded: Vec<Tensor>, size: usize) {
    for (index, tensor) in decoded.into_iter().enumerate() {
        let part = leading(&tensor, 0, size);
        match outputs.get_mut(index) {
            Some(whole) => {
                whole.shape[0] += size;
                whole.data.extend(part.data);
            }
            None => outputs.push(part),
        }
    }
}

/// User and system time of this process, from /proc (clock ticks of 1/100 s).
fn cpu_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: f64 = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    Some(ticks / 100.0)
}

/// The largest resident set of this process, from /proc (kB).
fn peak_memory_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

fn text_of(report: &Report) -> String {
    format!(
        "party {}: {} inputs in {} runs, {:.2} s, {:.2} MB sent ({:.2} MB of them weights)\n",
        report.party,
        report.inputs,
        report.runs,
        report.seconds,
        (report.bytes_sent + report.weight_bytes_sent) as f64 / 1e6,
        report.weight_bytes_sent as f64 / 1e6,
    )
}
