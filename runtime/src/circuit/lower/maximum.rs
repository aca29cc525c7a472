//! Maxima over an axis, level by level in groups, and max pooling with it.

use super::super::Error;
use super::super::headroom::Fact;
use super::super::node::{Construction, Movement, NodeId};
use super::super::shape::Shape;
use super::{Choice, Comparisons, Lowering, Value};
use crate::graph::{self, Window};
use catalogs::protocol::Width;
use std::sync::Arc;

impl Lowering<'_> {
    /// The maximum over an axis, which stays with extent 1. Comparisons of one level share their rounds.
    pub(super) fn maximum(&mut self, by: &Comparisons, value: NodeId, axis: usize) -> Result<NodeId, Error> {
        let mut value = value;
        for level in 0.. {
            let extent = self.builder.shape(value).extents().get(axis).copied().unwrap_or(1);
            if extent == 1 {
                break;
            }
            let sizes = by.sizes(level, extent);
            // Groups of one size are one node; candidate i of all groups is one slice.
            let larger = sizes.iter().filter(|&&size| size == sizes[0]).count();
            let mut parts = Vec::new();
            for (first, count) in [(0, larger), (larger, sizes.len() - larger)] {
                if count > 0 {
                    parts.push(self.groups(by, value, axis, [first, count, sizes.len(), sizes[first]])?);
                }
            }
            value = if parts.len() == 1 { parts[0] } else { self.builder.concat("level", axis, parts)? };
        }
        Ok(value)
    }

    /// The maxima of `count` groups from `first` on, of `size` candidates each: candidate i of group j is at position
    /// i·`groups` + j of the axis.
    fn groups(
        &mut self,
        by: &Comparisons,
        value: NodeId,
        axis: usize,
        [first, count, groups, size]: [usize; 4],
    ) -> Result<NodeId, Error> {
        let candidate = |candidate: usize| {
            let slice = Movement::Slice { axis, start: candidate * groups + first, length: count, step: 1 };
            self.builder.movement("candidate", slice, value)
        };
        let candidates = (0..size).map(candidate).collect::<Result<Vec<_>, _>>()?;
        match candidates[..] {
            [only] => Ok(only),
            _ => {
                let width = Width { bits: by.width, dropped: by.coarse };
                self.builder.maximum("largest", candidates, width, by.joined)
            }
        }
    }

    /// The maximum over a sliding window, taken over a new leading axis of the window's positions.
    pub(super) fn max_pool(&mut self, node: &graph::Node, window: &Window) -> Result<Value, Error> {
        let choice = self.choice(node)?;
        let Choice::Maximum { maximum } = choice else { return Err(self.wrong_choice(node, choice)) };
        let maximum = maximum.clone();
        self.builder.describe(Construction::Maximum);
        let value = self.unmasked(node.inputs[0])?;
        let mut operand = self.settled("operand", &value)?;
        if window.pads != [0; 4] {
            operand = self.padded_low(operand, window, &maximum)?;
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
        let largest = self.maximum(&maximum, stack, 0)?;
        self.builder.movement("pooled", Movement::Reshape { shape }, largest).map(Value::plain)
    }

    /// Padding that never wins: a public integer that no element may be below.
    fn padded_low(&mut self, value: NodeId, window: &Window, by: &Comparisons) -> Result<NodeId, Error> {
        let shape = self.builder.shape(value).clone();
        let padded = self.padded(value, window)?;
        let ones = vec![1i64; shape.lanes()];
        let [top, left, _, _] = window.pads;
        let inside = super::super::layout::pad(&ones, &shape, &[0, 0, top, left], self.builder.shape(padded));
        let replaced = Arc::new(inside.iter().map(|&inside| inside == 0).collect::<Vec<bool>>());
        let value = by.low_fill();
        let filled = self.builder.movement("filled", Movement::Replace { replaced, value }, padded)?;
        self.facts.insert(filled, Fact::NotBelow(value));
        Ok(filled)
    }
}
