//! `chebyshare bench tuner`: tuned plans beside what else one could do, run on this machine.

mod baselines;
mod fit;
mod giving_up;
mod peers;
mod report;

use crate::commands::back_end::BackEnd;
use crate::commands::run::Run;
use crate::commands::tune::{self, RequestOptions};
use crate::commands::{inspect, plan};
use crate::failure::Failure;
use crate::interrupt::TemporaryFolder;
use crate::output;
use crate::report::Context;
use clap::Args;
use report::{Report, Row, verdict};
use runtime::circuit::lower::Formats;
use runtime::cost::median;
use runtime::transport::SideBySide;
use runtime::tuner::{self, Groundwork, Problem, Request, Tuned, Weights, Wish};
use std::path::{Path, PathBuf};

/// Tunes a model, and makes plans as other tuners and other systems would, over the same certified runtime; runs all of
/// them in one go: seconds, rounds, bytes, errors. With --fraction-bits auto or --weight-bits auto the tuned plan has the
/// formats that are best for it; the other ways have those that are given, 16 bits where nothing is said.
///
/// Example: chebyshare bench tuner examples/models/digits_vit.onnx --calibration
/// examples/models/digits_calibration.npz --input examples/models/digits_test.npz --network wan
#[derive(Args)]
pub struct Tuner {
    #[command(flatten)]
    options: RequestOptions,
    /// The inputs of the runs.
    #[arg(long, value_name = "X.npz")]
    input: PathBuf,
    /// Runs of every plan, in turns; the median counts. 0 predicts only.
    #[arg(long, default_value_t = 3)]
    runs: u8,
    /// The folder of the audited catalog of other systems' approximations, at this runtime's formats.
    #[arg(long, default_value = "catalogs/peers/ported/entries")]
    peers: PathBuf,
    /// The most plans that the greedy and the hill-climbing tuner may simulate, each.
    #[arg(long, default_value_t = 40)]
    simulations: usize,
    /// What a reader has to know of the model, below the table's title.
    #[arg(long, value_name = "TEXT")]
    caption: Option<String>,
    /// Files to write, with commas: *.html is a page with a picture (seconds against errors), the table and the notes;
    /// *.svg the picture alone; *.json and *.txt what is printed.
    #[arg(long, value_name = "FILE", value_delimiter = ',')]
    out: Vec<PathBuf>,
}

const MOST_ACCURATE: &str = "(a) most accurate everywhere";
const UNIFORM: &str = "(b) cheapest uniform";

