//! What is encrypted in the journal: who can read it, and that nobody else can.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::records::VERDICT;
use consentry::audit::keys::{AuditorKey, NumbersKey};
use consentry::audit::sealed::{DestroyFault, Order, Purpose, disclosed, written_under};
use consentry::audit::{
    Address, CONTENT_OCTETS_MAX, ContentRecord, Durability, Gone, Journal, KeyRing, Options, Query,
    ReadFault, Reader, ReceiptRecord, Record, Records, ReplyRecord, ResponseRecord, Sealing,
    UnsuccessRecord, VerdictRecord, search, show, verify,
};

/// 2026-11-26T00:00:00Z.
const NOW_US: u64 = 1_795_651_200_000_000;
const MONTH_US: u64 = 31 * 86_400_000_000;
const CODE: &[u8] = b"106900001234";
const WORDS: &[u8] = "退订 please".as_bytes();

/// Records with numbers that [`Place::fill`] writes a segment.
const EACH: usize = 43;

/// A journal and its keys in a folder.
struct Place {
    folder: tempfile::TempDir,
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

    fn auditor(&self, name: &str) -> AuditorKey {
        let file = self.folder.path().join(name);
        AuditorKey::read(&file).or_else(|_| AuditorKey::make(&file)).expect("a pair")
    }

    fn ring(&self) -> Arc<KeyRing> {
        Arc::new(KeyRing::open(&self.keys()).expect("the keys are whole"))
    }

    fn open(&self, now_us: u64, sealed: bool) -> Journal {
        let mut options = Options::new(Durability::Written);
        options.sealing = sealed.then(|| Sealing {
            keys: self.keys(),
            auditors: vec![*self.auditor("auditor.key").auditor()],
            content: true,
        });
        Journal::open(&self.journal(), options, now_us).expect("the journal opens").0
    }

    /// Writes messages to 40 recipients, a reply and a response, in as many segments as asked for.
    fn fill(&self, now_us: u64, sealed: bool, segments: u32) {
        let journal = self.open(now_us, sealed);
        for segment in 0..segments {
            let mut records = Records::new();
            for n in 0..40 {
                records.verdict(now_us, &verdict(n + 40 * segment, &recipient(n)));
            }
            records.reply(now_us, &reply(&recipient(7)));
            if sealed {
                records.content(now_us, &content(&said(segment)));
            }
            records.receipt(now_us, &receipt(&recipient(8)));
            let destination = Address { ton: 1, npi: 1, raw: &recipient(9) };
            let unsuccess =
                UnsuccessRecord { session: 1, sequence_number: 2, status: 8, destination };
            records.unsuccess(now_us, &unsuccess);
            let response = ResponseRecord {
                session: 1,
                command_id: 0x8000_0004,
                sequence_number: 1,
                status: 0,
                latency_us: 1,
                flags: 0,
                message_id: b"m1",
            };
            records.response(now_us, &response);
            let ticket = journal.append(&mut records).expect("taken");
            journal.wait(ticket).expect("kept");
            journal.rotate();
        }
        journal.close(now_us).expect("closes");
    }

    fn read(&self, ring: Option<Arc<KeyRing>>) -> Read {
        let mut reader = Reader::open(&self.journal()).expect("a journal");
        if let Some(ring) = ring {
            reader = reader.with_keys(ring);
        }
        let mut read = Read::default();
        while let Some(entry) = reader.next().expect("whole") {
            let numbers = match entry.record() {
                Record::Content(record) => {
                    read.content.push(match entry.gone() {
                        Some(gone) => {
                            assert!(record.octets.is_empty(), "what cannot be read is not shown");
                            Err(gone.clone())
                        }
                        None => Ok(record.octets.to_vec()),
                    });
                    continue;
                }
                Record::Verdict(record) => [record.source.raw, record.destination.raw].concat(),
                Record::Reply(record) => {
                    [record.source.raw, record.destination.raw, record.text].concat()
                }
                Record::Receipt(record) => [record.source.raw, record.destination.raw].concat(),
                Record::Unsuccess(record) => record.destination.raw.to_vec(),
                _ => continue,
            };
            match entry.gone() {
                Some(gone) => {
                    assert!(numbers.is_empty(), "what cannot be read is not shown");
                    read.gone.push(gone.clone());
                }
                None => read.numbers.push(numbers),
            }
        }
        read
    }

