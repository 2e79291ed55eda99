//! What others see of a pair, by spans (`traced`) and by a capture. A capture gets the frames that the ESME sent, with
//! their verdicts, and those that it was sent. While no capture runs this is one look at a number.

use std::sync::Arc;

use super::pump::Pair;
use crate::capture::{Chosen, Note, Run, Stream, Verdict, Way};
use crate::session::Fate;
use crate::smpp::frame;

/// A pair's place in the run of a capture.
#[derive(Debug)]
pub(super) struct Tap {
    run: Arc<Run>,
    stream: Stream,
    chosen: Chosen,
}

impl Pair {
    /// Shows the batch whose fate is decided. Call before it is released.
    #[inline]
    pub(super) fn show_batch(&mut self) {
        self.trace_batch();
        if self.shared.capture.running() != 0 {
            self.tap_batch();
        }
    }

    /// Shows what was put before the ESME since `mark`; `is_ours` where the proxy wrote it.
    #[inline]
    pub(super) fn show_to_esme(&mut self, mark: usize, is_ours: bool) {
        self.trace_to_esme(mark);
        if self.shared.capture.running() != 0 {
            self.tap_to_esme(mark, is_ours);
        }
    }

    /// Shows the end of the session.
    pub(super) fn show_end(&mut self, why: &'static str) {
        self.trace_end(why);
        let now = self.shared.clock.now();
        if let Some(tap) = &mut self.tap {
            tap.stream.close(&tap.run.queue, now.wall_us, why);
        }
    }

    fn tap_batch(&mut self) {
        let now = self.shared.clock.now();
        // Frames are as old as the first octet of them that was read.
        let waited_us = self.read_us.map_or(0, |read_us| now.steady_us.saturating_sub(read_us));
        let read_us = now.wall_us.saturating_sub(waited_us);
        if !self.has_tap(read_us) {
            return;
        }
        let Some(tap) = &mut self.tap else { return };
        for (frame, fate) in self.session.decided() {
            let (verdict, note) = match fate {
                Fate::Unjudged => (None, Note::None),
                Fate::Passed(None) => (Some(Verdict::Pass), Note::Passed),
                Fate::Passed(Some(rule)) => (Some(Verdict::Observe), Note::Observed(rule.name())),
                Fate::Refused(rule) => {
                    (Some(Verdict::Refuse), Note::Refused(rule.map_or("", |rule| rule.name())))
                }
            };
            if tap.chosen.from_esme(&tap.run.wanted.filter, frame, verdict) {
                tap.stream.pdu(&tap.run.queue, Way::In, read_us, note, frame);
            }
        }
    }

    fn tap_to_esme(&mut self, mark: usize, is_ours: bool) {
        if self.to_esme.since(mark).is_empty() {
            return;
        }
        let now_us = self.shared.clock.now().wall_us;
        if !self.has_tap(now_us) {
            return;
        }
        let Some(tap) = &mut self.tap else { return };
        let mut rest = self.to_esme.since(mark);
        while let Ok(Some(length)) = frame::cut(rest, usize::MAX)
            && let Some((frame, behind)) = rest.split_at_checked(length)
        {
            rest = behind;
            if tap.chosen.to_esme(&tap.run.wanted.filter, frame) {
                let note = if is_ours { Note::Ours } else { Note::None };
                tap.stream.pdu(&tap.run.queue, Way::Out, now_us, note, frame);
            }
        }
    }

    /// Whether this session is wanted by the run under way; it takes its place in it then.
    fn has_tap(&mut self, now_us: u64) -> bool {
        let number = self.shared.capture.running();
        if self.tap.as_ref().is_none_or(|tap| tap.run.number != number) {
            self.tap = self.new_tap(number).map(Box::new);
        }
        let Some(tap) = &mut self.tap else { return false };
        // A bind that was refused names a provider too.
        let registry = &self.terms.knowledge.registry;
        let provider = registry.provider_of(self.session.system_id());
        let provider = provider.map_or("", |id| registry.provider(id).name.as_str());
        if !tap.run.wanted.filter.wants_provider(provider) {
            return false;
        }
        if !tap.stream.is_open() {
            let mut about = String::new();
            for (name, value) in [
                ("system_id", self.session.system_id().escape_ascii().to_string()),
                ("provider", provider.to_owned()),
                ("SMSC", self.live.named().smsc.map_or_else(String::new, |one| one.to_string())),
            ] {
                if !value.is_empty() {
                    let comma = if about.is_empty() { "" } else { ", " };
                    about += &format!("{comma}{name} {value}");
                }
            }
            tap.stream.open(&tap.run.queue, now_us, about);
        }
        true
    }

    fn new_tap(&self, number: u64) -> Option<Tap> {
        let run = self.shared.capture.run().filter(|run| run.number == number)?;
        let ours = self.esme.stream.local_addr().ok()?;
        let stream = Stream::new(self.live.peer, ours, self.is_esmes, self.session.id());
        Some(Tap { run, stream, chosen: Chosen::default() })
    }
}
