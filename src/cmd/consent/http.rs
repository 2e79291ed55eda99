//! Just enough HTTP/1.1 to ask our own admin API: one request a connection, answered whole.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use super::super::Failure;
use crate::admin::access::TOKEN_OCTETS_MAX;

/// For connecting, and for each read and write. Longer than the API gives a connection.
const PATIENCE: Duration = Duration::from_secs(15);
/// The longest answer, octets: a page of an export is below 1 MiB, a long history may be more.
const ANSWER_OCTETS_MAX: u64 = 64 << 20;

/// The admin API of a running proxy.
pub(in crate::cmd) struct Api {
    address: SocketAddr,
    token: Option<String>,
    patience: Duration,
}

impl Api {
    /// Reads the token, if there is one.
    pub fn new(address: SocketAddr, token_file: Option<&Path>) -> Result<Api, Failure> {
        let token = match token_file {
            Some(file) => {
                let mut text = String::new();
                let opened = std::fs::File::open(file);
                opened
                    .and_then(|file| {
                        file.take(TOKEN_OCTETS_MAX as u64 + 2).read_to_string(&mut text)
                    })
                    .map_err(|error| {
                        Failure(format!("token_file {} cannot be read: {error}", file.display()))
                    })?;
                Some(text.trim_end().to_owned())
            }
            None => None,
        };
        Ok(Api { address, token, patience: PATIENCE })
    }

    /// With another time for connecting, and for each read and write.
    pub fn within(self, patience: Duration) -> Api {
        Api { patience, ..self }
    }

    /// The body of the answer to a POST; a failure unless it is 200.
    pub fn post(&self, path: &str, body: &str) -> Result<String, Failure> {
        said(self.ask("POST", path, body)?)
    }

    /// The same of a GET.
    pub fn get(&self, path: &str) -> Result<String, Failure> {
        said(self.ask("GET", path, "")?)
    }

    /// Status and body of an answer, whatever it is.
    pub fn ask(&self, method: &str, path: &str, body: &str) -> Result<(u16, String), Failure> {
        let lost = |error: std::io::Error| {
            Failure(format!("the proxy's admin API at {} was lost: {error}", self.address))
        };
        let mut stream = TcpStream::connect_timeout(&self.address, self.patience).map_err(lost)?;
        stream.set_read_timeout(Some(self.patience)).map_err(lost)?;
        stream.set_write_timeout(Some(self.patience)).map_err(lost)?;
        let token = self.token.as_ref();
        let token = token.map(|token| format!("Authorization: Bearer {token}\r\n"));
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\n{}Content-Length: {}\r\nConnection: close\r\n\r\n",
            self.address,
            token.unwrap_or_default(),
            body.len(),
        );
        stream.write_all(head.as_bytes()).map_err(lost)?;
        stream.write_all(body.as_bytes()).map_err(lost)?;
        let mut answer = Vec::new();
        stream.take(ANSWER_OCTETS_MAX).read_to_end(&mut answer).map_err(lost)?;
        let answer = String::from_utf8_lossy(&answer);
        parsed(&answer).ok_or_else(|| {
            Failure(format!("what answers at {} is not the admin API", self.address))
        })
    }
}

/// What was said where it was 200; else a failure.
fn said((status, body): (u16, String)) -> Result<String, Failure> {
    match status {
        200 => Ok(body),
        401 => Err(Failure("the admin API wants another token than [admin] token_file has".into())),
        _ => Err(Failure(format!("the proxy answered {status}: {}", body.trim_end()))),
    }
}

/// Status and body. A body in chunks is put together.
fn parsed(answer: &str) -> Option<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let fields: Vec<String> = lines.map(str::to_ascii_lowercase).collect();
    if fields.iter().any(|field| field.starts_with("transfer-encoding:")) {
        return unchunked(body).map(|body| (status, body));
    }
    let length = fields.iter().find_map(|field| field.strip_prefix("content-length:"));
    match length.map(|length| length.trim().parse::<usize>()) {
        Some(Ok(length)) => body.get(..length).map(|body| (status, body.to_owned())),
        Some(Err(_)) => None,
        None => Some((status, body.to_owned())),
    }
}

fn unchunked(mut rest: &str) -> Option<String> {
    let mut body = String::new();
    loop {
        let (length, after) = rest.split_once("\r\n")?;
        let length = usize::from_str_radix(length.trim(), 16).ok()?;
        if length == 0 {
            return Some(body);
        }
        body.push_str(after.get(..length)?);
        rest = after.get(length..)?.strip_prefix("\r\n")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_whole_or_not_at_all() {
        for (answer, expected) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", Some((200, "ab"))),
            ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab", None),
            ("HTTP/1.1 404 Not Found\r\n\r\nx", Some((404, "x"))),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
                Some((200, "abc")),
            ),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", None),
            ("SSH-2.0\r\n\r\n", None),
            ("HTTP/1.1 2", None),
            ("", None),
        ] {
            let expected = expected.map(|(status, body)| (status, body.to_owned()));
            assert_eq!(parsed(answer), expected, "{answer}");
        }
    }
}
