//! Products of tensors modulo 2^64: of clear values in the simulation, of components of shares in a session.

use super::layout::{self, Factor};
use super::node::{Convolution, ProductKind};
use super::shape::Shape;
use crate::backend::cpu::matrix::{Matrix, PANEL, Packed, Part, Patches, TILE_ROWS, product};
use rayon::prelude::*;
use std::borrow::Cow;
use std::ops::Range;

/// Multiply-adds that are worth a task of their own.
const OPERATIONS_AT_ONCE: usize = 1 << 18;
/// Bytes of a right factor that a processor's second-level cache holds beside what else a product uses.
const SECOND_LEVEL_CACHE: usize = 1 << 19;
/// Groups of columns of a larger one, so that a thread that is late holds up no more than a part of a product.
const SLABS_PER_THREAD: usize = 2;
/// Outputs of a group from which its convolution reads windows in place; with fewer, most columns of a panel are empty
/// and the windows are the right factor.
const OUTPUTS_FOR_PATCHES: usize = 8;

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
    let (inner, columns) = (left.1.row_length(), shape.row_length());
    if is_one_matrix(left.1, right.1, shape) {
        return matrix(coefficient, left.0, right.0, total, inner, columns);
    }
    let (length, factors) = matrices(left.1, right.1, shape);
    total.par_chunks_mut(length).zip(factors).for_each(|(total, [a, b])| {
        matrix(coefficient, &left.0[a], &right.0[b], total, inner, columns);
    });
}

/// Whether a product has one matrix on the right: then the batch is more rows of one product.
pub(super) fn is_one_matrix(left: &Shape, right: &Shape, shape: &Shape) -> bool {
    let (inner, columns) = (left.row_length(), shape.row_length());
    right.lanes() == inner * columns && left.lanes() * columns == shape.lanes() * inner
}

/// The lanes of one matrix of a product of shape `shape`, and for every such matrix where its two factors are.
pub(super) fn matrices(left: &Shape, right: &Shape, shape: &Shape) -> (usize, Vec<[Range<usize>; 2]>) {
    let (batch, last) = shape.extents().split_at(shape.rank() - 2);
    let starts = |own: &Shape| {
        let (outer, matrix) = own.extents().split_at(own.rank() - 2);
        let length = matrix.iter().product::<usize>();
        let starts: Vec<i64> = (0..own.lanes() as i64).step_by(length).collect();
        let starts = match (Shape::new(outer), Shape::new(batch)) {
            (Ok(from), Ok(to)) => layout::broadcast(&starts, &from, &to),
            _ => starts,
        };
        starts.into_iter().map(move |start| start as usize..start as usize + length)
    };
    let factors = starts(left).zip(starts(right)).map(|(left, right)| [left, right]);
    (last.iter().product(), factors.collect())
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
    if inner == 0 || columns == 0 {
        return;
    }
    if inner * columns * size_of::<u64>() <= SECOND_LEVEL_CACHE {
        return by_rows(coefficient, left, right, total);
    }
    by_panels(coefficient, left, right, total);
}

/// Tasks have some rows each. Every one reads all of the right factor, which stays in its processor's cache.
fn by_rows<T: Factor>(coefficient: T, left: &[T], right: &Packed, total: &mut [T]) {
    let (inner, columns) = (right.rows(), right.columns());
    // Enough work for a thread, in whole tiles of the kernel.
    let rows = total.len() / columns;
    let rows_at_once = (OPERATIONS_AT_ONCE / (inner * columns)).max(rows / (4 * rayon::current_num_threads()));
    let rows_at_once = rows_at_once.max(1).next_multiple_of(TILE_ROWS);
    let chunks = total.par_chunks_mut(columns * rows_at_once).zip(left.par_chunks(inner * rows_at_once));
    chunks.for_each(|(total, left)| {
        let left = T::words(left);
        product(&Matrix::new(&left, inner), right, 0..right.panels(), |part| {
            add_part(coefficient, part, total, columns)
        });
    });
}

