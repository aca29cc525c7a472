//! The closed set of operators that the whole runtime shares, and the shapes they produce.
//!
//! The level is what a protocol wants: weights are folded into the linear operators, every broadcast is explicit,
//! element-wise operators have operands of equal shape, and rows (softmax, layer norm, dense) lie on the last axis.

use serde::{Deserialize, Serialize};
use std::sync::Arc;

use super::error::Error;
use super::tensor::Tensor;

/// Who may know a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Visibility {
    /// Follows from the architecture (a shape, 1/√d, a mask): public, like the graph itself.
    Structural,
    /// Came from a trained tensor of the file: secret to the model's owner.
    Weight,
}

/// A constant tensor. In a graph without weights ([`super::Graph::without_weights`]) its value may be withheld.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Constant {
    /// Name in the file, or of the node it was folded from.
    pub name: String,
    /// Who may know the value.
    pub visibility: Visibility,
    shape: Vec<usize>,
    value: Option<Arc<Tensor>>,
}

impl Constant {
    /// A constant with a known value.
    pub fn new(name: impl Into<String>, visibility: Visibility, value: Tensor) -> Constant {
        Constant::shared(name, visibility, Arc::new(value))
    }

    /// The same without a copy of its own.
    pub(crate) fn shared(name: impl Into<String>, visibility: Visibility, value: Arc<Tensor>) -> Constant {
        Constant { name: name.into(), visibility, shape: value.shape.clone(), value: Some(value) }
    }

    /// Extent of each axis.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The value, or [`Error::Withheld`].
    pub fn tensor(&self) -> Result<&Tensor, Error> {
        self.value.as_deref().ok_or_else(|| Error::Withheld(self.name.clone()))
    }

    /// The value where the constant is a public scalar.
    pub fn public_scalar(&self) -> Option<f64> {
        match &self.value {
            Some(value) if self.visibility == Visibility::Structural && value.data.len() == 1 => Some(value.data[0]),
            _ => None,
        }
    }

    /// The value where the constant is a single number, known here.
    pub(crate) fn scalar(&self) -> Option<f64> {
        self.value.as_deref().filter(|value| value.data.len() == 1).map(|value| value.data[0])
    }

    /// Whether the value, if there is one, is finite and has the stated shape.
    pub(crate) fn is_consistent(&self) -> bool {
        let stated = super::tensor::element_count(&self.shape);
        let fits = |tensor: &Tensor| {
            tensor.shape == self.shape && stated.as_ref() == Ok(&tensor.data.len()) && tensor.is_finite()
        };
        stated.is_ok() && self.value.as_deref().is_none_or(fits)
    }

    /// The same constant, its value removed if it is a weight.
    pub(crate) fn withhold_weight(&mut self) {
        if self.visibility == Visibility::Weight {
            self.value = None;
        }
    }
}

/// A scalar function applied to every element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Function {
    /// x·Φ(x) with the normal distribution function Φ.
    Gelu,
    /// ½x(1 + tanh(√(2/π)(x + 0.044715x³))).
    GeluTanh,
    /// x/(1 + e⁻ˣ).
    Silu,
    /// 1/(1 + e⁻ˣ).
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// max(x, 0).
    Relu,
    /// Error function.
    Erf,
    /// eˣ.
    Exp,
    /// Natural logarithm.
    Logarithm,
    /// ln(1 + eˣ).
    Softplus,
    /// x·tanh(ln(1 + eˣ)).
    Mish,
    /// √x.
    SquareRoot,
    /// 1/x.
    Reciprocal,
}

impl Function {
    /// Every function, in declaration order.
    pub const ALL: [Function; 13] = [
        Function::Gelu,
        Function::GeluTanh,
        Function::Silu,
        Function::Sigmoid,
        Function::Tanh,
        Function::Relu,
        Function::Erf,
        Function::Exp,
        Function::Logarithm,
        Function::Softplus,
        Function::Mish,
        Function::SquareRoot,
        Function::Reciprocal,
    ];

    /// Lower-case name for tables and messages.
    pub fn name(self) -> &'static str {
        match self {
            Function::Gelu => "gelu",
            Function::GeluTanh => "gelu-tanh",
            Function::Silu => "silu",
            Function::Sigmoid => "sigmoid",
            Function::Tanh => "tanh",
            Function::Relu => "relu",
            Function::Erf => "erf",
            Function::Exp => "exp",
            Function::Logarithm => "log",
            Function::Softplus => "softplus",
            Function::Mish => "mish",
            Function::SquareRoot => "sqrt",
            Function::Reciprocal => "reciprocal",
        }
    }
}

