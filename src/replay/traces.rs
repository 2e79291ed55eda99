//! Traces, one after another, to what happened in them.

use std::io::{self, Read};
use std::iter::Fuse;

use super::capture::Capture;
use super::fault::{Fault, FaultKind};
use super::happening::Happening;
use super::packet::{Unread, segment};
use super::skipped::Skipped;
use super::stream::Streams;

/// A trace to be read.
pub struct Trace {
    /// How it is called in faults: its path.
    pub name: String,
    /// Its octets, or why there are none.
    pub input: io::Result<Box<dyn Read + Send>>,
}

/// Reads traces as if they were one: streams go on from one to the next.
///
/// Every call of [`Traces::next`] tells one happening. The same octets tell the same.
pub struct Traces<I> {
    traces: Fuse<I>,
    capture: Option<(String, Capture)>,
    /// Where in the packet read last its TCP data begins.
    data_at: usize,
    streams: Streams,
}

impl<I: Iterator<Item = Trace>> Traces<I> {
    /// Reads `traces` in their order, asking for each when the one before ends. A command_length
    /// above `pdu_octets_max` octets is not believed; 1 MiB is the most that this can be.
    pub fn new(traces: I, pdu_octets_max: usize) -> Traces<I> {
        let pdu_octets_max = pdu_octets_max.min(crate::smpp::frame::PDU_OCTETS_LIMIT);
        let traces = traces.fuse();
        Traces { traces, capture: None, data_at: 0, streams: Streams::new(pdu_octets_max) }
    }

    /// What happened next; `None` when all traces are read. After a fault the next call goes on
    /// with the next trace.
    #[allow(clippy::should_implement_trait)] // it lends what it read
    pub fn next(&mut self) -> Result<Option<Happening<'_>>, Fault> {
        loop {
            if let Some(event) = self.streams.out.pop() {
                let packet = self.capture.as_ref().map_or(&[][..], |(_, capture)| capture.octets());
                let data = packet.get(self.data_at..).unwrap_or(&[]);
                return Ok(Some(self.streams.out.told(event, data)));
            }
            self.streams.out.clear();
            if !self.advance()? {
                return Ok(None);
            }
        }
    }

    /// What was seen so far, and what of it could not be read.
    pub fn skipped(&self) -> &Skipped {
        &self.streams.out.skipped
    }

    /// Reads one packet, opens one trace, or ends one stream. Answers whether there was anything.
    fn advance(&mut self) -> Result<bool, Fault> {
        let Some((_, capture)) = &mut self.capture else {
            return match self.traces.next() {
                Some(trace) => self.open(trace).map(|()| true),
                None => Ok(self.streams.finish_one()),
            };
        };
        match capture.next_packet() {
            Ok(Some(packet)) => {
                let octets = capture.octets();
                let skipped = &mut self.streams.out.skipped;
                skipped.packets += 1;
                match segment(&packet, octets) {
                    Ok(segment) => {
                        skipped.checksums_wrong += u64::from(segment.checksum_wrong);
                        self.data_at =
                            segment.data.as_ptr().addr().wrapping_sub(octets.as_ptr().addr());
                        self.streams.take(&segment, packet.time_us);
                    }
                    Err(Unread::LinkType) => skipped.packets_of_other_links += 1,
                    Err(Unread::NotTcp) => skipped.packets_not_tcp += 1,
                    Err(Unread::Fragment) => skipped.fragments += 1,
                    Err(Unread::Malformed) => skipped.packets_malformed += 1,
                }
            }
            Ok(None) => self.capture = None,
            Err(what) => {
                let offset = capture.offset();
                let trace = self.capture.take().map_or_else(String::new, |(name, _)| name);
                return Err(Fault { trace, offset, what });
            }
        }
        Ok(true)
    }

    fn open(&mut self, trace: Trace) -> Result<(), Fault> {
        let opened = trace.input.map_err(FaultKind::Io).and_then(Capture::open);
        match opened {
            Ok(capture) => {
                self.capture = Some((trace.name, capture));
                Ok(())
            }
            Err(what) => Err(Fault { trace: trace.name, offset: 0, what }),
        }
    }
}
