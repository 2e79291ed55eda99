//! What a journal is held against: what each of its records was when it was mirrored, and what was signed.

use super::{Mirrored, MirroredFault};
use crate::archive::unhex;
use crate::audit::proof::{Checkpoint, Signed};

/// Records of one page.
const PAGE: i64 = 20_000;
/// Checkpoints of one journal that are held: some months of one every ten seconds. Of more, the newest.
const CHECKPOINTS_MAX: i64 = 1 << 21;

/// A record as it was when it was mirrored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaf {
    /// Its number.
    pub record: u64,
    /// The mirrored record before it; none where an earlier version mirrored it.
    pub previous: Option<u64>,
    /// What it was in the Merkle tree of its group; none alike.
    pub leaf: Option<[u8; 32]>,
}

/// Some of them, in the order of their numbers.
pub type LeafPage = Vec<Leaf>;

impl Mirrored {
    /// The next records of a journal, behind one; none at its end.
    pub fn leaves(&self, journal: &str, behind: u64) -> Result<LeafPage, MirroredFault> {
        if !self.columns.contains("leaf") || !self.columns.contains("previous") {
            return Ok(Vec::new());
        }
        // All rows of the last record: somebody may have put in a second one.
        let sql = format!(
            "SELECT record, previous, leaf FROM {rows} WHERE journal = $1 AND record > $2 \
             AND record <= (SELECT max(record) FROM (SELECT record FROM {rows} \
             WHERE journal = $1 AND record > $2 ORDER BY record LIMIT {PAGE}) r) ORDER BY record",
            rows = self.table.rows(),
        );
        let mut page = Vec::new();
        for row in self.ask(&sql, &[&journal, &behind.cast_signed()])? {
            let leaf: Option<Vec<u8>> = row.try_get(2)?;
            page.push(Leaf {
                record: row.try_get::<_, i64>(0)?.cast_unsigned(),
                previous: row.try_get::<_, Option<i64>>(1)?.map(i64::cast_unsigned),
                leaf: leaf.and_then(|leaf| leaf.try_into().ok()),
            });
        }
        Ok(page)
    }

    /// The keys that signed the first and the last checkpoint that was mirrored of a journal.
    pub fn signers(&self, journal: &str) -> Result<Vec<[u8; 32]>, MirroredFault> {
        let one = |order: &str| {
            format!(
                "(SELECT detail FROM {} WHERE journal = $1 AND kind = 'checkpoint' \
                 ORDER BY record {order} LIMIT 1)",
                self.table.rows()
            )
        };
        let sql = format!("{} UNION ALL {}", one("ASC"), one("DESC"));
        let mut keys = Vec::new();
        for row in self.ask(&sql, &[&journal])? {
            let detail: Option<String> = row.try_get(0)?;
            keys.extend(detail.as_deref().and_then(signed).map(|signed| signed.checkpoint.key));
        }
        Ok(keys)
    }

    /// The checkpoints that were mirrored of a journal, in their order; those of earlier versions have no
    /// signature and are left out.
    pub fn checkpoints(&self, journal: &str) -> Result<Vec<Signed>, MirroredFault> {
        let sql = format!(
            "SELECT detail FROM (SELECT record, detail FROM {} WHERE journal = $1 \
             AND kind = 'checkpoint' ORDER BY record DESC LIMIT {CHECKPOINTS_MAX}) r ORDER BY record",
            self.table.rows()
        );
        let mut found = Vec::new();
        for row in self.ask(&sql, &[&journal])? {
            let detail: Option<String> = row.try_get(0)?;
            found.extend(detail.as_deref().and_then(signed));
        }
        Ok(found)
    }
}

/// The checkpoint in the detail of its row.
fn signed(detail: &str) -> Option<Signed> {
    let value: serde_json::Value = serde_json::from_str(detail).ok()?;
    let number = |name: &str| value.get(name)?.as_u64();
    let octets = |name: &str| unhex(value.get(name)?.as_str()?);
    Some(Signed {
        checkpoint: Checkpoint {
            segment: number("segment")?,
            first: number("first")?,
            size: number("size")?,
            root: octets("root")?.try_into().ok()?,
            chain: octets("chain")?.try_into().ok()?,
            time_us: number("time_us")?,
            key: octets("key")?.try_into().ok()?,
        },
        signature: octets("signature")?.try_into().ok()?,
    })
}
