//! Streams in, without a broker: a batch of messages into a ledger and onto record.

use std::path::Path;
use std::sync::{Arc, Mutex};

use consentry::consent::desk::{self, Ask, Told};
use consentry::consent::{Cause, Event, Happened, Ledger, Options, Source};
use consentry::stream::{Done, Intake, IntakeFault, Message, Rejected, keep};
use serde_json::{Value, json};

const SHOP: &str = "示例商城有限公司";
const OTHER: &str = "另一家有限公司";
const NUMBER: &str = "13800138000";
const NOW_US: u64 = 1_795_000_000_000_000;

fn open(folder: &Path) -> Ledger {
    let (cache_octets, silent_after_us, on_sync) = (1 << 20, 1 << 40, None);
    let options = Options { cache_octets, warm: false, silent_after_us, on_sync };
    Ledger::open(folder, options).expect("a ledger")
}

/// What was put on record, with whether records can be kept.
#[derive(Clone, Default)]
struct Journal(Arc<Mutex<(Vec<Told>, bool)>>);

impl Journal {
    fn told(&self) -> Vec<Told> {
        self.0.lock().expect("sound").0.clone()
    }

    fn fails(&self, fails: bool) {
        self.0.lock().expect("sound").1 = fails;
    }

    fn intake(&self, ledger: &Ledger, entity: Option<&str>) -> Intake {
        let journal = self.0.clone();
        let record = move |told: &[Told], _: u64| {
            let mut journal = journal.lock().expect("sound");
            if journal.1 {
                return Err("the disk is full".to_owned());
            }
            journal.0.extend(told.iter().cloned());
            Ok(())
        };
        Intake::new("crm", entity.map(str::to_owned), ledger.clone(), Arc::new(record))
    }
}

fn message(text: impl ToString) -> Message {
    let payload = text.to_string().into_bytes();
    Message { time_us: Some(NOW_US), payload, ..Message::default() }
}

fn grant(id: &str, time: &str) -> Value {
    json!({ "id": id, "number": NUMBER, "entity": SHOP, "time": time, "proof": "web",
        "proof_sha256": "ab".repeat(32), "until": "2030-01-01", "promise": "4/month" })
}

fn revoke(id: &str, time: &str) -> Value {
    json!({ "id": id, "number": NUMBER, "entity": SHOP, "event": "revoked", "time": time })
}

/// The standings and the history of the pair, as the desk shows them.
fn shown(ledger: &Ledger) -> String {
    let body = json!({ "number": NUMBER, "entity": SHOP }).to_string();
    let ask = |ask| {
        desk::answer(ledger, ask, body.as_bytes(), Source::Api, NOW_US, &mut Vec::new())
            .expect("an answer")
    };
    ask(Ask::Standings) + &ask(Ask::History)
}

fn counts(done: &Done) -> (u64, u64, usize) {
    (done.taken, done.known, done.rejected.len())
}

#[test]
fn messages_are_events_of_the_ledger_and_on_record_with_their_ids() {
    let folder = tempfile::tempdir().expect("a folder");
    let (ledger, journal) = (open(folder.path()), Journal::default());
    let intake = journal.intake(&ledger, None);
    let batch = [
        message(grant("g-1", "2026-10-01")),
        message(revoke("r-1", "2026-10-02")),
        message("no JSON"),
        message(json!({ "number": NUMBER, "entity": SHOP, "event": "revoked" })),
        message(json!({ "id": "x".repeat(129), "number": NUMBER, "event": "revoked" })),
        // Not later than the refusal.
        message(grant("g-2", "2026-10-01")),
        message(grant("g-3", "2026-10-03")),
        message("x".repeat(9_000)),
    ];
    let done = intake.take(&batch, NOW_US).expect("taken");
    assert_eq!((done.taken, done.known), (3, 0));
    let whys: Vec<_> = done.rejected.iter().map(|(at, why)| (*at, why.as_str())).collect();
    assert_eq!(whys[0], (2, "this is not a JSON object"));
    assert_eq!(whys[1].0, 3);
    assert!(whys[1].1.starts_with("id: must have 1 to 128 octets"), "{whys:?}");
    assert_eq!((whys[2].0, whys[3].0, whys[4].0), (4, 5, 7));
    assert!(whys[3].1.starts_with("time: consent counts only if it is later"), "{whys:?}");
    let told = journal.told();
    let ids = told.iter().map(|one| match one {
        Told::Event { id, entity, number, .. } => (id.as_str(), entity.as_str(), *number),
        Told::Imported { .. } => panic!("nothing was imported"),
    });
    let ids: Vec<_> = ids.collect();
    assert_eq!(ids, [("g-1", SHOP, 1), ("r-1", SHOP, 2), ("g-3", SHOP, 3)]);
    let shown = shown(&ledger);
    assert!(shown.contains("\"state\":\"granted\"") && shown.contains("\"source\":\"stream\""));
}

