//! Dense linear equations in high precision: elimination with partial pivoting.

use rug::Float;

/// Solves `matrix · z = right`; `None` if a pivot is zero.
pub(super) fn solve(
    mut matrix: Vec<Vec<Float>>,
    mut right: Vec<Float>,
    precision: u32,
) -> Option<Vec<Float>> {
    let size = right.len();
    for step in 0..size {
        let pivot = (step..size).max_by(|&a, &b| {
            matrix[a][step]
                .as_abs()
                .total_cmp(&matrix[b][step].as_abs())
        })?;
        if matrix[pivot][step].is_zero() {
            return None;
        }
        matrix.swap(step, pivot);
        right.swap(step, pivot);
        let (above, below) = matrix.split_at_mut(step + 1);
        let pivot_row = &above[step];
        let (known, open) = right.split_at_mut(step + 1);
        for (row, value) in below.iter_mut().zip(open) {
            let factor = Float::with_val(precision, &row[step] / &pivot_row[step]);
            for (entry, upper) in row[step..].iter_mut().zip(&pivot_row[step..]) {
                *entry -= &factor * upper;
            }
            *value -= &factor * &known[step];
        }
    }
    for step in (0..size).rev() {
        let (known, open) = right.split_at_mut(step + 1);
        for (entry, value) in matrix[step][step + 1..].iter().zip(open.iter()) {
            known[step] -= entry * value;
        }
        known[step] /= &matrix[step][step];
    }
    Some(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn singular_is_refused_and_regular_is_solved() {
        let float = |value: i32| Float::with_val(128, value);
        let rows = |entries: [[i32; 2]; 2]| entries.map(|row| row.map(float).to_vec()).to_vec();
        assert_eq!(
            solve(rows([[1, 2], [2, 4]]), vec![float(1), float(1)], 128),
            None
        );
        let solution = solve(rows([[0, 2], [3, 4]]), vec![float(2), float(10)], 128);
        assert_eq!(solution, Some(vec![float(2), float(1)]));
    }
}
