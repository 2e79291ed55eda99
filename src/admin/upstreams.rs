//! SMSCs over HTTP: `GET /api/v1/upstreams` lists them, one JSON object a line; `POST
//! /api/v1/upstreams/drain` and `/undrain` with `{"address":"host:port"}`, and `"listener"` where one of
//! several is meant, say whether one gets new binds. They answer 200 with the lines of those that were meant,
//! 400 for a body that cannot be read, 404 where there is no such SMSC.

use axum::body::Bytes;
use axum::extract::{Path, State as Extract};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::session::rfc3339;
use super::{JSON_LINES, State, not_found, text};

/// An SMSC as the API shows it.
#[derive(Debug, Clone, Serialize)]
pub struct Upstream {
    /// The listener's address.
    pub listener: String,
    /// `host:port`, as it is configured.
    pub address: String,
    /// How many of the new binds it gets, against the others of its rank.
    pub weight: u32,
    /// It gets binds while none of a lower rank is up; 0 for the active ones.
    pub rank: u32,
    /// `up`, `standby`, `trial`, `ejected` or `draining`.
    pub state: &'static str,
    /// Sessions connected to it.
    pub sessions: u64,
    /// Binds that it accepted.
    pub binds: u64,
    /// What spoke against it so far.
    pub failures: u64,
    /// Since when it stands so, microseconds since the Unix epoch.
    #[serde(serialize_with = "rfc3339")]
    pub since: u64,
    /// Until when it is ejected; `None` where it is not.
    #[serde(serialize_with = "rfc3339_or_null")]
    pub until: Option<u64>,
    /// Seconds since it last answered a request; `None` before the first.
    pub last_answer_age: Option<f64>,
}

fn rfc3339_or_null<S: serde::Serializer>(
    micros: &Option<u64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match micros {
        Some(micros) => rfc3339(micros, serializer),
        None => serializer.serialize_none(),
    }
}

/// Which SMSC is meant.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Meant {
    /// `host:port`, as it is configured.
    pub address: String,
    /// The listener's address; without it, all that lead to the SMSC.
    pub listener: Option<String>,
}

/// Who knows the SMSCs. Nothing of it may block.
pub trait Steer: Send + Sync {
    /// All of them.
    fn list(&self) -> Vec<Upstream>;

    /// Says whether new binds go there; those that were meant, as they are then.
    fn steer(&self, meant: &Meant, is_draining: bool) -> Vec<Upstream>;
}

pub(super) async fn list(Extract(state): Extract<State>) -> Response {
    match state.upstreams {
        Some(upstreams) => lines(&upstreams.list()),
        None => not_found(),
    }
}

pub(super) async fn steer(
    Extract(state): Extract<State>,
    Path(ask): Path<String>,
    body: Bytes,
) -> Response {
    let (Some(upstreams), Some(is_draining)) = (state.upstreams, is_draining(&ask)) else {
        return not_found();
    };
    let meant: Meant = match serde_json::from_slice(&body) {
        Ok(meant) => meant,
        Err(error) => {
            let says = format!("send {{\"address\":\"host:port\"}}: {error}\n");
            return text(StatusCode::BAD_REQUEST, says);
        }
    };
    let steered = upstreams.steer(&meant, is_draining);
    if steered.is_empty() {
        let says =
            format!("no listener leads to {:?}; GET /api/v1/upstreams lists them\n", meant.address);
        return text(StatusCode::NOT_FOUND, says);
    }
    lines(&steered)
}

fn is_draining(ask: &str) -> Option<bool> {
    match ask {
        "drain" => Some(true),
        "undrain" => Some(false),
        _ => None,
    }
}

fn lines(upstreams: &[Upstream]) -> Response {
    // Strings, numbers and names: this cannot fail.
    let line = |one| serde_json::to_string(one).map(|line| line + "\n").unwrap_or_default();
    let lines: String = upstreams.iter().map(line).collect();
    ([(header::CONTENT_TYPE, JSON_LINES)], lines).into_response()
}
