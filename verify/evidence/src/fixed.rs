//! Enclosures of f over runs of consecutive inputs, as integers.
//!
//! Establishes, for every input integer x of a run: lower ≤ f(x / 2^input_scale) · 2^(output_scale + GUARD) ≤ upper.
//! A run is covered by one polynomial of degree [`DEGREE`] in t = x − centre with *integer* coefficients at 2^−E units,
//! evaluated exactly by forward differences. Its error is bounded once per run: the Lagrange remainder over the whole
//! run, plus the rounding of each coefficient, both from [`crate::jet`]. Where that bound is not below
//! four units the run is halved, and short runs are enclosed point by point ([`crate::enclosure`]).

use crate::EvidenceError;
use crate::enclosure::enclose_dyadic;
use crate::interval::{Interval, PRECISION};
use crate::jet::taylor;
use catalogs::{Expression, Function};
use rug::float::Round;
use rug::{Float, Integer};

/// Bits below the output's last place.
pub const GUARD: u32 = 24;
/// Degree of the local polynomials.
pub const DEGREE: usize = 6;
/// The longest run that one polynomial covers.
pub const RUN: usize = 1024;
const SHORTEST_RUN: usize = 32;
const MAX_RADIUS: i128 = 4;

/// lower ≤ f · 2^(output_scale + [`GUARD`]) ≤ upper.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Bounds {
    /// Lower bound.
    pub lower: i128,
    /// Upper bound.
    pub upper: i128,
}

/// A function between two scales.
#[derive(Clone, Debug)]
pub struct Target {
    function: Function,
    definition: Expression,
    input_scale: u8,
    output_scale: u8,
}

impl Target {
    /// `function` of inputs at `input_scale`, in units of `output_scale`.
    pub fn new(function: Function, input_scale: u8, output_scale: u8) -> Target {
        Target { definition: function.definition(), function, input_scale, output_scale }
    }

    /// Encloses f at `first`, `first` + 1, …: one result per place of `results`.
    pub fn fill(&self, first: i64, results: &mut [Bounds]) -> Result<(), EvidenceError> {
        if let Some(shift) = self.exact_shift() {
            for (argument, bounds) in (first..=i64::MAX).zip(results) {
                let value = i128::from(argument.max(0)) << shift;
                *bounds = Bounds { lower: value, upper: value };
            }
            return Ok(());
        }
        if results.len() > RUN {
            let (head, tail) = results.split_at_mut(RUN);
            self.fill(first, head)?;
            return self.fill(first + RUN as i64, tail);
        }
        if results.len() >= SHORTEST_RUN {
            if let Some(mut run) = self.run(first, results.len()) {
                results.iter_mut().for_each(|bounds| *bounds = run.next());
                return Ok(());
            }
            let (head, tail) = results.split_at_mut(results.len() / 2);
            self.fill(first, head)?;
            return self.fill(first + head.len() as i64, tail);
        }
        for (argument, bounds) in (first..=i64::MAX).zip(results) {
            *bounds = self.point(argument)?;
        }
        Ok(())
    }

    /// For the rectifier where it is an integer in guarded units: that integer is the positive part of the input,
    /// shifted by this. A claim of no error at all needs it to be exact.
    fn exact_shift(&self) -> Option<u32> {
        let shift = (u32::from(self.output_scale) + GUARD).checked_sub(u32::from(self.input_scale))?;
        (self.function == Function::Relu && shift < 62).then_some(shift)
    }

    /// Encloses f at one input.
    pub fn point(&self, argument: i64) -> Result<Bounds, EvidenceError> {
        let undefined =
            || EvidenceError::Undefined { function: self.function.clone(), argument, scale: self.input_scale };
        let value =
            enclose_dyadic(&self.function, argument.into(), self.input_scale, PRECISION).ok_or_else(undefined)?;
        let units = value.shift(i32::from(self.output_scale) + GUARD as i32);
        let integer = |end: &Float, round| {
            let (integer, _) = end.to_integer_round(round)?;
            integer.to_i128().filter(|integer| integer.unsigned_abs() < 1 << 126)
        };
        let too_large =
            || EvidenceError::TooLarge { function: self.function.clone(), argument, scale: self.input_scale };
        Ok(Bounds {
            lower: integer(units.lower(), Round::Down).ok_or_else(too_large)?,
            upper: integer(units.upper(), Round::Up).ok_or_else(too_large)?,
        })
    }

