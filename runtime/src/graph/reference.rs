//! The plain `f64` interpreter: what "the model's answer" means when a private run is judged.
//!
//! Assumes a graph from import (shapes agree); evaluates node by node and frees a value after its last use. The error
//! function is `libm`'s (below one ulp); everything else is straightforward `f64`.

use super::error::Error;
use super::operator::{AxisSlice, Constant, Function, MASKED, Operator, Side, Window};
use super::tensor::{Tensor, around, broadcast_offsets, strides, transpose_offsets, walk};
use super::{Graph, NodeId};
use crate::backend::cpu::widest::{Loop, widest};
use rayon::prelude::*;

/// Evaluates the graph on one tensor per input, in the order of [`Graph::inputs`], and returns one tensor per output.
///
/// `observe` sees the value of every node as soon as it is known. A wrong count, a wrong shape, NaN or infinity in an
/// input, and withheld weights are errors.
pub fn run(graph: &Graph, inputs: &[Tensor], observe: &mut dyn FnMut(NodeId, &Tensor)) -> Result<Vec<Tensor>, Error> {
    run_altered(graph, inputs, &mut |id, value| observe(id, value))
}

/// Like [`run`], but `alter` may change every value before later nodes see it: a model of arithmetic that errs.
pub fn run_altered(
    graph: &Graph,
    inputs: &[Tensor],
    alter: &mut dyn FnMut(NodeId, &mut Tensor),
) -> Result<Vec<Tensor>, Error> {
    check_inputs(graph, inputs)?;
    let last_use = last_uses(graph);
    let mut values: Vec<Option<Tensor>> = vec![None; graph.nodes().len()];
    for node in graph.nodes() {
        let mut value = match graph.inputs().iter().position(|&(_, id)| id == node.id) {
            Some(position) => inputs[position].clone(),
            None => {
                let argument = |input: &NodeId| values[input.index()].as_ref();
                let arguments: Option<Vec<&Tensor>> = node.inputs.iter().map(argument).collect();
                let arguments = arguments.expect("inputs precede their users and are freed after the last");
                evaluate(&node.operator, &arguments, &node.shape)?
            }
        };
        alter(node.id, &mut value);
        values[node.id.index()] = Some(value);
        for input in &node.inputs {
            if last_use[input.index()] == node.id.index() {
                values[input.index()] = None;
            }
        }
    }
    let output = |&(_, id): &(String, NodeId)| values[id.index()].clone().expect("outputs are never freed");
    Ok(graph.outputs().iter().map(output).collect())
}

/// For every node, the last node that reads it; beyond all nodes for outputs of the model.
fn last_uses(graph: &Graph) -> Vec<usize> {
    let mut last_use = vec![0_usize; graph.nodes().len()];
    for node in graph.nodes() {
        for input in &node.inputs {
            last_use[input.index()] = node.id.index();
        }
    }
    for (_, output) in graph.outputs() {
        last_use[output.index()] = usize::MAX;
    }
    last_use
}

fn check_inputs(graph: &Graph, inputs: &[Tensor]) -> Result<(), Error> {
    if inputs.len() != graph.inputs().len() {
        let names: Vec<&str> = graph.inputs().iter().map(|(name, _)| name.as_str()).collect();
        return Err(Error::InputCount { expected: names.len(), names: names.join(", "), given: inputs.len() });
    }
    for ((name, id), input) in graph.inputs().iter().zip(inputs) {
        let expected = &graph.node(*id).shape;
        if &input.shape != expected || input.data.len() != expected.iter().product::<usize>() {
            let (expected, given) = (expected.clone(), input.shape.clone());
            return Err(Error::InputShape { input: name.clone(), expected, given });
        }
        if !input.is_finite() {
            return Err(Error::NotFinite(format!("input '{name}'")));
        }
    }
    Ok(())
}

