//! `consentry explain`: one message, what was read in it, which rules looked, which fired.

use std::path::PathBuf;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::knowledge::{self, Loaded};
use super::shown::masked;
use super::{Answer, Failure};
use crate::policy::{self, Facts, Looked, Mode, Rule};
use crate::registry::{Address, Npi, Ton};
use crate::session::{Gathered, gather};
use crate::smpp::message::{Message, WireAddress};
use crate::smpp::write::{self, MessageFields};
use crate::smpp::{Command, CommandStatus, Header, Malformed, frame};
use crate::text;

/// Judges one message as a session would, and shows why. Exit status 0 it passes, 1 it is refused.
#[derive(clap::Args)]
pub struct Args {
    /// The consentry.toml.
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// The system_id that the message comes over.
    #[arg(long)]
    system_id: String,
    /// A submit_sm, deliver_sm or data_sm, whole, in hexadecimal.
    #[arg(long, value_name = "PDU", conflicts_with_all = ["source", "dest", "text"])]
    hex: Option<String>,
    /// Instead of a PDU: the source address.
    #[arg(long, requires = "dest")]
    source: Option<String>,
    /// The destination address.
    #[arg(long, requires = "source")]
    dest: Option<String>,
    /// The text, sent as UCS2.
    #[arg(long, default_value = "")]
    text: String,
    /// One JSON object.
    #[arg(long)]
    json: bool,
    /// Show numbers whole.
    #[arg(long)]
    unmask: bool,
}

/// Explains the message.
pub fn run(args: Args) -> Result<Answer, Failure> {
    let loaded = knowledge::load(&args.config)?;
    let pdu = pdu(&args)?;
    let header = match frame::cut(&pdu, loaded.knowledge.pdu_octets_max)? {
        Some(length) if length == pdu.len() => Header::of(&pdu),
        Some(_) | None => None,
    };
    let header = header.ok_or_else(|| {
        Failure(format!(
            "--hex: {} octets are not one whole PDU: see its command_length",
            pdu.len()
        ))
    })?;
    let message = match header.command {
        Command::SubmitSm | Command::DeliverSm => Message::parse(&pdu),
        Command::DataSm => Message::parse_data_sm(&pdu),
        other => {
            let why = "is judged by its place alone; give a submit_sm or a data_sm";
            return Err(Failure(format!("--hex: {other} {why}")));
        }
    };
    match message {
        Ok(message) => Ok(explain(&args, &loaded, header, &pdu, &message)),
        Err(malformed) => {
            refuse_malformed(&args, &loaded, header, &pdu, malformed);
            Ok(Answer::No)
        }
    }
}

fn refuse_malformed(
    args: &Args,
    loaded: &Loaded,
    header: Header,
    pdu: &[u8],
    malformed: Malformed,
) {
    let (rule, status) = (Rule::PduMalformed, malformed.status());
    if args.json {
        let mut line = json_line(args, header, pdu, None);
        line["verdict"] = "refuse".into();
        line["rule"] = rule.name().into();
        line["article"] = rule.article(loaded.knowledge.rule_set).into();
        line["status"] = status.to_string().into();
        println!("{line}");
    } else {
        println!("refuse  {}  {status}  {malformed}", rule.name());
    }
}

fn pdu(args: &Args) -> Result<Vec<u8>, Failure> {
    if let Some(hex) = &args.hex {
        return octets(hex)
            .ok_or_else(|| Failure("--hex: not an even number of hexadecimal digits".to_owned()));
    }
    let (Some(source), Some(dest)) = (&args.source, &args.dest) else {
        return Err(Failure("give --hex PDU, or --source, --dest and --text".to_owned()));
    };
    let text: Vec<u8> = args.text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let fields = MessageFields {
        source: WireAddress { ton: 0, npi: 1, value: source.as_bytes() },
        destination: WireAddress { ton: 0, npi: 1, value: dest.as_bytes() },
        esm_class: 0,
        registered_delivery: 0,
        data_coding: 8,
        short_message: &text,
    };
    let mut pdu = Vec::new();
    write::message(&mut pdu, Command::SubmitSm, 1, fields, |_| {});
    Ok(pdu)
}

fn octets(hex: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> = hex
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16))
        .collect::<Option<_>>()?;
    let (pairs, odd) = digits.as_chunks::<2>();
    odd.is_empty().then(|| pairs.iter().map(|[high, low]| (high * 16 + low) as u8).collect())
}

