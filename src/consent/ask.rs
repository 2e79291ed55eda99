//! What the ledger of many nodes is waited for: a look-up, or a claim. Both are over at their deadline,
//! whatever the engine does.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

/// A look-up under way. Ready when [`crate::consent::Ledger::standings`] has all that was asked for, or
/// the deadline has passed: what is not known then is answered `Unavailable`. Dropping it forgets the
/// waiting, not the look-up.
#[derive(Debug)]
pub struct Lookup(oneshot::Receiver<()>);

impl Lookup {
    /// One, and who ends it: by sending, or by being dropped.
    pub fn new() -> (oneshot::Sender<()>, Lookup) {
        let (end, over) = oneshot::channel();
        (end, Lookup(over))
    }
}

impl Future for Lookup {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx).map(|_| ())
    }
}

/// What became of one event that was claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// It is counted for all nodes: its message may go on.
    Taken,
    /// Another was first: the recipient was asked already, or said no, or the promise is used up. The
    /// message must not go on.
    Refused,
    /// Nobody can tell in time. The message must not go on now: `ledger.unavailable`.
    Unavailable,
}

/// Whether messages must be claimed before they go on.
#[derive(Debug)]
pub enum Claim {
    /// No: they go on, and [`crate::consent::Ledger::append`] is told of them as they do.
    Free,
    /// Yes, and it is under way. Those that are taken go on; `append` is not told of them again.
    Asked(Claiming),
}

/// A claim under way. Ready with one [`Claimed`] an event, in their order, at its deadline at the latest.
/// Dropping it takes nothing back: what is counted by then stays counted.
#[derive(Debug)]
pub struct Claiming {
    answer: oneshot::Receiver<Vec<Claimed>>,
    /// Events.
    count: usize,
}

impl Claiming {
    /// One for so many events, and who answers it. Who is dropped answers `Unavailable` to all.
    pub fn new(count: usize) -> (oneshot::Sender<Vec<Claimed>>, Claiming) {
        let (sender, answer) = oneshot::channel();
        (sender, Claiming { answer, count })
    }
}

impl Future for Claiming {
    type Output = Vec<Claimed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Vec<Claimed>> {
        let count = self.count;
        Pin::new(&mut self.answer).poll(cx).map(|answer| {
            let mut all = answer.unwrap_or_default();
            all.resize(count, Claimed::Unavailable);
            all
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    fn now<F: Future + Unpin>(mut one: F) -> Poll<F::Output> {
        Pin::new(&mut one).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn who_waits_is_answered_even_by_nobody() {
        let (end, lookup) = Lookup::new();
        drop(end);
        assert_eq!(now(lookup), Poll::Ready(()));
        let (_end, lookup) = Lookup::new();
        assert_eq!(now(lookup), Poll::Pending);
        let (sender, claim) = Claiming::new(2);
        drop(sender);
        assert_eq!(now(claim), Poll::Ready(vec![Claimed::Unavailable; 2]));
        let (sender, claim) = Claiming::new(2);
        sender.send(vec![Claimed::Taken]).unwrap();
        assert_eq!(now(claim), Poll::Ready(vec![Claimed::Taken, Claimed::Unavailable]));
    }
}
