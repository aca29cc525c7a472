//! Mutants of a good pair of files: every way of going wrong that the checker must notice, by class, each with the
//! reasons that are right for it.

use super::cases::Pair;
use super::{mutants_of_certificates, mutants_of_entries, mutants_of_texts};
use catalogs::{Digest, Entry};
use verify::Certificate;

/// What was done to a pair.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Class {
    Coefficient,
    OldDigest,
    BoundBelow,
    Gap,
    Overlap,
    EndPoint,
    SwappedPieces,
    MissingPiece,
    WrongLemma,
    WrongFunction,
    Respelled,
    Reference,
    FalseClaim,
    Pole,
    VanishingSymbol,
    PartBelow,
    RangeBelow,
    Witness,
    Degree,
    TailRule,
    HugeNumber,
    DeepNesting,
    BadUtf8,
    Truncated,
}

impl Class {
    pub const ALL: [Class; 24] = [
        Class::Coefficient,
        Class::OldDigest,
        Class::BoundBelow,
        Class::Gap,
        Class::Overlap,
        Class::EndPoint,
        Class::SwappedPieces,
        Class::MissingPiece,
        Class::WrongLemma,
        Class::WrongFunction,
        Class::Respelled,
        Class::Reference,
        Class::FalseClaim,
        Class::Pole,
        Class::VanishingSymbol,
        Class::PartBelow,
        Class::RangeBelow,
        Class::Witness,
        Class::Degree,
        Class::TailRule,
        Class::HugeNumber,
        Class::DeepNesting,
        Class::BadUtf8,
        Class::Truncated,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Class::Coefficient => "coefficient ± 1, true digest",
            Class::OldDigest => "coefficient ± 1, old digest",
            Class::BoundBelow => "bound one unit below",
            Class::Gap => "gap between pieces",
            Class::Overlap => "overlapping pieces",
            Class::EndPoint => "missing or spare end point",
            Class::SwappedPieces => "swapped pieces",
            Class::MissingPiece => "missing or doubled piece",
            Class::WrongLemma => "wrong lemma",
            Class::WrongFunction => "wrong function",
            Class::Respelled => "same function as an expression",
            Class::Reference => "tampered reference",
            Class::FalseClaim => "true digest of a false claim",
            Class::Pole => "pole inside a piece",
            Class::VanishingSymbol => "symbol rounded to zero",
            Class::PartBelow => "stated part one unit below",
            Class::RangeBelow => "stated range one too small",
            Class::Witness => "witness that shows nothing",
            Class::Degree => "other degree",
            Class::TailRule => "tail rule elsewhere",
            Class::HugeNumber => "huge number",
            Class::DeepNesting => "deep nesting",
            Class::BadUtf8 => "bad UTF-8",
            Class::Truncated => "truncated file",
        }
    }
}

/// A changed pair.
#[derive(Clone, Debug)]
pub struct Mutant {
    pub class: Class,
    /// What was changed, for messages.
    pub what: String,
    pub entry: Vec<u8>,
    pub certificate: Vec<u8>,
    /// The reasons that are right; if `accepted` is among them, what the mutant claims may be true.
    pub expected: &'static [&'static str],
}

/// What a changed program or claim fails by, where it is not true by luck.
pub const OBLIGATIONS: &[&str] = &["accepted", "range", "function", "error", "part", "stated-range", "witness"];

/// A pair with its parsed files, to which mutants are added.
pub struct Maker<'a> {
    pub pair: &'a Pair,
    pub entry: Entry,
    pub certificate: Certificate,
    pub mutants: Vec<Mutant>,
}

impl Maker<'_> {
    /// Two texts as they are; what changes nothing is no mutant.
    pub fn push(&mut self, class: Class, what: String, files: (Vec<u8>, Vec<u8>), expected: &'static [&'static str]) {
        let (entry, certificate) = files;
        if entry != self.pair.entry.as_bytes() || certificate != self.pair.certificate.as_bytes() {
            self.mutants.push(Mutant { class, what, entry, certificate, expected });
        }
    }

    /// A changed entry, and the certificate with its digest: a true digest of another claim.
    pub fn entry(&mut self, class: Class, what: String, entry: String, expected: &'static [&'static str]) {
        let certificate = rebound(&entry, &self.pair.certificate);
        self.push(class, what, (entry.into_bytes(), certificate.into_bytes()), expected);
    }

    /// A changed claim.
    pub fn claim(
        &mut self,
        class: Class,
        what: &str,
        change: impl Fn(&mut Entry) -> Option<()>,
        expected: &'static [&'static str],
    ) {
        let mut entry = self.entry.clone();
        if change(&mut entry).is_some() {
            self.entry(class, what.to_owned(), entry.to_text(), expected);
        }
    }

    /// A changed certificate.
    pub fn proof(
        &mut self,
        class: Class,
        what: String,
        change: impl Fn(&mut Certificate),
        expected: &'static [&'static str],
    ) {
        let mut certificate = self.certificate.clone();
        change(&mut certificate);
        let files = (self.pair.entry.clone().into_bytes(), certificate.to_text().into_bytes());
        self.push(class, what, files, expected);
    }
}

/// The certificate's text with the digest of a changed entry.
pub fn rebound(entry: &str, certificate: &str) -> String {
    let digest = Digest::of(catalogs::digest::Tag::Entry, entry.as_bytes());
    let line = certificate.lines().nth(1).unwrap();
    certificate.replacen(line, &format!("entry {digest}"), 1)
}

/// All mutants of a pair.
pub fn mutants(pair: &Pair) -> Vec<Mutant> {
    let entry = Entry::parse(&pair.entry).unwrap();
    let certificate = Certificate::parse(&pair.certificate).unwrap();
    let mut maker = Maker { pair, entry, certificate, mutants: Vec::new() };
    mutants_of_entries::add(&mut maker);
    mutants_of_certificates::add(&mut maker);
    mutants_of_texts::add(&mut maker);
    maker.mutants
}
