//! Records go when the calendar says so, not before and not unrecorded. Every time is given: nothing
//! here reads a clock.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::records::VERDICT;
use consentry::archive::bundle::{Export, Format, check, export};
use consentry::audit::index::Indexed;
use consentry::audit::keys::{IndexKey, PublicKey, SigningKey};
use consentry::audit::proof::{Checkpoint, NotaryOptions, Prover, Signed};
use consentry::audit::retention::{Gone, Hold, Plan, Retention, RetentionFault, Term, Turn, plan};
use consentry::audit::{
    Address, Against, Durability, Found, Journal, KeyRing, OpenFault, Options, PASS, Query,
    ReadFault, Reader, Record, Records, ReplyRecord, Sealing, VerdictRecord, Verified, search,
    show, verify_against, verify_each,
};
use jiff::Timestamp;
use jiff::tz::TimeZone;

fn at(time: &str) -> u64 {
    time.parse::<Timestamp>().expect("a time").as_microsecond() as u64
}

fn term() -> Term {
    Term::new(6, TimeZone::get("Asia/Shanghai").expect("a zone"))
}

/// A journal and its keys, and whose turn it is to change what is kept.
struct Place(tempfile::TempDir, Turn);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().expect("a directory"), Turn::default())
    }

    fn journal(&self) -> PathBuf {
        self.0.path().join("audit")
    }

    fn try_open(&self, now_us: u64, signs: bool) -> Result<Journal, OpenFault> {
        let mut options = Options::new(Durability::Written);
        let keys = self.0.path().join("keys");
        let key = SigningKey::open_or_create(&keys).expect("a key");
        options.sealing = Some(Sealing { keys, auditors: Vec::new(), content: false });
        options.notary = signs.then(|| NotaryOptions {
            key,
            records: 1,
            every: Duration::from_secs(3600),
            now_us: Box::new(move || now_us),
            on_fault: Box::new(|why| eprintln!("the notary: {why}")),
        });
        Journal::open(&self.journal(), options, now_us).map(|(journal, _)| journal)
    }

    fn open(&self, time: &str) -> Journal {
        self.try_open(at(time), true).expect("the journal opens")
    }

    /// One segment: two messages, a word that gives consent and one that ends it.
    fn record(&self, time: &str) {
        self.record_signed(time, true);
    }

    /// The same; without `signs`, it is signed by the next opening, in that one's segment.
    fn record_signed(&self, time: &str, signs: bool) {
        let journal = self.try_open(at(time), signs).expect("the journal opens");
        let mut records = Records::new();
        for number in 1..3 {
            records.verdict(at(time) + u64::from(number), &verdict(number));
        }
        records.reply(at(time) + 3, &reply(ReplyRecord::OPT_IN));
        records.reply(at(time) + 4, &reply(ReplyRecord::OPT_OUT));
        let ticket = journal.append(&mut records).expect("taken");
        journal.wait(ticket).expect("kept");
        journal.close(at(time) + 5).expect("closed");
    }

    /// Purges at this time; consent that was given has not ended, consent that was ended has.
    fn purge(&self, time: &str) -> Result<Vec<Gone>, RetentionFault> {
        self.purge_with(time, |record, time_us| match record {
            Record::Reply(reply) if reply.reply == ReplyRecord::OPT_OUT => Some(time_us),
            _ => None,
        })
    }

    fn purge_with(
        &self,
        time: &str,
        ended: impl Fn(&Record<'_>, u64) -> Option<u64>,
    ) -> Result<Vec<Gone>, RetentionFault> {
        let journal = self.open(time);
        self.wait_until_signed(time);
        let purged = self.with(&journal, &ended, |retention| retention.purge(at(time), "test"));
        journal.close(at(time) + 1).expect("closed");
        purged
    }

    /// The notary signs what an opening before left; 20 seconds at most.
    fn wait_until_signed(&self, time: &str) {
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        let mut prover = Prover::new(&self.journal());
        for due in self.plan(time).segments {
            while prover.prove(due.first).is_err() {
                assert!(std::time::Instant::now() < deadline, "not signed within 20 seconds");
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }

    fn with<T>(
        &self,
        journal: &Journal,
        ended: &dyn Fn(&Record<'_>, u64) -> Option<u64>,
        act: impl FnOnce(&Retention<'_>) -> T,
    ) -> T {
        let (directory, term) = (self.journal(), term());
        let derived = |_| Ok(());
        let (directory, term, derived) = (&directory, &term, &derived);
        let keys = &Arc::new(KeyRing::open(&self.0.path().join("keys")).expect("keys"));
        let (turn, needed_from) = (&self.1, None);
        act(&Retention { directory, journal, turn, keys, term, ended, derived, needed_from })
    }

    fn hold(&self, time: &str, from: &str, until: &str) -> u64 {
        let journal = self.open(time);
        let hold = case("法务", from, until);
        let set = self.with(&journal, &|_, _| None, |retention| retention.set_hold(hold, at(time)));
        journal.close(at(time) + 1).expect("closed");
        set.expect("set").id
    }

    fn lift(&self, time: &str, id: u64) -> bool {
        let journal = self.open(time);
        let lifted = self.with(&journal, &|_, _| None, |one| one.lift_hold(id, "法务", at(time)));
        journal.close(at(time) + 1).expect("closed");
        lifted.expect("lifted").is_some()
    }

    fn plan(&self, time: &str) -> Plan {
        plan(&self.journal(), &term(), at(time)).expect("a plan")
    }

    fn verify(&self) -> Result<Verified, ReadFault> {
        let keys = [PublicKey::read(&self.0.path().join("keys/signing.pub")).expect("a key")];
        verify_against(&self.journal(), &Against { keys: &keys, checkpoints: &[] })
    }

    fn broken(&self, what: &str) -> String {
        match self.verify() {
            Err(ReadFault::Broken(fault)) => fault.to_string(),
            other => panic!("{what}: {other:?}"),
        }
    }

    fn copy(&self) -> Place {
        let copy = Place::new();
        for folder in ["audit", "keys"] {
            std::fs::create_dir(copy.0.path().join(folder)).expect("made");
            for file in std::fs::read_dir(self.0.path().join(folder)).expect("listed") {
                let file = file.expect("an entry");
                let to = copy.0.path().join(folder).join(file.file_name());
                std::fs::copy(file.path(), to).expect("copied");
            }
        }
        copy
    }

    fn segments(&self) -> Vec<PathBuf> {
        files(&self.journal(), "seg")
    }
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("listed");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|file| file.extension().is_some_and(|found| found == extension));
    files.sort();
    files
}

fn verdict(sequence_number: u32) -> VerdictRecord<'static> {
    VerdictRecord { session: 1, sequence_number, ..VERDICT }
}

fn reply(reply: u8) -> ReplyRecord<'static> {
    ReplyRecord {
        session: 1,
        command_id: 5,
        sequence_number: 9,
        reply,
        source: Address { ton: 1, npi: 1, raw: b"8613800000000" },
        destination: Address { ton: 0, npi: 1, raw: b"106900001234" },
        data_coding: 8,
        text: b"Y",
    }
}

/// Three segments of three months, and then some quiet openings so that no silence is long.
fn three_months() -> Place {
    let place = Place::new();
    place.record("2026-05-31T10:00:00+08:00");
    place.record("2026-06-15T10:00:00+08:00");
    place.record("2026-07-15T10:00:00+08:00");
    quiet(&place, &["2026-08-10", "2026-09-05", "2026-10-01", "2026-10-25", "2026-11-20"]);
    place
}

fn quiet(place: &Place, days: &[&str]) {
    for day in days {
        let time = format!("{day}T09:00:00+08:00");
        place.open(&time).close(at(&time) + 1).expect("closed");
    }
}

fn numbers(gone: &[Gone]) -> Vec<u64> {
    gone.iter().map(|gone| gone.first).collect()
}

#[test]
fn a_segment_goes_when_its_term_has_passed_and_not_a_moment_before() {
    let place = three_months();
    let firsts: Vec<u64> =
        place.plan("2026-11-20T10:00:00+08:00").segments.iter().map(|due| due.first).collect();
    assert_eq!(place.purge("2026-11-30T23:59:59.999999+08:00").expect("nothing"), []);
    let whole = place.verify().expect("whole");
    let gone = place.purge("2026-12-01T00:00:00+08:00").expect("one");
    assert_eq!(numbers(&gone), firsts[..1]);
    let verified = place.verify().expect("whole across the purge");
    assert_eq!((verified.purged, verified.kept), (1, 1));
    assert!(verified.records > whole.records - 8, "only its own records went");
    assert_eq!(place.purge("2026-12-10T00:00:00+08:00").expect("nothing"), []);
    assert_eq!(numbers(&place.purge("2026-12-16T00:00:00+08:00").expect("one")), firsts[1..2]);
    quiet(&place, &["2027-01-05"]);
    assert_eq!(numbers(&place.purge("2027-01-16T00:00:00+08:00").expect("one")), firsts[2..3]);
    assert_eq!(place.verify().expect("whole").purged, 3);
    // Whoever reads begins with what is there.
    let mut reader = Reader::open(&place.journal()).expect("readable");
    let first = reader.next().expect("readable").expect("a record").number;
    assert_eq!(first, firsts[3]);
}

#[test]
fn what_a_mirror_needs_stays_although_it_is_due() {
    let place = three_months();
    let now = "2026-12-16T00:00:00+08:00";
    let firsts: Vec<u64> = place.plan(now).segments.iter().map(|due| due.first).collect();
    let journal = place.open(now);
    place.wait_until_signed(now);
    let purge = |needed: u64| -> Vec<u64> {
        let purged = place.with(&journal, &|_, _| None, |retention| {
            Retention { needed_from: Some(needed), ..*retention }.purge(at(now), "test")
        });
        numbers(&purged.expect("purged"))
    };
    assert!(purge(1).is_empty());
    assert!(purge(firsts[1] - 1).is_empty(), "the last record of the first one");
    assert_eq!(purge(firsts[1]), firsts[..1]);
    assert_eq!(purge(u64::MAX), firsts[1..2]);
    journal.close(at(now) + 1).expect("closed");
}

/// The checkpoint of all of the first segment.
fn last_signed_of_the_first(place: &Place) -> Signed {
    let mut signed: Vec<Signed> = Vec::new();
    let mut reader = Reader::open(&place.journal()).expect("the journal");
    while let Some(entry) = reader.next().expect("whole") {
        if let Record::Checkpoint(one) = entry.record() {
            signed.push(one);
        }
    }
    signed.retain(|one| one.checkpoint.first == 1);
    signed.into_iter().max_by_key(|one| one.checkpoint.size).expect("of all of it")
}

#[test]
fn what_was_signed_of_a_segment_and_kept_elsewhere_fits_its_purge() {
    let place = three_months();
    let whole = last_signed_of_the_first(&place);
    place.purge("2026-12-01T00:00:00+08:00").expect("one");
    let key = SigningKey::open(&place.0.path().join("keys")).expect("readable").expect("a key");
    let chain = [9; 32];
    let other = Signed::sign(Checkpoint { chain, ..whole.checkpoint.clone() }, &key);
    for (checkpoint, is_right) in [(whole, true), (other, false)] {
        let against = Against { keys: &[key.public()], checkpoints: &[checkpoint] };
        let verified = verify_against(&place.journal(), &against);
        assert_eq!(verified.is_ok(), is_right, "{verified:?}");
        assert!(is_right || verified.is_err_and(|why| why.to_string().contains("written anew")));
    }
}

#[test]
fn the_purge_is_on_record_and_says_what_went() {
    let place = three_months();
    let before = place.segments().remove(0);
    let octets = std::fs::read(&before).expect("read");
    place.purge("2026-12-01T00:00:00+08:00").expect("one");
    assert!(!before.exists() && !octets.is_empty());
    let mut reader = Reader::open(&place.journal()).expect("readable");
    let mut found = Vec::new();
    while let Some(entry) = reader.next().expect("whole") {
        if let Record::Purge(purge) = entry.record() {
            found.push((
                purge.sequence,
                purge.first,
                purge.messages,
                purge.kept,
                purge.by.to_owned(),
            ));
            assert_eq!(purge.newest_us, at("2026-05-31T10:00:00+08:00") + 5);
            assert_eq!(entry.time_us, at("2026-12-01T00:00:00+08:00"));
        }
    }
    assert_eq!(found, [(1, 1, 2, 1, "test".to_owned())]);
}

#[test]
fn what_a_hold_touches_stays_and_the_rest_goes_around_it() {
    let place = three_months();
    let id = place.hold(
        "2026-11-21T09:00:00+08:00",
        "2026-06-01T00:00:00+08:00",
        "2026-07-01T00:00:00+08:00",
    );
    let held: Vec<Vec<u64>> = place
        .plan("2026-11-22T00:00:00+08:00")
        .segments
        .iter()
        .map(|due| due.holds.clone())
        .collect();
    assert_eq!(held[..3], [vec![], vec![id], vec![]]);
    quiet(&place, &["2026-12-15", "2027-01-05"]);
    let gone = place.purge("2027-01-16T00:00:00+08:00").expect("two");
    assert_eq!(gone.len(), 2, "the first and the third");
    let verified = place.verify().expect("whole around the hold");
    assert_eq!(verified.purged, 2);
    assert!(!place.lift("2027-01-17T00:00:00+08:00", id + 1), "there is no such hold");
    assert!(place.lift("2027-01-17T00:00:00+08:00", id));
    assert_eq!(place.purge("2027-01-18T00:00:00+08:00").expect("one").len(), 1);
    assert_eq!(place.verify().expect("whole").purged, 3);
    let mut reader = Reader::open(&place.journal()).expect("readable");
    let mut events = Vec::new();
    while let Some(entry) = reader.next().expect("whole") {
        if let Record::Hold(hold) = entry.record() {
            assert_eq!((hold.id, hold.by, hold.reason), (id, "法务", "案件 2026-7"));
            events.push(hold.event());
        }
    }
    assert_eq!(events, ["set", "lifted"]);
}

#[test]
fn what_signs_a_held_segment_outlives_its_own() {
    let place = Place::new();
    place.record_signed("2026-05-31T10:00:00+08:00", false);
    quiet(&place, &["2026-06-10"]);
    let id = place.hold(
        "2026-06-20T09:00:00+08:00",
        "2026-05-01T00:00:00+08:00",
        "2026-06-01T00:00:00+08:00",
    );
    quiet(
        &place,
        &["2026-07-20", "2026-08-20", "2026-09-20", "2026-10-20", "2026-11-20", "2026-12-15"],
    );
    let gone = place.purge("2026-12-22T00:00:00+08:00").expect("those of June");
    // What signed it, and that it was held.
    assert!(gone.len() == 2 && gone.iter().all(|one| one.kept > 0), "{gone:?}");
    assert_eq!(place.verify().expect("whole around the hold").purged, 2);
    assert!(place.lift("2026-12-23T00:00:00+08:00", id));
    let gone = place.purge("2026-12-24T00:00:00+08:00").expect("the one that was held");
    assert_eq!(gone.iter().map(|one| (one.first, one.kept)).collect::<Vec<_>>(), [(1, 1)]);
    let left = files(&place.journal(), "kept");
    assert_eq!(left.len(), 2, "its yes and the hold; what signed it went after it: {left:?}");
    assert_eq!(place.verify().expect("whole").purged, 3);
}

fn case(by: &str, from: &str, until: &str) -> Hold {
    Hold {
        id: 0,
        from_us: at(from),
        until_us: at(until),
        segments: Vec::new(),
        reason: "案件 2026-7".to_owned(),
        by: by.to_owned(),
        set_us: 0,
    }
}

#[test]
fn a_hold_that_is_set_while_a_purge_is_at_work_keeps_what_is_left() {
    let place = three_months();
    let now = "2026-12-16T09:00:00+08:00";
    let journal = place.open(now);
    place.wait_until_signed(now);
    let asked = std::cell::Cell::new(0);
    // While it looks through the first segment, the second one is held.
    let ended = |_: &Record<'_>, time_us: u64| {
        if asked.replace(asked.get() + 1) == 0 {
            let june = case("法务", "2026-06-01T00:00:00+08:00", "2026-07-01T00:00:00+08:00");
            place.with(&journal, &|_, _| None, |retention| {
                let meanwhile = Retention { turn: &Turn::default(), ..*retention };
                meanwhile.set_hold(june, at(now)).expect("set");
            });
        }
        Some(time_us)
    };
    let gone = place.with(&journal, &ended, |retention| retention.purge(at(now), "test"));
    assert_eq!(numbers(&gone.expect("one")), [1]);
    let held = place.plan(now).segments.remove(0);
    assert_eq!((held.sequence, held.holds), (2, vec![1]));
    journal.close(at(now) + 1).expect("closed");
}

