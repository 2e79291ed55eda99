//! `consentry run`: the proxy, from its start to its end or until another process takes over.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::hand_over::{Asked, Predecessor, Successor};
use super::knowledge::Loaded;
use super::reloading::Reloader;
use super::serve::Running;
use super::sockets::{Addresses, Given};
use super::{Answer, Failure, check, knowledge, notify, serve, watchdog};
use crate::audit::KeyRing;
use crate::config::{Log, LogFormat};

/// For journal and ledger to be let go of by the process before, which has said that they are.
const LOCK_WAIT: Duration = Duration::from_secs(10);
/// How often files are looked at that have to be right before anybody serves.
const AGAIN: Duration = Duration::from_secs(1);
/// For what blocks a thread of the runtime to end with it.
const RUNTIME_WAIT: Duration = Duration::from_secs(5);

/// Runs the proxy until SIGTERM or SIGINT. SIGHUP reloads its files. At SIGUSR2 it hands over to a new process: see `hand-over`.
#[derive(clap::Args)]
pub struct Args {
    /// The consentry.toml.
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
}

/// How a proxy ended to serve.
enum Ended {
    /// For good; whether everything ended in time.
    Stopped(bool),
    /// For another process to serve on these addresses.
    HandsOver(Successor, Addresses),
}

/// Serves until told to stop, then drains: exit status 0 when everything ended in good order, 1
/// when the drain time ran out on something.
pub fn run(args: Args) -> Result<Answer, Failure> {
    let program = program()?;
    let (mut before, given) = match Predecessor::meet()? {
        Some((before, given)) => (Some(before), given),
        None => (None, Given::by_systemd()?),
    };
    let (mut loaded, mut addresses) = match prepare(&args.config, given) {
        Ok(prepared) => prepared,
        Err(why) => return Err(refused(before, why)),
    };
    if let Some(before) = &before {
        before.await_go()?;
    }
    loop {
        let ended = life(loaded, addresses, &mut before, (&program, &args.config));
        let (mut successor, kept) = match ended {
            Ok(Ended::Stopped(true)) => return Ok(Answer::Yes),
            Ok(Ended::Stopped(false)) => return Ok(Answer::No),
            Ok(Ended::HandsOver(successor, kept)) => (successor, kept),
            Err(why) => return Err(refused(before, why)),
        };
        match successor.take_over(notify::alive) {
            Ok(()) => {
                tracing::info!(process = successor.id(), "handed over");
                notify::main_pid(successor.id());
                successor.yours();
                return Ok(Answer::Yes);
            }
            Err(Failure(why)) => {
                tracing::error!(%why, "the new process does not serve: this one goes on");
            }
        }
        // What it holds is free before it is opened again.
        drop(successor);
        (loaded, addresses) = match again(&args.config, &kept)? {
            Some(prepared) => prepared,
            None => return Ok(Answer::Yes),
        };
    }
}

/// What to serve once more, on the addresses that were kept: tried until the files are right, since nobody
/// else serves. `None` where it is told to stop meanwhile.
fn again(config_file: &Path, kept: &Addresses) -> Result<Option<(Loaded, Addresses)>, Failure> {
    let prepared = || {
        let loaded = knowledge::load(config_file)?;
        check::could_start(&loaded)?;
        let addresses = Addresses::take(&loaded.config, kept.again()?.given())?;
        Ok::<_, Failure>((loaded, addresses))
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut orders = Orders::listen()?;
        let mut said = String::new();
        loop {
            match prepared() {
                Ok(prepared) => return Ok(Some(prepared)),
                Err(Failure(why)) if why == said => {}
                Err(Failure(why)) => {
                    tracing::error!(%why, "nobody serves: correct it, it is tried again every second");
                    said = why;
                }
            }
            notify::alive();
            tokio::select! {
                _ = orders.terminate.recv() => return Ok(None),
                _ = orders.interrupt.recv() => return Ok(None),
                () = tokio::time::sleep(AGAIN) => {}
            }
        }
    })
}

