//! The journal from outside: what is acknowledged stays, what failed is gone, what was changed
//! is found.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use crate::records::{BIND, VERDICT};
use consentry::audit::{
    Address, Answer, BindRecord, Durability, EndRecord, Ending, Found, IsMeant, Journal, KeyRing,
    OBSERVE, OpenFault, Options, Part, Query, REFERENCE_OCTETS_MAX, REFUSE, ReadFault, Reader,
    Record, Records, References, ResponseRecord, RulesRecord, Sealing, State, UnansweredRecord,
    Unavailable, VerdictRecord, search, show, verify,
};

const NOW_US: u64 = 1_790_000_000_000_000;

fn verdict(session: u64, sequence_number: u32) -> VerdictRecord<'static> {
    VerdictRecord { session, sequence_number, ..VERDICT }
}

fn bind(session: u64, provider: &str) -> BindRecord<'_> {
    BindRecord {
        session,
        smsc: Some("[2001:db8::1]:2775".parse().expect("an address")),
        provider,
        ..BIND
    }
}

fn response(session: u64, sequence_number: u32, message_id: &[u8]) -> ResponseRecord<'_> {
    ResponseRecord {
        session,
        command_id: 0x8000_0004,
        sequence_number,
        status: 0,
        latency_us: 1200,
        flags: 0,
        message_id,
    }
}

fn unanswered(session: u64, sequence_number: u32) -> UnansweredRecord {
    UnansweredRecord { session, command_id: 4, sequence_number, verdict_us: NOW_US }
}

fn options(durability: Durability) -> Options {
    let mut options = Options::new(durability);
    options.retry = Duration::from_millis(10);
    options.program = "0.1.0".to_owned();
    options.rule_set = "cn-order74-2026".to_owned();
    options
}

/// Numbers are encrypted under keys in a folder beside the journal's.
fn sealing(path: &Path) -> Sealing {
    Sealing { keys: path.with_extension("keys"), auditors: Vec::new(), content: false }
}

fn open(path: &Path, durability: Durability) -> Journal {
    Journal::open(path, options(durability), NOW_US).expect("the journal opens").0
}

fn one(session: u64, sequence_number: u32) -> Records {
    let mut records = Records::new();
    records.verdict(NOW_US, &verdict(session, sequence_number));
    records
}

fn append(journal: &Journal, fill: impl FnOnce(&mut Records)) {
    let mut records = Records::new();
    fill(&mut records);
    let ticket = journal.append(&mut records).expect("the journal takes records");
    assert!(records.is_empty());
    journal.wait(ticket).expect("the records are kept");
}

/// Sequence numbers of the verdicts of a session, whose numbers can all be read.
fn sequences(path: &Path, session: u64) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    let keys = KeyRing::open(&sealing(path).keys).expect("the keys are whole");
    let mut reader = Reader::open(path).expect("the journal is there").with_keys(Arc::new(keys));
    while let Some(entry) = reader.next().expect("the journal is whole") {
        if let Record::Verdict(record) = entry.record()
            && record.session == session
        {
            assert_eq!(record.destination.raw, b"8613800000000");
            assert!(found.insert(record.sequence_number), "a record is there twice");
        }
    }
    found
}

fn segment_files(path: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(path).expect("the directory is there");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "seg"));
    files.sort();
    files
}

fn name(path: &Path) -> String {
    path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned()
}

/// A closed journal of three segments and two openings.
fn small(path: &Path) {
    for _ in 0..2 {
        let journal = open(path, Durability::Written);
        let session = journal.next_session_id();
        append(&journal, |records| records.bind(NOW_US + 1, &bind(session, "示例商城")));
        append(&journal, |records| {
            records.verdict(NOW_US + 2, &verdict(session, 2));
            records.verdict(NOW_US + 3, &verdict(session, 3));
        });
        if segment_files(path).len() == 1 {
            journal.rotate();
        }
        append(&journal, |records| records.response(NOW_US + 4, &response(session, 2, b"4711")));
        journal.close(NOW_US + 5).expect("the journal closes");
    }
    assert_eq!(segment_files(path).len(), 3);
}

struct Place {
    segment: String,
    octets: std::ops::Range<usize>,
    number: u64,
}

/// Where each record stands.
fn places(path: &Path) -> Vec<Place> {
    let mut places = Vec::new();
    let mut reader = Reader::open(path).expect("the journal is there");
    while let Some(entry) = reader.next().expect("the journal is whole") {
        let start = entry.octet as usize;
        let octets = start..start + entry.octets.len();
        places.push(Place { segment: entry.segment.to_owned(), octets, number: entry.number });
    }
    places
}

