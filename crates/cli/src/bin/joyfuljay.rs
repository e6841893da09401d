//! `joyfuljay`, the long name of `jj`: see [`joyfuljay_cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    joyfuljay_cli::main()
}
