//! Where the bound comes from: per piece the approximation, the rounding and the remainder; and the rules of tails.

use super::curve::Meter;
use super::dossier::Dossier;
use super::markup::{Element, element};
use super::numbers::{scientific, significant};
use super::svg::{Axis, Frame, Scale, label, line, path, rectangle};
use super::tables::{Cell, table};
use catalogs::{Entry, Function};
use verify::{Certificate, PieceProof};

const FRAME: Frame = Frame { width: 860.0, height: 260.0, left: 86.0, top: 14.0, right: 16.0, bottom: 40.0 };

/// A piece's parts and what is allowed on it, in real units.
struct Bar {
    approximation: f64,
    rounding: f64,
    remainder: f64,
    allowed: f64,
    tail: bool,
}

/// The chart and the table.
pub fn section(entry: &Entry, certificate: &Certificate, meter: &Meter) -> Element {
    let bars: Vec<Bar> = certificate.pieces.iter().map(|piece| bar(entry, piece, meter)).collect();
    let mixed = entry.claim.norm.relative.to_f64_lossy() != 0.0;
    let allowed = if mixed {
        "The dashed line is what the claim allows where |f| is least among both ends and the middle of the piece."
    } else {
        "The dashed line is the bound."
    };
    let drawn = bars.iter().any(|bar| bar.values().iter().any(|value| *value > 0.0)).then(|| {
        element("figure")
            .with(element("div").class("scroll").with(chart(&bars)))
            .with(legend())
            .with(element("p").class("caption").text(format!(
            "One column per piece, in the order of x; shaded columns are tails. The vertical axis is logarithmic, in \
                 units of the output. {allowed}"
        )))
    });
    let exact = drawn.is_none().then(|| {
        element("p")
            .class("caption")
            .text("The program is exact: every part is zero on every piece, so there is no chart.")
    });
    element("div").maybe(drawn).maybe(exact).with(pieces(certificate, meter)).maybe(tails(entry, certificate, meter))
}

impl Bar {
    fn values(&self) -> [f64; 4] {
        [self.approximation, self.rounding, self.remainder, self.allowed]
    }
}

fn bar(entry: &Entry, piece: &PieceProof, meter: &Meter) -> Bar {
    let norm = &entry.claim.norm;
    let middle = ((i128::from(piece.low) + i128::from(piece.high)) / 2) as i64;
    let magnitudes = [piece.low, middle, piece.high].into_iter().filter_map(|input| meter.magnitude(input));
    let least = magnitudes.reduce(f64::min).unwrap_or(0.0);
    let weight = norm.absolute.to_f64_lossy() + norm.relative.to_f64_lossy() * least;
    Bar {
        approximation: piece.approximation.to_f64_lossy(),
        rounding: piece.rounding.to_f64_lossy(),
        remainder: piece.remainder.to_f64_lossy(),
        allowed: entry.claim.bound.to_f64_lossy() * weight,
        tail: piece.tail,
    }
}

fn chart(bars: &[Bar]) -> Element {
    let values = bars.iter().flat_map(Bar::values);
    let positive: Vec<f64> = values.filter(|value| *value > 0.0 && value.is_finite()).collect();
    let greatest = positive.iter().copied().fold(f64::MIN_POSITIVE, f64::max) * 2.0;
    // Fourteen magnitudes are as much as a chart of this height can tell apart.
    let least = (positive.iter().copied().fold(f64::MAX, f64::min) / 2.0).clamp(greatest / 1e14, greatest / 4.0);
    let x = FRAME.x(Scale::Linear, 0.0, bars.len().max(1) as f64);
    let y = FRAME.y(Scale::Logarithmic, least, greatest);
    let mut svg = FRAME.svg("the parts of the error per piece");
    for (index, _) in bars.iter().enumerate().filter(|(_, bar)| bar.tail) {
        let (from, to) = (x.at(index as f64), x.at(index as f64 + 1.0));
        svg = svg.with(rectangle(from, FRAME.top, to - from, FRAME.height - FRAME.bottom - FRAME.top).class("tail"));
    }
    let bottom = FRAME.height - FRAME.bottom;
    for (value, text) in y.ticks(6) {
        svg = svg.with(line(FRAME.left, y.at(value), FRAME.width - FRAME.right, y.at(value)).class("grid"));
        svg = svg.with(label(FRAME.left - 8.0, y.at(value) + 4.0, &text).set("text-anchor", "end"));
    }
    let stride = bars.len() / 16 + 1;
    for index in (0..bars.len()).step_by(stride) {
        let place = x.at(index as f64 + 0.5);
        svg = svg.with(label(place, bottom + 17.0, &(index + 1).to_string()).set("text-anchor", "middle"));
    }
    svg = svg.with(label((x.from + x.to) / 2.0, bottom + 35.0, "piece").set("text-anchor", "middle"));
    svg = svg.with(line(FRAME.left, bottom, FRAME.width - FRAME.right, bottom).class("axis"));
    svg.with(steps(bars, &x, &y, |bar| bar.remainder).class("remainder"))
        .with(steps(bars, &x, &y, |bar| bar.rounding).class("rounding"))
        .with(steps(bars, &x, &y, |bar| bar.approximation).class("approximation"))
        .with(steps(bars, &x, &y, |bar| bar.allowed).class("allowed"))
}

