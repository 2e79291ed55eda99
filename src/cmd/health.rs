//! `consentry health`: what a container's health check runs where there is no shell and no curl.

use std::path::PathBuf;
use std::time::Duration;

use super::consent::{Api, reachable};
use super::{Answer, Failure, duration, knowledge};

/// Asks the proxy that runs on a configuration whether it can take sessions. Exit status 0 when it can, 1
/// when it cannot, with the reasons, 2 when it cannot be asked.
#[derive(clap::Args)]
pub struct Args {
    /// The consentry.toml that it runs on: it is asked at its [admin] address
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// Ask only whether the process lives: also while it drains or its journal takes no record
    #[arg(long)]
    live: bool,
    /// For connecting, and for each read and write
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = duration::parse)]
    within: Duration,
}

/// Prints what the proxy answers.
pub fn run(args: Args) -> Result<Answer, Failure> {
    let config = knowledge::load_config(&args.config)?;
    let Some(admin) = &config.admin else {
        let file = args.config.display();
        return Err(Failure(format!("{file} has no [admin] address: nobody can be asked")));
    };
    let api = Api::new(reachable(admin.address), None)?.within(args.within);
    let path = if args.live { "/healthz" } else { "/readyz" };
    let (status, body) = api.ask("GET", path, "")?;
    match status {
        200 | 503 => print!("{body}"),
        _ => {
            let address = reachable(admin.address);
            return Err(Failure(format!("what answers at {address} is not the admin API")));
        }
    }
    Ok(if status == 200 { Answer::Yes } else { Answer::No })
}
