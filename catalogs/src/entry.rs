//! Entries: a claim about a program.

use crate::decimal::Decimal;
use crate::digest::{Digest, Tag};
use crate::function::Function;
use crate::lemma::Lemma;
use crate::program::Program;
use crate::text;
use dashu::rational::RBig;

/// An inclusive range of input integers (signed residues at the program's input scale).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Window {
    /// The least argument.
    pub low: i64,
    /// The greatest argument.
    pub high: i64,
}

impl Window {
    /// Whether `value` lies in the window.
    pub fn contains(&self, value: i128) -> bool {
        i128::from(self.low) <= value && value <= i128::from(self.high)
    }

    /// Whether all of `other` lies in the window.
    pub fn covers(&self, other: &Window) -> bool {
        self.low <= other.low && other.high <= self.high
    }

    /// The number of integers in the window.
    pub fn size(&self) -> u128 {
        (i128::from(self.high) - i128::from(self.low) + 1).unsigned_abs()
    }
}

/// How the error is measured: |v − f| / (`absolute` + `relative`·|f|).
///
/// (1, 0) is the absolute error, (0, 1) the relative one, anything between is mixed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Norm {
    /// Weight of the constant, not negative.
    pub absolute: Decimal,
    /// Weight of |f|, not negative.
    pub relative: Decimal,
}

impl Norm {
    /// |v − f|.
    pub const ABSOLUTE: Norm = Norm { absolute: Decimal::ONE, relative: Decimal::ZERO };
    /// |v − f| / |f|.
    pub const RELATIVE: Norm = Norm { absolute: Decimal::ZERO, relative: Decimal::ONE };
}

/// "For every x of the window and every choice the lemmas leave open, the program's output v satisfies
/// |v − f(x)| ≤ bound · (norm.absolute + norm.relative · |f(x)|)."
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claim {
    /// f.
    pub function: Function,
    /// Where the program was fitted: outside it, the tails of f serve. Documentation of intent; the claim holds on
    /// the whole window.
    pub fitted: Window,
    /// Where the claim holds.
    pub window: Window,
    /// How the error is measured.
    pub norm: Norm,
    /// The claimed bound in that norm.
    pub bound: Decimal,
}

impl Claim {
    /// The largest allowed constant part of the error, bound·absolute, in real units.
    pub fn absolute_part(&self) -> RBig {
        self.bound.to_rational() * self.norm.absolute.to_rational()
    }

    /// The largest allowed relative part of the error, bound·relative.
    pub fn relative_part(&self) -> RBig {
        self.bound.to_rational() * self.norm.relative.to_rational()
    }
}

/// A claim and the program that it is about. An entry by itself proves nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// What is claimed.
    pub claim: Claim,
    /// Of what.
    pub program: Program,
}

impl Entry {
    /// The lemmas that a protocol must offer.
    pub fn needs(&self) -> &[Lemma] {
        self.program.lemmas()
    }

    /// The canonical file.
    pub fn to_text(&self) -> String {
        text::write_entry(self)
    }

    /// Reads a canonical file.
    pub fn parse(text: &str) -> Result<Entry, text::ParseError> {
        text::read_entry(text)
    }

    /// The digest of the canonical file.
    pub fn digest(&self) -> Digest {
        Digest::of(Tag::Entry, self.to_text().as_bytes())
    }
}
