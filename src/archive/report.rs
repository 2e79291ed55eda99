//! What an authority asks for by article, provider and day: refusals, opt-outs, complaints, blind
//! ports, sweeps, public messages that are not filed.
//!
//! The journal is walked once, from its beginning: only a bind says whose a session is. Days are those
//! of the zone that the configuration names, and a record belongs to the day of its own time.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::sessions::SESSIONS_MAX;
use crate::audit::{
    BindRecord, ConsentRecord, Entry, OBSERVE, REFUSE, Record, ReplyRecord, VerdictRecord,
};
use crate::content::Class;
use crate::policy::{Rule, RuleSet};

/// Rows of a report, days times providers; records of more are counted in no row, and the report says
/// how many.
pub const ROWS_MAX: usize = 1 << 20;
/// Codes that are told apart as blind, in one row.
const CODES_MAX: usize = 1 << 16;

/// A day and a provider; the name is empty where the registry knew none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// In the zone of the report.
    pub day: Date,
    /// As the registry named it then.
    pub provider: String,
}

/// What happened at a place. A submit_multi counts for each recipient that has a record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    /// Messages that went on as no rule minded.
    pub passed: u64,
    /// Messages refused.
    pub refused: u64,
    /// Messages that went on although a rule in observe mode minded.
    pub observed: u64,
    /// Commercial messages that went on.
    pub commercial: u64,
    /// Replies that end consent.
    pub opt_outs: u64,
    /// Replies that give consent.
    pub opt_ins: u64,
    /// Complaints that somebody entered: revocations with that cause.
    pub complaints: u64,
    /// Messages that `recipients.swept` refused or observed.
    pub sweeps: u64,
    /// Messages that `public.unfiled` refused or, as emergencies, let go on.
    pub unfiled: u64,
    /// Binds refused.
    pub binds_refused: u64,
    /// Commercial messages that went on while no session of the provider could hear an answer.
    pub blind_messages: u64,
    /// The codes that those came from.
    blind_codes: BTreeSet<Vec<u8>>,
    /// By article and rule: refused, observed. Binds are counted too.
    pub rules: BTreeMap<(&'static str, &'static str), [u64; 2]>,
}

impl Counts {
    /// How many codes were blind.
    pub fn blind_codes(&self) -> usize {
        self.blind_codes.len()
    }

    /// Opt-outs a thousand commercial messages; none without such messages.
    pub fn opt_out_rate(&self) -> Option<f64> {
        rate(self.opt_outs, self.commercial, 1e3)
    }

    /// Complaints a million messages that went on; none without such messages.
    pub fn complaint_rate(&self) -> Option<f64> {
        rate(self.complaints, self.passed + self.observed, 1e6)
    }

    /// Adds what another place counts; codes that both have are one.
    pub fn add(&mut self, other: &Counts) {
        let pairs = [
            (&mut self.passed, other.passed),
            (&mut self.refused, other.refused),
            (&mut self.observed, other.observed),
            (&mut self.commercial, other.commercial),
            (&mut self.opt_outs, other.opt_outs),
            (&mut self.opt_ins, other.opt_ins),
            (&mut self.complaints, other.complaints),
            (&mut self.sweeps, other.sweeps),
            (&mut self.unfiled, other.unfiled),
            (&mut self.binds_refused, other.binds_refused),
            (&mut self.blind_messages, other.blind_messages),
        ];
        for (sum, more) in pairs {
            *sum += more;
        }
        self.blind_codes.extend(other.blind_codes.iter().cloned());
        for (key, [refused, observed]) in &other.rules {
            let sum = self.rules.entry(*key).or_default();
            *sum = [sum[0] + refused, sum[1] + observed];
        }
    }

    /// What a verdict on a message or a bind says of rules.
    fn rules(&mut self, rule_set: &str, (verdict, rule, observed): (u8, u8, u64)) {
        let set = RuleSet::from_name(rule_set);
        let mut count = |rule: Rule, at: usize| {
            let article = set.map_or("", |set| rule.article(set));
            if let Some(sum) = self.rules.entry((article, rule.name())).or_default().get_mut(at) {
                *sum += 1;
            }
            self.sweeps += u64::from(rule == Rule::RecipientsSwept);
            self.unfiled += u64::from(rule == Rule::PublicUnfiled);
        };
        let decided = Rule::from_code(rule);
        if let Some(rule) = decided.filter(|_| verdict == REFUSE) {
            count(rule, 0);
        }
        let would = |rule: &Rule| {
            let named = verdict == OBSERVE && decided == Some(*rule);
            let refused = verdict == REFUSE && decided == Some(*rule);
            (named || observed & (1 << rule.code()) != 0) && !refused
        };
        Rule::ALL.into_iter().filter(would).for_each(|rule| count(rule, 1));
    }
}

fn rate(count: u64, of: u64, each: f64) -> Option<f64> {
    (of > 0).then(|| count as f64 * each / of as f64)
}

/// A report while it is made.
#[derive(Debug)]
pub struct Report {
    zone: TimeZone,
    /// First and last day.
    days: (Date, Date),
    /// What was counted.
    pub places: BTreeMap<Place, Counts>,
    /// Records that found no row: there were [`ROWS_MAX`].
    pub uncounted: u64,
    /// Open sessions: whose, and whether it hears what handsets send.
    sessions: HashMap<u64, (String, bool)>,
    /// Sessions of a provider that hear.
    hearing: HashMap<String, u32>,
    /// The hour that was looked up last and its day: zones change their offset at no other time.
    looked_up: Option<(u64, Date)>,
}

