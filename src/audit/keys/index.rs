//! The key under which numbers and ids are made into the tokens of segment indexes: `index.key`.

use std::path::{Path, PathBuf};

use aws_lc_rs::hmac;
use sha2::{Digest, Sha256};

use super::{KeyFault, create, hex_key, make_folder, read_secret};

/// The file in the folder of keys.
const FILE: &str = "index.key";

/// What tokens are made with.
#[derive(Clone)]
pub struct IndexKey {
    key: hmac::Key,
    name: [u8; 8],
}

impl std::fmt::Debug for IndexKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IndexKey")
    }
}

impl IndexKey {
    /// Its file in a folder of keys.
    pub fn file(folder: &Path) -> PathBuf {
        folder.join(FILE)
    }

    /// The key in this folder; a folder without one gets one.
    pub fn open_or_create(folder: &Path) -> Result<IndexKey, KeyFault> {
        if let Some(found) = IndexKey::open(folder)? {
            return Ok(found);
        }
        make_folder(folder)?;
        let file = IndexKey::file(folder);
        let mut secret = [0; 32];
        aws_lc_rs::rand::fill(&mut secret)
            .map_err(|_| KeyFault::new(&file, "the machine gives no random octets for a key"))?;
        create(&file, hex_key::text(&secret).as_bytes(), 0o600)?;
        Ok(IndexKey::of(&secret))
    }

    /// The key in this folder, if there is one.
    pub fn open(folder: &Path) -> Result<Option<IndexKey>, KeyFault> {
        let file = IndexKey::file(folder);
        let Some(text) = read_secret(&file)? else { return Ok(None) };
        let secret = hex_key::read(&text).ok_or_else(|| {
            KeyFault::new(
                &file,
                "is no key, which is 64 hexadecimal digits; remove it to have one made",
            )
        })?;
        Ok(Some(IndexKey::of(&secret)))
    }

    /// The key in a file: another node's.
    pub fn read(file: &Path) -> Result<IndexKey, KeyFault> {
        let text =
            read_secret(file)?.ok_or_else(|| KeyFault::new(file, "there is no such file"))?;
        let secret = hex_key::read(&text)
            .ok_or_else(|| KeyFault::new(file, "is no key, which is 64 hexadecimal digits"))?;
        Ok(IndexKey::of(&secret))
    }

    fn of(secret: &[u8; 32]) -> IndexKey {
        let digest: [u8; 32] = Sha256::digest(secret).into();
        let name = digest.first_chunk().copied().unwrap_or_default();
        IndexKey { key: hmac::Key::new(hmac::HMAC_SHA256, secret), name }
    }

    /// What tells it from another: the first octets of its SHA-256.
    pub fn name(&self) -> [u8; 8] {
        self.name
    }

    /// The token of a number in canonical form.
    pub fn number(&self, canonical: &[u8]) -> u64 {
        self.token(b'c', canonical)
    }

    /// The first 64 bits of the HMAC-SHA-256 of what something is and says.
    pub fn token(&self, kind: u8, octets: &[u8]) -> u64 {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&[kind]);
        context.update(octets);
        let tag = context.sign();
        tag.as_ref().first_chunk().map_or(0, |eight| u64::from_le_bytes(*eight))
    }
}
