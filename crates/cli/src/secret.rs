//! The token of a sensor: where it comes from without being seen.

use std::io::{self, BufRead, IsTerminal};
use std::path::{Path, PathBuf};

use clap::Args;
use joyfuljay_remote::Token;

use crate::error::CliError;
use crate::say;

/// The variable that a token may be in.
const VARIABLE: &str = "JOYFULJAY_TOKEN";

/// Largest file that a token is read from.
const MAX_FILE: u64 = 64 << 10;

/// Where the token is.
#[derive(Debug, Args)]
#[command(next_help_heading = "Token")]
pub struct TokenArgs {
    /// The file whose first line is the token.
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    pub token_file: Option<PathBuf>,
    /// The token itself: other users of this machine see it. Without these two it is that of JOYFULJAY_TOKEN.
    #[arg(long, value_name = "TOKEN")]
    pub token: Option<String>,
}

impl TokenArgs {
    /// The token that was given; `in_address` is one that stood in an address. None if none was.
    pub fn given(&self, in_address: Option<&str>) -> Result<Option<Token>, CliError> {
        let usage = |place: &str, problem: String| CliError::Usage(format!("{place}: {problem}"));
        if let Some(path) = &self.token_file {
            let line = first_line(path).map_err(|e| usage(&path.display().to_string(), e.to_string()))?;
            return Token::new(&line).map(Some).map_err(|e| usage(&path.display().to_string(), e));
        }
        if let Some(token) = self.token.as_deref().or(in_address) {
            say::warning(format_args!(
                "other users of this machine see a token on the command line: --token-file and {VARIABLE} hide it"
            ));
            return Token::new(token).map(Some).map_err(|e| usage("--token", e));
        }
        match std::env::var_os(VARIABLE) {
            None => Ok(None),
            Some(token) => Token::new(&token.to_string_lossy()).map(Some).map_err(|e| usage(VARIABLE, e)),
        }
    }

    /// The token that was given, or that the user types now.
    pub fn given_or_typed(&self, in_address: Option<&str>) -> Result<Token, CliError> {
        if let Some(token) = self.given(in_address)? {
            return Ok(token);
        }
        let missing = || {
            CliError::Usage(format!(
                "the sensor wants a token: give it in a file (--token-file), in {VARIABLE}, or type it at a terminal"
            ))
        };
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return Err(missing());
        }
        say::text_as_is("token of the sensor: ");
        let typed = typed().map_err(|e| CliError::Failed(format!("the token cannot be read: {e}")))?;
        say::line("");
        Token::new(&typed).map_err(|e| CliError::Usage(format!("the token: {e}")))
    }
}

fn first_line(path: &Path) -> io::Result<String> {
    let mut line = String::new();
    let file = io::Read::take(std::fs::File::open(path)?, MAX_FILE);
    io::BufReader::new(file).read_line(&mut line)?;
    Ok(line)
}

/// A line from the terminal, which does not show it.
#[cfg(unix)]
fn typed() -> io::Result<String> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

    let stdin = io::stdin();
    let before = tcgetattr(&stdin)?;
    let mut hidden = before.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&stdin, OptionalActions::Flush, &hidden)?;
    let mut line = String::new();
    let read = stdin.lock().read_line(&mut line);
    tcsetattr(&stdin, OptionalActions::Flush, &before)?;
    read.map(|_| line)
}

#[cfg(not(unix))]
fn typed() -> io::Result<String> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).map(|_| line)
}
