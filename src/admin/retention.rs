//! Retention over HTTP: `POST /api/v1/retention/purge`, `/hold` and `/lift`, each with one object.
//!
//! 200 with what was done, 400 for what cannot be meant or is refused, 409 where the clock is in doubt, 503
//! where the journal takes no record of it, so that it was not done.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State as Extract};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::{JSON_LINES, State, not_found, text};

/// Why retention did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// It cannot be meant, or may not be.
    Refused(String),
    /// The clock is not believed.
    Doubt(String),
    /// It could not be done now.
    Unavailable(String),
}

/// Does what is asked, by the last part of the path and the body. Blocks.
pub type Act = Arc<dyn Fn(&str, &[u8]) -> Result<String, Told> + Send + Sync>;

/// `POST /api/v1/retention/...`.
pub(super) async fn answer(
    Extract(state): Extract<State>,
    Path(ask): Path<String>,
    body: Bytes,
) -> Response {
    let Some(act) = state.retention else { return not_found() };
    // Files are walked and removed: not on a thread that serves sessions.
    let done = tokio::task::spawn_blocking(move || act(&ask, &body)).await;
    let (status, why) = match done {
        Ok(Ok(done)) => return ([(header::CONTENT_TYPE, JSON_LINES)], done).into_response(),
        Ok(Err(Told::Refused(why))) => (StatusCode::BAD_REQUEST, why),
        Ok(Err(Told::Doubt(why))) => (StatusCode::CONFLICT, why),
        Ok(Err(Told::Unavailable(why))) => (StatusCode::SERVICE_UNAVAILABLE, why),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "retention did not answer".to_owned()),
    };
    text(status, format!("{why}\n"))
}
