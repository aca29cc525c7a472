//! Products of matrices modulo 2^64.
//!
//! A right factor is packed once (weights do not change) into panels of 16 columns, so that the inner loop reads
//! it in order: `panel[16·k + column]`. A product walks over panels, blocks of at most 2048 rows of the right
//! factor so that a block stays in the second-level cache, and tiles of a few rows of the left factor whose results
//! stay in registers. The tile is written three times, for AVX-512, AVX2 and any processor, and chosen at run time;
//! all are exact, so they agree bit for bit.

mod tile;

pub use tile::ROWS as TILE_ROWS;

use crate::protocol::Error;

/// Columns of a panel.
const PANEL: usize = 16;
/// Rows of the right factor that are used together: 256 KiB of a panel.
const DEPTH: usize = 2048;

/// A right factor of `rows` × `columns` words, packed.
#[derive(Clone, Debug)]
pub struct Packed {
    rows: usize,
    columns: usize,
    /// Panel by panel, `rows`·[`PANEL`] words each; missing columns are zero.
    words: Vec<u64>,
}

impl Packed {
    /// Packs `words`, row by row.
    ///
    /// # Errors
    /// A number of words other than `rows`·`columns`.
    pub fn new(words: &[u64], rows: usize, columns: usize) -> Result<Packed, Error> {
        require("the right factor", words.len(), rows, columns)?;
        let panels = columns.div_ceil(PANEL);
        let mut packed = vec![0; panels * rows * PANEL];
        for panel in 0..panels {
            let first = panel * PANEL;
            let width = PANEL.min(columns - first);
            let goal = &mut packed[panel * rows * PANEL..][..rows * PANEL];
            for (row, goal) in goal.as_chunks_mut::<PANEL>().0.iter_mut().enumerate() {
                goal[..width].copy_from_slice(&words[row * columns + first..][..width]);
            }
        }
        Ok(Packed { rows, columns, words: packed })
    }

