//! The consent ledger as its users meet it: kept, counted and answered, near and far, killed and
//! opened again.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use consentry::consent::{
    CACHE_OCTETS_MIN, Cause, EntityId, Event, EventFault, Grant, Happened, ImportKey, Ledger,
    OpenFault, Options, Progress, Proof, ProofKind, QUEUE_EVENTS_MAX, Question, Scope, Source,
    Unavailable,
};
use consentry::policy::{Consent, ConsentClass, Period, Promise, Review, Standing, StandingState};
use consentry::registry::Msisdn;

const SECOND_US: u64 = 1_000_000;
const NOW_US: u64 = 1_795_478_400 * SECOND_US;

fn options() -> Options {
    Options {
        cache_octets: CACHE_OCTETS_MIN,
        warm: true,
        silent_after_us: 7 * 24 * 3_600 * SECOND_US,
        on_sync: None,
    }
}

fn open(path: &Path) -> Ledger {
    Ledger::open(path, options()).unwrap()
}

fn person(number: u64) -> Msisdn {
    Msisdn::new(8_613_000_000_000 + number).unwrap()
}

fn grant(time_us: u64) -> (u64, Happened) {
    let proof = Proof { kind: ProofKind::Web, sha256: [1; 32], review: Review::Reviewed };
    let (class, scope) = (ConsentClass::Commercial, Scope::ALL);
    (time_us, Happened::Granted(Grant { scope, class, until_us: None, promise: None, proof }))
}

fn event(entity: EntityId, number: u64, (time_us, happened): (u64, Happened)) -> Event {
    Event { entity, recipient: person(number), time_us, source: Source::Api, happened }
}

fn revoked(time_us: u64) -> (u64, Happened) {
    (time_us, Happened::Revoked(Cause::Refused))
}

/// Tells the ledger, and waits until it is on the disk.
fn tell(ledger: &Ledger, events: &[Event]) {
    let mut refused = Vec::new();
    let ticket = ledger.append(events, NOW_US, &mut refused).unwrap();
    assert_eq!(refused, [], "nothing is refused here");
    ledger.wait(ticket).unwrap();
    assert_eq!(ledger.is_complete(ticket), Ok(true));
}

fn ask(ledger: &Ledger, entity: EntityId, number: u64) -> Standing {
    let question = Question { entity, recipient: person(number), scope: Scope::ALL };
    let mut out = Vec::new();
    ledger.standings(&[question, question], NOW_US, &mut out);
    assert_eq!(out[0], out[1]);
    match out[0] {
        Consent::Known(standing) => standing,
        Consent::Unavailable => panic!("the ledger is unavailable"),
    }
}

fn state(ledger: &Ledger, entity: EntityId, number: u64) -> StandingState {
    ask(ledger, entity, number).state
}

#[test]
fn what_was_told_is_in_force_at_once_and_there_after_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(folder.path());
    let (one, other) = (ledger.entity("甲").unwrap(), ledger.entity("乙").unwrap());
    tell(&ledger, &[event(one, 1, grant(NOW_US - 9)), event(one, 2, grant(NOW_US - 9))]);
    let mut refused = Vec::new();
    let ticket = ledger.append(&[event(one, 2, revoked(NOW_US))], NOW_US, &mut refused).unwrap();
    // Not waited for: in force all the same.
    let expected = [(one, 1, "granted"), (one, 2, "revoked"), (other, 1, "none"), (one, 3, "none")];
    let check = |ledger: &Ledger| {
        for (entity, number, expected) in expected {
            assert_eq!(state(ledger, entity, number).name(), expected, "{number}");
        }
    };
    check(&ledger);
    ledger.wait(ticket).unwrap();
    check(&ledger);
    drop(ledger);
    let ledger = open(folder.path());
    check(&ledger);
    assert_eq!((ledger.entity("乙").unwrap(), ledger.find_entity("丙")), (other, None));
    let stats = ledger.stats();
    assert_eq!((stats.pairs, stats.events), (2, [2, 1, 0, 0, 0]));
    let history = ledger.history(one, person(2)).unwrap();
    let numbers: Vec<u64> = history.iter().map(|kept| kept.sequence).collect();
    assert_eq!(numbers, [2, 3]);
    assert_eq!(ask(&ledger, one, 2).event, 3);
    assert!(matches!(Ledger::open(folder.path(), options()), Err(OpenFault::Locked(_))));
}