/// One operator on values whose shapes [`Operator::output_shape`] has accepted, `shape` being its answer.
pub(crate) fn evaluate(operator: &Operator, inputs: &[&Tensor], shape: &[usize]) -> Result<Tensor, Error> {
    Ok(match operator {
        Operator::Input => return Err(Error::Withheld("an input".into())),
        Operator::Constant { value } => value.tensor()?.clone(),
        Operator::Conv { weight, bias, groups, window } => {
            convolution(inputs[0], weight.tensor()?, optional(bias.as_ref())?, *groups, window, shape)
        }
        Operator::Dense { weight, bias } => dense(inputs[0], weight.tensor()?, optional(bias.as_ref())?, shape),
        Operator::MatMul => matmul(inputs[0], inputs[1], shape),
        Operator::Add => inputs[0].zip(inputs[1], |a, b| a + b),
        Operator::Sub => inputs[0].zip(inputs[1], |a, b| a - b),
        Operator::Mul => inputs[0].zip(inputs[1], |a, b| a * b),
        Operator::Scale { factor } => inputs[0].zip(&factor.tensor()?.broadcast(shape), |a, b| a * b),
        Operator::AddConstant { constant } => inputs[0].zip(&constant.tensor()?.broadcast(shape), |a, b| a + b),
        Operator::Mask { masked } => {
            inputs[0].zip(&masked.tensor()?.broadcast(shape), |a, masked| if masked == 0.0 { a } else { MASKED })
        }
        Operator::Limit { side: Side::Below, bound, .. } => inputs[0].map(|x| x.max(*bound)),
        Operator::Limit { side: Side::Above, bound, .. } => inputs[0].map(|x| x.min(*bound)),
        Operator::Excess { bound } => inputs[0].map(|x| (x - bound).max(0.0)),
        Operator::ReduceSum { .. } => fold(inputs[0], shape, 0.0, |sum, value| sum + value),
        Operator::SumPool { window } => pool(inputs[0], window, shape, 0.0, |sum, value| sum + value),
        Operator::MaxPool { window } => pool(inputs[0], window, shape, f64::NEG_INFINITY, f64::max),
        Operator::Activation { function } => inputs[0].map(|x| apply(*function, x)),
        Operator::Softmax => by_rows(inputs[0], softmax_row),
        Operator::LayerNorm { gamma, beta, epsilon } => {
            let (gamma, beta) = (optional(gamma.as_ref())?, optional(beta.as_ref())?);
            by_rows(inputs[0], |row| layer_norm_row(row, gamma, beta, *epsilon))
        }
        _ => rearrange(operator, inputs, shape, 0.0),
    })
}

fn optional(constant: Option<&Constant>) -> Result<Option<&[f64]>, Error> {
    constant.map(|constant| constant.tensor().map(|tensor| tensor.data.as_slice())).transpose()
}

/// The operators that only move elements, filling new places with `fill`.
pub(crate) fn rearrange(operator: &Operator, inputs: &[&Tensor], shape: &[usize], fill: f64) -> Tensor {
    let input = inputs[0];
    match operator {
        Operator::Reshape { .. } => Tensor { shape: shape.to_vec(), data: input.data.clone() },
        Operator::Transpose { permutation } => {
            input.select(shape.to_vec(), &transpose_offsets(&input.shape, permutation))
        }
        Operator::Broadcast { .. } => input.select(shape.to_vec(), &broadcast_offsets(&input.shape, shape)),
        Operator::Slice { axes } => slice(input, axes, shape),
        Operator::Concat { axis } => concat(inputs, *axis, shape),
        Operator::Gather { axis, indices } => gather(input, *axis, indices, shape),
        Operator::Pad { before, .. } => pad(input, before, shape, fill),
        _ => unreachable!("{} computes, and is handled by its caller", operator.name()),
    }
}

/// A scalar function in `f64`.
pub fn apply(function: Function, x: f64) -> f64 {
    match function {
        // Φ through erfc keeps the relative accuracy of the negative tail.
        Function::Gelu => 0.5 * x * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2),
        Function::GeluTanh => {
            // ½(1 + tanh u) = 1/(1 + e^(−2u)), again for the tail.
            let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
            x / (1.0 + (-2.0 * u).exp())
        }
        Function::Silu => x / (1.0 + (-x).exp()),
        Function::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        Function::Tanh => x.tanh(),
        Function::Relu => x.max(0.0),
        Function::Erf => libm::erf(x),
        Function::Exp => x.exp(),
        Function::Logarithm => x.ln(),
        Function::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
        Function::Mish => x * apply(Function::Softplus, x).tanh(),
        Function::SquareRoot => x.sqrt(),
        Function::Reciprocal => x.recip(),
    }
}

