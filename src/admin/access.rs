//! Who may use the API: whoever has the token, or without a token whoever is on this machine.

use std::fmt;
use std::io::Read;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, Request, State as Extract};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use sha2::{Digest, Sha256};

use super::connection::Peer;
use super::logins::Logins;
use super::{not_found, text};

/// The longest token, octets.
pub const TOKEN_OCTETS_MAX: usize = 512;
/// The shortest token, octets: 128 bits in base64 are 22 characters.
pub const TOKEN_OCTETS_MIN: usize = 16;

/// What the API asks for. Only its SHA-256 is kept, and never shown.
pub struct Token([u8; 32]);

/// Why a token file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenFault {
    /// It cannot be opened or read.
    #[error("token_file {file} cannot be read: {error}")]
    Unreadable {
        /// The file.
        file: String,
        /// What the system says.
        error: std::io::Error,
    },
    /// Others than its owner and group may read it.
    #[error("token_file {0} can be read by everybody; run chmod 600 on it")]
    WorldReadable(String),
    /// Too short, too long, or not one line of visible ASCII.
    #[error(
        "token_file {0} must hold one line of {TOKEN_OCTETS_MIN} to {TOKEN_OCTETS_MAX} visible ASCII characters"
    )]
    Malformed(String),
}

impl Token {
    /// Reads a token: the first and only line of a file that others than its owner and group may not
    /// read.
    pub fn read(path: &Path) -> Result<Token, TokenFault> {
        let file = path.display().to_string();
        let unreadable = |error| TokenFault::Unreadable { file: file.clone(), error };
        let opened = std::fs::File::open(path).map_err(unreadable)?;
        // Asked of the open file, so that it cannot be exchanged in between.
        if opened.metadata().map_err(unreadable)?.permissions().mode() & 0o007 != 0 {
            return Err(TokenFault::WorldReadable(file));
        }
        let mut text = Vec::new();
        opened.take(TOKEN_OCTETS_MAX as u64 + 3).read_to_end(&mut text).map_err(unreadable)?;
        let line = text.strip_suffix(b"\n").unwrap_or(&text);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let is_good = (TOKEN_OCTETS_MIN..=TOKEN_OCTETS_MAX).contains(&line.len())
            && line.iter().all(u8::is_ascii_graphic);
        if is_good { Ok(Token(digest(line))) } else { Err(TokenFault::Malformed(file)) }
    }

