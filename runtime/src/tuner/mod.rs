//! The tuner: for every site of a model the entries that make the whole run fastest while the constraint holds.
//!
//! 1. *Admissible* choices per site: certified entries of the right function with which the circuit can be lowered
//!    and its headroom proved, for every input of the box. Proved ranges decide, never observed ones.
//! 2. *Predicted* error: Σ sensitivity · certified error, of a layer norm for the variances that the calibration set
//!    shows; a sensitivity is measured by perturbing the plain model.
//! 3. *Choice* by an integer program: least predicted seconds with the predicted error inside a budget.
//! 4. *Gate*: the plan is simulated bit for bit over the calibration set under several choices of roundings, and
//!    accepted only if the *measured* error (with a guard for unseen inputs) and agreement meet the user's constraint;
//!    otherwise the budget shrinks. Between the last budget that failed and the first that passed it looks again.

mod admissible;
mod assignment;
mod gate;
mod maxima;
mod options;
mod prover;
mod sensitivity;

pub use gate::{Verdict, agreements, least_cosine};
pub use sensitivity::{difference, leading};

use crate::circuit::{
    self,
    lower::{Choice, Formats},
};
use crate::graph::{self, Axes, Graph, NodeId, Tensor};
use crate::plan::{
    self, FormatsRecord, InputPromise, Measured, ModelRecord, PartiesRecord, Plan, Predicted, Refusal, SiteRecord,
    structure_digest,
};
use crate::transport::Shaping;
use admissible::Candidate;
use catalogs::Catalog;
use catalogs::protocol::rss3::{EXECUTED_BITS, serves};
use prover::Prover;
use std::collections::BTreeMap;

/// The measured error must stay below this share of what is allowed: a private run sees other inputs than the
/// calibration set.
const GUARD: f64 = 0.5;

/// What is to be tuned.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The model's file.
    pub model: &'a [u8],
    /// Its name, for people.
    pub model_name: String,
    /// The entries to choose from.
    pub catalog: &'a Catalog,
    /// Calibration inputs: one tensor per input of the model, the first axis counts the examples.
    pub calibration: Vec<Tensor>,
    /// The most calibration examples that are simulated.
    pub simulated_max: usize,
    /// Inputs of one run.
    pub batch: usize,
    /// Extents of the model's other dynamic axes, and its public inputs.
    pub axes: Axes,
    /// What the input's owner promises; the headroom is proved for it.
    pub promise: InputPromise,
    /// The network that is tuned for.
    pub network: Shaping,
    /// Its name.
    pub network_name: String,
    /// The largest allowed difference of an output from the plain model.
    pub error_max: f64,
    /// The least allowed share of inputs whose arg-max is the plain model's.
    pub agreement_min: f64,
    /// Ring and scales of the run. A narrow ring sends fewer bits; headroom is proved in it like in any other.
    pub formats: Formats,
    /// Takes the entries with the widest windows everywhere, with one proof and one simulation: a first plan of a
    /// large model.
    pub quick: bool,
    /// Who owns model, input and output.
    pub parties: PartiesRecord,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The model or the calibration data cannot be used.
    #[error(transparent)]
    Graph(#[from] graph::Error),
    /// The circuit cannot be built or simulated.
    #[error(transparent)]
    Circuit(#[from] circuit::Error),
    /// The plan that was found does not check: a defect of the tuner.
    #[error(transparent)]
    Refusal(#[from] Refusal),
    /// No entry serves a site.
    #[error("site {site} ({kind}): {reason}")]
    Site {
        /// The site's name.
        site: String,
        /// What it evaluates.
        kind: &'static str,
        /// Why nothing serves.
        reason: String,
    },
    /// The catalog claims what is not so.
    #[error("the catalog's {entry} is rejected: {reason}; remove it or publish it again")]
    Rejected {
        /// Which entry.
        entry: String,
        /// Why.
        reason: verify::Rejection,
    },
    /// The integer program has no solution.
    #[error("no choice of entries meets a predicted error of {0:e}")]
    Infeasible(f64),
    /// The best plan does not meet the constraint.
    #[error(
        "the constraint cannot be met with this catalog: the best plan has a measured error of {error:.3e} and an agreement of {agreement:.4}; the site that costs most accuracy is {site}"
    )]
    Constraint {
        /// The best measured error.
        error: f64,
        /// Its agreement.
        agreement: f64,
        /// The site with the largest predicted share of the error.
        site: String,
    },
    /// Something about the request.
    #[error("{0}")]
    Request(String),
}

/// A step of the tuner, for a progress display.
#[derive(Clone, Debug)]
pub enum Progress {
    /// Looking for admissible choices of a site.
    Site {
        /// Its name.
        name: String,
        /// How many were found.
        admissible: usize,
    },
    /// A plan is simulated.
    Simulation {
        /// Counted from 1.
        candidate: usize,
    },
}

/// A plan with what a private run of it should show.
#[derive(Clone, Debug)]
pub struct Tuned {
    /// The plan.
    pub plan: Plan,
    /// The public structure that the plan is about, at its batch.
    pub structure: Graph,
}

