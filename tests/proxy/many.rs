//! Very many at once, and very slow ones.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use consentry::peer::smsc::Options;
use consentry::smpp::{Command, CommandStatus};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::openssl::bind;
use crate::running::Proxy;
use crate::tls::becomes;
use crate::{OURS, answer, audit, bound, smsc, submit};

/// Connections at once.
const MANY: usize = 10_000;

/// As many of them may stay.
const SESSIONS: usize = 9_000;

/// Files beside the connections of a process.
const OTHERS: usize = 500;

/// Whether that many files may be open here, after raising the limit as far as it goes. The proxy needs
/// two for each session that may be.
fn may_open(files: usize) -> bool {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX);
    let wanted = limit.current.unwrap_or(u64::MAX).max(files as u64).min(most);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum });
    most >= files as u64
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_connections_are_served_or_turned_away_and_all_others_go_on() {
    if !may_open(2 * SESSIONS + OTHERS) {
        eprintln!("not shown: fewer than {} files may be open here", 2 * SESSIONS + OTHERS);
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc(Options::default());
    let more = format!(
        "{}[limits]\nsessions = {SESSIONS}\nsessions_per_address = {SESSIONS}\n\
         [timeouts]\nbind = \"10m\"\n[admin]\naddress = \"127.0.0.1:0\"\n",
        audit("written")
    );
    let proxy = Proxy::start(folder.path(), smsc.address(), &more, "");
    let mut esme = bound(&proxy).await;
    let address = proxy.address();
    let connect = move || -> Vec<TcpStream> {
        (0..MANY).map(|_| TcpStream::connect(address).expect("the kernel takes it")).collect()
    };
    let many = tokio::task::spawn_blocking(connect).await.expect("all connect");
    let turned_away = MANY + 1 - SESSIONS;
    becomes(&proxy, "consentry_sessions{state=\"open\"}", &(SESSIONS - 1).to_string());
    let sessions = "consentry_connections_refused_total{reason=\"sessions\"}";
    becomes(&proxy, sessions, &turned_away.to_string());
    esme.send(&submit(2, OURS, |_| {})).await.expect("the proxy reads");
    let answered = answer(&mut esme).await.map(|(command, status, ..)| (command, status));
    assert_eq!(answered, Some((Command::SubmitSmResp, CommandStatus::ESME_ROK)));
    drop(many);
    becomes(&proxy, "consentry_sessions{state=\"open\"}", "0");
    drop(bound(&proxy).await);
}

#[tokio::test]
async fn an_octet_now_and_then_does_not_keep_a_connection_that_never_binds() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc(Options::default());
    let more = audit("written")
        + "[timeouts]\nbind = \"1s\"\nclose = \"100ms\"\n[admin]\naddress = \"127.0.0.1:0\"\n";
    let proxy = Proxy::start(folder.path(), smsc.address(), &more, "");
    let address: SocketAddr = proxy.address();
    let slow = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).expect("somebody listens");
        let began = Instant::now();
        // A whole bind would take a hundred times as long.
        for octet in bind("test").iter().cycle() {
            if stream.write_all(&[*octet]).is_err() {
                return true;
            }
            if began.elapsed() > Duration::from_secs(30) {
                return false;
            }
            std::thread::sleep(Duration::from_secs(1));
        }
        false
    });
    becomes(&proxy, "consentry_sessions_ended_total{reason=\"bind_timeout\"}", "1");
    assert!(slow.await.expect("it writes"), "it could write for 30 s");
}
