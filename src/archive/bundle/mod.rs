//! What is handed over: records as a table, what proves them, a cover for people, all signed.
//!
//! | file | what |
//! |---|---|
//! | `cover.txt` | what it is, counts, columns, how to check it: Chinese and English |
//! | `records.csv`, `.ndjson` or `.parquet` | a row a message, bind or reply, numbers whole |
//! | `proofs.ndjson` | one object a record that a row rests on, in the order of their numbers: what `audit prove` prints, with `number_key` where its numbers are encrypted, `content_key` where it is what a message says, and with `row` where it is a row of the table |
//! | `signing.pub` | the public key |
//! | `manifest.json` | what was asked for, and size and SHA-256 of every file above |
//! | `manifest.sig` | the ed25519 signature over the octets of `manifest.json`, 64 octets |
//!
//! No clock goes into it: two exports of the same records by the same program are equal octet for octet.
//!
//! A row is a function of the records that it names, and of nothing else: [`Parts`]. So who checks an
//! export makes each row once more from records that are proved, and compares.
//!
//! | file | subject |
//! |---|---|
//! | `parts` | the records of a row, and the row |
//! | `sheet` | the table in one of three formats |
//! | `summary` | counts for the cover |
//! | `cover` | the cover |
//! | `write` | making a bundle |
//! | `check` | checking one with the public key alone |
//! | `nodes` | the same of the records of all nodes, which mirrors have: without proofs |

mod check;
mod cover;
mod nodes;
mod parts;
mod sheet;
mod summary;
mod write;

pub use check::{Checked, Wrong, check};
pub use nodes::{CheckedNodes, NodesExport, Origin, Part, check_nodes};
pub use parts::{Parts, RowRecords};
pub use sheet::Format;
pub use write::{Export, ExportFault, Exported, export};

/// Rows of a bundle: checking it holds as many records in memory, twice.
pub const ROWS_MAX: usize = 1 << 18;

const COVER: &str = "cover.txt";
const PROOFS: &str = "proofs.ndjson";
const PUBLIC_KEY: &str = "signing.pub";
const MANIFEST: &str = "manifest.json";
const SIGNATURE: &str = "manifest.sig";
/// The key of the manifest that says what it is, and the version of its form.
const TITLE: (&str, u64) = ("consentry_export", 1);
/// Keys that a proof has here beside its own.
const NUMBER_KEY: &str = "number_key";
const CONTENT_KEY: &str = "content_key";
const ROW: &str = "row";

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
