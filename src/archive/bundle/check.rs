//! Checks a bundle with the public key alone: signature, files, proofs, rows, cover.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use serde_json::Value;

use super::cover::Cover;
use super::parts::{Parts, RowRecords};
use super::sheet::{Compared, Format};
use super::summary::Summary;
use super::write::digest;
use super::{
    CONTENT_KEY, COVER, MANIFEST, NUMBER_KEY, PROOFS, PUBLIC_KEY, ROW, ROWS_MAX, SIGNATURE, TITLE,
    hex,
};
use crate::audit::keys::PublicKey;
use crate::audit::proof::Proof;
use crate::audit::sealed::RecordKey;
use crate::audit::{Kept, Kind, Record};

/// Octets of the longest manifest that is read.
const MANIFEST_OCTETS_MAX: u64 = 1 << 20;
/// Octets of the longest line of proofs: a record, twice as many digits, its path and checkpoint.
const LINE_OCTETS_MAX: u64 = 1 << 18;
/// Records of a bundle: each row rests on seven at most.
const RECORDS_MAX: usize = 7 * ROWS_MAX;

/// What was found right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Rows, each made once more from its records.
    pub rows: u64,
    /// Records, each proved.
    pub records: u64,
    /// The id of the key that signed.
    pub key: [u8; 32],
    /// What was asked for, by name.
    pub asked: BTreeMap<String, String>,
}

/// Why a bundle is not what it says, or that it cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum Wrong {
    /// It is not what was signed, or not what the records say.
    #[error("{0}")]
    Broken(String),
    /// A file cannot be read.
    #[error("{path} cannot be read: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the operating system said.
        source: io::Error,
    },
}

fn broken<T>(why: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong::Broken(why.into()))
}

/// A file of the bundle; one that is missing is a fault of the bundle.
fn io_fault(path: &Path) -> impl Fn(io::Error) -> Wrong + '_ {
    move |source| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        match source.kind() {
            io::ErrorKind::NotFound => Wrong::Broken(format!("{name} is missing")),
            _ => Wrong::Io { path: path.display().to_string(), source },
        }
    }
}

/// Checks the bundle in `folder` against these public keys.
pub fn check(folder: &Path, keys: &[PublicKey]) -> Result<Checked, Wrong> {
    if !folder.is_dir() {
        let source = io::Error::from(io::ErrorKind::NotADirectory);
        return Err(Wrong::Io { path: folder.display().to_string(), source });
    }
    let manifest = Manifest::read(folder, keys)?;
    manifest.check_files(folder)?;
    let key_file = folder.join(PUBLIC_KEY);
    let pem = fs::read(&key_file).map_err(io_fault(&key_file))?;
    if PublicKey::from_pem(&pem) != Some(manifest.key) {
        return broken(format!("{PUBLIC_KEY} is not the key that signed {MANIFEST}"));
    }
    let records = Records::read(&folder.join(PROOFS), keys)?;
    let summary = records.compare(folder, manifest.format)?;
    let count = records.kept.len() as u64;
    if (summary.rows, count) != (manifest.rows, manifest.records) {
        return broken(format!("{MANIFEST} counts other rows or records than there are"));
    }
    if summary.texts > 0 && !manifest.texts {
        return broken(format!("{MANIFEST} says that no texts are in it, and there are some"));
    }
    let cover_file = folder.join(COVER);
    let cover = Cover {
        format: manifest.format,
        asked: &manifest.asked,
        texts: manifest.texts,
        summary: &summary,
        records: count,
        key: &hex(&manifest.key.id()),
    };
    if fs::read(&cover_file).map_err(io_fault(&cover_file))? != cover.text().as_bytes() {
        return broken(format!("{COVER} is not what the records say"));
    }
    let Manifest { key, asked, .. } = manifest;
    Ok(Checked { rows: summary.rows, records: count, key: key.id(), asked })
}

/// The manifest, its signature found right.
struct Manifest {
    key: PublicKey,
    format: Format,
    asked: BTreeMap<String, String>,
    /// Whether what messages say is in it.
    texts: bool,
    rows: u64,
    records: u64,
    /// Octets and SHA-256 by name.
    files: BTreeMap<String, (u64, String)>,
}

