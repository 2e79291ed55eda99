//! The client certificates that a provider binds with, and what a peer showed.

/// A client certificate as the registry names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateName {
    /// The very certificate: SHA-256 over its DER form.
    Sha256([u8; 32]),
    /// Any certificate for that DNS name (subjectAltName, RFC 5280 4.2.1.6), in lower case. Names with
    /// `*` in the certificate are not it.
    Dns(String),
}

/// A certificate that a peer proved to have, and that one of the listener's authorities signed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerCertificate {
    /// SHA-256 over its DER form.
    pub sha256: [u8; 32],
    /// Its DNS names.
    pub dns: Vec<String>,
}

/// What a peer showed before its bind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Presented {
    /// No certificate: plain SMPP, or TLS without one.
    #[default]
    Nothing,
    /// A certificate.
    Certificate(PeerCertificate),
    /// Nobody saw: a trace has no handshake.
    Unseen,
}

/// Octets of a DNS name at most (RFC 1035 2.3.4).
const DNS_OCTETS_MAX: usize = 253;

impl CertificateName {
    /// Reads `sha256:` with 64 hexadecimal digits (colons between them are let through, as openssl
    /// writes them), or `dns:` with a name.
    pub fn parse(text: &str) -> Option<CertificateName> {
        if let Some(digits) = text.strip_prefix("sha256:") {
            let mut octets = [0; 32];
            let digits: Vec<u8> = digits.bytes().filter(|octet| *octet != b':').collect();
            if digits.len() != 2 * octets.len() {
                return None;
            }
            for (octet, pair) in octets.iter_mut().zip(digits.chunks(2)) {
                let digit = |at: usize| char::from(*pair.get(at)?).to_digit(16);
                *octet = u8::try_from(digit(0)? << 4 | digit(1)?).ok()?;
            }
            return Some(CertificateName::Sha256(octets));
        }
        let name = text.strip_prefix("dns:")?;
        let is_part = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_".contains(&octet))
        };
        let is_name = name.len() <= DNS_OCTETS_MAX && name.split('.').all(is_part);
        is_name.then(|| CertificateName::Dns(name.to_ascii_lowercase()))
    }

    /// Whether that certificate is meant.
    pub fn names(&self, certificate: &PeerCertificate) -> bool {
        match self {
            CertificateName::Sha256(sha256) => *sha256 == certificate.sha256,
            CertificateName::Dns(name) => {
                certificate.dns.iter().any(|dns| dns.eq_ignore_ascii_case(name))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_named_by_digest_or_by_name() {
        let hex = "00ff".repeat(16);
        let mut octets = [0; 32];
        octets.iter_mut().skip(1).step_by(2).for_each(|octet| *octet = 0xff);
        let with_colons = format!("sha256:{}", ["00:FF"; 16].join(":"));
        for (text, expected) in [
            (format!("sha256:{hex}"), Some(CertificateName::Sha256(octets))),
            (with_colons, Some(CertificateName::Sha256(octets))),
            ("dns:ESME.example".into(), Some(CertificateName::Dns("esme.example".into()))),
            (format!("sha256:{}", &hex[1..]), None),
            (format!("sha256:{hex}0"), None),
            (format!("sha256:{}g", &hex[1..]), None),
            (format!("sha256:{}é", &hex[2..]), None),
            (hex, None),
            ("dns:".into(), None),
            ("dns:*.example".into(), None),
            ("dns:a..b".into(), None),
            ("dns:a b".into(), None),
            (format!("dns:{}", "a".repeat(254)), None),
            ("DNS:esme.example".into(), None),
        ] {
            assert_eq!(CertificateName::parse(&text), expected, "{text}");
        }
    }

    #[test]
    fn a_name_means_its_own_certificates() {
        let shown = PeerCertificate { sha256: [7; 32], dns: vec!["Esme.example".into()] };
        let star = PeerCertificate { sha256: [8; 32], dns: vec!["*.example".into()] };
        for (name, first, second) in [
            (CertificateName::Sha256([7; 32]), true, false),
            (CertificateName::Dns("esme.example".into()), true, false),
            (CertificateName::Dns("example".into()), false, false),
        ] {
            assert_eq!((name.names(&shown), name.names(&star)), (first, second), "{name:?}");
        }
    }
}
