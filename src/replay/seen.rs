//! What the capture itself shows of the SMSC: how long answers took, how many requests were open, with
//! which statuses. Verdicts have no part in it.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::judge::Stream;
use crate::session::{Side, WINDOW_REQUESTS_LIMIT};
use crate::smpp::{Command, Header};

/// Upper ends of the classes of latency, microseconds: 1, 2, 5 and so on; the last class has no end.
pub const LATENCIES_US: [u64; 18] = [
    100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000,
    1_000_000, 2_000_000, 5_000_000, 10_000_000, 20_000_000, 50_000_000,
];

/// Different statuses that are counted; the protocol has fewer in use.
const STATUSES_MAX: usize = 1_000;

/// Requests and answers of a trace.
#[derive(Debug, Default)]
pub struct Seen {
    /// Open requests of each stream: sequence_number and time.
    open: HashMap<Stream, VecDeque<(u32, u64)>>,
    /// Answers by class of [`LATENCIES_US`].
    pub latencies: [u64; LATENCIES_US.len() + 1],
    /// Answers by command_status.
    pub statuses: BTreeMap<u32, u64>,
    /// The most requests that a stream had open.
    pub open_requests_max: usize,
}

impl Seen {
    /// A PDU of the trace; how many requests its stream has open then.
    pub fn frame(&mut self, stream: Stream, side: Side, header: Header, time_us: u64) -> usize {
        match (side, header.command) {
            (Side::Esme, command) if command.carries_message() => {
                let open = self.open.entry(stream).or_default();
                if open.len() >= WINDOW_REQUESTS_LIMIT {
                    open.pop_front();
                }
                open.push_back((header.sequence_number, time_us));
                self.open_requests_max = self.open_requests_max.max(open.len());
                open.len()
            }
            (
                Side::Smsc,
                Command::SubmitSmResp | Command::DataSmResp | Command::SubmitMultiResp,
            ) => self.answered(stream, header, time_us),
            _ => self.open.get(&stream).map_or(0, VecDeque::len),
        }
    }

    fn answered(&mut self, stream: Stream, header: Header, time_us: u64) -> usize {
        let Some(open) = self.open.get_mut(&stream) else { return 0 };
        let Some(at) = open.iter().position(|(number, _)| *number == header.sequence_number) else {
            return open.len();
        };
        // Answers come mostly in order: it is the first as a rule.
        let Some((_, asked_us)) = open.remove(at) else { return open.len() };
        let latency_us = time_us.saturating_sub(asked_us);
        self.latencies[LATENCIES_US.partition_point(|end| *end < latency_us)] += 1;
        let status = header.command_status.0;
        if self.statuses.len() < STATUSES_MAX || self.statuses.contains_key(&status) {
            *self.statuses.entry(status).or_default() += 1;
        }
        open.len()
    }

    /// A stream has ended.
    pub fn closed(&mut self, stream: Stream) {
        self.open.remove(&stream);
    }

    /// Answers in all.
    pub fn answers(&self) -> u64 {
        self.latencies.iter().sum()
    }

    /// The end of the class that holds this share of the answers, thousandths; `None` without answers, or
    /// in the class without an end.
    pub fn latency_us(&self, thousandths: u64) -> Option<u64> {
        let wanted = (self.answers() * thousandths).div_ceil(1000).max(1);
        let mut sum = 0;
        let at = self.latencies.iter().position(|count| {
            sum += count;
            sum >= wanted
        })?;
        LATENCIES_US.get(at).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smpp::CommandStatus;

    fn header(command: Command, sequence_number: u32) -> Header {
        Header {
            command_length: 16,
            command,
            command_status: CommandStatus::ESME_ROK,
            sequence_number,
        }
    }

    #[test]
    fn answers_find_their_requests_by_stream_and_number() {
        let mut seen = Seen::default();
        // Stream, from whom, sequence_number, microseconds, open requests then.
        let rows = [
            (0, Side::Esme, 1, 0, 1),
            (1, Side::Esme, 1, 10, 1),
            (0, Side::Esme, 2, 20, 2),
            (0, Side::Smsc, 2, 120, 1),
            (0, Side::Smsc, 9, 130, 1),
            (0, Side::Smsc, 1, 3_000, 0),
            (1, Side::Smsc, 1, 60_000_010, 0),
            (2, Side::Smsc, 1, 70_000_000, 0),
        ];
        for (stream, side, number, time_us, open) in rows {
            let command =
                if side == Side::Esme { Command::SubmitSm } else { Command::SubmitSmResp };
            assert_eq!(seen.frame(stream, side, header(command, number), time_us), open);
        }
        assert_eq!((seen.answers(), seen.open_requests_max), (3, 2));
        assert_eq!(seen.latency_us(1), Some(100));
        assert_eq!(seen.latency_us(500), Some(5_000));
        assert_eq!(seen.latency_us(1000), None);
        assert_eq!(Seen::default().latency_us(500), None);
    }
}
