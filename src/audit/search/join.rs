//! What is looked for and what became of it, held together until it is given.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use super::super::content::{CONTENT_BEHIND_MAX, ContentRecord};
use super::super::events::ConsentRecord;
use super::super::index::{Plan, Planned};
use super::super::message_id::{self, Tail, is_same};
use super::super::read::{Entry, Kept, ReadFault, Reader};
use super::super::receipt::{ReceiptRecord, UnsuccessRecord};
use super::super::recent::Recent;
use super::super::record::{
    BindRecord, REFUSE, Record, ReplyRecord, ResponseRecord, VerdictRecord,
};
use super::{Answer, Found, Query, Searched, belongs, open_at};

/// Sessions whose binds are held; beyond it the oldest is let go, its messages have no bind then.
const SESSIONS_MAX: usize = 1 << 16;
/// Receipts held whose message has no id yet, each under a key for every form of its ids; beyond it the
/// oldest are given up.
const EARLY_MAX: usize = 1 << 16;
/// Numbers in common with receipts that are asked of the indexes; of more, every segment is read.
const TOKENS_MAX: usize = 1 << 8;
/// Receipts shown of one message: the first ones, and the last.
const RECEIPTS_A_MESSAGE_MAX: usize = 16;
/// Octets of contents held at a time, and one more content.
const CONTENT_OCTETS_HELD_MAX: usize = 64 << 20;
/// command_id of submit_multi (SMPP 3.4 5.1.2.1), which has a verdict for each destination.
const SUBMIT_MULTI: u32 = 0x21;

pub(super) struct Join {
    binds: HashMap<u64, Arc<Kept>>,
    /// Sessions in the order of their binds; those that ended are passed over.
    sessions: VecDeque<u64>,
    /// What was found, by the number of its record.
    pub held: BTreeMap<u64, Found>,
    /// The messages held that wait for their answer, by session and sequence_number: each request its
    /// own list, the oldest first. Only a submit_multi's has more than one.
    open: HashMap<(u64, u32), VecDeque<Request>>,
    /// The messages held that have an id, by [`message_id::keys`].
    by_key: HashMap<u64, Vec<u64>>,
    /// Receipts that came before the id of their message, by the same keys.
    early: Recent<u64, Vec<Arc<Kept>>>,
    /// Messages held whose content may be among the next records: their numbers and requests.
    unsaid: VecDeque<(u64, (u64, u32))>,
    /// Octets of the contents held.
    content_octets: usize,
    /// The sessions of the provider that is looked for, where they are known beforehand.
    pub of_provider: Option<HashSet<u64>>,
    /// First records of the segments that were read whole since anything was held.
    pub looked_at: HashSet<u64>,
}

/// A request that went on.
struct Request {
    command_id: u32,
    /// The verdicts held.
    verdicts: Vec<u64>,
    /// Destinations that the SMSC did not take.
    unsuccess: Vec<Kept>,
}

impl Join {
    pub fn new() -> Join {
        Join {
            binds: HashMap::new(),
            sessions: VecDeque::new(),
            held: BTreeMap::new(),
            open: HashMap::new(),
            by_key: HashMap::new(),
            early: Recent::new(EARLY_MAX),
            unsaid: VecDeque::new(),
            content_octets: 0,
            of_provider: None,
            looked_at: HashSet::new(),
        }
    }

    /// Takes note of a record: it is what is looked for, or tells what became of what was found.
    pub fn look(&mut self, query: &Query<'_>, entry: &Entry<'_>) {
        match entry.record() {
            Record::Bind(bind) => self.bind(query, entry, &bind),
            Record::Verdict(verdict) => self.verdict(query, entry, &verdict),
            Record::Reply(reply) => self.reply(query, entry, &reply),
            Record::Consent(consent) => self.consent(query, entry, &consent),
            other => {
                match other {
                    Record::End(ref end) => drop(self.binds.remove(&end.session)),
                    // No session lives on in the next opening.
                    Record::Start(_) => {
                        self.binds.clear();
                        self.sessions.clear();
                    }
                    _ => {}
                }
                self.became(query, entry, other);
            }
        }
    }

