//! A live session as the API shows it.

use std::net::SocketAddr;

use serde::Serialize;

/// One line of `GET /api/v1/sessions`. It holds nothing of any message.
#[derive(Debug, Clone, Serialize)]
pub struct Session {
    /// The session's number in this process.
    pub id: u64,
    /// The provider's name in the registry; `None` before the bind was admitted.
    pub provider: Option<String>,
    /// The system_id of an admitted bind; `None` before. What an unknown peer claimed is not shown.
    pub system_id: Option<String>,
    /// Where the ESME connects from.
    pub esme: SocketAddr,
    /// The SMSC's address; `None` before it took the connection.
    pub smsc: Option<SocketAddr>,
    /// `transmitter`, `receiver` or `transceiver`; `None` before the bind.
    pub bind_mode: Option<&'static str>,
    /// The session's state, as in `consentry_sessions{state}`.
    pub state: &'static str,
    /// When the ESME connected, microseconds since the Unix epoch.
    #[serde(serialize_with = "rfc3339")]
    pub since: u64,
    /// Requests that wait for their response.
    pub open_requests: u64,
    /// Requests that went on to the SMSC.
    pub forwarded: u64,
    /// Requests that we refused.
    pub refused: u64,
}

impl Session {
    /// The session as one line of JSON.
    pub(super) fn line(&self) -> String {
        // Strings, numbers and names: this cannot fail.
        serde_json::to_string(self).map(|line| line + "\n").unwrap_or_default()
    }
}

/// Writes microseconds since the Unix epoch as `2026-11-24T00:00:00.000000Z`.
pub(super) fn rfc3339<S: serde::Serializer>(
    micros: &u64,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let micros = i64::try_from(*micros).unwrap_or(i64::MAX);
    match jiff::Timestamp::from_microsecond(micros) {
        Ok(time) => serializer.serialize_str(&time.to_string()),
        Err(_) => serializer.serialize_none(),
    }
}
