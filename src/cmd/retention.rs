//! Retention as the proxy and the commands do it: on a journal that is open, by the configuration.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::disk::HIGH_WATER_PERCENT;
use super::shown::time;
use super::{Failure, relation};
use crate::archive;
use crate::audit::retention::{
    self, Due, Gone, Hold, Plan, Retention, RetentionFault, Term, Turn, Watch, plan,
};
use crate::audit::{Journal, KeyRing, Record, State};
use crate::config::Config;
use crate::consent::Ledger;
use crate::mirror;
use crate::proxy::Clock;

/// How often a running proxy looks for what is due.
const LOOK: Duration = Duration::from_secs(3600);
/// How long after its start it looks first: the notary has signed what was left by then.
const FIRST_LOOK: Duration = Duration::from_secs(60);

/// Purges, and sets and lifts holds: one purge at a time, and what files say changed by one at a time.
pub(super) struct Desk {
    directory: PathBuf,
    term: Term,
    journal: Journal,
    clock: Clock,
    /// What numbers are read with.
    keys: Arc<KeyRing>,
    /// Which relations last; none where it cannot be opened: no record of consent goes then.
    ledger: Option<Ledger>,
    /// The mirrors that are configured.
    mirrors: Vec<String>,
    watch: Mutex<Watch>,
    turn: Turn,
}

