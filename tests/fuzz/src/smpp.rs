//! Octets to PDUs: frames, every view, parameters, and what we write.

use consentry::smpp::bind::{Bind, BindResp, Outbind};
use consentry::smpp::broadcast::{BroadcastSm, CancelBroadcastSm, QueryBroadcastSm};
use consentry::smpp::frame::{FrameBuf, PDU_OCTETS_MAX, cut};
use consentry::smpp::message::{Message, WireAddress};
use consentry::smpp::multi::{Destination, SubmitMulti};
use consentry::smpp::narrow;
use consentry::smpp::oddity::{Oddities, Oddity};
use consentry::smpp::operation::{AlertNotification, CancelSm, QuerySm, ReplaceSm};
use consentry::smpp::response::{self, QuerySmResp, SubmitMultiResp, Unsuccess};
use consentry::smpp::time::Time;
use consentry::smpp::tlv::{Tag, Tlvs};
use consentry::smpp::write::{self, BindFields, MessageFields};
use consentry::smpp::{Command, CommandStatus, Header, strict};

use crate::input::{Input, is_within};

/// The frames of a stream and what is left of it, or the fault as words.
fn frames(octets: &[u8], max: usize) -> (Vec<&[u8]>, &[u8], Option<String>) {
    let (mut found, mut rest) = (Vec::new(), octets);
    loop {
        match cut(rest, max) {
            Ok(Some(length)) => {
                assert!((16..=max).contains(&length) && length <= rest.len());
                let (frame, behind) = rest.split_at(length);
                found.push(frame);
                rest = behind;
            }
            Ok(None) => return (found, rest, None),
            Err(fault) => return (found, rest, Some(fault.to_string())),
        }
    }
}

/// However a stream is cut into reads, its frames, its rest and its fault are the same, and together they
/// are the stream.
pub fn frame(octets: &[u8]) {
    let mut input = Input(octets);
    let max = usize::from(input.octet()) * 8 + 16;
    let reads = input.piece();
    let stream = input.0;
    let (whole, rest, fault) = frames(stream, max);
    assert_eq!([whole.concat(), rest.to_vec()].concat(), stream);
    let (mut buffer, mut cut_here) = (FrameBuf::default(), Vec::new());
    let mut at = 0;
    let mut lost = None;
    for length in reads.iter().map(|&octet| usize::from(octet) + 1).chain([stream.len()]) {
        let read = &stream[at.min(stream.len())..(at + length).min(stream.len())];
        at += read.len();
        buffer.extend(read);
        let (found, _, fault) = frames(buffer.octets(), max);
        let consumed = found.iter().map(|frame| frame.len()).sum();
        cut_here.extend(found.into_iter().map(<[u8]>::to_vec));
        buffer.consume(consumed);
        lost = fault;
        if lost.is_some() {
            break;
        }
    }
    assert_eq!(cut_here, whole);
    assert_eq!(lost, fault);
    if lost.is_none() {
        assert_eq!(buffer.octets(), rest);
        assert_eq!(buffer.is_empty(), rest.is_empty());
    }
}

fn within_address(address: &WireAddress<'_>, frame: &[u8]) {
    assert!(is_within(address.value, frame) && !address.value.contains(&0));
}

fn within_parameters(tlvs: Tlvs<'_>, frame: &[u8]) {
    let octets: usize = tlvs.iter().map(|tlv| tlv.value.len() + 4).sum();
    assert!(octets <= frame.len());
    assert!(tlvs.iter().all(|tlv| is_within(tlv.value, frame)));
}

fn within_message(message: &Message<'_>, frame: &[u8]) {
    within_address(&message.source, frame);
    within_address(&message.destination, frame);
    within_parameters(message.tlvs, frame);
    for field in [
        message.service_type,
        message.schedule_delivery_time,
        message.validity_period,
        message.short_message,
        message.text_octets(),
    ] {
        assert!(is_within(field, frame));
    }
    for time in [message.schedule_delivery_time, message.validity_period] {
        let read = Time::read(time);
        assert_eq!(read, Time::read(time));
        if let Some(read) = read {
            assert_eq!(time.len(), 16);
            read.from_now_us(1_800_000_000_000_000);
        }
    }
    let oddities = Oddities::of(message);
    assert_eq!(oddities.is_empty(), oddities.iter().next().is_none());
    assert!(
        Oddity::ALL
            .iter()
            .filter(|one| oddities.contains(**one))
            .eq(oddities.iter().collect::<Vec<_>>().iter())
    );
    let gathered = consentry::session::gather(message);
    assert_eq!(gathered, consentry::session::gather(message));
    if let Ok(gathered) = gathered {
        if let Some(part) = gathered.part() {
            assert!((1..=part.total).contains(&part.number));
        }
        let payloads = message.tlvs.iter().filter(|tlv| tlv.tag == Tag::MESSAGE_PAYLOAD).count();
        let bodies = payloads + usize::from(!message.short_message.is_empty());
        assert_eq!(gathered.two_bodies, bodies > 1, "no second text is overlooked");
    }
}

