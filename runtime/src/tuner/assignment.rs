//! One candidate per site: an integer program over predicted errors and counted costs.

use good_lp::{Expression, ProblemVariables, Solution, SolverModel, Variable, constraint, variable};

/// What is added up over the sites.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quantity {
    /// Predicted seconds of a run.
    Seconds,
    /// Bytes of all parties.
    Bytes,
    /// Predicted output error: the largest movement of an output that the candidate alone causes.
    Error,
    /// Probability of a failure.
    Failure,
}

impl Quantity {
    const ALL: [Quantity; 4] = [Quantity::Seconds, Quantity::Bytes, Quantity::Error, Quantity::Failure];
}

/// An amount of every [`Quantity`]: what a candidate adds, what a choice has, or what it may have.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Price([f64; Quantity::ALL.len()]);

impl Price {
    /// As a limit: everything is allowed.
    pub const UNLIMITED: Price = Price([f64::INFINITY; Quantity::ALL.len()]);

    /// With this amount of one quantity.
    pub fn with(mut self, quantity: Quantity, amount: f64) -> Price {
        self.0[quantity as usize] = amount;
        self
    }

    /// Of one quantity.
    pub fn of(&self, quantity: Quantity) -> f64 {
        self.0[quantity as usize]
    }

    /// Both together.
    pub fn plus(mut self, other: &Price) -> Price {
        self.0.iter_mut().zip(other.0).for_each(|(amount, more)| *amount += more);
        self
    }

    /// What is left of a limit.
    pub fn minus(mut self, other: &Price) -> Price {
        self.0.iter_mut().zip(other.0).for_each(|(amount, less)| *amount -= less);
        self
    }

    /// Of every quantity the smaller amount of both.
    pub fn least(mut self, other: &Price) -> Price {
        self.0.iter_mut().zip(other.0).for_each(|(amount, other)| *amount = amount.min(other));
        self
    }

    /// Of every quantity the larger amount of both.
    pub fn most(mut self, other: &Price) -> Price {
        self.0.iter_mut().zip(other.0).for_each(|(amount, other)| *amount = amount.max(other));
        self
    }

    /// So many times as much of everything.
    pub fn times(mut self, factor: f64) -> Price {
        self.0.iter_mut().for_each(|amount| *amount *= factor);
        self
    }

    /// Whether no quantity is larger than in `other`, but for `slack` of it.
    pub fn within(&self, other: &Price, slack: f64) -> bool {
        self.0.iter().zip(other.0).all(|(amount, limit)| *amount <= limit || amount - limit <= slack * limit.abs())
    }
}

/// Prices of every candidate of every site.
pub type Prices = [Vec<Price>];

/// Candidates of some sites, of which a choice may not have one at every one of the sites.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Combination {
    /// Sites, each once, with candidates.
    pub members: Vec<(usize, Vec<usize>)>,
}

impl Combination {
    /// Whether a choice has one of the candidates at every one of the sites.
    pub fn is_in(&self, chosen: &[usize]) -> bool {
        self.members.iter().all(|(site, own)| own.contains(&chosen[*site]))
    }

    /// The site and its candidates, where there is no other.
    pub fn alone(&self) -> Option<(usize, &[usize])> {
        let [(site, own)] = &self.members[..] else { return None };
        Some((*site, own))
    }

    /// Whether a choice with candidate `one` at a site has the combination only if it has it with `other` in its place.
    fn lets_replace(&self, site: usize, other: usize, one: usize) -> bool {
        let at = self.members.iter().find(|(place, _)| *place == site);
        at.is_none_or(|(_, own)| !own.contains(&one) || own.contains(&other))
    }
}

/// What a choice adds up to.
pub fn total(prices: &Prices, chosen: &[usize]) -> Price {
    prices.iter().zip(chosen).fold(Price::default(), |total, (options, &index)| total.plus(&options[index]))
}

/// The choice of least `aim` within `limits`; `None` if there is none.
///
/// Candidates that no better choice than one already known can contain are left out first (by their reduced costs under
/// Lagrange multipliers of the limits, as in M. L. Fisher, "The Lagrangian relaxation method", 1981); the integer
/// program chooses among the few that remain.
pub fn solve(prices: &Prices, aim: Quantity, limits: &Price) -> Option<Vec<usize>> {
    solve_without(prices, aim, limits, &[])
}

