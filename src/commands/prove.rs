//! `chebyshare prove`: a program that somebody wrote by hand becomes a certified entry.

use crate::catalog_folder::{proofs_beside, publish};
use crate::commands::inspect;
use crate::failure::Failure;
use crate::output::check_folder_place;
use crate::report::{Context, table};
use ::synth::peers::{self, Recipe};
use catalogs::Published;
use catalogs::protocol::cost;
use catalogs::protocol::rss3::Rss3;
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;

/// Certifies a program that is written by hand, in a recipe of some fifteen lines, and publishes it; the tuner is offered
/// it like any other entry of the catalog.
///
/// Example: chebyshare prove my.recipe --out my/catalogs
#[derive(Args)]
pub struct Prove {
    /// The recipe: function, windows, and a line per operation. `docs/own-program.md` explains it.
    recipe: PathBuf,
    /// The catalog folder to publish into; its proofs go into the folder `proofs` beside it.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Serialize)]
struct Row {
    entry: String,
    certified_error: String,
    witness_error: String,
    rounds: u16,
    bytes_per_element: u64,
}

impl Prove {
    /// Certifies every window of the recipe, publishes, prints.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        if let Some(folder) = &self.out {
            check_folder_place(folder)?;
            check_folder_place(&proofs_beside(folder))?;
        }
        let named = |reason: String| Failure::Input(format!("{}: {reason}", self.recipe.display()));
        let text = String::from_utf8(inspect::read(&self.recipe)?).map_err(|_| named("no recipe: not text".into()))?;
        let recipe = Recipe::parse(&text).map_err(|reason| named(reason.to_string()))?;
        let (mut rows, mut published) = (Vec::new(), Vec::new());
        for window in &recipe.windows {
            let (entry, certificate, _) =
                peers::prove(&recipe, window).map_err(|reason| named(format!("window {}: {reason}", window.name)))?;
            let name = peers::name(&recipe, window);
            let cost = cost(&entry.program, &Rss3);
            rows.push(Row {
                entry: name.clone(),
                certified_error: entry.claim.bound.to_string(),
                witness_error: certificate.witness.error.to_string(),
                rounds: cost.rounds,
                bytes_per_element: cost.bytes(),
            });
            published.push((name, Published { entry: entry.to_text(), certificate: certificate.to_text() }));
        }
        if let Some(folder) = &self.out {
            publish(folder, published)?;
        }
        context.print(&rows, |rows| {
            let cells = rows.iter().map(|row| {
                vec![
                    row.entry.clone(),
                    row.certified_error.clone(),
                    row.witness_error.clone(),
                    row.rounds.to_string(),
                    row.bytes_per_element.to_string(),
                ]
            });
            let header = ["entry", ">certified", ">witness", ">rounds", ">bytes"];
            table(&header, &cells.collect::<Vec<_>>())
        })
    }
}