/// Changes one file, looks, and restores it.
fn with(file: &Path, octets: &[u8], look: impl FnOnce()) {
    let before = std::fs::read(file).expect("readable");
    std::fs::write(file, octets).expect("writable");
    look();
    std::fs::write(file, before).expect("writable");
}

#[test]
fn what_is_written_is_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("audit");
    let journal = open(&path, Durability::Synced);
    let session = journal.next_session_id();
    let observed = VerdictRecord {
        verdict: OBSERVE,
        rule: 7,
        observed: 1 << 7 | 1 << 63,
        part: Some(Part { number: 2, total: 3, reference: 0xBEEF }),
        source: Address { ton: 5, npi: 0, raw: &[b'9'; 64] },
        ..verdict(session, u32::MAX)
    };
    let peer = "[2001:db8::2]:1".parse().expect("an address");
    let refused = BindRecord { smsc: None, peer, ..bind(session, "") };
    let end = EndRecord { session, reason: 3, forwarded: 1, refused: 2, unanswered: 3 };
    let rules = RulesRecord { rules: [7; 32], rule_set: "cn-order31-2015" };
    append(&journal, |records| {
        records.bind(1, &bind(session, "示例商城有限公司"));
        records.bind(2, &refused);
        records.verdict(3, &observed);
        records.response(4, &response(session, 5, &[b'a'; 65]));
        records.unanswered(5, &unanswered(session, 9));
        records.end(6, &end);
        records.rules(7, &rules);
    });
    journal.close(8).expect("the journal closes");
    let expected = [
        Record::Bind(bind(session, "示例商城有限公司")),
        Record::Bind(refused),
        Record::Verdict(observed),
        Record::Response(response(session, 5, &[b'a'; 65])),
        Record::Unanswered(unanswered(session, 9)),
        Record::End(end),
        Record::Rules(rules),
    ];
    let keys = Arc::new(KeyRing::default());
    for (at, expected) in expected.iter().enumerate() {
        // Record 1 is the start, record 2 its link.
        let kept = show(&path, at as u64 + 3, &keys).expect("readable").expect("there");
        assert_eq!(kept.record(), *expected);
        assert_eq!(kept.time_us, at as u64 + 1);
    }
    let start = show(&path, 1, &keys).expect("readable").expect("there");
    assert!(matches!(start.record(), Record::Start(start) if start.program == "0.1.0"));
    let verified = verify(&path).expect("the journal is whole");
    assert_eq!((verified.ending, verified.records, verified.segments), (Ending::Stopped, 12, 1));
}

#[test]
fn a_verdict_takes_at_most_120_octets() {
    assert_eq!(one(1, 1).octets().len(), 84);
    let mut records = Records::new();
    let digits = Address { ton: 0, npi: 1, raw: &[b'1'; 20] };
    records.verdict(1, &VerdictRecord { source: digits, destination: digits, ..verdict(1, 1) });
    assert_eq!(records.octets().len(), 99);
}

#[test]
fn session_identifiers_never_repeat() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut seen = BTreeSet::new();
    for opening in 1..4 {
        let (journal, recovered) =
            Journal::open(directory.path(), options(Durability::Queued), NOW_US).expect("opens");
        assert_eq!(recovered.opening, opening);
        assert!((0..3).all(|_| seen.insert(journal.next_session_id())));
    }
}

#[test]
fn a_second_writer_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let journal = open(directory.path(), Durability::Written);
    let second = Journal::open(directory.path(), options(Durability::Written), NOW_US);
    assert!(matches!(second, Err(OpenFault::Locked { .. })));
    journal.close(NOW_US).expect("the journal closes");
    open(directory.path(), Durability::Written);
    assert_eq!(journal.append(&mut one(1, 1)), Err(Unavailable::Closed));
}

