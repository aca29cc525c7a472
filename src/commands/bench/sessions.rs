//! Private runs between three processes of this machine, to be timed.

use crate::commands::back_end::BackEnd;
use crate::commands::run::Run;
use crate::failure::Failure;
use crate::interrupt::TemporaryFolder;
use runtime::transport::SideBySide;
use std::path::Path;

/// What sessions took.
pub struct Sessions {
    /// Seconds of a run in each, ascending: at least one.
    pub seconds: Vec<f64>,
    /// Runs of each.
    pub runs: u64,
}

/// Runs `count` sessions, at least one.
pub fn run(
    catalog: &Path,
    (model, plan, input): (&Path, &Path, &Path),
    network: &str,
    side_by_side: SideBySide,
    count: u8,
) -> Result<Sessions, Failure> {
    let folder = TemporaryFolder::new()?;
    let run = Run {
        model: model.to_owned(),
        plan: plan.to_owned(),
        input: input.to_owned(),
        output: folder.path().join("output.npz"),
        local: true,
        network: Some(network.to_owned()),
        policy: None,
        backend: BackEnd::Cpu,
        side_by_side: Some(side_by_side),
        profile: None,
        no_reference: true,
    };
    let mut all = Sessions { seconds: Vec::new(), runs: 0 };
    for _ in 0..count.max(1) {
        let report = run.execute(catalog)?;
        all.runs = report.runs;
        all.seconds.push(report.run_seconds / report.runs.max(1) as f64);
    }
    all.seconds.sort_by(f64::total_cmp);
    Ok(all)
}
