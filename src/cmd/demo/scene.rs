//! The messages of the demo, and what is to become of each.

use crate::policy::Rule;
use crate::smpp::message::WireAddress;
use crate::smpp::tlv::Tag;
use crate::smpp::write::{self, MessageFields};
use crate::smpp::{Command, CommandStatus};

/// The recipient who consented.
pub(super) const CONSENTING: &[u8] = b"8613800138000";

/// The code that advertises.
pub(super) const ADVERTISING: &[u8] = b"106900009999";

/// One message of the demo, and what is to become of it.
pub(super) struct Scene {
    pub(super) what: &'static str,
    source: &'static [u8],
    source_ton: u8,
    destination: &'static [u8],
    text: &'static str,
    callback_num: Option<&'static [u8]>,
    pub(super) refused_by: Option<(Rule, CommandStatus)>,
}

const PLAIN: Scene = Scene {
    what: "",
    source: b"106900001234",
    source_ton: 0,
    destination: CONSENTING,
    text: "【示例商城】验证码 123456，五分钟内有效。",
    callback_num: None,
    refused_by: None,
};

/// Senders that are true, missing and forged.
pub(super) fn senders() -> Vec<Scene> {
    let refused = |rule, status| Some((rule, status));
    let invalid_source = CommandStatus::ESME_RINVSRCADR;
    vec![
        Scene { what: "a code of its own", ..PLAIN },
        Scene { what: "an extension of that code", source: b"10690000123401", ..PLAIN },
        Scene {
            what: "the same recipient written another way",
            destination: b"13800138000",
            ..PLAIN
        },
        Scene {
            what: "no sender at all",
            source: b"",
            refused_by: refused(Rule::SourceMissing, invalid_source),
            ..PLAIN
        },
        Scene {
            what: "somebody else's code",
            source: b"106900005678",
            refused_by: refused(Rule::SourceForged, invalid_source),
            ..PLAIN
        },
        Scene {
            what: "a code that nobody was allotted",
            source: b"106911112222",
            refused_by: refused(Rule::SourceForged, invalid_source),
            ..PLAIN
        },
        Scene {
            what: "a person's number as the sender",
            source: b"13900139000",
            refused_by: refused(Rule::SourceMalformed, invalid_source),
            ..PLAIN
        },
        Scene {
            what: "a number type that contradicts the digits",
            source_ton: 1,
            refused_by: refused(Rule::SourceMalformed, CommandStatus::ESME_RINVSRCTON),
            ..PLAIN
        },
        Scene {
            what: "more digits than were allotted",
            source: b"10690000123412345",
            refused_by: refused(Rule::CodeLength, invalid_source),
            ..PLAIN
        },
        Scene {
            what: "a second sender smuggled in as callback_num",
            callback_num: Some(b"\x01\x00\x0010086"),
            refused_by: refused(Rule::SourceSecond, CommandStatus::ESME_ROPTPARNOTALLWD),
            ..PLAIN
        },
        Scene {
            what: "no recipient that exists",
            destination: b"12321",
            refused_by: refused(Rule::DestinationMalformed, CommandStatus::ESME_RINVDSTADR),
            ..PLAIN
        },
    ]
}

const ADVERTISEMENT: Scene = Scene {
    source: ADVERTISING,
    text: "【示例商城】周末全场五折，满300减50，点击 shop.example.cn 选购。回T退订",
    ..PLAIN
};

/// Advertising with and without consent, and what it has to say.
pub(super) fn advertising() -> Vec<Scene> {
    let refused = |rule| Some((rule, CommandStatus::ESME_RSUBMITFAIL));
    vec![
        Scene { what: "advertising to who consented", ..ADVERTISEMENT },
        Scene {
            what: "the same to a stranger",
            destination: b"8613900139001",
            refused_by: refused(Rule::ConsentMissing),
            ..ADVERTISEMENT
        },
        Scene {
            what: "no word of how to refuse",
            text: "【示例商城】周末全场五折，满300减50，点击 shop.example.cn 选购。",
            refused_by: refused(Rule::NoticeMissing),
            ..ADVERTISEMENT
        },
        Scene {
            what: "advertising over the service code",
            source: PLAIN.source,
            refused_by: refused(Rule::CodePurpose),
            ..ADVERTISEMENT
        },
    ]
}

/// After the recipient has said stop.
pub(super) fn refused() -> Vec<Scene> {
    vec![
        Scene {
            what: "the next advertisement",
            refused_by: Some((Rule::ConsentRevoked, CommandStatus::ESME_RSUBMITFAIL)),
            ..ADVERTISEMENT
        },
        Scene { what: "a verification code still arrives", ..PLAIN },
    ]
}

/// The scene as a submit_sm.
pub(super) fn submit_sm(sequence_number: u32, scene: &Scene) -> Vec<u8> {
    let text: Vec<u8> = scene.text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let fields = MessageFields {
        source: WireAddress { ton: scene.source_ton, npi: 1, value: scene.source },
        destination: WireAddress { ton: 0, npi: 1, value: scene.destination },
        esm_class: 0,
        registered_delivery: 0,
        data_coding: 8,
        short_message: &text,
    };
    let mut pdu = Vec::new();
    write::message(&mut pdu, Command::SubmitSm, sequence_number, fields, |out| {
        if let Some(number) = scene.callback_num {
            write::tlv(out, Tag::CALLBACK_NUM, number);
        }
    });
    pdu
}
