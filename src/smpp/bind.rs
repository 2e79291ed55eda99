//! bind_transmitter, bind_receiver, bind_transceiver, their responses, and outbind (SMPP 3.4 4.1).

use std::fmt;

use super::cursor::{Cursor, Malformed};
use super::header::body;
use super::tlv::Tlvs;

/// Longest system_id with its NUL, octets (SMPP 3.4 5.2.1).
pub const SYSTEM_ID_OCTETS_MAX: usize = 16;
/// Longest password with its NUL, octets (SMPP 3.4 5.2.2).
pub const PASSWORD_OCTETS_MAX: usize = 9;
/// Longest system_type with its NUL, octets (SMPP 3.4 5.2.3).
pub const SYSTEM_TYPE_OCTETS_MAX: usize = 13;
/// Longest address_range with its NUL, octets (SMPP 3.4 5.2.7).
pub const ADDRESS_RANGE_OCTETS_MAX: usize = 41;

/// The body of a bind request. Its password is reachable, and never printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Bind<'a> {
    /// Who binds.
    pub system_id: &'a [u8],
    /// The secret. Goes on to the SMSC as it came; never logged, recorded or compared here.
    pub password: &'a [u8],
    /// The kind of ESME.
    pub system_type: &'a [u8],
    /// 0x33, 0x34, 0x50 for SMPP 3.3, 3.4, 5.0.
    pub interface_version: u8,
    /// TON of address_range.
    pub addr_ton: u8,
    /// NPI of address_range.
    pub addr_npi: u8,
    /// The addresses that the ESME serves.
    pub address_range: &'a [u8],
    /// None by the specification. ESMEs send some all the same.
    pub tlvs: Tlvs<'a>,
}

impl<'a> Bind<'a> {
    /// Reads a bind_transmitter, bind_receiver or bind_transceiver frame.
    pub fn parse(frame: &'a [u8]) -> Result<Bind<'a>, Malformed> {
        let mut cursor = Cursor::new(body(frame));
        Ok(Bind {
            system_id: cursor.c_octets("system_id", SYSTEM_ID_OCTETS_MAX)?,
            password: cursor.c_octets("password", PASSWORD_OCTETS_MAX)?,
            system_type: cursor.c_octets("system_type", SYSTEM_TYPE_OCTETS_MAX)?,
            interface_version: cursor.u8("interface_version")?,
            addr_ton: cursor.u8("addr_ton")?,
            addr_npi: cursor.u8("addr_npi")?,
            address_range: cursor.c_octets("address_range", ADDRESS_RANGE_OCTETS_MAX)?,
            tlvs: Tlvs::parse(cursor.rest())?,
        })
    }
}

impl fmt::Debug for Bind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bind")
            .field("system_id", &String::from_utf8_lossy(self.system_id))
            .field("interface_version", &format_args!("{:#04x}", self.interface_version))
            .finish_non_exhaustive()
    }
}

/// The body of a bind response: the SMSC's system_id and optional parameters. Some SMSCs leave the
/// body out when they refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BindResp<'a> {
    /// Who answers; empty when the body is left out.
    pub system_id: &'a [u8],
    /// Usually sc_interface_version.
    pub tlvs: Tlvs<'a>,
}

impl<'a> BindResp<'a> {
    /// Reads a bind response frame.
    pub fn parse(frame: &'a [u8]) -> Result<BindResp<'a>, Malformed> {
        let mut cursor = Cursor::new(body(frame));
        if cursor.is_empty() {
            return Ok(BindResp { system_id: b"", tlvs: Tlvs::NONE });
        }
        let system_id = cursor.c_octets("system_id", SYSTEM_ID_OCTETS_MAX)?;
        Ok(BindResp { system_id, tlvs: Tlvs::parse(cursor.rest())? })
    }
}

/// The body of an outbind, by which an SMSC asks an ESME to bind (SMPP 3.4 4.1.7).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Outbind<'a> {
    /// The SMSC.
    pub system_id: &'a [u8],
    /// The secret. Never printed.
    pub password: &'a [u8],
}

impl<'a> Outbind<'a> {
    /// Reads an outbind frame.
    pub fn parse(frame: &'a [u8]) -> Result<Outbind<'a>, Malformed> {
        let mut cursor = Cursor::new(body(frame));
        Ok(Outbind {
            system_id: cursor.c_octets("system_id", SYSTEM_ID_OCTETS_MAX)?,
            password: cursor.c_octets("password", PASSWORD_OCTETS_MAX)?,
        })
    }
}
