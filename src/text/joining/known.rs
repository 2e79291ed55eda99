//! What is known of a long message while its parts come in.

use super::super::body::Body;
use super::super::decode::{self, Decoded};
use super::super::options::Options;
use super::super::undecodable::Undecodable;
use super::parts::{Held, NONE};
use super::{Joining, Key, Part, Progress};

/// Stands in a text for parts that are not there: no word may be read across it.
pub const GAP: char = '\u{fffd}';

/// A long message as far as it is known.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    joining: &'a Joining,
    first: u32,
    state: Progress,
    part: Part,
    repeated: bool,
    total: u8,
    seen: u8,
    missing_before: u8,
}

impl Joining {
    pub(super) fn known_at(
        &self,
        slot: u32,
        (key, number): (Key, u8),
        repeated: bool,
    ) -> Known<'_> {
        let message = self.messages.get(slot as usize);
        let first = message.map_or(NONE, |message| message.first);
        let before = self.places.chain(first).take_while(|held| held.number < number).count();
        Known {
            joining: self,
            first,
            part: Part { key, number, message: message.map_or(0, |message| message.begun) },
            state: message.map_or(Progress::Refused, |message| message.state),
            repeated,
            total: message.map_or(0, |message| message.total),
            seen: message.map_or(0, |message| message.seen),
            missing_before: number.saturating_sub(1).saturating_sub(before as u8),
        }
    }
}

impl Known<'_> {
    /// The part itself, to take it back by.
    pub fn part(&self) -> Part {
        self.part
    }

    /// Whether the message was refused before: so is this part. There is no text then.
    pub fn is_refused(&self) -> bool {
        self.state == Progress::Refused
    }

    /// Whether all parts are there.
    pub fn is_complete(&self) -> bool {
        self.state == Progress::Complete
    }

    /// How far the message has come.
    pub fn progress(&self) -> Progress {
        self.state
    }

    /// Whether this part had come before with the same octets.
    pub fn is_repeated(&self) -> bool {
        self.repeated
    }

    /// How many parts the message has.
    pub fn total(&self) -> u8 {
        self.total
    }

    /// How many of them have come.
    pub fn seen(&self) -> u8 {
        self.seen
    }

    /// How many parts before this one have not come.
    pub fn missing_before(&self) -> u8 {
        self.missing_before
    }

    /// Appends the text of all parts that are there, in their order, with one [`GAP`] for each run of
    /// parts that are not. Characters that a border cuts are read whole when both sides are there, and
    /// left out while one is not. Answers with the reading of the first part.
    ///
    /// Parts of different alphabets are read each in its own, as handsets do.
    pub fn text(&self, options: Options, out: &mut String) -> Result<Option<Decoded>, Undecodable> {
        let mut rest = self.joining.places.chain(self.first);
        let (mut next, mut answer) = (1_u16, None);
        while let Some(run) = Run::of(&mut rest, options)? {
            if run.from > next {
                out.push(GAP);
            }
            let unseen = [run.from > next, run.gap_behind(self.total)];
            let bodies =
                { run.parts }.take(run.count).filter_map(|held: Held<'_>| held.body().ok());
            decode::run(run.decoded, options.packing, bodies, unseen, out)?;
            answer = answer.or(Some(run.decoded));
            next = run.to + 1;
        }
        if next <= u16::from(self.total) {
            out.push(GAP);
        }
        Ok(answer)
    }
}

/// Parts that follow each other and have one reading.
struct Run<I> {
    decoded: Decoded,
    from: u16,
    to: u16,
    count: usize,
    /// Begins at the first part of the run.
    parts: I,
    /// The number of the part behind the run.
    behind: Option<u8>,
}

impl<'a, I: Iterator<Item = Held<'a>> + Clone> Run<I> {
    /// Takes the next run off `rest`.
    fn of(rest: &mut I, options: Options) -> Result<Option<Run<I>>, Undecodable> {
        let parts = rest.clone();
        let Some(first) = rest.next() else { return Ok(None) };
        let decoded = reading(first, options)?;
        let from = u16::from(first.number);
        let mut run = Run { decoded, from, to: from, count: 1, parts, behind: None };
        loop {
            let mut ahead = rest.clone();
            let Some(held) = ahead.next() else { return Ok(Some(run)) };
            run.behind = Some(held.number);
            let follows = u16::from(held.number) == run.to + 1;
            if !follows || reading(held, options)? != run.decoded {
                return Ok(Some(run));
            }
            run.to += 1;
            run.count += 1;
            run.behind = None;
            *rest = ahead;
        }
    }

    fn gap_behind(&self, total: u8) -> bool {
        match self.behind {
            Some(number) => u16::from(number) > self.to + 1,
            None => self.to < u16::from(total),
        }
    }
}

fn reading(held: Held<'_>, options: Options) -> Result<Decoded, Undecodable> {
    let body: Body<'_> = held.body()?;
    decode::reading(body, held.arrived.data_coding, options)
}
