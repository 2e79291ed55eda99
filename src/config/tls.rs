//! TLS of a `[[listen]]`: what is written, and what is meant by it. The files themselves are read by who
//! speaks TLS.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

use super::fault::Source;
use super::validate::{path, quoted};
use super::{ClientCertificates, Fault, TlsVersion};

/// TLS towards ESMEs.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenTls {
    /// PEM file: the certificate, and behind it those that lead to its authority.
    #[schemars(with = "String")]
    certificate: Spanned<String>,
    /// PEM file: its private key, without a password. Nobody but its owner and group may read it.
    #[schemars(with = "String")]
    key: Spanned<String>,
    /// PEM file: the authorities that sign ESMEs' certificates.
    #[schemars(with = "Option<String>")]
    client_ca: Option<Spanned<String>>,
    /// Whether ESMEs are asked for a certificate. Without it: required where there is a client_ca.
    #[schemars(with = "Option<ClientCertificates>")]
    client: Option<Spanned<ClientCertificates>>,
    /// The oldest version that is spoken.
    #[schemars(extend("default" = "1.2"))]
    min: Option<TlsVersion>,
}

/// TLS towards the SMSC.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenSmscTls {
    /// PEM file: the authorities that may have signed the SMSC's certificate. The system's are not asked.
    #[schemars(with = "String")]
    ca: Spanned<String>,
    /// The name or IP address that must stand in its certificate; without it, the host in smsc.
    #[schemars(with = "Option<String>")]
    name: Option<Spanned<String>>,
    /// PEM file: the certificate that is shown to an SMSC that asks.
    #[schemars(with = "Option<String>")]
    certificate: Option<Spanned<String>>,
    /// PEM file: its private key.
    #[schemars(with = "Option<String>")]
    key: Option<Spanned<String>>,
    /// The oldest version that is spoken.
    #[schemars(extend("default" = "1.2"))]
    min: Option<TlsVersion>,
}

/// `[[listen]] tls`: how TLS is spoken to ESMEs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The certificate's file.
    pub certificate: PathBuf,
    /// The key's file.
    pub key: PathBuf,
    /// The authorities' file; there is one unless `client` is `None`.
    pub client_ca: Option<PathBuf>,
    /// Whether ESMEs are asked for a certificate.
    pub client: ClientCertificates,
    /// The oldest version.
    pub min: TlsVersion,
}

/// `[[listen]] smsc_tls`: how TLS is spoken to the SMSC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmscTls {
    /// The authorities' file.
    pub ca: PathBuf,
    /// The name that must stand in the SMSC's certificate; `None` = the host of its address.
    pub name: Option<String>,
    /// Our certificate and key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The oldest version.
    pub min: TlsVersion,
}

pub(super) fn tls(source: &Source<'_>, folder: &Path, one: WrittenTls) -> Result<Tls, Fault> {
    let client = match (&one.client, &one.client_ca) {
        (None, None) => ClientCertificates::None,
        (None, Some(_)) => ClientCertificates::Required,
        (Some(client), Some(ca)) if *client.get_ref() == ClientCertificates::None => {
            return Err(source.fault(ca.span(), "is for nothing: client is \"none\""));
        }
        (Some(client), None) if *client.get_ref() != ClientCertificates::None => {
            let says = "needs client_ca: the authorities that sign ESMEs' certificates";
            return Err(source.fault(client.span(), says));
        }
        (Some(client), _) => *client.get_ref(),
    };
    Ok(Tls {
        certificate: path(source, folder, Some(one.certificate), "")?,
        key: path(source, folder, Some(one.key), "")?,
        client_ca: one.client_ca.map(|ca| path(source, folder, Some(ca), "")).transpose()?,
        client,
        min: one.min.unwrap_or(TlsVersion::Tls12),
    })
}

pub(super) fn smsc_tls(
    source: &Source<'_>,
    folder: &Path,
    one: WrittenSmscTls,
) -> Result<SmscTls, Fault> {
    let identity = match (one.certificate, one.key) {
        (None, None) => None,
        (Some(certificate), Some(key)) => Some((
            path(source, folder, Some(certificate), "")?,
            path(source, folder, Some(key), "")?,
        )),
        (Some(alone), None) => return Err(source.fault(alone.span(), "needs key beside it")),
        (None, Some(alone)) => {
            return Err(source.fault(alone.span(), "needs certificate beside it"));
        }
    };
    if let Some(name) = &one.name
        && rustls::pki_types::ServerName::try_from(name.get_ref().as_str()).is_err()
    {
        let says = "is no name of a server: write one such as \"smsc.example\", or an IP address";
        return Err(source.fault(name.span(), quoted(name, says)));
    }
    Ok(SmscTls {
        ca: path(source, folder, Some(one.ca), "")?,
        name: one.name.map(Spanned::into_inner),
        identity,
        min: one.min.unwrap_or(TlsVersion::Tls12),
    })
}
