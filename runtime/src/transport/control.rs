//! Control frames: greeting, confirmation, abort and orderly end.

use std::fmt;

use super::Party;

/// Why a party tells the others to stop. A fixed list, so that nothing secret can slip into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AbortReason {
    /// Something went wrong at the party itself; its own output says what.
    LocalFailure,
    /// The connection to a party ended or failed.
    PeerLost(Party),
    /// A party sent nothing in time.
    PeerSilent(Party),
    /// A party sent what it should not.
    PeerMisbehaved(Party),
    /// A party has other terms: version, session, roles, certificates or plan.
    TermsDiffer(Party),
    /// The party was asked to stop by its user.
    Cancelled,
    /// A party stopped the session for a reason of its own, and the news is passed on.
    PeerStopped(Party),
    /// The party has already finished.
    Finished,
}

impl fmt::Display for AbortReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LocalFailure => f.write_str("it failed, see its own output"),
            Self::PeerLost(peer) => write!(f, "the connection to {peer} was lost"),
            Self::PeerSilent(peer) => write!(f, "{peer} did not answer in time"),
            Self::PeerMisbehaved(peer) => write!(f, "{peer} sent something unexpected"),
            Self::TermsDiffer(peer) => {
                write!(f, "{peer} differs from another in the plan or in the configuration; see what they say")
            }
            Self::Cancelled => f.write_str("it was cancelled by its user"),
            Self::PeerStopped(peer) => write!(f, "{peer} stopped it; see what {peer} says"),
            Self::Finished => f.write_str("it has finished"),
        }
    }
}

/// The payload of a control frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Control {
    Hello(Vec<u8>),
    Confirm([u8; 32]),
    Abort(AbortReason),
    Finished,
}

/// Longest payload of a control frame in bytes.
pub(super) const CONTROL_BYTES_MAX: u64 = 4096;

const HELLO: u8 = 1;
const CONFIRM: u8 = 2;
const ABORT: u8 = 3;
const FINISHED: u8 = 4;

impl Control {
    pub(super) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Hello(hello) => [&[HELLO], hello.as_slice()].concat(),
            Self::Confirm(session) => [&[CONFIRM], session.as_slice()].concat(),
            Self::Abort(reason) => {
                let (code, party) = match *reason {
                    AbortReason::LocalFailure => (0, 0),
                    AbortReason::PeerLost(Party(party)) => (1, party),
                    AbortReason::PeerSilent(Party(party)) => (2, party),
                    AbortReason::PeerMisbehaved(Party(party)) => (3, party),
                    AbortReason::TermsDiffer(Party(party)) => (4, party),
                    AbortReason::Cancelled => (5, 0),
                    AbortReason::Finished => (6, 0),
                    AbortReason::PeerStopped(Party(party)) => (7, party),
                };
                vec![ABORT, code, party]
            }
            Self::Finished => vec![FINISHED],
        }
    }

    /// The control frame that these bytes are, if they are one.
    pub(super) fn decode(payload: &[u8]) -> Option<Self> {
        Some(match payload {
            [HELLO, hello @ ..] => Self::Hello(hello.to_vec()),
            [CONFIRM, session @ ..] => Self::Confirm(session.try_into().ok()?),
            [ABORT, code, party] => Self::Abort(match (code, Party(*party)) {
                (0, Party(0)) => AbortReason::LocalFailure,
                (1, party) => AbortReason::PeerLost(party),
                (2, party) => AbortReason::PeerSilent(party),
                (3, party) => AbortReason::PeerMisbehaved(party),
                (4, party) => AbortReason::TermsDiffer(party),
                (5, Party(0)) => AbortReason::Cancelled,
                (6, Party(0)) => AbortReason::Finished,
                (7, party) => AbortReason::PeerStopped(party),
                _ => return None,
            }),
            [FINISHED] => Self::Finished,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_control_frame_is_refused() {
        for bytes in [
            &[][..],
            &[0],
            &[5],
            &[ABORT],
            &[ABORT, 8, 0],
            &[ABORT, 0, 1],
            &[ABORT, 1, 1, 1],
            &[FINISHED, 0],
            &[CONFIRM, 1, 2],
        ] {
            assert_eq!(Control::decode(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn every_control_frame_is_read_back() {
        let reasons = [
            AbortReason::LocalFailure,
            AbortReason::PeerLost(Party(2)),
            AbortReason::PeerSilent(Party(1)),
            AbortReason::PeerMisbehaved(Party(9)),
            AbortReason::TermsDiffer(Party(0)),
            AbortReason::Cancelled,
            AbortReason::Finished,
            AbortReason::PeerStopped(Party(1)),
        ];
        let mut frames: Vec<Control> = reasons.map(Control::Abort).into();
        frames.extend([Control::Hello(vec![1, 2]), Control::Confirm([3; 32]), Control::Finished]);
        for frame in frames {
            assert_eq!(Control::decode(&frame.encode()), Some(frame));
        }
    }
}
