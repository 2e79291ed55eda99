//! Who comes in: balancers that say whose connection it is, networks, limits, and who failed before.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use consentry::audit::{self as journal, Found, Query, Record};
use consentry::peer::smsc::{Options, Smsc};
use consentry::proxy::header::{self, Ends, Version};
use consentry::smpp::{CommandStatus, Header};

use crate::openssl::bind;
use crate::running::Proxy;
use crate::tls::{becomes, listen};
use crate::{audit, smsc};

/// How long anything is waited for; less than the longest wait of who failed to bind.
const PATIENCE: Duration = Duration::from_secs(25);

const PROVIDERS: &str = r#"
[[provider]]
name       = "异地有限公司"
system_ids = ["located"]
licence    = { number = "B2-4", valid_until = 2099-12-31 }
identity   = "verified"
from       = ["203.0.113.0/24"]
"#;

fn refused(reason: &str) -> String {
    format!("consentry_connections_refused_total{{reason=\"{reason}\"}}")
}

fn start(folder: &std::path::Path, listeners: &[String], more: &str) -> Proxy {
    let config = listeners.concat()
        + &audit("written")
        + "[registry]\nfile = \"registry.toml\"\n[admin]\naddress = \"127.0.0.1:0\"\n"
        + more;
    Proxy::start_with_registry(folder, &config, PROVIDERS)
}

fn an_smsc() -> (tokio::runtime::Runtime, Smsc) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let smsc = runtime.block_on(async { smsc(Options::default()) });
    (runtime, smsc)
}

fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).expect("somebody listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time");
    stream
}

/// The status that a response carries; `None` when the connection ends instead.
fn status(stream: &mut TcpStream) -> Option<CommandStatus> {
    let mut header = [0; 16];
    match stream.read_exact(&mut header) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("no answer in time"),
        Err(_) => return None,
    }
    Header::of(&header).filter(|one| one.command.is_response()).map(|one| one.command_status)
}

fn line(source: &str) -> Vec<u8> {
    format!("PROXY TCP4 {source} 192.0.2.1 51000 2775\r\n").into_bytes()
}

fn octets(source: &str) -> Vec<u8> {
    let source = format!("{source}:51000").parse().expect("an address");
    let destination = "192.0.2.1:2775".parse().expect("an address");
    header::write(Version::V2, Ends { source, destination })
}

