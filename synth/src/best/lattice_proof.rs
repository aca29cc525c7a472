//! Proved lower bounds for polynomials with integer coefficients at given steps.
//!
//! *Points*: where t is 0, 1 or −1 the value is a multiple of a step, and the values at 1 and −1 differ by an even
//! multiple of the least step of an odd power. The function's distance from such values bounds the error.
//!
//! *Lattice*: the tree of a [`Search`] splits the integers into ranges of the coordinates u. With masses mᵢ on points
//! tᵢ, Σ mᵢ·(f − p)(tᵢ) = Σ mᵢ·(f − centre)(tᵢ) − Σⱼ uⱼ·Σ mᵢ·ψⱼ(tᵢ), and the error of p is at least the absolute value of
//! that over Σ|mᵢ|: evaluated with intervals for f and for the range of u, it holds for all integers of the range. A
//! range without an end is closed by the inverse of ψ at as many points: integers outside have a larger error than
//! the one that is to be proved nearly best. Nothing that the search claims is used: that ψ is unimodular, that the
//! points lie in the domain and that the ranges leave nothing out is checked or holds by construction.
//!
//! Where a parity folded the domain, f is replaced by its even or odd part and p by its own, which has integer
//! coefficients as well and no larger error: no symmetry of f is assumed.

use crate::expression::Expression;
use crate::minimax::{Branch, Parity, Scaling, Search};
use evidence::Interval;
use rug::float::Round;
use rug::ops::Pow;
use rug::{Float, Integer, Rational};

/// Bits of the enclosures.
const PRECISION: u32 = 320;

/// Where integer coefficients are to approximate a function.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The function.
    pub function: &'a Expression,
    /// The variable t = (x − centre) / scale.
    pub scaling: &'a Scaling,
    /// Lower end of the domain.
    pub low: &'a Rational,
    /// Upper end.
    pub high: &'a Rational,
}

impl Place<'_> {
    fn x(&self, t: &Rational) -> Rational {
        Rational::from(t * self.scaling.scale()) + self.scaling.centre()
    }

    /// The function at t, if t lies in the domain.
    fn value(&self, t: &Rational) -> Option<Interval> {
        let x = self.x(t);
        if x < *self.low || x > *self.high {
            return None;
        }
        let value = self.function.taylor(&Interval::rational(&x, PRECISION), 0)?.swap_remove(0);
        value.is_finite().then_some(value)
    }

    /// The function's part of a parity at t.
    fn part(&self, t: &Rational, parity: Option<Parity>) -> Option<Interval> {
        let value = self.value(t)?;
        let mirrored = |sign: i64| Some(self.value(&Rational::from(-t))?.scale(sign, 1));
        Some(match parity {
            None => value,
            Some(Parity::Even) => value.add(&mirrored(1)?).shift(-1),
            Some(Parity::Odd) => value.add(&mirrored(-1)?).shift(-1),
        })
    }
}

/// A bound that the values at one or two points prove.
#[derive(Clone, Debug, PartialEq)]
pub struct PointBound {
    /// Which points, such as `t = 1 and t = -1`.
    pub points: &'static str,
    /// No polynomial with these steps has a smaller error.
    pub error: Float,
}

/// The best of the bounds at t = 0, 1, −1 for coefficients of t⁰, t¹, … that are multiples of 2^steps.
pub fn point_bound(place: &Place, steps: &[i32]) -> Option<PointBound> {
    let least = *steps.iter().min()?;
    let odd = steps.iter().skip(1).step_by(2).min().copied();
    let value = |t: i32| place.value(&Rational::from(t));
    let single = |value: &Interval, step: i32| {
        nearest(value, step).into_iter().map(|k| apart(value, &k, step)).reduce(|a, b| a.min(&b))
    };
    let mut bounds = vec![
        ("t = 0", value(0).and_then(|value| single(&value, steps[0]))),
        ("t = 1", value(1).and_then(|value| single(&value, least))),
        ("t = -1", value(-1).and_then(|value| single(&value, least))),
    ];
    if let (Some(right), Some(left)) = (value(1), value(-1)) {
        let even = |a: &Integer, b: &Integer| match odd {
            Some(odd) => Integer::from(a - b).is_divisible_2pow((odd - least) as u32 + 1),
            None => a == b,
        };
        // Values within a period of the congruence from the function's: all others are farther off than some of them.
        let period = odd.map_or(1, |odd| 1i32.checked_shl((odd - least) as u32 + 1).unwrap_or(i32::MAX));
        let pairs = (period <= 64).then(|| {
            let near = |value: &Interval| -> Vec<Integer> {
                let about = nearest(value, least);
                let (first, last) = (about.first().cloned(), about.last().cloned());
                let (Some(first), Some(last)) = (first, last) else { return Vec::new() };
                let mut k = first - period;
                let mut all = Vec::new();
                while k <= Integer::from(&last + period) {
                    all.push(k.clone());
                    k += 1;
                }
                all
            };
            let (rights, lefts) = (near(&right), near(&left));
            let mut best: Option<Float> = None;
            for a in &rights {
                for b in lefts.iter().filter(|b| even(a, b)) {
                    let larger = apart(&right, a, least).max(&apart(&left, b, least));
                    best = Some(best.map_or(larger.clone(), |best| best.min(&larger)));
                }
            }
            best
        });
        bounds.push(("t = 1 and t = -1, which differ by an even number of steps", pairs.flatten()));
    }
    let bounds = bounds.into_iter().filter_map(|(points, error)| Some(PointBound { points, error: error? }));
    bounds.reduce(|best, next| if next.error > best.error { next } else { best })
}

