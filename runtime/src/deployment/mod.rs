//! One party of a deployment: its configuration file and its keys.
//!
//! Establishes: a [`PartyConfig`] that was read has indices that fit together, owners that exist,
//! exactly the files that this party should have, and names every mistake by file and field.
//! Relative paths count from the folder of the configuration file.
//!
//! Assumes: the certificates were exchanged by hand or over a channel the parties trust; they are
//! the only root of trust. `chebyshare keys` makes them, [`keys::generate`].

mod config;
pub mod keys;
mod loopback;

use std::path::{Path, PathBuf};

pub use config::{Owners, PartyConfig, PeerConfig};
pub use loopback::{Loopback, loopback};

/// What is wrong with a configuration or with key files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read.
    #[error("cannot read {}: {reason}", .file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the operating system says.
        reason: String,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {reason}", .file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// What the operating system says.
        reason: String,
    },
    /// The file is no configuration: the reason names line and field.
    #[error("{}: {reason}", .file.display())]
    Syntax {
        /// The file.
        file: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
    /// A field has a value that makes no sense.
    #[error("{}: field `{field}` {reason}", .file.display())]
    Field {
        /// The configuration file.
        file: PathBuf,
        /// The field.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Keys are never overwritten.
    #[error("{} exists already, keys are never overwritten: remove it or choose another folder", .0.display())]
    Exists(PathBuf),
    /// A name that cannot be part of a file's name.
    #[error("name {0:?} is not usable: use 1 to 64 of a-z, A-Z, 0-9, `-` and `_`, each name once")]
    Name(String),
    /// A key or a certificate could not be made.
    #[error("cannot make the certificate of {name}: {reason}")]
    Certificate {
        /// Whose.
        name: String,
        /// Why.
        reason: String,
    },
    /// No free port was found on this machine.
    #[error("cannot find a free port on this machine: {0}")]
    Port(String),
    /// The peers cannot be connected to with this configuration.
    #[error(transparent)]
    Transport(#[from] crate::transport::Error),
}

/// Result of reading or writing a deployment.
pub type Result<T> = std::result::Result<T, Error>;

fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).map_err(|error| Error::Read { file: file.to_owned(), reason: error.to_string() })
}

#[cfg(test)]
mod tests;
