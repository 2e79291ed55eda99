//! One standing, as data: for who judges with it instead of showing it.

use serde_json::{Value, json};

use super::super::Failure;
use super::super::shown::time;
use super::place;
use crate::config::{self, Config};
use crate::consent::AskElsewhere;
use crate::consent::desk::Ask;
use crate::consent::line;
use crate::policy::{ConsentClass, Review, Standing, StandingState};
use crate::registry::Msisdn;

/// How an entity stands with a recipient, from the running proxy or the store. Where there is no
/// store yet, nobody consented.
pub(in crate::cmd) fn standing(
    config: &Config,
    entity: &str,
    recipient: Msisdn,
    scope: &str,
) -> Result<Standing, Failure> {
    if let config::Place::Folder(path) = &config.consent.place
        && !path.exists()
    {
        return Ok(Standing::NONE);
    }
    let number = recipient.unmasked();
    let asked = json!({ "number": number, "entity": entity, "scope": scope }).to_string();
    let answer = place::place(config)?.ask(Ask::Standings, &asked)?;
    Ok(read(&serde_json::from_str(&answer)?))
}

/// How an entity stood with a recipient in a scope at a time, asked of a running proxy again and again.
pub(in crate::cmd) fn ask_proxy(config: &Config) -> Result<AskElsewhere, Failure> {
    let place = place::place(config)?;
    Ok(Box::new(move |entity, recipient, scope, at_us| {
        let number = recipient.unmasked();
        let asked =
            json!({ "number": number, "entity": entity, "scope": scope, "at": time(at_us) });
        let answer = place.ask(Ask::Standings, &asked.to_string()).ok()?;
        Some(read(&serde_json::from_str(&answer).ok()?))
    }))
}

/// What the desk shows, read back.
fn read(shown: &Value) -> Standing {
    let text = |key: &str| shown[key].as_str().unwrap_or_default();
    let time = |key: &str| line::moment("", text(key), false).ok();
    let state = match text("state") {
        // It ended: `until` says when.
        "expired" => StandingState::Granted,
        name => {
            let all = StandingState::ALL.into_iter();
            all.into_iter().find(|state| state.name() == name).unwrap_or(StandingState::None)
        }
    };
    Standing {
        state,
        review: Review::from_name(text("review")).unwrap_or_default(),
        class: ConsentClass::from_name(text("class")).unwrap_or_default(),
        from_us: time("from").unwrap_or(0),
        until_us: time("until").unwrap_or(Standing::NO_END),
        promised: line::promise(text("promise")).ok(),
        sent: shown["sent"].as_u64().and_then(|sent| u32::try_from(sent).ok()).unwrap_or(0),
        asked: 0,
        event: shown["event"].as_u64().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_read_back() {
        let granted = read(&json!({
            "state": "expired", "review": "reviewed", "class": "commercial", "promise": "4/month",
            "from": "2026-05-06T02:00:00Z", "until": "2026-06-06T02:00:00Z", "sent": 4, "event": 7,
        }));
        assert_eq!(granted.state, StandingState::Granted);
        assert!(granted.is_expired(granted.until_us) && !granted.is_expired(granted.until_us - 1));
        assert!(granted.is_used_up() && granted.event == 7 && granted.review == Review::Reviewed);
        assert_eq!(read(&json!({ "state": "none", "review": null })), Standing::NONE);
    }
}
