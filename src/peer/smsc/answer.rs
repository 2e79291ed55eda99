//! What the SMSC answers, command by command. No socket here.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::deliver::{self, MESSAGE_STATE_DELIVERED};
use super::{Counts, Shared};
use crate::smpp::bind::Bind;
use crate::smpp::message::Message;
use crate::smpp::multi::SubmitMulti;
use crate::smpp::operation::{CancelSm, QuerySm, ReplaceSm};
use crate::smpp::tlv::Tag;
use crate::smpp::{Command, CommandStatus, HEADER_OCTETS, Header, Malformed, write};

/// Digits of a message_id, hexadecimal, in lower case.
pub const MESSAGE_ID_DIGITS: usize = 16;
/// message_ids that a session takes at once, so that sessions do not contend for each.
const MESSAGE_IDS: u64 = 1 << 16;
/// Size of a submit_sm_resp with its message_id.
const SUBMIT_SM_RESP_OCTETS: usize = HEADER_OCTETS + MESSAGE_ID_DIGITS + 1;

/// What a session may do (SMPP 3.4 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BindState {
    Open,
    Transmitter,
    Receiver,
    Transceiver,
    Unbound,
}

/// What to do when an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// Go on.
    Go,
    /// The session can receive from now on.
    Receive,
    /// Write what is there and close.
    Close,
}

/// The answering half of a session.
pub(super) struct Answering {
    shared: Arc<Shared>,
    state: BindState,
    pub(super) system_id: Vec<u8>,
    /// Messages of this session so far.
    pub(super) messages: u64,
    /// What has happened since the session last added to the common counters.
    pub(super) counts: Counts,
    message_id: MessageId,
    /// Whether a submit_sm may be answered from its header alone.
    from_header: bool,
}

impl Answering {
    pub(super) fn new(shared: Arc<Shared>) -> Answering {
        Answering {
            shared,
            state: BindState::Open,
            system_id: Vec::new(),
            messages: 0,
            counts: Counts::default(),
            message_id: MessageId::none(),
            from_header: false,
        }
    }

    /// Appends the answer to `frame`, if it has one.
    #[inline]
    pub(super) fn answer(&mut self, frame: &[u8], out: &mut Vec<u8>) -> Then {
        if let Some(&[_, _, _, _, 0, 0, 0, 4, _, _, _, _, s3, s2, s1, s0]) =
            frame.first_chunk::<HEADER_OCTETS>()
            && self.from_header
        {
            self.messages += 1;
            self.counts.messages += 1;
            let resp = self.message_id.submit_sm_resp(&self.shared, [s3, s2, s1, s0]);
            out.extend_from_slice(resp);
            return Then::Go;
        }
        self.answer_any(frame, out)
    }

    fn answer_any(&mut self, frame: &[u8], out: &mut Vec<u8>) -> Then {
        let Some(header) = Header::of(frame) else { return Then::Close };
        let (command, sequence) = (header.command, header.sequence_number);
        if command.is_response() {
            self.counts.responses += 1;
            return Then::Go;
        }
        let before = out.len();
        let outcome = match command {
            Command::BindTransmitter | Command::BindReceiver | Command::BindTransceiver => {
                self.bind(frame, header, out)
            }
            Command::SubmitSm | Command::DataSm | Command::SubmitMulti => {
                self.messages += 1;
                self.message(frame, header, out)
            }
            Command::QuerySm => self.query(frame, sequence, out),
            Command::CancelSm => self.cancel(frame),
            Command::ReplaceSm => self.replace(frame),
            Command::EnquireLink => Ok(Then::Go),
            Command::Unbind => self.unbind(),
            _ => {
                self.counts.requests += 1;
                self.counts.refused += 1;
                write::generic_nack(out, CommandStatus::ESME_RINVCMDID, sequence);
                return Then::Go;
            }
        };
        match command {
            Command::SubmitSm | Command::DataSm | Command::SubmitMulti => self.counts.messages += 1,
            _ => self.counts.requests += 1,
        }
        match outcome {
            Ok(then) => {
                if out.len() == before {
                    write::header_only(
                        out,
                        command.response_id(),
                        CommandStatus::ESME_ROK,
                        sequence,
                    );
                }
                then
            }
            Err(status) => {
                self.counts.refused += 1;
                write::refusal(out, command, status, sequence);
                Then::Go
            }
        }
    }