/// The same of the choices that have none of the `excluded` combinations.
pub fn solve_without(prices: &Prices, aim: Quantity, limits: &Price, excluded: &[Combination]) -> Option<Vec<usize>> {
    let mut program = Program::new(prices, aim, limits, excluded);
    let relaxed = program.relax();
    if let Some(known) = &relaxed.known {
        program.keep_what_may_improve(&relaxed, known);
    }
    program.solve().or(relaxed.known)
}

/// A lower bound of `aim` over all choices within `limits`: by Lagrange multipliers of the limits. With one limit it is
/// the optimum when candidates may be mixed.
pub fn lower_bound(prices: &Prices, aim: Quantity, limits: &Price) -> f64 {
    Program::new(prices, aim, limits, &[]).relax().bound
}

/// The candidate of least `aim` at every site; between equals the one that is cheaper, then the first.
pub fn least(prices: &Prices, aim: Quantity) -> Vec<usize> {
    let order = |price: &Price| [price.of(aim), price.of(Quantity::Seconds), price.of(Quantity::Bytes)];
    let best = |options: &Vec<Price>| {
        let ordered = options.iter().enumerate().min_by(|a, b| {
            let pairs = order(a.1).into_iter().zip(order(b.1));
            pairs.map(|(a, b)| a.total_cmp(&b)).find(|order| order.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
        });
        ordered.map_or(0, |(index, _)| index)
    };
    prices.iter().map(best).collect()
}

/// The integer program, without candidates that another one beats at everything that is asked about.
struct Program<'a> {
    prices: &'a Prices,
    aim: Quantity,
    limited: Vec<(Quantity, f64)>,
    excluded: &'a [Combination],
    /// Per site, the candidates that take part.
    kept: Vec<Vec<usize>>,
}