#[test]
fn revocations_are_counted_by_cause_since_the_ledger_was_opened() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(folder.path());
    let one = ledger.entity("甲").unwrap();
    let ends = |cause| event(one, 1, (NOW_US, Happened::Revoked(cause)));
    let complaint = ends(Cause::Complaint);
    tell(&ledger, &[event(one, 1, grant(NOW_US - 9)), ends(Cause::Refused), complaint, complaint]);
    let stated = Event { source: Source::File, ..ends(Cause::Recycled) };
    tell(&ledger, &[stated, stated]);
    assert_eq!(ledger.stats().revoked, [1, 1, 2, 0], "refused, recycled, complaint, operator");
    drop(ledger);
    assert_eq!(open(folder.path()).stats().revoked, [0; 4]);
}

#[test]
fn a_standing_at_a_time_is_what_had_happened_by_then() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(folder.path());
    let one = ledger.entity("甲").unwrap();
    let at = |second: u64| NOW_US - (100 - second) * SECOND_US;
    for told in [grant(at(10)), revoked(at(20)), grant(at(30))] {
        tell(&ledger, &[event(one, 1, told)]);
    }
    let question = Question { entity: one, recipient: person(1), scope: Scope::ALL };
    for (second, expected) in [
        (9, "none"),
        (10, "granted"),
        (19, "granted"),
        (20, "revoked"),
        (29, "revoked"),
        (30, "granted"),
    ] {
        let standing = ledger.standing_at(&question, at(second)).unwrap();
        assert_eq!(standing.state.name(), expected, "at {second}");
    }
}

#[test]
fn events_that_cannot_be_taken_are_named_and_the_others_taken() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(folder.path());
    let one = ledger.entity("甲").unwrap();
    tell(&ledger, &[event(one, 1, grant(NOW_US - 50)), event(one, 1, revoked(NOW_US - 40))]);
    let events = [
        event(one, 1, grant(NOW_US - 50)),
        event(one, 2, grant(NOW_US)),
        event(one, 3, grant(NOW_US + 3_600 * SECOND_US)),
    ];
    let mut refused = Vec::new();
    ledger.append(&events, NOW_US, &mut refused).unwrap();
    let faults: Vec<_> = refused.iter().map(|one| (one.at, one.fault)).collect();
    assert_eq!(faults, [(0, EventFault::NotLater), (2, EventFault::Future)]);
    assert_eq!(state(&ledger, one, 1), StandingState::Revoked);
    assert_eq!(state(&ledger, one, 2), StandingState::Granted);
    assert_eq!(state(&ledger, one, 3), StandingState::None);
}

#[test]
fn a_full_queue_takes_nothing_and_a_closed_ledger_tells_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(folder.path());
    let one = ledger.entity("甲").unwrap();
    let too_many = vec![event(one, 1, grant(NOW_US)); QUEUE_EVENTS_MAX + 1];
    let mut refused = Vec::new();
    assert_eq!(ledger.append(&too_many, NOW_US, &mut refused), Err(Unavailable::Backlog));
    assert_eq!(state(&ledger, one, 1), StandingState::None);
    let ticket = ledger.append(&too_many[1..], NOW_US, &mut refused).unwrap();
    ledger.wait(ticket).unwrap();
    assert_eq!(
        ledger.append(&[], NOW_US, &mut refused).map(|t| ledger.is_complete(t)),
        Ok(Ok(true))
    );
    ledger.close();
    let mut out = Vec::new();
    let question = Question { entity: one, recipient: person(1), scope: Scope::ALL };
    ledger.standings(&[question], NOW_US, &mut out);
    assert_eq!(out, [Consent::Unavailable]);
    assert_eq!(ledger.append(&too_many[..1], NOW_US, &mut refused), Err(Unavailable::Closed));
}

#[test]
fn a_ticket_wakes_whoever_waits_for_it() {
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(folder.path());
    let one = ledger.entity("甲").unwrap();
    let woken = Arc::new(Count(AtomicUsize::new(0)));
    for round in 1..=100 {
        let told = [event(one, round, grant(NOW_US))];
        let ticket = ledger.append(&told, NOW_US, &mut Vec::new()).unwrap();
        ledger.on_complete(ticket, Waker::from(woken.clone()));
        ledger.wait(ticket).unwrap();
    }
    // Woken by the same hand, after the ticket was settled.
    ledger.close();
    assert_eq!(woken.0.load(Ordering::SeqCst), 100);
}