#[test]
fn every_flipped_bit_is_found_where_it_is() {
    let directory = tempfile::tempdir().expect("a directory");
    small(directory.path());
    let places = places(directory.path());
    for file in segment_files(directory.path()) {
        let sound = std::fs::read(&file).expect("readable");
        let here: Vec<_> = places.iter().filter(|place| place.segment == name(&file)).collect();
        for at in 0..sound.len() {
            let hit = here.iter().find(|place| place.octets.contains(&at));
            let number = hit.map_or(here[0].number, |place| place.number);
            // One bit of each octet, all of every eleventh: each octet is flipped, each field fully.
            for bit in (0..8).filter(|bit| at % 8 == *bit || at % 11 == 0) {
                let mut flipped = sound.clone();
                flipped[at] ^= 1 << bit;
                with(&file, &flipped, || match verify(directory.path()) {
                    Err(ReadFault::Broken(fault)) => {
                        assert_eq!((&fault.segment, fault.record), (&name(&file), number), "{at}");
                    }
                    other => panic!("octet {at} bit {bit} of {file:?}: {other:?}"),
                });
            }
        }
    }
    assert!(verify(directory.path()).is_ok());
}

#[test]
fn a_segment_cut_short_is_found_and_recovered_only_at_the_end() {
    let directory = tempfile::tempdir().expect("a directory");
    small(directory.path());
    let files = segment_files(directory.path());
    for (at, file) in files.iter().enumerate() {
        let sound = std::fs::read(file).expect("readable");
        let last = at + 1 == files.len();
        for length in 0..sound.len() {
            with(file, &sound[..length], || match verify(directory.path()) {
                Err(ReadFault::Broken(_)) => assert!(!last, "{file:?} cut to {length}"),
                Ok(verified) if last => assert_ne!(verified.ending, Ending::Stopped),
                other => panic!("{file:?} cut to {length}: {other:?}"),
            });
        }
        for length in (0..sound.len()).step_by(13) {
            let copy = tempfile::tempdir().expect("a directory");
            for file in &files {
                std::fs::copy(file, copy.path().join(name(file))).expect("copied");
            }
            std::fs::write(copy.path().join(name(file)), &sound[..length]).expect("writable");
            let opened = Journal::open(copy.path(), options(Durability::Written), NOW_US);
            assert_eq!(opened.is_ok(), last, "{file:?} cut to {length}: {opened:?}");
            if last {
                drop(opened);
                assert_eq!(verify(copy.path()).expect("whole").ending, Ending::Stopped);
            }
        }
    }
}

#[test]
fn dropped_swapped_and_zeroed_records_are_found() {
    let directory = tempfile::tempdir().expect("a directory");
    small(directory.path());
    let file = segment_files(directory.path()).remove(0);
    let sound = std::fs::read(&file).expect("readable");
    let places = places(directory.path());
    // Records 5 and 6 are the two verdicts, equally long, and 7 their link.
    let (a, b, link) = (&places[4].octets, &places[5].octets, &places[6].octets);
    let swapped =
        [&sound[..a.start], &sound[b.clone()], &sound[a.clone()], &sound[b.end..]].concat();
    let mut zeroed = sound.clone();
    zeroed[a.start..].fill(0);
    for (what, octets, record) in [
        ("swapped", swapped, 5),
        ("dropped", [&sound[..a.start], &sound[a.end..]].concat(), 5),
        ("doubled", [&sound[..a.end], &sound[a.start..]].concat(), 6),
        ("group dropped", [&sound[..a.start], &sound[link.end..]].concat(), 5),
        ("zeroed", zeroed, 5),
    ] {
        with(&file, &octets, || match verify(directory.path()) {
            Err(ReadFault::Broken(fault)) => assert_eq!(fault.record, record, "{what}: {fault}"),
            other => panic!("{what}: {other:?}"),
        });
    }
}

#[test]
fn a_missing_or_replaced_segment_is_found_and_not_opened() {
    let directory = tempfile::tempdir().expect("a directory");
    small(directory.path());
    let other = tempfile::tempdir().expect("a directory");
    append(&open(other.path(), Durability::Written), |records| {
        records.verdict(NOW_US, &verdict(1, 1));
    });
    let foreign = std::fs::read(segment_files(other.path()).remove(0)).expect("readable");
    let files = segment_files(directory.path());
    let opens = || match Journal::open(directory.path(), options(Durability::Written), NOW_US) {
        Ok(_) => true,
        Err(OpenFault::Broken { .. }) => false,
        Err(other) => panic!("{other}"),
    };
    for (at, file) in files.iter().enumerate() {
        let sound = std::fs::read(file).expect("readable");
        std::fs::remove_file(file).expect("removed");
        let last = at + 1 == files.len();
        match verify(directory.path()) {
            Err(ReadFault::Broken(_)) => assert!(!last),
            Ok(verified) => assert!(last && verified.ending == Ending::NextMissing),
            other => panic!("{other:?}"),
        }
        assert!(last || !opens());
        std::fs::write(file, &foreign).expect("writable");
        assert!(matches!(verify(directory.path()), Err(ReadFault::Broken(_))), "{at}");
        assert!(!opens(), "{at}");
        std::fs::write(file, &sound).expect("writable");
    }
    assert!(verify(directory.path()).is_ok());
}

