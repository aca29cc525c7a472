//! Polynomials whose coefficients are integers at given steps, and what is proved of them from both sides.
//!
//! Several variables t = (x − c) / s are tried: the same step serves a wide domain far better in a variable on
//! [−1, 1]. The error is certified for exactly the integers found; below it stand the certified minimax error of real
//! coefficients, the bound of the points 0, 1, −1, and that of the whole lattice ([`super::lattice_proof`]). A result is
//! never certified worse than that of a lower degree: where real coefficients of a lower degree could compete, that
//! degree is searched as well.

use super::lattice_proof::{Place, PointBound, lattice_bound, point_bound};
use super::{BestError, Shape, best};
use crate::expression::Expression;
use crate::minimax::{
    self, Basis, Domain, Fit, MinimaxError, Norm, Options, Problem, QuantiseOptions, Quantised, Scaling,
};
use crate::supremum::{Fraction, supremum};
use rug::{Float, Integer, Rational};

/// Steps are powers of two from 2^-STEP_MAX to 2^STEP_MAX.
pub const STEP_MAX: i32 = 256;
/// A variable whose first guess is worse than the best error by this factor is not searched.
const HOPELESS: f64 = 1.5;
/// Among variables whose errors differ by no more than this, the one with the smallest integers is taken.
const ALIKE: f64 = 1.01;
/// Programs of the first guess.
const FIRST_NODES: usize = 0;
/// A first guess that errs at most by this multiple of the minimax error leaves nothing to coarser variables.
const SETTLED: f64 = 1.02;
/// Scales beyond the least power of two that holds the domain, as powers of two: t then stays below 1/2, and the same
/// step serves the coefficients of its powers so much the better.
const BEYOND: [u32; 3] = [1, 2, 4];

/// The multiples of what the coefficients are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Steps {
    /// 2^n for every coefficient.
    Fixed(i32),
    /// 2^n for the coefficients of t⁰, t¹, …; the last counts for all that follow.
    Each(Vec<i32>),
    /// For every coefficient the power of two at which its integer has this many bits, sign included.
    Width(u32),
}

/// What is wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Wish {
    /// The polynomial's degree.
    pub degree: u32,
    /// The steps.
    pub steps: Steps,
    /// The variable; `None` to try several.
    pub variable: Option<Scaling>,
    /// Linear programs that the search in one variable may solve.
    pub nodes: usize,
    /// How much larger the error may become, relatively, for steps of single coefficients to be doubled; `None` leaves
    /// the steps as they are.
    pub narrow: Option<f64>,
}

/// A polynomial Σ iⱼ·2^sⱼ·t^j, with iⱼ from `integers` and sⱼ from `steps`.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantisedBest {
    /// The variable t.
    pub variable: Scaling,
    /// Integers of t⁰, t¹, ….
    pub integers: Vec<Integer>,
    /// Their steps as powers of two.
    pub steps: Vec<i32>,
    /// Proved: the error of exactly these coefficients is nowhere larger.
    pub upper: Float,
    /// The error of the same polynomial rounded to nearest; sampled.
    pub rounded_error: Float,
    /// Proved: no polynomial of the degree, with any coefficients, is better.
    pub minimax: Float,
    /// Proved: no multiples of these steps in this variable are better, because of single points.
    pub points: Option<PointBound>,
    /// Proved: no multiples of these steps in this variable are better.
    pub lattice: Option<Float>,
    /// Whether the search ended before its limit.
    pub exhausted: bool,
    /// Linear programs solved in this variable.
    pub nodes: usize,
    /// The variables tried and the error in each, sampled.
    pub tried: Vec<(Scaling, Float)>,
}

impl QuantisedBest {
    /// The largest proved lower bound and its name.
    pub fn binding(&self) -> (&'static str, &Float) {
        let mut binding = ("minimax", &self.minimax);
        if let Some(points) = self.points.as_ref().filter(|points| points.error > *binding.1) {
            binding = ("points", &points.error);
        }
        match self.lattice.as_ref().filter(|lattice| *lattice > binding.1) {
            Some(lattice) => ("lattice", lattice),
            None => binding,
        }
    }

    /// The error over the binding bound, at least 1; 1 if both are zero.
    pub fn ratio(&self) -> f64 {
        let (_, bound) = self.binding();
        if self.upper <= *bound { 1.0 } else { Float::with_val(64, &self.upper / bound).to_f64() }
    }
}

