//! Everything that can end a session.

use std::time::Duration;

use super::{AbortReason, Digest, Kind, Party, Position};

/// Result of a transport operation.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a session could not start or had to stop. Names peers, addresses, digests and numbers, never
/// a payload or a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another program listens where this party should.
    #[error("address {address} is already in use, stop the program that listens there or choose another address")]
    PortInUse {
        /// The address of this party.
        address: String,
    },
    /// The listening address cannot be used for another reason.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// The address of this party.
        address: String,
        /// What the operating system says.
        reason: String,
    },
    /// A peer with a lower index does not answer at its address.
    #[error(
        "{peer} could not be reached at {address} within {} s: {reason}; check that it was started, and its address",
        .limit.as_secs_f64()
    )]
    Unreachable {
        /// The peer.
        peer: Party,
        /// Its address.
        address: String,
        /// The limit for connecting.
        limit: Duration,
        /// The last attempt's outcome.
        reason: String,
    },
    /// A peer with a higher index has not connected to this party.
    #[error(
        "{peer} did not connect to {address} within {} s{refused}; check that it was started and has this address",
        .limit.as_secs_f64()
    )]
    NeverCame {
        /// The peer.
        peer: Party,
        /// The address of this party.
        address: String,
        /// The limit for connecting.
        limit: Duration,
        /// Empty, or how many connections were refused, and the last reason.
        refused: String,
    },
    /// At a peer's address somebody else answers.
    #[error(
        "{peer} at {address} presented certificate {found}, but {expected} is configured: check the peer's certificate file"
    )]
    WrongCertificate {
        /// The peer.
        peer: Party,
        /// Its address.
        address: String,
        /// SHA-256 fingerprint of the configured certificate.
        expected: Digest,
        /// SHA-256 fingerprint of the certificate presented.
        found: Digest,
    },
    /// A peer refuses this party's certificate.
    #[error(
        "{peer} refused this party's certificate {own} ({alert}): check the certificate file it has for this party"
    )]
    CertificateRefused {
        /// The peer.
        peer: Party,
        /// SHA-256 fingerprint of this party's certificate.
        own: Digest,
        /// The TLS alert.
        alert: String,
    },
    /// The handshake failed otherwise.
    #[error("the TLS handshake with {peer} at {address} failed: {reason}")]
    Handshake {
        /// The peer.
        peer: Party,
        /// Its address.
        address: String,
        /// What went wrong.
        reason: String,
    },
    /// A peer connected a second time.
    #[error("{peer} connected twice, start all parties of the session anew")]
    Reconnected {
        /// The peer.
        peer: Party,
    },
    /// Indices, certificates or keys of this party's own configuration do not fit together.
    #[error("the configuration is inconsistent: {0}")]
    Configuration(String),
    /// A peer has other terms.
    #[error("{peer} disagrees about the {what}: {mine} here, {theirs} there; all parties need the same")]
    Differs {
        /// The peer.
        peer: Party,
        /// What is compared.
        what: &'static str,
        /// The value of this party.
        mine: String,
        /// The value of the peer.
        theirs: String,
    },
    /// A peer's connection ended before the session did.
    #[error("{peer} closed the connection in the middle of the session; see what it says, then start all parties anew")]
    Closed {
        /// The peer.
        peer: Party,
    },
    /// A peer's connection failed.
    #[error("the connection to {peer} failed: {reason}")]
    Lost {
        /// The peer.
        peer: Party,
        /// What the operating system or TLS says.
        reason: String,
    },
    /// Nothing came in time.
    #[error("{peer} sent nothing for {} s while {awaited} was expected", .limit.as_secs_f64())]
    Silent {
        /// The peer.
        peer: Party,
        /// The limit for receiving.
        limit: Duration,
        /// What was expected.
        awaited: String,
    },
    /// What was to be sent could not be handed over in time.
    #[error("the frames for the peers were not taken within {} s", .limit.as_secs_f64())]
    NotTaken {
        /// The limit.
        limit: Duration,
    },
    /// A peer told this party to stop.
    #[error("{peer} stopped the session: {reason}")]
    Aborted {
        /// The peer.
        peer: Party,
        /// Its reason.
        reason: AbortReason,
    },
    /// This party itself stopped or finished the session.
    #[error("the session is over: {0}")]
    Stopped(AbortReason),
    /// A peer finished although more was expected of it.
    #[error("{peer} finished the session while {awaited} was expected")]
    FinishedEarly {
        /// The peer.
        peer: Party,
        /// What was expected.
        awaited: String,
    },
    /// The session was to be finished with a frame unread.
    #[error("{peer} sent a frame of kind {kind} in {position} that this party never read")]
    Unread {
        /// The peer.
        peer: Party,
        /// Kind of the frame.
        kind: Kind,
        /// Run and round of the frame.
        position: Position,
    },
    /// A peer sent bytes that are no frame.
    #[error("{peer} sent a malformed frame: {reason}")]
    Malformed {
        /// The peer.
        peer: Party,
        /// What is wrong with it.
        reason: String,
    },
    /// A frame of the wrong kind.
    #[error("{peer} sent a frame of kind {found} where kind {expected} was expected")]
    WrongKind {
        /// The peer.
        peer: Party,
        /// Kind expected.
        expected: Kind,
        /// Kind received.
        found: Kind,
    },
    /// A frame of another run or round.
    #[error("{peer} sent a frame of {found} where {expected} was expected")]
    WrongPosition {
        /// The peer.
        peer: Party,
        /// Position expected.
        expected: Position,
        /// Position received.
        found: Position,
    },
    /// A frame of another length than agreed.
    #[error("{peer} sent {found} bytes where {expected} bytes were expected")]
    WrongLength {
        /// The peer.
        peer: Party,
        /// Bytes expected.
        expected: u64,
        /// Bytes received.
        found: u64,
    },
    /// A frame longer than allowed.
    #[error("a frame of {bytes} bytes {direction} {peer} exceeds the limit of {limit} bytes")]
    TooLong {
        /// The peer.
        peer: Party,
        /// `from` or `to`.
        direction: &'static str,
        /// Bytes announced.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// A frame was to be sent twice or too late.
    #[error("a frame of kind {kind} in {position} to {peer} does not follow the frames already sent")]
    OutOfOrder {
        /// The peer.
        peer: Party,
        /// Kind of the frame.
        kind: Kind,
        /// Position of the frame.
        position: Position,
    },
    /// Control frames are the transport's own.
    #[error("a control frame cannot be sent or expected by the session")]
    ControlFrame,
    /// There is no such peer.
    #[error("{peer} is no peer of {me} among {parties} parties")]
    NoSuchPeer {
        /// The party asked for.
        peer: Party,
        /// This party.
        me: Party,
        /// Number of parties.
        parties: u8,
    },
    /// The network to imitate is not described properly.
    #[error("network profile {name}: {reason}")]
    Shaping {
        /// Name or file of the profile.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A thread of the transport could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(String),
    /// Random bytes could not be had.
    #[error(transparent)]
    Random(#[from] crate::random::Error),
}

impl Error {
    /// What the other parties are told about this error. Who was told to stop may be heard before who stopped, so
    /// a reason that speaks of its sender is passed on with the sender's name.
    pub fn abort_reason(&self) -> AbortReason {
        match self {
            Self::Closed { peer } | Self::Lost { peer, .. } => AbortReason::PeerLost(*peer),
            Self::Silent { peer, .. } => AbortReason::PeerSilent(*peer),
            Self::Aborted { peer, reason: AbortReason::LocalFailure | AbortReason::Cancelled } => {
                AbortReason::PeerStopped(*peer)
            }
            Self::Aborted { reason, .. } | Self::Stopped(reason) => *reason,
            Self::Differs { peer, .. } => AbortReason::TermsDiffer(*peer),
            Self::FinishedEarly { peer, .. }
            | Self::Unread { peer, .. }
            | Self::Malformed { peer, .. }
            | Self::WrongKind { peer, .. }
            | Self::WrongPosition { peer, .. }
            | Self::WrongLength { peer, .. }
            | Self::TooLong { peer, direction: "from", .. } => AbortReason::PeerMisbehaved(*peer),
            _ => AbortReason::LocalFailure,
        }
    }
}