#[test]
fn a_torn_tail_of_zeros_is_cut_off_and_told() {
    let directory = tempfile::tempdir().expect("a directory");
    small(directory.path());
    let file = segment_files(directory.path()).pop().expect("a segment");
    let mut octets = std::fs::read(&file).expect("readable");
    octets.extend_from_slice(&[0; 700_000]);
    std::fs::write(&file, octets).expect("writable");
    let ending = verify(directory.path()).expect("whole").ending;
    assert_eq!(ending, Ending::Torn { octets: 700_000 });
    let (_journal, recovered) =
        Journal::open(directory.path(), options(Durability::Written), NOW_US).expect("opens");
    assert_eq!(recovered.torn_octets, 700_000);
    assert_eq!(recovered.torn_segment, Some(name(&file)));
}

#[test]
fn unknown_kinds_are_passed_over() {
    let record = Record::decode(200, 0, b"later");
    assert_eq!(record, Record::Unknown { kind: 200, form: 0, body: b"later" });
    let record = Record::decode(6, 1, b"a later form");
    assert!(matches!(record, Record::Unknown { kind: 6, form: 1, .. }));
}

#[test]
fn nobody_waits_for_ever() {
    const THREADS: u32 = 8;
    const EACH: u32 = 150;
    for durability in [Durability::Queued, Durability::Written, Durability::Synced] {
        let directory = tempfile::tempdir().expect("a directory");
        let mut options = options(durability);
        options.segment_octets = 20_000;
        let (journal, _) = Journal::open(directory.path(), options, NOW_US).expect("opens");
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let journal = &journal;
                scope.spawn(move || {
                    for at in thread * EACH..(thread + 1) * EACH {
                        append(journal, |records| records.verdict(NOW_US, &verdict(1, at)));
                        journal.append_unwaited(&mut one(2, at)).expect("taken");
                    }
                });
            }
            // Reading meanwhile must neither fail nor see half a group.
            (0..20).for_each(|_| assert!(verify(directory.path()).is_ok(), "whole while written"));
        });
        // `queued` may have all of that in one group; what follows it begins a segment.
        (0..2).for_each(|at| journal.append_synced(&mut one(3, at)).expect("kept"));
        journal.close(NOW_US).expect("closes");
        assert_eq!(journal.stats().records, u64::from(2 * THREADS * EACH + 2));
        for session in [1, 2] {
            let found = sequences(directory.path(), session);
            assert_eq!(found.len(), (THREADS * EACH) as usize, "{durability:?}");
        }
        let verified = verify(directory.path()).expect("whole");
        assert_eq!(verified.ending, Ending::Stopped);
        assert!(verified.segments > 1);
    }
}

/// Only waited records, so that no timer for unwaited ones rescues a ticket that was forgotten.
#[test]
fn no_waited_record_is_left_behind() {
    const THREADS: u32 = 4;
    const EACH: u32 = 3_000;
    for durability in [Durability::Written, Durability::Synced] {
        let each = if durability == Durability::Synced { 100 } else { EACH };
        let directory = tempfile::tempdir().expect("a directory");
        let journal = open(directory.path(), durability);
        let (done, finished) = std::sync::mpsc::channel();
        for thread in 0..THREADS {
            let (journal, done) = (journal.clone(), done.clone());
            std::thread::spawn(move || {
                for at in thread * each..(thread + 1) * each {
                    append(&journal, |records| records.verdict(NOW_US, &verdict(1, at)));
                }
                drop(journal);
                done.send(()).expect("the test listens");
            });
        }
        for _ in 0..THREADS {
            let came = finished.recv_timeout(Duration::from_secs(60));
            assert!(
                came.is_ok(),
                "{durability:?}: a ticket never completes: {:?}",
                journal.stats()
            );
        }
        journal.close(NOW_US).expect("closes");
        assert_eq!(sequences(directory.path(), 1).len(), (THREADS * each) as usize);
    }
}

