//! Rows as affine images of balls: what intervals cannot say of a layer norm's output and of all that follows it.
//!
//! The statement of a [`Ball`]: every row (last axis) of a node's integers is centre + u·A + s with ‖u‖₂ ≤ radius and
//! ‖s‖₂ ≤ slack, where A is the identity, diagonal or a matrix. A product with known weights keeps it (A becomes A·W),
//! and the element of column j then differs from its centre by at most ‖A·W_j‖·radius + ‖W_j‖·slack.

use super::Known;
use super::factor::{Factor, Stretch};
use super::function::MARGIN;
use super::interval::Interval;
use crate::circuit::layout;
use crate::circuit::node::Movement;
use crate::circuit::shape::Shape;
use std::sync::Arc;

impl layout::Word for f64 {
    fn plus(self, other: f64) -> f64 {
        self + other
    }
}

/// A of the statement.
#[derive(Clone)]
enum Spread {
    Identity,
    Diagonal(Arc<Vec<f64>>),
    Matrix(Arc<Stretch>),
}

/// See the module.
#[derive(Clone)]
pub(super) struct Ball {
    /// Per lane.
    centre: Arc<Vec<f64>>,
    row: usize,
    spread: Spread,
    radius: f64,
    slack: f64,
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|value| value * value).sum::<f64>().sqrt() * (1.0 + MARGIN)
}

impl Ball {
    /// Rows of norm at most `radius` around zero.
    pub fn around_zero(shape: &Shape, radius: f64) -> Ball {
        let (centre, row) = (Arc::new(vec![0.0; shape.lanes()]), shape.row_length());
        Ball { centre, row, spread: Spread::Identity, radius, slack: 0.0 }
    }

    /// The ball around a box.
    pub fn of_lanes(lanes: &[Interval], row: usize) -> Ball {
        let half = |lane: &Interval| lane.high as f64 / 2.0 - lane.low as f64 / 2.0;
        let centre: Vec<f64> = lanes.iter().map(|lane| lane.high as f64 / 2.0 + lane.low as f64 / 2.0).collect();
        let radius = lanes.chunks(row.max(1)).map(|lanes| norm(lanes.iter().map(half))).fold(0.0, f64::max);
        let largest = centre.chunks(row.max(1)).map(|row| norm(row.iter().copied())).fold(0.0, f64::max);
        let slack = largest * MARGIN;
        Ball { centre: Arc::new(centre), row, spread: Spread::Identity, radius, slack }
    }

    /// ‖u·A + s‖ of any row.
    fn deviation(&self) -> f64 {
        let stretch = match &self.spread {
            Spread::Identity => 1.0,
            Spread::Diagonal(factors) => factors.iter().fold(0.0, |largest, factor| factor.abs().max(largest)),
            Spread::Matrix(matrix) => matrix.norm(),
        };
        (stretch * self.radius + self.slack) * (1.0 + MARGIN)
    }

    /// The norm of any row.
    pub fn magnitude(&self) -> f64 {
        let centre = self.centre.chunks(self.row.max(1)).map(|row| norm(row.iter().copied())).fold(0.0, f64::max);
        centre + self.deviation()
    }

    /// The norm of any row minus its mean: taking the mean off is a projection.
    pub fn centred_magnitude(&self) -> f64 {
        let centred = |row: &[f64]| {
            let mean = row.iter().sum::<f64>() / row.len() as f64;
            norm(row.iter().map(|value| value - mean)) + norm(row.iter().copied()) * MARGIN
        };
        self.centre.chunks(self.row.max(1)).map(centred).fold(0.0, f64::max) + self.deviation()
    }

    /// Rows times a weight, and per column how far an element is from its centre.
    pub fn image(&self, factor: &Factor) -> (Ball, Vec<f64>) {
        let columns = factor.columns();
        let centre = factor.images(&self.centre);
        let (stretch, radius, slack) = match &self.spread {
            Spread::Identity => (Arc::clone(factor.plain()), self.radius, self.slack),
            Spread::Diagonal(factors) => (factor.stretched(factors), self.radius, self.slack),
            // A second matrix would be a product as large as the layers themselves.
            Spread::Matrix(_) => (Arc::clone(factor.plain()), self.deviation(), 0.0),
        };
        let (inner, outer) = (factor.plain().column_norms(), stretch.column_norms());
        // The centre's own rounding: n products of size at most ‖row‖·‖W_j‖.
        let largest = self.centre.chunks(self.row).map(|row| norm(row.iter().copied())).fold(0.0, f64::max);
        let lanes = outer.iter().zip(inner);
        let lanes = lanes.map(|(outer, inner)| outer * radius + inner * (slack + largest * MARGIN)).collect();
        let slack = norm(inner.iter().copied()) * (slack + largest * MARGIN);
        (Ball { centre: Arc::new(centre), row: columns, spread: Spread::Matrix(stretch), radius, slack }, lanes)
    }

