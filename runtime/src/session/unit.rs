//! One node as kernels: what this party runs in each round of the node, and the state between rounds.

use super::Error;
use super::Shares;
use crate::backend::Streams;
use crate::backend::cpu::{Frames, Prepared, Slots};
use crate::circuit::{Circuit, NodeKind, Party};
use crate::kernel::{CheckedParty, Instruction};
use crate::protocol::rss3;
use catalogs::protocol::{Operation, Role};
use catalogs::{Digest, Ring};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

/// The kernels of one operation, for one role.
#[derive(Debug)]
struct Code {
    parties: Vec<CheckedParty>,
    stages: Vec<Vec<Prepared>>,
    /// Steps and draws of all roles.
    instructions: [usize; 2],
}

/// A node's kernels and who plays which role.
#[derive(Clone, Debug)]
pub struct Unit {
    code: Option<Arc<Code>>,
    /// The party that plays role 0.
    pub first: Party,
    /// This party.
    pub me: Party,
}

impl Unit {
    /// Whether the node has no messages.
    pub fn is_local(&self) -> bool {
        self.code.is_none()
    }

    /// The role that `party` plays.
    pub fn role_of(&self, party: Party) -> usize {
        usize::from((party.0 + 3 - self.first.0) % 3)
    }

    /// The party that plays `role`.
    pub fn party_of(&self, role: usize) -> Party {
        Party((self.first.0 + role as u8) % 3)
    }

    /// Bytes that `peer` sends to this party in the node's round `stage`.
    pub fn arriving(&self, stage: usize, peer: Party, lanes: usize) -> usize {
        let Some(code) = &self.code else { return 0 };
        let stages = code.parties[self.role_of(self.me)].stages();
        let from = Role(self.role_of(peer) as u8);
        stages.get(stage + 1).map_or(0, |kernel| kernel.received_bytes(from, lanes))
    }

    /// Kernels that a party runs for the node.
    pub fn stages(&self) -> usize {
        self.party().map_or(0, |party| party.stages().len())
    }

    /// Words per lane that live between its rounds.
    pub fn slots(&self) -> u16 {
        self.party().map_or(0, CheckedParty::slots)
    }

    /// Steps and draws of all roles and stages.
    pub fn instructions_per_lane(&self) -> [usize; 2] {
        self.code.as_ref().map_or([0; 2], |code| code.instructions)
    }

    fn party(&self) -> Option<&CheckedParty> {
        self.code.as_ref().map(|code| &code.parties[self.role_of(self.me)])
    }
}

/// What was compiled, by operation and by entry: equal ones are compiled once.
#[derive(Debug, Default)]
pub struct Kernels {
    operations: BTreeMap<Operation, Arc<Code>>,
    programs: BTreeMap<Digest, Arc<Code>>,
}

impl Kernels {
    /// Units of all nodes, for the party `me`.
    pub fn compile(&mut self, circuit: &Circuit, me: Party) -> Result<Vec<Unit>, Error> {
        let mut units = Vec::new();
        for (id, node) in circuit.iter() {
            let code = if let NodeKind::Program { certified, .. } = &node.kind {
                Some(match self.programs.entry(certified.digest()) {
                    Entry::Occupied(known) => known.get().clone(),
                    Entry::Vacant(new) => new.insert(Arc::new(Code::new(rss3::compile(certified.program())?))).clone(),
                })
            } else if let Some(operation) = crate::circuit::schedule::operation(&node.kind, node.format.ring) {
                Some(match self.operations.entry(operation) {
                    Entry::Occupied(known) => known.get().clone(),
                    Entry::Vacant(new) => new.insert(Arc::new(Code::new(compile_operation(operation)?))).clone(),
                })
            } else {
                None
            };
            units.push(Unit { code, first: circuit.party(id, Role(0), 3), me });
        }
        Ok(units)
    }
}

/// The unit by which `owner` shares a value.
pub fn share(ring: Ring, owner: Party, me: Party) -> Result<Unit, Error> {
    Ok(Unit { code: Some(Arc::new(Code::new(rss3::share(ring)?))), first: owner, me })
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

impl Code {
    fn new(parties: Vec<CheckedParty>) -> Code {
        let stages = parties.iter().map(|party| party.stages().iter().map(Prepared::new).collect()).collect();
        let kernels = parties.iter().flat_map(CheckedParty::stages);
        let all = kernels.flat_map(|kernel| kernel.instructions());
        let (mut steps, mut draws) = (0, 0);
        for instruction in all {
            match instruction {
                Instruction::Draw(_) => draws += 1,
                _ => steps += 1,
            }
        }
        Code { parties, stages, instructions: [steps, draws] }
    }
}

/// A unit between its rounds.
#[derive(Debug)]
pub struct Active {
    slots: Slots,
}

impl Active {
    /// Zeros for all slots of `lanes` lanes.
    pub fn new(unit: &Unit, lanes: usize) -> Active {
        Active { slots: Slots::new(unit.party().map_or(0, CheckedParty::slots), lanes) }
    }

    /// Lanes.
    pub fn lanes(&self) -> usize {
        self.slots.lanes()
    }

    /// Puts arguments into the input slots.
    pub fn load(&mut self, unit: &Unit, arguments: &[&[u64]]) {
        let Some(party) = unit.party() else { return };
        for (&slot, words) in party.inputs().iter().zip(arguments) {
            self.slots.get_mut(slot).copy_from_slice(words);
        }
    }

    /// Runs the kernel of `stage`; appends its frames, by the receiver's role, to `sent`.
    pub fn run(
        &mut self,
        unit: &Unit,
        stage: usize,
        received: &[&[u8]],
        sent: &mut Frames,
        streams: &Streams<'_>,
    ) -> Result<(), Error> {
        if let Some(code) = &unit.code {
            let kernels = &code.stages[unit.role_of(unit.me)];
            kernels[stage].run(0, &mut self.slots, received, sent, streams)?;
        }
        Ok(())
    }

    /// The result's components.
    pub fn into_shares(mut self, unit: &Unit) -> Shares {
        let slots = unit.party().map(CheckedParty::outputs).unwrap_or_default();
        match slots[..] {
            [own, next] if own == next => {
                let own = self.slots.take(own);
                Shares { next: own.clone(), own }
            }
            [own, next] => Shares { own: self.slots.take(own), next: self.slots.take(next) },
            _ => Shares::default(),
        }
    }

    /// The opened words, at the party that learns them.
    pub fn opened(&self, unit: &Unit) -> Vec<u64> {
        let slots = unit.party().map(CheckedParty::outputs).unwrap_or_default();
        slots.first().map(|&slot| self.slots.get(slot).to_vec()).unwrap_or_default()
    }
}