#[test]
fn a_waker_is_woken_at_once_when_the_ticket_is_complete() {
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let directory = tempfile::tempdir().expect("a directory");
    let journal = open(directory.path(), Durability::Written);
    let ticket = journal.append(&mut one(1, 1)).expect("taken");
    journal.wait(ticket).expect("kept");
    let count = Arc::new(Count(AtomicUsize::new(0)));
    journal.on_complete(ticket, Waker::from(count.clone()));
    assert_eq!(count.0.load(Ordering::SeqCst), 1);
}

#[test]
fn too_much_pending_is_refused_and_nothing_of_it_taken() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut options = options(Durability::Queued);
    options.pending_octets_max = 84;
    let (journal, _) = Journal::open(directory.path(), options, NOW_US).expect("opens");
    journal.append(&mut one(1, 1)).expect("at the limit");
    let mut two = one(1, 2);
    two.verdict(NOW_US, &verdict(1, 3));
    assert_eq!(journal.append(&mut two), Err(Unavailable::Backlog));
    assert_eq!(two.len(), 2);
    journal.close(NOW_US).expect("closes");
    assert_eq!(sequences(directory.path(), 1), BTreeSet::from([1]));
}

fn until_available(journal: &Journal) {
    let begun = Instant::now();
    while journal.state() != State::Available {
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", journal.state());
        std::thread::yield_now();
    }
}

#[test]
fn a_lost_directory_refuses_and_its_return_heals() {
    for durability in [Durability::Written, Durability::Synced] {
        let directory = tempfile::tempdir().expect("a directory");
        let (path, away) = (directory.path().join("audit"), directory.path().join("away"));
        let journal = open(&path, durability);
        append(&journal, |records| records.verdict(NOW_US, &verdict(1, 1)));
        std::fs::rename(&path, &away).expect("renamed");
        journal.rotate();
        let lost = journal.append(&mut one(1, 2)).expect("taken, not kept");
        assert!(matches!(journal.wait(lost), Err(Unavailable::Failed(_))));
        assert!(matches!(journal.state(), State::Unavailable(_)));
        assert!(journal.append(&mut one(1, 3)).is_err());
        std::fs::rename(&away, &path).expect("renamed");
        until_available(&journal);
        append(&journal, |records| records.verdict(NOW_US, &verdict(1, 4)));
        assert!(matches!(journal.is_complete(lost), Err(Unavailable::Failed(_))));
        journal.close(NOW_US).expect("closes");
        assert_eq!(sequences(&path, 1), BTreeSet::from([1, 4]));
        assert_eq!(journal.stats().discarded_records, 1);
        assert_eq!(verify(&path).expect("whole").ending, Ending::Stopped);
    }
}