    fn bind(
        &mut self,
        frame: &[u8],
        header: Header,
        out: &mut Vec<u8>,
    ) -> Result<Then, CommandStatus> {
        if self.state != BindState::Open {
            return Err(CommandStatus::ESME_RALYBND);
        }
        let bind = Bind::parse(frame).map_err(Malformed::status)?;
        let options = &self.shared.options;
        if options.password.as_ref().is_some_and(|p| p.as_bytes() != bind.password) {
            return Err(CommandStatus::ESME_RINVPASWD);
        }
        self.state = match header.command {
            Command::BindTransmitter => BindState::Transmitter,
            Command::BindReceiver => BindState::Receiver,
            _ => BindState::Transceiver,
        };
        self.system_id = bind.system_id.to_vec();
        self.from_header = self.may_transmit() && options.status.is_none() && !options.receipts;
        self.counts.binds += 1;
        let (id, sequence) = (header.command.response_id(), header.sequence_number);
        write::pdu(out, id, CommandStatus::ESME_ROK, sequence, |o| {
            write::c_octets(o, options.system_id.as_bytes());
            write::tlv(o, Tag::SC_INTERFACE_VERSION, &[0x34]);
        });
        Ok(if self.may_receive() { Then::Receive } else { Then::Go })
    }

    fn message(
        &mut self,
        frame: &[u8],
        header: Header,
        out: &mut Vec<u8>,
    ) -> Result<Then, CommandStatus> {
        self.must_transmit()?;
        let message = match header.command {
            Command::SubmitSm => Message::parse(frame),
            Command::DataSm => Message::parse_data_sm(frame),
            _ => SubmitMulti::parse(frame).map(|multi| multi.message),
        }
        .map_err(Malformed::status)?;
        if let Some((status, every)) = self.shared.options.status
            && self.messages.is_multiple_of(every.max(1))
        {
            return Err(status);
        }
        let message_id = self.message_id.take(&self.shared);
        let (id, sequence) = (header.command.response_id(), header.sequence_number);
        write::pdu(out, id, CommandStatus::ESME_ROK, sequence, |o| {
            write::c_octets(o, &message_id);
            if header.command == Command::SubmitMulti {
                // no_unsuccess: every destination was taken.
                o.push(0);
            }
        });
        let wanted = deliver::wants_receipt(message.registered_delivery);
        if self.shared.options.receipts && wanted && header.command != Command::SubmitMulti {
            self.receipt(&message_id, &message, out);
        }
        Ok(Then::Go)
    }

    /// A session that can receive gets its receipts itself, behind the response they belong to.
    fn receipt(&mut self, message_id: &[u8], message: &Message<'_>, out: &mut Vec<u8>) {
        let receipt = deliver::receipt(self.shared.next_sequence(), message_id, message);
        if self.may_receive() {
            self.counts.delivered += 1;
            out.extend_from_slice(&receipt);
        } else {
            self.shared.hand(&self.system_id, &receipt);
        }
    }

    fn query(
        &mut self,
        frame: &[u8],
        sequence: u32,
        out: &mut Vec<u8>,
    ) -> Result<Then, CommandStatus> {
        self.must_transmit()?;
        let query = QuerySm::parse(frame).map_err(Malformed::status)?;
        if !self.knows(query.message_id) {
            return Err(CommandStatus::ESME_RQUERYFAIL);
        }
        let id = Command::QuerySm.response_id();
        write::pdu(out, id, CommandStatus::ESME_ROK, sequence, |o| {
            write::c_octets(o, query.message_id);
            write::c_octets(o, deliver::final_date().as_bytes());
            o.extend_from_slice(&[MESSAGE_STATE_DELIVERED, 0]);
        });
        Ok(Then::Go)
    }

