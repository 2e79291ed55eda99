//! Three proxies, one message centre and one database: what one proxy would refuse, spread over three.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command as Process;
use std::time::{Duration, Instant};

use consentry::consent::shared::Engine;
use consentry::peer::esme::Esme;
use consentry::peer::smsc::{Options, Smsc};
use consentry::postgres::Server as Database;
use consentry::smpp::message::WireAddress;
use consentry::smpp::write::{self, MessageFields};
use consentry::smpp::{Command, CommandStatus, Header};

use super::PATIENCE;
use super::running::{self, Proxy};
use super::servers;

const CODE: &str = "106900009999";
const SERVICE: &str = "106900001234";
const RATE: u64 = 30;
const OK: CommandStatus = CommandStatus::ESME_ROK;

const REGISTRY: &str = r#"
[[provider]]
name       = "示例商城有限公司"
system_ids = ["shop"]
licence    = { number = "B2-1", valid_until = 2099-12-31 }
identity   = "verified"
code       = [{ number = "106900009999", purpose = "commercial" }]

[[provider]]
name       = "示例快递有限公司"
system_ids = ["fast"]
licence    = { number = "B2-2", valid_until = 2099-12-31 }
identity   = "verified"
rate       = 30
code       = [{ number = "106900001234", purpose = "service" }]
"#;

fn ad(keyword: &str) -> String {
    format!("【示例商城】周末全场五折，满300减50，点击选购。回{keyword}退订")
}

/// Starts a proxy of that name.
fn proxy(folder: &Path, name: &str, url: &str, smsc: SocketAddr) -> Proxy {
    let folder = folder.join(name);
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("shop.toml"), REGISTRY).expect("a folder to write in");
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let admin = free.local_addr().expect("an address");
    drop(free);
    let config = format!(
        "[[listen]]\naddress = \"127.0.0.1:0\"\nsmsc = [\"{smsc}\"]\n\
         [registry]\nfile = \"shop.toml\"\n[admin]\naddress = \"{admin}\"\n\
         [audit]\npath = \"audit\"\ndurability = \"written\"\n\
         [cluster]\nnode = \"{name}\"\nnodes = 3\n[long_messages]\ndeadline = \"3s\"\n\
         [consent]\nurl = \"{url}\"\noutbox = \"outbox\"\ndeadline = \"2s\"\n"
    );
    Proxy::start_with(&folder, &config, "")
}

struct Bind {
    esme: Esme,
    sequence: u32,
}

impl Bind {
    async fn open(proxy: &Proxy, system_id: &str) -> Bind {
        let mut esme = Esme::connect(proxy.address()).await.expect("the proxy accepts");
        let status = esme.bind(Command::BindTransceiver, system_id, "secret").await;
        assert_eq!(status.expect("an answer"), OK);
        Bind { esme, sequence: 1 }
    }

    /// Sends a message, or a part: its number and how many there are.
    async fn put(&mut self, code: &str, to: &str, text: &str, part: Option<(u8, u8)>) {
        self.sequence += 1;
        let plain = |value| WireAddress { ton: 0, npi: 1, value };
        let mut body = match part {
            Some((number, total)) => vec![5, 0, 3, 9, total, number],
            None => Vec::new(),
        };
        body.extend(text.encode_utf16().flat_map(u16::to_be_bytes));
        let fields = MessageFields {
            source: plain(code.as_bytes()),
            destination: plain(to.as_bytes()),
            esm_class: if part.is_some() { 0x40 } else { 0 },
            registered_delivery: 0,
            data_coding: 8,
            short_message: &body,
        };
        let mut pdu = Vec::new();
        write::message(&mut pdu, Command::SubmitSm, self.sequence, fields, |_| {});
        self.esme.send(&pdu).await.expect("sent");
    }

    async fn answer(&mut self) -> CommandStatus {
        let answer = self.esme.next().await.expect("an answer").expect("not the end");
        Header::of(&answer).expect("a header").command_status
    }

    async fn send(&mut self, code: &str, to: &str, text: &str) -> CommandStatus {
        self.put(code, to, text, None).await;
        self.answer().await
    }

