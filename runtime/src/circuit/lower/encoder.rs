//! Weights of a model, encoded once for all circuits that its choices are lowered to.

use super::{Lowered, Source, encoded};
use crate::circuit::Error;
use crate::circuit::builder::Weights;
use crate::circuit::node::WeightSlot;
use crate::circuit::shape::Shape;
use crate::circuit::tensor::Integers;
use crate::graph::Graph;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Integers that are kept: two gibibytes.
const KEPT_MAX: usize = 1 << 28;

/// What the integers of a weight follow from: node and constant of the graph, the bits of the gain, ring and scale, shape.
type Origin = (usize, usize, u64, u8, u8, Vec<usize>);

/// A model with what was encoded of its weights.
#[derive(Debug)]
pub struct Encoder {
    graph: Arc<Graph>,
    known: Mutex<BTreeMap<Origin, Arc<Integers>>>,
}

impl Encoder {
    /// Of a model with its weights.
    pub fn new(graph: Arc<Graph>) -> Encoder {
        Encoder { graph, known: Mutex::default() }
    }

    /// The model.
    pub fn graph(&self) -> &Arc<Graph> {
        &self.graph
    }

    /// The weights of a circuit that this model, with its weights or without, was lowered to: those of
    /// [`Lowered::weights`].
    ///
    /// # Errors
    /// As [`Lowered::weights`].
    pub fn weights(&self, lowered: &Lowered) -> Result<Weights, Error> {
        let slots = lowered.circuit.weights().iter().zip(&lowered.sources);
        let all = slots.map(|(slot, source)| self.weight(slot, source));
        Weights::encoded(&lowered.circuit, all.collect::<Result<_, _>>()?)
    }

    fn weight(&self, slot: &WeightSlot, source: &Source) -> Result<Arc<Integers>, Error> {
        let extents = Shape::extents(&slot.shape).to_vec();
        let (ring, scale) = (slot.format.ring.bits(), slot.format.scale.bits());
        let origin = (source.node.index(), source.constant, source.gain.to_bits(), ring, scale, extents);
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known().get(&origin) {
            return Ok(Arc::clone(known));
        }
        // Two may encode the same; one of them stays, so that equal weights are one tensor.
        let own = Arc::new(encoded(&self.graph, slot, source)?);
        let mut known = known();
        if known.values().map(|known| known.values().len()).sum::<usize>() > KEPT_MAX {
            return Ok(own);
        }
        Ok(Arc::clone(known.entry(origin).or_insert(own)))
    }
}