    fn sidecars(&self, purpose: Purpose) -> Vec<PathBuf> {
        let named = |path: &PathBuf| {
            purpose.first(path.file_name().expect("a name").to_str().expect("text")).is_some()
        };
        let mut found: Vec<_> = files(&self.journal()).into_iter().filter(named).collect();
        found.sort();
        found
    }
}

#[derive(Default)]
struct Read {
    numbers: Vec<Vec<u8>>,
    gone: Vec<Gone>,
    content: Vec<Result<Vec<u8>, Gone>>,
}

fn said(segment: u32) -> Vec<u8> {
    format!("a secret said in segment {segment}").into_bytes()
}

fn content(octets: &[u8]) -> ContentRecord<'_> {
    ContentRecord {
        session: 1,
        command_id: 4,
        sequence_number: 39,
        esm_class: 0,
        data_coding: 3,
        flags: 0,
        octets,
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

fn recipient(n: u32) -> Vec<u8> {
    format!("86138001380{n:02}").into_bytes()
}

fn verdict(sequence_number: u32, destination: &[u8]) -> VerdictRecord<'_> {
    VerdictRecord {
        session: 1,
        sequence_number,
        source: Address { ton: 0, npi: 1, raw: CODE },
        destination: Address { ton: 1, npi: 1, raw: destination },
        class: 3,
        ..VERDICT
    }
}

fn reply(source: &[u8]) -> ReplyRecord<'_> {
    ReplyRecord {
        session: 1,
        command_id: 5,
        sequence_number: 9,
        reply: ReplyRecord::OPT_OUT,
        source: Address { ton: 1, npi: 1, raw: source },
        destination: Address { ton: 0, npi: 1, raw: CODE },
        data_coding: 8,
        text: WORDS,
    }
}

fn receipt(source: &[u8]) -> ReceiptRecord<'_> {
    ReceiptRecord {
        session: 1,
        command_id: 5,
        sequence_number: 10,
        esm_class: 4,
        state: 2,
        flags: ReceiptRecord::BY_TEXT,
        network_error: [0; 3],
        submitted: [26, 11, 26, 8, 0, 0],
        done: [26, 11, 26, 8, 1, 0],
        source: Address { ton: 1, npi: 1, raw: source },
        destination: Address { ton: 0, npi: 1, raw: CODE },
        message_id: b"m1",
        text_id: b"",
        stat: b"DELIVRD",
        error: b"000",
    }
}

/// What [`Place::fill`] writes in so many segments, in order.
fn expected(segments: usize) -> Vec<Vec<u8>> {
    let mut expected: Vec<_> = (0..40).map(|n| [CODE, &recipient(n)].concat()).collect();
    expected.push([&recipient(7), CODE, WORDS].concat());
    expected.push([&recipient(8), CODE].concat());
    expected.push(recipient(9));
    std::iter::repeat_n(expected, segments).flatten().collect()
}

#[test]
fn numbers_are_read_with_the_keys_and_stand_in_no_file() {
    let place = Place::new();
    place.fill(NOW_US, true, 3);
    let read = place.read(Some(place.ring()));
    assert_eq!(read.numbers, expected(3));
    assert_eq!(place.sidecars(Purpose::Numbers).len(), 3);
    let mut looked_at = 0;
    for file in files(&place.journal()).into_iter().chain(files(&place.keys())) {
        let octets = std::fs::read(&file).expect("a file");
        for secret in
            [b"86138001380" as &[u8], b"13800138", CODE, WORDS, b"please", b"a secret said"]
        {
            let stands = octets.windows(secret.len()).any(|window| window == secret);
            assert!(!stands, "{} holds {}", file.display(), secret.escape_ascii());
        }
        looked_at += 1;
    }
    assert_eq!(looked_at, 3 + 3 + 3 + 1);
    let verified = verify(&place.journal()).expect("whole without any key");
    assert_eq!((verified.sidecars.whole, verified.sidecars.missing), (6, 0));
}

