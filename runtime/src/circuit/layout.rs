//! Moving and adding lanes: what every party does locally with every share, and [`super::ideal`] with clear values.
//!
//! Generic over the word, so that shares and clear values go through the same code. Shapes were checked when the
//! circuit was built; slices have the lanes of their shapes.

use super::node::{Convolution, Movement};
use super::shape::Shape;
use std::borrow::Cow;
use std::ops::Range;

/// A word of ring arithmetic modulo 2^64.
pub trait Word: Copy + Default + Send + Sync + 'static {
    /// self + other modulo 2^64.
    fn plus(self, other: Self) -> Self;
}

impl Word for i64 {
    fn plus(self, other: i64) -> i64 {
        self.wrapping_add(other)
    }
}

impl Word for u64 {
    fn plus(self, other: u64) -> u64 {
        self.wrapping_add(other)
    }
}

/// A word that can be multiplied.
pub trait Factor: Word {
    /// self · other modulo 2^64.
    fn times(self, other: Self) -> Self;
    /// The same residues as unsigned words.
    fn words(values: &[Self]) -> Cow<'_, [u64]>;
    /// The residue of an unsigned word.
    fn of_word(word: u64) -> Self;
}

impl Factor for i64 {
    fn times(self, other: i64) -> i64 {
        self.wrapping_mul(other)
    }

    fn words(values: &[i64]) -> Cow<'_, [u64]> {
        Cow::Owned(values.iter().map(|&value| value as u64).collect())
    }

    fn of_word(word: u64) -> i64 {
        word as i64
    }
}

impl Factor for u64 {
    fn times(self, other: u64) -> u64 {
        self.wrapping_mul(other)
    }

    fn words(values: &[u64]) -> Cow<'_, [u64]> {
        Cow::Borrowed(values)
    }

    fn of_word(word: u64) -> u64 {
        word
    }
}

/// The result of a movement without constants. [`Movement::Replace`] puts zero at replaced lanes; the caller adds
/// the public constant as its protocol does. [`Movement::Narrow`] copies; the caller reduces.
pub fn apply<T: Word>(movement: &Movement, operands: &[(&[T], &Shape)], result: &Shape) -> Vec<T> {
    let (values, shape) = operands[0];
    match movement {
        Movement::Reshape { .. } | Movement::Narrow { .. } => values.to_vec(),
        Movement::Transpose { permutation } => transpose(values, shape, permutation),
        Movement::Slice { axis, start, step, .. } => {
            let length = result.extents()[*axis];
            if *step == 1 {
                return slice(values, shape, *axis, *start..*start + length);
            }
            let positions: Vec<usize> =
                (0..length).map(|index| start.wrapping_add_signed(index as isize * step)).collect();
            gather(values, shape, *axis, &positions)
        }
        Movement::Gather { axis, indices } => gather(values, shape, *axis, indices),
        Movement::Concat { axis } => concat(operands, *axis),
        Movement::Broadcast { shape: target } => broadcast(values, shape, target),
        Movement::Pad { before, .. } => pad(values, shape, before, result),
        Movement::SumAxis { axis } => sum_axis(values, shape, *axis),
        Movement::Replace { replaced, .. } => {
            let lanes = values.iter().zip(replaced.iter());
            lanes.map(|(&value, &replaced)| if replaced { T::default() } else { value }).collect()
        }
    }
}

/// Rows (last axis) of a tensor of `extents`, visited in row-major order: the offset of each row's first lane, by `steps`
/// from `start`.
fn rows(extents: &[usize], steps: &[usize], start: usize, mut visit: impl FnMut(usize)) {
    let outer = extents.len().saturating_sub(1);
    let mut index = vec![0usize; outer];
    let mut offset = start;
    loop {
        visit(offset);
        let mut axis = outer;
        loop {
            if axis == 0 {
                return;
            }
            axis -= 1;
            index[axis] += 1;
            offset += steps[axis];
            if index[axis] < extents[axis] {
                break;
            }
            offset -= steps[axis] * extents[axis];
            index[axis] = 0;
        }
    }
}

