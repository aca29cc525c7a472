//! Proved bounds of the largest |f − P/Q| over an interval, and of the best error that any such fraction can have.
//!
//! *Above*: the interval is cut into cells until the Taylor remainder of f − P/Q over each is negligible; each cell's
//! Taylor polynomial, whose coefficients no longer suffer from the cancellation of f and P/Q, is then bounded by
//! bisection. Every number is an MPFR interval rounded outwards, and a cell is only accepted if Q has no zero in it,
//! so the bound is a proof for the exact coefficients given. It uses nothing that a fit claims.
//!
//! *Below*: if the error changes sign from each of m + n + 2 − d ascending points to the next, where d is the defect
//! min(m − deg P, n − deg Q), no fraction of degrees m, n without poles has a smaller error than the least of theirs
//! (de la Vallée Poussin; for n = 0 the polynomials). Errors and signs at the points are enclosures, too.

use crate::expression::Expression;
use evidence::Interval;
use evidence::series::{negated, product, reciprocal, sum};
use rug::float::Round;
use rug::{Float, Rational};

/// Taylor models after which the search gives up; tens are usual.
const MODELS: usize = 4_000;
/// Parts of them after which it gives up; thousands are usual.
const CELLS: usize = 400_000;
/// The bound exceeds the largest error that was proved to occur by at most this, relatively.
const EXCESS: f64 = 1e-10;
/// Share of the error that a remainder may have, as a power of two.
const REMAINDER: u32 = 44;

/// P/Q with exact coefficients of 1, x, x², …; a polynomial if Q is 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fraction {
    /// Of P.
    pub numerator: Vec<Rational>,
    /// Of Q.
    pub denominator: Vec<Rational>,
}

/// What is proved about the error of a fraction.
#[derive(Clone, Debug, PartialEq)]
pub struct Supremum {
    /// |f − P/Q| is nowhere larger.
    pub upper: Float,
    /// |f − P/Q| is somewhere as large.
    pub attained: Float,
    /// No fraction of these degrees is better everywhere; zero if the points do not alternate often enough.
    pub best_possible: Float,
    /// Cells of the proof.
    pub cells: usize,
}

/// Why there is no proof.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SupremumError {
    /// The denominator may vanish.
    #[error("the denominator has a zero at x = {x}, or too close to it to tell: choose another degree or domain")]
    Denominator {
        /// Where, in decimal.
        x: String,
    },
    /// The function may have a pole or be undefined.
    #[error("the function cannot be bounded near x = {x}: it has a pole there or is not defined; shrink the domain")]
    Undefined {
        /// Where, in decimal.
        x: String,
    },
    /// The search did not end.
    #[error("the error near x = {x} could not be bounded tightly in {cells} cells: lower the degree or cut the domain")]
    Cells {
        /// Where, in decimal.
        x: String,
        /// Cells tried.
        cells: usize,
    },
    /// There is no interval.
    #[error("the domain {low}..{high} is not an interval of positive length")]
    Domain {
        /// Lower end.
        low: String,
        /// Upper end.
        high: String,
    },
}

impl Fraction {
    /// The polynomial with these coefficients of 1, x, x², ….
    pub fn polynomial(coefficients: Vec<Rational>) -> Fraction {
        Fraction { numerator: coefficients, denominator: vec![Rational::from(1)] }
    }

    /// Taylor coefficients over `argument`; `None` if the denominator may vanish in it.
    fn taylor(&self, argument: &Interval, order: usize) -> Option<Vec<Interval>> {
        let above = polynomial_taylor(&self.numerator, argument, order);
        let below = polynomial_taylor(&self.denominator, argument, order);
        Some(if self.denominator.len() == 1 {
            let inverse = below[0].reciprocal()?;
            above.iter().map(|c| c.multiply(&inverse)).collect()
        } else {
            product(&above, &reciprocal(&below)?)
        })
    }
}

