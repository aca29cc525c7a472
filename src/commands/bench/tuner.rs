//! `chebyshare bench tuner`: tuned plans beside what else one could do, run on this machine.

mod baselines;
mod peers;

use crate::commands::back_end::BackEnd;
use crate::commands::run::Run;
use crate::commands::tune::{self, RequestOptions};
use crate::commands::{inspect, plan};
use crate::failure::Failure;
use crate::interrupt::TemporaryFolder;
use crate::output;
use crate::report::{Context, table};
use clap::Args;
use runtime::plan::Plan;
use runtime::tuner::{self, Attempt, Problem, Request};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Tunes a model, and makes plans as other tuners and other systems would, over the same certified runtime; runs all of
/// them in one go: seconds, rounds, bytes, errors.
///
/// Example: chebyshare bench tuner examples/models/digits_vit.onnx --calibration
/// examples/models/digits_calibration.npz --input examples/models/digits_test.npz --network wan
#[derive(Args)]
pub struct Tuner {
    #[command(flatten)]
    options: RequestOptions,
    /// The inputs of the runs.
    #[arg(long, value_name = "X.npz")]
    input: PathBuf,
    /// Runs of every plan, in turns; the median counts. 0 predicts only.
    #[arg(long, default_value_t = 3)]
    runs: u8,
    /// The folder of the audited catalog of other systems' approximations.
    #[arg(long, default_value = "catalogs/peers/entries")]
    peers: PathBuf,
    /// The most plans that the greedy and the hill-climbing tuner may simulate.
    #[arg(long, default_value_t = 200)]
    simulations: usize,
}

/// One way to choose.
#[derive(Serialize)]
pub struct Row {
    /// Which.
    pub name: String,
    /// Plans that it simulated.
    pub simulated: usize,
    /// What it gave, or why it gave nothing.
    pub outcome: Result<Outcome, String>,
}

/// A plan and what its runs showed.
#[derive(Serialize)]
pub struct Outcome {
    /// Whether it meets the constraint, and if not why.
    pub unmet: Vec<String>,
    /// Rounds of one run.
    pub rounds: u64,
    /// Bytes of one run.
    pub bytes: u64,
    /// Predicted seconds of one run.
    pub predicted_seconds: f64,
    /// The median of the runs, per run.
    pub seconds: Option<f64>,
    /// On the calibration set.
    pub simulated_error: f64,
    /// On the inputs of the runs.
    pub error: Option<f64>,
    /// On the inputs of the runs.
    pub agreement: Option<f64>,
    #[serde(skip)]
    plan: Plan,
    #[serde(skip)]
    structure: String,
    #[serde(skip)]
    catalog: Option<PathBuf>,
}

/// The report.
#[derive(Serialize)]
pub struct Report {
    /// The model.
    pub model: String,
    /// The network.
    pub network: String,
    /// The ways, ours first.
    pub rows: Vec<Row>,
}

