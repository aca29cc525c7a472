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

    /// The file `key`.`extension`, which `make` writes if it is not there.
    ///
    /// # Errors
    /// As [`Cache::renewed`].
    pub fn file(
        &self,
        key: &str,
        extension: &str,
        make: impl FnOnce(&Path) -> Result<(), Error>,
    ) -> Result<Cached, Error> {
        let path = self.path(key, extension);
        if path.is_file() { Ok(Cached { path }) } else { self.renewed(key, extension, make) }
    }

    /// The file `key`.`extension` as `make` writes it, whatever was there. Two makers do not disturb each other: each
    /// writes a file of its own, and the last one's name stays.
    ///
    /// # Errors
    /// What `make` says, or a folder that cannot be written.
    pub fn renewed(
        &self,
        key: &str,
        extension: &str,
        make: impl FnOnce(&Path) -> Result<(), Error>,
    ) -> Result<Cached, Error> {
        let path = self.path(key, extension);
        let fresh = tempfile::Builder::new().suffix(&format!(".{extension}")).tempfile_in(&self.folder);
        let fresh = fresh.map_err(|error| missing(&self.folder, error))?;
        make(fresh.path())?;
        fresh.persist(&path).map_err(|error| missing(&path, error.error))?;
        Ok(Cached { path })
    }

    fn path(&self, key: &str, extension: &str) -> PathBuf {
        self.folder.join(format!("{key}.{extension}"))
    }
}

fn missing(path: &Path, error: std::io::Error) -> Error {
    Error::Missing(format!("compiled kernels cannot be kept in {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_made_once_until_it_is_renewed() {
        let cache = Cache::temporary().unwrap();
        let write = |text: &'static str| {
            move |path: &Path| {
                std::fs::write(path, text).unwrap();
                Ok(())
            }
        };
        let read = |cached: Cached| std::fs::read_to_string(cached.path()).unwrap();
        assert_eq!(read(cache.file("key", "bin", write("first")).unwrap()), "first");
        assert_eq!(read(cache.file("key", "bin", write("second")).unwrap()), "first");
        let refused = |_: &Path| Err(Error::Missing("a compiler".into()));
        cache.renewed("key", "bin", refused).unwrap_err();
        assert_eq!(read(cache.file("key", "bin", refused).unwrap()), "first");
        assert_eq!(read(cache.renewed("key", "bin", write("second")).unwrap()), "second");
        assert_eq!(read(cache.file("key", "bin", refused).unwrap()), "second");
    }
}
