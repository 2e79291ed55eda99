//! The keys of the records: files in a folder of their own, apart from the journal.
//!
//! The folder (`[audit] keys`, mode 0700) is not in the journal's: who copies one has not the other.
//!
//! | file | mode | holds |
//! |---|---|---|
//! | `signing.key` | 0600 | the ed25519 key that signs checkpoints: PKCS #8 (RFC 8410), PEM |
//! | `signing.pub` | 0644 | its public half: SubjectPublicKeyInfo, PEM; what third parties are given |
//! | `numbers-<month>.key` | 0600 | what this node reads its numbers with: 64 hexadecimal digits ([`NumbersKey`]) |
//! | `index.key` | 0600 | what the tokens of segment indexes are made with, alike ([`IndexKey`]) |
//!
//! A file with a secret is whole when it is there, and is refused where others may read it.

mod auditor;
mod hex_key;
mod index;
mod numbers;
mod pem;
mod sealed_file;
mod signing;

use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

pub use auditor::{Auditor, AuditorKey};
pub use index::IndexKey;
pub use numbers::NumbersKey;
pub use sealed_file::{is_sealed, open as open_file, seal as seal_file};
pub use signing::{PublicKey, SIGNATURE_OCTETS, SigningKey};

/// Octets of the longest file that is read as a key.
const FILE_OCTETS_MAX: u64 = 16 << 10;

/// Why a key cannot be used. Never says what stands in a secret file.
#[derive(Debug, thiserror::Error)]
#[error("{}: {says}", file.display())]
pub struct KeyFault {
    /// The file or folder.
    pub file: PathBuf,
    /// What is wrong, and the way out.
    pub says: String,
}

impl KeyFault {
    fn new(file: &Path, says: impl ToString) -> KeyFault {
        KeyFault { file: file.to_owned(), says: says.to_string() }
    }
}

/// The public keys that may have signed: every `signing*.pub` of the folder, so that one of earlier
/// stays as `signing-2025.pub` when another is begun. None where there is no folder.
pub fn signers(folder: &Path) -> Result<Vec<PublicKey>, KeyFault> {
    let listed = match std::fs::read_dir(folder) {
        Ok(listed) => listed,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(KeyFault::new(folder, format_args!("cannot be read: {error}"))),
    };
    let mut files: Vec<PathBuf> = listed.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| {
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("signing") && name.ends_with(".pub")
    });
    files.sort();
    files.iter().map(|file| PublicKey::read(file)).collect()
}

/// Makes the folder of the keys unless it is there: mode 0700, with its parents.
pub(super) fn make_folder(folder: &Path) -> Result<(), KeyFault> {
    let mut builder = std::fs::DirBuilder::new();
    builder
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| KeyFault::new(folder, format_args!("cannot be made: {error}")))
}

/// Writes a file that must not be there yet: it appears whole, synchronised, with this mode.
pub(super) fn create(file: &Path, octets: &[u8], mode: u32) -> Result<(), KeyFault> {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".new-{}", std::process::id()));
    let draft = file.with_file_name(name);
    let written = (|| {
        let _ = std::fs::remove_file(&draft);
        let mut open =
            std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft)?;
        open.write_all(octets)?;
        open.sync_all()?;
        // A link, not a rename: a file that came meanwhile is not replaced.
        std::fs::hard_link(&draft, file)
    })();
    let _ = std::fs::remove_file(&draft);
    written
        .and_then(|()| match file.parent() {
            // A bare name has the empty path for its folder.
            Some(folder) if folder.as_os_str().is_empty() => std::fs::File::open(".")?.sync_all(),
            Some(folder) => std::fs::File::open(folder)?.sync_all(),
            None => Ok(()),
        })
        .map_err(|error| KeyFault::new(file, format_args!("cannot be written: {error}")))
}

/// Reads a file of at most 16 KiB; none if there is no such file.
pub(super) fn read(file: &Path) -> Result<Option<Vec<u8>>, KeyFault> {
    let fault = |error| KeyFault::new(file, format_args!("cannot be read: {error}"));
    match std::fs::File::open(file) {
        Ok(open) => read_open(file, open).map(Some),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(fault(error)),
    }
}

/// Reads a file with a secret: its owner's alone.
pub(super) fn read_secret(file: &Path) -> Result<Option<Vec<u8>>, KeyFault> {
    let fault = |error| KeyFault::new(file, format_args!("cannot be read: {error}"));
    let open = match std::fs::File::open(file) {
        Ok(open) => open,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fault(error)),
    };
    // Asked of the open file, so that it cannot be exchanged in between.
    let mode = open.metadata().map_err(fault)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let says = format_args!("has mode {mode:o}, others may read it; run chmod 600 on it");
        return Err(KeyFault::new(file, says));
    }
    read_open(file, open).map(Some)
}

fn read_open(file: &Path, open: std::fs::File) -> Result<Vec<u8>, KeyFault> {
    let mut octets = Vec::new();
    open.take(FILE_OCTETS_MAX + 1)
        .read_to_end(&mut octets)
        .map_err(|error| KeyFault::new(file, format_args!("cannot be read: {error}")))?;
    if octets.len() as u64 > FILE_OCTETS_MAX {
        return Err(KeyFault::new(file, "is longer than any key"));
    }
    Ok(octets)
}
