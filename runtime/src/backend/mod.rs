//! Back ends: what executes checked kernels and large products.

pub mod cpu;
mod streams;

use crate::kernel::Draw;
use crate::random;

pub use streams::Streams;

/// Where masks come from.
pub trait DrawSource: Sync {
    /// Writes lanes `first_lane..first_lane + out.len()` of `draw`, each below 2^bits. Both roles of the pair must
    /// obtain the same words.
    fn fill(&self, draw: &Draw, first_lane: u64, out: &mut [u64]) -> Result<(), random::Error>;
}
