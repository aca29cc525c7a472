//! One node as kernels: what this party runs in each round of the node, and the state between rounds.

use super::Error;
use crate::backend::{Backend, Frames, Shares, Streams};
use crate::circuit::{self, Circuit, NodeKind, Party};
use crate::kernel::{CheckedParty, Instruction, Slot};
use crate::protocol::rss3;
use catalogs::protocol::{Operation, Role};
use catalogs::{Digest, Ring};
use std::collections::{BTreeMap, btree_map::Entry};
use std::ops::Range;
use std::sync::Arc;

/// A node's kernels and who plays which role.
#[derive(Clone, Debug)]
pub struct Unit {
    /// By role; none for a node without messages.
    parties: Option<Arc<Vec<CheckedParty>>>,
    /// The party that plays role 0.
    pub first: Party,
    /// This party.
    pub me: Party,
}

impl Unit {
    /// Whether the node has no messages.
    pub fn is_local(&self) -> bool {
        self.parties.is_none()
    }

    /// The role that `party` plays.
    pub fn role_of(&self, party: Party) -> usize {
        usize::from((party.0 + 3 - self.first.0) % 3)
    }

    /// Bytes that `peer` sends to this party in the node's round `stage`.
    pub fn arriving(&self, stage: usize, peer: Party, lanes: usize) -> usize {
        let from = Role(self.role_of(peer) as u8);
        let kernel = self.party().and_then(|party| party.stages().get(stage + 1));
        kernel.map_or(0, |kernel| kernel.received_bytes(from, lanes))
    }

    /// Kernels that a party runs for the node.
    pub fn stages(&self) -> usize {
        self.party().map_or(0, |party| party.stages().len())
    }

    /// Words per lane that live between its rounds.
    pub fn slots(&self) -> u16 {
        self.party().map_or(0, CheckedParty::slots)
    }

    /// The instructions of all roles in a stage.
    pub fn instructions(&self, stage: usize) -> impl Iterator<Item = &Instruction> {
        let parties = self.parties.iter().flat_map(|parties| parties.iter());
        parties.filter_map(move |party| party.stages().get(stage)).flat_map(|kernel| kernel.instructions())
    }

    fn party(&self) -> Option<&CheckedParty> {
        self.parties.as_ref().map(|parties| &parties[self.role_of(self.me)])
    }
}

/// What was compiled, by operation and by entry: equal ones are compiled once.
#[derive(Debug, Default)]
pub struct Kernels {
    operations: BTreeMap<Operation, Arc<Vec<CheckedParty>>>,
    programs: BTreeMap<Digest, Arc<Vec<CheckedParty>>>,
}

impl Kernels {
    /// Units of all nodes, for the party `me`.
    pub fn compile(&mut self, circuit: &Circuit, me: Party) -> Result<Vec<Unit>, Error> {
        let mut units = Vec::new();
        for (id, node) in circuit.iter() {
            let parties = if let NodeKind::Program { certified, .. } = &node.kind {
                Some(match self.programs.entry(certified.digest()) {
                    Entry::Occupied(known) => known.get().clone(),
                    Entry::Vacant(new) => new.insert(Arc::new(rss3::compile(certified.program())?)).clone(),
                })
            } else if let Some(operation) = circuit::schedule::operation(&node.kind, node.format.ring) {
                Some(match self.operations.entry(operation) {
                    Entry::Occupied(known) => known.get().clone(),
                    Entry::Vacant(new) => new.insert(Arc::new(compile_operation(operation)?)).clone(),
                })
            } else {
                None
            };
            units.push(Unit { parties, first: circuit.party(id, Role(0), 3), me });
        }
        Ok(units)
    }
}

/// The units by which `owner` shares values of these rings.
pub fn share(rings: &[Ring], owner: Party, me: Party) -> Result<Vec<Unit>, Error> {
    let mut compiled: BTreeMap<Ring, Arc<Vec<CheckedParty>>> = BTreeMap::new();
    let mut units = Vec::with_capacity(rings.len());
    for &ring in rings {
        if let Entry::Vacant(vacant) = compiled.entry(ring) {
            vacant.insert(Arc::new(rss3::share(ring)?));
        }
        units.push(Unit { parties: compiled.get(&ring).cloned(), first: owner, me });
    }
    Ok(units)
}

fn compile_operation(operation: Operation) -> Result<Vec<CheckedParty>, Error> {
    Ok(match operation {
        Operation::Reshare(ring) => rss3::compile_reshare(ring)?,
        Operation::Truncate { ring, target, shift } => rss3::compile_truncate(ring, target, shift)?,
        Operation::Maximum { ring, width, candidates, joined } => {
            rss3::compile_maximum(ring, width, candidates, joined)?
        }
        Operation::Share(ring) => rss3::share(ring)?,
        Operation::Open(ring) => rss3::open(ring)?,
        Operation::Sign { .. } | Operation::Inject(_) => {
            return Err(crate::protocol::Error::Operation(operation).into());
        }
    })
}