#[test]
fn holds_that_are_set_at_once_are_all_kept() {
    const AT_ONCE: u64 = 8;
    let place = three_months();
    let now = "2026-11-21T09:00:00+08:00";
    let journal = place.open(now);
    let set = |n: u64| {
        let hold = case(&n.to_string(), "2026-06-01T00:00:00Z", "2026-07-01T00:00:00Z");
        place.with(&journal, &|_, _| None, |one| one.set_hold(hold, at(now))).expect("set").id
    };
    let mut ids: Vec<u64> = std::thread::scope(|threads| {
        let set = &set;
        let setting: Vec<_> = (0..AT_ONCE).map(|n| threads.spawn(move || set(n))).collect();
        setting.into_iter().map(|one| one.join().expect("set")).collect()
    });
    ids.sort_unstable();
    assert_eq!(ids, (1..=AT_ONCE).collect::<Vec<_>>(), "no number twice");
    assert_eq!(place.plan(now).holds.len() as u64, AT_ONCE, "none is lost");
    journal.close(at(now) + 1).expect("closed");
}

#[test]
fn consent_outlives_its_segment_with_its_proof() {
    let place = three_months();
    place.purge("2026-12-01T00:00:00+08:00").expect("one");
    let keys = [PublicKey::read(&place.0.path().join("keys/signing.pub")).expect("a key")];
    // Of its records, keys, start, link, two verdicts, the yes, the no, link, stop and what the notary found the
    // time for, the yes is left, and so is the key of its numbers.
    let behind = place.plan("2026-12-01T00:00:00+08:00").segments.remove(0).first;
    let mut prover = Prover::new(&place.journal());
    let kept: Vec<u64> = (1..behind).filter(|number| prover.prove(*number).is_ok()).collect();
    let [yes] = kept[..] else { panic!("{kept:?}") };
    let proof = prover.prove(yes).expect("kept");
    assert_eq!(proof.check(&keys), Ok(()));
    assert!(
        matches!(proof.kept().record(), Record::Reply(reply) if reply.reply == ReplyRecord::OPT_IN)
    );
    let ring = Arc::new(KeyRing::open(&place.0.path().join("keys")).expect("keys"));
    let shown = show(&place.journal(), yes, &ring).expect("readable").expect("there");
    assert_eq!(shown.record(), Record::Reply(reply(ReplyRecord::OPT_IN)));
    assert_eq!(show(&place.journal(), yes - 1, &ring).expect("readable"), None);
    is_found_and_handed_over(&place, &ring, yes);
    let file = files(&place.journal(), "kept").remove(0);
    let sound = std::fs::read_to_string(&file).expect("read");
    std::fs::write(&file, sound.replacen("\"octets\":\"", "\"octets\":\"00", 1)).expect("written");
    let told = place.broken("a kept record that was changed");
    assert!(told.contains(&format!("is kept of record {yes} ")), "{told}");
    std::fs::write(&file, &sound).expect("written");
    // The relation ended: it goes when the term has passed since.
    quiet(&place, &["2026-12-20", "2027-01-15", "2027-02-10"]);
    let ended = at("2026-08-31T10:00:00+08:00");
    place.purge_with("2027-02-28T00:00:00+08:00", |_, _| Some(ended)).expect("purged");
    assert!(file.exists());
    let sidecar = file.with_extension("numbers");
    assert!(sidecar.exists());
    place.purge_with("2027-03-01T00:00:00+08:00", |_, _| Some(ended)).expect("purged");
    assert!(!file.exists() && !sidecar.exists());
    place.verify().expect("whole");
}

