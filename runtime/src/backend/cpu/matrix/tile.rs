//! The innermost product: a few rows of the left factor times one panel of the right one.
//!
//! AVX-512 has a 64-bit product (three micro-operations on two ports); with the addition that is four multiply-adds a
//! cycle at best. AVX2 builds it from three 32-bit products.

use super::PANEL;

/// Rows of the left factor that are multiplied together.
pub const ROWS: usize = 8;

/// Which code runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Instructions {
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
    pub(super) fn available() -> Vec<Instructions> {
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
    pub(super) fn best() -> Instructions {
        Self::available()[0]
    }
}

/// sums[r] += left[r] · panel. Every row of `left` has panel.len()/[`PANEL`] words.
pub(super) fn multiply(
    instructions: Instructions,
    left: [&[u64]; ROWS],
    panel: &[u64],
    sums: &mut [[u64; PANEL]; ROWS],
) {
    match instructions {
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx512 => simd::avx512(left, panel, sums),
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx2 => {
            // Eight rows of sixteen columns do not fit sixteen registers.
            for (left, sums) in left.chunks_exact(2).zip(sums.chunks_exact_mut(2)) {
                if let ([first, second], [above, below]) = (left, sums) {
                    simd::avx2([first, second], panel, [above, below]);
                }
            }
        }
        Instructions::Portable => left.iter().zip(sums).for_each(|(left, sums)| portable(left, panel, sums)),
    }
}

/// As [`multiply`] for one row.
pub(super) fn multiply_row(instructions: Instructions, left: &[u64], panel: &[u64], sums: &mut [u64; PANEL]) {
    match instructions {
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx512 => simd::avx512([left], panel, std::array::from_mut(sums)),
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx2 => simd::avx2([left], panel, [sums]),
        Instructions::Portable => portable(left, panel, sums),
    }
}

fn portable(left: &[u64], panel: &[u64], sums: &mut [u64; PANEL]) {
    for (&factor, row) in left.iter().zip(panel.as_chunks::<PANEL>().0) {
        for (sum, word) in sums.iter_mut().zip(row) {
            *sum = sum.wrapping_add(factor.wrapping_mul(*word));
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod simd {
    //! Vector code. Every function is safe to call: it asserts that the processor has the instructions (the answer is
    //! cached by the standard library) and that the slices are as long as the loop reads.

    use super::PANEL;
    use std::arch::x86_64::*;

    pub(super) fn avx512<const ROWS: usize>(left: [&[u64]; ROWS], panel: &[u64], sums: &mut [[u64; PANEL]; ROWS]) {
        assert!(is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq"));
        assert!(left.iter().all(|row| row.len() * PANEL == panel.len()));
        // SAFETY: the features were just asked for, and every row has as many words as the panel has rows.
        unsafe { avx512_inner(left, panel, sums) }
    }

    pub(super) fn avx2<const ROWS: usize>(left: [&[u64]; ROWS], panel: &[u64], sums: [&mut [u64; PANEL]; ROWS]) {
        assert!(is_x86_feature_detected!("avx2"));
        assert!(left.iter().all(|row| row.len() * PANEL == panel.len()));
        // SAFETY: as above.
        unsafe { avx2_inner(left, panel, sums) }
    }

    /// # Safety
    /// The processor has the features; every row of `left` has panel.len()/PANEL words.
    #[target_feature(enable = "avx512f,avx512dq")]
    unsafe fn avx512_inner<const ROWS: usize>(left: [&[u64]; ROWS], panel: &[u64], sums: &mut [[u64; PANEL]; ROWS]) {
        let mut totals = [[_mm512_setzero_si512(); 2]; ROWS];
        for step in 0..panel.len() / PANEL {
            let words = panel.as_ptr().wrapping_add(step * PANEL).cast::<i64>();
            // SAFETY: step·PANEL + 16 ≤ panel.len(), as PANEL is 16.
            let (low, high) = unsafe { (_mm512_loadu_epi64(words), _mm512_loadu_epi64(words.wrapping_add(8))) };
            for (row, totals) in left.iter().zip(&mut totals) {
                // SAFETY: step is below the row's length, by the function's precondition.
                let factor = _mm512_set1_epi64(unsafe { *row.get_unchecked(step) } as i64);
                totals[0] = _mm512_add_epi64(totals[0], _mm512_mullo_epi64(factor, low));
                totals[1] = _mm512_add_epi64(totals[1], _mm512_mullo_epi64(factor, high));
            }
        }
        for (sums, totals) in sums.iter_mut().zip(totals) {
            let goal = sums.as_mut_ptr().cast::<i64>();
            // SAFETY: a row of sums has sixteen words.
            unsafe {
                _mm512_storeu_epi64(goal, _mm512_add_epi64(_mm512_loadu_epi64(goal), totals[0]));
                let goal = goal.wrapping_add(8);
                _mm512_storeu_epi64(goal, _mm512_add_epi64(_mm512_loadu_epi64(goal), totals[1]));
            }
        }
    }

    /// Words a, b as 2^32·a₁ + a₀ and 2^32·b₁ + b₀: a·b = a₀b₀ + 2^32·(a₀b₁ + a₁b₀), the two parts summed apart.
    ///
    /// # Safety
    /// The processor has the feature; every row of `left` has panel.len()/PANEL words.
    #[target_feature(enable = "avx2")]
    unsafe fn avx2_inner<const ROWS: usize>(left: [&[u64]; ROWS], panel: &[u64], sums: [&mut [u64; PANEL]; ROWS]) {
        for quarter in (0..PANEL).step_by(8) {
            let zero = _mm256_setzero_si256();
            let (mut low, mut cross) = ([[zero; 2]; ROWS], [[zero; 2]; ROWS]);
            for step in 0..panel.len() / PANEL {
                let words = panel.as_ptr().wrapping_add(step * PANEL + quarter).cast::<__m256i>();
                for half in 0..2 {
                    // SAFETY: step·PANEL + quarter + 4·half + 4 ≤ panel.len().
                    let word = unsafe { _mm256_loadu_si256(words.wrapping_add(half)) };
                    let upper = _mm256_srli_epi64::<32>(word);
                    for row in 0..ROWS {
                        // SAFETY: step is below the row's length, by the function's precondition.
                        let factor = unsafe { *left[row].get_unchecked(step) };
                        let a = _mm256_set1_epi64x(factor as i64);
                        let a_upper = _mm256_set1_epi64x((factor >> 32) as i64);
                        let mixed = _mm256_add_epi64(_mm256_mul_epu32(a, upper), _mm256_mul_epu32(a_upper, word));
                        low[row][half] = _mm256_add_epi64(low[row][half], _mm256_mul_epu32(a, word));
                        cross[row][half] = _mm256_add_epi64(cross[row][half], mixed);
                    }
                }
            }
            for row in 0..ROWS {
                for half in 0..2 {
                    let total = _mm256_add_epi64(low[row][half], _mm256_slli_epi64::<32>(cross[row][half]));
                    let goal = sums[row].as_mut_ptr().wrapping_add(quarter + 4 * half).cast::<__m256i>();
                    // SAFETY: quarter + 4·half + 4 ≤ 16, the words of a row of sums.
                    unsafe { _mm256_storeu_si256(goal, _mm256_add_epi64(_mm256_loadu_si256(goal), total)) };
                }
            }
        }
    }
}
