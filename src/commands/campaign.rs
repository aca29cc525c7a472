//! `chebyshare campaign`: a whole catalog from one file, in parts if need be.

use crate::failure::Failure;
use crate::interrupt::undivided;
use crate::output::check_folder_place;
use crate::report::{Context, table};
use ::synth::campaign::{Campaign, Shard, Store, StoreError};
use ::synth::search::Progress;
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Searches, proves and publishes everything that a campaign file asks for, resumable and in shards.
///
/// Example: chebyshare campaign fronts.toml --out part1 --shard 1/2
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct CampaignCommand {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    run: Option<Run>,
}

#[derive(Args)]
struct Run {
    /// The campaign file (TOML).
    file: PathBuf,
    /// The folder for results, and for the catalog they make: DIR/catalogs and DIR/proofs.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Only part I of N of the jobs.
    #[arg(long, value_name = "I/N", default_value = "1/1")]
    shard: String,
    /// Keeps the results that are there and does what is missing.
    #[arg(long)]
    resume: bool,
}

#[derive(Subcommand)]
enum Action {
    /// Joins the folders of all parts; the result is byte for byte what one run would have made.
    Merge {
        /// Folders of the same campaign.
        #[arg(required = true)]
        folders: Vec<PathBuf>,
        /// The folder for all results and their catalog.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
}

#[derive(Serialize)]
struct Report {
    jobs: usize,
    done: usize,
    ran: usize,
    entries: usize,
    root: String,
    seconds: f64,
    refused: Vec<Trouble>,
    unreached: Vec<Trouble>,
}

#[derive(Serialize)]
struct Trouble {
    what: String,
    reason: String,
}

impl CampaignCommand {
    /// Runs or merges.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let report = match (&self.action, &self.run) {
            (Some(Action::Merge { folders, out }), _) => merge(folders, out)?,
            (None, Some(run)) => run.run()?,
            (None, None) => return Err(Failure::Input("name a campaign file, or `merge` and folders".into())),
        };
        context.print(&report, text)
    }
}

impl Run {
    fn run(&self) -> Result<Report, Failure> {
        let started = Instant::now();
        let shard = Shard::parse(&self.shard).ok_or_else(|| {
            Failure::Input(format!("'{}' is no shard; write I/N with 1 <= I <= N, such as 1/4", self.shard))
        })?;
        let named = |error: &dyn std::fmt::Display| Failure::Input(format!("{}: {error}", self.file.display()));
        let text = std::fs::read_to_string(&self.file).map_err(|error| named(&error))?;
        Campaign::parse(&text).map_err(|error| named(&error))?;
        check_folder_place(&self.out)?;
        let store = undivided(|| Store::open(&self.out, &text, self.resume)).map_err(failed)?;
        let all = store.campaign().jobs.iter().enumerate();
        let mine: Vec<_> = all.filter(|(index, _)| shard.has(*index)).map(|(_, job)| job).collect();
        let bar = progress_bar(mine.len());
        let mut ran = 0;
        for job in mine {
            if !store.has(job).map_err(failed)? {
                bar.set_message(job.name());
                let name = job.name();
                let result = job.run(&mut |progress: Progress| bar.set_message(format!("{name}: {progress}")));
                undivided(|| store.keep(job, &result)).map_err(failed)?;
                ran += 1;
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        report(&store, ran, started)
    }
}

fn merge(folders: &[PathBuf], out: &Path) -> Result<Report, Failure> {
    let started = Instant::now();
    let parts: Vec<Store> =
        folders.iter().map(|folder| Store::existing(folder).map_err(failed)).collect::<Result<_, _>>()?;
    check_folder_place(out)?;
    let text = std::fs::read_to_string(folders[0].join("campaign.toml")).map_err(Failure::input)?;
    let store = undivided(|| Store::open(out, &text, true)).map_err(failed)?;
    for part in &parts {
        undivided(|| store.absorb(part)).map_err(failed)?;
    }
    let report = report(&store, 0, started)?;
    if report.done < report.jobs {
        return Err(Failure::Claim(format!(
            "{} of {} jobs have no result in these folders; the catalog in {} holds the others",
            report.jobs - report.done,
            report.jobs,
            out.display()
        )));
    }
    Ok(report)
}

fn report(store: &Store, ran: usize, started: Instant) -> Result<Report, Failure> {
    let summary = undivided(|| store.publish()).map_err(failed)?;
    let refused = store.campaign().refused.iter();
    let trouble = |(what, reason)| Trouble { what, reason };
    Ok(Report {
        jobs: summary.jobs,
        done: summary.done,
        ran,
        entries: summary.entries,
        root: summary.root,
        seconds: started.elapsed().as_secs_f64(),
        refused: refused.map(|refused| trouble((refused.what.clone(), refused.reason.clone()))).collect(),
        unreached: summary.unreached.into_iter().map(trouble).collect(),
    })
}

fn failed(error: StoreError) -> Failure {
    match error {
        StoreError::Result { .. } | StoreError::Differ { .. } => Failure::claim(error),
        StoreError::Catalog(error) => error.into(),
        other => Failure::input(other),
    }
}

/// Jobs done, and what the search is doing; nothing on a pipe.
fn progress_bar(jobs: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:24} {pos}/{len} {elapsed_precise} {wide_msg}");
    ProgressBar::new(jobs as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    for (heading, troubles) in [("refused", &report.refused), ("unreached", &report.unreached)] {
        if !troubles.is_empty() {
            let rows: Vec<Vec<String>> =
                troubles.iter().map(|trouble| vec![trouble.what.clone(), trouble.reason.clone()]).collect();
            text += &table(&[heading, "reason"], &rows);
        }
    }
    let Report { jobs, done, ran, entries, root, seconds, .. } = report;
    text + &format!("{done} of {jobs} jobs done, {ran} now ({seconds:.1} s); {entries} entries, root {root}\n")
}
