//! The proxy's own traces: no octet of a password or text, in any command, well formed or not; and what
//! may be asked of a capture.

use std::path::Path;
use std::time::{Duration, Instant};

use consentry::capture::redact::{FILL, redact};
use consentry::capture::{
    Capture, Chosen, End, Filter, Known, Limits, Note, Options, StartFault, Stream, Texts, Verdict,
    Wanted, Way,
};
use consentry::smpp::bind::{Bind, Outbind};
use consentry::smpp::message::{Message, WireAddress};
use consentry::smpp::multi::{Destination, SubmitMulti};
use consentry::smpp::operation::ReplaceSm;
use consentry::smpp::tlv::{Tag, Tlvs};
use consentry::smpp::write::{self, BindFields, MessageFields};
use consentry::smpp::{Command, CommandStatus};
use proptest::prelude::*;

use crate::pcapng;

/// Stand in no field that is kept.
const PASSWORD: &[u8] = b"pQ7!xZw";
const TEXT: &[u8] = b"VWXYZ|vwxyz~{}[]^_VWXYZ|vwxyz~{}";
const SOURCE: &[u8] = b"106900001234";
const DESTINATION: &[u8] = b"8613800138000";

fn fields(esm_class: u8, short_message: &[u8]) -> MessageFields<'_> {
    let address = |value| WireAddress { ton: 0, npi: 1, value };
    MessageFields {
        source: address(SOURCE),
        destination: address(DESTINATION),
        esm_class,
        registered_delivery: 0,
        data_coding: 4,
        short_message,
    }
}

/// A PDU of that command with those octets as its body.
fn with_body(command: Command, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write::pdu(&mut out, command.id(), CommandStatus::ESME_ROK, 7, |out| out.extend(body));
    out
}

