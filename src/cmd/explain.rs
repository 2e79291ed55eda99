//! `consentry explain`: one message, what was read in it, which rules looked, which fired.

use std::path::PathBuf;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::explained::{self, Asked, Bench, Found, Unread};
use super::knowledge::{self, Loaded};
use super::shown::{masked, time};
use super::{Answer, Failure, consent};
use crate::content::{Normal, signatures};
use crate::policy::{self, Looked, Mode, Rule, Standing};
use crate::registry::{Allotment, Msisdn};
use crate::session::Gathered;
use crate::smpp::message::{Message, WireAddress};
use crate::smpp::{Header, Malformed};

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
    match explained::parse(&pdu, loaded.knowledge.pdu_octets_max) {
        Ok((header, message, gathered)) => {
            Ok(explain(&args, &loaded, header, &pdu, (&message, gathered)))
        }
        Err(Unread::Malformed(header, malformed)) => {
            refuse_malformed(&args, &loaded, header, &pdu, malformed);
            Ok(Answer::No)
        }
        Err(Unread::Frame(fault)) => Err(fault.into()),
        Err(unread) => Err(Failure(format!("--hex: {unread}"))),
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
        return explained::octets(hex)
            .ok_or_else(|| Failure("--hex: not an even number of hexadecimal digits".to_owned()));
    }
    let (Some(source), Some(dest)) = (&args.source, &args.dest) else {
        return Err(Failure("give --hex PDU, or --source, --dest and --text".to_owned()));
    };
    Ok(explained::submit(source, dest, args.text.as_deref()))
}

fn explain(
    args: &Args,
    loaded: &Loaded,
    header: Header,
    pdu: &[u8],
    (message, gathered): (&Message<'_>, Gathered),
) -> Answer {
    let knowledge = &loaded.knowledge;
    // The running proxy is asked, or the store when none runs.
    let ask = |entity: &str, recipient: Msisdn, scope: &str| {
        consent::standing(&loaded.config, entity, recipient, scope).map_err(|failure| failure.0)
    };
    let bench = Bench { knowledge, listen: loaded.config.listen.first(), ask: &ask };
    let is_said = args.hex.is_some() || args.text.is_some();
    let found = explained::find(&bench, &args.system_id, message, gathered, is_said);
    let verdict = found.verdict(knowledge);
    let article = verdict.rule().map(|rule| rule.article(knowledge.rule_set));
    let rule = verdict.rule().map(Rule::name);
    if args.json {
        let mut line = json_line(args, header, pdu, Some((message, &found.gathered)));
        line["class"] = found.reading.map(|reading| reading.class.family()).into();
        line["verdict"] = verdict.verdict.into();
        line["rule"] = rule.into();
        line["article"] = article.into();
        line["status"] = verdict.status.to_string().into();
        println!("{line}");
    } else {
        show(args, loaded, header, &found);
        println!("\n{}  {}  {}", verdict.verdict, rule.unwrap_or(""), verdict.status);
        if let (Some(reason), Some(article)) = (verdict.fired, article) {
            println!("{}\n{article}", reason.detail());
        }
    }
    if found.decision.refused.is_some() { Answer::No } else { Answer::Yes }
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
