//! `consentry audit export --url`, `--mirror`: records of all nodes for who inspects.

use std::io;

use serde_json::json;

use super::super::export::Args;
use super::super::filters::said;
use super::super::{Answer, Failure, access};
use super::line::{became, is_intermediate};
use super::search::tell_undecided;
use crate::archive::bundle::{NodesExport, Origin, Part, ROWS_MAX};
use crate::archive::{Column, Row, Value};
use crate::audit::keys::SigningKey;
use crate::mirror::read::{MirroredFault, MirroredRow, Span, Told};

/// Runs it: no, when nothing was found and so nothing is handed over.
pub(in super::super) fn run(args: &Args) -> Result<Answer, Failure> {
    let Args { place, over, filters, format, out, .. } = args;
    if args.auditor_key.is_some() {
        return Err(Failure(
            "--auditor-key opens what a journal has; of a mirror, `audit open` shows contents"
                .to_owned(),
        ));
    }
    let mut asked = filters.asked();
    if !over.source.node.is_empty() {
        asked.insert("node".to_owned(), over.source.node.join(" "));
    }
    if !over.source.journal.is_empty() {
        asked.insert("journal".to_owned(), over.source.journal.join(" "));
    }
    let noted = [said(&filters.asked()), over.source.said()];
    let noted: Vec<&str> =
        noted.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    access::note_over(place, "export", &noted.join(", "), true)?;
    let (_, keys) = place.folders()?;
    let signing = SigningKey::open(&keys)?.ok_or_else(|| {
        Failure(format!(
            "{} has no signing.key, so nothing can be signed: the proxy makes it at its start",
            keys.display()
        ))
    })?;
    let failed =
        |error: io::Error| Failure(format!("{} cannot be written: {error}", out.display()));
    let mirrored = over.source.open(place)?;
    let mut bundle = NodesExport::begin(out, *format).map_err(failed)?;
    let mut undecided = 0;
    let parts = over.query(place, filters, &mirrored, |query| {
        mirrored.search(&query, &mut |told| {
            if bundle.rows() >= ROWS_MAX as u64 {
                return Err(MirroredFault(format!(
                    "more than {ROWS_MAX} rows: export a shorter time, or one provider or number"
                )));
            }
            undecided += told.undecided;
            let (origin, row) = row(told);
            bundle.push(&origin, &row).map_err(|error| MirroredFault(error.to_string()))?;
            Ok(std::ops::ControlFlow::Continue(()))
        })?;
        Ok(mirrored.spans(&query)?.iter().map(part).collect::<Vec<Part>>())
    })?;
    let rows = bundle.rows();
    bundle.finish(&asked, &parts, &signing).map_err(failed)?;
    let gaps: usize = parts.iter().map(|part| part.gaps.len()).sum();
    let open = parts.iter().filter(|part| !part.goes_on).count();
    match args.json {
        true => println!(
            "{}",
            json!({ "rows": rows, "nodes": parts.len(), "gaps": gaps, "open": open,
                "out": out.display().to_string() })
        ),
        false => println!(
            "{rows} rows of {} journals, {gaps} gaps, signed, not proved: {}",
            parts.len(),
            out.display()
        ),
    }
    for one in parts.iter().filter(|part| !part.goes_on) {
        eprintln!(
            "node {}, journal {}: the mirror ends with record {} of that time, more may come; a --to before \
             what it has makes sure",
            one.node, one.journal, one.last
        );
    }
    tell_undecided(undecided);
    Ok(if rows > 0 { Answer::Yes } else { Answer::No })
}

fn part(span: &Span) -> Part {
    Part {
        node: span.node.clone(),
        journal: span.journal.clone(),
        first: span.first,
        last: span.last,
        records: span.rows,
        gaps: span.gaps.iter().map(|gap| (gap.behind, gap.before, gap.is_certain)).collect(),
        goes_on: span.goes_on,
    }
}

/// The row of a record with what became of it.
fn row(told: Told) -> (Origin, Row<'static>) {
    let mut more: Vec<(Column, Value<'static>)> = Vec::new();
    let is_message = told.record.is("verdict");
    if is_message {
        more.push((Column::Became, Value::Text(became(&told).into())));
    }
    if let Some(answer) = &told.answer {
        more.push((Column::AnswerRecord, Value::Number(answer.record())));
        more.extend(of(answer, &[Column::LatencyUs, Column::ResponseStatus, Column::MessageId]));
    }
    if let Some(unsuccess) = &told.unsuccess {
        more.extend(of(unsuccess, &[Column::ResponseStatus]));
        more.push((Column::MessageId, Value::None));
    }
    // The one that counts of several: the last of a final state, else the last.
    let last = told.receipts.iter().rev().find(|one| !is_intermediate(one));
    let receipt = last.or(told.receipts.last());
    if let Some(receipt) = receipt {
        let columns = [
            Column::ReceiptRecord,
            Column::ReceiptTime,
            Column::ReceiptState,
            Column::ReceiptError,
            Column::ReceiptDone,
        ];
        more.extend(of(receipt, &columns));
    }
    let origin = Origin {
        receipt: receipt.map(|receipt| (receipt.node.clone(), receipt.journal.clone())),
        node: told.record.node,
        journal: told.record.journal,
        leaf: told.record.leaf,
    };
    (origin, told.record.row.with(more))
}

fn of(row: &MirroredRow, columns: &[Column]) -> Vec<(Column, Value<'static>)> {
    columns.iter().map(|column| (*column, row.row.value(*column).clone())).collect()
}
