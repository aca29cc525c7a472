//! The CUDA back end through the host shim: every kernel against the CPU, bit for bit, odd sizes and tails included,
//! and whole sessions with their frames. Without a C++ compiler nothing of this runs, which is said.

#![allow(clippy::unwrap_used)]

mod compiler;
mod lanes;
mod mutants;
mod sessions;
mod stages;

use runtime::backend::cuda::{Cache, Cuda, Device, shim::Shim};
use std::io::Write;
use std::sync::{Arc, OnceLock};

/// The shim, shared by all tests of this process; `None`, said loudly, without a C++ compiler.
fn shim() -> Option<Arc<dyn Device>> {
    static SHIM: OnceLock<Option<Arc<dyn Device>>> = OnceLock::new();
    let make = || match Shim::new(Cache::temporary().unwrap()) {
        Ok(shim) => Some(Arc::new(shim) as Arc<dyn Device>),
        Err(reason) => {
            let _ = writeln!(std::io::stderr(), "NOT RUN: no kernel of the CUDA back end was run: {reason}");
            None
        }
    };
    SHIM.get_or_init(make).clone()
}

fn cuda() -> Option<Cuda> {
    shim().map(|device| Cuda::new(device).unwrap())
}

/// Words that use all bits, the same for the same seed.
fn words(count: usize, seed: u64) -> Vec<u64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = |_| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        state ^ (state >> 29)
    };
    (0..count).map(next).collect()
}
