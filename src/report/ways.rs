//! Ways to choose a plan beside each other: seconds against errors as a picture, and a page with the table.

use super::front::standalone;
use super::markup::{Element, element};
use super::numbers::significant;
use super::page::{document, paragraph, section};
use super::svg::{Frame, Scale, dot, label, line};

const FRAME: Frame = Frame { width: 860.0, height: 430.0, left: 76.0, top: 40.0, right: 390.0, bottom: 60.0 };
/// Between the lines of two labels.
const LINE: f64 = 19.0;
/// The most characters of a label; the table has all of it.
const LABEL: usize = 50;

/// Whose a point is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The tuner's.
    Ours,
    /// Another way over the same entries.
    Baseline,
    /// Another system's approximations.
    Theirs,
    /// Of whomever: it does not meet the constraint.
    Refused,
}

/// A point.
#[derive(Clone, Debug)]
pub struct Way {
    /// What it is called.
    pub name: String,
    /// Seconds of a run.
    pub seconds: f64,
    /// An error.
    pub error: f64,
    /// Whose it is.
    pub kind: Kind,
}

/// What is shown.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Model and network.
    pub title: String,
    /// What is to the right.
    pub horizontal: String,
    /// What is above.
    pub vertical: String,
    /// One a way.
    pub points: Vec<Way>,
    /// Names of the table's columns; numbers begin with '>'.
    pub header: Vec<&'static str>,
    /// The table.
    pub rows: Vec<Vec<String>>,
    /// Where ours is ahead.
    pub verdict: Vec<String>,
    /// What else is to be known.
    pub notes: Vec<String>,
}

impl Shown {
    /// The picture, as a file of its own.
    pub fn svg(&self) -> String {
        standalone(&self.title, vec![(self.chart(), FRAME.height)])
    }

    /// A page with picture, table and notes.
    pub fn page(&self) -> String {
        let number = |index: usize| self.header.get(index).is_some_and(|name| name.starts_with('>'));
        let cell = |name: &'static str, index: usize, text: &str| {
            let cell = element(name).text(text.trim_start_matches('>'));
            if number(index) { cell.class("number") } else { cell }
        };
        let heads = self.header.iter().enumerate().map(|(index, name)| cell("th", index, name));
        let rows = self
            .rows
            .iter()
            .map(|row| element("tr").all(row.iter().enumerate().map(|(index, text)| cell("td", index, text))));
        let table =
            element("table").with(element("thead").with(element("tr").all(heads))).with(element("tbody").all(rows));
        let body = element("main")
            .with(element("h1").text(&self.title))
            .with(element("figure").with(element("div").class("scroll").with(self.chart())))
            .all(self.verdict.iter().map(paragraph))
            .with(section("Every way", [element("div").class("scroll").with(table)]))
            .with(section("Whose functions, and why", self.notes.iter().map(paragraph)))
            .with(element("footer").with(paragraph(format!(
                "Made by chebyshare {}. All plans ran in this runtime: approximations are compared here, not protocols.",
                env!("CARGO_PKG_VERSION")
            ))));
        document(&self.title, body)
    }

    fn chart(&self) -> Element {
        // Also of what is no number.
        let positive = |value: f64| if value > 1e-12 { value.min(1e12) } else { 1e-12 };
        let ends = |values: &dyn Fn(&Way) -> f64| -> (f64, f64) {
            let all = self.points.iter().map(|way| positive(values(way)));
            let (low, high) = all.fold((1e12f64, 1e-12f64), |(low, high), value| (low.min(value), high.max(value)));
            if low <= high { (low, high) } else { (1.0, 1.0) }
        };
        let ((fast, slow), (low, high)) = (ends(&|way| way.seconds), ends(&|way| way.error));
        let slow = slow.max(fast * 1.2);
        let room = ((slow / fast).powf(0.08)).max(1.03);
        let x = FRAME.x(Scale::Logarithmic, fast / room, slow * room);
        let y = FRAME.y(Scale::Logarithmic, low / 2.0, high.max(low * 10.0) * 2.0);
        let mut chart = FRAME
            .svg(&self.title)
            .with(label(FRAME.left, 20.0, &format!("{} (vertical)", self.vertical)).class("strong"))
            .with(FRAME.axes(&x, &y));
        let places = self.points.iter().map(|way| (x.within(way.seconds), y.within(positive(way.error))));
        let places: Vec<(f64, f64)> = places.collect();
        let edge = FRAME.width - FRAME.right;
        for (way, (place, row)) in
            self.points.iter().zip(&places).zip(rows(&places)).map(|((way, at), row)| (way, (at, row)))
        {
            chart = chart.with(line(place.0, place.1, edge + 14.0, row).class("zero")).with(
                label(edge + 19.0, row + 4.0, &self.text(way)).class(if way.kind == Kind::Ours {
                    "strong"
                } else {
                    ""
                }),
            );
        }
        // Ours above what lies at the same place.
        let (own, others): (Vec<_>, Vec<_>) =
            self.points.iter().zip(&places).partition(|(way, _)| way.kind == Kind::Ours);
        for (way, place) in others.into_iter().chain(own) {
            let class = match way.kind {
                Kind::Ours => "point many",
                Kind::Baseline => "point some",
                Kind::Theirs => "point few",
                Kind::Refused => "point beaten",
            };
            let size = if way.kind == Kind::Ours { 7.0 } else { 5.5 };
            let note =
                element("title").text(format!("{}: {} s, {:.2e}", way.name, significant(way.seconds, 4), way.error));
            chart = chart.with(dot(place.0, place.1, size).class(class).with(note));
        }
        let words = "orange: tuned; blue: other ways over our entries; green: other systems' approximations; hollow: misses the constraint";
        chart.with(label(FRAME.left, FRAME.height - 24.0, &format!("{} →", self.horizontal))).with(label(
            FRAME.left,
            FRAME.height - 7.0,
            words,
        ))
    }

    fn text(&self, way: &Way) -> String {
        let name: String = match way.name.chars().count() > LABEL {
            true => way.name.chars().take(LABEL - 1).chain(['…']).collect(),
            false => way.name.clone(),
        };
        format!("{name} {} s", significant(way.seconds, 3))
    }
}

