//! The data keys of a segment, wrapped, in files beside it.
//!
//! `journal-<first>.numbers` holds the key of its numbers, `journal-<first>.content` that of its
//! content: two files, so that each can be destroyed by itself. All integers are little-endian.
//!
//! | octets | field | |
//! |---|---|---|
//! | 0..8 | magic | `CNSTKEYS` |
//! | 8..10 | version | 1 |
//! | 10 | purpose | 1 numbers, 2 content |
//! | 11 | wraps | how many follow |
//! | 12..16 | reserved | zeros |
//! | 16..24 | first record | of the segment |
//! | then each wrap | | |
//! | 0 | way | 1: AES-256-GCM under a numbers key of this node; 2: HPKE for an auditor |
//! | 1 | octets of the name | |
//! | 2.. | name | of the numbers key, or of the auditor's key: 16 hexadecimal digits |
//! | then | way 1: nonce (12), data key and tag (48) | way 2: encapsulated key (32), data key and tag (48) |
//! | last 4 | sum | CRC-32C of all before |
//!
//! Octets 0..24 are the additional data of every wrap, and [`INFO`] the `info` of HPKE: a wrap that is
//! moved to another segment or purpose does not open.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;
use sha2::{Digest, Sha256};

use super::super::format::{u16_at, u32_at, u64_at};
use super::super::keys::{Auditor, AuditorKey, NumbersKey};
use super::super::read::{ReadFault, Walked};
use super::super::record::KeysRecord;
use super::super::segment::Fault;
use super::hpke;
use super::record_key::KEY_OCTETS;

const MAGIC: [u8; 8] = *b"CNSTKEYS";
const VERSION: u16 = 1;
const HEAD_OCTETS: usize = 24;
/// What HPKE is told that it encrypts (`info`, RFC 9180 section 5.1).
pub const INFO: &[u8] = b"consentry journal data key 1";
const NONCE: usize = 12;
/// A data key and the tag of its wrap.
const WRAPPED: usize = KEY_OCTETS + 16;
const WAY_NUMBERS_KEY: u8 = 1;
const WAY_AUDITOR: u8 = 2;
/// Octets of the longest sidecar that is read: some hundred wraps.
const FILE_OCTETS_MAX: u64 = 64 << 10;

/// What a data key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Numbers, and the words of replies.
    Numbers = 1,
    /// The bodies of messages.
    Content = 2,
}

impl Purpose {
    /// The sidecar of the segment that begins with record `first`.
    pub fn name(self, first: u64) -> String {
        let extension = match self {
            Purpose::Numbers => "numbers",
            Purpose::Content => "content",
        };
        format!("journal-{first:020}.{extension}")
    }

    /// The first record of the segment that a sidecar of this purpose belongs to.
    pub fn first(self, name: &str) -> Option<u64> {
        let digits = name.strip_prefix("journal-")?.split_once('.')?.0;
        let first = digits.parse().ok()?;
        (self.name(first) == name).then_some(first)
    }
}

/// Who may open a sidecar.
#[derive(Debug, Clone, Copy)]
pub(in crate::audit) struct Openers<'a> {
    /// The node's own key; none for content, which the proxy cannot read back.
    pub node: Option<&'a NumbersKey>,
    pub auditors: &'a [Auditor],
}

/// Writes the sidecar of a data key, synchronised, in the place of one that no segment has; gives the
/// SHA-256 of its octets.
pub(in crate::audit) fn write(
    directory: &Path,
    purpose: Purpose,
    first: u64,
    key: &[u8; KEY_OCTETS],
    openers: Openers<'_>,
) -> io::Result<[u8; 32]> {
    let octets = encode(purpose, first, key, openers)
        .map_err(|_| io::Error::other("a data key could not be wrapped"))?;
    let path = directory.join(purpose.name(first));
    let draft = path.with_extension("draft");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(&octets)?;
    file.sync_all()?;
    std::fs::rename(&draft, &path)?;
    Ok(Sha256::digest(&octets).into())
}

fn encode(
    purpose: Purpose,
    first: u64,
    key: &[u8; KEY_OCTETS],
    openers: Openers<'_>,
) -> Result<Vec<u8>, Unspecified> {
    let mut octets = Vec::new();
    octets.extend_from_slice(&MAGIC);
    octets.extend_from_slice(&VERSION.to_le_bytes());
    octets.push(purpose as u8);
    let wraps = usize::from(openers.node.is_some()) + openers.auditors.len();
    octets.push(u8::try_from(wraps).map_err(|_| Unspecified)?);
    octets.extend_from_slice(&[0; 4]);
    octets.extend_from_slice(&first.to_le_bytes());
    let head = octets.clone();
    let named = |octets: &mut Vec<u8>, way: u8, name: &str| {
        octets.extend_from_slice(&[way, name.len() as u8]);
        octets.extend_from_slice(name.as_bytes());
    };
    if let Some(node) = openers.node {
        let mut nonce = [0; NONCE];
        aws_lc_rs::rand::fill(&mut nonce)?;
        let mut wrapped = key.to_vec();
        let sealed_with = Nonce::assume_unique_for_key(nonce);
        gcm(node)?.seal_in_place_append_tag(sealed_with, Aad::from(&head), &mut wrapped)?;
        named(&mut octets, WAY_NUMBERS_KEY, &node.name);
        octets.extend_from_slice(&nonce);
        octets.extend_from_slice(&wrapped);
    }
    for auditor in openers.auditors {
        let (encapsulated, wrapped) = hpke::seal(auditor.public(), INFO, &head, key)?;
        named(&mut octets, WAY_AUDITOR, &auditor.name());
        octets.extend_from_slice(&encapsulated);
        octets.extend_from_slice(&wrapped);
    }
    octets.extend_from_slice(&crc32c::crc32c(&octets).to_le_bytes());
    Ok(octets)
}