/// The integers k for which k·2^step may be the nearest multiple to some number of the interval.
fn nearest(value: &Interval, step: i32) -> Vec<Integer> {
    let scaled = value.shift(-step);
    let ends = scaled.lower().to_integer_round(Round::Down).zip(scaled.upper().to_integer_round(Round::Up));
    let Some(((first, _), (last, _))) = ends else { return Vec::new() };
    if Integer::from(&last - &first) > 8 {
        return Vec::new();
    }
    let mut all = Vec::new();
    let mut k = first;
    while k <= last {
        all.push(k.clone());
        k += 1;
    }
    all
}

/// A lower bound of the distance from k·2^step.
fn apart(value: &Interval, k: &Integer, step: i32) -> Float {
    let k = Interval::rational(&Rational::from(k), PRECISION).shift(step);
    mignitude(&value.subtract(&k))
}

fn mignitude(interval: &Interval) -> Float {
    if *interval.lower() > 0 {
        interval.lower().clone()
    } else if *interval.upper() < 0 {
        -interval.upper().clone()
    } else {
        Float::new(interval.precision())
    }
}

/// What no polynomial with integer coefficients at the search's steps and of degree at most `degree` falls below;
/// `error` is a proved bound of the error of some such polynomial. `None` if the search does not fit the place.
pub fn lattice_bound(place: &Place, degree: u32, search: &Search, error: &Float) -> Option<Float> {
    let parity = parity(place, degree, search)?;
    let count = search.exponents.len();
    let is_square = search.functions.len() == count && search.functions.iter().all(|f| f.len() == count);
    if count == 0 || !is_square || determinant(&search.functions).abs() != 1 {
        return None;
    }
    let mut proof = Proof { place, search, parity, points: vec![None; search.points.len()] };
    let mut ranges = proof.closed(error)?;
    let bound = proof.least(0, &mut ranges, 0)?;
    Some(bound.min(error))
}

/// The parity of the exponents where they are not all up to the degree, if the domain allows to use it.
fn parity(place: &Place, degree: u32, search: &Search) -> Option<Option<Parity>> {
    if search.exponents.iter().copied().eq(0..=degree) {
        return Some(None);
    }
    let symmetric = *place.scaling.centre() == 0 && Rational::from(-place.low) == *place.high;
    let (first, parity) = match search.exponents.first()? {
        0 => (0, Parity::Even),
        _ => (1, Parity::Odd),
    };
    (symmetric && search.exponents.iter().copied().eq((first..=degree).step_by(2))).then_some(Some(parity))
}

/// At a point: the error of the centre and the functions.
#[derive(Clone)]
struct At {
    error: Interval,
    functions: Vec<Interval>,
}

struct Proof<'a> {
    place: &'a Place<'a>,
    search: &'a Search,
    parity: Option<Parity>,
    points: Vec<Option<At>>,
}