/// Where this program is, as it was called: a link leads to the version of the day. What replaces it there
/// is started at a hand-over.
fn program() -> Result<PathBuf, Failure> {
    let called = std::env::args_os().next().map(PathBuf::from);
    let has_folder = |path: &PathBuf| path.parent().is_some_and(|one| one != Path::new(""));
    match called.filter(has_folder) {
        Some(path) => Ok(std::path::absolute(path)?),
        None => Ok(std::env::current_exe()?),
    }
}

/// Everything that can be done while another process still serves.
fn prepare(config_file: &Path, given: Given) -> Result<(Loaded, Addresses), Failure> {
    let loaded = knowledge::load(config_file)?;
    begin_log(&loaded.config.log)?;
    raise_open_files(loaded.config.limits.sessions);
    // Read again when it serves: a fault in them is to be found while somebody else still does.
    check::could_start(&loaded)?;
    // Written by who serves, and read by who takes over.
    KeyRing::open(&loaded.config.audit.keys)?;
    let addresses = Addresses::take(&loaded.config, given)?;
    Ok((loaded, addresses))
}

/// Lets the process before know, if there is one.
fn refused(before: Option<Predecessor>, why: Failure) -> Failure {
    match before {
        Some(before) => before.refuse(why),
        None => why,
    }
}

/// Serves until told to stop, or until another process is ready to. Nothing of it is left then: no task, no
/// lock.
fn life(
    loaded: Loaded,
    addresses: Addresses,
    before: &mut Option<Predecessor>,
    again: (&Path, &Path),
) -> Result<Ended, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(async {
        let mut orders = Orders::listen()?;
        let hang_up = signal(SignalKind::hangup())?;
        let patience = if before.is_some() { LOCK_WAIT } else { Duration::ZERO };
        let running = serve::start(loaded, addresses.again()?, patience).await?;
        if let Some(before) = before.take() {
            tokio::task::spawn_blocking(|| before.serving()).await?;
        }
        notify::ready();
        let watchdog = tokio::spawn(watchdog::run(running.shared.clone()));
        let reloads = tokio::spawn(reload_at(hang_up, running.reloader.clone()));
        let ended = obey(&mut orders, running, addresses, again).await;
        reloads.abort();
        watchdog.abort();
        ended
    });
    runtime.shutdown_timeout(RUNTIME_WAIT);
    ended
}

/// Reloads the files at each SIGHUP; signals that come meanwhile are one.
async fn reload_at(mut hang_up: Signal, reloader: Arc<Reloader>) {
    while hang_up.recv().await.is_some() {
        let reloader = reloader.clone();
        let done = tokio::task::spawn_blocking(move || {
            notify::reloading();
            // What came of it is in the log, and in force or not.
            let _ = reloader.reload("SIGHUP");
            notify::ready();
        });
        let _ = done.await;
    }
}

/// The signals that are heeded.
struct Orders {
    terminate: Signal,
    interrupt: Signal,
    hand_over: Signal,
}

impl Orders {
    fn listen() -> std::io::Result<Orders> {
        Ok(Orders {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hand_over: signal(SignalKind::user_defined2())?,
        })
    }
}

/// A process that is being started, and who wants to know what becomes of it.
type Begun = (JoinHandle<(Result<Successor, Failure>, Addresses)>, Option<Asked>);

/// Does what it is told until the proxy has ended to serve.
async fn obey(
    orders: &mut Orders,
    mut running: Running,
    addresses: Addresses,
    again: (&Path, &Path),
) -> Result<Ended, Failure> {
    let mut addresses = Some(addresses);
    let mut begun: Option<Begun> = None;
    loop {
        let asked = tokio::select! {
            _ = orders.terminate.recv() => {
                tracing::info!("SIGTERM: draining");
                break;
            }
            _ = orders.interrupt.recv() => {
                tracing::info!("SIGINT: draining");
                break;
            }
            (answer, asked) = outcome(&mut begun), if begun.is_some() => {
                let (answer, kept) = answer?;
                begun = None;
                if let Some(successor) = announced(answer, asked) {
                    give_up(running).await?;
                    return Ok(Ended::HandsOver(successor, kept));
                }
                addresses = Some(kept);
                continue;
            }
            _ = orders.hand_over.recv() => None,
            Some(asked) = running.hand_over_asked.recv() => Some(asked),
        };
        match addresses.take() {
            Some(addresses) => begun = Some((begin(addresses, again), asked)),
            // Who asked is told so by what he waits for being dropped.
            None => tracing::warn!("another process is being started to take over already"),
        }
    }
    // What connects from now on is refused, as nobody would accept it.
    drop(addresses);
    drop(begun);
    notify::stopping();
    let in_time = running.stop().await?;
    tracing::info!(in_time, "stopped");
    Ok(Ended::Stopped(in_time))
}

