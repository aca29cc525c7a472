//! max(x, 0), exactly: one sign test over the whole window and one selection.

use super::builder::{BuildError, Builder, Terms};
use super::goal::Goal;
use super::{Design, Shape};
use catalogs::{Function, Program};

/// The exact rectifier.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rectifier;

/// The rectifier, if the goal is one.
pub fn shapes(goal: &Goal) -> Vec<Rectifier> {
    let fits = goal.function == Function::Relu && goal.output_scale == goal.input.scale;
    if fits { vec![Rectifier] } else { Vec::new() }
}

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

    fn fit_error(&self, _: &Goal) -> Option<f64> {
        Some(0.0)
    }

    fn designs(&self, goal: &Goal, _: f64) -> Vec<Design> {
        let design = |program| Design {
            family: self.family(),
            parameters: self.describe(),
            program,
            fit_error: 0.0,
            fitted: goal.window,
        };
        self.program(goal).map(design).into_iter().collect()
    }
}
