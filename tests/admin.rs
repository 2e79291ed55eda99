//! The admin listener over loopback, by requests written by hand.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use consentry::admin::console::{Ask, Desk, EXPLAIN_OCTETS_MAX, Fault};
use consentry::admin::{self, Session, State, Token, Told, connection, logins};
use consentry::consent::{CACHE_OCTETS_MIN, Ledger, Options};
use consentry::metrics::{Metrics, Side};
use consentry::smpp::Command;
use tokio::sync::oneshot;

const TOKEN: &str = "sixteen-octets-or-more";
/// Nothing here waits longer than this for anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running listener; dropped, it is asked to end and waited for.
struct Server {
    address: SocketAddr,
    metrics: Arc<Metrics>,
    reasons: Arc<Mutex<Vec<String>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    fn start(token: Option<Token>) -> Server {
        Server::with_ledger(token, None)
    }

    fn with_ledger(token: Option<Token>, ledger: Option<Ledger>) -> Server {
        let metrics = Arc::new(Metrics::new(&["source.forged"]));
        let reasons = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&reasons);
        let state = State {
            metrics: Arc::clone(&metrics),
            readiness: Arc::new(move || told.lock().unwrap().clone()),
            sessions: Arc::new(|| vec![open_session(), bound_session()]),
            ledger,
            told: Arc::new(|_, _| Ok(())),
            capture: None,
            blind_ports: Arc::new(|| 2),
            retention: Some(Arc::new(|ask, body| match ask {
                "purge" => Ok(format!("{{\"purged\":{}}}\n", body.len())),
                "hold" => Err(Told::Refused("no reason".to_owned())),
                "lift" => Err(Told::Unavailable("the disk is full".to_owned())),
                _ => Err(Told::Doubt("the clock jumped".to_owned())),
            })),
            upstreams: None,
            reload: None,
            console: Some(Desk::new(Arc::new(answer))),
            hand_over: None,
            token: token.map(Arc::new),
        };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                admin::serve(listener, state, async { drop(stopped.await) }).await.unwrap();
            });
        });
        Server { address, metrics, reasons, stop: Some(stop), thread: Some(thread) }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// What comes back for these octets, until the connection ends.
    fn answer(&self, request: &str) -> String {
        let mut stream = self.connect();
        // A server that has read enough may close while we still write.
        let _ = stream.write_all(request.as_bytes());
        read_to_end(stream)
    }

    fn get(&self, path: &str, headers: &str) -> String {
        self.answer(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{headers}\r\n", self.address))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().map(|thread| thread.join().is_ok());
        assert!(std::thread::panicking() || ended == Some(true), "the listener did not end well");
    }
}

/// What the console is told here: what it asked for, or the fault that it asked for.
fn answer(ask: Ask, peer: IpAddr) -> Result<String, Fault> {
    match ask {
        Ask::Record { number: 404 } => Err(Fault::NotFound("no record".to_owned())),
        Ask::Record { number: 503 } => Err(Fault::Unavailable("the disk is full".to_owned())),
        Ask::Record { number: 1 } => {
            std::thread::sleep(Duration::from_millis(300));
            Ok("{}".to_owned())
        }
        Ask::Explain { body } if body == b"{" => Err(Fault::Malformed("no object".to_owned())),
        other => Ok(format!("{other:?} {peer}")),
    }
}

fn read_to_end(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("{error}"),
        _ => String::from_utf8(answer).unwrap(),
    }
}

fn status(answer: &str) -> u16 {
    let code = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
    code.and_then(|code| code.parse().ok()).unwrap_or(0)
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

fn open_session() -> Session {
    Session {
        id: 1,
        provider: None,
        system_id: None,
        esme: "203.0.113.7:40000".parse().unwrap(),
        smsc: None,
        bind_mode: None,
        state: "open",
        since: 1_795_478_400_000_000,
        open_requests: 0,
        forwarded: 0,
        refused: 0,
    }
}

fn bound_session() -> Session {
    Session {
        id: 2,
        provider: Some("示例商城有限公司".to_owned()),
        system_id: Some("shop\"1\n".to_owned()),
        smsc: Some("192.0.2.10:2775".parse().unwrap()),
        bind_mode: Some("transceiver"),
        state: "bound_trx",
        open_requests: 3,
        forwarded: 1_000,
        refused: 2,
        ..open_session()
    }
}

fn token() -> Token {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, TOKEN).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    Token::read(&file).unwrap()
}

