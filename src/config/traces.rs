//! `[traces]`: where spans of sessions and messages go.

use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

use super::fault::Source;
use super::{Fault, address};

/// `[traces] sample`, unless the file says otherwise: one message in a thousand.
pub const SAMPLE: f64 = 0.001;
/// `[traces] otlp`: octets.
const URL_OCTETS_MAX: usize = 512;
/// The port of OTLP over HTTP, where the URL names none.
const PORT: u16 = 4318;

/// As it stands in the file.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Traces")]
pub(super) struct Written {
    /// `http://host:port/v1/traces` of a collector that takes OTLP over HTTP. Only in a program that was built with
    /// `--features otlp`.
    #[schemars(with = "String")]
    pub otlp: Spanned<String>,
    /// The share of messages that is sampled, 0 to 1; sessions always are.
    #[schemars(with = "Option<f64>", extend("default" = SAMPLE, "minimum" = 0, "maximum" = 1))]
    pub sample: Option<Spanned<f64>>,
}

/// `[traces]`: where spans go, and of how many messages.
#[derive(Debug, Clone, PartialEq)]
pub struct Traces {
    /// The collector's host, a name or an address, IPv6 in brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The path, from `/` on.
    pub path: String,
    /// The share of messages that is sampled, 0 to 1.
    pub sample: f64,
}

impl Traces {
    /// The URL with its port and path.
    pub fn url(&self) -> String {
        format!("http://{}:{}{}", self.host, self.port, self.path)
    }
}

pub(super) fn traces(source: &Source<'_>, written: Written) -> Result<Traces, Fault> {
    let (host, port, path) = url(source, &written.otlp)?;
    let sample = match written.sample {
        Some(sample) if !(0.0..=1.0).contains(sample.get_ref()) => {
            let says = format!("is {}; write a share from 0 to 1", sample.get_ref());
            return Err(source.fault(sample.span(), says));
        }
        Some(sample) => *sample.get_ref(),
        None => SAMPLE,
    };
    Ok(Traces { host, port, path, sample })
}

fn url(source: &Source<'_>, written: &Spanned<String>) -> Result<(String, u16, String), Fault> {
    // The value is not repeated: it may hold a password.
    let says = |says: &str| source.fault(written.span(), says);
    let text = written.get_ref().as_str();
    if text.starts_with("https://") {
        return Err(says(
            "asks for TLS, which spans are not sent with: put a collector beside the proxy, at http://",
        ));
    }
    let is_plain =
        text.len() <= URL_OCTETS_MAX && text.bytes().all(|octet| octet.is_ascii_graphic());
    let rest = text.strip_prefix("http://").filter(|_| is_plain);
    let wrong = || says("is no URL of a collector, such as \"http://127.0.0.1:4318/v1/traces\"");
    let rest = rest.ok_or_else(wrong)?;
    let at = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (peer, path) = rest.split_at_checked(at).ok_or_else(wrong)?;
    let path = if path.is_empty() || path == "/" { "/v1/traces" } else { path };
    let has_port = peer.contains(':') && !peer.ends_with(']');
    let named = if has_port { peer.to_owned() } else { format!("{peer}:{PORT}") };
    if !path.starts_with('/') || path.contains('#') || address::peer(&named).is_err() {
        return Err(wrong());
    }
    let (host, port) = named.rsplit_once(':').ok_or_else(wrong)?;
    Ok((host.to_owned(), port.parse().map_err(|_| wrong())?, path.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::parse;

    #[test]
    fn collectors_are_read_and_mistakes_named() {
        let good = |host: &str, port, path: &str, sample| {
            Ok((host.to_owned(), port, path.to_owned(), sample))
        };
        for (written, expected) in [
            (
                "otlp = \"http://127.0.0.1:4318/v1/traces\"",
                good("127.0.0.1", 4318, "/v1/traces", 0.001),
            ),
            ("otlp = \"http://collector\"", good("collector", 4318, "/v1/traces", 0.001)),
            ("otlp = \"http://[::1]/\"\nsample = 1", good("[::1]", 4318, "/v1/traces", 1.0)),
            (
                "otlp = \"http://[::1]:1/otlp?a=b\"\nsample = 0.5",
                good("[::1]", 1, "/otlp?a=b", 0.5),
            ),
            ("otlp = \"http://a:1\"\nsample = 0", good("a", 1, "/v1/traces", 0.0)),
            (
                "otlp = \"http://a:1\"\nsample = 1.01",
                Err("[traces] sample is 1.01; write a share from 0 to 1"),
            ),
            ("otlp = \"http://a:1\"\nsample = -0.1", Err("a share from 0 to 1")),
            ("otlp = \"http://a:1\"\nsample = nan", Err("a share from 0 to 1")),
            ("otlp = \"https://a/v1/traces\"", Err("asks for TLS")),
            ("otlp = \"http://user:secret@a/v1/traces\"", Err("is no URL")),
            ("otlp = \"http://a:0/v1/traces\"", Err("is no URL")),
            ("otlp = \"http://a/b c\"", Err("is no URL")),
            ("otlp = \"http://a/\\r\\nX: y\"", Err("is no URL")),
            ("otlp = \"http://a?b\"", Err("is no URL")),
            ("otlp = \"http://\"", Err("is no URL")),
            ("otlp = \"127.0.0.1:4318\"", Err("is no URL")),
            ("sample = 1", Err("otlp")),
        ] {
            let text = format!(
                "[[listen]]\naddress = \"127.0.0.1:0\"\nsmsc = [\"a:1\"]\n[traces]\n{written}\n"
            );
            let read = parse(&text, "c.toml", Path::new(""), &[]).map(|config| config.traces);
            match (read, expected) {
                (Ok(Some(one)), Ok(expected)) => {
                    assert_eq!((one.host, one.port, one.path, one.sample), expected, "{written}");
                }
                (Err(fault), Err(says)) => {
                    let fault = fault.to_string();
                    assert!(fault.contains(says), "{written}: {fault}");
                }
                (read, _) => panic!("{written}: {read:?}"),
            }
        }
    }
}
