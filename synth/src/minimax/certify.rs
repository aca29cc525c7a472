//! What is known about the best possible error, and what is only sampled.
//!
//! *Proved*, if the target keeps its promise of accuracy: the lower bound. For the reference points
//! `x_i` an integer measure `l_i` with `Σ l_i t(x_i)^e = 0` for every free exponent `e` is computed
//! exactly; then for every polynomial `p` of the basis
//! `Σ l_i (f - p)(x_i) = Σ l_i (f - fixed)(x_i)`, hence
//! `max |f - p| / unit >= |Σ l_i (f - fixed)(x_i)| / Σ |l_i| unit(x_i)` (de la Vallée Poussin's
//! theorem without the Haar condition). On a folded domain the measure is extended to `-x_i` with
//! the parity's sign, where it annihilates the other parity as well; the target's parity itself is
//! not assumed.
//!
//! *Not proved*: the upper bound, the largest error on a scan finer than the fit's, refined at its
//! peaks. A proof over a whole interval is the checker's work, not this crate's.

use super::basis::Basis;
use super::domain::Domain;
use super::failure::MinimaxError;
use super::parity::Parity;
use super::polynomial::{Fit, Options, Problem};
use super::sampling::{Sampler, largest_error};
use super::target::finite_value;
use rug::float::Round;
use rug::{Float, Integer, Rational};

/// Two figures that enclose the minimax error as far as the module page says.
#[derive(Clone, Debug, PartialEq)]
pub struct Certification {
    /// No polynomial of the basis has a smaller weighted error on the domain.
    pub lower_bound: Float,
    /// The largest weighted error of the fit that a scan found.
    pub sampled_upper_bound: Float,
    /// Points of that scan, peaks not counted.
    pub samples: usize,
}

/// Bits of the reference points in the exact computation: moving an extremum by a relative
/// `2^-53` lowers the bound by the square of that.
const POINT_BITS: u32 = 53;

/// Bounds the minimax error of the problem from below, and the error of `fit` by sampling.
pub fn certify(problem: &Problem, fit: &Fit, options: &Options) -> Result<Certification, MinimaxError> {
    let lower_bound = lower_bound(problem, fit)?;
    let sampler =
        Sampler { target: problem.target, norm: &problem.norm, basis: &problem.basis, precision: fit.precision };
    // An odd multiple shares only the ends with the scans of the fit.
    let count = 5 * options.density.max(2) * (problem.basis.exponents().len() + 2) + 1;
    let scan = sampler.scan(&problem.domain, count)?;
    let sampled_upper_bound = largest_error(&sampler, &scan, &fit.coefficients, 40)?;
    let samples = scan.iter().map(Vec::len).sum();
    Ok(Certification { lower_bound, sampled_upper_bound, samples })
}

fn lower_bound(problem: &Problem, fit: &Fit) -> Result<Float, MinimaxError> {
    let precision = 2 * fit.precision;
    let basis = match fit.folded {
        Some(parity) => problem.basis.of_parity(parity.remainder()),
        None => problem.basis.clone(),
    };
    let points: Vec<Float> = fit.extrema.iter().map(|extremum| round_within(&extremum.x, &problem.domain)).collect();
    let Some(measure) = annihilator(&basis, &points) else {
        return Ok(Float::new(precision));
    };
    let mut numerator = Float::new(precision);
    let mut rounding = Float::new(precision);
    let mut denominator = Float::new(precision);
    let mirrored = fit.folded.map(|parity| parity == Parity::Odd);
    for (mass, x) in measure.iter().zip(&points) {
        let mut atoms = vec![(Float::with_val(precision, x), Float::with_val(precision, mass))];
        if let Some(flip) = mirrored {
            let mass = Float::with_val(precision, mass);
            atoms.push((Float::with_val(precision, -x), if flip { -mass } else { mass }));
        }
        for (x, mass) in atoms.iter().filter(|(_, mass)| !mass.is_zero()) {
            let value = finite_value(problem.target, x, precision)?;
            let unit = problem.norm.unit(x, &value, precision);
            let t = problem.basis.scaling().variable(x, precision);
            let fixed = problem.basis.fixed_part(&t);
            denominator += Float::with_val(precision, mass.abs_ref()) * unit;
            let magnitude = Float::with_val(precision, value.abs_ref()) + &*fixed.as_abs();
            rounding += Float::with_val(precision, mass.abs_ref()) * magnitude;
            numerator += mass * (value - fixed);
        }
    }
    if denominator <= 0 {
        return Ok(Float::new(precision));
    }
    // Every value above is within 2^(16 - precision); six bits more cover the few operations on it.
    let safe = numerator.abs() - (rounding >> (precision - 22));
    let bound = safe / denominator;
    let margin = Float::with_val(precision, &bound >> (precision - 22));
    Ok(Float::with_val_round(fit.precision, bound - margin, Round::Down).0.max(&Float::new(53)))
}

