//! Sound static ranges: for every node, bounds that hold for *every* input inside a box, from the weights alone.
//!
//! The statement. Let each node compute its operator on its operands' actual values, off by at most the node's
//! [`Margin`], and let each input lie in its [`InputRange`]. Then every element of every node lies in the bounds, and
//! every site sees what its [`SiteRange`] says. By induction over the nodes; per operator:
//!
//! | operator | rule | why |
//! | --- | --- | --- |
//! | moves, add, subtract, scale, sums | interval arithmetic per element | exact image of a box |
//! | dense, convolution | centre and radius per element | exact image of a box |
//! | the same behind a layer norm or a convolution | [`form`]: affine images of balls and boxes | see there |
//! | matrix product | interval products, and [`attention`]: Cauchy–Schwarz and operator norms | see there |
//! | softmax | [0,1], 1/(1 + Σⱼ e^(±(xⱼ−xᵢ))) from the bounds of differences | monotone in each xⱼ |
//! | softmax times V | the hull of V's rows, plus margin times Σ‖V‖ | weights are a distribution |
//! | layer norm | \|y\| ≤ \|γ\|√(n−1) + \|β\| and ‖z‖ ≤ √n, Σz = 0 | Samuelson; Σz² = n·var/(var+ε) |
//! | activations | monotone pieces ([`Interval::image`]), and ‖f(x)‖ ≤ ‖x‖ where \|f(x)\| ≤ \|x\| | |
//! | maximum | maxima of lower and of upper ends | monotone |
//!
//! Different rules bound the same value, so their results are intersected. All of it is computed in `f64` and widened
//! by more than its rounding errors ([`interval::rounding`]).

mod attention;
mod form;
pub mod interval;
mod matrix;
mod rules;
mod site;

use super::error::Error;
use super::operator::Operator;
use super::reference;
use super::tensor::{Tensor, broadcast_shape};
use super::{Graph, Node, NodeId};
use form::Form;
pub use interval::Interval;
pub use site::SiteRange;
pub(crate) use site::masked_positions;

/// How far a node's computed value may be from its operator's exact value on the operands' actual values:
/// `relative` times the greatest absolute value of the bounds, plus `absolute`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Margin {
    /// Part of the bound's size.
    pub relative: f64,
    /// The rest, in units of the value.
    pub absolute: f64,
}

impl Margin {
    /// Exact arithmetic.
    pub const NONE: Margin = Margin { relative: 0.0, absolute: 0.0 };

    fn of(self, lower: f64, upper: f64) -> f64 {
        self.relative * lower.abs().max(upper.abs()) + self.absolute
    }
}

/// The box that an input lies in, element by element.
#[derive(Clone, Debug, PartialEq)]
pub struct InputRange {
    lower: Tensor,
    upper: Tensor,
}

impl InputRange {
    /// The same bounds for every element.
    pub fn uniform(lower: f64, upper: f64) -> InputRange {
        InputRange { lower: Tensor::scalar(lower), upper: Tensor::scalar(upper) }
    }

    /// Bounds per element; both broadcast to the input's shape.
    pub fn elements(lower: Tensor, upper: Tensor) -> InputRange {
        InputRange { lower, upper }
    }

    fn spread(&self, name: &str, shape: &[usize]) -> Result<(Tensor, Tensor), Error> {
        for bound in [&self.lower, &self.upper] {
            if broadcast_shape(&bound.shape, shape).as_deref() != Ok(shape) {
                let (expected, given) = (shape.to_vec(), bound.shape.clone());
                return Err(Error::InputShape { input: name.into(), expected, given });
            }
        }
        let (lower, upper) = (self.lower.broadcast(shape), self.upper.broadcast(shape));
        let ordered = lower.data.iter().zip(&upper.data).all(|(lower, upper)| lower <= upper);
        if !(lower.is_finite() && upper.is_finite() && ordered) {
            return Err(Error::InputRange(name.into()));
        }
        Ok((lower, upper))
    }
}

/// What is known of one node's value.
#[derive(Clone, Debug)]
struct Bounds {
    lower: Tensor,
    upper: Tensor,
    /// A description of the slices along one axis that intervals cannot give.
    form: Option<Form>,
    /// The value is a probability distribution along the last axis, each element off by at most this.
    distribution: Option<f64>,
    /// For every row along the last axis, a bound of its greatest minus its least element.
    spread: Option<Vec<f64>>,
}

impl Bounds {
    fn intervals(lower: Tensor, upper: Tensor) -> Bounds {
        Bounds { lower, upper, form: None, distribution: None, spread: None }
    }

    fn hull(&self) -> Interval {
        let lower = self.lower.data.iter().copied().fold(f64::INFINITY, f64::min);
        let upper = self.upper.data.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Interval::new(lower, upper)
    }

    fn interval(&self, offset: usize) -> Interval {
        Interval::new(self.lower.data[offset], self.upper.data[offset])
    }