/// Any view of any frame: what it shows lies within the frame, reading twice shows the same, and what is
/// rewritten is the same but for what was left out.
pub fn pdu(octets: &[u8]) {
    let Ok(Some(length)) = cut(octets, PDU_OCTETS_MAX) else { return };
    let frame = &octets[..length];
    let header = Header::of(frame).expect("a frame has a header");
    assert_eq!(header.command_length as usize, length);
    macro_rules! view {
        ($parsed:expr, $check:expr) => {
            let parsed = $parsed;
            assert_eq!(parsed, $parsed, "reading twice reads the same");
            if let Ok(view) = parsed {
                #[allow(clippy::redundant_closure_call)]
                ($check)(view);
            }
        };
    }
    view!(Message::parse(frame), |message| within_message(&message, frame));
    view!(Message::parse_data_sm(frame), |message| within_message(&message, frame));
    view!(QuerySm::parse(frame), |query: QuerySm<'_>| within_address(&query.source, frame));
    view!(CancelSm::parse(frame), |cancel: CancelSm<'_>| {
        within_address(&cancel.source, frame);
        within_address(&cancel.destination, frame);
    });
    view!(ReplaceSm::parse(frame), |replace: ReplaceSm<'_>| {
        within_address(&replace.source, frame);
        assert!(is_within(replace.text_octets(), frame));
        within_parameters(replace.tlvs, frame);
    });
    view!(AlertNotification::parse(frame), |alert: AlertNotification<'_>| {
        within_parameters(alert.tlvs, frame);
    });
    view!(BroadcastSm::parse(frame), |broadcast: BroadcastSm<'_>| {
        within_address(&broadcast.source, frame);
        within_parameters(broadcast.tlvs, frame);
        assert!(is_within(broadcast.text_octets(), frame));
        assert!(broadcast.areas().all(|area| is_within(area, frame)));
        broadcast.content_type();
    });
    view!(QueryBroadcastSm::parse(frame), |_| {});
    view!(CancelBroadcastSm::parse(frame), |_| {});
    view!(BindResp::parse(frame), |bind: BindResp<'_>| within_parameters(bind.tlvs, frame));
    view!(QuerySmResp::parse(frame), |query: QuerySmResp<'_>| {
        assert!(is_within(query.message_id, frame) && query.message_id.len() < 65);
    });
    if let Ok(bind) = Bind::parse(frame) {
        assert!(bind.system_id.len() < 16 && bind.password.len() < 9);
        assert!(!format!("{bind:?}").contains("password: \""), "a password is never printed");
    }
    if let Ok(outbind) = Outbind::parse(frame) {
        assert!(outbind.system_id.len() < 16);
    }
    if let Some(id) = response::message_id(frame) {
        assert!(is_within(id, frame) && id.len() < 65);
    }
    view!(SubmitMulti::parse(frame), |multi: SubmitMulti<'_>| submit_multi(frame, multi));
    view!(SubmitMultiResp::parse(frame), |resp: SubmitMultiResp<'_>| merged(frame, resp));
}

fn submit_multi(frame: &[u8], multi: SubmitMulti<'_>) {
    let destinations: Vec<_> = multi.destinations().collect();
    assert_eq!(destinations.len(), usize::from(multi.number_of_dests));
    let is_submit_multi = Header::of(frame).is_some_and(|header| {
        header.command == Command::SubmitMulti && header.command_status.is_ok()
    });
    let mut all = Vec::new();
    assert_eq!(narrow::submit_multi(&mut all, frame, |_| true), Ok(multi.number_of_dests));
    if is_submit_multi {
        assert_eq!(all, frame, "all kept: the very octets");
    }
    let mut half = b"before".to_vec();
    let kept = narrow::submit_multi(&mut half, frame, |index| index % 2 == 1).expect("it was read");
    assert_eq!(usize::from(kept), destinations.len() / 2);
    if kept == 0 {
        assert_eq!(half, b"before");
        return;
    }
    let again = SubmitMulti::parse(&half[6..]).expect("what was narrowed reads back");
    let odd: Vec<_> = destinations.iter().skip(1).step_by(2).copied().collect();
    assert_eq!(again.destinations().collect::<Vec<_>>(), odd);
    assert_eq!(again.message, multi.message);
}

fn merged(frame: &[u8], resp: SubmitMultiResp<'_>) {
    let theirs: Vec<_> = resp.unsuccess().collect();
    assert_eq!(theirs.len(), usize::from(resp.no_unsuccess));
    let destination = WireAddress { ton: 1, npi: 1, value: b"8613800138000" };
    let ours = Unsuccess { destination, status: CommandStatus::ESME_RSUBMITFAIL };
    let mut out = Vec::new();
    narrow::submit_multi_resp(&mut out, frame, std::iter::once(ours)).expect("it was read");
    if Header::of(frame).is_some_and(|header| !header.command_status.is_ok()) {
        assert_eq!(out, frame);
        return;
    }
    let again = SubmitMultiResp::parse(&out).expect("what was merged reads back");
    let all: Vec<_> = theirs.iter().copied().chain([ours]).take(255).collect();
    assert_eq!(again.unsuccess().collect::<Vec<_>>(), all);
    assert_eq!((again.message_id, again.tlvs), (resp.message_id, resp.tlvs));
}

fn c_octets(input: &mut Input<'_>, max: usize) -> Vec<u8> {
    input.piece().iter().copied().filter(|octet| *octet != 0).take(max).collect()
}

/// What we write reads back as what was written.
pub fn written(octets: &[u8]) {
    let mut input = Input(octets);
    let sequence = u32::from_be_bytes([0, input.octet(), input.octet(), input.octet()]);
    let (source, destination) = (c_octets(&mut input, 20), c_octets(&mut input, 20));
    let address = |value| WireAddress { ton: 1, npi: 1, value };
    let [esm_class, registered_delivery, data_coding] =
        [input.octet(), input.octet(), input.octet()];
    let text = input.piece();
    let text = &text[..text.len().min(254)];
    let mut parameters = Vec::new();
    while !input.0.is_empty() && parameters.len() < 60 {
        let tag = Tag(u16::from_be_bytes([input.octet(), input.octet()]));
        parameters.push((tag, input.piece()));
    }
    let tlvs = |out: &mut Vec<u8>| {
        parameters.iter().for_each(|(tag, value)| write::tlv(out, *tag, value));
    };
    let (source, to) = (address(&source), address(&destination));
    let fields = MessageFields {
        source,
        destination: to,
        esm_class,
        registered_delivery,
        data_coding,
        short_message: text,
    };
    let check = |message: &Message<'_>, text: &[u8]| {
        assert_eq!((message.source, message.short_message), (source, text));
        assert_eq!((message.esm_class, message.data_coding), (esm_class, data_coding));
        assert_eq!(message.registered_delivery, registered_delivery);
        let read: Vec<_> = message.tlvs.iter().map(|tlv| (tlv.tag, tlv.value)).collect();
        assert_eq!(read, parameters);
    };
    let mut out = Vec::new();
    write::message(&mut out, Command::SubmitSm, sequence, fields, tlvs);
    let message = Message::parse(&out).expect("a submit_sm");
    check(&message, text);
    assert_eq!(message.destination, to);
    out.clear();
    write::data_sm(&mut out, sequence, fields, tlvs);
    let message = Message::parse_data_sm(&out).expect("a data_sm");
    check(&message, b"");
    out.clear();
    let list = &destination[..destination.len().min(20)];
    let destinations = [Destination::Sme(to), Destination::DistributionList(list)];
    write::submit_multi(&mut out, sequence, fields, &destinations, tlvs);
    let multi = SubmitMulti::parse(&out).expect("a submit_multi");
    check(&multi.message, text);
    assert_eq!(multi.destinations().collect::<Vec<_>>(), destinations);
    out.clear();
    let bind = BindFields {
        system_id: &source.value[..source.value.len().min(15)],
        password: &to.value[..to.value.len().min(8)],
        system_type: b"",
        interface_version: 0x34,
    };
    write::bind(&mut out, Command::BindTransceiver, sequence, bind);
    let read = Bind::parse(&out).expect("a bind");
    assert_eq!((read.system_id, read.password), (bind.system_id, bind.password));
}

/// Parameters are walked whole or not at all; written again they are the octets that came; the strict
/// reading finds every repetition.
pub fn tlv(octets: &[u8]) {
    let parsed = Tlvs::parse(octets);
    assert_eq!(parsed, Tlvs::parse(octets));
    let Ok(tlvs) = parsed else { return };
    let mut again = Vec::new();
    for tlv in tlvs {
        assert!(is_within(tlv.value, octets));
        let found = tlvs.find(tlv.tag).expect("it is there");
        let first = tlvs.iter().find(|one| one.tag == tlv.tag).expect("it is there");
        assert_eq!(found, first.value);
        write::tlv(&mut again, tlv.tag, tlv.value);
    }
    assert_eq!(again, octets);
    if strict::check(tlvs).is_ok() {
        let tags: Vec<_> = tlvs.iter().map(|tlv| tlv.tag).collect();
        assert!(tags.len() <= strict::PARAMETERS_MAX);
        for single in [Tag::MESSAGE_PAYLOAD, Tag::SAR_MSG_REF_NUM, Tag::SOURCE_SUBADDRESS] {
            assert!(tags.iter().filter(|tag| **tag == single).count() <= 1);
        }
    }
}