/// The point with few bits, but still in the domain.
fn round_within(x: &Float, domain: &Domain) -> Float {
    [Round::Nearest, Round::Up, Round::Down]
        .into_iter()
        .map(|round| Float::with_val_round(POINT_BITS, x, round).0)
        .find(|rounded| rounded.to_rational().is_some_and(|point| domain.contains(&point)))
        .unwrap_or_else(|| x.clone())
}

/// Integers, not all zero, with `Σ l_i t(x_i)^e = 0` for all free exponents.
///
/// `None` if there are too few points for one to exist.
fn annihilator(basis: &Basis, points: &[Float]) -> Option<Vec<Integer>> {
    let functions = basis.exponents().len();
    if points.len() <= functions {
        return None;
    }
    let exact: Option<Vec<Rational>> = points.iter().map(Float::to_rational).collect();
    let variables: Vec<Rational> = exact?.iter().map(|point| basis.scaling().exact(point)).collect();
    let common = variables.iter().fold(Integer::from(1), |common, variable| common.lcm(variable.denom()));
    let scaled: Vec<Integer> =
        variables.iter().map(|variable| Rational::from(variable * &common).numer().clone()).collect();
    let matrix = basis
        .exponents()
        .iter()
        .map(|&exponent| scaled.iter().map(|t| Integer::from(rug::ops::Pow::pow(t, exponent))).collect())
        .collect();
    Some(kernel(matrix, points.len()))
}

/// A nonzero integer vector of the kernel of a matrix with more columns than rows, by
/// fraction-free Gauss–Jordan elimination (Bareiss 1968).
fn kernel(mut matrix: Vec<Vec<Integer>>, columns: usize) -> Vec<Integer> {
    let mut previous = Integer::from(1);
    for step in 0..columns {
        let pivot = (step..matrix.len()).find(|&row| matrix[row][step] != 0);
        let Some(pivot) = pivot else {
            let mut vector = vec![Integer::new(); columns];
            for (entry, row) in vector.iter_mut().zip(&matrix[..step.min(matrix.len())]) {
                *entry = Integer::from(-&row[step]);
            }
            vector[step] = previous;
            return vector;
        };
        matrix.swap(step, pivot);
        let upper = matrix[step].clone();
        for (index, row) in matrix.iter_mut().enumerate() {
            if index == step {
                continue;
            }
            let factor = row[step].clone();
            for (entry, above) in row.iter_mut().zip(&upper) {
                let crossed = Integer::from(&upper[step] * &*entry) - Integer::from(&factor * above);
                *entry = crossed.div_exact(&previous);
            }
        }
        previous = upper[step].clone();
    }
    vec![Integer::new(); columns]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_annihilate() {
        let cases: [&[&[i32]]; 4] =
            [&[&[1, 2, 3], &[4, 5, 6]], &[&[0, 0, 0], &[1, 2, 3]], &[&[1, 2, 9], &[2, 4, 5]], &[]];
        for case in cases {
            let columns = case.first().map_or(1, |row| row.len());
            let matrix: Vec<Vec<Integer>> =
                case.iter().map(|row| row.iter().map(|&entry| entry.into()).collect()).collect();
            let vector = kernel(matrix.clone(), columns);
            assert!(vector.iter().any(|entry| *entry != 0), "{case:?}");
            for row in matrix {
                let moment: Integer = row.iter().zip(&vector).map(|(a, b)| Integer::from(a * b)).sum();
                assert_eq!(moment, 0, "{case:?}");
            }
        }
    }
}
