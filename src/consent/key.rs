//! The key of a pair: a legal entity and a recipient in one `u64`.
//!
//! ```text
//!  63        50 49                                                  0
//! +------------+-----------------------------------------------------+
//! | entity  14 | recipient: E.164 digits as a number, below 10^15  50 |
//! +------------+-----------------------------------------------------+
//! ```
//!
//! Big-endian in the store, so that the pairs of one entity stand together, by number.

use super::EntityId;
use crate::registry::Msisdn;

const RECIPIENT_BITS: u32 = 50;
const SIGN: u64 = 1 << 63;

/// A pair's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PairKey(pub(super) u64);

impl PairKey {
    /// The key of what stands between the two.
    pub fn new(entity: EntityId, recipient: Msisdn) -> Self {
        Self(u64::from(entity.0) << RECIPIENT_BITS | recipient.number())
    }

    /// The legal entity.
    pub fn entity(self) -> EntityId {
        EntityId((self.0 >> RECIPIENT_BITS) as u16)
    }

    /// The recipient; `None` for a key that was never made of a recipient.
    pub fn recipient(self) -> Option<Msisdn> {
        Msisdn::new(self.0 & ((1 << RECIPIENT_BITS) - 1))
    }

    /// The key as a signed number, as the shared engine has it: in the same order.
    pub(super) fn signed(self) -> i64 {
        (self.0 ^ SIGN).cast_signed()
    }

    /// The key of a signed number.
    pub(super) fn of_signed(signed: i64) -> Self {
        Self(signed.cast_unsigned() ^ SIGN)
    }

    /// The key in the store.
    pub(super) fn octets(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    /// The key of an event of the pair: the pair, then the event's number.
    pub(super) fn event_octets(self, sequence: u64) -> [u8; 16] {
        let mut octets = [0; 16];
        let (pair, event) = octets.split_at_mut(8);
        pair.copy_from_slice(&self.octets());
        event.copy_from_slice(&sequence.to_be_bytes());
        octets
    }
}

const _: () = assert!(super::ENTITIES_MAX == 1 << (64 - RECIPIENT_BITS));
const _: () = assert!(10_u64.pow(15) < 1 << RECIPIENT_BITS);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consent::ENTITIES_MAX;

    #[test]
    fn the_greatest_parts_fit_and_come_back() {
        for (entity, recipient) in
            [(0, 1), (0, 999_999_999_999_999), (ENTITIES_MAX as u16 - 1, 999_999_999_999_999)]
        {
            let (entity, recipient) = (EntityId(entity), Msisdn::new(recipient).unwrap());
            let key = PairKey::new(entity, recipient);
            assert_eq!((key.entity(), key.recipient()), (entity, Some(recipient)));
            assert_eq!(key.event_octets(7)[..8], key.octets());
        }
        let signed = [0, 1, SIGN - 1, SIGN, u64::MAX].map(|key| PairKey(key).signed());
        assert!(signed.is_sorted() && signed.map(PairKey::of_signed).is_sorted());
        assert_eq!(PairKey::of_signed(signed[3]), PairKey(SIGN));
        assert!(
            PairKey::new(EntityId(0), Msisdn::new(9).unwrap()).octets() < [0, 4, 0, 0, 0, 0, 0, 0]
        );
        assert_eq!(PairKey(0).recipient(), None);
    }
}
