//! The program's memory: vectors come and go with every stage of a run, and what they used is kept meanwhile.

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

/// Keeps free memory for a second instead of 10 ms, and has the system give it in small pages. To be called first.
///
/// A huge page is filled with zeros as a whole when its first byte is used, and the allocator begins many of them for values
/// of many sizes: sessions of MiniLM took up to a second longer to begin, their first run 0.1 s longer, and no run was faster.
/// Programs that this one starts inherit it.
pub fn prepare() {
    keep();
    // A kernel that does not know the call gives what it likes.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

#[allow(unsafe_code)]
fn keep() {
    // SAFETY: both functions read and write one integer of a table of the allocator, which has more than `PURGE_DELAY`
    // entries; no other thread exists yet. Were it another option, it would not have the usual value and stay as it is.
    unsafe {
        if mi_option_get(PURGE_DELAY) == USUAL {
            mi_option_set(PURGE_DELAY, KEPT);
        }
    }
}
