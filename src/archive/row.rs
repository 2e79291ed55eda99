//! One row: what a record says, in words, and what became of it.

use std::borrow::Cow;
use std::net::SocketAddr;

use serde_json::json;

use super::columns::Column;
use super::sessions::Named;
use crate::audit::{
    Address, BindRecord, ContentRecord, Kept, OBSERVE, PASS, REFUSE, ReceiptRecord, Record,
    ReplyRecord, ResponseRecord, VerdictRecord,
};
use crate::content::Class;
use crate::policy::{Rule, RuleSet};
use crate::registry::{self, Npi, Sender, Ton, masked};
use crate::session::EndReason;
use crate::smpp::message::ESM_CLASS_UDHI;
use crate::smpp::{Command, CommandStatus};
use crate::text::{Body, Options, decode};

/// A value of a row.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Value<'a> {
    /// There is none.
    #[default]
    None,
    /// Below 2^63: of a column that holds numbers.
    Number(u64),
    /// Microseconds since the Unix epoch: of a column that holds times.
    Time(u64),
    /// Of a column that holds text.
    Text(Cow<'a, str>),
}

/// Keyed token of an address: none where it is no person's number that can be read.
pub type Token<'a> = dyn Fn(&Address<'_>) -> Option<u64> + Send + Sync + 'a;

/// What is shown of persons' numbers.
#[derive(Clone, Copy)]
pub enum Numbers<'a> {
    /// All of them, and the words of replies.
    Whole,
    /// Their first three and last two digits, with a token where there is a key for it. Codes are
    /// nobody's person and stay whole; what is no code of the plan counts as a person's.
    Masked(Option<&'a Token<'a>>),
}

/// One value a column.
#[derive(Clone, PartialEq, Eq)]
pub struct Row<'a> {
    values: [Value<'a>; Column::COUNT],
}

// Rows hold numbers of persons.
impl std::fmt::Debug for Row<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let number = |column: Column| match self.value(column) {
            Value::Number(number) => *number,
            Value::None | Value::Time(_) | Value::Text(_) => 0,
        };
        write!(f, "Row {{ record {} }}", number(Column::Record))
    }
}

