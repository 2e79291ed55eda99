//! An auditor's pair of X25519 keys (RFC 7748): whoever writes has the public half and cannot read
//! what it wrote; the private half is the auditor's, elsewhere.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::super::sealed::hpke;
use super::{KeyFault, create, pem, read, read_secret};

const PRIVATE_LABEL: &str = "PRIVATE KEY";
const PUBLIC_LABEL: &str = "PUBLIC KEY";
/// What stands before the 32 octets of an X25519 key in its SubjectPublicKeyInfo (RFC 8410).
const SPKI_HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x6e, 3, 0x21, 0];
/// The same of a private one in PKCS #8.
const PKCS8_HEAD: [u8; 16] =
    [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x6e, 4, 0x22, 4, 0x20];
/// Octets of its digest that name a key.
const NAME_OCTETS: usize = 8;

/// An auditor's public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Auditor([u8; 32]);

/// An auditor's private key.
pub struct AuditorKey {
    private: [u8; 32],
    auditor: Auditor,
}

impl std::fmt::Debug for AuditorKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuditorKey").field("name", &self.auditor.name()).finish_non_exhaustive()
    }
}

impl Auditor {
    /// Reads a public key: SubjectPublicKeyInfo in PEM, as openssl writes it too.
    pub fn read(file: &Path) -> Result<Auditor, KeyFault> {
        let octets = read(file)?.ok_or_else(|| KeyFault::new(file, "there is no such file"))?;
        let says =
            "is no X25519 public key in PEM; `consentry audit keys new-auditor` makes a pair";
        let key = std::str::from_utf8(&octets)
            .ok()
            .and_then(|text| pem::decode(PUBLIC_LABEL, text))
            .and_then(|der| der.strip_prefix(&SPKI_HEAD)?.try_into().ok())
            .ok_or_else(|| KeyFault::new(file, says))?;
        // A point to which every exchange comes to zero would be found at the first segment.
        hpke::seal(&key, b"", b"", b"")
            .map_err(|_| KeyFault::new(file, "is a key to which nothing can be encrypted"))?;
        Ok(Auditor(key))
    }

    /// What names the key: the first 8 octets of the SHA-256 of its SubjectPublicKeyInfo, as 16
    /// hexadecimal digits.
    pub fn name(&self) -> String {
        let digest: [u8; 32] = Sha256::digest(self.spki()).into();
        digest.iter().take(NAME_OCTETS).map(|octet| format!("{octet:02x}")).collect()
    }

    pub(in crate::audit) fn public(&self) -> &[u8; 32] {
        &self.0
    }

    fn spki(&self) -> Vec<u8> {
        [&SPKI_HEAD[..], &self.0].concat()
    }
}

impl AuditorKey {
    /// Makes a pair and writes it: the private half into `file` (mode 0600), the public one into the
    /// same name with `.pub`. Files that are there are not overwritten.
    pub fn make(file: &Path) -> Result<AuditorKey, KeyFault> {
        let failed = |_| KeyFault::new(file, "the machine gives no random octets for a key");
        let mut private = [0; 32];
        aws_lc_rs::rand::fill(&mut private).map_err(failed)?;
        let auditor = Auditor(hpke::public_of(&private).map_err(failed)?);
        let der = [&PKCS8_HEAD[..], &private].concat();
        create(file, pem::encode(PRIVATE_LABEL, &der).as_bytes(), 0o600)?;
        let text = pem::encode(PUBLIC_LABEL, &auditor.spki());
        create(&file.with_extension("pub"), text.as_bytes(), 0o644)?;
        Ok(AuditorKey { private, auditor })
    }

    /// Reads a private key: PKCS #8 in PEM, as openssl writes it too.
    pub fn read(file: &Path) -> Result<AuditorKey, KeyFault> {
        let octets =
            read_secret(file)?.ok_or_else(|| KeyFault::new(file, "there is no such file"))?;
        let key = std::str::from_utf8(&octets)
            .ok()
            .and_then(|text| pem::decode(PRIVATE_LABEL, text))
            .and_then(|der| der.strip_prefix(&PKCS8_HEAD)?.try_into().ok())
            .and_then(|private| Some((private, hpke::public_of(&private).ok()?)));
        let Some((private, public)) = key else {
            return Err(KeyFault::new(file, "is no X25519 private key in PKCS #8 and PEM"));
        };
        Ok(AuditorKey { private, auditor: Auditor(public) })
    }

    /// The public half.
    pub fn auditor(&self) -> &Auditor {
        &self.auditor
    }

    pub(in crate::audit) fn private(&self) -> &[u8; 32] {
        &self.private
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_written_once_and_read_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("auditor.key");
        let made = AuditorKey::make(&file).expect("a pair");
        assert_eq!(AuditorKey::read(&file).expect("the key").private, made.private);
        let public = Auditor::read(&folder.path().join("auditor.pub")).expect("the public key");
        assert_eq!(public, *made.auditor());
        assert_eq!(public.name().len(), 2 * NAME_OCTETS);
        assert!(AuditorKey::make(&file).is_err(), "it is there already");
        assert_eq!(AuditorKey::read(&file).expect("the key").private, made.private);
    }

    /// RFC 8410 section 10.3 gives an ed25519 key; the X25519 one of RFC 7748 section 6.1 in the same
    /// encoding, as `openssl pkey` prints Alice's.
    #[test]
    fn keys_are_encoded_as_openssl_does() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("alice.pem");
        let text = "-----BEGIN PUBLIC KEY-----\n\
                    MCowBQYDK2VuAyEAhSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=\n\
                    -----END PUBLIC KEY-----\n";
        std::fs::write(&file, text).expect("written");
        let alice = Auditor::read(&file).expect("a key");
        assert_eq!(alice.0[..4], [0x85, 0x20, 0xf0, 0x09]);
        for bad in ["", "garbage", &text.replace("VuAyEA", "VwAyEA"), &text.replace("Tmo=", "Tm")] {
            std::fs::write(&file, bad).expect("written");
            let fault = Auditor::read(&file).expect_err("no key").to_string();
            assert!(fault.contains("alice.pem: is no X25519 public key"), "{fault}");
        }
    }
}
