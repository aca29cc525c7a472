//! Scales and summands disappear into the linear operators around them: in a private run each would cost a
//! multiplication with truncation.

use super::{Rewriter, elements, scalar_factor};
use crate::graph::NodeId;
use crate::graph::operator::{Constant, Operator, Visibility};
use crate::graph::reference::multiply_into;
use crate::graph::tensor::{Tensor, broadcast_shape};

fn tensor(constant: &Constant) -> Tensor {
    Tensor { shape: constant.shape().to_vec(), data: elements(constant).to_vec() }
}

/// The same constant with a new value, as secret as both that it was made from.
fn remade(constant: &Constant, other: Visibility, value: Tensor) -> Constant {
    Constant::new(constant.name.clone(), constant.visibility.max(other), value)
}

/// b·(a·x) = (a·b)·x and (x + a) + b = x + (a + b), where the inner value has no other user.
pub(super) fn merge(rewriter: &mut Rewriter) -> bool {
    let mut changed = false;
    for id in rewriter.ids() {
        let Some(first) = rewriter.source(id).filter(|first| rewriter.use_counts()[first.index()] == 1) else {
            continue;
        };
        let (a, b, sum) = match (rewriter.operator(first), rewriter.operator(id)) {
            (Operator::Scale { factor: a }, Operator::Scale { factor: b }) => (a, b, false),
            (Operator::AddConstant { constant: a }, Operator::AddConstant { constant: b }) => (a, b, true),
            _ => continue,
        };
        let Ok(shape) = broadcast_shape(a.shape(), b.shape()) else {
            continue;
        };
        let (left, right) = (tensor(a).broadcast(&shape), tensor(b).broadcast(&shape));
        let value = left.zip(&right, |a, b| if sum { a + b } else { a * b });
        let merged = remade(b, a.visibility, value);
        let x = rewriter.node(first).inputs.clone();
        let node = &mut rewriter.nodes[id.index()];
        node.operator =
            if sum { Operator::AddConstant { constant: merged } } else { Operator::Scale { factor: merged } };
        node.inputs = x;
        changed = true;
    }
    changed
}

/// One value per index of `axis` if the constant, broadcast to `shape`, varies along that axis only.
fn per_channel(constant: &Constant, shape: &[usize], axis: usize) -> Option<Vec<f64>> {
    let missing = shape.len().checked_sub(constant.shape().len())?;
    let varies = |(position, &extent): (usize, &usize)| extent != 1 && position + missing != axis;
    if constant.shape().iter().enumerate().any(varies) {
        return None;
    }
    let values = elements(constant);
    Some(if values.len() == 1 { vec![values[0]; shape[axis]] } else { values.to_vec() })
}

/// A scale or summand per channel behind a dense layer, a convolution or a layer norm that only it uses.
pub(super) fn into_producer(rewriter: &mut Rewriter) -> bool {
    let mut changed = false;
    for id in rewriter.ids() {
        let (constant, is_scale) = match rewriter.operator(id) {
            Operator::Scale { factor } => (factor, true),
            Operator::AddConstant { constant } => (constant, false),
            _ => continue,
        };
        let Some(producer) = rewriter.source(id) else {
            continue;
        };
        let counts = rewriter.use_counts();
        if counts[producer.index()] != 1 || counts[id.index()] == 0 {
            continue;
        }
        let shape = &rewriter.node(id).shape;
        let axis = match rewriter.operator(producer) {
            Operator::Conv { .. } => 1,
            Operator::Dense { .. } | Operator::LayerNorm { .. } => shape.len() - 1,
            _ => continue,
        };
        let Some(channels) = per_channel(constant, shape, axis) else {
            continue;
        };
        let channels = Constant::new(constant.name.clone(), constant.visibility, vector(channels));
        absorb(&mut rewriter.nodes[producer.index()].operator, &channels, is_scale);
        rewriter.redirect(id, producer);
        changed = true;
    }
    changed
}

fn vector(data: Vec<f64>) -> Tensor {
    Tensor { shape: vec![data.len()], data }
}

