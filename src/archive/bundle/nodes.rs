//! What is handed over of the records of all nodes, as their mirrors have them: a table, a cover, a signature.
//!
//! | file | what |
//! |---|---|
//! | `cover.txt` | which nodes, between which records, with what missing; counts; Chinese and English |
//! | `records.csv` or `.ndjson` | a row a message, bind, reply or event of consent: node, journal, leaf, the node and journal of its receipt, then the columns of every table |
//! | `signing.pub` | the public key |
//! | `manifest.json`, `manifest.sig` | what was asked for, what it holds, size and SHA-256 of the files above, and the signature over that |
//!
//! No row is proved by it: a mirror has no octets of records. The leaf of a row leads to the proof: that of the
//! same record, which the journal of its node gives, has it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

use super::super::columns::{Column, Holds};
use super::super::row::{Row, time_text};
use super::super::{csv, ndjson};
use super::check::{Wrong, read_bounded};
use super::sheet::{BYTE_ORDER_MARK, Format};
use super::summary::Summary;
use super::write::{create, digest};
use super::{COVER, MANIFEST, PUBLIC_KEY, SIGNATURE, hex};
use crate::audit::keys::{PublicKey, SigningKey};

/// The key of the manifest that says what it is, and the version of its form.
const TITLE: (&str, u64) = ("consentry_nodes_export", 1);
/// What stands before the columns of every table.
const ORIGIN: [(&str, &str, &str); 5] = [
    ("node", "The node that recorded it", "记录节点"),
    ("journal", "The word of its journal in the mirror", "日志标识"),
    (
        "leaf",
        "What its record is in the Merkle tree of its group: in its proof",
        "记录的 Merkle 叶值",
    ),
    ("receipt_node", "The node that the receipt came through", "状态报告的节点"),
    ("receipt_journal", "The word of that node's journal", "状态报告的日志标识"),
];
/// Octets of the longest manifest.
const MANIFEST_OCTETS_MAX: u64 = 4 << 20;

/// Where a row comes from: the values of the columns before those of every table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The node.
    pub node: String,
    /// The word of its journal.
    pub journal: String,
    /// The leaf of its record.
    pub leaf: Option<[u8; 32]>,
    /// Node and journal of the receipt, where there is one.
    pub receipt: Option<(String, String)>,
}

/// The records of one journal that the mirror has of the time that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The node.
    pub node: String,
    /// The word of its journal.
    pub journal: String,
    /// Its first record of that time.
    pub first: u64,
    /// Its last one.
    pub last: u64,
    /// Records that the mirror has of that time, whatever was asked for besides.
    pub records: u64,
    /// Where records are missing: behind the one, before the other, and whether that is certain.
    pub gaps: Vec<(u64, u64, bool)>,
    /// Whether the mirror has records of the journal from behind that time: else more may come.
    pub goes_on: bool,
}

impl Part {
    fn is_complete(&self) -> bool {
        self.gaps.is_empty() && self.goes_on
    }

    fn to_json(&self) -> Json {
        let gap = |(behind, before, is_certain): &(u64, u64, bool)| json!({ "behind": behind, "before": before, "certain": is_certain });
        json!({
            "node": self.node, "journal": self.journal, "first": self.first, "last": self.last,
            "records": self.records, "goes_on": self.goes_on,
            "gaps": self.gaps.iter().map(gap).collect::<Vec<_>>(),
        })
    }
}

/// A bundle that is being written. Dropped before it is finished, it is removed.
pub struct NodesExport {
    out: PathBuf,
    format: Format,
    table: BufWriter<File>,
    summary: Summary,
    line: String,
    is_finished: bool,
}

impl std::fmt::Debug for NodesExport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodesExport").field("out", &self.out).finish_non_exhaustive()
    }
}

impl Drop for NodesExport {
    fn drop(&mut self) {
        if !self.is_finished {
            // It is ours and new; what cannot be removed is no bundle, for nothing signs it.
            let _ = fs::remove_dir_all(&self.out);
        }
    }
}

