//! The exponential's own tail: zero below −B, so that its polynomials serve [−B, 0].

use super::builder::{BuildError, Builder, Terms, Wire, band_width};
use super::goal::Goal;
use catalogs::{Function, Ring};
use std::fmt;

/// The farthest −B that anything serves.
const REACH_MAX: f64 = 40.0;

/// Where zero begins, if it does inside the window.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LeftCut {
    /// −B as an input integer, or `None` if the whole window is served.
    pub edge: Option<i64>,
    /// Low bits that the comparison ignores.
    pub dropped: u8,
}

impl LeftCut {
    /// The cut for an exponential of arguments that are not positive, with zero within `accuracy` below it;
    /// `dropped` low bits are ignored if there is one. `None` for everything else, and out of reach.
    pub fn new(goal: &Goal, accuracy: f64, dropped: u8) -> Option<LeftCut> {
        if goal.function != Function::Exp || goal.window.high > 0 {
            return None;
        }
        let edge = goal.tail_edge(false, accuracy * 0.999).filter(|edge| *edge > goal.window.low);
        let reach = -goal.real_f64(edge.unwrap_or(goal.window.low));
        (reach <= REACH_MAX).then_some(LeftCut { edge, dropped: if edge.is_some() { dropped } else { 0 } })
    }

    /// B.
    pub fn reach(&self, goal: &Goal) -> f64 {
        -goal.real_f64(self.edge.unwrap_or(goal.window.low))
    }

    /// The least input at which the polynomial may serve: the band lies below −B.
    pub fn lowest(&self, goal: &Goal) -> i64 {
        match self.edge {
            Some(edge) => (edge - band_width(self.dropped) as i64).max(goal.window.low),
            None => goal.window.low,
        }
    }

    /// 1 where the polynomial serves, 0 below; `None` without a cut.
    pub fn above(&self, b: &mut Builder, goal: &Goal, ring: Ring) -> Result<Option<Wire>, BuildError> {
        if self.edge.is_none() {
            return Ok(None);
        }
        let range = (i128::from(goal.window.low), i128::from(goal.window.high));
        let bit = b.less_than(b.input(), i128::from(self.lowest(goal)), range, self.dropped)?;
        let below = b.inject_into(bit, ring);
        Ok(Some(b.exact(&Terms::new().constant(1).linear(-1, below), 0)?))
    }
}

impl fmt::Display for LeftCut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.edge {
            Some(edge) => write!(f, "edge {edge} dropped {}", self.dropped),
            None => f.write_str("edge none"),
        }
    }
}
