//! Constant folding: the shape arithmetic of exported models, and tensors computed from weights alone.
//!
//! Integers divide towards zero as ONNX says. Operators that only move elements are folded by the builder.

use super::builder::{Builder, Literal, Value};
use super::call::{Call, Refusal};
use crate::graph::onnx::{ElementKind, element_kind};
use crate::graph::operator::Visibility;
use crate::graph::tensor::{Tensor, broadcast_shape, element_count};

/// The value of a node whose inputs are all known (or whose answer is a shape), `None` if it computes on data.
pub(super) fn fold(builder: &Builder, call: &Call) -> Result<Option<Literal>, Refusal> {
    match call.operator() {
        "Constant" => return constant(builder, call).map(Some),
        "Shape" => return shape(builder, call).map(Some),
        "Size" => {
            let count = builder.shape(&call.input(0)?).iter().product::<usize>();
            return Ok(Some(integer(builder, Tensor::scalar(count as f64))));
        }
        _ => {}
    }
    let mut literals = Vec::new();
    // An optional input that is left out: nothing that is folded has one.
    let Ok(inputs) = call.inputs() else { return Ok(None) };
    for input in inputs {
        match input {
            Value::Literal(literal) => literals.push(literal),
            Value::Node(_) => return Ok(None),
        }
    }
    match (call.operator(), literals.as_slice()) {
        ("Cast", [value]) => cast(call, value).map(Some),
        ("ConstantOfShape", [shape]) => constant_of_shape(builder, call, shape).map(Some),
        ("Range", [start, limit, delta]) => range(builder, start, limit, delta).map(Some),
        ("Where", [condition, yes, no]) => select(builder, condition, yes, no).map(Some),
        ("ReduceProd", [value]) => {
            let tensor =
                Tensor { shape: vec![1; value.tensor.shape.len()], data: vec![value.tensor.data.iter().product()] };
            let keep = call.integer("keepdims", 1) != 0;
            let all = call.integers("axes").is_none_or(|axes| axes.len() == value.tensor.shape.len());
            let tensor = if keep { tensor } else { Tensor::scalar(tensor.data[0]) };
            Ok(all.then(|| Literal::new(builder.name(), tensor, value.kind, value.visibility)))
        }
        (operator, [value]) => Ok(unary(operator, value)),
        (operator, [left, right]) => binary(builder, operator, left, right),
        _ => Ok(None),
    }
}

fn integer(builder: &Builder, tensor: Tensor) -> Literal {
    Literal::new(builder.name(), tensor, ElementKind::Integer, Visibility::Structural)
}

fn constant(builder: &Builder, call: &Call) -> Result<Literal, Refusal> {
    let vector = |data: Vec<f64>| Tensor { shape: vec![data.len()], data };
    let (tensor, kind) = if let Some(attribute) = call.attribute("value") {
        let tensor = attribute.tensor.as_ref().ok_or_else(|| "its value is no tensor".to_string())?;
        tensor.values()?
    } else if let Some(attribute) = call.attribute("value_float") {
        (Tensor::scalar(f64::from(attribute.float)), ElementKind::Real)
    } else if let Some(attribute) = call.attribute("value_int") {
        (Tensor::scalar(attribute.integer as f64), ElementKind::Integer)
    } else if let Some(attribute) = call.attribute("value_floats") {
        (vector(attribute.floats.iter().map(|&value| f64::from(value)).collect()), ElementKind::Real)
    } else if let Some(attribute) = call.attribute("value_ints") {
        (vector(attribute.integers.iter().map(|&value| value as f64).collect()), ElementKind::Integer)
    } else {
        return Err(Refusal::Unsupported("its value is neither a tensor nor a number".into()));
    };
    // A constant node with more than one real element is a trained tensor that an exporter inlined, unless proved
    // otherwise: only scalars are read as architecture.
    let trained = kind == ElementKind::Real && tensor.data.len() > 1 && !is_pattern(&tensor);
    let visibility = if trained { Visibility::Weight } else { Visibility::Structural };
    Ok(Literal::new(builder.name(), tensor, kind, visibility))
}

/// Whether a tensor repeats one value, or is a mask (zeros and values that a softmax cannot see).
fn is_pattern(tensor: &Tensor) -> bool {
    let first = tensor.data[0];
    tensor.data.iter().all(|&value| value == first) || tensor.data.iter().all(|&value| value == 0.0 || value <= -1e4)
}

fn shape(builder: &Builder, call: &Call) -> Result<Literal, Refusal> {
    let input = call.input(0)?;
    let shape = builder.shape(&input);
    let rank = shape.len() as i64;
    let clamp = |value: i64| (if value < 0 { value.saturating_add(rank) } else { value }).clamp(0, rank) as usize;
    let (start, end) = (clamp(call.integer("start", 0)), clamp(call.integer("end", rank)));
    let data: Vec<f64> = shape[start..end.max(start)].iter().map(|&extent| extent as f64).collect();
    Ok(integer(builder, Tensor { shape: vec![data.len()], data }))
}

