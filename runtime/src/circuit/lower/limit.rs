//! Clamps: comparisons with a public bound, exact at the activations' scale.

use super::super::Error;
use super::super::headroom::Fact;
use super::super::node::{Coefficient, Movement, NodeId};
use super::super::tensor::nearest;
use super::{Lowering, Value, rounding_of};
use crate::graph::operator::Side;
use crate::graph::{self};
use std::sync::Arc;

/// A value with its sign turned.
const NEGATED: Coefficient = Coefficient { value: -1, scale: 0 };

impl Lowering<'_> {
    /// max(x, bound), or min(x, bound) = −max(−x, −bound).
    pub(super) fn limit(&mut self, node: &graph::Node, side: Side, bound: f64, width: u8) -> Result<Value, Error> {
        let value = self.unmasked(node.inputs[0])?;
        let argument = self.settled("argument", &value)?;
        let ring = self.formats.ring;
        let operand = match side {
            Side::Below => argument,
            Side::Above => self.builder.linear("turned", ring, &[(NEGATED, argument)])?,
        };
        let signed = if side == Side::Below { bound } else { -bound };
        let value = nearest(signed, self.formats.activation())
            .ok_or_else(|| self.refuse(node, format!("its bound {bound} does not fit the activations' format")))?;
        let replaced = Arc::new(vec![true; self.builder.shape(operand).lanes()]);
        let limit = self.builder.movement("bound", Movement::Replace { replaced, value }, operand)?;
        let unit = (-f64::from(self.formats.activations.bits())).exp2();
        self.rounded_summand(limit, rounding_of(signed, value as f64 * unit));
        let largest = self.builder.maximum("limited", vec![operand, limit], width, 1)?;
        let result = match side {
            Side::Below => largest,
            Side::Above => self.builder.linear("turned back", ring, &[(NEGATED, largest)])?,
        };
        self.limited.insert(node.id, argument);
        Ok(Value::plain(result))
    }

    /// x − min(x, bound) for the x that was limited: both are known at one scale, and nothing is compared again.
    pub(super) fn excess(&mut self, node: &graph::Node, bound: f64) -> Result<Value, Error> {
        let limited: NodeId = self.unmasked(node.inputs[1])?.node;
        let Some(&argument) = self.limited.get(&node.inputs[1]) else {
            return Err(self.refuse(node, "what exceeds a bound is taken of a limited value only"));
        };
        let bound = nearest(bound, self.formats.activation())
            .ok_or_else(|| self.refuse(node, format!("its bound {bound} does not fit the activations' format")))?;
        let terms = [(Coefficient::ONE, argument), (NEGATED, limited)];
        let excess = self.builder.linear("excess", self.formats.ring, &terms)?;
        self.facts.insert(excess, Fact::Excess { argument, bound });
        Ok(Value::plain(excess))
    }
}
