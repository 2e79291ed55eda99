//! The proxy's own traces over HTTP.
//!
//! | request | does |
//! |---|---|
//! | `GET /api/v1/capture` | tells whether one is written, where, and how the last one ended |
//! | `POST /api/v1/capture` | begins one; the body says what differs from `[capture]` |
//! | `DELETE /api/v1/capture` | ends it, and answers when its file is whole |
//!
//! The body of `POST` is empty or one JSON object: `providers`, `sources`, `verdicts`, `text`, `seconds`
//! (1 to [`SECONDS_MAX`], [`SECONDS_DEFAULT`] where unwritten) and `octets` (at most what the files may
//! hold, which is the default). 200 with the state, 400 for a body that cannot be meant, 409 while one
//! runs, 503 where the files cannot be made.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State as Extract;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::{JSON_LINES, State, not_found, text};
use crate::capture::{Capture, Run, StartFault, Texts, Verdict, Wanted};

/// The longest run on demand, seconds.
pub const SECONDS_MAX: u64 = 24 * 3600;
/// How long a run on demand takes unless the body says so, seconds.
pub const SECONDS_DEFAULT: u64 = 600;

/// What a run on demand may differ in.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    providers: Option<Vec<String>>,
    sources: Option<Vec<String>>,
    verdicts: Option<Vec<String>>,
    text: Option<String>,
    seconds: Option<u64>,
    octets: Option<u64>,
}

/// The three requests.
pub(super) async fn answer(
    Extract(state): Extract<State>,
    method: Method,
    body: Bytes,
) -> Response {
    let Some(capture) = state.capture else { return not_found() };
    let asked = if method == Method::POST { wanted(&capture, &body) } else { Ok(None) };
    let asked = match asked {
        Ok(asked) => asked,
        Err(fault) => return text(StatusCode::BAD_REQUEST, format!("{fault}\n")),
    };
    // Files are made and waited for: not on a thread that serves sessions.
    let done = tokio::task::spawn_blocking(move || {
        let done = match (asked, method) {
            (Some(wanted), _) => capture.start(wanted).map(|_| true),
            (None, Method::DELETE) => Ok(capture.stop()),
            (None, _) => Ok(true),
        };
        done.map(|is_done| (is_done, shown(&capture)))
    });
    match done.await {
        Ok(Ok((true, shown))) => ([(header::CONTENT_TYPE, JSON_LINES)], shown).into_response(),
        Ok(Ok((false, _))) => {
            text(StatusCode::SERVICE_UNAVAILABLE, "its file is not written yet\n".into())
        }
        Ok(Err(fault @ StartFault::Running)) => text(StatusCode::CONFLICT, format!("{fault}\n")),
        Ok(Err(fault @ StartFault::Storage { .. })) => {
            text(StatusCode::SERVICE_UNAVAILABLE, format!("{fault}\n"))
        }
        Ok(Err(fault)) => text(StatusCode::BAD_REQUEST, format!("{fault}\n")),
        Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "the capture did not answer\n".into()),
    }
}

/// What is configured, changed by what the body says.
fn wanted(capture: &Capture, body: &[u8]) -> Result<Option<Wanted>, String> {
    let asked: Asked = match body {
        [] => Asked::default(),
        body => serde_json::from_slice(body).map_err(|fault| fault.to_string())?,
    };
    let configured = capture.options();
    let mut wanted = configured.wanted.clone();
    let filter = &mut wanted.filter;
    filter.providers = asked.providers.unwrap_or(std::mem::take(&mut filter.providers));
    filter.sources = asked.sources.unwrap_or(std::mem::take(&mut filter.sources));
    if let Some(verdicts) = asked.verdicts {
        let read = |word: &String| {
            let found = Verdict::ALL.into_iter().find(|verdict| verdict.name() == word);
            found.ok_or_else(|| "verdicts are pass, refuse and observe".to_owned())
        };
        filter.verdicts = verdicts.iter().map(read).collect::<Result<_, _>>()?;
    }
    wanted.texts = match asked.text.as_deref() {
        None => wanted.texts,
        Some("redacted") => Texts::Redacted,
        Some("whole") => Texts::Whole,
        Some(_) => return Err("text is redacted or whole".to_owned()),
    };
    let seconds = asked.seconds.unwrap_or(SECONDS_DEFAULT);
    if !(1..=SECONDS_MAX).contains(&seconds) {
        return Err(format!("seconds may be 1 to {SECONDS_MAX}"));
    }
    wanted.duration = Some(Duration::from_secs(seconds));
    let room = configured.limits.file_octets as u64 * configured.limits.files as u64;
    let octets = asked.octets.unwrap_or(room);
    if !(1..=room).contains(&octets) {
        return Err(format!("octets may be 1 to {room}: [capture] file_size times files"));
    }
    wanted.octets = Some(octets);
    capture.check(&wanted).map_err(|fault| fault.to_string())?;
    Ok(Some(wanted))
}

/// The state as one line of JSON.
fn shown(capture: &Capture) -> String {
    let folder = capture.options().folder.display().to_string();
    let mut line = match capture.run() {
        None => serde_json::json!({ "state": "never", "path": folder }),
        Some(run) => run_shown(&run, folder),
    };
    line["dropped"] = capture.figures().dropped.into();
    line.to_string() + "\n"
}

fn run_shown(run: &Arc<Run>, folder: String) -> serde_json::Value {
    let Wanted { filter, texts, duration, octets } = &run.wanted;
    let verdicts: Vec<&str> = filter.verdicts.iter().map(|verdict| verdict.name()).collect();
    let ended = run.ended();
    serde_json::json!({
        "state": if ended.is_some() { "ended" } else { "running" },
        "path": folder,
        "file": run.file(),
        "since": rfc3339(run.since_us),
        "seconds": duration.map(|duration| duration.as_secs()),
        "octets_max": octets,
        "providers": filter.providers,
        "sources": filter.sources,
        "verdicts": verdicts,
        "text": texts.name(),
        "frames": run.written.load(Ordering::Relaxed),
        "octets": run.octets.load(Ordering::Relaxed),
        "ended": ended.as_ref().map(|ended| rfc3339(ended.at_us)),
        "reason": ended.as_ref().map(|ended| ended.end.name()),
        "error": ended.and_then(|ended| ended.error),
    })
}

fn rfc3339(micros: u64) -> Option<String> {
    let time = jiff::Timestamp::from_microsecond(i64::try_from(micros).ok()?).ok()?;
    Some(time.to_string())
}
