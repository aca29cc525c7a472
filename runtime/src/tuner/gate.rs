//! The gate: a plan's circuit simulated bit for bit over the calibration set, against the plain model.

use super::sensitivity::{difference, leading};
use super::{Error, Request};
use crate::circuit::ideal::{self, RoundingMode};
use crate::graph::observed::Observed;
use crate::graph::ranges::SiteRange;
use crate::graph::{Graph, Tensor};
use crate::plan::{Plan, node_number};
use std::collections::BTreeMap;

/// What a simulation showed.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Inputs that were simulated.
    pub inputs: usize,
    /// How roundings were chosen.
    pub roundings: Vec<String>,
    /// Largest difference of an output from the plain model.
    pub error: f64,
    /// Share of inputs with the plain model's arg-max.
    pub agreement: f64,
}

/// The plain model's answers on the calibration set.
pub struct Reference {
    runs: Vec<(Vec<Tensor>, Vec<Tensor>)>,
    graph: Graph,
    least_variances: BTreeMap<u32, f64>,
}

impl Reference {
    /// Runs the plain model.
    pub fn new(request: &Request<'_>) -> Result<Reference, Error> {
        let examples = request.calibration.iter().filter_map(|tensor| tensor.shape.first()).min().copied().unwrap_or(0);
        let examples = examples.min(request.simulated_max.max(1));
        let graph = Graph::import_with(request.model, &request.axes.for_batch(request.batch))?;
        let mut runs = Vec::new();
        let mut least_variances = BTreeMap::new();
        let mut first = 0;
        while first < examples {
            let count = request.batch.min(examples - first);
            let inputs: Vec<Tensor> = request.calibration.iter().map(|tensor| leading(tensor, first, count)).collect();
            let graph = Graph::import_with(request.model, &request.axes.for_batch(count))?;
            let mut observed = Observed::new(&graph);
            let plain = observed.run(&graph, &inputs)?;
            for (node, range) in observed.sites() {
                if let SiteRange::Normalisation { variance, .. } = range {
                    let least = least_variances.entry(node_number(node)).or_insert(f64::INFINITY);
                    *least = variance.lower.min(*least);
                }
            }
            runs.push((inputs, plain));
            first += count;
        }
        Ok(Reference { runs, graph, least_variances })
    }

    /// The least variance of a row at every layer norm, by node.
    pub fn least_variances(&self) -> &BTreeMap<u32, f64> {
        &self.least_variances
    }

    /// Simulates the plan under several choices of roundings.
    pub fn judge(&self, plan: &Plan, structure: &Graph, request: &Request<'_>) -> Result<Verdict, Error> {
        let checked = plan.clone().check(structure, request.catalog)?;
        let weights = checked.lowered().weights(&self.graph)?;
        let modes = [
            ("seed 1", RoundingMode::Seed(1)),
            ("seed 2", RoundingMode::Seed(2)),
            ("all low", RoundingMode::AllLow),
            ("all high", RoundingMode::AllHigh),
        ];
        let modes = if request.quick { &modes[..1] } else { &modes[..] };
        let (mut error, mut agreeing, mut total) = (0.0f64, 0usize, 0usize);
        for (_, mode) in modes {
            for (inputs, plain) in &self.runs {
                let padded = checked.pad_batch(inputs);
                let encoded = checked.lowered().encode_inputs(&padded)?;
                let outcome = ideal::run(&checked.lowered().circuit, &weights, &encoded, *mode)?;
                let count = inputs.first().and_then(|tensor| tensor.shape.first()).copied().unwrap_or(0);
                let outputs = checked.lowered().decode_outputs(&outcome.outputs)?;
                let outputs: Vec<Tensor> = outputs.iter().map(|tensor| leading(tensor, 0, count)).collect();
                error = error.max(difference(plain, &outputs));
                total += count;
                agreeing += agreements(plain, &outputs);
            }
        }
        Ok(Verdict {
            inputs: total / modes.len(),
            roundings: modes.iter().map(|(name, _)| (*name).to_owned()).collect(),
            error,
            agreement: agreeing as f64 / total.max(1) as f64,
        })
    }
}

/// The least cosine of an example's first output in `a` and in `b`; `None` where one is zero or there is none.
pub fn least_cosine(a: &[Tensor], b: &[Tensor]) -> Option<f64> {
    let (a, b) = (a.first()?, b.first()?);
    let row: usize = a.shape.iter().skip(1).product::<usize>().max(1);
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let cosine = |(a, b)| dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
    let cosines = a.data.chunks(row).zip(b.data.chunks(row)).map(cosine);
    cosines.min_by(f64::total_cmp).filter(|cosine| cosine.is_finite())
}

/// Rows of the first output whose largest element is at the same place.
pub fn agreements(a: &[Tensor], b: &[Tensor]) -> usize {
    let (Some(a), Some(b)) = (a.first(), b.first()) else { return 0 };
    let row: usize = a.shape.iter().skip(1).product::<usize>().max(1);
    let place = |row: &[f64]| row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map(|(index, _)| index);
    a.data.chunks(row).zip(b.data.chunks(row)).filter(|(a, b)| place(a) == place(b)).count()
}
