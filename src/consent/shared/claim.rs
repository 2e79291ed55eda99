//! Claims: what must be counted for all nodes before it goes on. One transaction at a time: at the engine
//! they would wait for each other all the same.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

use super::Told;
use super::fetch::until;
use super::node::Node;
use super::truth::Truth;
use crate::consent::Claimed;

/// Claims of one transaction at most, unless one session has more at once.
pub const CLAIMS_AT_ONCE_MAX: usize = 1024;

/// How long a transaction may take. Who waits for it is answered at its deadline; what is counted then
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
    let mut queue: VecDeque<Asked> = VecDeque::new();
    let mut waiting: Vec<Asked> = Vec::new();
    let mut under_way = FuturesUnordered::new();
    loop {
        if under_way.is_empty() && !queue.is_empty() {
            waiting = take(&mut queue);
            let events = waiting.iter().flat_map(|one| one.events.iter().copied()).collect();
            // What is known too late to judge by is too late to count by.
            if node.serves() {
                under_way.push(claim(truth.clone(), events));
            } else {
                waiting.clear();
            }
            continue;
        }
        let first = waiting.iter().chain(&queue).map(|one| one.until).min();
        tokio::select! {
            biased;
            Some(claimed) = under_way.next() => {
                let mut claimed: Vec<Claimed> = claimed;
                for one in waiting.drain(..) {
                    let left = claimed.split_off(one.events.len().min(claimed.len()));
                    // Who asked may be gone.
                    let _ = one.answer.send(std::mem::replace(&mut claimed, left));
                }
            }
            one = asked.recv() => match one {
                Some(one) => queue.push_back(one),
                None => return,
            },
            () = until(first) => {
                let now = Instant::now();
                // The places of those that are too late must stay: nobody listens any more.
                for one in waiting.iter_mut().filter(|one| one.until <= now) {
                    one.answer = oneshot::channel().0;
                    one.until = now + TRANSACTION;
                }
                queue.retain(|one| one.until > now);
            }
        }
    }
}

/// Takes what the next transaction is for.
fn take(queue: &mut VecDeque<Asked>) -> Vec<Asked> {
    let (mut taken, mut events): (Vec<Asked>, usize) = (Vec::new(), 0);
    while let Some(next) = queue.front() {
        events += next.events.len();
        if !taken.is_empty() && events > CLAIMS_AT_ONCE_MAX {
            break;
        }
        taken.extend(queue.pop_front());
    }
    taken
}

/// What became of the events; of none when nobody knows.
async fn claim<T: Truth>(truth: Arc<T>, events: Vec<Told>) -> Vec<Claimed> {
    match timeout(TRANSACTION, truth.claim(&events)).await {
        Ok(Ok(claimed)) => claimed,
        Ok(Err(_)) | Err(_) => Vec::new(),
    }
}
