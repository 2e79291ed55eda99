//! A row of a mirror as the JSON object that a search of a journal shows, with the node and the journal beside
//! it. What a mirror does not have is left out: what texts were read with, the fields of an event of consent
//! beyond what its row says.

use serde_json::{Value, json};

use super::super::super::shown::{masked, time};
use crate::archive::{Column, Value as Cell};
use crate::mirror::read::{MirroredRow, Told};

/// What a search found: the record, and what became of it.
pub(super) fn line(told: &Told, unmask: bool) -> Value {
    let row = &told.record;
    let mut line = head(row);
    match row.text(Column::Kind).unwrap_or_default() {
        "verdict" => message(&mut line, told, unmask),
        "bind" => {
            copy(&mut line, row, &[Column::Session, Column::Command, Column::Provider]);
            copy(&mut line, row, &[Column::SystemId, Column::Peer, Column::Listener]);
            decision(&mut line, row);
        }
        "reply" => {
            copy(&mut line, row, &[Column::Session, Column::Command, Column::SequenceNumber]);
            numbers(&mut line, row, unmask);
            copy(&mut line, row, &[Column::Says, Column::DataCoding]);
            line["text"] = unmask.then(|| row.text(Column::TextHex)).flatten().into();
        }
        _ => {
            let detail = detail(row);
            for key in ["event", "happened", "entity", "count"] {
                line[key] = detail.get(key).cloned().unwrap_or_default();
            }
            line["happened_time"] =
                detail.get("happened_us").and_then(Value::as_u64).map(time).into();
            line["destination"] = number(row, Column::Destination, unmask);
        }
    }
    line["kind"] = row.text(Column::Kind).into();
    line
}

/// Whether one of its numbers is not whole.
pub(super) fn is_masked(row: &MirroredRow) -> bool {
    [Column::Source, Column::Destination]
        .into_iter()
        .any(|column| row.text(column).is_some_and(|text| text.contains('*')))
}

fn head(row: &MirroredRow) -> Value {
    json!({
        "node": row.node, "journal": row.journal, "record": row.record(), "time": time(row.time_us()),
    })
}

fn message(line: &mut Value, told: &Told, unmask: bool) {
    let row = &told.record;
    copy(line, row, &[Column::Session, Column::Command, Column::SequenceNumber]);
    numbers(line, row, unmask);
    copy(line, row, &[Column::Octets, Column::Class, Column::ConsentEvent]);
    if let (Some(part), Some(parts)) = (row.number(Column::Part), row.number(Column::Parts)) {
        line["parts"] = json!([part, parts]);
    }
    let references =
        [Column::EntityId, Column::TemplateId, Column::ConsentId].map(|id| row.text(id));
    if let [entity, template, consent] = references
        && references.iter().any(Option::is_some)
    {
        line["references"] = json!({ "entity": entity, "template": template, "consent": consent });
    }
    decision(line, row);
    copy(line, row, &[Column::Provider, Column::SystemId]);
    if let Some(answer) = told.answer.as_ref().filter(|answer| answer.is("response")) {
        line["message_id"] = answer.text(Column::MessageId).unwrap_or_default().into();
        line["latency_us"] = answer.number(Column::LatencyUs).into();
        let status_of = told.unsuccess.as_ref().unwrap_or(answer);
        line["response_status"] = status_of.text(Column::ResponseStatus).into();
    }
    if !told.receipts.is_empty() {
        line["receipts"] = told.receipts.iter().map(receipt).collect();
        let state = |receipt: &MirroredRow| receipt.text(Column::ReceiptState).map(str::to_owned);
        line["state"] = told.receipts.iter().rev().find_map(state).into();
    }
    line["became"] = became(told).into();
}

/// What became of a message.
pub(super) fn became(told: &Told) -> &'static str {
    match (&told.answer, told.record.text(Column::Verdict)) {
        (_, Some("refuse")) => "refused",
        (Some(answer), _) if answer.is("response") => "answered",
        (Some(_), _) => "unanswered",
        (None, _) => "unknown",
    }
}

/// A receipt beside its message: what the message says already is left out.
fn receipt(row: &MirroredRow) -> Value {
    let mut line = head(row);
    copy(&mut line, row, &[Column::Session, Column::Command, Column::SequenceNumber]);
    line["state"] = row.text(Column::ReceiptState).into();
    line["message_id"] = row.text(Column::MessageId).unwrap_or_default().into();
    let detail = detail(row);
    let of_detail = |key: &str| detail.get(key).filter(|value| **value != *"").cloned();
    for key in ["message_id_of_text", "stat", "submit_date", "kept_back"] {
        line[key] = of_detail(key).unwrap_or_default();
    }
    line["err"] = row.text(Column::ReceiptError).into();
    line["done_date"] = row.text(Column::ReceiptDone).into();
    line["intermediate"] = is_intermediate(row).into();
    line
}

/// Whether more of the message is to come (SMPP 3.4 5.2.12).
pub(super) fn is_intermediate(receipt: &MirroredRow) -> bool {
    receipt.number(Column::EsmClass).unwrap_or(0) & 0x3c == 0x20
}

fn decision(line: &mut Value, row: &MirroredRow) {
    copy(line, row, &[Column::Verdict, Column::Rule, Column::RuleSet, Column::Article]);
    copy(line, row, &[Column::Status]);
}

fn numbers(line: &mut Value, row: &MirroredRow, unmask: bool) {
    line["source"] = number(row, Column::Source, unmask);
    line["destination"] = number(row, Column::Destination, unmask);
}

/// An address: masked once more where the mirror has it whole and it was not asked for.
fn number(row: &MirroredRow, column: Column, unmask: bool) -> Value {
    let text = row.text(column).unwrap_or_default();
    match unmask {
        true => text.into(),
        false => masked(text.as_bytes(), false).into(),
    }
}

/// Columns under their own names.
fn copy(line: &mut Value, row: &MirroredRow, columns: &[Column]) {
    for column in columns {
        line[column.name()] = match row.row.value(*column) {
            Cell::None => Value::Null,
            Cell::Number(number) => (*number).into(),
            Cell::Time(micros) => time(*micros).into(),
            Cell::Text(text) => text.as_ref().into(),
        };
    }
}

fn detail(row: &MirroredRow) -> Value {
    serde_json::from_str(row.text(Column::Detail).unwrap_or_default()).unwrap_or_default()
}
