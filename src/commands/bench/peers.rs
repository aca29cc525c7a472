//! `chebyshare bench peers`: what other systems publish, certified, measured, priced, and beside ours.

use crate::catalog_folder;
use crate::failure::Failure;
use crate::interrupt::undivided;
use crate::output;
use crate::report::front::standalone;
use crate::report::peer_curves::{self, Curve};
use crate::report::{Context, table};
use ::synth::peers::{self, Catalogs, PeerError, Recipe, read_folder};
use catalogs::protocol::rss3::Rss3;
use catalogs::{Catalog, Entry, Published};
use clap::Args;
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Audits the published approximations of other systems: certified and measured error, rounds, bytes, and ours beside.
///
/// Example: chebyshare bench peers --out docs/peers.md --curves docs/peers.svg
#[derive(Args)]
pub struct Peers {
    /// The folder with `recipes`, `entries` and `proofs` (theirs), `ours`, and `ported` (theirs at our formats).
    #[arg(long, value_name = "DIR", default_value = "catalogs/peers")]
    folder: PathBuf,
    /// Only programs whose name has this part; not together with --out.
    #[arg(long, value_name = "PART", conflicts_with = "out")]
    only: Option<String>,
    /// The page, as Markdown.
    #[arg(long, value_name = "FILE.md")]
    out: Option<PathBuf>,
    /// Error curves of the most instructive ones, as SVG.
    #[arg(long, value_name = "FILE.svg")]
    curves: Option<PathBuf>,
    /// First proves the recipes again and searches for our answers, half a minute each; writes both into the folder.
    #[arg(long)]
    publish: bool,
}

#[derive(Serialize)]
struct Report {
    programs: Vec<Program>,
}

#[derive(Serialize)]
struct Program {
    program: String,
    /// `null` where nothing is certified.
    certified_error: Option<String>,
    /// Measured, not proved.
    seen_error: f64,
    rounds: u16,
    bytes_per_element: u64,
    ours: Option<String>,
    ours_certified_error: Option<String>,
    ours_rounds: Option<u16>,
    ours_bytes_per_element: Option<u64>,
    /// At least as accurate with fewer bytes and no more rounds.
    ours_wins: bool,
}

