//! Circuits and how they are built: a node is checked when it is added, so every circuit is valid.

use super::Error;
use super::infer::{Known, infer};
use super::node::{
    Coefficient, Constant, Construction, Group, GroupId, Maximum, Movement, Node, NodeId, NodeKind, Party, Sum, Term,
    WeightId, WeightSlot,
};
use super::shape::Shape;
use super::tensor::Integers;
use catalogs::protocol::Width;
use catalogs::{Format, Ring};
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use verify::Certified;

/// A valid list of nodes: operands precede their uses, shapes, rings and scales agree. Public to every party.
#[derive(Clone, Debug)]
pub struct Circuit {
    nodes: Vec<Node>,
    weights: Vec<WeightSlot>,
    groups: Vec<Group>,
    tile_bytes: Option<NonZeroU32>,
}

impl Circuit {
    /// The same circuit, whose messages leave in parts of about so many bytes of a party ([`super::itinerary`]), or round by
    /// round.
    pub fn in_tiles(self, tile_bytes: Option<NonZeroU32>) -> Circuit {
        Circuit { tile_bytes, ..self }
    }

    /// Bytes of a party that leave together within a round; all of them where there are no tiles.
    pub fn tile_bytes(&self) -> Option<NonZeroU32> {
        self.tile_bytes
    }

    /// As many nodes in the same groups, with what `kind` says of each of them, which sees what is made so far; and with other
    /// weights.
    pub(super) fn rewritten(
        &self,
        weights: Vec<WeightSlot>,
        mut kind: impl FnMut(NodeId, &Circuit) -> Result<NodeKind, Error>,
    ) -> Result<Circuit, Error> {
        let nodes = Vec::with_capacity(self.nodes.len());
        let mut circuit = Circuit { nodes, weights, groups: self.groups.clone(), tile_bytes: self.tile_bytes };
        for (id, node) in self.iter() {
            let kind = kind(id, &circuit)?;
            let (shape, format) = infer(&kind, &circuit).map_err(|reason| {
                let (name, group) = (node.name.clone(), self.group_name(id).to_owned());
                Error::Node { node: id, name, group, reason }
            })?;
            circuit.nodes.push(Node { kind, shape, format, group: node.group, name: node.name.clone() });
        }
        Ok(circuit)
    }

    /// The nodes in order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node with this index.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// Every node with its index.
    pub fn iter(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.nodes.iter().enumerate().map(|(index, node)| (NodeId(index as u32), node))
    }

    /// What is public of the weights.
    pub fn weights(&self) -> &[WeightSlot] {
        &self.weights
    }

    /// Where the nodes come from.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The name of a node's group.
    pub fn group_name(&self, id: NodeId) -> &str {
        &self.groups[self.node(id).group.index()].name
    }

    /// The input nodes in order.
    pub fn inputs(&self) -> Vec<NodeId> {
        self.iter().filter(|(_, node)| matches!(node.kind, NodeKind::Input { .. })).map(|(id, _)| id).collect()
    }

    /// The output nodes in order.
    pub fn outputs(&self) -> Vec<NodeId> {
        self.iter().filter(|(_, node)| matches!(node.kind, NodeKind::Output { .. })).map(|(id, _)| id).collect()
    }

    /// Per node, the last node that uses its value (itself, if none does): when its memory can be freed.
    pub fn last_uses(&self) -> Vec<NodeId> {
        let mut last: Vec<NodeId> = (0..self.nodes.len() as u32).map(NodeId).collect();
        for (id, node) in self.iter() {
            for operand in node.kind.operands() {
                last[operand.index()] = id;
            }
        }
        last
    }

