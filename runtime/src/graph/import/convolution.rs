//! Convolutions over one or two spatial axes, and transposed ones: zeros between the elements, then a convolution with
//! the kernel turned around.

use super::builder::{Builder, Literal, Value};
use super::call::{Call, Refusal, shape_of};
use super::linear::window;
use crate::graph::operator::{AxisSlice, Operator, Window};
use crate::graph::shapes::image;
use crate::graph::tensor::Tensor;

pub(super) fn lower(builder: &mut Builder, call: &Call) -> Result<Value, Refusal> {
    let input = call.input(0)?;
    let weight = call.literal(1, "weight")?;
    let bias = call.optional_literal(2, "bias")?;
    let line = builder.shape(&input).len() == 3;
    let (input, weight) = if line { (lift(builder, &input)?, lift_literal(&weight)) } else { (input, weight) };
    let output = match call.operator() {
        "Conv" => convolution(builder, call, input, &weight, bias.as_ref())?,
        _ => transposed(builder, call, input, &weight, bias.as_ref())?,
    };
    if line { lower_line(builder, output) } else { Ok(output) }
}

/// `[batch, channels, length]` as an image of height one.
pub(super) fn lift(builder: &mut Builder, value: &Value) -> Result<Value, Refusal> {
    let shape = shape_of(builder, value);
    builder.emit(Operator::Reshape { shape: vec![shape[0], shape[1], 1, shape[2]] }, std::slice::from_ref(value))
}

fn lift_literal(literal: &Literal) -> Literal {
    match literal.tensor.shape.as_slice() {
        &[outputs, channels, length] => literal.reshaped(vec![outputs, channels, 1, length]),
        _ => literal.clone(),
    }
}

/// The opposite of [`lift`].
pub(super) fn lower_line(builder: &mut Builder, value: Value) -> Result<Value, Refusal> {
    let shape = shape_of(builder, &value);
    builder.emit(Operator::Reshape { shape: vec![shape[0], shape[1], shape[3]] }, &[value])
}

fn groups(call: &Call) -> Result<usize, Refusal> {
    usize::try_from(call.integer("group", 1))
        .ok()
        .filter(|&groups| groups > 0)
        .ok_or_else(|| Refusal::Invalid(format!("its group is {}", call.integer("group", 1))))
}

fn convolution(
    builder: &mut Builder,
    call: &Call,
    input: Value,
    weight: &Literal,
    bias: Option<&Literal>,
) -> Result<Value, Refusal> {
    let [_, _, rows, columns] = image(&weight.tensor.shape).map_err(Refusal::Unsupported)?;
    let window = window(builder, call, &input, [rows, columns])?;
    let (weight, bias) = (weight.constant(), bias.map(Literal::constant));
    builder.emit(Operator::Conv { weight, bias, groups: groups(call)?, window }, &[input])
}

fn transposed(
    builder: &mut Builder,
    call: &Call,
    input: Value,
    weight: &Literal,
    bias: Option<&Literal>,
) -> Result<Value, Refusal> {
    let [channels, group_outputs, rows, columns] = image(&weight.tensor.shape).map_err(Refusal::Unsupported)?;
    let [_, own, height, width] = image(builder.shape(&input)).map_err(Refusal::Unsupported)?;
    let groups = groups(call)?;
    if own != channels || channels % groups != 0 {
        return Err(Refusal::Invalid(format!("a weight of {channels} channels does not fit an input of {own}")));
    }
    let strides = call.geometry("strides", 1, [1, 1])?;
    let dilations = call.geometry("dilations", 1, [1, 1])?;
    let pads = pads(call, [height, width], [rows, columns], strides, dilations)?;
    let spread = zeros_between(builder, &input, strides)?;
    // What a padding of p takes away, a padding of span − p gives; a negative one is cut off.
    let mut around = [0usize; 4];
    let mut cut = [0usize; 4];
    for side in 0..4 {
        let span = (dilations[side % 2] * ([rows, columns][side % 2] - 1)) as i64;
        let amount = span - pads[side];
        around[side] = usize::try_from(amount).unwrap_or(0);
        cut[side] = usize::try_from(-amount).unwrap_or(0);
    }
    let spread = trimmed(builder, spread, cut)?;
    let weight = turned(weight, [channels, group_outputs, rows, columns], groups);
    let window = Window { kernel: [rows, columns], strides: [1, 1], dilations, pads: around };
    let (weight, bias) = (weight.constant(), bias.map(Literal::constant));
    builder.emit(Operator::Conv { weight, bias, groups, window }, &[spread])
}

