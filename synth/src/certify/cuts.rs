//! Where a window is cut before anything else: at every change of a bit of the program, around the band in which
//! that bit is undecided, at the kink of a rectifier, and where the function's tail rule takes over.

use catalogs::evaluate::{Constant, evaluate_into};
use catalogs::{Adversary, Entry, Function, Op, Ring, Rounding, ValueId};
use std::collections::BTreeSet;

/// Inputs that are looked at for changes of bits, beside all powers of two.
const GRID: i64 = 512;

/// Pieces (low, high, tail) that tile the window.
pub fn initial(entry: &Entry) -> Vec<(i64, i64, bool)> {
    let window = entry.claim.window;
    let mut starts = BTreeSet::from([window.low]);
    let mut cut = |x: i64| {
        if x > window.low && x <= window.high {
            starts.insert(x);
        }
    };
    for x in bit_changes(entry) {
        cut(x);
        cut(band_end(entry, x));
    }
    cut(entry.claim.fitted.low);
    cut(entry.claim.fitted.high.saturating_add(1));
    if entry.claim.function == Function::Relu {
        cut(0);
        cut(1);
    }
    let tails = tail_starts(entry);
    for x in tails.iter().flatten() {
        cut(*x);
    }
    let starts: Vec<i64> = starts.into_iter().collect();
    let ends = starts[1..].iter().map(|x| x - 1).chain([window.high]);
    let [left, right] = tails;
    starts
        .iter()
        .zip(ends)
        .map(|(&low, high)| (low, high, left.is_some_and(|x| high < x) || right.is_some_and(|x| low >= x)))
        .collect()
}

/// Inputs where the left tail ends (exclusive) and the right tail begins, where the rules are far below any use.
fn tail_starts(entry: &Entry) -> [Option<i64>; 2] {
    let scale = entry.program.input().1.bits();
    let at = |x: f64| (x * 2f64.powi(i32::from(scale))) as i64;
    // The tail bound at these |x| is below 2^−(output scale + 12) for the scales in use.
    let bits = f64::from(entry.program.output().1.bits()) + 12.0;
    let exponential = bits * std::f64::consts::LN_2;
    let gaussian = (2.0 * exponential).sqrt();
    let (left, right) = match entry.claim.function {
        Function::Exp => (Some(exponential), None),
        Function::Sigmoid => (Some(exponential), Some(exponential)),
        Function::Silu => (Some(exponential + 4.0), Some(exponential + 4.0)),
        Function::Tanh => (Some(exponential / 2.0 + 1.0), Some(exponential / 2.0 + 1.0)),
        Function::Gelu | Function::NormalCdf => (Some(gaussian), Some(gaussian)),
        Function::Erf => (Some(gaussian / 1.4), Some(gaussian / 1.4)),
        Function::Reciprocal | Function::Rsqrt | Function::Relu => (None, None),
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
