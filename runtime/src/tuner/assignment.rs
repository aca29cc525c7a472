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

    /// Whether no quantity is larger than in `other`, but for `slack` of it.
    pub fn within(&self, other: &Price, slack: f64) -> bool {
        self.0.iter().zip(other.0).all(|(amount, limit)| *amount <= limit || amount - limit <= slack * limit.abs())
    }
}

/// Prices of every candidate of every site.
pub type Prices = [Vec<Price>];

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
    let mut program = Program::new(prices, aim, limits);
    let relaxed = program.relax();
    if let Some(known) = &relaxed.known {
        program.keep_what_may_improve(&relaxed, known);
    }
    program.solve().or(relaxed.known)
}

/// A lower bound of `aim` over all choices within `limits`: by Lagrange multipliers of the limits. With one limit it is
/// the optimum when candidates may be mixed.
pub fn lower_bound(prices: &Prices, aim: Quantity, limits: &Price) -> f64 {
    Program::new(prices, aim, limits).relax().bound
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
    /// Per site, the candidates that take part.
    kept: Vec<Vec<usize>>,
}

impl<'a> Program<'a> {
    fn new(prices: &'a Prices, aim: Quantity, limits: &Price) -> Program<'a> {
        let limited = Quantity::ALL.into_iter().map(|quantity| (quantity, limits.of(quantity)));
        let limited: Vec<_> = limited.filter(|(_, limit)| limit.is_finite()).collect();
        let asked: Vec<Quantity> = limited.iter().map(|(quantity, _)| *quantity).chain([aim]).collect();
        let kept = prices.iter().map(|options| undominated(options, &asked)).collect();
        Program { prices, aim, limited, kept }
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
        let better =
            |known: &Vec<usize>| total(self.prices, known).of(self.aim) > total(self.prices, &chosen).of(self.aim);
        if self.allows(&chosen) && relaxed.known.as_ref().is_none_or(better) {
            relaxed.known = Some(chosen.clone());
        }
        (chosen, sum)
    }

    fn allows(&self, chosen: &[usize]) -> bool {
        let total = total(self.prices, chosen);
        self.limited.iter().all(|(quantity, limit)| total.of(*quantity) <= *limit)
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
                        chosen[site] = index;
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
        let solution = problem.solve().ok()?;
        let site = |(kept, picks): (&Vec<usize>, &Vec<Variable>)| {
            let shares = picks.iter().map(|&pick| solution.value(pick));
            let largest = shares.enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
            kept[largest.map_or(0, |(index, _)| index)]
        };
        Some(self.kept.iter().zip(&picks).map(site).collect())
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

/// The candidates that no other one beats at the quantities `asked`; of equal ones the first.
pub(super) fn undominated(options: &[Price], asked: &[Quantity]) -> Vec<usize> {
    let beats = |a: &Price, b: &Price| asked.iter().all(|&quantity| a.of(quantity) <= b.of(quantity));
    let stays = |&index: &usize| {
        let own = &options[index];
        options.iter().enumerate().all(|(other, price)| {
            let same = beats(price, own) && beats(own, price);
            other == index || !beats(price, own) || (same && index < other)
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
