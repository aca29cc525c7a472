//! Products of matrices in a simulation: of clear integers, which are small.

use super::super::layout::Factor;
use super::super::products;
use super::super::shape::Shape;
use super::small::SmallFactor;
use crate::backend::cpu::matrix::Packed;
use crate::backend::cpu::widest::{Loop, widest};
use rayon::prelude::*;
use std::sync::OnceLock;

/// Multiply-adds of several matrices that are worth a task of their own.
const OPERATIONS_AT_ONCE: usize = 1 << 18;

/// A matrix as a right factor, packed as its products need it.
pub(super) struct RightFactor {
    small: Option<SmallFactor>,
    /// For products that doubles might not hold: packed when the first comes.
    words: OnceLock<Packed>,
}

impl RightFactor {
    /// Of `values`, row by row.
    pub(super) fn new(values: &[i64], rows: usize, columns: usize) -> RightFactor {
        // A column is read as it is.
        let small = if columns == 1 { None } else { SmallFactor::new(values, rows, columns) };
        RightFactor { small, words: OnceLock::new() }
    }

    /// total += coefficient · left · `values`, row by row; `values` are those that this was made of, with rows as long as
    /// those of `total`.
    fn add_product(&self, coefficient: i64, left: &[i64], values: &[i64], total: &mut [i64], columns: usize) {
        let rows = values.len() / columns;
        if columns == 1 {
            return widest(Column { coefficient, left, values, total });
        }
        if self.small.as_ref().is_some_and(|small| small.add_product(coefficient, left, total)) {
            return;
        }
        let pack = || Packed::new(&i64::words(values), rows, columns).expect("the circuit's shapes agree");
        products::add_product(coefficient, left, self.words.get_or_init(pack), total);
    }
}

/// Adds coefficient · (left × right) to `total`, of shape `shape`. `kept` is the right factor if it is a matrix that stays
/// the same.
pub(super) fn add(
    coefficient: i64,
    left: (&[i64], &Shape),
    right: (&[i64], &Shape),
    kept: Option<&RightFactor>,
    total: &mut [i64],
    shape: &Shape,
) {
    let (inner, columns) = (left.1.row_length(), shape.row_length());
    let once = |left: &[i64], right: &[i64], total: &mut [i64]| {
        RightFactor::new(right, inner, columns).add_product(coefficient, left, right, total, columns);
    };
    if products::is_one_matrix(left.1, right.1, shape) {
        return match kept {
            Some(factor) => factor.add_product(coefficient, left.0, right.0, total, columns),
            None => once(left.0, right.0, total),
        };
    }
    let (length, factors) = products::matrices(left.1, right.1, shape);
    let matrices_at_once = (OPERATIONS_AT_ONCE / (length * inner)).max(1);
    let tasks = total.par_chunks_mut(length * matrices_at_once).zip(factors.par_chunks(matrices_at_once));
    tasks.for_each(|(total, factors)| {
        for (total, [a, b]) in total.chunks_exact_mut(length).zip(factors) {
            once(&left.0[a.clone()], &right.0[b.clone()], total);
        }
    });
}

/// A matrix times a column.
struct Column<'a> {
    coefficient: i64,
    left: &'a [i64],
    values: &'a [i64],
    total: &'a mut [i64],
}

impl Loop for Column<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Column { coefficient, left, values, total } = self;
        for (total, row) in total.iter_mut().zip(left.chunks_exact(values.len())) {
            let mut sum = 0i64;
            for (&a, &b) in row.iter().zip(values) {
                sum = sum.wrapping_add(a.wrapping_mul(b));
            }
            *total = total.wrapping_add(sum.wrapping_mul(coefficient));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ProductKind;
    use super::*;

    fn numbers(shape: &Shape, bits: u32) -> Vec<i64> {
        let word = |lane: usize| (lane as i64 + 3).wrapping_mul(0x5851_f42d_4c95_7f2d).rotate_left(17);
        (0..shape.lanes()).map(|lane| word(lane) >> (64 - bits)).collect()
    }

    #[test]
    fn every_kind_of_product_equals_the_definition() {
        let shape = |extents: &[usize]| Shape::new(extents).unwrap();
        // Left, right, result, bits of an operand: of 40, doubles could not hold a product.
        let cases: [(&[usize], &[usize], &[usize]); 6] = [
            (&[5, 70], &[70, 33], &[5, 33]),
            (&[2, 3, 9], &[9, 1], &[2, 3, 1]),
            (&[4, 1, 9], &[4, 9, 1], &[4, 1, 1]),
            (&[3, 2, 4, 5], &[3, 2, 5, 6], &[3, 2, 4, 6]),
            (&[3, 1, 4, 5], &[2, 5, 6], &[3, 2, 4, 6]),
            (&[4, 5], &[7, 5, 16], &[7, 4, 16]),
        ];
        for ((left, right, result), bits) in cases.into_iter().flat_map(|case| [(case, 12), (case, 40), (case, 64)]) {
            let (left, right, result) = (shape(left), shape(right), shape(result));
            let (x, w) = (numbers(&left, bits), numbers(&right, bits));
            let mut expected = vec![11i64; result.lanes()];
            // The general product, which is tested against the definition of every lane.
            products::accumulate(&ProductKind::MatMul, -7, (&x, &left), (&w, &right), &mut expected, &result);
            let kept = matches!(right.extents(), [_, _]).then(|| {
                let [rows, columns] = [right.extents()[0], right.extents()[1]];
                RightFactor::new(&w, rows, columns)
            });
            // A factor that is kept serves more than once.
            for kept in [None, kept.as_ref(), kept.as_ref()] {
                let mut total = vec![11; result.lanes()];
                add(-7, (&x, &left), (&w, &right), kept, &mut total, &result);
                assert_eq!(total, expected, "{left} · {right}, {bits} bits");
            }
        }
    }
}
