//! The search: the fastest choice that passes the gate, or the most accurate one within a budget.

use super::assignment::{self, Price, Quantity};
use super::climb::{Simulated, climb};
use super::problem::{Attempt, Problem};
use super::{Error, Progress, Request, Verdict};
use crate::graph::Graph;
use crate::plan::{Measured, Plan};
use serde::Serialize;

/// A choice of the front.
#[derive(Clone, Debug, Serialize)]
pub struct Point {
    /// Predicted seconds of a run.
    pub seconds: f64,
    /// Predicted error: effects added up.
    pub error: f64,
    /// The error that is expected when effects are added up with their signs.
    pub expected: Option<f64>,
    /// What a simulation showed, where there was one.
    pub measured: Option<Verdict>,
    /// Whether it is the plan.
    pub chosen: bool,
}

/// The choices of least seconds at every predicted error, fastest first; and how good the plan can be at most.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Front {
    /// No point beats another at both.
    pub points: Vec<Point>,
    /// The plan's seconds over a lower bound of the seconds of every choice with no larger predicted error, less one:
    /// what the integer program leaves open.
    pub gap: f64,
    /// Predicted seconds of the fastest choice that was simulated and did not pass, if one did not: a choice between
    /// that and the plan was not found.
    pub refused_seconds: Option<f64>,
    /// What could not be proved together and was left out: a line for every place at which a window or a ring is left.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub excluded: Vec<String>,
}

/// A plan with what a private run of it should show.
#[derive(Clone, Debug)]
pub struct Tuned {
    /// The plan.
    pub plan: Plan,
    /// The public structure that the plan is about, at its batch.
    pub structure: Graph,
    /// What else there was.
    pub front: Front,
}

/// Chooses for every site.
pub fn tune(request: &Request<'_>, progress: &mut dyn FnMut(Progress)) -> Result<Tuned, Error> {
    Problem::explore(request, progress, search)
}

/// Chooses for every site of a model that was explored.
pub fn search(problem: &Problem<'_>, progress: &mut dyn FnMut(Progress)) -> Result<Tuned, Error> {
    Search::new(problem, progress).run()
}

/// Limits of the predicted error between the most accurate choice and the fastest one.
const RUNGS: usize = 24;
/// Choices that are looked for between the last one that passed and the first one that did not.
const REFINEMENTS: usize = 4;
/// How often a budget is tightened because the drafted plan is more expensive than its sites add up to.
const TIGHTENINGS: usize = 6;

struct Search<'a, 'b> {
    problem: &'a Problem<'b>,
    progress: &'a mut dyn FnMut(Progress),
    /// What the sites may have in all.
    limits: Price,
    tried: Vec<Attempt>,
}

impl<'a, 'b> Search<'a, 'b> {
    fn new(problem: &'a Problem<'b>, progress: &'a mut dyn FnMut(Progress)) -> Search<'a, 'b> {
        let budget = &problem.request().budget;
        let limits = Price::UNLIMITED
            .with(Quantity::Seconds, budget.seconds)
            .with(Quantity::Bytes, budget.bytes)
            .with(Quantity::Failure, budget.failure);
        let limits = limits.minus(problem.base_price()).with(Quantity::Error, f64::INFINITY);
        Search { problem, progress, limits, tried: Vec::new() }
    }

    fn run(mut self) -> Result<Tuned, Error> {
        let request = self.problem.request();
        match request.budget.limits_cost() && !request.constraint.asks() {
            true => self.most_accurate(),
            false => self.fastest(),
        }
    }

