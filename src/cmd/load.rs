//! `consentry load`.

use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use super::{Answer, Failure, duration, smsc};
use crate::peer::load::{Length, Message, Options, Report, run as run_load, self_check};
use crate::smpp::CommandStatus;
use crate::smpp::bind::{PASSWORD_OCTETS_MAX, SYSTEM_ID_OCTETS_MAX};

/// A load generator with percentiles. With --rate it is an open loop: latency counts from the moment
/// at which a message was meant to go, so a peer that pauses shows in full. Without, every session
/// keeps its window full. Exit status 1 when an answer is missing or is another than --expect, 2 when
/// it cannot connect or bind.
#[derive(clap::Args)]
pub struct Args {
    /// Where to bind; sessions take several in turn
    #[arg(long, value_name = "ADDR", required_unless_present = "self_check", value_parser = address)]
    to: Vec<SocketAddr>,
    /// Sessions, all bound as transceivers
    #[arg(long, value_name = "N", default_value_t = 4)]
    sessions: usize,
    /// Requests of one session that may wait for their answers
    #[arg(long, value_name = "N", default_value_t = 100)]
    window: usize,
    /// Messages a second over all sessions; as fast as the windows allow without it
    #[arg(long, value_name = "N")]
    rate: Option<u64>,
    /// Send that long, after the warm-up
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration::parse)]
    duration: Duration,
    /// Send exactly that many messages instead
    #[arg(long, value_name = "N", conflicts_with_all = ["duration", "warmup"])]
    count: Option<u64>,
    /// Send that long before measuring
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration::parse)]
    warmup: Duration,
    /// Who binds
    #[arg(long, value_name = "ID", default_value = "load")]
    system_id: String,
    /// Its password
    #[arg(long, value_name = "PASSWORD", default_value = "secret")]
    password: String,
    /// source_addr
    #[arg(long, value_name = "DIGITS", default_value = "106900001234")]
    source: String,
    /// The first destination
    #[arg(long, value_name = "DIGITS", default_value_t = 8_613_800_000_000)]
    dest_base: u64,
    /// Destinations that follow one another before the first comes again
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    dest_count: u64,
    /// The text; without it, Chinese filler of 60 octets. Where it holds ####, the last digits of
    /// the sequence_number go, so that no two in a row are alike
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// Filler of that many octets as the text
    #[arg(long, value_name = "N", conflicts_with = "text")]
    octets: Option<usize>,
    /// data_coding: 8 sends the text as UCS-2, every other as it is, which must then be ASCII
    #[arg(long, value_name = "N", default_value_t = 8)]
    data_coding: u8,
    /// Ask for delivery receipts
    #[arg(long)]
    receipts: bool,
    /// Fail when an answer has another status than this one, such as ESME_ROK
    #[arg(long, value_name = "ESME_R...", value_parser = smsc::status)]
    expect: Option<CommandStatus>,
    /// Give a session up when no answer comes that long
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration::parse)]
    response_timeout: Duration,
    /// Stop sending and reading once, as 50ms@5s: for 50 ms, 5 s after the warm-up. It must show
    #[arg(long, value_name = "SPAN@TIME", value_parser = pause)]
    pause_injection: Option<(Duration, Duration)>,
    /// See whether a pause of 50 ms in an SMSC of our own shows in p99.9, and nothing without it does
    #[arg(long)]
    self_check: bool,
    /// Report the CPU time a message of this process too; may be given many times
    #[arg(long, value_name = "PID")]
    cpu_of: Vec<u32>,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
    /// Threads that send and read
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: usize,
}

/// Sends, and reports.
pub fn run(args: Args) -> Result<Answer, Failure> {
    if args.self_check {
        return check_self(args.json);
    }
    if args.system_id.len() >= SYSTEM_ID_OCTETS_MAX || args.password.len() >= PASSWORD_OCTETS_MAX {
        let (id, password) = (SYSTEM_ID_OCTETS_MAX - 1, PASSWORD_OCTETS_MAX - 1);
        let limits = format!("--system-id may have {id} octets and --password {password}");
        return Err(Failure(limits));
    }
    let (expect, json) = (args.expect, args.json);
    let report = run_load(&options(args)?)?;
    if json {
        println!("{}", serde_json::json!(report));
    } else {
        print_table(&report);
    }
    Ok(if report.is_complete(expect) { Answer::Yes } else { Answer::No })
}