/// More pairs than the hot layer holds, read cold and warm, changed meanwhile: always the latest.
#[test]
fn a_hot_layer_that_is_too_small_changes_no_answer() {
    const PAIRS: u64 = 60_000;
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(folder.path());
    let one = ledger.entity("甲").unwrap();
    let promise = Some(Promise { messages: 3, period: Period::Year });
    let told: Vec<Event> = (0..PAIRS)
        .map(|number| match (number % 3, grant(NOW_US - 9 * SECOND_US)) {
            (0, told) => event(one, number, told),
            (1, (at, Happened::Granted(grant))) => {
                event(one, number, (at, Happened::Granted(Grant { promise, ..grant })))
            }
            _ => event(one, number, revoked(NOW_US)),
        })
        .collect();
    tell(&ledger, &told);
    let sent = |number| event(one, number, (NOW_US, Happened::Sent { scope: Scope::ALL }));
    tell(&ledger, &[sent(1), sent(1), sent(4)]);
    let check = |ledger: &Ledger| {
        for number in (0..PAIRS).chain((0..PAIRS).rev()) {
            let standing = ask(ledger, one, number);
            let expected = [StandingState::Granted, StandingState::Granted, StandingState::Revoked];
            assert_eq!(standing.state, expected[number as usize % 3], "{number}");
            let sent = match number {
                1 => 2,
                4 => 1,
                _ => 0,
            };
            assert_eq!((standing.sent, standing.promised.is_some()), (sent, number % 3 == 1));
        }
        assert_eq!(state(ledger, one, PAIRS), StandingState::None);
    };
    check(&ledger);
    drop(ledger);
    let ledger = open(folder.path());
    check(&ledger);
    assert!(!ledger.stats().is_hot_whole && ledger.stats().hot_pairs < PAIRS as usize);
}

/// 100,000 questions race with the revocation that they are about: who asks after `append` returned
/// never hears of consent.
#[test]
fn no_question_after_a_revocation_hears_of_consent() {
    const ROUNDS: usize = 100_000;
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(folder.path());
    let one = ledger.entity("甲").unwrap();
    let told: Vec<Event> =
        (0..500).map(|number| event(one, number, grant(NOW_US - 9 * SECOND_US))).collect();
    tell(&ledger, &told);
    let asked = AtomicUsize::new(0);
    let revoked_below = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let asker = scope.spawn(|| {
            while asked.load(Ordering::Relaxed) < ROUNDS {
                let sure = revoked_below.load(Ordering::Acquire);
                for number in sure.saturating_sub(3)..(sure + 3).min(500) {
                    let state = state_of(&ledger, one, person(number as u64));
                    assert!(
                        number >= sure || state == StandingState::Revoked,
                        "{number} of {sure}"
                    );
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        for number in 0..500 {
            ledger.append(&[event(one, number, revoked(NOW_US))], NOW_US, &mut Vec::new()).unwrap();
            revoked_below.store(number as usize + 1, Ordering::Release);
            let until = ROUNDS * (number as usize + 1) / 500;
            while asked.load(Ordering::Relaxed) < until && !asker.is_finished() {
                std::thread::yield_now();
            }
        }
    });
}

#[test]
fn an_import_killed_between_its_steps_goes_on_without_loss_or_doubles() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(folder.path());
    let one = ledger.entity("甲").unwrap();
    let key = ImportKey::of(b"head");
    assert_eq!(ledger.import_progress(key), Ok(None));
    let stated = |number, told| Event { source: Source::File, ..event(one, number, told) };
    // In the journal still when the tables are written past it.
    tell(&ledger, &[event(one, 3, grant(NOW_US - 50))]);
    // Folded in this order: the second grant is refused, the third pair is known the second time.
    let chunk = [
        stated(1, grant(NOW_US - 50)),
        stated(1, revoked(NOW_US - 40)),
        stated(1, grant(NOW_US - 50)),
        stated(2, grant(NOW_US - 50)),
        stated(2, grant(NOW_US - 50)),
        stated(3, revoked(NOW_US - 40)),
    ];
    let mut done = Progress { offset: 99, lines: 5, ..Progress::default() };
    let mut refused = Vec::new();
    ledger
        .import(key, &chunk, NOW_US, &mut done, &mut |all| refused.extend_from_slice(all))
        .unwrap();
    assert_eq!((done.taken, done.known, done.refused), (4, 1, 1));
    assert_eq!(
        refused.iter().map(|one| (one.at, one.fault)).collect::<Vec<_>>(),
        [(2, EventFault::NotLater)]
    );
    assert_eq!(ledger.import_progress(key), Ok(Some(done.clone())));
    assert_eq!(
        (state(&ledger, one, 1), state(&ledger, one, 2)),
        (StandingState::Revoked, StandingState::Granted)
    );
    // What the journal holds is older than what was imported past it, also after opening again.
    tell(&ledger, &[event(one, 2, revoked(NOW_US))]);
    drop(ledger);
    let ledger = open(folder.path());
    assert_eq!(state(&ledger, one, 2), StandingState::Revoked);
    assert_eq!(state(&ledger, one, 3), StandingState::Revoked);
    assert_eq!(ledger.history(one, person(1)).unwrap().len(), 2);
    assert_eq!(ledger.import_progress(key), Ok(Some(done)));
    let stats = ledger.stats();
    assert_eq!((stats.pairs, stats.events), (3, [3, 3, 0, 0, 0]));
}

// ---- the program ---------------------------------------------------------------------------------

const PROGRAM: &str = env!("CARGO_BIN_EXE_consentry");

fn consentry(args: &[&str]) -> Output {
    Command::new(PROGRAM).args(args).output().unwrap()
}

/// Exit status and standard output.
fn said(output: &Output) -> (i32, String) {
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stdout).into_owned())
}

