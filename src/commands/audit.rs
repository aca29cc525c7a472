//! `chebyshare audit`: what an entry claims and what stands behind it, as pages for a browser and for print.

use crate::catalog_folder;
use crate::commands::verify::{chosen, points};
use crate::failure::Failure;
use crate::lanes::{Effort, Findings, Lane, examine_all};
use crate::output;
use crate::report::dossier::Dossier;
use crate::report::{Context, catalog_page, entry_page};
use clap::Args;
use runtime::trust::{Attachment, Beside, RevocationList, Subject};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Writes self-contained pages: claim, measured error, parts of the bound, program, ranges, lemmas, evidence, digests.
///
/// One entry gives one page, in the file that --html names. Several entries, --all, or an existing folder give a folder
/// with index.html and FUNCTION/STEM.html for each entry. A rejected entry gets its page too, and the exit code is 1.
///
/// Example: chebyshare audit gelu/k64-f16-w9-1e-3 --html gelu.html
///
/// Example: chebyshare audit --all --with exhaustive,smt,conformance,second --html audit/
#[derive(Args)]
pub struct Audit {
    /// Names (FUNCTION/STEM) or digests of entries.
    entries: Vec<String>,
    /// Every entry of the catalog.
    #[arg(long, conflicts_with = "entries")]
    all: bool,
    /// The page of one entry, or the folder for several.
    #[arg(long, value_name = "PATH")]
    html: PathBuf,
    /// Evidence beside the checker; what is not named here is shown as not run.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "LANES")]
    with: Vec<Lane>,
    /// The most inputs of the fitted interval that are executed, and of the window that are exhausted: at most 2^24.
    #[arg(long, value_name = "N", default_value = "2^20", value_parser = points)]
    points: u64,
}

#[derive(Serialize)]
struct Report {
    root: Option<String>,
    index: Option<PathBuf>,
    entries: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    entry: String,
    ok: bool,
    page: PathBuf,
    certified_error: Option<String>,
    witness_error: Option<String>,
    tightness: Option<f64>,
    reason: Option<String>,
    #[serde(flatten)]
    findings: Findings,
}

impl Audit {
    /// Checks, writes the pages, says where they are; fails if anything does not hold.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        if self.entries.is_empty() && !self.all {
            return Err(Failure::input("name entries to audit, or use --all"));
        }
        let folder = self.all || self.entries.len() > 1 || self.html.is_dir();
        if folder {
            output::check_folder_place(&self.html)?;
        } else {
            output::check_file_places([], [self.html.as_path()])?;
        }
        let catalog = match catalog_folder::open(&context.catalog) {
            Ok(catalog) => catalog,
            Err(Failure::Claim(reason)) => return self.damaged(folder, reason),
            Err(other) => return Err(other),
        };
        let chosen = chosen(&catalog, &self.entries, self.all)?;
        let findings = examine_all(&self.with, Effort { points: self.points, resume: None }, &chosen, |_| true)?;
        let (root, beside) = (catalog.root(), catalog_folder::beside(&context.catalog));
        let lists = revocations(&beside);
        let dossiers: Vec<Dossier> = chosen
            .iter()
            .zip(findings)
            .map(|((name, published), findings)| {
                let dossier = Dossier { findings, ..Dossier::new(name, published) };
                Dossier { revoked: taken_back(&lists, &dossier), ..dossier }
            })
            .collect();
        let place = |name: &str| if folder { self.html.join(format!("{name}.html")) } else { self.html.clone() };
        let index = folder.then_some("../index.html");
        let mut pages: Vec<(PathBuf, String)> =
            dossiers.iter().map(|dossier| (place(dossier.name), entry_page::page(dossier, root, index))).collect();
        if folder {
            let page = catalog_page::page(&dossiers, root, &beside, !self.all);
            pages.push((self.html.join("index.html"), page));
        }
        write(&pages)?;
        let report = Report {
            root: Some(root.to_string()),
            index: folder.then(|| self.html.join("index.html")),
            entries: dossiers.iter().map(|dossier| row(dossier, place(dossier.name))).collect(),
        };
        context.print(&report, text)?;
        verdict(&report.entries)
    }

    /// The page says what the command says.
    fn damaged(&self, folder: bool, reason: String) -> Result<(), Failure> {
        let place = if folder { self.html.join("index.html") } else { self.html.clone() };
        write(&[(place, catalog_page::damaged(&reason))])?;
        Err(Failure::Claim(reason))
    }
}

/// The valid revocation lists beside the catalog; the catalog's page tells of the others.
fn revocations(beside: &Beside) -> Vec<RevocationList> {
    let names = beside.names(Attachment::Revocations).unwrap_or_default();
    names.iter().filter_map(|name| beside.revocations_named(name).ok()).collect()
}

fn taken_back(lists: &[RevocationList], dossier: &Dossier) -> Vec<String> {
    let entry = Subject::Entry(dossier.entry_digest());
    let said = lists.iter().filter_map(|list| Some((list, list.revoked.get(&entry)?)));
    said.map(|(list, reason)| format!("by {} (serial {}): {reason}", list.by, list.serial)).collect()
}

/// Fails for the first entry that is rejected, and if there is none, for the first lane that could not run.
fn verdict(rows: &[Row]) -> Result<(), Failure> {
    let refused: Vec<&Row> = rows.iter().filter(|row| !row.ok).collect();
    if let Some(first) = refused.first() {
        let more = if refused.len() > 1 { format!(" (and {} more entries)", refused.len() - 1) } else { String::new() };
        let reason = first.reason.as_deref().unwrap_or_default();
        return Err(Failure::claim(format!("{} is rejected: {reason}{more}", first.entry)));
    }
    let incomplete = rows.iter().find_map(|row| Some(format!("{}: {}", row.entry, row.findings.violation()?)));
    incomplete.map_or(Ok(()), |reason| Err(Failure::Claim(reason)))
}

fn write(pages: &[(PathBuf, String)]) -> Result<(), Failure> {
    let folders = pages.iter().filter_map(|(path, _)| path.parent()).filter(|folder| !folder.as_os_str().is_empty());
    for folder in folders {
        std::fs::create_dir_all(folder).map_err(|error| Failure::Input(format!("{}: {error}", folder.display())))?;
    }
    let files: Vec<(&Path, &str)> = pages.iter().map(|(path, text)| (path.as_path(), text.as_str())).collect();
    output::write_texts(&files)
}

fn row(dossier: &Dossier, page: PathBuf) -> Row {
    let certified = dossier.verdict.as_ref().ok();
    Row {
        entry: dossier.name.to_owned(),
        ok: dossier.holds(),
        page,
        certified_error: certified.map(|certified| certified.claim().bound.to_string()),
        witness_error: certified.map(|certified| certified.witness_error().to_string()),
        tightness: certified.and_then(|_| dossier.tightness()),
        reason: dossier.reason(),
        findings: dossier.findings.clone(),
    }
}

fn text(report: &Report) -> String {
    let line = |row: &Row| {
        let verdict = if row.ok { "holds   " } else { "REJECTED" };
        format!("{verdict} {} -> {}\n", row.entry, row.page.display())
    };
    let mut text: String = report.entries.iter().map(line).collect();
    if let Some(index) = &report.index {
        text.push_str(&format!("{} entries, index {}\n", report.entries.len(), index.display()));
    }
    text
}
