//! Makes a bundle: the table while searching, then the proofs in the order of the records.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;
use sha2::{Digest, Sha256};

use super::super::row::last_receipt;
use super::check::key_name;
use super::cover::Cover;
use super::parts::{Parts, RowRecords};
use super::sheet::{Format, Sheet};
use super::summary::Summary;
use super::{
    CONTENT_KEY, COVER, MANIFEST, PROOFS, PUBLIC_KEY, ROW, ROWS_MAX, SIGNATURE, TITLE, hex,
};
use crate::audit::keys::SigningKey;
use crate::audit::proof::{ProveFault, Prover};
use crate::audit::sealed::{FORM_SEALED, Purpose};
use crate::audit::{Answer, Found, Kept, KeyRing, Query, ReadFault, Reader, Record, search};

/// What is handed over, and to where.
pub struct Export<'a> {
    /// The journal's folder.
    pub journal: &'a Path,
    /// What numbers are read with.
    pub keys: &'a Arc<KeyRing>,
    /// What the bundle is signed with.
    pub signing: &'a SigningKey,
    /// What is looked for.
    pub query: &'a Query<'a>,
    /// The same in words, for cover and manifest: name and value.
    pub asked: &'a BTreeMap<String, String>,
    /// How the table is written.
    pub format: Format,
    /// The folder to make.
    pub out: &'a Path,
}

/// What a bundle holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exported {
    /// Rows of the table.
    pub rows: u64,
    /// Records that they rest on, each proved.
    pub records: u64,
    /// Records whose numbers nobody can read here: their rows have none.
    pub unreadable: u64,
    /// Messages with what they say.
    pub texts: u64,
    /// Messages whose text was asked for, is recorded and cannot be read: their rows have none.
    pub unreadable_texts: u64,
}