    async fn until(&mut self, to: &str, text: &str, expected: CommandStatus) {
        let until = Instant::now() + PATIENCE;
        loop {
            let status = self.send(CODE, to, text).await;
            if status == expected {
                return;
            }
            assert!(Instant::now() < until, "{status:?} in time becomes {expected:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// A handset answers the code, and whoever is bound here hears it.
    async fn hears(&mut self, smsc: &Smsc, from: &str, text: &str) {
        let international = |value| WireAddress { ton: 1, npi: 1, value };
        let body: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let fields = MessageFields {
            source: international(from.as_bytes()),
            destination: WireAddress { ton: 0, npi: 1, value: CODE.as_bytes() },
            esm_class: 0,
            registered_delivery: 0,
            data_coding: 8,
            short_message: &body,
        };
        let mut pdu = Vec::new();
        write::message(&mut pdu, Command::DeliverSm, 7, fields, |_| {});
        assert!(smsc.send("shop", &pdu), "a session can receive");
        assert_eq!(self.esme.next().await.expect("a PDU").as_deref(), Some(&pdu[..]));
    }
}

fn grant(folder: &Path, to: &str) {
    let mut process = Process::new(env!("CARGO_BIN_EXE_consentry"));
    process.args(["consent", "grant", "-c", "consentry.toml", to, "示例商城有限公司"]);
    process.args(["--proof-sha256", &"9f".repeat(32), "--review", "reviewed"]);
    let output = process.current_dir(folder).output().expect("the binary runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// How many messages a proxy refused as part of a sweep.
fn swept(proxy: &Proxy) -> f64 {
    let (_, text) = running::ask(proxy.admin.expect("an admin"), "GET /metrics", "", "");
    let name = "consentry_verdicts_total{rule=\"recipients.swept\",verdict=\"refuse\"} ";
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("the family");
    line.parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_proxy_would_refuse_three_refuse() {
    let Some(server) = servers::shared() else { return };
    let url = server.database("proxies");
    let database = Database::new(url.parse().expect("a URL"), None).expect("no files");
    let pool = database.pool(2, PATIENCE).expect("a pool");
    Engine::new(pool).migrate().await.expect("tables");
    let folder = tempfile::tempdir().expect("a folder");
    // One message centre each, so that it is certain over which node an answer comes.
    let smscs = [(); 3].map(|()| Smsc::start(Options::default()).expect("an SMSC on loopback"));
    let names = ["one", "two", "three"];
    let proxies: Vec<Proxy> = names
        .iter()
        .zip(&smscs)
        .map(|(name, smsc)| proxy(folder.path(), name, &url, smsc.address()))
        .collect();
    let mut shops = Vec::new();
    for proxy in &proxies {
        shops.push(Bind::open(proxy, "shop").await);
    }
    let [announced, before, long] = ["8613900138001", "8613900138002", "8613900138003"];
    for to in [announced, before, long] {
        grant(&folder.path().join("one"), to);
        for shop in &mut shops {
            shop.until(to, &ad("TD"), OK).await;
        }
    }

    // A keyword that nobody announced says nothing; announced over one node, it is heard over another.
    shops[1].hears(&smscs[1], before, "QXTG").await;
    assert_eq!(shops[0].send(CODE, before, &ad("TD")).await, OK);
    assert_eq!(shops[0].send(CODE, announced, &ad("QXTG")).await, OK);
    let until = Instant::now() + PATIENCE;
    loop {
        shops[1].hears(&smscs[1], announced, "QXTG").await;
        if shops[1].send(CODE, announced, &ad("TD")).await != OK {
            break;
        }
        assert!(Instant::now() < until, "the other node knows the keyword in time");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for shop in &mut shops {
        shop.until(announced, &ad("TD"), CommandStatus::ESME_RSUBMITFAIL).await;
    }

    // Parts over two nodes never complete; over one they do.
    let text = ad("TD");
    let (middle, _) = text.char_indices().nth(10).expect("a long text");
    let (begin, rest) = text.split_at(middle);
    shops[0].put(CODE, long, begin, Some((1, 2))).await;
    shops[1].put(CODE, long, rest, Some((2, 2))).await;
    for shop in &mut shops[..2] {
        assert_ne!(shop.answer().await, OK, "no part passes unseen");
    }
    shops[2].put(CODE, long, begin, Some((1, 2))).await;
    shops[2].put(CODE, long, rest, Some((2, 2))).await;
    assert_eq!([shops[2].answer().await, shops[2].answer().await], [OK, OK]);

    // A block of numbers over two nodes; the third is asked for one of it more.
    let person = |place: u64| (8_613_800_130_048 + place * 89 % 256).to_string();
    for place in 0..140 {
        let status = shops[(place % 2) as usize].send(CODE, &person(place), &ad("TD")).await;
        assert_ne!(status, OK, "nobody consented");
    }
    let until = Instant::now() + PATIENCE;
    while swept(&proxies[2]) == 0.0 {
        assert_ne!(shops[2].send(CODE, &person(0), &ad("TD")).await, OK);
        assert!(Instant::now() < until, "the block is found in time");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    // One rate over three nodes.
    let mut senders = Vec::new();
    for proxy in &proxies {
        senders.push(Bind::open(proxy, "fast").await);
    }
    let (began, mut passed) = (Instant::now(), 0);
    while began.elapsed() < Duration::from_secs(2) {
        for sender in &mut senders {
            let status = sender.send(SERVICE, "8613700138000", "您的快递已到，请及时领取。").await;
            assert!(status == OK || status == CommandStatus::ESME_RTHROTTLED, "{status:?}");
            passed += u64::from(status == OK);
        }
    }
    let most = (began.elapsed().as_secs_f64() + 3.0) * RATE as f64 + 6.0;
    assert!(passed as f64 <= most && passed >= RATE, "{passed}, at most {most}");
}
