//! Checkpoints of an exhaustion: a file per entry and settings, replaced as a whole after every block.
//!
//! Establishes: what [`Checkpoint::read`] returns is what [`Checkpoint::write`] was given for the same entry, inputs and
//! settings; a damaged or foreign file is refused, never used in part. Several runs may use a file: each replaces it by a
//! whole one, and whichever was last, all of them find the same. A file that somebody else wrote on purpose, with its
//! digest, is not recognised: the folder must be as trusted as the program.
//!
//! The file is text: a header, the number of blocks that are done, the [`Survey`] with its floats as bits, and the
//! digest of all that.

use crate::EvidenceError;
use crate::exhaust::{BLOCK, CHUNK};
use crate::fixed::GUARD;
use crate::survey::{Candidate, Inputs, Survey};
use catalogs::digest::{Digest, Tag};
use catalogs::{Entry, Window};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

const HEADER: &str = "chebyshare exhaustion 1";

/// Where a run keeps what it found so far.
#[derive(Clone, Debug)]
pub(crate) struct Checkpoint {
    path: PathBuf,
    key: Digest,
}

impl Checkpoint {
    /// The checkpoint of an exhaustion of `parts` in `folder`, which is made if it is missing.
    pub(crate) fn open(
        folder: &Path,
        entry: &Entry,
        parts: &[Window],
        state_cap: usize,
    ) -> Result<Checkpoint, EvidenceError> {
        fs::create_dir_all(folder).map_err(|source| EvidenceError::File { path: folder.to_owned(), source })?;
        let digest = entry.digest();
        let mut settings =
            format!("{HEADER}\nentry {digest}\nstates {state_cap}\nchunk {CHUNK} block {BLOCK} guard {GUARD}\n");
        for part in parts {
            let _ = writeln!(settings, "{} {}", part.low, part.high);
        }
        let key = Digest::of(Tag::Exhaustion, settings.as_bytes());
        Ok(Checkpoint { path: folder.join(format!("{}-{}.exhaustion", digest.short(), key.short())), key })
    }

