//! What is known about the best possible error, and what is only sampled.
//!
//! *Proved*, if the target keeps its promise of accuracy: the lower bound. For the reference points
//! `x_i` a rational measure `l_i` with `Σ l_i t(x_i)^e = 0` for every free exponent `e` is computed
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
use rug::ops::Pow;
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
/// `2^-96` lowers the bound by the square of that, moving an end of the domain by that itself.
const POINT_BITS: u32 = 96;

/// Bounds the minimax error of the problem from below, and the error of `fit` by sampling.
pub fn certify(
    problem: &Problem,
    fit: &Fit,
    options: &Options,
) -> Result<Certification, MinimaxError> {
    let lower_bound = lower_bound(problem, fit)?;
    let sampler = Sampler {
        target: problem.target,
        norm: &problem.norm,
        basis: &problem.basis,
        precision: fit.precision,
    };
    // An odd multiple shares only the ends with the scans of the fit.
    let count = 5 * options.density.max(2) * (problem.basis.exponents().len() + 2) + 1;
    let scan = sampler.scan(&problem.domain, count)?;
    let sampled_upper_bound = largest_error(&sampler, &scan, &fit.coefficients, 40)?;
    let samples = scan.iter().map(Vec::len).sum();
    Ok(Certification {
        lower_bound,
        sampled_upper_bound,
        samples,
    })
}

fn lower_bound(problem: &Problem, fit: &Fit) -> Result<Float, MinimaxError> {
    let precision = 2 * fit.precision;
    let basis = match fit.folded {
        Some(parity) => problem.basis.of_parity(parity.remainder()),
        None => problem.basis.clone(),
    };
    let points: Vec<Float> = fit
        .extrema
        .iter()
        .map(|extremum| round_within(&extremum.x, &problem.domain))
        .collect();
    let Some(measure) = annihilator(&basis, &points) else {
        return Ok(Float::new(precision));
    };
    let mut numerator = Float::new(precision);
    let mut rounding = Float::new(precision);
    let mut denominator = Float::new(precision);
    let mirrored = fit.folded.map(|parity| parity == Parity::Odd);
    for (mass, x) in measure.iter().zip(&points) {
        let mut atoms = vec![(
            Float::with_val(precision, x),
            Float::with_val(precision, mass),
        )];
        if let Some(flip) = mirrored {
            let mass = Float::with_val(precision, mass);
            atoms.push((
                Float::with_val(precision, -x),
                if flip { -mass } else { mass },
            ));
        }
        for (x, mass) in atoms.iter().filter(|(_, mass)| !mass.is_zero()) {
            let value = finite_value(problem.target, x, precision)?;
            let unit = problem.norm.unit(x, &value, precision);
            let t = problem.basis.scaling().variable(x, precision);
            let fixed = problem.basis.fixed_part(&t);
            denominator += Float::with_val(precision, mass.abs_ref()) * unit;
            let magnitude = Float::with_val(precision, value.abs_ref()) + &*fixed.as_abs() + 1u32;
            rounding += Float::with_val(precision, mass.abs_ref()) * magnitude;
            numerator += mass * (value - fixed);
        }
    }
    if denominator <= 0 {
        return Ok(Float::new(precision));
    }
    // Target and unit are within 2^(16 - precision); 32 bits more cover the operations on them and
    // any sensible factor of the norm.
    let rounding = rounding >> (precision - 48);
    let safe = numerator.abs() - &rounding;
    let bound = safe / (denominator + rounding);
    let margin = Float::with_val(precision, &bound >> (precision - 48));
    Ok(
        Float::with_val_round(fit.precision, bound - margin, Round::Down)
            .0
            .max(&Float::new(53)),
    )
}

/// The point with few bits, but still in the domain.
fn round_within(x: &Float, domain: &Domain) -> Float {
    [Round::Nearest, Round::Up, Round::Down]
        .into_iter()
        .map(|round| Float::with_val_round(POINT_BITS, x, round).0)
        .find(|rounded| {
            rounded
                .to_rational()
                .is_some_and(|point| domain.contains(&point))
        })
        .unwrap_or_else(|| x.clone())
}

