//! What earlier simulations showed, kept in a folder: a tuner that was cut goes on from there.
//!
//! A file per plan, named by the digest of everything that its verdict depends on. What lies in the folder is believed
//! as *measured*, which nothing is proved from; a file that cannot be read counts as none.

use super::Verdict;
use catalogs::Digest;
use std::path::{Path, PathBuf};

/// Verdicts by what they depend on.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    folder: Option<PathBuf>,
}

impl Memory {
    /// In `folder`, which is made if it does not exist.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn in_folder(folder: &Path) -> std::io::Result<Memory> {
        std::fs::create_dir_all(folder)?;
        Ok(Memory { folder: Some(folder.to_owned()) })
    }

    /// This one, or one in `folder` if this keeps nothing.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn or_in_folder(self, folder: &Path) -> std::io::Result<Memory> {
        if self.folder.is_some() { Ok(self) } else { Memory::in_folder(folder) }
    }

    /// The verdict of this name, if it is known.
    pub fn recall(&self, key: Digest) -> Option<Verdict> {
        let text = std::fs::read_to_string(self.file(key)?).ok()?;
        toml::from_str(&text).ok()
    }

    /// Keeps a verdict.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn keep(&self, key: Digest, verdict: &Verdict) -> std::io::Result<()> {
        let (Some(file), Some(folder)) = (self.file(key), &self.folder) else { return Ok(()) };
        let text = toml::to_string(verdict).map_err(std::io::Error::other)?;
        let new = tempfile::NamedTempFile::new_in(folder)?;
        std::fs::write(new.path(), text)?;
        new.persist(file)?;
        Ok(())
    }

    fn file(&self, key: Digest) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(format!("{key}.toml")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalogs::digest::Tag;

    #[test]
    fn what_was_kept_is_recalled_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let memory = Memory::in_folder(&folder.path().join("new/deep")).unwrap();
        let verdict = Verdict {
            inputs: 7,
            roundings: vec!["seed 1".into()],
            error: 0.1 + 0.2,
            agreement: 0.75,
            steady: 0.5,
            cosine: None,
            metric: Some((0.5, 0.25)),
        };
        let [key, other] = [1u8, 2].map(|byte| Digest::of(Tag::Simulation, &[byte]));
        assert_eq!(memory.recall(key), None);
        memory.keep(key, &verdict).unwrap();
        assert_eq!(memory.recall(key), Some(verdict.clone()));
        assert_eq!(memory.recall(other), None);
        let exact = Verdict { error: 0.1 + 1e-17 * 7.0 / 3.0, agreement: 1.0 / 3.0, ..verdict.clone() };
        memory.keep(key, &exact).unwrap();
        assert_eq!(memory.recall(key), Some(exact));
        std::fs::write(memory.file(other).unwrap(), "{").unwrap();
        assert_eq!(memory.recall(other), None);
        Memory::default().keep(key, &verdict).unwrap();
        assert_eq!(Memory::default().recall(key), None);
    }
}
