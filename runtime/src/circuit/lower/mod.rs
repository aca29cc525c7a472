//! From a model's graph and a choice of entries to a circuit.
//!
//! The circuit depends on the graph's public structure only, so parties without the weights lower the same graph
//! ([`crate::graph::Graph::without_weights`]) to the same circuit; [`Lowered::weights`] encodes the weights where they
//! are known, and [`super::headroom`] proves there that every site stays inside its entry's window and every
//! truncation inside its lemma's.
//!
//! A lowered value is an integer tensor with a public real *gain*: it stands for gain · v / 2^scale. Gains and scales
//! that differ from the activations' are carried along and disappear into the next weights or the next truncation.

mod choice;
mod encoder;
mod limit;
mod linear;
mod maximum;
mod movement;
mod normalisation;
pub(crate) mod softmax;
#[cfg(test)]
pub(super) mod tests;

pub use choice::{Centre, Choice, Comparisons, Formats, Logits, Ownership, group_sizes, is_exact_relu};
pub use encoder::Encoder;

use super::Error;
use super::builder::{Builder, Circuit, Weights};
use super::headroom::{Exponentials, Fact};
use super::node::{
    Coefficient, Constant, Construction, Group, Movement, NodeId, NodeKind, Product, Sum, Term, WeightId, WeightSlot,
};
use super::shape::Shape;
use super::tensor::{Integers, decode, encode};
use crate::graph::{self, Graph, Operator, Tensor};
use catalogs::{Failure, Format, Lemma, Ring, Rounding, Scale};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;
use verify::Certified;

/// A circuit with what is needed to feed it and to read it.
#[derive(Clone, Debug)]
pub struct Lowered {
    /// The circuit: public.
    pub circuit: Circuit,
    /// What is known about nodes beyond their formats, for [`super::headroom`].
    pub facts: BTreeMap<NodeId, Fact>,
    /// Where a public number of a node is not exactly what the model has, for [`super::bound`].
    pub rounded: BTreeMap<NodeId, PublicRounding>,
    /// Per node of the graph, the value that stands for it and its gain.
    results: Vec<(NodeId, f64)>,
    sources: Vec<Source>,
    inputs: Vec<String>,
    outputs: Vec<(String, f64)>,
}

impl Lowered {
    /// The same circuit, whose messages leave in parts of about so many bytes of a party, or round by round.
    pub fn in_tiles(self, tile_bytes: Option<NonZeroU32>) -> Lowered {
        Lowered { circuit: self.circuit.in_tiles(tile_bytes), ..self }
    }
}

/// How far the public numbers of a node are from the real ones that they stand for.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct PublicRounding {
    /// Of every factor, relative to itself.
    pub relative: f64,
    /// Of the summand, in real units of the sum.
    pub absolute: f64,
}

/// Where a weight comes from: a constant of a graph node, times a public gain.
#[derive(Clone, Debug)]
struct Source {
    node: graph::NodeId,
    constant: usize,
    gain: f64,
}

/// A lowered value.
#[derive(Clone, Debug)]
struct Value {
    node: NodeId,
    /// The value is gain · v / 2^scale.
    gain: f64,
    /// Lanes whose softmax weight is to be zero.
    masked: Option<Arc<Vec<bool>>>,
    /// A softmax whose division is postponed.
    divisor: Option<Divisor>,
}

/// What a softmax still has to be multiplied with, and where it comes from.
#[derive(Clone, Debug)]
struct Divisor {
    inverse: NodeId,
    exponentials: Exponentials,
    reciprocal: Arc<Certified>,
}

impl Value {
    fn plain(node: NodeId) -> Value {
        Value { node, gain: 1.0, masked: None, divisor: None }
    }

    fn with_gain(node: NodeId, gain: f64) -> Value {
        Value { gain, ..Value::plain(node) }
    }
}

/// The integers of one weight.
fn encoded(graph: &Graph, slot: &WeightSlot, source: &Source) -> Result<Integers, Error> {
    let node = graph.nodes().get(source.node.index());
    let constants = node.map(|node| node.operator.constants()).unwrap_or_default();
    let constant = constants.get(source.constant);
    let constant = constant.ok_or_else(|| Error::Circuit(format!("the graph has no weight '{}'", slot.name)))?;
    let tensor = constant.tensor().map_err(|error| Error::Circuit(error.to_string()))?;
    let values: Vec<f64> = tensor.data.iter().map(|value| value * source.gain).collect();
    encode(&slot.name, &slot.shape, &values, slot.format)
}

