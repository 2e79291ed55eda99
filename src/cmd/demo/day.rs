//! A day of captured traffic under the rules: what `replay` does, on a trace that the program brings along.

use std::path::Path;

use super::super::{Failure, replay};
use crate::replay::Verdict;

/// The trace and what it is judged by: `proto-fixtures/traces`.
const FILES: [(&str, &[u8]); 5] = [
    ("consentry.toml", include_bytes!("../../../proto-fixtures/traces/consentry.toml")),
    ("registry.toml", include_bytes!("../../../proto-fixtures/traces/registry.toml")),
    ("shop.txt", include_bytes!("../../../proto-fixtures/traces/shop.txt")),
    ("bank.txt", include_bytes!("../../../proto-fixtures/traces/bank.txt")),
    ("day.pcap.gz", include_bytes!("../../../proto-fixtures/traces/day.pcap.gz")),
];

/// Writes the files into a new folder and judges the day; whether some of it passed and some did not.
pub(super) fn replay(folder: &Path) -> Result<bool, Failure> {
    std::fs::create_dir(folder)?;
    for (name, octets) in FILES {
        std::fs::write(folder.join(name), octets)?;
    }
    let verdicts = replay::verdicts(&folder.join("consentry.toml"), &folder.join("day.pcap.gz"))?;
    let [passed, refused] = [Verdict::Pass, Verdict::Refuse].map(|verdict| verdicts.of(verdict));
    println!(
        "replay    a captured day, nobody having consented: {passed} would pass, {refused} be refused"
    );
    Ok(passed > 0 && refused > 0)
}
