//! What a `postgres://` URL says, as libpq reads it. The keys for TLS are read here, the others by the library;
//! what is not spoken is refused by its name. No value is ever repeated: it may be a password.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, TargetSessionAttrs};

use super::Fault;
use crate::pem::Identity;

/// The longest URL, octets.
pub const URL_OCTETS_MAX: usize = 4_096;
/// Hosts of one URL at most.
pub const HOSTS_MAX: usize = 16;

const PORT: u16 = 5432;
const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];
/// What is read by the library.
const KEYS: [&str; 12] = [
    "application_name",
    "channel_binding",
    "connect_timeout",
    "dbname",
    "host",
    "keepalives",
    "keepalives_idle",
    "options",
    "password",
    "port",
    "target_session_attrs",
    "user",
];
const KEYS_OF_TLS: [&str; 4] = ["sslmode", "sslrootcert", "sslcert", "sslkey"];

/// `sslmode`: whether TLS is spoken, and whom it believes. A server without TLS is refused from `Require` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Encryption {
    /// It is not spoken.
    Disable,
    /// Where the server speaks it; it believes anybody, unless there is an `sslrootcert`.
    Prefer,
    /// It believes anybody, unless there is an `sslrootcert`: then as `VerifyCa`, as libpq has it.
    Require,
    /// Whoever has a certificate of an authority in `sslrootcert`.
    VerifyCa,
    /// The same, and it must be for the host's name.
    VerifyFull,
}

impl Encryption {
    const ALL: [Encryption; 5] = [
        Encryption::Disable,
        Encryption::Prefer,
        Encryption::Require,
        Encryption::VerifyCa,
        Encryption::VerifyFull,
    ];

    /// As a URL writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Encryption::Disable => "disable",
            Encryption::Prefer => "prefer",
            Encryption::Require => "require",
            Encryption::VerifyCa => "verify-ca",
            Encryption::VerifyFull => "verify-full",
        }
    }
}

/// A URL that was read. Shown, it is its hosts and database, without user and password.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    /// Everything but the hosts and TLS.
    pub(super) settings: Box<Config>,
    /// In their order, each with its port; 1 to [`HOSTS_MAX`].
    pub(super) hosts: Vec<(Host, u16)>,
    pub(super) encryption: Encryption,
    /// `sslrootcert`; there is one from `VerifyCa` on.
    pub(super) authorities: Option<PathBuf>,
    /// `sslcert` and `sslkey`.
    pub(super) identity: Option<Identity>,
}

impl Url {
    /// Files that are not named from the root on are in `folder`.
    #[must_use]
    pub fn below(mut self, folder: &Path) -> Url {
        let resolve = |path: &mut PathBuf| *path = folder.join(&*path);
        self.authorities.iter_mut().for_each(resolve);
        if let Some(identity) = &mut self.identity {
            resolve(&mut identity.certificate);
            resolve(&mut identity.key);
        }
        self
    }

    /// `sslmode`.
    pub fn encryption(&self) -> Encryption {
        self.encryption
    }

    /// Whether nothing leaves this machine: every host is its loopback or a socket in its file system.
    pub fn is_local(&self) -> bool {
        self.hosts.iter().all(|(host, _)| match host {
            Host::Unix(_) => true,
            Host::Tcp(name) => {
                let address = name.parse::<std::net::IpAddr>();
                name == "localhost" || address.is_ok_and(|address| address.is_loopback())
            }
        })
    }

    /// Whether it leads to one database that is written to: it has one host, or asks for one that takes writes.
    pub fn is_of_one_writer(&self) -> bool {
        let asked = self.settings.get_target_session_attrs();
        self.hosts.len() == 1 || asked == TargetSessionAttrs::ReadWrite
    }

    /// Whether it holds a password.
    pub fn has_password(&self) -> bool {
        self.settings.get_password().is_some()
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (host, port)) in self.hosts.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            write!(f, "{comma}{}", place(host, *port))?;
        }
        match self.settings.get_dbname() {
            Some(database) => write!(f, "/{database}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({self})")
    }
}

