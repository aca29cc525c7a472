//! The search: the fastest choice that passes the gate, or the most accurate one within a budget.

use super::accuracy::{Aims, more_accurate};
use super::assignment::{self, Price, Quantity};
use super::climb::{Simulated, climb, is_hopeless};
use super::problem::{Attempt, Draft, Problem};
use super::{Budget, Error, Limiting, Progress, Request, Verdict};
use crate::graph::Graph;
use crate::plan::{Measured, Plan, Predicted};
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
///
/// Choices are compared in one ring, round by round; narrower rings and parts of rounds are looked for in the plan alone. So
/// that choices can be compared with it, all seconds here are less by the share that those save of the plan.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Front {
    /// No point beats another at both.
    pub points: Vec<Point>,
    /// What the integer program leaves open, by the prices of the sites: those are of one ring and whole rounds.
    pub gap: Gap,
    /// Predicted seconds of the slowest choice that is faster than the plan, was simulated and did not pass, if there is
    /// one: a choice between that and the plan was not found.
    pub refused_seconds: Option<f64>,
    /// What could not be proved together and was left out: a line for every place at which a window or a ring is left.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub excluded: Vec<String>,
}

/// How far a plan's predicted figure is above a lower bound of that of every choice, as a share of the bound.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Gap {
    /// Of seconds, over all choices with no larger predicted error.
    Seconds(f64),
    /// Of the predicted error, over all choices within the budget: where that alone is asked.
    Error(f64),
}

impl Default for Gap {
    fn default() -> Gap {
        Gap::Seconds(0.0)
    }
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
/// How often a budget is moved by what drafted plans differ from what their sites add up to.
const DRAFTS: usize = 16;
/// Simulations of more accurate choices before demands are refused.
const LAST_ATTEMPTS: usize = 24;

struct Search<'a, 'b> {
    problem: &'a Problem<'b>,
    progress: &'a mut dyn FnMut(Progress),
    /// What the sites may have in all.
    limits: Price,
    tried: Vec<Attempt>,
    /// Simulations of the plan that was found, once more in its rings.
    again: usize,
}

impl<'a, 'b> Search<'a, 'b> {
    fn new(problem: &'a Problem<'b>, progress: &'a mut dyn FnMut(Progress)) -> Search<'a, 'b> {
        let budget = &problem.request().budget;
        let limits = Price::UNLIMITED
            .with(Quantity::Seconds, budget.seconds)
            .with(Quantity::Bytes, budget.bytes)
            .with(Quantity::Failure, budget.failure);
        let limits = limits.minus(problem.base_price()).with(Quantity::Error, f64::INFINITY);
        Search { problem, progress, limits, tried: Vec::new(), again: 0 }
    }

    fn run(mut self) -> Result<Tuned, Error> {
        let request = self.problem.request();
        match request.asks_for_accuracy() {
            true => self.most_accurate(),
            false => self.fastest(),
        }
    }

    /// The plan in its fastest rings, with what a simulation of that shows.
    fn in_fastest_rings(&mut self, best: Attempt) -> Result<Attempt, Error> {
        let (best, simulated) = self.problem.in_fastest_rings(best)?;
        self.again += usize::from(simulated);
        Ok(best)
    }

    /// The most accurate choice within the budget: first by what is predicted, then by what simulations show.
    fn most_accurate(&mut self) -> Result<Tuned, Error> {
        let request = self.problem.request();
        let (chosen, draft) = self.most_accurate_draft()?;
        // What its rings save may be spent by its neighbours.
        self.limits = self.limits.plus(&Price::default().most(&self.saved(&chosen, &draft.plan.predicted)));
        self.say(&chosen);
        let lost = || Error::Request("a simulation was not brought to its end".into());
        let found = self.problem.simulated(chosen, draft, false)?.ok_or_else(lost)?;
        self.tried.push(found.clone());
        let shown = |attempt: &Attempt| match attempt.unmet.is_empty() {
            true => attempt.verdict.error,
            false => f64::INFINITY,
        };
        let start = self.started()?.filter(|start| shown(start) < shown(&found)).unwrap_or(found);
        let aims = Aims { aim: &shown, enough: &|_| false, is_hopeless: &|_, _| false };
        let best = self.improved(start, request.climb, &aims)?;
        let best = self.in_fastest_rings(best)?;
        Ok(self.finish(best, &[]))
    }

