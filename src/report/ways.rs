//! Ways to choose a plan beside each other: seconds against errors as a picture, and a page with the table.

use super::front::standalone;
use super::markup::{Element, element};
use super::numbers::significant;
use super::page::{document, paragraph, section};
use super::svg::{Frame, Scale, dot, label, line};
use super::tables::{Cell, table};

const FRAME: Frame = Frame { width: 860.0, height: 430.0, left: 76.0, top: 40.0, right: 248.0, bottom: 66.0 };
/// Between the lines of two labels.
const LINE: f64 = 19.0;
/// The most characters of a label; the table has all of it.
const LABEL: usize = 30;

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

impl Kind {
    /// The class of its points, and what they are.
    fn shown(self) -> (&'static str, &'static str) {
        match self {
            Kind::Ours => ("point many", "tuned"),
            Kind::Baseline => ("point some", "other ways over our entries"),
            Kind::Theirs => ("point few", "other systems’ approximations"),
            Kind::Refused => ("point beaten", "misses the constraint"),
        }
    }
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
    pub header: Vec<String>,
    /// The table.
    pub rows: Vec<Vec<String>>,
    /// Below the title: what a reader has to know of the model.
    pub caption: Option<String>,
    /// Whose functions the ways have: a header and rows like the table's; empty where all of them are ours.
    pub functions: Vec<Vec<String>>,
    /// Where ours is ahead.
    pub verdict: Vec<String>,
    /// What else is to be known.
    pub notes: Vec<String>,
}

impl Shown {
    /// The picture, as a file of its own.
    pub fn svg(&self) -> String {
        let title = match &self.caption {
            Some(caption) => format!("{}: {caption}", self.title),
            None => self.title.clone(),
        };
        standalone(&title, vec![(self.chart(), FRAME.height)])
    }

    /// A page with picture, table and notes.
    pub fn page(&self) -> String {
        let header: Vec<&str> = self.header.iter().map(String::as_str).collect();
        let functions = self.functions.split_first().map(|(header, rows)| {
            let names: Vec<String> = header.iter().enumerate().map(|(index, name)| numeric(index, name)).collect();
            table(&names.iter().map(String::as_str).collect::<Vec<&str>>(), rows.iter().map(|row| cells(row)))
        });
        let notes = (!self.notes.is_empty()).then(|| section("What else is to be known", [list(&self.notes)]));
        let body = element("main")
            .with(element("h1").text(&self.title))
            .maybe(self.caption.as_ref().map(|caption| paragraph(caption).class("lead")))
            .with(element("figure").with(element("div").class("scroll").with(self.chart())))
            .with(section("Every way", [table(&header, self.rows.iter().map(|row| cells(row)))]))
            .with(list(&self.verdict))
            .maybe(functions.map(|table| section("Sites at which a system’s own functions stand", [table])))
            .maybe(notes)
            .with(element("footer").with(paragraph(format!(
                "Made by chebyshare {}. All plans are for this runtime: approximations are compared here, not protocols.",
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
            chart = chart.with(line(place.0, place.1, edge + 14.0, row).class("cut")).with(
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
            let (class, _) = way.kind.shown();
            let size = if way.kind == Kind::Ours { 7.0 } else { 5.5 };
            let note =
                element("title").text(format!("{}: {} s, {:.2e}", way.name, significant(way.seconds, 4), way.error));
            chart = chart.with(dot(place.0, place.1, size).class(class).with(note));
        }
        let chart = chart.with(label(FRAME.left, FRAME.height - 27.0, &format!("{} →", self.horizontal)));
        self.keys(chart)
    }

    /// What the points' colours mean, of those that there are.
    fn keys(&self, mut chart: Element) -> Element {
        let mut at = FRAME.left + 5.0;
        for kind in [Kind::Ours, Kind::Baseline, Kind::Theirs, Kind::Refused] {
            if self.points.iter().any(|way| way.kind == kind) {
                let (class, text) = kind.shown();
                chart = chart.with(dot(at, FRAME.height - 10.0, 5.0).class(class)).with(label(
                    at + 10.0,
                    FRAME.height - 6.0,
                    text,
                ));
                at += 34.0 + 6.2 * text.chars().count() as f64;
            }
        }
        chart
    }

    fn text(&self, way: &Way) -> String {
        let name: String = match way.name.chars().count() > LABEL {
            true => way.name.chars().take(LABEL - 1).chain(['…']).collect(),
            false => way.name.clone(),
        };
        format!("{name} {} s", significant(way.seconds, 3))
    }
}

/// A row of a table that begins with a name.
fn cells(row: &[String]) -> Vec<Cell> {
    let cell = |(index, text): (usize, &String)| match index {
        0 => Cell::name(text.clone()),
        _ => Cell::number(text.clone()),
    };
    row.iter().enumerate().map(cell).collect()
}

/// A column's name; all but the first have numbers.
fn numeric(index: usize, name: &str) -> String {
    if index == 0 { name.to_owned() } else { format!(">{name}") }
}

/// Lines of text.
fn list(lines: &[String]) -> Element {
    element("ul").class("plain").all(lines.iter().map(|line| element("li").text(line)))
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
                header: vec!["plan".into(), ">s".into()],
                rows,
                caption: Some("x < y".into()),
                functions: vec![vec!["system".into(), "exp".into()], vec!["a & b".into(), "1 of 2".into()]],
                verdict: vec!["v < w".into()],
                notes: vec!["n".into()],
            };
            well_formed(&shown.svg()).unwrap();
            let page = shown.page();
            for text in ["v &lt; w", "x &lt; y", "a &amp; b", "1 of 2", "&lt;a&gt;"] {
                assert!(page.contains(text), "{text}");
            }
            // A colour is explained where it occurs.
            let refused = shown.points.iter().any(|way| way.kind == Kind::Refused);
            assert_eq!(page.contains("misses the constraint"), refused);
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
