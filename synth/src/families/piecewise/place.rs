//! Where pieces end: as few as an accuracy allows, evened out, at the function's kinks, with comparisons as coarse as
//! the pieces are long.

use super::super::builder::band_width;
use super::super::goal::Goal;
use super::Cut;

/// Nodes at which a function is interpolated to see how fast its Chebyshev coefficients fall.
const NODES: usize = 12;
/// The most fitted pieces.
pub const PIECES_MAX: usize = 16;
/// A band is at most this part of the piece on its left.
const BAND_SHARE: i64 = 16;

/// f between two inputs, tabulated: cuts are searched with a hundred thousand evaluations.
pub struct Table {
    low: f64,
    step: f64,
    /// Whether the table's steps are ratios: for positive arguments over several magnitudes.
    geometric: bool,
    values: Vec<f64>,
}

impl Table {
    const INTERVALS: usize = 2048;

    /// f on [low, high].
    pub fn new(goal: &Goal, low: f64, high: f64) -> Table {
        let geometric = low > 0.0 && high / low > 64.0;
        let (low, high) = if geometric { (low.ln(), high.ln()) } else { (low, high) };
        let step = (high - low) / Self::INTERVALS as f64;
        let at = |i: usize| {
            let position = low + step * i as f64;
            goal.value(if geometric { position.exp() } else { position })
        };
        Table { low, step, geometric, values: (0..=Self::INTERVALS).map(at).collect() }
    }

    /// Cubic interpolation, good to some ten digits.
    fn at(&self, x: f64) -> f64 {
        let position = (if self.geometric { x.ln() } else { x } - self.low) / self.step;
        let first = (position.floor() as usize).clamp(1, Self::INTERVALS - 2) - 1;
        let t = position - first as f64;
        let weights = [
            -(t - 1.0) * (t - 2.0) * (t - 3.0) / 6.0,
            t * (t - 2.0) * (t - 3.0) / 2.0,
            -t * (t - 1.0) * (t - 3.0) / 2.0,
            t * (t - 1.0) * (t - 2.0) / 6.0,
        ];
        weights.iter().zip(&self.values[first..]).map(|(weight, value)| weight * value).sum()
    }
}

/// What is to be covered, and how.
#[derive(Clone, Copy)]
pub struct Task<'a> {
    /// The goal.
    pub goal: &'a Goal,
    /// f on the fitted inputs and a little to their right.
    pub table: &'a Table,
    /// First and last fitted input.
    pub ends: (i64, i64),
    /// Inputs at which a derivative jumps.
    pub kinks: &'a [i64],
    /// Degree of every piece.
    pub degree: usize,
    /// The most low bits that a comparison may ignore.
    pub dropped_max: u8,
}

impl Task<'_> {
    /// Cuts from left to right, each piece as long as the error allows, then evened out.
    pub fn place(&self, accuracy: f64) -> Option<Vec<Cut>> {
        let mut best = self.greedy(accuracy)?;
        // The same number of pieces with the least error, so that the last one is not much shorter than the others.
        let (mut low, mut high) = (accuracy / 64.0, accuracy);
        for _ in 0..5 {
            let middle = (low * high).sqrt();
            match self.greedy(middle) {
                Some(cuts) if cuts.len() <= best.len() => {
                    high = middle;
                    best = cuts;
                }
                _ => low = middle,
            }
        }
        Some(best)
    }

    fn greedy(&self, accuracy: f64) -> Option<Vec<Cut>> {
        let (left, right) = self.ends;
        let mut cuts = vec![Cut { at: left, dropped: self.dropped_max }];
        let mut start = left;
        while start < right {
            if cuts.len() > PIECES_MAX {
                return None;
            }
            let kink = self.kinks.iter().copied().find(|kink| *kink > start && *kink < right);
            let limit = kink.unwrap_or(right);
            let reaches = |end: i64| {
                let band = if Some(end) == kink { 0 } else { band_width(self.dropped(end - start)) as i64 };
                let end = end.saturating_add(band).min(self.goal.window.high);
                self.estimated_error(start, end) <= accuracy
            };
            let (mut good, mut bad) = (start, limit + 1);
            while bad - good > 1.max((good - start) >> 6) {
                let middle = good + (bad - good) / 2;
                if reaches(middle) { good = middle } else { bad = middle }
            }
            if good == start {
                return None;
            }
            let end = if bad > limit { limit } else { good };
            let mut dropped = self.dropped(end - start);
            if Some(end) == kink {
                dropped = dropped.min(self.goal.input.scale.bits().saturating_sub(12));
            }
            cuts.push(Cut { at: end, dropped });
            start = end;
        }
        Some(cuts)
    }

    /// Bits that may be ignored at the end of a piece of this length.
    fn dropped(&self, length: i64) -> u8 {
        let bits = (length / BAND_SHARE).checked_ilog2().unwrap_or(0) as u8;
        bits.min(self.dropped_max)
    }

    /// About the minimax error on [low, high] in the goal's norm, from Chebyshev coefficients.
    fn estimated_error(&self, low: i64, high: i64) -> f64 {
        let (low, high) = (self.goal.real_f64(low), self.goal.real_f64(high));
        let angle = |i: usize| std::f64::consts::PI * (i as f64 + 0.5) / NODES as f64;
        let at = |i: usize| self.table.at((low + high) / 2.0 + (high - low) / 2.0 * angle(i).cos());
        let values: Vec<f64> = (0..NODES).map(at).collect();
        let unit = values.iter().map(|value| self.goal.unit(*value)).fold(f64::INFINITY, f64::min);
        let coefficient = |k: usize| {
            let sum: f64 = values.iter().enumerate().map(|(i, value)| value * (k as f64 * angle(i)).cos()).sum();
            sum * 2.0 / NODES as f64
        };
        (self.degree + 1..(self.degree + 4).min(NODES)).map(|k| coefficient(k).abs()).sum::<f64>() / unit
    }
}
