//! The threads that carry traffic: each has its own reactor, and a pair stays on one of them.
//!
//! Nothing is stolen from one thread by another: a socket's readiness wakes the thread that owns
//! the pair and no other. With the work-stealing runtime the same load cost a third more CPU time,
//! most of it in waking idle threads.

use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Most threads that carry traffic.
pub const THREADS_MAX: usize = 256;

/// The threads that carry traffic; dropped, they end, and what is left on them with them.
#[derive(Debug)]
pub struct Shards {
    handles: Vec<Handle>,
    next: AtomicUsize,
    ended: CancellationToken,
}

impl Shards {
    /// Starts that many threads, 1 to [`THREADS_MAX`].
    ///
    /// # Errors
    ///
    /// When the system gives no thread or no reactor.
    pub fn start(threads: usize) -> io::Result<Shards> {
        let ended = CancellationToken::new();
        let mut shards = Shards { handles: Vec::new(), next: AtomicUsize::new(0), ended };
        for number in 0..threads.clamp(1, THREADS_MAX) {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            shards.handles.push(runtime.handle().clone());
            let ended = shards.ended.clone();
            std::thread::Builder::new()
                .name(format!("pump-{number}"))
                .spawn(move || runtime.block_on(ended.cancelled()))?;
        }
        Ok(shards)
    }

    /// Puts a pair on the next thread in turn.
    pub(super) fn spawn(
        &self,
        tasks: &TaskTracker,
        pair: impl Future<Output = ()> + Send + 'static,
    ) {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        if let Some(handle) = self.handles.get(turn % self.handles.len().max(1)) {
            tasks.spawn_on(pair, handle);
        }
    }

    /// Resolves when every one of the threads has turned to a task that was put on it now.
    pub async fn answer(&self) {
        for handle in &self.handles {
            // Only a runtime that ends does not run it, and then nobody waits for an answer.
            let _ = handle.spawn(async {}).await;
        }
    }

    /// Ends the threads and drops what is left on them, soon.
    pub fn end(&self) {
        self.ended.cancel();
    }
}

impl Drop for Shards {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    /// Far longer than an answer takes.
    const PATIENCE: Duration = Duration::from_secs(30);
    /// Time enough for an answer, were there one.
    const MOMENT: Duration = Duration::from_millis(100);

    #[tokio::test]
    async fn threads_answer_unless_one_of_them_hangs() {
        let shards = Shards::start(2).expect("two threads");
        timeout(PATIENCE, shards.answer()).await.expect("both are idle");
        let (release, released) = mpsc::channel::<()>();
        shards.spawn(&TaskTracker::new(), async move { _ = released.recv() });
        assert!(timeout(MOMENT, shards.answer()).await.is_err(), "one of them is held");
        drop(release);
        timeout(PATIENCE, shards.answer()).await.expect("both are idle again");
    }
}
