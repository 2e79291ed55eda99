//! Ids of events that were told by a stream: the newest [`IDS_MAX`], on the disk.
//!
//! | key in keyspace `ids` | value |
//! |---|---|
//! | `n` | number that the next id takes, u64, big-endian |
//! | `i` and the id, 17 octets | its number |
//! | `r` and a number, 9 octets | the id of that number |

use super::Embedded;
use crate::consent::files::FileFault;
use crate::consent::{IDS_MAX, IdKey, Unavailable};

const NEXT_KEY: &[u8] = b"n";

fn id_key(id: IdKey) -> [u8; 17] {
    let mut key = [b'i'; 17];
    key.iter_mut().skip(1).zip(id.0).for_each(|(place, octet)| *place = octet);
    key
}

fn number_key(number: u64) -> [u8; 9] {
    let mut key = [b'r'; 9];
    key.iter_mut().skip(1).zip(number.to_be_bytes()).for_each(|(place, octet)| *place = octet);
    key
}

fn number(octets: &[u8]) -> Result<u64, FileFault> {
    octets.try_into().map(u64::from_be_bytes).map_err(|_| FileFault::Damaged("ids"))
}

impl Embedded {
    /// Which of these ids are remembered. Reads the disk.
    pub fn remembers(&self, ids: &[IdKey]) -> Result<Vec<bool>, Unavailable> {
        if let Some(why) = self.unavailable() {
            return Err(why);
        }
        let store = &self.shared().store;
        let known = ids.iter().map(|id| Ok(store.id(&id_key(*id))?.is_some()));
        known.collect::<Result<_, FileFault>>().map_err(|fault| Unavailable::failed(&fault))
    }

    /// Remembers ids; durable when it returns. The oldest beyond [`IDS_MAX`] are forgotten. Blocks for one
    /// write.
    pub fn remember(&self, ids: &[IdKey]) -> Result<(), Unavailable> {
        let _one = super::locked(&self.shared().remembering);
        if let Some(why) = self.unavailable() {
            return Err(why);
        }
        self.write_ids(ids, IDS_MAX).map_err(|fault| Unavailable::failed(&fault))
    }

    fn write_ids(&self, ids: &[IdKey], most: u64) -> Result<(), FileFault> {
        let store = &self.shared().store;
        let mut next = store.id(NEXT_KEY)?.map_or(Ok(0), |octets| number(&octets))?;
        let mut batch = store.batch();
        for id in ids {
            store.put_id(&mut batch, &id_key(*id), &next.to_be_bytes());
            store.put_id(&mut batch, &number_key(next), &id.0);
            if let Some(oldest) = next.checked_sub(most) {
                self.forget(&mut batch, oldest)?;
            }
            next += 1;
        }
        store.put_id(&mut batch, NEXT_KEY, &next.to_be_bytes());
        store.commit(batch)
    }

    /// Forgets the id of a number, unless it was told again since.
    fn forget(&self, batch: &mut super::store::Batch, oldest: u64) -> Result<(), FileFault> {
        let store = &self.shared().store;
        let place = number_key(oldest);
        let Some(octets) = store.id(&place)? else { return Ok(()) };
        let id = octets.as_slice().try_into().map_err(|_| FileFault::Damaged("ids"))?;
        let key = id_key(IdKey(id));
        let newest = store.id(&key)?.map(|octets| number(&octets)).transpose()?;
        if newest == Some(oldest) {
            store.remove_id(batch, &key);
        }
        store.remove_id(batch, &place);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consent::{CACHE_OCTETS_MIN, Options};

    fn open(folder: &std::path::Path) -> Embedded {
        let (cache_octets, silent_after_us, on_sync) = (CACHE_OCTETS_MIN, 1, None);
        Embedded::open(folder, Options { cache_octets, warm: false, silent_after_us, on_sync })
            .unwrap()
    }

    #[test]
    fn the_newest_ids_are_remembered_also_after_opening() {
        let folder = tempfile::tempdir().unwrap();
        let id = |number: u64| IdKey::of("crm", &number.to_string());
        let ledger = open(folder.path());
        assert_eq!(ledger.remembers(&[id(1)]), Ok(vec![false]));
        ledger.remember(&[id(1), id(2)]).unwrap();
        // Told again, it is among the newest.
        ledger.remember(&[id(1)]).unwrap();
        assert_eq!(ledger.remembers(&[id(1), IdKey::of("other", "1")]), Ok(vec![true, false]));
        drop(ledger);
        let ledger = open(folder.path());
        // 1, 2 and 1 again were the first three.
        ledger.write_ids(&[id(3)], 3).unwrap();
        assert_eq!(ledger.remembers(&[id(1), id(2), id(3)]), Ok(vec![true, true, true]));
        ledger.write_ids(&[id(4)], 3).unwrap();
        assert_eq!(ledger.remembers(&[id(1), id(2), id(3)]), Ok(vec![true, false, true]));
        ledger.write_ids(&[id(5)], 3).unwrap();
        assert_eq!(ledger.remembers(&[id(1), id(3), id(5)]), Ok(vec![false, true, true]));
        ledger.close();
        assert!(ledger.remember(&[id(6)]).is_err() && ledger.remembers(&[]).is_err());
    }
}
