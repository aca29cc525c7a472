//! Products of matrices of small integers: in floating point, and exact.
//!
//! Doubles hold integers up to 2^53 in absolute value exactly, so sums of products below it are exact in whatever order
//! they are added up. With X the largest |x| of the left factor and W the largest Σ|w| of a column of the right one, no
//! partial sum is above X·W: where that is above [`EXACT`], [`SmallFactor::add_product`] does nothing and says so.
//!
//! Why: a processor multiplies and adds eight doubles in one instruction, twice a cycle, where a product modulo 2^64 takes
//! several; and with few rows on the left the memory is the bound, as every run reads all weights once. So they are kept
//! in 16 bits, or 32 where a slice of a panel has a larger one, instead of 64.

use crate::backend::cpu::widest::{Loop, widest};
use rayon::prelude::*;

/// Columns of a panel: two vectors of doubles.
const PANEL: usize = 16;
/// Rows of a panel that are widened together: 16 KiB of doubles, which stay in the first-level cache.
const SLICE: usize = 128;
/// Rows of the left factor that are multiplied together: with two vectors each, sixteen sums are under way, and eight
/// hide the latency of an addition.
const TILE_ROWS: usize = 8;
/// Rows of the left factor that a task takes at most, as all panels use them one after the other: more rows would not
/// stay in the second-level cache meanwhile.
const ROWS_AT_ONCE: usize = 256;
/// Multiply-adds that are worth a task of their own.
const OPERATIONS_AT_ONCE: usize = 1 << 19;
/// The largest sum: two bits below what doubles hold, so that [`integer`] is an addition and a subtraction.
const EXACT: u128 = 1 << 51;

/// One row of a panel, at the beginning of a line of the cache.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f64; PANEL]);

impl Line {
    const ZERO: Line = Line([0.0; PANEL]);
}

/// At most [`SLICE`] rows of one panel; missing columns are zero.
enum Slice {
    Bits16(Vec<[i16; PANEL]>),
    Bits32(Vec<[i32; PANEL]>),
}

impl Slice {
    fn new(rows: Vec<[i32; PANEL]>) -> Slice {
        let narrow = |row: &[i32; PANEL]| row.iter().all(|&word| i16::try_from(word).is_ok());
        match rows.iter().all(narrow) {
            true => Slice::Bits16(rows.iter().map(|row| row.map(|word| word as i16)).collect()),
            false => Slice::Bits32(rows),
        }
    }

    /// Asks for it to be brought into the cache.
    fn fetch(&self) {
        match self {
            Slice::Bits16(rows) => tile::fetch(rows),
            Slice::Bits32(rows) => tile::fetch(rows),
        }
    }
}

/// Writes a slice as doubles and returns its rows.
struct Widen<'a>(&'a Slice, &'a mut [Line; SLICE]);

impl Loop for Widen<'_> {
    type Output = usize;

    #[inline(always)]
    fn run(self) -> usize {
        let Widen(slice, lines) = self;
        match slice {
            Slice::Bits16(rows) => {
                for (line, row) in lines.iter_mut().zip(rows) {
                    line.0 = row.map(f64::from);
                }
                rows.len()
            }
            Slice::Bits32(rows) => {
                for (line, row) in lines.iter_mut().zip(rows) {
                    line.0 = row.map(f64::from);
                }
                rows.len()
            }
        }
    }
}

/// A right factor of `rows` × `columns` integers below 2^31.
pub(super) struct SmallFactor {
    rows: usize,
    columns: usize,
    /// Panel by panel, each from its first row to its last.
    slices: Vec<Slice>,
    /// The largest Σ|w| of a column.
    heaviest: u64,
}

