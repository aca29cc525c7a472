//! An entry's certificate for other people's tools: nothing here is trusted, and everything says what it shows.
//!
//! | format | what a tool can establish | what it leaves |
//! | --- | --- | --- |
//! | [`Format::Smtlib`] | the obligations of every piece, and the lemmas | \|T − f\|, which rests on the checker |
//! | [`Format::Sollya`] | \|p − f\| ≤ what the certificate states, per polynomial piece, by `supnorm` | roundings, tails |
//! | [`Format::Gappa`] | how far roundings move the output from p, per piece, by interval arithmetic | f |
//! | [`Format::Coq`] | a theorem \|p − f\| ≤ what the certificate states, per polynomial piece, by Coq-Interval | roundings, tails |
//!
//! p is the ideal polynomial of [`crate::pieces`]: multiplied out by this crate, so that it is *stated* in each file that
//! p is the program's, and shown in none.

mod coq;
mod function;
mod gappa;
mod sollya;

use crate::EvidenceError;
use crate::pieces::{CaseSheet, Piece, pieces};
use crate::smt::{file_name, lemma_queries, obligations};
use catalogs::Entry;
use std::collections::BTreeMap;
use verify::certificate::Certificate;

/// What to write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// SMT-LIB 2: a file per obligation and per lemma.
    Smtlib,
    /// A Sollya script.
    Sollya,
    /// A Gappa script per piece and case.
    Gappa,
    /// A Coq file with a theorem per piece and case.
    Coq,
}

/// A file's name, without folder, and its text.
pub type Files = BTreeMap<String, String>;

/// What `name`, an entry with its certificate, looks like in `format`; the certificate need not prove the entry.
pub fn export(name: &str, entry: &Entry, certificate: &Certificate, format: Format) -> Result<Files, EvidenceError> {
    let stem = name.replace('/', "-");
    Ok(match format {
        Format::Smtlib => smtlib(entry, certificate)?,
        Format::Sollya => {
            let text = sollya::script(name, entry, &pieces(entry, certificate)?)?;
            Files::from([(format!("{stem}.sollya"), text)])
        }
        Format::Gappa => gappa::scripts(name, entry, &pieces(entry, certificate)?),
        Format::Coq => {
            let text = coq::theorems(name, entry, &pieces(entry, certificate)?)?;
            Files::from([(coq::file_name(&stem), text)])
        }
    })
}

fn smtlib(entry: &Entry, certificate: &Certificate) -> Result<Files, EvidenceError> {
    let mut queries = obligations(entry, certificate)?;
    for lemma in entry.needs() {
        queries.extend(lemma_queries(lemma)?);
    }
    Ok(queries.iter().map(|query| (file_name(query), query.file_text())).collect())
}

/// Text as comment lines of at most 100 characters, each between `open` and `close`.
fn comment(paragraphs: &[String], open: &str, close: &str) -> String {
    let mut text = String::new();
    for paragraph in paragraphs {
        let mut line = String::from(open);
        for word in paragraph.split(' ') {
            if line.len() + 1 + word.len() > 100 {
                text.push_str(&format!("{line}{close}\n"));
                line = String::from(open);
            }
            line.push(' ');
            line.push_str(word);
        }
        text.push_str(&format!("{line}{close}\n"));
    }
    text
}

/// Which inputs and bits one statement is about.
fn place(piece: &Piece, sheet: &CaseSheet) -> String {
    let bits = match sheet.case.bits() {
        bits if bits.is_empty() => String::new(),
        bits => format!(", with bits {bits}"),
    };
    let Piece { number, low, high, .. } = piece;
    format!("piece {number}, case {}: input integers {low} to {high}{bits}", sheet.number)
}

#[cfg(test)]
mod tests;
