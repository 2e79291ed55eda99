//! A batch that was judged, on its way: recorded, carried out, let go.

use std::ops::Range;

use super::cleared::Cleared;
use super::looked::Looked;
use super::multi::{Outcome, has_outcomes};
use super::session::{Fate, Session, StepKind};
use crate::audit::Records;
use crate::smpp::strip;

/// What is written to the SMSC as one slice.
enum Run {
    /// Octets that came.
    Came(Range<usize>),
    /// The submit_multi of that step, narrowed.
    Narrowed(usize),
    /// The message of that step, without its second sender.
    Stripped(usize),
}

impl Session {
    /// Whether a batch waits for its records to be accepted.
    pub fn is_under_way(&self) -> bool {
        self.under_way
    }

    /// The records that the batch under way rests on. The caller hands them to the journal and
    /// calls [`Session::recorded`] or [`Session::unrecorded`].
    pub fn batch_records(&mut self) -> &mut Records {
        &mut self.batch_records
    }

    /// The octets that the batch lets through to the SMSC, in order, and behind them what is our own:
    /// answers to receipts that are kept back, an unbind. Empty until [`Session::recorded`] was called,
    /// and again after [`Session::release`].
    pub fn cleared(&mut self) -> impl Iterator<Item = Cleared<'_>> {
        self.ask_for_receipts();
        self.strip();
        let octets = self.esme.octets();
        let own =
            (!self.under_way && !self.own_frame.is_empty()).then(|| Cleared::of(&self.own_frame));
        let this = &*self;
        let cleared = this.runs().filter_map(move |run| match run {
            Run::Came(range) => octets.get(range).map(Cleared::of),
            Run::Narrowed(step) => this.multi(step).map(|multi| Cleared::of(&multi.narrowed)),
            Run::Stripped(step) => {
                let stripped = this.stripped.iter().find(|(at, _)| *at == step);
                stripped.map(|(_, octets)| Cleared::of(octets))
            }
        });
        cleared.chain(own)
    }

    /// Writes the messages of the batch that go on without the parameters that name another sender.
    fn strip(&mut self) {
        self.stripped.clear();
        if !self.strips_second_sender || self.under_way {
            return;
        }
        let mut rest = self.esme.octets();
        for (at, step) in self.steps.iter().enumerate() {
            let Some((frame, behind)) = rest.split_at_checked(step.octets as usize) else { return };
            rest = behind;
            if let StepKind::Pass { strips: true, .. } = step.kind {
                let mut octets = Vec::with_capacity(frame.len());
                if strip::second_senders(&mut octets, frame).is_ok() {
                    self.stripped.push((at, octets));
                }
            }
        }
    }

    /// Neighbouring frames that go on as they came are one run: they are written as one slice.
    fn runs(&self) -> impl Iterator<Item = Run> {
        let steps = if self.under_way { [].iter() } else { self.steps.iter() };
        let mut steps = steps.enumerate().peekable();
        let mut at = 0;
        std::iter::from_fn(move || {
            loop {
                let (index, step) = steps.next()?;
                let start = at;
                at += step.octets as usize;
                if matches!(step.kind, StepKind::Narrowed { .. }) {
                    return Some(Run::Narrowed(index));
                }
                if matches!(step.kind, StepKind::Pass { strips: true, .. }) {
                    return Some(Run::Stripped(index));
                }
                if !step.kind.goes_on_as_it_came() {
                    continue;
                }
                while let Some((_, next)) =
                    steps.next_if(|(_, next)| next.kind.goes_on_as_it_came())
                {
                    at += next.octets as usize;
                }
                return Some(Run::Came(start..at));
            }
        })
    }

    /// What the batch answers the ESME: taken once its records are accepted.
    pub fn take_replies(&mut self, out: &mut Vec<u8>) {
        if !self.under_way {
            out.append(&mut self.replies);
            if self.replies.capacity() > 4096 {
                self.replies = Vec::new();
            }
        }
    }

    /// The journal accepted the batch's records: what was decided may be carried out. Only now does
    /// a message count as passed: the records may have been waited for over many turns.
    pub fn recorded(&mut self) {
        self.batch_records.clear();
        for step in &self.steps {
            if let StepKind::Pass { observed, command, .. } = step.kind
                && !has_outcomes(command)
            {
                *self.tally.passed_slot(observed) += 1;
            }
        }
        for outcome in self.multis.iter().flat_map(|multi| &multi.outcomes) {
            if let Outcome::Passes(observed) = *outcome {
                *self.tally.passed_slot(observed) += 1;
            }
        }
        self.under_way = false;
    }

    /// How many requests of the batch pass, and how many are refused.
    pub fn batch_counts(&self) -> (u64, u64) {
        self.steps.iter().fold((0, 0), |(passed, refused), step| match step.kind {
            StepKind::Pass { .. } | StepKind::Narrowed { .. } => (passed + 1, refused),
            StepKind::Refused { .. } => (passed, refused + 1),
            StepKind::Cross | StepKind::Kept => (passed, refused),
        })
    }

    /// The frames of the batch as the ESME sent them, each with what became of it. Empty while the
    /// batch waits for its records, and again after [`Session::release`].
    pub fn decided(&self) -> impl Iterator<Item = (&[u8], Fate)> {
        let steps = if self.under_way { [].iter() } else { self.steps.iter() };
        let mut rest = self.esme.octets();
        steps.map_while(move |step| {
            let (frame, behind) = rest.split_at_checked(step.octets as usize)?;
            rest = behind;
            Some((frame, step.kind.fate()))
        })
    }

    /// Forgets the batch after its octets were handed on.
    pub fn release(&mut self) {
        if !self.multis.is_empty() {
            self.remember_left_out();
        }
        let octets: usize = self.steps.iter().map(|step| step.octets as usize).sum();
        self.esme.consume(octets);
        self.steps.clear();
        self.vouched.clear();
        self.own_frame.clear();
        self.stripped = Vec::new();
        if self.esme.is_empty() {
            // An idle session holds no room: ten thousand of them stay small.
            self.steps = Vec::new();
            self.vouched = Vec::new();
            self.looked = Looked::default();
            self.batch_records = Records::new();
            self.own_frame = Vec::new();
        }
    }
}
