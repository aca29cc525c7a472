//! Signed lists of what was withdrawn: entries, roots, signers.
//!
//! Establishes: a [`RevocationList`] is valid; reading one verifies it. A signer has one list, which only grows, and its
//! serial number with it. Revocations only ever deny: in which order lists are read plays no part.

use super::signature::message;
use super::{Date, Error, Result, SecretKey, SignerKey, date, digest_of, from_hexadecimal, hexadecimal};
use catalogs::Digest;
use catalogs::text::{Lines, require_canonical};
use std::collections::BTreeMap;
use std::fmt;

/// What a revocation list is a signature over, before the text itself.
pub const REVOCATION_CONTEXT: &[u8] = b"chebyshare 2026 catalog revocations 1\0";

/// The longest file of a revocation list, in bytes.
pub(super) const REVOCATION_BYTES_MAX: usize = 1 << 20;
const REASON_CHARACTERS_MAX: usize = 200;

/// What is revoked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Subject {
    /// An entry, by the digest of its file.
    Entry(Digest),
    /// A catalog, by its root.
    Root(Digest),
    /// A signer: its signatures of roots count no more.
    Signer(SignerKey),
}

impl Subject {
    fn parse(kind: &str, word: &str) -> Result<Subject> {
        match kind {
            "entry" => Ok(Subject::Entry(digest_of(word).map_err(Error::Text)?)),
            "root" => Ok(Subject::Root(digest_of(word).map_err(Error::Text)?)),
            "signer" => Ok(Subject::Signer(SignerKey::parse(word)?)),
            _ => Err(Error::Text("'entry', 'root' or 'signer' expected".into())),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Entry(digest) => write!(f, "entry {digest}"),
            Subject::Root(digest) => write!(f, "root {digest}"),
            Subject::Signer(key) => write!(f, "signer {key}"),
        }
    }
}

/// Why something was revoked: 1 to 200 printable ASCII characters without `#`, words separated by one space. (Texts of
/// strangers end up in terminals and pages; nothing in them may move a cursor.)
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reason(String);

impl Reason {
    /// Checks a reason.
    pub fn parse(text: &str) -> Result<Reason> {
        let plain = text.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'#');
        let spaced = text.split(' ').all(|word| !word.is_empty());
        if plain && spaced && text.len() <= REASON_CHARACTERS_MAX {
            return Ok(Reason(text.to_owned()));
        }
        Err(Error::Text(format!(
            "a reason has 1 to {REASON_CHARACTERS_MAX} printable ASCII characters, no '#', and single spaces"
        )))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Everything that one signer has revoked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RevocationList {
    /// Whose list.
    pub by: SignerKey,
    /// Grows with every list of this signer, from 1.
    pub serial: u64,
    /// When, if the signer says so.
    pub date: Option<Date>,
    /// What and why.
    pub revoked: BTreeMap<Subject, Reason>,
    signature: [u8; 64],
}

fn statement(by: &SignerKey, serial: u64, date: Option<Date>, revoked: &BTreeMap<Subject, Reason>) -> String {
    let mut text = format!("chebyshare revocations 1\nby {by}\nserial {serial}\ndate {}\n", date::write(date));
    text.extend(revoked.iter().map(|(subject, reason)| format!("{subject} {reason}\n")));
    text
}

impl RevocationList {
    /// Adds `subjects` to what the signer has revoked before (`earlier`, its own list). What was revoked stays so, with
    /// its first reason.
    pub fn extend(
        secret: &SecretKey,
        earlier: Option<&RevocationList>,
        subjects: &[Subject],
        reason: &Reason,
        date: Option<Date>,
    ) -> Result<RevocationList> {
        let by = secret.signer();
        let (serial, mut revoked) = match earlier {
            Some(list) if list.by != by => {
                return Err(Error::Text(format!("the earlier list is by {}, the key is {}", list.by, by)));
            }
            Some(list) => (list.serial, list.revoked.clone()),
            None => (0, BTreeMap::new()),
        };
        let serial =
            serial.checked_add(1).ok_or_else(|| Error::Text("the list has no further serial number".into()))?;
        for subject in subjects {
            revoked.entry(*subject).or_insert_with(|| reason.clone());
        }
        let text = statement(&by, serial, date, &revoked);
        if text.len() + 256 > REVOCATION_BYTES_MAX {
            return Err(Error::Text(format!("a revocation list has at most {REVOCATION_BYTES_MAX} bytes")));
        }
        let signature = secret.sign(&message(REVOCATION_CONTEXT, &text));
        Ok(RevocationList { by, serial, date, revoked, signature })
    }

    /// The canonical file.
    pub fn to_text(&self) -> String {
        let statement = statement(&self.by, self.serial, self.date, &self.revoked);
        format!("{statement}signature {}\nend\n", hexadecimal(&self.signature))
    }

    /// Reads a canonical file and verifies it.
    pub fn parse(text: &str) -> Result<RevocationList> {
        let malformed = |error: catalogs::ParseError| Error::Text(error.to_string());
        let mut lines = Lines::new(text, REVOCATION_BYTES_MAX).map_err(malformed)?;
        if lines.next_words().map_err(malformed)? != ["chebyshare", "revocations", "1"] {
            return Err(Error::Text("line 1: 'chebyshare revocations 1' expected".into()));
        }
        let mut word = |name: &str| match lines.expect(name).map_err(malformed)?[..] {
            [word] => Ok(word),
            _ => Err(Error::Text(lines.error(format!("one word after '{name}' expected")).to_string())),
        };
        let by = SignerKey::parse(word("by")?)?;
        let serial = word("serial")?;
        let serial: u64 = serial.parse().map_err(|_| Error::Text(format!("serial '{serial:.20}' is not a number")))?;
        if serial == 0 {
            return Err(Error::Text("serial numbers start at 1".into()));
        }
        let date = date::read(word("date")?)?;
        let mut revoked = BTreeMap::new();
        let signature = loop {
            let words = lines.next_words().map_err(malformed)?;
            match words[..] {
                ["signature", word] => break from_hexadecimal(word),
                [kind, word, ref reason @ ..] => {
                    revoked.insert(Subject::parse(kind, word)?, Reason::parse(&reason.join(" "))?);
                }
                _ => {
                    return Err(Error::Text(
                        lines.error("'entry', 'root', 'signer' or 'signature' expected").to_string(),
                    ));
                }
            }
        };
        let signature =
            signature.ok_or_else(|| Error::Text("a signature has 128 lower-case hexadecimal digits".into()))?;
        let parsed = RevocationList { by, serial, date, revoked, signature };
        require_canonical(text, &parsed.to_text()).map_err(malformed)?;
        if !by.has_signed(&message(REVOCATION_CONTEXT, &statement(&by, serial, date, &parsed.revoked)), &signature) {
            return Err(Error::Text("the signature is not valid".into()));
        }
        Ok(parsed)
    }
}