fn options(args: Args) -> Result<Options, Failure> {
    let text = match (args.octets, args.text) {
        (Some(octets), _) if args.data_coding == 8 => {
            [0x4e, 0x2d].iter().cycle().take(octets).copied().collect()
        }
        (Some(octets), _) => vec![b'a'; octets],
        (None, Some(text)) => coded(&text, args.data_coding).map_err(Failure)?,
        (None, None) if args.data_coding == 8 => [0x4e, 0x2d].repeat(30),
        (None, None) => vec![b'a'; 60],
    };
    Ok(Options {
        to: args.to,
        sessions: args.sessions,
        window: args.window,
        rate: args.rate,
        length: args.count.map_or(Length::For(args.duration), Length::Count),
        warmup: args.warmup,
        system_id: args.system_id,
        password: args.password,
        message: Message {
            source: args.source,
            dest_base: args.dest_base,
            dest_count: args.dest_count,
            data_coding: args.data_coding,
            text,
            receipt: args.receipts,
        },
        pause: args.pause_injection,
        response_timeout: args.response_timeout,
        threads: args.threads,
        cpu_of: args.cpu_of,
    })
}

fn check_self(json: bool) -> Result<Answer, Failure> {
    let found = self_check()?;
    let holds = found.holds();
    let (steady, paused) = (found.steady_p999_ns, found.paused_p999_ns);
    if json {
        let line = serde_json::json!({
            "holds": holds, "steady_p999_ns": steady, "paused_p999_ns": paused,
        });
        println!("{line}");
    } else {
        println!("p99.9 without a pause        {:>12}", shown(steady));
        println!("p99.9 with a pause of 50 ms  {:>12}", shown(paused));
        println!(
            "{}",
            if holds { "yes: the pause shows" } else { "no: do not trust latencies here" }
        );
    }
    Ok(if holds { Answer::Yes } else { Answer::No })
}

fn print_table(report: &Report) {
    println!("messages    {} in {:.3} s", report.messages, report.seconds);
    println!("rate        {:.0} a second", report.rate);
    for (status, count) in &report.statuses {
        println!("status      {status} {count}");
    }
    let latency = &report.latency_ns;
    for (name, value) in [
        ("min", latency.min),
        ("mean", latency.mean),
        ("p50", latency.p50),
        ("p90", latency.p90),
        ("p99", latency.p99),
        ("p99.9", latency.p999),
        ("p99.99", latency.p9999),
        ("max", latency.max),
    ] {
        println!("latency     {name:<7}{:>12}", shown(value));
    }
    println!("unanswered  {} of {} sent", report.missing, report.sent);
    for (name, count) in [
        ("never sent", report.unsent),
        ("unexpected", report.unexpected),
        ("delivered", report.delivered),
    ] {
        if count > 0 {
            println!("{name:<11} {count}");
        }
    }
    for cpu in &report.cpu {
        match cpu.us_per_message {
            Some(us) => println!("cpu         {us:.3} us a message, {} ({})", cpu.name, cpu.pid),
            None => println!("cpu         no such process ({})", cpu.pid),
        }
    }
    for fault in &report.faults {
        println!("fault       {fault}");
    }
}

/// Nanoseconds in the unit that reads best.
fn shown(ns: u64) -> String {
    match ns {
        0..10_000_000 => format!("{:.1} us", ns as f64 / 1e3),
        _ => format!("{:.2} ms", ns as f64 / 1e6),
    }
}

/// A text's octets: UCS-2 for data_coding 8, as it is for every other.
pub(super) fn coded(text: &str, data_coding: u8) -> Result<Vec<u8>, String> {
    if data_coding == 8 {
        return Ok(text.encode_utf16().flat_map(u16::to_be_bytes).collect());
    }
    if text.is_ascii() {
        return Ok(text.as_bytes().to_vec());
    }
    Err(format!("the text is not ASCII: data_coding {data_coding} cannot carry it; use 8"))
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let mut found = text.to_socket_addrs().map_err(|error| format!("{error}; write HOST:PORT"))?;
    found.next().ok_or_else(|| "that name has no address".to_owned())
}

fn pause(text: &str) -> Result<(Duration, Duration), String> {
    let (span, at) = text.split_once('@').ok_or("write SPAN@TIME, as in 50ms@5s")?;
    Ok((duration::parse(at)?, duration::parse(span)?))
}
