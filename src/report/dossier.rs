//! What a page needs to know of one entry, gathered once.

use crate::lanes::Findings;
use catalogs::digest::Tag;
use catalogs::protocol::{Cost, cost, rss3::Rss3};
use catalogs::{Digest, Entry, Lemma, Op, Published, Rounding};
use std::time::Instant;
use verify::{Certificate, Certified, Rejection};

/// An entry, its certificate, and what the checker says.
pub struct Dossier<'a> {
    /// FUNCTION/STEM.
    pub name: &'a str,
    /// The texts.
    pub published: &'a Published,
    /// The entry, if its text is one.
    pub entry: Option<Entry>,
    /// The certificate, if its text is one.
    pub certificate: Option<Certificate>,
    /// What the checker says.
    pub verdict: Result<Certified, Rejection>,
    /// How long it took.
    pub seconds: f64,
    /// What the other lanes found; those that were not asked for did not run.
    pub findings: Findings,
    /// Who has taken the entry back, and why.
    pub revoked: Vec<String>,
}

/// How much of a window or ring the operand of one operation needs, in bits.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// The bits of the largest magnitude, as a real number.
    pub used: f64,
    /// The bits that are allowed.
    pub allowed: u8,
    /// Whether the proof obliges it: truncated operands with a window, and the output.
    pub obliged: bool,
}

impl Room {
    /// Bits that are left.
    pub fn left(&self) -> f64 {
        (f64::from(self.allowed) - self.used).max(0.0)
    }
}

impl<'a> Dossier<'a> {
    /// Checks an entry.
    pub fn new(name: &'a str, published: &'a Published) -> Dossier<'a> {
        let started = Instant::now();
        let verdict = ::verify::check_texts(&published.entry, &published.certificate);
        Dossier {
            name,
            published,
            entry: Entry::parse(&published.entry).ok(),
            certificate: Certificate::parse(&published.certificate).ok(),
            verdict,
            seconds: started.elapsed().as_secs_f64(),
            findings: Findings::default(),
            revoked: Vec::new(),
        }
    }

    /// Whether the checker accepts it and no lane that ran refutes it.
    pub fn holds(&self) -> bool {
        self.verdict.is_ok() && self.findings.refutation().is_none()
    }

    /// Why it does not hold.
    pub fn reason(&self) -> Option<String> {
        self.verdict.as_ref().err().map(ToString::to_string).or_else(|| self.findings.refutation())
    }

    /// The digest of the entry's text.
    pub fn entry_digest(&self) -> Digest {
        Digest::of(Tag::Entry, self.published.entry.as_bytes())
    }

    /// The digest of the certificate's text.
    pub fn certificate_digest(&self) -> Digest {
        Digest::of(Tag::Certificate, self.published.certificate.as_bytes())
    }

    /// Rounds and bytes under rss3.
    pub fn cost(&self) -> Option<Cost> {
        self.entry.as_ref().map(|entry| cost(&entry.program, &Rss3))
    }

    /// The claimed bound.
    pub fn bound(&self) -> Option<f64> {
        self.entry.as_ref().map(|entry| entry.claim.bound.to_f64_lossy())
    }

    /// The bound over the witness; `None` if the witness is zero or there is no certificate.
    pub fn tightness(&self) -> Option<f64> {
        let witness = self.certificate.as_ref()?.witness.error.to_f64_lossy();
        (witness > 0.0).then_some(self.bound()? / witness)
    }

    /// The stated range of operation `index`.
    pub fn range(&self, index: usize) -> Option<(i128, i128)> {
        self.certificate.as_ref()?.ranges.get(index).copied().flatten()
    }

    /// The room of operation `index`: of a truncation its operand's, of the others their value's.
    pub fn room(&self, index: usize) -> Option<Room> {
        let (entry, (low, high)) = (self.entry.as_ref()?, self.range(index)?);
        let program = &entry.program;
        let last = index + 1 == program.ops().len();
        match program.ops().get(index)? {
            Op::Input => Some(Room { used: bits(low, high), allowed: program.input().0.bits() - 1, obliged: last }),
            Op::Sum(sum) => match sum.truncation.map(|lemma| *program.lemma(lemma)) {
                Some(Lemma::Truncation { ring, shift, window, rounding, .. }) => Some(Room {
                    used: operand_bits(low, high, shift, rounding),
                    allowed: window.unwrap_or(ring.bits() - 1),
                    obliged: window.is_some(),
                }),
                _ => Some(Room { used: bits(low, high), allowed: sum.ring.bits() - 1, obliged: last }),
            },
            Op::Sign { .. } | Op::Inject { .. } => None,
        }
    }

    /// The least room of all obliged operations.
    pub fn headroom(&self) -> Option<f64> {
        let count = self.entry.as_ref()?.program.ops().len();
        let rooms = (0..count).filter_map(|index| self.room(index)).filter(|room| room.obliged);
        rooms.map(|room| room.left()).reduce(f64::min)
    }
}

/// Of the larger magnitude.
fn bits(low: i128, high: i128) -> f64 {
    let largest = low.unsigned_abs().max(high.unsigned_abs());
    if largest == 0 { 0.0 } else { (largest as f64).log2() }
}

/// From the range of ⌊v/2^shift⌋ + δ: v lies between (low − δ_high)·2^shift and (high − δ_low + 1)·2^shift.
fn operand_bits(low: i128, high: i128, shift: u8, rounding: Rounding) -> f64 {
    let least = low.saturating_sub(i128::from(rounding.high));
    let greatest = high.saturating_add(1 - i128::from(rounding.low));
    bits(least, greatest) + f64::from(shift)
}