    /// The polynomial for `length` inputs from `first`, or `None` if it cannot be made precise enough.
    fn run(&self, first: i64, length: usize) -> Option<Run> {
        let reach = length as i64 / 2;
        let centre = first.checked_add(reach)?;
        let point = |x: i64| Interval::dyadic(x.into(), self.input_scale, PRECISION);
        let at = taylor(&self.definition, &point(centre), DEGREE)?;
        let around = point(first).hull(&point(first.checked_add(length as i64)?));
        let over = taylor(&self.definition, &around, DEGREE + 1)?;
        if !at.iter().chain(&over).all(Interval::is_finite) {
            return None;
        }
        // Enough fraction bits that the rounded coefficients together cost at most about one unit.
        let fraction = DEGREE as i32 * (reach as u64).ilog2() as i32 + 1;
        let unit = i32::from(self.output_scale) + GUARD as i32 + fraction;
        let step = i32::from(self.input_scale);
        let up = |value: &Float| Float::with_val_round(64, value, Round::Up).0;
        let (mut radius, mut size) = (Float::new(64), Float::new(64));
        let mut power = Float::with_val(64, 1);
        let mut coefficients = Vec::with_capacity(DEGREE + 1);
        for (i, coefficient) in at.iter().enumerate() {
            let scaled = coefficient.shift(unit - step * i as i32);
            let integer = scaled.middle().to_integer()?;
            let error = scaled.subtract(&Interval::new(
                Float::with_val_round(PRECISION, &integer, Round::Down).0,
                Float::with_val_round(PRECISION, &integer, Round::Up).0,
            )?);
            add_product_up(&mut radius, &up(&error.magnitude()), &power);
            add_product_up(&mut size, &up(&Float::with_val_round(64, &integer, Round::Up).0.abs()), &power);
            add_product_up(&mut size, &Float::with_val(64, 1), &power);
            power.mul_round_up(reach);
            coefficients.push(integer);
        }
        let remainder = up(&over[DEGREE + 1].shift(unit - step * (DEGREE as i32 + 1)).magnitude());
        add_product_up(&mut radius, &remainder, &power);
        let radius = radius.to_integer_round(Round::Up)?.0.to_i128()?;
        if radius > MAX_RADIUS << fraction || size >= Float::with_val(64, 1) << 124 {
            return None;
        }
        Some(Run { differences: differences(&coefficients, -reach), radius, fraction: fraction as u32 })
    }
}

trait MultiplyUp {
    fn mul_round_up(&mut self, factor: i64);
}

impl MultiplyUp for Float {
    fn mul_round_up(&mut self, factor: i64) {
        use rug::ops::MulAssignRound;
        self.mul_assign_round(factor, Round::Up);
    }
}

/// sum ← sum + left·right, rounded up.
fn add_product_up(sum: &mut Float, left: &Float, right: &Float) {
    use rug::ops::AddAssignRound;
    let product = Float::with_val_round(64, left * right, Round::Up).0;
    sum.add_assign_round(&product, Round::Up);
}

/// Forward differences at `start` of Σ coefficients[i]·tⁱ, modulo 2^128.
fn differences(coefficients: &[Integer], start: i64) -> [i128; DEGREE + 1] {
    let mut values: Vec<Integer> = (start..=start + DEGREE as i64)
        .map(|t| coefficients.iter().rev().fold(Integer::new(), |value, c| value * t + c))
        .collect();
    let mut result = [0i128; DEGREE + 1];
    for slot in &mut result {
        *slot = values[0].to_i128_wrapping();
        values = values.windows(2).map(|pair| Integer::from(&pair[1] - &pair[0])).collect();
        if values.is_empty() {
            break;
        }
    }
    result
}

/// A polynomial on its way through consecutive arguments.
struct Run {
    differences: [i128; DEGREE + 1],
    radius: i128,
    fraction: u32,
}

impl Run {
    /// The bounds at the current argument; advances to the next.
    fn next(&mut self) -> Bounds {
        let value = self.differences[0];
        // Exact modulo 2^128, and the values are below 2^125 on the whole run; one step beyond it is never read.
        for i in 0..DEGREE {
            self.differences[i] = self.differences[i].wrapping_add(self.differences[i + 1]);
        }
        Bounds { lower: (value - self.radius) >> self.fraction, upper: ((value + self.radius) >> self.fraction) + 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn undefined_and_huge_values_are_refused() {
        let mut results = vec![Bounds::default(); 100];
        let reciprocal = Target::new(Function::Reciprocal, 16, 16);
        assert!(matches!(reciprocal.fill(-50, &mut results), Err(EvidenceError::Undefined { argument: -50, .. })));
        let exp = Target::new(Function::Exp, 0, 40);
        assert!(matches!(exp.point(60), Err(EvidenceError::TooLarge { argument: 60, .. })));
    }

    /// Every function, several scales and places (kinks, tails, near the pole): the runs contain the values at more
    /// precision and are at most `MAX_RADIUS` units on either side.
    #[test]
    fn runs_contain_the_points() {
        let scales = [(16, 16), (8, 12), (24, 24), (16, 40), (0, 16)];
        for (function, (input, output)) in Function::ALL.iter().flat_map(|f| scales.map(|s| (f.clone(), s))) {
            let target = Target::new(function.clone(), input, output);
            let one = 1i64 << input;
            for first in [-100 * one, -8 * one - 77, -one / 3, -300, 1, 5 * one, 300 * one] {
                let positive =
                    matches!(function, Function::Reciprocal | Function::Rsqrt | Function::Log | Function::Sqrt);
                if (positive && first < 1) || (matches!(function, Function::Exp | Function::Exp2) && first > 40 * one) {
                    continue;
                }
                // The exponential of more than sixteen does not fit at every scale.
                let length = if matches!(function, Function::Exp | Function::Exp2) && input == 0 { 17 } else { 1500 };
                let mut results = vec![Bounds::default(); length];
                target.fill(first, &mut results).unwrap();
                for (index, bounds) in results.iter().enumerate().step_by(37) {
                    let x = first + index as i64;
                    let fine = enclose_dyadic(&function, x.into(), input, 320).unwrap();
                    let fine = fine.shift(i32::from(output) + GUARD as i32);
                    assert!(*fine.lower() >= bounds.lower && *fine.upper() <= bounds.upper, "{function} at {x}");
                    assert!(bounds.upper - bounds.lower <= 2 * MAX_RADIUS + 2, "{function} at {x}");
                }
            }
        }
    }
}