fn steps(bars: &[Bar], x: &Axis, y: &Axis, of: impl Fn(&Bar) -> f64) -> Element {
    let points = bars.iter().enumerate().flat_map(|(index, bar)| {
        let height = y.within(of(bar));
        [(x.at(index as f64), height), (x.at(index as f64 + 1.0), height)]
    });
    path(points.collect::<Vec<_>>(), false)
}

fn legend() -> Element {
    let item = |class: &str, text: &str| {
        element("span").class("key").with(element("i").class(format!("swatch {class}"))).text(text)
    };
    element("p").class("legend").all([
        item("approximation", "approximation"),
        item("rounding", "rounding"),
        item("remainder", "remainder"),
        item("allowed", "allowed"),
    ])
}

fn pieces(certificate: &Certificate, meter: &Meter) -> Element {
    let rows = certificate.pieces.iter().enumerate().map(|(index, piece)| {
        let kind = if piece.tail { "tail".to_owned() } else { format!("degree {}", piece.degree) };
        vec![
            Cell::number((index + 1).to_string()),
            Cell::number(significant(meter.argument(piece.low), 7)),
            Cell::number(significant(meter.argument(piece.high), 7)),
            Cell::name(kind),
            Cell::number(scientific(&piece.approximation.to_string())),
            Cell::number(scientific(&piece.rounding.to_string())),
            Cell::number(scientific(&piece.remainder.to_string())),
        ]
    });
    table(&[">piece", ">from", ">to", "followed to", ">approximation", ">rounding", ">remainder"], rows)
}

/// The tail pieces with the inequality that serves each.
fn tails(entry: &Entry, certificate: &Certificate, meter: &Meter) -> Option<Element> {
    let tails: Vec<&PieceProof> = certificate.pieces.iter().filter(|piece| piece.tail).collect();
    if tails.is_empty() {
        return None;
    }
    let rows = tails.iter().map(|piece| {
        vec![
            Cell::number(significant(meter.argument(piece.low), 7)),
            Cell::number(significant(meter.argument(piece.high), 7)),
            Cell::text(rule(&entry.claim.function, piece)),
        ]
    });
    let section = element("div")
        .with(element("h3").text("Tails"))
        .with(element("p").text(
            "Far from the fitted interval no polynomial follows the function; a named inequality, checked at the edge \
             nearest to zero, encloses it over the whole tail.",
        ))
        .with(table(&[">from", ">to", "rule"], rows));
    Some(section)
}

/// The rule as `proofs/FORMAT.md` states it; b < 0 is the upper end of a left tail, a > 0 the lower end of a right one.
fn rule(function: &Function, piece: &PieceProof) -> String {
    let left = piece.high < 0;
    let rule = match (function, left) {
        (Function::Exp, true) => "0 ≤ f ≤ eᵇ",
        (Function::Sigmoid, true) => "0 ≤ f ≤ eᵇ",
        (Function::Sigmoid, false) => "0 ≤ 1 − f ≤ e⁻ᵃ",
        (Function::Tanh, true) => "0 ≤ f + 1 ≤ 2e²ᵇ",
        (Function::Tanh, false) => "0 ≤ 1 − f ≤ 2e⁻²ᵃ",
        (Function::Silu, true) => "b·eᵇ ≤ f ≤ 0, b ≤ −1",
        (Function::Silu, false) => "0 ≤ x − f ≤ a·e⁻ᵃ, a ≥ 1",
        (Function::Gelu, true) => "−exp(−b²/2)/2 ≤ f ≤ 0",
        (Function::Gelu, false) => "0 ≤ x − f ≤ exp(−a²/2)/2",
        (Function::NormalCdf, true) => "0 ≤ f ≤ exp(−b²/2)/2, b ≤ −1",
        (Function::NormalCdf, false) => "0 ≤ 1 − f ≤ exp(−a²/2)/2, a ≥ 1",
        (Function::Erf, true) => "0 ≤ f + 1 ≤ exp(−b²), b ≤ −1",
        (Function::Erf, false) => "0 ≤ 1 − f ≤ exp(−a²), a ≥ 1",
        _ => return "interval evaluation of the function’s definition over the whole tail".to_owned(),
    };
    let side = if left { "for all x ≤ b" } else { "for all x ≥ a" };
    format!("{rule}, {side}")
}

/// How many of the pieces are tails, in words.
pub fn counted(dossier: &Dossier) -> Option<String> {
    let pieces = &dossier.certificate.as_ref()?.pieces;
    let tails = pieces.iter().filter(|piece| piece.tail).count();
    Some(match tails {
        0 => pieces.len().to_string(),
        1 => format!("{} (1 tail)", pieces.len()),
        tails => format!("{} ({tails} tails)", pieces.len()),
    })
}
