//! GELU and SiLU as exporters spell them out, in any order of their factors.
//!
//! A root `k·(a + b·f(u))·(c·x)` is matched, where `f` is erf, tanh or sigmoid and `u` a polynomial in `x`:
//!
//! | result | f | k·c·a | k·c·b | u |
//! | --- | --- | --- | --- | --- |
//! | GELU | erf | ½ | ½ | x/√2 |
//! | GELU, tanh form | tanh | ½ | ½ | √(2/π)(x + 0.044715x³) |
//! | SiLU | sigmoid | 0 | 1 | x |

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use super::{Rewriter, close, scalar_factor, scalar_summand};
use crate::graph::NodeId;
use crate::graph::operator::{Function, Operator};

/// The longest chain of scalar operators that a pattern may have.
const DEPTH_MAX: usize = 8;

/// `offset + gain·function(argument)`.
struct AffineActivation {
    offset: f64,
    gain: f64,
    function: Function,
    argument: NodeId,
}

pub(super) fn recognise(rewriter: &mut Rewriter) -> bool {
    let mut changed = false;
    for id in rewriter.ids() {
        if let Some((function, argument)) = match_root(rewriter, id) {
            let node = &mut rewriter.nodes[id.index()];
            node.operator = Operator::Activation { function };
            node.inputs = vec![argument];
            changed = true;
        }
    }
    changed
}

fn match_root(rewriter: &Rewriter, root: NodeId) -> Option<(Function, NodeId)> {
    let (mut scale, mut product) = (1.0, root);
    for _ in 0..DEPTH_MAX {
        let Some(factor) = scalar_factor(rewriter.operator(product)) else {
            break;
        };
        scale *= factor;
        product = rewriter.source(product)?;
    }
    if *rewriter.operator(product) != Operator::Mul {
        return None;
    }
    let inputs = &rewriter.node(product).inputs;
    let (left, right) = (inputs[0], inputs[1]);
    match_factors(rewriter, scale, left, right).or_else(|| match_factors(rewriter, scale, right, left))
}

fn match_factors(rewriter: &Rewriter, scale: f64, gate: NodeId, linear: NodeId) -> Option<(Function, NodeId)> {
    let gate = affine_activation(rewriter, gate, DEPTH_MAX)?;
    let (mut scale, mut x) = (scale, linear);
    for _ in 0..DEPTH_MAX {
        let argument = polynomial(rewriter, gate.argument, x, DEPTH_MAX);
        if let Some(function) = argument.and_then(|argument| identify(&gate, scale, argument)) {
            return Some((function, x));
        }
        scale *= scalar_factor(rewriter.operator(x))?;
        x = rewriter.source(x)?;
    }
    None
}

fn identify(gate: &AffineActivation, scale: f64, argument: [f64; 4]) -> Option<Function> {
    let root = (2.0 / PI).sqrt();
    let (function, halves, expected) = match gate.function {
        Function::Erf => (Function::Gelu, true, [0.0, FRAC_1_SQRT_2, 0.0, 0.0]),
        Function::Tanh => (Function::GeluTanh, true, [0.0, root, 0.0, root * 0.044715]),
        Function::Sigmoid => (Function::Silu, false, [0.0, 1.0, 0.0, 0.0]),
        _ => return None,
    };
    let (offset, gain) = if halves { (0.5, 0.5) } else { (0.0, 1.0) };
    let fits = close(scale * gate.offset, offset)
        && close(scale * gate.gain, gain)
        && argument.iter().zip(expected).all(|(&given, wanted)| close(given, wanted));
    fits.then_some(function)
}

fn affine_activation(rewriter: &Rewriter, id: NodeId, depth: usize) -> Option<AffineActivation> {
    let operator = rewriter.operator(id);
    let source = rewriter.source(id)?;
    if let Operator::Activation { function } = operator {
        return Some(AffineActivation { offset: 0.0, gain: 1.0, function: *function, argument: source });
    }
    let inner = |depth: usize| affine_activation(rewriter, source, depth);
    let depth = depth.checked_sub(1)?;
    if let Some(factor) = scalar_factor(operator) {
        let inner = inner(depth)?;
        return Some(AffineActivation { offset: inner.offset * factor, gain: inner.gain * factor, ..inner });
    }
    let summand = scalar_summand(operator)?;
    let inner = inner(depth)?;
    Some(AffineActivation { offset: inner.offset + summand, ..inner })
}

/// Coefficients of 1, x, x², x³ if the node is such a polynomial in the value of `x`.
fn polynomial(rewriter: &Rewriter, id: NodeId, x: NodeId, depth: usize) -> Option<[f64; 4]> {
    if id == x {
        return Some([0.0, 1.0, 0.0, 0.0]);
    }
    let depth = depth.checked_sub(1)?;
    let node = rewriter.node(id);
    let operand = |index: usize| polynomial(rewriter, node.inputs[index], x, depth);
    match &node.operator {
        Operator::Scale { factor } => {
            let factor = factor.scalar()?;
            Some(operand(0)?.map(|coefficient| coefficient * factor))
        }
        Operator::AddConstant { constant } => {
            let mut sum = operand(0)?;
            sum[0] += constant.scalar()?;
            Some(sum)
        }
        Operator::Add => {
            let (a, b) = (operand(0)?, operand(1)?);
            Some(std::array::from_fn(|power| a[power] + b[power]))
        }
        Operator::Mul => {
            let (a, b) = (operand(0)?, operand(1)?);
            let mut product = [0.0; 7];
            for (i, left) in a.iter().enumerate() {
                for (j, right) in b.iter().enumerate() {
                    product[i + j] += left * right;
                }
            }
            product[4..].iter().all(|&high| high == 0.0).then(|| std::array::from_fn(|power| product[power]))
        }
        _ => None,
    }
}
