//! What the SMSC sends by itself: messages of subscribers, and receipts.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Shared, lock};
use crate::smpp::Command;
use crate::smpp::message::{Message, WireAddress};
use crate::smpp::tlv::Tag;
use crate::smpp::write::{self, MessageFields};

/// Receipt in esm_class (SMPP 3.4 5.2.12).
const ESM_CLASS_RECEIPT: u8 = 0x04;
/// DELIVERED of message_state (SMPP 3.4 5.2.28).
pub(super) const MESSAGE_STATE_DELIVERED: u8 = 2;
/// Longest short_message, octets.
const SHORT_MESSAGE_OCTETS_MAX: usize = 254;

/// TON and NPI of a number: international ISDN.
fn isdn(value: &[u8]) -> WireAddress<'_> {
    WireAddress { ton: 1, npi: 1, value }
}

/// A deliver_sm from a subscriber.
pub(super) fn message(
    sequence: u32,
    source: &str,
    destination: &str,
    data_coding: u8,
    text: &[u8],
) -> Vec<u8> {
    let long = text.len() > SHORT_MESSAGE_OCTETS_MAX;
    let fields = MessageFields {
        source: isdn(source.as_bytes()),
        destination: isdn(destination.as_bytes()),
        esm_class: 0,
        registered_delivery: 0,
        data_coding,
        short_message: if long { b"" } else { text },
    };
    let mut out = Vec::new();
    write::message(&mut out, Command::DeliverSm, sequence, fields, |o| {
        if long {
            write::tlv(o, Tag::MESSAGE_PAYLOAD, text);
        }
    });
    out
}

/// Whether registered_delivery asks for a receipt of success (SMPP 3.4 5.2.17).
pub(super) fn wants_receipt(registered_delivery: u8) -> bool {
    registered_delivery & 0b11 == 0b01
}

/// The receipt for a message that was delivered at once (SMPP 3.4 appendix B).
pub(super) fn receipt(sequence: u32, message_id: &[u8], of: &Message<'_>) -> Vec<u8> {
    let date = Timestamp::now().strftime("%y%m%d%H%M").to_string();
    let text = format!(
        "id:{} sub:001 dlvrd:001 submit date:{date} done date:{date} stat:DELIVRD err:000 text:",
        String::from_utf8_lossy(message_id)
    );
    let fields = MessageFields {
        source: of.destination,
        destination: of.source,
        esm_class: ESM_CLASS_RECEIPT,
        registered_delivery: 0,
        data_coding: 0,
        short_message: text.as_bytes(),
    };
    let mut out = Vec::new();
    write::message(&mut out, Command::DeliverSm, sequence, fields, |o| {
        write::tlv(o, Tag::RECEIPTED_MESSAGE_ID, &[message_id, b"\0"].concat());
        write::tlv(o, Tag::MESSAGE_STATE, &[MESSAGE_STATE_DELIVERED]);
    });
    out
}

/// The present in absolute time format (SMPP 3.4 7.1.1), UTC.
pub(super) fn final_date() -> String {
    Timestamp::now().strftime("%y%m%d%H%M%S000+").to_string()
}

/// Sends the configured message to every session that can receive, until the SMSC ends.
pub(super) async fn again_and_again(shared: Arc<Shared>) {
    let Some(deliver) = shared.options.deliver.clone() else { return };
    let mut ticks = tokio::time::interval(deliver.every.max(std::time::Duration::from_millis(1)));
    loop {
        ticks.tick().await;
        let system_ids: Vec<_> =
            lock(&shared.receivers).iter().map(|r| r.system_id.clone()).collect();
        for system_id in system_ids {
            let sequence = shared.next_sequence();
            let (source, destination) = (&deliver.source, &deliver.destination);
            let pdu = message(sequence, source, destination, deliver.data_coding, &deliver.text);
            shared.hand(&system_id, &pdu);
        }
    }
}