impl Peers {
    /// Publishes if asked to, audits, writes, prints.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        output::check_file_places([], self.out.iter().chain(&self.curves).map(PathBuf::as_path))?;
        let recipes = read_folder(&self.folder.join("recipes")).map_err(failed)?;
        let ported = read_folder(&self.ported().join("recipes")).map_err(failed)?;
        if self.publish {
            self.publish(&recipes)?;
            self.publish_ported(&ported)?;
        }
        let catalogs = Catalogs {
            theirs: open(&self.folder.join("entries"))?,
            answers: open(&self.folder.join("ours").join("entries"))?,
            shipped: catalog_folder::open(&context.catalog)?,
        };
        if let Some(path) = &self.curves {
            output::write_texts(&[(path, &curves(&recipes, &catalogs)?)])?;
        }
        if let Some(path) = &self.out {
            let mut page = peers::page(&recipes, &catalogs).map_err(failed)?;
            page += &peers::ported::section(&ported, &open(&self.ported().join("entries"))?).map_err(failed)?;
            output::write_texts(&[(path, &page)])?;
            return context.print(&path.display().to_string(), |path| format!("wrote {path}\n"));
        }
        let mut programs = Vec::new();
        for (recipe, audited) in self.wanted(&recipes) {
            programs.push(program(catalogs.row(recipe, audited).map_err(failed)?));
        }
        context.print(&Report { programs }, text)
    }

    /// Their formulas at this runtime's formats.
    fn ported(&self) -> PathBuf {
        self.folder.join("ported")
    }

    /// Proves them; one that cannot be is an error.
    fn publish_ported(&self, recipes: &[Recipe]) -> Result<(), Failure> {
        let folder = self.ported().join("entries");
        let mut entries = if self.only.is_some() { open(&folder)? } else { Catalog::new() };
        for (recipe, audited) in self.wanted(recipes) {
            let (entry, certificate, _) = peers::prove(recipe, audited).map_err(failed)?;
            let published = Published { entry: entry.to_text(), certificate: certificate.to_text() };
            entries.insert(&peers::name(recipe, audited), published)?;
        }
        Ok(undivided(|| entries.write(&folder, &catalog_folder::proofs_beside(&folder)))?)
    }

    fn wanted<'a>(&'a self, recipes: &'a [Recipe]) -> impl Iterator<Item = (&'a Recipe, &'a peers::Audited)> {
        let all = recipes.iter().flat_map(|recipe| recipe.windows.iter().map(move |audited| (recipe, audited)));
        all.filter(|(recipe, audited)| {
            self.only.as_ref().is_none_or(|part| peers::name(recipe, audited).contains(part.as_str()))
        })
    }

    /// Proves every recipe on every window, and asks the search for a better program.
    fn publish(&self, recipes: &[Recipe]) -> Result<(), Failure> {
        let (theirs, ours) = (self.folder.join("entries"), self.folder.join("ours").join("entries"));
        let (mut entries, mut answers) = match &self.only {
            Some(_) => (open(&theirs)?, open(&ours)?),
            None => (Catalog::new(), Catalog::new()),
        };
        for (recipe, audited) in self.wanted(recipes) {
            let name = peers::name(recipe, audited);
            let say = |what: &dyn std::fmt::Display| {
                let _ = writeln!(std::io::stderr(), "{name}: {what}");
            };
            match peers::prove(recipe, audited) {
                Ok((entry, certificate, _)) => {
                    say(&format!("certified {}", entry.claim.bound));
                    let published = Published { entry: entry.to_text(), certificate: certificate.to_text() };
                    entries.insert(&name, published)?;
                }
                Err(reason @ (PeerError::Uncertified { .. } | PeerError::Useless { .. })) => {
                    say(&format!("not certified: {reason}"));
                }
                Err(other) => return Err(failed(other)),
            }
            let entry = peers::asked(&entries, recipe, audited).map_err(failed)?;
            match peers::answer(&entry, &Rss3) {
                Ok(found) => answers.insert(&name, ::synth::search::publish(&found))?,
                Err(reason) => say(&format!("ours: {reason}")),
            }
        }
        undivided(|| entries.write(&theirs, &catalog_folder::proofs_beside(&theirs)))?;
        Ok(undivided(|| answers.write(&ours, &catalog_folder::proofs_beside(&ours)))?)
    }
}

fn open(entries: &Path) -> Result<Catalog, Failure> {
    match entries.join(catalogs::catalog::INDEX).exists() {
        true => Ok(Catalog::open(entries, &catalog_folder::proofs_beside(entries))?),
        false => Ok(Catalog::new()),
    }
}

fn failed(error: PeerError) -> Failure {
    match error {
        PeerError::Claim { .. } | PeerError::Uncertified { .. } | PeerError::Useless { .. } => Failure::claim(error),
        _ => Failure::input(error),
    }
}

fn program(row: peers::audit::Row) -> Program {
    let ours = row.ours.as_ref();
    Program {
        certified_error: row.certified.clone(),
        seen_error: row.measured.0,
        rounds: row.cost.rounds,
        bytes_per_element: row.cost.bytes(),
        ours: ours.map(|ours| ours.name.clone()),
        ours_certified_error: ours.map(|ours| ours.bound.clone()),
        ours_rounds: ours.map(|ours| ours.cost.rounds),
        ours_bytes_per_element: ours.map(|ours| ours.cost.bytes()),
        ours_wins: ours.is_some_and(|ours| ours.beats),
        program: row.name,
    }
}

