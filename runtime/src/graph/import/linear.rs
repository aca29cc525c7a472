//! Matrix products, the geometry of windows, and batch norm.

use super::builder::{Builder, Literal, Value};
use super::call::{Call, Refusal, shape_of};
use super::elementwise::{add, multiply, scale};
use crate::graph::operator::{Operator, Window};
use crate::graph::shapes::image;
use crate::graph::tensor::broadcast_shape;

/// The geometry of a convolution or a pooling.
pub(super) fn window(builder: &Builder, call: &Call, input: &Value, kernel: [usize; 2]) -> Result<Window, Refusal> {
    let [_, _, height, width] = image(builder.shape(input)).map_err(Refusal::Unsupported)?;
    let kernel = call.geometry("kernel_shape", 1, kernel)?;
    if kernel.contains(&0) {
        return Err(Refusal::Invalid(format!("its kernel is {kernel:?}")));
    }
    let mut window = Window {
        kernel,
        strides: call.geometry("strides", 1, [1, 1])?,
        dilations: call.geometry("dilations", 1, [1, 1])?,
        pads: call.geometry("pads", 0, [0; 4])?,
    };
    let mode = call.string("auto_pad", "NOTSET");
    match mode.as_str() {
        "NOTSET" | "" => {}
        "VALID" => window.pads = [0; 4],
        "SAME_UPPER" | "SAME_LOWER" => {
            for (axis, extent) in [height, width].into_iter().enumerate() {
                let stride = window.strides[axis];
                let span = window.dilations[axis] * (window.kernel[axis] - 1) + 1;
                let total = ((extent.div_ceil(stride) - 1) * stride + span).saturating_sub(extent);
                let (small, large) = (total / 2, total - total / 2);
                let upper = mode == "SAME_UPPER";
                (window.pads[axis], window.pads[axis + 2]) = if upper { (small, large) } else { (large, small) };
            }
        }
        other => return Err(Refusal::Invalid(format!("its auto_pad is '{other}'"))),
    }
    Ok(window)
}

pub(super) fn gemm(builder: &mut Builder, call: &Call) -> Result<Value, Refusal> {
    let mut operands = [call.input(0)?, call.input(1)?];
    for (operand, attribute) in operands.iter_mut().zip(["transA", "transB"]) {
        if builder.shape(operand).len() != 2 {
            return Err(Refusal::Invalid(format!("its operand has shape {:?}, not two axes", builder.shape(operand))));
        }
        if call.integer(attribute, 0) != 0 {
            *operand = transpose_last(builder, operand)?;
        }
    }
    let product = matrix_product(builder, &operands[0], &operands[1])?;
    let product = scale(builder, &product, call.real("alpha", 1.0))?;
    match call.optional(2) {
        None => Ok(product),
        Some(summand) => {
            let summand = scale(builder, &summand, call.real("beta", 1.0))?;
            add(builder, &product, &summand)
        }
    }
}

fn transpose_last(builder: &mut Builder, value: &Value) -> Result<Value, Refusal> {
    let rank = builder.shape(value).len();
    let mut permutation: Vec<usize> = (0..rank).collect();
    permutation.swap(rank - 2, rank - 1);
    builder.emit(Operator::Transpose { permutation }, std::slice::from_ref(value))
}

/// A literal that is one matrix, whatever leading axes of extent one it has.
fn matrix(value: &Value) -> Option<Literal> {
    let Value::Literal(literal) = value else {
        return None;
    };
    let [leading @ .., rows, columns] = literal.tensor.shape.as_slice() else {
        return None;
    };
    leading.iter().all(|&extent| extent == 1).then(|| literal.reshaped(vec![*rows, *columns]))
}

