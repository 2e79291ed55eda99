//! How listeners are come in at and led out of: TLS, balancers, networks. Certificates are read at the
//! start and watched for their end.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::Failure;
use crate::config::{self, ClientCertificates, Config, TlsVersion};
use crate::metrics::Metrics;
use crate::proxy::tls::{
    Ask, Certificates, ClientFiles, ClientTls, End, Identity, ServerFiles, ServerTls, Version,
};
use crate::proxy::{Entrance, Outward, Shared, header};

/// Days before a certificate ends from which the log and `check` say so.
pub(super) const ENDING_DAYS: i64 = 30;

const DAY_S: i64 = 86_400;

/// How often is looked whether a certificate ends soon.
const LOOK: Duration = Duration::from_secs(1);

/// TLS of both legs of one `[[listen]]`.
#[derive(Default)]
pub(super) struct Legs {
    pub(super) esme: Option<Arc<ServerTls>>,
    pub(super) smsc: Option<Arc<ClientTls>>,
}

/// Reads the certificates of every `[[listen]]`, in their order.
pub(super) fn read(config: &Config) -> Result<Vec<Legs>, Failure> {
    let numbered = (1..).zip(&config.listen);
    numbered.map(|(number, listen)| legs(&format!("listen{number}"), listen)).collect()
}

/// The same together, for renewing them.
pub(super) fn together(legs: &[Legs]) -> Certificates {
    Certificates {
        servers: legs.iter().filter_map(|one| one.esme.clone()).collect(),
        clients: legs.iter().filter_map(|one| one.smsc.clone()).collect(),
    }
}

fn legs(name: &str, listen: &config::Listen) -> Result<Legs, Failure> {
    let fault = |why| Failure(format!("[[listen]] {}: {why}", listen.address));
    let esme = listen.tls.as_ref().map(|tls| ServerTls::read(name, server_files(tls)));
    let smsc = listen.smsc_tls.as_ref().map(|tls| ClientTls::read(name, client_files(tls)));
    Ok(Legs {
        esme: esme.transpose().map_err(fault)?.map(Arc::new),
        smsc: smsc.transpose().map_err(fault)?.map(Arc::new),
    })
}

/// How connections come in at a listener.
pub(super) fn entrance(listen: &config::Listen, tls: &Legs) -> Entrance {
    Entrance {
        tls: tls.esme.clone(),
        balancers: listen.proxy_protocol.clone(),
        allow: listen.allow.clone(),
    }
}

/// How the SMSC behind it is spoken to.
pub(super) fn outward(listen: &config::Listen, tls: &Legs) -> Outward {
    let header = listen.smsc_proxy_protocol.map(|version| match version {
        config::ProxyProtocol::V1 => header::Version::V1,
        config::ProxyProtocol::V2 => header::Version::V2,
    });
    Outward { tls: tls.smsc.clone(), header }
}

fn server_files(tls: &config::Tls) -> ServerFiles {
    let ca = tls.client_ca.clone().unwrap_or_default();
    ServerFiles {
        identity: Identity { certificate: tls.certificate.clone(), key: tls.key.clone() },
        ask: match tls.client {
            ClientCertificates::None => Ask::Nothing,
            ClientCertificates::Optional => Ask::Optional(ca),
            ClientCertificates::Required => Ask::Required(ca),
        },
        min: version(tls.min),
    }
}

fn client_files(tls: &config::SmscTls) -> ClientFiles {
    let identity = |(certificate, key)| Identity { certificate, key };
    ClientFiles {
        ca: tls.ca.clone(),
        name: tls.name.clone(),
        identity: tls.identity.clone().map(identity),
        min: version(tls.min),
    }
}

fn version(min: TlsVersion) -> Version {
    match min {
        TlsVersion::Tls12 => Version::Tls12,
        TlsVersion::Tls13 => Version::Tls13,
    }
}

/// What is to be said of a certificate, if it ends soon.
pub(super) fn ending(end: &End, now_s: i64) -> Option<String> {
    let name = &end.certificate;
    match end.unix_s - now_s {
        left if left <= 0 => Some(format!("the certificate {name} has expired")),
        left if left < ENDING_DAYS * DAY_S => {
            Some(format!("the certificate {name} ends in {} days", left / DAY_S))
        }
        _ => None,
    }
}

/// Shows how long the certificates last, in the metrics always and in the log once a day of those that
/// end soon.
pub(super) async fn watch(shared: Arc<Shared>) {
    let mut said = HashSet::new();
    while !shared.drain.is_cancelled() {
        let now_s = i64::try_from(shared.clock.now().wall_us / 1_000_000).unwrap_or(i64::MAX);
        show(&shared.metrics, &shared.certificates.ends(), now_s, &mut said);
        tokio::time::sleep(LOOK).await;
    }
}

fn show(metrics: &Metrics, ends: &[End], now_s: i64, said: &mut HashSet<String>) {
    for end in ends {
        metrics.certificate(&end.certificate).set(end.unix_s - now_s);
    }
    let ending: HashSet<String> = ends.iter().filter_map(|end| ending(end, now_s)).collect();
    for says in ending.difference(said) {
        tracing::warn!("{says}; put a new one in its place and reload");
    }
    *said = ending;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_soon_is_said_once_a_day() {
        let end = End { certificate: "listen1.server".into(), unix_s: 100 * DAY_S };
        for (now_s, expected) in [
            (69 * DAY_S, None),
            (70 * DAY_S, None),
            (70 * DAY_S + 1, Some("the certificate listen1.server ends in 29 days")),
            (99 * DAY_S + 1, Some("the certificate listen1.server ends in 0 days")),
            (100 * DAY_S, Some("the certificate listen1.server has expired")),
        ] {
            assert_eq!(ending(&end, now_s).as_deref(), expected, "{now_s}");
        }
        let (metrics, mut said) = (Metrics::new(&[]), HashSet::new());
        show(&metrics, std::slice::from_ref(&end), 101 * DAY_S, &mut said);
        assert_eq!(metrics.certificate("listen1.server").get(), -DAY_S);
        assert_eq!(said.len(), 1);
        show(&metrics, &[end], 1, &mut said);
        assert!(said.is_empty());
    }
}
