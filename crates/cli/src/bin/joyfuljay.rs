//! `joyfuljay`, the long name of `jj`: see [`joyfuljay_cli`].

use std::process::ExitCode;

#[path = "../allocator.rs"]
mod allocator;
#[path = "../stdout_at_start.rs"]
mod stdout_at_start;

fn main() -> ExitCode {
    allocator::keep_pages();
    joyfuljay_cli::main(stdout_at_start::was_closed())
}
