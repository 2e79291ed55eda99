//! Second opinions: two readers that nobody here wrote. smpp-pdu is strict, knows twelve PDUs and refuses
//! legal ones, so it only ever speaks one way: what it accepts, we must read too. rusmpp-core knows all
//! PDUs: what it reads, we must read with the same values, and what we write it must read.

use bytes::BytesMut;
use consentry::smpp::broadcast::{BroadcastSm, CancelBroadcastSm, QueryBroadcastSm};
use consentry::smpp::message::{Message, WireAddress};
use consentry::smpp::multi::{Destination, SubmitMulti};
use consentry::smpp::operation::{CancelSm, QuerySm, ReplaceSm};
use consentry::smpp::response::{SubmitMultiResp, Unsuccess};
use consentry::smpp::tlv::Tag;
use consentry::smpp::write::{self, BindFields, MessageFields};
use consentry::smpp::{Command, CommandStatus, Header};
use consentry::smpp::{narrow, strip};
use proptest::prelude::*;
use rusmpp_core::decode::owned::DecodeWithLength;
use rusmpp_core::encode::{Encode, Length};
use rusmpp_core::pdus::owned as theirs;
use rusmpp_core::values::owned::DestAddress;
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

const SOURCE: WireAddress<'static> = WireAddress { ton: 1, npi: 1, value: b"106900001234" };

/// What rusmpp-core reads in a frame, if it wrote the same octets again: so it missed none.
fn second(frame: &[u8]) -> Option<theirs::Pdu> {
    let mut rest = BytesMut::from(frame.get(4..)?);
    let length = rest.len();
    let (command, _) = rusmpp_core::command::owned::Command::decode(&mut rest, length).ok()?;
    let mut again = vec![0; command.length()];
    command.encode(&mut again);
    (again == frame[4..]).then(|| command.pdu().cloned()).flatten()
}

fn framed(command: Command, fill: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    write::pdu(&mut out, command.id(), CommandStatus::ESME_ROK, 7, fill);
    out
}

fn sme(value: &[u8]) -> Destination<'_> {
    Destination::Sme(WireAddress { ton: 1, npi: 1, value })
}

