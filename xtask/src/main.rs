//! Chores of the repository: `cargo xtask generate [--check]`, `cargo xtask check-data FOLDER`, `cargo xtask agreement FOLDER`
//! and `cargo xtask mutate FOLDER`.

mod agreement;
mod capture;
mod check_data;
mod generate;
mod mutate;
mod pages;
mod stubs;
mod table;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "usage:
  cargo xtask generate            write the pages and files that are made from the code
  cargo xtask generate --check    fail where one of them is stale
  cargo xtask check-data FOLDER [--only TEXT] [-v]
                                  hold the captures of FOLDER against reference answers of tshark
  cargo xtask agreement FOLDER    hold the features of FOLDER's captures against reference values; writes docs/agreement.md
  cargo xtask mutate FOLDER [--count N] [--seed N] [--case N]
                                  run damaged captures of FOLDER: its malformed/ as they are, others mutated";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args.as_slice() {
        ["generate"] => generate::write(&repository()),
        ["generate", "--check"] => generate::check(&repository()),
        ["check-data", folder, options @ ..] => check(Path::new(folder), options),
        ["agreement", folder] => agreement::run(Path::new(folder), &repository().join("docs/agreement.md")),
        ["mutate", folder, options @ ..] => mutated(Path::new(folder), options),
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

fn mutated(folder: &Path, mut options: &[&str]) -> Result<bool, Box<dyn Error>> {
    let mut wanted = mutate::Wanted::default();
    loop {
        match options {
            ["--count", n, rest @ ..] => (wanted.count, options) = (n.parse()?, rest),
            ["--seed", n, rest @ ..] => (wanted.seed, options) = (n.parse()?, rest),
            ["--case", n, rest @ ..] => (wanted.case, options) = (Some(n.parse()?), rest),
            [] => return mutate::run(folder, &wanted),
            _ => return Err(USAGE.into()),
        }
    }
}

/// The root of the repository: cargo runs xtask from anywhere in it.
fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned()
}
