//! Shape inference: the one check that an operator fits its inputs. The reference and the ranges rely on it.

use super::operator::{AxisSlice, Constant, Operator, Window};
use super::tensor::{broadcast_shape, element_count};

impl Operator {
    /// Shape of the result for inputs of the given shapes, or a phrase that says what does not fit.
    ///
    /// This is the one check that an operator and its inputs agree; the reference and the ranges rely on it.
    pub fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let expected = match self {
            Operator::Input | Operator::Constant { .. } => 0,
            Operator::MatMul | Operator::Add | Operator::Sub | Operator::Mul | Operator::Excess { .. } => 2,
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
            Operator::Add | Operator::Sub | Operator::Mul | Operator::Excess { .. } if inputs[0] == inputs[1] => {
                inputs[0].to_vec()
            }
            Operator::Add | Operator::Sub | Operator::Mul | Operator::Excess { .. } => {
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
            Operator::Limit { bound, width, .. } if !bound.is_finite() || !(2..=64).contains(width) => {
                Err(format!("it limits to {bound} by {width} bits"))
            }
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