    /// Looks in the records behind number `from` for what became of the messages at hand.
    pub fn look_ahead(
        &mut self,
        query: &Query<'_>,
        directory: &Path,
        from: u64,
    ) -> Result<(), ReadFault> {
        if self.open.is_empty() && self.by_key.is_empty() {
            return Ok(());
        }
        let mut reader = Reader::open_at(directory, from + 1, "")?;
        if let Some(keys) = query.keys {
            reader = reader.with_keys(keys.clone());
        }
        while let Some(entry) = reader.next()? {
            if entry.number > from {
                self.became(query, &entry, entry.record());
            }
        }
        Ok(())
    }

    /// Whether a record tells what became of a message held.
    fn became(&mut self, query: &Query<'_>, entry: &Entry<'_>, record: Record<'_>) {
        match record {
            Record::Response(response) => self.answered(query, entry, &response),
            Record::Unanswered(unanswered) => {
                let key = (unanswered.session, unanswered.sequence_number);
                for verdict in self.take_request(key).map_or(Vec::new(), |one| one.verdicts) {
                    self.settle(query, verdict, Answer::Unanswered(entry.keep()));
                }
            }
            Record::Unsuccess(unsuccess) => self.unsuccess(entry, &unsuccess),
            Record::Receipt(receipt) => self.receipt(entry, &receipt),
            Record::Content(content) if query.contents => self.said(entry, &content),
            // No answer comes after the end of a session.
            Record::End(end) => self.open.retain(|(session, _), _| *session != end.session),
            Record::Start(_) => self.open.clear(),
            Record::Bind(_)
            | Record::Verdict(_)
            | Record::Reply(_)
            | Record::Consent(_)
            | Record::Registry(_)
            | Record::Access(_)
            | Record::Link(_)
            | Record::Stop
            | Record::Rules(_)
            | Record::Checkpoint(_)
            | Record::Purge(_)
            | Record::Hold(_)
            | Record::Keys(_)
            | Record::Content(_)
            | Record::Unknown { .. } => {}
        }
    }

    fn bind(&mut self, query: &Query<'_>, entry: &Entry<'_>, bind: &BindRecord<'_>) {
        let kept = Arc::new(entry.keep());
        while self.binds.len() >= SESSIONS_MAX {
            let Some(oldest) = self.sessions.pop_front() else { break };
            self.binds.remove(&oldest);
        }
        if self.sessions.len() >= 2 * SESSIONS_MAX {
            self.sessions.retain(|session| self.binds.contains_key(session));
        }
        if self.binds.insert(bind.session, kept.clone()).is_none() {
            self.sessions.push_back(bind.session);
        }
        let meant = query.number.is_none()
            && query.message_id.is_none()
            && query.reference.is_none()
            && query.means(entry.time_us, bind.session, bind.verdict, bind.rule, bind.observed)
            && query.provider.is_none_or(|name| name == bind.provider);
        if meant {
            self.held.insert(entry.number, Found::Bind { bind: kept });
        }
    }

    fn verdict(&mut self, query: &Query<'_>, entry: &Entry<'_>, verdict: &VerdictRecord<'_>) {
        let (time_us, session) = (entry.time_us, verdict.session);
        if !query.means(time_us, session, verdict.verdict, verdict.rule, verdict.observed)
            || query.number.is_some_and(|is| !is(verdict.source.raw, verdict.destination.raw))
            || query.reference.is_some_and(|id| !verdict.references.contains(id))
        {
            return;
        }
        let bind = self.binds.get(&session).cloned();
        if !self.is_of(query, session, bind.as_deref()) {
            return;
        }
        let refused = verdict.verdict == REFUSE;
        if refused && query.message_id.is_some() {
            return;
        }
        let answer = if refused { Answer::Refused } else { Answer::Unknown };
        if !refused {
            self.wait(entry.number, verdict);
        }
        if query.contents {
            let key = (session, verdict.sequence_number);
            // One that has its number and came before said nothing; of a submit_multi all say the same.
            if verdict.command_id != SUBMIT_MULTI {
                self.unsaid.retain(|(_, request)| *request != key);
            }
            self.unsaid.push_back((entry.number, key));
        }
        let (content, receipts) = (None, Vec::new());
        let found = Found::Message { verdict: entry.keep(), content, answer, bind, receipts };
        self.held.insert(entry.number, found);
    }