/// A unit whose kernels a back end is ready to run.
pub struct Ready<B: Backend> {
    /// The unit.
    pub unit: Unit,
    stages: Arc<Vec<B::Code>>,
}

/// Makes the kernels of all units ready; those that several units have in common once.
pub fn ready<B: Backend>(backend: &B, units: Vec<Unit>) -> Result<Vec<Ready<B>>, Error> {
    // Equal parties are one allocation, which outlives this function in `units`.
    let key = |unit: &Unit| unit.party().map(|party| std::ptr::from_ref(party) as usize);
    let first: BTreeMap<usize, &Unit> = units.iter().filter_map(|unit| Some((key(unit)?, unit))).collect();
    let distinct: Vec<(usize, &CheckedParty)> =
        first.into_iter().filter_map(|(key, unit)| Some((key, unit.party()?))).collect();
    let kernels: Vec<_> = distinct.iter().flat_map(|(_, party)| party.stages()).collect();
    let mut code = backend.prepare(&kernels)?.into_iter();
    let by_key: BTreeMap<usize, Arc<Vec<B::Code>>> = distinct
        .iter()
        .map(|(key, party)| (*key, Arc::new(code.by_ref().take(party.stages().len()).collect())))
        .collect();
    let of = |unit: Unit| {
        let stages = key(&unit).and_then(|key| by_key.get(&key)).cloned().unwrap_or_default();
        Ready { unit, stages }
    };
    Ok(units.into_iter().map(of).collect())
}

/// A unit between its rounds, tile by tile.
pub struct Active<B: Backend> {
    tiles: Vec<B::State>,
}

impl<B: Backend> Active<B> {
    /// The unit at its first round: arguments in the input slots of every tile, zeros in the others.
    pub fn new(
        backend: &B,
        unit: &Unit,
        tiles: impl Iterator<Item = Range<usize>>,
        arguments: &[&B::Words],
    ) -> Result<Active<B>, Error> {
        let (slots, inputs) = (unit.slots(), unit.party().map(CheckedParty::inputs).unwrap_or_default());
        let tile = |lanes: Range<usize>| -> Result<B::State, Error> {
            let mut state = backend.state(slots, lanes.len())?;
            for (&slot, words) in inputs.iter().zip(arguments) {
                backend.load(&mut state, slot, words, lanes.start)?;
            }
            Ok(state)
        };
        Ok(Active { tiles: tiles.map(tile).collect::<Result<_, _>>()? })
    }

    /// Runs the kernel of `stage` on a tile; appends its frames, by the receiver's role, to `sent`, where they are once
    /// what is returned was collected.
    pub fn run(
        &mut self,
        backend: &B,
        ready: &Ready<B>,
        (tile, stage): (usize, usize),
        received: &[&[u8]],
        sent: &mut Frames,
        streams: &Streams<'_>,
    ) -> Result<Option<B::Pending>, Error> {
        let run = |code| backend.stage(code, &mut self.tiles[tile], received, sent, streams);
        Ok(ready.stages.get(stage).map(run).transpose()?)
    }

    /// The result's components.
    pub fn into_shares(mut self, backend: &B, unit: &Unit) -> Result<Shares<B::Words>, Error> {
        let slots = unit.party().map(CheckedParty::outputs).unwrap_or_default();
        match slots[..] {
            [own, next] if own == next => {
                let own = self.take(backend, own)?;
                Ok(Shares { next: own.clone(), own })
            }
            [own, next] => {
                let own = self.take(backend, own)?;
                Ok(Shares { own, next: self.take(backend, next)? })
            }
            _ => Err(circuit::Error::Circuit("a node's kernels leave no two components".into()).into()),
        }
    }

    /// The opened words, at the party that learns them.
    pub fn opened(mut self, backend: &B, unit: &Unit) -> Result<Vec<u64>, Error> {
        let slots = unit.party().map(CheckedParty::outputs).unwrap_or_default();
        match slots.first() {
            Some(&slot) => Ok(backend.download(&self.take(backend, slot)?)?),
            None => Ok(Vec::new()),
        }
    }

    /// The words of a slot, of all tiles.
    fn take(&mut self, backend: &B, slot: Slot) -> Result<B::Words, Error> {
        let tiles = self.tiles.iter_mut().map(|state| backend.take(state, slot));
        Ok(backend.joined(tiles.collect::<Result<_, _>>()?)?)
    }
}
