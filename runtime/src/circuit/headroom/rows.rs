//! How rows ([`Ball`]) travel through a circuit, and what they say of its lanes.

use super::ball::Ball;
use super::function::{MARGIN, upper};
use super::interval::{self, Interval};
use super::{Known, Proof};
use crate::circuit::Error;
use crate::circuit::layout;
use crate::circuit::node::{Movement, Node, NodeId, NodeKind, Product, ProductKind, Sum};
use crate::circuit::shape::Shape;
use catalogs::Function;
use verify::Certified;

impl Proof<'_> {
    /// An input in its box, rows of a promised norm. Encoding moves an element by at most half a unit.
    pub(super) fn input(&self, node: &Node, range: Interval, row_norm: Option<f64>) -> Known {
        let known = Known::from(vec![range; node.shape.lanes()]);
        let Some(norm) = row_norm else { return known };
        let radius = norm * (1u128 << node.format.scale.bits()) as f64 * (1.0 + MARGIN);
        let promised = Ball::around_zero(&node.shape, radius).loosened(1.0);
        let reach = vec![radius + 1.0; node.shape.row_length()];
        let mut known = Known { ball: Some(promised.clone()), ..known };
        promised.tighten(&reach, &mut known.lanes);
        known
    }

    pub(super) fn movement(&self, id: NodeId, movement: &Movement, operands: &[NodeId]) -> Result<Known, Error> {
        let (node, first) = (self.circuit.node(id), self.known(operands[0])?);
        let shape = &self.circuit.node(operands[0]).shape;
        let ring = self.circuit.node(operands[0]).format.ring;
        let lanes = operands.iter().map(|&operand| self.lanes(operand)).collect::<Result<Vec<_>, _>>()?;
        let mut lanes = interval::moved(movement, &lanes, &node.shape, ring);
        let ball = first.ball.as_ref().and_then(|ball| ball.moved(movement, shape, &node.shape));
        if let (Movement::SumAxis { axis }, Some(ball)) = (movement, &first.ball)
            && axis + 1 == shape.rank()
        {
            // |Σ x| ≤ √n·‖x‖: of many elements far less than what their intervals add up to.
            let bound = ball.magnitude() * (shape.row_length() as f64).sqrt() * (1.0 + MARGIN);
            let bounds = super::function::integers(-bound, bound, 0);
            lanes.iter_mut().for_each(|lane| *lane = lane.told(bounds, ring));
        }
        let columns = match movement {
            Movement::Transpose { permutation } if columns_were_rows(permutation) => {
                first.ball.as_ref().map(|ball| ball.magnitude())
            }
            _ => None,
        };
        Ok(Known { lanes, ball, total: moved_total(first.total, movement, shape), columns })
    }

    /// left × right of the result's shape, in lanes and, where it is known, in rows.
    pub(super) fn product(&self, product: &Product, shape: &Shape) -> Result<(Vec<Interval>, Option<Ball>), Error> {
        let left = self.lanes(product.left)?;
        if let (Some(factor), ProductKind::MatMul) = (self.factor(product.right), &product.kind) {
            let mut lanes = interval::product_with_weight(left, &factor);
            let (ball, reach) = self.known(product.left)?.ball(left.1).image(&factor);
            ball.tighten(&reach, &mut lanes);
            return Ok((lanes, Some(ball)));
        }
        let right = self.lanes(product.right)?;
        let mut lanes = interval::product(&product.kind, left, right, shape);
        let (known, other) = (self.known(product.left)?, self.known(product.right)?);
        let weight = |id: NodeId| matches!(self.circuit.node(id).kind, NodeKind::Weight(_));
        let ball = match (&product.kind, self.weight_of_two_axes(product.right)) {
            (ProductKind::MatMul, Some(factor)) => {
                let (ball, reach) = known.ball(left.1).image(&factor);
                ball.tighten(&reach, &mut lanes);
                Some(ball)
            }
            (ProductKind::MatMul, None) => {
                self.tighten(known, other, right, shape, &mut lanes);
                let rows = known.total.zip(other.ball.as_ref());
                rows.map(|(total, ball)| Ball::around_zero(shape, total * ball.magnitude() * (1.0 + MARGIN)))
            }
            // One factor per column: the weight's only axis above 1 is the last.
            (ProductKind::Hadamard, _)
                if weight(product.right)
                    && left.1 == shape
                    && right.1.row_length() == left.1.row_length()
                    && right.1.lanes() == left.1.row_length() =>
            {
                known.ball.as_ref().map(|ball| ball.stretched(&points(right.0)))
            }
            _ => None,
        };
        Ok((lanes, ball))
    }

    /// |Σ a·b| is at most ‖a‖₁·max|b| and ‖a‖₂·‖b‖₂, over columns b.
    fn tighten(
        &self,
        left: &Known,
        right: &Known,
        (values, right_shape): (&[Interval], &Shape),
        shape: &Shape,
        lanes: &mut [Interval],
    ) {
        let euclidean = left.ball.as_ref().map(|ball| ball.magnitude());
        if left.total.is_none() && euclidean.is_none() {
            return;
        }
        let (columns, rows) = (shape.row_length(), shape.extents()[shape.rank() - 2]);
        let inner = right_shape.extents()[right_shape.rank() - 2];
        for (at, [_, b]) in interval::matrices(right_shape, right_shape, shape).into_iter().enumerate() {
            let matrix = &values[b * inner * columns..][..inner * columns];
            let bound = |column: usize| {
                let magnitudes = (0..inner).map(|row| matrix[row * columns + column].magnitude() as f64);
                let largest = magnitudes.clone().fold(0.0, f64::max);
                let norm = magnitudes.map(|magnitude| magnitude * magnitude).sum::<f64>().sqrt();
                let norm = right.columns.map_or(norm, |known| known.min(norm));
                let bounds = [left.total.map(|total| total * largest), euclidean.map(|length| length * norm)];
                bounds.into_iter().flatten().fold(f64::INFINITY, f64::min) * (1.0 + MARGIN * inner as f64)
            };
            let bounds: Vec<f64> = (0..columns).map(bound).collect();
            let own = &mut lanes[at * rows * columns..][..rows * columns];
            for (lane, bound) in own.iter_mut().zip(bounds.iter().cycle()) {
                *lane = lane.meet(super::function::integers(-bound, *bound, 0));
            }
        }
    }

    /// Adds a sum's linear terms to the rows of its products; none where a part's rows are not known.
    pub(super) fn rows_of_sum(
        &self,
        sum: &Sum,
        products: Option<Ball>,
        constant: &[Interval],
        shape: &Shape,
    ) -> Result<Option<Ball>, Error> {
        let mut total = products.map(|ball| ball.shifted(&points(constant)));
        if total.is_none() && !sum.products.is_empty() {
            return Ok(None);
        }
        let mut known_points = Vec::new();
        for term in &sum.linear {
            let (lanes, own) = self.lanes(term.value)?;
            let factor = term.coefficient.value as f64;
            if lanes.iter().all(|lane| lane.low == lane.high) {
                let lanes: Vec<f64> = points(lanes).iter().map(|value| value * factor).collect();
                known_points.push(layout::broadcast(&lanes, own, shape));
                continue;
            }
            let Some(ball) = self.known(term.value)?.ball.as_ref().filter(|_| own == shape) else { return Ok(None) };
            let ball = ball.scaled(factor);
            total = Some(match total {
                Some(total) => total.plus(&ball),
                None => ball.shifted(&points(constant)),
            });
        }
        Ok(total.map(|ball| known_points.iter().fold(ball, |ball, lanes| ball.shifted(lanes))))
    }

    /// f(rows), where |f(x)| ≤ |x|: ‖f̂(x)‖ ≤ (1 + β)‖x‖ + α√n.
    pub(super) fn rows_of_program(&self, certified: &Certified, argument: NodeId) -> Result<Option<Ball>, Error> {
        let known = self.known(argument)?;
        let shrinks = matches!(
            certified.claim().function,
            Function::Gelu | Function::GeluTanh | Function::Silu | Function::Relu | Function::Tanh
        );
        let Some(ball) = known.ball.as_ref().filter(|_| shrinks) else { return Ok(None) };
        let (input, output) = (certified.program().input().1.bits(), certified.program().output().1.bits());
        let claim = certified.claim();
        let norm = ball.magnitude() / (1u128 << input) as f64;
        let norm = (norm * (1.0 + upper(&claim.relative_part()))) * (1u128 << output) as f64 * (1.0 + MARGIN);
        let error = upper(&claim.absolute_part()) * (1u128 << output) as f64;
        Ok(Some(Ball::around_zero(&self.circuit.node(argument).shape, norm).loosened(error)))
    }
}

/// The middles of lanes that are points.
fn points(lanes: &[Interval]) -> Vec<f64> {
    lanes.iter().map(|lane| lane.low as f64).collect()
}

/// Whether the last axis of the operand is the last axis but one of the result.
fn columns_were_rows(permutation: &[usize]) -> bool {
    let rank = permutation.len();
    rank >= 2 && permutation[rank - 2] == rank - 1
}

/// Σ |v| over a row, after a movement that keeps rows.
fn moved_total(total: Option<f64>, movement: &Movement, shape: &Shape) -> Option<f64> {
    let last = shape.rank().saturating_sub(1);
    let kept = match movement {
        Movement::Reshape { shape: target } | Movement::Broadcast { shape: target } => {
            target.row_length() == shape.row_length()
        }
        Movement::Transpose { permutation } => permutation.last() == Some(&last),
        Movement::Slice { .. } | Movement::Pad { .. } => true,
        Movement::Gather { axis, .. } => *axis != last,
        _ => false,
    };
    total.filter(|_| kept)
}
