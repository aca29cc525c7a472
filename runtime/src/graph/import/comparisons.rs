//! Comparisons of secrets, and what is made of them: positions of the largest, the k largest, hard maxima.
//!
//! A truth value is a secret number, 1 or 0. With r(x) = max(x, 0), which is exact, and a resolution δ:
//!
//! at_least(d) = r(1 − r(−d)/δ) is 1 for d ≥ 0, 0 for d ≤ −δ, and between, as everything that is certified has to be,
//! continuous. So a comparison holds where its operands are equal or δ apart; closer ones get a number between 0 and 1.
//! Its range is seen to be [0, 1] without knowing how the two rectifiers are related.

use super::builder::{Builder, Literal, Value};
use super::call::{Call, Refusal, axis, shape_of};
use super::elementwise::{add, multiply, scale, subtract};
use super::piecewise::{number, rectified};
use super::reductions::maximum;
use crate::graph::operator::Operator;
use crate::graph::tensor::Tensor;

/// Different operands of a comparison are at least this far apart: 2^-10.
const RESOLUTION: f64 = 1.0 / 1024.0;

pub(super) fn lower(builder: &mut Builder, call: &Call) -> Result<Value, Refusal> {
    let difference = |builder: &mut Builder, left: usize| {
        let (a, b) = (call.input(left)?, call.input(1 - left)?);
        subtract(builder, &a, &b)
    };
    match call.operator() {
        "Greater" => difference(builder, 0).and_then(|d| above(builder, &d)),
        "GreaterOrEqual" => difference(builder, 0).and_then(|d| at_least(builder, &d)),
        "Less" => difference(builder, 1).and_then(|d| above(builder, &d)),
        "LessOrEqual" => difference(builder, 1).and_then(|d| at_least(builder, &d)),
        "Equal" => difference(builder, 0).and_then(|d| hat(builder, &d, RESOLUTION)),
        "Not" => complement(builder, &call.input(0)?),
        "And" => multiply(builder, &call.input(0)?, &call.input(1)?),
        "Or" | "Xor" => {
            let (a, b) = (call.input(0)?, call.input(1)?);
            let both = multiply(builder, &a, &b)?;
            let twice = if call.operator() == "Xor" { scale(builder, &both, 2.0)? } else { both };
            let sum = add(builder, &a, &b)?;
            subtract(builder, &sum, &twice)
        }
        "Sign" => {
            let x = call.input(0)?;
            let (positive, negated) = (above(builder, &x)?, scale(builder, &x, -1.0)?);
            let negative = above(builder, &negated)?;
            subtract(builder, &positive, &negative)
        }
        "ThresholdedRelu" => {
            let x = call.input(0)?;
            let gate = beyond(builder, &x, 1.0, call.real("alpha", 1.0))?;
            multiply(builder, &x, &gate)
        }
        "Shrink" => {
            let (x, bias, lambda) = (call.input(0)?, call.real("bias", 0.0), call.real("lambd", 0.5));
            let [low, high] = [-1.0, 1.0].map(|sign| {
                let gate = beyond(builder, &x, sign, lambda)?;
                let bias = number(builder, -sign * bias);
                let moved = add(builder, &x, &bias)?;
                multiply(builder, &moved, &gate)
            });
            add(builder, &low?, &high?)
        }
        "Hardmax" => hard_maximum(builder, call),
        // ArgMax, ArgMin
        _ => position(builder, call),
    }
}

/// 1 where d ≥ 0, 0 where d ≤ −δ.
fn at_least(builder: &mut Builder, d: &Value) -> Result<Value, Refusal> {
    let negated = scale(builder, d, -1.0)?;
    let below = rectified(builder, &negated)?;
    falling(builder, &below, RESOLUTION)
}

/// 1 where d ≥ δ, 0 where d ≤ 0.
fn above(builder: &mut Builder, d: &Value) -> Result<Value, Refusal> {
    let negated = scale(builder, d, -1.0)?;
    let not = at_least(builder, &negated)?;
    complement(builder, &not)
}