    /// The party that plays `role` in the operation of a node: an owner and a receiver play role 0 of sharing and
    /// opening; every other node rotates the roles, because a role's sends and receives are not equal.
    pub fn party(&self, id: NodeId, role: catalogs::protocol::Role, parties: u8) -> Party {
        let first = match &self.node(id).kind {
            NodeKind::Input { owner, .. } => u32::from(owner.0),
            NodeKind::Output { receiver, .. } => u32::from(receiver.0),
            _ => id.0,
        };
        Party(((first + u32::from(role.0)) % u32::from(parties.max(1))) as u8)
    }
}

/// The integers of a circuit's weights: the model owner's secret. Its `Debug` shows no element.
#[derive(Clone, Debug)]
pub struct Weights(Vec<Arc<Integers>>);

impl Weights {
    /// Weights in the order of the circuit's table; each must have its slot's shape and ring.
    pub fn new(circuit: &Circuit, weights: Vec<Integers>) -> Result<Weights, Error> {
        if weights.len() != circuit.weights.len() {
            return Err(Error::Count { what: "weights", needed: circuit.weights.len(), given: weights.len() });
        }
        for (slot, weight) in circuit.weights.iter().zip(&weights) {
            check_tensor(&slot.name, &slot.shape, slot.format, weight)?;
        }
        Ok(Weights(weights.into_iter().map(Arc::new).collect()))
    }

    /// The same of tensors that were encoded in the formats of their slots, which are not looked at again.
    pub(super) fn encoded(circuit: &Circuit, weights: Vec<Arc<Integers>>) -> Result<Weights, Error> {
        if weights.len() != circuit.weights.len() {
            return Err(Error::Count { what: "weights", needed: circuit.weights.len(), given: weights.len() });
        }
        match circuit.weights.iter().zip(&weights).find(|(slot, weight)| *weight.shape() != slot.shape) {
            None => Ok(Weights(weights)),
            Some((slot, _)) => {
                Err(Error::Tensor { tensor: slot.name.clone(), shape: slot.shape.clone(), format: slot.format })
            }
        }
    }

    /// The integers of one weight.
    pub fn get(&self, id: WeightId) -> &Integers {
        &self.0[id.index()]
    }

    /// The same, to be kept.
    pub(super) fn shared(&self, id: WeightId) -> &Arc<Integers> {
        &self.0[id.index()]
    }
}

/// Checks that a tensor has a shape and is made of residues of a ring.
pub(super) fn check_tensor(name: &str, shape: &Shape, format: Format, tensor: &Integers) -> Result<(), Error> {
    let fits = tensor.shape() == shape && tensor.values().iter().all(|&value| format.ring.contains(i128::from(value)));
    match fits {
        true => Ok(()),
        false => Err(Error::Tensor { tensor: name.into(), shape: shape.clone(), format }),
    }
}

/// Builds a circuit node by node. Nodes go to the group that was opened last.
pub struct Builder {
    circuit: Circuit,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Builder({} nodes)", self.circuit.nodes.len())
    }
}

impl Default for Builder {
    fn default() -> Builder {
        Builder::new()
    }
}

impl Known for Circuit {
    fn value(&self, id: NodeId) -> Option<(&Shape, Format)> {
        let node = self.nodes.get(id.index())?;
        // What was opened is no shared value any more.
        (!matches!(node.kind, NodeKind::Output { .. })).then_some((&node.shape, node.format))
    }

    fn weights(&self) -> &[WeightSlot] {
        &self.weights
    }
}

impl Builder {
    /// No nodes, and one group for what belongs to no node of a model.
    pub fn new() -> Builder {
        let group = Group { name: "inputs".into(), site: None, construction: Construction::Plain };
        Builder { circuit: Circuit { nodes: Vec::new(), weights: Vec::new(), groups: vec![group], tile_bytes: None } }
    }

    /// Opens a group: the following nodes belong to it.
    pub fn group(&mut self, group: Group) -> GroupId {
        self.circuit.groups.push(group);
        GroupId(self.circuit.groups.len() as u32 - 1)
    }

