//! Counters of what really travelled.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicU64, Ordering},
};

use super::{Kind, Party, Position, RUNS_MAX};

/// Frames, and bytes of their headers and payloads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Number of frames.
    pub frames: u64,
    /// Bytes of headers and payloads, before TLS.
    pub bytes: u64,
}

impl std::ops::AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.frames += other.frames;
        self.bytes += other.bytes;
    }
}

impl std::iter::Sum for Count {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |mut sum, count| {
            sum += count;
            sum
        })
    }
}

/// What one party has sent and received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traffic {
    sent: Vec<[Count; Kind::ALL.len()]>,
    received: Vec<[Count; Kind::ALL.len()]>,
    /// Distinct rounds of all runs in which this party sent or received a frame of an online kind.
    pub rounds: u64,
    /// Distinct rounds of parameters and preprocessing.
    pub offline_rounds: u64,
    /// Bytes given to TCP: frames, TLS records and handshakes. In process 0.
    pub wire_bytes_sent: u64,
    /// Bytes taken from TCP. In process 0.
    pub wire_bytes_received: u64,
}

impl Traffic {
    /// Frames of one kind sent to one peer.
    pub fn sent_to(&self, peer: Party, kind: Kind) -> Count {
        pick(&self.sent, peer, kind)
    }

    /// Frames of one kind received from one peer.
    pub fn received_from(&self, peer: Party, kind: Kind) -> Count {
        pick(&self.received, peer, kind)
    }

    /// Frames of one kind sent to all peers.
    pub fn sent(&self, kind: Kind) -> Count {
        self.sent.iter().map(|kinds| kinds[index(kind)]).sum()
    }

    /// Frames of one kind received from all peers.
    pub fn received(&self, kind: Kind) -> Count {
        self.received.iter().map(|kinds| kinds[index(kind)]).sum()
    }

    /// Frames of all online kinds sent to all peers: what the cost model predicts.
    pub fn online_sent(&self) -> Count {
        let online = Kind::ALL.into_iter().filter(|kind| kind.online());
        online.map(|kind| self.sent(kind)).sum()
    }

    /// Frames of all online kinds received from all peers.
    pub fn online_received(&self) -> Count {
        let online = Kind::ALL.into_iter().filter(|kind| kind.online());
        online.map(|kind| self.received(kind)).sum()
    }
}

fn index(kind: Kind) -> usize {
    usize::from(kind.number())
}

fn pick(counts: &[[Count; Kind::ALL.len()]], peer: Party, kind: Kind) -> Count {
    let kinds = counts.get(peer.index());
    kinds.map_or(Count::default(), |kinds| kinds[index(kind)])
}

#[derive(Debug, Default)]
struct Cell {
    frames: AtomicU64,
    bytes: AtomicU64,
}

impl Cell {
    fn read(&self) -> Count {
        Count { frames: self.frames.load(Ordering::Acquire), bytes: self.bytes.load(Ordering::Acquire) }
    }
}

/// The counters that the threads of one party's connections share.
#[derive(Debug)]
pub(super) struct Counters {
    sent: Vec<[Cell; Kind::ALL.len()]>,
    received: Vec<[Cell; Kind::ALL.len()]>,
    wire_sent: AtomicU64,
    wire_received: AtomicU64,
}

impl Counters {
    pub(super) fn new(parties: u8) -> Self {
        let cells = || (0..parties).map(|_| Default::default()).collect();
        Self { sent: cells(), received: cells(), wire_sent: AtomicU64::new(0), wire_received: AtomicU64::new(0) }
    }

    pub(super) fn bytes_sent(&self, peer: Party, kind: Kind, bytes: u64) {
        self.sent[peer.index()][index(kind)].bytes.fetch_add(bytes, Ordering::AcqRel);
    }

    pub(super) fn frame_sent(&self, peer: Party, kind: Kind) {
        self.sent[peer.index()][index(kind)].frames.fetch_add(1, Ordering::AcqRel);
    }

    /// Bytes of all kinds handed to the connection to `peer` so far.
    pub(super) fn total_sent(&self, peer: Party) -> u64 {
        self.sent[peer.index()].iter().map(|cell| cell.read().bytes).sum()
    }

    pub(super) fn bytes_received(&self, peer: Party, kind: Kind, bytes: u64) {
        self.received[peer.index()][index(kind)].bytes.fetch_add(bytes, Ordering::AcqRel);
    }

    pub(super) fn frame_received(&self, peer: Party, kind: Kind) {
        self.received[peer.index()][index(kind)].frames.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn wire_sent(&self, bytes: u64) {
        self.wire_sent.fetch_add(bytes, Ordering::AcqRel);
    }

    pub(super) fn wire_received(&self, bytes: u64) {
        self.wire_received.fetch_add(bytes, Ordering::AcqRel);
    }

    pub(super) fn snapshot(&self, online: &Rounds, offline: &Rounds) -> Traffic {
        let read =
            |cells: &Vec<[Cell; Kind::ALL.len()]>| cells.iter().map(|kinds| kinds.each_ref().map(Cell::read)).collect();
        Traffic {
            sent: read(&self.sent),
            received: read(&self.received),
            rounds: online.total(),
            offline_rounds: offline.total(),
            wire_bytes_sent: self.wire_sent.load(Ordering::Acquire),
            wire_bytes_received: self.wire_received.load(Ordering::Acquire),
        }
    }
}

/// Counts distinct rounds. Remembers those of the latest runs only; a round of an earlier run is counted anew.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    seen: BTreeMap<u64, BTreeSet<u32>>,
    before: u64,
}

impl Rounds {
    pub(super) fn note(&mut self, position: Position) {
        self.seen.entry(position.run).or_default().insert(position.round);
        if self.seen.len() > RUNS_MAX
            && let Some((_, rounds)) = self.seen.pop_first()
        {
            self.before += rounds.len() as u64;
        }
    }

    fn total(&self) -> u64 {
        self.before + self.seen.values().map(|rounds| rounds.len() as u64).sum::<u64>()
    }
}
