//! `chebyshare catalog`: what is published, and who stands for it.

use crate::catalog_folder;
use crate::commands::{plot, signing};
use crate::failure::Failure;
use crate::report::{Context, table};
use catalogs::protocol::{cost, rss3::Rss3};
use catalogs::{Digest, Entry, digest::Tag};
use clap::{Args, Subcommand};
use serde::Serialize;

/// Shows what a catalog holds, signs it, revokes.
///
/// Example: chebyshare catalog list
#[derive(Args)]
#[command(after_long_help = POLICY)]
pub struct CatalogCommand {
    #[command(subcommand)]
    action: Action,
}

const POLICY: &str = "\
A policy (for `run`, `tune`, `verify`, `catalog signatures` and a party's file) is a TOML file such as

  version = 1
  minimum_signatures = 1
  not_before = \"2026-11-01\"     # optional: earlier and undated signatures do not count
  [[signer]]
  name = \"release\"
  key = \"64 hexadecimal digits\" # as in the file that keygen puts beside a secret key
  least_serial = 1              # optional: its revocation list must have reached this number
  [[revoked]]                   # optional: entry, root or signer
  entry = \"64 hexadecimal digits\"
  reason = \"superseded\"";

#[derive(Subcommand)]
enum Action {
    /// A line per entry, and the catalog's root digest.
    List,
    /// One entry: its claim in words, its program, its cost.
    Show {
        /// FUNCTION/STEM or a digest.
        entry: String,
    },
    Plot(plot::Plot),
    Keygen(signing::Keygen),
    Sign(signing::Sign),
    Signatures(signing::Signatures),
    Revoke(signing::Revoke),
}

#[derive(Serialize)]
struct Listing {
    root: String,
    entries: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    entry: String,
    digest: String,
    function: String,
    window: [String; 2],
    input: String,
    output: String,
    claimed_error: String,
    norm: String,
    rounds: u16,
    bytes_per_element: u64,
}

impl CatalogCommand {
    /// Lists or shows.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        match &self.action {
            Action::List => {
                let catalog = catalog_folder::open(&context.catalog)?;
                let mut entries = Vec::new();
                for (name, published) in catalog.iter() {
                    entries.push(line(name, &published.entry)?);
                }
                context.print(&Listing { root: catalog.root().to_string(), entries }, list_text)
            }
            Action::Show { entry } => {
                let catalog = catalog_folder::open(&context.catalog)?;
                let (name, published) = catalog.find(entry)?;
                let line = line(name, &published.entry)?;
                context.print(&line, |line| show_text(line, &published.entry))
            }
            Action::Plot(command) => command.run(context),
            Action::Keygen(command) => command.run(context),
            Action::Sign(command) => command.run(context),
            Action::Signatures(command) => command.run(context),
            Action::Revoke(command) => command.run(context),
        }
    }
}

fn line(name: &str, text: &str) -> Result<Line, Failure> {
    let entry = Entry::parse(text).map_err(|error| Failure::claim(format!("{name}: {error}")))?;
    let (claim, cost) = (&entry.claim, cost(&entry.program, &Rss3));
    let (input_ring, input_scale) = entry.program.input();
    let (output_ring, output_scale) = entry.program.output();
    let decimal = |v: i64| catalogs::text::dyadic_to_decimal(i128::from(v), input_scale.bits());
    Ok(Line {
        entry: name.to_owned(),
        digest: Digest::of(Tag::Entry, text.as_bytes()).to_string(),
        function: claim.function.to_string(),
        window: [decimal(claim.window.low), decimal(claim.window.high)],
        input: format!("ring {input_ring} scale {input_scale}"),
        output: format!("ring {output_ring} scale {output_scale}"),
        claimed_error: claim.bound.to_string(),
        norm: format!("absolute {} relative {}", claim.norm.absolute, claim.norm.relative),
        rounds: cost.rounds,
        bytes_per_element: cost.bytes(),
    })
}

fn list_text(listing: &Listing) -> String {
    let rows: Vec<Vec<String>> = listing
        .entries
        .iter()
        .map(|line| {
            vec![
                line.entry.clone(),
                format!("{} to {}", rounded(&line.window[0]), rounded(&line.window[1])),
                line.claimed_error.clone(),
                line.norm.clone(),
                line.rounds.to_string(),
                line.bytes_per_element.to_string(),
                line.digest[..12].to_owned(),
            ]
        })
        .collect();
    let header = ["entry", "window, rounded", ">claimed", "norm", ">rounds", ">bytes", "digest"];
    format!("{}{} entries, root {}\n", table(&header, &rows), listing.entries.len(), listing.root)
}

/// A window's end as people read it; `show` and `--json` have all its digits.
fn rounded(exact: &str) -> String {
    let value: f64 = exact.parse().unwrap_or(f64::NAN);
    if value == 0.0 || value.abs() >= 1e-3 {
        format!("{}", (value * 1e4).round() / 1e4)
    } else {
        format!("{value:.2e}")
    }
}

fn show_text(line: &Line, file: &str) -> String {
    format!(
        "{}\nFor every input in [{}, {}] ({}) and every rounding that the lemmas below allow,\n\
         the output ({}) differs from {} by at most {} times the norm ({}).\n\
         Under rss3: {} rounds, {} bytes of all parties per element. Digest {}.\n\
         This is the claim as published; `chebyshare verify {}` proves it.\n\n{file}",
        line.entry,
        line.window[0],
        line.window[1],
        line.input,
        line.output,
        line.function,
        line.claimed_error,
        line.norm,
        line.rounds,
        line.bytes_per_element,
        line.digest,
        line.entry,
    )
}