    /// The choice of least predicted error whose plan keeps the budget. A drafted plan may cost another amount than its sites
    /// add up to: rounds are shared differently, and narrower rings save some, of every choice another amount. The limits
    /// are widened by what was saved of a plan, narrowed in growing steps by what plans exceed the budget all the same, and
    /// then widened again by halves.
    fn most_accurate_draft(&mut self) -> Result<(Vec<usize>, Draft), Error> {
        let problem = self.problem;
        let error = |chosen: &[usize]| problem.price(chosen).of(Quantity::Error);
        let mut best: Option<(Vec<usize>, Draft)> = None;
        let mut known: Vec<Vec<usize>> = Vec::new();
        let (mut slack, mut beyond, mut step) = (Price::default(), None::<Price>, 0.0);
        for _ in 0..DRAFTS {
            let found = self.drafted(Quantity::Error, self.limits.plus(&slack), &known)?;
            let is_better =
                |(chosen, _): &(Vec<usize>, Draft)| best.as_ref().is_none_or(|(best, _)| error(chosen) < error(best));
            let found = match (found.filter(is_better), &best, beyond) {
                (Some(found), ..) => found,
                // Between this and what was too much there may be something better.
                (None, Some(_), Some(beyond)) => {
                    (slack, step) = (slack.plus(&beyond).times(0.5), 0.0);
                    continue;
                }
                // Others may save more of their price than what was drafted.
                (None, Some((known, _)), None) if slack != Price::default() && self.has_better(error(known)) => {
                    slack = slack.times(2.0);
                    continue;
                }
                (None, Some(_), None) => break,
                // Where nothing seems to be cheap enough, the fastest is drafted all the same.
                (None, None, _) => match self.drafted(Quantity::Seconds, self.unpriced(), &[])? {
                    Some(found) if !known.contains(&found.0) => found,
                    _ => break,
                },
            };
            let (chosen, draft) = found;
            known.push(chosen.clone());
            // What the plan costs less than its sites add up to may be spent by them.
            let saved = self.saved(&chosen, &draft.plan.predicted);
            let excess = excess(&problem.request().budget, &draft.plan.predicted);
            match problem.request().budget.exceeded(&draft.plan.predicted).is_empty() {
                true => {
                    let own = slack.most(&saved);
                    slack = beyond.map_or(own, |beyond| own.plus(&beyond).times(0.5));
                    (best, step) = (Some((chosen, draft)), 0.0);
                }
                false => {
                    beyond = Some(slack);
                    slack = slack.least(&saved).minus(&excess.times(step));
                    step = 2.0 * step + 1.0;
                }
            }
        }
        if best.is_none()
            && let Some((chosen, draft)) = self.drafted(Quantity::Seconds, self.unpriced(), &[])?
            && problem.request().budget.exceeded(&draft.plan.predicted).is_empty()
        {
            best = Some((chosen, draft));
        }
        best.ok_or_else(|| self.none_left())
    }

    /// Whether any choice has less predicted error, whatever it costs.
    fn has_better(&self, error: f64) -> bool {
        let least = self.solve(Quantity::Error, self.unpriced());
        least.is_some_and(|least| self.problem.price(&least).of(Quantity::Error) < error)
    }

    /// The choice of least `aim` within `limits` that is a plan and none of the `known` ones, in its fastest rings.
    fn drafted(
        &self,
        aim: Quantity,
        limits: Price,
        known: &[Vec<usize>],
    ) -> Result<Option<(Vec<usize>, Draft)>, Error> {
        while let Some(chosen) = self.problem.solve_beside(aim, &limits, known) {
            // What is no plan is not chosen again.
            if let Ok(draft) = self.problem.drafted(&chosen, true)? {
                return Ok(Some((chosen, draft)));
            }
        }
        Ok(None)
    }

