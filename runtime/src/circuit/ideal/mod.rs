//! The bit-exact plaintext simulation: a circuit executed on clear integers, with the roundings that a protocol may
//! choose.
//!
//! Establishes: for every choice that a protocol's lemmas allow, the outputs are one possible output of the protocol;
//! under [`RoundingMode::Seed`] roundings have the probabilities of the truncations in `protocols.md`, and so have the
//! carries out of the bits that a maximum leaves out. Operands
//! outside a truncation's window give an arbitrary residue, as the lemma says, and are counted per node.

mod choices;
mod lanes;
mod matmul;
mod maximum;
mod small;
mod terms;

pub use choices::{Choices, RoundingMode, Truncation};
pub use lanes::LaneProgram;

use super::Error;
use super::builder::{Circuit, Weights, check_tensor};
use super::node::{Maximum, Movement, NodeId, NodeKind, Product, ProductKind, Sum};
use super::shape::Shape;
use super::tensor::{Integers, residue};
use super::{layout, products};
use matmul::RightFactor;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::OnceLock;
use terms::Terms;

/// What a node met that its proofs should exclude.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Outside {
    /// Operands of truncations outside their windows. Inside a program this is allowed at lanes whose selecting bit
    /// is 0; at a sum of the circuit it is a violation.
    pub truncated: u64,
    /// Arguments outside the window of the program's claim, or candidates of a maximum that are too far apart: always
    /// a violation.
    pub arguments: u64,
}

/// What happened in a simulation.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// Per node with at least one operand outside its window.
    pub outside: BTreeMap<NodeId, Outside>,
}

impl Report {
    /// The nodes at which something happened that the plan's proof excludes.
    pub fn violations(&self, circuit: &Circuit) -> Vec<NodeId> {
        let violates = |(id, outside): (&NodeId, &Outside)| {
            let sum = matches!(circuit.node(*id).kind, NodeKind::Sum(_));
            (outside.arguments > 0 || sum && outside.truncated > 0).then_some(*id)
        };
        self.outside.iter().filter_map(violates).collect()
    }
}

/// The outputs of a simulation and its report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// One tensor per output node, in order.
    pub outputs: Vec<Integers>,
    /// What lay outside of windows.
    pub report: Report,
}

/// Simulates `circuit` on `inputs`, one per input node in order.
pub fn run(circuit: &Circuit, weights: &Weights, inputs: &[Integers], mode: RoundingMode) -> Result<Outcome, Error> {
    Simulation::new(circuit, weights).run(inputs, mode)
}

/// As [`run`], showing every node's value to `observer`: for calibration and for tests of a protocol.
pub fn observe(
    circuit: &Circuit,
    weights: &Weights,
    inputs: &[Integers],
    mode: RoundingMode,
    observer: &mut dyn FnMut(NodeId, &Integers),
) -> Result<Outcome, Error> {
    Simulation::new(circuit, weights).observe(inputs, mode, observer)
}

/// A circuit with weights, to be simulated more than once: what follows from the weights alone is made in the first
/// simulation and kept.
pub struct Simulation<'a> {
    circuit: &'a Circuit,
    weights: &'a Weights,
    /// Per node, if it follows from weights alone.
    kept: Vec<Option<Kept>>,
    last_uses: Vec<NodeId>,
}

/// What is kept of a node.
#[derive(Default)]
struct Kept {
    /// Its value, if it is moved and not a weight itself.
    value: OnceLock<Integers>,
    /// Its value as the right factor of products.
    factor: OnceLock<RightFactor>,
}

