//! The CUDA back end through the host shim: every kernel against the CPU, bit for bit, odd sizes and tails included,
//! and whole sessions with their frames. Without a C++ compiler nothing of this runs, which is said.

#![allow(clippy::unwrap_used)]

#[path = "../../benches/gpu/ahead.rs"]
mod ahead;
mod compiler;
mod exact;
mod failing;
mod figures;
mod lanes;
mod machine_code;
#[path = "../../benches/gpu/measure/mod.rs"]
mod measure;
mod memory;
mod mutants;
#[path = "../onnx_model/mod.rs"]
mod onnx_model;
mod printed;
#[path = "../remembered/mod.rs"]
mod remembered;
mod sessions;
mod shares;
mod stages;
mod streams;

use runtime::backend::cuda::shim::{Order, Shim};
use runtime::backend::cuda::{Cache, Cuda, Device};
use runtime::{random, transport};
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Once};

/// What the C++ compiler makes is kept from one run of the tests to the next, by the digest of all it depends on.
fn kept() -> Cache {
    Cache::new(Path::new(env!("CARGO_TARGET_TMPDIR")).join("shim")).unwrap()
}

/// A shim whose streams run in some order and which has so many bytes; `None`, said loudly, without a C++ compiler.
fn shim_with(order: Order, limit: u64) -> Option<Arc<dyn Device>> {
    static SAID: Once = Once::new();
    match Shim::with(kept(), order, limit) {
        Ok(shim) => Some(Arc::new(shim)),
        Err(reason) => {
            SAID.call_once(|| {
                let _ = writeln!(std::io::stderr(), "NOT RUN: no kernel of the CUDA back end was run: {reason}");
            });
            None
        }
    }
}

/// A shim whose streams wait as long as they may.
fn shim() -> Option<Arc<dyn Device>> {
    shim_with(Order::Late, u64::MAX)
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