impl SmallFactor {
    /// Packs `values`, row by row. `None` if one of them is too large, or for a processor without AVX-512.
    pub(super) fn new(values: &[i64], rows: usize, columns: usize) -> Option<SmallFactor> {
        let small = |value: &i64| i32::try_from(*value).is_ok();
        if !tile::is_available() || rows == 0 || columns == 0 || !values.iter().all(small) {
            return None;
        }
        let mut weights = vec![0u64; columns];
        for row in values.chunks_exact(columns) {
            weights.iter_mut().zip(row).for_each(|(weight, value)| *weight += value.unsigned_abs());
        }
        let mut slices = Vec::with_capacity(columns.div_ceil(PANEL) * rows.div_ceil(SLICE));
        for first in (0..columns).step_by(PANEL) {
            let width = PANEL.min(columns - first);
            for slice in values.chunks(SLICE * columns) {
                let lines = slice.chunks_exact(columns).map(|row| {
                    let mut line = [0i32; PANEL];
                    line.iter_mut().zip(&row[first..first + width]).for_each(|(goal, &value)| *goal = value as i32);
                    line
                });
                slices.push(Slice::new(lines.collect()));
            }
        }
        Some(SmallFactor { rows, columns, slices, heaviest: weights.into_iter().max().unwrap_or(0) })
    }

    /// total += coefficient · left · self, row by row. False, with nothing added, if doubles might not hold a sum.
    #[must_use]
    pub(super) fn add_product(&self, coefficient: i64, left: &[i64], total: &mut [i64]) -> bool {
        let mut reals = vec![0.0; left.len()];
        let largest = widest(Reals(left, &mut reals));
        if u128::from(largest) * u128::from(self.heaviest) > EXACT {
            return false;
        }
        let rows = left.len() / self.rows;
        let tasks = (total.len() * self.rows / OPERATIONS_AT_ONCE).clamp(1, 4 * rayon::current_num_threads());
        let rows_at_once = rows.div_ceil(tasks).next_multiple_of(TILE_ROWS);
        if rows_at_once >= 4 * TILE_ROWS || tasks == 1 {
            let rows_at_once = rows_at_once.min(ROWS_AT_ONCE);
            let chunks =
                total.par_chunks_mut(rows_at_once * self.columns).zip(reals.par_chunks(rows_at_once * self.rows));
            chunks.for_each(|(total, left)| {
                let mut sums = vec![Line::ZERO; left.len() / self.rows];
                for panel in 0..self.panels() {
                    self.multiply(panel, left, &mut sums);
                    widest(Give { sums: &sums, first: panel * PANEL, coefficient, columns: self.columns, total });
                }
            });
        } else {
            // With few rows every task would read all weights, so each has some of the columns.
            let mut sums = vec![Line::ZERO; self.panels() * rows];
            let panels_at_once = self.panels().div_ceil(tasks);
            sums.par_chunks_mut(panels_at_once * rows).enumerate().for_each(|(task, sums)| {
                for (index, sums) in sums.chunks_exact_mut(rows).enumerate() {
                    self.multiply(task * panels_at_once + index, &reals, sums);
                }
            });
            for (panel, sums) in sums.chunks_exact(rows).enumerate() {
                widest(Give { sums, first: panel * PANEL, coefficient, columns: self.columns, total });
            }
        }
        true
    }

    fn panels(&self) -> usize {
        self.columns.div_ceil(PANEL)
    }

    /// One line of sums per row of `left`.
    fn multiply(&self, panel: usize, left: &[f64], sums: &mut [Line]) {
        let mut lines = [Line::ZERO; SLICE];
        sums.fill(Line::ZERO);
        let slices = self.rows.div_ceil(SLICE);
        for (index, slice) in self.slices[panel * slices..][..slices].iter().enumerate() {
            let steps = widest(Widen(slice, &mut lines));
            if let Some(next) = self.slices.get(panel * slices + index + 1) {
                next.fetch();
            }
            for (rows, sums) in left.chunks(TILE_ROWS * self.rows).zip(sums.chunks_mut(TILE_ROWS)) {
                tile::multiply(&rows[index * SLICE..], self.rows, &lines[..steps], sums);
            }
        }
    }
}

/// The same integers as doubles, and the largest absolute value.
struct Reals<'a>(&'a [i64], &'a mut [f64]);

impl Loop for Reals<'_> {
    type Output = u64;

    #[inline(always)]
    fn run(self) -> u64 {
        let Reals(values, reals) = self;
        let mut largest = 0;
        for (real, &value) in reals.iter_mut().zip(values) {
            *real = value as f64;
            largest = value.unsigned_abs().max(largest);
        }
        largest
    }
}