    /// Whether the header `Authorization: Bearer ...` holds the token. Digests are compared, every
    /// octet of them, so the time taken says nothing about the token.
    fn is_in(&self, headers: &HeaderMap) -> bool {
        let Some(header) = headers.get(header::AUTHORIZATION) else { return false };
        let Some((scheme, token)) = header.as_bytes().split_at_checked(7) else { return false };
        let differing = self
            .0
            .iter()
            .zip(digest(token))
            .fold(0, |acc, (ours, theirs)| std::hint::black_box(acc | (ours ^ theirs)));
        scheme.eq_ignore_ascii_case(b"bearer ") && differing == 0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

fn digest(octets: &[u8]) -> [u8; 32] {
    Sha256::digest(octets).into()
}

/// Who may ask, and who guessed.
#[derive(Clone, Default)]
pub(super) struct Door {
    token: Option<Arc<Token>>,
    logins: Arc<Logins>,
}

impl Door {
    /// Opens to whoever has the token, or without one to this machine.
    pub fn new(token: Option<Arc<Token>>) -> Door {
        Door { token, logins: Arc::default() }
    }
}

/// Lets a request through to the API, or answers it.
pub(super) async fn check(
    Extract(door): Extract<Door>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let Some(token) = &door.token else {
        return match is_local(peer.ip(), headers) {
            true if is_own(request.method(), headers) => next.run(request).await,
            true => text(StatusCode::FORBIDDEN, "asked by another page\n".into()),
            false => not_found(),
        };
    };
    if !headers.contains_key(header::AUTHORIZATION) {
        return unauthorized();
    }
    let now = Instant::now();
    if let Some(wait) = door.logins.wait(peer.ip(), now) {
        return slow_down(wait);
    }
    if token.is_in(headers) {
        return next.run(request).await;
    }
    if door.logins.count(peer.ip(), now) {
        tracing::warn!(address = %peer.ip(), "too many wrong tokens for the admin API; it has to wait");
    }
    unauthorized()
}

fn unauthorized() -> Response {
    let mut response = text(StatusCode::UNAUTHORIZED, "a bearer token is needed\n".into());
    let asked = HeaderValue::from_static("Bearer realm=\"consentry\"");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, asked);
    response
}

fn slow_down(wait: Duration) -> Response {
    let seconds = wait.as_secs().saturating_add(1);
    let why = format!("too many wrong tokens from this address; wait {seconds} s\n");
    let mut response = text(StatusCode::TOO_MANY_REQUESTS, why);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

/// Whether a request that needs no token was not made by somebody else's page. Browsers say which page asks
/// (Fetch 3.1, Sec-Fetch-Site); what looks like one has to say JSON where it changes something, which no form
/// of a page can.
fn is_own(method: &Method, headers: &HeaderMap) -> bool {
    let of = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let site = of("sec-fetch-site");
    if site.is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return false;
    }
    let origin = of("origin");
    let host = of("host").unwrap_or_default();
    let is_here = |origin: &str| {
        let named = origin.strip_prefix("http://").or(origin.strip_prefix("https://"));
        named.is_some_and(|named| named.eq_ignore_ascii_case(host))
    };
    if origin.is_some_and(|origin| !is_here(origin)) {
        return false;
    }
    let is_browser = site.is_some()
        || origin.is_some()
        || of("referer").is_some()
        || of("user-agent").is_some_and(|agent| agent.starts_with("Mozilla/"));
    let says_json = || {
        let kind = of("content-type").unwrap_or_default();
        kind.split(';')
            .next()
            .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
    };
    !is_browser || method != Method::POST || says_json()
}

/// Whether a request comes from this machine and was meant for it. A proxy in front says whom it
/// speaks for; a name in `Host` other than localhost is how a web page of somebody else reaches
/// loopback addresses (DNS rebinding).
fn is_local(peer: IpAddr, headers: &HeaderMap) -> bool {
    let is_forwarded = ["forwarded", "x-forwarded-for", "x-real-ip", "via"]
        .iter()
        .any(|name| headers.contains_key(*name));
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let host = match host.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => host,
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let is_named_so = host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    peer.to_canonical().is_loopback() && !is_forwarded && is_named_so
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_this_machine_are_told_from_others() {
        for (peer, host, forwarded, is_ours) in [
            ("127.0.0.1", "127.0.0.1:9464", None, true),
            ("127.0.0.1", "localhost", None, true),
            ("::1", "[::1]:9464", None, true),
            ("::ffff:127.0.0.1", "LOCALHOST:1", None, true),
            ("127.0.0.1", "rebound.example:9464", None, false),
            ("127.0.0.1", "192.0.2.1", None, false),
            ("127.0.0.1", "", None, false),
            ("127.0.0.1", "localhost", Some("x-forwarded-for"), false),
            ("127.0.0.1", "localhost", Some("forwarded"), false),
            ("192.0.2.1", "127.0.0.1", None, false),
            ("::ffff:192.0.2.1", "localhost", None, false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static(host));
            if let Some(name) = forwarded {
                headers.insert(name, HeaderValue::from_static("192.0.2.1"));
            }
            assert_eq!(is_local(peer.parse().unwrap(), &headers), is_ours, "{peer} {host}");
        }
    }

    #[test]
    fn other_pages_change_and_ask_nothing() {
        let here = ("origin", "http://localhost:9464");
        let json = ("content-type", "application/json");
        let form = ("content-type", "text/plain");
        let rows: &[(Method, &[(&str, &str)], bool)] = &[
            (Method::GET, &[], true),
            (Method::POST, &[], true),
            (
                Method::POST,
                &[("user-agent", "curl/8"), ("content-type", "application/x-www-form-urlencoded")],
                true,
            ),
            (Method::POST, &[here, json, ("sec-fetch-site", "same-origin")], true),
            (Method::POST, &[here, ("content-type", "application/json; charset=utf-8")], true),
            (Method::DELETE, &[here], true),
            (Method::GET, &[("sec-fetch-site", "none"), ("user-agent", "Mozilla/5.0")], true),
            (Method::POST, &[here, form], false),
            (Method::POST, &[here], false),
            (Method::POST, &[("user-agent", "Mozilla/5.0"), form], false),
            (Method::POST, &[("referer", "http://localhost:9464/"), form], false),
            (Method::POST, &[json, ("origin", "http://localhost:9465")], false),
            (Method::POST, &[json, ("origin", "http://evil.example")], false),
            (Method::POST, &[json, ("origin", "null")], false),
            (Method::POST, &[here, json, ("sec-fetch-site", "cross-site")], false),
            (Method::GET, &[("sec-fetch-site", "cross-site")], false),
            (Method::GET, &[("sec-fetch-site", "same-site")], false),
            (Method::GET, &[("origin", "http://evil.example")], false),
        ];
        for (method, said, is_ours) in rows {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("localhost:9464"));
            for (name, value) in *said {
                headers.insert(*name, HeaderValue::from_static(value));
            }
            assert_eq!(is_own(method, &headers), *is_ours, "{method} {said:?}");
        }
    }

    #[test]
    fn token_files_are_one_secret_line() {
        let folder = tempfile::tempdir().unwrap();
        let long = "t".repeat(TOKEN_OCTETS_MAX);
        for (text, mode, good) in [
            ("sixteen-octets-0", 0o600, true),
            ("sixteen-octets-0\n", 0o640, true),
            ("sixteen-octets-0\r\n", 0o400, true),
            (&long, 0o600, true),
            (&format!("{long}\r\n"), 0o600, true),
            (&format!("{long}t"), 0o600, false),
            ("fifteen-octets-", 0o600, false),
            ("sixteen octets 0", 0o600, false),
            ("sixteen-octets-0\n\n", 0o600, false),
            ("", 0o600, false),
            ("sixteen-octets-0", 0o604, false),
            ("sixteen-octets-0", 0o602, false),
        ] {
            let path = folder.path().join("token");
            let _ = std::fs::remove_file(&path);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(Token::read(&path).is_ok(), good, "{} octets {mode:o}", text.len());
        }
        assert!(Token::read(&folder.path().join("none")).is_err());
    }

    #[test]
    fn only_the_whole_token_opens() {
        let token = Token(digest(b"sixteen-octets-0"));
        for (header, opens) in [
            ("Bearer sixteen-octets-0", true),
            ("bearer sixteen-octets-0", true),
            ("Bearer sixteen-octets-1", false),
            ("Bearer sixteen-octets-", false),
            ("Bearer sixteen-octets-00", false),
            ("Bearer  sixteen-octets-0", false),
            ("Bearer ", false),
            ("Bearer", false),
            ("Basic: sixteen-octets-0", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, HeaderValue::from_static(header));
            assert_eq!(token.is_in(&headers), opens, "{header}");
        }
        assert!(!token.is_in(&HeaderMap::new()));
        assert_eq!(format!("{token:?}"), "Token");
    }
}