/// A window that slides over the last two axes of `[batch, channels, height, width]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Height and width in elements.
    pub kernel: [usize; 2],
    /// Steps down and right.
    pub strides: [usize; 2],
    /// Distance between neighbouring elements of the window, down and right.
    pub dilations: [usize; 2],
    /// Padding: top, left, bottom, right.
    pub pads: [usize; 4],
}

impl Window {
    /// Extents of the output for an input of `height` × `width`, or a phrase.
    pub fn output(&self, height: usize, width: usize) -> Result<[usize; 2], String> {
        let mut result = [0; 2];
        for (axis, extent) in [height, width].into_iter().enumerate() {
            let padded = extent + self.pads[axis] + self.pads[axis + 2];
            let span = self.dilations[axis] * (self.kernel[axis] - 1) + 1;
            if padded < span {
                return Err(format!("a window of {span} does not fit into {extent} padded to {padded}"));
            }
            result[axis] = (padded - span) / self.strides[axis] + 1;
        }
        Ok(result)
    }

    /// Row or column of the input (axis 0 or 1) that output position `at` sees at kernel position `kernel`; `None`
    /// in the padding.
    pub fn source(&self, axis: usize, at: usize, kernel: usize, extent: usize) -> Option<usize> {
        let position = at * self.strides[axis] + kernel * self.dilations[axis];
        position.checked_sub(self.pads[axis]).filter(|&position| position < extent)
    }
}

/// What is taken along one axis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AxisSlice {
    /// First index.
    pub start: usize,
    /// Number of elements.
    pub length: usize,
    /// Distance between elements; negative walks backwards.
    pub step: isize,
}

/// A side of a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    /// What lies below the bound becomes the bound.
    Below,
    /// What lies above the bound becomes the bound.
    Above,
}

/// One operation of the graph. Unless stated otherwise it has one input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Operator {
    /// A tensor of the input's owner. No inputs.
    Input,
    /// A constant used as a value (a class token, for example). No inputs.
    Constant {
        /// Its value.
        value: Constant,
    },
    /// Convolution of `[batch, channels, height, width]`.
    Conv {
        /// `[outputs, channels / groups, kernel height, kernel width]`.
        weight: Constant,
        /// `[outputs]`.
        bias: Option<Constant>,
        /// Channel groups.
        groups: usize,
        /// Geometry.
        window: Window,
    },
    /// Product of the last axis with a constant matrix.
    Dense {
        /// `[in, out]`.
        weight: Constant,
        /// `[out]`.
        bias: Option<Constant>,
    },
    /// Two inputs `[.., m, k]` and `[.., k, n]` with equal leading axes.
    MatMul,
    /// Two inputs of equal shape.
    Add,
    /// Two inputs of equal shape, the second subtracted.
    Sub,
    /// Two inputs of equal shape, multiplied element by element.
    Mul,
    /// Product with a constant that broadcasts to the input's shape.
    Scale {
        /// The factor.
        factor: Constant,
    },
    /// Sum with a constant that broadcasts to the input's shape.
    AddConstant {
        /// The summand.
        constant: Constant,
    },
    /// The same elements in another shape (the node's).
    Reshape {
        /// New shape.
        shape: Vec<usize>,
    },
    /// Axis `i` of the result is axis `permutation[i]` of the input.
    Transpose {
        /// Order of the axes.
        permutation: Vec<usize>,
    },
    /// Repeats along axes of extent one.
    Broadcast {
        /// New shape.
        shape: Vec<usize>,
    },
    /// Part of a tensor.
    Slice {
        /// One entry per axis.
        axes: Vec<AxisSlice>,
    },
    /// One or more inputs, joined along an axis.
    Concat {
        /// The axis.
        axis: usize,
    },
    /// Rows picked by public indices.
    Gather {
        /// The axis that is indexed.
        axis: usize,
        /// Non-negative positions.
        indices: Vec<usize>,
    },
    /// Zeros around a tensor.
    Pad {
        /// Zeros before, per axis.
        before: Vec<usize>,
        /// Zeros after, per axis.
        after: Vec<usize>,
    },
    /// Sum over axes, which stay with extent one. (A mean is this and a [`Operator::Scale`].)
    ReduceSum {
        /// The axes, ascending.
        axes: Vec<usize>,
    },
    /// Sum over a sliding window, padding counted as zero. (Average pooling is this and a [`Operator::Scale`].)
    SumPool {
        /// Geometry.
        window: Window,
    },
    /// Maximum over a sliding window; padding never wins.
    MaxPool {
        /// Geometry.
        window: Window,
    },
    /// A scalar function of every element.
    Activation {
        /// The function.
        function: Function,
    },
    /// Softmax of every row (last axis).
    Softmax,
    /// (x − mean)/√(variance + epsilon)·gamma + beta of every row (last axis).
    LayerNorm {
        /// `[row length]`; one where absent.
        gamma: Option<Constant>,
        /// `[row length]`; zero where absent.
        beta: Option<Constant>,
        /// Added to the variance.
        epsilon: f64,
    },
    /// Replaces masked positions so that a softmax gives them weight zero.
    Mask {
        /// 1 at masked positions, 0 elsewhere; broadcasts to the input's shape. Public.
        masked: Constant,
    },
    /// The greater (for [`Side::Below`]) or the less of an element and a public bound.
    Limit {
        /// Which elements change.
        side: Side,
        /// The bound.
        bound: f64,
        /// Bits of the comparison.
        width: u8,
    },
    /// Two inputs, x and x limited above by the bound: x − min(x, bound).
    Excess {
        /// The bound.
        bound: f64,
    },
}

