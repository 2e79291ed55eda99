//! PostgreSQL servers of a test's own: the newest version below /usr/lib/postgresql, each in a temporary
//! folder, as a user without rights, on a port of loopback. Used by `#[path = "../servers/mod.rs"]`.
//!
//! A server ends, and its folder goes, when it is dropped, when the test panics, and when the process of the
//! test ends in whatever way: its keeper is a shell that reads a pipe of the test's, and ends the server by
//! its id when that pipe closes. So a server may be a static that all tests of a binary share: [`shared`].
//!
//! What a server says it has is not forced to the disk (`fsync = off`): it outlives the end of the server,
//! not that of the machine. Measure nothing with it.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio_postgres::{NoTls, SimpleQueryMessage};

pub mod certificates;

/// PostgreSQL does not run as root: then everything of it belongs to "nobody".
const NOBODY: u32 = 65_534;
/// How long a server may take to start, to stop, to copy itself, to answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// Starts a server ("$@"), waits for a word or the end of its input, and ends the server without a
/// checkpoint. Its folder ($0) stays only at the word "keep".
const KEEPER: &str = "\"$@\" & server=$!; word=; IFS= read -r word; kill -QUIT $server 2>/dev/null; \
                      wait $server; [ \"$word\" = keep ] || rm -rf \"$0\"";

/// A server. The one that a test begins with is a primary.
pub struct Server {
    folder: tempfile::TempDir,
    bin: PathBuf,
    port: u16,
    settings: Vec<String>,
    keeper: Option<Child>,
}

/// The server that a test begins with.
pub type Primary = Server;

/// How a server speaks TLS, and with whom.
pub struct Tls<'a> {
    /// The folder of the files that follow.
    pub folder: &'a Path,
    /// `NAME.pem` and `NAME.key` are what it shows.
    pub certificate: &'a str,
    /// `NAME.pem` is the authority of its clients.
    pub authority: &'a str,
    /// Lines of pg_hba.conf. Before them stands that the user `consentry`, which [`Server::query`] uses, may
    /// connect without anything.
    pub hba: &'a str,
}

/// One server for all tests of a binary, each of which makes itself a [`Server::database`].
pub fn shared() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(Server::start).as_ref()
}

/// Where a database is, wherever of these servers writes are taken.
pub fn url_over(servers: &[&Server], database: &str) -> String {
    let hosts: Vec<_> = servers.iter().map(|one| one.address().to_string()).collect();
    format!(
        "postgres://consentry@{}/{database}?target_session_attrs=read-write&connect_timeout=3",
        hosts.join(",")
    )
}

impl Server {
    /// Makes a cluster and starts it. None, and a line that says so, where there is no PostgreSQL;
    /// `tests/run` installs it and sets CONSENTRY_TEST_ALL, which makes that a failure.
    pub fn start() -> Option<Server> {
        let mut server = Server::make()?;
        server.up();
        Some(server)
    }

    /// The same, with settings, such as `fsync=on`. Those that follow it have them too.
    pub fn start_with(settings: &[&str]) -> Option<Server> {
        let mut server = Server::make()?;
        server.settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        server.up();
        Some(server)
    }

    /// The same, and it speaks TLS.
    pub fn start_tls(tls: &Tls<'_>) -> Option<Server> {
        let mut server = Server::make()?;
        let certificate = |extension| format!("{}.{extension}", tls.certificate);
        for (file, name, setting) in [
            (certificate("pem"), "server.pem", "ssl_cert_file"),
            (certificate("key"), "server.key", "ssl_key_file"),
            (format!("{}.pem", tls.authority), "clients.pem", "ssl_ca_file"),
        ] {
            let path = server.folder.path().join(name);
            std::fs::copy(tls.folder.join(file), &path).expect("a file of TLS");
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("chmod");
            give_away(&path);
            server.settings.push(format!("{setting}={}", path.display()));
        }
        server.settings.push("ssl=on".to_owned());
        let ours = "hostnossl all consentry 127.0.0.1/32 trust\n\
                    hostnossl replication consentry 127.0.0.1/32 trust\n";
        std::fs::write(server.data().join("pg_hba.conf"), format!("{ours}{}\n", tls.hba))
            .expect("pg_hba.conf");
        server.up();
        Some(server)
    }

