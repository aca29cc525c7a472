//! Polynomials that lean towards likely inputs: the least mean error among those whose largest error is allowed.
//!
//! With p* the minimax polynomial, p = p* + d. At places x_i that are equally likely and at nodes y_j of the whole domain
//! the linear program
//!
//! ```text
//! minimise Σ u_i  subject to  |e*(x_i) − d(x_i)| <= u_i,   |e*(y_j) − d(y_j)| <= most
//! ```
//!
//! is solved in double precision, in coordinates that are orthonormal and in units of the minimax error: d is of order one.
//! What comes out is measured in high precision and mixed with p* as far as its largest error exceeds what is allowed;
//! errors are convex, so that a mixture exceeds it by no more than its share.

use super::frame::Frame;
use super::polynomial::{Fit, Options, Problem, reduce};
use super::sampling::{Sample, Sampler, largest_error};
use good_lp::solvers::microlp::microlp;
use good_lp::{Expression, Solution, SolverModel, Variable, constraint, variable, variables};
use rug::Float;

/// Part of what is allowed that nodes may use: between them errors are a little larger.
const BETWEEN_NODES: f64 = 0.98;
/// The largest coordinate of d, in units of the minimax error.
const FAR: f64 = 1e4;

/// The coefficients of a polynomial that errs nowhere by more than `most`, and at `places` less in the mean than the fit
/// does, and its largest error. `None` where the fit is exact, `most` leaves no room, or nothing better is found.
pub fn lean(
    problem: &Problem,
    fit: &Fit,
    options: &Options,
    places: &[Float],
    most: &Float,
) -> Option<(Vec<Float>, Float)> {
    if fit.minimax_error.is_zero() || *most <= fit.minimax_error || places.is_empty() {
        return None;
    }
    let reduced = reduce(problem).ok()?;
    let exponents = problem.basis.exponents();
    let kept: Vec<usize> =
        (0..exponents.len()).filter(|&index| reduced.basis.exponents().contains(&exponents[index])).collect();
    let optimum: Vec<Float> = kept.iter().map(|&index| fit.coefficients[index].clone()).collect();
    let precision = fit.precision;
    let sampler = Sampler { target: problem.target, norm: &problem.norm, basis: &reduced.basis, precision };
    let mut scan = sampler.scan(&reduced.domain, options.density.max(2) * (kept.len() + 2)).ok()?;
    let frame = Frame::new(scan.iter().flatten().map(|sample| sample.row.as_slice()), kept.len(), precision);
    // On a folded domain the mirror image of a place is as good as the place.
    let fold = |x: &Float| if reduced.folded.is_some() { x.clone().abs() } else { x.clone() };
    let likely: Vec<Sample> = places.iter().filter_map(|x| sampler.sample(&fold(x)).ok().flatten()).collect();
    let nodes: Vec<&Sample> = scan.iter().flatten().collect();
    let unit = &fit.minimax_error;
    let ratio = Float::with_val(64, most / unit).to_f64() * BETWEEN_NODES;
    let row = |sample: &Sample| Row::new(sample, &optimum, &frame, unit, nodes.len());
    let likely: Vec<Row> = likely.iter().map(row).collect();
    let everywhere: Vec<Row> = nodes.iter().map(|sample| row(sample)).collect();
    let change = solve(&likely, &everywhere, kept.len(), ratio.max(1.0))?;
    let scale = (nodes.len() as f64).sqrt();
    let coordinates: Vec<Float> = change.iter().map(|d| Float::with_val(precision, unit * (d * scale))).collect();
    let change = frame.coefficients(&coordinates);

    sampler.refine(&mut scan).ok()?;
    let mixed = |share: f64| -> Vec<Float> {
        optimum.iter().zip(&change).map(|(c, d)| Float::with_val(precision, d * share) + c).collect()
    };
    let error = |share: f64| largest_error(&sampler, &scan, &mixed(share), 24).ok();
    let mut share = 1.0;
    let mut reached = error(share)?;
    if reached > *most {
        let room = Float::with_val(64, most - unit) / Float::with_val(64, &reached - unit);
        share = room.to_f64() * 0.999;
        reached = error(share)?;
    }
    if reached > *most {
        return None;
    }
    let mut coefficients = fit.coefficients.clone();
    for (index, coefficient) in kept.into_iter().zip(mixed(share)) {
        coefficients[index] = coefficient;
    }
    Some((coefficients, reached))
}

/// A sample in units of the minimax error: e*, and the frame's functions of order one.
struct Row {
    error: f64,
    functions: Vec<f64>,
}

impl Row {
    fn new(sample: &Sample, optimum: &[Float], frame: &Frame, unit: &Float, nodes: usize) -> Row {
        let scale = (nodes as f64).sqrt();
        let functions = frame.row(&sample.row).iter().map(|entry| entry.to_f64() * scale).collect();
        Row { error: Float::with_val(64, sample.error(optimum) / unit).to_f64(), functions }
    }

    /// e* − d.
    fn rest(&self, change: &[Variable]) -> Expression {
        let mut rest = Expression::from(self.error);
        self.functions.iter().zip(change).for_each(|(&function, &d)| rest.add_mul(-function, d));
        rest
    }
}

/// The coordinates of d; `None` if the solver gives up.
fn solve(likely: &[Row], everywhere: &[Row], functions: usize, most: f64) -> Option<Vec<f64>> {
    let mut problem = variables!();
    let change: Vec<Variable> = (0..functions).map(|_| problem.add(variable().min(-FAR).max(FAR))).collect();
    let sizes: Vec<Variable> = likely.iter().map(|_| problem.add(variable().min(0.0))).collect();
    let objective: Expression = sizes.iter().sum();
    let mut model = problem.minimise(objective).using(microlp);
    for (row, &size) in likely.iter().zip(&sizes) {
        model.add_constraint(constraint!(row.rest(&change) <= size));
        model.add_constraint(constraint!(row.rest(&change) >= -1.0 * size));
    }
    for row in everywhere {
        model.add_constraint(constraint!(row.rest(&change) <= most));
        model.add_constraint(constraint!(row.rest(&change) >= -most));
    }
    let solution = model.solve().ok()?;
    let values: Vec<f64> = change.iter().map(|d| solution.value(*d)).collect();
    values.iter().all(|value| value.is_finite()).then_some(values)
}
