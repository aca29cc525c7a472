//! Frames and their header of fixed size.

use std::fmt;

use super::{Error, Party, Result};

/// Bytes of a frame's header, which every non-empty frame has:
/// magic `CHB` (3), kind (1), round (4), run (8), length of the payload (6), part (2); little-endian.
pub const HEADER_BYTES: usize = 24;

const MAGIC: [u8; 3] = *b"CHB";
/// The longest payload that a header can announce.
pub(super) const LENGTH_MAX: u64 = (1 << 48) - 1;

/// What a frame carries. Decides on its own how its bytes are accounted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The transport's own: greeting, confirmation, abort, end.
    Control,
    /// Sharing of a model's parameters, once per session.
    Parameters,
    /// Correlated randomness made before the input is known.
    Preprocessing,
    /// Sharing of an input.
    Share,
    /// Values masked by a fresh stream: the messages of the protocol.
    Masked,
    /// Shares of an output opened to its owner.
    Opening,
}

impl Kind {
    /// All kinds, in the order of their numbers on the wire.
    pub const ALL: [Self; 6] =
        [Self::Control, Self::Parameters, Self::Preprocessing, Self::Share, Self::Masked, Self::Opening];

    /// Whether frames of this kind belong to a run proper: what the cost model predicts.
    pub fn online(self) -> bool {
        matches!(self, Self::Share | Self::Masked | Self::Opening)
    }

    pub(super) fn number(self) -> u8 {
        match self {
            Self::Control => 0,
            Self::Parameters => 1,
            Self::Preprocessing => 2,
            Self::Share => 3,
            Self::Masked => 4,
            Self::Opening => 5,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Control => "control",
            Self::Parameters => "parameters",
            Self::Preprocessing => "preprocessing",
            Self::Share => "share",
            Self::Masked => "masked",
            Self::Opening => "opening",
        })
    }
}

/// When in a session a frame belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// The run within the session.
    pub run: u64,
    /// The round within the run.
    pub round: u32,
    /// The part of the round's messages.
    pub part: u16,
}

impl Position {
    /// The first part of a round, or the only one.
    pub const fn new(run: u64, round: u32) -> Position {
        Position { run, round, part: 0 }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "run {} round {}", self.run, self.round)?;
        if self.part > 0 { write!(f, " part {}", self.part) } else { Ok(()) }
    }
}

/// All that goes to one peer in one part of a round.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// What it carries.
    pub kind: Kind,
    /// When.
    pub position: Position,
    /// The bytes. Empty: nothing is sent, not even a header.
    pub payload: Vec<u8>,
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, position, payload } = self;
        write!(f, "Frame({kind}, {position}, {} bytes)", payload.len())
    }
}

/// How long an expected payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// This many bytes.
    Exactly(u64),
    /// Up to this many bytes, at least one.
    AtMost(u64),
}

/// What the next frame of a peer must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Its kind.
    pub kind: Kind,
    /// Its run, round and part.
    pub position: Position,
    /// Its length.
    pub length: Length,
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a frame of kind {} in {}", self.kind, self.position)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) position: Position,
    pub(super) length: u64,
}