fn multi(destinations: &[Destination<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    let fields = MessageFields {
        source: SOURCE,
        destination: SOURCE,
        esm_class: 0,
        registered_delivery: 1,
        data_coding: 8,
        short_message: b"\x4f\x60",
    };
    write::submit_multi(&mut out, 7, fields, destinations, |out| {
        write::tlv(out, Tag::USER_MESSAGE_REFERENCE, b"\x00\x09");
    });
    out
}

/// The destinations that rusmpp-core reads, as ours.
fn their_destinations(frame: &[u8]) -> Vec<(Vec<u8>, bool)> {
    let Some(theirs::Pdu::SubmitMulti(multi)) = second(frame) else {
        panic!("not a submit_multi to the other reader")
    };
    let read = multi.dest_address().iter().map(|one| match one {
        DestAddress::SmeAddress(sme) => (sme.destination_addr.as_str().as_bytes().to_vec(), false),
        DestAddress::DistributionListName(list) => {
            (list.dl_name.as_str().as_bytes().to_vec(), true)
        }
    });
    read.collect()
}

fn our_destinations(frame: &[u8]) -> Vec<(Vec<u8>, bool)> {
    let multi = SubmitMulti::parse(frame).expect("well-formed");
    let read = multi.destinations().map(|one| match one {
        Destination::Sme(sme) => (sme.value.to_vec(), false),
        Destination::DistributionList(name) => (name.to_vec(), true),
    });
    read.collect()
}

#[test]
fn submit_multi_is_read_alike() {
    let numbers: Vec<String> = (0..254).map(|at| format!("8613800138{at:03}")).collect();
    let mut all: Vec<_> = numbers.iter().map(|number| sme(number.as_bytes())).collect();
    all[1] = Destination::DistributionList(b"everybody");
    for count in [1, 2, 254] {
        let frame = multi(&all[..count]);
        assert_eq!(our_destinations(&frame).len(), count);
        assert_eq!(their_destinations(&frame), our_destinations(&frame));
    }
}

#[test]
fn a_narrowed_submit_multi_keeps_all_but_its_destinations() {
    let all = [sme(b"8613800138000"), sme(b"8613800138001"), sme(b"8613800138002")];
    let frame = multi(&all);
    let cases: [(&[usize], Option<Vec<u8>>); 4] = [
        (&[0, 1, 2], Some(frame.clone())),
        (&[0, 2], Some(multi(&[all[0], all[2]]))),
        (&[1], Some(multi(&[all[1]]))),
        (&[], None),
    ];
    for (kept, expected) in cases {
        let mut out = Vec::new();
        let count = narrow::submit_multi(&mut out, &frame, |index| kept.contains(&index));
        assert_eq!(count.map(usize::from), Ok(kept.len()));
        assert_eq!(out, expected.clone().unwrap_or_default(), "{kept:?}");
        if expected.is_some() {
            assert_eq!(their_destinations(&out).len(), kept.len());
        }
    }
}

/// The parameters that rusmpp-core reads.
fn their_parameters(frame: &[u8]) -> Vec<String> {
    let tlvs = match second(frame) {
        Some(theirs::Pdu::SubmitSm(submit)) => submit.tlvs().to_vec(),
        Some(theirs::Pdu::DataSm(data)) => data.tlvs().to_vec(),
        other => panic!("no message to the other reader: {other:?}"),
    };
    tlvs.iter().map(|tlv| format!("{tlv:?}")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 500, ..Default::default() })]

    #[test]
    fn what_is_stripped_keeps_all_but_its_second_sender(
        is_data_sm in any::<bool>(),
        chosen in prop::collection::vec(0_usize..8, 0..12),
        sequence in 1_u32..0x8000_0000,
    ) {
        let all: [(Tag, &[u8]); 8] = [
            (Tag::CALLBACK_NUM, b"\x01\x01\x0112345"),
            (Tag::CALLBACK_NUM_PRES_IND, &[1]),
            (Tag::CALLBACK_NUM_ATAG, b"\x08\x4e\x2d"),
            (Tag::SOURCE_SUBADDRESS, b"\x88\x011"),
            (Tag::USER_MESSAGE_REFERENCE, &[0, 7]),
            (Tag(0x1401), b"template"),
            (Tag::LANGUAGE_INDICATOR, &[1]),
            (Tag::MESSAGE_PAYLOAD, b"\x4f\x60"),
        ];
        // Some repeat: what may not is for others to refuse.
        let is_second = |at: &usize| *at < 4;
        let build = |kept: &dyn Fn(&usize) -> bool| {
            let mut out = Vec::new();
            let address = |value| WireAddress { ton: 1, npi: 1, value };
            let fields = MessageFields {
                source: address(b"106900001234"),
                destination: address(b"8613800138000"),
                esm_class: 0,
                registered_delivery: 1,
                data_coding: 8,
                short_message: b"",
            };
            let tlvs = |out: &mut Vec<u8>| {
                for at in chosen.iter().filter(|at| kept(at)) {
                    write::tlv(out, all[*at].0, all[*at].1);
                }
            };
            if is_data_sm {
                write::data_sm(&mut out, sequence, fields, tlvs);
            } else {
                write::message(&mut out, Command::SubmitSm, sequence, fields, tlvs);
            }
            out
        };
        let frame = build(&|_| true);
        let mut stripped = Vec::new();
        strip::second_senders(&mut stripped, &frame).expect("well-formed");
        prop_assert_eq!(&stripped, &build(&|at| !is_second(at)));
        let seconds = ["CallbackNum", "SourceSubaddress"];
        let mut theirs = their_parameters(&frame);
        theirs.retain(|one| !seconds.iter().any(|name| one.contains(name)));
        prop_assert_eq!(their_parameters(&stripped), theirs);
        // What the strict reader took before, it takes still.
        if !is_data_sm && Pdu::parse(&mut frame.as_slice()).is_ok() {
            let read = Pdu::parse(&mut stripped.as_slice()).map(|pdu| pdu.command_id().value).ok();
            prop_assert_eq!(read, Some(Command::SubmitSm.id()));
        }
    }
}

