//! The journal's thread: writes, synchronises and tries again, as the shared side asks.

use super::journal::{Shared, Unavailable, Work};

/// Runs until the journal is closed; the result is that of writing its end.
pub(super) fn run(shared: &Shared) -> Result<(), Unavailable> {
    loop {
        match shared.next_work() {
            Work::Flush => shared.flush(),
            Work::Sync => shared.sync(),
            Work::Retry => shared.retry(),
            Work::Close(stop_us) => return shared.finish(stop_us),
        }
    }
}
