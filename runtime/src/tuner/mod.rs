//! The tuner: for every site of a model the entries that make the whole run fastest while the constraint holds.
//!
//! 1. *Admissible* choices per site: certified entries of the right function with which the circuit can be lowered
//!    and its headroom proved, for every input of the box. Proved ranges decide, never observed ones.
//! 2. *Predicted* error: Σ effect over the sites. An [effect](Effects) is how far the output moves when a site alone is
//!    computed as the candidate would, bit for bit, on calibration inputs. *Predicted* seconds: the work of the circuit
//!    on a profiled machine ([`crate::cost`]).
//! 3. *Choice* by an integer program ([`assignment`]): least predicted seconds with the predicted error inside a limit,
//!    or the other way round. The limits between the fastest and the most accurate choice give a [`front`](Front).
//! 4. *Gate*: a plan is simulated bit for bit over the calibration set under several choices of roundings, and
//!    accepted only if what is *measured* meets the user's [`Constraint`]. [`tune`] finds the fastest choice of the
//!    front that passes, looks again between it and the one before, and climbs from there, site by site.
//! 5. *Rings*: at last, sums and entries work with as few bits as makes the run fastest ([`crate::circuit::rings`]); before,
//!    where only that keeps a plan within its [`Budget`].
//! 6. *Tiles*: of every plan that is drafted, the parts of rounds with which its runs are predicted to be fastest
//!    ([`crate::circuit::itinerary`]). How many runs are side by side is decided before, with the most accurate choice.
//!
//! Every choice is proved as a whole before it is simulated. One that cannot be, or that needs too much memory, is
//! [excluded](Exclusion), and the integer program is solved without it.
//!
//! What a whole run has in common, its inputs, its ring and its scales, can be chosen before: [`batches`], [`tune_over`].

mod accuracy;
mod admissible;
pub mod assignment;
mod climb;
mod constraint;
mod effects;
mod exclusion;
mod following;
mod footprint;
mod gate;
mod groundwork;
mod hidden;
mod maxima;
mod memory;
mod options;
mod problem;
mod prover;
mod rings;
mod search;
mod sensitivity;
mod trace;
mod whole;

pub use admissible::{Candidate, Wish};
pub use constraint::{Answers, Budget, Constraint, Metric, arg_max};
pub use effects::{Effects, Outlook};
pub use exclusion::{Cause, Exclusion};
pub use gate::{Verdict, agreements, least_cosine};
pub use groundwork::Groundwork;
pub use memory::Memory;
pub use problem::{Attempt, Problem};
pub use search::{Front, Gap, Point, Tuned, search, tune};
pub use sensitivity::{difference, leading};
pub use whole::{Batch, Weights, batches, formats, preferred, tune_over};

use crate::circuit::{self, lower::Formats};
use crate::cost::Machine;
use crate::graph::{self, Axes, Graph, Tensor};
use crate::plan::{InputPromise, PartiesRecord, Plan, Refusal};
use crate::transport::{Shaping, SideBySide};
use catalogs::Catalog;
use catalogs::protocol::rss3::{EXECUTED_BITS, serves};
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

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
    /// What the calibration inputs are, for a metric.
    pub labels: Option<Vec<usize>>,
    /// The most calibration examples that are simulated.
    pub simulated_max: usize,
    /// Inputs of one run.
    pub batch: usize,
    /// The most runs of a session that are executed side by side; a plan takes as many as are predicted to be fastest.
    pub side_by_side: SideBySide,
    /// Extents of the model's other dynamic axes, and its public inputs.
    pub axes: Axes,
    /// What the input's owner promises; the headroom is proved for it.
    pub promise: InputPromise,
    /// The network that is tuned for.
    pub network: Shaping,
    /// Its name.
    pub network_name: String,
    /// The machine on which the parties run.
    pub machine: Machine,
    /// What is asked of the outputs.
    pub constraint: Constraint,
    /// What a run may cost.
    pub budget: Budget,
    /// A plan of the same model to start from.
    pub start: Option<Plan>,
    /// What earlier simulations showed.
    pub memory: Memory,
    /// Ring and scales of the run. A narrow ring sends fewer bits; headroom is proved in it like in any other.
    pub formats: Formats,
    /// Simulations that are spent on climbing from the plan that was found.
    pub climb: usize,
    /// Simulates every choice of the front, also those that are not needed.
    pub whole_front: bool,
    /// Takes the entries with the widest windows everywhere, with one proof and one simulation: a first plan of a
    /// large model.
    pub quick: bool,
    /// Leaves every value in the ring of `formats`; otherwise narrower ones are looked for at the end, though not for a
    /// `quick` plan.
    pub one_ring: bool,
    /// Pools and other maxima that are sites leave out no bits, so that they are exact.
    pub exact_maxima: bool,
    /// In which parts the messages of a round leave.
    pub tiles: Tiles,
    /// Who owns model, input and output.
    pub parties: PartiesRecord,
}

