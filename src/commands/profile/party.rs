//! One party of a profile: it does what the probes ask, at the same time as its peers.

use super::Seconds;
use crate::commands::back_end::{BackEnd, Chosen};
use crate::failure::Failure;
use runtime::backend::{Backend, Cpu};
use runtime::circuit;
use runtime::cost::links;
use runtime::cost::probes::Probe;
use runtime::deployment::PartyConfig;
use runtime::session::Runner;
use runtime::transport::{self, Party, Transport, tls};
use std::path::Path;
use std::time::Instant;

/// This party's seconds, each over a connection of its own. The repeats of all probes are interleaved, so that a machine
/// that gets slower meanwhile is slower for all of them.
pub(super) fn seconds(config: &Path, probes: &[Probe], runs: u8, back_end: BackEnd) -> Result<Seconds, Failure> {
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
            let seconds = match back_end.open()? {
                Chosen::Cpu => time(Cpu, config.party, probe, &mut mesh),
                Chosen::Cuda(cuda) => time(*cuda, config.party, probe, &mut mesh),
            };
            let seconds = seconds.map_err(|error| Failure::Peer(error.to_string()))?;
            mesh.finish().map_err(peer)?;
            all[number].push(seconds);
        }
    }
    Ok(all)
}

/// Seconds of all runs of a probe, in memory that runs before them used already.
fn time<B: Backend>(
    backend: B,
    party: Party,
    probe: &Probe,
    transport: &mut dyn Transport,
) -> Result<f64, runtime::session::Error> {
    let (me, first) = (circuit::Party(party.0), circuit::Party(0));
    let mut runner = Runner::on(backend, probe.circuit.clone(), me)?;
    let weights = (me == first).then(|| probe.weights()).transpose()?;
    runner.share_weights(first, weights.as_ref(), transport)?;
    let inputs: Vec<_> = probe.inputs().into_iter().map(|input| (me == first).then_some(input)).collect();
    let batches = vec![&inputs[..]; probe.runs.get() as usize];
    runner.run_side_by_side(&batches, transport)?;
    // Runs are numbered from 1.
    links::meet(transport, probe.runs.get())?;
    let begun = Instant::now();
    runner.run_side_by_side(&batches, transport)?;
    Ok(begun.elapsed().as_secs_f64())
}