    /// What a plan costs less than its sites add up to.
    fn saved(&self, chosen: &[usize], predicted: &Predicted) -> Price {
        let price = self.problem.price(chosen);
        let saved = |quantity: Quantity, own: f64| price.of(quantity) - own;
        Price::default()
            .with(Quantity::Seconds, saved(Quantity::Seconds, predicted.seconds_per_run))
            .with(Quantity::Bytes, saved(Quantity::Bytes, predicted.bytes_per_run as f64))
    }

    /// The limits without those of seconds and bytes.
    fn unpriced(&self) -> Price {
        self.limits.with(Quantity::Seconds, f64::INFINITY).with(Quantity::Bytes, f64::INFINITY)
    }

    /// What the request starts with, simulated; none where it asks for no start or that cannot be proved.
    fn started(&mut self) -> Result<Option<Attempt>, Error> {
        let Some(plan) = &self.problem.request().start else { return Ok(None) };
        let none = || {
            Error::Request(
                "the plan to start from makes choices that are not admissible here: it is of another model, of other \
                 ranges of inputs, or of a catalog that changed; leave it out"
                    .into(),
            )
        };
        self.attempt(self.problem.choice_of(plan).ok_or_else(none)?)
    }

    /// The fastest choice that passes.
    fn fastest(&mut self) -> Result<Tuned, Error> {
        let request = self.problem.request();
        self.allow_for_rings()?;
        let started = self.started()?.filter(|attempt| attempt.unmet.is_empty());
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
        let best = self.climbed(best)?;
        let best = self.in_fastest_rings(best)?;
        if request.whole_front {
            for chosen in &rungs {
                self.attempt(chosen.clone())?;
            }
        }
        Ok(self.finish(best, &rungs))
    }

    /// Lets sites spend what narrower rings save of the fastest choice: whether a plan keeps the budget with them is seen
    /// when it is drafted.
    fn allow_for_rings(&mut self) -> Result<(), Error> {
        if !self.problem.request().budget.limits_cost() {
            return Ok(());
        }
        if let Some((chosen, draft)) = self.drafted(Quantity::Seconds, self.unpriced(), &[])? {
            let saved = self.saved(&chosen, &draft.plan.predicted);
            self.limits = self.limits.plus(&Price::default().most(&saved));
        }
        Ok(())
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
        while low < high {
            // The generous end passes more often than not: a sum of worst cases overstates what is seen.
            let middle = (low + high) / 2;
            let Some(attempt) = self.attempt(rungs[middle].clone())? else { return Ok(None) };
            match attempt.unmet.is_empty() {
                true => (high, best) = (middle, Some(attempt)),
                false => (low, worst) = (middle + 1, Some(attempt)),
            }
        }
        if let Some(best) = best {
            return Ok(Some((best, worst)));
        }
        // Passing need not be monotone: nothing is refused before every rung was seen that is not hopeless, the most
        // accurate first.
        for rung in rungs.iter().rev() {
            if worst.as_ref().is_some_and(|worst| is_hopeless(self.problem, worst, rung)) {
                continue;
            }
            match self.attempt(rung.clone())? {
                Some(attempt) if attempt.unmet.is_empty() => return Ok(Some((attempt, None))),
                Some(_) => {}
                None => return Ok(None),
            }
        }
        let best = self.nearest().ok_or_else(|| self.none_left())?;
        let request = self.problem.request();
        let shortfall = |attempt: &Attempt| shortfall(request, attempt);
        let most = if self.problem.request().quick { 0 } else { LAST_ATTEMPTS };
        let problem = self.problem;
        let aims = Aims {
            aim: &shortfall,
            enough: &|attempt| attempt.unmet.is_empty(),
            is_hopeless: &|shown, chosen| is_hopeless(problem, shown, chosen),
        };
        let best = self.improved(best, most, &aims)?;
        match best.unmet.is_empty() {
            true => Ok(Some((best, None))),
            false => Err(self.refusal(&best)),
        }
    }