/// `out[m, n] += left[m, k] · right[k, n]`.
pub(crate) fn multiply_into(out: &mut [f64], left: &[f64], right: &[f64], k: usize, n: usize) {
    if n == 0 || k == 0 {
        return;
    }
    let whole = out.len() / (ROWS * n) * ROWS;
    let (blocks, rest) = out.split_at_mut(whole * n);
    for (block, left) in blocks.chunks_exact_mut(ROWS * n).zip(left.chunks_exact(ROWS * k)) {
        widest(RowProduct { out: block, left, right, k, n });
    }
    for (row, left_row) in rest.chunks_exact_mut(n).zip(left[whole * k..].chunks_exact(k)) {
        for (&factor, right_row) in left_row.iter().zip(right.chunks_exact(n)) {
            for (sum, &value) in row.iter_mut().zip(right_row) {
                *sum += factor * value;
            }
        }
    }
}

/// Rows of the left matrix that are multiplied together, so that the right one is read once for all of them.
const ROWS: usize = 4;
/// Columns of them at a time: with their sums they stay in the nearest cache.
const COLUMNS: usize = 64;

/// The product of [`ROWS`] rows. Every sum takes its products in the same order, whatever vectors compute it.
struct RowProduct<'a> {
    out: &'a mut [f64],
    left: &'a [f64],
    right: &'a [f64],
    k: usize,
    n: usize,
}

impl Loop for RowProduct<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let RowProduct { out, left, right, k, n } = self;
        let mut sums = [[0.0f64; COLUMNS]; ROWS];
        for first in (0..n).step_by(COLUMNS) {
            let count = COLUMNS.min(n - first);
            for (sums, row) in sums.iter_mut().zip(out.chunks_exact(n)) {
                sums[..count].copy_from_slice(&row[first..first + count]);
            }
            let [one, two, three, four] = &mut sums;
            let (first_rows, last_rows) = left.split_at(2 * k);
            let (left_one, left_two) = first_rows.split_at(k);
            let (left_three, left_four) = last_rows.split_at(k);
            let factors = left_one.iter().zip(left_two).zip(left_three.iter().zip(left_four));
            for (values, ((&a, &b), (&c, &d))) in right.chunks_exact(n).zip(factors) {
                let values = &values[first..first + count];
                let sums = one.iter_mut().zip(two.iter_mut()).zip(three.iter_mut().zip(four.iter_mut()));
                for (((one, two), (three, four)), &value) in sums.zip(values) {
                    *one += a * value;
                    *two += b * value;
                    *three += c * value;
                    *four += d * value;
                }
            }
            for (sums, row) in sums.iter().zip(out.chunks_exact_mut(n)) {
                row[first..first + count].copy_from_slice(&sums[..count]);
            }
        }
    }
}

pub(crate) fn dense(input: &Tensor, weight: &Tensor, bias: Option<&[f64]>, shape: &[usize]) -> Tensor {
    let (k, n) = (weight.shape[0], weight.shape[1]);
    let mut out = Tensor::filled(shape, 0.0);
    if let Some(bias) = bias {
        out.data.chunks_exact_mut(n.max(1)).for_each(|row| row.copy_from_slice(bias));
    }
    multiply_into(&mut out.data, &input.data, &weight.data, k, n);
    out
}

pub(crate) fn matmul(left: &Tensor, right: &Tensor, shape: &[usize]) -> Tensor {
    let rank = shape.len();
    let (m, n, k) = (shape[rank - 2], shape[rank - 1], left.row_length());
    let mut out = Tensor::filled(shape, 0.0);
    if m * n * k == 0 {
        return out;
    }
    let batches = left.data.chunks_exact(m * k).zip(right.data.chunks_exact(k * n));
    for (result, (a, b)) in out.data.chunks_exact_mut(m * n).zip(batches) {
        multiply_into(result, a, b, k, n);
    }
    out
}