/// Lowers `graph`, with a choice for every site. Uses no weight's value.
pub fn lower(
    graph: &Graph,
    choices: &BTreeMap<graph::NodeId, Choice>,
    formats: Formats,
    ownership: Ownership,
) -> Result<Lowered, Error> {
    let mut users = vec![0usize; graph.nodes().len()];
    let operands = graph.nodes().iter().flat_map(|node| node.inputs.iter().copied());
    operands.chain(graph.outputs().iter().map(|&(_, id)| id)).for_each(|id| users[id.index()] += 1);
    let mut lowering = Lowering {
        graph,
        choices,
        formats,
        users,
        builder: Builder::new(),
        facts: BTreeMap::new(),
        rounded: BTreeMap::new(),
        limited: BTreeMap::new(),
        sources: Vec::new(),
        values: Vec::new(),
    };
    let mut inputs = Vec::new();
    let sites: BTreeSet<graph::NodeId> = graph.sites().iter().map(|site| site.node).collect();
    for node in graph.nodes() {
        if let Some((name, _)) = graph.inputs().iter().find(|&&(_, id)| id == node.id) {
            inputs.push(name.clone());
            let shape = shape_of(&node.shape)?;
            let input = lowering.builder.input(name, ownership.input, shape, formats.activation())?;
            lowering.values.push(Value::plain(input));
            continue;
        }
        let site = sites.contains(&node.id).then_some(node.id.index() as u32);
        lowering.builder.group(Group { name: node.name.clone(), site, construction: Construction::Plain });
        let value = lowering.node(node)?;
        lowering.values.push(value);
    }
    lowering.builder.group(Group { name: "outputs".into(), site: None, construction: Construction::Plain });
    let mut outputs = Vec::new();
    for (name, id) in graph.outputs() {
        let value = lowering.unmasked(*id)?;
        lowering.builder.output(name, ownership.output, value.node)?;
        outputs.push((name.clone(), value.gain));
    }
    let Lowering { builder, facts, rounded, values, sources, .. } = lowering;
    let results = values.into_iter().map(|value| (value.node, value.gain)).collect();
    Ok(Lowered { circuit: builder.finish()?, facts, rounded, results, sources, inputs, outputs })
}

impl Lowered {
    /// Encodes the weights; `graph` is the one that was lowered, with its weights.
    pub fn weights(&self, graph: &Graph) -> Result<Weights, Error> {
        let slots = self.circuit.weights().iter().zip(&self.sources);
        let encoded = slots.map(|(slot, source)| encoded(graph, slot, source).map(Arc::new));
        Weights::encoded(&self.circuit, encoded.collect::<Result<_, _>>()?)
    }

    /// How far, weight by weight and element by element, what `weights` encodes is from what it stands for, in real units:
    /// the difference, and a bound of what doubles lost in taking it. `graph` and `weights` are those of
    /// [`Lowered::weights`].
    pub fn weight_errors(&self, graph: &Graph, weights: &Weights) -> Result<Vec<[Vec<f64>; 2]>, Error> {
        let numbered = self.circuit.weights().iter().zip(&self.sources).enumerate();
        let errors = numbered.map(|(index, (slot, source))| {
            let constants = graph.nodes().get(source.node.index()).map(|node| node.operator.constants());
            let tensor = constants.and_then(|constants| constants.get(source.constant)?.tensor().ok().cloned());
            let tensor = tensor.ok_or_else(|| Error::Circuit(format!("the graph has no weight '{}'", slot.name)))?;
            let encoded = decode(weights.get(WeightId(index as u32)), slot.format.scale);
            let numbers = || tensor.data.iter().map(|value| value * source.gain).zip(&encoded);
            let differences = numbers().map(|(value, encoded)| encoded - value).collect::<Vec<f64>>();
            let lost = numbers().map(|(value, &encoded)| rounding_of(value, encoded) - (value - encoded).abs());
            Ok([differences, lost.map(|lost| lost.max(0.0).next_up()).collect()])
        });
        errors.collect()
    }

    /// The circuit's node that stands for a node of the graph, and the gain of its value.
    pub fn result(&self, id: graph::NodeId) -> Option<(NodeId, f64)> {
        self.results.get(id.index()).copied()
    }

    /// The gain of every output, in order.
    pub fn output_gains(&self) -> impl Iterator<Item = f64> {
        self.outputs.iter().map(|&(_, gain)| gain)
    }

