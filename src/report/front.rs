//! What the published programs of a function cost for what accuracy, and which of them nobody would choose.

use super::markup::{Element, element};
use super::numbers::{grouped, plain, scientific, significant};
use super::style;
use super::svg::{Frame, Scale, dot, label, path, rectangle};
use catalogs::protocol::{cost, rss3::Rss3};
use catalogs::{Decimal, Entry, Norm};
use std::collections::BTreeMap;

const WIDTH: f64 = 860.0;
const FRAME: Frame = Frame { width: WIDTH, height: 320.0, left: 86.0, top: 40.0, right: 30.0, bottom: 46.0 };
const LINE: f64 = 19.0;

/// One program in a chart.
#[derive(Clone, Debug)]
pub struct Offer {
    /// FUNCTION/STEM.
    pub name: String,
    /// The certified bound.
    pub bound: f64,
    /// The same as it is written.
    pub bound_text: String,
    /// The claim's norm.
    pub norm: Norm,
    /// Input and output formats.
    pub formats: [(u8, u8); 2],
    /// The window in real numbers.
    pub window: [f64; 2],
    /// Bytes of all parties per element.
    pub bytes: u64,
    /// Rounds.
    pub rounds: u16,
}

impl Offer {
    /// Of a checked entry.
    pub fn new(name: &str, entry: &Entry) -> Offer {
        let cost = cost(&entry.program, &Rss3);
        let (input, output) = (entry.program.input(), entry.program.output());
        let scale = 2f64.powi(i32::from(input.1.bits()));
        Offer {
            name: name.to_owned(),
            bound: entry.claim.bound.to_f64_lossy(),
            bound_text: entry.claim.bound.to_string(),
            norm: entry.claim.norm,
            formats: [input, output].map(|(ring, scale)| (ring.bits(), scale.bits())),
            window: [entry.claim.window.low, entry.claim.window.high].map(|end| end as f64 / scale),
            bytes: cost.bytes(),
            rounds: cost.rounds,
        }
    }

    /// Whether `other` serves wherever this one does, at no place worse and somewhere better.
    fn is_beaten_by(&self, other: &Offer) -> bool {
        let serves = self.formats == other.formats
            && self.norm == other.norm
            && other.window[0] <= self.window[0]
            && self.window[1] <= other.window[1];
        let no_worse = other.bound <= self.bound && other.bytes <= self.bytes && other.rounds <= self.rounds;
        let better = other.bound < self.bound || other.bytes < self.bytes || other.rounds < self.rounds;
        serves && no_worse && better
    }
}

/// For each offer whether no other beats it: same formats and norm, a window that covers its own, error, bytes, rounds.
pub fn on_front(offers: &[Offer]) -> Vec<bool> {
    offers.iter().map(|offer| !offers.iter().any(|other| offer.is_beaten_by(other))).collect()
}

/// Charts of offers, one for each norm, with the height they take.
pub fn charts(offers: &[Offer]) -> Vec<(Element, f64)> {
    by_norm(offers).into_iter().map(|(norm, offers)| chart(&norm, &offers)).collect()
}

/// The charts that have more than one offer.
pub fn compared(offers: &[Offer]) -> Vec<(Element, f64)> {
    let several = by_norm(offers).into_iter().filter(|(_, offers)| offers.len() > 1);
    several.map(|(norm, offers)| chart(&norm, &offers)).collect()
}

fn by_norm(offers: &[Offer]) -> BTreeMap<String, Vec<Offer>> {
    let mut groups: BTreeMap<String, Vec<Offer>> = BTreeMap::new();
    for offer in offers {
        groups.entry(norm_text(&offer.norm)).or_default().push(offer.clone());
    }
    groups
}

fn norm_text(norm: &Norm) -> String {
    match (norm.absolute.to_string().as_str(), norm.relative.to_string().as_str()) {
        ("1", "0") => "absolute error".to_owned(),
        ("0", "1") => "relative error".to_owned(),
        _ => format!("error in units of {}", weight(norm, "f")),
    }
}

/// The norm's weight as a formula: `0.125 + |f|`.
pub fn weight(norm: &Norm, function: &str) -> String {
    let relative = match plain(norm.relative).as_str() {
        "1" => format!("|{function}|"),
        factor => format!("{factor} |{function}|"),
    };
    match plain(norm.absolute).as_str() {
        "0" => relative,
        absolute if norm.relative == Decimal::ZERO => absolute.to_owned(),
        absolute => format!("{absolute} + {relative}"),
    }
}