    /// How many blocks are done, and what they gave; `None` where no run has come that far.
    pub(crate) fn read(&self) -> Result<Option<(usize, Survey)>, EvidenceError> {
        if self.path.exists() && !self.path.is_file() {
            return Err(self.refused());
        }
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(EvidenceError::File { path: self.path.clone(), source }),
        };
        let found = std::str::from_utf8(&bytes).ok().and_then(|text| self.parse(text));
        found.map(Some).ok_or_else(|| self.refused())
    }

    /// The refusal of a file that no run of this exhaustion can have written.
    pub(crate) fn refused(&self) -> EvidenceError {
        EvidenceError::Checkpoint { path: self.path.clone() }
    }

    /// Replaces the file by a finished one, which no other run writes to.
    pub(crate) fn write(&self, blocks: usize, survey: &Survey) -> Result<(), EvidenceError> {
        let partial = self.path.with_extension(format!("{}.partial", std::process::id()));
        let written = fs::File::create(&partial)
            .and_then(|mut file| {
                file.write_all(self.text(blocks, survey).as_bytes())?;
                file.sync_all()
            })
            .and_then(|()| fs::rename(&partial, &self.path));
        written.map_err(|source| EvidenceError::File { path: self.path.clone(), source })
    }

    fn text(&self, blocks: usize, survey: &Survey) -> String {
        let mut text = format!("{HEADER}\nkey {}\nblocks {blocks}\n", self.key);
        let _ = writeln!(text, "errors {:016x} {:016x}", survey.best.to_bits(), survey.dropped.to_bits());
        for (name, inputs) in [("capped", &survey.capped), ("escaped", &survey.escaped)] {
            let _ = write!(text, "{name} {}", inputs.count);
            inputs.first.iter().for_each(|argument| {
                let _ = write!(text, " {argument}");
            });
            text.push('\n');
        }
        for Candidate { upper, argument, output } in &survey.candidates {
            let _ = writeln!(text, "candidate {:016x} {argument} {output}", upper.to_bits());
        }
        let digest = Digest::of(Tag::Exhaustion, text.as_bytes());
        let _ = writeln!(text, "end {digest}");
        text
    }

    fn parse(&self, text: &str) -> Option<(usize, Survey)> {
        let (body, end) = text.split_at(text.rfind("end ")?);
        if end != format!("end {}\n", Digest::of(Tag::Exhaustion, body.as_bytes())) {
            return None;
        }
        let mut lines = body.lines();
        if lines.next()? != HEADER || lines.next()? != format!("key {}", self.key) {
            return None;
        }
        let blocks = lines.next()?.strip_prefix("blocks ")?.parse().ok()?;
        let float = |word: &str| Some(f64::from_bits(u64::from_str_radix(word, 16).ok()?));
        let (best, dropped) = lines.next()?.strip_prefix("errors ")?.split_once(' ')?;
        let mut inputs = |name: &str| {
            let mut words = lines.next()?.strip_prefix(name)?.split(' ').skip(1);
            let count = words.next()?.parse().ok()?;
            Some(Inputs { count, first: words.map(|word| word.parse().ok()).collect::<Option<_>>()? })
        };
        let (capped, escaped) = (inputs("capped")?, inputs("escaped")?);
        let candidate = |line: &str| {
            let [upper, argument, output] = line.strip_prefix("candidate ")?.split(' ').collect::<Vec<_>>()[..] else {
                return None;
            };
            Some(Candidate { upper: float(upper)?, argument: argument.parse().ok()?, output: output.parse().ok()? })
        };
        let candidates = lines.map(candidate).collect::<Option<_>>()?;
        Some((blocks, Survey { best: float(best)?, candidates, dropped: float(dropped)?, capped, escaped }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalogs::Decimal;

    /// Whatever another run left half-written, or is writing to, is not touched and does not harm.
    #[test]
    fn what_another_run_is_writing_is_left_alone() {
        let entry = Entry::parse(include_str!("../../../catalogs/relu/k40-f13-w9.entry")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let checkpoint = Checkpoint::open(folder.path(), &entry, &[entry.claim.window], 7).unwrap();
        let others = checkpoint.path.with_extension("partial");
        fs::create_dir(&others).unwrap();
        checkpoint.write(3, &Survey::default()).unwrap();
        assert_eq!(checkpoint.read().unwrap().map(|(blocks, _)| blocks), Some(3));
        assert!(others.is_dir());
    }

    /// What was written is read again; a file with any one byte changed, or cut, is refused; other settings do not see it.
    #[test]
    fn checkpoints_are_read_whole_or_not_at_all() {
        let text = include_str!("../../../catalogs/relu/k40-f13-w9.entry");
        let mut entry = Entry::parse(text).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let window = entry.claim.window;
        let checkpoint = Checkpoint::open(&folder.path().join("deep"), &entry, &[window], 7).unwrap();
        assert!(checkpoint.read().unwrap().is_none());
        let inputs = |count, first: &[i64]| Inputs { count, first: first.to_vec() };
        let survey = Survey {
            best: 1e-5,
            candidates: vec![Candidate { upper: 1.5e-5, argument: -3, output: 1 << 40 }],
            dropped: 0.25,
            capped: inputs(2, &[5, 6]),
            escaped: inputs(0, &[]),
        };
        checkpoint.write(3, &survey).unwrap();
        let shown = |found: Option<(usize, Survey)>| format!("{found:?}");
        let (expected, found) = (shown(Some((3, survey))), checkpoint.read().unwrap());
        assert_eq!(shown(found), expected);
        let bytes = fs::read(&checkpoint.path).unwrap();
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            for damaged in [&changed[..], &bytes[..place]] {
                fs::write(&checkpoint.path, damaged).unwrap();
                assert!(matches!(checkpoint.read(), Err(EvidenceError::Checkpoint { .. })), "byte {place}");
            }
        }
        fs::write(&checkpoint.path, bytes).unwrap();
        let other = Checkpoint::open(&folder.path().join("deep"), &entry, &[window], 8).unwrap();
        assert!(other.read().unwrap().is_none());
        entry.claim.bound = Decimal::ONE;
        let other = Checkpoint::open(&folder.path().join("deep"), &entry, &[window], 7).unwrap();
        assert!(other.read().unwrap().is_none());
    }
}
