//! Shapes: the extents of a row-major tensor, bounded so that no product of extents can overflow.

use std::fmt;

/// Extents of a tensor, outermost first. A scalar has no axes and one lane; no extent is zero.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Shape(Vec<usize>);

impl Shape {
    /// The most lanes of one tensor: lanes index streams of masks.
    pub const LANES_MAX: usize = 1 << 31;

    /// A shape, or a phrase that says why these extents are refused.
    pub fn new(extents: impl Into<Vec<usize>>) -> Result<Shape, String> {
        let extents = extents.into();
        let lanes = extents.iter().try_fold(1usize, |product, &extent| product.checked_mul(extent));
        match lanes {
            Some(lanes) if (1..=Shape::LANES_MAX).contains(&lanes) => Ok(Shape(extents)),
            Some(0) => Err(format!("the shape {extents:?} has no elements")),
            _ => Err(format!("the shape {extents:?} has more than {} elements", Shape::LANES_MAX)),
        }
    }

    /// The shape of a single number.
    pub fn scalar() -> Shape {
        Shape(Vec::new())
    }

    /// Extent of each axis.
    pub fn extents(&self) -> &[usize] {
        &self.0
    }

    /// Number of axes.
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// Number of elements.
    pub fn lanes(&self) -> usize {
        self.0.iter().product()
    }

    /// Extent of the last axis; 1 for a scalar.
    pub fn row_length(&self) -> usize {
        self.0.last().copied().unwrap_or(1)
    }

    /// Elements from one index of an axis to the next.
    pub fn strides(&self) -> Vec<usize> {
        let mut strides = vec![1; self.rank()];
        for axis in (1..self.rank()).rev() {
            strides[axis - 1] = strides[axis] * self.0[axis];
        }
        strides
    }

    /// The same shape with one axis of another extent.
    pub fn with_extent(&self, axis: usize, extent: usize) -> Result<Shape, String> {
        let mut extents = self.0.clone();
        *extents.get_mut(axis).ok_or_else(|| format!("{self} has no axis {axis}"))? = extent;
        Shape::new(extents)
    }

    /// The shape that two operands broadcast to: axes are matched from the last, extent 1 repeats.
    pub fn broadcast(&self, other: &Shape) -> Result<Shape, String> {
        let rank = self.rank().max(other.rank());
        let extent = |shape: &Shape, axis: usize| match (axis + shape.rank()).checked_sub(rank) {
            Some(own) => shape.0[own],
            None => 1,
        };
        let mut extents = Vec::with_capacity(rank);
        for axis in 0..rank {
            extents.push(match (extent(self, axis), extent(other, axis)) {
                (left, right) if left == right => left,
                (1, right) => right,
                (left, 1) => left,
                _ => return Err(format!("the shapes {self} and {other} do not broadcast")),
            });
        }
        Shape::new(extents)
    }

    /// Whether repeating along axes of extent 1 gives `target`.
    pub fn broadcasts_to(&self, target: &Shape) -> bool {
        self.broadcast(target).is_ok_and(|shape| shape == *target)
    }

    /// The shape as (lanes before, extent, lanes after) around an axis. The axis must exist.
    pub fn around(&self, axis: usize) -> (usize, usize, usize) {
        (self.0[..axis].iter().product(), self.0[axis], self.0[axis + 1..].iter().product())
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overflowing_and_empty_shapes_are_refused() {
        assert!(Shape::new([usize::MAX, 2]).is_err());
        assert!(Shape::new([1 << 16, 1 << 16]).is_err());
        assert!(Shape::new([3, 0]).unwrap_err().contains("no elements"));
    }

    #[test]
    fn broadcasting_matches_from_the_last_axis() {
        let shape = |extents: &[usize]| Shape::new(extents).unwrap();
        assert_eq!(shape(&[5, 1, 3]).broadcast(&shape(&[4, 1])).unwrap(), shape(&[5, 4, 3]));
        assert!(shape(&[2, 3]).broadcast(&shape(&[4])).is_err());
        assert!(shape(&[3]).broadcasts_to(&shape(&[2, 3])));
        assert!(!shape(&[2, 3]).broadcasts_to(&shape(&[3])));
        assert_eq!(shape(&[2, 3, 4]).strides(), [12, 4, 1]);
    }
}
