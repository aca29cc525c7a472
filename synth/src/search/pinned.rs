//! One program by its name: a family and its parameters, as a search prints them.
//!
//! A campaign that names its designs is rebuilt in seconds, and a better search does not change what it gives.

use super::measure::{Candidate, all_shapes};
use super::waves::prove;
use super::{Found, SearchError};
use crate::families::{Design, Goal, Shape, of_program, stated};
use catalogs::protocol::{Model, cost};
use catalogs::{Entry, Program};
use rayon::prelude::*;

/// The certified program of this family with these parameters.
///
/// # Errors
/// Where no family has such a program for the goal, or the program does not reach the accuracy.
pub fn pinned(goal: &Goal, model: &dyn Model, family: &str, parameters: &str) -> Result<Found, SearchError> {
    let is_it = |shape: &dyn Shape| {
        let rest = parameters.strip_prefix(&shape.describe());
        shape.family() == family && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    };
    // Pieces are stated whole, so that another way to place them changes nothing.
    let shapes: Vec<Box<dyn Shape>> = match stated(goal, family, parameters) {
        Some(shape) => vec![shape],
        None => all_shapes(goal),
    };
    let designs = shapes.iter().filter(|shape| is_it(shape.as_ref())).flat_map(|shape| {
        let designs = shape.designs(goal, goal.accuracy());
        designs.into_iter().filter(|design| design.parameters == parameters)
    });
    let unknown = || SearchError::NoDesign { family: family.to_owned(), parameters: parameters.to_owned() };
    let design = designs.into_iter().next().ok_or_else(unknown)?;
    let estimate = design.fit_error;
    let cost = cost(&design.program, model);
    prove(goal, &Candidate { design, estimate, cost }).map_err(|(reached, how)| SearchError::OutOfReach {
        wanted: goal.accuracy(),
        reached,
        how,
    })
}

/// The program of an entry, proved anew; what the entry claims of its error is not looked at.
///
/// # Errors
/// Where the program does not reach the accuracy.
pub fn given(goal: &Goal, model: &dyn Model, entry: &Entry) -> Result<Found, SearchError> {
    let (program, fitted) = (entry.program.clone(), entry.claim.fitted);
    let cost = cost(&program, model);
    let design = Design { family: "given", parameters: "its entry".into(), program, fit_error: 0.0, fitted };
    let goal = Goal { fitted: Some(fitted), ..goal.clone() };
    prove(&goal, &Candidate { design, estimate: goal.accuracy(), cost })
        .map_err(|(reached, how)| SearchError::OutOfReach { wanted: goal.accuracy(), reached, how })
}

/// The design whose program this is, if any family of today makes it for the goal.
pub fn design_of(goal: &Goal, program: &Program) -> Option<Design> {
    let among = |shapes: Vec<Box<dyn Shape>>| {
        shapes.par_iter().find_map_any(|shape| {
            shape.designs(goal, goal.accuracy()).into_iter().find(|design| design.program == *program)
        })
    };
    among(of_program(goal, program)).or_else(|| among(all_shapes(goal)))
}