impl Header {
    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..3].copy_from_slice(&MAGIC);
        bytes[3] = self.kind.number();
        bytes[4..8].copy_from_slice(&self.position.round.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.position.run.to_le_bytes());
        bytes[16..22].copy_from_slice(&self.length.to_le_bytes()[..6]);
        bytes[22..].copy_from_slice(&self.position.part.to_le_bytes());
        bytes
    }

    /// The header that `peer` sent. Refuses another magic, an unknown kind, an empty payload, and
    /// one longer than `limit`, before a byte of the payload is stored.
    pub(super) fn decode(bytes: &[u8; HEADER_BYTES], peer: Party, limit: u64) -> Result<Self> {
        let malformed = |reason: String| Error::Malformed { peer, reason };
        let [m0, m1, m2, kind, r0, r1, r2, r3, rest @ ..] = bytes;
        if [*m0, *m1, *m2] != MAGIC {
            return Err(malformed("it does not start like a frame".into()));
        }
        let Some(&kind) = Kind::ALL.get(usize::from(*kind)) else {
            return Err(malformed(format!("frames of kind {kind} do not exist")));
        };
        let word = |from: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&rest[from..from + 8]);
            u64::from_le_bytes(word)
        };
        let round = u32::from_le_bytes([*r0, *r1, *r2, *r3]);
        let (length, part) = (word(8) & LENGTH_MAX, (word(8) >> 48) as u16);
        let position = Position { run: word(0), round, part };
        if length == 0 {
            return Err(malformed("it has no payload".into()));
        }
        if length > limit {
            return Err(Error::TooLong { peer, direction: "from", bytes: length, limit });
        }
        Ok(Self { kind, position, length })
    }

    pub(super) fn check(&self, peer: Party, expected: &Expected) -> Result<()> {
        if self.kind != expected.kind {
            let (expected, found) = (expected.kind, self.kind);
            return Err(Error::WrongKind { peer, expected, found });
        }
        if self.position != expected.position {
            let (expected, found) = (expected.position, self.position);
            return Err(Error::WrongPosition { peer, expected, found });
        }
        let found = self.length;
        match expected.length {
            Length::Exactly(expected) if found != expected => Err(Error::WrongLength { peer, expected, found }),
            Length::AtMost(limit) if found > limit => {
                Err(Error::TooLong { peer, direction: "from", bytes: found, limit })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header {
        kind: Kind::Masked,
        position: Position { run: 0x0102_0304_0506_0708, round: 0x1112_1314, part: 0x2122 },
        length: 1000,
    };

    #[test]
    fn malformed_headers_are_refused() {
        let good = HEADER.encode();
        assert_eq!(Header::decode(&good, Party(1), 1000), Ok(HEADER));
        for index in [0, 1, 2] {
            let mut bytes = good;
            bytes[index] ^= 1;
            let refused = Header::decode(&bytes, Party(1), 1000);
            assert!(matches!(refused, Err(Error::Malformed { .. })), "{refused:?}");
        }
        let mut unknown = good;
        unknown[3] = 6;
        let mut empty = good;
        empty[16..22].fill(0);
        for bytes in [unknown, empty] {
            let refused = Header::decode(&bytes, Party(1), 1000);
            assert!(matches!(refused, Err(Error::Malformed { .. })), "{refused:?}");
        }
        assert_eq!(
            Header::decode(&good, Party(1), 999).unwrap_err().to_string(),
            "a frame of 1000 bytes from party 1 exceeds the limit of 999 bytes"
        );
    }

    #[test]
    fn headers_are_read_back() {
        for kind in Kind::ALL {
            for (run, round, part, length) in [(0, 0, 0, 1), (u64::MAX, u32::MAX, u16::MAX, LENGTH_MAX), (1, 2, 3, 4)] {
                let position = Position { run, round, part };
                let header = Header { kind, position, length };
                assert_eq!(Header::decode(&header.encode(), Party(0), u64::MAX), Ok(header));
            }
        }
    }

    #[test]
    fn headers_are_compared_with_what_is_expected() {
        let expected = Expected { kind: HEADER.kind, position: HEADER.position, length: Length::Exactly(1000) };
        assert_eq!(HEADER.check(Party(2), &expected), Ok(()));
        let at_most = |limit| Expected { length: Length::AtMost(limit), ..expected };
        assert_eq!(HEADER.check(Party(2), &at_most(1000)), Ok(()));
        let refusals = [
            (at_most(999), "a frame of 1000 bytes from party 2 exceeds the limit of 999 bytes"),
            (
                Expected { length: Length::Exactly(1001), ..expected },
                "party 2 sent 1000 bytes where 1001 bytes were expected",
            ),
            (
                Expected { kind: Kind::Opening, ..expected },
                "party 2 sent a frame of kind masked where kind opening was expected",
            ),
            (
                Expected { position: Position { run: 1, round: 2, part: 3 }, ..expected },
                "party 2 sent a frame of run 72623859790382856 round 286397204 part 8482 where run 1 round 2 part 3 was \
                 expected",
            ),
        ];
        for (expected, message) in refusals {
            assert_eq!(HEADER.check(Party(2), &expected).unwrap_err().to_string(), message);
        }
    }
}
