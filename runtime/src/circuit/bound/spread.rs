//! Products of non-negative doubles, to be rounded up: how errors spread through linear algebra.

use super::super::headroom;
use super::super::layout;
use super::super::node::{Convolution, ProductKind};
use super::super::shape::Shape;
use crate::graph::reference::multiply_into;

/// Added to every result, so that nothing that underflows is lost.
const SMALLEST: f64 = 1e-290;

/// Raises what `operations` operations on non-negative doubles gave above what they give in real numbers.
pub(super) fn raise(values: &mut [f64], operations: usize) {
    let factor = 1.0 + (operations + 8) as f64 * f64::EPSILON;
    values.iter_mut().for_each(|value| *value = *value * factor + SMALLEST);
}

/// left × right for factors without signs, and how many operations a lane took: the caller raises the result.
pub(super) fn product(
    kind: &ProductKind,
    (left, left_shape): (&[f64], &Shape),
    (right, right_shape): (&[f64], &Shape),
    shape: &Shape,
) -> (Vec<f64>, usize) {
    match kind {
        ProductKind::Hadamard => {
            let left = layout::broadcast(left, left_shape, shape);
            let right = layout::broadcast(right, right_shape, shape);
            (left.iter().zip(&right).map(|(a, b)| a * b).collect(), 1)
        }
        ProductKind::MatMul => {
            let (inner, columns) = (left_shape.row_length(), shape.row_length());
            let rows = shape.extents()[shape.rank() - 2];
            let mut result = vec![0.0; shape.lanes()];
            let matrices = headroom::matrices(left_shape, right_shape, shape);
            for (result, [a, b]) in result.chunks_exact_mut(rows * columns).zip(matrices) {
                let left = &left[a * rows * inner..][..rows * inner];
                multiply_into(result, left, &right[b * inner * columns..][..inner * columns], inner, columns);
            }
            (result, 2 * inner)
        }
        ProductKind::Conv(convolution) => convolve(convolution, (left, left_shape), (right, right_shape), shape),
    }
}

fn convolve(
    convolution: &Convolution,
    (image, image_shape): (&[f64], &Shape),
    (weight, weight_shape): (&[f64], &Shape),
    shape: &Shape,
) -> (Vec<f64>, usize) {
    let (image_extents, weight_extents) = (image_shape.extents(), weight_shape.extents());
    let (channels, input) = (weight_extents[1], [image_extents[2], image_extents[3]]);
    let (kernel, output) = ([weight_extents[2], weight_extents[3]], [shape.extents()[2], shape.extents()[3]]);
    let (outputs, positions) = (weight_extents[0] / convolution.groups, output[0] * output[1]);
    let (taps, pixels) = (channels * kernel[0] * kernel[1], channels * input[0] * input[1]);
    let mut result = vec![0.0; shape.lanes()];
    for (at, result) in result.chunks_exact_mut(outputs * positions).enumerate() {
        let columns = layout::columns(&image[at * pixels..][..pixels], channels, input, convolution, kernel, output);
        let weight = &weight[at % convolution.groups * outputs * taps..][..outputs * taps];
        multiply_into(result, weight, &columns, taps, positions);
    }
    (result, 2 * taps)
}
