//! The key of each record, made from the data key of its segment, and what it covers.
//!
//! A record's key is made as AES-256-GCM-SIV makes the key of a message (RFC 8452 section 4), the
//! nonce being the record's number: so one record can be shown to somebody by giving its key, which
//! says nothing of any other. The number is never used twice with a data key: a segment that was
//! rolled back leaves its data key behind.

use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use aes::{Aes256Enc, Block};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;
use sha2::{Digest, Sha256};

/// Octets of a data key and of a record's key.
pub const KEY_OCTETS: usize = 32;
/// Octets of an AES block.
const BLOCK: usize = 16;
/// Blocks that make one record's key, counted from 2 (RFC 8452 section 4).
const KEY_BLOCKS: usize = 4;
/// Record keys that are made at once: the cipher works on many blocks for the price of a few.
pub(in crate::audit) const KEYS_AT_ONCE: usize = 8;

/// The key of one record: whoever has it reads that record and no other.
#[derive(Clone, PartialEq, Eq)]
pub struct RecordKey(pub [u8; KEY_OCTETS]);

impl std::fmt::Debug for RecordKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RecordKey")
    }
}

/// A data key, ready to make the keys of records.
pub(in crate::audit) struct DataKey(Aes256Enc);

impl DataKey {
    pub fn new(key: &[u8; KEY_OCTETS]) -> DataKey {
        DataKey(Aes256Enc::new(&Array::from(*key)))
    }

    /// The key of one record.
    pub fn record_key(&self, number: u64) -> RecordKey {
        let mut key = RecordKey([0; KEY_OCTETS]);
        self.record_keys(&[number], std::slice::from_mut(&mut key));
        key
    }

    /// The keys of at most [`KEYS_AT_ONCE`] records.
    pub fn record_keys(&self, numbers: &[u64], keys: &mut [RecordKey]) {
        let mut blocks = [Block::default(); KEY_BLOCKS * KEYS_AT_ONCE];
        let used = (numbers.len() * KEY_BLOCKS).min(blocks.len());
        let blocks = blocks.get_mut(..used).unwrap_or_default();
        for (four, number) in blocks.chunks_exact_mut(KEY_BLOCKS).zip(numbers) {
            for (counter, block) in (2u32..).zip(four) {
                block[0..4].copy_from_slice(&counter.to_le_bytes());
                block[4..12].copy_from_slice(&number.to_le_bytes());
            }
        }
        self.0.encrypt_blocks(blocks);
        for (four, key) in blocks.chunks_exact(KEY_BLOCKS).zip(keys) {
            for (eight, block) in key.0.chunks_exact_mut(8).zip(four) {
                eight.copy_from_slice(&block[..8]);
            }
        }
    }
}

/// The keystream of a record's key: AES-256 in counter mode from a counter block of zeros, as
/// `openssl enc -aes-256-ctr -iv 0` makes it. Covers and uncovers.
pub(in crate::audit) struct Keystream {
    cipher: Aes256Enc,
    /// Two blocks: the numbers of most messages take as many.
    stream: [u8; 2 * BLOCK],
    counter: u128,
    /// Octets of `stream` that were used.
    used: usize,
}

impl Keystream {
    pub fn new(key: &RecordKey) -> Keystream {
        let cipher = Aes256Enc::new(&Array::from(key.0));
        Keystream { cipher, stream: [0; 2 * BLOCK], counter: 0, used: 2 * BLOCK }
    }

    /// Covers the octets with what comes next of the keystream.
    pub fn cover(&mut self, mut octets: &mut [u8]) {
        while !octets.is_empty() {
            if self.used == self.stream.len() {
                self.go_on();
            }
            let left = self.stream.get(self.used..).unwrap_or_default();
            let now = left.len().min(octets.len());
            let Some((covered, rest)) = octets.split_at_mut_checked(now) else { return };
            for (octet, key) in covered.iter_mut().zip(left) {
                *octet ^= key;
            }
            self.used += now;
            octets = rest;
        }
    }

    fn go_on(&mut self) {
        let mut blocks = [self.counter, self.counter + 1].map(|n| Block::from(n.to_be_bytes()));
        self.cipher.encrypt_blocks(&mut blocks);
        for (octets, block) in self.stream.chunks_exact_mut(BLOCK).zip(&blocks) {
            octets.copy_from_slice(block);
        }
        self.counter += 2;
        self.used = 0;
    }
}