/// Where labels stand beside the chart: in the order of their points, none over another.
fn rows(places: &[(f64, f64)]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by(|&a, &b| places[a].1.total_cmp(&places[b].1).then(places[b].0.total_cmp(&places[a].0)));
    let mut rows = vec![0.0; places.len()];
    let mut free = FRAME.top;
    for &index in &order {
        rows[index] = places[index].1.max(free);
        free = rows[index] + LINE;
    }
    // What went below the chart moves up again.
    let mut limit = FRAME.height - FRAME.bottom;
    for &index in order.iter().rev() {
        rows[index] = rows[index].min(limit);
        limit = rows[index] - LINE;
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::markup::well_formed;

    fn way(name: &str, seconds: f64, error: f64, kind: Kind) -> Way {
        Way { name: name.into(), seconds, error, kind }
    }

    /// Also where everything is at one place, where nothing is, and where an error is zero or not a number.
    #[test]
    fn pages_and_pictures_are_well_formed() {
        let all = [
            vec![],
            vec![way("tuned", 1.0, 1e-3, Kind::Ours); 9],
            vec![
                way("<a> & b", 0.5, 0.0, Kind::Theirs),
                way("tuned", 1.0, f64::NAN, Kind::Ours),
                way("c", 9.0, 1e9, Kind::Refused),
            ],
        ];
        for points in all {
            let rows = vec![vec!["<a>".to_owned(), "1".to_owned()]];
            let shown = Shown {
                title: "m & n".into(),
                horizontal: "s".into(),
                vertical: "e".into(),
                points,
                header: vec!["plan", ">s"],
                rows,
                verdict: vec!["v < w".into()],
                notes: vec!["n".into()],
            };
            well_formed(&shown.svg()).unwrap();
            assert!(shown.page().contains("v &lt; w"));
        }
    }

    #[test]
    fn labels_keep_their_distance() {
        let rows = rows(&[(1.0, 100.0), (1.0, 101.0), (5.0, 101.0), (1.0, 369.0), (1.0, 370.0)]);
        for (index, a) in rows.iter().enumerate() {
            assert!((FRAME.top..=FRAME.height - FRAME.bottom).contains(a));
            assert!(rows[index + 1..].iter().all(|b| (a - b).abs() >= LINE - 1e-9), "{rows:?}");
        }
    }
}
