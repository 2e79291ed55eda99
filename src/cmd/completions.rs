//! `consentry completions`: what a shell completes our commands with.

use std::io::{ErrorKind, Write};

use super::{Answer, Failure};

/// Prints what a shell completes the commands and options of this version with, as in
/// `consentry completions bash > /usr/share/bash-completion/completions/consentry`.
#[derive(clap::Args)]
pub struct Args {
    /// Which shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Shell {
    /// In /usr/share/bash-completion/completions/consentry
    Bash,
    /// In /usr/share/zsh/vendor-completions/_consentry
    Zsh,
    /// In /usr/share/fish/vendor_completions.d/consentry.fish
    Fish,
}

/// Prints it.
pub fn run(args: Args, mut command: clap::Command) -> Result<Answer, Failure> {
    let shell = match args.shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    match std::io::stdout().write_all(&script) {
        // Who closed it early has seen enough.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(Answer::Yes),
    }
}
