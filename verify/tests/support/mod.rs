//! What the checker's tests share: seeded randomness, programs without bookkeeping, and certificates for them.

#![allow(dead_code)]

pub mod bases;
pub mod build;
pub mod cases;
pub mod damage;
pub mod mutants;
pub mod mutants_of_certificates;
pub mod mutants_of_entries;
pub mod mutants_of_texts;
pub mod prove;
pub mod random_program;

/// SplitMix64: small, seeded, the same on every machine.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `low..=high`, but for a bias below 2^−40.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        let width = (i128::from(high) - i128::from(low) + 1) as u128;
        (i128::from(low) + ((u128::from(self.next()) * width) >> 64) as i128) as i64
    }

    /// True `numerator` times in `denominator`.
    pub fn chance(&mut self, numerator: i64, denominator: i64) -> bool {
        self.between(1, denominator) <= numerator
    }

    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.between(0, items.len() as i64 - 1) as usize]
    }
}
