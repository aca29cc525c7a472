//! `chebyshare plan`: why each choice was made.

mod bound;
mod diff;
pub mod front;
pub mod limits;
mod time;

use crate::commands::inspect;
use crate::failure::Failure;
use crate::output;
use crate::report::{Context, plan_page, table};
use clap::{Args, Subcommand};
use runtime::circuit::lower::Comparisons;
use runtime::graph::Clamp;
use runtime::plan::{ChoiceRecord, FormatsRecord, Measured, ModelRecord, Plan};
use std::path::{Path, PathBuf};

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
        /// A network: lan, wan or a TOML file; without one, loopback.
        #[arg(long)]
        network: Option<String>,
    },
}

impl PlanCommand {
    /// Prints.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        match &self.action {
            Action::Show { plan } => context.print(&read(plan)?, text),
            Action::Limits { plan, model } => {
                context.print(&limits::of(&context.catalog, plan, model)?, |rows| limits::text(rows))
            }
            Action::Bound { plan, model } => context.print(&bound::of(&context.catalog, plan, model)?, bound::text),
            Action::Page { plan, out } => {
                output::check_file_place(out)?;
                let page = plan_page::page(&read(plan)?);
                output::write_texts(&[(out, &page)])?;
                context.print(&out.display().to_string(), |out| format!("wrote {out}\n"))
            }
            Action::Time { plan, machine, network } => {
                context.print(&time::of(&context.catalog, plan, machine, network.as_deref())?, time::text)
            }
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

/// Where the public structure of a plan's model is.
pub fn structure_file(plan: &Path) -> PathBuf {
    plan.with_extension("structure.json")
}

/// Ring and scales, unless they are the usual ones.
fn formats(formats: &FormatsRecord) -> String {
    let FormatsRecord { ring, activations, weights, rings } = formats;
    let all = match [ring, activations, weights] {
        [64, 16, 16] => String::new(),
        _ => format!(", ring of {ring} bits with {activations} and {weights} fraction bits"),
    };
    let fewer = rings.iter().filter(|own| *own < ring).count();
    match rings.iter().min() {
        Some(least) if fewer > 0 => {
            format!("{all}, {fewer} of {} sums and entries with fewer than {ring} bits, down to {least}", rings.len())
        }
        _ => all,
    }
}

fn ranges(model: &ModelRecord) -> String {
    let own = model.input_boxes.iter().map(|(name, [low, high])| format!(", {name} in [{low}, {high}]"));
    format!("[{}, {}]{}", model.input_box[0], model.input_box[1], own.collect::<String>())
}

/// The entries of a choice, in a few words.
pub fn entries(choice: &ChoiceRecord) -> String {
    match choice {
        ChoiceRecord::Unary { entry } => entry.name.clone(),
        ChoiceRecord::Softmax { maximum, exp, reciprocal, normalise_last } => {
            let last = if *normalise_last { ", divided last" } else { "" };
            format!("{} + {} + {}{last}", exp.name, reciprocal.name, comparisons(maximum))
        }
        ChoiceRecord::SoftmaxWithoutMaximum { logits, exp, reciprocal, normalise_last } => {
            let last = if *normalise_last { ", divided last" } else { "" };
            let raised = if logits.raised > 0 { format!(", raised by 2^{}", logits.raised) } else { String::new() };
            let within = format!("no maximum: logits within {} to {}{raised}", logits.low, logits.high);
            format!("{} + {} + {within}{last}", exp.name, reciprocal.name)
        }
        ChoiceRecord::Normalisation { rsqrt, centre_exactly } => {
            format!("{}{}", rsqrt.name, if *centre_exactly { ", exact centre" } else { "" })
        }
        ChoiceRecord::Maximum { maximum } => comparisons(maximum),
    }
}

fn comparisons(maximum: &Comparisons) -> String {
    let groups: Vec<String> = maximum.groups.iter().map(u8::to_string).collect();
    let joined = if maximum.joined > 1 { format!(", {} joined", maximum.joined) } else { String::new() };
    let coarse = if maximum.coarse > 0 { format!(" without {}", maximum.coarse) } else { String::new() };
    format!("maximum of {} bits{coarse} by {}{joined}", maximum.width, groups.join(", "))
}

/// A line for each limited argument: what it costs and what becomes of the function beyond.
fn clamps(clamps: &[Clamp]) -> String {
    let line = |clamp: &Clamp| {
        let bound = |bound: Option<f64>| bound.map_or_else(|| "-".to_owned(), |bound| bound.to_string());
        let beyond = match clamp.off {
            Some(off) if clamp.kept => format!("kept beyond, off by at most {off:.1e}"),
            _ => "CUT: beyond, this is another model".to_owned(),
        };
        format!(
            "clamp of {}: {} to {}, {beyond}; {} bits, {} rounds, {:.1} KiB\n",
            clamp.name,
            bound(clamp.low),
            bound(clamp.high),
            clamp.width,
            clamp.rounds,
            clamp.bytes as f64 / 1024.0
        )
    };
    clamps.iter().map(line).collect()
}

/// `1 plan`, `2 plans`.
pub fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// What was measured, in a line.
fn simulation(measured: &Measured) -> String {
    if measured.inputs == 0 {
        return "what was measured is left out\n".into();
    }
    let cosine = measured.cosine.map(|cosine| format!(", least cosine {cosine:.8}"));
    let metric = measured.metric.map(|(plain, private)| format!(", metric {private:.4} beside the plain {plain:.4}"));
    let others: String = [cosine, metric].into_iter().flatten().collect();
    format!(
        "measured on {} calibration inputs, roundings {}: error {:.2e}, agreement {:.4}{others} ({} simulated)\n",
        measured.inputs,
        measured.roundings.join(", "),
        measured.error,
        measured.agreement,
        counted(measured.candidates_tried, "plan"),
    )
}

/// The plan as a page.
pub fn text(plan: &Plan) -> String {
    let rows: Vec<Vec<String>> = plan
        .site
        .iter()
        .map(|site| {
            vec![
                site.kind.clone(),
                site.elements.to_string(),
                format!("{:.2e}", site.certified_error),
                format!("{:.2e}", site.calibrated_error),
                site.effect.map_or("-".into(), |effect| format!("{effect:.2e}")),
                site.rounds.to_string(),
                format!("{:.1}", site.bytes as f64 / 1024.0),
                site.admissible.to_string(),
                entries(&site.choice),
            ]
        })
        .collect();
    let header =
        ["site", ">elements", ">certified", ">calibrated", ">effect", ">rounds", ">KiB", ">admissible", "chosen"];
    let (predicted, measured) = (&plan.predicted, &plan.measured);
    format!(
        "{} under {}, {} inputs a run, inputs in {}{}, digest {}\n{}{}\
         predicted: {} rounds and {:.2} MB a run (exact), {:.3} s under {}{}{}\n{}",
        plan.model.name,
        plan.protocol,
        plan.model.batch,
        ranges(&plan.model),
        formats(&plan.formats),
        plan.digest().short(),
        table(&header, &rows),
        clamps(&plan.model.clamps),
        predicted.rounds_per_run,
        predicted.bytes_per_run as f64 / 1e6,
        predicted.seconds_per_run,
        predicted.network,
        predicted
            .memory_bytes
            .map_or(String::new(), |bytes| format!(", {:.0} MB of memory a party", bytes as f64 / 1e6)),
        if measured.inputs > 0 { format!(", error {:.2e}", predicted.error) } else { String::new() },
        simulation(measured),
    )
}
