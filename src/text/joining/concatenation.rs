//! Which part of which long message a body says it is: by its header, or by SAR parameters.

use super::super::udh::{IE_CONCATENATION_8, IE_CONCATENATION_16, Udh};
use super::PartsFault;

/// How a long message was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Header element 0x00, an 8-bit reference (TS 23.040 9.2.3.24.1).
    Udh8,
    /// Header element 0x08, a 16-bit reference (TS 23.040 9.2.3.24.8).
    Udh16,
    /// The parameters sar_msg_ref_num, sar_total_segments and sar_segment_seqnum (SMPP 3.4 5.3.2.22
    /// to 5.3.2.24).
    Sar,
}

/// What a body says about the long message that it is part of. Always well-formed: `1 <= number <=
/// total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Concatenation {
    /// How it was cut.
    pub scheme: Scheme,
    /// The same in all parts.
    pub reference: u16,
    /// How many parts there are.
    pub total: u8,
    /// Which one this is, from 1.
    pub number: u8,
}

/// The values of the SAR parameters, as they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sar<'a> {
    /// sar_msg_ref_num: two octets.
    pub reference: Option<&'a [u8]>,
    /// sar_total_segments: one octet.
    pub total: Option<&'a [u8]>,
    /// sar_segment_seqnum: one octet.
    pub number: Option<&'a [u8]>,
}

impl Concatenation {
    /// Reads both schemes; `None` when the body is no part of a long message.
    ///
    /// Receivers disagree on what a malformed or doubled element, an incomplete set of parameters,
    /// a part 0 or one above the total means: each is a [`PartsFault`]. Both schemes at once are
    /// accepted only when they say the same.
    pub fn of(header: Option<Udh<'_>>, sar: Sar<'_>) -> Result<Option<Concatenation>, PartsFault> {
        match (Self::in_header(header)?, Self::in_parameters(sar)?) {
            (Some(udh), Some(sar)) => {
                let says = |c: Concatenation| (c.reference, c.total, c.number);
                if says(udh) == says(sar) { Ok(Some(udh)) } else { Err(PartsFault::Disagree) }
            }
            (one, other) => Ok(one.or(other)),
        }
    }

    fn in_header(header: Option<Udh<'_>>) -> Result<Option<Concatenation>, PartsFault> {
        let mut found = None;
        for element in header.into_iter().flat_map(Udh::elements) {
            let read = match (element.identifier, element.data) {
                (IE_CONCATENATION_8, &[reference, total, number]) => {
                    Self::checked(Scheme::Udh8, u16::from(reference), total, number)?
                }
                (IE_CONCATENATION_16, &[high, low, total, number]) => {
                    Self::checked(Scheme::Udh16, u16::from_be_bytes([high, low]), total, number)?
                }
                (IE_CONCATENATION_8 | IE_CONCATENATION_16, _) => return Err(PartsFault::Element),
                _ => continue,
            };
            if found.replace(read).is_some() {
                return Err(PartsFault::Twice);
            }
        }
        Ok(found)
    }

    fn in_parameters(sar: Sar<'_>) -> Result<Option<Concatenation>, PartsFault> {
        match (sar.reference, sar.total, sar.number) {
            (None, None, None) => Ok(None),
            (Some(&[high, low]), Some(&[total]), Some(&[number])) => {
                let reference = u16::from_be_bytes([high, low]);
                Self::checked(Scheme::Sar, reference, total, number).map(Some)
            }
            _ => Err(PartsFault::Parameters),
        }
    }

    fn checked(
        scheme: Scheme,
        reference: u16,
        total: u8,
        number: u8,
    ) -> Result<Concatenation, PartsFault> {
        match (total, number) {
            (0, _) => Err(PartsFault::Total),
            (_, 0) => Err(PartsFault::Number),
            (total, number) if number > total => Err(PartsFault::Number),
            _ => Ok(Concatenation { scheme, reference, total, number }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_read_from_either_scheme_or_refused() {
        let is = |scheme, reference, total, number| {
            Ok(Some(Concatenation { scheme, reference, total, number }))
        };
        type Values<'a> = (&'a [u8], &'a [u8], &'a [u8]);
        let cases: &[(&[u8], Option<Values<'_>>, Result<Option<Concatenation>, PartsFault>)] = &[
            (b"\x00", None, Ok(None)),
            (b"\x05\x00\x03\xaa\x02\x01", None, is(Scheme::Udh8, 0xaa, 2, 1)),
            (b"\x06\x08\x04\xbe\xef\xff\xff", None, is(Scheme::Udh16, 0xbeef, 255, 255)),
            (b"\x08\x24\x01\x01\x00\x03\x07\x02\x02", None, is(Scheme::Udh8, 7, 2, 2)),
            (b"\x05\x00\x03\xaa\x00\x01", None, Err(PartsFault::Total)),
            (b"\x05\x00\x03\xaa\x02\x00", None, Err(PartsFault::Number)),
            (b"\x05\x00\x03\xaa\x02\x03", None, Err(PartsFault::Number)),
            (b"\x04\x00\x02\xaa\x02", None, Err(PartsFault::Element)),
            (b"\x05\x08\x03\xaa\x02\x01", None, Err(PartsFault::Element)),
            (b"\x0a\x00\x03\x01\x02\x01\x00\x03\x01\x02\x01", None, Err(PartsFault::Twice)),
            (b"\x0b\x00\x03\x01\x02\x01\x08\x04\x00\x01\x02\x01", None, Err(PartsFault::Twice)),
            (b"\x00", Some((b"\x01\x02", b"\x03", b"\x01")), is(Scheme::Sar, 0x0102, 3, 1)),
            (b"\x00", Some((b"\x02", b"\x03", b"\x01")), Err(PartsFault::Parameters)),
            (b"\x00", Some((b"\x01\x02", b"", b"\x01")), Err(PartsFault::Parameters)),
            (b"\x00", Some((b"\x01\x02", b"\x03", b"\x04")), Err(PartsFault::Number)),
            (
                b"\x05\x00\x03\xaa\x02\x01",
                Some((b"\x00\xaa", b"\x02", b"\x01")),
                is(Scheme::Udh8, 0xaa, 2, 1),
            ),
            (
                b"\x05\x00\x03\xaa\x02\x01",
                Some((b"\x00\xaa", b"\x02", b"\x02")),
                Err(PartsFault::Disagree),
            ),
            (
                b"\x05\x00\x03\xaa\x02\x01",
                Some((b"\x01\xaa", b"\x02", b"\x01")),
                Err(PartsFault::Disagree),
            ),
        ];
        for (header, values, expected) in cases {
            let sar = values.map_or(Sar::default(), |(reference, total, number)| Sar {
                reference: Some(reference),
                total: Some(total),
                number: Some(number),
            });
            let header = Udh::split(header).map(|(header, _)| header);
            assert_eq!(&Concatenation::of(header, sar), expected, "{header:02x?} {values:02x?}");
        }
        let two = Sar { reference: Some(b"\x00\x01"), total: Some(b"\x02"), number: None };
        assert_eq!(Concatenation::of(None, two), Err(PartsFault::Parameters));
    }
}