/// Whether `sign`·x is above a threshold.
fn beyond(builder: &mut Builder, x: &Value, sign: f64, threshold: f64) -> Result<Value, Refusal> {
    let (x, threshold) = (scale(builder, x, sign)?, number(builder, -threshold));
    let d = add(builder, &x, &threshold)?;
    above(builder, &d)
}

/// 1 where d is zero, 0 where |d| ≥ `width`.
fn hat(builder: &mut Builder, d: &Value, width: f64) -> Result<Value, Refusal> {
    let negated = scale(builder, d, -1.0)?;
    let (positive, negative) = (rectified(builder, d)?, rectified(builder, &negated)?);
    let size = add(builder, &positive, &negative)?;
    falling(builder, &size, width)
}

/// max(1 − size/width, 0), for a size that is not negative.
fn falling(builder: &mut Builder, size: &Value, width: f64) -> Result<Value, Refusal> {
    let steep = scale(builder, size, 1.0 / width)?;
    let line = complement(builder, &steep)?;
    rectified(builder, &line)
}

fn complement(builder: &mut Builder, value: &Value) -> Result<Value, Refusal> {
    let one = number(builder, 1.0);
    subtract(builder, &one, value)
}

/// `Where` with a secret condition c: c·(yes − no) + no.
pub(super) fn choose(builder: &mut Builder, condition: &Value, yes: &Value, no: &Value) -> Result<Value, Refusal> {
    let masks =
        |value: &Value| matches!(value, Value::Literal(l) if l.tensor.data.iter().any(|x| x.abs() >= -super::MASK_MAX));
    if masks(yes) || masks(no) {
        return Err(Refusal::Unsupported("its condition is secret and it masks; masks are public".into()));
    }
    let difference = subtract(builder, yes, no)?;
    let chosen = multiply(builder, &difference, condition)?;
    add(builder, &chosen, no)
}

/// A constant that counts along an axis.
fn counting(builder: &Builder, rank: usize, along: usize, values: Vec<f64>) -> Value {
    let mut shape = vec![1; rank];
    shape[along] = values.len();
    Value::Literal(Literal::structural(builder.name(), Tensor { shape, data: values }))
}

/// Of each element, how early (or late) it stands if it is a largest one along the axis, from n down to 1, else 0.
fn standing(builder: &mut Builder, x: &Value, along: usize, last: bool) -> Result<Value, Refusal> {
    let shape = shape_of(builder, x);
    let n = shape[along];
    let largest = maximum(builder, x.clone(), &[along])?;
    let d = subtract(builder, x, &largest)?;
    let hits = at_least(builder, &d)?;
    let places = (0..n).map(|place| if last { place + 1 } else { n - place } as f64).collect();
    let places = counting(builder, shape.len(), along, places);
    multiply(builder, &hits, &places)
}

/// The position of the first or last largest (or least) element, as a number.
fn position(builder: &mut Builder, call: &Call) -> Result<Value, Refusal> {
    let input = call.input(0)?;
    let shape = shape_of(builder, &input);
    let along = axis(call.integer("axis", 0), shape.len())?;
    let last = call.integer("select_last_index", 0) != 0;
    let x = if call.operator() == "ArgMin" { scale(builder, &input, -1.0)? } else { input };
    let standing = standing(builder, &x, along, last)?;
    let best = maximum(builder, standing, &[along])?;
    let value = if last {
        let one = number(builder, 1.0);
        subtract(builder, &best, &one)?
    } else {
        let n = number(builder, shape[along] as f64);
        subtract(builder, &n, &best)?
    };
    if call.integer("keepdims", 1) != 0 {
        return Ok(value);
    }
    let shape = (0..shape.len()).filter(|&at| at != along).map(|at| shape[at]).collect();
    builder.emit(Operator::Reshape { shape }, &[value])
}

