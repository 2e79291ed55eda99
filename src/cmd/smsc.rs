//! `consentry smsc`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Answer, Failure, duration};
use crate::peer::smsc::{Counts, Deliver, Fault, Options, Smsc};
use crate::smpp::CommandStatus;
use crate::smpp::bind::{PASSWORD_OCTETS_MAX, SYSTEM_ID_OCTETS_MAX};

/// A small SMSC to try and measure against. It answers every request of SMPP 3.4, keeps no message,
/// prints the address it listens on as its first line, and ends at SIGTERM or SIGINT.
#[derive(clap::Args)]
pub struct Args {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:2775")]
    listen: SocketAddr,
    /// Its system_id, at most 15 octets
    #[arg(long, value_name = "ID", default_value = "SMSC")]
    system_id: String,
    /// Accept only binds with this password; all are accepted without it
    #[arg(long, value_name = "PASSWORD")]
    password: Option<String>,
    /// Hold every batch of answers back that long
    #[arg(long, value_name = "DURATION", default_value = "0", value_parser = duration::parse)]
    delay: Duration,
    /// Hold each batch back up to that much longer, at random; answers keep their order
    #[arg(long, value_name = "DURATION", default_value = "0", value_parser = duration::parse)]
    delay_jitter: Duration,
    /// Answer messages with this status, by its name, such as ESME_RTHROTTLED
    #[arg(long, value_name = "ESME_R...", value_parser = status)]
    status: Option<CommandStatus>,
    /// Answer only every n-th message of a session with --status
    #[arg(long, value_name = "N", default_value_t = 1, requires = "status",
          value_parser = clap::value_parser!(u64).range(1..))]
    status_every: u64,
    /// Send a delivery receipt for each message that asks for one
    #[arg(long)]
    receipts: bool,
    /// Send this message again and again to all sessions that can receive
    #[arg(long, value_name = "SOURCE:DESTINATION:TEXT", value_parser = deliver)]
    deliver: Option<Deliver>,
    /// Time between two messages of --deliver
    #[arg(long, value_name = "DURATION", default_value = "1s", requires = "deliver",
          value_parser = duration::parse)]
    deliver_every: Duration,
    /// Write the octets of all PDUs that come to this file, as they came: the passwords of binds too
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Misbehave: silent, stop-reading, cut-mid-pdu, reverse or close-after=N
    #[arg(long, value_name = "FAULT", default_value = "none", value_parser = fault)]
    fault: Fault,
    /// Print the counts each second, not only at the end
    #[arg(long)]
    stats: bool,
    /// Print the counts as JSON
    #[arg(long)]
    json: bool,
    /// Threads
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: usize,
}

/// Serves until a signal comes.
pub fn run(args: Args) -> Result<Answer, Failure> {
    let too_long =
        |what: &str, max: usize| Failure(format!("--{what} may have at most {} octets", max - 1));
    if args.system_id.len() >= SYSTEM_ID_OCTETS_MAX {
        return Err(too_long("system-id", SYSTEM_ID_OCTETS_MAX));
    }
    if args.password.as_ref().is_some_and(|p| p.len() >= PASSWORD_OCTETS_MAX) {
        return Err(too_long("password", PASSWORD_OCTETS_MAX));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut terminate, mut interrupt) = {
        let _inside = runtime.enter();
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
    };
    let smsc = Smsc::start(Options {
        listen: args.listen,
        system_id: args.system_id,
        password: args.password,
        threads: args.threads,
        delay: args.delay,
        delay_jitter: args.delay_jitter,
        status: args.status.map(|status| (status, args.status_every)),
        receipts: args.receipts,
        deliver: args.deliver.map(|d| Deliver { every: args.deliver_every, ..d }),
        record: args.record,
        received_max: 0,
        fault: args.fault,
    })?;
    println!("listening on {}", smsc.address());
    runtime.block_on(serve(&smsc, args.stats, args.json, &mut terminate, &mut interrupt));
    print_counts(smsc.counts(), args.json);
    Ok(Answer::Yes)
}

async fn serve(
    smsc: &Smsc,
    stats: bool,
    json: bool,
    terminate: &mut Signal,
    interrupt: &mut Signal,
) {
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    seconds.tick().await;
    loop {
        tokio::select! {
            _ = terminate.recv() => return,
            _ = interrupt.recv() => return,
            _ = seconds.tick(), if stats => print_counts(smsc.counts(), json),
        }
    }
}

fn print_counts(counts: Counts, json: bool) {
    if json {
        println!("{}", serde_json::json!(counts));
        return;
    }
    let Counts { connections, closed, binds, messages, requests, .. } = counts;
    let Counts { refused, responses, delivered, undelivered, octets, .. } = counts;
    println!(
        "connections {connections} closed {closed} binds {binds} messages {messages} \
         requests {requests} refused {refused} delivered {delivered} undelivered {undelivered} \
         responses {responses} octets {octets}"
    );
}

pub(super) fn status(name: &str) -> Result<CommandStatus, String> {
    CommandStatus::from_name(name).ok_or_else(|| {
        "no command_status has that name; ESME_RTHROTTLED is one that has".to_owned()
    })
}

fn fault(name: &str) -> Result<Fault, String> {
    match name {
        "none" => Ok(Fault::None),
        "silent" => Ok(Fault::Silent),
        "stop-reading" => Ok(Fault::StopReading),
        "cut-mid-pdu" => Ok(Fault::CutMidPdu),
        "reverse" => Ok(Fault::Reverse),
        _ => match name.strip_prefix("close-after=").and_then(|n| n.parse().ok()) {
            Some(messages) => Ok(Fault::CloseAfter(messages)),
            None => {
                Err("none, silent, stop-reading, cut-mid-pdu, reverse, close-after=N".to_owned())
            }
        },
    }
}

/// The text goes as it is when it is ASCII (data_coding 0), else as UCS-2 (data_coding 8).
fn deliver(text: &str) -> Result<Deliver, String> {
    let mut parts = text.splitn(3, ':');
    let (Some(source), Some(destination), Some(text)) = (parts.next(), parts.next(), parts.next())
    else {
        return Err("write SOURCE:DESTINATION:TEXT, as in 8613800138000:106900001234:TD".to_owned());
    };
    if source.len() > 20 || destination.len() > 20 {
        return Err("source and destination may have at most 20 octets each".to_owned());
    }
    let data_coding = if text.is_ascii() { 0 } else { 8 };
    Ok(Deliver {
        source: source.to_owned(),
        destination: destination.to_owned(),
        data_coding,
        text: super::load::coded(text, data_coding)?,
        every: Duration::from_secs(1),
    })
}