/// The yes of a segment that was purged, and the two of segments that are there.
fn is_found_and_handed_over(place: &Place, ring: &Arc<KeyRing>, yes: u64) {
    let (opt_in, any) =
        (reply(ReplyRecord::OPT_IN), Query { keys: Some(ring), ..Query::default() });
    let is_person = |source: &[u8], _: &[u8]| source == opt_in.source.raw;
    let is_nobody = |_: &[u8], _: &[u8]| false;
    let june = Some(at("2026-06-01T00:00:00+08:00"));
    let replies = |query: &Query<'_>| {
        let mut found = Vec::new();
        search(&place.journal(), query, &mut |one| {
            if let Found::Reply { reply, .. } = one
                && matches!(reply.record(), Record::Reply(reply) if reply.reply == ReplyRecord::OPT_IN)
            {
                found.push(reply.number);
            }
            ControlFlow::Continue(())
        })
        .expect("searched");
        found
    };
    let all = replies(&any);
    assert_eq!((all.len(), all[0]), (3, yes), "in the order of the records: {all:?}");
    assert_eq!(replies(&Query { number: Some(&is_person), ..any }), all);
    assert_eq!(replies(&Query { number: Some(&is_person), most: Some(1), ..any }), all);
    assert_eq!(replies(&Query { until_us: june, ..any }), [yes]);
    let later: [Query<'_>; 5] = [
        Query { since_us: june, ..any },
        Query { number: Some(&is_nobody), ..any },
        Query { verdict: Some(PASS), ..any },
        Query { provider: Some("nobody"), ..any },
        Query { number: Some(&is_person), keys: None, ..any },
    ];
    for (case, query) in later.iter().enumerate() {
        assert!(!replies(query).contains(&yes), "case {case}");
    }
    // The segments that are there are passed over by their indexes, which say nothing of this one.
    let key = IndexKey::open_or_create(&place.0.path().join("keys")).expect("a key");
    let canonical = |octets: &[u8]| Some(octets.to_vec());
    let (key, number) = (&key, Some(opt_in.source.raw));
    let indexed = Indexed { key, canonical: &canonical, number };
    let query = Query { number: Some(&is_person), index: Some(&indexed), ..any };
    assert_eq!(replies(&query), all);

    let signing = SigningKey::open(&place.0.path().join("keys")).expect("read").expect("there");
    let query = Query { number: Some(&is_person), until_us: june, ..any };
    let (journal, asked) = (place.journal(), BTreeMap::new());
    let files = [Format::Ndjson, Format::Csv, Format::Parquet].map(|format| {
        let out = place.0.path().join(format!("out-{}", format.name()));
        let wanted = Export {
            journal: &journal,
            keys: ring,
            signing: &signing,
            query: &query,
            asked: &asked,
            format,
            out: &out,
        };
        let exported = export(&wanted).expect("handed over");
        assert_eq!((exported.rows, exported.records), (1, 1));
        let checked = check(&out, &[signing.public()]).expect("whole");
        assert_eq!((checked.rows, checked.records), (1, 1));
        std::fs::read(out.join(format!("records.{}", format.name()))).expect("a table")
    });
    let row = String::from_utf8(files[0].clone()).expect("text");
    let record = format!("\"record\":{yes},");
    assert!(row.contains("\"says\":\"opt-in\"") && row.contains(&record), "{row}");
}

