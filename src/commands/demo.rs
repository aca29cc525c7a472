//! `chebyshare demo`: the main job, from functions to a certified private inference.

use crate::catalog_folder::proofs_beside;
use crate::commands::back_end::BackEnd;
use crate::commands::{goals, plan, run, tune};
use crate::failure::Failure;
use crate::interrupt::TemporaryFolder;
use crate::report::{Context, table};
use ::synth::families::Goal;
use ::synth::search::{self, Progress};
use catalogs::protocol::rss3::Rss3;
use catalogs::{Catalog, Entry};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use runtime::graph::Graph;
use serde::Serialize;
use std::time::{Duration, Instant};

const MODEL: &[u8] = include_bytes!("../../examples/models/digits_vit.onnx");
const CALIBRATION: &[u8] = include_bytes!("../../examples/models/digits_calibration.npz");
const TEST: &[u8] = include_bytes!("../../examples/models/digits_test.npz");

/// A short search: the cheapest programs of each function and a few more accurate ones.
const WAVES: usize = 2;

/// Fits, proves and publishes approximations for a small transformer, tunes, and classifies 540 images privately
/// between three processes.
///
/// Example: chebyshare demo
#[derive(Args)]
pub struct Demo {}

#[derive(Serialize)]
struct Report {
    stages: Vec<Stage>,
    entries: usize,
    agreement: f64,
    max_abs_error: f64,
    rounds: u64,
    bytes_total: u64,
    seconds: f64,
    #[serde(skip)]
    plan: String,
    #[serde(skip)]
    published: String,
    #[serde(skip)]
    run: String,
}

#[derive(Serialize)]
struct Stage {
    stage: &'static str,
    seconds: f64,
    detail: String,
}

impl Demo {
    /// Runs all stages and prints one page.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let started = Instant::now();
        let folder = TemporaryFolder::new()?;
        let file = |name: &str| folder.path().join(name);
        for (name, bytes) in [("digits_vit.onnx", MODEL), ("calibration.npz", CALIBRATION), ("test.npz", TEST)] {
            std::fs::write(file(name), bytes).map_err(|error| Failure::Input(format!("{name}: {error}")))?;
        }
        let mut stages = Vec::new();
        let goals = stage(&mut stages, "ranges", || {
            let graph = Graph::import(MODEL, 1).map_err(Failure::input)?;
            let goals = goals::of(&graph, (0.0, 1.0)).map_err(Failure::Input)?;
            let detail = format!("{} sites need {} functions on proved windows", graph.sites().len(), goals.len());
            Ok((goals, detail))
        })?;
        let catalog_folder = file("catalogs");
        let (catalog, published) = stage(&mut stages, "synthesise, prove, publish", || {
            let (catalog, rows) = synthesise(&goals)?;
            catalog.write(&catalog_folder, &proofs_beside(&catalog_folder))?;
            let detail = format!("{} certified entries, root {}", catalog.len(), catalog.root().short());
            Ok(((catalog, rows), detail))
        })?;
        stage(&mut stages, "verify again", || {
            for (name, published) in catalog.iter() {
                verify::check_texts(&published.entry, &published.certificate)
                    .map_err(|rejection| Failure::Claim(format!("{name}: {rejection}")))?;
            }
            Ok(((), format!("{} of {} entries hold", catalog.len(), catalog.len())))
        })?;
        let plan_file = file("digits.plan.toml");
        let tuned = stage(&mut stages, "tune", || {
            let tuned = tune::Tune::with_defaults(&file("digits_vit.onnx"), &file("calibration.npz"), &plan_file)
                .tune(&catalog, &mut |_| {})?;
            let detail =
                format!("{} simulated bit for bit", plan::counted(tuned.plan.measured.candidates_tried, "plan"));
            Ok((tuned, detail))
        })?;
        let outcome = stage(&mut stages, "run privately", || {
            let outcome = run::Run {
                model: file("digits_vit.onnx"),
                plan: plan_file.clone(),
                input: file("test.npz"),
                output: file("scores.npz"),
                local: true,
                network: None,
                policy: None,
                side_by_side: None,
                profile: None,
                no_reference: false,
                backend: BackEnd::Cpu,
            }
            .execute(&catalog_folder)?;
            Ok((outcome, "three processes, mutual TLS 1.3 over TCP".to_owned()))
        })?;
        let report = Report {
            stages,
            entries: catalog.len(),
            agreement: outcome.agreement.unwrap_or(0.0),
            max_abs_error: outcome.max_abs_error.unwrap_or(f64::NAN),
            rounds: outcome.rounds,
            bytes_total: outcome.bytes_total,
            seconds: started.elapsed().as_secs_f64(),
            plan: plan::text(&tuned.plan, plan::Standing::Proved),
            published,
            run: run::text(&outcome),
        };
        context.print(&report, text)
    }
}

fn stage<T>(
    stages: &mut Vec<Stage>,
    name: &'static str,
    work: impl FnOnce() -> Result<(T, String), Failure>,
) -> Result<T, Failure> {
    let started = Instant::now();
    let bar = ProgressBar::new_spinner();
    bar.set_style(ProgressStyle::default_spinner());
    bar.set_message(name);
    bar.enable_steady_tick(Duration::from_millis(200));
    let outcome = work();
    bar.finish_and_clear();
    let (value, detail) = outcome?;
    stages.push(Stage { stage: name, seconds: started.elapsed().as_secs_f64(), detail });
    Ok(value)
}

/// A front for every goal, in one catalog, and a table of it.
fn synthesise(goals: &[Goal]) -> Result<(Catalog, String), Failure> {
    let mut catalog = Catalog::new();
    let mut rows = Vec::new();
    for goal in goals {
        let found = search::front_within(goal, &Rss3, WAVES, &mut |_: Progress| {}).map_err(Failure::input)?;
        for found in found {
            let name = entry_name(&found.entry);
            rows.push(vec![
                name.clone(),
                found.entry.claim.bound.to_string(),
                found.certificate.witness.error.to_string(),
                found.rounds.to_string(),
                found.bits.div_ceil(8).to_string(),
                found.certificate.pieces.len().to_string(),
                found.family.to_owned(),
            ]);
            catalog.insert(&name, search::publish(&found))?;
        }
    }
    let header = ["entry", ">certified", ">witness", ">rounds", ">bytes", ">pieces", "family"];
    Ok((catalog, table(&header, &rows)))
}

/// FUNCTION/ring, scales and the beginning of the digest.
pub fn entry_name(entry: &Entry) -> String {
    let ((ring, input), (_, output)) = (entry.program.input(), entry.program.output());
    format!("{}/r{ring}-i{input}-o{output}-{}", entry.claim.function.name(), entry.digest().short())
}

fn text(report: &Report) -> String {
    let rows: Vec<Vec<String>> = report
        .stages
        .iter()
        .map(|stage| vec![stage.stage.to_owned(), format!("{:.1} s", stage.seconds), stage.detail.clone()])
        .collect();
    format!(
        "{}\n{}\n{}\n{}\nall stages {:.1} s\n",
        report.published,
        report.plan,
        report.run,
        table(&["stage", ">time", ""], &rows),
        report.seconds
    )
}
