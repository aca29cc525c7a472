//! All roles of a protocol in one thread, round by round: for tests, conformance and measurements.

use super::Error;
use crate::backend::cpu::{Frames, Prepared, Slots};
use crate::backend::{DrawSource, Streams};
use crate::kernel::{CheckedParty, Pair};
use crate::random::{Generator, Key, SessionId};
use catalogs::protocol::Role;

/// One frame that travelled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// Its round.
    pub round: u16,
    /// Who sent it.
    pub from: Role,
    /// Who received it.
    pub to: Role,
    /// Its fields.
    pub bytes: Vec<u8>,
}

/// What an execution left.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Per role, per output, a word per lane.
    pub outputs: Vec<Vec<Vec<u64>>>,
    /// Every frame that is not empty, by round, sender and receiver.
    pub frames: Vec<Frame>,
    /// Rounds in which something travelled, up to the last one.
    pub rounds: u16,
}

impl Outcome {
    /// Payload bytes of all roles, counted from the frames.
    pub fn bytes(&self) -> u64 {
        self.frames.iter().map(|frame| frame.bytes.len() as u64).sum()
    }
}

/// Kernels of all roles, ready to run.
#[derive(Clone, Debug)]
pub struct LocalParties {
    parties: Vec<CheckedParty>,
    prepared: Vec<Vec<Prepared>>,
}

impl LocalParties {
    /// Prepares every kernel.
    pub fn new(parties: Vec<CheckedParty>) -> LocalParties {
        let prepared = parties.iter().map(|party| party.stages().iter().map(Prepared::new).collect()).collect();
        LocalParties { parties, prepared }
    }

    /// The roles.
    pub fn parties(&self) -> &[CheckedParty] {
        &self.parties
    }

    /// Executes all roles. `inputs` holds, per role and input slot, one word per lane; all are equally long.
    pub fn run(&self, lanes: usize, inputs: &[Vec<Vec<u64>>], draws: &dyn DrawSource) -> Result<Outcome, Error> {
        self.run_from(0, lanes, inputs, draws)
    }

    /// As [`LocalParties::run`], on lanes from `first_lane` of every stream.
    pub fn run_from(
        &self,
        first_lane: u64,
        lanes: usize,
        inputs: &[Vec<Vec<u64>>],
        draws: &dyn DrawSource,
    ) -> Result<Outcome, Error> {
        let mut states = self.states(lanes, inputs)?;
        let roles = self.parties.len();
        let mut outcome = Outcome::default();
        // mail[to][from], as kernels want it.
        let mut mail: Vec<Frames> = vec![vec![Vec::new(); roles]; roles];
        let mut sent: Frames = Vec::new();
        let stages = self.prepared.iter().map(Vec::len).max().unwrap_or(0);
        for stage in 0..stages {
            let mut next: Vec<Frames> = vec![vec![Vec::new(); roles]; roles];
            for (from, state) in states.iter_mut().enumerate() {
                self.prepared[from][stage].run(first_lane, state, &mail[from], &mut sent, draws)?;
                for (to, bytes) in sent.drain(..).enumerate().filter(|(_, bytes)| !bytes.is_empty()) {
                    outcome.frames.push(Frame {
                        round: stage as u16,
                        from: Role(from as u8),
                        to: Role(to as u8),
                        bytes: bytes.clone(),
                    });
                    outcome.rounds = stage as u16 + 1;
                    next[to][from] = bytes;
                }
            }
            mail = next;
        }
        let output =
            |(party, state): (&CheckedParty, &Slots)| party.outputs().iter().map(|&slot| state.get(slot)).collect();
        outcome.outputs = self.parties.iter().zip(&states).map(output).collect();
        Ok(outcome)
    }

    fn states(&self, lanes: usize, inputs: &[Vec<Vec<u64>>]) -> Result<Vec<Slots>, Error> {
        let size = |what, found, expected, unit| Err(Error::Size { what, found, expected, unit });
        if inputs.len() != self.parties.len() {
            return size("the list of arguments", inputs.len(), self.parties.len(), "roles");
        }
        let mut states = Vec::with_capacity(self.parties.len());
        for (party, words) in self.parties.iter().zip(inputs) {
            if words.len() != party.inputs().len() {
                return size("a role's arguments", words.len(), party.inputs().len(), "slots");
            }
            let mut state = Slots::new(party.slots(), lanes);
            for (&slot, words) in party.inputs().iter().zip(words) {
                if words.len() != lanes {
                    return size("an argument", words.len(), lanes, "lanes");
                }
                state.put(slot, words);
            }
            states.push(state);
        }
        Ok(states)
    }
}

/// The value of two output slots per role, given by the index of the first: the sum of the three first components,
/// having checked that the roles agree on every component. `None` where they do not.
pub fn reconstruct(outcome: &Outcome, index: usize, lane: usize) -> Option<u64> {
    let component = |role: usize, which: usize| outcome.outputs[role][index + which][lane];
    (0..3)
        .all(|role| component(role, 1) == component((role + 1) % 3, 0))
        .then(|| component(0, 0).wrapping_add(component(1, 0)).wrapping_add(component(2, 0)))
}

/// Keys of every pair of three roles, from a seed: for executions whose masks nobody has to be kept from.
#[derive(Debug)]
pub struct LocalKeys {
    generators: Vec<(Pair, Generator)>,
}

impl LocalKeys {
    /// Deterministic in `seed`.
    pub fn from_seed(seed: u64) -> LocalKeys {
        let pairs = [(0, 1), (1, 2), (0, 2)].into_iter().filter_map(|(a, b)| Pair::new(Role(a), Role(b)));
        let generator = |pair: Pair| {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&seed.to_le_bytes());
            bytes[8] = pair.number();
            (pair, Generator::new(&Key::from_bytes(bytes), &SessionId([0; 32]), 0))
        };
        LocalKeys { generators: pairs.map(generator).collect() }
    }

    /// The streams of one execution.
    pub fn streams(&self, node: u32, tile: u32) -> Streams<'_> {
        self.generators
            .iter()
            .fold(Streams::new(node, tile), |streams, (pair, generator)| streams.with(*pair, generator))
    }
}
