//! Chains of moves become one, and a rectifier goes behind the maximum that follows it.

use super::Rewriter;
use crate::graph::NodeId;
use crate::graph::operator::{Function, Operator};

pub(super) fn simplify(rewriter: &mut Rewriter) -> bool {
    let mut changed = false;
    for id in rewriter.ids() {
        changed |= merge_moves(rewriter, id) || remove_identity(rewriter, id) || maximum_first(rewriter, id);
    }
    changed
}

/// reshape(reshape(x)) = reshape(x); transpose(transpose(x)) = transpose(x) with composed axes.
fn merge_moves(rewriter: &mut Rewriter, id: NodeId) -> bool {
    let Some(first) = rewriter.source(id) else {
        return false;
    };
    let Some(x) = rewriter.source(first) else {
        return false;
    };
    let merged = match (rewriter.operator(first), rewriter.operator(id)) {
        (Operator::Reshape { .. }, Operator::Reshape { shape }) => Operator::Reshape { shape: shape.clone() },
        (Operator::Transpose { permutation: inner }, Operator::Transpose { permutation: outer }) => {
            Operator::Transpose { permutation: outer.iter().map(|&axis| inner[axis]).collect() }
        }
        _ => return false,
    };
    let node = &mut rewriter.nodes[id.index()];
    node.operator = merged;
    node.inputs = vec![x];
    true
}

fn remove_identity(rewriter: &mut Rewriter, id: NodeId) -> bool {
    let Some(source) = rewriter.source(id) else {
        return false;
    };
    let nothing = match rewriter.operator(id) {
        Operator::Reshape { shape } => *shape == rewriter.node(source).shape,
        Operator::Transpose { permutation } => permutation.iter().copied().eq(0..permutation.len()),
        _ => false,
    };
    if nothing && rewriter.use_counts()[id.index()] > 0 {
        rewriter.redirect(id, source);
        return true;
    }
    false
}

/// max(relu(a), relu(b)) = relu(max(a, b)): the same values with one rectifier per window.
fn maximum_first(rewriter: &mut Rewriter, id: NodeId) -> bool {
    let Operator::MaxPool { window } = rewriter.operator(id) else {
        return false;
    };
    let window = window.clone();
    let Some(rectifier) = rewriter.source(id) else {
        return false;
    };
    let is_rectifier = matches!(rewriter.operator(rectifier), Operator::Activation { function: Function::Relu });
    if !is_rectifier || rewriter.use_counts()[rectifier.index()] != 1 {
        return false;
    }
    let (name, shape) = (rewriter.node(id).name.clone(), rewriter.node(id).shape.clone());
    let earlier = &mut rewriter.nodes[rectifier.index()];
    let earlier_name = std::mem::replace(&mut earlier.name, name);
    earlier.operator = Operator::MaxPool { window };
    earlier.shape = shape;
    let later = &mut rewriter.nodes[id.index()];
    later.name = earlier_name;
    later.operator = Operator::Activation { function: Function::Relu };
    true
}
