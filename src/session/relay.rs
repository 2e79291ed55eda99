//! From the SMSC to the ESME: everything crosses as it came, and the session watches.

use super::desk::Desk;
use super::end::EndReason;
use super::facts::address;
use super::knowledge::Knowledge;
use super::left_out::LeftOut;
use super::moment::Moment;
use super::originals::{Given, MessageId};
use super::receipts::remember_asked;
use super::reply::REPLIES_AHEAD_MAX;
use super::session::{KeptBind, Session, Side};
use super::table::{self, BindState, Sign};
use super::window::Open;
use crate::audit::{self, ResponseRecord, UnsuccessRecord};
use crate::registry::recipient;
use crate::smpp::frame::cut;
use crate::smpp::message::WireAddress;
use crate::smpp::response::{SubmitMultiResp, Unsuccess};
use crate::smpp::{Command, CommandStatus, Header, narrow, response};
use crate::text::joining::Part;

/// How a frame from the SMSC crosses.
pub(super) enum Crossing {
    /// As the octets that came.
    AsItCame,
    /// With the destinations that were left out.
    Telling(LeftOut),
    /// Not at all.
    Not,
}

/// Appends a submit_multi_resp that tells of those left out. One that cannot be read crosses as it
/// came: nobody can say where they would stand.
fn tell(out: &mut Vec<u8>, frame: &[u8], left_out: &LeftOut) {
    let start = out.len();
    if narrow::submit_multi_resp(out, frame, left_out.unsuccess()).is_err() {
        out.truncate(start);
        out.extend_from_slice(frame);
    }
}

impl Session {
    /// Appends the whole frames that wait from the SMSC to `out`, as they came.
    pub fn relay(
        &mut self,
        knowledge: &Knowledge,
        desk: &mut Desk,
        out: &mut Vec<u8>,
        now: Moment,
    ) {
        if !self.heard.is_empty() {
            return;
        }
        let waiting = std::mem::take(&mut self.smsc);
        let octets = waiting.octets();
        let mut at = 0;
        let mut run = 0;
        loop {
            let rest = octets.get(at..).unwrap_or(&[]);
            let length = match cut(rest, knowledge.pdu_octets_max) {
                Ok(Some(length)) => length,
                Ok(None) => break,
                Err(fault) => {
                    if self.ending.is_none() {
                        self.tally.lost_framing = Some((Side::Smsc, fault));
                    }
                    self.end(EndReason::SmscFraming);
                    break;
                }
            };
            if at >= self.listened_octets {
                self.listened_octets = at + self.listen(knowledge, desk, rest, now);
                if !self.heard.is_empty() {
                    break;
                }
            }
            let frame = rest.get(..length).unwrap_or(&[]);
            let crossing = self.watch(knowledge, desk, frame, now);
            if let Crossing::AsItCame = crossing {
                at += length;
                continue;
            }
            out.extend_from_slice(octets.get(run..at).unwrap_or(&[]));
            at += length;
            run = at;
            if let Crossing::Telling(left_out) = crossing {
                tell(out, frame, &left_out);
            }
        }
        out.extend_from_slice(octets.get(run..at).unwrap_or(&[]));
        self.smsc = waiting;
        self.smsc.consume(at);
        self.listened_octets = self.listened_octets.saturating_sub(at);
        if !desk.given.is_empty() {
            let mut originals = knowledge.originals();
            for given in desk.given.drain(..) {
                originals.take(given);
            }
        }
        if !desk.asked.is_empty() {
            remember_asked(&mut knowledge.asked(), desk);
        }
    }

    /// Listens to the first frame of `rest`, and where that is an answer the ledger must know of,
    /// to those behind it too, so that many are kept at once. The octets listened to.
    fn listen(
        &mut self,
        knowledge: &Knowledge,
        desk: &mut Desk,
        rest: &[u8],
        now: Moment,
    ) -> usize {
        let mut ahead = 0;
        while let Some(rest) = rest.get(ahead..)
            && let Ok(Some(length)) = cut(rest, knowledge.pdu_octets_max)
        {
            let is_answer =
                self.hear_reply(knowledge, desk, rest.get(..length).unwrap_or(&[]), now);
            ahead += length;
            if (ahead == length && !is_answer) || self.heard.len() >= REPLIES_AHEAD_MAX {
                break;
            }
        }
        ahead
    }

    /// Takes note of one frame; how it crosses.
    fn watch(
        &mut self,
        knowledge: &Knowledge,
        desk: &mut Desk,
        frame: &[u8],
        now: Moment,
    ) -> Crossing {
        let Some(header) = Header::of(frame) else {
            return Crossing::Not;
        };
        self.tally.from_smsc[header.command.slot()] += 1;
        if self.answers_own_unbind(Side::Smsc, header.command, header.sequence_number)
            || self.answers_own_enquiry(header)
            || self.is_bind_lost
        {
            return Crossing::Not;
        }
        match table::from_smsc(header.command) {
            Sign::BindAnswer => return self.bind_answered(header, now),
            Sign::Answer => return self.answered(knowledge, desk, (header, frame), now),
            Sign::Leave => self.state = BindState::Unbinding,
            Sign::Message => return self.hear_receipt(knowledge, desk, header, frame, now),
            Sign::None => {}
        }
        Crossing::AsItCame
    }

