//! Products of tensors modulo 2^64: of clear values in the simulation, of components of shares in a session.

use super::layout::{self, Factor};
use super::node::{Convolution, ProductKind};
use super::shape::Shape;
use crate::backend::cpu::matrix::{Packed, TILE_ROWS, multiply_add};
use rayon::prelude::*;
use std::borrow::Cow;

/// Multiply-adds that are worth a task of their own.
const OPERATIONS_AT_ONCE: usize = 1 << 18;

/// Adds coefficient · (left × right) to `total`, whose shape is `shape`.
pub fn accumulate<'a, T: Factor>(
    kind: &ProductKind,
    coefficient: T,
    left: (&'a [T], &Shape),
    right: (&'a [T], &Shape),
    total: &mut [T],
    shape: &Shape,
) {
    match kind {
        ProductKind::Hadamard => {
            let whole = |(values, own): (&'a [T], &Shape)| {
                if own.lanes() == shape.lanes() {
                    Cow::Borrowed(values)
                } else {
                    Cow::Owned(layout::broadcast(values, own, shape))
                }
            };
            let (left, right) = (whole(left), whole(right));
            for ((total, &a), &b) in total.iter_mut().zip(&*left).zip(&*right) {
                *total = total.plus(a.times(b).times(coefficient));
            }
        }
        ProductKind::MatMul => batched(coefficient, left, right, total, shape),
        ProductKind::Conv(convolution) => convolve(convolution, coefficient, left, right, total, shape),
    }
}

fn batched<T: Factor>(coefficient: T, left: (&[T], &Shape), right: (&[T], &Shape), total: &mut [T], shape: &Shape) {
    let (rank, left_rank, right_rank) = (shape.rank(), left.1.rank(), right.1.rank());
    let (rows, columns) = (shape.extents()[rank - 2], shape.extents()[rank - 1]);
    let inner = left.1.row_length();
    // One matrix on the right: the batch is more rows of one product.
    if right.1.lanes() == inner * columns && left.1.lanes() * columns == shape.lanes() * inner {
        return matrix(coefficient, left.0, right.0, total, inner, columns);
    }
    let batch = &shape.extents()[..rank - 2];
    let index = |own: &Shape, own_rank: usize| {
        let count: Vec<i64> = (0..own.extents()[..own_rank - 2].iter().product::<usize>() as i64).collect();
        let (Ok(from), Ok(to)) = (Shape::new(&own.extents()[..own_rank - 2]), Shape::new(batch)) else {
            return count;
        };
        layout::broadcast(&count, &from, &to)
    };
    let (left_index, right_index) = (index(left.1, left_rank), index(right.1, right_rank));
    total.par_chunks_mut(rows * columns).enumerate().for_each(|(at, total)| {
        let (a, b) = (left_index[at] as usize * rows * inner, right_index[at] as usize * inner * columns);
        matrix(coefficient, &left.0[a..a + rows * inner], &right.0[b..b + inner * columns], total, inner, columns);
    });
}

/// total += coefficient · left · right for row-major [rows, inner] and [inner, columns].
fn matrix<T: Factor>(coefficient: T, left: &[T], right: &[T], total: &mut [T], inner: usize, columns: usize) {
    let right = Packed::new(&T::words(right), inner, columns).expect("the circuit's shapes agree");
    add_product(coefficient, left, &right, total);
}

/// total += coefficient · left · right, row by row, where the rows of `left` are as long as `right` is high.
///
/// # Panics
/// Lengths that do not agree; a circuit's shapes do.
pub fn add_product<T: Factor>(coefficient: T, left: &[T], right: &Packed, total: &mut [T]) {
    let (inner, columns) = (right.rows(), right.columns());
    // Enough work for a thread, in whole tiles of the kernel.
    let rows_at_once = (OPERATIONS_AT_ONCE / (inner * columns).max(1)).max(1).next_multiple_of(TILE_ROWS);
    total.par_chunks_mut(columns * rows_at_once).zip(left.par_chunks(inner * rows_at_once)).for_each(
        |(total, left)| {
            let mut product = vec![0; total.len()];
            multiply_add(&T::words(left), right, &mut product).expect("the circuit's shapes agree");
            for (total, word) in total.iter_mut().zip(product) {
                *total = total.plus(T::of_word(word).times(coefficient));
            }
        },
    );
}

fn convolve<T: Factor>(
    convolution: &Convolution,
    coefficient: T,
    image: (&[T], &Shape),
    weight: (&[T], &Shape),
    total: &mut [T],
    shape: &Shape,
) {
    let (image_extents, weight_extents) = (image.1.extents(), weight.1.extents());
    let (channels, input) = (weight_extents[1], [image_extents[2], image_extents[3]]);
    let kernel = [weight_extents[2], weight_extents[3]];
    let output = [shape.extents()[2], shape.extents()[3]];
    let (group_outputs, positions) = (weight_extents[0] / convolution.groups, output[0] * output[1]);
    let taps = channels * kernel[0] * kernel[1];
    let pixels = channels * input[0] * input[1];
    total.par_chunks_mut(group_outputs * positions).enumerate().for_each(|(at, total)| {
        let group = at % convolution.groups;
        let columns =
            layout::columns(&image.0[at * pixels..(at + 1) * pixels], channels, input, convolution, kernel, output);
        let weight = &weight.0[group * group_outputs * taps..(group + 1) * group_outputs * taps];
        matrix(coefficient, weight, &columns, total, taps, positions);
    });
}
