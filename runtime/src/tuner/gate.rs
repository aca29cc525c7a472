//! The gate: a plan's circuit simulated bit for bit over the calibration set, against the plain model.

use super::constraint::{Answers, Constraint, Metric, arg_max};
use super::hidden::{self, Hidden, Last, Shown};
use super::sensitivity::{difference, leading};
use super::{Error, Request};
use crate::circuit::Weights;
use crate::circuit::ideal::{RoundingMode, Simulation};
use crate::circuit::lower::{Encoder, Lowered};
use crate::graph::observed::Observed;
use crate::graph::ranges::SiteRange;
use crate::graph::{Graph, Tensor, reference};
use crate::plan::{CheckedPlan, ChoiceRecord, FormatsRecord, Plan, node_number};
use catalogs::Digest;
use catalogs::digest::Tag;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a simulation showed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Verdict {
    /// Inputs that were simulated.
    pub inputs: usize,
    /// How roundings were chosen.
    pub roundings: Vec<String>,
    /// Largest difference of an output from the plain model, a last function's at its largest slope.
    pub error: f64,
    /// Share of inputs with the plain model's arg-max.
    pub agreement: f64,
    /// Share of inputs whose arg-max stays even where everything moves twice as far: what a demand on agreement is held
    /// against, because other inputs are closer to another answer.
    pub steady: f64,
    /// The least cosine of an input's first output with the plain model's; none where one is zero.
    pub cosine: Option<f64>,
    /// The metric of the plain model and the worst one of the simulations, where there are labels.
    pub metric: Option<(f64, f64)>,
}

/// How roundings are chosen, with names for people.
const MODES: [(&str, RoundingMode); 4] = [
    ("seed 1", RoundingMode::Seed(1)),
    ("seed 2", RoundingMode::Seed(2)),
    ("all low", RoundingMode::AllLow),
    ("all high", RoundingMode::AllHigh),
];

