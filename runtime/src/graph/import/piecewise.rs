//! Functions made of rectifiers, linear parts, and functions that have entries: nothing new for a circuit.
//!
//! With r(x) = max(x, 0): max(a, b) = b + r(a − b), |x| = 2·r(x) − x, and clip(x, l, h) = l + r(x − l) − r(x − h).
//! What needs exp of min(x, 0) takes −r(−x), whose bounds are seen not to be positive.

use super::builder::{Builder, Literal, Value};
use super::call::{Call, Refusal};
use super::elementwise::{add, divide, multiply, scale, subtract};
use crate::graph::operator::{Function, Operator};
use crate::graph::tensor::Tensor;

/// Bounds of a clip at or beyond this are none: exporters write the largest single-precision number.
const UNBOUNDED: f64 = 3e38;

pub(super) fn lower(builder: &mut Builder, call: &Call) -> Result<Value, Refusal> {
    let x = call.input(0)?;
    match call.operator() {
        "Clip" => {
            let bounds = bounds(call)?;
            clip(builder, &x, bounds)
        }
        "Max" => fold(builder, call, maximum),
        "Min" => fold(builder, call, minimum),
        "Abs" => {
            let doubled = rectified(builder, &x).and_then(|r| scale(builder, &r, 2.0))?;
            subtract(builder, &doubled, &x)
        }
        "LeakyRelu" => {
            let alpha = call.real("alpha", 0.01);
            let (line, excess) = (scale(builder, &x, alpha)?, rectified(builder, &x)?);
            let excess = scale(builder, &excess, 1.0 - alpha)?;
            add(builder, &line, &excess)
        }
        "PRelu" => {
            let positive = rectified(builder, &x)?;
            let negative = subtract(builder, &x, &positive)?;
            let sloped = multiply(builder, &negative, &call.input(1)?)?;
            add(builder, &positive, &sloped)
        }
        "Elu" => exponential(builder, &x, call.real("alpha", 1.0), 1.0),
        "Selu" => {
            let (alpha, gamma) = (call.real("alpha", 1.673_263_2), call.real("gamma", 1.050_701));
            let value = exponential(builder, &x, alpha, 1.0)?;
            scale(builder, &value, gamma)
        }
        "Celu" => {
            let alpha = call.real("alpha", 1.0);
            exponential(builder, &x, alpha, 1.0 / alpha)
        }
        "HardSigmoid" => hard_sigmoid(builder, &x, call.real("alpha", 0.2), call.real("beta", 0.5)),
        "HardSwish" => {
            let gate = hard_sigmoid(builder, &x, 1.0 / 6.0, 0.5)?;
            multiply(builder, &x, &gate)
        }
        "Swish" => {
            let alpha = call.real("alpha", 1.0);
            let gate = scale(builder, &x, alpha)?;
            let gate = builder.emit(Operator::Activation { function: Function::Sigmoid }, &[gate])?;
            multiply(builder, &x, &gate)
        }
        // Softsign: x/(1 + |x|), the size as a sum of two numbers that are not negative.
        _ => {
            let negated = scale(builder, &x, -1.0)?;
            let (positive, negative) = (rectified(builder, &x)?, rectified(builder, &negated)?);
            let size = add(builder, &positive, &negative)?;
            let one = number(builder, 1.0);
            let divisor = add(builder, &size, &one)?;
            divide(builder, &x, &divisor)
        }
    }
}

pub(super) fn number(builder: &Builder, value: f64) -> Value {
    Value::Literal(Literal::structural(builder.name(), Tensor::scalar(value)))
}

pub(super) fn rectified(builder: &mut Builder, x: &Value) -> Result<Value, Refusal> {
    builder.emit(Operator::Activation { function: Function::Relu }, std::slice::from_ref(x))
}

fn is_zero(value: &Value) -> bool {
    matches!(value, Value::Literal(literal) if literal.tensor.data.iter().all(|&element| element == 0.0))
}

pub(super) fn maximum(builder: &mut Builder, a: &Value, b: &Value) -> Result<Value, Refusal> {
    if let Value::Literal(_) = a {
        return if let Value::Literal(_) = b { both(builder, a, b, f64::max) } else { maximum(builder, b, a) };
    }
    if is_zero(b) && builder.shape(b).iter().all(|&extent| extent == 1) {
        return rectified(builder, a);
    }
    let difference = subtract(builder, a, b)?;
    let excess = rectified(builder, &difference)?;
    add(builder, &excess, b)
}

