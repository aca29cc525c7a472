//! Operators that move or weigh elements by public positions: blocks of depth and space, running sums, triangles,
//! gathers by element, padding that repeats.

use super::builder::{Builder, Literal, Value};
use super::call::{Call, Refusal, axis, shape_of};
use super::elementwise::multiply;
use super::linear::matrix_product;
use crate::graph::operator::Operator;
use crate::graph::shapes::image;
use crate::graph::tensor::{Tensor, element_count, strides};

pub(super) fn lower(builder: &mut Builder, call: &Call) -> Result<Value, Refusal> {
    let input = call.input(0)?;
    let shape = shape_of(builder, &input);
    match call.operator() {
        "DepthToSpace" | "SpaceToDepth" => blocks(builder, call, input, &shape),
        "CumSum" => running_sum(builder, call, input, &shape),
        "Trilu" => triangle(builder, call, input, &shape),
        "GatherElements" => gather_elements(builder, call, input, &shape),
        "GatherND" => gather_nd(builder, call, input, &shape),
        _ => compress(builder, call, input, &shape),
    }
}

fn blocks(builder: &mut Builder, call: &Call, input: Value, shape: &[usize]) -> Result<Value, Refusal> {
    let [batch, channels, height, width] = image(shape).map_err(Refusal::Unsupported)?;
    let size = usize::try_from(call.integer("blocksize", 0)).ok().filter(|&size| size > 0);
    let size = size.ok_or_else(|| "its blocksize is not positive".to_string())?;
    let crossed = call.string("mode", "DCR") == "CRD";
    let misfit = || Refusal::Invalid(format!("blocks of {size} do not divide {shape:?}"));
    let (split, permutation, target) = if call.operator() == "SpaceToDepth" {
        if height % size != 0 || width % size != 0 {
            return Err(misfit());
        }
        let (rows, columns) = (height / size, width / size);
        (
            vec![batch, channels, rows, size, columns, size],
            if crossed { vec![0, 1, 3, 5, 2, 4] } else { vec![0, 3, 5, 1, 2, 4] },
            [channels * size * size, rows, columns],
        )
    } else {
        if channels % (size * size) != 0 {
            return Err(misfit());
        }
        let depth = channels / (size * size);
        let target = [depth, height * size, width * size];
        match crossed {
            false => (vec![batch, size, size, depth, height, width], vec![0, 3, 4, 1, 5, 2], target),
            true => (vec![batch, depth, size, size, height, width], vec![0, 1, 4, 2, 5, 3], target),
        }
    };
    let value = builder.emit(Operator::Reshape { shape: split }, &[input])?;
    let value = builder.emit(Operator::Transpose { permutation }, &[value])?;
    builder.emit(Operator::Reshape { shape: [&[batch], target.as_slice()].concat() }, &[value])
}

/// A product with a triangle of ones.
fn running_sum(builder: &mut Builder, call: &Call, input: Value, shape: &[usize]) -> Result<Value, Refusal> {
    let named = call.literal(1, "axis")?.scalar().ok_or_else(|| "its axis is not one number".to_string())?;
    let at = axis(named as i64, shape.len())?;
    let (exclusive, reverse) = (call.integer("exclusive", 0) != 0, call.integer("reverse", 0) != 0);
    let n = shape[at];
    element_count(&[n, n])?;
    let counts = |from: usize, to: usize| {
        let (from, to) = if reverse { (to, from) } else { (from, to) };
        if exclusive { from < to } else { from <= to }
    };
    let data = (0..n * n).map(|index| f64::from(u8::from(counts(index / n, index % n)))).collect();
    let ones = Value::Literal(Literal::structural(builder.name(), Tensor { shape: vec![n, n], data }));
    let mut permutation: Vec<usize> = (0..shape.len()).collect();
    permutation.swap(at, shape.len() - 1);
    let moved = builder.emit(Operator::Transpose { permutation: permutation.clone() }, &[input])?;
    let rows =
        builder.emit(Operator::Reshape { shape: vec![shape.iter().product::<usize>() / n.max(1), n] }, &[moved])?;
    let sums = matrix_product(builder, &rows, &ones)?;
    let moved = permutation.iter().map(|&axis| shape[axis]).collect();
    let sums = builder.emit(Operator::Reshape { shape: moved }, &[sums])?;
    builder.emit(Operator::Transpose { permutation }, &[sums])
}

