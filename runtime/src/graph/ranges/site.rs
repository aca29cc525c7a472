//! What each site sees: the ranges that catalog entries must cover.

use super::interval::{Interval, rounding};
use super::matrix::{norm, slightly};
use super::{Bounds, Ranges};
use crate::graph::operator::{Operator, Window};
use crate::graph::reference::for_each_in_window;
use crate::graph::tensor::Tensor;
use crate::graph::{Graph, Node};

/// What a site compares and evaluates, over the whole batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SiteRange {
    /// A scalar function, the rectifier included.
    Activation {
        /// Its argument.
        input: Interval,
    },
    /// A softmax; masked positions are left out.
    Softmax {
        /// Its logits.
        input: Interval,
        /// Logit minus the greatest of its row: what exp sees.
        below_maximum: Interval,
        /// Difference of two logits of a row: what the maximum compares.
        difference: Interval,
        /// Σ exp(logit − greatest): what the reciprocal sees.
        denominator: Interval,
    },
    /// A layer norm.
    Normalisation {
        /// Its elements.
        input: Interval,
        /// Element minus the mean of its row.
        centred: Interval,
        /// Variance of a row, epsilon not included.
        variance: Interval,
    },
    /// A maximum over windows.
    Maximum {
        /// Its elements.
        input: Interval,
        /// Difference of two elements of a window: what is compared.
        difference: Interval,
    },
}

impl SiteRange {
    /// The ranges by name, for tables.
    pub fn parts(&self) -> Vec<(&'static str, Interval)> {
        match *self {
            SiteRange::Activation { input } => vec![("input", input)],
            SiteRange::Softmax { input, below_maximum, difference, denominator } => vec![
                ("input", input),
                ("below maximum", below_maximum),
                ("difference", difference),
                ("denominator", denominator),
            ],
            SiteRange::Normalisation { input, centred, variance } => {
                vec![("input", input), ("centred", centred), ("variance", variance)]
            }
            SiteRange::Maximum { input, difference } => {
                vec![("input", input), ("difference", difference)]
            }
        }
    }

    /// The least range of the same kind that contains both; `None` for different kinds.
    pub fn hull(self, other: SiteRange) -> Option<SiteRange> {
        Some(match (self, other) {
            (SiteRange::Activation { input: a }, SiteRange::Activation { input: b }) => {
                SiteRange::Activation { input: a.hull(b) }
            }
            (
                SiteRange::Softmax { input, below_maximum, difference, denominator },
                SiteRange::Softmax { input: b, below_maximum: m, difference: d, denominator: s },
            ) => SiteRange::Softmax {
                input: input.hull(b),
                below_maximum: below_maximum.hull(m),
                difference: difference.hull(d),
                denominator: denominator.hull(s),
            },
            (
                SiteRange::Normalisation { input, centred, variance },
                SiteRange::Normalisation { input: b, centred: c, variance: v },
            ) => {
                SiteRange::Normalisation { input: input.hull(b), centred: centred.hull(c), variance: variance.hull(v) }
            }
            (SiteRange::Maximum { input, difference }, SiteRange::Maximum { input: b, difference: d }) => {
                SiteRange::Maximum { input: input.hull(b), difference: difference.hull(d) }
            }
            _ => return None,
        })
    }
}

pub(super) fn site_range(graph: &Graph, ranges: &Ranges, node: &Node) -> SiteRange {
    let operand = node.inputs[0];
    let input = &ranges.bounds[operand.index()];
    match &node.operator {
        Operator::Softmax => {
            let rows = spreads(graph, node, input);
            let widest = rows.iter().map(|row| row.spread).fold(0.0, f64::max);
            let free = rows.iter().map(|row| row.free).max().unwrap_or(1) as f64;
            let least = rows.iter().map(|row| 1.0 + (row.free as f64 - 1.0) * (-row.spread).exp());
            let least = least.fold(f64::INFINITY, f64::min) * (1.0 - 1e-12);
            let logits = rows.iter().map(|row| row.logits).reduce(Interval::hull);
            SiteRange::Softmax {
                input: logits.unwrap_or_else(|| input.hull()),
                below_maximum: Interval::new(-widest, 0.0),
                difference: Interval::new(-widest, widest),
                denominator: Interval::new(least.max(1.0 - 1e-12), free * (1.0 + 1e-12)),
            }
        }
        Operator::LayerNorm { .. } => {
            let (centred, variance) = moments(input);
            SiteRange::Normalisation { input: input.hull(), centred, variance }
        }
        Operator::MaxPool { window } => {
            SiteRange::Maximum { input: input.hull(), difference: window_difference(input, window, &node.shape) }
        }
        _ => SiteRange::Activation { input: input.hull() },
    }
}