/// By repeated synthetic division.
fn polynomial_taylor(coefficients: &[Rational], argument: &Interval, order: usize) -> Vec<Interval> {
    let precision = argument.precision();
    let mut row: Vec<Interval> = coefficients.iter().map(|c| Interval::rational(c, precision)).collect();
    for first in 0..row.len().min(order + 1) {
        for k in (first..row.len().saturating_sub(1)).rev() {
            row[k] = row[k].add(&argument.multiply(&row[k + 1]));
        }
    }
    row.resize(order + 1, Interval::integer(0, precision));
    row
}

/// Bounds the error of `fraction` on [`low`, `high`], and from below that of every fraction of numerator degree
/// `degrees.0` and denominator degree `degrees.1`. `points` are where the error is expected to peak, in any order:
/// they decide how sharp the lower bounds are, not whether they hold.
pub fn supremum(
    function: &Expression,
    fraction: &Fraction,
    degrees: (usize, usize),
    (low, high): (&Rational, &Rational),
    points: &[Rational],
) -> Result<Supremum, SupremumError> {
    if low >= high {
        return Err(SupremumError::Domain { low: low.to_string(), high: high.to_string() });
    }
    let mut inside: Vec<&Rational> = points.iter().filter(|point| *low <= **point && **point <= *high).collect();
    inside.sort();
    inside.dedup();
    let mut precision = 192;
    let (mut search, errors) = loop {
        let outwards = |end: &Rational, round| Float::with_val_round(precision, end, round).0;
        let domain = Cell { low: outwards(low, Round::Down), high: outwards(high, Round::Up) };
        let mut search = Search { function, fraction, domain, precision, attained: Float::new(precision), cells: 0 };
        let errors: Vec<Interval> =
            inside.iter().map(|point| search.at(point)).collect::<Result<_, SupremumError>>()?;
        // Bits that cancel between f and P/Q, and as many again as the remainders need.
        let width = errors.iter().map(Interval::width).fold(Float::new(precision), |a, b| a.max(&b));
        if width <= Float::with_val(precision, &search.attained >> 64u32) || precision >= 1024 {
            break (search, errors);
        }
        precision *= 2;
    };
    let upper = search.run()?;
    let needed = alternations_needed(fraction, degrees);
    let best_possible = alternation(&errors, needed).unwrap_or_else(|| Float::new(precision));
    Ok(Supremum { upper, attained: search.attained, best_possible, cells: search.cells })
}

fn alternations_needed(fraction: &Fraction, (above, below): (usize, usize)) -> usize {
    let degree = |coefficients: &[Rational]| coefficients.iter().rposition(|c| *c != 0).unwrap_or(0);
    let missing = |whole: usize, coefficients| whole.saturating_sub(degree(coefficients));
    above + below + 2 - missing(above, &fraction.numerator).min(missing(below, &fraction.denominator))
}

/// The largest level that `needed` successive errors of alternating sign all reach.
fn alternation(errors: &[Interval], needed: usize) -> Option<Float> {
    // The largest error of every run of one sign.
    let mut runs: Vec<(bool, Float)> = Vec::new();
    for error in errors.iter().filter(|error| mignitude(error) > 0) {
        let (positive, size) = (error.is_positive(), mignitude(error));
        match runs.last_mut() {
            Some((sign, largest)) if *sign == positive => largest.max_mut(&size),
            _ => runs.push((positive, size)),
        }
    }
    let least = |window: &[(bool, Float)]| window.iter().map(|(_, size)| size.clone()).reduce(|a, b| a.min(&b));
    runs.windows(needed.max(1)).filter_map(least).reduce(|a, b| a.max(&b))
}

/// The least absolute value of an interval.
fn mignitude(interval: &Interval) -> Float {
    let (low, high) = (interval.lower(), interval.upper());
    if *low > 0 {
        low.clone()
    } else if *high < 0 {
        -high.clone()
    } else {
        Float::new(interval.precision())
    }
}

struct Search<'a> {
    function: &'a Expression,
    fraction: &'a Fraction,
    /// The ends of the domain, rounded outwards.
    domain: Cell,
    precision: u32,
    attained: Float,
    cells: usize,
}

/// A part of the domain.
#[derive(Clone)]
struct Cell {
    low: Float,
    high: Float,
}