#[test]
fn a_balancer_says_whose_connection_it_is_and_nobody_else_may() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (_runtime, smsc) = an_smsc();
    let balanced = "proxy_protocol = [\"127.0.0.0/8\"]\n";
    let allow = "allow = [\"203.0.113.0/24\"]\n";
    let listeners = [
        listen(smsc.address(), balanced),
        listen(smsc.address(), ""),
        listen(smsc.address(), &format!("{balanced}{allow}")),
        listen(smsc.address(), allow),
        listen(smsc.address(), "proxy_protocol = [\"192.0.2.1\"]"),
    ];
    let proxy = start(folder.path(), &listeners, "[timeouts]\nhandshake = \"500ms\"\n");
    let [balanced, plain, chosen, closed, others] = proxy.listening[..] else {
        panic!("five listeners")
    };
    let own = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0".to_vec();
    let (ok, fail) = (Some(CommandStatus::ESME_ROK), Some(CommandStatus::ESME_RBINDFAIL));
    let (header, not_allowed) = (refused("proxy_protocol"), refused("not_allowed"));
    let foreign = "consentry_foreign_protocol_total{protocol=\"proxy\"}".to_owned();
    let mut counted = std::collections::BTreeMap::new();
    for (what, to, before, system_id, expected, counts) in [
        ("a line", balanced, line("203.0.113.7"), "located", ok, None),
        ("octets", balanced, octets("203.0.113.8"), "located", ok, None),
        ("from elsewhere", balanced, line("198.51.100.1"), "located", fail, None),
        ("from elsewhere", balanced, octets("198.51.100.1"), "located", fail, None),
        ("the balancer's own", balanced, own.clone(), "test", ok, None),
        ("the balancer is not the provider", balanced, own.clone(), "located", fail, None),
        ("without a header", balanced, vec![], "test", None, Some(&header)),
        ("half a header", balanced, b"PROXY TCP4 203".to_vec(), "test", None, Some(&header)),
        ("an overlong one", balanced, b"PROXY ".repeat(20), "test", None, Some(&header)),
        ("two headers", balanced, line("203.0.113.7").repeat(2), "located", None, Some(&foreign)),
        ("where there is no balancer", plain, line("203.0.113.7"), "located", None, Some(&foreign)),
        (
            "where another is the balancer",
            others,
            octets("203.0.113.7"),
            "located",
            None,
            Some(&foreign),
        ),
        ("from a network that is let in", chosen, line("203.0.113.9"), "located", ok, None),
        ("from another", chosen, line("198.51.100.1"), "test", None, Some(&not_allowed)),
        ("the balancer's own look", chosen, own, "test", ok, None),
        ("from a network that is not let in", closed, vec![], "test", None, Some(&not_allowed)),
    ] {
        let mut stream = connect(to);
        // The peer may be gone before it is written: what is read says so.
        let _ = stream.write_all(&[before, bind(system_id)].concat());
        assert_eq!(status(&mut stream), expected, "{what}");
        if let Some(series) = counts {
            let count = counted.entry(series).or_insert(0);
            *count += 1;
            becomes(&proxy, series, &count.to_string());
        }
    }
    let mut slow = connect(balanced);
    slow.write_all(b"PROXY").expect("it is taken");
    assert_eq!(status(&mut slow), None, "a header that never ends");
    becomes(&proxy, &header, "4");

    let mut peers = Vec::new();
    journal::search(&folder.path().join("audit"), &Query::default(), &mut |found| {
        if let Found::Bind { bind } = found
            && let Record::Bind(bind) = bind.record()
        {
            peers.push(bind.peer.to_string());
        }
        std::ops::ControlFlow::Continue(())
    })
    .expect("the journal can be read");
    let carried: Vec<_> = peers.iter().filter(|peer| peer.ends_with(":51000")).collect();
    let expected = ["203.0.113.7", "203.0.113.8", "198.51.100.1", "198.51.100.1", "203.0.113.9"];
    assert_eq!(carried, expected.map(|host| format!("{host}:51000")).iter().collect::<Vec<_>>());
}

#[test]
fn limits_of_an_address_are_those_of_whom_the_balancer_names() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (_runtime, smsc) = an_smsc();
    let listeners = [listen(smsc.address(), "proxy_protocol = [\"127.0.0.1\"]\n")];
    let proxy = start(folder.path(), &listeners, "[limits]\nsessions_per_address = 2\n");
    let came = |source: &str| {
        let mut stream = connect(proxy.address());
        stream.write_all(&[line(source), bind("located")].concat()).expect("it is taken");
        let status = status(&mut stream);
        (stream, status)
    };
    let ok = Some(CommandStatus::ESME_ROK);
    let (first, second) = (came("203.0.113.7"), came("203.0.113.7"));
    assert_eq!((first.1, second.1), (ok, ok));
    assert_eq!(came("203.0.113.7").1, None, "one past the most");
    becomes(&proxy, &refused("sessions_per_address"), "1");
    assert_eq!(came("203.0.113.8").1, ok, "another's are its own");
    drop(first);
    becomes(&proxy, "consentry_sessions{state=\"bound_trx\"}", "1");
    assert_eq!(came("203.0.113.7").1, ok, "its place is free again");
}

