//! PEM files: the certificates that are trusted or shown, and private keys. Each is bounded, and named in what
//! is said of it.

use std::fmt;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

mod not_after;

pub use not_after::not_after_s;

/// The longest file with certificates or a key, octets.
pub const PEM_OCTETS_MAX: u64 = 1024 * 1024;
/// Certificates of one file at most: a chain, or the authorities that are trusted.
pub const CERTIFICATES_MAX: usize = 256;

/// A certificate with its chain, and its private key, each a PEM file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, and behind it those that lead to an authority.
    pub certificate: PathBuf,
    /// The key, in PKCS #8, PKCS #1 or SEC1; its owner's and group's alone.
    pub key: PathBuf,
}

/// What is wrong with a file of certificates or keys.
#[derive(Debug, thiserror::Error)]
#[error("{file} {says}")]
pub struct TlsFault {
    file: String,
    says: String,
}

/// The fault of a file.
pub fn fault(file: &Path, says: impl fmt::Display) -> TlsFault {
    TlsFault { file: file.display().to_string(), says: says.to_string() }
}

/// Why a certificate cannot be shown with its key.
pub fn unfit(certificate: &Path, why: rustls::Error) -> TlsFault {
    match why {
        rustls::Error::InconsistentKeys(_) => fault(
            certificate,
            "is not the certificate of the key; write the two that belong together",
        ),
        other => fault(certificate, format_args!("cannot be used: {other}")),
    }
}

/// The certificate that is shown, with those behind it, and its key.
///
/// # Errors
///
/// What is wrong with either file.
pub fn identity(
    files: &Identity,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsFault> {
    let chain = certificates(&files.certificate)?;
    let key = read(&files.key, 0o007)?;
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(|_| {
        fault(&files.key, "holds no private key; write a PEM file of one, without a password")
    })?;
    Ok((chain, key))
}

/// The certificates of a PEM file, at least one of which it must hold.
///
/// # Errors
///
/// What is wrong with the file.
pub fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    let pem = read(file, 0)?;
    let found = CertificateDer::pem_slice_iter(&pem).take(CERTIFICATES_MAX + 1);
    let found: Vec<_> = found
        .collect::<Result<_, _>>()
        .map_err(|error| fault(file, format_args!("is not PEM: {error}")))?;
    let is_one = |certificate: &CertificateDer<'_>| not_after_s(certificate).is_some();
    match found.len() {
        0 => Err(fault(file, "holds no certificate; write a PEM file with at least one")),
        count if count > CERTIFICATES_MAX => {
            Err(fault(file, format_args!("holds more than {CERTIFICATES_MAX} certificates")))
        }
        _ if !found.iter().all(is_one) => {
            Err(fault(file, "holds a certificate that cannot be read"))
        }
        _ => Ok(found),
    }
}

/// Those that are trusted: the certificates of a file, each of which must be an authority's.
///
/// # Errors
///
/// That one of them is none.
pub fn roots(
    file: &Path,
    authorities: Vec<CertificateDer<'static>>,
) -> Result<RootCertStore, TlsFault> {
    let mut roots = RootCertStore::empty();
    for one in authorities {
        roots.add(one).map_err(|error| {
            fault(file, format_args!("holds a certificate that is no authority: {error}"))
        })?;
    }
    Ok(roots)
}

/// Reads a file that nobody may reach who has one of the `forbidden` bits of its mode.
fn read(file: &Path, forbidden: u32) -> Result<Vec<u8>, TlsFault> {
    let unreadable = |error: io::Error| fault(file, format_args!("cannot be read: {error}"));
    let open = std::fs::File::open(file).map_err(unreadable)?;
    // Asked of the open file, so that it cannot be exchanged in between.
    if open.metadata().map_err(unreadable)?.permissions().mode() & forbidden != 0 {
        return Err(fault(file, "can be read by everybody; run chmod 600 on it"));
    }
    let mut octets = Vec::new();
    open.take(PEM_OCTETS_MAX + 1).read_to_end(&mut octets).map_err(unreadable)?;
    if octets.len() as u64 > PEM_OCTETS_MAX {
        return Err(fault(file, format_args!("is longer than {PEM_OCTETS_MAX} octets")));
    }
    Ok(octets)
}