    /// The SMSC answered the bind. ESME_RSYSERR speaks of the SMSC and not of who binds: where there is
    /// another, the bind goes there, and the ESME hears that one's answer.
    fn bind_answered(&mut self, header: Header, now: Moment) -> Crossing {
        let BindState::Binding(kind) = self.state else {
            return Crossing::AsItCame;
        };
        self.bind_answer = Some(header.command_status);
        if header.command_status == CommandStatus::ESME_RSYSERR && self.can_bind_elsewhere() {
            self.is_bind_lost = true;
            return Crossing::Not;
        }
        self.keeps_bind = false;
        self.kept_bind = KeptBind::default();
        if let Some((command, _)) = self.bind.take() {
            self.tally.bind = Some((command, header.command_status));
        }
        if header.command_status.is_ok() {
            self.state = BindState::Bound(kind);
        } else {
            self.state = BindState::Open;
        }
        let latency_us = now.steady_us.saturating_sub(self.bind_since_us);
        self.bind_since_us = now.steady_us;
        self.progress_us = now.steady_us;
        self.record_response(header, b"", latency_us, 0, now);
        Crossing::AsItCame
    }

    fn answered(
        &mut self,
        knowledge: &Knowledge,
        desk: &mut Desk,
        (header, frame): (Header, &[u8]),
        now: Moment,
    ) -> Crossing {
        let Some(open) = self.window.answer(header.sequence_number) else {
            // An answer to nothing that waits: late, double, or to an enquire_link. It crosses.
            return self.crossing(header, true);
        };
        self.progress_us = now.steady_us;
        self.answered_us = now.steady_us;
        self.not_taken(knowledge, &open, header, frame);
        let latency_us = now.steady_us.saturating_sub(open.asked_us);
        let has_id = header.command_status.is_ok()
            && matches!(
                header.command,
                Command::SubmitSmResp
                    | Command::DataSmResp
                    | Command::SubmitMultiResp
                    | Command::BroadcastSmResp
            );
        let message_id = if has_id { response::message_id(frame).unwrap_or(b"") } else { b"" };
        if let Some(original) = open.original.filter(|_| !message_id.is_empty()) {
            desk.given.extend(Given::new(self.smsc_mark, message_id, original));
        }
        if header.command == Command::SubmitMultiResp && header.command_status.is_ok() {
            self.record_unsuccess(header, frame, now);
        }
        if let Some(awaited) = open.awaited
            && let Some(message_id) = MessageId::new(message_id).filter(|_| !message_id.is_empty())
        {
            desk.asked.push((message_id, awaited));
        }
        let flags = if open.duplicate { ResponseRecord::DUPLICATE_SEQUENCE } else { 0 };
        self.record_response(header, message_id, latency_us, flags, now);
        self.tally.responses_us.push(u32::try_from(latency_us).unwrap_or(u32::MAX));
        if open.narrowed { self.crossing(header, false) } else { Crossing::AsItCame }
    }

    /// Parts of long messages that the SMSC does not take reach no handset: their messages lack them until they
    /// come again.
    fn not_taken(&mut self, knowledge: &Knowledge, open: &Open, header: Header, frame: &[u8]) {
        let is_ok = header.command_status.is_ok();
        let provider = self.provider;
        let take_back = |part: &Part| knowledge.joinings.take_back(provider, part);
        open.part.iter().filter(|_| !is_ok).for_each(take_back);
        if open.command != Command::SubmitMulti || self.multi_parts.is_empty() {
            return;
        }
        let parts = self.carried_parts(open.sequence_number);
        if !is_ok {
            return parts.iter().for_each(take_back);
        }
        let Ok(answer) = SubmitMultiResp::parse(frame) else { return };
        for Unsuccess { destination, .. } in answer.unsuccess() {
            let Ok(to) = recipient(&address(&destination)) else { continue };
            let to = to.msisdn.digits();
            parts.iter().filter(|part| part.key.is_to(to.as_bytes())).for_each(take_back);
        }
    }

    /// How the answer to a submit_multi crosses that did not go to all of its destinations.
    fn crossing(&mut self, header: Header, is_late: bool) -> Crossing {
        if self.left_outs.is_empty() {
            return Crossing::AsItCame;
        }
        match self.left_outs.take(header.sequence_number, is_late) {
            Some(left_out) if header.command == Command::SubmitMultiResp => {
                Crossing::Telling(left_out)
            }
            Some(_) | None => Crossing::AsItCame,
        }
    }

    /// Each destination that the SMSC did not take, before its answer to them all.
    fn record_unsuccess(&mut self, header: Header, frame: &[u8], now: Moment) {
        let Ok(answer) = SubmitMultiResp::parse(frame) else { return };
        for Unsuccess { destination, status } in answer.unsuccess() {
            let WireAddress { ton, npi, value: raw } = destination;
            let record = UnsuccessRecord {
                session: self.id,
                sequence_number: header.sequence_number,
                status: status.0,
                destination: audit::Address { ton, npi, raw },
            };
            self.later_records.unsuccess(now.wall_us, &record);
        }
    }

    fn record_response(
        &mut self,
        header: Header,
        message_id: &[u8],
        latency_us: u64,
        flags: u8,
        now: Moment,
    ) {
        let record = ResponseRecord {
            session: self.id,
            command_id: header.command.id(),
            sequence_number: header.sequence_number,
            status: header.command_status.0,
            latency_us: u32::try_from(latency_us).unwrap_or(u32::MAX),
            flags,
            message_id,
        };
        self.later_records.response(now.wall_us, &record);
    }
}