/// 1 at the first largest element of a row, 0 elsewhere.
fn hard_maximum(builder: &mut Builder, call: &Call) -> Result<Value, Refusal> {
    let input = call.input(0)?;
    super::rows::each(builder, call, input, |builder, rows| {
        let last = shape_of(builder, &rows).len() - 1;
        let standing = standing(builder, &rows, last, false)?;
        let best = maximum(builder, standing.clone(), &[last])?;
        let behind = subtract(builder, &best, &standing)?;
        falling(builder, &behind, 1.0)
    })
}

/// The k largest (or least) elements and their positions, in order.
///
/// The rank of an element is how many come before it, by pairwise comparison, earlier ones first among equals; element
/// i is the t-th if its rank is t, and the products with those truth values pick it.
pub(super) fn largest(builder: &mut Builder, call: &Call) -> Result<Vec<Value>, Refusal> {
    let input = call.input(0)?;
    let rank = shape_of(builder, &input).len();
    let along = axis(call.integer("axis", -1), rank)?;
    let count = match call.integers_at(1, "k")?.as_deref() {
        Some(&[count]) => usize::try_from(count).ok(),
        _ => usize::try_from(call.integer("k", 0)).ok(),
    };
    let mut permutation: Vec<usize> = (0..rank).collect();
    permutation.swap(along, rank - 1);
    let rows = builder.emit(Operator::Transpose { permutation: permutation.clone() }, &[input])?;
    let shape = shape_of(builder, &rows);
    let (outer, n) = (&shape[..rank - 1], shape[rank - 1]);
    let count = count.filter(|count| (1..=n).contains(count));
    let count = count.ok_or_else(|| Refusal::Invalid(format!("its k is not between 1 and {n}")))?;

    let sign = if call.integer("largest", 1) != 0 { 1.0 } else { -1.0 };
    let x = scale(builder, &rows, sign)?;
    let own = builder.emit(Operator::Reshape { shape: [outer, &[n, 1]].concat() }, std::slice::from_ref(&x))?;
    let other = builder.emit(Operator::Reshape { shape: [outer, &[1, n]].concat() }, &[x])?;
    let d = subtract(builder, &other, &own)?;
    // Before element i come those that are larger, and the earlier ones that are as large.
    let shifts = (0..n * n).map(|at| if at % n < at / n { 0.0 } else { -RESOLUTION }).collect();
    let shifts = Literal::structural(builder.name(), Tensor { shape: vec![n, n], data: shifts });
    let d = add(builder, &d, &Value::Literal(shifts))?;
    let before = at_least(builder, &d)?;
    let ranks = builder.emit(Operator::ReduceSum { axes: vec![rank] }, &[before])?;

    let ranks = builder.emit(Operator::Broadcast { shape: [outer, &[n, count]].concat() }, &[ranks])?;
    let places = counting(builder, rank + 1, rank, (0..count).map(|place| place as f64).collect());
    let d = subtract(builder, &ranks, &places)?;
    let picks = hat(builder, &d, 1.0)?;
    let line = builder.emit(Operator::Reshape { shape: [outer, &[1, n]].concat() }, &[rows])?;
    let values = builder.emit(Operator::MatMul, &[line, picks.clone()])?;
    let numbers = counting(builder, rank + 1, rank - 1, (0..n).map(|place| place as f64).collect());
    let positions = multiply(builder, &picks, &numbers)?;
    let positions = builder.emit(Operator::ReduceSum { axes: vec![rank - 1] }, &[positions])?;
    let back = |builder: &mut Builder, value: Value| {
        let value = builder.emit(Operator::Reshape { shape: [outer, &[count]].concat() }, &[value])?;
        builder.emit(Operator::Transpose { permutation: permutation.clone() }, &[value])
    };
    Ok(vec![back(builder, values)?, back(builder, positions)?])
}
