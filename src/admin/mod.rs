//! HTTP for operators: metrics, health, and the API.
//!
//! | path | answers |
//! |---|---|
//! | `GET /metrics` | Prometheus's text format 0.0.4 |
//! | `GET /healthz` | 200 while the process lives |
//! | `GET /readyz` | 200 `ready`, or 503 and one reason a line |
//! | `GET /api/v1/sessions` | live sessions, one JSON object a line |
//! | `GET /api/v1/upstreams`, `POST /api/v1/upstreams/...` | the SMSCs, see [`upstreams`] |
//! | `POST /api/v1/consents...` | the consent ledger, see [`consents`] |
//! | `POST /api/v1/retention/...` | purges, sets and lifts holds, see [`retention`] |
//! | `POST /api/v1/reload` | puts changed files in force, see [`reload`] |
//! | `POST /api/v1/hand-over` | lets the program as it is on the disk now take over, see [`hand_over`] |
//! | `GET`, `POST`, `DELETE /api/v1/capture` | the proxy's own traces, see [`capture`] |
//! | `GET /`, and what it asks | the console, see [`console`] |
//!
//! It has a listener of its own and is given what it shows as plain values, so that it knows no
//! socket of the proxy's. Each connection carries one request and is bounded by [`connection`];
//! who may use the API is decided by [`access`], and who guesses waits by [`logins`].

use std::sync::Arc;

use axum::Router;
use axum::extract::State as Extract;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::net::TcpListener;

use crate::capture::Capture;
use crate::consent::{Ledger, desk};
use crate::metrics::Metrics;

pub mod access;
pub mod capture;
pub mod connection;
pub mod consents;
pub mod console;
pub mod hand_over;
pub mod logins;
pub mod reload;
pub mod retention;
pub mod session;
pub mod upstreams;

pub use access::{Token, TokenFault};
pub use hand_over::HandOver;
pub use reload::Reload;
pub use retention::{Act, Told};
pub use session::Session;
pub use upstreams::{Steer, Upstream};

use access::Door;
use connection::{Bounded, LIFE_MAX, Peer};

/// The longest request body, octets.
pub const BODY_OCTETS_MAX: usize = 48 * 1024;
/// The longest request head, octets: names and values of all headers and the path.
pub const HEAD_OCTETS_MAX: usize = 8 * 1024;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const METRICS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const JSON_LINES: HeaderValue = HeaderValue::from_static("application/x-ndjson; charset=utf-8");

/// What the listener shows.
#[derive(Clone)]
pub struct State {
    /// The metrics of the process.
    pub metrics: Arc<Metrics>,
    /// Why no session can be taken now, a line each; empty when one can. Called for each request,
    /// so it must not block.
    pub readiness: Arc<dyn Fn() -> Vec<String> + Send + Sync>,
    /// The live sessions. Called for each request, so it must not block.
    pub sessions: Arc<dyn Fn() -> Vec<Session> + Send + Sync>,
    /// The consent ledger, if there is one.
    pub ledger: Option<Ledger>,
    /// Records what the ledger took, before it is answered; the error is what is answered instead. It may
    /// block.
    pub told: Arc<dyn Fn(&[desk::Told], u64) -> Result<(), String> + Send + Sync>,
    /// The proxy's own traces, if it writes any.
    pub capture: Option<Arc<Capture>>,
    /// How many commercial codes there are the answers to which do not pass through the proxy.
    pub blind_ports: Arc<dyn Fn() -> usize + Send + Sync>,
    /// Purges, sets and lifts holds, if there are records to keep.
    pub retention: Option<Act>,
    /// The SMSCs of the listeners, if there are any.
    pub upstreams: Option<Arc<dyn Steer>>,
    /// Puts changed files in force.
    pub reload: Option<Reload>,
    /// What the console asks, if it may.
    pub console: Option<console::Desk>,
    /// Lets another process take over, where there can be one.
    pub hand_over: Option<HandOver>,
    /// What `/api/v1` asks for; without it, only this machine is served.
    pub token: Option<Arc<Token>>,
}

