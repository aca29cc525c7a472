//! Pieces that are stated instead of searched: from a design's text, or from the comparisons of a program.

use super::{Cut, Piecewise, Variable};
use crate::families::Goal;
use crate::families::builder::band_width;
use catalogs::{Lemma, Op, Program, ValueId};

/// The largest degree that is looked for in a program.
const DEGREE_MAX: usize = 8;

impl Piecewise {
    /// Reads `degree D cuts AT/DROPPED …`, as [`describe`](crate::families::Shape::describe) writes it, and what follows.
    pub fn stated(goal: &Goal, family: &str, text: &str) -> Option<Piecewise> {
        let variable = match family {
            "piecewise" => Variable::Shared,
            "local piecewise" => Variable::Local,
            _ => return None,
        };
        let (degree, cuts) = text.strip_prefix("degree ")?.split_once(" cuts ")?;
        let cut = |word: &str| -> Option<Cut> {
            let (at, dropped) = word.split_once('/')?;
            Some(Cut { at: at.parse().ok()?, dropped: dropped.parse().ok()? })
        };
        let cuts: Vec<Cut> = cuts.split(' ').map_while(cut).collect();
        Piecewise::between(goal, cuts, degree.parse().ok()?, variable)
    }

    /// All that may have made the program, by the thresholds of its comparisons.
    pub fn of_program(goal: &Goal, program: &Program) -> Vec<Piecewise> {
        let thresholds: Vec<Cut> = program.ops().iter().filter_map(|op| threshold(program, op)).collect();
        let Some(first) = thresholds.first().copied() else { return Vec::new() };
        // With a tail on the left the first band lies to the left of the first cut.
        let band = |cut: Cut| band_width(cut.dropped) as i64;
        let mut with_left = thresholds.clone();
        with_left[0].at += band(first);
        let low = Cut { at: goal.window.low, dropped: first.dropped };
        let without_left: Vec<Cut> = [low].into_iter().chain(thresholds).collect();
        let high = Cut { at: goal.window.high, dropped: first.dropped };
        let mut found = Vec::new();
        for cuts in [with_left, without_left] {
            let open: Vec<Cut> = cuts.iter().copied().chain([high]).collect();
            for cuts in [cuts, open] {
                for degree in 1..=DEGREE_MAX {
                    let variables = [Variable::Shared, Variable::Local];
                    found.extend(variables.map(|variable| Piecewise::between(goal, cuts.clone(), degree, variable)));
                }
            }
        }
        found.into_iter().flatten().collect()
    }

    fn between(goal: &Goal, cuts: Vec<Cut>, degree: usize, variable: Variable) -> Option<Piecewise> {
        let is_ascending = cuts.windows(2).all(|pair| pair[0].at < pair[1].at);
        let scale = goal.input.scale.bits();
        let fits = cuts.iter().all(|cut| {
            (goal.window.low..=goal.window.high).contains(&cut.at) && cut.dropped <= scale && cut.dropped < 48
        });
        let (first, last) = (cuts.first()?, cuts.last()?);
        if !is_ascending || !fits || cuts.len() < 2 || !(1..=2 * DEGREE_MAX).contains(&degree) {
            return None;
        }
        let left = goal.tail(false).filter(|_| first.at > goal.window.low);
        let right = goal.tail(true).filter(|_| last.at < goal.window.high);
        Some(Piecewise { cuts, degree, variable, tails: (left, right) })
    }
}

/// The threshold that this operation compares the input with.
fn threshold(program: &Program, op: &Op) -> Option<Cut> {
    let Op::Sign { operand, lemma } = op else { return None };
    let Lemma::Sign { dropped, .. } = program.lemma(*lemma) else { return None };
    let input = |value: ValueId| value.index() == 0;
    let at = match &program.ops()[operand.index()] {
        Op::Input => 0,
        Op::Sum(sum) => {
            let [term] = &sum.linear[..] else { return None };
            (sum.products.is_empty() && term.coefficient == 1 && input(term.value)).then(|| -sum.constant)?
        }
        _ => return None,
    };
    Some(Cut { at: i64::try_from(at).ok()?, dropped: *dropped })
}
