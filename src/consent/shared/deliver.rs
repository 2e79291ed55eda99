//! The outbox's way to the engine: in order, by the batch, until it is confirmed.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::node::Node;
use super::truth::Truth;
use crate::consent::files::FileFault;

/// Events of one transaction at most.
pub const DELIVER_EVENTS_MAX: usize = 2048;

/// How long a transaction, or a question, may take.
const ANSWER: Duration = Duration::from_secs(5);

/// How long after a failure it is tried again.
const AGAIN: Duration = Duration::from_millis(200);

/// How often it is looked whether something is delivered long enough to be forgotten.
const TIDY: Duration = Duration::from_secs(60);

/// Delivers for as long as the outbox works.
pub(super) async fn run<T: Truth>(node: Arc<Node>, truth: Arc<T>) {
    let mut tidied = Instant::now();
    loop {
        let done = deliver(&node, &*truth).await;
        let tidy = match tidied.elapsed() >= TIDY {
            true => {
                tidied = Instant::now();
                node.outbox.tidy()
            }
            false => Ok(()),
        };
        if let Err(fault) = done.and(tidy) {
            tracing::error!(%fault, "nothing more is delivered to the consent engine");
            node.outbox.tickets.end(fault.into());
            return;
        }
        // What was posted meanwhile is not missed: it left a permit.
        let _ = timeout(TIDY, node.outbox.posted.notified()).await;
    }
}

/// Delivers all that waits, while the engine means by the numbers whom this node means.
async fn deliver<T: Truth>(node: &Node, truth: &T) -> Result<(), FileFault> {
    while node.names.agree()
        && let Some(parcel) = node.outbox.next(DELIVER_EVENTS_MAX)?
    {
        match timeout(ANSWER, truth.deliver(&parcel)).await {
            Ok(Ok(faults)) => {
                for fault in faults {
                    // Such as consent that is not later than a refusal from another node.
                    tracing::warn!(%fault, "an event of this node changes nothing in the ledger");
                }
                node.outbox.delivered(&parcel)?;
            }
            // Perhaps it was applied and perhaps not: the engine knows.
            Ok(Err(_)) | Err(_) => {
                let mark = node.outbox.mark();
                if let Ok(Ok(position)) = timeout(ANSWER, truth.position(mark.outbox)).await {
                    node.outbox.hear(mark, position)?;
                    if !node.outbox.is_current(mark) {
                        // It went back, or is another one: the feed looks at its names first.
                        node.names.doubt();
                    }
                }
                sleep(AGAIN).await;
            }
        }
    }
    Ok(())
}
