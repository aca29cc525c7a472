//! Reductions over axes, and pooling over windows. A maximum over axes is one over the rows of an image.

use super::builder::{Builder, Literal, Value};
use super::call::{Call, Refusal, axes, shape_of};
use super::convolution::{lift, lower_line};
use super::elementwise::{multiply, scale};
use super::linear::window;
use super::piecewise::rectified;
use crate::graph::operator::{Function, Operator, Window};
use crate::graph::tensor::Tensor;

pub(super) fn lower(builder: &mut Builder, call: &Call) -> Result<Value, Refusal> {
    let input = call.input(0)?;
    let shape = shape_of(builder, &input);
    match call.operator() {
        "GlobalAveragePool" => mean(builder, input, &(2..shape.len()).collect::<Vec<_>>()),
        "GlobalMaxPool" => maximum(builder, input, &(2..shape.len()).collect::<Vec<_>>()),
        "AveragePool" | "MaxPool" => {
            let line = shape.len() == 3;
            let input = if line { lift(builder, &input)? } else { input };
            let pooled = if call.operator() == "MaxPool" {
                let window = pool_window(builder, call, &input)?;
                builder.emit(Operator::MaxPool { window }, &[input])?
            } else {
                average_pool(builder, call, input)?
            };
            if line { lower_line(builder, pooled) } else { Ok(pooled) }
        }
        _ => reduce(builder, call, input, &shape),
    }
}

fn reduce(builder: &mut Builder, call: &Call, input: Value, shape: &[usize]) -> Result<Value, Refusal> {
    let empty_is_none = call.integer("noop_with_empty_axes", 0) != 0;
    let named = call.integers_at(1, "axes")?.filter(|named| !named.is_empty());
    let over = match named {
        Some(named) => axes(&named, shape.len())?,
        None if empty_is_none => Vec::new(),
        None => (0..shape.len()).collect(),
    };
    let sum = |builder: &mut Builder, value: Value| builder.emit(Operator::ReduceSum { axes: over.clone() }, &[value]);
    let reduced = match call.operator() {
        "ReduceSum" => sum(builder, input)?,
        "ReduceMean" => mean(builder, input, &over)?,
        "ReduceSumSquare" => {
            let square = multiply(builder, &input, &input)?;
            sum(builder, square)?
        }
        "ReduceL1" => {
            // |x| = 2·max(x, 0) − x, summed before it is put together.
            let positive = rectified(builder, &input)?;
            let doubled = scale(builder, &positive, 2.0)?;
            let size = super::elementwise::subtract(builder, &doubled, &input)?;
            sum(builder, size)?
        }
        "ReduceL2" => {
            let square = multiply(builder, &input, &input)?;
            let total = sum(builder, square)?;
            builder.emit(Operator::Activation { function: Function::SquareRoot }, &[total])?
        }
        "ReduceLogSum" => {
            let total = sum(builder, input)?;
            builder.emit(Operator::Activation { function: Function::Logarithm }, &[total])?
        }
        "ReduceLogSumExp" => super::rows::log_sum_exp(builder, &input, &over)?,
        "ReduceMax" => maximum(builder, input, &over)?,
        // ReduceMin
        _ => {
            let negated = scale(builder, &input, -1.0)?;
            let largest = maximum(builder, negated, &over)?;
            scale(builder, &largest, -1.0)?
        }
    };
    if call.integer("keepdims", 1) != 0 {
        return Ok(reduced);
    }
    let shape = (0..shape.len()).filter(|axis| !over.contains(axis)).map(|axis| shape[axis]).collect();
    builder.emit(Operator::Reshape { shape }, &[reduced])
}

fn mean(builder: &mut Builder, input: Value, over: &[usize]) -> Result<Value, Refusal> {
    let count: usize = over.iter().map(|&axis| builder.shape(&input)[axis]).product();
    let sum = builder.emit(Operator::ReduceSum { axes: over.to_vec() }, &[input])?;
    if count > 0 { scale(builder, &sum, 1.0 / count as f64) } else { Ok(sum) }
}