    /// What a message says: in a record behind its verdict.
    fn said(&mut self, entry: &Entry<'_>, content: &ContentRecord<'_>) {
        let key = (content.session, content.sequence_number);
        let kept = Arc::new(entry.keep());
        self.unsaid.retain(|(number, request)| {
            let is_its = *request == key;
            if is_its && let Some(Found::Message { content, .. }) = self.held.get_mut(number) {
                *content = Some(kept.clone());
            }
            !is_its
        });
        self.content_octets += content.octets.len();
    }

    /// What a message says stands in the segment of its verdict.
    pub fn ends_segment(&mut self) {
        self.unsaid.clear();
    }

    /// Whether enough is held to be given, now that everything up to record `number` was looked at.
    pub fn is_full(&mut self, held_max: usize, number: u64) -> bool {
        let is_over = |first: &(u64, (u64, u32))| first.0 + CONTENT_BEHIND_MAX < number;
        while self.unsaid.front().is_some_and(is_over) {
            self.unsaid.pop_front();
        }
        let is_much = self.held.len() >= held_max || self.content_octets > CONTENT_OCTETS_HELD_MAX;
        is_much && self.unsaid.is_empty()
    }

    /// The verdicts of a submit_multi stand one behind the other and wait for one answer. Any other
    /// request waits by itself; of two with one number the older is answered first.
    fn wait(&mut self, number: u64, verdict: &VerdictRecord<'_>) {
        let key = (verdict.session, verdict.sequence_number);
        let requests = self.open.entry(key).or_default();
        match requests.back_mut() {
            Some(last) if verdict.command_id == SUBMIT_MULTI && last.command_id == SUBMIT_MULTI => {
                last.verdicts.push(number);
            }
            _ => requests.push_back(Request {
                command_id: verdict.command_id,
                verdicts: vec![number],
                unsuccess: Vec::new(),
            }),
        }
    }

    fn reply(&mut self, query: &Query<'_>, entry: &Entry<'_>, reply: &ReplyRecord<'_>) {
        let bind = self.binds.get(&reply.session).cloned();
        if query.means_reply(entry.time_us, reply)
            && self.is_of(query, reply.session, bind.as_deref())
        {
            self.held.insert(entry.number, Found::Reply { reply: entry.keep(), bind });
        }
    }

    fn consent(&mut self, query: &Query<'_>, entry: &Entry<'_>, consent: &ConsentRecord<'_>) {
        if query.means_consent(entry.time_us, consent) {
            self.held.insert(entry.number, Found::Consent { consent: entry.keep() });
        }
    }

    /// Whether a session is of the provider that is looked for: by its bind, or by all binds.
    fn is_of(&self, query: &Query<'_>, session: u64, bind: Option<&Kept>) -> bool {
        let listed = || self.of_provider.as_ref().is_some_and(|all| all.contains(&session));
        query.provider.is_none_or(|name| provider(bind) == Some(name) || listed())
    }

    /// Reads a segment, from behind record `from`, for the answers to what waits for one. It is passed
    /// over where it has none.
    pub fn go_on(
        &mut self,
        query: &Query<'_>,
        directory: &Path,
        planned: &Planned,
        from: u64,
        searched: &mut Searched,
    ) -> Result<(), ReadFault> {
        if self.open.is_empty() {
            return Ok(());
        }
        if !planned.may_answer(self.open.keys().map(|(session, _)| *session)) {
            // No session lives on in the next opening.
            if planned.has_start() && planned.first > from {
                self.open.clear();
            }
            return Ok(());
        }
        searched.segments_read += 1;
        let mut reader = open_at(directory, planned, query)?;
        while let Some(entry) = reader.next()? {
            if entry.segment_first != planned.first || self.open.is_empty() {
                break;
            }
            if entry.number > from {
                searched.records += 1;
                self.became(query, &entry, entry.record());
            }
        }
        Ok(())
    }

