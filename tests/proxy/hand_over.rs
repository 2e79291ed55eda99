//! Another process takes over under load: no connection is refused, no message is lost, each is recorded
//! once. What cannot take over leaves the first one as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use consentry::peer::esme::Esme;
use consentry::peer::smsc::Fault;
use consentry::smpp::{Command, CommandStatus, Header, write};

use crate::notified::Systemd;
use crate::running::Proxy;
use crate::{OURS, answer, audit, bound, recorded, shim, smsc, submit, submits};

/// How long anything is waited for that has to come.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two messages of one ESME, and two connections.
const PACE: Duration = Duration::from_millis(2);
const BINARY: &str = env!("CARGO_BIN_EXE_consentry");

/// Ends the processes that took over, whatever becomes of the test.
struct Successors<'a>(&'a Proxy);

impl Successors<'_> {
    /// Their ids, as the log has them, when there are `count`.
    fn ids(&self, count: usize) -> Vec<u32> {
        let ids = within("a process takes over", || {
            let ids = self.known();
            (ids.len() >= count).then_some(ids)
        });
        assert_eq!(ids.len(), count, "{ids:?}");
        ids
    }

    fn known(&self) -> Vec<u32> {
        let id = |line: String| line.rsplit_once("process=")?.1.trim().parse().ok();
        self.0.logged("handed over process=").into_iter().filter_map(id).collect()
    }

    /// Ends the last one in good order.
    fn end(self) {
        let id = *self.known().last().expect("there is one");
        signal("-TERM", id);
        within("the last process ends", || (!lives(id)).then_some(()));
    }
}

impl Drop for Successors<'_> {
    fn drop(&mut self) {
        self.known().into_iter().filter(|id| lives(*id)).for_each(|id| signal("-KILL", id));
    }
}

fn signal(signal: &str, id: u32) {
    Process::new("kill").args([signal, &id.to_string()]).status().expect("kill is there");
}

/// Whether a process runs our program still; one that has ended and that nobody has asked about does not.
fn lives(id: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    status.contains("(consentry)") && !status.contains(") Z ")
}

fn within<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < until, "{what}, within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Starts the binary through a link in `folder`, which is where it looks for what takes over.
fn start(folder: &Path, smsc: SocketAddr, more: &str, shell: &str) -> Proxy {
    let (link, file) = (folder.join("consentry"), folder.join("consentry.toml"));
    symlink(BINARY, &link).expect("a link");
    let config = format!(
        "[[listen]]\naddress = \"127.0.0.1:0\"\nsmsc = [\"{smsc}\"]\n\
         [registry]\nfile = \"registry.toml\"\n[timeouts]\nclose = \"1s\"\n{}{more}",
        audit("written")
    );
    let script = format!("{shell} exec '{}' run -c '{}'", link.display(), file.display());
    let mut process = Process::new("sh");
    process.args(["-c", &script]);
    Proxy::start_by(folder, &config, process)
}

/// What all ESMEs have in common.
struct Load {
    proxy: SocketAddr,
    stop: AtomicBool,
    /// Every message has a sequence_number that no other has, in whatever session it goes.
    next: AtomicU32,
}

/// What one ESME saw.
#[derive(Default)]
struct Seen {
    /// Messages by how often they were answered ESME_ROK.
    accepted: BTreeMap<u32, u32>,
    sessions: usize,
}

impl Load {
    async fn bind(&self) -> Esme {
        // A connection that is refused, or closed before its bind is answered, fails the test.
        let mut esme = Esme::connect(self.proxy).await.expect("no connection is refused");
        esme.read_deadline = PATIENCE;
        let bound = esme.bind(Command::BindTransceiver, "test", "secret").await;
        assert_eq!(bound.expect("every bind is answered"), CommandStatus::ESME_ROK);
        esme
    }