    /// Rows times a factor per element.
    pub fn stretched(&self, factors: &[f64]) -> Ball {
        let (spread, radius) = match &self.spread {
            Spread::Identity => (factors.to_vec(), self.radius),
            Spread::Diagonal(own) => (own.iter().zip(factors).map(|(a, b)| a * b).collect(), self.radius),
            Spread::Matrix(_) => (factors.to_vec(), self.deviation()),
        };
        let largest = factors.iter().fold(0.0, |largest: f64, factor| factor.abs().max(largest));
        let centre = self.centre.chunks(self.row).flat_map(|row| row.iter().zip(factors).map(|(a, b)| a * b));
        let slack = if matches!(self.spread, Spread::Matrix(_)) { 0.0 } else { self.slack * largest };
        let (centre, row) = (Arc::new(centre.collect()), self.row);
        Ball { centre, row, spread: Spread::Diagonal(Arc::new(spread)), radius, slack }
    }

    /// Everything times a number.
    pub fn scaled(&self, factor: f64) -> Ball {
        let centre = Arc::new(self.centre.iter().map(|value| value * factor).collect());
        let (radius, slack) = (self.radius * factor.abs(), self.slack * factor.abs());
        Ball { centre, radius, slack, row: self.row, spread: self.spread.clone() }
    }

    /// Known lanes added: only the centre moves.
    pub fn shifted(mut self, lanes: &[f64]) -> Ball {
        let centre = Arc::make_mut(&mut self.centre);
        centre.iter_mut().zip(lanes).for_each(|(value, lane)| *value += lane);
        self
    }

    /// Rows of two nodes added.
    pub fn plus(&self, other: &Ball) -> Ball {
        let radius = self.deviation() + other.deviation();
        let moved = Ball { spread: Spread::Identity, radius, slack: 0.0, ..self.clone() };
        moved.shifted(&other.centre)
    }

    /// Each element off by at most `each`.
    pub fn loosened(mut self, each: f64) -> Ball {
        self.slack += each * (self.row as f64).sqrt() * (1.0 + MARGIN);
        self
    }

    /// After a movement of a tensor of `shape`; none where rows are no longer what they were.
    pub fn moved(&self, movement: &Movement, shape: &Shape, target: &Shape) -> Option<Ball> {
        let last = shape.rank().saturating_sub(1);
        let kept = |ball: &Ball| {
            let centre = layout::apply(movement, &[(ball.centre.as_slice(), shape)], target);
            Ball { centre: Arc::new(centre), ..ball.clone() }
        };
        match movement {
            Movement::Reshape { .. } => {
                let (from, to) = (shape.row_length(), target.row_length());
                if from == to {
                    Some(self.clone())
                } else if from % to == 0 {
                    Some(self.split(to))
                } else if to % from == 0 {
                    let radius = self.deviation() * ((to / from) as f64).sqrt() * (1.0 + MARGIN);
                    Some(Ball { row: to, spread: Spread::Identity, radius, slack: 0.0, ..self.clone() })
                } else {
                    None
                }
            }
            Movement::Broadcast { .. } if target.row_length() == shape.row_length() => Some(kept(self)),
            Movement::Transpose { permutation } if permutation.last() == Some(&last) => Some(kept(self)),
            Movement::Slice { axis, .. } | Movement::Gather { axis, .. } if *axis != last => Some(kept(self)),
            _ => None,
        }
    }

    /// Rows cut into parts of `length`.
    fn split(&self, length: usize) -> Ball {
        let largest = match &self.spread {
            Spread::Matrix(matrix) => matrix.norm_of_parts(length),
            Spread::Identity => 1.0,
            Spread::Diagonal(factors) => factors.iter().fold(0.0, |largest, factor| factor.abs().max(largest)),
        };
        let radius = (largest * self.radius + self.slack) * (1.0 + MARGIN);
        Ball { row: length, spread: Spread::Identity, radius, slack: 0.0, centre: Arc::clone(&self.centre) }
    }

    /// Intersects intervals of a product with what the centre and the columns' reach say.
    pub fn tighten(&self, reach: &[f64], lanes: &mut [Interval]) {
        for ((lane, centre), reach) in lanes.iter_mut().zip(self.centre.iter()).zip(reach.iter().cycle()) {
            let reach = reach + centre.abs() * MARGIN;
            *lane = lane.meet(super::function::integers(centre - reach, centre + reach, 0));
        }
    }
}

impl Known {
    /// What is known of the rows, at least that they lie in their lanes.
    pub(super) fn ball(&self, shape: &Shape) -> Ball {
        self.ball.clone().unwrap_or_else(|| Ball::of_lanes(&self.lanes, shape.row_length()))
    }
}
