//! Softmax: rows are moved to the last axis.

use super::builder::{Builder, Value};
use super::call::{Call, Refusal, axis, shape_of};
use crate::graph::operator::Operator;

/// Softmax along an axis, which goes last.
pub(super) fn softmax(builder: &mut Builder, call: &Call) -> Result<Value, Refusal> {
    let input = call.input(0)?;
    let shape = shape_of(builder, &input);
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