#[test]
fn what_comes_again_changes_nothing_however_far_it_had_come() {
    // A refusal that is told again after a later consent would end it, if it were told again.
    let first = [message(grant("g-1", "2026-10-01")), message(revoke("r-1", "2026-10-02"))];
    let later = [message(grant("g-2", "2026-10-05"))];
    for (steps, is_doubtful) in [("remembered", false), ("remembered", true), ("told", true)] {
        let folder = tempfile::tempdir().expect("a folder");
        let (ledger, journal) = (open(folder.path()), Journal::default());
        let intake = journal.intake(&ledger, None);
        let done = intake.take(&first, NOW_US).expect("taken");
        assert_eq!(counts(&done), (2, 0, 0));
        if steps == "remembered" {
            intake.remember(&done).expect("remembered");
        }
        drop((intake, ledger));
        let ledger = open(folder.path());
        let intake = journal.intake(&ledger, None);
        let before = shown(&ledger);
        let again: Vec<Message> =
            first.iter().map(|one| Message { is_doubtful, ..one.clone() }).collect();
        let done = intake.take(&again, NOW_US + 1).expect("taken");
        assert_eq!(shown(&ledger), before, "{steps}");
        let expected = if steps == "told" { (2, 0, 0) } else { (0, 2, 0) };
        assert_eq!(counts(&done), expected, "{steps}");
        // Nobody knows whether the first time came so far as the journal.
        let told = journal.told();
        assert_eq!(told.len(), if steps == "told" { 4 } else { 2 }, "{steps}");
        assert_eq!(told.get(..2), told.get(told.len() - 2..), "{steps}: the same numbers and ids");
        intake.remember(&done).expect("remembered");
        // And once more, behind what came later.
        let done = intake.take(&later, NOW_US).expect("taken");
        intake.remember(&done).expect("remembered");
        let before = shown(&ledger);
        let done = intake.take(&again, NOW_US).expect("taken");
        assert_eq!((counts(&done), shown(&ledger)), ((0, 2, 0), before), "{steps}");
    }
}

#[test]
fn a_producer_that_repeats_itself_under_one_id_is_heard_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let (ledger, journal) = (open(folder.path()), Journal::default());
    let intake = journal.intake(&ledger, None);
    let untimed = |time_us| {
        let mut object = grant("g-1", "");
        object.as_object_mut().expect("an object").remove("time");
        Message { time_us: Some(time_us), ..message(object) }
    };
    // The time of the message is that of the event; the second one has a time of its own.
    let batch = [untimed(NOW_US), message(revoke("r-1", "2026-11-30")), untimed(NOW_US + 9)];
    let batch = batch.map(|one| Message { is_doubtful: true, ..one });
    let now_us = NOW_US + 30 * 86_400_000_000;
    let done = intake.take(&batch, now_us).expect("taken");
    assert_eq!(counts(&done), (2, 1, 0));
    intake.remember(&done).expect("remembered");
    let done = intake.take(&[untimed(now_us)], now_us).expect("taken");
    assert_eq!(counts(&done), (0, 1, 0));
    assert!(shown(&ledger).contains("\"state\":\"revoked\""), "an old yes does not come back");
    // Of what was refused no id is remembered: it may be put right.
    let wrong = message(json!({ "id": "g-9", "number": NUMBER, "entity": SHOP }));
    let twice = [wrong.clone(), wrong];
    let done = intake.take(&twice, now_us).expect("taken");
    assert_eq!(counts(&done), (0, 0, 2));
    intake.remember(&done).expect("remembered");
    let done = intake.take(&[message(grant("g-9", "2026-12-02"))], now_us).expect("taken");
    assert_eq!(counts(&done), (1, 0, 0));
}