#[test]
fn a_purge_that_was_broken_off_is_finished_or_done_again() {
    let place = three_months();
    let whole = place.copy();
    let segment = place.segments().remove(0);
    let octets = std::fs::read(&segment).expect("read");
    place.purge("2026-12-01T00:00:00+08:00").expect("one");

    // Killed before the segment was removed: it is passed over, and removed at the next opening.
    std::fs::write(&segment, &octets).expect("written");
    assert_eq!(place.verify().expect("whole").purged, 1);
    quiet(&place, &["2026-12-02"]);
    assert!(!segment.exists());
    place.verify().expect("whole");

    // Killed before purged.json: the segment is there, and the purge on record. It is done again.
    std::fs::write(&segment, &octets).expect("written");
    std::fs::remove_file(place.journal().join("purged.json")).expect("removed");
    assert_eq!(place.verify().expect("whole").purged, 0);
    assert_eq!(place.purge("2026-12-03T00:00:00+08:00").expect("one").len(), 1);
    assert_eq!(place.verify().expect("whole").purged, 1);

    // Killed before it was recorded: only what is kept was written.
    let kept = files(&place.journal(), "kept").remove(0);
    std::fs::copy(&kept, whole.journal().join(kept.file_name().expect("a name"))).expect("copied");
    whole.verify().expect("whole");
    assert_eq!(whole.purge("2026-12-01T00:00:00+08:00").expect("one").len(), 1);
    assert_eq!(whole.verify().expect("whole").kept, 1);
}