/// Multiplies or adds one value per output channel.
fn absorb(operator: &mut Operator, channels: &Constant, is_scale: bool) {
    let values = elements(channels);
    let combine = |slot: &mut Option<Constant>, neutral: f64, function: fn(f64, f64) -> f64| {
        let old = slot.as_ref().map_or_else(|| vec![neutral; values.len()], |old| elements(old).to_vec());
        let visibility = slot.as_ref().map_or(Visibility::Structural, |old| old.visibility);
        let name = slot.as_ref().unwrap_or(channels).name.clone();
        let new = old.iter().zip(values).map(|(&old, &value)| function(old, value)).collect();
        *slot = Some(Constant::new(name, visibility.max(channels.visibility), vector(new)));
    };
    match operator {
        Operator::LayerNorm { gamma, beta, .. } => {
            if is_scale {
                combine(gamma, 1.0, |a, b| a * b);
            }
            if !is_scale {
                combine(beta, 0.0, |a, b| a + b);
            } else if beta.is_some() {
                combine(beta, 0.0, |a, b| a * b);
            }
        }
        Operator::Dense { weight, bias } | Operator::Conv { weight, bias, .. } => {
            if !is_scale {
                combine(bias, 0.0, |a, b| a + b);
                return;
            }
            if bias.is_some() {
                combine(bias, 0.0, |a, b| a * b);
            }
            let mut value = tensor(weight);
            // A dense weight is [in, out], a convolution's [out, ..].
            if value.shape.len() == 2 {
                value.data.chunks_exact_mut(values.len()).for_each(|row| {
                    row.iter_mut().zip(values).for_each(|(element, factor)| *element *= factor);
                });
            } else {
                let length = value.data.len() / values.len();
                value.data.chunks_exact_mut(length).zip(values).for_each(|(kernel, factor)| {
                    kernel.iter_mut().for_each(|element| *element *= factor);
                });
            }
            *weight = remade(weight, channels.visibility, value);
        }
        _ => unreachable!("only linear producers absorb"),
    }
}

/// Operators through which a number passes: f(k·x) = k·f(x) in their first operand.
fn is_homogeneous(operator: &Operator) -> bool {
    matches!(
        operator,
        Operator::Reshape { .. }
            | Operator::Transpose { .. }
            | Operator::Broadcast { .. }
            | Operator::Slice { .. }
            | Operator::Gather { .. }
            | Operator::Pad { .. }
            | Operator::ReduceSum { .. }
            | Operator::SumPool { .. }
    )
}

/// A scale by one number moves into the dense layers and convolutions that use it, or into those that feed it.
pub(super) fn scalars(rewriter: &mut Rewriter) -> bool {
    let mut changed = false;
    for id in rewriter.ids() {
        if scalar_factor(rewriter.operator(id)).is_none() || rewriter.use_counts()[id.index()] == 0 {
            continue;
        }
        let Operator::Scale { factor } = rewriter.operator(id).clone() else {
            continue;
        };
        let Some(x) = rewriter.source(id) else {
            continue;
        };
        let mut users = Vec::new();
        let absorbers = if forward(rewriter, id, &mut users) {
            users
        } else if let Some(producer) = backward(rewriter, x) {
            vec![producer]
        } else {
            continue;
        };
        for absorber in absorbers {
            scale_weight(&mut rewriter.nodes[absorber.index()].operator, &factor, absorber < id);
        }
        rewriter.redirect(id, x);
        changed = true;
    }
    changed
}

/// Collects the linear operators that every use of `id` ends in, once per path; false if some use ends elsewhere.
fn forward(rewriter: &Rewriter, id: NodeId, absorbers: &mut Vec<NodeId>) -> bool {
    let Some(users) = rewriter.users(id) else {
        return false;
    };
    users.into_iter().all(|user| match rewriter.operator(user) {
        Operator::Dense { .. } | Operator::Conv { .. } => {
            absorbers.push(user);
            absorbers.len() < 64
        }
        Operator::MatMul => forward(rewriter, user, absorbers),
        operator if is_homogeneous(operator) => forward(rewriter, user, absorbers),
        _ => false,
    })
}

/// A linear operator before `id` whose only use leads here.
fn backward(rewriter: &Rewriter, id: NodeId) -> Option<NodeId> {
    if rewriter.use_counts()[id.index()] != 1 {
        return None;
    }
    match rewriter.operator(id) {
        Operator::Dense { .. } | Operator::Conv { .. } | Operator::LayerNorm { gamma: Some(_), .. } => Some(id),
        Operator::MatMul => rewriter.node(id).inputs.iter().find_map(|&operand| backward(rewriter, operand)),
        operator if is_homogeneous(operator) => backward(rewriter, rewriter.source(id)?),
        _ => None,
    }
}

