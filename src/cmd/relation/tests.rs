//! A journal and a ledger through some years: every time is given, nothing here reads a clock.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::ended;
use crate::audit::keys::SigningKey;
use crate::audit::proof::{NotaryOptions, Prover};
use crate::audit::retention::{Hold, Retention, Term, Turn};
use crate::audit::{self, Address, ConsentRecord, Journal, KeyRing, Records, ReplyRecord, Sealing};
use crate::consent::{
    CACHE_OCTETS_MIN, Cause, Event, Grant, Happened, Ledger, Options, Proof, ProofKind, Scope,
    Source,
};
use crate::policy::{ConsentClass, Review};
use crate::registry::Msisdn;

const SHOP: &str = "示例商城有限公司";
const DAY_US: u64 = 86_400_000_000;

fn at(day: &str) -> u64 {
    let time = format!("{day}T09:00:00+08:00").parse::<Timestamp>().expect("a time");
    time.as_microsecond() as u64
}

fn person(number: u64) -> Msisdn {
    Msisdn::new(8_613_800_138_000 + number).expect("a number")
}

fn ledger(folder: &Path) -> Ledger {
    let options = Options {
        cache_octets: CACHE_OCTETS_MIN,
        warm: false,
        silent_after_us: 7 * DAY_US,
        on_sync: None,
    };
    Ledger::open(&folder.join("consent"), options).expect("the ledger opens")
}

fn open(folder: &Path, now_us: u64) -> Journal {
    let mut options = audit::Options::new(audit::Durability::Written);
    let keys = folder.join("keys");
    let key = SigningKey::open_or_create(&keys).expect("a key");
    options.sealing = Some(Sealing { keys, auditors: Vec::new(), content: false });
    options.notary = Some(NotaryOptions {
        key,
        records: 1,
        every: Duration::from_secs(3600),
        now_us: Box::new(move || now_us),
        on_fault: Box::new(|why| panic!("{why}")),
    });
    Journal::open(&folder.join("audit"), options, now_us).expect("the journal opens").0
}

fn tell(ledger: &Ledger, number: u64, time_us: u64, source: Source, happened: Happened) {
    let entity = ledger.entity(SHOP).expect("an entity");
    let event = Event { entity, recipient: person(number), time_us, source, happened };
    let mut refused = Vec::new();
    let ticket = ledger.append(&[event], time_us, &mut refused).expect("taken");
    assert_eq!(refused, [], "nothing is refused here");
    ledger.wait(ticket).expect("on the disk");
}

fn grant(until: Option<&str>) -> Happened {
    let proof = Proof { kind: ProofKind::Web, sha256: [1; 32], review: Review::Reviewed };
    let (class, scope, until_us) = (ConsentClass::Commercial, Scope::ALL, until.map(at));
    Happened::Granted(Grant { scope, class, until_us, promise: None, proof })
}

fn consent(happened: u8, number: u64, time_us: u64) -> (Vec<u8>, u8, u64) {
    (person(number).unmasked().into_bytes(), happened, time_us)
}

/// What becomes of the records that are kept as the years go by. The person of each case, by its number:
const REFUSED: u64 = 1; // said yes, and no in 2027
const RUN_OUT: u64 = 2; // said yes until 2027
const LASTING: u64 = 3; // said yes
const ASKED: u64 = 4; // was asked, and did not answer
const BARE: u64 = 5; // said yes, whom nobody had asked

/// Writes the records of May 2026, one segment, then tells the ledger of what happened.
fn begin(folder: &Path) -> Ledger {
    let ledger = ledger(folder);
    let may = at("2026-05-10");
    let journal = open(folder, may);
    let mut records = Records::new();
    let digits: Vec<Vec<u8>> =
        (0..8).map(|number| person(number).unmasked().into_bytes()).collect();
    for number in [REFUSED, BARE] {
        let reply = ReplyRecord {
            session: 1,
            command_id: 5,
            sequence_number: 1,
            reply: ReplyRecord::OPT_IN,
            source: Address { ton: 1, npi: 1, raw: &digits[number as usize] },
            destination: Address { ton: 0, npi: 1, raw: b"106900001234" },
            data_coding: 0,
            text: b"Y",
        };
        records.reply(may + number, &reply);
    }
    for (number, happened) in [
        (RUN_OUT, ConsentRecord::GRANTED),
        (LASTING, ConsentRecord::GRANTED),
        (ASKED, ConsentRecord::ASKED),
    ] {
        let (recipient, happened, time_us) = consent(happened, number, may + number);
        records.consent(
            time_us,
            &ConsentRecord {
                event: number,
                happened_us: time_us,
                until_us: 0,
                count: 1,
                source: 4,
                happened,
                cause: 0,
                review: 0,
                class: 0,
                recipient: Address { ton: 1, npi: 1, raw: &recipient },
                entity: SHOP,
                scope: "",
                proof: b"",
                id: "",
            },
        );
    }
    journal.append_synced(&mut records).expect("kept");
    journal.close(may + 10).expect("closed");
    tell(&ledger, REFUSED, may + REFUSED, Source::Reply, grant(None));
    tell(&ledger, RUN_OUT, may + RUN_OUT, Source::Api, grant(Some("2027-03-01")));
    tell(&ledger, LASTING, may + LASTING, Source::Api, grant(None));
    tell(&ledger, ASKED, may + ASKED, Source::Api, Happened::Asked { content: 1 });
    tell(&ledger, REFUSED, at("2027-01-20"), Source::Reply, Happened::Revoked(Cause::Refused));
    // Who comes back has another relation; the first one stays ended.
    tell(&ledger, REFUSED, at("2027-02-20"), Source::Api, grant(None));
    ledger
}