    /// Packs the transpose of `words`, which has `columns` rows of `rows` words: weights stored by output.
    ///
    /// # Errors
    /// A number of words other than `rows`·`columns`.
    pub fn transposed(words: &[u64], rows: usize, columns: usize) -> Result<Packed, Error> {
        require("the right factor", words.len(), rows, columns)?;
        let panels = columns.div_ceil(PANEL);
        let mut packed = vec![0; panels * rows * PANEL];
        for column in 0..columns {
            let goal = &mut packed[column / PANEL * rows * PANEL..][..rows * PANEL];
            let column_words = &words[column * rows..][..rows];
            for (goal, &word) in goal.as_chunks_mut::<PANEL>().0.iter_mut().zip(column_words) {
                goal[column % PANEL] = word;
            }
        }
        Ok(Packed { rows, columns, words: packed })
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns.
    pub fn columns(&self) -> usize {
        self.columns
    }
}

/// `out` += `left` · `right`, with `left` of any number of rows by `right.rows()`, row by row.
///
/// # Errors
/// Lengths that do not agree.
pub fn multiply_add(left: &[u64], right: &Packed, out: &mut [u64]) -> Result<(), Error> {
    multiply_add_by(tile::Instructions::best(), left, right, out)
}

/// `left` [m × k] · `right` [k × n], row by row.
///
/// # Errors
/// Lengths that do not agree.
pub fn multiply(left: &[u64], right: &[u64], m: usize, k: usize, n: usize) -> Result<Vec<u64>, Error> {
    require("the left factor", left.len(), m, k)?;
    let mut out = vec![0; m * n];
    multiply_add(left, &Packed::new(right, k, n)?, &mut out)?;
    Ok(out)
}

fn require(what: &'static str, found: usize, rows: usize, columns: usize) -> Result<(), Error> {
    let expected = rows.saturating_mul(columns);
    if found == expected { Ok(()) } else { Err(Error::Size { what, found, expected, unit: "words" }) }
}

fn multiply_add_by(
    instructions: tile::Instructions,
    left: &[u64],
    right: &Packed,
    out: &mut [u64],
) -> Result<(), Error> {
    let (depth, columns) = (right.rows, right.columns);
    if depth == 0 || columns == 0 {
        return require("the product", out.len(), left.len().checked_div(depth).unwrap_or(0), columns);
    }
    let rows = left.len() / depth;
    require("the left factor", left.len(), rows, depth)?;
    require("the product", out.len(), rows, columns)?;
    for (panel, words) in right.words.chunks(depth * PANEL).enumerate() {
        let first = panel * PANEL;
        let width = PANEL.min(columns - first);
        for begin in (0..depth).step_by(DEPTH) {
            let end = depth.min(begin + DEPTH);
            let block = &words[begin * PANEL..end * PANEL];
            let mut row = 0;
            while row < rows {
                let tall = tile::ROWS.min(rows - row);
                let mut sums = [[0u64; PANEL]; tile::ROWS];
                let left = |index: usize| &left[(row + index) * depth + begin..(row + index) * depth + end];
                if tall > 2 {
                    // A last tile that is not full repeats its last row, which is cheaper than row by row.
                    let padded = |index: usize| left(index.min(tall - 1));
                    tile::multiply(instructions, std::array::from_fn(padded), block, &mut sums);
                } else {
                    for (index, sums) in sums.iter_mut().enumerate().take(tall) {
                        tile::multiply_row(instructions, left(index), block, sums);
                    }
                }
                for (index, sums) in sums.iter().enumerate().take(tall) {
                    let goal = &mut out[(row + index) * columns + first..][..width];
                    goal.iter_mut().zip(sums).for_each(|(goal, sum)| *goal = goal.wrapping_add(*sum));
                }
                row += tall;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(count: usize, seed: u64) -> Vec<u64> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            state ^ (state >> 31)
        };
        (0..count).map(|_| next()).collect()
    }

    fn naive(left: &[u64], right: &[u64], m: usize, k: usize, n: usize) -> Vec<u64> {
        let entry = |row: usize, column: usize| {
            (0..k).fold(0u64, |sum, i| sum.wrapping_add(left[row * k + i].wrapping_mul(right[i * n + column])))
        };
        (0..m * n).map(|index| entry(index / n, index % n)).collect()
    }

    #[test]
    fn wrong_lengths_are_refused() {
        assert!(Packed::new(&[0; 5], 2, 3).is_err() && Packed::transposed(&[0; 7], 2, 3).is_err());
        let right = Packed::new(&[0; 6], 2, 3).unwrap();
        assert!(multiply_add(&[0; 3], &right, &mut [0; 3]).is_err());
        assert!(multiply_add(&[0; 4], &right, &mut [0; 5]).is_err());
        assert!(multiply(&[0; 4], &[0; 6], 1, 2, 3).is_err());
    }

    #[test]
    fn every_path_and_odd_size_equals_the_definition() {
        let mut sizes = vec![(3, 2 * DEPTH + 5, 17), (1, 1, 1), (0, 4, 4), (8, 16, 32), (2, 3, 0)];
        sizes.extend((1..=18).flat_map(|m| [(m, 7, 33), (m, 1, 16), (m, 40, 15)]));
        for (m, k, n) in sizes {
            let (left, right) = (words(m * k, 1), words(k * n, 2));
            let expected = naive(&left, &right, m, k, n);
            let turned: Vec<u64> = (0..k * n).map(|index| right[index % k * n + index / k]).collect();
            for packed in [Packed::new(&right, k, n).unwrap(), Packed::transposed(&turned, k, n).unwrap()] {
                for instructions in tile::Instructions::available() {
                    let mut out = vec![0; m * n];
                    multiply_add_by(instructions, &left, &packed, &mut out).unwrap();
                    assert_eq!(out, expected, "{m}×{k}×{n} {instructions:?}");
                    multiply_add_by(instructions, &left, &packed, &mut out).unwrap();
                    assert!(out.iter().zip(&expected).all(|(twice, once)| *twice == once.wrapping_mul(2)));
                }
            }
            assert_eq!(multiply(&left, &right, m, k, n).unwrap(), expected);
        }
    }
}