impl<'a> Program<'a> {
    fn new(prices: &'a Prices, aim: Quantity, limits: &Price, excluded: &'a [Combination]) -> Program<'a> {
        let limited = Quantity::ALL.into_iter().map(|quantity| (quantity, limits.of(quantity)));
        let limited: Vec<_> = limited.filter(|(_, limit)| limit.is_finite()).collect();
        let asked: Vec<Quantity> = limited.iter().map(|(quantity, _)| *quantity).chain([aim]).collect();
        let kept = prices.iter().enumerate().map(|(site, options)| candidates(site, options, &asked, excluded));
        Program { prices, aim, limited, excluded, kept: kept.collect() }
    }

    /// The candidates of least aim plus multiplied amounts, site by site, and what they add up to with the multipliers.
    fn cheapest(&self, multipliers: &[f64]) -> (Vec<usize>, f64) {
        let mut sum = 0.0;
        let site = |(options, kept): (&Vec<Price>, &Vec<usize>)| {
            let costs = kept.iter().map(|&index| (self.cost(&options[index], multipliers), index));
            let (cost, index) = costs.min_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or((0.0, 0));
            sum += cost;
            index
        };
        (self.prices.iter().zip(&self.kept).map(site).collect(), sum)
    }

    fn cost(&self, price: &Price, multipliers: &[f64]) -> f64 {
        let limited = self.limited.iter().zip(multipliers);
        price.of(self.aim) + limited.map(|((quantity, _), multiplier)| multiplier * price.of(*quantity)).sum::<f64>()
    }

    /// Multipliers with a large lower bound, and the best choice that was met on the way.
    fn relax(&self) -> Relaxed {
        const PASSES: usize = 3;
        const HALVINGS: usize = 60;
        let mut multipliers = vec![0.0; self.limited.len()];
        let mut relaxed = Relaxed { multipliers: multipliers.clone(), bound: f64::NEG_INFINITY, known: None };
        self.note(&multipliers, &mut relaxed);
        for _ in 0..if self.limited.len() > 1 { PASSES } else { 1 } {
            for place in 0..self.limited.len() {
                let (quantity, limit) = self.limited[place];
                let mut over = |multiplier: f64, multipliers: &mut Vec<f64>| {
                    multipliers[place] = multiplier;
                    let (chosen, _) = self.note(multipliers, &mut relaxed);
                    total(self.prices, &chosen).of(quantity) > limit
                };
                // The smallest multiplier that keeps the limit: between none and one at which the limit is all.
                let (mut low, mut high) = (0.0, self.unit(self.aim) / self.least_step(quantity));
                if !over(0.0, &mut multipliers) {
                    continue;
                }
                for _ in 0..HALVINGS {
                    let middle = if low == 0.0 { high * 1e-3 } else { f64::sqrt(low * high) };
                    if middle <= f64::MIN_POSITIVE || middle >= high {
                        break;
                    }
                    if over(middle, &mut multipliers) {
                        low = middle;
                    } else {
                        high = middle;
                    }
                }
                over(high, &mut multipliers);
            }
        }
        if let Some(known) = &mut relaxed.known {
            self.improve(known);
        }
        relaxed
    }

    /// Keeps the bound of these multipliers if it is the largest, and their choice if it is the best within the limits.
    fn note(&self, multipliers: &[f64], relaxed: &mut Relaxed) -> (Vec<usize>, f64) {
        let (chosen, sum) = self.cheapest(multipliers);
        let free: f64 = self.limited.iter().zip(multipliers).map(|((_, limit), multiplier)| multiplier * limit).sum();
        if sum - free > relaxed.bound {
            relaxed.bound = sum - free;
            relaxed.multipliers = multipliers.to_vec();
        }
        let allowed = self.repaired(chosen.clone(), multipliers);
        if let Some(allowed) = allowed.filter(|allowed| self.allows(allowed)) {
            let aim = |chosen: &[usize]| total(self.prices, chosen).of(self.aim);
            if relaxed.known.as_ref().is_none_or(|known| aim(known) > aim(&allowed)) {
                relaxed.known = Some(allowed);
            }
        }
        (chosen, sum)
    }

    fn allows(&self, chosen: &[usize]) -> bool {
        let total = total(self.prices, chosen);
        self.limited.iter().all(|(quantity, limit)| total.of(*quantity) <= *limit) && !self.is_excluded(chosen)
    }

    fn is_excluded(&self, chosen: &[usize]) -> bool {
        self.excluded.iter().any(|combination| combination.is_in(chosen))
    }

    /// The choice with other candidates where it has an excluded combination: one site at a time, the least that is added.
    fn repaired(&self, mut chosen: Vec<usize>, multipliers: &[f64]) -> Option<Vec<usize>> {
        for _ in 0..=self.excluded.len() {
            let Some(found) = self.excluded.iter().find(|combination| combination.is_in(&chosen)) else {
                return Some(chosen);
            };
            let cost = |site: usize, index: usize| self.cost(&self.prices[site][index], multipliers);
            let others = found.members.iter().flat_map(|(site, own)| {
                let free = self.kept[*site].iter().filter(|index| !own.contains(index));
                free.map(|&index| (cost(*site, index) - cost(*site, chosen[*site]), *site, index))
            });
            let (_, site, index) = others.min_by(|a, b| a.0.total_cmp(&b.0))?;
            chosen[site] = index;
        }
        None
    }

    /// Exchanges single candidates as long as that helps.
    fn improve(&self, chosen: &mut [usize]) {
        let mut sum = total(self.prices, chosen);
        let mut changed = true;
        while changed {
            changed = false;
            for (site, kept) in self.kept.iter().enumerate() {
                for &index in kept {
                    let (old, new) = (&self.prices[site][chosen[site]], &self.prices[site][index]);
                    let after = sum.minus(old).plus(new);
                    let allowed = self.limited.iter().all(|(quantity, limit)| after.of(*quantity) <= *limit);
                    if new.of(self.aim) < old.of(self.aim) && allowed {
                        let before = std::mem::replace(&mut chosen[site], index);
                        if self.is_excluded(chosen) {
                            chosen[site] = before;
                            continue;
                        }
                        // Anew, so that differences do not add up.
                        sum = total(self.prices, chosen);
                        changed = true;
                    }
                }
            }
        }
    }

    /// Leaves out what cannot be part of a choice that is better than `known`.
    fn keep_what_may_improve(&mut self, relaxed: &Relaxed, known: &[usize]) {
        let goal = total(self.prices, known).of(self.aim);
        // Sums of doubles are not exact: what is as good as excluded stays.
        let slack = 1e-9 * goal.abs();
        let multipliers = &relaxed.multipliers;
        let (best, _) = self.cheapest(multipliers);
        let costs: Vec<f64> =
            best.iter().zip(self.prices).map(|(&index, options)| self.cost(&options[index], multipliers)).collect();
        let (prices, aim, limited) = (self.prices, self.aim, &self.limited);
        let cost = |price: &Price| {
            let pairs = limited.iter().zip(multipliers);
            price.of(aim) + pairs.map(|((quantity, _), factor)| factor * price.of(*quantity)).sum::<f64>()
        };
        for (site, kept) in self.kept.iter_mut().enumerate() {
            kept.retain(|&index| {
                let reduced = cost(&prices[site][index]) - costs[site];
                index == known[site] || relaxed.bound + reduced <= goal + slack
            });
        }
    }

    /// The largest amount of a quantity, so that the solver sees numbers of one size.
    fn unit(&self, quantity: Quantity) -> f64 {
        let amounts = self.prices.iter().flatten().map(|price| price.of(quantity).abs());
        amounts.filter(|amount| amount.is_finite()).fold(f64::MIN_POSITIVE, f64::max)
    }

    /// The least difference of two candidates of a site in a quantity.
    fn least_step(&self, quantity: Quantity) -> f64 {
        let mut least = f64::INFINITY;
        for (options, kept) in self.prices.iter().zip(&self.kept) {
            let mut amounts: Vec<f64> = kept.iter().map(|&index| options[index].of(quantity)).collect();
            amounts.sort_by(f64::total_cmp);
            let steps = amounts.windows(2).map(|pair| pair[1] - pair[0]).filter(|step| *step > 0.0);
            least = steps.fold(least, f64::min);
        }
        if least.is_finite() { least } else { 1.0 }
    }

    fn solve(&self) -> Option<Vec<usize>> {
        let mut variables = ProblemVariables::new();
        let picks: Vec<Vec<Variable>> =
            self.kept.iter().map(|kept| kept.iter().map(|_| variables.add(variable().binary())).collect()).collect();
        let sum = |quantity: Quantity, unit: f64| {
            let mut sum = Expression::from(0.0);
            for ((options, kept), picks) in self.prices.iter().zip(&self.kept).zip(&picks) {
                for (&index, &pick) in kept.iter().zip(picks) {
                    sum.add_mul(options[index].of(quantity) / unit, pick);
                }
            }
            sum
        };
        let objective = sum(self.aim, self.unit(self.aim));
        let mut problem = variables.minimise(objective).using(good_lp::solvers::microlp::microlp);
        for &(quantity, limit) in &self.limited {
            // A limit of zero or below is meant as it stands.
            let unit = if limit > 0.0 { limit } else { self.unit(quantity) };
            problem.add_constraint(constraint!(sum(quantity, unit) <= limit / unit));
        }
        for picks in &picks {
            problem.add_constraint(constraint!(picks.iter().sum::<Expression>() == 1.0));
        }
        for combination in self.excluded {
            let mut together = Expression::from(0.0);
            for (site, own) in &combination.members {
                let taken = self.kept[*site].iter().zip(&picks[*site]).filter(|(index, _)| own.contains(index));
                taken.for_each(|(_, &pick)| together.add_mul(1.0, pick));
            }
            problem.add_constraint(constraint!(together <= combination.members.len() as f64 - 1.0));
        }
        let solution = problem.solve().ok()?;
        let site = |(kept, picks): (&Vec<usize>, &Vec<Variable>)| {
            let shares = picks.iter().map(|&pick| solution.value(pick));
            let largest = shares.enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
            kept[largest.map_or(0, |(index, _)| index)]
        };
        let chosen: Vec<usize> = self.kept.iter().zip(&picks).map(site).collect();
        Some(chosen).filter(|chosen| !self.is_excluded(chosen))
    }
}