/// What is known of the free positions of one softmax row.
struct Row {
    logits: Interval,
    free: usize,
    spread: f64,
}

/// Positions that a mask before the softmax removes.
pub(crate) fn masked_positions(graph: &Graph, softmax: &Node) -> Option<Tensor> {
    let operand = graph.node(softmax.inputs[0]);
    match &operand.operator {
        Operator::Mask { masked } => masked.tensor().ok().map(|masked| masked.broadcast(&operand.shape)),
        _ => None,
    }
}

fn spreads(graph: &Graph, node: &Node, input: &Bounds) -> Vec<Row> {
    let masked = masked_positions(graph, node);
    let length = input.lower.row_length();
    let row = |row: usize| {
        let free = |offset: &usize| masked.as_ref().is_none_or(|masked| masked.data[*offset] == 0.0);
        let offsets: Vec<usize> = (row * length..(row + 1) * length).filter(free).collect();
        let logits = offsets.iter().map(|&offset| input.interval(offset)).reduce(Interval::hull);
        let logits = logits.unwrap_or_else(|| Interval::new(0.0, 0.0));
        let from_intervals = (logits.upper - logits.lower) * slightly(1);
        let known = input.spread.as_ref().map_or(f64::INFINITY, |spread| spread[row]);
        let spread = if offsets.len() > 1 { from_intervals.min(known) } else { 0.0 };
        Row { logits, free: offsets.len(), spread }
    };
    (0..input.lower.data.len() / length).map(row).collect()
}

/// pᵢ = 1/(1 + Σ_{j≠i} e^(xⱼ−xᵢ)) falls in every difference xⱼ − xᵢ, which the intervals and the spread both bound.
pub(super) fn softmax(graph: &Graph, node: &Node, input: &Bounds) -> Bounds {
    let rows = spreads(graph, node, input);
    let masked = masked_positions(graph, node);
    let length = input.lower.row_length();
    let (mut lower, mut upper) = (input.lower.clone(), input.upper.clone());
    for (row, known) in rows.iter().enumerate() {
        let free = |offset: usize| masked.as_ref().is_none_or(|masked| masked.data[offset] == 0.0);
        let offsets: Vec<usize> = (row * length..(row + 1) * length).filter(|&offset| free(offset)).collect();
        for offset in row * length..(row + 1) * length {
            if !free(offset) {
                (lower.data[offset], upper.data[offset]) = (0.0, f64::MIN_POSITIVE);
                continue;
            }
            let own = input.interval(offset);
            let (mut greatest, mut least) = (1.0, 1.0);
            for &other in offsets.iter().filter(|&&other| other != offset) {
                let other = input.interval(other);
                greatest += (other.upper - own.lower).min(known.spread).exp();
                least += (other.lower - own.upper).max(-known.spread).exp();
            }
            let value = Interval::new(1.0 / greatest, 1.0 / least).widen(rounding(length, 1.0));
            let value = value.meet(Interval::new(-rounding(length, 1.0), 1.0 + rounding(length, 1.0)));
            (lower.data[offset], upper.data[offset]) = (value.lower, value.upper);
        }
    }
    Bounds { distribution: Some(rounding(length, 1.0)), ..Bounds::intervals(lower, upper) }
}

