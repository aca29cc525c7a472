//! The proof that a circuit stays where its lemmas and its entries' claims hold, for every input in a box and every
//! choice of roundings: integer intervals, lane by lane, with the weights known.
//!
//! Establishes: no operand of a truncation leaves its lemma's window, no argument of a program leaves its claim's
//! window, no candidates of a maximum are further apart than it compares, no logit of a softmax without maximum leaves
//! the bounds that the plan announces. Only the model's owner can run it; the others rely on it. Intervals alone are too
//! wide for softmax and layer norm; a [`Fact`] says what is known besides, and why.

mod ball;
mod fact;
mod factor;
pub(super) mod function;
mod interval;
mod narrow;
mod rows;
mod spectral;

pub use fact::{Exponentials, Fact, Squares, Stretched};
pub use factor::Norms;
pub use interval::Interval;
pub(super) use interval::matrices;

use super::Error;
use super::builder::{Circuit, Weights};
use super::coarse;
use super::ideal::Truncation;
use super::lower::Lowered;
use super::node::{Constant, Maximum, Node, NodeId, NodeKind, ProductKind, Sum};
use super::shape::Shape;
use super::tensor::nearest;
use ball::Ball;
use catalogs::Lemma;
use catalogs::protocol::Width;
use factor::Factor;
use std::sync::Arc;
use verify::Certified;

/// What was proved of every node.
#[derive(Clone, PartialEq, Debug)]
pub struct Headroom {
    ranges: Vec<Interval>,
    spare: Vec<Option<u8>>,
}

impl Headroom {
    /// Bounds of a node's integers.
    pub fn range(&self, id: NodeId) -> Interval {
        self.ranges[id.index()]
    }

    /// How many more bits the operand of a node's truncation could have; `None` for a node without one.
    pub fn spare_bits(&self, id: NodeId) -> Option<u8> {
        self.spare[id.index()]
    }
}

/// Proves that `lowered` with `weights` stays inside every window if each input lies in its box of real numbers.
pub fn prove(lowered: &Lowered, weights: &Weights, boxes: &[(f64, f64)]) -> Result<Headroom, Error> {
    let bounds: Vec<InputBound> = boxes.iter().map(|&(low, high)| InputBound { low, high, row_norm: None }).collect();
    prove_with(lowered, weights, &bounds, &Norms::default())
}

/// What an input's owner promises, in real numbers.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct InputBound {
    /// Every element is at least this.
    pub low: f64,
    /// Every element is at most this.
    pub high: f64,
    /// Every row (last axis) has at most this Euclidean norm, where that is promised.
    pub row_norm: Option<f64>,
}

/// The same with more said of inputs, and with operator norms remembered from proof to proof.
pub fn prove_with(
    lowered: &Lowered,
    weights: &Weights,
    boxes: &[InputBound],
    norms: &Norms,
) -> Result<Headroom, Error> {
    prove_observed(lowered, weights, boxes, norms, &mut |_, _| Ok(()))
}

/// Shown a node and the proved ranges of its lanes: of none of them, for a weight that only serves as right matrix of
/// products.
pub(super) type Observer<'a> = dyn FnMut(NodeId, &[Interval]) -> Result<(), Error> + 'a;

