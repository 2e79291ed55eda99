//! `consentry explain` on the running proxy: the same engine, with the rules and the ledger in force.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::explained::{self, Asked, Bench, Found, Unread};
use super::super::shown::{masked, time};
use crate::admin::console::Fault;
use crate::config::{self, Config};
use crate::consent::{Ledger, Question};
use crate::content::{Normal, signatures};
use crate::policy::{self, Looked, Mode, Rule, Standing};
use crate::proxy::Shared;
use crate::registry::{Allotment, Msisdn};
use crate::session::Knowledge;
use crate::smpp::Header;

/// The longest text, characters of UTF-16: more than ten long messages.
const TEXT_UNITS_MAX: usize = 2_000;
/// The longest address, octets: one more than any address of the specification.
const ADDRESS_OCTETS_MAX: usize = 66;

/// What is asked: a PDU, or its fields.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    system_id: String,
    hex: Option<String>,
    source: Option<String>,
    destination: Option<String>,
    text: Option<String>,
}

/// Judges what is asked as the first listener's sessions would.
pub(super) struct Form {
    shared: Arc<Shared>,
    ledger: Ledger,
    listen: Option<config::Listen>,
}

impl Form {
    /// With what is in force.
    pub fn new(config: &Config, shared: &Arc<Shared>, ledger: &Ledger) -> Form {
        let listen = config.listen.first().cloned();
        Form { shared: shared.clone(), ledger: ledger.clone(), listen }
    }

    /// One object; numbers are masked.
    pub fn answer(&self, body: &[u8]) -> Result<String, Fault> {
        let written: Written =
            serde_json::from_slice(body).map_err(|fault| Fault::Malformed(fault.to_string()))?;
        let pdu = pdu(&written).map_err(|why| Fault::Malformed(why.to_owned()))?;
        let terms = self.shared.in_force.now();
        let knowledge = &terms.knowledge;
        let (header, message, gathered) = match explained::parse(&pdu, knowledge.pdu_octets_max) {
            Ok(read) => read,
            Err(Unread::Malformed(header, malformed)) => {
                let rule = Rule::PduMalformed;
                let mut line = of_header(&header);
                line["verdict"] = "refuse".into();
                line["rule"] = rule.name().into();
                line["article"] = rule.article(knowledge.rule_set).into();
                line["status"] = malformed.status().to_string().into();
                line["detail"] = malformed.to_string().into();
                return Ok(line.to_string());
            }
            Err(unread) => return Err(Fault::Malformed(unread.to_string())),
        };
        let ask = |entity: &str, recipient, scope: &str| self.standing(entity, recipient, scope);
        let bench = Bench { knowledge, listen: self.listen.as_ref(), ask: &ask };
        let is_said = written.hex.is_some() || written.text.is_some();
        let found = explained::find(&bench, &written.system_id, &message, gathered, is_said);
        Ok(shown(knowledge, &header, &found).to_string())
    }

    fn standing(&self, entity: &str, recipient: Msisdn, scope: &str) -> Result<Standing, String> {
        let known = self.ledger.find_entity(entity).zip(self.ledger.find_scope(scope));
        let Some((entity, scope)) = known else { return Ok(Standing::NONE) };
        let question = Question { entity, recipient, scope };
        let standing = self.ledger.standing(&question, self.shared.clock.now().wall_us);
        standing.map_err(|why| why.to_string())
    }
}

fn pdu(written: &Written) -> Result<Vec<u8>, &'static str> {
    match (&written.hex, &written.source, &written.destination) {
        (Some(hex), None, None) if written.text.is_none() => {
            explained::octets(hex).ok_or("hex: not an even number of hexadecimal digits")
        }
        (None, Some(source), Some(destination)) => {
            if source.len().max(destination.len()) > ADDRESS_OCTETS_MAX {
                return Err("source and destination are addresses");
            }
            let text = written.text.as_deref();
            if text.is_some_and(|text| text.encode_utf16().count() > TEXT_UNITS_MAX) {
                return Err("text: longer than 2000 characters");
            }
            Ok(explained::submit(source, destination, text))
        }
        _ => Err("give hex, or source, destination and text"),
    }
}

