//! Private runs between three processes of this machine, to be timed.

use crate::commands::back_end::BackEnd;
use crate::commands::run::Run;
use crate::failure::Failure;
use crate::interrupt::TemporaryFolder;
use std::path::Path;

/// Seconds of a run in each of `count` sessions, ascending: at least one.
pub fn seconds(
    catalog: &Path,
    (model, plan, input): (&Path, &Path, &Path),
    network: &str,
    count: u8,
) -> Result<Vec<f64>, Failure> {
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
        side_by_side: std::num::NonZeroU64::MIN,
        profile: None,
        no_reference: true,
    };
    let session = |_| run.execute(catalog).map(|report| report.run_seconds / report.runs.max(1) as f64);
    let mut seconds = (0..count.max(1)).map(session).collect::<Result<Vec<f64>, Failure>>()?;
    seconds.sort_by(f64::total_cmp);
    Ok(seconds)
}
