//! Protocols as kernels: what each role computes and sends, for catalog programs and for the operations between them.

pub mod conformance;
pub mod local;
pub mod rss3;
#[cfg(test)]
mod views;

use crate::kernel::Refusal;
use crate::random;
use catalogs::protocol::Operation;
use catalogs::protocol::rss3::EXECUTED_BITS;
use catalogs::{Lemma, Ring};

/// Why an operation cannot be compiled or executed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    /// The protocol does not guarantee what a program needs.
    #[error(
        "operation {operation} needs '{lemma}', which the protocol does not offer; use a wider ring or a smaller shift"
    )]
    Lemma {
        /// The operation of the program.
        operation: usize,
        /// What it needs.
        lemma: Lemma,
    },
    /// A program in a ring that is wider than a machine word.
    #[error("it computes in ring {0}; this runtime executes rings of at most {EXECUTED_BITS} bits")]
    Ring(Ring),
    /// The protocol has no such operation.
    #[error("the protocol has no {0:?}; use a ring of at least 3 bits and a truncation that its lemmas cover")]
    Operation(Operation),
    /// The kernels failed their check: a defect of the compiler.
    #[error("the compiled kernels are refused: {0}")]
    Refused(#[from] Refusal),
    /// The generator could not draw.
    #[error("drawing masks failed: {0}")]
    Random(#[from] random::Error),
    /// A frame or an argument has the wrong size.
    #[error("{what} has {found} {unit}, {expected} are needed")]
    Size {
        /// What.
        what: &'static str,
        /// Its size.
        found: usize,
        /// The right size.
        expected: usize,
        /// Bytes, lanes or slots.
        unit: &'static str,
    },
    /// A real execution and the definition of a program's meaning differ.
    #[error("argument {argument}, operation {operation}: {reason}")]
    Conformance {
        /// The program's argument.
        argument: i128,
        /// The operation.
        operation: usize,
        /// What differs, with both numbers.
        reason: String,
    },
}
