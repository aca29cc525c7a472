//! The one generator of the project: ChaCha12 under 256-bit keys, addressed by label and lane.
//!
//! Establishes: two parties that hold the same [`Key`] obtain the same masks by naming the same
//! [`Label`], at any lane and in any order; and two different labels never share a word of
//! key stream. The second half is a statement about an encoding, not about luck:
//!
//! 1. *(pair key, session, run)* become one ChaCha key by BLAKE3 in its key-derivation mode, over
//!    fields of fixed width. Distinct triples give independent keys as long as BLAKE3 is
//!    collision resistant.
//! 2. *(node, tile, roles, step, draw, bits)* are packed without loss into the 96-bit nonce
//!    (table in [`Label`]); a field that does not fit is an error, never a truncation.
//! 3. The lane is the position in the stream: lane `l` of a stream of width `b` is the `l`-th
//!    little-endian word of 8, 16, 32 or 64 bits, whichever is the least that holds `b`, reduced
//!    modulo 2^b. A lane beyond the 32-bit block counter is an error.
//!
//! Assumes: a label is used for one draw only. Two draws of one operation that share a label let a
//! party test candidate secrets, so draws and roles are types of their own and every draw of a
//! protocol has its own [`Draw`].
//!
//! Source: ChaCha with the state layout of RFC 8439 (32-bit counter, 96-bit nonce) and 12 rounds.

mod generator;
mod key;
mod label;
#[cfg(target_arch = "x86_64")]
mod wide;

pub use generator::Generator;
pub use key::{Key, SessionId};
pub use label::{Draw, Label, NONCE_BYTES, Roles};

/// Why random values could not be drawn.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The operating system has no random bytes to give.
    #[error("the operating system's random generator failed: {0}")]
    OperatingSystem(String),
    /// A number of roles that the label has no room for.
    #[error("roles {0} do not fit a label, use a number below {limit}", limit = Roles::LIMIT)]
    Roles(u8),
    /// A number of a draw that the label has no room for.
    #[error("draw {0} does not fit a label, use a number below {limit}", limit = Draw::LIMIT)]
    Draw(u16),
    /// A width that no ring has.
    #[error("a stream of {0} bits does not exist, use 1 to 64")]
    Width(u8),
    /// The lanes asked for lie beyond the end of the stream.
    #[error("lanes {first} to {first} + {count} lie beyond the {limit} lanes of one stream, use smaller tiles")]
    Exhausted {
        /// First lane asked for.
        first: u64,
        /// Number of lanes asked for.
        count: u64,
        /// Number of lanes that a stream of this width has.
        limit: u64,
    },
}
