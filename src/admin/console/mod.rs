//! The console: a page for operators, and what it asks beside the rest of the API.
//!
//! | request | answers |
//! |---|---|
//! | `GET /`, `GET /console/...` | the page, without a token: it holds nothing but itself |
//! | `GET /api/v1/status` | figures of now, and whether all is well, one object |
//! | `GET /api/v1/history?after=MICROSECONDS` | samples of the last quarter of an hour |
//! | `GET /api/v1/registry?query=` | who is admitted, what expires soon, the rules in force |
//! | `GET /api/v1/refusals?rule=&most=` | the newest refusals, masked |
//! | `GET /api/v1/records/N` | one record, masked |
//! | `POST /api/v1/explain` | one message judged as a session would |
//!
//! 400 for what cannot be meant, 404 for what is not there, 503 where it cannot be told now. What reads the
//! journal or much memory is done by one thread at a time, which carries no traffic.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, Query, State as Extract};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::connection::Peer;
use super::{JSON, State, not_found, text};

/// Refusals listed at a time, at most.
pub const REFUSALS_MAX: usize = 200;
/// How many are listed where the request does not say.
const REFUSALS_DEFAULT: usize = 50;
/// The longest name of a rule and the longest query, octets.
const QUERY_OCTETS_MAX: usize = 256;
/// The longest body of an explain, octets.
pub const EXPLAIN_OCTETS_MAX: usize = 16 * 1024;
/// How long a request waits for the one before it.
const TURN_MAX: Duration = Duration::from_secs(5);

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Figures of now. Does not block.
    Status,
    /// Samples later than this, microseconds since the Unix epoch. Does not block.
    History {
        /// When.
        after_us: u64,
    },
    /// Providers.
    Registry {
        /// A part of a name, system_id or code; empty for all.
        query: String,
    },
    /// The newest refusals.
    Refusals {
        /// Of one rule.
        rule: Option<String>,
        /// How many, at most [`REFUSALS_MAX`].
        most: usize,
    },
    /// One record.
    Record {
        /// Its number.
        number: u64,
    },
    /// A message to be judged, as its sender wrote it: at most [`EXPLAIN_OCTETS_MAX`].
    Explain {
        /// One object.
        body: Vec<u8>,
    },
}

/// Why it is not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// There is no such thing.
    NotFound(String),
    /// It cannot be meant.
    Malformed(String),
    /// It cannot be told now.
    Unavailable(String),
}

/// Answers with one JSON object, to whoever asks from that address.
pub type Answer = Arc<dyn Fn(Ask, IpAddr) -> Result<String, Fault> + Send + Sync>;

/// Who answers, and that only one slow question is answered at a time.
#[derive(Clone)]
pub struct Desk {
    answer: Answer,
    turn: Arc<Semaphore>,
}

impl Desk {
    /// A desk at which this is answered.
    pub fn new(answer: Answer) -> Desk {
        Desk { answer, turn: Arc::new(Semaphore::new(1)) }
    }

    async fn slowly(self, ask: Ask, peer: IpAddr) -> Response {
        let turn = timeout(TURN_MAX, self.turn.acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            let busy = "others are being answered; ask again\n".to_owned();
            let mut response = text(StatusCode::SERVICE_UNAVAILABLE, busy);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            return response;
        };
        // Files are read: not on a thread that serves sessions. The turn ends with the reading, also when
        // nobody waits for the answer any more.
        let answered = tokio::task::spawn_blocking(move || {
            let answered = (self.answer)(ask, peer);
            drop(turn);
            answered
        });
        match answered.await {
            Ok(answered) => shown(answered),
            Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "there was no answer\n".into()),
        }
    }
}

fn shown(answered: Result<String, Fault>) -> Response {
    let (status, why) = match answered {
        Ok(object) => return ([(header::CONTENT_TYPE, JSON)], object + "\n").into_response(),
        Err(Fault::NotFound(why)) => (StatusCode::NOT_FOUND, why),
        Err(Fault::Malformed(why)) => (StatusCode::BAD_REQUEST, why),
        Err(Fault::Unavailable(why)) => (StatusCode::SERVICE_UNAVAILABLE, why),
    };
    text(status, why + "\n")
}

type From = ConnectInfo<Peer>;

/// `GET /api/v1/status`.
pub(super) async fn status(Extract(state): Extract<State>, peer: From) -> Response {
    match state.console {
        Some(desk) => shown((desk.answer)(Ask::Status, peer.0.0.ip())),
        None => not_found(),
    }
}

#[derive(Deserialize)]
pub(super) struct After {
    #[serde(default)]
    after: u64,
}

/// `GET /api/v1/history`.
pub(super) async fn history(
    Extract(state): Extract<State>,
    peer: From,
    Query(After { after }): Query<After>,
) -> Response {
    match state.console {
        Some(desk) => shown((desk.answer)(Ask::History { after_us: after }, peer.0.0.ip())),
        None => not_found(),
    }
}

#[derive(Deserialize)]
pub(super) struct Found {
    #[serde(default)]
    query: String,
}