    /// The most accurate choice within the budget. A drafted plan may cost more than its sites add up to, because rounds
    /// are shared differently; the limits are then lowered by what it was too much.
    fn most_accurate(&mut self) -> Result<Tuned, Error> {
        let budget = self.problem.request().budget;
        for _ in 0..TIGHTENINGS {
            let attempt = self.best(Quantity::Error, self.limits)?.ok_or_else(|| self.none_left())?;
            if attempt.unmet.is_empty() {
                return Ok(self.finish(self.problem.in_fastest_rings(attempt)?, &[]));
            }
            let predicted = &attempt.plan.predicted;
            let excess = |found: f64, limit: f64| if found > limit { found - limit } else { 0.0 };
            let seconds = excess(predicted.seconds_per_run, budget.seconds);
            let bytes = excess(predicted.bytes_per_run as f64, budget.bytes);
            if seconds == 0.0 && bytes == 0.0 {
                break;
            }
            let lowered = self.limits.minus(&Price::default().with(Quantity::Seconds, 1.01 * seconds));
            self.limits = lowered.minus(&Price::default().with(Quantity::Bytes, 1.01 * bytes));
        }
        Err(self.none_left())
    }

    /// The choice of least `aim` within `limits` that can be proved.
    fn best(&mut self, aim: Quantity, limits: Price) -> Result<Option<Attempt>, Error> {
        while let Some(chosen) = self.problem.solve(aim, &limits) {
            // What cannot be proved is not chosen again.
            if let Some(attempt) = self.attempt(chosen)? {
                return Ok(Some(attempt));
            }
        }
        Ok(None)
    }

    /// The fastest choice that passes.
    fn fastest(&mut self) -> Result<Tuned, Error> {
        let request = self.problem.request();
        let started = match &request.start {
            Some(plan) => {
                let none = || Error::Request("the plan to start from makes choices that are not admissible now".into());
                let attempt = self.attempt(self.problem.choice_of(plan).ok_or_else(none)?)?;
                attempt.filter(|attempt| attempt.unmet.is_empty())
            }
            None => None,
        };
        let (rungs, best, worst) = loop {
            let rungs = self.front()?;
            if let Some((best, worst)) = self.bisected(&rungs, started.clone())? {
                break (rungs, best, worst);
            }
        };
        let best = match worst {
            Some(worst) => self.between(best, worst)?,
            None => best,
        };
        let best = self.problem.in_fastest_rings(self.climbed(best)?)?;
        if request.whole_front {
            for chosen in &rungs {
                self.attempt(chosen.clone())?;
            }
        }
        Ok(self.finish(best, &rungs))
    }

    /// The first rung that passes, or what was `started` with, and the last one that does not; `None` if a rung cannot be
    /// proved, so that the front is another one.
    fn bisected(
        &mut self,
        rungs: &[Vec<usize>],
        started: Option<Attempt>,
    ) -> Result<Option<(Attempt, Option<Attempt>)>, Error> {
        // Rungs get slower and more accurate: the first that passes, if passing is monotone; it is simulated anyway.
        let limit = started.as_ref().map_or(f64::INFINITY, |attempt| self.seconds(&attempt.chosen));
        let faster = rungs.partition_point(|chosen| self.seconds(chosen) < limit);
        let (mut low, mut high) = (0, faster);
        let mut best: Option<Attempt> = started;
        let mut worst: Option<Attempt> = None;
        let mut most_accurate_was_tried = false;
        while low < high {
            // The generous end passes more often than not: a sum of worst cases overstates what is seen.
            let middle = (low + high) / 2;
            let Some(attempt) = self.attempt(rungs[middle].clone())? else { return Ok(None) };
            most_accurate_was_tried |= middle + 1 == rungs.len();
            match attempt.unmet.is_empty() {
                true => (high, best) = (middle, Some(attempt)),
                false => (low, worst) = (middle + 1, Some(attempt)),
            }
        }
        let Some(best) = best else {
            let last = match worst {
                Some(attempt) if most_accurate_was_tried => attempt,
                _ => return Err(self.none_left()),
            };
            return Err(Error::Constraint {
                unmet: last.unmet.join("; "),
                site: self.problem.heaviest(&last.chosen, Quantity::Error),
            });
        };
        Ok(Some((best, worst)))
    }

