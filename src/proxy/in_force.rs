//! What is in force: by what every session judges, until something else is.
//!
//! Whoever reloads builds the new terms beside and puts them here at once. Sessions hold the terms that they
//! judge by; those are told that they are superseded, and go over between two batches: a batch is judged,
//! recorded and carried out by one and the same. The telling is the one that a shutdown uses too, so that
//! nothing is looked at a turn that was not before, and who sits idle holds no old terms.

use std::sync::{Arc, PoisonError, RwLock};

use tokio_util::sync::CancellationToken;

use super::Settings;
use crate::session::Knowledge;

/// What sessions judge by.
#[derive(Debug)]
pub struct Terms {
    /// Rules and registry.
    pub knowledge: Knowledge,
    /// Limits and times.
    pub settings: Settings,
    /// Cancelled when other terms are in force, and when the shutdown begins.
    pub(super) superseded: CancellationToken,
}

/// The terms in force.
#[derive(Debug)]
pub struct InForce {
    now: RwLock<Arc<Terms>>,
    drain: CancellationToken,
}

impl InForce {
    /// The first terms. `drain` is cancelled when the shutdown begins.
    pub fn new(knowledge: Knowledge, settings: Settings, drain: &CancellationToken) -> InForce {
        let terms = Arc::new(Terms { knowledge, settings, superseded: drain.child_token() });
        InForce { now: RwLock::new(terms), drain: drain.clone() }
    }

    /// What is in force now.
    pub fn now(&self) -> Arc<Terms> {
        self.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts others in force and tells every session; returns those of before, which sessions hold until they
    /// have gone over.
    pub fn replace(&self, knowledge: Knowledge, settings: Settings) -> Arc<Terms> {
        let terms = Arc::new(Terms { knowledge, settings, superseded: self.drain.child_token() });
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *now, terms);
        drop(now);
        before.superseded.cancel();
        before
    }
}
