//! A record of the journal as one JSON object, whose keys are stable, and as a line for reading.

use serde_json::{Value, json};

use super::shown::{masked, time};
use crate::audit::{
    self, BindRecord, Found, Kept, Kind, Record, ReplyRecord, ResponseRecord, VerdictRecord,
};
use crate::content::Class;
use crate::policy::{Rule, RuleSet};
use crate::session::EndReason;
use crate::smpp::{Command, CommandStatus};

/// What a search found: the record, who sent it, and what became of it.
pub(super) fn line(found: &Found, unmask: bool) -> Value {
    match found {
        Found::Bind { bind } => fields(bind, unmask),
        Found::Reply { reply } => fields(reply, unmask),
        Found::Message { verdict, answer, bind } => {
            let mut line = fields(verdict, unmask);
            if let Some(bind) = bind
                && let Record::Bind(record) = bind.record()
            {
                line["provider"] = record.provider.into();
                line["system_id"] = record.system_id.escape_ascii().to_string().into();
            }
            let became = match answer {
                audit::Answer::Refused => json!("refused"),
                audit::Answer::Unknown => json!("unknown"),
                audit::Answer::Unanswered(_) => json!("unanswered"),
                audit::Answer::Response(kept) => {
                    if let Record::Response(response) = kept.record() {
                        line["message_id"] = response.message_id.escape_ascii().to_string().into();
                        line["response_status"] = status(response.status);
                        line["latency_us"] = response.latency_us.into();
                    }
                    json!("answered")
                }
            };
            line["became"] = became;
            line
        }
    }
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
        Record::Unknown { kind, form, .. } => {
            line["code"] = kind.into();
            line["form"] = form.into();
            "unknown"
        }
    };
    line["kind"] = kind.into();
    line
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
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// A result for reading: the values that are there, in a fixed order.
pub(super) fn plain(line: &Value) -> String {
    const KEYS: [&str; 13] = [
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
        "became",
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
