//! The requests of one session that the SMSC has not answered.
//!
//! Answers come mostly in the order of the requests, so the front of the queue is looked at first;
//! an answer out of order is found by walking. A sequence_number used twice while outstanding is
//! answered first-in first-out and flagged: ESMEs do it, and the proxy keeps no map of its own. Which of
//! them an answer belongs to is then not certain, nor is it when one was given up and its number is used
//! again: of such requests it is not remembered to whom they went, so that no text is judged by the
//! recipient of another one.

use std::collections::VecDeque;

use super::asked::Awaited;
use super::moment::Moment;
use super::originals::Original;
use crate::audit::message_id::Tail;
use crate::smpp::Command;
use crate::text::joining::Part;

/// Most open requests that a session may be configured to have.
pub const WINDOW_REQUESTS_LIMIT: usize = 65_536;

/// A request that was let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open {
    /// Its sequence_number.
    pub sequence_number: u32,
    /// What it asked.
    pub command: Command,
    /// When it was judged: time of day, microseconds since the Unix epoch.
    pub judged_us: u64,
    /// The same moment on the steady clock.
    pub asked_us: u64,
    /// Whether its sequence_number was already outstanding.
    pub duplicate: bool,
    /// Whether it is a submit_multi that went on to some of its destinations.
    pub narrowed: bool,
    /// What its id will stand for, where it gets one.
    pub original: Option<Original>,
    /// Who waits for its receipt, on a listener that asks.
    pub awaited: Option<Awaited>,
    /// Which part of which long message it is: it counts as seen unless the SMSC does not take it.
    pub part: Option<Part>,
    answered: bool,
}

/// The open requests, oldest first.
#[derive(Debug, Default)]
pub struct Window {
    open: VecDeque<Open>,
    count: usize,
    /// The highest sequence_number since the queue was last empty.
    highest: u32,
    /// The highest that was given up: its answer may still come.
    given_up: Option<u32>,
}

impl Window {
    /// How many requests are open.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether a request with that number is open.
    pub fn is_open(&self, sequence_number: u32) -> bool {
        self.open.iter().any(|o| !o.answered && o.sequence_number == sequence_number)
    }

    /// Adds a request.
    pub fn open(
        &mut self,
        command: Command,
        sequence_number: u32,
        original: Option<Original>,
        now: Moment,
    ) {
        // Numbers rise as a rule: only one that is not above all others can be a duplicate of one
        // that is outstanding, so the walk is for the exception.
        let seen = !self.open.is_empty() && sequence_number <= self.highest;
        let mut duplicate = false;
        if seen {
            let same = |o: &&mut Open| !o.answered && o.sequence_number == sequence_number;
            // Where there are more, this has been done to them when the second one came.
            if let Some(other) = self.open.iter_mut().find(same) {
                other.original = other.original.map(Original::without_recipient);
                duplicate = true;
            }
        }
        let is_certain =
            !duplicate && self.given_up.is_none_or(|highest| sequence_number > highest);
        let original =
            if is_certain { original } else { original.map(Original::without_recipient) };
        self.highest =
            if self.open.is_empty() { sequence_number } else { self.highest.max(sequence_number) };
        self.open.push_back(Open {
            sequence_number,
            command,
            judged_us: now.wall_us,
            asked_us: now.steady_us,
            duplicate,
            narrowed: false,
            original,
            awaited: None,
            part: None,
            answered: false,
        });
        self.count += 1;
    }

    /// Says of the newest request who waits for its receipt.
    pub fn await_receipt(&mut self, awaited: Option<Awaited>) {
        if let Some(newest) = self.open.back_mut() {
            newest.awaited = awaited;
        }
    }

    /// Says of the newest request which part of a long message it is.
    pub fn carries(&mut self, part: Option<Part>) {
        if let Some(newest) = self.open.back_mut() {
            newest.part = part;
        }
    }

