//! The reading side: the keys that somebody has, and what they open.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::keys::{AuditorKey, KeyFault, NumbersKey};
use super::super::kind::Kind;
use super::record_key::{DataKey, Keystream, RecordKey};
use super::sidecar::{Purpose, Sidecar};
use super::spans::spans;
use super::{FORM_SEALED, content};

/// The keys to read with: this node's for its numbers, and an auditor's where one is given.
///
/// Numbers keys are read from their folder as segments need them: a reader that follows a running
/// proxy finds those that are made meanwhile.
#[derive(Debug, Default)]
pub struct KeyRing {
    folder: Option<PathBuf>,
    auditor: Option<AuditorKey>,
}

/// Why something cannot be read although it is there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Gone {
    /// Nobody can read it: the wrapped key of its segment was destroyed, or lost.
    #[error("{sidecar} is not there: its keys were destroyed or are lost, nobody can read this")]
    Sidecar {
        /// The file's name.
        sidecar: String,
    },
    /// The wrapped key is not what was written, or cannot be read.
    #[error("{sidecar} {why}")]
    Unreadable {
        /// The file's name.
        sidecar: String,
        /// What is wrong with it.
        why: String,
    },
    /// This node cannot read it, an auditor might.
    #[error("numbers-{name}.key is not there: it was destroyed or lost, or is kept elsewhere")]
    NumbersKey {
        /// The key's name.
        name: String,
    },
    /// It was written for auditors, and no such key was given.
    #[error("only an auditor can read this; --auditor-key gives the key")]
    AuditorKey,
    /// It was written for other auditors than the one whose key was given.
    #[error("it was not written for the auditor {name}, whose key was given")]
    OtherAuditor {
        /// The key's name.
        name: String,
    },
    /// The content does not open with the key of its segment: it is not what was written.
    #[error("the content is not what was written: its key does not open it")]
    Content,
    /// No keys were given at all.
    #[error("it is encrypted and no keys were given")]
    NoKeys,
}

impl KeyRing {
    /// The numbers keys in this folder, each of which is looked at; none where there is no folder.
    pub fn open(folder: &Path) -> Result<KeyRing, KeyFault> {
        for name in NumbersKey::list(folder)? {
            NumbersKey::open(folder, &name)?;
        }
        Ok(KeyRing { folder: Some(folder.to_owned()), auditor: None })
    }

    /// With an auditor's key as well.
    pub fn with_auditor(self, key: AuditorKey) -> KeyRing {
        KeyRing { auditor: Some(key), ..self }
    }

    /// The data key of a segment of the journal in `directory`.
    fn data_key(&self, directory: &Path, purpose: Purpose, first: u64) -> Result<DataKey, Gone> {
        let name = || purpose.name(first);
        let sidecar = Sidecar::read(directory, purpose, first)
            .map_err(|error| Gone::Unreadable { sidecar: name(), why: error.to_string() })?
            .ok_or_else(|| Gone::Sidecar { sidecar: name() })?;
        let damaged = || Gone::Unreadable { sidecar: name(), why: "was exchanged".to_owned() };
        if let Some(node) = sidecar.node_key() {
            let key = self.folder.as_ref().map(|folder| NumbersKey::open(folder, node));
            match key.transpose() {
                Ok(key) => match key.flatten() {
                    Some(key) => {
                        let key = sidecar.open_with(&key).ok_or_else(damaged)?;
                        return Ok(DataKey::new(&key));
                    }
                    None if self.auditor.is_none() => {
                        return Err(Gone::NumbersKey { name: node.to_owned() });
                    }
                    None => {}
                },
                Err(fault) => {
                    return Err(Gone::Unreadable { sidecar: name(), why: fault.to_string() });
                }
            }
        }
        let auditor = self.auditor.as_ref().ok_or(Gone::AuditorKey)?;
        let name = auditor.auditor().name();
        let key = sidecar.open_as(auditor).ok_or(Gone::OtherAuditor { name })?;
        Ok(DataKey::new(&key))
    }

    /// The key of one record's numbers: to show that record to somebody and no other.
    pub fn record_key(
        &self,
        directory: &Path,
        purpose: Purpose,
        segment_first: u64,
        number: u64,
    ) -> Result<RecordKey, Gone> {
        Ok(self.data_key(directory, purpose, segment_first)?.record_key(number))
    }
}

/// Uncovers a record in place, whose octets are of form 1, with its key.
fn uncover(record: &mut [u8], key: &RecordKey) {
    let Some(spans) = spans(record) else { return };
    let mut stream = Keystream::new(key);
    for span in spans {
        stream.cover(record.get_mut(span).unwrap_or_default());
    }
    if let Some(form) = record.get_mut(3) {
        *form = 0;
    }
}

/// The octets of a record with its numbers or its content legible, from its octets as they stand in
/// the journal under this number; none where the key does not open its content. A key of numbers
/// always uncovers something.
pub fn disclosed(record: &[u8], number: u64, key: &RecordKey) -> Option<Vec<u8>> {
    let mut record = record.to_vec();
    if record.get(3) == Some(&FORM_SEALED) {
        match record.get(2) == Some(&(Kind::Content as u8)) {
            true => content::open(&mut record, number, key)?,
            false => uncover(&mut record, key),
        }
    }
    Some(record)
}

/// Uncovers the records of a reader, segment by segment.
pub(in crate::audit) struct Unsealer {
    directory: PathBuf,
    ring: Option<Arc<KeyRing>>,
    /// First record of the segment that `numbers` is of.
    segment: u64,
    numbers: Option<Result<DataKey, Gone>>,
    content: Option<Result<DataKey, Gone>>,
    /// Why the last record could not be read, where that is its own fault.
    gone: Option<Gone>,
    /// The last record that was uncovered.
    record: Vec<u8>,
}

impl Unsealer {
    pub fn new(directory: &Path) -> Unsealer {
        Unsealer {
            directory: directory.to_owned(),
            ring: None,
            segment: 0,
            numbers: None,
            content: None,
            gone: None,
            record: Vec::new(),
        }
    }

    /// Reads with these keys from now on.
    pub fn give(&mut self, ring: Arc<KeyRing>) {
        self.ring = Some(ring);
        (self.numbers, self.content) = (None, None);
    }

    /// The record as it can be read: as it is, uncovered, or as it is with the reason why not.
    pub fn read<'a>(
        &'a mut self,
        segment: u64,
        number: u64,
        record: &'a [u8],
    ) -> (&'a [u8], Option<&'a Gone>) {
        if record.get(3) != Some(&FORM_SEALED) {
            return (record, None);
        }
        if self.segment != segment {
            self.segment = segment;
            (self.numbers, self.content) = (None, None);
        }
        let Unsealer { directory, ring, numbers, content, gone, record: legible, .. } = self;
        let is_content = record.get(2) == Some(&(Kind::Content as u8));
        let (key, purpose) = match is_content {
            true => (content, Purpose::Content),
            false => (numbers, Purpose::Numbers),
        };
        let key = key.get_or_insert_with(|| match ring {
            Some(ring) => ring.data_key(directory, purpose, segment),
            None => Err(Gone::NoKeys),
        });
        let key = match key {
            Ok(key) => key.record_key(number),
            Err(gone) => return (record, Some(gone)),
        };
        legible.clear();
        legible.extend_from_slice(record);
        if !is_content {
            uncover(legible, &key);
        } else if content::open(legible, number, &key).is_none() {
            return (record, Some(gone.insert(Gone::Content)));
        }
        (legible, None)
    }
}
