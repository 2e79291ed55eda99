//! The records that a row rests on, and the row that is made of them.

use serde_json::{Value, json};

use super::super::row::{Numbers, Row};
use super::super::sessions::Named;
use crate::audit::{CONTENT_BEHIND_MAX, Kept, REFUSE, Record, belongs};

/// The numbers of the records of a row; 0 where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowRecords {
    /// The row's own.
    pub record: u64,
    /// The start or rules record that says which rule set was in force.
    pub rules: u64,
    /// The bind of its session.
    pub bind: u64,
    /// The SMSC's answer, or its absence.
    pub answer: u64,
    /// That the SMSC did not take this destination of a submit_multi.
    pub unsuccess: u64,
    /// The receipt.
    pub receipt: u64,
    /// What the message says.
    pub content: u64,
}

impl RowRecords {
    /// All of them but the row's own.
    pub(super) fn others(&self) -> impl Iterator<Item = u64> {
        [self.rules, self.bind, self.answer, self.unsuccess, self.receipt, self.content]
            .into_iter()
            .filter(|number| *number != 0)
    }

    /// As an object; those that are not there are left out.
    pub(super) fn to_json(self) -> Value {
        let all = [
            ("rules", self.rules),
            ("bind", self.bind),
            ("answer", self.answer),
            ("unsuccess", self.unsuccess),
            ("receipt", self.receipt),
            ("content", self.content),
        ];
        let there = all.into_iter().filter(|(_, number)| *number != 0);
        Value::Object(there.map(|(name, number)| (name.to_owned(), json!(number))).collect())
    }

    pub(super) fn from_json(record: u64, value: &Value) -> Option<RowRecords> {
        let object = value.as_object()?;
        let number = |name: &str| match object.get(name) {
            None => Some(0),
            Some(number) => number.as_u64().filter(|number| *number != 0),
        };
        let read = RowRecords {
            record,
            rules: number("rules")?,
            bind: number("bind")?,
            answer: number("answer")?,
            unsuccess: number("unsuccess")?,
            receipt: number("receipt")?,
            content: number("content")?,
        };
        (read.to_json() == *value).then_some(read)
    }
}

/// The records of a row.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// The row's own.
    pub record: &'a Kept,
    /// The rule set in force.
    pub rule_set: &'a str,
    /// The bind of its session; none where it is itself a bind.
    pub bind: Option<&'a Kept>,
    /// A response or unanswered record.
    pub answer: Option<&'a Kept>,
    /// An unsuccess record.
    pub unsuccess: Option<&'a Kept>,
    /// A receipt record.
    pub receipt: Option<&'a Kept>,
    /// A content record that can be read.
    pub content: Option<&'a Kept>,
}

impl<'a> Parts<'a> {
    /// A record by itself, under the rule set of its time.
    pub(super) fn of(record: &'a Kept) -> Parts<'a> {
        let (bind, answer, unsuccess, receipt, content) = (None, None, None, None, None);
        Parts { record, rule_set: &record.rule_set, bind, answer, unsuccess, receipt, content }
    }

    /// The row, its numbers whole.
    pub fn row(&self) -> Row<'a> {
        let Kept { number, time_us, .. } = *self.record;
        let record = self.record.record();
        let mut row = Row::of(number, time_us, self.rule_set, &record, Numbers::Whole);
        if let Some(Record::Bind(bind)) = self.bind.map(Kept::record) {
            row.name(&Named {
                provider: bind.provider.to_owned(),
                system_id: bind.system_id.escape_ascii().to_string(),
            });
        }
        if matches!(record, Record::Verdict(verdict) if verdict.verdict != REFUSE) {
            row.answer(self.answer);
        }
        if let Some(unsuccess) = self.unsuccess {
            row.unsuccess(unsuccess);
        }
        if let Some(receipt) = self.receipt {
            row.told(receipt);
        }
        if let Some(content) = self.content {
            row.says(content);
        }
        row
    }

    /// Whether the records belong together as the row says; else which does not.
    pub(super) fn fault(&self) -> Option<&'static str> {
        let (session, sequence_number, recipient) = match self.record.record() {
            Record::Verdict(found) => (found.session, found.sequence_number, found.destination.raw),
            Record::Reply(found) => (found.session, 0, found.source.raw),
            // Of no session: nothing else belongs to them.
            Record::Bind(_) | Record::Consent(_) => (0, 0, &[][..]),
            _ => return Some("the record is no message, bind, reply or event of consent"),
        };
        let number = self.record.number;
        let before = |kept: &Kept| kept.number < number;
        let bind_fits = |kept: &Kept| {
            before(kept) && matches!(kept.record(), Record::Bind(bind) if bind.session == session)
        };
        if self.bind.is_some_and(|kept| !bind_fits(kept)) {
            return Some("the bind is not that of its session");
        }
        let key = (session, sequence_number);
        let mut id = Vec::new();
        let answer_fits = |kept: &Kept, id: &mut Vec<u8>| match kept.record() {
            Record::Response(found) => {
                id.extend_from_slice(found.message_id);
                (found.session, found.sequence_number) == key
            }
            Record::Unanswered(found) => (found.session, found.sequence_number) == key,
            _ => false,
        };
        if self.answer.is_some_and(|kept| before(kept) || !answer_fits(kept, &mut id)) {
            return Some("the answer is not that of the message");
        }
        let unsuccess_fits = |kept: &Kept| {
            matches!(kept.record(), Record::Unsuccess(found)
                if (found.session, found.sequence_number) == key
                    && found.destination.raw == recipient)
        };
        if self.unsuccess.is_some_and(|kept| !unsuccess_fits(kept)) {
            return Some("the refused destination is not that of the message");
        }
        let receipt_fits = |kept: &Kept| matches!(kept.record(), Record::Receipt(found) if belongs(&found, &id, recipient));
        if self.receipt.is_some_and(|kept| !receipt_fits(kept)) {
            return Some("the receipt is not that of the message");
        }
        // Another message of the session may have had the number, but not one so near.
        let content_fits = |kept: &Kept| {
            matches!(kept.record(), Record::Content(found)
                if (found.session, found.sequence_number) == key
                    && (1..=CONTENT_BEHIND_MAX).contains(&kept.number.saturating_sub(number)))
        };
        if self.content.is_some_and(|kept| !content_fits(kept)) {
            return Some("the content is not that of the message");
        }
        None
    }
}