    fn make() -> Option<Server> {
        let Some(bin) = programs() else {
            assert!(std::env::var_os("CONSENTRY_TEST_ALL").is_none(), "no PostgreSQL is installed");
            eprintln!(
                "not shown: no PostgreSQL below /usr/lib/postgresql; apt-get install postgresql"
            );
            return None;
        };
        let server = Server::empty(bin);
        server.run(
            "initdb",
            &["-A", "trust", "-U", "consentry", "-E", "UTF8", "--locale=C", "-N", "-D", "data"],
        );
        Some(server)
    }

    fn empty(bin: PathBuf) -> Server {
        let folder = tempfile::tempdir().expect("a temporary folder");
        give_away(folder.path());
        Server { folder, bin, port: free_port(), settings: Vec::new(), keeper: None }
    }

    /// Another server that follows this one; from now on each commit here waits until it can be read there
    /// (`remote_apply`), and waits for ever while it is down: see [`Server::alone`].
    pub fn standby(&self) -> Server {
        let mut standby = Server::empty(self.bin.clone());
        let name = format!("standby_{}", standby.port);
        let source =
            format!("host=127.0.0.1 port={} user=consentry application_name={name}", self.port);
        standby.run(
            "pg_basebackup",
            &["-R", "-X", "stream", "-c", "fast", "-N", "-D", "data", "-d", &source],
        );
        // Files of TLS are the primary's.
        let own = self.settings.iter().filter(|setting| !setting.starts_with("ssl"));
        standby.settings = own.cloned().collect();
        standby.up();
        self.set("synchronous_standby_names", "ANY 1 (*)");
        self.set("synchronous_commit", "remote_apply");
        let follows = format!(
            "SELECT 1 FROM pg_stat_replication \
             WHERE application_name = '{name}' AND state = 'streaming' AND sync_state = 'quorum'"
        );
        until("the standby follows", || !self.query(&follows).is_empty());
        standby
    }

    /// Commits wait for no standby any more.
    pub fn alone(&self) {
        self.set("synchronous_standby_names", "");
    }

    /// Makes a standby a primary, and waits until it is one.
    pub fn promote(&self) {
        self.run("pg_ctl", &["promote", "-s", "-w", "-D", "data"]);
        until("the standby is a primary", || {
            self.query("SELECT pg_is_in_recovery()")[0][0].as_deref() == Some("f")
        });
    }

    /// A setting for all connections, in force when it returns.
    pub fn set(&self, setting: &str, value: &str) {
        self.query(&format!("ALTER SYSTEM SET {setting} = '{value}'"));
        self.query("SELECT pg_reload_conf()");
        until("the setting is in force", || {
            self.query(&format!("SHOW {setting}"))[0][0].as_deref() == Some(value)
        });
    }

