//! `chebyshare export`: an entry's certificate for other people's tools.

use crate::catalog_folder;
use crate::failure::Failure;
use crate::interrupt::undivided;
use crate::output::{check_file_places, check_folder_place, write_texts};
use crate::report::Context;
use ::verify::certificate::Certificate;
use catalogs::Entry;
use clap::{Args, ValueEnum};
use evidence::export::{Format, export};
use serde::Serialize;
use std::path::PathBuf;

/// Writes what a certificate claims for other provers: SMT-LIB, Sollya, Gappa, Coq. Every file says what it shows.
///
/// The certificate is not checked first, so that a false one can be shown to be false; `chebyshare verify` checks it.
///
/// Example: chebyshare export sigmoid/k64-f16-w9-1e-3 --to smtlib --out obligations
#[derive(Args)]
pub struct Export {
    /// FUNCTION/STEM or a digest.
    entry: String,
    /// The format.
    #[arg(long)]
    to: To,
    /// Where the files go: a folder, or for a format of one file (sollya, coq) a name with an extension.
    #[arg(long, value_name = "DIR|FILE")]
    out: PathBuf,
}

/// A format.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum To {
    /// A file per obligation and per lemma, for z3, cvc5 or any solver; proofs/recheck asks them all.
    Smtlib,
    /// A script that encloses |p - f| per piece by supnorm.
    Sollya,
    /// A script per piece that bounds what roundings do to the output.
    Gappa,
    /// A theorem |p - f| <= d per piece, for Coq-Interval.
    Coq,
}

#[derive(Serialize)]
struct Report {
    entry: String,
    digest: String,
    format: String,
    files: Vec<PathBuf>,
}

impl Export {
    /// Writes the files and lists them.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let catalog = catalog_folder::open(&context.catalog)?;
        let (name, published) = catalog.find(&self.entry)?;
        let unreadable = |error| Failure::claim(format!("{name}: {error}"));
        let entry = Entry::parse(&published.entry).map_err(unreadable)?;
        let certificate = Certificate::parse(&published.certificate).map_err(unreadable)?;
        let format = match self.to {
            To::Smtlib => Format::Smtlib,
            To::Sollya => Format::Sollya,
            To::Gappa => Format::Gappa,
            To::Coq => Format::Coq,
        };
        let single = matches!(self.to, To::Sollya | To::Coq) && self.out.extension().is_some() && !self.out.is_dir();
        if single {
            check_file_places([], [self.out.as_path()])?
        } else {
            check_folder_place(&self.out)?
        }
        let files =
            export(name, &entry, &certificate, format).map_err(|error| Failure::input(format!("{name}: {error}")))?;
        if !single {
            let made = undivided(|| std::fs::create_dir_all(&self.out));
            made.map_err(|error| Failure::input(format!("{}: {error}", self.out.display())))?;
        }
        let place = |file: &String| if single { self.out.clone() } else { self.out.join(file) };
        let placed: Vec<(PathBuf, &String)> = files.iter().map(|(file, text)| (place(file), text)).collect();
        write_texts(&placed.iter().map(|(path, text)| (path.as_path(), text.as_str())).collect::<Vec<_>>())?;
        let report = Report {
            entry: name.to_owned(),
            digest: entry.digest().to_string(),
            format: format!("{:?}", self.to).to_lowercase(),
            files: placed.into_iter().map(|(path, _)| path).collect(),
        };
        context.print(&report, |report| {
            let what = if report.files.len() == 1 { "file" } else { "files" };
            let nothing = match report.files.is_empty() {
                true => ": no truncation reaches its output, so that there is nothing to show in this format",
                false => "",
            };
            let (count, out) = (report.files.len(), self.out.display());
            format!("{}: {count} {} {what} in {out}{nothing}\n", report.entry, report.format)
        })
    }
}
