//! The softmax family: rows are moved to the last axis.
//!
//! With m the largest element of a row and d = x − m = −max(m − x, 0), whose bounds are seen not to be positive,
//! log-softmax is d − log s and log-sum-exp m + log s for s = Σ exp d. The largest element adds exp 0, so s ≥ 1 and
//! s = 1 + max(s − 1, 0): a clamp that changes nothing but the range that is proved, which the logarithm needs.

use super::builder::{Builder, Value};
use super::call::{Call, Refusal, axis, shape_of};
use super::elementwise::{add, scale, subtract};
use super::piecewise::{number, rectified};
use super::reductions::maximum;
use crate::graph::operator::{Function, Operator};

pub(super) fn lower(builder: &mut Builder, call: &Call) -> Result<Value, Refusal> {
    let input = call.input(0)?;
    if call.operator() == "Softmax" {
        return each(builder, call, input, |builder, rows| builder.emit(Operator::Softmax, &[rows]));
    }
    each(builder, call, input, |builder, rows| {
        let last = shape_of(builder, &rows).len() - 1;
        let (_, below, logarithm) = exponentials(builder, &rows, &[last])?;
        subtract(builder, &below, &logarithm)
    })
}

/// log Σ exp x over axes, which stay with extent one.
pub(super) fn log_sum_exp(builder: &mut Builder, x: &Value, over: &[usize]) -> Result<Value, Refusal> {
    let (largest, _, logarithm) = exponentials(builder, x, over)?;
    add(builder, &largest, &logarithm)
}

/// m, d and log Σ exp d.
fn exponentials(builder: &mut Builder, x: &Value, over: &[usize]) -> Result<(Value, Value, Value), Refusal> {
    let largest = maximum(builder, x.clone(), over)?;
    let size = subtract(builder, &largest, x)?;
    let below = rectified(builder, &size).and_then(|size| scale(builder, &size, -1.0))?;
    let powers = builder.emit(Operator::Activation { function: Function::Exp }, std::slice::from_ref(&below))?;
    let sum = builder.emit(Operator::ReduceSum { axes: over.to_vec() }, &[powers])?;
    let (one, minus) = (number(builder, 1.0), number(builder, -1.0));
    let excess = add(builder, &sum, &minus)?;
    let excess = rectified(builder, &excess)?;
    let sum = add(builder, &excess, &one)?;
    let logarithm = builder.emit(Operator::Activation { function: Function::Logarithm }, &[sum])?;
    Ok((largest, below, logarithm))
}

/// Applies `function` to rows along the axis of the call, which goes last.
pub(super) fn each(
    builder: &mut Builder,
    call: &Call,
    input: Value,
    function: impl Fn(&mut Builder, Value) -> Result<Value, Refusal>,
) -> Result<Value, Refusal> {
    let shape = shape_of(builder, &input);
    let coerced = call.operator_set < 13;
    let at = axis(call.integer("axis", if coerced { 1 } else { -1 }), shape.len())?;
    if coerced {
        // Before operator set 13 all axes from `axis` on form one row.
        let flat = vec![shape[..at].iter().product(), shape[at..].iter().product()];
        let rows = builder.emit(Operator::Reshape { shape: flat }, &[input])?;
        let rows = function(builder, rows)?;
        return builder.emit(Operator::Reshape { shape: shape.to_vec() }, &[rows]);
    }
    let mut permutation: Vec<usize> = (0..shape.len()).collect();
    permutation.swap(at, shape.len() - 1);
    let rows = builder.emit(Operator::Transpose { permutation: permutation.clone() }, &[input])?;
    let rows = function(builder, rows)?;
    builder.emit(Operator::Transpose { permutation }, &[rows])
}
