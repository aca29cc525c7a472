//! Where a batch went, at one party: seconds of its own, and with the schedule rounds and bytes, by group of the circuit.

use crate::circuit::{Circuit, Schedule};

/// What one batch took.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    /// Per node, seconds of local computing.
    pub computing: Vec<f64>,
    /// Per round, seconds of handing frames over and waiting for those of the others.
    pub waiting: Vec<f64>,
}

/// What one group of the circuit, a node of the model, took.
#[derive(Clone, PartialEq, Debug)]
pub struct GroupShare {
    /// The model's node.
    pub name: String,
    /// Whether it is a site of a nonlinear function.
    pub is_site: bool,
    /// Rounds of the longest chain of messages; they add up to the rounds of a batch.
    pub rounds: u32,
    /// Payload bytes of all parties in a batch.
    pub bytes: u64,
    /// Seconds of this party's local computing, all batches.
    pub computing: f64,
    /// Seconds of waiting, all batches. The groups whose messages share a round share its waiting by their bytes.
    pub waiting: f64,
}

/// What the batches took, by group, in the circuit's order.
pub fn by_group(circuit: &Circuit, schedule: &Schedule, batches: &[Profile]) -> Vec<GroupShare> {
    let costs = schedule.groups();
    let mut shares: Vec<GroupShare> = circuit
        .groups()
        .iter()
        .zip(costs)
        .map(|(group, cost)| GroupShare {
            name: group.name.clone(),
            is_site: group.site.is_some(),
            rounds: cost.rounds,
            bytes: cost.bytes,
            computing: 0.0,
            waiting: 0.0,
        })
        .collect();
    let group = |node: usize| circuit.nodes()[node].group.index();
    let mut bytes_of_round = vec![0u64; schedule.rounds as usize];
    schedule.fields().iter().for_each(|field| bytes_of_round[field.round as usize] += field.bytes());
    for batch in batches {
        for (node, seconds) in batch.computing.iter().enumerate() {
            shares[group(node)].computing += seconds;
        }
        for field in schedule.fields() {
            let round = field.round as usize;
            let part = field.bytes() as f64 / bytes_of_round[round].max(1) as f64;
            shares[group(field.node.index())].waiting += part * batch.waiting.get(round).copied().unwrap_or(0.0);
        }
    }
    shares
}
