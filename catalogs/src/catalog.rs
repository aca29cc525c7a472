//! A catalog on disk: one file per entry under a folder per function, its certificate with the same stem in the
//! proofs folder, and an index whose digest is the catalog's root.
//!
//! Opening a catalog reads and hashes everything and refuses a file that is missing, changed, or not in the index.
//! That is integrity, not proof: an entry is used only after `verify::check`.

use crate::digest::{Digest, Tag};
use crate::function::Function;
use crate::text::MAX_ENTRY_BYTES;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The name of the index file in the catalog's folder.
pub const INDEX: &str = "INDEX";
const ENTRY_EXTENSION: &str = "entry";
const CERTIFICATE_EXTENSION: &str = "certificate";
/// The largest certificate and the largest index that are read, in bytes.
const MAX_CERTIFICATE_BYTES: usize = 16 << 20;
const MAX_INDEX_BYTES: usize = 64 << 20;

/// Why a catalog cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file differs from what the index says, is missing from it, or is too much.
    #[error("{path}: {reason}")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// A name that may not be a file name.
    #[error("'{0}' is not an entry name; use FUNCTION/STEM with lower-case letters, digits, '-', '_' and '.'")]
    Name(String),
    /// Nothing is published under this name or digest.
    #[error("the catalog has no entry '{0}'; `chebyshare catalog list` shows what there is")]
    Unknown(String),
}

/// An entry and its certificate as published: text only, nothing is believed yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Published {
    /// The entry file.
    pub entry: String,
    /// The certificate file.
    pub certificate: String,
}

/// Published entries by name, `FUNCTION/STEM`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Catalog {
    published: BTreeMap<String, Published>,
}

impl Catalog {
    /// An empty catalog.
    pub fn new() -> Catalog {
        Catalog::default()
    }

    /// Adds or replaces an entry.
    pub fn insert(&mut self, name: &str, published: Published) -> Result<(), CatalogError> {
        check_name(name)?;
        self.published.insert(name.to_owned(), published);
        Ok(())
    }

    /// Names and texts in order of name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Published)> {
        self.published.iter().map(|(name, published)| (name.as_str(), published))
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.published.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.published.is_empty()
    }

    /// The entry called `name`, or the one whose digest begins with `name` (at least six digits).
    pub fn find(&self, name: &str) -> Result<(&str, &Published), CatalogError> {
        if let Some((name, published)) = self.published.get_key_value(name) {
            return Ok((name, published));
        }
        let mut matches = self.iter().filter(|(_, published)| {
            name.len() >= 6 && Digest::of(Tag::Entry, published.entry.as_bytes()).to_string().starts_with(name)
        });
        match (matches.next(), matches.next()) {
            (Some(found), None) => Ok(found),
            _ => Err(CatalogError::Unknown(name.chars().take(80).collect())),
        }
    }

    /// The index: a line per entry with both digests and the name.
    pub fn index(&self) -> String {
        self.iter()
            .map(|(name, published)| {
                let entry = Digest::of(Tag::Entry, published.entry.as_bytes());
                let certificate = Digest::of(Tag::Certificate, published.certificate.as_bytes());
                format!("{entry} {certificate} {name}\n")
            })
            .collect()
    }

    /// The digest of the index: it covers every byte of every file.
    pub fn root(&self) -> Digest {
        Digest::of(Tag::Catalog, self.index().as_bytes())
    }

    /// Reads the catalog under `entries` with its certificates under `proofs`, and checks it against its index.
    pub fn open(entries: &Path, proofs: &Path) -> Result<Catalog, CatalogError> {
        let index_path = entries.join(INDEX);
        let index = read(&index_path, MAX_INDEX_BYTES)?;
        let mut catalog = Catalog::new();
        let mut expected = BTreeSet::new();
        for line in index.lines() {
            let [entry_digest, certificate_digest, name] = line.split(' ').collect::<Vec<_>>()[..] else {
                return Err(damaged(&index_path, "a line is not 'DIGEST DIGEST NAME'; publish the catalog again"));
            };
            if [entry_digest, certificate_digest].into_iter().any(|digest| Digest::parse(digest).is_none()) {
                return Err(damaged(&index_path, "a line does not begin with two digests; publish the catalog again"));
            }
            check_name(name).map_err(|error| damaged(&index_path, &error.to_string()))?;
            let paths = file_paths(entries, proofs, name);
            let published = Published {
                entry: read_indexed(&paths.0, MAX_ENTRY_BYTES)?,
                certificate: read_indexed(&paths.1, MAX_CERTIFICATE_BYTES)?,
            };
            let found = [
                (&paths.0, Digest::of(Tag::Entry, published.entry.as_bytes()), entry_digest),
                (&paths.1, Digest::of(Tag::Certificate, published.certificate.as_bytes()), certificate_digest),
            ];
            for (path, digest, wanted) in found {
                if digest.to_string() != wanted {
                    return Err(damaged(
                        path,
                        &format!(
                            "its digest is {}…, the index says {wanted:.12}…; take the file from where it was published",
                            digest.short()
                        ),
                    ));
                }
            }
            if let Some(function) = misplaced(name, &published.entry) {
                return Err(damaged(
                    &paths.0,
                    &format!("it is of '{function}' and lies in another function's folder; publish the catalog again"),
                ));
            }
            expected.extend([paths.0, paths.1]);
            catalog.published.insert(name.to_owned(), published);
        }
        if catalog.index() != index {
            return Err(damaged(&index_path, "not in canonical order; publish the catalog again"));
        }
        for (folder, extension) in [(entries, ENTRY_EXTENSION), (proofs, CERTIFICATE_EXTENSION)] {
            if let Some(stray) = files_with_extension(folder, extension)?.difference(&expected).next() {
                return Err(damaged(stray, "not in the index; remove it or publish the catalog again"));
            }
        }
        Ok(catalog)
    }

    /// Writes every file, then the index, each by renaming a finished temporary file. Stale entries are removed.
    pub fn write(&self, entries: &Path, proofs: &Path) -> Result<(), CatalogError> {
        let mut kept = BTreeSet::new();
        for (name, published) in self.iter() {
            let paths = file_paths(entries, proofs, name);
            write_atomically(&paths.0, &published.entry)?;
            write_atomically(&paths.1, &published.certificate)?;
            kept.extend([paths.0, paths.1]);
        }
        write_atomically(&entries.join(INDEX), &self.index())?;
        for (folder, extension) in [(entries, ENTRY_EXTENSION), (proofs, CERTIFICATE_EXTENSION)] {
            for stale in files_with_extension(folder, extension)?.difference(&kept) {
                fs::remove_file(stale).map_err(|source| CatalogError::File { path: stale.clone(), source })?;
            }
        }
        Ok(())
    }
}

