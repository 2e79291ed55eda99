//! TLS on both legs, with OpenSSL as the other side of each.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use consentry::audit::{self as journal, Found, Query, Record};
use consentry::peer::smsc::Options;
use consentry::policy::Rule;
use consentry::proxy::tls::{Ask, Certificates, Identity, ServerFiles, ServerTls, Version};
use consentry::smpp::{Command, CommandStatus, Header};

use crate::budget::within;
use crate::openssl::{Peer, authority, bind, certificate, fingerprint};
use crate::running::Proxy;
use crate::{OURS, audit, smsc, submit};

/// How long anything is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

pub fn metrics(proxy: &Proxy) -> String {
    let mut admin = TcpStream::connect(proxy.admin.expect("an [admin]")).expect("it is served");
    admin
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .expect("a request");
    let mut text = String::new();
    admin.read_to_string(&mut text).expect("an answer");
    text
}

/// The value of a series, once it is what is expected.
pub fn becomes(proxy: &Proxy, series: &str, expected: &str) {
    let began = Instant::now();
    loop {
        let text = metrics(proxy);
        let value = text.lines().find_map(|line| line.strip_prefix(series)).map(str::trim);
        if value == Some(expected) {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{series} is {value:?}, not {expected}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

const HANDSHAKES: &str = "consentry_connections_refused_total{reason=\"tls_handshake\"}";

/// The rules that the journal names for binds, in its order.
fn bind_rules(folder: &Path) -> Vec<Option<Rule>> {
    let mut rules = Vec::new();
    journal::search(&folder.join("audit"), &Query::default(), &mut |found| {
        if let Found::Bind { bind } = found
            && let Record::Bind(bind) = bind.record()
        {
            rules.push(Rule::from_code(bind.rule));
        }
        std::ops::ControlFlow::Continue(())
    })
    .expect("the journal can be read");
    rules
}

/// All certificates of these tests: of authority `ca` those of the server and of three ESMEs, and what is
/// wrong in some way.
fn certificates(folder: &Path) {
    authority(folder, "ca");
    authority(folder, "strange");
    for (authority, name, dns, days) in [
        ("ca", "server", "proxy.example", 60),
        ("ca", "expired", "smsc.example", -1),
        ("ca", "smsc", "smsc.example", 60),
        ("ca", "named", "esme.example", 60),
        ("ca", "other", "other.example", 60),
        ("strange", "foreign", "esme.example", 60),
    ] {
        certificate(folder, authority, name, dns, days);
    }
}

const PROVIDERS: &str = r#"
[[provider]]
name         = "证书有限公司"
system_ids   = ["named"]
licence      = { number = "B2-2", valid_until = 2099-12-31 }
identity     = "verified"
certificates = ["dns:esme.example"]
[[provider]]
name         = "指纹有限公司"
system_ids   = ["pinned"]
licence      = { number = "B2-3", valid_until = 2099-12-31 }
identity     = "verified"
certificates = ["{fingerprint}"]
"#;

pub fn listen(smsc: SocketAddr, more: &str) -> String {
    format!("[[listen]]\naddress = \"127.0.0.1:0\"\nsmsc = [\"{smsc}\"]\n{more}\n")
}

fn tls(more: &str) -> String {
    format!("tls = {{ certificate = \"server.pem\", key = \"server.key\"{more} }}")
}

#[test]
fn an_esme_is_served_by_the_certificates_that_both_sides_show() {
    use CommandStatus as Status;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    certificates(folder);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let smsc = runtime.block_on(async { smsc(Options::default()) });
    let providers = PROVIDERS.replace("{fingerprint}", &fingerprint(folder, "other"));
    let asking = |client: &str| tls(&format!(", client_ca = \"ca.pem\"{client}"));
    let config = [
        listen(smsc.address(), &asking("")),
        listen(smsc.address(), &asking(", client = \"optional\"")),
        listen(smsc.address(), &tls(", min = \"1.3\"")),
        listen(smsc.address(), ""),
        audit("written"),
        "[registry]\nfile = \"registry.toml\"\n[admin]\naddress = \"127.0.0.1:0\"\n".into(),
        "[timeouts]\nhandshake = \"20s\"\n".into(),
    ];
    let proxy = Proxy::start_with_registry(folder, &config.concat(), &providers);
    let [required, optional, newest, plain] = proxy.listening[..] else { panic!("four listeners") };
    let trusting = "-CAfile ca.pem -verify_return_error -verify_hostname proxy.example";
    let with = |name: &str| format!("{trusting} -cert {name}.pem -key {name}.key");
    let (ok, refused) = (Some(Status::ESME_ROK), Some(Status::ESME_RBINDFAIL));
    let rows = [
        ("a good certificate", required, with("named"), "named", ok),
        ("the same over TLS 1.2", required, with("named") + " -tls1_2", "named", ok),
        ("the same over TLS 1.3", required, with("named") + " -tls1_3", "named", ok),
        ("by its fingerprint", required, with("other"), "pinned", ok),
        ("of whom no certificate is registered", required, with("other"), "test", ok),
        ("another provider's certificate", required, with("other"), "named", refused),
        ("another's, by fingerprint", required, with("named"), "pinned", refused),
        ("none where one is required", required, trusting.into(), "test", None),
        ("the same over TLS 1.2", required, format!("{trusting} -tls1_2"), "test", None),
        ("an expired one", required, with("expired"), "test", None),
        ("one of another authority", required, with("foreign"), "named", None),
        ("none where it is optional", optional, trusting.into(), "test", ok),
        ("none, for a provider that needs one", optional, trusting.into(), "named", refused),
        ("a foreign one where it is optional", optional, with("foreign"), "test", None),
        ("no TLS, for a provider that needs it", plain, String::new(), "named", refused),
        ("TLS 1.3 where it is the least", newest, format!("{trusting} -tls1_3"), "test", ok),
        ("TLS 1.2 where 1.3 is the least", newest, format!("{trusting} -tls1_2"), "test", None),
        ("a server of another name", newest, trusting.replace("proxy.", "x."), "test", None),
        (
            "a server of another authority",
            newest,
            trusting.replace("ca.pem", "strange.pem"),
            "test",
            None,
        ),
    ];
    let mut not_shaken = 0;
    for (what, to, arguments, system_id, expected) in rows {
        if arguments.is_empty() {
            assert_eq!(plainly(to, &bind(system_id)), expected, "{what}");
            continue;
        }
        let mut esme = Peer::connect(folder, to, &arguments);
        assert_eq!(esme.bind(system_id), expected, "{what}: {}", esme.said());
        if expected == ok && system_id == "test" {
            esme.send(&submit(7, OURS, |_| {}));
            let header = esme.expect(Command::SubmitSmResp, Status::ESME_ROK);
            assert_eq!(header.sequence_number, 7, "{what}");
        }
        not_shaken += u32::from(expected.is_none());
        becomes(&proxy, HANDSHAKES, &not_shaken.to_string());
    }

    // What is no TLS on a port for it, and TLS where there is none.
    assert_eq!(plainly(required, &bind("test")), None, "plain SMPP to a TLS port");
    becomes(&proxy, HANDSHAKES, &(not_shaken + 1).to_string());
    let mut lost = Peer::connect(folder, plain, trusting);
    assert_eq!(lost.bind("test"), None, "TLS to a plain port");
    becomes(&proxy, "consentry_foreign_protocol_total{protocol=\"tls\"}", "1");

    let certificate = Some(Rule::ProviderCertificate);
    let refusals = bind_rules(folder).into_iter().filter(Option::is_some).collect::<Vec<_>>();
    assert_eq!(refusals, [certificate; 4]);
    for (name, least, most) in [("listen1.server", 58, 60), ("listen1.client_ca", 88, 90)] {
        let text = metrics(&proxy);
        let series = format!("consentry_certificate_expiry_seconds{{certificate=\"{name}\"}} ");
        let left = text.lines().find_map(|line| line.strip_prefix(&series)).expect("the series");
        let days = left.parse::<f64>().expect("a number") / 86_400.0;
        assert!((f64::from(least)..=f64::from(most)).contains(&days), "{name}: {days}");
    }
}

/// Sends octets without TLS; the status of what answers, or `None` when the connection ends instead.
fn plainly(to: SocketAddr, octets: &[u8]) -> Option<CommandStatus> {
    let mut stream = TcpStream::connect(to).expect("somebody listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time");
    stream.write_all(octets).expect("it is taken");
    let mut header = [0; 16];
    stream.read_exact(&mut header).ok()?;
    // A TLS alert (RFC 8446 6) is no PDU.
    Header::of(&header).filter(|header| header.command.is_response()).map(|one| one.command_status)
}

#[test]
fn a_handshake_that_takes_its_time_is_ended() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    certificates(folder);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let smsc = runtime.block_on(async { smsc(Options::default()) });
    let config = [
        listen(smsc.address(), &tls("")),
        audit("written"),
        "[registry]\nfile = \"registry.toml\"\n[admin]\naddress = \"127.0.0.1:0\"\n".into(),
        "[timeouts]\nhandshake = \"500ms\"\nbind = \"10m\"\n".into(),
    ];
    let proxy = Proxy::start_with(folder, &config.concat(), "");
    let mut peers: Vec<_> =
        (0..20).map(|_| TcpStream::connect(proxy.address()).expect("somebody listens")).collect();
    for peer in &mut peers {
        // The first octet of a handshake record, and no more.
        peer.write_all(&[0x16]).expect("it is taken");
        peer.set_read_timeout(Some(PATIENCE)).expect("a time");
    }
    for peer in &mut peers {
        let end = peer.read(&mut [0; 1]);
        assert!(
            matches!(end, Ok(0))
                || end.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset)
        );
    }
    becomes(&proxy, HANDSHAKES, "20");
    // Those who take none of its time are served all the while.
    let mut esme = Peer::connect(folder, proxy.address(), "-CAfile ca.pem -verify_return_error");
    assert_eq!(esme.bind("test"), Some(CommandStatus::ESME_ROK), "{}", esme.said());
}

#[test]
fn an_smsc_is_spoken_to_only_when_it_is_the_one() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    certificates(folder);
    let towards = |more: &str| format!("smsc_tls = {{ ca = \"ca.pem\", {more} }}");
    let named = towards("name = \"smsc.example\"");
    let shown = "-cert smsc.pem -key smsc.key";
    let asking = format!("{shown} -CAfile ca.pem -Verify 1 -verify_return_error");
    let showing = "name = \"smsc.example\", certificate = \"named.pem\", key = \"named.key\"";
    // The SMSC, how the proxy goes to it, and whether that comes to a bind.
    let rows = [
        ("the right one", shown.to_owned(), named.clone(), true),
        ("by the address that was dialled", shown.into(), towards("min = \"1.2\""), true),
        (
            "over TLS 1.3 alone",
            shown.into(),
            towards("name = \"smsc.example\", min = \"1.3\""),
            true,
        ),
        ("one of TLS 1.2", format!("{shown} -tls1_2"), named.clone(), true),
        (
            "one of TLS 1.2, and 1.3 is the least",
            format!("{shown} -tls1_2"),
            towards("name = \"smsc.example\", min = \"1.3\""),
            false,
        ),
        (
            "an expired certificate",
            "-cert expired.pem -key expired.key".into(),
            named.clone(),
            false,
        ),
        ("another name", "-cert other.pem -key other.key".into(), named.clone(), false),
        (
            "another authority",
            "-cert foreign.pem -key foreign.key".into(),
            towards("name = \"esme.example\""),
            false,
        ),
        ("one that asks for a certificate", asking.clone(), towards(showing), true),
        ("one that asks, and there is none", format!("{asking} -tls1_2"), named.clone(), false),
    ];
    let mut smscs: Vec<_> = rows.iter().map(|row| Peer::listen(folder, &row.1)).collect();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let mut config: String =
        rows.iter().zip(&smscs).map(|(row, (_, address))| listen(*address, &row.2)).collect();
    config += &listen(silent.local_addr().expect("an address"), &named);
    config += &(audit("written") + "[registry]\nfile = \"registry.toml\"\n");
    config += "[timeouts]\nhandshake = \"2s\"\n";
    let proxy = Proxy::start_with(folder, &config, "");
    for ((row, (smsc, _)), address) in rows.iter().zip(&mut smscs).zip(&proxy.listening) {
        let (what, .., is_good) = *row;
        if !is_good {
            let status = plainly(*address, &bind("test"));
            assert_eq!(status, Some(CommandStatus::ESME_RBINDFAIL), "{what}: {}", smsc.said());
            continue;
        }
        let mut esme = TcpStream::connect(*address).expect("somebody listens");
        esme.set_read_timeout(Some(PATIENCE)).expect("a time");
        esme.write_all(&bind("test")).expect("it is taken");
        let request = smsc.next().unwrap_or_else(|| panic!("{what}: {}", smsc.said()));
        assert_eq!(request, bind("test"), "{what}: octet for octet");
        smsc.answer(Header::of(&request).expect("a header"));
        let mut header = [0; 16];
        esme.read_exact(&mut header).expect("an answer");
        let header = Header::of(&header).expect("a header");
        let expected = (Command::BindTransceiverResp, CommandStatus::ESME_ROK);
        assert_eq!((header.command, header.command_status), expected, "{what}");
    }
    let last = proxy.listening.last().expect("the silent one");
    let status = plainly(*last, &bind("test"));
    assert_eq!(status, Some(CommandStatus::ESME_RBINDFAIL), "one that shakes no hand");
    let expected = rows.iter().filter(|row| !row.3).count() + 1;
    within("each is warned of", PATIENCE, || {
        proxy.logged("no SMSC can be reached").len() == expected
    });
}

