//! Exhaustion: witness ≤ exhaustive ≤ certified, over all roundings that the lemmas allow.
//!
//! A window of at most as many inputs as asked for is exhausted whole; of a larger one, runs are, the witness among
//! them, and the finding calls them samples.

use super::Finding;
use catalogs::Entry;
use evidence::{Options, Sandwich, sandwich};
use serde_json::json;
use std::path::Path;
use verify::certificate::Certificate;

/// Exhausts at most about `points` inputs of `entry`; what was found so far is kept in the folder `resume`.
pub fn examine(
    entry: &Entry,
    certificate: &Certificate,
    points: u64,
    resume: Option<&Path>,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Finding {
    let witness = &certificate.witness;
    let options = Options { progress, resume, ..Options::default() };
    match sandwich(entry, (witness.input, witness.error), points, &options) {
        Ok(sandwich) => finding(entry, certificate, &sandwich),
        Err(error) => Finding::not_run(error),
    }
}

fn finding(entry: &Entry, certificate: &Certificate, sandwich: &Sandwich) -> Finding {
    let (found, bound, witness) = (&sandwich.found, entry.claim.bound, certificate.witness.error);
    let worst = &found.worst;
    let error = worst.error.lower().to_f64();
    let violation = if found.escaped.count > 0 {
        let inputs = &found.escaped;
        Some(format!(
            "input {}: the output can be anything, certified is {bound}; {} inputs escape so",
            inputs.first[0], inputs.count
        ))
    } else if sandwich.within_bound == Some(false) {
        Some(format!("input {}: output {} has error {error:.6e}, certified is {bound}", worst.argument, worst.output))
    } else if !sandwich.reaches_witness {
        let claimed = certificate.witness.input;
        Some(format!(
            "input {claimed}: the certificate states a witness of error {witness}, the worst found is {error:.6e} at {}",
            worst.argument
        ))
    } else {
        None
    };
    let extent = match (sandwich.exhaustive, found.capped.count) {
        (true, 0) => "all".to_owned(),
        (false, 0) => "samples".to_owned(),
        (_, capped) => format!("samples, {capped} capped"),
    };
    let last_bits = found.capped.count == 0 && sandwich.within_bound.is_none();
    let extent = extent + if last_bits { ", the bound not decided in its last bits" } else { "" };
    let figures = json!({
        "extent": if sandwich.exhaustive && found.capped.count == 0 { "all" } else { "samples" },
        "inputs": found.inputs,
        "runs": found.parts.len(),
        "worst_error": format!("{error:.11e}"),
        "worst_error_at": worst.argument,
        "upper_bound": found.worst_error.as_ref().map(|error| format!("{:.11e}", error.upper().to_f64())),
        "capped": found.capped.count,
        "within_bound": sandwich.within_bound,
    });
    Finding::new(format!("{error:.4e} ({} {extent})", found.inputs), violation, figures)
}