/// Tasks have some columns each, so that a right factor that no cache holds is read once. Columns of a task do not lie
/// together: each has its own results, which are added up row by row.
fn by_panels<T: Factor>(coefficient: T, left: &[T], right: &Packed, total: &mut [T]) {
    let (columns, words) = (right.columns(), T::words(left));
    let left = Matrix::new(&words, right.rows());
    let panels_at_once = right.panels().div_ceil(SLABS_PER_THREAD * rayon::current_num_threads());
    let width = panels_at_once * PANEL;
    let slab = |first: usize| {
        let width = width.min(columns - first);
        let mut slab = vec![T::default(); total.len() / columns * width];
        let panels = first / PANEL..right.panels().min(first / PANEL + panels_at_once);
        product(&left, right, panels, |part| {
            add_part(coefficient, Part { column: part.column - first, ..part }, &mut slab, width);
        });
        slab
    };
    let slabs: Vec<Vec<T>> = (0..columns).into_par_iter().step_by(width).map(slab).collect();
    total.par_chunks_mut(columns).enumerate().for_each(|(row, total)| {
        for (total, slab) in total.chunks_mut(width).zip(&slabs) {
            let more = &slab[row * total.len()..];
            total.iter_mut().zip(more).for_each(|(total, &more)| *total = total.plus(more));
        }
    });
}

/// Adds a part of a product to `total`, whose rows have so many columns.
fn add_part<T: Factor>(coefficient: T, part: Part<'_>, total: &mut [T], columns: usize) {
    for (index, words) in part.words.iter().enumerate() {
        let goal = &mut total[(part.row + index) * columns + part.column..][..part.width];
        for (total, &word) in goal.iter_mut().zip(words) {
            *total = total.plus(T::of_word(word).times(coefficient));
        }
    }
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
    if group_outputs >= OUTPUTS_FOR_PATCHES {
        let window = Window { convolution, input, kernel, output };
        return convolve_patches(&window, coefficient, (image.0, channels), (weight.0, group_outputs), total);
    }
    total.par_chunks_mut(group_outputs * positions).enumerate().for_each(|(at, total)| {
        let group = at % convolution.groups;
        let columns =
            layout::columns(&image.0[at * pixels..(at + 1) * pixels], channels, input, convolution, kernel, output);
        let weight = &weight.0[group * group_outputs * taps..(group + 1) * group_outputs * taps];
        matrix(coefficient, weight, &columns, total, taps, positions);
    });
}

/// A convolution's window and what it slides over.
struct Window<'a> {
    convolution: &'a Convolution,
    input: [usize; 2],
    kernel: [usize; 2],
    output: [usize; 2],
}

