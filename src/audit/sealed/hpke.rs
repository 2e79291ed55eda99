//! Hybrid Public Key Encryption (RFC 9180), base mode, one message a context: DHKEM(X25519,
//! HKDF-SHA256), HKDF-SHA256 and AES-256-GCM. What wraps a data key for an auditor.

use aws_lc_rs::aead::{AES_256_GCM, Aad, Algorithm, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hmac;

/// Octets of an X25519 key, private or public, and of an encapsulated key (RFC 9180 section 7.1).
pub const KEY_OCTETS: usize = 32;
/// Octets that the ciphertext is longer than the plaintext.
pub const TAG_OCTETS: usize = 16;
/// DHKEM(X25519, HKDF-SHA256): section 7.1.
const KEM: u16 = 0x0020;
/// HKDF-SHA256: section 7.2.
const KDF: u16 = 0x0001;
/// Octets of a SHA-256 value: Nh and Nsecret.
const HASH: usize = 32;
/// Octets of the nonce of an AEAD: Nn of section 7.3.
const NONCE: usize = 12;

/// An AEAD of section 7.3.
struct Aead {
    id: u16,
    key_octets: usize,
    algorithm: &'static Algorithm,
}

const AES_256: Aead = Aead { id: 0x0002, key_octets: 32, algorithm: &AES_256_GCM };

/// Encrypts for the holder of a public key; gives the encapsulated key and the ciphertext.
pub fn seal(
    public: &[u8; KEY_OCTETS],
    info: &[u8],
    aad: &[u8],
    plaintext: &[u8],
) -> Result<([u8; KEY_OCTETS], Vec<u8>), Unspecified> {
    let mut ephemeral = [0; KEY_OCTETS];
    aws_lc_rs::rand::fill(&mut ephemeral)?;
    seal_with(&AES_256, &ephemeral, public, info, aad, plaintext)
}

/// Decrypts what was encrypted for this private key; an error says no more than that it was not, or
/// is not what was written.
pub fn open(
    private: &[u8; KEY_OCTETS],
    encapsulated: &[u8; KEY_OCTETS],
    info: &[u8],
    aad: &[u8],
    ciphertext: &[u8],
) -> Result<Vec<u8>, Unspecified> {
    open_with(&AES_256, private, encapsulated, info, aad, ciphertext)
}

/// The public key of a private one.
pub fn public_of(private: &[u8; KEY_OCTETS]) -> Result<[u8; KEY_OCTETS], Unspecified> {
    let key = PrivateKey::from_private_key(&X25519, private).map_err(|_| Unspecified)?;
    key.compute_public_key()?.as_ref().try_into().map_err(|_| Unspecified)
}

fn seal_with(
    aead: &Aead,
    ephemeral: &[u8; KEY_OCTETS],
    public: &[u8; KEY_OCTETS],
    info: &[u8],
    aad: &[u8],
    plaintext: &[u8],
) -> Result<([u8; KEY_OCTETS], Vec<u8>), Unspecified> {
    let encapsulated = public_of(ephemeral)?;
    let secret = shared_secret(ephemeral, public, &encapsulated, public)?;
    let (key, nonce) = key_schedule(aead, &secret, info)?;
    let mut octets = plaintext.to_vec();
    key.seal_in_place_append_tag(nonce, Aad::from(aad), &mut octets)?;
    Ok((encapsulated, octets))
}

fn open_with(
    aead: &Aead,
    private: &[u8; KEY_OCTETS],
    encapsulated: &[u8; KEY_OCTETS],
    info: &[u8],
    aad: &[u8],
    ciphertext: &[u8],
) -> Result<Vec<u8>, Unspecified> {
    let secret = shared_secret(private, encapsulated, encapsulated, &public_of(private)?)?;
    let (key, nonce) = key_schedule(aead, &secret, info)?;
    let mut octets = ciphertext.to_vec();
    let plain = key.open_in_place(nonce, Aad::from(aad), &mut octets)?.len();
    octets.truncate(plain);
    Ok(octets)
}

/// Encap and Decap of section 4.1: the same but for whose private key meets whose public one.
fn shared_secret(
    private: &[u8; KEY_OCTETS],
    peer: &[u8; KEY_OCTETS],
    encapsulated: &[u8; KEY_OCTETS],
    recipient: &[u8; KEY_OCTETS],
) -> Result<[u8; HASH], Unspecified> {
    let suite = [&b"KEM"[..], &KEM.to_be_bytes()].concat();
    let key = PrivateKey::from_private_key(&X25519, private).map_err(|_| Unspecified)?;
    // An exchange that comes to zero is refused within, as section 7.1.4 demands.
    agree(&key, UnparsedPublicKey::new(&X25519, peer), Unspecified, |exchanged| {
        let eae = labeled_extract(&suite, &[], b"eae_prk", exchanged);
        let context = [&encapsulated[..], recipient].concat();
        let mut secret = [0; HASH];
        labeled_expand(&suite, &eae, b"shared_secret", &context, &mut secret);
        Ok(secret)
    })
}

/// The key schedule of section 5.1 in base mode, and the nonce of the first message.
fn key_schedule(
    aead: &Aead,
    shared_secret: &[u8; HASH],
    info: &[u8],
) -> Result<(LessSafeKey, Nonce), Unspecified> {
    let ids = [KEM.to_be_bytes(), KDF.to_be_bytes(), aead.id.to_be_bytes()].concat();
    let suite = [&b"HPKE"[..], &ids].concat();
    let psk_id = labeled_extract(&suite, &[], b"psk_id_hash", &[]);
    let info = labeled_extract(&suite, &[], b"info_hash", info);
    let context = [&[0][..], &psk_id, &info].concat();
    let secret = labeled_extract(&suite, shared_secret, b"secret", &[]);
    let mut key = [0; 32];
    let key = key.get_mut(..aead.key_octets).ok_or(Unspecified)?;
    labeled_expand(&suite, &secret, b"key", &context, key);
    let mut nonce = [0; NONCE];
    labeled_expand(&suite, &secret, b"base_nonce", &context, &mut nonce);
    let key = LessSafeKey::new(UnboundKey::new(aead.algorithm, key)?);
    Ok((key, Nonce::assume_unique_for_key(nonce)))
}

/// LabeledExtract of section 4; HKDF-Extract is HMAC (RFC 5869 section 2.2).
fn labeled_extract(suite: &[u8], salt: &[u8], label: &[u8], ikm: &[u8]) -> [u8; HASH] {
    hmac_sha256(salt, &[b"HPKE-v1", suite, label, ikm])
}

/// LabeledExpand of section 4, for at most one block of HKDF-Expand (RFC 5869 section 2.3): nothing
/// longer is asked for here.
fn labeled_expand(suite: &[u8], prk: &[u8; HASH], label: &[u8], info: &[u8], out: &mut [u8]) {
    let length = (out.len() as u16).to_be_bytes();
    let block = hmac_sha256(prk, &[&length, b"HPKE-v1", suite, label, info, &[1]]);
    for (out, octet) in out.iter_mut().zip(block) {
        *out = octet;
    }
}

fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; HASH] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    parts.iter().for_each(|part| context.update(part));
    let mut tag = [0; HASH];
    tag.copy_from_slice(context.sign().as_ref());
    tag
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::aead::AES_128_GCM;

    use super::*;

    fn hex<const N: usize>(text: &str) -> [u8; N] {
        octets(text).try_into().expect("as long as it should be")
    }

    fn octets(text: &str) -> Vec<u8> {
        let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal");
        (0..text.len()).step_by(2).map(digit).collect()
    }

    /// RFC 9180 appendix A.1.1, base mode: the vectors' AEAD is AES-128-GCM, all else is ours. Its
    /// own vectors for AES-256-GCM are with another KEM.
    #[test]
    fn the_vectors_of_rfc_9180_come_out() {
        let aes_128 = Aead { id: 0x0001, key_octets: 16, algorithm: &AES_128_GCM };
        let info = octets("4f6465206f6e2061204772656369616e2055726e");
        let ephemeral = hex("52c4a758a802cd8b936eceea314432798d5baf2d7e9235dc084ab1b9cfa2f736");
        let encapsulated = hex("37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431");
        let private = hex("4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8");
        let public = hex("3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d");
        let secret = hex("fe0e18c9f024ce43799ae393c7e8fe8fce9d218875e8227b0187c04e7d2ea1fc");
        let text = octets("4265617574792069732074727574682c20747275746820626561757479");
        let aad = octets("436f756e742d30");
        let ciphertext = octets(
            "f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a",
        );
        assert_eq!(public_of(&ephemeral), Ok(encapsulated));
        assert_eq!(public_of(&private), Ok(public));
        assert_eq!(shared_secret(&ephemeral, &public, &encapsulated, &public), Ok(secret));
        assert_eq!(shared_secret(&private, &encapsulated, &encapsulated, &public), Ok(secret));
        let sealed = seal_with(&aes_128, &ephemeral, &public, &info, &aad, &text);
        assert_eq!(sealed, Ok((encapsulated, ciphertext.clone())));
        let opened = open_with(&aes_128, &private, &encapsulated, &info, &aad, &ciphertext);
        assert_eq!(opened, Ok(text));
    }

    #[test]
    fn only_the_right_key_and_the_octets_that_were_written_open() {
        let (private, other) = ([7; 32], [8; 32]);
        let public = public_of(&private).expect("a key");
        let (encapsulated, sealed) = seal(&public, b"info", b"aad", b"a data key").expect("sealed");
        assert_eq!(sealed.len(), 10 + TAG_OCTETS);
        let open = |key, info: &[u8], aad: &[u8], sealed: &[u8]| {
            open(key, &encapsulated, info, aad, sealed)
        };
        assert_eq!(open(&private, b"info", b"aad", &sealed).as_deref(), Ok(&b"a data key"[..]));
        assert!(open(&other, b"info", b"aad", &sealed).is_err());
        assert!(open(&private, b"else", b"aad", &sealed).is_err());
        assert!(open(&private, b"info", b"else", &sealed).is_err());
        assert!(open(&private, b"info", b"aad", &sealed[..9]).is_err());
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(open(&private, b"info", b"aad", &changed).is_err(), "octet {at}");
        }
        let (again, _) = seal(&public, b"info", b"aad", b"a data key").expect("sealed");
        assert_ne!(again, encapsulated, "each has an ephemeral key of its own");
    }

    #[test]
    fn a_public_key_of_low_order_is_refused() {
        assert!(seal(&[0; 32], b"", b"", b"text").is_err());
    }
}