/// What [`Operator::Mask`] puts at masked positions in the reference.
pub const MASKED: f64 = -1e4;

impl Operator {
    /// Lower-case name for tables and messages.
    pub fn name(&self) -> &'static str {
        match self {
            Operator::Input => "input",
            Operator::Constant { .. } => "constant",
            Operator::Conv { .. } => "convolution",
            Operator::Dense { .. } => "dense",
            Operator::MatMul => "matrix product",
            Operator::Add => "add",
            Operator::Sub => "subtract",
            Operator::Mul => "multiply",
            Operator::Scale { .. } => "scale",
            Operator::AddConstant { .. } => "add constant",
            Operator::Reshape { .. } => "reshape",
            Operator::Transpose { .. } => "transpose",
            Operator::Broadcast { .. } => "broadcast",
            Operator::Slice { .. } => "slice",
            Operator::Concat { .. } => "concat",
            Operator::Gather { .. } => "gather",
            Operator::Pad { .. } => "pad",
            Operator::ReduceSum { .. } => "sum",
            Operator::SumPool { .. } => "sum pool",
            Operator::MaxPool { .. } => "max pool",
            Operator::Activation { function } => function.name(),
            Operator::Softmax => "softmax",
            Operator::LayerNorm { .. } => "layer norm",
            Operator::Mask { .. } => "mask",
            Operator::Limit { .. } => "limit",
            Operator::Excess { .. } => "excess",
        }
    }

    /// The constants that the operator holds.
    pub fn constants(&self) -> Vec<&Constant> {
        match self {
            Operator::Constant { value } => vec![value],
            Operator::Conv { weight, bias, .. } | Operator::Dense { weight, bias } => {
                std::iter::once(weight).chain(bias).collect()
            }
            Operator::Scale { factor } => vec![factor],
            Operator::AddConstant { constant } => vec![constant],
            Operator::LayerNorm { gamma, beta, .. } => gamma.iter().chain(beta).collect(),
            Operator::Mask { masked } => vec![masked],
            _ => Vec::new(),
        }
    }

    pub(crate) fn constants_mut(&mut self) -> Vec<&mut Constant> {
        match self {
            Operator::Constant { value } => vec![value],
            Operator::Conv { weight, bias, .. } | Operator::Dense { weight, bias } => {
                std::iter::once(weight).chain(bias).collect()
            }
            Operator::Scale { factor } => vec![factor],
            Operator::AddConstant { constant } => vec![constant],
            Operator::LayerNorm { gamma, beta, .. } => gamma.iter_mut().chain(beta).collect(),
            Operator::Mask { masked } => vec![masked],
            _ => Vec::new(),
        }
    }
}
