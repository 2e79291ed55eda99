//! The keywords that messages announced for refusing: 回TDZD退订. Who answers with one has refused,
//! whatever the word is (Order 31 art. 20: no obstacle).

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use crate::content::reply::Keyword;
use crate::registry::Digits;

/// Keywords that are remembered for one code; the one announced longest ago goes first.
pub const KEYWORDS_A_CODE_MAX: usize = 16;

/// Codes for which keywords are remembered; no code beyond them gets any.
pub const CODES_MAX: usize = 1_000_000;

/// The keywords by code. Shared by all sessions.
#[derive(Debug, Default)]
pub struct Announced {
    by_code: RwLock<HashMap<Digits, Vec<Keyword>>>,
}

impl Announced {
    /// Remembers that a message of this code announced a keyword; whether that is new.
    pub fn learn(&self, code: Digits, keyword: Keyword) -> bool {
        let known = |by_code: &HashMap<Digits, Vec<Keyword>>| {
            by_code.get(&code).is_some_and(|keywords| keywords.contains(&keyword))
        };
        if known(&self.by_code.read().unwrap_or_else(PoisonError::into_inner)) {
            return false;
        }
        let mut by_code = self.by_code.write().unwrap_or_else(PoisonError::into_inner);
        if known(&by_code) || (by_code.len() >= CODES_MAX && !by_code.contains_key(&code)) {
            return false;
        }
        let keywords = by_code.entry(code).or_default();
        if keywords.len() >= KEYWORDS_A_CODE_MAX {
            keywords.remove(0);
        }
        keywords.push(keyword);
        true
    }

    /// Appends the keywords of a code to `out`.
    pub fn of(&self, code: &Digits, out: &mut Vec<Keyword>) {
        let by_code = self.by_code.read().unwrap_or_else(PoisonError::into_inner);
        out.extend(by_code.get(code).into_iter().flatten());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_of_too_many_keywords_goes() {
        let announced = Announced::default();
        let code = Digits::new(b"106900001234").expect("digits");
        let keyword = |n: usize| Keyword::new(&format!("TD{n}")).expect("a keyword");
        for n in 0..KEYWORDS_A_CODE_MAX {
            assert!(announced.learn(code, keyword(n)));
            assert!(!announced.learn(code, keyword(n)));
        }
        let mut known = Vec::new();
        announced.of(&code, &mut known);
        assert_eq!(known.first(), Some(&keyword(0)));
        assert!(announced.learn(code, keyword(KEYWORDS_A_CODE_MAX)));
        known.clear();
        announced.of(&code, &mut known);
        assert_eq!((known.len(), known[0]), (KEYWORDS_A_CODE_MAX, keyword(1)));
        known.clear();
        announced.of(&Digits::new(b"10690000").expect("digits"), &mut known);
        assert!(known.is_empty());
    }
}