    /// Looks for all that became of the messages at hand: answers behind the place that was reached
    /// (a segment of the plan, and a record), receipts wherever they may be, the binds of their sessions.
    pub fn finish(
        &mut self,
        query: &Query<'_>,
        directory: &Path,
        plan: &Plan<'_>,
        (at, number): (usize, u64),
        searched: &mut Searched,
    ) -> Result<(), ReadFault> {
        for planned in plan.segments.iter().skip(at) {
            self.go_on(query, directory, planned, number, searched)?;
        }
        let is_held = |verdicts: &[u64]| verdicts.iter().any(|one| self.held.contains_key(one));
        let held = self.by_key.iter().filter(|(_, verdicts)| is_held(verdicts));
        let common: Vec<u64> = held.map(|(key, _)| *key).collect();
        let first = self.held.keys().next().copied().unwrap_or(u64::MAX);
        let begin = plan.segments.iter().rposition(|planned| planned.first <= first).unwrap_or(0);
        for planned in plan.segments.iter().skip(begin) {
            let is_done = self.looked_at.contains(&planned.first);
            let is_wanted = !common.is_empty()
                && !is_done
                && (common.len() > TOKENS_MAX || plan.may_have_receipts(planned, &common));
            if is_wanted {
                self.read_each(query, directory, planned, searched, &mut |join, entry| {
                    if let Record::Receipt(receipt) = entry.record() {
                        join.receipt(entry, &receipt);
                    }
                })?;
            }
        }
        self.find_binds(query, directory, plan, searched)?;
        self.looked_at.clear();
        Ok(())
    }

    fn find_binds(
        &mut self,
        query: &Query<'_>,
        directory: &Path,
        plan: &Plan<'_>,
        searched: &mut Searched,
    ) -> Result<(), ReadFault> {
        let without = |found: &Found| match found {
            Found::Message { verdict, bind: None, .. } => session_of(verdict),
            Found::Reply { reply, bind: None } => session_of(reply),
            _ => None,
        };
        let wanted: HashSet<u64> = self.held.values().filter_map(without).collect();
        let mut binds = HashMap::new();
        for planned in plan.binds_of(&wanted) {
            if binds.len() == wanted.len() {
                break;
            }
            self.read_each(query, directory, planned, searched, &mut |_, entry| {
                if let Record::Bind(bind) = entry.record()
                    && wanted.contains(&bind.session)
                {
                    binds.insert(bind.session, Arc::new(entry.keep()));
                }
            })?;
        }
        for found in self.held.values_mut() {
            if let Found::Message { verdict: record, bind: bind @ None, .. }
            | Found::Reply { reply: record, bind: bind @ None } = found
            {
                *bind = session_of(record).and_then(|session| binds.get(&session).cloned());
            }
        }
        Ok(())
    }

