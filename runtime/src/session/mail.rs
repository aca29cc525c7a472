//! What travels in a part of a round: its frames, the masks of a tile, and a tile's share of a peer's frame.

use super::Error;
use super::unit::{Active, Ready, Unit};
use crate::backend::{Backend, Frames, Streams};
use crate::circuit::{Class, Party};
use crate::kernel::Pair;
use crate::random::Generator;
use crate::transport::{self, Expected, Frame, Kind, Length, Position, Transport};
use catalogs::protocol::Role;
use std::collections::BTreeSet;
use std::time::Instant;

/// The kind of the frames that carry messages of this class.
pub(super) fn kind(class: Class) -> Kind {
    match class {
        Class::Share => Kind::Share,
        Class::Masked => Kind::Masked,
        Class::Opening => Kind::Opening,
    }
}

pub(super) fn peers(me: Party) -> Vec<Party> {
    (0..3).filter(|&party| party != me.0).map(Party).collect()
}

/// What a run has used of the connections.
pub(super) struct Trail {
    run: u64,
    /// The rounds in which a frame was sent or received.
    pub(super) rounds: BTreeSet<u32>,
    /// Per round, seconds of handing frames over and waiting for those of the others.
    pub(super) waiting: Vec<f64>,
}

impl Trail {
    pub(super) fn new(run: u64) -> Trail {
        Trail { run, rounds: BTreeSet::new(), waiting: Vec::new() }
    }
}

/// The connections, for one run.
pub(super) struct Post<'a> {
    pub(super) transport: &'a mut dyn Transport,
    pub(super) me: Party,
    pub(super) trail: &'a mut Trail,
}

impl Post<'_> {
    /// Sends a part's payloads, by receiver.
    pub(super) fn send(&mut self, at: (u32, usize), kind: Kind, payloads: [Vec<u8>; 3]) -> Result<(), Error> {
        let began = Instant::now();
        let position = self.position(at);
        for (peer, payload) in (0..).zip(payloads).filter(|(_, payload)| !payload.is_empty()) {
            self.trail.rounds.insert(at.0);
            self.transport.send(transport::Party(peer), Frame { kind, position, payload })?;
        }
        self.waited(at.0, began);
        Ok(())
    }

    /// Waits for a part's payloads: as many bytes as `lengths` say, by sender.
    pub(super) fn receive(&mut self, at: (u32, usize), kind: Kind, lengths: [usize; 3]) -> Result<Arrived, Error> {
        let began = Instant::now();
        let (position, mut payloads) = (self.position(at), <[Vec<u8>; 3]>::default());
        for peer in peers(self.me) {
            let index = usize::from(peer.0);
            if lengths[index] > 0 {
                self.trail.rounds.insert(at.0);
                let expected = Expected { kind, position, length: Length::Exactly(lengths[index] as u64) };
                payloads[index] = self.transport.receive(transport::Party(peer.0), expected)?;
            }
        }
        self.waited(at.0, began);
        Ok(Arrived::new(payloads))
    }

    fn position(&self, (round, part): (u32, usize)) -> Position {
        Position { run: self.trail.run, round, part: part as u16 }
    }

    fn waited(&mut self, round: u32, began: Instant) {
        let round = round as usize;
        let waiting = &mut self.trail.waiting;
        waiting.resize(waiting.len().max(round + 1), 0.0);
        waiting[round] += began.elapsed().as_secs_f64();
    }
}

/// This party's generators of one run, by peer.
pub(super) struct Generators {
    me: Party,
    generators: Vec<Option<Generator>>,
}

impl Generators {
    pub(super) fn new(transport: &dyn Transport, me: Party, run: u64) -> Result<Generators, Error> {
        let mut generators = Vec::new();
        for party in 0..3 {
            generators.push(if party == me.0 {
                None
            } else {
                let key = transport.pair_key(transport::Party(party))?;
                Some(Generator::new(key, transport.session(), run))
            });
        }
        Ok(Generators { me, generators })
    }

