//! What a certificate holds, and its canonical text (`proofs/FORMAT.md`).

use catalogs::text::{Lines, ParseError, require_canonical};
use catalogs::{Decimal, Digest};
use std::fmt::Write;

/// The largest certificate that is read, in bytes.
pub const MAX_CERTIFICATE_BYTES: usize = 16 << 20;
/// The most pieces a certificate may have.
pub const MAX_PIECES: usize = 1 << 16;

/// One piece of the window, with the bounds that its producer states.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PieceProof {
    /// The least input.
    pub low: i64,
    /// The greatest input.
    pub high: i64,
    /// Where polynomials are cut.
    pub degree: u8,
    /// Whether the function's tail rule serves instead of a polynomial.
    pub tail: bool,
    /// Stated bound of |p − q|, in real units.
    pub approximation: Decimal,
    /// Stated bound of the first-order influence of the roundings, in real units.
    pub rounding: Decimal,
    /// Stated bound of everything else, in real units.
    pub remainder: Decimal,
}

/// An input and a choice of roundings that attains an error.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Witness {
    /// The input integer.
    pub input: i64,
    /// Stated lower bound of the attained error, in the claim's norm.
    pub error: Decimal,
    /// Per operation: δ of a truncation, the bit of a sign inside its band, otherwise 0.
    pub choices: Vec<i8>,
}

/// A proof of an entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Certificate {
    /// The entry that it proves.
    pub entry: Digest,
    /// Per operation, stated bounds of the live value; `None` if it is a bit or never live.
    pub ranges: Vec<Option<(i128, i128)>>,
    /// A lower bound of the worst error.
    pub witness: Witness,
    /// The pieces, in order.
    pub pieces: Vec<PieceProof>,
}

impl Certificate {
    /// The canonical text.
    pub fn to_text(&self) -> String {
        let mut out = format!("chebyshare certificate 1\nentry {}\n", self.entry);
        for (index, range) in self.ranges.iter().enumerate() {
            let _ = match range {
                Some((low, high)) => writeln!(out, "range v{index} {low} {high}"),
                None => writeln!(out, "range v{index} none"),
            };
        }
        let _ = write!(out, "witness {} error {} choices", self.witness.input, self.witness.error);
        for choice in &self.witness.choices {
            let _ = write!(out, " {choice}");
        }
        out.push('\n');
        for piece in &self.pieces {
            let _ = writeln!(
                out,
                "{} {} {} degree {} approximation {} rounding {} remainder {}",
                if piece.tail { "tail" } else { "piece" },
                piece.low,
                piece.high,
                piece.degree,
                piece.approximation,
                piece.rounding,
                piece.remainder
            );
        }
        out.push_str("end\n");
        out
    }

    /// Reads a canonical text.
    pub fn parse(text: &str) -> Result<Certificate, ParseError> {
        let mut lines = Lines::new(text, MAX_CERTIFICATE_BYTES)?;
        if lines.next_words()? != ["chebyshare", "certificate", "1"] {
            return Err(lines.error("'chebyshare certificate 1' expected"));
        }
        let entry = match lines.expect("entry")?[..] {
            [digest] => {
                Digest::parse(digest).ok_or_else(|| lines.error("a digest of 64 hexadecimal digits expected"))?
            }
            _ => return Err(lines.error("'entry DIGEST' expected")),
        };
        let mut ranges = Vec::new();
        let mut words = lines.next_words()?;
        while words.first() == Some(&"range") {
            ranges.push(match words[1..] {
                [_, "none"] => None,
                [_, low, high] => Some((lines.number(low, "an integer")?, lines.number(high, "an integer")?)),
                _ => return Err(lines.error("'range vN LOW HIGH' or 'range vN none' expected")),
            });
            words = lines.next_words()?;
        }
        let ["witness", input, "error", error, "choices", choices @ ..] = &words[..] else {
            return Err(lines.error("'witness INPUT error E choices ...' expected"));
        };
        let witness = Witness {
            input: lines.number(input, "an integer")?,
            error: lines.decimal(error)?,
            choices: choices.iter().map(|word| lines.number(word, "a small integer")).collect::<Result<_, _>>()?,
        };
        let mut pieces = Vec::new();
        loop {
            let words = lines.next_words()?;
            let [kind, low, high, "degree", degree, "approximation", a, "rounding", b, "remainder", c] = words[..]
            else {
                if words == ["end"] {
                    break;
                }
                return Err(lines.error("'piece', 'tail' or 'end' expected"));
            };
            if pieces.len() == MAX_PIECES || !["piece", "tail"].contains(&kind) {
                return Err(lines.error(format!("'piece' or 'tail' expected, at most {MAX_PIECES} of them")));
            }
            pieces.push(PieceProof {
                low: lines.number(low, "an integer")?,
                high: lines.number(high, "an integer")?,
                degree: lines.number(degree, "a degree")?,
                tail: kind == "tail",
                approximation: lines.decimal(a)?,
                rounding: lines.decimal(b)?,
                remainder: lines.decimal(c)?,
            });
        }
        let certificate = Certificate { entry, ranges, witness, pieces };
        require_canonical(text, &certificate.to_text())?;
        Ok(certificate)
    }
}
