//! Loops that are compiled three times, for AVX-512, AVX2 and the baseline, and chosen at run time.

/// A loop over lanes, with what it works on. The widest vectors are used in what is inlined: [`Loop::run`] and the
/// functions that it calls for every lane have to be `#[inline(always)]`.
pub trait Loop {
    /// What the loop returns.
    type Output;
    /// Goes over all lanes.
    fn run(self) -> Self::Output;
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod vector {
    use super::Loop;

    #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,bmi1,bmi2")]
    fn avx512<L: Loop>(work: L) -> L::Output {
        work.run()
    }

    #[target_feature(enable = "avx2,bmi1,bmi2")]
    fn avx2<L: Loop>(work: L) -> L::Output {
        work.run()
    }

    /// Runs a loop with the widest vectors that this processor has.
    pub fn widest<L: Loop>(work: L) -> L::Output {
        let has_bmi = is_x86_feature_detected!("bmi1") && is_x86_feature_detected!("bmi2");
        if has_bmi
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
        {
            // SAFETY: the processor has every feature that the function is compiled for, as just asked.
            unsafe { avx512(work) }
        } else if has_bmi && is_x86_feature_detected!("avx2") {
            // SAFETY: as above.
            unsafe { avx2(work) }
        } else {
            work.run()
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub use vector::widest;

/// Runs a loop as it is compiled for every processor.
#[cfg(not(target_arch = "x86_64"))]
pub fn widest<L: Loop>(work: L) -> L::Output {
    work.run()
}