#[test]
fn a_search_joins_messages_with_answers_and_binds() {
    let directory = tempfile::tempdir().expect("a directory");
    let journal = open(directory.path(), Durability::Written);
    let (shop, bank) = (journal.next_session_id(), journal.next_session_id());
    append(&journal, |records| {
        records.bind(10, &bind(shop, "shop"));
        records.bind(11, &bind(bank, "bank"));
        records.verdict(20, &verdict(shop, 1));
        records.verdict(21, &verdict(shop, 2));
        let refused = VerdictRecord { verdict: REFUSE, rule: 5, status: 10, ..verdict(bank, 1) };
        records.verdict(22, &refused);
        let observed = VerdictRecord { verdict: OBSERVE, observed: 1 << 9, ..verdict(bank, 2) };
        records.verdict(23, &observed);
        records.response(30, &response(shop, 2, b"b"));
        records.response(31, &response(shop, 1, b"a"));
        records.unanswered(32, &unanswered(bank, 2));
        // The sequence_number again, and no answer at all.
        records.verdict(40, &verdict(shop, 1));
    });
    let nobody: &IsMeant<'_> = &|_, destination| destination.ends_with(b"1");
    let any = Query::default();
    let rows: [(&str, Query<'_>, &[&str]); 11] = [
        ("all", any, &["bind 10", "bind 11", "20 a", "21 b", "22 refused", "23 -", "40 ?"]),
        ("since", Query { since_us: Some(23), ..any }, &["23 -", "40 ?"]),
        ("until", Query { until_us: Some(20), ..any }, &["bind 10", "bind 11"]),
        ("provider", Query { provider: Some("bank"), ..any }, &["bind 11", "22 refused", "23 -"]),
        ("decided", Query { rule: Some(5), ..any }, &["22 refused"]),
        ("observed", Query { rule: Some(9), ..any }, &["23 -"]),
        ("verdict", Query { verdict: Some(REFUSE), ..any }, &["22 refused"]),
        ("session", Query { session: Some(bank), ..any }, &["bind 11", "22 refused", "23 -"]),
        ("message_id", Query { message_id: Some(b"b"), ..any }, &["21 b"]),
        ("number", Query { number: Some(nobody), ..any }, &[]),
        ("rule beyond 63", Query { rule: Some(200), ..any }, &[]),
    ];
    for (what, query, expected) in rows {
        let mut found = Vec::new();
        let searched = search(directory.path(), &query, &mut |hit| {
            found.push(shown(&hit));
            ControlFlow::Continue(())
        })
        .expect("readable");
        assert_eq!(found, expected, "{what}");
        assert_eq!(searched.found, expected.len() as u64);
        assert_eq!(searched.ending, Some(Ending::Open));
    }
}

fn shown(found: &Found) -> String {
    let (verdict, answer) = match found {
        Found::Bind { bind } => return format!("bind {}", bind.time_us),
        Found::Reply { .. } | Found::Consent { .. } => panic!("no reply was written"),
        Found::Message { verdict, answer, bind, receipts, .. } => {
            assert!(receipts.is_empty());
            assert!(bind.is_some());
            (verdict, answer)
        }
    };
    let answer = match answer {
        Answer::Refused => "refused".into(),
        Answer::Unanswered(_) => "-".into(),
        Answer::Unknown => "?".into(),
        Answer::Response(kept) => match kept.record() {
            Record::Response(response) => String::from_utf8_lossy(response.message_id).into_owned(),
            other => panic!("{other:?}"),
        },
        Answer::Unsuccess { .. } => panic!("no submit_multi was written"),
    };
    format!("{} {answer}", verdict.time_us)
}

/// What the tests below start as a process of its own; does nothing when run as a test.
#[test]
fn child() {
    let Ok(task) = std::env::var("CONSENTRY_JOURNAL_CHILD") else { return };
    let words: Vec<_> = task.splitn(3, ' ').collect();
    let durability = match words[0] {
        "queued" => Durability::Queued,
        "written" => Durability::Written,
        _ => Durability::Synced,
    };
    let mut options = options(durability);
    let directory = Path::new(words[2]);
    options.sealing = Some(sealing(directory));
    // A queue that fits into a file of the size that the full disk below allows.
    options.pending_octets_max = 1 << 20;
    let (journal, _) = Journal::open(directory, options, NOW_US).expect("opens");
    let session = journal.next_session_id();
    say(&format!("S {session}"));
    if words[1] == "kill" { append_for_ever(&journal, session) } else { fill_up(&journal, session) }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).expect("the parent listens");
}

fn append_for_ever(journal: &Journal, session: u64) -> ! {
    let mut sequence = 0;
    let mut records = Records::new();
    loop {
        for _ in 0..=sequence % 7 {
            sequence += 1;
            records.verdict(NOW_US, &verdict(session, sequence));
        }
        if sequence % 50 == 0 {
            journal.rotate();
        }
        let ticket = journal.append(&mut records).expect("taken");
        journal.wait(ticket).expect("kept");
        say(&format!("A {sequence}"));
        journal.append_unwaited(&mut one(0, sequence)).expect("taken");
    }
}

/// Batches of ten until writing failed three times; each told with its last sequence number.
fn fill_up(journal: &Journal, session: u64) {
    let mut sequence = 0;
    while journal.stats().failures < 3 {
        let mut records = Records::new();
        for _ in 0..10 {
            sequence += 1;
            records.verdict(NOW_US, &verdict(session, sequence));
        }
        let kept = journal.append(&mut records).and_then(|ticket| journal.wait(ticket));
        say(&format!("{} {sequence}", if kept.is_ok() { 'A' } else { 'F' }));
        if kept.is_err() {
            until_available(journal);
        }
    }
    until_available(journal);
    journal.close(NOW_US).expect("closes");
}

fn spawn_child(task: &str, before: &str) -> std::process::Child {
    Command::new("sh")
        .arg("-c")
        .arg(format!("{before} exec \"$0\" \"$@\""))
        .arg(std::env::current_exe().expect("the test itself"))
        .args(["journal::child", "--exact", "--nocapture", "--test-threads=1"])
        .env("CONSENTRY_JOURNAL_CHILD", task)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the child starts")
}