#[test]
fn the_same_number_is_covered_otherwise_in_each_record() {
    let place = Place::new();
    place.fill(NOW_US, true, 2);
    let mut reader = Reader::open(&place.journal()).expect("a journal");
    let mut seen = std::collections::BTreeSet::new();
    let mut records = 0;
    while let Some(entry) = reader.next().expect("whole") {
        if entry.kind() == 6 {
            // TON, NPI and length before it stay; then the source.
            assert_eq!(entry.octets[53..56], [0, 1, CODE.len() as u8]);
            seen.insert(entry.octets[56..56 + CODE.len()].to_vec());
            records += 1;
        }
    }
    assert_eq!((seen.len(), records), (80, 80));
}

#[test]
fn a_journal_from_before_goes_on_and_all_of_it_is_read() {
    let place = Place::new();
    place.fill(NOW_US, false, 1);
    assert_eq!(place.read(None).numbers, expected(1));
    place.fill(NOW_US + 1, true, 1);
    let read = place.read(Some(place.ring()));
    assert_eq!(read.numbers, expected(2));
    assert_eq!(place.read(None).gone.len(), expected(1).len(), "the later part is encrypted");
    verify(&place.journal()).expect("whole");
}

#[test]
fn when_keys_are_gone_it_is_said_why_and_the_chain_verifies() {
    let check = |what: &str, spoil: &dyn Fn(&Place) -> Option<Arc<KeyRing>>, expected: &str| {
        let place = Place::new();
        place.fill(NOW_US, true, 1);
        let ring = spoil(&place);
        let read = place.read(ring.clone());
        assert_eq!((read.numbers.len(), read.gone.len()), (0, EACH), "{what}");
        let says = read.gone[0].to_string();
        assert!(says.contains(expected), "{what}: {says}");
        verify(&place.journal()).unwrap_or_else(|fault| panic!("{what}: {fault}"));
        let number = |_: &[u8], destination: &[u8]| destination == recipient(3);
        let query = Query { number: Some(&number), keys: ring.as_ref(), ..Query::default() };
        let searched = search(&place.journal(), &query, &mut |_| ControlFlow::Continue(()));
        let searched = searched.expect("readable");
        assert_eq!((searched.found, searched.unreadable), (0, EACH as u64), "{what}");
    };
    let first = |place: &Place| place.sidecars(Purpose::Numbers).remove(0);
    check("no keys given", &|_| None, "no keys were given");
    check(
        "the sidecar is destroyed",
        &|place| {
            std::fs::remove_file(first(place)).expect("removed");
            Some(place.ring())
        },
        "journal-00000000000000000001.numbers is not there",
    );
    check(
        "the numbers key is destroyed",
        &|place| {
            std::fs::remove_file(NumbersKey::file(&place.keys(), "2026-11")).expect("removed");
            Some(place.ring())
        },
        "numbers-2026-11.key is not there",
    );
    check(
        "another auditor",
        &|place| {
            let key = place.auditor("other.key");
            Some(Arc::new(KeyRing::default().with_auditor(key)))
        },
        "not written for the auditor",
    );
}