/// `number status` of each destination that rusmpp-core reads as not taken.
fn their_unsuccess(frame: &[u8]) -> (String, Vec<String>) {
    let Some(theirs::Pdu::SubmitMultiResp(resp)) = second(frame) else {
        panic!("not a submit_multi_resp to the other reader")
    };
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).trim_end_matches('\0').to_owned();
    let left = resp.unsuccess_sme().iter().map(|one| {
        let status = u32::from(one.error_status_code);
        format!("{} {status:#x}", text(one.destination_addr.as_str().as_bytes()))
    });
    (text(resp.message_id.as_str().as_bytes()), left.collect())
}

#[test]
fn a_merged_response_tells_of_those_left_out() {
    let unsuccess =
        |value, status| Unsuccess { destination: WireAddress { ton: 1, npi: 1, value }, status };
    let ours = [
        unsuccess(b"8613800138001", CommandStatus::ESME_RSUBMITFAIL),
        unsuccess(b"8613800138002", CommandStatus::ESME_RINVDSTADR),
    ];
    let resp = |fill: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        let id = Command::SubmitMulti.response_id();
        write::pdu(&mut out, id, CommandStatus::ESME_ROK, 7, fill);
        out
    };
    let theirs = resp(&|out| {
        out.extend_from_slice(b"id-1\0\x01\x01\x01861\0\x00\x00\x00\x0b");
        write::tlv(out, Tag::ADDITIONAL_STATUS_INFO_TEXT, b"one\0");
    });
    let cases = [
        (theirs, "id-1", vec!["861 0xb", "8613800138001 0x45", "8613800138002 0xb"]),
        (
            resp(&|out| out.extend_from_slice(b"id-1\0\0")),
            "id-1",
            vec!["8613800138001 0x45", "8613800138002 0xb"],
        ),
        (
            resp(&|out| out.extend_from_slice(b"id-1\0")),
            "id-1",
            vec!["8613800138001 0x45", "8613800138002 0xb"],
        ),
        (resp(&|_| {}), "", vec!["8613800138001 0x45", "8613800138002 0xb"]),
    ];
    for (frame, id, expected) in cases {
        let mut out = Vec::new();
        narrow::submit_multi_resp(&mut out, &frame, ours.into_iter()).expect("well-formed");
        assert_eq!(
            their_unsuccess(&out),
            (id.to_owned(), expected.iter().map(|s| s.to_string()).collect())
        );
        let read = SubmitMultiResp::parse(&out).expect("well-formed");
        assert_eq!(usize::from(read.no_unsuccess), expected.len());
        assert_eq!(read.unsuccess().last(), Some(ours[1]));
        let before = SubmitMultiResp::parse(&frame).map(|resp| resp.tlvs.iter().count());
        assert_eq!(read.tlvs.iter().count(), before.unwrap_or(0), "parameters are kept");
        assert_eq!(Header::of(&out).map(|header| header.sequence_number), Some(7));
    }
    let mut failed = Vec::new();
    let id = Command::SubmitMulti.response_id();
    write::header_only(&mut failed, id, CommandStatus::ESME_RSYSERR, 7);
    let mut out = Vec::new();
    narrow::submit_multi_resp(&mut out, &failed, ours.into_iter()).expect("as it came");
    assert_eq!(out, failed);
    let cut = resp(&|out| out.extend_from_slice(b"id-1\0\x01"));
    assert!(narrow::submit_multi_resp(&mut out, &cut, ours.into_iter()).is_err());
    let many = std::iter::repeat_n(ours[0], 254);
    let mut out = Vec::new();
    narrow::submit_multi_resp(&mut out, &resp(&|_| {}), many).expect("room for all");
    assert_eq!(their_unsuccess(&out).1.len(), 254);
}