    /// Encodes one real tensor per input, in order.
    pub fn encode_inputs(&self, tensors: &[Tensor]) -> Result<Vec<Integers>, Error> {
        let nodes = self.circuit.inputs();
        if nodes.len() != tensors.len() {
            return Err(Error::Count { what: "inputs", needed: nodes.len(), given: tensors.len() });
        }
        let inputs = nodes.iter().zip(&self.inputs).zip(tensors);
        let encoded = inputs.map(|((&id, name), tensor)| {
            let node = self.circuit.node(id);
            if tensor.shape != node.shape.extents() {
                return Err(Error::Tensor { tensor: name.clone(), shape: node.shape.clone(), format: node.format });
            }
            encode(name, &node.shape, &tensor.data, node.format)
        });
        encoded.collect()
    }

    /// The real tensors that the outputs stand for, one per output node in order.
    pub fn decode_outputs(&self, outputs: &[Integers]) -> Result<Vec<Tensor>, Error> {
        let nodes = self.circuit.outputs();
        if nodes.len() != outputs.len() {
            return Err(Error::Count { what: "outputs", needed: nodes.len(), given: outputs.len() });
        }
        let decoded = nodes.iter().zip(&self.outputs).zip(outputs).map(|((&id, (_, gain)), output)| {
            let data = decode(output, self.circuit.node(id).format.scale).into_iter().map(|value| value * gain);
            Tensor { shape: output.shape().extents().to_vec(), data: data.collect() }
        });
        Ok(decoded.collect())
    }

    /// The inputs' names, in order.
    pub fn input_names(&self) -> impl Iterator<Item = &str> {
        self.inputs.iter().map(String::as_str)
    }

    /// The outputs' names, in order.
    pub fn output_names(&self) -> impl Iterator<Item = &str> {
        self.outputs.iter().map(|(name, _)| name.as_str())
    }
}

fn shape_of(extents: &[usize]) -> Result<Shape, Error> {
    Shape::new(extents).map_err(Error::Circuit)
}

/// The truncation that a sum in `ring` uses: the one that cannot fail.
fn truncation(ring: Ring, shift: u8) -> Lemma {
    let (window, rounding, failure) = (Some(ring.bits() - 2), Rounding::FLOOR_OR_NEXT, Failure::Never);
    Lemma::Truncation { ring, target: ring, shift, window, rounding, failure }
}

struct Lowering<'a> {
    graph: &'a Graph,
    choices: &'a BTreeMap<graph::NodeId, Choice>,
    formats: Formats,
    /// How often each graph node is used.
    users: Vec<usize>,
    builder: Builder,
    facts: BTreeMap<NodeId, Fact>,
    rounded: BTreeMap<NodeId, PublicRounding>,
    /// What was limited, by the limit's graph node.
    limited: BTreeMap<graph::NodeId, NodeId>,
    sources: Vec<Source>,
    /// Per graph node.
    values: Vec<Value>,
}

