//! The first reference set: the discretised minimax problem as a floating-point linear program.
//!
//! The program is posed in its dual form, a signed measure on the grid that annihilates the basis
//! and has unit mass: its support *is* a reference set, and it has one equation per basis function
//! instead of two inequalities per grid point. The optimum itself is never used: a
//! double-precision level can be wrong in the second digit, and the caller levels the set again.

use good_lp::solvers::microlp::microlp;
use good_lp::{Expression, Solution, SolverModel, Variable, constraint, variable, variables};

/// The reference set of `max |residual - rows · d|`: indices into `residual`, ascending.
///
/// `rows[i]` holds the basis functions at grid point `i`, of order one; `residual` is scaled to
/// order one. `None` if the solver gives up, which costs the caller time but no accuracy.
pub(super) fn reference(rows: &[Vec<f64>], residual: &[f64]) -> Option<Vec<usize>> {
    let functions = rows.first()?.len();
    let mut problem = variables!();
    let masses: Vec<(Variable, Variable)> = residual
        .iter()
        .map(|_| {
            (
                problem.add(variable().min(0.0)),
                problem.add(variable().min(0.0)),
            )
        })
        .collect();
    let mut objective = Expression::with_capacity(2 * masses.len());
    let mut total = Expression::with_capacity(2 * masses.len());
    for (&value, &(above, below)) in residual.iter().zip(&masses) {
        objective.add_mul(value, above);
        objective.add_mul(-value, below);
        total.add_mul(1.0, above);
        total.add_mul(1.0, below);
    }
    let mut model = problem.maximise(objective).using(microlp);
    for function in 0..functions {
        let mut moment = Expression::with_capacity(2 * masses.len());
        for (row, &(above, below)) in rows.iter().zip(&masses) {
            moment.add_mul(row[function], above);
            moment.add_mul(-row[function], below);
        }
        model.add_constraint(constraint!(moment == 0.0));
    }
    model.add_constraint(constraint!(total == 1.0));
    let solution = model.solve().ok()?;
    let support = masses.iter().enumerate().filter(|(_, (above, below))| {
        solution
            .value(*above)
            .abs()
            .max(solution.value(*below).abs())
            > 1e-12
    });
    Some(support.map(|(index, _)| index).collect())
}
