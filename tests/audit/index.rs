//! Searching by index finds what reading everything finds, and reads less.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::records::{BIND, VERDICT};
use consentry::audit::index::{Indexed, index_name, index_sealed};
use consentry::audit::keys::{IndexKey, NumbersKey};
use consentry::audit::{
    Address, BindRecord, Durability, EndRecord, Found, IsMeant, Journal, KeyRing, Options, PASS,
    Query, REFUSE, ReceiptRecord, Records, References, ReplyRecord, ResponseRecord, Sealing,
    Searched, UnansweredRecord, VerdictRecord, search, segment_firsts,
};

/// 2026-11-26T00:00:00Z.
const NOW_US: u64 = 1_795_651_200_000_000;
const SECOND: u64 = 1_000_000;
const PROVIDERS: [&str; 3] = ["示例商城", "测试有限公司", "another"];

fn random(seed: &mut u64, below: u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed % below
}

/// The last eleven digits: enough of a canonical form for what is written here.
fn canonical(raw: &[u8]) -> Option<Vec<u8>> {
    (raw.len() >= 11).then(|| raw[raw.len() - 11..].to_vec())
}

struct Place {
    folder: tempfile::TempDir,
}

/// A session that is open while the journal is made up.
struct Open {
    id: u64,
    sequence: u32,
    /// Requests that are not answered: sequence_number, recipient, when they went on.
    waiting: Vec<(u32, Vec<u8>, u64)>,
}

impl Place {
    fn new() -> Place {
        Place { folder: tempfile::tempdir().expect("a folder") }
    }

    fn journal(&self) -> PathBuf {
        self.folder.path().join("audit")
    }

    fn keys(&self) -> PathBuf {
        self.folder.path().join("keys")
    }

    fn ring(&self) -> Arc<KeyRing> {
        Arc::new(KeyRing::open(&self.keys()).expect("keys"))
    }

    fn index_key(&self) -> IndexKey {
        IndexKey::open_or_create(&self.keys()).expect("a key")
    }

    /// A journal of `segments` segments in two openings: sessions, messages, answers and receipts go
    /// across their borders.
    fn fill(&self, seed: u64, segments: u32) {
        let mut seed = seed | 1;
        let mut now_us = NOW_US;
        for opening in 0..2 {
            let mut options = Options::new(Durability::Written);
            let sealing = Sealing { keys: self.keys(), auditors: Vec::new(), content: false };
            options.sealing = Some(sealing);
            options.rule_set = ["cn-order31-2015", "cn-order74-2026"][opening].to_owned();
            let (journal, _) = Journal::open(&self.journal(), options, now_us).expect("opens");
            let mut open: Vec<Open> = Vec::new();
            let mut receipts = Vec::new();
            for segment in 0..segments / 2 {
                let mut records = Records::new();
                for _ in 0..60 {
                    now_us += random(&mut seed, 5) * SECOND;
                    step(&mut seed, now_us, &journal, &mut open, &mut receipts, &mut records);
                }
                let ticket = journal.append(&mut records).expect("taken");
                journal.wait(ticket).expect("kept");
                if segment + 1 < segments / 2 {
                    journal.rotate();
                }
            }
            journal.close(now_us).expect("closes");
        }
    }

    fn index_all(&self) -> u64 {
        let (ring, key) = (self.ring(), self.index_key());
        let mut made = 0;
        while index_sealed(&self.journal(), &ring, &key, &canonical).expect("made").is_some() {
            made += 1;
        }
        made
    }
}