#[test]
fn a_purge_while_it_is_verified_is_no_fault() {
    let now = "2026-12-01T09:00:00+08:00";
    // The first segment goes when its last record comes by, or the first one behind it.
    for behind in [0, 1] {
        let place = three_months();
        let journal = place.open(now);
        place.wait_until_signed(now);
        let whole = last_signed_of_the_first(&place);
        let until = whole.checkpoint.end() - 1 + behind;
        let keys = [PublicKey::read(&place.0.path().join("keys/signing.pub")).expect("a key")];
        let against = Against { keys: &keys, checkpoints: &[whole] };
        let mut gone = Vec::new();
        let verified = verify_each(&place.journal(), &against, &mut |number, _| {
            if number == until {
                let purged = place.with(&journal, &|_, _| None, |one| one.purge(at(now), "test"));
                gone = numbers(&purged.expect("one"));
            }
        });
        assert_eq!(gone, [1]);
        verified.unwrap_or_else(|fault| panic!("{behind}: {fault}"));
        journal.close(at(now) + 1).expect("closed");
        assert_eq!(place.verify().expect("whole").purged, 1);
    }
}

#[test]
fn a_segment_that_is_missing_without_a_purge_is_found() {
    let place = three_months();
    let opens = |place: &Place| place.try_open(at("2026-12-02T00:00:00+08:00"), true).is_ok();
    let forged = place.copy();
    place.purge("2026-12-01T00:00:00+08:00").expect("one");
    let file = place.journal().join("purged.json");
    let purged = std::fs::read_to_string(&file).expect("read");

    // Somebody removes it and writes the file, but cannot write the record.
    std::fs::remove_file(forged.segments().remove(0)).expect("removed");
    assert!(forged.broken("a segment was removed").contains("missing"));
    assert!(!opens(&forged));
    std::fs::write(forged.journal().join("purged.json"), &purged).expect("written");
    assert!(forged.broken("and a file written").contains("no purge of it is on record"));

    // The file of a purge that was recorded is lost or changed.
    for at in (0..purged.len()).step_by(3) {
        let mut octets = purged.clone().into_bytes();
        octets[at] ^= 1;
        std::fs::write(&file, octets).expect("written");
        let told = place.verify();
        let trusted = purged.find("trusted_us").expect("a key");
        assert!(told.is_err() || at >= trusted, "octet {at}: {told:?}");
    }
    std::fs::remove_file(&file).expect("removed");
    place.broken("the file is lost");
    assert!(!opens(&place));
    std::fs::write(&file, &purged).expect("written");
    place.verify().expect("whole");
    assert!(opens(&place));
}