impl NodesExport {
    /// Begins one in a new folder. There are no such tables as Parquet.
    pub fn begin(out: &Path, format: Format) -> io::Result<NodesExport> {
        if format == Format::Parquet {
            let says = "records of all nodes are exported as csv or ndjson, not as parquet";
            return Err(io::Error::new(io::ErrorKind::Unsupported, says));
        }
        fs::DirBuilder::new().mode(0o700).create(out)?;
        let table = BufWriter::new(create(&out.join(format.file()))?);
        let (summary, line) = (Summary::default(), String::new());
        let out = out.to_owned();
        let mut begun = NodesExport { out, format, table, summary, line, is_finished: false };
        if format == Format::Csv {
            let names = ORIGIN.map(|(name, _, _)| name).join(",");
            begun
                .table
                .write_all(format!("{BYTE_ORDER_MARK}{names},{}", csv::header()).as_bytes())?;
        }
        Ok(begun)
    }

    /// Appends a row.
    pub fn push(&mut self, origin: &Origin, row: &Row<'_>) -> io::Result<()> {
        let leaf = origin.leaf.map_or(String::new(), |leaf| hex(&leaf));
        let (node, journal) = origin.receipt.clone().unwrap_or_default();
        let values = [&origin.node, &origin.journal, &leaf, &node, &journal];
        self.line.clear();
        match self.format {
            Format::Csv => {
                for value in values {
                    csv::cell(value, &mut self.line);
                    self.line.push(',');
                }
                csv::line(row, &mut self.line);
            }
            Format::Ndjson | Format::Parquet => {
                ndjson::line(row, &mut self.line);
                let there = ORIGIN.iter().zip(values).filter(|(_, value)| !value.is_empty());
                let head: String = there
                    .map(|((name, _, _), value)| {
                        format!("\"{name}\":{},", Json::from(value.as_str()))
                    })
                    .collect();
                self.line.insert_str(1, &head);
            }
        }
        self.summary.count(row);
        self.table.write_all(self.line.as_bytes())
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.summary.rows
    }

    /// Writes what goes with the table, and signs it.
    pub fn finish(
        mut self,
        asked: &BTreeMap<String, String>,
        parts: &[Part],
        signing: &SigningKey,
    ) -> io::Result<()> {
        self.table.flush()?;
        self.table.get_ref().sync_all()?;
        let public = signing.public();
        let summary = &self.summary;
        let mut manifest = json!({
            TITLE.0: TITLE.1, "program": env!("CARGO_PKG_VERSION"), "format": self.format.name(),
            "from": "mirror", "asked": asked, "rows": summary.rows,
            "first": summary.times.map(|(first, _)| time_text(first)),
            "last": summary.times.map(|(_, last)| time_text(last)),
            "kinds": summary.kinds, "verdicts": summary.verdicts, "became": summary.became,
            "receipts": summary.receipts, "key": hex(&public.id()),
            "nodes": parts.iter().map(Part::to_json).collect::<Vec<_>>(),
            "complete": !parts.is_empty() && parts.iter().all(Part::is_complete),
        });
        let small = |name: &str, octets: &[u8]| {
            let mut file = create(&self.out.join(name))?;
            file.write_all(octets)?;
            file.sync_all()
        };
        small(COVER, cover(&manifest).as_bytes())?;
        small(PUBLIC_KEY, public.to_pem().as_bytes())?;
        let mut files = BTreeMap::new();
        for name in [COVER, PUBLIC_KEY, &self.format.file()] {
            let (octets, sha256) = digest(&self.out.join(name))?;
            files.insert(name.to_owned(), json!({ "octets": octets, "sha256": hex(&sha256) }));
        }
        manifest["files"] = json!(files);
        let manifest = format!("{manifest:#}\n");
        small(MANIFEST, manifest.as_bytes())?;
        small(SIGNATURE, &signing.sign(manifest.as_bytes()))?;
        File::open(&self.out)?.sync_all()?;
        self.is_finished = true;
        Ok(())
    }
}

