//! Where it pays to cut a window: at every change of a bit of the program, around the band in which that bit is
//! undecided, at the kink of a rectifier, and where the function's tail rule takes over.

use crate::families::target;
use catalogs::evaluate::{Constant, evaluate_into};
use catalogs::{Adversary, Entry, Function, Op, Ring, Rounding, ValueId};
use std::collections::BTreeSet;

/// Inputs that are looked at for changes of bits, beside all powers of two.
const GRID: i64 = 512;

/// Where pieces may start, and where the tail rules serve.
#[derive(Clone, Debug)]
pub struct Seams {
    /// Starts of pieces, ascending, all above the window's low end.
    pub starts: Vec<i64>,
    tails: [Option<i64>; 2],
}

impl Seams {
    /// Whether all inputs from `low` to `high` are in one tail.
    pub fn in_tail(&self, low: i64, high: i64) -> bool {
        self.tails[0].is_some_and(|x| high < x) || self.tails[1].is_some_and(|x| low >= x)
    }

    /// The start of the upper part when [`low`, `high`] is cut: the seam nearest to the middle, else the middle.
    /// Also whether it is a seam. Precondition: low < high.
    pub fn cut_of(&self, low: i64, high: i64) -> (i64, bool) {
        let mean = (i128::from(low) + i128::from(high)) >> 1;
        let middle = mean as i64 + 1;
        let inside = &self.starts[self.starts.partition_point(|x| *x <= low)..];
        let inside = &inside[..inside.partition_point(|x| *x <= high)];
        match inside.iter().min_by_key(|x| x.abs_diff(middle)) {
            Some(start) => (*start, true),
            None => (middle, false),
        }
    }
}

/// The seams of an entry's program and function.
pub fn seams(entry: &Entry) -> Seams {
    let window = entry.claim.window;
    let mut starts = BTreeSet::new();
    for x in bit_changes(entry) {
        starts.extend([x, band_end(entry, x)]);
    }
    for kink in target::kinks(&entry.claim.function) {
        let input = (kink << u32::from(entry.program.input().1.bits())).floor().numer().to_i64();
        starts.extend(input.into_iter().flat_map(|kink| [kink, kink.saturating_add(1)]));
    }
    let tails = tail_starts(entry);
    starts.extend(tails.iter().flatten());
    let starts = starts.into_iter().filter(|x| *x > window.low && *x <= window.high).collect();
    Seams { starts, tails }
}

/// Inputs where the left tail ends (exclusive) and the right tail begins, where the rules are far below any use.
fn tail_starts(entry: &Entry) -> [Option<i64>; 2] {
    let scale = entry.program.input().1.bits();
    let at = |x: f64| (x * 2f64.powi(i32::from(scale))) as i64;
    // The tail bound at these |x| is below 2^−(output scale + 12) for the scales in use.
    let bits = f64::from(entry.program.output().1.bits()) + 12.0;
    let exponential = bits * std::f64::consts::LN_2;
    let gaussian = (2.0 * exponential).sqrt();
    let (left, right) = match &entry.claim.function {
        Function::Exp => (Some(exponential), None),
        Function::Sigmoid => (Some(exponential), Some(exponential)),
        Function::Silu => (Some(exponential + 4.0), Some(exponential + 4.0)),
        Function::Tanh => (Some(exponential / 2.0 + 1.0), Some(exponential / 2.0 + 1.0)),
        Function::Gelu | Function::NormalCdf => (Some(gaussian), Some(gaussian)),
        Function::Erf => (Some(gaussian / 1.4), Some(gaussian / 1.4)),
        Function::Exp2 => (Some(bits), None),
        Function::NormalPdf => (Some(gaussian), Some(gaussian)),
        Function::HardSwish | Function::HardSigmoid => (Some(3.0), Some(3.0)),
        Function::Reciprocal | Function::Rsqrt | Function::Relu | Function::Log | Function::Sqrt => (None, None),
        Function::Sin | Function::Cos | Function::Softsign | Function::Isru => (None, None),
        Function::Softplus | Function::Mish | Function::Elu | Function::Selu | Function::GeluTanh => {
            (Some(exponential + 4.0), Some(exponential + 4.0))
        }
        // Where intervals do not serve as a tail, polynomials have to.
        Function::Expression(_) => (Some(exponential + 4.0), Some(exponential + 4.0)),
    };
    [left.map(|x| -at(x)), right.map(at)]
}

/// Bits of every sign of the program at `x`, with all roundings low and no band taken.
fn bits(entry: &Entry, x: i64, values: &mut Vec<i128>) -> Vec<bool> {
    evaluate_into(&entry.program, i128::from(x), &mut Constant(0), values);
    let ops = entry.program.ops().iter().zip(values.iter());
    ops.filter(|(op, _)| matches!(op, Op::Sign { .. })).map(|(_, value)| *value == 1).collect()
}

/// The first input of each run of equal bits, found on a grid and by bisection.
fn bit_changes(entry: &Entry) -> Vec<i64> {
    let window = entry.claim.window;
    if !entry.program.ops().iter().any(|op| matches!(op, Op::Sign { .. })) {
        return Vec::new();
    }
    let mut points = BTreeSet::from([window.low, window.high]);
    for range in [window, entry.claim.fitted] {
        let width = i128::from(range.high) - i128::from(range.low);
        points.extend((1..GRID).map(|i| (i128::from(range.low) + width * i128::from(i) / i128::from(GRID)) as i64));
    }
    for exponent in 0..62 {
        points.extend([1i64 << exponent, -(1i64 << exponent)]);
    }
    let points: Vec<i64> = points.into_iter().filter(|&x| window.contains(i128::from(x))).collect();
    let mut values = Vec::new();
    let mut changes = Vec::new();
    for pair in points.windows(2) {
        let (mut low, end) = (pair[0], pair[1]);
        let last = bits(entry, end, &mut values);
        let mut current = bits(entry, low, &mut values);
        while current != last {
            let (mut same, mut other) = (low, end);
            while other - same > 1 {
                let middle = same + (other - same) / 2;
                if bits(entry, middle, &mut values) == current { same = middle } else { other = middle }
            }
            changes.push(other);
            low = other;
            current = bits(entry, low, &mut values);
        }
    }
    changes
}

/// Notices whether any bit was inside its band.
struct BandProbe(bool);

impl Adversary for BandProbe {
    fn rounding(&mut self, _: ValueId, _: i128, rounding: Rounding) -> i8 {
        rounding.low
    }
    fn outside(&mut self, _: ValueId, operand: i128, _: Ring) -> i128 {
        operand
    }
    fn band(&mut self, _: ValueId, _: i128, exact: bool) -> bool {
        self.0 = true;
        exact
    }
}

/// The first input after `start` at which no bit is in its band (`start` itself if none is there).
fn band_end(entry: &Entry, start: i64) -> i64 {
    let mut values = Vec::new();
    let mut in_band = |x: i64| {
        let mut probe = BandProbe(false);
        evaluate_into(&entry.program, i128::from(x), &mut probe, &mut values);
        probe.0
    };
    if !in_band(start) {
        return start;
    }
    let mut step = 1i64;
    while step < 1 << 40 && in_band(start.saturating_add(step)) {
        step *= 2;
    }
    let (mut inside, mut outside) = (start.saturating_add(step / 2), start.saturating_add(step));
    while outside - inside > 1 {
        let middle = inside + (outside - inside) / 2;
        if in_band(middle) { inside = middle } else { outside = middle }
    }
    outside
}