#[test]
fn a_clock_that_is_not_believed_purges_nothing() {
    let doubts: [(&str, &str); 3] = [
        ("2026-11-20T08:00:00+08:00", "set back"),
        ("2026-12-22T00:00:00+08:00", "set ahead"),
        ("2036-01-01T00:00:00+08:00", "set ahead"),
    ];
    for (now, says) in doubts {
        let place = three_months();
        match place.purge(now) {
            Err(RetentionFault::Doubt(why)) => assert!(why.contains(says), "{now}: {why}"),
            other => panic!("{now}: {other:?}"),
        }
        assert_eq!(place.verify().expect("whole").purged, 0);
        assert!(place.plan(now).doubt.is_some());
    }
    // An operator says that the silence was one.
    let place = three_months();
    let now = "2026-12-22T00:00:00+08:00";
    let journal = place.open(now);
    place.wait_until_signed(now);
    place.with(&journal, &|_, _| None, |retention| {
        retention.trust(at(now)).expect("trusted");
        assert_eq!(retention.purge(at(now), "test").expect("two").len(), 2);
    });
    journal.close(at(now) + 1).expect("closed");
    place.verify().expect("whole");
}

#[test]
fn a_clock_that_was_once_ahead_stops_no_purge_for_ever() {
    let place = three_months();
    // Ahead by three weeks, and set right.
    quiet(&place, &["2026-12-15", "2026-11-25"]);
    let purge = |now: &str, trusts: bool| {
        let journal = place.open(now);
        place.wait_until_signed(now);
        let purged = place.with(&journal, &|_, _| None, |retention| {
            if trusts {
                retention.trust(at(now)).expect("trusted");
            }
            retention.purge(at(now), "test").map(|gone| gone.len()).map_err(|why| why.to_string())
        });
        journal.close(at(now) + 1).expect("closed");
        purged
    };
    let rows: [(&str, bool, Result<usize, &str>); 6] = [
        ("2026-12-01T09:00:00+08:00", false, Err("set back")),
        // What it said then is not past yet.
        ("2026-12-01T10:00:00+08:00", true, Err("from 2026-12-15T01:00:00.000001Z on")),
        ("2026-12-16T09:00:00+08:00", false, Err("consentry audit purge --trust-clock")),
        ("2026-12-16T10:00:00+08:00", true, Ok(2)),
        ("2026-12-17T09:00:00+08:00", false, Ok(0)),
        // Set back once more.
        ("2026-12-14T09:00:00+08:00", false, Err("set back")),
    ];
    for (now, trusts, expected) in rows {
        match (purge(now, trusts), expected) {
            (Ok(gone), Ok(expected)) => assert_eq!(gone, expected, "{now}"),
            (Err(why), Err(says)) => assert!(why.contains(says), "{now}: {why}"),
            (other, _) => panic!("{now}: {other:?}"),
        }
    }
    place.verify().expect("whole");
}

