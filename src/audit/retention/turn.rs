//! Who may change `purged.json` and the holds: one at a time, and a purge not twice before who waits.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Taken for each segment that is purged, and for each hold that is set or lifted. Who waits for it has a place
/// that comes before whoever asks later: with a mutex alone a purge would take it again for its next segment.
#[derive(Debug, Default)]
pub struct Turn {
    next: Mutex<()>,
    now: Mutex<()>,
}

impl Turn {
    /// Waits for those before; over when it is dropped.
    pub(super) fn take(&self) -> MutexGuard<'_, ()> {
        let _next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