fn complaints(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A process that is killed when the test ends.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

const DIGEST: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

#[test]
fn bad_lines_are_named_and_put_aside_and_the_good_ones_taken() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let rejects = folder.path().join("rejects.ndjson");
    let csv = write(
        folder.path(),
        "consents.csv",
        &format!(
            "\u{feff}number,entity,time,proof_sha256,event\r\n\
            13800000001,\"示例,商城\",2026-01-01,{DIGEST},\r\n\
            +8613800000001,\"示例,商城\",2026-01-02,,revoked\r\n\
            12,\"示例,商城\",2026-01-01,{DIGEST},\r\n\
            13800000002,,2026-01-01,{DIGEST},\r\n\
            13800000003,示例,2026-13-01,{DIGEST},\r\n\
            13800000004,示例,2026-01-01,abc,\r\n\
            13800000005,示例,2026-01-01,,\r\n\
            13800000006,示例,2026-01-01\r\n\
            13800000007,示例,2999-01-01,{DIGEST},\r\n\
            13800000001,\"示例,商城\",2026-01-02,{DIGEST},\r\n\
            \r\n\
            008613800000008,示例,2026-01-01 08:00:00,{DIGEST},granted"
        ),
    );
    let (csv, state) = (csv.display().to_string(), state.display().to_string());
    let rejected = rejects.display().to_string();
    let args = ["consent", "import", "--path", &state, &csv, "--rejects", &rejected, "--json"];
    let output = consentry(&args);
    let expected = r#"{"known":0,"lines":13,"refused":8,"taken":3}"#;
    assert_eq!(said(&output), (1, format!("{expected}\n")), "{}", complaints(&output));
    let lines: Vec<serde_json::Value> = std::fs::read_to_string(&rejects)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let told: Vec<(u64, &str)> =
        lines.iter().map(|l| (l["line"].as_u64().unwrap(), l["why"].as_str().unwrap())).collect();
    for ((line, why), (expected, begins)) in told.iter().zip([
        (4, "number: is no subscriber's number"),
        (5, "entity: is missing"),
        (6, "time: is no time"),
        (7, "proof_sha256: is not 64"),
        (8, "proof_sha256: is missing"),
        (9, "the line does not have 5 columns"),
        (10, "time: is in the future"),
        (11, "time: consent counts only if it is later"),
    ]) {
        assert!(*line == expected && why.starts_with(begins), "{line}: {why}");
        assert!(complaints(&output).contains(&format!("line {line}: {why}")));
    }
    assert_eq!(told.len(), 8);
    assert!(lines[0]["text"].as_str().unwrap().starts_with("12,"), "whole, to be put right");
    assert!(!complaints(&output).contains("1380000000"), "no number in a complaint");
    // Once more: nothing new, nothing twice, and still a no.
    let again = consentry(&args);
    assert_eq!(said(&again), (1, format!("{expected}\n")), "{}", complaints(&again));
    assert!(complaints(&again).contains("resumed at line 14"));
    for (number, entity, expected) in [
        ("13800000001", "示例,商城", "revoked"),
        ("13800000008", "示例", "granted"),
        ("13800000009", "示例", "none"),
    ] {
        let output = consentry(&["consent", "show", "--path", &state, number, entity, "--json"]);
        let standing: serde_json::Value = serde_json::from_str(&said(&output).1).unwrap();
        assert_eq!(standing["state"], expected, "{standing}");
        assert!(standing["number"].as_str().unwrap().contains("****"), "{standing}");
        assert_eq!(said(&output).0, 1, "submitted is not reviewed: it does not count");
    }
}