/// Ranges of element minus mean, and of the variance, over all rows.
///
/// With P the projection that takes the mean away, n·var = ‖P·x‖², a convex function of x: for x = c + r with
/// |rᵢ| ≤ radius it lies between (‖Pc‖ − ‖radius‖)² (or 0) and (‖Pc‖ + ‖radius‖)², and by Popoviciu below a quarter of
/// the squared range. For a form, ‖P·Σ G_b z_b‖ ≤ Σ r_b·‖P·G_b‖. Samuelson: |xᵢ − mean| ≤ √((n−1)·var).
fn moments(input: &Bounds) -> (Interval, Interval) {
    let length = input.lower.row_length();
    let count = length as f64;
    let form = input.form.as_ref().filter(|form| form.axis + 1 == form.centre.shape.len());
    let spans: Option<Vec<f64>> = form.map(|form| {
        let centred = |block: &super::form::Block| match &block.generator {
            // ‖P·z‖ ≤ ‖z‖.
            None => block.length(length),
            Some(generator) => {
                let generator = Some(generator.centred().into());
                let exact = super::form::Block { generator, ..block.clone() }.length(length);
                exact + rounding(length, block.length(length))
            }
        };
        form.groups.iter().map(|blocks| blocks.iter().map(centred).sum::<f64>() * slightly(128)).collect()
    });
    let (mut centred, mut variance): (Option<Interval>, Option<Interval>) = (None, None);
    for start in (0..input.lower.data.len()).step_by(length) {
        let row = |tensor: &Tensor| tensor.data[start..start + length].to_vec();
        let (lower, upper) = (row(&input.lower), row(&input.upper));
        let middle: Vec<f64> = lower.iter().zip(&upper).map(|(a, b)| (a + b) / 2.0).collect();
        let radius: Vec<f64> = lower.iter().zip(&upper).map(|(a, b)| (b - a) / 2.0).collect();
        let hull = Interval::hull_of(lower.iter().chain(&upper).copied());
        let mut lengths = around_centre(&middle, norm(&radius) * slightly(length));
        let popoviciu = (hull.upper - hull.lower) / 2.0 * count.sqrt() * slightly(length);
        lengths = lengths.meet(Interval::new(0.0, popoviciu));
        if let (Some(form), Some(spans)) = (form, &spans) {
            let reach = spans[form.group_at(start)] + norm(&row(&form.slack)) * slightly(length);
            lengths = lengths.meet(around_centre(&row(&form.centre), reach));
        }
        let row_variance =
            Interval::new(lengths.lower.powi(2) / count * (1.0 - 1e-12), lengths.upper.powi(2) / count * (1.0 + 1e-12));
        let samuelson = lengths.upper * ((count - 1.0) / count).sqrt() * slightly(length);
        let row_centred = deviations(&lower, &upper).meet(Interval::new(-samuelson, samuelson));
        variance = Some(variance.map_or(row_variance, |known| known.hull(row_variance)));
        centred = Some(centred.map_or(row_centred, |known| known.hull(row_centred)));
    }
    let whole = Interval::new(f64::NEG_INFINITY, f64::INFINITY);
    (centred.unwrap_or(whole), variance.unwrap_or(whole))
}

/// Range of ‖P·x‖ for ‖x − centre‖ at most `reach`.
fn around_centre(centre: &[f64], reach: f64) -> Interval {
    let mean = centre.iter().sum::<f64>() / centre.len() as f64;
    let deviations: Vec<f64> = centre.iter().map(|value| value - mean).collect();
    let length = norm(&deviations);
    let error = rounding(centre.len(), norm(centre));
    Interval::new((length - reach - error).max(0.0), (length + reach + error) * slightly(centre.len()))
}

/// Range of xᵢ − mean over the elements of a row.
fn deviations(lower: &[f64], upper: &[f64]) -> Interval {
    let count = lower.len() as f64;
    let (least, greatest): (f64, f64) = (lower.iter().sum(), upper.iter().sum());
    let magnitude: f64 = lower.iter().zip(upper).map(|(a, b)| a.abs().max(b.abs())).sum();
    let deviation = |(&a, &b): (&f64, &f64)| {
        let low = a - a / count - (greatest - b) / count;
        let high = b - b / count - (least - a) / count;
        Interval::new(low, high).widen(rounding(lower.len(), magnitude))
    };
    lower.iter().zip(upper).map(deviation).reduce(Interval::hull).unwrap_or_else(|| Interval::new(0.0, 0.0))
}

fn window_difference(input: &Bounds, window: &Window, shape: &[usize]) -> Interval {
    let mut hulls = vec![Interval::hull_of([]); shape.iter().product()];
    for_each_in_window(&input.lower.shape, window, shape, |position, source| {
        hulls[position] = hulls[position].hull(input.interval(source));
    });
    let widest = hulls.iter().map(|hull| hull.upper - hull.lower).fold(0.0, f64::max) * slightly(1);
    Interval::new(-widest, widest)
}
