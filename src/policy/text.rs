//! The families `content` and `notice`: what a text may not be, and what it must say.

use super::nature::{Nature, nature};
use super::{Facts, Reason, Text};

/// A text that nobody can read as the handset will cannot be judged (Order 31 art. 11, 17).
pub(super) fn undecodable(facts: &Facts<'_>) -> Option<Reason> {
    (facts.text == Text::Undecodable).then_some(Reason::ContentUndecodable)
}

/// A listed word or phrase (Order 31 art. 17).
pub(super) fn prohibited(facts: &Facts<'_>) -> Option<Reason> {
    matches!(&facts.text, Text::Said(said) if said.is_listed).then_some(Reason::ContentProhibited)
}

/// Advertising that does not say how to refuse it (Order 31 art. 20). Asked once all of the text
/// is there: the phrase stands at the end.
pub(super) fn notice_missing(facts: &Facts<'_>) -> Option<Reason> {
    let Text::Said(said) = &facts.text else { return None };
    let owed = said.is_whole && nature(facts) == Nature::Commercial;
    (owed && !said.tells_how_to_refuse).then_some(Reason::NoticeMissing)
}
