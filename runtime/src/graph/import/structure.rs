//! Operators that move elements.

use super::builder::{Builder, Literal, Value};
use super::call::{Call, Refusal, axes, axis, shape_of};
use super::constants::extents;
use super::elementwise::add;
use crate::graph::onnx::{ElementKind, element_kind};
use crate::graph::operator::{AxisSlice, Operator};
use crate::graph::tensor::{Tensor, broadcast_shape};

/// `Identity`, `Dropout` (at inference) and casts between real types.
pub(super) fn unchanged(call: &Call) -> Result<Value, Refusal> {
    let to = i32::try_from(call.integer("to", 1)).unwrap_or(0);
    if call.operator() == "Cast" && element_kind(to)? != ElementKind::Real {
        return Err(Refusal::Unsupported("data is cast to integers; casts between real types are supported".into()));
    }
    let training = call.optional_literal(2, "training mode")?.and_then(|mode| mode.scalar());
    if call.operator() == "Dropout" && training.is_some_and(|mode| mode != 0.0) {
        return Err(Refusal::Unsupported("it is in training mode; export the model for inference".into()));
    }
    call.input(0)
}

pub(super) fn lower(builder: &mut Builder, call: &Call) -> Result<Value, Refusal> {
    let input = call.input(0)?;
    let shape = shape_of(builder, &input);
    let operator = match call.operator() {
        "Reshape" => Operator::Reshape { shape: reshape(call, &shape)? },
        "Flatten" => {
            let value = call.integer("axis", 1);
            let at = if value == shape.len() as i64 { shape.len() } else { axis(value, shape.len())? };
            Operator::Reshape { shape: vec![shape[..at].iter().product(), shape[at..].iter().product()] }
        }
        "Squeeze" => Operator::Reshape { shape: squeeze(call, &shape)? },
        "Unsqueeze" => {
            let added = call.integers_at(1, "axes")?.ok_or_else(|| "it names no axes".to_string())?;
            let rank = shape.len() + added.len();
            let added = axes(&added, rank)?;
            let mut kept = shape.iter().copied();
            let extent = |axis| {
                if added.contains(&axis) { Some(1) } else { kept.next() }
            };
            Operator::Reshape { shape: (0..rank).filter_map(extent).collect() }
        }
        "Transpose" => {
            let permutation = match call.integers("perm") {
                Some(values) => values.iter().map(|&value| axis(value, shape.len())).collect::<Result<_, _>>()?,
                None => (0..shape.len()).rev().collect(),
            };
            Operator::Transpose { permutation }
        }
        "Expand" => return expand(builder, call, input, &shape),
        "Slice" => Operator::Slice { axes: slice(call, &shape)? },
        "Gather" => return gather(builder, call, input, &shape),
        "Pad" => return pad(builder, call, input, &shape),
        "Tile" => {
            let repeats = extents(&call.literal(1, "repeats")?.tensor.data)?;
            return tile(builder, input, &repeats);
        }
        _ => {
            let inputs = call.inputs()?;
            return builder.emit(Operator::Concat { axis: axis(call.integer("axis", 0), shape.len())? }, &inputs);
        }
    };
    builder.emit(operator, &[input])
}

fn reshape(call: &Call, shape: &[usize]) -> Result<Vec<usize>, Refusal> {
    let wanted = call.integers_at(1, "shape")?.ok_or_else(|| "it names no shape".to_string())?;
    let keep_zero = call.integer("allowzero", 0) != 0;
    let mut result = Vec::with_capacity(wanted.len());
    let mut inferred = None;
    for (position, &extent) in wanted.iter().enumerate() {
        match extent {
            -1 if inferred.is_none() => {
                inferred = Some(position);
                result.push(1);
            }
            0 if !keep_zero => {
                let copied =
                    shape.get(position).ok_or_else(|| format!("{wanted:?} copies axis {position} of {shape:?}"))?;
                result.push(*copied);
            }
            _ => result.push(usize::try_from(extent).map_err(|_| format!("{wanted:?} is no shape"))?),
        }
    }
    if let Some(position) = inferred {
        let known = result.iter().try_fold(1_usize, |product, &extent| product.checked_mul(extent)).unwrap_or(0);
        let count: usize = shape.iter().product();
        if known == 0 || !count.is_multiple_of(known) {
            return Err(Refusal::Invalid(format!("{shape:?} cannot be reshaped to {wanted:?}")));
        }
        result[position] = count / known;
    }
    Ok(result)
}