fn of_header(header: &Header) -> Value {
    json!({ "command": header.command.to_string(), "octets": header.command_length })
}

fn shown(knowledge: &Knowledge, header: &Header, found: &Found<'_>) -> Value {
    let verdict = found.verdict(knowledge);
    let mut line = of_header(header);
    line["source"] = masked(found.message.source.value, false).into();
    line["destination"] = masked(found.message.destination.value, false).into();
    line["provider"] = found.facts.provider.map(|(_, one)| one.name.clone()).into();
    if let Allotment::Code(_, code) = found.facts.allotment {
        line["code"] = json!({ "number": code.number.unmasked(), "purpose": code.purpose.name() });
    }
    line["parts"] = found.gathered.part().map(|part| json!([part.number, part.total])).into();
    text(&mut line, knowledge, found);
    line["consent"] = consent(&found.consent);
    line["verdict"] = verdict.verdict.into();
    line["rule"] = verdict.rule().map(Rule::name).into();
    line["article"] = verdict.rule().map(|rule| rule.article(knowledge.rule_set)).into();
    line["status"] = verdict.status.to_string().into();
    line["detail"] = verdict.fired.map(|reason| reason.detail()).into();
    let looks = policy::trace(&found.facts, &knowledge.modes).into_iter().map(|look| {
        let (looked, detail) = match look.looked {
            Looked::Off => ("off", None),
            Looked::Clear => ("clear", None),
            Looked::Unreached => ("unreached", None),
            Looked::Fired(reason) if look.mode == Mode::Observe => ("observes", Some(reason)),
            Looked::Fired(reason) if reason.is_noted() => ("notes", Some(reason)),
            Looked::Fired(reason) => ("refuses", Some(reason)),
        };
        json!({
            "rule": look.rule.name(),
            "looked": looked,
            "detail": detail.map(|reason| reason.detail()),
        })
    });
    line["looks"] = looks.collect();
    line
}

/// What was read in the text.
fn text(line: &mut Value, knowledge: &Knowledge, found: &Found<'_>) {
    let texts = &knowledge.texts;
    line["text"] = found.text.as_str().into();
    line["undecodable"] = found.undecodable.map(|fault| fault.to_string()).into();
    line["keyword"] = found.keyword.as_deref().into();
    let signed = signatures(&found.text);
    line["signatures"] = signed.iter().map(|one| Value::from(one.name)).collect();
    let mut normal = Normal::default();
    if let Allotment::Code(at, _) = found.facts.allotment
        && let Some(templates) = texts.templates(at.code)
    {
        for (what, set) in [("template", &templates.service), ("request", &templates.requests)] {
            let Some(set) = set else { continue };
            let origin = set.matches(&found.text, &mut normal).and_then(|one| set.origin(one));
            line[what] = match origin {
                Some((file, at)) => format!("{file}:{at}").into(),
                None => format!("none of {}", set.len()).into(),
            };
        }
    }
    let listed = texts.prohibited().find(&found.text, &mut normal);
    line["listed"] = listed.map(|one| format!("{} line {}", one.file, one.line)).into();
    let Some(reading) = &found.reading else { return };
    line["class"] = reading.class.to_string().into();
    line["score"] = f64::from(reading.score).into();
    let features = reading.fired().iter().map(|fired| {
        json!({
            "name": texts.reader().feature(fired.feature),
            "weight": f64::from(fired.weight),
            "said": fired.span.of(&found.text),
        })
    });
    line["features"] = features.collect();
}

fn consent(asked: &Asked) -> Value {
    match asked {
        Asked::Nothing => json!({ "state": "not asked" }),
        Asked::Unavailable(why) => json!({ "state": "unavailable", "why": why }),
        Asked::Known(standing) => json!({
            "state": standing.state.name(),
            "review": standing.review.name(),
            "from": (standing.event != 0).then(|| time(standing.from_us)),
            "until": (standing.until_us != Standing::NO_END && standing.event != 0)
                .then(|| time(standing.until_us)),
            "event": (standing.event != 0).then_some(standing.event),
        }),
    }
}