/// What happens, for whoever waits.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// The degree that is being searched.
    pub degree: u32,
    /// The variable.
    pub variable: Scaling,
    /// The error found in it.
    pub error: Float,
}

/// Searches for the best integers, and proves what came out.
///
/// # Errors
/// As [`best`], and a list of steps that is empty or out of range.
pub fn quantised(
    function: &Expression,
    low: &Rational,
    high: &Rational,
    wish: &Wish,
    report: &mut dyn FnMut(&Progress),
) -> Result<QuantisedBest, BestError> {
    check(&wish.steps)?;
    let real = best(function, low, high, Shape::Polynomial(wish.degree))?;
    let mut found = Hunt { function, low, high, wish, degree: wish.degree }.never_worse(report)?;
    found.minimax = real.proof.best_possible;
    Ok(found)
}

fn check(steps: &Steps) -> Result<(), BestError> {
    let within = |step: &i32| step.abs() <= STEP_MAX;
    let fine = match steps {
        Steps::Fixed(step) => within(step),
        Steps::Each(steps) => !steps.is_empty() && steps.iter().all(within),
        Steps::Width(bits) => (2..=STEP_MAX as u32).contains(bits),
    };
    if fine { Ok(()) } else { Err(BestError::Steps) }
}

#[derive(Clone, Copy)]
struct Hunt<'a> {
    function: &'a Expression,
    low: &'a Rational,
    high: &'a Rational,
    wish: &'a Wish,
    degree: u32,
}

struct Attempt {
    variable: Scaling,
    fit: Fit,
    steps: Vec<i32>,
    found: Quantised,
}

impl Attempt {
    /// Bits of the largest integer.
    fn bits(&self) -> u32 {
        self.found.integers.iter().map(Integer::significant_bits).max().unwrap_or(0)
    }
}