    /// The streams of a tile of a node in which the party `first` plays role 0.
    pub(super) fn streams(&self, node: u32, tile: usize, first: Party) -> Streams<'_> {
        let role = |party: u8| Role((party + 3 - first.0) % 3);
        let mut streams = Streams::new(node, tile as u32);
        for (party, generator) in self.generators.iter().enumerate() {
            let pair = Pair::new(role(self.me.0), role(party as u8));
            if let (Some(pair), Some(generator)) = (pair, generator) {
                streams = streams.with(pair, generator);
            }
        }
        streams
    }
}

/// What arrived with a part, by party, and how far it is consumed.
#[derive(Debug, Default)]
pub(super) struct Arrived {
    payloads: [Vec<u8>; 3],
    consumed: [usize; 3],
}

impl Arrived {
    pub(super) fn new(payloads: [Vec<u8>; 3]) -> Arrived {
        Arrived { payloads, consumed: [0; 3] }
    }

    /// The next bytes of every peer, by its role: what it sent in `stage` for so many lanes of the unit.
    fn next(&mut self, unit: &Unit, stage: usize, lanes: usize) -> [&[u8]; 3] {
        let mut received: [&[u8]; 3] = [&[]; 3];
        for peer in peers(unit.me) {
            let index = usize::from(peer.0);
            let begin = self.consumed[index];
            self.consumed[index] += unit.arriving(stage, peer, lanes);
            received[unit.role_of(peer)] = &self.payloads[index][begin..self.consumed[index]];
        }
        received
    }
}

/// What leaves with a part, by party, and what of it a device still computes.
pub(super) struct Leaving<P> {
    payloads: [Vec<u8>; 3],
    /// With the party that plays role 0 in it.
    pending: Vec<(Party, P)>,
}

impl<P> Default for Leaving<P> {
    fn default() -> Leaving<P> {
        Leaving { payloads: Default::default(), pending: Vec::new() }
    }
}

impl<P> Leaving<P> {
    /// The payloads, once all of them are there.
    pub(super) fn collect<B: Backend<Pending = P>>(mut self, backend: &B) -> Result<[Vec<u8>; 3], Error> {
        for (first, pending) in std::mem::take(&mut self.pending) {
            self.by_role(first, |sent| Ok(backend.collect(pending, sent)?))?;
        }
        Ok(self.payloads)
    }

    /// The payloads by role for a kernel, and back: the buffers move, their bytes do not.
    fn by_role<T>(&mut self, first: Party, run: impl FnOnce(&mut Frames) -> Result<T, Error>) -> Result<T, Error> {
        let party = |role: usize| (usize::from(first.0) + role) % 3;
        let mut sent: Frames = (0..3).map(|role| std::mem::take(&mut self.payloads[party(role)])).collect();
        let done = run(&mut sent)?;
        sent.into_iter().enumerate().for_each(|(role, payload)| self.payloads[party(role)] = payload);
        Ok(done)
    }
}

/// A tile at one of its stages.
pub(super) struct Step<'a, B: Backend> {
    pub(super) ready: &'a Ready<B>,
    pub(super) tile: usize,
    pub(super) lanes: usize,
    pub(super) stage: usize,
    pub(super) streams: Streams<'a>,
}

impl<B: Backend> Step<'_, B> {
    /// Takes the tile's part of what arrived, if it is not at its first stage, and appends its messages to what leaves.
    pub(super) fn run(
        &self,
        backend: &B,
        state: &mut Active<B>,
        arrived: &mut Arrived,
        leaving: &mut Leaving<B::Pending>,
    ) -> Result<(), Error> {
        let unit = &self.ready.unit;
        let received = match self.stage.checked_sub(1) {
            Some(before) => arrived.next(unit, before, self.lanes),
            None => [&[][..]; 3],
        };
        let (at, streams) = ((self.tile, self.stage), &self.streams);
        let pending =
            leaving.by_role(unit.first, |sent| state.run(backend, self.ready, at, &received, sent, streams))?;
        leaving.pending.extend(pending.map(|pending| (unit.first, pending)));
        Ok(())
    }
}