    /// Intersects with element-wise bounds of the same value.
    fn meet(&mut self, lower: &Tensor, upper: &Tensor) {
        for offset in 0..self.lower.data.len() {
            let other = Interval::new(lower.data[offset], upper.data[offset]);
            let met = self.interval(offset).meet(other);
            (self.lower.data[offset], self.upper.data[offset]) = (met.lower, met.upper);
        }
    }

    /// Widens everything by the node's margin.
    fn loosen(&mut self, margin: Margin) {
        let amount = self.lower.zip(&self.upper, |lower, upper| margin.of(lower, upper));
        self.lower = self.lower.zip(&amount, |lower, amount| lower - amount);
        self.upper = self.upper.zip(&amount, |upper, amount| upper + amount);
        let worst = amount.data.iter().copied().fold(0.0, f64::max);
        self.form = self.form.take().map(|form| form.loosened(&amount));
        self.distribution = self.distribution.map(|error| error + worst);
        if let Some(spread) = &mut self.spread {
            spread.iter_mut().for_each(|spread| *spread += 2.0 * worst);
        }
    }
}

/// Ranges of every node and site of a graph.
#[derive(Clone, Debug)]
pub struct Ranges {
    bounds: Vec<Bounds>,
    sites: Vec<(NodeId, SiteRange)>,
}

impl Ranges {
    /// Analyses a graph with the same margin at every node. One range per input, in the order of [`Graph::inputs`].
    ///
    /// Every element of a batch has the same range, so a graph imported for a batch of one is enough.
    pub fn analyse(graph: &Graph, inputs: &[InputRange], margin: Margin) -> Result<Ranges, Error> {
        Ranges::analyse_with(graph, inputs, &|_| margin)
    }

    /// Analyses a graph with a margin per node; operators that only move elements are exact and not asked for.
    pub fn analyse_with(
        graph: &Graph,
        inputs: &[InputRange],
        margin: &dyn Fn(&Node) -> Margin,
    ) -> Result<Ranges, Error> {
        if inputs.len() != graph.inputs().len() {
            let names: Vec<&str> = graph.inputs().iter().map(|(name, _)| name.as_str()).collect();
            return Err(Error::InputCount { expected: names.len(), names: names.join(", "), given: inputs.len() });
        }
        let mut ranges = Ranges { bounds: Vec::with_capacity(graph.nodes().len()), sites: Vec::new() };
        for node in graph.nodes() {
            let bounds = match graph.inputs().iter().position(|&(_, id)| id == node.id) {
                Some(position) => {
                    let (lower, upper) = inputs[position].spread(&graph.inputs()[position].0, &node.shape)?;
                    let mut bounds = Bounds::intervals(lower, upper);
                    bounds.loosen(margin(node));
                    bounds
                }
                None => ranges.bound(graph, node, margin)?,
            };
            ranges.bounds.push(bounds);
        }
        for site in graph.sites() {
            let range = site::site_range(graph, &ranges, graph.node(site.node));
            ranges.sites.push((site.node, range));
        }
        Ok(ranges)
    }

    fn bound(&self, graph: &Graph, node: &Node, margin: &dyn Fn(&Node) -> Margin) -> Result<Bounds, Error> {
        let operands: Vec<&Bounds> = node.inputs.iter().map(|input| &self.bounds[input.index()]).collect();
        if rules::only_moves(&node.operator) {
            return Ok(rules::moved(node, &operands));
        }
        let mut bounds = match &node.operator {
            Operator::MatMul => attention::product(operands[0], operands[1], &node.shape),
            Operator::Softmax => site::softmax(graph, node, operands[0]),
            Operator::Constant { value } => {
                let tensor = value.tensor()?.clone();
                Bounds::intervals(tensor.clone(), tensor)
            }
            _ => rules::computed(node, &operands)?,
        };
        if let Some(form) = &bounds.form {
            let (lower, upper) = form.intervals();
            bounds.meet(&lower, &upper);
        }
        bounds.loosen(margin(node));
        Ok(bounds)
    }

    /// The range of a node over all of its elements.
    pub fn node(&self, id: NodeId) -> Interval {
        self.bounds[id.index()].hull()
    }

    /// Bounds of a node's elements, lower and upper, in the node's shape.
    pub fn elements(&self, id: NodeId) -> (&Tensor, &Tensor) {
        (&self.bounds[id.index()].lower, &self.bounds[id.index()].upper)
    }

    /// What every site sees, in topological order.
    pub fn sites(&self) -> &[(NodeId, SiteRange)] {
        &self.sites
    }

    /// What one site sees.
    pub fn site(&self, id: NodeId) -> Option<SiteRange> {
        self.sites.iter().find(|(node, _)| *node == id).map(|(_, range)| *range)
    }
}

/// Rearranges both ends of every element.
fn rearranged(operator: &Operator, operands: &[&Bounds], shape: &[usize]) -> (Tensor, Tensor) {
    let lower: Vec<&Tensor> = operands.iter().map(|bounds| &bounds.lower).collect();
    let upper: Vec<&Tensor> = operands.iter().map(|bounds| &bounds.upper).collect();
    (reference::rearrange(operator, &lower, shape, 0.0), reference::rearrange(operator, &upper, shape, 0.0))
}