/// What was found right of a bundle of all nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedNodes {
    /// Rows of the table.
    pub rows: u64,
    /// The id of the key that signed.
    pub key: [u8; 32],
    /// Whether nothing was missing in the mirror.
    pub is_complete: bool,
}

/// Checks the bundle in `folder` if it is one of all nodes: signature, files, cover, and how many rows there are.
/// None where it is another.
pub fn check_nodes(folder: &Path, keys: &[PublicKey]) -> Result<Option<CheckedNodes>, Wrong> {
    let broken = |why: String| Err(Wrong::Broken(why));
    let octets = match read_bounded(&folder.join(MANIFEST), MANIFEST_OCTETS_MAX) {
        Ok(octets) => octets,
        // The other check says what is wrong.
        Err(_) => return Ok(None),
    };
    let manifest: Json = serde_json::from_slice(&octets).unwrap_or_default();
    if manifest.get(TITLE.0).is_none() {
        return Ok(None);
    }
    let signature = read_bounded(&folder.join(SIGNATURE), MANIFEST_OCTETS_MAX)?;
    let Some(key) = keys.iter().find(|key| key.verifies(&octets, &signature)) else {
        return broken(format!(
            "{SIGNATURE} is not the signature of this key over {MANIFEST}: one of them was changed, or another \
             key signed"
        ));
    };
    let format = manifest["format"].as_str().and_then(Format::from_name);
    let (Some(format), Some(files), Some(rows)) =
        (format, manifest["files"].as_object(), manifest["rows"].as_u64())
    else {
        return broken(format!("{MANIFEST} is signed, and no manifest of an export of this form"));
    };
    let table = format.file();
    let expected = [COVER, PUBLIC_KEY, &table];
    for name in expected {
        let io = |source| Wrong::Io { path: folder.join(name).display().to_string(), source };
        let (octets, sha256) = digest(&folder.join(name)).map_err(io)?;
        if files.get(name) != Some(&json!({ "octets": octets, "sha256": hex(&sha256) })) {
            return broken(format!("{name} was changed: it is not the file that was signed"));
        }
    }
    let io = |source| Wrong::Io { path: folder.display().to_string(), source };
    for entry in fs::read_dir(folder).map_err(io)? {
        let name = entry.map_err(io)?.file_name();
        let name = name.to_string_lossy();
        if !expected.contains(&&*name) && ![MANIFEST, SIGNATURE].contains(&&*name) {
            return broken(format!("{name} is no file of the export: it is not signed"));
        }
    }
    let mut unsigned = manifest.clone();
    unsigned.as_object_mut().map(|object| object.remove("files"));
    if fs::read(folder.join(COVER)).map_err(io)? != cover(&unsigned).as_bytes() {
        return broken(format!("{COVER} is not what {MANIFEST} says"));
    }
    let is_complete = manifest["complete"] == true;
    Ok(Some(CheckedNodes { rows, key: key.id(), is_complete }))
}

/// The cover, of what the manifest says.
fn cover(manifest: &Json) -> String {
    let mut out = String::new();
    // A String takes all that is written.
    let _ = write_cover(manifest, &mut out);
    out
}