/// Why there is no bundle. What was written of it is removed.
#[derive(Debug, thiserror::Error)]
pub enum ExportFault {
    /// A file of the bundle cannot be written.
    #[error("{} cannot be written: {source}", path.display())]
    Write {
        /// The folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// More than [`ROWS_MAX`].
    #[error("more than {ROWS_MAX} rows: export a shorter time, or one provider or number")]
    TooMany,
    /// The journal cannot be read.
    #[error(transparent)]
    Read(#[from] ReadFault),
    /// A record cannot be proved.
    #[error("record {record}: {source}")]
    Prove {
        /// Its number.
        record: u64,
        /// Why.
        source: ProveFault,
    },
}

/// Makes the bundle in a new folder.
pub fn export(wanted: &Export<'_>) -> Result<Exported, ExportFault> {
    let fault = |source| ExportFault::Write { path: wanted.out.to_owned(), source };
    fs::DirBuilder::new().mode(0o700).create(wanted.out).map_err(fault)?;
    let written = write(wanted);
    if written.is_err() {
        // It is ours and new; what cannot be removed is no bundle, for nothing signs it.
        let _ = fs::remove_dir_all(wanted.out);
    }
    written
}

fn write(wanted: &Export<'_>) -> Result<Exported, ExportFault> {
    let fault = |source| ExportFault::Write { path: wanted.out.to_owned(), source };
    let Told { rows, summary, unreadable_texts } = table(wanted)?;
    let texts = wanted.query.contents;
    let (records, unreadable) = proofs(wanted, &rows)?;
    let public = wanted.signing.public();
    let key = hex(&public.id());
    let (format, asked, summary) = (wanted.format, wanted.asked, &summary);
    let cover = Cover { format, asked, texts, summary, records, key: &key };
    let small = |name: &str, octets: &[u8]| {
        let mut file = create(&wanted.out.join(name))?;
        file.write_all(octets)?;
        file.sync_all()
    };
    small(COVER, cover.text().as_bytes()).map_err(fault)?;
    small(PUBLIC_KEY, public.to_pem().as_bytes()).map_err(fault)?;
    let table = wanted.format.file();
    let mut files = BTreeMap::new();
    for name in [COVER, PROOFS, PUBLIC_KEY, &table] {
        let (octets, sha256) = digest(&wanted.out.join(name)).map_err(fault)?;
        files.insert(name.to_owned(), json!({ "octets": octets, "sha256": hex(&sha256) }));
    }
    let manifest = json!({
        TITLE.0: TITLE.1, "program": env!("CARGO_PKG_VERSION"), "format": wanted.format.name(),
        "asked": asked, "texts": texts, "rows": summary.rows, "records": records, "key": key, "files": files,
    });
    let manifest = format!("{manifest:#}\n");
    small(MANIFEST, manifest.as_bytes()).map_err(fault)?;
    small(SIGNATURE, &wanted.signing.sign(manifest.as_bytes())).map_err(fault)?;
    File::open(wanted.out).and_then(|folder| folder.sync_all()).map_err(fault)?;
    let (rows, texts) = (summary.rows, summary.texts);
    Ok(Exported { rows, records, unreadable, texts, unreadable_texts })
}

/// What was written as a table.
struct Told {
    /// Which records each row rests on, in the order of the rows.
    rows: Vec<RowRecords>,
    summary: Summary,
    unreadable_texts: u64,
}

/// Writes the table.
fn table(wanted: &Export<'_>) -> Result<Told, ExportFault> {
    let fault = |source| ExportFault::Write { path: wanted.out.to_owned(), source };
    let rules = rules_records(wanted.journal)?;
    let file = create(&wanted.out.join(wanted.format.file())).map_err(fault)?;
    let mut sheet = Sheet::begin(wanted.format, file).map_err(fault)?;
    let (mut rows, mut summary, mut unreadable_texts) = (Vec::new(), Summary::default(), 0);
    let mut failed = None;
    search(wanted.journal, wanted.query, &mut |found| {
        if rows.len() >= ROWS_MAX {
            failed = Some(ExportFault::TooMany);
            return ControlFlow::Break(());
        }
        let mut parts = parts(&found);
        if parts.content.is_some_and(|content| content.gone.is_some()) {
            parts.content = None;
            unreadable_texts += 1;
        }
        let row = parts.row();
        summary.count(&row);
        rows.push(records(&parts, &rules));
        match sheet.push(&row) {
            Ok(()) => ControlFlow::Continue(()),
            Err(source) => {
                failed = Some(fault(source));
                ControlFlow::Break(())
            }
        }
    })?;
    match failed {
        Some(failed) => Err(failed),
        None => {
            sheet.finish().map_err(fault)?;
            Ok(Told { rows, summary, unreadable_texts })
        }
    }
}

/// The start and rules records: which say what rule set is in force from there on.
fn rules_records(journal: &Path) -> Result<Vec<u64>, ReadFault> {
    let mut found = Vec::new();
    let mut reader = Reader::open(journal)?;
    while let Some(entry) = reader.next()? {
        if matches!(entry.record(), Record::Start(_) | Record::Rules(_)) {
            found.push(entry.number);
        }
    }
    Ok(found)
}

fn parts(found: &Found) -> Parts<'_> {
    match found {
        Found::Bind { bind } => Parts::of(bind),
        Found::Consent { consent } => Parts::of(consent),
        Found::Reply { reply, bind } => Parts { bind: bind.as_deref(), ..Parts::of(reply) },
        Found::Message { verdict, content, answer, bind, receipts } => {
            let (answer, unsuccess) = match answer {
                Answer::Refused | Answer::Unknown => (None, None),
                Answer::Response(kept) | Answer::Unanswered(kept) => (Some(kept), None),
                Answer::Unsuccess { response, unsuccess } => (Some(response), Some(&**unsuccess)),
            };
            Parts {
                bind: bind.as_deref(),
                answer,
                unsuccess,
                receipt: last_receipt(receipts),
                content: content.as_deref(),
                ..Parts::of(verdict)
            }
        }
    }
}

fn records(parts: &Parts<'_>, rules: &[u64]) -> RowRecords {
    let number = |kept: Option<&Kept>| kept.map_or(0, |kept| kept.number);
    let record = parts.record.number;
    let before = rules.partition_point(|number| *number < record);
    let in_force = before.checked_sub(1).and_then(|at| rules.get(at)).copied();
    RowRecords {
        record,
        // What outlived its segment does not say under which rule set it was made, nor does its row.
        rules: in_force.filter(|_| !parts.rule_set.is_empty()).unwrap_or(0),
        bind: number(parts.bind),
        answer: number(parts.answer),
        unsuccess: number(parts.unsuccess),
        receipt: number(parts.receipt),
        content: number(parts.content),
    }
}

/// Writes the proofs of all records that rows rest on; how many, and how many cannot be read.
fn proofs(wanted: &Export<'_>, rows: &[RowRecords]) -> Result<(u64, u64), ExportFault> {
    let fault = |source| ExportFault::Write { path: wanted.out.to_owned(), source };
    let numbers: BTreeSet<u64> =
        rows.iter().flat_map(|row| row.others().chain([row.record])).collect();
    let mut out = BufWriter::new(create(&wanted.out.join(PROOFS)).map_err(fault)?);
    let mut prover = Prover::new(wanted.journal);
    let mut unreadable = 0;
    for record in &numbers {
        let proof = prover
            .prove(*record)
            .map_err(|source| ExportFault::Prove { record: *record, source })?;
        let mut line = proof.to_json();
        if proof.octets.get(3) == Some(&FORM_SEALED) {
            let first = proof.checkpoint.checkpoint.first;
            let name = key_name(&proof);
            let purpose = if name == CONTENT_KEY { Purpose::Content } else { Purpose::Numbers };
            match wanted.keys.record_key(wanted.journal, purpose, first, *record) {
                Ok(key) => line[name] = hex(&key.0).into(),
                Err(_) => unreadable += 1,
            }
        }
        if let Ok(at) = rows.binary_search_by_key(record, |row| row.record)
            && let Some(row) = rows.get(at)
        {
            line[ROW] = row.to_json();
        }
        writeln!(out, "{line}").map_err(fault)?;
    }
    let file = out.into_inner().map_err(|error| fault(error.into_error()))?;
    file.sync_all().map_err(fault)?;
    Ok((numbers.len() as u64, unreadable))
}

pub(super) fn create(path: &Path) -> io::Result<File> {
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Octets of a file and their SHA-256.
pub(super) fn digest(path: &Path) -> io::Result<(u64, [u8; 32])> {
    struct Hash(Sha256);
    impl Write for Hash {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.0.update(octets);
            Ok(octets.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut hash = Hash(Sha256::new());
    let octets = io::copy(&mut File::open(path)?, &mut hash)?;
    Ok((octets, hash.0.finalize().into()))
}