/// Opens the journal on that day and purges; the persons whose records are left of the first segment.
fn purge(folder: &Path, ledger: Option<&Ledger>, day: &str, hold: Option<Hold>) -> Vec<u64> {
    let now_us = at(day);
    let journal = open(folder, now_us);
    let directory = folder.join("audit");
    let deadline = Instant::now() + Duration::from_secs(20);
    while Prover::new(&directory).prove(4).is_err_and(|why| why.to_string().contains("covers")) {
        assert!(Instant::now() < deadline, "not signed within 20 seconds");
        std::thread::sleep(Duration::from_millis(10));
    }
    let keys = Arc::new(KeyRing::open(&folder.join("keys")).expect("keys"));
    let retention = Retention {
        directory: &directory,
        journal: &journal,
        turn: &Turn::default(),
        keys: &keys,
        term: &Term::new(6, TimeZone::get("Asia/Shanghai").expect("a zone")),
        ended: &|record, time_us| ended(record, time_us, ledger, now_us),
        derived: &|_| Ok(()),
        needed_from: None,
    };
    retention.trust(now_us).expect("the silence was one");
    if let Some(hold) = hold {
        retention.set_hold(hold, now_us).expect("set");
    }
    retention.purge(now_us, "test").expect("purged");
    journal.close(now_us + 1).expect("closed");
    // Keys, start and link stand before them, in the order in which they were written.
    let order = [REFUSED, BARE, RUN_OUT, LASTING, ASKED];
    let mut prover = Prover::new(&directory);
    (4..).zip(order).filter(|(at, _)| prover.prove(*at).is_ok()).map(|(_, who)| who).collect()
}

#[test]
fn records_of_consent_are_kept_until_the_relation_ended_and_the_term_longer() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let ledger = begin(folder);
    let days: [(&str, &[u64]); 7] = [
        ("2026-11-10", &[REFUSED, BARE, RUN_OUT, LASTING, ASKED]),
        // The segment goes: what began nothing goes with it.
        ("2026-11-11", &[REFUSED, RUN_OUT, LASTING]),
        ("2027-07-20", &[REFUSED, RUN_OUT, LASTING]),
        ("2027-07-21", &[RUN_OUT, LASTING]),
        ("2027-09-01", &[RUN_OUT, LASTING]),
        ("2027-09-02", &[LASTING]),
        ("2040-01-01", &[LASTING]),
    ];
    for (day, expected) in days {
        assert_eq!(purge(folder, Some(&ledger), day, None), expected, "{day}");
    }
}

#[test]
fn what_nobody_can_tell_is_kept_and_so_is_what_a_hold_touches() {
    let (folder, empty) = (tempfile::tempdir().expect("a"), tempfile::tempdir().expect("b"));
    let (folder, empty) = (folder.path(), ledger(empty.path()));
    let known = begin(folder);
    let all = [REFUSED, BARE, RUN_OUT, LASTING, ASKED];
    assert_eq!(purge(folder, None, "2028-01-01", None), all, "no ledger");
    assert_eq!(purge(folder, Some(&empty), "2028-01-02", None), all, "another ledger");
    let hold = Hold {
        id: 0,
        from_us: at("2026-05-10"),
        until_us: at("2026-05-11"),
        segments: Vec::new(),
        reason: "a case".to_owned(),
        by: "who".to_owned(),
        set_us: 0,
    };
    assert_eq!(purge(folder, Some(&known), "2028-01-03", Some(hold)), all, "a hold");
    // The numbers' key is not there: whose relation it is cannot be read.
    let key = folder.join("keys/numbers-2026-05.key");
    let hidden = folder.join("hidden");
    std::fs::rename(&key, &hidden).expect("hidden");
    let lift = |day: &str| {
        let now_us = at(day);
        let journal = open(folder, now_us);
        let directory = folder.join("audit");
        let keys = Arc::new(KeyRing::open(&folder.join("keys")).expect("keys"));
        let retention = Retention {
            directory: &directory,
            journal: &journal,
            turn: &Turn::default(),
            keys: &keys,
            term: &Term::new(6, TimeZone::UTC),
            ended: &|_, _| None,
            derived: &|_| Ok(()),
            needed_from: None,
        };
        assert!(retention.lift_hold(1, "who", now_us).expect("lifted").is_some());
        journal.close(now_us).expect("closed");
    };
    lift("2028-01-04");
    assert_eq!(purge(folder, Some(&known), "2028-01-05", None), all, "no key");
    std::fs::rename(&hidden, &key).expect("back");
    assert_eq!(purge(folder, Some(&known), "2028-01-06", None), [LASTING]);
}
