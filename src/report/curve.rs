//! The measured error of a program: sampled inputs, both extreme choices of every rounding, against the function.
//!
//! The function is enclosed at each input by the checker's own integers, so that no library of elementary functions and
//! no solver is needed; what a sample shows is no proof, and pages say so.

use super::markup::{Element, element};
use super::numbers::{grouped, scientific, significant};
use super::svg::{Axis, Frame, Scale, dot, label, line, path};
use catalogs::evaluate::Constant;
use catalogs::{Adversary, Entry, Expression, Ring, Rounding, ValueId, evaluate};
use dashu::integer::IBig;
use verify::Certificate;
use verify::reference::{Piece, enclose, working_scale};
use verify::tail;

/// Columns of a chart.
const COLUMNS: usize = 280;
/// Inputs that are tried in each column, at most.
const TRIES: u64 = 6;
/// Bits below the output's last one at which the function is enclosed.
const GUARD: usize = 64;

/// The height of [`Curve::chart`].
pub const CHART_HEIGHT: f64 = 300.0;
const FRAME: Frame = Frame { width: 860.0, height: CHART_HEIGHT, left: 86.0, top: 18.0, right: 16.0, bottom: 40.0 };

/// Signed errors in the claim's norm: the least and the greatest of a column, of one rounding.
#[derive(Clone, Copy, Debug)]
struct Spread {
    least: f64,
    greatest: f64,
}

/// One column: where it is, and its errors with every rounding down, and up.
#[derive(Clone, Copy, Debug)]
struct Column {
    x: f64,
    down: Spread,
    up: Spread,
}

/// A measured range of inputs.
#[derive(Clone, Debug)]
pub struct Curve {
    scale: Scale,
    low: f64,
    high: f64,
    columns: Vec<Column>,
    /// Inputs that were executed, each with both roundings.
    pub inputs: usize,
    /// The largest error among them, absolutely, and its input.
    pub largest: (f64, i64),
    cuts: Vec<f64>,
}

/// The witness: where, and its signed error in the claim's norm.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    x: f64,
    error: f64,
}

/// Measures errors of one entry.
pub struct Meter<'a> {
    entry: &'a Entry,
    definition: Expression,
    absolute: f64,
    relative: f64,
}

