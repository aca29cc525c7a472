//! Seconds that a plan's run is predicted to take on a machine that was profiled.

use super::{limits, words};
use crate::failure::Failure;
use crate::report::table;
use runtime::cost::{Machine, Resource};
use runtime::session::work;
use runtime::transport::{Shaping, SideBySide};
use serde::Serialize;
use std::path::Path;

/// One kind of work.
#[derive(Serialize)]
pub struct Row {
    /// Its name.
    pub resource: &'static str,
    /// How much of it a run asks of a party, of several side by side the mean.
    pub amount: f64,
    /// Seconds on the machine.
    pub seconds: f64,
}

/// Where a run's seconds go.
#[derive(Serialize)]
pub struct Time {
    /// The machine's name.
    pub machine: String,
    /// The network, or none for loopback.
    pub network: Option<String>,
    /// By kind of work.
    pub work: Vec<Row>,
    /// Seconds that messages are on their way while the party waits for them.
    pub network_seconds: f64,
    /// Runs side by side.
    pub side_by_side: SideBySide,
    /// Predicted seconds of one run, of several side by side those of all divided by their number.
    pub seconds: f64,
}

/// Predicts.
pub fn of(
    catalog: &Path,
    plan: &Path,
    machine: &Path,
    network: Option<&str>,
    side_by_side: Option<SideBySide>,
) -> Result<Time, Failure> {
    let machine = Machine::read(machine).map_err(Failure::input)?;
    let shaping = network.map(Shaping::named).transpose().map_err(Failure::input)?;
    let checked = limits::checked(catalog, plan)?;
    let run = work::of_circuit(&checked.lowered().circuit).map_err(Failure::input)?;
    let side_by_side = side_by_side.unwrap_or(checked.plan().model.side_by_side);
    let seconds = |network| machine.seconds_side_by_side(&run, side_by_side, network);
    let (own, seconds) = (seconds(None), seconds(shaping));
    let run_count = side_by_side.get() as f64;
    let all = run.work(side_by_side);
    let row = |resource: Resource| {
        let amount = all[resource] / run_count;
        Row { resource: resource.name(), amount, seconds: amount * machine.rate(resource) }
    };
    Ok(Time {
        machine: machine.name.clone(),
        network: network.map(str::to_owned),
        work: Resource::ALL.into_iter().map(row).collect(),
        network_seconds: seconds - own,
        side_by_side,
        seconds,
    })
}

/// As a page.
pub fn text(time: &Time) -> String {
    let rows = time
        .work
        .iter()
        .map(|row| vec![row.resource.to_owned(), format!("{:.3e}", row.amount), format!("{:.4}", row.seconds)]);
    let mut rows: Vec<Vec<String>> = rows.collect();
    let network = time.network.as_deref().unwrap_or("loopback");
    rows.push(vec![format!("waiting for messages ({network})"), String::new(), format!("{:.4}", time.network_seconds)]);
    let mut out = table(&["work of one party in one run", ">amount", ">seconds"], &rows);
    let runs = words::side_by_side(time.side_by_side);
    out.push_str(&format!("predicted: {:.3} s a run on {}{runs}\n", time.seconds, time.machine));
    out
}
