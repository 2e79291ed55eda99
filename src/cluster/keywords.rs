//! The keywords that messages announced for refusing: a reply may come through another node than the message
//! went through. Every node has them all, in memory and in a file of its own, and tells what the others lack.

use std::collections::HashSet;

use crate::consent::shared::{Engine, EngineFault};
use crate::content::reply::Keyword;
use crate::registry::Digits;

/// Keywords that are asked for at once.
const PAGE: u32 = 10_000;

/// Keywords that are told at once.
const TOLD_MAX: usize = 1_000;

/// Keywords that wait to be told. The file has those beyond it: they are told after a restart.
const UNTOLD_MAX: usize = 100_000;

/// What became of one exchange.
#[derive(Debug, Default)]
pub(super) struct Learnt {
    /// What the others announced, in their order.
    pub new: Vec<(Digits, Keyword)>,
    /// Whether there may be more at once.
    pub is_more: bool,
    /// The database has not what it had: all that is known here is to be told again.
    pub is_lost: bool,
}

/// How far this node is with the others' keywords.
pub(super) struct Keywords {
    engine: Engine,
    /// The last that was heard, by which it shows that the database has what it had.
    last: Option<(u64, String, String)>,
    untold: HashSet<(Digits, Keyword)>,
}

impl Keywords {
    pub fn new(engine: Engine) -> Keywords {
        Keywords { engine, last: None, untold: HashSet::new() }
    }

    /// The database may lack these.
    pub fn lack(&mut self, known: impl IntoIterator<Item = (Digits, Keyword)>) {
        let room = UNTOLD_MAX.saturating_sub(self.untold.len());
        self.untold.extend(known.into_iter().take(room));
    }

    /// Hears what is new, and tells what the database has not when all is heard.
    pub async fn exchange(&mut self) -> Result<Learnt, EngineFault> {
        let after = self.last.as_ref().map_or(0, |(number, ..)| number.saturating_sub(1));
        let mut page = self.engine.keywords(after, PAGE).await?;
        if let Some((number, code, keyword)) = &self.last {
            let same = page.first().is_some_and(|first| {
                (first.number, &first.code, &first.keyword) == (*number, code, keyword)
            });
            if !same {
                self.last = None;
                return Ok(Learnt { is_lost: true, is_more: true, ..Learnt::default() });
            }
            page.remove(0);
        }
        let mut learnt = Learnt { is_more: page.len() + 1 >= PAGE as usize, ..Learnt::default() };
        for one in page {
            let code = Digits::new(one.code.as_bytes());
            if let Some(known) = code.zip(Keyword::new(&one.keyword)) {
                self.untold.remove(&known);
                learnt.new.push(known);
            }
            self.last = Some((one.number, one.code, one.keyword));
        }
        if learnt.is_more || self.untold.is_empty() {
            return Ok(learnt);
        }
        let told: Vec<_> = self.untold.iter().take(TOLD_MAX).copied().collect();
        let texts: Vec<(&str, &str)> =
            told.iter().map(|(code, keyword)| (code.unmasked(), keyword.as_str())).collect();
        self.engine.add_keywords(&texts).await?;
        for one in &told {
            self.untold.remove(one);
        }
        learnt.is_more = !self.untold.is_empty();
        Ok(learnt)
    }
}