/// A hold as it is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HoldAsked {
    /// Microseconds since the Unix epoch.
    #[serde(default)]
    pub(super) from_us: u64,
    #[serde(default)]
    pub(super) until_us: u64,
    #[serde(default)]
    pub(super) segments: Vec<u64>,
    pub(super) reason: String,
    pub(super) by: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PurgeAsked {
    by: String,
    #[serde(default)]
    trust_clock: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LiftAsked {
    id: u64,
    by: String,
}

/// How long records are kept, by the configuration.
pub(super) fn term(config: &Config) -> Result<Term, Failure> {
    let zone = jiff::tz::TimeZone::get(&config.audit.zone)?;
    Ok(Term::new(config.audit.keep_months, zone))
}

impl Desk {
    /// Works on a journal that is open, and on the consent ledger.
    pub(super) fn new(
        config: &Config,
        journal: Journal,
        ledger: Option<Ledger>,
        clock: Clock,
    ) -> Result<Desk, Failure> {
        let watch = Mutex::new(Watch::default());
        let desk = Desk {
            directory: config.audit.path.clone(),
            term: term(config)?,
            journal,
            clock,
            keys: Arc::new(KeyRing::open(&config.audit.keys)?),
            ledger,
            mirrors: super::mirrors::names(config),
            watch,
            turn: Turn::default(),
        };
        desk.doubt();
        Ok(desk)
    }

    /// Why the time of day is not believed, by the steady clock.
    fn doubt(&self) -> Option<String> {
        let now = self.clock.now();
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        watch.look(now.wall_us, now.steady_us).map(str::to_owned)
    }

    fn now_us(&self) -> u64 {
        self.clock.now().wall_us
    }

    /// Acts with what retention needs.
    fn with<T>(&self, act: impl FnOnce(&Retention<'_>) -> T) -> T {
        let parquet = self.directory.join(archive::FOLDER);
        let derived = |first: u64| match std::fs::remove_file(archive::file(&parquet, first)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        let ended = |record: &Record<'_>, time_us: u64| {
            relation::ended(record, time_us, self.ledger.as_ref(), self.now_us())
        };
        act(&Retention {
            directory: &self.directory,
            journal: &self.journal,
            turn: &self.turn,
            keys: &self.keys,
            term: &self.term,
            ended: &ended,
            derived: &derived,
            needed_from: self.needed_from(),
        })
    }

    /// From where on a mirror still needs the journal. Near the budget none does: a mirror that is behind
    /// for so long loses records rather than that messages are refused.
    fn needed_from(&self) -> Option<u64> {
        if self.journal.disk_use().is_above(HIGH_WATER_PERCENT) {
            return None;
        }
        let names = self.mirrors.iter().map(String::as_str);
        mirror::needed_from(&self.directory, names).unwrap_or_else(|error| {
            tracing::warn!(%error, "where the mirrors are cannot be read: nothing is purged");
            Some(0)
        })
    }

    /// Purges what is due.
    pub(super) fn purge(&self, by: &str) -> Result<Vec<Gone>, RetentionFault> {
        if let Some(doubt) = self.doubt() {
            return Err(RetentionFault::Doubt(doubt));
        }
        // One at a time: whoever comes second finds nothing left.
        let _one = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        self.with(|retention| retention.purge(self.now_us(), by))
    }

    /// What the API and the commands ask: `purge`, `hold` and `lift`, each with its object.
    pub(super) fn answer(&self, ask: &str, body: &[u8]) -> Result<Value, RetentionFault> {
        let refused = |error: serde_json::Error| RetentionFault::Refused(error.to_string());
        match ask {
            "purge" => {
                let asked: PurgeAsked = serde_json::from_slice(body).map_err(refused)?;
                if asked.trust_clock {
                    self.with(|retention| retention.trust(self.now_us()))?;
                }
                let gone = self.purge(&asked.by)?;
                let gone = gone.iter().map(
                    |gone| json!({ "first": gone.first, "last": gone.last, "kept": gone.kept }),
                );
                Ok(json!({ "purged": gone.collect::<Vec<_>>() }))
            }
            "hold" => {
                let asked: HoldAsked = serde_json::from_slice(body).map_err(refused)?;
                let HoldAsked { from_us, until_us, segments, reason, by } = asked;
                let hold = Hold { id: 0, from_us, until_us, segments, reason, by, set_us: 0 };
                let set = self.with(|retention| retention.set_hold(hold, self.now_us()))?;
                Ok(shown_hold(&set))
            }
            "lift" => {
                let asked: LiftAsked = serde_json::from_slice(body).map_err(refused)?;
                let now_us = self.now_us();
                let lifted = self.with(|one| one.lift_hold(asked.id, &asked.by, now_us))?;
                let none = || RetentionFault::Refused(format!("there is no hold {}", asked.id));
                Ok(shown_hold(&lifted.ok_or_else(none)?))
            }
            _ => Err(RetentionFault::Refused("ask purge, hold or lift".to_owned())),
        }
    }
}

/// Purges once an hour while the proxy runs, and tells what went, or why nothing does.
pub(super) async fn watch(desk: Arc<Desk>) {
    let mut told = String::new();
    let mut wait = FIRST_LOOK;
    loop {
        tokio::time::sleep(wait).await;
        wait = LOOK;
        if desk.journal.state() == State::Closed {
            return;
        }
        let acting = desk.clone();
        let Ok(purged) = tokio::task::spawn_blocking(move || acting.purge("timer")).await else {
            return;
        };
        match purged {
            Ok(gone) => {
                told.clear();
                for gone in gone {
                    let (first, last, kept) = (gone.first, gone.last, gone.kept);
                    tracing::info!(first, last, kept, "records purged: their term has passed");
                }
            }
            Err(why) => {
                let why = why.to_string();
                if why != told {
                    tracing::warn!(why, "records that are due are not purged");
                }
                told = why;
            }
        }
    }
}

/// What may go when, for listings: read from the files, whether or not a proxy runs.
pub(super) fn planned(config: &Config, now_us: u64) -> Result<Plan, Failure> {
    Ok(plan(&config.audit.path, &term(config)?, now_us)?)
}

/// A segment as one object.
pub(super) fn shown_due(due: &Due, now_us: u64) -> Value {
    json!({
        "first": due.first, "last": due.next - 1, "octets": due.octets,
        "from": time(due.oldest_us), "to": time(due.newest_us), "due": time(due.due_us),
        "holds": due.holds, "may_go": due.may_go(now_us),
    })
}

/// A hold as one object.
pub(super) fn shown_hold(hold: &Hold) -> Value {
    let timed = hold.from_us < hold.until_us;
    json!({
        "hold": hold.id, "reason": hold.reason, "by": hold.by, "set": time(hold.set_us),
        "from": timed.then(|| time(hold.from_us)),
        "until": (timed && hold.until_us < retention::NO_END_US).then(|| time(hold.until_us)),
        "segments": hold.segments,
    })
}
