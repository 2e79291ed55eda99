//! What sessions notice of a ledger that is far away: the messages that need it wait, and nothing else does.

use std::future::Future;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use consentry::consent::{EntityId, Event, Happened, Ledger, Source};
use consentry::peer::esme::Esme;
use consentry::peer::smsc::{Options, Smsc};
use consentry::policy::{Period, Promise, StandingState};
use consentry::smpp::message::WireAddress;
use consentry::smpp::write::{self, MessageFields};
use consentry::smpp::{Command, CommandStatus, Header};

use super::forward::Forwarder;
use super::running::{Proxy, ask};
use super::servers;
use super::stage::{PATIENCE, Stage, event, granted, person, standing, tell, until};

const SHOP: &str = "示例商城有限公司";
const CODE: &[u8] = b"106900009999";
const AD: &str = "【示例商城】周末全场五折，满300减50，点击选购。拒收请回复R";
const REQUEST: &str = "【示例商城】愿意收到优惠信息吗？同意请回复Y，不回复视为拒绝。";
const SERVICE_CODE: &[u8] = b"106900008888";
const NOTICE: &str = "【示例商城】验证码123456，五分钟内有效。";

const REGISTRY: &str = r#"
[[provider]]
name       = "示例商城有限公司"
system_ids = ["shop"]
licence    = { number = "B2-2", valid_until = 2099-12-31 }
identity   = "verified"
sweep      = "off"
[[provider.code]]
number     = "106900009999"
purpose    = "commercial"
requests   = ["request.txt"]
[[provider.code]]
number     = "106900008888"
purpose    = "service"
"#;

const PASSED: CommandStatus = CommandStatus::ESME_ROK;
const REFUSED: CommandStatus = CommandStatus::ESME_RSUBMITFAIL;
const FULL: CommandStatus = CommandStatus::ESME_RMSGQFUL;

fn smsc() -> Smsc {
    Smsc::start(Options { received_max: 1 << 20, ..Options::default() }).expect("on loopback")
}

/// A proxy that shares the ledger of `stage`, by way of an address.
fn proxy(stage: &Stage, name: &str, way: SocketAddr, smsc: &Smsc, deadline: &str) -> Proxy {
    let folder = stage.folder.path().join(format!("proxy-{name}"));
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("request.txt"), REQUEST).expect("a file");
    let (database, smsc) = (&stage.database, smsc.address());
    let config = format!(
        "[[listen]]\naddress = \"127.0.0.1:0\"\nsmsc = [\"{smsc}\"]\n\
         [registry]\nfile = \"registry.toml\"\n[admin]\naddress = \"127.0.0.1:0\"\n\
         [audit]\npath = \"audit\"\ndurability = \"written\"\n[cluster]\nnode = \"{name}\"\n\
         [consent]\nurl = \"postgres://consentry@{way}/{database}?connect_timeout=2\"\n\
         outbox = \"outbox\"\nstaleness = \"5m\"\ndeadline = \"{deadline}\"\n"
    );
    Proxy::start_with_registry(&folder, &config, REGISTRY)
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

fn message(command: Command, sequence: u32, from: &[u8], to: &[u8], text: &str) -> Vec<u8> {
    let address = |value| WireAddress { ton: 0, npi: 1, value };
    let fields = MessageFields {
        source: address(from),
        destination: address(to),
        esm_class: 0,
        registered_delivery: 0,
        data_coding: 8,
        short_message: &utf16(text),
    };
    let mut pdu = Vec::new();
    write::message(&mut pdu, command, sequence, fields, |_| {});
    pdu
}

/// What a handset says.
fn said(number: u64, text: &str) -> Vec<u8> {
    message(Command::DeliverSm, 77, person(number).unmasked().as_bytes(), CODE, text)
}

struct Shop {
    esme: Esme,
    sequence: u32,
}

impl Shop {
    async fn open(proxy: &Proxy) -> Shop {
        let mut esme = Esme::connect(proxy.address()).await.expect("the proxy accepts");
        esme.read_deadline = PATIENCE;
        let status = esme.bind(Command::BindTransceiver, "shop", "secret").await;
        assert_eq!(status.expect("an answer"), PASSED);
        Shop { esme, sequence: 1 }
    }

    /// Messages in one write; the first one's number.
    async fn begin(&mut self, messages: &[(&str, u64)]) -> u32 {
        let first = self.sequence + 1;
        let mut octets = Vec::new();
        for (text, to) in messages {
            self.sequence += 1;
            let to = person(*to).unmasked();
            let submit = Command::SubmitSm;
            let code = if *text == NOTICE { SERVICE_CODE } else { CODE };
            octets.extend(message(submit, self.sequence, code, to.as_bytes(), text));
        }
        self.esme.send(&octets).await.expect("sent");
        first
    }