/// `GET /api/v1/registry`.
pub(super) async fn registry(
    Extract(state): Extract<State>,
    peer: From,
    Query(Found { query }): Query<Found>,
) -> Response {
    let Some(desk) = state.console else { return not_found() };
    if query.len() > QUERY_OCTETS_MAX {
        return shown(Err(Fault::Malformed("query: longer than 256 octets".to_owned())));
    }
    desk.slowly(Ask::Registry { query }, peer.0.0.ip()).await
}

#[derive(Deserialize)]
pub(super) struct Wanted {
    rule: Option<String>,
    most: Option<usize>,
}

/// `GET /api/v1/refusals`.
pub(super) async fn refusals(
    Extract(state): Extract<State>,
    peer: From,
    Query(Wanted { rule, most }): Query<Wanted>,
) -> Response {
    let Some(desk) = state.console else { return not_found() };
    let rule = rule.filter(|rule| !rule.is_empty());
    if rule.as_ref().is_some_and(|rule| rule.len() > QUERY_OCTETS_MAX) {
        return shown(Err(Fault::Malformed("rule: longer than 256 octets".to_owned())));
    }
    let most = most.unwrap_or(REFUSALS_DEFAULT).min(REFUSALS_MAX);
    desk.slowly(Ask::Refusals { rule, most }, peer.0.0.ip()).await
}

/// `GET /api/v1/records/N`.
pub(super) async fn record(
    Extract(state): Extract<State>,
    peer: From,
    Path(number): Path<u64>,
) -> Response {
    let Some(desk) = state.console else { return not_found() };
    desk.slowly(Ask::Record { number }, peer.0.0.ip()).await
}

/// `POST /api/v1/explain`.
pub(super) async fn explain(Extract(state): Extract<State>, peer: From, body: Bytes) -> Response {
    let Some(desk) = state.console else { return not_found() };
    if body.len() > EXPLAIN_OCTETS_MAX {
        return text(StatusCode::PAYLOAD_TOO_LARGE, "request body too large\n".to_owned());
    }
    desk.slowly(Ask::Explain { body: body.to_vec() }, peer.0.0.ip()).await
}

/// What the page may do: load its own files, and ask this address. Nothing inline, nothing elsewhere.
const PAGE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
);
const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";
const PLAIN: &str = "text/plain; charset=utf-8";

macro_rules! files {
    ($($name:literal $kind:ident)*) => {
        /// The files of the page: name below `/console/`, kind, text.
        const FILES: &[(&str, &str, &str)] = &[$(($name, $kind, include_str!($name)),)*];
    };
}

files! {
    "console.css" CSS
    "icon.svg" SVG
    "app.js" SCRIPT
    "api.js" SCRIPT
    "chart.js" SCRIPT
    "consent.js" SCRIPT
    "dom.js" SCRIPT
    "explain.js" SCRIPT
    "overview.js" SCRIPT
    "refusals.js" SCRIPT
    "registry.js" SCRIPT
    "sessions.js" SCRIPT
    "words.js" SCRIPT
    "vendor/uPlot.iife.min.js" SCRIPT
    "vendor/uPlot.min.css" CSS
    "vendor/uPlot.LICENSE" PLAIN
}

/// `GET /`.
pub(super) async fn page() -> Response {
    let policy = (header::CONTENT_SECURITY_POLICY, PAGE_POLICY);
    let opener = (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    );
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static(HTML));
    ([kind, policy, opener], include_str!("index.html")).into_response()
}

/// `GET /console/...`.
pub(super) async fn file(Path(path): Path<String>) -> Response {
    match FILES.iter().find(|(name, _, _)| *name == path) {
        Some((_, kind, text)) => ([(header::CONTENT_TYPE, *kind)], *text).into_response(),
        None => not_found(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Rule;

    /// What the page names is served, and nothing of it comes from elsewhere.
    #[test]
    fn the_page_names_only_what_is_here() {
        let page = ("index.html", HTML, include_str!("index.html"));
        let own = FILES.iter().chain([&page]).filter(|(name, _, _)| !name.starts_with("vendor/"));
        let mut named = 0;
        for (name, _, text) in own {
            assert!(
                !text.contains("http://") && !text.contains("https://") || *name == "icon.svg",
                "{name}"
            );
            for inline in ["style=", "<style", "onclick=", "innerHTML", "javascript:", " eval("] {
                assert!(!text.contains(inline), "{name}: {inline}");
            }
            for begin in ["src=\"", "href=\"", "from \""] {
                for rest in text.split(begin).skip(1) {
                    let path = rest.split('"').next().unwrap_or_default();
                    if path.starts_with('#') {
                        continue;
                    }
                    let path = path.trim_start_matches("./").trim_start_matches("console/");
                    assert!(FILES.iter().any(|(file, _, _)| *file == path), "{name}: {path}");
                    named += 1;
                }
            }
        }
        assert!(named > 20, "the files were read");
    }

    #[test]
    fn every_rule_has_its_chinese_words() {
        for rule in Rule::ALL {
            let entry = format!("\"{}\": \"", rule.name());
            let words = include_str!("words.js").split(&entry).nth(1).unwrap_or_default();
            assert!(!words.is_ascii() && !words.starts_with('"'), "{}", rule.name());
        }
    }
}
