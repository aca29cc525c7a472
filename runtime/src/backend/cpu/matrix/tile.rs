//! The innermost product: a few rows of the left factor times one panel of the right one.
//!
//! Vectors have no cheap 64-bit product, so the vector paths halve the number of products by Winograd's identity
//! (S. Winograd, "A new algorithm for inner product", 1968), which holds in every commutative ring:
//!
//! a₀b₀ + a₁b₁ = (a₀ + b₁)·(a₁ + b₀) − a₀a₁ − b₀b₁
//!
//! The sums of a₀a₁ belong to a row of the left factor and those of b₀b₁ to a column of the right one: they are
//! computed once ([`pair_sums`]) and subtracted from the result. Micro-operations for 16 multiply-adds, and the bound:
//!
//! - AVX-512: two additions, one `vpmullq` (3), one accumulation on two ports: 5.33 multiply-adds a cycle.
//! - AVX2, which has no such product, for 8: two additions, `vpmuludq` for the low halves, a shuffle and `vpmulld` (2) for
//!   both cross products, whose low halves suffice, and two accumulations on three ports: 3 a cycle.
//! - Any other processor multiplies by the definition, which is what the others are tested against.

use super::PANEL;

/// Rows of the left factor that are multiplied together.
pub const ROWS: usize = 8;

/// The words of one step, at the beginning of a line of the cache: a vector on two lines takes two loads.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Step<const WIDTH: usize>(pub [u64; WIDTH]);

impl<const WIDTH: usize> Step<WIDTH> {
    /// Zeros.
    pub const ZERO: Step<WIDTH> = Step([0; WIDTH]);
}

/// Sums of one tile.
pub(super) type Sums = [[u64; PANEL]; ROWS];

/// Which code runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Instructions {
    /// AVX-512 F and DQ.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// AVX2.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// Whatever the compiler targets.
    Portable,
}

impl Instructions {
    /// What this processor has, best first.
    pub fn available() -> Vec<Instructions> {
        let mut available = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq") {
                available.push(Instructions::Avx512);
            }
            if is_x86_feature_detected!("avx2") {
                available.push(Instructions::Avx2);
            }
        }
        available.push(Instructions::Portable);
        available
    }

    /// The best of them.
    pub fn best() -> Instructions {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq") {
                return Instructions::Avx512;
            }
            if is_x86_feature_detected!("avx2") {
                return Instructions::Avx2;
            }
        }
        Instructions::Portable
    }

    /// Whether [`multiply`] adds Σ (a₀ + b₁)(a₁ + b₀) instead of the product.
    pub(super) fn by_pairs(self) -> bool {
        self != Instructions::Portable
    }
}

/// sums[r] += row r of `left` · `panel`, for the first `tall` rows, or the sums over pairs if
/// [`Instructions::by_pairs`]. `left` and `panel` have the same even number of steps.
pub(super) fn multiply(
    instructions: Instructions,
    left: &[Step<ROWS>],
    tall: usize,
    panel: &[Step<PANEL>],
    sums: &mut Sums,
) {
    match instructions {
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx512 => simd::avx512(left, tall, panel, sums),
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx2 => simd::avx2(left, tall, panel, sums),
        Instructions::Portable => portable(left, tall, panel, sums),
    }
}

fn portable(left: &[Step<ROWS>], tall: usize, panel: &[Step<PANEL>], sums: &mut Sums) {
    for (factors, row) in left.iter().zip(panel) {
        for (sums, factor) in sums.iter_mut().zip(factors.0).take(tall) {
            for (sum, word) in sums.iter_mut().zip(row.0) {
                *sum = sum.wrapping_add(factor.wrapping_mul(word));
            }
        }
    }
}

/// totals[i] += Σ over k of steps[2k][i] · steps[2k + 1][i].
pub(super) fn pair_sums<const WIDTH: usize>(
    instructions: Instructions,
    steps: &[Step<WIDTH>],
    totals: &mut [u64; WIDTH],
) {
    match instructions {
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx512 => simd::pair_sums_avx512(steps, totals),
        _ => pairs(steps, totals),
    }
}

