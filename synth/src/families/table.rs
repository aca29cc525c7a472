//! A table: a few bits of the input, and a constant for every pattern of them.
//!
//! The constant is a multilinear polynomial of the bits. Its monomials are products of one monomial of the lower half of
//! the bits and one of the upper half, so that 2^b constants take b bits, the products inside the halves, and one last
//! sum. On a window of at most 2^8 inputs every input has its own constant; on a wider one inputs share it.

use super::builder::{BuildError, Builder, Terms, Wire};
use super::goal::Goal;
use super::{Design, Shape};
use catalogs::Program;
use rug::{Integer, Rational};

/// The most bits: a sum has no more than 256 terms.
const BITS_MAX: u8 = 8;
/// Inputs of a cell that are looked at for its constant.
const SAMPLES: i64 = 8;

/// The bits that are looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Table {
    /// The lowest position.
    pub first: u8,
    /// How many.
    pub bits: u8,
}

/// The shapes that may reach `accuracy`: the fewest bits that do.
pub fn shapes(goal: &Goal, accuracy: f64) -> Vec<Table> {
    let shape = |bits: u8| {
        let cells = |first: &u8| i128::from(goal.window.high >> first) - i128::from(goal.window.low >> first);
        let first = (0..62).find(|first| cells(first) < 1 << bits)?;
        let table = Table { first, bits };
        (table.fit(goal)?.1 <= accuracy).then_some(table)
    };
    (1..=BITS_MAX).find_map(shape).into_iter().collect()
}

impl Table {
    /// The constant of every pattern in units of the output, and the largest error of the constants in the norm.
    fn fit(&self, goal: &Goal) -> Option<(Vec<Integer>, f64)> {
        let (mut constants, mut worst) = (vec![Integer::new(); 1 << self.bits], 0.0f64);
        let unit = 2f64.powi(i32::from(goal.output_scale.bits()));
        for cell in (goal.window.low >> self.first)..=(goal.window.high >> self.first) {
            let low = (cell << self.first).max(goal.window.low);
            let high = ((cell << self.first) | ((1 << self.first) - 1)).min(goal.window.high);
            let input = |i: i64| low + ((i128::from(high - low) * i128::from(i)) / i128::from(SAMPLES)) as i64;
            let values: Vec<f64> = (0..=SAMPLES).map(|i| goal.value(goal.real_f64(input(i)))).collect();
            let least = values.iter().copied().fold(f64::INFINITY, f64::min);
            let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let constant = ((least + most) / 2.0 * unit).round();
            let error = |value: &f64| (constant / unit - value).abs() / goal.unit(*value);
            worst = values.iter().map(error).fold(worst, f64::max);
            let pattern = cell.rem_euclid(1 << self.bits) as usize;
            constants[pattern] = Integer::from_f64(constant)?;
        }
        Some((constants, worst))
    }

    fn program(&self, goal: &Goal, constants: &[Integer]) -> Result<Program, BuildError> {
        let mut b = Builder::new(goal.input.ring, goal.input.scale);
        let x = b.input();
        // A sign test looks at two bits at least: bit 0 of x is bit 1 of 2x.
        let doubled = match self.first {
            0 => Some(b.exact(&Terms::new().linear(2, x), x.scale())?),
            _ => None,
        };
        let mut bits = Vec::new();
        for position in self.first..self.first + self.bits {
            let bit = match doubled {
                Some(doubled) => b.bit(doubled, position + 1)?,
                None => b.bit(x, position)?,
            };
            bits.push(b.inject(bit));
        }
        let (lower, upper) = bits.split_at(bits.len().div_ceil(2));
        let (lower, upper) = (monomials(&mut b, lower)?, monomials(&mut b, upper)?);
        let coefficients = multilinear(constants);
        let scale = u32::from(goal.output_scale.bits());
        let mut terms = Terms::new();
        for (index, coefficient) in coefficients.into_iter().enumerate().filter(|(_, c)| *c != 0) {
            let coefficient = Rational::from(coefficient) >> scale;
            terms = match (lower[index % lower.len()], upper[index / lower.len()]) {
                (None, None) => terms.constant(coefficient),
                (Some(one), None) | (None, Some(one)) => terms.linear(coefficient, one),
                (Some(left), Some(right)) => terms.product(coefficient, left, right),
            };
        }
        b.exact(&terms, scale as i32)?;
        b.finish()
    }
}

/// The products of all subsets of the bits, by the number whose digits say which; none for the empty one.
fn monomials(b: &mut Builder, bits: &[Wire]) -> Result<Vec<Option<Wire>>, BuildError> {
    let mut products: Vec<Option<Wire>> = vec![None];
    for bit in bits {
        for index in 0..products.len() {
            let product = match products[index] {
                None => *bit,
                Some(rest) => b.exact(&Terms::new().product(1, rest, *bit), 0)?,
            };
            products.push(Some(product));
        }
    }
    Ok(products)
}

/// The coefficients of the multilinear polynomial with these values (Möbius).
fn multilinear(values: &[Integer]) -> Vec<Integer> {
    let mut coefficients = values.to_vec();
    let mut stride = 1;
    while stride < coefficients.len() {
        for index in (0..coefficients.len()).filter(|index| index & stride != 0) {
            let lower = coefficients[index - stride].clone();
            coefficients[index] -= lower;
        }
        stride *= 2;
    }
    coefficients
}

impl Shape for Table {
    fn family(&self) -> &'static str {
        "table"
    }

    fn describe(&self) -> String {
        format!("bits {} from {}", self.bits, self.first)
    }

    fn fit_error(&self, goal: &Goal) -> Option<f64> {
        self.fit(goal).map(|(_, error)| error)
    }

    fn designs(&self, goal: &Goal, accuracy: f64) -> Vec<Design> {
        let Some((constants, fit_error)) = self.fit(goal).filter(|(_, error)| *error <= accuracy) else {
            return Vec::new();
        };
        let design = |program| Design {
            family: self.family(),
            parameters: self.describe(),
            program,
            fit_error,
            fitted: goal.window,
        };
        self.program(goal, &constants).map(design).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coefficients_give_the_values_back() {
        let values: Vec<Integer> = [5, -3, 7, 0, 11, 2, -8, 1].map(Integer::from).into();
        let coefficients = multilinear(&values);
        for (pattern, value) in values.iter().enumerate() {
            let inside = coefficients.iter().enumerate().filter(|(subset, _)| subset & pattern == *subset);
            assert_eq!(inside.map(|(_, c)| c.clone()).sum::<Integer>(), *value);
        }
    }
}
