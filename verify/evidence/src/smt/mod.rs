//! The protocol's lemmas as SMT-LIB 2 in QF_BV at full width, the obligations of certificates in real arithmetic, and
//! their proofs.
//!
//! Every lemma's statement is a pair: a query that must be `unsat` (no counterexample exists), and a *twin* with a weakened
//! statement that must be `sat`, so that a solver (or a formula) that says `unsat` to everything is noticed.
//!
//! Each formula is the protocol's own computation, message by message, with all shares and masks symbolic; the names
//! of its definitions are those of the table. What a formula cannot say (that the code computes these expressions) is
//! tied by the exhaustive runs of the runtime on small rings.
//!
//! | query | mirrors, in `runtime::protocol::rss3` | shares and masks |
//! | --- | --- | --- |
//! | `truncation-K-T-D`, T > K − D | `truncate`: two rounds, the wrap corrected; T may exceed K | all symbolic |
//! | `negation-K` | the conditional negation in `truncate`, which the line above writes as a product | any word |
//! | `truncation-K-T-D`, T ≤ K − D | `truncate_narrow`: one round, T + D bits opened | all symbolic |
//! | `truncation-may-fail-K-T-D-W` | nothing shipped: one round, a wrap left uncorrected, the failing masks counted | the mask symbolic |
//! | `sign-W-S`, `sign-W-S-ring-K` | `sign::sign`: what `chunk_products` and `tree` compute of m = x1 + x2 and n = x3, with the levels of `catalogs::protocol::rss3::SignCircuit` | the three components symbolic |
//! | `sign-chunk-C-of-S` | `sign::share_monomials` and `sign::inner_products` for a chunk of C bits, filled up to S as there | all symbolic |
//! | `sign-and` | one AND of `sign::tree` on replicated bits, with `reshare` | all symbolic |
//! | `band-K-W-S-M` | the band of [`catalogs::Lemma::Sign`] for M operands, whoever drops their bits | the operands symbolic |
//! | `injection-K` | `inject` | all symbolic |
//! | `b2a-K` | a word as the sum of its injected bits, as programs write it | any word |
//! | `reshare-K`, `reshare-square-K` | `local_product` of two values, of a value with itself, with `reshare` | all symbolic |
//!
//! Words of the code have 64 bits and are reduced to K where a right shift follows; the formulas compute modulo 2^K,
//! which is the same. How the sign test packs its bits into words is not in the formulas.
//!
//! The sign test rests on three of them: `sign-chunk-C-of-S` says that the shared bits of a chunk are its generate and
//! propagate bits, `sign-and` that a tree node computes the AND of what its operands share, and `sign-W-S` that
//! the tree over generate and propagate bits is the bit that [`catalogs::Lemma::Sign`] states.

mod band;
mod files;
mod may_fail;
mod obligations;
mod real;
mod record;
mod script;
mod shares;
mod sign;
mod solve;
mod truncation;

pub use band::band_queries;
pub use files::{SHIPPED_FOLDER, file_name, regenerate, shipped_lemmas, shipped_queries, write_files};
pub use may_fail::may_fail_queries;
pub use obligations::obligations;
pub use record::{RECORDS_FOLDER, Record, RecordLine, file_digest};
pub use shares::{injection_queries, recomposition_queries, reshare_queries, square_queries};
pub use solve::{External, Verdict, externals, linked_solver, prove, prove_externally};

use crate::EvidenceError;
use catalogs::Lemma;
use catalogs::protocol::{Model, rss3::Rss3};

/// What a solver must answer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Expected {
    /// No counterexample: the statement is proved.
    Unsat,
    /// A counterexample exists: the twin's statement is false.
    Sat,
}

/// One question to a solver.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Query {
    /// The stem of its file.
    pub name: String,
    /// What is asked, in words, a paragraph per entry.
    pub header: Vec<String>,
    /// The SMT-LIB 2 text without header: logic, declarations, one or more assertions, `(check-sat)`.
    pub smtlib: String,
    /// The answer that confirms it.
    pub expected: Expected,
}

impl Query {
    /// The logic that the text names on its first line.
    pub fn logic(&self) -> Option<&str> {
        self.smtlib.lines().next()?.strip_prefix("(set-logic ")?.strip_suffix(')')
    }

    /// The file: the header as comments, then the text.
    pub fn file_text(&self) -> String {
        let mut text = String::new();
        for paragraph in &self.header {
            let mut line = String::from(";");
            for word in paragraph.split(' ') {
                if line.len() + 1 + word.len() > 100 {
                    text.push_str(&line);
                    text.push('\n');
                    line = String::from(";");
                }
                line.push(' ');
                line.push_str(word);
            }
            text.push_str(&line);
            text.push('\n');
        }
        let answer = match self.expected {
            Expected::Unsat => "unsat",
            Expected::Sat => "sat",
        };
        text.push_str(&format!("; Expected answer: {answer}\n"));
        text.push_str(&self.smtlib);
        text
    }
}

/// The queries for the lemma that rss3 offers where `lemma` is needed: pairs of a query and its twin.
/// An error if rss3 offers no lemma that implies it.
pub fn lemma_queries(lemma: &Lemma) -> Result<Vec<Query>, EvidenceError> {
    let no_formula = |reason: &str| EvidenceError::NoFormula { lemma: lemma.to_string(), reason: reason.into() };
    if !lemma.is_well_formed() {
        return Err(no_formula("its numbers are out of their limits"));
    }
    let offered = Rss3.offers(lemma).ok_or_else(|| no_formula("rss3 offers nothing that implies it"))?;
    Ok(match offered {
        Lemma::Truncation { ring, target, shift, window: Some(window), rounding, .. } => {
            let executed = truncation::two_round([ring, target], shift, window, rounding);
            executed.into_iter().chain(truncation::negation(ring.max(target))).collect()
        }
        Lemma::Truncation { ring, target, shift, window: None, rounding, .. } => {
            truncation::narrowing(ring, target, shift, rounding).into()
        }
        Lemma::Sign { width, dropped, .. } => {
            let band = i128::try_from(offered.band()).map_err(|_| no_formula("its band has more than 127 bits"))?;
            sign::queries(width, dropped, band)
        }
        Lemma::Injection { ring } => injection_queries(ring).into(),
    })
}

#[cfg(test)]
mod tests;
