//! The allocator of the command: a flow with all its trackers is some 25 allocations, and rows are made in buffers of megabytes that come
//! and go. Of what a run with all features takes, a fifth is the allocator of glibc and pages that it gives back too early.
//!
//! The Python module, which is a guest in its process, uses the allocator of its host.

use libmimalloc_sys as sys;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long memory is kept that is free, in milliseconds (of large blocks: ten times as long), before the system gets it back. With 10,
/// which is what the allocator does by itself, a run over a million flows takes a third more: each page comes back at once, to be cleared.
const KEEP_MS: std::ffi::c_long = 1000;

/// The number of that option, which the bindings have no name for.
const PURGE_DELAY: sys::mi_option_t = 15;

/// Free memory is kept for a while, unless `MIMALLOC_PURGE_DELAY` says how long.
#[allow(unsafe_code, reason = "a call of the allocator's C interface")]
pub(crate) fn keep_pages() {
    // SAFETY: sets a number in a table of the allocator, at any time; a number of an option that is not there is ignored.
    unsafe { sys::mi_option_set_default(PURGE_DELAY, KEEP_MS) }
}
