//! A small file with numbers of persons beside the journal: encrypted whole under the node's numbers key,
//! so that who has the disk and not the keys reads none.
//!
//! | octets | field |
//! |---|---|
//! | 0..8 | `CNSTSEAL` |
//! | 8 | length of the key's name |
//! | 9.. | the key's name, as `2026-11` |
//! | 12 | nonce, by chance |
//! | .. | AES-256-GCM of the content, with its tag; what stands before the nonce is authenticated too |

use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use super::{KeyFault, NumbersKey};

const MAGIC: &[u8; 8] = b"CNSTSEAL";

/// Whether octets are such a file's.
pub fn is_sealed(octets: &[u8]) -> bool {
    octets.starts_with(MAGIC)
}

/// The file that holds this content.
pub fn seal(keys: &Path, mut content: Vec<u8>, now_us: u64) -> Result<Vec<u8>, KeyFault> {
    let key = NumbersKey::current(keys, now_us)?;
    let failed = |_| KeyFault::new(keys, "the machine gives no random octets, or does not encrypt");
    let mut nonce = [0; NONCE_LEN];
    aws_lc_rs::rand::fill(&mut nonce).map_err(failed)?;
    let mut file = MAGIC.to_vec();
    file.push(u8::try_from(key.name.len()).unwrap_or(0));
    file.extend_from_slice(key.name.as_bytes());
    let head = Aad::from(file.clone());
    let nonce_used = Nonce::assume_unique_for_key(nonce);
    cipher(&key)
        .and_then(|cipher| cipher.seal_in_place_append_tag(nonce_used, head, &mut content))
        .map_err(failed)?;
    file.extend_from_slice(&nonce);
    file.extend_from_slice(&content);
    Ok(file)
}

/// The content of a file; none when the key that it names is not there any more.
pub fn open(keys: &Path, path: &Path, octets: &[u8]) -> Result<Option<Vec<u8>>, KeyFault> {
    let broken = || KeyFault::new(path, "is not what was written; remove it, or put a copy back");
    let length = usize::from(*octets.get(MAGIC.len()).ok_or_else(broken)?);
    let (head, rest) = octets.split_at_checked(MAGIC.len() + 1 + length).ok_or_else(broken)?;
    let name = head.get(MAGIC.len() + 1..).and_then(|name| std::str::from_utf8(name).ok());
    let Some(key) = NumbersKey::open(keys, name.ok_or_else(broken)?)? else { return Ok(None) };
    let (nonce, content) = rest.split_first_chunk::<NONCE_LEN>().ok_or_else(broken)?;
    let mut content = content.to_vec();
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let opened = cipher(&key)
        .and_then(|cipher| {
            cipher.open_in_place(nonce, Aad::from(head), &mut content).map(|c| c.len())
        })
        .map_err(|_| broken())?;
    content.truncate(opened);
    Ok(Some(content))
}

fn cipher(key: &NumbersKey) -> Result<LessSafeKey, aws_lc_rs::error::Unspecified> {
    Ok(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key.secret)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-26T00:00:00Z.
    const NOW_US: u64 = 1_795_651_200_000_000;

    #[test]
    fn a_file_opens_with_its_key_alone_and_any_changed_octet_is_seen() {
        let folder = tempfile::tempdir().expect("a folder");
        let keys = folder.path().join("keys");
        let file = seal(&keys, b"8613800138000".to_vec(), NOW_US).expect("sealed");
        assert!(is_sealed(&file) && !file.windows(5).any(|five| five == b"13800"));
        let path = Path::new("state/audit.originals");
        let content = open(&keys, path, &file).expect("opened");
        assert_eq!(content.as_deref(), Some(&b"8613800138000"[..]));
        for at in MAGIC.len()..file.len() {
            let mut changed = file.clone();
            changed[at] ^= 1;
            assert!(!matches!(open(&keys, path, &changed), Ok(Some(_))), "octet {at}");
            assert!(!matches!(open(&keys, path, &file[..at]), Ok(Some(_))), "cut at {at}");
        }
        std::fs::remove_file(NumbersKey::file(&keys, "2026-11")).expect("destroyed");
        assert!(matches!(open(&keys, path, &file), Ok(None)));
    }
}
