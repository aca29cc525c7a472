//! Families of programs: each turns a handful of parameters and fitted coefficients into programs.
//!
//! A [`Shape`] is everything about a program but its scales: it determines the fit. Its [`Design`]s are the programs
//! with that fit at various scales. Nothing here is believed: `search` measures designs and certifies the best.

pub mod builder;
pub mod direct;
pub mod fitting;
pub mod goal;
pub mod graded;
pub mod left_cut;
pub mod logarithm;
pub mod middle;
pub mod normalise;
pub mod outside;
pub mod piecewise;
pub mod polynomial;
pub mod power;
pub mod rational;
pub mod rectifier;
pub mod selected;
pub mod sine;
pub mod split;
pub mod table;
pub mod target;

pub use builder::{BuildError, Builder, Terms, Wire};
pub use goal::Goal;

use catalogs::{Program, Window};

/// The names of all families.
pub const NAMES: [&str; 14] = [
    "middle",
    "power",
    "split exponent",
    "piecewise",
    "local piecewise",
    "normalised newton",
    "normalised polynomial",
    "selected newton",
    "graded pieces",
    "normalised logarithm",
    "turns",
    "fraction",
    "table",
    "rectifier",
];

/// A program that may serve a goal.
#[derive(Clone, PartialEq, Debug)]
pub struct Design {
    /// The name of its family.
    pub family: &'static str,
    /// Its parameters, for people.
    pub parameters: String,
    /// The program.
    pub program: Program,
    /// The error of its fit in the goal's norm, were everything else exact.
    pub fit_error: f64,
    /// The inputs for which its polynomials were fitted.
    pub fitted: Window,
}

/// Everything about a family of programs but their scales.
pub trait Shape: Send + Sync {
    /// The name of the family.
    fn family(&self) -> &'static str;
    /// The parameters, for people.
    fn describe(&self) -> String;
    /// The error of the fit in the goal's norm; `None` where it cannot be fitted.
    fn fit_error(&self, goal: &Goal) -> Option<f64>;
    /// Programs with this shape, none if the fit alone exceeds `accuracy`.
    fn designs(&self, goal: &Goal, accuracy: f64) -> Vec<Design>;
}

/// A shape's programs at all `scales` that can be built, named by its parameters and theirs.
fn designs<S>(
    shape: &dyn Shape,
    fit_error: f64,
    fitted: Window,
    scales: &[S],
    named: impl Fn(&S) -> String,
    program: impl Fn(&S) -> Result<Program, BuildError>,
) -> Vec<Design> {
    let design = |scales: &S| {
        let parameters = format!("{} {}", shape.describe(), named(scales));
        Some(Design { family: shape.family(), parameters, program: program(scales).ok()?, fit_error, fitted })
    };
    scales.iter().filter_map(design).collect()
}

/// All shapes that may bring a goal to `accuracy`, in a fixed order.
pub fn shapes(goal: &Goal, accuracy: f64) -> Vec<Box<dyn Shape>> {
    fn boxed<S: Shape + 'static>(shapes: Vec<S>) -> impl Iterator<Item = Box<dyn Shape>> {
        shapes.into_iter().map(|shape| Box::new(shape) as Box<dyn Shape>)
    }
    boxed(middle::shapes(goal, accuracy))
        .chain(boxed(power::shapes(goal, accuracy)))
        .chain(boxed(split::shapes(goal, accuracy)))
        .chain(boxed(piecewise::shapes(goal, accuracy)))
        .chain(boxed(normalise::shapes(goal)))
        .chain(boxed(direct::shapes(goal, accuracy)))
        .chain(boxed(selected::shapes(goal, accuracy)))
        .chain(boxed(graded::shapes(goal, accuracy)))
        .chain(boxed(logarithm::shapes(goal, accuracy)))
        .chain(boxed(sine::shapes(goal, accuracy)))
        .chain(boxed(rational::shapes(goal, accuracy)))
        .chain(boxed(table::shapes(goal, accuracy)))
        .chain(boxed(rectifier::shapes(goal, accuracy)))
        .collect()
}

/// The shape of a family that a design's parameters begin with, where all that makes it is in their text.
pub fn stated(goal: &Goal, family: &str, parameters: &str) -> Option<Box<dyn Shape>> {
    let shape = piecewise::Piecewise::stated(goal, family, parameters)?;
    Some(Box::new(shape))
}

/// Shapes that may have made the program, found from the program alone.
pub fn of_program(goal: &Goal, program: &Program) -> Vec<Box<dyn Shape>> {
    let shapes = piecewise::Piecewise::of_program(goal, program).into_iter();
    shapes.map(|shape| Box::new(shape) as Box<dyn Shape>).collect()
}
