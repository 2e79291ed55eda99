//! What the SMSC tells of a message later: read, recorded, and on its way to the ESME as it came.

use super::desk::Desk;
use super::moment::Moment;
use super::session::Session;
use crate::audit::{self, ReceiptRecord};
use crate::smpp::message::{Message, WireAddress};
use crate::smpp::tlv::Tag;
use crate::smpp::{Command, Header};
use crate::text::receipt::{Date, Kind, Parameters, Receipt, State};
use crate::text::{self, Body};

/// The year that dates of receipts count from.
const EPOCH_YEAR: u16 = 2000;

impl Session {
    /// Records a frame from the SMSC where it is a receipt.
    pub(super) fn hear_receipt(
        &mut self,
        desk: &mut Desk,
        header: Header,
        frame: &[u8],
        now: Moment,
    ) {
        let parsed = match header.command {
            Command::DeliverSm => Message::parse(frame),
            Command::DataSm => Message::parse_data_sm(frame),
            _ => return,
        };
        // What does not parse is the ESME's to refuse.
        let Ok(message) = parsed else { return };
        if !is_receipt(&message) {
            return;
        }
        let receipt = read(&message, self.text_options, &mut desk.text);
        let record = record(self.id, header, &message, &receipt);
        self.later_records.receipt(now.wall_us, &record);
    }
}

/// Whether it is a receipt: by its esm_class, or, where that says nothing, by the id that it names.
fn is_receipt(message: &Message<'_>) -> bool {
    match Kind::of(message.esm_class) {
        Kind::DeliveryReceipt | Kind::IntermediateNotification => true,
        Kind::Message => message.tlvs.find(Tag::RECEIPTED_MESSAGE_ID).is_some(),
        Kind::DeliveryAcknowledgement
        | Kind::UserAcknowledgement
        | Kind::ConversationAbort
        | Kind::Reserved => false,
    }
}

/// Reads a receipt: its octets as they stand, or else, where no field is in them, as the text that they
/// are under their data_coding.
fn read<'a>(message: &Message<'a>, options: text::Options, decoded: &'a mut String) -> Receipt<'a> {
    let message_state = message.tlvs.find(Tag::MESSAGE_STATE).and_then(|one| one.first()).copied();
    let message_id = message.tlvs.find(Tag::RECEIPTED_MESSAGE_ID);
    let parameters = Parameters { message_id, message_state };
    let octets = message.text_octets();
    let as_it_stands = Receipt::read(octets, parameters);
    if !as_it_stands.text_id.is_empty() || !as_it_stands.stat.is_empty() || octets.is_empty() {
        return as_it_stands;
    }
    decoded.clear();
    let body = Body::split(octets, message.has_udh());
    let is_read =
        body.is_ok_and(|body| text::decode(body, message.data_coding, options, decoded).is_ok());
    if is_read { Receipt::read(decoded.as_bytes(), parameters) } else { as_it_stands }
}

fn record<'a>(
    session: u64,
    header: Header,
    message: &Message<'a>,
    receipt: &Receipt<'a>,
) -> ReceiptRecord<'a> {
    let address = |a: WireAddress<'a>| audit::Address { ton: a.ton, npi: a.npi, raw: a.value };
    let by = |id: &[u8], flag: u8| if id.is_empty() { 0 } else { flag };
    let message_id = receipt.message_id().unwrap_or(&[]);
    let network_error = message.tlvs.find(Tag::NETWORK_ERROR_CODE);
    ReceiptRecord {
        session,
        command_id: header.command.id(),
        sequence_number: header.sequence_number,
        esm_class: message.esm_class,
        state: receipt.state.map_or(ReceiptRecord::NO_STATE, State::value),
        flags: by(receipt.parameter_id, ReceiptRecord::BY_PARAMETER)
            | by(receipt.text_id, ReceiptRecord::BY_TEXT),
        network_error: network_error.and_then(|one| one.try_into().ok()).unwrap_or_default(),
        submitted: stated(receipt.submit_date),
        done: stated(receipt.done_date),
        source: address(message.source),
        destination: address(message.destination),
        message_id,
        text_id: if receipt.text_id == message_id { &[] } else { receipt.text_id },
        stat: receipt.stat,
        error: receipt.error,
    }
}

/// A date as records have it; zeros where there is none, or one before their epoch.
fn stated(date: Option<Date>) -> [u8; 6] {
    let stated = date.and_then(|date| {
        let year = u8::try_from(date.year.checked_sub(EPOCH_YEAR)?).ok()?;
        Some([year, date.month, date.day, date.hour, date.minute, date.second])
    });
    stated.unwrap_or_default()
}