impl Request<'_> {
    /// Whether seconds or bytes are limited and nothing is asked of the outputs, so that the most accurate plan is meant.
    pub fn asks_for_accuracy(&self) -> bool {
        self.budget.limits_cost() && !self.constraint.asks()
    }
}

/// In which parts the messages of a round may leave ([`crate::circuit::itinerary`]).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Tiles {
    /// Those with which a run is predicted to be fastest.
    #[default]
    Fastest,
    /// Each round's together.
    Whole,
    /// About so many bytes of a party.
    Bytes(NonZeroU32),
}

impl Tiles {
    /// The sizes that are compared; of equally fast ones the first counts.
    fn sizes(self) -> Vec<Option<NonZeroU32>> {
        match self {
            Tiles::Fastest => [None].into_iter().chain((12..=20).map(|bits| NonZeroU32::new(1 << bits))).collect(),
            Tiles::Whole => vec![None],
            Tiles::Bytes(bytes) => vec![Some(bytes)],
        }
    }
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
    /// Work cannot be counted.
    #[error(transparent)]
    Counting(#[from] Box<crate::session::Error>),
    /// No plan meets the constraint.
    #[error("the demands were not met: the nearest plan ({simulated} simulated) shows {unmet}; {limiting}")]
    Constraint {
        /// What the plan that is nearest does not meet.
        unmet: String,
        /// Plans that were simulated.
        simulated: usize,
        /// What stands in the way.
        limiting: Limiting,
    },
    /// No choice is as cheap as asked.
    #[error("no plan stays within {limits}; the {cheapest}, of which most at {site}")]
    Budget {
        /// What was asked.
        limits: String,
        /// The least that was found, and of what.
        cheapest: String,
        /// The site that costs most in the cheapest choice.
        site: String,
    },
    /// Every candidate is admissible beside the widest entries, but no choice of them can be proved.
    #[error(
        "no choice of the admissible entries can be proved for the whole model ({excluded} were excluded), the last one \
         because of {error}"
    )]
    Together {
        /// Combinations that were found not to be provable.
        excluded: usize,
        /// Where the last one fails, with the site.
        error: Arc<circuit::Error>,
    },
    /// What was simulated cannot be kept.
    #[error("the folder of earlier simulations: {0}")]
    Memory(#[from] std::io::Error),
    /// Something about the request.
    #[error("{0}")]
    Request(String),
}

/// What stands in the way of a demand on accuracy.
#[derive(Clone, PartialEq, Debug)]
pub enum Limiting {
    /// The entries of the catalog: the site with the largest predicted share of the error.
    Site(String),
    /// What sums of these formats round, more than any site.
    Roundings(Formats),
    /// A budget, beyond which more accurate choices are.
    Budget(String),
    /// One plan was tried.
    Quick,
}

