//! The certified bound of a private output's error.

use super::limits::checked;
use super::refused;
use crate::commands::inspect;
use crate::failure::Failure;
use crate::report::numbers::significant;
use crate::report::table;
use runtime::circuit::bound::{Accumulated, Shares};
use serde::Serialize;
use std::path::Path;

/// A bound with its causes, or why there is none.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Error {
    /// The element that may be furthest off.
    Bounded {
        /// The bound.
        bound: f64,
        /// Of it, truncations between the entries.
        roundings: f64,
        /// Of it, certified errors of entries.
        approximations: f64,
        /// Of it, inputs, weights and public numbers as integers.
        quantisation: f64,
    },
    /// No bound.
    Unbounded {
        /// Where and why.
        unbounded: String,
    },
}

/// A node of the model.
#[derive(Serialize)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// Its operator.
    pub operator: String,
    /// Whether it is a nonlinear site.
    pub is_site: bool,
    /// What has accumulated behind it.
    #[serde(flatten)]
    pub error: Error,
}

/// An output.
#[derive(Serialize)]
pub struct Output {
    /// Its name.
    pub name: String,
    /// The end-to-end bound.
    #[serde(flatten)]
    pub error: Error,
    /// The proved range of the private output.
    pub range: [f64; 2],
    /// Whether the bound says nothing.
    pub vacuous: bool,
}

/// What was proved.
#[derive(Serialize)]
pub struct Bound {
    /// The model's name in the plan.
    pub model: String,
    /// Sites whose functions the plan cuts: the bound is against the model with the cuts.
    pub cuts: Vec<String>,
    /// Node by node.
    pub nodes: Vec<Row>,
    /// Output by output.
    pub outputs: Vec<Output>,
}

/// Proves the bound with the model's weights.
pub fn of(catalog: &Path, plan: &Path, model: &Path) -> Result<Bound, Failure> {
    let checked = checked(catalog, plan)?;
    let described = &checked.plan().model;
    let graph = inspect::import(model, &inspect::read(model)?, &described.axes())?;
    let proved = checked.error_bound(&graph).map_err(refused)?;
    let cut = described.clamps.iter().filter(|clamp| !clamp.kept);
    let rows = proved.steps.into_iter().map(|step| Row {
        error: error(&step.error),
        name: step.name,
        operator: step.operator,
        is_site: step.is_site,
    });
    let outputs = proved.outputs.into_iter().map(|output| Output {
        vacuous: output.is_vacuous(),
        error: error(&output.error),
        name: output.name,
        range: output.range,
    });
    Ok(Bound {
        model: described.name.clone(),
        cuts: cut.map(|clamp| clamp.name.clone()).collect(),
        nodes: rows.collect(),
        outputs: outputs.collect(),
    })
}

fn error(accumulated: &Accumulated) -> Error {
    match accumulated {
        Ok(shares) => {
            let Shares { roundings, approximations, quantisation } = *shares;
            Error::Bounded { bound: shares.total(), roundings, approximations, quantisation }
        }
        Err(reason) => Error::Unbounded { unbounded: reason.to_string() },
    }
}

/// As a page.
pub fn text(bound: &Bound) -> String {
    let cells = |error: &Error| match error {
        Error::Bounded { bound, roundings, approximations, quantisation } => {
            let share = |part: &f64| format!("{:.1} %", 100.0 * part / bound.max(f64::MIN_POSITIVE));
            vec![format!("{bound:.3e}"), share(roundings), share(approximations), share(quantisation)]
        }
        Error::Unbounded { .. } => ["none", "-", "-", "-"].map(str::to_owned).to_vec(),
    };
    let line = |row: &Row| [vec![row.name.clone(), row.operator.clone()], cells(&row.error)].concat();
    let header = ["node", "operator", ">bound", ">roundings", ">approximations", ">quantisation"];
    let model = &bound.model;
    let mut out = table(&header, &bound.nodes.iter().map(line).collect::<Vec<_>>());
    for output in &bound.outputs {
        let [low, high] = output.range.map(|end| significant(end, 4));
        out.push_str(&match &output.error {
            Error::Unbounded { unbounded } => format!("{}: no bound. {unbounded}\n", output.name),
            Error::Bounded { bound, .. } => format!(
                "{}: certified within {bound:.3e} of {} in real numbers, for every input of the plan's box and every \
                 rounding{}\n",
                output.name,
                model,
                match output.vacuous {
                    true => format!("; VACUOUS: the output itself is proved to lie in {low} to {high}"),
                    false => format!(" (proved range {low} to {high})"),
                }
            ),
        });
    }
    if !bound.cuts.is_empty() {
        out.push_str(&format!("the model is the one with the plan's cuts: {}\n", bound.cuts.join(", ")));
    }
    out
}
