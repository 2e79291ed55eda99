//! A connection to the first host of a URL that answers and is what is asked for. Password and certificates are
//! read again for each connection: what was put in the place of an old one is in force for the next.

use std::io::Read;
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use deadpool_postgres::ClientWrapper;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::url::{Encryption, Url, place};
use super::{Fault, Pool, tls};

/// How long one host may take until a connection can be used, unless the URL has a `connect_timeout`. The name's
/// look-up, TLS and the password are counted.
pub const CONNECT: Duration = Duration::from_secs(5);
/// The longest password in a file, octets.
pub const PASSWORD_OCTETS_MAX: usize = 1_024;
/// Octets that nobody acknowledges for so long end a connection.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);
/// How long a connection is silent until it is probed, unless the URL says otherwise.
const SILENT: Duration = Duration::from_secs(30);
/// What the library takes for the same.
const SILENT_OF_LIBRARY: Duration = Duration::from_secs(7_200);

/// Where a database is, and how it is spoken to. Clones share what they learnt of the hosts.
#[derive(Debug, Clone)]
pub struct Server(Arc<Known>);

#[derive(Debug)]
struct Known {
    url: Url,
    password: Option<PathBuf>,
    /// How it shows in the server's lists, unless the URL says.
    name: String,
    /// The host that was taken last.
    taken: AtomicUsize,
}

/// A connection. Dropped, it is closed. It is deadpool's client with a cache of statements, which is
/// tokio-postgres' client.
#[derive(Debug)]
pub struct Connection {
    client: ClientWrapper,
    driver: AbortHandle,
    is_cut: bool,
}

impl Server {
    /// `password` is a file with the password, instead of one in the URL: its first and only line. All files are
    /// read once, nothing is connected to.
    ///
    /// # Errors
    ///
    /// What is wrong with a file, or that there are two passwords.
    pub fn new(url: Url, password: Option<PathBuf>) -> Result<Server, Fault> {
        if url.has_password() && password.is_some() {
            let says = "holds a password, and there is a file of it; write one of the two";
            return Err(Fault::Setting(says.to_owned()));
        }
        let (name, taken) = ("consentry".to_owned(), AtomicUsize::new(0));
        let server = Server(Arc::new(Known { url, password, name, taken }));
        server.prepared()?;
        Ok(server)
    }

    /// Under this name it shows in the server's lists, unless the URL has an `application_name`.
    #[must_use]
    pub fn named(&self, name: &str) -> Server {
        let Known { url, password, .. } = &*self.0;
        let (url, password, name) = (url.clone(), password.clone(), name.to_owned());
        Server(Arc::new(Known { url, password, name, taken: AtomicUsize::new(0) }))
    }

    /// What it was made with.
    pub fn url(&self) -> &Url {
        &self.0.url
    }

    /// Connects to the hosts in their order until one is what is asked for. Where `target_session_attrs` asks for
    /// one, it begins with the host that it was last, so that one that is gone holds nobody up. Each host has
    /// [`CONNECT`], or the URL's `connect_timeout`. Needs a runtime of tokio, which carries the connection.
    ///
    /// # Errors
    ///
    /// What each host says, or a file that cannot be used any more.
    pub async fn connect(&self) -> Result<Connection, Fault> {
        let (settings, tls) = self.prepared()?;
        let Known { url, taken, .. } = &*self.0;
        let begin = match settings.get_target_session_attrs() {
            TargetSessionAttrs::Any => 0,
            _ => taken.load(Ordering::Relaxed),
        };
        let mut said = Vec::new();
        let numbered = url.hosts.iter().enumerate();
        for (number, (host, port)) in numbered.clone().skip(begin).chain(numbered.take(begin)) {
            let patience = settings.get_connect_timeout().copied().unwrap_or(CONNECT);
            match timeout(patience, dial(settings.clone(), host, *port, tls.clone())).await {
                Ok(Ok(connection)) => {
                    taken.store(number, Ordering::Relaxed);
                    return Ok(connection);
                }
                Ok(Err(fault)) => said.push(format!("{}: {fault}", place(host, *port))),
                Err(_) => {
                    said.push(format!("{}: no answer within {patience:?}", place(host, *port)));
                }
            }
        }
        Err(Fault::Down(said.join("; ")))
    }