impl Tuner {
    /// Tunes, runs, writes, prints.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        for file in &self.out {
            kind(file)?;
        }
        let reads = self.options.files().chain([self.input.as_path()]);
        output::check_file_places(reads, self.out.iter().map(PathBuf::as_path))?;
        let catalog = self.options.catalog(&context.catalog)?;
        let model = inspect::read(&self.options.model)?;
        let mut request = self.options.request(&model, &catalog)?;
        let folder = TemporaryFolder::new()?;
        if !request.side_by_side.is_one() {
            // No more than a session has at once, whose groups are nearly equal.
            let inputs = tune::model_inputs(&self.options.single(&model)?, &self.input)?;
            let count = inputs.first().and_then(|tensor| tensor.shape.first()).copied().unwrap_or(0);
            let runs = count.div_ceil(request.batch.max(1)) as u64;
            request.side_by_side = request.side_by_side.groups(runs).next().unwrap_or_default();
        }
        // What one way simulates, no other has to.
        request.memory = request.memory.or_in_folder(&folder.path().join("simulations")).map_err(Failure::input)?;
        let groundwork = Groundwork::default();
        let mut rows = self.own(&groundwork, &request)?;
        rows.extend(self.one_after_the_other(&groundwork, &request)?);
        if let Some(Ok(tuned)) = rows.first().map(|row| &row.outcome) {
            let plan = tuned.plan.clone();
            rows.extend(peers::rows(&peers::Beside {
                folder: &self.peers,
                ours: &catalog,
                options: &self.options,
                request: &request,
                groundwork: &groundwork,
                tuned: &plan,
                place: folder.path(),
            })?);
        }
        if let Some(other) = self.in_other_formats(&request)? {
            put_first(&mut rows, other, request.formats);
        }
        self.measure(&mut rows, &context.catalog, folder.path())?;
        let verdict = verdict(&rows);
        let (model, network) = (request.model_name.clone(), request.network_name.clone());
        let caption = self.caption.clone();
        let report = Report { model, network, caption, runs: self.runs, rows, verdict };
        for file in &self.out {
            let text = match kind(file)? {
                "svg" => report.shown().svg(),
                "json" => serde_json::to_string_pretty(&report).map_err(Failure::input)? + "\n",
                "txt" => report.text(),
                _ => report.shown().page(),
            };
            output::write_texts(&[(file, &text)])?;
        }
        context.print(&report, Report::text)
    }

    /// The tuned plan and the baselines over the same candidates.
    fn own(&self, groundwork: &Groundwork, request: &Request<'_>) -> Result<Vec<Row>, Failure> {
        let most = self.simulations;
        Problem::explore_on(groundwork, request, &|_, _| Wish::First, &mut tune::say, |problem, progress| {
            let tuned = tuner::search(problem, progress)?;
            let own = problem.choice_of(&tuned.plan).ok_or_else(|| "the plan's choice was lost".to_owned());
            let own = own.and_then(|chosen| match problem.attempt(chosen) {
                Ok(attempt) => attempt.map_err(|exclusion| exclusion.to_string()),
                Err(error) => Err(error.to_string()),
            });
            let simulated = tuned.plan.measured.candidates_tried;
            let in_rings = own.clone().and_then(|attempt| match problem.in_fastest_rings(attempt) {
                Ok((attempt, _)) => Ok(attempt),
                Err(error) => Err(error.to_string()),
            });
            let way = |attempt| baselines::Way { attempt, simulated, stopped: false };
            let (own, in_rings) = (own.map(way), in_rings.map(way));
            Ok(vec![
                row("tuned", in_rings),
                row("tuned, in one ring", own),
                row(MOST_ACCURATE, baselines::most_accurate(problem)?),
                row(UNIFORM, baselines::uniform(problem, progress)?),
                row("greedy, site by site", baselines::greedy(problem, most, progress)?),
                row("hill climbing", baselines::hill_climbing(problem, most, progress)?),
            ])
        })
        .map_err(tune::failure)
    }

    /// The baselines without the tuner's choice of runs side by side, where it has one.
    fn one_after_the_other(&self, groundwork: &Groundwork, request: &Request<'_>) -> Result<Vec<Row>, Failure> {
        if request.side_by_side.is_one() {
            return Ok(Vec::new());
        }
        let request = Request { side_by_side: SideBySide::ONE, ..request.clone() };
        let rows =
            Problem::explore_on(groundwork, &request, &|_, _| Wish::First, &mut tune::say, |problem, progress| {
                let found = [
                    (MOST_ACCURATE, baselines::most_accurate(problem)?),
                    (UNIFORM, baselines::uniform(problem, progress)?),
                ];
                Ok(found.map(|(name, found)| row(&format!("{name}, one run after the other"), found)).into())
            });
        rows.map_err(tune::failure)
    }

    /// The best plan in the formats that are left to the tuner, if any are.
    fn in_other_formats(&self, request: &Request<'_>) -> Result<Option<Tuned>, Failure> {
        let formats = self.options.formats.each(request)?;
        let weights = self.options.formats.weights();
        if formats == [request.formats] && weights == Weights::AsGiven {
            return Ok(None);
        }
        tuner::tune_over(request, &formats, weights, &mut tune::say).map(Some).map_err(tune::failure)
    }

    /// Runs every plan, in turns, so that what disturbs the machine disturbs all of them, and in another order each time:
    /// what a session leaves behind slows the next one down.
    fn measure(&self, rows: &mut [Row], catalog: &Path, folder: &Path) -> Result<(), Failure> {
        let mut seconds: Vec<Vec<f64>> = rows.iter().map(|_| Vec::new()).collect();
        for turn in 0..usize::from(self.runs) {
            for index in order(rows.len(), turn) {
                let Ok(outcome) = &mut rows[index].outcome else { continue };
                let file = folder.join(format!("{index}.plan.toml"));
                let structure = plan::structure_file(&file);
                output::write_texts(&[(&structure, &outcome.structure), (&file, &outcome.plan.to_text())])?;
                let run = Run {
                    model: self.options.model.clone(),
                    plan: file,
                    input: self.input.clone(),
                    output: folder.join("output.npz"),
                    local: true,
                    network: Some(self.options.network.clone()),
                    policy: None,
                    backend: BackEnd::Cpu,
                    side_by_side: None,
                    profile: None,
                    no_reference: turn > 0,
                };
                let report = run.execute(outcome.catalog.as_deref().unwrap_or(catalog))?;
                seconds[index].push(report.run_seconds / report.runs.max(1) as f64);
                if turn == 0 {
                    (outcome.error, outcome.agreement) = (report.max_abs_error, report.agreement);
                }
            }
        }
        for (row, seconds) in rows.iter_mut().zip(seconds) {
            if let Ok(outcome) = &mut row.outcome {
                outcome.seconds = median(seconds);
            }
        }
        Ok(())
    }
}

