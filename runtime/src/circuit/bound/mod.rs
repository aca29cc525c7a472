//! A certified bound of |private output − plain output|, for every input of the declared box and every rounding that a
//! protocol may choose.
//!
//! Every node v of the circuit stands for a real number r that the plain model computes, and the bound is carried from
//! operands to results, lane by lane, with the proved ranges of [`super::headroom`]:
//!
//! | node | |v − r| grows by |
//! | --- | --- |
//! | input, weight, public number | what encoding it moved |
//! | Σ c·a·b + Σ c·a | Σ \|c\|·(\|a\|·e_b + (\|b\| + e_b)·e_a) + Σ \|c\|·e_a, and one unit where it is truncated; for a weight b its differences are known: `Walk::encoding` |
//! | entry for f | sup \|f′\| between v and r (a formula, `slope`) times e, and the entry's certified error |
//! | maximum | the largest of its candidates' errors, and behind the last one of a site the site's certified error |
//! | movement | moves with its lane |
//!
//! In a softmax the number that is subtracted from a row plays no part, so r is defined with the one that the private run
//! subtracts, which has no error. Probabilities that are truncated also have the bound of `verify::compose` for a
//! softmax of the private argument; and as ∂p_i/∂x_j = p_i(δ_ij − p_j), the sums of whose absolute values are
//! 2p_i(1 − p_i) ≤ ½, arguments that are off by at most d move no probability by more than d/2. The lesser bound counts.
//!
//! Assumes: the plain model in real numbers, with masked positions as exact zeros of a softmax. All numbers are upper
//! bounds in doubles, rounded up. A deep model has a bound that says nothing, and it is called so.

mod slope;
mod spread;
#[cfg(test)]
mod tests;
mod walk;

use super::Error;
use super::builder::{Circuit, Weights};
use super::headroom::{self, InputBound, Norms};
use super::lower::Lowered;
use super::node::{NodeId, NodeKind};
use crate::graph::{self, Graph};
use std::collections::BTreeMap;
use std::sync::Arc;
use walk::Walk;

/// An error by what causes it. What a later node does to it is counted where it began.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Shares {
    /// Truncations between the entries.
    pub roundings: f64,
    /// Certified errors of entries, their own roundings with them, and of maxima that leave out bits.
    pub approximations: f64,
    /// Inputs, weights and public numbers as integers.
    pub quantisation: f64,
}

impl Shares {
    fn of(parts: [f64; 3]) -> Shares {
        let [roundings, approximations, quantisation] = parts;
        Shares { roundings, approximations, quantisation }
    }

    /// All together.
    pub fn total(self) -> f64 {
        self.roundings + self.approximations + self.quantisation
    }

    fn times(self, factor: f64) -> Shares {
        Shares::of([self.roundings, self.approximations, self.quantisation].map(|part| part * factor))
    }
}

/// The error of the element that may be furthest off, or why there is no bound.
pub type Accumulated = Result<Shares, Arc<str>>;

/// The bound behind a node of the model.
#[derive(Clone, PartialEq, Debug)]
pub struct Step {
    /// The model's node.
    pub name: String,
    /// Its operator.
    pub operator: String,
    /// Whether it is a nonlinear site.
    pub is_site: bool,
    /// The largest error of an element.
    pub error: Accumulated,
}

/// The bound of an output.
#[derive(Clone, PartialEq, Debug)]
pub struct OutputBound {
    /// Its name.
    pub name: String,
    /// The largest error of an element.
    pub error: Accumulated,
    /// The proved range of the private output.
    pub range: [f64; 2],
}

impl OutputBound {
    /// Whether the bound says nothing: no two numbers of the proved range are further apart.
    pub fn is_vacuous(&self) -> bool {
        self.error.as_ref().map_or(true, |error| error.total() >= self.range[1] - self.range[0])
    }
}

/// What was proved of a model and its plan.
#[derive(Clone, PartialEq, Debug)]
pub struct ErrorBound {
    /// Node by node of the model, in its order, those that compute.
    pub steps: Vec<Step>,
    /// Output by output.
    pub outputs: Vec<OutputBound>,
}

/// What a bound is proved from.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// The circuit.
    pub lowered: &'a Lowered,
    /// The model with its weights, as it was lowered.
    pub graph: &'a Graph,
    /// The weights as they are encoded.
    pub weights: &'a Weights,
    /// The promise of every input.
    pub boxes: &'a [InputBound],
    /// By how much the function of a site differs from the model's, where its argument is clamped; by the site's node.
    pub clamped: &'a BTreeMap<u32, f64>,
}

/// Proves the bound, and the headroom with it.
pub fn error_bound(question: &Question<'_>) -> Result<ErrorBound, Error> {
    with(question, Terms::ALL)
}

/// Factors of the terms: tests show that none may be smaller.
#[derive(Clone, Copy)]
struct Terms {
    quantisation: f64,
    roundings: f64,
    entries: f64,
    slopes: f64,
}

impl Terms {
    const ALL: Terms = Terms { quantisation: 1.0, roundings: 1.0, entries: 1.0, slopes: 1.0 };
}

fn with(question: &Question<'_>, terms: Terms) -> Result<ErrorBound, Error> {
    let Question { lowered, graph, weights, boxes, .. } = *question;
    let circuit = &lowered.circuit;
    let mut walk = Walk::new(question, terms)?;
    let norms = Norms::default();
    let proof = headroom::prove_observed(lowered, weights, boxes, &norms, &mut |id, lanes| walk.node(id, lanes))?;
    let largest = walk.into_largest();
    let accumulated = |id: NodeId, gain: f64| {
        let raised = gain.abs() * (1.0 + 4.0 * f64::EPSILON);
        largest.get(id.index()).cloned().unwrap_or_else(|| Err("it was not reached".into())).map(|e| e.times(raised))
    };
    let sites: Vec<graph::NodeId> = graph.sites().iter().map(|site| site.node).collect();
    let steps = graph.nodes().iter().filter_map(|node| {
        let (id, gain) = lowered.result(node.id)?;
        let group = circuit.node(id).group;
        let computes = circuit.iter().any(|(_, own)| {
            own.group == group && matches!(own.kind, NodeKind::Sum(_) | NodeKind::Program { .. } | NodeKind::Maximum(_))
        });
        (circuit.groups()[group.index()].name == node.name && computes).then(|| Step {
            name: node.name.clone(),
            operator: node.operator.name().to_owned(),
            is_site: sites.contains(&node.id),
            error: accumulated(id, gain),
        })
    });
    let outputs = circuit.outputs().into_iter().zip(lowered.output_names()).zip(lowered.output_gains());
    let outputs = outputs.map(|((id, name), gain)| {
        let (range, unit) = (proof.range(id), unit(circuit, id) * gain);
        let ends = [range.low as f64 * unit, range.high as f64 * unit];
        let range = [ends[0].min(ends[1]), ends[0].max(ends[1])];
        OutputBound { name: name.to_owned(), error: accumulated(id, gain), range }
    });
    Ok(ErrorBound { steps: steps.collect(), outputs: outputs.collect() })
}

/// What an integer of a node stands for.
fn unit(circuit: &Circuit, id: NodeId) -> f64 {
    (-f64::from(circuit.node(id).format.scale.bits())).exp2()
}