/// Adds the sums of a panel, times a coefficient, to the rows of a result.
struct Give<'a> {
    sums: &'a [Line],
    first: usize,
    coefficient: i64,
    columns: usize,
    total: &'a mut [i64],
}

impl Loop for Give<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Give { sums, first, coefficient, columns, total } = self;
        let width = PANEL.min(columns - first);
        for (row, Line(sums)) in total.chunks_exact_mut(columns).zip(sums) {
            for (total, &sum) in row[first..first + width].iter_mut().zip(sums) {
                *total = total.wrapping_add(integer(sum).wrapping_mul(coefficient));
            }
        }
    }
}

/// The integer that a double of at most [`EXACT`] is. Beside 1.5·2^52 the last bit of a double is worth 1, so the word of
/// the sum counts units from there; `as i64` asks for other doubles first, one by one.
#[inline(always)]
fn integer(value: f64) -> i64 {
    const MIDDLE: f64 = (3u64 << 51) as f64;
    (value + MIDDLE).to_bits().wrapping_sub(MIDDLE.to_bits()) as i64
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod tile {
    //! The innermost product, for AVX-512: a compiler does not keep sixteen sums in registers by itself.

    use super::{Line, PANEL, TILE_ROWS};
    use std::arch::x86_64::*;

    pub(super) fn is_available() -> bool {
        is_x86_feature_detected!("avx512f")
    }

    /// Brings `words` into the second-level cache while something else is computed.
    pub(super) fn fetch<T>(words: &[T]) {
        const CACHE_LINE: usize = 64;
        let first = words.as_ptr().cast::<i8>();
        for offset in (0..size_of_val(words)).step_by(CACHE_LINE) {
            // SAFETY: a hint about an address of the slice; nothing is read.
            unsafe { _mm_prefetch::<_MM_HINT_T1>(first.wrapping_add(offset)) };
        }
    }

    /// sums[r] += row r of `left` · `lines`, for at most [`TILE_ROWS`] rows that are `stride` doubles apart.
    pub(super) fn multiply(left: &[f64], stride: usize, lines: &[Line], sums: &mut [Line]) {
        assert!(is_available());
        let mut first = 0;
        while first < sums.len() {
            let left = &left[first * stride..];
            let rest = &mut sums[first..];
            // SAFETY: the processor has the instructions, as just asked.
            first += unsafe {
                match rest.len() {
                    TILE_ROWS.. => rows::<TILE_ROWS>(left, stride, lines, rest),
                    4.. => rows::<4>(left, stride, lines, rest),
                    2.. => rows::<2>(left, stride, lines, rest),
                    _ => rows::<1>(left, stride, lines, rest),
                }
            };
        }
    }

    #[target_feature(enable = "avx512f")]
    fn rows<const HIGH: usize>(left: &[f64], stride: usize, lines: &[Line], sums: &mut [Line]) -> usize {
        let left: [&[f64]; HIGH] = std::array::from_fn(|row| &left[row * stride..][..lines.len()]);
        let mut totals = [[_mm512_setzero_pd(); 2]; HIGH];
        for (step, line) in lines.iter().enumerate() {
            let words = halves(line);
            for (totals, row) in totals.iter_mut().zip(left) {
                // SAFETY: a row is as long as there are lines; the compiler does not see it and would ask at every step.
                let factor = _mm512_set1_pd(unsafe { *row.get_unchecked(step) });
                *totals = [_mm512_fmadd_pd(factor, words[0], totals[0]), _mm512_fmadd_pd(factor, words[1], totals[1])];
            }
        }
        for (sums, totals) in sums.iter_mut().zip(totals) {
            let before = halves(sums);
            for (half, total) in totals.into_iter().enumerate() {
                let goal = sums.0[half * PANEL / 2..][..PANEL / 2].as_mut_ptr();
                // SAFETY: eight doubles are written, as many as the slice has.
                unsafe { _mm512_storeu_pd(goal, _mm512_add_pd(before[half], total)) };
            }
        }
        HIGH
    }

    #[target_feature(enable = "avx512f")]
    fn halves(line: &Line) -> [__m512d; 2] {
        let first = line.0.as_ptr();
        // SAFETY: a line has sixteen doubles.
        unsafe { [_mm512_loadu_pd(first), _mm512_loadu_pd(first.add(PANEL / 2))] }
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod tile {
    use super::Line;

    pub(super) fn is_available() -> bool {
        false
    }

    pub(super) fn fetch<T>(_words: &[T]) {}

    pub(super) fn multiply(left: &[f64], stride: usize, lines: &[Line], sums: &mut [Line]) {
        for (row, sums) in sums.iter_mut().enumerate() {
            for (factor, line) in left[row * stride..].iter().zip(lines) {
                sums.0.iter_mut().zip(line.0).for_each(|(sum, word)| *sum += factor * word);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, seed: u64, bits: u32) -> Vec<i64> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state as i64) >> (64 - bits)
        };
        (0..count).map(|_| next()).collect()
    }

    fn defined(left: &[i64], right: &[i64], [rows, inner, columns]: [usize; 3]) -> Vec<i64> {
        let entry = |row: usize, column: usize| {
            (0..inner)
                .map(|k| i128::from(left[row * inner + k]) * i128::from(right[k * columns + column]))
                .sum::<i128>()
        };
        (0..rows * columns).map(|lane| entry(lane / columns, lane % columns) as i64).collect()
    }

    #[test]
    fn odd_sizes_widths_and_both_splits_equal_the_definition() {
        let mut sizes = vec![
            [32, 2 * SLICE + 3, 40 * PANEL + 5],
            [33, SLICE, 130 * PANEL],
            [2 * ROWS_AT_ONCE + 9, 64, 64],
            [ROWS_AT_ONCE + TILE_ROWS + 1, 5, 3],
            [1, 1, 1],
        ];
        sizes.extend((1..=18).flat_map(|rows| [[rows, 7, 33], [rows, SLICE + 1, 15], [rows, 1, PANEL]]));
        for [rows, inner, columns] in sizes {
            let left = numbers(rows * inner, 3, 20);
            for bits in [8, 16, 17, 22] {
                let mut right = numbers(inner * columns, 5, bits);
                // One large word in a corner: its slice alone is wide.
                right[inner * columns - 1] = i64::from(i16::MIN) - 1;
                let Some(factor) = SmallFactor::new(&right, inner, columns) else {
                    assert!(!tile::is_available());
                    return;
                };
                let mut total = numbers(rows * columns, 9, 64);
                let before = total.clone();
                assert!(factor.add_product(-3, &left, &mut total));
                for ((after, before), exact) in
                    total.iter().zip(before).zip(defined(&left, &right, [rows, inner, columns]))
                {
                    assert_eq!(*after, before.wrapping_add(exact.wrapping_mul(-3)), "{rows}×{inner}×{columns}, {bits}");
                }
            }
        }
    }

    #[test]
    fn what_doubles_may_not_hold_is_refused_and_what_they_just_hold_is_exact() {
        if !tile::is_available() {
            return;
        }
        assert!(SmallFactor::new(&[1 << 31], 1, 1).is_none() && SmallFactor::new(&[-(1 << 31)], 1, 1).is_some());
        let factor = SmallFactor::new(&[1, (1 << 31) - 1, -(1 << 31)], 3, 1).unwrap();
        let sign = |sign: i64, size: i64| [sign * size, sign * size, -sign * size];
        for (size, fits) in [((1 << 19) - 1, true), (1 << 19, true), ((1 << 19) + 1, false), (i64::MAX, false)] {
            for left in [sign(1, size), sign(-1, size)] {
                let mut total = [7];
                assert_eq!(factor.add_product(1, &left, &mut total), fits);
                assert_eq!(total[0], if fits { 7 + left[0] * (1 << 32) } else { 7 });
            }
        }
        assert!(!factor.add_product(1, &[i64::MIN, 0, 0], &mut [0]));
        for value in [0, 1, -1, (1 << 51) - 1, 1 << 51, -(1 << 51), 1 - (1 << 51)] {
            assert_eq!(integer(value as f64), value);
        }
    }
}
