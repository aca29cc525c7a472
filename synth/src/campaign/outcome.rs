//! Running a job, and what it found as a text that says everything and nothing about when or where.

use super::{Job, Keep};
use crate::families::{Goal, Shape};
use crate::search::{self, Found, Progress, Wanted};
use catalogs::protocol::rss3::Rss3;
use catalogs::{Decimal, Published};

/// An entry of a job.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Made {
    /// Its name.
    pub name: String,
    /// Its family, and the parameters that a campaign's `design` takes.
    pub family: String,
    /// See `family`.
    pub design: String,
    /// Its texts.
    pub published: Published,
}

/// What became of a job.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The entries.
    Published(Vec<Made>),
    /// No program was found for one of its goals, and why.
    Unreached(String),
}

/// A job's outcome under its description.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Result {
    /// The job's [`description`](Job::description).
    pub description: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// A text that is no result.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a campaign result: {0}; remove the file and run the job again")]
pub struct Unusable(&'static str);

const HEADER: &str = "chebyshare campaign result 2";

impl Job {
    /// Searches, proves and names what is to be published.
    pub fn run(&self, progress: &mut dyn FnMut(Progress)) -> Result {
        let outcome = match self.keep {
            Keep::Front => self.front(progress),
            Keep::Cheapest => self.cheapest(progress),
        };
        let outcome = match outcome {
            Ok(entries) => Outcome::Published(entries),
            Err(reason) => Outcome::Unreached(reason),
        };
        Result { description: self.description(), outcome }
    }

    fn search(&self, goal: &Goal, progress: &mut dyn FnMut(Progress)) -> std::result::Result<Vec<Found>, String> {
        if let (Some(family), Some(design)) = (&self.family, &self.design) {
            let found = search::pinned(goal, &Rss3, family, design).map_err(|error| error.to_string())?;
            return Ok(vec![found]);
        }
        if let Some(entry) = &self.given {
            let found = search::given(goal, &Rss3, entry).map_err(|error| error.to_string())?;
            return Ok(vec![found]);
        }
        let shape = |shape: &dyn Shape| self.family.as_ref().is_none_or(|family| shape.family() == family);
        let wanted = Wanted { shape: &shape, tight: self.keep == Keep::Cheapest, ..Wanted::ALL };
        search::front_of(goal, &Rss3, wanted, progress).map_err(|error| error.to_string())
    }

    /// The undominated programs of all accuracies; an accuracy out of reach takes nothing from the others.
    fn front(&self, progress: &mut dyn FnMut(Progress)) -> std::result::Result<Vec<Made>, String> {
        let (mut found, mut failed) = (Vec::new(), None);
        for accuracy in &self.accuracies {
            match self.search(&Goal { accuracy: *accuracy, ..self.goal.clone() }, progress) {
                Ok(more) => found.extend(more),
                Err(reason) => failed = failed.or(Some(reason)),
            }
        }
        let front = search::undominated(found);
        match (front.is_empty(), failed) {
            (true, reason) => Err(reason.unwrap_or_else(|| "nothing was found".into())),
            _ => Ok(front.iter().map(|found| Made::new(self.place_on_front(found), found)).collect()),
        }
    }

    /// The name says where on the front a program is: rounds, bytes of all parties, headroom bits.
    fn place_on_front(&self, found: &Found) -> String {
        let Found { rounds, headroom_bits, .. } = found;
        format!("{}-r{rounds}-b{}-h{headroom_bits}", self.name(), found.bytes())
    }

    /// What the cheapest program for one accuracy is called: an exact function has no accuracy to be called after.
    pub fn name_for(&self, accuracy: &Decimal) -> String {
        match *accuracy == Decimal::ZERO {
            true => self.name(),
            false => format!("{}-{accuracy}", self.name()),
        }
    }

    fn cheapest(&self, progress: &mut dyn FnMut(Progress)) -> std::result::Result<Vec<Made>, String> {
        let mut entries = Vec::new();
        for accuracy in &self.accuracies {
            let goal = Goal { accuracy: *accuracy, ..self.goal.clone() };
            let cheapest = self.search(&goal, progress)?.into_iter().next();
            let found = cheapest.ok_or_else(|| format!("no program of the front for {accuracy} is tight"))?;
            entries.push(Made::new(self.name_for(accuracy), &found));
        }
        Ok(entries)
    }
}

impl Made {
    fn new(name: String, found: &Found) -> Made {
        let (family, design) = (found.family.to_owned(), found.parameters.clone());
        Made { name, family, design, published: search::publish(found) }
    }
}

impl Result {
    /// The canonical text.
    pub fn to_text(&self) -> String {
        let mut text = format!("{HEADER}\njob {}\n", self.description);
        match &self.outcome {
            Outcome::Unreached(reason) => text += &format!("unreached {}\n", reason.replace('\n', " ")),
            Outcome::Published(entries) => {
                for Made { name, family, design, published: Published { entry, certificate } } in entries {
                    text += &format!("family {family}\ndesign {design}\n");
                    text += &format!("entry {} {} {name}\n{entry}{certificate}", entry.len(), certificate.len());
                }
            }
        }
        text + "end\n"
    }

    /// Reads what [`Result::to_text`] wrote, and nothing else.
    pub fn parse(text: &str) -> std::result::Result<Result, Unusable> {
        let fail = Unusable;
        let mut rest = text.strip_prefix(HEADER).and_then(|rest| rest.strip_prefix('\n')).ok_or(fail("no header"))?;
        let line = |rest: &mut &str| -> Option<String> {
            let (line, after) = rest.split_once('\n')?;
            *rest = &rest[rest.len() - after.len()..];
            Some(line.to_owned())
        };
        let first = line(&mut rest).ok_or(fail("no job"))?;
        let description = first.strip_prefix("job ").ok_or(fail("no job"))?.to_owned();
        let mut entries = Vec::new();
        loop {
            let next = line(&mut rest).ok_or(fail("cut off"))?;
            if let Some(reason) = next.strip_prefix("unreached ") {
                if !entries.is_empty() || rest != "end\n" {
                    return Err(fail("an unreached job with entries"));
                }
                return Ok(Result { description, outcome: Outcome::Unreached(reason.to_owned()) });
            }
            if next == "end" {
                return match rest.is_empty() {
                    true => Ok(Result { description, outcome: Outcome::Published(entries) }),
                    false => Err(fail("text after its end")),
                };
            }
            let family = next.strip_prefix("family ").ok_or(fail("an unknown line"))?.to_owned();
            let next = line(&mut rest).ok_or(fail("cut off"))?;
            let design = next.strip_prefix("design ").ok_or(fail("an entry without design"))?.to_owned();
            let next = line(&mut rest).ok_or(fail("cut off"))?;
            let words: Vec<&str> = next.split(' ').collect();
            let ["entry", entry, certificate, name] = words[..] else { return Err(fail("an unknown line")) };
            let length = |text: &str| text.parse::<usize>().map_err(|_| fail("a length that is no number"));
            let (entry, certificate) = (length(entry)?, length(certificate)?);
            let end = entry.checked_add(certificate).ok_or(fail("lengths too large"))?;
            let (Some(first), Some(second)) = (rest.get(..entry), rest.get(entry..end)) else {
                return Err(fail("cut off"));
            };
            let published = Published { entry: first.to_owned(), certificate: second.to_owned() };
            entries.push(Made { name: name.to_owned(), family, design, published });
            rest = &rest[end..];
        }
    }
}