fn chart(norm: &str, offers: &[Offer]) -> (Element, f64) {
    let mut offers = offers.to_vec();
    offers.sort_by(|a, b| (a.bytes, a.rounds, &a.name).cmp(&(b.bytes, b.rounds, &b.name)));
    let front = on_front(&offers);
    let height = FRAME.height + LINE * (offers.len() as f64 + 1.0) + 14.0;
    // A logarithmic axis has no zero: exact programs lie at its lower end.
    let positive = offers.iter().map(|offer| offer.bound).filter(|bound| *bound > 0.0).reduce(f64::min);
    let exact = positive.map_or(1.0, |least| least / 10.0);
    offers.iter_mut().for_each(|offer| offer.bound = if offer.bound > 0.0 { offer.bound } else { exact });
    let extent = |of: &dyn Fn(&Offer) -> f64| {
        let (least, greatest) = offers
            .iter()
            .map(of)
            .fold((f64::MAX, 0.0), |(low, high): (f64, f64), value| (low.min(value), high.max(value)));
        // Room around the points, also around a single one.
        let room = (greatest / least).powf(0.08).max(1.25);
        (least / room, greatest * room)
    };
    let (cheap, dear) = extent(&|offer| (offer.bytes.max(1)) as f64);
    let (sharp, rough) = extent(&|offer| offer.bound);
    let (x, mut y) = (FRAME.x(Scale::Logarithmic, cheap, dear), FRAME.y(Scale::Logarithmic, sharp, rough));
    if positive.is_none() {
        // Nothing but exact programs: one line, at zero.
        y = FRAME.y(Scale::Linear, -1.0, 1.0);
        offers.iter_mut().for_each(|offer| offer.bound = 0.0);
    }
    let frame = Frame { height, ..FRAME };
    let mut svg = frame
        .svg(&format!("certified {norm} against bytes"))
        .with(
            label(FRAME.left, 20.0, &format!("Certified {norm} (vertical) against bytes per element (horizontal)"))
                .class("strong"),
        )
        .with(FRAME.axes(&x, &y));
    let stairs = stairs(&offers);
    let corners = stairs
        .windows(2)
        .flat_map(|pair| [(pair[0].0, pair[0].1), (pair[1].0, pair[0].1)])
        .chain(stairs.last().copied());
    svg = svg
        .with(path(corners.map(|(bytes, bound)| (x.at(bytes), y.at(bound))).collect::<Vec<_>>(), false).class("front"));
    let rounds = offers.iter().map(|offer| f64::from(offer.rounds));
    let (fewest, most) =
        rounds.fold((f64::MAX, 0.0), |(low, high): (f64, f64), value| (low.min(value), high.max(value)));
    let share = |rounds: u16| if most > fewest { (f64::from(rounds) - fewest) / (most - fewest) } else { 0.5 };
    let mut lettered = Vec::new();
    for (index, offer) in offers.iter().enumerate() {
        let (column, row) = (x.at(offer.bytes.max(1) as f64), y.at(offer.bound));
        let class = match share(offer.rounds) {
            _ if !front[index] => "point beaten",
            few if few <= 0.34 => "point few",
            some if some <= 0.67 => "point some",
            _ => "point many",
        };
        svg = svg.with(dot(column, row, 5.5).class(class).with(element("title").text(&offer.name)));
        // Above the letter of a neighbour that it would cover.
        let near = lettered.iter().filter(|(x, _): &&(f64, f64)| (x - column).abs() < 16.0);
        let free =
            near.map(|(_, y)| *y).filter(|y| (y - row).abs() < 60.0).fold(row - 6.0, |free, y| free.min(y - 14.0));
        lettered.push((column, free));
        svg = svg.with(label(column + 9.0, free, &letter(index)).class("strong"));
        svg = svg.all(row_of(index, offer, front[index], FRAME.height + 14.0 + LINE * (index as f64 + 1.0)));
    }
    let heads =
        [("entry", LIST[1], "start"), ("error", LIST[2], "end"), ("bytes", LIST[3], "end"), ("rounds", LIST[4], "end")];
    svg = svg.all(heads.map(|(text, x, anchor)| label(x, FRAME.height + 14.0, text).set("text-anchor", anchor)));
    (svg.with(label(LIST[5], FRAME.height + 14.0, "window")), height)
}

/// Where the columns of the list are.
const LIST: [f64; 6] = [86.0, 108.0, 520.0, 590.0, 650.0, 672.0];

