//! `consentry explain`: one message, what was read in it, which rules looked, which fired.

use std::path::PathBuf;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::knowledge::{self, Loaded};
use super::shown::{masked, time};
use super::{Answer, Failure, consent};
use crate::content::{Normal, Reading, Scratch, signatures};
use crate::policy::{
    self, Consent, Facts, Looked, Mode, Nature, Parts, Rule, SecondSender, Standing,
};
use crate::registry::{Address, Allotment, Npi, Ton};
use crate::session::{Desk, Gathered, gather, unread};
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
    /// The text, sent as UCS2; without it, the rules on texts see none.
    #[arg(long)]
    text: Option<String>,
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
    let read = message.and_then(|message| Ok((message, gather(&message)?)));
    match read {
        Ok((message, gathered)) => Ok(explain(&args, &loaded, header, &pdu, (&message, gathered))),
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
    let text: Vec<u8> =
        args.text.iter().flat_map(|text| text.encode_utf16()).flat_map(u16::to_be_bytes).collect();
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

/// All that was found out about the message.
struct Found<'a> {
    message: &'a Message<'a>,
    gathered: Gathered,
    facts: Facts<'a>,
    text: String,
    undecodable: Option<text::Undecodable>,
    reading: Option<Reading>,
    keyword: Option<String>,
    consent: Asked,
}

/// What was asked of the ledger.
enum Asked {
    /// Nothing: the message needs no consent.
    Nothing,
    /// How they stand.
    Known(Standing),
    /// It could not be asked.
    Unavailable(String),
}

fn explain(
    args: &Args,
    loaded: &Loaded,
    header: Header,
    pdu: &[u8],
    (message, gathered): (&Message<'_>, Gathered),
) -> Answer {
    let knowledge = &loaded.knowledge;
    let found = find(args, loaded, message, gathered);
    let decision = policy::decide(&found.facts, &knowledge.modes);
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
        let mut line = json_line(args, header, pdu, Some((message, &found.gathered)));
        line["class"] = found.reading.map(|reading| reading.class.family()).into();
        line["verdict"] = verdict.into();
        line["rule"] = rule.into();
        line["article"] = article.into();
        line["status"] = status.to_string().into();
        println!("{line}");
    } else {
        show(args, loaded, header, &found);
        let rule = fired.map_or("", |reason| reason.rule().name());
        println!("\n{verdict}  {rule}  {status}");
        if let (Some(reason), Some(article)) = (fired, article) {
            println!("{}\n{article}", reason.detail());
        }
    }
    if decision.refused.is_some() { Answer::No } else { Answer::Yes }
}

/// Finds out what a session would, on the first listener's route. A part of a long message is read
/// by itself: what came before it is not known here.
fn find<'a>(
    args: &Args,
    loaded: &'a Loaded,
    message: &'a Message<'a>,
    gathered: Gathered,
) -> Found<'a> {
    let knowledge = &loaded.knowledge;
    let provider = knowledge.registry.provider_of(args.system_id.as_bytes());
    let of = |a: &WireAddress<'a>| Address { ton: Ton(a.ton), npi: Npi(a.npi), value: a.value };
    let (source, destination) = (of(&message.source), of(&message.destination));
    let now_us = u64::try_from(jiff::Timestamp::now().as_microsecond()).unwrap_or(0);
    let mut facts = Facts::fetch(&knowledge.registry, now_us, provider, &source, &destination);
    gathered.put(&mut facts, message);
    let listen = loaded.config.listen.first();
    let strips = listen.is_some_and(|one| one.second_sender == crate::config::SecondSender::Strip);
    if strips && gathered.can_be_stripped() {
        facts.second_sender = Some(SecondSender::Stripped);
    }
    let unsaid = args.hex.is_none() && args.text.is_none();
    facts.no_body &= !unsaid;
    facts.review = knowledge.review;
    facts.horizon = knowledge.horizon;
    if let Err(fault) = gathered.concatenation {
        facts.parts = if fault.is_limit() { Parts::Limit } else { Parts::Malformed };
    }
    let mut text = String::new();
    let options = loaded.config.listen.first().map(knowledge::text_options).unwrap_or_default();
    let read = text::Body::split(message.text_octets(), message.has_udh())
        .and_then(|body| text::decode(body, message.data_coding, options, &mut text));
    let (mut reading, mut keyword) = (None, None);
    let asked = knowledge.texts.is_asked() && !facts.no_body && !unsaid;
    if asked && read.is_ok() {
        let is_whole = gathered.part().is_none_or(|part| part.total == 1);
        let heard = knowledge.texts.said(&facts, &text, is_whole, &mut Desk::default());
        facts.text = heard.text;
        keyword = heard.keyword.map(|keyword| keyword.as_str().to_owned());
        reading = Some(knowledge.texts.reader().read(&text, &mut Scratch::default()));
    } else if asked {
        facts.text = read.err().map_or(policy::Text::Unread, unread);
    }
    let consent = ask(loaded, &mut facts);
    Found { message, gathered, facts, text, undecodable: read.err(), reading, keyword, consent }
}

