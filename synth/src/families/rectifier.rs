//! max(x, 0): one sign test over the whole window and one selection. Exact for the rectifier, and the coarsest program of
//! every function that is near it everywhere, as GELU and SiLU are.

use super::builder::{BuildError, Builder, Terms};
use super::goal::Goal;
use super::{Design, Shape};
use catalogs::{Function, Program};

/// The rectifier.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rectifier;

/// The rectifier, if the goal is one or is within `accuracy` of one.
pub fn shapes(goal: &Goal, accuracy: f64) -> Vec<Rectifier> {
    let near = || {
        let is_tail = |right: bool, slope: i32| {
            let tail = goal.tail(right).filter(|tail| tail.constant == 0 && tail.slope == slope);
            // Within the accuracy up to the input next to zero.
            tail.is_some() && goal.tail_edge(right, accuracy).is_some_and(|edge| edge.abs() <= 1)
        };
        is_tail(false, 0) && is_tail(true, 1)
    };
    let fits = goal.output_scale == goal.input.scale && (goal.function == Function::Relu || near());
    if fits { vec![Rectifier] } else { Vec::new() }
}

/// Points of one side at which the distance from another function is looked at, 2^-8 apart.
const POINTS: i32 = 8 << 8;

impl Rectifier {
    fn program(&self, goal: &Goal) -> Result<Program, BuildError> {
        let mut b = Builder::new(goal.input.ring, goal.input.scale);
        let x = b.input();
        let range = (i128::from(goal.window.low), i128::from(goal.window.high));
        let negative = b.less_than(x, 0, range, 0)?;
        let negative = b.inject(negative);
        let positive = b.exact(&Terms::new().constant(1).linear(-1, negative), 0)?;
        b.exact(&Terms::new().product(1, positive, x), i32::from(goal.output_scale.bits()))?;
        b.finish()
    }
}

impl Shape for Rectifier {
    fn family(&self) -> &'static str {
        "rectifier"
    }

    fn describe(&self) -> String {
        "exact".to_owned()
    }

    fn fit_error(&self, goal: &Goal) -> Option<f64> {
        if goal.function == Function::Relu {
            return Some(0.0);
        }
        let distance = |point: i32| {
            let x = f64::from(point) / 256.0;
            let value = goal.value(x);
            (value - x.max(0.0)).abs() / goal.unit(value)
        };
        Some((-POINTS..=POINTS).map(distance).fold(0.0, f64::max))
    }

    fn designs(&self, goal: &Goal, _: f64) -> Vec<Design> {
        let fit_error = self.fit_error(goal).unwrap_or(0.0);
        let design = |program| Design {
            family: self.family(),
            parameters: self.describe(),
            program,
            fit_error,
            fitted: goal.window,
        };
        self.program(goal).map(design).into_iter().collect()
    }
}