#[test]
fn a_refusal_that_names_no_entity_is_for_all_who_know_the_number() {
    let folder = tempfile::tempdir().expect("a folder");
    let (ledger, journal) = (open(folder.path()), Journal::default());
    let intake = journal.intake(&ledger, None);
    let mut other = grant("g-2", "2026-10-01");
    other["entity"] = OTHER.into();
    let all = json!({ "id": "r-1", "number": NUMBER, "event": "revoked", "cause": "recycled" });
    let batch = [message(grant("g-1", "2026-10-01")), message(other)];
    intake.take(&batch, NOW_US).expect("taken");
    let done = intake.take(&[message(&all)], NOW_US).expect("taken");
    assert_eq!(counts(&done), (1, 0, 0));
    let revoked = |one: &Told| match one {
        Told::Event { event: Event { happened, .. }, id, .. } => {
            *happened == Happened::Revoked(Cause::Recycled) && id == "r-1"
        }
        Told::Imported { .. } => false,
    };
    assert_eq!(journal.told().iter().filter(|one| revoked(one)).count(), 2);
    let nobody = json!({ "id": "r-2", "number": "13800138001", "event": "revoked" });
    assert_eq!(counts(&intake.take(&[message(nobody)], NOW_US).expect("taken")), (0, 1, 0));
}

#[test]
fn a_refusal_that_names_no_entity_ends_what_came_just_before_it() {
    let all = json!({ "id": "r-1", "number": NUMBER, "event": "revoked", "time": "2026-10-02" });
    let mut other = grant("g-2", "2026-10-01");
    other["entity"] = OTHER.into();
    let mut stranger = grant("g-3", "2026-10-01");
    stranger["number"] = "13800138001".into();
    let lines = [grant("g-1", "2026-10-01"), stranger, all, other];
    let state = |ledger: &Ledger, number: &str, entity: &str| {
        let pair = json!({ "number": number, "entity": entity }).to_string();
        let ask = Ask::Standings;
        desk::answer(ledger, ask, pair.as_bytes(), Source::Api, NOW_US, &mut Vec::new())
            .map(|shown| shown.contains("\"state\":\"revoked\""))
            .expect("an answer")
    };
    for by in ["stream", "body", "body of a file"] {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = open(folder.path());
        let unnamed: String = lines
            .iter()
            .map(|line| {
                let mut line = line.clone();
                line.as_object_mut().expect("an object").remove("id");
                format!("{line}\n")
            })
            .collect();
        let tell = |ask| {
            desk::answer(&ledger, ask, unnamed.as_bytes(), Source::Api, NOW_US, &mut Vec::new())
                .expect("an answer")
        };
        match by {
            "stream" => {
                let intake = Journal::default().intake(&ledger, None);
                let done = intake.take(&lines.clone().map(message), NOW_US).expect("taken");
                assert_eq!(counts(&done), (4, 0, 0));
            }
            "body" => assert_eq!(tell(Ask::Events), r#"{"refused":[],"taken":4}"#),
            _ => assert_eq!(tell(Ask::Import), r#"{"refused":[],"taken":4}"#),
        }
        assert!(state(&ledger, NUMBER, SHOP), "{by}: it is ended");
        assert!(!state(&ledger, NUMBER, OTHER), "{by}: what comes after it is not");
        assert!(!state(&ledger, "13800138001", SHOP), "{by}: nor another's");
    }
}

#[test]
fn a_stream_of_one_entity_speaks_for_no_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let (ledger, journal) = (open(folder.path()), Journal::default());
    let intake = journal.intake(&ledger, Some(SHOP));
    let mut unnamed = grant("g-1", "2026-10-01");
    unnamed.as_object_mut().expect("an object").remove("entity");
    let mut other = grant("g-2", "2026-10-01");
    other["entity"] = OTHER.into();
    let batch = [message(unnamed), message(other), message(grant("g-3", "2026-10-02"))];
    let done = intake.take(&batch, NOW_US).expect("taken");
    assert_eq!((done.taken, done.rejected.len()), (2, 1));
    assert_eq!(done.rejected[0].1, "entity: is not the one that this stream speaks for");
    assert_eq!(ledger.find_entity(OTHER), None);
}

#[test]
fn a_batch_that_cannot_be_kept_is_tried_again_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let (ledger, journal) = (open(folder.path()), Journal::default());
    let intake = journal.intake(&ledger, None);
    let batch = [message(grant("g-1", "2026-10-01"))];
    journal.fails(true);
    let fault = intake.take(&batch, NOW_US).expect_err("no record");
    assert_eq!(fault, IntakeFault::Record("the disk is full".to_owned()));
    journal.fails(false);
    let batch = batch.map(|one| Message { is_doubtful: true, ..one });
    assert_eq!(counts(&intake.take(&batch, NOW_US).expect("taken")), (1, 0, 0));
    assert_eq!(journal.told().len(), 1);
    ledger.close();
    let all = json!({ "id": "r-1", "number": NUMBER, "event": "revoked" });
    for one in [message(grant("g-2", "2026-10-02")), message(all)] {
        let fault = intake.take(&[one], NOW_US).expect_err("it is closed");
        assert!(matches!(fault, IntakeFault::Ledger(_)), "{fault}");
    }
}