/// A convolution whose windows are read from the image as the product needs them: nothing of the size of
/// channels · taps · positions is stored. A task computes some outputs of one image and group.
fn convolve_patches<T: Factor>(
    window: &Window<'_>,
    coefficient: T,
    (image, channels): (&[T], usize),
    (weight, outputs): (&[T], usize),
    total: &mut [T],
) {
    let Window { convolution, input, kernel, output } = *window;
    let (taps, positions, pixels) =
        (channels * kernel[0] * kernel[1], output[0] * output[1], channels * input[0] * input[1]);
    let words = T::words(weight);
    let pack = |group: usize| {
        Packed::transposed(&words[group * outputs * taps..][..outputs * taps], taps, outputs)
            .expect("the circuit's shapes agree")
    };
    let packed: Vec<Packed> = (0..convolution.groups).into_par_iter().map(pack).collect();
    let images = T::words(image);
    // As many tasks as threads, if there are fewer images and groups than those: each reads the windows again.
    let slabs = total.len() / (outputs * positions).max(1);
    let panels = outputs.div_ceil(PANEL).div_ceil(rayon::current_num_threads().div_ceil(slabs.max(1)));
    total.par_chunks_mut(outputs * positions).enumerate().for_each(|(at, total)| {
        let right = &packed[at % convolution.groups];
        let patches = Patches {
            image: &images[at * pixels..][..pixels],
            input,
            kernel,
            output,
            strides: convolution.strides,
            dilations: convolution.dilations,
            padding: convolution.pads_before,
        };
        total.par_chunks_mut(panels * PANEL * positions).enumerate().for_each(|(chunk, total)| {
            let first = chunk * panels;
            product(&patches, right, first..right.panels().min(first + panels), |part: Part<'_>| {
                for column in 0..part.width {
                    let output = part.column - first * PANEL + column;
                    let goal = &mut total[output * positions + part.row..][..part.words.len()];
                    for (total, words) in goal.iter_mut().zip(part.words) {
                        *total = total.plus(T::of_word(words[column]).times(coefficient));
                    }
                }
            });
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Σ by the definition, for one convolution.
    fn defined(c: &Convolution, image: (&[u64], &Shape), weight: (&[u64], &Shape), shape: &Shape) -> Vec<u64> {
        let (i, w, o) = (image.1.extents(), weight.1.extents(), shape.extents());
        let mut total = vec![0u64; shape.lanes()];
        for (at, total) in total.iter_mut().enumerate() {
            let [x, y] = [at % o[3], at / o[3] % o[2]];
            let (out, batch) = (at / (o[2] * o[3]) % o[1], at / (o[1] * o[2] * o[3]));
            let group = out / (w[0] / c.groups);
            for tap in 0..w[1] * w[2] * w[3] {
                let (channel, down, right) = (tap / (w[2] * w[3]), tap / w[3] % w[2], tap % w[3]);
                if let (Some(line), Some(column)) = (c.source(0, y, down, i[2]), c.source(1, x, right, i[3])) {
                    let place = ((batch * i[1] + group * w[1] + channel) * i[2] + line) * i[3] + column;
                    let weight = weight.0[out * w[1] * w[2] * w[3] + tap];
                    *total = total.wrapping_add(image.0[place].wrapping_mul(weight));
                }
            }
        }
        total
    }

    /// Five of these right factors are too large for the cache and cut by columns; the last keeps them together.
    #[test]
    fn products_of_any_size_equal_the_definition() {
        let fill = |count: usize, seed: u64| -> Vec<u64> {
            (0..count as u64).map(|i| (i + seed).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23)).collect()
        };
        let sizes = [(33, 257, 300), (1, 300, 257), (3, 1, 70_001), (0, 300, 300), (9, 40_000, 2), (40, 30, 50)];
        let large =
            |(_, inner, columns): &&(usize, usize, usize)| inner * columns * size_of::<u64>() > SECOND_LEVEL_CACHE;
        assert_eq!(sizes.iter().filter(large).count(), 5);
        for (rows, inner, columns) in sizes {
            let (left, right) = (fill(rows * inner, 7), fill(inner * columns, 1 << 20));
            let packed = Packed::new(&right, inner, columns).unwrap();
            let mut total = vec![5u64; rows * columns];
            add_product(3, &left, &packed, &mut total);
            for (at, &total) in total.iter().enumerate() {
                let (row, column) = (&left[at / columns * inner..][..inner], at % columns);
                let sum = row
                    .iter()
                    .enumerate()
                    .fold(0u64, |sum, (k, a)| sum.wrapping_add(a.wrapping_mul(right[k * columns + column])));
                assert_eq!(total, sum.wrapping_mul(3).wrapping_add(5), "{rows} x {inner} x {columns}");
            }
        }
    }

    #[test]
    fn convolutions_equal_the_definition_with_and_without_patches() {
        let cases = [
            // outputs, channels of a group, groups, kernel, strides, dilations, padding
            (8, 3, 1, [3, 3], [1, 1], [1, 1], [1, 1]),
            (40, 2, 2, [3, 2], [2, 1], [1, 2], [2, 0]),
            (33, 1, 1, [1, 1], [2, 2], [1, 1], [0, 0]),
            (6, 1, 6, [3, 3], [1, 1], [1, 1], [1, 1]),
            (OUTPUTS_FOR_PATCHES - 1, 5, 1, [2, 2], [1, 1], [2, 1], [0, 1]),
        ];
        for (outputs, channels, groups, kernel, strides, dilations, pads) in cases {
            let convolution = Convolution { strides, dilations, pads_before: pads, pads_after: pads, groups };
            let input = [9, 21];
            let out = convolution.output(input, kernel).unwrap();
            let extents = [
                Shape::new([2, channels * groups, input[0], input[1]]).unwrap(),
                Shape::new([outputs, channels, kernel[0], kernel[1]]).unwrap(),
                Shape::new([2, outputs, out[0], out[1]]).unwrap(),
            ];
            let fill = |shape: &Shape, seed: u64| -> Vec<u64> {
                (0..shape.lanes() as u64)
                    .map(|i| (i + seed).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23))
                    .collect()
            };
            let (image, weight) = (fill(&extents[0], 7), fill(&extents[1], 1 << 20));
            let expected = defined(&convolution, (&image, &extents[0]), (&weight, &extents[1]), &extents[2]);
            let mut total = vec![5u64; extents[2].lanes()];
            let (kind, shape) = (ProductKind::Conv(convolution), &extents[2]);
            accumulate(&kind, 3, (&image, &extents[0]), (&weight, &extents[1]), &mut total, shape);
            let agree = total.iter().zip(&expected).all(|(got, one)| *got == one.wrapping_mul(3).wrapping_add(5));
            assert!(agree, "{outputs} outputs, {channels} channels, {groups} groups, {kernel:?}");
        }
    }
}