#[test]
fn paths_and_methods_have_their_status() {
    let server = Server::start(None);
    for (request_line, expected) in [
        ("GET /metrics", 200),
        ("GET /healthz", 200),
        ("HEAD /healthz", 200),
        ("GET /readyz", 200),
        ("GET /api/v1/sessions", 200),
        ("GET /", 200),
        ("HEAD /", 200),
        ("POST /", 405),
        ("GET /console/app.js", 200),
        ("GET /console/vendor/uPlot.LICENSE", 200),
        ("GET /console/", 404),
        ("GET /console/mod.rs", 404),
        ("GET /console/../mod.rs", 404),
        ("GET /console/%2e%2e/mod.rs", 404),
        ("GET /index.html", 404),
        ("GET /metrics/", 404),
        ("GET /api/v1", 404),
        ("GET /api/v1/none", 404),
        ("GET /api/v1/sessions/../../metrics", 404),
        ("POST /metrics", 405),
        ("DELETE /api/v1/sessions", 405),
        ("PUT /healthz", 405),
    ] {
        let request = format!("{request_line} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let answer = server.answer(&request);
        assert_eq!(status(&answer), expected, "{request_line}: {answer}");
        for header in [
            "connection: close",
            "cache-control: no-store",
            "x-content-type-options: nosniff",
            "x-frame-options: DENY",
            "referrer-policy: no-referrer",
            "cross-origin-resource-policy: same-origin",
        ] {
            assert!(answer.contains(&format!("\r\n{header}\r\n")), "{request_line}: {answer}");
        }
    }
    let policy = |path: &str| {
        let answer = server.get(path, "");
        let line = answer.lines().find_map(|line| line.strip_prefix("content-security-policy: "));
        line.unwrap_or_default().to_owned()
    };
    for path in ["/metrics", "/console/app.js", "/api/v1/sessions", "/none"] {
        assert_eq!(policy(path), "default-src 'none'; frame-ancestors 'none'", "{path}");
    }
    let page = policy("/");
    assert!(
        page.starts_with("default-src 'none'; script-src 'self'; style-src 'self'; "),
        "{page}"
    );
    assert!(page.contains("frame-ancestors 'none'") && !page.contains("unsafe"), "{page}");
    for not_http in
        ["\0\0\0\x10\0\0\0\x15\0\0\0\0\0\0\0\x01", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n"]
    {
        assert_eq!(status(&server.answer(not_http)), 400, "{not_http:?}");
    }
}

#[test]
fn readiness_names_each_reason() {
    let server = Server::start(None);
    assert_eq!(body(&server.get("/readyz", "")), "ready\n");
    *server.reasons.lock().unwrap() = vec!["journal unavailable".into(), "draining".into()];
    let answer = server.get("/readyz", "");
    assert_eq!((status(&answer), body(&answer)), (503, "journal unavailable\ndraining\n"));
    assert_eq!(status(&server.get("/healthz", "")), 200);
}

#[test]
fn sessions_are_one_json_object_a_line() {
    let server = Server::start(None);
    let answer = server.get("/api/v1/sessions", "");
    assert!(
        answer.contains("\r\ncontent-type: application/x-ndjson; charset=utf-8\r\n"),
        "{answer}"
    );
    let lines: Vec<serde_json::Value> =
        body(&answer).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        lines,
        [
            serde_json::json!({
                "id": 1, "provider": null, "system_id": null, "esme": "203.0.113.7:40000",
                "smsc": null, "bind_mode": null, "state": "open", "since": "2026-11-24T00:00:00Z",
                "open_requests": 0, "forwarded": 0, "refused": 0,
            }),
            serde_json::json!({
                "id": 2, "provider": "示例商城有限公司", "system_id": "shop\"1\n",
                "esme": "203.0.113.7:40000", "smsc": "192.0.2.10:2775",
                "bind_mode": "transceiver", "state": "bound_trx", "since": "2026-11-24T00:00:00Z",
                "open_requests": 3, "forwarded": 1000, "refused": 2,
            }),
        ]
    );
}

#[test]
fn the_api_asks_for_its_token_and_nothing_else_does() {
    let server = Server::start(Some(token()));
    for (authorization, expected) in [
        ("".to_owned(), 401),
        (format!("Authorization: Bearer {TOKEN}\r\n"), 200),
        (format!("authorization: bearer {TOKEN}\r\n"), 200),
        (format!("Authorization: Bearer {TOKEN}x\r\n"), 401),
        (format!("Authorization: Bearer {}\r\n", &TOKEN[1..]), 401),
        (format!("Authorization: Basic {TOKEN}\r\n"), 401),
        (format!("Authorization: {TOKEN}\r\n"), 401),
        ("Authorization: Bearer\r\n".to_owned(), 401),
    ] {
        let answer = server.get("/api/v1/sessions", &authorization);
        assert_eq!(status(&answer), expected, "{authorization}");
        assert!(expected == 200 || answer.contains("www-authenticate: Bearer"), "{answer}");
        assert!(expected == 200 || !answer.contains("203.0.113.7"), "{answer}");
    }
    assert_eq!(status(&server.get("/metrics", "")), 200);
    assert_eq!(status(&server.get("/readyz", "")), 200);
}

#[test]
fn without_a_token_the_api_is_for_this_machine_only() {
    let server = Server::start(None);
    for (headers, expected) in [
        ("Host: localhost\r\n", 200),
        ("Host: rebound.example\r\n", 404),
        ("Host: localhost\r\nX-Forwarded-For: 192.0.2.1\r\n", 404),
        ("Host: localhost\r\nForwarded: for=192.0.2.1\r\n", 404),
    ] {
        let answer = server.answer(&format!("GET /api/v1/sessions HTTP/1.1\r\n{headers}\r\n"));
        assert_eq!(status(&answer), expected, "{headers}");
    }
}

#[test]
fn without_a_token_other_pages_are_refused() {
    let server = Server::start(None);
    let json = "Content-Type: application/json\r\n";
    for (headers, expected) in [
        ("".to_owned(), 200),
        (
            format!("Origin: http://{}\r\nSec-Fetch-Site: same-origin\r\n{json}", server.address),
            200,
        ),
        (format!("Origin: http://{}\r\nContent-Type: text/plain\r\n", server.address), 403),
        (format!("Origin: http://evil.example\r\n{json}"), 403),
        (format!("Sec-Fetch-Site: cross-site\r\n{json}"), 403),
    ] {
        let address = server.address;
        let answer = server.answer(&format!(
            "POST /api/v1/retention/purge HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\n{headers}\r\n"
        ));
        assert_eq!(status(&answer), expected, "{headers}");
    }
}

#[test]
fn whoever_guesses_tokens_has_to_wait() {
    let server = Server::start(Some(token()));
    let get =
        |token: &str| server.get("/api/v1/status", &format!("Authorization: Bearer {token}\r\n"));
    for _ in 0..logins::WRONG_MAX {
        // No token at all is no guess.
        assert_eq!(status(&server.get("/api/v1/status", "")), 401);
        assert_eq!(status(&get("wrong")), 401);
    }
    let limited = get("wrong");
    assert_eq!(status(&limited), 429, "{limited}");
    assert!(limited.contains("\r\nretry-after: "), "{limited}");
    assert!(
        body(&limited).starts_with("too many wrong tokens from this address; wait "),
        "{limited}"
    );
    assert_eq!(status(&get(TOKEN)), 429, "guessing tells nothing");
    assert_eq!(status(&server.get("/metrics", "")), 200);
    let began = Instant::now();
    while status(&get(TOKEN)) != 200 {
        assert!(began.elapsed() < PATIENCE, "it is never forgiven");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn the_console_asks_and_is_told_why_not() {
    let server = Server::start(None);
    let long = "x".repeat(257);
    for (path, code, holds) in [
        ("status", 200, "Status 127.0.0.1\n"),
        ("history", 200, "History { after_us: 0 }"),
        ("history?after=12", 200, "History { after_us: 12 }"),
        ("history?after=-1", 400, ""),
        ("registry?query=%E7%A4%BA%E4%BE%8B", 200, "Registry { query: \"示例\" }"),
        (&format!("registry?query={long}"), 400, "longer than"),
        ("refusals", 200, "Refusals { rule: None, most: 50 }"),
        ("refusals?rule=&most=999999", 200, "Refusals { rule: None, most: 200 }"),
        ("refusals?rule=source.forged", 200, "rule: Some(\"source.forged\")"),
        (&format!("refusals?rule={long}"), 400, "longer than"),
        ("records/7", 200, "Record { number: 7 }"),
        ("records/404", 404, "no record\n"),
        ("records/503", 503, "the disk is full\n"),
        ("records/-1", 400, ""),
        ("records/18446744073709551616", 400, ""),
        ("explain", 405, ""),
    ] {
        let answer = server.get(&format!("/api/v1/{path}"), "");
        assert_eq!(status(&answer), code, "{path}: {answer}");
        assert!(body(&answer).contains(holds), "{path}: {answer}");
    }
    let explain = |body: &str| {
        let length = body.len();
        let head = "POST /api/v1/explain HTTP/1.1\r\nHost: localhost\r\nContent-Length";
        status(&server.answer(&format!("{head}: {length}\r\n\r\n{body}")))
    };
    let longest = "x".repeat(EXPLAIN_OCTETS_MAX);
    for (body, code) in [("{}", 200), ("{", 400), (&longest, 200), (&format!("{longest}x"), 413)] {
        assert_eq!(explain(body), code, "{} octets", body.len());
    }
    let guarded = Server::start(Some(token()));
    for path in ["status", "history", "registry", "refusals", "records/7"] {
        assert_eq!(status(&guarded.get(&format!("/api/v1/{path}"), "")), 401, "{path}");
    }
}

#[test]
fn slow_looks_are_answered_one_after_the_other() {
    let server = Server::start(None);
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(status(&server.get("/api/v1/records/1", "")), 200));
        }
    });
    assert!(began.elapsed() >= Duration::from_millis(4 * 300), "two at once");
}

