//! Names of entities and scopes, and their numbers: given once, for ever, the same for every node.

use tokio_postgres::Row;

use super::Engine;
use super::fault::EngineFault;
use super::lock::{commit, give_up, lock};
use crate::consent::{ENTITIES_MAX, NAME_OCTETS_MAX, NameFault, SCOPES_MAX};

const TABLE: &str = "consentry_consent_names";

const NUMBER: &str = "SELECT number FROM consentry_consent_names WHERE kind = $1 AND name = $2";

const COUNT: &str = "SELECT count(*) FROM consentry_consent_names WHERE kind = $1";

const FROM: &str = "SELECT number, name FROM consentry_consent_names \
                    WHERE kind = $1 AND number >= $2 ORDER BY number";

const GIVE: &str = "INSERT INTO consentry_consent_names (kind, number, name) VALUES ($1, $2, $3)";

/// What has names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NameKind {
    /// Legal entities, numbered from 0.
    Entity,
    /// Scopes, numbered from 1: 0 is the whole entity.
    Scope,
}

impl NameKind {
    const fn code(self) -> &'static str {
        match self {
            Self::Entity => "e",
            Self::Scope => "s",
        }
    }

    /// The number of the first name.
    const fn first(self) -> u16 {
        match self {
            Self::Entity => 0,
            Self::Scope => 1,
        }
    }

    const fn names_max(self) -> usize {
        match self {
            Self::Entity => ENTITIES_MAX,
            Self::Scope => SCOPES_MAX,
        }
    }
}

impl Engine {
    /// All entities, by number from 0, and all scopes, by number from 1.
    pub async fn names(&self) -> Result<(Vec<String>, Vec<String>), EngineFault> {
        self.names_from(0, 0).await
    }

    /// The same, without as many as are known already.
    pub async fn names_from(
        &self,
        entities: usize,
        scopes: usize,
    ) -> Result<(Vec<String>, Vec<String>), EngineFault> {
        let lent = self.lend().await?;
        let from = lent.prepare_cached(FROM).await?;
        let first = |kind: NameKind, known| i32::from(kind.first()).saturating_add(known);
        let known = [entities, scopes].map(|known| i32::try_from(known).unwrap_or(i32::MAX));
        let [entities, scopes] = [
            (NameKind::Entity.code(), first(NameKind::Entity, known[0])),
            (NameKind::Scope.code(), first(NameKind::Scope, known[1])),
        ];
        let (entity_rows, scope_rows) = tokio::try_join!(
            biased;
            async { lent.query(&from, &[&entities.0, &entities.1]).await },
            async { lent.query(&from, &[&scopes.0, &scopes.1]).await },
        )?;
        lent.give_back();
        Ok((names_in(&entity_rows, entities.1)?, names_in(&scope_rows, scopes.1)?))
    }

    /// The name's number, given now if it has none.
    pub async fn give(
        &self,
        kind: NameKind,
        name: &str,
    ) -> Result<Result<u16, NameFault>, EngineFault> {
        // PostgreSQL has no text with NUL in it.
        if name.trim().is_empty() || name.len() > NAME_OCTETS_MAX || name.contains('\0') {
            return Ok(Err(NameFault::Malformed));
        }
        let lent = self.lend().await?;
        let (find, count, give) = tokio::try_join!(
            lent.prepare_cached(NUMBER),
            lent.prepare_cached(COUNT),
            lent.prepare_cached(GIVE)
        )?;
        let code = kind.code();
        if let Some(row) = lent.query_opt(&find, &[&code, &name]).await? {
            lent.give_back();
            return number_in(&row).map(Ok);
        }
        let reads = async {
            tokio::try_join!(
                biased;
                async { lent.query_opt(&find, &[&code, &name]).await },
                async { lent.query_one(&count, &[&code]).await },
            )
        };
        let (mut head, _, (found, count)) = lock(&lent, reads).await?;
        let count: i64 = count.try_get(0).map_err(|_| EngineFault::Malformed(TABLE))?;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let number = match found {
            Some(row) => Ok(number_in(&row)?),
            None if count >= kind.names_max() => Err(NameFault::Max(kind.names_max())),
            None => {
                let number = kind.first() + count as u16;
                head.names += 1;
                let row = async { lent.execute(&give, &[&code, &i32::from(number), &name]).await };
                commit(&lent, &head, row).await?;
                lent.give_back();
                return Ok(Ok(number));
            }
        };
        give_up(&lent).await?;
        lent.give_back();
        Ok(number)
    }
}

fn number_in(row: &Row) -> Result<u16, EngineFault> {
    let number: i32 = row.try_get(0).map_err(|_| EngineFault::Malformed(TABLE))?;
    u16::try_from(number).map_err(|_| EngineFault::Malformed(TABLE))
}

/// Names that are numbered on from `first` without a hole.
fn names_in(rows: &[Row], first: i32) -> Result<Vec<String>, EngineFault> {
    let mut names = Vec::new();
    for (expected, row) in (first..).zip(rows) {
        let number: i32 = row.try_get(0).map_err(|_| EngineFault::Malformed(TABLE))?;
        if number != expected {
            return Err(EngineFault::Malformed(TABLE));
        }
        names.push(row.try_get(1).map_err(|_| EngineFault::Malformed(TABLE))?);
    }
    Ok(names)
}
