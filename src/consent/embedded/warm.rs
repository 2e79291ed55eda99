//! Fills the hot layer from the store, while the ledger already answers.

use std::sync::atomic::Ordering;

use super::{Shared, locked};
use crate::consent::PairKey;
use crate::consent::hot;

/// Pairs between two looks whether the ledger is being closed.
const LOOK_PAIRS: usize = 4096;

/// Puts pairs into the hot layer, by key, until all are there or no more fit.
pub(super) fn run(shared: &Shared) {
    for (at, pair) in shared.store.pairs_from(PairKey(0)).enumerate() {
        // What cannot be read is reported to whoever asks for it.
        let Ok((key, pair)) = pair else { return };
        if !shared.hot.is_whole() || !shared.hot.has_room(key) {
            return;
        }
        let (entry, promise) = hot::entry(&pair);
        // Nothing was dropped yet: whatever is newer is still there, and stays.
        if let Some(promise) = promise
            && shared.promises.is_whole()
            && shared.promises.has_room(key)
        {
            shared.promises.keep(key, promise, 0);
        }
        shared.hot.keep(key, entry, 0);
        if at % LOOK_PAIRS == 0 {
            let pending = locked(&shared.pending);
            if pending.is_closing || pending.ended.is_some() {
                return;
            }
        }
    }
    shared.is_warm.store(true, Ordering::Release);
}