/// Starts a process to take over, on a thread that may block.
fn begin(
    addresses: Addresses,
    (program, config): (&Path, &Path),
) -> JoinHandle<(Result<Successor, Failure>, Addresses)> {
    tracing::info!(program = %program.display(), "a new process is started to take over");
    let (program, config) = (program.to_owned(), config.to_owned());
    tokio::task::spawn_blocking(move || {
        (Successor::begin(&program, &config, &addresses), addresses)
    })
}

/// What became of it. Not to be polled where there is none.
async fn outcome(
    begun: &mut Option<Begun>,
) -> (Result<(Result<Successor, Failure>, Addresses), Failure>, Option<Asked>) {
    let Some((task, asked)) = begun else { return std::future::pending().await };
    let answer = task.await.map_err(Failure::from);
    (answer, asked.take())
}

/// The new process, if it is ready; whoever asked is told, and the log.
fn announced(answer: Result<Successor, Failure>, asked: Option<Asked>) -> Option<Successor> {
    let (said, successor) = match answer {
        Ok(successor) => {
            let id = successor.id();
            tracing::info!(process = id, "the new process is ready: draining");
            (Ok(format!("process {id} is ready and takes over")), Some(successor))
        }
        Err(Failure(why)) => {
            tracing::error!(%why, "the new process cannot serve: this one goes on");
            (Err(format!("the new process cannot serve, this one goes on: {why}")), None)
        }
    };
    if let Some(asked) = asked {
        // He may have gone.
        let _ = asked.send(said);
    }
    successor
}

/// Ends to serve; what connects meanwhile waits for the new process.
async fn give_up(mut running: Running) -> Result<(), Failure> {
    running.stop_accepting().await;
    let in_time = running.stop().await?;
    tracing::info!(in_time, "the sessions of this process have ended");
    Ok(())
}

/// Descriptors beside those of sessions: listeners, journal, ledger, admin.
const OTHER_FILES: u64 = 256;

/// A session has two sockets. The system's soft limit is often 1,024: it is raised as far as the hard
/// one lets it, and the log says where that does not do.
fn raise_open_files(sessions: usize) {
    let limit = getrlimit(Resource::Nofile);
    let wanted = 2 * sessions as u64 + OTHER_FILES;
    let most = limit.maximum.unwrap_or(u64::MAX);
    if limit.current.is_some_and(|current| current < wanted) {
        let raised = Rlimit { current: Some(wanted.min(most)), maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "the limit of open files cannot be raised");
        }
    }
    if most < wanted {
        let room = most.saturating_sub(OTHER_FILES) / 2;
        tracing::warn!(sessions, room, "the limit of open files is below [limits] sessions");
    }
}

/// One line a session event on standard error. `RUST_LOG` wins over the configured level: a level, or
/// `MODULE=LEVEL` and more, separated by commas.
fn begin_log(log: &Log) -> Result<(), Failure> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(written) if !written.is_empty() => Targets::from_str(&written).map_err(|error| {
            Failure(format!("RUST_LOG: {error}; write a level, such as debug, or unset it"))
        })?,
        Ok(_) | Err(_) => Targets::from_str(log.level.name())
            .map_err(|error| Failure(format!("[log] level: {error}")))?,
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let filtered = tracing_subscriber::registry().with(filter);
    match log.format {
        LogFormat::Json => filtered.with(lines.json()).init(),
        LogFormat::Text => filtered.with(lines.with_ansi(false)).init(),
    }
    Ok(())
}
