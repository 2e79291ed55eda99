//! Imports: chunks of a file, each in one transaction with how far the import came. Killed at any
//! moment, an import goes on where it was, nothing lost and nothing twice.

use std::time::Duration;

use tokio_postgres::Row;

use super::Engine;
use super::apply::{Outcome, TRIES_MAX, Told};
use super::fault::EngineFault;
use super::fold::{fold, keys};
use super::lock::{commit, give_up, lock};
use super::pairs::read_pairs;
use super::write::Writes;
use crate::consent::hot::SEQUENCE_MAX;
use crate::consent::{ImportKey, Progress, Refused};

const TABLE: &str = "consentry_consent_imports";

/// Events of one chunk at most: other writers wait while it is written. Cut chunks so that they have no
/// more than this.
pub const CHUNK_EVENTS_MAX: usize = 4096;

const PROGRESS: &str = "SELECT progress FROM consentry_consent_imports WHERE key = $1";

const NOTE: &str = "INSERT INTO consentry_consent_imports (key, progress) VALUES ($1, $2) \
                    ON CONFLICT (key) DO UPDATE SET progress = excluded.progress";

/// What became of a chunk. It is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// How far the import is now.
    pub done: Progress,
    /// The number of its last change.
    pub change: u64,
    /// How long it kept other writers waiting, at most.
    pub locked: Duration,
}

impl Engine {
    /// How far an import came, if it ever began. Definite, as [`Engine::position`].
    pub async fn import_progress(&self, key: ImportKey) -> Result<Option<Progress>, EngineFault> {
        let lent = self.lend().await?;
        let read = lent.prepare_cached(PROGRESS).await?;
        let file = &key.0[..];
        let (_, _, row) = lock(&lent, lent.query_opt(&read, &[&file])).await?;
        give_up(&lent).await?;
        lent.give_back();
        progress_in(row.as_ref())
    }

    /// Notes how far an import came whose events were told, not imported.
    pub async fn note_progress(&self, key: ImportKey, done: &Progress) -> Result<(), EngineFault> {
        let lent = self.lend().await?;
        let note = lent.prepare_cached(NOTE).await?;
        lent.execute(&note, &[&&key.0[..], &written(done)]).await?;
        lent.give_back();
        Ok(())
    }

    /// Takes a chunk of an import. `before`: how far the engine says that the import came
    /// ([`Engine::import_progress`], or what the last chunk made of it). `done`: how far it is with this
    /// chunk, but for the events taken, known and refused here, which are added. `report` is told what is
    /// refused before anything is written; where the commit then fails, it is told again at the next try.
    ///
    /// # Errors
    ///
    /// [`EngineFault::Unknown`]: ask [`Engine::import_progress`]. [`EngineFault::Elsewhere`] when the
    /// import is not where `before` says, and [`EngineFault::TooMany`] for more than
    /// [`CHUNK_EVENTS_MAX`] events: nothing was taken.
    pub async fn import(
        &self,
        key: ImportKey,
        before: Option<&Progress>,
        events: &[Told],
        done: &Progress,
        report: &mut (dyn FnMut(&[Refused]) + Send),
    ) -> Result<Imported, EngineFault> {
        if events.len() > CHUNK_EVENTS_MAX {
            return Err(EngineFault::TooMany(CHUNK_EVENTS_MAX));
        }
        let mut tries = 1;
        loop {
            match self.try_import(key, before, events, done, report).await {
                Err(EngineFault::Busy) if tries < TRIES_MAX => tries += 1,
                done => return done,
            }
        }
    }

    async fn try_import(
        &self,
        key: ImportKey,
        before: Option<&Progress>,
        events: &[Told],
        done: &Progress,
        report: &mut (dyn FnMut(&[Refused]) + Send),
    ) -> Result<Imported, EngineFault> {
        let lent = self.lend().await?;
        let read = self.prepare_pairs(&lent).await?;
        let (asked, note, writes) = tokio::try_join!(
            lent.prepare_cached(PROGRESS),
            lent.prepare_cached(NOTE),
            Writes::prepare(&lent),
        )?;
        let wanted: Vec<i64> = keys(events.iter()).iter().map(|key| key.signed()).collect();
        let file = &key.0[..];
        let reads = async {
            tokio::try_join!(
                biased;
                async { lent.query(&read, &[&wanted]).await },
                async { lent.query_opt(&asked, &[&file]).await },
            )
        };
        let (mut head, since, (pairs, progress)) = lock(&lent, reads).await?;
        let found = progress_in(progress.as_ref())?;
        if found.as_ref() != before {
            give_up(&lent).await?;
            lent.give_back();
            return Err(EngineFault::Elsewhere);
        }
        if head.event.saturating_add(events.len() as u64) > SEQUENCE_MAX {
            return Err(EngineFault::Full);
        }
        let folded = fold(&mut head, read_pairs(&pairs)?, events, false);
        let mut done = done.clone();
        let mut refused = Vec::new();
        for (at, outcome) in folded.outcomes.iter().enumerate() {
            match outcome {
                Ok(Outcome::Taken(_) | Outcome::Counted) => done.taken += 1,
                Ok(Outcome::Known | Outcome::Earlier) => done.known += 1,
                Err(fault) => refused.push(Refused { at, fault: *fault }),
            }
        }
        done.refused += refused.len() as u64;
        report(&refused);
        let text = written(&done);
        let written = async {
            tokio::try_join!(
                biased;
                writes.send(&lent, &head, folded),
                async { lent.execute(&note, &[&file, &text]).await },
            )
        };
        commit(&lent, &head, written).await?;
        let locked = since.elapsed();
        lent.give_back();
        Ok(Imported { done, change: head.change, locked })
    }
}

fn progress_in(row: Option<&Row>) -> Result<Option<Progress>, EngineFault> {
    let Some(row) = row else { return Ok(None) };
    let text: &str = row.try_get(0).map_err(|_| EngineFault::Malformed(TABLE))?;
    serde_json::from_str(text).map(Some).map_err(|_| EngineFault::Malformed(TABLE))
}

fn written(progress: &Progress) -> String {
    // Numbers and a text: this cannot fail.
    serde_json::to_string(progress).unwrap_or_default()
}