#[test]
fn a_file_whose_beginning_changed_is_read_from_its_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state").display().to_string();
    let line = |number: u64| {
        format!(
            "{{\"number\":{number},\"entity\":\"e\",\"time\":\"2026-01-01\",\"proof_sha256\":\"{DIGEST}\"}}\n"
        )
    };
    let many: String = (0..100).map(|at| line(13_800_000_000 + at)).collect();
    let file = write(folder.path(), "a.ndjson", &many).display().to_string();
    let import = || {
        let output = consentry(&["consent", "import", "--path", &state, &file, "--json"]);
        let result: serde_json::Value = serde_json::from_str(&said(&output).1).unwrap();
        let figures =
            ["lines", "taken", "known", "refused"].map(|key| result[key].as_u64().unwrap());
        (said(&output).0, figures)
    };
    assert_eq!(import(), (0, [100, 100, 0, 0]));
    // It grew: only what is new is read.
    std::fs::write(&file, format!("{many}{}", line(13_800_000_100))).unwrap();
    assert_eq!(import(), (0, [101, 101, 0, 0]));
    // A line in the middle is another: from the beginning, and what is known is not taken again.
    std::fs::write(&file, many.replace("13800000090", "13900000090")).unwrap();
    assert_eq!(import(), (0, [100, 1, 99, 0]));
}

/// The figures of an import: lines, events taken, known, lines refused.
fn figures(output: &Output) -> [u64; 4] {
    let result: serde_json::Value = serde_json::from_str(&said(output).1).unwrap();
    ["lines", "taken", "known", "refused"].map(|key| result[key].as_u64().unwrap())
}

fn shown(state: &str, number: &str, entity: &str) -> String {
    let output = consentry(&["consent", "show", "--path", state, number, entity, "--json"]);
    let standing: serde_json::Value = serde_json::from_str(&said(&output).1).unwrap();
    standing["state"].as_str().unwrap().to_owned()
}

#[test]
fn a_refusal_without_an_entity_is_for_all_whom_the_same_file_names_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state").display().to_string();
    let csv = format!(
        "number,entity,event,time,cause,proof_sha256\n\
         13800000001,甲,,2026-01-01,,{DIGEST}\n\
         13800000001,乙,,2026-01-01,,{DIGEST}\n\
         13800000002,甲,,2026-01-01,,{DIGEST}\n\
         13800000001,,revoked,2026-01-02,recycled,\n\
         13800000001,丙,,2026-01-01,,{DIGEST}\n"
    );
    let file = write(folder.path(), "a.csv", &csv).display().to_string();
    let output = consentry(&["consent", "import", "--path", &state, &file, "--json"]);
    assert_eq!(figures(&output), [6, 6, 0, 0], "{}", complaints(&output));
    for (number, entity, expected) in [
        ("13800000001", "甲", "revoked"),
        ("13800000001", "乙", "revoked"),
        ("13800000001", "丙", "granted"),
        ("13800000002", "甲", "granted"),
    ] {
        assert_eq!(shown(&state, number, entity), expected, "{entity}");
    }
}

#[test]
fn a_list_without_times_brings_nobody_back_however_it_is_imported_again() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state").display().to_string();
    let list = |numbers: &[&str]| {
        let line = |number: &&str| format!("{number},示例,{DIGEST}\n");
        let lines: String = numbers.iter().map(line).collect();
        write(folder.path(), "list.csv", &format!("number,entity,proof_sha256\n{lines}"))
    };
    let import = |from: &str, input: Stdio| {
        let args = ["consent", "import", "--path", &state, from, "--format", "csv", "--json"];
        Command::new(PROGRAM).args(args).stdin(input).output().unwrap()
    };
    let (one, two, three) = ("13800000001", "13800000002", "13800000003");
    let file = list(&[one, two, three]).display().to_string();
    let first = import(&file, Stdio::null());
    assert_eq!(figures(&first), [4, 3, 0, 0], "{}", complaints(&first));
    let note = "do not say when consent was given";
    assert_eq!(complaints(&first).matches(note).count(), 1, "{}", complaints(&first));
    let refused = consentry(&["consent", "revoke", "--path", &state, one, "示例"]);
    assert_eq!(said(&refused).0, 0, "{}", complaints(&refused));
    // Changed, so read from its beginning; and from where nobody knows how far an import came.
    let file = list(&[one, two]);
    let changed = import(&file.display().to_string(), Stdio::null());
    let piped = import("-", std::fs::File::open(&file).unwrap().into());
    for again in [changed, piped] {
        assert_eq!(figures(&again), [3, 0, 1, 1], "{}", complaints(&again));
        let why = "line 2: time: is missing, and the recipient has refused";
        assert!(complaints(&again).contains(why), "{}", complaints(&again));
        assert_eq!(shown(&state, one, "示例"), "revoked");
        assert_eq!(shown(&state, two, "示例"), "granted");
    }
}