impl Manifest {
    fn read(folder: &Path, keys: &[PublicKey]) -> Result<Manifest, Wrong> {
        let (path, signature) = (folder.join(MANIFEST), folder.join(SIGNATURE));
        let octets = read_bounded(&path, MANIFEST_OCTETS_MAX)?;
        let signature = read_bounded(&signature, MANIFEST_OCTETS_MAX)?;
        let signer = keys.iter().find(|key| key.verifies(&octets, &signature));
        let Some(key) = signer else {
            return broken(format!(
                "{SIGNATURE} is not the signature of this key over {MANIFEST}: one of them was changed, \
                 or another key signed"
            ));
        };
        let value: Value = serde_json::from_slice(&octets).unwrap_or_default();
        match Manifest::of(*key, &value) {
            Some(manifest) if value["key"] == hex(&key.id()) => Ok(manifest),
            _ => broken(format!("{MANIFEST} is signed, and no manifest of an export of this form")),
        }
    }

    fn of(key: PublicKey, value: &Value) -> Option<Manifest> {
        if value.get(TITLE.0)?.as_u64()? != TITLE.1 {
            return None;
        }
        let text =
            |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
        let file = |(name, value): (&String, &Value)| {
            let sha256 = value.get("sha256")?.as_str()?.to_owned();
            Some((name.clone(), (value.get("octets")?.as_u64()?, sha256)))
        };
        Some(Manifest {
            key,
            format: Format::from_name(value.get("format")?.as_str()?)?,
            asked: value.get("asked")?.as_object()?.iter().map(text).collect::<Option<_>>()?,
            texts: value.get("texts")?.as_bool()?,
            rows: value.get("rows")?.as_u64()?,
            records: value.get("records")?.as_u64()?,
            files: value.get("files")?.as_object()?.iter().map(file).collect::<Option<_>>()?,
        })
    }

    /// Every file that is listed is what it was, and no other is there.
    fn check_files(&self, folder: &Path) -> Result<(), Wrong> {
        let table = self.format.file();
        let expected = BTreeSet::from([COVER, PROOFS, PUBLIC_KEY, &table]);
        if self.files.keys().map(String::as_str).collect::<BTreeSet<_>>() != expected {
            return broken(format!(
                "{MANIFEST} is signed, and lists other files than an export has"
            ));
        }
        for (name, (octets, sha256)) in &self.files {
            let path = folder.join(name);
            let found = digest(&path).map_err(io_fault(&path))?;
            if (found.0, hex(&found.1)) != (*octets, sha256.clone()) {
                return broken(format!("{name} was changed: it is not the file that was signed"));
            }
        }
        for entry in fs::read_dir(folder).map_err(io_fault(folder))? {
            let name = entry.map_err(io_fault(folder))?.file_name();
            let name = name.to_string_lossy();
            if !expected.contains(&*name) && ![MANIFEST, SIGNATURE].contains(&&*name) {
                return broken(format!("{name} is no file of the export: it is not signed"));
            }
        }
        Ok(())
    }
}

/// The records of a bundle, each proved, and which of them are rows.
struct Records {
    kept: BTreeMap<u64, Kept>,
    rows: Vec<RowRecords>,
}

impl Records {
    fn read(path: &Path, keys: &[PublicKey]) -> Result<Records, Wrong> {
        let mut from = BufReader::new(File::open(path).map_err(io_fault(path))?);
        let mut found = Records { kept: BTreeMap::new(), rows: Vec::new() };
        let mut line = Vec::new();
        for at in 1.. {
            line.clear();
            let taken = (&mut from).take(LINE_OCTETS_MAX).read_until(b'\n', &mut line);
            if taken.map_err(io_fault(path))? == 0 {
                break;
            }
            if found.kept.len() >= RECORDS_MAX || found.rows.len() > ROWS_MAX {
                return broken(format!("{PROOFS} has more records than an export may have"));
            }
            if let Err(why) = found.take(&line, keys) {
                return broken(format!("{PROOFS} line {at}: {why}"));
            }
        }
        Ok(found)
    }