fn cast(call: &Call, value: &Literal) -> Result<Literal, Refusal> {
    let to = i32::try_from(call.integer("to", 0)).map_err(|_| "it casts to no known type".to_string())?;
    let kind = element_kind(to)?;
    let converted = match kind {
        ElementKind::Real => value.clone(),
        ElementKind::Integer => value.map(f64::trunc),
        ElementKind::Boolean => value.map(|x| f64::from(u8::from(x != 0.0))),
    };
    Ok(Literal { kind, ..converted })
}

fn constant_of_shape(builder: &Builder, call: &Call, shape: &Literal) -> Result<Literal, Refusal> {
    let (value, kind) = match call.attribute("value").and_then(|attribute| attribute.tensor.as_ref()) {
        Some(tensor) => tensor.values()?,
        None => (Tensor::scalar(0.0), ElementKind::Real),
    };
    let &[value] = value.data.as_slice() else {
        return Err(Refusal::Invalid("its value is not one number".into()));
    };
    let shape = extents(&shape.tensor.data)?;
    element_count(&shape)?;
    Ok(Literal::new(builder.name(), Tensor::filled(&shape, value), kind, Visibility::Structural))
}

/// Non-negative extents from a tensor of integers.
pub(super) fn extents(values: &[f64]) -> Result<Vec<usize>, Refusal> {
    let extent = |&value: &f64| {
        let fits = (0.0..=9e15).contains(&value) && value.fract() == 0.0;
        if fits { Ok(value as usize) } else { Err(Refusal::Invalid(format!("{value} is no extent"))) }
    };
    values.iter().map(extent).collect()
}

fn range(builder: &Builder, start: &Literal, limit: &Literal, delta: &Literal) -> Result<Literal, Refusal> {
    let (Some(first), Some(limit), Some(delta)) = (start.scalar(), limit.scalar(), delta.scalar()) else {
        return Err(Refusal::Invalid("its inputs are not numbers".into()));
    };
    let count = ((limit - first) / delta).ceil().max(0.0);
    if !(count.is_finite() && count <= 1e6) {
        return Err(Refusal::Invalid(format!("it would have {count} elements")));
    }
    let data: Vec<f64> = (0..count as usize).map(|index| first + index as f64 * delta).collect();
    Ok(Literal::new(builder.name(), Tensor { shape: vec![data.len()], data }, start.kind, Visibility::Structural))
}

fn select(builder: &Builder, condition: &Literal, yes: &Literal, no: &Literal) -> Result<Literal, Refusal> {
    let shape = broadcast_shape(&condition.tensor.shape, &broadcast_shape(&yes.tensor.shape, &no.tensor.shape)?)?;
    let (condition, a, b) =
        (condition.tensor.broadcast(&shape), yes.tensor.broadcast(&shape), no.tensor.broadcast(&shape));
    let picked = |(&c, (&a, &b)): (&f64, (&f64, &f64))| if c != 0.0 { a } else { b };
    let data = condition.data.iter().zip(a.data.iter().zip(&b.data)).map(picked).collect();
    Ok(Literal::new(builder.name(), Tensor { shape, data }, yes.kind, yes.visibility.max(no.visibility)))
}

fn unary(operator: &str, value: &Literal) -> Option<Literal> {
    let function: fn(f64) -> f64 = match operator {
        "Neg" => |x| -x,
        "Abs" => f64::abs,
        "Floor" => f64::floor,
        "Ceil" => f64::ceil,
        "Sqrt" => f64::sqrt,
        "Reciprocal" => f64::recip,
        "Exp" => f64::exp,
        "Log" => f64::ln,
        "Not" => |x| f64::from(u8::from(x == 0.0)),
        _ => return None,
    };
    Some(value.map(function))
}

fn binary(builder: &Builder, operator: &str, left: &Literal, right: &Literal) -> Result<Option<Literal>, Refusal> {
    let integers = left.kind == ElementKind::Integer;
    let truth = |value: bool| f64::from(u8::from(value));
    let function: &dyn Fn(f64, f64) -> f64 = match operator {
        "Add" => &|a, b| a + b,
        "Sub" => &|a, b| a - b,
        "Mul" => &|a, b| a * b,
        "Div" if integers => &|a, b| (a / b).trunc(),
        "Div" => &|a, b| a / b,
        "Mod" if integers => &|a, b| a - b * (a / b).floor(),
        "Pow" => &f64::powf,
        "Max" => &f64::max,
        "Min" => &f64::min,
        "Equal" => &|a, b| truth(a == b),
        "Less" => &|a, b| truth(a < b),
        "Greater" => &|a, b| truth(a > b),
        "And" => &|a, b| truth(a != 0.0 && b != 0.0),
        "Or" => &|a, b| truth(a != 0.0 || b != 0.0),
        _ => return Ok(None),
    };
    if matches!(operator, "Div" | "Mod") && right.tensor.data.contains(&0.0) {
        return Err(Refusal::Invalid("it divides by zero".into()));
    }
    let shape = broadcast_shape(&left.tensor.shape, &right.tensor.shape)?;
    let tensor = left.tensor.broadcast(&shape).zip(&right.tensor.broadcast(&shape), function);
    let kind = match operator {
        "Equal" | "Less" | "Greater" | "And" | "Or" => ElementKind::Boolean,
        _ => left.kind,
    };
    Ok(Some(Literal::new(builder.name(), tensor, kind, left.visibility.max(right.visibility))))
}
