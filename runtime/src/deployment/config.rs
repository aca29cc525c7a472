//! The configuration file of one party.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use serde::{Deserialize, Serialize};

use super::{Error, Result, read};
use crate::transport::{
    Digest, Limits, PARTIES_MAX, Party, Shaping, SideBySide, Terms,
    tls::{Endpoint, Identity, Peer},
};

/// Longest role or session name in bytes, as the parties compare them.
const NAME_BYTES_MAX: usize = 64;
const SECONDS_MAX: f64 = 86_400.0;

/// Who owns what. Owners may coincide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Owners {
    /// The party whose parameters are used.
    pub model: Party,
    /// The party whose data is classified.
    pub input: Party,
    /// The party that learns the result.
    pub output: Party,
}

/// Another party.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerConfig {
    /// Its index.
    pub party: Party,
    /// Its role, as it calls itself.
    pub role: String,
    /// Its host and port. Needed if its index is lower than this party's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// File with its certificate (PEM).
    pub certificate: PathBuf,
}

/// One party of a deployment, as a TOML file.
///
/// ```toml
/// session = "digits"
/// party = 1
/// role = "data"
/// listen = "0.0.0.0:7101"               # not needed by the party with the highest index
/// certificate = "data.certificate.pem"
/// private_key = "data.private-key.pem"  # readable by its owner only
/// plan = "digits.plan.toml"
/// input = "images.npz"                  # given by the owner of the input, and only there
/// output = "scores.npz"                 # given by the owner of the output, and only there
/// policy = "policy.toml"                # optional: whose signatures the catalog needs (see `trust::Policy`)
/// connect_seconds = 60.0                # optional, default 30
/// receive_seconds = 120.0               # optional, default 60
/// side_by_side = 2                      # optional, by default the plan's: the most runs at once; the same everywhere
///
/// [owners]
/// model = 0
/// input = 1
/// output = 1
///
/// [[peer]]
/// party = 0
/// role = "model"
/// address = "model.example.org:7100"
/// certificate = "model.certificate.pem"
///
/// [[peer]]
/// party = 2
/// role = "helper"
/// certificate = "helper.certificate.pem"
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartyConfig {
    /// Name of the session, the same at all parties.
    pub session: String,
    /// Index of this party, from 0.
    pub party: Party,
    /// Role of this party.
    pub role: String,
    /// Host and port where this party listens. Needed unless its index is the highest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<String>,
    /// File with this party's certificate (PEM).
    pub certificate: PathBuf,
    /// File with its private key (PEM).
    pub private_key: PathBuf,
    /// File with the plan.
    pub plan: PathBuf,
    /// File with the model. Needed by its owner; elsewhere it may be given without parameters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<PathBuf>,
    /// File with the input: at its owner, and only there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<PathBuf>,
    /// File for the output: at its owner, and only there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<PathBuf>,
    /// File with the policy that the catalog must satisfy (see [`crate::trust::Policy`]). Each party has its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PathBuf>,
    /// A network to imitate: `lan`, `wan` or a TOML file (see [`Shaping`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// Seconds for all parties to find each other.
    #[serde(default = "default_connect_seconds")]
    pub connect_seconds: f64,
    /// Seconds to wait for a peer of which something is expected.
    #[serde(default = "default_receive_seconds")]
    pub receive_seconds: f64,
    /// The most runs that this party executes side by side; by default as many as the plan says. The input's owner announces
    /// its own number, and a party with a smaller one refuses: every party holds the values of all of them, and a peer may
    /// be silent for as many times as long, which `receive_seconds` has to allow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub side_by_side: Option<SideBySide>,
    /// Longest payload of one frame in bytes.
    #[serde(default = "default_frame_bytes_max")]
    pub frame_bytes_max: u64,
    /// Who owns what.
    pub owners: Owners,
    /// All other parties.
    #[serde(rename = "peer")]
    pub peers: Vec<PeerConfig>,
    /// The file this was read from, for messages.
    #[serde(skip)]
    pub file: PathBuf,
}

fn default_connect_seconds() -> f64 {
    Limits::default().connect.as_secs_f64()
}

fn default_receive_seconds() -> f64 {
    Limits::default().receive.as_secs_f64()
}

fn default_frame_bytes_max() -> u64 {
    Limits::default().frame_bytes_max
}

impl PartyConfig {
    /// Reads and checks a configuration file. Relative paths become relative to its folder.
    pub fn read(file: &Path) -> Result<Self> {
        let text = read(file)?;
        let mut config: Self = toml::from_str(&text)
            .map_err(|error| Error::Syntax { file: file.to_owned(), reason: error.to_string() })?;
        config.file = file.to_owned();
        config.check()?;
        config.resolve();
        Ok(config)
    }

