//! Handing over to a new process: the program as it is on the disk now, with the configuration as it is now.
//!
//! ```text
//!  this process                                   its successor: run
//!      | starts it, its standard input a channel ------> |
//!      | addresses, with the listening sockets --------> | reads configuration and registry, takes
//!      |                                                 | addresses that are new
//!      | <--------------- ready, or refused and why      |
//!      | accepts nothing more, lets its sessions end,    |
//!      | closes journal and ledger                       |
//!      | go -------------------------------------------> | opens journal and ledger, accepts what has
//!      |                                                 | waited in the system's queue
//!      | <------------- serving, or refused and why      |
//!      | tells systemd of the new main process           |
//!      | yours ----------------------------------------> | tells systemd that it serves
//!      ends
//! ```
//!
//! Whatever goes wrong before `serving` ends the successor and not this process: before `go` it has never
//! stopped serving, after it it opens everything again.
//!
//! | file | subject |
//! |---|---|
//! | this | who asks for it, and `consentry hand-over` |
//! | `channel` | what the two tell each other |
//! | `successor` | the process that is started, seen from this one |
//! | `predecessor` | the process before, seen from the one that it started |

use std::path::PathBuf;

use tokio::sync::{mpsc, oneshot};

use super::consent::{Api, reachable};
use super::{Answer, Failure, knowledge};
use crate::admin::HandOver;

mod channel;
mod predecessor;
mod successor;

pub(super) use predecessor::Predecessor;
pub(super) use successor::Successor;

/// Where it is told what was begun, or why nothing was.
pub(super) type Asked = oneshot::Sender<Result<String, String>>;

/// Lets a running proxy hand over to a new process: the program as it is on the disk now takes the sockets
/// over, the sessions of the old one end as at SIGTERM, and no connection is refused meanwhile. The same as
/// SIGUSR2. Exit status 0 when the new process has accepted the configuration; 2 when it has not, which the
/// old one survives.
#[derive(clap::Args)]
pub struct Args {
    /// The consentry.toml of the running proxy, which is asked through its [admin] address
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
}

/// Asks through the admin API.
pub fn run(args: Args) -> Result<Answer, Failure> {
    let config = knowledge::load_config(&args.config)?;
    let admin = config.admin.as_ref().filter(|admin| admin.address.port() != 0);
    let Some(admin) = admin else {
        let why = "no [admin] address with a port is written, through which the proxy could be asked; send \
                   SIGUSR2 to its process instead";
        return Err(Failure(why.to_owned()));
    };
    let api = Api::new(reachable(admin.address), admin.token_file.as_deref())?;
    print!("{}", api.post("/api/v1/hand-over", "")?);
    Ok(Answer::Yes)
}

/// How the admin API asks.
pub(super) fn by_api(ask: mpsc::Sender<Asked>) -> HandOver {
    std::sync::Arc::new(move || {
        let ask = ask.clone();
        Box::pin(async move {
            let (tell, told) = oneshot::channel();
            let busy = || "a hand-over is under way, or the proxy stops".to_owned();
            ask.try_send(tell).map_err(|_| busy())?;
            told.await.unwrap_or_else(|_| Err(busy()))
        })
    })
}
