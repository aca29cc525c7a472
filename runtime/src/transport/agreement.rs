//! How the parties agree on what they do, before the first payload.
//!
//! Three steps over control frames: everybody greets everybody (version, terms, a contribution of
//! 256 bits), everybody compares, everybody confirms the session id that follows. The last step
//! finds what the comparison in pairs cannot: two parties that were told different contributions.

use std::fmt::Write;

use ring::hkdf;
use zeroize::Zeroizing;

use super::{Digest, Error, Mesh, Party, Result, Transport, control::Control};
use crate::random::{Key, SessionId};

/// Version of frames, greeting and key derivation. Parties with different ones refuse each other.
pub const PROTOCOL_VERSION: u16 = 4;

/// Longest name of a session or a role in bytes.
pub(crate) const NAME_BYTES_MAX: usize = 64;

const SESSION_PURPOSE: &str = "chebyshare 2026 session id";
const PAIR_PURPOSE: &[u8] = b"chebyshare 2026 pair key";

/// What all parties of a session must have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Name of the session, 1 to 64 bytes.
    pub session: String,
    /// The role of each party by index, 1 to 64 bytes each.
    pub roles: Vec<String>,
    /// Who owns model, input and output, in words, 1 to 64 bytes.
    pub owners: String,
    /// Digest of the plan, which covers model, graph, entries, choices and formats.
    pub plan: Digest,
}

/// Greeting of one party.
#[derive(Debug, PartialEq, Eq)]
struct Hello {
    version: u16,
    party: Party,
    identities: Digest,
    contribution: [u8; 32],
    terms: Terms,
}

impl Hello {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = self.version.to_le_bytes().to_vec();
        bytes.push(self.party.0);
        bytes.extend(self.identities.0);
        bytes.extend(self.contribution);
        bytes.extend(self.terms.plan.0);
        bytes.push(self.terms.roles.len() as u8);
        let names = [&self.terms.session, &self.terms.owners].into_iter();
        let names = names.chain(&self.terms.roles);
        for name in names {
            bytes.push(name.len() as u8);
            bytes.extend(name.as_bytes());
        }
        bytes
    }

    fn decode(mut bytes: &[u8]) -> Option<Self> {
        let version = u16::from_le_bytes(*take(&mut bytes)?);
        let [party] = *take(&mut bytes)?;
        let identities = Digest(*take(&mut bytes)?);
        let contribution = *take(&mut bytes)?;
        let plan = Digest(*take(&mut bytes)?);
        let [roles] = *take(&mut bytes)?;
        let session = take_name(&mut bytes)?;
        let owners = take_name(&mut bytes)?;
        let roles = (0..roles).map(|_| take_name(&mut bytes)).collect::<Option<_>>()?;
        bytes.is_empty().then_some(Self {
            version,
            party: Party(party),
            identities,
            contribution,
            terms: Terms { session, roles, owners, plan },
        })
    }
}

fn take<'a, const N: usize>(bytes: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (head, tail) = bytes.split_first_chunk()?;
    *bytes = tail;
    Some(head)
}

fn take_name(bytes: &mut &[u8]) -> Option<String> {
    let [length] = *take(bytes)?;
    let (name, tail) = bytes.split_at_checked(usize::from(length))?;
    *bytes = tail;
    (name.len() <= NAME_BYTES_MAX).then(|| String::from_utf8(name.to_vec()).ok()).flatten()
}

impl Terms {
    pub(super) fn check(&self, parties: usize) -> Result<()> {
        let refuse = |reason| Err(Error::Configuration(reason));
        if self.roles.len() != parties {
            let roles = self.roles.len();
            return refuse(format!("{roles} roles are named for {parties} parties"));
        }
        for name in [&self.session, &self.owners].into_iter().chain(&self.roles) {
            if name.is_empty() || name.len() > NAME_BYTES_MAX {
                return refuse(format!("name {name:?} must have 1 to {NAME_BYTES_MAX} bytes"));
            }
        }
        Ok(())
    }
}

/// One party's side of the agreement. The steps are separate so that all parties of one process
/// can take them in turn.
pub(super) struct Agreement {
    mine: Hello,
    contributions: Vec<[u8; 32]>,
}

impl Agreement {
    /// Greets all peers.
    pub(super) fn greet(mesh: &mut Mesh, terms: &Terms, identities: Digest, contribution: [u8; 32]) -> Self {
        let mine =
            Hello { version: PROTOCOL_VERSION, party: mesh.me(), identities, contribution, terms: terms.clone() };
        let hello = Control::Hello(mine.encode());
        for peer in mesh.peers() {
            mesh.put_control(peer, &hello);
        }
        let contributions = vec![contribution; usize::from(mesh.parties())];
        Self { mine, contributions }
    }

    /// Reads all greetings, compares them, and confirms the session that follows.
    pub(super) fn confirm(mut self, mesh: &mut Mesh) -> Result<SessionId> {
        match self.hear(mesh) {
            Ok(()) => {}
            Err(error) => return mesh.failed(error),
        }
        let session = self.session();
        for peer in mesh.peers() {
            mesh.put_control(peer, &Control::Confirm(session.0));
        }
        Ok(session)
    }

