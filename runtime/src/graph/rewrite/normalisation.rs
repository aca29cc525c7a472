//! Layer norms that exporters spell out, and additive masks before a softmax.

use super::{Rewriter, close, elements, scalar_factor, scalar_summand};
use crate::graph::NodeId;
use crate::graph::import::MASK_MAX;
use crate::graph::operator::{Constant, Function, Operator, Visibility};
use crate::graph::tensor::Tensor;

/// d·(1/√(mean(d²) + ε)) with d = x − mean(x) over the last axis is a layer norm without gamma and beta; these
/// follow as a scale and a summand, which [`super::affine`] folds.
pub(super) fn recognise(rewriter: &mut Rewriter) -> bool {
    let mut changed = false;
    for id in rewriter.ids() {
        if *rewriter.operator(id) != Operator::Mul {
            continue;
        }
        let (left, right) = (rewriter.node(id).inputs[0], rewriter.node(id).inputs[1]);
        let found = match_norm(rewriter, left, right).or_else(|| match_norm(rewriter, right, left));
        if let Some((x, epsilon)) = found {
            let node = &mut rewriter.nodes[id.index()];
            node.operator = Operator::LayerNorm { gamma: None, beta: None, epsilon };
            node.inputs = vec![x];
            changed = true;
        }
    }
    changed
}

fn match_norm(rewriter: &Rewriter, deviation: NodeId, inverse: NodeId) -> Option<(NodeId, f64)> {
    let x = deviation_of(rewriter, deviation)?;
    let inverse = repeated(rewriter, inverse);
    let root = activated(rewriter, inverse, Function::Reciprocal)?;
    let sum = activated(rewriter, root, Function::SquareRoot)?;
    let epsilon = scalar_summand(rewriter.operator(sum)).filter(|&epsilon| epsilon > 0.0)?;
    let square = mean_of_rows(rewriter, rewriter.source(sum)?)?;
    let factors = &rewriter.node(square).inputs;
    let is_square = *rewriter.operator(square) == Operator::Mul
        && factors.iter().all(|&factor| deviation_of(rewriter, factor) == Some(x));
    is_square.then_some((x, epsilon))
}

/// x where the node is x − mean(x).
fn deviation_of(rewriter: &Rewriter, id: NodeId) -> Option<NodeId> {
    if *rewriter.operator(id) != Operator::Sub {
        return None;
    }
    let (x, mean) = (rewriter.node(id).inputs[0], rewriter.node(id).inputs[1]);
    (mean_of_rows(rewriter, repeated(rewriter, mean))? == x).then_some(x)
}

/// x where the node is the mean of x over its last axis.
fn mean_of_rows(rewriter: &Rewriter, id: NodeId) -> Option<NodeId> {
    let factor = scalar_factor(rewriter.operator(id))?;
    let sum = rewriter.source(id)?;
    let Operator::ReduceSum { axes } = rewriter.operator(sum) else {
        return None;
    };
    let x = rewriter.source(sum)?;
    let shape = &rewriter.node(x).shape;
    let length = *shape.last()?;
    (*axes == [shape.len() - 1] && close(factor, 1.0 / length as f64)).then_some(x)
}

fn repeated(rewriter: &Rewriter, id: NodeId) -> NodeId {
    match rewriter.operator(id) {
        Operator::Broadcast { .. } => rewriter.source(id).unwrap_or(id),
        _ => id,
    }
}

fn activated(rewriter: &Rewriter, id: NodeId, wanted: Function) -> Option<NodeId> {
    match rewriter.operator(id) {
        Operator::Activation { function } if *function == wanted => rewriter.source(id),
        _ => None,
    }
}

/// A constant added before a softmax whose elements at or below −10⁴ leave other positions of every row free is a
/// mask there: softmax(x + c) differs from the masked softmax by less than e^(−10⁴ + spread of x).
pub(super) fn masks(rewriter: &mut Rewriter) -> bool {
    for id in rewriter.ids() {
        if *rewriter.operator(id) != Operator::Softmax {
            continue;
        }
        let Some(sum) = rewriter.source(id) else {
            continue;
        };
        let Operator::AddConstant { constant } = rewriter.operator(sum) else {
            continue;
        };
        let shape = rewriter.node(sum).shape.clone();
        let spread = Tensor { shape: constant.shape().to_vec(), data: elements(constant).to_vec() }.broadcast(&shape);
        let masked_everywhere = spread.rows().any(|row| row.iter().all(|&value| value <= MASK_MAX));
        if masked_everywhere || spread.data.iter().all(|&value| value > MASK_MAX) {
            continue;
        }
        let value = Tensor { shape: constant.shape().to_vec(), data: elements(constant).to_vec() };
        let masked = value.map(|value| f64::from(u8::from(value <= MASK_MAX)));
        let rest = value.map(|value| if value <= MASK_MAX { 0.0 } else { value });
        let mask = Constant::new(constant.name.clone(), Visibility::Structural, masked);
        let empty = rest.data.iter().all(|&value| value == 0.0);
        let rest = Constant::new(constant.name.clone(), constant.visibility, rest);
        let sum = if empty { sum } else { rewriter.insert_before(sum, Operator::AddConstant { constant: rest }) };
        rewriter.nodes[sum.index()].operator = Operator::Mask { masked: mask };
        return true;
    }
    false
}