/// A host and its port, as people write them.
pub(super) fn place(host: &Host, port: u16) -> String {
    match host {
        Host::Tcp(name) if name.contains(':') => format!("[{name}]:{port}"),
        Host::Tcp(name) => format!("{name}:{port}"),
        Host::Unix(folder) => folder.display().to_string(),
    }
}

impl FromStr for Url {
    type Err = Fault;

    /// What is wrong is said as of something called `url`, without its name before it.
    fn from_str(text: &str) -> Result<Url, Fault> {
        if text.len() > URL_OCTETS_MAX {
            return Err(wrong(format!("is longer than {URL_OCTETS_MAX} octets")));
        }
        let Some(rest) = SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme)) else {
            return Err(wrong("must begin with postgres://"));
        };
        let (before, query) = rest.split_once('?').unwrap_or((rest, ""));
        let authority = before.split('/').next().unwrap_or_default();
        // Else a part of a password could be taken for a host, and be named as that.
        if rest.matches('@').count() > usize::from(authority.contains('@')) {
            return Err(wrong("has an @ too many; within a password or a value it is written %40"));
        }
        if authority.matches('@').count() > 1 {
            return Err(wrong("has an @ too many; within a password it is written %40"));
        }
        let mut own = OfTls::default();
        let mut others = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let Some((key, value)) = pair.split_once('=') else {
                return Err(wrong("has something behind the ? that is not key=value"));
            };
            match key {
                "sslmode" => own.mode = Some(mode(value)?),
                "sslrootcert" => own.authorities = Some(file(key, value)?),
                "sslcert" => own.certificate = Some(file(key, value)?),
                "sslkey" => own.key = Some(file(key, value)?),
                _ if KEYS.contains(&key) => others.push(readable(key, pair)?),
                _ => return Err(unknown(key)),
            }
        }
        let read: Config = format!("postgres://{before}?{}", others.join("&")).parse().map_err(
            |_: tokio_postgres::Error| {
                wrong("is no URL of PostgreSQL: write postgres://user@host:port/database")
            },
        )?;
        own.url(&read)
    }
}

/// What a URL says of TLS.
#[derive(Default)]
struct OfTls {
    mode: Option<Encryption>,
    authorities: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

impl OfTls {
    fn url(self, read: &Config) -> Result<Url, Fault> {
        let encryption = self.mode.unwrap_or(Encryption::Prefer);
        if encryption >= Encryption::VerifyCa && self.authorities.is_none() {
            return Err(wrong(format!(
                "says sslmode={} and not whom to believe: add sslrootcert=FILE",
                encryption.name()
            )));
        }
        let identity = match (self.certificate, self.key) {
            (Some(certificate), Some(key)) => Some(Identity { certificate, key }),
            (None, None) => None,
            (Some(_), None) => return Err(wrong("has sslcert without sslkey")),
            (None, Some(_)) => return Err(wrong("has sslkey without sslcert")),
        };
        Ok(Url {
            settings: Box::new(without_hosts(read)),
            hosts: hosts(read)?,
            encryption,
            authorities: self.authorities,
            identity,
        })
    }
}

fn wrong(says: impl Into<String>) -> Fault {
    Fault::Setting(says.into())
}

fn mode(value: &str) -> Result<Encryption, Fault> {
    let known = Encryption::ALL.into_iter().find(|mode| mode.name() == value);
    known.ok_or_else(|| {
        let names: Vec<_> = Encryption::ALL.into_iter().map(Encryption::name).collect();
        wrong(format!("has an sslmode that is none of {}", names.join(", ")))
    })
}

fn file(key: &str, value: &str) -> Result<PathBuf, Fault> {
    let path = decoded(value).filter(|path| !path.is_empty() && !path.contains('\0'));
    match path {
        Some(path) if key == "sslrootcert" && path == "system" => Err(wrong(
            "has sslrootcert=system, which is not spoken: name the file, such as \
             /etc/ssl/certs/ca-certificates.crt",
        )),
        Some(path) => Ok(PathBuf::from(path)),
        None => Err(wrong(format!("has no path in {key}"))),
    }
}

/// Undoes percent-encoding; `None` for what is malformed.
fn decoded(text: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        if octet != b'%' {
            octets.push(octet);
            continue;
        }
        let digit =
            |octet: u8| char::from(octet).to_digit(16).and_then(|one| u8::try_from(one).ok());
        octets.push(digit(rest.next()?)? * 16 + digit(rest.next()?)?);
    }
    String::from_utf8(octets).ok()
}

