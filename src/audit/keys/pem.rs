//! DER in PEM (RFC 7468), as openssl writes and reads it.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// Characters of a line (RFC 7468 section 2).
const LINE: usize = 64;

/// DER as one PEM block with this label.
pub fn encode(label: &str, der: &[u8]) -> String {
    let base64 = base64(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in base64.as_bytes().chunks(LINE) {
        text.extend(line.iter().map(|octet| char::from(*octet)));
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

/// The DER of the first PEM block with this label; text around it is passed over.
pub fn decode(label: &str, text: &str) -> Option<Vec<u8>> {
    let (_, rest) = text.split_once(&format!("-----BEGIN {label}-----"))?;
    let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
    unbase64(body)
}

/// Base64 with padding (RFC 4648 section 4).
fn base64(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len().div_ceil(3) * 4);
    for three in octets.chunks(3) {
        let at = |n: usize| u32::from(three.get(n).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for n in 0..4 {
            let six = (bits >> (18 - 6 * n) & 63) as usize;
            text.push(if n <= three.len() { char::from(ALPHABET[six]) } else { '=' });
        }
    }
    text
}

/// The octets of base64 with padding; white space is passed over.
fn unbase64(text: &str) -> Option<Vec<u8>> {
    let signs: Vec<u8> = text.bytes().filter(|octet| !octet.is_ascii_whitespace()).collect();
    let mut octets = Vec::with_capacity(signs.len() / 4 * 3);
    let groups = signs.chunks(4);
    let last = groups.len().checked_sub(1)?;
    for (at, group) in groups.enumerate() {
        let padding = group.iter().rev().take_while(|sign| **sign == b'=').count();
        if group.len() != 4 || padding > 2 || (padding > 0 && at != last) {
            return None;
        }
        let mut bits = 0u32;
        for sign in &group[..4 - padding] {
            bits = bits << 6 | ALPHABET.iter().position(|known| known == sign)? as u32;
        }
        bits <<= 6 * padding;
        // What padding leaves over must be nothing: one text for one value.
        if bits & ((1 << (8 * padding)) - 1) != 0 {
            return None;
        }
        octets.extend_from_slice(&bits.to_be_bytes()[1..4 - padding]);
    }
    Some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_rfc_4648() {
        let rows = ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"];
        for (length, text) in rows.iter().enumerate() {
            let octets = &b"foobar"[..length];
            assert_eq!(base64(octets), **text);
            if length > 0 {
                assert_eq!(unbase64(text).as_deref(), Some(octets));
            }
        }
        for bad in ["Zg=", "Zg", "Z===", "====", "Zh==", "Zm9=", "Zg==Zg==", "Zg!=", "Z=g="] {
            assert_eq!(unbase64(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_block_is_found_among_other_text() {
        let der: Vec<u8> = (0..=255).collect();
        let text = format!("of the key\n{}and more", encode("PUBLIC KEY", &der));
        assert_eq!(decode("PUBLIC KEY", &text), Some(der));
        assert_eq!(decode("PRIVATE KEY", &text), None);
        assert!(text.lines().all(|line| line.len() <= LINE));
        assert_eq!(decode("PUBLIC KEY", "-----BEGIN PUBLIC KEY-----\nAAAA"), None);
    }
}