pub(crate) fn convolution(
    input: &Tensor,
    weight: &Tensor,
    bias: Option<&[f64]>,
    groups: usize,
    window: &Window,
    shape: &[usize],
) -> Tensor {
    let (channels, height, width) = (input.shape[1], input.shape[2], input.shape[3]);
    let (outputs, group_channels) = (weight.shape[0], weight.shape[1]);
    let [rows, columns] = window.kernel;
    let (out_height, out_width) = (shape[2], shape[3]);
    let mut out = Tensor::filled(shape, 0.0);
    let planes = out.data.par_chunks_mut((out_height * out_width).max(1)).enumerate();
    planes.for_each(|(plane, out)| {
        let (image, output) = (plane / outputs, plane % outputs);
        out.fill(bias.map_or(0.0, |bias| bias[output]));
        let first = output / (outputs / groups) * group_channels;
        for (channel, row, column) in taps(group_channels, rows, columns) {
            let tap = weight.data[((output * group_channels + channel) * rows + row) * columns + column];
            let source = &input.data[(image * channels + first + channel) * height * width..][..height * width];
            // The positions whose source lies in the image are neighbours.
            let inside = |x: &usize| window.source(1, *x, column, width).is_some();
            let Some(begin) = (0..out_width).find(inside) else { continue };
            let count = (begin..out_width).take_while(inside).count();
            let start = window.source(1, begin, column, width).unwrap_or(0);
            for y in 0..out_height {
                let Some(source_y) = window.source(0, y, row, height) else { continue };
                let line = &source[source_y * width + start..];
                let sums = &mut out[y * out_width + begin..][..count];
                match window.strides[1] {
                    1 => sums.iter_mut().zip(line).for_each(|(sum, value)| *sum += tap * value),
                    step => sums.iter_mut().zip(line.iter().step_by(step)).for_each(|(sum, value)| *sum += tap * value),
                }
            }
        }
    });
    out
}

/// Every channel, row and column of a kernel.
fn taps(channels: usize, rows: usize, columns: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    let places = move |channel| (0..rows).flat_map(move |row| (0..columns).map(move |column| (channel, row, column)));
    (0..channels).flat_map(places)
}

/// Combines the elements under every position of the window.
pub(crate) fn pool(
    input: &Tensor,
    window: &Window,
    shape: &[usize],
    start: f64,
    mut combine: impl FnMut(f64, f64) -> f64,
) -> Tensor {
    let mut out = Tensor::filled(shape, start);
    for_each_in_window(&input.shape, window, shape, |position, source| {
        out.data[position] = combine(out.data[position], input.data[source]);
    });
    out
}

/// Calls `visit(output offset, input offset)` for every element under every position of the window.
pub(crate) fn for_each_in_window(
    input: &[usize],
    window: &Window,
    shape: &[usize],
    mut visit: impl FnMut(usize, usize),
) {
    let (height, width) = (input[2], input[3]);
    let mut position = 0;
    for plane in 0..shape[0] * shape[1] {
        for y in 0..shape[2] {
            for x in 0..shape[3] {
                for row in 0..window.kernel[0] {
                    let Some(source_y) = window.source(0, y, row, height) else {
                        continue;
                    };
                    for column in 0..window.kernel[1] {
                        if let Some(source_x) = window.source(1, x, column, width) {
                            visit(position, (plane * height + source_y) * width + source_x);
                        }
                    }
                }
                position += 1;
            }
        }
    }
}

/// Combines along the axes that have extent one in `shape`.
pub(crate) fn fold(input: &Tensor, shape: &[usize], start: f64, mut combine: impl FnMut(f64, f64) -> f64) -> Tensor {
    let mut out = Tensor::filled(shape, start);
    for (&value, &target) in input.data.iter().zip(&broadcast_offsets(shape, &input.shape)) {
        out.data[target] = combine(out.data[target], value);
    }
    out
}

fn by_rows(input: &Tensor, mut function: impl FnMut(&mut [f64])) -> Tensor {
    let mut out = input.clone();
    out.data.chunks_exact_mut(input.row_length()).for_each(&mut function);
    out
}

fn softmax_row(row: &mut [f64]) {
    let maximum = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut sum = 0.0;
    for value in row.iter_mut() {
        *value = (*value - maximum).exp();
        sum += *value;
    }
    row.iter_mut().for_each(|value| *value /= sum);
}

