//! `chebyshare verify`: re-check entries from their certificates.

use crate::catalog_folder;
use crate::failure::Failure;
use crate::lanes::{self, Effort, Findings, Lane};
use crate::output::check_folder_place;
use crate::report::{Context, table};
use ::verify::Certified;
use catalogs::digest::Tag;
use catalogs::protocol::{cost, rss3::Rss3};
use catalogs::{Catalog, Decimal, Digest, Published};
use clap::Args;
use runtime::cost::median;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Instant;

/// Re-checks entries: recomputes every bound that their certificates state.
///
/// Example: chebyshare verify --all --with exhaustive,smt,conformance,second --points 2^24 --resume my/exhaustions
#[derive(Args)]
pub struct Verify {
    /// Names (FUNCTION/STEM) or digests of entries.
    entries: Vec<String>,
    /// Every entry of the catalog.
    #[arg(long, conflicts_with = "entries")]
    all: bool,
    /// Evidence beside the checker, for every entry that is named.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "LANES")]
    with: Vec<Lane>,
    /// Whose signatures the catalog must carry; entries that are revoked are rejected.
    #[arg(long, value_name = "POLICY.toml")]
    policy: Option<PathBuf>,
    /// The most inputs of the fitted interval that are executed, and of the window that are exhausted: at most 2^24.
    #[arg(long, value_name = "N", default_value = "2^20", value_parser = points)]
    points: u64,
    /// A folder that keeps what an exhaustion found so far: one that was cut goes on from there. What lies in it is
    /// believed, so let nobody else write there.
    #[arg(long, value_name = "DIR")]
    resume: Option<PathBuf>,
    /// A file with one name per line: only these entries get the evidence of --with, the others say `not run`.
    #[arg(long, value_name = "FILE")]
    evidence_for: Option<PathBuf>,
}

/// A number of inputs, also as a power of two.
pub fn points(text: &str) -> Result<u64, String> {
    const MOST: u64 = 1 << 24;
    let number = match text.split_once('^') {
        Some(("2", exponent)) => exponent.parse().ok().and_then(|exponent| 1u64.checked_shl(exponent)),
        Some(_) => None,
        None => text.parse().ok(),
    };
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'^');
    number
        .filter(|number| plain && (1..=MOST).contains(number))
        .ok_or_else(|| "write 1 to 16777216, or 2^0 to 2^24".to_owned())
}

#[derive(Serialize)]
struct Report {
    /// Where the catalog lies, and the digest of its index: what the verdicts are about.
    catalog: String,
    root: String,
    entries: Vec<Row>,
    seconds: f64,
}

#[derive(Serialize)]
struct Row {
    entry: String,
    ok: bool,
    certified_error: Option<String>,
    witness_error: Option<String>,
    tightness: Option<f64>,
    pieces: Option<usize>,
    rounds: Option<u16>,
    bytes_per_element: Option<u64>,
    /// The union bound of the failure probabilities per element, where the claim holds but for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_probability: Option<String>,
    reason: Option<String>,
    seconds: f64,
    /// Beside the verdict; `null` for each lane that was not asked for.
    #[serde(flatten)]
    findings: Findings,
}

impl Row {
    /// The checker's verdict, and that no lane refutes it.
    fn verdict(&self) -> &'static str {
        match (self.ok, self.findings.refutation()) {
            (false, _) => "REJECTED",
            (true, Some(_)) => "REFUTED",
            (true, None) => "ok",
        }
    }
}