impl Lowering<'_> {
    /// Lowers one graph node that is no input.
    fn node(&mut self, node: &graph::Node) -> Result<Value, Error> {
        match &node.operator {
            Operator::Input => Err(self.refuse(node, "an input that the model does not name")),
            Operator::Constant { .. } => self.weight(node, 0, self.formats.activation(), 1.0, None).map(Value::plain),
            Operator::Conv { .. } | Operator::Dense { .. } => self.linear_layer(node),
            Operator::MatMul => self.matmul(node),
            Operator::Mul => self.multiply(node),
            Operator::Add | Operator::Sub => self.add(node),
            Operator::Scale { .. } => self.scale(node),
            Operator::AddConstant { .. } => self.add_constant(node),
            Operator::Activation { function } => self.activation(node, *function),
            Operator::Softmax => self.softmax(node),
            Operator::LayerNorm { .. } => self.layer_norm(node),
            Operator::MaxPool { window } => self.max_pool(node, window),
            Operator::Mask { masked } => self.mask(node, masked),
            Operator::Limit { side, bound, width } => self.limit(node, *side, *bound, *width),
            Operator::Excess { bound } => self.excess(node, *bound),
            _ => self.rearrange(node),
        }
    }

    fn refuse(&self, node: &graph::Node, reason: impl Into<String>) -> Error {
        Error::Choice { site: node.name.clone(), reason: reason.into() }
    }

    /// The value of a graph node that a softmax mask or a postponed division would make wrong here.
    fn unmasked(&self, id: graph::NodeId) -> Result<Value, Error> {
        let value = self.values[id.index()].clone();
        match value.masked.is_some() || value.divisor.is_some() {
            true => Err(self.refuse(self.graph.node(id), "a masked value may only be used by a softmax")),
            false => Ok(value),
        }
    }

    /// The choice of a site.
    fn choice(&self, node: &graph::Node) -> Result<&Choice, Error> {
        self.choices.get(&node.id).ok_or_else(|| self.refuse(node, "the plan makes no choice for this site"))
    }

    fn wrong_choice(&self, node: &graph::Node, choice: &Choice) -> Error {
        self.refuse(node, format!("the plan's choice is for {}, the site is {}", choice.kind(), node.operator.name()))
    }

    /// A sum, truncated to `scale` fraction bits (no truncation if it has them already).
    fn sum(
        &mut self,
        name: &str,
        products: Vec<Product>,
        linear: Vec<Term>,
        constant: Constant,
        scale: Scale,
    ) -> Result<NodeId, Error> {
        let ring = self.formats.ring;
        let bits = |id: NodeId| u32::from(self.builder.format(id).scale.bits());
        let exact = match (products.first(), linear.first()) {
            (Some(first), _) => bits(first.left) + bits(first.right) + u32::from(first.coefficient.scale),
            (None, Some(first)) => bits(first.value) + u32::from(first.coefficient.scale),
            (None, None) => return Err(Error::Circuit("a sum has at least one term".into())),
        };
        let truncation = match exact.checked_sub(u32::from(scale.bits())) {
            Some(0) => None,
            // An impossible shift is refused with the node's name when the sum is added.
            Some(shift) => Some(truncation(ring, u8::try_from(shift).unwrap_or(u8::MAX))),
            None => return Err(Error::Circuit(format!("'{name}' has {exact} fraction bits, {scale} are wanted"))),
        };
        self.builder.push(name, NodeKind::Sum(Sum { ring, products, linear, constant, truncation }))
    }

    /// A weight of the model, of its own shape or the given one with as many elements, times `gain`.
    fn weight(
        &mut self,
        node: &graph::Node,
        constant: usize,
        format: Format,
        gain: f64,
        shape: Option<Shape>,
    ) -> Result<NodeId, Error> {
        let constants = node.operator.constants();
        let Some(weight) = constants.get(constant) else {
            return Err(self.refuse(node, format!("it has no constant {constant}")));
        };
        let shape = match shape {
            Some(shape) => shape,
            None => shape_of(weight.shape())?,
        };
        self.sources.push(Source { node: node.id, constant, gain });
        self.builder.weight(&weight.name, shape, format)
    }

    /// The value with gain 1 at the activations' scale: one truncation, unless it is so already.
    fn settled(&mut self, name: &str, value: &Value) -> Result<NodeId, Error> {
        self.settled_at(name, value, self.formats.activations)
    }

    /// The value with gain 1 at a scale: one truncation at most.
    fn settled_at(&mut self, name: &str, value: &Value, scale: Scale) -> Result<NodeId, Error> {
        if value.gain == 1.0 && self.builder.format(value.node) == (Format { ring: self.formats.ring, scale }) {
            return Ok(value.node);
        }
        let own = self.builder.format(value.node).scale.bits();
        let coefficient = coefficient(name, value.gain, scale.bits().saturating_sub(own))?;
        let term = Term { coefficient, value: value.node };
        let settled = self.sum(name, Vec::new(), vec![term], Constant::Scalar(0), scale)?;
        self.rounded_factor(settled, coefficient, value.gain);
        Ok(settled)
    }

    /// Notes that `coefficient` stands for `factor` in every term of a sum.
    fn rounded_factor(&mut self, sum: NodeId, coefficient: Coefficient, factor: f64) {
        let encoded = coefficient.value as f64 * (-f64::from(coefficient.scale)).exp2();
        let relative = rounding_of(factor, encoded) / encoded.abs() * (1.0 + RELATIVE);
        self.rounded.entry(sum).or_default().relative = relative;
    }

    /// Notes by how much the summand of a sum or a replaced element differs from what it stands for.
    fn rounded_summand(&mut self, node: NodeId, absolute: f64) {
        self.rounded.entry(node).or_default().absolute = absolute;
    }

    /// An activation by an entry.
    fn activation(&mut self, node: &graph::Node, function: graph::Function) -> Result<Value, Error> {
        let choice = self.choice(node)?;
        let Choice::Unary { entry } = choice else { return Err(self.wrong_choice(node, choice)) };
        let entry = Arc::clone(entry);
        let Some(wanted) = catalog_function(function) else {
            return Err(self.refuse(node, format!("no entry can serve the function {}", function.name())));
        };
        choice::require(&node.name, &entry, wanted.clone())?;
        let value = self.unmasked(node.inputs[0])?;
        let argument = self.settled_at("argument", &value, entry.program().input().1)?;
        self.program(node, wanted.name(), &entry, argument).map(Value::plain)
    }

    /// A program, with an error that names the site where formats differ. A value is known modulo every smaller power
    /// of two, so an entry may work in a narrower ring than the value has.
    fn program(
        &mut self,
        node: &graph::Node,
        name: &str,
        entry: &Arc<Certified>,
        argument: NodeId,
    ) -> Result<NodeId, Error> {
        let executed = super::infer::executed(entry.program().widest_ring());
        executed.map_err(|reason| self.refuse(node, format!("the {name} entry cannot be run: {reason}")))?;
        let (ring, scale) = entry.program().input();
        let (needed, found) = (Format { ring, scale }, self.builder.format(argument));
        let narrow = Movement::Narrow { ring };
        match (scale == found.scale, ring.cmp(&found.ring)) {
            (true, Ordering::Equal) => self.builder.program(name, entry, argument),
            (true, Ordering::Less) => {
                let argument = self.builder.movement("narrow", narrow, argument)?;
                self.builder.program(name, entry, argument)
            }
            _ => Err(self.refuse(node, format!("the {name} entry takes {needed}, the value has {found}"))),
        }
    }
}

