//! Look-ups of what the cache lacks: by the batch, several under way at once, each over in time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use super::cache::Gap;
use super::node::Node;
use super::truth::Truth;
use crate::consent::PairKey;

/// Pairs of one statement at most, unless one session asks for more at once.
pub const LOOKUP_KEYS_MAX: usize = 1024;

/// Statements under way at once.
pub const STATEMENTS_MAX: usize = 4;

/// How often a pair is looked up for one question: the cache drops a part of itself when it is full.
const TRIES_MAX: usize = 4;

/// How long a statement may take: what comes after the deadline is there for who asks again.
const STATEMENT: Duration = Duration::from_secs(2);

/// What a session waits for.
pub(super) struct Wanted {
    /// Each pair once.
    pub gaps: Vec<Gap>,
    /// Until when it waits.
    pub until: Instant,
    /// Told when its waiting is over.
    pub end: oneshot::Sender<()>,
}

/// Who waits for a statement under way.
struct Group {
    number: u64,
    waiting: Vec<Wanted>,
}

/// Serves look-ups until nobody can ask any more.
pub(super) async fn run<T: Truth>(
    node: Arc<Node>,
    truth: Arc<T>,
    mut asked: mpsc::Receiver<Wanted>,
) {
    let mut queue: VecDeque<Wanted> = VecDeque::new();
    let mut groups: Vec<Group> = Vec::new();
    let mut under_way = FuturesUnordered::new();
    let mut number = 0;
    loop {
        while under_way.len() < STATEMENTS_MAX
            && let Some((group, gaps)) = take(&mut queue, number)
        {
            number += 1;
            let (node, truth, number) = (node.clone(), truth.clone(), group.number);
            groups.push(group);
            under_way.push(async move { (number, fetch(&node, &*truth, gaps).await) });
        }
        let first = groups.iter().flat_map(|group| &group.waiting).chain(&queue);
        let first = first.map(|wanted| wanted.until).min();
        tokio::select! {
            biased;
            Some((done, found)) = under_way.next() => {
                for mut group in groups.extract_if(.., |group| group.number == done) {
                    if found {
                        for wanted in group.waiting.drain(..) {
                            node.fetched.fetch_add(wanted.gaps.len() as u64, Ordering::Relaxed);
                            // Who asked may be gone.
                            let _ = wanted.end.send(());
                        }
                    }
                    give_up(&node, &mut group.waiting, None);
                }
            }
            wanted = asked.recv() => match wanted {
                Some(wanted) => queue.push_back(wanted),
                None => return,
            },
            () = until(first) => {
                let now = Some(Instant::now());
                groups.iter_mut().for_each(|group| give_up(&node, &mut group.waiting, now));
                let mut waiting: Vec<Wanted> = queue.drain(..).collect();
                give_up(&node, &mut waiting, now);
                queue.extend(waiting);
            }
        }
    }
}

/// Until that moment; for ever without one.
pub(super) async fn until(first: Option<Instant>) {
    match first {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Ends the waiting of those whose time is over at `now`; of all without it.
fn give_up(node: &Node, waiting: &mut Vec<Wanted>, now: Option<Instant>) {
    let is_over = |wanted: &mut Wanted| now.is_none_or(|now| wanted.until <= now);
    for wanted in waiting.extract_if(.., is_over) {
        node.late.fetch_add(wanted.gaps.len() as u64, Ordering::Relaxed);
        // Who asked may be gone.
        let _ = wanted.end.send(());
    }
}

/// Takes what is asked for by the next statement.
fn take(queue: &mut VecDeque<Wanted>, number: u64) -> Option<(Group, Vec<Gap>)> {
    let (mut waiting, mut gaps) = (Vec::new(), Vec::new());
    while let Some(next) = queue.front() {
        if !waiting.is_empty() && gaps.len() + next.gaps.len() > LOOKUP_KEYS_MAX {
            break;
        }
        gaps.extend_from_slice(&next.gaps);
        waiting.extend(queue.pop_front());
    }
    // Of two gaps of one pair, the one that was found first: it minds more of what came since.
    gaps.sort_by_key(|gap: &Gap| gap.key);
    gaps.dedup_by_key(|gap| gap.key);
    (!waiting.is_empty()).then_some((Group { number, waiting }, gaps))
}

/// Fills gaps; whether all are. What was dropped from the cache while it was looked up, as by what the same
/// look-up put there, is looked up again.
async fn fetch<T: Truth>(node: &Node, truth: &T, mut gaps: Vec<Gap>) -> bool {
    for _ in 0..TRIES_MAX {
        match look_up(node, truth, gaps).await {
            Some(left) if left.is_empty() => return true,
            Some(left) => gaps = left,
            None => return false,
        }
    }
    false
}

/// Looks up once; the gaps that are not filled. `None`: nothing was learned.
async fn look_up<T: Truth>(node: &Node, truth: &T, gaps: Vec<Gap>) -> Option<Vec<Gap>> {
    let keys: Vec<PairKey> = gaps.iter().map(|gap| gap.key).collect();
    let mark = node.outbox.mark();
    let found = timeout(STATEMENT, truth.pairs(&keys, mark.outbox)).await;
    let (mut found, position) = found.ok()?.ok()?;
    // An engine that has less of this node than it confirmed has gone back: its pairs may lack what is
    // in force here. The feed sees to that first.
    if position < mark.delivered || !node.outbox.is_current(mark) {
        return None;
    }
    found.sort_unstable_by_key(|(key, _)| *key);
    let now_us = node.engine_us((node.wall_us)());
    let mut found = found.into_iter().peekable();
    for gap in gaps {
        let pair = found.next_if(|(key, _)| *key == gap.key).map(|(_, pair)| pair);
        node.cache.fill(gap, pair, now_us);
    }
    Some(keys.into_iter().filter_map(|key| node.cache.gap_again(key, now_us)).collect())
}
