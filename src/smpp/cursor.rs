//! The one checked reader of fields.
//!
//! Every string takes the maximum that the specification gives it, and every fault names the field
//! as the specification spells it, so that a refusal can be explained.

use super::status::CommandStatus;
use super::strict::ParameterFault;

/// Why a PDU's body cannot be read as its command asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {fault}")]
pub struct Malformed {
    /// The field, as SMPP 3.4 spells it.
    pub field: &'static str,
    /// What is wrong with it.
    pub fault: FieldFault,
}

/// What can be wrong with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FieldFault {
    /// The PDU ends before the field does.
    #[error("the PDU ends before it does")]
    Cut,
    /// No NUL octet within the field's maximum length.
    #[error("no terminating NUL within {0} octets")]
    Unterminated(usize),
    /// A length that the specification does not allow.
    #[error("{0} octets are not allowed")]
    Length(usize),
    /// Octets are left over behind the last field.
    #[error("{0} octets are left over behind the last field")]
    Trailing(usize),
    /// A value outside those that the specification defines.
    #[error("{0} is not a value it may take")]
    Value(u8),
    /// An optional parameter that may not be as it is.
    #[error("{0}")]
    Parameter(ParameterFault),
}

impl Malformed {
    /// The status that says most exactly what was wrong, of those that ESMEs do not retry.
    pub fn status(self) -> CommandStatus {
        match (self.field, self.fault) {
            ("source_addr", _) => CommandStatus::ESME_RINVSRCADR,
            ("destination_addr" | "dest_address", FieldFault::Unterminated(_)) => {
                CommandStatus::ESME_RINVDSTADR
            }
            ("service_type", FieldFault::Unterminated(_)) => CommandStatus::ESME_RINVSERTYP,
            ("system_id", FieldFault::Unterminated(_)) => CommandStatus::ESME_RINVSYSID,
            ("password", FieldFault::Unterminated(_)) => CommandStatus::ESME_RINVPASWD,
            ("system_type", FieldFault::Unterminated(_)) => CommandStatus::ESME_RINVSYSTYP,
            ("schedule_delivery_time", FieldFault::Unterminated(_)) => {
                CommandStatus::ESME_RINVSCHED
            }
            ("validity_period", FieldFault::Unterminated(_)) => CommandStatus::ESME_RINVEXPIRY,
            ("message_id", FieldFault::Unterminated(_)) => CommandStatus::ESME_RINVMSGID,
            ("short_message", _) => CommandStatus::ESME_RINVMSGLEN,
            ("number_of_dests", FieldFault::Value(_)) => CommandStatus::ESME_RINVNUMDESTS,
            ("dl_name", FieldFault::Unterminated(_)) => CommandStatus::ESME_RINVDLNAME,
            ("dest_flag", _) => CommandStatus::ESME_RINVDESTFLAG,
            (_, FieldFault::Parameter(fault)) => fault.status(),
            ("tlv", FieldFault::Cut) => CommandStatus::ESME_RINVPARLEN,
            _ => CommandStatus::ESME_RINVCMDLEN,
        }
    }
}

/// Reads fields from the front of a PDU body.
#[derive(Debug, Clone, Copy)]
pub struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// Starts at the first octet of `body`.
    pub fn new(body: &'a [u8]) -> Cursor<'a> {
        Cursor { rest: body }
    }

    /// One octet.
    #[inline]
    pub fn u8(&mut self, field: &'static str) -> Result<u8, Malformed> {
        let (&first, rest) =
            self.rest.split_first().ok_or(Malformed { field, fault: FieldFault::Cut })?;
        self.rest = rest;
        Ok(first)
    }

    /// Four octets, the highest first.
    pub fn u32(&mut self, field: &'static str) -> Result<u32, Malformed> {
        let (&first, rest) =
            self.rest.split_first_chunk().ok_or(Malformed { field, fault: FieldFault::Cut })?;
        self.rest = rest;
        Ok(u32::from_be_bytes(first))
    }

    /// A C-octet string of at most `max` octets with its NUL; the NUL is not part of the answer.
    #[inline]
    pub fn c_octets(&mut self, field: &'static str, max: usize) -> Result<&'a [u8], Malformed> {
        let within = self.rest.get(..max).unwrap_or(self.rest);
        match within.iter().position(|&octet| octet == 0) {
            Some(end) => {
                let (text, rest) = self.rest.split_at(end);
                self.rest = rest.get(1..).unwrap_or(&[]);
                Ok(text)
            }
            None if within.len() == max => {
                Err(Malformed { field, fault: FieldFault::Unterminated(max) })
            }
            None => Err(Malformed { field, fault: FieldFault::Cut }),
        }
    }

    /// Exactly `count` octets.
    #[inline]
    pub fn octets(&mut self, field: &'static str, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) =
            self.rest.split_at_checked(count).ok_or(Malformed { field, fault: FieldFault::Cut })?;
        self.rest = rest;
        Ok(taken)
    }

    /// Everything that is left.
    pub fn rest(self) -> &'a [u8] {
        self.rest
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_ends_within_its_maximum_or_is_malformed() {
        let cases: &[(&[u8], usize, Result<&[u8], FieldFault>)] = &[
            (b"\0", 1, Ok(b"")),
            (b"abc\0rest", 4, Ok(b"abc")),
            (b"abc\0rest", 3, Err(FieldFault::Unterminated(3))),
            (b"abc", 4, Err(FieldFault::Cut)),
            (b"abc", 3, Err(FieldFault::Unterminated(3))),
            (b"", 4, Err(FieldFault::Cut)),
        ];
        for (octets, max, expected) in cases {
            let read = Cursor::new(octets).c_octets("f", *max).map_err(|m| m.fault);
            assert_eq!(&read, expected, "{octets:02x?} within {max}");
        }
    }
}
