//! Frames between parties: what travels, how it is checked, counted, bounded and protected.
//!
//! A session of *n* parties is a full mesh. In every part of a round a party gives [`Transport::send`] one
//! payload for each peer (an empty one is no frame at all), and calls [`Transport::receive`]
//! for each peer from which the schedule expects something. Both ends know kind, run, round, part and
//! length of every frame beforehand, so a header is never trusted, only compared.
//!
//! Two carriers stand behind the one type [`Mesh`]: [`in_process`] (channels between threads, for
//! tests) and [`tls`] (TCP with mutual TLS 1.3). Everything below except encryption is the same
//! code for both.
//!
//! # What is established
//! - **Who.** Over TCP a peer is exactly the certificate of the configuration, byte for byte; no
//!   authority, no host name, no expiry, no resumption, no early data. A stranger on the port is
//!   refused without harm to the session. Between two parties there is one connection: *the lower
//!   index listens, the higher connects*. A second connection of the same party is an error, a lost
//!   one is never repaired: a reconnect aborts.
//! - **What about.** Before the first payload the parties compare protocol version, session name,
//!   roles, plan digest and all certificates, and make the session id from a contribution of 256
//!   bits of each party. Nobody can replay a session, and a party with other terms is named.
//! - **Pair keys.** k_ij = HKDF-SHA-256(salt: session id, secret: TLS exporter of the connection
//!   between i and j, info: purpose, i, j). The session id hashes terms and identities, so the key
//!   is bound to them. Masks therefore never depend on anything that crossed the network unsealed.
//! - **Bounded time.** Connecting, each receive, each stalled write and closing have deadlines. The
//!   first failure of a party is sent to the others as an abort with a fixed, non-secret reason and
//!   they stop at their next call; a killed party is noticed by its closed connection.
//! - **Counts.** [`Traffic`] is counted where bytes are handed to or taken from the connection,
//!   never from a prediction. Counted are headers and payloads before TLS, by peer and kind, and
//!   beside them the bytes of TLS on the wire.
//!
//! # What is not
//! The parties are semi-honest: a party that lies about its digest consistently, or that sends a
//! wrong value in a well-formed frame, is not caught here. Sizes and times of frames are visible to
//! who watches the network; they depend on the plan and the announced runs only. Fingerprints and digests appear in
//! messages, keys and payloads never do.

use std::fmt;

mod agreement;
mod control;
mod error;
mod frame;
pub mod in_process;
mod mailbox;
mod mesh;
mod shaping;
mod side_by_side;
pub mod tls;
mod traffic;

pub use agreement::{PROTOCOL_VERSION, Terms};
pub use control::AbortReason;
pub use error::{Error, Result};
pub use frame::{Expected, Frame, HEADER_BYTES, Kind, Length, Position};
pub use mesh::{Limits, Mesh};
pub use shaping::Shaping;
pub use side_by_side::{RUNS_MAX, SideBySide};
pub use traffic::{Count, Traffic};

use serde::{Deserialize, Serialize};

use crate::random::{Key, SessionId};

/// Most parties of a session.
pub const PARTIES_MAX: u8 = 16;

/// The index of a party, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Party(pub u8);

impl Party {
    /// The index as a position in a list.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "party {}", self.0)
    }
}

/// A digest of 256 bits, printed in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// One party's end of a session.
///
/// After an error every further call returns the same error: the session is over.
pub trait Transport: Send {
    /// Number of parties.
    fn parties(&self) -> u8;

    /// The party at this end.
    fn me(&self) -> Party;

    /// The session's name, agreed by all parties and fresh.
    fn session(&self) -> &SessionId;

    /// The secret that this party shares with `peer` and with nobody else.
    fn pair_key(&self, peer: Party) -> Result<&Key>;

    /// Hands a frame over for sending and returns at once. A frame without payload is not sent.
    ///
    /// Frames of one run to one peer must advance: one of the same round, part and kind as one already
    /// sent, or an earlier one, is [`Error::OutOfOrder`]; so is one of a run that begins, towards this
    /// peer, after a later one has, or was not among the latest [`RUNS_MAX`].
    fn send(&mut self, to: Party, frame: Frame) -> Result<()>;

    /// The payload of the next frame from `from`, which must be as `expected`. Where nothing is
    /// expected (a length of exactly 0), returns at once.
    ///
    /// Waits at most [`Limits::receive`] without a byte from that peer, and at most
    /// [`Limits::PATIENCE`] times as long in all.
    fn receive(&mut self, from: Party, expected: Expected) -> Result<Vec<u8>>;

    /// What has travelled so far. Waits (bounded) until everything given to `send` has been handed
    /// to the connections, so that the figures are complete.
    fn traffic(&mut self) -> Result<Traffic>;

    /// Tells the others to stop, and why. Later calls return [`Error::Stopped`].
    fn abort(&mut self, reason: AbortReason);

    /// Ends the session in order: says so to all, waits (bounded) until all have said so, and
    /// refuses frames that nobody read. The traffic is the final one.
    ///
    /// Dropping a transport without this aborts the session of the others.
    fn finish(&mut self) -> Result<Traffic>;
}

#[cfg(test)]
mod tests;
