//! Key pairs and self-signed certificates (Ed25519).

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ED25519};
use zeroize::Zeroizing;

use super::{Error, Result};
use crate::transport::{Digest, tls};

/// The files of one party's identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFiles {
    /// Whose.
    pub name: String,
    /// Certificate (PEM), for the other parties.
    pub certificate: PathBuf,
    /// Private key (PEM), readable by its owner only. Never leaves its party.
    pub private_key: PathBuf,
    /// SHA-256 fingerprint of the certificate, to be compared over another channel.
    pub fingerprint: Digest,
}

struct Fresh {
    files: KeyFiles,
    certificate: String,
    private_key: Zeroizing<String>,
}

/// Makes `NAME.certificate.pem` and `NAME.private-key.pem` in `folder` for each name.
///
/// Nothing is overwritten: if one of the files exists, none is written. If writing fails midway,
/// what was written is removed again.
pub fn generate(folder: &Path, names: &[&str]) -> Result<Vec<KeyFiles>> {
    for (index, name) in names.iter().enumerate() {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let usable = (1..=64).contains(&name.len()) && name.bytes().all(plain);
        if !usable || names[..index].contains(name) {
            return Err(Error::Name((*name).into()));
        }
    }
    let fresh: Vec<Fresh> = names.iter().map(|name| make(folder, name)).collect::<Result<_>>()?;
    for Fresh { files, .. } in &fresh {
        for file in [&files.certificate, &files.private_key] {
            if file.symlink_metadata().is_ok() {
                return Err(Error::Exists(file.clone()));
            }
        }
    }
    fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))?;
    let mut written = Vec::new();
    for Fresh { files, certificate, private_key } in &fresh {
        let result = write(&files.private_key, private_key, 0o600, &mut written)
            .and_then(|()| write(&files.certificate, certificate, 0o644, &mut written));
        if let Err(error) = result {
            for file in written {
                // The first error is the one to report.
                let _ = fs::remove_file(file);
            }
            return Err(error);
        }
    }
    Ok(fresh.into_iter().map(|fresh| fresh.files).collect())
}

fn make(folder: &Path, name: &str) -> Result<Fresh> {
    let failed = |error: rcgen::Error| Error::Certificate { name: name.into(), reason: error.to_string() };
    let key_pair = KeyPair::generate_for(&PKCS_ED25519).map_err(failed)?;
    let mut parameters = CertificateParams::new(Vec::<String>::new()).map_err(failed)?;
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, name);
    let certificate = parameters.self_signed(&key_pair).map_err(failed)?;
    let files = KeyFiles {
        name: name.into(),
        certificate: folder.join(format!("{name}.certificate.pem")),
        private_key: folder.join(format!("{name}.private-key.pem")),
        fingerprint: tls::fingerprint(certificate.der()),
    };
    Ok(Fresh { files, certificate: certificate.pem(), private_key: Zeroizing::new(key_pair.serialize_pem()) })
}

fn unwritable(file: &Path, error: &std::io::Error) -> Error {
    let (file, reason) = (file.to_owned(), error.to_string());
    Error::Write { file, reason }
}

fn write(file: &Path, text: &str, mode: u32, written: &mut Vec<PathBuf>) -> Result<()> {
    let mut target = create(file, mode).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Error::Exists(file.to_owned()),
        _ => unwritable(file, &error),
    })?;
    written.push(file.to_owned());
    target.write_all(text.as_bytes()).and_then(|()| target.sync_all()).map_err(|error| unwritable(file, &error))
}

fn create(file: &Path, mode: u32) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    options.open(file)
}
