//! Linear layers, products and sums: every one a single fused sum with a single truncation.

use super::super::Error;
use super::super::headroom::Fact;
use super::super::node::{Coefficient, Constant, Convolution, NodeId, Product, ProductKind, Term};
use super::super::tensor::{decode, encode};
use super::{Divisor, Lowering, Value, coefficient, rounding_of, shape_of};
use crate::graph::{self, Operator, Visibility, Window};
use catalogs::{Format, Scale};
use std::sync::Arc;

impl Lowering<'_> {
    /// The weights' gain takes up the value's, the bias is added at the sum's scale, one truncation follows.
    pub(super) fn linear_layer(&mut self, node: &graph::Node) -> Result<Value, Error> {
        let value = self.unmasked(node.inputs[0])?;
        let weights = Format { ring: self.formats.ring, scale: self.formats.weights };
        let weight = self.weight(node, 0, weights, value.gain, None)?;
        let bits = self.builder.format(value.node).scale.bits() + weights.scale.bits();
        let (kind, has_bias) = match &node.operator {
            Operator::Conv { bias, groups, window, .. } => {
                (ProductKind::Conv(convolution(window, *groups)), bias.is_some())
            }
            Operator::Dense { bias, .. } => (ProductKind::MatMul, bias.is_some()),
            _ => return Err(self.refuse(node, "it is no linear layer")),
        };
        let mut linear = Vec::new();
        if has_bias {
            let outputs = node.operator.constants()[1].shape().to_vec();
            let shape = match kind {
                ProductKind::Conv(_) => shape_of(&[outputs.as_slice(), &[1, 1]].concat())?,
                _ => shape_of(&outputs)?,
            };
            let scale = Scale::new(bits).ok_or_else(|| self.refuse(node, "the bias's scale is out of range"))?;
            let bias = self.weight(node, 1, Format { ring: self.formats.ring, scale }, 1.0, Some(shape))?;
            linear.push(Term { coefficient: Coefficient::ONE, value: bias });
        }
        let product = Product { coefficient: Coefficient::ONE, kind, left: value.node, right: weight };
        let scale = self.formats.activations;
        self.sum("linear", vec![product], linear, Constant::Scalar(0), scale).map(Value::plain)
    }

    /// A product of two secret matrices. A softmax whose division was postponed is divided here, after the product.
    pub(super) fn matmul(&mut self, node: &graph::Node) -> Result<Value, Error> {
        let left = self.values[node.inputs[0].index()].clone();
        let right = self.unmasked(node.inputs[1])?;
        let right_node = self.settled("right", &Value::plain(right.node))?;
        match left.divisor {
            Some(divisor) => {
                let scale = self.builder.format(left.node).scale;
                let weighted = self.product("weighted", ProductKind::MatMul, left.node, right_node, scale)?;
                let scale = self.formats.activations;
                let divided = self.product("divided", ProductKind::Hadamard, weighted, divisor.inverse, scale)?;
                let Divisor { exponentials, reciprocal, .. } = divisor;
                self.facts.insert(divided, Fact::Averaged { exponentials, reciprocal, values: right_node });
                Ok(Value::with_gain(divided, right.gain))
            }
            None => {
                let left = self.unmasked(node.inputs[0])?;
                let scale = self.formats.activations;
                let result = self.product("product", ProductKind::MatMul, left.node, right_node, scale)?;
                Ok(Value::with_gain(result, left.gain * right.gain))
            }
        }
    }

    /// left × right, truncated to `scale`.
    pub(super) fn product(
        &mut self,
        name: &str,
        kind: ProductKind,
        left: NodeId,
        right: NodeId,
        scale: Scale,
    ) -> Result<NodeId, Error> {
        let product = Product { coefficient: Coefficient::ONE, kind, left, right };
        self.sum(name, vec![product], Vec::new(), Constant::Scalar(0), scale)
    }

    pub(super) fn multiply(&mut self, node: &graph::Node) -> Result<Value, Error> {
        let (left, right) = (self.unmasked(node.inputs[0])?, self.unmasked(node.inputs[1])?);
        let scale = self.formats.activations;
        let result = self.product("product", ProductKind::Hadamard, left.node, right.node, scale)?;
        Ok(Value::with_gain(result, left.gain * right.gain))
    }

    /// A sum or difference: local, once both operands have one gain.
    pub(super) fn add(&mut self, node: &graph::Node) -> Result<Value, Error> {
        let (mut left, mut right) = (self.unmasked(node.inputs[0])?, self.unmasked(node.inputs[1])?);
        if left.gain != right.gain {
            left = Value::plain(self.settled("left", &left)?);
            right = Value::plain(self.settled("right", &right)?);
        }
        let sign = if node.operator == Operator::Sub { -1 } else { 1 };
        let bits = [left.node, right.node].map(|id| self.builder.format(id).scale.bits());
        let raise = |own: u8, sign: i64| {
            let raised = Coefficient::raise(bits[0].max(bits[1]) - own);
            raised.map(|raised| Coefficient { value: sign * raised.value, ..raised })
        };
        let (Some(a), Some(b)) = (raise(bits[0], 1), raise(bits[1], sign)) else {
            return Err(self.refuse(node, "the scales of its operands are too far apart"));
        };
        let sum = self.builder.linear("sum", self.formats.ring, &[(a, left.node), (b, right.node)])?;
        Ok(Value::with_gain(sum, left.gain))
    }

    /// A public number becomes gain; weights per element are a product.
    pub(super) fn scale(&mut self, node: &graph::Node) -> Result<Value, Error> {
        let Operator::Scale { factor } = &node.operator else { return Err(self.refuse(node, "it is no scale")) };
        let value = self.unmasked(node.inputs[0])?;
        if let Some(factor) = factor.public_scalar() {
            // A gain of zero or out of range is refused here, where the node can be named.
            coefficient(&node.name, factor, 0)?;
            return Ok(Value::with_gain(value.node, value.gain * factor));
        }
        let weights = Format { ring: self.formats.ring, scale: self.formats.weights };
        let weight = self.weight(node, 0, weights, value.gain, None)?;
        let scale = self.formats.activations;
        self.product("scaled", ProductKind::Hadamard, value.node, weight, scale).map(Value::plain)
    }

    pub(super) fn add_constant(&mut self, node: &graph::Node) -> Result<Value, Error> {
        let Operator::AddConstant { constant } = &node.operator else {
            return Err(self.refuse(node, "it adds no constant"));
        };
        let value = self.unmasked(node.inputs[0])?;
        let format = self.builder.format(value.node);
        let own = Term { coefficient: Coefficient::ONE, value: value.node };
        let mut off = 0.0f64;
        let (linear, public) = match constant.visibility {
            Visibility::Weight => {
                let weight = self.weight(node, 0, format, 1.0 / value.gain, None)?;
                (vec![own, Term { coefficient: Coefficient::ONE, value: weight }], Constant::Scalar(0))
            }
            Visibility::Structural => {
                let tensor = constant.tensor().map_err(|error| self.refuse(node, error.to_string()))?;
                let values: Vec<f64> = tensor.data.iter().map(|number| number / value.gain).collect();
                let public = encode(&constant.name, &shape_of(&tensor.shape)?, &values, format)?;
                let encoded = decode(&public, format.scale);
                off =
                    values.iter().zip(encoded).map(|(&value, encoded)| rounding_of(value, encoded)).fold(0.0, f64::max);
                (vec![own], Constant::Tensor(Arc::new(public)))
            }
        };
        let sum = self.sum("sum", Vec::new(), linear, public, format.scale)?;
        self.rounded_summand(sum, off);
        Ok(Value::with_gain(sum, value.gain))
    }
}

fn convolution(window: &Window, groups: usize) -> Convolution {
    let [top, left, bottom, right] = window.pads;
    Convolution {
        strides: window.strides,
        dilations: window.dilations,
        pads_before: [top, left],
        pads_after: [bottom, right],
        groups,
    }
}