/// A pair, if the library reads it alone: so what is wrong has a name.
fn readable<'a>(key: &str, pair: &'a str) -> Result<&'a str, Fault> {
    match format!("postgres://?{pair}").parse::<Config>() {
        Ok(_) => Ok(pair),
        Err(_) if key == "target_session_attrs" => {
            Err(wrong("has a target_session_attrs that is none of any, read-write, read-only"))
        }
        Err(_) => Err(wrong(format!("has a {key} that cannot be read"))),
    }
}

/// A key is repeated where it looks like one: a password without percent-encoding may end up here.
fn unknown(key: &str) -> Fault {
    let known: Vec<_> = KEYS_OF_TLS.into_iter().chain(KEYS).collect();
    let is_word = key.len() < 30 && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let named = if is_word { format!("the key {key}") } else { "a key".to_owned() };
    wrong(format!("has {named} that is not spoken; there are {}", known.join(", ")))
}

/// Hosts with their ports: one port for all, one for each, or the default.
fn hosts(read: &Config) -> Result<Vec<(Host, u16)>, Fault> {
    // The library takes what stands after `?host=` for one name.
    let each = |host: &Host| match host {
        Host::Tcp(names) => names.split(',').map(|name| Host::Tcp(name.to_owned())).collect(),
        Host::Unix(folder) => vec![Host::Unix(folder.clone())],
    };
    let hosts: Vec<Host> = read.get_hosts().iter().flat_map(each).collect();
    let ports = read.get_ports();
    if hosts.is_empty() || hosts.iter().any(|host| *host == Host::Tcp(String::new())) {
        return Err(wrong("names no host"));
    }
    if hosts.len() > HOSTS_MAX {
        return Err(wrong(format!("names more than {HOSTS_MAX} hosts")));
    }
    if ports.len() > 1 && ports.len() != hosts.len() {
        return Err(wrong(format!("has {} hosts and {} ports", hosts.len(), ports.len())));
    }
    let port = |at: usize| ports.get(at).or(ports.first()).copied().unwrap_or(PORT);
    Ok(hosts.into_iter().enumerate().map(|(at, host)| (host, port(at))).collect())
}