    fn cancel(&mut self, frame: &[u8]) -> Result<Then, CommandStatus> {
        self.must_transmit()?;
        let cancel = CancelSm::parse(frame).map_err(Malformed::status)?;
        if cancel.message_id.is_empty() || self.knows(cancel.message_id) {
            return Ok(Then::Go);
        }
        Err(CommandStatus::ESME_RCANCELFAIL)
    }

    fn replace(&mut self, frame: &[u8]) -> Result<Then, CommandStatus> {
        self.must_transmit()?;
        let replace = ReplaceSm::parse(frame).map_err(Malformed::status)?;
        if self.knows(replace.message_id) {
            return Ok(Then::Go);
        }
        Err(CommandStatus::ESME_RREPLACEFAIL)
    }

    fn unbind(&mut self) -> Result<Then, CommandStatus> {
        if matches!(self.state, BindState::Open | BindState::Unbound) {
            return Err(CommandStatus::ESME_RINVBNDSTS);
        }
        self.state = BindState::Unbound;
        self.from_header = false;
        Ok(Then::Close)
    }

    fn must_transmit(&self) -> Result<(), CommandStatus> {
        if self.may_transmit() { Ok(()) } else { Err(CommandStatus::ESME_RINVBNDSTS) }
    }

    fn may_transmit(&self) -> bool {
        matches!(self.state, BindState::Transmitter | BindState::Transceiver)
    }

    fn may_receive(&self) -> bool {
        matches!(self.state, BindState::Receiver | BindState::Transceiver)
    }

    /// Whether this SMSC may have given that message_id; it keeps no message to be sure.
    fn knows(&self, message_id: &[u8]) -> bool {
        let digits = std::str::from_utf8(message_id).unwrap_or_default();
        let value = u64::from_str_radix(digits, 16).unwrap_or(u64::MAX);
        message_id.len() == MESSAGE_ID_DIGITS
            && value < self.shared.message_ids.load(Relaxed)
            && value > 0
    }
}

/// The next message_id, kept as the digits of a whole submit_sm_resp: counting one up changes a
/// digit, and answering copies 33 octets.
struct MessageId {
    resp: [u8; SUBMIT_SM_RESP_OCTETS],
    left: u64,
}

impl MessageId {
    fn none() -> MessageId {
        let mut resp = [0; SUBMIT_SM_RESP_OCTETS];
        resp[3] = SUBMIT_SM_RESP_OCTETS as u8;
        resp[4] = 0x80;
        resp[7] = 4;
        MessageId { resp, left: 0 }
    }

    #[inline]
    fn submit_sm_resp(&mut self, shared: &Shared, sequence: [u8; 4]) -> &[u8] {
        self.advance(shared);
        self.resp[12..HEADER_OCTETS].copy_from_slice(&sequence);
        &self.resp
    }

    fn take(&mut self, shared: &Shared) -> [u8; MESSAGE_ID_DIGITS] {
        self.advance(shared);
        let mut digits = [0; MESSAGE_ID_DIGITS];
        digits.copy_from_slice(&self.resp[HEADER_OCTETS..HEADER_OCTETS + MESSAGE_ID_DIGITS]);
        digits
    }

    #[inline]
    fn advance(&mut self, shared: &Shared) {
        let digits = &mut self.resp[HEADER_OCTETS..HEADER_OCTETS + MESSAGE_ID_DIGITS];
        if self.left == 0 {
            let first = shared.message_ids.fetch_add(MESSAGE_IDS, Relaxed);
            digits.copy_from_slice(format!("{first:016x}").as_bytes());
            self.left = MESSAGE_IDS - 1;
            return;
        }
        self.left -= 1;
        for digit in digits.iter_mut().rev() {
            match *digit {
                b'9' => *digit = b'a',
                b'f' => {
                    *digit = b'0';
                    continue;
                }
                _ => *digit += 1,
            }
            return;
        }
    }
}