/// Multiplies a linear operator by a number, its bias too where the number came after it.
fn scale_weight(operator: &mut Operator, factor: &Constant, with_bias: bool) {
    let number = elements(factor)[0];
    let scaled = |constant: &Constant| remade(constant, factor.visibility, tensor(constant).map(|x| x * number));
    match operator {
        Operator::Dense { weight, bias } | Operator::Conv { weight, bias, .. } => {
            *weight = scaled(weight);
            if with_bias {
                *bias = bias.as_ref().map(scaled);
            }
        }
        Operator::LayerNorm { gamma, beta, .. } => {
            *gamma = gamma.as_ref().map(scaled);
            *beta = beta.as_ref().map(scaled);
        }
        _ => unreachable!("only linear operators absorb"),
    }
}

/// (γ∘z + β)·W + b = z·(diag(γ)W) + (b + β·W): gamma and beta move into the dense layers if nothing else uses them.
pub(super) fn norm_into_dense(rewriter: &mut Rewriter) -> bool {
    let mut changed = false;
    for id in rewriter.ids() {
        let Operator::LayerNorm { gamma, beta, .. } = rewriter.operator(id).clone() else {
            continue;
        };
        let mut layers = Vec::new();
        if (gamma.is_none() && beta.is_none()) || !dense_users(rewriter, id, 1.0, &mut layers) {
            continue;
        }
        let unique = |layer: NodeId| layers.iter().filter(|&&(other, _)| other == layer).count() == 1;
        if layers.is_empty() || !layers.iter().all(|&(layer, _)| unique(layer)) {
            continue;
        }
        for (layer, multiplicity) in layers {
            move_affine(&mut rewriter.nodes[layer.index()].operator, gamma.as_ref(), beta.as_ref(), multiplicity);
        }
        if let Operator::LayerNorm { gamma, beta, .. } = &mut rewriter.nodes[id.index()].operator {
            (*gamma, *beta) = (None, None);
        }
        changed = true;
    }
    changed
}

/// Dense layers at the end of every path, with how often the path adds each row up; only operators that keep the last
/// axis whole may lie between.
fn dense_users(rewriter: &Rewriter, id: NodeId, multiplicity: f64, layers: &mut Vec<(NodeId, f64)>) -> bool {
    let Some(users) = rewriter.users(id) else {
        return false;
    };
    let shape = &rewriter.node(id).shape;
    let last = shape.len() - 1;
    users.into_iter().all(|user| {
        let node = rewriter.node(user);
        let keeps_rows = match &node.operator {
            Operator::Dense { .. } => {
                layers.push((user, multiplicity));
                return layers.len() < 64;
            }
            Operator::Reshape { .. } | Operator::Broadcast { .. } => node.shape.last() == shape.last(),
            Operator::Transpose { permutation } => permutation[last] == last,
            Operator::Gather { axis, .. } => *axis != last,
            Operator::Slice { axes } => axes[last].length == shape[last] && axes[last].step == 1,
            Operator::ReduceSum { axes } => !axes.contains(&last),
            _ => false,
        };
        let summed = match &node.operator {
            Operator::ReduceSum { axes } => axes.iter().map(|&axis| shape[axis] as f64).product(),
            _ => 1.0,
        };
        keeps_rows && dense_users(rewriter, user, multiplicity * summed, layers)
    })
}

fn move_affine(operator: &mut Operator, gamma: Option<&Constant>, beta: Option<&Constant>, multiplicity: f64) {
    let Operator::Dense { weight, bias } = operator else {
        return;
    };
    let (rows, columns) = (weight.shape()[0], weight.shape()[1]);
    if let Some(beta) = beta {
        let mut sum = bias.as_ref().map_or_else(|| vec![0.0; columns], |bias| elements(bias).to_vec());
        let shift: Vec<f64> = elements(beta).iter().map(|value| value * multiplicity).collect();
        multiply_into(&mut sum, &shift, elements(weight), rows, columns);
        let old = bias.as_ref().unwrap_or(beta);
        *bias = Some(remade(old, weight.visibility.max(beta.visibility), vector(sum)));
    }
    if let Some(gamma) = gamma {
        let mut value = tensor(weight);
        value.data.chunks_exact_mut(columns.max(1)).zip(elements(gamma)).for_each(|(row, factor)| {
            row.iter_mut().for_each(|element| *element *= factor);
        });
        *weight = remade(weight, gamma.visibility, value);
    }
}