/// Something happens.
fn step(
    seed: &mut u64,
    now_us: u64,
    journal: &Journal,
    open: &mut Vec<Open>,
    receipts: &mut Vec<(String, Vec<u8>)>,
    records: &mut Records,
) {
    let what = random(seed, 100);
    if open.is_empty() || (what < 4 && open.len() < 5) {
        let id = journal.next_session_id();
        records.bind(now_us, &bind(id, PROVIDERS[random(seed, 3) as usize]));
        return open.push(Open { id, sequence: 1, waiting: Vec::new() });
    }
    let at = random(seed, open.len() as u64) as usize;
    let session = &mut open[at];
    match what {
        0..50 => {
            // Sequence numbers come again, as those of long sessions do, but not while one waits.
            let waits = |number| session.waiting.iter().any(|(waits, ..)| *waits == number);
            let next = (1..50).map(|n| (session.sequence + n) % 50 + 1).find(|one| !waits(*one));
            session.sequence = next.expect("fewer than fifty wait");
            let to = recipient(random(seed, 40));
            let refused = random(seed, 5) == 0;
            records.verdict(now_us, &verdict(session.id, session.sequence, &to, refused));
            if !refused {
                session.waiting.push((session.sequence, to, now_us));
            }
        }
        50..80 => {
            if session.waiting.is_empty() {
                return;
            }
            let (sequence, to, since) = session.waiting.remove(0);
            let id = format!("{:x}", random(seed, 1 << 30));
            let latency_us = (now_us - since) as u32;
            records.response(now_us, &response(session.id, sequence, latency_us, id.as_bytes()));
            receipts.push((id, to));
        }
        80..92 => {
            if receipts.is_empty() {
                return;
            }
            let at = random(seed, receipts.len() as u64) as usize;
            let (id, to) = receipts.swap_remove(at);
            records.receipt(now_us, &receipt(session.id, &to, id.as_bytes()));
        }
        92..95 => records.reply(now_us, &reply(session.id, &recipient(random(seed, 40)))),
        95..97 => {
            if let Some((sequence_number, _, verdict_us)) = session.waiting.pop() {
                let (session, command_id) = (session.id, 4);
                let record = UnansweredRecord { session, command_id, sequence_number, verdict_us };
                records.unanswered(now_us, &record);
            }
        }
        _ => {
            let session = open.swap_remove(at).id;
            let (reason, forwarded, refused, unanswered) = (1, 0, 0, 0);
            records.end(now_us, &EndRecord { session, reason, forwarded, refused, unanswered });
        }
    }
}

fn recipient(n: u64) -> Vec<u8> {
    let prefix = ["86", "", "+86"][n as usize % 3];
    format!("{prefix}138001380{n:02}").into_bytes()
}

fn bind(session: u64, provider: &'static str) -> BindRecord<'static> {
    BindRecord { session, provider, ..BIND }
}

fn verdict(session: u64, sequence: u32, to: &[u8], refused: bool) -> VerdictRecord<'_> {
    VerdictRecord {
        session,
        sequence_number: sequence,
        verdict: if refused { REFUSE } else { PASS },
        rule: if refused { (sequence % 3 + 5) as u8 } else { 0 },
        destination: Address { ton: 1, npi: 1, raw: to },
        class: 3,
        references: match sequence {
            3 => References { entity: b"1101", ..References::default() },
            _ => References::default(),
        },
        ..VERDICT
    }
}

fn response(session: u64, sequence: u32, latency_us: u32, id: &[u8]) -> ResponseRecord<'_> {
    ResponseRecord {
        session,
        command_id: 0x8000_0004,
        sequence_number: sequence,
        status: 0,
        latency_us,
        flags: 0,
        message_id: id,
    }
}

fn receipt<'a>(session: u64, source: &'a [u8], message_id: &'a [u8]) -> ReceiptRecord<'a> {
    ReceiptRecord {
        session,
        command_id: 5,
        sequence_number: 10,
        esm_class: 4,
        state: 2,
        flags: ReceiptRecord::BY_TEXT,
        network_error: [0; 3],
        submitted: [0; 6],
        done: [0; 6],
        source: Address { ton: 1, npi: 1, raw: source },
        destination: Address { ton: 0, npi: 1, raw: b"106900001234" },
        message_id,
        text_id: b"",
        stat: b"DELIVRD",
        error: b"000",
    }
}

fn reply(session: u64, source: &[u8]) -> ReplyRecord<'_> {
    ReplyRecord {
        session,
        command_id: 5,
        sequence_number: 9,
        reply: ReplyRecord::OPT_OUT,
        source: Address { ton: 1, npi: 1, raw: source },
        destination: Address { ton: 0, npi: 1, raw: b"106900001234" },
        data_coding: 8,
        text: b"TD",
    }
}

/// What was found, with all that is said of it.
fn found(place: &Place, query: &Query<'_>) -> (Vec<String>, Searched) {
    let mut all = Vec::new();
    let searched = search(&place.journal(), query, &mut |found| {
        let more = match &found {
            Found::Message { verdict, .. } => verdict.rule_set.to_string(),
            Found::Bind { bind } => bind.rule_set.to_string(),
            Found::Consent { .. } => panic!("no consent was written"),
            Found::Reply { reply, .. } => reply.rule_set.to_string(),
        };
        all.push(format!("{found:?} {more}"));
        ControlFlow::Continue(())
    });
    (all, searched.expect("searched"))
}

