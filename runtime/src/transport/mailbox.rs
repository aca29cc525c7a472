//! Where frames arrive: one queue for each peer, and the first failure of any.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use super::{
    Error, Expected, Kind, Limits, Party, Result,
    control::{CONTROL_BYTES_MAX, Control},
    frame::Header,
};

/// A frame with a good header, not yet compared with what is expected.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) header: Header,
    pub(super) payload: Vec<u8>,
    /// When an imitated network would have delivered it.
    pub(super) ready_at: Option<Instant>,
}

#[derive(Debug, Default)]
struct Peer {
    frames: VecDeque<Arrived>,
    /// Grows with every piece that arrives, so that a long frame is not taken for silence.
    progress: u64,
    finished: bool,
}

#[derive(Debug)]
struct State {
    peers: Vec<Peer>,
    failure: Option<Error>,
}

/// Written by whatever carries frames from the peers, read by the session's thread.
#[derive(Debug)]
pub(super) struct Mailbox {
    state: Mutex<State>,
    changed: Condvar,
}

impl Mailbox {
    pub(super) fn new(parties: u8) -> Self {
        let peers = (0..parties).map(|_| Peer::default()).collect();
        Self { state: Mutex::new(State { peers, failure: None }), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a frame: control frames act at once, others queue up.
    pub(super) fn arrive(&self, from: Party, frame: Arrived) {
        if frame.header.kind == Kind::Control {
            match Control::decode(&frame.payload) {
                Some(Control::Finished) => {
                    self.lock().peers[from.index()].finished = true;
                    self.changed.notify_all();
                    return;
                }
                Some(Control::Abort(reason)) => {
                    return self.fail(Error::Aborted { peer: from, reason });
                }
                Some(Control::Hello(_) | Control::Confirm(_)) => {}
                None => {
                    let reason = "its control code is unknown".into();
                    return self.fail(Error::Malformed { peer: from, reason });
                }
            }
        }
        self.lock().peers[from.index()].frames.push_back(frame);
        self.changed.notify_all();
    }

    /// Notes that bytes came from `from`.
    pub(super) fn progress(&self, from: Party) {
        let progress = &mut self.lock().peers[from.index()].progress;
        *progress = progress.wrapping_add(1);
    }

    /// Ends the session; the first failure stays.
    pub(super) fn fail(&self, error: Error) {
        self.lock().failure.get_or_insert(error);
        self.changed.notify_all();
    }

    /// The connection of a peer ended: in order if it had finished, a failure otherwise.
    pub(super) fn ended(&self, peer: Party, error: Error) {
        let mut state = self.lock();
        if !state.peers[peer.index()].finished {
            state.failure.get_or_insert(error);
        }
        self.changed.notify_all();
    }

    /// The failure so far, if any.
    pub(super) fn failure(&self) -> Option<Error> {
        self.lock().failure.clone()
    }

    /// The next frame of `from`, in bounded time. What has arrived is given out even after a
    /// failure, so that a peer's last words are heard.
    pub(super) fn take(&self, from: Party, limits: &Limits, expected: &Expected) -> Result<Arrived> {
        let mut patience = Patience::new(limits);
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            let peer = &mut state.peers[from.index()];
            patience.note(peer.progress, now);
            let mut wake_at = patience.deadline;
            match peer.frames.front().map(|frame| frame.ready_at) {
                Some(Some(ready_at)) if ready_at > now => wake_at = ready_at,
                Some(_) => {
                    if let Some(frame) = peer.frames.pop_front() {
                        return Ok(frame);
                    }
                }
                None if peer.finished => {
                    let awaited = expected.to_string();
                    return Err(Error::FinishedEarly { peer: from, awaited });
                }
                None => {
                    if let Some(error) = &state.failure {
                        return Err(error.clone());
                    }
                    if now >= patience.deadline {
                        let (limit, awaited) = (limits.receive, expected.to_string());
                        return Err(Error::Silent { peer: from, limit, awaited });
                    }
                }
            }
            state = self.wait(state, wake_at, now);
        }
    }

    /// Waits until all of `peers` have finished, and checks that nothing of them is unread.
    pub(super) fn all_finished(&self, peers: &[Party], limits: &Limits) -> Result<()> {
        for &peer in peers {
            let mut patience = Patience::new(limits);
            let mut state = self.lock();
            loop {
                let now = Instant::now();
                let from = &state.peers[peer.index()];
                patience.note(from.progress, now);
                if let Some(frame) = from.frames.front() {
                    let Header { kind, position, .. } = frame.header;
                    return Err(Error::Unread { peer, kind, position });
                }
                if from.finished {
                    break;
                }
                if let Some(error) = &state.failure {
                    return Err(error.clone());
                }
                if now >= patience.deadline {
                    let (limit, awaited) = (limits.receive, "the end of the session".into());
                    return Err(Error::Silent { peer, limit, awaited });
                }
                state = self.wait(state, patience.deadline, now);
            }
        }
        Ok(())
    }

    fn wait<'a>(&'a self, state: MutexGuard<'a, State>, until: Instant, now: Instant) -> MutexGuard<'a, State> {
        let waited = self.changed.wait_timeout(state, until.saturating_duration_since(now));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Longest payload that a frame of this kind may announce.
pub(super) fn payload_limit(kind_byte: u8, limits: &Limits) -> u64 {
    if kind_byte == Kind::Control.number() { CONTROL_BYTES_MAX } else { limits.frame_bytes_max }
}

/// A deadline that moves while bytes keep coming, though not for ever.
struct Patience {
    limits: Limits,
    progress: Option<u64>,
    deadline: Instant,
    last: Instant,
}

impl Patience {
    fn new(limits: &Limits) -> Self {
        let now = Instant::now();
        Self {
            limits: *limits,
            progress: None,
            deadline: now + limits.receive,
            last: now + limits.receive * Limits::PATIENCE,
        }
    }

    fn note(&mut self, progress: u64, now: Instant) {
        if self.progress.replace(progress) != Some(progress) {
            self.deadline = (now + self.limits.receive).min(self.last);
        }
    }
}
