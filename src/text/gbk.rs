//! GBK and GB18030 text, strictly (GB 18030-2005; MsgFmt 15 of CMPP).

use encoding_rs::DecoderResult;

use super::undecodable::Undecodable;

/// Appends the text of octets that may come in pieces, as the parts of a long message do: a character
/// may begin in one piece and end in the next.
///
/// Four-octet characters of GB18030 are read; the lone octets 0x80 and 0xFF, which the standard leaves
/// undefined, are not. A character that the last piece cuts is forgiven only where the text goes on
/// unseen.
pub fn decode<'a>(
    pieces: impl Iterator<Item = &'a [u8]> + Clone,
    goes_on: bool,
    out: &mut String,
) -> Result<(), Undecodable> {
    if let Some(at) = lone_0x80(pieces.clone().flatten().copied()) {
        return Err(Undecodable::Octet(at, "GBK"));
    }
    let mut decoder = encoding_rs::GB18030.new_decoder_without_bom_handling();
    let mut at = 0;
    for piece in pieces {
        let room = decoder.max_utf8_buffer_length_without_replacement(piece.len());
        out.reserve(room.unwrap_or(piece.len()));
        let (result, read) = decoder.decode_to_string_without_replacement(piece, out, false);
        at += read;
        refused(result, at)?;
    }
    let room = decoder.max_utf8_buffer_length_without_replacement(0);
    out.reserve(room.unwrap_or(0));
    match decoder.decode_to_string_without_replacement(b"", out, true) {
        _ if goes_on => Ok(()),
        (result, _) => refused(result, at),
    }
}

/// The fault that a decoder found after it had read `read` octets, by where its character begins.
fn refused(result: DecoderResult, read: usize) -> Result<(), Undecodable> {
    let back = match result {
        DecoderResult::InputEmpty => return Ok(()),
        DecoderResult::Malformed(octets, behind) => usize::from(octets) + usize::from(behind),
        DecoderResult::OutputFull => 0,
    };
    Err(Undecodable::Octet(read.saturating_sub(back), "GBK"))
}

/// The place of a 0x80 where a character begins. The decoder takes it for a euro sign, as one vendor's
/// code page does; other readers show something else or nothing.
fn lone_0x80(octets: impl Iterator<Item = u8>) -> Option<usize> {
    let (mut behind_lead, mut skip) = (false, 0);
    for (at, octet) in octets.enumerate() {
        if skip > 0 {
            skip -= 1;
        } else if behind_lead {
            behind_lead = false;
            skip = if octet.is_ascii_digit() { 2 } else { 0 };
        } else if octet == 0x80 {
            return Some(at);
        } else {
            behind_lead = octet > 0x80;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_strictly_and_across_pieces() {
        let bad = |at| Err(Undecodable::Octet(at, "GBK"));
        let cases: &[(&[&[u8]], bool, Result<&str, Undecodable>)] = &[
            (&[b""], false, Ok("")),
            (&[b"\xc4\xe3\xba\xc3 ok"], false, Ok("你好 ok")),
            (&[b"\xc4", b"\xe3\xba\xc3"], false, Ok("你好")),
            (&[b"\x81\x30", b"\x81", b"\x30!"], false, Ok("\u{80}!")),
            (&[b"\x95\x32\x82\x36"], false, Ok("\u{20000}")),
            (&[b"\xa2\xe3"], false, Ok("€")),
            (&[b"\x81\x80"], false, Ok("\u{4e90}")),
            (&[b"\x80"], false, bad(0)),
            (&[b"\xc4\xe3\x80"], false, bad(2)),
            (&[b"\xff"], false, bad(0)),
            (&[b"\xc4\xe3\xba"], false, bad(2)),
            (&[b"\xc4\xe3\xba"], true, Ok("你")),
            (&[b"ok\xc4\x20"], false, bad(2)),
            (&[b"\xc4\xff"], true, bad(0)),
        ];
        for (pieces, goes_on, expected) in cases {
            let mut out = String::new();
            let read = decode(pieces.iter().copied(), *goes_on, &mut out).map(|()| out.as_str());
            assert_eq!(&read, expected, "{pieces:02x?}");
        }
    }
}
