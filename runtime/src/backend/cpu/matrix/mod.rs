//! Products of matrices modulo 2^64.
//!
//! A right factor is packed once (weights do not change) into panels of 16 columns, so that the inner loop reads it in
//! order: `panel[k][column]`, with a row of zeros where the height is odd. A product copies blocks of `HEIGHT` rows
//! and `DEPTH` columns of the left factor, tile by tile, into one buffer that stays in the second-level cache, and walks
//! over the panels. A panel's sums stay in a small buffer over the whole depth, which is taken in slices that fit the
//! first-level cache, and are given out once: with a result in every slice's turn, a fifth of the time went there.
//! Nothing is allocated in between. The tile is written three times, for AVX-512, AVX2 and any processor, and chosen at
//! run time; all are exact, so they agree bit for bit.

mod rows;
mod tile;

pub use rows::{Matrix, Patches, Rows};
pub use tile::{Instructions, ROWS as TILE_ROWS, Step};

use crate::protocol::Error;
use std::ops::Range;

/// Columns of a panel.
pub const PANEL: usize = 16;
/// Columns of the left factor that are copied together. Even, so that pairs stay together, as is [`SLICE`].
const DEPTH: usize = 1024;
/// Rows of the right factor that all tiles use before the next ones: 16 KiB of a panel, which stays in the first-level
/// cache beside a tile of the left factor.
const SLICE: usize = 128;
/// Rows of the left factor that are copied together, whole tiles: 512 KiB with [`DEPTH`].
const HEIGHT: usize = 64;

/// A right factor of `rows` × `columns` words, packed.
#[derive(Clone, Debug)]
pub struct Packed {
    rows: usize,
    columns: usize,
    /// Panel by panel, an even number of rows; missing rows and columns are zero.
    steps: Vec<Step<PANEL>>,
    /// Of each column of each panel, Σ of the products of rows 2k and 2k + 1.
    pair_sums: Vec<[u64; PANEL]>,
}

impl Packed {
    /// Packs `words`, row by row.
    ///
    /// # Errors
    /// A number of words other than `rows`·`columns`.
    pub fn new(words: &[u64], rows: usize, columns: usize) -> Result<Packed, Error> {
        require("the right factor", words.len(), rows, columns)?;
        let mut packed = Packed::zeros(rows, columns);
        let length = packed.panel_steps();
        for (panel, goal) in packed.steps.chunks_exact_mut(length).enumerate() {
            let first = panel * PANEL;
            let width = PANEL.min(columns - first);
            for (row, goal) in goal.iter_mut().take(rows).enumerate() {
                goal.0[..width].copy_from_slice(&words[row * columns + first..][..width]);
            }
        }
        Ok(packed.with_pair_sums())
    }

    /// Packs the transpose of `words`, which has `columns` rows of `rows` words: weights stored by output.
    ///
    /// # Errors
    /// A number of words other than `rows`·`columns`.
    pub fn transposed(words: &[u64], rows: usize, columns: usize) -> Result<Packed, Error> {
        require("the right factor", words.len(), rows, columns)?;
        let mut packed = Packed::zeros(rows, columns);
        let length = packed.panel_steps();
        for column in 0..columns {
            let goal = &mut packed.steps[column / PANEL * length..][..length];
            let column_words = &words[column * rows..][..rows];
            for (goal, &word) in goal.iter_mut().zip(column_words) {
                goal.0[column % PANEL] = word;
            }
        }
        Ok(packed.with_pair_sums())
    }

    fn zeros(rows: usize, columns: usize) -> Packed {
        // A factor without rows has no panels: a chunk of no words does not exist.
        let panels = if rows == 0 { 0 } else { columns.div_ceil(PANEL) };
        let steps = vec![Step::ZERO; panels * rows.next_multiple_of(2)];
        Packed { rows, columns, steps, pair_sums: vec![[0; PANEL]; panels] }
    }