/// The session and the acknowledged and failed sequence numbers that a child told of.
#[derive(Default)]
struct Told {
    session: u64,
    kept: Vec<u32>,
    failed: Vec<u32>,
}

impl Told {
    fn hear(&mut self, line: &str) {
        // The harness of the child writes the test's name, without a line end, before ours.
        let mut words = line.split_whitespace().rev();
        let (Some(number), Some(what)) = (words.next(), words.next()) else { return };
        let Ok(number) = number.parse::<u64>() else { return };
        match what {
            "S" => self.session = number,
            "A" => self.kept.push(number as u32),
            "F" => self.failed.push(number as u32),
            _ => {}
        }
    }
}

fn random(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

fn check_kill(durability: &str, rounds: u32) {
    let given = std::env::var("SEED").ok().and_then(|seed| seed.parse::<u64>().ok());
    let clock = std::time::UNIX_EPOCH.elapsed().map_or(1, |since| since.as_nanos() as u64);
    let mut seed = given.unwrap_or(clock | 1);
    println!("SEED={seed}");
    let directory = tempfile::tempdir().expect("a directory");
    for round in 0..rounds {
        let task = format!("{durability} kill {}", directory.path().display());
        let mut child = spawn_child(&task, "");
        let mut lines = BufReader::new(child.stdout.take().expect("its output"));
        let mut told = Told::default();
        let acknowledged = random(&mut seed) % 60;
        let mut line = String::new();
        while told.session == 0 || (told.kept.len() as u64) < acknowledged {
            line.clear();
            assert_ne!(lines.read_line(&mut line).expect("readable"), 0, "the child died early");
            told.hear(&line);
        }
        (0..random(&mut seed) % 100_000).for_each(|_| std::hint::spin_loop());
        child.kill().expect("killed");
        child.wait().expect("ended");
        loop {
            line.clear();
            // Killed in the middle of a line: nobody was told of that one.
            if lines.read_line(&mut line).expect("readable") == 0 || !line.ends_with('\n') {
                break;
            }
            told.hear(&line);
        }
        open(directory.path(), Durability::Written).close(NOW_US).expect("closes");
        assert_eq!(verify(directory.path()).expect("whole").ending, Ending::Stopped);
        let found = sequences(directory.path(), told.session);
        let last = told.kept.last().copied().unwrap_or(0);
        let missing: Vec<_> = (1..=last).filter(|sequence| !found.contains(sequence)).collect();
        assert!(missing.is_empty(), "round {round}: acknowledged and lost: {missing:?}");
    }
}

#[test]
fn killed_when_written_nothing_acknowledged_is_lost() {
    check_kill("written", 20);
}

#[test]
fn killed_when_synced_nothing_acknowledged_is_lost() {
    check_kill("synced", 20);
}

fn check_full(durability: &str, blocks: u32) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("audit");
    // No file may grow beyond the limit: the write that would is refused or cut short.
    let limit = format!("trap '' XFSZ; ulimit -f {blocks};");
    let child = spawn_child(&format!("{durability} full {}", path.display()), &limit);
    let output = child.wait_with_output().expect("ended");
    let mut told = Told::default();
    String::from_utf8_lossy(&output.stdout).lines().for_each(|line| told.hear(line));
    assert!(output.status.success(), "{durability}: {}", output.status);
    assert!(told.kept.len() > 20, "{}", told.kept.len());
    let found = sequences(&path, told.session);
    for last in told.kept {
        assert!((last - 9..=last).all(|each| found.contains(&each)), "{durability}: {last} lost");
    }
    assert!(durability == "queued" || !told.failed.is_empty());
    for last in told.failed {
        assert!((last - 9..=last).all(|each| !found.contains(&each)), "{durability}: {last} kept");
    }
    let verified = verify(&path).expect("whole");
    assert_eq!(verified.ending, Ending::Stopped);
    assert!(verified.segments >= 3);
}

#[test]
fn a_full_disk_keeps_what_it_said_and_nothing_else() {
    check_full("written", 64);
    check_full("synced", 64);
    check_full("queued", 4096);
}

#[test]
fn an_unwritable_place_is_an_error_and_no_panic() {
    let opened = Journal::open(Path::new("/proc/audit"), options(Durability::Written), NOW_US);
    assert!(matches!(opened, Err(OpenFault::Io { .. })));
    let empty = tempfile::tempdir().expect("a directory");
    assert!(matches!(verify(empty.path()), Err(ReadFault::Empty { .. })));
}