fn gcm(key: &NumbersKey) -> Result<LessSafeKey, Unspecified> {
    Ok(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key.secret)?))
}

/// A sidecar as it was read.
pub(in crate::audit) struct Sidecar {
    head: [u8; HEAD_OCTETS],
    wraps: Vec<Wrap>,
    /// SHA-256 of its octets.
    pub digest: [u8; 32],
}

struct Wrap {
    way: u8,
    name: String,
    sealed: Vec<u8>,
}

impl Sidecar {
    /// Reads the sidecar of a segment; none if there is none, or only the zeros that it was overwritten with to
    /// destroy it. An error of kind `InvalidData` says that it is not what was written.
    pub fn read(directory: &Path, purpose: Purpose, first: u64) -> io::Result<Option<Sidecar>> {
        let path: PathBuf = directory.join(purpose.name(first));
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut octets = Vec::new();
        file.take(FILE_OCTETS_MAX).read_to_end(&mut octets)?;
        if !octets.is_empty() && octets.iter().all(|octet| *octet == 0) {
            return Ok(None);
        }
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "is not what was written");
        Sidecar::decode(&octets, purpose, first).ok_or_else(damaged).map(Some)
    }

    pub fn decode(octets: &[u8], purpose: Purpose, first: u64) -> Option<Sidecar> {
        let (body, sum) = octets.split_last_chunk::<4>()?;
        let (head, mut rest) = body.split_first_chunk::<HEAD_OCTETS>()?;
        let is_right = crc32c::crc32c(body) == u32_at(sum, 0)
            && head[0..8] == MAGIC
            && u16_at(head, 8) == VERSION
            && head[10] == purpose as u8
            && u64_at(head, 16) == first;
        if !is_right {
            return None;
        }
        let mut wraps = Vec::new();
        for _ in 0..head[11] {
            let ([way, name_octets], after) = rest.split_first_chunk()?;
            let (name, after) = after.split_at_checked(usize::from(*name_octets))?;
            let sealed_octets = match *way {
                WAY_NUMBERS_KEY => NONCE + WRAPPED,
                WAY_AUDITOR => hpke::KEY_OCTETS + WRAPPED,
                _ => return None,
            };
            let (sealed, after) = after.split_at_checked(sealed_octets)?;
            let name = std::str::from_utf8(name).ok()?.to_owned();
            wraps.push(Wrap { way: *way, name, sealed: sealed.to_vec() });
            rest = after;
        }
        let digest = Sha256::digest(octets).into();
        rest.is_empty().then_some(Sidecar { head: *head, wraps, digest })
    }

    /// The numbers key of the node that opens it, by name.
    pub fn node_key(&self) -> Option<&str> {
        self.wraps.iter().find(|wrap| wrap.way == WAY_NUMBERS_KEY).map(|wrap| wrap.name.as_str())
    }

    /// The data key, if this numbers key opens it.
    pub fn open_with(&self, key: &NumbersKey) -> Option<[u8; KEY_OCTETS]> {
        let wrap = self.wraps.iter().find(|w| w.way == WAY_NUMBERS_KEY && w.name == key.name)?;
        let (nonce, wrapped) = wrap.sealed.split_first_chunk::<NONCE>()?;
        let mut wrapped = wrapped.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain =
            gcm(key).ok()?.open_in_place(nonce, Aad::from(&self.head), &mut wrapped).ok()?;
        plain.first_chunk().copied()
    }

    /// The data key, if this auditor's key opens it.
    pub fn open_as(&self, key: &AuditorKey) -> Option<[u8; KEY_OCTETS]> {
        let name = key.auditor().name();
        let wrap = self.wraps.iter().find(|w| w.way == WAY_AUDITOR && w.name == name)?;
        let (encapsulated, wrapped) = wrap.sealed.split_first_chunk()?;
        let opened = hpke::open(key.private(), encapsulated, INFO, &self.head, wrapped).ok()?;
        opened.first_chunk().copied()
    }
}

/// How the sidecars of a journal are found, of those that its Keys records speak of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sidecars {
    /// The very octets that were written.
    pub whole: u64,
    /// Not there: destroyed, or lost.
    pub missing: u64,
}

impl Sidecars {
    /// Looks at the sidecars that a Keys record speaks of, the first of the group; one that is not the
    /// one that was written is a fault.
    pub(in crate::audit) fn look(
        &mut self,
        directory: &Path,
        group: &Walked<'_>,
        record: &KeysRecord<'_>,
    ) -> Option<ReadFault> {
        let spoken_of = [(Purpose::Numbers, record.numbers), (Purpose::Content, record.content)];
        for (purpose, digest) in spoken_of.into_iter().filter(|(_, digest)| *digest != [0; 32]) {
            let name = purpose.name(record.first);
            match Sidecar::read(directory, purpose, record.first) {
                Ok(Some(sidecar)) if sidecar.digest == digest => self.whole += 1,
                Ok(None) => self.missing += 1,
                Err(source) if source.kind() != io::ErrorKind::InvalidData => {
                    return Some(ReadFault::Io { path: directory.join(name), source });
                }
                Ok(Some(_)) | Err(_) => {
                    return Some(ReadFault::Broken(Fault {
                        segment: group.segment.to_owned(),
                        record: group.first,
                        octet: group.octet,
                        what: format!("{name} is not the file that was written: it was changed"),
                    }));
                }
            }
        }
        None
    }
}