impl Proof<'_> {
    /// Exact value at t of the polynomial with these integer coefficients.
    fn exact(&self, integers: &[Integer], t: &Rational) -> Rational {
        let terms = integers.iter().zip(&self.search.exponents).zip(&self.search.steps);
        terms.map(|((k, &exponent), &step)| (Rational::from(k) << step) * Rational::from(t.pow(exponent))).sum()
    }

    fn at(&mut self, index: usize) -> Option<&At> {
        let t = self.search.points.get(index)?;
        if self.points[index].is_none() {
            let centre = Interval::rational(&self.exact(&self.search.centre, t), PRECISION);
            let error = self.place.part(t, self.parity)?.subtract(&centre);
            let value = |function: &Vec<Integer>| Interval::rational(&self.exact(function, t), PRECISION);
            let functions = self.search.functions.iter().map(value).collect();
            self.points[index] = Some(At { error, functions });
        }
        self.points[index].as_ref()
    }

    /// Ranges of all coordinates outside of which the error exceeds `error`.
    fn closed(&mut self, error: &Float) -> Option<Vec<(Integer, Integer)>> {
        let count = self.search.functions.len();
        let usable: Vec<usize> = (0..self.search.points.len())
            .filter(|&index| self.parity != Some(Parity::Odd) || self.search.points[index] != 0)
            .collect();
        if usable.len() < count {
            return None;
        }
        let chosen: Vec<usize> = (0..count).map(|i| usable[(2 * i + 1) * usable.len() / (2 * count)]).collect();
        let mut room = Vec::with_capacity(count);
        for &index in &chosen {
            let most = Float::with_val_round(PRECISION, self.at(index)?.error.magnitude() + error, Round::Up).0;
            room.push(most.to_rational()?);
        }
        let rows = chosen.iter().map(|&index| {
            let t = &self.search.points[index];
            self.search.functions.iter().map(|function| self.exact(function, t)).collect()
        });
        let inverse = inverse(rows.collect())?;
        let reach = |row: &Vec<Rational>| -> Integer {
            let most: Rational = row.iter().zip(&room).map(|(entry, room)| entry.clone().abs() * room).sum();
            most.ceil().numer().clone()
        };
        Some(inverse.iter().map(|row| (-reach(row), reach(row))).collect())
    }

    /// The least bound of the ends of a branch; infinite where it is empty.
    fn least(&mut self, place: usize, ranges: &mut Vec<(Integer, Integer)>, depth: usize) -> Option<Float> {
        // A tree that refers to itself would not end.
        if depth > self.search.branches.len() || depth > 10_000 {
            return None;
        }
        let search = self.search;
        match search.branches.get(place)? {
            Branch::End { masses } => self.end(masses, ranges),
            &Branch::Split { coordinate, at, below, above } => {
                let whole = ranges.get(coordinate)?.clone();
                let at = Integer::from(at);
                let parts = [
                    (below, (whole.0.clone(), whole.1.clone().min(at.clone()))),
                    (above, (whole.0.clone().max(at + 1), whole.1.clone())),
                ];
                let mut least = Float::with_val(PRECISION, rug::float::Special::Infinity);
                for (place, part) in parts {
                    if part.0 <= part.1 {
                        ranges[coordinate] = part;
                        least = least.min(&self.least(place, ranges, depth + 1)?);
                    }
                }
                ranges[coordinate] = whole;
                Some(least)
            }
        }
    }

    fn end(&mut self, masses: &[(usize, f64)], ranges: &[(Integer, Integer)]) -> Option<Float> {
        let zero = || Interval::integer(0, PRECISION);
        let mut total = Float::new(PRECISION);
        let mut moment = zero();
        let mut sums = vec![zero(); ranges.len()];
        for &(index, mass) in masses {
            let weight = Float::with_val(PRECISION, mass);
            if !weight.is_finite() {
                return None;
            }
            total = Float::with_val_round(PRECISION, total + &*weight.as_abs(), Round::Up).0;
            let weight = Interval::new(weight.clone(), weight)?;
            let at = self.at(index)?;
            moment = moment.add(&weight.multiply(&at.error));
            for (sum, function) in sums.iter_mut().zip(&at.functions) {
                *sum = sum.add(&weight.multiply(function));
            }
        }
        if total.is_zero() {
            return Some(total);
        }
        for (sum, (low, high)) in sums.iter().zip(ranges) {
            let end = |k: &Integer| Interval::rational(&Rational::from(k), PRECISION);
            moment = moment.subtract(&sum.multiply(&end(low).hull(&end(high))));
        }
        Some(Float::with_val_round(PRECISION, mignitude(&moment) / total, Round::Down).0)
    }
}

/// By fraction-free elimination (Bareiss 1968).
fn determinant(rows: &[Vec<Integer>]) -> Integer {
    let mut rows = rows.to_vec();
    let mut previous = Integer::from(1);
    let mut negative = false;
    for step in 0..rows.len() {
        let Some(pivot) = (step..rows.len()).find(|&row| rows[row][step] != 0) else { return Integer::new() };
        negative ^= pivot != step;
        rows.swap(pivot, step);
        let upper = rows[step].clone();
        for row in &mut rows[step + 1..] {
            let factor = row[step].clone();
            for (entry, above) in row.iter_mut().zip(&upper) {
                let crossed = Integer::from(&upper[step] * &*entry) - Integer::from(&factor * above);
                *entry = crossed.div_exact(&previous);
            }
        }
        previous = upper[step].clone();
    }
    if negative { -previous } else { previous }
}

/// The inverse of a square matrix, exactly; `None` if there is none.
fn inverse(mut rows: Vec<Vec<Rational>>) -> Option<Vec<Vec<Rational>>> {
    let size = rows.len();
    for (index, row) in rows.iter_mut().enumerate() {
        row.extend((0..size).map(|other| Rational::from(u32::from(other == index))));
    }
    for step in 0..size {
        let pivot = (step..size).find(|&row| rows[row][step] != 0)?;
        rows.swap(pivot, step);
        let scale = rows[step][step].clone();
        rows[step].iter_mut().for_each(|entry| *entry /= &scale);
        let upper = rows[step].clone();
        for (_, row) in rows.iter_mut().enumerate().filter(|(other, row)| *other != step && row[step] != 0) {
            let factor = row[step].clone();
            for (entry, above) in row.iter_mut().zip(&upper).skip(step) {
                *entry -= Rational::from(&factor * above);
            }
        }
    }
    Some(rows.into_iter().map(|row| row[size..].to_vec()).collect())
}