impl<'a> Simulation<'a> {
    /// Of `circuit` with `weights`.
    pub fn new(circuit: &'a Circuit, weights: &'a Weights) -> Simulation<'a> {
        let mut kept: Vec<Option<Kept>> = Vec::with_capacity(circuit.nodes().len());
        for node in circuit.nodes() {
            // Movements round nothing, so no choice enters them.
            let stays = match &node.kind {
                NodeKind::Weight(_) => true,
                NodeKind::Movement { operands, .. } => operands.iter().all(|operand| kept[operand.index()].is_some()),
                _ => false,
            };
            kept.push(stays.then(Kept::default));
        }
        Simulation { circuit, weights, kept, last_uses: circuit.last_uses() }
    }

    /// Simulates a run on `inputs`, one per input node in order.
    pub fn run(&self, inputs: &[Integers], mode: RoundingMode) -> Result<Outcome, Error> {
        // On a thread of the pool: from any other one, every loop that is shared out would wake one and sleep meanwhile.
        rayon::scope(|_| simulate(self, inputs, mode, &mut |_, _| {}))
    }

    /// The same, showing every node's value to `observer`.
    pub fn observe(
        &self,
        inputs: &[Integers],
        mode: RoundingMode,
        observer: &mut dyn FnMut(NodeId, &Integers),
    ) -> Result<Outcome, Error> {
        simulate(self, inputs, mode, observer)
    }

    /// The right factor of a product, if it stays the same and is a matrix of `values`.
    fn factor(&self, product: &Product, (values, shape): (&[i64], &Shape)) -> Option<&RightFactor> {
        let kept = self.kept[product.right.index()].as_ref()?;
        let &[rows, columns] = shape.extents() else { return None };
        Some(kept.factor.get_or_init(|| RightFactor::new(values, rows, columns)))
    }
}

fn simulate(
    simulation: &Simulation<'_>,
    inputs: &[Integers],
    mode: RoundingMode,
    observer: &mut dyn FnMut(NodeId, &Integers),
) -> Result<Outcome, Error> {
    let &Simulation { circuit, weights, ref last_uses, .. } = simulation;
    let wanted = circuit.inputs();
    if wanted.len() != inputs.len() {
        return Err(Error::Count { what: "inputs", needed: wanted.len(), given: inputs.len() });
    }
    let mut inputs = inputs.iter();
    let values = vec![None; circuit.nodes().len()];
    let mut state = State { simulation, circuit, mode, values, report: Report::default() };
    let mut outputs = Vec::new();
    for (id, node) in circuit.iter() {
        let value = match &node.kind {
            NodeKind::Input { .. } => {
                let input = inputs.next().ok_or(Error::Count { what: "inputs", needed: wanted.len(), given: 0 })?;
                check_tensor(&node.name, &node.shape, node.format, input)?;
                Cow::Borrowed(input)
            }
            NodeKind::Weight(weight) => Cow::Borrowed(weights.get(*weight)),
            NodeKind::Output { value, .. } => {
                let value = state.value(*value)?.clone();
                outputs.push(value.clone());
                Cow::Owned(value)
            }
            kind => {
                let mut compute = || {
                    let lanes = state.compute(id, kind, &node.shape)?;
                    Integers::new(node.shape.clone(), lanes).map_err(Error::Circuit)
                };
                match simulation.kept[id.index()].as_ref().map(|kept| &kept.value) {
                    None => Cow::Owned(compute()?),
                    Some(cell) => Cow::Borrowed(match cell.get() {
                        Some(value) => value,
                        None => {
                            let value = compute()?;
                            cell.get_or_init(|| value)
                        }
                    }),
                }
            }
        };
        observer(id, &value);
        state.values[id.index()] = Some(value);
        for operand in node.kind.operands() {
            if last_uses[operand.index()] == id {
                state.values[operand.index()] = None;
            }
        }
    }
    Ok(Outcome { outputs, report: state.report })
}

struct State<'a> {
    simulation: &'a Simulation<'a>,
    circuit: &'a Circuit,
    mode: RoundingMode,
    values: Vec<Option<Cow<'a, Integers>>>,
    report: Report,
}

