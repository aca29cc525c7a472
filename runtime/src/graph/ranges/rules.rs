//! The rules for everything but attention and softmax: interval arithmetic, and what each operator does to forms.

use super::form::{Block, Domain, Form, norms};
use super::interval::{Interval, rounding};
use super::matrix::Matrix;
use super::{Bounds, rearranged};
use crate::graph::Node;
use crate::graph::error::Error;
use crate::graph::operator::{Constant, Function, MASKED, Operator, Side, Window};
use crate::graph::reference::{convolution, dense, fold, pool};
use crate::graph::tensor::Tensor;
use std::sync::Arc;

/// Whether an operator only moves elements, and is therefore exact in any representation.
pub(super) fn only_moves(operator: &Operator) -> bool {
    matches!(
        operator,
        Operator::Reshape { .. }
            | Operator::Transpose { .. }
            | Operator::Broadcast { .. }
            | Operator::Slice { .. }
            | Operator::Concat { .. }
            | Operator::Gather { .. }
            | Operator::Pad { .. }
    )
}

pub(super) fn moved(node: &Node, operands: &[&Bounds]) -> Bounds {
    let (lower, upper) = rearranged(&node.operator, operands, &node.shape);
    let form = match operands {
        [single] => single.form.as_ref().and_then(|form| form.moved(&node.operator, &node.shape)),
        _ => None,
    };
    Bounds { form, ..Bounds::intervals(lower, upper) }
}

pub(super) fn computed(node: &Node, operands: &[&Bounds]) -> Result<Bounds, Error> {
    let x = operands[0];
    Ok(match &node.operator {
        Operator::Add => sum(x, operands[1], 1.0),
        Operator::Sub => sum(x, operands[1], -1.0),
        Operator::Mul => {
            let square = node.inputs[0] == node.inputs[1];
            combine(x, |offset| {
                let (a, b) = (x.interval(offset), operands[1].interval(offset));
                let product = if square { a.square() } else { a.product(b) };
                product.widen(rounding(1, product.magnitude()))
            })
        }
        Operator::Scale { factor } => scale(x, factor, &node.shape)?,
        Operator::AddConstant { constant } => add_constant(x, constant, &node.shape)?,
        Operator::Mask { masked } => mask(x, masked, &node.shape)?,
        // Monotone, so ends go to ends.
        Operator::Limit { side, bound, .. } => combine(x, |offset| {
            let Interval { lower, upper } = x.interval(offset);
            match side {
                Side::Below => Interval::new(lower.max(*bound), upper.max(*bound)),
                Side::Above => Interval::new(lower.min(*bound), upper.min(*bound)),
            }
        }),
        Operator::Excess { bound } => combine(x, |offset| {
            let Interval { lower, upper } = x.interval(offset);
            let excess = Interval::new((lower - bound).max(0.0), (upper - bound).max(0.0));
            excess.widen(rounding(2, upper.abs().max(lower.abs()) + bound.abs()))
        }),
        Operator::Dense { weight, bias } => {
            let bias = bias.as_ref().map(Constant::tensor).transpose()?.map(|bias| bias.data.as_slice());
            let weight = weight.tensor()?;
            let absolute = weight.map(f64::abs);
            let bounds = affine(
                x,
                weight.shape[0],
                |value, with_bias| dense(value, weight, bias.filter(|_| with_bias), &node.shape),
                |value| dense(value, &absolute, None, &node.shape),
            );
            let form = x.form.as_ref().and_then(|form| form.dense(weight, bias, &node.shape));
            Bounds { form, ..bounds }
        }
        Operator::Conv { weight, bias, groups, window } => {
            let bias = bias.as_ref().map(Constant::tensor).transpose()?.map(|bias| bias.data.as_slice());
            convolved(x, weight.tensor()?, bias, *groups, window, &node.shape)
        }
        Operator::ReduceSum { axes } => {
            let total = |value: &Tensor| fold(value, &node.shape, 0.0, |sum, x| sum + x);
            let count = axes.iter().map(|&axis| x.lower.shape[axis]).product();
            let bounds = affine(x, count, |value, _| total(value), total);
            let form = x.form.as_ref().and_then(|form| form.summed(axes, &node.shape));
            Bounds { form, ..bounds }
        }
        Operator::SumPool { window } => {
            let total = |value: &Tensor| pool(value, window, &node.shape, 0.0, |sum, x| sum + x);
            affine(x, window.kernel[0] * window.kernel[1], |value, _| total(value), total)
        }
        Operator::MaxPool { window } => {
            let greatest = |value: &Tensor| pool(value, window, &node.shape, f64::NEG_INFINITY, f64::max);
            Bounds::intervals(greatest(&x.lower), greatest(&x.upper))
        }
        Operator::Activation { function } => activation(x, *function),
        Operator::LayerNorm { gamma, beta, .. } => layer_norm(gamma.as_ref(), beta.as_ref(), &node.shape)?,
        operator => unreachable!("{} is bounded by its caller", operator.name()),
    })
}