#[test]
fn what_is_rejected_is_kept_as_it_came_within_a_bound() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("streams/crm.rejected.ndjson");
    let long = Message { partition: 2, offset: 7, ..message("x".repeat(9_000)) };
    keep(&file, &[Rejected { message: &long, why: "too long" }]).expect("kept");
    let text = std::fs::read_to_string(&file).expect("text");
    let line: Value = serde_json::from_str(text.trim_end()).expect("one object");
    assert_eq!((&line["partition"], &line["offset"]), (&2.into(), &7.into()));
    assert_eq!((&line["octets"], &line["why"]), (&9_000.into(), &"too long".into()));
    assert_eq!(line["message"].as_str().map(str::len), Some(8 << 10));
    let mode = std::fs::metadata(&file).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let full = std::fs::OpenOptions::new().write(true).open(&file).expect("opens");
    full.set_len(consentry::stream::REJECTED_OCTETS_MAX).expect("grown");
    let fault = keep(&file, &[Rejected { message: &long, why: "" }]).expect_err("full");
    assert!(fault.to_string().contains("move it away"), "{fault}");
}

/// kill -9 at moments by chance, of a process that takes a topic of lines in a file, batch by batch, and notes
/// its offset as the last step: as a consumer does, without a broker.
mod killed {
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    use consentry::audit::{
        Durability, Journal, Options as JournalOptions, Reader, Record, Records,
    };
    use consentry::session::TakenEvent;

    use super::*;

    const PAIRS: usize = 15;
    const TURNS: usize = 12;
    /// Messages of a batch.
    const BATCH: usize = 5;
    const KILLS_MIN: usize = 12;

    fn person(pair: usize) -> String {
        format!("138001{pair:05}")
    }

    /// What the pairs are told, in the order of each: by turns a consent and a refusal.
    fn told() -> Vec<Value> {
        let each = (0..TURNS).flat_map(|turn| (0..PAIRS).map(move |pair| (turn, pair)));
        let one = |(turn, pair): (usize, usize)| {
            let (id, time) = (format!("{pair}-{turn}"), format!("2026-10-01T00:{turn:02}:00Z"));
            let mut one = if turn % 2 == 0 { grant(&id, &time) } else { revoke(&id, &time) };
            one["number"] = person(pair).into();
            one
        };
        each.map(one).collect()
    }

    fn record(journal: &Journal, told: &[Told], now_us: u64) -> Result<(), String> {
        let mut records = Records::new();
        for one in told {
            let Told::Event { event, number, entity, scope, id } = one else { continue };
            TakenEvent { event, number: *number, entity, scope, id }.record(&mut records, now_us);
        }
        journal.append_synced(&mut records).map_err(|error| error.to_string())
    }

