//! Upper bounds of spectral norms, without a power iteration: an iteration converges from below and proves nothing.
//!
//! For a positive semidefinite A with eigenvalues λᵢ and any p, λ_max ≤ (Σλᵢᵖ)^(1/p) = tr(Aᵖ)^(1/p), which exceeds
//! λ_max by at most the factor d^(1/p). The same holds for A·B with both semidefinite, whose eigenvalues are those of
//! √B·A·√B. Powers are taken by squaring, and a bound of the Frobenius norm of the accumulated rounding error goes
//! along, so that the result is sound in `f64`.

/// Squarings of the Gram matrix: p = 2⁶, a factor of at most d^(1/128) on the norm (3 % for d = 48).
const SQUARINGS: u32 = 6;
/// From this extent on only the cheap bounds are used.
const EXTENT_MAX: usize = 128;
/// Boxes with up to this many sides are bounded by looking at every corner.
const CORNERS_SIDES_MAX: usize = 10;

/// A matrix, row-major.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Matrix {
    pub rows: usize,
    pub columns: usize,
    pub data: Vec<f64>,
}

/// A square matrix with a bound of the Frobenius norm of its error.
struct Approximate {
    extent: usize,
    data: Vec<f64>,
    error: f64,
}

impl Matrix {
    pub fn row(&self, index: usize) -> &[f64] {
        &self.data[index * self.columns..(index + 1) * self.columns]
    }

    pub fn transposed(&self) -> Matrix {
        let data = (0..self.columns).flat_map(|column| self.data.iter().skip(column).step_by(self.columns.max(1)));
        Matrix { rows: self.columns, columns: self.rows, data: data.copied().collect() }
    }

    /// `self · other`.
    pub fn product(&self, other: &Matrix) -> Matrix {
        debug_assert_eq!(self.columns, other.rows);
        let mut data = vec![0.0; self.rows * other.columns];
        crate::graph::reference::multiply_into(&mut data, &self.data, &other.data, self.columns, other.columns);
        Matrix { rows: self.rows, columns: other.columns, data }
    }

    /// Each column's mean subtracted from it: what remains of the rows' values after their mean is taken away.
    pub fn centred(&self) -> Matrix {
        let mut means = vec![0.0; self.columns];
        for row in self.data.chunks_exact(self.columns.max(1)) {
            means.iter_mut().zip(row).for_each(|(mean, value)| *mean += value / self.rows as f64);
        }
        let mut centred = self.clone();
        for row in centred.data.chunks_exact_mut(self.columns.max(1)) {
            row.iter_mut().zip(&means).for_each(|(value, mean)| *value -= mean);
        }
        centred
    }

    pub fn frobenius(&self) -> f64 {
        norm(&self.data)
    }

    /// A number not below the largest ‖M·z‖ with ‖z‖ ≤ 1.
    pub fn spectral_bound(&self) -> f64 {
        let rows = self.data.chunks_exact(self.columns.max(1));
        let row_sum = rows.map(|row| row.iter().map(|value| value.abs()).sum::<f64>()).fold(0.0, f64::max);
        let transposed = self.transposed();
        let columns = transposed.data.chunks_exact(self.rows.max(1));
        let column_sum = columns.map(|row| row.iter().map(|value| value.abs()).sum::<f64>()).fold(0.0, f64::max);
        let cheap = self.frobenius().min((row_sum * column_sum).sqrt());
        let flat = if self.rows <= self.columns { self } else { &transposed };
        let bound = if flat.rows > EXTENT_MAX { cheap } else { flat.gram().eigenvalue_bound().sqrt().min(cheap) };
        bound * slightly(self.rows + self.columns)
    }

    /// A number not below the largest ‖selfᵀ·other·z‖ with ‖z‖ ≤ 1; both have as many rows.
    pub fn cross_spectral_bound(&self, other: &Matrix) -> f64 {
        let apart = self.spectral_bound() * other.spectral_bound();
        if self.rows > EXTENT_MAX {
            return apart;
        }
        let product = self.gram().product(&other.gram());
        (product.eigenvalue_bound().sqrt() * slightly(self.rows)).min(apart)
    }

    /// A number not below the largest ‖M·u‖ with every |uⱼ| ≤ 1.
    pub fn box_bound(&self) -> f64 {
        let columns = self.transposed();
        let by_columns: f64 = columns.data.chunks_exact(self.rows.max(1)).map(norm).sum();
        let by_norm = self.spectral_bound() * (self.columns as f64).sqrt();
        let mut bound = by_columns.min(by_norm);
        if (1..=CORNERS_SIDES_MAX).contains(&self.columns) {
            // ‖M·u‖ is convex in u, so a corner attains the largest; u and −u give the same.
            let corner = |signs: usize| {
                let sign = |column: usize| if signs >> column & 1 == 1 { 1.0 } else { -1.0 };
                let value = |row: &[f64]| row.iter().enumerate().map(|(column, x)| x * sign(column)).sum::<f64>();
                self.data.chunks_exact(self.columns).map(|row| value(row).powi(2)).sum::<f64>().sqrt()
            };
            bound = bound.min((0..1_usize << (self.columns - 1)).map(corner).fold(0.0, f64::max));
        }
        bound * slightly(self.rows + self.columns) + self.frobenius() * 1e-12
    }

