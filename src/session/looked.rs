//! A batch that was looked at and has to wait for the ledger. Nothing of it is placed: no rate, sweep, tally or
//! record knows of it yet, and its octets stay where they are. What the look found in the texts is kept, so that
//! the second look decodes, joins and classifies nothing again.
//!
//! The second look is the last: what the ledger still does not know then, it does not know for this batch.

use super::desk::Desk;
use super::knowledge::Knowledge;
use super::parts::Joined;
use super::prepare::Frame;
use super::session::{FRAMES_A_TURN, Session};
use super::table::BindState;
use crate::smpp::multi::DESTINATIONS_MAX;

/// Most messages of one batch, each of which may have a question: the last frame of a full turn may be a
/// submit_multi.
pub const QUESTIONS_A_BATCH_MAX: usize = FRAMES_A_TURN - 1 + DESTINATIONS_MAX as usize;

/// What a look found, message by message.
#[derive(Debug, Default)]
pub(super) struct Looked {
    /// Octets of the frames, from the front of what waits from the ESME; 0 where no batch waits.
    octets: usize,
    messages: Vec<Joined>,
    /// Under what they were looked at.
    circumstances: Option<Circumstances>,
}

/// How far the session had come, and whether it was being shut down.
type Circumstances = (BindState, bool);

/// The same, handed out again in the same order.
#[derive(Debug, Default)]
pub(super) struct Recalled {
    messages: Vec<Joined>,
    next: usize,
}

impl Recalled {
    /// What was found in the next message, if it was looked at before.
    pub(super) fn next(&mut self) -> Option<Joined> {
        let joined = *self.messages.get(self.next)?;
        self.next += 1;
        Some(joined)
    }
}

impl Session {
    /// Octets of the batch that waits for the ledger; 0 where none does.
    pub(super) fn looked_octets(&self) -> usize {
        self.looked.octets
    }

    /// Keeps what was found in these frames.
    pub(super) fn keep_looked(&mut self, frames: &[Frame<'_>]) {
        let of = |frame: &Frame<'_>| Some(frame.message.as_ref()?.joined());
        self.looked.messages.clear();
        self.looked.messages.extend(frames.iter().filter_map(of));
        // Of a submit_multi the frame of the last destination stands for all.
        let last = frames.iter().filter(|frame| frame.destinations <= 1);
        self.looked.octets = last.map(|frame| frame.octets.len()).sum();
        self.looked.circumstances = Some((self.state, self.draining));
    }

    /// Lays out what the first look found for the second, unless it was under other circumstances.
    pub(super) fn recall_looked(&mut self, knowledge: &Knowledge, desk: &mut Desk) {
        if self.looked.circumstances == Some((self.state, self.draining)) {
            std::mem::swap(&mut desk.recalled.messages, &mut self.looked.messages);
            desk.recalled.next = 0;
        } else {
            // It drains by now, or unbinds: nothing that waited goes on.
            self.put_back(knowledge);
        }
    }

    /// The second look is over.
    pub(super) fn forget_looked(&mut self, desk: &mut Desk) {
        desk.recalled.messages.clear();
        self.looked.messages.clear();
        self.looked.octets = 0;
    }

    /// Lets a batch go that waits for the ledger: nobody is there to answer any more. Its parts count as never
    /// come.
    pub(super) fn let_looked_go(&mut self, knowledge: &Knowledge) {
        self.put_back(knowledge);
        self.looked = Looked::default();
    }

    /// The parts among them count as never come.
    fn put_back(&mut self, knowledge: &Knowledge) {
        for part in self.looked.messages.drain(..).filter_map(|joined| joined.part) {
            knowledge.joinings.take_back(self.provider, &part);
        }
    }
}
