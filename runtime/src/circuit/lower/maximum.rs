//! Maxima by a tree of exact rectifiers: max(a, b) = b + max(a − b, 0), and max pooling with it.

use super::super::Error;
use super::super::headroom::Fact;
use super::super::node::{Coefficient, Construction, Movement, NodeId};
use super::super::shape::Shape;
use super::{Choice, Lowering, Value, choice};
use crate::graph::{self, Window};
use std::sync::Arc;
use verify::Certified;

impl Lowering<'_> {
    /// The maximum over an axis, which stays with extent 1. All differences must lie in the rectifier's window; one
    /// level of the tree halves the axis, and all its comparisons share their rounds.
    pub(super) fn maximum(
        &mut self,
        node: &graph::Node,
        relu: &Arc<Certified>,
        value: NodeId,
        axis: usize,
    ) -> Result<NodeId, Error> {
        let ring = self.builder.format(value).ring;
        let mut value = value;
        loop {
            let extent = self.builder.shape(value).extents().get(axis).copied().unwrap_or(1);
            if extent == 1 {
                return Ok(value);
            }
            let half = extent / 2;
            let slice = |start, length| Movement::Slice { axis, start, length, step: 1 };
            let left = self.builder.movement("left", slice(0, half), value)?;
            let right = self.builder.movement("right", slice(half, half), value)?;
            let difference = self.builder.linear(
                "difference",
                ring,
                &[(Coefficient::ONE, left), (Coefficient::MINUS_ONE, right)],
            )?;
            let excess = self.program(node, "relu", relu, difference)?;
            let larger =
                self.builder.linear("larger", ring, &[(Coefficient::ONE, right), (Coefficient::ONE, excess)])?;
            self.facts.insert(larger, Fact::Maximum { left, right });
            value = match extent % 2 {
                0 => larger,
                _ => {
                    let rest = self.builder.movement("rest", slice(2 * half, 1), value)?;
                    self.builder.concat("joined", axis, vec![larger, rest])?
                }
            };
        }
    }

    /// The maximum over a sliding window, taken over a new leading axis of the window's positions.
    pub(super) fn max_pool(&mut self, node: &graph::Node, window: &Window) -> Result<Value, Error> {
        let choice = self.choice(node)?;
        let Choice::Maximum { relu } = choice else { return Err(self.wrong_choice(node, choice)) };
        let relu = Arc::clone(relu);
        choice::require_exact_relu(&node.name, &relu)?;
        self.builder.describe(Construction::Maximum);
        let value = self.unmasked(node.inputs[0])?;
        let mut operand = self.settled("operand", &value)?;
        if window.pads != [0; 4] {
            operand = self.padded_low(operand, window, &relu)?;
        }
        let inner = Window { pads: [0; 4], ..window.clone() };
        let taps = self.taps(operand, &inner)?;
        let shape = self.builder.shape(taps[0]).clone();
        let stacked = Shape::new([&[1], shape.extents()].concat()).map_err(Error::Circuit)?;
        let rows = taps
            .into_iter()
            .map(|tap| self.builder.movement("position", Movement::Reshape { shape: stacked.clone() }, tap));
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        let stack = self.builder.concat("positions", 0, rows)?;
        let largest = self.maximum(node, &relu, stack, 0)?;
        self.builder.movement("pooled", Movement::Reshape { shape }, largest).map(Value::plain)
    }

    /// Padding that never wins: a public integer that no element may be below, a quarter of the rectifier's window.
    fn padded_low(&mut self, value: NodeId, window: &Window, relu: &Certified) -> Result<NodeId, Error> {
        let shape = self.builder.shape(value).clone();
        let padded = self.padded(value, window)?;
        let ones = vec![1i64; shape.lanes()];
        let [top, left, _, _] = window.pads;
        let inside = super::super::layout::pad(&ones, &shape, &[0, 0, top, left], self.builder.shape(padded));
        let replaced = Arc::new(inside.iter().map(|&inside| inside == 0).collect::<Vec<bool>>());
        let value = low_fill(relu);
        let filled = self.builder.movement("filled", Movement::Replace { replaced, value }, padded)?;
        self.facts.insert(filled, Fact::NotBelow(value));
        Ok(filled)
    }
}

/// The integer put where a maximum must not look.
pub(super) fn low_fill(relu: &Certified) -> i64 {
    let window = relu.claim().window;
    -(window.high.min(window.low.saturating_neg()) / 4)
}