/// Kills an import again and again until it is through: the same as one that was left alone.
#[test]
fn a_killed_import_continues_where_it_was() {
    const LINES: u64 = 250_000;
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state").display().to_string();
    let mut text = String::from("number,time\n");
    for at in 0..LINES {
        use std::fmt::Write as _;
        writeln!(text, "{},2026-01-01", 13_000_000_000 + at).unwrap();
    }
    let file = write(folder.path(), "many.csv", &text).display().to_string();
    let proof = write(folder.path(), "proof.txt", "承诺").display().to_string();
    let args = [
        "consent",
        "import",
        "--path",
        &state,
        &file,
        "--entity",
        "e",
        "--proof-file",
        &proof,
        "--json",
    ];
    let mut kills = 0;
    let result = loop {
        let mut child = Command::new(PROGRAM)
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(1_000 + 500 * kills));
        if kills < 6 && child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
            child.wait().unwrap();
            kills += 1;
            continue;
        }
        break child.wait_with_output().unwrap();
    };
    assert!(kills > 0, "the import was never killed: make the file longer");
    let result: serde_json::Value = serde_json::from_slice(&result.stdout).unwrap();
    assert_eq!((result["lines"].as_u64(), result["refused"].as_u64()), (Some(LINES + 1), Some(0)));
    let ledger = open(Path::new(&state));
    let stats = ledger.stats();
    assert_eq!((stats.pairs, stats.events[0]), (LINES, LINES), "{result}");
    let entity = ledger.find_entity("e").unwrap();
    for at in (0..LINES).step_by(997) {
        let recipient = Msisdn::new(8_613_000_000_000 + at).unwrap();
        assert_eq!(ledger.history(entity, recipient).unwrap().len(), 1, "{at}");
        assert_eq!(state_of(&ledger, entity, recipient), StandingState::Granted);
    }
}

fn state_of(ledger: &Ledger, entity: EntityId, recipient: Msisdn) -> StandingState {
    let mut out = Vec::new();
    ledger.standings(&[Question { entity, recipient, scope: Scope::ALL }], NOW_US, &mut out);
    match out[..] {
        [Consent::Known(standing)] => standing.state,
        _ => panic!("{out:?}"),
    }
}

// ---- kill -9 -------------------------------------------------------------------------------------

/// Set for the child of the test below: where its ledger is, and where it begins to count.
const CRASH_FOLDER: &str = "CONSENTRY_TEST_CRASH_FOLDER";

/// Appends revocations for ever, says each number when it is on the disk. The child of the test
/// below; by itself it does nothing.
#[test]
fn crash_child() {
    let Ok(told) = std::env::var(CRASH_FOLDER) else { return };
    let (folder, first) = told.rsplit_once(' ').unwrap();
    let ledger = open(Path::new(folder));
    let one = ledger.entity("甲").unwrap();
    let mut out = std::io::stdout();
    for number in first.parse::<u64>().unwrap().. {
        let told = [event(one, number, grant(NOW_US - 9)), event(one, number, revoked(NOW_US))];
        let ticket = ledger.append(&told, NOW_US, &mut Vec::new()).unwrap();
        ledger.wait(ticket).unwrap();
        writeln!(out, "kept {number}").unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn no_acknowledged_event_is_lost_by_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let mut next = 0_u64;
    for round in 0..12 {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["ledger::crash_child", "--exact", "--nocapture"])
            .env(CRASH_FOLDER, format!("{} {next}", path.display()))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut child = Killed(child);
        let out = BufReader::new(child.0.stdout.take().unwrap());
        let mut kept = out.lines().map_while(Result::ok).filter_map(|line| {
            line.rsplit_once("kept ").and_then(|(_, number)| number.parse::<u64>().ok())
        });
        let most = 20 + 37 * round;
        let mut last = None;
        for number in kept.by_ref().take(most) {
            last = Some(number);
        }
        child.0.kill().unwrap();
        // What it had said and we had not read counts too.
        let last = kept.last().or(last).expect("the child acknowledged something");
        drop(child);
        let ledger = open(&path);
        let one = ledger.find_entity("甲").unwrap();
        for number in 0..=last {
            assert_eq!(state(&ledger, one, number), StandingState::Revoked, "{number} of {last}");
            assert_eq!(ledger.history(one, person(number)).unwrap().len(), 2, "{number}");
        }
        assert!(ledger.stats().pairs > last, "round {round}");
        // One more may have been written and not said.
        next = last + 2;
        let mut fill = Vec::new();
        for number in [last + 1] {
            if state(&ledger, one, number) != StandingState::Revoked {
                fill.extend([
                    event(one, number, grant(NOW_US - 9)),
                    event(one, number, revoked(NOW_US)),
                ]);
            }
        }
        if !fill.is_empty() {
            tell(&ledger, &fill);
        }
    }
}