/// The maximum over axes, which stay with extent one.
pub(super) fn maximum(builder: &mut Builder, input: Value, over: &[usize]) -> Result<Value, Refusal> {
    let shape = shape_of(builder, &input);
    let length: usize = over.iter().map(|&axis| shape[axis]).product();
    if length == 0 {
        return Err(Refusal::Unsupported("the maximum of nothing".into()));
    }
    if length == 1 {
        return Ok(input);
    }
    let kept = (0..shape.len()).filter(|axis| !over.contains(axis));
    let permutation: Vec<usize> = kept.chain(over.iter().copied()).collect();
    let rows = shape.iter().product::<usize>() / length;
    let value = builder.emit(Operator::Transpose { permutation }, &[input])?;
    let value = builder.emit(Operator::Reshape { shape: vec![1, 1, rows, length] }, &[value])?;
    let window = Window { kernel: [1, length], strides: [1, 1], dilations: [1, 1], pads: [0; 4] };
    let value = builder.emit(Operator::MaxPool { window }, &[value])?;
    let shape = (0..shape.len()).map(|axis| if over.contains(&axis) { 1 } else { shape[axis] }).collect();
    builder.emit(Operator::Reshape { shape }, &[value])
}

/// The geometry of a pooling. Where `ceil_mode` adds a window, padding after the input makes room for it.
fn pool_window(builder: &Builder, call: &Call, input: &Value) -> Result<Window, Refusal> {
    let mut window = window(builder, call, input, [0, 0])?;
    for axis in 0..2 {
        let own = builder.shape(input)[2 + axis];
        let span = window.dilations[axis] * (window.kernel[axis] - 1) + 1;
        if window.pads[axis].max(window.pads[axis + 2]) >= span {
            return Err(Refusal::Invalid(format!("pads {:?} reach the kernel {:?}", window.pads, window.kernel)));
        }
        let extent = own + window.pads[axis] + window.pads[axis + 2];
        let rest = extent.saturating_sub(span) % window.strides[axis];
        if call.integer("ceil_mode", 0) != 0 && rest != 0 {
            // A window that would start behind the input is not one.
            let start = (extent - span - rest) + window.strides[axis];
            if start < own + window.pads[axis] {
                window.pads[axis + 2] += window.strides[axis] - rest;
            }
        }
    }
    Ok(window)
}

fn average_pool(builder: &mut Builder, call: &Call, input: Value) -> Result<Value, Refusal> {
    let shape = shape_of(builder, &input);
    let window = pool_window(builder, call, &input)?;
    let stated = super::linear::window(builder, call, &input, [0, 0])?;
    let includes = call.integer("count_include_pad", 0) != 0;
    let sum = builder.emit(Operator::SumPool { window: window.clone() }, &[input])?;
    let area = (window.kernel[0] * window.kernel[1]) as f64;
    if window.pads == [0; 4] || (includes && window == stated) {
        return scale(builder, &sum, 1.0 / area);
    }
    // How many elements count depends on the position only; padding that `ceil_mode` added never counts.
    let mut ones = Tensor::filled(&[1, 1, shape[2], shape[3]], 1.0);
    let mut counted = window;
    if includes {
        let [top, left, bottom, right] = stated.pads;
        ones = Tensor::filled(&[1, 1, shape[2] + top + bottom, shape[3] + left + right], 1.0);
        counted.pads = [0, 0, counted.pads[2] - bottom, counted.pads[3] - right];
    }
    let ones = Value::Literal(Literal::structural(builder.name(), ones));
    let Value::Literal(counts) = builder.emit(Operator::SumPool { window: counted }, &[ones])? else {
        return Err(Refusal::Invalid("its geometry is not constant".into()));
    };
    multiply(builder, &sum, &Value::Literal(counts.map(f64::recip)))
}