fn explain(
    args: &Args,
    loaded: &Loaded,
    header: Header,
    pdu: &[u8],
    message: &Message<'_>,
) -> Answer {
    let knowledge = &loaded.knowledge;
    let gathered = gather(message);
    let provider = knowledge.registry.provider_of(args.system_id.as_bytes());
    let wire = |a: &WireAddress<'_>| (Ton(a.ton), Npi(a.npi));
    let (ton, npi) = wire(&message.source);
    let source = Address { ton, npi, value: message.source.value };
    let (ton, npi) = wire(&message.destination);
    let destination = Address { ton, npi, value: message.destination.value };
    let now_us = u64::try_from(jiff::Timestamp::now().as_microsecond()).unwrap_or(0);
    let mut facts = Facts::fetch(&knowledge.registry, now_us, provider, &source, &destination);
    facts.second_sender = gathered.second_sender;
    facts.two_bodies = gathered.two_bodies;
    let decision = policy::decide(&facts, &knowledge.modes);
    let fired = decision.refused.or(decision.observed.first());
    let verdict = match (decision.refused, fired) {
        (Some(_), _) => "refuse",
        (None, Some(_)) => "observe",
        (None, None) => "pass",
    };
    let status =
        decision.refused.map_or(CommandStatus::ESME_ROK, |reason| knowledge.statuses.of(reason));
    let article = fired.map(|reason| reason.rule().article(knowledge.rule_set));
    if args.json {
        let rule = fired.map(|reason| reason.rule().name());
        let mut line = json_line(args, header, pdu, Some((message, &gathered)));
        line["verdict"] = verdict.into();
        line["rule"] = rule.into();
        line["article"] = article.into();
        line["status"] = status.to_string().into();
        println!("{line}");
    } else {
        show(args, loaded, header, message, &gathered, &facts);
        let rule = fired.map_or("", |reason| reason.rule().name());
        println!("\n{verdict}  {rule}  {status}");
        if let (Some(reason), Some(article)) = (fired, article) {
            println!("{}\n{article}", reason.detail());
        }
    }
    if decision.refused.is_some() { Answer::No } else { Answer::Yes }
}

fn json_line(
    args: &Args,
    header: Header,
    pdu: &[u8],
    read: Option<(&Message<'_>, &Gathered)>,
) -> Value {
    let part = read.and_then(|(_, gathered)| gathered.part);
    let masked = |address: &WireAddress<'_>| masked(address.value, args.unmask);
    let digest: String = Sha256::digest(pdu).iter().map(|octet| format!("{octet:02x}")).collect();
    json!({
        "trace": null,
        "stream": null,
        "index": 0,
        "time": null,
        "system_id": args.system_id,
        "command": header.command.to_string(),
        "sequence_number": header.sequence_number,
        "source": read.map(|(message, _)| masked(&message.source)),
        "destination": read.map(|(message, _)| masked(&message.destination)),
        "class": null,
        "parts": part.map(|part| [part.number, part.total]),
        "octets": header.command_length,
        "sha256": digest,
    })
}

fn show(
    args: &Args,
    loaded: &Loaded,
    header: Header,
    message: &Message<'_>,
    gathered: &Gathered,
    facts: &Facts<'_>,
) {
    println!("command      {} of {} octets", header.command, header.command_length);
    for (name, address) in [("source", &message.source), ("destination", &message.destination)] {
        let shown = masked(address.value, args.unmask);
        println!("{name:<12} {shown}  TON {} NPI {}", address.ton, address.npi);
    }
    println!("provider     {}", facts.provider.map_or("unknown", |(_, one)| one.name.as_str()));
    if let Some(part) = gathered.part {
        println!("part         {} of {}, reference {}", part.number, part.total, part.reference);
    }
    println!("text         {}", decoded(loaded, message));
    println!("\nrules, in the order in which they look:");
    for look in policy::trace(facts, &loaded.knowledge.modes) {
        let found = match look.looked {
            Looked::Off => "off".to_owned(),
            Looked::Clear => "nothing against it".to_owned(),
            Looked::Fired(reason) if look.mode == Mode::Observe => {
                format!("would refuse (observed): {}", reason.detail())
            }
            Looked::Fired(reason) => format!("refuses: {}", reason.detail()),
            Looked::Unreached => "not asked any more".to_owned(),
        };
        println!("  {:<24} {found}", look.rule.name());
    }
}

/// The text as the handset shows it, on the first listener's route.
fn decoded(loaded: &Loaded, message: &Message<'_>) -> String {
    let mut out = String::new();
    let options = loaded.config.listen.first().map(knowledge::text_options).unwrap_or_default();
    let read = text::Body::split(message.text_octets(), message.has_udh())
        .and_then(|body| text::decode(body, message.data_coding, options, &mut out));
    match read {
        Ok(_) => out.escape_debug().to_string(),
        Err(fault) => format!("{} ({fault})", out.escape_debug()),
    }
}