fn message(command: Command, esm_class: u8, text: &[u8], parameters: &[(Tag, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    let tlvs = |out: &mut Vec<u8>| {
        parameters.iter().for_each(|(tag, value)| write::tlv(out, *tag, value));
    };
    match command {
        Command::DataSm => write::data_sm(&mut out, 7, fields(esm_class, b""), tlvs),
        _ => write::message(&mut out, command, 7, fields(esm_class, text), tlvs),
    }
    out
}

fn bind(command: Command, password: &[u8], behind: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let fields =
        BindFields { system_id: b"shop1", password, system_type: b"", interface_version: 0x34 };
    write::bind(&mut out, command, 7, fields);
    out.extend(behind);
    let length = (out.len() as u32).to_be_bytes();
    out[..4].copy_from_slice(&length);
    out
}

fn tlv(tag: u16, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write::tlv(&mut out, Tag(tag), value);
    out
}

/// A text behind a user data header with a concatenation, a port and a picture that is a text.
fn headed() -> Vec<u8> {
    let elements = [&[0, 3, 9, 2, 1, 5, 4, 0, 1, 0, 2, 0x12, TEXT.len() as u8][..], TEXT].concat();
    [&[elements.len() as u8][..], &elements, TEXT].concat()
}

/// Every command that carries a text or a password in some way, and what is wrong with it.
fn carriers() -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<(String, Vec<u8>)> = Vec::new();
    let mut add = |name: String, frame: Vec<u8>| all.push((name, frame));
    for command in [Command::BindReceiver, Command::BindTransmitter, Command::BindTransceiver] {
        add(format!("{command}"), bind(command, PASSWORD, b""));
        add(format!("{command} and a text behind"), bind(command, PASSWORD, TEXT));
        add(format!("{command}, password too long"), bind(command, TEXT, b""));
    }
    let outbind = [b"smsc\0", PASSWORD, b"\0"].concat();
    add("outbind".into(), with_body(Command::Outbind, &outbind));
    add("outbind and more".into(), with_body(Command::Outbind, &[&outbind, TEXT].concat()));
    add("outbind, no NUL".into(), with_body(Command::Outbind, &[b"smsc\0", PASSWORD].concat()));
    for command in [Command::SubmitSm, Command::DeliverSm, Command::DataSm] {
        let payload = [(Tag::MESSAGE_PAYLOAD, TEXT)];
        let headed = headed();
        let headed_payload = [(Tag::MESSAGE_PAYLOAD, &headed[..])];
        let others = [
            (Tag::ADDITIONAL_STATUS_INFO_TEXT, TEXT),
            (Tag::CALLBACK_NUM_ATAG, TEXT),
            (Tag::SOURCE_SUBADDRESS, TEXT),
            (Tag::SAR_MSG_REF_NUM, TEXT),
            (Tag(0x1401), TEXT),
            (Tag(0xffff), TEXT),
        ];
        if command != Command::DataSm {
            add(format!("{command}"), message(command, 0, TEXT, &[]));
            add(format!("{command} header"), message(command, 0x40, &headed, &[]));
        }
        add(format!("{command} payload"), message(command, 0, b"", &payload));
        add(format!("{command} two bodies"), message(command, 0x40, TEXT, &payload));
        add(format!("{command} header in payload"), message(command, 0x40, b"", &headed_payload));
        add(format!("{command} header is none"), message(command, 0x40, TEXT, &others));
        add(format!("{command} parameters"), message(command, 0, TEXT, &others));
    }
    let mut multi = Vec::new();
    let sme = Destination::Sme(WireAddress { ton: 1, npi: 1, value: DESTINATION });
    let list = Destination::DistributionList(b"12345");
    write::submit_multi(&mut multi, 7, fields(0, TEXT), &[sme, list], |out| {
        write::tlv(out, Tag::MESSAGE_PAYLOAD, TEXT);
    });
    add("submit_multi".into(), multi);
    let length = [TEXT.len() as u8];
    let replace = [b"id\0\0\x01106900001234\0\0\0\0\0", &length[..], TEXT].concat();
    add("replace_sm".into(), with_body(Command::ReplaceSm, &replace));
    let payload = tlv(0x0424, TEXT);
    let replace = [b"id\0\0\x01106900001234\0\0\0\0\0\0", &payload[..]].concat();
    add("replace_sm payload".into(), with_body(Command::ReplaceSm, &replace));
    let broadcast = [b"\0\0\x011069\0\0\0\0\0\0\0\0", &payload[..]].concat();
    add("broadcast_sm".into(), with_body(Command::BroadcastSm, &broadcast));
    for command in [
        Command::BindTransceiverResp,
        Command::SubmitSmResp,
        Command::SubmitMultiResp,
        Command::DeliverSmResp,
        Command::DataSmResp,
        Command::BroadcastSmResp,
        Command::QueryBroadcastSmResp,
        Command::QuerySmResp,
    ] {
        let front: &[u8] = match command {
            Command::SubmitMultiResp => b"id\0\0",
            Command::QuerySmResp => b"id\0\0\x02\0",
            _ => b"id\0",
        };
        let status_text = tlv(0x001d, TEXT);
        add(format!("{command}"), with_body(command, &[front, &status_text].concat()));
    }
    for &command in Command::ALL.iter().chain([&Command::Unknown(0x0001_0203)]) {
        // Nothing but a text: no NUL, no length, no parameter.
        add(format!("{command} of text alone"), with_body(command, &TEXT.repeat(4)));
        add(format!("{command} of a password"), with_body(command, &PASSWORD.repeat(20)));
    }
    all
}

/// Whether three octets in a row of a text or password stand in it.
fn tells(octets: &[u8]) -> bool {
    let secrets = [PASSWORD, TEXT];
    let mut parts = secrets.iter().flat_map(|secret| secret.windows(3));
    parts.any(|part| octets.windows(3).any(|three| three == part))
}

fn redacted(frame: &[u8], texts: Texts) -> Vec<u8> {
    let mut out = frame.to_vec();
    redact(&mut out, texts, &mut Vec::new());
    out
}

/// What the parser says of a frame that it can parse, texts and passwords by their lengths.
fn shape(frame: &[u8]) -> Option<String> {
    let command = consentry::smpp::Header::of(frame)?.command;
    let lengths =
        |tlvs: Tlvs<'_>| tlvs.iter().map(|tlv| (tlv.tag, tlv.value.len())).collect::<Vec<_>>();
    Some(match command {
        Command::BindReceiver | Command::BindTransmitter | Command::BindTransceiver => {
            let bind = Bind::parse(frame).ok()?;
            format!("{bind:?} {}", bind.password.len())
        }
        Command::Outbind => {
            let outbind = Outbind::parse(frame).ok()?;
            format!("{:?} {}", outbind.system_id, outbind.password.len())
        }
        Command::SubmitSm | Command::DeliverSm | Command::DataSm | Command::SubmitMulti => {
            let message = match command {
                Command::DataSm => Message::parse_data_sm(frame).ok()?,
                Command::SubmitMulti => SubmitMulti::parse(frame).ok()?.message,
                _ => Message::parse(frame).ok()?,
            };
            let (text, tlvs) = (message.short_message.len(), lengths(message.tlvs));
            let rest = Message { short_message: b"", tlvs: Tlvs::NONE, ..message };
            format!("{rest:?} {text} {tlvs:?}")
        }
        Command::ReplaceSm => {
            let replace = ReplaceSm::parse(frame).ok()?;
            let (text, tlvs) = (replace.short_message.len(), lengths(replace.tlvs));
            let rest = ReplaceSm { short_message: b"", tlvs: Tlvs::NONE, ..replace };
            format!("{rest:?} {text} {tlvs:?}")
        }
        _ => return None,
    })
}

#[test]
fn no_octet_of_a_text_or_password_is_kept_in_any_command() {
    let carriers = carriers();
    for &command in Command::ALL {
        let name = format!("{command}");
        let carries = carriers.iter().filter(|(carrier, _)| carrier.starts_with(&name)).count();
        assert!(carries >= 2, "{name}");
    }
    for (name, frame) in &carriers {
        assert!(tells(frame), "{name}: it carries one at first");
        let kept = redacted(frame, Texts::Redacted);
        assert!(!tells(&kept), "{name}: {kept:02x?}");
        assert_eq!(kept.len(), frame.len(), "{name}");
        assert_eq!(kept[..16], frame[..16], "{name}: the header is as it came");
        assert_eq!(shape(&kept), shape(frame).or(shape(&kept)), "{name}: it parses as it did");
    }
}

#[test]
fn whole_keeps_texts_of_what_parses_and_no_password() {
    let text = message(Command::SubmitSm, 0, TEXT, &[(Tag(0x1401), b"vendor")]);
    let malformed = with_body(Command::SubmitSm, TEXT);
    let bound = bind(Command::BindReceiver, PASSWORD, b"");
    let unknown = with_body(Command::Unknown(0x0001_0203), TEXT);
    for (name, frame, is_kept) in [
        ("a text", text, true),
        ("what cannot be parsed", malformed, false),
        ("a bind", bound, false),
        ("what nobody can parse", unknown, true),
    ] {
        let kept = redacted(&frame, Texts::Whole);
        assert_eq!(tells(&kept), is_kept, "{name}");
        assert_eq!(kept == frame, is_kept, "{name}");
    }
}

#[test]
fn what_places_a_part_is_kept() {
    let frame = message(
        Command::SubmitSm,
        0x40,
        &headed(),
        &[
            (Tag::SAR_MSG_REF_NUM, &[1, 2]),
            (Tag::SAR_TOTAL_SEGMENTS, &[3]),
            (Tag::SAR_SEGMENT_SEQNUM, &[1]),
            (Tag::RECEIPTED_MESSAGE_ID, b"4711\0"),
        ],
    );
    let kept = redacted(&frame, Texts::Redacted);
    let (was, is) =
        (Message::parse(&frame).expect("parses"), Message::parse(&kept).expect("still"));
    assert_eq!(is.tlvs, was.tlvs);
    assert_eq!(is.short_message[..13], was.short_message[..13], "lengths, references, ports");
    assert!(is.short_message[14..].iter().all(|octet| *octet == FILL));
}

proptest! {
    /// Whatever one octet is changed to, or wherever the PDU is cut, nothing shows.
    #[test]
    fn nothing_shows_of_what_is_damaged(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        value: u8,
        cut in any::<Option<prop::sample::Index>>(),
    ) {
        let carriers = carriers();
        let (name, mut frame) = carriers[which.index(carriers.len())].clone();
        let at = 8 + at.index(frame.len() - 8);
        frame[at] = value;
        if let Some(cut) = cut {
            frame.truncate(16 + cut.index(frame.len() - 15));
            let length = (frame.len() as u32).to_be_bytes();
            frame[..4].copy_from_slice(&length);
        }
        let kept = redacted(&frame, Texts::Redacted);
        prop_assert!(!tells(&kept), "{name}, octet {at} {value:#04x}: {kept:02x?}");
        prop_assert_eq!(kept.len(), frame.len());
    }
}

fn options(folder: &Path, texts: Texts) -> Options {
    Options {
        folder: folder.join("capture"),
        limits: Limits { file_octets: 64 << 20, files: 2 },
        wanted: Wanted { texts, ..Wanted::default() },
    }
}

fn known() -> Known {
    Known { providers: vec!["测试有限公司".to_owned()], rules: "rules".to_owned() }
}

fn wanting(change: impl FnOnce(&mut Wanted)) -> Wanted {
    let mut wanted = Wanted::default();
    change(&mut wanted);
    wanted
}

#[test]
fn what_may_not_be_asked_is_refused_and_touches_no_disk() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let capture = Capture::new(options(folder.path(), Texts::Redacted), known());
    let names = |count: usize| vec!["1".to_owned(); count];
    for (wanted, told) in [
        (
            wanting(|w| w.filter.providers = names(1)),
            "no provider of that name is in the registry: 1",
        ),
        (wanting(|w| w.filter.sources = vec![String::new()]), "a source is 1 to 20"),
        (wanting(|w| w.filter.sources = vec!["1".repeat(21)]), "a source is 1 to 20"),
        (wanting(|w| w.filter.sources = vec!["1 2".to_owned()]), "a source is 1 to 20"),
        (wanting(|w| w.filter.sources = names(65)), "a source is 1 to 20"),
        (
            wanting(|w| w.texts = Texts::Whole),
            "texts are kept whole only where [capture] text says so",
        ),
    ] {
        let fault = capture.start(wanted).map(|_| ()).expect_err(told).to_string();
        assert!(fault.starts_with(told), "{fault}");
    }
    assert!(!folder.path().join("capture").exists());
    let good = wanting(|w| {
        w.filter.providers = vec!["测试有限公司".to_owned()];
        w.filter.sources = names(64);
        w.filter.sources[0] = "1".repeat(20);
    });
    capture.start(good).expect("at its limits");
    assert!(matches!(capture.start(Wanted::default()), Err(StartFault::Running)));
    assert!(capture.stop() && capture.running() == 0);
    let file = folder.path().join("blocked");
    std::fs::write(&file, "").expect("written");
    let blocked = Capture::new(options(&file, Texts::Redacted), known());
    assert!(matches!(blocked.start(Wanted::default()), Err(StartFault::Storage { .. })));
}