fn squeeze(call: &Call, shape: &[usize]) -> Result<Vec<usize>, Refusal> {
    let removed = match call.integers_at(1, "axes")? {
        Some(values) => axes(&values, shape.len())?,
        None => (0..shape.len()).filter(|&axis| shape[axis] == 1).collect(),
    };
    if let Some(&axis) = removed.iter().find(|&&axis| shape[axis] != 1) {
        return Err(Refusal::Invalid(format!("axis {axis} of {shape:?} cannot be removed")));
    }
    Ok((0..shape.len()).filter(|axis| !removed.contains(axis)).map(|axis| shape[axis]).collect())
}

fn expand(builder: &mut Builder, call: &Call, input: Value, shape: &[usize]) -> Result<Value, Refusal> {
    let wanted = extents(&call.literal(1, "shape")?.tensor.data)?;
    let target = broadcast_shape(shape, &wanted)?;
    let aligned: Vec<usize> = std::iter::repeat_n(1, target.len() - shape.len()).chain(shape.iter().copied()).collect();
    let input = builder.emit(Operator::Reshape { shape: aligned }, &[input])?;
    builder.emit(Operator::Broadcast { shape: target }, &[input])
}

fn slice(call: &Call, shape: &[usize]) -> Result<Vec<AxisSlice>, Refusal> {
    let missing = |what: &str| Refusal::Invalid(format!("it has no {what}"));
    let starts = call.integers_at(1, "starts")?.ok_or_else(|| missing("starts"))?;
    let ends = call.integers_at(2, "ends")?.ok_or_else(|| missing("ends"))?;
    let named = call.integers_at(3, "axes")?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = call.integers_at(4, "steps")?.unwrap_or_else(|| vec![1; starts.len()]);
    if ends.len() != starts.len() || named.len() != starts.len() || steps.len() != starts.len() {
        return Err(Refusal::Invalid("its starts, ends, axes and steps differ in number".into()));
    }
    axes(&named, shape.len())?;
    let mut result: Vec<AxisSlice> = shape.iter().map(|&length| AxisSlice { start: 0, length, step: 1 }).collect();
    for index in 0..starts.len() {
        let axis = axis(named[index], shape.len())?;
        result[axis] = axis_slice(starts[index], ends[index], steps[index], shape[axis])?;
    }
    Ok(result)
}

fn axis_slice(start: i64, end: i64, step: i64, extent: usize) -> Result<AxisSlice, Refusal> {
    let extent = extent as i64;
    let absolute = |value: i64| {
        if value < 0 { value.saturating_add(extent) } else { value }
    };
    let (start, span) = match step {
        1.. => {
            let (start, end) = (absolute(start).clamp(0, extent), absolute(end).clamp(0, extent));
            (start, (end - start).max(0))
        }
        0 => return Err(Refusal::Invalid("its step is zero".into())),
        _ => {
            let (start, end) = (absolute(start).clamp(-1, extent - 1), absolute(end).clamp(-1, extent - 1));
            (start, (start - end).max(0))
        }
    };
    let length = usize::try_from((span as u64).div_ceil(step.unsigned_abs())).map_err(|error| error.to_string())?;
    let start = usize::try_from(start).unwrap_or(0);
    // One element or none: the step is never taken, and may be anything.
    let step = if length <= 1 { 1 } else { isize::try_from(step).map_err(|error| error.to_string())? };
    Ok(AxisSlice { start, length, step })
}

fn gather(builder: &mut Builder, call: &Call, input: Value, shape: &[usize]) -> Result<Value, Refusal> {
    let at = axis(call.integer("axis", 0), shape.len())?;
    let indices = call.literal(1, "index tensor")?;
    let positions =
        indices.tensor.data.iter().map(|&index| axis(index as i64, shape[at])).collect::<Result<Vec<_>, _>>()?;
    let result = shape[..at].iter().chain(&indices.tensor.shape).chain(&shape[at + 1..]).copied().collect();
    let consecutive = positions.windows(2).all(|pair| pair[1] == pair[0] + 1);
    let operator = match positions.first() {
        Some(&start) if consecutive => {
            let mut axes: Vec<AxisSlice> =
                shape.iter().map(|&length| AxisSlice { start: 0, length, step: 1 }).collect();
            axes[at] = AxisSlice { start, length: positions.len(), step: 1 };
            Operator::Slice { axes }
        }
        _ => Operator::Gather { axis: at, indices: positions },
    };
    let picked = builder.emit(operator, &[input])?;
    builder.emit(Operator::Reshape { shape: result }, &[picked])
}

