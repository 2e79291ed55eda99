//! Several SMSCs behind one listener, with the binary: weights, standby, drain, and SMSCs that fail in ways
//! that only what they do gives away.

use std::net::{SocketAddr, TcpListener as StdListener};
use std::path::Path;
use std::process::Command as Process;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use consentry::peer::esme::Esme;
use consentry::peer::smsc::{Options, Smsc};
use consentry::session::OWN_NUMBERS;
use consentry::smpp::write;
use consentry::smpp::{Command, CommandStatus, Header};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::running::{Proxy, ask};
use crate::wire::Wire;
use crate::{OURS, bound, closes, load, recorded, smsc, submit, submits};

/// Longer than anything here takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn config(upstreams: &str, more: &str) -> String {
    format!(
        "[[listen]]\naddress = \"127.0.0.1:0\"\nsmsc = [{upstreams}]\n{more}\n\
         [registry]\nfile = \"registry.toml\"\n[audit]\npath = \"audit\"\ndurability = \"written\"\n\
         [admin]\naddress = \"{}\"\n",
        free(),
    )
}

/// An address that was free a moment ago: the command has to know the admin's from the file.
fn free() -> SocketAddr {
    let taken = StdListener::bind("127.0.0.1:0").expect("a free port");
    taken.local_addr().expect("an address")
}

fn in_order(smscs: &[SocketAddr]) -> String {
    smscs.iter().map(|one| format!("\"{one}\"")).collect::<Vec<_>>().join(", ")
}

/// Status and body of a request to the admin API.
fn asked_of(proxy: &Proxy, what: &str, body: &str) -> (u16, String) {
    ask(proxy.admin.expect("an admin address"), what, "", body)
}

