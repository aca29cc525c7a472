//! A chart's frame, axes and paths as SVG elements.
//!
//! Written here because the plotting crates set colours as attributes: charts of ours carry CSS classes only, so that one
//! style sheet turns them light, dark or fit for print ([`super::style`]).

use super::markup::{Element, element};
use super::numbers::{significant, superscript};
use std::fmt::Write;

/// How an axis maps values to places.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Scale {
    /// Evenly.
    Linear,
    /// By logarithm; both ends are positive.
    Logarithmic,
    /// Evenly up to ±`unit`, by logarithm beyond.
    Symmetric {
        /// Where the logarithm starts.
        unit: f64,
    },
}

impl Scale {
    /// A monotone coordinate of a value.
    pub fn coordinate(self, value: f64) -> f64 {
        match self {
            Scale::Linear => value,
            Scale::Logarithmic => value.max(f64::MIN_POSITIVE).log10(),
            Scale::Symmetric { unit } if value.abs() <= unit => value / unit,
            Scale::Symmetric { unit } => value.signum() * (1.0 + (value.abs() / unit).log10()),
        }
    }

    /// The value of a coordinate.
    pub fn value(self, coordinate: f64) -> f64 {
        match self {
            Scale::Linear => coordinate,
            Scale::Logarithmic => 10f64.powf(coordinate),
            Scale::Symmetric { unit } if coordinate.abs() <= 1.0 => coordinate * unit,
            Scale::Symmetric { unit } => coordinate.signum() * unit * 10f64.powf(coordinate.abs() - 1.0),
        }
    }
}

/// An axis over the values from `low` to `high`, drawn from the place `from` to the place `to`.
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    /// Mapping.
    pub scale: Scale,
    /// The least value.
    pub low: f64,
    /// The greatest value.
    pub high: f64,
    /// Where `low` is.
    pub from: f64,
    /// Where `high` is.
    pub to: f64,
}

impl Axis {
    /// The place of a value, which may lie outside.
    pub fn at(&self, value: f64) -> f64 {
        let (low, high) = (self.scale.coordinate(self.low), self.scale.coordinate(self.high));
        let share = if high > low { (self.scale.coordinate(value) - low) / (high - low) } else { 0.5 };
        self.from + share * (self.to - self.from)
    }

    /// The place of a value, or of the nearest end.
    pub fn within(&self, value: f64) -> f64 {
        let (least, greatest) = (self.from.min(self.to), self.from.max(self.to));
        self.at(value).clamp(least, greatest)
    }

    /// About `count` round values with their labels.
    pub fn ticks(&self, count: usize) -> Vec<(f64, String)> {
        let values = match self.scale {
            Scale::Linear => linear_ticks(self.low, self.high, count),
            Scale::Logarithmic => return power_ticks(self.low, self.high, count),
            Scale::Symmetric { unit } => symmetric_ticks(self.low, self.high, unit),
        };
        values.into_iter().map(|value| (value, significant(value, 6))).collect()
    }
}

/// Multiples of 1, 2 or 5 times a power of ten.
fn linear_ticks(low: f64, high: f64, count: usize) -> Vec<f64> {
    let rough = (high - low) / count.max(1) as f64;
    if rough <= 0.0 || !rough.is_finite() {
        return vec![low];
    }
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| *step >= rough);
    let step = step.unwrap_or(10.0 * power);
    let first = (low / step).ceil() as i64;
    let last = (high / step).floor() as i64;
    // Products of integers, so that zero is zero.
    (first..=last.min(first + 100)).map(|index| index as f64 * step).collect()
}

fn power_ticks(low: f64, high: f64, count: usize) -> Vec<(f64, String)> {
    let (first, last) = (low.log10().ceil() as i32, high.log10().floor() as i32);
    if last < first + 1 {
        let label = |value: f64| (value, significant(value, 2));
        return linear_ticks(low, high, count).into_iter().filter(|value| *value > 0.0).map(label).collect();
    }
    let stride = ((last - first) / count.max(1) as i32 + 1) as usize;
    let label = |power: i32| match power {
        0..=3 => 10u32.pow(power.unsigned_abs()).to_string(),
        _ => format!("10{}", superscript(&power.to_string())),
    };
    (first..=last).step_by(stride).map(|power| (10f64.powi(power), label(power))).collect()
}

fn symmetric_ticks(low: f64, high: f64, unit: f64) -> Vec<f64> {
    let mut values = vec![0.0];
    let mut power = 10f64.powf(unit.log10().ceil());
    while power <= high.abs().max(low.abs()) && values.len() < 40 {
        values.extend([-power, power]);
        power *= 10.0;
    }
    values.retain(|value| (low..=high).contains(value));
    values.sort_by(f64::total_cmp);
    values
}

/// A chart's place: the outer size, and the margins around what is plotted.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// Outer width.
    pub width: f64,
    /// Outer height.
    pub height: f64,
    /// Margin for the labels on the left.
    pub left: f64,
    /// Margin above.
    pub top: f64,
    /// Margin on the right.
    pub right: f64,
    /// Margin for the labels below.
    pub bottom: f64,
}

