//! A key of 32 octets as a line of hexadecimal digits.

/// The line.
pub fn text(key: &[u8; 32]) -> String {
    key.iter().map(|octet| format!("{octet:02x}")).chain(["\n".to_owned()]).collect()
}

/// The key; none unless the text is 64 digits and white space behind them.
pub fn read(text: &[u8]) -> Option<[u8; 32]> {
    let text = std::str::from_utf8(text).ok()?.trim_end();
    if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut key = [0; 32];
    for (at, octet) in key.iter_mut().enumerate() {
        *octet = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(key)
}