/// Chooses for every site.
pub fn tune(request: &Request<'_>, progress: &mut dyn FnMut(Progress)) -> Result<Tuned, Error> {
    let single = Graph::import_with(request.model, &request.axes.for_batch(1))?;
    check_request(request, &single)?;
    let reference = gate::Reference::new(request)?;
    let prover = Prover::new(request, &single, reference.least_variances());
    let candidates = admissible::find(request, &prover, progress)?;
    let sites = single.sites();
    let sensitivities = match request.quick {
        true => vec![0.0; sites.len()],
        false => sensitivity::measure(request, &single)?,
    };
    let search = Search { request, prover: &prover, reference: &reference, candidates, sensitivities };
    search.run(&sites, progress)
}

/// The search for the largest budget of predicted error whose plan passes the gate.
struct Search<'a> {
    request: &'a Request<'a>,
    prover: &'a Prover<'a>,
    reference: &'a gate::Reference,
    candidates: Vec<Vec<Candidate>>,
    sensitivities: Vec<f64>,
}

/// A choice for every site, its plan, and what the simulation showed.
struct Attempt {
    chosen: Vec<usize>,
    plan: Plan,
    structure: Graph,
    verdict: Verdict,
    passes: bool,
}

impl Search<'_> {
    /// A sum of worst cases with measured sensitivities overstates what is seen: starts generously, halves the budget
    /// until a plan passes, then looks between the predicted errors of that plan and of the last one that failed.
    fn run(&self, sites: &[graph::Site], progress: &mut dyn FnMut(Progress)) -> Result<Tuned, Error> {
        const REFINEMENTS: usize = 4;
        let mut tried = 0;
        let mut failed: Option<Attempt> = None;
        let mut passed: Option<Attempt> = None;
        let budgets = [16.0, 8.0, 4.0, 2.0, 1.0, 0.5, 0.25, 0.125, f64::INFINITY];
        for budget in budgets.map(|factor| factor * self.request.error_max) {
            let Some(chosen) = self.choose(budget) else { continue };
            if failed.as_ref().is_some_and(|attempt| attempt.chosen == chosen) {
                continue;
            }
            let attempt = self.attempt(chosen, &mut tried, progress)?;
            match attempt.passes {
                true => {
                    passed = Some(attempt);
                    break;
                }
                false => failed = Some(attempt),
            }
        }
        let Some(mut best) = passed else { return Err(self.constraint_error(sites, failed)) };
        if let Some(mut worst) = failed {
            let (mut low, mut high) = (self.predicted(&best.chosen), self.predicted(&worst.chosen));
            for _ in 0..REFINEMENTS {
                let budget = (low * high).sqrt();
                let Some(chosen) = self.choose(budget) else { break };
                // What is chosen may use less than its budget, and may be known already.
                if chosen == best.chosen {
                    low = budget;
                } else if chosen == worst.chosen {
                    high = budget;
                } else {
                    let attempt = self.attempt(chosen, &mut tried, progress)?;
                    match attempt.passes {
                        true => (low, best) = (budget, attempt),
                        false => (high, worst) = (self.predicted(&attempt.chosen), attempt),
                    }
                }
            }
        }
        let Attempt { plan, structure, verdict, .. } = best;
        let measured = Measured {
            inputs: verdict.inputs,
            roundings: verdict.roundings,
            error: verdict.error,
            agreement: verdict.agreement,
            candidates_tried: tried,
        };
        Ok(Tuned { plan: Plan { measured, ..plan }, structure })
    }

    /// The fastest choice within a budget of predicted error; an infinite one asks for the most accurate.
    fn choose(&self, budget: f64) -> Option<Vec<usize>> {
        match budget.is_infinite() {
            true => Some(assignment::most_accurate(&self.candidates)),
            false => assignment::solve(&self.candidates, &self.sensitivities, self.request, budget),
        }
    }

    /// Σ sensitivity · error.
    fn predicted(&self, chosen: &[usize]) -> f64 {
        let sites = self.candidates.iter().zip(chosen).zip(&self.sensitivities);
        sites.map(|((candidates, &chosen), sensitivity)| candidates[chosen].error * sensitivity).sum()
    }

    /// Drafts a plan and simulates it.
    fn attempt(
        &self,
        chosen: Vec<usize>,
        tried: &mut usize,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Attempt, Error> {
        *tried += 1;
        progress(Progress::Simulation { candidate: *tried });
        let (plan, structure) = draft(self.request, self.prover, &self.candidates, &chosen, &self.sensitivities)?;
        let verdict = self.reference.judge(&plan, &structure, self.request)?;
        let passes = verdict.error <= GUARD * self.request.error_max && verdict.agreement >= self.request.agreement_min;
        Ok(Attempt { chosen, plan, structure, verdict, passes })
    }

    /// Nothing passed: the last attempt's figures, and the site with the largest predicted share of its error.
    fn constraint_error(&self, sites: &[graph::Site], failed: Option<Attempt>) -> Error {
        let Some(Attempt { chosen, verdict, .. }) = failed else {
            return Error::Infeasible(self.request.error_max);
        };
        let share = |index: usize| self.sensitivities[index] * self.candidates[index][chosen[index]].error;
        let worst = (0..sites.len()).max_by(|&a, &b| share(a).total_cmp(&share(b)));
        let site = worst.map_or_else(String::new, |index| sites[index].name.clone());
        Error::Constraint { error: verdict.error, agreement: verdict.agreement, site }
    }
}