    fn read_each(
        &mut self,
        query: &Query<'_>,
        directory: &Path,
        planned: &Planned,
        searched: &mut Searched,
        look: &mut dyn FnMut(&mut Join, &Entry<'_>),
    ) -> Result<(), ReadFault> {
        searched.segments_read += 1;
        let mut reader = open_at(directory, planned, query)?;
        while let Some(entry) = reader.next()? {
            if entry.segment_first != planned.first {
                break;
            }
            searched.records += 1;
            look(self, &entry);
        }
        Ok(())
    }

    fn take_request(&mut self, key: (u64, u32)) -> Option<Request> {
        let requests = self.open.get_mut(&key)?;
        let first = requests.pop_front();
        if requests.is_empty() {
            self.open.remove(&key);
        }
        first
    }

    fn unsuccess(&mut self, entry: &Entry<'_>, unsuccess: &UnsuccessRecord<'_>) {
        let key = (unsuccess.session, unsuccess.sequence_number);
        if let Some(request) = self.open.get_mut(&key).and_then(VecDeque::front_mut) {
            request.unsuccess.push(entry.keep());
        }
    }

    fn answered(&mut self, query: &Query<'_>, entry: &Entry<'_>, response: &ResponseRecord<'_>) {
        let key = (response.session, response.sequence_number);
        let Some(request) = self.take_request(key) else { return };
        let mut unsuccess = request.unsuccess;
        for verdict in request.verdicts {
            let Some(Found::Message { verdict: kept, .. }) = self.held.get(&verdict) else {
                continue;
            };
            let Record::Verdict(record) = kept.record() else { continue };
            let to = record.destination.raw;
            // The first of that destination: a submit_multi may name one twice.
            let at = unsuccess.iter().position(|one| is_unsuccess_of(one, to));
            let answer = match at.map(|at| unsuccess.remove(at)) {
                Some(unsuccess) => {
                    let unsuccess = Box::new(unsuccess);
                    Answer::Unsuccess { response: entry.keep(), unsuccess }
                }
                None => {
                    let keys: Vec<u64> =
                        message_id::keys(response.message_id, Tail::of(to)).collect();
                    self.known(verdict, &keys, response.message_id);
                    Answer::Response(entry.keep())
                }
            };
            self.settle(query, verdict, answer);
        }
    }

    /// A message held has an id now: receipts that came before are its own.
    fn known(&mut self, verdict: u64, keys: &[u64], id: &[u8]) {
        for key in keys {
            self.by_key.entry(*key).or_default().push(verdict);
            for receipt in self.early.remove(key).unwrap_or_default() {
                self.attach(verdict, &receipt, id);
            }
        }
    }

    fn receipt(&mut self, entry: &Entry<'_>, receipt: &ReceiptRecord<'_>) {
        let mut verdicts: Vec<u64> =
            receipt.keys().filter_map(|key| self.by_key.get(&key)).flatten().copied().collect();
        verdicts.sort_unstable();
        verdicts.dedup();
        if !verdicts.is_empty() {
            let kept = entry.keep();
            for verdict in verdicts {
                if let Some(Found::Message { answer: Answer::Response(response), .. }) =
                    self.held.get(&verdict)
                    && let Record::Response(response) = response.clone().record()
                {
                    self.attach(verdict, &kept, response.message_id);
                }
            }
        } else if !self.open.is_empty() {
            let kept = Arc::new(entry.keep());
            for key in receipt.keys() {
                match self.early.find_mut(&key) {
                    Some(early) if early.len() < RECEIPTS_A_MESSAGE_MAX => early.push(kept.clone()),
                    Some(_) => {}
                    None => self.early.insert(key, vec![kept.clone()]),
                }
            }
        }
    }

    /// Gives a receipt to its message; what only a number in common made a match is looked at again.
    fn attach(&mut self, verdict: u64, receipt: &Kept, id: &[u8]) {
        let Some(Found::Message { verdict, receipts, .. }) = self.held.get_mut(&verdict) else {
            return;
        };
        let (Record::Verdict(message), Record::Receipt(record)) =
            (verdict.record(), receipt.record())
        else {
            return;
        };
        if !belongs(&record, id, message.destination.raw)
            || receipts.iter().any(|one| one.number == receipt.number)
        {
            return;
        }
        if receipts.len() >= RECEIPTS_A_MESSAGE_MAX {
            receipts.pop();
        }
        let at = receipts.partition_point(|one| one.number < receipt.number);
        receipts.insert(at, receipt.clone());
    }

    /// What became of a message held is known; one whose id is not the one asked for goes.
    fn settle(&mut self, query: &Query<'_>, verdict: u64, came: Answer) {
        let Some(Found::Message { answer, .. }) = self.held.get_mut(&verdict) else { return };
        *answer = came;
        if query.message_id.is_some_and(|id| !has_message_id(answer, id)) {
            self.held.remove(&verdict);
        }
    }

    /// Gives all that is held, and begins anew.
    pub fn give(
        &mut self,
        searched: &mut Searched,
        query: &Query<'_>,
        each: &mut dyn FnMut(Found) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        self.open.clear();
        self.by_key.clear();
        self.early.clear();
        self.unsaid.clear();
        self.content_octets = 0;
        for found in std::mem::take(&mut self.held).into_values() {
            if let (Some(id), Found::Message { answer, .. }) = (query.message_id, &found)
                && !has_message_id(answer, id)
            {
                continue;
            }
            searched.found += 1;
            each(found)?;
        }
        ControlFlow::Continue(())
    }
}

fn is_unsuccess_of(kept: &Kept, to: &[u8]) -> bool {
    matches!(kept.record(), Record::Unsuccess(one) if one.destination.raw == to)
}

fn session_of(kept: &Kept) -> Option<u64> {
    match kept.record() {
        Record::Verdict(record) => Some(record.session),
        Record::Reply(record) => Some(record.session),
        _ => None,
    }
}

fn provider(bind: Option<&Kept>) -> Option<&str> {
    match bind?.record() {
        Record::Bind(bind) => Some(bind.provider),
        _ => None,
    }
}

fn has_message_id(answer: &Answer, id: &[u8]) -> bool {
    let (Answer::Response(kept) | Answer::Unsuccess { response: kept, .. }) = answer else {
        return false;
    };
    matches!(kept.record(), Record::Response(response) if is_same(response.message_id, id))
}