pub(super) fn matrix_product(builder: &mut Builder, left: &Value, right: &Value) -> Result<Value, Refusal> {
    let (a, b) = (shape_of(builder, left), shape_of(builder, right));
    if a.len() < 2 || b.len() < 2 {
        return vector_product(builder, left, right);
    }
    let literals = matches!((left, right), (Value::Literal(_), Value::Literal(_)));
    if let Some(weight) = matrix(right)
        && !literals
    {
        let product =
            builder.emit(Operator::Dense { weight: weight.constant(), bias: None }, std::slice::from_ref(left))?;
        return lead(builder, product, b.len());
    }
    if let Some(weight) = matrix(left)
        && !literals
    {
        // A·B = (Bᵀ·Aᵀ)ᵀ with the constant on the right.
        let flipped = transpose_last(builder, right)?;
        let Value::Literal(weight) = transpose_last(builder, &Value::Literal(weight))? else {
            return Err(Refusal::Invalid("its weight is not constant".into()));
        };
        let product = builder.emit(Operator::Dense { weight: weight.constant(), bias: None }, &[flipped])?;
        let product = transpose_last(builder, &product)?;
        return lead(builder, product, a.len());
    }
    let leading = broadcast_shape(&a[..a.len() - 2], &b[..b.len() - 2])?;
    let mut operands = Vec::with_capacity(2);
    for (value, shape) in [(left, a), (right, b)] {
        let own = &shape[shape.len() - 2..];
        let value = lead(builder, value.clone(), leading.len() + 2)?;
        let shape = leading.iter().chain(own).copied().collect();
        operands.push(builder.emit(Operator::Broadcast { shape }, &[value])?);
    }
    builder.emit(Operator::MatMul, &operands)
}

/// Leading axes of extent one until there are `rank` axes.
fn lead(builder: &mut Builder, value: Value, rank: usize) -> Result<Value, Refusal> {
    let own = builder.shape(&value);
    let missing = rank.saturating_sub(own.len());
    let shape = std::iter::repeat_n(1, missing).chain(own.iter().copied()).collect();
    builder.emit(Operator::Reshape { shape }, &[value])
}

/// A vector operand is a row on the left and a column on the right; its axis disappears from the result.
fn vector_product(builder: &mut Builder, left: &Value, right: &Value) -> Result<Value, Refusal> {
    let (a, b) = (shape_of(builder, left), shape_of(builder, right));
    if a.is_empty() || b.is_empty() {
        return Err(Refusal::Invalid("a scalar has no matrix product".into()));
    }
    let row = if a.len() == 1 { vec![1, a[0]] } else { a.clone() };
    let column = if b.len() == 1 { vec![b[0], 1] } else { b.clone() };
    let row = builder.emit(Operator::Reshape { shape: row }, std::slice::from_ref(left))?;
    let column = builder.emit(Operator::Reshape { shape: column }, std::slice::from_ref(right))?;
    let product = matrix_product(builder, &row, &column)?;
    let mut shape = shape_of(builder, &product);
    let rank = shape.len();
    if b.len() == 1 {
        shape.remove(rank - 1);
    }
    if a.len() == 1 {
        shape.remove(rank - 2);
    }
    builder.emit(Operator::Reshape { shape }, &[product])
}

/// Inference-time batch norm: a scale and a summand per channel, which rewriting folds into a convolution before it.
pub(super) fn batch_normalisation(builder: &mut Builder, call: &Call) -> Result<Value, Refusal> {
    let input = call.input(0)?;
    let shape = shape_of(builder, &input);
    if call.integer("training_mode", 0) != 0 {
        return Err(Refusal::Unsupported("it is in training mode; export the model for inference".into()));
    }
    let names = ["scale", "bias", "mean", "variance"];
    let mut parameters = Vec::with_capacity(4);
    for (index, name) in names.into_iter().enumerate() {
        let parameter = call.literal(index + 1, name)?;
        if shape.len() < 2 || parameter.tensor.shape != [shape[1]] {
            let given = &parameter.tensor.shape;
            return Err(Refusal::Invalid(format!("its {name} has shape {given:?}, the input has {shape:?}")));
        }
        parameters.push(parameter);
    }
    let epsilon = call.real("epsilon", 1e-5);
    let [gain, bias, mean, variance] = [0, 1, 2, 3].map(|index| parameters[index].tensor.as_ref());
    let factor = gain.zip(variance, |gain, variance| gain / (variance + epsilon).sqrt());
    let shift = bias.zip(&mean.zip(&factor, |mean, factor| mean * factor), |bias, shift| bias - shift);
    let mut per_channel = vec![1; shape.len()];
    per_channel[1] = shape[1];
    let [factor, shift] = [factor, shift].map(|tensor| {
        Value::Literal(Literal { tensor: tensor.into(), ..parameters[0].clone() }.reshaped(per_channel.clone()))
    });
    let scaled = multiply(builder, &input, &factor)?;
    add(builder, &scaled, &shift)
}
