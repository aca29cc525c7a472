//! Sums, products, powers and scalar functions; constants become scales and summands, broadcasts become explicit.

use super::builder::{Builder, Literal, Value};
use super::call::{Call, Refusal, shape_of};
use crate::graph::operator::{Function, Operator};
use crate::graph::tensor::{Tensor, broadcast_shape};

/// Additive constants at or below this are masks: every softmax gives such positions weight zero.
pub(crate) const MASK_MAX: f64 = -1e4;

pub(super) fn lower(builder: &mut Builder, call: &Call) -> Result<Value, Refusal> {
    match call.operator() {
        "Add" => add(builder, &call.input(0)?, &call.input(1)?),
        "Sub" => subtract(builder, &call.input(0)?, &call.input(1)?),
        "Mul" => multiply(builder, &call.input(0)?, &call.input(1)?),
        "Div" => divide(builder, &call.input(0)?, &call.input(1)?),
        "Sum" | "Mean" => {
            let inputs = call.inputs()?;
            let (first, rest) = inputs.split_first().ok_or_else(|| "it has no inputs".to_string())?;
            let sum = rest.iter().try_fold(first.clone(), |sum, input| add(builder, &sum, input))?;
            let count = if call.operator() == "Mean" { inputs.len() as f64 } else { 1.0 };
            scale(builder, &sum, 1.0 / count)
        }
        "Neg" => scale(builder, &call.input(0)?, -1.0),
        "Pow" => power(builder, call),
        _ => select(builder, call),
    }
}

pub(super) fn activation(builder: &mut Builder, call: &Call) -> Result<Value, Refusal> {
    let function = match call.operator() {
        "Gelu" => match call.string("approximate", "none").as_str() {
            "none" => Function::Gelu,
            "tanh" => Function::GeluTanh,
            other => {
                return Err(Refusal::Unsupported(format!("its approximation '{other}' is not none or tanh")));
            }
        },
        "Sigmoid" => Function::Sigmoid,
        "Tanh" => Function::Tanh,
        "Relu" => Function::Relu,
        "Erf" => Function::Erf,
        "Exp" => Function::Exp,
        "Log" => Function::Logarithm,
        "Softplus" => Function::Softplus,
        "Mish" => Function::Mish,
        "Sqrt" => Function::SquareRoot,
        _ => Function::Reciprocal,
    };
    builder.emit(Operator::Activation { function }, &[call.input(0)?])
}

pub(super) fn scale(builder: &mut Builder, value: &Value, factor: f64) -> Result<Value, Refusal> {
    let factor = Literal::structural(builder.name(), Tensor::scalar(factor)).constant();
    builder.emit(Operator::Scale { factor }, std::slice::from_ref(value))
}

/// Repeats `value` so that it has the shape of both operands together.
fn spread(builder: &mut Builder, value: &Value, other: &[usize]) -> Result<Value, Refusal> {
    let shape = broadcast_shape(builder.shape(value), other)?;
    if builder.shape(value) == shape {
        return Ok(value.clone());
    }
    // Constants broadcast inside their operator and stay small.
    if let Value::Literal(_) = value {
        return Ok(value.clone());
    }
    let missing = shape.len() - builder.shape(value).len();
    let aligned: Vec<usize> = std::iter::repeat_n(1, missing).chain(builder.shape(value).iter().copied()).collect();
    let value = builder.emit(Operator::Reshape { shape: aligned }, std::slice::from_ref(value))?;
    builder.emit(Operator::Broadcast { shape }, &[value])
}

pub(super) fn add(builder: &mut Builder, left: &Value, right: &Value) -> Result<Value, Refusal> {
    let (a, b) = (spread(builder, left, &shape_of(builder, right))?, spread(builder, right, &shape_of(builder, left))?);
    match (&a, &b) {
        (Value::Literal(constant), data) | (data, Value::Literal(constant)) => {
            builder.emit(Operator::AddConstant { constant: constant.constant() }, std::slice::from_ref(data))
        }
        _ => builder.emit(Operator::Add, &[a, b]),
    }
}

pub(super) fn subtract(builder: &mut Builder, left: &Value, right: &Value) -> Result<Value, Refusal> {
    match (left, right) {
        (_, Value::Literal(constant)) => {
            let negated = Value::Literal(constant.map(|x| -x));
            add(builder, left, &negated)
        }
        (Value::Literal(_), _) => {
            let negated = scale(builder, right, -1.0)?;
            add(builder, left, &negated)
        }
        _ => {
            let a = spread(builder, left, &shape_of(builder, right))?;
            let b = spread(builder, right, &shape_of(builder, left))?;
            builder.emit(Operator::Sub, &[a, b])
        }
    }
}

pub(super) fn multiply(builder: &mut Builder, left: &Value, right: &Value) -> Result<Value, Refusal> {
    let (a, b) = (spread(builder, left, &shape_of(builder, right))?, spread(builder, right, &shape_of(builder, left))?);
    match (&a, &b) {
        (Value::Literal(factor), data) | (data, Value::Literal(factor)) => {
            builder.emit(Operator::Scale { factor: factor.constant() }, std::slice::from_ref(data))
        }
        _ => builder.emit(Operator::Mul, &[a, b]),
    }
}

