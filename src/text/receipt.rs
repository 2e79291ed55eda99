//! Delivery receipts: what became of a message, as the SMSC tells it in a deliver_sm or data_sm.
//!
//! SMPP 3.4 leaves the text to the SMSC and gives an example (appendix B); SMSCs follow it loosely.
//! Everything is optional here, and reading never fails: what cannot be read is not there. Two
//! parameters say the same without a text, and come first.

/// What a deliver_sm or data_sm from an SMSC is, by bits 5 to 2 of its esm_class (SMPP 3.4 5.2.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A message of a subscriber's.
    Message,
    /// A receipt of the SMSC.
    DeliveryReceipt,
    /// An acknowledgement of the handset.
    DeliveryAcknowledgement,
    /// An acknowledgement of the user.
    UserAcknowledgement,
    /// The end of a conversation (Korean CDMA).
    ConversationAbort,
    /// A notice before the final state.
    IntermediateNotification,
    /// A value that the specification reserves.
    Reserved,
}

impl Kind {
    /// The kind that an esm_class names.
    pub fn of(esm_class: u8) -> Kind {
        match (esm_class >> 2) & 0b1111 {
            0 => Kind::Message,
            1 => Kind::DeliveryReceipt,
            2 => Kind::DeliveryAcknowledgement,
            4 => Kind::UserAcknowledgement,
            6 => Kind::ConversationAbort,
            8 => Kind::IntermediateNotification,
            _ => Kind::Reserved,
        }
    }
}

/// The state of a message (SMPP 3.4 5.2.28; the two outer ones SMPP 5.0 4.7.15).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Waits for its time.
    Scheduled,
    /// On its way.
    Enroute,
    /// Reached the handset.
    Delivered,
    /// Its validity ended.
    Expired,
    /// Was deleted.
    Deleted,
    /// Cannot be delivered.
    Undeliverable,
    /// Was read by customer service on the subscriber's behalf.
    Accepted,
    /// Nobody knows.
    Unknown,
    /// Was rejected.
    Rejected,
    /// Was skipped.
    Skipped,
}

impl State {
    /// The state that a message_state parameter names; `None` for a value that no specification has.
    pub fn of_value(message_state: u8) -> Option<State> {
        Some(match message_state {
            0 => State::Scheduled,
            1 => State::Enroute,
            2 => State::Delivered,
            3 => State::Expired,
            4 => State::Deleted,
            5 => State::Undeliverable,
            6 => State::Accepted,
            7 => State::Unknown,
            8 => State::Rejected,
            9 => State::Skipped,
            _ => return None,
        })
    }

    /// The message_state that names it.
    pub fn value(self) -> u8 {
        match self {
            State::Scheduled => 0,
            State::Enroute => 1,
            State::Delivered => 2,
            State::Expired => 3,
            State::Deleted => 4,
            State::Undeliverable => 5,
            State::Accepted => 6,
            State::Unknown => 7,
            State::Rejected => 8,
            State::Skipped => 9,
        }
    }

    /// The state that a `stat:` names, in any case, by its seven letters or its whole word; `None`
    /// for a carrier's own code.
    pub fn of_word(stat: &[u8]) -> Option<State> {
        const WORDS: [(&[u8], State); 19] = [
            (b"SCHEDLD", State::Scheduled),
            (b"SCHEDULED", State::Scheduled),
            (b"ENROUTE", State::Enroute),
            (b"DELIVRD", State::Delivered),
            (b"DELIVERED", State::Delivered),
            (b"EXPIRED", State::Expired),
            (b"DELETED", State::Deleted),
            (b"UNDELIV", State::Undeliverable),
            (b"UNDELIVERED", State::Undeliverable),
            (b"UNDELIVERABLE", State::Undeliverable),
            (b"UNDELIVRD", State::Undeliverable),
            (b"ACCEPTD", State::Accepted),
            (b"ACCEPTED", State::Accepted),
            (b"UNKNOWN", State::Unknown),
            (b"UNKNOWND", State::Unknown),
            (b"REJECTD", State::Rejected),
            (b"REJECTED", State::Rejected),
            (b"SKIPPED", State::Skipped),
            (b"SKIPPD", State::Skipped),
        ];
        let found = WORDS.iter().find(|(word, _)| word.eq_ignore_ascii_case(stat));
        found.map(|(_, state)| *state)
    }

    /// Whether the message can reach no other state.
    pub fn is_final(self) -> bool {
        !matches!(self, State::Scheduled | State::Enroute)
    }
}

/// A time of the SMSC's own zone, which receipts do not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date {
    /// Full year.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59; 0 where the receipt has none.
    pub second: u8,
}