// ---- a running proxy -----------------------------------------------------------------------------

/// A proxy with a token, and its consentry.toml with the port that its admin API took.
fn proxy(folder: &Path) -> (Killed, String) {
    use std::os::unix::fs::PermissionsExt;
    let token = write(folder, "token", "sixteen-octets-or-more\n");
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
    write(folder, "registry.toml", "[[provider]]\nname = \"示例\"\nsystem_ids = [\"a\"]\n");
    // The port that was free may be somebody else's a moment later: then once more.
    for _ in 0..5 {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let config = write(
            folder,
            "consentry.toml",
            &format!(
                "[[listen]]\naddress = \"127.0.0.1:0\"\nsmsc = [\"127.0.0.1:1\"]\n\
                [admin]\naddress = \"{free}\"\ntoken_file = \"token\"\n\
                [consent]\nreview = \"lenient\"\ncache = \"8MiB\"\n"
            ),
        );
        let config = config.display().to_string();
        let mut run = Command::new(PROGRAM);
        run.args(["run", "-c", &config]).env("RUST_LOG", "info").stderr(Stdio::piped());
        let mut child = Killed(run.spawn().unwrap());
        let log = BufReader::new(child.0.stderr.take().unwrap());
        // "admin" is the last line that it logs before it serves.
        let mut lines = log.lines().map_while(Result::ok);
        if lines.any(|line| line.contains("admin address=")) {
            std::thread::spawn(move || lines.for_each(drop));
            return (child, config);
        }
    }
    panic!("the proxy did not begin to serve");
}