pub(super) fn minimum(builder: &mut Builder, a: &Value, b: &Value) -> Result<Value, Refusal> {
    if let (Value::Literal(_), Value::Literal(_)) = (a, b) {
        return both(builder, a, b, f64::min);
    }
    let difference = subtract(builder, a, b)?;
    let excess = rectified(builder, &difference)?;
    subtract(builder, a, &excess)
}

fn both(builder: &Builder, a: &Value, b: &Value, function: fn(f64, f64) -> f64) -> Result<Value, Refusal> {
    let (Value::Literal(a), Value::Literal(b)) = (a, b) else {
        return Err(Refusal::Invalid("its inputs are not constants".into()));
    };
    let shape = crate::graph::tensor::broadcast_shape(&a.tensor.shape, &b.tensor.shape)?;
    let tensor = a.tensor.broadcast(&shape).zip(&b.tensor.broadcast(&shape), function);
    Ok(Value::Literal(Literal::new(builder.name(), tensor, a.kind, a.visibility.max(b.visibility))))
}

type Pairwise = fn(&mut Builder, &Value, &Value) -> Result<Value, Refusal>;

fn fold(builder: &mut Builder, call: &Call, pairwise: Pairwise) -> Result<Value, Refusal> {
    let inputs = call.inputs()?;
    let (first, rest) = inputs.split_first().ok_or_else(|| "it has no inputs".to_string())?;
    rest.iter().try_fold(first.clone(), |value, input| pairwise(builder, &value, input))
}

/// The bounds of a clip from its inputs, or from the attributes of older operator sets.
fn bounds(call: &Call) -> Result<[Option<f64>; 2], Refusal> {
    let bound = |index: usize, name: &str| -> Result<Option<f64>, Refusal> {
        let given = call.optional_literal(index, name)?.and_then(|literal| literal.scalar());
        let given = given.or_else(|| call.attribute(name).map(|attribute| f64::from(attribute.float)));
        Ok(given.filter(|value| value.abs() < UNBOUNDED))
    };
    Ok([bound(1, "min")?, bound(2, "max")?])
}

fn clip(builder: &mut Builder, x: &Value, bounds: [Option<f64>; 2]) -> Result<Value, Refusal> {
    let [low, high] = bounds;
    if let (Some(low), Some(high)) = (low, high)
        && low >= high
    {
        // ONNX: the greatest bound wins.
        let nothing = scale_to_zero(builder, x)?;
        let high = number(builder, high);
        return add(builder, &nothing, &high);
    }
    let mut value = match low {
        Some(low) => {
            let low = number(builder, low);
            maximum(builder, x, &low)?
        }
        None => x.clone(),
    };
    if let Some(high) = high {
        let high = number(builder, high);
        let above = subtract(builder, x, &high)?;
        let above = rectified(builder, &above)?;
        value = subtract(builder, &value, &above)?;
    }
    Ok(value)
}

fn scale_to_zero(builder: &mut Builder, x: &Value) -> Result<Value, Refusal> {
    subtract(builder, x, x)
}

fn hard_sigmoid(builder: &mut Builder, x: &Value, alpha: f64, beta: f64) -> Result<Value, Refusal> {
    let line = scale(builder, x, alpha)?;
    let beta = number(builder, beta);
    let line = add(builder, &line, &beta)?;
    clip(builder, &line, [Some(0.0), Some(1.0)])
}

/// r(x) + α·(exp(k·min(x, 0)) − 1).
fn exponential(builder: &mut Builder, x: &Value, alpha: f64, k: f64) -> Result<Value, Refusal> {
    let positive = rectified(builder, x)?;
    // A product with k after the rectifier would be rounded, and a rounded zero may be above zero.
    let negated = scale(builder, x, -k)?;
    let below = rectified(builder, &negated).and_then(|value| scale(builder, &value, -1.0))?;
    let power = builder.emit(Operator::Activation { function: Function::Exp }, &[below])?;
    let power = scale(builder, &power, alpha)?;
    let one = number(builder, -alpha);
    let power = add(builder, &power, &one)?;
    add(builder, &positive, &power)
}