/// Each host is connected to with a copy of this.
fn without_hosts(read: &Config) -> Config {
    let mut settings = Config::new();
    if let Some(user) = read.get_user() {
        settings.user(user);
    }
    if let Some(password) = read.get_password() {
        settings.password(password);
    }
    if let Some(database) = read.get_dbname() {
        settings.dbname(database);
    }
    if let Some(options) = read.get_options() {
        settings.options(options);
    }
    if let Some(name) = read.get_application_name() {
        settings.application_name(name);
    }
    if let Some(time) = read.get_connect_timeout() {
        settings.connect_timeout(*time);
    }
    settings
        .keepalives(read.get_keepalives())
        .keepalives_idle(read.get_keepalives_idle())
        .target_session_attrs(read.get_target_session_attrs())
        .channel_binding(read.get_channel_binding());
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_are_read_as_libpq_reads_them() {
        for (text, expected) in [
            ("postgres://me:pw@h/db", "h:5432/db"),
            ("postgresql://h:1,[::1],k:3/db", "h:1,[::1]:5432,k:3/db"),
            ("postgres://me@/db?host=h,k&port=6000", "h:6000,k:6000/db"),
            ("postgres://%2Fvar%2Frun%2Fpostgresql/db", "/var/run/postgresql/db"),
            ("postgres://me:p%40w@h", "h:5432"),
            ("postgres://h/db?password=p%40w&sslmode=require&", "h:5432/db"),
        ] {
            let url: Url = text.parse().unwrap_or_else(|fault| panic!("{text}: {fault}"));
            assert_eq!(url.to_string(), expected);
        }
    }

    #[test]
    fn a_url_is_refused_for_a_reason_that_repeats_no_value() {
        for (rest, expected) in [
            ("me:hunter2", "must begin with"),
            ("postgres://me:hunter2@", "names no host"),
            ("postgres://me:hunter2@h,,k/db", "names no host"),
            ("postgres://me:hunter2@h:port/db", "is no URL"),
            ("postgres://me:hunt@er2@h/db", "an @ too many"),
            ("postgres://me:hunter2/x@h/db", "an @ too many"),
            ("postgres://me:hunter2?x@h/db", "an @ too many"),
            ("postgres://me@h,k/db?password=hunter2&port=1,2,3", "2 hosts and 5 ports"),
            ("postgres://me:hunter2@h/db?sslmode=allow", "none of disable, prefer, require"),
            ("postgres://me:hunter2@h/db?sslmode=verify-full", "add sslrootcert=FILE"),
            ("postgres://me:hunter2@h/db?sslrootcert=system", "name the file"),
            ("postgres://me:hunter2@h/db?sslrootcert=", "no path in sslrootcert"),
            ("postgres://me:hunter2@h/db?sslrootcert=%4", "no path in sslrootcert"),
            ("postgres://me:hunter2@h/db?sslcert=a", "sslcert without sslkey"),
            ("postgres://me:hunter2@h/db?sslkey=a", "sslkey without sslcert"),
            ("postgres://me:hunter2@h/db?target_session_attrs=primary", "none of any, read-write"),
            ("postgres://me:hunter2@h/db?connect_timeout=hunter2", "a connect_timeout that"),
            ("postgres://me:hunter2@h/db?load_balance_hosts=random", "the key load_balance_hosts"),
            ("postgres://me@h/db?Hunter2=1", "has a key that is not spoken"),
            ("postgres://me:hunter2@h/db?hunter2", "is not key=value"),
        ] {
            let fault = rest.parse::<Url>().expect_err(rest).to_string();
            assert!(fault.contains(expected), "{rest}: {fault}");
            assert!(!fault.to_lowercase().contains("hunt"), "{rest}: {fault}");
        }
        let many = format!("postgres://{}/db", ["h"; HOSTS_MAX + 1].join(","));
        assert!(many.parse::<Url>().is_err() && many[..many.len() - 5].parse::<Url>().is_ok());
        let long = format!("postgres://h/{}", "d".repeat(URL_OCTETS_MAX));
        assert!(long.parse::<Url>().is_err());
    }

    #[test]
    fn nothing_of_a_user_is_shown_and_files_are_found() {
        let text = "postgres://me:hunter2@127.0.0.1,localhost/db?sslmode=verify-ca&\
                    sslrootcert=a%20ca.pem&sslcert=/x/c.pem&sslkey=k.pem";
        let url: Url = text.parse().expect("a URL");
        assert!(!format!("{url:?} {url}").contains("hunter2") && url.has_password());
        assert_eq!(url.encryption(), Encryption::VerifyCa);
        assert!(url.is_local());
        let url = url.below(Path::new("/etc/consentry"));
        assert_eq!(url.authorities.as_deref(), Some(Path::new("/etc/consentry/a ca.pem")));
        let identity = url.identity.expect("one");
        assert_eq!(identity.certificate, Path::new("/x/c.pem"));
        assert_eq!(identity.key, Path::new("/etc/consentry/k.pem"));
        for (text, expected) in [
            ("postgres://127.1.2.3/", true),
            ("postgres://[::1]/", true),
            ("postgres://%2Frun/", true),
            ("postgres://127.0.0.1,db.example/", false),
            ("postgres://10.0.0.1/", false),
        ] {
            assert_eq!(text.parse::<Url>().expect(text).is_local(), expected, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "(postgres://)?[a-z:@/?&=%,\\[\\]0-9]{0,40}") {
            let _ = text.parse::<Url>();
        }
    }
}
