//! Lanes of evidence beside the checker, entry by entry: nothing here makes an entry certified, but each can refute one.
//!
//! A lane takes the entry and its certificate as they are published and is run whether or not the checker accepts
//! them, so that it stands on its own; what it finds is a [`Finding`], never a panic and never an early end.

#[cfg(feature = "generate")]
mod conformance;
#[cfg(feature = "generate")]
mod exhaustive;
#[cfg(feature = "generate")]
mod second;
#[cfg(feature = "generate")]
mod smt;
pub mod tools;

use crate::failure::Failure;
use catalogs::Published;
use clap::ValueEnum;
use serde::Serialize;
use std::path::PathBuf;

/// A kind of evidence.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, ValueEnum)]
pub enum Lane {
    /// The worst error over all inputs of the window, or of runs of it, and all roundings, by enclosures of MPFR.
    Exhaustive,
    /// The lemmas that the entry needs and the obligations of every piece, proved by Z3.
    Smt,
    /// Real executions by three parties, compared with the evaluator, the lemmas and the claim.
    Conformance,
    /// The verdict of the second checker, in Python: in a checkout, where there is python3.
    Second,
}

/// What one lane found of one entry.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// Whether the lane is satisfied.
    pub ok: bool,
    /// In a few words, for a table.
    #[serde(skip)]
    pub summary: String,
    /// What is violated, with the input and both numbers, or why the lane could not run.
    pub reason: Option<String>,
    /// How long it took.
    pub seconds: f64,
    /// The lane's own figures.
    #[serde(flatten)]
    pub figures: serde_json::Map<String, serde_json::Value>,
}

/// What the lanes found of one entry; a lane that was not asked for is `None` (`null` in JSON).
#[derive(Clone, Debug, Default, Serialize)]
pub struct Findings {
    /// [`Lane::Exhaustive`].
    pub exhaustive: Option<Finding>,
    /// [`Lane::Smt`].
    pub smt: Option<Finding>,
    /// [`Lane::Conformance`].
    pub conformance: Option<Finding>,
    /// [`Lane::Second`].
    pub second: Option<Finding>,
}

impl Findings {
    /// The names of the columns.
    pub const COLUMNS: [&'static str; 4] = ["exhaustive", "smt", "conformance", "second"];

    fn lanes(&self) -> [&Option<Finding>; 4] {
        [&self.exhaustive, &self.smt, &self.conformance, &self.second]
    }

    /// A cell per column: what was not asked for says so.
    pub fn cells(&self) -> [String; 4] {
        self.lanes().map(|finding| finding.as_ref().map_or("not run".into(), |finding| finding.summary.clone()))
    }

    /// Which lanes ran on this entry, by column.
    pub fn ran(&self) -> [bool; 4] {
        self.lanes().map(|finding| finding.as_ref().is_some_and(Finding::could_run))
    }

    /// The first lane that refutes the entry, and why; a lane that could not run refutes nothing.
    pub fn refutation(&self) -> Option<String> {
        self.first_unsatisfied(Finding::could_run)
    }

    /// The first lane that is not satisfied, and why: refuted, or asked for and not able to run.
    pub fn violation(&self) -> Option<String> {
        self.first_unsatisfied(|_| true)
    }

    fn first_unsatisfied(&self, counts: impl Fn(&Finding) -> bool) -> Option<String> {
        let lanes = self.lanes().into_iter().zip(Self::COLUMNS);
        let unsatisfied = lanes.filter_map(|(finding, name)| Some((finding.as_ref()?, name)));
        let mut reasons = unsatisfied
            .filter(|(finding, _)| !finding.ok && counts(finding))
            .map(|(finding, name)| format!("{name}: {}", finding.reason.as_deref().unwrap_or("not satisfied")));
        reasons.next()
    }
}

/// The summary of a lane that could not run.
const NOT_ABLE: &str = "FAILED";

impl Finding {
    /// Whether the lane ran at all.
    pub fn could_run(&self) -> bool {
        self.summary != NOT_ABLE
    }
}

#[cfg(feature = "generate")]
pub use run::Lanes;

/// How much work lanes may do.
#[derive(Clone, Debug)]
pub struct Effort {
    /// The most inputs of an interval that are executed, and of a window that are exhausted.
    pub points: u64,
    /// The folder that keeps what an exhaustion found so far, if one that was cut shall go on.
    pub resume: Option<PathBuf>,
}

/// Runs `lanes` over each of `chosen` that is `wanted`; none of them finds nothing.
pub fn examine_all(
    lanes: &[Lane],
    effort: Effort,
    chosen: &[(&str, &Published)],
    wanted: impl Fn(&str) -> bool,
) -> Result<Vec<Findings>, Failure> {
    if lanes.is_empty() {
        return Ok(chosen.iter().map(|_| Findings::default()).collect());
    }
    #[cfg(feature = "generate")]
    {
        let mut lanes = Lanes::new(lanes, effort);
        let examine = |(name, published): &(&str, &Published)| match wanted(name) {
            true => lanes.examine(name, published),
            false => Findings::default(),
        };
        Ok(chosen.iter().map(examine).collect())
    }
    #[cfg(not(feature = "generate"))]
    {
        let named = chosen.iter().filter(|(name, _)| wanted(name)).count();
        let Effort { points, resume } = effort;
        let kept = resume.map(|folder| format!(", kept in {}", folder.display())).unwrap_or_default();
        Err(Failure::input(format!(
            "--with {lanes:?} ({named} entries, at most {points} inputs{kept}) needs MPFR and Z3, which this program was \
             built without; build it with the feature 'generate' (the default)"
        )))
    }
}

#[cfg(feature = "generate")]
mod run {
    use super::{Effort, Finding, Findings, Lane, conformance, exhaustive, second, smt};
    use catalogs::{Entry, ParseError, Published};
    use indicatif::{ProgressBar, ProgressStyle};
    use std::time::Instant;
    use verify::certificate::Certificate;

