//! What a command prints: text for people, or one JSON object for machines; and pages and charts for a browser.

mod bars;
pub mod catalog_page;
pub mod curve;
pub mod dossier;
pub mod entry_page;
pub mod front;
mod listing;
mod markup;
pub mod numbers;
mod page;
mod parts;
#[cfg(feature = "generate")]
pub mod peer_curves;
pub mod plan_page;
pub mod run_profile;
mod style;
mod svg;
mod tables;
pub mod tuning;
mod verdicts;
#[cfg(feature = "generate")]
pub mod ways;

use crate::failure::Failure;
use crate::output::visible;
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;

/// Options that every command has.
pub struct Context {
    /// Whether machines read the output.
    pub json: bool,
    /// The catalog's folder.
    pub catalog: PathBuf,
}

impl Context {
    /// Prints `report` as JSON, or `text` of it.
    pub fn print<R: Serialize>(&self, report: &R, text: impl FnOnce(&R) -> String) -> Result<(), Failure> {
        let output = match self.json {
            true => serde_json::to_string_pretty(report).map_err(Failure::input)? + "\n",
            false => visible(&text(report)),
        };
        // A closed pipe is not an error of this program.
        let _ = std::io::stdout().write_all(output.as_bytes());
        Ok(())
    }
}

/// A table with aligned columns; numbers (columns whose header starts with '>') to the right.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let names: Vec<&str> = header.iter().map(|name| name.trim_start_matches('>')).collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([names[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..names.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().enumerate().map(|(column, cell)| {
            if header[column].starts_with('>') {
                format!("{cell:>0$}", widths[column])
            } else {
                format!("{cell:<0$}", widths[column])
            }
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    let mut text = line(names);
    for row in rows {
        text.push_str(&line(row.iter().map(String::as_str).collect()));
    }
    text
}
