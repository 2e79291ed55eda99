//! The table of kind `postgres`: its names, columns and indexes, as they are written and as they are read.
//!
//! Beside the table stands another, `<table>_journals`, which says in what form the rows of each journal are
//! from a record on: what a search by number needs to know.

use crate::archive::{Column, Holds};

/// Kinds that are found by themselves. In an index's condition the kind has an empty text behind it, so that
/// the planner takes that index for questions that are written in the same words and for no other: it would
/// rather walk all messages in the order of their times than look for one number.
pub(super) const FOUND: &str = "kind || '' IN ('verdict', 'bind', 'reply', 'consent')";
/// The last digits of an address, by which its spellings are found.
pub const TAIL_DIGITS: usize = 8;

/// Names of a table, quoted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    /// Its schema with a full stop behind it, or nothing.
    schema: String,
    name: String,
}

impl Table {
    /// Of the name in the configuration: letters, digits, `_`, and a full stop behind a schema.
    pub fn new(name: &str) -> Table {
        match name.rsplit_once('.') {
            Some((schema, name)) => {
                Table { schema: format!("\"{schema}\"."), name: name.to_owned() }
            }
            None => Table { schema: String::new(), name: name.to_owned() },
        }
    }

    /// The table itself.
    pub fn rows(&self) -> String {
        self.named("")
    }

    /// In what form rows are.
    pub fn journals(&self) -> String {
        self.named("_journals")
    }

    /// A month's partition.
    pub fn partition(&self, (year, month): (i16, i8)) -> String {
        self.named(&format!("_y{year:04}m{month:02}"))
    }

    fn named(&self, more: &str) -> String {
        format!("{}\"{}{more}\"", self.schema, self.name)
    }
}

/// Every column of the table with its type: the key, how a row hangs together with its journal, then those of
/// a row.
pub(super) fn columns() -> impl Iterator<Item = (&'static str, &'static str)> {
    let kind = |column: &Column| match column {
        Column::Record => "bigint NOT NULL",
        Column::Time => "timestamptz NOT NULL",
        _ => match column.holds() {
            Holds::Number => "bigint",
            Holds::Time => "timestamptz",
            Holds::Text => "text",
        },
    };
    let key = [
        ("node", "text NOT NULL"),
        ("journal", "text NOT NULL"),
        ("previous", "bigint"),
        ("leaf", "bytea"),
    ];
    key.into_iter().chain(Column::ALL.iter().map(move |column| (column.name(), kind(column))))
}

/// What makes the indexes of a partition, which are many: each search has one of its own, and most rows stand
/// in few of them. A partition gets them while it is empty.
pub(super) fn indexes(partition: &str) -> String {
    let (id, text_id, entity) = (ID_FORM, text_id_form(), ENTITY);
    let tail = |column: &str| format!("(right({column}, {TAIL_DIGITS})), time");
    [
        ("time, journal, record".to_owned(), FOUND.to_owned()),
        ("destination_token, time".to_owned(), PERSON_TO.to_owned()),
        ("source_token, time".to_owned(), PERSON_FROM.to_owned()),
        (tail("destination"), CODE_TO.to_owned()),
        (tail("source"), CODE_FROM.to_owned()),
        ("provider, time".to_owned(), PROVIDER.to_owned()),
        (format!("({entity}), time"), CONSENT.to_owned()),
        ("rule, time".to_owned(), "rule IS NOT NULL".to_owned()),
        ("journal, session, sequence_number, record".to_owned(), "session IS NOT NULL".to_owned()),
        (format!("({id}), time"), "message_id IS NOT NULL".to_owned()),
        (format!("({text_id}), time"), RECEIPT_TEXT.to_owned()),
        ("entity_id, time".to_owned(), "entity_id IS NOT NULL".to_owned()),
        ("template_id, time".to_owned(), "template_id IS NOT NULL".to_owned()),
        ("consent_id, time".to_owned(), "consent_id IS NOT NULL".to_owned()),
        ("journal, record".to_owned(), "kind = 'checkpoint'".to_owned()),
    ]
    .map(|(by, of)| format!("CREATE INDEX ON {partition} ({by}) WHERE {of};\n"))
    .concat()
        + &format!(
            "CREATE INDEX ON {partition} USING gin (string_to_array(observed, ' ')) \
             WHERE observed IS NOT NULL;\n"
        )
}

/// Rows with a token of who received, receipts excepted: those are found by their message.
pub(super) const PERSON_TO: &str = "destination_token IS NOT NULL AND kind <> 'receipt'";
/// The same of who sent.
pub(super) const PERSON_FROM: &str = "source_token IS NOT NULL AND kind <> 'receipt'";
/// Rows without a token, whose address is a code, or any in a mirror of whole numbers.
pub(super) const CODE_TO: &str =
    "destination_token IS NULL AND destination IS NOT NULL AND kind <> 'receipt'";
/// The same of who sent.
pub(super) const CODE_FROM: &str =
    "source_token IS NULL AND source IS NOT NULL AND kind <> 'receipt'";
/// Rows that a search by provider gives.
pub(super) const PROVIDER: &str = "provider IS NOT NULL AND kind IN ('verdict', 'bind', 'reply')";
/// Events of consent, of which the entity is the provider.
pub(super) const CONSENT: &str = "kind = 'consent'";
/// Whose consent an event is of.
pub(super) const ENTITY: &str = "detail::jsonb ->> 'entity'";
/// A message_id without what its spellings differ in, but for the base.
pub(super) const ID_FORM: &str = "rtrim(ltrim(lower(message_id), ' 0x'))";

/// Receipts whose text names another id than their parameter.
pub(super) const RECEIPT_TEXT: &str =
    "kind = 'receipt' AND detail::jsonb ->> 'message_id_of_text' <> ''";

/// The same of the id that a receipt has in its text.
pub(super) fn text_id_form() -> String {
    ID_FORM.replace("message_id", "detail::jsonb ->> 'message_id_of_text'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_with_their_schema() {
        let plain = Table::new("records");
        assert_eq!(plain.rows(), "\"records\"");
        let within = Table::new("audit.records");
        assert_eq!(within.journals(), "\"audit\".\"records_journals\"");
        assert_eq!(within.partition((2026, 3)), "\"audit\".\"records_y2026m03\"");
    }
}