    /// Of what was simulated, what is nearest to what is asked.
    fn nearest(&self) -> Option<Attempt> {
        let key = |attempt: &Attempt| shortfall(self.problem.request(), attempt);
        self.tried.iter().min_by(|a, b| key(a).total_cmp(&key(b))).cloned()
    }

    /// The best that other candidates lead to, after so many simulations.
    fn improved(&mut self, start: Attempt, most: usize, aims: &Aims<'_>) -> Result<Attempt, Error> {
        let (problem, limits) = (self.problem, self.limits);
        let known: Vec<Vec<usize>> = self.tried.iter().map(|attempt| attempt.chosen.clone()).collect();
        let most = self.tried.len() + most;
        more_accurate(problem, start, aims, (&limits, &known), &mut |chosen| {
            if self.tried.len() >= most {
                return Ok(Simulated::Enough);
            }
            Ok(self.attempt(chosen)?.map_or(Simulated::Excluded, |attempt| Simulated::Shown(Box::new(attempt))))
        })
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
        self.say(&chosen);
        let Ok(attempt) = self.problem.attempt(chosen)? else { return Ok(None) };
        self.tried.push(attempt.clone());
        Ok(Some(attempt))
    }

    fn say(&mut self, chosen: &[usize]) {
        let price = self.problem.price(chosen);
        (self.progress)(Progress::Simulation {
            candidate: self.tried.len() + 1,
            seconds: price.of(Quantity::Seconds),
            error: self.problem.predicts_errors().then(|| price.of(Quantity::Error)),
        });
    }

    /// The plan with its measurement and its front.
    fn finish(&self, best: Attempt, rungs: &[Vec<usize>]) -> Tuned {
        let own = self.seconds(&best.chosen);
        let saved = best.plan.predicted.seconds_per_run / own;
        let refused = self.tried.iter().filter(|attempt| !attempt.unmet.is_empty());
        let refused = refused.map(|attempt| self.seconds(&attempt.chosen)).filter(|seconds| *seconds < own);
        let refused_seconds = refused.max_by(f64::total_cmp).map(|seconds| saved * seconds);
        let points = self.points(&best, rungs, saved);
        let gap = self.gap(&best.chosen);
        let front = Front { points, gap, refused_seconds, excluded: self.problem.excluded_lines() };
        let Attempt { plan, structure, verdict, .. } = best;
        let measured = Measured::of(&verdict, self.tried.len() + self.again);
        Tuned { plan: Plan { measured, ..plan }, structure, front }
    }

    /// What the integer program leaves open of a choice.
    fn gap(&self, chosen: &[usize]) -> Gap {
        let (prices, base) = (self.problem.prices(), self.problem.base_price());
        let above = |quantity: Quantity, limits: &Price| {
            let bound = assignment::lower_bound(prices, quantity, limits) + base.of(quantity);
            let own = self.problem.price(chosen).of(quantity);
            if bound > 0.0 { (own / bound - 1.0).max(0.0) } else { 0.0 }
        };
        if self.problem.request().asks_for_accuracy() {
            return Gap::Error(above(Quantity::Error, &self.limits));
        }
        let error = assignment::total(prices, chosen).of(Quantity::Error);
        Gap::Seconds(above(Quantity::Seconds, &self.limits.with(Quantity::Error, error * (1.0 + 1e-9))))
    }