#[test]
fn commands_act_on_a_running_proxy_and_on_the_store_alike() {
    let folder = tempfile::tempdir().unwrap();
    let (running, config) = proxy(folder.path());
    let proof = write(folder.path(), "proof.txt", "同意").display().to_string();
    let run = |args: &[&str]| {
        let mut all = vec!["consent", args[0], "-c", &config];
        all.extend(&args[1..]);
        consentry(&all)
    };
    let granted =
        run(&["grant", "13800138000", "示例", "--proof-file", &proof, "--until", "2099-12-31"]);
    assert_eq!(
        said(&granted),
        (0, "granted: 1 event on the disk\n".to_owned()),
        "{}",
        complaints(&granted)
    );
    assert!(complaints(&granted).contains("on the running proxy"));
    let shown = run(&["show", "+8613800138000", "示例"]);
    assert_eq!(said(&shown).0, 0, "{}", complaints(&shown));
    assert!(said(&shown).1.contains("861********00") && !said(&shown).1.contains("13800138000"));
    let mut lines = String::from("number,event,proof_sha256,cause\n");
    for at in 0..1500 {
        lines += &format!("{},,{DIGEST},\n", 13_900_000_000_u64 + at);
    }
    lines += "1,,,\n13800138000,revoked,,recycled\n";
    let file = write(folder.path(), "more.csv", &lines).display().to_string();
    let imported = run(&["import", &file, "--json", "--entity", "示例"]);
    let expected = r#"{"known":0,"lines":1503,"refused":1,"taken":1501}"#;
    assert_eq!(said(&imported), (1, format!("{expected}\n")), "{}", complaints(&imported));
    assert!(complaints(&imported).contains("line 1502: number:"));
    assert_eq!(
        said(&run(&["import", &file, "--json", "--entity", "示例"])).1,
        format!("{expected}\n")
    );
    let revoked = run(&["revoke", "13900000007", "--cause", "recycled"]);
    assert_eq!(said(&revoked).0, 0, "{}", complaints(&revoked));
    let refused =
        run(&["grant", "13900000007", "示例", "--proof-file", &proof, "--time", "2026-01-01"]);
    assert_eq!(said(&refused).0, 1);
    assert!(said(&refused).1.contains("later than the revocation"));
    let wrong = run(&["review", "13900000008", "示例", "rejected", "--proof-file", &proof]);
    assert!(said(&wrong).1.contains("is not the digest"), "{}", said(&wrong).1);
    assert_eq!(said(&run(&["review", "13900000008", "示例", "rejected"])).0, 0);
    for (args, status) in [
        (vec!["show", "1", "示例"], 2),
        (vec!["show", "13900000009", "nobody"], 1),
        (vec!["history", "13900000009", "nobody"], 1),
        (vec!["grant", "13900000009", "示例", "--proof-sha256", "12"], 2),
        (vec!["show", "13900000009", "示例", "--at", "yesterday"], 2),
    ] {
        assert_eq!(said(&run(&args)).0, status, "{args:?}");
    }
    let everything = |what: &str| {
        let output = run(&[what]);
        assert_eq!(said(&output).0, 0, "{}", complaints(&output));
        (said(&output).1, complaints(&output))
    };
    let (far, via) = everything("export");
    assert!(via.contains("on the running proxy") && far.lines().count() == 1501, "{via}");
    let at_once = run(&["history", "13900000007", "示例", "--json", "--unmask"]);
    drop(running);
    let (near, via) = everything("export");
    assert!(via.contains("on the store"), "{via}");
    assert_eq!(near, far, "the same pairs, near and far");
    assert_eq!(
        said(&run(&["history", "13900000007", "示例", "--json", "--unmask"])),
        said(&at_once)
    );
    let revoked: Vec<serde_json::Value> =
        near.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(revoked.iter().filter(|line| line["state"] == "revoked").count(), 2);
    assert_eq!(revoked.iter().filter(|line| line["review"] == "rejected").count(), 1);
    let stats = run(&["stats", "--json"]);
    let stats: serde_json::Value = serde_json::from_str(&said(&stats).1).unwrap();
    assert_eq!(
        (stats["pairs"].as_u64(), stats["events"]["revoked"].as_u64()),
        (Some(1501), Some(2))
    );
    // On record, whoever kept it: the proxy's journal, or the command while no proxy runs.
    assert_eq!(said(&run(&["revoke", "13900000009", "--cause", "complaint"])).0, 0);
    let events = |number: &str| {
        let args = ["audit", "search", "-c", &config, "--number", number, "--json", "--unmask"];
        let found = said(&consentry(&args)).1;
        let shown = |line: &str| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(line["kind"], "consent");
            assert!(
                line["event"].as_u64() > Some(0) && line["destination"] == format!("86{number}")
            );
            let text = |key: &str| line[key].as_str().unwrap_or("-").to_owned();
            ["happened", "source_of_event", "cause", "review", "entity"].map(text).join(" ")
        };
        found.lines().map(shown).collect::<Vec<_>>()
    };
    assert_eq!(events("13800138000"), ["granted api - submitted 示例"]);
    assert_eq!(events("13900000007"), ["revoked api recycled - 示例"]);
    assert_eq!(events("13900000008"), ["reviewed api - rejected 示例"]);
    assert_eq!(events("13900000009"), ["revoked operator complaint - 示例"]);
    let kinds = || {
        let mut reader =
            consentry::audit::Reader::open(&folder.path().join("state/audit")).unwrap();
        let (mut registries, mut imported) = (Vec::new(), 0);
        while let Some(entry) = reader.next().unwrap() {
            match entry.record() {
                consentry::audit::Record::Registry(one) => registries.push((one.before, one.rules)),
                consentry::audit::Record::Consent(one) if one.happened_name() == "imported" => {
                    imported += one.count;
                }
                _ => {}
            }
        }
        (registries, imported)
    };
    let (registries, imported) = kinds();
    let all: u64 = stats["events"].as_object().unwrap().values().filter_map(|n| n.as_u64()).sum();
    // But for one grant, one revocation and one review that were told one by one.
    assert_eq!((registries.len(), u64::from(imported)), (1, all - 3), "{stats}");
    write(folder.path(), "registry.toml", "[[provider]]\nname = \"示例\"\nsystem_ids = [\"b\"]\n");
    assert_eq!(said(&run(&["revoke", "13900000010", "示例"])).0, 0);
    let (again, _) = kinds();
    assert_eq!(again.len(), 2, "another registry");
    assert_eq!(again[1].0, registries[0].1, "what was before");
    assert_ne!(again[1].1, registries[0].1);
}
