//! The polynomials that integer coefficients can express, as a lattice with a basis that suits a search.
//!
//! Establishes a unimodular change of basis: every polynomial `Σ k_j 2^steps[j] t^e_j` with integers `k_j` is
//! `Σ u_j ψ_j` with integers `u_j`, and back. The first functions `ψ` are Newton's at those of the points 0, 1, −1 that
//! the domain holds, where the value of a polynomial of one step is an integer: their coordinates have the least room.
//! The others vanish there and are reduced (Lenstra, Lenstra and Lovász 1982) in the frame's norm, so that each
//! direction has about the same room, and rounding one coordinate after the other loses little.

use super::basis::dot;
use super::frame::Frame;
use rug::{Float, Integer};

/// Share of the squared length that a swap must save.
const LOVASZ: f64 = 0.99;

/// A basis of the polynomials with integer coefficients.
pub(super) struct Lattice {
    /// `functions[j][e]`: the integer coefficients of ψ_j, in the order of the basis' exponents.
    pub functions: Vec<Vec<Integer>>,
    /// The coordinates in the order in which a search should fix them.
    pub order: Vec<usize>,
}

/// Whether a point with t = 0, 1, −1 lies in the domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Nodes {
    pub zero: bool,
    pub one: bool,
    pub minus_one: bool,
}

impl Lattice {
    pub fn new(exponents: &[u32], steps: &[i32], nodes: Nodes, frame: &Frame, precision: u32) -> Self {
        let count = exponents.len();
        let newton =
            if steps.windows(2).all(|pair| pair[0] == pair[1]) { newton(exponents, nodes) } else { Vec::new() };
        let held = newton.len();
        let mut functions = newton;
        for index in held..count {
            functions.push(match functions.get(held.wrapping_sub(1)) {
                // ω·u^j: the last Newton function has one root less than ω.
                Some(_) => times_root(&functions[index - 1], next_root(exponents, nodes, index)),
                None => unit(index, count),
            });
        }
        let vectors = |function: &Vec<Integer>| {
            let scaled = function.iter().zip(steps);
            let coefficients: Vec<Float> = scaled.map(|(k, &step)| Float::with_val(precision, k) << step).collect();
            frame.coordinates(&coefficients)
        };
        let mut tail: Vec<Reduced> = functions
            .split_off(held)
            .into_iter()
            .map(|coefficients| Reduced { vector: vectors(&coefficients), coefficients })
            .collect();
        reduce(&mut tail, precision);
        functions.extend(tail.into_iter().map(|it| it.coefficients));
        let order = (0..held).chain((held..count).rev()).collect();
        Self { functions, order }
    }

    /// The integer coefficients of `Σ u_j ψ_j`.
    pub fn coefficients(&self, coordinates: &[Integer]) -> Vec<Integer> {
        let mut sum = vec![Integer::new(); coordinates.len()];
        for (function, coordinate) in self.functions.iter().zip(coordinates) {
            for (entry, coefficient) in sum.iter_mut().zip(function) {
                *entry += coefficient * coordinate;
            }
        }
        sum
    }
}

fn unit(index: usize, count: usize) -> Vec<Integer> {
    (0..count).map(|other| Integer::from(other == index)).collect()
}

/// Multiplies by (v − root), where the coefficients are of v^j times a common monomial.
fn times_root(coefficients: &[Integer], root: i32) -> Vec<Integer> {
    let mut product = vec![Integer::new(); coefficients.len()];
    for (index, coefficient) in coefficients.iter().enumerate() {
        product[index] -= Integer::from(coefficient * root);
        if let Some(next) = product.get_mut(index + 1) {
            *next += coefficient;
        }
    }
    product
}

/// Roots of Newton's functions in v = t^step, where the exponents are `first + step·j`; none if they are not.
fn roots(exponents: &[u32], nodes: Nodes) -> Vec<i32> {
    let first = exponents.first().copied().unwrap_or(0);
    let step = exponents.get(1).map_or(1, |second| second - first);
    if exponents.windows(2).any(|pair| pair[1] - pair[0] != step) {
        return Vec::new();
    }
    let mut roots = Vec::new();
    if nodes.zero && first == 0 {
        roots.push(0);
    }
    if nodes.one || (nodes.minus_one && step.is_multiple_of(2)) {
        roots.push(1);
    }
    if nodes.minus_one && !step.is_multiple_of(2) {
        roots.push(-1);
    }
    roots
}

/// 1, v − r₀, (v − r₀)(v − r₁), … for the roots there are.
fn newton(exponents: &[u32], nodes: Nodes) -> Vec<Vec<Integer>> {
    let count = exponents.len();
    let mut functions: Vec<Vec<Integer>> = Vec::new();
    for (index, _) in roots(exponents, nodes).iter().enumerate().take(count) {
        functions.push(match functions.last() {
            None => unit(0, count),
            Some(last) => times_root(last, roots(exponents, nodes)[index - 1]),
        });
    }
    functions
}

/// The root by which function `index` differs from the one before it: the last of Newton's, then 0.
fn next_root(exponents: &[u32], nodes: Nodes, index: usize) -> i32 {
    let roots = roots(exponents, nodes);
    if index == roots.len() { roots.last().copied().unwrap_or(0) } else { 0 }
}

struct Reduced {
    coefficients: Vec<Integer>,
    vector: Vec<Float>,
}