/// As many connections at once as a process may have here, up to ten thousand: each is answered or closed, and
/// then there is room again.
#[test]
fn ten_thousand_connections_at_once_are_survived() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    const THREADS: usize = 32;
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    let may_open = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    // Both ends are of this process, and other tests have files open too.
    let many =
        usize::try_from(may_open.saturating_sub(1_000) / 2).unwrap_or(usize::MAX).min(10_000);
    let server = Server::start(None);
    let began = Instant::now();
    // A connection that the kernel's queue has no room for is tried again a second later: by many threads.
    let dial = || -> Vec<TcpStream> { (0..many / THREADS).map(|_| server.connect()).collect() };
    let (held, answered) = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(dial)).collect();
        let all: Vec<TcpStream> = threads.into_iter().flat_map(|one| one.join().unwrap()).collect();
        assert!(all.len() > connection::CONNECTIONS_MAX);
        // Nobody waits for a place: whoever has none is told so, or finds the connection closed.
        let is_told = |mut stream: &TcpStream| {
            stream.set_nonblocking(true).unwrap();
            let mut answer = [0; 12];
            !matches!(stream.read(&mut answer), Err(error) if error.kind() == ErrorKind::WouldBlock)
        };
        while all.iter().filter(|one| !is_told(one)).count() > connection::CONNECTIONS_MAX {
            assert!(began.elapsed() < 3 * PATIENCE, "they wait for a place");
            std::thread::sleep(Duration::from_millis(50));
        }
        (all, began.elapsed())
    });
    drop(held);
    while status(&server.get("/healthz", "")) != 200 {
        assert!(began.elapsed() < answered + 3 * PATIENCE, "no room again");
    }
}