#[test]
fn files_are_renewed_together_or_not_at_all() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    authority(folder, "ca");
    certificate(folder, "ca", "server", "proxy.example", 10);
    certificate(folder, "ca", "next", "proxy.example", 50);
    let files = ServerFiles {
        identity: Identity {
            certificate: folder.join("server.pem"),
            key: folder.join("server.key"),
        },
        ask: Ask::Optional(folder.join("ca.pem")),
        min: Version::Tls12,
    };
    let read = || ServerTls::read("listen1", files.clone());
    let first = read().expect("good files").into();
    let second = read().expect("good files").into();
    let certificates = Certificates { servers: vec![first, second], clients: Vec::new() };
    let before = certificates.ends();
    let names: Vec<_> = before.iter().map(|end| end.certificate.as_str()).collect();
    assert_eq!(names, ["listen1.server", "listen1.client_ca"].repeat(2));

    let (server, key) = (folder.join("server.pem"), folder.join("server.key"));
    let (good, good_key) = (std::fs::read(&server).unwrap(), std::fs::read(&key).unwrap());
    let next = std::fs::read(folder.join("next.pem")).unwrap();
    let next_key = std::fs::read(folder.join("next.key")).unwrap();
    for (certificate, key_octets, says) in [
        (&next, &good_key, "server.pem is not the certificate of the key"),
        (&good, &next, "server.key holds no private key"),
        (&next_key, &good_key, "server.pem holds no certificate"),
        (&Vec::new(), &good_key, "server.pem holds no certificate"),
        (
            &b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec(),
            &good_key,
            "server.pem holds a certificate that cannot be read",
        ),
        (&vec![b'x'; 1024 * 1024 + 1], &good_key, "server.pem is longer than 1048576 octets"),
        (&good.repeat(257), &good_key, "server.pem holds more than 256 certificates"),
    ] {
        std::fs::write(&server, certificate).unwrap();
        std::fs::write(&key, key_octets).unwrap();
        let fault = certificates.reload().expect_err(says).to_string();
        assert!(fault.contains(says), "{fault}");
        assert_eq!(certificates.ends(), before, "nothing has changed");
    }
    std::fs::write(&key, &next_key).unwrap();
    std::fs::write(&server, &next).unwrap();
    assert_eq!(certificates.reload().expect("good files"), 4);
    let days = |end: &consentry::proxy::tls::End, other: &consentry::proxy::tls::End| {
        (end.unix_s - other.unix_s) / 86_400
    };
    assert_eq!(days(&certificates.ends()[0], &before[0]), 40);

    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let fault = certificates.reload().expect_err("it is open to everybody").to_string();
    assert!(fault.contains("server.key can be read by everybody; run chmod 600 on it"), "{fault}");
    std::fs::remove_file(&key).unwrap();
    let fault = certificates.reload().expect_err("it is gone").to_string();
    assert!(fault.contains("server.key cannot be read: No such file"), "{fault}");
}