impl<'a> Row<'a> {
    /// The row of one record. `rule_set` is the one in force then.
    pub fn of(
        number: u64,
        time_us: u64,
        rule_set: &str,
        record: &Record<'a>,
        numbers: Numbers<'_>,
    ) -> Row<'a> {
        let mut row = Row { values: [const { Value::None }; Column::COUNT] };
        row.number(Column::Record, number);
        row.set(Column::Time, Value::Time(time_us));
        row.text(Column::Kind, record.name());
        match record {
            Record::Verdict(verdict) => row.verdict(verdict, rule_set, numbers),
            Record::Bind(bind) => row.bind(bind, rule_set),
            Record::Response(response) => row.response(response),
            Record::Unanswered(record) => {
                row.request(record.session, record.command_id, record.sequence_number);
                row.text(Column::Became, "unanswered");
            }
            Record::Reply(reply) => row.reply(reply, numbers),
            Record::Receipt(receipt) => {
                row.receipt(receipt, numbers);
                row.receipted(number, time_us, receipt);
            }
            Record::Unsuccess(record) => {
                row.number(Column::Session, record.session);
                row.number(Column::SequenceNumber, record.sequence_number.into());
                row.destination(&record.destination, numbers);
                let status = CommandStatus(record.status).to_string();
                row.owned(Column::ResponseStatus, status);
            }
            Record::Consent(record) => {
                row.destination(&record.recipient, numbers);
                row.detail(&json!({
                    "event": record.event, "happened": record.happened_name(),
                    "happened_us": record.happened_us, "entity": record.entity,
                    "count": record.count,
                }));
            }
            Record::Registry(record) => row.detail(&json!({
                "before": hex(&record.before), "rules": hex(&record.rules),
                "registry": hex(&record.registry), "providers": record.providers,
                "codes": record.codes, "reading": record.reading,
            })),
            Record::Access(record) => row.detail(&json!({
                "user": record.user, "name": record.name, "command": record.command,
                "asked": record.asked, "unmasked": record.is_unmasked,
            })),
            Record::End(record) => {
                row.number(Column::Session, record.session);
                let reason = EndReason::from_code(record.reason).map(EndReason::name);
                row.detail(&json!({
                    "reason": reason, "forwarded": record.forwarded, "refused": record.refused,
                    "unanswered": record.unanswered,
                }));
            }
            Record::Start(record) => {
                row.set(Column::RuleSet, Value::Text(record.rule_set.into()));
                row.detail(&json!({
                    "program": record.program, "reading": record.reading,
                    "config": hex(&record.config), "rules": hex(&record.rules),
                }));
            }
            Record::Rules(record) => {
                row.set(Column::RuleSet, Value::Text(record.rule_set.into()));
                row.detail(&json!({ "rules": hex(&record.rules) }));
            }
            Record::Stop => {}
            Record::Link(link) => row.detail(&json!({
                "first": link.first, "count": link.count, "sealed": link.sealed,
                "chain": hex(&link.chain),
            })),
            Record::Content(record) => {
                row.request(record.session, record.command_id, record.sequence_number);
                row.number(Column::EsmClass, record.esm_class.into());
                row.number(Column::DataCoding, record.data_coding.into());
            }
            Record::Checkpoint(signed) => {
                let checkpoint = &signed.checkpoint;
                row.detail(&json!({
                    "segment": checkpoint.segment, "first": checkpoint.first,
                    "size": checkpoint.size, "root": hex(&checkpoint.root),
                    "chain": hex(&checkpoint.chain), "time_us": checkpoint.time_us,
                    "key": hex(&checkpoint.key), "signature": hex(&signed.signature),
                }));
            }
            Record::Purge(purge) => row.detail(&json!({
                "segment": purge.sequence, "first": purge.first, "next": purge.next,
                "chain": hex(&purge.chain), "root": hex(&purge.root),
                "messages": purge.messages, "kept": purge.kept, "by": purge.by,
            })),
            Record::Hold(hold) => row.detail(&json!({
                "hold": hold.id, "event": hold.event(), "reason": hold.reason, "by": hold.by,
            })),
            Record::Keys(keys) => row.detail(&json!({
                "event": keys.event(), "numbers_key": keys.key, "first": keys.first,
                "through": keys.through, "numbers_sidecar": hex(&keys.numbers),
                "content_sidecar": hex(&keys.content), "reason": keys.reason,
            })),
            Record::Unknown { kind, form, .. } => {
                row.detail(&json!({ "code": kind, "form": form }));
            }
        }
        row
    }

    /// The row of a record that was copied out of the journal.
    pub fn of_kept(kept: &'a Kept, numbers: Numbers<'_>) -> Row<'a> {
        Row::of(kept.number, kept.time_us, &kept.rule_set, &kept.record(), numbers)
    }

    /// A row that was made elsewhere, by its values; a column that is not among them has none.
    pub fn made(values: impl IntoIterator<Item = (Column, Value<'a>)>) -> Row<'a> {
        let mut row = Row { values: [const { Value::None }; Column::COUNT] };
        values.into_iter().for_each(|(column, value)| row.set(column, value));
        row
    }

    /// The same row with other values in these columns.
    pub fn with(mut self, values: impl IntoIterator<Item = (Column, Value<'a>)>) -> Row<'a> {
        values.into_iter().for_each(|(column, value)| self.set(column, value));
        self
    }

    /// The value of a column.
    pub fn value(&self, column: Column) -> &Value<'a> {
        const NONE: &Value<'static> = &Value::None;
        self.values.get(column as usize).unwrap_or(NONE)
    }

    /// Each column with its value, in the order of [`Column::ALL`].
    pub fn values(&self) -> impl Iterator<Item = (Column, &Value<'a>)> {
        Column::ALL.iter().copied().zip(&self.values)
    }

    /// Whose session it was.
    pub fn name(&mut self, named: &Named) {
        self.set(Column::Provider, Value::Text(named.provider.clone().into()));
        self.set(Column::SystemId, Value::Text(named.system_id.clone().into()));
    }

    /// What became of a message that went on: its answer, a response or unanswered record. None: unknown yet.
    pub fn answer(&mut self, answer: Option<&'a Kept>) {
        let Some(kept) = answer else {
            self.text(Column::Became, "unknown");
            return;
        };
        self.number(Column::AnswerRecord, kept.number);
        match kept.record() {
            Record::Response(response) => self.answered(&response),
            _ => self.text(Column::Became, "unanswered"),
        }
    }

    /// The SMSC answered, and did not take this destination of a submit_multi: its status is the
    /// answer, and the id is the others'.
    pub fn unsuccess(&mut self, unsuccess: &Kept) {
        if let Record::Unsuccess(record) = unsuccess.record() {
            let status = CommandStatus(record.status).to_string();
            self.owned(Column::ResponseStatus, status);
            self.set(Column::MessageId, Value::None);
        }
    }

    /// What only auditors can open: a content record as the journal has it, or the wrapped key of its segment.
    pub fn sealed(&mut self, octets: &[u8]) {
        self.owned(Column::SealedHex, hex(octets));
    }

    /// What a message says: a content record that can be read.
    pub fn says(&mut self, content: &Kept) {
        if let Record::Content(record) = content.record() {
            self.owned(Column::TextHex, hex(record.octets));
            if let Some(text) = text_of(&record) {
                self.owned(Column::Text, text);
            }
        }
    }

    /// What the SMSC told of the message later: a receipt record.
    pub fn told(&mut self, receipt: &Kept) {
        if let Record::Receipt(record) = receipt.record() {
            self.receipted(receipt.number, receipt.time_us, &record);
        }
    }

    fn receipted(&mut self, number: u64, time_us: u64, receipt: &ReceiptRecord<'_>) {
        self.number(Column::ReceiptRecord, number);
        self.set(Column::ReceiptTime, Value::Time(time_us));
        if let Some(state) = receipt.state_name() {
            self.text(Column::ReceiptState, state);
        }
        self.escaped(Column::ReceiptError, receipt.error);
        if let Some(done) = ReceiptRecord::date(receipt.done) {
            self.owned(Column::ReceiptDone, done);
        }
    }

    fn set(&mut self, column: Column, value: Value<'a>) {
        if let Some(at) = self.values.get_mut(column as usize) {
            *at = value;
        }
    }

    fn number(&mut self, column: Column, number: u64) {
        self.set(column, Value::Number(number));
    }

    fn text(&mut self, column: Column, text: &'static str) {
        self.set(column, Value::Text(text.into()));
    }

    fn owned(&mut self, column: Column, text: String) {
        self.set(column, Value::Text(text.into()));
    }

    /// Octets that came, if there are any: what is not printable ASCII is escaped.
    fn escaped(&mut self, column: Column, octets: &[u8]) {
        if !octets.is_empty() {
            self.owned(column, octets.escape_ascii().to_string());
        }
    }

    fn detail(&mut self, detail: &serde_json::Value) {
        self.owned(Column::Detail, detail.to_string());
    }

    fn request(&mut self, session: u64, command_id: u32, sequence_number: u32) {
        self.number(Column::Session, session);
        self.owned(Column::Command, Command::of(command_id).to_string());
        self.number(Column::SequenceNumber, sequence_number.into());
    }

    fn verdict(&mut self, v: &VerdictRecord<'a>, rule_set: &str, numbers: Numbers<'_>) {
        self.request(v.session, v.command_id, v.sequence_number);
        self.source(&v.source, numbers);
        self.destination(&v.destination, numbers);
        self.number(Column::Octets, v.command_length.into());
        self.number(Column::EsmClass, v.esm_class.into());
        self.number(Column::DataCoding, v.data_coding.into());
        if let Some(part) = v.part {
            self.number(Column::Part, part.number.into());
            self.number(Column::Parts, part.total.into());
            self.number(Column::PartReference, part.reference.into());
        }
        let class = usize::from(v.class).checked_sub(1).and_then(|at| Class::ALL.get(at));
        if let Some(class) = class {
            self.text(Column::Class, class.family());
        }
        if v.consent != 0 {
            self.number(Column::ConsentEvent, v.consent);
        }
        self.escaped(Column::EntityId, v.references.entity);
        self.escaped(Column::TemplateId, v.references.template);
        self.escaped(Column::ConsentId, v.references.consent);
        self.decision((v.verdict, v.rule, v.observed, v.status), rule_set);
        if v.verdict == REFUSE {
            self.text(Column::Became, "refused");
        }
    }

    fn bind(&mut self, b: &BindRecord<'a>, rule_set: &str) {
        self.request(b.session, b.command_id, b.sequence_number);
        if !b.provider.is_empty() {
            self.set(Column::Provider, Value::Text(b.provider.into()));
        }
        self.escaped(Column::SystemId, b.system_id);
        self.decision((b.verdict, b.rule, b.observed, b.status), rule_set);
        self.owned(Column::Peer, b.peer.to_string());
        if let Some(smsc) = b.smsc.as_ref().map(SocketAddr::to_string) {
            self.owned(Column::Smsc, smsc);
        }
        self.set(Column::Listener, Value::Text(b.listener.into()));
    }

    fn response(&mut self, record: &ResponseRecord<'_>) {
        self.request(record.session, record.command_id, record.sequence_number);
        self.answered(record);
    }

    fn answered(&mut self, record: &ResponseRecord<'_>) {
        self.text(Column::Became, "answered");
        self.owned(Column::ResponseStatus, CommandStatus(record.status).to_string());
        self.number(Column::LatencyUs, record.latency_us.into());
        self.escaped(Column::MessageId, record.message_id);
    }

    fn reply(&mut self, reply: &ReplyRecord<'_>, numbers: Numbers<'_>) {
        self.request(reply.session, reply.command_id, reply.sequence_number);
        self.source(&reply.source, numbers);
        self.destination(&reply.destination, numbers);
        self.number(Column::DataCoding, reply.data_coding.into());
        let says = match reply.reply {
            ReplyRecord::OPT_OUT => "opt-out",
            ReplyRecord::OPT_IN => "opt-in",
            _ => "unknown",
        };
        self.text(Column::Says, says);
        if matches!(numbers, Numbers::Whole) {
            self.owned(Column::TextHex, hex(reply.text));
        }
    }

    fn receipt(&mut self, receipt: &ReceiptRecord<'_>, numbers: Numbers<'_>) {
        self.request(receipt.session, receipt.command_id, receipt.sequence_number);
        self.source(&receipt.source, numbers);
        self.destination(&receipt.destination, numbers);
        self.number(Column::EsmClass, receipt.esm_class.into());
        self.escaped(Column::MessageId, receipt.message_id);
        let octets = |octets: &[u8]| octets.escape_ascii().to_string();
        self.detail(&json!({
            "stat": octets(receipt.stat), "message_id_of_text": octets(receipt.text_id),
            "submit_date": ReceiptRecord::date(receipt.submitted),
            "kept_back": receipt.flags & ReceiptRecord::KEPT_BACK != 0,
        }));
    }

    fn source(&mut self, address: &Address<'_>, numbers: Numbers<'_>) {
        self.number(Column::SourceTon, address.ton.into());
        self.number(Column::SourceNpi, address.npi.into());
        self.address(Column::Source, Column::SourceToken, address, numbers);
    }

    fn destination(&mut self, address: &Address<'_>, numbers: Numbers<'_>) {
        self.number(Column::DestinationTon, address.ton.into());
        self.number(Column::DestinationNpi, address.npi.into());
        self.address(Column::Destination, Column::DestinationToken, address, numbers);
    }

    fn address(&mut self, shown: Column, token: Column, a: &Address<'_>, numbers: Numbers<'_>) {
        let (whole, keyed) = match numbers {
            Numbers::Whole => (true, None),
            Numbers::Masked(_) if is_code(a) => (true, None),
            Numbers::Masked(keyed) => (false, keyed),
        };
        if !a.raw.is_empty() {
            self.owned(shown, masked(a.raw, whole));
        }
        if let Some(value) = keyed.and_then(|keyed| keyed(a)) {
            self.owned(token, format!("{value:016x}"));
        }
    }

    /// The article is that of the rule set under which the record was made.
    fn decision(&mut self, (verdict, rule, observed, status): (u8, u8, u64, u32), rule_set: &str) {
        let verdict = match verdict {
            PASS => "pass",
            REFUSE => "refuse",
            OBSERVE => "observe",
            _ => "unknown",
        };
        self.text(Column::Verdict, verdict);
        if let Some(rule) = Rule::from_code(rule) {
            self.text(Column::Rule, rule.name());
            if let Some(set) = RuleSet::from_name(rule_set) {
                self.text(Column::Article, rule.article(set));
            }
        }
        if !rule_set.is_empty() {
            self.owned(Column::RuleSet, rule_set.to_owned());
        }
        let would = |rule: &&Rule| observed & (1 << rule.code()) != 0;
        let names: Vec<&str> = Rule::ALL.iter().filter(would).map(|rule| rule.name()).collect();
        if !names.is_empty() {
            self.owned(Column::Observed, names.join(" "));
        }
        self.owned(Column::Status, CommandStatus(status).to_string());
    }
}

/// The receipt that counts of several: the last of a final state, else the last.
pub(super) fn last_receipt(receipts: &[Kept]) -> Option<&Kept> {
    let is_final = |kept: &&Kept| match kept.record() {
        Record::Receipt(receipt) => !receipt.is_intermediate(),
        _ => false,
    };
    receipts.iter().rev().find(is_final).or(receipts.last())
}

/// Whether it is surely a code of the Chinese plan: `1..`, `95..` or `96..`, at which nobody receives.
/// Ten digits that may be a fixed line in Beijing without its 0 are none.
fn is_code(address: &Address<'_>) -> bool {
    let Address { ton, npi, raw } = *address;
    let as_came = registry::Address { ton: Ton(ton), npi: Npi(npi), value: raw };
    let plainly = registry::Address { ton: Ton(0), npi: Npi(0), value: raw };
    let both = [as_came, plainly];
    let code = both.iter().find_map(|address| match registry::sender(address) {
        Ok(Sender::Code(digits)) => Some(digits),
        _ => None,
    });
    code.is_some_and(|digits| {
        let octets = digits.as_bytes();
        let in_beijing = octets.len() == 10 && matches!(octets, [b'1', b'0', b'2'..=b'8', ..]);
        !in_beijing && (octets.starts_with(b"1") || matches!(octets, [b'9', b'5' | b'6', ..]))
    }) && both.iter().all(|address| registry::recipient(address).is_err())
}

fn hex(octets: &[u8]) -> String {
    use std::fmt::Write;
    octets.iter().fold(String::with_capacity(2 * octets.len()), |mut text, octet| {
        let _ = write!(text, "{octet:02x}");
        text
    })
}

/// A time as texts show it: RFC 3339, UTC, six digits of the second.
pub fn time_text(micros: u64) -> String {
    i64::try_from(micros)
        .ok()
        .and_then(|micros| jiff::Timestamp::from_microsecond(micros).ok())
        .map_or_else(|| micros.to_string(), |time| format!("{time:.6}"))
}

/// The octets of what `hex` makes.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |sign: u8| char::from(sign).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let octets = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    octets.collect::<Option<Vec<u8>>>().filter(|_| rest.is_empty())
}

/// The text of a content as a handset with no other language table reads it.
pub fn text_of(record: &ContentRecord<'_>) -> Option<String> {
    let has_header = record.esm_class & ESM_CLASS_UDHI != 0;
    let body = Body::split(record.octets, has_header).ok()?;
    let mut text = String::new();
    decode(body, record.data_coding, Options::default(), &mut text).ok()?;
    Some(text)
}
