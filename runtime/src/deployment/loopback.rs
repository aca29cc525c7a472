//! All parties of a session on one machine: fresh keys and one configuration file each.

use std::{
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
};

use super::{Error, Owners, PartyConfig, PeerConfig, Result, keys};
use crate::transport::{Limits, Party, SideBySide};

/// What the parties of a loopback session have in common.
#[derive(Clone, Debug)]
pub struct Loopback<'a> {
    /// Name of the session.
    pub session: &'a str,
    /// Role of each party, also the names of its files.
    pub roles: &'a [&'a str],
    /// Who owns what.
    pub owners: Owners,
    /// File with the plan.
    pub plan: &'a Path,
    /// File with the model, for its owner.
    pub model: &'a Path,
    /// File with the input, for its owner.
    pub input: &'a Path,
    /// File for the output, for its owner.
    pub output: &'a Path,
    /// File with the policy that every party's catalog must satisfy.
    pub policy: Option<&'a Path>,
    /// A network to imitate: `lan`, `wan` or a TOML file.
    pub network: Option<&'a str>,
    /// Runs that are executed side by side; as many as the plan says where nothing is given.
    pub side_by_side: Option<SideBySide>,
    /// Bounds on time and size.
    pub limits: Limits,
}

/// Makes keys and `ROLE.toml` for every party in `folder`, with addresses on loopback that were
/// free a moment ago. Returns the configuration files by index; start one process for each.
///
/// Paths are made absolute first, since the configuration's folder is another one.
pub fn loopback(folder: &Path, what: &Loopback<'_>) -> Result<Vec<PathBuf>> {
    let files = keys::generate(folder, what.roles)?;
    let addresses = free_addresses(what.roles.len())?;
    let names = what.roles.iter().zip(&files).zip(0..).map(|((role, files), party)| PeerConfig {
        party: Party(party),
        role: (*role).into(),
        address: Some(addresses[usize::from(party)].clone()),
        certificate: local_name(&files.certificate),
    });
    let everybody: Vec<PeerConfig> = names.collect();
    let mut configurations = Vec::new();
    for (own, files) in everybody.iter().zip(&files) {
        let owned = |owner: Party, file: &Path| (owner == own.party).then(|| absolute(file)).transpose();
        let config = PartyConfig {
            session: what.session.into(),
            party: own.party,
            role: own.role.clone(),
            listen: own.address.clone(),
            certificate: own.certificate.clone(),
            private_key: local_name(&files.private_key),
            plan: absolute(what.plan)?,
            model: owned(what.owners.model, what.model)?,
            input: owned(what.owners.input, what.input)?,
            output: owned(what.owners.output, what.output)?,
            policy: what.policy.map(absolute).transpose()?,
            network: what.network.map(network_name).transpose()?,
            connect_seconds: what.limits.connect.as_secs_f64(),
            receive_seconds: what.limits.receive.as_secs_f64(),
            side_by_side: what.side_by_side,
            frame_bytes_max: what.limits.frame_bytes_max,
            owners: what.owners,
            peers: everybody.iter().filter(|peer| peer.party != own.party).cloned().collect(),
            file: folder.join(format!("{}.toml", own.role)),
        };
        config.write()?;
        configurations.push(config.file);
    }
    Ok(configurations)
}

fn local_name(file: &Path) -> PathBuf {
    file.file_name().map(PathBuf::from).unwrap_or_default()
}

fn absolute(file: &Path) -> Result<PathBuf> {
    std::path::absolute(file).map_err(|error| Error::Read { file: file.to_owned(), reason: error.to_string() })
}

fn network_name(name: &str) -> Result<String> {
    match name {
        "lan" | "wan" => Ok(name.into()),
        file => Ok(absolute(Path::new(file))?.display().to_string()),
    }
}

/// All are held until the last is found, so that they differ.
fn free_addresses(count: usize) -> Result<Vec<String>> {
    let failed = |error: std::io::Error| Error::Port(error.to_string());
    let held: Vec<TcpListener> =
        (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)).collect::<Result<_>>()?;
    held.iter().map(|listener| Ok(listener.local_addr().map_err(failed)?.to_string())).collect()
}
