//! `consentry reload`: tells a running proxy to put its changed files in force.

use std::path::PathBuf;

use super::consent::{Api, reachable};
use super::{Answer, Failure, knowledge};

/// Tells the proxy that runs on this file to reload configuration, registry, templates, lists and weights.
/// Sessions stay up; where a file is invalid nothing changes, and the error says why.
#[derive(clap::Args)]
pub struct Args {
    /// The consentry.toml that the proxy runs on; it is asked through its [admin] address.
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// The proxy's answer as one JSON object.
    #[arg(long)]
    json: bool,
}

/// Exit status 0 when what the files say is in force; what needs a restart is named.
pub fn run(args: Args) -> Result<Answer, Failure> {
    let config = knowledge::load_config(&args.config)?;
    let Some(admin) = &config.admin else {
        let why =
            "the proxy is asked through its [admin] address, and there is none; send it SIGHUP";
        return Err(Failure(why.to_owned()));
    };
    if admin.address.port() == 0 {
        let why = "[admin] address has port 0: nobody knows which it took; write the port, or send SIGHUP";
        return Err(Failure(why.to_owned()));
    }
    let api = Api::new(reachable(admin.address), admin.token_file.as_deref())?;
    let answer = api.post("/api/v1/reload", "")?;
    if args.json {
        print!("{answer}");
        return Ok(Answer::Yes);
    }
    let answer: serde_json::Value = serde_json::from_str(&answer)?;
    let digest = answer["digest"].as_str().unwrap_or_default();
    match answer["changed"].as_bool() {
        Some(true) => println!("in force: {digest}, {} providers", answer["providers"]),
        _ => println!("nothing has changed: {digest}"),
    }
    for key in answer["restart_needed"].as_array().into_iter().flatten() {
        println!("restart needed: {}", key.as_str().unwrap_or_default());
    }
    Ok(Answer::Yes)
}
