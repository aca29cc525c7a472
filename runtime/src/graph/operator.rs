//! The closed set of operators that the whole runtime shares, and the shapes they produce.
//!
//! The level is what a protocol wants: weights are folded into the linear operators, every broadcast is explicit,
//! element-wise operators have operands of equal shape, and rows (softmax, layer norm, dense) lie on the last axis.

use serde::{Deserialize, Serialize};
use std::sync::Arc;

use super::error::Error;
use super::tensor::{Tensor, broadcast_shape, element_count};

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
        Constant { name: name.into(), visibility, shape: value.shape.clone(), value: Some(Arc::new(value)) }
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
    /// √x.
    SquareRoot,
    /// 1/x.
    Reciprocal,
}

impl Function {
    /// Every function, in declaration order.
    pub const ALL: [Function; 12] = [
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

    /// Shape of the result for inputs of the given shapes, or a phrase that says what does not fit.
    ///
    /// This is the one check that an operator and its inputs agree; the reference and the ranges rely on it.
    pub fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let expected = match self {
            Operator::Input | Operator::Constant { .. } => 0,
            Operator::MatMul | Operator::Add | Operator::Sub | Operator::Mul => 2,
            Operator::Concat { .. } => inputs.len().max(1),
            _ => 1,
        };
        if inputs.len() != expected {
            return Err(format!("it takes {expected} input(s), {} are given", inputs.len()));
        }
        let shape = match self {
            Operator::Input => return Err("the shape of an input is given by the model".into()),
            Operator::Constant { value } => value.shape().to_vec(),
            Operator::Concat { axis } => concat_shape(inputs, *axis)?,
            Operator::MatMul => matmul_shape(inputs[0], inputs[1])?,
            Operator::Add | Operator::Sub | Operator::Mul if inputs[0] == inputs[1] => inputs[0].to_vec(),
            Operator::Add | Operator::Sub | Operator::Mul => {
                return Err(format!("operands have shapes {:?} and {:?}", inputs[0], inputs[1]));
            }
            _ => self.unary_shape(inputs[0])?,
        };
        element_count(&shape)?;
        Ok(shape)
    }

    fn unary_shape(&self, input: &[usize]) -> Result<Vec<usize>, String> {
        match self {
            Operator::Conv { weight, bias, groups, window } => {
                conv_shape(input, weight, bias.as_ref(), *groups, window)
            }
            Operator::Dense { weight, bias } => dense_shape(input, weight, bias.as_ref()),
            Operator::Scale { factor: constant }
            | Operator::AddConstant { constant }
            | Operator::Mask { masked: constant } => broadcasts_to(constant.shape(), input),
            Operator::Reshape { shape } if element_count(shape)? == element_count(input)? => Ok(shape.clone()),
            Operator::Reshape { shape } => Err(format!("{input:?} cannot be reshaped to {shape:?}")),
            Operator::Broadcast { shape } => broadcasts_to(input, shape),
            Operator::Transpose { permutation } => {
                let mut sorted = permutation.clone();
                sorted.sort_unstable();
                if sorted.iter().copied().ne(0..input.len()) {
                    return Err(format!("{permutation:?} is no permutation of the axes of {input:?}"));
                }
                Ok(permutation.iter().map(|&axis| input[axis]).collect())
            }
            Operator::Slice { axes } => slice_shape(input, axes),
            Operator::Gather { axis, indices } => {
                let extent = *input.get(*axis).ok_or_else(|| format!("{input:?} has no axis {axis}"))?;
                if let Some(index) = indices.iter().find(|&&index| index >= extent) {
                    return Err(format!("index {index} is outside of axis {axis} of {input:?}"));
                }
                let mut shape = input.to_vec();
                shape[*axis] = indices.len();
                Ok(shape)
            }
            Operator::Pad { before, after } if before.len() == input.len() && after.len() == input.len() => {
                let grown = input.iter().zip(before).zip(after);
                grown
                    .map(|((&extent, &a), &b)| extent.checked_add(a)?.checked_add(b))
                    .collect::<Option<_>>()
                    .ok_or_else(|| "the padding overflows".into())
            }
            Operator::Pad { .. } => Err(format!("the padding does not name every axis of {input:?}")),
            Operator::ReduceSum { axes } => {
                let mut shape = input.to_vec();
                for &axis in axes {
                    *shape.get_mut(axis).ok_or_else(|| format!("{input:?} has no axis {axis}"))? = 1;
                }
                Ok(shape)
            }
            Operator::SumPool { window } | Operator::MaxPool { window } => {
                let [batch, channels, height, width] = image(input)?;
                let [height, width] = window.output(height, width)?;
                Ok(vec![batch, channels, height, width])
            }
            Operator::Softmax | Operator::LayerNorm { .. } => row_shape(self, input),
            _ => Ok(input.to_vec()),
        }
    }
}

