//! One file a sub-command. Each has its `Args` and a `run` that answers yes, no, or why it could
//! not tell; the exit status is made of that in one place.

use std::process::ExitCode;

use clap::CommandFactory;

mod asked;
mod audit;
mod blind;
mod capture;
mod check;
mod cluster;
mod completions;
mod consent;
mod console;
mod content;
mod demo;
mod disk;
mod duration;
mod explain;
mod explained;
mod file_watch;
mod hand_over;
mod health;
mod indexing;
mod init;
mod key_watch;
mod keywords;
mod knowledge;
mod ledger;
mod licences;
mod load;
mod man;
mod mirrors;
mod needs_restart;
mod notify;
mod originals;
mod record;
mod relation;
mod reload;
mod reloading;
mod replay;
mod retention;
mod rewriting;
mod run;
mod serve;
mod shown;
mod smsc;
mod sockets;
mod streams;
mod tls;
mod told;
mod traces;
mod upstreams;
mod watchdog;

/// What a command found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It did what was asked; the chain holds; nothing differs. Exit status 0.
    Yes,
    /// Refused, differs, broken. Exit status 1.
    No,
}

/// Why a command could not tell: bad arguments, bad configuration, missing file. Exit status 2.
/// One sentence that names the file, line and field where there is one, and the way out.
#[derive(Debug)]
pub struct Failure(pub String);

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure(error.to_string())
    }
}

/// A transparent SMPP proxy that lets no message through that the law forbids.
#[derive(clap::Parser)]
#[command(name = "consentry", version, about, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Init(init::Args),
    Check(check::Args),
    Demo(demo::Args),
    Run(run::Args),
    Upstreams(upstreams::Args),
    Reload(reload::Args),
    HandOver(hand_over::Args),
    Health(health::Args),
    Audit(audit::Args),
    Consent(consent::Args),
    Explain(explain::Args),
    Replay(replay::Args),
    Content(content::Args),
    Smsc(smsc::Args),
    Load(load::Args),
    Completions(completions::Args),
    Man(man::Args),
}

impl Cli {
    /// Runs the command and makes its exit status: 0 yes, 1 no, 2 could not tell.
    pub fn run(self) -> ExitCode {
        let answer = match self.command {
            Command::Init(args) => init::run(args),
            Command::Check(args) => check::run(args),
            Command::Demo(args) => demo::run(args),
            Command::Run(args) => run::run(args),
            Command::Upstreams(args) => upstreams::run(args),
            Command::Reload(args) => reload::run(args),
            Command::HandOver(args) => hand_over::run(args),
            Command::Health(args) => health::run(args),
            Command::Audit(args) => audit::run(args),
            Command::Consent(args) => consent::run(args),
            Command::Explain(args) => explain::run(args),
            Command::Replay(args) => replay::run(args),
            Command::Content(args) => content::run(args),
            Command::Smsc(args) => smsc::run(args),
            Command::Load(args) => load::run(args),
            Command::Completions(args) => completions::run(args, Cli::command()),
            Command::Man(args) => man::run(args, Cli::command()),
        };
        match answer {
            Ok(Answer::Yes) => ExitCode::SUCCESS,
            Ok(Answer::No) => ExitCode::from(1),
            Err(Failure(why)) => {
                eprintln!("consentry: {why}");
                ExitCode::from(2)
            }
        }
    }
}
