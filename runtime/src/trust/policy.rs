//! Whose signatures a party accepts: a TOML file of its own.

use super::revocation::{Reason, Subject};
use super::{Date, Error, Result, SignerKey, digest_of};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// No policy is longer, in bytes.
const POLICY_BYTES_MAX: u64 = 1 << 20;

/// A signer that a policy accepts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AcceptedSigner {
    /// What this party calls it.
    pub name: String,
    /// Its key.
    pub key: SignerKey,
    /// Its revocation list must be there with at least this serial number; 0 asks for none.
    pub least_serial: u64,
}

/// Whose signatures count, how many are needed, and what is refused whoever signed it.
///
/// ```toml
/// version = 1
/// minimum_signatures = 2                # of different accepted, unrevoked signers
/// not_before = "2026-11-01"             # optional: earlier and undated signatures do not count
///
/// [[signer]]
/// name = "release"
/// key = "…"                             # 64 hexadecimal digits, as in the file that `keygen` puts beside a key
/// least_serial = 1                      # optional: its revocation list must have reached this serial number
///
/// [[signer]]
/// name = "auditor"
/// key = "…"
///
/// [[revoked]]                           # optional: `entry` (a digest), `root` or `signer`
/// entry = "…"
/// reason = "superseded"
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy {
    /// Accepted signers, each key once.
    pub signers: Vec<AcceptedSigner>,
    /// How many of them must have signed: at least one.
    pub minimum_signatures: usize,
    /// Earlier and undated signatures do not count.
    pub not_before: Option<Date>,
    /// Refused by the policy itself, with the reason.
    pub revoked: BTreeMap<Subject, Reason>,
    /// The file, for messages.
    pub file: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    version: u32,
    minimum_signatures: usize,
    not_before: Option<String>,
    #[serde(default)]
    signer: Vec<RawSigner>,
    #[serde(default)]
    revoked: Vec<RawRevoked>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSigner {
    name: String,
    key: String,
    #[serde(default)]
    least_serial: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRevoked {
    entry: Option<String>,
    root: Option<String>,
    signer: Option<String>,
    reason: String,
}

impl Policy {
    /// Reads and checks a policy's file.
    pub fn read(file: &Path) -> Result<Policy> {
        let refuse = |reason: String| Error::Policy { file: file.to_owned(), reason };
        let metadata = std::fs::metadata(file).map_err(|error| refuse(error.to_string()))?;
        if !metadata.is_file() || metadata.len() > POLICY_BYTES_MAX {
            return Err(refuse(format!("not a file of at most {POLICY_BYTES_MAX} bytes")));
        }
        let text = std::fs::read_to_string(file).map_err(|error| refuse(error.to_string()))?;
        Policy::parse(&text, file)
    }

    /// Checks a policy's text; `file` is named in messages.
    pub fn parse(text: &str, file: &Path) -> Result<Policy> {
        let refuse = |reason: String| Error::Policy { file: file.to_owned(), reason };
        let raw: Raw = toml::from_str(text).map_err(|error| refuse(error.to_string()))?;
        if raw.version != 1 {
            return Err(refuse(format!("version {} is not known; this program reads version 1", raw.version)));
        }
        let (mut signers, mut keys) = (Vec::new(), BTreeSet::new());
        for signer in raw.signer {
            let key = SignerKey::parse(&signer.key).map_err(|error| refuse(format!("`signer.key`: {error}")))?;
            let named = Reason::parse(&signer.name).is_ok();
            if !named {
                return Err(refuse("`signer.name` needs 1 to 200 printable ASCII characters".into()));
            }
            if !keys.insert(key) {
                return Err(refuse(format!("`signer.key` {key} is given twice; a signer counts once")));
            }
            signers.push(AcceptedSigner { name: signer.name, key, least_serial: signer.least_serial });
        }
        let mut revoked = BTreeMap::new();
        for item in raw.revoked {
            let (subject, reason) = subject(item).map_err(|reason| refuse(format!("`revoked`: {reason}")))?;
            revoked.insert(subject, reason);
        }
        let not_before = raw.not_before.as_deref().map(Date::parse).transpose();
        let not_before = not_before.map_err(|error| refuse(format!("`not_before`: {error}")))?;
        let usable = signers.iter().filter(|signer| !revoked.contains_key(&Subject::Signer(signer.key))).count();
        let minimum_signatures = raw.minimum_signatures;
        if !(1..=usable).contains(&minimum_signatures) {
            return Err(refuse(format!(
                "`minimum_signatures` is {minimum_signatures}, but there are {usable} accepted signers that the policy \
                 does not revoke; use 1 to as many"
            )));
        }
        Ok(Policy { signers, minimum_signatures, not_before, revoked, file: file.to_owned() })
    }
}

fn subject(item: RawRevoked) -> std::result::Result<(Subject, Reason), String> {
    let reason = Reason::parse(&item.reason).map_err(|error| error.to_string())?;
    let subject = match (item.entry, item.root, item.signer) {
        (Some(digest), None, None) => Subject::Entry(digest_of(&digest)?),
        (None, Some(digest), None) => Subject::Root(digest_of(&digest)?),
        (None, None, Some(key)) => Subject::Signer(SignerKey::parse(&key).map_err(|error| error.to_string())?),
        _ => return Err("give exactly one of `entry`, `root` and `signer`".into()),
    };
    Ok((subject, reason))
}
