//! The program's allocator: vectors come and go with every stage of a run, and their memory is kept meanwhile.

use libmimalloc_sys::{mi_option_get, mi_option_set, mi_option_t};
use std::ffi::c_long;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc 2: after how many milliseconds free memory goes back to the system.
const PURGE_DELAY: mi_option_t = 15;
/// What it is unless the environment (`MIMALLOC_PURGE_DELAY`) says otherwise.
const USUAL: c_long = 10;
/// Longer than a round of any network: a run of digits_vit spent a seventh of its time on pages that the system had to fill
/// with zeros again.
const KEPT: c_long = 1000;

/// Keeps free memory for a second instead of 10 ms. To be called first.
#[allow(unsafe_code)]
pub fn keep_memory() {
    // SAFETY: both functions read and write one integer of a table of the allocator, which has more than `PURGE_DELAY`
    // entries; no other thread exists yet. Were it another option, it would not have the usual value and stay as it is.
    unsafe {
        if mi_option_get(PURGE_DELAY) == USUAL {
            mi_option_set(PURGE_DELAY, KEPT);
        }
    }
}