/// More than a few operations on doubles lose, relative to their result.
const RELATIVE: f64 = 1.0 / (1u64 << 48) as f64;

/// A bound of |value − encoded|, where either is off by the rounding of a few operations on doubles.
fn rounding_of(value: f64, encoded: f64) -> f64 {
    match value == encoded {
        true => 0.0,
        false => (value - encoded).abs() + RELATIVE * (value.abs() + encoded.abs()),
    }
}

/// A public factor with at least 24 significant bits and at least `bits_min` fraction bits; exact for powers of two.
fn coefficient(name: &str, factor: f64, bits_min: u8) -> Result<Coefficient, Error> {
    let fail = || Error::Circuit(format!("the public factor of '{name}' is zero, not finite or out of range"));
    if !(factor.abs() > 1e-9 && factor.abs() < 1e9) {
        return Err(fail());
    }
    let exponent = factor.abs().log2();
    let bits = match exponent.fract() == 0.0 {
        true => (-exponent).max(0.0),
        false => (24.0 - exponent.floor()).max(0.0),
    };
    let bits = (bits as u8).max(bits_min);
    let format = Format { ring: Ring::Z64, scale: Scale::new(bits).ok_or_else(fail)? };
    let value = super::tensor::nearest(factor, format).filter(|&value| value != 0).ok_or_else(fail)?;
    Ok(Coefficient { value, scale: bits })
}

/// Whether a function reaches from very small to very large: its entries have scales of their own, to and from which the
/// sites around round.
pub fn has_own_scales(function: &catalogs::Function) -> bool {
    use catalogs::Function::{Log, Reciprocal, Rsqrt, Sqrt};
    matches!(function, Log | Sqrt | Reciprocal | Rsqrt)
}

/// The catalog's name of a graph's function.
pub fn catalog_function(function: graph::Function) -> Option<catalogs::Function> {
    match function {
        graph::Function::Gelu => Some(catalogs::Function::Gelu),
        graph::Function::Silu => Some(catalogs::Function::Silu),
        graph::Function::Sigmoid => Some(catalogs::Function::Sigmoid),
        graph::Function::Tanh => Some(catalogs::Function::Tanh),
        graph::Function::Relu => Some(catalogs::Function::Relu),
        graph::Function::Erf => Some(catalogs::Function::Erf),
        graph::Function::Exp => Some(catalogs::Function::Exp),
        graph::Function::Reciprocal => Some(catalogs::Function::Reciprocal),
        graph::Function::Logarithm => Some(catalogs::Function::Log),
        graph::Function::Softplus => Some(catalogs::Function::Softplus),
        graph::Function::Mish => Some(catalogs::Function::Mish),
        graph::Function::SquareRoot => Some(catalogs::Function::Sqrt),
        graph::Function::GeluTanh => Some(catalogs::Function::GeluTanh),
    }
}