fn row_of(index: usize, offer: &Offer, front: bool, y: f64) -> Vec<Element> {
    let stem = if front { offer.name.clone() } else { format!("{} (beaten)", offer.name) };
    let end = |x: f64, text: &str| label(x, y, text).set("text-anchor", "end");
    let window = format!("{} to {}", significant(offer.window[0], 4), significant(offer.window[1], 4));
    vec![
        label(LIST[0], y, &letter(index)).class("strong"),
        label(LIST[1], y, &stem),
        end(LIST[2], &scientific(&offer.bound_text)),
        end(LIST[3], &grouped(offer.bytes.into())),
        end(LIST[4], &offer.rounds.to_string()),
        label(LIST[5], y, &window),
    ]
}

/// a, b, …, z, aa, ab, …
fn letter(index: usize) -> String {
    let last = char::from(b'a' + (index % 26) as u8);
    if index < 26 { last.to_string() } else { format!("{}{last}", letter(index / 26 - 1)) }
}

/// The least error for at most so many bytes; `offers` ascend by bytes.
fn stairs(offers: &[Offer]) -> Vec<(f64, f64)> {
    let mut stairs: Vec<(f64, f64)> = Vec::new();
    for offer in offers {
        if stairs.last().is_none_or(|(_, bound)| offer.bound < *bound) {
            stairs.push((offer.bytes.max(1) as f64, offer.bound));
        }
    }
    stairs
}

/// A line of text between charts, with its height.
pub fn heading(text: &str) -> (Element, f64) {
    let frame = Frame { height: 26.0, ..FRAME };
    (frame.svg(text).with(label(FRAME.left, 20.0, text).class("strong")), frame.height)
}

/// Charts below each other, as a file of their own.
pub fn standalone(title: &str, charts: Vec<(Element, f64)>) -> String {
    let height: f64 = 44.0 + charts.iter().map(|(_, height)| height + 18.0).sum::<f64>();
    let mut svg = element("svg")
        .set("xmlns", "http://www.w3.org/2000/svg")
        .set("viewBox", format!("0 0 {WIDTH} {height}"))
        .set("width", WIDTH)
        .set("height", height)
        .class("chart")
        .with(element("style").text(format!("{}{}", style::STANDALONE, style::CHART)))
        .with(rectangle(0.0, 0.0, WIDTH, height).class("paper"))
        .with(label(20.0, 28.0, title).class("strong"));
    let mut y = 44.0;
    for (chart, height) in charts {
        svg = svg.with(chart.set("y", y).set("width", WIDTH).set("height", height));
        y += height + 18.0;
    }
    svg.render() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog_folder::STANDARD;
    use crate::report::markup::well_formed;

    fn offer(name: &str, bound: f64, bytes: u64, rounds: u16, window: [f64; 2]) -> Offer {
        let (bound_text, formats) = (format!("{bound:e}"), [(64, 16), (64, 16)]);
        Offer { name: name.into(), bound, bound_text, norm: Norm::ABSOLUTE, formats, window, bytes, rounds }
    }

    #[test]
    fn only_what_serves_as_well_beats() {
        let wide = [-8.0, 8.0];
        let offers = [
            offer("a", 1e-3, 100, 10, wide),
            offer("cheaper nowhere", 1e-3, 100, 11, wide),
            offer("narrower", 1e-3, 101, 10, [-4.0, 4.0]),
            offer("sharper", 1e-4, 200, 10, wide),
            offer("wider", 1e-3, 300, 10, [-9.0, 9.0]),
        ];
        assert_eq!(on_front(&offers), [true, false, false, true, true]);
        // The same offer twice beats neither.
        assert_eq!(on_front(&[offers[0].clone(), offers[0].clone()]), [true, true]);
        assert_eq!([0, 25, 26, 27, 52].map(letter), ["a", "z", "aa", "ab", "ba"]);
    }

    #[test]
    fn shipped_entries_make_a_file() {
        let gelu = STANDARD.iter().filter(|(name, ..)| name.starts_with("gelu/"));
        let offers: Vec<Offer> = gelu.map(|(name, entry, _)| Offer::new(name, &Entry::parse(entry).unwrap())).collect();
        let file = standalone("gelu <x>", charts(&offers));
        well_formed(&file).unwrap();
        assert!(offers.len() > 2 && file.contains("gelu &lt;x&gt;"));
        assert!(offers.iter().all(|offer| file.contains(&offer.name)));
    }
}