fn damaged(path: &Path, reason: &str) -> CatalogError {
    CatalogError::Damaged { path: path.to_owned(), reason: reason.to_owned() }
}

fn check_name(name: &str) -> Result<(), CatalogError> {
    let part_is_plain = |part: &str| {
        !part.is_empty()
            && part.len() <= 100
            && !part.starts_with('.')
            && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b))
    };
    match name.split('/').collect::<Vec<_>>()[..] {
        [function, stem] if part_is_plain(function) && part_is_plain(stem) => Ok(()),
        _ => Err(CatalogError::Name(name.chars().take(120).collect())),
    }
}

/// The function that `text` says it is about, if its name's folder promises another: a reader takes the folder's word.
/// Entries of expressions lie in any folder but those of named functions.
fn misplaced(name: &str, text: &str) -> Option<String> {
    let (folder, _) = name.split_once('/')?;
    let line = text.lines().find_map(|line| line.strip_prefix("function "))?;
    let function = line.split(' ').next().unwrap_or_default();
    let fits = match function {
        "expression" => Function::parse(folder).is_none(),
        named => folder == named,
    };
    (!fits).then(|| function.chars().take(40).collect())
}

fn file_paths(entries: &Path, proofs: &Path, name: &str) -> (PathBuf, PathBuf) {
    (entries.join(format!("{name}.{ENTRY_EXTENSION}")), proofs.join(format!("{name}.{CERTIFICATE_EXTENSION}")))
}

/// A regular file of at most `limit` bytes: a pipe or a device in its place might never end.
fn read(path: &Path, limit: usize) -> Result<String, CatalogError> {
    let error = |source| CatalogError::File { path: path.to_owned(), source };
    let kind = fs::metadata(path).map_err(error)?.file_type();
    if !kind.is_file() && !kind.is_dir() {
        return Err(damaged(path, "not a regular file"));
    }
    let mut bytes = Vec::new();
    fs::File::open(path).map_err(error)?.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(error)?;
    if bytes.len() > limit {
        return Err(damaged(path, &format!("the file exceeds {limit} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| damaged(path, "not UTF-8 text"))
}

/// Reads a file that the index names: without it the catalog is damaged.
fn read_indexed(path: &Path, limit: usize) -> Result<String, CatalogError> {
    match read(path, limit) {
        Err(CatalogError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Err(damaged(path, "the index names it, but it is missing; take it from where it was published"))
        }
        other => other,
    }
}

/// Files `FUNCTION/STEM.extension` below `folder`.
fn files_with_extension(folder: &Path, extension: &str) -> Result<BTreeSet<PathBuf>, CatalogError> {
    let error = |path: &Path, source| CatalogError::File { path: path.to_owned(), source };
    let mut files = BTreeSet::new();
    if !folder.exists() {
        return Ok(files);
    }
    for function in fs::read_dir(folder).map_err(|source| error(folder, source))? {
        let path = function.map_err(|source| error(folder, source))?.path();
        if path.is_dir() {
            for file in fs::read_dir(&path).map_err(|source| error(&path, source))? {
                let file = file.map_err(|source| error(&path, source))?.path();
                if file.extension().is_some_and(|found| found == extension) {
                    files.insert(file);
                }
            }
        }
    }
    Ok(files)
}

fn write_atomically(path: &Path, text: &str) -> Result<(), CatalogError> {
    let error = |source| CatalogError::File { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(error)?;
    }
    let temporary = path.with_extension("partial");
    fs::write(&temporary, text).map_err(error)?;
    fs::rename(&temporary, path).map_err(error)
}
