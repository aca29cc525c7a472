//! A Sollya script: `supnorm` encloses the largest distance of the ideal polynomial from f, piece by piece.

use super::function::{Notation, Untold, argument, constant, horner, write};
use super::{comment, place};
use crate::EvidenceError;
use crate::pieces::Piece;
use catalogs::Entry;
use std::fmt::Write;

/// Working precision: above every coefficient's bits.
const PRECISION: u32 = 400;

pub(super) fn script(name: &str, entry: &Entry, pieces: &[Piece]) -> Result<String, EvidenceError> {
    let words = [
        format!("Entry {name}, digest {}: f is {}.", entry.digest(), entry.claim.function),
        "For each polynomial piece Sollya encloses the supremum over -1 <= x <= 1 of |p(x) - f(c + h*x)| and compares \
         it with what the certificate states (approximation and remainder, and what flooring p's coefficients changed). \
         p is the program's ideal polynomial, what it returns if every truncation divides exactly, but for the middle \
         of its error interval."
            .to_owned(),
        "The script's exit code is 0 if all hold. This shows neither that p is the program's polynomial nor anything about roundings, and it rests on Sollya."
            .to_owned(),
    ];
    let mut text = comment(&words, "//", "");
    let _ = write!(text, "prec = {PRECISION}!;\nfailed = 0;\ncount = 0;\n");
    for piece in pieces {
        for sheet in &piece.cases {
            let about = place(piece, sheet);
            if piece.tail {
                let _ = writeln!(text, "// {about}: a tail, not exported; an inequality encloses f there.");
                continue;
            }
            let f = match write(&entry.claim.function.definition(), &argument(piece, "x"), piece, Notation::Sollya) {
                Ok(f) => f,
                Err(Untold::Branch | Untold::Gaussian) => {
                    let _ = writeln!(text, "// {about}: not exported, max(., 0) changes its branch inside.");
                    continue;
                }
            };
            let bound = constant(&(piece.stated_distance(sheet) >> piece.unit_bits));
            let label = format!("piece {} case {}", piece.number, sheet.number);
            let _ = write!(
                text,
                "\n// {about}\np = {};\nf = {f};\nbound = {bound};\n\
                 if (degree(p - f) >= 0) then n = infnorm(p - f, [-1;1]) \
                 else n = supnorm(p, f, [-1;1], absolute, 2^(-40));\n\
                 count = count + 1;\n\
                 if (sup(n) <= bound) then print(\"{label} holds:\", round(sup(n), 24, RU), \"<=\", round(bound, 24, RD)) \
                 else {{ print(\"{label} FAILS:\", round(sup(n), 24, RU), \"is not below\", round(bound, 24, RD)); failed = failed + 1; }};\n",
                horner(&sheet.polynomial, "x", piece.unit_bits)
            );
        }
    }
    // A script that runs to its end without `quit` has another exit code than 0.
    text.push_str("\nprint(failed, \"of\", count, \"fail\");\nif (failed == 0) then quit;\n");
    Ok(text)
}