    fn take(&mut self, line: &[u8], keys: &[PublicKey]) -> Result<(), String> {
        let value: Value = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        let proof = Proof::from_json(&value).map_err(|why| why.to_string())?;
        proof.check(keys).map_err(|why| why.to_string())?;
        if self.kept.last_key_value().is_some_and(|(last, _)| *last >= proof.record) {
            return Err("its record is not behind the one before".to_owned());
        }
        let name = key_name(&proof);
        let kept = match value.get(name) {
            None => proof.kept(),
            Some(key) => {
                let key = key.as_str().and_then(key_of);
                let key = key.ok_or_else(|| format!("its {name} is no key"))?;
                proof.kept_with(&key).ok_or_else(|| format!("its {name} does not open it"))?
            }
        };
        if let Some(row) = value.get(ROW) {
            let row = RowRecords::from_json(proof.record, row).ok_or("its row is malformed")?;
            self.rows.push(row);
        }
        self.kept.insert(proof.record, kept);
        Ok(())
    }

    /// Compares the table with the rows that the records make, and counts them.
    fn compare(&self, folder: &Path, format: Format) -> Result<Summary, Wrong> {
        let name = format.file();
        let path = folder.join(&name);
        let opened = Compared::open(format, &path).map_err(io_fault(&path))?;
        let Some(mut compared) = opened else {
            return broken(format!("{name} does not begin as a table of this form does"));
        };
        let mut summary = Summary::default();
        for row in &self.rows {
            let parts = self.parts(row)?;
            let made = parts.row();
            summary.count(&made);
            if !compared.is_next(&made).map_err(io_fault(&path))? {
                return broken(format!(
                    "{name}: the row of record {} is not what its records say",
                    row.record
                ));
            }
        }
        if !compared.is_at_end().map_err(io_fault(&path))? {
            return broken(format!("{name}: it has rows that no record proves"));
        }
        let used: BTreeSet<u64> =
            self.rows.iter().flat_map(|row| row.others().chain([row.record])).collect();
        match self.kept.keys().find(|number| !used.contains(number)) {
            Some(number) => broken(format!("{PROOFS}: no row rests on record {number}")),
            None => Ok(summary),
        }
    }

    fn parts(&self, row: &RowRecords) -> Result<Parts<'_>, Wrong> {
        let number = row.record;
        let missing = |other: u64| {
            Wrong::Broken(format!("{PROOFS}: record {other} is missing, on which {number} rests"))
        };
        let find = |other: u64| match other {
            0 => Ok(None),
            other => self.kept.get(&other).map(Some).ok_or_else(|| missing(other)),
        };
        let rule_set = match find(row.rules)? {
            None => "",
            Some(kept) => match kept.record() {
                Record::Start(start) if kept.number < number => start.rule_set,
                Record::Rules(rules) if kept.number < number => rules.rule_set,
                _ => return broken(format!("{PROOFS}: record {} is no rules record", kept.number)),
            },
        };
        let parts = Parts {
            record: find(number)?.ok_or_else(|| missing(number))?,
            rule_set,
            bind: find(row.bind)?,
            answer: find(row.answer)?,
            unsuccess: find(row.unsuccess)?,
            receipt: find(row.receipt)?,
            content: find(row.content)?,
        };
        match parts.fault() {
            Some(why) => broken(format!("{PROOFS}: the row of record {number}: {why}")),
            None => Ok(parts),
        }
    }
}

/// What the key of a record is called.
pub(super) fn key_name(proof: &Proof) -> &'static str {
    match proof.octets.get(2) == Some(&(Kind::Content as u8)) {
        true => CONTENT_KEY,
        false => NUMBER_KEY,
    }
}

/// 64 lower case hexadecimal digits.
fn key_of(text: &str) -> Option<RecordKey> {
    let mut key = [0; 32];
    for (octet, pair) in key.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let pair = std::str::from_utf8(pair).ok()?;
        *octet = u8::from_str_radix(pair, 16).ok()?;
    }
    (hex(&key) == text).then_some(RecordKey(key))
}

pub(super) fn read_bounded(path: &Path, most: u64) -> Result<Vec<u8>, Wrong> {
    let mut octets = Vec::new();
    File::open(path)
        .and_then(|file| file.take(most).read_to_end(&mut octets))
        .map_err(io_fault(path))?;
    Ok(octets)
}
