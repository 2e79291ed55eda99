//! Two proxies, two message centres, a shop, handsets, and one engine: from the first refusal through an
//! outage to the end of it.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command as Process, Output};
use std::time::Instant;

use consentry::peer::esme::Esme;
use consentry::peer::smsc::{Options, Smsc};
use consentry::smpp::message::WireAddress;
use consentry::smpp::write::{self, MessageFields};
use consentry::smpp::{Command, CommandStatus, Header};

use super::running::{self, Proxy};
use super::servers::Server;
use super::stage::{PATIENCE, Stage};

const SHOP: &str = "示例商城有限公司";
const ADVERTISING: &[u8] = b"106900009999";
const SERVICE: &[u8] = b"106900001234";
const ADVERTISEMENT: &str = "【示例商城】周末全场五折，满300减50，点击选购。回TD退订";
const NOTICE: &str = "【示例商城】验证码123456，五分钟内有效。";

const PASSED: CommandStatus = CommandStatus::ESME_ROK;
const REFUSED: CommandStatus = CommandStatus::ESME_RSUBMITFAIL;
const LATER: CommandStatus = CommandStatus::ESME_RMSGQFUL;

const REGISTRY: &str = r#"
[[provider]]
name       = "示例商城有限公司"
system_ids = ["shop"]
licence    = { number = "B2-1", valid_until = 2099-12-31 }
identity   = "verified"
[[provider.code]]
number     = "106900009999"
purpose    = "commercial"
[[provider.code]]
number     = "106900001234"
purpose    = "service"
"#;

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

/// Writes what a proxy of that name needs.
fn prepare(folder: &Path, name: &str, url: &str, smsc: SocketAddr) -> String {
    std::fs::create_dir(folder).expect("a folder");
    std::fs::write(folder.join("shop.toml"), REGISTRY).expect("a folder to write in");
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let admin = free.local_addr().expect("an address");
    format!(
        "[[listen]]\naddress = \"127.0.0.1:0\"\nsmsc = [\"{smsc}\"]\n\
         [registry]\nfile = \"shop.toml\"\n[admin]\naddress = \"{admin}\"\n\
         [audit]\npath = \"audit\"\ndurability = \"written\"\n[cluster]\nnode = \"{name}\"\n\
         [consent]\nurl = \"{url}\"\noutbox = \"outbox\"\nstaleness = \"1s\"\ndeadline = \"1s\"\n"
    )
}

/// A command on the configuration in a folder.
fn command(folder: &Path, arguments: &[&str]) -> Output {
    let mut process = Process::new(env!("CARGO_BIN_EXE_consentry"));
    process.args(["consent", arguments[0], "-c", "consentry.toml"]).args(&arguments[1..]);
    process.current_dir(folder).output().expect("the binary runs")
}

/// What it printed, where it succeeded.
fn done(folder: &Path, arguments: &[&str]) -> String {
    let output = command(folder, arguments);
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments:?}: {out}{err}");
    out.into_owned()
}

fn grant(folder: &Path, to: &str) -> Output {
    let proof = "9f".repeat(32);
    command(folder, &["grant", to, SHOP, "--proof-sha256", &proof, "--review", "reviewed"])
}

struct Shop {
    esme: Esme,
    sequence: u32,
}

impl Shop {
    async fn open(proxy: &Proxy) -> Shop {
        let mut esme = Esme::connect(proxy.address()).await.expect("the proxy accepts");
        let status = esme.bind(Command::BindTransceiver, "shop", "secret").await;
        assert_eq!(status.expect("an answer"), CommandStatus::ESME_ROK);
        Shop { esme, sequence: 1 }
    }

    async fn send(&mut self, code: &[u8], to: &str, text: &str) -> CommandStatus {
        self.sequence += 1;
        let address = |value| WireAddress { ton: 0, npi: 1, value };
        let fields = MessageFields {
            source: address(code),
            destination: address(to.as_bytes()),
            esm_class: 0,
            registered_delivery: 0,
            data_coding: 8,
            short_message: &utf16(text),
        };
        let mut pdu = Vec::new();
        write::message(&mut pdu, Command::SubmitSm, self.sequence, fields, |_| {});
        self.esme.send(&pdu).await.expect("sent");
        let answer = self.esme.next().await.expect("an answer").expect("not the end");
        Header::of(&answer).expect("a header").command_status
    }

    async fn advertise(&mut self, to: &str) -> CommandStatus {
        self.send(ADVERTISING, to, ADVERTISEMENT).await
    }

