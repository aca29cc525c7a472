//! Upper bounds of operator norms: σ(A)² ≤ (tr (AᵀA)^16)^(1/16), from three squarings and a Frobenius norm.
//!
//! Why: tr M^16 = Σ λᵢ^16 ≥ λ₁^16 for M = AᵀA, which is symmetric and not negative, and tr M^16 = ‖M^8‖²_F. Rounding:
//! AᵀA in doubles is off by at most m·2^−53·‖A‖²_F ≤ m·n·2^−53·λ₁ (n the smaller side, m the larger), and so is each
//! squaring; [`ROUNDING`] covers that for m·n ≤ 2^30. For a matrix whose products would take too long, σ(A)² is at most
//! the largest row sum times the largest column sum of |A|, and at most ‖A‖²_F: looser, in one pass.

/// See the module.
const ROUNDING: f64 = 1.0 / (1u64 << 20) as f64;

/// Multiply-adds of AᵀA from which on only sums are taken: a quarter of a minute.
const PRODUCT_MAX: usize = 1 << 35;

/// A row-major matrix of doubles.
#[derive(Clone, Debug)]
pub(super) struct Matrix {
    pub columns: usize,
    pub data: Vec<f64>,
}

impl Matrix {
    fn rows(&self) -> usize {
        self.data.len() / self.columns.max(1)
    }

    fn transposed(&self) -> Matrix {
        let (rows, columns) = (self.rows(), self.columns);
        let data = (0..columns).flat_map(|column| (0..rows).map(move |row| self.data[row * columns + column]));
        Matrix { columns: rows, data: data.collect() }
    }

    /// The columns `first..first + count`.
    pub fn part(&self, first: usize, count: usize) -> Matrix {
        let rows = self.data.chunks_exact(self.columns).flat_map(|row| &row[first..first + count]);
        Matrix { columns: count, data: rows.copied().collect() }
    }

    fn times(&self, other: &Matrix) -> Matrix {
        let mut data = vec![0.0; self.rows() * other.columns];
        crate::graph::reference::multiply_into(&mut data, &self.data, &other.data, self.columns, other.columns);
        Matrix { columns: other.columns, data }
    }

    fn largest(&self) -> f64 {
        self.data.iter().fold(0.0, |largest, value| value.abs().max(largest))
    }

    fn divided(mut self, by: f64) -> Matrix {
        self.data.iter_mut().for_each(|value| *value /= by);
        self
    }
}

/// An upper bound of the operator norm.
pub(super) fn bound(matrix: &Matrix) -> f64 {
    let unit = matrix.largest();
    if unit == 0.0 || !unit.is_finite() {
        return unit;
    }
    let smaller = matrix.rows().min(matrix.columns);
    if matrix.data.len().saturating_mul(smaller) >= PRODUCT_MAX {
        return bound_of_sums(matrix);
    }
    let tall = matrix.rows() >= matrix.columns;
    let scaled = matrix.clone().divided(unit);
    let mut gram = if tall { scaled.transposed().times(&scaled) } else { scaled.times(&scaled.transposed()) };
    // λ₁(gram) = scale^(1/power) · λ₁(the current matrix)^(1/power), kept in logarithms.
    let (mut logarithm, mut power) = (0.0, 1.0);
    for _ in 0..3 {
        let largest = gram.largest();
        logarithm += largest.ln() / power;
        gram = gram.divided(largest);
        gram = gram.times(&gram);
        power *= 2.0;
    }
    let frobenius: f64 = gram.data.iter().map(|value| value * value).sum();
    let eigenvalue = (logarithm + frobenius.ln() / (2.0 * power)).exp();
    unit * eigenvalue.sqrt() * (1.0 + ROUNDING)
}

/// √(largest row sum · largest column sum), or the Frobenius norm where that is less.
fn bound_of_sums(matrix: &Matrix) -> f64 {
    let mut of_columns = vec![0.0f64; matrix.columns];
    let (mut of_row, mut squares) = (0.0f64, 0.0f64);
    for row in matrix.data.chunks_exact(matrix.columns) {
        of_columns.iter_mut().zip(row).for_each(|(sum, value)| *sum += value.abs());
        of_row = of_row.max(row.iter().map(|value| value.abs()).sum());
        squares += row.iter().map(|value| value * value).sum::<f64>();
    }
    let of_column = of_columns.into_iter().fold(0.0, f64::max);
    (of_row * of_column).min(squares).sqrt() * (1.0 + ROUNDING)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pseudo_random(rows: usize, columns: usize) -> Matrix {
        let mut state = 0x9E37_79B9_7F4A_7C15u64;
        let data = (0..rows * columns).map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5
        });
        Matrix { columns, data: data.collect() }
    }

    /// The norm from below by power iteration.
    fn attained(matrix: &Matrix) -> f64 {
        let mut x = Matrix { columns: 1, data: (0..matrix.columns).map(|i| 1.0 + i as f64).collect() };
        let mut norm = 0.0;
        for _ in 0..200 {
            let length = x.data.iter().map(|v| v * v).sum::<f64>().sqrt();
            x = x.divided(length);
            let image = matrix.times(&x);
            norm = image.data.iter().map(|v| v * v).sum::<f64>().sqrt();
            x = matrix.transposed().times(&image);
        }
        norm
    }

    #[test]
    fn bounds_hold_and_are_close() {
        for (rows, columns) in [(1, 1), (5, 40), (40, 5), (24, 24)] {
            let matrix = pseudo_random(rows, columns);
            let (below, above) = (attained(&matrix), bound(&matrix));
            assert!(below <= above && above <= 1.11 * below, "{rows}x{columns}: {below} {above}");
            let loose = bound_of_sums(&matrix);
            assert!(above <= loose * 1.11 && loose <= 10.0 * below, "{rows}x{columns}: {below} {loose}");
            assert!(below <= loose, "{rows}x{columns}: {below} {loose}");
        }
        assert_eq!(bound(&Matrix { columns: 2, data: vec![0.0; 6] }), 0.0);
    }
}
