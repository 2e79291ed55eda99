//! Keywords for refusing that messages announced (回TDZD退订): the reply may come through another node
//! than the message went through.

use tokio_postgres::Row;

use super::Engine;
use super::fault::EngineFault;
use super::lock::{commit, give_up, lock, number, signed};

const TABLE: &str = "consentry_consent_keywords";

/// Keywords that are kept at most; beyond it none is. As many as the file of one node holds, about.
pub const KEYWORDS_MAX: u64 = 2_000_000;

const AFTER: &str = "SELECT number, code, keyword FROM consentry_consent_keywords \
                     WHERE number > $1 ORDER BY number LIMIT $2";

const KNOWN: &str = "SELECT code, keyword FROM consentry_consent_keywords \
                     WHERE (code, keyword) IN (SELECT * FROM unnest($1::text[], $2::text[]))";

const ADD: &str = "INSERT INTO consentry_consent_keywords (number, code, keyword) \
                   SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[])";

/// A keyword, with its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyword {
    /// From 1, in the order of announcement.
    pub number: u64,
    /// The code that announced it.
    pub code: String,
    /// The keyword.
    pub keyword: String,
}

impl Engine {
    /// Up to `most` keywords after a number.
    pub async fn keywords(&self, after: u64, most: u32) -> Result<Vec<Keyword>, EngineFault> {
        let lent = self.lend().await?;
        let read = lent.prepare_cached(AFTER).await?;
        let rows = lent.query(&read, &[&signed(after), &i64::from(most)]).await?;
        lent.give_back();
        let keyword = |row: &Row| {
            let text = |at: usize| row.try_get(at).map_err(|_| EngineFault::Malformed(TABLE));
            Ok(Keyword { number: number(row, 0, TABLE)?, code: text(1)?, keyword: text(2)? })
        };
        rows.iter().map(keyword).collect()
    }

    /// Keeps keywords, code and keyword, that are not kept yet.
    pub async fn add_keywords(&self, told: &[(&str, &str)]) -> Result<(), EngineFault> {
        let mut told: Vec<(&str, &str)> =
            told.iter().filter(|(_, keyword)| !keyword.contains('\0')).copied().collect();
        told.sort_unstable();
        told.dedup();
        if told.is_empty() {
            return Ok(());
        }
        let lent = self.lend().await?;
        let (known, add) = tokio::try_join!(lent.prepare_cached(KNOWN), lent.prepare_cached(ADD))?;
        let (codes, keywords): (Vec<&str>, Vec<&str>) = told.iter().copied().unzip();
        let reads = async { lent.query(&known, &[&codes, &keywords]).await };
        let (mut head, _, rows) = lock(&lent, reads).await?;
        for row in &rows {
            let text = |at: usize| row.try_get(at).map_err(|_| EngineFault::Malformed(TABLE));
            let known: (&str, &str) = (text(0)?, text(1)?);
            told.retain(|one| *one != known);
        }
        let room = KEYWORDS_MAX.saturating_sub(head.keywords);
        told.truncate(usize::try_from(room).unwrap_or(usize::MAX));
        if told.is_empty() {
            give_up(&lent).await?;
        } else {
            let numbers: Vec<i64> = (head.keywords + 1..).take(told.len()).map(signed).collect();
            let (codes, keywords): (Vec<&str>, Vec<&str>) = told.iter().copied().unzip();
            head.keywords += told.len() as u64;
            commit(&lent, &head, lent.execute(&add, &[&numbers, &codes, &keywords])).await?;
        }
        lent.give_back();
        Ok(())
    }
}