pub(super) fn divide(builder: &mut Builder, left: &Value, right: &Value) -> Result<Value, Refusal> {
    let inverse = match right {
        Value::Literal(divisor) if divisor.tensor.data.contains(&0.0) => {
            return Err(Refusal::Invalid("it divides by zero".into()));
        }
        Value::Literal(divisor) => Value::Literal(divisor.map(f64::recip)),
        // The reciprocal before the broadcast: one per row, not one per element.
        Value::Node(_) => {
            builder.emit(Operator::Activation { function: Function::Reciprocal }, std::slice::from_ref(right))?
        }
    };
    multiply(builder, left, &inverse)
}

fn power(builder: &mut Builder, call: &Call) -> Result<Value, Refusal> {
    let base = call.input(0)?;
    let exponents = call.literal(1, "exponent")?;
    let exponent = exponents.scalar();
    if exponent.is_none() {
        return whole_powers(builder, &base, &exponents);
    }
    let apply = |builder: &mut Builder, function, value: &Value| {
        builder.emit(Operator::Activation { function }, std::slice::from_ref(value))
    };
    match exponent {
        Some(1.0) => Ok(base),
        Some(whole) if whole.fract() == 0.0 && (2.0..=POWER_MAX).contains(&whole) => {
            whole_power(builder, &base, whole as u32)
        }
        Some(0.5) => apply(builder, Function::SquareRoot, &base),
        Some(-1.0) => apply(builder, Function::Reciprocal, &base),
        Some(-0.5) => {
            let root = apply(builder, Function::SquareRoot, &base)?;
            apply(builder, Function::Reciprocal, &root)
        }
        _ => Err(Refusal::Unsupported("supported exponents are 1 to 16, 0.5, -0.5 and -1".into())),
    }
}

/// Each element with its own whole exponent: the powers that occur, each where it is wanted.
fn whole_powers(builder: &mut Builder, base: &Value, exponents: &Literal) -> Result<Value, Refusal> {
    let mut distinct = exponents.tensor.data.clone();
    distinct.sort_by(f64::total_cmp);
    distinct.dedup();
    if distinct.iter().any(|power| power.fract() != 0.0 || !(1.0..=POWER_MAX).contains(power)) {
        return Err(Refusal::Unsupported("supported exponents that differ are whole, 1 to 16".into()));
    }
    let mut sum: Option<Value> = None;
    for power in distinct {
        let wanted = Value::Literal(exponents.map(|own| f64::from(u8::from(own == power))));
        let value = whole_power(builder, base, power as u32)?;
        let part = multiply(builder, &value, &wanted)?;
        sum = Some(match sum {
            Some(sum) => add(builder, &sum, &part)?,
            None => part,
        });
    }
    sum.ok_or_else(|| Refusal::Invalid("it has no exponents".into()))
}

/// The largest exponent of a power that is a chain of products.
const POWER_MAX: f64 = 16.0;

/// By squaring: x^n in at most 2·log₂ n products.
fn whole_power(builder: &mut Builder, base: &Value, exponent: u32) -> Result<Value, Refusal> {
    if exponent == 1 {
        return Ok(base.clone());
    }
    let half = whole_power(builder, base, exponent / 2)?;
    let square = multiply(builder, &half, &half)?;
    if exponent.is_multiple_of(2) { Ok(square) } else { multiply(builder, base, &square) }
}

/// `Where` with a secret condition; with a constant condition and one constant branch: a mask, or a public selection.
fn select(builder: &mut Builder, call: &Call) -> Result<Value, Refusal> {
    let (yes, no) = (call.input(1)?, call.input(2)?);
    if let condition @ Value::Node(_) = call.input(0)? {
        return super::comparisons::choose(builder, &condition, &yes, &no);
    }
    let condition = call.literal(0, "condition")?;
    let truth = |wanted: bool| condition.map(|x| f64::from(u8::from((x != 0.0) == wanted)));
    let (data, other, keep, replaced) = match (yes, no) {
        (data @ Value::Node(_), Value::Literal(other)) => (data, other, truth(true), truth(false)),
        (Value::Literal(other), data) => (data, other, truth(false), truth(true)),
        (yes, no) => {
            let (keep, replaced) = (Value::Literal(truth(true)), Value::Literal(truth(false)));
            let (a, b) = (multiply(builder, &yes, &keep)?, multiply(builder, &no, &replaced)?);
            return add(builder, &a, &b);
        }
    };
    let shape = broadcast_shape(&condition.tensor.shape, builder.shape(&data))?;
    let data = spread(builder, &data, &shape)?;
    if other.tensor.data.iter().all(|&value| value <= MASK_MAX) {
        let masked = Literal::structural(builder.name(), (*replaced.tensor).clone()).constant();
        return builder.emit(Operator::Mask { masked }, &[data]);
    }
    let kept = multiply(builder, &data, &Value::Literal(keep))?;
    let shape = broadcast_shape(&replaced.tensor.shape, &other.tensor.shape)?;
    let constant = replaced.tensor.broadcast(&shape).zip(&other.tensor.broadcast(&shape), |keep, value| {
        // An infinity at a position that is not taken must not become NaN.
        if keep == 0.0 { 0.0 } else { value }
    });
    let constant = Literal { tensor: constant.into(), ..other };
    add(builder, &kept, &Value::Literal(constant))
}
