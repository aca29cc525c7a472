//! What is proved of a model with one choice for every site: the circuit, its headroom, the error of each site.

use super::Request;
use super::groundwork::Ground;
use crate::circuit::accuracy::{certified_errors, least_variances};
use crate::circuit::headroom::Headroom;
use crate::circuit::lower::{Choice, Formats, Lowered, Ownership, lower};
use crate::circuit::{Error, Party, headroom};
use crate::graph::{Graph, NodeId};
use crate::plan::InputPromise;
use crate::session::work::Counter;
use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};

/// Everything that a proof is about, except the choices. The model is that of one input: inputs of a batch are
/// independent, so what is proved of one holds of all.
pub struct Prover<'a> {
    /// The model, with its weights, for a batch of one.
    pub single: &'a Graph,
    /// Rings and scales.
    pub formats: Formats,
    /// Who owns what.
    pub ownership: Ownership,
    promise: &'a InputPromise,
    /// What is known of the model.
    pub ground: &'a Ground,
    least_variances: &'a BTreeMap<u32, f64>,
}

/// A circuit that stays inside every window.
pub struct Proved {
    /// The circuit.
    pub lowered: Lowered,
    /// What was proved of its nodes.
    pub headroom: Headroom,
    /// Certified errors of the sites, by node.
    pub certified: BTreeMap<u32, f64>,
    /// Least variances that the certified errors of layer norms assume, by node; none where they hold for all rows.
    pub least_variances: BTreeMap<u32, f64>,
    /// Errors for rows of at least the variances that the calibration set shows.
    pub calibrated: BTreeMap<u32, f64>,
}

impl<'a> Prover<'a> {
    /// For a request and what is known of its model.
    pub fn new(request: &'a Request<'a>, ground: &'a Ground) -> Prover<'a> {
        let ownership = Ownership { input: Party(request.parties.input), output: Party(request.parties.output) };
        let (formats, promise, single) = (request.formats, &request.promise, &**ground.single.graph());
        Prover { single, formats, ownership, promise, ground, least_variances: ground.reference.least_variances() }
    }

    /// What counts work.
    pub fn counter(&self) -> MutexGuard<'_, Counter> {
        self.ground.counter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lowers, proves the headroom and bounds every site's error.
    pub fn prove(&self, choices: &BTreeMap<NodeId, Choice>) -> Result<Proved, Error> {
        self.prove_lowered(lower(self.single, choices, self.formats, self.ownership)?)
    }

    /// The same of a circuit that was lowered.
    pub fn prove_lowered(&self, lowered: Lowered) -> Result<Proved, Error> {
        let weights = self.ground.single.weights(&lowered)?;
        let inputs: Vec<_> = lowered.input_names().map(|name| self.promise.of(name)).collect();
        let headroom = headroom::prove_with(&lowered, &weights, &inputs, &self.ground.norms)?;
        let assumed = least_variances(&lowered, &headroom, self.least_variances)?;
        let certified = certified_errors(&lowered, Some(&headroom), &assumed)?;
        let calibrated = certified_errors(&lowered, Some(&headroom), self.least_variances)?;
        Ok(Proved { lowered, headroom, certified, least_variances: assumed, calibrated })
    }
}
