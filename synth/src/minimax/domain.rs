//! Domains: unions of closed intervals with rational ends, and the grids that sample them.

use super::failure::MinimaxError;
use rug::float::{Constant, Round};
use rug::{Float, Rational};

/// A closed interval with rational ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interval {
    low: Rational,
    high: Rational,
}

impl Interval {
    /// The interval `[low, high]`; a single point is allowed.
    pub fn new(low: Rational, high: Rational) -> Result<Self, MinimaxError> {
        if low > high {
            return Err(MinimaxError::IntervalOrder {
                low: low.to_string(),
                high: high.to_string(),
            });
        }
        Ok(Self { low, high })
    }

    /// Lower end.
    pub fn low(&self) -> &Rational {
        &self.low
    }

    /// Upper end.
    pub fn high(&self) -> &Rational {
        &self.high
    }

    /// The two ends as floats inside the interval, so that no sample lies beyond an end.
    pub(super) fn ends(&self, precision: u32) -> (Float, Float) {
        (
            Float::with_val_round(precision, &self.low, Round::Up).0,
            Float::with_val_round(precision, &self.high, Round::Down).0,
        )
    }

    /// `count >= 2` Chebyshev–Lobatto nodes in ascending order, both ends included.
    pub(super) fn nodes(&self, count: usize, precision: u32) -> Vec<Float> {
        let (low, high) = self.ends(precision);
        if low >= high {
            return vec![low];
        }
        let centre = Float::with_val(precision, &low + &high) / 2u32;
        let radius = Float::with_val(precision, &high - &low) / 2u32;
        let pi = Float::with_val(precision, Constant::Pi);
        let last = count.max(2) - 1;
        let mut nodes = Vec::with_capacity(last + 1);
        nodes.push(low);
        for index in 1..last {
            let angle = Float::with_val(precision, &pi * index as u64) / last as u64;
            nodes.push(Float::with_val(precision, &centre - &radius * angle.cos()));
        }
        nodes.push(high);
        nodes
    }
}

/// A non-empty union of disjoint closed intervals in ascending order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    intervals: Vec<Interval>,
}

impl Domain {
    /// One interval `[low, high]`.
    pub fn interval(low: Rational, high: Rational) -> Result<Self, MinimaxError> {
        Self::union(vec![Interval::new(low, high)?])
    }

    /// A union of intervals, given in ascending order and disjoint.
    pub fn union(intervals: Vec<Interval>) -> Result<Self, MinimaxError> {
        if intervals.is_empty() {
            return Err(MinimaxError::EmptyDomain);
        }
        for pair in intervals.windows(2) {
            if pair[0].high >= pair[1].low {
                return Err(MinimaxError::IntervalOrder {
                    low: pair[1].low.to_string(),
                    high: pair[1].high.to_string(),
                });
            }
        }
        Ok(Self { intervals })
    }

    /// The intervals in ascending order.
    pub fn intervals(&self) -> &[Interval] {
        &self.intervals
    }

    /// The smallest interval that holds the domain.
    pub fn hull(&self) -> Interval {
        let last = &self.intervals[self.intervals.len() - 1];
        Interval {
            low: self.intervals[0].low.clone(),
            high: last.high.clone(),
        }
    }

    /// Whether the domain holds `x`.
    pub fn contains(&self, x: &Rational) -> bool {
        self.intervals
            .iter()
            .any(|interval| interval.low <= *x && *x <= interval.high)
    }

    /// Whether `x` in the domain implies `-x` in the domain.
    pub fn is_symmetric(&self) -> bool {
        let mirrored = self.intervals.iter().rev();
        self.intervals
            .iter()
            .zip(mirrored)
            .all(|(interval, mirror)| {
                interval.low == Rational::from(-&mirror.high)
                    && interval.high == Rational::from(-&mirror.low)
            })
    }

    /// The part of the domain with `x >= 0`, if it is not empty.
    pub(super) fn nonnegative_half(&self) -> Option<Self> {
        let intervals: Vec<Interval> = self
            .intervals
            .iter()
            .filter(|interval| interval.high >= 0)
            .map(|interval| Interval {
                low: interval.low.clone().max(Rational::new()),
                high: interval.high.clone(),
            })
            .collect();
        (!intervals.is_empty()).then_some(Self { intervals })
    }
}
