//! A record of the journal as one JSON object, whose keys are stable, and as a line for reading.

use serde_json::{Value, json};

use super::shown::{masked, time};
use crate::archive::text_of;
use crate::audit::{
    self, BindRecord, ConsentRecord, ContentRecord, Found, Kept, KeysRecord, Kind, ReceiptRecord,
    Record, ReplyRecord, ResponseRecord, VerdictRecord,
};
use crate::consent::{Cause, Source};
use crate::content::Class;
use crate::policy::{ConsentClass, Review, Rule, RuleSet};
use crate::session::EndReason;
use crate::smpp::{Command, CommandStatus};

/// What a search found: the record, who sent it, and what became of it.
pub(super) fn line(found: &Found, unmask: bool) -> Value {
    match found {
        Found::Bind { bind } => fields(bind, unmask),
        Found::Reply { reply, .. } => fields(reply, unmask),
        Found::Consent { consent } => fields(consent, unmask),
        Found::Message { verdict, answer, bind, receipts, .. } => {
            let mut line = fields(verdict, unmask);
            if let Some(bind) = bind
                && let Record::Bind(record) = bind.record()
            {
                line["provider"] = record.provider.into();
                line["system_id"] = record.system_id.escape_ascii().to_string().into();
            }
            let became = match answer {
                audit::Answer::Refused => "refused",
                audit::Answer::Unknown => "unknown",
                audit::Answer::Unanswered(_) => "unanswered",
                audit::Answer::Response(response) => answered(&mut line, response, response),
                audit::Answer::Unsuccess { response, unsuccess } => {
                    answered(&mut line, response, unsuccess)
                }
            };
            if !receipts.is_empty() {
                line["receipts"] = receipts.iter().map(|one| receipt_line(one, unmask)).collect();
                line["state"] = receipts.iter().rev().find_map(state_of).into();
            }
            line["became"] = became.into();
            line
        }
    }
}

/// What the SMSC answered; of a submit_multi, the status of the destination that it did not take.
fn answered(line: &mut Value, response: &Kept, status_of: &Kept) -> &'static str {
    if let Record::Response(record) = response.record() {
        line["message_id"] = record.message_id.escape_ascii().to_string().into();
        line["latency_us"] = record.latency_us.into();
    }
    line["response_status"] = match status_of.record() {
        Record::Response(record) => status(record.status),
        Record::Unsuccess(record) => status(record.status),
        _ => Value::Null,
    };
    "answered"
}

/// A receipt beside its message: what the message says already is left out.
fn receipt_line(kept: &Kept, unmask: bool) -> Value {
    let mut line = fields(kept, unmask);
    if let Some(line) = line.as_object_mut() {
        for key in ["kind", "source", "destination"] {
            line.remove(key);
        }
    }
    line
}

/// The state that a receipt names.
fn state_of(kept: &Kept) -> Option<&'static str> {
    match kept.record() {
        Record::Receipt(record) => record.state_name(),
        _ => None,
    }
}

