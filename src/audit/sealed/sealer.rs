//! The writing side: new data keys for each segment, and the records of a group covered at once.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::super::format::{RECORD_HEAD_OCTETS, u16_at};
use super::super::keys::{Auditor, NumbersKey};
use super::super::kind::Kind;
use super::super::record::KeysRecord;
use super::super::records::Records;
use super::record_key::{DataKey, KEY_OCTETS, KEYS_AT_ONCE, Keystream, RecordKey};
use super::sidecar::{self, Openers, Purpose};
use super::spans::{SPANS_MAX, spans};
use super::{FORM_SEALED, content};

/// With what a journal encrypts.
#[derive(Debug, Clone)]
pub struct Sealing {
    /// The folder of keys; this node's are made there as they are needed.
    pub keys: PathBuf,
    /// Who can read everything.
    pub auditors: Vec<Auditor>,
    /// Whether Content records are written: they need an auditor at least.
    pub content: bool,
}

/// Encrypts what a writer writes.
pub(in crate::audit) struct Sealer {
    sealing: Sealing,
    /// The data key of the open segment.
    numbers: Option<DataKey>,
    /// Its data key for content, which is nowhere but here and in the auditors' wraps.
    content: Option<DataKey>,
}

/// Records of a group that wait for their keys.
struct Batch {
    numbers: [u64; KEYS_AT_ONCE],
    /// What is to be covered, octets of the group.
    spans: [[Range<usize>; SPANS_MAX]; KEYS_AT_ONCE],
    count: usize,
}

impl Sealer {
    pub fn new(sealing: Sealing) -> Sealer {
        Sealer { sealing, numbers: None, content: None }
    }

    /// Makes the keys of the segment that begins with record `first` and writes its sidecars, which
    /// are on the disk when this returns; gives the Keys record that is to begin it.
    pub fn begin(&mut self, directory: &Path, first: u64, now_us: u64) -> io::Result<Records> {
        (self.numbers, self.content) = (None, None);
        let node = NumbersKey::current(&self.sealing.keys, now_us).map_err(io::Error::other)?;
        let key = fresh()?;
        let openers = Openers { node: Some(&node), auditors: &self.sealing.auditors };
        let numbers = sidecar::write(directory, Purpose::Numbers, first, &key, openers)?;
        self.numbers = Some(DataKey::new(&key));
        let content = if self.sealing.content {
            let key = fresh()?;
            let openers = Openers { node: None, ..openers };
            let content = sidecar::write(directory, Purpose::Content, first, &key, openers)?;
            self.content = Some(DataKey::new(&key));
            content
        } else {
            [0; 32]
        };
        let mut records = Records::new();
        let record = KeysRecord {
            what: KeysRecord::BEGUN,
            key: &node.name,
            numbers,
            content,
            first,
            through: 0,
            reason: "",
        };
        records.keys(now_us, &record);
        Ok(records)
    }

    /// Covers the numbers in these records, which are numbered from `first` on, and encrypts content.
    pub fn seal(&self, first: u64, records: &mut [u8]) -> io::Result<()> {
        let nothing = || io::Error::other("there is no key to encrypt with");
        let key = self.numbers.as_ref().ok_or_else(nothing)?;
        let mut batch = Batch::new();
        let (mut at, mut number) = (0, first);
        while at < records.len() {
            let length = usize::from(u16_at(records, at)).max(RECORD_HEAD_OCTETS);
            let Some(record) = records.get_mut(at..at + length) else { break };
            if record[2] == Kind::Content as u8 {
                let key = self.content.as_ref().ok_or_else(nothing)?;
                content::seal(record, number, &key.record_key(number)).ok_or_else(nothing)?;
            } else if let Some(spans) = spans(record) {
                record[3] = FORM_SEALED;
                batch.add(number, at, spans);
                if batch.count == KEYS_AT_ONCE {
                    batch.cover(key, records);
                }
            }
            at += length;
            number += 1;
        }
        batch.cover(key, records);
        Ok(())
    }
}

fn fresh() -> io::Result<[u8; KEY_OCTETS]> {
    let mut key = [0; KEY_OCTETS];
    aws_lc_rs::rand::fill(&mut key)
        .map_err(|_| io::Error::other("the machine gives no random octets for a key"))?;
    Ok(key)
}

impl Batch {
    fn new() -> Batch {
        let none = [const { 0..0 }; SPANS_MAX];
        Batch { numbers: [0; KEYS_AT_ONCE], spans: std::array::from_fn(|_| none.clone()), count: 0 }
    }

    fn add(&mut self, number: u64, start: usize, spans: [Range<usize>; SPANS_MAX]) {
        let count = self.count;
        if let (Some(to), Some(waits)) = (self.spans.get_mut(count), self.numbers.get_mut(count)) {
            *to = spans.map(|span| span.start + start..span.end + start);
            *waits = number;
            self.count += 1;
        }
    }

    /// Covers what waits.
    fn cover(&mut self, key: &DataKey, records: &mut [u8]) {
        let mut keys = [const { RecordKey([0; KEY_OCTETS]) }; KEYS_AT_ONCE];
        key.record_keys(self.numbers.get(..self.count).unwrap_or_default(), &mut keys);
        for (spans, key) in self.spans.iter().zip(&keys).take(self.count) {
            let mut stream = Keystream::new(key);
            for span in spans {
                stream.cover(records.get_mut(span.clone()).unwrap_or_default());
            }
        }
        self.count = 0;
    }
}
