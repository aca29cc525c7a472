//! Bars in panels side by side over the same rows: where something went.

use super::markup::Element;
use super::svg::{Frame, label, line, rectangle};

const LINE: f64 = 19.0;
const FRAME: Frame = Frame { width: 860.0, height: 0.0, left: 290.0, top: 42.0, right: 16.0, bottom: 30.0 };
/// Of a panel's width, what is left for the number behind the longest bar.
const NUMBER: f64 = 68.0;
/// Characters of a row's name.
const ROOM: usize = 40;

/// A row's name.
pub struct Name {
    /// The text; of a long one the end is shown, which tells more than its start.
    pub text: String,
    /// Whether it stands out.
    pub strong: bool,
}

/// A panel: for every row the parts of its bar, one after the other.
pub struct Panel {
    /// What stands above it.
    pub head: String,
    /// Per row and part, not negative.
    pub values: Vec<Vec<f64>>,
    /// How a bar's sum is written.
    pub number: fn(f64) -> String,
}

/// The classes of a bar's parts.
const PARTS: [&str; 2] = ["load", "wait"];

/// The chart and its height; `keys` say what the parts are.
pub fn chart(title: &str, names: &[Name], panels: &[Panel], keys: &[&str]) -> (Element, f64) {
    let height = FRAME.top + FRAME.bottom + LINE * names.len() as f64;
    let frame = Frame { height, ..FRAME };
    let width = (frame.width - frame.left - frame.right) / panels.len().max(1) as f64;
    let mut svg = frame.svg(title);
    for (index, name) in names.iter().enumerate() {
        let middle = frame.top + LINE * (index as f64 + 0.5) + 4.0;
        let text = label(frame.left - 10.0, middle, &shortened(&name.text)).set("text-anchor", "end");
        svg = svg.with(if name.strong { text.class("site") } else { text });
    }
    for (index, panel) in panels.iter().enumerate() {
        let left = frame.left + width * index as f64;
        svg = svg.with(label(left, frame.top - 12.0, &panel.head).class("strong"));
        svg = draw(svg, left, width, &frame, panel);
    }
    let bottom = height - 8.0;
    for (index, (class, text)) in PARTS.into_iter().zip(keys).enumerate() {
        let x = frame.left + 320.0 * index as f64;
        svg = svg.with(rectangle(x, bottom - 9.0, 12.0, 10.0).class(class)).with(label(x + 18.0, bottom, text));
    }
    (svg, height)
}

fn draw(mut svg: Element, left: f64, width: f64, frame: &Frame, panel: &Panel) -> Element {
    let largest = panel.values.iter().map(|parts| parts.iter().sum::<f64>()).fold(f64::MIN_POSITIVE, f64::max);
    let unit = (width - NUMBER - 10.0) / largest;
    svg = svg.with(line(left, frame.top, left, frame.height - frame.bottom).class("axis"));
    for (index, parts) in panel.values.iter().enumerate() {
        let top = frame.top + LINE * index as f64;
        let mut x = left + 1.0;
        for (part, class) in parts.iter().zip(PARTS) {
            svg = svg.with(rectangle(x, top + 3.0, part * unit, LINE - 6.0).class(class));
            x += part * unit;
        }
        let sum: f64 = parts.iter().sum();
        if sum > 0.0 {
            svg = svg.with(label(x + 5.0, top + LINE / 2.0 + 4.0, &(panel.number)(sum)));
        }
    }
    svg
}

fn shortened(text: &str) -> String {
    let length = text.chars().count();
    match length <= ROOM {
        true => text.to_owned(),
        false => format!("…{}", text.chars().skip(length - ROOM + 1).collect::<String>()),
    }
}

/// Bytes with a unit.
pub fn bytes(value: f64) -> String {
    match value {
        ..1e3 => format!("{value:.0} B"),
        ..1e6 => format!("{:.1} kB", value / 1e3),
        _ => format!("{:.2} MB", value / 1e6),
    }
}