/// f − P/Q over a cell: Σ termsₖ·hᵏ ± remainder for |h| ≤ radius.
struct Model {
    terms: Vec<Interval>,
    radius: Float,
    remainder: Float,
}

impl Search<'_> {
    fn error(&self, argument: &Interval, order: usize) -> Option<Vec<Interval>> {
        let approximation = self.fraction.taylor(argument, order)?;
        Some(sum(&self.function.taylor(argument, order)?, &negated(&approximation)))
    }

    /// The error at a point, which also counts as attained.
    fn at(&mut self, point: &Rational) -> Result<Interval, SupremumError> {
        let argument = Interval::rational(point, self.precision);
        let error = self.error(&argument, 0).map(|series| series[0].clone()).filter(Interval::is_finite);
        let error = error.ok_or_else(|| self.blame(argument.lower(), argument.upper()))?;
        self.attained.max_mut(&mignitude(&error));
        Ok(error)
    }

    fn unbounded(&self, x: &Float) -> SupremumError {
        SupremumError::Cells { x: decimal(x), cells: self.cells }
    }

    /// The domain's length by 2^`bits`.
    fn tiny(&self, bits: u32) -> Float {
        Float::with_val(self.precision, &self.domain.high - &self.domain.low) >> bits
    }

    /// What has no enclosure over a tiny cell and its neighbourhood.
    fn blame(&self, low: &Float, high: &Float) -> SupremumError {
        let x = decimal(low);
        let margin = self.tiny(self.precision / 2);
        let low = Float::with_val(self.precision, low - &margin).max(&self.domain.low);
        let high = Float::with_val(self.precision, high + &margin).min(&self.domain.high);
        let Some(argument) = &Interval::new(low.clone(), high) else { return self.unbounded(&low) };
        let bounded = |series: Option<Vec<Interval>>| series.is_some_and(|series| series[0].is_finite());
        if !bounded(self.fraction.taylor(argument, 0)) {
            SupremumError::Denominator { x }
        } else if !bounded(self.function.taylor(argument, 0)) {
            SupremumError::Undefined { x }
        } else {
            self.unbounded(&low)
        }
    }

    fn run(&mut self) -> Result<Float, SupremumError> {
        let mut open = vec![self.domain.clone()];
        let degree = self.fraction.numerator.len() + self.fraction.denominator.len();
        let order = (degree + 8).max(16);
        // All models before any bisection: a pole is met before the steep cells beside it are worked on.
        let mut models = Vec::new();
        while let Some(cell) = open.pop() {
            self.cells += 1;
            match self.model(&cell, order) {
                Some(model) => models.push((model, cell.low)),
                None => {
                    let (low, high) = (cell.low, cell.high);
                    let middle = Float::with_val(self.precision, &low + &high) / 2u32;
                    if self.cells >= MODELS {
                        return Err(self.unbounded(&middle));
                    }
                    // Ends where f is defined but not smooth are approached geometrically, but not for ever.
                    if Float::with_val(self.precision, &high - &low) <= self.tiny(self.precision / 4 * 3) {
                        return Err(self.blame(&low, &high));
                    }
                    open.push(Cell { low: middle.clone(), high });
                    open.push(Cell { low, high: middle });
                }
            }
        }
        let mut upper = Float::new(self.precision);
        for (model, low) in models {
            upper.max_mut(&self.bisect(model, &low)?);
        }
        Ok(upper)
    }

    /// The error that does not matter: a share of what is attained, or what this precision cannot see.
    fn negligible(&self, scale: &Float) -> Float {
        let share = Float::with_val(self.precision, &self.attained >> REMAINDER);
        share.max(&Float::with_val(self.precision, scale >> (self.precision - 64)))
    }

    /// The Taylor model of least order whose remainder is negligible.
    fn model(&mut self, cell: &Cell, order: usize) -> Option<Model> {
        let around = Interval::new(cell.low.clone(), cell.high.clone())?;
        let centre = Float::with_val(self.precision, &cell.low + &cell.high) / 2u32;
        let point = Interval::new(centre.clone(), centre.clone())?;
        let reach = |a: &Float, b: &Float| Float::with_val_round(self.precision, a - b, Round::Up).0;
        let radius = reach(&cell.high, &centre).max(&reach(&centre, &cell.low));
        let value = self.function.taylor(&point, 0)?.swap_remove(0);
        let at = self.error(&point, order);
        if let Some(at) = &at {
            self.attained.max_mut(&mignitude(&at[0]));
        }
        let enough = self.negligible(&value.magnitude());
        if let (Some(over), Some(at)) = (self.error(&around, order), at) {
            let mut power = Float::with_val(self.precision, 1);
            for (k, coefficient) in over.iter().enumerate().skip(1) {
                power = times(&power, &radius);
                let remainder = times(&power, &coefficient.magnitude());
                if remainder <= enough {
                    return Some(Model { terms: at[..k].to_vec(), radius, remainder });
                }
            }
        }
        // Where there are no derivatives: the values, once they are as good as one.
        let over = self.error(&around, 0)?.swap_remove(0);
        (over.is_finite() && over.width() <= enough).then(|| {
            self.attained.max_mut(&mignitude(&over));
            Model { terms: vec![over], radius, remainder: Float::new(self.precision) }
        })
    }

    /// The largest absolute value of a model, by bisection of |h| ≤ radius.
    fn bisect(&mut self, model: Model, low: &Float) -> Result<Float, SupremumError> {
        let mut open = vec![model];
        let mut upper = Float::new(self.precision);
        while let Some(mut model) = open.pop() {
            self.cells += 1;
            let least =
                Float::with_val_round(self.precision, mignitude(&model.terms[0]) - &model.remainder, Round::Down);
            self.attained.max_mut(&least.0);
            let enough = self.negligible(&model.terms[0].magnitude());
            let bound = model.shorten(&enough);
            let accepted = Float::with_val(self.precision, &self.attained * (1.0 + EXCESS)).max(&enough);
            if bound <= accepted || model.terms.len() == 1 {
                upper.max_mut(&bound);
            } else if self.cells >= CELLS {
                return Err(self.unbounded(low));
            } else {
                open.extend(model.halves());
            }
        }
        Ok(upper)
    }
}