fn combine(x: &Bounds, interval: impl Fn(usize) -> Interval) -> Bounds {
    let mut bounds = Bounds::intervals(x.lower.clone(), x.upper.clone());
    for offset in 0..x.lower.data.len() {
        let interval = interval(offset);
        (bounds.lower.data[offset], bounds.upper.data[offset]) = (interval.lower, interval.upper);
    }
    bounds
}

fn sum(x: &Bounds, y: &Bounds, sign: f64) -> Bounds {
    let bounds = combine(x, |offset| {
        let (a, b) = (x.interval(offset), y.interval(offset));
        let b = if sign < 0.0 { Interval::new(-b.upper, -b.lower) } else { b };
        Interval::new(a.lower + b.lower, a.upper + b.upper).widen(rounding(2, a.magnitude() + b.magnitude()))
    });
    let form = match (&x.form, &y.form) {
        (Some(a), Some(b)) => a.plus(b, sign).or_else(|| Some(a.plus_intervals(&y.lower, &y.upper, sign))),
        (Some(a), None) => Some(a.plus_intervals(&y.lower, &y.upper, sign)),
        (None, Some(b)) => Some(b.scaled(sign).plus_intervals(&x.lower, &x.upper, 1.0)),
        (None, None) => None,
    };
    Bounds { form: form.filter(|form| form.slack.is_finite()), ..bounds }
}

fn scale(x: &Bounds, factor: &Constant, shape: &[usize]) -> Result<Bounds, Error> {
    let spread = factor.tensor()?.broadcast(shape);
    let bounds = combine(x, |offset| {
        let factor = spread.data[offset];
        let product = x.interval(offset).product(Interval::new(factor, factor));
        product.widen(rounding(1, product.magnitude()))
    });
    let number = factor.scalar();
    let form = number.and_then(|number| x.form.as_ref().map(|form| form.scaled(number)));
    let spread = number.and_then(|number| {
        x.spread.as_ref().map(|rows| rows.iter().map(|row| row * number.abs() * (1.0 + 1e-12)).collect())
    });
    Ok(Bounds { form, spread, ..bounds })
}

fn add_constant(x: &Bounds, constant: &Constant, shape: &[usize]) -> Result<Bounds, Error> {
    let constant = constant.tensor()?.broadcast(shape);
    Ok(sum(x, &Bounds::intervals(constant.clone(), constant), 1.0))
}

fn mask(x: &Bounds, masked: &Constant, shape: &[usize]) -> Result<Bounds, Error> {
    let masked = masked.tensor()?.broadcast(shape);
    let bounds =
        combine(
            x,
            |offset| {
                if masked.data[offset] == 0.0 { x.interval(offset) } else { Interval::new(MASKED, MASKED) }
            },
        );
    // The spread of a row is used for its free positions only.
    Ok(Bounds { spread: x.spread.clone(), ..bounds })
}

/// A linear map of `terms` summands per element: the centre through the map, the radius through its absolute value.
fn affine(
    x: &Bounds,
    terms: usize,
    map: impl Fn(&Tensor, bool) -> Tensor,
    absolute: impl Fn(&Tensor) -> Tensor,
) -> Bounds {
    let centre = x.lower.zip(&x.upper, |a, b| (a + b) / 2.0);
    let radius = x.lower.zip(&x.upper, |a, b| (b - a) / 2.0);
    let magnitude = absolute(&x.lower.zip(&x.upper, |a, b| a.abs().max(b.abs())));
    let (middle, reach, linear) = (map(&centre, true), absolute(&radius), map(&centre, false));
    // What the bias adds to the size of the terms.
    let bias = middle.zip(&linear, |with, without| (with - without).abs());
    let error = magnitude.zip(&bias, |magnitude, bias| rounding(terms, magnitude + bias));
    let reach = reach.zip(&error, |reach, error| reach + error);
    let lower = middle.zip(&reach, |middle, reach| Interval::new(middle - reach, 0.0).lower);
    let upper = middle.zip(&reach, |middle, reach| Interval::new(0.0, middle + reach).upper);
    Bounds::intervals(lower, upper)
}

fn convolved(
    x: &Bounds,
    weight: &Tensor,
    bias: Option<&[f64]>,
    groups: usize,
    window: &Window,
    shape: &[usize],
) -> Bounds {
    let terms = weight.data.len() / weight.shape[0].max(1);
    let absolute = weight.map(f64::abs);
    let map =
        |value: &Tensor, with_bias: bool| convolution(value, weight, bias.filter(|_| with_bias), groups, window, shape);
    let through_absolute = |value: &Tensor| convolution(value, &absolute, None, groups, window, shape);
    let bounds = affine(x, terms, map, through_absolute);
    let form = (groups == 1).then(|| convolution_form(x, weight, window, shape, map, through_absolute)).flatten();
    Bounds { form, ..bounds }
}

