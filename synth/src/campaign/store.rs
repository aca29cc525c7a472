//! A campaign's folder: results by the hash of their job under `jobs`, the catalog they make under `catalogs` and
//! `proofs`, what made each entry in `designs.txt`, and the campaign file itself.
//!
//! A result is written whole or not at all, so that an interrupted campaign goes on where it stopped. The catalog is a
//! function of the results: whoever has them all gets the same bytes.

use super::outcome::{Made, Outcome, Result as JobResult, Unusable};
use super::{Campaign, Job, Unreadable};
use catalogs::{Catalog, CatalogError, Digest, digest::Tag};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

const CAMPAIGN: &str = "campaign.toml";
const JOBS: &str = "jobs";
/// A line for every entry: the family and the design with which a campaign asks for just this program.
const DESIGNS: &str = "designs.txt";
const EXTENSION: &str = "result";

/// Why a campaign's folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The folder belongs to another campaign.
    #[error("{0}: holds another campaign; choose another folder")]
    Other(PathBuf),
    /// There are results already.
    #[error("{0}: holds results of this campaign already; continue with --resume, or choose another folder")]
    Occupied(PathBuf),
    /// A damaged result.
    #[error("{path}: {source}")]
    Result {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: Unusable,
    },
    /// Two folders disagree about a job.
    #[error("{first} and {second} differ: the same job found different programs")]
    Differ {
        /// One file.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// The campaign file.
    #[error("{path}: {source}")]
    Campaign {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: Unreadable,
    },
    /// The catalog cannot be written.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

/// What a folder holds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Summary {
    /// Jobs with a result.
    pub done: usize,
    /// Jobs of the campaign.
    pub jobs: usize,
    /// Entries published, every digest once.
    pub entries: usize,
    /// (job, reason) where nothing was found.
    pub unreached: Vec<(String, String)>,
    /// The catalog's root.
    pub root: String,
}

/// A campaign's folder.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
    campaign: Campaign,
}

impl Store {
    /// Makes or continues the folder of the campaign with this text.
    pub fn open(folder: &Path, text: &str, resume: bool) -> Result<Store, StoreError> {
        let path = folder.join(CAMPAIGN);
        let campaign = Campaign::parse(text).map_err(|source| StoreError::Campaign { path: path.clone(), source })?;
        if path.exists() && read(&path)? != text {
            return Err(StoreError::Other(folder.to_owned()));
        }
        let store = Store { folder: folder.to_owned(), campaign };
        if !resume && store.results()?.next().is_some() {
            return Err(StoreError::Occupied(folder.to_owned()));
        }
        write(&path, text)?;
        Ok(store)
    }

    /// The folder of a campaign that was run.
    pub fn existing(folder: &Path) -> Result<Store, StoreError> {
        let text = read(&folder.join(CAMPAIGN))?;
        Store::open(folder, &text, true)
    }

    /// The campaign.
    pub fn campaign(&self) -> &Campaign {
        &self.campaign
    }

    /// Whether the job has a usable result.
    pub fn has(&self, job: &Job) -> Result<bool, StoreError> {
        let path = self.path(job);
        Ok(path.exists() && self.result(job)?.is_some())
    }

    /// Keeps a job's result.
    pub fn keep(&self, job: &Job, result: &JobResult) -> Result<(), StoreError> {
        write(&self.path(job), &result.to_text())
    }

    /// Writes the catalog of all results that there are: entries in the order of their jobs, each digest once.
    pub fn publish(&self) -> Result<Summary, StoreError> {
        let (mut catalog, mut digests) = (Catalog::new(), BTreeSet::new());
        let mut designs = Vec::new();
        let mut summary = Summary { jobs: self.campaign.jobs.len(), ..Summary::default() };
        for job in &self.campaign.jobs {
            let Some(result) = self.result(job)? else { continue };
            summary.done += 1;
            match result.outcome {
                Outcome::Unreached(reason) => summary.unreached.push((job.name(), reason)),
                Outcome::Published(entries) => {
                    for Made { name, family, design, published } in entries {
                        if digests.insert(Digest::of(Tag::Entry, published.entry.as_bytes())) {
                            designs.push(format!("{name}: family = \"{family}\", design = \"{design}\"\n"));
                            catalog.insert(&name, published)?;
                        }
                    }
                }
            }
        }
        catalog.write(&self.folder.join("catalogs"), &self.folder.join("proofs"))?;
        designs.sort_unstable();
        write(&self.folder.join(DESIGNS), &designs.concat())?;
        summary.entries = catalog.len();
        summary.root = catalog.root().to_string();
        Ok(summary)
    }

    /// Takes over the results of `other`, which must be of the same campaign.
    pub fn absorb(&self, other: &Store) -> Result<(), StoreError> {
        if read(&other.folder.join(CAMPAIGN))? != read(&self.folder.join(CAMPAIGN))? {
            return Err(StoreError::Other(other.folder.clone()));
        }
        for job in &self.campaign.jobs {
            let Some(theirs) = other.result(job)? else { continue };
            match self.result(job)? {
                Some(ours) if ours != theirs => {
                    return Err(StoreError::Differ { first: self.path(job), second: other.path(job) });
                }
                Some(_) => {}
                None => self.keep(job, &theirs)?,
            }
        }
        Ok(())
    }

    fn path(&self, job: &Job) -> PathBuf {
        self.folder.join(JOBS).join(format!("{}.{EXTENSION}", job.key()))
    }

    fn result(&self, job: &Job) -> Result<Option<JobResult>, StoreError> {
        let path = self.path(job);
        if !path.exists() {
            return Ok(None);
        }
        let result = JobResult::parse(&read(&path)?);
        let result = result.map_err(|source| StoreError::Result { path: path.clone(), source })?;
        // The name of the file is the hash of the description: anything else was put there by hand.
        match result.description == job.description() {
            true => Ok(Some(result)),
            false => Err(StoreError::Other(path)),
        }
    }

    fn results(&self) -> Result<impl Iterator<Item = PathBuf> + use<>, StoreError> {
        let paths: Vec<PathBuf> = self.campaign.jobs.iter().map(|job| self.path(job)).collect();
        Ok(paths.into_iter().filter(|path| path.exists()))
    }
}

fn read(path: &Path) -> Result<String, StoreError> {
    fs::read_to_string(path).map_err(|source| StoreError::File { path: path.to_owned(), source })
}

/// By renaming a finished temporary file.
fn write(path: &Path, text: &str) -> Result<(), StoreError> {
    let failed = |source| StoreError::File { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let temporary = path.with_extension("partial");
    fs::write(&temporary, text).map_err(failed)?;
    fs::rename(&temporary, path).map_err(failed)
}
