//! What a last function hides: where a model is sure of its answer, a softmax or sigmoid at its end moves by next to
//! nothing, whatever moved before. Calibration inputs are often those that the model was trained on, of which it is
//! surer than of others; so the error of such an output is also taken where no row is sure: the movement of the
//! function's argument times the largest slope that the function has anywhere.
//!
//! The slope of sigmoid is at most 1/4, and that of softmax, from the largest movement of a logit to the largest of a
//! probability, 1/2: |Δp_i| ≤ p_i·|Δx_i − Σ p_j·Δx_j| ≤ 2·p_i(1 − p_i)·max|Δx|.
//!
//! Where elements of a softmax are masked, their weight is zero whatever the argument is: they stand for the plain
//! model's mask, in the plain model as in a simulation.

use crate::circuit::ideal::{RoundingMode, Simulation};
use crate::circuit::lower::Lowered;
use crate::circuit::{self, Error};
use crate::circuit::{Integers, decode};
use crate::graph::operator::{Function, MASKED, Operator};
use crate::graph::{Graph, NodeId, Tensor};
use std::collections::BTreeMap;

/// The argument of an output's last function, and the function's largest slope.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Hidden {
    /// The number of the output.
    pub output: usize,
    /// The node of the graph that has the argument, before anything of it is masked.
    pub node: NodeId,
    /// 1 where the argument is masked, if anything is; broadcasts to its shape.
    masked: Option<Tensor>,
    /// The function.
    pub last: Last,
}

/// A last function that hides movements of its argument.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Last {
    /// Its rows are probabilities.
    Softmax,
    /// Of every element by itself.
    Sigmoid,
}

impl Last {
    /// The largest slope that it has anywhere.
    fn slope(self) -> f64 {
        match self {
            Last::Softmax => 0.5,
            Last::Sigmoid => 0.25,
        }
    }
}

impl Hidden {
    /// What stands for an output where nothing is hidden: the argument times the slope.
    pub fn shown(&self, argument: &Tensor) -> Tensor {
        let masked = self.masked.as_ref().map(|masked| masked.broadcast(&argument.shape));
        let is_masked = |place: usize| masked.as_ref().is_some_and(|flags| flags.data[place] != 0.0);
        let slope = self.last.slope();
        let of = |(place, &value): (usize, &f64)| slope * if is_masked(place) { MASKED } else { value };
        Tensor { shape: argument.shape.clone(), data: argument.data.iter().enumerate().map(of).collect() }
    }
}

/// The outputs of a model that hide something.
pub(super) fn hidden(graph: &Graph) -> Vec<Hidden> {
    let of = |(output, &(_, id)): (usize, &(String, NodeId))| {
        let node = graph.node(id);
        let last = match node.operator {
            Operator::Softmax => Last::Softmax,
            Operator::Activation { function: Function::Sigmoid } => Last::Sigmoid,
            _ => return None,
        };
        let argument = graph.node(*node.inputs.first()?);
        let (node, masked) = match &argument.operator {
            // A mask is public: every reader of the graph has it.
            Operator::Mask { masked } => (*argument.inputs.first()?, Some(masked.tensor().ok()?.clone())),
            _ => (argument.id, None),
        };
        Some(Hidden { output, node, masked, last })
    };
    graph.outputs().iter().enumerate().filter_map(of).collect()
}

/// What stands for the outputs that hide something, noted while a model is evaluated.
pub(super) struct Shown(Vec<(Hidden, Option<Tensor>)>);

impl Shown {
    /// Nothing is noted yet.
    pub fn of(hidden: &[Hidden]) -> Shown {
        Shown(hidden.iter().map(|own| (own.clone(), None)).collect())
    }

    /// Notes the value of a node, if it is the argument of a last function.
    pub fn note(&mut self, id: NodeId, value: &Tensor) {
        let own = self.0.iter_mut().filter(|(own, _)| own.node == id);
        own.for_each(|(own, shown)| *shown = Some(own.shown(value)));
    }

    /// What was noted, in the order of [`hidden`].
    pub fn tensors(self) -> Vec<Tensor> {
        self.0.into_iter().filter_map(|(_, shown)| shown).collect()
    }
}

/// The outputs of a simulation, and then what stands for those that hide something.
pub(super) fn simulated(
    (simulation, lowered): (&Simulation<'_>, &Lowered),
    inputs: &[Integers],
    mode: RoundingMode,
    hidden: &[Hidden],
) -> Result<[Vec<Tensor>; 2], Error> {
    let place = |hidden: &Hidden| {
        let missing = || Error::Circuit("an argument of an output has no value".into());
        lowered.result(hidden.node).ok_or_else(missing)
    };
    let places: Vec<(circuit::NodeId, f64)> = hidden.iter().map(place).collect::<Result<_, _>>()?;
    let mut values: BTreeMap<circuit::NodeId, Tensor> = BTreeMap::new();
    let outcome = simulation.observe(inputs, mode, &mut |id, value| {
        if let Some((_, gain)) = places.iter().find(|(node, _)| *node == id) {
            let data = decode(value, lowered.circuit.node(id).format.scale).into_iter().map(|value| value * gain);
            values.insert(id, Tensor { shape: value.shape().extents().to_vec(), data: data.collect() });
        }
    })?;
    let outputs = lowered.decode_outputs(&outcome.outputs)?;
    let shown = hidden.iter().zip(&places).filter_map(|(hidden, (node, _))| Some(hidden.shown(values.get(node)?)));
    Ok([outputs, shown.collect()])
}
