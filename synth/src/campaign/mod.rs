//! Campaigns: a catalog from one file of functions, domains, formats and goals.
//!
//! A campaign is a list of independent jobs, a job is one function on one domain in one format. What a job finds
//! depends on nothing but its own description, so that jobs may run anywhere, in any order and number: the results are
//! the same bytes, are kept under the hash of the description, and are merged by it.

mod file;
mod outcome;
mod store;

pub use file::Unreadable;
pub use outcome::{Made, Outcome, Result as JobResult, Unusable};
pub use store::{Store, StoreError, Summary};

use crate::families::Goal;
use catalogs::protocol::rss3::Rss3;
use catalogs::{Decimal, Entry, Window};

/// Part of every job's hash: to be changed whenever the search finds other programs, so that old results are not taken
/// for new ones.
const ENGINE: &str = "search 3";

/// What a job publishes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keep {
    /// The undominated programs of all its goals, at most [`FRONT_MAX`](crate::search::FRONT_MAX).
    Front,
    /// The cheapest tight program of every goal.
    Cheapest,
}

/// One function on one domain in one format.
#[derive(Clone, PartialEq, Debug)]
pub struct Job {
    /// The folder of its entries.
    pub folder: String,
    /// The beginning of their names.
    pub stem: String,
    /// The goal, but for its accuracy.
    pub goal: Goal,
    /// The accuracies, in the order of the file.
    pub accuracies: Vec<Decimal>,
    /// The family that has to serve it; any if `None`.
    pub family: Option<String>,
    /// The parameters of the one program that is wanted; searched for if `None`.
    pub design: Option<String>,
    /// An entry whose program is taken as it is and proved anew.
    pub given: Option<Entry>,
    /// What is published.
    pub keep: Keep,
}

/// A combination that cannot be a job.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// Function, format and domain.
    pub what: String,
    /// Why, and what would be possible.
    pub reason: String,
}

/// The jobs of a file in its order, and what it asks for in vain.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Campaign {
    /// The jobs.
    pub jobs: Vec<Job>,
    /// What is refused.
    pub refused: Vec<Refused>,
}

/// Part `index` of `count`, from 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shard {
    index: usize,
    count: usize,
}

impl Shard {
    /// Everything.
    pub const WHOLE: Shard = Shard { index: 1, count: 1 };

    /// Reads `i/n` with 1 ≤ i ≤ n.
    pub fn parse(text: &str) -> Option<Shard> {
        let (index, count) = text.split_once('/')?;
        let (index, count) = (index.parse().ok()?, count.parse().ok()?);
        (1 <= index && index <= count).then_some(Shard { index, count })
    }

    /// Whether this part does job number `job`, from 0: neighbours go to different parts.
    pub fn has(self, job: usize) -> bool {
        job % self.count == self.index - 1
    }
}

impl Campaign {
    /// Reads a campaign file.
    ///
    /// # Errors
    /// Where it is no campaign file; combinations that no protocol serves are no error but [`Campaign::refused`].
    pub fn parse(text: &str) -> Result<Campaign, Unreadable> {
        file::parse(text)
    }
}

impl Job {
    /// All that determines the job's results, in one line.
    pub fn description(&self) -> String {
        let Goal { function, window, input, output_scale, norm, .. } = &self.goal;
        let accuracies: Vec<String> = self.accuracies.iter().map(Decimal::to_string).collect();
        let keep = match self.keep {
            Keep::Front => "front",
            Keep::Cheapest => "cheapest",
        };
        let Window { low, high } = window;
        let design = match (&self.design, &self.given) {
            (Some(design), _) => format!("; design {design}"),
            (None, Some(entry)) => format!("; entry {}", entry.digest()),
            (None, None) => String::new(),
        };
        format!(
            "{ENGINE}; {}/{}; function {}; window {low} {high}; ring {} scale {} output {output_scale}; norm {} {}; \
             errors {}; family {}{design}; keep {keep}; protocol {}",
            self.folder,
            self.stem,
            function.words(),
            input.ring,
            input.scale,
            norm.absolute,
            norm.relative,
            accuracies.join(" "),
            self.family.as_deref().unwrap_or("any"),
            catalogs::protocol::Model::name(&Rss3),
        )
    }

    /// The hash of the description, under which results are kept.
    pub fn key(&self) -> String {
        let mut hasher = blake3::Hasher::new_derive_key("chebyshare 2026 campaign job 1");
        hasher.update(self.description().as_bytes());
        hasher.finalize().to_hex().to_string()
    }

    /// The names it may publish under, or how those of a front begin.
    fn names(&self) -> Vec<String> {
        match self.keep {
            Keep::Front => vec![self.name()],
            Keep::Cheapest => self.accuracies.iter().map(|accuracy| self.name_for(accuracy)).collect(),
        }
    }

    /// For people: folder and stem.
    pub fn name(&self) -> String {
        format!("{}/{}", self.folder, self.stem)
    }
}

#[cfg(test)]
mod tests;