#[test]
fn at_the_disk_budget_only_what_is_judged_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut options = options(Durability::Written);
    options.disk_octets_max = Some(4096);
    let (journal, _) = Journal::open(directory.path(), options, NOW_US).expect("opens");
    let mut kept = 0;
    let refused = loop {
        match journal.append(&mut one(1, kept + 1)) {
            Ok(ticket) => journal.wait(ticket).expect("kept"),
            Err(refused) => break refused,
        }
        kept += 1;
    };
    assert!(kept > 10, "{kept}");
    assert_eq!(refused, Unavailable::Budget { octets_max: 4096 });
    assert_eq!(journal.state(), State::Unavailable(refused));
    let mut bound = Records::new();
    bound.bind(NOW_US, &bind(2, "示例商城"));
    assert!(journal.append(&mut bound).is_err(), "a bind is refused as well");
    let used = journal.disk_use();
    assert_eq!(journal.count_disk().expect("counted"), used, "what is written is counted exactly");
    // What has happened already is recorded all the same.
    append(&journal, |records| records.response(NOW_US, &response(1, 1, b"a")));
    append(&journal, |records| records.unanswered(NOW_US, &unanswered(1, 2)));
    assert!(journal.disk_use().octets > used.octets);
    journal.close(NOW_US).expect("closes");
    assert_eq!(sequences(directory.path(), 1).len() as u32, kept);
    assert_eq!(verify(directory.path()).expect("whole").ending, Ending::Stopped);
}

#[test]
fn ids_in_vendor_parameters_are_read_back_and_without_them_a_record_is_as_before() {
    let long = [b'7'; REFERENCE_OCTETS_MAX + 1];
    let cut = &long[..REFERENCE_OCTETS_MAX];
    let none: &[u8] = b"";
    let octets = |record: &VerdictRecord<'_>| {
        let mut records = Records::new();
        records.verdict(1, record);
        records.octets().to_vec()
    };
    let plain = verdict(1, 2);
    assert_eq!(octets(&plain).len(), 16 + 37 + 2 * 3 + 12 + 13, "as long as it ever was");
    for (given, kept, length) in [
        ([b"1401" as &[u8], b"1407", none], [b"1401" as &[u8], b"1407", none], 11),
        ([none, none, b"consent-9"], [none, none, b"consent-9"], 12),
        ([&long, none, none], [cut, none, none], 3 + REFERENCE_OCTETS_MAX),
        ([none; 3], [none; 3], 0),
    ] {
        let references =
            |[entity, template, consent]: [_; 3]| References { entity, template, consent };
        let record = VerdictRecord { references: references(given), ..plain.clone() };
        let octets_of = octets(&record);
        assert_eq!(octets_of.len(), octets(&plain).len() + length);
        let read = Record::decode(octets_of[2], octets_of[3], &octets_of[16..]);
        let expected = VerdictRecord { references: references(kept), ..plain.clone() };
        assert_eq!(read, Record::Verdict(expected));
    }
}

#[test]
fn a_reader_begins_at_any_record() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit");
    small(&path);
    let from = |mut reader: Reader| {
        let mut found = Vec::new();
        while let Some(entry) = reader.next().expect("the journal is whole") {
            found.push((
                entry.number,
                entry.segment.to_owned(),
                entry.octet,
                entry.octets.to_vec(),
            ));
        }
        found
    };
    let all = from(Reader::open(&path).expect("the journal is there"));
    for (at, (number, ..)) in all.iter().enumerate() {
        let reader = Reader::open_at(&path, *number, "").expect("the journal is there");
        assert_eq!(from(reader), all[at..], "record {number}");
    }
    let behind = all.last().expect("records").0 + 1;
    assert!(from(Reader::open_at(&path, behind, "").expect("the journal is there")).is_empty());
    // What is gone is not waited for: it begins with the first record there is.
    let segments = segment_files(&path);
    std::fs::remove_file(&segments[0]).expect("a segment");
    let found = from(Reader::open_at(&path, 1, "").expect("the journal is there"));
    assert_eq!(Some(found[0].1.clone()), segments.get(1).map(|path| name(path)));
    let reader = Reader::open_at(&path, behind - 1, "cn-draft-2014").expect("the journal is there");
    let mut last = reader;
    assert_eq!(last.next().expect("whole").expect("a record").rule_set(), "cn-draft-2014");
}
