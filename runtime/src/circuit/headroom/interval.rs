//! Interval arithmetic on integers, lane by lane, exact or marked as unbounded.

use super::super::ideal::Truncation;
use super::super::layout;
use super::super::node::{Convolution, Movement, ProductKind};
use super::super::shape::Shape;
use super::factor::Factor;
use super::narrow::{self, Right};
use catalogs::Ring;

/// All integers v with low ≤ v ≤ high; never empty.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Interval {
    /// The least.
    pub low: i128,
    /// The greatest.
    pub high: i128,
}

impl Interval {
    /// What an overflow gives: larger than any ring.
    const UNBOUNDED: Interval = Interval { low: i128::MIN, high: i128::MAX };

    /// Just `value`.
    pub fn point(value: i64) -> Interval {
        Interval { low: i128::from(value), high: i128::from(value) }
    }

    /// Both.
    pub fn hull(self, other: Interval) -> Interval {
        Interval { low: self.low.min(other.low), high: self.high.max(other.high) }
    }

    /// Common integers; `self` where there are none, which only a wrong fact could cause.
    pub fn meet(self, other: Interval) -> Interval {
        let met = Interval { low: self.low.max(other.low), high: self.high.min(other.high) };
        if met.low <= met.high { met } else { self }
    }

    fn plus(self, other: Interval) -> Interval {
        match (self.low.checked_add(other.low), self.high.checked_add(other.high)) {
            (Some(low), Some(high)) => Interval { low, high },
            _ => Interval::UNBOUNDED,
        }
    }

    fn times(self, other: Interval) -> Interval {
        if other.low == other.high && other.low != i128::MIN {
            return self.scaled(other.low);
        }
        let corners = [(self.low, other.low), (self.low, other.high), (self.high, other.low), (self.high, other.high)];
        let mut result: Option<Interval> = None;
        for (a, b) in corners {
            let Some(product) = a.checked_mul(b) else { return Interval::UNBOUNDED };
            let product = Interval { low: product, high: product };
            result = Some(result.map_or(product, |result| result.hull(product)));
        }
        result.unwrap_or(Interval::UNBOUNDED)
    }

    fn scaled(self, factor: i128) -> Interval {
        let (low, high) = if factor >= 0 { (self.low, self.high) } else { (self.high, self.low) };
        match (low.checked_mul(factor), high.checked_mul(factor)) {
            (Some(low), Some(high)) => Interval { low, high },
            _ => Interval::UNBOUNDED,
        }
    }

    /// The residues that it may have in `ring`.
    pub fn reduced(self, ring: Ring) -> Interval {
        if ring.contains(self.low) && ring.contains(self.high) { self } else { Interval::ring(ring) }
    }

    /// What is known of a residue of `ring` whose integer is said to lie in `bounds`. A residue of which nothing is known may
    /// have wrapped; then what is said of the integer says something of it only where the ring holds all of the bounds.
    pub fn told(self, bounds: Interval, ring: Ring) -> Interval {
        let holds = ring.contains(bounds.low) && ring.contains(bounds.high);
        if holds || !self.may_have_wrapped(ring) { self.meet(bounds) } else { self }
    }

    /// Whether nothing is known of a residue of `ring`.
    pub fn may_have_wrapped(self, ring: Ring) -> bool {
        self == Interval::ring(ring)
    }

    /// Every residue of `ring`.
    pub fn ring(ring: Ring) -> Interval {
        let limit = 1i128 << (ring.bits() - 1);
        Interval { low: -limit, high: limit - 1 }
    }

    /// The largest absolute value.
    pub fn magnitude(self) -> i128 {
        self.low.saturating_abs().max(self.high.saturating_abs())
    }
}

impl layout::Word for Interval {
    fn plus(self, other: Interval) -> Interval {
        Interval::plus(self, other)
    }
}

/// The hull of all lanes.
pub fn hull(lanes: &[Interval]) -> Interval {
    lanes.iter().copied().reduce(Interval::hull).unwrap_or_default()
}