    /// Where a peer has aborted, the other greetings are still read: a difference found here says
    /// more than the abort it caused elsewhere.
    fn hear(&mut self, mesh: &mut Mesh) -> Result<()> {
        let mut aborted = Ok(());
        for peer in mesh.peers() {
            match self.hear_one(mesh, peer) {
                Ok(contribution) => self.contributions[peer.index()] = contribution,
                Err(error @ Error::Aborted { .. }) => aborted = Err(error),
                Err(error) => return Err(error),
            }
        }
        aborted
    }

    fn hear_one(&self, mesh: &mut Mesh, peer: Party) -> Result<[u8; 32]> {
        let malformed = || {
            let reason = "it is no greeting of this protocol".into();
            Error::Malformed { peer, reason }
        };
        let Some(Control::Hello(bytes)) = mesh.take_control(peer)? else {
            return Err(malformed());
        };
        if let Some(version) = bytes.first_chunk() {
            let (mine, theirs) = (self.mine.version, u16::from_le_bytes(*version));
            compare(peer, "protocol version", mine, theirs, u16::to_string)?;
        }
        let theirs = Hello::decode(&bytes).ok_or_else(malformed)?;
        self.compare(peer, &theirs)?;
        Ok(theirs.contribution)
    }

    fn compare(&self, peer: Party, theirs: &Hello) -> Result<()> {
        let mine = &self.mine;
        compare(peer, "index of that party", peer, theirs.party, Party::to_string)?;
        let (a, b) = (&mine.terms, &theirs.terms);
        compare(peer, "session name", &a.session, &b.session, |name| format!("{name:?}"))?;
        compare(peer, "roles of the parties", &a.roles, &b.roles, |roles| format!("{roles:?}"))?;
        compare(peer, "owners", &a.owners, &b.owners, |owners| format!("{owners:?}"))?;
        compare(peer, "plan digest", a.plan, b.plan, Digest::to_string)?;
        compare(
            peer,
            "certificates of the parties (digest of all fingerprints)",
            mine.identities,
            theirs.identities,
            Digest::to_string,
        )
    }

    /// A hash of all that was agreed. Everything in it is the same at every party, except each
    /// one's own knowledge of the contributions, which confirming compares.
    fn session(&self) -> SessionId {
        let mut hasher = blake3::Hasher::new_derive_key(SESSION_PURPOSE);
        let common = Hello {
            version: self.mine.version,
            party: Party(0),
            identities: self.mine.identities,
            contribution: [0; 32],
            terms: self.mine.terms.clone(),
        };
        let common = common.encode();
        hasher.update(&(common.len() as u64).to_le_bytes());
        hasher.update(&common);
        self.contributions.iter().for_each(|contribution| {
            hasher.update(contribution);
        });
        SessionId(*hasher.finalize().as_bytes())
    }
}

/// Waits for all confirmations of `session`, then makes the pair keys from the secrets of the
/// connections (by index, none at the party itself).
pub(super) fn conclude(mesh: &mut Mesh, session: SessionId, secrets: Vec<Option<Key>>) -> Result<()> {
    match confirmations(mesh, session) {
        Ok(()) => {}
        Err(error) => return mesh.failed(error),
    }
    let me = mesh.me();
    mesh.session = session;
    let pairs = secrets.iter().zip(0..);
    mesh.keys =
        pairs.map(|(secret, peer)| secret.as_ref().map(|secret| pair_key(&session, secret, me, Party(peer)))).collect();
    Ok(())
}

fn confirmations(mesh: &mut Mesh, session: SessionId) -> Result<()> {
    for peer in mesh.peers() {
        let Some(Control::Confirm(theirs)) = mesh.take_control(peer)? else {
            let reason = "it is no confirmation of a session".into();
            return Err(Error::Malformed { peer, reason });
        };
        compare(peer, "session id", session, SessionId(theirs), SessionId::to_string)?;
    }
    Ok(())
}

fn compare<T: PartialEq>(
    peer: Party,
    what: &'static str,
    mine: T,
    theirs: T,
    print: impl Fn(&T) -> String,
) -> Result<()> {
    if mine == theirs {
        return Ok(());
    }
    let (mine, theirs) = (print(&mine), print(&theirs));
    Err(Error::Differs { peer, what, mine, theirs })
}

/// HKDF-SHA-256 as in the module's description.
fn pair_key(session: &SessionId, secret: &Key, a: Party, b: Party) -> Key {
    struct Bytes;
    impl hkdf::KeyType for Bytes {
        fn len(&self) -> usize {
            Key::BYTES
        }
    }
    let (low, high) = (a.min(b).0, a.max(b).0);
    let pseudorandom = hkdf::Salt::new(hkdf::HKDF_SHA256, &session.0).extract(secret.bytes());
    let mut key = Zeroizing::new([0; Key::BYTES]);
    pseudorandom
        .expand(&[PAIR_PURPOSE, &[low, high]], Bytes)
        .and_then(|output| output.fill(&mut *key))
        .expect("32 bytes are within what HKDF-SHA-256 can expand to");
    Key::from_bytes(*key)
}