#[test]
fn what_nothing_signs_is_not_torn_from_its_segment() {
    let place = Place::new();
    let journal = place.try_open(at("2026-05-01T00:00:00+08:00"), false).expect("opens");
    let mut records = Records::new();
    records.reply(at("2026-05-01T00:00:01+08:00"), &reply(ReplyRecord::OPT_IN));
    journal.append_synced(&mut records).expect("kept");
    journal.rotate();
    records.verdict(at("2026-05-01T00:00:02+08:00"), &verdict(1));
    journal.append_synced(&mut records).expect("kept");
    let now = at("2026-11-20T00:00:00+08:00");
    place.with(&journal, &|_, _| None, |retention| {
        retention.trust(now).expect("trusted");
        assert_eq!(retention.purge(now, "test").expect("nothing"), []);
    });
    assert_eq!(place.segments().len(), 2);
}

#[test]
fn a_hold_says_why_and_who_and_keeps_something() {
    let place = three_months();
    let journal = place.open("2026-11-21T09:00:00+08:00");
    let good = Hold {
        id: 0,
        from_us: 0,
        until_us: 1,
        segments: Vec::new(),
        reason: "why".to_owned(),
        by: "who".to_owned(),
        set_us: 0,
    };
    let bad = [
        Hold { reason: " ".to_owned(), ..good.clone() },
        Hold { by: String::new(), ..good.clone() },
        Hold { reason: "w".repeat(256), ..good.clone() },
        Hold { until_us: 0, ..good.clone() },
        Hold { segments: vec![1; 4097], ..good.clone() },
    ];
    place.with(&journal, &|_, _| None, |retention| {
        for hold in bad {
            let told = retention.set_hold(hold.clone(), 1);
            assert!(matches!(told, Err(RetentionFault::Refused(_))), "{hold:?}: {told:?}");
        }
        for n in 0..256 {
            assert_eq!(retention.set_hold(good.clone(), 1).expect("set").id, n + 1);
        }
        assert!(retention.set_hold(good.clone(), 1).is_err(), "the limit");
        retention.lift_hold(7, "who", 2).expect("lifted").expect("there");
        assert_eq!(retention.set_hold(good.clone(), 3).expect("set").id, 257, "no number twice");
    });
}
