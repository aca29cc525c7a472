//! `chebyshare plan`: why each choice was made.

mod bound;
mod diff;
pub mod front;
pub mod limits;
mod time;
pub mod words;

use crate::commands::inspect;
use crate::failure::Failure;
use crate::output;
use crate::report::{Context, plan_page, table};
use clap::{Args, Subcommand};
use runtime::graph::Graph;
use runtime::plan::{Plan, Refusal, SiteRecord};
use runtime::transport::SideBySide;
use std::path::{Path, PathBuf};
pub use words::{counted, entries};

/// Shows plans.
///
/// Example: chebyshare plan show digits.plan.toml
#[derive(Args)]
pub struct PlanCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Every site's choice, its certified error and its cost.
    Show {
        /// The plan.
        plan: PathBuf,
    },
    /// The sites at which two plans of one model choose differently, and what that costs.
    Diff {
        /// The plan whose lines are marked with -.
        first: PathBuf,
        /// The plan whose lines are marked with +.
        second: PathBuf,
    },
    /// How far proved ranges stay from windows and rings, for every input that the plan allows: for the model's owner,
    /// whose weights it tells of.
    Limits {
        /// The plan; the catalog that it names is read too.
        plan: PathBuf,
        /// The ONNX file.
        #[arg(long)]
        model: PathBuf,
    },
    /// A certified bound of how far private outputs are from the model's, for every input that the plan allows and every
    /// rounding: for the model's owner. Of deep models it is too large to say anything.
    Bound {
        /// The plan; the catalog that it names is read too.
        plan: PathBuf,
        /// The ONNX file.
        #[arg(long)]
        model: PathBuf,
    },
    /// A plan as a page: what every site costs, where the error comes from, and what was chosen.
    Page {
        /// The plan.
        plan: PathBuf,
        /// The page.
        #[arg(long, value_name = "PAGE.html")]
        out: PathBuf,
    },
    /// Predicted seconds of a run on a machine that `chebyshare profile` measured.
    Time {
        /// The plan; the catalog that it names is read too.
        plan: PathBuf,
        /// The machine's rates.
        #[arg(long, value_name = "MACHINE.toml")]
        machine: PathBuf,
        /// A network: lan (1 Gbit/s, 0.2 ms there and back), wan (100 Mbit/s, 40 ms) or a TOML file; without one, loopback.
        #[arg(long)]
        network: Option<String>,
        /// Runs that are executed side by side, 1 to 64; as many as the plan says where nothing is given.
        #[arg(long, value_name = "RUNS")]
        side_by_side: Option<SideBySide>,
    },
}

impl PlanCommand {
    /// Prints.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        match &self.action {
            Action::Show { plan } => context.print(&read(plan)?, |plan| text(plan, Standing::Stated)),
            Action::Limits { plan, model } => {
                context.print(&limits::of(&context.catalog, plan, model)?, |rows| limits::text(rows))
            }
            Action::Bound { plan, model } => context.print(&bound::of(&context.catalog, plan, model)?, bound::text),
            Action::Page { plan, out } => {
                output::check_file_places([plan.as_path(), &structure_file(plan)], [out.as_path()])?;
                let page = plan_page::page(&read(plan)?);
                output::write_texts(&[(out, &page)])?;
                context.print(&out.display().to_string(), |out| format!("wrote {out}\n"))
            }
            Action::Time { plan, machine, network, side_by_side } => context
                .print(&time::of(&context.catalog, plan, machine, network.as_deref(), *side_by_side)?, time::text),
            Action::Diff { first, second } => context.print(&diff::of([&read(first)?, &read(second)?])?, diff::text),
        }
    }
}

/// Reads a plan's file.
pub fn read(path: &Path) -> Result<Plan, Failure> {
    let named = |reason: String| Failure::Input(format!("{}: {reason}", path.display()));
    let text = String::from_utf8(inspect::read(path)?).map_err(|_| named("no plan: not text".into()))?;
    if text.starts_with('{') {
        return Err(named("no plan, but perhaps the structure beside one; plans end in .toml".into()));
    }
    Plan::parse(&text).map_err(|error| named(error.to_string()))
}

