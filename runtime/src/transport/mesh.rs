//! One party's end of the mesh, whatever carries the frames.

use std::{
    collections::BTreeMap,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    AbortReason, Error, Expected, Frame, HEADER_BYTES, Kind, Length, PARTIES_MAX, Party, Position, RUNS_MAX, Result,
    Shaping, Traffic, Transport,
    control::Control,
    frame::{Header, LENGTH_MAX},
    mailbox::Mailbox,
    shaping::{Departure, Line},
    traffic::{Counters, Rounds},
};
use crate::random::{Key, SessionId};

/// How long and how large things may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Time for all parties to find each other.
    pub connect: Duration,
    /// Time without a byte from a peer of which something is expected, for a stalled write, and
    /// for peers to finish. Must exceed the longest computation between two rounds, of all runs
    /// that are executed side by side.
    pub receive: Duration,
    /// Longest payload of a frame in bytes.
    pub frame_bytes_max: u64,
}

impl Limits {
    /// A frame may keep trickling in for this many times [`Limits::receive`].
    pub const PATIENCE: u32 = 20;
}

impl Default for Limits {
    /// 30 s to connect, 60 s to receive, frames up to 1 GiB.
    fn default() -> Self {
        Self { connect: Duration::from_secs(30), receive: Duration::from_secs(60), frame_bytes_max: 1 << 30 }
    }
}

/// A frame on its way out.
pub(super) struct Parcel {
    pub(super) header: [u8; HEADER_BYTES],
    pub(super) kind: Kind,
    pub(super) payload: Vec<u8>,
    pub(super) departure: Option<Departure>,
}

impl Parcel {
    pub(super) fn bytes(&self) -> usize {
        HEADER_BYTES + self.payload.len()
    }
}

/// What carries frames to one peer.
pub(super) trait Outbox: Send {
    /// Hands a parcel over without waiting for the peer. A carrier that is gone drops it; the
    /// mailbox knows why.
    fn put(&mut self, parcel: Parcel);

    /// Waits until all parcels are handed to the connection; false after `limit`.
    fn drain(&mut self, limit: Duration) -> bool;

    /// Lets the connection end after the last parcel, without waiting.
    fn close(&mut self);
}

/// What was sent to a peer: the last frame of each run, of the latest [`RUNS_MAX`]. Masks are drawn for a run, a node and a
/// tile once, so that nothing may be sent under one position twice.
#[derive(Default)]
struct Sent(BTreeMap<u64, (Position, Kind)>);

impl Sent {
    /// Whether a frame follows all of its run, of which it then is the last one, or begins a run after all others.
    fn follows(&mut self, position: Position, kind: Kind) -> bool {
        let follows = match self.0.get(&position.run) {
            Some(before) => *before < (position, kind),
            None => self.0.last_key_value().is_none_or(|(latest, _)| *latest < position.run),
        };
        if follows {
            self.0.insert(position.run, (position, kind));
            if self.0.len() > RUNS_MAX {
                self.0.pop_first();
            }
        }
        follows
    }
}

/// One party's end of a session: see [`Transport`]. Made by [`super::in_process`] or
/// [`super::tls`].
pub struct Mesh {
    me: Party,
    limits: Limits,
    mailbox: Arc<Mailbox>,
    counters: Arc<Counters>,
    outboxes: Vec<Option<Box<dyn Outbox>>>,
    sent: Vec<Sent>,
    online: Rounds,
    offline: Rounds,
    line: Option<Line>,
    pub(super) session: SessionId,
    pub(super) keys: Vec<Option<Key>>,
    over: Option<Error>,
}

impl Mesh {
    /// A mesh whose session is not agreed yet. `outboxes` has one entry for each party, none at
    /// `me`.
    pub(super) fn new(
        me: Party,
        outboxes: Vec<Option<Box<dyn Outbox>>>,
        mailbox: Arc<Mailbox>,
        counters: Arc<Counters>,
        limits: Limits,
        shaping: Option<Shaping>,
    ) -> Self {
        Self {
            me,
            limits,
            mailbox,
            counters,
            sent: outboxes.iter().map(|_| Sent::default()).collect(),
            keys: vec![None; outboxes.len()],
            outboxes,
            online: Rounds::default(),
            offline: Rounds::default(),
            line: shaping.map(Line::new),
            session: SessionId([0; 32]),
            over: None,
        }
    }

    /// All other parties.
    pub fn peers(&self) -> Vec<Party> {
        let all = (0..self.parties()).map(Party);
        all.filter(|&party| party != self.me).collect()
    }

    fn check_peer(&self, peer: Party) -> Result<()> {
        if peer == self.me || peer.0 >= self.parties() {
            let (me, parties) = (self.me, self.parties());
            return Err(Error::NoSuchPeer { peer, me, parties });
        }
        Ok(())
    }