fn upstreams(proxy: &Proxy) -> Vec<Value> {
    let (status, lines) = asked_of(proxy, "GET /api/v1/upstreams", "");
    assert_eq!(status, 200, "{lines}");
    lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn states(proxy: &Proxy) -> Vec<String> {
    let state = |one: &Value| one["state"].as_str().expect("a state").to_owned();
    upstreams(proxy).iter().map(state).collect()
}

fn within(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

async fn bind(proxy: &Proxy, kind: Command) -> (Esme, CommandStatus) {
    let mut esme = Esme::connect(proxy.address()).await.expect("the proxy accepts");
    esme.read_deadline = PATIENCE;
    let status = esme.bind(kind, "test", "secret").await.expect("an answer");
    (esme, status)
}

fn header(pdu: &[u8]) -> Header {
    Header::of(pdu).expect("a header")
}

/// What an SMSC of ours does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// Every bind is answered with this.
    Binds(CommandStatus),
    /// It closes where a bind is to be answered.
    Closes,
    /// It answers no bind.
    MuteToBinds,
    /// It answers enquire_link and no message.
    MuteToMessages,
    /// It answers nothing any more.
    Mute,
}

/// An SMSC whose faults can be changed, also of the sessions that it has.
struct Odd {
    address: SocketAddr,
    fault: Arc<Mutex<Fault>>,
    binds: Arc<AtomicUsize>,
    messages: Arc<AtomicUsize>,
    /// Numbers of the enquire_links that came.
    links: Arc<Mutex<Vec<u32>>>,
    task: JoinHandle<()>,
}

impl Odd {
    async fn start(fault: Fault) -> Odd {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let mut odd = Odd {
            address,
            fault: Arc::new(Mutex::new(fault)),
            binds: Arc::default(),
            messages: Arc::default(),
            links: Arc::default(),
            task: tokio::spawn(async {}),
        };
        let (fault, binds) = (odd.fault.clone(), odd.binds.clone());
        let (messages, links) = (odd.messages.clone(), odd.links.clone());
        odd.task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (fault, binds) = (fault.clone(), binds.clone());
                let (messages, links) = (messages.clone(), links.clone());
                tokio::spawn(async move {
                    let mut wire = Wire::over(stream);
                    while let Some(pdu) = wire.next_ever().await {
                        let fault = *fault.lock().expect("whole");
                        let one = header(&pdu);
                        let status = match (one.command, fault) {
                            (_, Fault::Mute) => continue,
                            (Command::EnquireLink, _) => {
                                links.lock().expect("whole").push(one.sequence_number);
                                CommandStatus::ESME_ROK
                            }
                            (Command::SubmitSm, Fault::MuteToMessages) => continue,
                            (Command::SubmitSm, _) => {
                                messages.fetch_add(1, Ordering::Relaxed);
                                CommandStatus::ESME_ROK
                            }
                            (Command::Unbind, _) => CommandStatus::ESME_ROK,
                            (_, Fault::Closes) => return,
                            (_, Fault::MuteToBinds) => continue,
                            (_, Fault::Binds(status)) => status,
                            (_, Fault::None | Fault::MuteToMessages) => {
                                binds.fetch_add(1, Ordering::Relaxed);
                                CommandStatus::ESME_ROK
                            }
                        };
                        if !one.command.is_response() {
                            wire.answer(&pdu, status).await;
                        }
                    }
                });
            }
        });
        odd
    }

    fn does(&self, fault: Fault) {
        *self.fault.lock().expect("whole") = fault;
    }

    fn binds(&self) -> usize {
        self.binds.load(Ordering::Relaxed)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn binds_are_shared_out_by_weight() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [a, b, c] = [(); 3].map(|()| smsc(Options::default()));
    let upstreams_of = format!(
        "{{ address = \"{}\", weight = 3 }}, {{ address = \"{}\" }}, {{ address = \"{}\", standby = true }}",
        a.address(),
        b.address(),
        c.address(),
    );
    let proxy = Proxy::start_with(folder.path(), &config(&upstreams_of, ""), "");
    for _ in 0..300 {
        assert_eq!(bind(&proxy, Command::BindTransceiver).await.1, CommandStatus::ESME_ROK);
    }
    within("300 binds", || [&a, &b, &c].map(|one| one.counts().binds).iter().sum::<u64>() == 300);
    assert_eq!([&a, &b, &c].map(|one| one.counts().binds), [225, 75, 0]);
    assert_eq!(states(&proxy), ["up", "up", "standby"]);
    let listed = upstreams(&proxy);
    assert_eq!(listed[0]["binds"], 225);
    assert_eq!((&listed[0]["weight"], &listed[2]["rank"]), (&Value::from(3), &Value::from(1)));
    within("the sessions end", || upstreams(&proxy).iter().all(|one| one["sessions"] == 0));
    assert_eq!(listed[0]["last_answer_age"], Value::Null, "nothing was asked");
}

fn query(message_id: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write::pdu(&mut out, Command::QuerySm.id(), CommandStatus::ESME_ROK, 900, |out| {
        write::c_octets(out, message_id);
        out.extend_from_slice(&[0, 1]);
        write::c_octets(out, OURS);
    });
    out
}

/// Sends a message, and asks after the id that it is given.
async fn send_one(esme: &mut Esme) -> Vec<u8> {
    esme.send(&submit(800, OURS, |_| {})).await.expect("sent");
    let resp = esme.next().await.expect("an answer").expect("an answer");
    let ok = (Command::SubmitSmResp, CommandStatus::ESME_ROK);
    assert_eq!((header(&resp).command, header(&resp).command_status), ok);
    resp[16..resp.len() - 1].to_vec()
}

async fn status_of(esme: &mut Esme, pdu: &[u8]) -> CommandStatus {
    esme.send(pdu).await.expect("sent");
    header(&esme.next().await.expect("an answer").expect("an answer")).command_status
}