    fn with_pair_sums(mut self) -> Packed {
        let length = self.panel_steps();
        for (steps, sums) in self.steps.chunks_exact(length).zip(&mut self.pair_sums) {
            tile::pair_sums(Instructions::best(), steps, sums);
        }
        self
    }

    fn panel_steps(&self) -> usize {
        self.rows.next_multiple_of(2).max(1)
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Panels of [`PANEL`] columns, the last one perhaps with fewer.
    pub fn panels(&self) -> usize {
        self.pair_sums.len()
    }
}

/// A part of a product: `words[r][c]` belongs to row `row` + r and column `column` + c, for as many rows as there are and
/// the first `width` columns. The same place may come several times; its parts are to be added up.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// First row.
    pub row: usize,
    /// First column.
    pub column: usize,
    /// Columns that exist.
    pub width: usize,
    /// The words.
    pub words: &'a [[u64; PANEL]],
}

/// Gives the parts of `left` · `right` in the columns of `panels` to `add`.
///
/// # Panics
/// Panels that `right` does not have, or rows of `left` that are shorter than `right` is high.
pub fn product(left: &impl Rows, right: &Packed, panels: Range<usize>, add: impl FnMut(Part<'_>)) {
    product_by(Instructions::best(), left, right, panels, add);
}

fn product_by(
    instructions: Instructions,
    left: &impl Rows,
    right: &Packed,
    panels: Range<usize>,
    mut add: impl FnMut(Part<'_>),
) {
    let (rows, length) = (left.count(), right.panel_steps());
    let tiles_at_once = HEIGHT.min(rows).div_ceil(TILE_ROWS);
    let mut buffer = vec![Step::ZERO; tiles_at_once * DEPTH.min(right.rows.next_multiple_of(2))];
    let mut sums = vec![[[0u64; PANEL]; TILE_ROWS]; tiles_at_once];
    for begin in (0..right.rows).step_by(DEPTH) {
        let steps = DEPTH.min(right.rows - begin);
        let padded = steps.next_multiple_of(2);
        for top in (0..rows).step_by(HEIGHT) {
            let height = HEIGHT.min(rows - top);
            let tiles = height.div_ceil(TILE_ROWS);
            let mut corrections = [[0u64; TILE_ROWS]; HEIGHT / TILE_ROWS];
            for (index, goal) in buffer.chunks_exact_mut(padded).take(tiles).enumerate() {
                let row = index * TILE_ROWS;
                left.fill(top + row, TILE_ROWS.min(height - row), begin, &mut goal[..steps]);
                goal[steps..].fill(Step::ZERO);
                if instructions.by_pairs() {
                    tile::pair_sums(instructions, goal, &mut corrections[index]);
                }
            }
            for panel in panels.clone() {
                let block = &right.steps[panel * length..][begin..begin + padded];
                let column = panel * PANEL;
                let width = PANEL.min(right.columns - column);
                let of_columns =
                    if begin == 0 && instructions.by_pairs() { right.pair_sums[panel] } else { [0; PANEL] };
                for (sums, corrections) in sums.iter_mut().zip(&corrections) {
                    for (sums, &of_row) in sums.iter_mut().zip(corrections) {
                        *sums = of_columns.map(|of_column| 0u64.wrapping_sub(of_row).wrapping_sub(of_column));
                    }
                }
                for slice in (0..padded).step_by(SLICE) {
                    let end = padded.min(slice + SLICE);
                    for (index, (tile, sums)) in buffer.chunks_exact(padded).zip(&mut sums).take(tiles).enumerate() {
                        let tall = TILE_ROWS.min(height - index * TILE_ROWS);
                        tile::multiply(instructions, &tile[slice..end], tall, &block[slice..end], sums);
                    }
                }
                for (index, sums) in sums.iter().take(tiles).enumerate() {
                    let tall = TILE_ROWS.min(height - index * TILE_ROWS);
                    add(Part { row: top + index * TILE_ROWS, column, width, words: &sums[..tall] });
                }
            }
        }
    }
}

/// `out` += `left` · `right`, with `left` of any number of rows by `right.rows()`, row by row.
///
/// # Errors
/// Lengths that do not agree.
pub fn multiply_add(left: &[u64], right: &Packed, out: &mut [u64]) -> Result<(), Error> {
    multiply_add_by(Instructions::best(), left, right, out)
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

/// As [`multiply_add`] by chosen instructions, for tests and measurements.
///
/// # Errors
/// Lengths that do not agree.
///
/// # Panics
/// Instructions that the processor does not have.
pub fn multiply_add_by(instructions: Instructions, left: &[u64], right: &Packed, out: &mut [u64]) -> Result<(), Error> {
    let (depth, columns) = (right.rows, right.columns);
    if depth == 0 || columns == 0 {
        return require("the product", out.len(), left.len().checked_div(depth).unwrap_or(0), columns);
    }
    let rows = left.len() / depth;
    require("the left factor", left.len(), rows, depth)?;
    require("the product", out.len(), rows, columns)?;
    product_by(instructions, &Matrix::new(left, depth), right, 0..right.panels(), |part| {
        for (index, words) in part.words.iter().enumerate() {
            let goal = &mut out[(part.row + index) * columns + part.column..][..part.width];
            goal.iter_mut().zip(words).for_each(|(goal, word)| *goal = goal.wrapping_add(*word));
        }
    });
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
        let mut sizes = vec![
            (3, 2 * DEPTH + SLICE + 5, 17),
            (HEIGHT + 9, SLICE + 2, 18),
            (9, DEPTH + 2, 3),
            (1, 1, 1),
            (0, 4, 4),
            (8, 16, 32),
            (2, 3, 0),
        ];
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

    #[test]
    fn patches_are_the_windows_of_an_image() {
        let (channels, input) = (3, [7, 19]);
        let image = words(channels * input[0] * input[1], 5);
        let cases =
            [([3, 3], [1, 1], [1, 1], [1, 1]), ([1, 1], [2, 2], [1, 1], [0, 0]), ([2, 5], [2, 1], [3, 2], [2, 4])];
        for (kernel, strides, dilations, padding) in cases {
            let output: [usize; 2] = std::array::from_fn(|axis| {
                (input[axis] + 2 * padding[axis] - (kernel[axis] - 1) * dilations[axis] - 1) / strides[axis] + 1
            });
            let patches = Patches { image: &image, input, kernel, output, strides, dilations, padding };
            let depth = channels * kernel[0] * kernel[1];
            let word = |position: usize, index: usize| {
                let (channel, tap) = (index / (kernel[0] * kernel[1]), index % (kernel[0] * kernel[1]));
                let y = position / output[1] * strides[0] + tap / kernel[1] * dilations[0];
                let x = position % output[1] * strides[1] + tap % kernel[1] * dilations[1];
                let inside =
                    y >= padding[0] && y - padding[0] < input[0] && x >= padding[1] && x - padding[1] < input[1];
                if inside { image[(channel * input[0] + y - padding[0]) * input[1] + x - padding[1]] } else { 0 }
            };
            for first in (0..patches.count()).step_by(3) {
                for begin in [0, depth / 2, depth - 1] {
                    let tall = TILE_ROWS.min(patches.count() - first);
                    let mut tile = vec![Step([1; TILE_ROWS]); depth - begin];
                    patches.fill(first, tall, begin, &mut tile);
                    for (step, words) in tile.iter().enumerate() {
                        for (row, &found) in words.0.iter().enumerate().take(tall) {
                            assert_eq!(
                                found,
                                word(first + row, begin + step),
                                "{kernel:?} {first} {begin} {row} {step}"
                            );
                        }
                    }
                }
            }
        }
    }
}