#[inline(always)]
fn pairs<const WIDTH: usize>(steps: &[Step<WIDTH>], totals: &mut [u64; WIDTH]) {
    for [first, second] in steps.as_chunks::<2>().0 {
        for (total, (first, second)) in totals.iter_mut().zip(first.0.iter().zip(second.0)) {
            *total = total.wrapping_add(first.wrapping_mul(second));
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod simd {
    //! Vector code. Every function is safe to call: it asserts that the processor has the instructions (the answer is
    //! cached by the standard library) and that the slices are as long as the loop reads.

    use super::{PANEL, ROWS, Step, Sums, pairs};
    use std::arch::x86_64::*;

    fn agree(left: &[Step<ROWS>], tall: usize, panel: &[Step<PANEL>]) {
        assert!(left.len() == panel.len() && panel.len().is_multiple_of(2) && tall <= ROWS);
    }

    pub(super) fn avx512(left: &[Step<ROWS>], tall: usize, panel: &[Step<PANEL>], sums: &mut Sums) {
        assert!(is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq"));
        agree(left, tall, panel);
        let mut first = 0;
        // SAFETY: the features were just asked for, the lengths agree, and `first` + the rows of each tile ≤ `tall`.
        unsafe {
            if tall == ROWS {
                return avx512_tile::<8>(left, first, panel, sums);
            }
            if tall & 4 != 0 {
                avx512_tile::<4>(left, first, panel, sums);
                first += 4;
            }
            if tall & 2 != 0 {
                avx512_tile::<2>(left, first, panel, sums);
                first += 2;
            }
            if tall & 1 != 0 {
                avx512_tile::<1>(left, first, panel, sums);
            }
        }
    }

    pub(super) fn avx2(left: &[Step<ROWS>], tall: usize, panel: &[Step<PANEL>], sums: &mut Sums) {
        assert!(is_x86_feature_detected!("avx2"));
        agree(left, tall, panel);
        for first in (0..tall).step_by(2) {
            // SAFETY: as above.
            unsafe {
                if first + 1 < tall {
                    avx2_tile::<2>(left, first, panel, sums);
                } else {
                    avx2_tile::<1>(left, first, panel, sums);
                }
            }
        }
    }

    pub(super) fn pair_sums_avx512<const WIDTH: usize>(steps: &[Step<WIDTH>], totals: &mut [u64; WIDTH]) {
        #[target_feature(enable = "avx512f,avx512dq")]
        fn wide<const WIDTH: usize>(steps: &[Step<WIDTH>], totals: &mut [u64; WIDTH]) {
            pairs(steps, totals);
        }
        assert!(is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq"));
        // SAFETY: the features were just asked for.
        unsafe { wide(steps, totals) }
    }

    /// # Safety
    /// The processor has the features; `left` and `panel` agree on an even number of steps; `first` + `HIGH` ≤ [`ROWS`].
    #[target_feature(enable = "avx512f,avx512dq")]
    unsafe fn avx512_tile<const HIGH: usize>(
        left: &[Step<ROWS>],
        first: usize,
        panel: &[Step<PANEL>],
        sums: &mut Sums,
    ) {
        let mut totals = [[_mm512_setzero_si512(); 2]; HIGH];
        let mut words = panel.as_ptr().cast::<i64>();
        let mut factors = left.as_ptr().cast::<i64>().wrapping_add(first);
        for _ in 0..panel.len() / 2 {
            // SAFETY: a pair of steps has 2·16 words of the panel and 2·8 factors, of which `first` + `HIGH` are read.
            unsafe {
                let even = [_mm512_loadu_epi64(words), _mm512_loadu_epi64(words.add(8))];
                let odd = [_mm512_loadu_epi64(words.add(16)), _mm512_loadu_epi64(words.add(24))];
                for (row, totals) in totals.iter_mut().enumerate() {
                    let a_even = _mm512_set1_epi64(*factors.add(row));
                    let a_odd = _mm512_set1_epi64(*factors.add(ROWS + row));
                    for half in 0..2 {
                        let product = _mm512_mullo_epi64(
                            _mm512_add_epi64(odd[half], a_even),
                            _mm512_add_epi64(even[half], a_odd),
                        );
                        totals[half] = _mm512_add_epi64(totals[half], product);
                    }
                }
            }
            words = words.wrapping_add(2 * PANEL);
            factors = factors.wrapping_add(2 * ROWS);
        }
        for (sums, totals) in sums[first..].iter_mut().zip(totals) {
            for (half, total) in totals.into_iter().enumerate() {
                let goal = sums.as_mut_ptr().wrapping_add(8 * half).cast::<i64>();
                // SAFETY: a row of sums has sixteen words.
                unsafe { _mm512_storeu_epi64(goal, _mm512_add_epi64(_mm512_loadu_epi64(goal), total)) };
            }
        }
    }

    /// With x = 2^32·x₁ + x₀ and y likewise: x·y = x₀y₀ + 2^32·(x₀y₁ + x₁y₀), and of the cross products the low halves
    /// suffice. The two are kept in the two halves of a lane.
    ///
    /// # Safety
    /// The processor has the feature; `left` and `panel` agree on an even number of steps; `first` + `HIGH` ≤ [`ROWS`].
    #[target_feature(enable = "avx2")]
    unsafe fn avx2_tile<const HIGH: usize>(left: &[Step<ROWS>], first: usize, panel: &[Step<PANEL>], sums: &mut Sums) {
        for quarter in (0..PANEL).step_by(8) {
            let zero = _mm256_setzero_si256();
            let (mut low, mut cross) = ([[zero; 2]; HIGH], [[zero; 2]; HIGH]);
            let mut words = panel.as_ptr().cast::<u64>().wrapping_add(quarter).cast::<__m256i>();
            let mut factors = left.as_ptr().cast::<i64>().wrapping_add(first);
            for _ in 0..panel.len() / 2 {
                // SAFETY: as for AVX-512; `quarter` + 8 ≤ 16 words of a step are read.
                unsafe {
                    let even = [_mm256_loadu_si256(words), _mm256_loadu_si256(words.add(1))];
                    let odd = [_mm256_loadu_si256(words.add(4)), _mm256_loadu_si256(words.add(5))];
                    for row in 0..HIGH {
                        let a_even = _mm256_set1_epi64x(*factors.add(row));
                        let a_odd = _mm256_set1_epi64x(*factors.add(ROWS + row));
                        for half in 0..2 {
                            let x = _mm256_add_epi64(odd[half], a_even);
                            let y = _mm256_add_epi64(even[half], a_odd);
                            let crossed = _mm256_mullo_epi32(x, _mm256_shuffle_epi32::<0b10_11_00_01>(y));
                            low[row][half] = _mm256_add_epi64(low[row][half], _mm256_mul_epu32(x, y));
                            cross[row][half] = _mm256_add_epi32(cross[row][half], crossed);
                        }
                    }
                }
                words = words.wrapping_add(2 * PANEL / 4);
                factors = factors.wrapping_add(2 * ROWS);
            }
            for row in 0..HIGH {
                for half in 0..2 {
                    let both = _mm256_add_epi32(cross[row][half], _mm256_srli_epi64::<32>(cross[row][half]));
                    let total = _mm256_add_epi64(low[row][half], _mm256_slli_epi64::<32>(both));
                    let goal = sums[first + row].as_mut_ptr().wrapping_add(quarter + 4 * half).cast::<__m256i>();
                    // SAFETY: quarter + 4·half + 4 ≤ 16, the words of a row of sums.
                    unsafe { _mm256_storeu_si256(goal, _mm256_add_epi64(_mm256_loadu_si256(goal), total)) };
                }
            }
        }
    }
}
