//! The table of what was measured: rows as they come, on standard output and in a Markdown file that is written anew
//! after each, so that a run that is cut off leaves what it had.

use std::path::PathBuf;

/// A table with rows of as many cells as it has columns.
struct Table {
    title: String,
    note: String,
    columns: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

/// All that is said of a run.
pub struct Report {
    file: Option<PathBuf>,
    /// What the file held before.
    before: String,
    facts: Vec<(String, String)>,
    tables: Vec<Table>,
    /// Rows that did not run.
    missing: usize,
}

impl Report {
    /// For standard output, and for a file if one is named.
    pub fn new(file: Option<PathBuf>) -> Report {
        Report { file, before: String::new(), facts: Vec::new(), tables: Vec::new(), missing: 0 }
    }

    /// After what a file holds, if there is one.
    pub fn after(file: PathBuf) -> Result<Report, String> {
        let before = match std::fs::read_to_string(&file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            read => read.map_err(|error| format!("{}: {error}", file.display()))?,
        };
        Ok(Report { before, ..Report::new(Some(file)) })
    }

    /// Whether the file held this fact before.
    pub fn knows(&self, what: &str) -> bool {
        self.before.lines().any(|line| line.starts_with(&format!("| {what} | ")))
    }

    /// Something about the machine or the run.
    pub fn fact(&mut self, what: &str, value: impl Into<String>) -> Result<(), String> {
        let value = value.into();
        println!("{what}: {value}");
        self.facts.push((what.into(), value));
        self.write()
    }

    /// The rows that follow belong to a new table.
    pub fn table(&mut self, title: &str, note: &str, columns: &[&'static str]) {
        println!("\n{title}\n{note}");
        let (title, note) = (title.into(), note.into());
        self.tables.push(Table { title, note, columns: columns.to_vec(), rows: Vec::new() });
    }

    /// A row of the last table.
    pub fn row(&mut self, cells: Vec<String>) -> Result<(), String> {
        if let Some(table) = self.tables.last_mut() {
            let named = table.columns.iter().zip(&cells).skip(1);
            let named: Vec<String> = named.map(|(column, cell)| format!("{column} {cell}")).collect();
            println!("{}: {}", cells.first().map_or("", String::as_str), named.join("; "));
            table.rows.push(cells);
        }
        self.write()
    }

    /// A row of the last table that has no figures, and why.
    pub fn not_run(&mut self, what: &str, reason: &str) -> Result<(), String> {
        self.missing += 1;
        let columns = self.tables.last().map_or(2, |table| table.columns.len());
        let mut cells = vec![what.to_owned(), format!("NOT RUN: {}", reason.replace(['\n', '|'], " "))];
        cells.resize(columns.max(2), String::new());
        self.row(cells)
    }

    /// Rows that did not run.
    pub fn missing(&self) -> usize {
        self.missing
    }

    /// Rows in all.
    pub fn rows(&self) -> usize {
        self.tables.iter().map(|table| table.rows.len()).sum()
    }

    /// As Markdown.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        let line = |cells: &mut dyn Iterator<Item = &str>| format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "));
        if !self.facts.is_empty() {
            text.push_str("| | |\n| --- | --- |\n");
            for (what, value) in &self.facts {
                text.push_str(&line(&mut [what.as_str(), &value.replace('|', "/")].into_iter()));
            }
        }
        for table in &self.tables {
            text.push_str(&format!("\n### {}\n{}\n\n", table.title, table.note));
            text.push_str(&line(&mut table.columns.iter().copied()));
            text.push_str(&line(&mut table.columns.iter().map(|_| "---")));
            table.rows.iter().for_each(|row| text.push_str(&line(&mut row.iter().map(String::as_str))));
        }
        text
    }

    fn write(&self) -> Result<(), String> {
        let Some(file) = &self.file else { return Ok(()) };
        std::fs::write(file, self.before.clone() + &self.markdown())
            .map_err(|error| format!("{}: {error}", file.display()))
    }
}

/// A number with three digits or so, and a prefix of its unit.
pub fn scaled(value: f64, unit: &str) -> String {
    let steps = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n")];
    let (step, prefix) = steps.into_iter().find(|(step, _)| value.abs() >= *step).unwrap_or((1.0, ""));
    let shown = value / step;
    let digits = if shown >= 100.0 {
        0
    } else if shown >= 10.0 {
        1
    } else {
        2
    };
    format!("{shown:.digits$} {prefix}{unit}")
}

/// What a device does at most, and how much of it that is.
pub fn beside(achieved: f64, most: Option<f64>, unit: &str) -> [String; 2] {
    match most.filter(|most| *most > 0.0) {
        Some(most) => [scaled(most, unit), format!("{:.0} %", 100.0 * achieved / most)],
        None => ["not known".into(), String::new()],
    }
}

/// An aim and whether it is met.
pub fn aim(text: &str, met: bool) -> String {
    format!("{text}: {}", if met { "met" } else { "NOT met" })
}