fn triangle(builder: &mut Builder, call: &Call, input: Value, shape: &[usize]) -> Result<Value, Refusal> {
    let [.., rows, columns] = shape else { return Err(Refusal::Invalid(format!("{shape:?} has no matrices"))) };
    let offset = call.optional_literal(1, "diagonal")?.and_then(|literal| literal.scalar()).unwrap_or(0.0) as i64;
    let upper = call.integer("upper", 1) != 0;
    let kept = |index: usize| {
        let distance = (index % columns) as i64 - (index / columns) as i64;
        f64::from(u8::from(if upper { distance >= offset } else { distance <= offset }))
    };
    let tensor = Tensor { shape: vec![*rows, *columns], data: (0..rows * columns).map(kept).collect() };
    multiply(builder, &input, &Value::Literal(Literal::structural(builder.name(), tensor)))
}

/// Elements at public positions of the flattened input, in a new shape.
fn picked(builder: &mut Builder, input: Value, positions: Vec<usize>, shape: Vec<usize>) -> Result<Value, Refusal> {
    let count = builder.shape(&input).iter().product();
    let flat = builder.emit(Operator::Reshape { shape: vec![count] }, &[input])?;
    let value = builder.emit(Operator::Gather { axis: 0, indices: positions }, &[flat])?;
    builder.emit(Operator::Reshape { shape }, &[value])
}

fn gather_elements(builder: &mut Builder, call: &Call, input: Value, shape: &[usize]) -> Result<Value, Refusal> {
    let at = axis(call.integer("axis", 0), shape.len())?;
    let indices = call.literal(1, "index tensor")?;
    let target = indices.tensor.shape.clone();
    let fits = |a: usize| a == at || target[a] <= shape[a];
    if target.len() != shape.len() || !(0..shape.len()).all(fits) {
        return Err(Refusal::Invalid(format!("indices of shape {target:?} do not fit {shape:?}")));
    }
    let (own, other) = (strides(shape), strides(&target));
    let position = |(index, &value): (usize, &f64)| {
        let along = axis(value as i64, shape[at])?;
        let places = (0..shape.len()).map(|a| if a == at { along } else { index / other[a] % target[a] });
        Ok(places.zip(&own).map(|(place, stride)| place * stride).sum())
    };
    let positions = indices.tensor.data.iter().enumerate().map(position).collect::<Result<Vec<usize>, Refusal>>()?;
    picked(builder, input, positions, target)
}

fn gather_nd(builder: &mut Builder, call: &Call, input: Value, shape: &[usize]) -> Result<Value, Refusal> {
    if call.integer("batch_dims", 0) != 0 {
        return Err(Refusal::Unsupported("batch_dims other than 0".into()));
    }
    let indices = call.literal(1, "index tensor")?;
    let Some((&depth, leading)) = indices.tensor.shape.split_last().filter(|(depth, _)| **depth <= shape.len()) else {
        return Err(Refusal::Invalid(format!("indices {:?} do not fit {shape:?}", indices.tensor.shape)));
    };
    let own = strides(shape);
    let inner: usize = shape[depth..].iter().product();
    let mut positions = Vec::new();
    for tuple in indices.tensor.data.chunks_exact(depth.max(1)) {
        let mut start = 0;
        for (a, &value) in tuple.iter().enumerate() {
            start += axis(value as i64, shape[a])? * own[a];
        }
        positions.extend(start..start + inner);
    }
    picked(builder, input, positions, [leading, &shape[depth..]].concat())
}

/// Rows where a public condition holds.
fn compress(builder: &mut Builder, call: &Call, input: Value, shape: &[usize]) -> Result<Value, Refusal> {
    let condition = call.literal(1, "condition")?;
    let chosen: Vec<usize> =
        condition.tensor.data.iter().enumerate().filter(|(_, value)| **value != 0.0).map(|(index, _)| index).collect();
    match call.attribute("axis") {
        Some(attribute) => {
            let at = axis(attribute.integer, shape.len())?;
            builder.emit(Operator::Gather { axis: at, indices: chosen }, &[input])
        }
        None => {
            let count = chosen.len();
            picked(builder, input, chosen, vec![count])
        }
    }
}
