//! What is to be played: the requests of each stream, when they are due, and what they were answered.

use std::collections::{HashMap, VecDeque};

use crate::smpp::{Command, CommandStatus, Header};

/// Octets of requests, with what is known of each, that a plan holds at most.
pub const PLAN_OCTETS_MAX: usize = 512 << 20;

/// Requests of one stream whose captured answer is looked for; of more, the oldest counts as never
/// answered.
pub const AWAITED_MAX: usize = 65_536;

/// Octets that are counted for one request beside its own.
const REQUEST_OCTETS: usize = size_of::<Request>();

/// One request of the ESME's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    /// Microseconds since the first stream of the plan began.
    pub(super) due_us: u64,
    /// Where its octets begin in those of its stream.
    pub(super) at: usize,
    /// The status of its captured answer; `None` where none was captured.
    pub(super) answered: Option<CommandStatus>,
}

/// The ESME's side of one stream, without its binds.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// Its number in the capture.
    pub(super) number: u32,
    /// The bind that was captured.
    pub(super) bind: Option<Command>,
    pub(super) begins_us: u64,
    pub(super) ends_us: u64,
    pub(super) requests: Vec<Request>,
    octets: Vec<u8>,
    /// Requests without an answer so far: sequence_number and place in `requests`.
    awaited: VecDeque<(u32, usize)>,
}

impl Stream {
    /// The octets of a request.
    pub(super) fn octets(&self, index: usize) -> &[u8] {
        let Some(request) = self.requests.get(index) else { return &[] };
        let end = self.requests.get(index + 1).map_or(self.octets.len(), |next| next.at);
        self.octets.get(request.at..end).unwrap_or_default()
    }

    fn answered(&mut self, header: Header) {
        let number = header.sequence_number;
        let found = self.awaited.iter().position(|(awaited, _)| *awaited == number);
        if let Some((_, index)) = found.and_then(|at| self.awaited.remove(at))
            && let Some(request) = self.requests.get_mut(index)
        {
            request.answered = Some(header.command_status);
        }
    }
}

/// The plan is larger than [`PLAN_OCTETS_MAX`].
#[derive(Debug, thiserror::Error)]
#[error(
    "more than {} MiB of requests: play the capture in parts, as editcap -A and -B cut it",
    PLAN_OCTETS_MAX >> 20
)]
pub struct TooLarge;

/// What is to be played. Made by telling it what a capture tells, in its order.
#[derive(Debug, Default)]
pub struct Plan {
    pub(super) streams: Vec<Stream>,
    /// Where in `streams` the stream of a number is.
    places: HashMap<u32, usize>,
    first_us: Option<u64>,
    octets: usize,
}

impl Plan {
    /// A stream begins at that time (microseconds since the Unix epoch). `number` is its name in what
    /// follows and in the report.
    pub fn opened(&mut self, number: u32, time_us: u64) {
        let begins_us = self.since_first(time_us);
        self.octets += size_of::<Stream>();
        self.places.insert(number, self.streams.len());
        self.streams.push(Stream { number, begins_us, ends_us: begins_us, ..Stream::default() });
    }

    /// The ESME sent a PDU. Requests are played; a bind only says as what to bind, and an unbind is
    /// said at the end of each stream anyway. Responses are answers to what the SMSC then asked: what it
    /// asks now is answered now.
    pub fn sent(&mut self, number: u32, time_us: u64, pdu: &[u8]) -> Result<(), TooLarge> {
        let due_us = self.since_first(time_us);
        let place = self.places.get(&number).copied();
        let stream = place.and_then(|place| self.streams.get_mut(place));
        let (Some(header), Some(stream)) = (Header::of(pdu), stream) else { return Ok(()) };
        stream.ends_us = stream.ends_us.max(due_us);
        match header.command {
            Command::BindReceiver | Command::BindTransmitter | Command::BindTransceiver => {
                stream.bind = Some(header.command);
                return Ok(());
            }
            Command::Unbind => return Ok(()),
            command if command.is_response() => return Ok(()),
            _ => {}
        }
        self.octets += REQUEST_OCTETS + pdu.len();
        if self.octets > PLAN_OCTETS_MAX {
            return Err(TooLarge);
        }
        if stream.awaited.len() >= AWAITED_MAX {
            stream.awaited.pop_front();
        }
        stream.awaited.push_back((header.sequence_number, stream.requests.len()));
        // A capture's times may go back: a request is never due before the one in front of it.
        let due_us = stream.requests.last().map_or(due_us, |last| due_us.max(last.due_us));
        stream.requests.push(Request { due_us, at: stream.octets.len(), answered: None });
        stream.octets.extend_from_slice(pdu);
        Ok(())
    }

