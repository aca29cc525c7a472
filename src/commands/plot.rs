//! `chebyshare catalog plot`: accuracy against cost of a function's published entries, as SVG.

use crate::catalog_folder;
use crate::failure::Failure;
use crate::output;
use crate::report::Context;
use crate::report::curve::{CHART_HEIGHT, Meter};
use crate::report::front::{Offer, charts, heading, on_front, standalone};
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;
use verify::{Certificate, Certified};

/// Draws the certified error of a function's entries against their bytes, with rounds and windows; entries that another
/// one beats are hollow. The entries are checked first: a rejected one is not drawn, and the exit code is 1.
///
/// Example: chebyshare catalog plot gelu --out gelu.svg --curve
#[derive(Args)]
pub struct Plot {
    /// The function: the folder of its entries, such as gelu.
    function: String,
    /// The SVG file.
    #[arg(long, value_name = "FILE.svg")]
    out: PathBuf,
    /// The measured error of each entry below, over its fitted interval.
    #[arg(long)]
    curve: bool,
}

#[derive(Serialize)]
struct Report {
    function: String,
    file: PathBuf,
    entries: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    entry: String,
    certified_error: String,
    norm_absolute: String,
    norm_relative: String,
    window: [String; 2],
    rounds: u16,
    bytes_per_element: u64,
    on_front: bool,
    /// With --curve: x, then the least and the greatest signed error in the claim's norm with every rounding down, and
    /// with every rounding up, of the inputs sampled about there.
    curve: Option<Vec<[f64; 5]>>,
}

/// A checked entry of the function.
struct Checked {
    name: String,
    certified: Certified,
    certificate: Certificate,
}

impl Plot {
    /// Checks, draws, prints.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        output::check_file_places([], [self.out.as_path()])?;
        let (checked, rejected) = self.check(context)?;
        let offers: Vec<Offer> =
            checked.iter().map(|checked| Offer::new(&checked.name, checked.certified.entry())).collect();
        let front = on_front(&offers);
        let mut drawn = charts(&offers);
        let mut rows = Vec::new();
        for ((checked, offer), on_front) in checked.iter().zip(&offers).zip(front) {
            let curve = self.curve.then(|| {
                let (entry, meter) = (checked.certified.entry(), Meter::new(checked.certified.entry()));
                let fitted = entry.claim.fitted;
                let curve = meter.curve(fitted.low, fitted.high, Some(&checked.certificate));
                let title = format!("{}: signed error over the fitted interval", checked.name);
                drawn.push(heading(&title));
                let mark = meter.witness(&checked.certificate);
                drawn.push((curve.chart(&title, offer.bound, &offer.bound_text, mark), CHART_HEIGHT));
                curve.points()
            });
            rows.push(row(checked, offer, on_front, curve));
        }
        let title = format!("Published programs of {}", self.function);
        output::write_texts(&[(&self.out, &standalone(&title, drawn))])?;
        let report = Report { function: self.function.clone(), file: self.out.clone(), entries: rows };
        context.print(&report, text)?;
        rejected.map_or(Ok(()), |reason| Err(Failure::Claim(reason)))
    }

    /// The entries that hold, and what is said of the first that does not.
    fn check(&self, context: &Context) -> Result<(Vec<Checked>, Option<String>), Failure> {
        let catalog = catalog_folder::open(&context.catalog)?;
        let folder = format!("{}/", self.function);
        let (mut checked, mut rejected) = (Vec::new(), None);
        for (name, published) in catalog.iter().filter(|(name, _)| name.starts_with(&folder)) {
            let certificate = Certificate::parse(&published.certificate);
            match (verify::check_texts(&published.entry, &published.certificate), certificate) {
                (Ok(certified), Ok(certificate)) => {
                    checked.push(Checked { name: name.to_owned(), certified, certificate });
                }
                (Err(reason), _) => {
                    rejected.get_or_insert(format!("{name} is rejected: {reason}"));
                }
                (_, Err(reason)) => {
                    rejected.get_or_insert(format!("{name} is rejected: {reason}"));
                }
            }
        }
        match (checked.is_empty(), rejected) {
            (true, Some(reason)) => Err(Failure::Claim(reason)),
            (true, None) => {
                let mut known: Vec<&str> = catalog.iter().filter_map(|(name, _)| name.split('/').next()).collect();
                known.dedup();
                Err(Failure::Input(format!(
                    "no entry of '{}' is published; there are {}",
                    self.function,
                    known.join(", ")
                )))
            }
            (false, rejected) => Ok((checked, rejected)),
        }
    }
}

fn row(checked: &Checked, offer: &Offer, on_front: bool, curve: Option<Vec<[f64; 5]>>) -> Row {
    let entry = checked.certified.entry();
    let (claim, scale) = (&entry.claim, entry.program.input().1.bits());
    let decimal = |end: i64| catalogs::text::dyadic_to_decimal(i128::from(end), scale);
    Row {
        entry: checked.name.clone(),
        certified_error: claim.bound.to_string(),
        norm_absolute: claim.norm.absolute.to_string(),
        norm_relative: claim.norm.relative.to_string(),
        window: [decimal(claim.window.low), decimal(claim.window.high)],
        rounds: offer.rounds,
        bytes_per_element: offer.bytes,
        on_front,
        curve,
    }
}

fn text(report: &Report) -> String {
    let beaten = report.entries.iter().filter(|row| !row.on_front).count();
    format!(
        "{} entries of {} ({beaten} beaten by another) drawn in {}\n",
        report.entries.len(),
        report.function,
        report.file.display()
    )
}