    /// Connections to be lent, at most `max` at once; none is made before it is wanted. Who finds none waits
    /// `patience` for another's.
    ///
    /// # Errors
    ///
    /// None that can be helped: what the pool's library says.
    pub fn pool(&self, max: usize, patience: Duration) -> Result<Pool, Fault> {
        Pool::new(self.clone(), max, patience)
    }

    /// What a connection is begun with, of the files as they are now.
    fn prepared(&self) -> Result<(Config, MakeRustlsConnect), Fault> {
        let Known { url, password, name, .. } = &*self.0;
        let setting = |fault: crate::pem::TlsFault| Fault::Setting(fault.to_string());
        let tls = MakeRustlsConnect::new(tls::read(url).map_err(setting)?);
        let mut settings = Config::clone(&url.settings);
        if let Some(file) = password {
            settings.password(read_password(file)?);
        }
        if settings.get_application_name().is_none() {
            settings.application_name(name);
        }
        if settings.get_keepalives_idle() == SILENT_OF_LIBRARY {
            settings.keepalives_idle(SILENT);
        }
        settings.tcp_user_timeout(UNACKNOWLEDGED);
        settings.ssl_mode(match url.encryption {
            Encryption::Disable => SslMode::Disable,
            Encryption::Prefer => SslMode::Prefer,
            Encryption::Require | Encryption::VerifyCa | Encryption::VerifyFull => SslMode::Require,
        });
        Ok((settings, tls))
    }
}

async fn dial(
    mut settings: Config,
    host: &Host,
    port: u16,
    tls: MakeRustlsConnect,
) -> Result<Connection, Fault> {
    match host {
        Host::Tcp(name) => settings.host(name),
        // There is no TLS on a socket of the file system, whatever sslmode says.
        Host::Unix(folder) => settings.host_path(folder).ssl_mode(SslMode::Disable),
    };
    let (client, connection) = settings.port(port).connect(tls).await?;
    // Its end shows in whatever is asked next.
    let driver = tokio::spawn(async move { drop(connection.await) });
    let abort = driver.abort_handle();
    Ok(Connection { client: ClientWrapper::new(client, driver), driver: abort, is_cut: false })
}

impl Connection {
    /// Ends it at once, whatever it is in the middle of.
    pub(super) fn cut(&mut self) {
        self.driver.abort();
        self.is_cut = true;
    }

    /// Whether nothing can be asked any more.
    pub(super) fn is_over(&self) -> bool {
        self.is_cut || self.client.is_closed()
    }
}

impl Deref for Connection {
    type Target = ClientWrapper;

    fn deref(&self) -> &ClientWrapper {
        &self.client
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut ClientWrapper {
        &mut self.client
    }
}

/// The first and only line of a file that others than its owner and group may not read.
fn read_password(file: &Path) -> Result<String, Fault> {
    let fault = |says: String| Fault::Setting(format!("{} {says}", file.display()));
    let unreadable = |error: std::io::Error| fault(format!("cannot be read: {error}"));
    let open = std::fs::File::open(file).map_err(unreadable)?;
    // Asked of the open file, so that it cannot be exchanged in between.
    if open.metadata().map_err(unreadable)?.permissions().mode() & 0o007 != 0 {
        return Err(fault("can be read by everybody; run chmod 600 on it".to_owned()));
    }
    let mut text = String::new();
    open.take(PASSWORD_OCTETS_MAX as u64 + 3).read_to_string(&mut text).map_err(unreadable)?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() || line.len() > PASSWORD_OCTETS_MAX || line.contains(['\n', '\0']) {
        return Err(fault(format!(
            "must hold a password and nothing else: one line of 1 to {PASSWORD_OCTETS_MAX} octets"
        )));
    }
    Ok(line.to_owned())
}