    fn number_in(file: &Path) -> usize {
        std::fs::read_to_string(file).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// What the test below starts as a process of its own.
    #[test]
    fn child() {
        let Ok(folder) = std::env::var("CONSENTRY_STREAM_CHILD") else { return };
        let folder = Path::new(&folder);
        let ledger = open(&folder.join("consent"));
        let options = JournalOptions::new(Durability::Synced);
        let (journal, _) = Journal::open(&folder.join("audit"), options, NOW_US).expect("opens");
        let keeps = journal.clone();
        let keep = Arc::new(move |told: &[Told], now_us| record(&keeps, told, now_us));
        let intake = Intake::new("crm", None, ledger, keep);
        let topic = std::fs::read_to_string(folder.join("topic")).expect("the topic");
        let lines: Vec<&str> = topic.lines().collect();
        let (file, part) = (folder.join("offset"), folder.join("offset.part"));
        let mut next = number_in(&file);
        let mut is_doubtful = true;
        while next < lines.len() {
            let batch = lines.iter().skip(next).take(BATCH);
            let batch: Vec<Message> =
                batch.map(|line| Message { is_doubtful, ..message(line) }).collect();
            let done = intake.take(&batch, NOW_US).expect("taken");
            assert!(done.rejected.is_empty(), "{:?}", done.rejected);
            intake.remember(&done).expect("remembered");
            next += batch.len();
            std::fs::write(&part, next.to_string()).expect("written");
            std::fs::rename(&part, &file).expect("renamed");
            is_doubtful = false;
        }
        drop(intake);
        journal.close(NOW_US).expect("closes");
    }

    fn start(folder: &Path) -> Child {
        Command::new(std::env::current_exe().expect("this program"))
            .args(["stream::killed::child", "--exact", "--test-threads=1"])
            .env("CONSENTRY_STREAM_CHILD", folder)
            .stdout(Stdio::null())
            .spawn()
            .expect("it starts")
    }

    /// Kills it in the middle of its work, or lets it end; whether it was killed.
    fn run(folder: &Path, wait: Duration) -> bool {
        let before = number_in(&folder.join("offset"));
        let mut child = start(folder);
        let until = Instant::now() + Duration::from_secs(60);
        // It has begun to work when it has noted something.
        while number_in(&folder.join("offset")) == before {
            if let Some(status) = child.try_wait().expect("looked at") {
                assert!(status.success(), "it ends well");
                return false;
            }
            assert!(Instant::now() < until, "it works within a minute");
            std::thread::sleep(Duration::from_micros(200));
        }
        std::thread::sleep(wait);
        child.kill().expect("killed");
        !child.wait().expect("ended").success()
    }

    #[test]
    fn each_event_is_taken_once_and_on_record_though_the_producer_repeats_itself() {
        let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
        let seed: u64 = seed.unwrap_or_else(|| {
            use std::hash::{BuildHasher, Hasher};
            std::hash::RandomState::new().build_hasher().finish() | 1
        });
        println!("SEED={seed}");
        let mut state = seed;
        let mut below = |most: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % most as u64) as usize
        };
        let folder = tempfile::tempdir().expect("a folder");
        let all = told();
        let mut topic = String::new();
        for (at, event) in all.iter().enumerate() {
            topic.push_str(&format!("{event}\n"));
            if below(3) == 0 {
                topic.push_str(&format!("{event}\n"));
            }
            if below(4) == 0 {
                topic.push_str(&format!("{}\n", all[below(at + 1)]));
            }
        }
        std::fs::write(folder.path().join("topic"), topic).expect("written");
        let mut kills = 0;
        // Shortly at first, so that a fast machine is killed often enough too.
        while run(folder.path(), Duration::from_micros(below(1_000 + 500 * kills) as u64)) {
            kills += 1;
        }
        assert!(kills >= KILLS_MIN, "{kills} kills");

        let ledger = open(&folder.path().join("consent"));
        for pair in 0..PAIRS {
            let entity = ledger.find_entity(SHOP).expect("known");
            let recipient = consentry::consent::line::number(&person(pair)).expect("a number");
            let history = ledger.history(entity, recipient).expect("readable");
            let times: Vec<u64> = history.iter().map(|kept| kept.event.time_us).collect();
            assert_eq!(times.len(), TURNS, "pair {pair}: each once");
            assert!(times.is_sorted(), "pair {pair}: in order");
        }
        let mut reader = Reader::open(&folder.path().join("audit")).expect("the journal");
        let mut ids = std::collections::BTreeSet::new();
        while let Some(entry) = reader.next().expect("whole") {
            if let Record::Consent(consent) = entry.record() {
                ids.insert(consent.id.to_owned());
            }
        }
        assert_eq!(ids.len(), all.len(), "each is on record under its id");
    }
}
