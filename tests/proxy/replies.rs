//! A handset says stop: heard in every form, kept before the shop hears of it, heeded from then on.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command as Process;

use consentry::peer::esme::Esme;
use consentry::peer::smsc::{Options, Smsc};
use consentry::smpp::message::WireAddress;
use consentry::smpp::write::{self, MessageFields};
use consentry::smpp::{Command, CommandStatus};

use crate::metrics::wait_for;
use crate::running::Proxy;
use crate::{answer, audit, smsc};

const SHOP: &str = "示例商城有限公司";
const ADVERTISING: &[u8] = b"106900009999";
const OTHER_CODE: &[u8] = b"106900008888";
const SERVICE: &[u8] = b"106900001234";
const ADVERTISEMENT: &str = "【示例商城】周末全场五折，满300减50，点击选购。回TDZD退订";
const NOTICE: &str = "【示例商城】验证码123456，五分钟内有效。";

const REGISTRY: &str = r#"
[[provider]]
name       = "示例商城有限公司"
system_ids = ["shop"]
licence    = { number = "B2-1", valid_until = 2099-12-31 }
identity   = "verified"
[[provider.code]]
number     = "106900009999"
digits_max = 16
purpose    = "commercial"
requests   = ["request.txt"]
[[provider.code]]
number     = "106900008888"
purpose    = "commercial"
[[provider.code]]
number     = "106900001234"
purpose    = "service"
"#;

const REQUEST: &str =
    "【示例商城】愿意每月收到不超过4条优惠信息吗？为期一年，同意请回复Y，不回复视为拒绝。";

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

/// Writes what a proxy needs, and a consent of each recipient.
fn prepare(folder: &Path, smsc: SocketAddr, recipients: &[String]) -> String {
    std::fs::write(folder.join("shop.toml"), REGISTRY).expect("a folder to write in");
    std::fs::write(folder.join("request.txt"), REQUEST).expect("a folder to write in");
    let mut lines = String::from("number,entity,time,proof,proof_sha256,review\n");
    for recipient in recipients {
        let proof = "9f".repeat(32);
        lines.push_str(&format!("{recipient},{SHOP},2026-05-06,web,{proof},reviewed\n"));
    }
    std::fs::write(folder.join("consents.csv"), lines).expect("a folder to write in");
    let config = format!(
        "[[listen]]\naddress = \"127.0.0.1:0\"\nsmsc = [\"{smsc}\"]\ndefault_alphabet = \"gbk\"\n\
         [registry]\nfile = \"shop.toml\"\n{}",
        audit("written")
    );
    std::fs::write(folder.join("consentry.toml"), &config).expect("a folder to write in");
    if !recipients.is_empty() {
        let done = Process::new(env!("CARGO_BIN_EXE_consentry"))
            .args(["consent", "import", "-c", "consentry.toml", "consents.csv"])
            .current_dir(folder)
            .output()
            .expect("the binary runs");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    config
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
        answer(&mut self.esme).await.expect("an answer").1
    }

    /// A handset's message comes to the shop as the octets that the SMSC sent.
    async fn hear(&mut self, smsc: &Smsc, pdu: &[u8]) {
        assert!(smsc.send("shop", pdu), "a session can receive");
        assert_eq!(self.esme.next().await.expect("a PDU").as_deref(), Some(pdu));
    }
}

/// A message of a handset.
fn reply(from: &str, to: &[u8], esm_class: u8, data_coding: u8, text: &[u8]) -> Vec<u8> {
    let address = |value| WireAddress { ton: 1, npi: 1, value };
    let fields = MessageFields {
        source: address(from.as_bytes()),
        destination: address(to),
        esm_class,
        registered_delivery: 0,
        data_coding,
        short_message: text,
    };
    let mut out = Vec::new();
    write::message(&mut out, Command::DeliverSm, 77, fields, |_| {});
    out
}

const REFUSED: CommandStatus = CommandStatus::ESME_RSUBMITFAIL;
const PASSED: CommandStatus = CommandStatus::ESME_ROK;

