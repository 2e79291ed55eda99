//! Which known name a mistyped one was meant to be.

/// Names longer than this, in octets, are not compared.
const NAME_OCTETS_MAX: usize = 64;

/// The known name nearest to `name`, if one is near: at most a third of its letters differ, and at
/// most three. Of equally near ones the first.
pub fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let near = (name.chars().count() / 3).clamp(1, 3);
    known
        .iter()
        .map(|candidate| (distance(name, candidate), *candidate))
        .filter(|(distance, _)| *distance <= near)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many letters must be put in, taken out, replaced, or swapped with the next one.
fn distance(a: &str, b: &str) -> usize {
    if a.len() > NAME_OCTETS_MAX || b.len() > NAME_OCTETS_MAX {
        return usize::MAX;
    }
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    // One row of the usual table for each of a's letters; the last two rows are enough.
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(b.len() + 1);
        row.push(i + 1);
        for (j, y) in b.iter().enumerate() {
            let replaced = above[j] + usize::from(x != y);
            let mut cost = replaced.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i - 1] == *y && b[j - 1] == *x {
                cost = cost.min(before[j - 1] + 1);
            }
            row.push(cost);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let known = ["name", "system_ids", "licence", "identity", "from", "rate", "code"];
        for (name, expected) in [
            ("nmae", Some("name")),
            ("system_id", Some("system_ids")),
            ("systemids", Some("system_ids")),
            ("license", Some("licence")),
            ("form", Some("from")),
            ("rates", Some("rate")),
            ("codes", Some("code")),
            ("colour", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(nearest(name, &known), expected, "{name}");
        }
        assert_eq!(nearest(&"n".repeat(65), &[&"n".repeat(64)]), None);
        assert_eq!(nearest(&"n".repeat(64), &[&"n".repeat(63)]), Some(&*"n".repeat(63)));
    }
}
