//! The commands `jj` and `joyfuljay`, as the wheel installs them.

use std::ffi::OsString;

use pyo3::prelude::*;

/// Runs the command on these arguments, the first of which is the name that was called; gives the exit code.
#[pyfunction]
pub fn cli_main(py: Python<'_>, args: Vec<OsString>) -> u8 {
    py.detach(|| joyfuljay_cli::main_from(args))
}
