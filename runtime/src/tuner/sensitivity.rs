//! How much an error at a site's output moves the model's output: measured on the plain model.
//!
//! Every element of the site's output (of a layer norm: of the normalised row before γ, to which its certified error
//! applies) is moved by ±η with fixed pseudo-random signs, twice; the sensitivity is the largest movement of any output
//! element over η, an output that [hides](super::hidden) something also where it does not. A measurement on the calibration
//! set, not a bound.

use super::hidden::{Shown, hidden};
use super::trace::Trace;
use super::{Error, Request};
use crate::graph::operator::Operator;
use crate::graph::{Graph, Node, NodeId, Tensor, reference};
use rayon::prelude::*;

/// η: small against activations, large against double rounding.
const PERTURBATION: f64 = 1e-4;
/// Examples that are perturbed.
const EXAMPLES: usize = 32;
const PATTERNS: u64 = 2;
/// Numbers of one evaluation that are kept: then only what follows a site is computed again.
const VALUES_MAX: usize = 1 << 27;

/// One sensitivity per site, in the order of [`Graph::sites`].
pub fn measure(request: &Request<'_>, single: &Graph) -> Result<Vec<f64>, Error> {
    let examples = request.calibration.iter().filter_map(|tensor| tensor.shape.first()).min().copied().unwrap_or(1);
    let count = examples.min(EXAMPLES);
    let graph = Graph::import_with(request.model, &request.axes.for_batch(count))?;
    let inputs: Vec<Tensor> = request.calibration.iter().map(|tensor| leading(tensor, 0, count)).collect();
    let plain = Plain::of(graph, inputs, VALUES_MAX)?;
    single.sites().par_iter().map(|site| Ok(plain.moved(site.node)? / PERTURBATION)).collect()
}

/// The plain model's answers, with all values between where there is room for them.
enum Plain {
    Kept(Trace),
    /// The graph, its inputs, and its outputs with what stands for those that hide something.
    Outputs(Graph, Vec<Tensor>, Vec<Tensor>),
}

impl Plain {
    /// Of a graph on these inputs; so many numbers may be kept.
    fn of(graph: Graph, inputs: Vec<Tensor>, most: usize) -> Result<Plain, Error> {
        let values: usize = graph.nodes().iter().map(Node::elements).sum();
        if values <= most {
            return Ok(Plain::Kept(Trace::new(graph, inputs)?));
        }
        let outputs = answers(&graph, &inputs, &mut |_, _| Ok(()))?;
        Ok(Plain::Outputs(graph, inputs, outputs))
    }

    /// The largest movement of an output when the value of a site is moved.
    fn moved(&self, site: NodeId) -> Result<f64, Error> {
        let mut largest = 0.0f64;
        for pattern in 0..PATTERNS {
            let moved = match self {
                Plain::Kept(trace) => {
                    let mut value = trace.value(site).clone();
                    perturb(trace.graph(), site, pattern, &mut value)?;
                    difference(&trace.outputs(), &trace.with(site, value)?)
                }
                Plain::Outputs(graph, inputs, plain) => {
                    let moved = answers(graph, inputs, &mut |id, value| match id == site {
                        true => perturb(graph, site, pattern, value),
                        false => Ok(()),
                    })?;
                    difference(plain, &moved)
                }
            };
            largest = largest.max(moved);
        }
        Ok(largest)
    }
}

/// The outputs of a model whose values are altered on the way, and then what stands for those that hide something: what a
/// [`Trace`] gives, without keeping every value.
fn answers(
    graph: &Graph,
    inputs: &[Tensor],
    alter: &mut dyn FnMut(NodeId, &mut Tensor) -> Result<(), Error>,
) -> Result<Vec<Tensor>, Error> {
    let mut shown = Shown::of(&hidden(graph));
    let mut refused = None;
    let outputs = reference::run_altered(graph, inputs, &mut |id, value| {
        refused = refused.take().or(alter(id, value).err());
        shown.note(id, value);
    })?;
    refused.map_or(Ok(()), Err)?;
    Ok(outputs.into_iter().chain(shown.tensors()).collect())
}

/// Moves every element of a site's value by η.
fn perturb(graph: &Graph, site: NodeId, pattern: u64, value: &mut Tensor) -> Result<(), Error> {
    let gamma = match &graph.node(site).operator {
        Operator::LayerNorm { gamma: Some(gamma), .. } => gamma.tensor()?.data.clone(),
        _ => vec![1.0],
    };
    let mut state = 0x9E37_79B9_7F4A_7C15u64 ^ (pattern + 1);
    for (x, gamma) in value.data.iter_mut().zip(gamma.iter().cycle()) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        *x += gamma * if state & 1 == 0 { PERTURBATION } else { -PERTURBATION };
    }
    Ok(())
}

/// The largest difference of two lists of tensors.
pub fn difference<'a>(a: impl IntoIterator<Item = &'a Tensor>, b: &[Tensor]) -> f64 {
    let pairs = a.into_iter().zip(b).flat_map(|(a, b)| a.data.iter().zip(&b.data));
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// Examples `first..first + count` of a tensor whose first axis counts examples.
pub fn leading(tensor: &Tensor, first: usize, count: usize) -> Tensor {
    let row: usize = tensor.shape.iter().skip(1).product();
    let mut shape = tensor.shape.clone();
    if let Some(extent) = shape.first_mut() {
        *extent = count;
    }
    Tensor { shape, data: tensor.data[first * row..(first + count) * row].to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrays::Arrays;
    use crate::graph::Axes;
    use std::path::Path;

    /// A model too large for its values to be kept has the sensitivities that it would have if they were, also of what
    /// its last softmax hides.
    #[test]
    fn what_is_hidden_counts_whether_or_not_values_are_kept() {
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/models");
        let model = std::fs::read(models.join("digits_cnn.onnx")).unwrap();
        let graph = || Graph::import_with(&model, &Axes::batch(4)).unwrap();
        assert_eq!(hidden(&graph()).len(), 1, "it ends with a softmax");
        let images =
            Arrays::read(&models.join("digits_calibration.npz")).unwrap().reals(graph().inputs()[0].0.as_str());
        let inputs = vec![leading(&images.unwrap(), 0, 4)];
        let kept = Plain::of(graph(), inputs.clone(), usize::MAX).unwrap();
        let outputs = Plain::of(graph(), inputs.clone(), 0).unwrap();
        assert!(matches!((&kept, &outputs), (Plain::Kept(_), Plain::Outputs(..))));
        let plain = reference::run(&graph(), &inputs, &mut |_, _| {}).unwrap();
        let mut hiding = 0;
        for site in graph().sites() {
            let moved = outputs.moved(site.node).unwrap();
            assert_eq!(moved, kept.moved(site.node).unwrap(), "{}", site.name);
            let mut seen = 0.0f64;
            for pattern in 0..PATTERNS {
                let altered = reference::run_altered(&graph(), &inputs, &mut |id, value| {
                    if id == site.node {
                        perturb(&graph(), site.node, pattern, value).unwrap();
                    }
                });
                seen = seen.max(difference(&plain, &altered.unwrap()));
            }
            assert!(moved >= seen);
            hiding += usize::from(moved > 2.0 * seen);
        }
        assert!(hiding > 0, "the softmax hides nothing on these images, so the test shows nothing");
    }
}
