//! The branch and bound of a quantisation: ranges of integer coordinates are split until no integers in any of them can
//! do better than those found.
//!
//! Every node keeps the dual solution of its program, a signed measure on the grid. Whoever evaluates the measures of
//! the ends of the tree rigorously has a proof for *all* integers, since the splits `u <= at | u > at` leave none out:
//! the search itself proves nothing. The open node with the least bound comes first, its better child next (a dive), so
//! that good integers and good bounds both come early, and a search cut short still has a bound.

use super::fast_simplex::{Basis, Program, Range};
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// A value this close to an integer is one.
const INTEGRAL: f64 = 1e-6;
/// Splits in a row that go on with the better child, and of how many such rows one does: the others raise the bound.
const DIVES: usize = 64;
const DIVE_EVERY: usize = 4;
/// The part of a level by which rounding may make it differ from what is proved.
const TRUST: f64 = 1e-3;
/// Coordinates beyond this are not searched.
const FAR: f64 = 1e15;

/// A node of the tree of ranges; the root is the first and holds all integers.
#[derive(Clone, Debug, PartialEq)]
pub enum Branch {
    /// The integers with coordinate `coordinate` at most `at`, and the others.
    Split {
        /// Which coordinate.
        coordinate: usize,
        /// The largest value of the first part.
        at: i64,
        /// Place of the first part in the tree.
        below: usize,
        /// Place of the second part.
        above: usize,
    },
    /// Signed masses on grid points, whose moment of the error bounds the error of all integers here from below.
    End {
        /// Point and mass.
        masses: Vec<(usize, f64)>,
    },
}

/// An end of the tree that may be split.
struct Open {
    place: usize,
    ranges: Vec<Range>,
    basis: Basis,
    /// What is proved of the integers here, about.
    level: f64,
}

impl PartialEq for Open {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Open {}

impl PartialOrd for Open {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Open {
    /// The least level is the greatest, so that it leaves the heap first; then the oldest.
    fn cmp(&self, other: &Self) -> Ordering {
        other.level.total_cmp(&self.level).then(other.place.cmp(&self.place))
    }
}

/// What a candidate's coordinates cost, on the grid.
pub(super) trait Judge {
    /// Looks at the integers with these coordinates, perhaps improves them, and returns the least error known so far.
    fn consider(&mut self, coordinates: &[i64]) -> f64;
}

pub(super) struct Tree<'a> {
    program: &'a Program,
    /// Coordinates in the order in which they are split.
    order: &'a [usize],
    branches: Vec<Branch>,
    /// The least error known.
    incumbent: f64,
    /// Relative improvement that is worth a split.
    gap: f64,
    nodes_left: usize,
}

/// How a search ended.
pub(super) struct Searched {
    pub branches: Vec<Branch>,
    /// No end of the tree can hold integers that are better by more than the gap.
    pub exhausted: bool,
    pub nodes_left: usize,
}

impl<'a> Tree<'a> {
    pub fn new(program: &'a Program, order: &'a [usize], incumbent: f64, gap: f64, nodes: usize) -> Self {
        Self { program, order, branches: Vec::new(), incumbent, gap, nodes_left: nodes }
    }

    fn enough(&self) -> f64 {
        self.incumbent * (1.0 - self.gap)
    }

    /// Splits until nothing is worth it or the nodes are used up.
    pub fn search(mut self, judge: &mut dyn Judge) -> Searched {
        let mut basis = self.program.start();
        let ranges = vec![(i64::MIN, i64::MAX); self.program.unknowns];
        self.program.optimise(&mut basis, &ranges, f64::INFINITY);
        self.branches.push(Branch::End { masses: basis.measure() });
        let mut heap = BinaryHeap::new();
        let level = basis.level();
        let mut next = Some(Open { place: 0, ranges, basis, level });
        let mut exhausted = true;
        let mut split = 0usize;
        while let Some(open) = next.take().or_else(|| heap.pop()) {
            if open.level >= self.enough() {
                continue;
            }
            if self.nodes_left < 2 {
                exhausted = false;
                break;
            }
            let mut children = self.split(open, judge);
            children.sort();
            if (split / DIVES).is_multiple_of(DIVE_EVERY) {
                next = children.pop();
            }
            split += 1;
            heap.extend(children);
        }
        Searched { branches: self.branches, exhausted, nodes_left: self.nodes_left }
    }

    /// The optimum over these ranges, and what its measure proves. Where rounding makes the basis claim more than it
    /// proves, once more from the start; a node that still does is split, never closed.
    fn optimum(&self, mut basis: Basis, ranges: &[Range]) -> (Basis, f64) {
        let enough = self.enough();
        self.program.optimise(&mut basis, ranges, enough);
        let proved = self.program.proved(&basis, ranges);
        if basis.level() < enough || proved >= enough * (1.0 - TRUST) {
            let level = basis.level();
            return (basis, level);
        }
        let mut again = self.program.start();
        self.program.optimise(&mut again, ranges, enough);
        let renewed = self.program.proved(&again, ranges);
        if renewed > proved { (again, renewed) } else { (basis, proved) }
    }

    /// The children of a node that are worth a look; none if its optimum is integral.
    fn split(&mut self, open: Open, judge: &mut dyn Judge) -> Vec<Open> {
        let values: Vec<f64> = (0..self.program.unknowns).map(|j| self.program.coordinate(&open.basis, j)).collect();
        if values.iter().all(|value| value.abs() < FAR) {
            let rounded: Vec<i64> = values.iter().map(|value| value.round() as i64).collect();
            self.incumbent = judge.consider(&rounded).min(self.incumbent);
        }
        let fractional = |j: usize| {
            let (low, high) = open.ranges[j];
            low < high && values[j].abs() < FAR && (values[j] - values[j].round()).abs() > INTEGRAL
        };
        let Some(&coordinate) = self.order.iter().find(|&&j| fractional(j)) else { return Vec::new() };
        let at = values[coordinate].floor() as i64;
        let (low, high) = open.ranges[coordinate];
        let mut places = [0; 2];
        let mut children = Vec::new();
        for (range, place) in [(low, at), (at + 1, high)].into_iter().zip(&mut places) {
            self.nodes_left -= 1;
            let mut ranges = open.ranges.clone();
            ranges[coordinate] = range;
            let (basis, level) = self.optimum(open.basis.clone(), &ranges);
            *place = self.branches.len();
            self.branches.push(Branch::End { masses: basis.measure() });
            if level < self.enough() {
                children.push(Open { place: *place, ranges, basis, level });
            }
        }
        self.branches[open.place] = Branch::Split { coordinate, at, below: places[0], above: places[1] };
        children
    }
}