impl Verify {
    /// Checks and prints; fails if any entry is rejected.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        if self.entries.is_empty() && !self.all {
            return Err(Failure::input("name entries to verify, or use --all"));
        }
        if self.resume.is_some() && !self.with.contains(&Lane::Exhaustive) {
            return Err(Failure::input("--resume is about exhaustions: use it with --with exhaustive"));
        }
        if self.evidence_for.is_some() && self.with.is_empty() {
            return Err(Failure::input("--evidence-for says which entries get evidence: name it with --with"));
        }
        if let Some(folder) = &self.resume {
            check_folder_place(folder)?;
        }
        let started = Instant::now();
        let catalog = catalog_folder::open(&context.catalog)?;
        let admission = match &self.policy {
            Some(policy) => Some(catalog_folder::admit(&context.catalog, &catalog, policy)?),
            None => None,
        };
        let chosen = chosen(&catalog, &self.entries, self.all)?;
        let mut rows: Vec<Row> = chosen.iter().map(|(name, published)| examine(name, published)).collect();
        if let Some(admission) = &admission {
            for ((name, published), row) in chosen.iter().zip(&mut rows) {
                let digest = Digest::of(Tag::Entry, published.entry.as_bytes());
                if let Err(revoked) = admission.check_entry(name, digest) {
                    (row.ok, row.reason) = (false, Some(revoked.to_string()));
                }
            }
        }
        let wanted = self.evidence_set(&chosen)?;
        let wanted = |name: &str| wanted.as_ref().is_none_or(|wanted| wanted.contains(name));
        let effort = Effort { points: self.points, resume: self.resume.clone() };
        for (row, findings) in rows.iter_mut().zip(lanes::examine_all(&self.with, effort, &chosen, wanted)?) {
            row.findings = findings;
        }
        let report = Report {
            catalog: catalog_folder::place(&context.catalog),
            root: catalog.root().to_string(),
            entries: rows,
            seconds: started.elapsed().as_secs_f64(),
        };
        context.print(&report, text)?;
        verdict(&report.entries)
    }

    /// The entries that `--evidence-for` names; every one of them must be among the chosen ones.
    fn evidence_set(
        &self,
        chosen: &[(&str, &Published)],
    ) -> Result<Option<std::collections::BTreeSet<String>>, Failure> {
        let Some(path) = &self.evidence_for else { return Ok(None) };
        if !path.is_file() {
            return Err(Failure::Input(format!("{}: not a file with names of entries", path.display())));
        }
        let text =
            std::fs::read_to_string(path).map_err(|error| Failure::Input(format!("{}: {error}", path.display())))?;
        let wanted: std::collections::BTreeSet<String> =
            text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
        match wanted.iter().find(|name| chosen.iter().all(|(known, _)| known != name)) {
            Some(name) => Err(Failure::Input(format!(
                "{}: '{}' is not among the entries to verify",
                path.display(),
                name.chars().take(80).collect::<String>()
            ))),
            None => Ok(Some(wanted)),
        }
    }
}

/// The entries that are named, or all, of which there must be one: that nothing is wrong in an empty catalog means nothing.
pub fn chosen<'a>(catalog: &'a Catalog, names: &[String], all: bool) -> Result<Vec<(&'a str, &'a Published)>, Failure> {
    if all && catalog.is_empty() {
        return Err(Failure::input("the catalog has no entry: there is nothing to check"));
    }
    if all {
        return Ok(catalog.iter().collect());
    }
    names.iter().map(|name| catalog.find(name).map_err(Failure::from)).collect()
}

fn examine(name: &str, published: &Published) -> Row {
    let started = Instant::now();
    let outcome = ::verify::check_texts(&published.entry, &published.certificate);
    let seconds = started.elapsed().as_secs_f64();
    let entry = name.to_owned();
    match outcome {
        Ok(certified) => {
            let (bound, witness) = (certified.claim().bound, certified.witness_error());
            let cost = cost(certified.program(), &Rss3);
            Row {
                entry,
                ok: true,
                certified_error: Some(bound.to_string()),
                witness_error: Some(witness.to_string()),
                tightness: (witness.to_f64_lossy() > 0.0).then(|| bound.to_f64_lossy() / witness.to_f64_lossy()),
                pieces: Some(
                    published.certificate.lines().filter(|l| l.starts_with("piece") || l.starts_with("tail")).count(),
                ),
                rounds: Some(cost.rounds),
                bytes_per_element: Some(cost.bytes()),
                failure_probability: failure(&certified),
                reason: None,
                seconds,
                findings: Findings::default(),
            }
        }
        Err(rejection) => Row {
            entry,
            ok: false,
            certified_error: None,
            witness_error: None,
            tightness: None,
            pieces: None,
            rounds: None,
            bytes_per_element: None,
            failure_probability: None,
            reason: Some(rejection.to_string()),
            seconds,
            findings: Findings::default(),
        },
    }
}