/// One digest for all certificates, by index.
pub(super) fn identities(fingerprints: &[Digest]) -> Digest {
    let mut hasher = blake3::Hasher::new_derive_key("chebyshare 2026 identities of all parties");
    for fingerprint in fingerprints {
        hasher.update(&fingerprint.0);
    }
    Digest(*hasher.finalize().as_bytes())
}

impl Digest {
    /// The digest printed as 64 hexadecimal digits, if these are.
    pub fn parse(text: &str) -> Option<Self> {
        let mut digest = [0; 32];
        let digits = text.as_bytes();
        if digits.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        for (byte, pair) in digest.iter_mut().zip(digits.chunks(2)) {
            let pair = std::str::from_utf8(pair).ok()?;
            *byte = u8::from_str_radix(pair, 16).ok()?;
        }
        Some(Self(digest))
    }

    /// The first 8 bytes in hexadecimal, for people.
    pub fn short(&self) -> String {
        self.0[..8].iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").expect("writing to a string does not fail");
            text
        })
    }
}

/// The control frame by which `party` greets, for tests that misbehave afterwards.
#[cfg(test)]
pub(super) fn greeting(version: u16, party: Party, terms: &Terms, identities: Digest) -> Vec<u8> {
    let hello = Hello { version, party, identities, contribution: [6; 32], terms: terms.clone() };
    Control::Hello(hello.encode()).encode()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello() -> Hello {
        Hello {
            version: PROTOCOL_VERSION,
            party: Party(2),
            identities: Digest([3; 32]),
            contribution: [4; 32],
            terms: Terms {
                session: "s".into(),
                roles: vec!["a".repeat(NAME_BYTES_MAX), "b".into()],
                owners: "o".into(),
                plan: Digest([5; 32]),
            },
        }
    }

    #[test]
    fn every_truncation_and_extension_of_a_greeting_is_refused() {
        let bytes = hello().encode();
        assert_eq!(Hello::decode(&bytes), Some(hello()));
        for length in 0..bytes.len() {
            assert_eq!(Hello::decode(&bytes[..length]), None, "{length} bytes");
        }
        assert_eq!(Hello::decode(&[bytes.as_slice(), &[0]].concat()), None);
        let mut long = hello();
        long.terms.roles[0].push('a');
        assert_eq!(Hello::decode(&long.encode()), None);
        let mut binary = bytes;
        *binary.last_mut().unwrap() = 0xff;
        assert_eq!(Hello::decode(&binary), None);
    }

    #[test]
    fn the_session_depends_on_everything_agreed() {
        let session = |change: &dyn Fn(&mut Agreement)| {
            let contributions = vec![[1; 32], [2; 32], [3; 32]];
            let mut agreement = Agreement { mine: hello(), contributions };
            change(&mut agreement);
            agreement.session()
        };
        let base = session(&|_| {});
        // Who I am and my own part (it is among the contributions) make no difference.
        assert_eq!(base, session(&|a| a.mine.party = Party(0)));
        assert_eq!(base, session(&|a| a.mine.contribution = [9; 32]));
        let changes: [&dyn Fn(&mut Agreement); 8] = [
            &|a| a.mine.version += 1,
            &|a| a.mine.identities.0[0] ^= 1,
            &|a| a.mine.terms.session.push('x'),
            &|a| a.mine.terms.owners.push('x'),
            &|a| a.mine.terms.roles.swap(0, 1),
            &|a| a.mine.terms.plan.0[31] ^= 1,
            &|a| a.contributions[2][31] ^= 1,
            &|a| a.contributions.swap(0, 1),
        ];
        let mut seen = vec![base];
        for (index, change) in changes.iter().enumerate() {
            let changed = session(change);
            assert!(!seen.contains(&changed), "change {index} makes no difference");
            seen.push(changed);
        }
    }

    #[test]
    fn pair_keys_depend_on_session_secret_and_pair() {
        let key = |session: u8, secret: u8, a: u8, b: u8| {
            let secret = Key::from_bytes([secret; 32]);
            *pair_key(&SessionId([session; 32]), &secret, Party(a), Party(b)).bytes()
        };
        let base = key(1, 2, 0, 1);
        assert_eq!(base, key(1, 2, 1, 0));
        assert_ne!(base, key(2, 2, 0, 1));
        assert_ne!(base, key(1, 3, 0, 1));
        assert_ne!(base, key(1, 2, 0, 2));
        assert_ne!(base, key(1, 2, 1, 2));
    }

    #[test]
    fn digests_are_read_as_they_are_printed() {
        let digest = Digest(std::array::from_fn(|i| (i * 37) as u8));
        assert_eq!(Digest::parse(&digest.to_string()), Some(digest));
        assert_eq!(digest.short(), digest.to_string()[..16]);
        let text = digest.to_string();
        for bad in ["", &text[1..], &format!("{text}0"), &text.replacen('0', "g", 1), &text.replacen("00", "+0", 1)] {
            assert_eq!(Digest::parse(bad), None, "{bad}");
        }
    }
}