impl Hunt<'_> {
    fn domain(&self) -> Result<Domain, MinimaxError> {
        Domain::interval(self.low.clone(), self.high.clone())
    }

    /// The best over all variables, or the lower degree's where that is better.
    fn never_worse(&self, report: &mut dyn FnMut(&Progress)) -> Result<QuantisedBest, BestError> {
        let mut found = self.run(report)?;
        let Some(lower) = self.lower(&found.upper, report)?.filter(|lower| lower.upper < found.upper) else {
            return Ok(found);
        };
        let mut known = lower.integers.clone();
        known.push(Integer::new());
        let again = self.proved(self.search(&lower.variable, vec![known.clone()], self.wish.nodes)?)?;
        let tried = std::mem::take(&mut found.tried);
        if again.upper <= lower.upper {
            return Ok(QuantisedBest { tried, ..again });
        }
        if again.steps.starts_with(&lower.steps) {
            return Ok(QuantisedBest { integers: known, upper: lower.upper, tried, ..again });
        }
        // Steps that depend on the degree need not contain the lower degree's: the bounds here are of other lattices.
        Ok(QuantisedBest { points: None, lattice: None, tried, ..lower })
    }

    /// The best over all variables, proved.
    fn run(&self, report: &mut dyn FnMut(&Progress)) -> Result<QuantisedBest, BestError> {
        let variables = match &self.wish.variable {
            Some(variable) => vec![variable.clone()],
            None => self.variables()?,
        };
        let mut guesses = Vec::new();
        for variable in variables {
            guesses.push(self.search(&variable, Vec::new(), FIRST_NODES)?);
        }
        if self.wish.variable.is_none() {
            for variable in self.coarser()? {
                if guesses.iter().any(|guess| guess.found.error <= guess.fit.minimax_error.clone() * SETTLED) {
                    break;
                }
                guesses.push(self.search(&variable, Vec::new(), FIRST_NODES)?);
            }
        }
        guesses.sort_by(|a, b| a.found.error.total_cmp(&b.found.error));
        let mut attempts: Vec<Attempt> = Vec::new();
        for guess in guesses {
            let hopeless = attempts.iter().any(|best| guess.found.error > best.found.error.clone() * HOPELESS);
            let done = guess.found.exhausted && self.wish.narrow.is_none();
            let attempt = if hopeless || done || self.wish.nodes == FIRST_NODES {
                guess
            } else {
                self.search(&guess.variable, vec![guess.found.integers], self.wish.nodes)?
            };
            let (variable, error) = (attempt.variable.clone(), attempt.found.error.clone());
            report(&Progress { degree: self.degree, variable, error });
            attempts.push(attempt);
        }
        let tried = attempts.iter().map(|it| (it.variable.clone(), it.found.error.clone())).collect();
        let least = attempts.iter().map(|it| it.found.error.clone()).reduce(|a, b| a.min(&b));
        let alike = least.ok_or(MinimaxError::EmptyDomain)? * ALIKE;
        let best = attempts.into_iter().filter(|it| it.found.error <= alike).min_by_key(Attempt::bits);
        let best = best.ok_or(MinimaxError::EmptyDomain)?;
        let mut found = self.proved(best)?;
        found.tried = tried;
        Ok(found)
    }

    /// The variable itself, the one on [−1, 1], and those beside them whose scale is a power of two.
    fn variables(&self) -> Result<Vec<Scaling>, MinimaxError> {
        let unit = Scaling::onto_unit(&self.domain()?)?;
        let power = power_of_two(unit.scale());
        let widest = self.widest();
        // The centre with few bits, the domain still inside [−2, 2].
        let (_, rounded) = (Rational::from(unit.centre() * 16u32) / &power).fract_round(Integer::new());
        let near = Rational::from(rounded) * &power / 16u32;
        let mut variables = vec![unit, Scaling::identity()];
        for (centre, scale) in [
            (near, power.clone()),
            (Rational::new(), widest),
            (self.low.clone(), power.clone() * 2u32),
            (self.high.clone(), power * 2u32),
        ] {
            variables.push(Scaling::new(centre, scale)?);
        }
        let mut distinct: Vec<Scaling> = Vec::new();
        for variable in variables {
            if !distinct.contains(&variable) {
                distinct.push(variable);
            }
        }
        Ok(distinct)
    }

    /// The least power of two that no argument exceeds.
    fn widest(&self) -> Rational {
        power_of_two(&self.low.clone().abs().max(self.high.clone().abs()))
    }

    /// Variables x / s with ever larger s. Between a step that is fine enough and one that is too coarse lies one at which
    /// many integers compete, so that neither a search finds the best nor a proof gets near them; a larger s leaves that
    /// place. Where the domain holds 0 the value there is a multiple of the step in all of them, and they gain nothing.
    fn coarser(&self) -> Result<Vec<Scaling>, MinimaxError> {
        if *self.low <= 0 && *self.high >= 0 {
            return Ok(Vec::new());
        }
        BEYOND.iter().map(|more| Scaling::new(Rational::new(), self.widest() << *more)).collect()
    }

    /// The search in one variable.
    fn search(&self, variable: &Scaling, known: Vec<Vec<Integer>>, nodes: usize) -> Result<Attempt, BestError> {
        let basis = Basis::full(self.degree).with_scaling(variable.clone());
        let problem = Problem { target: self.function, norm: Norm::Absolute, domain: self.domain()?, basis };
        let fit = minimax::fit(&problem, &Options::default())?;
        let steps = self.steps(&fit);
        let found = quantise(&problem, &fit, &steps, known, nodes)?;
        let attempt = Attempt { variable: variable.clone(), fit, steps, found };
        match self.wish.narrow {
            Some(slack) if nodes > FIRST_NODES => narrowed(&problem, attempt, slack, nodes),
            _ => Ok(attempt),
        }
    }

    fn steps(&self, fit: &Fit) -> Vec<i32> {
        let count = self.degree as usize + 1;
        match &self.wish.steps {
            Steps::Fixed(step) => vec![*step; count],
            Steps::Each(steps) => {
                let last = steps.last().copied().unwrap_or(0);
                steps.iter().copied().chain(std::iter::repeat(last)).take(count).collect()
            }
            Steps::Width(bits) => {
                // |c| < 2^e, and rounding up may reach it.
                let width = *bits as i32 - 1;
                fit.coefficients.iter().map(|c| c.get_exp().unwrap_or(0).clamp(-STEP_MAX, STEP_MAX) - width).collect()
            }
        }
    }

    /// The lower degree's result, if it can compete with `error`.
    fn lower(&self, error: &Float, report: &mut dyn FnMut(&Progress)) -> Result<Option<QuantisedBest>, BestError> {
        let Some(degree) = self.degree.checked_sub(1) else { return Ok(None) };
        let basis = Basis::full(degree).with_scaling(Scaling::onto_unit(&self.domain()?)?);
        let problem = Problem { target: self.function, norm: Norm::Absolute, domain: self.domain()?, basis };
        if minimax::fit(&problem, &Options::default())?.lower_bound >= *error {
            return Ok(None);
        }
        Hunt { degree, ..*self }.never_worse(report).map(Some)
    }

    /// Certifies an attempt from both sides, but for the minimax error.
    fn proved(&self, attempt: Attempt) -> Result<QuantisedBest, BestError> {
        let Attempt { variable, fit, steps, found } = attempt;
        let values = found.integers.iter().zip(&steps).map(|(k, &step)| Rational::from(k) << step);
        let in_x = composed(&values.collect::<Vec<_>>(), &variable);
        let points: Vec<Rational> = fit.extrema.iter().filter_map(|extremum| extremum.x.to_rational()).collect();
        let degrees = (self.degree as usize, 0);
        let proof = supremum(self.function, &Fraction::polynomial(in_x), degrees, (self.low, self.high), &points)?;
        let place = Place { function: self.function, scaling: &variable, low: self.low, high: self.high };
        let lattice = lattice_bound(&place, self.degree, &found.search, &proof.upper);
        let points = point_bound(&place, &steps);
        Ok(QuantisedBest {
            points,
            lattice,
            integers: found.integers,
            steps,
            upper: proof.upper,
            rounded_error: found.rounded_error,
            minimax: Float::new(64),
            exhausted: found.exhausted,
            nodes: found.nodes,
            tried: Vec::new(),
            variable,
        })
    }
}