/// Mean and (population) variance of a row.
pub(crate) fn moments(row: &[f64]) -> (f64, f64) {
    let count = row.len() as f64;
    let mean = row.iter().sum::<f64>() / count;
    let variance = row.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / count;
    (mean, variance)
}

fn layer_norm_row(row: &mut [f64], gamma: Option<&[f64]>, beta: Option<&[f64]>, epsilon: f64) {
    let (mean, variance) = moments(row);
    let scale = (variance + epsilon).sqrt().recip();
    for (index, value) in row.iter_mut().enumerate() {
        let gamma = gamma.map_or(1.0, |gamma| gamma[index]);
        let beta = beta.map_or(0.0, |beta| beta[index]);
        *value = (*value - mean) * scale * gamma + beta;
    }
}

fn slice(input: &Tensor, axes: &[AxisSlice], shape: &[usize]) -> Tensor {
    let own = strides(&input.shape);
    let steps: Vec<isize> = axes.iter().zip(&own).map(|(slice, &stride)| slice.step * stride as isize).collect();
    let start = axes.iter().zip(&own).map(|(slice, stride)| slice.start * stride).sum();
    input.select(shape.to_vec(), &walk(shape, &steps, start))
}

fn concat(inputs: &[&Tensor], axis: usize, shape: &[usize]) -> Tensor {
    let (outer, _, inner) = around(shape, axis);
    let mut data = Vec::with_capacity(shape.iter().product());
    for index in 0..outer {
        for input in inputs {
            let length = input.shape[axis] * inner;
            data.extend_from_slice(&input.data[index * length..(index + 1) * length]);
        }
    }
    Tensor { shape: shape.to_vec(), data }
}

fn gather(input: &Tensor, axis: usize, indices: &[usize], shape: &[usize]) -> Tensor {
    let (outer, extent, inner) = around(&input.shape, axis);
    let mut data = Vec::with_capacity(shape.iter().product());
    for block in 0..outer {
        for index in indices {
            let start = (block * extent + index) * inner;
            data.extend_from_slice(&input.data[start..start + inner]);
        }
    }
    Tensor { shape: shape.to_vec(), data }
}

fn pad(input: &Tensor, before: &[usize], shape: &[usize], fill: f64) -> Tensor {
    let own = strides(shape);
    let start = before.iter().zip(&own).map(|(before, stride)| before * stride).sum();
    let steps: Vec<isize> = own.iter().map(|&stride| stride as isize).collect();
    let mut out = Tensor::filled(shape, fill);
    for (&value, offset) in input.data.iter().zip(walk(&input.shape, &steps, start)) {
        out.data[offset] = value;
    }
    out
}

/// The last two axes exchanged.
pub(crate) fn transpose_last_two(input: &Tensor) -> Tensor {
    let rank = input.shape.len();
    let mut permutation: Vec<usize> = (0..rank).collect();
    permutation.swap(rank - 2, rank - 1);
    let shape = permutation.iter().map(|&axis| input.shape[axis]).collect();
    input.select(shape, &transpose_offsets(&input.shape, &permutation))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows that are multiplied together have the sums of rows alone, to the bit, whatever is left over.
    #[test]
    fn products_of_rows_together_are_those_of_rows_alone() {
        let mut state = 0x9E37_79B9_7F4A_7C15u64;
        let mut draw = |count: usize| -> Vec<f64> {
            let next = |_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5
            };
            (0..count).map(next).collect()
        };
        for (m, k, n) in [(1, 3, 2), (ROWS, 5, COLUMNS), (2 * ROWS + 3, 7, 2 * COLUMNS + 5), (3, 1, 1), (ROWS, 0, 3)] {
            let (left, right, start) = (draw(m * k), draw(k * n), draw(m * n));
            let mut together = start.clone();
            multiply_into(&mut together, &left, &right, k, n);
            for row in 0..m {
                for column in 0..n {
                    let products = (0..k).map(|inner| left[row * k + inner] * right[inner * n + column]);
                    let sum = products.fold(start[row * n + column], |sum, product| sum + product);
                    assert_eq!(together[row * n + column].to_bits(), sum.to_bits(), "{m} {k} {n}: {row} {column}");
                }
            }
        }
    }
}
