//! What the SMSC tells of a message later: read, recorded, and on its way to the ESME as it came, or,
//! where the proxy asked for it and the ESME did not, answered and kept back.

use super::asked::{ANY_RECEIPT, Asked};
use super::desk::Desk;
use super::knowledge::Knowledge;
use super::moment::Moment;
use super::relay::Crossing;
use super::session::{Session, StepKind};
use crate::audit::message_id::Tail;
use crate::audit::{self, ReceiptRecord};
use crate::smpp::message::{Message, WireAddress};
use crate::smpp::tlv::Tag;
use crate::smpp::{Command, CommandStatus, HEADER_OCTETS, Header, write};
use crate::text::receipt::{Date, Kind, Parameters, Receipt, State};
use crate::text::{self, Body};

/// The year that dates of receipts count from.
const EPOCH_YEAR: u16 = 2000;
/// Octets of our answer to a receipt: a header, and an empty message_id.
const ANSWER_OCTETS: usize = HEADER_OCTETS + 1;

impl Session {
    /// Records a frame from the SMSC where it is a receipt; how it crosses. One that the proxy asked for
    /// and the ESME did not is kept back: answered here, when its record is kept.
    pub(super) fn hear_receipt(
        &mut self,
        knowledge: &Knowledge,
        desk: &mut Desk,
        header: Header,
        frame: &[u8],
        now: Moment,
    ) -> Crossing {
        let parsed = match header.command {
            Command::DeliverSm => Message::parse(frame),
            Command::DataSm => Message::parse_data_sm(frame),
            _ => return Crossing::AsItCame,
        };
        // What does not parse is the ESME's to refuse.
        let Ok(message) = parsed else { return Crossing::AsItCame };
        if !is_receipt(&message) {
            return Crossing::AsItCame;
        }
        let mut text = std::mem::take(&mut desk.text);
        let receipt = read(&message, self.text_options, &mut text);
        let mut record = record(self.id, header, &message, &receipt);
        let is_kept = knowledge.asks_receipts && self.is_ours(knowledge, desk, &record);
        if is_kept {
            record.flags |= ReceiptRecord::KEPT_BACK;
            self.kept_records.receipt(now.wall_us, &record);
            self.write_answer(header);
        } else {
            self.later_records.receipt(now.wall_us, &record);
        }
        desk.text = text;
        if is_kept { Crossing::Not } else { Crossing::AsItCame }
    }

    /// Whether nobody but the proxy waits for a receipt.
    fn is_ours(&self, knowledge: &Knowledge, desk: &mut Desk, receipt: &ReceiptRecord<'_>) -> bool {
        let mut asked = knowledge.asked();
        // Ids that came in the same read as their receipts.
        remember_asked(&mut asked, desk);
        asked.take(receipt.keys(), receipt.is_final()).unwrap_or_else(|| {
            let handsets = [receipt.source.raw, receipt.destination.raw].map(Tail::of);
            self.window.awaits_for_us(handsets)
        })
    }

    /// deliver_sm_resp or data_sm_resp; its message_id is empty (SMPP 3.4 4.6.2, 4.7.2).
    fn write_answer(&mut self, header: Header) {
        let (id, ok) = (header.command.response_id(), CommandStatus::ESME_ROK);
        write::pdu(&mut self.kept_answers, id, ok, header.sequence_number, |body| body.push(0));
    }

    /// Puts the answers to receipts that are kept back into the batch, with the records that they wait
    /// for.
    pub(super) fn answer_kept(&mut self) {
        if !self.kept_answers.is_empty() {
            self.batch_records.take_from(&mut self.kept_records);
            self.own_frame.append(&mut self.kept_answers);
        }
    }

    /// The journal does not keep the records of these receipts: the SMSC is asked to send them again.
    pub(super) fn refuse_kept(&mut self) {
        let status = CommandStatus::ESME_RX_T_APPN.0.to_be_bytes();
        let (answers, _) = self.own_frame.as_chunks_mut::<ANSWER_OCTETS>();
        for answer in answers {
            if let Some(field) = answer.get_mut(8..12) {
                field.copy_from_slice(&status);
            }
        }
    }

    /// Sets the one bit that asks for a receipt in the messages that go on and do not ask for one. This,
    /// the list of a submit_multi that is narrowed, and the second sender of a message that is stripped, is all
    /// that is ever changed.
    pub(super) fn ask_for_receipts(&mut self) {
        if !self.asks_receipts || self.under_way {
            return;
        }
        let mut at = 0;
        for step in &self.steps {
            let octets = step.octets as usize;
            let frame = self.esme.octets().get(at..at + octets).unwrap_or(&[]);
            let place = match step.kind {
                StepKind::Pass { command: Command::DataSm, asks_receipt: true, .. } => {
                    Message::registered_delivery_of_data_sm_at(frame)
                }
                StepKind::Pass { asks_receipt: true, .. } => Message::registered_delivery_at(frame),
                _ => None,
            };
            if let Some(place) = place
                && let Some(octet) = self.esme.octet_mut(at + place)
            {
                *octet |= ANY_RECEIPT;
            }
            at += octets;
        }
    }
}

/// Ids whose receipts are waited for go into the memory of all sessions.
pub(super) fn remember_asked(asked: &mut Asked, desk: &mut Desk) {
    for (id, awaited) in desk.asked.drain(..) {
        asked.remember(id.as_slice(), awaited);
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