impl<'a> Meter<'a> {
    /// Of the claim and the program of `entry`.
    pub fn new(entry: &'a Entry) -> Meter<'a> {
        let norm = &entry.claim.norm;
        Meter {
            entry,
            definition: entry.claim.function.definition(),
            absolute: norm.absolute.to_f64_lossy(),
            relative: norm.relative.to_f64_lossy(),
        }
    }

    /// The real number that an input integer stands for.
    pub fn argument(&self, input: i64) -> f64 {
        input as f64 / 2f64.powi(i32::from(self.entry.program.input().1.bits()))
    }

    /// The input integer nearest to a real number, inside the window.
    fn input(&self, argument: f64) -> i64 {
        let window = self.entry.claim.window;
        let scaled = argument * 2f64.powi(i32::from(self.entry.program.input().1.bits()));
        // Casts of floats saturate.
        (scaled.round() as i64).clamp(window.low, window.high)
    }

    /// f at `input` and its unit: f·2^(output scale + [`GUARD`]).
    fn function(&self, input: i64) -> Option<IBig> {
        let (input_scale, output_scale) = (self.entry.program.input().1.bits(), self.entry.program.output().1.bits());
        let needed = usize::from(output_scale) + GUARD;
        let magnitude = IBig::from(i128::from(input).abs() >> input_scale);
        let scale = working_scale(needed.max(usize::from(input_scale) + 1), &magnitude);
        let piece = Piece { low: input, high: input, input_scale, scale, degree: 0 };
        // Far out only the tail's rule is left; its middle is as good as the rule.
        let found = enclose(&self.definition, &piece).or_else(|_| tail::enclose(&self.entry.claim.function, &piece));
        Some(found.ok()?.polynomial.coefficient(0) >> (scale - needed))
    }

    /// The signed error of `value`, an output integer, in the claim's norm; `None` where the norm has no weight.
    fn error(&self, value: i128, function: &IBig) -> Option<f64> {
        let unit = 2f64.powi(i32::from(self.entry.program.output().1.bits()) + GUARD as i32);
        let difference = ((IBig::from(value) << GUARD) - function).to_f64().value() / unit;
        let weight = self.absolute + self.relative * (function.to_f64().value() / unit).abs();
        let error = difference / weight;
        error.is_finite().then_some(error)
    }

    /// |f| at `input`, for weights.
    pub fn magnitude(&self, input: i64) -> Option<f64> {
        let unit = 2f64.powi(i32::from(self.entry.program.output().1.bits()) + GUARD as i32);
        Some((self.function(input)?.to_f64().value() / unit).abs())
    }

    /// Errors at `input` with every rounding down and every rounding up.
    fn errors(&self, input: i64) -> Option<(f64, f64)> {
        let function = self.function(input)?;
        let run = |mut adversary: Constant| {
            let value = evaluate(&self.entry.program, i128::from(input), &mut adversary);
            self.error(value, &function)
        };
        Some((run(Constant(i8::MIN))?, run(Constant(i8::MAX))?))
    }

    /// The witness of a certificate, replayed.
    pub fn witness(&self, certificate: &Certificate) -> Option<Mark> {
        let input = certificate.witness.input;
        let mut replay = Replay(&certificate.witness.choices);
        let value = evaluate(&self.entry.program, i128::from(input), &mut replay);
        Some(Mark { x: self.argument(input), error: self.error(value, &self.function(input)?)? })
    }

    /// Measures the inputs from `low` to `high`, with the ends of the certificate's pieces as marks.
    pub fn curve(&self, low: i64, high: i64, certificate: Option<&Certificate>) -> Curve {
        let (from, to) = (self.argument(low), self.argument(high));
        let scale = self.scale(from, to);
        let (start, end) = (scale.coordinate(from), scale.coordinate(to));
        let at = |column: usize| start + (end - start) * column as f64 / COLUMNS as f64;
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        let (mut columns, mut inputs, mut largest) = (Vec::new(), 0, (0.0, low));
        let mut done: Option<i64> = None;
        for column in 0..COLUMNS {
            let (left, right) = (self.input(scale.value(at(column))), self.input(scale.value(at(column + 1))));
            let first = done.map_or(left, |done| left.max(done.saturating_add(1)));
            if first > right {
                continue;
            }
            done = Some(right);
            let mut found: Option<Column> = None;
            for input in tried(first, right, &mut random) {
                let Some((down, up)) = self.errors(input) else { continue };
                inputs += 1;
                for error in [down, up] {
                    if error.abs() > largest.0 {
                        largest = (error.abs(), input);
                    }
                }
                let x = self.argument(first / 2 + right / 2);
                let known = found.get_or_insert(Column { x, down: Spread::of(down), up: Spread::of(up) });
                known.down.widen(down);
                known.up.widen(up);
            }
            columns.extend(found);
        }
        let ends = certificate.iter().flat_map(|certificate| certificate.pieces.iter().skip(1));
        let cuts = ends.map(|piece| piece.low).filter(|cut| (low..=high).contains(cut));
        Curve {
            scale,
            low: from,
            high: to,
            columns,
            inputs,
            largest,
            cuts: cuts.map(|cut| self.argument(cut)).collect(),
        }
    }

    /// Even for a range of one magnitude, by logarithm for positive ranges over many, both for windows across zero.
    fn scale(&self, low: f64, high: f64) -> Scale {
        let fitted = self.entry.claim.fitted;
        let unit = self.argument(fitted.low).abs().max(self.argument(fitted.high).abs());
        if low > 0.0 && high / low > 32.0 {
            Scale::Logarithmic
        } else if unit > 0.0 && low.abs().max(high.abs()) > 4.0 * unit {
            Scale::Symmetric { unit }
        } else {
            Scale::Linear
        }
    }
}

/// All inputs of a short range, some of a long one, both ends among them.
fn tried(first: i64, last: i64, random: &mut Random) -> Vec<i64> {
    let size = i128::from(last) - i128::from(first) + 1;
    if size <= i128::from(TRIES) {
        return (first..=last).collect();
    }
    let inner = (0..TRIES - 2).map(|_| (i128::from(first) + i128::from(random.next()) % size) as i64);
    [first, last].into_iter().chain(inner).collect()
}

/// A stream of words that is the same every time, so that a page is.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

impl Spread {
    fn of(error: f64) -> Spread {
        Spread { least: error, greatest: error }
    }

    fn widen(&mut self, error: f64) {
        self.least = self.least.min(error);
        self.greatest = self.greatest.max(error);
    }
}

/// The adversary of a witness.
struct Replay<'a>(&'a [i8]);

impl Adversary for Replay<'_> {
    fn rounding(&mut self, op: ValueId, _: i128, rounding: Rounding) -> i8 {
        self.0.get(op.index()).copied().unwrap_or(0).clamp(rounding.low, rounding.high)
    }
    fn outside(&mut self, _: ValueId, operand: i128, _: Ring) -> i128 {
        operand
    }
    fn band(&mut self, op: ValueId, _: i128, exact: bool) -> bool {
        self.0.get(op.index()).map_or(exact, |choice| *choice == 1)
    }
}

