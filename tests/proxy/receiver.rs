//! A receiver-only bind, end to end: what the SMSC sends arrives as it was sent, and nothing goes
//! the other way.

use consentry::peer::esme::Esme;
use consentry::smpp::message::WireAddress;
use consentry::smpp::tlv::Tag;
use consentry::smpp::write::{self, MessageFields};
use consentry::smpp::{Command, CommandStatus, Header};

use crate::running::Proxy;
use crate::wire::{Wire, listener};
use crate::{OURS, answer, audit, recorded, submit};

/// A deliver_sm or a data_sm of the SMSC's with parameters that no specification names.
fn message(command: Command, sequence: u32, text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let address = |value| WireAddress { ton: 1, npi: 1, value };
    let fields = MessageFields {
        source: address(b"8613800138000"),
        destination: address(OURS),
        esm_class: 4,
        registered_delivery: 0,
        data_coding: 0xf5,
        short_message: text,
    };
    let parameters = |out: &mut Vec<u8>| {
        write::tlv(out, Tag::RECEIPTED_MESSAGE_ID, b"00ff\0");
        write::tlv(out, Tag(0x1501), &[0, 0xff, 0x80]);
        write::tlv(out, Tag::MESSAGE_STATE, &[2]);
    };
    if command == Command::DataSm {
        write::pdu(&mut out, command.id(), CommandStatus::ESME_ROK, sequence, |out| {
            write::c_octets(out, b"");
            write::address(out, fields.source);
            write::address(out, fields.destination);
            out.extend([fields.esm_class, 0, fields.data_coding]);
            parameters(out);
        });
    } else {
        write::message(&mut out, command, sequence, fields, parameters);
    }
    out
}

#[tokio::test]
async fn a_receiver_receives_octet_for_octet_and_sends_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (listener, address) = listener().await;
    let mut proxy = Proxy::start(folder.path(), address, &audit("written"), "");
    let mut esme = Esme::connect(proxy.address()).await.expect("accepted");
    let (status, mut smsc) =
        tokio::join!(esme.bind(Command::BindReceiver, "test", "secret"), async {
            let mut smsc = Wire::accept(&listener).await;
            let bind = smsc.expect(Command::BindReceiver).await;
            smsc.answer(&bind, CommandStatus::ESME_ROK).await;
            smsc
        });
    assert_eq!(status.expect("an answer"), CommandStatus::ESME_ROK);

    let all: Vec<u8> = (0..=255).collect();
    let sent = [
        message(Command::DeliverSm, 1, b""),
        message(Command::DeliverSm, 0x7fff_ffff, &all[..254]),
        message(Command::DataSm, 2, b""),
        // Of no use to anybody, and still not ours to change.
        message(Command::DeliverSm, 2, b"the same number again"),
    ];
    smsc.send(&sent.concat()).await;
    for pdu in &sent {
        let came = esme.next().await.expect("a PDU").expect("no end");
        assert!(came == *pdu, "not the octets that the SMSC sent");
        let header = Header::of(pdu).expect("a header");
        let mut reply = Vec::new();
        let status = CommandStatus::ESME_RX_P_APPN;
        write::pdu(&mut reply, header.command.response_id(), status, header.sequence_number, |o| {
            o.push(0);
        });
        esme.send(&reply).await.expect("sent");
        assert_eq!(smsc.next().await.as_deref(), Some(reply.as_slice()));
    }

    esme.send(&submit(9, OURS, |_| {})).await.expect("sent");
    let refused = (Command::SubmitSmResp, CommandStatus::ESME_RINVBNDSTS, 9, write::REFUSAL_OCTETS);
    assert_eq!(answer(&mut esme).await, Some(refused));

    // What the ESME says next is the next thing that the SMSC hears: the submit_sm is nowhere.
    let mut unbind = Vec::new();
    let ok = CommandStatus::ESME_ROK;
    write::header_only(&mut unbind, Command::Unbind.id(), ok, 10);
    esme.send(&unbind).await.expect("sent");
    assert_eq!(smsc.next().await, Some(unbind.clone()));
    smsc.answer(&unbind, ok).await;
    let left = answer(&mut esme).await;
    assert_eq!(left, Some((Command::UnbindResp, ok, 10, 16)));
    drop(smsc);
    assert!(matches!(esme.next().await, Ok(None)), "both sides went");
    proxy.signal("-TERM");
    assert_eq!(proxy.wait(), Some(0));
    assert_eq!(recorded(folder.path()), (vec![], 0));
}