impl Reduced {
    fn subtract(&mut self, other: &Reduced, factor: &Integer) {
        for (entry, along) in self.coefficients.iter_mut().zip(&other.coefficients) {
            *entry -= Integer::from(along * factor);
        }
        for (entry, along) in self.vector.iter_mut().zip(&other.vector) {
            *entry -= Float::with_val(along.prec(), along * factor);
        }
    }
}

/// Reduces in place. Swaps are bounded by the size of the numbers; the limit only guards against rounding.
fn reduce(basis: &mut [Reduced], precision: u32) {
    let mut orthogonal: Vec<(Vec<Float>, Float)> = Vec::with_capacity(basis.len());
    let mut index = 0;
    let mut visits = 0;
    while index < basis.len() && visits < 40_000 {
        visits += 1;
        orthogonal.truncate(index);
        for earlier in (0..index).rev() {
            let (direction, square) = &orthogonal[earlier];
            let share = dot(&basis[index].vector, direction, precision) / square;
            let factor = share.to_integer().unwrap_or_default();
            if factor != 0 {
                let (below, above) = basis.split_at_mut(index);
                above[0].subtract(&below[earlier], &factor);
            }
        }
        let mut rest = basis[index].vector.clone();
        let mut share = Float::new(precision);
        for (direction, square) in &orthogonal {
            share = dot(&basis[index].vector, direction, precision) / square;
            for (entry, along) in rest.iter_mut().zip(direction) {
                *entry -= &share * along;
            }
        }
        let square = dot(&rest, &rest, precision);
        if index > 0 {
            let before = &orthogonal[index - 1].1;
            let needed = Float::with_val(precision, LOVASZ - share.square()) * before;
            if square < needed {
                basis.swap(index - 1, index);
                index -= 1;
                continue;
            }
        }
        orthogonal.push((rest, square));
        index += 1;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn frame(exponents: &[u32]) -> Frame {
        let rows: Vec<Vec<Float>> = (0..60)
            .map(|i| {
                let t = Float::with_val(256, (f64::from(i) - 29.5) / 30.0);
                exponents.iter().map(|&e| Float::with_val(256, rug::ops::Pow::pow(&t, e))).collect()
            })
            .collect();
        Frame::new(rows.iter().map(Vec::as_slice), exponents.len(), 256)
    }

    /// The determinant over the rationals, by elimination.
    fn determinant(functions: &[Vec<Integer>]) -> rug::Rational {
        let mut rows: Vec<Vec<rug::Rational>> =
            functions.iter().map(|row| row.iter().map(rug::Rational::from).collect()).collect();
        let mut product = rug::Rational::from(1);
        for step in 0..rows.len() {
            let pivot = (step..rows.len()).find(|&row| rows[row][step] != 0).unwrap();
            if pivot != step {
                rows.swap(pivot, step);
                product = -product;
            }
            product *= &rows[step][step];
            let upper = rows[step].clone();
            for row in &mut rows[step + 1..] {
                let factor = rug::Rational::from(&row[step] / &upper[step]);
                for (entry, above) in row.iter_mut().zip(&upper) {
                    *entry -= rug::Rational::from(&factor * above);
                }
            }
        }
        product
    }

    #[test]
    fn bases_are_unimodular_and_vanish_at_the_nodes() {
        let all = Nodes { zero: true, one: true, minus_one: true };
        let none = Nodes { zero: false, one: false, minus_one: false };
        for (exponents, nodes, held) in [
            (vec![0, 1, 2, 3, 4, 5, 6], all, 3),
            (vec![0, 1], all, 2),
            (vec![0, 2, 4, 6], all, 2),
            (vec![1, 3, 5, 7], all, 1),
            (vec![0, 1, 2, 3, 4], none, 0),
            (vec![0, 1, 4, 5], all, 0),
        ] {
            let steps = vec![-16; exponents.len()];
            let lattice = Lattice::new(&exponents, &steps, nodes, &frame(&exponents), 256);
            assert_eq!(determinant(&lattice.functions).abs(), 1, "{exponents:?}");
            let at = |function: &[Integer], t: i32| -> Integer {
                function.iter().zip(&exponents).map(|(k, &e)| Integer::from(k * t.pow(e))).sum()
            };
            for function in lattice.functions.iter().skip(held).filter(|_| held > 0) {
                assert!(at(function, 1) == 0 && (exponents[0] > 0 || at(function, 0) == 0), "{function:?}");
            }
            let mut order = lattice.order.clone();
            order.sort_unstable();
            assert_eq!(order, (0..exponents.len()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn reduction_shortens() {
        let exponents: Vec<u32> = (0..12).collect();
        let frame = frame(&exponents);
        let none = Nodes { zero: false, one: false, minus_one: false };
        let lattice = Lattice::new(&exponents, &[0; 12], none, &frame, 256);
        let length = |function: &[Integer]| {
            let coefficients: Vec<Float> = function.iter().map(|k| Float::with_val(256, k)).collect();
            let vector = frame.coordinates(&coefficients);
            dot(&vector, &vector, 256).to_f64()
        };
        let shortest = lattice.functions.iter().map(|f| length(f)).fold(f64::INFINITY, f64::min);
        let monomial = (0..12).map(|index| length(&unit(index, 12))).fold(f64::INFINITY, f64::min);
        assert!(shortest < monomial / 100.0, "{shortest} {monomial}");
    }
}
