//! When a certificate ends: octets in, a time out; nothing is trusted here.

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The explicit tag of the version, which version 1 does not write.
const VERSION: u8 = 0xa0;

/// When a certificate ends (notAfter, RFC 5280 4.1.2.5), seconds since the Unix epoch; `None` for what is
/// no certificate.
pub fn not_after_s(der: &[u8]) -> Option<i64> {
    let (certificate, _) = element(der, SEQUENCE)?;
    let (mut rest, _) = element(certificate, SEQUENCE)?;
    if rest.first() == Some(&VERSION) {
        rest = element(rest, VERSION)?.1;
    }
    rest = element(rest, INTEGER)?.1;
    // Signature algorithm, issuer.
    for _ in 0..2 {
        rest = element(rest, SEQUENCE)?.1;
    }
    let (validity, _) = element(rest, SEQUENCE)?;
    let (_, behind) = time(validity)?;
    time(behind).map(|(seconds, _)| seconds)
}

/// An element of DER with that tag: its content, and what stands behind it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = der.split_first()?;
    let (&length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        0x81..=0x84 => {
            let (octets, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            (octets.iter().fold(0, |sum, octet| sum << 8 | usize::from(*octet)), rest)
        }
        _ => return None,
    };
    if *first != tag {
        return None;
    }
    rest.split_at_checked(length)
}

/// UTCTime counts its years from 1950 to 2049, GeneralizedTime writes all four digits.
fn time(der: &[u8]) -> Option<(i64, &[u8])> {
    let (text, rest, year_digits) = match *der.first()? {
        UTC_TIME => element(der, UTC_TIME).map(|(text, rest)| (text, rest, 2))?,
        GENERALIZED_TIME => element(der, GENERALIZED_TIME).map(|(text, rest)| (text, rest, 4))?,
        _ => return None,
    };
    let (year, rest_of_text) = text.split_at_checked(year_digits)?;
    let number = |digits: &[u8]| -> Option<i16> {
        digits
            .iter()
            .all(u8::is_ascii_digit)
            .then(|| std::str::from_utf8(digits).ok())??
            .parse()
            .ok()
    };
    let year = match number(year)? {
        year if year_digits == 4 => year,
        year if year < 50 => 2000 + year,
        year => 1900 + year,
    };
    if rest_of_text.len() != 11 || rest_of_text.last() != Some(&b'Z') {
        return None;
    }
    let mut parts = [0_i8; 5];
    for (part, digits) in parts.iter_mut().zip(rest_of_text.chunks(2)) {
        *part = i8::try_from(number(digits)?).ok()?;
    }
    let [month, day, hour, minute, second] = parts;
    let civil = jiff::civil::DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
    // 99991231235959Z says that there is no end (RFC 5280 4.1.2.5); it is past what the library counts to.
    let end = jiff::tz::Offset::UTC.to_timestamp(civil).unwrap_or(jiff::Timestamp::MAX);
    Some((end.as_second(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A certificate's first fields around a validity, as DER.
    fn certificate(not_after: &[u8], versioned: bool) -> Vec<u8> {
        let wrapped = |tag: u8, content: &[u8]| [&[tag, content.len() as u8], content].concat();
        let not_before = wrapped(UTC_TIME, b"260101000000Z");
        let validity = wrapped(SEQUENCE, &[not_before.as_slice(), not_after].concat());
        let version = if versioned { wrapped(VERSION, &[2, 1, 2]) } else { Vec::new() };
        let empty = wrapped(SEQUENCE, b"");
        let fields = [version, wrapped(INTEGER, &[7]), empty.clone(), empty, validity].concat();
        wrapped(SEQUENCE, &wrapped(SEQUENCE, &fields))
    }

    #[test]
    fn a_certificate_ends_when_it_says() {
        let utc = |text: &[u8]| [&[UTC_TIME, text.len() as u8], text].concat();
        let general = |text: &[u8]| [&[GENERALIZED_TIME, text.len() as u8], text].concat();
        for (time, expected) in [
            (utc(b"491231235959Z"), Some(2_524_607_999)),
            (utc(b"500101000000Z"), Some(-631_152_000)),
            (utc(b"700101000001Z"), Some(1)),
            (general(b"20500101000000Z"), Some(2_524_608_000)),
            (general(b"99991231235959Z"), Some(jiff::Timestamp::MAX.as_second())),
            (utc(b"260230000000Z"), None),
            (utc(b"26010100000Z"), None),
            (utc(b"2601010000000"), None),
            (utc(b"26+1010000000Z"), None),
            (general(b"2026010100000Z"), None),
            (vec![4, 1, 0], None),
            (Vec::new(), None),
        ] {
            for versioned in [true, false] {
                let read = not_after_s(&certificate(&time, versioned));
                assert_eq!(read, expected, "{:?}", String::from_utf8_lossy(&time));
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn no_octets_panic(at in 0_usize..60, octet: u8, cut in 0_usize..60, any: Vec<u8>) {
            not_after_s(&any);
            let mut der = certificate(b"\x17\x0d491231235959Z", true);
            if let Some(one) = der.get_mut(at) {
                *one = octet;
            }
            not_after_s(&der);
            not_after_s(&der[..cut.min(der.len())]);
        }
    }
}