/// Asks the ledger as a session would: the running proxy, or the store when none runs.
fn ask(loaded: &Loaded, facts: &mut Facts<'_>) -> Asked {
    if policy::nature(facts) == Nature::Other || !loaded.knowledge.texts.is_asked() {
        return Asked::Nothing;
    }
    facts.consent = Some(Consent::Unavailable);
    let (Some((_, provider)), Ok(recipient)) = (facts.provider, facts.recipient) else {
        return Asked::Nothing;
    };
    let scope = match facts.allotment {
        Allotment::Code(_, code) => code.scope.as_str(),
        Allotment::None | Allotment::Alphanumeric(_) => "",
    };
    match consent::standing(&loaded.config, &provider.name, recipient.msisdn, scope) {
        Ok(standing) => {
            facts.consent = Some(Consent::Known(standing));
            Asked::Known(standing)
        }
        Err(failure) => Asked::Unavailable(failure.0),
    }
}

fn json_line(
    args: &Args,
    header: Header,
    pdu: &[u8],
    read: Option<(&Message<'_>, &Gathered)>,
) -> Value {
    let part = read.and_then(|(_, gathered)| gathered.part());
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

fn show(args: &Args, loaded: &Loaded, header: Header, found: &Found<'_>) {
    let Found { message, gathered, facts, .. } = found;
    println!("command      {} of {} octets", header.command, header.command_length);
    for (name, address) in [("source", &message.source), ("destination", &message.destination)] {
        let shown = masked(address.value, args.unmask);
        println!("{name:<12} {shown}  TON {} NPI {}", address.ton, address.npi);
    }
    println!("provider     {}", facts.provider.map_or("unknown", |(_, one)| one.name.as_str()));
    if let Allotment::Code(_, code) = facts.allotment {
        let number = masked(code.number.as_bytes(), args.unmask);
        println!("code         {number}, {}", code.purpose.name());
    }
    if let Some(part) = gathered.part() {
        println!("part         {} of {}, reference {}", part.number, part.total, part.reference);
    }
    show_text(loaded, found);
    show_consent(&found.consent);
    println!("\nrules, in the order in which they look:");
    for look in policy::trace(facts, &loaded.knowledge.modes) {
        let looked = match look.looked {
            Looked::Off => "off".to_owned(),
            Looked::Clear => "nothing against it".to_owned(),
            Looked::Fired(reason) if look.mode == Mode::Observe => {
                format!("would refuse (observed): {}", reason.detail())
            }
            Looked::Fired(reason) if reason.is_noted() => format!("notes: {}", reason.detail()),
            Looked::Fired(reason) => format!("refuses: {}", reason.detail()),
            Looked::Unreached => "not asked any more".to_owned(),
        };
        println!("  {:<24} {looked}", look.rule.name());
    }
}

fn show_text(loaded: &Loaded, found: &Found<'_>) {
    match found.undecodable {
        None => println!("text         {}", found.text.escape_debug()),
        Some(fault) => println!("text         {} ({fault})", found.text.escape_debug()),
    }
    let texts = &loaded.knowledge.texts;
    let mut normal = Normal::default();
    if let Allotment::Code(at, _) = found.facts.allotment
        && let Some(templates) = texts.templates(at.code)
    {
        for (what, set) in [("template", &templates.service), ("request", &templates.requests)] {
            let Some(set) = set else { continue };
            match set.matches(&found.text, &mut normal).and_then(|one| set.origin(one)) {
                Some((file, line)) => println!("{what:<12} {file}:{line}"),
                None => println!("{what:<12} none of {}", set.len()),
            }
        }
    }
    for one in signatures(&found.text).iter() {
        println!("signature    【{}】 {:?}", one.name.escape_debug(), one.place);
    }
    if let Some(one) = texts.prohibited().find(&found.text, &mut normal) {
        println!("listed       {} line {}, version {}", one.file, one.line, one.version);
    }
    if let Some(keyword) = &found.keyword {
        println!("to refuse    reply {keyword}");
    }
    let Some(reading) = &found.reading else { return };
    println!(
        "class        {} ({:.3}), weights {}",
        reading.class,
        reading.score,
        texts.reader().digest()
    );
    for fired in reading.fired() {
        let (feature, span) = (texts.reader().feature(fired.feature), fired.span);
        let said = span.of(&found.text).escape_debug();
        println!("  {:+7.2}  {feature:<28} {}-{} {said}", fired.weight, span.start, span.end);
    }
}

fn show_consent(asked: &Asked) {
    match asked {
        Asked::Nothing => println!("consent      not asked: the message needs none"),
        Asked::Unavailable(why) => println!("consent      cannot be asked: {why}"),
        Asked::Known(standing) => {
            let (state, review) = (standing.state.name(), standing.review.name());
            let until = match standing.until_us {
                Standing::NO_END => "without end".to_owned(),
                until_us => format!("until {}", time(until_us)),
            };
            if standing.event == 0 {
                println!("consent      {state}: nothing on record");
            } else {
                let (event, since) = (standing.event, time(standing.from_us));
                println!(
                    "consent      {state} since {since}, {until}, proof {review}, event {event}"
                );
            }
        }
    }
}