/// Reads the public structure of a plan's model, which lies beside the plan.
pub fn read_structure(plan: &Path) -> Result<Graph, Failure> {
    let path = structure_file(plan);
    let named = |reason: String| Failure::Input(format!("{}: {reason}", path.display()));
    if !path.exists() {
        return Err(named(
            "No such file or directory; `chebyshare tune` writes it beside its plan, and every party needs both".into(),
        ));
    }
    let text = String::from_utf8(inspect::read(&path)?).map_err(|_| named("not text".into()))?;
    Graph::from_json(&text).map_err(|error| named(error.to_string()))
}

/// Whose fault it is that a plan is refused.
pub fn refused(refusal: Refusal) -> Failure {
    match refusal {
        Refusal::Rejected { .. } => Failure::claim(refusal),
        other => Failure::input(other),
    }
}

/// Where the figures come from that are shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// From a tuning that has just proved and measured them.
    Proved,
    /// From a file that may say anything.
    Stated,
}

/// What has to be said of figures that were only read.
pub const UNCHECKED: &str = "These figures are the file's, none of them was checked here. Every party checks entries, costs and \
    certified errors before it runs; the model's owner with `chebyshare plan limits` those of layer norms too. What was \
    predicted or measured is the tuner's word.";

/// Where the public structure of a plan's model is.
pub fn structure_file(plan: &Path) -> PathBuf {
    plan.with_extension("structure.json")
}

/// The plan as a page.
pub fn text(plan: &Plan, standing: Standing) -> String {
    let (told, sensed) = (words::told(plan), words::sensed(plan));
    let row = |site: &SiteRecord| {
        vec![
            site.kind.clone(),
            site.elements.to_string(),
            words::certified(site),
            if told { format!("{:.2e}", site.calibrated_error) } else { "-".into() },
            site.effect.filter(|_| sensed).map_or("-".into(), |effect| format!("{effect:.2e}")),
            site.rounds.to_string(),
            format!("{:.1}", site.bytes as f64 / 1024.0),
            site.admissible.to_string(),
            entries(&site.choice),
        ]
    };
    let rows: Vec<Vec<String>> = plan.site.iter().map(row).collect();
    let header =
        ["site", ">elements", ">certified", ">calibrated", ">effect", ">rounds", ">KiB", ">admissible", "chosen"];
    let (model, predicted) = (&plan.model, &plan.predicted);
    let mut out = format!(
        "{} under {}, {} a run, inputs in {}, digest {}{}\n{}; {}\n",
        model.name,
        plan.protocol,
        counted(model.batch, "input"),
        words::inputs(model),
        plan.digest().short(),
        words::weights(model),
        words::parties(&plan.parties),
        words::formats(&plan.formats),
    );
    for (what, words) in [("axes", words::axes(model)), ("public inputs", words::public_inputs(model))] {
        if !words.is_empty() {
            out.push_str(&format!("{what}: {words}\n"));
        }
    }
    out.push_str(&table(&header, &rows));
    out.extend(words::conditions(plan).into_iter().map(|condition| condition + "\n"));
    out.extend(model.clamps.iter().map(|clamp| format!("clamp of {}: {}\n", clamp.name, words::clamp(clamp))));
    let error = match words::predicted_error(plan) {
        Some(error) => format!(", error {error:.2e}"),
        None if told => ", error not predicted".to_owned(),
        None => String::new(),
    };
    let memory = predicted.memory_bytes.map(|bytes| format!(", {:.0} MB of memory a party", bytes as f64 / 1e6));
    out.push_str(&format!(
        "predicted: {} rounds and {:.2} MB a run (exact), {:.3} s under {}{}{}{error}\n{}\n",
        predicted.rounds_per_run,
        predicted.bytes_per_run as f64 / 1e6,
        predicted.seconds_per_run,
        predicted.network,
        words::side_by_side(model.side_by_side),
        memory.unwrap_or_default(),
        words::simulation(&plan.measured),
    ));
    if standing == Standing::Stated {
        out.push_str(UNCHECKED);
        out.push('\n');
    }
    out
}
