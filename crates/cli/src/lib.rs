//! The command `jj`, alias `joyfuljay`: one file per subcommand in `commands`, and what they share.
//!
//! Results go to standard output, everything said to people to standard error. Exit codes: 0 done (also where a capture
//! was cut short, with a warning), 1 failed, 2 wrong use or configuration, 128 + signal when interrupted.
#![forbid(unsafe_code)]
// They panic where the stream cannot be written: `say` and `out` do not.
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod board;
mod commands;
mod database;
mod dataset;
mod error;
mod expected;
mod human;
mod kafka;
mod notify;
mod options;
mod out;
mod progress;
mod save;
mod say;
mod scrape;
mod secret;
mod signals;
mod spoken;
mod summary;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser};

use crate::commands::Subcommand;

pub use crate::commands::profile_json;
pub use crate::options::key_of_option;

/// Network captures to flows to ML-ready feature rows.
///
/// Reads pcap and pcapng (plain, .gz, .zst, .lz4, or from a pipe), puts packets into bidirectional flows and writes one
/// row of features per flow, without decrypting anything. Memory does not grow with the capture.
#[derive(Debug, Parser)]
#[command(
    name = "jj",
    version,
    propagate_version = true,
    max_term_width = 100,
    after_help = "Examples:\n  jj extract capture.pcap -o flows.parquet\n  jj extract captures/ --features flow_meta,timing \
                  > flows.csv\n  jj info capture.pcap\n  jj features --group tcp\n\nExit codes: 0 done, also with warnings; 1 failed; 2 wrong use or \
                  configuration; 128 + N ended by signal N.\n\nEach subcommand has its own --help."
)]
struct Jj {
    #[command(subcommand)]
    command: Subcommand,
}

/// Runs the command on the arguments of this process, whose standard output may have been closed when it began.
pub fn main(stdout_closed: bool) -> ExitCode {
    if stdout_closed {
        out::close();
    }
    ExitCode::from(main_from(std::env::args_os()))
}

/// Runs the command on these arguments, the first of which is the name that was called; gives the exit code. For
/// programs that are not `jj` themselves: the commands that the Python package installs. `--help` and wrong use end the
/// process.
pub fn main_from(args: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> u8 {
    // The name that was called stays in usage lines and completions.
    let matches = command().get_matches_from(args);
    let jj = match Jj::from_arg_matches(&matches) {
        Ok(jj) => jj,
        Err(e) => e.exit(),
    };
    match jj.command.run() {
        Ok(()) => 0,
        Err(e) => e.report(),
    }
}

/// The definition of the command, for completions and reference pages.
pub fn command() -> clap::Command {
    Jj::command().mut_subcommands(|subcommand| {
        subcommand.mut_args(|arg| {
            // A negative number is a wrong number, and no unknown option.
            let takes_number = options::is_number(&arg);
            if takes_number { arg.allow_negative_numbers(true) } else { arg }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        command().debug_assert();
    }

    /// The words of Rust's parsers mean nothing to a user.
    #[test]
    fn numbers_are_refused_in_plain_words() {
        let mut tried = 0;
        for subcommand in command().get_subcommands() {
            for arg in subcommand.get_arguments().filter(|arg| options::is_number(arg)) {
                let option = format!("--{}", arg.get_long().unwrap());
                for value in ["abc", "-3", "1e400", "99999999999999999999999", ""] {
                    let parsed = command().try_get_matches_from(["jj", subcommand.get_name(), &option, value]);
                    // Where nothing else is required, a number out of range is judged by its command.
                    let Some(said) = parsed.err().map(|error| error.to_string()) else { continue };
                    let plain = ["must be ", "required arguments were not provided", "a value is required"];
                    assert!(plain.iter().any(|words| said.contains(words)), "{option} {value}: {said}");
                    tried += 1;
                }
            }
        }
        assert!(tried > 100, "{tried}");
    }

    #[test]
    fn every_config_key_that_is_an_argument_is_a_key() {
        // Arguments bear the name of their key as id, so that the reference page can say which option sets which key.
        let extract = command();
        let extract = extract.find_subcommand("extract").unwrap();
        for key in ["flow_timeout", "features", "include_ports", "num_workers", "anonymization_salt"] {
            assert!(extract.get_arguments().any(|a| a.get_id() == key), "{key}");
        }
    }
}