#[test]
fn heads_and_bodies_have_a_limit() {
    let server = Server::start(None);
    let host = format!("host{}", server.address).len();
    let spent = "/healthz".len() + host + "x".len();
    let header = |octets: usize| format!("x: {}\r\n", "a".repeat(octets));
    let room = admin::HEAD_OCTETS_MAX - spent;
    assert_eq!(status(&server.get("/healthz", &header(room))), 200);
    assert_eq!(status(&server.get("/healthz", &header(room + 1))), 431);
    // Above what a connection may send at all, it is cut without an answer.
    assert_eq!(status(&server.get("/healthz", &header(connection::READ_OCTETS_MAX))), 0);
    let endless = "y: y\r\n".repeat(50_000);
    assert_ne!(status(&server.get("/healthz", &endless)), 200);
    let announced = |octets: usize| format!("Content-Length: {octets}\r\n");
    let answer = server.get("/healthz", &announced(admin::BODY_OCTETS_MAX + 1));
    assert_eq!(status(&answer), 413, "{answer}");
    let body = format!("{}\r\n{}", announced(4), "body");
    assert_eq!(status(&server.get("/healthz", &body)), 200);
}

#[test]
fn one_connection_too_many_is_told_so() {
    let server = Server::start(None);
    let mut silent: Vec<TcpStream> =
        (0..connection::CONNECTIONS_MAX).map(|_| server.connect()).collect();
    // Connections are accepted in order, so this one finds the house full.
    assert_eq!(status(&read_to_end(server.connect())), 503);
    // The last of the silent ones has a place and is served.
    let mut last = silent.pop().unwrap();
    last.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert_eq!(status(&read_to_end(last)), 200);
    // Its place is free again as soon as the server has closed it.
    let began = Instant::now();
    while status(&server.get("/healthz", "")) != 200 {
        assert!(began.elapsed() < PATIENCE);
    }
}