/// Serves until `shutdown` resolves, and then until the open connections end: at most
/// [`LIFE_MAX`].
pub async fn serve(
    listener: TcpListener,
    state: State,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let app = router(state).into_make_service_with_connect_info::<Peer>();
    axum::serve(Bounded::new(listener, LIFE_MAX), app).with_graceful_shutdown(shutdown).await
}

fn router(state: State) -> Router {
    let api = Router::new()
        .route("/sessions", get(sessions))
        .route("/consents", post(consents::events))
        .route("/consents/{ask}", post(consents::ask).get(consents::ask))
        .route("/capture", get(capture::answer).post(capture::answer).delete(capture::answer))
        .route("/upstreams", get(upstreams::list))
        .route("/upstreams/{ask}", post(upstreams::steer))
        .route("/reload", post(reload::answer))
        .route("/retention/{ask}", post(retention::answer))
        .route("/status", get(console::status))
        .route("/history", get(console::history))
        .route("/registry", get(console::registry))
        .route("/refusals", get(console::refusals))
        .route("/records/{number}", get(console::record))
        .route("/explain", post(console::explain))
        .route("/hand-over", post(hand_over::answer))
        .fallback(nothing_here)
        .route_layer(middleware::from_fn_with_state(Door::new(state.token.clone()), access::check));
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/", get(console::page))
        .route("/console/{*file}", get(console::file))
        .nest("/api/v1", api)
        .fallback(nothing_here)
        .layer(middleware::from_fn(limit_request))
        .layer(middleware::map_response(harden))
        .with_state(state)
}

async fn metrics(Extract(state): Extract<State>) -> Response {
    ([(header::CONTENT_TYPE, METRICS)], state.metrics.render()).into_response()
}

async fn healthz() -> Response {
    text(StatusCode::OK, "alive\n".to_owned())
}

async fn readyz(Extract(state): Extract<State>) -> Response {
    let reasons = (state.readiness)();
    if reasons.is_empty() {
        return text(StatusCode::OK, "ready\n".to_owned());
    }
    text(StatusCode::SERVICE_UNAVAILABLE, reasons.join("\n") + "\n")
}

async fn sessions(Extract(state): Extract<State>) -> Response {
    let lines: String = (state.sessions)().iter().map(Session::line).collect();
    ([(header::CONTENT_TYPE, JSON_LINES)], lines).into_response()
}

async fn nothing_here() -> Response {
    not_found()
}

/// The answer for paths that are not served, whether or not they exist for somebody else.
fn not_found() -> Response {
    text(StatusCode::NOT_FOUND, "not found\n".to_owned())
}

fn text(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, TEXT)], body).into_response()
}

/// Refuses heads and announced bodies above the limits. What a peer sends unannounced is bounded by
/// [`connection::READ_OCTETS_MAX`].
async fn limit_request(request: axum::extract::Request, next: middleware::Next) -> Response {
    let path = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    let headers: usize =
        request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if path + headers > HEAD_OCTETS_MAX {
        return text(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "request head too large\n".into(),
        );
    }
    let announced = request.headers().get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.unwrap_or(0) > BODY_OCTETS_MAX as u64 {
        return text(StatusCode::PAYLOAD_TOO_LARGE, "request body too large\n".to_owned());
    }
    next.run(request).await
}

/// One request a connection, and nothing that a browser could be led to misuse. A policy that an answer has
/// of its own stays.
async fn harden(mut response: Response) -> Response {
    const HEADERS: [(HeaderName, HeaderValue); 7] = [
        (header::CONNECTION, HeaderValue::from_static("close")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            HeaderValue::from_static("same-origin"),
        ),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
        ),
    ];
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(value);
    }
    response
}