#[test]
fn the_smsc_is_told_whose_connection_it_is() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = smsc.local_addr().expect("an address");
    let listeners = [
        listen(address, "smsc_proxy_protocol = \"v1\""),
        listen(address, "smsc_proxy_protocol = \"v2\""),
        listen(address, "smsc_proxy_protocol = \"v1\"\nproxy_protocol = [\"127.0.0.1\"]"),
    ];
    let proxy = start(folder.path(), &listeners, "");
    for (at, version, is_balanced) in
        [(0, Version::V1, false), (1, Version::V2, false), (2, Version::V1, true)]
    {
        let mut esme = connect(proxy.listening[at]);
        let ends = match is_balanced {
            false => Ends {
                source: esme.local_addr().expect("an address"),
                destination: proxy.listening[at],
            },
            true => {
                esme.write_all(&octets("203.0.113.7")).expect("it is taken");
                Ends {
                    source: "203.0.113.7:51000".parse().expect("an address"),
                    destination: "192.0.2.1:2775".parse().expect("an address"),
                }
            }
        };
        esme.write_all(&bind("test")).expect("it is taken");
        let (mut led, _) = smsc.accept().expect("the proxy connects");
        led.set_read_timeout(Some(PATIENCE)).expect("a time");
        let expected = [header::write(version, ends), bind("test")].concat();
        let mut came = vec![0; expected.len()];
        led.read_exact(&mut came).expect("header and bind");
        assert_eq!(came.escape_ascii().to_string(), expected.escape_ascii().to_string());
    }
}

#[test]
fn a_provider_has_so_many_sessions_over_all_addresses() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (_runtime, smsc) = an_smsc();
    let listeners = [listen(smsc.address(), "proxy_protocol = [\"127.0.0.1\"]\n")];
    let proxy = start(folder.path(), &listeners, "[limits]\nsessions_per_provider = 2\n");
    let came = |source: &str, system_id: &str| {
        let mut stream = connect(proxy.address());
        stream.write_all(&[line(source), bind(system_id)].concat()).expect("it is taken");
        let status = status(&mut stream);
        (stream, status)
    };
    let ok = Some(CommandStatus::ESME_ROK);
    let (first, second) = (came("203.0.113.7", "located"), came("203.0.113.8", "located"));
    assert_eq!((first.1, second.1), (ok, ok));
    let third = came("203.0.113.9", "located");
    assert_eq!(third.1, Some(CommandStatus::ESME_RTHROTTLED), "one past the most");
    becomes(&proxy, &refused("sessions_per_provider"), "1");
    assert_eq!(came("203.0.113.9", "test").1, ok, "another provider's are its own");
    drop(first);
    let began = Instant::now();
    while came("203.0.113.9", "located").1 != ok {
        assert!(began.elapsed() < PATIENCE, "its seat is never free again");
    }
}

#[test]
fn who_fails_to_bind_again_and_again_waits_until_a_bind_succeeds() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (_runtime, smsc) = an_smsc();
    let listeners = [listen(smsc.address(), "")];
    let more = "[limits]\nbind_failures = 2\n[timeouts]\nbind = \"10m\"\n";
    let proxy = start(folder.path(), &listeners, more);
    // All are there before one fails: the last failure makes the next connection wait for 30 s.
    let mut good = connect(proxy.address());
    let mut bad: Vec<_> = (0..9).map(|_| connect(proxy.address())).collect();
    becomes(&proxy, "consentry_sessions{state=\"open\"}", "10");
    for one in &mut bad {
        one.write_all(&bind("nobody")).expect("it is taken");
        assert_eq!(status(one), Some(CommandStatus::ESME_RINVSYSID));
    }
    let waiting: Vec<_> = (0..20).map(|_| connect(proxy.address())).collect();
    becomes(&proxy, &refused("bind_failures"), "4");
    // The other 16 are not served: only the good one is there.
    becomes(&proxy, "consentry_sessions{state=\"open\"}", "1");

    good.write_all(&bind("test")).expect("it is taken");
    assert_eq!(status(&mut good), Some(CommandStatus::ESME_ROK));
    let mut next = connect(proxy.address());
    next.write_all(&bind("test")).expect("it is taken");
    // Patience ends before the wait would.
    assert_eq!(status(&mut next), Some(CommandStatus::ESME_ROK), "a good bind ends it");
    drop(waiting);
}
