//! A Coq file: for every polynomial piece a theorem that the ideal polynomial is near f, for `interval` of Coq-Interval.

use super::function::{Notation, Untold, argument, constant, horner, write};
use super::{comment, place};
use crate::EvidenceError;
use crate::pieces::Piece;
use catalogs::Entry;
use std::fmt::Write;

/// Mantissa bits of the tactic's intervals.
const PRECISION: u32 = 120;
/// The depth to which it halves the piece.
const DEPTH: u32 = 30;

/// A Coq file is named like a module.
pub(super) fn file_name(stem: &str) -> String {
    let plain: String = stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    format!("{plain}.v")
}

pub(super) fn theorems(name: &str, entry: &Entry, pieces: &[Piece]) -> Result<String, EvidenceError> {
    let words = [
        format!("Entry {name}, digest {}: f is {}.", entry.digest(), entry.claim.function),
        "Each theorem: for all real t from -1 to 1, |p(t) - f(x)| is at most what the certificate states (approximation \
         and remainder, and what flooring p's coefficients changed), where x = c + h*t runs over a piece. p is stated to \
         be the program's ideal polynomial, what it returns if every truncation divides exactly, but for the middle of \
         its error interval."
            .to_owned(),
        "The theorems say nothing about programs or roundings, nor of tails, and not that the pieces cover the window."
            .to_owned(),
    ];
    let mut text = comment(&words, "(*", " *)");
    text.push_str("From Coq Require Import Reals.\nFrom Interval Require Import Tactic.\nOpen Scope R_scope.\n");
    for piece in pieces {
        for sheet in &piece.cases {
            let about = place(piece, sheet);
            if piece.tail {
                let _ = writeln!(text, "\n(* {about}: a tail; no theorem. *)");
                continue;
            }
            let f = match write(&entry.claim.function.definition(), &argument(piece, "t"), piece, Notation::Coq) {
                Ok(f) => f,
                Err(Untold::Branch) => {
                    let _ = writeln!(text, "\n(* {about}: no theorem, max(., 0) changes its branch inside. *)");
                    continue;
                }
                Err(Untold::Gaussian) => return Err(refusal(entry)),
            };
            let p = horner(&sheet.polynomial, "t", piece.unit_bits);
            let bound = constant(&(piece.stated_distance(sheet) >> piece.unit_bits));
            let _ = write!(
                text,
                "\n(* {about} *)\nTheorem piece_{}_case_{} : forall t : R, -1 <= t <= 1 ->\n  Rabs ({p}\n  - {f})\n  <= {bound}.\n\
                 Proof. intros t range. interval with (i_bisect t, i_taylor t, i_degree {}, i_prec {PRECISION}, \
                 i_depth {DEPTH}). Qed.\n",
                piece.number,
                sheet.number,
                sheet.polynomial.len().clamp(8, 20)
            );
        }
    }
    Ok(text)
}

fn refusal(entry: &Entry) -> EvidenceError {
    let reason = format!(
        "{} contains a Gaussian integral, and Coq-Interval knows exp, ln, sqrt and sin but neither erf nor an integral \
         with a variable end; 'sollya' bounds |p - f| for it, and 'smtlib' states |p - T| and the whole claim",
        entry.claim.function
    );
    EvidenceError::Export { format: "Coq", reason }
}
