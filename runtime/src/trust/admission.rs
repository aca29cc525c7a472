//! The decision: does this catalog carry what the policy asks for, and what of it is withdrawn.
//!
//! Revocations that count are the policy's own and those in the lists of accepted signers whom the policy itself does
//! not revoke. A signer revoked by another's list no longer counts towards the signatures, but its own list still
//! denies: so the outcome depends on no order, and two signers that revoke each other are both out. A stolen key can
//! therefore deny service until the party revokes it in its policy; it can never admit anything alone where two are
//! needed.
//!
//! A list of an accepted signer that is there but damaged, or older than the policy asks for, is a refusal: dropping it
//! silently would be what an attacker wants.

use super::{Beside, Error, Policy, Reason, Result, SignerKey, Subject};
use catalogs::Digest;
use std::collections::BTreeMap;

/// A signature that counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Accepted {
    /// What the policy calls the signer.
    pub name: String,
    /// Its key.
    pub key: SignerKey,
}

/// A signer of the policy whose signature does not count, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ignored {
    /// What the policy calls the signer.
    pub name: String,
    /// Why.
    pub reason: String,
}

#[derive(Clone, Debug)]
struct Withdrawal {
    by: String,
    reason: Reason,
}

/// A root that a policy accepts, and the revocations that count. Only [`Policy::admit`] makes one.
#[derive(Clone, Debug)]
pub struct Admission {
    root: Digest,
    accepted: Vec<Accepted>,
    ignored: Vec<Ignored>,
    revoked: BTreeMap<Subject, Withdrawal>,
}

impl Policy {
    /// Whether the catalog with this root, and with these files beside it, is accepted.
    ///
    /// # Errors
    /// [`Error::Unsigned`], [`Error::RevokedRoot`], or a damaged revocation list of an accepted signer.
    pub fn admit(&self, root: Digest, beside: &Beside) -> Result<Admission> {
        let revoked = self.revocations(beside)?;
        if let Some(withdrawal) = revoked.get(&Subject::Root(root)) {
            let (by, reason) = (withdrawal.by.clone(), withdrawal.reason.to_string());
            return Err(Error::RevokedRoot { root: root.to_string(), by, reason });
        }
        let (mut accepted, mut ignored) = (Vec::new(), Vec::new());
        // One look-up per accepted key, and a policy names each key once: nobody counts twice.
        for signer in &self.signers {
            let verdict = match revoked.get(&Subject::Signer(signer.key)) {
                Some(withdrawal) => Err(format!("revoked by {}: {}", withdrawal.by, withdrawal.reason)),
                None => self.signature_counts(&signer.key, root, beside),
            };
            match verdict {
                Ok(()) => accepted.push(Accepted { name: signer.name.clone(), key: signer.key }),
                Err(reason) => ignored.push(Ignored { name: signer.name.clone(), reason }),
            }
        }
        if accepted.len() < self.minimum_signatures {
            let details = ignored.iter().map(|ignored| format!("{}: {}", ignored.name, ignored.reason)).collect();
            let (found, needed) = (accepted.len(), self.minimum_signatures);
            return Err(Error::Unsigned { root: root.to_string(), found, needed, details });
        }
        Ok(Admission { root, accepted, ignored, revoked })
    }

    fn signature_counts(&self, key: &SignerKey, root: Digest, beside: &Beside) -> std::result::Result<(), String> {
        let signature = beside.signature(key).map_err(|error| error.to_string())?;
        let signature = signature.ok_or_else(|| "has not signed".to_owned())?;
        if signature.root != root {
            return Err(format!("has signed another root, {}…", signature.root.short()));
        }
        match (self.not_before, signature.date) {
            (Some(least), None) => Err(format!("its signature has no date, the policy asks for {least} or later")),
            (Some(least), Some(date)) if date < least => {
                Err(format!("its signature is of {date}, the policy asks for {least} or later"))
            }
            _ => Ok(()),
        }
    }

    /// Everything that is revoked for this policy; its own reasons first, then those of the first signer.
    fn revocations(&self, beside: &Beside) -> Result<BTreeMap<Subject, Withdrawal>> {
        let own = |reason: &Reason| Withdrawal { by: "the policy".into(), reason: reason.clone() };
        let mut revoked: BTreeMap<Subject, Withdrawal> =
            self.revoked.iter().map(|(subject, reason)| (*subject, own(reason))).collect();
        for signer in self.signers.iter().filter(|signer| !self.revoked.contains_key(&Subject::Signer(signer.key))) {
            let list = beside.revocations(&signer.key)?;
            let serial = list.as_ref().map_or(0, |list| list.serial);
            if serial < signer.least_serial {
                return Err(Error::Attachment {
                    name: super::Attachment::Revocations.name(&signer.key),
                    reason: format!(
                        "{} has serial number {serial}, the policy asks for {} or later: fetch the newer list",
                        signer.name, signer.least_serial
                    ),
                });
            }
            for (subject, reason) in list.into_iter().flat_map(|list| list.revoked) {
                revoked.entry(subject).or_insert_with(|| Withdrawal { by: signer.name.clone(), reason });
            }
        }
        Ok(revoked)
    }
}

impl Admission {
    /// The root that is accepted.
    pub fn root(&self) -> Digest {
        self.root
    }

    /// The signatures that count.
    pub fn accepted(&self) -> &[Accepted] {
        &self.accepted
    }

    /// Signers of the policy whose signatures do not count.
    pub fn ignored(&self) -> &[Ignored] {
        &self.ignored
    }

    /// Refuses an entry that was revoked.
    pub fn check_entry(&self, name: &str, digest: Digest) -> Result<()> {
        match self.revoked.get(&Subject::Entry(digest)) {
            None => Ok(()),
            Some(withdrawal) => Err(Error::RevokedEntry {
                name: name.to_owned(),
                digest: digest.to_string(),
                by: withdrawal.by.clone(),
                reason: withdrawal.reason.to_string(),
            }),
        }
    }
}
