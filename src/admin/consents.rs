//! The consent ledger over HTTP: [`consent::desk`](crate::consent::desk), whose table names the paths
//! and bodies.
//!
//! `POST` for all, since bodies and answers hold numbers of people and paths end up in logs; `GET`
//! for `/stats` as well. 200 with the answer, 400 for a body that cannot be read, 503 while the
//! ledger can neither tell nor write, or the journal takes no record. What was told is on the disk and on
//! record when the answer comes.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Bytes;
use axum::extract::{Path, State as Extract};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::{JSON_LINES, State, not_found, text};
use crate::consent::Source;
use crate::consent::desk::{self, Ask, DeskFault};

/// `POST /api/v1/consents`.
pub(super) async fn events(Extract(state): Extract<State>, body: Bytes) -> Response {
    answer(state, Ask::Events, body).await
}

/// `POST /api/v1/consents/...`, and `GET /api/v1/consents/stats`.
pub(super) async fn ask(
    Extract(state): Extract<State>,
    method: Method,
    Path(path): Path<String>,
    body: Bytes,
) -> Response {
    let named = |ask: &&Ask| ask.path().strip_prefix('/') == Some(path.as_str());
    match Ask::ALL.iter().find(named) {
        Some(Ask::Stats) => stats(state),
        Some(ask) if method == Method::POST => answer(state, *ask, body).await,
        Some(_) => text(StatusCode::METHOD_NOT_ALLOWED, "POST it\n".to_owned()),
        None => not_found(),
    }
}

/// The ledger's figures, and one that only a running proxy has.
fn stats(state: State) -> Response {
    let Some(ledger) = state.ledger else { return not_found() };
    match desk::answer(&ledger, Ask::Stats, b"", Source::Api, 0, &mut Vec::new()) {
        Ok(figures) => {
            let mut figures: serde_json::Value = serde_json::from_str(&figures).unwrap_or_default();
            figures["blind_ports"] = (state.blind_ports)().into();
            ([(header::CONTENT_TYPE, JSON_LINES)], figures.to_string()).into_response()
        }
        Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

async fn answer(state: State, ask: Ask, body: Bytes) -> Response {
    let Some(ledger) = state.ledger else { return not_found() };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now_us = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
    // The ledger reads and writes the disk: not on a thread that serves sessions.
    let answered = tokio::task::spawn_blocking(move || {
        let mut told = Vec::new();
        let answer = desk::answer(&ledger, ask, &body, Source::Api, now_us, &mut told);
        let recorded = if told.is_empty() { Ok(()) } else { (state.told)(&told, now_us) };
        (answer, recorded)
    });
    let answered = answered.await.map(|(answer, recorded)| recorded.and(Ok(answer)));
    let answered = match answered {
        Ok(Err(why)) => return text(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
        Ok(Ok(answer)) => Ok(answer),
        Err(error) => Err(error),
    };
    match answered {
        Ok(Ok(answer)) => ([(header::CONTENT_TYPE, JSON_LINES)], answer).into_response(),
        Ok(Err(fault @ DeskFault::Malformed { .. })) => {
            text(StatusCode::BAD_REQUEST, format!("{fault}\n"))
        }
        Ok(Err(DeskFault::Unavailable(why))) => {
            text(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n"))
        }
        Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "the ledger did not answer\n".into()),
    }
}
