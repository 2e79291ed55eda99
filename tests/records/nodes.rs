//! Three nodes: journals of thousands of records each, as proxies write them, and their mirrors.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::records::{BIND, VERDICT};
use consentry::audit::keys::{IndexKey, PublicKey, SigningKey};
use consentry::audit::proof::NotaryOptions;
use consentry::audit::{
    Address, BindRecord, Durability, Journal, KeyRing, OBSERVE, Options, REFUSE, ReceiptRecord,
    Records, ReplyRecord, ResponseRecord, Sealing, VerdictRecord,
};
use consentry::mirror::{self, Mirror, To};
use consentry::policy::Rule;

/// 2026-09-21T14:13:20Z.
pub const NOW_US: u64 = 1_790_000_000_000_000;
pub const SECOND_US: u64 = 1_000_000;
pub const PROVIDERS: [&str; 3] = ["示例商城", "测试有限公司", "third"];
/// The code of all traffic.
pub const CODE: &[u8] = b"106900001234";
/// Messages of a node: each has an answer, but for those that are refused.
pub const MESSAGES: u32 = 1_200;

/// A node: a folder with `audit`, `keys` and a configuration whose mirror is called `all`.
pub struct Node {
    pub name: String,
    pub folder: tempfile::TempDir,
    pub database: String,
    /// Whether its mirror has numbers whole.
    pub whole_numbers: bool,
}

impl Node {
    /// A node whose index key is that of `first`, if there is one.
    pub fn new(name: &str, database: &str, first: Option<&Node>) -> Node {
        let node = Node::at(name, database);
        std::fs::create_dir(node.keys()).expect("made");
        SigningKey::open_or_create(&node.keys()).expect("a key");
        match first {
            Some(first) => {
                std::fs::copy(IndexKey::file(&first.keys()), IndexKey::file(&node.keys()))
                    .expect("copied");
            }
            None => drop(IndexKey::open_or_create(&node.keys()).expect("a key")),
        }
        node
    }

    /// One with a configuration and nothing else.
    pub fn at(name: &str, database: &str) -> Node {
        let folder = tempfile::tempdir().expect("a folder");
        let node = Node {
            name: name.to_owned(),
            folder,
            database: database.to_owned(),
            whole_numbers: false,
        };
        let config = format!(
            "[[listen]]\naddress = \"127.0.0.1:0\"\nsmsc = [\"127.0.0.1:1\"]\n[audit]\npath = \"audit\"\n\
             keys = \"keys\"\n[[mirror]]\nname = \"all\"\nkind = \"postgres\"\nurl = \"{database}\"\n\
             node = \"{name}\"\n"
        );
        std::fs::write(node.folder.path().join("consentry.toml"), config).expect("written");
        std::fs::write(node.folder.path().join("registry.toml"), "").expect("written");
        node
    }

    pub fn audit(&self) -> PathBuf {
        self.folder.path().join("audit")
    }

    pub fn keys(&self) -> PathBuf {
        self.folder.path().join("keys")
    }

    pub fn public(&self) -> PublicKey {
        PublicKey::read(&PublicKey::file(&self.keys())).expect("a key")
    }

    /// Opens its journal as a proxy does; it signs every 300 records. Segments are small.
    pub fn open(&self) -> Journal {
        let mut options = Options::new(Durability::Written);
        options.segment_octets = 30_000;
        options.rule_set = "cn-order74-2026".to_owned();
        options.sealing = Some(Sealing { keys: self.keys(), auditors: Vec::new(), content: false });
        options.notary = Some(NotaryOptions {
            key: SigningKey::open_or_create(&self.keys()).expect("a key"),
            records: 300,
            every: Duration::from_secs(3600),
            now_us: Box::new(|| NOW_US + 9),
            on_fault: Box::new(|why| eprintln!("the notary: {why}")),
        });
        Journal::open(&self.audit(), options, NOW_US).expect("the journal opens").0
    }

    /// Mirrors what the journal has and waits until all of it is there.
    pub fn mirror(&self, journal: &Journal) {
        let mirror = Mirror::start(journal.clone(), &self.audit(), self.options()).expect("begins");
        let until = Instant::now() + Duration::from_secs(60);
        while mirror.figures().lag > 0 {
            assert!(Instant::now() < until, "it is not mirrored: {:?}", mirror.figures());
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(mirror.figures().rejected, 0);
        mirror.stop();
    }

    pub fn options(&self) -> mirror::Options {
        let key = IndexKey::open(&self.keys()).expect("readable").expect("a key");
        let token_key = key.name().iter().map(|octet| format!("{octet:02x}")).collect();
        mirror::Options {
            name: "all".to_owned(),
            to: To::Postgres {
                url: self.database.parse().expect("a URL"),
                password: None,
                table: "consentry_records".to_owned(),
            },
            node: self.name.clone(),
            whole_numbers: self.whole_numbers,
            content: false,
            keys: Arc::new(KeyRing::open(&self.keys()).expect("keys")),
            token: Some(Arc::new(move |address: &Address<'_>| {
                // All numbers here are of mainland China, or codes.
                let digits = std::str::from_utf8(address.raw).ok()?;
                let national = digits.trim_start_matches('+').trim_start_matches("86");
                (national.len() == 11).then(|| key.number(&[b"n86", national.as_bytes()].concat()))
            })),
            token_key: Some(token_key),
            batch: 700,
            wait: Duration::from_millis(10),
        }
    }

