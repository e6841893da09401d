//! `jj completions`.

use clap::Args;
use clap_complete::Shell;

use crate::error::CliError;
use crate::out;

/// Print a completion script for a shell.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples, each with its folder:\n  mkdir -p ~/.local/share/bash-completion/completions\n  jj completions bash \
                        > ~/.local/share/bash-completion/completions/jj\n  mkdir -p ~/.zfunc\n  jj completions zsh > ~/.zfunc/_jj\n  \
                        mkdir -p ~/.config/fish/completions\n  jj completions fish > ~/.config/fish/completions/jj.fish\n\nzsh \
                        looks there with `fpath+=~/.zfunc` before `compinit` in ~/.zshrc."
)]
pub struct Completions {
    /// The shell.
    shell: Shell,
    /// The name that the command is called by.
    #[arg(long, default_value = "jj", value_parser = ["jj", "joyfuljay"])]
    name: String,
}

impl Completions {
    pub fn run(self) -> Result<(), CliError> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut crate::command(), self.name, &mut script);
        out::print(&String::from_utf8_lossy(&script))
    }
}