fn consent(line: &mut Value, record: &ConsentRecord<'_>, unmask: bool) -> &'static str {
    let named = |name: &str| (!name.is_empty()).then(|| name.to_owned());
    line["event"] = (record.event > 0).then_some(record.event).into();
    line["happened"] = record.happened_name().into();
    line["happened_time"] = time(record.happened_us).into();
    line["source_of_event"] = Source::from_code(record.source).map(Source::name).into();
    line["cause"] = Cause::from_code(record.cause).map(Cause::name).into();
    let review = usize::from(record.review).checked_sub(1).and_then(|at| Review::ALL.get(at));
    line["review"] = review.map(|review| review.name()).into();
    let class = usize::from(record.class).checked_sub(1).and_then(|at| ConsentClass::ALL.get(at));
    line["class"] = class.map(|class| class.name()).into();
    line["until"] = (record.until_us > 0).then(|| time(record.until_us)).into();
    line["destination"] =
        (!record.recipient.raw.is_empty()).then(|| masked(record.recipient.raw, unmask)).into();
    line["entity"] = named(record.entity).into();
    line["scope"] = named(record.scope).into();
    line["proof_sha256"] = (!record.proof.is_empty()).then(|| hex(record.proof)).into();
    line["count"] = record.count.into();
    line["id"] = named(record.id).into();
    Kind::Consent.name()
}

fn receipt(line: &mut Value, record: &ReceiptRecord<'_>, unmask: bool) -> &'static str {
    let octets = |octets: &[u8]| (!octets.is_empty()).then(|| octets.escape_ascii().to_string());
    line["session"] = record.session.into();
    line["command"] = command(record.command_id);
    line["sequence_number"] = record.sequence_number.into();
    line["source"] = masked(record.source.raw, unmask).into();
    line["destination"] = masked(record.destination.raw, unmask).into();
    line["state"] = record.state_name().into();
    line["message_id"] = record.message_id.escape_ascii().to_string().into();
    line["message_id_of_text"] = octets(record.text_id).into();
    line["stat"] = octets(record.stat).into();
    line["err"] = octets(record.error).into();
    let [network, high, low] = record.network_error;
    line["network_error"] = (record.network_error != [0; 3])
        .then(|| json!([network, u16::from_be_bytes([high, low])]))
        .into();
    line["submit_date"] = ReceiptRecord::date(record.submitted).into();
    line["done_date"] = ReceiptRecord::date(record.done).into();
    line["intermediate"] = record.is_intermediate().into();
    line["kept_back"] = (record.flags & ReceiptRecord::KEPT_BACK != 0).into();
    Kind::Receipt.name()
}

/// One record, whatever its kind.
pub(super) fn fields(kept: &Kept, unmask: bool) -> Value {
    let mut line = json!({ "record": kept.number, "time": time(kept.time_us) });
    let kind = match kept.record() {
        Record::Verdict(verdict) => message(&mut line, kept, &verdict, unmask),
        Record::Bind(record) => bind(&mut line, kept, &record),
        Record::Response(record) => response(&mut line, &record),
        Record::Unanswered(record) => {
            line["session"] = record.session.into();
            line["command"] = command(record.command_id);
            line["sequence_number"] = record.sequence_number.into();
            line["verdict_time"] = time(record.verdict_us).into();
            Kind::Unanswered.name()
        }
        Record::End(record) => {
            line["session"] = record.session.into();
            line["reason"] = EndReason::from_code(record.reason).map(EndReason::name).into();
            line["forwarded"] = record.forwarded.into();
            line["refused"] = record.refused.into();
            line["unanswered"] = record.unanswered.into();
            Kind::End.name()
        }
        Record::Reply(record) => {
            line["session"] = record.session.into();
            line["command"] = command(record.command_id);
            line["sequence_number"] = record.sequence_number.into();
            line["source"] = masked(record.source.raw, unmask).into();
            line["destination"] = masked(record.destination.raw, unmask).into();
            line["says"] = match record.reply {
                ReplyRecord::OPT_OUT => "opt-out",
                ReplyRecord::OPT_IN => "opt-in",
                _ => "unknown",
            }
            .into();
            line["data_coding"] = record.data_coding.into();
            // A person's words: whole only where they were asked for.
            line["text"] = unmask.then(|| hex(record.text)).into();
            Kind::Reply.name()
        }
        Record::Receipt(record) => receipt(&mut line, &record, unmask),
        Record::Unsuccess(record) => {
            line["session"] = record.session.into();
            line["sequence_number"] = record.sequence_number.into();
            line["destination"] = masked(record.destination.raw, unmask).into();
            line["status"] = status(record.status);
            Kind::Unsuccess.name()
        }
        Record::Consent(record) => consent(&mut line, &record, unmask),
        Record::Registry(record) => {
            line["before"] = hex(&record.before).into();
            line["rules"] = hex(&record.rules).into();
            line["registry"] = hex(&record.registry).into();
            line["providers"] = record.providers.into();
            line["codes"] = record.codes.into();
            line["reading"] = record.reading.into();
            Kind::Registry.name()
        }
        Record::Access(record) => {
            line["user"] = record.user.into();
            line["name"] = record.name.into();
            line["command"] = record.command.into();
            line["asked"] = record.asked.into();
            line["unmasked"] = record.is_unmasked.into();
            Kind::Access.name()
        }
        Record::Start(record) => {
            line["program"] = record.program.into();
            line["reading"] = record.reading.into();
            line["rule_set"] = record.rule_set.into();
            line["config"] = hex(&record.config).into();
            line["rules"] = hex(&record.rules).into();
            Kind::Start.name()
        }
        Record::Rules(record) => {
            line["rule_set"] = record.rule_set.into();
            line["rules"] = hex(&record.rules).into();
            Kind::Rules.name()
        }
        Record::Stop => Kind::Stop.name(),
        Record::Link(record) => {
            line["first"] = record.first.into();
            line["count"] = record.count.into();
            line["sealed"] = record.sealed.into();
            line["chain"] = hex(&record.chain).into();
            Kind::Link.name()
        }
        Record::Purge(purge) => {
            line["segment"] = purge.sequence.into();
            line["first"] = purge.first.into();
            line["next"] = purge.next.into();
            line["newest"] = time(purge.newest_us).into();
            line["messages"] = purge.messages.into();
            line["kept"] = purge.kept.into();
            line["chain"] = hex(&purge.chain).into();
            line["root"] = hex(&purge.root).into();
            line["by"] = purge.by.into();
            Kind::Purge.name()
        }
        Record::Hold(hold) => {
            line["hold"] = hold.id.into();
            line["event"] = hold.event().into();
            line["from"] = time(hold.from_us).into();
            line["until"] = time(hold.until_us).into();
            line["segments"] = hold.firsts().collect::<Vec<_>>().into();
            line["reason"] = hold.reason.into();
            line["by"] = hold.by.into();
            Kind::Hold.name()
        }
        Record::Checkpoint(signed) => {
            let checkpoint = &signed.checkpoint;
            line["segment"] = checkpoint.segment.into();
            line["first"] = checkpoint.first.into();
            line["size"] = checkpoint.size.into();
            line["root"] = hex(&checkpoint.root).into();
            line["chain"] = hex(&checkpoint.chain).into();
            line["key"] = hex(&checkpoint.key).into();
            line["signature"] = hex(&signed.signature).into();
            Kind::Checkpoint.name()
        }
        Record::Keys(record) => keys(&mut line, &record),
        Record::Content(record) => content(&mut line, kept, &record, unmask),
        Record::Unknown { kind, form, .. } => {
            line["code"] = kind.into();
            line["form"] = form.into();
            "unknown"
        }
    };
    line["kind"] = kind.into();
    if let Some(gone) = &kept.gone {
        // Not known is another thing than empty.
        for number in ["source", "destination"] {
            if line[number].is_string() {
                line[number] = Value::Null;
            }
        }
        line["unreadable"] = gone.to_string().into();
    }
    line
}

/// What a message says: whole where it can be read and was asked for.
fn content(
    line: &mut Value,
    kept: &Kept,
    record: &ContentRecord<'_>,
    unmask: bool,
) -> &'static str {
    line["session"] = record.session.into();
    line["command"] = command(record.command_id);
    line["sequence_number"] = record.sequence_number.into();
    line["data_coding"] = record.data_coding.into();
    line["is_cut"] = (record.flags & ContentRecord::CUT != 0).into();
    if kept.gone.is_none() && unmask {
        line["content"] = hex(record.octets).into();
        line["text"] = text_of(record).into();
    }
    Kind::Content.name()
}

fn keys(line: &mut Value, record: &KeysRecord<'_>) -> &'static str {
    let is_there = |digest: &[u8; 32]| (*digest != [0; 32]).then(|| hex(digest));
    line["event"] = record.event().into();
    line["numbers_key"] = record.key.into();
    line["numbers_sidecar"] = is_there(&record.numbers).into();
    line["content_sidecar"] = is_there(&record.content).into();
    line["first"] = record.first.into();
    line["through"] = (record.through != 0).then_some(record.through).into();
    line["reason"] = (!record.reason.is_empty()).then_some(record.reason).into();
    Kind::Keys.name()
}

fn message(line: &mut Value, kept: &Kept, v: &VerdictRecord<'_>, unmask: bool) -> &'static str {
    line["session"] = v.session.into();
    line["command"] = command(v.command_id);
    line["sequence_number"] = v.sequence_number.into();
    line["source"] = masked(v.source.raw, unmask).into();
    line["destination"] = masked(v.destination.raw, unmask).into();
    line["octets"] = v.command_length.into();
    if let Some(part) = v.part {
        line["parts"] = json!([part.number, part.total]);
    }
    let class = usize::from(v.class).checked_sub(1).and_then(|at| Class::ALL.get(at));
    line["class"] = class.map(|class| class.family()).into();
    line["consent_event"] = (v.consent != 0).then_some(v.consent).into();
    if v.asks_receipt {
        line["asks_receipt"] = true.into();
    }
    if !v.references.is_empty() {
        let shown = |id: &[u8]| (!id.is_empty()).then(|| id.escape_ascii().to_string());
        line["references"] = json!({
            "entity": shown(v.references.entity),
            "template": shown(v.references.template),
            "consent": shown(v.references.consent),
        });
    }
    decision(line, kept, (v.verdict, v.rule, v.status));
    Kind::Verdict.name()
}

fn bind(line: &mut Value, kept: &Kept, b: &BindRecord<'_>) -> &'static str {
    line["session"] = b.session.into();
    line["command"] = command(b.command_id);
    line["provider"] = b.provider.into();
    line["system_id"] = b.system_id.escape_ascii().to_string().into();
    line["peer"] = b.peer.to_string().into();
    line["listener"] = b.listener.into();
    decision(line, kept, (b.verdict, b.rule, b.status));
    Kind::Bind.name()
}

fn response(line: &mut Value, record: &ResponseRecord<'_>) -> &'static str {
    line["session"] = record.session.into();
    line["command"] = command(record.command_id);
    line["sequence_number"] = record.sequence_number.into();
    line["status"] = status(record.status);
    line["latency_us"] = record.latency_us.into();
    line["message_id"] = record.message_id.escape_ascii().to_string().into();
    Kind::Response.name()
}

/// The article is that of the rule set under which the record was made.
fn decision(line: &mut Value, kept: &Kept, (verdict, rule, code): (u8, u8, u32)) {
    line["verdict"] = match verdict {
        audit::PASS => "pass",
        audit::REFUSE => "refuse",
        audit::OBSERVE => "observe",
        _ => "unknown",
    }
    .into();
    let rule = Rule::from_code(rule);
    let rule_set = RuleSet::from_name(&kept.rule_set);
    line["rule"] = rule.map(Rule::name).into();
    line["rule_set"] = (*kept.rule_set).into();
    line["reading"] = (!kept.reading.is_empty()).then_some(&*kept.reading).into();
    line["article"] = rule.zip(rule_set).map(|(rule, set)| rule.article(set)).into();
    line["status"] = status(code);
}

fn command(id: u32) -> Value {
    Command::of(id).to_string().into()
}

fn status(code: u32) -> Value {
    CommandStatus(code).to_string().into()
}

/// Octets as hexadecimal digits.
pub(super) fn hex(octets: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value & 0xf)]);
    octets.iter().flat_map(|octet| [digit(octet >> 4), digit(*octet)]).collect()
}

/// A result for reading: the values that are there, in a fixed order.
pub(super) fn plain(line: &Value) -> String {
    const KEYS: [&str; 17] = [
        "node",
        "record",
        "time",
        "session",
        "system_id",
        "command",
        "source",
        "destination",
        "verdict",
        "rule",
        "status",
        "happened",
        "entity",
        "became",
        "state",
        "message_id",
        "kind",
    ];
    let shown = KEYS.iter().filter_map(|key| match line.get(key)? {
        Value::Null => None,
        Value::String(text) if text.is_empty() => Some("-".to_owned()),
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    });
    shown.collect::<Vec<_>>().join("  ")
}
