//! Receipts: what is read is borrowed from what came, and fields in any order are the same fields.

use consentry::text::receipt::{Date, Kind, Parameters, Receipt, State};

use crate::input::{Input, is_within};

/// Any text reads twice alike; one that is written from fields reads back as them, in every order.
pub fn receipts(octets: &[u8]) {
    let mut input = Input(octets);
    let choice = input.octet();
    Kind::of(choice);
    let state = (choice & 1 == 1).then(|| input.octet());
    let id = input.octets(8);
    let parameters =
        Parameters { message_id: (choice & 2 == 2).then_some(id), message_state: state };
    let text = input.0;
    let read = Receipt::read(text, parameters);
    assert_eq!(read, Receipt::read(text, parameters));
    for value in [read.text_id, read.stat, read.error, read.text] {
        assert!(is_within(value, text));
    }
    assert!(is_within(read.parameter_id, id));
    assert_eq!(
        read.message_id().is_some(),
        !(read.parameter_id.is_empty() && read.text_id.is_empty())
    );
    for date in [read.submit_date, read.done_date].into_iter().flatten() {
        assert!((1..=12).contains(&date.month) && (1..=31).contains(&date.day));
        assert!(date.hour < 24 && date.minute < 60 && date.second < 61);
    }
    Date::read(text);
    State::of_word(text);
    assembled(choice, text);
}

/// Values of letters and digits, in an order that `choice` rotates.
fn assembled(choice: u8, octets: &[u8]) {
    let mut input = Input(octets);
    let mut word = || -> String {
        let taken = input.octets(6).iter();
        taken.map(|octet| char::from(b'a' + octet % 26)).chain(['9']).collect()
    };
    let (id, stat, error) = (word(), word(), word());
    let mut fields = [format!("id:{id}"), format!("stat:{stat}"), format!("err:{error}")];
    fields.rotate_left(usize::from(choice) % 3);
    if choice & 8 == 8 {
        fields.swap(0, 1);
    }
    let separator = [" ", "\t", ";", ", ", "  "][usize::from(choice >> 4) % 5];
    let written = format!("{}{separator}text:id:no stat:no", fields.join(separator));
    let read = Receipt::read(written.as_bytes(), Parameters::default());
    assert_eq!(read.text_id, id.as_bytes(), "{written}");
    assert_eq!(read.stat, stat.as_bytes(), "{written}");
    assert_eq!(read.error, error.as_bytes(), "{written}");
    assert_eq!(read.text, b"id:no stat:no", "{written}");
}