#[test]
fn a_sidecar_that_was_changed_is_found_by_verify_and_opens_nothing() {
    let place = Place::new();
    place.fill(NOW_US, true, 1);
    let file = place.sidecars(Purpose::Numbers).remove(0);
    let whole = std::fs::read(&file).expect("a sidecar");
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0x20;
        std::fs::write(&file, &changed).expect("written");
        let Err(ReadFault::Broken(fault)) = verify(&place.journal()) else {
            panic!("octet {at} was not found")
        };
        assert_eq!((fault.record, fault.octet), (1, 128));
        let read = place.read(Some(place.ring()));
        assert!(read.numbers.is_empty() && read.gone.len() == EACH, "octet {at}");
    }
    for length in 0..whole.len() {
        std::fs::write(&file, &whole[..length]).expect("written");
        assert!(verify(&place.journal()).is_err(), "{length} octets were not found");
    }
    std::fs::write(&file, &whole).expect("written");
    verify(&place.journal()).expect("whole again");
}

#[test]
fn a_sidecar_opens_no_other_segment() {
    let place = Place::new();
    place.fill(NOW_US, true, 2);
    let files = place.sidecars(Purpose::Numbers);
    std::fs::copy(&files[0], &files[1]).expect("copied");
    let read = place.read(Some(place.ring()));
    assert_eq!((read.numbers.len(), read.gone.len()), (EACH, EACH));
}

#[test]
fn an_auditor_reads_what_the_node_no_longer_can() {
    let place = Place::new();
    place.fill(NOW_US, true, 2);
    std::fs::remove_dir_all(place.keys()).expect("removed");
    let ring = KeyRing::open(&place.keys()).expect("no keys are no fault");
    let ring = Arc::new(ring.with_auditor(place.auditor("auditor.key")));
    assert_eq!(place.read(Some(ring)).numbers, expected(2));
}

#[test]
fn each_month_has_its_key_and_the_earlier_ones_open_what_was_written() {
    let place = Place::new();
    for month in 0..3 {
        place.fill(NOW_US + month * MONTH_US, true, 1);
    }
    assert_eq!(NumbersKey::list(&place.keys()).expect("a list"), ["2026-11", "2026-12", "2027-01"]);
    assert_eq!(place.read(Some(place.ring())).numbers, expected(3));
    std::fs::remove_file(NumbersKey::file(&place.keys(), "2026-12")).expect("removed");
    let read = place.read(Some(place.ring()));
    assert_eq!(read.numbers, expected(2));
    assert_eq!(read.gone, vec![Gone::NumbersKey { name: "2026-12".to_owned() }; EACH]);
}

#[test]
fn one_record_is_disclosed_by_its_key_and_no_other() {
    let place = Place::new();
    place.fill(NOW_US, true, 1);
    let key = place.ring().record_key(&place.journal(), Purpose::Numbers, 1, 4).expect("a key");
    let mut reader = Reader::open(&place.journal()).expect("a journal");
    let mut shown = 0;
    while let Some(entry) = reader.next().expect("whole") {
        let Some(octets) = disclosed(entry.octets, entry.number, &key) else { continue };
        let Record::Verdict(record) = Record::decode(octets[2], octets[3], &octets[16..]) else {
            continue;
        };
        let is_it = entry.number == 4;
        assert_eq!(record.source.raw == CODE, is_it, "record {}", entry.number);
        shown += u32::from(is_it);
    }
    assert_eq!(shown, 1);
}

#[test]
fn the_keys_of_a_segment_are_its_first_record() {
    let place = Place::new();
    place.fill(NOW_US, true, 1);
    let kept = show(&place.journal(), 1, &place.ring()).expect("readable").expect("there");
    let Record::Keys(record) = kept.record() else { panic!("{kept:?}") };
    assert_eq!((record.key, record.first, record.through), ("2026-11", 1, 0));
    assert!(record.content != [0; 32] && record.numbers != record.content);
}