#[test]
fn metrics_are_valid_and_random_commands_add_no_series() {
    let server = Server::start(None);
    let answer = server.get("/metrics", "");
    assert!(answer.contains("\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    let before = series(body(&answer));
    for name in [
        "consentry_build_info",
        "consentry_sessions",
        "consentry_binds_total",
        "consentry_pdus_total",
        "consentry_verdicts_total",
        "consentry_added_latency_seconds_bucket",
        "consentry_smsc_response_seconds_count",
        "consentry_window_messages",
        "consentry_audit_records_total",
        "consentry_audit_sync_seconds_sum",
        "consentry_audit_backlog_records",
        "consentry_buffered_octets",
        "consentry_connections_refused_total",
        "consentry_sessions_ended_total",
        "consentry_unanswered_total",
        "consentry_foreign_protocol_total",
        "consentry_frame_faults_total",
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
    ] {
        assert!(before.iter().any(|series| series.split('{').next() == Some(name)), "{name}");
    }
    for id in (0..2_000_u32).map(|n| n.wrapping_mul(2_654_435_761)) {
        server.metrics.pdus(Side::Esme, Command::of(id).slot()).inc();
    }
    assert_eq!(series(body(&server.get("/metrics", ""))), before);
}

/// The series of a text in exposition format 0.0.4, each of its lines checked.
fn series(text: &str) -> Vec<String> {
    let mut series = Vec::new();
    let mut typed = String::new();
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            assert!(
                help.split_once(' ').is_some_and(|(name, help)| is_name(name) && !help.is_empty())
            );
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert!(kind != "counter" || name.ends_with("_total"), "{line}");
            typed = name.to_owned();
        } else {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
            let (family, labels) = match name.split_once('{') {
                Some((family, labels)) => (family, labels.strip_suffix('}').unwrap()),
                None => (name, ""),
            };
            assert!(is_name(family) && family.starts_with(&typed), "{line} follows {typed}");
            for label in labels.split(',').filter(|label| !label.is_empty()) {
                let (key, value) = label.split_once('=').unwrap();
                let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
                assert!(is_name(key) && value.is_some_and(|value| !value.contains('"')), "{line}");
            }
            series.push(name.to_owned());
        }
    }
    series
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[test]
fn the_consent_ledger_is_told_and_asked() {
    let folder = tempfile::tempdir().unwrap();
    let options =
        Options { cache_octets: CACHE_OCTETS_MIN, warm: true, silent_after_us: 1, on_sync: None };
    let ledger = Ledger::open(folder.path(), options).unwrap();
    let server = Server::with_ledger(None, Some(ledger.clone()));
    let send = |method: &str, path: &str, body: &str| {
        let (address, length) = (server.address, body.len());
        let head = format!("{method} /api/v1/consents{path} HTTP/1.1\r\nHost: {address}\r\n");
        server.answer(&format!("{head}Content-Length: {length}\r\n\r\n{body}"))
    };
    let proof = "0".repeat(64);
    let events = format!(
        "{{\"number\":\"13800138000\",\"entity\":\"e\",\"proof_sha256\":\"{proof}\"}}\n\n\
        {{\"number\":\"1\",\"entity\":\"e\",\"proof_sha256\":\"{proof}\"}}\n"
    );
    let pair = r#"{"number":"+8613800138000","entity":"e"}"#;
    let revoked = r#"{"number":"13800138000","event":"revoked"}"#;
    for (method, path, sent, code, holds) in [
        ("POST", "", events.as_str(), 200, r#"{"line":3,"why":"number: "#),
        ("POST", "/standings", pair, 200, r#""state":"granted""#),
        ("POST", "", revoked, 200, r#""taken":1"#),
        ("POST", "/standings", pair, 200, r#""state":"revoked""#),
        ("POST", "/history", pair, 200, r#""cause":"refused""#),
        ("POST", "/export", "", 200, r#""entity":"e""#),
        ("POST", "/export", r#"{"number":"8613800138000","entity":"e"}"#, 200, ""),
        ("GET", "/stats", "", 200, r#""pairs":1"#),
        ("POST", "/standings", "{}", 400, "line 1: number: "),
        ("POST", "/standings", "[", 400, "line 1: "),
        ("POST", "/history", "", 400, "line 1: "),
        ("POST", "/export", r#"{"number":"x"}"#, 400, "line 1: "),
        ("POST", "/progress", r#"{"import":"x"}"#, 400, "line 1: import: "),
        ("GET", "/standings", "", 405, ""),
        ("GET", "", "", 405, ""),
        ("POST", "/nothing", "", 404, ""),
    ] {
        let answer = send(method, path, sent);
        assert_eq!(status(&answer), code, "{method} {path} {sent}: {answer}");
        let body = body(&answer);
        assert!(body.contains(holds), "{method} {path} {sent}: {answer}");
        assert!(code == 200 || !body.contains("138001"), "a number in a complaint: {answer}");
    }
    ledger.close();
    assert_eq!(status(&send("POST", "", revoked)), 503);
    assert_eq!(status(&send("POST", "/standings", pair)), 503);
    let without = Server::start(None);
    assert_eq!(status(&without.get("/api/v1/consents/stats", "")), 404);
    let guarded = Server::with_ledger(Some(token()), Some(ledger));
    assert_eq!(status(&guarded.get("/api/v1/consents/stats", "")), 401);
}

#[test]
fn retention_says_whether_it_did_it() {
    let server = Server::start(None);
    let asked = |ask: &str, body: &str| {
        server.answer(&format!(
            "POST /api/v1/retention/{ask} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    };
    let done = asked("purge", "{}");
    assert_eq!((status(&done), body(&done)), (200, "{\"purged\":2}\n"));
    for (ask, expected, why) in [
        ("hold", 400, "no reason\n"),
        ("lift", 503, "the disk is full\n"),
        ("other", 409, "the clock jumped\n"),
    ] {
        let answer = asked(ask, "");
        assert_eq!((status(&answer), body(&answer)), (expected, why), "{ask}");
    }
}