/// The same, showing what was proved of every node to `observer`.
pub(super) fn prove_observed(
    lowered: &Lowered,
    weights: &Weights,
    boxes: &[InputBound],
    norms: &Norms,
    observer: &mut Observer<'_>,
) -> Result<Headroom, Error> {
    let circuit = &lowered.circuit;
    let inputs = circuit.inputs();
    if inputs.len() != boxes.len() {
        return Err(Error::Count { what: "input ranges", needed: inputs.len(), given: boxes.len() });
    }
    let last_uses = circuit.last_uses();
    let nodes = circuit.nodes().len();
    let factors = right_factors(lowered);
    let (known, spare) = (vec![None; nodes], vec![None; nodes]);
    let mut proof = Proof { lowered, circuit, weights, norms, factors, known, spare };
    let mut ranges = Vec::with_capacity(nodes);
    let mut boxes = boxes.iter();
    for (id, node) in circuit.iter() {
        let known = match &node.kind {
            NodeKind::Input { .. } => {
                let nothing = InputBound { low: f64::NAN, high: f64::NAN, row_norm: None };
                let &InputBound { low, high, row_norm } = boxes.next().unwrap_or(&nothing);
                let bounds = [low, high].map(|bound| nearest(bound, node.format).map(i128::from));
                let ([Some(low), Some(high)], true) = (bounds, low <= high) else {
                    return Err(Error::Circuit(format!("the range of input '{}' is empty or does not fit", node.name)));
                };
                proof.input(node, Interval { low, high }, row_norm)
            }
            _ => proof.node(id)?,
        };
        ranges.push(match proof.factor(id) {
            Some(factor) => factor.hull(),
            None => interval::hull(&known.lanes),
        });
        observer(id, &known.lanes)?;
        proof.known[id.index()] = Some(known);
        for operand in node.kind.operands() {
            // A fact may look at operands of operands, which are older than the node's own.
            let retired = last_uses[operand.index()] == id && !proof.is_named_by_a_fact(operand);
            if retired {
                proof.known[operand.index()] = None;
            }
        }
    }
    Ok(Headroom { ranges, spare: proof.spare })
}

/// The weights that only serve as right matrices of products: their numbers are read where they are, as lanes they
/// would take four times as much memory.
fn right_factors(lowered: &Lowered) -> Vec<bool> {
    let circuit = &lowered.circuit;
    let is_named = |id: NodeId| lowered.facts.values().any(|fact| fact.names(id));
    let is_weight = |node: &Node| matches!(node.kind, NodeKind::Weight(_)) && node.shape.rank() == 2;
    let mut factors: Vec<bool> = circuit.iter().map(|(id, node)| is_weight(node) && !is_named(id)).collect();
    for (_, node) in circuit.iter() {
        let mut others = node.kind.operands();
        if let NodeKind::Sum(sum) = &node.kind {
            for product in sum.products.iter().filter(|product| product.kind == ProductKind::MatMul) {
                if let Some(place) = others.iter().position(|&operand| operand == product.right) {
                    others.remove(place);
                }
            }
        }
        others.into_iter().for_each(|operand| factors[operand.index()] = false);
    }
    factors
}

/// What is known of a node.
#[derive(Clone)]
struct Known {
    /// None for a weight that is a right factor: see [`right_factors`].
    lanes: Vec<Interval>,
    /// Where the rows (last axis) are, if more is known than their lanes.
    ball: Option<Ball>,
    /// A bound of Σ |v| over a row.
    total: Option<f64>,
    /// A bound of the Euclidean norm of every column (last axis but one).
    columns: Option<f64>,
}

impl From<Vec<Interval>> for Known {
    fn from(lanes: Vec<Interval>) -> Known {
        Known { lanes, ball: None, total: None, columns: None }
    }
}

struct Proof<'a> {
    lowered: &'a Lowered,
    circuit: &'a Circuit,
    weights: &'a Weights,
    norms: &'a Norms,
    factors: Vec<bool>,
    known: Vec<Option<Known>>,
    spare: Vec<Option<u8>>,
}

