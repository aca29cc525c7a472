//! How far a model stays from the limits of its plan.

use super::{read, read_structure, refused};
use crate::catalog_folder;
use crate::commands::inspect;
use crate::failure::Failure;
use crate::report::numbers::significant;
use crate::report::table;
use runtime::circuit::limits::Limit;
use runtime::plan::CheckedPlan;
use serde::Serialize;
use std::path::Path;

/// One limit.
#[derive(Serialize)]
pub struct Row {
    /// The model's node.
    pub name: String,
    /// Whether it is a nonlinear site.
    pub is_site: bool,
    /// What is limited.
    pub what: String,
    /// The proved range.
    pub range: [f64; 2],
    /// What it may not leave.
    pub limit: [f64; 2],
    /// The share that is used.
    pub used: f64,
    /// Bits that are left.
    pub spare_bits: f64,
}

/// Checks the plan with its structure file and the catalog.
pub fn checked(catalog: &Path, plan: &Path) -> Result<CheckedPlan, Failure> {
    let graph = read_structure(plan)?;
    read(plan)?.check(&graph, &catalog_folder::open(catalog)?).map_err(refused)
}

/// Proves the ranges with the model's weights.
pub fn of(catalog: &Path, plan: &Path, model: &Path) -> Result<Vec<Row>, Failure> {
    let checked = checked(catalog, plan)?;
    let graph = inspect::import(model, &inspect::read(model)?, &checked.plan().model.axes())?;
    let limits = checked.limits(&graph).map_err(refused)?;
    let row = |limit: Limit| Row {
        spare_bits: limit.spare_bits(),
        is_site: limit.site.is_some(),
        name: limit.name,
        what: limit.what,
        range: limit.range,
        limit: limit.limit,
        used: limit.used,
    };
    Ok(limits.into_iter().map(row).collect())
}

/// As a page: the tightest limits of all sites, and of what lies between them the tightest dozen.
pub fn text(rows: &[Row]) -> String {
    const OTHERS: usize = 12;
    let mut others: Vec<&Row> = rows.iter().filter(|row| !row.is_site).collect();
    others.sort_by(|a, b| b.used.total_cmp(&a.used));
    let line = |row: &Row| {
        let [range, limit] =
            [row.range, row.limit].map(|[low, high]| format!("{} to {}", significant(low, 4), significant(high, 4)));
        // Adding zero takes the sign from a zero.
        let spare = (10.0 * row.spare_bits).round() / 10.0 + 0.0;
        vec![row.name.clone(), row.what.clone(), range, limit, format!("{spare:.1}")]
    };
    let header = ["node", "what", "proved range", "limit", ">spare bits"];
    let sites: Vec<Vec<String>> = rows.iter().filter(|row| row.is_site).map(line).collect();
    let between: Vec<Vec<String>> = others.iter().take(OTHERS).map(|row| line(row)).collect();
    format!(
        "nonlinear sites\n{}\nbetween them, {} tightest of {}\n{}",
        table(&header, &sites),
        between.len(),
        others.len(),
        table(&header, &between)
    )
}
