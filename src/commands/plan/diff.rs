//! What differs between two plans of one model: choices, and what they cost and certify.

use super::{entries, formats};
use crate::failure::Failure;
use crate::report::table;
use runtime::plan::{Plan, SiteRecord};
use serde::Serialize;

/// A site whose choices differ.
#[derive(Serialize)]
pub struct Site {
    /// Its name in the model.
    pub name: String,
    /// What it evaluates.
    pub kind: String,
    /// In the first plan and in the second.
    pub chosen: [String; 2],
    /// Certified errors.
    pub certified_error: [f64; 2],
    /// Rounds on the critical path.
    pub rounds: [u64; 2],
    /// Payload bytes of a run.
    pub bytes: [u64; 2],
}

/// Two plans side by side.
#[derive(Serialize)]
pub struct Difference {
    /// Digests of the plans.
    pub plans: [String; 2],
    /// Inputs of a run.
    pub batch: [usize; 2],
    /// Ring, scales and narrower rings, in a few words; empty for the usual ones.
    pub formats: [String; 2],
    /// Rounds of a run.
    pub rounds: [u64; 2],
    /// Bytes of a run, all parties.
    pub bytes: [u64; 2],
    /// Predicted seconds of a run, each under its own network.
    pub predicted_seconds: [f64; 2],
    /// The networks.
    pub network: [String; 2],
    /// Errors measured on the calibration set.
    pub measured_error: [f64; 2],
    /// Sites in all.
    pub sites: usize,
    /// Those that differ.
    pub differing: Vec<Site>,
}

/// Compares plans of one model, at any batch sizes.
pub fn of(plans: [&Plan; 2]) -> Result<Difference, Failure> {
    let [first, second] = plans;
    let names = |plan: &Plan| -> Vec<(String, String)> {
        plan.site.iter().map(|site| (site.name.clone(), site.kind.clone())).collect()
    };
    if names(first) != names(second) {
        return Err(Failure::input(format!(
            "the plans are for different models: {} with {} sites, {} with {} sites",
            first.model.name,
            first.site.len(),
            second.model.name,
            second.site.len()
        )));
    }
    let both = |of: fn(&SiteRecord) -> u64, a: &SiteRecord, b: &SiteRecord| [of(a), of(b)];
    let differing = first.site.iter().zip(&second.site).filter(|(a, b)| a.choice != b.choice);
    let differing = differing.map(|(a, b)| Site {
        name: a.name.clone(),
        kind: a.kind.clone(),
        chosen: [entries(&a.choice), entries(&b.choice)],
        certified_error: [a.certified_error, b.certified_error],
        rounds: both(|site| site.rounds, a, b),
        bytes: both(|site| site.bytes, a, b),
    });
    Ok(Difference {
        plans: plans.map(|plan| plan.digest().to_string()),
        batch: plans.map(|plan| plan.model.batch),
        formats: plans.map(|plan| formats(&plan.formats)),
        rounds: plans.map(|plan| plan.predicted.rounds_per_run),
        bytes: plans.map(|plan| plan.predicted.bytes_per_run),
        predicted_seconds: plans.map(|plan| plan.predicted.seconds_per_run),
        network: plans.map(|plan| plan.predicted.network.clone()),
        measured_error: plans.map(|plan| plan.measured.error),
        sites: first.site.len(),
        differing: differing.collect(),
    })
}

/// As a page: every difference on two lines, the first plan's above.
pub fn text(difference: &Difference) -> String {
    let mut rows = Vec::new();
    for site in &difference.differing {
        for side in 0..2 {
            rows.push(vec![
                if side == 0 { format!("- {}", site.kind) } else { "+".into() },
                format!("{:.2e}", site.certified_error[side]),
                site.rounds[side].to_string(),
                format!("{:.1}", site.bytes[side] as f64 / 1024.0),
                site.chosen[side].clone(),
            ]);
        }
    }
    let mut out = match difference.differing.len() {
        0 => format!("all {} sites have the same choices\n", difference.sites),
        count => format!("{count} of {} sites differ\n", difference.sites),
    };
    if !rows.is_empty() {
        out.push_str(&table(&["site", ">certified", ">rounds", ">KiB", "chosen"], &rows));
    }
    for (side, sign) in ["-", "+"].into_iter().enumerate() {
        out.push_str(&format!(
            "{sign} {}: {} inputs a run{}, {} rounds, {:.2} MB, {:.3} s under {} (predicted), error {:.2e} (measured)\n",
            &difference.plans[side][..12],
            difference.batch[side],
            difference.formats[side],
            difference.rounds[side],
            difference.bytes[side] as f64 / 1e6,
            difference.predicted_seconds[side],
            difference.network[side],
            difference.measured_error[side],
        ));
    }
    out
}
