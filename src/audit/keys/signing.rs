//! The ed25519 key (RFC 8032) that signs what the journal says of itself, and its public half.

use std::path::{Path, PathBuf};

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use sha2::{Digest, Sha256};

use super::{KeyFault, create, make_folder, pem, read, read_secret};

/// Octets of a signature (RFC 8032 section 5.1.6).
pub const SIGNATURE_OCTETS: usize = 64;
/// The file of the private key in the folder of the keys.
const PRIVATE: &str = "signing.key";
/// The file of the public key.
const PUBLIC: &str = "signing.pub";
/// Labels of their PEM blocks (RFC 7468 sections 10 and 13).
const PRIVATE_LABEL: &str = "PRIVATE KEY";
const PUBLIC_LABEL: &str = "PUBLIC KEY";
/// What stands before the 32 octets of an ed25519 key in its SubjectPublicKeyInfo (RFC 8410).
const SPKI_HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];

/// The key that signs.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

/// What a signature is checked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("public", &self.public).finish_non_exhaustive()
    }
}

impl SigningKey {
    /// The key in this folder. A folder without one gets one, and itself is made where it is missing.
    ///
    /// A public key without its private one is a fault: signatures of another key would not be
    /// taken by those who have it.
    pub fn open_or_create(folder: &Path) -> Result<SigningKey, KeyFault> {
        if let Some(found) = SigningKey::open(folder)? {
            return Ok(found);
        }
        let public = folder.join(PUBLIC);
        if public.exists() {
            let says = "stands without its private key, signing.key: put that back, or move this \
                        file away to begin a new key";
            return Err(KeyFault::new(&public, says));
        }
        make_folder(folder)?;
        let file = folder.join(PRIVATE);
        let failed = |_| KeyFault::new(&file, "the machine gives no random octets for a key");
        let pair = Ed25519KeyPair::generate().map_err(failed)?;
        // Version 1 of PKCS #8: what openssl 3 reads.
        let document = pair.to_pkcs8v1().map_err(failed)?;
        create(&file, pem::encode(PRIVATE_LABEL, document.as_ref()).as_bytes(), 0o600)?;
        SigningKey::open(folder)?.ok_or_else(|| KeyFault::new(&file, "went away again"))
    }

    /// The key in this folder, if it holds one; its public half is written where it is missing.
    pub fn open(folder: &Path) -> Result<Option<SigningKey>, KeyFault> {
        let file = folder.join(PRIVATE);
        let Some(octets) = read_secret(&file)? else { return Ok(None) };
        let pair = std::str::from_utf8(&octets)
            .ok()
            .and_then(|text| pem::decode(PRIVATE_LABEL, text))
            .and_then(|der| Ed25519KeyPair::from_pkcs8(&der).ok())
            .ok_or_else(|| {
                KeyFault::new(&file, "is no ed25519 private key in PKCS #8 and PEM; put it back")
            })?;
        let public = PublicKey::of(&pair)
            .ok_or_else(|| KeyFault::new(&file, "has no public key of 32 octets"))?;
        let public_file = folder.join(PUBLIC);
        match read(&public_file)? {
            None => create(&public_file, public.to_pem().as_bytes(), 0o644)?,
            Some(text) if PublicKey::from_pem(&text) == Some(public) => {}
            Some(_) => {
                let says = "is not the public key of signing.key beside it: one of them was \
                            exchanged; put it back";
                return Err(KeyFault::new(&public_file, says));
            }
        }
        Ok(Some(SigningKey { pair, public }))
    }

    /// Its public half.
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// Signs these octets.
    pub fn sign(&self, octets: &[u8]) -> [u8; SIGNATURE_OCTETS] {
        let signature = self.pair.sign(octets);
        signature.as_ref().first_chunk().copied().unwrap_or([0; SIGNATURE_OCTETS])
    }
}

impl PublicKey {
    fn of(pair: &Ed25519KeyPair) -> Option<PublicKey> {
        pair.public_key().as_ref().try_into().ok().map(PublicKey)
    }

    /// Where the public key is in a folder of keys.
    pub fn file(folder: &Path) -> PathBuf {
        folder.join(PUBLIC)
    }

    /// Reads a public key: SubjectPublicKeyInfo in PEM.
    pub fn read(file: &Path) -> Result<PublicKey, KeyFault> {
        let text = read(file)?.ok_or_else(|| KeyFault::new(file, "there is no such file"))?;
        PublicKey::from_pem(&text)
            .ok_or_else(|| KeyFault::new(file, "is no ed25519 public key in PEM"))
    }

    /// The key in this PEM text.
    pub fn from_pem(text: &[u8]) -> Option<PublicKey> {
        let der = pem::decode(PUBLIC_LABEL, std::str::from_utf8(text).ok()?)?;
        der.strip_prefix(&SPKI_HEAD)?.try_into().ok().map(PublicKey)
    }

    /// The key as PEM text, as it stands in `signing.pub`.
    pub fn to_pem(self) -> String {
        pem::encode(PUBLIC_LABEL, &self.spki())
    }

    /// What names the key: SHA-256 of its SubjectPublicKeyInfo in DER, as the log ID of RFC 6962
    /// section 3.2.
    pub fn id(self) -> [u8; 32] {
        Sha256::digest(self.spki()).into()
    }

    /// Whether this is the key's signature over these octets.
    pub fn verifies(self, octets: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(octets, signature).is_ok()
    }

    fn spki(self) -> Vec<u8> {
        [&SPKI_HEAD[..], &self.0].concat()
    }
}