    /// Sends until it is answered so.
    async fn until(&mut self, to: &str, expected: CommandStatus) {
        let until = Instant::now() + PATIENCE;
        loop {
            let status = self.advertise(to).await;
            if status == expected {
                return;
            }
            assert!(Instant::now() < until, "{status:?} in time becomes {expected:?}");
            tokio::time::sleep(super::stage::STEP).await;
        }
    }

    /// A handset refuses: the shop hears it when it is kept.
    async fn refuses(&mut self, smsc: &Smsc, from: &str) {
        let address = |value| WireAddress { ton: 1, npi: 1, value };
        let fields = MessageFields {
            source: address(from.as_bytes()),
            destination: address(ADVERTISING),
            esm_class: 0,
            registered_delivery: 0,
            data_coding: 8,
            short_message: &utf16("退订"),
        };
        let mut pdu = Vec::new();
        write::message(&mut pdu, Command::DeliverSm, 7, fields, |_| {});
        assert!(smsc.send("shop", &pdu), "a session can receive");
        assert_eq!(self.esme.next().await.expect("a PDU").as_deref(), Some(&pdu[..]));
    }
}

#[tokio::test]
async fn a_stop_is_heeded_by_all_proxies_with_and_without_the_engine() {
    let Some(mut server) = Server::start() else { return };
    let stage = Stage::on(&server);
    let url = format!("{}?connect_timeout=2", server.url_of(&stage.database));
    let (here, there) = (stage.folder.path().join("here"), stage.folder.path().join("there"));
    let smscs = [(); 2].map(|()| Smsc::start(Options::default()).expect("an SMSC on loopback"));
    let here_config = prepare(&here, "here", &url, smscs[0].address());
    let there_config = prepare(&there, "there", &url, smscs[1].address());
    let mut one = Proxy::start_with(&here, &here_config, "");
    let other = Proxy::start_with(&there, &there_config, "");
    let (mut at_one, mut at_other) = (Shop::open(&one).await, Shop::open(&other).await);
    let [first, second, third, fourth] =
        ["8613800138001", "8613800138002", "8613800138003", "8613800138004"];
    // Nobody consented; then they did, by a command that asks the proxy that runs.
    assert_eq!(at_one.advertise(first).await, REFUSED);
    for to in [first, second, third, fourth] {
        assert!(grant(&here, to).status.success());
        assert_eq!(at_one.advertise(to).await, PASSED);
        at_other.until(to, PASSED).await;
    }
    let shown = done(&there, &["show", first, SHOP]);
    assert!(shown.contains("granted"), "{shown}");
    // Stop, said through the other message centre.
    at_other.refuses(&smscs[1], first).await;
    assert_eq!(at_other.advertise(first).await, REFUSED);
    at_one.until(first, REFUSED).await;
    // The engine is gone: what is known gets too old.
    server.down();
    at_one.until(third, LATER).await;
    assert_eq!(at_one.send(SERVICE, third, NOTICE).await, PASSED);
    let admin = one.admin.expect("an admin address");
    assert_eq!(running::ask(admin, "GET /readyz", "", "").0, 200);
    at_one.refuses(&smscs[0], second).await;
    assert_eq!(at_one.advertise(second).await, REFUSED, "known here");
    let kept = done(&here, &["revoke", fourth, SHOP]);
    assert!(kept.contains("kept here"), "{kept}");
    let waits = grant(&here, first);
    assert!(String::from_utf8_lossy(&waits.stderr).contains("grants wait"), "{waits:?}");
    let outbox = ("consentry_consent_outbox_events", 2.0);
    let down = ("consentry_consent_engine_up", 0.0);
    super::stage::series_until(admin, &[outbox, down]);
    // The proxy is killed, and starts without the engine.
    one.signal("-KILL");
    one.wait();
    let one = Proxy::start_with(&here, &here_config, "");
    let mut at_one = Shop::open(&one).await;
    assert_eq!(at_one.advertise(second).await, REFUSED, "known here");
    assert_eq!(at_one.advertise(third).await, LATER);
    assert_eq!(at_one.send(SERVICE, third, NOTICE).await, PASSED);
    // All as before, and what was said meanwhile is known everywhere.
    server.up();
    for (to, status) in [(third, PASSED), (second, REFUSED), (fourth, REFUSED), (first, REFUSED)] {
        at_one.until(to, status).await;
        at_other.until(to, status).await;
    }
    let up = ("consentry_consent_engine_up", 1.0);
    let delivered = ("consentry_consent_outbox_events", 0.0);
    super::stage::series_until(one.admin.expect("an admin address"), &[up, delivered]);
    for to in [first, second, fourth] {
        let history = done(&there, &["history", to, SHOP, "--json"]);
        assert_eq!(history.matches("\"revoked\"").count(), 1, "{history}");
    }
}