    /// The SMSC, or a proxy before it, sent a PDU.
    pub fn received(&mut self, number: u32, time_us: u64, pdu: &[u8]) {
        let at_us = self.since_first(time_us);
        let place = self.places.get(&number).copied();
        let stream = place.and_then(|place| self.streams.get_mut(place));
        if let (Some(header), Some(stream)) = (Header::of(pdu), stream) {
            stream.ends_us = stream.ends_us.max(at_us);
            if header.command.is_response() {
                stream.answered(header);
            }
        }
    }

    /// How many streams and requests there are.
    pub fn counts(&self) -> (usize, usize) {
        (self.streams.len(), self.streams.iter().map(|stream| stream.requests.len()).sum())
    }

    fn since_first(&mut self, time_us: u64) -> u64 {
        time_us.saturating_sub(*self.first_us.get_or_insert(time_us))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smpp::write;

    fn pdu(command: Command, status: CommandStatus, sequence: u32) -> Vec<u8> {
        let mut out = Vec::new();
        write::pdu(&mut out, command.id(), status, sequence, |out| out.push(sequence as u8));
        out
    }

    #[test]
    fn requests_find_the_answers_that_were_captured() {
        let ok = CommandStatus::ESME_ROK;
        let full = CommandStatus::ESME_RMSGQFUL;
        let mut plan = Plan::default();
        plan.opened(3, 1_000);
        for (time_us, command, sequence) in [
            (1_010, Command::BindTransmitter, 1),
            (1_020, Command::SubmitSm, 2),
            (1_015, Command::SubmitSm, 2),
            (1_030, Command::DataSm, 4),
            (1_040, Command::DeliverSmResp, 9),
            (1_050, Command::Unbind, 5),
        ] {
            plan.sent(3, time_us, &pdu(command, ok, sequence)).unwrap();
        }
        plan.sent(4, 1_060, &pdu(Command::SubmitSm, ok, 6)).unwrap();
        for (command, status, sequence) in [
            (Command::BindTransmitterResp, full, 1),
            (Command::SubmitSmResp, full, 2),
            (Command::SubmitSmResp, ok, 2),
            (Command::SubmitSmResp, full, 2),
            (Command::DeliverSm, ok, 4),
        ] {
            plan.received(3, 1_100, &pdu(command, status, sequence));
        }
        assert_eq!(plan.counts(), (1, 3), "of a stream that never began nothing is played");
        let stream = &plan.streams[0];
        assert_eq!((stream.bind, stream.ends_us), (Some(Command::BindTransmitter), 100));
        let told: Vec<_> = stream.requests.iter().map(|one| (one.due_us, one.answered)).collect();
        assert_eq!(told, [(20, Some(full)), (20, Some(ok)), (30, None)]);
        for (index, (command, sequence)) in
            [(Command::SubmitSm, 2), (Command::SubmitSm, 2), (Command::DataSm, 4)]
                .into_iter()
                .enumerate()
        {
            assert_eq!(stream.octets(index), pdu(command, ok, sequence));
        }
        assert_eq!(stream.octets(3), b"");
    }

    #[test]
    fn a_plan_has_a_limit() {
        let mut plan = Plan::default();
        plan.opened(0, 0);
        plan.octets = PLAN_OCTETS_MAX - REQUEST_OCTETS - 17;
        let pdu = pdu(Command::SubmitSm, CommandStatus::ESME_ROK, 1);
        assert!(plan.sent(0, 0, &pdu).is_ok(), "at the limit");
        plan.octets = PLAN_OCTETS_MAX - REQUEST_OCTETS - 16;
        assert!(plan.sent(0, 0, &pdu).is_err(), "one past it");
    }
}