/// All rows, from another one in every turn, and after another one as long as there are steps that reach all of them.
fn order(rows: usize, turn: usize) -> impl Iterator<Item = usize> {
    let reaches_all = |step: &usize| (2..=rows).all(|part| !(rows.is_multiple_of(part) && step.is_multiple_of(part)));
    let steps: Vec<usize> = (1..=rows).filter(reaches_all).collect();
    let step = steps.get(turn % steps.len().max(1)).copied().unwrap_or(1);
    (0..rows).map(move |place| (turn + place * step) % rows)
}

/// What a way gave.
fn row(name: &str, found: Result<baselines::Way, String>) -> Row {
    match found {
        Ok(way) => {
            let mut row = Row::new(name, way.simulated, way.attempt);
            row.notes.extend(way.stopped.then(|| format!("stopped after {} simulations", way.simulated)));
            row
        }
        Err(reason) => Row::without(name, reason),
    }
}

/// Makes the best plan in any formats the tuned one, if its formats are not those of all other rows.
fn put_first(rows: &mut Vec<Row>, other: Tuned, common: Formats) {
    let (own, all) = (&other.plan.formats, (common.activations.bits(), common.weights.bits()));
    let Some(Row { name, .. }) = rows.first_mut().filter(|_| (own.activations, own.weights) != all) else { return };
    let bits = |activations: u8, weights: u8| format!("{activations} fraction bits, {weights} of weights");
    let (own, of_others) = (bits(own.activations, own.weights), bits(all.0, all.1));
    *name = "tuned, in the others' formats".into();
    let mut row = Row::tuned("tuned", other);
    row.notes.push(format!("{own}; all others: {of_others}"));
    rows.insert(0, row);
}

/// What is to be written into a file.
fn kind(file: &Path) -> Result<&str, Failure> {
    let kind = file.extension().and_then(|kind| kind.to_str()).unwrap_or_default();
    match kind {
        "html" | "svg" | "json" | "txt" => Ok(kind),
        _ => Err(Failure::Input(format!("--out {}: a name ends in .html, .svg, .json or .txt", file.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_row_follows_the_same_one_in_every_turn() {
        for rows in 1..=14 {
            let mut neighbours = BTreeSet::new();
            for turn in 0..3 {
                let all: Vec<usize> = order(rows, turn).collect();
                assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), rows, "{rows} rows, turn {turn}: {all:?}");
                neighbours.extend(all.windows(2).map(|pair| (pair[0], pair[1])));
            }
            // Three times as many pairs as in one turn, where there are as many steps.
            let repeats = matches!(rows, 1..=4 | 6);
            assert!(repeats || neighbours.len() == 3 * (rows - 1), "{rows}: {neighbours:?}");
        }
        assert_eq!(order(0, 1).count(), 0);
    }
}
