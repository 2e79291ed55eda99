//! TLS of both legs: what is read from the files, how it is renewed, and the handshakes.
//!
//! Nobody resumes: no ticket is given and none kept, so that every connection shows its certificates and
//! has them checked against what is in force now. A session that has begun lives on whatever becomes of
//! its certificates.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{ClientConfig, ServerConfig, SupportedProtocolVersion};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::certificate::peer_certificate;
use super::stream::{Stream, TLS_BUFFER_OCTETS};
pub use crate::pem::{Identity, TlsFault};
use crate::pem::{certificates, fault, identity, not_after_s, roots, unfit};
use crate::registry::Presented;

/// The oldest version that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Version {
    /// TLS 1.2 (RFC 5246) and 1.3.
    #[default]
    Tls12,
    /// TLS 1.3 (RFC 8446) alone.
    Tls13,
}

/// Whether ESMEs are asked for a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Ask {
    /// They are not.
    #[default]
    Nothing,
    /// They are; who has none is served all the same. The file names the authorities.
    Optional(PathBuf),
    /// They are, and none is served without one.
    Required(PathBuf),
}

/// How TLS is spoken to ESMEs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFiles {
    /// What is shown to them.
    pub identity: Identity,
    /// What they are asked for.
    pub ask: Ask,
    /// The oldest version.
    pub min: Version,
}

/// How TLS is spoken to the SMSC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFiles {
    /// The authorities that may have signed its certificate. Those of the system are not asked.
    pub ca: PathBuf,
    /// The name that must stand in its certificate; `None` = the host of the address that is dialled.
    pub name: Option<String>,
    /// What is shown where the SMSC asks.
    pub identity: Option<Identity>,
    /// The oldest version.
    pub min: Version,
}

/// A certificate in force, and when it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// Which: the leg, and `server`, `client` or `ca`.
    pub certificate: String,
    /// The last second it is valid, since the Unix epoch: of several in the file the first to end.
    pub unix_s: i64,
}

/// What was read, ready for handshakes.
struct InForce<C> {
    config: Arc<C>,
    ends: Vec<End>,
}

/// TLS as a listener speaks it to ESMEs.
pub struct ServerTls {
    leg: String,
    files: ServerFiles,
    in_force: RwLock<InForce<ServerConfig>>,
}

/// TLS as it is spoken to the SMSC behind a listener.
pub struct ClientTls {
    leg: String,
    files: ClientFiles,
    in_force: RwLock<InForce<ClientConfig>>,
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").field("leg", &self.leg).finish_non_exhaustive()
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").field("leg", &self.leg).finish_non_exhaustive()
    }
}

impl ServerTls {
    /// Reads the files. `leg` names it in metrics and the log.
    ///
    /// # Errors
    ///
    /// The first file that cannot be read, is not what it should be, or does not fit the others.
    pub fn read(leg: &str, files: ServerFiles) -> Result<ServerTls, TlsFault> {
        let in_force = RwLock::new(server(leg, &files)?);
        Ok(ServerTls { leg: leg.to_owned(), files, in_force })
    }

    /// The handshake with an ESME, and what it showed. It has no end of its own: bound its time.
    pub(super) async fn accept(&self, socket: TcpStream) -> io::Result<(Stream, Presented)> {
        let config = held(&self.in_force).config.clone();
        let limit = |tls: &mut rustls::ServerConnection| {
            tls.set_buffer_limit(Some(TLS_BUFFER_OCTETS));
        };
        let stream = TlsAcceptor::from(config).accept_with(socket, limit).await?;
        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let presented = shown.map_or(Presented::Nothing, |certificate| {
            Presented::Certificate(peer_certificate(certificate))
        });
        Ok((Stream::encrypted(stream.into()), presented))
    }
}

impl ClientTls {
    /// Reads the files. `leg` names it in metrics and the log.
    ///
    /// # Errors
    ///
    /// As those of [`ServerTls::read`].
    pub fn read(leg: &str, files: ClientFiles) -> Result<ClientTls, TlsFault> {
        let in_force = RwLock::new(client(leg, &files)?);
        Ok(ClientTls { leg: leg.to_owned(), files, in_force })
    }

