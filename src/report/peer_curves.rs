//! Error curves of peers' programs beside ours: |error| by logarithm, so that what explodes and what is exact to the last bit
//! stand in one chart. Measured, not proved.

use super::markup::Element;
use super::svg::{Axis, Frame, Scale, label, line, path};
use catalogs::Entry;
use synth::peers::Meter;

/// The height of [`chart`].
pub const HEIGHT: f64 = 300.0;
const FRAME: Frame = Frame { width: 860.0, height: HEIGHT, left: 86.0, top: 44.0, right: 16.0, bottom: 40.0 };
/// Columns of a chart, and inputs that are run in each.
const COLUMNS: i64 = 320;
const TRIES: i64 = 3;
/// Nothing smaller is drawn: a sixteenth of the last of 18 fraction bits.
const LEAST: f64 = 2.4e-7;
const CLASSES: [&str; 3] = ["approximation", "rounding", "remainder"];

/// One curve: what it is called, and the entry that is run.
pub struct Curve<'a> {
    /// In the legend.
    pub name: String,
    /// Function, norm and program.
    pub entry: &'a Entry,
}

/// The largest errors of all curves over [low, high], per column; up to three peers, and ours as the last, dashed.
pub fn chart(title: &str, (low, high): (f64, f64), peers: &[Curve], ours: &Curve) -> Element {
    let columns = |curve: &Curve| -> Vec<(f64, f64)> {
        let meter = Meter::new(curve.entry);
        let unit = 2f64.powi(i32::from(curve.entry.program.input().1.bits()));
        let mut found = Vec::new();
        for column in 0..COLUMNS {
            let at = |part: f64| low + (high - low) * part / COLUMNS as f64;
            let mut largest = None;
            for attempt in 0..TRIES {
                let x = at(column as f64 + attempt as f64 / TRIES as f64);
                if let Some((worst, _)) = meter.worst((x * unit).round() as i64) {
                    largest = Some(largest.unwrap_or(0.0f64).max(worst));
                }
            }
            found.extend(largest.map(|worst| (at(column as f64 + 0.5), worst.max(LEAST))));
        }
        found
    };
    let drawn: Vec<Vec<(f64, f64)>> = peers.iter().chain([ours]).map(columns).collect();
    let greatest = drawn.iter().flatten().map(|(_, error)| *error).fold(LEAST, f64::max);
    let x = FRAME.x(Scale::Linear, low, high);
    let y = FRAME.y(Scale::Logarithmic, LEAST, 2.0 * greatest);
    let mut svg = FRAME.svg(title).with(FRAME.axes(&x, &y)).with(label(FRAME.left, 16.0, title).class("strong"));
    for (index, (curve, points)) in peers.iter().chain([ours]).zip(&drawn).enumerate() {
        let class = if index == peers.len() { "allowed" } else { CLASSES[index % CLASSES.len()] };
        svg = svg.with(stroke(&x, &y, points).class(class));
        let place = FRAME.left + 165.0 * index as f64;
        svg = svg.with(line(place, 29.0, place + 18.0, 29.0).class(class));
        svg = svg.with(label(place + 24.0, 33.0, &curve.name));
    }
    svg
}

fn stroke(x: &Axis, y: &Axis, points: &[(f64, f64)]) -> Element {
    path(points.iter().map(|(argument, error)| (x.at(*argument), y.within(*error))), false)
}