/// Puts messages as a session would until the run ends; how many.
fn put_until_the_end(capture: &Capture) -> (u64, Option<End>) {
    let run = capture.run().expect("it runs");
    let anywhere = "192.0.2.1:1".parse().expect("an address");
    let mut stream = Stream::new(anywhere, "192.0.2.2:2775".parse().expect("one"), true, 1);
    stream.open(&run.queue, 1, String::new());
    let frame = message(Command::SubmitSm, 0, TEXT, &[]);
    let mut chosen = Chosen::default();
    let (until, mut count) = (Instant::now() + Duration::from_secs(10), 0);
    while run.ended().is_none() && Instant::now() < until {
        assert!(chosen.from_esme(&Filter::default(), &frame, Some(Verdict::Pass)));
        stream.pdu(&run.queue, Way::In, 1, Note::Passed, &frame);
        count += 1;
        if count % 64 == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    (count, run.ended().map(|ended| ended.end))
}

#[test]
fn a_run_ends_at_its_time_or_size_and_its_files_are_whole() {
    for (wanted, end) in [
        (wanting(|w| w.duration = Some(Duration::from_millis(150))), End::Duration),
        (wanting(|w| w.octets = Some(64 << 10)), End::Size),
    ] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let capture = Capture::new(options(folder.path(), Texts::Redacted), known());
        capture.start(wanted).expect("it starts");
        let (count, ended) = put_until_the_end(&capture);
        assert_eq!((ended, capture.running()), (Some(end), 0));
        let run = capture.run().expect("it ran");
        let written = run.written.load(std::sync::atomic::Ordering::Relaxed);
        assert!(written > 10 && written <= count, "{written} of {count}");
        let file = folder.path().join("capture").join(run.file());
        let octets = std::fs::read(file).expect("a file");
        // Three octets in a row may be a checksum's in a file of this size; six are not.
        let mut parts = TEXT.windows(6);
        assert!(!parts.any(|part| octets.windows(6).any(|six| six == part)));
        let file = pcapng::read(&octets);
        assert_eq!((file.packets.len() as u64, file.dropped), (written + 3, Some(0)));
        assert!(file.comment.contains("text redacted") && file.comment.ends_with("rules"));
        assert_eq!(file.packets[3].comment, "session 1: pass");
        // Each segment begins where the one before it ended.
        let mut next = None;
        for packet in file.packets.iter().skip(3) {
            let (sequence, _, octets) = packet.tcp();
            assert!(next.is_none_or(|next| next == sequence));
            next = Some(sequence.wrapping_add(octets.len() as u32));
        }
        capture.start(Wanted::default()).expect("another may begin");
        assert!(capture.stop());
        assert_eq!(capture.figures().ended.iter().sum::<u64>(), 2);
    }
}
