//! What does not depend on the entries to choose from: the model at its batches, its weights encoded, its plain answers and
//! sensitivities. Explorations of one model with other catalogs share it.

use super::gate::{self, Reference};
use super::trace::Trace;
use super::{Error, Request, leading, sensitivity};
use crate::circuit::headroom::Norms;
use crate::circuit::limits::Limit;
use crate::circuit::lower::{Encoder, Formats};
use crate::graph::{Axes, Graph, Tensor};
use crate::plan::{Plan, weights_digest};
use crate::session::work::Counter;
use catalogs::Digest;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// What was found of models so far.
#[derive(Default)]
pub struct Groundwork(Mutex<Vec<(Subject, Arc<Ground>)>>);

/// What a [`Ground`] follows from.
#[derive(PartialEq)]
struct Subject {
    /// Of model, calibration inputs and labels, and how they are simulated.
    digest: Digest,
    axes: Axes,
    batch: usize,
    formats: Formats,
}

/// What is known of a model.
pub(super) struct Ground {
    /// The model for one input.
    pub single: Arc<Encoder>,
    /// The public structure for a batch.
    pub structure: Graph,
    /// The digest of its weights.
    pub weights: Digest,
    /// Its answers.
    pub reference: Reference,
    /// What was found of its weights.
    pub norms: Norms,
    /// What was compiled to count work.
    pub counter: Mutex<Counter>,
    sensitivities: OnceLock<Vec<f64>>,
    traces: Mutex<Vec<(usize, Arc<Trace>)>>,
}

impl Groundwork {
    /// Of a request's model: what is known already, or what is found now.
    pub(super) fn of(&self, request: &Request<'_>) -> Result<Arc<Ground>, Error> {
        let subject = Subject {
            digest: gate::digest(request),
            axes: request.axes.clone(),
            batch: request.batch,
            formats: request.formats,
        };
        if let Some((_, ground)) = locked(&self.0).iter().find(|(known, _)| *known == subject) {
            super::check_request(request, ground.single.graph())?;
            return Ok(Arc::clone(ground));
        }
        let ground = Arc::new(Ground::new(request)?);
        locked(&self.0).push((subject, Arc::clone(&ground)));
        Ok(ground)
    }
}

impl Groundwork {
    /// How far everything in a plan of the request's model stays from its limits.
    ///
    /// # Errors
    /// The plan does not check, or its headroom cannot be proved.
    pub fn limits(&self, request: &Request<'_>, plan: &Plan) -> Result<Vec<Limit>, Error> {
        let ground = self.of(request)?;
        let checked = plan.clone().check(&ground.structure, request.catalog)?;
        let weights = ground.reference.weights(checked.lowered())?;
        Ok(checked.limits_of(&weights, &ground.norms)?)
    }
}

impl Ground {
    fn new(request: &Request<'_>) -> Result<Ground, Error> {
        let model = |batch: usize| {
            let graph = Graph::import_with(request.model, &request.axes.for_batch(batch))?;
            Ok::<_, Error>(Arc::new(Encoder::new(Arc::new(graph))))
        };
        let single = model(1)?;
        super::check_request(request, single.graph())?;
        let batched = if request.batch == 1 { Arc::clone(&single) } else { model(request.batch)? };
        let (structure, weights) = (batched.graph().without_weights(), weights_digest(batched.graph())?);
        let reference = Reference::new(request, batched)?;
        let (norms, counter, sensitivities, traces) = Default::default();
        Ok(Ground { single, structure, weights, reference, norms, counter, sensitivities, traces })
    }

    /// One sensitivity per site.
    pub fn sensitivities(&self, request: &Request<'_>) -> Result<&[f64], Error> {
        if let Some(known) = self.sensitivities.get() {
            return Ok(known);
        }
        let found = sensitivity::measure(request, self.single.graph())?;
        Ok(self.sensitivities.get_or_init(|| found))
    }

    /// The plain values on the first calibration inputs.
    pub fn trace(&self, request: &Request<'_>, examples: usize) -> Result<Arc<Trace>, Error> {
        if let Some((_, trace)) = locked(&self.traces).iter().find(|(known, _)| *known == examples) {
            return Ok(Arc::clone(trace));
        }
        let graph = match examples {
            1 => Graph::clone(self.single.graph()),
            _ => Graph::import_with(request.model, &request.axes.for_batch(examples))?,
        };
        let inputs: Vec<Tensor> = request.calibration.iter().map(|tensor| leading(tensor, 0, examples)).collect();
        let trace = Arc::new(Trace::new(graph, inputs)?);
        locked(&self.traces).push((examples, Arc::clone(&trace)));
        Ok(trace)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