impl fmt::Display for Limiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Limiting::Site(site) => write!(f, "with this catalog the site that costs most accuracy is {site}"),
            Limiting::Roundings(Formats { activations, weights, .. }) => write!(
                f,
                "no site costs as much accuracy as the roundings of sums with {activations} fraction bits, and {weights} of \
                 weights: take more (--fraction-bits, --weight-bits)"
            ),
            Limiting::Budget(limits) => {
                write!(f, "more accurate choices exceed the budget of {limits}: allow more, or ask for less accuracy")
            }
            Limiting::Quick => {
                f.write_str("--quick tries no other plan: leave it out, and more accurate ones are looked for")
            }
        }
    }
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
        /// Predicted seconds of a run.
        seconds: f64,
        /// Predicted error, where errors are predicted.
        error: Option<f64>,
    },
    /// A ring and scales were tried for the whole run.
    Formats {
        /// Which.
        formats: Formats,
        /// Predicted seconds of the plan and the error that its simulation showed, or why there is none.
        outcome: Result<(f64, f64), String>,
    },
}

fn check_request(request: &Request<'_>, graph: &Graph) -> Result<(), Error> {
    let fail = |reason: String| Err(Error::Request(reason));
    if request.batch == 0 || request.batch > 1 << 16 {
        return fail(format!("a batch of {} is not between 1 and 65536", request.batch));
    }
    if request.simulated_max == 0 {
        return fail(
            "no calibration input is to be simulated; a plan is accepted by what simulations show: take 1 or more"
                .into(),
        );
    }
    if request.calibration.is_empty() || request.calibration.iter().any(|tensor| tensor.shape.first() == Some(&0)) {
        return fail("the calibration set is empty".into());
    }
    check_formats(request.formats).map_err(Error::Request)?;
    request.promise.sensible(graph.inputs().iter().map(|(name, _)| name.as_str())).map_err(Error::Request)?;
    for ((name, _), tensor) in graph.inputs().iter().zip(&request.calibration) {
        request
            .promise
            .kept(name, tensor)
            .map_err(|reason| Error::Request(format!("the calibration set: {reason}")))?;
    }
    let examples = request.calibration.iter().filter_map(|tensor| tensor.shape.first()).min().copied().unwrap_or(0);
    if let Some(labels) = &request.labels
        && labels.len() != examples
    {
        return fail(format!("there are {} labels for {examples} calibration inputs", labels.len()));
    }
    let scores =
        graph.outputs().first().map_or(0, |(_, id)| graph.node(*id).shape.iter().skip(1).product::<usize>().max(1));
    if let Some(label) = request.labels.iter().flatten().find(|label| **label >= scores) {
        return fail(format!("label {label} is none: the model's first output has {scores} scores, for labels from 0"));
    }
    // The graph is the one for one input.
    let is_by_input = |(_, id): &&(String, graph::NodeId)| graph.node(*id).shape.first() == Some(&1);
    if let Some((name, id)) = graph.outputs().iter().find(|output| !is_by_input(output)) {
        return fail(format!(
            "for one input the model's output {name} has shape {:?}: its first axis has to count the inputs; a constant, \
             such as a mask, may have the rows of another number of inputs",
            graph.node(*id).shape
        ));
    }
    if request.whole_front && request.asks_for_accuracy() {
        return fail(
            "a budget alone is met by one search, without a front: --whole-front needs a demand on accuracy".into(),
        );
    }
    let ends_with_sigmoid =
        hidden::hidden(graph).iter().any(|own| own.output == 0 && own.last == hidden::Last::Sigmoid);
    if ends_with_sigmoid && matches!(request.constraint.metric, Some(Metric::CrossEntropy { .. })) {
        return fail(
            "a cross-entropy is one of scores, or of the probabilities of a softmax, and the model's first output is a \
             sigmoid's: ask for --max-accuracy-loss, or export the model without it"
                .into(),
        );
    }
    request.constraint.sensible(request.labels.is_some()).map_err(Error::Request)
}

/// That sums of products fit the ring at all; a phrase about what does not.
fn check_formats(formats: Formats) -> Result<(), String> {
    let Formats { ring, activations, weights } = formats;
    if serves(ring) && u16::from(activations.bits()) + u16::from(weights.bits()) + 3 <= u16::from(ring.bits()) {
        return Ok(());
    }
    Err(format!(
        "a ring of {ring} bits cannot hold sums with {activations} + {weights} fraction bits; take 3 to \
         {EXECUTED_BITS} bits, at least three more than the fraction bits of activations and weights together"
    ))
}