#[test]
fn only_an_auditor_reads_content() {
    let place = Place::new();
    place.fill(NOW_US, true, 2);
    let with = |name: &str| {
        let ring = KeyRing::open(&place.keys()).expect("the keys are whole");
        Some(Arc::new(ring.with_auditor(place.auditor(name))))
    };
    assert_eq!(place.read(with("auditor.key")).content, [Ok(said(0)), Ok(said(1))]);
    let name = place.auditor("other.key").auditor().name();
    assert_eq!(place.read(with("other.key")).content, vec![Err(Gone::OtherAuditor { name }); 2]);
    assert_eq!(place.read(Some(place.ring())).content, vec![Err(Gone::AuditorKey); 2]);
    assert_eq!(place.read(None).content, vec![Err(Gone::NoKeys); 2]);
    // The file that has it, with another segment's key in it.
    let files = place.sidecars(Purpose::Content);
    std::fs::copy(&files[1], &files[0]).expect("copied");
    let read = place.read(with("auditor.key"));
    assert!(matches!(&read.content[..], [Err(Gone::Unreadable { .. }), Ok(_)]));
}

#[test]
fn content_is_bound_to_its_record_and_its_key() {
    let place = Place::new();
    place.fill(NOW_US, true, 1);
    let auditor = place.auditor("auditor.key");
    let ring = KeyRing::default().with_auditor(auditor);
    let mut reader = Reader::open(&place.journal()).expect("a journal");
    let mut looked_at = 0;
    while let Some(entry) = reader.next().expect("whole") {
        if !matches!(entry.record(), Record::Content(_)) {
            continue;
        }
        let key = |number| {
            let key = ring.record_key(&place.journal(), Purpose::Content, 1, number);
            key.expect("the auditor's")
        };
        let (number, octets) = (entry.number, entry.octets);
        let clear = disclosed(octets, number, &key(number)).expect("its own key");
        let Record::Content(record) = Record::decode(clear[2], clear[3], &clear[16..]) else {
            panic!("content")
        };
        assert_eq!(record.octets, said(0));
        assert_eq!(disclosed(octets, number, &key(number + 1)), None);
        assert_eq!(disclosed(octets, number + 1, &key(number)), None, "another number");
        for at in 16..octets.len() {
            let mut changed = octets.to_vec();
            changed[at] ^= 1;
            assert_eq!(disclosed(&changed, number, &key(number)), None, "octet {at}");
        }
        looked_at += 1;
    }
    assert_eq!(looked_at, 1);
}

#[test]
fn the_longest_content_is_whole_and_a_longer_one_cut() {
    for (length, is_cut) in [(CONTENT_OCTETS_MAX, false), (CONTENT_OCTETS_MAX + 1, true)] {
        let octets = vec![b'x'; length];
        let mut records = Records::new();
        records.content(NOW_US, &content(&octets));
        let (_, Record::Content(record)) = records.iter().next().expect("a record") else {
            panic!("content")
        };
        assert_eq!(record.octets.len(), CONTENT_OCTETS_MAX);
        assert_eq!(record.flags & ContentRecord::CUT != 0, is_cut);
    }
}

#[test]
fn content_without_a_key_for_it_is_not_written() {
    let place = Place::new();
    let mut options = Options::new(Durability::Written);
    let auditors = Vec::new();
    options.sealing = Some(Sealing { keys: place.keys(), auditors, content: false });
    let (journal, _) = Journal::open(&place.journal(), options, NOW_US).expect("opens");
    let mut records = Records::new();
    records.content(NOW_US, &content(b"a secret said"));
    let kept = journal.append(&mut records).and_then(|ticket| journal.wait(ticket));
    assert!(kept.is_err());
}