/// The tensor of `extents` whose lanes stand at offsets by `steps` in `values`. Rows that lie side by side there, as nearly
/// all do, are copied whole.
fn strided<T: Word>(values: &[T], extents: &[usize], steps: &[usize]) -> Vec<T> {
    let (last, step) = (extents.last().copied().unwrap_or(1), steps.last().copied().unwrap_or(1));
    let mut result = Vec::with_capacity(extents.iter().product());
    rows(extents, steps, 0, |offset| match step {
        0 => result.extend(std::iter::repeat_n(values[offset], last)),
        1 => result.extend_from_slice(&values[offset..offset + last]),
        _ => result.extend(values[offset..].iter().step_by(step).take(last)),
    });
    result
}

/// Repeats along axes of extent 1.
pub fn broadcast<T: Word>(values: &[T], from: &Shape, to: &Shape) -> Vec<T> {
    if from.lanes() == to.lanes() {
        return values.to_vec();
    }
    let missing = to.rank() - from.rank();
    let own = from.strides();
    let steps: Vec<usize> = (0..to.rank())
        .map(|axis| if axis < missing || from.extents()[axis - missing] == 1 { 0 } else { own[axis - missing] })
        .collect();
    strided(values, to.extents(), &steps)
}

/// Axis i of the result is axis `permutation[i]` of the operand.
pub fn transpose<T: Word>(values: &[T], shape: &Shape, permutation: &[usize]) -> Vec<T> {
    let own = shape.strides();
    let steps: Vec<usize> = permutation.iter().map(|&axis| own[axis]).collect();
    let extents: Vec<usize> = permutation.iter().map(|&axis| shape.extents()[axis]).collect();
    strided(values, &extents, &steps)
}

/// A range of an axis.
fn slice<T: Word>(values: &[T], shape: &Shape, axis: usize, range: Range<usize>) -> Vec<T> {
    let (outer, extent, inner) = shape.around(axis);
    let mut result = Vec::with_capacity(outer * range.len() * inner);
    for block in 0..outer {
        let first = block * extent * inner;
        result.extend_from_slice(&values[first + range.start * inner..first + range.end * inner]);
    }
    result
}

/// The rows at public positions of an axis.
pub fn gather<T: Word>(values: &[T], shape: &Shape, axis: usize, positions: &[usize]) -> Vec<T> {
    let (outer, extent, inner) = shape.around(axis);
    let mut result = Vec::with_capacity(outer * positions.len() * inner);
    for block in 0..outer {
        for &position in positions {
            let first = (block * extent + position) * inner;
            result.extend_from_slice(&values[first..first + inner]);
        }
    }
    result
}

/// Operands joined along an axis.
pub fn concat<T: Word>(operands: &[(&[T], &Shape)], axis: usize) -> Vec<T> {
    let outer = operands[0].1.around(axis).0;
    let mut result = Vec::with_capacity(operands.iter().map(|(values, _)| values.len()).sum());
    for block in 0..outer {
        for (values, shape) in operands {
            let (_, extent, inner) = shape.around(axis);
            result.extend_from_slice(&values[block * extent * inner..(block + 1) * extent * inner]);
        }
    }
    result
}

/// Zeros around a tensor.
pub fn pad<T: Word>(values: &[T], shape: &Shape, before: &[usize], result: &Shape) -> Vec<T> {
    let strides = result.strides();
    let start = before.iter().zip(&strides).map(|(&zeros, &stride)| zeros * stride).sum();
    let mut padded = vec![T::default(); result.lanes()];
    let row = shape.extents().last().copied().unwrap_or(1);
    let mut source = values.chunks(row.max(1));
    rows(shape.extents(), &strides, start, |offset| {
        if let Some(row) = source.next() {
            padded[offset..offset + row.len()].copy_from_slice(row);
        }
    });
    padded
}

/// The sum over an axis, which stays with extent 1.
pub fn sum_axis<T: Word>(values: &[T], shape: &Shape, axis: usize) -> Vec<T> {
    let (outer, extent, inner) = shape.around(axis);
    if inner == 1 {
        let total = |row: &[T]| row.iter().fold(T::default(), |total, &value| total.plus(value));
        return values.chunks_exact(extent).map(total).collect();
    }
    let mut result = vec![T::default(); outer * inner];
    for block in 0..outer {
        for position in 0..extent {
            let row = &values[(block * extent + position) * inner..][..inner];
            for (total, &value) in result[block * inner..][..inner].iter_mut().zip(row) {
                *total = total.plus(value);
            }
        }
    }
    result
}