/// Padding of the result, top, left, bottom, right, less what an output padding adds; may be negative.
fn pads(
    call: &Call,
    extents: [usize; 2],
    kernel: [usize; 2],
    strides: [usize; 2],
    dilations: [usize; 2],
) -> Result<[i64; 4], Refusal> {
    let line = call.integers("strides").or(call.integers("kernel_shape")).is_some_and(|values| values.len() == 1);
    let extra = call.geometry("output_padding", 0, [0, 0])?.map(|value| value as i64);
    let mode = call.string("auto_pad", "NOTSET");
    let wanted = call.integers("output_shape").map(|values| match values {
        [.., height, width] if !line => vec![*height, *width],
        [.., width] => vec![1, *width],
        [] => Vec::new(),
    });
    let mut pads = call.geometry("pads", 0, [0; 4])?.map(|value| value as i64);
    for axis in 0..2 {
        let full = (strides[axis] * (extents[axis] - 1) + dilations[axis] * (kernel[axis] - 1) + 1) as i64;
        let target = match (&wanted, mode.as_str()) {
            (Some(shape), _) => shape.get(axis).copied(),
            (None, "SAME_UPPER" | "SAME_LOWER") => Some((extents[axis] * strides[axis]) as i64),
            _ => None,
        };
        if let Some(target) = target {
            let total = (full + extra[axis] - target).max(0);
            let (small, large) = (total / 2, total - total / 2);
            (pads[axis], pads[axis + 2]) = if mode == "SAME_UPPER" { (small, large) } else { (large, small) };
            if full + extra[axis] < target {
                pads[axis + 2] = full + extra[axis] - target;
            }
        }
        pads[axis + 2] -= extra[axis];
    }
    Ok(pads)
}

/// Strides − 1 zeros between neighbours.
fn zeros_between(builder: &mut Builder, input: &Value, strides: [usize; 2]) -> Result<Value, Refusal> {
    if strides == [1, 1] {
        return Ok(input.clone());
    }
    let [batch, channels, height, width] = image(builder.shape(input)).map_err(Refusal::Unsupported)?;
    let apart = Operator::Reshape { shape: vec![batch, channels, height, 1, width, 1] };
    let value = builder.emit(apart, std::slice::from_ref(input))?;
    let after = vec![0, 0, 0, strides[0] - 1, 0, strides[1] - 1];
    let value = builder.emit(Operator::Pad { before: vec![0; 6], after }, &[value])?;
    let joined = vec![batch, channels, height * strides[0], width * strides[1]];
    let value = builder.emit(Operator::Reshape { shape: joined }, &[value])?;
    trimmed(builder, value, [0, 0, strides[0] - 1, strides[1] - 1])
}

/// Rows and columns cut off: top, left, bottom, right.
fn trimmed(builder: &mut Builder, value: Value, cut: [usize; 4]) -> Result<Value, Refusal> {
    if cut == [0; 4] {
        return Ok(value);
    }
    let shape = shape_of(builder, &value);
    let mut axes: Vec<AxisSlice> = shape.iter().map(|&length| AxisSlice { start: 0, length, step: 1 }).collect();
    for axis in 0..2 {
        let length = shape[axis + 2].checked_sub(cut[axis] + cut[axis + 2]);
        let length = length.ok_or_else(|| "its padding leaves nothing".to_string())?;
        axes[axis + 2] = AxisSlice { start: cut[axis], length, step: 1 };
    }
    builder.emit(Operator::Slice { axes }, &[value])
}

/// `[channels, outputs / groups, rows, columns]` as the weight of a convolution, both spatial axes turned around.
fn turned(weight: &Literal, extents: [usize; 4], groups: usize) -> Literal {
    let [channels, group_outputs, rows, columns] = extents;
    let group_channels = channels / groups;
    let mut data = Vec::with_capacity(weight.tensor.data.len());
    for output in 0..groups * group_outputs {
        let (group, own) = (output / group_outputs, output % group_outputs);
        for channel in group * group_channels..(group + 1) * group_channels {
            for row in (0..rows).rev() {
                for column in (0..columns).rev() {
                    data.push(weight.tensor.data[((channel * group_outputs + own) * rows + row) * columns + column]);
                }
            }
        }
    }
    let tensor = Tensor { shape: vec![groups * group_outputs, group_channels, rows, columns], data };
    Literal { tensor: tensor.into(), ..weight.clone() }
}