/// Both ways of searching find the same; what each read.
fn check(place: &Place, what: &str, number: Option<&[u8]>, query: Query<'_>) -> [Searched; 2] {
    let is = |source: &[u8], destination: &[u8]| {
        let wanted = number.and_then(canonical);
        [source, destination].iter().any(|raw| canonical(raw) == wanted)
    };
    let is_meant: &IsMeant<'_> = &is;
    let (ring, key) = (place.ring(), place.index_key());
    let query = Query { number: number.is_some().then_some(is_meant), keys: Some(&ring), ..query };
    let indexed = Indexed { key: &key, canonical: &canonical, number };
    let (expected, read_all) = found(place, &query);
    let (by_index, read) = found(place, &Query { index: Some(&indexed), ..query });
    assert_eq!(by_index, expected, "{what}");
    same_counts(&read, &read_all, what);
    [read_all, read]
}

fn same_counts(read: &Searched, all: &Searched, what: &str) {
    assert_eq!((read.found, read.unreadable), (all.found, all.unreadable), "{what}");
    assert_eq!(read.ending, all.ending, "{what}");
}

#[test]
fn by_index_the_same_is_found() {
    for seed in [11, 12] {
        let place = Place::new();
        place.fill(seed, 10);
        let any = Query::default();
        for n in 0..6 {
            check(&place, &format!("number {n}"), Some(&recipient(n)), any);
        }
        // What is found is given three at a time.
        check(&place, "by threes", Some(&recipient(1)), Query { most: Some(3), ..any });
        check(&place, "the code", Some(b"106900001234"), any);
        check(&place, "nobody", Some(b"8613999999999"), any);
        check(&place, "all", None, any);
        for provider in PROVIDERS.into_iter().chain(["nobody"]) {
            check(&place, provider, None, Query { provider: Some(provider), ..any });
        }
        for rule in 4..9 {
            check(&place, &format!("rule {rule}"), None, Query { rule: Some(rule), ..any });
        }
        for verdict in [PASS, REFUSE, 3] {
            check(
                &place,
                &format!("verdict {verdict}"),
                None,
                Query { verdict: Some(verdict), ..any },
            );
        }
        for session in [1 << 40 | 1, 1 << 40 | 4, 2 << 40 | 2, 9] {
            check(
                &place,
                &format!("session {session}"),
                None,
                Query { session: Some(session), ..any },
            );
        }
        for (since, until) in [(0, 100), (200, 900), (900, 901), (100_000, 100_001)] {
            let (since, until) = (NOW_US + since * SECOND, NOW_US + until * SECOND);
            let query = Query { since_us: Some(since), until_us: Some(until), ..any };
            check(&place, &format!("{since} to {until}"), None, query);
            check(&place, &format!("number, {since} to {until}"), Some(&recipient(3)), query);
        }
        check(&place, "reference", None, Query { reference: Some(b"1101"), ..any });
        for id in ids(&place).iter().step_by(29) {
            let upper = id.to_ascii_uppercase();
            let query = Query { message_id: Some(upper.as_bytes()), ..any };
            let [_, read] = check(&place, &format!("id {id}"), None, query);
            assert!(read.found >= 1, "id {id}");
        }
        check(&place, "no id", None, Query { message_id: Some(b"nothing"), ..any });
    }
}

/// The ids of all answers.
fn ids(place: &Place) -> Vec<String> {
    let mut reader = consentry::audit::Reader::open(&place.journal()).expect("a journal");
    let mut ids = Vec::new();
    while let Some(entry) = reader.next().expect("whole") {
        if let consentry::audit::Record::Response(response) = entry.record() {
            ids.push(String::from_utf8(response.message_id.to_vec()).expect("text"));
        }
    }
    ids
}

/// A journal in which each segment is about recipients of its own. Its index.key is always the same: under some,
/// a filter says of something that it may be there that is not, and one segment more is read.
fn one_each(place: &Place, segments: u64) {
    std::fs::create_dir(place.keys()).expect("a folder");
    let file = IndexKey::file(&place.keys());
    std::fs::write(&file, "31".repeat(32)).expect("a key");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("its mode");
    let mut options = Options::new(Durability::Written);
    options.sealing = Some(Sealing { keys: place.keys(), auditors: Vec::new(), content: false });
    let (journal, _) = Journal::open(&place.journal(), options, NOW_US).expect("opens");
    let session = journal.next_session_id();
    for n in 0..segments {
        let mut records = Records::new();
        let now_us = NOW_US + n * 3600 * SECOND;
        if n == 0 {
            records.bind(now_us, &bind(session, PROVIDERS[0]));
        }
        for sequence in 1..=20 {
            let to = format!("8613{n:04}{sequence:05}");
            records.verdict(now_us, &verdict(session, sequence, to.as_bytes(), false));
            let id = format!("m-{n}-{sequence}");
            records.response(now_us, &response(session, sequence, 1, id.as_bytes()));
            if n >= 2 {
                let (id, to) =
                    (format!("m-{}-{sequence}", n - 2), format!("8613{:04}{sequence:05}", n - 2));
                records.receipt(now_us, &receipt(session, to.as_bytes(), id.as_bytes()));
            }
        }
        let ticket = journal.append(&mut records).expect("taken");
        journal.wait(ticket).expect("kept");
        journal.rotate();
    }
    journal.close(NOW_US).expect("closes");
}

