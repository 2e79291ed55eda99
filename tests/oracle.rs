//! A second opinion: smpp-pdu, a strict reader that nobody here wrote. It knows twelve PDUs and refuses
//! legal ones, so it only ever speaks one way: what it accepts, we must read too.

use consentry::smpp::message::{Message, WireAddress};
use consentry::smpp::tlv::Tag;
use consentry::smpp::write::{self, BindFields, MessageFields};
use consentry::smpp::{Command, CommandStatus};
use proptest::prelude::*;
use smpp_pdu::pdu::Pdu;

fn submit(short_message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let address = |value| WireAddress { ton: 1, npi: 1, value };
    let fields = MessageFields {
        source: address(b"106900001234"),
        destination: address(b"8613800138000"),
        esm_class: 0,
        registered_delivery: 1,
        data_coding: 8,
        short_message,
    };
    write::message(&mut out, Command::SubmitSm, 7, fields, |out| {
        write::tlv(out, Tag(0x1401), b"template");
    });
    out
}

#[test]
fn what_we_write_is_strictly_legal() {
    let mut bind = Vec::new();
    let fields = BindFields {
        system_id: b"shop1",
        password: b"secret",
        system_type: b"",
        interface_version: 0x34,
    };
    write::bind(&mut bind, Command::BindTransceiver, 1, fields);
    let mut enquire = Vec::new();
    let ok = CommandStatus::ESME_ROK;
    write::header_only(&mut enquire, Command::EnquireLink.id(), ok, 2);
    let cases = [
        (Command::BindTransceiver, bind),
        (Command::EnquireLink, enquire),
        (Command::SubmitSm, submit(b"\x4f\x60")),
    ];
    for (command, octets) in cases {
        let read = Pdu::parse(&mut octets.as_slice());
        let id = read.map(|pdu| pdu.command_id().value).ok();
        assert_eq!(id, Some(command.id()), "{command}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..Default::default() })]

    #[test]
    fn what_the_strict_reader_accepts_we_read(
        text in prop::collection::vec(any::<u8>(), 0..40),
        changes in prop::collection::vec((16usize..110, any::<u8>()), 0..3),
    ) {
        let mut pdu = submit(&text);
        for (at, value) in changes {
            let at = 16 + at % (pdu.len() - 16);
            pdu[at] = value;
        }
        if Pdu::parse(&mut pdu.as_slice()).is_ok() {
            prop_assert!(Message::parse(&pdu).is_ok());
        }
    }
}
