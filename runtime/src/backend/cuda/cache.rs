//! Compiled kernels, kept by the digest of all that they depend on: text with headers, options, architecture.

use super::device::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A folder of compiled kernels.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: PathBuf,
    /// Removes the folder with the last user of a temporary cache.
    _temporary: Option<Arc<tempfile::TempDir>>,
}

/// A file of a cache.
#[derive(Debug)]
pub struct Cached {
    path: PathBuf,
}

impl Cached {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Cache {
    /// A cache in `folder`, which is made if it is missing.
    ///
    /// # Errors
    /// A folder that cannot be made.
    pub fn new(folder: PathBuf) -> Result<Cache, Error> {
        std::fs::create_dir_all(&folder).map_err(|error| missing(&folder, error))?;
        Ok(Cache { folder, _temporary: None })
    }

    /// A cache that ends with its last user.
    ///
    /// # Errors
    /// No place for temporary files.
    pub fn temporary() -> Result<Cache, Error> {
        let folder = tempfile::tempdir().map_err(|error| missing(&std::env::temp_dir(), error))?;
        Ok(Cache { folder: folder.path().to_owned(), _temporary: Some(Arc::new(folder)) })
    }

    /// This user's cache: `$XDG_CACHE_HOME` or `~/.cache`, and a temporary one where neither is known.
    ///
    /// # Errors
    /// A folder that cannot be made.
    pub fn of_user() -> Result<Cache, Error> {
        let named = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        match named("XDG_CACHE_HOME").or_else(|| Some(named("HOME")?.join(".cache"))) {
            Some(folder) => Cache::new(folder.join("chebyshare/kernels")),
            None => Cache::temporary(),
        }
    }

    /// The name of what these parts compile to.
    pub fn key(parts: &[&str]) -> String {
        let mut hasher = blake3::Hasher::new_derive_key("chebyshare 2026 compiled kernels");
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }

    /// The file `key`.`extension`, which `make` writes if it is not there. Two makers do not disturb each other: each
    /// writes a file of its own, and the last one's name stays.
    ///
    /// # Errors
    /// What `make` says, or a folder that cannot be written.
    pub fn file(
        &self,
        key: &str,
        extension: &str,
        make: impl FnOnce(&Path) -> Result<(), Error>,
    ) -> Result<Cached, Error> {
        let path = self.folder.join(format!("{key}.{extension}"));
        if !path.is_file() {
            let fresh = tempfile::Builder::new().suffix(&format!(".{extension}")).tempfile_in(&self.folder);
            let fresh = fresh.map_err(|error| missing(&self.folder, error))?;
            make(fresh.path())?;
            fresh.persist(&path).map_err(|error| missing(&path, error.error))?;
        }
        Ok(Cached { path })
    }
}

fn missing(path: &Path, error: std::io::Error) -> Error {
    Error::Missing(format!("compiled kernels cannot be kept in {}: {error}", path.display()))
}