    fn check_alive(&self) -> Result<()> {
        match &self.over {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    /// Ends the session with `error` and tells the peers.
    pub(super) fn failed<T>(&mut self, error: Error) -> Result<T> {
        if self.over.is_none() {
            self.broadcast(&Control::Abort(error.abort_reason()));
            self.over = Some(error.clone());
        }
        Err(error)
    }

    fn broadcast(&mut self, control: &Control) {
        for peer in self.peers() {
            self.put_control(peer, control);
        }
    }

    pub(super) fn put_control(&mut self, to: Party, control: &Control) {
        let position = Position::new(0, 0);
        self.put(to, Frame { kind: Kind::Control, position, payload: control.encode() });
    }

    fn put(&mut self, to: Party, frame: Frame) {
        let header = Header { kind: frame.kind, position: frame.position, length: frame.payload.len() as u64 };
        let mut parcel = Parcel { header: header.encode(), kind: frame.kind, payload: frame.payload, departure: None };
        let bytes = parcel.bytes();
        let now = Instant::now();
        parcel.departure = self.line.as_mut().map(|line| line.depart(now, bytes));
        if let Some(Some(outbox)) = self.outboxes.get_mut(to.index()) {
            outbox.put(parcel);
        }
    }

    /// The control frame that must come next from `from`.
    pub(super) fn take_control(&mut self, from: Party) -> Result<Option<Control>> {
        let expected = Expected {
            kind: Kind::Control,
            position: Position::new(0, 0),
            length: Length::AtMost(super::control::CONTROL_BYTES_MAX),
        };
        let arrived = self.mailbox.take(from, &self.limits, &expected)?;
        arrived.header.check(from, &expected)?;
        Ok(Control::decode(&arrived.payload))
    }

    fn note_round(&mut self, kind: Kind, position: Position) {
        if kind.online() {
            self.online.note(position);
        } else {
            self.offline.note(position);
        }
    }

    fn try_send(&mut self, to: Party, frame: Frame) -> Result<()> {
        self.check_peer(to)?;
        let Frame { kind, position, .. } = frame;
        if kind == Kind::Control {
            return Err(Error::ControlFrame);
        }
        if let Some(error) = self.mailbox.failure() {
            return Err(error);
        }
        let (bytes, limit) = (frame.payload.len() as u64, self.limits.frame_bytes_max.min(LENGTH_MAX));
        if bytes > limit {
            return Err(Error::TooLong { peer: to, direction: "to", bytes, limit });
        }
        if bytes == 0 {
            return Ok(());
        }
        if !self.sent[to.index()].follows(position, kind) {
            return Err(Error::OutOfOrder { peer: to, kind, position });
        }
        self.note_round(kind, position);
        self.put(to, frame);
        Ok(())
    }

    fn try_receive(&mut self, from: Party, expected: Expected) -> Result<Vec<u8>> {
        self.check_peer(from)?;
        if expected.kind == Kind::Control {
            return Err(Error::ControlFrame);
        }
        if expected.length == Length::Exactly(0) {
            return Ok(Vec::new());
        }
        let arrived = self.mailbox.take(from, &self.limits, &expected)?;
        arrived.header.check(from, &expected)?;
        self.note_round(expected.kind, expected.position);
        Ok(arrived.payload)
    }

    fn try_traffic(&mut self) -> Result<Traffic> {
        let limit = self.limits.receive;
        for outbox in self.outboxes.iter_mut().flatten() {
            if !outbox.drain(limit) {
                let error = self.mailbox.failure();
                return Err(error.unwrap_or(Error::NotTaken { limit }));
            }
        }
        Ok(self.counters.snapshot(&self.online, &self.offline))
    }

    fn try_finish(&mut self) -> Result<Traffic> {
        self.broadcast(&Control::Finished);
        self.mailbox.all_finished(&self.peers(), &self.limits)?;
        self.try_traffic()
    }
}

impl Transport for Mesh {
    fn parties(&self) -> u8 {
        debug_assert!(self.outboxes.len() <= usize::from(PARTIES_MAX));
        self.outboxes.len() as u8
    }

    fn me(&self) -> Party {
        self.me
    }

    fn session(&self) -> &SessionId {
        &self.session
    }

    fn pair_key(&self, peer: Party) -> Result<&Key> {
        self.check_peer(peer)?;
        let key = self.keys.get(peer.index()).and_then(Option::as_ref);
        key.ok_or(Error::NoSuchPeer { peer, me: self.me, parties: self.parties() })
    }

    fn send(&mut self, to: Party, frame: Frame) -> Result<()> {
        self.check_alive()?;
        self.try_send(to, frame).or_else(|error| self.failed(error))
    }

    fn receive(&mut self, from: Party, expected: Expected) -> Result<Vec<u8>> {
        self.check_alive()?;
        self.try_receive(from, expected).or_else(|error| self.failed(error))
    }

    fn traffic(&mut self) -> Result<Traffic> {
        self.check_alive()?;
        self.try_traffic().or_else(|error| self.failed(error))
    }

    fn abort(&mut self, reason: AbortReason) {
        if self.over.is_none() {
            self.broadcast(&Control::Abort(reason));
            self.over = Some(Error::Stopped(reason));
        }
    }

    fn finish(&mut self) -> Result<Traffic> {
        self.check_alive()?;
        let traffic = self.try_finish().or_else(|error| self.failed(error))?;
        self.over = Some(Error::Stopped(AbortReason::Finished));
        Ok(traffic)
    }
}

impl Drop for Mesh {
    fn drop(&mut self) {
        self.abort(AbortReason::LocalFailure);
        for outbox in self.outboxes.iter_mut().flatten() {
            outbox.close();
        }
    }
}

impl fmt::Debug for Mesh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { me, session, over, .. } = self;
        write!(f, "Mesh({me} of {} in session {session}, over: {over:?})", self.parties())
    }
}