/// Adds coefficient · value, broadcast to `shape`.
pub fn add_term(total: &mut [Interval], coefficient: i64, value: (&[Interval], &Shape), shape: &Shape) {
    let lanes = layout::broadcast(value.0, value.1, shape);
    for (total, lane) in total.iter_mut().zip(lanes) {
        *total = total.plus(lane.scaled(i128::from(coefficient)));
    }
}

/// Adds coefficient · lanes.
pub fn add_lanes(total: &mut [Interval], coefficient: i64, lanes: &[Interval]) {
    for (total, lane) in total.iter_mut().zip(lanes) {
        *total = total.plus(lane.scaled(i128::from(coefficient)));
    }
}

/// The lanes of left × right. `shape` is the result's.
pub fn product(
    kind: &ProductKind,
    left: (&[Interval], &Shape),
    right: (&[Interval], &Shape),
    shape: &Shape,
) -> Vec<Interval> {
    match kind {
        ProductKind::Hadamard => {
            let left = layout::broadcast(left.0, left.1, shape);
            let right = layout::broadcast(right.0, right.1, shape);
            left.into_iter().zip(right).map(|(a, b)| a.times(b)).collect()
        }
        ProductKind::MatMul => {
            let (inner, columns) = (left.1.row_length(), shape.row_length());
            let mut result = vec![Interval::default(); shape.lanes()];
            for (at, [a, b]) in matrices(left.1, right.1, shape).into_iter().enumerate() {
                let rows = shape.extents()[shape.rank() - 2];
                let left = &left.0[a * rows * inner..][..rows * inner];
                let right = &right.0[b * inner * columns..][..inner * columns];
                multiply(
                    left,
                    Right::Lanes(right),
                    &mut result[at * rows * columns..][..rows * columns],
                    inner,
                    columns,
                );
            }
            result
        }
        ProductKind::Conv(convolution) => convolve(convolution, left, right, shape),
    }
}

/// Per matrix of a product, the indices of the operands' matrices.
pub fn matrices(left: &Shape, right: &Shape, shape: &Shape) -> Vec<[usize; 2]> {
    let leading = |own: &Shape| Shape::new(&own.extents()[..own.rank() - 2]);
    let (Ok(batch), Ok(left), Ok(right)) = (leading(shape), leading(left), leading(right)) else { return Vec::new() };
    let index = |own: &Shape| {
        let count: Vec<i64> = (0..own.lanes() as i64).collect();
        layout::broadcast(&count, own, &batch)
    };
    index(&left).into_iter().zip(index(&right)).map(|(a, b)| [a as usize, b as usize]).collect()
}

fn multiply(left: &[Interval], right: Right<'_>, result: &mut [Interval], inner: usize, columns: usize) {
    // Rows of a batch often have the same bounds: one product serves them all.
    let mut distinct: Vec<&[Interval]> = Vec::new();
    let mut which = Vec::new();
    for row in left.chunks_exact(inner) {
        if distinct.last() != Some(&row) {
            distinct.push(row);
        }
        which.push(distinct.len() - 1);
    }
    let products = narrow::product(&distinct, right, inner, columns).unwrap_or_else(|| wide(&distinct, right, columns));
    for (result, which) in result.chunks_exact_mut(columns).zip(which) {
        result.copy_from_slice(&products[which * columns..][..columns]);
    }
}

fn wide(rows: &[&[Interval]], right: Right<'_>, columns: usize) -> Vec<Interval> {
    let mut products = vec![Interval::default(); rows.len() * columns];
    for (result, row) in products.chunks_exact_mut(columns).zip(rows) {
        for (at, &a) in row.iter().enumerate() {
            for (result, b) in result.iter_mut().zip(right.row(at, columns)) {
                *result = result.plus(a.times(b));
            }
        }
    }
    products
}

/// The lanes of left · right for a weight.
pub fn product_with_weight(left: (&[Interval], &Shape), right: &Factor) -> Vec<Interval> {
    let (inner, columns) = (left.1.row_length(), right.columns());
    let mut result = vec![Interval::default(); left.0.len() / inner.max(1) * columns];
    let points = Right::Points { values: right.values(), largest: right.hull().magnitude().unsigned_abs() };
    multiply(left.0, points, &mut result, inner, columns);
    result
}