/// The failure probability to three digits, rounded up; nothing if it cannot fail.
fn failure(certified: &Certified) -> Option<String> {
    Decimal::round_up(&certified.failure(), 3).filter(|most| *most != Decimal::ZERO).map(|most| most.to_string())
}

/// Rejected entries first, then the first thing that a lane found.
fn verdict(rows: &[Row]) -> Result<(), Failure> {
    let mut violations = rows.iter().filter_map(|row| Some(format!("{}: {}", row.entry, row.findings.violation()?)));
    let violation = violations.next();
    let more = violations.count();
    let rejected = match rows.iter().filter(|row| !row.ok).count() {
        0 => None,
        1 => Some("one entry is rejected".to_owned()),
        several => Some(format!("{several} entries are rejected")),
    };
    let others = if more > 0 { format!(" (and {more} more entries)") } else { String::new() };
    match (rejected, violation.map(|violation| violation + &others)) {
        (None, None) => Ok(()),
        (Some(reason), None) | (None, Some(reason)) => Err(Failure::claim(reason)),
        (Some(rejected), Some(violation)) => Err(Failure::claim(format!("{rejected}; {violation}"))),
    }
}

fn text(report: &Report) -> String {
    let rows: Vec<Vec<String>> = report
        .entries
        .iter()
        .map(|row| {
            let show = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
            let [exhaustive, smt, conformance, second] = row.findings.cells();
            let may_fail = row.failure_probability.as_ref().map(|most| format!("may fail: at most {most} per element"));
            vec![
                row.entry.clone(),
                row.verdict().to_owned(),
                show(&row.certified_error),
                show(&row.witness_error),
                exhaustive,
                row.tightness.map_or("-".into(), |t| format!("{t:.4}")),
                row.pieces.map_or("-".into(), |p| p.to_string()),
                format!("{:.0}", row.seconds * 1e3),
                row.rounds.map_or("-".into(), |r| r.to_string()),
                row.bytes_per_element.map_or("-".into(), |b| b.to_string()),
                smt,
                conformance,
                second,
                row.reason.clone().or(may_fail).unwrap_or_default(),
            ]
        })
        .collect();
    let [exhaustive, smt, conformance, second] = Findings::COLUMNS;
    let header = [
        "entry",
        "verdict",
        ">certified",
        ">witness",
        exhaustive,
        ">tightness",
        ">pieces",
        ">ms",
        ">rounds",
        ">bytes",
        smt,
        conformance,
        second,
        "",
    ];
    table(&header, &rows) + &closing(report)
}

/// How many hold, how long their checks took, and on how many entries each kind of evidence ran.
fn closing(report: &Report) -> String {
    let count = report.entries.len();
    let ok = report.entries.iter().filter(|row| row.verdict() == "ok").count();
    let times: Vec<f64> = report.entries.iter().map(|row| row.seconds * 1e3).collect();
    let (slowest, median) = (times.iter().copied().fold(0.0, f64::max), median(times).unwrap_or(0.0));
    let evidence = (0..Findings::COLUMNS.len()).map(|lane| {
        let ran = report.entries.iter().filter(|row| row.findings.ran()[lane]).count();
        let ran = if ran == 0 { "not run".to_owned() } else { format!("on {ran} of {count}") };
        format!("{} {ran}", Findings::COLUMNS[lane])
    });
    let evidence: Vec<String> = evidence.collect();
    format!(
        "{ok} of {count} entries hold, {:.1} s; a check takes {median:.0} ms in the median, {slowest:.0} ms at most\n\
         evidence: {}\ncatalog {}, root {}\n",
        report.seconds,
        evidence.join(", "),
        report.catalog,
        report.root,
    )
}

#[cfg(test)]
mod tests {
    use super::points;

    #[test]
    fn points_are_numbers_or_powers_of_two() {
        assert_eq!((points("1"), points("2^24"), points("16777216")), (Ok(1), Ok(1 << 24), Ok(1 << 24)));
        for bad in ["0", "16777217", "2^25", "2^64", "3^2", "2^", "^2", "-1", "2^-1", "2^+5", "+5", "1e6", ""] {
            assert!(points(bad).is_err(), "{bad}");
        }
    }
}
