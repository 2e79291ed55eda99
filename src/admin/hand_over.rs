//! Handing over to a new process over HTTP: `POST /api/v1/hand-over`, without a body.
//!
//! | answer | means |
//! |---|---|
//! | 200 | another process has the sockets, accepts the configuration and takes over as soon as the sessions of this one have ended |
//! | 202 | it has not said so within [`ANSWER_WAIT`]; the log tells how it ends |
//! | 409 | it could not start, or another one is starting: this process goes on, and the body says why |

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State as Extract;
use axum::http::StatusCode;
use axum::response::Response;

use super::{State, not_found, text};

/// How long the answer waits for the other process: less than a connection has.
pub const ANSWER_WAIT: Duration = Duration::from_secs(8);

/// Begins a hand-over: what was begun, or why not.
pub type HandOver =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<String, String>> + Send>> + Send + Sync>;

/// The request.
pub(super) async fn answer(Extract(state): Extract<State>) -> Response {
    let Some(hand_over) = state.hand_over else { return not_found() };
    match tokio::time::timeout(ANSWER_WAIT, hand_over()).await {
        Ok(Ok(begun)) => text(StatusCode::OK, begun + "\n"),
        Ok(Err(why)) => text(StatusCode::CONFLICT, why + "\n"),
        Err(_) => {
            let why = "the other process is still starting; the log tells how it ends\n";
            text(StatusCode::ACCEPTED, why.to_owned())
        }
    }
}