#[test]
fn operations_are_read_alike() {
    let address = |out: &mut Vec<u8>, value: &[u8]| {
        write::address(out, WireAddress { ton: 1, npi: 1, value });
    };
    let replace = framed(Command::ReplaceSm, |out| {
        write::c_octets(out, b"id-1");
        address(out, SOURCE.value);
        out.extend_from_slice(b"260101120000000+\0\0\x01\x00\x03new");
        write::tlv(out, Tag::MESSAGE_PAYLOAD, b"more");
    });
    let cancel = framed(Command::CancelSm, |out| {
        out.extend_from_slice(b"CMT\0id-1\0");
        address(out, SOURCE.value);
        address(out, b"8613800138000");
    });
    let query = framed(Command::QuerySm, |out| {
        write::c_octets(out, b"id-1");
        address(out, SOURCE.value);
    });
    match (second(&replace), ReplaceSm::parse(&replace)) {
        (Some(theirs::Pdu::ReplaceSm(theirs)), Ok(ours)) => {
            assert_eq!(theirs.message_id.as_str().trim_end_matches(char::from(0)), "id-1");
            assert_eq!(ours.message_id, b"id-1");
            assert_eq!(theirs.short_message().clone().into_bytes().as_ref(), ours.short_message);
            assert_eq!(ours.text_octets(), b"new");
            assert_eq!(ours.schedule_delivery_time, b"260101120000000+");
            assert_eq!((ours.source, ours.registered_delivery), (SOURCE, 1));
            assert_eq!(ours.tlvs.find(Tag::MESSAGE_PAYLOAD), Some(&b"more"[..]));
        }
        other => panic!("replace_sm: {other:?}"),
    }
    match (second(&cancel), CancelSm::parse(&cancel)) {
        (Some(theirs::Pdu::CancelSm(theirs)), Ok(ours)) => {
            assert_eq!(
                theirs.destination_addr.as_str().trim_end_matches(char::from(0)),
                "8613800138000"
            );
            assert_eq!(ours.destination.value, b"8613800138000");
            assert_eq!((ours.service_type, ours.message_id), (&b"CMT"[..], &b"id-1"[..]));
        }
        other => panic!("cancel_sm: {other:?}"),
    }
    match (second(&query), QuerySm::parse(&query)) {
        (Some(theirs::Pdu::QuerySm(theirs)), Ok(ours)) => {
            assert_eq!(theirs.source_addr.as_str().trim_end_matches(char::from(0)), "106900001234");
            assert_eq!((ours.message_id, ours.source), (&b"id-1"[..], SOURCE));
        }
        other => panic!("query_sm: {other:?}"),
    }
    for frame in [cancel, query] {
        let trailing = framed(Header::of(&frame).expect("a header").command, |out| {
            out.extend_from_slice(&frame[16..]);
            out.push(0xff);
        });
        let read = (CancelSm::parse(&trailing).is_ok(), QuerySm::parse(&trailing).is_ok());
        assert_eq!(read, (false, false), "octets behind the last field");
    }
}