fn text(report: &Report) -> String {
    let dash = || "-".to_owned();
    let rows: Vec<Vec<String>> = report
        .programs
        .iter()
        .map(|row| {
            vec![
                row.program.clone(),
                row.certified_error.clone().unwrap_or_else(dash),
                format!("{:.3e}", row.seen_error),
                row.rounds.to_string(),
                row.bytes_per_element.to_string(),
                row.ours.clone().unwrap_or_else(dash),
                row.ours_certified_error.clone().unwrap_or_else(dash),
                row.ours_rounds.map_or_else(dash, |rounds| rounds.to_string()),
                row.ours_bytes_per_element.map_or_else(dash, |bytes| bytes.to_string()),
                if row.ours_wins { "wins" } else { "does not" }.to_owned(),
            ]
        })
        .collect();
    let header =
        ["program", ">certified", ">seen", ">rounds", ">bytes", "ours", ">certified", ">rounds", ">bytes", "ours …"];
    table(&header, &rows)
}

/// A panel of the picture: title, from, to, peers' recipes, and ours in the shipped catalog.
type Panel = (&'static str, (f64, f64), &'static [(&'static str, &'static str)], &'static str);
const PANELS: [Panel; 4] = [
    (
        "erf: CrypTen’s series is none (its powers are wrong), and explodes",
        (-3.5, 3.5),
        &[("CrypTen", "erf/crypten-taylor8"), ("SPU, below 3", "erf/spu-abramowitz")],
        "erf/k64-f16-w9-1e-3",
    ),
    (
        "exp: limits and a polynomial, on the softmax’s usual arguments",
        (-12.0, 0.0),
        &[("CrypTen", "exp/crypten-limit8"), ("SPU, default", "exp/spu-taylor8"), ("SPU, PADE", "exp/spu-pade")],
        "exp/k64-f16-w10-1e-4",
    ),
    (
        "exp: below −512 both limits return large numbers",
        (-700.0, 0.0),
        &[("CrypTen", "exp/crypten-limit8"), ("SPU, default", "exp/spu-taylor8")],
        "exp/k64-f16-w10-1e-4",
    ),
    (
        "sigmoid: pieces of others",
        (-8.0, 8.0),
        &[
            ("MP-SPDZ, 5 pieces", "sigmoid/mp-spdz-5"),
            ("Piranha", "sigmoid/piranha-quadratic"),
            ("CrypTorch, level 4", "sigmoid/cryptorch-4"),
        ],
        "sigmoid/k64-f16-w9-1e-4",
    ),
];

fn curves(recipes: &[Recipe], catalogs: &Catalogs) -> Result<String, Failure> {
    let mut charts = Vec::new();
    for (title, range, theirs, ours) in PANELS {
        let entries: Vec<(String, Entry)> = theirs
            .iter()
            .map(|(label, stem)| {
                let recipe = recipes.iter().find(|recipe| format!("{}/{}", recipe.function, recipe.stem) == *stem);
                let recipe = recipe.ok_or_else(|| Failure::Input(format!("there is no recipe '{stem}'")))?;
                // The widest window's comparisons serve all of a panel.
                let low = rug::Rational::from_f64(2.0 * range.0 - 1.0).unwrap_or_default();
                let high = rug::Rational::from_f64(2.0 * range.1 + 1.0).unwrap_or_default();
                let panel = peers::Audited { name: "panel".to_owned(), low, high };
                Ok(((*label).to_owned(), peers::claim(recipe, &panel).map_err(failed)?))
            })
            .collect::<Result<_, Failure>>()?;
        let (_, published) = catalogs.shipped.find(ours)?;
        let own = Entry::parse(&published.entry).map_err(Failure::claim)?;
        let peers: Vec<Curve> = entries.iter().map(|(label, entry)| Curve { name: label.clone(), entry }).collect();
        let own = Curve { name: format!("ours ({ours})"), entry: &own };
        charts.push((peer_curves::chart(title, range, &peers, &own), peer_curves::HEIGHT));
    }
    Ok(standalone("Largest measured error: every rounding down, every rounding up, and as drawn", charts))
}
