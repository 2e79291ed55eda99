//! Who may use the API: whoever has the token, or without a token whoever is on this machine.

use std::fmt;
use std::io::Read;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use axum::extract::{ConnectInfo, Request, State as Extract};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use sha2::{Digest, Sha256};

use super::connection::Peer;
use super::{State, not_found, text};

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

/// Lets a request through to the API, or answers it.
pub(super) async fn check(
    Extract(state): Extract<State>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response {
    match &state.token {
        Some(token) if token.is_in(request.headers()) => next.run(request).await,
        Some(_) => {
            let mut response = text(StatusCode::UNAUTHORIZED, "a bearer token is needed\n".into());
            let asked = HeaderValue::from_static("Bearer realm=\"consentry\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, asked);
            response
        }
        None if is_local(peer.ip(), request.headers()) => next.run(request).await,
        None => not_found(),
    }
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