fn check_request(request: &Request<'_>, graph: &Graph) -> Result<(), Error> {
    let fail = |reason: String| Err(Error::Request(reason));
    if request.batch == 0 || request.batch > 1 << 16 {
        return fail(format!("a batch of {} is not between 1 and 65536", request.batch));
    }
    if request.calibration.is_empty() || request.calibration.iter().any(|tensor| tensor.shape.first() == Some(&0)) {
        return fail("the calibration set is empty".into());
    }
    let Formats { ring, activations, weights } = request.formats;
    if !serves(ring) || u16::from(activations.bits()) + u16::from(weights.bits()) + 3 > u16::from(ring.bits()) {
        return fail(format!(
            "a ring of {ring} bits cannot hold sums with {activations} + {weights} fraction bits; take 3 to \
             {EXECUTED_BITS} bits, at least three more than the fraction bits of activations and weights together"
        ));
    }
    request.promise.sensible(graph.inputs().iter().map(|(name, _)| name.as_str())).map_err(Error::Request)?;
    for ((name, _), tensor) in graph.inputs().iter().zip(&request.calibration) {
        request
            .promise
            .kept(name, tensor)
            .map_err(|reason| Error::Request(format!("the calibration set: {reason}")))?;
    }
    let valid = request.error_max > 0.0 && (0.0..=1.0).contains(&request.agreement_min);
    if valid { Ok(()) } else { fail("the constraint needs a positive error and an agreement between 0 and 1".into()) }
}

/// The plan of one assignment, with everything but the measurement.
fn draft(
    request: &Request<'_>,
    prover: &Prover<'_>,
    candidates: &[Vec<Candidate>],
    chosen: &[usize],
    sensitivities: &[f64],
) -> Result<(Plan, Graph), Error> {
    let structure = Graph::import_with(request.model, &request.axes.for_batch(request.batch))?.without_weights();
    let sites = structure.sites();
    let choice = |index: usize| candidates[index][chosen[index]].choice.clone();
    let choices: BTreeMap<NodeId, Choice> =
        sites.iter().enumerate().map(|(index, site)| (site.node, choice(index))).collect();
    // The errors of layer norms depend on the ranges that the other choices leave.
    let proved = prover.prove(&choices)?;
    let error_of = |errors: &BTreeMap<u32, f64>, number: u32| errors.get(&number).copied().unwrap_or(f64::INFINITY);
    let formats = prover.formats;
    let lowered = circuit::lower::lower(&structure, &choices, formats, prover.ownership)?;
    let schedule = circuit::schedule(&lowered.circuit, &catalogs::protocol::rss3::Rss3)?;
    let bytes = schedule.bytes(crate::transport::HEADER_BYTES as u64);
    let mut records = Vec::new();
    let mut error = 0.0;
    for (index, site) in sites.iter().enumerate() {
        let candidate = &candidates[index][chosen[index]];
        let number = plan::node_number(site.node);
        let calibrated_error = error_of(&proved.calibrated, number);
        error += calibrated_error * sensitivities[index];
        let (rounds, bytes) = plan::site_cost(&lowered, &schedule, number);
        records.push(SiteRecord {
            node: number,
            name: site.name.clone(),
            kind: site.kind.name().into(),
            elements: site.elements as u64,
            certified_error: error_of(&proved.certified, number),
            calibrated_error,
            least_variance: proved.least_variances.get(&number).copied().unwrap_or(0.0),
            sensitivity: sensitivities[index],
            rounds,
            bytes,
            admissible: candidates[index].len(),
            choice: candidate.record.clone(),
        });
    }
    let seconds = assignment::seconds(f64::from(schedule.rounds), bytes as f64, request.network);
    let plan = Plan {
        version: 1,
        protocol: "rss3".into(),
        model: ModelRecord {
            name: request.model_name.clone(),
            structure: structure_digest(&structure).to_string(),
            batch: request.batch,
            input_box: request.promise.range,
            row_norm: request.promise.row_norm,
            input_boxes: request.promise.named.clone(),
            axes: request.axes.named().clone(),
            public_inputs: request.axes.public().clone(),
            clamps: plan::priced(request.axes.clamps(), &lowered, &schedule),
        },
        parties: request.parties.clone(),
        formats: FormatsRecord {
            ring: formats.ring.bits(),
            activations: formats.activations.bits(),
            weights: formats.weights.bits(),
        },
        predicted: Predicted {
            rounds_per_run: u64::from(schedule.rounds),
            bytes_per_run: bytes,
            weight_bytes: schedule.weight_bytes,
            network: request.network_name.clone(),
            seconds_per_run: seconds,
            error,
        },
        measured: Measured { inputs: 0, roundings: Vec::new(), error: 0.0, agreement: 0.0, candidates_tried: 0 },
        site: records,
    };
    Ok((plan, structure))
}