impl Date {
    /// Reads `YYMMDDhhmm`, `YYMMDDhhmmss`, `YYYYMMDDhhmm` with a year of this century, or
    /// `YYYYMMDDhhmmss`, with any of `-/: T` between the digits.
    pub fn read(octets: &[u8]) -> Option<Date> {
        const DIGITS_MAX: usize = 14;
        let mut digits = [0_u8; DIGITS_MAX];
        let mut count = 0;
        for &octet in octets {
            match octet {
                b'0'..=b'9' => {
                    *digits.get_mut(count)? = octet - b'0';
                    count += 1;
                }
                b'-' | b'/' | b':' | b' ' | b'T' => {}
                _ => return None,
            }
        }
        let two = |at: usize| Some(digits.get(at)? * 10 + digits.get(at + 1)?);
        // Twelve digits are either: a year of this century begins with 20, which as YY would be 2020
        // and then its next two a month above 12.
        let is_full = count == 14 || (count == 12 && two(0)? == 20 && two(2)? > 12);
        let (century, at) = match (count, is_full) {
            (10 | 12, false) => (20, 0),
            (12 | 14, true) => (u16::from(two(0)?), 2),
            _ => return None,
        };
        let has_second = count - at == 12;
        let date = Date {
            year: century * 100 + u16::from(two(at)?),
            month: two(at + 2)?,
            day: two(at + 4)?,
            hour: two(at + 6)?,
            minute: two(at + 8)?,
            second: if has_second { two(at + 10)? } else { 0 },
        };
        let valid = matches!(date.month, 1..=12)
            && matches!(date.day, 1..=31)
            && date.hour < 24
            && date.minute < 60
            && date.second < 60;
        valid.then_some(date)
    }
}

/// The parameters that a receipt may carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Parameters<'a> {
    /// receipted_message_id, with its NUL or without.
    pub message_id: Option<&'a [u8]>,
    /// message_state.
    pub message_state: Option<u8>,
}

/// A receipt. Values are borrowed, and empty where they are not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Receipt<'a> {
    /// The id by receipted_message_id.
    pub parameter_id: &'a [u8],
    /// The id by `id:`.
    pub text_id: &'a [u8],
    /// The state by message_state, or else by `stat:`.
    pub state: Option<State>,
    /// `stat:` as it stands: carriers have codes of their own.
    pub stat: &'a [u8],
    /// `err:` as it stands: a carrier's own code.
    pub error: &'a [u8],
    /// `sub:`, how many messages were submitted.
    pub submitted: Option<u16>,
    /// `dlvrd:`, how many were delivered.
    pub delivered: Option<u16>,
    /// `submit date:`.
    pub submit_date: Option<Date>,
    /// `done date:`.
    pub done_date: Option<Date>,
    /// `text:`, the beginning of the message.
    pub text: &'a [u8],
}

#[derive(Clone, Copy)]
enum Field {
    Id,
    Submitted,
    Delivered,
    SubmitDate,
    DoneDate,
    Stat,
    Error,
    Text,
}

/// The names of the fields, without the colon; the space in two of them may be an underscore, or
/// missing.
const FIELDS: [(&[u8], Field); 12] = [
    (b"id", Field::Id),
    (b"sub", Field::Submitted),
    (b"dlvrd", Field::Delivered),
    (b"submit date", Field::SubmitDate),
    (b"submit_date", Field::SubmitDate),
    (b"submitdate", Field::SubmitDate),
    (b"done date", Field::DoneDate),
    (b"done_date", Field::DoneDate),
    (b"donedate", Field::DoneDate),
    (b"stat", Field::Stat),
    (b"err", Field::Error),
    (b"text", Field::Text),
];

impl<'a> Receipt<'a> {
    /// Reads a receipt's text (ASCII, or the UTF-8 of a decoded one) and its parameters.
    ///
    /// Fields stand in any order and any case, behind blanks, commas or semicolons; a value goes up
    /// to the next field's name, so that dates may have blanks; `text:` takes all that follows it. Of
    /// a field that is there twice the first counts: what follows may be the subscriber's own text.
    pub fn read(text: &'a [u8], parameters: Parameters<'a>) -> Receipt<'a> {
        let mut receipt = Receipt::default();
        let mut found = next_field(text, 0);
        while let Some((field, _, value_at)) = found {
            found = match field {
                Field::Text => None,
                _ => next_field(text, value_at),
            };
            let end = found.map_or(text.len(), |(_, name_at, _)| name_at);
            receipt.set(field, text.get(value_at..end).unwrap_or(&[]));
        }
        let id = parameters.message_id.unwrap_or(&[]);
        receipt.parameter_id = id.strip_suffix(b"\0").unwrap_or(id);
        let by_parameter = parameters.message_state.and_then(State::of_value);
        receipt.state = by_parameter.or_else(|| State::of_word(receipt.stat));
        receipt
    }

    /// The id of the message, by the parameter or else by the text; `None` where there is neither.
    ///
    /// SMSCs are known that write one of them in decimal and the other in hexadecimal: try
    /// [`Receipt::text_id`] as well where this one is unknown.
    pub fn message_id(&self) -> Option<&'a [u8]> {
        [self.parameter_id, self.text_id].into_iter().find(|id| !id.is_empty())
    }

    fn set(&mut self, field: Field, value: &'a [u8]) {
        let value = trimmed(value);
        let first = |slot: &mut &'a [u8], value| {
            if slot.is_empty() {
                *slot = value;
            }
        };
        match field {
            Field::Id => first(&mut self.text_id, value),
            Field::Stat => first(&mut self.stat, value),
            Field::Error => first(&mut self.error, value),
            Field::Text => first(&mut self.text, value),
            Field::Submitted => self.submitted = self.submitted.or(count(value)),
            Field::Delivered => self.delivered = self.delivered.or(count(value)),
            Field::SubmitDate => self.submit_date = self.submit_date.or(Date::read(value)),
            Field::DoneDate => self.done_date = self.done_date.or(Date::read(value)),
        }
    }
}

