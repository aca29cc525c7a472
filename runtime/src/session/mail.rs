//! What travels in a round: the kinds of frames, whose masks belong to a node, and a node's share of a peer's frame.

use super::Error;
use super::unit::{Active, Ready, Unit};
use crate::backend::{Backend, Frames, Streams};
use crate::circuit::{NodeKind, Party};
use crate::kernel::Pair;
use crate::random::Generator;
use crate::transport::{self, Kind, Transport};
use catalogs::protocol::Role;

/// The kinds of frames of a batch, in the order in which they travel within a round.
pub(super) const CLASSES: [Kind; 3] = [Kind::Share, Kind::Masked, Kind::Opening];

/// Which of [`CLASSES`] a node's messages are.
pub(super) fn class(kind: &NodeKind) -> usize {
    match kind {
        NodeKind::Input { .. } => 0,
        NodeKind::Output { .. } => 2,
        _ => 1,
    }
}

pub(super) fn peers(me: Party) -> Vec<Party> {
    (0..3).filter(|&party| party != me.0).map(Party).collect()
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

    /// The streams of a node in which the party `first` plays role 0.
    pub(super) fn streams(&self, node: u32, first: Party) -> Streams<'_> {
        let role = |party: u8| Role((party + 3 - first.0) % 3);
        let mut streams = Streams::new(node, 0);
        for (party, generator) in self.generators.iter().enumerate() {
            let pair = Pair::new(role(self.me.0), role(party as u8));
            if let (Some(pair), Some(generator)) = (pair, generator) {
                streams = streams.with(pair, generator);
            }
        }
        streams
    }
}

/// The payloads of one class and round, by party: what arrived, how far it is consumed, and what leaves.
pub(super) struct Mail<'a> {
    pub(super) arrived: &'a [Vec<u8>],
    pub(super) consumed: &'a mut [usize; 3],
    pub(super) leaving: &'a mut [Vec<u8>],
}

impl Mail<'_> {
    /// Runs one stage of a unit: takes its part of the arrived payloads, appends its messages to the leaving ones, where
    /// they are complete once what is returned was collected.
    pub(super) fn step<B: Backend>(
        &mut self,
        backend: &B,
        ready: &Ready<B>,
        state: &mut Active<B>,
        stage: usize,
        streams: &Streams<'_>,
    ) -> Result<Option<B::Pending>, Error> {
        let unit = &ready.unit;
        let mut received: [&[u8]; 3] = [&[]; 3];
        if stage > 0 {
            for peer in peers(unit.me) {
                let index = usize::from(peer.0);
                let length = unit.arriving(stage - 1, peer, state.lanes());
                if length > 0 {
                    let end = self.consumed[index] + length;
                    received[unit.role_of(peer)] = &self.arrived[index][self.consumed[index]..end];
                    self.consumed[index] = end;
                }
            }
        }
        by_role(unit, self.leaving, |sent| state.run(backend, ready, stage, &received, sent, streams))
    }
}

/// The payloads by role for a kernel, and back: the buffers move, their bytes do not.
pub(super) fn by_role<T>(
    unit: &Unit,
    leaving: &mut [Vec<u8>],
    run: impl FnOnce(&mut Frames) -> Result<T, Error>,
) -> Result<T, Error> {
    let party = |role: usize| usize::from(unit.party_of(role).0);
    let mut sent: Frames = (0..3).map(|role| std::mem::take(&mut leaving[party(role)])).collect();
    let done = run(&mut sent)?;
    sent.into_iter().enumerate().for_each(|(role, payload)| leaving[party(role)] = payload);
    Ok(done)
}