    /// The best that single exchanges lead to.
    fn climbed(&mut self, best: Attempt) -> Result<Attempt, Error> {
        let (problem, most) = (self.problem, self.tried.len() + self.problem.request().climb);
        climb(problem, best, &mut |chosen| {
            let known = self.tried.iter().any(|attempt| attempt.chosen == chosen);
            if !known && self.tried.len() >= most {
                return Ok(Simulated::Enough);
            }
            Ok(self.attempt(chosen)?.map_or(Simulated::Excluded, |attempt| Simulated::Shown(Box::new(attempt))))
        })
    }

    /// Looks between the errors of a choice that passed and of one that did not.
    fn between(&mut self, mut best: Attempt, mut worst: Attempt) -> Result<Attempt, Error> {
        let error = |search: &Self, attempt: &Attempt| {
            assignment::total(search.problem.prices(), &attempt.chosen).of(Quantity::Error)
        };
        let (mut low, mut high) = (error(self, &best), error(self, &worst));
        let mut refinements = 0;
        while refinements < REFINEMENTS {
            refinements += 1;
            let limit = (low.max(high * 1e-6) * high).sqrt();
            let Some(chosen) = self.solve(Quantity::Seconds, self.limits.with(Quantity::Error, limit)) else { break };
            // What is chosen may use less than its limit, and may be known already.
            if chosen == best.chosen {
                low = limit;
            } else if chosen == worst.chosen {
                high = limit;
            } else if self.seconds(&chosen) >= self.seconds(&best.chosen) {
                break;
            } else {
                let Some(attempt) = self.attempt(chosen)? else {
                    // The same once more, without what cannot be proved.
                    refinements -= 1;
                    continue;
                };
                match attempt.unmet.is_empty() {
                    true => (low, best) = (limit, attempt),
                    false => (high, worst) = (error(self, &attempt), attempt),
                }
            }
        }
        Ok(best)
    }

    /// Choices of least seconds, from the fastest to the most accurate.
    fn front(&mut self) -> Result<Vec<Vec<usize>>, Error> {
        let prices = self.problem.prices();
        let fastest = self.solve(Quantity::Seconds, self.limits).ok_or_else(|| self.none_left())?;
        let exact = self.solve(Quantity::Error, self.limits).ok_or_else(|| self.none_left())?;
        let error = |chosen: &[usize]| assignment::total(prices, chosen).of(Quantity::Error);
        let (high, low) = (error(&fastest), error(&exact));
        let mut rungs: Vec<Vec<usize>> = vec![fastest];
        if high <= low {
            return Ok(rungs);
        }
        // Where the most accurate choice is exact, a geometric sequence needs some end.
        let end = low.max(high * 1e-9);
        for rung in 1..=RUNGS {
            let limit = high * (end / high).powf(rung as f64 / RUNGS as f64) * (1.0 + 1e-9);
            let limits = self.limits.with(Quantity::Error, limit.max(low));
            let Some(chosen) = self.solve(Quantity::Seconds, limits) else { continue };
            if rungs.last() != Some(&chosen) {
                rungs.push(chosen);
            }
        }
        if rungs.last().is_some_and(|last| error(last) > low) {
            rungs.push(exact);
        }
        Ok(rungs)
    }

    fn solve(&self, aim: Quantity, limits: Price) -> Option<Vec<usize>> {
        self.problem.solve(aim, &limits)
    }

    fn seconds(&self, chosen: &[usize]) -> f64 {
        self.problem.price(chosen).of(Quantity::Seconds)
    }

    /// Proves and simulates a choice; `None` if it cannot be proved, which the integer program then knows.
    fn attempt(&mut self, chosen: Vec<usize>) -> Result<Option<Attempt>, Error> {
        if let Some(known) = self.tried.iter().find(|attempt| attempt.chosen == chosen) {
            return Ok(Some(known.clone()));
        }
        let price = self.problem.price(&chosen);
        (self.progress)(Progress::Simulation {
            candidate: self.tried.len() + 1,
            seconds: price.of(Quantity::Seconds),
            error: price.of(Quantity::Error),
        });
        let Ok(attempt) = self.problem.attempt(chosen)? else { return Ok(None) };
        self.tried.push(attempt.clone());
        Ok(Some(attempt))
    }