fn modes(request: &Request<'_>) -> &'static [(&'static str, RoundingMode)] {
    if request.quick { &MODES[..1] } else { &MODES[..] }
}

/// Some inputs, of which the first has this number, with a model's answers.
struct Run {
    first: usize,
    inputs: Vec<Tensor>,
    outputs: Vec<Tensor>,
    /// What stands for outputs that hide something.
    shown: Vec<Tensor>,
}

/// The plain model's answers on the calibration set.
pub struct Reference {
    runs: Vec<Run>,
    /// The model for a batch.
    encoder: Arc<Encoder>,
    /// Its outputs that hide something.
    hidden: Vec<Hidden>,
    least_variances: BTreeMap<u32, f64>,
    /// Of everything that a verdict depends on beside the plan.
    digest: Digest,
}

impl Reference {
    /// Runs the plain model; `batched` is the one for a batch.
    pub fn new(request: &Request<'_>, batched: Arc<Encoder>) -> Result<Reference, Error> {
        let examples = request.calibration.iter().filter_map(|tensor| tensor.shape.first()).min().copied().unwrap_or(0);
        let examples = examples.min(request.simulated_max.max(1));
        let hidden = hidden::hidden(batched.graph());
        let mut runs = Vec::new();
        let mut least_variances = BTreeMap::new();
        let mut first = 0;
        while first < examples {
            let count = request.batch.min(examples - first);
            let inputs: Vec<Tensor> = request.calibration.iter().map(|tensor| leading(tensor, first, count)).collect();
            let graph = match count == request.batch {
                true => Arc::clone(batched.graph()),
                false => Arc::new(Graph::import_with(request.model, &request.axes.for_batch(count))?),
            };
            let mut observed = Observed::new(&graph);
            let mut shown = Shown::of(&hidden::hidden(&graph));
            let plain = reference::run(&graph, &inputs, &mut |id, value| {
                observed.record(&graph, id, value);
                shown.note(id, value);
            })?;
            let shown = shown.tensors();
            for (node, range) in observed.sites() {
                if let SiteRange::Normalisation { variance, .. } = range {
                    let least = least_variances.entry(node_number(node)).or_insert(f64::INFINITY);
                    *least = variance.lower.min(*least);
                }
            }
            runs.push(Run { first, inputs, outputs: plain, shown });
            first += count;
        }
        Ok(Reference { runs, encoder: batched, hidden, least_variances, digest: digest(request) })
    }

    /// The least variance of a row at every layer norm, by node.
    pub fn least_variances(&self) -> &BTreeMap<u32, f64> {
        &self.least_variances
    }

    /// The weights of a circuit of the model for a batch.
    pub fn weights(&self, lowered: &Lowered) -> Result<Weights, Error> {
        Ok(self.encoder.weights(lowered)?)
    }

    /// Names the verdict on `plan`: what it depends on, and nothing else. That is the structure, the formats and the
    /// choices, and not what is predicted of the plan, nor for which machine.
    pub fn key(&self, plan: &Plan) -> Digest {
        let choices: Vec<(u32, &ChoiceRecord)> = plan.site.iter().map(|site| (site.node, &site.choice)).collect();
        let Plan { model, parties, formats, .. } = plan;
        // In which parts messages leave changes no value.
        let formats = FormatsRecord { tile_bytes: None, ..formats.clone() };
        // Debug tells everything that these records have.
        let circuit = format!("{} {} {parties:?} {formats:?} {choices:?}", model.structure, model.batch);
        let both = [self.digest.to_string(), circuit].concat();
        Digest::of(Tag::Simulation, both.as_bytes())
    }

    /// Whether a verdict can be one of this gate's: of these inputs, roundings and labels, with figures that exist.
    pub fn believes(&self, verdict: &Verdict, request: &Request<'_>) -> bool {
        let Verdict { inputs, roundings, error, agreement, steady, cosine, metric } = verdict;
        let names = modes(request).iter().map(|(name, _)| *name);
        let labelled = request.constraint.metric.is_some() && request.labels.is_some();
        // Cosines are computed with rounding.
        let is_cosine = |cosine: &f64| (-1.0 - 1e-9..=1.0 + 1e-9).contains(cosine);
        *inputs == self.runs.iter().map(Run::count).sum::<usize>()
            && roundings.iter().map(String::as_str).eq(names)
            && (0.0..f64::INFINITY).contains(error)
            && [agreement, steady].iter().all(|share| (0.0..=1.0).contains(*share))
            && cosine.as_ref().is_none_or(is_cosine)
            && metric.is_some() == labelled
            && metric.is_none_or(|(plain, private)| !plain.is_nan() && !private.is_nan())
    }

    /// Simulates a plan that was checked under several choices of roundings. Given a constraint, no more than tell
    /// whether it is met: `None` once it cannot be.
    pub fn judge(
        &self,
        checked: &CheckedPlan,
        request: &Request<'_>,
        only: Option<&Constraint>,
    ) -> Result<Option<Verdict>, Error> {
        let weights = self.weights(checked.lowered())?;
        let modes = modes(request);
        let metric = request.constraint.metric.zip(request.labels.as_deref());
        let mut worst: Option<f64> = None;
        let mut verdict = Verdict {
            inputs: self.runs.iter().map(Run::count).sum(),
            roundings: modes.iter().map(|(name, _)| (*name).to_owned()).collect(),
            error: 0.0,
            agreement: 0.0,
            steady: 0.0,
            cosine: Some(1.0),
            metric: None,
        };
        let simulation = Simulation::new(&checked.lowered().circuit, &weights);
        let (mut agreeing, mut steady) = (0usize, 0usize);
        let jobs: Vec<(RoundingMode, &Run)> =
            modes.iter().flat_map(|&(_, mode)| self.runs.iter().map(move |run| (mode, run))).collect();
        let mut all = Vec::new();
        // As many side by side as there are threads; what they show counts in the order of the jobs.
        for jobs in jobs.chunks(rayon::current_num_threads().max(1)) {
            let outputs = jobs.par_iter().map(|(mode, run)| self.shown(&simulation, checked, run, *mode));
            for ((_, run), [outputs, shown]) in jobs.iter().zip(outputs.collect::<Result<Vec<_>, Error>>()?) {
                let errors = difference(&run.outputs, &outputs).max(difference(&run.shown, &shown));
                verdict.error = verdict.error.max(errors);
                agreeing += agreements(&run.outputs, &outputs);
                steady += self.steady(run, &outputs, &shown);
                let cosine = least_cosine(&run.outputs, &outputs);
                verdict.cosine = verdict.cosine.zip(cosine).map(|(a, b)| a.min(b));
                all.push(Run { first: run.first, inputs: Vec::new(), outputs, shown });
                if let Some((metric, labels)) = metric.filter(|_| all.len() == self.runs.len()) {
                    let own = self.metric_of(metric, labels, &all);
                    worst = Some(worst.map_or(own, |worst| metric.worse(worst, own)));
                }
                if all.len() == self.runs.len() {
                    all.clear();
                }
            }
            if only.is_some_and(|constraint| constraint.is_lost(&verdict)) {
                return Ok(None);
            }
        }
        verdict.metric = metric.map(|(metric, labels)| self.metric_of(metric, labels, &self.runs)).zip(worst);
        let share = |count: usize| count as f64 / (verdict.inputs * modes.len()).max(1) as f64;
        (verdict.agreement, verdict.steady) = (share(agreeing), share(steady));
        Ok(Some(verdict))
    }

    /// Inputs of a run whose answer stays where everything moves twice as far; before a last function that hides movements.
    fn steady(&self, run: &Run, outputs: &[Tensor], shown: &[Tensor]) -> usize {
        let hidden = self.hidden.iter().position(|hidden| hidden.output == 0);
        let (plain, private) = match hidden {
            Some(place) => (run.shown.get(place), shown.get(place)),
            None => (run.outputs.first(), outputs.first()),
        };
        plain.zip(private).map_or(0, |(plain, private)| steady_rows(plain, private))
    }

    /// The metric of all runs, by the first output.
    fn metric_of(&self, metric: Metric, labels: &[usize], runs: &[Run]) -> f64 {
        let first = self.hidden.iter().find(|hidden| hidden.output == 0);
        let answers = match first.map(|hidden| hidden.last) {
            Some(Last::Softmax) => Answers::Probabilities,
            _ => Answers::Scores,
        };
        let mut rows: Vec<(&[f64], usize)> = Vec::new();
        for run in runs {
            let Some(output) = run.outputs.first() else { continue };
            let row = output.shape.iter().skip(1).product::<usize>().max(1);
            rows.extend(output.data.chunks(row).zip(labels[run.first..].iter().copied()));
        }
        metric.of(answers, rows.into_iter())
    }

    /// What a simulated run gives for the inputs that it is about: outputs, and what stands for those that hide something.
    fn shown(
        &self,
        simulation: &Simulation<'_>,
        checked: &CheckedPlan,
        run: &Run,
        mode: RoundingMode,
    ) -> Result<[Vec<Tensor>; 2], Error> {
        let encoded = checked.lowered().encode_inputs(&checked.pad_batch(&run.inputs))?;
        let all = hidden::simulated((simulation, checked.lowered()), &encoded, mode, &self.hidden)?;
        Ok(all.map(|tensors| tensors.iter().map(|tensor| leading(tensor, 0, run.count())).collect()))
    }
}

impl Run {
    fn count(&self) -> usize {
        self.outputs.first().and_then(|tensor| tensor.shape.first()).copied().unwrap_or(0)
    }
}

/// Of the model, the calibration inputs and labels, and how they are simulated.
pub(super) fn digest(request: &Request<'_>) -> Digest {
    let mut bytes = request.model.to_vec();
    for tensor in &request.calibration {
        bytes.extend(tensor.shape.iter().flat_map(|extent| (*extent as u64).to_le_bytes()));
        bytes.extend(tensor.data.iter().flat_map(|value| value.to_le_bytes()));
    }
    bytes.extend(request.labels.iter().flatten().flat_map(|label| (*label as u64).to_le_bytes()));
    let metric = request.constraint.metric.map(Metric::name);
    bytes.extend(format!("{} {} {metric:?}", request.simulated_max, request.quick).into_bytes());
    Digest::of(Tag::Simulation, &bytes)
}

/// The least cosine of an example's first output in `a` and in `b`; `None` where one is zero or there is none.
pub fn least_cosine(a: &[Tensor], b: &[Tensor]) -> Option<f64> {
    let (a, b) = (a.first()?, b.first()?);
    let row: usize = a.shape.iter().skip(1).product::<usize>().max(1);
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let cosine = |(a, b)| dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
    let cosines = a.data.chunks(row).zip(b.data.chunks(row)).map(cosine);
    // Of zero and something the quotient is no number, and so has no place in an order.
    let all: Option<Vec<f64>> = cosines.map(|cosine| cosine.is_finite().then_some(cosine)).collect();
    all?.into_iter().reduce(f64::min)
}

/// Rows of the first output whose largest element is at the same place ([`arg_max`]).
pub fn agreements(a: &[Tensor], b: &[Tensor]) -> usize {
    let (Some(a), Some(b)) = (a.first(), b.first()) else { return 0 };
    let row: usize = a.shape.iter().skip(1).product::<usize>().max(1);
    a.data.chunks(row).zip(b.data.chunks(row)).filter(|(a, b)| arg_max(a) == arg_max(b)).count()
}

/// Rows whose largest element is at the same place in `plain` and as far beyond `private` as `private` is from it.
fn steady_rows(plain: &Tensor, private: &Tensor) -> usize {
    let row: usize = plain.shape.iter().skip(1).product::<usize>().max(1);
    let stays = |(plain, private): (&[f64], &[f64])| {
        let beyond: Vec<f64> = plain.iter().zip(private).map(|(plain, private)| 2.0 * private - plain).collect();
        arg_max(plain) == arg_max(&beyond)
    };
    plain.data.chunks(row).zip(private.data.chunks(row)).filter(|&rows| stays(rows)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(data: &[f64]) -> Vec<Tensor> {
        vec![Tensor { shape: vec![data.len() / 2, 2], data: data.to_vec() }]
    }

    #[test]
    fn a_row_of_zeros_has_no_cosine_whatever_stands_beside() {
        let plain = rows(&[1.0, 0.0, 3.0, 4.0]);
        assert_eq!(least_cosine(&plain, &plain), Some(1.0));
        for (a, b) in [([0.0, 0.0, 1.0, 0.0], [1.0, 0.0, 1.0, 0.0]), ([1.0, 0.0, 1.0, 0.0], [1.0, 0.0, -0.0, 0.0])] {
            assert_eq!(least_cosine(&rows(&a), &rows(&b)), None);
        }
        // Whatever sign the platform gives to what is no number.
        for odd in [f64::NAN, -f64::NAN] {
            assert_eq!(least_cosine(&rows(&[1.0, odd, 1.0, 0.0]), &plain), None);
        }
    }

    #[test]
    fn an_answer_is_steady_that_would_stay_if_everything_moved_twice_as_far() {
        let plain = &rows(&[3.0, 0.0, 3.0, 0.0, 0.0, 1.0])[0];
        // The first stays, the second is one that only twice the movement changes, the third has changed.
        let private = rows(&[2.0, 0.0, 1.0, 0.0, 1.0, 0.0]);
        assert_eq!(agreements(std::slice::from_ref(plain), &private), 2);
        assert_eq!(steady_rows(plain, &private[0]), 1);
    }

    #[test]
    fn equal_scores_agree_by_the_rule_of_accuracy() {
        // The first of equal scores counts, on both sides.
        assert_eq!(agreements(&rows(&[1.0, 1.0]), &rows(&[2.0, 1.0])), 1);
        assert_eq!(agreements(&rows(&[1.0, 1.0]), &rows(&[1.0, 2.0])), 0);
    }
}