/// Exact masses, not all zero, with `Σ l_i t(x_i)^e = 0` for all free exponents.
///
/// `None` if there are too few points for one to exist.
fn annihilator(basis: &Basis, points: &[Float]) -> Option<Vec<Rational>> {
    let functions = basis.exponents().len();
    if points.len() <= functions {
        return None;
    }
    let exact: Option<Vec<Rational>> = points.iter().map(Float::to_rational).collect();
    let variables: Vec<Rational> = exact?
        .iter()
        .map(|point| basis.scaling().exact(point))
        .collect();
    if let Some(masses) = divided_difference(basis.exponents(), &variables) {
        return Some(masses);
    }
    let common = variables.iter().fold(Integer::from(1), |common, variable| {
        common.lcm(variable.denom())
    });
    let scaled: Vec<Integer> = variables
        .iter()
        .map(|variable| Rational::from(variable * &common).numer().clone())
        .collect();
    let power = |exponent: u32| scaled.iter().map(|t| t.clone().pow(exponent)).collect();
    let matrix = basis
        .exponents()
        .iter()
        .map(|&exponent| power(exponent))
        .collect();
    Some(
        kernel(matrix, points.len())
            .into_iter()
            .map(Rational::from)
            .collect(),
    )
}

/// The masses in closed form where the exponents are `first + step * k` and the points are as many
/// as they must be: the divided difference in `t^step` of the function over `t^first`.
fn divided_difference(exponents: &[u32], variables: &[Rational]) -> Option<Vec<Rational>> {
    let first = *exponents.first()?;
    let step = exponents.get(1).map_or(1, |second| second - first);
    let regular = exponents.windows(2).all(|pair| pair[1] - pair[0] == step);
    if !regular || variables.len() != exponents.len() + 1 {
        return None;
    }
    let nodes: Vec<Rational> = variables.iter().map(|t| t.clone().pow(step)).collect();
    let mass = |index: usize| {
        let mut product = variables[index].clone().pow(first);
        for (other, node) in nodes.iter().enumerate() {
            if other != index {
                product *= Rational::from(&nodes[index] - node);
            }
        }
        (product != 0).then(|| product.recip())
    };
    (0..variables.len()).map(mass).collect()
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
                let crossed =
                    Integer::from(&upper[step] * &*entry) - Integer::from(&factor * above);
                *entry = crossed.div_exact(&previous);
            }
        }
        previous = upper[step].clone();
    }
    vec![Integer::new(); columns]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn closed_form_and_elimination_agree() {
        let variables: Vec<Rational> = [-7, -3, 2, 5]
            .iter()
            .map(|&numerator| Rational::from((numerator, 8)))
            .collect();
        for exponents in [[0, 1, 2], [1, 3, 5], [2, 4, 6]] {
            let masses = divided_difference(&exponents, &variables).unwrap();
            for exponent in exponents {
                let terms = masses.iter().zip(&variables);
                let moment: Rational = terms.map(|(l, t)| l * t.clone().pow(exponent)).sum();
                assert_eq!(moment, 0, "{exponents:?}");
            }
        }
        assert_eq!(divided_difference(&[0, 1, 3], &variables), None);
        assert_eq!(
            divided_difference(&[0, 2], &[1.into(), (-1).into(), 2.into()]),
            None
        );
    }

    #[test]
    fn kernels_annihilate() {
        let cases: [&[&[i32]]; 4] = [
            &[&[1, 2, 3], &[4, 5, 6]],
            &[&[0, 0, 0], &[1, 2, 3]],
            &[&[1, 2, 9], &[2, 4, 5]],
            &[],
        ];
        for case in cases {
            let columns = case.first().map_or(1, |row| row.len());
            let matrix: Vec<Vec<Integer>> = case
                .iter()
                .map(|row| row.iter().map(|&entry| entry.into()).collect())
                .collect();
            let vector = kernel(matrix.clone(), columns);
            assert!(vector.iter().any(|entry| *entry != 0), "{case:?}");
            for row in matrix {
                let moment: Integer = row
                    .iter()
                    .zip(&vector)
                    .map(|(a, b)| Integer::from(a * b))
                    .sum();
                assert_eq!(moment, 0, "{case:?}");
            }
        }
    }
}