#[test]
fn a_reload_renews_certificates_while_sessions_go_on() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    authority(folder, "ca");
    certificate(folder, "ca", "server", "first.example", 60);
    certificate(folder, "ca", "next", "second.example", 60);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let smsc = runtime.block_on(async { smsc(Options::default()) });
    let config = listen(smsc.address(), &tls("")) + &audit("written");
    let proxy = Proxy::start_with(folder, &config, "");
    let trusting =
        |name: &str| format!("-CAfile ca.pem -verify_return_error -verify_hostname {name}.example");
    let mut old = Peer::connect(folder, proxy.address(), &trusting("first"));
    assert_eq!(old.bind("test"), Some(CommandStatus::ESME_ROK), "{}", old.said());
    for file in ["pem", "key"] {
        let (from, to) = (format!("next.{file}"), format!("server.{file}"));
        std::fs::rename(folder.join(from), folder.join(to)).expect("both are there");
    }
    proxy.signal("-HUP");
    let began = Instant::now();
    loop {
        let mut new = Peer::connect(folder, proxy.address(), &trusting("second"));
        match new.bind("test") {
            Some(status) => break assert_eq!(status, CommandStatus::ESME_ROK),
            None => assert!(began.elapsed() < PATIENCE, "the old one is shown: {}", new.said()),
        }
    }
    old.send(&submit(7, OURS, |_| {}));
    old.expect(Command::SubmitSmResp, CommandStatus::ESME_ROK);
}
