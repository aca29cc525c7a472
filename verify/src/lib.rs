//! The checker: proves, for every representable input of a window and every way a protocol may round, how far a
//! program can be from its function, and that nothing the output depends on leaves its ring.
//!
//! [`check`](check()) is the only way to a [`Certified`] entry. There is no floating point, no foreign code, no
//! thread and no search here. What is trusted: this crate, the `catalogs` modules it imports (ring, lemma, program,
//! evaluator, function definitions, text), the integers of `dashu`, BLAKE3, and the compiler.
//!
//! Reading order: [`mod@reference`], [`tail`], [`constants`] (the function); [`polynomial`], [`model`], [`walk`] (the
//! program); [`examine`], [`certificate`], `check`; then [`compose`].

#![forbid(unsafe_code)]

pub mod certificate;
mod certified;
mod check;
mod coarse;
pub mod compose;
pub mod constants;
pub mod examine;
mod integer;
pub mod model;
pub mod polynomial;
pub mod reference;
mod rejection;
pub mod tail;
pub mod walk;

pub use certificate::{Certificate, PieceProof, Witness};
pub use certified::Certified;
pub use check::{MAX_WORK, check, check_bytes, check_texts};
pub use rejection::Rejection;