#[test]
fn broadcasts_are_read_alike() {
    let broadcast = framed(Command::BroadcastSm, |out| {
        out.push(0);
        write::address(out, SOURCE);
        out.extend_from_slice(b"id-1\0\x01\0\0\x00\x08\x00");
        write::tlv(out, Tag::BROADCAST_AREA_IDENTIFIER, b"\x00Beijing");
        write::tlv(out, Tag::BROADCAST_AREA_IDENTIFIER, b"\x00Tianjin");
        write::tlv(out, Tag::BROADCAST_CONTENT_TYPE, b"\x01\x00\x10");
        // Without broadcast_rep_num: the other reader takes it for one octet, SMPP 5.0 gives it two.
        write::tlv(out, Tag::BROADCAST_FREQUENCY_INTERVAL, b"\x09\x00\x05");
        write::tlv(out, Tag::MESSAGE_PAYLOAD, b"\x4f\x60");
    });
    match (second(&broadcast), BroadcastSm::parse(&broadcast)) {
        (Some(theirs::Pdu::BroadcastSm(theirs)), Ok(ours)) => {
            assert_eq!(theirs.message_id.as_str().trim_end_matches(char::from(0)), "id-1");
            assert_eq!(theirs.tlvs().len(), ours.tlvs.iter().count());
            assert_eq!((ours.message_id, ours.data_coding), (&b"id-1"[..], 8));
            assert_eq!(ours.areas().collect::<Vec<_>>(), [&b"\x00Beijing"[..], b"\x00Tianjin"]);
            assert_eq!(ours.content_type(), Some((1, 0x10)));
            assert_eq!(ours.text_octets(), b"\x4f\x60");
        }
        other => panic!("broadcast_sm: {other:?}"),
    }
    let query = framed(Command::QueryBroadcastSm, |out| {
        write::c_octets(out, b"id-1");
        write::address(out, SOURCE);
        write::tlv(out, Tag::USER_MESSAGE_REFERENCE, b"\x00\x01");
    });
    match (second(&query), QueryBroadcastSm::parse(&query)) {
        (Some(theirs::Pdu::QueryBroadcastSm(_)), Ok(ours)) => {
            assert_eq!((ours.message_id, ours.source), (&b"id-1"[..], SOURCE));
            assert_eq!(ours.tlvs.iter().count(), 1);
        }
        other => panic!("query_broadcast_sm: {other:?}"),
    }
    let cancel = framed(Command::CancelBroadcastSm, |out| {
        out.extend_from_slice(b"\0id-1\0");
        write::address(out, SOURCE);
        write::tlv(out, Tag::BROADCAST_CONTENT_TYPE, b"\x01\x00\x10");
    });
    match (second(&cancel), CancelBroadcastSm::parse(&cancel)) {
        (Some(theirs::Pdu::CancelBroadcastSm(_)), Ok(ours)) => {
            assert_eq!((ours.message_id, ours.source), (&b"id-1"[..], SOURCE));
            assert_eq!(ours.tlvs.find(Tag::BROADCAST_CONTENT_TYPE), Some(&b"\x01\x00\x10"[..]));
        }
        other => panic!("cancel_broadcast_sm: {other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..Default::default() })]

    #[test]
    fn what_the_broad_reader_accepts_we_read(
        count in 1_usize..5,
        changes in prop::collection::vec((16usize..110, any::<u8>()), 0..3),
    ) {
        let numbers = [sme(b"861"), Destination::DistributionList(b"all"), sme(b"86138"), sme(b"")];
        let mut pdu = multi(&numbers[..count.min(4)]);
        for (at, value) in changes {
            let at = 16 + at % (pdu.len() - 16);
            pdu[at] = value;
        }
        if second(&pdu).is_some() {
            // It lets a parameter go past the end and a submit_multi go to nobody; we do not.
            match SubmitMulti::parse(&pdu) {
                Ok(_) => prop_assert_eq!(their_destinations(&pdu), our_destinations(&pdu)),
                Err(fault) => {
                    prop_assert!(matches!(fault.field, "tlv" | "number_of_dests"), "{}", fault);
                }
            }
        }
    }

    #[test]
    fn what_is_narrowed_reads_back(count in 1_usize..254, kept in prop::collection::vec(any::<bool>(), 254)) {
        let numbers: Vec<String> = (0..count).map(|at| format!("86138001{at:03}")).collect();
        let all: Vec<_> = numbers.iter().map(|number| sme(number.as_bytes())).collect();
        let frame = multi(&all);
        let mut out = Vec::new();
        let written = narrow::submit_multi(&mut out, &frame, |index| kept[index]);
        let expected: Vec<_> = all.iter().zip(&kept).filter(|(_, kept)| **kept).map(|(one, _)| *one).collect();
        prop_assert_eq!(written.map(usize::from), Ok(expected.len()));
        prop_assert_eq!(out, if expected.is_empty() { Vec::new() } else { multi(&expected) });
    }
}
