//! `POST /api/v1/reload`: puts changed files in force.
//!
//! 200 with one JSON object: `changed`, `digest` of what is in force, `restart_needed` (keys of the
//! configuration that stay as they were at the start), `providers`. 422 with the error's text where a file is
//! invalid: nothing has changed then.

use std::sync::Arc;

use axum::extract::State as Extract;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::{JSON_LINES, State, not_found, text};

/// Reloads: one line of JSON, or why nothing has changed. Blocks.
pub type Reload = Arc<dyn Fn() -> Result<String, String> + Send + Sync>;

/// `POST /api/v1/reload`.
pub(super) async fn answer(Extract(state): Extract<State>) -> Response {
    let Some(reload) = state.reload else { return not_found() };
    // Files are read: not on a thread that serves other requests.
    match tokio::task::spawn_blocking(move || reload()).await {
        Ok(Ok(done)) => ([(header::CONTENT_TYPE, JSON_LINES)], done).into_response(),
        Ok(Err(why)) => text(StatusCode::UNPROCESSABLE_ENTITY, format!("{why}\n")),
        Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "the reload did not answer\n".into()),
    }
}