impl Curve {
    /// The chart, with the bound (in the claim's norm) and the witness.
    pub fn chart(&self, name: &str, bound: f64, bound_text: &str, witness: Option<Mark>) -> Element {
        let reach = witness.map_or(0.0, |mark| mark.error.abs()).max(self.largest.0).max(bound);
        let reach = if reach > 0.0 { 1.18 * reach } else { 1.0 };
        let (x, y) = (FRAME.x(self.scale, self.low, self.high), FRAME.y(Scale::Linear, -reach, reach));
        let mut svg = FRAME.svg(name).with(FRAME.axes(&x, &y));
        for cut in &self.cuts {
            let place = x.at(*cut);
            svg = svg.with(line(place, FRAME.top, place, FRAME.height - FRAME.bottom).class("cut"));
        }
        svg = svg.with(line(x.from, y.at(0.0), x.to, y.at(0.0)).class("zero"));
        svg = svg.with(self.band(&x, &y, |column| column.down).class("down"));
        svg = svg.with(self.band(&x, &y, |column| column.up).class("up"));
        let text = scientific(bound_text);
        let both = [(1.0, format!("+{text}")), (-1.0, format!("−{text}"))];
        let exact = [(1.0, "0, exact".to_owned())];
        for (sign, text) in if bound > 0.0 { &both[..] } else { &exact[..] } {
            let place = y.at(sign * bound);
            svg = svg.with(line(x.from, place, x.to, place).class("bound"));
            let beside = if *sign > 0.0 { -5.0 } else { 13.0 };
            svg = svg.with(label(x.to, place + beside, text).class("bound").set("text-anchor", "end"));
        }
        if let Some(mark) = witness.filter(|mark| (self.low..=self.high).contains(&mark.x)) {
            let (place, height) = (x.at(mark.x), y.within(mark.error));
            svg = svg.with(dot(place, height, 4.5).class("witness"));
        }
        svg
    }

    /// Per column x, and the least and the greatest error with every rounding down, and up.
    pub fn points(&self) -> Vec<[f64; 5]> {
        let point = |c: &Column| [c.x, c.down.least, c.down.greatest, c.up.least, c.up.greatest];
        self.columns.iter().map(point).collect()
    }

    fn band(&self, x: &Axis, y: &Axis, of: impl Fn(&Column) -> Spread) -> Element {
        let upper = self.columns.iter().map(|column| (x.at(column.x), y.within(of(column).greatest) - 0.4));
        let lower = self.columns.iter().rev().map(|column| (x.at(column.x), y.within(of(column).least) + 0.4));
        path(upper.chain(lower), true)
    }

    /// What the chart shows, in words.
    pub fn caption(&self, argument: impl Fn(i64) -> f64, unit: &str) -> Element {
        let horizontal = match self.scale {
            Scale::Linear => "",
            Scale::Logarithmic => " The horizontal axis is logarithmic.",
            Scale::Symmetric { .. } => " The horizontal axis is even over the fitted interval and logarithmic beyond.",
        };
        element("p").class("caption").text(format!(
            "{} sampled inputs, each executed with every rounding down and with every rounding up; the largest error among \
             them is {} {unit} at x = {}. Samples prove nothing: the bound is the checker’s.{horizontal}",
            grouped(self.inputs as i128),
            significant(self.largest.0, 6),
            significant(argument(self.largest.1), 6),
        ))
    }
}

/// What the colours of a curve mean.
pub fn legend() -> Element {
    let item = |class: &str, text: &str| {
        element("span").class("key").with(element("i").class(format!("swatch {class}"))).text(text)
    };
    element("p").class("legend").all([
        item("down", "every rounding down"),
        item("up", "every rounding up"),
        item("bound", "certified bound"),
        item("witness", "witness"),
        item("cut", "ends of pieces"),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog_folder::STANDARD;

    fn shipped(name: &str) -> (Entry, Certificate) {
        let (_, entry, certificate) = STANDARD.iter().find(|(known, ..)| *known == name).unwrap();
        (Entry::parse(entry).unwrap(), Certificate::parse(certificate).unwrap())
    }

    /// The replayed witness has the error that the certificate states, and nothing sampled exceeds the bound.
    #[test]
    fn witnesses_are_reached_and_bounds_kept() {
        for name in ["gelu/k64-f16-w9-1e-3", "reciprocal/k64-f24-o26-n16-1e-4", "exp/k64-f16-o24-w10-mixed-2e-6"] {
            let (entry, certificate) = shipped(name);
            let meter = Meter::new(&entry);
            let (bound, stated) = (entry.claim.bound.to_f64_lossy(), certificate.witness.error.to_f64_lossy());
            let mark = meter.witness(&certificate).unwrap();
            assert!(mark.error.abs() >= stated * (1.0 - 1e-9) && mark.error.abs() <= bound, "{name}: {}", mark.error);
            let curve = meter.curve(entry.claim.window.low, entry.claim.window.high, Some(&certificate));
            assert!(curve.inputs > 200 && curve.largest.0 <= bound, "{name}: {:?} above {bound}", curve.largest);
            let chart = curve.chart(name, bound, &entry.claim.bound.to_string(), Some(mark)).render();
            crate::report::markup::well_formed(&chart).unwrap();
            assert!(chart.contains("class=\"witness\"") && chart.contains("class=\"cut\""));
        }
    }

    #[test]
    fn short_windows_are_tried_whole() {
        let mut random = Random(1);
        assert_eq!(tried(-2, 1, &mut random), [-2, -1, 0, 1]);
        let some = tried(i64::MIN, i64::MAX, &mut random);
        assert_eq!((some[0], some[1], some.len()), (i64::MIN, i64::MAX, TRIES as usize));
    }
}