    /// Sends with a full window, binds again when it is unbound, and sends again what was not accepted.
    async fn send(self: Arc<Load>) -> Seen {
        const WINDOW: usize = 20;
        let mut seen = Seen::default();
        let mut open = BTreeSet::new();
        while !self.stop.load(Ordering::Relaxed) || !open.is_empty() {
            let mut esme = self.bind().await;
            seen.sessions += 1;
            let again: Vec<u8> = open.iter().flat_map(|one| submit(*one, OURS, |_| {})).collect();
            if esme.send(&again).await.is_err() {
                continue;
            }
            loop {
                let mut batch = Vec::new();
                while open.len() < WINDOW && !self.stop.load(Ordering::Relaxed) {
                    let next = self.next.fetch_add(1, Ordering::Relaxed);
                    open.insert(next);
                    batch.extend(submit(next, OURS, |_| {}));
                }
                if esme.send(&batch).await.is_err() || open.is_empty() {
                    break;
                }
                let Ok(Some(pdu)) = esme.next().await else { break };
                // As fast as can be would be more records than the end has time to verify.
                tokio::time::sleep(PACE).await;
                let header = Header::of(&pdu).expect("a header");
                match header.command {
                    Command::SubmitSmResp if header.command_status.is_ok() => {
                        open.remove(&header.sequence_number);
                        *seen.accepted.entry(header.sequence_number).or_default() += 1;
                    }
                    // Not accepted by a proxy that ends: it stays open and goes to the next one.
                    Command::SubmitSmResp => {}
                    Command::Unbind => {
                        let (id, number) = (Command::UnbindResp.id(), header.sequence_number);
                        let mut out = Vec::new();
                        write::header_only(&mut out, id, CommandStatus::ESME_ROK, number);
                        let _ = esme.send(&out).await;
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        seen
    }

    /// Connects and binds again and again.
    async fn connect(self: Arc<Load>) -> usize {
        let mut sessions = 0;
        while !self.stop.load(Ordering::Relaxed) {
            drop(self.bind().await);
            sessions += 1;
            tokio::time::sleep(PACE).await;
        }
        sessions
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_after_each_other_take_over_and_nothing_is_lost() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc(Default::default());
    let (systemd, shell) = Systemd::listen(folder.path());
    let mut proxy = start(folder.path(), smsc.address(), "", &shell);
    let load = Arc::new(Load {
        proxy: proxy.address(),
        stop: AtomicBool::new(false),
        next: AtomicU32::new(100),
    });
    let senders: Vec<_> = (0..4).map(|_| tokio::spawn(load.clone().send())).collect();
    let connecting = tokio::spawn(load.clone().connect());
    let busy = || {
        let goal = load.next.load(Ordering::Relaxed) + 500;
        within("traffic flows", || (load.next.load(Ordering::Relaxed) > goal).then_some(()));
    };
    assert_eq!(systemd.next(), "READY=1");
    busy();
    let mut current = proxy.id();
    for round in 1..=2 {
        signal("-USR2", current);
        let successors = Successors(&proxy);
        let id = *successors.ids(round).last().expect("the new one");
        std::mem::forget(successors);
        assert_eq!(systemd.next_state(), format!("MAINPID={id}"));
        assert_eq!(systemd.next_state(), "READY=1");
        if round == 1 {
            assert_eq!(proxy.wait(), Some(0), "the first process ends in good order");
        }
        within("the old one is gone", || (!lives(current)).then_some(()));
        current = id;
        busy();
    }
    load.stop.store(true, Ordering::Relaxed);
    let (mut accepted, mut sessions) = (BTreeMap::new(), 0);
    for sender in senders {
        let mut seen = sender.await.expect("the sender saw no fault");
        accepted.append(&mut seen.accepted);
        sessions += seen.sessions;
    }
    assert!(connecting.await.expect("no bind failed") > 0);
    assert!(sessions >= 12, "four ESMEs were at three processes: {sessions} sessions");
    Successors(&proxy).end();
    assert_eq!(systemd.next_state(), "STOPPING=1");
    let sent = load.next.load(Ordering::Relaxed) - 100;
    assert_eq!(accepted.len(), sent as usize, "every message was accepted in the end");
    assert!(accepted.values().all(|times| *times == 1));
    let (mut passed, unanswered) = recorded(folder.path());
    passed.sort_unstable();
    assert_eq!(passed, accepted.keys().copied().collect::<Vec<_>>(), "each is recorded once");
    assert_eq!(unanswered, 0);
    let mut arrived: Vec<u32> = submits(&smsc)
        .iter()
        .filter_map(|pdu| Header::of(pdu).map(|header| header.sequence_number))
        .collect();
    arrived.sort_unstable();
    assert_eq!(arrived, passed, "each arrived once");
}

/// Puts another program where the running one looks for what takes over.
fn replace(folder: &Path, script: Option<&str>) {
    let link = folder.join("consentry");
    std::fs::remove_file(&link).expect("it is there");
    match script {
        Some(text) => {
            std::fs::write(&link, text).expect("written");
            std::fs::set_permissions(&link, std::fs::Permissions::from_mode(0o755)).expect("ours");
        }
        None => symlink(BINARY, &link).expect("a link"),
    }
}

#[tokio::test]
async fn what_cannot_take_over_leaves_the_first_process_as_it_is() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc(Default::default());
    let mut proxy = start(folder.path(), smsc.address(), "", "");
    let file = folder.path().join("consentry.toml");
    let good = std::fs::read_to_string(&file).expect("it is there");
    let mut esme = bound(&proxy).await;
    let (bad, elsewhere) =
        (format!("{good}surprise = 1\n"), good.replace("\"127.0.0.1:0\"", "\"192.0.2.1:9\""));
    let auditor = good.replace("[audit]\n", "[audit]\nauditors = [\"auditor.pub\"]\n");
    let captured = format!("{good}[capture]\nproviders = [\"nobody\"]\n");
    let admin = format!("{good}[admin]\naddress = \"127.0.0.1:0\"\ntoken_file = \"token\"\n");
    let stray = format!("{good}keys = \"stray\"\n");
    std::fs::create_dir(folder.path().join("stray")).expect("a folder");
    std::fs::write(folder.path().join("stray/numbers-2026-01.key"), "no key").expect("written");
    let mut failed = 0;
    for (script, config, expected) in [
        (Some("#!/bin/sh\nexit 3\n"), &good, "it ended without a word: exit status: 3"),
        (Some("\u{7f}ELF and nothing more"), &good, "cannot be started: "),
        (None, &bad, "surprise is not a key here"),
        (None, &elsewhere, "cannot listen on 192.0.2.1:9"),
        (None, &auditor, "auditor.pub"),
        (None, &captured, "[capture] providers or sources"),
        (None, &admin, "token"),
        (None, &stray, "numbers-2026-01.key"),
    ] {
        replace(folder.path(), script);
        std::fs::write(&file, config).expect("written");
        failed += 1;
        proxy.signal("-USR2");
        let told = within("it says why", || {
            let lines = proxy.logged("the new process cannot serve: this one goes on");
            (lines.len() == failed).then(|| lines[failed - 1].clone())
        });
        assert!(told.contains(expected), "{told}");
        // The session of before and a new one are served.
        for one in [&mut esme, &mut bound(&proxy).await] {
            one.send(&submit(2 + failed as u32, OURS, |_| {})).await.expect("sent");
            let status = answer(one).await.map(|(_, status, ..)| status);
            assert_eq!(status, Some(CommandStatus::ESME_ROK), "{told}");
        }
    }
    drop(esme);
    proxy.signal("-TERM");
    assert_eq!(proxy.wait(), Some(0));
    let (passed, unanswered) = recorded(folder.path());
    assert_eq!((passed.len(), unanswered), (2 * failed, 0));
}

/// A program that is killed at the first call that would change the journal.
fn killed_at_the_journal(folder: &Path) -> String {
    let (library, journal) = (shim::library(), folder.join("audit"));
    format!(
        "#!/bin/sh\nexport LD_PRELOAD='{}' CONSENTRY_FAULT_KILL=1 CONSENTRY_FAULT_FOLDER='{}'\n\
         exec '{BINARY}' \"$@\"\n",
        library.display(),
        journal.display()
    )
}

#[tokio::test]
async fn a_process_that_fails_after_the_sessions_have_ended_gives_everything_back() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc(Default::default());
    let (systemd, shell) = Systemd::listen(folder.path());
    let mut proxy = start(folder.path(), smsc.address(), "", &shell);
    assert_eq!(systemd.next(), "READY=1");
    let mut esme = bound(&proxy).await;
    esme.send(&submit(2, OURS, |_| {})).await.expect("sent");
    assert!(answer(&mut esme).await.is_some());
    replace(folder.path(), Some(&killed_at_the_journal(folder.path())));
    proxy.signal("-USR2");
    let told = within("it says why", || proxy.logged("the new process does not serve").pop());
    assert!(told.contains("it ended without a word: signal: 9"), "{told}");
    assert_eq!(systemd.next(), "READY=1", "it serves again, and is the service still");
    esme = bound(&proxy).await;
    esme.send(&submit(3, OURS, |_| {})).await.expect("sent");
    assert_eq!(answer(&mut esme).await.map(|a| a.1), Some(CommandStatus::ESME_ROK));
    drop(esme);
    proxy.signal("-TERM");
    assert_eq!(proxy.wait(), Some(0));
    assert_eq!(recorded(folder.path()), (vec![2, 3], 0));
}

#[tokio::test]
async fn what_was_written_meanwhile_is_served_by_its_addresses_once_it_is_right() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (one, other) = (smsc(Default::default()), smsc(Default::default()));
    let second =
        format!("[[listen]]\naddress = \"127.0.0.2:0\"\nsmsc = [\"{}\"]\n", other.address());
    let mut proxy = start(folder.path(), one.address(), &second, "");
    let file = folder.path().join("consentry.toml");
    let good = std::fs::read_to_string(&file).expect("it is there");
    let mut esme = bound(&proxy).await;
    one.fault(Fault::Silent);
    esme.send(&submit(2, OURS, |_| {})).await.expect("sent");
    within("it is under way", || (one.counts().messages > 0).then_some(()));
    replace(folder.path(), Some(&killed_at_the_journal(folder.path())));
    proxy.signal("-USR2");
    within("it drains", || proxy.logged("the new process is ready: draining").pop());
    // The files change while its last session has a message open.
    std::fs::write(&file, format!("{good}surprise = 1\n")).expect("written");
    drop(esme);
    let told = within("it says why", || proxy.logged("nobody serves").pop());
    assert!(told.contains("surprise is not a key here"), "{told}");
    one.fault(Fault::None);
    let swapped = second.clone() + &good.replace(&second, "");
    std::fs::write(&file, swapped).expect("written");
    within("it serves again", || {
        (proxy.logged("listening address=127.0.0.1").len() == 2).then_some(())
    });
    let mut esme = bound(&proxy).await;
    assert_eq!(
        (one.counts().binds, other.counts().binds),
        (2, 0),
        "each address leads where it says"
    );
    esme.send(&submit(3, OURS, |_| {})).await.expect("sent");
    assert_eq!(answer(&mut esme).await.map(|a| a.1), Some(CommandStatus::ESME_ROK));
    drop(esme);
    proxy.signal("-TERM");
    assert_eq!(proxy.wait(), Some(0));
    assert_eq!(recorded(folder.path()).0, vec![2, 3]);
}

/// `consentry hand-over` on a configuration with that admin address.
fn ask(folder: &Path, admin: SocketAddr) -> Output {
    let file: PathBuf = folder.join("asked.toml");
    let config = std::fs::read_to_string(folder.join("consentry.toml")).expect("it is there");
    let admin = format!("[admin]\naddress = \"{admin}\"\n");
    let config = config.replace("[admin]\naddress = \"127.0.0.1:0\"\n", &admin);
    std::fs::write(&file, config).expect("written");
    Process::new(BINARY).args(["hand-over", "-c"]).arg(file).output().expect("it runs")
}

#[tokio::test]
async fn the_command_asks_through_the_admin_api_and_tells_what_came_of_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc(Default::default());
    let admin = "[admin]\naddress = \"127.0.0.1:0\"\n";
    let mut proxy = start(folder.path(), smsc.address(), admin, "");
    let address = proxy.admin.expect("it serves its API");
    replace(folder.path(), Some("#!/bin/sh\nexit 3\n"));
    let Output { status, stderr, .. } = ask(folder.path(), address);
    let said = String::from_utf8_lossy(&stderr);
    assert_eq!(status.code(), Some(2), "{said}");
    assert!(said.contains("it ended without a word: exit status: 3"), "{said}");
    drop(bound(&proxy).await);

    replace(folder.path(), None);
    let Output { status, stdout, stderr } = ask(folder.path(), address);
    let said = String::from_utf8_lossy(&stdout);
    let why = String::from_utf8_lossy(&stderr);
    assert_eq!(status.code(), Some(0), "{said}{why}");
    let successors = Successors(&proxy);
    let id = successors.ids(1)[0];
    assert_eq!(said, format!("process {id} is ready and takes over\n"));
    // The same addresses, also where the system had chosen the port.
    drop(bound(&proxy).await);
    std::net::TcpStream::connect(address).expect("the API is where it was");
    successors.end();
    assert_eq!(proxy.wait(), Some(0));
}
