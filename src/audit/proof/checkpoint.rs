//! A checkpoint: what a segment was when it had so many records, signed.
//!
//! It is a signed tree head in the sense of RFC 6962 section 3.5. What is signed is a note that a
//! person can read, and openssl check:
//!
//! ```text
//! consentry checkpoint 2
//! segment 3
//! first 120001
//! size 800
//! root 5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328
//! chain 96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7
//! time 1790000000000000
//! key 6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d
//! ```
//!
//! Every line ends with a line feed; numbers are decimal without leading zeros, hashes lower case.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::super::format::{Chain, EARLIER};
use super::super::keys::{PublicKey, SIGNATURE_OCTETS, SigningKey};
use super::tree::Hash;
use super::{hex, unhex_array};

/// The file in the journal's folder that holds the newest checkpoint.
const FILE: &str = "checkpoint.json";
/// Octets of the longest file that is read as a checkpoint.
const FILE_OCTETS_MAX: u64 = 64 << 10;
/// The first line of a note: what it is, and the version of its form.
const TITLE: &str = "consentry checkpoint 2";
/// The same of the journals of format 1.
const EARLIER_TITLE: &str = "consentry checkpoint 1\n";

/// What a segment was when it had `size` records, the last of which was a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Sequence number of the segment.
    pub segment: u64,
    /// Number of its first record.
    pub first: u64,
    /// Records that are covered, links too.
    pub size: u64,
    /// Root of the tree over their links ([`super::tree`]), each of which has the root over its records.
    pub root: Hash,
    /// The chain value behind them: it covers everything before, other segments too.
    pub chain: Chain,
    /// When it was signed, microseconds since the Unix epoch.
    pub time_us: u64,
    /// The key that signed, by [`PublicKey::id`].
    pub key: [u8; 32],
}

/// A checkpoint and the signature over its note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// What is said.
    pub checkpoint: Checkpoint,
    /// ed25519 (RFC 8032) over the octets of [`Checkpoint::note`].
    pub signature: [u8; SIGNATURE_OCTETS],
}

impl Checkpoint {
    /// The text that is signed.
    pub fn note(&self) -> String {
        let Checkpoint { segment, first, size, root, chain, time_us, key } = self;
        let (root, chain, key) = (hex(root), hex(chain), hex(key));
        format!(
            "{TITLE}\nsegment {segment}\nfirst {first}\nsize {size}\nroot {root}\nchain {chain}\n\
             time {time_us}\nkey {key}\n"
        )
    }

    /// Reads a note back; none unless it is octet for octet as [`Checkpoint::note`] writes it.
    pub fn from_note(note: &str) -> Option<Checkpoint> {
        let mut lines = note.lines();
        let title = lines.next()?;
        let mut value = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
        let checkpoint = Checkpoint {
            segment: value("segment")?.parse().ok()?,
            first: value("first")?.parse().ok()?,
            size: value("size")?.parse().ok()?,
            root: unhex_array(value("root")?)?,
            chain: unhex_array(value("chain")?)?,
            time_us: value("time")?.parse().ok()?,
            key: unhex_array(value("key")?)?,
        };
        (title == TITLE && checkpoint.note() == note).then_some(checkpoint)
    }

    /// Number of the record behind the last one covered.
    pub fn end(&self) -> u64 {
        self.first.saturating_add(self.size)
    }
}

impl Signed {
    /// Signs; the checkpoint's `key` becomes that of the signer.
    pub fn sign(mut checkpoint: Checkpoint, key: &SigningKey) -> Signed {
        checkpoint.key = key.public().id();
        let signature = key.sign(checkpoint.note().as_bytes());
        Signed { checkpoint, signature }
    }

    /// Whether this key signed it.
    pub fn is_by(&self, key: PublicKey) -> bool {
        key.id() == self.checkpoint.key
            && key.verifies(self.checkpoint.note().as_bytes(), &self.signature)
    }

    /// The object of the file and of proofs: `note` and `signature`.
    pub fn to_json(&self) -> Value {
        json!({ "note": self.checkpoint.note(), "signature": hex(&self.signature) })
    }

    /// Reads [`Signed::to_json`] back.
    pub fn from_json(value: &Value) -> Option<Signed> {
        Some(Signed {
            checkpoint: Checkpoint::from_note(value.get("note")?.as_str()?)?,
            signature: unhex_array(value.get("signature")?.as_str()?)?,
        })
    }