fn write_cover(manifest: &Json, out: &mut String) -> std::fmt::Result {
    writeln!(
        out,
        "短信合规记录导出（各节点镜像）\nRecords of SMS compliance of all nodes, from their mirrors\n"
    )?;
    writeln!(out, "== 中文 ==\n")?;
    writeln!(
        out,
        "本导出取自各节点的镜像（PostgreSQL），不是日志本身：各行未经日志证明。leaf 一列为该记录的 Merkle 叶值，\n\
         可与该节点日志给出的证明（consentry audit prove）核对。号码以镜像所存形式列出。"
    )?;
    facts(
        manifest,
        out,
        [
            "导出条件",
            "全部记录",
            "首末记录时间",
            "节点",
            "完整",
            "不完整，见下",
            "缺失",
            "之后可能还有",
        ],
    )?;
    writeln!(out, "\n各列：")?;
    for (name, _, chinese) in ORIGIN {
        writeln!(out, "  {name:<18} {chinese}")?;
    }
    for column in Column::ALL {
        writeln!(out, "  {:<18} {}", column.name(), column.says_in_chinese())?;
    }
    writeln!(out, "\n== English ==\n")?;
    writeln!(
        out,
        "This comes from the mirrors of the nodes (PostgreSQL), not from a journal: no row is proved by it. The\n\
         column leaf is what the record is in the Merkle tree of its group: the proof that the node's journal\n\
         gives of it (consentry audit prove) has the same. Numbers are as the mirror has them."
    )?;
    facts(
        manifest,
        out,
        [
            "Asked for",
            "all records",
            "First and last time (UTC)",
            "Nodes",
            "complete",
            "not complete, see below",
            "missing",
            "more may come",
        ],
    )?;
    writeln!(out, "\nColumns:")?;
    for (name, says, _) in ORIGIN {
        writeln!(out, "  {name:<18} text   {says}")?;
    }
    for column in Column::ALL {
        let holds = match column.holds() {
            Holds::Number => "number",
            Holds::Time => "time",
            Holds::Text => "text",
        };
        writeln!(out, "  {:<18} {holds:<6} {}", column.name(), column.says())?;
    }
    writeln!(
        out,
        "\n核验 / To check it:\n  consentry audit verify --bundle . --key {PUBLIC_KEY}\n  \
         openssl pkeyutl -verify -pubin -inkey {PUBLIC_KEY} -rawin -in {MANIFEST} -sigfile {SIGNATURE}"
    )
}

fn facts(manifest: &Json, out: &mut String, words: [&str; 8]) -> std::fmt::Result {
    let [asked, everything, times, nodes, complete, incomplete, missing, more] = words;
    writeln!(out, "\n{asked}:")?;
    match manifest["asked"].as_object().filter(|asked| !asked.is_empty()) {
        Some(asked) => {
            for (name, value) in asked {
                writeln!(out, "  {name} = {value}")?;
            }
        }
        None => writeln!(out, "  {everything}")?,
    }
    if let (Some(first), Some(last)) = (manifest["first"].as_str(), manifest["last"].as_str()) {
        writeln!(out, "{times}: {first} – {last}")?;
    }
    writeln!(out, "rows: {}", manifest["rows"])?;
    for head in ["kinds", "verdicts", "became"] {
        let counts = manifest[head].as_object().into_iter().flatten();
        let all: Vec<String> = counts.map(|(name, count)| format!("{name} {count}")).collect();
        if !all.is_empty() {
            writeln!(out, "{head}: {}", all.join(", "))?;
        }
    }
    writeln!(out, "receipts: {}", manifest["receipts"])?;
    let is_complete = manifest["complete"] == true;
    writeln!(out, "{nodes}: {}", if is_complete { complete } else { incomplete })?;
    for part in manifest["nodes"].as_array().into_iter().flatten() {
        let goes_on = if part["goes_on"] == true { String::new() } else { format!("; {more}") };
        writeln!(
            out,
            "  {} ({}): {} – {}, {}{goes_on}",
            part["node"].as_str().unwrap_or_default().escape_debug(),
            part["journal"].as_str().unwrap_or_default(),
            part["first"],
            part["last"],
            part["records"],
        )?;
        for gap in part["gaps"].as_array().into_iter().flatten() {
            let doubt = if gap["certain"] == true { "" } else { "?" };
            writeln!(out, "    {missing}{doubt}: {} < … < {}", gap["behind"], gap["before"])?;
        }
    }
    Ok(())
}