    /// Starts the server on its cluster and waits until it answers.
    pub fn up(&mut self) {
        assert!(self.keeper.is_none(), "it is up");
        let log = self.folder.path().join("log");
        let out = std::fs::File::options().append(true).create(true).open(&log).expect("a log");
        let mut shell = self.command(Path::new("/bin/sh"));
        shell.args(["-c", KEEPER]).arg(self.folder.path()).arg(self.bin.join("postgres"));
        shell.args(["-D", "data", "-p", &self.port.to_string()]);
        for setting in FIXED.into_iter().chain(self.settings.iter().map(String::as_str)) {
            shell.args(["-c", setting]);
        }
        let keeper = shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(out).spawn();
        self.keeper = Some(keeper.expect("the server starts"));
        let data = self.data().display().to_string();
        let until = Instant::now() + PATIENCE;
        loop {
            // Another server may have the port.
            match self.try_query("postgres", "SHOW data_directory") {
                Ok(rows) if rows[0][0].as_deref() == Some(data.as_str()) => return,
                _ => {}
            }
            let said = || std::fs::read_to_string(&log);
            assert!(Instant::now() < until, "PostgreSQL does not answer: {:?}", said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends the server at once, as a crash would: without a checkpoint, all connections cut.
    pub fn down(&mut self) {
        self.end(b"keep\n");
    }

    fn end(&mut self, word: &[u8]) {
        let Some(mut keeper) = self.keeper.take() else { return };
        if let Some(mut input) = keeper.stdin.take() {
            let _ = input.write_all(word);
        }
        let until = Instant::now() + PATIENCE;
        while keeper.try_wait().expect("our child").is_none() {
            if Instant::now() > until {
                let id = std::fs::read_to_string(self.data().join("postmaster.pid"));
                let id = id.unwrap_or_default().lines().next().unwrap_or_default().to_owned();
                let _ = Command::new("kill").args(["-KILL", &id]).status();
                let _ = keeper.kill();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Where its first database is.
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// Where one of its databases is.
    pub fn url_of(&self, database: &str) -> String {
        format!("postgres://consentry@{}/{database}", self.address())
    }

    /// Makes an empty database of that name; where it is.
    pub fn database(&self, name: &str) -> String {
        self.query(&format!("CREATE DATABASE \"{name}\" TEMPLATE template0"));
        self.url_of(name)
    }

    /// Runs statements in the first database; the rows of all of them, as texts.
    pub fn query(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        self.query_in("postgres", sql)
    }

    /// The same in another database.
    pub fn query_in(&self, database: &str, sql: &str) -> Vec<Vec<Option<String>>> {
        self.try_query(database, sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// The same; what went wrong, or that nothing came in time.
    pub fn try_query(&self, database: &str, sql: &str) -> Result<Vec<Vec<Option<String>>>, String> {
        let url = format!("{}?connect_timeout=5", self.url_of(database));
        let asking = async {
            let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
            tokio::spawn(async move { drop(connection.await) });
            client.simple_query(sql).await
        };
        // A thread of its own: the caller may be inside a runtime.
        let messages = std::thread::scope(|scope| {
            let asked = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                let asking = async { tokio::time::timeout(PATIENCE, asking).await };
                runtime.expect("a runtime").block_on(asking)
            });
            asked.join().expect("it does not panic")
        });
        let messages = messages.map_err(|_| format!("no answer within {PATIENCE:?}"))?;
        let messages = messages.map_err(|error| match error.as_db_error() {
            Some(said) => said.message().to_owned(),
            None => error.to_string(),
        })?;
        let rows = messages.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect())
            }
            _ => None,
        });
        Ok(rows.collect())
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.folder.path());
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    /// Runs one of PostgreSQL's programs to its end.
    fn run(&self, program: &str, arguments: &[&str]) {
        let output = self.command(&self.bin.join(program)).args(arguments).output();
        let output = output.expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program}: {said}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end(b"");
    }
}

const FIXED: [&str; 6] = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "max_connections=100",
    "shared_buffers=32MB",
    "fsync=off",
    "hot_standby_feedback=on",
];

/// Where the programs are; none where PostgreSQL is not installed.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let bins = versions.flatten().map(|version| version.path().join("bin"));
    bins.filter(|bin| bin.join("postgres").exists()).max()
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").expect("/proc").uid() == 0
}

fn give_away(path: &Path) {
    if is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).expect("chown");
    }
}

/// A port that is free now, below those that the system gives to whoever connects: so a server that was down
/// finds it free when it comes up again.
fn free_port() -> u16 {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let place = std::process::id().wrapping_mul(61).wrapping_add(number) % 12_000;
        let port = 20_000 + u16::try_from(place).expect("it is small");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
