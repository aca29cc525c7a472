//! Dense row-major tensors of `f64` and the index arithmetic that import, reference and ranges share.
//!
//! Establishes: `data.len()` equals the product of `shape`, and no tensor exceeds [`ELEMENTS_MAX`], so products of
//! dimensions taken from a file never overflow.

use serde::{Deserialize, Serialize};

/// The most elements that one tensor may have (2 GiB of `f64`); a larger shape in a file is refused.
pub const ELEMENTS_MAX: usize = 1 << 28;

/// A row-major tensor. A scalar has an empty shape and one element.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tensor {
    /// Extent of each axis, outermost first.
    pub shape: Vec<usize>,
    /// Elements, last axis fastest.
    pub data: Vec<f64>,
}

/// The number of elements of a shape, or a phrase that says why it is refused.
pub fn element_count(shape: &[usize]) -> Result<usize, String> {
    // An axis of extent zero must not hide an overflow in the strides.
    let padded = shape.iter().try_fold(1_usize, |product, &extent| product.checked_mul(extent.max(1)));
    match padded {
        Some(padded) if padded <= ELEMENTS_MAX => Ok(shape.iter().product()),
        _ => Err(format!("shape {shape:?} has more than {ELEMENTS_MAX} elements")),
    }
}

impl Tensor {
    /// A tensor of the given shape and data; the phrase of the error names both sizes.
    pub fn new(shape: Vec<usize>, data: Vec<f64>) -> Result<Tensor, String> {
        let expected = element_count(&shape)?;
        if expected != data.len() {
            return Err(format!("shape {shape:?} needs {expected} elements, {} are given", data.len()));
        }
        Ok(Tensor { shape, data })
    }

    /// A tensor with every element equal to `value`. The shape must be within [`ELEMENTS_MAX`].
    pub fn filled(shape: &[usize], value: f64) -> Tensor {
        Tensor { shape: shape.to_vec(), data: vec![value; shape.iter().product()] }
    }

    /// A tensor without axes.
    pub fn scalar(value: f64) -> Tensor {
        Tensor { shape: Vec::new(), data: vec![value] }
    }

    /// Extent of the last axis; 1 for a scalar.
    pub fn row_length(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }

    /// The rows along the last axis.
    pub fn rows(&self) -> std::slice::ChunksExact<'_, f64> {
        self.data.chunks_exact(self.row_length().max(1))
    }

    /// Whether every element is finite.
    pub fn is_finite(&self) -> bool {
        self.data.iter().all(|value| value.is_finite())
    }

    /// Every element through `function`.
    pub fn map(&self, function: impl FnMut(f64) -> f64) -> Tensor {
        Tensor { shape: self.shape.clone(), data: self.data.iter().copied().map(function).collect() }
    }

    /// Element by element; both shapes must be equal.
    pub fn zip(&self, other: &Tensor, mut function: impl FnMut(f64, f64) -> f64) -> Tensor {
        debug_assert_eq!(self.shape, other.shape);
        let data = self.data.iter().zip(&other.data).map(|(&left, &right)| function(left, right)).collect();
        Tensor { shape: self.shape.clone(), data }
    }

    /// The elements at `index` (offsets into `data`) in a new shape.
    pub(crate) fn select(&self, shape: Vec<usize>, index: &[usize]) -> Tensor {
        Tensor { shape, data: index.iter().map(|&offset| self.data[offset]).collect() }
    }

    /// Repeats along axes of extent one so that the result has `shape` (broadcasting rules of ONNX). The shape must
    /// be one that [`broadcast_shape`] returned for this tensor.
    pub fn broadcast(&self, shape: &[usize]) -> Tensor {
        if self.shape == shape {
            return self.clone();
        }
        self.select(shape.to_vec(), &broadcast_offsets(&self.shape, shape))
    }
}

/// Row-major strides of a shape.
pub fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (0..shape.len().saturating_sub(1)).rev() {
        strides[axis] = strides[axis + 1] * shape[axis + 1];
    }
    strides
}

/// Offsets visited when walking `shape` in row-major order with the given signed strides from `start`.
pub fn walk(shape: &[usize], steps: &[isize], start: usize) -> Vec<usize> {
    let count: usize = shape.iter().product();
    let mut offsets = Vec::with_capacity(count);
    let mut index = vec![0_usize; shape.len()];
    let mut offset = start as isize;
    for _ in 0..count {
        offsets.push(offset as usize);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            offset += steps[axis];
            if index[axis] < shape[axis] {
                break;
            }
            offset -= steps[axis] * shape[axis] as isize;
            index[axis] = 0;
        }
    }
    offsets
}

/// The shape that two operands broadcast to, or a phrase naming both.
pub fn broadcast_shape(left: &[usize], right: &[usize]) -> Result<Vec<usize>, String> {
    let rank = left.len().max(right.len());
    let extent = |shape: &[usize], axis: usize| {
        let missing = rank - shape.len();
        if axis < missing { 1 } else { shape[axis - missing] }
    };
    let mut shape = Vec::with_capacity(rank);
    for axis in 0..rank {
        shape.push(match (extent(left, axis), extent(right, axis)) {
            (a, b) if a == b => a,
            (1, b) => b,
            (a, 1) => a,
            _ => return Err(format!("shapes {left:?} and {right:?} do not broadcast")),
        });
    }
    element_count(&shape)?;
    Ok(shape)
}

/// For every element of `to`, the offset of the element of `from` that broadcasting puts there.
pub fn broadcast_offsets(from: &[usize], to: &[usize]) -> Vec<usize> {
    let missing = to.len() - from.len();
    let own = strides(from);
    let steps: Vec<isize> = (0..to.len())
        .map(|axis| if axis < missing || from[axis - missing] == 1 { 0 } else { own[axis - missing] as isize })
        .collect();
    walk(to, &steps, 0)
}

/// For every element of the transposed tensor, its offset in the original of shape `shape`.
pub fn transpose_offsets(shape: &[usize], permutation: &[usize]) -> Vec<usize> {
    let own = strides(shape);
    let steps: Vec<isize> = permutation.iter().map(|&axis| own[axis] as isize).collect();
    let result: Vec<usize> = permutation.iter().map(|&axis| shape[axis]).collect();
    walk(&result, &steps, 0)
}

/// A shape seen as `[outer, extent, inner]` around one axis.
pub fn around(shape: &[usize], axis: usize) -> (usize, usize, usize) {
    (shape[..axis].iter().product(), shape[axis], shape[axis + 1..].iter().product())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_that_overflow_or_do_not_match_are_refused() {
        assert!(element_count(&[usize::MAX, 2]).is_err());
        assert!(element_count(&[0, usize::MAX, usize::MAX]).is_err());
        assert!(Tensor::new(vec![2, 3], vec![0.0; 5]).unwrap_err().contains("[2, 3] needs 6"));
        assert!(broadcast_shape(&[2, 3], &[4]).unwrap_err().contains("do not broadcast"));
    }

    #[test]
    fn offsets_follow_row_major_order() {
        assert_eq!(transpose_offsets(&[2, 3], &[1, 0]), [0, 3, 1, 4, 2, 5]);
        assert_eq!(broadcast_offsets(&[2, 1], &[2, 2, 2]), [0, 0, 1, 1, 0, 0, 1, 1]);
        assert_eq!(walk(&[], &[], 7), [7]);
        assert_eq!(broadcast_shape(&[5, 1, 3], &[4, 1]).unwrap(), [5, 4, 3]);
    }
}