    /// The file of the newest checkpoint of a journal.
    pub fn file(journal: &Path) -> PathBuf {
        journal.join(FILE)
    }

    /// Reads a file that holds one checkpoint: the journal's newest, or a copy kept elsewhere.
    pub fn read(file: &Path) -> Result<Signed, CheckpointFault> {
        Signed::of_file(file, &read(file)?)
    }

    fn of_file(file: &Path, value: &Value) -> Result<Signed, CheckpointFault> {
        let note = value.get("note").and_then(Value::as_str);
        let says = match note.is_some_and(|note| note.starts_with(EARLIER_TITLE)) {
            true => EARLIER,
            false => "is no checkpoint: expected is one object with note and signature",
        };
        let fault = || CheckpointFault { file: file.to_owned(), says: says.to_owned() };
        Signed::from_json(value).ok_or_else(fault)
    }

    /// The newest checkpoint beside a journal; none where there is no such file.
    pub fn newest(journal: &Path) -> Result<Option<Signed>, CheckpointFault> {
        Ok(Newest::read(journal)?.map(|newest| newest.signed))
    }
}

/// The newest checkpoint beside a journal, and where signing goes on.
#[derive(Debug, Clone)]
pub(in crate::audit) struct Newest {
    pub signed: Signed,
    /// Number of the first record of the first segment that is not known to be signed whole.
    pub from: u64,
}

impl Newest {
    /// None where there is no such file.
    pub fn read(journal: &Path) -> Result<Option<Newest>, CheckpointFault> {
        let file = Signed::file(journal);
        if matches!(file.try_exists(), Ok(false)) {
            return Ok(None);
        }
        let value = read(&file)?;
        let signed = Signed::of_file(&file, &value)?;
        let first = signed.checkpoint.first;
        let from = value.get("from").and_then(Value::as_u64).unwrap_or(first).min(first);
        Ok(Some(Newest { signed, from }))
    }

    /// Takes the place of the one before: whole and on the disk when this returns.
    pub fn keep(&self, journal: &Path) -> std::io::Result<()> {
        let mut value = self.signed.to_json();
        value["from"] = self.from.into();
        replace(&Signed::file(journal), format!("{value}\n").as_bytes())
    }
}

/// The object in a file.
fn read(file: &Path) -> Result<Value, CheckpointFault> {
    use std::io::Read;
    let fault = |says| CheckpointFault { file: file.to_owned(), says };
    let mut text = Vec::new();
    std::fs::File::open(file)
        .and_then(|open| open.take(FILE_OCTETS_MAX).read_to_end(&mut text))
        .map_err(|error| fault(format!("cannot be read: {error}")))?;
    serde_json::from_slice(&text).map_err(|error| fault(format!("is no JSON: {error}")))
}

/// Writes a small file in the place of an earlier one: the one or the other is there, whole.
pub(in crate::audit) fn replace(file: &Path, octets: &[u8]) -> std::io::Result<()> {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let draft = file.with_file_name(name);
    let mut open = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)?;
    open.write_all(octets)?;
    open.sync_all()?;
    std::fs::rename(&draft, file)?;
    match file.parent() {
        Some(folder) => std::fs::File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// Why a file is not taken as a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {says}", file.display())]
pub struct CheckpointFault {
    /// The file.
    pub file: PathBuf,
    /// What is wrong.
    pub says: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_back_only_as_it_was_written() {
        let checkpoint = Checkpoint {
            segment: 3,
            first: 120_001,
            size: 800,
            root: [0xab; 32],
            chain: [7; 32],
            time_us: 1_790_000_000_000_000,
            key: [9; 32],
        };
        let note = checkpoint.note();
        assert_eq!(Checkpoint::from_note(&note).as_ref(), Some(&checkpoint));
        for other in [
            note.replace("size 800", "size 0800"),
            note.replace("size 800", "size +800"),
            note.replace("root ab", "root AB"),
            note.replace("checkpoint 2", "checkpoint 1"),
            note.replace('\n', "\r\n"),
            note.trim_end().to_owned(),
            format!("{note}more\n"),
            String::new(),
        ] {
            assert_eq!(Checkpoint::from_note(&other), None, "{other}");
        }
    }
}