#[test]
fn a_destruction_that_was_broken_off_is_finished_and_the_chain_verifies_meanwhile() {
    let place = Place::new();
    place.fill(NOW_US, true, 3);
    place.fill(NOW_US + MONTH_US, true, 1);
    let (directory, keys) = (place.journal(), place.keys());
    let segments = written_under(&directory, "2026-11").expect("a list");
    assert_eq!(segments.len(), 3);
    let index = |first: u64| directory.join(format!("journal-{first:020}.idx"));
    segments.iter().for_each(|first| std::fs::write(index(*first), b"tokens").expect("written"));
    let of = |purpose: Purpose, first: u64| directory.join(purpose.name(first));
    let zero = |file: &Path| {
        let octets = std::fs::metadata(file).expect("there").len() as usize;
        std::fs::write(file, vec![0; octets]).expect("overwritten");
    };
    // The first is done but for its index and the last of its files, of the second only the content is
    // overwritten, and the key itself, which comes last, is too.
    std::fs::remove_file(of(Purpose::Content, segments[0])).expect("removed");
    zero(&of(Purpose::Numbers, segments[0]));
    zero(&of(Purpose::Content, segments[1]));
    zero(&NumbersKey::file(&keys, "2026-11"));
    assert_eq!(verify(&directory).expect("the chain holds").sidecars.missing, 3);
    let read = place.read(Some(Arc::new(KeyRing::open(&keys).expect("the rest can be read"))));
    assert_eq!((read.gone.len(), read.numbers.len()), (3 * EACH, EACH));

    let now_us = NOW_US + MONTH_US + 1;
    let order = Order { key: "2026-11".to_owned(), content_only: false, reason: "r".to_owned() };
    let journal = place.open(now_us, true);
    order.carry_out(&journal, &directory, &keys, now_us).expect("carried out");
    journal.close(now_us).expect("closes");
    for first in segments {
        for file in [index(first), of(Purpose::Numbers, first), of(Purpose::Content, first)] {
            assert!(!file.exists(), "{}", file.display());
        }
    }
    assert!(!NumbersKey::file(&keys, "2026-11").exists());
    assert_eq!(verify(&directory).expect("the chain holds").sidecars.missing, 6);
}

#[test]
fn keys_are_destroyed_as_ordered_and_that_is_on_record() {
    for content_only in [true, false] {
        let place = Place::new();
        place.fill(NOW_US, true, 2);
        place.fill(NOW_US + MONTH_US, true, 1);
        let order = |key: &str| Order {
            key: key.to_owned(),
            content_only,
            reason: "the term is over".to_owned(),
        };
        let now_us = NOW_US + MONTH_US + 1;
        let (directory, keys) = (place.journal(), place.keys());
        let journal = place.open(now_us, true);
        let in_use = order("2026-12").carry_out(&journal, &directory, &keys, now_us);
        assert!(matches!(in_use, Err(DestroyFault::InUse { .. })));
        order("2026-11").put(&keys).expect("ordered");
        assert_eq!(Order::waiting(&keys).expect("orders"), [order("2026-11")]);
        let segments = written_under(&directory, "2026-11").expect("a list");
        let done = order("2026-11").carry_out(&journal, &directory, &keys, now_us);
        let done = done.expect("carried out");
        assert_eq!((done.segments, done.first), (2, 1));
        assert!(Order::waiting(&keys).expect("orders").is_empty());
        // Again: nothing is left, and it is no fault.
        order("2026-11").carry_out(&journal, &directory, &keys, now_us).expect("done already");
        journal.close(now_us).expect("closes");

        let ring = KeyRing::open(&keys).expect("keys").with_auditor(place.auditor("auditor.key"));
        let read = place.read(Some(Arc::new(ring)));
        let missing = read.content.iter().filter(|said| said.is_err()).count();
        assert_eq!((missing, read.content.len()), (2, 3));
        assert_eq!(read.gone.len(), if content_only { 0 } else { 2 * EACH });
        let verified = verify(&directory).expect("the chain holds");
        assert_eq!(verified.sidecars.missing, if content_only { 2 } else { 4 });
        let mut reader = Reader::open(&directory).expect("a journal");
        let mut on_record = Vec::new();
        while let Some(entry) = reader.next().expect("whole") {
            if let Record::Keys(record) = entry.record()
                && record.event() != "begun"
            {
                let about = (record.first, record.through);
                on_record.push((record.event(), record.key.to_owned(), about));
                assert_eq!(record.reason, "the term is over");
            }
        }
        let event = if content_only { "content destroyed" } else { "destroyed" };
        let about = (segments[0], done.through);
        assert_eq!(on_record[0], (event, "2026-11".to_owned(), about));
    }
}
