//! The mesh over TCP with mutual TLS 1.3.
//!
//! One connection for each pair of parties, two threads for each connection (one sends, one
//! receives), so that two parties can send each other long frames at once. Small frames leave at
//! once (no delay of TCP). The record protection is rustls's over *ring*.

mod link;
mod meet;
mod pin;

use std::{fmt, sync::Arc};

use ring::digest;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::{
    Digest, Error, Limits, Mesh, PARTIES_MAX, Party, Result, Shaping, Terms,
    agreement::{self, Agreement},
    mailbox::Mailbox,
    mesh::Outbox,
    shaping,
    traffic::Counters,
};
use crate::random::Key;

/// A party's own certificate and private key.
pub struct Identity {
    certificate: CertificateDer<'static>,
    private_key: PrivateKeyDer<'static>,
}

impl Identity {
    /// A certificate with its private key. That they belong together is checked when connecting.
    pub fn new(certificate: CertificateDer<'static>, private_key: PrivateKeyDer<'static>) -> Self {
        Self { certificate, private_key }
    }

    /// SHA-256 fingerprint of the certificate.
    pub fn fingerprint(&self) -> Digest {
        fingerprint(&self.certificate)
    }
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self { certificate: self.certificate.clone(), private_key: self.private_key.clone_key() }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.fingerprint())
    }
}

/// Another party: where it is and who it is.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its index.
    pub party: Party,
    /// Its host and port. Used if its index is lower than this party's: the lower index listens.
    pub address: String,
    /// Its certificate; anything else is refused.
    pub certificate: CertificateDer<'static>,
}

/// One party's place in the network.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Its index.
    pub me: Party,
    /// Host and port where it listens. Not used by the party with the highest index.
    pub listen: String,
    /// Its certificate and private key.
    pub identity: Identity,
    /// All other parties, in any order.
    pub peers: Vec<Peer>,
}

impl Endpoint {
    /// Number of parties.
    fn parties(&self) -> usize {
        self.peers.len() + 1
    }

    /// Certificates by index, own one included.
    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>> {
        let parties = self.parties();
        if !(2..=usize::from(PARTIES_MAX)).contains(&parties) {
            let reason = format!("{parties} parties are configured, use 2 to {PARTIES_MAX}");
            return Err(Error::Configuration(reason));
        }
        let mut certificates = vec![None; parties];
        let mine = (self.me, &self.identity.certificate);
        let theirs = self.peers.iter().map(|peer| (peer.party, &peer.certificate));
        for (party, certificate) in std::iter::once(mine).chain(theirs) {
            let reason = match certificates.get_mut(party.index()) {
                Some(slot @ None) => {
                    *slot = Some(certificate.clone());
                    continue;
                }
                Some(Some(_)) => format!("{party} is configured twice"),
                None => format!("{party} does not exist among {parties} parties, count from 0"),
            };
            return Err(Error::Configuration(reason));
        }
        let certificates: Vec<_> = certificates.into_iter().flatten().collect();
        for (index, certificate) in certificates.iter().enumerate() {
            if certificates[..index].contains(certificate) {
                let party = Party(index as u8);
                let reason = format!("the certificate of {party} is also another party's");
                return Err(Error::Configuration(reason));
            }
        }
        Ok(certificates)
    }
}

/// SHA-256 of the certificate's DER, as `openssl x509 -fingerprint -sha256` prints it.
pub fn fingerprint(certificate: &CertificateDer<'_>) -> Digest {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest::digest(&digest::SHA256, certificate).as_ref());
    Digest(bytes)
}

/// Finds all peers, checks who they are, and agrees on the session. Returns within
/// [`Limits::connect`] plus what the agreement takes, at most [`Limits::receive`] for each step.
pub fn connect(endpoint: &Endpoint, terms: &Terms, limits: Limits, shaping: Option<Shaping>) -> Result<Mesh> {
    let certificates = endpoint.certificates()?;
    let parties = endpoint.parties() as u8;
    terms.check(endpoint.parties())?;
    let shaping = shaping.map(Shaping::check).transpose().map_err(|reason| {
        let name = "given to connect".into();
        Error::Shaping { name, reason }
    })?;
    if shaping.is_some() {
        // Before the threads are started that send.
        shaping::wake_in_time();
    }
    let counters = Arc::new(Counters::new(parties));
    let mailbox = Arc::new(Mailbox::new(parties));
    let joined = meet::all(endpoint, limits, &counters)?;

    let mut secrets = vec![None; usize::from(parties)];
    let mut outboxes: Vec<Option<Box<dyn Outbox>>> = (0..parties).map(|_| None).collect();
    let own = endpoint.identity.fingerprint();
    for connection in joined {
        let index = connection.peer.index();
        secrets[index] = Some(connection.secret.clone());
        let link = link::start(connection, own, limits, mailbox.clone(), counters.clone())?;
        outboxes[index] = Some(Box::new(link));
    }
    let mut mesh = Mesh::new(endpoint.me, outboxes, mailbox, counters, limits, shaping);
    let fingerprints: Vec<Digest> = certificates.iter().map(fingerprint).collect();
    let identities = agreement::identities(&fingerprints);
    let contribution = Key::fresh()?;
    let agreement = Agreement::greet(&mut mesh, terms, identities, *contribution.bytes());
    let session = agreement.confirm(&mut mesh)?;
    agreement::conclude(&mut mesh, session, secrets)?;
    Ok(mesh)
}

#[cfg(test)]
mod tests;
