//! Strided views of a tensor, as kernels read them.

use crate::circuit::Shape;

/// Lane i of a view is the element at start + Σ index·stride, modulo 2^64, of the i-th index of `axes` in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct View {
    start: u64,
    /// Extent and stride, outermost first.
    axes: Vec<(u64, u64)>,
}

impl View {
    /// Extents with their strides. Axes that continue each other are joined, so that most views have one.
    pub fn new(start: u64, extents: &[usize], strides: &[u64]) -> View {
        let mut axes: Vec<(u64, u64)> = Vec::with_capacity(extents.len());
        for (&extent, &stride) in extents.iter().zip(strides).filter(|(extent, _)| **extent != 1) {
            match axes.last_mut() {
                Some((outer, outer_stride)) if *outer_stride == stride.wrapping_mul(extent as u64) => {
                    (*outer, *outer_stride) = (*outer * extent as u64, stride);
                }
                _ => axes.push((extent as u64, stride)),
            }
        }
        View { start, axes }
    }

    /// The elements in their order.
    pub fn whole(lanes: usize) -> View {
        View::new(0, &[lanes], &[1])
    }

    /// `from` repeated along axes of extent 1.
    pub fn broadcast(from: &Shape, to: &Shape) -> View {
        let missing = to.rank() - from.rank();
        let own = from.strides();
        let stride = |axis: usize| match axis.checked_sub(missing) {
            Some(axis) if from.extents()[axis] != 1 => own[axis] as u64,
            _ => 0,
        };
        View::new(0, to.extents(), &(0..to.rank()).map(stride).collect::<Vec<_>>())
    }

    /// Start, rank, extents, strides.
    pub fn table(&self) -> Vec<u64> {
        let mut table = vec![self.start, self.axes.len() as u64];
        table.extend(self.axes.iter().map(|(extent, _)| extent));
        table.extend(self.axes.iter().map(|(_, stride)| stride));
        table
    }
}

/// Strides of a shape.
pub fn strides(shape: &Shape) -> Vec<u64> {
    shape.strides().into_iter().map(|stride| stride as u64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_that_continue_each_other_are_one() {
        let shape = |extents: &[usize]| Shape::new(extents).unwrap();
        assert_eq!(View::broadcast(&shape(&[2, 3, 4]), &shape(&[2, 3, 4])), View::whole(24));
        assert_eq!(View::broadcast(&shape(&[1, 4]), &shape(&[5, 3, 4])).axes, [(15, 0), (4, 1)]);
        assert_eq!(View::broadcast(&shape(&[]), &shape(&[5, 3])).axes, [(15, 0)]);
        assert_eq!(View::new(7, &[2, 1, 3], &[9, 5, 2]).table(), [7, 2, 2, 3, 9, 2]);
        assert_eq!(View::whole(1).table(), [0, 0]);
    }
}
