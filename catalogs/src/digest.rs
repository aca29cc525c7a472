//! Tagged hashes: the name of a published thing is the hash of its canonical bytes.

use std::fmt;

/// What kind of bytes were hashed; one tag can never be taken for another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tag {
    /// An entry file.
    Entry,
    /// A certificate file.
    Certificate,
    /// The list of a catalog's files.
    Catalog,
    /// A plan.
    Plan,
    /// A model's public structure.
    Model,
    /// A model's weights.
    Weights,
    /// The settings, and the checkpoints, of an exhaustion.
    Exhaustion,
    /// What a simulation of a plan depends on.
    Simulation,
}

impl Tag {
    fn context(self) -> &'static str {
        match self {
            Tag::Entry => "chebyshare 2026 entry 1",
            Tag::Certificate => "chebyshare 2026 certificate 1",
            Tag::Catalog => "chebyshare 2026 catalog 1",
            Tag::Plan => "chebyshare 2026 plan 1",
            Tag::Model => "chebyshare 2026 model 1",
            Tag::Weights => "chebyshare 2026 weights 1",
            Tag::Exhaustion => "chebyshare 2026 exhaustion 1",
            Tag::Simulation => "chebyshare 2026 simulation 2",
        }
    }
}

/// A 256-bit BLAKE3 hash in derive-key mode under its [`Tag`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `bytes` under `tag`.
    pub fn of(tag: Tag, bytes: &[u8]) -> Digest {
        Digest::of_parts(tag, [bytes])
    }

    /// The digest of parts that follow each other.
    pub fn of_parts<P: AsRef<[u8]>>(tag: Tag, parts: impl IntoIterator<Item = P>) -> Digest {
        let mut hasher = blake3::Hasher::new_derive_key(tag.context());
        for part in parts {
            hasher.update(part.as_ref());
        }
        Digest(*hasher.finalize().as_bytes())
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Parses 64 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Option<Digest> {
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
            return None;
        }
        let mut bytes = [0u8; 32];
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
        }
        Some(Digest(bytes))
    }

    /// The first twelve hexadecimal digits, for people.
    pub fn short(&self) -> String {
        self.to_string()[..12].to_owned()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