impl State<'_> {
    fn value(&self, id: NodeId) -> Result<&Integers, Error> {
        let value = self.values.get(id.index()).and_then(Option::as_deref);
        value.ok_or_else(|| Error::Circuit(format!("{id} has no value yet")))
    }

    fn operand(&self, id: NodeId) -> Result<(&[i64], &Shape), Error> {
        self.value(id).map(|tensor| (tensor.values(), tensor.shape()))
    }

    fn compute(&mut self, id: NodeId, kind: &NodeKind, shape: &Shape) -> Result<Vec<i64>, Error> {
        match kind {
            NodeKind::Sum(sum) => {
                let (total, truncated) = self.sum(id, sum, shape)?;
                self.note(id, Outside { truncated, arguments: 0 });
                Ok(total)
            }
            NodeKind::Program { certified, argument } => {
                let (argument, _) = self.operand(*argument)?;
                let arguments = lanes::outside(certified.claim().window, argument);
                let (output, truncated) = LaneProgram::new(certified.program()).evaluate(self.mode, id, argument);
                self.note(id, Outside { truncated, arguments });
                Ok(output)
            }
            NodeKind::Maximum(maximum) => {
                let (lanes, arguments) = self.maximum(id, maximum)?;
                self.note(id, Outside { truncated: 0, arguments });
                Ok(lanes)
            }
            NodeKind::Movement { movement, operands } => self.movement(movement, operands, shape),
            NodeKind::Input { .. } | NodeKind::Weight(_) | NodeKind::Output { .. } => {
                Err(Error::Circuit(format!("{id} is not computed")))
            }
        }
    }

    fn note(&mut self, id: NodeId, outside: Outside) {
        if outside != Outside::default() {
            self.report.outside.insert(id, outside);
        }
    }

    /// A sum, and how many operands of its truncation lay outside the window.
    fn sum(&self, id: NodeId, sum: &Sum, shape: &Shape) -> Result<(Vec<i64>, u64), Error> {
        let mut total = vec![0; shape.lanes()];
        for product in sum.products.iter().filter(|product| !product.kind.is_element_wise()) {
            let (left, right) = (self.operand(product.left)?, self.operand(product.right)?);
            let coefficient = product.coefficient.value;
            if product.kind == ProductKind::MatMul {
                matmul::add(coefficient, left, right, self.simulation.factor(product, right), &mut total, shape);
            } else {
                products::accumulate(&product.kind, coefficient, left, right, &mut total, shape);
            }
        }
        let terms = Terms::new(sum, shape, (self.mode, id), |operand| self.operand(operand))?;
        let truncated = terms.finish(&mut total);
        Ok((total, truncated))
    }

    /// The candidates that are taken, and how many lanes have some that are too far apart to be compared.
    fn maximum(&self, id: NodeId, maximum: &Maximum) -> Result<(Vec<i64>, u64), Error> {
        let candidates = maximum.candidates.iter().map(|&id| Ok(self.operand(id)?.0));
        Ok(maximum::taken(&candidates.collect::<Result<Vec<_>, Error>>()?, maximum.width, (self.mode, id)))
    }

    fn movement(&self, movement: &Movement, operands: &[NodeId], shape: &Shape) -> Result<Vec<i64>, Error> {
        let ring = self.circuit.node(operands[0]).format.ring;
        let operands = operands.iter().map(|&id| self.operand(id)).collect::<Result<Vec<_>, _>>()?;
        let mut lanes = layout::apply(movement, &operands, shape);
        match movement {
            Movement::SumAxis { .. } => lanes.iter_mut().for_each(|value| *value = residue(ring, *value)),
            Movement::Narrow { ring } => lanes.iter_mut().for_each(|value| *value = residue(*ring, *value)),
            Movement::Replace { replaced, value } => {
                for (lane, _) in lanes.iter_mut().zip(replaced.iter()).filter(|(_, replaced)| **replaced) {
                    *lane = *value;
                }
            }
            _ => {}
        }
        Ok(lanes)
    }
}
