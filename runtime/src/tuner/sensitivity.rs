//! How much an error at a site's output moves the model's output: measured on the plain model.
//!
//! Every element of the site's output (of a layer norm: of the normalised row before γ, to which its certified error
//! applies) is moved by ±η with fixed pseudo-random signs, twice; the sensitivity is the largest movement of any output
//! element over η. A measurement on the calibration set, not a bound.

use super::{Error, Request};
use crate::graph::operator::Operator;
use crate::graph::{Graph, Tensor, reference};

/// η: small against activations, large against double rounding.
const PERTURBATION: f64 = 1e-4;
/// Examples that are perturbed.
const EXAMPLES: usize = 32;
const PATTERNS: u64 = 2;

/// One sensitivity per site, in the order of [`Graph::sites`].
pub fn measure(request: &Request<'_>, single: &Graph) -> Result<Vec<f64>, Error> {
    let examples = request.calibration.iter().filter_map(|tensor| tensor.shape.first()).min().copied().unwrap_or(1);
    let count = examples.min(EXAMPLES);
    let graph = Graph::import_with(request.model, &request.axes.for_batch(count))?;
    let inputs: Vec<Tensor> = request.calibration.iter().map(|tensor| leading(tensor, 0, count)).collect();
    let plain = reference::run(&graph, &inputs, &mut |_, _| {})?;
    let mut sensitivities = Vec::new();
    for site in single.sites() {
        let gamma = match &graph.node(site.node).operator {
            Operator::LayerNorm { gamma: Some(gamma), .. } => gamma.tensor()?.data.clone(),
            _ => vec![1.0],
        };
        let mut largest = 0.0f64;
        for pattern in 0..PATTERNS {
            let moved = reference::run_altered(&graph, &inputs, &mut |id, value| {
                if id == site.node {
                    let mut state = 0x9E37_79B9_7F4A_7C15u64 ^ (pattern + 1);
                    for (x, gamma) in value.data.iter_mut().zip(gamma.iter().cycle()) {
                        state ^= state << 13;
                        state ^= state >> 7;
                        state ^= state << 17;
                        *x += gamma * if state & 1 == 0 { PERTURBATION } else { -PERTURBATION };
                    }
                }
            })?;
            largest = largest.max(difference(&plain, &moved));
        }
        sensitivities.push(largest / PERTURBATION);
    }
    Ok(sensitivities)
}

/// The largest difference of two lists of tensors.
pub fn difference(a: &[Tensor], b: &[Tensor]) -> f64 {
    let pairs = a.iter().zip(b).flat_map(|(a, b)| a.data.iter().zip(&b.data));
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
