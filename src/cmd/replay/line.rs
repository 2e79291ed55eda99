//! `replay --json`: one object a judged PDU, whose keys are stable; the same keys as `explain --json`.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::super::record::hex;
use super::super::shown::{masked, time};
use crate::audit::Record;
use crate::policy::{Rule, RuleSet};
use crate::replay::{Decided, Judged, class};
use crate::smpp::{Command, CommandStatus};

/// A verdict as an object.
pub(super) fn line(
    trace: &str,
    judged: &Judged<'_>,
    decided: Decided,
    rule_set: RuleSet,
    unmask: bool,
) -> Value {
    let mut line = json!({
        "trace": trace,
        "stream": judged.stream,
        "index": judged.index,
        "time": time(judged.time_us),
        "system_id": judged.system_id.escape_ascii().to_string(),
        "command": null,
        "sequence_number": null,
        "source": null,
        "destination": null,
        "class": null,
        "parts": null,
        "verdict": decided.verdict.name(),
        "rule": decided.rule.map(Rule::name),
        "article": decided.rule.map(|rule| rule.article(rule_set)),
        "status": CommandStatus(decided.status).to_string(),
        "octets": judged.octets.len(),
        "sha256": hex(&Sha256::digest(judged.octets)),
    });
    match &judged.record {
        Record::Bind(bind) => {
            line["command"] = Command::of(bind.command_id).to_string().into();
            line["sequence_number"] = bind.sequence_number.into();
        }
        Record::Verdict(message) => {
            line["command"] = Command::of(message.command_id).to_string().into();
            line["sequence_number"] = message.sequence_number.into();
            line["source"] = masked(message.source.raw, unmask).into();
            line["destination"] = masked(message.destination.raw, unmask).into();
            line["class"] = class(message.class).map(|class| class.family()).into();
            line["parts"] = message.part.map(|part| [part.number, part.total]).into();
        }
        _ => {}
    }
    line
}

/// The same for reading: who, what, to whom, and why not.
pub(super) fn plain(line: &Value) -> String {
    let text = |key: &str| line[key].as_str().filter(|text| !text.is_empty()).unwrap_or("-");
    format!(
        "{}  {}  {} {}  {} -> {}  {}  {}  {}",
        text("time"),
        text("system_id"),
        text("command"),
        line["sequence_number"],
        text("source"),
        text("destination"),
        text("verdict"),
        text("rule"),
        text("status"),
    )
}
