//! Normalisations as layer norms of rows: groups and instances are rows of another shape, and the root mean square of
//! x is the standard deviation of (x, −x).

use super::builder::{Builder, Literal, Value};
use super::call::{Call, Refusal, axes, axis, shape_of};
use super::elementwise::{add, multiply, scale};
use crate::graph::operator::{AxisSlice, Operator};

pub(super) fn lower(builder: &mut Builder, call: &Call) -> Result<Value, Refusal> {
    let input = call.input(0)?;
    let shape = shape_of(builder, &input);
    match call.operator() {
        "InstanceNormalization" => {
            let channels = channels(&shape)?;
            let normalised = grouped(builder, call, input, &shape, channels, 1e-5)?;
            per_channel(builder, call, normalised, &shape)
        }
        "GroupNormalization" => {
            let groups = usize::try_from(call.integer("num_groups", 1)).unwrap_or(0);
            if groups == 0 || channels(&shape)? % groups != 0 {
                return Err(Refusal::Invalid(format!("{groups} groups do not divide the channels of {shape:?}")));
            }
            let normalised = grouped(builder, call, input, &shape, groups, 1e-5)?;
            per_channel(builder, call, normalised, &shape)
        }
        "MeanVarianceNormalization" => {
            let over = axes(call.integers("axes").unwrap_or(&[0, 2, 3]), shape.len())?;
            over_axes(builder, input, &shape, &over, 1e-9)
        }
        "RMSNormalization" => root_mean_square(builder, call, input, &shape),
        _ => layer_norm(builder, call, input, &shape),
    }
}

fn channels(shape: &[usize]) -> Result<usize, Refusal> {
    shape.get(1).copied().ok_or_else(|| Refusal::Invalid(format!("{shape:?} has no channels")))
}

fn epsilon(call: &Call, default: f32) -> Result<f64, Refusal> {
    let epsilon = call.real("epsilon", default);
    match epsilon > 0.0 && epsilon.is_finite() {
        true => Ok(epsilon),
        false => Err(Refusal::Invalid("its epsilon is not positive".into())),
    }
}

/// Rows of `[batch · groups, rest]`, normalised, in the input's shape.
fn grouped(
    builder: &mut Builder,
    call: &Call,
    input: Value,
    shape: &[usize],
    groups: usize,
    default: f32,
) -> Result<Value, Refusal> {
    let rest = shape.iter().product::<usize>() / (shape[0] * groups).max(1);
    let rows = builder.emit(Operator::Reshape { shape: vec![shape[0] * groups, rest] }, &[input])?;
    let epsilon = epsilon(call, default)?;
    let rows = builder.emit(Operator::LayerNorm { gamma: None, beta: None, epsilon }, &[rows])?;
    builder.emit(Operator::Reshape { shape: shape.to_vec() }, &[rows])
}

/// Times the scale and plus the bias of every channel; of every group in operator sets before 21.
fn per_channel(builder: &mut Builder, call: &Call, value: Value, shape: &[usize]) -> Result<Value, Refusal> {
    let channels = channels(shape)?;
    let mut parameters = Vec::with_capacity(2);
    for (index, name) in [(1, "scale"), (2, "bias")] {
        let literal = call.literal(index, name)?;
        let count = literal.tensor.data.len();
        if count == 0 || channels % count != 0 {
            return Err(Refusal::Invalid(format!("its {name} has {count} elements, there are {channels} channels")));
        }
        let repeated = literal.tensor.data.iter().flat_map(|&value| std::iter::repeat_n(value, channels / count));
        let mut extents = vec![1; shape.len()];
        extents[1] = channels;
        let tensor = crate::graph::Tensor { shape: extents, data: repeated.collect() };
        parameters.push(Value::Literal(Literal { tensor: tensor.into(), ..literal }));
    }
    let scaled = multiply(builder, &value, &parameters[0])?;
    add(builder, &scaled, &parameters[1])
}

/// Normalises over any axes: they go last, form one row, and go back.
fn over_axes(
    builder: &mut Builder,
    input: Value,
    shape: &[usize],
    over: &[usize],
    epsilon: f64,
) -> Result<Value, Refusal> {
    let kept = (0..shape.len()).filter(|axis| !over.contains(axis));
    let permutation: Vec<usize> = kept.chain(over.iter().copied()).collect();
    let moved: Vec<usize> = permutation.iter().map(|&axis| shape[axis]).collect();
    let length = over.iter().map(|&axis| shape[axis]).product::<usize>();
    let rows = moved.iter().product::<usize>() / length.max(1);
    let value = builder.emit(Operator::Transpose { permutation: permutation.clone() }, &[input])?;
    let value = builder.emit(Operator::Reshape { shape: vec![rows, length] }, &[value])?;
    let value = builder.emit(Operator::LayerNorm { gamma: None, beta: None, epsilon }, &[value])?;
    let value = builder.emit(Operator::Reshape { shape: moved }, &[value])?;
    let mut inverse = vec![0; permutation.len()];
    permutation.iter().enumerate().for_each(|(to, &from)| inverse[from] = to);
    builder.emit(Operator::Transpose { permutation: inverse }, &[value])
}

/// The first half of the layer norm of (x, −x), whose mean is zero.
fn root_mean_square(builder: &mut Builder, call: &Call, input: Value, shape: &[usize]) -> Result<Value, Refusal> {
    let at = axis(call.integer("axis", -1), shape.len())?;
    let length: usize = shape[at..].iter().product();
    let rows = shape[..at].iter().product::<usize>();
    let flat = builder.emit(Operator::Reshape { shape: vec![rows, length] }, &[input])?;
    let negated = scale(builder, &flat, -1.0)?;
    let both = builder.emit(Operator::Concat { axis: 1 }, &[flat, negated])?;
    let epsilon = epsilon(call, 1e-5)?;
    let both = builder.emit(Operator::LayerNorm { gamma: None, beta: None, epsilon }, &[both])?;
    let whole = AxisSlice { start: 0, length: rows, step: 1 };
    let half = AxisSlice { start: 0, length, step: 1 };
    let value = builder.emit(Operator::Slice { axes: vec![whole, half] }, &[both])?;
    let value = builder.emit(Operator::Reshape { shape: shape.to_vec() }, &[value])?;
    multiply(builder, &value, &call.input(1)?)
}

fn layer_norm(builder: &mut Builder, call: &Call, input: Value, shape: &[usize]) -> Result<Value, Refusal> {
    let at = axis(call.integer("axis", -1), shape.len())?;
    let length: usize = shape[at..].iter().product();
    let flatten = |literal: Literal, name: &str| {
        if literal.tensor.data.len() != length {
            let given = &literal.tensor.shape;
            return Err(Refusal::Invalid(format!("its {name} has shape {given:?}, rows have {length} elements")));
        }
        Ok(literal.reshaped(vec![length]).constant())
    };
    let gamma = call.optional_literal(1, "scale")?.map(|literal| flatten(literal, "scale")).transpose()?;
    let beta = call.optional_literal(2, "bias")?.map(|literal| flatten(literal, "bias")).transpose()?;
    let epsilon = epsilon(call, 1e-5)?;
    let flat = shape[..at].iter().copied().chain([length]).collect();
    let rows = builder.emit(Operator::Reshape { shape: flat }, &[input])?;
    let rows = builder.emit(Operator::LayerNorm { gamma, beta, epsilon }, &[rows])?;
    builder.emit(Operator::Reshape { shape: shape.to_vec() }, &[rows])
}
