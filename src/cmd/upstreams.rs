//! `consentry upstreams`: the SMSCs of a running proxy, how they stand, and which get no new binds. And what
//! the proxy itself makes of them: configuration in, listings and metrics out.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::consent::{Api, reachable};
use super::{Answer, Failure, knowledge};
use crate::admin::upstreams::Meant;
use crate::admin::{self, Steer};
use crate::config::{self, Listen, Timeouts};
use crate::metrics::{Metrics, UpstreamMetrics};
use crate::proxy::{Clock, Listed, Listening, Upstreams};
use crate::upstream::{Failure as UpstreamFailure, State, Times, Upstream};

/// How often metrics are renewed.
const SHOW: Duration = Duration::from_secs(1);

/// The SMSCs of a running proxy: how they stand, and which get new binds.
#[derive(clap::Args)]
pub struct Args {
    /// The consentry.toml of the running proxy.
    #[arg(short, long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// One JSON object a line.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(clap::Subcommand)]
enum What {
    /// Sends an SMSC no new binds, and has its sessions leave it when nothing is open.
    Drain(Which),
    /// Sends it new binds again.
    Undrain(Which),
}

#[derive(clap::Args)]
struct Which {
    /// host:port of the SMSC, as it is configured.
    address: String,
    /// The address of one listener; without it, of all that lead there.
    #[arg(long, value_name = "ADDRESS")]
    listener: Option<String>,
}

/// Asks the proxy's admin API and prints what it says.
pub fn run(args: Args) -> Result<Answer, Failure> {
    let missing =
        || Failure("name the configuration: consentry upstreams -c consentry.toml".into());
    let file = args.config.ok_or_else(missing)?;
    let config = knowledge::load_config(&file)?;
    let Some(admin) = &config.admin else {
        let file = file.display();
        return Err(Failure(format!("{file} has no [admin]: the proxy cannot be asked; add one")));
    };
    let api = Api::new(reachable(admin.address), admin.token_file.as_deref())?;
    let ask = |path: &str, which: &Which| {
        let body = json!({ "address": which.address, "listener": which.listener });
        api.post(path, &body.to_string())
    };
    let lines = match &args.what {
        None => api.get("/api/v1/upstreams")?,
        Some(What::Drain(which)) => ask("/api/v1/upstreams/drain", which)?,
        Some(What::Undrain(which)) => ask("/api/v1/upstreams/undrain", which)?,
    };
    if args.json {
        print!("{lines}");
        return Ok(Answer::Yes);
    }
    println!(
        "{:<22} {:<26} {:>6} {:<8} {:>8} {:>8} {:>8} {:>11}  since",
        "listener", "upstream", "weight", "state", "sessions", "binds", "failures", "last answer"
    );
    for line in lines.lines() {
        let one: Value = serde_json::from_str(line)?;
        println!("{}", row(&one));
    }
    Ok(Answer::Yes)
}

fn row(one: &Value) -> String {
    let word = |key: &str| one[key].as_str().unwrap_or("-").to_owned();
    let age = one["last_answer_age"].as_f64();
    let age = age.map_or("never".to_owned(), |seconds| format!("{seconds:.1} s"));
    format!(
        "{:<22} {:<26} {:>6} {:<8} {:>8} {:>8} {:>8} {:>11}  {}",
        word("listener"),
        word("address"),
        one["weight"],
        word("state"),
        one["sessions"],
        one["binds"],
        one["failures"],
        age,
        word("since"),
    )
}

/// The SMSCs of a listener, as the proxy takes them.
pub(super) fn of(listen: &Listen) -> Vec<Upstream> {
    let upstream = |one: &config::Smsc| Upstream {
        address: one.address.clone(),
        weight: one.weight,
        rank: one.rank,
    };
    listen.smsc.iter().map(upstream).collect()
}

/// The times that they are judged by.
pub(super) fn times(timeouts: &Timeouts) -> Times {
    Times {
        response_us: timeouts.response.as_micros() as u64,
        ejection_us: timeouts.ejection.as_micros() as u64,
    }
}

/// The SMSCs of all listeners.
pub(super) struct All {
    listeners: Vec<Arc<Upstreams>>,
    clock: Clock,
}

impl All {
    pub(super) fn new(listeners: &[Listening], clock: Clock) -> All {
        All { listeners: listeners.iter().filter_map(Listening::upstreams).collect(), clock }
    }

    /// Other times are in force.
    pub(super) fn judge_by(&self, times: Times) {
        self.listeners.iter().for_each(|one| one.judge_by(times));
    }

    /// Listeners that refuse every bind, a sentence each.
    pub(super) fn closed(&self) -> impl Iterator<Item = String> {
        let closed = self.listeners.iter().filter(|one| one.is_closed());
        closed.map(|one| format!("all upstreams of {} are drained", one.listener()))
    }

    fn listed(&self) -> impl Iterator<Item = (&str, Listed)> {
        let now = self.clock.now();
        self.listeners.iter().flat_map(move |one| {
            let listener = one.listener();
            one.listed(now).into_iter().map(move |listed| (listener, listed))
        })
    }
}

impl Steer for All {
    fn list(&self) -> Vec<admin::Upstream> {
        self.listed().map(|(listener, listed)| shown(listener, &listed)).collect()
    }

    fn steer(&self, meant: &Meant, is_draining: bool) -> Vec<admin::Upstream> {
        let is_meant = |listener: &str| meant.listener.as_ref().is_none_or(|one| one == listener);
        for one in self.listeners.iter().filter(|one| is_meant(one.listener())) {
            one.drain(&meant.address, is_draining, self.clock.now());
        }
        let mut list = self.list();
        list.retain(|one| is_meant(&one.listener) && one.address == meant.address);
        list
    }
}

fn shown(listener: &str, listed: &Listed) -> admin::Upstream {
    admin::Upstream {
        listener: listener.to_owned(),
        address: listed.upstream.address.clone(),
        weight: listed.upstream.weight,
        rank: listed.upstream.rank,
        state: listed.state.name(),
        sessions: listed.sessions as u64,
        binds: listed.binds,
        failures: listed.failures.iter().sum(),
        since: listed.since_us,
        until: listed.until_us,
        last_answer_age: listed.answered_ago_us.map(|ago_us| ago_us as f64 / 1e6),
    }
}

/// Renews the metrics for as long as the process lives.
pub(super) async fn watch(all: Arc<All>, metrics: Arc<Metrics>) {
    let reasons = UpstreamFailure::ALL.map(UpstreamFailure::name);
    let handles: Vec<UpstreamMetrics> = all
        .listed()
        .map(|(listener, one)| metrics.upstream(listener, &one.upstream.address, &reasons))
        .collect();
    loop {
        for ((_, one), handles) in all.listed().zip(&handles) {
            handles.up.set(i64::from(!one.is_ejected));
            handles.draining.set(i64::from(one.state == State::Draining));
            handles.sessions.set(i64::try_from(one.sessions).unwrap_or(i64::MAX));
            handles.binds.inc_by(one.binds.saturating_sub(handles.binds.get()));
            for (count, counter) in one.failures.iter().zip(&handles.failures) {
                counter.inc_by(count.saturating_sub(counter.get()));
            }
        }
        tokio::time::sleep(SHOW).await;
    }
}
