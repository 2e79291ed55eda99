//! The demo's end: the records are handed over, and another process verifies them with nothing but the
//! public key.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use super::Failure;
use crate::archive::bundle::{Export, Format, export};
use crate::audit::keys::{PublicKey, SigningKey};
use crate::audit::{KeyRing, Query};

/// Exports everything to `export` in the demo's folder and has it verified with a copy of the public key
/// beside it. Whether it was found whole.
pub(super) fn over(folder: &Path, journal: &Path, keys: &Path) -> Result<bool, Failure> {
    let out = folder.join("export");
    let public = folder.join("authority.pub");
    std::fs::copy(PublicKey::file(keys), &public)?;
    let signing = SigningKey::open(keys)?
        .ok_or_else(|| Failure("the demo's proxy left no key that signs".to_owned()))?;
    let ring = Arc::new(KeyRing::open(keys)?);
    let exported = export(&Export {
        journal,
        keys: &ring,
        signing: &signing,
        query: &Query { keys: Some(&ring), ..Query::default() },
        asked: &BTreeMap::new(),
        format: Format::Csv,
        out: &out,
    })?;
    println!("export    {} rows on {} records, signed", exported.rows, exported.records);
    let verified = Command::new(std::env::current_exe()?)
        .args(["audit", "verify", "--bundle"])
        .arg(&out)
        .arg("--key")
        .arg(&public)
        .output()?;
    let said = String::from_utf8_lossy(&verified.stdout);
    println!("verify    by another process, with the public key alone: {}", said.trim_end());
    Ok(exported.rows > 0 && verified.status.success())
}