fn asked(smsc: &Smsc, command: Command) -> usize {
    smsc.received().iter().filter(|one| header(&one.octets).command == command).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_standby_serves_while_the_active_is_gone_and_binds_return_to_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (a, b) = (smsc(Options::default()), smsc(Options::default()));
    let at = a.address();
    let times = "[timeouts]\nejection = \"1s\"\nclose = \"1s\"";
    let config = config(&in_order(&[at, b.address()]), times);
    let mut proxy = Proxy::start_with(folder.path(), &config, "");
    let mut senders = Vec::new();
    for _ in 0..3 {
        senders.push(tokio::spawn(load(bound(&proxy).await)));
    }
    within("traffic", || a.counts().messages > 100);
    assert_eq!((a.counts().binds, b.counts().binds), (3, 0));
    // It dies under load: its sessions end, and the same ESMEs bind again at once.
    let before_it_died = a.end();
    let mut accepted = 0;
    for sender in senders {
        accepted += sender.await.expect("the sender ends with its connection");
    }
    let mut rebound = Vec::new();
    for _ in 0..6 {
        let (esme, status) = bind(&proxy, Command::BindTransceiver).await;
        assert_eq!(status, CommandStatus::ESME_ROK, "no bind is lost while the standby is there");
        rebound.push(esme);
    }
    assert_eq!(b.counts().binds, 6);
    assert_eq!(states(&proxy), ["ejected", "up"]);
    // Each session has ids of a range of its own: that of the sixth was never given by the other SMSC.
    let mut id_of_b = Vec::new();
    for esme in &mut rebound {
        id_of_b = send_one(esme).await;
    }
    assert_eq!(status_of(&mut rebound[5], &query(&id_of_b)).await, CommandStatus::ESME_ROK);
    // It is back: new binds go there, sessions stay where they are.
    let a = smsc(Options { listen: at, ..Options::default() });
    let mut back = Vec::new();
    while a.counts().binds == 0 {
        let (esme, status) = bind(&proxy, Command::BindTransceiver).await;
        assert_eq!(status, CommandStatus::ESME_ROK);
        back.push(esme);
        assert!(back.len() < 500, "it gets a trial");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(states(&proxy), ["up", "standby"]);
    assert_eq!(b.counts().closed, 0, "sessions stay where they are");
    let (mut esme, status) = bind(&proxy, Command::BindTransceiver).await;
    assert_eq!((status, a.counts().binds), (CommandStatus::ESME_ROK, 2));
    // An id is its SMSC's: asked for on a session of another, it is refused here.
    let refused = status_of(&mut esme, &query(&id_of_b)).await;
    assert_ne!(refused, CommandStatus::ESME_ROK);
    assert_eq!((asked(&a, Command::QuerySm), asked(&b, Command::QuerySm)), (0, 1));
    let id_of_a = send_one(&mut esme).await;
    assert_eq!(status_of(&mut esme, &query(&id_of_a)).await, CommandStatus::ESME_ROK);
    drop((esme, rebound, back));
    proxy.signal("-TERM");
    assert_eq!(proxy.wait(), Some(0));
    let (passed, _) = recorded(folder.path());
    let arrived =
        before_it_died.iter().filter(|one| header(&one.octets).command == Command::SubmitSm);
    let arrived = arrived.count() + submits(&a).len() + submits(&b).len();
    assert!(accepted > 0 && arrived >= accepted && passed.len() >= arrived, "{accepted} {arrived}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bind_goes_on_where_an_smsc_takes_connections_and_no_binds() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (odd, good) = (Odd::start(Fault::None).await, smsc(Options::default()));
    let times = "[timeouts]\nconnect = \"1s\"\nejection = \"100ms\"";
    let config = config(&in_order(&[odd.address, good.address()]), times);
    let proxy = Proxy::start_with(folder.path(), &config, "");
    let error = CommandStatus::ESME_RSYSERR;
    for fault in [Fault::Binds(error), Fault::Closes, Fault::MuteToBinds] {
        odd.does(fault);
        let before = good.counts().binds;
        let (mut esme, status) = bind(&proxy, Command::BindTransceiver).await;
        assert_eq!(
            (status, good.counts().binds),
            (CommandStatus::ESME_ROK, before + 1),
            "{fault:?}"
        );
        send_one(&mut esme).await;
        // What is wrong with one system_id's binds ejects nobody, and a good bind ends the row.
        assert_eq!(states(&proxy)[0], "up", "{fault:?}");
        odd.does(Fault::None);
        bind(&proxy, Command::BindTransceiver).await;
    }
    // What an SMSC says of who binds is the ESME's to hear, however often.
    let (binds, there) = (good.counts().binds, odd.binds());
    for status in [CommandStatus::ESME_RINVPASWD, CommandStatus::ESME_RBINDFAIL] {
        odd.does(Fault::Binds(status));
        for _ in 0..4 {
            assert_eq!(bind(&proxy, Command::BindTransceiver).await.1, status);
        }
    }
    odd.does(Fault::None);
    assert_eq!(bind(&proxy, Command::BindTransceiver).await.1, CommandStatus::ESME_ROK);
    assert_eq!((good.counts().binds, odd.binds()), (binds, there + 1));
    let failures = &upstreams(&proxy)[0]["failures"];
    assert_eq!(failures, 3, "one for each fault of its own");
    assert!(proxy.logged("secret").is_empty(), "no password in the log");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_smsc_answers_for_itself() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let error = CommandStatus::ESME_RSYSERR;
    let (a, b) = (Odd::start(Fault::Binds(error)).await, Odd::start(Fault::Binds(error)).await);
    let config = config(&in_order(&[a.address, b.address]), "");
    let proxy = Proxy::start_with(folder.path(), &config, "");
    assert_eq!(bind(&proxy, Command::BindTransceiver).await.1, error, "nobody else could say");
    assert_eq!(asked_of(&proxy, "GET /readyz", "").0, 200, "it goes on trying");
    b.does(Fault::None);
    assert_eq!(bind(&proxy, Command::BindTransceiver).await.1, CommandStatus::ESME_ROK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_smsc_that_answers_enquire_link_and_no_message_is_ejected() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (odd, good) = (Odd::start(Fault::MuteToMessages).await, smsc(Options::default()));
    let times = "[timeouts]\nresponse = \"1s\"\nejection = \"1s\"\nclose = \"1s\"";
    let config = config(&in_order(&[odd.address, good.address()]), times);
    let proxy = Proxy::start_with(folder.path(), &config, "");
    let (mut esme, _) = bind(&proxy, Command::BindTransceiver).await;
    esme.send(&submit(2, OURS, |_| {})).await.expect("sent");
    let mut link = Vec::new();
    write::header_only(&mut link, Command::EnquireLink.id(), CommandStatus::ESME_ROK, 3);
    for _ in 0..3 {
        assert_eq!(status_of(&mut esme, &link).await, CommandStatus::ESME_ROK);
    }
    assert!(closes(&mut esme).await, "the session ends");
    within("it is found out", || states(&proxy)[0] != "up");
    assert_eq!(bind(&proxy, Command::BindTransceiver).await.1, CommandStatus::ESME_ROK);
    assert_eq!((good.counts().binds, odd.binds()), (1, 1), "the next bind goes elsewhere");
    // On trial it takes a bind again, and answers no message: ejected for longer.
    let mut trial = None;
    while odd.binds() == 1 {
        trial = Some(bind(&proxy, Command::BindTransmitter).await.0);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(states(&proxy)[0], "trial");
    let mut trial = trial.expect("a bind on trial");
    trial.send(&submit(2, OURS, |_| {})).await.expect("sent");
    assert!(closes(&mut trial).await);
    within("the trial fails", || states(&proxy)[0] == "ejected");
    // It is well: the next trial's message is answered, and it gets binds again.
    odd.does(Fault::None);
    while odd.binds() == 2 {
        trial = bind(&proxy, Command::BindTransmitter).await.0;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    trial.send(&submit(2, OURS, |_| {})).await.expect("sent");
    trial.next().await.expect("an answer");
    within("it is up", || states(&proxy) == ["up", "standby"]);
    let ejections =
        proxy.logged("ejected").iter().filter(|line| line.contains("why=\"silent\"")).count();
    assert_eq!(ejections, 2, "{:?}", proxy.logged("ejected"));
    let age = upstreams(&proxy)[0]["last_answer_age"].as_f64().expect("it has answered");
    assert!(age < PATIENCE.as_secs_f64());
}

fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let done = Process::new(env!("CARGO_BIN_EXE_consentry"))
        .arg("upstreams")
        .args(arguments)
        .arg("-c")
        .arg(folder.join("consentry.toml"))
        .output()
        .expect("the binary starts");
    let said = [done.stdout, done.stderr].concat();
    (done.status.code(), String::from_utf8(said).expect("text"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_is_drained_loses_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (a, b) = (smsc(Options::default()), smsc(Options::default()));
    let [at_a, at_b] = [&a, &b].map(|one| one.address().to_string());
    let more = "[timeouts]\ndrain = \"1s\"";
    let config = config(&in_order(&[a.address(), b.address()]), more);
    let mut proxy = Proxy::start_with(folder.path(), &config, "");
    let mut senders = Vec::new();
    for _ in 0..3 {
        senders.push(tokio::spawn(load(bound(&proxy).await)));
    }
    // One with nothing to say is told at once that it has to go.
    let (mut idle, _) = bind(&proxy, Command::BindTransceiver).await;
    within("traffic", || a.counts().messages > 100);
    assert_eq!(run(folder.path(), &["drain", &at_a, "--json"]).0, Some(0));
    let unbind = idle.next().await.expect("a PDU").expect("a PDU");
    assert_eq!(header(&unbind).command, Command::Unbind);
    let (mut elsewhere, status) = bind(&proxy, Command::BindTransceiver).await;
    assert_eq!((status, b.counts().binds), (CommandStatus::ESME_ROK, 1));
    send_one(&mut elsewhere).await;
    let mut accepted = 0;
    for sender in senders {
        accepted += sender.await.expect("the sender ends when it is unbound");
    }
    drop(idle);
    within("its sessions have left", || upstreams(&proxy)[0]["sessions"] == 0);
    assert_eq!(
        (states(&proxy), submits(&a).len()),
        (vec!["draining".into(), "up".into()], accepted)
    );
    assert_eq!(asked(&a, Command::Unbind), 4, "each is unbound");
    assert_eq!(asked_of(&proxy, "GET /readyz", "").0, 200);
    // With both drained every bind is refused, and readiness says so.
    let body = format!("{{\"address\":\"{at_b}\"}}");
    assert_eq!(asked_of(&proxy, "POST /api/v1/upstreams/drain", &body).0, 200);
    let (status, says) = asked_of(&proxy, "GET /readyz", "");
    assert!(status == 503 && says.contains("are drained"), "{status} {says}");
    let refused = bind(&proxy, Command::BindTransceiver).await.1;
    assert_eq!(refused, CommandStatus::ESME_RBINDFAIL);
    let (code, says) = run(folder.path(), &["undrain", &at_a]);
    assert!(code == Some(0) && says.contains(&at_a) && says.contains(" up "), "{says}");
    assert_eq!(bind(&proxy, Command::BindTransceiver).await.1, CommandStatus::ESME_ROK);
    assert_eq!(a.counts().binds, 5);
    let (code, says) = run(folder.path(), &[]);
    assert!(code == Some(0) && says.contains("draining") && says.contains(&at_b), "{says}");
    // What cannot be meant.
    let (code, says) = run(folder.path(), &["drain", "nowhere:1"]);
    assert!(code == Some(2) && says.contains("404") && says.contains("nowhere:1"), "{says}");
    for (path, body, expected) in [
        ("drain", "{}", 400),
        ("drain", "{\"address\":1}", 400),
        ("drain", "{\"address\":\"x:1\",\"force\":true}", 400),
        ("drain", "{\"address\":\"x:1\"}", 404),
        ("remove", &*body, 404),
    ] {
        let found = asked_of(&proxy, &format!("POST /api/v1/upstreams/{path}"), body);
        assert_eq!(found.0, expected, "{path} {body}: {}", found.1);
    }
    proxy.signal("-TERM");
    assert_eq!(proxy.wait(), Some(0));
    let (passed, unanswered) = recorded(folder.path());
    assert_eq!((passed.len(), unanswered), (accepted + 1, 0));
}

/// How often threads of the process have gone to sleep so far.
fn sleeps(id: u32) -> u64 {
    let threads = std::fs::read_dir(format!("/proc/{id}/task")).expect("it lives");
    let count = |one: std::fs::DirEntry| {
        let status = std::fs::read_to_string(one.path().join("status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.and_then(|count| count.trim().parse::<u64>().ok()).unwrap_or(0)
    };
    threads.filter_map(Result::ok).map(count).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_unbinds_before_the_bind_is_answered_costs_nothing_afterwards() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (a, b) = (Odd::start(Fault::Mute).await, Odd::start(Fault::Mute).await);
    let more = "[timeouts]\nconnect = \"1s\"";
    let proxy =
        Proxy::start_with(folder.path(), &config(&in_order(&[a.address, b.address]), more), "");
    let mut esme = Wire::connect(proxy.address()).await;
    let fields = write::BindFields {
        system_id: b"test",
        password: b"secret",
        system_type: b"",
        interface_version: 0x34,
    };
    let mut bind = Vec::new();
    write::bind(&mut bind, Command::BindTransceiver, 1, fields);
    esme.send(&bind).await;
    within("it is connected", || upstreams(&proxy)[0]["sessions"] == 1);
    let mut unbind = Vec::new();
    write::header_only(&mut unbind, Command::Unbind.id(), CommandStatus::ESME_ROK, 2);
    esme.send(&unbind).await;
    within("it unbinds", || {
        asked_of(&proxy, "GET /api/v1/sessions", "").1.contains("\"unbinding\"")
    });
    // The time is over in which the SMSC should have answered the bind; then a second is looked at.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let before = sleeps(proxy.id());
    tokio::time::sleep(Duration::from_secs(1)).await;
    let often = sleeps(proxy.id()) - before;
    assert!(often < 400, "woken {often} times in a second in which nothing happened");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_reaches_an_admin_that_listens_on_every_address() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc(Options::default());
    let config = config(&in_order(&[smsc.address()]), "")
        .replace("[admin]\naddress = \"127.0.0.1:", "[admin]\naddress = \"0.0.0.0:");
    let _proxy = Proxy::start_with(folder.path(), &config, "");
    let (code, says) = run(folder.path(), &["--json"]);
    assert!(code == Some(0) && says.contains(&smsc.address().to_string()), "{says}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_smsc_is_enquired_of_and_one_that_says_nothing_is_left() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let odd = Odd::start(Fault::None).await;
    let more = "enquire_link = \"1s\"\n[timeouts]\nresponse = \"1s\"\nclose = \"1s\"";
    let proxy = Proxy::start_with(folder.path(), &config(&in_order(&[odd.address]), more), "");
    let (mut esme, _) = bind(&proxy, Command::BindTransceiver).await;
    let links = || odd.links.lock().expect("whole").clone();
    within("it is enquired of again and again", || links().len() >= 2);
    assert!(links().iter().all(|number| OWN_NUMBERS.contains(number)), "{:x?}", links());
    // None of the answers reached the ESME: the next PDU is the answer to its own.
    let mut link = Vec::new();
    write::header_only(&mut link, Command::EnquireLink.id(), CommandStatus::ESME_ROK, 7);
    esme.send(&link).await.expect("sent");
    let pdu = esme.next().await.expect("an answer").expect("an answer");
    assert_eq!((header(&pdu).command, header(&pdu).sequence_number), (Command::EnquireLinkResp, 7));
    send_one_to(&odd, &mut esme).await;
    odd.does(Fault::Mute);
    assert!(closes(&mut esme).await, "the ESME learns that its SMSC is gone");
    within("it is told why", || !proxy.logged("smsc_silent").is_empty());
}

async fn send_one_to(odd: &Odd, esme: &mut Esme) {
    let before = odd.messages.load(Ordering::Relaxed);
    assert_eq!(status_of(esme, &submit(8, OURS, |_| {})).await, CommandStatus::ESME_ROK);
    assert_eq!(odd.messages.load(Ordering::Relaxed), before + 1);
}

impl Drop for Odd {
    fn drop(&mut self) {
        self.task.abort();
    }
}