/// A point as it appears in a message.
fn decimal(x: &Float) -> String {
    x.to_string_radix(10, Some(12))
}

fn times(a: &Float, b: &Float) -> Float {
    Float::with_val_round(a.prec(), a * b, Round::Up).0
}

fn plus(a: &Float, b: &Float) -> Float {
    Float::with_val_round(a.prec(), a + b, Round::Up).0
}

impl Model {
    /// Moves the last terms that are negligible together into the remainder; returns a bound of the whole.
    fn shorten(&mut self, negligible: &Float) -> Float {
        let precision = self.radius.prec();
        let mut power = Float::with_val(precision, 1);
        let mut sizes = Vec::with_capacity(self.terms.len());
        for term in &self.terms {
            sizes.push(times(&power, &term.magnitude()));
            power = times(&power, &self.radius);
        }
        let share = Float::with_val(precision, negligible >> 3u32);
        let mut dropped = Float::new(precision);
        while sizes.len() > 1 {
            let more = plus(&dropped, &sizes[sizes.len() - 1]);
            if more > share {
                break;
            }
            dropped = more;
            sizes.pop();
            self.terms.pop();
        }
        self.remainder = plus(&self.remainder, &dropped);
        sizes.iter().fold(self.remainder.clone(), |total, size| plus(&total, size))
    }

    /// The model around the middles of its two halves.
    fn halves(&self) -> [Model; 2] {
        let precision = self.radius.prec();
        let radius = Float::with_val_round(precision, &self.radius / 2u32, Round::Up).0;
        [-1, 1].map(|sign| {
            let step = if sign < 0 { -radius.clone() } else { radius.clone() };
            let mut terms = self.terms.clone();
            if let Some(step) = Interval::new(step.clone(), step) {
                for first in 0..terms.len() {
                    for k in (first..terms.len() - 1).rev() {
                        terms[k] = terms[k].add(&step.multiply(&terms[k + 1]));
                    }
                }
            }
            Model { terms, radius: radius.clone(), remainder: self.remainder.clone() }
        })
    }
}

#[cfg(test)]
mod tests;
