//! The known name that somebody who wrote an unknown one probably meant.

/// Names longer than this many characters are not compared: the work grows with the square.
const NAME_CHARS_MAX: usize = 64;

/// The one of `known` that is fewest edits away from `written`; `None` when none is close enough to
/// be a slip of the hand (a third of its characters, at least one).
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let written: Vec<char> = written.chars().take(NAME_CHARS_MAX + 1).collect();
    if written.len() > NAME_CHARS_MAX {
        return None;
    }
    let edits_max = (written.len() / 3).max(1);
    known
        .into_iter()
        .map(|name| (edits(&written, name), name))
        .filter(|(edits, _)| *edits <= edits_max)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, name)| name)
}

/// How many single characters must be added, dropped, changed or swapped with their neighbour to
/// make one name of the other (optimal string alignment). Letters' case counts for nothing.
fn edits(written: &[char], name: &str) -> usize {
    let name: Vec<char> = name.chars().take(NAME_CHARS_MAX).collect();
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=name.len()).collect();
    for (i, &from) in written.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, &to) in name.iter().enumerate() {
            let same = from.eq_ignore_ascii_case(&to);
            let mut least = (row[j] + usize::from(!same)).min(row[j + 1] + 1).min(next[j] + 1);
            if i > 0 && j > 0 && from == name[j - 1] && written[i - 1] == to {
                least = least.min(before[j - 1] + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or(written.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_find_their_name_and_other_words_do_not() {
        let known = ["window", "sessions", "sessions_per_address", "pdu", "signature.missing"];
        for (written, meant) in [
            ("windwo", Some("window")),
            ("Window", Some("window")),
            ("session", Some("sessions")),
            ("session_per_adress", Some("sessions_per_address")),
            ("pud", Some("pdu")),
            ("signature.mising", Some("signature.missing")),
            ("colour", None),
            ("", None),
            ("x", None),
            ("窗口", None),
        ] {
            assert_eq!(nearest(written, known), meant, "{written}");
        }
        assert_eq!(nearest(&"w".repeat(100_000), known), None);
    }
}
