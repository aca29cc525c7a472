//! `chebyshare bench time`: predicted seconds of a plan's runs beside what they take.

use super::sessions::{self, Sessions};
use crate::commands::plan::{limits::checked, words};
use crate::commands::profile;
use crate::failure::Failure;
use crate::report::{Context, table};
use clap::Args;
use runtime::cost::{Machine, median};
use runtime::session::work;
use runtime::transport::{Shaping, SideBySide};
use serde::Serialize;
use std::path::PathBuf;

/// Predicts the seconds of a run and takes them: how good the machine's profile is. Let nothing else run meanwhile.
///
/// With --fresh the machine's rates are measured right before and right after the sessions, over an imitated network too,
/// and their mean predicts: a machine that gets slower is predicted as it was meanwhile.
///
/// Example: chebyshare bench time examples/models/digits_vit.onnx --plan examples/plans/digits_vit.plan.toml
/// --input examples/models/digits_test.npz --machine machine.toml --networks lan,wan
#[derive(Args)]
pub struct Time {
    /// The ONNX file.
    model: PathBuf,
    /// The plan.
    #[arg(long, value_name = "PLAN.toml")]
    plan: PathBuf,
    /// The inputs.
    #[arg(long, value_name = "X.npz")]
    input: PathBuf,
    /// The machine's rates; by default those of the project's own.
    #[arg(long, value_name = "MACHINE.toml", conflicts_with = "fresh")]
    machine: Option<PathBuf>,
    /// Measure the machine's rates before and after the sessions of every network, some 25 s each time.
    #[arg(long)]
    fresh: bool,
    /// Networks, with commas: lan, wan or TOML files.
    #[arg(long, value_delimiter = ',', default_value = "lan,wan")]
    networks: Vec<String>,
    /// Runs that are executed side by side, 1 to 64; as many as the plan says where nothing is given.
    #[arg(long, value_name = "RUNS")]
    side_by_side: Option<SideBySide>,
    /// Sessions per network, of which the median counts.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..))]
    runs: u8,
}

#[derive(Serialize)]
struct Row {
    network: String,
    /// The most runs at once.
    side_by_side: SideBySide,
    predicted_seconds: f64,
    /// With --fresh: what the rates before and after the sessions say.
    #[serde(skip_serializing_if = "Option::is_none")]
    before_and_after: Option<[f64; 2]>,
    /// Per run, the median of the sessions.
    seconds: f64,
    least: f64,
    most: f64,
}

/// Runs of every probe before the sessions, and again after them; no more than there are sessions.
const FRESH_RUNS: u8 = 3;
/// Round trips above this are so long that what the machine does is the same whatever they are.
const LONG_SECONDS: f64 = 0.001;

impl Time {
    /// Predicts, runs, prints.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let machine = self.machine.as_deref().map_or_else(|| Ok(Machine::reference()), Machine::read);
        let machine = machine.map_err(Failure::input)?;
        let plan = checked(&context.catalog, &self.plan)?;
        let asked = work::of_circuit(&plan.lowered().circuit).map_err(Failure::input)?;
        let side_by_side = self.side_by_side.unwrap_or(plan.plan().model.side_by_side);
        let mut rows = Vec::new();
        for network in &self.networks {
            let shaping = Shaping::named(network).map_err(Failure::input)?;
            let files = (self.model.as_path(), self.plan.as_path(), self.input.as_path());
            let fresh = || self.fresh.then(|| self.now(context, network, shaping)).transpose();
            let before = fresh()?;
            let Sessions { seconds, runs } = sessions::run(&context.catalog, files, network, side_by_side, self.runs)?;
            let predicted = |machine: &Machine| {
                machine.seconds_of_session(&asked, runs, side_by_side, Some(shaping)) / runs.max(1) as f64
            };
            let before_and_after =
                before.zip(fresh()?).map(|(before, after)| [before, after].map(|now| predicted(&now)));
            rows.push(Row {
                network: network.clone(),
                side_by_side,
                predicted_seconds: before_and_after
                    .map_or_else(|| predicted(&machine), |[before, after]| (before + after) / 2.0),
                before_and_after,
                least: seconds[0],
                most: seconds[seconds.len() - 1],
                seconds: median(seconds).unwrap_or(f64::NAN),
            });
        }
        context.print(&rows, |rows| {
            let cells = rows.iter().map(|row| {
                vec![
                    row.network.clone(),
                    match row.before_and_after {
                        Some([before, after]) => {
                            format!("{:.4} ({before:.4}, {after:.4})", row.predicted_seconds)
                        }
                        None => format!("{:.4}", row.predicted_seconds),
                    },
                    format!("{:.4}", row.seconds),
                    format!("{:.4} to {:.4}", row.least, row.most),
                    format!("{:+.1} %", 100.0 * (row.predicted_seconds / row.seconds - 1.0)),
                ]
            });
            let header = ["network", ">predicted s", ">median s", ">from, to", ">off by"];
            format!(
                "a run of {}, {} inputs{}\n{}",
                plan.plan().model.name,
                plan.plan().model.batch,
                words::side_by_side(side_by_side),
                table(&header, &cells.collect::<Vec<_>>())
            )
        })
    }

    /// This machine as it is now.
    fn now(&self, context: &Context, network: &str, shaping: Shaping) -> Result<Machine, Failure> {
        let imitated = if shaping.round_trip_seconds > LONG_SECONDS { "lan" } else { network };
        Ok(profile::measured(&context.catalog, Some(imitated), FRESH_RUNS.min(self.runs))?.machine)
    }
}