fn quantise(
    problem: &Problem,
    fit: &Fit,
    steps: &[i32],
    known: Vec<Vec<Integer>>,
    nodes: usize,
) -> Result<Quantised, MinimaxError> {
    let search = QuantiseOptions { nodes, known, ..QuantiseOptions::default() };
    minimax::quantise(problem, fit, steps, &Options::default(), &search)
}

/// Doubles the steps of single coefficients, the highest power first, while the error stays within `slack` of what it
/// was; then searches once more with these steps.
fn narrowed(problem: &Problem, mut attempt: Attempt, slack: f64, nodes: usize) -> Result<Attempt, BestError> {
    let limit = attempt.found.error.clone() * (1.0 + slack);
    for power in (0..attempt.steps.len()).rev() {
        while attempt.steps[power] < STEP_MAX {
            let mut steps = attempt.steps.clone();
            steps[power] += 1;
            let mut known = attempt.found.integers.clone();
            let (half, odd) = known[power].clone().div_rem_floor(Integer::from(2));
            known[power] = half + odd;
            let found = quantise(problem, &attempt.fit, &steps, vec![known], FIRST_NODES)?;
            if found.error > limit {
                break;
            }
            let vanished = found.integers[power] == 0;
            attempt = Attempt { steps, found, ..attempt };
            if vanished {
                break;
            }
        }
    }
    let known = vec![attempt.found.integers.clone()];
    let found = quantise(problem, &attempt.fit, &attempt.steps, known, nodes)?;
    Ok(Attempt { found, ..attempt })
}

/// The least power of two that is at least `value`, which is positive.
fn power_of_two(value: &Rational) -> Rational {
    let mut power = Rational::from(1);
    while power < *value {
        power <<= 1;
    }
    while Rational::from(&power / 2u32) >= *value {
        power >>= 1;
    }
    power
}

/// Coefficients of x⁰, x¹, … of a polynomial in t, exactly.
fn composed(coefficients: &[Rational], variable: &Scaling) -> Vec<Rational> {
    let mut sum: Vec<Rational> = Vec::new();
    for coefficient in coefficients.iter().rev() {
        // sum·(x − c)/s + coefficient
        let mut next = vec![Rational::new(); sum.len() + 1];
        for (power, value) in sum.iter().enumerate() {
            let value = Rational::from(value / variable.scale());
            next[power] -= Rational::from(&value * variable.centre());
            next[power + 1] += value;
        }
        next[0] += coefficient;
        sum = next;
    }
    sum
}

#[cfg(test)]
mod tests;