/// The matrix [channels of one group · kernel, output positions] of one image and one group: its product with the
/// group's weights [outputs, channels · kernel] is the convolution. `image` is [channels, height, width] of the group.
pub fn columns<T: Word>(
    image: &[T],
    channels: usize,
    input: [usize; 2],
    window: &Convolution,
    kernel: [usize; 2],
    output: [usize; 2],
) -> Vec<T> {
    let positions = output[0] * output[1];
    let mut result = vec![T::default(); channels * kernel[0] * kernel[1] * positions];
    for (row, target) in result.chunks_exact_mut(positions).enumerate() {
        let (channel, tap) = (row / (kernel[0] * kernel[1]), row % (kernel[0] * kernel[1]));
        let (tap_row, tap_column) = (tap / kernel[1], tap % kernel[1]);
        for at_row in 0..output[0] {
            let Some(y) = window.source(0, at_row, tap_row, input[0]) else { continue };
            for at_column in 0..output[1] {
                if let Some(x) = window.source(1, at_column, tap_column, input[1]) {
                    target[at_row * output[1] + at_column] = image[(channel * input[0] + y) * input[1] + x];
                }
            }
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(extents: &[usize]) -> Shape {
        Shape::new(extents).unwrap()
    }

    #[test]
    fn movements_by_hand() {
        let values: Vec<i64> = (0..6).collect();
        let matrix = shape(&[2, 3]);
        assert_eq!(transpose(&values, &matrix, &[1, 0]), [0, 3, 1, 4, 2, 5]);
        assert_eq!(gather(&values, &matrix, 1, &[2, 0]), [2, 0, 5, 3]);
        assert_eq!(concat(&[(&values, &matrix), (&[7, 8], &shape(&[2, 1]))], 1), [0, 1, 2, 7, 3, 4, 5, 8]);
        assert_eq!(broadcast(&[1i64, 2], &shape(&[2, 1]), &shape(&[2, 2, 2])), [1, 1, 2, 2, 1, 1, 2, 2]);
        assert_eq!(broadcast(&[9i64], &shape(&[]), &shape(&[3])), [9, 9, 9]);
        assert_eq!(pad(&values, &matrix, &[0, 1], &shape(&[3, 5])), [0, 0, 1, 2, 0, 0, 3, 4, 5, 0, 0, 0, 0, 0, 0]);
        assert_eq!(sum_axis(&values, &matrix, 0), [3, 5, 7]);
        assert_eq!(sum_axis(&values, &matrix, 1), [3, 12]);
        let forwards = |axis, start| Movement::Slice { axis, start, length: 1, step: 1 };
        assert_eq!(apply(&forwards(0, 1), &[(&values, &matrix)], &shape(&[1, 3])), [3, 4, 5]);
        assert_eq!(apply(&forwards(1, 1), &[(&values, &matrix)], &shape(&[2, 1])), [1, 4]);
        assert_eq!(transpose(&[9i64], &shape(&[]), &[]), [9]);
        assert_eq!(pad(&[9i64], &shape(&[]), &[], &shape(&[])), [9]);
        let backwards = Movement::Slice { axis: 1, start: 2, length: 2, step: -2 };
        assert_eq!(apply(&backwards, &[(&values, &matrix)], &shape(&[2, 2])), [2, 0, 5, 3]);
    }

    #[test]
    fn every_transposition_moves_every_lane_to_its_place() {
        let extents = [2usize, 3, 4, 5];
        let values: Vec<i64> = (0..120).collect();
        let from = shape(&extents);
        for code in 0..256usize {
            let permutation: Vec<usize> = (0..4).map(|axis| code >> (2 * axis) & 3).collect();
            if (0..4).any(|axis| !permutation.contains(&axis)) {
                continue;
            }
            let moved = transpose(&values, &from, &permutation);
            let to: Vec<usize> = permutation.iter().map(|&axis| extents[axis]).collect();
            let strides = shape(&to).strides();
            for (lane, value) in moved.iter().enumerate() {
                let index: Vec<usize> = (0..4).map(|axis| lane / strides[axis] % to[axis]).collect();
                let source: usize = (0..4).map(|axis| index[axis] * from.strides()[permutation[axis]]).sum();
                assert_eq!(*value, source as i64, "{permutation:?}");
            }
        }
    }
}
