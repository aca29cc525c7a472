//! Affine tails around something that serves the middle: one comparison for each, and an exact selection.
//!
//! Both bands lie outside the middle: there it may serve, but never a tail inside.

use super::builder::{BuildError, Builder, Terms, Wire, band_width};
use super::goal::{Affine, Goal};
use catalogs::{Ring, Window};
use std::fmt;

/// Where tails begin, as input integers; `None` where the middle reaches the window's end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outside {
    /// The first input of the middle, and the tail before it.
    pub left: Option<(i64, Affine)>,
    /// The first input of the right tail, and the tail.
    pub right: Option<(i64, Affine)>,
    /// Low bits that the comparisons ignore.
    pub dropped: u8,
}

/// The bits "below the left edge" and "below the right edge" as numbers, with the tails there.
pub struct Sides {
    left: Option<(Wire, Affine)>,
    right: Option<(Wire, Affine)>,
}

impl Outside {
    /// Tails wherever the function has one within `accuracy`.
    pub fn new(goal: &Goal, accuracy: f64) -> Outside {
        // Whole slopes are selected exactly.
        let edge = |right: bool| {
            let tail = goal.tail(right).filter(|tail| tail.slope.is_integer())?;
            Some((goal.tail_edge(right, accuracy)?, tail))
        };
        let left = edge(false).filter(|(left, _)| *left > goal.window.low);
        let right = edge(true).filter(|(right, _)| *right < goal.window.high);
        Outside { left, right, dropped: goal.input.scale.bits().saturating_sub(4) }
    }

    /// What the middle may have to serve.
    pub fn inside(&self, goal: &Goal) -> Window {
        let band = band_width(self.dropped) as i64;
        Window {
            low: self.left.as_ref().map_or(goal.window.low, |(left, _)| (left - band).max(goal.window.low)),
            high: self.right.as_ref().map_or(goal.window.high, |(right, _)| (right + band).min(goal.window.high)),
        }
    }

    /// The comparisons.
    pub fn bits(&self, b: &mut Builder, goal: &Goal, ring: Ring) -> Result<Sides, BuildError> {
        let (x, range) = (b.input(), (i128::from(goal.window.low), i128::from(goal.window.high)));
        let mut below = |threshold: i128| -> Result<Wire, BuildError> {
            let bit = b.less_than(x, threshold, range, self.dropped)?;
            Ok(b.inject_into(bit, ring))
        };
        let mut side = |edge: &Option<(i64, Affine)>, band: i128| match edge {
            Some((edge, tail)) => Ok::<_, BuildError>(Some((below(i128::from(*edge) - band)?, tail.clone()))),
            None => Ok(None),
        };
        Ok(Sides { left: side(&self.left, band_width(self.dropped))?, right: side(&self.right, 0)? })
    }

    /// `inside` between the edges and the function's tails beyond them, exactly; `inside` itself if there are none.
    pub fn select(&self, b: &mut Builder, sides: &Sides, inside: Wire) -> Result<Wire, BuildError> {
        if sides.left.is_none() && sides.right.is_none() {
            return Ok(inside);
        }
        let terms = sides.terms(b, inside)?;
        b.exact(&terms, inside.scale())
    }
}

impl Sides {
    /// The sum that selects; its tails have whole slopes.
    pub fn terms(&self, b: &mut Builder, inside: Wire) -> Result<Terms, BuildError> {
        let middle = match (&self.left, &self.right) {
            (Some((left, _)), Some((right, _))) => Terms::new().linear(1, *right).linear(-1, *left),
            (Some((left, _)), None) => Terms::new().constant(1).linear(-1, *left),
            (None, Some((right, _))) => Terms::new().linear(1, *right),
            (None, None) => Terms::new().constant(1),
        };
        let middle = b.exact(&middle, 0)?;
        let mut output = Terms::new().product(1, middle, inside);
        let x = b.input();
        if let Some((below, Affine { constant, slope })) = self.right.clone() {
            if slope != 0 {
                let right = b.exact(&Terms::new().constant(slope.clone()).linear(-slope, below), 0)?;
                output = output.product(1, right, x);
            }
            if constant != 0 {
                output = output.constant(constant.clone()).linear(-constant, below);
            }
        }
        if let Some((below, Affine { constant, slope })) = self.left.clone() {
            if slope != 0 {
                let left = b.exact(&Terms::new().linear(slope, below), 0)?;
                output = output.product(1, left, x);
            }
            if constant != 0 {
                output = output.linear(constant, below);
            }
        }
        Ok(output)
    }
}

impl fmt::Display for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = |edge: &Option<(i64, Affine)>| edge.as_ref().map_or("none".to_owned(), |(edge, _)| edge.to_string());
        write!(f, "edges {} {} dropped {}", end(&self.left), end(&self.right), self.dropped)
    }
}