    /// The plan with its measurement and its front.
    fn finish(&self, best: Attempt, rungs: &[Vec<usize>]) -> Tuned {
        let price = assignment::total(self.problem.prices(), &best.chosen);
        let limits = self.limits.with(Quantity::Error, price.of(Quantity::Error) * (1.0 + 1e-9));
        let bound = assignment::lower_bound(self.problem.prices(), Quantity::Seconds, &limits);
        let bound = bound + self.problem.base_price().of(Quantity::Seconds);
        let gap = if bound > 0.0 { (self.seconds(&best.chosen) / bound - 1.0).max(0.0) } else { 0.0 };
        let refused = self.tried.iter().filter(|attempt| !attempt.unmet.is_empty());
        let refused_seconds = refused.map(|attempt| self.seconds(&attempt.chosen)).max_by(f64::total_cmp);
        let front =
            Front { points: self.points(&best, rungs), gap, refused_seconds, excluded: self.problem.excluded_lines() };
        let Attempt { plan, structure, verdict, .. } = best;
        // The plan in other rings was simulated once more.
        let simulated = self.tried.len() + usize::from(!plan.formats.rings.is_empty());
        let measured = Measured::of(&verdict, simulated);
        Tuned { plan: Plan { measured, ..plan }, structure, front }
    }

    /// Everything that was solved for or simulated, without what is beaten at seconds and predicted error.
    fn points(&self, best: &Attempt, rungs: &[Vec<usize>]) -> Vec<Point> {
        let tried = self.tried.iter().map(|attempt| (&attempt.chosen, Some(attempt.verdict.clone())));
        let all = tried.chain(rungs.iter().map(|chosen| (chosen, None)));
        let mut points: Vec<(&Vec<usize>, Point)> = Vec::new();
        for (chosen, measured) in all {
            let is_excluded = measured.is_none() && self.problem.exclusion(chosen).is_some();
            if is_excluded || points.iter().any(|(known, _)| *known == chosen) {
                continue;
            }
            let price = self.problem.price(chosen);
            let (seconds, error) = (price.of(Quantity::Seconds), price.of(Quantity::Error));
            let expected = self.problem.outlook(chosen).map(|outlook| outlook.error);
            points.push((chosen, Point { seconds, error, expected, measured, chosen: *chosen == best.chosen }));
        }
        let mut points: Vec<Point> = points.into_iter().map(|(_, point)| point).collect();
        points.sort_by(|a, b| a.seconds.total_cmp(&b.seconds).then(a.error.total_cmp(&b.error)));
        let mut least = f64::INFINITY;
        points.retain(|point| {
            let stays = point.error < least || point.chosen;
            least = least.min(point.error);
            stays
        });
        points
    }

    /// Why no choice is left: it would cost too much, or it cannot be proved.
    fn none_left(&self) -> Error {
        if let Some(error) = self.problem.nothing_left() {
            return error;
        }
        let budget = &self.problem.request().budget;
        let chosen = self.solve(Quantity::Seconds, Price::UNLIMITED);
        let chosen = chosen.unwrap_or_else(|| assignment::least(self.problem.prices(), Quantity::Seconds));
        let price = self.problem.price(&chosen);
        let mut limits = Vec::new();
        for (limit, unit) in [(budget.seconds, "s"), (budget.bytes, "bytes"), (budget.memory, "bytes of memory")] {
            if limit.is_finite() {
                limits.push(format!("{limit} {unit}"));
            }
        }
        limits.push(format!("a failure probability of {:.1e}", budget.failure));
        let (seconds, bytes) = (price.of(Quantity::Seconds), price.of(Quantity::Bytes));
        Error::Budget {
            limits: limits.join(", "),
            cheapest: format!("{seconds:.4} s and {bytes:.0} bytes"),
            site: self.problem.heaviest(&chosen, Quantity::Seconds),
        }
    }
}
