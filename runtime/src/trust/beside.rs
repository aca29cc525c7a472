//! What lies beside a catalog, outside of what its root covers: signatures and revocation lists, a file per signer.

use super::revocation::REVOCATION_BYTES_MAX;
use super::signature::SIGNATURE_BYTES_MAX;
use super::{Error, Result, RevocationList, RootSignature, SignerKey};
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// The folder of signatures, in the catalog's folder. Functions have lower-case names, so no entry can lie there.
pub const SIGNATURES: &str = "SIGNATURES";
/// The folder of revocation lists, in the catalog's folder.
pub const REVOCATIONS: &str = "REVOCATIONS";
/// The most files that [`Beside::names`] lists of a folder.
const FILES_MAX: usize = 1024;

/// Where signatures and revocation lists come from.
#[derive(Clone, Debug)]
pub enum Beside {
    /// Files in the catalog's folder.
    Folder(PathBuf),
    /// A copy in the program: (name below the catalog's folder, text).
    Embedded(&'static [(&'static str, &'static str)]),
}

/// A kind of file beside a catalog.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Attachment {
    /// A [`RootSignature`].
    Signature,
    /// A [`RevocationList`].
    Revocations,
}

impl Attachment {
    fn folder(self) -> &'static str {
        match self {
            Attachment::Signature => SIGNATURES,
            Attachment::Revocations => REVOCATIONS,
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Attachment::Signature => "sig",
            Attachment::Revocations => "revoked",
        }
    }

    fn bytes_max(self) -> usize {
        match self {
            Attachment::Signature => SIGNATURE_BYTES_MAX,
            Attachment::Revocations => REVOCATION_BYTES_MAX,
        }
    }

    /// The name of a signer's file below the catalog's folder.
    pub fn name(self, signer: &SignerKey) -> String {
        format!("{}/{signer}.{}", self.folder(), self.extension())
    }
}

impl Beside {
    /// The signature of `signer`, verified; `None` if there is no file.
    pub fn signature(&self, signer: &SignerKey) -> Result<Option<RootSignature>> {
        let name = Attachment::Signature.name(signer);
        self.text(Attachment::Signature, &name)?.map(|text| read_signature(&name, &text)).transpose()
    }

    /// The revocation list of `signer`, verified; `None` if there is no file.
    pub fn revocations(&self, signer: &SignerKey) -> Result<Option<RevocationList>> {
        let name = Attachment::Revocations.name(signer);
        self.text(Attachment::Revocations, &name)?.map(|text| read_revocations(&name, &text)).transpose()
    }

    /// The files of one kind by name, whoever they are by, at most 1,024.
    pub fn names(&self, kind: Attachment) -> Result<Vec<String>> {
        let mut names: Vec<String> = match self {
            Beside::Embedded(files) => {
                let prefix = format!("{}/", kind.folder());
                files
                    .iter()
                    .map(|(name, _)| *name)
                    .filter(|name| name.starts_with(&prefix))
                    .map(str::to_owned)
                    .collect()
            }
            Beside::Folder(folder) => {
                let folder = folder.join(kind.folder());
                let failed = |error: std::io::Error| Error::File { file: folder.clone(), reason: error.to_string() };
                match fs::read_dir(&folder) {
                    Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
                    Err(error) => return Err(failed(error)),
                    Ok(files) => {
                        let mut names = Vec::new();
                        for file in files.take(FILES_MAX) {
                            let name = file.map_err(failed)?.file_name();
                            names.push(format!("{}/{}", kind.folder(), name.to_string_lossy()));
                        }
                        names
                    }
                }
            }
        };
        names.sort();
        Ok(names)
    }

    /// A signature by its file's name, as [`Beside::names`] gives it.
    pub fn signature_named(&self, name: &str) -> Result<RootSignature> {
        let text = self.text(Attachment::Signature, name)?;
        read_signature(name, &text.ok_or_else(|| damaged(name, "missing"))?)
    }

    /// A revocation list by its file's name, as [`Beside::names`] gives it.
    pub fn revocations_named(&self, name: &str) -> Result<RevocationList> {
        let text = self.text(Attachment::Revocations, name)?;
        read_revocations(name, &text.ok_or_else(|| damaged(name, "missing"))?)
    }

    fn text(&self, kind: Attachment, name: &str) -> Result<Option<String>> {
        match self {
            Beside::Embedded(files) => {
                Ok(files.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned()))
            }
            Beside::Folder(folder) => read_file(&folder.join(name), name, kind.bytes_max()),
        }
    }
}

fn damaged(name: &str, reason: impl ToString) -> Error {
    Error::Attachment { name: name.to_owned(), reason: reason.to_string() }
}

fn read_signature(name: &str, text: &str) -> Result<RootSignature> {
    let signature = RootSignature::parse(text).map_err(|error| damaged(name, error))?;
    named_after(name, Attachment::Signature.name(&signature.signer))?;
    Ok(signature)
}

fn read_revocations(name: &str, text: &str) -> Result<RevocationList> {
    let list = RevocationList::parse(text).map_err(|error| damaged(name, error))?;
    named_after(name, Attachment::Revocations.name(&list.by))?;
    Ok(list)
}

/// A file under another signer's name would be counted for that one.
fn named_after(name: &str, expected: String) -> Result<()> {
    if name == expected {
        Ok(())
    } else {
        Err(damaged(name, format!("it is by another signer and belongs in {expected}")))
    }
}

/// A regular file of at most `limit` bytes: a pipe would never end, and a stranger may have put it there.
fn read_file(path: &Path, name: &str, limit: usize) -> Result<Option<String>> {
    let metadata = match fs::metadata(path) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(error) => return Err(damaged(name, error)),
        Ok(metadata) => metadata,
    };
    if !metadata.is_file() {
        return Err(damaged(name, "not a file"));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| damaged(name, error))?;
    file.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(|error| damaged(name, error))?;
    if bytes.len() > limit {
        return Err(damaged(name, format!("more than {limit} bytes")));
    }
    String::from_utf8(bytes).map(Some).map_err(|_| damaged(name, "not UTF-8 text"))
}
