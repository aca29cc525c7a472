//! Frames: coordinates in which a linear program over monomials is well conditioned.
//!
//! Establishes, for sampled functions `m_0 … m_{n-1}`, an upper triangular `R` with `M = Q R` and
//! orthonormal columns `Q` over the samples (modified Gram–Schmidt). On Chebyshev nodes and with the
//! full basis the columns of `Q` are Chebyshev polynomials up to scale, but the construction serves
//! parities, gaps, weights and unions of intervals alike. Polynomials with coordinates `d` have the
//! coefficients `c = R^-1 d`.

use super::basis::dot;
use rug::Float;

/// A change of coordinates that is orthonormal over the samples it was built from.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// `columns[k][j] = R[j][k]` for `j <= k`.
    columns: Vec<Vec<Float>>,
    precision: u32,
    lost_bits: u32,
}

impl Frame {
    /// Orthonormalises the columns of `rows` (one row per sample, one column per function).
    pub fn new<'a>(rows: impl Iterator<Item = &'a [Float]> + Clone, functions: usize, precision: u32) -> Self {
        let mut orthonormal: Vec<Vec<Float>> = Vec::with_capacity(functions);
        let mut columns = Vec::with_capacity(functions);
        let mut lost_bits = 0u32;
        for function in 0..functions {
            let mut vector: Vec<Float> = rows.clone().map(|row| row[function].clone()).collect();
            let before = norm(&vector, precision);
            let mut column = Vec::with_capacity(function + 1);
            for direction in &orthonormal {
                let projection = dot(direction, &vector, precision);
                for (entry, along) in vector.iter_mut().zip(direction) {
                    *entry -= &projection * along;
                }
                column.push(projection);
            }
            let after = norm(&vector, precision);
            lost_bits = lost_bits.max(lost(&before, &after, precision));
            if !after.is_zero() {
                vector.iter_mut().for_each(|entry| *entry /= &after);
            }
            column.push(after);
            columns.push(column);
            orthonormal.push(vector);
        }
        Self { columns, precision, lost_bits }
    }

    /// Bits of the working precision that cancellation consumed; all of them if the functions are
    /// dependent on the samples.
    pub fn lost_bits(&self) -> u32 {
        self.lost_bits
    }

    /// The frame's functions where the monomials have the values `monomials`: solves `y R = m`.
    pub fn row(&self, monomials: &[Float]) -> Vec<Float> {
        let mut row: Vec<Float> = Vec::with_capacity(monomials.len());
        for (column, monomial) in self.columns.iter().zip(monomials) {
            let known = dot(&column[..row.len()], &row, self.precision);
            let entry = Float::with_val(self.precision, monomial - known) / &column[row.len()];
            row.push(entry);
        }
        row
    }

    /// The coordinates of the function with the monomial coefficients `coefficients`: `R c`.
    pub fn coordinates(&self, coefficients: &[Float]) -> Vec<Float> {
        let mut coordinates = vec![Float::new(self.precision); coefficients.len()];
        for (column, coefficient) in self.columns.iter().zip(coefficients) {
            for (entry, factor) in coordinates.iter_mut().zip(column) {
                *entry += factor * coefficient;
            }
        }
        coordinates
    }

    /// Monomial coefficients of the function with coordinates `coordinates`: solves `R c = d`.
    pub fn coefficients(&self, coordinates: &[Float]) -> Vec<Float> {
        let mut right: Vec<Float> = coordinates.to_vec();
        for function in (0..self.columns.len()).rev() {
            let column = &self.columns[function];
            let coefficient = Float::with_val(self.precision, &right[function] / &column[function]);
            for (entry, factor) in right.iter_mut().zip(&column[..function]) {
                *entry -= factor * &coefficient;
            }
            right[function] = coefficient;
        }
        right
    }
}

fn norm(vector: &[Float], precision: u32) -> Float {
    dot(vector, vector, precision).sqrt()
}

fn lost(before: &Float, after: &Float, precision: u32) -> u32 {
    match (before.get_exp(), after.get_exp()) {
        (Some(before), Some(after)) => u32::try_from(before - after).unwrap_or(0).min(precision),
        _ => precision,
    }
}