#[test]
fn only_segments_that_may_match_are_read() {
    let place = Place::new();
    one_each(&place, 40);
    assert_eq!(place.index_all(), 39, "the last one is being written");
    let any = Query::default();
    let number = |n: u64| format!("8613{n:04}{:05}", 7).into_bytes();
    // Its own, the one with its receipt, the one with the bind of its session, and the last one.
    let [all, read] = check(&place, "a number", Some(&number(17)), any);
    assert_eq!((all.segments, all.segments_read), (40, 40));
    assert_eq!((read.segments, read.segments_read, read.found), (40, 4, 1));
    let [_, read] = check(&place, "nobody", Some(b"8613999999999"), any);
    assert_eq!((read.segments_read, read.found), (1, 0));
    // Of an id also the segment before, where the message might stand.
    let [_, read] = check(&place, "an id", None, Query { message_id: Some(b"M-30-7"), ..any });
    assert_eq!((read.segments_read, read.found), (6, 1));
    let (since, until) = (NOW_US + 5 * 3600 * SECOND, NOW_US + 6 * 3600 * SECOND);
    let query = Query { since_us: Some(since), until_us: Some(until), ..any };
    let [_, read] = check(&place, "an hour", None, query);
    assert_eq!((read.segments_read, read.found), (4, 20));
    let [_, read] = check(&place, "nobody's", None, Query { provider: Some("nobody"), ..any });
    assert_eq!((read.segments_read, read.found), (1, 0));
    let [_, read] = check(&place, "no rule", None, Query { rule: Some(9), ..any });
    assert_eq!((read.segments_read, read.found), (1, 0));
}

fn indexes(journal: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let firsts = segment_firsts(journal).expect("segments");
    let files = firsts.iter().map(|first| journal.join(index_name(*first)));
    files
        .filter(|file| file.exists())
        .map(|f| (f.clone(), std::fs::read(&f).expect("read")))
        .collect()
}

#[test]
fn an_index_that_is_missing_or_damaged_is_made_anew() {
    let place = Place::new();
    place.fill(5, 8);
    let made = place.index_all();
    assert!(made >= 7, "{made}");
    let whole = indexes(&place.journal());
    let (file, octets) = whole.iter().nth(3).expect("an index");
    let others = whole.values().nth(4).expect("another").clone();
    let any = Query::default();
    let spoil = |what: &str, octets: Option<&[u8]>| {
        match octets {
            Some(octets) => std::fs::write(file, octets).expect("written"),
            None => std::fs::remove_file(file).expect("removed"),
        }
        check(&place, what, Some(&recipient(2)), any);
        place.index_all();
        check(&place, what, Some(&recipient(2)), any);
    };
    spoil("missing", None);
    assert_eq!(std::fs::read(file).expect("made anew").len(), octets.len());
    spoil("empty", Some(b""));
    spoil("another segment's", Some(&others));
    for length in (0..octets.len()).step_by(397) {
        spoil(&format!("{length} octets"), Some(&octets[..length]));
    }
    for at in (0..octets.len()).step_by(211) {
        let mut changed = octets.clone();
        changed[at] ^= 0x10;
        spoil(&format!("octet {at}"), Some(&changed));
    }
    // Another key: every token is another.
    std::fs::remove_file(IndexKey::file(&place.keys())).expect("removed");
    check(&place, "another key", Some(&recipient(2)), any);
    assert!(indexes(&place.journal()).iter().all(|(file, octets)| whole[file] != *octets));
}

#[test]
fn an_index_holds_no_number_and_no_id_in_clear() {
    let place = Place::new();
    one_each(&place, 3);
    place.index_all();
    for octets in indexes(&place.journal()).values() {
        for secret in [b"86130000" as &[u8], b"13000000", b"m-0-", b"106900001234"] {
            assert!(!octets.windows(secret.len()).any(|window| window == secret));
        }
    }
}

#[test]
fn where_numbers_cannot_be_read_every_segment_is() {
    let place = Place::new();
    one_each(&place, 4);
    std::fs::remove_file(NumbersKey::file(&place.keys(), "2026-11")).expect("removed");
    let [_, read] = check(&place, "a number", Some(b"8613000100007"), Query::default());
    assert_eq!((read.found, read.segments_read), (0, 4));
    assert!(read.unreadable > 0);
}