    /// Whether the receipt of an open request to one of these recipients would be ours alone: one that
    /// came before the answer.
    pub fn awaits_for_us(&self, recipients: [Option<Tail>; 2]) -> bool {
        let open = self.open.iter().filter(|open| !open.answered);
        let mut to_them = open
            .filter_map(|open| open.awaited)
            .filter(|awaited| recipients.contains(&Some(awaited.tail)))
            .peekable();
        to_them.peek().is_some() && to_them.all(|awaited| awaited.is_ours)
    }

    /// Takes out the oldest open request with that number.
    pub fn answer(&mut self, sequence_number: u32) -> Option<Open> {
        let found =
            self.open.iter_mut().find(|o| !o.answered && o.sequence_number == sequence_number)?;
        found.answered = true;
        let answered = *found;
        self.count -= 1;
        self.trim();
        Some(answered)
    }

    /// Says of the newest submit_multi with that number that it went on to some of its destinations.
    pub fn narrow(&mut self, sequence_number: u32) {
        let mut open = self.open.iter_mut().rev().filter(|o| !o.answered);
        let is_it = |o: &&mut Open| {
            o.sequence_number == sequence_number && o.command == Command::SubmitMulti
        };
        if let Some(newest) = open.find(is_it) {
            newest.narrowed = true;
        }
    }

    /// Takes back the newest request with that number: it never went on.
    pub fn take_back(&mut self, sequence_number: u32) -> Option<Open> {
        let newest =
            self.open.iter().rposition(|o| !o.answered && o.sequence_number == sequence_number)?;
        let taken = self.open.remove(newest)?;
        self.count -= 1;
        self.trim();
        Some(taken)
    }

    /// The oldest open request.
    pub fn oldest(&self) -> Option<Open> {
        self.open.front().copied()
    }

    /// Takes out the oldest open request.
    pub fn give_up_oldest(&mut self) -> Option<Open> {
        let oldest = self.open.pop_front()?;
        self.given_up = self.given_up.max(Some(oldest.sequence_number));
        self.count -= 1;
        self.trim();
        Some(oldest)
    }

    /// Drops answered requests from the front, so that the front is open or nothing is there.
    fn trim(&mut self) {
        while self.open.front().is_some_and(|o| o.answered) {
            self.open.pop_front();
        }
        if self.open.is_empty() && self.open.capacity() > 1024 {
            self.open = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(numbers: &[u32]) -> Window {
        let mut window = Window::default();
        for (at, &number) in numbers.iter().enumerate() {
            let now = Moment { wall_us: at as u64, steady_us: 0 };
            window.open(Command::SubmitSm, number, None, now);
        }
        window
    }

    #[test]
    fn answers_find_their_request_in_any_order() {
        let cases: &[(&[u32], &[u32], &[Option<(u64, bool)>])] = &[
            (&[1, 2, 3], &[1, 2, 3], &[Some((0, false)), Some((1, false)), Some((2, false))]),
            (&[1, 2, 3], &[3, 1, 2], &[Some((2, false)), Some((0, false)), Some((1, false))]),
            (&[7, 7, 8], &[7, 7, 7], &[Some((0, false)), Some((1, true)), None]),
            (&[9, 5, 9], &[5, 9, 9], &[Some((1, false)), Some((0, false)), Some((2, true))]),
            (&[0x7fff_ffff, 1], &[1], &[Some((1, false))]),
            (&[], &[1], &[None]),
        ];
        for (opened, answers, expected) in cases {
            let mut window = window(opened);
            let found: Vec<_> = answers
                .iter()
                .map(|&n| window.answer(n).map(|o| (o.judged_us, o.duplicate)))
                .collect();
            assert_eq!(&found, expected, "{opened:?} answered {answers:?}");
            let left = opened.len() - found.iter().flatten().count();
            assert_eq!(window.len(), left);
        }
    }

    #[test]
    fn the_front_is_always_open() {
        let mut window = window(&[1, 2, 3, 4]);
        window.answer(2);
        window.answer(1);
        assert_eq!(window.oldest().map(|o| o.sequence_number), Some(3));
        assert_eq!(window.give_up_oldest().map(|o| o.sequence_number), Some(3));
        assert_eq!((window.len(), window.oldest().map(|o| o.sequence_number)), (1, Some(4)));
    }
}