/// The channels at one place of a convolution are an affine image of the box that the window sees. Places in the
/// padding see zeros, which the box of the widest place around the true centre contains.
fn convolution_form(
    x: &Bounds,
    weight: &Tensor,
    window: &Window,
    shape: &[usize],
    map: impl Fn(&Tensor, bool) -> Tensor,
    absolute: impl Fn(&Tensor) -> Tensor,
) -> Option<Form> {
    let (outputs, taps) = (weight.shape[0], weight.data.len() / weight.shape[0].max(1));
    let area = window.kernel[0] * window.kernel[1];
    let plane = x.lower.shape[2] * x.lower.shape[3];
    let mut widest = vec![0.0_f64; x.lower.shape[1]];
    for offset in 0..x.lower.data.len() {
        let interval = x.interval(offset);
        let channel = offset / plane % widest.len();
        widest[channel] = widest[channel].max((interval.upper - interval.lower) / 2.0);
    }
    let data = weight.data.iter().enumerate().map(|(index, tap)| tap * widest[index % taps / area]).collect();
    let generator = Some(Arc::new(Matrix { rows: outputs, columns: taps, data }));
    let centre = map(&x.lower.zip(&x.upper, |a, b| (a + b) / 2.0), true);
    let magnitude = absolute(&x.lower.zip(&x.upper, |a, b| a.abs().max(b.abs())));
    let slack = magnitude.zip(&centre, |magnitude, centre| rounding(taps, 2.0 * magnitude + centre.abs()));
    let block = Block { generator, radius: 1.0, domain: Domain::Box };
    let form = Form { axis: 1, group_axis: None, groups: vec![vec![block]], centre, slack };
    (form.slack.is_finite() && widest.iter().all(|width| width.is_finite()) && form.centre.shape == shape)
        .then_some(form)
}

fn activation(x: &Bounds, function: Function) -> Bounds {
    let bounds = combine(x, |offset| x.interval(offset).image(function));
    // |f(x)| ≤ |x| element by element, so lengths do not grow.
    let contracts = matches!(
        function,
        Function::Gelu | Function::GeluTanh | Function::Silu | Function::Mish | Function::Tanh | Function::Relu
    );
    let form = x.form.as_ref().filter(|_| contracts).and_then(|form| {
        let from_intervals = norms(&x.lower.zip(&x.upper, |a, b| a.abs().max(b.abs())), form.axis);
        let radius = from_intervals.data.into_iter().fold(0.0, f64::max).min(form.norm_max());
        Form::ball(&x.lower.shape, form.axis, radius * (1.0 + 1e-12))
    });
    Bounds { form, ..bounds }
}

/// y = γ∘z + β with Σz = 0 and ‖z‖² = n·var/(var + ε) ≤ n, whatever the row is.
fn layer_norm(gamma: Option<&Constant>, beta: Option<&Constant>, shape: &[usize]) -> Result<Bounds, Error> {
    let axis = shape.len() - 1;
    let length = shape[axis];
    let value = |constant: Option<&Constant>, neutral: f64| {
        constant
            .map_or_else(|| Ok(vec![neutral; length]), |constant| constant.tensor().map(|tensor| tensor.data.clone()))
    };
    let (gamma, beta) = (value(gamma, 1.0)?, value(beta, 0.0)?);
    let mut data = vec![0.0; length * length];
    for (row, gamma) in gamma.iter().enumerate() {
        for column in 0..length {
            let identity = if row == column { 1.0 } else { 0.0 };
            data[row * length + column] = gamma * (identity - 1.0 / length as f64);
        }
    }
    let generator = Some(Arc::new(Matrix { rows: length, columns: length, data }));
    let block = Block { generator, radius: (length as f64).sqrt(), domain: Domain::Ball };
    let centre = Tensor { shape: vec![length], data: beta }.broadcast(shape);
    let reach = Tensor { shape: vec![length], data: gamma }.broadcast(shape);
    // Entries of the generator and the reference's own arithmetic are off by a few units in the last place.
    let size = reach.zip(&centre, |gamma, beta| gamma.abs() * length as f64 + beta.abs());
    let slack = size.map(|size| rounding(length, size));
    let form = Form { axis, group_axis: None, groups: vec![vec![block]], centre, slack };
    let (lower, upper) = form.intervals();
    Ok(Bounds { form: Some(form), ..Bounds::intervals(lower, upper) })
}
