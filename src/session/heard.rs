//! What was heard in a body, kept for when the same body comes again: a campaign sends one text a
//! million times.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;

use crate::content::reply::Keyword;
use crate::policy::Text;
use crate::registry::CodeId;
use crate::text;

/// Bodies that a thread remembers; a new one takes the place of the one that its hash falls on.
pub const HEARDS_MAX: usize = 1024;

/// Octets of the longest body that is remembered: a short_message without its header.
pub const HEARD_OCTETS_MAX: usize = 254;

/// What was heard in a body.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heard {
    /// What it says.
    pub text: Text,
    /// The keyword by which it says that one can refuse.
    pub keyword: Option<Keyword>,
}

/// All that a reading depends on beside the octets of the body.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Circumstances {
    /// The version of what texts are read with.
    pub(super) version: u64,
    pub(super) code: Option<CodeId>,
    pub(super) data_coding: u8,
    pub(super) options: text::Options,
}

#[derive(Debug)]
struct Slot {
    circumstances: Circumstances,
    octets: [u8; HEARD_OCTETS_MAX],
    length: u8,
    heard: Heard,
}

/// Bodies and what was heard in them: [`HEARDS_MAX`] at most, 350 octets each.
#[derive(Debug, Default)]
pub(super) struct Heards {
    slots: Vec<Option<Slot>>,
    hasher: RandomState,
}

impl Heards {
    /// What was heard in this body before, octet for octet; else what `hear` hears now.
    pub(super) fn recall(
        &mut self,
        circumstances: Circumstances,
        body: &[u8],
        hear: impl FnOnce() -> Heard,
    ) -> Heard {
        if body.len() > HEARD_OCTETS_MAX {
            return hear();
        }
        if self.slots.is_empty() {
            self.slots.resize_with(HEARDS_MAX, || None);
        }
        let mut hash = self.hasher.build_hasher();
        hash.write(body);
        hash.write_u32(circumstances.code.map_or(u32::MAX, |code| code.0));
        let at = hash.finish() as usize % HEARDS_MAX;
        let Some(slot) = self.slots.get_mut(at) else { return hear() };
        if let Some(slot) = slot
            && slot.circumstances == circumstances
            && slot.octets.get(..usize::from(slot.length)) == Some(body)
        {
            return slot.heard;
        }
        let heard = hear();
        let mut octets = [0; HEARD_OCTETS_MAX];
        if let (Some(room), Ok(length)) = (octets.get_mut(..body.len()), u8::try_from(body.len())) {
            room.copy_from_slice(body);
            *slot = Some(Slot { circumstances, octets, length, heard });
        }
        heard
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Text;

    fn heard(text: Text) -> Heard {
        Heard { text, keyword: None }
    }

    #[test]
    fn a_body_is_heard_once_under_the_same_circumstances() {
        let here = Circumstances {
            version: 1,
            code: Some(CodeId(7)),
            data_coding: 8,
            options: text::Options::default(),
        };
        let cases = [
            (here, vec![1, 2], true),
            (here, vec![1, 2], false),
            (here, vec![1, 3], true),
            (Circumstances { version: 2, ..here }, vec![1, 2], true),
            (Circumstances { version: 2, ..here }, vec![1, 2], false),
            (Circumstances { version: 2, data_coding: 0, ..here }, vec![1, 2], true),
            (Circumstances { version: 2, code: None, ..here }, vec![1, 2], true),
            (here, vec![9; HEARD_OCTETS_MAX], true),
            (here, vec![9; HEARD_OCTETS_MAX], false),
            (here, vec![9; HEARD_OCTETS_MAX + 1], true),
            (here, vec![9; HEARD_OCTETS_MAX + 1], true),
        ];
        let mut heards = Heards::default();
        for (at, (circumstances, body, is_new)) in cases.into_iter().enumerate() {
            let mut listened = false;
            heards.recall(circumstances, &body, || {
                listened = true;
                heard(Text::Undecodable)
            });
            assert_eq!(listened, is_new, "case {at}");
        }
    }
}