/// Microseconds of a quarter of an hour: no zone's day begins within one.
const QUARTER_US: u64 = 15 * 60 * 1_000_000;

impl Report {
    /// Counts what happened from the first to the last day, both included, in this zone.
    pub fn new(zone: TimeZone, days: (Date, Date)) -> Report {
        Report {
            zone,
            days,
            places: BTreeMap::new(),
            uncounted: 0,
            sessions: HashMap::new(),
            hearing: HashMap::new(),
            looked_up: None,
        }
    }

    /// Takes the next record.
    pub fn look(&mut self, entry: &Entry<'_>) {
        let (time_us, rule_set) = (entry.time_us, entry.rule_set());
        match entry.record() {
            Record::Bind(bind) => self.bind(time_us, rule_set, &bind),
            Record::Verdict(verdict) => self.verdict(time_us, rule_set, &verdict),
            Record::Reply(reply) => self.reply(time_us, &reply),
            Record::Consent(consent) => self.consent(time_us, &consent),
            Record::End(end) => self.end(end.session),
            Record::Start(_) => {
                self.sessions.clear();
                self.hearing.clear();
            }
            _ => {}
        }
    }

    fn bind(&mut self, time_us: u64, rule_set: &str, bind: &BindRecord<'_>) {
        const BIND_TRANSMITTER: u32 = 2;
        if let Some(counts) = self.at(time_us, bind.provider) {
            counts.binds_refused += u64::from(bind.verdict == REFUSE);
            counts.rules(rule_set, (bind.verdict, bind.rule, bind.observed));
        }
        if bind.verdict == REFUSE || self.sessions.len() >= SESSIONS_MAX {
            return;
        }
        let hears = bind.command_id != BIND_TRANSMITTER;
        self.end(bind.session);
        self.sessions.insert(bind.session, (bind.provider.to_owned(), hears));
        if hears {
            *self.hearing.entry(bind.provider.to_owned()).or_default() += 1;
        }
    }

    fn end(&mut self, session: u64) {
        if let Some((provider, true)) = self.sessions.remove(&session)
            && let Some(hearing) = self.hearing.get_mut(&provider)
        {
            *hearing = hearing.saturating_sub(1);
        }
    }

    fn verdict(&mut self, time_us: u64, rule_set: &str, verdict: &VerdictRecord<'_>) {
        let bound = self.sessions.get(&verdict.session).map(|(provider, _)| provider.clone());
        let known = bound.is_some();
        let provider = bound.unwrap_or_default();
        let hears = self.hearing.get(&provider).is_some_and(|hearing| *hearing > 0);
        let Some(counts) = self.at(time_us, &provider) else { return };
        match verdict.verdict {
            REFUSE => counts.refused += 1,
            OBSERVE => counts.observed += 1,
            _ => counts.passed += 1,
        }
        counts.rules(rule_set, (verdict.verdict, verdict.rule, verdict.observed));
        let is_commercial = usize::from(verdict.class) == Class::Commercial.index() + 1;
        if verdict.verdict != REFUSE && is_commercial {
            counts.commercial += 1;
            // Of a session whose bind was not seen nobody knows whether another one hears.
            if known && !hears {
                counts.blind_messages += 1;
                let code = verdict.source.raw;
                // A code whose key was destroyed is not read and not counted.
                if !code.is_empty() && counts.blind_codes.len() < CODES_MAX {
                    counts.blind_codes.insert(code.to_vec());
                }
            }
        }
    }

    fn reply(&mut self, time_us: u64, reply: &ReplyRecord<'_>) {
        let bound = self.sessions.get(&reply.session).map(|(provider, _)| provider.clone());
        let Some(counts) = self.at(time_us, &bound.unwrap_or_default()) else { return };
        match reply.reply {
            ReplyRecord::OPT_OUT => counts.opt_outs += 1,
            ReplyRecord::OPT_IN => counts.opt_ins += 1,
            _ => {}
        }
    }

    fn consent(&mut self, time_us: u64, consent: &ConsentRecord<'_>) {
        let is_complaint =
            consent.happened == ConsentRecord::REVOKED && consent.cause == ConsentRecord::COMPLAINT;
        if let (true, Some(counts)) = (is_complaint, self.at(time_us, consent.entity)) {
            counts.complaints += 1;
        }
    }

    /// The row of a time and a provider; none outside the days of the report.
    fn at(&mut self, time_us: u64, provider: &str) -> Option<&mut Counts> {
        let day = self.day(time_us)?;
        if day < self.days.0 || day > self.days.1 {
            return None;
        }
        let place = Place { day, provider: provider.to_owned() };
        if self.places.len() >= ROWS_MAX && !self.places.contains_key(&place) {
            self.uncounted += 1;
            return None;
        }
        Some(self.places.entry(place).or_default())
    }

    fn day(&mut self, time_us: u64) -> Option<Date> {
        let quarter = time_us / QUARTER_US;
        if let Some((looked_up, day)) = self.looked_up
            && looked_up == quarter
        {
            return Some(day);
        }
        let timestamp = jiff::Timestamp::from_microsecond(i64::try_from(time_us).ok()?).ok()?;
        let day = self.zone.to_datetime(timestamp).date();
        self.looked_up = Some((quarter, day));
        Some(day)
    }
}