impl RecordKey {
    /// What is kept with content for its key: only this key has it, so nobody can show another
    /// key under which the same octets say something else.
    pub fn commitment(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(b"consentry record key");
        hash.update(self.0);
        hash.finalize().into()
    }

    /// Encrypts content in place (AES-256-GCM, a nonce of zeros: a key encrypts once) and gives its
    /// tag.
    pub fn seal(&self, aad: &[u8], content: &mut [u8]) -> Result<[u8; 16], Unspecified> {
        let nonce = Nonce::assume_unique_for_key([0; 12]);
        let tag = self.gcm()?.seal_in_place_separate_tag(nonce, Aad::from(aad), content)?;
        tag.as_ref().try_into().map_err(|_| Unspecified)
    }

    /// Decrypts content in place; an error says that key, tag, `aad` or content is another.
    pub fn open(&self, aad: &[u8], content: &mut [u8], tag: &[u8]) -> Result<(), Unspecified> {
        let nonce = Nonce::assume_unique_for_key([0; 12]);
        let mut whole = [content, tag].concat();
        let plain = self.gcm()?.open_in_place(nonce, Aad::from(aad), &mut whole)?;
        content.copy_from_slice(plain.get(..content.len()).ok_or(Unspecified)?);
        Ok(())
    }

    fn gcm(&self) -> Result<LessSafeKey, Unspecified> {
        Ok(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &self.0)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8452 appendix C.2: key 01 00..., nonce 03 00..., "Record encryption key".
    #[test]
    fn a_record_key_is_made_as_rfc_8452_makes_a_message_key() {
        let mut key = [0; 32];
        key[0] = 1;
        let expected = [
            0xb9, 0x14, 0xf4, 0x74, 0x2b, 0xe9, 0xe1, 0xd7, 0xa2, 0xf8, 0x4a, 0xdd, 0xbf, 0x96,
            0xde, 0xc3, 0x45, 0x6e, 0x3c, 0x6c, 0x05, 0xec, 0xc1, 0x57, 0xcd, 0xbf, 0x07, 0x00,
            0xfe, 0xda, 0xd2, 0x22,
        ];
        assert_eq!(DataKey::new(&key).record_key(3).0, expected);
    }

    #[test]
    fn keys_made_at_once_are_those_made_one_by_one() {
        let data = DataKey::new(&[9; 32]);
        for count in 1..=KEYS_AT_ONCE {
            let numbers: Vec<u64> = (0..count as u64).map(|n| n * 3 + (1 << 40)).collect();
            let mut keys = vec![RecordKey([0; 32]); count];
            data.record_keys(&numbers, &mut keys);
            for (number, key) in numbers.iter().zip(&keys) {
                assert!(data.record_key(*number) == *key, "{count}: {number}");
            }
        }
    }

    /// SP 800-38A F.5.5, CTR-AES256, its counter block being ours at another number: checked against
    /// the block cipher alone, since the counter here begins at zero.
    #[test]
    fn the_keystream_is_counter_mode_from_zero() {
        let key = RecordKey([0x60; 32]);
        let cipher = Aes256Enc::new(&Array::from(key.0));
        let mut expected = Vec::new();
        for counter in 0u128..5 {
            let mut block = Block::from(counter.to_be_bytes());
            cipher.encrypt_block(&mut block);
            expected.extend_from_slice(&block);
        }
        let mut stream = Keystream::new(&key);
        let mut octets = vec![0; 75];
        let (front, back) = octets.split_at_mut(23);
        stream.cover(front);
        stream.cover(back);
        assert_eq!(octets, expected[..75]);
    }

    #[test]
    fn content_opens_with_its_own_key_alone() {
        let data = DataKey::new(&[1; 32]);
        let (key, other) = (data.record_key(5), data.record_key(6));
        let mut content = b"content".to_vec();
        let tag = key.seal(b"aad", &mut content).expect("sealed");
        assert_ne!(content, b"content");
        assert!(other.open(b"aad", &mut content.clone(), &tag).is_err());
        assert!(key.open(b"else", &mut content.clone(), &tag).is_err());
        assert!(key.open(b"aad", &mut content, &tag).is_ok());
        assert_eq!(content, b"content");
        assert_ne!(key.commitment(), other.commitment());
    }
}
