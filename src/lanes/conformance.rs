//! Conformance with the claim: three parties execute the entry on every point that matters, and every output must be
//! within the certified error of the function.
//!
//! `runtime::protocol::conformance` holds each execution against the evaluator, the lemmas and the costs;
//! `evidence::judge` holds each output against the claim. The entry's own failure budget excuses nothing: what may
//! fail is the protocol that executes, and a protocol whose offered lemmas can fail is not judged here at all, since
//! one run more or less out of many would say nothing about a probability.

use super::Finding;
use catalogs::protocol::{Model, rss3::Rss3};
use catalogs::{Entry, Failure, Lemma};
use evidence::points::{Arguments, Extent, arguments};
use evidence::{Judge, Judgement};
use rayon::prelude::*;
use runtime::protocol::conformance::{Conformer, Report, TILE_LANES};
use serde_json::json;
use std::sync::atomic::{AtomicU64, Ordering};
use verify::certificate::Certificate;

/// Of the masks and of the strata: a violation found once is found again.
const SEED: u64 = 20;

/// Executes `entry` on at most `points` points of its fitted interval, its seams, and strata of its window.
pub fn examine(entry: &Entry, certificate: &Certificate, points: u64, progress: &(dyn Fn(u64, u64) + Sync)) -> Finding {
    if let Some(lemma) = entry.needs().iter().find(|lemma| may_fail(lemma)) {
        return Finding::not_run(format!("rss3 serves '{lemma}' with a lemma that may fail, or not at all"));
    }
    let extent = Extent { fitted: points, strata: points.min(Extent::FULL.strata), seed: SEED };
    let ends = certificate.pieces.iter().flat_map(|piece| [piece.low, piece.high]);
    let cuts: Vec<i64> = ends.chain([certificate.witness.input]).collect();
    let chosen = arguments(entry, &cuts, extent);
    match execute(entry, &chosen.values, progress) {
        Ok((report, judgement)) => finding(entry, &chosen, report, judgement),
        // The error of the runtime names the argument, the operation and both numbers.
        Err(Trouble::Execution(error @ runtime::protocol::Error::Conformance { .. })) => {
            Finding::new(String::new(), Some(error.to_string()), json!({ "points": chosen.values.len() }))
        }
        Err(Trouble::Execution(error)) => Finding::not_run(error),
        Err(Trouble::Evidence(error)) => Finding::not_run(error),
    }
}

enum Trouble {
    Execution(runtime::protocol::Error),
    Evidence(evidence::EvidenceError),
}

fn may_fail(needed: &Lemma) -> bool {
    match Rss3.offers(needed) {
        Some(Lemma::Truncation { failure, .. }) => failure != Failure::Never,
        Some(_) => false,
        None => true,
    }
}

fn execute(
    entry: &Entry,
    arguments: &[i64],
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<(Report, Judgement), Trouble> {
    let conformer = Conformer::new(&entry.program, SEED).map_err(Trouble::Execution)?;
    let (judge, done, all) = (Judge::new(entry), AtomicU64::new(0), arguments.len() as u64);
    let tiles = arguments.par_chunks(TILE_LANES).enumerate().map(|(tile, arguments)| {
        let words: Vec<i128> = arguments.iter().map(|&argument| argument.into()).collect();
        let executed = conformer.tile(tile as u32, &words).map_err(Trouble::Execution)?;
        let judgement = judge.judge(arguments, &executed.outputs).map_err(Trouble::Evidence)?;
        progress(done.fetch_add(words.len() as u64, Ordering::Relaxed) + words.len() as u64, all);
        Ok((executed.report, judgement))
    });
    tiles.try_reduce(Default::default, |(report, judgement), (other, others)| {
        Ok((report.join(other), judgement.join(others)))
    })
}

fn finding(entry: &Entry, chosen: &Arguments, report: Report, judgement: Judgement) -> Finding {
    let certified = entry.claim.bound;
    let violation = judgement.violation.as_ref().map(|found| {
        format!(
            "input {}: the parties' output {} has error {:.6e}, certified is {certified}; {} of {} inputs violate it",
            found.argument,
            found.output,
            found.error.lower().to_f64(),
            judgement.violations,
            judgement.outputs
        )
    });
    let (largest, argument) = judgement.largest.unwrap_or_default();
    let extent = if chosen.fitted_complete { "all" } else { "strata" };
    let figures = json!({
        "points": report.arguments,
        "fitted": extent,
        "seams": chosen.seams,
        "largest_error": format!("{largest:.11e}"),
        "largest_error_at": argument,
        "rounded_down": report.rounded_down,
        "rounded_up": report.rounded_up,
        "outside_window": report.outside,
        "in_band": report.in_band,
        "rounds": report.rounds,
        "bytes": report.bytes,
    });
    Finding::new(format!("{largest:.4e} ({} {extent})", report.arguments), violation, figures)
}