    /// Everything that was solved for or simulated, without what is beaten at seconds and predicted error; with this share
    /// of the seconds.
    fn points(&self, best: &Attempt, rungs: &[Vec<usize>], share: f64) -> Vec<Point> {
        let tried = self.tried.iter().map(|attempt| (&attempt.chosen, Some(attempt.verdict.clone())));
        let all = tried.chain(rungs.iter().map(|chosen| (chosen, None)));
        let mut points: Vec<(&Vec<usize>, Point)> = Vec::new();
        for (chosen, measured) in all {
            let is_excluded = measured.is_none() && self.problem.exclusion(chosen).is_some();
            if is_excluded || points.iter().any(|(known, _)| *known == chosen) {
                continue;
            }
            let price = self.problem.price(chosen);
            let (seconds, error) = (share * price.of(Quantity::Seconds), price.of(Quantity::Error));
            let seconds = if *chosen == best.chosen { best.plan.predicted.seconds_per_run } else { seconds };
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

    /// Why demands on accuracy are refused, where `best` is nearest to them.
    fn refusal(&self, best: &Attempt) -> Error {
        let request = self.problem.request();
        let error = |limits: &Price| {
            let chosen = self.solve(Quantity::Error, *limits);
            chosen.map_or(f64::INFINITY, |chosen| self.problem.price(&chosen).of(Quantity::Error))
        };
        let site = self.problem.heaviest(&best.chosen, Quantity::Error);
        let heaviest =
            (0..best.chosen.len()).map(|site| self.problem.prices()[site][best.chosen[site]].of(Quantity::Error));
        let heaviest = heaviest.fold(0.0, f64::max);
        let is_limited = request.budget.limits_cost() || request.budget.memory.is_finite();
        let budget_limits = self.problem.limits_memory()
            || error(&Price::UNLIMITED.with(Quantity::Failure, request.budget.failure))
                < error(&self.limits) * (1.0 - 1e-9)
            || self.tried.iter().any(|attempt| !request.budget.exceeded(&attempt.plan.predicted).is_empty());
        let limiting = if request.quick {
            Limiting::Quick
        } else if is_limited && budget_limits {
            Limiting::Budget(request.budget.limits())
        } else if self.problem.base_price().of(Quantity::Error) >= heaviest {
            Limiting::Roundings(request.formats)
        } else {
            Limiting::Site(site)
        };
        Error::Constraint { unmet: best.unmet.join("; "), simulated: self.tried.len(), limiting }
    }

    /// Why no choice is left: it would cost too much, or it cannot be proved.
    fn none_left(&self) -> Error {
        if let Some(error) = self.problem.nothing_left() {
            return error;
        }
        let budget = &self.problem.request().budget;
        let chosen =
            self.solve(Quantity::Seconds, self.unpriced()).or_else(|| self.solve(Quantity::Seconds, Price::UNLIMITED));
        let chosen = chosen.unwrap_or_else(|| assignment::least(self.problem.prices(), Quantity::Seconds));
        // As its plan would be, in narrower rings, where it can be drafted.
        let drafted = self.problem.drafted(&chosen, true).ok().and_then(Result::ok);
        let price = self.problem.price(&chosen);
        let (seconds, bytes) = match &drafted {
            Some(Draft { plan, .. }) => (plan.predicted.seconds_per_run, plan.predicted.bytes_per_run as f64),
            None => (price.of(Quantity::Seconds), price.of(Quantity::Bytes)),
        };
        // Nobody asks for a failure probability: it is named where it is what keeps choices out.
        let fails = budget.limits().is_empty() || price.of(Quantity::Failure) > budget.failure;
        let failures = if fails { format!("a failure probability of {:.1e}", budget.failure) } else { String::new() };
        let limits: Vec<String> = [budget.limits(), failures].into_iter().filter(|limit| !limit.is_empty()).collect();
        Error::Budget {
            limits: limits.join(", "),
            cheapest: format!("cheapest has {seconds:.4} s and {bytes:.0} bytes"),
            site: self.problem.heaviest(&chosen, Quantity::Seconds),
        }
    }
}

/// What a plan costs more than it may.
fn excess(budget: &Budget, predicted: &Predicted) -> Price {
    let more = |own: f64, limit: f64| if own > limit { own - limit } else { 0.0 };
    Price::default()
        .with(Quantity::Seconds, more(predicted.seconds_per_run, budget.seconds))
        .with(Quantity::Bytes, more(predicted.bytes_per_run as f64, budget.bytes))
}

/// How far a plan is from what is asked of it; one beyond the budget is as far as can be.
fn shortfall(request: &Request<'_>, attempt: &Attempt) -> f64 {
    match request.budget.exceeded(&attempt.plan.predicted).is_empty() {
        true => request.constraint.shortfall(&attempt.verdict),
        false => f64::INFINITY,
    }
}
