//! What a message carries beside a plain text to a person: instructions to the SMSC, to the handset, to
//! the SIM, or to a program, by which what is shown is not what was judged.
//!
//! These are facts. Which of them a provider may use, the rules say.

use super::message::{ESM_CLASS_REPLY_PATH, ESM_CLASS_UDHI, Message};
use super::tlv::{Tag, Tlv};

macro_rules! oddities {
    ($($(#[$doc:meta])* $name:ident $spelled:literal)*) => {
        /// One thing that a plain text does not carry.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Oddity { $($(#[$doc])* $name,)* }

        impl Oddity {
            /// All of them.
            pub const ALL: &'static [Oddity] = &[$(Oddity::$name),*];

            /// Its stable name.
            pub const fn name(self) -> &'static str {
                match self { $(Oddity::$name => $spelled,)* }
            }
        }
    };
}

oddities! {
    /// sm_default_msg_id: the SMSC sends a text of its own, unseen (SMPP 3.4 5.2.20).
    StoredText "stored_text"
    /// replace_if_present_flag: takes the place of a message not yet delivered (SMPP 3.4 5.2.18).
    ReplacesWaiting "replaces_waiting"
    /// protocol_id 0x41 to 0x47: takes the place of a message in the handset (TS 23.040 9.2.3.9).
    ReplacesShown "replaces_shown"
    /// protocol_id 0x40: the handset shows and keeps nothing.
    Silent "silent"
    /// protocol_id 0x7C to 0x7F: to the SIM or the handset itself.
    SimDownload "sim_download"
    /// Any other protocol_id but 0: telex, fax, e-mail, reserved values.
    Telematic "telematic"
    /// A service_type other than none or `CMT`: USSD, WAP, voice mail (SMPP 3.4 5.2.11).
    Service "service"
    /// ussd_service_op.
    Ussd "ussd"
    /// dest_addr_subunit or dest_bearer_type other than unknown, the display or SMS, or any
    /// dest_telematics_id or dest_subaddress: not to the screen.
    Subunit "subunit"
    /// source_port or destination_port: to a program.
    Port "port"
    /// payload_type other than 0: WCMP.
    Payload "payload"
    /// An esm_class mode other than default and store-and-forward: datagram, transaction.
    Mode "mode"
    /// An esm_class type: an acknowledgement or receipt, which an ESME has none to send of.
    Type "type"
    /// privacy_indicator, ms_msg_wait_facilities, display_time, sms_signal or
    /// alert_on_message_delivery: how the handset shows or announces it.
    Display "display"
}

/// Some oddities, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Oddities(u16);

impl Oddities {
    /// Whether a message has one.
    pub fn contains(self, oddity: Oddity) -> bool {
        self.0 & (1 << oddity as u16) != 0
    }

    /// Whether it is a plain text.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those that it has.
    pub fn iter(self) -> impl Iterator<Item = Oddity> {
        Oddity::ALL.iter().copied().filter(move |oddity| self.contains(*oddity))
    }

    fn set(&mut self, oddity: Oddity, is_there: bool) {
        self.0 |= u16::from(is_there) << oddity as u16;
    }

    /// Looks at a message's fields and parameters.
    pub fn of(message: &Message<'_>) -> Oddities {
        let mut found = Oddities::of_fields(message);
        message.tlvs.iter().for_each(|tlv| found.note(tlv));
        found
    }

    /// Looks at a message's fields alone.
    #[inline]
    pub fn of_fields(message: &Message<'_>) -> Oddities {
        let mut found = Oddities::default();
        found.set(Oddity::StoredText, message.sm_default_msg_id != 0);
        found.set(Oddity::ReplacesWaiting, message.replace_if_present_flag != 0);
        found.set(Oddity::Service, !matches!(message.service_type, b"" | b"CMT"));
        match message.protocol_id {
            0 => {}
            0x40 => found.set(Oddity::Silent, true),
            0x41..=0x47 => found.set(Oddity::ReplacesShown, true),
            0x7c..=0x7f => found.set(Oddity::SimDownload, true),
            _ => found.set(Oddity::Telematic, true),
        }
        // Bits 1 and 0 are the mode, 5 to 2 the type (SMPP 3.4 5.2.12).
        let features = ESM_CLASS_UDHI | ESM_CLASS_REPLY_PATH;
        found.set(Oddity::Mode, matches!(message.esm_class & 0b11, 0b01 | 0b10));
        found.set(Oddity::Type, message.esm_class & !features & !0b11 != 0);
        found
    }

    /// Looks at one parameter, for whoever walks them anyway.
    pub fn note(&mut self, tlv: Tlv<'_>) {
        match (tlv.tag, tlv.value) {
            (Tag::USSD_SERVICE_OP, _) => self.set(Oddity::Ussd, true),
            // 0 is unknown, 1 the display or SMS itself (SMPP 3.4 5.3.2.1, 5.3.2.5).
            (Tag::DEST_ADDR_SUBUNIT | Tag::DEST_BEARER_TYPE, [0 | 1]) => {}
            (
                Tag::DEST_ADDR_SUBUNIT
                | Tag::DEST_BEARER_TYPE
                | Tag::DEST_TELEMATICS_ID
                | Tag::DEST_SUBADDRESS,
                _,
            ) => self.set(Oddity::Subunit, true),
            (Tag::SOURCE_PORT | Tag::DESTINATION_PORT, _) => self.set(Oddity::Port, true),
            // Not restricted; as usual (SMPP 3.4 5.3.2.14, 5.3.2.26).
            (Tag::PRIVACY_INDICATOR, [0]) | (Tag::DISPLAY_TIME, [1]) => {}
            (Tag::PAYLOAD_TYPE, value) => self.set(Oddity::Payload, value != [0]),
            (
                Tag::PRIVACY_INDICATOR
                | Tag::MS_MSG_WAIT_FACILITIES
                | Tag::DISPLAY_TIME
                | Tag::SMS_SIGNAL
                | Tag::ALERT_ON_MESSAGE_DELIVERY,
                _,
            ) => self.set(Oddity::Display, true),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::command::Command;
    use super::super::message::WireAddress;
    use super::super::write::{self, MessageFields};
    use super::*;

    fn found(change: impl Fn(&mut Message<'_>), parameters: &[(Tag, &[u8])]) -> Vec<&'static str> {
        let address = WireAddress { ton: 0, npi: 1, value: b"1" };
        let fields = MessageFields {
            source: address,
            destination: address,
            esm_class: 0,
            registered_delivery: 1,
            data_coding: 8,
            short_message: b"\x4f\x60",
        };
        let mut out = Vec::new();
        write::message(&mut out, Command::SubmitSm, 1, fields, |out| {
            parameters.iter().for_each(|(tag, value)| write::tlv(out, *tag, value));
        });
        let mut message = Message::parse(&out).expect("well-formed");
        change(&mut message);
        Oddities::of(&message).iter().map(Oddity::name).collect()
    }

    #[test]
    fn fields_that_are_no_plain_text_are_named() {
        type Change = fn(&mut Message<'_>);
        let cases: &[(Change, &[&str])] = &[
            (|_| {}, &[]),
            (|m| m.sm_default_msg_id = 1, &["stored_text"]),
            (|m| m.replace_if_present_flag = 1, &["replaces_waiting"]),
            (|m| m.service_type = b"CMT", &[]),
            (|m| m.service_type = b"USSD", &["service"]),
            (|m| m.service_type = b"cmt", &["service"]),
            (|m| m.protocol_id = 0x40, &["silent"]),
            (|m| m.protocol_id = 0x41, &["replaces_shown"]),
            (|m| m.protocol_id = 0x47, &["replaces_shown"]),
            (|m| m.protocol_id = 0x48, &["telematic"]),
            (|m| m.protocol_id = 0x32, &["telematic"]),
            (|m| m.protocol_id = 0x7b, &["telematic"]),
            (|m| m.protocol_id = 0x7c, &["sim_download"]),
            (|m| m.protocol_id = 0x7f, &["sim_download"]),
            (|m| m.protocol_id = 0xff, &["telematic"]),
            (|m| m.esm_class = 0x03, &[]),
            (|m| m.esm_class = 0x01, &["mode"]),
            (|m| m.esm_class = 0x02, &["mode"]),
            (|m| m.esm_class = 0xc3, &[]),
            (|m| m.esm_class = 0x04, &["type"]),
            (|m| m.esm_class = 0x60, &["type"]),
            (|m| (m.esm_class, m.protocol_id) = (0x09, 0x7d), &["sim_download", "mode", "type"]),
        ];
        for (change, expected) in cases {
            assert_eq!(found(change, &[]), *expected);
        }
    }

    #[test]
    fn parameters_that_are_no_plain_text_are_named() {
        let cases: &[(&[(Tag, &[u8])], &[&str])] = &[
            (&[(Tag::USER_MESSAGE_REFERENCE, b"\0\x01"), (Tag(0x1401), b"x")], &[]),
            (&[(Tag::USSD_SERVICE_OP, b"\x02")], &["ussd"]),
            (&[(Tag::DEST_ADDR_SUBUNIT, b"\x03")], &["subunit"]),
            (&[(Tag::DEST_ADDR_SUBUNIT, b"\x01"), (Tag::DEST_BEARER_TYPE, b"\x01")], &[]),
            (&[(Tag::DEST_BEARER_TYPE, b"")], &["subunit"]),
            (&[(Tag::DEST_BEARER_TYPE, b"\x05")], &["subunit"]),
            (&[(Tag::DEST_TELEMATICS_ID, b"\0\x01")], &["subunit"]),
            (&[(Tag::DESTINATION_PORT, b"\x0b\x84")], &["port"]),
            (&[(Tag::SOURCE_PORT, b"\x0b\x84")], &["port"]),
            (&[(Tag::PAYLOAD_TYPE, b"\0")], &[]),
            (&[(Tag::PAYLOAD_TYPE, b"\x01")], &["payload"]),
            (&[(Tag::PAYLOAD_TYPE, b"\x01"), (Tag::PAYLOAD_TYPE, b"\0")], &["payload"]),
            (&[(Tag::PAYLOAD_TYPE, b"")], &["payload"]),
            (&[(Tag::DISPLAY_TIME, b"\x01"), (Tag::PRIVACY_INDICATOR, b"\0")], &[]),
            (&[(Tag::PRIVACY_INDICATOR, b"\x03")], &["display"]),
            (&[(Tag::DISPLAY_TIME, b"\0"), (Tag::SMS_SIGNAL, b"\0\0")], &["display"]),
            (&[(Tag::MORE_MESSAGES_TO_SEND, b"\x01")], &[]),
        ];
        for (parameters, expected) in cases {
            assert_eq!(found(|_| {}, parameters), *expected, "{parameters:02x?}");
        }
        assert!(Oddity::ALL.len() <= 16, "they fit their bits");
    }
}