    type Parsed = Result<(Entry, Certificate), ParseError>;

    /// Lanes that were asked for, and what they know from earlier entries.
    pub struct Lanes {
        lanes: Vec<Lane>,
        effort: Effort,
        prover: smt::Prover,
    }

    impl Lanes {
        /// Runs `lanes` with so much effort.
        pub fn new(lanes: &[Lane], effort: Effort) -> Lanes {
            let mut lanes = lanes.to_vec();
            lanes.sort_unstable();
            lanes.dedup();
            Lanes { lanes, effort, prover: smt::Prover::default() }
        }

        /// Runs every lane on one entry.
        pub fn examine(&mut self, name: &str, published: &Published) -> Findings {
            let parsed = Entry::parse(&published.entry)
                .and_then(|entry| Ok((entry, Certificate::parse(&published.certificate)?)));
            let mut findings = Findings::default();
            for lane in self.lanes.clone() {
                let started = Instant::now();
                let mut finding = self.run(lane, name, published, &parsed);
                finding.seconds = started.elapsed().as_secs_f64();
                *match lane {
                    Lane::Exhaustive => &mut findings.exhaustive,
                    Lane::Smt => &mut findings.smt,
                    Lane::Conformance => &mut findings.conformance,
                    Lane::Second => &mut findings.second,
                } = Some(finding);
            }
            findings
        }

        fn run(&mut self, lane: Lane, name: &str, published: &Published, parsed: &Parsed) -> Finding {
            let bar = bar(lane, name);
            let progress = |done: u64, all: u64| {
                bar.set_length(all);
                bar.set_position(done);
            };
            let finding = match (lane, parsed) {
                // Its own parser is a part of what it is asked about.
                (Lane::Second, _) => second::examine(name, published),
                (_, Err(reason)) => Finding::not_run(reason),
                (Lane::Exhaustive, Ok((entry, certificate))) => exhaustive::examine(
                    entry,
                    certificate,
                    self.effort.points,
                    self.effort.resume.as_deref(),
                    &progress,
                ),
                (Lane::Smt, Ok((entry, certificate))) => self.prover.examine(entry, certificate, &progress),
                (Lane::Conformance, Ok((entry, certificate))) => {
                    conformance::examine(entry, certificate, self.effort.points, &progress)
                }
            };
            bar.finish_and_clear();
            finding
        }
    }

    impl Finding {
        pub(super) fn new(summary: String, violation: Option<String>, figures: serde_json::Value) -> Finding {
            let summary = if violation.is_some() { "VIOLATED".to_owned() } else { summary };
            let figures = match figures {
                serde_json::Value::Object(figures) => figures,
                _ => serde_json::Map::new(),
            };
            Finding { ok: violation.is_none(), summary, reason: violation, seconds: 0.0, figures }
        }

        pub(super) fn not_run(reason: impl std::fmt::Display) -> Finding {
            let reason = Some(format!("the lane could not run: {reason}"));
            Finding {
                ok: false,
                summary: super::NOT_ABLE.into(),
                reason,
                seconds: 0.0,
                figures: serde_json::Map::new(),
            }
        }
    }

    /// A bar on a terminal, nothing on a pipe.
    fn bar(lane: Lane, name: &str) -> ProgressBar {
        let bar = ProgressBar::new(0);
        let style = ProgressStyle::with_template("{msg} {wide_bar} {human_pos}/{human_len} {elapsed}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(format!("{name} {}", format!("{lane:?}").to_lowercase()));
        bar
    }
}

#[cfg(all(test, feature = "generate"))]
mod tests;