    async fn next(&mut self) -> Vec<u8> {
        self.esme.next().await.expect("in time").expect("the proxy is there")
    }

    /// The statuses of so many answers, in the order of their messages.
    async fn answers(&mut self, first: u32, count: usize) -> Vec<CommandStatus> {
        let mut answers = vec![None; count];
        while answers.iter().any(Option::is_none) {
            let pdu = self.next().await;
            let header = Header::of(&pdu).expect("a header");
            let at = header.sequence_number.wrapping_sub(first) as usize;
            *answers.get_mut(at).expect("an answer to these") = Some(header.command_status);
        }
        answers.into_iter().flatten().collect()
    }

    async fn send(&mut self, messages: &[(&str, u64)]) -> Vec<CommandStatus> {
        let first = self.begin(messages).await;
        self.answers(first, messages.len()).await
    }

    /// Sends it until it is answered so.
    async fn send_until(&mut self, text: &str, to: u64, expected: CommandStatus) {
        let until = Instant::now() + PATIENCE;
        loop {
            let status = self.send(&[(text, to)]).await[0];
            if status == expected {
                return;
            }
            assert!(Instant::now() < until, "{status} and not {expected}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// A handset's message comes to the shop before anything else.
    async fn hears(&mut self, smsc: &Smsc, pdu: &[u8]) {
        assert!(smsc.send("shop", pdu), "a session can receive");
        assert_eq!(self.next().await, pdu);
    }
}

fn grants(shop: EntityId, numbers: impl IntoIterator<Item = u64>) -> Vec<Event> {
    numbers.into_iter().map(|one| event(shop, one, Source::Api, granted(None))).collect()
}

/// Runs what an ESME does.
fn run(story: impl Future<Output = ()>) {
    tokio::runtime::Runtime::new().expect("a runtime").block_on(story);
}

/// The value of a metric.
fn metric(proxy: &Proxy, name: &str) -> f64 {
    let (_, body) = ask(proxy.admin.expect("an admin address"), "GET /metrics", "", "");
    let line = body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.expect("it is there").parse().expect("a number")
}

/// Who tells the ledger what operators do.
fn operator(stage: &Stage) -> (Ledger, EntityId) {
    let ledger = stage.node("operator");
    let shop = ledger.entity(SHOP).expect("a name");
    (ledger, shop)
}

#[test]
fn who_waits_for_standings_keeps_nobody_else_waiting() {
    let Some(server) = servers::shared() else { return };
    let stage = Stage::on(server);
    let (operator, shop) = operator(&stage);
    assert_eq!(tell(&operator, &grants(shop, 0..400)), Ok((0, Vec::new())));
    let (way, smsc) = (Forwarder::start(stage.address), smsc());
    let proxy = proxy(&stage, "far", way.address, &smsc, "10s");
    run(async {
        let mut esme = Shop::open(&proxy).await;
        let known: Vec<_> = (0..9).map(|to| (AD, to)).collect();
        assert_eq!(esme.send(&known).await, [PASSED; 9]);
        // One of ten is not known here: all go on, in their order.
        let mixed: Vec<_> =
            (0..300).map(|n| (AD, if n % 10 == 0 { 20 + n } else { n % 9 })).collect();
        assert_eq!(esme.send(&mixed).await, [PASSED; 300]);
        let received: Vec<u32> = smsc
            .received()
            .iter()
            .filter_map(|one| Header::of(&one.octets))
            .filter(|header| header.command == Command::SubmitSm)
            .map(|header| header.sequence_number)
            .collect();
        assert_eq!(received, (2..2 + 309).collect::<Vec<u32>>(), "each once, in order");
        assert!(metric(&proxy, "consentry_consent_lookup_wait_seconds_count") >= 1.0);
        for (result, expected) in [("hit", 270.0), ("fetched", 39.0), ("late", 0.0)] {
            let name = format!("consentry_consent_lookups_total{{result=\"{result}\"}}");
            until(result, || metric(&proxy, &name) == expected);
        }
        // The engine is slow: what the SMSC says goes by what waits, a refusal too, which is in force.
        way.slow(Duration::from_secs(2));
        let first = esme.begin(&[(AD, 390), (NOTICE, 391)]).await;
        esme.hears(&smsc, &said(5, "谢谢")).await;
        esme.hears(&smsc, &said(6, "退订")).await;
        let answers = esme.answers(first, 2).await;
        assert_eq!(answers[1], PASSED, "it only waited");
        assert!([PASSED, FULL].contains(&answers[0]));
        assert_eq!(esme.send(&[(AD, 6), (AD, 5)]).await, [REFUSED, PASSED]);
    });
}

#[test]
fn what_is_late_or_dead_is_answered_and_what_is_known_goes_on() {
    let Some(server) = servers::shared() else { return };
    let stage = Stage::on(server);
    let (operator, shop) = operator(&stage);
    assert_eq!(tell(&operator, &grants(shop, 0..20)), Ok((0, Vec::new())));
    let asked = Happened::Asked { content: 1 };
    let requests = [30, 31].map(|to| event(shop, to, Source::Api, asked));
    assert_eq!(tell(&operator, &requests), Ok((0, Vec::new())));
    let (way, smsc) = (Forwarder::start(stage.address), smsc());
    let proxy = proxy(&stage, "late", way.address, &smsc, "100ms");
    run(async {
        let mut esme = Shop::open(&proxy).await;
        esme.send_until(AD, 0, PASSED).await;
        way.slow(Duration::from_millis(200));
        assert_eq!(esme.send(&[(AD, 1), (NOTICE, 1), (AD, 0)]).await, [FULL, PASSED, PASSED]);
        // It came too late, and is there for who asks again.
        esme.send_until(AD, 1, PASSED).await;
        // Who was asked over another node answers here when the engine is dead.
        way.refuse(true);
        assert_eq!(esme.send(&[(AD, 2), (NOTICE, 2), (AD, 0)]).await, [FULL, PASSED, PASSED]);
        assert_eq!(esme.send(&[(REQUEST, 40)]).await, [FULL]);
        esme.hears(&smsc, &said(30, "同意")).await;
        esme.hears(&smsc, &said(0, "退订")).await;
        esme.hears(&smsc, &said(3, "退订")).await;
        assert_eq!(esme.send(&[(AD, 0), (AD, 3), (REQUEST, 3)]).await, [REFUSED; 3]);
        assert_eq!(esme.send(&[(AD, 30)]).await, [FULL]);
        way.slow(Duration::ZERO);
        way.refuse(false);
        // The yes counts when the ledger can tell; the refusals reach all.
        esme.send_until(AD, 30, PASSED).await;
        until("the refusals are known", || {
            [0, 3].iter().all(|to| standing(&operator, shop, *to) == Some(StandingState::Revoked))
        });
        esme.send_until(AD, 2, PASSED).await;
        // He has not answered.
        esme.send_until(AD, 31, REFUSED).await;
    });
}

#[test]
fn of_two_nodes_one_asks_and_together_they_keep_a_promise() {
    let Some(server) = servers::shared() else { return };
    let stage = Stage::on(server);
    let (operator, shop) = operator(&stage);
    let promise = Some(Promise { messages: 3, period: Period::Year });
    let promised = [event(shop, 100, Source::Api, granted(promise))];
    assert_eq!(tell(&operator, &promised), Ok((0, Vec::new())));
    let smscs = [smsc(), smsc()];
    let start = |name, smsc| proxy(&stage, name, stage.address, smsc, "10s");
    let proxies = [start("one", &smscs[0]), start("other", &smscs[1])];
    run(async {
        let mut shops = Vec::new();
        for proxy in &proxies {
            shops.push(Shop::open(proxy).await);
        }
        let [one, other] = &mut shops[..] else { panic!("there are two") };
        let requests: Vec<_> = (0..20).map(|to| (REQUEST, to)).collect();
        let (first, second) = tokio::join!(one.send(&requests), other.send(&requests));
        for (at, (one, other)) in first.iter().zip(&second).enumerate() {
            let both = [*one, *other];
            assert!(both == [PASSED, REFUSED] || both == [REFUSED, PASSED], "{at}: {both:?}");
        }
        let five = [(AD, 100); 5];
        let (first, second) = tokio::join!(one.send(&five), other.send(&five));
        let passed = first.iter().chain(&second).filter(|status| **status == PASSED).count();
        assert_eq!(passed, 3, "{first:?} {second:?}");
        // Who was asked over either answers over the other, or the one.
        other.hears(&smscs[1], &said(7, "Y")).await;
        one.send_until(AD, 7, PASSED).await;
        other.send_until(AD, 7, PASSED).await;
        // Sooner than the other node, which knows of none, has heard of the question.
        let quick: Vec<u64> = (200..220).collect();
        let ads: Vec<_> = quick.iter().map(|to| (AD, *to)).collect();
        assert_eq!(other.send(&ads).await, [REFUSED; 20]);
        for to in &quick {
            assert_eq!(one.send(&[(REQUEST, *to)]).await, [PASSED]);
            other.hears(&smscs[1], &said(*to, "Y")).await;
        }
        for to in &quick {
            one.send_until(AD, *to, PASSED).await;
        }
    });
}