#[tokio::test]
async fn a_reply_ends_consent_in_every_form_and_nothing_else_does() {
    let part = |number: u8, text: &str| {
        let mut octets = vec![5, 0, 3, 9, 2, number];
        octets.extend(utf16(text));
        octets
    };
    let base = utf16;
    type Case = (&'static str, Vec<(u8, u8, Vec<u8>)>, CommandStatus);
    let cases: Vec<Case> = vec![
        ("UCS2", vec![(0, 8, base("退订"))], REFUSED),
        ("with courtesy", vec![(0, 8, base("退订。谢谢"))], REFUSED),
        ("full width", vec![(0, 8, base("ＴＤ"))], REFUSED),
        ("GBK by default", vec![(0, 0, vec![0xcd, 0xcb, 0xb6, 0xa9])], REFUSED),
        ("GBK as 15", vec![(0, 15, vec![0xcd, 0xcb, 0xb6, 0xa9])], REFUSED),
        ("ASCII", vec![(0, 1, b" td! ".to_vec())], REFUSED),
        ("STOP", vec![(0, 3, b"STOP".to_vec())], REFUSED),
        ("the announced word", vec![(0, 8, base("tdzd"))], REFUSED),
        ("in two parts", vec![(0x40, 8, part(1, "退")), (0x40, 8, part(2, "订"))], REFUSED),
        ("a user acknowledgement", vec![(0x10, 1, b"TD".to_vec())], REFUSED),
        ("an order", vec![(0, 1, b"STOP 12345".to_vec())], PASSED),
        ("a number", vec![(0, 8, base("确认办理 260404"))], PASSED),
        ("a sentence", vec![(0, 8, base("T恤有货吗"))], PASSED),
        ("half of a sentence", vec![(0x40, 8, part(1, "T"))], PASSED),
        ("a receipt", vec![(0x04, 1, b"TD".to_vec())], PASSED),
        ("a word nobody announced", vec![(0, 8, base("ABCD"))], PASSED),
    ];
    let recipients: Vec<String> =
        (0..cases.len()).map(|number| format!("86138001380{number:02}")).collect();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc(Options::default());
    let config = prepare(folder.path(), smsc.address(), &recipients);
    let proxy = Proxy::start_with(folder.path(), &config, "");
    let mut shop = Shop::open(&proxy).await;
    for ((what, replies, expected), to) in cases.iter().zip(&recipients) {
        assert_eq!(shop.send(ADVERTISING, to, ADVERTISEMENT).await, PASSED, "{what}: before");
        for (esm_class, data_coding, text) in replies {
            shop.hear(&smsc, &reply(to, ADVERTISING, *esm_class, *data_coding, text)).await;
        }
        assert_eq!(shop.send(ADVERTISING, to, ADVERTISEMENT).await, *expected, "{what}");
        let other = shop.send(OTHER_CODE, to, ADVERTISEMENT).await;
        assert_eq!(other, *expected, "{what}: over the other code");
        assert_eq!(shop.send(SERVICE, to, NOTICE).await, PASSED, "{what}: a notice");
    }
    let stranger = shop.send(ADVERTISING, "8613900139000", ADVERTISEMENT).await;
    assert_eq!(stranger, REFUSED, "a stranger");
}

#[tokio::test]
async fn what_the_shop_has_heard_is_kept_though_the_proxy_is_killed() {
    const KILLS: usize = 8;
    let recipients: Vec<String> =
        (0..KILLS).map(|number| format!("86138001381{number:02}")).collect();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc(Options::default());
    let config = prepare(folder.path(), smsc.address(), &recipients);
    for (round, to) in recipients.iter().enumerate() {
        let mut proxy = Proxy::start_with(folder.path(), &config, "");
        let mut shop = Shop::open(&proxy).await;
        for earlier in recipients.iter().take(round) {
            let status = shop.send(ADVERTISING, earlier, ADVERTISEMENT).await;
            assert_eq!(status, REFUSED, "round {round}: a refusal of before the kill");
        }
        assert_eq!(shop.send(ADVERTISING, to, ADVERTISEMENT).await, PASSED, "round {round}");
        // The announced word is known after a restart too.
        let word = if round == 0 { "退订" } else { "TDZD" };
        shop.hear(&smsc, &reply(to, ADVERTISING, 0, 8, &utf16(word))).await;
        proxy.signal("-KILL");
        proxy.wait();
    }
}

#[tokio::test]
async fn who_is_asked_is_asked_once_and_only_a_yes_is_one() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc(Options::default());
    let config = prepare(folder.path(), smsc.address(), &[]);
    let proxy = Proxy::start_with(folder.path(), &config, "");
    let mut shop = Shop::open(&proxy).await;
    for (to, word, asked_again, advertised) in [
        ("8613800138201", Some("同意"), PASSED, PASSED),
        ("8613800138202", Some("Y"), PASSED, PASSED),
        ("8613800138203", Some("再说吧"), REFUSED, REFUSED),
        ("8613800138204", Some("N"), REFUSED, REFUSED),
        ("8613800138205", None, REFUSED, REFUSED),
    ] {
        assert_eq!(shop.send(ADVERTISING, to, ADVERTISEMENT).await, REFUSED, "{word:?}: before");
        assert_eq!(shop.send(ADVERTISING, to, REQUEST).await, PASSED, "{word:?}: the request");
        if let Some(word) = word {
            shop.hear(&smsc, &reply(to, ADVERTISING, 0, 8, &utf16(word))).await;
        }
        assert_eq!(shop.send(ADVERTISING, to, REQUEST).await, asked_again, "{word:?}: again");
        assert_eq!(shop.send(ADVERTISING, to, ADVERTISEMENT).await, advertised, "{word:?}");
    }
    // A yes to nobody who asked is none.
    let to = "8613800138206";
    shop.hear(&smsc, &reply(to, ADVERTISING, 0, 8, &utf16("同意"))).await;
    assert_eq!(shop.send(ADVERTISING, to, ADVERTISEMENT).await, REFUSED);
}

#[tokio::test]
async fn a_shop_that_only_sends_has_blind_ports() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc(Options::default());
    let config =
        prepare(folder.path(), smsc.address(), &[]) + "[admin]\naddress = \"127.0.0.1:0\"\n";
    let proxy = Proxy::start_with(folder.path(), &config, "");
    let admin = proxy.admin.expect("an admin address");
    let blind = |codes: f64| wait_for(admin, &[("consentry_blind_ports", codes)]);
    blind(0.0);
    let mut esme = Esme::connect(proxy.address()).await.expect("the proxy accepts");
    let status = esme.bind(Command::BindTransmitter, "shop", "secret").await;
    assert_eq!(status.expect("an answer"), PASSED);
    blind(2.0);
    let _shop = Shop::open(&proxy).await;
    blind(0.0);
}
