//! What a running proxy does about keys: a new segment when the month's key changes, and the orders
//! to destroy.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::audit::keys::{KeyFault, NumbersKey};
use crate::audit::sealed::{DestroyFault, Order};
use crate::proxy::Shared;

/// How often it looks.
const LOOK: Duration = Duration::from_secs(2);

/// Looks until the proxy is told to stop.
pub(super) async fn watch(shared: Arc<Shared>, journal: PathBuf, keys: PathBuf) {
    let mut seen = None;
    let mut told = None;
    while !shared.drain.is_cancelled() {
        tokio::time::sleep(LOOK).await;
        let (looking, journal, keys) = (shared.clone(), journal.clone(), keys.clone());
        let looked = tokio::task::spawn_blocking(move || {
            let now_us = looking.clock.now().wall_us;
            let key = NumbersKey::due(&keys, now_us);
            carry_out(&looking, &journal, &keys, now_us);
            key
        });
        match looked.await {
            Ok(Ok(key)) => {
                // None: the month has none yet, the next segment makes it.
                let is_new = seen.as_ref().is_some_and(|seen: &Option<String>| {
                    *seen != key && (key.is_none() || seen.is_some())
                });
                if is_new {
                    tracing::info!(
                        "the key of numbers changes: a new segment of the journal begins"
                    );
                    shared.journal.rotate();
                }
                seen = Some(key);
            }
            Ok(Err(fault)) => tell(&mut told, &fault),
            Err(_) => return,
        }
    }
}

/// A fault that stays is logged once.
fn tell(told: &mut Option<String>, fault: &KeyFault) {
    let says = fault.to_string();
    if told.as_ref() != Some(&says) {
        tracing::error!(error = %says, "keys cannot be looked at");
        *told = Some(says);
    }
}

fn carry_out(shared: &Shared, journal: &Path, keys: &Path, now_us: u64) {
    let orders = match Order::waiting(keys) {
        Ok(orders) => orders,
        Err(error) => return tracing::warn!(%error, "an order to destroy keys cannot be read"),
    };
    for order in orders {
        match order.carry_out(&shared.journal, journal, keys, now_us) {
            Ok(done) => {
                let (key, segments) = (&order.key, done.segments);
                tracing::warn!(%key, segments, content_only = order.content_only, "keys destroyed");
            }
            // It waits for the segment that is open.
            Err(DestroyFault::InUse { .. }) => shared.journal.rotate(),
            Err(error) => tracing::error!(%error, key = %order.key, "keys are not destroyed"),
        }
    }
}
