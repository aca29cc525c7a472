//! What is proved of a model with one choice for every site: the circuit, its headroom, the error of each site.

use super::Request;
use crate::circuit::accuracy::{calibrated_errors, certified_errors};
use crate::circuit::lower::{Choice, Formats, Lowered, Ownership, lower};
use crate::circuit::{Error, Party, headroom};
use crate::graph::{Graph, NodeId};
use std::collections::BTreeMap;

/// Everything that a proof is about, except the choices. The model is that of one input: inputs of a batch are
/// independent, so what is proved of one holds of all.
pub struct Prover<'a> {
    /// The model, with its weights, for a batch of one.
    pub single: &'a Graph,
    /// Rings and scales.
    pub formats: Formats,
    /// Who owns what.
    pub ownership: Ownership,
    input_box: (f64, f64),
    least_variances: &'a BTreeMap<u32, f64>,
}

/// A circuit that stays inside every window.
pub struct Proved {
    /// The circuit.
    pub lowered: Lowered,
    /// Certified errors of the sites, by node.
    pub certified: BTreeMap<u32, f64>,
    /// The same for rows of at least the variances that the calibration set shows.
    pub calibrated: BTreeMap<u32, f64>,
}

impl<'a> Prover<'a> {
    /// For a request, its model and the least variances of the calibration set's rows, by node.
    pub fn new(request: &Request<'_>, single: &'a Graph, least_variances: &'a BTreeMap<u32, f64>) -> Prover<'a> {
        let ownership = Ownership { input: Party(request.parties.input), output: Party(request.parties.output) };
        Prover { single, formats: Formats::default(), ownership, input_box: request.input_box, least_variances }
    }

    /// Lowers, proves the headroom and bounds every site's error.
    pub fn prove(&self, choices: &BTreeMap<NodeId, Choice>) -> Result<Proved, Error> {
        let lowered = lower(self.single, choices, self.formats, self.ownership)?;
        let weights = lowered.weights(self.single)?;
        let boxes = vec![self.input_box; lowered.circuit.inputs().len()];
        let headroom = headroom::prove(&lowered, &weights, &boxes)?;
        let certified = certified_errors(&lowered, Some(&headroom))?;
        let calibrated = calibrated_errors(&lowered, &headroom, self.least_variances)?;
        Ok(Proved { lowered, certified, calibrated })
    }
}