    /// Says how the current group's site is built.
    pub fn describe(&mut self, construction: Construction) {
        if let Some(group) = self.circuit.groups.last_mut() {
            group.construction = construction;
        }
    }

    /// Adds a node to the current group.
    pub fn push(&mut self, name: &str, kind: NodeKind) -> Result<NodeId, Error> {
        let id = NodeId(self.circuit.nodes.len() as u32);
        let group = GroupId(self.circuit.groups.len() as u32 - 1);
        match infer(&kind, &self.circuit) {
            Ok((shape, format)) => {
                self.circuit.nodes.push(Node { kind, shape, format, group, name: name.into() });
                Ok(id)
            }
            Err(reason) => {
                let group = self.circuit.groups[group.index()].name.clone();
                Err(Error::Node { node: id, name: name.into(), group, reason })
            }
        }
    }

    /// A tensor of a party.
    pub fn input(&mut self, name: &str, owner: Party, shape: Shape, format: Format) -> Result<NodeId, Error> {
        self.push(name, NodeKind::Input { owner, shape, format })
    }

    /// A weight of the model's owner.
    pub fn weight(&mut self, name: &str, shape: Shape, format: Format) -> Result<NodeId, Error> {
        let id = WeightId(self.circuit.weights.len() as u32);
        self.circuit.weights.push(WeightSlot { name: name.into(), shape, format });
        self.push(name, NodeKind::Weight(id))
    }

    /// A certified program on every lane.
    pub fn program(&mut self, name: &str, certified: &Arc<Certified>, argument: NodeId) -> Result<NodeId, Error> {
        self.push(name, NodeKind::Program { certified: Arc::clone(certified), argument })
    }

    /// The largest of several values, by the bits of `width` and so many joined bits.
    pub fn maximum(
        &mut self,
        name: &str,
        candidates: Vec<NodeId>,
        width: impl Into<Width>,
        joined: u8,
    ) -> Result<NodeId, Error> {
        let width = width.into();
        self.push(name, NodeKind::Maximum(Maximum { candidates, width, joined }))
    }

    /// A local rearrangement of one operand.
    pub fn movement(&mut self, name: &str, movement: Movement, operand: NodeId) -> Result<NodeId, Error> {
        self.push(name, NodeKind::Movement { movement, operands: vec![operand] })
    }

    /// Operands joined along an axis.
    pub fn concat(&mut self, name: &str, axis: usize, operands: Vec<NodeId>) -> Result<NodeId, Error> {
        self.push(name, NodeKind::Movement { movement: Movement::Concat { axis }, operands })
    }

    /// A local sum Σ coefficient·value.
    pub fn linear(&mut self, name: &str, ring: Ring, terms: &[(Coefficient, NodeId)]) -> Result<NodeId, Error> {
        let linear = terms.iter().map(|&(coefficient, value)| Term { coefficient, value }).collect();
        let sum = Sum { ring, products: Vec::new(), linear, constant: Constant::Scalar(0), truncation: None };
        self.push(name, NodeKind::Sum(sum))
    }

    /// A value that one party learns.
    pub fn output(&mut self, name: &str, receiver: Party, value: NodeId) -> Result<NodeId, Error> {
        self.push(name, NodeKind::Output { receiver, value })
    }

    /// The shape of an earlier node.
    pub fn shape(&self, id: NodeId) -> &Shape {
        &self.circuit.nodes[id.index()].shape
    }

    /// The format of an earlier node.
    pub fn format(&self, id: NodeId) -> Format {
        self.circuit.nodes[id.index()].format
    }

    /// What has been built so far.
    pub fn so_far(&self) -> &Circuit {
        &self.circuit
    }

    /// The circuit; it needs an output.
    pub fn finish(self) -> Result<Circuit, Error> {
        if self.circuit.outputs().is_empty() {
            return Err(Error::Circuit("a circuit needs an output".into()));
        }
        Ok(self.circuit)
    }
}
