//! What the running proxy answers its console (`admin::console`).
//!
//! | file | subject |
//! |---|---|
//! | `history` | samples of the last quarter of an hour |
//! | `glance` | whether all is well, in words |
//! | `status` | figures of now |
//! | `registry` | who is admitted, what expires soon |
//! | `journal` | the newest refusals, one record; each look on record |
//! | `explain` | one message judged as a session would |

use std::sync::Arc;

use super::Failure;
use crate::admin::console::{Answer, Ask};
use crate::config::Config;
use crate::consent::Ledger;
use crate::proxy::Shared;

mod explain;
mod glance;
mod history;
mod journal;
mod registry;
mod status;

/// Begins to take samples, and answers. Call inside a tokio runtime.
pub(super) fn answers(
    config: &Config,
    shared: &Arc<Shared>,
    ledger: &Ledger,
) -> Result<Answer, Failure> {
    let history = Arc::new(history::History::default());
    tokio::spawn(history::watch(history.clone(), shared.clone()));
    let figures = status::Figures::new(config, shared, ledger, history.clone());
    let journal = journal::Looks::new(config, shared)?;
    let explain = explain::Form::new(config, shared, ledger);
    let known = shared.clone();
    Ok(Arc::new(move |ask, peer| match ask {
        Ask::Status => Ok(figures.now().to_string()),
        Ask::History { after_us } => Ok(history.after(after_us).to_string()),
        Ask::Registry { query } => {
            let now_us = known.clock.now().wall_us;
            Ok(registry::shown(&known.in_force.now().knowledge, &query, now_us).to_string())
        }
        Ask::Refusals { rule, most } => journal.refusals(peer, rule.as_deref(), most),
        Ask::Record { number } => journal.record(peer, number),
        Ask::Explain { body } => explain.answer(&body),
    }))
}
