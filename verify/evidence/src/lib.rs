//! Evidence beside the checker: nothing here is trusted, and nothing here is needed to run.
//!
//! * [`interval`], [`series`], [`jet`], [`enclosure`]: rigorous enclosures of the catalog's functions, by MPFR with directed
//!   rounding, along two independent paths (closed forms, and the definition's [`catalogs::Expression`]).
//! * [`fixed`]: the same enclosures as integers over runs of consecutive inputs, cheap enough for millions of points.
//! * [`states`], [`mod@exhaust`]: every output that a program can give, for every input of a window and every choice
//!   that its lemmas leave open, against those enclosures: *witness ≤ exhaustive ≤ certified*.
//!   An exhaustion can be cut and resumed.
//! * [`mod@sample`]: the same at stratified samples of a window that is too large, and called a sample.
//! * [`mod@sandwich`]: that comparison for a published entry: all of its window, or runs of it that contain the witness.
//! * [`points`], [`judge`]: where an entry is tried, and whether the outputs of a real execution keep its claim.
//! * [`ideal`], [`pieces`]: the program over a certificate's pieces as exact polynomials, beside the checker's polynomial
//!   for the function.
//! * [`smt`]: the protocol's lemmas as SMT-LIB, proved by Z3 at full width, each with a satisfiable twin; and what a
//!   certificate claims of its pieces, as obligations in real arithmetic.
//! * [`export`]: the same for other people's tools: SMT-LIB, Sollya, Gappa, Coq.

pub mod choices;
pub mod enclosure;
pub mod exhaust;
pub mod export;
pub mod fixed;
mod gates;
pub mod ideal;
pub mod interval;
pub mod jet;
pub mod judge;
pub mod pieces;
pub mod points;
mod prepare;
mod resume;
pub mod sample;
pub mod sandwich;
pub mod series;
pub mod smt;
pub mod states;
mod survey;
pub mod versions;

#[cfg(test)]
mod exhaust_tests;

pub use enclosure::enclose;
pub use exhaust::{Exhaustion, Options, Worst, exhaust, exhaust_parts};
pub use interval::Interval;
pub use judge::{Judge, Judgement};
pub use points::{Arguments, Extent, arguments};
pub use sample::{Sampling, Strata, sample};
pub use sandwich::{Sandwich, sandwich};
pub use smt::{Expected, Query, Verdict, lemma_queries, obligations, prove};

/// Why evidence could not be produced.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// The requested inputs are not all inside the claim's window.
    #[error(
        "inputs {low}..={high} are not inside the claim's window {window_low}..={window_high}; ask for a part of it"
    )]
    OutsideWindow {
        /// Least requested input.
        low: i64,
        /// Greatest requested input.
        high: i64,
        /// Least input of the claim.
        window_low: i64,
        /// Greatest input of the claim.
        window_high: i64,
    },
    /// Nothing was asked for.
    #[error("no inputs to exhaust; name at least one part of the window")]
    NoInputs,
    /// Too many inputs for an exhaustion.
    #[error("{inputs} inputs exceed the limit of {limit}; exhaust a part of the window, or take samples")]
    TooManyInputs {
        /// How many were asked for.
        inputs: u128,
        /// How many are allowed.
        limit: u128,
    },
    /// The program keeps more undetermined values alive at a time than a state can hold.
    #[error(
        "the program keeps {live} values alive at once, an exhaustion follows at most {limit}; use samples of runs"
    )]
    TooManyLiveValues {
        /// How many the program keeps.
        live: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// The function has no value at an input of the window.
    #[error("{function} is not defined at input {argument} (scale {scale}); shrink the window")]
    Undefined {
        /// Which function.
        function: catalogs::Function,
        /// Which input integer.
        argument: i64,
        /// Its scale.
        scale: u8,
    },
    /// A value of the function is too large to be held with the guard bits.
    #[error(
        "{function} at input {argument} (scale {scale}) is too large to enclose at the output's scale; shrink the window"
    )]
    TooLarge {
        /// Which function.
        function: catalogs::Function,
        /// Which input integer.
        argument: i64,
        /// Its scale.
        scale: u8,
    },
    /// The evaluator, fed with the choices that were found, gave another output: a defect of this crate.
    #[error("replaying the choices found at input {argument} gives {replayed}, not {found}; please report this defect")]
    Replay {
        /// Which input.
        argument: i64,
        /// The output of the state propagation.
        found: i128,
        /// The output of the evaluator.
        replayed: i128,
    },
    /// A query could not be given to the solver, or the solver's answer could not be read.
    #[error("query '{name}': {reason}")]
    Solver {
        /// Which query.
        name: String,
        /// What happened.
        reason: String,
    },
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which file.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A checkpoint that this program did not write, or not for this entry, these inputs and these settings.
    #[error("{path}: not a checkpoint of this exhaustion, or damaged; remove it to start again")]
    Checkpoint {
        /// Which file.
        path: std::path::PathBuf,
    },
    /// A piece of a certificate cannot be followed exactly.
    #[error("inputs {low} to {high}: {reason}")]
    Piece {
        /// Least input.
        low: i64,
        /// Greatest input.
        high: i64,
        /// Why not.
        reason: String,
    },
    /// Something that a format cannot say.
    #[error("no export to {format}: {reason}")]
    Export {
        /// Which format.
        format: &'static str,
        /// Why not, and what serves instead.
        reason: String,
    },
    /// A record of obligations that cannot be read.
    #[error("line {line} of a record: {reason}")]
    Record {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// A lemma for which no formula exists.
    #[error("there is no formula for the lemma '{lemma}': {reason}")]
    NoFormula {
        /// Which lemma.
        lemma: String,
        /// Why not.
        reason: String,
    },
}