    /// The files that a party with this configuration reads, this one among them.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let own = [&self.file, &self.certificate, &self.private_key, &self.plan];
        let optional = self.model.iter().chain(&self.input).chain(&self.policy);
        let peers = self.peers.iter().map(|peer| &peer.certificate);
        let network = self.network.iter().filter(|name| !["lan", "wan"].contains(&name.as_str())).map(Path::new);
        own.into_iter().chain(optional).chain(peers).map(PathBuf::as_path).chain(network)
    }

    /// Checks this configuration and writes it to its file.
    pub fn write(&self) -> Result<()> {
        self.check()?;
        let refuse = |reason| Error::Write { file: self.file.clone(), reason };
        let text = toml::to_string(self).map_err(|error| refuse(error.to_string()))?;
        std::fs::write(&self.file, text).map_err(|error| refuse(error.to_string()))
    }

    /// Number of parties.
    pub fn parties(&self) -> u8 {
        u8::try_from(self.peers.len() + 1).unwrap_or(u8::MAX)
    }

    /// The bounds on time and size.
    pub fn limits(&self) -> Limits {
        Limits {
            connect: Duration::from_secs_f64(self.connect_seconds),
            receive: Duration::from_secs_f64(self.receive_seconds),
            frame_bytes_max: self.frame_bytes_max,
        }
    }

    /// The network to imitate, if any.
    pub fn shaping(&self) -> Result<Option<Shaping>> {
        Ok(self.network.as_deref().map(Shaping::named).transpose()?)
    }

    /// What all parties must have in common, for the plan with this digest.
    pub fn terms(&self, plan: Digest) -> Terms {
        let mut roles = vec![(self.party, self.role.clone())];
        roles.extend(self.peers.iter().map(|peer| (peer.party, peer.role.clone())));
        roles.sort();
        let Owners { model, input, output } = self.owners;
        let owners = format!("model {}, input {}, output {}", model.0, input.0, output.0);
        Terms { session: self.session.clone(), roles: roles.into_iter().map(|(_, role)| role).collect(), owners, plan }
    }

    /// This party's place in the network, with keys and certificates read from their files.
    pub fn endpoint(&self) -> Result<Endpoint> {
        self.check()?;
        let certificate = self.certificate("certificate", &self.certificate)?;
        let identity = Identity::new(certificate, self.private_key()?);
        let mut peers = Vec::new();
        for peer in &self.peers {
            let field = format!("peer.certificate of {}", peer.party);
            peers.push(Peer {
                party: peer.party,
                address: peer.address.clone().unwrap_or_default(),
                certificate: self.certificate(&field, &peer.certificate)?,
            });
        }
        let listen = self.listen.clone().unwrap_or_default();
        Ok(Endpoint { me: self.party, listen, identity, peers })
    }

    fn certificate(&self, field: &str, file: &Path) -> Result<CertificateDer<'static>> {
        let text = read(file)?;
        CertificateDer::from_pem_slice(text.as_bytes())
            .map_err(|error| self.refusal(field, format!("names {}, no PEM certificate: {error}", file.display())))
    }

    fn private_key(&self) -> Result<PrivateKeyDer<'static>> {
        let file = &self.private_key;
        self.check_private(file)?;
        let text = zeroize::Zeroizing::new(read(file)?);
        // The parser's own message could quote the file, so it is not passed on.
        PrivateKeyDer::from_pem_slice(text.as_bytes())
            .map_err(|_| self.refusal("private_key", format!("names {}, no PEM private key", file.display())))
    }

    #[cfg(unix)]
    fn check_private(&self, file: &Path) -> Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let metadata = std::fs::metadata(file)
            .map_err(|error| Error::Read { file: file.to_owned(), reason: error.to_string() })?;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 == 0 {
            return Ok(());
        }
        let file = file.display();
        let reason = format!("names {file}, which others can read (mode {mode:o}): chmod 600 {file}");
        Err(self.refusal("private_key", reason))
    }

    #[cfg(not(unix))]
    fn check_private(&self, _file: &Path) -> Result<()> {
        Ok(())
    }

    fn refusal(&self, field: &str, reason: impl Into<String>) -> Error {
        Error::Field { file: self.file.clone(), field: field.into(), reason: reason.into() }
    }

    fn check(&self) -> Result<()> {
        self.check_names()?;
        self.check_parties()?;
        self.check_addresses()?;
        self.check_files()?;
        for (field, seconds) in [("connect_seconds", self.connect_seconds), ("receive_seconds", self.receive_seconds)] {
            if !(0.001..=SECONDS_MAX).contains(&seconds) {
                let reason = format!("is {seconds}, use 0.001 to {SECONDS_MAX}");
                return Err(self.refusal(field, reason));
            }
        }
        if self.frame_bytes_max < 1 << 16 {
            let reason = format!("is {}, use at least 65536", self.frame_bytes_max);
            return Err(self.refusal("frame_bytes_max", reason));
        }
        Ok(())
    }

    fn check_names(&self) -> Result<()> {
        let own = [("session".to_owned(), &self.session), ("role".to_owned(), &self.role)];
        let theirs = self.peers.iter().map(|peer| (format!("peer.role of {}", peer.party), &peer.role));
        for (field, name) in own.into_iter().chain(theirs) {
            if name.is_empty() || name.len() > NAME_BYTES_MAX {
                let reason = format!("is {name:?}, use 1 to {NAME_BYTES_MAX} bytes");
                return Err(self.refusal(&field, reason));
            }
        }
        Ok(())
    }

    fn check_parties(&self) -> Result<()> {
        let count = self.peers.len() + 1;
        if !(2..=usize::from(PARTIES_MAX)).contains(&count) {
            let reason = format!("is given {} times, use 1 to {}", count - 1, PARTIES_MAX - 1);
            return Err(self.refusal("peer", reason));
        }
        let below = format!("count from 0 to {}", count - 1);
        let mut present = vec![false; count];
        let own = ("party", self.party);
        let theirs = self.peers.iter().map(|peer| ("peer.party", peer.party));
        for (field, party) in std::iter::once(own).chain(theirs) {
            match present.get_mut(party.index()) {
                Some(taken @ false) => *taken = true,
                Some(true) => {
                    return Err(self.refusal(field, format!("is {} twice, {below}", party.0)));
                }
                None => return Err(self.refusal(field, format!("is {}, {below}", party.0))),
            }
        }
        let Owners { model, input, output } = self.owners;
        for (field, owner) in [("owners.model", model), ("owners.input", input), ("owners.output", output)] {
            if owner.index() >= count {
                return Err(self.refusal(field, format!("is {}, {below}", owner.0)));
            }
        }
        Ok(())
    }

    fn check_addresses(&self) -> Result<()> {
        if self.party.index() < self.peers.len() {
            self.check_address("listen", self.listen.as_deref())?;
        }
        for peer in self.peers.iter().filter(|peer| peer.party < self.party) {
            let field = format!("peer.address of {}", peer.party);
            self.check_address(&field, peer.address.as_deref())?;
        }
        Ok(())
    }

    fn check_address(&self, field: &str, address: Option<&str>) -> Result<()> {
        let Some(address) = address else {
            return Err(self.refusal(field, "is missing, give host:port"));
        };
        let port = address.rsplit_once(':').map(|(host, port)| (host.is_empty(), port.parse()));
        match port {
            Some((false, Ok(1..=u16::MAX))) => Ok(()),
            _ => Err(self.refusal(field, format!("is {address:?}, give host:port"))),
        }
    }

    fn check_files(&self) -> Result<()> {
        let Owners { model, input, output } = self.owners;
        if model == self.party && self.model.is_none() {
            return Err(self.refusal("model", "is missing: this party owns the model"));
        }
        for (field, owner, file) in [("input", input, &self.input), ("output", output, &self.output)] {
            match (owner == self.party, file) {
                (true, None) => {
                    let reason = format!("is missing: this party owns the {field}");
                    return Err(self.refusal(field, reason));
                }
                (false, Some(_)) => {
                    let reason = format!("is given, but {owner} owns the {field}");
                    return Err(self.refusal(field, reason));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn resolve(&mut self) {
        let folder = self.file.parent().unwrap_or(Path::new("")).to_owned();
        let own = [&mut self.certificate, &mut self.private_key, &mut self.plan];
        let optional = [&mut self.model, &mut self.input, &mut self.output, &mut self.policy];
        let theirs = self.peers.iter_mut().map(|peer| &mut peer.certificate);
        for path in own.into_iter().chain(optional.into_iter().flatten()).chain(theirs) {
            *path = folder.join(&*path);
        }
        if let Some(network) = &mut self.network
            && !matches!(network.as_str(), "lan" | "wan")
        {
            *network = folder.join(&*network).display().to_string();
        }
    }
}
