//! Why a certificate was rejected: the obligation, the piece, and both numbers.

use crate::reference::Unbounded;
use catalogs::{Digest, ParseError};

/// Why a certificate does not prove its entry.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Rejection {
    /// The certificate cannot be read.
    #[error("the certificate cannot be read: {0}")]
    Certificate(ParseError),
    /// The entry cannot be read.
    #[error("the entry cannot be read: {0}")]
    Entry(ParseError),
    /// The certificate is about another entry.
    #[error("the certificate is for entry {named}, this is entry {found}")]
    Digest {
        /// What the certificate names.
        named: Digest,
        /// What the entry's text gives.
        found: Digest,
    },
    /// The claim is malformed.
    #[error("the claim is malformed: {0}")]
    Claim(String),
    /// The pieces do not tile the window.
    #[error("the pieces do not tile the window: a piece should start at {expected}, the next one starts at {found}")]
    Tiling {
        /// Where the next piece has to start (one past the window's end after the last).
        expected: i128,
        /// Where it starts.
        found: i128,
    },
    /// A piece's parameters are out of the checker's limits.
    #[error("piece [{low}, {high}]: {reason}")]
    Piece {
        /// The piece's least input.
        low: i64,
        /// The piece's greatest input.
        high: i64,
        /// What is wrong.
        reason: String,
    },
    /// The certificate is too expensive to check.
    #[error("the pieces up to the one at {low} cost more than {limit} multiplications to check; use fewer pieces")]
    Work {
        /// The limit.
        limit: u64,
        /// Where it was exceeded.
        low: i64,
    },
    /// The function has no enclosure over a piece.
    #[error("piece [{low}, {high}]: no enclosure of the function: {reason}")]
    Function {
        /// The piece's least input.
        low: i64,
        /// The piece's greatest input.
        high: i64,
        /// Why.
        reason: Unbounded,
    },
    /// A value that the output depends on may leave the window of its lemma, or its ring.
    #[error("piece [{low}, {high}]: v{operation} may be {least} to {greatest}, allowed is {limits}")]
    Range {
        /// The piece's least input.
        low: i64,
        /// The piece's greatest input.
        high: i64,
        /// The operation whose operand, or output, is meant.
        operation: usize,
        /// Proved lower bound.
        least: String,
        /// Proved upper bound.
        greatest: String,
        /// What is allowed.
        limits: String,
    },
    /// The claimed bound is not reached.
    #[error("piece [{low}, {high}]: the error may reach {found} units of 2^-{scale}, the claim allows {allowed}")]
    Error {
        /// The piece's least input.
        low: i64,
        /// The piece's greatest input.
        high: i64,
        /// The proved upper bound, in output units, rounded up.
        found: String,
        /// The allowance, in output units, rounded down.
        allowed: String,
        /// The output's fraction bits.
        scale: u8,
    },
    /// A number in the certificate is smaller than what the checker finds.
    #[error("piece [{low}, {high}]: the certificate states {stated} for the {part} part, the checker finds more")]
    Part {
        /// The piece's least input.
        low: i64,
        /// The piece's greatest input.
        high: i64,
        /// Which part.
        part: &'static str,
        /// The stated bound.
        stated: String,
    },
    /// The stated range of a value is too small.
    #[error("v{operation} may be {least} to {greatest}, the certificate states {stated}")]
    StatedRange {
        /// Which value.
        operation: usize,
        /// Proved lower bound.
        least: String,
        /// Proved upper bound.
        greatest: String,
        /// What the certificate states.
        stated: String,
    },
    /// The witness does not show what the certificate says.
    #[error("the witness at input {input}: {reason}")]
    Witness {
        /// The witness's input.
        input: i64,
        /// What is wrong.
        reason: String,
    },
}
