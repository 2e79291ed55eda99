//! How many sessions each provider has: `[limits] sessions_per_provider` is asked at every bind.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::registry::ProviderId;

/// Who has how many seats. One count a provider that has any: never more than the registry has providers.
#[derive(Debug, Default)]
pub struct Seats {
    taken: Mutex<HashMap<ProviderId, usize>>,
}

/// A session's seat; dropped, it is free for another.
#[derive(Debug)]
pub struct Seat {
    seats: Arc<Seats>,
    provider: ProviderId,
}

impl Seats {
    /// A seat of the provider's, unless it has `most` already.
    pub fn take(self: &Arc<Seats>, provider: ProviderId, most: usize) -> Option<Seat> {
        let mut taken = self.lock();
        let count = taken.get(&provider).copied().unwrap_or(0);
        if count >= most {
            return None;
        }
        taken.insert(provider, count + 1);
        Some(Seat { seats: self.clone(), provider })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ProviderId, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.lock();
        match taken.get_mut(&self.provider) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) | None => {
                taken.remove(&self.provider);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_has_so_many_and_gives_them_back() {
        let seats = Arc::new(Seats::default());
        let take = |provider| seats.take(ProviderId(provider), 2);
        let (first, second) = (take(7), take(7));
        assert!(first.is_some() && second.is_some());
        assert!(take(7).is_none(), "one past the most");
        assert!(take(8).is_some(), "another's are its own");
        drop(first);
        let third = take(7);
        assert!(third.is_some() && take(7).is_none());
        drop((second, third));
        assert!(seats.lock().is_empty(), "nothing is remembered of who has gone");
        assert!(seats.take(ProviderId(7), 0).is_none());
    }
}
