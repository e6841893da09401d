//! Chores of the repository: `cargo xtask generate [--check]` and `cargo xtask check-data FOLDER`.

mod check_data;
mod generate;
mod pages;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "usage:
  cargo xtask generate            write the pages and files that are made from the code
  cargo xtask generate --check    fail where one of them is stale
  cargo xtask check-data FOLDER [--only TEXT] [-v]
                                  hold the captures of FOLDER against reference answers of tshark";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args.as_slice() {
        ["generate"] => generate::write(&repository()),
        ["generate", "--check"] => generate::check(&repository()),
        ["check-data", folder, options @ ..] => check(Path::new(folder), options),
        _ => Err(USAGE.into()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::from(2)
        }
    }
}

fn check(folder: &Path, mut options: &[&str]) -> Result<bool, Box<dyn Error>> {
    let (mut only, mut verbose) = ("", false);
    loop {
        match options {
            ["--only", text, rest @ ..] => (only, options) = (text, rest),
            ["-v", rest @ ..] => (verbose, options) = (true, rest),
            [] => return check_data::run(folder, &repository().join("docs/parity.md"), only, verbose),
            _ => return Err(USAGE.into()),
        }
    }
}

/// The root of the repository: cargo runs xtask from anywhere in it.
fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned()
}
