//! `chebyshare bench simulate`: the bit-exact simulation beside private runs.

use super::sessions;
use crate::commands::inspect;
use crate::commands::plan::limits::checked;
use crate::commands::tune::model_inputs;
use crate::failure::Failure;
use crate::report::{Context, table};
use clap::Args;
use runtime::circuit::ideal::{RoundingMode, Simulation};
use runtime::cost::median;
use runtime::graph::Tensor;
use runtime::transport::{Shaping, SideBySide};
use runtime::tuner;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Instant;

/// Simulates a plan's run bit for bit, and runs it between three processes: how many times faster the simulation is.
/// Let nothing else run meanwhile.
///
/// Example: chebyshare bench simulate examples/models/digits_vit.onnx --plan examples/plans/digits_vit.plan.toml
/// --input examples/models/digits_test.npz --networks lan,wan
#[derive(Args)]
pub struct Simulate {
    /// The ONNX file.
    model: PathBuf,
    /// The plan.
    #[arg(long, value_name = "PLAN.toml")]
    plan: PathBuf,
    /// The inputs; the first batch of them is simulated.
    #[arg(long, value_name = "X.npz")]
    input: PathBuf,
    /// Networks, with commas: lan, wan or TOML files.
    #[arg(long, value_delimiter = ',', default_value = "lan,wan")]
    networks: Vec<String>,
    /// Simulations after the first, and sessions per network, of which the medians count.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..))]
    runs: u8,
}

#[derive(Serialize)]
struct Row {
    network: String,
    /// Of a private run, the median of the sessions.
    run_seconds: f64,
    /// How many simulations take as long.
    times_faster: f64,
}

#[derive(Serialize)]
struct Report {
    model: String,
    /// Inputs of a run.
    batch: usize,
    /// Of the first simulation, which packs the weights.
    first_seconds: f64,
    /// Of the later ones, the median.
    seconds: f64,
    networks: Vec<Row>,
}

impl Simulate {
    /// Simulates, runs, prints.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        self.networks.iter().try_for_each(|name| Shaping::named(name).map(drop)).map_err(Failure::input)?;
        let plan = checked(&context.catalog, &self.plan)?;
        let batch = plan.plan().model.batch;
        let graph = inspect::import(&self.model, &inspect::read(&self.model)?, &plan.plan().model.axes())?;
        let given = model_inputs(&graph, &self.input)?;
        let first: Vec<Tensor> = given
            .iter()
            .map(|tensor| tuner::leading(tensor, 0, batch.min(tensor.shape.first().copied().unwrap_or(0))))
            .collect();
        let inputs = plan.lowered().encode_inputs(&plan.pad_batch(&first)).map_err(Failure::input)?;
        let weights = plan.prove_headroom(&graph).map_err(Failure::input)?;
        let simulation = Simulation::new(&plan.lowered().circuit, &weights);
        let mut seconds = Vec::new();
        for run in 0..=u64::from(self.runs) {
            let begun = Instant::now();
            simulation.run(&inputs, RoundingMode::Seed(run)).map_err(Failure::input)?;
            seconds.push(begun.elapsed().as_secs_f64());
        }
        let first_seconds = seconds.remove(0);
        let seconds = median(seconds).unwrap_or(f64::NAN);
        let mut networks = Vec::new();
        for network in &self.networks {
            let files = (self.model.as_path(), self.plan.as_path(), self.input.as_path());
            let sessions = sessions::run(&context.catalog, files, network, SideBySide::ONE, self.runs)?;
            let run_seconds = median(sessions.seconds).unwrap_or(f64::NAN);
            networks.push(Row { network: network.clone(), run_seconds, times_faster: run_seconds / seconds });
        }
        let report = Report { model: plan.plan().model.name.clone(), batch, first_seconds, seconds, networks };
        context.print(&report, text)
    }
}

fn text(report: &Report) -> String {
    let cells = report
        .networks
        .iter()
        .map(|row| vec![row.network.clone(), format!("{:.4}", row.run_seconds), format!("{:.1}", row.times_faster)]);
    format!(
        "a run of {}, {} inputs: simulated in {:.4} s, the first time in {:.4} s\n{}",
        report.model,
        report.batch,
        report.seconds,
        report.first_seconds,
        table(&["network", ">private run, s", ">times the simulation"], &cells.collect::<Vec<_>>())
    )
}