/// The next field from `from` on: where its name begins and where its value does. A name stands at
/// the beginning or behind a blank or a separator, and before a colon.
fn next_field(text: &[u8], from: usize) -> Option<(Field, usize, usize)> {
    (from..text.len()).find_map(|at| {
        let begins =
            at == 0 || text.get(at - 1).is_some_and(|&b| is_blank(b) || (at == from && b == b':'));
        if !begins {
            return None;
        }
        let rest = text.get(at..)?;
        FIELDS.iter().find_map(|(name, field)| {
            let (spelled, behind) = rest.split_at_checked(name.len())?;
            let is_it = spelled.eq_ignore_ascii_case(name) && behind.first() == Some(&b':');
            is_it.then_some((*field, at, at + name.len() + 1))
        })
    })
}

fn is_blank(octet: u8) -> bool {
    octet.is_ascii_whitespace() || matches!(octet, b',' | b';' | 0)
}

fn trimmed(mut value: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = value
        && is_blank(*first)
    {
        value = rest;
    }
    while let [rest @ .., last] = value
        && is_blank(*last)
    {
        value = rest;
    }
    value
}

/// A count of one to five digits.
fn count(value: &[u8]) -> Option<u16> {
    const DIGITS_MAX: usize = 5;
    if value.is_empty() || value.len() > DIGITS_MAX || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(value).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn date(year: u16, month: u8, day: u8, hour: u8, minute: u8, second: u8) -> Option<Date> {
        Some(Date { year, month, day, hour, minute, second })
    }

    /// The fields in short: id, state, stat, err, counts, whether each date was read, text.
    fn short(text: &str) -> String {
        let r = Receipt::read(text.as_bytes(), Parameters::default());
        let s = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        let n = |count: Option<u16>| count.map_or("-".to_owned(), |count| count.to_string());
        let d = |date: Option<Date>| date.map_or('-', |_| '+');
        format!(
            "{}|{:?}|{}|{}|{}/{}|{}{}|{}",
            s(r.text_id),
            r.state,
            s(r.stat),
            s(r.error),
            n(r.delivered),
            n(r.submitted),
            d(r.submit_date),
            d(r.done_date),
            s(r.text)
        )
    }

    #[test]
    fn texts_of_many_hands_are_read() {
        let cases = [
            (
                "id:0123456789 sub:001 dlvrd:001 submit date:2601021530 done date:2601021531 stat:DELIVRD err:000 text:hello id:9",
                "0123456789|Some(Delivered)|DELIVRD|000|1/1|++|hello id:9",
            ),
            (
                "id:4A6F-x sub:001 dlvrd:000 submit date:260102153000 done date:260102153100 stat:UNDELIV err:0x1 Text:",
                "4A6F-x|Some(Undeliverable)|UNDELIV|0x1|0/1|++|",
            ),
            (
                "ID:7 SUBMIT_DATE:20260102153000 DONE_DATE:20260102153100 STAT:expired ERR:27",
                "7|Some(Expired)|expired|27|-/-|++|",
            ),
            ("id:7, stat:REJECTD; err:8", "7|Some(Rejected)|REJECTD|8|-/-|--|"),
            ("stat:DELIVRD id:7", "7|Some(Delivered)|DELIVRD||-/-|--|"),
            (
                "id:7 submit date:2026-01-02 15:30:00 done date:2026-01-02 15:31:00 stat:ACCEPTD",
                "7|Some(Accepted)|ACCEPTD||-/-|++|",
            ),
            ("id:7 sub:1 dlvrd:1 stat:MK:0001 err:MK", "7|None|MK:0001|MK|1/1|--|"),
            ("id:7 sub:001 dlvrd: stat: err:", "7|None|||-/1|--|"),
            ("id:7 sub:x dlvrd:70000 stat:DELIVRD", "7|Some(Delivered)|DELIVRD||-/-|--|"),
            ("id:1 id:2 stat:DELIVRD stat:EXPIRED", "1|Some(Delivered)|DELIVRD||-/-|--|"),
            ("id: 7 stat: DELIVRD ", "7|Some(Delivered)|DELIVRD||-/-|--|"),
            ("text:id:7 stat:DELIVRD", "|None|||-/-|--|id:7 stat:DELIVRD"),
            ("paid:7 ostat:DELIVRD", "|None|||-/-|--|"),
            ("id:stat:DELIVRD", "|Some(Delivered)|DELIVRD||-/-|--|"),
            ("退订 id:7", "7|None|||-/-|--|"),
            ("", "|None|||-/-|--|"),
        ];
        for (text, expected) in cases {
            assert_eq!(short(text), expected, "{text}");
        }
    }

    #[test]
    fn parameters_come_before_the_text() {
        let text = b"id:255 stat:UNDELIV";
        let both = Parameters { message_id: Some(b"FF\0"), message_state: Some(2) };
        let receipt = Receipt::read(text, both);
        assert_eq!(receipt.message_id(), Some(&b"FF"[..]));
        assert_eq!((receipt.text_id, receipt.state), (&b"255"[..], Some(State::Delivered)));
        let unterminated = Parameters { message_id: Some(b"FF"), message_state: Some(99) };
        let receipt = Receipt::read(text, unterminated);
        assert_eq!(receipt.message_id(), Some(&b"FF"[..]));
        assert_eq!(receipt.state, Some(State::Undeliverable), "99 is no state");
        let empty = Parameters { message_id: Some(b"\0"), message_state: None };
        assert_eq!(Receipt::read(text, empty).message_id(), Some(&b"255"[..]));
        assert_eq!(Receipt::read(b"", Parameters::default()).message_id(), None);
    }

    #[test]
    fn dates_are_read_in_their_published_forms() {
        let cases = [
            ("2601021530", date(2026, 1, 2, 15, 30, 0)),
            ("260102153059", date(2026, 1, 2, 15, 30, 59)),
            ("200102153059", date(2020, 1, 2, 15, 30, 59)),
            ("202601021530", date(2026, 1, 2, 15, 30, 0)),
            ("20260102153059", date(2026, 1, 2, 15, 30, 59)),
            ("2026-01-02 15:30:59", date(2026, 1, 2, 15, 30, 59)),
            ("2026/01/02T15:30", date(2026, 1, 2, 15, 30, 0)),
            ("260102", None),
            ("2613021530", None),
            ("2601001530", None),
            ("2601322530", None),
            ("2601021560", None),
            ("260102153060", None),
            ("202601021530590", None),
            ("26010215x0", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(Date::read(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn esm_class_tells_receipts_from_messages() {
        let cases = [
            (0x00, Kind::Message),
            (0x40, Kind::Message),
            (0x04, Kind::DeliveryReceipt),
            (0x44, Kind::DeliveryReceipt),
            (0x07, Kind::DeliveryReceipt),
            (0x08, Kind::DeliveryAcknowledgement),
            (0x10, Kind::UserAcknowledgement),
            (0x18, Kind::ConversationAbort),
            (0x20, Kind::IntermediateNotification),
            (0x0c, Kind::Reserved),
            (0x3c, Kind::Reserved),
        ];
        for (esm_class, expected) in cases {
            assert_eq!(Kind::of(esm_class), expected, "{esm_class:#04x}");
        }
        for value in 0..=u8::MAX {
            assert_eq!(State::of_value(value).is_some(), value < 10);
        }
        let not_final = (0..10).filter_map(State::of_value).filter(|state| !state.is_final());
        assert_eq!(not_final.collect::<Vec<_>>(), [State::Scheduled, State::Enroute]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn any_octets_are_read(text in prop::collection::vec(any::<u8>(), 0..300)) {
            let receipt = Receipt::read(&text, Parameters::default());
            prop_assert!(receipt.text_id.len() <= text.len());
        }

        #[test]
        fn what_is_written_is_read(id in "[0-9A-Za-z-]{1,64}", err in "[0-9]{3}", rest in "[ -~]{0,20}") {
            let text = format!("id:{id} sub:001 dlvrd:001 submit date:2601021530 done date:2601021531 stat:DELIVRD err:{err} text:{rest}");
            let receipt = Receipt::read(text.as_bytes(), Parameters::default());
            prop_assert_eq!(receipt.message_id(), Some(id.as_bytes()));
            prop_assert_eq!(receipt.error, err.as_bytes());
            prop_assert_eq!(receipt.state, Some(State::Delivered));
        }
    }
}
