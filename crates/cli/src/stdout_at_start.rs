//! Whether standard output was closed when the process began (`jj … >&-`).
//!
//! Rust opens `/dev/null` where it was, before `main`: rows would go to nowhere and all would seem well. So it is looked at
//! before that. Afterwards it cannot be distinguished from a parent that gave `/dev/null` on purpose.

use std::sync::atomic::{AtomicBool, Ordering};

static CLOSED: AtomicBool = AtomicBool::new(false);

/// Whether it was.
pub fn was_closed() -> bool {
    CLOSED.load(Ordering::Relaxed)
}

#[cfg(target_os = "linux")]
extern "C" fn look() {
    let open = rustix::io::fcntl_getfd(rustix::stdio::stdout()).is_ok();
    CLOSED.store(!open, Ordering::Relaxed);
}

/// The loader calls what stands in this section before it starts the program (System V ABI, chapter 5). The function makes one
/// system call and needs nothing that would have to be set up first.
#[cfg(target_os = "linux")]
#[used]
#[allow(unsafe_code, reason = "the section is one that the loader reads")]
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look;
