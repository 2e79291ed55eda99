//! Looks at the journal for the console: the newest refusals, and one record. Numbers are masked, and who looks
//! is on record as with `consentry audit`.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::Failure;
use super::super::audit::note_api;
use super::super::record::fields;
use crate::admin::console::Fault;
use crate::audit::{Kept, KeyRing, LATEST_RECORDS_MAX, Latest, Record, look_up};
use crate::config::Config;
use crate::policy::{Rule, RuleSet};
use crate::proxy::Shared;

/// How long one look may read on.
const READ_MAX: Duration = Duration::from_millis(500);
/// Looks at refusals from one address that are on record once.
const NOTED_FOR: Duration = Duration::from_secs(600);
/// Of how many addresses and rules that is remembered; beyond it, each look is on record.
const NOTED_MAX: usize = 1024;

/// Who looks, and what for.
type Look = (IpAddr, String);

/// The journal as the console sees it.
pub(super) struct Looks {
    shared: Arc<Shared>,
    folder: PathBuf,
    keys: Arc<KeyRing>,
    /// The folder of keys, of which one signs who looked.
    keys_folder: PathBuf,
    since_us: u64,
    rule_set: RuleSet,
    latest: Mutex<Latest>,
    noted: Mutex<HashMap<Look, Instant>>,
}

impl Looks {
    /// At the journal of this proxy, which writes it since now.
    pub fn new(config: &Config, shared: &Arc<Shared>) -> Result<Looks, Failure> {
        let keys = Arc::new(KeyRing::open(&config.audit.keys)?);
        Ok(Looks {
            shared: shared.clone(),
            folder: config.audit.path.clone(),
            latest: Mutex::new(Latest::new(&config.audit.path, keys.clone())),
            keys,
            keys_folder: config.audit.keys.clone(),
            since_us: shared.clock.now().wall_us,
            rule_set: shared.in_force.now().knowledge.rule_set,
            noted: Mutex::new(HashMap::new()),
        })
    }

    /// The newest refusals, of one rule or of all, newest first.
    pub fn refusals(&self, peer: IpAddr, rule: Option<&str>, most: usize) -> Result<String, Fault> {
        let code = match rule {
            None => None,
            Some(name) => {
                let unknown = || Fault::Malformed(format!("{name:?} is no rule"));
                Some(Rule::from_name(name).ok_or_else(unknown)?.code())
            }
        };
        let asked = rule.map_or_else(String::new, |name| format!("rule {name}"));
        self.note_now_and_then((peer, asked))?;
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let end = self.shared.journal.synced_next();
        let behind = latest.catch_up(end, Instant::now() + READ_MAX).map_err(unavailable)?;
        let newest = latest.newest(code, most);
        let lines = newest.into_iter().map(|one| self.line(&one.record, one.bind.as_deref()));
        let lines: Vec<Value> = lines.collect();
        Ok(json!({ "behind": behind, "of_last": LATEST_RECORDS_MAX, "refusals": lines })
            .to_string())
    }

    /// One record, with who sent it where that is known.
    pub fn record(&self, peer: IpAddr, number: u64) -> Result<String, Fault> {
        self.note(peer, "console record", &format!("record {number}"))?;
        let found = look_up(&self.folder, number, &self.keys).map_err(unavailable)?;
        let Some(kept) = found else {
            return Err(Fault::NotFound(format!("there is no record {number}")));
        };
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let bind = session_of(&kept).and_then(|session| latest.bind_of(session).cloned());
        Ok(self.line(&kept, bind.as_deref()).to_string())
    }

    /// A record with the names of who sent it: from its bind, or from the session if it lives.
    fn line(&self, kept: &Kept, bind: Option<&Kept>) -> Value {
        let mut kept = kept.clone();
        // Said at the start, perhaps before what was read; not known any more once it was changed since.
        if kept.rule_set.is_empty() && kept.time_us >= self.since_us && self.is_rule_set_of_start()
        {
            kept.rule_set = Arc::from(self.rule_set.name());
        }
        let mut line = fields(&kept, false);
        if let Some(Record::Bind(record)) = bind.map(Kept::record) {
            line["provider"] = record.provider.into();
            line["system_id"] = record.system_id.escape_ascii().to_string().into();
            line["peer"] = record.peer.to_string().into();
        } else if let Some(live) = session_of(&kept).and_then(|id| self.shared.live.get(&id))
            && !matches!(kept.record(), Record::Bind(_))
        {
            let named = live.named();
            line["provider"] = named.provider.into();
            line["system_id"] = named.system_id.into();
            line["peer"] = live.peer.to_string().into();
        }
        let rule = line["rule"].as_str().and_then(Rule::from_name);
        line["summary"] = rule.map(Rule::summary).into();
        line
    }

    fn is_rule_set_of_start(&self) -> bool {
        self.shared.in_force.now().knowledge.rule_set == self.rule_set
    }

    /// A page looks again every few seconds: that it does is on record once in a while.
    fn note_now_and_then(&self, look: Look) -> Result<(), Fault> {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        noted.retain(|_, at| now.saturating_duration_since(*at) < NOTED_FOR);
        if noted.contains_key(&look) {
            return Ok(());
        }
        self.note(look.0, "console refusals", &look.1)?;
        if noted.len() < NOTED_MAX {
            noted.insert(look, now);
        }
        Ok(())
    }

    fn note(&self, peer: IpAddr, command: &str, asked: &str) -> Result<(), Fault> {
        note_api((&self.folder, &self.keys_folder), peer, command, asked).map_err(|why| {
            Fault::Unavailable(format!("this look at the records cannot be recorded: {why}"))
        })
    }
}

/// The session that a message or bind is of.
fn session_of(kept: &Kept) -> Option<u64> {
    match kept.record() {
        Record::Verdict(verdict) => Some(verdict.session),
        Record::Bind(bind) => Some(bind.session),
        Record::Response(response) => Some(response.session),
        _ => None,
    }
}

fn unavailable(fault: impl std::fmt::Display) -> Fault {
    Fault::Unavailable(fault.to_string())
}