impl Proof<'_> {
    fn known(&self, id: NodeId) -> Result<&Known, Error> {
        self.known[id.index()].as_ref().ok_or_else(|| Error::Circuit(format!("nothing is known of {id}")))
    }

    fn lanes(&self, id: NodeId) -> Result<(&[Interval], &Shape), Error> {
        let (known, shape) = (self.known(id)?, &self.circuit.node(id).shape);
        match known.lanes.len() == shape.lanes() {
            true => Ok((&known.lanes, shape)),
            false => Err(Error::Circuit(format!("{id} is known as a right factor only"))),
        }
    }

    /// A weight that only serves as right matrix of products.
    fn factor(&self, id: NodeId) -> Option<Arc<Factor>> {
        self.weight_of_two_axes(id).filter(|_| self.factors[id.index()])
    }

    /// A weight with two axes, as right matrix.
    fn weight_of_two_axes(&self, id: NodeId) -> Option<Arc<Factor>> {
        let node = self.circuit.node(id);
        match node.kind {
            NodeKind::Weight(weight) if node.shape.rank() == 2 => {
                Some(self.norms.factor(self.weights.shared(weight), node.shape.row_length()))
            }
            _ => None,
        }
    }

    fn is_named_by_a_fact(&self, id: NodeId) -> bool {
        self.lowered.facts.values().any(|fact| fact.names(id))
    }

    fn node(&mut self, id: NodeId) -> Result<Known, Error> {
        let node = self.circuit.node(id);
        let mut known = match &node.kind {
            NodeKind::Input { .. } => return Err(Error::Circuit(format!("{id} is an input"))),
            NodeKind::Weight(_) if self.factors[id.index()] => Known::from(Vec::new()),
            NodeKind::Weight(weight) => {
                let values = self.weights.get(*weight).values();
                Known::from(values.iter().map(|&value| Interval::point(value)).collect::<Vec<_>>())
            }
            NodeKind::Sum(sum) => self.sum(id, sum)?,
            NodeKind::Program { certified, argument } => self.program(id, certified, *argument)?,
            NodeKind::Maximum(maximum) => self.maximum(id, maximum)?,
            NodeKind::Movement { movement, operands } => self.movement(id, movement, operands)?,
            NodeKind::Output { value, .. } => self.known(*value)?.clone(),
        };
        if let Some(fact) = self.lowered.facts.get(&id) {
            self.apply(id, fact, &mut known)?;
        }
        // What is known of rows is known of integers; of residues that may be others it says nothing.
        match known.lanes.iter().any(|lane| lane.may_have_wrapped(node.format.ring)) {
            true => Ok(Known::from(known.lanes)),
            false => Ok(known),
        }
    }

    fn sum(&mut self, id: NodeId, sum: &Sum) -> Result<Known, Error> {
        let shape = &self.circuit.node(id).shape;
        let mut total = match &sum.constant {
            Constant::Scalar(value) => vec![Interval::point(*value); shape.lanes()],
            Constant::Tensor(tensor) => {
                let points: Vec<_> = tensor.values().iter().map(|&value| Interval::point(value)).collect();
                super::layout::broadcast(&points, tensor.shape(), shape)
            }
        };
        let fact = self.lowered.facts.get(&id);
        let constant = total.clone();
        let mut rows = None;
        for product in &sum.products {
            let lanes = match fact {
                Some(Fact::SumOfSquares(squares)) => self.sum_of_squares(*squares, product.left)?,
                _ => {
                    let (mut lanes, mut ball) = self.product(product, shape)?;
                    if let Some(fact) = fact {
                        ball = self.stretched(id, fact, product, &mut lanes)?.or(ball);
                    }
                    rows = ball.filter(|_| sum.products.len() == 1);
                    rows = rows.map(|ball| ball.scaled(product.coefficient.value as f64));
                    lanes
                }
            };
            interval::add_lanes(&mut total, product.coefficient.value, &lanes);
        }
        let rows = self.rows_of_sum(sum, rows, &constant, shape)?;
        for term in &sum.linear {
            interval::add_term(&mut total, term.coefficient.value, self.lanes(term.value)?, shape);
        }
        let Some(truncation) = sum.truncation.as_ref().and_then(Truncation::new) else {
            let ball = rows.filter(|_| total.iter().all(|lane| lane.reduced(sum.ring) == *lane));
            total.iter_mut().for_each(|lane| *lane = lane.reduced(sum.ring));
            return Ok(Known { ball, ..Known::from(total) });
        };
        if let Some(fact) = fact {
            self.before_truncation(id, fact, &mut total)?;
        }
        let magnitude = interval::hull(&total).magnitude().unsigned_abs();
        interval::truncated(&truncation, &mut total).map_err(|lane| Error::Headroom {
            node: id,
            name: self.circuit.node(id).name.clone(),
            group: self.circuit.group_name(id).into(),
            low: lane.low,
            high: lane.high,
            bits: truncation.window_bits(),
        })?;
        let used = (128 - magnitude.leading_zeros()) as u8;
        self.spare[id.index()] = Some(truncation.window_bits().saturating_sub(used));
        let (shift, off) = sum.truncation.as_ref().map_or((0, 0.0), dropped);
        // Half a unit covers the rounding of the doubles that follow the centres.
        let ball = rows.map(|ball| ball.scaled((-f64::from(shift)).exp2()).loosened(off + 0.5));
        Ok(Known { ball, ..Known::from(total) })
    }

    fn maximum(&self, id: NodeId, maximum: &Maximum) -> Result<Known, Error> {
        let mut lanes = self.lanes(maximum.candidates[0])?.0.to_vec();
        let mut hulls = lanes.clone();
        for &candidate in &maximum.candidates[1..] {
            for ((lane, hull), own) in lanes.iter_mut().zip(&mut hulls).zip(self.lanes(candidate)?.0) {
                *lane = Interval { low: lane.low.max(own.low), high: lane.high.max(own.high) };
                *hull = hull.hull(*own);
            }
        }
        let Width { bits: width, dropped } = maximum.width;
        // What is taken is a candidate, and at most this below the largest: as far apart may two look that are equal.
        let below = coarse::below_largest(dropped, 1);
        for (lane, hull) in lanes.iter_mut().zip(&hulls) {
            lane.low = lane.low.saturating_sub(below).max(hull.low);
        }
        let difference = hulls.iter().map(|hull| hull.high.saturating_sub(hull.low)).max().unwrap_or(0);
        let difference = difference.saturating_add(below);
        if difference >= 1 << (width - 1) {
            let (name, group) = (self.circuit.node(id).name.clone(), self.circuit.group_name(id).into());
            return Err(Error::Differences { node: id, name, group, difference, width });
        }
        Ok(Known::from(lanes))
    }

    fn program(&self, id: NodeId, certified: &Certified, argument: NodeId) -> Result<Known, Error> {
        let (lanes, _) = self.lanes(argument)?;
        let (window, hull) = (certified.claim().window, interval::hull(lanes));
        // A window may be all of a ring; a value that may have wrapped is not in it.
        let ring = self.circuit.node(argument).format.ring;
        let wrapped = lanes.iter().any(|lane| lane.may_have_wrapped(ring));
        if wrapped || !window.contains(hull.low) || !window.contains(hull.high) {
            return Err(Error::Window {
                site: self.circuit.group_name(id).into(),
                function: certified.claim().function.clone(),
                low: hull.low,
                high: hull.high,
                window_low: window.low,
                window_high: window.high,
                scale: certified.program().input().1,
            });
        }
        let (low, high) = certified.output_range();
        let proved = Interval { low, high };
        let bounds = function::Bounds::new(certified);
        let lanes: Vec<_> = lanes.iter().map(|&lane| proved.meet(bounds.of(lane))).collect();
        let ball = self.rows_of_program(certified, argument)?;
        Ok(Known { ball, ..Known::from(lanes) })
    }
}

/// Bits that a truncation drops, and how far its result may be from the quotient.
fn dropped(lemma: &Lemma) -> (u8, f64) {
    match lemma {
        Lemma::Truncation { shift, rounding, .. } => (
            *shift,
            f64::from(rounding.high).abs().max(f64::from(rounding.low) - 1.0).max(1.0 - f64::from(rounding.low)),
        ),
        _ => (0, 0.0),
    }
}