fn convolve(
    convolution: &Convolution,
    image: (&[Interval], &Shape),
    weight: (&[Interval], &Shape),
    shape: &Shape,
) -> Vec<Interval> {
    let (image_extents, weight_extents) = (image.1.extents(), weight.1.extents());
    let (channels, input) = (weight_extents[1], [image_extents[2], image_extents[3]]);
    let (kernel, output) = ([weight_extents[2], weight_extents[3]], [shape.extents()[2], shape.extents()[3]]);
    let (group_outputs, positions) = (weight_extents[0] / convolution.groups, output[0] * output[1]);
    let (taps, pixels) = (channels * kernel[0] * kernel[1], channels * input[0] * input[1]);
    let mut result = vec![Interval::default(); shape.lanes()];
    for (at, result) in result.chunks_exact_mut(group_outputs * positions).enumerate() {
        let group = at % convolution.groups;
        let columns = layout::columns(&image.0[at * pixels..][..pixels], channels, input, convolution, kernel, output);
        let weight = &weight.0[group * group_outputs * taps..][..group_outputs * taps];
        multiply(weight, Right::Lanes(&columns), result, taps, positions);
    }
    result
}

/// Σ over a row of left · right, where both are the same row: squares are not negative.
pub fn row_squares(left: &[Interval], row: usize) -> Vec<Interval> {
    let square = |lane: &Interval| {
        let (low, high) = (lane.low.checked_mul(lane.low), lane.high.checked_mul(lane.high));
        let (Some(a), Some(b)) = (low, high) else { return Interval { low: 0, high: i128::MAX } };
        let inside = lane.low <= 0 && lane.high >= 0;
        Interval { low: if inside { 0 } else { a.min(b) }, high: a.max(b) }
    };
    left.chunks_exact(row).map(|row| row.iter().map(square).reduce(Interval::plus).unwrap_or_default()).collect()
}

/// The results of a truncation, or the first operand that may lie outside its window.
pub fn truncated(truncation: &Truncation, lanes: &mut [Interval]) -> Result<(), Interval> {
    for lane in lanes {
        if !truncation.serves(lane.low) || !truncation.serves(lane.high) {
            return Err(*lane);
        }
        let (low, high) = truncation.bounds(lane.low, lane.high);
        *lane = Interval { low, high };
    }
    Ok(())
}

/// The result of a movement.
pub fn moved(movement: &Movement, operands: &[(&[Interval], &Shape)], shape: &Shape, ring: Ring) -> Vec<Interval> {
    let mut lanes = layout::apply(movement, operands, shape);
    let ring = match movement {
        Movement::Narrow { ring } => *ring,
        _ => ring,
    };
    if let Movement::Replace { replaced, value } = movement {
        for (lane, _) in lanes.iter_mut().zip(replaced.iter()).filter(|(_, replaced)| **replaced) {
            *lane = Interval::point(*value);
        }
    }
    lanes.iter_mut().for_each(|lane| *lane = lane.reduced(ring));
    lanes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that is known of a residue holds for every integer that it can stand for.
    #[test]
    fn what_is_said_of_integers_is_not_said_of_residues_that_wrapped() {
        let ring = Ring::new(4).unwrap();
        for (low, high) in (-12..12).flat_map(|low| (low..12).map(move |high| (low, high))) {
            for (a, b) in (-12..12).flat_map(|low| (low..12).map(move |high| (low, high))) {
                let (own, bounds) = (Interval { low, high }, Interval { low: a, high: b });
                let told = own.reduced(ring).told(bounds, ring);
                for value in low.max(a)..=high.min(b) {
                    let residue = ring.residue(value);
                    assert!(told.low <= residue && residue <= told.high, "{value} in {own:?}, {bounds:?}: {told:?}");
                }
            }
        }
    }
}
