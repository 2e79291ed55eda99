//! Whether all is well, in words: what somebody on a night shift reads first. Pure.

use serde_json::{Value, json};

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// As it should be.
    Good,
    /// Somebody should look.
    Watch,
    /// Messages are not carried as they should be.
    Bad,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Level::Good => "good",
            Level::Watch => "watch",
            Level::Bad => "bad",
        }
    }
}

/// What is looked at.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// It is being shut down.
    pub draining: bool,
    /// Why the journal takes no record.
    pub journal: Option<String>,
    /// Why the ledger cannot be asked.
    pub ledger: Option<String>,
    /// Sessions that are bound.
    pub bound: usize,
    /// Messages that pass a second.
    pub pass_a_second: f64,
    /// Minutes that the next three are of.
    pub minutes: u64,
    /// Requests that passed or were observed.
    pub passed: u64,
    /// Requests that were refused.
    pub refused: u64,
    /// The rule that refused most, and how many.
    pub most_by: Option<(&'static str, u64)>,
    /// Requests that the SMSC did not answer in time.
    pub unanswered: u64,
    /// Sessions whose window is full.
    pub windows_full: u64,
    /// Records that wait to be written.
    pub backlog_records: u64,
    /// Octets that the journal takes and may take.
    pub disk: Option<(u64, u64)>,
    /// Mirrors: name, and how many records they are behind.
    pub mirrors: Vec<(String, u64)>,
    /// Commercial codes to which answers are not heard.
    pub blind_ports: u64,
    /// Providers without a licence in force.
    pub unlicensed: u64,
    /// The licence that ends next: whose, and in how many days.
    pub licence: Option<(String, i64)>,
    /// The TLS certificate that ends first, and in how many days; below zero when it has.
    pub certificate: Option<(String, i64)>,
}

/// A share of refusals from which it is said, percent, and how many they must be.
const SURGE_PERCENT: u64 = 20;
const SURGE_REQUESTS: u64 = 20;
/// Records that wait, or that a mirror is behind, from which it is said.
const BACKLOG_RECORDS: u64 = 10_000;
/// How full the budget of the disk is from which it is said, percent.
const DISK_PERCENT: u64 = 90;
/// Days before a licence or certificate ends from which it is said.
const LAPSING_DAYS: i64 = 30;

/// What is to be said of it, the worst first.
pub(super) fn said(seen: &Seen) -> Vec<(Level, String)> {
    let mut said = Vec::new();
    let mut say = |level, text: String| said.push((level, text));
    if let Some(why) = &seen.journal {
        say(Level::Bad, format!("Nothing goes on, the journal takes no record: {why}."));
    }
    if let Some(why) = &seen.ledger {
        say(Level::Bad, format!("All advertising is refused, the ledger cannot be asked: {why}."));
    }
    if seen.draining {
        say(Level::Watch, "It is shutting down: no session is taken, those there end.".to_owned());
    }
    let (minutes, all) = (seen.minutes, seen.passed + seen.refused);
    if seen.windows_full > 0 {
        let many = counted(seen.windows_full, "session waits", "sessions wait");
        say(Level::Watch, format!("{many} for the SMSC, the window is full."));
    }
    if seen.unanswered > 0 {
        let many = counted(seen.unanswered, "request", "requests");
        say(Level::Watch, format!("The SMSC left {many} unanswered in the last {minutes} min."));
    }
    if seen.refused >= SURGE_REQUESTS && seen.refused * 100 >= all * SURGE_PERCENT {
        let (rule, most) = seen.most_by.unwrap_or(("no rule", 0));
        let refused = seen.refused;
        say(
            Level::Watch,
            format!(
                "{refused} of {all} requests were refused in the last {minutes} min, {most} by {rule}."
            ),
        );
    }
    if seen.backlog_records > BACKLOG_RECORDS {
        say(Level::Watch, format!("{} records wait for the disk.", seen.backlog_records));
    }
    if let Some((used, budget)) =
        seen.disk.filter(|(used, budget)| used * 100 >= budget * DISK_PERCENT)
    {
        let percent = used.saturating_mul(100).checked_div(budget).unwrap_or(100);
        say(Level::Watch, format!("The journal takes {percent} % of its disk budget."));
    }
    for (name, behind) in seen.mirrors.iter().filter(|(_, behind)| *behind > BACKLOG_RECORDS) {
        say(Level::Watch, format!("Mirror {name} is {behind} records behind."));
    }
    if seen.blind_ports > 0 {
        let many = counted(seen.blind_ports, "commercial code is", "commercial codes are");
        say(Level::Watch, format!("{many} blind: 退订 to them is not heard."));
    }
    if seen.unlicensed > 0 {
        let many = counted(seen.unlicensed, "provider has", "providers have");
        say(Level::Watch, format!("{many} no licence in force: all they send is refused."));
    }
    if let Some((whose, days)) = seen.licence.as_ref().filter(|(_, days)| *days <= LAPSING_DAYS) {
        let days = counted(u64::try_from(*days).unwrap_or(0), "day", "days");
        say(Level::Watch, format!("The licence of {whose} ends in {days}."));
    }
    if let Some((name, days)) = seen.certificate.as_ref().filter(|(_, days)| *days <= LAPSING_DAYS)
    {
        match u64::try_from(*days) {
            Ok(days) => {
                let days = counted(days, "day", "days");
                say(Level::Watch, format!("The certificate {name} ends in {days}."));
            }
            Err(_) => say(Level::Bad, format!("The certificate {name} has ended.")),
        }
    }
    if seen.bound == 0 && !seen.draining {
        say(Level::Watch, "Nobody is bound: nothing is sent.".to_owned());
    }
    said.sort_by_key(|(level, _)| std::cmp::Reverse(*level));
    said
}