    /// The handshake with the SMSC that was dialled at `target`, `host:port` as it was configured. It has
    /// no end of its own: bound its time.
    pub(super) async fn connect(&self, socket: TcpStream, target: &str) -> io::Result<Stream> {
        let host = target.rsplit_once(':').map_or(target, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
        let name = self.files.name.as_deref().unwrap_or(host).to_owned();
        let name = ServerName::try_from(name).map_err(|_| {
            let says =
                "the SMSC's host is no name that a certificate could have; write smsc_tls name";
            io::Error::new(io::ErrorKind::InvalidInput, says)
        })?;
        let config = held(&self.in_force).config.clone();
        let limit = |tls: &mut rustls::ClientConnection| {
            tls.set_buffer_limit(Some(TLS_BUFFER_OCTETS));
        };
        let stream = TlsConnector::from(config).connect_with(name, socket, limit).await?;
        Ok(Stream::encrypted(stream.into()))
    }
}

/// The TLS of every listener, for renewing it together.
#[derive(Debug, Default)]
pub struct Certificates {
    /// Towards ESMEs.
    pub servers: Vec<Arc<ServerTls>>,
    /// Towards SMSCs.
    pub clients: Vec<Arc<ClientTls>>,
}

impl Certificates {
    /// Reads every file again. When all are good they are in force for handshakes from now on; sessions
    /// that have begun are not touched. How many files of certificates there are.
    ///
    /// # Errors
    ///
    /// The first fault found; then nothing has changed.
    pub fn reload(&self) -> Result<usize, TlsFault> {
        let servers = self.servers.iter().map(|one| server(&one.leg, &one.files));
        let servers = servers.collect::<Result<Vec<_>, _>>()?;
        let clients = self.clients.iter().map(|one| client(&one.leg, &one.files));
        let clients = clients.collect::<Result<Vec<_>, _>>()?;
        for (one, read) in self.servers.iter().zip(servers) {
            *one.in_force.write().unwrap_or_else(PoisonError::into_inner) = read;
        }
        for (one, read) in self.clients.iter().zip(clients) {
            *one.in_force.write().unwrap_or_else(PoisonError::into_inner) = read;
        }
        Ok(self.ends().len())
    }

    /// When each file's certificates end.
    pub fn ends(&self) -> Vec<End> {
        let servers = self.servers.iter().flat_map(|one| held(&one.in_force).ends.clone());
        let clients = self.clients.iter().flat_map(|one| held(&one.in_force).ends.clone());
        servers.chain(clients).collect()
    }
}

fn held<C>(lock: &RwLock<InForce<C>>) -> std::sync::RwLockReadGuard<'_, InForce<C>> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Oldest first.
static VERSIONS: [&SupportedProtocolVersion; 2] =
    [&rustls::version::TLS12, &rustls::version::TLS13];

fn versions(min: Version) -> &'static [&'static SupportedProtocolVersion] {
    match min {
        Version::Tls12 => &VERSIONS,
        Version::Tls13 => VERSIONS.get(1..).unwrap_or_default(),
    }
}

fn server(leg: &str, files: &ServerFiles) -> Result<InForce<ServerConfig>, TlsFault> {
    let certificate = &files.identity.certificate;
    let (chain, key) = identity(&files.identity)?;
    let mut ends = vec![end(leg, "server", chain.first())];
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions(files.min))
        .map_err(|error| fault(certificate, error))?;
    let builder = match &files.ask {
        Ask::Nothing => builder.with_no_client_auth(),
        Ask::Optional(file) | Ask::Required(file) => {
            let authorities = certificates(file)?;
            ends.push(end(leg, "client_ca", &authorities));
            let roots = Arc::new(roots(file, authorities)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
            let verifier = match files.ask {
                Ask::Optional(_) => verifier.allow_unauthenticated(),
                Ask::Nothing | Ask::Required(_) => verifier,
            };
            builder.with_client_cert_verifier(verifier.build().map_err(|error| fault(file, error))?)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|why| unfit(certificate, why))?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(InForce { config: Arc::new(config), ends })
}

fn client(leg: &str, files: &ClientFiles) -> Result<InForce<ClientConfig>, TlsFault> {
    let authorities = certificates(&files.ca)?;
    let mut ends = vec![end(leg, "smsc_ca", &authorities)];
    let roots = Arc::new(roots(&files.ca, authorities)?);
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider())
        .build()
        .map_err(|error| fault(&files.ca, error))?;
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions(files.min))
        .map_err(|error| fault(&files.ca, error))?
        .with_webpki_verifier(verifier);
    let mut config = match &files.identity {
        None => builder.with_no_client_auth(),
        Some(own) => {
            let (chain, key) = identity(own)?;
            ends.push(end(leg, "client", chain.first()));
            let certificate = &own.certificate;
            builder.with_client_auth_cert(chain, key).map_err(|why| unfit(certificate, why))?
        }
    };
    config.resumption = Resumption::disabled();
    Ok(InForce { config: Arc::new(config), ends })
}

fn end<'a>(
    leg: &str,
    kind: &str,
    certificates: impl IntoIterator<Item = &'a CertificateDer<'static>>,
) -> End {
    let ends = certificates.into_iter().filter_map(|one| not_after_s(one));
    End { certificate: format!("{leg}.{kind}"), unix_s: ends.min().unwrap_or(0) }
}