/// What the relaxed program shows.
struct Relaxed {
    /// One per limited quantity.
    multipliers: Vec<f64>,
    /// No choice within the limits has less of the aim.
    bound: f64,
    /// A choice within the limits.
    known: Option<Vec<usize>>,
}

/// The candidates of a site that no other beats at the quantities `asked`, or only one that may not stand where it does.
pub(super) fn candidates(site: usize, options: &[Price], asked: &[Quantity], excluded: &[Combination]) -> Vec<usize> {
    let may_replace = |one: usize, other: usize| excluded.iter().all(|own| own.lets_replace(site, other, one));
    undominated_where(options, asked, &may_replace)
}

/// The candidates that no other one beats at the quantities `asked`; of equal ones the first.
pub(super) fn undominated(options: &[Price], asked: &[Quantity]) -> Vec<usize> {
    undominated_where(options, asked, &|_, _| true)
}

fn undominated_where(options: &[Price], asked: &[Quantity], may_replace: &dyn Fn(usize, usize) -> bool) -> Vec<usize> {
    let beats = |a: &Price, b: &Price| asked.iter().all(|&quantity| a.of(quantity) <= b.of(quantity));
    let stays = |&index: &usize| {
        let own = &options[index];
        options.iter().enumerate().all(|(other, price)| {
            // Of two that are equal and stand for each other the first stays.
            let same = beats(price, own) && beats(own, price) && may_replace(index, other);
            other == index || !beats(price, own) || !may_replace(other, index) || (same && index < other)
        })
    };
    (0..options.len()).filter(stays).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(seconds: f64, error: f64) -> Price {
        Price::default().with(Quantity::Seconds, seconds).with(Quantity::Error, error)
    }

    fn random(state: &mut u64) -> f64 {
        *state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (*state >> 40) as f64 / (1u64 << 24) as f64
    }

    fn made(sites: usize, options: usize, state: &mut u64) -> Vec<Vec<Price>> {
        let mut option = || {
            let error = random(state);
            price(0.2 * random(state) + 0.1 / (0.05 + error), error * error)
        };
        (0..sites).map(|_| (0..options).map(|_| option()).collect()).collect()
    }

    fn every(prices: &Prices) -> Vec<Vec<usize>> {
        prices.iter().fold(vec![vec![]], |all, options| {
            let longer = |chosen: &Vec<usize>| {
                (0..options.len()).map(|index| [chosen.as_slice(), &[index]].concat()).collect::<Vec<_>>()
            };
            all.iter().flat_map(longer).collect()
        })
    }

    #[test]
    fn a_choice_is_the_best_of_all() {
        let mut state = 3;
        for _ in 0..20 {
            let prices = made(4, 5, &mut state);
            let all = every(&prices);
            for (aim, limited) in [(Quantity::Seconds, Quantity::Error), (Quantity::Error, Quantity::Seconds)] {
                let values: Vec<f64> = all.iter().map(|chosen| total(&prices, chosen).of(limited)).collect();
                let (low, high) = values.iter().fold((f64::MAX, 0.0f64), |(l, h), &v| (l.min(v), h.max(v)));
                let limit = low + (high - low) * random(&mut state);
                let limits = Price::UNLIMITED.with(limited, limit);
                let chosen = solve(&prices, aim, &limits).unwrap();
                let found = total(&prices, &chosen);
                assert!(found.within(&limits, 1e-6), "{found:?} {limits:?}");
                let inside = all.iter().map(|chosen| total(&prices, chosen)).filter(|p| p.within(&limits, 0.0));
                let best = inside.map(|price| price.of(aim)).fold(f64::INFINITY, f64::min);
                assert!(found.of(aim) <= best * (1.0 + 1e-6), "{} {best}", found.of(aim));
                let bound = lower_bound(&prices, aim, &limits);
                assert!(bound <= best * (1.0 + 1e-6) && bound > 0.5 * best, "{bound} {best}");
            }
        }
    }

    #[test]
    fn limits_that_nothing_meets_have_no_choice() {
        let prices = vec![vec![price(1.0, 0.1), price(0.5, 0.2)]; 3];
        assert_eq!(solve(&prices, Quantity::Seconds, &Price::UNLIMITED.with(Quantity::Error, 0.29)), None);
        assert_eq!(solve(&prices, Quantity::Seconds, &Price::UNLIMITED), Some(vec![1; 3]));
        assert_eq!(least(&prices, Quantity::Error), vec![0; 3]);
    }

    #[test]
    fn what_is_beaten_takes_no_part_and_of_equals_one_does() {
        let options = [price(1.0, 1.0), price(1.0, 1.0), price(2.0, 0.5), price(2.0, 2.0)];
        assert_eq!(undominated(&options, &[Quantity::Seconds, Quantity::Error]), vec![0, 2]);
        assert_eq!(undominated(&options, &[Quantity::Seconds]), vec![0]);
    }

    #[test]
    fn what_is_excluded_is_not_chosen_and_the_best_of_the_rest_is() {
        let mut state = 5;
        let mut without = 0;
        for round in 0..40 {
            let prices = made(4, 4, &mut state);
            let mut draw = |most: usize| ((random(&mut state) * most as f64) as usize).min(most - 1);
            let mut excluded: Vec<Combination> = Vec::new();
            let limits = Price::UNLIMITED.with(Quantity::Error, 0.4 + 0.1 * draw(20) as f64);
            // What would be chosen, again and again, and a whole site in the end.
            for step in 0..6 {
                let Some(chosen) = solve_without(&prices, Quantity::Seconds, &limits, &excluded) else { break };
                let (first, second) = (draw(4), draw(4));
                let sites = if first == second { vec![first] } else { vec![first, second] };
                let mut members: Vec<(usize, Vec<usize>)> =
                    sites.into_iter().map(|site| (site, vec![chosen[site]])).collect();
                if round % 10 == 9 && step == 5 {
                    members = vec![(first, vec![0, 1, 2, 3])];
                }
                excluded.push(Combination { members });
            }
            let allowed = |chosen: &Vec<usize>| !excluded.iter().any(|own| own.is_in(chosen));
            let inside = every(&prices).into_iter().filter(|chosen| allowed(chosen));
            let inside = inside.map(|chosen| total(&prices, &chosen)).filter(|price| price.within(&limits, 0.0));
            let best = inside.map(|price| price.of(Quantity::Seconds)).min_by(f64::total_cmp);
            let found = solve_without(&prices, Quantity::Seconds, &limits, &excluded);
            assert!(found.as_ref().is_none_or(allowed), "{excluded:?}");
            let found = found.map(|chosen| total(&prices, &chosen));
            assert!(found.is_none_or(|found| found.within(&limits, 1e-6)));
            let found = found.map(|price| price.of(Quantity::Seconds));
            match (found, best) {
                (Some(found), Some(best)) => assert!((found / best - 1.0).abs() < 1e-6, "{found} {best}"),
                (found, best) => assert_eq!(found, best),
            }
            without += usize::from(best.is_none());
        }
        assert!((1..20).contains(&without), "{without} of 40 have no choice");
    }

    /// A candidate that is beaten by one that may not stand there is the best in the end.
    #[test]
    fn what_is_beaten_stands_in_for_what_is_excluded() {
        let prices = vec![vec![price(1.0, 0.1), price(2.0, 0.2)], vec![price(1.0, 0.1), price(3.0, 0.1)]];
        let of = |members: Vec<(usize, Vec<usize>)>| Combination { members };
        let excluded = [of(vec![(0, vec![0]), (1, vec![0])])];
        let solve = |excluded: &[Combination]| solve_without(&prices, Quantity::Seconds, &Price::UNLIMITED, excluded);
        assert_eq!(solve(&[]), Some(vec![0, 0]));
        assert_eq!(solve(&excluded), Some(vec![1, 0]));
        assert_eq!(solve(&[excluded[0].clone(), of(vec![(0, vec![1])])]), Some(vec![0, 1]));
        assert_eq!(solve(&[of(vec![(0, vec![0, 1])])]), None);
        assert_eq!(solve(&[of(vec![])]), None);
    }

    #[test]
    fn a_model_of_five_hundred_sites_is_solved() {
        let prices = made(500, 60, &mut 11);
        let [fast, exact] = [Quantity::Seconds, Quantity::Error].map(|aim| total(&prices, &least(&prices, aim)));
        let limit = (fast.of(Quantity::Error) * exact.of(Quantity::Error)).sqrt();
        let limits = Price::UNLIMITED.with(Quantity::Error, limit);
        let found = total(&prices, &solve(&prices, Quantity::Seconds, &limits).unwrap());
        let bound = lower_bound(&prices, Quantity::Seconds, &limits);
        assert!(found.within(&limits, 1e-6));
        let gap = found.of(Quantity::Seconds) / bound - 1.0;
        assert!((-1e-9..1e-3).contains(&gap), "{gap}");
    }
}
