//! Weights as right matrices of products: what follows from them alone, kept from proof to proof.
//!
//! A tuner proves the same model with many choices. Its weights are the same tensors every time (see
//! [`Encoder`](crate::circuit::lower::Encoder)), and what is costly to know of them (norms of their columns, operator
//! norms, images of centres) is found once. What is kept is what would be computed again, to the bit.

use super::function::MARGIN;
use super::interval::Interval;
use super::spectral::{self, Matrix};
use crate::circuit::tensor::Integers;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Integers of weights that are kept: two gibibytes.
const KEPT_MAX: usize = 1 << 28;
/// Images of centres that are kept per weight.
const IMAGES_MAX: usize = 64;

/// What was found of weights so far. A weight is known by its tensor itself, which is kept so that no other can take its
/// place.
#[derive(Default)]
pub struct Norms(Mutex<BTreeMap<(usize, usize), Arc<Factor>>>);

impl Norms {
    /// A weight as right matrix with `columns` columns.
    pub(super) fn factor(&self, weight: &Arc<Integers>, columns: usize) -> Arc<Factor> {
        let key = (Arc::as_ptr(weight).addr(), columns);
        if let Some(known) = locked(&self.0).get(&key) {
            return Arc::clone(known);
        }
        let own = Arc::new(Factor::new(Arc::clone(weight), columns));
        let mut known = locked(&self.0);
        if known.values().map(|factor| factor.values().len()).sum::<usize>() > KEPT_MAX {
            return own;
        }
        Arc::clone(known.entry(key).or_insert(own))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A row, and the row times the matrix.
type Image = (Vec<f64>, Arc<Vec<f64>>);

/// See the module.
pub(super) struct Factor {
    weight: Arc<Integers>,
    columns: usize,
    hull: Interval,
    plain: Arc<Stretch>,
    stretched: Mutex<Vec<Arc<Stretch>>>,
    images: Mutex<Vec<Image>>,
}

impl Factor {
    fn new(weight: Arc<Integers>, columns: usize) -> Factor {
        let points = weight.values().iter().map(|&value| Interval::point(value));
        let hull = points.reduce(Interval::hull).unwrap_or_default();
        let plain = Arc::new(Stretch::new(Arc::clone(&weight), columns, None));
        Factor { weight, columns, hull, plain, stretched: Mutex::default(), images: Mutex::default() }
    }

    /// The numbers, row by row.
    pub fn values(&self) -> &[i64] {
        self.weight.values()
    }

    /// Elements of a row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The least and the greatest number.
    pub fn hull(&self) -> Interval {
        self.hull
    }

    /// The matrix itself.
    pub fn plain(&self) -> &Arc<Stretch> {
        &self.plain
    }

    /// The matrix with every row times its factor.
    pub fn stretched(&self, factors: &Arc<Vec<f64>>) -> Arc<Stretch> {
        let same = |stretch: &&Arc<Stretch>| stretch.factors.as_ref().is_some_and(|own| own == factors);
        let known = locked(&self.stretched).iter().find(same).cloned();
        known.unwrap_or_else(|| {
            let own = Arc::new(Stretch::new(Arc::clone(&self.weight), self.columns, Some(Arc::clone(factors))));
            locked(&self.stretched).push(Arc::clone(&own));
            own
        })
    }

    /// Rows times the matrix, one after the other.
    pub fn images(&self, rows: &[f64]) -> Vec<f64> {
        let length = self.weight.values().len() / self.columns.max(1);
        let mut images = Vec::with_capacity(rows.len() / length.max(1) * self.columns);
        let mut matrix: Option<Vec<f64>> = None;
        for row in rows.chunks_exact(length.max(1)) {
            let known = locked(&self.images).iter().find(|(known, _)| known == row).map(|(_, image)| Arc::clone(image));
            let image = known.unwrap_or_else(|| {
                let matrix = matrix.get_or_insert_with(|| doubles(&self.weight));
                let mut image = vec![0.0; self.columns];
                crate::graph::reference::multiply_into(&mut image, row, matrix, length, self.columns);
                let image = Arc::new(image);
                let mut images = locked(&self.images);
                if images.len() < IMAGES_MAX {
                    images.push((row.to_vec(), Arc::clone(&image)));
                }
                image
            });
            images.extend_from_slice(&image);
        }
        images
    }
}

/// A weight, or a weight with its rows stretched, as a matrix of doubles that is made when it is asked for.
pub(super) struct Stretch {
    weight: Arc<Integers>,
    columns: usize,
    factors: Option<Arc<Vec<f64>>>,
    column_norms: OnceLock<Vec<f64>>,
    norm: OnceLock<f64>,
    /// By the columns of a part.
    parts: Mutex<BTreeMap<usize, f64>>,
}

impl Stretch {
    fn new(weight: Arc<Integers>, columns: usize, factors: Option<Arc<Vec<f64>>>) -> Stretch {
        let (column_norms, norm, parts) = Default::default();
        Stretch { weight, columns, factors, column_norms, norm, parts }
    }

    fn matrix(&self) -> Matrix {
        let mut data = doubles(&self.weight);
        for (row, &factor) in data.chunks_exact_mut(self.columns.max(1)).zip(self.factors.iter().flat_map(|own| &**own))
        {
            row.iter_mut().for_each(|value| *value *= factor);
        }
        Matrix { columns: self.columns, data }
    }

    /// Upper bounds of the columns' norms.
    pub fn column_norms(&self) -> &[f64] {
        self.column_norms.get_or_init(|| {
            let mut squares = vec![0.0; self.columns];
            for row in self.matrix().data.chunks_exact(self.columns.max(1)) {
                squares.iter_mut().zip(row).for_each(|(square, value)| *square += value * value);
            }
            squares.into_iter().map(|square: f64| square.sqrt() * (1.0 + MARGIN)).collect()
        })
    }

    /// An upper bound of the operator norm.
    pub fn norm(&self) -> f64 {
        *self.norm.get_or_init(|| spectral::bound(&self.matrix()))
    }

    /// The largest bound of the operator norms of its parts with `count` columns each.
    pub fn norm_of_parts(&self, count: usize) -> f64 {
        if let Some(&known) = locked(&self.parts).get(&count) {
            return known;
        }
        let matrix = self.matrix();
        let parts = (0..self.columns / count.max(1)).map(|part| spectral::bound(&matrix.part(part * count, count)));
        let largest = parts.fold(0.0, f64::max);
        locked(&self.parts).insert(count, largest);
        largest
    }
}

fn doubles(weight: &Integers) -> Vec<f64> {
    weight.values().iter().map(|&value| value as f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::circuit::shape::Shape;

    fn weight(values: &[i64], rows: usize, columns: usize) -> Arc<Integers> {
        Arc::new(Integers::new(Shape::new([rows, columns]).unwrap(), values.to_vec()).unwrap())
    }

    /// A second question has the first one's answer, another weight or another stretch its own.
    #[test]
    fn what_is_kept_is_what_would_be_computed() {
        let norms = Norms::default();
        let (first, second) = (weight(&[1, -2, 3, 4, 5, -6], 2, 3), weight(&[7, -2, 3, 4, 5, -6], 2, 3));
        let factor = norms.factor(&first, 3);
        assert!(Arc::ptr_eq(&factor, &norms.factor(&first, 3)));
        assert_eq!(factor.hull(), Interval { low: -6, high: 5 });
        for _ in 0..2 {
            assert_eq!(
                factor.images(&[1.0, 0.0, 1.0, 1.0, 1.0, 0.0]),
                [1.0, -2.0, 3.0, 5.0, 3.0, -3.0, 1.0, -2.0, 3.0]
            );
        }
        let other = norms.factor(&second, 3);
        assert_eq!(other.images(&[1.0, 0.0]), [7.0, -2.0, 3.0]);
        let factors = Arc::new(vec![2.0, -1.0]);
        let stretched = factor.stretched(&factors);
        assert!(Arc::ptr_eq(&stretched, &factor.stretched(&Arc::new(vec![2.0, -1.0]))));
        assert!(!Arc::ptr_eq(&stretched, &factor.stretched(&Arc::new(vec![2.0, -1.5]))));
        let expected = Matrix { columns: 3, data: vec![2.0, -4.0, 6.0, -4.0, -5.0, 6.0] };
        for _ in 0..2 {
            assert_eq!(stretched.norm().to_bits(), spectral::bound(&expected).to_bits());
            let parts = (0..3).map(|part| spectral::bound(&expected.part(part, 1))).fold(0.0, f64::max);
            assert_eq!(stretched.norm_of_parts(1).to_bits(), parts.to_bits());
        }
        assert_ne!(factor.plain().norm(), other.plain().norm());
        for (norm, column) in stretched.column_norms().iter().zip([20.0f64, 41.0, 72.0]) {
            assert!(*norm >= column.sqrt() && *norm < column.sqrt() * (1.0 + 4.0 * MARGIN) + 1e-12, "{norm} {column}");
        }
    }
}