/// Level, the line that is read first, the figures beside it, and all that the line is made of.
pub(super) fn glance(seen: &Seen) -> Value {
    let said = said(seen);
    let level = said.first().map_or(Level::Good, |(level, _)| *level);
    let more = said.len().saturating_sub(1);
    let more = if more > 0 { format!(" And {more} more.") } else { String::new() };
    let first = said.first().map_or("", |(_, text)| text.as_str());
    let line = match level {
        Level::Good => "All is well.".to_owned(),
        Level::Watch => format!("Have a look: {first}{more}"),
        Level::Bad => format!("Act now: {first}{more}"),
    };
    let said: Vec<Value> =
        said.iter().map(|(level, text)| json!({ "level": level.name(), "text": text })).collect();
    json!({ "level": level.name(), "line": line, "figures": figures(seen), "said": said })
}

fn figures(seen: &Seen) -> String {
    let bound = counted(seen.bound as u64, "session is", "sessions are");
    let rate = seen.pass_a_second;
    let refused = match seen.refused {
        0 => "nothing was refused".to_owned(),
        refused => format!("{refused} refused"),
    };
    format!(
        "{bound} bound, {rate} messages a second pass, {refused} in the last {} min.",
        seen.minutes
    )
}

fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_trouble_is_said_from_its_limit_on_and_the_worst_first() {
        let calm = Seen { bound: 2, minutes: 5, passed: 100, ..Seen::default() };
        let mirror = |behind| vec![("copy".to_owned(), behind)];
        let most_by = Some(("source.forged", 15));
        let licence = |days| Some(("示例".to_owned(), days));
        for (seen, level, line) in [
            (
                calm.clone(),
                "good",
                "All is well. 2 sessions are bound, 0 messages a second pass, nothing was refused in the last 5 min.",
            ),
            (
                Seen { refused: 19, bound: 1, ..calm.clone() },
                "good",
                "All is well. 1 session is bound, 0 messages a second pass, 19 refused in the last 5 min.",
            ),
            (
                Seen { refused: 20, passed: 80, most_by, ..calm.clone() },
                "watch",
                "Have a look: 20 of 100 requests were refused in the last 5 min, 15 by source.forged.",
            ),
            (
                Seen { refused: 20, passed: 81, most_by, pass_a_second: 0.3, ..calm.clone() },
                "good",
                "All is well. 2 sessions are bound, 0.3 messages a second pass, 20 refused in the last 5 min.",
            ),
            (
                Seen { bound: 0, ..calm.clone() },
                "watch",
                "Have a look: Nobody is bound: nothing is sent.",
            ),
            (
                Seen { bound: 0, draining: true, ..calm.clone() },
                "watch",
                "Have a look: It is shutting down: no session is taken, those there end.",
            ),
            (
                Seen { windows_full: 1, ..calm.clone() },
                "watch",
                "Have a look: 1 session waits for the SMSC, the window is full.",
            ),
            (
                Seen { unanswered: 1, ..calm.clone() },
                "watch",
                "Have a look: The SMSC left 1 request unanswered in the last 5 min.",
            ),
            (
                Seen { backlog_records: 10_001, ..calm.clone() },
                "watch",
                "Have a look: 10001 records wait for the disk.",
            ),
            (
                Seen { disk: Some((90, 100)), ..calm.clone() },
                "watch",
                "Have a look: The journal takes 90 % of its disk budget.",
            ),
            (
                Seen {
                    disk: Some((89, 100)),
                    backlog_records: 10_000,
                    mirrors: mirror(10_000),
                    licence: licence(31),
                    ..calm.clone()
                },
                "good",
                "All is well. 2 sessions are bound, 0 messages a second pass, nothing was refused in the last 5 min.",
            ),
            (
                Seen { mirrors: mirror(10_001), ..calm.clone() },
                "watch",
                "Have a look: Mirror copy is 10001 records behind.",
            ),
            (
                Seen { blind_ports: 2, ..calm.clone() },
                "watch",
                "Have a look: 2 commercial codes are blind: 退订 to them is not heard.",
            ),
            (
                Seen { unlicensed: 1, licence: licence(30), ..calm.clone() },
                "watch",
                "Have a look: 1 provider has no licence in force: all they send is refused. And 1 more.",
            ),
            (
                Seen { licence: licence(1), ..calm.clone() },
                "watch",
                "Have a look: The licence of 示例 ends in 1 day.",
            ),
            (
                Seen { certificate: Some(("listen1.server".into(), 30)), ..calm.clone() },
                "watch",
                "Have a look: The certificate listen1.server ends in 30 days.",
            ),
            (
                Seen { certificate: Some(("listen1.server".into(), -1)), ..calm.clone() },
                "bad",
                "Act now: The certificate listen1.server has ended.",
            ),
            (
                Seen { ledger: Some("closed".into()), draining: true, ..calm.clone() },
                "bad",
                "Act now: All advertising is refused, the ledger cannot be asked: closed. And 1 more.",
            ),
            (
                Seen { journal: Some("disk full".into()), unlicensed: 1, ..calm.clone() },
                "bad",
                "Act now: Nothing goes on, the journal takes no record: disk full. And 1 more.",
            ),
        ] {
            let shown = glance(&seen);
            let figures = shown["figures"].as_str().unwrap_or_default();
            let said = match (shown["line"].as_str().unwrap_or_default(), level) {
                (said, "good") => format!("{said} {figures}"),
                (said, _) => said.to_owned(),
            };
            assert_eq!((shown["level"].as_str(), said.as_str()), (Some(level), line));
        }
    }
}