fn row_shape(operator: &Operator, input: &[usize]) -> Result<Vec<usize>, String> {
    let Some(&length) = input.last().filter(|&&length| length > 0) else {
        return Err(format!("{input:?} has no rows"));
    };
    match operator.constants().iter().find(|constant| constant.shape() != [length]) {
        Some(constant) => Err(format!("'{}' has shape {:?}, rows have {length}", constant.name, constant.shape())),
        None => Ok(input.to_vec()),
    }
}

fn broadcasts_to(from: &[usize], to: &[usize]) -> Result<Vec<usize>, String> {
    match broadcast_shape(from, to) {
        Ok(shape) if shape == to => Ok(shape),
        _ => Err(format!("{from:?} does not broadcast to {to:?}")),
    }
}

/// An image batch, or a phrase.
pub(crate) fn image(input: &[usize]) -> Result<[usize; 4], String> {
    input
        .try_into()
        .map_err(|_| format!("needs [batch, channels, height, width], has {input:?} (two spatial axes are supported)"))
}

fn conv_shape(
    input: &[usize],
    weight: &Constant,
    bias: Option<&Constant>,
    groups: usize,
    window: &Window,
) -> Result<Vec<usize>, String> {
    let [batch, channels, height, width] = image(input)?;
    let [outputs, group_channels, rows, columns] = image(weight.shape())?;
    if groups == 0 || outputs % groups != 0 || group_channels.checked_mul(groups) != Some(channels) {
        return Err(format!("weight {:?} with {groups} group(s) does not fit input {input:?}", weight.shape()));
    }
    if [rows, columns] != window.kernel {
        return Err(format!("weight {:?} does not have the kernel {:?}", weight.shape(), window.kernel));
    }
    if let Some(bias) = bias.filter(|bias| bias.shape() != [outputs]) {
        return Err(format!("bias has shape {:?}, needs [{outputs}]", bias.shape()));
    }
    let [height, width] = window.output(height, width)?;
    Ok(vec![batch, outputs, height, width])
}

fn dense_shape(input: &[usize], weight: &Constant, bias: Option<&Constant>) -> Result<Vec<usize>, String> {
    let (Some((&last, leading)), &[rows, columns]) = (input.split_last(), weight.shape()) else {
        return Err(format!("input {input:?} does not fit a weight of shape {:?}", weight.shape()));
    };
    if last != rows {
        return Err(format!("input {input:?} does not fit a weight of shape {:?}", weight.shape()));
    }
    if let Some(bias) = bias.filter(|bias| bias.shape() != [columns]) {
        return Err(format!("bias has shape {:?}, needs [{columns}]", bias.shape()));
    }
    Ok(leading.iter().copied().chain([columns]).collect())
}

fn matmul_shape(left: &[usize], right: &[usize]) -> Result<Vec<usize>, String> {
    let mismatch = || format!("{left:?} and {right:?} cannot be multiplied as matrices");
    let ([a @ .., m, k], [b @ .., l, n]) = (left, right) else {
        return Err(mismatch());
    };
    if a != b || k != l {
        return Err(mismatch());
    }
    Ok(a.iter().copied().chain([*m, *n]).collect())
}

fn concat_shape(inputs: &[&[usize]], axis: usize) -> Result<Vec<usize>, String> {
    let mut shape = inputs.first().ok_or("it has no inputs")?.to_vec();
    if axis >= shape.len() {
        return Err(format!("{shape:?} has no axis {axis}"));
    }
    for input in &inputs[1..] {
        let fits = input.len() == shape.len() && (0..shape.len()).all(|i| i == axis || input[i] == shape[i]);
        if !fits {
            return Err(format!("{:?} and {input:?} cannot be joined along axis {axis}", inputs[0]));
        }
        shape[axis] = shape[axis].checked_add(input[axis]).ok_or("the joined axis overflows")?;
    }
    Ok(shape)
}

fn slice_shape(input: &[usize], axes: &[AxisSlice]) -> Result<Vec<usize>, String> {
    if axes.len() != input.len() {
        return Err(format!("the slice does not name every axis of {input:?}"));
    }
    for (slice, &extent) in axes.iter().zip(input) {
        let last = slice.length.saturating_sub(1) as i128 * slice.step as i128 + slice.start as i128;
        let inside = slice.start < extent && (0..extent as i128).contains(&last);
        if slice.length > 0 && !inside {
            return Err(format!("{slice:?} lies outside of {input:?}"));
        }
    }
    Ok(axes.iter().map(|slice| slice.length).collect())
}
