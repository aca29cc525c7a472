//! Reductions, pooling, softmax and layer norm. Rows are moved to the last axis.

use super::builder::{Builder, Literal, Value};
use super::call::{Call, Refusal, axes, axis, shape_of};
use super::elementwise::{multiply, scale};
use super::linear::window;
use crate::graph::operator::{Operator, Window};
use crate::graph::tensor::Tensor;

pub(super) fn lower(builder: &mut Builder, call: &Call) -> Result<Value, Refusal> {
    let input = call.input(0)?;
    let shape = shape_of(builder, &input);
    match call.operator() {
        "ReduceMean" | "ReduceSum" => {
            let empty_is_none = call.integer("noop_with_empty_axes", 0) != 0;
            let named = call.integers_at(1, "axes")?.filter(|named| !named.is_empty());
            let over = match named {
                Some(named) => axes(&named, shape.len())?,
                None if empty_is_none => return Ok(input),
                None => (0..shape.len()).collect(),
            };
            let mean = call.operator() == "ReduceMean";
            let reduced = reduce(builder, input, &over, mean)?;
            if call.integer("keepdims", 1) != 0 {
                return Ok(reduced);
            }
            let shape = (0..shape.len()).filter(|axis| !over.contains(axis)).map(|axis| shape[axis]).collect();
            builder.emit(Operator::Reshape { shape }, &[reduced])
        }
        "GlobalAveragePool" => reduce(builder, input, &(2..shape.len()).collect::<Vec<_>>(), true),
        "AveragePool" => average_pool(builder, call, input),
        "MaxPool" => {
            let window = pool_window(builder, call, &input)?;
            builder.emit(Operator::MaxPool { window }, &[input])
        }
        "Softmax" => softmax(builder, call, input, &shape),
        _ => layer_norm(builder, call, input, &shape),
    }
}

fn reduce(builder: &mut Builder, input: Value, over: &[usize], mean: bool) -> Result<Value, Refusal> {
    let count: usize = over.iter().map(|&axis| builder.shape(&input)[axis]).product();
    let sum = builder.emit(Operator::ReduceSum { axes: over.to_vec() }, &[input])?;
    if mean && count > 0 { scale(builder, &sum, 1.0 / count as f64) } else { Ok(sum) }
}

fn pool_window(builder: &Builder, call: &Call, input: &Value) -> Result<Window, Refusal> {
    let window = window(builder, call, input, [0, 0])?;
    if window.dilations != [1, 1] {
        return Err(Refusal::Unsupported("dilated pooling; dilations of 1 are supported".into()));
    }
    for axis in 0..2 {
        let extent = builder.shape(input)[2 + axis] + window.pads[axis] + window.pads[axis + 2];
        if window.pads[axis].max(window.pads[axis + 2]) >= window.kernel[axis] {
            return Err(Refusal::Invalid(format!("pads {:?} reach the kernel {:?}", window.pads, window.kernel)));
        }
        let rest = extent.saturating_sub(window.kernel[axis]) % window.strides[axis];
        if call.integer("ceil_mode", 0) != 0 && rest != 0 {
            return Err(Refusal::Unsupported("ceil_mode where the windows do not fit exactly".into()));
        }
    }
    Ok(window)
}

fn average_pool(builder: &mut Builder, call: &Call, input: Value) -> Result<Value, Refusal> {
    let window = pool_window(builder, call, &input)?;
    let shape = shape_of(builder, &input);
    let ones = Tensor::filled(&[1, 1, shape[2], shape[3]], 1.0);
    let sum = builder.emit(Operator::SumPool { window: window.clone() }, &[input])?;
    let area = (window.kernel[0] * window.kernel[1]) as f64;
    if window.pads == [0; 4] || call.integer("count_include_pad", 0) != 0 {
        return scale(builder, &sum, 1.0 / area);
    }
    // The number of real elements depends on the position only.
    let ones = Value::Literal(Literal::structural(builder.name(), ones));
    let Value::Literal(counts) = builder.emit(Operator::SumPool { window }, &[ones])? else {
        return Err(Refusal::Invalid("its geometry is not constant".into()));
    };
    multiply(builder, &sum, &Value::Literal(counts.map(f64::recip)))
}

fn softmax(builder: &mut Builder, call: &Call, input: Value, shape: &[usize]) -> Result<Value, Refusal> {
    let coerced = call.operator_set < 13;
    let at = axis(call.integer("axis", if coerced { 1 } else { -1 }), shape.len())?;
    if coerced {
        // Before operator set 13 all axes from `axis` on form one row.
        let flat = vec![shape[..at].iter().product(), shape[at..].iter().product()];
        let rows = builder.emit(Operator::Reshape { shape: flat }, &[input])?;
        let rows = builder.emit(Operator::Softmax, &[rows])?;
        return builder.emit(Operator::Reshape { shape: shape.to_vec() }, &[rows]);
    }
    let mut permutation: Vec<usize> = (0..shape.len()).collect();
    permutation.swap(at, shape.len() - 1);
    let rows = builder.emit(Operator::Transpose { permutation: permutation.clone() }, &[input])?;
    let rows = builder.emit(Operator::Softmax, &[rows])?;
    builder.emit(Operator::Transpose { permutation }, &[rows])
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
    let epsilon = call.real("epsilon", 1e-5);
    if !(epsilon > 0.0 && epsilon.is_finite()) {
        return Err(Refusal::Invalid("its epsilon is not positive".into()));
    }
    let flat = shape[..at].iter().copied().chain([length]).collect();
    let rows = builder.emit(Operator::Reshape { shape: flat }, &[input])?;
    let rows = builder.emit(Operator::LayerNorm { gamma, beta, epsilon }, &[rows])?;
    builder.emit(Operator::Reshape { shape: shape.to_vec() }, &[rows])
}