impl Frame {
    /// The x axis over these values.
    pub fn x(&self, scale: Scale, low: f64, high: f64) -> Axis {
        Axis { scale, low, high, from: self.left, to: self.width - self.right }
    }

    /// The y axis over these values; it points upwards.
    pub fn y(&self, scale: Scale, low: f64, high: f64) -> Axis {
        Axis { scale, low, high, from: self.height - self.bottom, to: self.top }
    }

    /// An empty chart, named for those who do not see it.
    pub fn svg(&self, name: &str) -> Element {
        element("svg")
            .set("xmlns", "http://www.w3.org/2000/svg")
            .set("viewBox", format!("0 0 {} {}", self.width, self.height))
            .set("role", "img")
            .class("chart")
            .with(element("title").text(name))
    }

    /// Both axes with ticks and grid lines.
    pub fn axes(&self, x: &Axis, y: &Axis) -> Element {
        let mut group = element("g").class("axes");
        let (bottom, right) = (self.height - self.bottom, self.width - self.right);
        for (value, text) in y.ticks(5) {
            let place = y.at(value);
            group = group.with(line(self.left, place, right, place).class("grid"));
            group = group.with(label(self.left - 8.0, place + 4.0, &text).set("text-anchor", "end"));
        }
        let mut free = f64::NEG_INFINITY;
        for (value, text) in x.ticks(8) {
            let place = x.at(value);
            group = group.with(line(place, bottom, place, bottom + 5.0).class("tick"));
            // Labels that would touch are left out.
            let half = 3.6 * text.chars().count() as f64;
            if place - half > free {
                group = group.with(label(place, bottom + 19.0, &text).set("text-anchor", "middle"));
                free = place + half + 6.0;
            }
        }
        group.with(line(self.left, bottom, right, bottom).class("axis"))
    }
}

/// A straight line.
pub fn line(x1: f64, y1: f64, x2: f64, y2: f64) -> Element {
    element("line").set("x1", place(x1)).set("y1", place(y1)).set("x2", place(x2)).set("y2", place(y2))
}

/// Text at a place.
pub fn label(x: f64, y: f64, text: &str) -> Element {
    element("text").set("x", place(x)).set("y", place(y)).text(text)
}

/// A circle.
pub fn dot(x: f64, y: f64, radius: f64) -> Element {
    element("circle").set("cx", place(x)).set("cy", place(y)).set("r", place(radius))
}

/// A rectangle.
pub fn rectangle(x: f64, y: f64, width: f64, height: f64) -> Element {
    let (width, height) = (place(width.max(0.0)), place(height.max(0.0)));
    element("rect").set("x", place(x)).set("y", place(y)).set("width", width).set("height", height)
}

/// A line through points; closed if it is an outline.
pub fn path(points: impl IntoIterator<Item = (f64, f64)>, closed: bool) -> Element {
    let mut text = String::new();
    for (index, (x, y)) in points.into_iter().enumerate() {
        let command = if index == 0 { 'M' } else { 'L' };
        let _ = write!(text, "{command}{} {}", place(x), place(y));
    }
    if closed {
        text.push('Z');
    }
    element("path").set("d", text)
}

/// Two decimals are a hundredth of a pixel.
fn place(value: f64) -> String {
    let rounded = (value * 100.0).round() / 100.0;
    // Not −0, and nothing that a browser cannot read.
    if rounded.is_finite() { format!("{}", rounded + 0.0) } else { "0".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_inverse_and_axes_reach_their_ends() {
        for scale in [Scale::Linear, Scale::Logarithmic, Scale::Symmetric { unit: 4.0 }] {
            for value in [0.01, 1.0, 3.9, 4.1, 500.0] {
                assert!((scale.value(scale.coordinate(value)) - value).abs() < 1e-9 * value, "{scale:?} {value}");
            }
            let axis = Axis { scale, low: 0.5, high: 500.0, from: 10.0, to: 110.0 };
            assert_eq!((axis.at(0.5), axis.at(500.0)), (10.0, 110.0));
            assert_eq!(axis.within(1e9), 110.0);
        }
    }

    #[test]
    fn ticks_are_round_and_inside() {
        let axis = |scale, low, high| Axis { scale, low, high, from: 0.0, to: 1.0 };
        let labels = |axis: Axis| axis.ticks(5).into_iter().map(|(_, label)| label).collect::<Vec<_>>().join(" ");
        assert_eq!(labels(axis(Scale::Linear, -1.0, 1.0)), "−1 −0.5 0 0.5 1");
        assert_eq!(labels(axis(Scale::Logarithmic, 1e-5, 20.0)), "10⁻⁵ 10⁻³ 10⁻¹ 10");
        assert_eq!(labels(axis(Scale::Symmetric { unit: 4.0 }, -512.0, 512.0)), "−100 −10 0 10 100");
        assert_eq!(axis(Scale::Linear, 1.0, 1.0).ticks(5).len(), 1);
        assert!(axis(Scale::Linear, f64::NAN, 1.0).ticks(5).len() < 3);
    }
}
