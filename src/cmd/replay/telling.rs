//! Traces as they are told: streams, and one PDU at a time.

use std::io;

use super::super::{Answer, Failure};
use super::input;
use crate::replay::{Fault, Happening, Opened, Traces};
use crate::session::Side;
use crate::smpp::frame::{PDU_OCTETS_LIMIT, cut};

/// Sums that no rule has a part in.
#[derive(Debug, Default)]
pub(super) struct Totals {
    /// Streams of SMPP.
    pub(super) streams: u64,
    /// PDUs in them, both directions.
    pub(super) pdus: u64,
}

/// Traces that are being read, as one.
pub(super) struct Telling {
    pub(super) reader: Traces<input::Files>,
    pub(super) at: input::At,
    pub(super) bar: input::Bar,
    pub(super) totals: Totals,
}

/// How the telling of a trace ended.
pub(super) enum End {
    /// Everything was told.
    Whole,
    /// One of them cannot be read to its end: the first fault.
    Fault(Fault),
    /// Who read our standard output closed it: has seen enough.
    Unheard,
}

/// What a trace tells, one PDU at a time.
pub(super) enum Told<'a> {
    Opened(Opened),
    Frame { stream: u32, side: Side, octets: &'a [u8], time_us: u64, trace: usize },
    Closed(u32),
}

impl Telling {
    /// Tells everything to `each`, until that can write no more.
    pub(super) fn tell(
        &mut self,
        each: &mut dyn FnMut(Told<'_>) -> io::Result<()>,
    ) -> Result<End, Failure> {
        let end = self.tell_all(each);
        self.bar.clear();
        match end {
            Ok(None) => Ok(End::Whole),
            Ok(Some(fault)) => Ok(End::Fault(fault)),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(End::Unheard),
            Err(error) => Err(error.into()),
        }
    }

    /// The first fault. The other traces are told all the same, and what stood before it.
    fn tell_all(
        &mut self,
        each: &mut dyn FnMut(Told<'_>) -> io::Result<()>,
    ) -> io::Result<Option<Fault>> {
        let mut first = None;
        loop {
            self.bar.draw();
            let happening = match self.reader.next() {
                Ok(Some(happening)) => happening,
                Ok(None) => return Ok(first),
                Err(fault) => {
                    first.get_or_insert(fault);
                    continue;
                }
            };
            let trace = self.at.place();
            match happening {
                Happening::Opened(opened) => {
                    self.totals.streams += 1;
                    each(Told::Opened(opened))?;
                }
                Happening::Pdus { stream, side, time_us, octets } => {
                    let mut rest = octets;
                    while let Ok(Some(length)) = cut(rest, PDU_OCTETS_LIMIT)
                        && let Some((octets, behind)) = rest.split_at_checked(length)
                    {
                        self.totals.pdus += 1;
                        each(Told::Frame { stream, side, octets, time_us, trace })?;
                        rest = behind;
                    }
                }
                Happening::Gap { .. } | Happening::Cut { .. } => {}
                Happening::Closed { stream, .. } => each(Told::Closed(stream))?,
            }
        }
    }

    /// The end of a replay: what could not be read is said, and is no yes.
    pub(super) fn close(&self, end: End, answer: Answer) -> Result<Answer, Failure> {
        match end {
            End::Fault(fault) => Err(Failure(format!("{fault}; all else was judged"))),
            End::Unheard => Ok(answer),
            End::Whole if self.totals.streams == 0 => {
                let skipped = self.reader.skipped();
                Err(Failure(format!(
                    "there is no SMPP in it: {} packets, {} TCP streams; was the right port captured, \
                     and is it not TLS?",
                    skipped.packets, skipped.streams
                )))
            }
            End::Whole => Ok(answer),
        }
    }
}