    /// Runs a command of the binary where the node is.
    pub fn run(&self, args: &[&str]) -> (Option<i32>, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_consentry"));
        let output = command.args(args).current_dir(self.folder.path()).output().expect("it runs");
        let text = |octets| String::from_utf8(octets).expect("text");
        (output.status.code(), text(output.stdout), text(output.stderr))
    }
}

pub fn address(raw: &[u8]) -> Address<'_> {
    Address { ton: 0, npi: 1, raw }
}

/// The recipient of a message: six hundred people, whom all nodes have in common.
pub fn recipient(number: u32) -> String {
    format!("8613800{:06}", number % 600)
}

pub fn bind(session: u64, provider: &str) -> BindRecord<'_> {
    BindRecord {
        session,
        peer: SocketAddr::from(([192, 0, 2, 1], 4000)),
        smsc: Some(SocketAddr::from(([192, 0, 2, 2], 2775))),
        provider,
        ..BIND
    }
}

pub fn verdict<'a>(session: u64, sequence_number: u32, to: &'a str) -> VerdictRecord<'a> {
    VerdictRecord {
        session,
        sequence_number,
        source: address(CODE),
        destination: address(to.as_bytes()),
        class: 1,
        ..VERDICT
    }
}

pub fn response<'a>(session: u64, sequence_number: u32, id: &'a str) -> ResponseRecord<'a> {
    ResponseRecord {
        session,
        command_id: 0x8000_0004,
        sequence_number,
        status: 0,
        latency_us: 900,
        flags: 0,
        message_id: id.as_bytes(),
    }
}

pub fn receipt<'a>(
    session: u64,
    sequence_number: u32,
    from: &'a str,
    id: &'a str,
) -> ReceiptRecord<'a> {
    ReceiptRecord {
        session,
        command_id: 5,
        sequence_number,
        esm_class: 4,
        state: 2,
        flags: 0,
        network_error: [0; 3],
        submitted: [26, 9, 21, 22, 13, 0],
        done: [26, 9, 21, 22, 14, 0],
        source: address(from.as_bytes()),
        destination: address(CODE),
        message_id: id.as_bytes(),
        text_id: b"",
        stat: b"DELIVRD",
        error: b"000",
    }
}

/// In hexadecimal it has letters: no id is another one's in the other base.
fn id_number(node: u32, number: u32) -> u64 {
    3_000_000_000 + u64::from(node * 1_000_000 + number)
}

/// The message_id that a node's SMSC gives.
pub fn message_id(node: u32, number: u32) -> String {
    format!("{:012}", id_number(node, number))
}

/// What a node of three has recorded: message by message, a second each, by turns of three providers; every
/// fifth is refused, every seventh observed. The receipts of the messages of the node before it come through
/// this one, with the id in hexadecimal.
pub fn traffic(journal: &Journal, node: u32) {
    let mut records = Records::new();
    let sessions: Vec<u64> = PROVIDERS.iter().map(|_| journal.next_session_id()).collect();
    let at = |number: u32| NOW_US + u64::from(number) * SECOND_US + u64::from(node);
    for (session, provider) in sessions.iter().zip(PROVIDERS) {
        records.bind(at(0), &bind(*session, provider));
    }
    for number in 1..=MESSAGES {
        let session = sessions[number as usize % sessions.len()];
        let (to, id) = (recipient(number), message_id(node, number));
        let mut message = verdict(session, number, &to);
        if number.is_multiple_of(5) {
            (message.verdict, message.rule) = (REFUSE, Rule::ConsentMissing.code());
        } else if number.is_multiple_of(7) {
            message.verdict = OBSERVE;
            message.rule = Rule::NoticeMissing.code();
            message.observed = 1 << Rule::SignatureMissing.code();
        }
        let entity = format!("entity-{number}");
        if number.is_multiple_of(100) {
            message.references.entity = entity.as_bytes();
        }
        records.verdict(at(number), &message);
        if message.verdict != REFUSE {
            records.response(at(number) + 900, &response(session, number, &id));
        }
        if number.is_multiple_of(4) && !number.is_multiple_of(5) {
            let other = format!("{:x}", id_number((node + 2) % 3, number));
            records.receipt(at(number) + 5_000, &receipt(sessions[0], number, &to, &other));
        }
        if number == 500 {
            records.reply(
                at(number),
                &ReplyRecord {
                    session,
                    command_id: 5,
                    sequence_number: 500,
                    reply: ReplyRecord::OPT_OUT,
                    source: address(to.as_bytes()),
                    destination: address(CODE),
                    data_coding: 8,
                    text: b"T",
                },
            );
        }
        if records.len() > 200 || number == MESSAGES {
            let ticket = journal.append(&mut records).expect("taken");
            journal.wait(ticket).expect("kept");
        }
    }
}

/// Three nodes with traffic, closed and mirrored whole into the database.
pub fn three(database: &str) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    for (at, name) in (0..).zip(["north", "south", "west"]) {
        let node = Node::new(name, database, nodes.first());
        let journal = node.open();
        traffic(&journal, at);
        finish(&node, &journal);
        nodes.push(node);
    }
    nodes
}

/// Closes a journal and mirrors all of it, its end too.
pub fn finish(node: &Node, journal: &Journal) {
    journal.close(NOW_US + 10_000 * SECOND_US).expect("closed");
    node.mirror(journal);
}
