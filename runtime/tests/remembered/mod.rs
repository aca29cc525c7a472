//! What a party sent, for whoever compares it. The crate's own tests and those of its public face both have it: each names
//! the crate's modules beside it.

use super::random::{Key, SessionId};
use super::transport::{AbortReason, Expected, Frame, Party, Result, Traffic, Transport};

/// A transport that remembers what was sent.
pub struct Remembered<T> {
    pub inner: T,
    pub sent: Vec<(Party, Frame)>,
}

impl<T: Transport> Transport for Remembered<T> {
    fn parties(&self) -> u8 {
        self.inner.parties()
    }

    fn me(&self) -> Party {
        self.inner.me()
    }

    fn session(&self) -> &SessionId {
        self.inner.session()
    }

    fn pair_key(&self, peer: Party) -> Result<&Key> {
        self.inner.pair_key(peer)
    }

    fn send(&mut self, to: Party, frame: Frame) -> Result<()> {
        self.sent.push((to, frame.clone()));
        self.inner.send(to, frame)
    }

    fn receive(&mut self, from: Party, expected: Expected) -> Result<Vec<u8>> {
        self.inner.receive(from, expected)
    }

    fn traffic(&mut self) -> Result<Traffic> {
        self.inner.traffic()
    }

    fn abort(&mut self, reason: AbortReason) {
        self.inner.abort(reason);
    }

    fn finish(&mut self) -> Result<Traffic> {
        self.inner.finish()
    }
}
