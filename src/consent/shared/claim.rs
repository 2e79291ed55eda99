//! Claims: what must be counted for all nodes before it goes on. One batch at a time: at the engine they
//! would wait for each other all the same.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use super::Told;
use super::node::Node;
use super::truth::Truth;
use crate::consent::Claimed;

/// Claims of one transaction at most, unless one session has more at once.
pub const CLAIMS_AT_ONCE_MAX: usize = 1024;

/// How long a transaction may take. Who waited for it is answered at its deadline; what it counts then
/// is counted for a message that did not go on.
const TRANSACTION: Duration = Duration::from_secs(2);

/// What a session claims.
pub(super) struct Asked {
    /// By the engine's clock.
    pub events: Vec<Told>,
    /// Until when it waits.
    pub until: Instant,
    /// Dropped = nobody can tell.
    pub answer: oneshot::Sender<Vec<Claimed>>,
}

/// Serves claims until nobody can ask any more.
pub(super) async fn run<T: Truth>(
    node: Arc<Node>,
    truth: Arc<T>,
    mut asked: mpsc::Receiver<Asked>,
) {
    let mut left: Option<Asked> = None;
    loop {
        let Some(first) = (match left.take() {
            Some(left) => Some(left),
            None => asked.recv().await,
        }) else {
            return;
        };
        if first.until <= Instant::now() || !node.serves() {
            continue;
        }
        let (mut events, mut waiting) = (first.events, vec![(first.answer, first.until)]);
        let mut ends = vec![events.len()];
        while let Ok(next) = asked.try_recv() {
            if events.len() + next.events.len() > CLAIMS_AT_ONCE_MAX {
                left = Some(next);
                break;
            }
            events.extend(next.events);
            ends.push(events.len());
            waiting.push((next.answer, next.until));
        }
        let until = waiting.iter().map(|(_, until)| *until).min().unwrap_or_else(Instant::now);
        let mut transaction = std::pin::pin!(timeout(TRANSACTION, truth.claim(&events)));
        let answered = tokio::select! {
            biased;
            done = &mut transaction => Some(done),
            () = sleep_until(until) => None,
        };
        match answered {
            Some(Ok(Ok(claimed))) => {
                let mut from = 0;
                for ((answer, _), end) in waiting.into_iter().zip(ends) {
                    let own = claimed.get(from..end).unwrap_or_default().to_vec();
                    from = end;
                    // Who asked may be gone.
                    let _ = answer.send(own);
                }
            }
            Some(_) => drop(waiting),
            None => {
                // Too late for those; but not undone half way.
                drop(waiting);
                let _ = transaction.await;
            }
        }
    }
}
