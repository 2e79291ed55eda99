//! What is read of a certificate that TLS has checked: by what the registry knows it. Octets in, data out.

use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};

use crate::registry::PeerCertificate;

/// Names of a certificate that are looked at; what is behind them counts as not there.
const NAMES_MAX: usize = 64;

/// What the registry may know of a peer's certificate.
pub(super) fn peer_certificate(der: &CertificateDer<'_>) -> PeerCertificate {
    let dns = match webpki::EndEntityCert::try_from(der) {
        Ok(read) => read.valid_dns_names().take(NAMES_MAX).map(str::to_owned).collect(),
        Err(_) => Vec::new(),
    };
    PeerCertificate { sha256: Sha256::digest(der.as_ref()).into(), dns }
}