impl Tuner {
    /// Tunes, runs, prints.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let catalog = self.options.catalog(&context.catalog)?;
        let model = inspect::read(&self.options.model)?;
        let request = self.options.request(&model, &catalog)?;
        let mut rows = self.own(&request)?;
        let folder = TemporaryFolder::new()?;
        rows.extend(peers::rows(&self.peers, &catalog, &request, folder.path())?);
        self.measure(&mut rows, &request, &context.catalog, folder.path())?;
        let report = Report { model: request.model_name.clone(), network: request.network_name.clone(), rows };
        context.print(&report, text)
    }

    /// The tuned plan and the baselines over the same candidates.
    fn own(&self, request: &Request<'_>) -> Result<Vec<Row>, Failure> {
        let tuned = tuner::tune(request, &mut tune::say).map_err(tune::failure)?;
        let simulations = self.simulations;
        Problem::explore(request, &mut tune::say, |problem, progress| {
            let row = |name: &str, found: Result<(Attempt, usize), String>| match found {
                Ok((attempt, simulated)) => Row::new(name, simulated, attempt),
                Err(reason) => Row { name: name.into(), simulated: 0, outcome: Err(reason) },
            };
            let own = problem.choice_of(&tuned.plan).ok_or_else(|| "the plan's choice was lost".to_owned());
            let own = own.and_then(|chosen| problem.attempt(chosen).map_err(|error| error.to_string()));
            let simulated = tuned.plan.measured.candidates_tried;
            let tuned = row("tuned", own.map(|attempt| (attempt, simulated)));
            let accurate = row("(a) most accurate everywhere", baselines::most_accurate(problem)?);
            let uniform = row("(b) cheapest uniform", baselines::uniform(problem, progress)?);
            let greedy = row("greedy, site by site", baselines::greedy(problem, simulations, progress)?);
            let climbed = row("hill climbing", baselines::hill_climbing(problem, simulations, progress)?);
            Ok(vec![tuned, accurate, uniform, greedy, climbed])
        })
        .map_err(tune::failure)
    }

    /// Runs every plan, in turns, so that what disturbs the machine disturbs all of them.
    fn measure(&self, rows: &mut [Row], request: &Request<'_>, catalog: &Path, folder: &Path) -> Result<(), Failure> {
        let mut seconds: Vec<Vec<f64>> = rows.iter().map(|_| Vec::new()).collect();
        for turn in 0..self.runs {
            for (index, row) in rows.iter_mut().enumerate() {
                let Ok(outcome) = &mut row.outcome else { continue };
                let file = folder.join(format!("{index}.plan.toml"));
                let structure = plan::structure_file(&file);
                output::write_texts(&[(&structure, &outcome.structure), (&file, &outcome.plan.to_text())])?;
                let run = Run {
                    model: self.options.model.clone(),
                    plan: file,
                    input: self.input.clone(),
                    output: folder.join("output.npz"),
                    local: true,
                    network: Some(request.network_name.clone()),
                    policy: None,
                    backend: BackEnd::Cpu,
                    profile: None,
                    no_reference: turn > 0,
                };
                let report = run.execute(outcome.catalog.as_deref().unwrap_or(catalog))?;
                seconds[index].push(report.run_seconds / report.runs.max(1) as f64);
                if turn == 0 {
                    (outcome.error, outcome.agreement) = (report.max_abs_error, report.agreement);
                }
            }
        }
        for (row, mut seconds) in rows.iter_mut().zip(seconds) {
            seconds.sort_by(f64::total_cmp);
            if let Ok(outcome) = &mut row.outcome {
                outcome.seconds = seconds.get(seconds.len() / 2).copied();
            }
        }
        Ok(())
    }
}

impl Row {
    fn new(name: &str, simulated: usize, attempt: Attempt) -> Row {
        let Attempt { plan, structure, verdict, unmet, .. } = attempt;
        let predicted = &plan.predicted;
        let outcome = Outcome {
            unmet,
            rounds: predicted.rounds_per_run,
            bytes: predicted.bytes_per_run,
            predicted_seconds: predicted.seconds_per_run,
            seconds: None,
            simulated_error: verdict.error,
            error: None,
            agreement: None,
            structure: structure.to_json(),
            catalog: None,
            plan,
        };
        Row { name: name.into(), simulated, outcome: Ok(outcome) }
    }
}

/// The report as a page.
fn text(report: &Report) -> String {
    let own = report.rows.first().and_then(|row| row.outcome.as_ref().ok());
    let time = |outcome: &Outcome| outcome.seconds.unwrap_or(outcome.predicted_seconds);
    let mut notes = String::new();
    let mut rows = Vec::new();
    for row in &report.rows {
        let outcome = match &row.outcome {
            Ok(outcome) => outcome,
            Err(reason) => {
                notes.push_str(&format!("{}: no plan: {reason}\n", row.name));
                continue;
            }
        };
        if !outcome.unmet.is_empty() {
            notes.push_str(&format!("{}: does not meet the constraint: {}\n", row.name, outcome.unmet.join("; ")));
        }
        let ratio = own.map(|own| time(outcome) / time(own));
        let optional =
            |value: Option<f64>, digits: usize| value.map_or(String::new(), |value| format!("{value:.digits$}"));
        rows.push(vec![
            row.name.clone(),
            outcome.rounds.to_string(),
            format!("{:.2}", outcome.bytes as f64 / 1e6),
            format!("{:.3}", outcome.predicted_seconds),
            optional(outcome.seconds, 3),
            optional(ratio, 2),
            format!("{:.2e}", outcome.simulated_error),
            outcome.error.map_or(String::new(), |error| format!("{error:.2e}")),
            optional(outcome.agreement, 4),
            row.simulated.to_string(),
        ]);
    }
    let header = [
        "plan",
        ">rounds",
        ">MB",
        ">predicted s",
        ">s",
        ">of tuned",
        ">calibration",
        ">error",
        ">agreement",
        ">simulated",
    ];
    format!("{} under {}\n{}{notes}", report.model, report.network, table(&header, &rows))
}
