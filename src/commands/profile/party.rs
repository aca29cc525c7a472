//! One party of a profile: it does what the probes ask, at the same time as its peers.

use super::Seconds;
use crate::failure::Failure;
use memmap2::MmapMut;
use runtime::circuit::{self, Circuit};
use runtime::cost::links;
use runtime::cost::probes::{self, Probe, Task};
use runtime::deployment::PartyConfig;
use runtime::session::{self, Runner};
use runtime::transport::{self, Party, SideBySide, Transport, tls};
use std::path::Path;
use std::time::Instant;

/// This party's seconds, each over a connection of its own. The repeats of all probes are interleaved, so that a machine
/// that gets slower meanwhile is slower for all of them.
pub(super) fn seconds(config: &Path, probes: &[Probe], runs: u8) -> Result<Seconds, Failure> {
    let config = PartyConfig::read(config).map_err(Failure::input)?;
    let endpoint = config.endpoint().map_err(Failure::input)?;
    let shaping = config.shaping().map_err(Failure::input)?;
    let peer = |error: transport::Error| Failure::Peer(error.to_string());
    let mut all = vec![Vec::new(); probes.len()];
    for repeat in 0..runs {
        for (number, probe) in probes.iter().enumerate() {
            let mut digest = [0; 32];
            digest[..8].copy_from_slice(&(number as u64).to_le_bytes());
            digest[8] = repeat;
            let terms = config.terms(transport::Digest(digest));
            let mut mesh = tls::connect(&endpoint, &terms, config.limits(), shaping).map_err(peer)?;
            let failed = |error: session::Error| Failure::Peer(error.to_string());
            let seconds = match &probe.task {
                Task::Memory { bytes } => {
                    links::meet(&mut mesh, 0).map_err(peer)?;
                    fresh_memory(*bytes).map_err(Failure::input)?
                }
                Task::Runs(circuit, runs) => of_runs(config.party, circuit, *runs, &mut mesh).map_err(failed)?,
            };
            mesh.finish().map_err(peer)?;
            all[number].push(seconds);
        }
    }
    Ok(all)
}

/// Seconds of all runs of a circuit, so many side by side, in memory that runs before them used already.
fn of_runs(
    party: Party,
    circuit: &Circuit,
    runs: SideBySide,
    transport: &mut dyn Transport,
) -> Result<f64, session::Error> {
    let (me, first) = (circuit::Party(party.0), circuit::Party(0));
    let mut runner = Runner::new(circuit.clone(), me)?;
    let weights = (me == first).then(|| probes::weights(circuit)).transpose()?;
    runner.share_weights(first, weights.as_ref(), transport)?;
    let inputs: Vec<_> = probes::inputs(circuit).into_iter().map(|input| (me == first).then_some(input)).collect();
    let batches = vec![&inputs[..]; runs.get() as usize];
    runner.run_side_by_side(&batches, transport)?;
    // Runs are numbered from 1.
    links::meet(transport, runs.get())?;
    let begun = Instant::now();
    runner.run_side_by_side(&batches, transport)?;
    Ok(begun.elapsed().as_secs_f64())
}

/// Seconds in which the system gives so many bytes that this process did not have before, page by page as they are used.
fn fresh_memory(bytes: u64) -> std::io::Result<f64> {
    /// No page is smaller.
    const PAGE_BYTES: usize = 1 << 12;
    let begun = Instant::now();
    let mut memory = MmapMut::map_anon(bytes as usize)?;
    memory.iter_mut().step_by(PAGE_BYTES).for_each(|byte| *byte = 1);
    std::hint::black_box(&memory);
    Ok(begun.elapsed().as_secs_f64())
}