fn pad(builder: &mut Builder, call: &Call, input: Value, shape: &[usize]) -> Result<Value, Refusal> {
    let values = call.integers_at(1, "pads")?.ok_or_else(|| "it has no pads".to_string())?;
    let named = call.integers_at(3, "axes")?.unwrap_or_else(|| (0..shape.len() as i64).collect());
    if values.len() != 2 * named.len() {
        return Err(Refusal::Invalid(format!("pads {values:?} do not fit {} axes", named.len())));
    }
    axes(&named, shape.len())?;
    let (mut before, mut after) = (vec![0; shape.len()], vec![0; shape.len()]);
    for (index, &name) in named.iter().enumerate() {
        let axis = axis(name, shape.len())?;
        let amount = |value: i64| {
            usize::try_from(value).map_err(|_| Refusal::Unsupported("negative padding; use a slice".into()))
        };
        (before[axis], after[axis]) = (amount(values[index])?, amount(values[index + named.len()])?);
    }
    match call.string("mode", "constant").as_str() {
        "constant" => {}
        mode @ ("reflect" | "edge" | "wrap") => return repeated(builder, input, shape, mode, [&before, &after]),
        other => return Err(Refusal::Invalid(format!("its mode is '{other}'"))),
    }
    let fill = match call.optional_literal(2, "fill value")? {
        Some(literal) => literal.scalar(),
        None => Some(call.real("value", 0.0)),
    };
    let fill = fill.ok_or_else(|| "its fill value is not one number".to_string())?;
    let padding = Operator::Pad { before, after };
    let padded = builder.emit(padding.clone(), &[input])?;
    if fill == 0.0 {
        return Ok(padded);
    }
    let inside = Value::Literal(Literal::structural(builder.name(), Tensor::filled(shape, 1.0)));
    let Value::Literal(inside) = builder.emit(padding, &[inside])? else {
        return Err(Refusal::Invalid("its geometry is not constant".into()));
    };
    add(builder, &padded, &Value::Literal(inside.map(|inside| fill * (1.0 - inside))))
}

/// Padding with elements of the tensor itself: positions of every axis are public.
fn repeated(
    builder: &mut Builder,
    input: Value,
    shape: &[usize],
    mode: &str,
    [before, after]: [&[usize]; 2],
) -> Result<Value, Refusal> {
    let mut value = input;
    for axis in 0..shape.len() {
        let (extent, total) = (shape[axis] as i64, shape[axis] + before[axis] + after[axis]);
        if total == shape[axis] {
            continue;
        }
        let position = |index: usize| {
            let at = index as i64 - before[axis] as i64;
            let place = match mode {
                "edge" => at.clamp(0, extent - 1),
                "wrap" => at.rem_euclid(extent),
                _ if extent == 1 => 0,
                _ => {
                    let folded = at.rem_euclid(2 * (extent - 1));
                    folded.min(2 * (extent - 1) - folded)
                }
            };
            place as usize
        };
        let indices = (0..total).map(position).collect();
        value = builder.emit(Operator::Gather { axis, indices }, &[value])?;
    }
    Ok(value)
}

fn tile(builder: &mut Builder, input: Value, repeats: &[usize]) -> Result<Value, Refusal> {
    if repeats.len() != builder.shape(&input).len() || repeats.iter().any(|&count| count > 1 << 20) {
        return Err(Refusal::Invalid(format!("repeats {repeats:?} do not fit {:?}", builder.shape(&input))));
    }
    let mut value = input;
    for (axis, &count) in repeats.iter().enumerate().filter(|&(_, &count)| count != 1) {
        value = builder.emit(Operator::Concat { axis }, &vec![value; count])?;
    }
    Ok(value)
}

pub(super) fn split(builder: &mut Builder, call: &Call) -> Result<Vec<Value>, Refusal> {
    let input = call.input(0)?;
    let shape = shape_of(builder, &input);
    let at = axis(call.integer("axis", 0), shape.len())?;
    let lengths: Vec<usize> = match call.integers_at(1, "split")? {
        Some(values) => extents(&values.iter().map(|&value| value as f64).collect::<Vec<_>>())?,
        None => {
            let parts = call.outputs().max(1);
            let length = shape[at].div_ceil(parts);
            (0..parts).map(|part| length.min(shape[at].saturating_sub(part * length))).collect()
        }
    };
    let total = lengths.iter().try_fold(0_usize, |sum, &length| sum.checked_add(length));
    if total != Some(shape[at]) {
        return Err(Refusal::Invalid(format!("parts {lengths:?} do not add up to axis {at} of {shape:?}")));
    }
    let mut start = 0;
    let mut parts = Vec::with_capacity(lengths.len());
    for length in lengths {
        let mut axes: Vec<AxisSlice> = shape.iter().map(|&length| AxisSlice { start: 0, length, step: 1 }).collect();
        axes[at] = AxisSlice { start, length, step: 1 };
        parts.push(builder.emit(Operator::Slice { axes }, std::slice::from_ref(&input))?);
        start += length;
    }
    Ok(parts)
}
