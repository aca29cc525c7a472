//! Signed catalogs: who stands for a catalog's root, and what was withdrawn since.
//!
//! Establishes: an [`Admission`] exists only for a root that carries, beside the catalog, at least as many valid Ed25519
//! signatures by different signers as a [`Policy`] asks for, none of those signers and not the root itself being
//! revoked; and [`Admission::check_entry`] refuses every entry that was revoked. A signature says who answers for a
//! catalog, never that a claim is true: entries are proved again either way.
//!
//! Assumes: the policy's file is the party's own; Ed25519 (of `ring`) and BLAKE3 are what they promise. Whoever hands
//! out the catalog is not trusted, except that it can withhold: an older catalog with its older signatures, or a newer
//! revocation list. A policy answers with `not_before` and `least_serial`.
//!
//! | attack | what stops it |
//! | --- | --- |
//! | a signature made for something else | every kind of signed text has its own context, [`SIGNATURE_CONTEXT`] and [`REVOCATION_CONTEXT`] |
//! | a signature of another root | the root is signed, and compared with that of the catalog in memory |
//! | an old root with its old signatures | `not_before`, or the root revoked |
//! | one signer counted twice | signatures are looked up by accepted key, and a policy names each key once |
//! | a key of small order, for which anybody can sign; a second spelling of a key | [`SignerKey`] refuses both |
//! | other bytes of the same meaning | texts must re-serialise to themselves |
//! | revocations by strangers | only lists of accepted signers are read |
//!
//! The formats are described in `proofs/FORMAT.md`.

mod admission;
mod beside;
mod date;
mod key;
mod policy;
mod revocation;
mod signature;

pub use admission::{Accepted, Admission, Ignored};
pub use beside::{Attachment, Beside, REVOCATIONS, SIGNATURES};
pub use date::Date;
pub use key::{SecretKey, SignerKey};
pub use policy::{AcceptedSigner, Policy};
pub use revocation::{REVOCATION_CONTEXT, Reason, RevocationList, Subject};
pub use signature::{RootSignature, SIGNATURE_CONTEXT};

use catalogs::Digest;
use std::path::PathBuf;

/// Why something about signatures cannot be used, or a catalog is not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read or written.
    #[error("{}: {reason}", .file.display())]
    File {
        /// Which file.
        file: PathBuf,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// A text is not what it should be: a key, a date, a reason.
    #[error("{0}")]
    Text(String),
    /// A signature or a revocation list is malformed, or was not signed by whom it names.
    #[error("{name}: {reason}")]
    Attachment {
        /// The file below the catalog's folder.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A policy that cannot be used.
    #[error("policy {}: {reason}", .file.display())]
    Policy {
        /// Its file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Too few signatures count.
    #[error("the catalog's root {root:.12}… has {found} of {needed} signatures that the policy asks for ({})", .details.join("; "))]
    Unsigned {
        /// The catalog's root.
        root: String,
        /// How many count.
        found: usize,
        /// How many are needed.
        needed: usize,
        /// Per accepted signer, why its signature does not count.
        details: Vec<String>,
    },
    /// The root was revoked.
    #[error("the catalog's root {root:.12}… is revoked by {by}: {reason}")]
    RevokedRoot {
        /// The catalog's root.
        root: String,
        /// Who revoked it.
        by: String,
        /// Why.
        reason: String,
    },
    /// An entry was revoked.
    #[error("entry {name} ({digest:.12}…) is revoked by {by}: {reason}")]
    RevokedEntry {
        /// Its name.
        name: String,
        /// Its digest.
        digest: String,
        /// Who revoked it.
        by: String,
        /// Why.
        reason: String,
    },
}

impl Error {
    /// Whether the input is fine but what it claims does not hold: a catalog that is not accepted or was damaged.
    pub fn is_refusal(&self) -> bool {
        !matches!(self, Error::File { .. } | Error::Text(_) | Error::Policy { .. })
    }
}

/// Result of reading keys, signatures and policies.
pub type Result<T> = std::result::Result<T, Error>;

/// Lower-case hexadecimal digits.
fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Exactly `N` bytes from lower-case hexadecimal digits, the only spelling.
fn from_hexadecimal<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
        return None;
    }
    let mut bytes = [0; N];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(bytes)
}

fn digest_of(word: &str) -> std::result::Result<Digest, String> {
    Digest::parse(word).ok_or_else(|| "a digest has 64 lower-case hexadecimal digits".to_owned())
}

#[cfg(test)]
mod tests;
