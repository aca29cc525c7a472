//! Rearrangements and sums over axes and windows: local, so a value's gain and scale pass through.

use super::super::Error;
use super::super::node::{Coefficient, Movement, NodeId};
use super::{Lowering, Value, shape_of};
use crate::graph::{self, Operator, Window};
use std::sync::Arc;

impl Lowering<'_> {
    pub(super) fn rearrange(&mut self, node: &graph::Node) -> Result<Value, Error> {
        if let Operator::Concat { axis } = &node.operator {
            return self.concat(node, *axis);
        }
        let value = self.unmasked(node.inputs[0])?;
        let mut result = value.node;
        match &node.operator {
            Operator::Reshape { shape } => {
                let shape = shape_of(shape)?;
                result = self.builder.movement("reshape", Movement::Reshape { shape }, result)?;
            }
            Operator::Transpose { permutation } => {
                let permutation = permutation.clone();
                result = self.builder.movement("transpose", Movement::Transpose { permutation }, result)?;
            }
            Operator::Broadcast { shape } => {
                let shape = shape_of(shape)?;
                result = self.builder.movement("broadcast", Movement::Broadcast { shape }, result)?;
            }
            Operator::Slice { axes } => {
                for (axis, slice) in axes.iter().enumerate() {
                    let whole = slice.start == 0 && slice.step == 1;
                    if whole && slice.length == self.builder.shape(result).extents()[axis] {
                        continue;
                    }
                    let (start, length, step) = (slice.start, slice.length, slice.step);
                    result = self.builder.movement("slice", Movement::Slice { axis, start, length, step }, result)?;
                }
            }
            Operator::Gather { axis, indices } => {
                let movement = Movement::Gather { axis: *axis, indices: Arc::new(indices.clone()) };
                result = self.builder.movement("gather", movement, result)?;
            }
            Operator::Pad { before, after } => {
                let movement = Movement::Pad { before: before.clone(), after: after.clone() };
                result = self.builder.movement("pad", movement, result)?;
            }
            Operator::ReduceSum { axes } => {
                for &axis in axes {
                    result = self.builder.movement("sum", Movement::SumAxis { axis }, result)?;
                }
            }
            Operator::SumPool { window } => {
                let taps = self.taps(result, window)?;
                let terms: Vec<_> = taps.into_iter().map(|tap| (Coefficient::ONE, tap)).collect();
                result = self.builder.linear("pool", self.formats.ring, &terms)?;
            }
            other => return Err(self.refuse(node, format!("{} cannot be run privately", other.name()))),
        }
        Ok(Value::with_gain(result, value.gain))
    }

    /// Operands of one gain and scale are joined as they are; others are brought to the activations' format first.
    fn concat(&mut self, node: &graph::Node, axis: usize) -> Result<Value, Error> {
        let mut values = node.inputs.iter().map(|&id| self.unmasked(id)).collect::<Result<Vec<_>, _>>()?;
        let same =
            |a: &Value, b: &Value| a.gain == b.gain && self.builder.format(a.node) == self.builder.format(b.node);
        if !values.windows(2).all(|pair| same(&pair[0], &pair[1])) {
            for value in &mut values {
                *value = Value::plain(self.settled("operand", value)?);
            }
        }
        let gain = values.first().map_or(1.0, |value| value.gain);
        let joined = self.builder.concat("concat", axis, values.iter().map(|value| value.node).collect())?;
        Ok(Value::with_gain(joined, gain))
    }

    /// Per position of a window's kernel, the element that every output sees there; zeros in the padding.
    pub(super) fn taps(&mut self, value: NodeId, window: &Window) -> Result<Vec<NodeId>, Error> {
        let padded = self.padded(value, window)?;
        let [height, width] = [2, 3].map(|axis| self.builder.shape(value).extents().get(axis).copied().unwrap_or(0));
        let output = window.output(height, width).map_err(Error::Circuit)?;
        let mut taps = Vec::new();
        for row in 0..window.kernel[0] {
            for column in 0..window.kernel[1] {
                let mut tap = padded;
                for (axis, position) in [row, column].into_iter().enumerate() {
                    let movement = Movement::Slice {
                        axis: axis + 2,
                        start: position * window.dilations[axis],
                        length: output[axis],
                        step: window.strides[axis] as isize,
                    };
                    tap = self.builder.movement("tap", movement, tap)?;
                }
                taps.push(tap);
            }
        }
        Ok(taps)
    }

    /// Zeros around the last two axes, as a window asks for.
    pub(super) fn padded(&mut self, value: NodeId, window: &Window) -> Result<NodeId, Error> {
        if window.pads == [0; 4] {
            return Ok(value);
        }
        let [top, left, bottom, right] = window.pads;
        let movement = Movement::Pad { before: vec![0, 0, top, left], after: vec![0, 0, bottom, right] };
        self.builder.movement("pad", movement, value)
    }
}