    /// `self · selfᵀ`; each entry is off by at most `columns` roundings of a product of two rows' norms.
    fn gram(&self) -> Approximate {
        let product = self.product(&self.transposed());
        let error = (self.columns as f64 + 16.0) * f64::EPSILON * self.frobenius().powi(2);
        Approximate { extent: self.rows, data: product.data, error }
    }
}

impl Approximate {
    fn product(&self, other: &Approximate) -> Approximate {
        let extent = self.extent;
        let mut data = vec![0.0; extent * extent];
        crate::graph::reference::multiply_into(&mut data, &self.data, &other.data, extent, extent);
        let (a, b) = (norm(&self.data), norm(&other.data));
        let fresh = (extent as f64 + 16.0) * f64::EPSILON * a * b;
        let error = (a * other.error + self.error * b + self.error * other.error + fresh) * slightly(extent);
        Approximate { extent, data, error }
    }

    fn trace_bound(&self) -> f64 {
        let trace: f64 = (0..self.extent).map(|index| self.data[index * self.extent + index]).sum();
        let size = norm(&self.data) * (self.extent as f64).sqrt();
        // |tr E| ≤ √d·‖E‖; the same for the rounding of the sum.
        trace.max(0.0) + (self.extent as f64).sqrt() * self.error + size * (slightly(self.extent) - 1.0)
    }

    /// Upper bound of the largest eigenvalue of a matrix whose eigenvalues are real and not negative.
    fn eigenvalue_bound(mut self) -> f64 {
        let mut bound = self.trace_bound();
        // Scaled to about one before every squaring, so that no power overflows: `unit` is the product of the scales.
        let (mut logarithm, mut power) = (0.0_f64, 1.0_f64);
        for _ in 0..SQUARINGS {
            let size = norm(&self.data);
            if size == 0.0 || !size.is_finite() {
                break;
            }
            self.data.iter_mut().for_each(|value| *value /= size);
            self.error = self.error / size + (-50_f64).exp2();
            logarithm = 2.0 * (logarithm + size.ln());
            power *= 2.0;
            self = self.product(&self);
            let candidate = ((self.trace_bound().ln() + logarithm) / power).exp() * (1.0 + 1e-12);
            bound = bound.min(candidate);
        }
        bound
    }
}

/// Euclidean norm.
pub(super) fn norm(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum::<f64>().sqrt()
}

/// A factor above one that covers the relative rounding of a norm of `terms` terms.
pub(super) fn slightly(terms: usize) -> f64 {
    1.0 + (terms as f64 + 16.0) * f64::EPSILON
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(rows: usize, columns: usize, seed: u64) -> Matrix {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
        };
        Matrix { rows, columns, data: (0..rows * columns).map(|_| next()).collect() }
    }

    fn largest_by_iteration(matrix: &Matrix) -> f64 {
        let flipped = matrix.transposed();
        let mut z = Matrix { rows: matrix.columns, columns: 1, data: vec![1.0; matrix.columns] };
        for _ in 0..500 {
            z = flipped.product(&matrix.product(&z));
            let size = z.frobenius();
            z.data.iter_mut().for_each(|value| *value /= size);
        }
        matrix.product(&z).frobenius()
    }

    #[test]
    fn spectral_bounds_lie_above_the_iteration_and_close_to_it() {
        for (rows, columns) in [(1, 1), (12, 48), (48, 12), (48, 48), (7, 3)] {
            let matrix = random(rows, columns, (rows * columns) as u64);
            let (bound, truth) = (matrix.spectral_bound(), largest_by_iteration(&matrix));
            assert!(truth <= bound && bound <= 1.04 * truth, "{rows}×{columns}: {truth} {bound}");
            let other = random(rows, columns, 99);
            let (bound, truth) =
                (matrix.cross_spectral_bound(&other), largest_by_iteration(&matrix.transposed().product(&other)));
            assert!(truth <= bound && bound <= 1.04 * truth, "{rows}×{columns}: {truth} {bound}");
        }
        let zero = Matrix { rows: 3, columns: 3, data: vec![0.0; 9] };
        assert!(zero.spectral_bound() >= 0.0 && zero.spectral_bound() < 1e-12);
    }

    #[test]
    fn ill_conditioned_and_orthogonal_products_stay_sound() {
        // aᵀ·b = 0 although both are large: only rounding remains, and the bound must cover it.
        let a = Matrix { rows: 2, columns: 2, data: vec![1e8, 0.0, 0.0, 1e-8] };
        let b = Matrix { rows: 2, columns: 2, data: vec![0.0, 0.0, 0.0, 1.0] };
        let bound = a.cross_spectral_bound(&b);
        assert!(bound >= 1e-8, "{bound}");
        let rank_one = Matrix { rows: 3, columns: 3, data: vec![1.0; 9] };
        assert!((3.0..3.1).contains(&rank_one.spectral_bound()));
    }

    #[test]
    fn box_bounds_are_attained_at_a_corner() {
        let matrix = random(9, 4, 5);
        let bound = matrix.box_bound();
        let mut attained = 0.0_f64;
        for corner in 0..16_usize {
            let u = (0..4).map(|side| if corner >> side & 1 == 1 { 1.0 } else { -1.0 }).collect();
            attained = attained.max(matrix.product(&Matrix { rows: 4, columns: 1, data: u }).frobenius());
        }
        assert!(attained <= bound && bound < attained * (1.0 + 1e-9));
        assert!(random(9, 20, 6).box_bound() > random(9, 20, 6).spectral_bound());
    }
}
