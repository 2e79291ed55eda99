//! `replay --against`: one trace under two sets of rules, and only what changes.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};

use serde_json::{Value, json};

use super::line;
use super::rules::Rules;
use super::{Answer, Args, Failure, Telling, Told, has_seen_enough};
use crate::policy::{Rule, RuleSet};
use crate::replay::{Decided, Judged};
use crate::session::Side;
use crate::smpp::CommandStatus;

/// From which decision to which: as listings name them.
type Change = (String, String);

/// Verdicts of one PDU under the other rules; a PDU has at most as many as recipients.
type Others = Vec<Decided>;

/// Judges by both and shows what changes.
pub(super) fn run(
    args: &Args,
    trace: &mut Telling,
    names: &[String],
    mut rules: Rules,
    mut other: Rules,
) -> Result<Answer, Failure> {
    let sets = [rules.judge.knowledge().rule_set, other.judge.knowledge().rule_set];
    let mut changes: BTreeMap<Change, u64> = BTreeMap::new();
    let mut judged = 0_u64;
    let mut others: Others = Vec::new();
    let mut out = BufWriter::new(io::stdout().lock());
    let end = trace.tell(&mut |told| match told {
        Told::Opened(opened) => {
            rules.open(&opened);
            other.open(&opened);
            Ok(())
        }
        Told::Closed(stream) => {
            rules.judge.closed(stream);
            other.judge.closed(stream);
            Ok(())
        }
        Told::Frame { stream, side, octets, time_us, trace } => {
            others.clear();
            other.judge.frame(stream, side, octets, time_us, &mut |one| {
                others.extend(Decided::of(&one.record));
            });
            let mut written = Ok(());
            let mut at = 0;
            rules.judge.frame(stream, side, octets, time_us, &mut |one| {
                let Some(decided) = Decided::of(&one.record) else { return };
                let then = others.get(at).copied();
                at += 1;
                judged += 1;
                if then == Some(decided) {
                    return;
                }
                *changes.entry((named(Some(decided)), named(then))).or_default() += 1;
                if written.is_ok() {
                    let name = names.get(trace).map_or("", String::as_str);
                    written = show(&mut out, args, name, one, decided, then, sets);
                }
            });
            // Not judged by these rules, as behind a bind that they refuse, and judged by the others.
            for then in others.iter().skip(at).filter(|_| side == Side::Esme) {
                judged += 1;
                *changes.entry((named(None), named(Some(*then)))).or_default() += 1;
            }
            written
        }
    })?;
    let changed: u64 = changes.values().sum();
    let closing = if args.json {
        writeln!(out, "{}", summary_line(&changes, judged, changed))
    } else {
        print(&mut out, &changes, judged, changed)
    };
    closing.and_then(|()| out.flush()).or_else(has_seen_enough)?;
    drop(out);
    trace.close(end, if changed == 0 { Answer::Yes } else { Answer::No })
}

fn named(decided: Option<Decided>) -> String {
    match decided {
        None => "not judged".to_owned(),
        Some(Decided { verdict, rule: None, .. }) => verdict.name().to_owned(),
        Some(Decided { verdict, rule: Some(rule), status }) => {
            format!("{} {} {}", verdict.name(), rule.name(), CommandStatus(status))
        }
    }
}

fn show(
    out: &mut impl Write,
    args: &Args,
    trace: &str,
    judged: &Judged<'_>,
    decided: Decided,
    then: Option<Decided>,
    [set, other_set]: [RuleSet; 2],
) -> io::Result<()> {
    let mut line = line::line(trace, judged, decided, set, args.unmask);
    if args.json {
        line["against"] = json!({
            "verdict": then.map(|then| then.verdict.name()),
            "rule": then.and_then(|then| then.rule).map(Rule::name),
            "article": then.and_then(|then| then.rule).map(|rule| rule.article(other_set)),
            "status": then.map(|then| CommandStatus(then.status).to_string()),
        });
        return writeln!(out, "{line}");
    }
    writeln!(out, "{}  =>  {}", line::plain(&line), named(then))
}

fn print(
    out: &mut impl Write,
    changes: &BTreeMap<Change, u64>,
    judged: u64,
    changed: u64,
) -> io::Result<()> {
    writeln!(out, "{changed} of {judged} verdicts change")?;
    for ((from, to), count) in changes {
        writeln!(out, "{count:>10}  {from}  =>  {to}")?;
    }
    Ok(())
}

fn summary_line(changes: &BTreeMap<Change, u64>, judged: u64, changed: u64) -> Value {
    let changes = changes.iter();
    let changes: Vec<Value> = changes
        .map(|((from, to), count)| json!({ "from": from, "to": to, "count": count }))
        .collect();
    json!({ "summary": { "judged": judged, "changed": changed, "changes": changes } })
}
